"""Witnesses: violated queries, the worst first, with their coordinates, so that anybody can ask them again.

A witness names the row and the values of the feature at the points of the query; all other features are the row's own. Its
predictions are those of the function that was asked, and ``excess`` is by how much the inequality fails there.
"""

from __future__ import annotations

import builtins
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignconf._typing import Feature, FloatArray, IntArray, Table
from alignconf.queries.queries import PartQueries
from alignconf.tables import table as tables
from alignconf.tables.printed import figure

__all__ = ["N_WITNESSES", "Witness", "found_at", "largest"]

#: So many are kept.
N_WITNESSES = 10


@dataclass(frozen=True)
class Witness:
    """One violated query: where it is and how bad.

    Parameters
    ----------
    row : int
        Position in ``X`` of the row on whose line the query lies.
    property : str
        The part of the property that is violated, in words.
    feature : str, int or None
        The feature that varies; None where the query is about points made from the row.
    values : tuple
        The values of the feature at the points of the query, in order; otherwise the points in words.
    predictions : tuple of float
        What the model answers there, all other features being the row's own.
    excess : float or None
        By how much the inequality fails, in the unit of the prediction; None where the property only says yes or no.
    output : label or None
        The output that the predictions are of; None for a model with one, or where several are compared.
    label : hashable or None
        Of the row in the index of a data frame, where labels are not positions.
    """

    row: int
    property: str
    feature: Feature | None
    values: tuple[Any, ...]
    predictions: tuple[float, ...]
    excess: float | None
    output: Any = None
    label: Hashable | None = None

    @builtins.property
    def points(self) -> tuple[str, ...]:
        """The points of the query in words."""
        return tuple(str(value) if self.feature is None else repr(value) for value in self.values)

    def at_position(self, row: int) -> Witness:
        """Return the witness of a row at another position, by which a label that is equal is dropped."""
        return replace(self, row=row, label=None if self.label == row else self.label)

    @builtins.property
    def in_words(self) -> str:
        """The row by its label, and what the model predicts there, in three digits."""
        name = f"row {self.row}" if self.label is None else f"row {self.label} (position {self.row})"
        along = "" if self.feature is None else f"{self.feature} = "
        points = [f"{figure(y)} at {along}{_short(x)}" for x, y in zip(self.values[:1], self.predictions, strict=False)]
        points += [f"{figure(y)} at {_short(x)}" for x, y in zip(self.values[1:], self.predictions[1:], strict=True)]
        of_output = "" if self.output is None else f", output {self.output}"
        return f"{name}{of_output}: predicts {' but '.join(points)}"

    def __str__(self) -> str:
        """Return the witness in words."""
        points = ", ".join(
            f"{prediction:.6g} at {point}" for point, prediction in zip(self.points, self.predictions, strict=True)
        )
        size = "" if self.excess is None else f" (too much by {self.excess:.6g})"
        name = self.row if self.label is None else f"{self.label} (position {self.row})"
        of_output = "" if self.output is None else f", output {self.output}"
        return f"row {name}{of_output}, {self.property}: the model predicts {points}{size}"


def largest(sizes: FloatArray, limit: int = N_WITNESSES) -> tuple[IntArray, IntArray, IntArray]:
    """Return rows, parts and queries of the largest positive sizes, at most one for each row and part, the worst first.

    Parameters
    ----------
    sizes : (n_samples, n_parts, n_queries)
        How far each query is from being accepted, 0 if it is.
    limit : int
        At most so many.

    Returns
    -------
    three arrays of the same shape (n_found,)
    """
    worst = sizes.max(axis=2)
    order = np.argsort(-worst, axis=None, kind="stable")[:limit]
    rows, parts = np.unravel_index(order, worst.shape)
    is_violated = worst[rows, parts] > 0
    rows, parts = rows[is_violated], parts[is_violated]
    return rows, parts, sizes[rows, parts].argmax(axis=1)


def found_at(
    parts: Sequence[PartQueries],
    table: Table,
    values: Sequence[FloatArray],
    sizes: FloatArray,
    numbers: IntArray,
    limit: int = N_WITNESSES,
) -> tuple[Witness, ...]:
    """Return the witnesses among the queries at the rows of a table, the worst first.

    Parameters
    ----------
    parts : sequence of PartQueries at the rows, of equal numbers
    table : Table of n_samples rows
    values : for each part (n_samples, n_queries, n_points)
        What the function answers at the points.
    sizes : (n_samples, n_parts, n_queries)
    numbers : (n_samples,)
        Positions of the rows in the users' table.
    limit : int
    """
    worst = list(zip(*largest(sizes, limit), strict=True))
    about = {part: _about(parts[part]) for part in dict.fromkeys(part for _, part, _ in worst)}
    return tuple(
        _witness(
            parts[part], about[part], table, int(row), int(query), values[part][row], int(numbers[row]),
            float(sizes[row, part, query]),
        )
        for row, part, query in worst
    )  # fmt: skip


def _about(part: PartQueries) -> tuple[str, Feature | None, bool]:
    """Return what all witnesses of a part share: its words, the feature that varies, and whether it only says yes or no."""
    return str(part.declared), part.drawn_from[0].axis.feature if part.drawn_from else None, part.is_opaque


def _witness(
    part: PartQueries,
    about: tuple[str, Feature | None, bool],
    table: Table,
    row: int,
    query: int,
    values: FloatArray,
    number: int,
    size: float,
) -> Witness:
    words, feature, is_opaque = about
    numbers = part.rows(slice(row, row + 1)).points_of_worst(values[None], query)
    points, output = part.located(numbers)
    labels = part.labels(table, row, query)
    return Witness(
        row=number,
        property=words,
        feature=feature,
        values=tuple(labels[i] for i in points),
        predictions=tuple(values[query][numbers].tolist()),
        excess=None if is_opaque else size,
        output=None if output is None else part.output_labels[output],
        label=tables.label_of(table, row),
    ).at_position(number)


def _short(value: Any) -> str:
    """Return a value of a feature in four digits, a category as it is."""
    return figure(value, digits=4) if isinstance(value, float) else str(value)
