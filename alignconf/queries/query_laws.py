"""Which queries are asked along a line: three laws, each part of every claim that is made with it.

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

from alignconf.contract.property import LineProperty, Property
from alignconf.errors import InputError
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.queries.along_line import AlongLine, LineQueries
from alignconf.queries.along_path import PathQueries
from alignconf.queries.whole_line import WholeLineQueries
from alignconf.tables.checks import check_choice

__all__ = ["QUERY_LAWS", "along_line", "check_query_law"]

#: By the name that users type.
QUERY_LAWS: dict[str, type[AlongLine]] = {law.tester: law for law in (LineQueries, PathQueries, WholeLineQueries)}


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
