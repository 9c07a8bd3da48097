r"""Conformal risk control when fresh rows come from another law: likelihood-ratio weights.

Calibration rows are draws of :math:`P`, fresh rows of :math:`Q`, and :math:`w = dQ/dP` is known. With
:math:`L_i(\lambda) = \frac1m \#\{q : \lambda < s_{iq}\}` and :math:`W = \sum_i w(X_i)` the half-width at a fresh row of weight
:math:`w` is

.. math:: \hat\lambda(w) = \inf \Big\{\lambda : \frac{\sum_i w(X_i) L_i(\lambda) + w}{W + w} \le \alpha \Big\},

the smallest score with no more weight above it than the **budget** :math:`\alpha W - (1 - \alpha) w`. It grows with :math:`w`;
where the budget is negative it is infinite.

*Statement* (**per point**): if calibration rows are independent draws of :math:`P`, the fresh row is a draw of :math:`Q`, and
:math:`L(\infty) = 0`, then :math:`E\,L_{n+1}(\hat\lambda(w(X_{n+1}))) \le \alpha`. *Proof*: given the multiset of the ``n +
1`` rows, the fresh one is row ``i`` with probability :math:`w_i / \sum_j w_j` [1]_; with :math:`\lambda' = \inf\{\lambda :
\sum_j w_j L_j(\lambda) / \sum_j w_j \le \alpha\}` over all ``n + 1`` rows, a function of the multiset, :math:`\lambda' \le
\hat\lambda`, and the mean of :math:`L(\lambda')` under these probabilities is at most :math:`\alpha` by definition. **Worst
case**: one half-width for all rows, :math:`\hat\lambda(w_{\max})` with :math:`w \le w_{\max}` almost surely, is at least as
large and so keeps the same promise.

Sums of weights are compared in floating point where that is certain, and as exact rationals where it is not; equal weights give
the rank of :mod:`alignconf.calibration.claim`.

References
----------
.. [1] Tibshirani, R. J., Barber, R. F., Candès, E. J. and Ramdas, A. (2019). Conformal prediction under covariate shift.
   NeurIPS. arXiv:1904.06019
.. [2] Angelopoulos, A. N. et al. (2024). Conformal Risk Control. ICLR 2024. arXiv:2208.02814
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from alignconf._typing import FloatArray
from alignconf.kernels.exact import as_fraction, exact_sum

__all__ = ["WeightedScores", "effective_rows"]


@dataclass(frozen=True)
class WeightedScores:
    """Scores with the weights of their rows, sorted, ready to give a half-width for any fresh weight.

    Parameters
    ----------
    scores : (n_scores,)
        From the largest to the smallest.
    above : (n_scores + 1,)
        ``above[j]``: the weight of the ``j`` largest scores, in units of ``1 / n_queries``.
    weights : (n_scores,)
        Of each score, in the same order.
    n_queries : int
        Scores for each row.
    alpha : float
    """

    scores: FloatArray
    above: FloatArray
    weights: FloatArray
    n_queries: int
    alpha: float

    @classmethod
    def of(cls, scores: FloatArray, weights: FloatArray, alpha: float) -> WeightedScores:
        """Sort scores (n_rows, n_queries) whose rows have the given weights, (n_rows,), non-negative and not all zero.

        Parameters
        ----------
        scores : (n_rows, n_queries), non-negative
        weights : (n_rows,)
        alpha : float in (0, 1)
        """
        n_queries = scores.shape[1]
        order = np.argsort(-scores, axis=None, kind="stable")
        of_scores = np.repeat(weights, n_queries)[order]
        return cls(scores.ravel()[order], np.concatenate([[0.0], np.cumsum(of_scores)]), of_scores, n_queries, alpha)

    @property
    def total(self) -> float:
        """The weight of all rows."""
        return float(self.above[-1]) / self.n_queries

    def half_widths(self, fresh: FloatArray) -> FloatArray:
        """Return the half-width at fresh rows of given weights, both (n_samples,); infinite where nothing is certain."""
        level = float(as_fraction(self.alpha))
        budget = self.n_queries * (level * self.total - (1 - level) * fresh)
        error = 4 * np.finfo(np.float64).eps * (self.above.size * self.above[-1] + self.n_queries * np.abs(fresh))
        count = np.searchsorted(self.above, budget - error, side="right") - 1
        unsure = np.searchsorted(self.above, budget + error, side="right") - 1 > count
        for weight in np.unique(fresh[unsure]):
            count[fresh == weight] = self._exact_count(float(weight), int(count[fresh == weight][0]))
        padded = np.append(self.scores, 0.0)
        return np.where(count < 0, np.inf, padded[np.clip(count, 0, self.scores.size)])

    def _exact_count(self, fresh: float, at_least: int) -> int:
        """Return how many of the largest scores the budget allows, in rational arithmetic, from a count that is certain."""
        level = as_fraction(self.alpha)
        budget = self.n_queries * (level * exact_sum(self.weights) / self.n_queries - (1 - level) * Fraction(fresh))
        if budget < 0:
            return -1
        count = max(at_least, 0)
        spent = exact_sum(self.weights[:count])
        while count < self.scores.size and spent + Fraction(float(self.weights[count])) <= budget:
            spent += Fraction(float(self.weights[count]))
            count += 1
        return count


def effective_rows(weights: FloatArray) -> float:
    r"""Return :math:`(\sum w)^2 / \sum w^2`, the number of equally weighted rows that would carry as much.

    Parameters
    ----------
    weights : (n_rows,), non-negative and not all zero
    """
    return float(weights.sum() ** 2 / (weights**2).sum())
