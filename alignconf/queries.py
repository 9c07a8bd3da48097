"""What a tester asks at each row: a few points, and what is demanded of the values there.

A **query** of a line property is ``n_points`` places along the feature's axis, drawn independently from the reference law
and sorted; the other features are the row's own. A query of a plane property is a rectangle with iid sides; one of an orbit
property is the row's orbit, which leaves nothing to draw. Every row has its own private draw. A query of a conjunction is one
query of each part, and is rejected if any of them is. This module is the only place where queries meet randomness.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from alignconf import _tables
from alignconf._typing import BoolArray, FloatArray, Table
from alignconf.contract import LineProperty, Property
from alignconf.errors import InputError
from alignconf.orbit import OrbitProperty
from alignconf.plane import PlaneProperty
from alignconf.reference import ReferenceLaw

__all__ = ["LineQueries", "OrbitQueries", "PartQueries", "PlaneQueries", "Queries", "draw_queries"]


class PartQueries(ABC):
    """Queries of one part of a property, ``n_queries`` at each of ``n_samples`` rows."""

    @property
    @abstractmethod
    def declared(self) -> Property:
        """The part."""

    @property
    @abstractmethod
    def n_sites(self) -> int:
        """How many points are asked for at one row."""

    @property
    @abstractmethod
    def demands(self) -> tuple[FloatArray, FloatArray]:
        """Coefficients (..., n_demands, n_alternatives, n_points) and bounds, tolerance included.

        The leading dimensions are, or broadcast to, (n_samples, n_queries).
        """

    @abstractmethod
    def rows(self, block: slice) -> PartQueries:
        """Return the queries of a block of rows."""

    @abstractmethod
    def sites(self, table: Table) -> list[Table]:
        """Return the points at which values are needed, as tables of rows made from the rows asked."""

    @abstractmethod
    def arrange(self, values: Sequence[FloatArray]) -> FloatArray:
        """Return values at the tables of :meth:`sites` in the form (n_samples, n_queries, n_points)."""

    @abstractmethod
    def labels(self, table: Table, row: int) -> tuple[Any, ...]:
        """Return what the points of a row's first query are, as users see them; the table holds all rows asked."""

    @property
    def drawn_from(self) -> tuple[ReferenceLaw, ...]:
        """The reference laws of the axes along which places are drawn; none if nothing is drawn."""
        return ()

    @property
    def coordinates(self) -> FloatArray:
        """Places along each of these axes, (n_samples, n_queries, n_points, n_axes)."""
        raise TypeError(f"{self.declared} draws no places")

    @abstractmethod
    def drawn(self, table: Table, n_queries: int, random: np.random.Generator) -> PartQueries:
        """Return queries of the same part at the rows of a table, freshly drawn."""

    @property
    def is_opaque(self) -> bool:
        """Whether there are no inequalities to compute with, only an answer: see :meth:`accepted`."""
        return False

    @property
    def levels(self) -> tuple[float, ...]:
        """For opaque properties: the half-widths, increasing, at which they are calibrated."""
        return ()

    def with_levels(self, levels: tuple[float, ...]) -> PartQueries:
        """Return the queries with such half-widths, if they are of an opaque property."""
        return self

    def drawn_along(self, laws: Sequence[ReferenceLaw]) -> PartQueries:
        """Return the queries with the law among these that has their axis, if there is one, in place of their own."""
        return self

    def excess(self, values: FloatArray) -> FloatArray:
        r"""Return the excess :math:`\sum_k a_k g(x_k) - b` of each alternative of each demand.

        Parameters
        ----------
        values : (n_samples, n_queries, n_points)
            Values of a function at the query points.

        Returns
        -------
        (n_samples, n_queries, n_demands, n_alternatives)
            The query is accepted iff every demand has an alternative that is not positive.
        """
        coefficients, bounds = self.demands
        demanded: FloatArray = np.einsum("...k,...k->...", coefficients, values[:, :, None, None, :])
        return demanded - bounds

    def accepted(self, values: FloatArray) -> BoolArray:
        """Return which queries an opaque property accepts, from values (n_samples, n_queries, n_points)."""
        raise TypeError(f"{self.declared} has inequalities")


