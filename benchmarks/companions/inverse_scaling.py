"""Inverse scaling: whether a bigger model of the same kind violates a rule more often, while its error falls.

Three families grow, each by one number, on three data sets; every size is fitted on the same rows of a seed and asked the
same fresh pairs at test rows. Whether violations rise or fall with size is tested by ranks within seeds
(:func:`benchmarks.trend.jonckheere`), in both directions, corrected by Holm for all tests of the table. Seeds of one data set
share its rows: a verdict speaks of seeds and splits of these data and of these sizes, not of models or data in general.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from statsmodels.stats.multitest import multipletests
from tqdm import tqdm

from benchmarks.companions.parts import PartTable
from benchmarks.measures import mean_squared_error, pairs, violated
from benchmarks.problems import PROBLEMS, Rows, load, split
from benchmarks.sizes import two_layers
from benchmarks.trend import jonckheere

__all__ = ["FAMILIES", "Case", "Growing", "cases", "measured", "tables", "verdict"]

LEVEL = 0.01
MOST_TRAIN, MOST_TEST, N_QUERIES = 800, 500, 10


@dataclass(frozen=True)
class Growing:
    """Models that grow: ``build(size, seed)``."""

    name: str
    sizes: tuple[int, ...]
    build: Callable[[int, int], Any]


@dataclass(frozen=True)
class Case:
    """Rows with a rule: predictions go with ``feature`` in the direction of ``sign``."""

    name: str
    rows: Rows
    feature: str
    sign: int


FAMILIES = (
    Growing(
        "boosted trees, leaves",
        (2, 4, 8, 16, 32),
        lambda n, seed: HistGradientBoostingRegressor(
            max_leaf_nodes=n, max_iter=100, min_samples_leaf=5, early_stopping=False, random_state=seed
        ),
    ),
    Growing(
        "forest, depth",
        (1, 2, 4, 8, 16),
        lambda depth, seed: RandomForestRegressor(30, max_depth=depth, random_state=seed),
    ),
    Growing("network, width", (2, 4, 8, 16, 32), partial(two_layers, n_epochs=60, learning_rate=0.01)),
)


def cases(directory: Path | None) -> list[Case]:
    """Return three data sets with a rule; those that scikit-learn brings if there is no directory."""
    if directory is not None:
        problems = [PROBLEMS[name] for name in ("power_plant", "abalone", "concrete")]
        return [Case(p.name, load(p, directory), *next(iter(p.signs.items()))) for p in problems]
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    tumours, benign = load_breast_cancer(return_X_y=True, as_frame=True)
    wines, cultivar = load_wine(return_X_y=True, as_frame=True)
    return [
        Case("diabetes", Rows(X, y.to_numpy(dtype=float)), "bmi", +1),
        Case("breast cancer, malignant", Rows(tumours, 1.0 - benign.to_numpy(dtype=float)), "worst concave points", +1),
        Case("wine, first cultivar", Rows(wines, (cultivar.to_numpy() == 0).astype(float)), "proline", +1),
    ]


def measured(case: Case, seed: int) -> list[dict[str, Any]]:
    """Return violation rate and error of each size of each family: a record for each."""
    parts = split(case.rows, (0.7, 0.0, 0.0, 0.3), seed)
    X, y = parts.train.X[:MOST_TRAIN], parts.train.y[:MOST_TRAIN]
    test, labels = parts.test.X[:MOST_TEST], parts.test.y[:MOST_TEST]
    asked, mean, deviation = pairs(test, X, case.feature, N_QUERIES, seed + 1000), y.mean(), y.std()
    records = []
    for family in FAMILIES:
        for size in family.sizes:
            with warnings.catch_warnings():
                # Networks have as many rounds as they are given, converged or not.
                warnings.simplefilter("ignore", ConvergenceWarning)
                model = family.build(size, seed).fit(X, (y - mean) / deviation)
            rate = float(violated(model, test, case.feature, case.sign, asked).mean())
            error = mean_squared_error((labels - mean) / deviation, model.predict(test))
            records.append(
                {
                    "data": case.name,
                    "family": family.name,
                    "size": size,
                    "seed": seed,
                    "violations": rate,
                    "error": error,
                }
            )
    return records


def verdict(rises: float, falls: float) -> str:
    """Return the verdict of two corrected p-values, of no rise and of no fall; flat where neither is shown."""
    if min(rises, falls) >= LEVEL:
        return "flat"
    return "rises" if rises < falls else "falls"


def tables(n_seeds: int, directory: Path | None) -> Iterator[PartTable]:
    """Yield violations at the smallest and the largest size, and the verdict of each family on each data set."""
    jobs = [(case, seed) for case in cases(directory) for seed in range(n_seeds)]
    records = [record for case, seed in tqdm(jobs, desc="data x seed") for record in measured(case, seed)]
    frame = pd.DataFrame(records)
    groups = list(frame.groupby(["data", "family"], sort=False))
    curves = {
        (key, measure): group.pivot_table(index="seed", columns="size", values=measure).to_numpy()
        for key, group in groups
        for measure in ("violations", "error")
    }
    # A smallest size that can hardly break the rule would be a rise by itself.
    curves |= {(key, "but the smallest"): curves[key, "violations"][:, 1:] for key, _ in groups}
    p_values = [jonckheere(sign * curve) for curve in curves.values() for sign in (1, -1)]
    tests = multipletests(p_values, method="holm")[1].reshape(-1, 2)
    verdicts = {key: (verdict(*pair), float(pair.min())) for key, pair in zip(curves, tests, strict=True)}
    header = (
        "data",
        "family",
        "sizes",
        "violated, smallest to largest",
        "violations",
        "corrected p",
        "without the smallest",
        "error",
        "test error",
    )
    rows = []
    for key, group in groups:
        violations, error = curves[key, "violations"], curves[key, "error"]
        words, p_value = verdicts[key, "violations"]
        rows.append((
            *key,
            f"{group['size'].min()} to {group['size'].max()}",
            " ".join(f"{100 * rate:.1f}%" for rate in violations.mean(axis=0)),
            words,
            f"{p_value:.2g}",
            verdicts[key, "but the smallest"][0],
            f"{error.mean(axis=0)[0]:.2f} to {error.mean(axis=0)[-1]:.2f}",
            verdicts[key, "error"][0],
        ))  # fmt: skip
    yield PartTable(f"violations against size, {n_seeds} seeds, {tests.size} tests corrected", header, rows, records)
