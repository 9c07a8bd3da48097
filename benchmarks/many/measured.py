"""One data set, library and seed: what every method shows at the test rows.

Errors are log-losses of classifiers and mean squared errors of regressions. Times are those of the processor, one process with
one thread, so that other work on the machine does not count: to fit and calibrate in seconds; to predict the test rows in
units of the model's own, both after a first call, in turns, medians.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from alignconf.errors import RepeatedRowsWarning
from benchmarks.many.boosted import LIBRARIES, values
from benchmarks.many.joint_pairs import Pairs, between_rows
from benchmarks.many.lineup import METHODS, Case
from benchmarks.many.ruled_data import RULED, load, parts
from benchmarks.problems import Rows

__all__ = ["Measurement", "Run", "measure", "predict_ratio"]

N_PAIRS = 2000

#: Predictions are timed at most so often, and no longer than this in seconds.
N_TIMES, MOST_SECONDS = 7, 1.5


@dataclass(frozen=True)
class Run:
    """A data set, a library and a seed."""

    dataset: str
    library: str
    seed: int


@dataclass(frozen=True)
class Measurement:
    """One method in one run.

    ``violated`` is the number of pairs of ``N_PAIRS`` with predictions in the wrong order, ``predict`` a ratio,
    ``seconds`` what it took to make the model.
    """

    error: float
    violated: int
    predict: float
    seconds: float


def measure(run: Run, methods: Sequence[str], directory: Path | None, max_rows: int) -> dict[str, Measurement]:
    """Return the measurements of methods, by name."""
    with one_quiet_thread():
        return _measured(run, methods, directory, max_rows)


@contextmanager
def one_quiet_thread() -> Iterator[None]:
    """Measure with one thread, and without the warnings that data sets and libraries give every time."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", RepeatedRowsWarning)  # data sets have duplicates, and are used as they are
        # LightGBM's own blocks of rows; explainable boosting machines
        warnings.filterwarnings("ignore", message="X does not have valid feature names|Missing values detected")
        yield


def _measured(run: Run, methods: Sequence[str], directory: Path | None, max_rows: int) -> dict[str, Measurement]:
    data = RULED[run.dataset]
    rows = parts(_all_rows(run.dataset, directory), run.seed, max_rows)
    library = LIBRARIES[run.library]
    model = library.unconstrained(data.is_classification, run.seed).fit(rows.train.X, rows.train.y)
    case = Case(model, library, rows.train, rows.calibrate, data.signs, data.is_classification, run.seed)
    _warm(run.library, tuple(methods))
    pairs = between_rows(rows.test.X, data.signs, N_PAIRS, np.random.default_rng([run.seed, 1]))
    return {method: _of_method(METHODS[method], case, rows.test, pairs) for method in methods}


@lru_cache(maxsize=1)
def _all_rows(dataset: str, directory: Path | None) -> Rows:
    """Return the rows of a data set, which are read once for runs that follow each other."""
    return load(RULED[dataset], directory)


@cache
def _warm(library: str, methods: tuple[str, ...]) -> None:
    """Call each method once, so that none is timed while code is compiled or loaded."""
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 2)), columns=["a", "b"])
    rows = Rows(X, (X.a + X.b).to_numpy())
    model = LIBRARIES[library].unconstrained(False, 0).fit(rows.X, rows.y)
    for method in methods:
        METHODS[method](Case(model, LIBRARIES[library], rows, rows, {"a": 1, "b": -1}, False, 0))


def _of_method(method: Callable[[Case], Any], case: Case, test: Rows, pairs: Pairs) -> Measurement:
    begun = process_time()
    made = method(case)
    seconds = process_time() - begun
    low, high = (values(made, rows) for rows in pairs)
    return Measurement(
        _error(values(made, test.X), test.y, case.is_classification),
        int((high < low).sum()),
        predict_ratio(made, case.model, test.X),
        seconds,
    )


def _error(predicted: np.ndarray, y: np.ndarray, is_classification: bool) -> float:
    predicted = predicted.astype(float)
    return float(log_loss(y, predicted) if is_classification else np.mean((predicted - y) ** 2))


def predict_ratio(made: Any, model: Any, X: Any) -> float:
    """Return how much longer a prediction takes than the model's own."""
    spent: list[tuple[float, float]] = []
    for answering in (made, model):
        values(answering, X)
    begun = process_time()
    while len(spent) < N_TIMES and process_time() - begun < MOST_SECONDS:
        spent.append((_seconds(made, X), _seconds(model, X)))
    with_method, alone = np.median(spent, axis=0)
    return float(with_method / alone)


def _seconds(model: Any, X: Any) -> float:
    begun = process_time()
    values(model, X)
    return process_time() - begun
