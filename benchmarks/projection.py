"""Speed of the projections, as ratios measured in one run: against solvers called line by line, and against a copy.

Lines are random walks with a trend (plateaus and long violations), noise around a trend (short violations everywhere)
and steps (what tree ensembles give).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy.optimize import isotonic_regression

from alignconf.kernels.curvature import concave_least_squares, concave_upper
from alignconf.kernels.order import isotonic_least_squares, isotonic_midpoint
from benchmarks.solvers import PREPARE, Solve, fits
from benchmarks.tables import markdown, write_json

__all__ = ["concave_ratios", "ratios", "run"]

N_KNOTS = 64

#: Solvers are called for this many lines.
N_FEW = 200


def lines_of_each_kind(n_lines: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    trend = np.linspace(0, 3, N_KNOTS)
    return {
        "walk": 0.3 * random.normal(size=(n_lines, N_KNOTS)).cumsum(axis=1) + trend,
        "noise": random.normal(size=(n_lines, N_KNOTS)) + trend,
        "steps": np.repeat(random.normal(size=(n_lines, N_KNOTS // 4)).cumsum(axis=1), 4, axis=1),
    }


def concave_ratios(
    n_lines: int = 100_000, *, n_few: int = N_FEW, n_runs: int = 5, seed: int = 0
) -> list[dict[str, float | str]]:
    """Return, for each kind of line and each installed solver, its time per line over that of the concave projection.

    Costs are compared too: ``cost`` is the largest relative difference between the solver's and the projection's.
    """
    knots, weights = np.linspace(0, 1, N_KNOTS), np.full(N_KNOTS, 1 / N_KNOTS)
    solvers, _ = prepared(knots, weights)
    results: list[dict[str, float | str]] = []
    for kind, lines in lines_of_each_kind(n_lines, seed).items():
        few = lines[:n_few]
        own = _costs(concave_least_squares(few, knots, weights), few, weights)
        differences = [np.abs(_costs(fits(few, solve), few, weights) / own - 1).max() for solve in solvers.values()]
        copy, l2, sup, *loops = _medians(
            [
                (partial(np.copy, lines), lines.size),
                (partial(concave_least_squares, lines, knots, weights), lines.size),
                (partial(concave_upper, lines, knots), lines.size),
                *((partial(fits, few, solve), few.size) for solve in solvers.values()),
            ],
            n_runs,
        )
        for solver, loop, difference in zip(solvers, loops, differences, strict=True):
            results.append(
                {
                    "lines": kind,
                    "solver": solver,
                    "solver_us": loop * N_KNOTS / 1000,
                    "l2_us": l2 * N_KNOTS / 1000,
                    "solver_over_l2": loop / l2,
                    "cost": float(difference),
                    "sup_over_copy": sup / copy,
                }
            )
    return results


def prepared(knots: np.ndarray, weights: np.ndarray) -> tuple[dict[str, Solve], list[str]]:
    """Return the solvers that are installed, ready for lines, and the names of those that are not."""
    found, missing = {}, []
    for name, prepare in PREPARE.items():
        try:
            found[name] = prepare(knots, weights)
        except ImportError:
            missing.append(name)
    return found, missing


def _costs(fitted: np.ndarray, lines: np.ndarray, weights: np.ndarray) -> np.ndarray:
    costs: np.ndarray = ((fitted - lines) ** 2) @ weights
    return costs


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
    curved = concave_ratios()
    columns = (
        "concave",
        "solver, line by line",
        "us/line",
        "l2, us/line",
        "solver / l2",
        "cost differs by",
        "sup / copy",
    )
    print(f"\nLeast-squares concave projection; solvers called for {N_FEW} lines, set up once\n")
    cells = [
        (
            str(row["lines"]),
            str(row["solver"]),
            f"{row['solver_us']:.0f}",
            f"{row['l2_us']:.2f}",
            f"{row['solver_over_l2']:.0f}",
            f"{row['cost']:.1e}",
            f"{row['sup_over_copy']:.2f}",
        )
        for row in curved
    ]
    print(markdown(columns, cells))
    _, missing = prepared(np.linspace(0, 1, N_KNOTS), np.full(N_KNOTS, 1 / N_KNOTS))
    for name in missing:
        print(f"{name}: not installed, skipped")
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
