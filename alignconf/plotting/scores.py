r"""The scores that calibrated, and ``lambda_`` among them.

The score of a row is its critical half-width: the row's query is violated at half-width :math:`\lambda` iff :math:`\lambda <
s`. The share of scores above :math:`\lambda` is the violation rate as calibration saw it, and ``lambda_`` is where it has
fallen to about ``alpha``; with several queries for each row the picture shows the first, so that the two need not meet
exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alignconf.certify.report.drawing import DELIVERED, INK, LIMIT, MODEL, frame, legend_above, literal, title_above
from alignconf.errors import InputError
from alignconf.estimators.aligned import AlignedEstimator
from alignconf.estimators.delivery import check_calibrated
from alignconf.plotting.axes import new_axes
from alignconf.tables import printed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["scores"]


def scores(aligned: AlignedEstimator, *, ax: Axes | None = None) -> Axes:
    """Draw which share of calibration rows is still violated at each half-width, and mark ``lambda_``.

    Parameters
    ----------
    aligned : AlignedRegressor or AlignedClassifier, calibrated
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        If nothing was calibrated (``alpha=0``), or by a loss that has no scores.
    """
    check_calibrated(aligned)
    sorted_scores = np.sort(aligned.calibration_scores_)
    if not sorted_scores.size:
        raise InputError(
            "this estimator has no scores to draw: at alpha=0 nothing is calibrated, and a loss that is a size has no critical "
            "half-widths. Calibrate a rate of violations with alpha above 0."
        )
    calibration, half_width = aligned.calibration_, aligned.lambda_
    finite = sorted_scores[np.isfinite(sorted_scores)]
    largest = 1.08 * max(half_width if np.isfinite(half_width) else 0.0, *finite[-1:].tolist(), 1e-12)
    half_widths = np.concatenate([[0.0], np.unique(finite[finite > 0]), [largest]])
    above = 100 * (sorted_scores.size - np.searchsorted(sorted_scores, half_widths, side="right")) / sorted_scores.size

    ax = new_axes() if ax is None else ax
    ax.step(half_widths, above, where="post", color=MODEL, lw=1.8, label="calibration rows still violated")
    ax.plot(
        finite,
        np.full(finite.size, -0.02 * max(above[0], 1.0)),
        "|",
        color=MODEL,
        alpha=0.4,
        label="scores, one for each row",
    )
    for level in calibration.promise.alphas:
        ax.axhline(100 * level, color=LIMIT, lw=1.4, ls=(0, (2, 1)), label=f"alpha = {printed.level(level)}")
    if np.isfinite(half_width):
        ax.axvline(half_width, color=DELIVERED, lw=2, label=f"lambda_ = {half_width:.4g}")
    ax.set_xlim(-0.02 * largest, largest)
    ax.set_ylim(-0.05 * max(above[0], 1.0), 1.08 * max(above[0], 100 * max(calibration.promise.alphas)))
    scaled = ", in units of the scale" if calibration.scale else ""
    ax.set_xlabel(
        f"half-width ({literal(aligned.alignment_.tester.subject or 'unit of the prediction')}{scaled})", color=INK
    )
    ax.set_ylabel("rows violated (%)", color=INK)
    frame(ax)
    legend_above(ax)
    never = sorted_scores.size - finite.size
    title_above(
        ax,
        f"{aligned.alignment_.tester.declared}: {sorted_scores.size} scores"
        + (f", {never} of them infinite" if never else ""),
    )
    return ax
