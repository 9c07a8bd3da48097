"""Prediction rule reshaping on the data of its authors' example: diabetes, forests that may not fall with the body mass index.

Bonakdarpour et al. (2018) claim that reshaping keeps the rule without compromising accuracy. Forests are of the size of theirs:
regression trees of a third of the features at each split and at least five rows in a leaf, trained on four fifths of the rows.
For each random cut of the rows the same forest is judged as it is, with each tree on its own, over-constrained, and aligned at
alpha 0. Differences of errors are paired, their standard errors those over cuts, which share rows: intervals are a little narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from alignconf import AlignedRegressor
from benchmarks.measures import mean_squared_error, pairs, violated
from benchmarks.methods.reshaped import over_constrained, reshape
from benchmarks.problems import PROBLEMS, Rows, load, split
from benchmarks.tables import markdown, write_json

__all__ = ["METHODS", "Result", "run", "summary"]

SHARES = (0.8, 0.0, 0.0, 0.2)
N_TREES, N_QUERIES = 100, 20

SIGNS = PROBLEMS["diabetes"].signs


def _aligned(model: Any, train: Rows) -> Any:
    aligned = AlignedRegressor(model, SIGNS, alpha=0, random_state=0, n_jobs=1)
    return aligned.calibrate(train.X[:0], X_reference=train.X)


METHODS: dict[str, Callable[[Any, Rows], Any]] = {
    "forest": lambda model, _: model,
    "each tree on its own": lambda model, train: reshape(model, train.X, SIGNS),
    "over-constrained": lambda model, train: over_constrained(model, train.X, SIGNS),
    "aligned, alpha 0": _aligned,
}


@dataclass(frozen=True)
class Result:
    """The squared error of a method at the test rows of a seed, and the share of fresh pairs that it has in the wrong order."""

    method: str
    seed: int
    error: float
    violated: float


def run(n_seeds: int, output: Path) -> list[Result]:
    """Measure, print the table and write it."""
    rows = load(PROBLEMS["diabetes"], None)
    results = [result for seed in range(n_seeds) for result in _of_seed(rows, seed)]
    told = f"diabetes, {n_seeds} random cuts 80/20, means\n\n{summary(results)}"
    print(f"\n{told}\n")
    write_json(output / "reshaping.json", [asdict(result) for result in results])
    (output / "reshaping.md").write_text(told + "\n")
    return results


def summary(results: Sequence[Result]) -> str:
    """Return the table: errors, and by how much they differ from the forest's."""
    errors = {name: np.array([each.error for each in results if each.method == name]) for name in METHODS}
    lines = []
    for name, of_seeds in errors.items():
        change = of_seeds - errors["forest"]
        deviation = change.std(ddof=min(1, change.size - 1)) / np.sqrt(change.size)
        share = float(np.mean([each.violated for each in results if each.method == name]))
        lines.append(
            (
                name,
                f"{of_seeds.mean():.0f}",
                f"{change.mean():+.1f} +- {deviation:.1f}",
                f"{share:.2%}" if share else "0",
            )
        )
    return markdown(("method", "mean squared error", "less the forest's", "violated pairs"), lines)


def _of_seed(rows: Rows, seed: int) -> list[Result]:
    cut = split(rows, SHARES, seed)
    forest = RandomForestRegressor(N_TREES, max_features=1 / 3, min_samples_leaf=5, random_state=seed)
    forest.fit(cut.train.X, cut.train.y)
    ((feature, sign),) = SIGNS.items()
    asked = pairs(cut.test.X, cut.train.X, feature, N_QUERIES, seed)
    results = []
    for name, method in METHODS.items():
        made = method(forest, cut.train)
        share = violated(made, cut.test.X, feature, sign, asked).mean()
        results.append(Result(name, seed, mean_squared_error(cut.test.y, made.predict(cut.test.X)), float(share)))
    return results
