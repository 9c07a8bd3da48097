r"""What fresh rows show of a function: answers of a tester and means, which add up over blocks of rows.

A certificate needs to know of each row which of its queries failed, for three functions (the delivered one, the model, the
repaired one), and of all rows together how far the function was moved and what that did to its errors. A :class:`Tally`
holds both; those of two blocks of rows join to that of all of them (:meth:`Tally.joined`), so rows may lie on many machines.
Answers are kept row by row, a truth value each, because bounds by betting depend on their order; means join by
:meth:`alignconf.certify.error_change.Mean.joined`. Where rows are in memory the queries themselves may be kept
(:class:`Seen`), and what a certificate keeps of them for its readers (:class:`Evidence`): the worst queries, looked up again,
and the line of one row for each feature. Nothing of that enters a bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from math import fsum

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray, Table
from alignconf.calibration.claim import Calibration
from alignconf.certify.agreement import own_constraints
from alignconf.certify.distance import line_figures, line_losses, whole_lines
from alignconf.certify.error_change import Mean, RowErrors
from alignconf.certify.report.moves import Moves, moves_of, typical_row
from alignconf.certify.report.pictured_line import PicturedLine, line_of_row, lines_of_alignment
from alignconf.certify.report.wording import digests_of, model_in_words, versions
from alignconf.certify.witness import Witness, found_at, largest
from alignconf.projectors.alignment import Alignment, Answers
from alignconf.queries.queries import Queries
from alignconf.queries.row_draws import RowDraws
from alignconf.tables import table as tables
from alignconf.tables.groups import Membership

__all__ = ["Evidence", "Seen", "Tally", "evidence_of", "tallied"]


@dataclass(frozen=True, eq=False)
class Seen:
    """The queries themselves, where rows are in memory.

    Parameters
    ----------
    half_widths : float or (n_rows,)
    rows : Table of n_rows rows
    queries : Queries at the rows
    sizes : (n_parts, n_rows, 3, n_queries)
        How far each query is from being accepted by the delivered function, the model and the repaired one.
    numbers : (n_rows,)
        Positions of the rows in the users' table.
    moved : (n_rows,) or (n_rows, n_outputs)
        From the model's prediction to the delivered one.
    """

    half_widths: float | FloatArray
    rows: Table
    queries: Queries
    sizes: FloatArray
    numbers: IntArray
    moved: FloatArray


@dataclass(frozen=True)
class Tally:
    """A tester's answers at fresh rows, and means over these rows.

    Parameters
    ----------
    failed : (n_parts, n_rows, 3, n_queries)
        Which queries of each part were failed by the delivered function, the model and the repaired one.
    losses : (n_rows, n_bounds)
        See :func:`alignconf.certify.distance.line_losses`.
    n_missing : int
        Rows that were asked nothing.
    counts : (n_parts,)
        How many rows were asked about each part.
    moved : Mean
        Of the squared displacement, over all rows.
    n_unmoved : int
        Rows whose prediction is the model's own.
    totals : tuple of float
        Sums of the model's predictions and of the delivered ones over all rows, weighted as the errors are; none where a row has
        several outputs.
    errors : tuple of Mean
        Of errors before and after, and of their difference, where there are labels.
    measure : str
        What these errors are.
    membership : Membership of the rows asked, where calibration was by group
    is_full, is_same : bool
        Whether the half-width is infinite at all rows, and whether it is one number for all of them.
    seen : Seen or None
        The queries themselves, if they were kept; tallies that were joined keep none.
    """

    failed: BoolArray
    losses: FloatArray
    n_missing: int
    counts: IntArray
    moved: Mean
    n_unmoved: int
    totals: tuple[float, ...]
    errors: tuple[Mean, ...]
    measure: str
    membership: Membership | None
    is_full: bool
    is_same: bool
    seen: Seen | None = None

    @property
    def n_rows(self) -> int:
        """How many rows were asked."""
        return int(self.failed.shape[1])

    @property
    def share_unmoved(self) -> float:
        """The share of rows whose prediction is the model's own."""
        return self.n_unmoved / self.moved.n

    def share_failed(self, part: int, function: int) -> float:
        """Return the share of failed queries among those about a part, of one of the three functions; NaN if none was asked."""
        n_asked = int(self.counts[part]) * int(self.failed.shape[3])
        return float(self.failed[part, :, function].sum() / n_asked) if n_asked else float("nan")

    @classmethod
    def joined(cls, blocks: Sequence[Tally]) -> Tally:
        """Return the tally of the rows of all blocks, one after the other."""
        if len(blocks) == 1:
            return blocks[0]
        groups = [block.membership for block in blocks if block.membership is not None]
        return cls(
            failed=np.concatenate([block.failed for block in blocks], axis=1),
            losses=np.concatenate([block.losses for block in blocks]),
            n_missing=sum(block.n_missing for block in blocks),
            counts=np.sum([block.counts for block in blocks], axis=0),
            moved=reduce(Mean.joined, (block.moved for block in blocks)),
            n_unmoved=sum(block.n_unmoved for block in blocks),
            totals=tuple(map(fsum, zip(*(block.totals for block in blocks), strict=True))),
            errors=tuple(reduce(Mean.joined, means) for means in zip(*(block.errors for block in blocks), strict=True)),
            measure=blocks[0].measure,
            membership=Membership.joined(groups) if groups else None,
            is_full=all(block.is_full for block in blocks),
            is_same=all(block.is_same for block in blocks),
        )


