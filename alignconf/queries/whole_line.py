"""Whole-line queries: the values at all places of a row's line, and nothing drawn.

A row is accepted iff the values at all knots of the reference law have the property together. For a property that is local
(:attr:`~alignconf.contract.property.LineProperty.is_local`) neighbouring places tell: adjacent pairs for order, slopes and
invariance, consecutive triples for curvature and a known peak. The rejection rate is then the share of rows whose line
lacks the property anywhere on these places: the strictest of the query laws. As the line is known, so are its exact
distances to the property (:mod:`alignconf.certify.distance`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.queries.along_line import AlongLine

__all__ = ["WholeLineQueries"]


@dataclass(frozen=True)
class WholeLineQueries(AlongLine):
    """Queries of the line of each row at all knots of the reference law.

    Parameters
    ----------
    part : LineProperty that is local
    law : ReferenceLaw
    n_samples : int
    n_queries : int
        How often a line is asked about; the answer is the same each time.
    """

    tester: ClassVar[str] = "line"

    n_samples: int = 0
    n_queries: int = 1

    def placed(self, table: Table, uniforms: FloatArray) -> WholeLineQueries:
        """Return the queries of the rows of a table, another number of times."""
        return replace(self, n_samples=table.shape[0], n_queries=uniforms.shape[1])

    @property
    def coordinates(self) -> FloatArray:
        """The knots, for each row and query."""
        knots = self.law.knots[:, None]
        return np.broadcast_to(knots, (self.n_samples, self.n_queries, *knots.shape))

    @cached_property
    def arguments(self) -> IntArray:
        """The neighbouring places, ``n_points`` at a time, as often as the property has demands: (n_demands, n_points)."""
        _, bounds = self.part.demands(self.law.knots[self._neighbours])
        return np.repeat(self._neighbours, bounds.shape[-2], axis=0)

    @cached_property
    def demands(self) -> tuple[FloatArray, FloatArray]:
        """The coefficients (1, 1, n_demands, n_alternatives, n_points) and bounds, tolerance included."""
        coefficients, bounds = self.part.demands(self.law.knots[self._neighbours])
        shape = (1, 1, -1, bounds.shape[-1])
        return coefficients.reshape(*shape, self.part.n_points), bounds.reshape(shape) + self.part.tol

    def rows(self, block: slice | IntArray) -> WholeLineQueries:
        """Return the queries of a block of rows."""
        return replace(self, n_samples=np.arange(self.n_samples)[block].size)

    @property
    def _neighbours(self) -> IntArray:
        first = np.arange(self.law.knots.size - self.part.n_points + 1)
        return first[:, None] + np.arange(self.part.n_points)

    def __str__(self) -> str:
        """Return the query law in words."""
        return f"the values at {self.law.knots_in_words} of {self.law}, all together"
