r"""A line with limits at places: the rules along one feature, and what is demanded of single values there, as one projection.

A limit at a point of a line and a rule along the line cannot be repaired one after the other: a prediction that is lifted at
``dose = 0`` would stand out from its neighbours as a spike. Here the place of the point is a knot, and the repair is the nearest
line that has all rules **and** keeps the limits. What lies between two knots is then said by the rules as on any other line.

*Least squares.* Under an order the limits enter the pooling of violators
(:func:`~alignconf.kernels.bounded_order.bounded_isotonic_least_squares`), a constant is cut off. For other rules, and for
several, the demands on neighbouring knots and the limits are a polyhedron, onto which lines are projected whose nearest member
without limits leaves them. *Smallest deviation* :math:`t`: with ``U`` the smallest member above a line, a member within ``t``
of ``f`` that keeps the limits exists iff :math:`U(\max(f - t, low)) \le \min(f + t, high)`, which bisection in ``t`` finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from alignconf._typing import BoolArray, FloatArray
from alignconf.contract.cells import Cells
from alignconf.contract.property import LineProperty
from alignconf.kernels.bounded_order import bounded_isotonic_least_squares
from alignconf.kernels.polyhedron import polyhedron_least_squares, polyhedron_midpoint
from alignconf.projectors.line_projection import Part, demands_on_knots

__all__ = ["LimitedLine", "LimitedPart"]

#: Halvings of the interval that holds the smallest deviation: beyond double precision.
N_HALVINGS = 60


@dataclass(frozen=True, repr=False)
class LimitedLine(LineProperty):
    """Rules along one feature, and limits of the values at some of its places.

    Parameters
    ----------
    feature : str or int
    members : tuple of LineProperty
        All linear, and told by neighbouring places. Their tolerances are not used.
    limits : tuple of (place, low, high)
        Some line must have all rules and keep all limits.
    """

    members: tuple[LineProperty, ...] = ()
    limits: tuple[tuple[float, float, float], ...] = ()

    is_linear = True

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "members", tuple(self.members))
        object.__setattr__(self, "limits", tuple(map(tuple, self.limits)))
        # As many places as the widest rule compares.
        object.__setattr__(self, "n_points", max((part.n_points for part in self.members), default=1))

    @property
    def description(self) -> str:
        """The rules and the limits in words."""
        rules = " and ".join(part.description for part in self.members)
        return rules + "".join(f", in [{low:g}, {high:g}] at {place:g}" for place, low, high in self.limits)

    @property
    def is_ordered(self) -> bool:
        """Whether the only rule is an order, or constancy, so that steps can be repaired exactly."""
        return len(self.members) == 1 and self.members[0].direction is not None

    def demands(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Demand every rule of every choice of places, and the limits of each place that has one."""
        n_points = places.shape[-1]
        rows, bounds = [], []
        for part in self.members:
            for chosen in map(list, combinations(range(n_points), part.n_points)):
                coefficients, limits = part.demands(places[..., chosen])
                row = np.zeros((*limits.shape[:-1], n_points))
                row[..., chosen] = coefficients[..., 0, :]
                rows.append(row)
                bounds.append(limits[..., 0])
        for place, low, high in self.limits:
            here = (places == place)[..., None, :] & np.eye(n_points, dtype=bool)
            for sign, limit in ((1.0, high), (-1.0, -low)):
                rows.append(np.broadcast_to(sign * np.eye(n_points), here.shape))
                bounds.append(np.where(here.any(axis=-1), limit, np.inf))
        return np.concatenate(rows, axis=-2)[..., None, :], np.concatenate(bounds, axis=-1)[..., None]

    def least_squares(self, lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the nearest members: exact, see above."""
        low, high = self.bounds(knots)
        if self.is_ordered and self.members[0].direction:
            sign = float(self.members[0].direction)
            ends = (low, high) if sign > 0 else (-high, -low)
            return sign * bounded_isotonic_least_squares(sign * lines, weights, *ends)
        nearest = np.array(lines, dtype=np.float64)
        if len(self.members) == 1:
            nearest = self.members[0].least_squares(lines, knots, weights)
        outside = np.ones(len(lines), dtype=bool) if len(self.members) > 1 else _outside(nearest, low, high)
        if self.is_ordered:
            return np.clip(nearest, low.max(), high.min())
        of_lines = weights if weights.ndim == 1 else weights[outside]
        nearest[outside] = polyhedron_least_squares(lines[outside], *self.inequalities(knots), of_lines)
        return nearest

    def midpoint(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the members nearest in the largest deviation: without limits where these are kept, else by bisection."""
        if len(self.members) > 1:
            return polyhedron_midpoint(lines, *self.inequalities(knots))
        low, high = self.bounds(knots)
        nearest = np.array(self.members[0].midpoint(lines, knots))
        outside = _outside(nearest, low, high)
        if outside.any():
            nearest[outside] = self._bisected(lines[outside], nearest[outside], knots)
        return nearest

    def allowed(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Return what all rules allow."""
        intervals = [part.allowed(cells) for part in self.members]
        return np.max([low for low, _ in intervals], axis=0), np.min([high for _, high in intervals], axis=0)

    def bounds(self, knots: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the limits of the knots, two (n_knots,); a place belongs to the first knot that is not below it."""
        low, high = np.full(knots.size, -np.inf), np.full(knots.size, np.inf)
        for place, lowest, highest in self.limits:
            k = min(int(np.searchsorted(knots, place)), knots.size - 1)
            low[k], high[k] = max(low[k], lowest), min(high[k], highest)
        return low, high

    def inequalities(self, knots: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the coefficients (n_demands, n_knots) and bounds of all demands on neighbouring knots, limits included."""
        low, high = self.bounds(knots)
        identity = np.eye(knots.size)
        rows, bounds = [identity, -identity], [high, -low]
        for part in self.members:
            along, limits = demands_on_knots(part, knots)
            rows.append(along)
            bounds.append(limits)
        A, b = np.concatenate(rows), np.concatenate(bounds)
        return A[np.isfinite(b)], b[np.isfinite(b)]

    def _bisected(self, lines: FloatArray, unlimited: FloatArray, knots: FloatArray) -> FloatArray:
        """Return members of the single rule within the smallest deviation that the limits allow."""
        member = self.least_squares(lines, knots, np.ones(knots.size))
        least, most = (np.abs(values - lines).max(axis=1, keepdims=True) for values in (unlimited, member))
        for _ in range(N_HALVINGS):
            middle = least + 0.5 * (most - least)
            is_wide = self._within(lines, middle, knots)[0][:, None]
            least, most = np.where(is_wide, least, middle), np.where(is_wide, middle, most)
        is_wide, within = self._within(lines, most, knots)
        return np.where(is_wide[:, None], _towards(within, member, lines, most), member)

    def _within(self, lines: FloatArray, t: FloatArray, knots: FloatArray) -> tuple[BoolArray, FloatArray]:
        """Return which lines have a member within ``t`` (n_lines, 1) that keeps the limits, and that member.

        It is midway between the smallest and the largest of them, or the one of these that the rule has.
        """
        low, high = self.bounds(knots)
        floor, ceiling = np.maximum(lines - t, low), np.minimum(lines + t, high)
        part = self.members[0]
        envelopes = [part.upper(floor, knots), part.lower(ceiling, knots)]
        known = [envelope for envelope in envelopes if envelope is not None]
        inside = [(floor <= ceiling) & (floor <= envelope) & (envelope <= ceiling) for envelope in known]
        return np.asarray(np.all(inside, axis=(0, 2))), known[0] + (0.5 * known[-1] - 0.5 * known[0])


@dataclass(frozen=True)
class LimitedPart(Part):
    """A part whose values are limited at some places of its axis."""

    declared: LimitedLine

    @property
    def asked(self) -> tuple[LineProperty, ...]:
        """The rules, one by one; the limits are asked at their points."""
        return self.declared.members

    @property
    def cuts(self) -> Sequence[float] | None:
        """The places of an order with limits, each of which is a piece by itself."""
        return [place for place, _, _ in self.declared.limits] if self.declared.is_ordered else None


def _towards(within: FloatArray, member: FloatArray, lines: FloatArray, t: FloatArray) -> FloatArray:
    """Return members ``within`` moved straight towards others, themselves members, as far as these stay within ``t`` of lines.

    Of all members within the smallest deviation, those of an envelope are at its edge where nothing asks for it.
    """
    step = member - within
    room = np.where(step > 0, t, -t) - (within - lines)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(step == 0, 1.0, np.clip(room / step, 0.0, 1.0)).min(axis=1, keepdims=True)
    moved: FloatArray = within + share * step
    return moved


def _outside(lines: FloatArray, low: FloatArray, high: FloatArray) -> BoolArray:
    return np.asarray(((lines < low) | (lines > high)).any(axis=1))
