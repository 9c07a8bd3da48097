"""Which rows of ``fit`` train the model and which calibrate it, and what goes to the model's own ``fit``.

A row that trained must not calibrate, so ``fit`` splits its rows at random: a quarter calibrates, or as many as ``alpha`` needs
if that is more, up to a half; the others train, and give the reference law. Weights and other arguments of ``fit`` that have
one entry for each row are split with the rows. Weights also say what a row counts in the reference law: a training row of
weight two is that row twice. A promise is about the rows that calibrate, each of which counts once.

The split does not look at labels, and what ``fit`` refuses of them it reads off the rows that train: given these, the rows that
calibrate and a fresh row are exchangeable, whatever was refused. A class that happens to have no row to train on is unknown to
the model; stratifying, or drawing again until all classes are there, would choose the rows that calibrate by their labels.
"""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import train_test_split
from sklearn.utils.metadata_routing import process_routing

from alignconf._typing import IntArray, Table
from alignconf.contract.outputs import Outputs
from alignconf.errors import CalibrationError, InputError
from alignconf.estimators.request import Request
from alignconf.tables import table as tables
from alignconf.tables.checks import check_entries, warn

__all__ = ["check_classes", "check_labels", "check_weights", "count_held_out", "fit_arguments", "split_rows", "trained"]

#: ``fit`` sets this share of the rows aside to calibrate, or more where ``alpha`` needs more, up to ``LARGEST_SHARE``.
CALIBRATION_SHARE = 0.25
LARGEST_SHARE = 0.5


def check_labels(y: Any, n_samples: int, *, owner: str, outputs: Outputs | None = None) -> NDArray[Any]:
    """Return the labels that a model is to be fitted to, (n_samples,), of any type; the model decides which it accepts.

    A model with several outputs may be fitted to labels of each, (n_samples, n_outputs).

    Raises
    ------
    InputError
        If there is not one label for each row.
    """
    if y is None:
        raise InputError(
            f"{owner}.fit requires y to be passed, but the target y is None: it trains the estimator. Give labels, or use "
            "calibrate(X), which needs none, for an estimator that is fitted already."
        )
    labels = check_entries("y", y)
    if labels.shape == (n_samples, 1):
        warn(
            f"A column-vector y was passed when a 1d array was expected: y has shape {labels.shape} and is flattened; give "
            f"shape ({n_samples},).",
            DataConversionWarning,
        )
        labels = labels[:, 0]
    if labels.shape not in ((n_samples,), (n_samples, 0 if outputs is None else len(outputs))):
        raise InputError(
            f"y has shape {labels.shape}; expected one label for each of the {n_samples} rows of X: y should be a 1d array of "
            f"shape ({n_samples},)."
        )
    return labels


def check_weights(value: Any, n_samples: int) -> NDArray[Any]:
    """Return the weights of rows, (n_samples,), as numbers of the type that they were given in.

    Raises
    ------
    InputError
        If there is not one number of at least 0 for each row, some of them positive.
    """
    weights = check_entries("sample_weight", value)
    if weights.dtype == object:
        weights = _as_floats(weights)
    if weights.shape != (n_samples,) or weights.dtype.kind not in "biuf":
        raise InputError(
            f"sample_weight has shape {weights.shape} and type {weights.dtype}; expected one number for each row of X, "
            f"shape ({n_samples},)."
        )
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        raise InputError(
            f"sample_weight is {weights[wrong][0]} in row {int(wrong.argmax())}; expected finite numbers of at least 0. Leave "
            "rows that should not count out, or give them the weight 0."
        )
    if not weights.any():
        raise InputError(
            f"sample_weight is zero for all {n_samples} rows; expected a positive weight for some. Leave sample_weight out to "
            "count every row once."
        )
    return weights


