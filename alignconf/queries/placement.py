"""Where a property is asked, and by which law: axes, planes and orbits found in the table, laws in reference rows.

Along a line a tester may ask by three laws, each part of every claim that is made with it:

==========  =====================================================  ==============================================
law         a query at a row                                       what its rejection rate bounds
==========  =====================================================  ==============================================
``"iid"``   different places, two for a property of pairs          the mean absolute distance, by a square root
``"path"``  one place against the pivots of its binary search      the share of values that must change
``"line"``  the whole line                                         the share of rows whose line lacks the property
==========  =====================================================  ==============================================

A query compares different places: they are drawn independently given that they differ, or where one place is drawn, given that
it is not the one it would be compared with.
Proofs are in docs/guarantees.md.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from alignconf._typing import Feature, FloatArray, Table
from alignconf.contract.outputs import Outputs
from alignconf.contract.plane import PlaneProperty
from alignconf.contract.property import LineProperty, Property
from alignconf.errors import InputError, PropertyWarning
from alignconf.lines.axis import Axis, place_axis
from alignconf.lines.conditional_law import conditional_laws
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.queries.along_line import AlongLine, LineQueries, WholeLineQueries
from alignconf.queries.along_path import PathQueries
from alignconf.queries.of_outputs import asked_of_outputs
from alignconf.queries.on_orbit import OrbitQueries
from alignconf.queries.on_plane import PlaneQueries
from alignconf.queries.queries import PartQueries
from alignconf.tables import table as tables
from alignconf.tables.checks import check_choice, warn
from alignconf.tables.missing_codes import NO_CODES, MissingCodes

__all__ = [
    "QUERY_LAWS",
    "REFERENCES",
    "along_line",
    "check_query_law",
    "place_axes",
    "place_orbits",
    "place_planes",
    "place_queries",
]

#: What users may write for the reference law: the same for all rows, or given the other features of the row.
REFERENCES = ("marginal", "conditional")

#: The points of orbits are counted at this many rows: some transforms do something at a few rows only.
ORBIT_ROWS = 10_000

#: Audits ask whole lines, and search for places, among at most this many: eight pivots at most.
AUDIT_KNOTS = 255

#: By the name that users type.
QUERY_LAWS: dict[str, type[AlongLine]] = {law.tester: law for law in (LineQueries, PathQueries, WholeLineQueries)}


def place_axes(declared: Property, table: Table, codes: MissingCodes, reference: Table | None = None) -> list[Axis]:
    """Return the axis of each part that is about lines in a table; refuse what the table cannot carry."""
    axes = [place_axis(part, table, codes, reference) for part in declared.lines]
    orders = {axis.key: axis.order for axis in axes}
    for axis in axes:
        if axis.order != orders[axis.key]:
            raise InputError(
                f"feature {axis.feature!r} is declared with two orders, {axis.order!r} and {orders[axis.key]!r}; "
                "give one order."
            )
        axis.places(table)
    _check_codes(axes)
    pairs = combinations(zip(declared.lines, axes, strict=True), 2)
    for feature in {a.feature for (first, a), (second, b) in pairs if a.key == b.key and first.opposes(second)}:
        warn(
            f"{declared}: this is legal and means that the prediction must not depend on {feature!r} at all.",
            PropertyWarning,
        )
    return axes


def _check_codes(axes: Sequence[Axis]) -> None:
    """Refuse rules of one column that leave out different values.

    Raises
    ------
    InputError
    """
    seen: dict[int, Axis] = {}
    for axis in axes:
        for column in axis.columns:
            earlier = seen.setdefault(column, axis)
            if set(earlier.domain.special) != set(axis.domain.special):
                raise InputError(
                    f"feature {axis.feature!r} is declared with special={list(earlier.domain.special)} and with "
                    f"special={list(axis.domain.special)}; a value is outside the order for all rules or for none. Give the same "
                    "list in both."
                )


def warn_of_unseen_codes(axes: Sequence[Axis], reference: Table) -> None:
    """Warn of special values that occur in no column in which they are declared: most often they are misspelled."""
    unseen: dict[Any, Feature] = {}
    occurring: set[Any] = set()
    for axis in axes:
        for column in axis.columns if axis.domain.special else ():
            values = tables.column(reference, column)
            for code in axis.domain.special:
                unseen.setdefault(code, axis.feature)
                if code not in occurring and (values == code).any():
                    occurring.add(code)
    for code in occurring:
        del unseen[code]
    if unseen:
        named = ", ".join(f"{code!r} of {feature!r}" for code, feature in unseen.items())
        warn(
            f"special values that no reference row has: {named}. Expected values of the column; look for a misspelling.",
            PropertyWarning,
        )


def place_planes(
    declared: Property, table: Table, codes: MissingCodes
) -> list[tuple[PlaneProperty, tuple[Axis, Axis]]]:
    """Return each part that is about planes with the axes of its two features in a table."""
    placed = []
    for plane in declared.planes:
        axes = []
        for feature in (plane.feature, plane.other):
            position = tables.locate(table, feature)
            order = tables.category_order(table, position)
            axes.append(Axis(feature, position, order, codes=codes.get(position, ()), domain=plane.domain))
            axes[-1].places(table)
        if axes[0].position == axes[1].position:
            raise InputError(
                f"{plane} is about two features, but {plane.feature!r} and {plane.other!r} are one column."
            )
        placed.append((plane, (axes[0], axes[1])))
    return placed


def place_orbits(declared: Property, table: Table) -> tuple[OrbitQueries, ...]:
    """Return the queries of each part that is about orbits, their points counted in a table."""
    few = tables.take(table, np.arange(min(table.shape[0], ORBIT_ROWS)))
    return tuple(OrbitQueries(part, len(part.orbit(few))) for part in declared.orbits)


def place_queries(
    declared: Property,
    table: Table,
    reference: Table,
    query_law: str = "iid",
    *,
    outputs: Outputs | None = None,
    conditional: np.random.Generator | None = None,
    codes: MissingCodes = NO_CODES,
) -> tuple[PartQueries, ...]:
    """Return the queries of each part, with the laws that reference rows give; for audits, which repair nothing."""
    check_query_law(declared, query_law)

    def law(axis: Axis) -> ReferenceLaw:
        return ReferenceLaw.from_table(axis, reference, AUDIT_KNOTS)

    axes = place_axes(declared, table, codes, reference)
    planes = place_planes(declared, table, codes)
    warn_of_unseen_codes([*axes, *(axis for _, of_plane in planes for axis in of_plane)], reference)
    lines = [along_line(part, law(axis), query_law) for part, axis in zip(declared.lines, axes, strict=True)]
    on_planes = [PlaneQueries(plane, (law(first), law(second))) for plane, (first, second) in planes]
    part_queries: tuple[PartQueries, ...] = (*lines, *on_planes, *place_orbits(declared, table))
    if conditional is not None:
        laws = given_the_others([line.law for line in lines], declared, axes, reference, conditional)
        part_queries = tuple(queries.drawn_along(laws) for queries in part_queries)
    return asked_of_outputs(part_queries, declared, outputs)


def given_the_others(
    laws: Sequence[ReferenceLaw],
    declared: Property,
    axes: Sequence[Axis],
    reference: Table,
    random: np.random.Generator,
    sample_weight: FloatArray | None = None,
) -> tuple[ReferenceLaw, ...]:
    """Return the laws, one law for each axis, given all columns that no part constrains along lines."""
    if declared.planes:
        raise InputError(
            f"reference_law='conditional' is for lines, and {declared.planes[0]} is asked and repaired on planes; use "
            "reference_law='marginal'."
        )
    constrained = frozenset(column for axis in axes for column in axis.columns)
    of_axes: dict[Hashable, ReferenceLaw] = {}
    for law in laws:
        of_axes.setdefault(law.axis.key, law)
    return conditional_laws(tuple(of_axes.values()), reference, constrained, random, sample_weight)


def along_line(part: LineProperty, law: ReferenceLaw, query_law: str) -> AlongLine:
    """Return what a tester asks of a part under a query law that :func:`check_query_law` allows.

    Raises
    ------
    InputError
        If the line has fewer places than the property compares.
    """
    if law.places.size < part.n_points:
        raise InputError(
            f"{part} compares {part.n_points} different places, and feature {law.axis.feature!r} has only {law.places.size} in "
            "the reference rows, so there is no query to ask. Give reference rows with more different values, or drop the "
            "property."
        )
    if query_law == "line" and law.knots.size < part.n_points:
        raise InputError(
            f"query_law='line' asks {part} of the whole line, which has only {law.knots.size} places in the reference rows; "
            f"at least {part.n_points} are compared. Use query_law='iid'."
        )
    return QUERY_LAWS[query_law](part, law)


def check_query_law(declared: Property, query_law: str) -> None:
    """Refuse a query law that does not exist, or that the property does not have.

    Raises
    ------
    InputError
    """
    check_choice("query_law", query_law, tuple(QUERY_LAWS))
    if query_law == "iid":
        return
    for plane in declared.planes:
        raise InputError(f"query_law={query_law!r} asks along lines, and {plane} is about planes; use query_law='iid'.")
    for part in declared.lines:
        if query_law == "path" and part.n_points != 2:
            raise InputError(
                f"query_law='path' compares pairs of places, and {part} compares {part.n_points} at a time; use "
                "query_law='line' or 'iid'."
            )
        if query_law == "line" and not part.is_local:
            slack = ", with its tolerance" if part.tol else ""
            raise InputError(
                f"query_law='line' compares neighbouring places, and neighbours alone do not tell whether a whole line is {part}"
                f"{slack}; use query_law='iid'."
            )
