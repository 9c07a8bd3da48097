"""Values that a model takes for missing, besides NaN and None.

Some libraries are told that a number stands for "not known": XGBoost's ``missing=-999``, LightGBM's ``zero_as_missing``,
the ``missing_values`` of scikit-learn's imputers. Such a number is no place on the line of a feature: it is not less than
others, no query moves a row there, and a row that has it is left alone, as one with NaN is. :func:`missing_codes` reads them
off a model, fitted or not; those of imputers where they see the columns as they come, first in a Pipeline or in the part of a
``ColumnTransformer`` that has the column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real
from types import MappingProxyType
from typing import Any

import numpy as np

from alignconf._typing import Table
from alignconf.errors import InputError
from alignconf.tables import table as tables
from alignconf.tables.fitted_columns import INNER, native_booster

__all__ = ["NO_CODES", "MissingCodes", "missing_codes", "takes_zero_for_missing", "without_codes"]

#: The codes of each column, by position: where there are none, the column is not there.
MissingCodes = Mapping[int, tuple[Any, ...]]

NO_CODES: MissingCodes = MappingProxyType({})

#: As LightGBM reads switches.
ON = ("true", "1", "+", "yes", "on")


def missing_codes(model: Any, table: Table) -> MissingCodes:
    """Return the codes for missing values of each column of a table in the model's order.

    Parameters
    ----------
    model : a regressor, classifier, booster, Pipeline or search, fitted or not
    table : Table of n_samples rows
        Only its columns are looked at.
    """
    everywhere = range(table.shape[1])
    codes_of: dict[int, dict[Any, None]] = {}
    for position, code in _codes(model, tuple(everywhere), table):
        if not tables.is_missing(code):
            codes_of.setdefault(position, {})[code] = None
    return {position: tuple(codes) for position, codes in codes_of.items()}


def without_codes(table: Table, codes: MissingCodes) -> Table:
    """Return rows in which codes among numbers are NaN: the same rows, however missing values are written."""
    replaced = {}
    for position, of_column in codes.items():
        values = tables.column(table, position)
        numbers = [code for code in of_column if isinstance(code, Real)]
        if values.dtype.kind in "biuf" and numbers:
            with np.errstate(over="ignore"):
                is_missing = np.isin(values.astype(np.float32), np.asarray(numbers, dtype=np.float32))
            replaced[position] = np.where(is_missing, np.nan, values.astype(np.float64))
    return tables.replicate(table, np.arange(table.shape[0]), replaced) if replaced else table


def takes_zero_for_missing(model: Any) -> bool:
    """Return whether a model of LightGBM, fitted or not, takes zeros for missing values."""
    params = dict(model.params if native_booster(model) else model.get_params())
    return _is_on(params.get("zero_as_missing", False)) and _is_on(params.get("use_missing", True))


def _codes(model: Any, columns: tuple[int, ...], table: Table) -> Iterable[tuple[int, Any]]:
    """Yield positions and codes of a model, or step, that is handed some columns of the table as they come."""
    library = type(model).__module__.split(".")[0]
    steps = getattr(model, "steps", None)
    if isinstance(steps, (list, tuple)):
        yield from _of_steps([step for _, step in steps], columns, table)
    elif library == "xgboost" and hasattr(model, "missing"):
        yield from ((position, model.missing) for position in columns)
    elif library == "lightgbm" and hasattr(model, "params" if native_booster(model) else "get_params"):
        yield from ((position, 0.0) for position in columns if takes_zero_for_missing(model))
    elif hasattr(model, "missing_values"):
        yield from ((position, model.missing_values) for position in columns)
    elif hasattr(model, "transformers"):
        yield from _of_transformers(model, columns, table)
    elif isinstance(members := getattr(model, "estimators", getattr(model, "transformer_list", None)), (list, tuple)):
        for member in members:
            yield from _codes(member[-1], columns, table)
    else:
        inner = next((getattr(model, name) for name in INNER if hasattr(model, name)), None)
        if inner is not None and not isinstance(inner, (type, str)):
            yield from _codes(inner, columns, table)


def _of_steps(steps: list[Any], columns: tuple[int, ...], table: Table) -> Iterable[tuple[int, Any]]:
    """Yield the codes of the first step that does something; what it hands on is other columns."""
    doing = [step for step in steps if not _passes(step)]
    if doing:
        yield from _codes(doing[0], columns, table)


def _of_transformers(model: Any, columns: tuple[int, ...], table: Table) -> Iterable[tuple[int, Any]]:
    """Yield the codes of the parts of a ColumnTransformer."""
    if columns != tuple(range(table.shape[1])):
        return
    for entry in getattr(model, "transformers_", model.transformers):
        step, selected = entry[1], entry[-1]
        if not _passes(step):
            yield from _codes(step, _positions(selected, table), table)


def _positions(selected: Any, table: Table) -> tuple[int, ...]:
    """Return the positions of columns as a ColumnTransformer selects them, of those that the table has.

    Raises
    ------
    InputError
        If a function selects them that fails at the table, as it would in the model.
    """
    if callable(selected):
        try:
            selected = selected(table)
        except Exception as error:
            raise InputError(
                f"the model selects columns by {selected!r}, which fails at the rows ({error}); which values are missing "
                "cannot be told. Give rows of the container that the model was fitted to."
            ) from error
    if isinstance(selected, slice):
        return tuple(range(*selected.indices(table.shape[1]))) if isinstance(selected.start, int | None) else ()
    listed = [selected] if isinstance(selected, (str, int)) else list(selected)
    if listed and all(isinstance(column, bool) or type(column).__name__ in ("bool", "bool_") for column in listed):
        return tuple(position for position, is_in in enumerate(listed) if is_in)
    return tuple(position for label in listed for position in _located(table, label))


def _located(table: Table, label: Any) -> tuple[int, ...]:
    """Return the position of a column, none if the table does not have it."""
    try:
        return (tables.locate(table, label),)
    except InputError:
        return ()


def _passes(step: Any) -> bool:
    """Return whether a step hands on the columns as they come, or drops them."""
    return step is None or isinstance(step, str) or getattr(step, "func", step) is None


def _is_on(value: Any) -> bool:
    return str(value).strip().lower() in ON
