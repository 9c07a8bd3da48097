r"""How surprising the losses of a slice are, exactly, and how small a slice can be and still surprise.

Let the losses :math:`q_1, \dots, q_n` of all rows be given, and let a slice of :math:`m` rows have the sum :math:`t`. *If the
losses do not depend on membership in the slice, then* given ``m`` and the multiset of losses the slice holds ``m`` losses drawn
without replacement, and

* for losses 0 and 1, with ``K`` ones, :math:`P(T \ge t)` is the upper tail of the hypergeometric law (Fisher's exact test);
* for others, :math:`P(T \ge t) \le \min_\lambda e^{-\lambda t} \bigl(\frac1n \sum_i e^{\lambda q_i}\bigr)^m`: the moment
  generating function of draws without replacement is at most that of draws with replacement (Hoeffding 1963, theorem 4). The
  bound falls in ``t``, so it is a p-value; it needs no normal law and no random permutations, however small it is. Here
  :math:`\lambda` is from a fixed grid, which makes it no smaller.

**Small slices.** Given ``n`` and the losses, the p-value of a slice of ``m`` rows is at least :math:`f(m)`, what the ``m``
largest losses would give. So if slices with at least :math:`\sigma` rows are tested, :math:`M(\sigma)` of them, with

.. math:: \sigma = \min \{ s : f(s) \, M(s) \, c(M(s)) \le \text{alpha} \}, \qquad c(M) = \sum_{i \le M} 1 / i,

none is too small to be found alone. :math:`\sigma` depends on which slices have how many rows and on the multiset of losses,
not on which rows have which loss: if losses have nothing to do with the features, choosing the tests by it does no harm
(Tarone 1990). As :math:`f(s) M(s) c(M(s))` falls in ``s``, any part of the slices that is counted already shows some ``s``
to be below :math:`\sigma`, and the search may drop slices of that size, and all below them, at once (Terada et al. 2013).

References
----------
.. [1] Hoeffding, W. (1963). Probability inequalities for sums of bounded random variables. JASA 58(301).
   doi:10.1080/01621459.1963.10500830
.. [2] Tarone, R. E. (1990). A modified Bonferroni method for discrete data. Biometrics 46(2). doi:10.2307/2531456
.. [3] Terada, A., Okada-Hatakeyama, M., Tsuda, K. and Sese, J. (2013). Statistical significance of combinatorial regulations.
   PNAS 110(32). doi:10.1073/pnas.1302233110
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from alignconf._typing import FloatArray

__all__ = ["Population", "hypergeometric_tail", "least_support"]

Counts = NDArray[np.int64]

#: Losses are counted in this many steps from 0 to the largest, unless they are all 0 or 1.
N_LEVELS = 2**16
#: Tilts of the bound for sums, with losses in units of the largest.
TILTS = np.concatenate([[0.0], np.geomspace(1e-3, 1e5, 321)])
BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Population:
    """The multiset of losses of some rows, in whole numbers.

    Parameters
    ----------
    histogram : (n_levels + 1,)
        How many rows have each loss; two numbers where losses are 0 or 1.
    """

    histogram: Counts

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return int(self.histogram.sum())

    @property
    def total(self) -> int:
        """The sum of all losses."""
        return int(self.histogram @ np.arange(self.histogram.size))

    @property
    def is_binary(self) -> bool:
        """Whether losses are 0 or 1."""
        return self.histogram.size == 2

    def p_values(self, n_rows: Counts, losses: Counts) -> FloatArray:
        """Return the p-values of slices with given numbers of rows and sums of losses, (n_slices,)."""
        if self.is_binary:
            return hypergeometric_tail(losses, n_rows, self.total, self.n_rows)
        # A slice at or below the mean surprises nobody, and no tilt is positive for it.
        result = np.ones(len(n_rows))
        above = np.flatnonzero(losses * self.n_rows > n_rows * self.total)
        for start in range(0, above.size, BLOCK):
            some = above[start : start + BLOCK]
            shares = losses[some] / (self.histogram.size - 1)
            exponents = n_rows[some, None] * self._cumulants - shares[:, None] * TILTS
            result[some] = np.minimum(1.0, np.exp(exponents.min(axis=1)))
        return result

    def best_inside(self, n_rows: Counts, losses: Counts, support: int) -> FloatArray:
        """Return the smallest p-value that a slice with at least ``support`` rows can have inside given slices, (n_slices,).

        Parameters
        ----------
        n_rows, losses : (n_slices,)
            Of the given slices, or what they have at most.
        support : int
        """
        fewest = np.maximum(support, -(-losses // (self.histogram.size - 1)))
        return np.where(n_rows >= support, self.p_values(fewest, np.minimum(losses, self.total)), 1.0)

    def least_p_values(self) -> FloatArray:
        """Return the smallest p-value that a slice of at most ``m`` rows can have, for m = 0 to n_rows: (n_rows + 1,)."""
        support = np.arange(self.n_rows + 1, dtype=np.int64)
        values = np.repeat(np.arange(self.histogram.size)[::-1], self.histogram[::-1])
        most = np.append(0, np.cumsum(values)).astype(np.int64)
        if not self.is_binary:
            return np.minimum.accumulate(self.p_values(support, most))
        n, k = self.n_rows, self.total
        reached = np.minimum(support, k)
        logs = gammaln(k + 1) - gammaln(k - reached + 1) - gammaln(n + 1) + gammaln(n - reached + 1)
        return np.asarray(np.exp(np.minimum(logs, 0.0)), dtype=np.float64)

    @property
    def _cumulants(self) -> FloatArray:
        """The logarithm of the mean of ``exp(tilt * loss)``, losses in units of the largest: (n_tilts,)."""
        occurring = np.flatnonzero(self.histogram)
        values, shares = occurring / (self.histogram.size - 1), self.histogram[occurring] / self.n_rows
        tilted = np.array([shares @ np.exp(tilt * (values - values[-1])) for tilt in TILTS])
        cumulants: FloatArray = np.log(tilted) + TILTS * values[-1]
        return cumulants


def hypergeometric_tail(hits: Counts, support: Counts, n_hits: int, n_rows: int) -> FloatArray:
    """Return the probability of at least ``hits`` ones among ``support`` rows drawn without replacement, (n_slices,).

    Parameters
    ----------
    hits, support : (n_slices,)
    n_hits, n_rows : int
        Ones among all rows, and all rows.
    """
    result = np.ones(len(hits))
    lowest = np.maximum(0, support - (n_rows - n_hits))
    upper = (hits > lowest) & (hits * n_rows > support * n_hits)
    result[upper] = _summed(hits[upper], support[upper], n_hits, n_rows, +1)
    lower = (hits > lowest) & ~upper
    result[lower] = 1.0 - _summed(hits[lower] - 1, support[lower], n_hits, n_rows, -1)
    return np.clip(result, 0.0, 1.0)


def least_support(supports: Counts, least: FloatArray, alpha: float, at_least: int) -> int:
    """Return the smallest number of rows with which a slice that is alone in being surprising can be found.

    Parameters
    ----------
    supports : (n_slices,)
        Rows of the slices counted so far.
    least : (n_rows + 1,)
        As :meth:`Population.least_p_values`.
    alpha : float
    at_least : int
        The answer is not below this.
    """
    as_large = np.cumsum(np.bincount(supports, minlength=least.size)[::-1])[::-1]
    harmonic = np.append(0.0, np.cumsum(1.0 / np.arange(1, max(2, as_large[0] + 1))))
    enough = least * as_large * harmonic[as_large] <= alpha
    enough[:at_least] = False
    return int(np.argmax(enough)) if enough.any() else int(least.size)


def _summed(start: Counts, support: Counts, n_hits: int, n_rows: int, step: int) -> FloatArray:
    """Return sums of hypergeometric probabilities from a number of ones on, up or down, away from the mean."""

    def log_choose(n: Counts, k: Counts) -> FloatArray:
        log_ways: FloatArray = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
        return log_ways

    n_misses = n_rows - n_hits
    hits_of = np.full_like(support, n_hits)
    possible = (start >= np.maximum(0, support - n_misses)) & (start <= np.minimum(support, n_hits))
    result = np.zeros(len(start))
    hits, m = start[possible].astype(np.float64), support[possible].astype(np.float64)
    logs = log_choose(hits_of[possible], start[possible])
    logs += log_choose(np.full_like(start[possible], n_misses), support[possible] - start[possible])
    logs -= log_choose(np.full_like(start[possible], n_rows), support[possible])
    sums, term = np.ones(hits.size), np.ones(hits.size)
    active = np.arange(hits.size)
    while active.size:
        x, size = hits[active], m[active]
        if step > 0:
            ratio = (n_hits - x) * (size - x) / ((x + 1) * (n_misses - size + x + 1))
        else:
            ratio = x * (n_misses - size + x) / ((n_hits - x + 1) * (size - x + 1))
        term[active] *= ratio
        sums[active] += term[active]
        hits[active] += step
        active = active[term[active] > 1e-17 * sums[active]]
    result[possible] = np.exp(logs) * sums
    return result
