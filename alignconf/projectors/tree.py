r"""Repair on a tree ensemble's own pieces: exact, and at about the cost of a prediction.

Along a feature a tree ensemble is a step function cut by its own thresholds, and one walk of each tree tells the whole line
(:mod:`alignconf.lines.ensemble`). The line is projected on its pieces, weighted by the reference mass of each; at any value
in piece ``p`` the repaired function is the projection :math:`G_p`, and the model's own prediction, bit for bit, where the
projection leaves the piece alone. All values in a piece are alike. It works for properties that declare that they compare
nothing but order (:attr:`~alignconf.contract.property.LineProperty.cuts`), such as order, invariance and unimodality; a
known peak cuts the pieces too.

**Exactness.** A step function has such a property iff the values of its pieces have, cut at the thresholds of the trees and
right before and at each of the property's own cuts: two values of one piece are equal, which every comparison allows. One
part alone, or several that demand order or constancy, are projected onto a member. Where several others leave a demand unmet,
the line becomes constant, which every comparison allows. Cutting off at limits keeps the order of values.

**Rounding.** An increasing or decreasing function is delivered in order to the last bit if the model adds leaf after leaf in
its own precision, as the walk does: lines with steps of rounding size are summed like that, and a prediction that is kept
stays between the pieces that are moved. Other properties hold up to rounding
(:attr:`alignconf.lines.ensemble.Ensemble.rounding`).

:class:`UnreadProjector` decides when it is fitted: models whose trees can be read get this repair. Where a feature has more than
``MAX_PIECES`` pieces, as in a forest, its lines are walked at knots, quantiles of the reference law; so are lines and grids of
two features of other properties, at their own knots. All others ask the model. The reason is part of the calibration.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray, Model, Table
from alignconf.errors import PredictionError
from alignconf.kernels.sums import total
from alignconf.lines.axis import Axis
from alignconf.lines.composition import exact_lines_of
from alignconf.lines.evaluation import Lines, PlacedRows
from alignconf.lines.exact_lines import ExactGrids, ExactLine, ExactLines, Move, piece_of
from alignconf.lines.piped_lines import PipedGrids, PipedLine
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.lines.routes import Route
from alignconf.projectors.grid import GridProjector
from alignconf.projectors.line_projection import LineProjection
from alignconf.projectors.projector import AtPoints, Projector
from alignconf.queries.queries import PartQueries
from alignconf.tables import table as tables
from alignconf.tables.predictions import Rounding

__all__ = ["MAX_PIECES", "TreeProjector", "UnreadProjector", "WalkedGridProjector", "check_unchanged"]

#: A feature with more pieces is looked at on this many quantiles.
MAX_PIECES = 1024
N_QUANTILES = 256

#: Where lines are walked at knots only, that many rows of a block are compared again.
N_CHECKED = 16

#: The model's sums and the walk's may both be rounded.
AGREEMENT = 2.0

#: Lines of models behind steps.
PIPED = (PipedLine, PipedGrids)

#: What the arithmetic of a projection alone changes is no repair.
ARITHMETIC = Rounding(2.0**-44)


class WalkingProjector(GridProjector):
    """Lines are known exactly, and the model is asked about the rows themselves only."""

    @property
    @abstractmethod
    def exact(self) -> ExactGrids:
        """What tells the lines."""

    @abstractmethod
    def along_exact(self, exact: Any) -> GridProjector:
        """Return the projector with lines that are told by something else."""

    def at_rows(self, function: Model, rows: PlacedRows) -> tuple[FloatArray, FloatArray]:
        """Return the function and its repair at a few rows, which pass the steps of a Pipeline once."""
        exact: ExactGrids = self.exact
        model: Any = getattr(function, "model", function)
        is_of_rows = len(self.laws) > 1 or not self.laws[0].is_marginal or not hasattr(model, "behind_steps")
        if is_of_rows or not isinstance(exact, PIPED) or exact.model.of_model or isinstance(exact.inner, PIPED):
            return Projector.at_rows(self, function, rows)
        passed = exact.model.passed(rows.table)
        if hasattr(passed, "toarray"):
            return Projector.at_rows(self, function, rows)
        behind, moved = self.along_exact(exact.inner), replace(rows, table=tables.as_table(passed))
        return Projector.at_rows(behind, model.behind_steps, moved)


@dataclass(frozen=True)
class TreeProjector(WalkingProjector):
    """Each row's line is walked in the model's trees and projected on its pieces.

    Parameters
    ----------
    projector : LineProjection
        As for any model, with the law that queries are drawn from.
    steps : LineProjection
        The same parts on the pieces.
    tree_lines : ExactLine
    """

    steps: LineProjection
    tree_lines: ExactLine

    @property
    def places(self) -> FloatArray:
        """The places of the line, one in each piece: (n_pieces,)."""
        return self.steps.laws[0].knots

    @property
    def rounding(self) -> Rounding:
        """The rounding of the model's sums."""
        return self.tree_lines.model.rounding

    def count_sites(self, n_points: int) -> int:
        """Return the number of points plus a sixteenth of that of pieces: few enough blocks, enough to be spread over threads."""
        return n_points + self.places.size // 16

    @property
    def where(self) -> str:
        """The whole line."""
        return "on the whole line of a fresh row"

    @property
    def path(self) -> str:
        """The way to the lines, in words."""
        return f"on the {self.places.size} pieces of the model's own {self.tree_lines.model.made_of}"

    @property
    def construction(self) -> str:
        """Why at full strength no query can fail."""
        return f"the function is repaired on every piece of the model's own {self.tree_lines.model.made_of}"

    @property
    def exact(self) -> ExactGrids:
        """The line."""
        return self.tree_lines

    def along_exact(self, exact: Any) -> TreeProjector:
        """Return the projector with another line."""
        return replace(self, tree_lines=exact)

    def apply(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return repaired values at the rows, (n_samples,).

        Raises
        ------
        PredictionError
            If the model does not answer what its trees said at calibration.
        """
        values, fitted, below, above = (
            lookup[:, 0] for lookup in self._look_up(rows.table, rows.places, predicted[:, None])
        )
        check_unchanged(self.tree_lines.model, rows.table, values, predicted)
        return np.where(fitted != values, fitted, np.minimum(np.maximum(predicted, below), above))

    def at_queries(self, function: Model, rows: PlacedRows, parts: Sequence[PartQueries]) -> list[AtPoints]:
        """Return the function, its repair and the size of rounding at queries along the axis."""
        places = [part.coordinates[..., 0] for part in parts]
        f, g = self.along(
            function, rows, 0, np.concatenate([of_part.reshape(len(of_part), -1) for of_part in places], axis=1)
        )
        size, evaluated, start = self.rounding.of(f), [], 0
        for of_part in places:
            stop = start + int(np.prod(of_part.shape[1:]))
            evaluated.append((f[:, start:stop].reshape(of_part.shape), g[:, start:stop].reshape(of_part.shape), size))
            start = stop
        return evaluated

    def along(self, function: Model, rows: PlacedRows, axis: int, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the function and its repair as rows move along the axis, both (n_samples, n_places)."""
        values, fitted, _, _ = self._look_up(rows.table, places)
        return values, np.clip(fitted, *self.steps.limits)

    def half_widths(self, function: Model, rows: PlacedRows) -> FloatArray:
        """Return the smallest band that holds a member on the line, per row."""
        return self.steps.half_width(self._walked(rows.table))

    def repairs_exactly(self, function: Model, rows: PlacedRows) -> BoolArray:
        """Return, per row, whether the projection has the property on all pieces."""
        lines = self._walked(rows.table)
        return self.steps.is_member(self._repaired(lines, rows.table), lines.rounding)

    def _repaired(self, lines: Lines, table: Table) -> FloatArray:
        """Return the projections of the lines of rows, each of them a member: (n_samples, n_pieces)."""
        projection = self.steps.project(lines, self.steps.weights_at(table))
        directed = all(part.declared.direction is not None for part in self.steps.parts)
        if directed or len(self.steps.parts) == 1:
            return projection.values
        member = self.steps.is_member(projection.values, lines.rounding)
        weights = np.broadcast_to(projection.weights[0], lines.values.shape)
        mean = total(weights * projection.values) / total(weights)
        return np.where(member[:, None], projection.values, np.clip(mean, *self.steps.limits)[:, None])

    def _look_up(
        self, table: Table, places: FloatArray, predicted: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return the line at places (n_samples, n_places), its repair, and the limits between which kept values stay."""
        pieces: IntArray = piece_of(self.places, places)
        first, *others = (part.declared for part in self.steps.parts)
        if first.compares_pairs and not others:
            weights = self.steps.laws[0].weights_at(table) if self.steps.norm == "l2" else None
            projected = self.tree_lines.project(
                table, pieces, weights, increasing=first.direction == 1, predicted=predicted
            )
            return projected.values, projected.fitted, projected.below, projected.above
        lines = self._walked(table, ARITHMETIC)
        fitted = self._repaired(lines, table)
        values, repaired = (np.take_along_axis(of_pieces, pieces, axis=1) for of_pieces in (lines.values, fitted))
        return values, repaired, np.full(values.shape, -np.inf), np.full(values.shape, np.inf)

    def _walked(self, table: Table, rounding: Rounding | None = None) -> Lines:
        values = self.tree_lines.values(table)
        return Lines(values, (rounding or self.rounding).of(values))


@dataclass(frozen=True)
class WalkedGridProjector(WalkingProjector):
    """Lines, or grids of two features, are walked at knots in the model's trees instead of asking the model.

    Parameters
    ----------
    projector : LineProjection
    walked : ExactGrids
        At the knots.
    """

    walked: ExactGrids

    @property
    def path(self) -> str:
        """The way to the lines, in words."""
        knots = " x ".join(str(law.knots.size) for law in self.projector.laws)
        return f"at {knots} knots in the model's own {self.walked.model.made_of}, because {self.reason}"

    @property
    def exact(self) -> ExactGrids:
        """The lines at the knots."""
        return self.walked

    def along_exact(self, exact: Any) -> WalkedGridProjector:
        """Return the projector with other lines."""
        return replace(self, walked=exact)

    def lines(self, function: Model, table: Table) -> Lines:
        """Return the trees' values at the knots of each row's line, or grid."""
        values = self.walked.values(table)
        return Lines(values, self.walked.model.rounding.of(values))

    def apply(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return repaired values at the rows, (n_samples,).

        Raises
        ------
        PredictionError
            If the model does not answer, in the first rows, what its trees said at calibration.
        """
        few = tables.take(rows.table, np.arange(min(rows.table.shape[0], N_CHECKED)))
        model = self.walked.model
        check_unchanged(model, few, model.predict(few), predicted[:N_CHECKED])
        return super().apply(function, rows, predicted)


@dataclass(frozen=True)
class UnreadProjector(GridProjector):
    """A grid on the model itself, whose lines the model's own pieces may tell once it is fitted."""

    def fitted(self, function: Model, reference: Table) -> GridProjector:
        """Return the projector that goes through the model's trees, or the grid with the reason why it does not."""
        return through_trees(GridProjector(self.projector), function, reference)


def through_trees(repair: GridProjector, function: Model, reference: Table) -> GridProjector:
    """Return the repair by way of the model's exact lines where they are known, otherwise the same with the reason why not."""
    laws = repair.projector.laws
    axes = [law.axis for law in laws]
    reason = _why_unseen(axes)
    model = reason or exact_lines_of(function, reference)
    if isinstance(model, str):
        return replace(repair, reason=model)
    unknown = next((sentence for axis in axes if (sentence := model.why_not(Route.of(axis)))), "")
    if unknown:
        return replace(repair, reason=unknown)
    reason = _why_not_pieces(repair) or model.why_no_pieces(Route.of(axes[0]))
    ends = np.empty(0) if reason else _ends(repair, model)
    if not reason and ends.size < MAX_PIECES:
        return _on_pieces(repair, model, ends)
    if not reason:
        reason = f"the model's {model.made_of} cut the feature in {ends.size + 1} pieces."
        laws = (laws[0].at_quantiles(N_QUANTILES),)
        repair = replace(repair, projector=_on(repair.projector, laws[0]))
    moves = [Move.along(law.axis, law.knots) for law in laws]
    walked = model.line(moves[0]) if len(moves) == 1 else model.plane(moves[0], moves[1])
    return WalkedGridProjector(repair.projector, walked, reason=reason)


def _ends(repair: GridProjector, model: ExactLines) -> FloatArray:
    """Return where the pieces of a feature end, the last one apart: at the model's thresholds, before and at other cuts."""
    cuts = np.array([cut for part in repair.projector.parts for cut in part.cuts or ()])
    with np.errstate(over="ignore"):
        before = np.nextafter(cuts, -np.inf)
    axis = repair.projector.laws[0].axis
    ends = np.concatenate([model.ends(Route.of(axis)), before, cuts])
    low, high = axis.domain.between
    # Outside the range nothing is demanded: its pieces end where those inside do.
    return np.unique(ends[np.isfinite(ends) & (ends >= low) & (ends < high)])


def _on_pieces(repair: GridProjector, model: ExactLines, ends: FloatArray) -> TreeProjector:
    """Return the repair on pieces of a feature, all but the last of which end at ``ends`` (n_pieces - 1,)."""
    (law,) = repair.projector.laws
    last = float(law.places[-1])
    if ends.size:
        last = min(max(last, float(ends[-1]) + abs(float(ends[-1])) + 1.0), law.axis.domain.between[1])
    places = np.append(ends, last)
    steps = law.on_pieces(places, piece_of(places, law.places))
    return TreeProjector(repair.projector, _on(repair.projector, steps), model.line(Move.along(law.axis, places)))


def _why_unseen(axes: Sequence[Axis]) -> str:
    """Return why a repair cannot go through trees, whatever the model; empty if it can."""
    if len(axes) > 2:
        return f"{len(axes)} features share a grid."
    if any(len(axis.columns) > 1 for axis in axes):
        return "the line is along two features at once."
    return ""


def _why_not_pieces(repair: GridProjector) -> str:
    """Return why the pieces of trees would not do for a property; empty if they would."""
    if len(repair.projector.laws) > 1:
        return "two features share a grid."
    if repair.projector.laws[0].axis.order is not None:
        return "its categories are all its places."
    others = [part.declared for part in repair.projector.parts if part.declared.tol or part.cuts is None]
    return f"{others[0]} compares more than the order of places." if others else ""


def _on(projector: LineProjection, law: ReferenceLaw) -> LineProjection:
    """Return a projector of one axis with other knots."""
    parts = tuple(replace(part, axis=0, law=law) for part in projector.parts)
    return replace(projector, laws=(law,), parts=parts)


def check_unchanged(model: ExactLines, table: Table, walked: FloatArray, predicted: FloatArray) -> None:
    """Refuse a model that does not answer what its lines say of rows, (n_samples,)."""
    wrong = np.flatnonzero(~_agree(walked, predicted, model.rounding))
    if wrong.size:
        # A value as near to the end of a piece as rounding may be in the next one: the row itself tells.
        itself = model.predict(tables.take(table, wrong))
        wrong = wrong[~_agree(itself, predicted[wrong], model.rounding)]
    if wrong.size:
        row = int(wrong[0])
        raise PredictionError(
            f"the model predicts {predicted[row]:.6g} in row {row}, its {model.made_of} at calibration said {walked[row]:.6g}: "
            "it has changed since, for example by another fit. Calibrate again."
        )


def _agree(walked: FloatArray, predicted: FloatArray, rounding: Rounding) -> BoolArray:
    """Return where the sums of trees are the model's predictions, up to the rounding of both: (n_samples,)."""
    largest = np.maximum(np.abs(walked), np.abs(predicted))
    return np.asarray(
        np.abs(walked - predicted) <= AGREEMENT * np.maximum(rounding.absolute, rounding.relative * largest)
    )
