"""What chance leaves to one calibration: how many fresh rows fail their query, from both sides."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

from scipy.stats import betabinom, binom

__all__ = ["check_rate", "rejections"]


def rejections(
    n_fresh: int, n_rows: int, alpha: float, confidence: float | None = None, false_alarm: float = 1e-4
) -> tuple[int, int]:
    """Return between which counts the rejections among fresh rows lie, one query each, after one calibration.

    With ``r`` scores of ``n_rows`` allowed above the half-width, and no ties there, the violation rate given the calibration
    rows is Beta(r + 1, n_rows - r), so the count among fresh rows is beta-binomial. It lies outside with probability
    ``false_alarm``, half of it on either side.
    """
    if confidence is None:
        above = floor(Fraction(str(alpha)) * (n_rows + 1)) - 1
    else:
        above = int(binom.ppf(1 - confidence, n_rows, alpha))
        above -= int(binom.cdf(above, n_rows, alpha) > 1 - confidence)
    law = betabinom(n_fresh, above + 1, n_rows - above)
    return int(law.ppf(false_alarm / 2)), int(law.isf(false_alarm / 2))


def check_rate(aligned: Any, fresh: Any, n_rows: int, alpha: float, confidence: float | None = None) -> Any:
    """Assert that a function calibrated with one query a row fails neither more nor fewer fresh queries than chance explains.

    The check bites: at twice its half-width, as its own scores of these rows say, the function would fail it. Returns the
    certificate of the rows.
    """
    low, high = rejections(len(fresh), n_rows, alpha, confidence)
    certificate = aligned.certify(fresh)
    assert low <= certificate.n_rejected <= high
    assert (aligned.critical_half_widths(fresh) > 2 * aligned.lambda_).sum() < low
    return certificate