def fit_arguments(router: Any, estimator: Any, sample_weight: Any, others: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the wrapped estimator's ``fit`` besides rows and labels.

    Parameters
    ----------
    router : estimator
        Routes them, where scikit-learn's metadata routing is enabled. Otherwise they go to the wrapped estimator as they are.
    estimator : the wrapped one
    sample_weight : (n_samples,), optional
    others : dict

    Raises
    ------
    InputError
        If the wrapped estimator takes no weights.
    """
    if not hasattr(estimator, "fit"):
        raise InputError(
            f"estimator, a {type(estimator).__name__}, has no fit method; fit its models yourself, and call calibrate(X)."
        )
    if get_config()["enable_metadata_routing"]:
        routed: dict[str, Any] = dict(
            process_routing(router, "fit", sample_weight=sample_weight, **others).estimator.fit
        )
        return {name: value for name, value in routed.items() if value is not None}
    taken = signature(estimator.fit).parameters
    takes_all = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in taken.values())
    given = others if sample_weight is None else others | {"sample_weight": sample_weight}
    for name in given:
        if name not in taken and not takes_all:
            raise InputError(
                f"{name} is given to fit, but {type(estimator).__name__}.fit does not take it; leave it out, or wrap an "
                "estimator that does."
            )
    return given


def count_held_out(request: Request, n_samples: int) -> int:
    """Return how many rows calibrate: none at full strength.

    Raises
    ------
    CalibrationError
        If half of the rows are too few for the promise.
    """
    if request.is_full:
        return 0
    most = int(LARGEST_SHARE * n_samples)
    if most < request.n_rows:
        raise CalibrationError(
            f"fit holds at most half of its rows out to calibrate, {most} of {n_samples}. {request.too_few_rows(most)}"
        )
    return max(round(CALIBRATION_SHARE * n_samples), request.n_rows)


def split_rows(n_samples: int, n_held_out: int, random: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Return the positions of the rows that train and of those that calibrate, drawn at random.

    Neither labels nor the order of rows enter: rows of which the labels are shared out evenly are not exchangeable with a fresh
    row.

    Parameters
    ----------
    n_samples, n_held_out : int
    random : numpy.random.Generator
    """
    rows = np.arange(n_samples)
    if not n_held_out:
        return rows, rows[:0]
    seed = int(random.integers(2**31))
    train, held_out = train_test_split(rows, test_size=n_held_out, random_state=seed)
    return train, held_out


def check_classes(labels: NDArray[Any], train: IntArray, pos_label: Any) -> list[Any]:
    """Return the classes of the rows that train; warn of others, which the model will not know.

    Parameters
    ----------
    labels : (n_samples,)
    train : positions of the rows that train
    pos_label : label, or None
        The aligned class.

    Raises
    ------
    InputError
        If they are fewer than two, or the aligned one is not among them but among the others.
    """
    of_all: list[Any] = np.unique(labels).tolist()
    trained_on: list[Any] = np.unique(labels[train]).tolist()
    if len(of_all) < 2:
        raise InputError(f"y has one class, {of_all[0]!r}, in all rows; expected two or more classes.")
    lacking = [label for label in of_all if label not in trained_on]
    if lacking:
        left = f"the random split left none of the rows of class {lacking[0]!r} among the {train.size} that train"
        if len(trained_on) < 2 or any(pos_label is label or pos_label == label for label in lacking):
            raise InputError(
                f"{left}; expected rows of {'both' if len(of_all) == 2 else 'the aligned and another of the'} classes. Give "
                "more rows of it, or fit the estimator yourself and calibrate it on other rows."
            )
        warn(f"{left}: the model will not know this class.", UserWarning)
    return trained_on


def trained(estimator: Any, table: Table, labels: NDArray[Any], rows: IntArray, arguments: dict[str, Any]) -> Any:
    """Return a clone of an estimator, fitted to some rows of a table; the table must have been checked.

    Parameters
    ----------
    estimator : Any
    table : Table of n_samples rows
    labels : (n_samples,)
    rows : positions of the rows that train
    arguments : dict
        Of ``fit``; those with an entry for each of the n_samples rows are split like them.
    """
    n_samples = table.shape[0]
    of_rows = {name: _at(name, value, n_samples, rows) for name, value in arguments.items()}
    return clone(estimator).fit(tables.take(table, rows), labels[rows], **of_rows)


def _at(name: str, value: Any, n_samples: int, rows: IntArray) -> Any:
    """Return the entries of some rows, if there is one for each row; otherwise the value itself."""
    if name == "sample_weight":
        weights: NDArray[Any] = check_weights(value, n_samples)[rows]
        return weights
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != n_samples or isinstance(value, dict):
        return value
    if hasattr(value, "shape") and len(value.shape) == 2:
        return tables.take(tables.as_table(value, name=name), rows)
    return check_entries(name, value)[rows]


def _as_floats(values: NDArray[Any]) -> NDArray[Any]:
    """Return objects as floats where they are numbers, otherwise as they are."""
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        return values
