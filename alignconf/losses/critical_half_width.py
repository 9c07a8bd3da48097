r"""From queries to scores: the half-width at which the tester stops rejecting.

With :math:`f` the model, :math:`g` its projection and :math:`d = g - f`, the delivered function is
:math:`g_\lambda = f + \mathrm{clip}(d, -\lambda, \lambda)`. For an inequality :math:`\sum_k a_k g(x_k) \le b` let
:math:`v = \sum_k a_k f(x_k) - b` be its excess at :math:`f`. A **score** is the critical half-width of a query, so that
the loss at half-width :math:`\lambda` is :math:`1\{\lambda < s\}`:

* *delivered*: the query is rejected for :math:`g_\lambda` only if :math:`\lambda < s` (:func:`delivered`);
* *existence*: no choice of values within :math:`f \pm \lambda` is accepted iff :math:`\lambda < s`,
  :math:`s = v_+ / \sum_k |a_k|` (:func:`existence`).

A query fails if any of its demands does, so its score is their largest; a demand with alternatives fails if all of them
do. Excesses below the model's rounding count as none.

In a scaled band (:mod:`alignconf.projectors.band`) the half-width at a point is :math:`\lambda s_k`. In units of the scale
the path is an unscaled one with coefficients :math:`a_k s_k` and displacements :math:`d_k / s_k`, which the last rejection
is computed from; existence divides by :math:`\sum_k |a_k| s_k`, each point's scale being that of the side that lowers the
excess.

References
----------
.. [1] Angelopoulos, A. N. et al. (2024). Conformal Risk Control. ICLR 2024. arXiv:2208.02814
.. [2] Overman, W., Vallon, J. J. and Bayati, M. (2024). Aligning Model Properties via Conformal Risk Control.
   NeurIPS 2024. arXiv:2406.18777
"""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray
from alignconf.kernels.sums import inner, total
from alignconf.projectors.alignment import Answers
from alignconf.queries.excess import negligible

__all__ = ["delivered", "existence", "last_rejection", "last_rejection_on", "pair_score"]


def existence(answers: Answers) -> FloatArray:
    """Return the scores of the published construction, per query: (n_samples, n_queries).

    ``v_+ / sum_k |a_k| s_k`` is the smallest half-width at which *some* values in the band satisfy an inequality. The
    values may differ from query to query, so nothing follows for one function; see :func:`delivered`.
    """
    queries = answers.queries
    coefficients, _ = queries.demands
    v = queries.excess(answers.f)
    if answers.scale.is_plain:
        length = total(np.abs(coefficients))
    else:
        sigma = None if answers.sigma is None else queries.gathered(answers.sigma)
        length = inner(np.abs(coefficients), answers.scale.towards(-coefficients, sigma))
    score = np.where(v > negligible(queries, answers.rounding, answers.f), v, 0.0) / np.where(length > 0, length, 1.0)
    largest: FloatArray = score.min(axis=-1).max(axis=-1)
    return largest


def delivered(answers: Answers) -> FloatArray:
    r"""Return the half-width beyond which the delivered function passes each query: (n_samples, n_queries).

    For a pair in an unscaled band it has a closed form (:func:`pair_score`). In general the loss need not be monotone in
    :math:`\lambda`, and the score is the *last* rejection along the path, :math:`\sup \{\lambda : \text{the query is
    rejected for } g_\lambda\}`; then :math:`1\{\lambda < s\}` is at least the loss, for every :math:`\lambda`. ``s = 0`` if
    the path is never rejected, and infinite if even ``g`` is, which points strictly between two knots can be. For an opaque
    property see :func:`last_rejection_on`.
    """
    if answers.moves is not None:
        return answers.moves.last_rejection(answers.queries)
    queries, f, g = answers.queries, answers.f, answers.g
    if queries.is_opaque:
        return last_rejection_on(answers)
    coefficients, _ = queries.demands
    size = negligible(queries, answers.rounding, f, g)
    v, v_full = queries.excess(f), queries.excess(g)
    d = queries.gathered(g - f)
    is_pair = d.shape[-1] == 2 and coefficients.shape[-2] == 1 and not coefficients.sum(axis=-1).any()
    if not answers.scale.is_plain:
        scale = queries.gathered(answers.scale.towards(g - f, answers.sigma))
        score = last_rejection(coefficients * scale, v, v_full, d / scale, size)
    elif is_pair:
        score = pair_score(coefficients[..., 0], v, v_full, d, size)[..., 0]
    else:
        score = last_rejection(coefficients, v, v_full, d, size)
    largest: FloatArray = score.max(axis=-1)
    return largest


