"""From the lines of a model to lines that have the property: the projection ``g`` at the knots.

``"l2"`` repairs each line by weighted least squares under the reference law; ``"sup"`` by the member with the smallest
largest deviation, midway between the smallest member above and the largest below. For a property with several parts the
repairs are applied one after the other along the axes of the grid. Repairs of order, of bounded slopes and of invariance are
order preserving, so each keeps what the previous ones reached and the result is an exact member of the conjunction; for one
part it is also the exact minimiser, for several the least-squares composition is a member but not the nearest one. That
holds for weights that differ from row to row too, as long as all lines of a grid along an axis have the same. Joint
repairs with curvature or unimodality need not be members; :meth:`LineProjection.is_member` tells. A part about some outputs of a
model only can be undone by one about all of them: such parts are repaired in turns, and what is left is closed by moving midway
between the smallest member above and the largest below, which is a member again.

References
----------
.. [1] Barlow, R. E. et al. (1972). Statistical Inference under Order Restrictions. Wiley.
.. [2] Overman, W., Vallon, J. J. and Bayati, M. (2024). Aligning Model Properties via Conformal Risk Control.
   NeurIPS 2024. arXiv:2406.18777
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from alignconf._typing import BoolArray, FloatArray, Table
from alignconf.contract.property import LineProperty, centred
from alignconf.lines.evaluation import Lines, moving_laws
from alignconf.lines.reference_law import ReferenceLaw

__all__ = ["SNAP", "LineProjection", "Part", "Projection", "Weights", "demands_on_knots"]

#: Differences below this share of the rounding are not repaired. They can add up over the points of a query and over
#: the levels at which values between knots are built (one for each constrained feature, at most three).
SNAP = 0.125

#: Parts of which some are about named outputs only are repaired in turns, so often, and their envelopes at most so often; a pass
#: that changes nothing is the last.
PASSES = 4
MOST_PASSES = 64

#: Of the knots, for each axis: (n_knots,) for all rows, or (n_samples, n_knots), the rows' own.
Weights: TypeAlias = tuple[FloatArray, ...]


@dataclass(frozen=True)
class Part:
    """One part of a property, tied to the axis of the grid along which it acts and to that axis's reference law.

    Parameters
    ----------
    declared : LineProperty
    axis : int
    law : ReferenceLaw
    named : tuple of int, optional
        Positions of the outputs at which it is demanded; by default all that there are.
    """

    declared: LineProperty
    axis: int
    law: ReferenceLaw
    named: tuple[int, ...] | None = None

    def on_named(self, values: FloatArray, stage: Callable[[FloatArray], Any]) -> Any:
        """Return values with a stage applied to the outputs that the part names, the last dimension; to all if it names none."""
        if self.named is None:
            return stage(values)
        changed = stage(values[..., list(self.named)])
        if changed is None:
            return None
        values = values.copy()
        values[..., list(self.named)] = changed
        return values

    def where_named(self, limits: FloatArray, otherwise: float) -> FloatArray:
        """Return limits at the outputs that the part names, no limit at others."""
        if self.named is None:
            return limits
        few = np.full(limits.shape, otherwise)
        few[..., list(self.named)] = limits[..., list(self.named)]
        return few

    @property
    def asked(self) -> tuple[LineProperty, ...]:
        """What a tester asks about along the axis."""
        return (self.declared,)

    @property
    def cuts(self) -> Sequence[float] | None:
        """The places on whose sides the demands depend, if steps that are cut there can be repaired exactly."""
        return self.declared.cuts

    @property
    def slack(self) -> float:
        """The distance from an exact member within which every demand holds up to the declared tolerance."""
        length = self.declared.max_length
        return 0.0 if length is None else float(self.declared.tol / length)


@dataclass(frozen=True)
class Projection:
    """A member of the property at the knots, next to the lines from which it was made.

    Parameters
    ----------
    lines : Lines
        Values of ``f``, (n_samples, n_knots_1, ..., n_knots_p).
    values : array of the same shape
        Values of ``g``. Where ``g`` and ``f`` differ by rounding only, ``g`` is ``f``.
    weights : tuple of arrays, one for each axis
        Those of the knots that least squares used: (n_knots,) for all rows, or (n_samples, n_knots).
    """

    lines: Lines
    values: FloatArray
    weights: Weights


@dataclass(frozen=True)
class LineProjection:
    """A projector of lines and grids.

    Parameters
    ----------
    laws : tuple of ReferenceLaw
        One for each constrained feature, in the order of the grid's axes.
    parts : tuple of Part
        Repaired in this order.
    norm : {"l2", "sup"}
    limits : (float, float)
        Values that no repaired function leaves: declared bounds, or 0 and 1 for a probability.
    """

    laws: tuple[ReferenceLaw, ...]
    parts: tuple[Part, ...]
    norm: str
    limits: tuple[float, float] = (-np.inf, np.inf)

    @property
    def places_in_words(self) -> str:
        """Where lines, or grids, are projected, in words."""
        moving = moving_laws(self.laws)
        knots = " x ".join(str(law.knots.size) for law in moving)
        outputs = [f"{law.knots.size} outputs" for law in self.laws if not law.axis.columns]
        return "at " + " x ".join([f"{knots} knots"] * bool(moving) + outputs)

    @property
    def slack(self) -> float:
        """The distance from an exact member within which every demand holds up to the declared tolerance."""
        return min(part.slack for part in self.parts)

    def acts_along(self, axes: tuple[int, ...]) -> bool:
        """Return whether some part acts along one of the axes."""
        return any(part.axis in axes for part in self.parts)

    def along(self, axes: tuple[int, ...]) -> LineProjection:
        """Return the projector of the lines, or grids, along some of the axes alone."""
        parts = tuple(replace(part, axis=axes.index(part.axis)) for part in self.parts if part.axis in axes)
        return LineProjection(tuple(self.laws[axis] for axis in axes), parts, self.norm, self.limits)

    def weights_at(self, table: Table) -> Weights:
        """Return the weights of the knots on the lines of rows, axis by axis; those of the laws where none are used."""
        return tuple(law.weights_at(table) if self.norm == "l2" else law.weights for law in self.laws)

    def project(self, lines: Lines, weights: Weights | None = None) -> Projection:
        """Return the repaired lines; see :meth:`is_member` for what a joint repair may leave.

        ``weights`` are those of :meth:`weights_at` the rows of the lines; without them all rows share the laws' own.
        """
        axes = tuple(range(len(self.laws)))
        shared = tuple(law.weights for law in self.laws) if weights is None else weights
        repaired = _snap(self.repair(lines.values, axes, shared), lines.values, lines.rounding)
        return Projection(lines, np.clip(repaired, *self.limits), shared)

    def half_width(self, lines: Lines) -> FloatArray:
        """Return, per row, a half-width within which one member exists on the whole line, or grid: (n_samples,).

        It is that of the midpoint between the smallest member above and the largest below, less what the tolerance
        grants: the smallest possible for one part and for order properties. Zero where it is rounding, infinite where the
        midpoint of a joint repair is no member.
        """
        repaired = np.clip(self._midpoint(lines.values, tuple(range(len(self.laws)))), *self.limits)
        deviation = np.abs(repaired - lines.values)
        largest: FloatArray = deviation.reshape(len(deviation), -1).max(axis=1)
        outside: FloatArray = np.abs(np.clip(lines.values, *self.limits) - lines.values)
        at_least = outside.reshape(len(outside), -1).max(axis=1)
        granted = np.maximum(largest - self.slack, at_least)
        width = np.where(2 * granted > lines.rounding, granted, 0.0)
        return np.where(self.is_member(repaired, lines.rounding), width, np.inf)

    def is_member(self, values: FloatArray, rounding: FloatArray) -> BoolArray:
        """Return whether grids (n_samples, ...) have every part at the knots, up to rounding (n_samples,): (n_samples,).

        One part alone always repairs exactly, and so do order properties, bounded slopes and invariance together. Curvature
        and unimodality next to other parts, or cut off at limits, need not: a later step can undo what was reached before.
        """
        member = np.ones(len(values), dtype=bool)
        if len(self.parts) == 1 and not np.isfinite(self.limits).any():
            return member
        for part in self.parts:
            for nearest in _nearest(part, values):
                member &= np.abs(nearest - values).reshape(len(values), -1).max(axis=1) <= rounding
        return member

    def repair(self, values: FloatArray, axes: tuple[int, ...], weights: Weights) -> FloatArray:
        """Repair grids (n_grids, ...) whose dimensions after the first are the given axes of the property.

        ``weights`` has those of all axes of the property, for all grids or for each.
        """
        return self._least_squares(values, axes, weights) if self.norm == "l2" else self._midpoint(values, axes)

    def closed_limits(self, low: FloatArray, high: FloatArray, axes: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        """Return limits of grids narrowed to what the parts along some axes leave between them.

        Limits at all outputs are members themselves, and nothing is narrowed; those at named outputs limit others by order.
        """
        acting = self._acting(axes)
        if not self._names_outputs or not acting:
            return low, high
        lowest, highest = self._envelope(low, acting, "upper"), self._envelope(high, acting, "lower")
        return low if lowest is None else lowest, high if highest is None else highest

    def _least_squares(self, values: FloatArray, axes: tuple[int, ...], weights: Weights) -> FloatArray:
        acting = self._acting(axes)
        in_turns = self._names_outputs and len(acting) > 1
        for _ in range(PASSES if in_turns else 1):
            for part, dimension in acting:
                stage = partial(_nearest_lines, part, weights[part.axis], dimension)
                values = part.on_named(values, stage)
        if in_turns:
            upper, lower = (self._envelope(values, acting, side) for side in ("upper", "lower"))
            values = values if upper is None or lower is None else centred(values, upper, lower)
        return values

    @property
    def _names_outputs(self) -> bool:
        """Whether some part is about some outputs only: then one part can undo what another reached."""
        return any(part.named is not None for part in self.parts)

    def _midpoint(self, values: FloatArray, axes: tuple[int, ...]) -> FloatArray:
        acting = self._acting(axes)
        if len(acting) > 1:
            upper = self._envelope(values, acting, "upper")
            lower = self._envelope(values, acting, "lower")
            if upper is not None or lower is not None:
                return centred(values, upper, lower)
        for part, dimension in acting:
            stage = partial(part.declared.midpoint, knots=part.law.knots)
            values = part.on_named(values, partial(_along, dimension=dimension, stage=stage))
        return values

    def _envelope(self, values: FloatArray, acting: list[tuple[Part, int]], side: str) -> FloatArray | None:
        """Return the envelope of all parts one after the other; None if a part has no envelope on this side."""
        for _ in range(MOST_PASSES if self._names_outputs else 1):
            before = values
            for part, dimension in acting:
                stage = partial(getattr(part.declared, side), knots=part.law.knots)
                enveloped = part.on_named(values, partial(_along, dimension=dimension, stage=stage))
                if enveloped is None:
                    return None
                values = enveloped
            if np.array_equal(values, before):
                break
        return values

    def _acting(self, axes: tuple[int, ...]) -> list[tuple[Part, int]]:
        return [(part, 1 + axes.index(part.axis)) for part in self.parts if part.axis in axes]


def demands_on_knots(declared: LineProperty, knots: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what a linear property demands of neighbouring knots: coefficients (n_demands, n_knots) and bounds (n_demands,)."""
    neighbours = np.arange(max(knots.size - declared.n_points + 1, 0))[:, None] + np.arange(declared.n_points)
    coefficients, bounds = declared.demands(knots[neighbours])
    along = np.zeros((*bounds.shape[:2], knots.size))
    np.put_along_axis(
        along, np.broadcast_to(neighbours[:, None, :], coefficients[:, :, 0].shape), coefficients[:, :, 0], axis=2
    )
    return along.reshape(-1, knots.size), bounds.ravel()


