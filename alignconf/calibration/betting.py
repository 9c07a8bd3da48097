r"""Bounds for the mean of losses in [0, 1], by betting against each candidate mean.

Suppose the mean of losses :math:`L_1, L_2, \dots` were :math:`R`. Whoever stakes a share :math:`\nu_t`, chosen before
:math:`L_t` is seen, on losses below :math:`R` has the capital

.. math:: W_t(R) = \prod_{s \le t} (1 - \nu_s (L_s - R)), \qquad 0 \le \nu_s \le 1,

which stays non-negative and, if :math:`E[L_s \mid \text{past}] = R`, is a martingale that starts at 1. By Ville's
inequality it ever reaches :math:`1/\delta` with probability at most :math:`\delta`: a mean at which it did is refused.
The capital grows with :math:`R`, so what is refused is everything above one number, the **upper bound**. The bets adapt to
the variance of the losses, so the bound is tighter than Hoeffding's wherever losses vary less than coin tosses do.

:func:`upper_bound` is for a sample of fixed size; :class:`BettingSequence` may be looked at after every batch, for ever.

References
----------
.. [1] Waudby-Smith, I. and Ramdas, A. (2024). Estimating means of bounded random variables by betting. Journal of the
   Royal Statistical Society B 86(1). arXiv:2010.09686
.. [2] Ville, J. (1939). Étude critique de la notion de collectif. Gauthier-Villars.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import log, nextafter

import numpy as np
from numpy.typing import ArrayLike

from alignconf._typing import FloatArray
from alignconf.errors import InputError
from alignconf.kernels.exact import as_fraction
from alignconf.tables.checks import check_level, check_number, check_numbers

__all__ = ["BettingSequence", "refuses", "upper_bound"]

#: Losses looked at together; the capital is carried from one block to the next.
BLOCK = 2**16

#: Bounds are found to this width, and then given outwards.
WIDTH = 1e-10

#: A sequence keeps its losses as masses on multiples of 1 / LEVELS, a number with many divisors.
LEVELS = 240

#: Stakes of a sequence, as shares of the largest possible one, and how the first capital is divided among them.
STAKES = 2.0 ** (-np.arange(30) / 2)
SHARES = (np.arange(30) + 3.0) ** -1.5 / ((np.arange(30) + 3.0) ** -1.5).sum()

EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class BettingSequence:
    r"""Bounds for a mean that hold at all times at once, so that one may look, and stop, whenever one likes.

    For a candidate mean :math:`m` the capital mixes constant stakes :math:`\theta_j` with shares :math:`w_j`,

    .. math:: W_t(m) = \sum_j w_j \prod_{s \le t} \left(1 - \theta_j \frac{L_s - m}{1 - m}\right), \qquad 0 < \theta_j \le 1,

    and ``upper_bound`` is the smallest number that this capital has refused so far at level :math:`\delta / 2`,
    :math:`\delta = 1 - \text{confidence}`; ``lower_bound`` is the same for :math:`1 - L`.

    **Guarantee.** If every loss lies in [0, 1] and has, given the losses before it, the mean :math:`\mu`, then with
    probability at least ``confidence`` ``lower_bound <= mu <= upper_bound`` after every update, however many there are and
    whatever decides to stop. Each side alone holds with probability ``(1 + confidence) / 2``.

    *Proof.* The stakes are constants, so each product, hence their mixture, is a non-negative martingale at
    :math:`m = \mu`, and exceeds :math:`2/\delta` ever with probability at most :math:`\delta/2` (Ville). Each factor grows with
    :math:`m`, so :math:`\mu` lies below every refused :math:`m` unless that happened. ∎

    The state does not grow: :math:`\log(1 - \theta (L - m)/(1 - m))` is concave in :math:`L`, so a loss between two levels
    :math:`k/240` may be divided among them, in proportion, without increasing the logarithm of any product. Losses 0 and 1,
    and shares of up to 6, 8, 10, 12, ... queries, are levels: for these nothing is lost.

    Parameters
    ----------
    confidence : float in (0, 1)
    n : int
        Losses seen.
    total : float
        Their sum.
    lower_bound, upper_bound : float in [0, 1]
        The bounds so far; they only ever approach each other.
    masses : tuple of 241 floats
        How much of the losses lies at each level.

    Notes
    -----
    An update costs time proportional to its losses, and a few milliseconds where a bound moves.
    """

    confidence: float
    n: int = 0
    total: float = 0.0
    lower_bound: float = 0.0
    upper_bound: float = 1.0
    masses: tuple[float, ...] = field(default=(0.0,) * (LEVELS + 1), repr=False)

    def __post_init__(self) -> None:
        check_level("confidence", self.confidence)

    @property
    def mean(self) -> float:
        """The mean of the losses seen; NaN before the first."""
        return self.total / self.n if self.n else float("nan")

    def update(self, losses: ArrayLike) -> BettingSequence:
        """Return the sequence after more losses, (n,) in [0, 1]; the sequence itself stays as it was.

        Raises
        ------
        InputError
            If a loss is not a number in [0, 1].
        """
        new = _checked(losses)
        masses = np.array(self.masses) + _on_levels(new)
        threshold = -log(float(1 - as_fraction(self.confidence)) / 2)
        below = _mixture_bound(masses[::-1], threshold, 1.0 - self.lower_bound)
        return replace(
            self,
            n=self.n + new.size,
            total=self.total + float(new.sum()),
            lower_bound=max(self.lower_bound, nextafter(1.0 - below, 0.0)),
            upper_bound=_mixture_bound(masses, threshold, self.upper_bound),
            masses=tuple(masses.tolist()),
        )


def upper_bound(losses: ArrayLike, confidence: float) -> float:
    r"""Return an upper bound for the mean of losses in [0, 1], from a sample of fixed size.

    With :math:`\delta = 1 - \text{confidence}`, :math:`\hat\mu_t = (\frac12 + \sum_{s \le t} L_s) / (t + 1)` and
    :math:`\hat\sigma^2_t = (\frac14 + \sum_{s \le t} (L_s - \hat\mu_s)^2) / (t + 1)` the bets are

    .. math:: \nu_t = \min\left(1, \sqrt{2 \log(1/\delta) / (n \hat\sigma^2_{t-1})}\right), \qquad
              \text{bound} = \inf \{R : \max_{t \le n} W_t(R) \ge 1/\delta\},

    1 if there is no such :math:`R`. The maximum is over the one whole process :math:`W_t`.

    **Guarantee.** If the losses lie in [0, 1] and each has, given those before it, the mean :math:`\mu` (independent draws of
    one law do), then :math:`P(\mu \le \text{bound}) \ge \text{confidence}`.

    *Proof.* :math:`\nu_t` depends on losses before :math:`t` only, and :math:`1 - \nu_t (L_t - R) \ge 0` as :math:`R \ge 0`. So
    :math:`W_t(\mu)` is a non-negative martingale, and :math:`P(\max_t W_t(\mu) \ge 1/\delta) \le \delta`. Otherwise :math:`\mu`
    is below every refused :math:`R`, because :math:`W_t` does not decrease in :math:`R`. ∎

    In floats: the bets are computed from earlier losses only, whatever their rounding; the returned number is one at which the
    capital, lowered by a bound on the rounding of its sum, is at least :math:`1/\delta`.

    Parameters
    ----------
    losses : (n,) in [0, 1], in an order that does not depend on their values
    confidence : float in (0, 1)

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    InputError
        If there are no losses, or one is not a number in [0, 1].

    Notes
    -----
    Cost: about thirty passes over the losses, in blocks; a million take about a second.

    Examples
    --------
    >>> round(upper_bound([0.0] * 100, 0.95), 3)
    0.031
    """
    sample, bets, threshold = _staked(losses, confidence)
    if not _refused(sample, bets, 1.0, threshold):
        return 1.0
    low, high = 0.0, 1.0
    while high - low > WIDTH:
        middle = (low + high) / 2
        low, high = (low, middle) if _refused(sample, bets, middle, threshold) else (middle, high)
    return high


def refuses(losses: ArrayLike, candidate: float, confidence: float) -> bool:
    """Return whether a sample refuses all means from ``candidate`` on: ``upper_bound <= candidate``, in one pass.

    If the mean is ``candidate`` or more, this happens with probability at most ``1 - confidence``. Parameters, assumption and
    errors as for :func:`upper_bound`; ``candidate`` is a number that is not negative.
    """
    mean = check_number("candidate", candidate, at_least=0.0)
    sample, bets, threshold = _staked(losses, confidence)
    return _refused(sample, bets, mean, threshold)


def _staked(losses: ArrayLike, confidence: float) -> tuple[FloatArray, FloatArray, float]:
    """Return checked losses, the bets on them and the logarithm of the capital that refuses."""
    sample = _checked(losses)
    if sample.size == 0:
        raise InputError("losses are empty; expected at least one loss in [0, 1] to bound their mean.")
    threshold = -log(float(1 - as_fraction(check_level("confidence", confidence))))
    return sample, _predictable_bets(sample, threshold), threshold


def _checked(losses: ArrayLike) -> FloatArray:
    """Return losses as (n,) floats; refuse what is not in [0, 1], naming the worst."""
    sample = check_numbers("losses", losses)
    if sample.ndim != 1:
        raise InputError(f"losses have shape {sample.shape}; expected one number for each row, shape (n_rows,).")
    outside = ~((sample >= 0) & (sample <= 1))
    if outside.any():
        distance = np.where(outside, np.nan_to_num(np.abs(sample - 0.5), nan=np.inf), -1.0)
        worst = int(np.argmax(distance))
        raise InputError(
            f"losses must lie in [0, 1], got {sample[worst]} in row {worst} ({int(outside.sum())} of {sample.size} do not); "
            "divide them by their bound."
        )
    return sample


def _predictable_bets(losses: FloatArray, threshold: float) -> FloatArray:
    """Return the bets ``nu_t``, (n,), each from the losses before it."""
    count = np.arange(2.0, losses.size + 2)
    mean = (0.5 + np.cumsum(losses)) / count
    variance = (0.25 + np.cumsum((losses - mean) ** 2)) / count
    before = np.concatenate([[0.25], variance[:-1]])
    bets: FloatArray = np.minimum(1.0, np.sqrt(2 * threshold / (losses.size * before)))
    return bets


def _refused(losses: FloatArray, bets: FloatArray, candidate: float, threshold: float) -> bool:
    """Return whether the capital at a candidate mean ever reached the threshold for certain, rounding included."""
    capital, size, conditioning = 0.0, 0.0, 0.0
    for start in range(0, losses.size, BLOCK):
        block = slice(start, start + BLOCK)
        gain = bets[block] * (candidate - losses[block])
        with np.errstate(divide="ignore"):
            terms = np.log1p(gain)
        if np.isneginf(terms).any():
            # All capital is lost there, for good: only what came before counts.
            lost = int(np.argmax(np.isneginf(terms)))
            gain, terms = gain[:lost], terms[:lost]
        if terms.size:
            size += float(np.abs(terms).sum())
            conditioning += float((np.abs(gain) / (1 + gain)).sum())
            path = capital + np.cumsum(terms)
            slack = EPSILON * ((start + BLOCK) * size + 4 * conditioning + 4 * threshold)
            if path.max() - slack >= threshold:
                return True
            capital = float(path[-1])
        if terms.size < losses[block].size:
            return False
    return False


def _on_levels(losses: FloatArray) -> FloatArray:
    """Return the mass of losses on the levels, each loss divided among its two neighbours: (LEVELS + 1,)."""
    scaled = losses * LEVELS
    nearest = np.rint(scaled)
    scaled = np.where(np.abs(scaled - nearest) <= 4 * EPSILON * nearest, nearest, scaled)
    lower = np.minimum(np.floor(scaled).astype(np.intp), LEVELS - 1)
    upper_share = scaled - lower
    masses = np.bincount(lower, weights=1 - upper_share, minlength=LEVELS + 1).astype(np.float64)
    masses[1:] += np.bincount(lower, weights=upper_share, minlength=LEVELS)
    return masses


def _mixture_bound(masses: FloatArray, threshold: float, bound: float) -> float:
    """Return the smallest mean that the mixed capital refuses, or the earlier bound if that is smaller."""
    levels = np.flatnonzero(masses)
    mass, value = masses[levels], levels / LEVELS

    def refused(candidate: float) -> bool:
        with np.errstate(divide="ignore"):
            terms = np.log1p(-STAKES[:, None] * (value - candidate) / (1 - candidate))
        products = np.where(np.isneginf(terms), -1e300, terms) * mass
        # Rounding of the masses, of the terms where they are badly conditioned, and of the sum.
        slack = 1e-13 * (np.abs(products).sum(axis=1) + (np.expm1(np.abs(terms)).clip(max=1e6) * mass).sum(axis=1))
        logs = np.log(SHARES) + products.sum(axis=1) - slack
        return bool(np.logaddexp.reduce(logs) >= threshold + 1e-12)

    if not refused(min(bound, 1.0 - 2.0**-40)):
        return bound
    low, high = 0.0, min(bound, 1.0 - 2.0**-40)
    while high - low > WIDTH:
        middle = (low + high) / 2
        low, high = (low, middle) if refused(middle) else (middle, high)
    return high
