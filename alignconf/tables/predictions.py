"""What a model, or a function of rows, answers: one finite number for each row, and how far it may be rounded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, Model, Table
from alignconf.errors import InputError, PredictionError
from alignconf.tables.checks import _first_not_finite
from alignconf.tables.exact_numbers import not_held
from alignconf.tables.rounding import Rounding
from alignconf.tables.table import copied

__all__ = ["answered_numbers", "as_answer", "predictions", "row_answers", "row_numbers"]


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


def row_numbers(name: str, function: Any, table: Table) -> FloatArray:
    """Return what a user's function, or an object with ``apply``, says of the rows of a table: (n_samples,) numbers.

    Parameters
    ----------
    name : str
        What errors call it.
    function : callable or object with ``apply``
    table : Table of n_samples rows

    Raises
    ------
    InputError
        If it is not one number for each row.
    """
    answer = np.asarray(row_answers(function, table))
    if answer.shape != (table.shape[0],) or answer.dtype.kind not in "biuf":
        raise InputError(
            f"{name} returned shape {answer.shape} of type {answer.dtype} for {table.shape[0]} rows; expected one number for "
            f"each row, shape ({table.shape[0]},)."
        )
    return answer.astype(np.float64)
