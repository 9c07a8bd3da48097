"""The door: arguments are checked here, before any work, with messages that say what to do."""

from __future__ import annotations

import sys
import warnings
from decimal import Decimal
from fractions import Fraction
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._tables import as_table, copied
from alignconf._typing import FloatArray, Model, RandomState, Table
from alignconf.errors import InputError, PredictionError
from alignconf.rounding import Rounding

__all__ = [
    "CALIBRATE",
    "CERTIFY",
    "CONDITION",
    "SCORE",
    "SPLIT",
    "answered_numbers",
    "as_answer",
    "as_fraction",
    "check_choice",
    "check_count",
    "check_entries",
    "check_jobs",
    "check_level",
    "check_model",
    "check_number",
    "check_numbers",
    "check_random_state",
    "check_rows",
    "check_surrogate",
    "check_switch",
    "check_targets",
    "generator",
    "is_finite",
    "is_held",
    "is_row_function",
    "not_held",
    "predictions",
    "row_answers",
    "warn",
]


def check_level(name: str, value: Any, *, zero: bool = False) -> float:
    """Return a probability in (0, 1), or in [0, 1) if zero is allowed."""
    real = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
    if not real or not (0 < value < 1 or (zero and value == 0)):
        raise InputError(
            f"{name} must be a number in {'[0' if zero else '(0'}, 1), got {value!r} of type {type(value).__name__}."
        )
    return float(value)


def check_count(name: str, value: Any, *, at_least: int, at_most: int | None = None) -> int:
    """Return a whole number that is large enough, and no larger than computers are."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral) or value < at_least:
        raise InputError(
            f"{name} must be a whole number of at least {at_least}, got {value!r} of type {type(value).__name__}."
        )
    count = int(value)
    if at_most is not None and count > at_most:
        raise InputError(f"{name} must be at most {at_most:,}, got a number of {len(str(count))} digits.")
    return count


def check_number(name: str, value: Any, *, at_least: float = -np.inf, above: float = -np.inf) -> float:
    """Return a finite number that is large enough."""
    if not is_finite(value) or value < at_least or value <= above:
        bound = f" of at least {at_least:g}" if at_least > -np.inf else f" above {above:g}" if above > -np.inf else ""
        raise InputError(f"{name} must be a finite number{bound}, got {value!r} of type {type(value).__name__}.")
    return float(value)


def is_finite(value: Any) -> bool:
    """Whether a value of any type is a real number that a float can come close to; truth values are none."""
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
        return False
    try:
        return isfinite(float(value))
    except (OverflowError, ValueError):
        return False


def is_row_function(value: Any) -> bool:
    """Whether a value can be asked about rows: a function, or an object with ``apply``; a class or a column of values cannot."""
    return (
        (callable(value) or hasattr(value, "apply")) and not isinstance(value, type) and not hasattr(value, "__array__")
    )


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return one of a few words."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")
    return value


def check_switch(name: str, value: Any) -> None:
    """Refuse what is neither on nor off."""
    if not isinstance(value, (bool, np.bool_, Integral)):
        raise InputError(f"{name} must be True or False, got {value!r} of type {type(value).__name__}.")


def check_model(name: str, model: Any) -> Model:
    """Return an object that can predict."""
    # Asked by name: from Python 3.12 on isinstance does not see a method that is delegated, as that of a FrozenEstimator.
    if isinstance(model, type) or not callable(getattr(model, "predict", None)):
        raise InputError(
            f"{name} must be a fitted regressor, an object with a predict method, got {model!r} of type "
            f"{type(model).__name__}."
        )
    if hasattr(model, "predict_proba"):
        raise InputError(
            f"{name} is a classifier, whose predict returns labels; expected a function with numbers. Align one class's "
            "probability with AlignedClassifier, or audit alignconf.classifier.class_function(model, label)."
        )
    checked: Model = model
    return checked


def check_surrogate(surrogate: Any) -> None:
    """Refuse a surrogate that cannot be fitted and asked."""
    if surrogate is None or (isinstance(surrogate, str) and surrogate == "monotone"):
        return
    if isinstance(surrogate, type) or not all(hasattr(surrogate, name) for name in ("fit", "predict", "get_params")):
        raise InputError(
            f"surrogate must be an unfitted scikit-learn regressor that has the property whatever it is fitted to, got "
            f"{surrogate!r} of type {type(surrogate).__name__}; write 'monotone' for the library's own."
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


#: What estimators draw random numbers for.
SPLIT, CALIBRATE, CERTIFY, CONDITION, SCORE = range(5)


def generator(random_state: RandomState, purpose: int) -> np.random.Generator:
    """Return an own stream of random numbers for one purpose, so that different stages never share draws."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng([int(random_state.randint(2**31 - 1)), purpose])
    if random_state is None:
        return np.random.default_rng()
    return np.random.default_rng([check_count("random_state", random_state, at_least=0), purpose])


