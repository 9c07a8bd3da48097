r"""Drawing several different places at once: independent draws, given that they all differ.

Let places :math:`1, \dots, m` have masses :math:`w_1, \dots, w_m`. Draw ``k`` of them independently, and again if two of them
are the same place. Of the sets of ``k`` different places the set :math:`\{i_1 < \dots < i_k\}` then comes up with probability

.. math:: w_{i_1} \cdots w_{i_k} \,/\, E_k(m), \qquad E_k(j) = \sum_{i_1 < \dots < i_k \le j} w_{i_1} \cdots w_{i_k},

the **elementary symmetric sums** of the first ``j`` masses. No draw has to be repeated: as :math:`E_k(j) = \sum_{i \le j}
w_i \, E_{k-1}(i - 1)`, the largest place of the set is at most ``j`` with probability :math:`E_k(j) / E_k(m)`, and given
that it is ``i`` the others are a draw of ``k - 1`` different places among the first ``i - 1``. So ``k`` uniform numbers
choose ``k`` different places exactly, from the largest down, by ``k`` searches in a table of sums. Independent draws
coincide somewhere with probability :math:`1 - k! \, E_k(m) / E_1(m)^k`; for pairs this is :math:`\tau = \sum_i (w_i /
E_1(m))^2`.

Sums run over one row at a time and in one order, so that what is drawn for a row does not depend on the rows around it.

References
----------
.. [1] Chen, X.-H., Dempster, A. P. and Liu, J. S. (1994). Weighted finite population sampling to maximize entropy. Biometrika
   81(3), 457-469. doi:10.1093/biomet/81.3.457
"""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray, IntArray

__all__ = ["distinct_positions", "symmetric_sums"]


def symmetric_sums(masses: FloatArray, n_points: int) -> list[FloatArray]:
    """Return the elementary symmetric sums of the first masses, of orders 1 to ``n_points``.

    Parameters
    ----------
    masses : (..., n_places), positive or zero
    n_points : int

    Returns
    -------
    list of arrays of the shape of the masses
        In the array of order ``k`` the entry ``j`` is :math:`E_k` of the masses up to and including ``j``.
    """
    sums = [np.cumsum(masses, axis=-1)]
    for _ in range(n_points - 1):
        before = np.concatenate([np.zeros_like(masses[..., :1]), sums[-1][..., :-1]], axis=-1)
        sums.append(np.cumsum(masses * before, axis=-1))
    return sums


def distinct_positions(masses: FloatArray, uniforms: FloatArray) -> IntArray:
    """Return the positions of different places that uniform numbers choose, increasing along the last axis.

    Independent uniform numbers give independent draws of a place each, given that the places of one query all differ. Cost:
    about ``log2(n_places)`` vectorised steps for each point.

    Parameters
    ----------
    masses : (n_places,) or (n_samples, n_places), positive or zero
        Of all rows, or of each; at least ``n_points`` of them positive.
    uniforms : (n_samples, n_queries, n_points) in [0, 1)

    Returns
    -------
    array of the shape of ``uniforms``
    """
    n_points = uniforms.shape[-1]
    positions = np.empty(uniforms.shape, dtype=np.intp)
    last = np.full(uniforms.shape[:2], masses.shape[-1] - 1)
    for point, sums in zip(reversed(range(n_points)), reversed(symmetric_sums(masses, n_points)), strict=True):
        total = sums[last] if sums.ndim == 1 else np.take_along_axis(sums, last, axis=1)
        positions[..., point] = _first_above(sums, uniforms[..., point] * total, last)
        last = np.maximum(positions[..., point] - 1, 0)
    return positions


def _first_above(sums: FloatArray, targets: FloatArray, last: IntArray) -> IntArray:
    """Return the first positions, up to the last ones allowed, at which non-decreasing sums exceed targets, by bisection.

    Parameters
    ----------
    sums : (n_places,) or (n_samples, n_places)
    targets, last : (n_samples, n_queries)
    """
    if sums.ndim == 1:
        return np.minimum(np.searchsorted(sums, targets, side="right"), last)
    low, high = np.zeros_like(last), last
    for _ in range(int(sums.shape[-1]).bit_length()):
        middle = (low + high) // 2
        exceeds = np.take_along_axis(sums, middle, axis=1) > targets
        low, high = np.where(exceeds, low, np.minimum(middle + 1, high)), np.where(exceeds, middle, high)
    return high
