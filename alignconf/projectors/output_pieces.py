"""Repair of several models of trees, one for each output, on the pieces of all of them together.

Along a feature each model is a step function, and one walk of its trees tells the whole line. Cut at the thresholds of all of
them, every output of a row is a step function with the same pieces; so rules of order and invariance are projected on the pieces
and along the outputs at once, and nothing is left between knots, as for one model (:mod:`alignconf.projectors.tree`). Models
whose trees cannot be read, and other rules, are asked at knots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray, Model, Table
from alignconf.lines.evaluation import Lines, PlacedRows, moving_laws
from alignconf.lines.exact_lines import ExactLine, ExactLines, Move, piece_of
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.lines.routes import Route
from alignconf.projectors.grid import GridProjector
from alignconf.projectors.line_projection import SNAP, LineProjection
from alignconf.projectors.projector import AtPoints, Projector
from alignconf.projectors.tree import MAX_PIECES, check_unchanged
from alignconf.queries.queries import PartQueries
from alignconf.tables.predictions import Rounding

__all__ = ["OutputPieces", "UnreadOutputs"]


@dataclass(frozen=True)
class OutputPieces(GridProjector):
    """Each row's lines, one for each output, are walked in the trees of the models and projected on their common pieces.

    Parameters
    ----------
    projector : LineProjection
        As for any model, with the law that queries are drawn from.
    steps : LineProjection
        The same parts on the pieces.
    tree_lines : tuple of ExactLine
        Of each output, at the ends of its own pieces.
    pieces : tuple of (n_pieces,)
        The piece of each output's own that every common piece lies in.
    own_laws : tuple of ReferenceLaw
        Of each output, on its own pieces: least squares there and on the common pieces are the same.
    """

    steps: LineProjection
    tree_lines: tuple[ExactLine, ...]
    pieces: tuple[IntArray, ...]
    own_laws: tuple[ReferenceLaw, ...]

    @property
    def path(self) -> str:
        """The way to the lines, in words."""
        return f"on the {self.steps.laws[0].knots.size} pieces of the trees of all {len(self.tree_lines)} outputs"

    @property
    def where(self) -> str:
        """The whole line."""
        return "on the whole line of a fresh row"

    @property
    def construction(self) -> str:
        """Why at full strength no query can fail; unknown for rules that are not about order."""
        if any(part.declared.direction is None for part in self.steps.parts):
            return ""
        return "the function is repaired on every piece of the trees of all outputs"

    @property
    def rounding(self) -> Rounding:
        """The largest rounding of the models' sums."""
        of_models = [line.model.rounding for line in self.tree_lines]
        return Rounding(max(size.relative for size in of_models), max(size.absolute for size in of_models))

    def count_sites(self, n_points: int) -> int:
        """Return the number of points plus that of pieces, of all outputs."""
        return n_points + self.steps.laws[0].knots.size * len(self.tree_lines)

    def lines(self, function: Model, table: Table) -> Lines:
        """Return the values on the pieces, (n_samples, n_pieces, n_outputs)."""
        values = self._walked(table)
        return Lines(values, self.rounding.of(values))

    def at_rows(self, function: Model, rows: PlacedRows) -> tuple[FloatArray, FloatArray]:
        """Return the function and its repair at a few rows: the models are asked about the rows themselves only."""
        return Projector.at_rows(self, function, rows)

    def apply(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return repaired values at the rows, (n_samples, n_outputs): the models' own where no output of a row is moved.

        Raises
        ------
        PredictionError
            If a model does not answer what its trees said at calibration.
        """
        f, g = (values[:, 0] for values in self._at_places(function, rows, self._places(rows)[:, None]))
        for output, line in enumerate(self.tree_lines):
            check_unchanged(line.model, rows.table, f[:, output], predicted[:, output])
        return np.where((g != f).any(axis=1)[:, None], g, predicted)

    def at_queries(self, function: Model, rows: PlacedRows, parts: Sequence[PartQueries]) -> list[AtPoints]:
        """Return the function, its repair and the size of rounding at queries along the axis, or at the rows themselves."""
        places = [part.coordinates[..., 0] if part.drawn_from else self._places(rows)[:, None, None] for part in parts]
        f, g = self._at_places(
            function, rows, np.concatenate([of_part.reshape(len(of_part), -1) for of_part in places], axis=1)
        )
        size, answers, start = self.rounding.of(f), [], 0
        for part, of_part in zip(parts, places, strict=True):
            stop, shape = start + int(np.prod(of_part.shape[1:])), (*of_part.shape, f.shape[-1])
            of_f, of_g = (part.of_outputs(values[:, start:stop].reshape(shape)) for values in (f, g))
            answers.append((of_f, of_g, size))
            start = stop
        return answers

    def along(self, function: Model, rows: PlacedRows, axis: int, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the function and its repair as rows move along the axis, both (n_samples, n_places, n_outputs)."""
        return self._at_places(function, rows, np.broadcast_to(places, (len(rows.places), places.shape[1])))

    def half_widths(self, function: Model, rows: PlacedRows) -> FloatArray:
        """Return the smallest band that holds a member on the line, per row."""
        return self.steps.half_width(self.lines(function, rows.table))

    def repairs_exactly(self, function: Model, rows: PlacedRows) -> BoolArray:
        """Return, per row, whether the projection has the property on all pieces."""
        lines = self.lines(function, rows.table)
        return self.steps.is_member(self.steps.project(lines, self.steps.weights_at(rows.table)).values, lines.rounding)

    def _places(self, rows: PlacedRows) -> FloatArray:
        return rows.along([self.steps.laws[0].axis]).places[:, 0]

    def _at_places(self, function: Model, rows: PlacedRows, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the lines and their projections at places (n_samples, n_places): two (n_samples, n_places, n_outputs)."""
        direction = self._order
        if direction is not None:
            return self._in_one_walk(rows.table, places, increasing=direction == 1)
        numbers = piece_of(self.steps.laws[0].knots, places)[..., None]
        values, weights = self._walked(rows.table), self.steps.weights_at(rows.table)
        f = np.take_along_axis(values, numbers, axis=1)
        if self.is_by_place:
            along_feature = np.take_along_axis(self.steps.repair(values, (0,), weights), numbers, axis=1)
            repaired = self.steps.repair(along_feature.reshape(-1, f.shape[-1]), (1,), weights).reshape(f.shape)
        else:
            repaired = np.take_along_axis(self.steps.repair(values, (0, 1), weights), numbers, axis=1)
        size = SNAP * self.rounding.of(values)[:, None, None]
        return f, np.clip(np.where(np.abs(repaired - f) > size, repaired, f), *self.steps.limits)

    @property
    def _order(self) -> int | None:
        """The order along the feature, if nothing else is demanded of it: then each line is projected as its trees are walked."""
        along = [part.declared for part in self.steps.parts if part.axis == 0]
        is_only = len(along) == 1 and along[0].compares_pairs and self.is_by_place
        return along[0].direction if is_only else None

    def _in_one_walk(self, table: Table, places: FloatArray, *, increasing: bool) -> tuple[FloatArray, FloatArray]:
        """Return the lines and their projections at places, each output's line projected on its own pieces."""
        looked_up = [
            line.project(table, piece_of(law.knots, places), law.weights_at(table), increasing=increasing)
            for line, law in zip(self.tree_lines, self.own_laws, strict=True)
        ]
        f, fitted = (
            np.stack([getattr(of_line, name) for of_line in looked_up], axis=-1) for name in ("values", "fitted")
        )
        of_outputs = self.steps.repair(fitted.reshape(-1, f.shape[-1]), (1,), self.steps.weights_at(table))
        size = SNAP * self.rounding.of(f)[:, None, None]
        repaired = of_outputs.reshape(f.shape)
        return f, np.clip(np.where(np.abs(repaired - f) > size, repaired, f), *self.steps.limits)

    @property
    def is_by_place(self) -> bool:
        """Whether outputs are repaired place by place once the lines are, so that those of the places asked about will do."""
        return self.steps.norm == "l2" and all(part.named is None for part in self.steps.parts)

    def _walked(self, table: Table) -> FloatArray:
        walked = [line.values(table)[:, own] for line, own in zip(self.tree_lines, self.pieces, strict=True)]
        return np.stack(walked, axis=-1)


@dataclass(frozen=True)
class UnreadOutputs(GridProjector):
    """A grid of a model with several outputs, whose lines the trees of its outputs may tell once it is fitted."""

    def fitted(self, function: Model, reference: Table) -> GridProjector:
        """Return the projector that goes through the trees of all outputs, or the grid at knots with the reason why not."""
        asked = GridProjector(self.projector)
        if not moving_laws(self.laws):
            return asked
        reason = _why_not_pieces(self.projector)
        outputs: Any = getattr(function, "model", function)
        models = reason or outputs.exact_lines_of_outputs(reference)
        if isinstance(models, str):
            return replace(asked, reason=models)
        route = Route.of(self.laws[0].axis)
        for model in models:
            if unknown := model.why_not(route):
                return replace(asked, reason=unknown)
        return _on_pieces(asked, models, route)


def _why_not_pieces(projector: LineProjection) -> str:
    """Return why pieces of trees would not do; empty if they would."""
    law, *others = moving_laws(projector.laws)
    if others:
        return f"{len(others) + 1} features share a grid."
    if len(law.axis.columns) > 1:
        return "the line is along two features at once."
    if law.axis.order is not None:
        return "its categories are all its places."
    for part in projector.parts:
        if part.law is law and (part.declared.tol or part.cuts != ()):
            return f"{part.declared} compares more than the order of places."
    return ""


def _on_pieces(asked: GridProjector, models: Sequence[ExactLines], route: Route) -> GridProjector:
    """Return the repair on the common pieces of models, or at knots if these are too many."""
    law, of_outputs = asked.laws
    low, high = law.axis.domain.between
    ends = [model.ends(route) for model in models]
    common = np.unique(np.concatenate(ends))
    common = common[np.isfinite(common) & (common >= low) & (common < high)]
    if common.size >= MAX_PIECES:
        return replace(asked, reason=f"the trees of all outputs cut the feature in {common.size + 1} pieces.")
    last = float(law.places[-1])
    if common.size:
        last = min(max(last, float(common[-1]) + abs(float(common[-1])) + 1.0), high)
    places = np.append(common, last)
    own = [np.append(of_model[np.isfinite(of_model) & (of_model < last)], last) for of_model in ends]
    lines = tuple(model.line(Move.along(law.axis, of_model)) for model, of_model in zip(models, own, strict=True))
    pieces = tuple(piece_of(of_model, places) for of_model in own)
    on_pieces = law.on_pieces(places, piece_of(places, law.places))
    parts = tuple(replace(part, law=on_pieces) if part.law is law else part for part in asked.projector.parts)
    steps = replace(asked.projector, laws=(on_pieces, of_outputs), parts=parts)
    own_laws = tuple(
        replace(
            law.on_pieces(of_model, piece_of(of_model, law.places)),
            weights=np.bincount(numbers, on_pieces.weights, of_model.size).astype(np.float64),
        )
        for of_model, numbers in zip(own, pieces, strict=True)
    )
    return OutputPieces(asked.projector, steps, lines, pieces, own_laws)
