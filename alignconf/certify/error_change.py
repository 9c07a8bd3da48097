r"""What alignment costs or gains in error, on labelled rows: the paired change with its interval.

``change = after - before`` is the mean of row-wise differences, with Student's t interval: approximate, the only number of a
certificate that is. Means of two blocks of rows join to that of all of them, with sums ``M`` of squared deviations by

.. math:: M = M_1 + M_2 + \delta^2 \frac{n_1 n_2}{n_1 + n_2}, \qquad \delta = \bar x_2 - \bar x_1 ,

and agree with those of all rows up to rounding.

References
----------
.. [1] Chan, T. F., Golub, G. H. and LeVeque, R. J. (1983). Algorithms for computing the sample variance. The American
   Statistician 37(3). doi:10.1080/00031305.1983.10483115
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

import numpy as np
from scipy.stats import t as student_t

from alignconf._typing import FloatArray
from alignconf.errors import InputError, quoted
from alignconf.tables import printed
from alignconf.tables.checks import check_numbers

__all__ = ["ErrorChange", "Mean", "RowErrors", "change_of", "checked_weights", "chosen_error", "paired_change"]

#: From labels and predictions, both (n_samples,), or (n_samples, n_classes) of a classifier, to errors (n_samples,).
ErrorOf = Callable[[Any, FloatArray], Any]


@dataclass(frozen=True)
class RowErrors:
    """How wrong values of a function are at labelled rows: ``of`` maps (n_samples,) values to (n_samples,) errors.

    ``weights`` are what rows count in sums, (n_samples,); None if all count the same.
    """

    measure: str
    of: Callable[[FloatArray], FloatArray]
    weights: FloatArray | None = None

    def weighted(self, weights: FloatArray) -> RowErrors:
        r"""Return errors whose mean is that with weights :math:`w_i`, (n_samples,), and whose spread is that of this mean.

        They are :math:`\bar e + w_i (e_i - \bar e) / \bar w` with :math:`\bar e = \sum_i w_i e_i / \sum_i w_i`: the mean of
        weighted rows is a ratio, and these are its linear part, from which its standard error is had.
        """
        shares = weights / weights.mean()

        def linear_part(values: FloatArray) -> FloatArray:
            errors = self.of(values)
            mean = (shares * errors).mean()
            return np.asarray(mean + shares * (errors - mean))

        return RowErrors(f"weighted {self.measure}", linear_part, weights)


@dataclass(frozen=True)
class ErrorChange:
    """Mean error before and after alignment on the same rows.

    ``change = after - before``, with its paired interval (Student's t on row-wise differences: approximate, the only
    number here that is).
    """

    measure: str
    before: float
    after: float
    change: float
    interval: tuple[float, float]
    confidence: float

    @property
    def is_worse(self) -> bool:
        """Whether the interval of the change lies above zero."""
        return self.interval[0] > 0

    def __str__(self) -> str:
        """Return the change with its interval."""
        low, high = self.interval
        return (
            f"{self.measure} {self.before:.6g} before, {self.after:.6g} after: change {self.change:+.4g} "
            f"[{low:+.4g}, {high:+.4g}] ({printed.level_in_percent(self.confidence)}, paired, approximate)"
        )


@dataclass(frozen=True)
class Mean:
    """The mean of numbers, and how they lie around it.

    Parameters
    ----------
    n : int
    mean : float
    squares : float
        Sum of squared deviations from the mean.
    low, high : float
        The smallest and the largest.
    """

    n: int
    mean: float
    squares: float
    low: float
    high: float

    @classmethod
    def of(cls, values: FloatArray) -> Mean:
        """Return the mean of (n,) numbers, n at least 1."""
        mean = float(values.mean())
        return cls(values.size, mean, float(((values - mean) ** 2).sum()), float(values.min()), float(values.max()))

    def joined(self, second: Mean) -> Mean:
        """Return the mean of the numbers of both means."""
        n, apart = self.n + second.n, second.mean - self.mean
        squares = self.squares + second.squares + apart**2 * (self.n * second.n / n)
        return Mean(
            n, self.mean + apart * (second.n / n), squares, min(self.low, second.low), max(self.high, second.high)
        )


def paired_change(measure: str, before: FloatArray, after: FloatArray, confidence: float) -> ErrorChange:
    """Return the change of the mean of row-wise errors ``before`` and ``after``, both of shape (n_samples,)."""
    return change_of(measure, (Mean.of(before), Mean.of(after), Mean.of(after - before)), confidence)


def change_of(measure: str, errors: tuple[Mean, ...], confidence: float) -> ErrorChange:
    """Return the change from the means of errors before and after, and of their row-wise difference."""
    before, after, differences = errors
    change = differences.mean
    low, high = (change, change) if differences.n > 1 else (-inf, inf)
    if differences.high > differences.low:
        error = sqrt(differences.squares / (differences.n - 1) / differences.n)
        half_width = error * float(student_t.ppf((1 + confidence) / 2, differences.n - 1))
        low, high = change - half_width, change + half_width
    return ErrorChange(measure, before.mean, after.mean, change, (low, high), confidence)


def chosen_error(error: Any, named: Mapping[str, tuple[str, ErrorOf]], labels: Any) -> tuple[str, ErrorOf]:
    """Return the name of an error in words, and how it is counted: one of those that have names, or a user's function.

    Parameters
    ----------
    error : str or callable
    named : dict
        From words that users type to the name of the mean error and its function; the first one is the default.
    labels : (n_samples,)
        What a user's function is given.

    Raises
    ------
    InputError
        If it is neither; later, if a function does not return one finite number for each row.
    """
    if isinstance(error, str) and error in named:
        return named[error]
    if not callable(error) or isinstance(error, type):
        raise InputError(
            f"error must be one of {', '.join(map(repr, named))}, or a function of labels and predictions that returns one "
            f"number for each row, got {quoted(error)} of type {type(error).__name__}."
        )

    def own(_: Any, predictions: FloatArray) -> FloatArray:
        errors = check_numbers("the answer of error", error(labels, predictions))
        if errors.shape != predictions.shape[:1] or not np.isfinite(errors).all():
            raise InputError(
                f"error returned shape {errors.shape}, {int(np.isfinite(errors).sum())} values of it finite, for "
                f"{len(predictions)} rows; expected one finite number for each row."
            )
        return errors

    return f"mean of {getattr(error, '__name__', type(error).__name__)}", own


def checked_weights(sample_weight: Any, n_samples: int) -> FloatArray:
    """Return weights of rows, (n_samples,) numbers of at least 0 that are not all 0; refuse others."""
    weights = check_numbers("sample_weight", sample_weight)
    if weights.shape != (n_samples,) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise InputError(
            f"sample_weight has shape {weights.shape}; expected {n_samples} finite numbers of at least 0, one for each row, not "
            "all of them 0."
        )
    return weights
