"""Which limits at points join the rules along a line: those at places of one feature along which all rules are linear.

``Bounded(0, 1, where={"dose": 0})`` is a limit at a point that fixes one feature. If rules along ``dose`` are declared too, the
point is a place on each of their lines, and both are projected at once (:mod:`alignconf.projectors.limited_line`). Other points
keep a projection of their own, after the lines.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alignconf._typing import Table
from alignconf.contract.orbit import OrbitProperty, Setting, moved
from alignconf.contract.property import LineProperty, Property
from alignconf.errors import InputError
from alignconf.kernels.polyhedron import colliding
from alignconf.lines.axis import Axis
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.projectors.limited_line import LimitedLine, LimitedPart
from alignconf.projectors.line_projection import Part
from alignconf.tables import table as tables

__all__ = ["AxisLimits", "joined_parts", "limits_on_axes", "with_limited_places"]


#: Limits and rules that are not about order alone are a polyhedron, whose projection costs the cube of the number of knots.
MOST_KNOTS = 24


@dataclass(frozen=True)
class AxisLimits:
    """The limits of the values at places of one axis.

    Parameters
    ----------
    rules : tuple of OrbitProperty
        That declare them.
    places : tuple of (place, low, high)
    is_ordered : bool
        Whether they join nothing but an order, or constancy.
    """

    rules: tuple[OrbitProperty, ...] = ()
    places: tuple[tuple[float, float, float], ...] = ()
    is_ordered: bool = False


def limits_on_axes(
    declared: Property, placed: Iterable[tuple[LineProperty, Axis]], table: Table
) -> dict[Hashable, AxisLimits]:
    """Return the limits that join the parts along each axis, by the key of the axis.

    Parameters
    ----------
    declared : Property
    placed : parts that are about lines, with their axes
    table : rows with the columns of the model, at least one
    """
    on_axes: dict[Hashable, list[tuple[LineProperty, Axis]]] = {}
    for part, axis in placed:
        on_axes.setdefault(axis.key, []).append((part, axis))
    limits: dict[Hashable, AxisLimits] = {}
    for rule in declared.orbits:
        columns = tuple({tables.locate(table, limit.feature) for limit in rule.place_limits})
        keys = [key for key, ((_, axis), *_) in on_axes.items() if axis.columns == columns]
        key, parts = (keys[0], on_axes[keys[0]]) if len(keys) == 1 else (None, [])
        if not parts or not all(part.is_linear and part.chains for part, _ in parts):
            continue
        axis, row = parts[0][1], tables.take(table, np.arange(1))
        places = [
            (float(axis.places(moved(row, Setting(((limit.feature, limit.value),))))[0]), limit.low, limit.high)
            for limit in rule.place_limits
        ]
        if np.isfinite([place for place, _, _ in places]).all():
            earlier = limits.get(key, AxisLimits())
            is_ordered = len(parts) == 1 and parts[0][0].direction is not None
            limits[key] = AxisLimits((*earlier.rules, rule), (*earlier.places, *places), is_ordered)
    return limits


def with_limited_places(
    laws: Sequence[ReferenceLaw], limits: Mapping[Hashable, AxisLimits]
) -> tuple[ReferenceLaw, ...]:
    """Return the laws, the places with limits among their knots; at most ``MOST_KNOTS`` others where order is not alone."""
    limited = []
    for law in laws:
        here = limits.get(law.axis.key)
        if here is not None:
            if not here.is_ordered and law.axis.order is None and law.knots.size > MOST_KNOTS:
                law = law.at_quantiles(MOST_KNOTS)
            law = law.with_knots(np.array([place for place, _, _ in here.places]))
        limited.append(law)
    return tuple(limited)


def joined_parts(
    parts: Sequence[Part],
    laws: Sequence[ReferenceLaw],
    limits: Mapping[Hashable, AxisLimits],
    within: tuple[float, float],
) -> tuple[Part, ...]:
    """Return the parts of a grid, those along each axis with limits as one; refuse what no line has together, by name.

    Parameters
    ----------
    parts : in the order in which they are repaired
    laws : of the axes, with the places of the limits among their knots
    limits : of axes, by their keys
    within : (float, float)
        Limits of all values.
    """
    joined: list[Part] = []
    for part in parts:
        law = laws[part.axis]
        here = limits.get(law.axis.key)
        if here is None:
            joined.append(part)
        elif not any(earlier.axis == part.axis for earlier in joined):
            members = tuple(other.declared for other in parts if other.axis == part.axis)
            line = LimitedLine(
                part.declared.feature,
                members,
                _merged(here.places),
                order=part.declared.order,
                special=part.declared.special,
                between=part.declared.between,
            )
            _check_possible(line, here, law, within)
            joined.append(LimitedPart(line, part.axis, law))
    return tuple(joined)


def _merged(places: Sequence[tuple[float, float, float]]) -> tuple[tuple[float, float, float], ...]:
    """Return each place once, with the limits that all of its entries allow."""
    of_place: dict[float, tuple[float, float]] = {}
    for place, low, high in places:
        lowest, highest = of_place.get(place, (-np.inf, np.inf))
        of_place[place] = (max(low, lowest), min(high, highest))
    return tuple((place, *of_place[place]) for place in sorted(of_place))


def _check_possible(line: LimitedLine, limits: AxisLimits, law: ReferenceLaw, within: tuple[float, float]) -> None:
    A, b = line.inequalities(law.knots)
    identity, ones = np.eye(law.knots.size), np.ones(law.knots.size)
    bounds = np.concatenate([b, within[1] * ones, -within[0] * ones])
    stated = np.isfinite(bounds)
    if colliding(np.concatenate([A, identity, -identity])[stated], bounds[stated]):
        named = ", and ".join(map(str, (*line.members, *limits.rules)))
        kept = f", and values in [{within[0]:g}, {within[1]:g}]" if np.isfinite(within).any() else ""
        raise InputError(
            f"rules contradict each other: {named}{kept}, which no function has together; drop one of them."
        )
