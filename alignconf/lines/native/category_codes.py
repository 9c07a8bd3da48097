"""What boosters make of a data frame's categories before their trees see numbers, as a step in front of the trees.

LightGBM keeps the categories of the frame of its fit, column after column, and finds the codes of later frames by them; so does
XGBoost from 3.1 on. Older versions of XGBoost take the codes of each frame as they are. What has no code is missing. Histogram
gradient boosting has such a step of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf.lines.native.xgboost_categories import kept_categories
from alignconf.tables import table as tables
from alignconf.tables.fitted_columns import native_booster

__all__ = ["CategoryCodes", "step_before_trees"]


@dataclass(frozen=True)
class CategoryCodes:
    """A step that turns a data frame with categories into numbers.

    Parameters
    ----------
    kept : mapping of int to tuple or None
        From each column of categories to those that the model keeps, in the order of their codes; None for those of the frame.
    """

    kept: Mapping[int, tuple[Any, ...] | None]

    def transform(self, table: Table) -> FloatArray:
        """Return rows as the trees take them, (n_samples, n_features)."""
        others = [j for j in range(table.shape[1]) if j not in self.kept]
        numbers = np.empty(table.shape)
        numbers[:, others] = tables.as_numbers(tables.select(table, others))
        for j, kept in self.kept.items():
            numbers[:, j] = _codes(table, j, kept)
        return numbers


def step_before_trees(model: Any, reference: Table) -> Any | str | None:
    """Return the step that turns rows into what a model's trees compare; None if rows are numbers already.

    Parameters
    ----------
    model : object
        A fitted model whose trees can be read.
    reference : Table
        Rows as the model takes them.

    Returns
    -------
    transformer, str or None
        A sentence if rows do not fit what the model keeps of those of its fit.
    """
    library = type(model).__module__.split(".")[0]
    if library == "sklearn":
        return getattr(model, "_preprocessor", None)
    columns = [j for j in range(reference.shape[1]) if tables.categories(reference, j) is not None]
    if not columns or library not in ("xgboost", "lightgbm"):
        return None
    others = [j for j in range(reference.shape[1]) if j not in columns]
    if not tables.is_numeric(tables.select(reference, others)):
        return "some columns are neither numbers nor categories."
    is_native = bool(native_booster(model))
    if library == "xgboost":
        of_model = kept_categories(model if is_native else model.get_booster())
        return CategoryCodes({j: of_model.get(j) for j in columns})
    of_fit = (model if is_native else model.booster_).pandas_categorical or []
    if len(of_fit) != len(columns):
        return f"the model was fitted on {len(of_fit)} columns of categories, and rows have {len(columns)}."
    return CategoryCodes({j: tuple(categories) for j, categories in zip(columns, of_fit, strict=True)})


def _codes(table: Table, position: int, kept: tuple[Any, ...] | None) -> FloatArray:
    """Return the codes of a column of categories, NaN for what has none: (n_samples,)."""
    held = tables.categories(table, position)
    if held is None:
        raise ValueError(f"column {position} holds no categories any more")
    codes, categories = held
    code_of = {category: float(code) for code, category in enumerate(categories if kept is None else kept)}
    of_codes = np.array([*(code_of.get(category, np.nan) for category in categories), np.nan])
    return np.asarray(of_codes[codes])
