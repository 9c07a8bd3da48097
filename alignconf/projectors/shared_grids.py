"""Which features share a grid, how many knots each gets there, and how the rules along them are projected together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import prod
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from alignconf.contract.property import LineProperty
from alignconf.errors import InputError, listed
from alignconf.lines.axis import Axis
from alignconf.lines.evaluation import Lines
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.projectors.line_projection import LineProjection, Part
from alignconf.projectors.place_limits import AxisLimits, joined_parts, with_limited_places

__all__ = [
    "MAX_FEATURES",
    "LawOf",
    "Placed",
    "fits_a_grid",
    "grid_projection",
    "shared_grids",
    "shared_laws",
    "too_many",
]

#: A part that is about lines, and the axis of these lines in a table.
Placed: TypeAlias = tuple[LineProperty, Axis]

#: From an axis and a number of knots to the reference law along it.
LawOf: TypeAlias = Callable[[Axis, int], ReferenceLaw]

#: With several features their knots multiply: a grid has about this many times ``n_knots`` points, and no fewer than
#: ``MIN_KNOTS`` knots along a numeric feature.
GRID_FACTOR = 4
MIN_KNOTS = 6
MAX_FEATURES = 3
MAX_GRID = 2000


def fits_a_grid(axes: Sequence[Axis]) -> bool:
    """Whether features can share a grid: they are few, or at most one is numeric and the categories are not many."""
    numeric = [axis for axis in axes if axis.order is None]
    n_categories = prod(len(axis.order) for axis in axes if axis.order is not None)
    return len(axes) <= MAX_FEATURES or (len(numeric) <= 1 and n_categories * MIN_KNOTS <= MAX_GRID)


def shared_grids(placed: Sequence[Placed]) -> list[list[Placed]]:
    """Return the parts in groups that share a grid: as few as possible, no column on two different axes of one grid."""
    grids: list[dict[Hashable, list[Placed]]] = []
    for part, axis in sorted(placed, key=lambda placed_part: bool(placed_part[0].trade)):
        for grid in grids:
            taken = {column for others in grid.values() for _, placed_axis in others for column in placed_axis.columns}
            together = [others[0][1] for others in grid.values()] + [axis]
            if axis.key in grid or (taken.isdisjoint(axis.columns) and fits_a_grid(together)):
                grid.setdefault(axis.key, []).append((part, axis))
                break
        else:
            grids.append({axis.key: [(part, axis)]})
    order = [part for part, _ in placed]
    return [
        sorted(
            (placed_part for group in grid.values() for placed_part in group),
            key=lambda placed_part: order.index(placed_part[0]),
        )
        for grid in grids
    ]


def grid_projection(
    placed: Sequence[Placed],
    law_of: LawOf,
    norm: str,
    n_knots: int,
    limits: tuple[float, float],
    joint_limits: Mapping[Hashable, AxisLimits] = MappingProxyType({}),
) -> LineProjection:
    """Return the projector of parts along their axes, those with limits at places as one."""
    distinct = {axis.key: axis for _, axis in placed}
    laws = with_limited_places(shared_laws(list(distinct.values()), law_of, n_knots), joint_limits)
    index = [list(distinct).index(axis.key) for _, axis in placed]
    located = [Part(part, i, laws[i]) for (part, _), i in zip(placed, index, strict=True)]
    # Demands on pairs first: curvature and unimodality keep order along the same axis, and undo less across axes.
    parts = joined_parts(sorted(located, key=lambda part: part.declared.n_points), laws, joint_limits, limits)
    for first, second in combinations(parts, 2):
        _check_compatible(first, second, laws, norm)
    return LineProjection(laws, parts, norm, limits)


def _check_compatible(first: Part, second: Part, laws: tuple[ReferenceLaw, ...], norm: str) -> None:
    """Refuse two parts along one axis that no line has both: then not even a constant line can be repaired."""
    if first.axis != second.axis:
        return
    flat = Lines(np.zeros((1, first.law.knots.size)), np.full(1, 1e-9))
    pair = LineProjection((laws[first.axis],), (replace(first, axis=0), replace(second, axis=0)), norm)
    if not pair.is_member(pair.project(flat).values, flat.rounding)[0]:
        raise InputError(
            f"rules contradict each other: {first.declared}, and {second.declared}, which no function has both; drop one of them."
        )


def shared_laws(
    axes: Sequence[Axis], law_of: LawOf, n_knots: int, factor: int = GRID_FACTOR
) -> tuple[ReferenceLaw, ...]:
    """Return the reference laws of the axes, their knots shared out so that the grid stays small.

    An ordered category has all its categories as knots; numeric features share what remains of the grid equally.
    """
    numeric = [axis for axis in axes if axis.order is None]
    n_categories = prod(len(axis.order) for axis in axes if axis.order is not None)
    grid = n_knots if len(axes) == 1 else factor * n_knots
    share = max(MIN_KNOTS, int((grid / n_categories) ** (1 / len(numeric)) + 1e-9)) if numeric else 0
    per_axis = n_knots if len(axes) == 1 else share
    return tuple(law_of(axis, per_axis if axis.order is None else len(axis.order)) for axis in axes)


def too_many(plain: Sequence[Placed]) -> InputError:
    """Return the refusal of more features than a grid can hold."""
    features = list({axis.key: axis.feature for _, axis in plain}.values())
    other = next((part for part, _ in plain if part.direction is None or part.tol), None)
    why = "" if other is None else f"the rule {str(other)!r} is not about order alone, so "
    left_out = "projector='lines', where it is given," if other is None else "that rule"
    return InputError(
        f"{why}{len(features)} features ({listed(features)}) would share a grid, and at most {MAX_FEATURES} can be projected on "
        f"a common grid. Declare rules in at most {MAX_FEATURES} features; or leave {left_out} out, as order and invariance can "
        "be had in any number of features; or give projector= a regressor that has the rules."
    )