def tallied(
    alignment: Alignment,
    half_widths: float | FloatArray,
    table: Table,
    draws: RowDraws,
    errors: RowErrors | None = None,
    membership: Membership | None = None,
    n_queries: int = 1,
    *,
    keep: bool = False,
) -> Tally:
    """Ask the delivered function fresh queries at each row, and return what came out.

    Parameters
    ----------
    alignment : Alignment
    half_widths : float or (n_samples,)
        The ``lambda_`` of the delivered function, or that of each row.
    table : Table of n_samples rows, at least one
    draws : RowDraws of the rows
        Choose the queries.
    errors : RowErrors, optional
        How values compare with labels, where there are labels.
    membership : Membership of the rows, optional
    n_queries : int
        At each row.
    keep : bool
        Whether to keep the queries themselves.
    """
    askable = np.flatnonzero(alignment.askable(table))
    failed = np.zeros((len(alignment.tester.parts), askable.size, 3, n_queries), dtype=bool)
    queries = Queries(alignment.tester.parts, askable.size, n_queries)
    sizes, figures, seen = np.zeros(askable.size), np.zeros((askable.size, 3)), None
    if askable.size:
        rows = tables.take(table, askable)
        queries = alignment.tester.draw(rows, n_queries, draws.rows(askable))
        widths = half_widths if np.ndim(half_widths) == 0 else np.asarray(half_widths)[askable]
        answers = alignment.at_queries(rows, queries, partial(_figures, widths))
        of_parts = np.stack([part[:, : 3 * n_queries].reshape(askable.size, 3, n_queries) for part in answers])
        failed = of_parts > 0
        sizes, figures = of_parts.max(axis=0)[:, 0, 0], answers[-1][:, -3:]
        broken = np.flatnonzero(sizes)
        if (lines := whole_lines(alignment.tester.declared, queries, broken.size)) is not None:
            of_broken = widths if np.ndim(widths) == 0 else np.asarray(widths)[broken]
            (figures[broken],) = alignment.at_queries(
                tables.take(rows, broken), lines, partial(_line_figures, of_broken)
            )
        seen = Seen(widths, rows, queries, of_parts, askable, np.empty(0)) if keep else None
    f, g = alignment.predict(table)
    aligned = alignment.scale.deliver(table, f, g, half_widths)
    seen = None if seen is None else replace(seen, moved=(aligned - f)[askable])
    before, after = (errors.of(f), errors.of(aligned)) if errors is not None else (f[:0], f[:0])
    return Tally(
        failed=failed,
        losses=line_losses(alignment.tester.declared, queries, sizes, figures),
        n_missing=int(table.shape[0] - askable.size),
        counts=alignment.counts(table),
        moved=Mean.of((aligned - f) ** 2),
        n_unmoved=int((aligned == f).sum()),
        totals=_totals(f, aligned, None if errors is None else errors.weights),
        errors=() if errors is None else tuple(Mean.of(values) for values in (before, after, after - before)),
        measure="" if errors is None else errors.measure,
        membership=membership and membership.take(askable),
        is_full=bool(np.isinf(half_widths).all()),
        is_same=np.ndim(half_widths) == 0,
        seen=seen,
    )


def _totals(f: FloatArray, aligned: FloatArray, weights: FloatArray | None) -> tuple[float, ...]:
    """Return the weighted sums of predictions (n_samples,) before and after; none where rows have several outputs."""
    if f.ndim > 1:
        return ()
    return tuple(fsum(values if weights is None else weights * values) for values in (f, aligned))


