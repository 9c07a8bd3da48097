"""Evaluations written by a generator: how many of its labels are true, before and after a filter that never saw their truth.

Rows come from a law with a known function, so that the true answer to every question is known. Questions are written by
templates that look at one feature at a time, and are often wrong. A filter says how likely a label is right, from what some
models fitted to the same rows answer; it is trained on questions about *other* behaviours, whose truth a person would have to
tell. Near-duplicates are dropped, and the most confident are kept, half of them to be answered yes. The truth judges the
rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from tqdm import tqdm

from alignconf._typing import BoolArray, FloatArray, IntArray
from alignconf.deployment.propose import read_specifications
from benchmarks.companions.parts import PartTable
from benchmarks.companions.questions import (
    Questions,
    ask_at,
    near_duplicates,
    statements_of,
    written_by_templates,
)

__all__ = ["KnownLaw", "confidence", "kept", "measured", "tables"]

N_FEATURES, N_ROWS, NOISE = 8, 1500, 1.0
N_MODELS, PER_STATEMENT, N_KEPT = 8, 80, 200

#: Questions of each other behaviour whose truth trains the filter, and of one behaviour that are kept at most.
GOLD, MOST_OF_ONE = 20, 20
CLOSEST = 0.05

#: Inverse strength of the filter's penalty, chosen at seeds 100 to 107, as its three features were.
PENALTY = 0.03

ASKED = ("ridge", "nearest neighbours", "forest", "boosted trees", "known function")
SELECTIONS = (
    "all as written",
    "random",
    "filter, its training labels shuffled",
    "votes of models, untrained",
    "weakest vote, untrained",
    "filter",
)


@dataclass(frozen=True, eq=False)
class KnownLaw:
    """Rows whose neighbouring features go together, and a function of them: slopes, humps, waves and a product."""

    coefficients: FloatArray

    def rows(self, n_samples: int, random: np.random.Generator) -> pd.DataFrame:
        """Return rows with correlations 0.6, 0.36, ... of features that are near."""
        lags = np.abs(np.subtract.outer(np.arange(N_FEATURES), np.arange(N_FEATURES)))
        draws = random.multivariate_normal(np.zeros(N_FEATURES), 0.6**lags, size=n_samples)
        return pd.DataFrame(draws, columns=[f"x{k}" for k in range(N_FEATURES)])

    def predict(self, X: Any, /) -> FloatArray:
        """Return the true function."""
        x, c = np.asarray(X, dtype=float).T, self.coefficients
        humps = -c[2] * x[2] ** 2 / 2 + c[3] * np.cos(2 * x[3])
        return np.asarray(c[0] * x[0] - c[1] * x[1] + humps + c[4] * x[4] * x[5] / 2 + c[7] * np.tanh(x[7]))


def confidence(questions: Questions, evidence: FloatArray, truth: BoolArray, random: np.random.Generator) -> FloatArray:
    """Return how likely each label is right, by a filter trained on gold questions about other behaviours.

    Parameters
    ----------
    questions : Questions
    evidence : (n_models, n_questions)
        How far models speak for the label; negative where they speak against it.
    truth : (n_questions,)
        Which labels are right; that of the behaviour itself is not looked at.
    random : numpy.random.Generator
    """
    features, behaviours = _features(evidence), questions.behaviours
    gold = np.concatenate(
        [random.permutation(np.flatnonzero(behaviours == number))[:GOLD] for number in np.unique(behaviours)]
    )
    confident = np.empty(len(behaviours))
    for number in np.unique(behaviours):
        others = gold[behaviours[gold] != number]
        fitted = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY)).fit(features[others], truth[others])
        mine = behaviours == number
        confident[mine] = fitted.predict_proba(features[mine])[:, 1]
    return confident


def kept(questions: Questions, confident: FloatArray, n_kept: int) -> IntArray:
    """Return the most confident questions that repeat none, half of them labelled yes, few of one behaviour."""
    repeats = near_duplicates(questions, CLOSEST)
    chosen: list[int] = []
    for label in (True, False):
        taken: dict[int, int] = {}
        for number in np.argsort(-confident, kind="stable"):
            behaviour = int(questions.behaviours[number])
            of_label = questions.labels[number] == label and not repeats[number]
            if of_label and taken.get(behaviour, 0) < MOST_OF_ONE // 2 and sum(taken.values()) < n_kept // 2:
                taken[behaviour] = taken.get(behaviour, 0) + 1
                chosen.append(int(number))
    return np.array(chosen)


def measured(seed: int) -> tuple[dict[str, Any], list[tuple[str, ...]]]:
    """Write, filter and judge one set of questions: the figures, and the beginning of the table that a person reads."""
    random = np.random.default_rng([seed, 41])
    law = KnownLaw(random.uniform(0.5, 1.5, N_FEATURES))
    X = law.rows(N_ROWS, random)
    y = law.predict(X) + NOISE * random.normal(size=N_ROWS)
    entries = read_specifications(written_by_templates(X, y))
    questions = ask_at(statements_of(entries), X, PER_STATEMENT, random)
    questions = questions.take(np.flatnonzero(np.isfinite(questions.margins(law))))
    truth = questions.answers(law) == questions.labels
    sign = np.where(questions.labels, -1.0, 1.0)
    evidence = np.stack([sign * questions.margins(model) for model in _small_models(X, y, random)])
    shuffled = random.permutation(truth)
    confident = {
        "random": random.uniform(size=truth.size),
        "filter, its training labels shuffled": confidence(questions, evidence, shuffled, random),
        "votes of models, untrained": (evidence > 0).mean(axis=0) + 1e-3 * np.tanh(evidence.mean(axis=0)),
        "weakest vote, untrained": evidence.min(axis=0),
        "filter": confidence(questions, evidence, truth, random),
    }
    selected = {name: kept(questions, values, N_KEPT) for name, values in confident.items()}
    agreement = {"all as written": float(truth.mean())} | {name: float(truth[k].mean()) for name, k in selected.items()}
    record: dict[str, Any] = {
        "seed": seed,
        "n_written": truth.size,
        "n_kept": {name: numbers.size for name, numbers in selected.items()},
        "n_behaviours": {name: np.unique(questions.behaviours[k]).size for name, k in selected.items()},
        "agreement": agreement,
        "models": _judged(questions, selected["filter"], truth, law, (X, y), seed),
    }
    by_filter = selected["filter"]
    table: list[tuple[str, ...]] = [
        (questions.words(law, k), "yes" if questions.labels[k] else "no", f"{confident['filter'][k]:.3f}", "")
        for k in by_filter[:: N_KEPT // 8]
    ]
    return record, table


def tables(n_seeds: int, _: Path | None) -> Iterator[PartTable]:
    """Yield the agreement with the truth, what the questions say about models, and how a person sees them."""
    results = [measured(seed) for seed in tqdm(range(n_seeds), desc="sets of questions")]
    records = [record for record, _ in results]
    rows = []
    for name in SELECTIONS:
        shares = np.array([record["agreement"][name] for record in records])
        n_kept = [record["n_kept"].get(name, record["n_written"]) for record in records]
        n_behaviours = [record["n_behaviours"].get(name, "") for record in records]
        rows.append((
            name, str(round(np.mean(n_kept))), str(n_behaviours[0]) if "" in n_behaviours else f"{np.mean(n_behaviours):.1f}",
            f"{shares.mean():.3f}", f"{shares.min():.3f}", f"{np.sum(shares >= 0.9)} of {n_seeds}",
        ))  # fmt: skip
    header = ("selection", "questions", "behaviours", "labels that are true", "least", "seeds at .9 or more")
    yield PartTable(f"labels against known truth, {n_seeds} seeds", header, rows, records)
    asked = {name: np.array([record["models"][name] for record in records]) for name in ASKED}
    by_seed = [[record["models"][name] for name in ASKED] for record in records]
    ranks = np.mean([spearmanr([a for a, _ in models], [b for _, b in models]).statistic for models in by_seed])
    yield PartTable(
        f"models: answered as labelled, and as is true; mean rank correlation over {n_seeds} seeds {ranks:.2f}",
        ("model", "as labelled, kept questions", "as is true, all questions"),
        [(name, *(f"{share:.3f}" for share in shares.mean(axis=0))) for name, shares in asked.items()],
    )
    yield PartTable(
        "what a person reads, seed 0, some of the questions",
        ("question", "label", "confidence", "right?"),
        results[0][1],
    )


def _features(evidence: FloatArray) -> FloatArray:
    """Return what the filter knows of each question, (n_questions, 3): the models that agree with the label, and how strongly."""
    mean, spread = evidence.mean(axis=0), evidence.std(axis=0) + 1e-9
    return np.stack([(evidence > 0).mean(axis=0), np.tanh(mean), np.clip(mean / spread, -5, 5)], axis=1)


def _small_models(X: pd.DataFrame, y: FloatArray, random: np.random.Generator) -> Iterator[Any]:
    """Yield boosted trees and support vectors in turn on resampled rows, then a line."""
    for number in range(N_MODELS):
        drawn = random.integers(len(X), size=len(X))
        boosted = HistGradientBoostingRegressor(max_iter=60, random_state=number)
        model = SVR(C=10.0, gamma=0.05) if number % 2 else boosted
        yield model.fit(X.iloc[drawn], y[drawn])
    yield Ridge().fit(X, y)


def _judged(
    questions: Questions,
    numbers: IntArray,
    truth: BoolArray,
    law: KnownLaw,
    rows: tuple[pd.DataFrame, FloatArray],
    seed: int,
) -> dict[str, tuple[float, float]]:
    """Return for each model the share of kept questions answered as labelled, and that of all answered as is true."""
    models = (
        Ridge(),
        KNeighborsRegressor(10),
        RandomForestRegressor(50, random_state=seed),
        HistGradientBoostingRegressor(random_state=seed),
    )
    fitted = [*(model.fit(*rows) for model in models), law]
    true_answers = truth == questions.labels
    shares = {}
    for name, model in zip(ASKED, fitted, strict=True):
        answers = questions.answers(model)
        as_labelled = answers[numbers] == questions.labels[numbers]
        shares[name] = (float(as_labelled.mean()), float((answers == true_answers).mean()))
    return shares
