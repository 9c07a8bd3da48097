"""Rows as users hand them in, arrays or data frames of pandas or polars, seen as columns.

The model must see exactly what it was fitted on: raw columns, their names and their types. So a table is never
converted; a column is read where it is needed, and a changed copy keeps every other column as it was. What differs between the
kinds of tables is in :mod:`alignconf.tables.containers`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import Feature, IntArray, Table
from alignconf.errors import InputError, InputTypeError, quoted
from alignconf.tables.containers import Container, container_of

__all__ = [
    "as_numbers",
    "as_table",
    "categories",
    "category_order",
    "changed_columns",
    "column",
    "column_names",
    "copied",
    "is_missing",
    "is_numeric",
    "is_partitioned",
    "locate",
    "replicate",
    "same_rows",
    "select",
    "stacked",
    "take",
    "unit_of",
]

#: The types of so few rows of a frame are looked at only where something fails: to list them takes as long as to ask a model.
FEW_ROWS = 16


def as_table(X: Any, *, name: str = "X") -> Table:
    """Return ``X`` itself if it is a data frame of pandas or polars, else as an array of shape (n_samples, n_features)."""
    if hasattr(X, "__dask_graph__"):
        raise InputError(
            f"{name} is a Dask object, {type(X).__module__}.{type(X).__qualname__}; calibrate, predict, certify and check "
            "take it as it is, and this takes rows in memory. Convert it first, with .compute()."
        )
    table = X if container_of(X) is not None else _as_array(X, name)
    if isinstance(table, np.ndarray):
        table = _plain(table, name)
    elif table.shape[0] > FEW_ROWS:
        _check_byte_order(table, name)
    if len(table.shape) != 2:
        raise InputError(
            f"{name} has {len(table.shape)} dimension(s), shape {table.shape}; expected rows and columns, "
            "(n_samples, n_features). Reshape your data: X.reshape(-1, 1) for a single feature, X.reshape(1, -1) for a single "
            "row; of a data frame take X.iloc[[0]], of a dict pd.DataFrame([row])."
        )
    if table.shape[1] == 0:
        raise InputError(
            f"{name} has no columns, 0 feature(s) (shape={tuple(table.shape)}) while a minimum of 1 is required."
        )
    return table


def column_names(table: Table) -> tuple[Any, ...] | None:
    """Return the labels of a data frame's columns; None for an array, whose columns have none."""
    return _kind(table).names(table)


def locate(table: Table, feature: Feature) -> int:
    """Return the position of a feature given by name or position; refuse, listing what there is.

    A label of a frame's ``MultiIndex`` is a tuple. Where all labels are integers, an integer is a label, never a position.
    """
    names = column_names(table)
    n_features = table.shape[1]
    has_numbers = names is not None and all(isinstance(label, (int, np.integer)) for label in names)
    if names is not None and feature in names:
        if names.count(feature) > 1:
            remedy = "rename them" if has_numbers else "give the feature by its position"
            raise InputError(f"X has {names.count(feature)} columns named {quoted(feature)}; {remedy}.")
        return names.index(feature)
    if isinstance(feature, (int, np.integer)) and 0 <= feature < n_features and not has_numbers:
        return int(feature)
    if names is None and isinstance(feature, str):
        available = (
            f"X is an array without column names; give a position from 0 to {n_features - 1} or pass a data frame."
        )
    elif names is None:
        available = f"X has positions 0 to {n_features - 1}."
    else:
        available = f"X has columns {', '.join(map(repr, names))}."
    raise InputError(f"feature {quoted(feature)} is not in X: {available}")


def column(table: Table, position: int) -> NDArray[Any]:
    """Return one column as an array of its own type (object where numpy has none for it)."""
    return _kind(table).column(table, position)


def is_missing(value: Any) -> bool:
    """Return whether a value of a column of any type stands for a missing one."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def is_numeric(table: Table) -> bool:
    """Return whether every column holds numbers or truth values, missing ones included."""
    return _kind(table).is_numeric(table)


def as_numbers(table: Table) -> NDArray[np.float64]:
    """Return a numeric table as an array (n_samples, n_features), missing values as NaN."""
    return _kind(table).numbers(table)


def category_order(table: Table, position: int) -> tuple[Any, ...] | None:
    """Return the order that the type of a data frame's column carries: an ordered categorical of pandas, an Enum of polars."""
    return _kind(table).order(table, position)


def categories(table: Table, position: int) -> tuple[IntArray, tuple[Any, ...]] | None:
    """Return the codes, -1 for what is missing, and the categories of a categorical column of pandas; None of any other."""
    return _kind(table).categories(table, position)


def is_partitioned(X: Any) -> bool:
    """Return whether rows are a Dask object (:mod:`alignconf.tables.partitions`), and no table."""
    return hasattr(X, "__dask_graph__") and not isinstance(X, type)


def unit_of(table: Table, position: int) -> str:
    """Return the unit that a data frame says a column is in, empty if it says none.

    Frames say it by ``frame.attrs["units"] = {"age": "years"}``, or by a type with units, as those of pint.
    """
    if not hasattr(table, "attrs"):
        return ""
    said = getattr(table, "attrs", {}).get("units")
    if isinstance(said, Mapping) and table.columns[position] in said:
        return str(said[table.columns[position]])
    return str(getattr(table.dtypes.iloc[position], "units", ""))


