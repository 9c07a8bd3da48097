"""The three kinds of tables that are understood: arrays, pandas data frames, polars data frames.

Each kind answers the same few questions about its columns and makes changed copies of itself. Neither pandas nor polars is
imported unless a table of theirs is there, and none is ever turned into the other: the model must see the kind that it was
fitted on. Values come out as numpy arrays, so that everything computed from them is the same, bit for bit, whatever the kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import IntArray, Table

__all__ = ["Container", "container_of"]


class Container(Protocol):
    """What is asked of a kind of tables; positions count columns from 0."""

    def names(self, table: Table) -> tuple[Any, ...] | None:
        """Return the labels of the columns, None where there are none."""
        ...

    def column(self, table: Table, position: int) -> NDArray[Any]:
        """Return one column as an array of its own type, (n_samples,)."""
        ...

    def is_numeric(self, table: Table) -> bool:
        """Return whether every column holds numbers or truth values, missing ones included."""
        ...

    def numbers(self, table: Table) -> NDArray[np.float64]:
        """Return a numeric table as an array (n_samples, n_features), missing values as NaN."""
        ...

    def order(self, table: Table, position: int) -> tuple[Any, ...] | None:
        """Return the order of the categories that the type of a column carries, if it does."""
        ...

    def categories(self, table: Table, position: int) -> tuple[IntArray, tuple[Any, ...]] | None:
        """Return the codes and the categories of a categorical column of pandas, if it is one."""
        ...

    def take(self, table: Table, rows: IntArray) -> Table:
        """Return a new table of the given rows."""
        ...

    def replaced(self, table: Table, rows: IntArray, columns: Mapping[int, NDArray[Any]]) -> Table:
        """Return a new table of the given rows in which some columns hold other values."""
        ...

    def select(self, table: Table, positions: Sequence[int]) -> Table:
        """Return a table of some columns, in the given order."""
        ...

    def stacked(self, first: Table, second: Table) -> Table:
        """Return the rows of two tables with the same columns."""
        ...

    def copied(self, table: Table) -> Table:
        """Return a table that shares no memory with this one that anybody could write to."""
        ...


class Arrays:
    """Two-dimensional numpy arrays."""

    def names(self, table: Table) -> None:  # noqa: ARG002
        """Return None: columns have no labels."""
        return

    def column(self, table: Table, position: int) -> NDArray[Any]:
        """Return one column, (n_samples,)."""
        return np.asarray(table[:, position])

    def is_numeric(self, table: Table) -> bool:
        """Return whether the array holds numbers or truth values."""
        return bool(table.dtype.kind in "biuf")

    def numbers(self, table: Table) -> NDArray[np.float64]:
        """Return the array in double precision."""
        return np.ascontiguousarray(table, dtype=np.float64)

    def order(self, table: Table, position: int) -> None:  # noqa: ARG002
        """Return None: arrays know no categories."""
        return

    def categories(self, table: Table, position: int) -> None:  # noqa: ARG002
        """Return None: arrays know no categories."""
        return

    def take(self, table: Table, rows: IntArray) -> Table:
        """Return a new array of the given rows."""
        return table[rows]

    def replaced(self, table: Table, rows: IntArray, columns: Mapping[int, NDArray[Any]]) -> Table:
        """Return a new array, of a wider type where its own does not hold the values exactly."""
        copy = table[rows]
        dtype = np.result_type(*(_fitting_dtype(copy.dtype, values) for values in columns.values()))
        copy = copy.astype(dtype, copy=False)
        for position, values in columns.items():
            copy[:, position] = values
        return copy

    def select(self, table: Table, positions: Sequence[int]) -> Table:
        """Return an array of some columns."""
        return np.take(table, positions, axis=1)

    def stacked(self, first: Table, second: Table) -> Table:
        """Return an array of the rows of both."""
        return np.concatenate([first, second])

    def copied(self, table: Table) -> Table:
        """Return a copy with the same layout."""
        return np.array(table, order="K")


class PandasFrames:
    """pandas data frames: columns of any types under any labels, also repeated ones."""

    def names(self, table: Table) -> tuple[Any, ...]:
        """Return the labels of the columns."""
        return tuple(table.columns)

    def column(self, table: Table, position: int) -> NDArray[Any]:
        """Return one column, of type object where pandas has no numpy type for it."""
        columns = table.columns
        series = table[columns[position]] if columns.is_unique and columns.nlevels == 1 else table.iloc[:, position]
        return np.asarray((series.astype(object) if hasattr(series.dtype, "categories") else series).to_numpy())

    def is_numeric(self, table: Table) -> bool:
        """Return whether all types of columns are numbers or truth values."""
        return all(getattr(dtype, "kind", "O") in "biuf" for dtype in table.dtypes)

    def numbers(self, table: Table) -> NDArray[np.float64]:
        """Return the values in double precision."""
        numbers: NDArray[np.float64] = table.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.ascontiguousarray(numbers)

    def order(self, table: Table, position: int) -> tuple[Any, ...] | None:
        """Return the categories of an ordered categorical column."""
        dtype: Any = table.dtypes.iloc[position]
        return tuple(dtype.categories) if getattr(dtype, "ordered", False) else None

    def categories(self, table: Table, position: int) -> tuple[IntArray, tuple[Any, ...]] | None:
        """Return the codes, -1 for what is missing, and the categories of a categorical column."""
        if not hasattr(table.dtypes.iloc[position], "categories"):
            return None
        held = table.iloc[:, position].cat
        return np.asarray(held.codes, dtype=np.intp), tuple(held.categories.tolist())

    def take(self, table: Table, rows: IntArray) -> Table:
        """Return a new frame of the given rows."""
        return table.iloc[rows]

    def replaced(self, table: Table, rows: IntArray, columns: Mapping[int, NDArray[Any]]) -> Table:
        """Return a new frame; types are kept where they hold the values exactly."""
        copy = table.iloc[rows]
        for position, values in columns.items():
            copy.isetitem(position, _as_extension_array(table.iloc[:, position], values))
        return copy

    def select(self, table: Table, positions: Sequence[int]) -> Table:
        """Return a frame of some columns."""
        return table.iloc[:, list(positions)]

    def stacked(self, first: Table, second: Table) -> Table:
        """Return a frame of the rows of both; categories that only one of them has are added."""
        import pandas as pd

        return pd.concat([first, second], ignore_index=True)

    def copied(self, table: Table) -> Table:
        """Return a deep copy."""
        return table.copy()


class PolarsFrames:
    """polars data frames. The categories of an ``Enum`` are ordered as they are listed; a ``Categorical`` has no order."""

    def names(self, table: Table) -> tuple[str, ...]:
        """Return the labels of the columns."""
        return tuple(table.columns)

    def column(self, table: Table, position: int) -> NDArray[Any]:
        """Return one column; missing ones are NaN among numbers, else None."""
        import polars as pl

        series = table.to_series(position)
        if series.dtype in (pl.Categorical, pl.Enum):
            series = series.cast(pl.String)
        elif series.dtype == pl.Decimal and series.cast(pl.Float64).cast(series.dtype).equals(series):
            series = series.cast(pl.Float64)
        if _loses_digits(series):
            return np.array(series.to_list(), dtype=object)
        if series.dtype.is_numeric() or series.dtype.is_temporal() or series.dtype in (pl.String, pl.Boolean):
            return np.asarray(series.to_numpy())
        values = np.empty(len(series), dtype=object)
        values[:] = series.to_list()
        return values

    def is_numeric(self, table: Table) -> bool:
        """Return whether all types of columns are numbers or truth values."""
        import polars as pl

        return all(dtype.is_numeric() or dtype == pl.Boolean for dtype in table.dtypes)

    def numbers(self, table: Table) -> NDArray[np.float64]:
        """Return the values in double precision."""
        import polars as pl

        numbers = np.empty(table.shape)
        for position, series in enumerate(table.get_columns()):
            numbers[:, position] = series.cast(pl.Float64).to_numpy()
        return numbers

    def order(self, table: Table, position: int) -> tuple[Any, ...] | None:
        """Return the categories of an ``Enum``."""
        import polars as pl

        dtype = table.dtypes[position]
        return tuple(dtype.categories.to_list()) if dtype == pl.Enum else None

    def categories(self, table: Table, position: int) -> None:  # noqa: ARG002
        """Return None: to models, categories of polars have no codes that do not depend on what else is in memory."""
        return

    def take(self, table: Table, rows: IntArray) -> Table:
        """Return a new frame of the given rows."""
        return table[np.asarray(rows)]

    def replaced(self, table: Table, rows: IntArray, columns: Mapping[int, NDArray[Any]]) -> Table:
        """Return a new frame; types are kept where they hold the values exactly."""
        copy = self.take(table, rows)
        return copy.with_columns(_as_series(table.to_series(position), values) for position, values in columns.items())

    def select(self, table: Table, positions: Sequence[int]) -> Table:
        """Return a frame of some columns."""
        return table[:, list(positions)]

    def stacked(self, first: Table, second: Table) -> Table:
        """Return a frame of the rows of both."""
        import polars as pl

        return pl.concat([first, second], how="vertical_relaxed")

    def copied(self, table: Table) -> Table:
        """Return a clone: polars writes to no memory that others see, and hands none out to be written to."""
        return table.clone()


ARRAYS, PANDAS, POLARS = Arrays(), PandasFrames(), PolarsFrames()


def container_of(table: Any) -> Container | None:
    """Return the kind of a table; None if it is none of the three."""
    if isinstance(table, np.ndarray):
        return ARRAYS
    kind = type(table)
    if hasattr(kind, "iloc") and hasattr(table, "columns"):
        return PANDAS
    return POLARS if hasattr(kind, "get_columns") and hasattr(kind, "with_columns") else None


def _loses_digits(series: Any) -> bool:
    """Return whether polars would make floats of whole numbers that no float holds, as it does where some are missing."""
    if not series.dtype.is_integer() or not series.null_count():
        return False
    return bool(max(abs(series.min() or 0), abs(series.max() or 0)) > 2**53)


def _as_extension_array(series: Any, values: NDArray[Any]) -> Any:
    """Return the values as an array of the pandas series' type, or of their own where that cannot hold them exactly."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return type(series)(values, dtype=_fitting_dtype(dtype, values)).array
    if hasattr(dtype, "categories"):
        categories = dtype.categories
        missing = [value for value in dict.fromkeys(values.tolist()) if value not in categories]
        wider = type(dtype)([*categories, *missing], ordered=dtype.ordered) if missing else dtype
        return type(series)(values, dtype=wider).array
    try:
        typed = type(series)(values, dtype=dtype)
    except (TypeError, ValueError):
        return type(series)(values).array
    fits = np.array_equal(typed.to_numpy(dtype=object), values.astype(object))
    return (typed if fits else type(series)(values)).array


