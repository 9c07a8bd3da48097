"""Rows as users hand them in, arrays or pandas data frames, seen as columns.

The model must see exactly what it was fitted on: raw columns, their names and their types. So a table is never
converted; a column is read where it is needed, and a changed copy keeps every other column as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import Feature, IntArray, Table
from alignconf.errors import InputError

__all__ = [
    "as_numbers",
    "as_table",
    "category_order",
    "changed_columns",
    "check_columns",
    "column",
    "column_names",
    "is_missing",
    "is_numeric",
    "locate",
    "replicate",
    "same_rows",
    "take",
]


def as_table(X: Any, *, name: str = "X") -> Table:
    """Return ``X`` itself if it is a data frame, else as an array of shape (n_samples, n_features)."""
    if hasattr(X, "__dask_graph__"):
        raise InputError(
            f"{name} is a Dask object, {type(X).__module__}.{type(X).__qualname__}; calibrate, predict, certify and check "
            "take it as it is, and this takes rows in memory. Convert it first, with .compute()."
        )
    if _is_frame(X):
        table = X
    elif hasattr(X, "columns"):
        raise InputError(
            f"{name} is a {type(X).__module__}.{type(X).__qualname__}; expected a numpy array or a pandas data frame. "
            "Convert it first, for example with .to_pandas()."
        )
    elif hasattr(X, "toarray"):
        raise InputError(
            f"{name} is a sparse matrix; expected a dense array or a data frame. Convert it with .toarray()."
        )
    else:
        table = np.asarray(X)
        if table.dtype.kind == "c":
            raise InputError(f"{name} holds complex numbers; expected real ones. Take their real part.")
    if table.ndim != 2:
        raise InputError(
            f"{name} has {table.ndim} dimension(s), shape {table.shape}; expected rows and columns, "
            "(n_samples, n_features). For a single feature use X.reshape(-1, 1), for a single row X.reshape(1, -1)."
        )
    if table.shape[1] == 0:
        raise InputError(f"{name} has no columns, shape {table.shape}; expected (n_samples, n_features).")
    return table


def column_names(table: Table) -> tuple[Any, ...] | None:
    """Return the labels of a data frame's columns; None for an array, whose columns have none."""
    return tuple(table.columns) if _is_frame(table) else None


def locate(table: Table, feature: Feature) -> int:
    """Return the position of a feature given by name or position; refuse, listing what there is."""
    names = column_names(table)
    n_features = table.shape[1]
    if names is not None and feature in names:
        if names.count(feature) > 1:
            raise InputError(
                f"X has {names.count(feature)} columns named {feature!r}; give the feature by its position."
            )
        return names.index(feature)
    if isinstance(feature, (int, np.integer)) and 0 <= feature < n_features:
        return int(feature)
    if names is None and isinstance(feature, str):
        known = f"X is an array without column names; give a position from 0 to {n_features - 1} or pass a data frame."
    elif names is None:
        known = f"X has positions 0 to {n_features - 1}."
    else:
        known = f"X has columns {', '.join(map(repr, names))}."
    raise InputError(f"feature {feature!r} is not in X: {known}")


def check_columns(table: Table, names: tuple[Any, ...] | None, n_features: int, *, name: str = "X") -> None:
    """Refuse a table whose columns are not those seen at calibration (names are compared where both have them)."""
    seen = column_names(table)
    if names is not None and seen is not None and seen != names:
        missing = [label for label in names if label not in seen]
        unknown = [label for label in seen if label not in names]
        difference = "; ".join(
            [f"missing {missing}"] * bool(missing)
            + [f"not seen before {unknown}"] * bool(unknown)
            + ["the same columns in another order"] * (not missing and not unknown and len(seen) == len(names))
            + ["repeated columns"] * (not missing and not unknown and len(seen) != len(names))
        )
        raise InputError(
            f"{name} has other columns than at calibration ({difference}); expected {list(names)}. "
            "Select the columns in that order."
        )
    if table.shape[1] != n_features:
        raise InputError(f"{name} has {table.shape[1]} columns; expected {n_features}, as at calibration.")


def column(table: Table, position: int) -> NDArray[Any]:
    """Return one column as an array of its own type (object where pandas has no numpy type for it)."""
    if not _is_frame(table):
        return np.asarray(table[:, position])
    series = table.iloc[:, position]
    return np.asarray((series.astype(object) if hasattr(series.dtype, "categories") else series).to_numpy())


