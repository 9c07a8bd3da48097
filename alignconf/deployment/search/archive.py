"""What a search remembers: where to look next, what it has found, and what that cost.

Two lists are kept. The *pool* holds the best points by the ranking of the search, violated or not, from which later stages
start. The *finds* hold violations alone, the worst of each **region**: the quarter of the unit interval that each coordinate
of a column lies in, or the category. Witnesses are taken from different regions, so that they are not one violation many
times over.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from alignconf._typing import FloatArray, IntArray
from alignconf.deployment.search.target import QueriesWithMargins, Target

__all__ = ["Archive", "Find"]

#: Points that later stages may start from, and parts that a coordinate is told apart in.
POOL = 1000
QUARTERS = 4

#: A column with at most this many candidates is told apart by each.
FEW = 12


@dataclass(frozen=True, eq=False)
class Find:
    """A violation that was met: a point of the unit cube, (n_dims,), and its margin."""

    point: FloatArray
    margin: float
    is_natural: bool


@dataclass(eq=False)
class Archive:
    """The queries that were asked of one target: the pool, the finds and their cost.

    Parameters
    ----------
    target : Target
    limit : int
        The model may be sent this many rows in all, counted from when it began to count.
    scale : float
        What a query loses in the ranking if its farthest end is twice as far from the data as counts as natural.
    """

    target: Target
    limit: int
    scale: float = 0.0
    points: FloatArray = field(init=False)
    ranking: FloatArray = field(init=False)
    finds: dict[bytes, Find] = field(default_factory=dict)
    anywhere: Find | None = None
    #: Rows sent, and the largest margin of a natural violation by then, whenever it grew.
    progress: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.points, self.ranking = np.empty((0, self.target.n_dims)), np.empty(0)

    @property
    def left(self) -> int:
        """Model rows that may still be sent."""
        return self.limit - self.target.model.n_rows

    @property
    def worst(self) -> float:
        """The largest margin of a natural violation so far, 0 if there is none."""
        return self.progress[-1][1] if self.progress else 0.0

    def ask(self, points: FloatArray) -> FloatArray:
        """Ask as many queries as the budget allows, and return their ranking, shorter if not all were asked."""
        count = min(len(points), max(0, self.left) // self.target.n_sites)
        return self._remember(self.target.ask(points[:count])) if count else np.empty(0)

    def ask_lines(self, points: FloatArray, coordinates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Ask as many whole lines as the budget allows; return their ranking and the points of their worst queries.

        Parameters
        ----------
        points : (n_lines, n_dims)
        coordinates : (n_lines, n_places) in [0, 1)
        """
        count = min(len(points), max(0, self.left) // coordinates.shape[1])
        if not count:
            return np.empty(0), points[:0]
        queries = self.target.ask_lines(points[:count], coordinates[:count])
        return self._remember(queries), queries.points

    def starts(self, count: int) -> tuple[FloatArray, FloatArray]:
        """Return the best points of ``count`` different regions, best first, and their ranking."""
        _, first = np.unique(self._regions(self.points), axis=0, return_index=True)
        best = np.sort(first)[:count]
        return self.points[best], self.ranking[best]

    def _remember(self, queries: QueriesWithMargins) -> FloatArray:
        ranking = queries.ranking - self.scale * np.maximum(queries.beyond - 1, 0.0)
        points, pooled = np.concatenate([self.points, queries.points]), np.concatenate([self.ranking, ranking])
        best = np.argsort(-pooled, kind="stable")[:POOL]
        self.points, self.ranking = points[best], pooled[best]
        violated = np.flatnonzero(queries.margins > 0)
        if violated.size:
            self._keep(queries, violated[np.argsort(-queries.margins[violated], kind="stable")])
        return ranking

    def _keep(self, queries: QueriesWithMargins, worst_first: IntArray) -> None:
        """Keep the worst violation anywhere, and the worst natural violation of each region."""
        first = worst_first[0]
        if self.anywhere is None or queries.margins[first] > self.anywhere.margin:
            self.anywhere = Find(queries.points[first], float(queries.margins[first]), bool(queries.beyond[first] <= 1))
        natural = worst_first[queries.beyond[worst_first] <= 1]
        if not natural.size:
            return
        regions = self._regions(queries.points[natural])
        _, leading = np.unique(regions, axis=0, return_index=True)
        for k in leading:
            find = Find(queries.points[natural[k]], float(queries.margins[natural[k]]), True)
            key = regions[k].tobytes()
            if key not in self.finds or find.margin > self.finds[key].margin:
                self.finds[key] = find
        if queries.margins[natural[0]] > self.worst:
            self.progress.append((self.target.model.n_rows, float(queries.margins[natural[0]])))

    def _regions(self, points: FloatArray) -> IntArray:
        """Return which region each point is in, (n_points, n_columns)."""
        sizes = [self.target.box.columns[i].size for i in self.target.free]
        parts = np.array([QUARTERS if size is None or size > FEW else size for size in sizes], dtype=np.float64)
        return (points[:, : parts.size] * parts).astype(np.intp)
