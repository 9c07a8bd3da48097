r"""What a model, or a function of rows, answers: one finite number for each row, and how far it may be rounded.

A model's own sums are rounded, and some models (forests on several threads, networks on batches of another size) round
differently from call to call. Differences up to

.. math:: r = \max(a, \; b \max_k |v_k|)

are rounding, for values :math:`v_k` of one row: never violations, never a sign that the model is another. The absolute part
:math:`a` is fixed at calibration by sizes that do not depend on which rows share a batch: for trees by base and leaves
(:attr:`alignconf.lines.ensemble.Ensemble.rounding`), for other models by their answers at reference rows. A share of the
values alone is too strict where large terms cancel, and a share of the values of a batch is too loose for the small ones
among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, Model, Table
from alignconf.errors import InputError, PredictionError
from alignconf.tables.checks import _first_not_finite, not_held
from alignconf.tables.table import copied

__all__ = ["Rounding", "answered_numbers", "as_answer", "predictions", "row_answers", "row_numbers"]


@dataclass(frozen=True)
class Rounding:
    """The size up to which differences of a function's values are rounding.

    Parameters
    ----------
    relative : float
        Share of the largest absolute value of a row.
    absolute : float
        In units of the function.
    """

    relative: float
    absolute: float = 0.0

    @classmethod
    def of_type(cls, dtype: np.dtype[Any]) -> Rounding:
        """Return four units in the last place in single precision; 256 in double, where sums of many terms lose no more."""
        half_or_single = dtype.kind == "f" and dtype.itemsize < 8
        return cls(4 * float(np.finfo(dtype).eps) if half_or_single else 2.0**-44)

    def at_level(self, values: FloatArray) -> Rounding:
        """Return this rounding with an absolute part that fits a function with values as large as these."""
        return Rounding(self.relative, self.relative * float(np.abs(values).max(initial=0.0)))

    def of(self, values: FloatArray) -> FloatArray:
        """Return, per row of ``values`` (n_samples, ...), the size up to which differences are rounding: (n_samples,)."""
        largest: FloatArray = np.abs(values.reshape(values.shape[0], -1)).max(axis=1, initial=0.0)
        return np.maximum(self.absolute, self.relative * largest)


def predictions(model: Model, table: Table) -> tuple[FloatArray, Rounding]:
    """Return the model's own predictions, (n_samples,), and what of them is rounding.

    A function with several outputs (:mod:`alignconf.lines.output_function`) returns (n_samples, n_outputs).

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


def answered_numbers(
    name: str, answer: Any, n_samples: int, n_outputs: int | None = None
) -> tuple[FloatArray, Rounding]:
    """Return what a model answered as numbers, (n_samples,) or (n_samples, n_outputs), and what of them is rounding.

    Raises
    ------
    PredictionError
        If the answer is not one finite number for each row, or each output of each row, that a float holds exactly.
    """
    answer = as_answer(name, answer)
    if n_outputs is None and answer.shape == (n_samples, 1):
        answer = answer[:, 0]
    if n_outputs is None and answer.shape != (n_samples,):
        several = answer.ndim == 2 and answer.shape[0] == n_samples and answer.shape[1] > 1
        remedy = f" For a model with {answer.shape[1]} outputs list them: outputs=[...]." if several else ""
        raise PredictionError(
            f"{name} returned shape {answer.shape} for {n_samples} rows; "
            f"expected one number for each row, shape ({n_samples},).{remedy}"
        )
    if n_outputs is not None and answer.shape != (n_samples, n_outputs):
        raise PredictionError(
            f"{name} returned shape {answer.shape} for {n_samples} rows; expected one number for each of the {n_outputs} outputs "
            f"of each row, shape ({n_samples}, {n_outputs}), in every call. List as many outputs as the model has columns."
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
        where = np.argwhere(inexact)[0]
        row = int(where[0])
        raise PredictionError(
            f"{name} returned {answer[tuple(where)]!s} in row {row}, of type {answer.dtype}, which no float holds "
            "exactly; expected numbers of double precision, where whole ones are at most 2**53. Round or scale them in the model."
        )
    return values, Rounding.of_type(answer.dtype)


def as_answer(name: str, answer: Any) -> NDArray[Any]:
    """Return what a model answered as an array of any shape and type; refuse what is none, or hides some entries."""
    if answer is None:
        raise PredictionError(
            f"{name} returned None; expected one number for each row. Let it return what it computes."
        )
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
    answer = as_answer(name, row_answers(function, table))
    if answer.shape != (table.shape[0],) or answer.dtype.kind not in "biuf":
        raise InputError(
            f"{name} returned shape {answer.shape} of type {answer.dtype} for {table.shape[0]} rows; expected one number for "
            f"each row, shape ({table.shape[0]},)."
        )
    return answer.astype(np.float64)
