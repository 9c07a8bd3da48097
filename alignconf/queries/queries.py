"""What a tester asks at each row: a few points, and what is demanded of the values there.

A **query** of a line property is a few places along the feature's axis, the other features being the row's own
(:mod:`alignconf.queries.placement` tells which places); one of a plane property is a rectangle
(:mod:`alignconf.queries.on_plane`); one of an orbit property is the row's orbit, which leaves nothing to draw
(:mod:`alignconf.queries.on_orbit`). A query compares different places: they are drawn given that they differ. Every row has its
own private draw (:mod:`alignconf.queries.row_draws`). A query of a conjunction is one query of each part, and is rejected if
any of them is. Queries are the only place where a tester meets randomness.

A :class:`Tester` holds the declared property and the queries of each part; it knows neither the model nor its projection, and
neither needs it to answer at a row. The answers to a query are some **excess** away from being accepted, where differences of
rounding size count as none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray, Table
from alignconf.contract.property import Property
from alignconf.kernels.sums import inner
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.queries.row_draws import RowDraws

__all__ = [
    "PartQueries",
    "Queries",
    "Tester",
    "askable_parts",
    "draw_queries",
    "place_queries_at",
]

#: When a query of several parts counts as failed, in words.
OF_SEVERAL = ", of those whose features the row has, failed if any of them is"

#: What becomes of rows that are asked about other parts only, in words.
PASSED = ", passed by rows that lack the feature and have another constrained one"


class PartQueries(ABC):
    """Queries of one part of a property, ``n_queries`` at each of ``n_samples`` rows."""

    #: The query law along lines, as users call it; empty where nothing is asked along a line.
    tester: ClassVar[str] = ""

    @property
    @abstractmethod
    def declared(self) -> Property:
        """The part."""

    @property
    @abstractmethod
    def question(self) -> str:
        """What a query is, in a few words of everyday language; ``str`` names its law."""

    def question_at(self, row: str) -> str:
        """Return what is asked at a row, which words such as "a fresh row" name."""
        return f"{self.question}, put into {row}"

    @property
    @abstractmethod
    def n_sites(self) -> int:
        """The number of points at which values are needed for a row."""

    @property
    @abstractmethod
    def demands(self) -> tuple[FloatArray, FloatArray]:
        """The coefficients (..., n_demands, n_alternatives, n_arguments) and bounds, tolerance included.

        The leading dimensions are, or broadcast to, (n_samples, n_queries).
        """

    @property
    def arguments(self) -> IntArray | None:
        """The points that each demand is about, (n_demands, n_arguments); None if all demands are about all points."""
        return None

    def gathered(self, values: FloatArray) -> FloatArray:
        """Return values (n_samples, n_queries, n_points) demand by demand: (..., n_demands or 1, 1, n_arguments)."""
        if self.arguments is None:
            return values[:, :, None, None, :]
        return values[:, :, self.arguments][:, :, :, None, :]

    @property
    def coefficients_on_points(self) -> FloatArray:
        """The coefficients on all values of a query, (..., n_demands, n_alternatives, n_points)."""
        coefficients, _ = self.demands
        if self.arguments is None:
            return coefficients
        on_points = np.zeros((*coefficients.shape[:-1], int(self.arguments.max()) + 1))
        where = np.broadcast_to(self.arguments[:, None, :], coefficients.shape)
        np.put_along_axis(on_points, where, coefficients, axis=-1)
        return on_points

    @property
    def share_points(self) -> bool:
        """Whether demands of a query are about the same points, so that they cannot be looked at one by one."""
        return self.arguments is not None

    @abstractmethod
    def rows(self, block: slice | IntArray) -> PartQueries:
        """Return the queries of a block of rows, or of rows given by their positions."""

    @abstractmethod
    def sites(self, table: Table) -> list[Table]:
        """Return the points at which values are needed, as tables of rows made from the rows asked."""

    @abstractmethod
    def arrange(self, values: Sequence[FloatArray]) -> FloatArray:
        """Return values at the tables of :meth:`sites` in the form (n_samples, n_queries, n_points)."""

    def askable(self, table: Table) -> BoolArray:
        """Return which rows have a place on all axes along which the part is asked, (n_samples,)."""
        present = np.ones(table.shape[0], dtype=bool)
        for law in self.drawn_from:
            present &= ~np.isnan(law.axis.places(table))
        return present

    @abstractmethod
    def labels(self, table: Table, row: int, query: int = 0) -> tuple[Any, ...]:
        """Return what the points of a row's query are, as users see them; the table holds all rows asked."""

    @property
    def drawn_from(self) -> tuple[ReferenceLaw, ...]:
        """The reference laws of the axes along which places lie; empty if nothing is drawn."""
        return ()

    @property
    def is_on_lines(self) -> bool:
        """Whether all points are places on lines through the row."""
        return bool(self.drawn_from)

    @property
    def coordinates(self) -> FloatArray:
        """The places along each of these axes, (n_samples, n_queries, n_points, n_axes)."""
        raise TypeError(f"{self.declared} draws no places")

    def of_outputs(self, values: FloatArray) -> FloatArray:
        """Return the values that queries are about from those at their points, which are the same for one output."""
        return values

    @property
    def spread(self) -> FloatArray | None:
        """How far apart the places of each query are, (n_samples, n_queries), an area for rectangles; None without places."""
        return None

    @property
    def smallest_gap(self) -> FloatArray | None:
        """The smallest gap between the places of each query, (n_samples, n_queries); None where there is none."""
        return self.spread

    def at(self, places: FloatArray) -> PartQueries:
        """Return the queries at given places, (n_samples, n_queries, n_uniforms), law by law; sorted along each.

        Raises
        ------
        TypeError
            If the places of the queries are not free.
        """
        raise TypeError(f"{self.declared} is not asked at places of one's choice")

    @property
    def n_uniforms(self) -> int:
        """The number of uniform numbers that choose a query; 0 where nothing is drawn."""
        return 0

    @property
    def least_coincidence(self) -> float:
        """The least probability with which independent draws compare a place with itself; such draws are left out."""
        return 0.0

    @abstractmethod
    def placed(self, table: Table, uniforms: FloatArray) -> PartQueries:
        """Return queries of the same part at the rows of a table, chosen by uniform numbers.

        Independent uniform numbers give queries exactly from the law; equal ones at equal rows give equal queries.

        Parameters
        ----------
        table : Table of n_samples rows
        uniforms : (n_samples, n_queries, n_uniforms) in [0, 1)
        """

    @property
    def is_opaque(self) -> bool:
        """Whether the property only answers yes or no, without inequalities: see :meth:`accepted`."""
        return False

    @property
    def levels(self) -> tuple[float, ...]:
        """The half-widths, increasing, at which an opaque property is calibrated; empty for others."""
        return ()

    def with_levels(self, levels: tuple[float, ...]) -> PartQueries:
        """Return the queries with these half-widths, if they are of an opaque property."""
        return self

    def drawn_along(self, laws: Sequence[ReferenceLaw]) -> PartQueries:
        """Return the queries with the law among ``laws`` that has their axis in place of their own, if some law has."""
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
        return inner(coefficients, self.gathered(values)) - bounds

    def points_of_worst(self, values: FloatArray, query: int = 0) -> IntArray:
        """Return the points of the most violated demand of a query, given values (n_samples, n_queries, n_points).

        The query is of the first row; all points are returned where every demand is about all points.
        """
        if self.arguments is None:
            return np.arange(values.shape[-1])
        worst: IntArray = self.arguments[self.excess(values)[0, query].min(axis=-1).argmax()]
        order = np.argsort(self.coordinates[0, query, worst, 0])
        return np.asarray(worst[order])

    def located(self, numbers: IntArray) -> tuple[IntArray, int | None]:
        """Return at which points the values of one demand are, and of which output; None for a model with one."""
        return numbers, None

    @property
    def output_labels(self) -> tuple[Any, ...]:
        """The labels of the outputs that :meth:`located` numbers."""
        return ()

    @property
    def n_outputs(self) -> int:
        """The number of outputs at each point that a query is about."""
        return 1

    def accepted(self, values: FloatArray) -> BoolArray:
        """Return which queries an opaque property accepts, from values (n_samples, n_queries, n_points)."""
        raise TypeError(f"{self.declared} has inequalities")


