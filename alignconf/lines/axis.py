"""The axis of a feature: which place each row has on its line, and which row a place stands for.

An :class:`Axis` gives the values of one column their places on a line: a numeric feature is its own place, the categories of an
ordered category are counted from 0. Along a :class:`TradeAxis` one feature grows at the expense of another. How often places
are looked at is the reference law's business: :mod:`alignconf.lines.reference_law`.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import Feature, FloatArray, IntArray, Table
from alignconf.contract.domain import Domain
from alignconf.contract.property import LineProperty
from alignconf.errors import InputError, InputTypeError
from alignconf.tables import table as tables
from alignconf.tables.checks import is_held, not_held

__all__ = ["Axis", "TradeAxis", "place_axis"]

#: Trade lines are drawn from at this many places.
TRADE_PLACES = 1001

#: Decimals of a place on a trade line, so that a row that was moved to a knot is found at it.
TRADE_DIGITS = 12


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
    codes : tuple
        Values that the model takes for missing, besides NaN and None: they have no place.
    domain : Domain
        The values that a rule compares; others have no place.
    """

    feature: Feature
    position: int
    order: tuple[Any, ...] | None
    codes: tuple[Any, ...] = field(default=(), kw_only=True)
    domain: Domain = field(default_factory=Domain, kw_only=True)

    @property
    def columns(self) -> tuple[int, ...]:
        """The positions of the columns that change along the axis; no two axes of a grid share a column."""
        return (self.position,)

    @property
    def is_held_by_column(self) -> bool:
        """Whether a row that is moved to its own place is the same row, to the bit."""
        return True

    @property
    def label(self) -> str:
        """The name of the places, for pictures."""
        return str(self.feature)

    @property
    def key(self) -> Hashable:
        """The key that is equal for two axes iff they are the same axis: one column, in one range."""
        return (self.columns, self.domain.between)

    def within(self, table: Table) -> Axis:  # noqa: ARG002
        """Return the axis as reference rows bound it."""
        return self

    def reference_places(self, table: Table, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the places whose law the reference rows of a table give, NaN where missing, and what each counts."""
        return self.places(table), weights

    def law_in_words(self, n_reference: int) -> str:
        """Return the reference law in words."""
        return f"the marginal law of {self.feature!r}{self.domain} in {n_reference} reference rows"

    def places(self, table: Table) -> FloatArray:
        """Return the place of every row, (n_samples,); NaN where the value is missing or outside the domain.

        Raises
        ------
        InputError
            If a value has no place: a category outside the order, or something that is not a number.
        """
        values = tables.column(table, self.position)
        return self._numbers(values, self.codes) if self.order is None else self._ranks(values)

    def outside(self, table: Table) -> FloatArray:
        """Return the values of rows that are not missing and have no place, as numbers, NaN elsewhere: (n_samples,)."""
        values = tables.column(table, self.position)
        if self.order is not None:
            number = {code: float(i) for i, code in enumerate(self.domain.special)}
            return np.array([number.get(value, np.nan) for value in values.tolist()])
        return np.where(np.isnan(self.places(table)), self._held(values), np.nan)

    def moved(self, table: Table, rows: IntArray, places: FloatArray) -> dict[int, NDArray[Any]]:  # noqa: ARG002
        """Return which columns change, by position, and to what values, when rows of a table move to given places.

        Parameters
        ----------
        table : Table
        rows : (n_moved,)
            Positions of rows in the table.
        places : (n_moved,)
        """
        return {self.position: self.values(places)}

    def values(self, places: FloatArray) -> NDArray[Any]:
        """Return the column's values at given places, the inverse of :meth:`places`."""
        if self.order is None:
            return places
        categories = np.empty(len(self.order), dtype=object)
        categories[:] = self.order
        of_one_type = {type(category) for category in self.order} in ({int}, {float}, {str})
        lookup = np.asarray(self.order) if of_one_type else categories
        return lookup[places.astype(np.intp)]

    def _numbers(self, values: NDArray[Any], codes: tuple[Any, ...]) -> FloatArray:
        numbers = self._held(values)
        for code in codes:
            if isinstance(code, Real):
                # Boosters compare in single precision.
                with np.errstate(over="ignore"):
                    numbers[numbers.astype(np.float32) == np.float32(code)] = np.nan
        return numbers if self.domain.is_everything else np.where(self.domain.holds(numbers), numbers, np.nan)

    def _held(self, values: NDArray[Any]) -> FloatArray:
        """Return values as floats, missing ones as NaN; refuse what floats do not hold exactly."""
        if values.dtype.kind in "biuf":
            inexact = not_held(values)
            if inexact.any():
                raise InputError(self._inexact(values[inexact][0]))
            return values.astype(np.float64)
        if values.dtype.kind in "mM":
            raise InputError(
                f"feature {self.feature!r} holds dates or durations ({values.dtype}); expected numbers. Turn them into "
                "numbers first, for example days since a start."
            )
        if values.dtype.kind == "c":
            raise InputError(
                f"feature {self.feature!r} holds complex numbers; expected real ones. Take their real part."
            )
        missing = np.array([tables.is_missing(value) for value in values], dtype=bool)
        try:
            if any(isinstance(value, (str, bytes)) for value in values[~missing]):
                raise TypeError("text")
            numbers = np.full(values.shape, np.nan)
            numbers[~missing] = values[~missing].astype(np.float64)
            not_exact = [value for value in values[~missing].tolist() if not is_held(value)]
        except (TypeError, ValueError, OverflowError) as error:
            texts = [value for value in values[~missing] if isinstance(value, (str, bytes))]
            if not texts:
                raise InputTypeError(
                    f"feature {self.feature!r} holds values that are neither numbers nor categories ({error}); expected one "
                    "number, or one text of an order=[...], in every row."
                ) from error
            example = texts[0]
            raise InputError(
                f"feature {self.feature!r} has values such as {example!r}, which have no order; "
                f"list the categories from first to last, order=[...], in the property."
            ) from error
        if not_exact:
            raise InputError(self._inexact(not_exact[0]))
        return numbers

    def _inexact(self, value: Any) -> str:
        return (
            f"feature {self.feature!r} has the value {str(value)[:60]} of type {type(value).__name__}, which no float holds "
            "exactly, so that different values could become one place; expected numbers of double precision, where whole ones "
            "are at most 2**53. Convert, shift or scale the column for the model and here alike."
        )

    def _ranks(self, values: NDArray[Any]) -> FloatArray:
        ranks = {category: float(rank) for rank, category in enumerate(self.order or ())}
        try:
            gone = dict.fromkeys(code for code in (*self.codes, *self.domain.special) if code not in ranks)
            places = np.array(
                [np.nan if tables.is_missing(value) or value in gone else ranks[value] for value in values.tolist()]
            )
        except KeyError as error:
            raise InputError(
                f"feature {self.feature!r} has the category {error.args[0]!r}, which order={list(ranks)} does not "
                "list; add it at its place."
            ) from error
        return places.astype(np.float64)


@dataclass(frozen=True)
class TradeAxis(Axis):
    r"""The axis along which one feature grows at the expense of another.

    With units :math:`s_j, s_k` the sum :math:`c = x_j / s_j + x_k / s_k` of a row stays, and with it the row's **trade line**.
    The place of a row is where :math:`x_j / s_j` lies in the part of that line on which both features keep within the range
    of the reference rows: 0 at its lower end, 1 at its upper end. A row whose line misses that range has no place.

    Parameters
    ----------
    other_position : int
        Column position of the feature that gives way.
    other_feature : str or int
    units : (float, float)
    low, high : (float, float)
        Range of both features in the reference rows, in units.
    other_codes : tuple
        Values that the model takes for missing in the feature that gives way.
    """

    other_position: int
    other_feature: Feature
    units: tuple[float, float]
    low: tuple[float, float] = (-np.inf, -np.inf)
    high: tuple[float, float] = (np.inf, np.inf)
    other_codes: tuple[Any, ...] = ()

    @property
    def columns(self) -> tuple[int, ...]:
        """The positions of both features."""
        return (self.position, self.other_position)

    @property
    def is_held_by_column(self) -> bool:
        """No: places are rounded."""
        return False

    @property
    def label(self) -> str:
        """The name of the places, for pictures."""
        return f"share of the trade line, from {self.other_feature} to {self.feature}"

    @property
    def key(self) -> Hashable:
        """The columns and their units."""
        return (self.columns, self.units)

    def within(self, table: Table) -> TradeAxis:
        """Return the axis with the range that the rows of a table have."""
        growing, yielding = self._in_units(table)
        complete = np.isfinite(growing) & np.isfinite(yielding)
        if not complete.any():
            raise InputError(
                f"features {self.feature!r} and {self.other_feature!r} have no finite value in the reference rows."
            )
        growing, yielding = growing[complete], yielding[complete]
        low, high = (float(growing.min()), float(yielding.min())), (float(growing.max()), float(yielding.max()))
        if low[0] == high[0] or low[1] == high[1]:
            raise InputError(
                f"features {self.feature!r} and {self.other_feature!r} must both vary in the reference rows to be traded "
                "against each other; give reference rows in which they do, or drop the property."
            )
        return replace(self, low=low, high=high)

    def reference_places(self, table: Table, weights: FloatArray) -> tuple[FloatArray, FloatArray]:  # noqa: ARG002
        """Return evenly spaced places that count the same: the law is uniform on each line."""
        return np.round(np.linspace(0.0, 1.0, TRADE_PLACES), TRADE_DIGITS), np.ones(TRADE_PLACES)

    def law_in_words(self, n_reference: int) -> str:
        """Return the reference law in words."""
        return (
            f"the uniform law on the part of a trade line, {self.feature!r} against {self.other_feature!r} at "
            f"{self.units[0]:g} : {self.units[1]:g}, within the range of {n_reference} reference rows"
        )

    def places(self, table: Table) -> FloatArray:
        """Return the place of every row, (n_samples,); NaN where a value is missing or the line misses the range."""
        growing, yielding = self._in_units(table)
        if not np.isfinite(self.low[0]):
            return growing + yielding
        start, length = self._segment(growing + yielding)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(length > 0, np.round((growing - start) / length, TRADE_DIGITS), np.nan)

    def moved(self, table: Table, rows: IntArray, places: FloatArray) -> dict[int, NDArray[Any]]:
        """Return both columns when rows of a table move to given places on their trade lines."""
        growing, yielding = self._in_units(table)
        total = (growing + yielding)[rows]
        start, length = self._segment(total)
        grown = start + places * length
        return {self.position: self.units[0] * grown, self.other_position: self.units[1] * (total - grown)}

    def _in_units(self, table: Table) -> tuple[FloatArray, FloatArray]:
        growing = self._numbers(tables.column(table, self.position), self.codes) / self.units[0]
        gives_way = Axis(self.other_feature, self.other_position, None, codes=self.other_codes, domain=self.domain)
        yielding = gives_way.places(table) / self.units[1]
        return growing, yielding

    def _segment(self, total: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return where on the lines with given sums the range begins, and how long it is there."""
        start = np.maximum(self.low[0], total - self.high[1])
        return start, np.minimum(self.high[0], total - self.low[1]) - start


def place_axis(
    part: LineProperty, table: Table, codes: Mapping[int, tuple[Any, ...]] | None = None, reference: Table | None = None
) -> Axis:
    """Return the axis of a declared property in a table: its column, the order of its categories, codes for missing values.

    Where the order of texts makes no difference and none is given, the categories are those of the table and of ``reference``.
    """
    position, codes = tables.locate(table, part.feature), codes or {}
    feature_codes = codes.get(position, ())
    if part.trade is not None:
        feature, units = part.trade
        other_position = tables.locate(table, feature)
        return TradeAxis(
            part.feature,
            position,
            None,
            other_position,
            feature,
            units,
            other_codes=codes.get(other_position, ()),
            codes=feature_codes,
            domain=part.domain,
        )
    declared = tuple(part.order) if part.order is not None else tables.category_order(table, position)
    if declared is None and part.direction == 0:
        gone = {*feature_codes, *part.domain.special}
        declared = _categories([table, *([] if reference is None else [reference])], position, gone)
    return Axis(part.feature, position, declared, codes=feature_codes, domain=part.domain)


def _categories(seen: Sequence[Table], position: int, gone: Container[Any]) -> tuple[str, ...] | None:
    """Return the texts of a column of tables, in alphabetical order; None where it holds anything else, or just one of them."""
    columns = [tables.column(table, position) for table in seen]
    if any(values.dtype.kind in "biufcmM" for values in columns):
        return None
    values = {value for column in columns for value in column.tolist() if not tables.is_missing(value)}
    texts = sorted(value for value in values if isinstance(value, str) and value not in gone)
    return tuple(texts) if len(texts) > 1 and all(isinstance(value, str) or value in gone for value in values) else None