@dataclass(frozen=True)
class LineQueries(PartQueries):
    """Queries of a line property.

    Parameters
    ----------
    part : LineProperty
    law : ReferenceLaw
    places : (n_samples, n_queries, n_points)
        Sorted along the last axis.
    """

    part: LineProperty
    law: ReferenceLaw
    places: FloatArray = field(default_factory=partial(np.empty, (0, 0, 0)))

    @property
    def declared(self) -> Property:
        """The part."""
        return self.part

    @property
    def drawn_from(self) -> tuple[ReferenceLaw, ...]:
        """The reference law."""
        return (self.law,)

    @property
    def coordinates(self) -> FloatArray:
        """The places."""
        return self.places[..., None]

    def drawn(self, table: Table, n_queries: int, random: np.random.Generator) -> LineQueries:
        """Return queries with fresh places."""
        shape = (table.shape[0], n_queries, self.part.n_points)
        return replace(self, places=np.sort(self.law.draw(random, shape, table), axis=-1))

    @property
    def n_sites(self) -> int:
        """Queries times points."""
        return int(np.prod(self.places.shape[1:]))

    @cached_property
    def demands(self) -> tuple[FloatArray, FloatArray]:
        """Coefficients (n_samples, n_queries, n_demands, n_alternatives, n_points) and bounds, tolerance included."""
        coefficients, bounds = self.part.demands(self.places)
        return coefficients, bounds + self.part.tol

    def rows(self, block: slice) -> LineQueries:
        """Return the queries of a block of rows."""
        return replace(self, places=self.places[block])

    def drawn_along(self, laws: Sequence[ReferenceLaw]) -> LineQueries:
        """Return the queries with the law among these that has their axis, if there is one."""
        found = [law for law in laws if law.axis == self.law.axis]
        return replace(self, law=found[0]) if found else self

    def sites(self, table: Table) -> list[Table]:
        """Return one table: the points of all queries in turn."""
        rows = np.repeat(np.arange(table.shape[0]), self.places[0].size)
        return [_tables.replicate(table, rows, self.law.axis.moved(table, rows, self.places.ravel()))]

    def arrange(self, values: Sequence[FloatArray]) -> FloatArray:
        """Return values at the points in the shape of the places."""
        return values[0].reshape(self.places.shape)

    def labels(self, table: Table, row: int) -> tuple[Any, ...]:
        """Return the values of the feature, or of both features of a trade line."""
        places = self.places[row, 0]
        moved = self.law.axis.moved(table, np.full(places.size, row), places)
        columns = [values.tolist() for values in moved.values()]
        return tuple(columns[0]) if len(columns) == 1 else tuple(zip(*columns, strict=True))

    def __str__(self) -> str:
        """Return the query law in words."""
        points = {1: "points", 2: "pairs", 3: "triples"}.get(self.part.n_points, f"{self.part.n_points}-tuples")
        return f"iid {points} from {self.law}"


