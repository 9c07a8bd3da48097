r"""Projections onto a polyhedron :math:`\{g : A g \le b\}`, of many short vectors at once.

In least squares the dual problem is solved: with multipliers :math:`y \ge 0` and :math:`g = f - W^{-1} A^\top y` it is a
non-negative least-squares problem whose Gram matrix :math:`Q = A W^{-1} A^\top` is the same for all vectors and is computed
once. The active set grows and shrinks one inequality at a time, and the Cholesky factor of its part of ``Q`` with it. In the
largest deviation the problem is a linear programme, solved by scipy's HiGHS for the vectors that need it.

References
----------
.. [1] Lawson, C. L. and Hanson, R. J. (1974). Solving Least Squares Problems, chapter 23. Prentice-Hall.
   doi:10.1137/1.9781611971217
.. [2] Bro, R. and De Jong, S. (1997). A fast non-negativity-constrained least squares algorithm. Journal of Chemometrics
   11(5). doi:10.1002/(SICI)1099-128X(199709/10)11:5<393::AID-CEM483>3.0.CO;2-L
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from alignconf._typing import FloatArray, IntArray
from alignconf.kernels.compiled import compiled
from alignconf.kernels.sums import products, total

__all__ = ["colliding", "polyhedron_least_squares", "polyhedron_midpoint"]

#: Violations below this share of the sizes involved are rounding: well below what a tester forgives.
TOLERANCE = 1e-14
#: What rounding leaves of a violation is projected once more, so often at most.
MAX_PASSES = 4


def polyhedron_least_squares(
    values: FloatArray, A: FloatArray, b: FloatArray, weights: FloatArray | None = None
) -> FloatArray:
    """Return the weighted least-squares projection of each vector onto ``A g <= b``, which must have a solution.

    Parameters
    ----------
    values : (n_vectors, n_points)
    A : (n_demands, n_points)
    b : (n_demands,)
    weights : (n_points,) or (n_vectors, n_points), positive, optional
        Of all vectors, or of each; vectors with the same weights are projected together.

    Returns
    -------
    (n_vectors, n_points)
    """
    if weights is not None and weights.ndim == 2:
        distinct, which = np.unique(weights, axis=0, return_inverse=True)
        nearest = np.empty(values.shape)
        for i, shared in enumerate(distinct):
            alike = which.ravel() == i
            nearest[alike] = polyhedron_least_squares(values[alike], A, b, shared)
        return nearest
    inverse = np.ones(A.shape[1]) if weights is None else 1.0 / weights
    # Every inequality gets the same length, so that one tolerance serves all.
    length = np.sqrt(total(A * A * inverse))
    kept = length > 0
    A, b = A[kept] / length[kept, None], b[kept] / length[kept]
    projected = np.array(values, dtype=np.float64)
    reach = A * inverse
    gram = products(reach, A.T)
    for _ in range(MAX_PASSES):
        excess, size = _excess(projected, A, b)
        violating = np.flatnonzero((excess > TOLERANCE * size).any(axis=1))
        if not violating.size:
            break
        multipliers = np.zeros((violating.size, b.size))
        _dual(gram, excess[violating], TOLERANCE * size[violating], multipliers)
        projected[violating] -= products(multipliers, reach)
    return projected


@compiled
def _dual(Q: FloatArray, excess: FloatArray, tolerance: FloatArray, multipliers: FloatArray) -> None:
    """Solve ``min y'Qy/2 - c'y, y >= 0`` for each row ``c`` of ``excess``, up to ``tolerance`` of the same shape."""
    n_vectors, n_demands = excess.shape
    active = np.empty(n_demands, np.intp)
    factor = np.zeros((n_demands, n_demands))
    wanted, column = np.empty(n_demands), np.empty(n_demands)
    gradient = np.empty(n_demands)
    blocked = np.zeros(n_demands, np.bool_)
    for i in range(n_vectors):
        y, c = multipliers[i], excess[i]
        gradient[:] = c
        blocked[:] = False
        n_active = 0
        for _ in range(20 * n_demands + 20):
            entering, best = -1, 0.0
            for k in range(n_demands):
                if gradient[k] > max(best, tolerance[i, k]) and not blocked[k]:
                    entering, best = k, gradient[k]
            if entering < 0:
                break
            while not _append(Q, active, n_active, entering, factor, column):
                # A combination of active inequalities: trade them for it until one of them gives way.
                _solve(factor, active, n_active, Q[entering], wanted)
                step, dropped = np.inf, -1
                for s in range(n_active):
                    if wanted[s] > 1e-11 and y[active[s]] < step * wanted[s]:
                        step, dropped = y[active[s]] / wanted[s], s
                if dropped < 0:
                    break
                for s in range(n_active):
                    y[active[s]] -= step * wanted[s]
                y[entering] += step
                y[active[dropped]] = 0.0
                n_active = _drop(Q, active, n_active, dropped, factor, column)
            else:
                n_active += 1
            if n_active == 0 or active[n_active - 1] != entering:
                blocked[entering] = True  # nothing gives way: within rounding of having no solution
                continue
            while True:
                _solve(factor, active, n_active, c, wanted)
                step, dropped = 1.0, -1
                for s in range(n_active):
                    k = active[s]
                    if wanted[s] <= 0:
                        ratio = y[k] / (y[k] - wanted[s]) if y[k] > 0 else 0.0
                        if dropped < 0 or ratio < step:
                            step, dropped = ratio, s
                for s in range(n_active):
                    k = active[s]
                    y[k] = wanted[s] if dropped < 0 else y[k] + step * (wanted[s] - y[k])
                if dropped < 0:
                    break
                y[active[dropped]] = 0.0
                n_active = _drop(Q, active, n_active, dropped, factor, column)
            gradient[:] = c
            for s in range(n_active):
                k = active[s]
                for j in range(n_demands):
                    gradient[j] -= Q[k, j] * y[k]


@compiled
def _append(
    Q: FloatArray, active: IntArray, n_active: int, demand: int, factor: FloatArray, column: FloatArray
) -> bool:
    """Add a demand to the Cholesky factor of the active demands; return False if it depends on them linearly."""
    rest = Q[demand, demand]
    for s in range(n_active):
        value = Q[demand, active[s]]
        for t in range(s):
            value -= factor[s, t] * column[t]
        column[s] = value / factor[s, s]
        rest -= column[s] * column[s]
    if rest <= 1e-11 * Q[demand, demand]:
        return False
    for s in range(n_active):
        factor[n_active, s] = column[s]
    factor[n_active, n_active] = np.sqrt(rest)
    active[n_active] = demand
    return True


@compiled
def _drop(Q: FloatArray, active: IntArray, n_active: int, dropped: int, factor: FloatArray, column: FloatArray) -> int:
    """Remove an active demand and rebuild the factor from there; return how many demands are left."""
    for s in range(dropped, n_active - 1):
        active[s] = active[s + 1]
        _append(Q, active, s, active[s], factor, column)
    return n_active - 1


@compiled
def _solve(factor: FloatArray, active: IntArray, n_active: int, c: FloatArray, wanted: FloatArray) -> None:
    for s in range(n_active):
        value = c[active[s]]
        for t in range(s):
            value -= factor[s, t] * wanted[t]
        wanted[s] = value / factor[s, s]
    for s in range(n_active - 1, -1, -1):
        value = wanted[s]
        for t in range(s + 1, n_active):
            value -= factor[t, s] * wanted[t]
        wanted[s] = value / factor[s, s]


def _excess(values: FloatArray, A: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return ``A g - b`` for each vector, and the sizes of what is added there: two (n_vectors, n_demands)."""
    return products(values, A.T) - b, products(np.abs(values), np.abs(A.T)) + np.abs(b)


