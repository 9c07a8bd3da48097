r"""From scores to ``lambda_``: conformal risk control, in exact ranks.

Row ``i`` has ``m`` scores :math:`s_{i1}, \dots, s_{im}` and the loss
:math:`L_i(\lambda) = \frac1m \#\{q : \lambda < s_{iq}\}`, the share of its queries that are rejected at half-width
:math:`\lambda`. The loss does not increase in :math:`\lambda` and is at most 1.

**In expectation** (``confidence=None``): the smallest :math:`\lambda` with
:math:`\frac{1}{n+1} (\sum_i L_i(\lambda) + 1) \le \alpha`. As at most
:math:`r = \lfloor m (\alpha (n+1) - 1) \rfloor` scores may lie above, it is the :math:`(r+1)`-th largest of the ``nm``
scores. If the rows and a fresh one are exchangeable, the expected loss of the fresh row is at most :math:`\alpha`.

**With confidence** :math:`1 - \delta` (``m = 1``): :math:`r` is the largest count with
:math:`P(\mathrm{Bin}(n, \alpha) \le r) \le \delta`. If the rows are independent draws of one law, then with that
probability over the calibration rows the violation rate is at most :math:`\alpha`.

Ranks are computed from :math:`\alpha` as the decimal number that was typed, in rational arithmetic: no floating-point
rank, no grid of half-widths.

References
----------
.. [1] Angelopoulos, A. N. et al. (2024). Conformal Risk Control. ICLR 2024. arXiv:2208.02814
.. [2] Angelopoulos, A. N. et al. (2025). Learn then Test. Annals of Applied Statistics 19(2). arXiv:2110.01052
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, comb, floor, inf, isclose, log, log1p, nan

import numpy as np
from scipy.stats import binom

from alignconf._typing import FloatArray
from alignconf._validation import as_fraction
from alignconf.errors import CalibrationError

__all__ = ["Calibration", "allowed_above", "calibrate", "critical_half_width", "rows_needed", "too_few_rows"]


#: Up to this many rows binomial probabilities are compared exactly where floating point cannot tell.
EXACT_ROWS = 10_000


@dataclass(frozen=True)
class Calibration:
    """How ``lambda_`` was found, and what may be said of it.

    Parameters
    ----------
    lambda_ : float
        The half-width, in the unit of the prediction; infinite at full strength (``alpha = 0``).
    alpha, confidence : float, float or None
        The promise asked for.
    loss : str
        What is counted as a violation.
    event : str
        The same in words: what the promise is about.
    n_rows, n_queries : int
        Rows that calibrated, and scores for each.
    n_above : int
        How many of the scores may lie above ``lambda_``: the rank.
    n_reference, n_missing : int
        Rows that gave the reference law, and rows left out because a constrained feature was missing.
    positive_rate : float
        Share of positive scores: what fails without a band, or at full strength. NaN if nothing was calibrated, like
        the next three.
    unrepaired_rate : float
        Share of infinite scores: what no half-width repairs.
    median_score, largest_score : float
        Of the positive finite scores; NaN if there are none.
    repair : str
        How the repaired function is had: on the pieces of the model's own trees, at how many knots and why, ...
    """

    lambda_: float
    alpha: float
    confidence: float | None
    loss: str
    event: str
    n_rows: int
    n_queries: int
    n_above: int
    n_reference: int
    n_missing: int
    positive_rate: float
    unrepaired_rate: float
    median_score: float
    largest_score: float
    repair: str = ""

    @property
    def statement(self) -> str:
        """The guarantee in one sentence, assumption first."""
        if self.alpha == 0:
            return (
                "Full strength: the delivered function is the repaired function itself; nothing was calibrated. What a repair "
                "leaves, for example between two points strictly within the same two knots, certify says."
            )
        if self.confidence is None:
            return (
                f"If the calibration rows and the fresh row, all with the constrained features present, are exchangeable and "
                f"were used neither to fit the model nor as reference, then, averaged over calibration draws, "
                f"the probability that {self.event} is at most {self.alpha:g}."
            )
        return (
            f"If the calibration rows and the fresh row, all with the constrained features present, are independent draws "
            f"of one law and were used neither to fit the model nor as reference, then with probability at least "
            f"{self.confidence:g} over the calibration draw, the probability that {self.event} is at most "
            f"{self.alpha:g}."
        )

    def __str__(self) -> str:
        """Return the statement and the figures behind it."""
        repaired = f"Repaired {self.repair.rstrip('.')}." if self.repair else ""
        if self.alpha == 0:
            return f"{self.statement}\n{repaired}".strip()
        return (
            f"{self.statement}\n"
            f"lambda_ = {self.lambda_:.6g} from {self.n_rows} rows with {self.n_queries} score(s) each, {self.n_above} "
            f"of which may lie above; {self.positive_rate:.2%} were positive, {self.unrepaired_rate:.2%} infinite. "
            f"Reference law from {self.n_reference} rows; {self.n_missing} rows lacked a constrained feature and were left out. "
            f"{repaired}"
        ).strip()


def calibrate(
    scores: FloatArray,
    alpha: float,
    confidence: float | None = None,
    *,
    loss: str = "",
    event: str = "",
    n_reference: int = 0,
    n_missing: int = 0,
    repair: str = "",
) -> Calibration:
    """Return the calibration that scores (n_rows, n_queries) give; the words are kept for the statement.

    Raises
    ------
    CalibrationError
        As :func:`critical_half_width`.
    """
    half_width, above = (inf, 0) if alpha == 0 else critical_half_width(scores, alpha, confidence)
    repaired = scores[(scores > 0) & np.isfinite(scores)]
    return Calibration(
        lambda_=half_width,
        alpha=float(alpha),
        confidence=confidence,
        loss=loss,
        event=event,
        n_rows=scores.shape[0],
        n_queries=scores.shape[1],
        n_above=above,
        n_reference=n_reference,
        n_missing=n_missing,
        repair=repair,
        positive_rate=float((scores > 0).mean()) if scores.size else nan,
        unrepaired_rate=float(np.isinf(scores).mean()) if scores.size else nan,
        median_score=float(np.median(repaired)) if repaired.size else nan,
        largest_score=float(repaired.max()) if repaired.size else nan,
    )


def rows_needed(alpha: float, confidence: float | None) -> int:
    """Return the smallest number of calibration rows that can support a promise: 9, 19, 99 for .1, .05, .01.

    In expectation ``n >= (1 - alpha) / alpha``; with confidence ``(1 - alpha)^n <= 1 - confidence``
    (29, 59, 299 for .1, .05, .01 at .95).
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