def _figures(half_widths: float | FloatArray, answers: Answers) -> FloatArray:
    """Return how far the delivered function, the model and the projection are from passing, and facts of whole lines.

    Three numbers for each query and three more, (n_rows, 3 * n_queries + 3); the last are those of
    :func:`~alignconf.certify.distance.line_figures`.
    """
    functions = (answers.delivered(half_widths), answers.f, answers.g)
    sizes = [answers.excess(values) for values in functions]
    return np.column_stack([*sizes, _line_figures(half_widths, answers)])


def _line_figures(half_widths: float | FloatArray, answers: Answers) -> FloatArray:
    return line_figures(answers.queries, answers.delivered(half_widths)[:, 0], answers.rounding)


@dataclass(frozen=True)
class Evidence:
    """What a certificate keeps for its readers.

    Parameters
    ----------
    witnesses, witnesses_before : tuple of Witness
        The most violated queries to the delivered function, and to the model before alignment; the worst first.
    lines : tuple of PicturedLine
        For each feature along which queries are asked, the line of the row that the model violates most.
    typical : PicturedLine or None
        Of the first of these features, the line of the row that is moved by the median of those that are moved.
    moves : Moves or None
        How far predictions were moved.
    settings : tuple of (str, str)
        How it was aligned, and with which versions.
    own_constraints : tuple of str
        Constraints that the model was trained with, beside the rules that are opposite to them or the same.
    digests : tuple of (str, str)
        Of the rules, of the rows certified and of the model's answers at reference rows: :mod:`alignconf.tables.digests`.
    """

    witnesses: tuple[Witness, ...] = ()
    witnesses_before: tuple[Witness, ...] = ()
    lines: tuple[PicturedLine, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    typical: PicturedLine | None = None
    moves: Moves | None = None
    own_constraints: tuple[str, ...] = ()
    digests: tuple[tuple[str, str], ...] = ()


def evidence_of(alignment: Alignment, calibration: Calibration, seen: Seen | None, of_rows: str) -> Evidence:
    """Return what queries have shown of an aligned model; without queries that were kept, only how it was aligned."""
    settings = (
        ("Model", model_in_words(alignment.model)),
        ("Property", repr(alignment.tester.declared)),
        ("Loss", calibration.loss.name),
        ("Calibration rows", str(calibration.n_rows)),
        ("Reference rows", str(calibration.n_reference)),
        ("Repaired", alignment.chain.path),
        ("Promised", calibration.statement),
        *versions(alignment.model),
    )
    constraints = tuple(map(str, own_constraints(alignment.model, alignment.tester.parts)))
    of_model = "" if alignment.watch is None else alignment.watch.digest
    digests = digests_of(alignment.tester.declared, of_rows, of_model)
    about = Evidence(settings=settings, own_constraints=constraints, digests=digests)
    if seen is None:
        return about
    of_functions = seen.sizes.transpose(2, 1, 0, 3)
    delivered, before = _witnesses(alignment, seen, of_functions)
    lines = lines_of_alignment(alignment, seen.half_widths, seen.rows, of_functions[1].max(axis=2), seen.numbers)
    typical = line_of_row(alignment, seen.half_widths, seen.rows, typical_row(seen.moved), seen.numbers)
    return replace(
        about, witnesses=delivered, witnesses_before=before, lines=lines, typical=typical, moves=moves_of(seen.moved)
    )


def _witnesses(alignment: Alignment, seen: Seen, sizes: FloatArray) -> tuple[tuple[Witness, ...], tuple[Witness, ...]]:
    """Return the worst queries to the delivered function and to the model; both are evaluated again at these few rows."""
    positions = np.unique(np.concatenate([largest(sizes[0])[0], largest(sizes[1])[0]]))
    if not positions.size:
        return (), ()
    few, queries, numbers = tables.take(seen.rows, positions), seen.queries.rows(positions), seen.numbers[positions]
    widths = seen.half_widths if np.ndim(seen.half_widths) == 0 else np.asarray(seen.half_widths)[positions]
    delivered = alignment.at_queries(few, queries, lambda answers: answers.delivered(widths))
    before = alignment.at_queries(few, queries, lambda answers: answers.f)
    return (
        found_at(queries.parts, few, delivered, sizes[0][positions], numbers),
        found_at(queries.parts, few, before, sizes[1][positions], numbers),
    )
