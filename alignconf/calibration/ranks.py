r"""Ranks: which of the sorted scores is ``lambda_``, in exact arithmetic.

In expectation :math:`\lfloor m (\alpha (n+1) - 1) \rfloor` of the ``nm`` scores may lie above; with confidence
:math:`1 - \delta` (``m = 1``) the largest :math:`r` with :math:`P(\mathrm{Bin}(n, \alpha) \le r) \le \delta`. The proofs are in
:mod:`alignconf.calibration.claim`. Ranks are computed from :math:`\alpha` as the decimal number that was typed, in rational
arithmetic: no floating-point rank, no grid of half-widths.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil, comb, floor, isclose, log, log1p

import numpy as np
from scipy.stats import binom

from alignconf._typing import FloatArray
from alignconf.errors import CalibrationError
from alignconf.kernels.exact import as_fraction
from alignconf.tables import printed

__all__ = [
    "allowed_above",
    "critical_half_width",
    "critical_of_positive",
    "left_violated",
    "rows_needed",
    "too_few_rows",
]


#: Up to this many rows binomial probabilities are compared exactly where floating point cannot tell.
EXACT_ROWS = 10_000


@lru_cache(maxsize=256)
def rows_needed(alpha: float, confidence: float | None) -> int:
    """Return the smallest number of calibration rows that can support a promise: 9, 19, 99 for .1, .05, .01.

    In expectation ``n >= (1 - alpha) / alpha``; with confidence ``(1 - alpha)^n <= 1 - confidence``
    (29, 59, 299 for .1, .05, .01 at .95).

    Parameters
    ----------
    alpha : float in (0, 1)
    confidence : float in (0, 1), or None
    """
    level = as_fraction(alpha)
    if confidence is None:
        return ceil((1 - level) / level)
    delta = 1 - as_fraction(confidence)
    n_rows = max(1, ceil(log(delta) / log1p(-alpha)))
    if n_rows <= EXACT_ROWS:
        while n_rows > 1 and (1 - level) ** (n_rows - 1) <= delta:
            n_rows -= 1
        while (1 - level) ** n_rows > delta:
            n_rows += 1
    return n_rows


@lru_cache(maxsize=256)
def allowed_above(n_rows: int, n_queries: int, alpha: float, confidence: float | None) -> int:
    """Return how many of the ``n_rows * n_queries`` scores may lie above ``lambda_``; negative if none may.

    Parameters
    ----------
    n_rows, n_queries : int
        With a confidence ``n_queries`` is 1.
    alpha : float in (0, 1)
    confidence : float in (0, 1), or None
    """
    level = as_fraction(alpha)
    if confidence is None:
        return floor(n_queries * (level * (n_rows + 1) - 1))
    delta = 1 - as_fraction(confidence)
    count = int(binom.ppf(float(delta), n_rows, alpha)) + 1
    while count >= 0 and not _binomial_at_most(count, n_rows, level, delta):
        count -= 1
    return count


def _binomial_at_most(count: int, n_rows: int, level: Fraction, delta: Fraction) -> bool:
    """Return whether ``P(Bin(n_rows, level) <= count) <= delta``, in exact arithmetic where floats cannot tell."""
    probability = float(binom.cdf(count, n_rows, float(level)))
    if not isclose(probability, float(delta), rel_tol=1e-9) or n_rows > EXACT_ROWS:
        return probability <= float(delta)
    p, q = level.numerator, level.denominator
    total = sum(comb(n_rows, k) * p**k * (q - p) ** (n_rows - k) for k in range(min(count, n_rows) + 1))
    return bool(total * delta.denominator <= delta.numerator * q**n_rows)


def critical_half_width(scores: FloatArray, alpha: float, confidence: float | None = None) -> tuple[float, int]:
    """Return the half-width ``lambda_`` and the number of scores allowed above it.

    Parameters
    ----------
    scores : (n_rows, n_queries), non-negative, infinite where no half-width helps
    alpha : float in (0, 1)
    confidence : float in (0, 1), optional
        Needs ``n_queries = 1``.

    Raises
    ------
    CalibrationError
        If there are too few rows for ``alpha``, or more infinite scores than it allows.
    """
    # Selection is slow among many equal numbers, and most scores of a model that mostly behaves are zero.
    n_rows, n_queries = scores.shape
    return critical_of_positive(scores[~(scores <= 0)], n_rows, n_queries, alpha, confidence)


def critical_of_positive(
    positive: FloatArray, n_rows: int, n_queries: int, alpha: float, confidence: float | None = None
) -> tuple[float, int]:
    """Return what :func:`critical_half_width` does, from the positive scores alone, (n_positive,), which are reordered.

    Parameters
    ----------
    positive : (n_positive,)
    n_rows, n_queries : int
        How many scores there are, the others being 0.
    alpha, confidence : as for :func:`critical_half_width`
    """
    above = allowed_above(n_rows, n_queries, alpha, confidence)
    if above < 0:
        raise CalibrationError(too_few_rows(n_rows, alpha, confidence))
    largest = positive.size - 1 - above
    if largest >= 0:
        positive.partition(largest)
    half_width = float(positive[largest]) if largest >= 0 else 0.0
    if np.isinf(half_width):
        raise CalibrationError(
            left_violated(int(np.isinf(positive).sum()), n_rows * n_queries, f"{above} may be", alpha)
        )
    return half_width, above


def left_violated(n_infinite: int, n_scores: int, allowed: str, alpha: float) -> str:
    """Return the sentence for more queries that no half-width repairs than a promise allows.

    Parameters
    ----------
    n_infinite, n_scores : int
        How many of how many queries these are.
    allowed : str
        How many may be, in words.
    alpha : float
    """
    return (
        f"{n_infinite} of {n_scores} calibration queries stay violated at any half-width, {allowed} for "
        f"alpha={printed.level(alpha)}. If the rule is about points made from a row, they do not lead back to each other: a "
        "warning names it. If two values lie between the same two of the places looked at, raise n_knots. If rules of different "
        "kinds were declared together, declare fewer. Or raise alpha."
    )


def too_few_rows(n_rows: int, alpha: float, confidence: float | None, *, n_reference: int = 0) -> str:
    """Return the sentence that says how many rows would do, ``n_reference`` of which give the reference law.

    Parameters
    ----------
    n_rows : int
        How many there are.
    alpha, confidence : the promise
    n_reference : int
        0 if the reference law is had from elsewhere.
    """
    needed = rows_needed(alpha, confidence)
    promise = f"alpha={printed.level(alpha)}" + (
        "" if confidence is None else f" with confidence={printed.level(confidence)}"
    )
    reference = f", and {n_reference} more for the reference law" if n_reference else ""
    on_average = rows_needed(alpha, None)
    # The second way out, where the rows that there are suffice for it, or nearly.
    way_out = (
        f" Or pass confidence=None for a promise on average over calibration draws, which needs {on_average}."
        if confidence is not None and on_average < needed
        else ""
    )
    return (
        f"{n_rows} rows cannot support {promise}: at least {needed} calibration rows are needed{reference}, without "
        f"labels. Give more rows or a larger alpha.{way_out}"
    )
