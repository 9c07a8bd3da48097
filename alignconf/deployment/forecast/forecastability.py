r"""How well the large scores of few queries forecast the largest score of many: the error of the forecast, on a pool.

A pool is cut at random into ``m`` and ``n`` scores. With :math:`x_1 \ge \dots \ge x_k` the largest of the ``m`` and
:math:`y_i = \log(i/m)`, least squares of ``y`` on ``x`` give the line :math:`a x + b`, the forecast and its error

.. math:: Q = -\frac{\log n + b}{a} = \bar x + (\log n + \bar y)\, \frac{\mathrm{var}\, x}{-\mathrm{cov}(x, y)}, \qquad
          \sqrt{\frac{1}{S} \sum_{s=1}^S \left(Q_s - \max_{j \le n} x'_{sj}\right)^2}

over ``S`` cuts, the :math:`x'_s` being the ``n``. Where a law has a rare mode that few of the ``m`` show, the error is large: a
small one says that failures announce themselves. It does not say that they are few.

References
----------
Jones et al. (2025), arXiv:2502.16797 (the forecast). That a model can be trained to lower its error is due to Schwarzer and
Niekum (2026); they give no formula in public, and this one is our reading.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alignconf._typing import FloatArray, RandomState
from alignconf.deployment.forecast.forecasting import check_scores
from alignconf.errors import InputError
from alignconf.tables.checks import check_count
from alignconf.tables.random_streams import generator

__all__ = ["forecastability_error", "largest_forecast"]

#: The stream of random numbers that cuts pools.
CUT = 402


def forecastability_error(
    scores: Any, m: int, n: int, k: int = 10, *, n_splits: int = 20, random_state: RandomState = 0
) -> float:
    r"""Return the root mean squared error with which ``m`` scores of a pool forecast the largest of ``n`` others.

    Parameters
    ----------
    scores : (n_scores,)
        The pool, at least ``m + n`` independent scores: of probabilities, :func:`to_psi` of them; of violations, their sizes.
    m, n : int
        Scores that forecast, and scores whose largest is forecast.
    k : int, default=10
        Scores that the line goes through, from 2 to ``m``.
    n_splits : int, default=20
        Random cuts of the pool into ``m`` and ``n``, each without replacement.
    random_state : int, Generator, RandomState or None

    Returns
    -------
    float
        In the unit of the scores. Where the ``k`` largest are equal, they forecast themselves.

    Raises
    ------
    InputError
        If the pool is too small, or an argument is not what it should be.

    Examples
    --------
    >>> pool = np.random.default_rng(0).exponential(size=22_000)
    >>> common = forecastability_error(pool, 1_000, 20_000)
    >>> pool[:20] = 40  # a rare mode
    >>> common < 5 < forecastability_error(pool, 1_000, 20_000)
    True
    """
    pool = check_scores(scores)
    check_count("n", n, at_least=1)
    check_count("n_splits", n_splits, at_least=1)
    check_count("m", m, at_least=2)
    check_count("k", k, at_least=2, at_most=m)
    if pool.size < m + n:
        raise InputError(f"scores holds {pool.size} numbers, and m={m} and n={n} need {m + n}; give more, or lower n.")
    random = generator(random_state, CUT)
    errors = []
    for _ in range(n_splits):
        cut = random.permutation(pool)[: m + n]
        errors.append(largest_forecast(cut[:m], n, k) - cut[m:].max())
    return float(np.sqrt(np.mean(np.square(errors))))


def largest_forecast(scores: FloatArray, n: float, k: int) -> float:
    """Return ``Q``, the largest of ``n`` further scores as the ``k`` largest of these forecast it."""
    largest = np.sort(scores)[::-1][:k]
    levels = np.log(np.arange(1, k + 1) / scores.size)
    variance = largest.var()
    if variance == 0.0:
        return float(largest[0])
    covariance = float(((largest - largest.mean()) * (levels - levels.mean())).mean())
    return float(largest.mean() + (np.log(n) + levels.mean()) * variance / -covariance)
