"""Proposals: precision and recall of mining, a corpus of specifications, and rows that overlap.

Mining: 18 features, neighbours correlated .6; 6 have a monotone effect, 6 a cosine, 6 none. The baseline looks at each feature by
itself (Kendall's tau, the same false discovery rate). The corpus has 60 entries that are true of a problem with categories, and
40 that are malformed, cannot be meant, contradict each other, or are the wrong way round.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, kendalltau
from sklearn.ensemble import HistGradientBoostingRegressor

from alignconf import AlignedRegressor, InputError
from alignconf._typing import FloatArray
from alignconf.deployment.propose import Review, propose_properties, read_specifications, review_specifications
from benchmarks.risk.checks import Check

__all__ = ["Named", "broken", "checks", "judged_corpus", "planted", "truths", "valid"]

MONOTONE: tuple[tuple[int, Callable[[FloatArray], FloatArray]], ...] = (
    (1, lambda x: x),
    (-1, lambda x: -x),
    (1, lambda x: 2 * np.tanh(x)),
    (1, lambda x: np.exp(x / 2)),
    (1, lambda x: -np.log1p(np.exp(-2 * x))),
    (-1, lambda x: -x - 0.1 * x**3),
)


def planted(n_rows: int, seed: int, *, noise: float = 1.0, monotone: bool = True) -> tuple[FloatArray, FloatArray, Any]:
    """Return rows, labels and the direction of each feature's effect, 0 where it is not monotone or there is none."""
    random = np.random.default_rng([seed, n_rows])
    X = random.normal(size=(n_rows, 18))
    for j in range(1, 18):
        X[:, j] = 0.6 * X[:, j - 1] + 0.8 * X[:, j]
    kinds = random.permutation(np.repeat([0, 1, 2], 6))
    directions = np.zeros(18, dtype=int)
    y = noise * random.normal(size=n_rows)
    effects = iter(MONOTONE)
    for j, kind in enumerate(kinds):
        if kind == 0 and monotone:
            directions[j], effect = next(effects)
            y += effect(X[:, j])
        elif kind == 1:
            y += 1.5 * np.cos(random.uniform(2, 3) * X[:, j])
    return X, y, directions


def truths(review: Review, directions: Any) -> tuple[int, int, int]:
    """Return how many monotone proposals there are, how many of them are right, and how many are to be found."""
    words = {"increasing": 1, "decreasing": -1}
    given = [(one.words.split(" in ")[0], one.declared) for one in review.for_review]
    chosen = [(getattr(declared, "feature", -1), words[word]) for word, declared in given if word in words]
    right = sum(directions[feature] == sign for feature, sign in chosen)
    return len(chosen), int(right), int((directions != 0).sum())


def checks(seeds: int | None) -> list[Check]:
    """Return the acceptance figures; ``seeds`` limits repetitions."""
    return [*_mining(seeds or 20), _no_monotone(seeds or 20), *_corpus(), _overlap()]


def _mining(seeds: int) -> list[Check]:
    results = []
    for n_rows, noise in ((1000, 1.0), (4000, 1.0), (4000, 3.0)):
        found, baseline = np.zeros(3), np.zeros(2)
        for seed in range(seeds):
            X, y, directions = planted(n_rows, seed, noise=noise)
            found += truths(propose_properties(X, y, random_state=seed), directions)
            baseline += _marginally(X, y, directions)
        precision, recall = found[1] / max(1, found[0]), found[1] / found[2]
        asked = n_rows == 4000
        marginal = f"marginal Kendall {baseline[1] / baseline[0]:.2f}"
        results.append(
            Check(
                f"mining, n = {n_rows}, noise {noise:g}: precision and recall",
                f"{precision:.3f} and {recall:.3f} ({seeds} seeds; precision of {marginal})",
                ">= .9 each" if asked else "",
                bool(precision >= 0.9 and recall >= 0.9) if asked else None,
            )
        )
    return results


def _marginally(X: FloatArray, y: FloatArray, directions: Any) -> tuple[int, int]:
    """Return how many features Kendall's tau calls monotone, looking at each by itself, and how many of them rightly."""
    tests = [kendalltau(column, y) for column in X.T]
    chosen = false_discovery_control([test.pvalue for test in tests]) <= 0.05
    signs = np.array([np.sign(test.statistic) for test in tests])
    return int(chosen.sum()), int((chosen & (signs == directions)).sum())


def _no_monotone(seeds: int) -> Check:
    """No feature is monotone: the share of sets with any monotone proposal is the false discovery rate."""
    alarms = 0
    for seed in range(seeds):
        X, y, directions = planted(4000, seed + 500, monotone=False)
        alarms += truths(propose_properties(X, y, random_state=seed), directions)[0] > 0
    limit = 0.05 + 2 * np.sqrt(0.05 * 0.95 / seeds)
    return Check(
        "no monotone feature, n = 4,000: any proposal",
        f"{alarms / seeds:.3f} ({seeds} sets)",
        f"<= {limit:.3f}",
        bool(alarms / seeds <= limit),
    )


