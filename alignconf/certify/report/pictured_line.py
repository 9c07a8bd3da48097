"""One row's line as it is drawn: plain numbers, so that a certificate can keep it when the model is gone.

The line of a row is a function of one feature with everything else as in the row. It is evaluated at the knots of the
reference law and at quantiles between them: for a model on its own ``f``, for an aligned one also the projection ``g``, the
delivered ``f + clip(g - f, -lambda_, lambda_)`` and the ends of the band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, IntArray, Model, Table
from alignconf.lines.reference_law import ReferenceLaw, weighted_quantiles
from alignconf.projectors.alignment import Alignment
from alignconf.queries.queries import PartQueries, askable_parts
from alignconf.tables import table as tables
from alignconf.tables.predictions import predictions

__all__ = ["PicturedLine", "line_of_row", "lines_of_alignment", "lines_of_model", "of_alignment", "of_model"]

#: Kept pictures are of at most so many lines, each at about so many places.
MAX_LINES = 4
N_POINTS = 120


@dataclass(frozen=True)
class PicturedLine:
    """A row's line, (n_places,) numbers each.

    Parameters
    ----------
    row : int
        Position of the row in ``X``.
    label : str
        The feature, with its unit where the data say one.
    subject : str
        What the values are.
    places : tuple of float
        Increasing.
    categories : tuple of str
        The names of the places 0, 1, ... of an ordered category; empty for a number.
    row_place : float
        The row's own place.
    model : tuple of float
        ``f``.
    projection, delivered : tuple of float
        ``g`` and what users are given; empty for a model that is not aligned.
    low, high : tuple of float
        Ends of the band; empty where there is none.
    half_width : float or None
        Of the band, where it is the same at all places.
    marked : tuple of (float, float)
        Places and values of a query's points on the line.
    """

    row: int
    label: str
    subject: str
    places: tuple[float, ...]
    categories: tuple[str, ...]
    row_place: float
    model: tuple[float, ...]
    projection: tuple[float, ...] = ()
    delivered: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    half_width: float | None = None
    marked: tuple[tuple[float, float], ...] = ()


def of_model(
    model: Model,
    table: Table,
    row: int,
    law: ReferenceLaw,
    *,
    n_points: int = N_POINTS,
    output: tuple[int, Any] | None = None,
) -> PicturedLine:
    """Return a row's line of a model that is not aligned.

    Parameters
    ----------
    model : Model
    table : Table of n_samples rows
    row : int
    law : ReferenceLaw
        Of the feature that varies.
    n_points : int
        Places besides the knots.
    output : (position, label), optional
        The output that is drawn, of a model with several.
    """
    places = _places(law, n_points)
    f, _ = predictions(model, _moved(table, row, law, places))
    f, subject = (f, "prediction") if output is None else (f[:, output[0]], f"output {output[1]}")
    return PicturedLine(**_frame(table, row, law, places), subject=subject, model=tuple(f.tolist()))


def of_alignment(
    alignment: Alignment,
    half_widths: float | FloatArray,
    table: Table,
    row: int,
    law: ReferenceLaw,
    *,
    n_points: int = N_POINTS,
) -> PicturedLine:
    """Return a row's line of an aligned model.

    Parameters
    ----------
    alignment : Alignment
    half_widths : float or (n_samples,)
        ``lambda_`` at the rows.
    table, row, law, n_points : as for :func:`of_model`
        Of several outputs the one that is moved farthest is drawn.
    """
    places = _places(law, n_points)
    sites = _moved(table, row, law, places)
    laws = alignment.chain.laws
    if any(axis_law is law for axis_law in laws):
        single = tables.take(table, np.array([row]))
        f, g = alignment.along(single, [axis_law is law for axis_law in laws].index(True), places)
    else:
        f, g = alignment.predict(sites)
    half_width = float(half_widths if np.ndim(half_widths) == 0 else np.asarray(half_widths)[row])
    delivered, ends = alignment.scale.deliver(sites, f, g, half_width), alignment.scale.ends(sites, f, half_width)
    subject = alignment.tester.subject or "prediction"
    if f.ndim == 2:
        farthest = int(np.abs(g - f).max(axis=0).argmax())
        f, g, delivered, ends = (values[:, farthest] for values in (f, g, delivered, ends))
        subject = f"output {alignment.tester.output_labels[farthest]}"
    band: dict[str, Any] = {}
    if np.isfinite(half_width):
        low, high = np.clip(ends, *alignment.chain.limits).T
        plain = float(half_width) if alignment.scale.is_plain else None
        band = {"low": tuple(low.tolist()), "high": tuple(high.tolist()), "half_width": plain}
    return PicturedLine(
        **_frame(table, row, law, places),
        subject=subject,
        model=tuple(f.tolist()),
        projection=tuple(g.tolist()),
        delivered=tuple(delivered.tolist()),
        **band,
    )


def lines_of_model(
    model: Model,
    table: Table,
    queries: Sequence[PartQueries],
    values: Sequence[FloatArray],
    sizes: FloatArray,
    numbers: IntArray,
) -> tuple[PicturedLine, ...]:
    """Return, for each feature with a line, the line of the most violated row; features never violated have none.

    The points of the most violated query are marked.

    Parameters
    ----------
    model, table
    queries : sequence of PartQueries, n_parts of them
    values : for each part (n_samples, n_queries, n_points)
    sizes : (n_samples, n_parts)
        Of the violations of each part's first query.
    numbers : (n_samples,)
        Positions of the rows in the users' table.
    """
    lines = []
    for row, part, law in _worst_rows(queries, sizes, table):
        if sizes[row, part] > 0:
            marked, output = _marked(queries[part], values[part], row)
            line = replace(of_model(model, table, row, law, output=output), row=int(numbers[row]), marked=marked)
            lines.append(line)
    return tuple(lines)


def lines_of_alignment(
    alignment: Alignment, half_widths: float | FloatArray, table: Table, sizes: FloatArray, numbers: IntArray
) -> tuple[PicturedLine, ...]:
    """Return, for each feature with a line, the line of the row that the model violates most there, before and after."""
    return tuple(
        replace(of_alignment(alignment, half_widths, table, row, law), row=int(numbers[row]))
        for row, _, law in _worst_rows(alignment.tester.parts, sizes, table)
    )


def line_of_row(
    alignment: Alignment, half_widths: float | FloatArray, table: Table, row: int | None, numbers: IntArray
) -> PicturedLine | None:
    """Return the line of a row along the first feature that has lines and that the row has; None where there is none."""
    if row is None:
        return None
    for law in (law for part in alignment.tester.parts for law in part.drawn_from):
        if not np.isnan(law.axis.places(tables.take(table, np.array([row])))[0]):
            return replace(of_alignment(alignment, half_widths, table, row, law), row=int(numbers[row]))
    return None


def _worst_rows(queries: Sequence[PartQueries], sizes: FloatArray, table: Table) -> list[tuple[int, int, ReferenceLaw]]:
    """Return for each axis, at most :data:`MAX_LINES` of them, the most violated row and part, and the law.

    Only rows that have the features of a part have a line; an axis on which no row has a place is left out.
    """
    askable = askable_parts(queries, table)
    sizes = np.where(askable, sizes, -1.0)
    parts: dict[Any, list[int]] = {}
    laws: dict[Any, ReferenceLaw] = {}
    for part, of_part in enumerate(queries):
        for law in of_part.drawn_from:
            parts.setdefault(law.axis.key, []).append(part)
            laws.setdefault(law.axis.key, law)
    worst = []
    for key in [key for key, of_axis in parts.items() if askable[:, of_axis].any()][:MAX_LINES]:
        row, column = np.unravel_index(int(sizes[:, parts[key]].argmax()), (len(sizes), len(parts[key])))
        worst.append((int(row), parts[key][int(column)], laws[key]))
    return worst


def _marked(
    queries: PartQueries, values: FloatArray, row: int
) -> tuple[tuple[tuple[float, float], ...], tuple[int, Any] | None]:
    """Return the points of a row's first query with the values there, if they lie on a line, and their output."""
    numbers = queries.rows(slice(row, row + 1)).points_of_worst(values[row][None])
    points, position = queries.located(numbers)
    output = None if position is None else (position, queries.output_labels[position])
    if len(queries.drawn_from) > 1:
        return (), output
    places, answers = queries.coordinates[row, 0, points, 0], values[row, 0, numbers]
    return tuple(zip(places.tolist(), answers.tolist(), strict=True)), output


