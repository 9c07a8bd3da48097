"""A certificate, or an audit, as a figure: violation rates with their intervals, next to what they should keep to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alignconf.certify.audit import Audit
from alignconf.certify.certificate import Certificate
from alignconf.certify.report.drawing import draw_rates, title_above
from alignconf.certify.report.report import audit_rates, certificate_rates
from alignconf.certify.verdict import check_max_rate
from alignconf.errors import InputError, quoted
from alignconf.plotting.axes import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["certificate"]


def certificate(found: Certificate | Audit, *, max_rate: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw the violation rates that fresh rows have shown, with their exact intervals.

    Parameters
    ----------
    found : Certificate, or what :func:`alignconf.check` returns
    max_rate : float in [0, 1), optional
        The rate to keep to. By default, for a certificate, the ``alpha`` that was calibrated with confidence.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    limit = None if max_rate is None else check_max_rate(max_rate)
    if isinstance(found, Certificate):
        rows = certificate_rates(found, limit)
    elif isinstance(found, Audit):
        rows = audit_rates(found, limit)
    else:
        raise InputError(
            f"found must be a Certificate or what check returns, got {quoted(found)} of type {type(found).__name__}; "
            "see aligned.certify(X)."
        )
    ax = new_axes(height=1.5 + 0.45 * len(rows)) if ax is None else ax
    draw_rates(rows, ax)
    title_above(ax, found.property, n_columns=1)
    return ax
