"""Rows that calibrate or certify, looked at once before the model is asked, and the stages that ask them, wherever they lie.

Everything that is fixed before calibration needs few rows, in memory. What is asked of the others, a score or an answer for
each row, is asked where the rows are (:class:`alignconf.tables.rows.Rows`). Three things make the numbers of many partitions
those of one table:

* *which rows do what* is drawn from the number of rows (:func:`alignconf.tables.random_streams.reference_rows`);
* *what a row is asked* depends on the rows and not on their partitions (:mod:`alignconf.queries.row_draws`), so neither does
  its score, as far as the model predicts a row the same whatever rows are next to it; for this the fingerprints of all rows
  are brought together, eight bytes for each row;
* *ranks* are of all scores together, in memory: eight bytes for each row, and eight for each further positive score.

Hence ``lambda_`` is the same, bit for bit, for any cut into partitions and any number of workers; so are counts and bounds.
Means over rows (displacement, errors) agree up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.calibration.loss_family import LossFamily, PositiveScores, Scores
from alignconf.projectors.alignment import Alignment
from alignconf.queries.row_draws import RowDraws, RowMarks, row_marks
from alignconf.tables import table as tables
from alignconf.tables.digests import digest_of_marks
from alignconf.tables.groups import Membership, read_groups
from alignconf.tables.rows import Rows
from alignconf.tables.used_rows import N_BITS, FreshRows, Marks, UsedRows, limit, marks_of

__all__ = ["FamiliesOf", "Survey", "SurveyedRows"]

#: From an alignment, askable rows, reference rows, draws and a number of queries to the losses of the rows.
FamiliesOf = Callable[[Alignment, Table, Table, RowDraws, int], list[LossFamily]]


@dataclass(frozen=True)
class Survey:
    """What is known of the rows of a part before the model is asked.

    Parameters
    ----------
    n_rows, n_askable : int
        How many there are, and how many can be asked about some part.
    repeats : tuple
        See :meth:`alignconf.tables.used_rows.UsedRows.repeats`.
    marks : (n_rows, 2) fingerprints
    rounded : fingerprints after each rounding, as far as they are kept
    membership : Membership of the rows that can be asked, where there are groups
    """

    n_rows: int
    n_askable: int
    repeats: tuple[tuple[int, int, int], ...]
    marks: RowMarks
    rounded: Marks
    membership: Membership | None


@dataclass(frozen=True, eq=False)
class SurveyedRows:
    """Rows in parts with the survey of each.

    Parameters
    ----------
    rows : Rows
    alignment : Alignment
        As the parts get it: with one job and no bar where they are elsewhere.
    surveys : tuple of Survey
        One for each part, an empty one where a part has no rows.
    """

    rows: Rows
    alignment: Alignment
    surveys: tuple[Survey, ...]

    @classmethod
    def of(
        cls, rows: Rows, alignment: Alignment, used: UsedRows, *, groups: Any = None, is_grouped: bool = False
    ) -> SurveyedRows:
        """Return the rows, looked at.

        Parameters
        ----------
        rows : Rows
        alignment : Alignment
        used : UsedRows
            That rows are compared with.
        groups : what groups are read off, as for :func:`alignconf.tables.groups.read_groups`
        is_grouped : bool
            Whether there are groups.
        """
        alignment = alignment.for_workers() if rows.is_spread else alignment
        look = partial(_survey, alignment, used, limit(rows.n_rows), (groups,) if is_grouped else None)
        nothing = np.zeros(0, dtype=np.uint64)
        none = Survey(0, 0, ((0, 0, 0),) * (len(used.marks) * N_BITS), nothing.reshape(0, 2), nothing, None)
        surveys = [none] * rows.sizes.size
        some, each = np.flatnonzero(rows.sizes).tolist(), (rows.left_out, rows.labels)
        for i, survey in rows.parts.run(look, *each, only=some, label="looking at rows", verbose=rows.verbose):
            surveys[i] = survey
        return cls(rows, alignment, tuple(surveys))

    @property
    def counts(self) -> IntArray:
        """How many askable rows each part has, (n_parts,)."""
        return np.array([survey.n_askable for survey in self.surveys], dtype=np.intp)

    @property
    def n_askable(self) -> int:
        """How many rows can be asked about some part."""
        return int(self.counts.sum())

    @property
    def membership(self) -> Membership | None:
        """The groups of the askable rows; None where there are no groups."""
        memberships = [survey.membership for survey in self.surveys if survey.membership is not None]
        if len(memberships) == 1:
            return memberships[0]
        return Membership.joined(memberships) if memberships else None

    @property
    def digest(self) -> str:
        """The digest of all rows."""
        return digest_of_marks(np.concatenate([survey.marks[:, 1] for survey in self.surveys]))

    def fresh(self) -> FreshRows:
        """Return all rows as they compare with used ones."""
        together = []
        for of_use in zip(*(survey.repeats for survey in self.surveys), strict=True):
            first = [self.rows.position(i, row) for i, (_, n, row) in enumerate(of_use) if n]
            together.append((sum(n for n, _, _ in of_use), sum(n for _, n, _ in of_use), first[0] if first else 0))
        marks = np.concatenate([survey.rounded for survey in self.surveys])
        return FreshRows(self.rows.n_rows, marks, tuple(together))

    def draws(self, random: np.random.Generator) -> list[RowDraws]:
        """Return the draws of the rows of each part, as if all rows were in one place."""
        together = RowDraws.of_marks(np.concatenate([survey.marks for survey in self.surveys]), random)
        return together.split([survey.n_rows for survey in self.surveys])

    def losses(
        self, families_of: FamiliesOf, reference: Table, draws: list[RowDraws], n_queries: int
    ) -> tuple[list[LossFamily], FloatArray]:
        """Return the loss families of the askable rows, and one score of each row where losses are scores.

        Parameters
        ----------
        families_of : callable
        reference : rows that never calibrate
        draws : (n_parts,)
            Those of the rows of each.
        n_queries : int
            At each row.
        """
        if self.rows.is_spread:
            # Rates need no reference rows, and nothing else is counted elsewhere.
            reference = tables.take(reference, np.arange(0))
        work = partial(_measured, families_of, self.alignment, reference, n_queries, self.rows.is_spread)
        measured = self.rows.run(work, draws, only=self.counts > 0, label=str(self.alignment.tester.declared))
        families = [_joined(of_parts) for of_parts in zip(*(families for families, _ in measured), strict=True)]
        return families, np.concatenate([scores for _, scores in measured])

    def of_askable(self, function: Callable[[Table], FloatArray]) -> FloatArray:
        """Return a number for each askable row, (n_askable,)."""
        return np.concatenate(self.rows.run(partial(_of_askable, function, self.alignment), only=self.counts > 0))


def _survey(
    alignment: Alignment,
    used: UsedRows,
    most: np.uint64,
    groups: tuple[Any] | None,
    table: Table,
    left_out: IntArray,
    labels: Any,
) -> Survey:
    # Groups are named by all rows, also those that are left out, as on one machine.
    membership = None if groups is None else read_groups(groups[0], table, labels)
    rows = np.delete(np.arange(table.shape[0]), left_out)
    remaining = tables.take(table, rows) if left_out.size else table
    askable = np.flatnonzero(alignment.askable(remaining))
    of_askable = membership and membership.take(rows[askable])
    rounded = marks_of(remaining)
    repeats, kept = used.repeats(rounded), rounded[rounded <= most]
    return Survey(rows.size, askable.size, repeats, row_marks(alignment.uncoded(remaining)), kept, of_askable)


def _measured(
    families_of: FamiliesOf,
    alignment: Alignment,
    reference: Table,
    n_queries: int,
    is_spread: bool,
    table: Table,
    draws: RowDraws,
) -> tuple[list[LossFamily], FloatArray]:
    """Return the losses of askable rows, positive scores alone where they are sent, and one score of each row."""
    askable = np.flatnonzero(alignment.askable(table))
    families = families_of(alignment, tables.take(table, askable), reference, draws.rows(askable), n_queries)
    first = families[0]
    scores = first.values[:, 0].copy() if isinstance(first, Scores) else np.zeros(0)
    if is_spread:
        families = [PositiveScores.of(family.values) for family in families if isinstance(family, Scores)]
    return families, scores


def _joined(of_parts: tuple[LossFamily, ...]) -> LossFamily:
    """Return a family of the rows of all parts."""
    if len(of_parts) == 1:
        return of_parts[0]
    return PositiveScores.joined([family for family in of_parts if isinstance(family, PositiveScores)])


def _of_askable(function: Callable[[Table], FloatArray], alignment: Alignment, table: Table) -> FloatArray:
    return function(tables.take(table, np.flatnonzero(alignment.askable(table))))