def _places(law: ReferenceLaw, n_points: int) -> FloatArray:
    """Return quantiles of the reference law, and its knots unless they are many: those of trees can be thousands."""
    quantiles = weighted_quantiles(law.places, law.counts, np.linspace(0, 1, n_points))
    knots = law.knots if law.knots.size <= 2 * n_points else law.knots[:0]
    return np.unique(np.concatenate([knots[(knots >= law.places[0]) & (knots <= law.places[-1])], quantiles]))


def _moved(table: Table, row: int, law: ReferenceLaw, places: FloatArray) -> Table:
    """Return the row moved to each place, (n_places,) rows."""
    single, rows = tables.take(table, np.array([row])), np.zeros(places.size, dtype=np.intp)
    return tables.replicate(single, rows, law.axis.moved(single, rows, places))


def _frame(table: Table, row: int, law: ReferenceLaw, places: FloatArray) -> dict[str, Any]:
    unit = tables.unit_of(table, law.axis.position) if len(law.axis.columns) == 1 else ""
    single = tables.take(table, np.array([row]))
    return {
        "row": row,
        "label": f"{law.axis.label} ({unit})" if unit else law.axis.label,
        "places": tuple(places.tolist()),
        "categories": tuple(map(str, law.axis.order or ())),
        "row_place": float(law.axis.places(single)[0]),
    }
