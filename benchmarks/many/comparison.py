"""From measurements to two tables: methods over all runs, and their errors on each data set.

Ratios of errors are to the library's own constraint in the same run, and averaged geometrically. The mean over all runs is
one over data sets too, which have equally many runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.many.lineup import METHODS, YARDSTICK
from benchmarks.many.measured import N_PAIRS, Run
from benchmarks.many.records import Results
from benchmarks.many.ruled_data import RULED
from benchmarks.tables import markdown

__all__ = ["HEADER", "by_dataset", "mean_ratio", "over_all"]

HEADER = ("method", "error / retrained", "worst run", "lower in", "violated pairs", "predict", "seconds")


def over_all(results: Results) -> str:
    """Return the table of methods."""
    return markdown(HEADER, [_row(results, method) for method in _methods(results)])


def by_dataset(results: Results) -> str:
    """Return the table of mean ratios of errors, a row for each data set."""
    methods = _methods(results)
    rows = []
    for dataset in dict.fromkeys(run.dataset for run in results):
        runs = [run for run in results if run.dataset == dataset]
        ratios = [mean_ratio(results, method, runs) for method in methods]
        rows.append((RULED[dataset].name, *("" if np.isnan(ratio) else f"{ratio:.3f}" for ratio in ratios)))
    return markdown(("data set", *methods), rows)


def mean_ratio(results: Results, method: str, runs: Sequence[Run] | None = None) -> float:
    """Return the geometric mean over runs, by default all, of errors divided by the yardstick's; NaN if there are none."""
    ratios = _ratios(results, method, list(results) if runs is None else runs)
    return float(np.exp(np.log(ratios).mean())) if ratios.size else float("nan")


def _row(results: Results, method: str) -> tuple[str, ...]:
    measured = [methods[method] for methods in results.values() if method in methods]
    ratios = _ratios(results, method, list(results))
    n_violated, n_pairs = sum(measurement.violated for measurement in measured), N_PAIRS * len(measured)
    predict, seconds = (
        np.median([getattr(measurement, name) for measurement in measured]) for name in ("predict", "seconds")
    )
    return (
        method,
        f"{mean_ratio(results, method):.3f}",
        f"{ratios.max():.3f}",
        f"{int((ratios < 1).sum())} of {ratios.size}",
        f"{n_violated} of {n_pairs}" if n_violated * 10_000 < n_pairs else f"{n_violated / n_pairs:.2%}",
        f"{predict:.2f} x",
        f"{seconds:.2f}",
    )


def _ratios(results: Results, method: str, runs: Sequence[Run]) -> np.ndarray:
    return np.array(
        [results[run][method].error / results[run][YARDSTICK].error for run in runs if method in results[run]]
    )


def _methods(results: Results) -> list[str]:
    return [method for method in METHODS if any(method in methods for methods in results.values())]
