"""Arguments, checked at the door: each refusal names the argument, its value, what was expected and what to do."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from decimal import Decimal
from inspect import signature
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, Model, Table
from alignconf.errors import InputError, quoted
from alignconf.tables.table import as_table, locate

__all__ = [
    "check_choice",
    "check_count",
    "check_entries",
    "check_function",
    "check_jobs",
    "check_level",
    "check_list",
    "check_model",
    "check_number",
    "check_numbers",
    "check_positions",
    "check_projector",
    "check_rows",
    "check_switch",
    "check_targets",
    "is_finite",
    "is_held",
    "is_row_function",
    "not_held",
    "warn",
]


#: No number of rows, queries or steps is larger.
LARGEST_COUNT = 10**9

#: No machine has more cores.
MOST_JOBS = 10**6


def check_level(name: str, value: Any, *, zero: bool = False) -> float:
    """Return a probability that is in (0, 1), or in [0, 1) if zero is allowed."""
    # The float that is nearest to a fraction may be 0 or 1 where the fraction is not.
    real = is_finite(value) and 0 <= value <= 1
    if not real or not (0 < float(value) < 1 or (zero and value == 0)):
        raise InputError(
            f"{name} must be a number in {'[0' if zero else '(0'}, 1), got {quoted(value)} of type {type(value).__name__}."
        )
    return float(value)


def check_count(name: str, value: Any, *, at_least: int, at_most: int = LARGEST_COUNT) -> int:
    """Return a whole number that is large enough, and no larger than computers are."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral) or value < at_least:
        raise InputError(
            f"{name} must be a whole number of at least {at_least}, got {quoted(value)} of type {type(value).__name__}."
        )
    count = int(value)
    if count > at_most:
        raise InputError(f"{name} must be at most {at_most:,}, got {quoted(count)}.")
    return count


def check_number(name: str, value: Any, *, at_least: float = -np.inf, above: float = -np.inf) -> float:
    """Return a finite number that is large enough."""
    if not is_finite(value) or float(value) < at_least or float(value) <= above:
        bound = f" of at least {at_least:g}" if at_least > -np.inf else f" above {above:g}" if above > -np.inf else ""
        raise InputError(f"{name} must be a finite number{bound}, got {quoted(value)} of type {type(value).__name__}.")
    return float(value)


def is_finite(value: Any) -> bool:
    """Return whether a value of any type is a real number that a float can come close to; truth values are none."""
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
        return False
    try:
        return isfinite(float(value))
    except (OverflowError, ValueError):
        return False


def is_row_function(value: Any) -> bool:
    """Return whether a value answers about rows: a function, or an object with ``apply``; no class and no column of values."""
    return (
        (callable(value) or hasattr(value, "apply")) and not isinstance(value, type) and not hasattr(value, "__array__")
    )


def check_function(name: str, value: Any, takes: str, n_arguments: int = 1) -> None:
    """Refuse what is no function of so many arguments, and classes, which make objects instead of answers."""
    if not callable(value) or isinstance(value, type) or not _takes(value, n_arguments):
        raise InputError(f"{name} must be a function {takes}, got {quoted(value)} of type {type(value).__name__}.")


def _takes(function: Any, n_arguments: int) -> bool:
    """Return whether a function can be called with so many arguments; those that do not tell are taken to."""
    try:
        signature(function).bind(*range(n_arguments))
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def check_list(name: str, values: Any, expected: str) -> list[Any]:
    """Return the entries of a sequence or an array; refuse texts, mappings and what has no entries."""
    is_array = isinstance(values, np.ndarray) and values.ndim == 1
    if not is_array and (isinstance(values, (str, bytes)) or not isinstance(values, Sequence)):
        raise InputError(f"{name} must be a list of {expected}, got {quoted(values)} of type {type(values).__name__}.")
    return list(values)


def check_positions(name: str, table: Table, features: Any) -> list[int]:
    """Return where columns of a table are, each of a list of names or positions."""
    labels = check_list(name, features, "columns, by name or position")
    for label in labels:
        if not isinstance(label, (str, int, np.integer, tuple)) or isinstance(label, bool):
            raise InputError(f"{name} lists {quoted(label)}; expected the name or the position of a column.")
    return [locate(table, label) for label in labels]


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return a word that is among the choices."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} must be one of {', '.join(map(repr, choices))}, got {quoted(value)}.")
    return value


def check_switch(name: str, value: Any) -> None:
    """Refuse what is neither on nor off."""
    if not isinstance(value, (bool, np.bool_, Integral)):
        raise InputError(f"{name} must be True or False, got {quoted(value)} of type {type(value).__name__}.")


