"""Lines to try a property on, and the tester who asks everything at their knots.

A :class:`Trial` is a set of knots with unequal weights and lines of several kinds: any, tied, constant, huge, tiny, with one
spike, and members of the property. What the tester finds at the knots (:func:`largest_excess`) is what membership *means*;
every law of :mod:`alignconf.testing.laws` compares an answer of the property with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import combinations_with_replacement

import numpy as np

from alignconf._typing import BoolArray, Feature, FloatArray, IntArray
from alignconf.contract.property import LineProperty, Property
from alignconf.lines.axis import Axis
from alignconf.lines.evaluation import Lines
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.projectors.line_projection import LineProjection, Part
from alignconf.queries.along_line import LineQueries
from alignconf.queries.excess import excess

__all__ = [
    "NORMS",
    "ROUNDING",
    "Trial",
    "draw",
    "envelope",
    "largest_excess",
    "line_excess",
    "lines_of",
    "projector_at",
    "try_at",
    "tuples",
]

#: Relative size of the rounding of a model whose sums are rounded as double precision does.
ROUNDING = 2.0**-44
NORMS = ("l2", "sup")


@dataclass(frozen=True)
class Trial:
    """A property at some knots, lines (or grids) to repair, and members of it.

    Parameters
    ----------
    declared : Property
    projectors : {"l2": LineProjection, "sup": LineProjection}
    lines : Lines of shape (n_lines, n_knots_1, ...)
    bound : float
        Size of the largest bound that is demanded at the knots.
    """

    declared: Property
    projectors: dict[str, LineProjection]
    lines: Lines
    bound: float

    @cached_property
    def members(self) -> Lines:
        """The lines, repairs and envelopes that the tester accepts without any tolerance."""
        projector, values = self.projectors["sup"], self.lines.values
        enveloped = [envelope(projector, values, side) for side in ("upper", "lower")]
        candidate_values = np.concatenate(
            [values, *self.projected.values(), *(lines for lines in enveloped if lines is not None)]
        )
        candidates = lines_of(candidate_values, self.bound)
        accepted = largest_excess(_without_tolerance(projector), candidate_values, candidates.rounding / 16) == 0
        return Lines(candidate_values[accepted], candidates.rounding[accepted])

    @cached_property
    def exact_members(self) -> Lines:
        """The members that the tester accepts without any rounding either."""
        values = self.members.values
        projector = _without_tolerance(self.projectors["sup"])
        accepted = largest_excess(projector, values, np.zeros(len(values))) == 0
        return Lines(values[accepted], self.members.rounding[accepted])

    @cached_property
    def coarse(self) -> Trial:
        """The same lines with every second knot only, for one part; the others are places between and outside."""
        knots, values = self.law.knots[1::2], self.lines.values[:, 1::2]
        return _trial(self.part, [knots], values)

    @cached_property
    def projected(self) -> dict[str, FloatArray]:
        """The repaired lines, for each norm."""
        return {norm: projector.project(self.lines).values for norm, projector in self.projectors.items()}

    @cached_property
    def half_width(self) -> FloatArray:
        """The half-width of every line, (n_lines,)."""
        return self.projectors["sup"].half_width(self.lines)

    @property
    def tried_at(self) -> str:
        """The knots and weights, in words."""
        laws = self.projectors["sup"].laws
        knots, weights = (" and ".join(str(array.tolist()) for array in each) for each in (
            [law.knots for law in laws], [law.weights.round(3) for law in laws]
        ))  # fmt: skip
        return f"at the knots {knots} with the weights {weights}"

    @property
    def part(self) -> LineProperty:
        """The only part."""
        (part,) = self.declared.lines
        return part

    @property
    def law(self) -> ReferenceLaw:
        """The reference law of the first feature."""
        return self.projectors["sup"].laws[0]

    def claimed(self, values: FloatArray) -> BoolArray:
        """Return whether the repair of a line into ``values`` is claimed to be a member, (n_lines,).

        Always, but for conjunctions with demands on more than two points: their repairs need not be members, and say so.
        """
        if all(part.n_points <= 2 for part in self.declared.lines):
            return np.ones(len(values), dtype=bool)
        return self.projectors["sup"].is_member(values, self.lines.rounding)


def try_at(declared: Property, knots: Sequence[FloatArray], n_lines: int, random: np.random.Generator) -> Trial:
    """Return a trial of a property at the knots of each of its features."""
    return _trial(declared, knots, draw(tuple(len(places) for places in knots), n_lines, random))


def projector_at(
    declared: Property, knots: Sequence[FloatArray], norm: str, random: np.random.Generator
) -> LineProjection:
    """Return the projector of lines with given knots along each feature of a property, under laws of unequal weights."""
    features = list(dict.fromkeys(part.feature for part in declared.lines))
    laws = tuple(_law_at(feature, places, random) for feature, places in zip(features, knots, strict=True))
    axes = [features.index(part.feature) for part in declared.lines]
    return LineProjection(
        laws, tuple(Part(part, i, laws[i]) for part, i in zip(declared.lines, axes, strict=True)), norm
    )


def _law_at(feature: Feature, knots: FloatArray, random: np.random.Generator) -> ReferenceLaw:
    """Return a law with given knots, of unequal weights."""
    sample = np.concatenate([knots, random.choice(knots, 40)])
    return ReferenceLaw.from_table(Axis(feature, 0, None), sample[:, None], len(knots))


def lines_of(values: FloatArray, bound: float = 0.0) -> Lines:
    """Return lines of a model whose sums are rounded as double precision does; ``bound`` is the size of what is demanded."""
    largest = np.abs(values).reshape(len(values), -1).max(axis=1)
    return Lines(values, ROUNDING * np.maximum(largest, bound))


def _along(values: FloatArray, axis: int, stage: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Apply a stage on lines (n_lines, n_knots) along one axis of grids (n_grids, ...)."""
    moved = np.moveaxis(values, 1 + axis, -1)
    return np.moveaxis(stage(moved.reshape(-1, moved.shape[-1])).reshape(moved.shape), -1, 1 + axis)