def polyhedron_midpoint(values: FloatArray, A: FloatArray, b: FloatArray) -> FloatArray:
    """Return vectors in ``A g <= b`` nearest to each of ``values`` (n_vectors, n_points) in the largest deviation."""
    nearest = np.array(values, dtype=np.float64)
    excess, size = _excess(nearest, A, b)
    violated = excess > TOLERANCE * size
    if len(A) == 1:
        step = excess / np.abs(A).sum()
        return np.where(violated, nearest - step * np.sign(A), nearest)
    n_points = A.shape[1]
    identity, ones = np.eye(n_points), np.ones((n_points, 1))
    within = np.vstack(
        [np.hstack([A, np.zeros((len(A), 1))]), np.hstack([identity, -ones]), np.hstack([-identity, -ones])]
    )
    cost = np.append(np.zeros(n_points), 1.0)
    for i in np.flatnonzero(violated.any(axis=1)):
        # Solved for the change, in units of the worst excess: HiGHS has absolute tolerances.
        unit = excess[i].max()
        limits = np.concatenate([-excess[i] / unit, np.zeros(2 * n_points)])
        solution = linprog(cost, A_ub=within, b_ub=limits, bounds=(None, None))
        if solution.status == 0:
            nearest[i] += unit * solution.x[:n_points]
    # What HiGHS tolerates a tester does not: a last step of rounding size. It is the whole step where HiGHS gives up.
    return polyhedron_least_squares(nearest, A, b)


def colliding(A: FloatArray, b: FloatArray) -> tuple[int, ...]:
    """Return which inequalities of ``A g <= b`` have no common solution: none, a pair if two suffice, or all that do."""
    if _solvable(A, b):
        return ()
    for i in range(len(A)):
        for j in range(i):
            if not _solvable(A[[j, i]], b[[j, i]]):
                return (j, i)
    kept = list(range(len(A)))
    for i in range(len(A)):
        without = [k for k in kept if k != i]
        if not _solvable(A[without], b[without]):
            kept = without
    return tuple(kept)


def _solvable(A: FloatArray, b: FloatArray) -> bool:
    """Whether ``A g <= b`` has a solution, asked in units in which HiGHS, with its absolute tolerances, can tell."""
    length = np.abs(A).max(axis=1)
    A, b = A / length[:, None], b / length
    b = b / (np.abs(b).max() or 1.0)
    return bool(linprog(np.zeros(A.shape[1]), A_ub=A, b_ub=b, bounds=(None, None)).status == 0)
