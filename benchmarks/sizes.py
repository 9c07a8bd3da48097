"""Does a bigger model violate more? Violations of one rule against trees, depth and width, on five data sets.

Three families grow one after the other: a forest by its trees, boosted trees by their depth, a neural network by its width. Each
model is fitted on 70 % of the rows and asked, at the other rows, fresh pairs from the training law of the feature: which
share is in wrong order, which share by more than 1 % of the standard deviation of the labels (tiny wiggles aside), and what its
error is. Sizes are fixed beforehand; nothing is stopped early and nothing is chosen. Whether violations rise with size is
tested by slopes over seeds for each data set, and over data sets for each family (:mod:`benchmarks.trend`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import journal
from benchmarks.measures import mean_squared_error, pairs, violated
from benchmarks.problems import PROBLEMS, load, split
from benchmarks.tables import environment, markdown, write_json
from benchmarks.trend import of_slopes, trend

__all__ = ["FAMILIES", "Family", "Result", "material", "run", "summary", "two_layers"]

N_QUERIES = 10
MATERIAL = 0.01

#: More rows than these do not train, so that every size is affordable.
MAX_TRAIN = 3000


@dataclass(frozen=True)
class Family:
    """Models that grow: ``build(size, seed)``."""

    name: str
    size: str
    sizes: tuple[int, ...]
    build: Callable[[int, int], Any]


@dataclass(frozen=True)
class Result:
    """One model: shares of pairs in wrong order, and its squared error as a share of the labels' variance."""

    dataset: str
    family: str
    size: int
    seed: int
    violations: float
    material: float
    error: float


def _boosted(depth: int, seed: int) -> Any:
    from xgboost import XGBRegressor

    return XGBRegressor(n_estimators=200, learning_rate=0.1, max_depth=depth, random_state=seed, n_jobs=1)


def two_layers(width: int, seed: int, *, n_epochs: int = 150, learning_rate: float = 0.005) -> Any:
    """Return a network with two layers of ``width`` units behind a scaler, trained for so many epochs whatever its loss."""
    network = MLPRegressor(
        hidden_layer_sizes=(width, width),
        learning_rate_init=learning_rate,
        max_iter=n_epochs,
        tol=0,
        n_iter_no_change=n_epochs,
        random_state=seed,
    )
    return make_pipeline(StandardScaler(), network)


FAMILIES = (
    Family("forest", "trees", (1, 3, 10, 30, 100, 300), lambda n, seed: RandomForestRegressor(n, random_state=seed)),
    Family("boosted trees", "depth", (1, 2, 3, 4, 6, 8, 10), _boosted),
    Family("network, two layers", "width", (4, 8, 16, 32, 64, 128), two_layers),
)


def run(
    directory: Path | None,
    datasets: Sequence[str],
    n_seeds: int,
    output: Path,
    families: Sequence[Family] = FAMILIES,
) -> list[Result]:
    """Fit every size, print a table, draw it and write both; what the journal ``sizes.jsonl`` holds is not fitted again."""

    def measure(name: str, seed: int) -> list[dict[str, Any]]:
        return [asdict(result) for result in _measured(name, directory, seed, families)]

    jobs = [(name, seed) for seed in range(n_seeds) for name in datasets]
    grown = "; ".join(f"{family.name} {family.sizes}" for family in families)
    stored = journal.complete(output / "sizes.jsonl", jobs, measure, settings=grown, unit="data set x seed")
    results = sorted((Result(**result) for result in stored), key=lambda result: datasets.index(result.dataset))
    report = summary(results)
    print(f"\n{n_seeds} seeds, mean +- s.d.; shares of pairs in percent\n\n{report}\n")
    write_json(output / "sizes.json", [asdict(result) for result in results])
    pd.DataFrame([asdict(result) for result in results]).to_csv(output / "sizes.csv", index=False)
    versions = ", ".join(f"{name} {version}" for name, version in environment().items())
    (output / "sizes.md").write_text(f"# Violations against size\n\n{report}\n\n{versions}\n")
    _figure(results, families, output / "sizes.png")
    print(f"Results and figure: {output}/sizes[.csv, .json, .md, .png]")
    return results


def material(model: Any, X: pd.DataFrame, feature: str, sign: int, asked: np.ndarray, unit: float) -> float:
    """Return the share of pairs in wrong order by more than ``MATERIAL`` units."""
    repeated = X.iloc[np.repeat(np.arange(len(X)), asked[0].size)].copy()
    repeated[feature] = asked.ravel()
    values = np.asarray(model.predict(repeated), dtype=float).reshape(asked.shape)
    return float(np.mean(sign * (values[..., 0] - values[..., 1]) > MATERIAL * unit))