def check_jobs(value: Any) -> int:
    """Return a number of jobs as joblib counts them: positive, or negative counted from the number of cores."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral) or value == 0:
        raise InputError(f"n_jobs must be None or a whole number other than 0 (-1: all cores), got {value!r}.")
    return int(value)


def check_random_state(random_state: RandomState) -> None:
    """Refuse a seed that is not one, also where nothing will be drawn."""
    if not isinstance(random_state, (np.random.Generator, np.random.RandomState, type(None))):
        check_count("random_state", random_state, at_least=0)


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line outside this package that made the call, however deep inside the cause was found."""
    package = str(Path(__file__).parent)
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def as_fraction(level: float) -> Fraction:
    """Return the decimal number that a user typed: 0.3 is 3/10, not the nearest binary fraction below it."""
    return Fraction(repr(float(level)))


def predictions(model: Model, table: Table) -> tuple[FloatArray, Rounding]:
    """Return the model's own predictions, (n_samples,), and what of them is rounding.

    Raises
    ------
    PredictionError
        If the answer is not one finite number for each row.
    """
    if hasattr(model, "with_rounding"):
        # A function made from a model: its rounding is the model's, which its own type does not show.
        values, rounding = model.with_rounding(table)
        return values, rounding
    return answered_numbers(f"{type(model).__name__}.predict", model.predict(table), int(table.shape[0]))


def answered_numbers(name: str, answer: Any, n_samples: int) -> tuple[FloatArray, Rounding]:
    """Return what a model answered as numbers, (n_samples,), and what of them is rounding.

    Raises
    ------
    PredictionError
        If the answer is not one finite number for each row that a float holds exactly.
    """
    answer = as_answer(name, answer)
    if answer.shape != (n_samples,):
        raise PredictionError(
            f"{name} returned shape {answer.shape} for {n_samples} rows; "
            f"expected one number for each row, shape ({n_samples},)."
        )
    if answer.dtype.kind not in "biuf":
        raise PredictionError(
            f"{name} returned values of type {answer.dtype}; expected numbers. "
            "A classifier is aligned by AlignedClassifier."
        )
    values = answer.astype(np.float64)
    if not np.isfinite(values).all():
        raise PredictionError(
            f"{name} returned {_first_not_finite(values)}; expected finite numbers. Check the model on those rows."
        )
    inexact = not_held(answer)
    if inexact.any():
        row = int(np.flatnonzero(inexact)[0])
        raise PredictionError(
            f"{name} returned {answer[row]!s} in row {row}, of type {answer.dtype}, which no float holds "
            "exactly; expected numbers of double precision, where whole ones are at most 2**53. Round or scale them in the model."
        )
    return values, Rounding.of_type(answer.dtype)


def is_held(value: Any) -> bool:
    """Whether a number of any type is itself as a float, a decimal one as it is typed; whole ones beyond 2**53 never are."""
    if isinstance(value, Integral):
        return abs(int(value)) <= 2**53
    if isinstance(value, Decimal) and value.is_finite():
        return Decimal(repr(float(value))) == value and abs(value) <= 2**53
    return bool(float(value) == value) or bool(value != value)


def not_held(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which numbers of an array are not themselves as floats: whole ones beyond 2**53, and those of longer types."""
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        return np.asarray((values > 2**53) | (values < -(2**53)) if values.dtype.kind == "i" else values > 2**53)
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            return np.asarray((values.astype(np.float64) != values) & ~np.isnan(values))
    return np.zeros(values.shape, dtype=bool)


def as_answer(name: str, answer: Any) -> NDArray[Any]:
    """Return what a model answered as an array of any shape and type; refuse what is none, or hides some entries."""
    if np.ma.isMaskedArray(answer) and np.ma.getmaskarray(answer).any():
        raise PredictionError(f"{name} returned a masked array with masked values; expected one number for each row.")
    try:
        return np.asarray(answer)
    except (TypeError, ValueError) as error:
        raise PredictionError(
            f"{name} returned what is no array ({error}); expected one number for each row."
        ) from error


def row_answers(function: Any, table: Table) -> Any:
    """Return what a user's function, or a fitted object with ``apply``, says of a copy of the rows of a table.

    Objects with ``apply`` are those of crepes, which break ties with numpy's global random numbers: they see a fixed state, so
    that the same rows get the same answer, and the global state is as it was afterwards.
    """
    table = copied(table)
    if not hasattr(function, "apply"):
        return function(table)
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        return function.apply(table)
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _first_not_finite(values: FloatArray) -> str:
    bad = np.flatnonzero(~np.isfinite(values))
    return f"{values[bad[0]]} in row {bad[0]} ({bad.size} of {values.size} values are not finite)"
