r"""What is maximised: the margin of one query of one part, as a function of a point of the unit cube.

The coordinates are those of the columns that matter to the query, then those of its places. A line property does not look
at the row's own value of its feature, so this has no coordinate. A margin says how bad a violation is, but between queries
that are answered well it leads nowhere: the margin of a pair is largest, namely 0, where its two places are one. So queries
that are not violated are ranked by their margin per distance of their places,

.. math:: r = \begin{cases} \text{margin} & \text{margin} > 0 \\ \text{margin} / \text{distance} & \text{otherwise,}
          \end{cases}

which is largest where the model is nearest to a violation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alignconf._typing import BoolArray, FloatArray, Table
from alignconf.deployment.plausibility import Plausibility
from alignconf.deployment.search.box import Box, Candidates, places_along
from alignconf.deployment.search.profiles import ranked, worst_on_lines
from alignconf.deployment.violation_score import CountedModel, part_margins
from alignconf.lines.axis import TradeAxis
from alignconf.lines.evaluation import PlacedRows
from alignconf.queries.queries import PartQueries

__all__ = ["QueriesWithMargins", "Target"]


@dataclass(frozen=True, eq=False)
class QueriesWithMargins:
    """Queries that a model was asked, with their margins.

    Parameters
    ----------
    points : (n_queries, n_dims)
        Of the unit cube.
    margins : (n_queries,)
        Minus infinity for a query that cannot be asked.
    ranking : (n_queries,)
        What the search goes by.
    beyond : (n_queries,)
        How far the farthest end is from the data, as a multiple of what counts as natural.
    """

    points: FloatArray
    margins: FloatArray
    ranking: FloatArray
    beyond: FloatArray


@dataclass(frozen=True, eq=False)
class Target:
    """One part of a property, asked anywhere in a box.

    Parameters
    ----------
    model : CountedModel
    part : PartQueries
    box : Box
    plausibility : Plausibility or None
        None where every query counts.
    farthest : float
        The largest distance from the data that counts as natural.
    """

    model: CountedModel
    part: PartQueries
    box: Box
    plausibility: Plausibility | None = None
    farthest: float = np.inf

    @property
    def is_line(self) -> bool:
        """Whether the part is about lines."""
        return len(self.part.drawn_from) == 1

    @property
    def free(self) -> tuple[int, ...]:
        """The positions of the columns that matter to a query."""
        fixed = {law.axis.position for law in self.part.drawn_from if not isinstance(law.axis, TradeAxis)}
        return tuple(i for i in range(len(self.box.columns)) if i not in fixed)

    @property
    def places(self) -> tuple[Candidates, ...]:
        """The candidates of each place of a query."""
        laws = self.part.drawn_from
        along = [places_along(law.axis, self.box) for law in laws]
        return tuple(candidates for candidates in along for _ in range(self.part.n_uniforms // len(laws)))

    @property
    def candidates(self) -> tuple[Candidates, ...]:
        """The candidates of each coordinate: those of the columns that matter, then those of the places."""
        return (*(self.box.columns[i] for i in self.free), *self.places)

    @property
    def n_dims(self) -> int:
        """Coordinates of a query."""
        return len(self.free) + len(self.places)

    @property
    def n_sites(self) -> int:
        """Model rows that one query costs."""
        return len(self.places) or self.part.n_sites

    def rows(self, points: FloatArray) -> Table:
        """Return the rows of queries, without their places."""
        columns = {i: self.box.columns[i].values_at(points[:, k]) for k, i in enumerate(self.free)}
        return self.box.rows(columns, len(points))

    def queries(self, points: FloatArray) -> tuple[Table, PartQueries]:
        """Return the rows of queries, and one query at each."""
        table, first = self.rows(points), len(self.free)
        places = np.empty((len(points), 1, len(self.places)))
        for k, candidates in enumerate(self.places):
            places[:, 0, k] = candidates.values_at(points[:, first + k])
        return table, self.part.at(places)

    def ask(self, points: FloatArray) -> QueriesWithMargins:
        """Ask the model one query at each point of the unit cube."""
        table, queries = self.queries(points)
        sites = queries.sites(table)
        values, size = self._answers(queries, sites)
        margins = part_margins(queries, values, size)[:, 0]
        margins = np.where(self._can_be_asked(table), margins, -np.inf)
        return QueriesWithMargins(points, margins, self.ranking(queries, margins), self._beyond(sites, len(points)))

    def ask_lines(self, points: FloatArray, coordinates: FloatArray) -> QueriesWithMargins:
        """Ask whole lines: return at each point's row the worst query with places at coordinates, (n_queries, n_places).

        Costs ``n_places`` model rows for each line; the points returned have the places of the worst query.
        """
        if not self.is_line:
            raise TypeError(f"{self.part.declared} is not a property of lines")
        table, coordinates = self.rows(points), np.sort(coordinates, axis=-1)
        places = np.asarray(self.places[0].values_at(coordinates), dtype=np.float64)
        line = self.part.at(places[:, None])
        sites = line.sites(table)
        answered, rounding = self.model.with_rounding(sites[0])
        values = line.arrange([answered])
        _, positions = worst_on_lines(self.part.declared.lines[0], places, values[:, 0])
        worst_values = np.take_along_axis(values[:, 0], positions, axis=1)[:, None]
        queries = self.part.at(np.take_along_axis(places, positions, axis=1)[:, None])
        margins = part_margins(queries, worst_values, rounding.of(worst_values))[:, 0]
        margins = np.where(self._can_be_asked(table), margins, -np.inf)
        worst = np.concatenate(
            [points[:, : len(self.free)], np.take_along_axis(coordinates, positions, axis=1)], axis=1
        )
        beyond = self._beyond(queries.sites(table) if self.plausibility is not None else [], len(points))
        return QueriesWithMargins(worst, margins, self.ranking(queries, margins), beyond)

    def ranking(self, queries: PartQueries, margins: FloatArray) -> FloatArray:
        """Return the ranking of queries with given margins, (n_queries,)."""
        return ranked(margins, np.ones(1) if queries.spread is None else queries.spread[:, 0])

    def _answers(self, queries: PartQueries, sites: list[Table]) -> tuple[FloatArray, FloatArray]:
        """Return the model's values at the points of queries, (n_queries, 1, n_points), and what of them is rounding."""
        answers = [self.model.with_rounding(site) for site in sites]
        values = queries.arrange([values for values, _ in answers])
        return values, answers[0][1].of(values)

    def _can_be_asked(self, table: Table) -> BoolArray:
        """Return which rows have a place on the part's lines."""
        axes = [law.axis for law in self.part.drawn_from if isinstance(law.axis, TradeAxis)]
        return PlacedRows.of(table, axes).present

    def _beyond(self, sites: list[Table], n_queries: int) -> FloatArray:
        """Return how far the farthest end of each query is from the data, as a multiple of what counts as natural."""
        if self.plausibility is None:
            return np.zeros(n_queries)
        distances = [self.plausibility.distances(site).reshape(n_queries, -1) for site in sites]
        return np.asarray(np.concatenate(distances, axis=1).max(axis=1) / self.farthest)
