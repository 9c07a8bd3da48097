r"""What a line through the ``k`` largest scores gets wrong on a perfectly exponential tail, exactly.

Let :math:`x_1 > \dots > x_k` be the largest of ``m`` scores of an Exp(1) law and ``y_i`` the levels at which they are plotted.
Least squares of ``y`` on ``x`` forecasts the size exceeded once in ``n`` rows as

.. math:: Q = \bar x + (\log n + \bar y) / (-a), \qquad a = \mathrm{cov}(x, y) / \mathrm{var}(x).

*Derivation.* By Renyi's representation :math:`x_i = x_{k+1} + W_i` with :math:`W_i = \sum_{j=i}^k E_j / j`, the :math:`E_j`
independent Exp(1) and independent of :math:`x_{k+1}`. So :math:`E \bar x = [\psi(m+1) - \psi(k+1)] + 1`, and ``a`` depends on
``E`` alone. Hence

.. math:: E Q - \log n = \psi(m+1) - \psi(k+1) + 1 - \log n + c_k (\log n + \bar y), \qquad
          c_k = E\left[\frac{\mathrm{var}\, W}{-\mathrm{cov}(W, y)}\right].

The ratio is that of a quadratic form :math:`E^T Q E` and a linear one :math:`l^T E` in independent exponentials, and
:math:`1/L = \int_0^\infty e^{-sL} ds` leaves one integral, with :math:`d_j = 1/(1 + s\, l_j)`:

.. math:: c_k = \int_0^\infty \prod_j d_j \Big[\sum_{a,b} Q_{ab} d_a d_b + \sum_a Q_{aa} d_a^2\Big] ds. \qquad ∎

Two parts: *attenuation*, what is left at unbiased levels :math:`y_i = \psi(i) - \psi(m+1)` (``x`` is noisy, which flattens the
line), and *plotting positions*, what the levels :math:`\log(i/m)` add. Regressing ``x`` on unbiased levels
instead has no bias at all, as :math:`E x_i = -y_i`. For another law the curvature of its log survival function comes on top;
where a mode of weight ``w`` was not met, which has probability :math:`(1-w)^m`, so does all of that mode.

References
----------
Renyi (1953), doi:10.1007/BF02127580.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import quad
from scipy.special import digamma

from alignconf._typing import FloatArray
from alignconf.tables.checks import check_count, check_level, check_number

__all__ = ["ExtrapolationBias", "chance_of_missing", "extrapolation_bias", "visible_weight"]


@dataclass(frozen=True)
class ExtrapolationBias:
    """The bias of a forecast size on an exponential tail of rate 1, in e-folds of the rate: positive is over-prediction.

    Parameters
    ----------
    total : float
    attenuation : float
        What is left at unbiased levels.
    plotting_positions : float
        What the levels ``log(i / m)`` add.
    """

    total: float
    attenuation: float
    plotting_positions: float


def extrapolation_bias(n_scores: int, n_rows: float, n_largest: int = 10) -> ExtrapolationBias:
    """Return the exact mean error of the published forecast on an exponential tail.

    Parameters
    ----------
    n_scores : int
        ``m``, more than ``n_largest``.
    n_rows : float
        ``n``.
    n_largest : int, default=10
        ``k``, at least 3.

    Examples
    --------
    >>> bias = extrapolation_bias(1000, 1e5)
    >>> round(bias.total, 2), round(bias.attenuation, 2)
    (2.1, 0.52)
    """
    check_count("n_largest", n_largest, at_least=3)
    check_count("n_scores", n_scores, at_least=n_largest + 1)
    n_rows = check_number("n_rows", n_rows, at_least=1.0)
    ranks = np.arange(1, n_largest + 1)
    total = _bias(n_scores, n_rows, np.log(ranks / n_scores))
    attenuation = _bias(n_scores, n_rows, digamma(ranks) - digamma(n_scores + 1))
    return ExtrapolationBias(total, attenuation, total - attenuation)


def chance_of_missing(weight: float, n_scores: int) -> float:
    """Return the probability that a mode is missed by independent scores: ``(1 - weight)**n_scores``."""
    weight = check_level("weight", weight)
    check_count("n_scores", n_scores, at_least=1)
    return float(np.exp(n_scores * np.log1p(-weight)))


def visible_weight(n_scores: int, confidence: float = 0.95) -> float:
    """Return the weight from which a mode is met with a probability: ``1 - (1 - confidence)**(1 / n_scores)``, near ``3 / n``."""
    confidence = check_level("confidence", confidence)
    check_count("n_scores", n_scores, at_least=1)
    return float(-np.expm1(np.log1p(-confidence) / n_scores))


def _bias(n_scores: int, n_rows: float, levels: FloatArray) -> float:
    k = levels.size
    centre = digamma(n_scores + 1) - digamma(k + 1) + 1 - np.log(n_rows)
    return float(centre + _slope_constant(levels) * (np.log(n_rows) + levels.mean()))


def _slope_constant(levels: FloatArray) -> float:
    """Return ``c_k``, the mean of var(W) / -cov(W, y), by the integral above."""
    k = levels.size
    # W = spacings @ E; rounding makes the weight of the smallest score, exactly 0, a little negative.
    spacings = np.triu(np.ones((k, k))) / np.arange(1, k + 1)
    linear = np.maximum(-((levels - levels.mean()) @ spacings) / k, 0.0)
    quadratic = spacings.T @ (np.eye(k) - 1 / k) @ spacings / k

    def integrand(s: float) -> float:
        factors = 1 / (1 + s * linear)
        return float(factors.prod() * (factors @ quadratic @ factors + (np.diag(quadratic) * factors**2).sum()))

    return float(quad(integrand, 0, np.inf, limit=400)[0])
