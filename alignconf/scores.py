r"""From queries to scores: the half-width at which the tester stops rejecting.

With :math:`f` the model, :math:`g` its projection and :math:`d = g - f`, the delivered function is
:math:`g_\lambda = f + \mathrm{clip}(d, -\lambda, \lambda)`. For an inequality :math:`\sum_k a_k g(x_k) \le b` let
:math:`v = \sum_k a_k f(x_k) - b` be its excess at :math:`f`. A **score** is the critical half-width of a query, so that
the loss at half-width :math:`\lambda` is :math:`1\{\lambda < s\}`:

* *delivered*: the query is rejected for :math:`g_\lambda` only if :math:`\lambda < s` (:func:`delivered`);
* *existence*: iff no choice of values within :math:`f \pm \lambda` is accepted,
  :math:`s = v_+ / \sum_k |a_k|` (:func:`existence`).

A query is rejected if any of its inequalities is, so its score is their largest. Excesses below the model's rounding
count as none.

References
----------
.. [1] Angelopoulos, A. N. et al. (2024). Conformal Risk Control. ICLR 2024. arXiv:2208.02814
.. [2] Overman, W., Vallon, J. J. and Bayati, M. (2024). Aligning Model Properties via Conformal Risk Control.
   NeurIPS 2024. arXiv:2406.18777
"""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray
from alignconf.queries import LineQueries

__all__ = ["delivered", "excess", "existence"]


def excess(queries: LineQueries, values: FloatArray, rounding: FloatArray) -> FloatArray:
    """Return how far each query is from being accepted, 0 if it is: (n_samples, n_queries).

    Parameters
    ----------
    queries : LineQueries
    values : (n_samples, n_queries, n_points)
        A function at the query points.
    rounding : (n_samples,)
        Excesses up to this are rounding.
    """
    worst = queries.excess(values).max(axis=-1)
    return np.where(worst > rounding[:, None], worst, 0.0)


def existence(queries: LineQueries, f: FloatArray, rounding: FloatArray) -> FloatArray:
    """Return the scores of the published construction, per query: (n_samples, n_queries).

    ``v_+ / sum_k |a_k|`` is the smallest half-width at which *some* values in the band satisfy an inequality. The
    values may differ from query to query, so nothing follows for one function; see :func:`delivered`. Parameters as for
    :func:`excess`.
    """
    coefficients, _ = queries.part.inequalities(queries.places)
    v = queries.excess(f)
    score = np.where(v > rounding[:, None, None], v, 0.0) / np.abs(coefficients).sum(axis=-1)
    largest: FloatArray = score.max(axis=-1)
    return largest


def delivered(queries: LineQueries, f: FloatArray, g: FloatArray, rounding: FloatArray) -> FloatArray:
    r"""Return the half-width from which the delivered function passes each query: (n_samples, n_queries).

    For a pair :math:`a (g(x_1) - g(x_2)) \le b`, :math:`a > 0`, the excess of :math:`g_\lambda` is monotone in
    :math:`\lambda`, because :math:`\mathrm{clip}(d_1) - \mathrm{clip}(d_2)` is. With :math:`v` the excess of ``f``
    divided by ``a`` and :math:`\mu = \min(|d_1|, |d_2|)` it reaches zero at

    .. math:: s = v/2 \; (d_1 d_2 \le 0, v \le 2\mu), \qquad v - \mu \; (d_1 d_2 \le 0, v > 2\mu), \qquad
              v + \mu \; (d_1 d_2 > 0).

    ``s = 0`` if ``f`` and ``g`` pass, and infinite if ``g`` fails, which points strictly between the same two knots can
    (with several features also where ``f`` passes). So the loss is at most :math:`1\{\lambda < s\}`.

    Parameters
    ----------
    queries : LineQueries of pairs
    f, g : (n_samples, n_queries, 2)
    rounding : (n_samples,)
    """
    coefficients, _ = queries.part.inequalities(queries.places)
    slope = coefficients[..., 0]
    size = rounding[:, None, None] / np.abs(slope)
    v = queries.excess(f) / np.abs(slope)
    v_full = queries.excess(g) / np.abs(slope)
    d = g - f
    smaller = np.abs(d).min(axis=-1)[..., None]
    same_sign = (np.sign(d[..., 0]) * np.sign(d[..., 1]) > 0)[..., None]
    apart = np.where(v <= 2 * smaller, v / 2, v - smaller)
    score = np.where(v > size, np.where(same_sign, v + smaller, apart), 0.0)
    largest: FloatArray = np.where(v_full > size, np.inf, score).max(axis=-1)
    return largest