@dataclass(frozen=True)
class PlaneQueries(PartQueries):
    """Queries of a plane property: the four corners of rectangles.

    Parameters
    ----------
    part : PlaneProperty
    laws : (ReferenceLaw, ReferenceLaw)
        Of the two features.
    places : (n_samples, n_queries, 2, 2)
        Low and high place along the first feature, and along the second.
    """

    part: PlaneProperty
    laws: tuple[ReferenceLaw, ReferenceLaw]
    places: FloatArray = field(default_factory=partial(np.empty, (0, 0, 2, 2)))

    @property
    def declared(self) -> Property:
        """The part."""
        return self.part

    @property
    def drawn_from(self) -> tuple[ReferenceLaw, ...]:
        """Both reference laws."""
        return self.laws

    @property
    def n_sites(self) -> int:
        """Queries times corners."""
        return 4 * int(self.places.shape[1])

    @property
    def coordinates(self) -> FloatArray:
        """The corners, in the order of the demands."""
        first, second = self.places[:, :, 0, [0, 1, 0, 1]], self.places[:, :, 1, [0, 0, 1, 1]]
        return np.stack([first, second], axis=-1)

    @cached_property
    def demands(self) -> tuple[FloatArray, FloatArray]:
        """Coefficients (1, 1, n_demands, 1, 4) and bounds (1, 1, n_demands, 1), tolerance included."""
        coefficients, bounds = self.part.demands()
        return coefficients[None, None, :, None, :], bounds[None, None, :, None] + self.part.tol

    def drawn(self, table: Table, n_queries: int, random: np.random.Generator) -> PlaneQueries:
        """Return queries with fresh places."""
        sides = [np.sort(law.draw(random, (table.shape[0], n_queries, 2), table), axis=-1) for law in self.laws]
        return replace(self, places=np.stack(sides, axis=2))

    def rows(self, block: slice) -> PlaneQueries:
        """Return the queries of a block of rows."""
        return replace(self, places=self.places[block])

    def sites(self, table: Table) -> list[Table]:
        """Return one table: the corners of all queries in turn."""
        corners = self.coordinates.reshape(-1, 2)
        rows = np.repeat(np.arange(table.shape[0]), len(corners) // table.shape[0])
        moved: dict[int, Any] = {}
        for law, places in zip(self.laws, corners.T, strict=True):
            moved |= law.axis.moved(table, rows, places)
        return [_tables.replicate(table, rows, moved)]

    def arrange(self, values: Sequence[FloatArray]) -> FloatArray:
        """Return values at the corners, (n_samples, n_queries, 4)."""
        return values[0].reshape(*self.places.shape[:2], 4)

    def labels(self, table: Table, row: int) -> tuple[Any, ...]:
        """Return both features at the corners."""
        return tuple(map(tuple, self.coordinates[row, 0].tolist()))

    def __str__(self) -> str:
        """Return the query law in words."""
        return f"rectangles with iid sides from {self.laws[0]} and {self.laws[1]}"


@dataclass(frozen=True)
class OrbitQueries(PartQueries):
    """Queries of an orbit property: the orbit of each row.

    Parameters
    ----------
    part : OrbitProperty
    n_points : int
        Points of an orbit.
    n_queries : int
        How often it is asked; the answer is the same each time.
    half_widths : tuple of float
        For an opaque property: the half-widths, increasing, at which it is calibrated.
    """

    part: OrbitProperty
    n_points: int
    n_queries: int = 1
    half_widths: tuple[float, ...] = ()

    @property
    def declared(self) -> Property:
        """The part."""
        return self.part

    @property
    def n_sites(self) -> int:
        """The points of the orbit."""
        return self.n_points

    @cached_property
    def demands(self) -> tuple[FloatArray, FloatArray]:
        """Coefficients (1, 1, n_demands, 1, n_points) and bounds (1, 1, n_demands, 1), tolerance included."""
        coefficients, bounds = self.part.demands(self.n_points)
        return coefficients[None, None, :, None, :], bounds[None, None, :, None] + self.part.tol

    def drawn(self, table: Table, n_queries: int, random: np.random.Generator) -> OrbitQueries:
        """Return the same orbits, asked another number of times."""
        return replace(self, n_queries=n_queries)

    def rows(self, block: slice) -> OrbitQueries:
        """Return the queries of a block of rows: they are the same for all rows."""
        return self

    def sites(self, table: Table) -> list[Table]:
        """Return one table for each point of the orbit."""
        points = self.part.orbit(table)
        if len(points) < self.n_points:
            points += [points[0]] * (self.n_points - len(points))
        if len(points) > self.n_points:
            raise InputError(
                f"the orbits of {self.part} have {self.n_points} points at some rows and {len(points)} at others; give "
                "transforms that lead to the same number of points from every row."
            )
        return points

    def arrange(self, values: Sequence[FloatArray]) -> FloatArray:
        """Return the values of each orbit, repeated for each query."""
        orbits = np.stack(values, axis=-1)[:, None, :]
        return np.broadcast_to(orbits, (len(orbits), self.n_queries, self.n_points))

    def labels(self, table: Table, row: int) -> tuple[Any, ...]:
        """Return the points in words."""
        return self.part.labels(self.n_points)

    @property
    def is_opaque(self) -> bool:
        """Whether there are no inequalities to compute with."""
        return self.part.is_opaque

    @property
    def levels(self) -> tuple[float, ...]:
        """The half-widths at which an opaque property is calibrated."""
        return self.half_widths

    def with_levels(self, levels: tuple[float, ...]) -> OrbitQueries:
        """Return the queries with such half-widths, if the property is opaque."""
        return replace(self, half_widths=levels) if self.is_opaque else self

    def accepted(self, values: FloatArray) -> BoolArray:
        """Return which queries are accepted, (n_samples, n_queries), from values (n_samples, n_queries, n_points)."""
        return np.broadcast_to(self.part.accepts(values[:, 0])[:, None], values.shape[:2])

    def __str__(self) -> str:
        """Return the query law in words."""
        labels = self.part.labels(self.n_points)
        if labels == ("the row itself",):
            return "the prediction at a fresh row"
        return f"the predictions at a fresh row moved to {len(labels)} points ({'; '.join(labels)})"


@dataclass(frozen=True)
class Queries:
    """Queries of a whole property: those of each of its parts, of equal numbers."""

    parts: tuple[PartQueries, ...]
    n_samples: int
    n_queries: int

    def rows(self, block: slice) -> Queries:
        """Return the queries of a block of rows."""
        return Queries(
            tuple(part.rows(block) for part in self.parts), len(range(self.n_samples)[block]), self.n_queries
        )

    def __str__(self) -> str:
        """Return the query law in words."""
        lines = [str(part) for part in self.parts if len(part.drawn_from) == 1]
        planes = [f"{part}, on the plane of a fresh row" for part in self.parts if len(part.drawn_from) > 1]
        orbits = [str(part) for part in self.parts if not part.drawn_from]
        along = ", along the line of a fresh row" if len(lines) == 1 else ", each along its line of a fresh row"
        asked = [" and ".join(lines) + along] * bool(lines) + planes + orbits
        return " and ".join(asked) + (", failed if any of them is" if len(self.parts) > 1 else "")


def draw_queries(asked: Sequence[PartQueries], table: Table, n_queries: int, random: np.random.Generator) -> Queries:
    """Draw ``n_queries`` queries for each row of a table, every one of its own.

    Parameters
    ----------
    asked : sequence of PartQueries
        One for each part of a property; its places do not matter.
    table : Table of n_samples rows
    n_queries : int
    random : numpy.random.Generator
    """
    return Queries(tuple(one.drawn(table, n_queries, random) for one in asked), table.shape[0], n_queries)
