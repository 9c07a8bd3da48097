"""The exact lines of an ensemble of symmetric trees, all of whose nodes of a level ask the same, as CatBoost's do by default.

It is an :class:`~alignconf.lines.ensemble.Ensemble` for everything but lines, which are told without walks
(:mod:`alignconf.kernels.symmetric_walk`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.kernels.symmetric_walk import Questions, Ranks, Runs, Sums, rank_values, walk_symmetric
from alignconf.lines.ensemble import Ensemble, TreeLines
from alignconf.lines.exact_lines import ExactGrids, Move, ProjectedAt
from alignconf.lines.links import LINKS
from alignconf.lines.routes import Route
from alignconf.lines.single_precision import as_compared
from alignconf.tables.predictions import Rounding

__all__ = ["SymmetricLines", "SymmetricTrees"]

#: So many lines are stored at once before they are projected: they stay near the processor.
N_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class SymmetricTrees:
    """An ensemble of symmetric trees.

    Parameters
    ----------
    ensemble : Ensemble
        The same trees, node by node.
    starts : (n_trees + 1,)
        Where the questions of each tree begin.
    columns, borders, missing_left : (n_questions,)
        Whether a value of a column exceeds a border, and whether what is missing does not.
    leaves : (n_leaves,)
        Tree after tree, as they are added; bit ``k`` of the number of a leaf in its tree is the answer to question ``k``.
    """

    ensemble: Ensemble
    starts: IntArray
    columns: IntArray
    borders: FloatArray
    missing_left: NDArray[np.bool_]
    leaves: FloatArray

    @property
    def rounding(self) -> Rounding:
        """The rounding of a prediction, the model's own or a line's."""
        return self.ensemble.rounding

    @property
    def n_features(self) -> int:
        """The number of columns of rows."""
        return self.ensemble.n_features

    @property
    def unit(self) -> float:
        """The unit roundoff of the model's own arithmetic."""
        return self.ensemble.unit

    @property
    def made_of(self) -> str:
        """Trees."""
        return self.ensemble.made_of

    def why_not(self, route: Route) -> str:
        """Return nothing: lines along every column are known."""
        return self.ensemble.why_not(route)

    def why_no_pieces(self, route: Route) -> str:
        """Return nothing: lines along every column have pieces."""
        return self.ensemble.why_no_pieces(route)

    def predict(self, table: Table) -> FloatArray:
        """Return predictions, (n_samples,)."""
        return self.ensemble.predict(table)

    def ends(self, route: Route) -> FloatArray:
        """Return the largest numbers of each piece but the last along the only column of a route, increasing."""
        return self.ensemble.ends(route)

    def line(self, move: Move) -> SymmetricLines:
        """Return the lines of rows as they move."""
        ensemble_lines = self.ensemble.line(move)
        is_moved = np.isin(self.columns, list(move.values))
        masks = np.zeros((self.starts.size - 1, move.n_places), np.intp)
        tree_of = np.repeat(np.arange(self.starts.size - 1), np.diff(self.starts))
        for column, values in ((j, move.values[j]) for j in move.values if j in self._of_column):
            ranks = self.ranks(column, as_compared(np.asarray(values, dtype=np.float64), is_float32=True))
            for question in np.flatnonzero(self.columns == column):
                masks[tree_of[question]] += (ranks > self._border_ranks[question]) * int(self._bits[question])
        is_start = np.insert(masks[:, 1:] != masks[:, :-1], 0, True, axis=1)
        tree, place = np.nonzero(is_start)
        runs = _starts(np.bincount(tree)), place, self._first_leaves[tree] + masks[tree, place]
        stays = ~is_moved
        questions = (
            _starts(np.bincount(tree_of[stays], minlength=self.starts.size - 1)),
            self.columns[stays],
            self._border_ranks[stays],
            self._bits[stays],
        )
        return SymmetricLines(self, ensemble_lines, questions, runs)

    def plane(self, first: Move, second: Move) -> ExactGrids:
        """Return the grids of rows as they move along two features."""
        return self.ensemble.plane(first, second)

    def ranks(self, column: int, values: FloatArray) -> Ranks:
        """Return how many borders of a column values exceed, (n_values,)."""
        borders, n_borders, missing_left = self._of_column[column]
        ranks = np.empty(values.size, np.uint16)
        rank_values(borders, np.ascontiguousarray(values), 0 if missing_left else n_borders, ranks)
        return ranks

    @cached_property
    def _of_column(self) -> dict[int, tuple[FloatArray, int, bool]]:
        """The borders of each column that is asked about, as kernels take them, their number, and where what is missing goes."""
        of_column = {}
        for column in np.unique(self.columns):
            borders = np.unique(self.borders[self.columns == column])
            padded = np.full(1 << int(borders.size).bit_length(), np.nan)
            padded[: borders.size] = borders
            of_column[int(column)] = padded, borders.size, bool(self.missing_left[self.columns == column][0])
        return of_column

    @cached_property
    def _border_ranks(self) -> Ranks:
        ranks = np.empty(self.columns.size, np.uint16)
        for column, (borders, n_borders, _) in self._of_column.items():
            ranks[self.columns == column] = np.searchsorted(borders[:n_borders], self.borders[self.columns == column])
        return ranks

    @cached_property
    def _bits(self) -> Ranks:
        position = np.arange(self.columns.size) - np.repeat(self.starts[:-1], np.diff(self.starts))
        return (1 << position).astype(np.uint16)

    @cached_property
    def _first_leaves(self) -> IntArray:
        return _starts(1 << np.diff(self.starts))[:-1]


