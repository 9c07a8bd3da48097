"""Calibrating, certifying and auditing rows that lie in partitions, with the numbers that one machine would find.

Everything that is fixed before calibration needs few rows, in memory. What is asked of the others, a score or an answer for
each row, is asked where the rows are. Three things make the numbers those of one machine:

* *which rows do what* is drawn from the number of rows, as on one machine (:func:`alignconf.tables.set_aside.reference_rows`);
* *what a row is asked* depends on the rows and not on their partitions (:mod:`alignconf.queries.row_draws`), so neither does
  its score, as far as the model predicts a row the same whatever rows are next to it; for this the fingerprints of all rows
  are brought together, eight bytes for each row;
* *ranks* are of all scores together, in memory: eight bytes for each row, and eight for each further positive score.

Hence ``lambda_`` is the same, bit for bit, for any cut into partitions and any number of workers; so are counts and bounds.
Means over rows (displacement, errors) agree up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.calibration.loss_family import LossFamily, PositiveScores, Scores
from alignconf.errors import InputError
from alignconf.estimators.request import Request
from alignconf.projectors.alignment import Alignment
from alignconf.queries.row_draws import RowDraws, RowMarks, row_marks
from alignconf.tables import table as tables
from alignconf.tables.groups import Membership, read_groups
from alignconf.tables.partitioned_rows import PartitionedRows
from alignconf.tables.used_rows import N_BITS, FreshRows, Marks, UsedRows, limit, marks_of

__all__ = [
    "Survey",
    "check_partitioned",
    "draws_of",
    "fresh_rows",
    "loss_families",
    "membership_of",
    "survey_partitions",
]


@dataclass(frozen=True)
class Survey:
    """What is known of the rows of a partition before the model is asked.

    Parameters
    ----------
    n_rows, n_complete : int
        How many there are, and how many have all constrained features.
    repeats : tuple
        See :meth:`alignconf.tables.used_rows.UsedRows.repeats`.
    marks : (n_rows, 2) fingerprints
    rounded : fingerprints after each rounding, as far as they are kept
    membership : Membership of the complete rows, where there are groups
    """

    n_rows: int
    n_complete: int
    repeats: tuple[tuple[int, int, int], ...]
    marks: RowMarks
    rounded: Marks
    membership: Membership | None


def survey_partitions(
    rows: PartitionedRows,
    alignment: Alignment,
    used: UsedRows,
    *,
    groups: Any = None,
    is_grouped: bool = False,
) -> list[Survey]:
    """Return the survey of each partition, an empty survey where a partition has no rows.

    Parameters
    ----------
    rows : PartitionedRows
    alignment : Alignment
    used : UsedRows
        That rows are compared with.
    groups : what groups are read off, as for :func:`alignconf.tables.groups.read_groups`
    is_grouped : bool
        Whether there are groups.
    """
    most = limit(rows.n_rows)
    look = partial(_survey, alignment.for_workers(), used, most, (groups,) if is_grouped else None)
    nothing = np.zeros(0, dtype=np.uint64)
    none = Survey(0, 0, ((0, 0, 0),) * (len(used.marks) * N_BITS), nothing.reshape(0, 2), nothing, None)
    surveys = [none] * rows.sizes.size
    some = np.flatnonzero(rows.sizes).tolist()
    each = rows.left_out, rows.labels
    for i, survey in rows.partitions.run(look, *each, only=some, label="looking at rows", verbose=rows.verbose):
        surveys[i] = survey
    return surveys


def fresh_rows(rows: PartitionedRows, surveys: Sequence[Survey]) -> FreshRows:
    """Return the rows of all partitions, compared with used ones."""
    together = []
    for of_use in zip(*(survey.repeats for survey in surveys), strict=True):
        first = [rows.position(i, row) for i, (_, n, row) in enumerate(of_use) if n]
        together.append((sum(n for n, _, _ in of_use), sum(n for _, n, _ in of_use), first[0] if first else 0))
    return FreshRows(rows.n_rows, np.concatenate([survey.rounded for survey in surveys]), tuple(together))


def loss_families(
    rows: PartitionedRows,
    request: Request,
    alignment: Alignment,
    draws: Sequence[RowDraws],
    surveys: Sequence[Survey],
    n_queries: int,
) -> tuple[list[LossFamily], FloatArray]:
    """Return the losses of complete rows, as :meth:`alignconf.estimators.request.Request.families`, and a score of each row.

    Parameters
    ----------
    rows : PartitionedRows
    request : Request
    alignment : Alignment
    draws : (n_partitions,)
        Those of the rows of each, see :func:`draws_of`.
    surveys : (n_partitions,)
    n_queries : int
        At each row.
    """
    counts = np.array([survey.n_complete for survey in surveys])
    measure = partial(_measured, request, alignment.for_workers(), n_queries)
    starts, n_rows = np.cumsum(counts) - counts, int(counts.sum())
    first = np.empty(n_rows)
    positive_scores: list[list[tuple[FloatArray, IntArray, IntArray]]] = []
    for i, (scores, positive) in rows.run(measure, draws, only=counts > 0, label=str(alignment.tester.declared)):
        first[starts[i] : starts[i] + counts[i]] = scores
        positive_scores.append([(values, rows + starts[i], queries) for values, rows, queries in positive])
    families = [
        PositiveScores(
            n_rows,
            n_queries,
            np.concatenate([values for values, _, _ in of_family]),
            np.concatenate([rows for _, rows, _ in of_family]),
            np.concatenate([queries for _, _, queries in of_family]),
        )
        for of_family in zip(*positive_scores, strict=True)
    ]
    return list(families), first


def check_partitioned(request: Request) -> None:
    """Refuse what cannot be promised of rows in partitions.

    Raises
    ------
    InputError
    """
    if not request.loss.is_rate:
        raise InputError(
            f"loss={request.loss.name!r} needs more than one number of each row, which is not supported for rows in partitions; "
            "calibrate on rows in memory, X.sample(...).compute(), or use a rate of violations, such as the default loss, "
            "'delivered'."
        )
    if request.shift is not None:
        raise InputError(
            "shift is not supported for rows in partitions; calibrate on rows in memory, X.sample(...).compute(), or on rows "
            "from deployment, which need no shift."
        )


def membership_of(surveys: Sequence[Survey]) -> Membership | None:
    """Return the groups of the complete rows of all partitions."""
    memberships = [survey.membership for survey in surveys if survey.membership is not None]
    return Membership.joined(memberships) if memberships else None


def draws_of(surveys: Sequence[Survey], random: np.random.Generator) -> list[RowDraws]:
    """Return the draws of the rows of each partition, as if all rows were in one place."""
    together = RowDraws.of_marks(np.concatenate([survey.marks for survey in surveys]), random)
    return together.split([survey.n_rows for survey in surveys])


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
    remaining = tables.take(table, rows)
    complete = np.flatnonzero(alignment.complete(remaining))
    of_complete = membership and membership.take(rows[complete])
    rounded = marks_of(remaining)
    repeats, kept = used.repeats(rounded), rounded[rounded <= most]
    return Survey(rows.size, complete.size, repeats, row_marks(alignment.uncoded(remaining)), kept, of_complete)


def _measured(
    request: Request,
    alignment: Alignment,
    n_queries: int,
    table: Table,
    _: Any,
    draws: RowDraws,
) -> tuple[FloatArray, list[tuple[FloatArray, IntArray, IntArray]]]:
    """Return one score of each complete row and, for each family, the positive scores with their rows and queries."""
    complete = np.flatnonzero(alignment.complete(table))
    rows = tables.take(table, complete)
    families = request.families(alignment, rows, rows, draws.rows(complete), n_queries)
    scores = [family.values for family in families if isinstance(family, Scores)]
    positive = [~(values <= 0) for values in scores]
    triples = []
    for values, is_positive in zip(scores, positive, strict=True):
        row, query = np.nonzero(is_positive)
        triples.append((values[is_positive], row, query))
    return scores[0][:, 0].copy(), triples