class Named:
    """Boosting on the columns of a frame, categories as codes."""

    def __init__(self, rows: pd.DataFrame, labels: FloatArray) -> None:
        self.fitted = HistGradientBoostingRegressor(random_state=0).fit(_codes(rows), labels)

    def predict(self, rows: pd.DataFrame) -> FloatArray:
        answers: FloatArray = self.fitted.predict(_codes(rows))
        return answers


def _codes(rows: pd.DataFrame) -> Any:
    return rows.assign(
        grade=rows["grade"].map({"low": 0, "mid": 1, "high": 2}), site=rows["site"].map({"a": 0, "b": 1})
    )


def problem(n_rows: int, seed: int) -> tuple[pd.DataFrame, FloatArray]:
    """Return rows with names and categories, and labels, about which :func:`valid` is true."""
    random = np.random.default_rng([seed, 60])
    X = random.normal(size=(n_rows, 16))
    for j in range(1, 16):
        X[:, j] = 0.4 * X[:, j - 1] + np.sqrt(1 - 0.16) * X[:, j]
    rows = pd.DataFrame(X, columns=[f"x{j}" for j in range(16)])
    rows["grade"] = random.choice(["low", "mid", "high"], n_rows)
    rows["site"] = random.choice(["a", "b"], n_rows)
    y = sum((1 if j % 2 == 0 else -1) * 0.6 * X[:, j] for j in range(8))
    y = (
        y
        + 0.5 * X[:, 8] ** 2
        - 0.5 * X[:, 9] ** 2
        - 0.5 * X[:, 10] ** 2
        + np.exp(X[:, 11] / 2)
        - np.log1p(np.exp(-2 * X[:, 12]))
    )
    y = y + rows["grade"].map({"low": 0.0, "mid": 0.8, "high": 1.6}).to_numpy() + 0.5 * random.normal(size=n_rows)
    return rows, np.asarray(y, dtype=np.float64)


def valid() -> list[dict[str, Any]]:
    """Return 60 entries, all true of :func:`problem`, no two the same."""
    entries: list[dict[str, Any]] = []
    for j in range(8):
        direction = "increasing" if j % 2 == 0 else "decreasing"
        sign = 1 if j % 2 == 0 else -1
        entries += [
            {
                "type": "monotone",
                "feature": f"x{j}",
                "direction": direction,
                "rationale": "more is more",
                "source": "team A",
            },
            {"type": "monotone", "feature": f"x{j}", "direction": direction, "tol": 0.05, "source": "model B"},
            {"type": "slope", "feature": f"x{j}", "bounds": sorted([0.0, 1.2 * sign])},
            {"type": "slope", "feature": f"x{j}", "bounds": [0.1, None] if sign > 0 else [None, -0.1]},
        ]
    entries += [{"type": "convex", "feature": name} for name in ("x8", "x11")]
    entries += [{"type": "concave", "feature": name} for name in ("x9", "x10", "x12")]
    entries += [{"type": "convex", "feature": name, "tol": 0.1} for name in ("x8", "x11")]
    entries += [{"type": "concave", "feature": name, "tol": 0.1} for name in ("x9", "x10", "x12")]
    entries += [{"type": "monotone", "feature": name, "direction": "increasing"} for name in ("x11", "x12")]
    entries += [{"type": "invariant", "feature": name} for name in ("x13", "x14", "x15")]
    entries += [{"type": "invariant", "feature": name, "tol": 0.1} for name in ("x13", "x14", "x15")]
    entries += [{"type": "unimodal", "feature": name} for name in ("x9", "x10")]
    entries += [{"type": "ordered", "feature": "grade", "order": ["low", "mid", "high"]}]
    entries += [{"type": "ordered", "feature": "grade", "order": ["low", "mid", "high"], "tol": 0.1}]
    entries += [{"type": "bounded", "bounds": [-30, 30]}, {"type": "bounded", "bounds": [None, 40]}]
    entries += [{"type": "dominates", "features": [f"x{j}", f"x{j + 1}"]} for j in (0, 2, 4)]
    entries += [{"type": "diminishing-returns", "features": ["x0", "x2"], "tol": 0.5}]
    return entries


