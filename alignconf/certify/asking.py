"""Queries put to a fitted model, with its answers: what audits count and pictures show.

Every row that has a place on its lines is asked ``n_queries`` fresh queries of each part of the property, drawn from reference
laws that are read off rows which are not asked themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray, Model, RandomState, Table
from alignconf.contract.property import Declaration, Property
from alignconf.errors import InputError
from alignconf.lines.fitted_model import FittedModel, function_of
from alignconf.properties import declare
from alignconf.queries.placement import REFERENCES, check_query_law, place_queries
from alignconf.queries.queries import PartQueries, Queries, draw_queries
from alignconf.queries.queries import excess as excess_of
from alignconf.queries.row_draws import RowDraws
from alignconf.tables import table as tables
from alignconf.tables.blocks import over_blocks
from alignconf.tables.checks import check_choice, check_model
from alignconf.tables.predictions import predictions
from alignconf.tables.random_streams import generator
from alignconf.tables.set_aside import set_aside

__all__ = ["Answered", "answer_queries", "answers_of", "check_some", "complete_rows"]


@dataclass(frozen=True)
class Answered:
    """Queries of a property with a model's answers.

    Parameters
    ----------
    function : Model
        What was asked: the model, or what is made from it.
    declared : Property
    table : Table of n_samples rows
        Those that were asked.
    numbers : (n_samples,)
        Their positions in the users' table.
    n_missing : int
        Rows that lack a constrained feature and were not asked.
    queries : Queries
    values : tuple of (n_samples, n_queries, n_points)
        For each part, the model's predictions at its points.
    sizes : (n_samples, n_parts, n_queries)
        How far each query is from being accepted, 0 if it is.
    """

    function: Model
    declared: Property
    table: Table
    numbers: IntArray
    n_missing: int
    queries: Queries
    values: tuple[FloatArray, ...]
    sizes: FloatArray


def answer_queries(
    model: Model,
    X: Table,
    properties: Declaration,
    *,
    n_queries: int = 1,
    query_law: str = "iid",
    X_reference: Table | None = None,
    reference_law: str = "marginal",
    random_state: RandomState = None,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> Answered:
    """Ask a fitted model; parameters as for :func:`alignconf.check`, with ``n_queries`` of each part at each row."""
    function = function_of(check_model("model", model))
    door: FittedModel = function.fitted_model
    check_choice("reference_law", reference_law, REFERENCES)
    declared = declare(properties)
    table = door.rows(X, declared)
    check_query_law(declared, query_law)
    random = generator(random_state, 0)
    rows = np.arange(table.shape[0])
    if X_reference is None:
        rows, reference_rows = set_aside(rows.size, random, keep=1)
        referring = tables.take(table, reference_rows)
    else:
        referring = door.reference(X_reference, table)
    conditional = random if reference_law == "conditional" else None
    parts = place_queries(
        declared, table, referring, query_law, conditional=conditional, codes=door.missing_codes(table)
    )
    numbers = rows[complete_rows(parts, table)[rows]]
    check_some(numbers.size, rows.size)
    door.check_is_function(table)
    complete = tables.take(table, numbers)
    queries = draw_queries(parts, complete, n_queries, RowDraws.of(complete, random))
    values, sizes = answers_of(function, complete, queries, n_jobs=n_jobs, verbose=verbose)
    return Answered(
        function=function,
        declared=declared,
        table=complete,
        numbers=numbers,
        n_missing=int(rows.size - numbers.size),
        queries=queries,
        values=values,
        sizes=sizes,
    )


def complete_rows(parts: Sequence[PartQueries], table: Table) -> BoolArray:
    """Return which rows have all constrained features, (n_samples,)."""
    complete = np.ones(table.shape[0], dtype=bool)
    for axis in dict.fromkeys(law.axis for part in parts for law in part.drawn_from):
        complete &= ~np.isnan(axis.places(table))
    return complete


def check_some(n_asked: int, n_rows: int) -> None:
    """Refuse rows of which none can be asked."""
    if not n_asked:
        raise InputError(f"X has no row to ask: {n_rows} rows besides the reference rows, all with missing values.")


def answers_of(
    model: Model, table: Table, queries: Queries, *, n_jobs: int | None = None, verbose: bool = False
) -> tuple[tuple[FloatArray, ...], FloatArray]:
    """Return the values and sizes of :class:`Answered` for queries at the rows of a table."""
    answers = [_ask(model, table, part, n_jobs, verbose) for part in queries.parts]
    return tuple(values for values, _ in answers), np.stack([excess for _, excess in answers], axis=1)


def _ask(
    model: Model, table: Table, part: PartQueries, n_jobs: int | None, verbose: bool
) -> tuple[FloatArray, FloatArray]:
    """Return the model's values, (n_samples, n_queries, n_points), and the excess of each query, (n_samples, n_queries)."""

    def stage(block: slice) -> tuple[FloatArray, FloatArray]:
        rows = tables.take(table, np.arange(block.start, block.stop))
        queries = part.rows(block)
        answers = [predictions(model, sites) for sites in queries.sites(rows)]
        values = queries.arrange([values for values, _ in answers])
        return values, excess_of(queries, values, answers[0][1].of(values))

    predictions(model, tables.take(table, np.arange(1)))
    label = str(part.declared)
    blocks = over_blocks(stage, table.shape, part.n_sites, n_jobs=n_jobs, verbose=verbose, label=label)
    values, excesses = zip(*(result for _, result in blocks), strict=True)
    return np.concatenate(values), np.concatenate(excesses)
