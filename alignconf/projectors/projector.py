"""From a function to a function that has a property: what every projector answers, and how projectors are chained.

A :class:`Projector` fixes, before any row calibrates, how the values of a function are changed so that it has some of the
declared parts: on the grid of constrained features (:mod:`alignconf.projectors.grid`), within the orbit of each row
(:mod:`alignconf.projectors.orbit_projector`), or by a surrogate that has the property throughout
(:mod:`alignconf.projectors.surrogate`). A function after a projector is a function itself (:class:`Projected`), so it can be
evaluated at any rows, those of a query included, and projectors compose: a :class:`Chain` applies each to the function that the
ones before it return, clips last, and is a projector again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from alignconf._typing import BoolArray, FloatArray, Model, Table
from alignconf.errors import InputError
from alignconf.lines.axis import Axis
from alignconf.lines.evaluation import PlacedRows
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.queries.queries import PartQueries
from alignconf.tables.predictions import Rounding, predictions

__all__ = ["FEW_ROWS", "AtPoints", "Chain", "Projected", "Projector"]

#: So few rows are asked together with all that their projection asks; with more of them, a call costs what its rows cost.
FEW_ROWS = 16

#: A function and its projection at the points of queries, (n_samples, n_queries, n_points) each, and the size of rounding at
#: each row, (n_samples,).
AtPoints = tuple[FloatArray, FloatArray, FloatArray]


class Projector(ABC):
    """A change of a function that gives it a property."""

    @property
    def is_stand_in(self) -> bool:
        """Whether another function takes the place of the one that is projected."""
        return False

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes along which a row must have a place; rows without keep their values."""
        return ()

    @property
    def laws(self) -> tuple[ReferenceLaw, ...]:
        """The reference laws of the lines that are projected, one for each axis; empty if no lines are."""
        return ()

    @abstractmethod
    def count_sites(self, n_points: int) -> int:
        """Return how many rows the function is asked to project ``n_points`` points made from one row."""

    @property
    @abstractmethod
    def where(self) -> str | None:
        """The points on which the projected values of a row have the property together, in words; None if unknown."""

    @property
    @abstractmethod
    def path(self) -> str:
        """The way to projected values, in words."""

    @property
    def is_exact(self) -> bool:
        """Whether no query of its parts can fail at full strength, by construction."""
        return bool(self.construction)

    @property
    def construction(self) -> str:
        """Why no query can fail at full strength, in words; empty if one can."""
        return ""

    def fitted(self, function: Model, reference: Table) -> Projector:
        """Return the projector fitted to the function at reference rows; by default unchanged."""
        return self

    def within(self, limits: tuple[float, float]) -> Projector:
        """Return the projector with other limits for its values; a projector without limits returns itself."""
        return self

    def along_laws(self, laws: Sequence[ReferenceLaw]) -> Projector:
        """Return the projector with the laws among ``laws`` that have its axes and knots; itself without lines."""
        return self

    @property
    def left_out(self) -> str:
        """What the rows do that are asked nothing, in words."""
        return "lack all constrained features"

    def covers(self, table: Table) -> BoolArray:
        """Return which rows are projected, (n_samples,), whether or not they have all places; by default all."""
        return np.ones(table.shape[0], dtype=bool)

    def project_rows(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return projected values at rows, (n_samples,), from the function's own values ``predicted``; some may lack places."""
        placed = rows.along(self.axes)
        if placed.present.all():
            return self.apply(function, placed, predicted) if predicted.size else predicted
        values = predicted.copy()
        if placed.present.any():
            present = placed.take(np.flatnonzero(placed.present))
            values[placed.present] = self.apply(function, present, predicted[placed.present])
        return values

    def at_rows(self, function: Model, rows: PlacedRows) -> tuple[FloatArray, FloatArray]:
        """Return the function and its projection at a few rows, both (n_samples,); some may lack places.

        As asking the function and :meth:`project_rows`, in as few calls of the model as there can be: each call about a single
        row costs as much as one about dozens.
        """
        predicted, _ = predictions(function, rows.table)
        return predicted, self.project_rows(function, rows, predicted)

    @abstractmethod
    def apply(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return projected values, (n_samples,), at rows that have all places, along the axes of the projector."""

    def learning_from(self, labels: Any, *, keeps_trees: bool) -> Projector:
        """Return the projector with labels of the reference rows and whether a model's trees must stay; by default unchanged."""
        return self

    def explained(self, reason: str) -> Projector:
        """Return the projector with why it was chosen, in words; by default unchanged."""
        return self

    @property
    def native(self) -> Model | None:
        """The projected function as a model by itself, which needs no other; None if it is none."""
        return None

    @property
    def leaf_path(self) -> Any:
        """The way from the model to the projection leaf by leaf; None if leaves are not what is projected."""
        return None

    def keeps(self, limits: tuple[float, float]) -> bool:
        """Return whether no projected value is outside limits, whatever the row."""
        return not np.isfinite(limits).any()

    def serves(self, part: PartQueries) -> bool:
        """Return whether the answers to queries can be read off the lines that are projected; see :meth:`at_queries`."""
        return False

    def at_queries(self, function: Model, rows: PlacedRows, parts: Sequence[PartQueries]) -> Iterable[AtPoints]:
        """Return the function and its projection at the points of queries, for each part.

        Parameters
        ----------
        function : Model
        rows : PlacedRows, n_samples of them, with all places
        parts : queries of each part at these rows
        """
        return (self._anywhere(function, rows.table, part) for part in parts)

    def _anywhere(self, function: Model, table: Table, part: PartQueries) -> AtPoints:
        """Return the function and its projection at the points of queries, asked as rows of their own."""
        f, g, rounding = [], [], Rounding(0.0)
        for sites in part.sites(table):
            values, rounding = predictions(function, sites)
            f.append(values)
            g.append(self.project_rows(function, PlacedRows.of(sites, self.axes), values))
        at_points = part.arrange(f)
        return at_points, part.arrange(g), rounding.of(at_points)

    def along(self, function: Model, rows: PlacedRows, axis: int, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the function and its projection as rows move along one axis, both (n_samples, n_places), as ``places``.

        Raises
        ------
        InputError
            If no lines are projected.
        """
        raise InputError("nothing is projected along lines alone, so there is no line to look at.")

    def half_widths(self, function: Model, rows: PlacedRows) -> FloatArray:
        """Return, per row, a half-width within which one member exists on all that :attr:`where` names: (n_samples,)."""
        raise TypeError(f"{type(self).__name__} has no half-widths")

    def repairs_exactly(self, function: Model, rows: PlacedRows) -> BoolArray:
        """Return, per row, whether the projected values, clipped, have the property on all that :attr:`where` names."""
        raise TypeError(f"{type(self).__name__} cannot tell")


@dataclass(frozen=True)
class Chain(Projector):
    """Projectors applied one after the other, each to the function that the ones before it return; clipped last.

    Parameters
    ----------
    stages : tuple of Projector
    limits : (float, float)
        Values that the projected function does not leave.
    """

    stages: tuple[Projector, ...]
    limits: tuple[float, float] = (-np.inf, np.inf)

    @property
    def _only(self) -> Projector | None:
        """The stage that answers for the chain, if there is no other."""
        return self.stages[0] if len(self.stages) == 1 else None

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of all stages, each once."""
        return tuple(dict.fromkeys(axis for stage in self.stages for axis in stage.axes))

    @property
    def laws(self) -> tuple[ReferenceLaw, ...]:
        """The reference laws of the only stage."""
        return () if self._only is None else self._only.laws

    @property
    def left_out(self) -> str:
        """What the first stage says."""
        return self.stages[0].left_out if self.stages else super().left_out

    def covers(self, table: Table) -> BoolArray:
        """Return which rows all stages project."""
        covered = np.ones(table.shape[0], dtype=bool)
        for stage in self.stages:
            covered &= stage.covers(table)
        return covered

    def count_sites(self, n_points: int) -> int:
        """Return the number of rows that a single stage asks about, or the product over the stages."""
        if self._only is not None:
            return self._only.count_sites(n_points)
        return n_points * prod(stage.count_sites(1) for stage in self.stages)

    @property
    def path(self) -> str:
        """The way to projected values, in words."""
        steps = ", then ".join(stage.path for stage in self.stages) or "by clipping"
        return f"exact, {steps}" if self.is_exact else steps

    @property
    def construction(self) -> str:
        """What the only stage says; values that are cut off alone keep within their limits."""
        if not self.stages:
            return "predictions are cut off at the limits"
        return "" if self._only is None else self._only.construction

    @property
    def is_stand_in(self) -> bool:
        """Whether one of the stages is."""
        return any(stage.is_stand_in for stage in self.stages)

    @property
    def native(self) -> Model | None:
        """The function of the only stage, if nothing of it is clipped."""
        return self._only.native if self._only is not None and self._only.keeps(self.limits) else None

    @property
    def leaf_path(self) -> Any:
        """The way of the only stage, if nothing of it is clipped."""
        return self._only.leaf_path if self._only is not None and self._only.keeps(self.limits) else None

    @property
    def where(self) -> str | None:
        """The points of the only stage; the row itself if values are clipped only."""
        if not self.stages:
            return "at a fresh row"
        return None if self._only is None else self._only.where

    def fitted(self, function: Model, reference: Table) -> Chain:
        """Return the chain, each stage fitted to the function that the ones before it return."""
        stages: tuple[Projector, ...] = ()
        for stage in self.stages:
            stages += (stage.fitted(function, reference),)
            function = Projected(function, stages[-1])
        return replace(self, stages=stages)

    def learning_from(self, labels: Any, *, keeps_trees: bool) -> Chain:
        """Return the chain whose stages may learn from labels."""
        return replace(
            self, stages=tuple(stage.learning_from(labels, keeps_trees=keeps_trees) for stage in self.stages)
        )

    def within(self, limits: tuple[float, float]) -> Chain:
        """Return the chain with other limits, for each stage and in the end."""
        return Chain(tuple(stage.within(limits) for stage in self.stages), limits)

    def project_rows(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return projected values at rows, (n_samples,): each stage tells which of them it projects."""
        return self.apply(function, rows, predicted) if predicted.size else predicted

    def at_rows(self, function: Model, rows: PlacedRows) -> tuple[FloatArray, FloatArray]:
        """Return the function and its projection at a few rows, as the only stage asks them."""
        if self._only is None:
            return super().at_rows(function, rows)
        predicted, values = self._only.at_rows(function, rows)
        return predicted, self._clipped(values)

    def apply(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return projected values at the rows, (n_samples,)."""
        values = predicted
        for stage in self.stages:
            values, function = stage.project_rows(function, rows, values), Projected(function, stage)
        return self._clipped(values)

    def _clipped(self, values: FloatArray) -> FloatArray:
        low, high = self.limits
        return values if low == -np.inf and high == np.inf else np.clip(values, low, high)

    def serves(self, part: PartQueries) -> bool:
        """Return what the only stage says; several stages answer anywhere."""
        return self._only is not None and self._only.serves(part)

    def at_queries(self, function: Model, rows: PlacedRows, parts: Sequence[PartQueries]) -> Iterator[AtPoints]:
        """Return the function and its projection at the points of queries, off the lines of the only stage where it serves."""
        served = [part for part in parts if self.serves(part)]
        off_lines = iter(self._only.at_queries(function, rows, served) if served and self._only is not None else ())
        for part in parts:
            yield next(off_lines) if self.serves(part) else self._anywhere(function, rows.table, part)

    def along(self, function: Model, rows: PlacedRows, axis: int, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the function and its projection along an axis of the only stage."""
        if self._only is None:
            return super().along(function, rows, axis, places)
        return self._only.along(function, rows, axis, places)

    def half_widths(self, function: Model, rows: PlacedRows) -> FloatArray:
        """Return the half-widths of the only stage; how far values are outside the limits if they are clipped only."""
        if self._only is not None:
            return self._only.half_widths(function, rows)
        f, _ = predictions(function, rows.table)
        outside: FloatArray = np.abs(np.clip(f, *self.limits) - f)
        return outside

    def repairs_exactly(self, function: Model, rows: PlacedRows) -> BoolArray:
        """Return what the only stage says; clipped values have their bounds."""
        return (
            np.ones(len(rows.places), dtype=bool) if self._only is None else self._only.repairs_exactly(function, rows)
        )


@dataclass(frozen=True)
class Projected:
    """A function after a projector: a function again.

    Parameters
    ----------
    before : Model
    projector : Projector
    """

    before: Model
    projector: Projector

    def with_rounding(self, table: Table) -> tuple[FloatArray, Rounding]:
        """Return projected values, (n_samples,), and the rounding of the function before the projector."""
        predicted, rounding = predictions(self.before, table)
        rows = PlacedRows.of(table, self.projector.axes)
        return self.projector.project_rows(self.before, rows, predicted), rounding

    def predict(self, table: Table) -> FloatArray:
        """Return projected values, (n_samples,)."""
        return self.with_rounding(table)[0]