def _as_series(series: Any, values: NDArray[Any]) -> Any:
    """Return the values as a polars series of a series' name and type, or of their own where that cannot hold them exactly."""
    import polars as pl
    from polars.exceptions import PolarsError

    name, dtype = series.name, series.dtype
    if dtype == pl.Enum:
        categories = dtype.categories.to_list()
        texts = [value for value in dict.fromkeys(values.tolist()) if value is not None and value not in categories]
        return pl.Series(name, values.tolist(), dtype=pl.Enum([*categories, *texts]) if texts else dtype)
    if values.dtype.kind in "biuf" and (dtype.is_numeric() or dtype == pl.Boolean):
        plain = pl.Series(name, values)
        try:
            typed = plain.cast(dtype)
        except PolarsError:
            return plain
        return typed if np.array_equal(typed.cast(pl.Float64).to_numpy(), values, equal_nan=True) else plain
    try:
        return pl.Series(name, values.tolist(), dtype=dtype)
    except (PolarsError, TypeError, ValueError, OverflowError):
        return pl.Series(name, values.tolist(), strict=False)


def _fitting_dtype(dtype: np.dtype[Any], values: NDArray[Any]) -> np.dtype[Any]:
    """Return ``dtype`` if it holds the values exactly, else a wider type."""
    if dtype == values.dtype or dtype.kind == "O" or values.dtype.kind not in "biuf":
        return dtype if dtype.kind == "O" else np.result_type(dtype, values.dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        held = np.array_equal(values.astype(dtype), values)
    return dtype if held else np.result_type(dtype, values.dtype)
