"""Queries along lines: independent places, a few different ones at a time, or the whole line.

A query of a line property is ``n_points`` places along the feature's axis, drawn independently from the reference law given
that they all differ, and sorted; the other features are the row's own. For an order property these are **pairs**, and how
often they fail bounds the mean absolute distance of a line to a monotone one (:mod:`alignconf.certify.distance`), but
not how many of its values are out of place. What is common to every law of queries along a line is :class:`AlongLine`.

**Whole-line** queries are the values at all places, and nothing is drawn. A row is accepted iff the values at all knots of the
reference law have the property together. For a property that is local
(:attr:`~alignconf.contract.property.LineProperty.is_local`) neighbouring places tell: adjacent pairs for order, slopes and
invariance, consecutive triples for curvature and a known peak. The rejection rate is then the share of rows whose line lacks
the property anywhere on these places: the strictest of the query laws. As the line is known, so are its exact distances to the
property (:mod:`alignconf.certify.distance`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, ClassVar, Self

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.contract.property import LineProperty, Property
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.queries.queries import PartQueries
from alignconf.tables import table as tables

__all__ = ["AlongLine", "LineQueries", "WholeLineQueries"]


@dataclass(frozen=True)
class AlongLine(PartQueries):
    """Queries of a line property, at places that a subclass chooses.

    Parameters
    ----------
    part : LineProperty
    law : ReferenceLaw
    """

    #: What users call the law.
    tester: ClassVar[str]

    part: LineProperty
    law: ReferenceLaw

    @property
    @abstractmethod
    def coordinates(self) -> FloatArray:
        """The places at which values are needed, (n_samples, n_queries, n_points, 1)."""

    @property
    def declared(self) -> Property:
        """The part."""
        return self.part

    @property
    def drawn_from(self) -> tuple[ReferenceLaw, ...]:
        """The reference law."""
        return (self.law,)

    @property
    def n_sites(self) -> int:
        """The number of queries times the number of points."""
        return int(np.prod(self.coordinates.shape[1:]))

    def drawn_along(self, laws: Sequence[ReferenceLaw]) -> Self:
        """Return the queries with the law among ``laws`` that has their axis, if some law has."""
        matching = [law for law in laws if law.axis == self.law.axis]
        return replace(self, law=matching[0]) if matching else self

    def sites(self, table: Table) -> list[Table]:
        """Return one table: the points of all queries in turn."""
        rows = np.repeat(np.arange(table.shape[0]), self.n_sites)
        return [tables.replicate(table, rows, self.law.axis.moved(table, rows, self.coordinates.ravel()))]

    def arrange(self, values: Sequence[FloatArray]) -> FloatArray:
        """Return values at the points in the shape of the places."""
        return values[0].reshape(self.coordinates.shape[:-1])

    def labels(self, table: Table, row: int, query: int = 0) -> tuple[Any, ...]:
        """Return the values of the feature, or of both features of a trade line."""
        places = self.coordinates[row, query, :, 0]
        moved = self.law.axis.moved(table, np.full(places.size, row), places)
        columns = [values.tolist() for values in moved.values()]
        return tuple(columns[0]) if len(columns) == 1 else tuple(zip(*columns, strict=True))


@dataclass(frozen=True)
class LineQueries(AlongLine):
    """Queries of independent places.

    Parameters
    ----------
    part : LineProperty
    law : ReferenceLaw
    places : (n_samples, n_queries, n_points)
        Sorted along the last axis.
    """

    tester: ClassVar[str] = "iid"

    places: FloatArray = field(default_factory=partial(np.empty, (0, 0, 0)))

    @property
    def coordinates(self) -> FloatArray:
        """The places."""
        return self.places[..., None]

    @property
    def n_uniforms(self) -> int:
        """One number for each place."""
        return self.part.n_points

    @property
    def least_coincidence(self) -> float:
        """The probability, for pairs, that two draws from the law coincide."""
        return self.law.least_coincidence if self.part.n_points == 2 else 0.0

    def placed(self, table: Table, uniforms: FloatArray) -> LineQueries:
        """Return queries with the places that uniform numbers choose."""
        return replace(self, places=self.law.different_places(uniforms, table))

    def at(self, places: FloatArray) -> LineQueries:
        """Return the queries at given places, (n_samples, n_queries, n_points)."""
        return replace(self, places=np.sort(places, axis=-1))

    @property
    def spread(self) -> FloatArray:
        """The distance between the outermost places."""
        return np.asarray(np.ptp(self.places, axis=-1))

    @property
    def smallest_gap(self) -> FloatArray | None:
        """The smallest gap between neighbouring places; None for a single place."""
        return None if self.part.n_points == 1 else np.asarray(np.diff(self.places, axis=-1).min(axis=-1))

    @cached_property
    def demands(self) -> tuple[FloatArray, FloatArray]:
        """The coefficients (n_samples, n_queries, n_demands, n_alternatives, n_points) and bounds, tolerance included."""
        coefficients, bounds = self.part.demands(self.places)
        return coefficients, bounds + self.part.tol

    def rows(self, block: slice | IntArray) -> LineQueries:
        """Return the queries of a block of rows."""
        return replace(self, places=self.places[block])

    @property
    def question(self) -> str:
        """So many values of the feature, as reference rows have them."""
        number = {1: "a value", 2: "two values", 3: "three values"}.get(
            self.part.n_points, f"{self.part.n_points} values"
        )
        rows = f"{self.law.n_reference:,} reference rows"
        return f"{number} of {self.law.axis.label} as in {rows if self.law.is_marginal else f'those of {rows} that are like it'}"

    def __str__(self) -> str:
        """Return the query law in words."""
        if self.part.n_points == 1:
            return f"one place drawn from {self.law}"
        number = {2: "two", 3: "three"}.get(self.part.n_points, str(self.part.n_points))
        return f"{number} different places drawn independently, given that they differ, from {self.law}"


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

    @property
    def question(self) -> str:
        """All values at once."""
        return f"{self.law.knots.size} values of {self.law.axis.label}, all together"

    def __str__(self) -> str:
        """Return the query law in words."""
        return f"the values at {self.law.knots_in_words} of {self.law}, all together"