def is_missing(value: Any) -> bool:
    """Whether a value of a column of any type stands for a missing one."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def is_numeric(table: Table) -> bool:
    """Whether every column holds numbers or truth values, missing ones included."""
    if not _is_frame(table):
        return bool(table.dtype.kind in "biuf")
    return all(getattr(dtype, "kind", "O") in "biuf" for dtype in table.dtypes)


def as_numbers(table: Table) -> NDArray[np.float64]:
    """Return a numeric table as an array (n_samples, n_features), missing values as NaN."""
    if not _is_frame(table):
        return np.ascontiguousarray(table, dtype=np.float64)
    numbers: NDArray[np.float64] = table.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.ascontiguousarray(numbers)


def category_order(table: Table, position: int) -> tuple[Any, ...] | None:
    """Return the order that a data frame's ordered categorical column carries, if it is one."""
    dtype: Any = table.dtypes.iloc[position] if _is_frame(table) else None
    return tuple(dtype.categories) if getattr(dtype, "ordered", False) else None


def take(table: Table, rows: IntArray) -> Table:
    """Return a new table of the given rows."""
    return table.iloc[rows] if _is_frame(table) else table[rows]


def same_rows(one: Table, other: Table) -> NDArray[np.bool_]:
    """Return which rows of two tables of one shape hold the same values, missing ones included: (n_samples,)."""
    same = np.ones(one.shape[0], dtype=bool)
    if one is not other:
        for position in range(one.shape[1]):
            same &= _same_values(column(one, position), column(other, position))
    return same


def changed_columns(one: Table, other: Table) -> tuple[int, ...]:
    """Return the positions of columns in which two tables of one shape differ anywhere."""
    return tuple(
        position
        for position in range(one.shape[1])
        if not _same_values(column(one, position), column(other, position)).all()
    )


def replicate(table: Table, rows: IntArray, replaced: Mapping[int, NDArray[Any]]) -> Table:
    """Return a new table of the given rows in which some columns, by position, hold other values.

    Types are kept wherever they hold the values exactly, and widened otherwise. The table itself is not touched.
    """
    copy = take(table, rows)
    if _is_frame(table):
        for position, values in replaced.items():
            copy.isetitem(position, _as_extension_array(table.iloc[:, position], values))
        return copy
    copy = copy.astype(
        np.result_type(*(_fitting_dtype(copy.dtype, values) for values in replaced.values())), copy=False
    )
    for position, values in replaced.items():
        copy[:, position] = values
    return copy


def _same_values(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    if one.dtype.kind in "biuf" and other.dtype.kind in "biuf":
        return np.asarray((one == other) | ((one != one) & (other != other)))
    return np.array([_same(a, b) for a, b in zip(one.tolist(), other.tolist(), strict=True)], dtype=bool)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal, or both missing."""
    if one is other:
        return True
    try:
        return bool(one == other) or bool(one != one and other != other)
    except (TypeError, ValueError):
        return False


def _is_frame(X: Any) -> bool:
    return hasattr(X, "iloc") and hasattr(X, "columns")


def _as_extension_array(series: Any, values: NDArray[Any]) -> Any:
    """Return the values as an array of the series' type, or of their own where that cannot hold them exactly."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return type(series)(values, dtype=_fitting_dtype(dtype, values)).array
    if hasattr(dtype, "categories"):
        known = dtype.categories
        missing = [value for value in dict.fromkeys(values.tolist()) if value not in known]
        wider = type(dtype)([*known, *missing], ordered=dtype.ordered) if missing else dtype
        return type(series)(values, dtype=wider).array
    try:
        typed = type(series)(values, dtype=dtype)
    except (TypeError, ValueError):
        return type(series)(values).array
    fits = np.array_equal(typed.to_numpy(dtype=object), values.astype(object))
    return (typed if fits else type(series)(values)).array


def _fitting_dtype(dtype: np.dtype[Any], values: NDArray[Any]) -> np.dtype[Any]:
    """Return ``dtype`` if it holds the values exactly, else a wider type."""
    if dtype == values.dtype or dtype.kind == "O" or values.dtype.kind not in "biuf":
        return dtype if dtype.kind == "O" else np.result_type(dtype, values.dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        held = np.array_equal(values.astype(dtype), values)
    return dtype if held else np.result_type(dtype, values.dtype)
