"""What a tester asks at each row: a few points, and what is demanded of the values there.

A **query** of a line property is ``n_points`` places along the feature's axis, drawn independently from the reference law
and sorted; the other features are the row's own. Every row has its own private draw. A query of an orbit property is the
row's orbit, which leaves nothing to draw. A query of a conjunction is one query of each part, and is rejected if any of
them is. This module is the only place where queries meet randomness.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from alignconf import _tables
from alignconf._typing import BoolArray, FloatArray, Table
from alignconf.contract import LineProperty, OrbitProperty, Property
from alignconf.errors import InputError
from alignconf.reference import ReferenceLaw

__all__ = ["LineQueries", "OrbitQueries", "PartQueries", "Queries", "draw_queries"]


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
    def drawn_from(self) -> ReferenceLaw | None:
        """The reference law that the queries are drawn from; None if nothing is drawn."""
        return None

    @property
    def is_opaque(self) -> bool:
        """Whether there are no inequalities to compute with, only an answer: see :meth:`accepted`."""
        return False

    @property
    def levels(self) -> tuple[float, ...]:
        """For opaque properties: the half-widths, increasing, at which they are calibrated."""
        return ()

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
    places: FloatArray

    @property
    def declared(self) -> Property:
        """The part."""
        return self.part

    @property
    def drawn_from(self) -> ReferenceLaw:
        """The reference law."""
        return self.law

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
        drawn = [str(part) for part in self.parts if part.drawn_from is not None]
        others = [str(part) for part in self.parts if part.drawn_from is None]
        along = ", along the line of a fresh row" if len(drawn) == 1 else ", each along its line of a fresh row"
        asked = [" and ".join(drawn) + along] * bool(drawn) + others
        return " and ".join(asked) + (", failed if any of them is" if len(self.parts) > 1 else "")


def draw_queries(
    lines: Sequence[LineProperty],
    laws: Sequence[ReferenceLaw],
    n_samples: int,
    n_queries: int,
    random: np.random.Generator,
    orbits: Sequence[OrbitQueries] = (),
) -> Queries:
    """Draw ``n_queries`` queries for each of ``n_samples`` rows, every one of its own.

    Parameters
    ----------
    lines, laws : sequences of equal length
        The parts that are about lines and the reference law of each one's feature.
    n_samples, n_queries : int
    random : numpy.random.Generator
    orbits : sequence of OrbitQueries
        For the parts that are about orbits; only the number of queries is changed.
    """
    drawn: list[PartQueries] = [
        LineQueries(part, law, np.sort(law.draw(random, (n_samples, n_queries, part.n_points)), axis=-1))
        for part, law in zip(lines, laws, strict=True)
    ]
    drawn += [replace(one, n_queries=n_queries) for one in orbits]
    return Queries(tuple(drawn), n_samples, n_queries)
