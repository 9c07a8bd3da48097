"""The axis of a feature and its reference law: where a line is looked at, and how often.

An :class:`Axis` gives the values of one column their places on a line: a numeric feature is its own place, the
categories of an ordered category are counted from 0. A :class:`ReferenceLaw` is the distribution of those places in a
*reference sample*. It is part of every claim: queries are drawn from it, knots are its quantiles, and the projection
weighs errors by it. The sample must not contain rows that calibrate or certify.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf import _tables
from alignconf._typing import Feature, FloatArray, IntArray, Table
from alignconf.contract import LineProperty
from alignconf.errors import InputError

__all__ = ["Axis", "ReferenceLaw", "place_axis", "set_aside"]

REFERENCE_SHARE = 0.2
MAX_REFERENCE = 2000


@dataclass(frozen=True)
class Axis:
    """The places that the values of one column take along its lines.

    Parameters
    ----------
    feature : str or int
        As the user named it.
    position : int
        Column position in the table.
    order : tuple or None
        Categories from first to last; None for a numeric feature.
    """

    feature: Feature
    position: int
    order: tuple[Any, ...] | None

    def places(self, table: Table) -> FloatArray:
        """Return the place of every row, (n_samples,); NaN where the value is missing.

        Raises
        ------
        InputError
            If a value has no place: a category outside the order, or something that is not a number.
        """
        values = _tables.column(table, self.position)
        return self._numbers(values) if self.order is None else self._ranks(values)

    def values(self, places: FloatArray) -> NDArray[Any]:
        """Return the column's values at given places, the inverse of :meth:`places`."""
        if self.order is None:
            return places
        categories = np.empty(len(self.order), dtype=object)
        categories[:] = self.order
        of_one_type = {type(category) for category in self.order} in ({int}, {float}, {str})
        lookup = np.asarray(self.order) if of_one_type else categories
        return lookup[places.astype(np.intp)]

    def _numbers(self, values: NDArray[Any]) -> FloatArray:
        if values.dtype.kind in "biuf":
            return values.astype(np.float64)
        if values.dtype.kind in "mM":
            raise InputError(
                f"feature {self.feature!r} holds dates or durations ({values.dtype}); expected numbers. Turn them into "
                "numbers first, for example days since a start."
            )
        missing = np.array([_is_missing(value) for value in values], dtype=bool)
        try:
            if any(isinstance(value, (str, bytes)) for value in values[~missing]):
                raise TypeError("text")
            numbers = np.full(values.shape, np.nan)
            numbers[~missing] = values[~missing].astype(np.float64)
        except (TypeError, ValueError) as error:
            example = values[~missing][0]
            raise InputError(
                f"feature {self.feature!r} has values such as {example!r}, which have no order; "
                f"list the categories from first to last, order=[...], in the property."
            ) from error
        return numbers

    def _ranks(self, values: NDArray[Any]) -> FloatArray:
        ranks = {category: float(rank) for rank, category in enumerate(self.order or ())}
        try:
            places = np.array([np.nan if _is_missing(value) else ranks[value] for value in values.tolist()])
        except KeyError as error:
            raise InputError(
                f"feature {self.feature!r} has the category {error.args[0]!r}, which order={list(ranks)} does not "
                "list; add it at its place."
            ) from error
        return places.astype(np.float64)


@dataclass(frozen=True)
class ReferenceLaw:
    """The marginal law of one feature in a reference sample, with the knots at which lines are evaluated.

    Parameters
    ----------
    axis : Axis
    sample : (n_reference,)
        Places of the reference rows, sorted.
    knots : (n_knots,)
        Increasing places, each of them in the sample: all distinct ones if there are at most ``n_knots``, otherwise
        quantiles that include the smallest and the largest.
    weights : (n_knots,)
        Reference mass of each knot, summing to 1; the mass strictly between two knots is split between them.
    """

    axis: Axis
    sample: FloatArray
    knots: FloatArray
    weights: FloatArray

    @classmethod
    def from_table(cls, axis: Axis, table: Table, n_knots: int) -> ReferenceLaw:
        """Read the law of the axis off the rows of a table, those with a missing value left out."""
        places = axis.places(table)
        sample = np.sort(places[~np.isnan(places)])
        distinct = np.unique(sample)
        if not np.isfinite(sample).all():
            raise InputError(
                f"feature {axis.feature!r} has infinite values in the reference rows; expected finite ones."
            )
        if distinct.size < 2:
            held = f"only the value {axis.values(distinct).tolist()[0]!r}" if distinct.size else "no value at all"
            raise InputError(
                f"feature {axis.feature!r} has {held} in the {len(places)} reference rows: along a constant feature "
                "there is nothing to ask. Give reference rows in which it varies, or drop the property."
            )
        knots = distinct
        if distinct.size > n_knots:
            knots = np.unique(np.quantile(sample, np.linspace(0, 1, n_knots), method="inverted_cdf"))
        return cls(axis, sample, knots, _knot_mass(sample, knots))

    def draw(self, random: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        """Return independent draws from the law, of the given shape."""
        return self.sample[random.integers(self.sample.size, size=shape)]

    def __str__(self) -> str:
        """Return the law in words, as certificates print it."""
        return f"the marginal law of {self.axis.feature!r} in {self.sample.size} reference rows"


def set_aside(n_samples: int, random: np.random.Generator, *, keep: int) -> tuple[IntArray, IntArray]:
    """Return the rows to work with and a random fifth of all rows, at most 2,000, that gives the reference law.

    At least ``keep`` rows remain to work with, and the law gets at least two; where both cannot be had, it gets fewer.
    """
    order = random.permutation(n_samples)
    n_reference = min(max(2, int(REFERENCE_SHARE * n_samples)), MAX_REFERENCE, max(0, n_samples - keep))
    return np.sort(order[n_reference:]), np.sort(order[:n_reference])


def place_axis(part: LineProperty, table: Table) -> Axis:
    """Return the axis of a declared property in a table: its column, and the order of its categories."""
    position = _tables.locate(table, part.feature)
    declared = tuple(part.order) if part.order is not None else _tables.category_order(table, position)
    return Axis(part.feature, position, declared)


def _knot_mass(sample: FloatArray, knots: FloatArray) -> FloatArray:
    right = np.searchsorted(knots, sample)
    at_knot = knots[right] == sample
    left = np.where(at_knot, right, right - 1)
    counts = np.bincount(left, minlength=knots.size) + np.bincount(right, minlength=knots.size)
    return counts / (2.0 * sample.size)


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))