@dataclass(frozen=True)
class Queries:
    """Queries of a whole property: equally many of each of its parts."""

    parts: tuple[PartQueries, ...]
    n_samples: int
    n_queries: int

    def rows(self, block: slice | IntArray) -> Queries:
        """Return the queries of a block of rows, or of rows given by their positions."""
        n_samples = np.arange(self.n_samples)[block].size
        return Queries(tuple(part.rows(block) for part in self.parts), n_samples, self.n_queries)

    def __str__(self) -> str:
        """Return the query law in words."""
        lines = [str(part) for part in self.parts if len(part.drawn_from) == 1]
        planes = [f"{part}, on the plane of a fresh row" for part in self.parts if len(part.drawn_from) > 1]
        orbits = [str(part) for part in self.parts if not part.drawn_from]
        along = ", along the line of a fresh row" if len(lines) == 1 else ", each along its line of a fresh row"
        phrases = [" and ".join(lines) + along] * bool(lines) + planes + orbits
        return " and ".join(phrases) + (OF_SEVERAL if len(self.parts) > 1 else "")


@dataclass(frozen=True)
class Tester:
    """What is asked of a function.

    Parameters
    ----------
    declared : Property
    parts : tuple of PartQueries
        The queries of each part; their places are drawn afresh each time.
    subject : str
        The quantity of the model that is asked about, where this is not the prediction, e.g. ``the probability of class 'yes'``.
    """

    declared: Property
    parts: tuple[PartQueries, ...]
    subject: str = ""

    @property
    def is_opaque(self) -> bool:
        """Whether some part only says yes or no."""
        return any(part.is_opaque for part in self.parts)

    @property
    def laws(self) -> tuple[ReferenceLaw, ...]:
        """The reference laws that queries are drawn from, part by part."""
        return tuple(law for part in self.parts for law in part.drawn_from)

    @property
    def output_labels(self) -> tuple[Any, ...]:
        """The labels of the outputs of the model; none if it has one."""
        return next((part.output_labels for part in self.parts if part.output_labels), ())

    @property
    def words(self) -> str:
        """The property in words, with the subject that it is about."""
        return f"{self.declared}, for {self.subject}" if self.subject else str(self.declared)

    def askable(self, table: Table) -> BoolArray:
        """Return about which parts each row can be asked; see :func:`askable_parts`."""
        return askable_parts(self.parts, table)

    def law(self, positions: Sequence[int]) -> str:
        """Return the law of the queries of some parts, with the subject that they are about, in words."""
        law = str(Queries(tuple(self.parts[i] for i in positions), 1, 1))
        if len(positions) < len(self.parts):
            law += PASSED
        return f"{law}, about {self.subject}" if self.subject else law

    def draw(self, table: Table, n_queries: int, draws: RowDraws) -> Queries:
        """Draw queries at rows; see :func:`alignconf.queries.queries.draw_queries`."""
        return draw_queries(self.parts, table, n_queries, draws)

    def drawn_along(self, laws: Sequence[ReferenceLaw]) -> Tester:
        """Return the tester whose queries are drawn from the laws among ``laws`` that have their axes."""
        return replace(self, parts=tuple(part.drawn_along(laws) for part in self.parts))

    def with_levels(self, levels: tuple[float, ...]) -> Tester:
        """Return the tester with the half-widths at which opaque parts are calibrated."""
        return replace(self, parts=tuple(part.with_levels(levels) for part in self.parts))

    def rounded_up(self, scores: FloatArray) -> FloatArray:
        """Return scores rounded up to the half-widths at which opaque parts are calibrated, if a part is opaque."""
        for part in self.parts:
            if part.is_opaque:
                levels = np.array([0.0, *part.levels, np.inf])
                return levels[np.searchsorted(levels, scores)]
        return scores


