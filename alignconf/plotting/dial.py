"""The dial: what each ``alpha`` leaves of violations, and what it costs in error, next to rivals.

Both are read off certificates of the same rows. Violation rates have the left axis and exact intervals, the error has the right
one (where labels were given), and ``alpha`` itself is drawn where it was promised. Rivals have no dial: each is one more place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

from alignconf.certify.audit import Audit
from alignconf.certify.certificate import Certificate
from alignconf.certify.report.drawing import (
    DELIVERED,
    INK,
    LIMIT,
    MODEL,
    MUTED,
    RULE,
    frame,
    literal,
    percent_axis,
    title_above,
)
from alignconf.certify.violation_rate import ViolationRate
from alignconf.errors import InputError, quoted
from alignconf.plotting.axes import new_axes
from alignconf.tables import printed
from alignconf.tables.checks import check_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["dial"]


def dial(
    certificates: Sequence[Certificate], *, rivals: Mapping[str, Any] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw violations and error as ``alpha`` turns from leaving the model alone to full strength.

    Parameters
    ----------
    certificates : sequence of Certificate
        Of one property, with different ``alpha``, on the same rows; with labels, ``certify(X, y)``, errors are drawn too.
    rivals : mapping of name to (violations, error), optional
        Other ways to the same property, measured on the same rows: violations as what :func:`alignconf.check` returns, or as a
        share, and the error or None.
    ax : matplotlib Axes, optional
        Violations are drawn on it, errors on a twin of it.

    Returns
    -------
    matplotlib Axes
    """
    by_alpha = sorted(_checked(certificates), key=lambda certificate: -certificate.alpha)
    others = _read_rivals({} if rivals is None else rivals)
    before = by_alpha[0]
    rates: list[ViolationRate | float] = [
        before.before,
        *(certificate.delivered for certificate in by_alpha),
        *(rate for rate, _ in others.values()),
    ]
    errors = [
        before.error.before if before.error else None,
        *(certificate.error.after if certificate.error else None for certificate in by_alpha),
    ]
    errors += [error for _, error in others.values()]
    names = ["the model", *(printed.level(certificate.alpha) for certificate in by_alpha), *others]

    ax = new_axes(width=max(7.0, 0.85 * len(names) + 1.5)) if ax is None else ax
    largest = 0.0
    for place, rate in enumerate(rates):
        seen = rate if isinstance(rate, float) else rate.rate
        low, high = (seen, seen) if isinstance(rate, float) else rate.interval
        ax.errorbar(place - 0.1, 100 * seen, [[100 * (seen - low)], [100 * (high - seen)]], fmt="o", color=DELIVERED, capsize=3,
                    lw=1.6, label="violated queries, with interval (left)" if place == 0 else None)  # fmt: skip
        largest = max(largest, high)
    for place, certificate in enumerate(by_alpha, start=1):
        ax.plot([place - 0.34, place + 0.34], [100 * certificate.alpha] * 2, color=LIMIT, lw=1.8, ls=(0, (2, 1)),
                label="alpha" if place == 1 else None)  # fmt: skip
        largest = max(largest, certificate.alpha)
    percent_axis(ax, largest)
    _errors(ax, errors, before.error.measure if before.error else "error")
    ax.axvline(0.5, color=RULE, lw=1)
    if others:
        ax.axvline(len(by_alpha) + 0.5, color=RULE, lw=1)
    ax.set_xticks(range(len(names)), [literal(fill(name, 12)) for name in names])
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set_xlabel("alpha" + (", then rivals" if others else ""), color=INK)
    title_above(ax, before.property)
    return ax


def _errors(ax: Axes, errors: Sequence[float | None], measure: str) -> None:
    """Draw errors on a twin of the Axes, and the frame and the legend of both."""
    frame(ax)
    twin = None
    if any(error is not None for error in errors):
        twin = ax.twinx()
        places = [place + 0.1 for place, error in enumerate(errors) if error is not None]
        twin.plot(places, [error for error in errors if error is not None], "s", color=MODEL, markersize=6, mfc="none", mew=1.8,
                  label=f"{measure} (right)")  # fmt: skip
        twin.set_ylabel(measure, color=INK)
        twin.margins(y=0.15)
        frame(twin)
        twin.spines["right"].set_visible(True)
        twin.spines["left"].set_visible(False)
        twin.spines["right"].set_color(MUTED)
    handles = ax.get_legend_handles_labels()[0] + (twin.get_legend_handles_labels()[0] if twin is not None else [])
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize="small")


def _checked(certificates: Any) -> list[Certificate]:
    listed = list(certificates) if isinstance(certificates, Sequence) else []
    if not listed or not all(isinstance(certificate, Certificate) for certificate in listed):
        raise InputError(
            f"certificates must be a list of certificates, one for each alpha, got {quoted(certificates)}; see "
            "aligned.certify(X, y)."
        )
    kinds = {certificate.property for certificate in listed}
    if len(kinds) > 1:
        raise InputError(f"certificates must be about one property, got {', '.join(sorted(map(repr, kinds)))}.")
    return listed


def _read_rivals(rivals: Any) -> dict[str, tuple[ViolationRate | float, float | None]]:
    """Return the rate and the error of each rival."""
    if not isinstance(rivals, Mapping):
        raise InputError(
            f"rivals must map names to (violations, error), got {quoted(rivals)} of type {type(rivals).__name__}."
        )
    read: dict[str, tuple[ViolationRate | float, float | None]] = {}
    for name, measured in rivals.items():
        if not isinstance(measured, tuple) or len(measured) != 2:
            raise InputError(
                f"rival {name!r} must be (violations, error), with None for an error not known, got {quoted(measured)}."
            )
        rate, error = measured
        if isinstance(rate, Audit):
            rate = rate.violations
        if not isinstance(rate, ViolationRate):
            rate = check_number(f"violations of rival {name!r}", rate, at_least=0.0)
            if rate > 1:
                raise InputError(
                    f"violations of rival {name!r} must be a share of at most 1, got {rate:g}; divide percent by 100."
                )
        read[str(name)] = (rate, None if error is None else check_number(f"error of rival {name!r}", error))
    return read