def pair_score(slope: FloatArray, v: FloatArray, v_full: FloatArray, d: FloatArray, size: FloatArray) -> FloatArray:
    r"""Return the critical half-width of pair inequalities :math:`a (g(x_1) - g(x_2)) \le b`, of the shape of ``v``.

    The excess of :math:`g_\lambda` is monotone in :math:`\lambda`, because :math:`\mathrm{clip}(d_1) -
    \mathrm{clip}(d_2)` is. With :math:`v` the excess of ``f`` divided by :math:`|a|` and
    :math:`\mu = \min(|d_1|, |d_2|)` it reaches zero at

    .. math:: s = v/2 \; (d_1 d_2 \le 0, v \le 2\mu), \qquad v - \mu \; (d_1 d_2 \le 0, v > 2\mu), \qquad
              v + \mu \; (d_1 d_2 > 0).
    """
    scale = np.abs(slope)
    v, v_full, size = v / scale, v_full / scale, size / scale
    smaller = np.abs(d).min(axis=-1)
    apart = np.where(v <= 2 * smaller, v / 2, v - smaller)
    same_sign = np.sign(d[..., 0]) * np.sign(d[..., 1]) > 0
    score = np.where(v > size, np.where(same_sign, v + smaller, apart), 0.0)
    return np.where(v_full > size, np.inf, score)


def last_rejection(
    coefficients: FloatArray, v: FloatArray, v_full: FloatArray, d: FloatArray, size: FloatArray
) -> FloatArray:
    r"""Return the last half-width at which a demand fails along the clip path, (..., n_demands).

    The excess of an alternative, :math:`V(\lambda) = v + \sum_k a_k \mathrm{clip}(d_k, -\lambda, \lambda)`, is linear
    between neighbouring values of :math:`|d_k|`, and a demand fails where all its alternatives are positive. On each of
    these pieces the alternatives are positive on intervals; the last point of their intersection is exact.

    Parameters
    ----------
    coefficients : (..., n_demands, n_alternatives, n_points)
    v, v_full : (..., n_demands, n_alternatives)
        Excess of ``f`` and of ``g``.
    d : broadcastable to the coefficients
        ``g - f`` at the points.
    size : broadcastable to ``v``
        Excesses up to this are rounding.
    """
    ends = np.sort(np.abs(d), axis=-1)
    score = np.zeros(v.shape[:-1])
    start, at_start = np.zeros_like(ends[..., 0]), v
    for piece in range(ends.shape[-1]):
        end = ends[..., piece]
        at_end = v + inner(coefficients, np.clip(d, -end[..., None], end[..., None]))
        with np.errstate(divide="ignore", invalid="ignore"):
            root = start + (end - start) * np.clip(at_start / (at_start - at_end), 0.0, 1.0)
        first = np.where(at_start > size, start, np.where(at_end > size, root, np.inf)).max(axis=-1)
        last = np.where(at_end > size, end, np.where(at_start > size, root, -np.inf)).min(axis=-1)
        score = np.where(last > first, last, score)
        start, at_start = end, at_end
    return np.where(np.all(v_full > size, axis=-1), np.inf, score)


def last_rejection_on(answers: Answers) -> FloatArray:
    r"""Return the scores of an opaque property, (n_samples, n_queries), on a fixed list of half-widths.

    With half-widths :math:`0 = h_0 < h_1 < \dots < h_H` the score is the one after the last at which the query is rejected
    along the clip path, 0 if there is none and infinite if it is the last one. If :math:`\lambda` is chosen from the list
    too, :math:`1\{\lambda < s\}` is at least the loss there, whatever happens in between.
    """
    queries = answers.queries
    score = np.zeros(answers.f.shape[:2])
    following = [*queries.levels, np.inf]
    for half_width, beyond in zip([0.0, *queries.levels], following, strict=True):
        score[~queries.accepted(answers.delivered(half_width))] = beyond
    return score
