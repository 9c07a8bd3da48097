"""Queries put to a fitted model at rows that lie in partitions: the counts that one machine would find.

Of each row its fingerprint and the size of its worst violation come back, sixteen bytes, and of each partition its worst
queries. Which rows give the reference law and what every row is asked is drawn as on one machine
(:mod:`alignconf.estimators.partitioned_calibration`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Model, RandomState, Table
from alignconf.certify.asking import answers_of, check_some, complete_rows
from alignconf.certify.witness import N_WITNESSES, Witness, found_at
from alignconf.contract.property import Declaration, Property
from alignconf.lines.fitted_model import FittedModel, declared_features, function_of
from alignconf.properties import declare
from alignconf.queries.placement import REFERENCES, check_query_law, place_queries
from alignconf.queries.queries import PartQueries, Queries, draw_queries
from alignconf.queries.row_draws import RowDraws, RowMarks, row_marks
from alignconf.tables import table as tables
from alignconf.tables.checks import check_choice, check_model
from alignconf.tables.partitioned_rows import PartitionedRows, select_partitions
from alignconf.tables.partitions import Partitions
from alignconf.tables.random_streams import generator
from alignconf.tables.set_aside import reference_rows

__all__ = ["SpreadAnswers", "answer_partitions"]


@dataclass(frozen=True)
class SpreadAnswers:
    """What a model answered at rows in partitions.

    Parameters
    ----------
    declared : Property
    law : str
        The query law in words.
    sizes : (n_rows,)
        The largest excess of the query at each row that was asked, 0 where it is accepted.
    witnesses : tuple of Witness
        The worst, with rows counted in the whole.
    n_missing : int
        Rows that lack a constrained feature and were not asked.
    """

    declared: Property
    law: str
    sizes: FloatArray
    witnesses: tuple[Witness, ...]
    n_missing: int


def answer_partitions(
    model: Model,
    X: Any,
    properties: Declaration,
    *,
    query_law: str = "iid",
    X_reference: Table | None = None,
    reference_law: str = "marginal",
    random_state: RandomState = None,
    verbose: bool = False,
) -> SpreadAnswers:
    """Ask a fitted model one query at each row; parameters as for :func:`alignconf.check`, ``X_reference`` in memory."""
    function = function_of(check_model("model", model))
    door: FittedModel = function.fitted_model
    check_choice("reference_law", reference_law, REFERENCES)
    declared = declare(properties)
    check_query_law(declared, query_law)
    random = generator(random_state, 0)
    meta = Partitions.of(X).meta
    door.columns.check_declared(declared_features(declared), meta)
    rows = PartitionedRows.of(select_partitions(X, meta, door.columns.positions(meta)), verbose=verbose)
    if X_reference is None:
        set_apart = reference_rows(rows.n_rows, random, keep=1)
        referring, rows = rows.take(set_apart), rows.without(set_apart)
    else:
        referring = door.reference(X_reference, rows.meta)
    conditional = random if reference_law == "conditional" else None
    parts = place_queries(
        declared, referring, referring, query_law, conditional=conditional, codes=door.missing_codes(referring)
    )
    marks = [np.zeros((0, 2), dtype=np.uint64)] * rows.sizes.size
    for i, of_part in rows.run(partial(_marks, parts), label="looking at rows"):
        marks[i] = of_part
    counts = np.array([len(of_part) for of_part in marks])
    check_some(int(counts.sum()), rows.n_rows)
    door.check_is_function(referring)
    draws = RowDraws.of_marks(np.concatenate(marks), random).split(counts.tolist())
    answers = dict(rows.run(partial(_ask_partition, function, parts), draws, only=counts > 0, label=str(declared)))
    sizes = np.concatenate([answers[i][0] for i in sorted(answers)])
    witnesses = [
        replace(witness, row=rows.position(i, witness.row)) for i in sorted(answers) for witness in answers[i][1]
    ]
    witnesses.sort(key=lambda witness: -(1.0 if witness.excess is None else witness.excess))
    law = str(Queries(tuple(parts), 1, 1))
    return SpreadAnswers(declared, law, sizes, tuple(witnesses[:N_WITNESSES]), rows.n_rows - sizes.size)


def _marks(parts: Sequence[PartQueries], table: Table, _: Any) -> RowMarks:
    """Return the fingerprints of the complete rows of a partition."""
    return row_marks(tables.take(table, np.flatnonzero(complete_rows(parts, table))))


def _ask_partition(
    model: Model, parts: Sequence[PartQueries], table: Table, _: Any, draws: RowDraws
) -> tuple[FloatArray, tuple[Witness, ...]]:
    """Ask the complete rows of a partition; witnesses count all its rows."""
    numbers = np.flatnonzero(complete_rows(parts, table))
    complete = tables.take(table, numbers)
    queries = draw_queries(parts, complete, 1, draws)
    values, sizes = answers_of(model, complete, queries, n_jobs=1)
    return sizes[:, :, 0].max(axis=1), found_at(queries.parts, complete, values, sizes, numbers)
