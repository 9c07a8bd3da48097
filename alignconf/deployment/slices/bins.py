"""Bins: the few values that a slice may ask of each feature.

A numeric feature with many values is cut at quantiles into bins ``low < x <= high``, the first and the last open; one with few
values, and any category, keeps each value as a bin of its own; missing values are a bin. Bins look at the features alone, never
at losses. Bins that were read off one table read any other the same way: a value that was never seen is in no bin.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import BoolArray, Feature, IntArray, Table
from alignconf.errors import InputError, quoted
from alignconf.tables import table as tables
from alignconf.tables.checks import check_count, check_positions, check_rows
from alignconf.tables.encoding import as_floats
from alignconf.tables.fitted_columns import FittedColumns

__all__ = ["Bins", "Condition"]

MOST_BINS = 10


@dataclass(frozen=True)
class Condition:
    """A condition on one feature: a value, an interval, or a missing value.

    Parameters
    ----------
    feature : str or int
    position : int
        Of its column.
    values : tuple
        The value, as the only member; empty for an interval or missing values.
    low, high : number or moment, optional
        ``low < x <= high``; None for no limit on that side.
    """

    feature: Feature
    position: int
    values: tuple[Any, ...] = ()
    low: Any = None
    high: Any = None

    def holds(self, table: Table) -> BoolArray:
        """Return which rows meet the condition, (n_samples,)."""
        column, missing = _comparable(tables.column(table, self.position))
        if self.values:
            same: BoolArray = np.array([value == self.values[0] for value in column.tolist()], dtype=bool)
            return ~missing & same
        if self.low is None and self.high is None:
            return missing
        holds = ~missing
        present: NDArray[Any] = column[holds]
        held: BoolArray = np.ones(present.size, dtype=bool)
        try:
            if self.low is not None:
                held = held & np.asarray(present > self.low)
            if self.high is not None:
                held = held & np.asarray(present <= self.high)
        except TypeError as error:
            raise InputError(
                f"feature {quoted(self.feature)} holds values of type {column.dtype}, which cannot be compared with {self}; give "
                "rows of the types that were searched."
            ) from error
        holds[holds] = held
        return holds

    def __str__(self) -> str:
        """Return the condition in words."""
        if self.values:
            return f"{self.feature!r} is {self.values[0]!r}"
        sides = (("above", self.low), ("at most", self.high))
        ends = [f"{side} {_short(limit)}" for side, limit in sides if limit is not None]
        return f"{self.feature!r} {' and '.join(ends)}" if ends else f"{self.feature!r} is missing"


@dataclass(frozen=True)
class Levels:
    """The bins of one feature: cut points, or values, and perhaps one more for missing values.

    Parameters
    ----------
    feature : str or int
    position : int
    edges : tuple
        Inner cut points, increasing; empty where values are kept.
    values : tuple
    with_missing : bool
    """

    feature: Feature
    position: int
    edges: tuple[Any, ...]
    values: tuple[Any, ...]
    with_missing: bool

    @classmethod
    def of(cls, table: Table, position: int, feature: Feature, n_bins: int) -> Levels:
        """Return the bins of a column."""
        column, missing = _comparable(tables.column(table, position))
        present = column[~missing]
        if not all(isinstance(value, Hashable) for value in present.tolist()):
            raise InputError(
                f"feature {quoted(feature)} holds values that are neither numbers nor categories; expected one of these."
            )
        distinct = list(dict.fromkeys(present.tolist()))
        if present.dtype.kind in "iufmM" and len(distinct) > n_bins:
            ordered = np.sort(present)
            ends = -(-np.arange(1, n_bins) * ordered.size // n_bins) - 1
            edges = np.unique(ordered[ends])
            inner = edges[edges < ordered[-1]]
            return cls(
                feature, position, tuple(inner if inner.dtype.kind in "mM" else inner.tolist()), (), bool(missing.any())
            )
        order = tables.category_order(table, position)
        values = [value for value in order if value in distinct] if order is not None else _sorted(distinct)
        return cls(feature, position, (), tuple(values), bool(missing.any()))

    @property
    def size(self) -> int:
        """The number of bins."""
        return (len(self.edges) + 1 if self.edges else len(self.values)) + self.with_missing

    def codes(self, table: Table) -> NDArray[np.int64]:
        """Return the bin of each row, (n_samples,); -1 where there is none."""
        column, missing = _comparable(tables.column(table, self.position))
        codes = np.full(column.shape[0], -1, dtype=np.int64)
        if self.edges:
            codes[~missing] = np.searchsorted(np.array(self.edges), column[~missing], side="left")
        else:
            code_of = {value: code for code, value in enumerate(self.values)}
            codes[~missing] = [code_of.get(value, -1) for value in column[~missing].tolist()]
        if self.with_missing:
            codes[missing] = self.size - 1
        return codes

    def condition(self, code: int) -> Condition:
        """Return the condition that a bin stands for."""
        if self.with_missing and code == self.size - 1:
            return Condition(self.feature, self.position)
        if not self.edges:
            return Condition(self.feature, self.position, (self.values[code],))
        low = self.edges[code - 1] if code else None
        high = self.edges[code] if code < len(self.edges) else None
        return Condition(self.feature, self.position, (), low, high)


@dataclass(frozen=True)
class Bins:
    """The bins of the features of a table.

    Parameters
    ----------
    levels : tuple of Levels
    names : tuple or None
        Column names of the table, None for an array.
    n_features : int
        Columns of the table.
    """

    levels: tuple[Levels, ...]
    names: tuple[Any, ...] | None
    n_features: int

    @classmethod
    def from_rows(cls, X: Table, *, n_bins: int = 5, features: Sequence[Feature] | None = None) -> Bins:
        """Read bins off rows.

        Parameters
        ----------
        X : (n_samples, n_features) array or data frame
        n_bins : int, default=5
            From 2 to 10, of numeric features with more values than that.
        features : sequence of str or int, optional
            Those that slices may use; by default all that have more than one bin.

        Raises
        ------
        InputError
            If a feature is not there, or no feature has two bins.
        """
        if check_count("n_bins", n_bins, at_least=2) > MOST_BINS:
            raise InputError(
                f"n_bins must be at most {MOST_BINS}, got {quoted(n_bins)}; finer slices hold too few rows to test."
            )
        table = check_rows(X)
        names = tables.column_names(table)
        labels: tuple[Feature, ...] = names or tuple(range(table.shape[1]))
        positions = list(range(table.shape[1])) if features is None else check_positions("features", table, features)
        levels = [Levels.of(table, position, labels[position], n_bins) for position in dict.fromkeys(positions)]
        useful = tuple(feature_levels for feature_levels in levels if feature_levels.size > 1)
        if not useful:
            raise InputError(
                f"features {[labels[position] for position in positions]!r} have one bin each, so there is no slice; "
                "name features that vary."
            )
        return cls(useful, names, int(table.shape[1]))

    @property
    def sizes(self) -> IntArray:
        """The number of bins of each feature, (n_binned,)."""
        return np.array([feature_levels.size for feature_levels in self.levels], dtype=np.intp)

    def codes(self, table: Table) -> NDArray[np.int64]:
        """Return the bin of each row in each feature, (n_samples, n_binned); -1 for none."""
        table = FittedColumns(self.names, self.n_features, owner="alignconf", origin="at calibration").arranged(table)
        return np.stack([feature_levels.codes(table) for feature_levels in self.levels], axis=1)

    def conditions(self, key: Sequence[int]) -> tuple[Condition, ...]:
        """Return the conditions of a slice, given by positions among the bins of all features one after the other."""
        ends = np.cumsum(self.sizes)
        conditions = []
        for literal in key:
            feature = int(np.searchsorted(ends, literal, side="right"))
            conditions.append(self.levels[feature].condition(int(literal - ends[feature] + self.levels[feature].size)))
        return tuple(conditions)


def _comparable(column: NDArray[Any]) -> tuple[NDArray[Any], BoolArray]:
    """Return a column, as numbers if its values are numbers, and where it is missing."""
    if column.dtype.kind in "f":
        return column, np.isnan(column)
    if column.dtype.kind in "mM":
        return column, np.isnat(column)
    if column.dtype.kind in "biuSU":
        return column, np.zeros(column.shape[0], dtype=bool)
    missing = np.array([tables.is_missing(value) for value in column.tolist()], dtype=bool)
    present = column[~missing].tolist()
    if present and all(
        isinstance(value, (Real, Decimal)) and not isinstance(value, (bool, np.bool_)) for value in present
    ):
        numbers = np.full(column.shape[0], np.nan)
        numbers[~missing] = as_floats(present)
        return numbers, missing
    return column, missing


def _sorted(values: list[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=lambda value: (type(value).__name__, str(value)))


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, (int, float, np.number)) else str(value)
