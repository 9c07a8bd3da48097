"""The tester of a property: what is asked of a function at a row, and in which words.

A :class:`Tester` holds the declared property and the queries of each of its parts. It draws queries at rows and says their law;
it knows neither the model nor its projection, and neither needs it to answer at a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf.contract.property import Property
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.queries.queries import PartQueries, Queries, draw_queries
from alignconf.queries.row_draws import RowDraws

__all__ = ["Tester"]


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
    def words(self) -> str:
        """The property in words, with the subject that it is about."""
        return f"{self.declared}, for {self.subject}" if self.subject else str(self.declared)

    def law(self, positions: Sequence[int]) -> str:
        """Return the law of the queries of some parts, with the subject that they are about, in words."""
        queries = Queries(tuple(self.parts[i] for i in positions), 1, 1)
        return f"{queries}, about {self.subject}" if self.subject else str(queries)

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
