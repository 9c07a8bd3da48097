"""From a declared property and reference rows to an alignment: which repair serves which part.

Parts that are about lines share one grid of at most ``MAX_FEATURES`` features; for more features, or where one is given, a
surrogate stands in. Parts that are about orbits follow, each with a repair of its own; bounds are kept by clipping last.
Everything here happens before a row calibrates, and what cannot be is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import prod
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from alignconf._typing import FloatArray, Model, Table
from alignconf.contract.orbit import OrbitProperty
from alignconf.contract.plane import PlaneProperty
from alignconf.contract.property import LineProperty, Property
from alignconf.errors import InputError
from alignconf.kernels.polyhedron import colliding
from alignconf.lines.axis import Axis
from alignconf.lines.evaluation import Lines
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.projectors.alignment import Alignment
from alignconf.projectors.anchored import MonotoneProjector
from alignconf.projectors.grid import GridProjector
from alignconf.projectors.leaves.leaf_projector import LeafProjector
from alignconf.projectors.line_projection import LineProjection, Part
from alignconf.projectors.margins import Margins, Values
from alignconf.projectors.orbit_projector import OrbitProjector
from alignconf.projectors.patterns import of_patterns
from alignconf.projectors.place_limits import AxisLimits, joined_parts, limits_on_axes, with_limited_places
from alignconf.projectors.plane_projector import PlaneProjection, PlaneProjector, is_linear
from alignconf.projectors.projector import Chain, Projector
from alignconf.projectors.surrogate import SurrogateProjector
from alignconf.projectors.tree import UnreadProjector
from alignconf.queries.on_plane import PlaneQueries
from alignconf.queries.placement import (
    ORBIT_ROWS,
    along_line,
    check_query_law,
    given_the_others,
    place_axes,
    place_orbits,
    place_planes,
    warn_of_unseen_codes,
)
from alignconf.queries.queries import PartQueries, Tester
from alignconf.tables import table as tables
from alignconf.tables.missing_codes import missing_codes

__all__ = ["PROJECTORS", "LawOf", "Placed", "prepare"]

#: A part that is about lines, and the axis of these lines in a table.
Placed: TypeAlias = tuple[LineProperty, Axis]

#: From an axis and a number of knots to the reference law along it.
LawOf: TypeAlias = Callable[[Axis, int], ReferenceLaw]

#: With several features their knots multiply: a grid has about this many times ``n_knots`` points, and no fewer than
#: ``MIN_KNOTS`` knots along a numeric feature. A plane, all of whose demands are met by one projection, has fewer.
GRID_FACTOR = 4
MIN_KNOTS = 6
PLANE_FACTOR = 2
MAX_FEATURES = 3
MAX_GRID = 2000

#: The choice of a projector that depends on the property and on the model.
AUTO, LINES, LEAVES, BLEND, DISTILLED = PROJECTORS = ("auto", "lines", "leaves", "blend", "distilled")


def prepare(
    model: Model,
    declared: Property,
    table: Table,
    reference: Table,
    *,
    norm: str,
    n_knots: int,
    limits: tuple[float, float] = (-np.inf, np.inf),
    projector: Any = LINES,
    margins: Margins | None = None,
    query_law: str = "iid",
    conditional: np.random.Generator | None = None,
    sample_weight: FloatArray | None = None,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> Alignment:
    """Return the alignment: everything that calibration must not touch.

    Parameters
    ----------
    model, declared
    table : rows with the columns that the model expects
    reference : rows that give reference laws and knots, and are used for nothing else
    norm, n_knots, limits, query_law, n_jobs, verbose
    projector : {"auto", "lines", "leaves", "blend", "distilled"} or regressor
        How rules along single features are projected.
    margins : Margins, optional
        What of the model's values a surrogate imitates; by default these themselves.
    conditional : numpy.random.Generator, optional
        Seeds the forests that give reference laws given the features that are not constrained; without it laws are marginal.
    sample_weight : (n_reference,), optional
        What each reference row counts; 1 by default.
    """

    def law_of(axis: Axis, n_places: int) -> ReferenceLaw:
        return ReferenceLaw.from_table(axis, reference, n_places, sample_weight)

    check_query_law(declared, query_law)
    codes = missing_codes(model, table)
    axes = place_axes(declared, table, codes)
    placed = list(zip(declared.lines, axes, strict=True))
    planes = place_planes(declared, table, codes)
    warn_of_unseen_codes([*axes, *(axis for _, of_plane in planes for axis in of_plane)], reference)
    orbits = place_orbits(declared, reference)
    limits = _common_limits(declared, limits)
    repairs: list[Projector] = []
    part_queries: list[PartQueries] = []
    on_planes = _planes(planes, placed, law_of, norm, n_knots, limits)
    joint = [part.declared for projector in on_planes for part in projector.parts]
    placed = [placed_part for placed_part in placed if placed_part[0] not in joint]
    plain = {axis.position: axis for part, axis in placed if not part.trade}
    if projector not in (AUTO, LINES) and not plain:
        raise InputError(
            f"projector={projector!r} projects along single features, of which {declared} has none; leave projector out."
        )
    joint_limits = limits_on_axes(declared, placed, reference) if projector in (AUTO, LINES) else {}
    grid = (norm, n_knots, limits)
    served, first = _many_features(placed, law_of, projector, grid, margins or Values(), frozenset(joint_limits))
    part_queries += [along_line(part, law, query_law) for part, law in served]
    repairs += first
    placed = [placed_part for placed_part in placed if placed_part[0] not in [part for part, _ in served]]
    for group in _grids(placed):
        projector = _projector(group, law_of, norm, n_knots, limits, joint_limits)
        part_queries += [along_line(asked, part.law, query_law) for part in projector.parts for asked in part.asked]
        kind = GridProjector if repairs else UnreadProjector
        repairs.append(of_patterns(kind(projector), kind))
    for on_plane in on_planes:
        part_queries += [along_line(part.declared, part.law, query_law) for part in on_plane.parts]
        part_queries += [PlaneQueries(plane, (on_plane.laws[0], on_plane.laws[1])) for plane in on_plane.planes]
        whole = PlaneProjector(on_plane, reason="" if repairs else "planes are asked of predict.")
        repairs.append(of_patterns(whole, GridProjector if repairs else UnreadProjector))
    part_queries += orbits
    joined = [rule for of_axis in joint_limits.values() for rule in of_axis.rules]
    repairs += _orbit_repairs([rule for rule in declared.orbits if rule not in joined], reference, norm, limits)
    if conditional is not None:
        on_grids = [law for repair in repairs for law in repair.laws]
        marginal = on_grids + [law for part in part_queries for law in part.drawn_from]
        laws = given_the_others(marginal, declared, axes, reference, conditional, sample_weight)
        part_queries = [part.drawn_along(laws) for part in part_queries]
        repairs = [repair.along_laws(laws) for repair in repairs]
    tester, chain = Tester(declared, tuple(part_queries)), Chain(tuple(repairs), limits)
    return Alignment(model, tester, chain, n_jobs=n_jobs, verbose=verbose)


def _planes(
    planes: Sequence[tuple[PlaneProperty, tuple[Axis, Axis]]],
    placed: Sequence[Placed],
    law_of: LawOf,
    norm: str,
    n_knots: int,
    limits: tuple[float, float],
) -> list[PlaneProjection]:
    """Return a projector for each pair of features, with the lines along these features that the projector can serve."""
    grouped: dict[frozenset[int], list[tuple[PlaneProperty, tuple[Axis, Axis]]]] = {}
    for plane, axes in planes:
        grouped.setdefault(frozenset(axis.position for axis in axes), []).append((plane, axes))
    projectors: list[PlaneProjection] = []
    for group in grouped.values():
        axes = group[0][1]
        laws = _laws(axes, law_of, n_knots, PLANE_FACTOR)
        keys = [axis.key for axis in axes]
        served = {part for projector in projectors for part in (located.declared for located in projector.parts)}
        parts = [
            Part(part, keys.index(axis.key), laws[keys.index(axis.key)])
            for part, axis in placed
            if axis.key in keys and not part.trade and part not in served
        ]
        linear = tuple(part for part in parts if is_linear(part))
        projector = PlaneProjection(laws, linear, norm, limits, tuple(plane for plane, _ in group))
        clash = colliding(*projector.inequalities) if linear else ()
        if clash:
            named = " and for ".join(map(str, (*(part.declared for part in linear), *projector.planes)))
            raise InputError(f"the property asks for {named}, which no function has together; drop one of them.")
        projectors.append(projector)
    return projectors


def _orbit_repairs(
    orbits: Sequence[OrbitProperty], reference: Table, norm: str, limits: tuple[float, float]
) -> list[Projector]:
    """Return the repairs of parts that are about orbits, as few as possible; limits alone need no repair."""
    joint: list[OrbitProperty] = []
    limiting = [part for part in orbits if part.limits is not None]
    for part in [part for part in orbits if part.limits is None] + limiting:
        for i, earlier in enumerate(joint):
            both = earlier.joined(part)
            if both is not None:
                joint[i] = both
                if part.limits is None:
                    break
        else:
            if part.limits is None:
                joint.append(part)
    few = tables.take(reference, np.arange(min(reference.shape[0], ORBIT_ROWS)))
    return [OrbitProjector(part, len(part.orbit(few)), norm, limits) for part in joint]


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


def _fits_a_grid(axes: Sequence[Axis]) -> bool:
    """Whether features can share a grid: they are few, or at most one is numeric and the categories are not many."""
    numeric = [axis for axis in axes if axis.order is None]
    n_categories = prod(len(axis.order) for axis in axes if axis.order is not None)
    return len(axes) <= MAX_FEATURES or (len(numeric) <= 1 and n_categories * MIN_KNOTS <= MAX_GRID)


def _grids(placed: Sequence[Placed]) -> list[list[Placed]]:
    """Return the parts in groups that share a grid: as few as possible, no column on two different axes of one grid."""
    grids: list[dict[Hashable, list[Placed]]] = []
    for part, axis in sorted(placed, key=lambda placed_part: bool(placed_part[0].trade)):
        for grid in grids:
            taken = {column for others in grid.values() for _, placed_axis in others for column in placed_axis.columns}
            together = [others[0][1] for others in grid.values()] + [axis]
            if axis.key in grid or (taken.isdisjoint(axis.columns) and _fits_a_grid(together)):
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


def _many_features(
    placed: Sequence[Placed],
    law_of: LawOf,
    projector: Any,
    grid: tuple[str, int, tuple[float, float]],
    margins: Margins,
    limited: frozenset[Hashable],
) -> tuple[list[tuple[LineProperty, ReferenceLaw]], list[Projector]]:
    """Return the parts that lines alone do not serve, with their laws, and the projector that serves them.

    Which projector, if it is not named: lines for one feature, and for few with rules that are not about order; for order and
    invariance in several the model's leaves, or, where these cannot be read, lines if they fit a grid and a surrogate if not.
    """
    n_knots = grid[1]
    plain = [(part, axis) for part, axis in placed if not part.trade]
    fits = _fits_a_grid(list({axis.position: axis for _, axis in plain}.values()))
    if projector == LINES or not plain:
        if not fits:
            raise _too_many(plain)
        return [], []
    if not isinstance(projector, str):
        laws = {axis.key: law_of(axis, n_knots) for _, axis in plain}
        surrogate = SurrogateProjector(tuple({axis.key: axis for _, axis in plain}.values()), projector, margins)
        return [(part, laws[axis.key]) for part, axis in plain], [surrogate]
    ordered = _about_order(plain, limited)
    n_ordered = len({axis.key for _, axis in ordered})
    named = projector != AUTO
    if named and len(ordered) < len(plain):
        raise _not_about_order(projector, next(part for part in plain if part not in ordered)[0])
    if not named and (n_ordered < 2 or (fits and len(ordered) < len(plain))):
        if not fits:
            raise _too_many(plain)
        return [], []
    otherwise: Projector | str | None = str(_too_many(plain)) if len(ordered) < len(plain) else None
    if named:
        needed = f"projector={projector!r} needs a model whose trees can be read"
        otherwise = f"{needed}; leave projector out, and what serves is chosen."
    return _on_order(ordered, law_of, grid, margins, kind=projector, otherwise=otherwise)


def _on_order(
    ordered: Sequence[Placed],
    law_of: LawOf,
    grid: tuple[str, int, tuple[float, float]],
    margins: Margins,
    *,
    kind: str,
    otherwise: Projector | str | None,
) -> tuple[list[tuple[LineProperty, ReferenceLaw]], list[Projector]]:
    """Return parts about order with their laws, and the projector that serves them: a surrogate, or leaves.

    ``otherwise`` is what leaves do where trees cannot be read; by default lines if they fit a grid, else a surrogate.
    """
    norm, n_knots, limits = grid
    axes = tuple({axis.key: axis for _, axis in ordered}.values())
    signs: dict[Hashable, int] = {}
    for part, axis in ordered:
        sign = part.direction or 0
        signs[axis.key] = sign if signs.get(axis.key, sign) == sign else 0
    laws = {axis.key: law_of(axis, n_knots) for axis in axes}
    part_laws = [(part, laws[axis.key]) for part, axis in ordered]
    directions = tuple(signs[axis.key] for axis in axes)
    distilled = MonotoneProjector(axes, directions, n_knots, margins)
    if kind == DISTILLED:
        return part_laws, [distilled]
    if otherwise is None and _fits_a_grid(axes):
        otherwise = of_patterns(UnreadProjector(_projector(ordered, law_of, norm, n_knots, limits)), UnreadProjector)
    query_laws = tuple(laws[axis.key] for axis in axes)
    otherwise = distilled if otherwise is None else otherwise
    leaves = LeafProjector(axes, directions, query_laws, otherwise, is_blended=kind == BLEND, keeps_others=kind == AUTO)
    return part_laws, [leaves]


def _about_order(plain: Sequence[Placed], limited: frozenset[Hashable]) -> list[Placed]:
    """Return the parts on columns all of whose parts are order or invariance, in one range and without limits at places."""
    others = {axis.position for part, axis in plain if part.direction is None or part.tol or axis.key in limited}
    keys = {axis.position: axis.key for _, axis in plain}
    others |= {axis.position for _, axis in plain if axis.key != keys[axis.position]}
    return [(part, axis) for part, axis in plain if axis.position not in others]


def _too_many(plain: Sequence[Placed]) -> InputError:
    features = {axis.key: axis.feature for _, axis in plain}
    other = next((part for part, _ in plain if part.direction is None or part.tol), None)
    which = "" if other is None else f", which {other} is not"
    return InputError(
        f"the property constrains {len(features)} features jointly; at most {MAX_FEATURES} can be projected on a common grid, "
        f"and for more only order and invariance can{which}. Declare fewer features, or give projector= a regressor that has "
        "the property."
    )


def _not_about_order(projector: str, part: LineProperty) -> InputError:
    return InputError(
        f"projector={projector!r} serves order and invariance, which {part} is not. Leave projector out, or declare order."
    )


def _projector(
    placed: Sequence[Placed],
    law_of: LawOf,
    norm: str,
    n_knots: int,
    limits: tuple[float, float],
    joint_limits: Mapping[Hashable, AxisLimits] = MappingProxyType({}),
) -> LineProjection:
    """Return the projector of parts along their axes, those with limits at places as one."""
    distinct = {axis.key: axis for _, axis in placed}
    laws = with_limited_places(_laws(list(distinct.values()), law_of, n_knots), joint_limits)
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
            f"the property asks for {first.declared} and for {second.declared}, which no function has both; drop one of them."
        )


def _laws(axes: Sequence[Axis], law_of: LawOf, n_knots: int, factor: int = GRID_FACTOR) -> tuple[ReferenceLaw, ...]:
    """Return the reference laws of the axes, their knots shared out so that the grid stays small.

    An ordered category has all its categories as knots; numeric features share what remains of the grid equally.
    """
    numeric = [axis for axis in axes if axis.order is None]
    n_categories = prod(len(axis.order) for axis in axes if axis.order is not None)
    grid = n_knots if len(axes) == 1 else factor * n_knots
    share = max(MIN_KNOTS, int((grid / n_categories) ** (1 / len(numeric)) + 1e-9)) if numeric else 0
    per_axis = n_knots if len(axes) == 1 else share
    return tuple(law_of(axis, per_axis if axis.order is None else len(axis.order)) for axis in axes)
