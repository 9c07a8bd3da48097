"""Pictures of aligned models. Each function draws on ``ax`` (a new one by default) and returns it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from alignconf import _tables
from alignconf._typing import Feature, Table
from alignconf._validation import check_count, check_rows
from alignconf.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alignconf.aligned import AlignedEstimator

__all__ = ["line"]


def line(
    aligned: AlignedEstimator,
    X: Table,
    feature: Feature | None = None,
    *,
    row: int = 0,
    n_points: int = 400,
    groups: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one row's line: the model, its projection, the band and the delivered function.

    Parameters
    ----------
    aligned : AlignedRegressor or AlignedClassifier, calibrated
    X : (n_samples, n_features)
    feature : str or int, optional
        Which constrained feature to vary; the first one by default.
    row : int, default=0
        Which row of ``X``. Its own place is marked.
    n_points : int, default=400
        Reference places at which the line is drawn, at most (the knots are always among them).
    groups : of the row, if calibration was given labels of groups
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    import matplotlib.pyplot as plt

    alignment, table = aligned._ready(check_rows(X))
    check_count("n_points", n_points, at_least=2, at_most=1_000_000)
    if not 0 <= check_count("row", row, at_least=0) < table.shape[0]:
        raise InputError(f"row must be between 0 and {table.shape[0] - 1}, got {row}.")
    laws = alignment.projector.laws
    position = laws[0].axis.position if feature is None else _tables.locate(table, feature)
    axis = next((i for i, law in enumerate(laws) if law.axis.position == position), None)
    if axis is None:
        named = ", ".join(repr(law.axis.feature) for law in laws)
        raise InputError(f"feature {feature!r} is not constrained; expected one of {named}.")
    law = laws[axis]
    single = _tables.take(table, np.array([row]))
    if not alignment.complete(single)[0]:
        raise InputError(f"row {row} lacks a constrained feature and has no line; choose another row.")
    chosen = np.quantile(law.sample, np.linspace(0, 1, n_points), method="inverted_cdf")
    places = np.unique(np.concatenate([law.knots, chosen]))
    f, g = alignment.along(single, axis, places)
    sites = _tables.replicate(
        single,
        np.zeros(places.size, dtype=np.intp),
        law.axis.moved(single, np.zeros(places.size, dtype=np.intp), places),
    )
    half_width = aligned.threshold_.of_rows(single, groups)
    delivered = alignment.deliver(sites, f, g, half_width)

    ax = ax or plt.subplots(figsize=(7, 4.2), layout="constrained")[1]
    style: dict[str, Any] = {} if law.axis.order is None else {"marker": "o"}
    if np.isfinite(half_width).all():
        label = f"band, \N{PLUS-MINUS SIGN}{float(np.max(half_width)):.3g}" if alignment.scale.is_plain else "band"
        low, high = alignment.band(sites, f, half_width).T
        ax.fill_between(places, low, high, color="C0", alpha=0.15, lw=0, label=label)
    ax.plot(places, f, color="C0", lw=1.2, label="model", **style)
    ax.plot(places, g, color="0.35", lw=1.2, ls="--", label="projection (full strength)", **style)
    ax.plot(places, delivered, color="C3", lw=1.8, label="delivered", **style)
    own = alignment.places(single)[0, axis]
    ax.axvline(own, color="0.6", lw=0.8, ls=":", zorder=0)
    ax.annotate("this row", (own, 1), (3, -3), xycoords=("data", "axes fraction"), textcoords="offset points",
                va="top", fontsize="small", color="0.4")  # fmt: skip
    if law.axis.order is not None:
        ax.set_xticks(range(len(law.axis.order)), [str(category) for category in law.axis.order])
    ax.set_xlabel(law.axis.label)
    ax.set_ylabel(alignment.subject or "prediction")
    strength = "full strength" if aligned.calibration_.alpha == 0 else f"alpha = {aligned.calibration_.alpha:g}"
    ax.set_title(f"{alignment.declared} ({strength})", fontsize="medium")
    ax.legend(frameon=False, fontsize="small")
    return ax
