"""Queries put to a fitted model, with its answers: what audits count and pictures show.

Every row that has a place on its lines is asked fresh queries of each part of the property, drawn from reference laws that are
read off rows which are not asked themselves. Rows may lie in memory or in partitions (:class:`alignconf.tables.rows.Rows`):
which rows give the laws and what every row is asked is the same for any cut. Answers are reduced where they are given; of each
row elsewhere its fingerprint and the size of its worst violation come back, sixteen bytes, and of each part its worst queries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray, Model, RandomState, Table
from alignconf.certify.proof import Proof, proof_by_trees
from alignconf.certify.report.wording import digests_of
from alignconf.contract.property import Declaration, Property
from alignconf.errors import InputError
from alignconf.lines.fitted_model import FittedModel, declared_features, function_of
from alignconf.lines.output_function import output_function, outputs_of
from alignconf.lines.unchanged import digest_of_model
from alignconf.properties import declare
from alignconf.queries.excess import excess as excess_of
from alignconf.queries.placement import REFERENCES, check_query_law, place_queries
from alignconf.queries.queries import PartQueries, Queries, askable_parts, draw_queries
from alignconf.queries.row_draws import RowDraws, RowMarks, row_marks
from alignconf.tables import table as tables
from alignconf.tables.blocks import over_blocks
from alignconf.tables.checks import check_choice, check_model
from alignconf.tables.digests import digest_of_marks
from alignconf.tables.missing_codes import MissingCodes, without_codes
from alignconf.tables.predictions import predictions
from alignconf.tables.random_streams import generator, reference_rows
from alignconf.tables.rows import Rows, parts_of

__all__ = ["Answered", "Asking", "askable_rows", "place_rows"]


@dataclass(frozen=True)
class Answered:
    """Queries of a property at the rows of a part that can be asked, with a model's answers.

    Parameters
    ----------
    function : Model
        What was asked: the model, or what is made from it.
    declared : Property
    table : Table of n_samples rows
        Those that were asked.
    numbers : (n_samples,)
        Their positions among the rows of the part that count.
    queries : Queries
    values : tuple of (n_samples, n_queries, n_points)
        For each part of the property, the model's predictions at its points.
    sizes : (n_samples, n_parts, n_queries)
        How far each query is from being accepted, 0 if it is.
    counts : (n_parts,)
        How many of the rows were asked about each part; values are 0 at the others.
    """

    function: Model
    declared: Property
    table: Table
    numbers: IntArray
    queries: Queries
    values: tuple[FloatArray, ...]
    sizes: FloatArray
    counts: IntArray


@dataclass(frozen=True, eq=False)
class Asking:
    """Rows, and what each of them is to be asked.

    Parameters
    ----------
    function : Model
    declared : Property
    part_queries : tuple of PartQueries
        Of each part of the property, with its reference laws.
    rows : Rows
        Besides those that give the laws.
    counts : (n_parts,)
        How many rows of each part of the rows can be asked.
    draws : list of RowDraws
        Of these rows.
    digests : tuple of (str, str)
        Of the rules, of the rows that are asked, and of the model.
    proof : Proof or None
        What the trees of the function show, where they can be read.
    """

    function: Model
    declared: Property
    part_queries: tuple[PartQueries, ...]
    rows: Rows
    counts: IntArray
    draws: list[RowDraws]
    digests: tuple[tuple[str, str], ...]
    proof: Proof | None

    @property
    def n_missing(self) -> int:
        """How many rows lack all constrained features and are not asked."""
        return self.rows.n_rows - int(self.counts.sum())

    @property
    def law(self) -> str:
        """The query law in words."""
        return str(Queries(self.part_queries, 1, 1))

    def answers(
        self, seen: Callable[[Answered], Any], n_queries: int = 1, *, n_jobs: int | None = None, verbose: bool = False
    ) -> list[tuple[int, Any]]:
        """Ask ``n_queries`` queries of each part at each row; return what is made of the answers where they are given.

        Parameters
        ----------
        seen : callable
            Called once for the rows of each part that has any; what it returns comes back, beside the position of the part.
        n_queries : int
        n_jobs, verbose
            For rows in memory.
        """
        one_job = self.rows.is_spread
        how = {"n_jobs": 1 if one_job else n_jobs, "verbose": verbose and not one_job}
        work = partial(_answered, self.function, self.declared, self.part_queries, n_queries, how, seen)
        is_asked = self.counts > 0
        results = self.rows.run(work, self.draws, only=is_asked, label=str(self.declared))
        return list(zip(np.flatnonzero(is_asked).tolist(), results, strict=True))


def place_rows(
    model: Model,
    X: Any,
    properties: Declaration,
    *,
    outputs: Any = None,
    query_law: str = "iid",
    X_reference: Table | None = None,
    reference_law: str = "marginal",
    random_state: RandomState = None,
    verbose: bool = False,
) -> Asking:
    """Return the rows with what they are to be asked; parameters as for :func:`alignconf.check`, ``X_reference`` in memory."""
    listed = outputs_of(model, outputs)
    function = function_of(check_model("model", model)) if listed is None else output_function(model, listed)
    door: FittedModel = function.fitted_model
    check_choice("reference_law", reference_law, REFERENCES)
    declared = declare(properties)
    parts = parts_of(X)
    door.columns.check_declared(declared_features(declared), parts.meta)
    rows = Rows.of(parts.selected(door.columns.positions(parts.meta)), verbose=verbose)
    check_query_law(declared, query_law)
    random = generator(random_state, 0)
    if X_reference is None:
        set_apart = reference_rows(rows.n_rows, random, keep=1)
        referring, rows = rows.take(set_apart), rows.without(set_apart)
    else:
        referring = door.reference(X_reference, rows.meta)
    seen, conditional = rows.seen(referring), random if reference_law == "conditional" else None
    codes = door.missing_codes(seen)
    placed = place_queries(declared, seen, referring, query_law, outputs=listed, conditional=conditional, codes=codes)
    some = np.flatnonzero(rows.counts)
    marks = [np.zeros((0, 2), dtype=np.uint64)] * rows.sizes.size
    for i, of_part in zip(some, rows.run(partial(_marks, placed, codes), label="looking at rows"), strict=True):
        marks[i] = of_part
    counts = np.array([len(of_part) for of_part in marks])
    if not counts.any():
        raise InputError(
            f"X has no row to ask: all {rows.n_rows} rows besides the reference rows lack all constrained features."
        )
    door.check_is_function(seen)
    together = np.concatenate(marks)
    draws = RowDraws.of_marks(together, random).split(counts.tolist())
    askable = tables.take(referring, np.flatnonzero(askable_rows(placed, referring)))
    of_model = digest_of_model(function, askable) if askable.shape[0] else ""
    digests = digests_of(declared, digest_of_marks(together[:, 1]), of_model)
    return Asking(function, declared, placed, rows, counts, draws, digests, proof_by_trees(function, placed, referring))


def askable_rows(parts: Sequence[PartQueries], table: Table) -> BoolArray:
    """Return which rows can be asked about some part, (n_samples,)."""
    return np.asarray(askable_parts(parts, table).any(axis=1))


def _marks(part_queries: Sequence[PartQueries], codes: MissingCodes, table: Table) -> RowMarks:
    """Return the fingerprints of the rows of a part that can be asked, however missing values are written."""
    askable = tables.take(table, np.flatnonzero(askable_rows(part_queries, table)))
    return row_marks(without_codes(askable, codes))


def _answered(
    function: Model,
    declared: Property,
    part_queries: Sequence[PartQueries],
    n_queries: int,
    how: dict[str, Any],
    seen: Callable[[Answered], Any],
    table: Table,
    draws: RowDraws,
) -> Any:
    """Ask the rows of a part that can be asked and return what is made of the answers."""
    askable = askable_parts(part_queries, table)
    numbers = np.flatnonzero(askable.any(axis=1))
    rows, askable = tables.take(table, numbers), askable[numbers]
    queries = draw_queries(part_queries, rows, n_queries, draws)
    answers = [_ask(function, rows, part, askable[:, i], **how) for i, part in enumerate(queries.parts)]
    values, sizes = tuple(values for values, _ in answers), np.stack([excess for _, excess in answers], axis=1)
    return seen(Answered(function, declared, rows, numbers, queries, values, sizes, askable.sum(axis=0)))


def _ask(
    model: Model, table: Table, part: PartQueries, askable: BoolArray, *, n_jobs: int | None, verbose: bool
) -> tuple[FloatArray, FloatArray]:
    """Return the model's values, (n_samples, n_queries, n_points), and the excess of each query, (n_samples, n_queries).

    Both are 0 at rows that cannot be asked about the part.
    """
    numbers = np.flatnonzero(askable)

    def stage(block: slice) -> tuple[FloatArray, FloatArray]:
        rows = tables.take(table, numbers[block])
        queries = part.rows(numbers[block])
        answers = [predictions(model, sites) for sites in queries.sites(rows)]
        values = queries.arrange([values for values, _ in answers])
        return values, excess_of(queries, values, answers[0][1].of(values))

    predictions(model, tables.take(table, np.arange(1)))
    label = str(part.declared)
    shape = (numbers.size, table.shape[1])
    blocks = (
        over_blocks(stage, shape, part.n_sites, n_jobs=n_jobs, verbose=verbose, label=label) if numbers.size else []
    )
    n_rows, nobody = table.shape[0], part.rows(numbers[:0]).arrange([np.zeros(0)])
    values, excesses = np.zeros((n_rows, *nobody.shape[1:])), np.zeros((n_rows, nobody.shape[1]))
    for block, (of_block, excess) in blocks:
        values[numbers[block]], excesses[numbers[block]] = of_block, excess
    return values, excesses
