"""A linear rule about the outputs of a row, as a property of the line of all outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignconf._typing import Feature, FloatArray
from alignconf.contract.cells import Cells
from alignconf.contract.outputs import OUTPUTS
from alignconf.contract.property import LineProperty
from alignconf.kernels.polyhedron import polyhedron_least_squares, polyhedron_midpoint

__all__ = ["OutputRule"]


@dataclass(frozen=True, repr=False)
class OutputRule(LineProperty):
    r"""Inequalities :math:`\sum_o a_{io} g_o(x) \le b_i` between the outputs of a row.

    The nearest outputs that have them are found by least squares in which every output counts the same. Rules about differences
    of two outputs, :math:`g_o - g_p \le b`, are met by the lower and by the upper of two members alike, so the projection onto
    them is order preserving and keeps what was reached along features.

    Parameters
    ----------
    coefficients : (n_demands, n_outputs) numbers
    bounds : (n_demands,) numbers
    """

    feature: Feature = OUTPUTS
    coefficients: Any = ()
    bounds: Any = ()

    chains = True
    is_linear = True

    def __post_init__(self) -> None:
        """All outputs of the row are compared together."""
        super().__post_init__()
        object.__setattr__(self, "n_points", len(self.coefficients[0]))

    def demands(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Demand the inequalities of all outputs together."""
        A, b = np.array(self.coefficients), np.array(self.bounds)
        shape = places.shape[:-1]
        return np.broadcast_to(A[:, None, :], (*shape, len(A), 1, A.shape[1])), np.broadcast_to(
            b[:, None], (*shape, b.size, 1)
        )

    def least_squares(self, lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the nearest outputs that have the inequalities."""
        return polyhedron_least_squares(lines, np.array(self.coefficients), np.array(self.bounds))

    def midpoint(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the outputs with the smallest largest change."""
        return polyhedron_midpoint(lines, np.array(self.coefficients), np.array(self.bounds))

    def allowed(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Return no limits: no place is between outputs."""
        return np.full(len(cells.places), -np.inf), np.full(len(cells.places), np.inf)