def askable_parts(parts: Sequence[PartQueries], table: Table) -> BoolArray:
    """Return about which parts each row can be asked, (n_samples, n_parts): those whose features the row has.

    Parameters
    ----------
    parts : sequence of PartQueries
        One for each part of a property.
    table : Table of n_samples rows
    """
    return np.stack([part.askable(table) for part in parts], axis=1)


def draw_queries(parts: Sequence[PartQueries], table: Table, n_queries: int, draws: RowDraws) -> Queries:
    """Draw ``n_queries`` queries for each row of a table, from the row's own random numbers.

    Parameters
    ----------
    parts : sequence of PartQueries
        One for each part of a property; its places do not matter.
    table : Table of n_samples rows
    n_queries : int
    draws : RowDraws of the rows
    """
    return place_queries_at(parts, table, draws.uniforms(n_queries, sum(part.n_uniforms for part in parts)))


def place_queries_at(parts: Sequence[PartQueries], table: Table, uniforms: FloatArray) -> Queries:
    """Return the queries that uniform numbers choose, those of each part by the part's own numbers.

    Parameters
    ----------
    parts : sequence of PartQueries
    table : Table of n_samples rows
    uniforms : (n_samples, n_queries, n_uniforms) in [0, 1)
        As many as all parts together need.
    """
    ends = np.cumsum([part.n_uniforms for part in parts])
    of_parts = np.split(uniforms, ends[:-1], axis=-1)
    placed = tuple(part.placed(table, of_part) for part, of_part in zip(parts, of_parts, strict=True))
    return Queries(placed, table.shape[0], uniforms.shape[1])
