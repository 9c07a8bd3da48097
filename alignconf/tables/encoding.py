"""Columns of a table as numbers: what the library's own forests, classifiers and boosters see of a row.

A column that holds numbers is taken as it is, and moments are counted from their origin. The values of any other column are
counted: in their own order where the table has one (ordered categories of a data frame), otherwise as they come in the rows
that the encoder was made from. Missing values, and values that did not occur there, are NaN. An encoder is fixed when it is
made and reads any further rows the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, Table
from alignconf.tables import table as tables

__all__ = ["Encoder", "as_floats"]

#: Numbers are cut off here, so that trees of single precision can take them.
LARGEST = float(np.finfo(np.float32).max)
LIMIT = int(np.finfo(np.float64).max)


@dataclass(frozen=True, eq=False)
class Encoder:
    """Some columns of a table as numbers, (n_samples, n_columns), missing values as NaN.

    Parameters
    ----------
    positions : tuple of int
        Of the columns, in the order in which they are returned.
    categories : dict
        By position: the code of each value of a column that does not hold numbers.

    Examples
    --------
    >>> rows = np.array([[2.5, "b"], [1.0, "a"]], dtype=object)
    >>> Encoder.of_table(rows, (1, 0))(rows)
    array([[0. , 2.5],
           [1. , 1. ]])
    """

    positions: tuple[int, ...]
    categories: dict[int, dict[Any, float]]

    @classmethod
    def of_table(cls, table: Table, positions: tuple[int, ...]) -> Encoder:
        """Return the encoder that counts categories in their own order, or else as they come in a table.

        Parameters
        ----------
        table : Table of n_samples rows
        positions : tuple of int
        """
        categories = {}
        for position in positions:
            values = tables.column(table, position)
            if _numbers(values) is None:
                seen = [value for value in dict.fromkeys(values.tolist()) if not tables.is_missing(value)]
                order = tables.category_order(table, position) or seen
                categories[position] = {value: float(code) for code, value in enumerate(order)}
        return cls(positions, categories)

    def __call__(self, table: Table) -> FloatArray:
        """Return the columns of a table of n_samples rows, (n_samples, n_columns)."""
        design: FloatArray
        if not self.categories and tables.is_numeric(table):
            design = tables.as_numbers(table)[:, self.positions]
        else:
            design = np.empty((table.shape[0], len(self.positions)))
            for k, position in enumerate(self.positions):
                design[:, k] = self._column(table, position)
        return np.clip(design, -LARGEST, LARGEST)

    def _column(self, table: Table, position: int) -> FloatArray:
        values = tables.column(table, position)
        if position in self.categories:
            codes = self.categories[position]
            return np.array([codes.get(value, np.nan) for value in values.tolist()], dtype=np.float64)
        numbers = _numbers(values)
        return np.full(values.shape, np.nan) if numbers is None else numbers


def as_floats(numbers: Sequence[Any]) -> FloatArray:
    """Return real numbers of any type as floats, (n_numbers,); those beyond floats are cut off at the largest."""
    try:
        return np.array(numbers, dtype=np.float64)
    except OverflowError:
        return np.array([max(-LIMIT, min(LIMIT, number)) for number in numbers], dtype=np.float64)


def _numbers(values: NDArray[Any]) -> FloatArray | None:
    """Return a column as numbers, dates counted from their origin; None if it holds something else."""
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    if values.dtype.kind in "mM":
        return np.where(np.isnat(values), np.nan, values.view(np.int64).astype(np.float64))
    missing = np.array([tables.is_missing(value) for value in values.tolist()], dtype=bool)
    present = values[~missing].tolist()
    if not all(isinstance(value, (Real, Decimal, np.bool_)) for value in present):
        return None
    numbers = np.full(values.shape, np.nan)
    numbers[~missing] = as_floats(present)
    return numbers