def check_model(name: str, model: Any) -> Model:
    """Return an object that can predict, or a function of rows."""
    # Asked by name: from Python 3.12 on isinstance does not see a method that is delegated, as that of a FrozenEstimator.
    if isinstance(model, type) or not callable(getattr(model, "predict", model)):
        raise InputError(
            f"{name} must be a fitted regressor, an object with a predict method or a function of the rows, got "
            f"{quoted(model)} of type {type(model).__name__}."
        )
    if hasattr(model, "predict_proba"):
        raise InputError(
            f"{name} is a classifier, whose predict returns labels. Align the probability of a class: "
            "AlignedClassifier(model, rules, pos_label=...)."
        )
    checked: Model = model
    return checked


def check_projector(projector: Any, names: Sequence[str]) -> None:
    """Refuse what is no name of a projector and no regressor that can be fitted and asked."""
    if isinstance(projector, str) and projector in names:
        return
    if isinstance(projector, type) or not all(hasattr(projector, name) for name in ("fit", "predict", "get_params")):
        listed = ", ".join(map(repr, names))
        raise InputError(
            f"projector must be one of {listed} or an unfitted scikit-learn regressor that has the property whatever it is "
            f"fitted to, got {quoted(projector)} of type {type(projector).__name__}; leave it out, and what serves the model is "
            "chosen."
        )


def check_rows(X: Any, *, name: str = "X", at_least: int = 1) -> Table:
    """Return a table of rows and columns, with enough rows."""
    table = as_table(X, name=name)
    if table.shape[0] < at_least:
        few = "no rows" if table.shape[0] == 0 else f"only {table.shape[0]} sample(s)"
        raise InputError(f"{name} has {few}, shape {tuple(table.shape)}; expected at least {at_least}.")
    return table


def check_entries(name: str, values: Any) -> NDArray[Any]:
    """Return labels, weights or the like as an array of any shape and type; refuse what is no array, or hides some entries."""
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        raise InputError(
            f"{name} is a masked array with {int(np.ma.getmaskarray(values).sum())} masked values; expected an array in which "
            "every entry counts. Leave those rows out, or fill them with .filled(...)."
        )
    try:
        return np.asarray(values)
    except Exception as error:
        raise InputError(
            f"{name} is no array, got {type(values).__name__} ({error}); expected one entry for each row."
        ) from error


def check_numbers(name: str, values: Any) -> FloatArray:
    """Return real numbers as floats, of any shape; refuse text, moments, complex and masked ones."""
    entries = check_entries(name, values)
    try:
        if entries.dtype.kind not in "biufO":
            raise TypeError("expected real ones")
        return np.asarray(entries, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} must be numbers, got values of type {entries.dtype}: {error}.") from error


def check_targets(y: Any, n_samples: int) -> FloatArray:
    """Return labels as (n_samples,) finite numbers."""
    targets = check_entries("y", y)
    if targets.shape != (n_samples,):
        raise InputError(f"y has shape {targets.shape}; expected one label for each row of X, shape ({n_samples},).")
    targets = check_numbers("y", targets)
    if not np.isfinite(targets).all():
        raise InputError(f"y must be finite, got {_first_not_finite(targets)}; drop or impute those rows.")
    return targets


def check_jobs(value: Any) -> int:
    """Return a number of jobs as joblib counts them: positive, or negative counted from the number of cores."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral) or value == 0:
        raise InputError(f"n_jobs must be None or a whole number other than 0 (-1: all cores), got {quoted(value)}.")
    if abs(int(value)) > MOST_JOBS:
        raise InputError(f"n_jobs must be at most {MOST_JOBS:,}, got {quoted(value)}; -1 stands for all cores.")
    return int(value)


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line outside this package that made the call, however deep inside the cause was found."""
    package = str(Path(__file__).parent.parent)
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _first_not_finite(values: FloatArray) -> str:
    bad = np.flatnonzero(~np.isfinite(values))
    return f"{values[bad[0]]} in row {bad[0]} ({bad.size} of {values.size} values are not finite)"


def is_held(value: Any) -> bool:
    """Return whether a float holds a number of any type exactly, decimals as typed; no whole number beyond 2**53 counts."""
    if isinstance(value, Integral):
        return abs(int(value)) <= 2**53
    if isinstance(value, Decimal) and value.is_finite():
        return Decimal(repr(float(value))) == value and abs(value) <= 2**53
    return bool(float(value) == value) or bool(value != value)


def not_held(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which numbers of an array no float holds exactly: whole ones beyond 2**53, and those of longer types."""
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        return np.asarray((values > 2**53) | (values < -(2**53)) if values.dtype.kind == "i" else values > 2**53)
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            return np.asarray((values.astype(np.float64) != values) & ~np.isnan(values))
    return np.zeros(values.shape, dtype=bool)
