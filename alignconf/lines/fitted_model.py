"""The one door between this package and a fitted model.

Everything that asks a user's model asks it here, so that what is asked is always the model as it was fitted:

* **columns**: rows come in the order of the fit (:mod:`alignconf.tables.fitted_columns`); columns behind those of the fit,
  which groups may be read off, are not handed over;
* **memory**: the model gets a copy of its own, so that one that writes to its rows changes nothing that anybody reads again,
  and what it answers is copied too;
* **missing values**: its own codes for them are known (:mod:`alignconf.tables.missing_codes`);
* **boosters** of XGBoost and LightGBM without scikit-learn's methods are asked in their own way;
* **one function**: a model whose answer to a row depends on chance, or on the rows next to it, is no function of the row, and
  is refused (:meth:`FittedModel.check_is_function`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import Feature, FloatArray, Model, Table
from alignconf.contract.property import Property
from alignconf.errors import PredictionError
from alignconf.lines.composition import read_lines
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.exact_lines import ExactLines
from alignconf.lines.exact_sums import with_other_leaves
from alignconf.lines.native_trees import with_other_trees
from alignconf.lines.trees import read_ensemble, unwrapped
from alignconf.lines.wrapped import predicting_model
from alignconf.tables import table as tables
from alignconf.tables.checks import check_rows
from alignconf.tables.fitted_columns import FittedColumns, columns_of_fit, native_booster
from alignconf.tables.missing_codes import MissingCodes, missing_codes
from alignconf.tables.predictions import Rounding, answered_numbers, as_answer
from alignconf.tables.unknown_categories import naming_unknown_categories

__all__ = ["FittedModel", "declared_features", "function_of"]

#: A model is asked twice about this many rows, and about so many of them alone.
N_TWICE = 64
N_ALONE = 4

#: Answers to the same call agree to this many times their rounding; sums on several threads come in any order.
ROUNDINGS = 16.0


@dataclass(frozen=True)
class FittedModel:
    """A fitted model as a function of rows.

    Parameters
    ----------
    estimator : object
        The user's, unchanged; or a function of rows, without the method.
    method : {"predict", "predict_proba"}
    columns : FittedColumns
        What it was fitted on.
    """

    estimator: Any
    method: str
    columns: FittedColumns

    @classmethod
    def of(cls, estimator: Any, *, method: str = "predict") -> FittedModel:
        """Return the door to a fitted model."""
        return cls(estimator, method, replace(columns_of_fit(estimator), owner=type(estimator).__name__))

    @property
    def fitted_model(self) -> FittedModel:
        """The door itself."""
        return self

    @cached_property
    def behind_steps(self) -> FittedModel:
        """The door to the model at the end of a Pipeline, asked about rows that passed the steps; else an equal door."""
        return FittedModel.of(predicting_model(self.estimator), method=self.method)

    @property
    def name(self) -> str:
        """The name of the model in messages."""
        if not hasattr(self.estimator, self.method):
            return str(getattr(self.estimator, "__qualname__", type(self.estimator).__name__))
        return f"{type(self.estimator).__name__}.{self.method}"

    def arranged(self, table: Table, *, name: str = "X") -> Table:
        """Return rows with the columns of the fit, in its order; see :meth:`FittedColumns.arranged`."""
        return self.columns.arranged(table, name=name)

    def rows(self, X: Any, declared: Property, *, name: str = "X") -> Table:
        """Return users' rows, arranged; refuse declared features that the fit did not have."""
        table = check_rows(X, name=name)
        self.columns.check_declared(declared_features(declared), table)
        return self.arranged(table, name=name)

    def reference(self, X_reference: Any, table: Table) -> Table:
        """Return users' reference rows, with the columns of an arranged table."""
        reference = self.arranged(check_rows(X_reference, name="X_reference"), name="X_reference")
        return FittedColumns.of_table(table).arranged(reference, name="X_reference")

    def missing_codes(self, table: Table) -> MissingCodes:
        """Return the codes for missing values of the columns of an arranged table."""
        return missing_codes(self.estimator, self._own(table))

    def answers(self, table: Table) -> NDArray[Any]:
        """Return what the model answers to arranged rows, as an array of any shape and type; the rows stay as they are.

        Raises
        ------
        InputError
            If rows hold a category that the model's encoder refuses as unknown.
        """
        # A copy: some models answer in the same memory every time.
        with naming_unknown_categories(table):
            return np.array(as_answer(self.name, self._ask(self._own(table))))

    def with_rounding(self, table: Table) -> tuple[FloatArray, Rounding]:
        """Return one finite number for each row, (n_samples,), and the rounding of these numbers.

        Raises
        ------
        PredictionError
            If the model does not answer so.
        """
        return answered_numbers(self.name, self.answers(table), int(table.shape[0]))

    def predict(self, table: Table) -> FloatArray:
        """Return one number for each row, (n_samples,)."""
        return self.with_rounding(table)[0]

    def trees(self) -> Ensemble | str:
        """Return the model's trees, or a sentence that says why they cannot be read exactly."""
        return read_ensemble(unwrapped(self.estimator))

    def exact_lines(self, reference: Table) -> ExactLines | str:
        """Return the model's exact lines, or a sentence that says why they are not known; see :func:`read_lines`."""
        return read_lines(self.estimator, reference)

    def in_order(self) -> FittedModel:
        """Return a function in whose order the values are, and whose trees may be read: the model itself."""
        return self

    def with_leaves(self, leaf_values: FloatArray, *, exact: bool) -> FittedModel:
        """Return the door to the model with other leaves, (n_leaves,); on a grid where sums are exact in any order, if asked."""
        return replace(self, estimator=with_other_leaves(self.estimator, leaf_values, exact=exact))

    def with_trees(self, other: Any, *, exact: bool) -> FittedModel:
        """Return the door to the model with the trees of a regressor of its margins, as :meth:`with_leaves`."""
        return replace(self, estimator=with_other_trees(self.estimator, other, exact=exact))

    def check_is_function(self, table: Table) -> int:
        r"""Refuse a model whose answer to a row depends on chance or on other rows; return how many rows the model was asked.

        Some rows are asked twice together, and a few of them alone. Answers :math:`v_i, v_i'` to the same call must agree to
        :math:`16 \epsilon \max_i |v_i|`, with :math:`\epsilon` the relative rounding of their type; those of a row alone,
        which a model may add up in another order, to :math:`\sqrt{\epsilon}` of the spread of the answers besides.

        Raises
        ------
        PredictionError
            Naming the row with the largest difference.
        """
        n_rows = min(int(table.shape[0]), N_TWICE)
        if not n_rows:
            return 0
        rows = np.unique(np.linspace(0, table.shape[0] - 1, n_rows).astype(np.intp))
        some = tables.take(table, rows)
        first, again = self.answers(some), self.answers(some)
        if not _are_numbers(first, rows.size):
            return 2 * rows.size  # refused, with its reason, by whoever asks for numbers
        relative = Rounding.of_type(first.dtype).relative
        finite = np.where(np.isfinite(first), first, 0).astype(np.float64)
        size = ROUNDINGS * relative * float(np.abs(finite).max())
        self._compare(first, again, size, rows, "asked a second time")
        alone = np.unique(np.linspace(0, rows.size - 1, min(rows.size, N_ALONE)).astype(np.intp))
        by_itself = [self.answers(tables.take(some, np.array([position]))) for position in alone]
        size += float(np.sqrt(relative) * np.ptp(finite, axis=0).max())
        self._compare(first[alone], np.concatenate(by_itself), size, rows[alone], "asked about that row alone")
        return int(2 * rows.size + alone.size)

    def _compare(self, first: NDArray[Any], again: NDArray[Any], size: float, rows: NDArray[np.intp], how: str) -> None:
        if again.shape != first.shape:
            raise PredictionError(
                f"{self.name} returned shape {again.shape} when {how}, and {first.shape} before; expected an answer for each row."
            )
        # What is not finite is refused where it is used; of rows that lack a value it may never be.
        finite = np.isfinite(first) & np.isfinite(again)
        before, after = (np.where(finite, values, 0).astype(np.float64) for values in (first, again))
        apart = np.abs(before - after).reshape(rows.size, -1).max(axis=1)
        if (apart > size).any():
            worst = int(apart.argmax())
            values = np.ravel(first[worst]).tolist()[0], np.ravel(again[worst]).tolist()[0]
            raise PredictionError(
                f"{self.name} says {values[0]:.6g} of row {rows[worst]} and {values[1]:.6g} when {how}: it depends on chance or "
                "on the rows next to it, so nothing can be promised of it. Fix its random state, switch off what is random in "
                "training only (dropout), and let it use figures of the fit instead of those of the rows at hand."
            )

    def _own(self, table: Table) -> Table:
        """Return the columns of the fit of an arranged table."""
        n_features = self.columns.n_features
        if n_features is None or table.shape[1] <= n_features:
            return table
        return tables.select(table, range(n_features))

    def _ask(self, table: Table) -> Any:
        library = native_booster(self.estimator)
        if library == "xgboost":
            return _ask_xgboost(self.estimator, table)
        if library == "lightgbm" and not hasattr(table, "iloc"):
            return self.estimator.predict(tables.as_numbers(table))
        return getattr(self.estimator, self.method, self.estimator)(tables.copied(table))


def function_of(model: Model) -> Any:
    """Return the function that asks a model: the model itself if made from a :class:`FittedModel`, else a new one."""
    return model if isinstance(getattr(model, "fitted_model", None), FittedModel) else FittedModel.of(model)


def declared_features(declared: Property) -> tuple[Feature, ...]:
    """Return the features that a property names."""
    of_lines = [feature for part in declared.lines for feature in (part.feature, *(part.trade or ())[:1])]
    of_planes = [feature for part in declared.planes for feature in (part.feature, part.other)]
    return tuple(dict.fromkeys(of_lines + of_planes))


def _ask_xgboost(booster: Any, table: Table) -> Any:
    """Return what a booster of XGBoost answers; columns are in its order already, so names are not compared again."""
    from xgboost import DMatrix

    if tables.is_numeric(table):
        return booster.predict(DMatrix(tables.as_numbers(table)), validate_features=False)
    return booster.predict(DMatrix(tables.copied(table), enable_categorical=True), validate_features=False)


def _are_numbers(answer: NDArray[Any], n_samples: int) -> bool:
    return answer.shape[:1] == (n_samples,) and answer.dtype.kind in "biuf" and answer.size > 0
