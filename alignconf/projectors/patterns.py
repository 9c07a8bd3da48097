"""Rows that lack some of the constrained features, projected in those that they have.

Which features a row lacks, its **pattern**, does not change when other features move: rows of one pattern form a space of their
own, in which the features that are there make lines and grids as always. So a grid comes with the grids of fewer features, and
each row goes through that of its own pattern; a row that has none of the features is left alone. Rows of different patterns are
never compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray, Model, Table
from alignconf.lines.axis import Axis
from alignconf.lines.evaluation import PlacedRows, evaluate_sites
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.projectors.grid import GridProjector
from alignconf.projectors.projector import AtPoints, Projector
from alignconf.queries.queries import PartQueries
from alignconf.tables import table as tables

__all__ = ["PatternProjector", "of_patterns"]


@dataclass(frozen=True)
class PatternProjector(Projector):
    """Each row is projected along the axes on which it has a place.

    Parameters
    ----------
    whole : Projector
        Of rows that have places on all axes.
    fewer : tuple of Projector
        Of rows that have places on some, each with other axes among those of ``whole``.
    """

    whole: Projector
    fewer: tuple[Projector, ...]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of all features."""
        return self.whole.axes

    @property
    def laws(self) -> tuple[ReferenceLaw, ...]:
        """The reference laws of all axes."""
        return self.whole.laws

    @property
    def where(self) -> str | None:
        """As for rows that have all features."""
        return self.whole.where

    @property
    def path(self) -> str:
        """As for rows that have all features."""
        return self.whole.path

    @property
    def construction(self) -> str:
        """What is said of rows that have all features, if something is said of all rows."""
        return self.whole.construction if all(projector.construction for projector in self.fewer) else ""

    def count_sites(self, n_points: int) -> int:
        """Return what rows that have all features cost, which is the most."""
        return self.whole.count_sites(n_points)

    def fitted(self, function: Model, reference: Table) -> Projector:
        """Return the projector with each of its projectors fitted."""
        return self._with(lambda projector: projector.fitted(function, reference))

    def within(self, limits: tuple[float, float]) -> Projector:
        """Return the projector with other limits for its values."""
        return self._with(lambda projector: projector.within(limits))

    def along_laws(self, laws: Sequence[ReferenceLaw]) -> Projector:
        """Return the projector with the laws among ``laws`` that have its axes and knots."""
        return self._with(lambda projector: projector.along_laws(laws))

    def explained(self, reason: str) -> Projector:
        """Return the projector with why it was chosen."""
        return replace(self, whole=self.whole.explained(reason))

    def project_rows(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return projected values at rows, (n_samples,), each along the axes on which it has a place."""
        placed, values = rows.along(self.axes), predicted.copy()
        for numbers, projector in self._patterns(placed):
            alike = placed.take(numbers).along(projector.axes)
            values[numbers] = projector.apply(function, alike, predicted[numbers])
        return values

    def apply(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return projected values at rows that have all places."""
        return self.whole.apply(function, rows, predicted)

    def serves(self, part: PartQueries) -> bool:
        """Return whether queries move rows along the axes."""
        return self.whole.serves(part)

    def at_queries(self, function: Model, rows: PlacedRows, parts: Sequence[PartQueries]) -> Iterable[AtPoints]:
        """Return the function and its projection at queries along axes on which the rows have places."""
        placed = rows.along(self.axes)
        patterns = list(self._patterns(placed))
        if len(patterns) == 1 and patterns[0][0].size == len(placed.places):
            return patterns[0][1].at_queries(function, placed.along(patterns[0][1].axes), parts)
        results: list[list[AtPoints]] = [[] for _ in parts]
        order = np.concatenate([numbers for numbers, _ in patterns])
        for numbers, projector in patterns:
            alike = placed.take(numbers).along(projector.axes)
            answers = projector.at_queries(function, alike, [part.rows(numbers) for part in parts])
            for of_part, at_points in zip(results, answers, strict=True):
                of_part.append(at_points)
        back = np.argsort(order)
        return [_concatenated(of_part, back) for of_part in results]

    def along(self, function: Model, rows: PlacedRows, axis: int, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the function and its projection as rows that have a place on an axis move along it.

        Both are the function's where nothing is projected in the features that a row has.
        """
        placed, moved = rows.along(self.axes), self.axes[axis]

        def stage(projector: Projector, alike: PlacedRows, numbers: IntArray) -> Any:
            axes = projector.axes
            of_rows = places[numbers] if len(places) > 1 else places
            return np.stack(projector.along(function, alike, axes.index(moved), of_rows), axis=1)

        f, g = np.moveaxis(self._gathered(placed, stage, (2, places.shape[1])), 1, 0)
        projected = np.zeros(len(f), dtype=bool)
        for numbers, _ in self._patterns(placed):
            projected[numbers] = True
        left = np.flatnonzero(~projected)
        if left.size:
            of_rows = places[left] if len(places) > 1 else places
            kept = evaluate_sites(function, tables.take(rows.table, left), (moved,), of_rows[..., None])[0]
            if left.size == len(f):
                return kept, kept
            f[left], g[left] = kept, kept
        return f, g

    def half_widths(self, function: Model, rows: PlacedRows) -> FloatArray:
        """Return the half-widths of the rows' own lines and grids; 0 for rows without."""
        placed = rows.along(self.axes)
        widths: FloatArray = self._gathered(placed, lambda projector, alike, _: projector.half_widths(function, alike))
        return widths

    def repairs_exactly(self, function: Model, rows: PlacedRows) -> BoolArray:
        """Return, per row, whether its own line or grid has the property."""
        placed = rows.along(self.axes)
        fails = self._gathered(placed, lambda projector, alike, _: ~projector.repairs_exactly(function, alike))
        return np.asarray(fails == 0)

    def _gathered(
        self,
        rows: PlacedRows,
        stage: Callable[[Projector, PlacedRows, IntArray], Any],
        shape: tuple[int, ...] = (),
    ) -> FloatArray:
        """Return what a stage says of rows of each pattern, (n_samples, ...); zeros for rows without places."""
        values: FloatArray | None = None
        for numbers, projector in self._patterns(rows):
            of_rows = stage(projector, rows.take(numbers).along(projector.axes), numbers)
            values = np.zeros((len(rows.places), *of_rows.shape[1:])) if values is None else values
            values[numbers] = of_rows
        return np.zeros((len(rows.places), *shape)) if values is None else values

    def _patterns(self, rows: PlacedRows) -> Iterator[tuple[IntArray, Projector]]:
        """Yield the rows of each pattern that has a projector, and this."""
        by_axes = {frozenset(projector.axes): projector for projector in (self.whole, *self.fewer)}
        for numbers, present in rows.patterns():
            projector = by_axes.get(frozenset(rows.axes[i] for i in present))
            if projector is not None:
                yield numbers, projector

    def _with(self, change: Callable[[Projector], Projector]) -> Projector:
        """Return the projector with each of its projectors changed."""
        return PatternProjector(change(self.whole), tuple(change(projector) for projector in self.fewer))


def _concatenated(answers: Sequence[AtPoints], order: IntArray) -> AtPoints:
    """Return the answers of groups of rows as those of all rows, in another order."""
    f, g, rounding = (np.concatenate(arrays)[order] for arrays in zip(*answers, strict=True))
    return f, g, rounding


def of_patterns(whole: GridProjector, kind: type[GridProjector]) -> Projector:
    """Return a grid with the grids of those rows that lack some of its features; itself where there is but one.

    No row lacks outputs: their axis is one of every grid.
    """
    n_axes = len(whole.axes)
    subsets = [axes for size in range(1, n_axes) for axes in combinations(range(n_axes), size)]
    outputs = {i for i, axis in enumerate(whole.axes) if not axis.columns}
    subsets = [axes for axes in subsets if outputs.issubset(axes)]
    fewer = tuple(kind(whole.projector.along(axes)) for axes in subsets if whole.projector.acts_along(axes))
    return PatternProjector(whole, fewer) if n_axes > 1 else whole
