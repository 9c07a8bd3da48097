"""The published splits: a good model, tuned on training rows only and aligned, against networks that are monotone by design.

Four data sets come with the rows on which monotone networks were tested. For each seed a fixed menu of ordinary models is
compared by cross-validation **inside the training rows**, the best one is fitted to all of them and aligned at full strength
(``alpha=0``: no calibration rows, the training rows are the reference) in all constrained features together. A grid repairs two
or three features; a surrogate repairs any number and is exact between knots too. Which of them is judged is fixed beforehand: the
grid for two features, the surrogate for more. Test rows are used once, for the table, next to

* the same model unaligned, and boosted trees trained with their own constraints (also chosen by cross-validation);
* pairs of values of each constrained feature, drawn from the training rows for test rows: how many are in wrong order;
* the standard error that the test rows alone give the metric, without which small differences are easily believed.

The networks: constrained monotonic neural networks, Runje and Shankaranarayana (2023), ICML, arXiv 2205.11775.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from tqdm import tqdm

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.surrogate_repair import N_ROUNDS
from benchmarks.measures import pairs, violated
from benchmarks.problems import Rows, read
from benchmarks.tables import environment, markdown, write_json

__all__ = ["TASKS", "Result", "Task", "best_of", "measured", "read_split", "run"]

N_QUERIES = 20

#: Fresh pairs are asked at no more than this many test rows, drawn by the seed.
MAX_ASKED = 500

#: A grid repairs at most this many features, and is judged on at most this many: between knots it is not exact.
MAX_GRID, MAX_JUDGED_GRID = 3, 2

#: A model of a seed, under the signs of its constrained features (none: unconstrained).
Build = Callable[[int, dict[str, int]], Any]


@dataclass(frozen=True)
class Task:
    """A data set with its published rows, number and menu of models.

    ``free`` are models that know no constraints, ``boosted`` those that do. ``published`` is in the unit of ``metric``, for which
    more is better if it is the accuracy.
    """

    name: str
    target: str
    split: str
    signs: dict[str, int]
    metric: str
    published: float
    free: dict[str, Build]
    boosted: dict[str, Build]
    drop: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    n_folds: int = 5
    y_published: float | None = None

    @property
    def is_classification(self) -> bool:
        return self.metric == "accuracy"


@dataclass(frozen=True)
class Result:
    """One method on one seed; ``violated`` of ``asked`` fresh pairs were in wrong order."""

    task: str
    seed: int
    method: str
    model: str
    judged: bool
    value: float
    standard_error: float
    violated: int
    asked: int


def _scaled(model: Any) -> Any:
    return make_pipeline(StandardScaler(), model)


def _boosted(kind: str, depth: int, n_rounds: int, **other: Any) -> Build:
    def build(seed: int, signs: dict[str, int]) -> Any:
        import xgboost

        return getattr(xgboost, kind)(
            n_estimators=n_rounds, learning_rate=0.05, max_depth=depth, subsample=0.7, n_jobs=1, random_state=seed,
            monotone_constraints=signs or None, **other,
        )  # fmt: skip

    return build


def _logistic(C: float) -> Build:
    return lambda _seed, _signs: _scaled(LogisticRegression(C=C, max_iter=2000))


def _network(seed: int, _: Any = None) -> Any:
    return _scaled(MLPClassifier(hidden_layer_sizes=(16,), alpha=3.0, max_iter=2000, random_state=seed))


def _vote(seed: int, _: Any) -> Any:
    parts = {"logistic": _logistic(1.0)(seed, {}), "boosted": _boosted("XGBClassifier", 2, 100)(seed, {})}
    return VotingClassifier([*parts.items(), ("network", _network(seed))], voting="soft")


def _support_vectors(C: float) -> Build:
    return lambda _seed, _signs: _scaled(SVR(C=C))


def _log_support_vectors(_seed: int, _signs: Any) -> Any:
    return TransformedTargetRegressor(_scaled(SVR(C=1.0, epsilon=0.05)), func=np.log, inverse_func=np.exp)


TASKS = {
    task.name: task
    for task in (
        Task(
            "compas", "two_year_recid", "compas_cmn_split.csv",
            dict.fromkeys(("priors_count", "juv_fel_count", "juv_misd_count", "juv_other_count"), 1), "accuracy", 0.692,
            {
                "logistic": _logistic(1.0),
                "forest": lambda seed, _: RandomForestClassifier(200, min_samples_leaf=20, random_state=seed),
            },
            {f"boosted, depth {depth}": _boosted("XGBClassifier", depth, 150) for depth in (2, 3, 4)},
            categories=("race", "sex"),
        ),
        Task(
            "blog_feedback", "comments_24h", "blog_published_split.csv.gz",
            dict.fromkeys([f"a{i}" for i in (51, 52, 53, 54, 56, 57, 58, 59)], 1), "RMSE", 0.1541,
            {},
            {
                f"boosted, depth {depth}": _boosted(
                    "XGBRegressor", depth, 300, min_child_weight=10, colsample_bytree=0.5
                )
                for depth in (4, 6)
            },
            n_folds=3, y_published=8.0,
        ),
        Task(
            "auto_mpg", "mpg", "auto_mpg_comet_split.csv", {"weight": -1, "displacement": -1, "horsepower": -1},
            "MSE", 8.37,
            {
                "support vectors, C=10": _support_vectors(10.0),
                "support vectors, C=30": _support_vectors(30.0),
                "support vectors of the logarithm": _log_support_vectors,
                "forest": lambda seed, _: RandomForestRegressor(200, random_state=seed),
            },
            {f"boosted, depth {depth}": _boosted("XGBRegressor", depth, 300) for depth in (3, 5)},
            drop=("car_name",), categories=("origin",),
        ),
        Task(
            "heart_comet", "target", "heart_comet_split.csv", {"trestbps": 1, "chol": 1}, "accuracy", 0.885,
            {
                **{f"logistic, C={C:g}": _logistic(C) for C in (0.1, 0.3, 1.0)},
                "forest": lambda seed, _: RandomForestClassifier(200, min_samples_leaf=3, random_state=seed),
                "network": _network,
                "vote of logistic, boosted and network": _vote,
            },
            {"boosted, depth 2": _boosted("XGBClassifier", 2, 100)},
            categories=("cp", "restecg", "slope", "thal"),
        ),
    )
}  # fmt: skip


def run(directory: Path | None, names: Sequence[str], n_seeds: int, output: Path) -> list[Result]:
    """Measure the tasks, print a table with a sentence for each, and write what it shows."""
    results: list[Result] = []
    for name in names:
        train, test = read_split(TASKS[name], directory)
        for seed in tqdm(range(n_seeds), desc=name, disable=n_seeds < 2):
            results += measured(TASKS[name], train, test, seed)
    report = f"{summary(results)}\n\n" + "\n".join(verdicts(results))
    print(f"\nPublished rows, {n_seeds} seeds of model, folds and pairs; mean +- s.d. over seeds\n\n{report}\n")
    write_json(output / "published.json", [asdict(result) for result in results])
    pd.DataFrame([asdict(result) for result in results]).to_csv(output / "published.csv", index=False)
    versions = ", ".join(f"{name} {version}" for name, version in environment().items())
    (output / "published.md").write_text(f"# Published splits\n\n{report}\n\n{versions}\n")
    print(f"Results: {output}/published[.csv, .json, .md]")
    return results


def read_split(task: Task, directory: Path | None) -> tuple[Rows, Rows]:
    """Return the published training and test rows; other rows were dropped when the split was published."""
    table = read(task.name, task.target, directory)
    assert directory is not None
    path = directory / "splits" / task.split
    if not path.is_file():
        raise SystemExit(f"{path} does not exist: --data must hold splits/{task.split} with the columns row and split")
    split = pd.read_csv(path)
    y = table[task.target] if task.y_published is None else split.y_published / task.y_published
    X = table.drop(columns=[task.target, *task.drop])
    X = pd.get_dummies(X, columns=list(task.categories), dtype=float).astype(float)
    train, test = (
        Rows(X[part].reset_index(drop=True), y[part].to_numpy(dtype=float))
        for part in ((split.split == name).to_numpy() for name in ("train", "test"))
    )
    return train, test


def measured(task: Task, train: Rows, test: Rows, seed: int) -> list[Result]:
    """Choose on the training rows, fit, align, and measure every method on the test rows."""
    name, build = best_of(task, {**task.free, **task.boosted}, train, seed, {})
    constrained_name, constrained = best_of(task, task.boosted, train, seed, task.signs)
    model = build(seed, {}).fit(train.X, train.y)
    methods: list[tuple[str, str, Any, bool]] = [("unaligned", name, model, False)]
    methods.append(("retrained", constrained_name, constrained(seed, task.signs).fit(train.X, train.y), False))
    if len(task.signs) <= MAX_GRID:
        aligned = _aligned(task, model, None, seed).calibrate(train.X)
        methods.append(("aligned, grid", name, aligned, len(task.signs) <= MAX_JUDGED_GRID))
    aligned = _aligned(task, model, _imitator(task.signs), seed).calibrate(train.X)
    methods.append(("aligned, surrogate", name, aligned, len(task.signs) > MAX_JUDGED_GRID))
    return [_result(task, train, test, seed, *method) for method in methods]


def best_of(task: Task, menu: dict[str, Build], train: Rows, seed: int, signs: dict[str, int]) -> tuple[str, Build]:
    """Return the model of a menu with the best metric in cross-validation inside the training rows."""
    if len(menu) == 1:
        return next(iter(menu.items()))
    folds = (StratifiedKFold if task.is_classification else KFold)(task.n_folds, shuffle=True, random_state=seed)
    parts = list(folds.split(train.X, train.y))
    losses = {}
    for name, build in menu.items():
        losses[name] = np.mean([
            _errors(task, train.y[out], build(seed, signs).fit(train.X.iloc[inside], train.y[inside]), train.X.iloc[out])
            .mean()
            for inside, out in parts
        ])  # fmt: skip
    best = min(losses, key=lambda name: float(losses[name]))
    return best, menu[best]


def summary(results: Sequence[Result]) -> str:
    """Return the table of all methods, task by task."""
    rows = []
    for task, method in dict.fromkeys((one.task, one.method) for one in results):
        group = [one for one in results if (one.task, one.method) == (task, method)]
        values = np.array([one.value for one in group])
        names = sorted({one.model for one in group}, key=lambda name: -sum(one.model == name for one in group))
        chosen = "; ".join(f"{name} ({sum(one.model == name for one in group)})" for name in names)
        broken, asked = sum(one.violated for one in group), sum(one.asked for one in group)
        rows.append((
            task, f"{method} *" if group[0].judged else method, TASKS[task].metric,
            f"{values.mean():.4f} +- {values.std(ddof=min(1, values.size - 1)):.4f}",
            f"{np.mean([one.standard_error for one in group]):.4f}", f"{TASKS[task].published:g}",
            f"{broken} of {asked}", chosen,
        ))  # fmt: skip
    header = ("data", "method", "metric", "test rows", "their s.e.", "published", "violated pairs", "model (seeds)")
    return markdown(header, rows) + "\n\n\\* judged: fixed before any test row was seen."


def verdicts(results: Sequence[Result]) -> list[str]:
    """Return a sentence for each task, and one for all."""
    sentences, good = [], []
    for name in dict.fromkeys(one.task for one in results):
        task, group = TASKS[name], [one for one in results if one.task == name and one.judged]
        value, own = (float(np.mean([one.value for one in some])) for some in (
            group, [one for one in results if (one.task, one.method) == (name, "unaligned")]))  # fmt: skip
        error = float(np.mean([one.standard_error for one in group]))
        ahead = (value - task.published) * (1 if task.is_classification else -1)
        good.append(ahead >= 0)
        broken = sum(one.violated for one in group)
        sentences.append(
            f"- {name}: {task.metric} {value:.4f} aligned, {own:.4f} unaligned, {task.published:g} published: "
            f"{'at least as good' if ahead >= 0 else 'NOT as good'}, by {abs(ahead) / error:.1f} standard errors of the test "
            f"rows; the constraint is {'satisfied exactly' if not broken else f'VIOLATED at {broken} pairs'}."
        )
    return [*sentences, f"- At least as good as the published networks on {sum(good)} of {len(good)}."]


def _aligned(task: Task, model: Any, surrogate: Any, seed: int) -> Any:
    aligner = AlignedClassifier if task.is_classification else AlignedRegressor
    return aligner(model, task.signs, alpha=0, n_knots=128, surrogate=surrogate, random_state=seed)


def _imitator(signs: dict[str, int]) -> HistGradientBoostingRegressor:
    """Return what the library itself takes as a surrogate for many features, so that few features can have it too."""
    return HistGradientBoostingRegressor(max_iter=N_ROUNDS, early_stopping=False, monotonic_cst=signs, random_state=0)


def _errors(task: Task, y: np.ndarray, model: Any, X: pd.DataFrame) -> np.ndarray:
    """Return per row what is averaged: wrong or not, or the squared error."""
    predictions = np.asarray(model.predict(X), dtype=float)
    errors: np.ndarray = (predictions != y).astype(float) if task.is_classification else (predictions - y) ** 2
    return errors


def _result(task: Task, train: Rows, test: Rows, seed: int, method: str, name: str, model: Any, judged: bool) -> Result:
    errors = _errors(task, test.y, model, test.X)
    value, deviation = float(errors.mean()), float(errors.std() / np.sqrt(errors.size))
    if task.is_classification:
        value = 1 - value
    elif task.metric == "RMSE":
        value, deviation = np.sqrt(value), deviation / (2 * np.sqrt(value))
    answers = (lambda X: model.predict_proba(X)[:, 1]) if task.is_classification else model.predict
    failed = asked = 0
    some = np.random.default_rng(seed).permutation(len(test.y))[:MAX_ASKED]
    at = test.X.iloc[np.sort(some)]
    for k, (feature, sign) in enumerate(task.signs.items()):
        drawn = pairs(at, train.X, feature, N_QUERIES, 1000 * seed + k)
        broken = violated(SimpleNamespace(predict=answers), at, feature, sign, drawn)
        failed, asked = failed + int(broken.sum()), asked + broken.size
    return Result(task.name, seed, method, name, judged, float(value), float(deviation), failed, asked)
