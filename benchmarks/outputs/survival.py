"""Survival curves of the veterans' lung cancer trial: they fall, and risk rises with age, at what cost in accuracy.

The data come with scikit-survival. Five folds, repeated: a random survival forest, and one classifier for each time (whether a
patient lives longer, fitted to those of whom it is known), whose curves need not fall. Measured on held-out folds: curves that
rise somewhere, pairs of ages whose curves are out of order at some time, Harrell's concordance, the integrated Brier score.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import KFold

from alignconf import OUTPUTS, AlignedRegressor
from alignconf.properties import Decreasing
from benchmarks.measures import pairs
from benchmarks.tables import markdown

__all__ = ["SurvivalResult", "survival_results", "survival_table"]

TIMES = (20, 40, 60, 90, 120, 160, 200, 250)
AGE = "Age_in_years"


class ByTime:
    """One classifier for each time, whose answers are the probabilities to live longer."""

    def __init__(self, X: pd.DataFrame, event: np.ndarray, time: np.ndarray, seed: int) -> None:
        self.classifiers = []
        for limit in TIMES:
            known = event | (time > limit)
            classifier = RandomForestClassifier(100, min_samples_leaf=5, random_state=seed)
            self.classifiers.append(classifier.fit(X[known], time[known] > limit))

    def predict(self, X: Any) -> np.ndarray:
        """Return the probability to live longer than each time, (n_samples, n_times)."""
        return np.column_stack([classifier.predict_proba(X)[:, -1] for classifier in self.classifiers])


class OfForest:
    """The curves of a random survival forest at the times."""

    def __init__(self, X: pd.DataFrame, event: np.ndarray, time: np.ndarray, seed: int) -> None:
        labels = np.array(list(zip(event, time, strict=True)), dtype=[("event", bool), ("time", float)])
        kind = import_module("sksurv.ensemble").RandomSurvivalForest
        self.forest = kind(100, min_samples_leaf=5, random_state=seed).fit(X, labels)

    def predict(self, X: Any) -> np.ndarray:
        """Return the probability to live longer than each time, (n_samples, n_times)."""
        return np.array([curve(np.array(TIMES, dtype=float)) for curve in self.forest.predict_survival_function(X)])


MODELS = {"one classifier for each time": ByTime, "random survival forest": OfForest}


@dataclass(frozen=True)
class SurvivalResult:
    """One method on all held-out folds of one shuffle."""

    model: str
    method: str
    rising: float
    violated: float
    concordance: float
    brier: float


def survival_results(n_seeds: int) -> Iterator[SurvivalResult]:
    """Yield the results of every shuffle; none, and a sentence, where scikit-survival is not installed."""
    try:
        X, labels = import_module("sksurv.datasets").load_veterans_lung_cancer()
    except ImportError as error:
        print(f"survival is left out: {error}")
        return
    X = pd.get_dummies(X, dtype=float)
    event, time = labels["Status"], labels["Survival_in_days"].astype(float)
    for name, kind in MODELS.items():
        for seed in range(n_seeds):
            curves: dict[str, np.ndarray] = {}
            failed: dict[str, list[np.ndarray]] = {}
            for train, test in KFold(5, shuffle=True, random_state=seed).split(X):
                model = kind(X.iloc[train], event[train], time[train], seed)
                aligned = AlignedRegressor(model, [Decreasing(OUTPUTS), Decreasing(AGE)], outputs=TIMES, alpha=0)
                aligned.calibrate(X.iloc[train])
                ages = pairs(X.iloc[test], X.iloc[train], AGE, 1, seed)[:, 0]
                functions: dict[str, Any] = {"the model as it is": model, "aligned": aligned}
                for method, function in functions.items():
                    told = curves.setdefault(method, np.empty((len(X), len(TIMES))))
                    told[test] = function.predict(X.iloc[test])
                    young, old = (function.predict(X.iloc[test].assign(**{AGE: ages[:, side]})) for side in (0, 1))
                    failed.setdefault(method, []).append((old - young > 1e-9).any(axis=1))
            for method, told in curves.items():
                yield _measured(name, method, told, np.concatenate(failed[method]), event, time)


def _measured(
    model: str, method: str, curves: np.ndarray, failed: np.ndarray, event: np.ndarray, time: np.ndarray
) -> SurvivalResult:
    metrics = import_module("sksurv.metrics")
    labels = np.array(list(zip(event, time, strict=True)), dtype=[("event", bool), ("time", float)])
    return SurvivalResult(
        model,
        method,
        float((np.diff(curves, axis=1) > 1e-9).any(axis=1).mean()),
        float(failed.mean()),
        float(metrics.concordance_index_censored(event, time, -curves.sum(axis=1))[0]),
        float(metrics.integrated_brier_score(labels, labels, curves, np.array(TIMES, dtype=float))),
    )


def survival_table(results: list[SurvivalResult]) -> str:
    """Return the means over shuffles."""
    header = ("model", "method", "rising curves", "violated pairs of ages", "concordance", "integrated Brier")
    lines = []
    for model, method in dict.fromkeys((result.model, result.method) for result in results):
        alike = [result for result in results if (result.model, result.method) == (model, method)]
        means = {name: np.mean([getattr(result, name) for result in alike]) for name in ("rising", "violated")}
        scores = (np.mean([result.concordance for result in alike]), np.mean([result.brier for result in alike]))
        lines.append((
            model, method, f"{means['rising']:.2%}", f"{means['violated']:.2%}", f"{scores[0]:.4f}", f"{scores[1]:.4f}",
        ))  # fmt: skip
    return markdown(header, lines)