@dataclass(frozen=True, eq=False)
class SymmetricLines:
    """Lines of symmetric trees as rows move.

    Parameters
    ----------
    trees : SymmetricTrees
    walked : TreeLines
        The same lines, as they would be walked.
    questions : tuple
        Those that the move does not touch, as the kernel takes them.
    runs : tuple
        Of each tree.
    """

    trees: SymmetricTrees
    walked: TreeLines
    questions: Questions
    runs: Runs

    @property
    def model(self) -> Ensemble:
        """The trees, node by node."""
        return self.walked.model

    def values(self, table: Any) -> FloatArray:
        """Return the line of each row, (n_samples, n_places)."""
        return self._values(self.model.rows(table))

    def _values(self, rows: FloatArray) -> FloatArray:
        ranks = np.zeros((rows.shape[1], len(rows)), np.uint16)
        for column in self._columns:
            ranks[column] = self.trees.ranks(column, rows[:, column])
        lines = np.empty((len(rows), self.walked.n_places))
        walk_symmetric(self.questions, self.runs, self._sums, ranks, lines)
        return lines

    def project(
        self,
        table: Any,
        pieces: IntArray,
        weights: FloatArray | None,
        *,
        increasing: bool = True,
        predicted: FloatArray | None = None,
    ) -> ProjectedAt:
        """Project the line of each row, and look both up; see :meth:`ExactLine.project`."""
        rows, projected = self.model.rows(table), ProjectedAt.empty(pieces)
        for start in range(0, len(rows), N_AT_ONCE):
            some = slice(start, start + N_AT_ONCE)
            of_some = self.walked.projected(
                self._values(rows[some]),
                pieces[some],
                weights if weights is None or weights.ndim == 1 else weights[some],
                increasing=increasing,
                predicted=None if predicted is None else predicted[some],
            )
            for whole, part in zip(projected.lookups, of_some.lookups, strict=True):
                whole[some] = part
        return projected

    @cached_property
    def _columns(self) -> list[int]:
        """The columns that are asked about and do not move."""
        return [int(column) for column in np.unique(self.questions[1])]

    @cached_property
    def _sums(self) -> Sums:
        model = self.model
        return self.trees.leaves, model.base, LINKS.index(model.link), 2 * model.sum_error


def _starts(sizes: NDArray[Any]) -> IntArray:
    """Return where parts of some sizes begin, and where the last one ends."""
    return np.append(0, np.cumsum(sizes)).astype(np.intp)