def broken() -> list[tuple[Any, str]]:
    """Return 40 entries that must not be accepted, with a piece of the reason that must be given."""
    inject = "__import__('os').system('touch owned')"
    monotone = {"type": "monotone", "feature": "x0", "direction": "increasing"}
    return [
        ({"type": "monotone", "feature": "x99", "direction": "increasing"}, "feature 'x99' is not in X"),
        ({"type": "concave", "feature": "weight"}, "feature 'weight' is not in X"),
        ({"type": "concave", "feature": 77}, "feature 77 is not in X"),
        ({"type": "dominates", "features": ["x0", "gone"]}, "feature 'gone' is not in X"),
        ({"type": "convex", "feature": inject}, "is not in X"),
        ({"type": inject, "feature": "x0"}, "is not in the vocabulary"),
        ({**monotone, "direction": inject}, "direction must be 'increasing' or 'decreasing'"),
        ({**monotone, "eval": inject}, "key 'eval' is not in the vocabulary"),
        ({**monotone, "__class__": "os"}, "key '__class__' is not in the vocabulary"),
        ({**monotone, "tol": inject}, "tol must be a finite number"),
        ({**monotone, "region": inject}, "region must map columns to limits"),
        ({**monotone, "region": {"x1": inject}}, "region of 'x1' must be limits"),
        ({**monotone, "rationale": {"$ref": inject}}, "rationale must be a text"),
        ({**monotone, "rationale": "a" * 5000}, "rationale must be a text of at most 1000"),
        ({**monotone, "source": 5}, "source must be a text"),
        ({"type": "ordered", "feature": "grade", "order": inject}, "order must list 2 to 100 categories"),
        ({"type": "monotone", "feature": "x0"}, "direction is missing"),
        ({"type": "concave"}, "feature is missing"),
        ({"feature": "x0"}, "type None is not in the vocabulary"),
        ({"type": "Monotone", "feature": "x0"}, "type 'Monotone' is not in the vocabulary"),
        ({"type": "concave", "feature": ["x0", "x1"]}, "feature must be a column name"),
        ({"type": "concave", "feature": True}, "feature must be a column name"),
        ({"type": "concave", "feature": "x8", "direction": "increasing"}, "takes no direction"),
        ({**monotone, "tol": -1}, "tol must be a finite number of at least 0"),
        ({"type": "slope", "feature": "x0", "bounds": [2, 1]}, "the wrong way round"),
        ({"type": "slope", "feature": "x0", "bounds": [None, None]}, "bounds must be a list of two numbers"),
        ({"type": "bounded", "bounds": ["0", "1"]}, "bounds must be a list of two numbers"),
        ({"type": "dominates", "features": ["x0", "x0"]}, "two different columns"),
        ("increasing in x0", "the entry is a str"),
        (["monotone", "x0"], "the entry is a list"),
        (None, "the entry is a NoneType"),
        ({"type": "monotone", "feature": "grade", "direction": "increasing"}, "have no order"),
        ({"type": "ordered", "feature": "grade", "order": ["low", "high"]}, "does not list"),
        ({**monotone, "tol": 1e6}, "Vacuous: tol"),
        ({**monotone, "region": {"x1": [100, 200]}}, "Vacuous: its region holds 0 rows"),
        ({"type": "concave", "feature": "x5", "region": {"x5": [0, 1]}}, "varies along lines"),
        ({"type": "ordered", "feature": "site", "order": ["a", "b"]}, "Contradictory"),
        ({"type": "ordered", "feature": "site", "order": ["b", "a"]}, "Contradictory"),
        ({"type": "monotone", "feature": "x1", "direction": "increasing"}, "speak against it"),
        ({"type": "monotone", "feature": "x4", "direction": "decreasing"}, "speak against it"),
    ]


def judged_corpus(n_rows: int, model: Any = None) -> tuple[Review, int]:
    """Return the corpus as judged by rows, and how many of its first entries are valid."""
    rows, labels = problem(n_rows, 1)
    entries = [*valid(), *(entry for entry, _ in broken())]
    specifications = read_specifications(json.dumps(entries))
    return review_specifications(specifications, rows, labels, model=model, random_state=0), len(valid())


def _corpus() -> list[Check]:
    rows, labels = problem(4000, 2)
    review, n_valid = judged_corpus(4000, Named(rows, labels))
    good, bad = review.proposals[:n_valid], review.proposals[n_valid:]
    reasons = [piece in one.reason for one, (_, piece) in zip(bad, broken(), strict=True)]
    refused = sum(one.status == "rejected" for one in bad)
    accepted = sum(one.status == "accepted for review" for one in good)
    not_accepted = sum(one.status != "accepted for review" for one in bad)
    return [
        Check("corpus: true specifications accepted", f"{accepted} of {n_valid}", ">= 90 %", accepted >= 0.9 * n_valid),
        Check(
            "corpus: broken ones not accepted, with their reason",
            f"{not_accepted} of {len(bad)} ({refused} rejected, the others left to a person), {sum(reasons)} with it",
            "all",
            bool(not_accepted == len(bad) and all(reasons)),
        ),
    ]


def _overlap() -> Check:
    X, y, _ = planted(400, 0)
    aligned = AlignedRegressor(_Sum(), {0: 1}, alpha=0.1, random_state=0, confidence=None).calibrate(
        X[:200], X_reference=X[200:300]
    )
    attempts: Sequence[dict[str, Any]] = ({"X_calibration": X[:150]}, {"model": aligned})
    refused = 0
    for given in attempts:
        try:
            propose_properties(X, y, features=[0], random_state=0, **given)
        except InputError:
            refused += 1
    return Check("rows that calibrate are refused", f"{refused} of {len(attempts)}", "all", refused == len(attempts))


class _Sum:
    def predict(self, rows: FloatArray) -> FloatArray:
        total: FloatArray = np.asarray(rows).sum(axis=1)
        return total
