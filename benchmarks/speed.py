"""What exact lines of tree ensembles cost, in units of the model's own ``predict`` on the same rows in the same run.

``aligned`` is the whole of an aligned model's ``predict`` at full strength, the model's own predictions included; ``lines`` and
``fused`` are stages of it: whole lines stored, and lines projected and looked up as the walk goes. ``64 knots`` and ``all
pieces`` are what the same costs when the trees are hidden and the model is asked at 64 quantiles, or once in each piece, on
fewer rows. ``one row`` compares single rows; ``rarely used`` is ``aligned`` for a model of 40 features whose constrained one few
nodes ask about. Stages are taken in turn, figures are medians, and everything has the same number
of threads. Below the table: the time of calibrating and certifying ten times as many rows, the memory of a million rows beyond
the model's own, and how long the first use takes in a fresh process, with and without compiled code on disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from joblib import cpu_count
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from threadpoolctl import threadpool_limits

from alignconf import AlignedRegressor
from alignconf.lines.ensemble import Ensemble, TreeLines
from alignconf.lines.exact_lines import piece_of
from alignconf.lines.trees import read_ensemble
from alignconf.projectors.tree import TreeProjector, WalkedGridProjector
from benchmarks.tables import markdown, write_json

__all__ = ["fresh_processes", "ratios", "run", "scaling"]

N_FEATURES = 10
STAGES = ("lines", "fused", "aligned", "64 knots", "all pieces", "one row", "rarely used")

#: Features of the problem whose constrained one is rarely used, and what that one adds.
N_MANY, RARE_SLOPE = 40, 0.1

#: The slow ways are measured on this share of the rows, and single rows this many times.
SHARE, N_SINGLE = 50, 100


PROBLEM = """
import resource, sys, time
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
X = np.random.default_rng(0).normal(size=(int(sys.argv[1]), 10))
few, y = X[:5000], X[:5000, 0] + np.sin(2 * X[:5000, 1])
model = HistGradientBoostingRegressor(random_state=0).fit(few, y)
start = time.perf_counter()
from alignconf import AlignedRegressor
aligned = AlignedRegressor(model, {1: +1}, alpha=0.1, random_state=0).calibrate(few)
"""
FIRST_USE = "aligned.predict(few), aligned.certify(few + 1e-3); print(time.perf_counter() - start)"
MEMORY = """
model.predict(X)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
aligned.predict(X)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


class Hidden:
    """A model whose trees cannot be seen."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, rows: np.ndarray) -> np.ndarray:
        answers: np.ndarray = self.model.predict(rows)
        return answers


def models(n_jobs: int) -> dict[str, Any]:
    """Return the models whose libraries are installed, by name, not fitted."""
    found: dict[str, Any] = {"histogram boosting": HistGradientBoostingRegressor(random_state=0)}
    try:
        from lightgbm import LGBMRegressor

        found["LightGBM"] = LGBMRegressor(n_jobs=n_jobs, verbose=-1)
    except ImportError:
        print("LightGBM: not installed, skipped")
    try:
        from xgboost import XGBRegressor

        found["XGBoost"] = XGBRegressor(n_jobs=n_jobs)
    except ImportError:
        print("XGBoost: not installed, skipped")
    return found | {"forest": RandomForestRegressor(100, n_jobs=n_jobs, random_state=0)}


def problem(n_samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n_samples, N_FEATURES))
    y = X[:, 0] + np.sin(2 * X[:, 1]) + X[:, 2] * X[:, 3] + 0.3 * X[:, 0] ** 2 + random.normal(size=n_samples)
    return X, y


def rare_problem(n_samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of many features, of which the first hardly matters, and their labels."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n_samples, N_MANY))
    y = (
        np.sin(2 * X[:, 1])
        + X[:, 2] * X[:, 3]
        + X[:, 4:20].sum(axis=1)
        + RARE_SLOPE * X[:, 0]
        + random.normal(size=n_samples)
    )
    return X, y


def rarely_used(model: Any, n_rows: int, *, n_training: int, n_runs: int, n_jobs: int, seed: int) -> float:
    """Return the time of an aligned model's ``predict`` in predicts where few nodes ask about the constrained feature."""
    X_training, y_training = rare_problem(n_training, seed)
    X, _ = rare_problem(n_rows, seed + 1)
    model.fit(X_training, y_training)
    aligned = AlignedRegressor(model, {0: +1}, alpha=0, n_jobs=n_jobs).calibrate(X_training)
    own, together = _medians([partial(model.predict, X), partial(aligned.predict, X)], n_runs)
    return together / own


