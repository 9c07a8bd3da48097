"""From a declared property and reference rows to an alignment: which repair serves which part.

Parts that are about lines share one grid of at most ``MAX_FEATURES`` features; for more features, or where one is given, a
surrogate stands in. Parts that are about orbits follow, each with a repair of its own; bounds are kept by clipping last.
Everything here happens before a row calibrates, and what cannot be is refused by name.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Model, Table
from alignconf.contract.plane import PlaneProperty
from alignconf.contract.property import LineProperty, Property
from alignconf.errors import InputError
from alignconf.kernels.polyhedron import colliding
from alignconf.lines.axis import Axis
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.projectors.alignment import Alignment
from alignconf.projectors.anchored import MonotoneProjector
from alignconf.projectors.grid import GridProjector
from alignconf.projectors.joint_orbits import common_limits, orbit_projectors
from alignconf.projectors.leaves.leaf_projector import LeafProjector
from alignconf.projectors.line_projection import Part
from alignconf.projectors.margins import Margins, Values
from alignconf.projectors.patterns import of_patterns
from alignconf.projectors.place_limits import limits_on_axes
from alignconf.projectors.plane_projector import PlaneProjection, PlaneProjector, is_linear
from alignconf.projectors.projector import Chain, Projector
from alignconf.projectors.shared_grids import (
    LawOf,
    Placed,
    fits_a_grid,
    grid_projection,
    shared_grids,
    shared_laws,
    too_many,
)
from alignconf.projectors.surrogate import SurrogateProjector
from alignconf.projectors.tree import UnreadProjector
from alignconf.queries.of_outputs import refuse_outputs
from alignconf.queries.on_plane import PlaneQueries
from alignconf.queries.placement import (
    along_line,
    check_query_law,
    given_the_others,
    place_axes,
    place_orbits,
    place_planes,
    warn_of_unseen_codes,
)
from alignconf.queries.queries import PartQueries, Tester
from alignconf.tables.missing_codes import missing_codes

__all__ = ["PROJECTORS", "prepare"]

#: As :data:`alignconf.projectors.shared_grids.GRID_FACTOR`, for a plane, all of whose demands are met by one projection.
PLANE_FACTOR = 2

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
    refuse_outputs(declared)
    codes = missing_codes(model, table)
    axes = place_axes(declared, table, codes, reference)
    placed = list(zip(declared.lines, axes, strict=True))
    planes = place_planes(declared, table, codes)
    warn_of_unseen_codes([*axes, *(axis for _, of_plane in planes for axis in of_plane)], reference)
    orbits = place_orbits(declared, reference)
    limits = common_limits(declared, limits)
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
    for group in shared_grids(placed):
        projector = grid_projection(group, law_of, norm, n_knots, limits, joint_limits)
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
    repairs += orbit_projectors([rule for rule in declared.orbits if rule not in joined], reference, norm, limits)
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
        laws = shared_laws(axes, law_of, n_knots, PLANE_FACTOR)
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
            named = ", and ".join(map(str, (*(part.declared for part in linear), *projector.planes)))
            raise InputError(f"rules contradict each other: {named}, which no function has together; drop one of them.")
        projectors.append(projector)
    return projectors


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
    fits = fits_a_grid(list({axis.position: axis for _, axis in plain}.values()))
    if projector == LINES or not plain:
        if not fits:
            raise too_many(plain)
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
            raise too_many(plain)
        return [], []
    otherwise: Projector | str | None = str(too_many(plain)) if len(ordered) < len(plain) else None
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
    if otherwise is None and fits_a_grid(axes):
        otherwise = of_patterns(
            UnreadProjector(grid_projection(ordered, law_of, norm, n_knots, limits)), UnreadProjector
        )
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


def _not_about_order(projector: str, part: LineProperty) -> InputError:
    return InputError(
        f"projector={projector!r} serves order and invariance, which {part} is not. Leave projector out, or declare order."
    )
