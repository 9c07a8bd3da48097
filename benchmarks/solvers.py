r"""Concave regression of one line by solvers that know nothing of its shape: what one would call without a kernel.

For a line :math:`y` at knots :math:`x` with weights :math:`w`, each solves the quadratic programme

.. math:: \min_g \sum_i w_i (g_i - y_i)^2 \quad \text{subject to} \quad A g \le 0,

where row :math:`i` of :math:`A` is the slope after knot :math:`i + 1` minus the slope before it. ``PREPARE`` maps the name
of a solver to a function that sets up everything that lines share, once, and returns what solves one line.
Tolerances are tight enough for costs to agree to 1e-6. All but scipy are optional.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import nnls
from scipy.sparse import csc_matrix

__all__ = ["PREPARE", "Solve", "fits"]

#: From one line to its fit, both of shape (n_knots,).
Solve = Callable[[np.ndarray], np.ndarray]


def fits(lines: np.ndarray, solve: Solve) -> np.ndarray:
    """Return the fit of each line, (n_lines, n_knots), the solver called line by line."""
    return np.array([solve(line) for line in lines])


def changes_of_slope(knots: np.ndarray) -> np.ndarray:
    """Return ``A``, (n_knots - 2, n_knots), scaled to entries of order 1."""
    slopes = np.diff(np.eye(knots.size), axis=0) / np.diff(knots)[:, None]
    changes = np.diff(slopes, axis=0)
    scaled: np.ndarray = changes / np.abs(changes).max()
    return scaled


def _scipy_nnls(knots: np.ndarray, weights: np.ndarray) -> Solve:
    """Non-negative least squares in the basis of hinges, intercept and slope projected out."""
    root = np.sqrt(weights)
    free, _ = np.linalg.qr(np.column_stack([np.ones_like(knots), knots]) * root[:, None])
    hinges = -np.maximum(knots[:, None] - knots[None, 1:-1], 0) * root[:, None]
    hinges -= free @ (free.T @ hinges)

    def solve(line: np.ndarray) -> np.ndarray:
        straight = free @ (free.T @ (line * root))
        bends, _ = nnls(hinges, line * root - straight, maxiter=100_000)
        fit: np.ndarray = (straight + hinges @ bends) / root
        return fit

    return solve


def _quadprog(knots: np.ndarray, weights: np.ndarray) -> Solve:
    """Goldfarb and Idnani's dual active set, given the inverse root of the diagonal."""
    from quadprog import solve_qp

    inverse_root, demands = np.diag(weights**-0.5), -changes_of_slope(knots).T.copy()
    bounds = np.zeros(knots.size - 2)

    def solve(line: np.ndarray) -> np.ndarray:
        fit: np.ndarray = solve_qp(inverse_root, weights * line, demands, bounds, factorized=True)[0]
        return fit

    return solve


def _clarabel(knots: np.ndarray, weights: np.ndarray) -> Solve:
    """An interior point method, its data updated from line to line."""
    import clarabel

    settings = clarabel.DefaultSettings()
    settings.verbose = settings.presolve_enable = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-10
    quadratic, demands = csc_matrix(np.diag(2 * weights)), csc_matrix(changes_of_slope(knots))
    bounds = np.zeros(knots.size - 2)
    cones = [clarabel.NonnegativeConeT(bounds.size)]
    solver = clarabel.DefaultSolver(quadratic, np.zeros(knots.size), demands, bounds, cones, settings)

    def solve(line: np.ndarray) -> np.ndarray:
        solver.update(q=-2 * weights * line)
        return np.array(solver.solve().x)

    return solve


def _osqp(knots: np.ndarray, weights: np.ndarray) -> Solve:
    """Operator splitting, factorised once, warm-started from line to line and polished until costs are exact."""
    import osqp

    scale = 2 * weights / weights.mean()
    bounds = np.zeros(knots.size - 2)
    solver = osqp.OSQP()
    solver.setup(
        csc_matrix(np.diag(scale)), np.zeros(knots.size), csc_matrix(changes_of_slope(knots)), bounds - np.inf, bounds,
        verbose=False, eps_abs=1e-6, eps_rel=1e-6, max_iter=100_000,
        polishing=True, polish_refine_iter=20, delta=1e-8,
    )  # fmt: skip

    def solve(line: np.ndarray) -> np.ndarray:
        solver.update(q=-scale * line)
        fit: np.ndarray = solver.solve(raise_error=True).x
        return fit

    return solve


def _cvxpy(solver: str, **tolerances: Any) -> Callable[[np.ndarray, np.ndarray], Solve]:
    """A modelling language: the problem is built once, its parameter is set for each line."""

    def prepare(knots: np.ndarray, weights: np.ndarray) -> Solve:
        import cvxpy

        line_, fit = cvxpy.Parameter(knots.size), cvxpy.Variable(knots.size)
        cost = cvxpy.sum_squares(cvxpy.multiply(np.sqrt(weights), fit - line_))
        problem = cvxpy.Problem(cvxpy.Minimize(cost), [changes_of_slope(knots) @ fit <= 0])

        def solve(line: np.ndarray) -> np.ndarray:
            line_.value = line
            problem.solve(solver=solver, **tolerances)
            return np.asarray(fit.value)

        return solve

    return prepare


PREPARE: dict[str, Callable[[np.ndarray, np.ndarray], Solve]] = {
    "scipy nnls": _scipy_nnls,
    "quadprog": _quadprog,
    "clarabel": _clarabel,
    "osqp": _osqp,
    "cvxpy (Clarabel)": _cvxpy("CLARABEL"),
    # What cvxpy itself chooses for a quadratic programme.
    "cvxpy (OSQP)": _cvxpy("OSQP", eps_abs=1e-8, eps_rel=1e-8, max_iter=100_000),
}
