"""Speed of the projections, as ratios measured in one run: against a loop over scipy, and against copying the memory.

Lines are random walks with a trend (plateaus and long violations), noise around a trend (short violations everywhere)
and steps (what tree ensembles give).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy.optimize import isotonic_regression, nnls

from alignconf._curvature import concave_least_squares, concave_upper
from alignconf._kernels import isotonic_least_squares, isotonic_midpoint
from benchmarks.tables import markdown, write_json

__all__ = ["ratios", "run"]

N_KNOTS = 64


def lines_of_each_kind(n_lines: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    trend = np.linspace(0, 3, N_KNOTS)
    return {
        "walk": 0.3 * random.normal(size=(n_lines, N_KNOTS)).cumsum(axis=1) + trend,
        "noise": random.normal(size=(n_lines, N_KNOTS)) + trend,
        "steps": np.repeat(random.normal(size=(n_lines, N_KNOTS // 4)).cumsum(axis=1), 4, axis=1),
    }


def curvature_ratios(n_lines: int = 100_000, *, n_runs: int = 7, seed: int = 0) -> dict[str, float]:
    """Return the same for the concave projections: least squares against a quadratic programme solved for each line.

    The programme is scipy's non-negative least squares in the basis of hinges, which is exact, called line by line; the
    costs are compared too.
    """
    lines = lines_of_each_kind(n_lines, seed)["walk"]
    knots, weights = np.linspace(0, 1, N_KNOTS), np.full(N_KNOTS, 1 / N_KNOTS)
    few = lines[: max(1, n_lines // 500)]
    copy, l2, sup, loop = _medians(
        [
            (partial(np.copy, lines), lines.size),
            (partial(concave_least_squares, lines, knots, weights), lines.size),
            (partial(concave_upper, lines, knots), lines.size),
            (partial(hinge_loop, few, knots, weights), few.size),
        ],
        n_runs,
    )
    fitted = ((concave_least_squares(few, knots, weights) - few) ** 2) @ weights
    worst = float(np.max(fitted / hinge_loop(few, knots, weights) - 1))
    return {
        "copy_ns": copy,
        "l2_ns": l2,
        "sup_ns": sup,
        "qp_over_l2": loop / l2,
        "sup_over_copy": sup / copy,
        "cost": worst,
    }


def hinge_loop(lines: np.ndarray, knots: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the cost of each line's concave fit, by non-negative least squares with intercept and slope projected out."""
    root = np.sqrt(weights)
    free, _ = np.linalg.qr(np.column_stack([np.ones_like(knots), knots]) * root[:, None])
    hinges = -np.maximum(knots[:, None] - knots[None, 1:-1], 0) * root[:, None]
    hinges -= free @ (free.T @ hinges)
    rest = lines * root - (lines * root) @ free @ free.T
    return np.array([nnls(hinges, line, maxiter=100_000)[1] ** 2 for line in rest])


def scipy_loop(lines: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    return [isotonic_regression(line, weights=weights).x for line in lines]


def ratios(n_lines: int = 100_000, *, n_runs: int = 7, seed: int = 0) -> list[dict[str, float | str]]:
    """Return, for each kind of line, the median time per cell of each projection relative to scipy and to a copy."""
    weights = np.random.default_rng(seed).dirichlet(np.full(N_KNOTS, 5.0))
    results: list[dict[str, float | str]] = []
    for kind, lines in lines_of_each_kind(n_lines, seed).items():
        few = lines[: max(1, n_lines // 20)]
        copy, l2, sup, loop = _medians(
            [
                (partial(np.copy, lines), lines.size),
                (partial(isotonic_least_squares, lines, weights), lines.size),
                (partial(isotonic_midpoint, lines), lines.size),
                (partial(scipy_loop, few, weights), few.size),
            ],
            n_runs,
        )
        results.append(
            {
                "lines": kind,
                "copy_ns": copy,
                "l2_ns": l2,
                "sup_ns": sup,
                "scipy_over_l2": loop / l2,
                "sup_over_copy": sup / copy,
            }
        )
    return results


def run(output: Path) -> None:
    """Print the ratios and write them to ``output``."""
    results = ratios()
    header = ("lines", "copy, ns/cell", "l2, ns/cell", "sup, ns/cell", "scipy loop / l2", "sup / copy")
    rows = [(str(row["lines"]), *(f"{value:.2f}" for value in list(row.values())[1:])) for row in results]
    print(f"100,000 lines of {N_KNOTS} knots, one thread, medians of one run\n")
    print(markdown(header, rows))
    curved = curvature_ratios()
    columns = (
        "concave",
        "copy, ns/cell",
        "l2, ns/cell",
        "sup, ns/cell",
        "QP per line / l2",
        "sup / copy",
        "cost excess",
    )
    print(f"\n{markdown(columns, [['walk', *(f'{value:.3g}' for value in curved.values())]])}")
    write_json(output / "projection.json", {"monotone": results, "concave": curved})


def _medians(stages: list[tuple[Callable[[], object], int]], n_runs: int) -> list[float]:
    """Return the median nanoseconds per cell of each stage, the stages taken in turn so that drift hits all alike."""
    times = np.empty((n_runs + 1, len(stages)))
    for run_index in range(n_runs + 1):
        for i, (stage, n_cells) in enumerate(stages):
            start = perf_counter()
            stage()
            times[run_index, i] = (perf_counter() - start) * 1e9 / n_cells
    medians: list[float] = np.median(times[1:], axis=0).tolist()
    return medians
