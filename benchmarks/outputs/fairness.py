"""Three classes and an attribute that must not matter: how far any class's probability moves when the attribute is exchanged.

Pupils' final grades in Portuguese (UCI), in three classes, from what is known at the start of the year; the attribute is their
sex. The rival aligns one class, as is done for two classes, and lets the others keep their proportions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from alignconf import AlignedClassifier
from alignconf.properties import Invariant
from benchmarks.problems import Rows, read, split
from benchmarks.tables import markdown

__all__ = ["FairnessResult", "fairness_results", "fairness_table"]

SHARES = (0.5, 0.2, 0.0, 0.3)


@dataclass(frozen=True)
class FairnessResult:
    """One method on the test rows of one seed: the largest change of any probability, the log-loss, and the sum's error."""

    method: str
    change: float
    log_loss: float
    off_one: float


def fairness_results(directory: Path | None, n_seeds: int) -> Iterator[FairnessResult]:
    """Yield the results of every seed; none without the directory of data sets."""
    if directory is None:
        print("fairness is left out: pass --data DIR, a directory that holds student_por.csv")
        return
    table = read("student_por", "g3", directory)
    grades = np.array(["low", "mid", "high"])[np.digitize(table["g3"], [10, 14])]
    X = pd.get_dummies(table.drop(columns=["g1", "g2", "g3", "sex"]), dtype=float)
    X["sex"] = (table["sex"] == "M").astype(float)
    for seed in range(n_seeds):
        cut = split(Rows(X, grades), SHARES, seed)
        model = HistGradientBoostingClassifier(random_state=seed).fit(cut.train.X, cut.train.y)
        rules = [Invariant("sex")]
        one = AlignedClassifier(model, rules, pos_label="high", alpha=0).calibrate(cut.calibrate.X)
        every = AlignedClassifier(model, rules, classes="all", alpha=0).calibrate(cut.calibrate.X)
        within = AlignedClassifier(model, rules, classes="all", alpha=0.2, random_state=seed).calibrate(cut.calibrate.X)
        methods = {"the model as it is": model, "one class aligned": one, "all classes aligned": every}
        methods["all classes aligned, alpha 0.2"] = within
        exchanged = cut.test.X.assign(sex=1 - cut.test.X["sex"])
        for method, function in methods.items():
            p = function.predict_proba(cut.test.X)
            yield FairnessResult(
                method,
                float(np.abs(p - function.predict_proba(exchanged)).max()),
                _log_loss(p, np.searchsorted(model.classes_, cut.test.y)),
                float(np.abs(p.sum(axis=1) - 1).max()),
            )


def _log_loss(p: np.ndarray, columns: np.ndarray) -> float:
    """Return the mean log-loss; a probability of less than one in a thousand counts as that."""
    return float(-np.log(np.maximum(p[np.arange(columns.size), columns], 1e-3)).mean())


def fairness_table(results: list[FairnessResult]) -> str:
    """Return the largest change over seeds, and the mean log-loss."""
    header = ("method", "largest change of a probability", "log-loss", "sums differ from 1 by at most")
    lines = []
    for method in dict.fromkeys(result.method for result in results):
        alike = [result for result in results if result.method == method]
        change, off_one = (max(getattr(result, name) for result in alike) for name in ("change", "off_one"))
        lines.append(
            (method, f"{change:.3g}", f"{np.mean([result.log_loss for result in alike]):.4f}", f"{off_one:.1g}")
        )
    return markdown(header, lines)