def allowed_above(n_rows: int, n_queries: int, alpha: float, confidence: float | None) -> int:
    """Return how many of the ``n_rows * n_queries`` scores may lie above ``lambda_``; negative if none may."""
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
    total = sum(comb(n_rows, k) * p**k * (q - p) ** (n_rows - k) for k in range(count + 1))
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
    n_rows, n_queries = scores.shape
    above = allowed_above(n_rows, n_queries, alpha, confidence)
    if above < 0:
        raise CalibrationError(too_few_rows(n_rows, alpha, confidence))
    largest = scores.size - 1 - above
    half_width = float(np.partition(scores, largest, axis=None)[largest])
    if np.isinf(half_width):
        n_infinite = int(np.isinf(scores).sum())
        raise CalibrationError(
            f"{n_infinite} of {scores.size} calibration queries stay violated at any half-width, {above} may be for "
            f"alpha={alpha:g}: the projection repairs lines at their knots, and these queries fall between two "
            "knots, or several parts that include curvature or unimodality could not be repaired jointly, or the points "
            "of an orbit have other orbits. Raise n_knots or alpha, or declare less."
        )
    return half_width, above


def too_few_rows(n_rows: int, alpha: float, confidence: float | None, *, n_reference: int = 0) -> str:
    """Return the sentence that says how many rows would do, ``n_reference`` of which give the reference law."""
    needed = rows_needed(alpha, confidence)
    promise = f"alpha={alpha:g}" + ("" if confidence is None else f" with confidence={confidence:g}")
    reference = f", and {n_reference} more for the reference law" if n_reference else ""
    return (
        f"{n_rows} rows cannot support {promise}: at least {needed} calibration rows are needed{reference}, without "
        "labels. Give more rows or a larger alpha."
    )
