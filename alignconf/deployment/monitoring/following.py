r"""A half-width that follows a stream of scores: recalibrated on the last rows, or steered by what was violated.

**Window.** ``lambda_`` is found, in the exact ranks of :mod:`alignconf.calibration.claim`, from the scores of the last ``n``
rows.
*If these and the next row are exchangeable* (the law did not change within the window), its guarantee is the usual one.

**Steered.** With :math:`T_b` rows in batch ``b``, all delivered at :math:`\lambda_b`,

.. math:: \lambda_{b+1} = \lambda_b + \eta \sum_{t \in b} (1\{s_t > \lambda_b\} - \alpha).

*For any sequence of scores in* :math:`[0, \lambda_{max}]`, *chosen by an opponent even*: summing, the mean of the indicators
over all :math:`T` rows differs from :math:`\alpha` by :math:`(\lambda_{end} - \lambda_{start}) / (\eta T)`, and as no step
begins above :math:`\lambda_{max}` upwards or below 0 downwards, by at most :math:`(\lambda_{max} + \eta B) / (\eta T)` with
``B`` the largest batch [1]_. Nothing is said of any single row, or of short stretches.

References
----------
.. [1] Gibbs, I. and Candes, E. (2021). Adaptive Conformal Inference Under Distribution Shift. NeurIPS. arXiv:2106.00170
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.stats import beta

from alignconf._typing import FloatArray
from alignconf.calibration.ranks import critical_half_width
from alignconf.certify.violation_rate import ViolationRate
from alignconf.deployment.monitoring.drift import check_scores
from alignconf.errors import InputError
from alignconf.tables.checks import check_level, check_number

__all__ = ["RollingCalibration", "SteeredHalfWidth"]


@dataclass(frozen=True, eq=False)
class RollingCalibration:
    """The scores of the last rows of a stream, and the half-width that they support.

    Parameters
    ----------
    alpha, confidence : float, float or None
        The promise, as for calibration.
    size : int
        Rows that are kept.
    scores : (n_rows,)
        Critical half-widths, the oldest first; one for each row.

    Examples
    --------
    >>> RollingCalibration(0.1, None, 19).update(np.arange(100.0)).lambda_
    98.0
    """

    alpha: float
    confidence: float | None
    size: int
    scores: FloatArray = field(default_factory=lambda: np.empty(0))

    @property
    def n_rows(self) -> int:
        """Rows in the window."""
        return int(self.scores.size)

    @property
    def lambda_(self) -> float:
        """The half-width that the window supports.

        Raises
        ------
        CalibrationError
            If it has too few rows for the promise, or too many infinite scores.
        """
        return critical_half_width(self.scores[:, None], self.alpha, self.confidence)[0]

    def update(self, scores: Any) -> RollingCalibration:
        """Return the window after more rows, (n_rows,) scores."""
        return replace(self, scores=np.concatenate([self.scores, check_scores(scores)])[-self.size :])

    def violations(self, half_width: float, *, confidence: float = 0.95) -> ViolationRate:
        """Return how many rows of the window are violated at a half-width that was fixed without them."""
        return ViolationRate(int((self.scores > half_width).sum()), self.n_rows, confidence)

    def exceeds(self, half_width: float, *, confidence: float = 0.95) -> bool:
        """Return whether the lower Clopper-Pearson bound of the violation rate at a half-width is above ``alpha``.

        *If the rows of the window are independent draws of one law, the half-width was fixed without them, and the
        violation rate is at most* ``alpha``, *this is true with probability at most* ``1 - confidence`` *at one look
        whose time was fixed beforehand.* Looked at again and again it will be true some day without any reason; for an
        alarm that may be, see :class:`alignconf.deployment.monitoring.drift.RateTest`.
        """
        violated = int((self.scores > half_width).sum())
        if violated == 0:
            return False
        return float(beta.ppf(1 - confidence, violated, self.n_rows - violated + 1)) > self.alpha


@dataclass(frozen=True)
class SteeredHalfWidth:
    """A half-width that rises after violations and sinks otherwise: over a long stream at most about ``alpha`` is violated.

    Parameters
    ----------
    start : float
        The first half-width, in ``[0, lambda_max]``.
    alpha : float in (0, 1)
    step : float
        ``eta``, in the unit of the prediction for each row. Large steps follow fast and swing widely.
    lambda_max : float
        Scores above it, infinite ones too, are steered by as if they were ``lambda_max``; see ``n_beyond``.
    moved : float
        How far it has come since.
    n_rows, n_violated : int
        So far; violated at the half-width that was delivered.
    n_beyond : int
        Violated although :attr:`value` was ``lambda_max`` or more: the bound cannot account for them.
    largest_batch : int

    Examples
    --------
    >>> steered = SteeredHalfWidth(1.0, alpha=0.1, step=0.5, lambda_max=4.0).update([2.0, 0.0])
    >>> round(steered.lambda_, 3), steered.rate
    (1.4, 0.5)
    """

    start: float
    alpha: float
    step: float
    lambda_max: float
    moved: float = 0.0
    n_rows: int = 0
    n_violated: int = 0
    n_beyond: int = 0
    largest_batch: int = 0

    def __post_init__(self) -> None:
        check_level("alpha", self.alpha)
        check_number("step", self.step, above=0)
        check_number("lambda_max", self.lambda_max, above=0)
        if check_number("start", self.start, at_least=0) > self.lambda_max:
            raise InputError(
                f"start={self.start:g} is above lambda_max={self.lambda_max:g}; give the largest half-width that may ever "
                "be delivered as lambda_max."
            )

    @property
    def value(self) -> float:
        """The steered half-width, which may be below 0 and is then delivered as 0; see :attr:`lambda_`."""
        return self.start + self.moved

    @property
    def lambda_(self) -> float:
        """The half-width to deliver next."""
        return max(0.0, self.value)

    @property
    def rate(self) -> float:
        """The share of rows violated so far; NaN before the first."""
        return self.n_violated / self.n_rows if self.n_rows else np.nan

    @property
    def bound(self) -> float:
        """The limit that :attr:`rate` cannot exceed, whatever the scores were and will be; infinite before the first row.

        ``alpha + (lambda_max + step * largest_batch) / (step * n_rows) + n_beyond / n_rows``. Where ``value`` was below 0
        it was delivered as 0, which can only lower the rate, so there is no such bound from below.
        """
        if not self.n_rows:
            return np.inf
        slack = (self.lambda_max + self.step * self.largest_batch) / (self.step * self.n_rows)
        return self.alpha + slack + self.n_beyond / self.n_rows

    def update(self, scores: Any) -> SteeredHalfWidth:
        """Return the half-width after a batch of rows, (n_rows,), all of which were delivered at this half-width.

        Raises
        ------
        InputError
            If a score is negative or missing.
        """
        scores = check_scores(scores)
        above = np.minimum(scores, self.lambda_max) > self.value
        violated = scores > self.lambda_
        return replace(
            self,
            moved=self.moved + self.step * (int(above.sum()) - self.alpha * scores.size),
            n_rows=self.n_rows + scores.size,
            n_violated=self.n_violated + int(violated.sum()),
            n_beyond=self.n_beyond + int((violated & ~above).sum()),
            largest_batch=max(self.largest_batch, scores.size),
        )