def label_of(table: Table, row: int) -> Hashable | None:
    """Return the label of a row in the index of a data frame; None where rows have no labels but their positions."""
    index: Any = getattr(table, "index", None)
    if not hasattr(table, "iloc"):
        return None
    if type(index).__name__ == "RangeIndex" and (index.start, index.step) == (0, 1):
        return None
    label = index[row]
    return tuple(map(_plain_label, label)) if isinstance(label, tuple) else label


def _plain_label(part: Any) -> Any:
    """Return a number of numpy's as one of Python's, which prints without its type."""
    return part.item() if isinstance(part, np.generic) else part


def take(table: Table, rows: IntArray) -> Table:
    """Return a new table of the given rows."""
    try:
        return _kind(table).take(table, rows)
    except ValueError:
        _check_byte_order(table, "X")
        raise


def stacked(first: Table, second: Table) -> Table:
    """Return the rows of two tables of one kind and the same columns, one after the other."""
    return _kind(first).stacked(first, second)


def same_rows(left: Table, right: Table) -> NDArray[np.bool_]:
    """Return which rows of two tables of one shape hold the same values, missing ones included: (n_samples,)."""
    same = np.ones(left.shape[0], dtype=bool)
    if left is not right:
        for position in range(left.shape[1]):
            same &= _same_values(column(left, position), column(right, position))
    return same


def repeats_previous(table: Table, positions: Sequence[int]) -> NDArray[np.bool_]:
    """Return which rows have the values of the row before in some columns, (n_samples,); the first one has not."""
    same = np.ones(table.shape[0], dtype=bool)
    same[:1] = False
    for position in positions:
        if not same.any():
            break
        values = column(table, position)
        same[1:] &= _same_values(values[1:], values[:-1])
    return same


def changed_columns(left: Table, right: Table) -> tuple[int, ...]:
    """Return the positions of columns in which two tables of one shape differ anywhere."""
    return tuple(
        position
        for position in range(left.shape[1])
        if not _same_values(column(left, position), column(right, position)).all()
    )


def select(table: Table, positions: Sequence[int]) -> Table:
    """Return a table of some columns, by position, in the given order."""
    return _kind(table).select(table, positions)


def copied(table: Table) -> Table:
    """Return a table with the same values, names and types, of which nobody else holds the memory."""
    return _kind(table).copied(table)


def replicate(table: Table, rows: IntArray, replaced: Mapping[int, NDArray[Any]]) -> Table:
    """Return a new table of the given rows in which some columns, by position, hold other values.

    Types are kept wherever they hold the values exactly, and widened otherwise. The table itself is not touched.
    """
    try:
        return _kind(table).replaced(table, rows, replaced)
    except ValueError:
        _check_byte_order(table, "X")
        raise


def _same_values(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.bool_]:
    if left.dtype.kind in "biuf" and right.dtype.kind in "biuf":
        return np.asarray((left == right) | ((left != left) & (right != right)))
    return np.array([_same(a, b) for a, b in zip(left.tolist(), right.tolist(), strict=True)], dtype=bool)


def _same(left: Any, right: Any) -> bool:
    """Return whether two values are equal, or both missing."""
    if left is right:
        return True
    try:
        return bool(left == right) or bool(left != left and right != right)
    except (TypeError, ValueError):
        return False


def _kind(table: Table) -> Container:
    """Return the kind of a table that :func:`as_table` has let in."""
    kind = container_of(table)
    assert kind is not None, type(table)
    return kind


def _as_array(X: Any, name: str) -> NDArray[Any]:
    """Return an array of what is no data frame; refuse other libraries' tables and what is no table at all."""
    kind = type(X)
    if hasattr(kind, "collect"):
        raise InputError(
            f"{name} is a {kind.__module__}.{kind.__qualname__}, not computed yet; call its .collect() first."
        )
    if hasattr(X, "columns"):
        raise InputError(
            f"{name} is a {kind.__module__}.{kind.__qualname__}; expected a numpy array or a data frame of pandas or polars. "
            "Convert it first, for example with .to_pandas()."
        )
    if hasattr(X, "toarray"):
        raise InputTypeError(
            f"{name} is a sparse matrix; expected a dense array or a data frame. Convert it with .toarray()."
        )
    try:
        return np.asarray(X)
    except Exception as error:
        raise InputError(
            f"{name} is no table, got {kind.__name__} ({error}); expected an array (n_samples, n_features) or a data frame."
        ) from error


def _check_byte_order(table: Any, name: str) -> None:
    """Refuse a pandas data frame with numbers in the byte order of another machine, of which pandas can take no rows."""
    dtypes = list(getattr(table, "dtypes", ()))
    for position, dtype in enumerate(dtypes):
        if isinstance(dtype, np.dtype) and not dtype.isnative:
            label = table.columns[position]
            raise InputError(
                f"{name} has the column {quoted(label)} of type {dtype.str}, in the byte order of another "
                "machine, which pandas cannot "
                f"take rows of; convert it first, for example with {name}.astype({dtype.newbyteorder('=').str!r})."
            )


def _plain(table: NDArray[Any], name: str) -> NDArray[Any]:
    """Return an array without its subclass; refuse masked values, which it would lose, and complex ones."""
    if np.ma.isMaskedArray(table) and np.ma.getmaskarray(table).any():
        raise InputError(
            f"{name} is a masked array with {int(np.ma.getmaskarray(table).sum())} masked values, which the model would not see "
            "as missing; expected a plain array. Fill them first, for example with .filled(np.nan)."
        )
    if table.dtype.kind == "c":
        raise InputError(
            f"Complex data not supported: {name} holds complex numbers; expected real ones. Take their real part."
        )
    return np.asarray(table)
