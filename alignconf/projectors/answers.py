"""Answers of a function and of its projection at the points of queries, in the unit of the prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alignconf._typing import FloatArray
from alignconf.errors import DefectError
from alignconf.projectors.band import Scale, clip_to_band
from alignconf.queries.queries import PartQueries, excess

__all__ = ["Answers", "check_by_construction"]


@dataclass(frozen=True)
class Answers:
    """The answers of the model and of its repair at the points of the queries of a block of rows.

    Parameters
    ----------
    queries : PartQueries
    f, g : (n_samples, n_queries, n_points)
    rounding : (n_samples,)
        Excesses up to this are rounding.
    block : slice
        The rows of the table that the block holds.
    scale : Scale
    sigma : (n_samples, n_queries, n_points), optional
        Difficulty at the points, where the scale has one.
    """

    queries: PartQueries
    f: FloatArray
    g: FloatArray
    rounding: FloatArray
    block: slice
    scale: Scale
    sigma: FloatArray | None = None

    def delivered(self, half_widths: float | FloatArray) -> FloatArray:
        """Return the delivered function at the points, for one ``lambda_`` or one for each row of the whole table."""
        if np.ndim(half_widths):
            half_widths = np.asarray(half_widths)[self.block, None, None]
        if self.scale.is_plain or np.all(np.isinf(half_widths)):
            return clip_to_band(self.f, self.g, half_widths)
        return clip_to_band(self.f, self.g, half_widths * self.scale.towards(self.g - self.f, self.sigma))

    def excess(self, values: FloatArray) -> FloatArray:
        """Return how far each query is from being accepted by a function with these values; see :func:`excess`."""
        return excess(self.queries, values, self.rounding)


def check_by_construction(answers: Answers) -> None:
    """Refuse to go on where a query fails at full strength although by construction no query can.

    Raises
    ------
    DefectError
    """
    excesses = answers.excess(answers.g)
    if excesses.any():
        raise DefectError(
            f"{np.count_nonzero(excesses)} of {excesses.size} queries of {answers.queries.declared!r} fail at full strength, by "
            f"up to {excesses.max():.3g}, where by construction none can. If the property is your own, it declares what it is "
            "not: alignconf.testing.check_property tells. If not, this is a defect of alignconf: please report the property, the "
            "type and version of the model, and a row that fails."
        )
