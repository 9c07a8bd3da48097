"""From a declared property and reference rows to an alignment: which repair serves which part.

Parts that are about lines share one grid of at most ``MAX_FEATURES`` features; for more features, or where one is given, a
surrogate stands in. Parts that are about orbits follow, each with a repair of its own; bounds are kept by clipping last.
Everything here happens before a row calibrates, and what cannot be is refused by name.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import combinations
from math import prod
from typing import Any, TypeAlias

import numpy as np

from alignconf import _tables
from alignconf._typing import Model, Table
from alignconf._validation import warn
from alignconf.alignment import Alignment
from alignconf.contract import LineProperty, Property
from alignconf.errors import InputError, PropertyWarning
from alignconf.grid_repair import GridRepair
from alignconf.lines import Lines
from alignconf.orbit_repair import OrbitRepair
from alignconf.projection import Part, Projector
from alignconf.queries import OrbitQueries
from alignconf.reference import Axis, ReferenceLaw, place_axis
from alignconf.repair import Repair
from alignconf.surrogate_repair import MonotoneSurrogate, SurrogateRepair, direction

__all__ = ["place_axes", "place_orbits", "prepare"]

#: A part that is about lines, and the axis of these lines in a table.
Placed: TypeAlias = tuple[LineProperty, Axis]

#: With several features their knots multiply: a grid has about this many times ``n_knots`` points, and no fewer than
#: ``MIN_KNOTS`` knots along a numeric feature.
GRID_FACTOR = 4
MIN_KNOTS = 6
MAX_FEATURES = 3

#: The points of orbits are counted at this many rows: some transforms do something at a few rows only.
ORBIT_ROWS = 10_000


def place_axes(declared: Property, table: Table) -> list[Axis]:
    """Return the axis of each part that is about lines in a table; refuse what the table cannot carry."""
    axes = [place_axis(part, table) for part in declared.lines]
    orders = {axis.key: axis.order for axis in axes}
    for axis in axes:
        if axis.order != orders[axis.key]:
            raise InputError(
                f"feature {axis.feature!r} is declared with two orders, {axis.order!r} and {orders[axis.key]!r}; "
                "give one order."
            )
        axis.places(table)
    pairs = combinations(zip(declared.lines, axes, strict=True), 2)
    for feature in {a.feature for (one, a), (other, b) in pairs if a.key == b.key and one.opposes(other)}:
        warn(
            f"{declared}: this is legal and means that the prediction must not depend on {feature!r} at all.",
            PropertyWarning,
        )
    return axes


def place_orbits(declared: Property, table: Table) -> tuple[OrbitQueries, ...]:
    """Return the queries of each part that is about orbits, their points counted in a table."""
    few = _tables.take(table, np.arange(min(table.shape[0], ORBIT_ROWS)))
    return tuple(OrbitQueries(part, len(part.orbit(few))) for part in declared.orbits)


def prepare(
    model: Model,
    declared: Property,
    table: Table,
    reference: Table,
    *,
    norm: str,
    n_knots: int,
    limits: tuple[float, float] = (-np.inf, np.inf),
    surrogate: Any = None,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> Alignment:
    """Fix everything that calibration must not touch.

    Parameters
    ----------
    model, declared
    table : rows with the columns that the model expects
    reference : rows that give reference laws and knots, and are used for nothing else
    norm, n_knots, limits, n_jobs, verbose
    surrogate : regressor, optional
        What plays the repaired function instead of a projection.
    """
    axes = place_axes(declared, table)
    orbits = place_orbits(declared, reference)
    limits = _common_limits(declared, limits)
    repairs: list[Repair] = []
    lines: list[tuple[LineProperty, ReferenceLaw]] = []
    placed = list(zip(declared.lines, axes, strict=True))
    plain = {axis.position for part, axis in placed if not part.trade}
    if surrogate is not None and not plain:
        raise InputError(
            f"a surrogate stands in for repairs along lines of single features, of which {declared} has none; leave surrogate "
            "out."
        )
    if plain and (surrogate is not None or len(plain) > MAX_FEATURES):
        lines, repair = _surrogate(declared, [one for one in placed if not one[0].trade], reference, surrogate)
        repairs.append(repair)
        placed = [one for one in placed if one[0].trade]
    for group in _grids(placed):
        projector = _projector(group, reference, norm, n_knots, limits)
        lines += [(part.declared, part.law) for part in projector.parts]
        repairs.append(GridRepair(projector))
    repairs += [OrbitRepair(one.part, one.n_points, norm) for one in orbits if one.part.limits is None]
    return Alignment(model, declared, tuple(lines), orbits, tuple(repairs), limits, n_jobs=n_jobs, verbose=verbose)


def _common_limits(declared: Property, limits: tuple[float, float]) -> tuple[float, float]:
    """Return the limits that all parts allow; refuse parts that no value satisfies together, by name."""
    low, high, lowest, highest = *limits, None, None
    for part in declared.orbits:
        if part.limits is not None:
            lowest, low = (part, part.limits[0]) if part.limits[0] > low else (lowest, low)
            highest, high = (part, part.limits[1]) if part.limits[1] < high else (highest, high)
    if low > high:
        named = [
            str(part) if part is not None else f"values in [{limits[0]:g}, {limits[1]:g}]" for part in (lowest, highest)
        ]
        raise InputError(
            f"the property asks for {named[0]} and for {named[1]}, which no function has both; drop one of them."
        )
    return low, high


def _grids(placed: Sequence[Placed]) -> list[list[Placed]]:
    """Return the parts in groups that share a grid: as few as possible, no column on two different axes of one grid."""
    grids: list[dict[Hashable, list[Placed]]] = []
    for part, axis in sorted(placed, key=lambda one: bool(one[0].trade)):
        for grid in grids:
            taken = {column for others in grid.values() for _, other in others for column in other.columns}
            if axis.key in grid or (taken.isdisjoint(axis.columns) and len(grid) < MAX_FEATURES):
                grid.setdefault(axis.key, []).append((part, axis))
                break
        else:
            grids.append({axis.key: [(part, axis)]})
    order = [part for part, _ in placed]
    return [
        sorted((one for group in grid.values() for one in group), key=lambda one: order.index(one[0])) for grid in grids
    ]


def _surrogate(
    declared: Property, placed: Sequence[Placed], reference: Table, surrogate: Any
) -> tuple[list[tuple[LineProperty, ReferenceLaw]], Repair]:
    """Return the parts with their laws, and the repair by a surrogate: the given one, or boosting under constraints."""
    distinct = {axis.key: axis for _, axis in placed}
    laws = {key: ReferenceLaw.from_table(axis, reference, 2) for key, axis in distinct.items()}
    lines = [(part, laws[axis.key]) for part, axis in placed]
    if surrogate is not None:
        return lines, SurrogateRepair(tuple(distinct.values()), surrogate)
    signs: dict[Hashable, int] = {}
    for part, axis in placed:
        sign = direction(part)
        if sign is None:
            raise InputError(
                f"the property constrains {len(distinct)} features jointly ({declared}); at most {MAX_FEATURES} can be "
                f"repaired on a common grid, and for more only order and invariance can, which {part} is not. Declare fewer "
                "features, or give surrogate= a regressor that has the property."
            )
        signs[axis.key] = sign if signs.get(axis.key, sign) == sign else 0
    monotone = MonotoneSurrogate(list(distinct.values()), [signs[key] for key in distinct])
    return lines, SurrogateRepair(tuple(distinct.values()), monotone)


def _projector(
    placed: Sequence[Placed], reference: Table, norm: str, n_knots: int, limits: tuple[float, float]
) -> Projector:
    """Return the projector of parts along their axes."""
    distinct = {axis.key: axis for _, axis in placed}
    laws = _laws(list(distinct.values()), reference, n_knots)
    index = [list(distinct).index(axis.key) for _, axis in placed]
    located = [Part(part, i, laws[i]) for (part, _), i in zip(placed, index, strict=True)]
    # Demands on pairs first: curvature and unimodality keep order along the same axis, and undo less across axes.
    parts = tuple(sorted(located, key=lambda part: part.declared.n_points))
    for one, other in combinations(parts, 2):
        _check_compatible(one, other, laws, norm)
    return Projector(laws, parts, norm, limits)


def _check_compatible(one: Part, other: Part, laws: tuple[ReferenceLaw, ...], norm: str) -> None:
    """Refuse two parts along one axis that no line has both: then not even a constant line can be repaired."""
    if one.axis != other.axis:
        return
    flat = Lines(np.zeros((1, one.law.knots.size)), np.full(1, 1e-9))
    pair = Projector((laws[one.axis],), (replace(one, axis=0), replace(other, axis=0)), norm)
    if not pair.is_member(pair.project(flat).values, flat.rounding)[0]:
        raise InputError(
            f"the property asks for {one.declared} and for {other.declared}, which no function has both; drop one of them."
        )


def _laws(axes: Sequence[Axis], reference: Table, n_knots: int) -> tuple[ReferenceLaw, ...]:
    """Return the reference laws of the axes, their knots shared out so that the grid stays small.

    An ordered category has all its categories as knots; numeric features share what remains of the grid equally.
    """
    numeric = [axis for axis in axes if axis.order is None]
    n_categories = prod(len(axis.order) for axis in axes if axis.order is not None)
    grid = n_knots if len(axes) == 1 else GRID_FACTOR * n_knots
    share = max(MIN_KNOTS, int((grid / n_categories) ** (1 / len(numeric)) + 1e-9)) if numeric else 0
    per_axis = n_knots if len(axes) == 1 else share
    return tuple(
        ReferenceLaw.from_table(axis, reference, per_axis if axis.order is None else len(axis.order)) for axis in axes
    )