def _nearest(part: Part, values: FloatArray) -> list[FloatArray]:
    """Return the members of a part nearest to grids, which are the grids themselves exactly where they are members.

    The smallest above and the largest below; the nearest in least squares where it has neither.
    """
    stages = [partial(side, knots=part.law.knots) for side in (part.declared.upper, part.declared.lower)]
    along = partial(_along, dimension=1 + part.axis)
    envelopes = [part.on_named(values, partial(along, stage=stage)) for stage in stages]
    if any(envelope is not None for envelope in envelopes):
        return [envelope for envelope in envelopes if envelope is not None]
    weights = np.full(part.law.knots.size, 1 / part.law.knots.size)
    stage = partial(part.declared.least_squares, knots=part.law.knots, weights=weights)
    return [part.on_named(values, partial(along, stage=stage))]


def _nearest_lines(part: Part, weights: FloatArray, dimension: int, values: FloatArray) -> FloatArray:
    """Return the members of a part nearest to grids in least squares, given the weights of its axis."""
    of_lines = _of_lines(weights, values.size // values.shape[dimension])
    side = part.declared.least_squares if part.law.axis.columns else part.declared.among_outputs

    def stage(lines: FloatArray) -> FloatArray:
        return side(lines, part.law.knots, of_lines)

    nearest: FloatArray = _along(values, dimension, stage)
    return nearest


def _along(values: FloatArray, dimension: int, stage: Callable[[FloatArray], Any]) -> Any:
    """Apply a stage on lines (n_lines, n_knots) along one dimension of grids; None where the stage has no answer."""
    moved = np.moveaxis(values, dimension, -1)
    lines = stage(np.ascontiguousarray(moved).reshape(-1, moved.shape[-1]))
    return None if lines is None else np.moveaxis(lines.reshape(moved.shape), -1, dimension)


def _of_lines(weights: FloatArray, n_lines: int) -> FloatArray:
    """Return the weights of lines that are cut from grids, as many from each, given the weights of the grids."""
    if weights.ndim == 1 or not len(weights) or len(weights) == n_lines:
        return weights
    return np.repeat(weights, n_lines // len(weights), axis=0)


def _snap(values: FloatArray, original: FloatArray, size: FloatArray) -> FloatArray:
    """Return ``values``, with ``original`` wherever the two differ by a fraction of rounding.

    The fraction is small enough that what stays unrepaired at several points of a query is no violation.
    """
    size = SNAP * size.reshape(-1, *(1,) * (values.ndim - 1))
    return np.where(np.abs(values - original) > size, values, original)
