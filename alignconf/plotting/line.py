"""The line of one row: the model, its projection, the band and what is delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from alignconf._typing import Feature, Table
from alignconf.certify.report.drawing import draw_line, title_above
from alignconf.certify.report.pictured_line import of_alignment
from alignconf.errors import InputError
from alignconf.plotting.axes import new_axes
from alignconf.tables import printed
from alignconf.tables import table as tables
from alignconf.tables.checks import check_count, check_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alignconf.estimators.aligned import AlignedEstimator

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
        Quantiles of the reference law at which the line is drawn, at most, besides the knots if these are not twice as many.
    groups : of the row, if calibration was given labels of groups
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    alignment, table = aligned._ready(check_rows(X))
    check_count("n_points", n_points, at_least=2, at_most=1_000_000)
    if check_count("row", row, at_least=0) >= table.shape[0]:
        raise InputError(f"row must be between 0 and {table.shape[0] - 1}, got {row}.")
    laws = list({law.axis.key: law for law in reversed(alignment.tester.laws)}.values())[::-1]
    if not laws:
        raise InputError(f"{alignment.tester.declared}: nothing is asked along lines, so there is no line to look at.")
    position = laws[0].axis.position if feature is None else tables.locate(table, feature)
    axis = next((i for i, law in enumerate(laws) if law.axis.position == position), None)
    if axis is None:
        named = ", ".join(repr(law.axis.feature) for law in laws)
        raise InputError(f"feature {feature!r} is not constrained; expected one of {named}.")
    single = tables.take(table, np.array([row]))
    if np.isnan(laws[axis].axis.places(single)[0]) or not alignment.askable(single)[0]:
        raise InputError(
            f"X has no value of {laws[axis].axis.feature!r} in row {row} that the rule is about, so there is "
            "no line; choose another row."
        )
    half_width = aligned.threshold_.of_rows(single, groups)
    seen = of_alignment(alignment, half_width, single, 0, laws[axis], n_points=n_points)
    ax = new_axes() if ax is None else ax
    draw_line(seen, ax)
    strength = (
        "full strength" if aligned.calibration_.alpha == 0 else f"alpha = {printed.level(aligned.calibration_.alpha)}"
    )
    title_above(ax, f"{alignment.tester.declared} ({strength})")
    return ax
