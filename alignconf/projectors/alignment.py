"""What is fixed before any row calibrates: the model ``f``, its projection ``g``, the band between them, and who tests it.

An :class:`Alignment` holds what calibration must not touch, each in a value of its own: the **tester**
(:class:`~alignconf.queries.queries.Tester`), which says what is asked; the **chain** of projectors
(:class:`~alignconf.projectors.projector.Chain`), which makes ``g`` from ``f``; and the **scale** of the band
(:class:`~alignconf.projectors.band.Scale`). Calibration chooses one number on top, the half-width ``lambda_``; then the
**delivered** function is ``g_lambda = f + clip(g - f, -lambda_, lambda_)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray, Model, Table
from alignconf.errors import DefectError, InputError
from alignconf.lines.evaluation import PlacedRows
from alignconf.lines.fitted_model import function_of
from alignconf.lines.unchanged import Watch
from alignconf.lines.watched import watched
from alignconf.projectors.band import Scale, clip_to_band
from alignconf.projectors.known_rounding import WithRounding
from alignconf.projectors.leaves.leaf_path import LeafMoves, LeafPath
from alignconf.projectors.margins import Margins
from alignconf.projectors.projector import FEW_ROWS, Chain
from alignconf.queries.excess import excess
from alignconf.queries.queries import PartQueries, Queries, Tester, askable_parts
from alignconf.tables import table as tables
from alignconf.tables.blocks import Result, over_blocks
from alignconf.tables.missing_codes import without_codes
from alignconf.tables.predictions import Rounding, predictions

__all__ = ["Alignment", "Answers"]

Reduced = TypeVar("Reduced", FloatArray, BoolArray)

#: Opaque properties are calibrated at about this many half-widths, quantiles of the displacement at the points made from
#: this many reference rows.
OPAQUE_LEVELS = 64
OPAQUE_ROWS = 1000


@dataclass(frozen=True)
class Answers:
    """The answers of the model and of its repair at the points of the queries of a block of rows.

    Parameters
    ----------
    queries : PartQueries
    f, g : (n_samples, n_queries, n_points)
    rounding : (n_samples,)
        Excesses up to this are rounding.
    rows : (n_samples,)
        Positions of the rows in the table that is asked.
    scale : Scale
    sigma : (n_samples, n_queries, n_points), optional
        Difficulty at the points, where the scale has one.
    moves : LeafMoves, optional
        How the points move where the delivered function goes from the model to its projection leaf by leaf.
    """

    queries: PartQueries
    f: FloatArray
    g: FloatArray
    rounding: FloatArray
    rows: IntArray
    scale: Scale
    sigma: FloatArray | None = None
    moves: LeafMoves | None = None

    def delivered(self, half_widths: float | FloatArray) -> FloatArray:
        """Return the delivered function at the points, for one ``lambda_`` or one for each row of the whole table."""
        if np.ndim(half_widths):
            half_widths = np.asarray(half_widths)[self.rows, None, None]
        if self.moves is not None:
            return self.moves.delivered(half_widths)
        if self.scale.is_plain or np.all(np.isinf(half_widths)):
            return clip_to_band(self.f, self.g, half_widths)
        return clip_to_band(self.f, self.g, half_widths * self.scale.towards(self.g - self.f, self.sigma))

    def excess(self, values: FloatArray) -> FloatArray:
        """Return how far each query is from being accepted by a function with these values; see :func:`excess`."""
        return excess(self.queries, values, self.rounding)


def _check_by_construction(answers: Answers) -> None:
    """Refuse to go on where a query fails at full strength although by construction no query can.

    Raises
    ------
    DefectError
    """
    excesses = answers.excess(answers.g)
    if excesses.any():
        raise DefectError(
            f"{np.count_nonzero(excesses)} of {excesses.size} queries of {answers.queries.declared!r} fail at full strength, by "
            f"up to {excesses.max():.3g}, where by construction none can. If the property is your own, it declares what it is "
            "not: alignconf.testing.check_property tells. If not, this is a defect of alignconf: please report the property, the "
            "type and version of the model, and a row that fails."
        )


@dataclass(frozen=True)
class Alignment:
    """An alignment is everything that is fixed before calibration.

    Parameters
    ----------
    model : Model
    tester : Tester
        What is asked.
    chain : Chain
        The projectors that lead from ``f`` to ``g``.
    scale : Scale
        Half-width of the band at ``lambda_ = 1``.
    native : Model or None
        The delivered function as a model by itself, once calibration has found that it is one.
    watch : Watch or None
        Tells whether the model is still the fitted one; None before a model is fitted.
    n_jobs, verbose
        Number of jobs and progress bar, without effect on results.
    """

    model: Model
    tester: Tester
    chain: Chain
    scale: Scale = field(default_factory=Scale)
    watch: Watch | None = None
    native: Model | None = None
    n_jobs: int | None = None
    verbose: bool = False

    def fitted(self, model: Model, subject: str, reference: Table) -> Alignment:
        """Return the alignment of a fitted model, with what projectors and opaque properties learn at reference rows."""
        askable = np.flatnonzero(self.askable(reference))
        watch = Watch(model, tables.take(reference, askable)) if askable.size else None
        alignment = replace(self, model=model, watch=watch)
        chain = self.chain.fitted(alignment.function, reference)
        tester = replace(self.tester, subject=subject)
        for stage in chain.stages[:1]:
            tester = tester.drawn_along(stage.laws)
        alignment = replace(alignment, chain=chain, tester=tester)
        if not tester.is_opaque:
            return alignment
        return replace(alignment, tester=tester.with_levels(alignment._opaque_half_widths(reference)))

    def within(self, margins: Margins, function: Model, reference: Table) -> Alignment:
        """Return the alignment for a function, whose projected probabilities are not 0 or 1 where its own are not.

        Where nothing but order matters projections keep within the values that they start from. Others may overshoot, and are
        cut at limits that the function's values at the reference rows give.
        """
        declared = self.tester.declared
        if all(part.cuts is not None for part in declared.lines) and not declared.orbits:
            return self
        askable = np.flatnonzero(self.askable(reference))
        if not askable.size:
            return self
        values, _ = predictions(function, tables.take(reference, askable))
        low, high = (float(np.clip(end, *self.chain.limits)) for end in margins.fitted(values).limits)
        return replace(self, chain=self.chain.within((low, high)))

    @property
    def function(self) -> Model:
        """The model with the account of its rounding."""
        return self.model if self.watch is None else WithRounding(self.model, self.watch.rounding)

    def check_unchanged(self, n_rows: int | None = None) -> None:
        """Refuse to answer about ``n_rows`` rows, or to certify, for a model other than the calibrated model.

        Raises
        ------
        PredictionError
        """
        if self.watch is not None:
            self.watch.check(n_rows)

    def delivering(self, half_width: float) -> Alignment:
        """Return the alignment for one half-width at every row, with the delivered function as a model if it is one."""
        if self.leaf_path is not None:
            return replace(self, native=self.leaf_path.native(half_width))
        return replace(self, native=self.chain.native if np.isinf(half_width) else None)

    @property
    def why_not_native(self) -> str:
        """Why the delivered function is no model by itself, in words."""
        if self.chain.native is None:
            path = self.chain.path.rstrip(".")
            return f"the delivered function is made row by row ({path}); projector='leaves' makes a model where trees can be read"
        if self.leaf_path is None:
            return "the answer is clipped to a band around the model; give alpha=0, or path='leaves'"
        return "lambda_ differs from row to row; leave groups and shift out"

    @property
    def leaf_path(self) -> LeafPath | None:
        """The way from the model to its projection leaf by leaf, if the delivered function goes that way."""
        return self.scale if isinstance(self.scale, LeafPath) else None

    def leaf_by_leaf(self) -> Alignment:
        """Return the alignment whose delivered function goes from the model to its projection leaf by leaf.

        Raises
        ------
        InputError
            If what is projected are not the leaves of the model alone, or the band has a scale.
        """
        path = self.chain.leaf_path
        if path is None:
            taken = self.chain.path.rstrip(".")
            alone = "path='leaves' needs a projection by the leaves of the model's own trees alone"
            raise InputError(f"{alone}; here it is {taken}. Leave path out, and the answer is clipped.")
        if not self.scale.is_plain:
            raise InputError(f"path='leaves' has no scale, got {self.scale}; leave difficulty and ray out, or path.")
        return replace(self, scale=path)

    def for_workers(self) -> Alignment:
        """Return the alignment for one of several workers: one job, and no progress bar."""
        return replace(self, n_jobs=1, verbose=False)

    def placed(self, table: Table) -> PlacedRows:
        """Return rows with their places along the axes of all projectors."""
        return PlacedRows.of(table, self.chain.axes)

    def askable(self, table: Table) -> BoolArray:
        """Return which rows can be asked about some part: they have its features, and are projected. (n_samples,)."""
        return np.asarray(self.tester.askable(table).any(axis=1) & self.chain.covers(table))

    def counts(self, table: Table) -> IntArray:
        """Return how many rows of a table can be asked about each part, (n_parts,)."""
        return np.asarray((self.tester.askable(table) & self.chain.covers(table)[:, None]).sum(axis=0))

    def uncoded(self, table: Table) -> Table:
        """Return rows with the model's codes for missing values as NaN: what rows are asked does not depend on the code."""
        return without_codes(table, function_of(self.model).fitted_model.missing_codes(table))

    def predict_model(self, table: Table) -> tuple[FloatArray, Rounding]:
        """Return the model's own predictions, (n_samples,), and their rounding."""
        return predictions(self.function, table)

    def predict(self, table: Table) -> tuple[FloatArray, FloatArray]:
        """Return ``f`` and ``g`` at the rows themselves, two arrays of shape (n_samples,).

        A row obeys the rules whose features it has; where it has none of them it keeps ``g = f``.

        Raises
        ------
        PredictionError
            If the model is another than at calibration.
        """
        if 0 < table.shape[0] <= FEW_ROWS:
            with watched(self.function, self.watch) as function:
                return self.chain.at_rows(function, self.placed(table))
        f, _ = self.predict_model(table)
        return f, self.project(table, f)

    def project(self, table: Table, f: FloatArray) -> FloatArray:
        """Return ``g`` at rows, (n_samples,), where the model says ``f``; see :meth:`predict`."""
        self.check_unchanged(table.shape[0])

        def stage(rows: PlacedRows, block: slice) -> FloatArray:
            return self.chain.project_rows(self.function, rows, f[block])

        return self._over(stage, table) if f.size else f.copy()

    def half_widths(self, table: Table) -> FloatArray:
        """Return, per row, the half-width within which all that the chain's ``where`` names holds a member: (n_samples,)."""
        return self._over(lambda rows, _: self.chain.half_widths(self.function, rows), table)

    def repaired_exactly(self, table: Table) -> BoolArray:
        """Return, per row, whether the projected function has the property on all that ``where`` names: (n_samples,)."""
        return self._over(lambda rows, _: self.chain.repairs_exactly(self.function, rows), table)

    def along(self, row: Table, axis: int, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ``f`` and ``g`` along one axis of a single row, at places (n_places,): two arrays of that shape."""
        f, g = self.chain.along(self.function, self.placed(row), axis, places[None, :])
        return f[0], g[0]

    def at_queries(
        self,
        table: Table,
        queries: Queries,
        reduce: Callable[[Answers], Reduced],
    ) -> list[Reduced]:
        """Evaluate ``f`` and ``g`` at queries and reduce both block by block, so that only the reduced values are kept.

        A query of a part is answered at the rows that can be asked about the part; all others pass.

        Parameters
        ----------
        table : Table of n_samples rows
        queries : Queries at those rows
        reduce : called for each part and block of rows; returns an array whose first dimension is the rows of the block, with
            zeros for queries that pass.

        Returns
        -------
        list
            For each part of the property, the reduced results of all rows.

        Raises
        ------
        DefectError
            If a query fails at full strength that by construction cannot.
        """
        reduced: list[Any] = []
        for part, blocks in zip(queries.parts, self.blocks_at_queries(table, queries, reduce), strict=True):
            some: Any = blocks[0][1] if blocks else reduce(self._no_answers(part))
            of_rows = np.zeros((table.shape[0], *some.shape[1:]), dtype=some.dtype)
            for rows, of_block in blocks:
                of_rows[rows] = of_block
            reduced.append(of_rows)
        return reduced

    def blocks_at_queries(
        self, table: Table, queries: Queries, reduce: Callable[[Answers], Result]
    ) -> list[list[tuple[IntArray, Result]]]:
        """Return, for each part, blocks of the rows that can be asked about the part with what is made of the answers there.

        Parameters and errors as for :meth:`at_queries`. Parts that are read off the same lines are answered together, at rows
        that can be asked about the same of them; others by themselves.
        """
        results: list[list[tuple[IntArray, Result]]] = [[] for _ in queries.parts]
        askable = askable_parts(queries.parts, table) & self.chain.covers(table)[:, None]
        off_lines = [k for k, part in enumerate(queries.parts) if self.chain.serves(part)]
        for together in [off_lines, *([k] for k in range(len(queries.parts)) if k not in off_lines)]:
            patterns, which = np.unique(askable[:, together], axis=0, return_inverse=True)
            for i, pattern in enumerate(patterns):
                if pattern.any():
                    alike, asked_parts = np.flatnonzero(which.ravel() == i), np.array(together)[pattern].tolist()
                    some = replace(queries, parts=tuple(queries.parts[k] for k in asked_parts)).rows(alike)
                    for rows, of_parts in self._answered(tables.take(table, alike), some, alike, reduce):
                        for k, of_part in zip(asked_parts, of_parts, strict=True):
                            results[k].append((rows, of_part))
        return results

    def _answered(
        self, table: Table, queries: Queries, numbers: IntArray, reduce: Callable[[Answers], Result]
    ) -> list[tuple[IntArray, list[Result]]]:
        """Return what is made of the answers of rows, with these numbers, that can be asked about all parts."""

        def stage(rows: PlacedRows, block: slice) -> tuple[IntArray, list[Result]]:
            parts, reduced = queries.rows(block).parts, []
            for part, at_points in zip(parts, self.chain.at_queries(self.function, rows, parts), strict=True):
                moves = path.moves(part, rows.table, self.native) if (path := self.leaf_path) else None
                d = at_points[1] - at_points[0]
                sigma = self.scale.in_proportion(d, self._difficulty(part, rows.table), part.n_outputs)
                answers = Answers(part, *at_points, numbers[block], self.scale, sigma, moves)
                if self.chain.is_exact:
                    _check_by_construction(answers)
                reduced.append(reduce(answers))
            return numbers[block], reduced

        return self._blocks(stage, table, max(1, sum(part.n_sites for part in queries.parts)))

    def _no_answers(self, part: PartQueries) -> Answers:
        """Return the answers of no rows to queries."""
        queries = part.rows(nobody := np.zeros(0, dtype=np.intp))
        at_points = queries.arrange([np.zeros(0)])
        return Answers(queries, at_points, at_points, np.zeros(0), nobody, Scale())

    def _difficulty(self, part: PartQueries, table: Table) -> FloatArray | None:
        """Return the difficulty at the points of queries, (n_samples, n_queries, n_points); None where it is 1."""
        if self.scale.difficulty is None:
            return None
        sigma = [self.scale.sigma(sites) for sites in part.sites(table)]
        return part.arrange([difficulty for difficulty in sigma if difficulty is not None])

    def _opaque_half_widths(self, reference: Table) -> tuple[float, ...]:
        """Return the half-widths at which opaque properties are calibrated: quantiles of the moves at reference rows."""
        rows = tables.take(reference, np.arange(min(reference.shape[0], OPAQUE_ROWS)))
        points = [point for part in self.tester.parts if part.is_opaque for point in part.sites(rows)]
        f, g = np.concatenate([self.predict(point) for point in points], axis=1)
        difficulties = [self.scale.sigma(point) for point in points]
        sigma = [difficulty for difficulty in difficulties if difficulty is not None]
        size = np.abs(g - f) / self.scale.towards(g - f, np.concatenate(sigma) if sigma else None)
        moves = np.unique(size[size > 0])
        if not moves.size:
            return (float(np.abs(f).max() or 1.0),)
        inner = np.unique(np.quantile(moves, np.linspace(0, 1, OPAQUE_LEVELS)))
        return (float(inner[0]) / 2, *inner.tolist(), 2 * float(inner[-1]), 8 * float(inner[-1]))

    def _over(self, stage: Callable[[PlacedRows, slice], Reduced], table: Table) -> Reduced:
        """Return what a stage says of each row."""
        return np.concatenate(self._blocks(stage, table, 1))

    def _blocks(self, stage: Callable[[PlacedRows, slice], Result], table: Table, n_points: int) -> list[Result]:
        """Return what a stage says of blocks of rows, each with about ``n_points`` points made from a row."""
        placed = self.placed(table)
        blocks = over_blocks(
            lambda block: stage(placed.take(np.arange(block.start, block.stop)), block),
            table.shape,
            self.chain.count_sites(n_points),
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            label=str(self.tester.declared) if self.verbose else "",
        )
        return [result for _, result in blocks]
