"""What one row costs in a service: microseconds of the model's own ``predict`` and of the aligned one, in turn, row by row.

Each model is asked about an array, about a data frame, and about a frame in front of the steps of a Pipeline. It is aligned to
one rule by its lines, at full strength and where ``lambda_`` clips, and to three by its leaves, where ``lambda_`` clips: at full
strength those are a model of the library's own. ``ratio`` is that of medians, and the last columns are the 99th percentiles
over their own medians, which tell how even answers are; that of the model's own shows how much of it the machine does. Below
the table: seconds until a process that has loaded an estimator has predicted for the first time, with and without
``prepare()`` before.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from alignconf import AlignedRegressor
from alignconf._typing import FloatArray
from benchmarks.speed import N_FEATURES, models, problem
from benchmarks.tables import markdown, write_json

__all__ = ["first_answer", "latencies", "run"]

#: Numbers of rules, and levels.
CASES = ((1, 0.0), (1, 0.1), (3, 0.1))

COLUMNS = ("own p50, us", "aligned p50, us", "ratio", "own p99 / p50", "aligned p99 / p50")

#: Rows that are asked before the clock runs.
N_BEFORE = 10

FIRST = """
import pickle, sys, time
with open(sys.argv[1], "rb") as file:
    aligned, rows = pickle.load(file)
if sys.argv[2] == "prepared":
    aligned.prepare()
start = time.perf_counter()
aligned.predict(rows)
print(time.perf_counter() - start)
"""


def on_columns(model: Any) -> Any:
    """Return a Pipeline of a model behind an imputer, a scaler and a one-hot encoder."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    named = [f"x{j}" for j in range(N_FEATURES)]
    encoder = OneHotEncoder(sparse_output=False)
    return make_pipeline(make_column_transformer((numbers, named), (encoder, ["kind"])), model)


def ways(X: FloatArray) -> Iterator[tuple[str, Callable[[Any], Any], Any]]:
    """Yield the ways in which a model is asked: their names, what a model is wrapped in, and the rows."""
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    kinds = np.array(["red", "green", "blue"])[np.arange(len(X)) % 3]
    yield "array", lambda model: model, X
    yield "frame", lambda model: model, frame
    yield "Pipeline", on_columns, frame.assign(kind=kinds)


def latencies(n_rows: int = 300, *, n_training: int = 2000, seed: int = 0) -> list[dict[str, Any]]:
    """Return, for each model, way, number of rules and level, the figures of single rows in turn."""
    X, y = problem(2 * n_training, seed)
    train, rest = slice(0, n_training), slice(n_training, 2 * n_training)
    results = []
    with threadpool_limits(1):
        for name, unfitted in models(1).items():
            for way, wrap, rows in ways(X):
                model = wrap(unfitted).fit(rows[train], y[train])
                for n_rules, alpha in CASES:
                    aligned = aligned_model(model, rows, n_rules, alpha, train, rest)
                    fresh = [rows[i : i + 1] for i in range(n_training, n_training + n_rows)]
                    about = {"model": name, "rows": way, "rules": n_rules, "alpha": alpha}
                    results.append(about | _figures(*_times(model.predict, aligned.predict, fresh)))
    return results


def aligned_model(model: Any, rows: Any, n_rules: int, alpha: float, train: slice, rest: slice) -> AlignedRegressor:
    """Return a model that rises in its first features: one by its lines, several by its leaves."""
    features = [f"x{j}" for j in range(n_rules)] if isinstance(rows, pd.DataFrame) else list(range(n_rules))
    projector = "lines" if n_rules == 1 else "leaves"
    aligned = AlignedRegressor(model, dict.fromkeys(features, 1), alpha=alpha, projector=projector, random_state=0)
    return aligned.calibrate(rows[rest], X_reference=rows[train]).prepare()


def first_answer(seed: int = 0) -> dict[str, float]:
    """Return seconds of the first prediction of a process that has loaded an estimator, by whether it was prepared."""
    X, y = problem(2000, seed)
    model = next(iter(models(1).values())).fit(X[:1000], y[:1000])
    aligned = aligned_model(model, X, 3, 0.1, slice(0, 1000), slice(1000, 2000))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "aligned.pickle"
        path.write_bytes(pickle.dumps((aligned, X[:1])))
        return {how: _in_process(path, how) for how in ("as loaded", "prepared")}


def run(output: Path) -> None:
    """Print the figures and write them to ``output``."""
    results = latencies()
    header = ("model", "rows", "rules", "alpha", *COLUMNS)
    rows = [
        (row["model"], row["rows"], str(row["rules"]), f"{row['alpha']:g}", *(_printed(row, name) for name in COLUMNS))
        for row in results
    ]
    print("one row, one thread; medians and 99th percentiles of 300 rows, the model and the aligned model in turn\n")
    print(markdown(header, rows))
    first = first_answer()
    print("\nFirst prediction of a process: " + ", ".join(f"{seconds:.3f} s {how}" for how, seconds in first.items()))
    write_json(output / "serving.json", {"latencies": results, "first": first})


def _times(
    own: Callable[[Any], object], aligned: Callable[[Any], object], rows: list[Any]
) -> tuple[FloatArray, FloatArray]:
    """Return seconds of both functions at each row, asked in turn."""
    times = np.empty((2, len(rows)))
    for row in rows[:N_BEFORE]:
        own(row), aligned(row)
    for i, row in enumerate(rows):
        start = perf_counter()
        own(row)
        middle = perf_counter()
        aligned(row)
        times[:, i] = middle - start, perf_counter() - middle
    return times[0], times[1]


def _figures(own: FloatArray, aligned: FloatArray) -> dict[str, float]:
    middles = np.median(own), np.median(aligned)
    ends = np.quantile(own, 0.99) / middles[0], np.quantile(aligned, 0.99) / middles[1]
    figures = (1e6 * middles[0], 1e6 * middles[1], middles[1] / middles[0], *ends)
    return dict(zip(COLUMNS, map(float, figures), strict=True))


def _printed(row: dict[str, Any], name: str) -> str:
    return f"{row[name]:.{0 if 'us' in name else 2}f}"


def _in_process(path: Path, how: str) -> float:
    command = [sys.executable, "-c", FIRST, str(path), how]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
