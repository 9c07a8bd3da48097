"""The published splits: a good model, tuned on training rows only and aligned, against networks that are monotone by design.

Four data sets come with the rows on which monotone networks were tested, and one of them has a random split too, of later papers.
For each seed a fixed menu of ordinary models is compared by cross-validation **inside the training rows**, the best one is fitted
to all of them and aligned at full strength
(``alpha=0``: no calibration rows, the training rows are the reference) in all constrained features together. A grid repairs a
few features; the library's monotone surrogate repairs any number and is exact between knots too. Which of them is judged is fixed
beforehand: the grid for two features, the surrogate for more. Test rows are used once, for the table, next to

* the same model unaligned, and boosted trees trained with their own constraints (also chosen by cross-validation);
* pairs of values of each constrained feature, drawn from the training rows for test rows: how many are in wrong order;
* what cross-validation inside the training rows said of the chosen model, and the standard error that the test rows alone give
  the metric, without which small differences are easily believed.

Results are written line by line as seeds are done, and not computed again after a kill.

The networks: constrained monotonic neural networks, Runje and Shankaranarayana (2023), ICML, arXiv 2205.11775.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from tqdm import tqdm

from alignconf import AlignedClassifier, AlignedRegressor, __version__
from benchmarks import journal
from benchmarks.measures import pairs, violated
from benchmarks.menus import (
    Build,
    average,
    boosted,
    leafwise,
    log_process,
    log_support_vectors,
    logistic,
    network,
    scaled,
    support_vectors,
    vote,
)
from benchmarks.problems import Rows, read
from benchmarks.tables import environment, markdown, write_json

__all__ = ["TASKS", "Result", "Task", "best_of", "measured", "read_split", "run"]

N_QUERIES = 20

#: Fresh pairs are asked at no more than this many test rows, drawn by the seed.
MAX_ASKED = 500

#: Up to this many features are repaired on a grid too, and it is judged: between knots it is not exact.
MAX_GRID = 2


@dataclass(frozen=True)
class Task:
    """A data set with its published rows, number and menu of models.

    ``free`` are models that know no constraints, ``boosted`` those that do. ``published`` is in the unit of ``metric``, for which
    more is better if it is the accuracy. Without the file of a ``split`` a fifth of the complete rows are for testing, as
    scikit-learn draws them with seed 0.
    """

    name: str
    target: str
    split: str | None
    signs: dict[str, int]
    metric: str
    published: float
    free: dict[str, Build]
    boosted: dict[str, Build]
    drop: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    n_folds: int = 5
    y_published: float | None = None
    dataset: str | None = None

    @property
    def is_classification(self) -> bool:
        return self.metric == "accuracy"


@dataclass(frozen=True)
class Result:
    """One method on one seed; ``violated`` of ``asked`` fresh pairs were in wrong order.

    ``cross_validated`` is the metric of the model before alignment inside the training rows, None if there was no choice.
    """

    task: str
    seed: int
    method: str
    model: str
    judged: bool
    value: float
    standard_error: float
    violated: int
    asked: int
    cross_validated: float | None = None


CARS = Task(
    "auto_mpg", "mpg", "auto_mpg_comet_split.csv", {"weight": -1, "displacement": -1, "horsepower": -1},
    "MSE", 8.37,
    {
        "support vectors, C=10": support_vectors(10.0),
        "support vectors, C=30": support_vectors(30.0),
        "support vectors of the logarithm": log_support_vectors,
        "Gaussian process of the logarithm": log_process,
        "average of process, vectors and trees": average,
        "forest": lambda seed, _: RandomForestRegressor(200, random_state=seed),
    },
    {f"boosted, depth {depth}": boosted("XGBRegressor", depth, 300) for depth in (3, 5)},
    drop=("car_name",), categories=("origin",), dataset="auto_mpg",
)  # fmt: skip

TASKS = {
    task.name: task
    for task in (
        Task(
            "compas", "two_year_recid", "compas_cmn_split.csv",
            dict.fromkeys(("priors_count", "juv_fel_count", "juv_misd_count", "juv_other_count"), 1), "accuracy", 0.6917,
            {
                "logistic": logistic(1.0),
                "forest": lambda seed, _: RandomForestClassifier(200, min_samples_leaf=20, random_state=seed),
            },
            {f"boosted, depth {depth}": boosted("XGBClassifier", depth, 150) for depth in (1, 2, 3, 4)},
            categories=("race", "sex"),
        ),
        Task(
            "blog_feedback", "comments_24h", "blog_published_split.csv.gz",
            dict.fromkeys([f"a{i}" for i in (51, 52, 53, 54, 56, 57, 58, 59)], 1), "RMSE", 0.1541,
            {},
            {f"boosted, {n_leaves} leaves": leafwise(n_leaves) for n_leaves in (31, 63)},
            n_folds=3, y_published=8.0,
        ),
        CARS,
        replace(CARS, name="auto_mpg_random", split=None, published=5.82),
        Task(
            "heart_comet", "target", "heart_comet_split.csv", {"trestbps": 1, "chol": 1}, "accuracy", 0.885,
            {
                **{f"logistic, C={C:g}": logistic(C) for C in (0.1, 0.3, 1.0)},
                "discriminant": lambda _seed, _: scaled(LinearDiscriminantAnalysis()),
                "Gaussian process": lambda seed, _: scaled(GaussianProcessClassifier(RBF(5.0), random_state=seed)),
                "forest": lambda seed, _: RandomForestClassifier(200, min_samples_leaf=3, random_state=seed),
                "network": network,
                "vote of logistic, boosted and network": vote,
            },
            {"boosted, depth 2": boosted("XGBClassifier", 2, 100)},
            categories=("cp", "restecg", "slope", "thal"),
        ),
    )
}  # fmt: skip


def run(directory: Path | None, names: Sequence[str], n_seeds: int, output: Path) -> list[Result]:
    """Measure the tasks, print a table with a sentence for each, and write what it shows."""
    path = output / "published.jsonl"
    done = _stored(path)
    results: list[Result] = []
    for name in names:
        rows: tuple[Rows, Rows] | None = None
        for seed in tqdm(range(n_seeds), desc=name, disable=n_seeds < 2):
            if (name, seed) not in done:
                rows = rows or read_split(TASKS[name], directory)
                done[name, seed] = measured(TASKS[name], *rows, seed)
                journal.append(path, {"version": __version__, "rows": [asdict(row) for row in done[name, seed]]})
            results += done[name, seed]
    report = f"{summary(results)}\n\n" + "\n".join(verdicts(results))
    print(f"\nPublished rows, {n_seeds} seeds of model, folds and pairs; mean +- s.d. over seeds\n\n{report}\n")
    write_json(output / "published.json", [asdict(result) for result in results])
    pd.DataFrame([asdict(result) for result in results]).to_csv(output / "published.csv", index=False)
    versions = ", ".join(f"{name} {version}" for name, version in environment().items())
    (output / "published.md").write_text(f"# Published splits\n\n{report}\n\n{versions}\n")
    print(f"Results: {output}/published[.csv, .json, .md]")
    return results


def _stored(path: Path) -> dict[tuple[str, int], list[Result]]:
    """Return what a file has of each task and seed, computed by this version."""
    kept = [[Result(**row) for row in line["rows"]] for line in journal.lines(path) if line["version"] == __version__]
    return {(rows[0].task, rows[0].seed): rows for rows in kept}


def read_split(task: Task, directory: Path | None) -> tuple[Rows, Rows]:
    """Return the published training and test rows; other rows were dropped when the split was published."""
    table = read(task.dataset or task.name, task.target, directory)
    assert directory is not None
    if task.split is None:
        table = table.dropna().reset_index(drop=True)
        names = pd.Series("train", table.index)
        names[train_test_split(table.index, test_size=0.2, random_state=0)[1]] = "test"
        return _parts(task, table, table[task.target], names)
    path = directory / "splits" / task.split
    if not path.is_file():
        raise SystemExit(f"{path} does not exist: --data must hold splits/{task.split} with the columns row and split")
    split = pd.read_csv(path)
    y = table[task.target] if task.y_published is None else split.y_published / task.y_published
    return _parts(task, table, y, split.split)


def _parts(task: Task, table: pd.DataFrame, y: pd.Series, names: pd.Series) -> tuple[Rows, Rows]:
    """Return the rows that are named "train", and those that are named "test", categories as columns of 0 and 1."""
    X = table.drop(columns=[task.target, *task.drop])
    X = pd.get_dummies(X, columns=list(task.categories), dtype=float).astype(float)
    train, test = (
        Rows(X[part].reset_index(drop=True), y[part].to_numpy(dtype=float))
        for part in ((names == name).to_numpy() for name in ("train", "test"))
    )
    return train, test


def measured(task: Task, train: Rows, test: Rows, seed: int) -> list[Result]:
    """Choose on the training rows, fit, align, and measure every method on the test rows."""
    name, build, inside = best_of(task, {**task.free, **task.boosted}, train, seed, {})
    constrained_name, constrained, inside_constrained = best_of(task, task.boosted, train, seed, task.signs)
    model = build(seed, {}).fit(train.X, train.y)
    few = len(task.signs) <= MAX_GRID
    retrained = constrained(seed, task.signs).fit(train.X, train.y)
    results = [
        _result(task, train, test, seed, "unaligned", name, model, False, inside),
        _result(task, train, test, seed, "retrained", constrained_name, retrained, False, inside_constrained),
    ]
    for method, projector in (("aligned, grid", "lines"), ("aligned, surrogate", "distilled")):
        if few or projector != "lines":
            aligned = _aligned(task, model, projector, seed).calibrate(train.X)
            judged = few == (projector == "lines")
            results.append(_result(task, train, test, seed, method, name, aligned, judged, inside))
    return results


def best_of(
    task: Task, menu: dict[str, Build], train: Rows, seed: int, signs: dict[str, int]
) -> tuple[str, Build, float | None]:
    """Return the model of a menu with the best metric in cross-validation inside the training rows, and that metric."""
    if len(menu) == 1:
        ((only, build),) = menu.items()
        return only, build, None
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
    return best, menu[best], _metric(task, float(losses[best]))


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
            task, f"{method} *" if group[0].judged else method, TASKS[task].metric, _mean_inside(group),
            f"{values.mean():.4f} +- {values.std(ddof=min(1, values.size - 1)):.4f}",
            f"{np.mean([one.standard_error for one in group]):.4f}", f"{TASKS[task].published:g}",
            f"{broken} of {asked}", chosen,
        ))  # fmt: skip
    header = ("data", "method", "metric", "model, cross-validated", "test rows", "their s.e.", "published",
              "violated pairs", "model (seeds)")  # fmt: skip
    return markdown(header, rows) + "\n\n\\* judged: fixed before any test row was seen."


def _mean_inside(group: Sequence[Result]) -> str:
    found = [one.cross_validated for one in group if one.cross_validated is not None]
    return f"{np.mean(found):.4f}" if found else ""


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


def _aligned(task: Task, model: Any, projector: str, seed: int) -> Any:
    aligner = AlignedClassifier if task.is_classification else AlignedRegressor
    return aligner(model, task.signs, alpha=0, n_knots=128, projector=projector, random_state=seed)


def _metric(task: Task, mean_error: float) -> float:
    """Return the metric of a task, given the mean of its errors."""
    return (
        1 - mean_error
        if task.is_classification
        else float(np.sqrt(mean_error))
        if task.metric == "RMSE"
        else mean_error
    )


def _errors(task: Task, y: np.ndarray, model: Any, X: pd.DataFrame) -> np.ndarray:
    """Return per row what is averaged: wrong or not, or the squared error."""
    predictions = np.asarray(model.predict(X), dtype=float)
    errors: np.ndarray = (predictions != y).astype(float) if task.is_classification else (predictions - y) ** 2
    return errors


def _result(
    task: Task,
    train: Rows,
    test: Rows,
    seed: int,
    method: str,
    name: str,
    model: Any,
    judged: bool,
    inside: float | None,
) -> Result:
    errors = _errors(task, test.y, model, test.X)
    value, deviation = _metric(task, float(errors.mean())), float(errors.std() / np.sqrt(errors.size))
    if task.metric == "RMSE":
        deviation /= 2 * value
    answers = (lambda X: model.predict_proba(X)[:, 1]) if task.is_classification else model.predict
    failed = asked = 0
    some = np.random.default_rng(seed).permutation(len(test.y))[:MAX_ASKED]
    at = test.X.iloc[np.sort(some)]
    for k, (feature, sign) in enumerate(task.signs.items()):
        drawn = pairs(at, train.X, feature, N_QUERIES, 1000 * seed + k)
        broken = violated(SimpleNamespace(predict=answers), at, feature, sign, drawn)
        failed, asked = failed + int(broken.sum()), asked + broken.size
    return Result(task.name, seed, method, name, judged, value, deviation, failed, asked, inside)
