"""What a tester asks: a few points on the line of each row, drawn from the reference law.

A **query** of a property at a row is ``n_points`` places along the feature's axis, drawn independently from the
reference law and sorted; the other features are the row's own. Every row has its own private draw. A query of a
conjunction is one query of each part, and is rejected if any of them is. This module is the only place where queries
meet randomness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from alignconf._typing import FloatArray
from alignconf.contract import LineProperty
from alignconf.reference import ReferenceLaw

__all__ = ["LineQueries", "Queries", "draw_queries"]


@dataclass(frozen=True)
class LineQueries:
    """Queries of one part of a property.

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

    @cached_property
    def demands(self) -> tuple[FloatArray, FloatArray]:
        """Coefficients (n_samples, n_queries, n_demands, n_alternatives, n_points) and bounds, tolerance included."""
        coefficients, bounds = self.part.demands(self.places)
        return coefficients, bounds + self.part.tol

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

    def __str__(self) -> str:
        """Return the query law in words."""
        points = {1: "points", 2: "pairs", 3: "triples"}.get(self.part.n_points, f"{self.part.n_points}-tuples")
        return f"iid {points} from {self.law}"


@dataclass(frozen=True)
class Queries:
    """Queries of a whole property: one :class:`LineQueries` for each part, of equal numbers."""

    lines: tuple[LineQueries, ...]
    n_samples: int
    n_queries: int

    def rows(self, block: slice) -> Queries:
        """Return the queries of a block of rows."""
        lines = tuple(LineQueries(line.part, line.law, line.places[block]) for line in self.lines)
        return Queries(lines, len(lines[0].places), self.n_queries)

    def __str__(self) -> str:
        """Return the query law in words."""
        asked = " and ".join(map(str, self.lines))
        if len(self.lines) == 1:
            return f"{asked}, along the line of a fresh row"
        return f"{asked}, each along its line of a fresh row, failed if any of them is"


def draw_queries(
    parts: Sequence[LineProperty],
    laws: Sequence[ReferenceLaw],
    n_samples: int,
    n_queries: int,
    random: np.random.Generator,
) -> Queries:
    """Draw ``n_queries`` queries for each of ``n_samples`` rows, every one of its own.

    Parameters
    ----------
    parts, laws : sequences of equal length
        The parts of a property and the reference law of each part's feature.
    n_samples, n_queries : int
    random : numpy.random.Generator
    """
    lines = tuple(
        LineQueries(part, law, np.sort(law.draw(random, (n_samples, n_queries, part.n_points)), axis=-1))
        for part, law in zip(parts, laws, strict=True)
    )
    return Queries(lines, n_samples, n_queries)