def ratios(
    n_rows: int = 100_000, *, n_training: int = 20_000, n_runs: int = 5, n_jobs: int = 1, seed: int = 0
) -> list[dict[str, Any]]:
    """Return, for each model, microseconds per row of ``predict`` and how many of them each stage takes."""
    X_training, y_training = problem(n_training, seed)
    X, _ = problem(n_rows, seed + 1)
    few = X[: max(1, n_rows // SHARE)]
    results = []
    with threadpool_limits(n_jobs):
        for name, model in models(n_jobs).items():
            model.fit(X_training, y_training)
            aligned, knots = (
                AlignedRegressor(it, {0: +1}, alpha=0, n_jobs=n_jobs).calibrate(X_training)
                for it in (model, Hidden(model))
            )
            repair, ensemble = aligned.alignment_.chain.stages[0], read_ensemble(model)
            assert isinstance(repair, (TreeProjector, WalkedGridProjector))
            assert isinstance(ensemble, Ensemble)
            lines = repair.tree_lines if isinstance(repair, TreeProjector) else repair.walked
            assert isinstance(lines, TreeLines)
            n_pieces = ensemble.pieces(0).size + 1
            places = repair.places if isinstance(repair, TreeProjector) else repair.laws[0].knots
            own = piece_of(places, X[:, :1])
            on_grid = np.repeat(few[: max(1, few.shape[0] * 256 // n_pieces)], n_pieces, axis=0)
            predict, *stages = _medians(
                [
                    partial(model.predict, X),
                    partial(lines.values, X),
                    partial(lines.project, X, own, np.full(lines.n_places, 1.0)),
                    partial(aligned.predict, X),
                    partial(knots.predict, few),
                    partial(model.predict, on_grid),
                ],
                n_runs,
            )
            scales = (1, 1, 1, X.shape[0] / few.shape[0], X.shape[0] * n_pieces / on_grid.shape[0])
            taken = [scale * seconds / predict for scale, seconds in zip(scales, stages, strict=True)]
            alone, together = _medians([partial(model.predict, X[:1]), partial(aligned.predict, X[:1])], N_SINGLE)
            rarely = rarely_used(clone(model), n_rows, n_training=n_training, n_runs=n_runs, n_jobs=n_jobs, seed=seed)
            results.append(
                {
                    "model": name,
                    "pieces": n_pieces,
                    "repair": aligned.calibration_.repair,
                    "predict_us": predict / n_rows * 1e6,
                }
                | dict(zip(STAGES, [*taken, together / alone, rarely], strict=True))
            )
    return results


def scaling(n_rows: int = 10_000, *, n_runs: int = 3, seed: int = 0) -> dict[str, float]:
    """Return how many times as long it takes to calibrate, and to certify, ten times ``n_rows`` rows as ``n_rows``."""
    X_training, y_training = problem(5000, seed)
    (X, _), (fresh, _) = problem(10 * n_rows, seed + 1), problem(10 * n_rows, seed + 2)
    model = HistGradientBoostingRegressor(random_state=0).fit(X_training, y_training)
    few = AlignedRegressor(model, {0: +1}, alpha=0.1, random_state=0, confidence=None)
    many = AlignedRegressor(model, {0: +1}, alpha=0.1, random_state=0, confidence=None)
    with threadpool_limits(1):
        once = _medians(
            [
                partial(few.calibrate, X[:n_rows], X_reference=X_training),
                partial(many.calibrate, X, X_reference=X_training),
                lambda: few.certify(fresh[:n_rows]),
                lambda: many.certify(fresh),
            ],
            n_runs,
        )
    return {"calibrate": once[1] / once[0], "certify": once[3] / once[2]}


def fresh_processes(n_rows: int = 1_000_000) -> dict[str, float]:
    """Return megabytes beyond the model's own ``predict``, and seconds of first use without and with code on disk."""
    with TemporaryDirectory() as cache:
        first, later = (_in_process(FIRST_USE, cache, n_rows) for _ in range(2))
        return {"megabytes": _in_process(MEMORY, cache, n_rows), "first use": first, "later use": later}


def _in_process(program: str, cache: str, n_rows: int) -> float:
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", PROBLEM + program, str(n_rows)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def run(output: Path) -> None:
    """Print the ratios and write them to ``output``."""
    n_jobs = cpu_count()
    results = ratios(n_jobs=n_jobs)
    header = ("model", "pieces", "predict, us/row", *STAGES)
    rows = [
        (row["model"], str(row["pieces"]), f"{row['predict_us']:.2f}", *(f"{row[stage]:.2f}" for stage in STAGES))
        for row in results
    ]
    print(
        f"100,000 rows of {N_FEATURES} features, {n_jobs} threads; in predicts of the same rows, medians of one run\n"
    )
    print(markdown(header, rows))
    print("\n" + "\n".join(f"{row['model']}: {row['repair']}" for row in results))
    linear = scaling()
    print(
        "\nTen times as many rows take " + ", ".join(f"{ratio:.1f} times to {stage}" for stage, ratio in linear.items())
    )
    fresh = fresh_processes()
    print(
        f"A million rows take {fresh['megabytes']:.0f} MB more than the model's own predict, of which 8 are the predictions; "
        f"importing and first use {fresh['first use']:.1f} s, in later processes {fresh['later use']:.1f} s"
    )
    write_json(output / "speed.json", {"ratios": results, "scaling": linear, "fresh processes": fresh})


def _medians(stages: list[Callable[[], object]], n_runs: int) -> list[float]:
    """Return the median seconds of each stage, the stages taken in turn so that drift hits all alike."""
    times = np.empty((n_runs + 1, len(stages)))
    for run_index in range(n_runs + 1):
        for i, stage in enumerate(stages):
            start = perf_counter()
            stage()
            times[run_index, i] = perf_counter() - start
    medians: list[float] = np.median(times[1:], axis=0).tolist()
    return medians
