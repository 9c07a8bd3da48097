"""The model ``f`` and its projection ``g``, fixed before any row calibrates, evaluated anywhere.

An :class:`Alignment` holds what calibration must not touch: the model, the property, the reference laws with their
knots, and how lines are repaired. Calibration chooses one number on top of it, the half-width ``lambda_``; then the
**delivered** function is ``g_lambda = f + clip(g - f, -lambda_, lambda_)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import TypeVar

import numpy as np

from alignconf._typing import BoolArray, FloatArray, Model, Table
from alignconf.contract.property import Property
from alignconf.errors import InputError
from alignconf.lines.fitted_model import function_of
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.lines.unchanged import Watch
from alignconf.projectors.anchored import AnchoredProjector
from alignconf.projectors.answers import Answers, check_by_construction
from alignconf.projectors.band import Scale, clip_to_band
from alignconf.projectors.grid import GridProjector
from alignconf.projectors.line_projection import LineProjection
from alignconf.projectors.margins import Margins
from alignconf.projectors.projector import Projected, Projector, WithRounding
from alignconf.projectors.tree import through_trees
from alignconf.queries.queries import PartQueries, Queries, draw_queries
from alignconf.queries.row_draws import RowDraws
from alignconf.tables import table as tables
from alignconf.tables.blocks import over_blocks
from alignconf.tables.missing_codes import without_codes
from alignconf.tables.predictions import predictions
from alignconf.tables.rounding import Rounding

__all__ = ["Alignment"]

Result = TypeVar("Result")
Reduced = TypeVar("Reduced", FloatArray, BoolArray)

#: Opaque properties are calibrated at about this many half-widths, quantiles of the displacement at the points made from
#: this many reference rows.
OPAQUE_LEVELS = 64
OPAQUE_ROWS = 1000


@dataclass(frozen=True)
class Alignment:
    """An alignment is everything that is fixed before calibration.

    Parameters
    ----------
    model : Model
    declared : Property
    part_queries : tuple of PartQueries
        The queries of each part; their places are drawn afresh each time.
    repairs : tuple of Projector
        Applied one after the other, each to the function that the ones before it return.
    limits : (float, float)
        Values that the repaired function does not leave: clipped last.
    subject : str
        The quantity of the model that is aligned, where this is not the prediction, e.g. ``the probability of class 'yes'``.
    scale : Scale
        Half-width of the band at ``lambda_ = 1``.
    watch : Watch or None
        Tells whether the model is still the fitted one; None before a model is fitted.
    n_jobs, verbose
        Number of jobs and progress bar, without effect on results.
    """

    model: Model
    declared: Property
    part_queries: tuple[PartQueries, ...]
    repairs: tuple[Projector, ...]
    limits: tuple[float, float] = (-np.inf, np.inf)
    subject: str = ""
    scale: Scale = field(default_factory=Scale)
    watch: Watch | None = None
    n_jobs: int | None = None
    verbose: bool = False

    def fitted(self, model: Model, subject: str, reference: Table) -> Alignment:
        """Return the alignment of a fitted model, with what repairs and opaque properties learn at reference rows."""
        complete = np.flatnonzero(self.complete(reference))
        watch = Watch(model, tables.take(reference, complete)) if complete.size else None
        repairs: tuple[Projector, ...] = ()
        function: Model = model if watch is None else WithRounding(model, watch.rounding)
        part_queries = self.part_queries
        for i, repair in enumerate(self.repairs):
            fitted = repair.fitted(function, reference)
            if i == 0 and isinstance(fitted, GridProjector):
                fitted = through_trees(fitted, model, reference)
                part_queries = tuple(part.drawn_along(fitted.projector.laws) for part in part_queries)
            repairs += (fitted,)
            function = Projected(function, fitted)
        alignment = replace(self, model=model, subject=subject, repairs=repairs, part_queries=part_queries, watch=watch)
        if not self.is_opaque:
            return alignment
        levels = alignment._opaque_half_widths(reference)
        return replace(alignment, part_queries=tuple(part.with_levels(levels) for part in self.part_queries))

    def within(self, margins: Margins, function: Model, reference: Table) -> Alignment:
        """Return the alignment for a function, whose repaired probabilities are not 0 or 1 where its own are not.

        Where nothing but order matters repairs keep within the values that they start from. Others may overshoot, and are
        cut at limits that the function's values at the reference rows give.
        """
        if all(part.cuts is not None for part in self.declared.lines) and not self.declared.orbits:
            return self
        complete = np.flatnonzero(self.complete(reference))
        if not complete.size:
            return self
        values, _ = predictions(function, tables.take(reference, complete))
        low, high = (float(np.clip(end, *self.limits)) for end in margins.fitted(values).limits)
        repairs = tuple(repair.within((low, high)) for repair in self.repairs)
        return replace(self, limits=(low, high), repairs=repairs)

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

    def for_workers(self) -> Alignment:
        """Return the alignment for one of several workers: one job, and no progress bar."""
        return replace(self, n_jobs=1, verbose=False)

    @property
    def path(self) -> str:
        """The way to repaired values, in words."""
        steps = ", then ".join(repair.path for repair in self.repairs) or "by clipping"
        return f"exact, {steps}" if self.is_exact else steps

    @property
    def is_exact(self) -> bool:
        """Whether no query can fail at full strength, by construction."""
        return len(self.repairs) == 1 and self.repairs[0].is_exact

    @property
    def is_opaque(self) -> bool:
        """Whether some part only says yes or no."""
        return any(part.is_opaque for part in self.part_queries)

    @property
    def laws(self) -> tuple[ReferenceLaw, ...]:
        """The reference laws that queries are drawn from, part by part."""
        return tuple(law for part in self.part_queries for law in part.drawn_from)

    @property
    def grid(self) -> GridProjector | None:
        """The grid repair, if it is the only repair; None otherwise."""
        only = self.repairs[0] if len(self.repairs) == 1 else None
        return only if isinstance(only, GridProjector) else None

    @property
    def _only_grid(self) -> GridProjector:
        if self.grid is None:
            raise InputError(f"{self.declared}: nothing is repaired along lines alone, so there is no line to look at.")
        return self.grid

    @property
    def projector(self) -> LineProjection:
        """The projector of the grid repair."""
        return self._only_grid.projector

    @property
    def words(self) -> str:
        """The property in words, with the subject that it is about."""
        return f"{self.declared}, for {self.subject}" if self.subject else str(self.declared)

    @property
    def where(self) -> str | None:
        """The points on which the repaired values of a row have the property together, in words; None if unknown."""
        if not self.repairs:
            return "at a fresh row"
        return self.repairs[0].where if len(self.repairs) == 1 else None

    def places(self, table: Table) -> FloatArray:
        """Return the places of the rows' constrained features, (n_samples, n_axes); NaN where missing."""
        return np.stack([law.axis.places(table) for law in self.projector.laws], axis=-1)

    def complete(self, table: Table) -> BoolArray:
        """Return which rows have a place on their lines, i.e. no constrained feature missing: (n_samples,)."""
        complete = np.ones(table.shape[0], dtype=bool)
        for axis in dict.fromkeys(law.axis for law in self.laws):
            complete &= ~np.isnan(axis.places(table))
        return complete

    def uncoded(self, table: Table) -> Table:
        """Return rows with the model's codes for missing values as NaN: what rows are asked does not depend on the code."""
        return without_codes(table, function_of(self.model).fitted_model.missing_codes(table))

    def draw(self, table: Table, n_queries: int, draws: RowDraws) -> Queries:
        """Draw the tester's queries; see :func:`alignconf.queries.queries.draw_queries`."""
        return draw_queries(self.part_queries, table, n_queries, draws)

    def law(self, parts: Sequence[int]) -> str:
        """Return the law of the queries of some parts, with the subject that they are about, in words."""
        queries = Queries(tuple(self.part_queries[i] for i in parts), 1, 1)
        return f"{queries}, about {self.subject}" if self.subject else str(queries)

    def predict_model(self, table: Table) -> tuple[FloatArray, Rounding]:
        """Return the model's own predictions, (n_samples,), and their rounding."""
        return predictions(self.function, table)

    def predict(self, table: Table) -> tuple[FloatArray, FloatArray]:
        """Return ``f`` and ``g`` at the rows themselves, two arrays of shape (n_samples,).

        A row with a missing constrained feature has no place on a line and keeps ``g = f``.

        Raises
        ------
        PredictionError
            If the model is another than at calibration.
        """
        f, _ = self.predict_model(table)
        self.check_unchanged(table.shape[0])

        def stage(block: slice) -> FloatArray:
            return self._repaired(tables.take(table, np.arange(block.start, block.stop)), f[block])

        g = f.copy()
        for block, repaired in self._over(stage, table.shape, 1):
            g[block] = repaired
        return f, g

    def deliver(self, table: Table, f: FloatArray, g: FloatArray, half_widths: float | FloatArray) -> FloatArray:
        """Return the delivered function at rows, (n_samples,), from ``f`` and ``g`` there, for one ``lambda_`` or one per row."""
        if not self.scale.is_plain and not np.all(np.isinf(half_widths)):
            half_widths = half_widths * self.scale.towards(g - f, self.scale.sigma(table))
        return clip_to_band(f, g, half_widths)

    def band(self, table: Table, f: FloatArray, half_widths: float | FloatArray) -> FloatArray:
        """Return the ends of the band, (n_samples, 2), rounded outwards so that they hold every delivered value."""
        sides = np.broadcast_to(np.asarray(half_widths, dtype=np.float64)[..., None], (f.size, 2))
        if not self.scale.is_plain and not np.isinf(half_widths).all():
            sigma = self.scale.sigma(table)
            sides = sides * np.array(self.scale.ray) * (1.0 if sigma is None else sigma[:, None])
        outwards = np.where(sides > 0, np.finfo(np.float64).eps * (np.abs(f)[:, None] + sides), 0.0)
        return f[:, None] + np.array([-1.0, 1.0]) * (sides + outwards)

    def half_widths(self, table: Table) -> FloatArray:
        """Return, per row, the half-width within which all of :attr:`where` holds a member together: (n_samples,)."""

        def stage(block: slice) -> FloatArray:
            rows = tables.take(table, np.arange(block.start, block.stop))
            if self.repairs:
                return self.repairs[0].half_widths(self.function, rows, self.limits)
            f, _ = self.predict_model(rows)
            outside: FloatArray = np.abs(np.clip(f, *self.limits) - f)
            return outside

        return np.concatenate([widths for _, widths in self._over(stage, table.shape, 1)])

    def repaired_exactly(self, table: Table) -> BoolArray:
        """Return, per row, whether the repaired function has the property on all of :attr:`where`: (n_samples,)."""
        if not self.repairs:
            return np.ones(table.shape[0], dtype=bool)

        def stage(block: slice) -> BoolArray:
            rows = tables.take(table, np.arange(block.start, block.stop))
            return self.repairs[0].repairs_exactly(self.function, rows, self.limits)

        return np.concatenate([member for _, member in self._over(stage, table.shape, 1)])

    def at_queries(
        self,
        table: Table,
        queries: Queries,
        reduce: Callable[[Answers], Reduced],
    ) -> list[Reduced]:
        """Evaluate ``f`` and ``g`` at queries and reduce both block by block, so that only the reduced values are kept.

        Parameters
        ----------
        table : Table of n_samples rows, none with a missing constrained feature
        queries : Queries at those rows
        reduce : called for each part and block of rows; returns an array whose first dimension is the rows of the block.

        Returns
        -------
        list
            For each part of the property, the reduced results of all rows.

        Raises
        ------
        DefectError
            If a query fails at full strength that by construction cannot.
        """
        grid = self.grid

        def stage(block: slice) -> list[Reduced]:
            rows = tables.take(table, np.arange(block.start, block.stop))
            parts = queries.rows(block).parts
            drawn = [part for part in parts if grid is not None and part.drawn_from]
            together = iter(grid.at_queries(self.function, rows, drawn) if grid is not None and drawn else ())
            reduced = []
            for part in parts:
                f, g, size = next(together) if grid is not None and part.drawn_from else self._anywhere(part, rows)
                answers = Answers(part, f, g, size, block, self.scale, self._difficulty(part, rows))
                if self.is_exact:
                    check_by_construction(answers)
                reduced.append(reduce(answers))
            return reduced

        points = max(1, sum(part.n_sites for part in queries.parts))
        blocks = self._over(stage, table.shape, points)
        return [np.concatenate(parts) for parts in zip(*(reduced for _, reduced in blocks), strict=True)]

    def rounded_up(self, scores: FloatArray) -> FloatArray:
        """Return scores rounded up to the half-widths at which opaque properties are calibrated, if a part is opaque."""
        for part in self.part_queries:
            if part.is_opaque:
                levels = np.array([0.0, *part.levels, np.inf])
                return levels[np.searchsorted(levels, scores)]
        return scores

    def along(self, row: Table, axis: int, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ``f`` and ``g`` along one axis of a single row, at places (n_places,): two arrays of that shape."""
        f, g = self._only_grid.along(self.function, row, axis, places[None, :])
        return f[0], g[0]

    def _repaired(self, table: Table, f: FloatArray) -> FloatArray:
        """Return the repaired function at the rows of a table, where the model predicts ``f``: (n_samples,).

        A row with a missing constrained feature keeps ``f``, also where the row is a point of another row's orbit.
        """
        function = self.function
        values = f
        for repair in self.repairs:
            after = Projected(function, repair)
            values, function = after.from_predicted(table, values), after
        if np.isfinite(self.limits).any():
            values = np.clip(values, *self.limits)
        complete = self.complete(table)
        return values if complete.all() else np.where(complete, values, f)

    def _anywhere(self, part: PartQueries, table: Table) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return ``f`` and ``g`` at the points of queries, row by row, and the size of rounding per row."""
        f, g, rounding = [], [], Rounding(0.0)
        for sites in part.sites(table):
            values, rounding = self.predict_model(sites)
            f.append(values)
            g.append(self._repaired(sites, values))
        at_points = part.arrange(f)
        return at_points, part.arrange(g), rounding.of(at_points)

    def _difficulty(self, part: PartQueries, table: Table) -> FloatArray | None:
        """Return the difficulty at the points of queries, (n_samples, n_queries, n_points); None where it is 1."""
        difficulties = (
            [self.scale.sigma(sites) for sites in part.sites(table)] if self.scale.difficulty is not None else []
        )
        sigma = [difficulty for difficulty in difficulties if difficulty is not None]
        return part.arrange(sigma) if sigma else None

    def _opaque_half_widths(self, reference: Table) -> tuple[float, ...]:
        """Return the half-widths at which opaque properties are calibrated: quantiles of the moves at reference rows."""
        rows = tables.take(reference, np.arange(min(reference.shape[0], OPAQUE_ROWS)))
        points = [point for part in self.part_queries if part.is_opaque for point in part.sites(rows)]
        f, g = np.concatenate([self.predict(point) for point in points], axis=1)
        difficulties = [self.scale.sigma(point) for point in points]
        sigma = [difficulty for difficulty in difficulties if difficulty is not None]
        size = np.abs(g - f) / self.scale.towards(g - f, np.concatenate(sigma) if sigma else None)
        moves = np.unique(size[size > 0])
        if not moves.size:
            return (float(np.abs(f).max() or 1.0),)
        inner = np.unique(np.quantile(moves, np.linspace(0, 1, OPAQUE_LEVELS)))
        return (float(inner[0]) / 2, *inner.tolist(), 2 * float(inner[-1]), 8 * float(inner[-1]))

    def _over(
        self, stage: Callable[[slice], Result], shape: tuple[int, int], n_points: int
    ) -> list[tuple[slice, Result]]:
        only = self.repairs[0] if len(self.repairs) == 1 else None
        if isinstance(only, (GridProjector, AnchoredProjector)):
            sites = only.count_sites(n_points)
        else:
            sites = n_points * prod(repair.count_sites(1) for repair in self.repairs)
        return over_blocks(
            stage,
            shape,
            sites,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            label=str(self.declared) if self.verbose else "",
        )
