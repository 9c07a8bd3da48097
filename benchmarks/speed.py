"""Speed of exact lines of tree ensembles, as ratios to the model's own ``predict`` on the same rows in the same run.

``lines`` are stored whole; ``l2`` and ``sup`` are projected and looked up at the row's own place as the walk goes, which is
all that full strength needs besides ``predict``. Everything runs on one thread, stages in turn, medians.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from threadpoolctl import threadpool_limits

from alignconf.ensemble import Ensemble, thinned_places
from alignconf.trees import read_ensemble
from benchmarks.tables import markdown, write_json

__all__ = ["ratios", "run"]

N_FEATURES = 10

#: Pieces to which forests, which have tens of thousands, are thinned.
MAX_PIECES = 256

STAGES = ("lines", "l2", "sup")


def models() -> dict[str, Any]:
    """Return the models whose libraries are installed, by name, not fitted."""
    found: dict[str, Any] = {"histogram boosting": HistGradientBoostingRegressor()}
    try:
        from lightgbm import LGBMRegressor

        found["LightGBM"] = LGBMRegressor(n_jobs=1, verbose=-1)
    except ImportError:
        print("LightGBM: not installed, skipped")
    try:
        from xgboost import XGBRegressor

        found["XGBoost"] = XGBRegressor(n_jobs=1)
    except ImportError:
        print("XGBoost: not installed, skipped")
    return found | {"forest": RandomForestRegressor(100, n_jobs=1, random_state=0)}


def problem(n_samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n_samples, N_FEATURES))
    y = X[:, 0] + np.sin(2 * X[:, 1]) + X[:, 2] * X[:, 3] + 0.3 * X[:, 0] ** 2 + random.normal(size=n_samples)
    return X, y


def ratios(
    n_rows: int = 100_000, *, n_training: int = 20_000, n_runs: int = 5, seed: int = 0
) -> list[dict[str, float | str]]:
    """Return, for each model, microseconds per row of ``predict`` and how many of them each stage takes."""
    X_training, y_training = problem(n_training, seed)
    X, _ = problem(n_rows, seed + 1)
    results: list[dict[str, float | str]] = []
    with threadpool_limits(1):
        for name, model in models().items():
            model.fit(X_training, y_training)
            ensemble = read_ensemble(model)
            if not isinstance(ensemble, Ensemble):
                raise TypeError(ensemble)
            n_pieces = ensemble.pieces(0).size + 1
            lines = ensemble.along(0, thinned_places(X_training[:, 0], MAX_PIECES) if n_pieces > 10_000 else None)
            own, weights = lines.piece_of(X[:, :1]), np.full(lines.places.size, 1 / lines.places.size)
            predict, *stages = _medians(
                [
                    partial(model.predict, X),
                    partial(lines.values, X),
                    partial(lines.project, X, own, weights),
                    partial(lines.project, X, own, None),
                ],
                n_runs,
            )
            taken = {"predict_us": predict / n_rows * 1e6}
            taken |= {stage: seconds / predict for stage, seconds in zip(STAGES, stages, strict=True)}
            results.append({"model": name, "pieces": n_pieces, "places": lines.places.size, **taken})
    return results


def run(output: Path) -> None:
    """Print the ratios and write them to ``output``."""
    results = ratios()
    header = ("model", "pieces", "places", "predict, us/row", "lines", "l2", "sup", "predict + l2")
    rows = [
        (
            *(str(row[key]) for key in ("model", "pieces", "places")),
            *(f"{row[key]:.2f}" for key in ("predict_us", *STAGES)),
            f"{1 + float(row['l2']):.2f}",
        )
        for row in results
    ]
    print(f"100,000 rows of {N_FEATURES} features, one thread; in predicts of the same rows, medians of one run\n")
    print(markdown(header, rows))
    write_json(output / "speed.json", results)


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