def summary(results: Sequence[Result]) -> str:
    """Return the table by data set, family and size, and that of the trends."""
    rows = []
    for dataset, family in dict.fromkeys((one.dataset, one.family) for one in results):
        growing = [one for one in results if (one.dataset, one.family) == (dataset, family)]
        for size in dict.fromkeys(one.size for one in growing):
            group = [one for one in growing if one.size == size]
            rows.append((dataset, family, str(size), *(
                _spread([scale * getattr(one, name) for one in group], digits)
                for name, scale, digits in (("violations", 100, ".2f"), ("material", 100, ".2f"), ("error", 1, ".4f"))
            )))  # fmt: skip
    header = ("data", "family", "size", "violated", "by > 1 % of s.d.", "error / variance")
    return markdown(header, rows) + "\n\n" + trends(results)


def trends(results: Sequence[Result]) -> str:
    """Return slopes, in percentage points a step of size, for each family and data set and over data sets."""
    rows = []
    for family in dict.fromkeys(one.family for one in results):
        measures = ("violations", "material")
        slopes: dict[str, list[float]] = {measure: [] for measure in measures}
        for dataset in dict.fromkeys(one.dataset for one in results):
            tests = []
            for measure in measures:
                mine = [one for one in results if (one.dataset, one.family) == (dataset, family)]
                curves = [
                    [100 * getattr(one, measure) for one in sorted(mine, key=lambda one: one.size) if one.seed == seed]
                    for seed in dict.fromkeys(one.seed for one in mine)
                ]
                tests.append(trend(curves) if len(curves[0]) > 1 else None)
            if all(tests):
                rows.append((family, dataset, *(test.words for test in tests if test)))
                for measure, test in zip(measures, tests, strict=True):
                    slopes[measure] += [test.slope] if test else []
        if slopes["violations"]:
            rows.append((family, "over data sets", *(of_slopes(slopes[measure]).words for measure in measures)))
    return markdown(("family", "data", "slope of violated", "slope of those by > 1 % of s.d."), rows)


def _measured(name: str, directory: Path | None, seed: int, families: Sequence[Family]) -> list[Result]:
    problem = PROBLEMS[name]
    ((feature, sign),) = problem.signs.items()
    parts = split(load(problem, directory), (0.7, 0.0, 0.0, 0.3), seed)
    X, y = parts.train.X[:MAX_TRAIN], parts.train.y[:MAX_TRAIN]
    test = parts.test.X[:1000]
    asked, deviation = pairs(test, X, feature, N_QUERIES, seed + 1000), float(y.std())
    found = []
    for family in families:
        for size in family.sizes:
            # Networks learn labels of unit size; it changes neither order nor the other models.
            with warnings.catch_warnings():
                # Networks have as many rounds as they are given, converged or not.
                warnings.simplefilter("ignore", ConvergenceWarning)
                model = family.build(size, seed).fit(X, (y - y.mean()) / deviation)
            rate = float(violated(model, test, feature, sign, asked).mean())
            large = material(model, test, feature, sign, asked, 1.0)
            error = mean_squared_error((parts.test.y - y.mean()) / deviation, model.predict(parts.test.X))
            found.append(Result(name, family.name, size, seed, rate, large, error))
    return found


def _spread(values: Sequence[float], digits: str) -> str:
    return f"{np.mean(values):{digits}} +- {np.std(values, ddof=min(1, len(values) - 1)):{digits}}"


def _figure(results: Sequence[Result], families: Sequence[Family], path: Path) -> None:
    figure, axes = plt.subplots(1, len(families), figsize=(4 * len(families), 3.8), layout="constrained", squeeze=False)
    for ax, family in zip(axes[0], families, strict=True):
        for color, dataset in zip(
            ("C0", "C1", "C2", "C3", "C4"), dict.fromkeys(one.dataset for one in results), strict=False
        ):
            mine = [one for one in results if (one.dataset, one.family) == (dataset, family.name)]
            for name, style in (("violations", "o-"), ("material", "s:")):
                means = [100 * np.mean([getattr(o, name) for o in mine if o.size == size]) for size in family.sizes]
                label = dataset + (", by > 1 % of s.d." if name == "material" else "")
                ax.plot(family.sizes, means, style, color=color, ms=4, label=label)
        ax.set(xscale="log", title=family.name, xlabel=family.size, ylim=(0, None))
        ax.set_xticks(family.sizes, [str(size) for size in family.sizes])
        ax.minorticks_off()
    axes[0][0].set_ylabel("violated fresh pairs, %")
    handles = axes[0][0].get_lines()
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=7, frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