def envelope(projector: LineProjection, values: FloatArray, side: str) -> FloatArray | None:
    """Return the smallest member above the values, or the largest below; None where a part has none on that side."""
    for part in projector.parts:
        stage = partial(getattr(part.declared, side), knots=part.law.knots)
        if stage(np.zeros((1, part.law.knots.size))) is None:
            return None
        values = _along(values, part.axis, stage)
    return values


def largest_excess(projector: LineProjection, values: FloatArray, rounding: FloatArray) -> FloatArray:
    """Return the largest excess that a tester finds who asks at all knots, 0 exactly for members: (n_lines,)."""
    worst = np.zeros(len(values))
    for part in projector.parts:
        moved = np.moveaxis(values, 1 + part.axis, -1)
        each = moved.reshape(-1, moved.shape[-1])
        excesses = line_excess(
            part.declared, part.law, part.law.knots, each, np.repeat(rounding, len(each) // len(values))
        )
        worst = np.maximum(worst, excesses.reshape(len(values), -1).max(axis=1))
    return worst


def line_excess(
    part: LineProperty, law: ReferenceLaw, knots: FloatArray, lines: FloatArray, rounding: FloatArray
) -> FloatArray:
    """Return the largest excess of all queries at some places, equal points included, on lines there: (n_lines,)."""
    positions = tuples(len(knots), part.n_points)
    largest: FloatArray = excess(LineQueries(part, law, knots[positions][None]), lines[:, positions], rounding).max(
        axis=1
    )
    return largest


def _trial(declared: Property, knots: Sequence[FloatArray], values: FloatArray) -> Trial:
    projectors = {norm: projector_at(declared, knots, norm, np.random.default_rng(values[0].size)) for norm in NORMS}
    bound = _largest_bound(projectors["sup"])
    return Trial(declared, projectors, lines_of(values, bound), bound)


def tuples(n_knots: int, n_points: int) -> IntArray:
    """Return every choice of positions of knots, equal ones included, in order: (n_tuples, n_points)."""
    return np.array(list(combinations_with_replacement(range(n_knots), n_points)))


def _without_tolerance(projector: LineProjection) -> LineProjection:
    return replace(projector, parts=tuple(replace(part, declared=_exact(part.declared)) for part in projector.parts))


def _exact(part: LineProperty) -> LineProperty:
    exact = copy(part)
    object.__setattr__(exact, "tol", 0.0)
    return exact


def _largest_bound(projector: LineProjection) -> float:
    """Return the size of the largest finite bound that is demanded at the knots."""
    largest = 0.0
    for part in projector.parts:
        _, bounds = part.declared.demands(part.law.knots[tuples(part.law.knots.size, part.declared.n_points)])
        largest = max(largest, float(np.abs(bounds[np.isfinite(bounds)]).max(initial=0.0)))
    return largest


def draw(shape: tuple[int, ...], n_lines: int, random: np.random.Generator) -> FloatArray:
    """Return lines of every kind in equal numbers; far from the subnormal numbers, which have no relative rounding."""
    each = (-(-n_lines // 6), *shape)
    one_per_line = (each[0], *(1,) * len(shape))
    spikes = np.zeros(each)
    flat = spikes.reshape(each[0], -1)
    flat[np.arange(each[0]), random.integers(flat.shape[1], size=each[0])] = 1e6 * random.choice([-1, 1], each[0])
    kinds = [
        random.normal(size=each) * 10.0 ** random.integers(-2, 3, one_per_line),
        random.integers(-3, 4, each).astype(np.float64),
        np.broadcast_to(random.integers(-9, 10, one_per_line) / 4, each),
        1e300 * random.normal(size=each),
        1e-300 * random.integers(-999, 1000, each),
        spikes + random.integers(0, 3, each),
    ]
    return np.concatenate(kinds)
