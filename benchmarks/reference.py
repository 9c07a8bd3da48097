"""Which weights a projection should have: equal ones, the feature's marginal law, or its law given the other features.

For each data set and rule XGBoost with its defaults is fitted on three quarters of the rows, aligned at full strength
(``alpha=0``, the training rows as reference) and judged on the others. All three ways repair the same model, so differences
are paired. *Equal* weights count every piece of the model's trees, or every knot, the same; they are put in place of the marginal
ones from outside, as the library does not offer them. Settings of the conditional law come from the reference rows alone.

The rules are those of the other benchmarks, as far as weights and other columns play a part in them (a surrogate has no weights,
Engel's table has one column), a few more with features that go together, and a made-up table (:func:`neighbourhoods`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from tqdm import tqdm

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.contract.property import Declaration
from alignconf.projectors.grid import GridProjector
from alignconf.projectors.line_projection import LineProjection
from alignconf.projectors.patterns import PatternProjector
from alignconf.projectors.tree import TreeProjector
from benchmarks.declarations import SHAPES
from benchmarks.problems import PROBLEMS, Problem, Rows, load, read
from benchmarks.tables import markdown, write_json

__all__ = ["CASES", "Case", "neighbourhoods", "run", "with_equal_weights"]

#: More rows than these neither train nor test.
MAX_TRAIN, MAX_TEST = 8000, 2500

WAYS = ("equal", "marginal", "conditional")


@dataclass(frozen=True)
class Case:
    """A table and a rule.

    Parameters
    ----------
    name : str
    rows : callable
        From the directory of data sets to all rows.
    properties : Declaration
    pos_label : label or None
        The class whose probability has the property; None for a regression.
    """

    name: str
    rows: Callable[[Path | None], Rows]
    properties: Declaration
    pos_label: Any = None


@dataclass(frozen=True)
class Result:
    """Mean squared errors on the test rows, and how long predicting took after a first call, in seconds."""

    name: str
    seed: int
    n_train: int
    unaligned: float
    equal: float
    marginal: float
    conditional: float
    seconds_marginal: float
    seconds_conditional: float
    repair: str


def neighbourhoods(n_samples: int = 1000, seed: int = 0) -> Rows:
    """Return a made-up table of house prices in which everything follows from how far out a neighbourhood is.

    ``u ~ N(0, 1)`` is hidden; crime, distance, tax, industry and age of houses are monotone functions of it with noise of a third
    to a half of its size, rooms are not. The price falls with crime, by 1.5 for each factor e, so that the rule (decreasing in
    crime) is true; but crime and the others hardly ever disagree, and a model must guess what happens where they do.
    """
    random = np.random.default_rng(seed)
    u, e = random.normal(size=n_samples), random.normal(size=(n_samples, 6))
    X = pd.DataFrame(
        {
            "crime": np.exp(1.5 * u + 0.5 * e[:, 0] - 1),
            "distance": np.exp(-0.5 * u + 0.2 * e[:, 1] + 1),
            "tax": np.round(400 + 120 * np.tanh(u) + 40 * e[:, 2]),
            "industry": 11 + 6 * u + 2 * e[:, 3],
            "age": 100 / (1 + np.exp(-1.5 * u - 0.6 * e[:, 4])),
            "rooms": 6.3 + 0.7 * e[:, 5],
        }
    )
    price = 20 - 1.5 * np.log(X.crime) + 5 * (X.rooms - 6.3) + 3 * np.sin(X.distance) - 0.04 * X.age
    return Rows(X, (price + 2 * random.normal(size=n_samples)).to_numpy())


def _of_problem(problem: Problem) -> Case:
    ((feature, sign),) = problem.signs.items()
    return Case(
        f"{problem.name}: {'+' if sign > 0 else '-'} {feature}", lambda data: load(problem, data), problem.signs
    )


def _of_shape(name: str) -> Case:
    shape = SHAPES[name]

    def rows(directory: Path | None) -> Rows:
        table = read(name, shape.target, directory)
        y = table.pop(shape.target).to_numpy()
        return Rows(table.drop(columns=list(shape.drop)), y if shape.transform is None else shape.transform(y))

    return Case(name, rows, shape.properties, shape.pos_label)


def _auto_mpg(directory: Path | None) -> Rows:
    table = read("auto_mpg", "mpg", directory)
    return Rows(table.drop(columns=["mpg", "car_name"], errors="ignore"), table.mpg.to_numpy(dtype=float))


AIRFOIL = Problem(
    "airfoil_self_noise",
    "scaled_sound_pressure_level",
    {"free_stream_velocity": +1},
    "domain knowledge: noise grows with speed",
    "dB",
)

CASES = (
    *(_of_problem(problem) for problem in PROBLEMS.values()),
    _of_problem(AIRFOIL),
    Case("auto_mpg: - displacement", _auto_mpg, {"displacement": -1}),
    Case("auto_mpg: - weight", _auto_mpg, {"weight": -1}),
    Case("neighbourhoods: - crime", lambda _: neighbourhoods(), {"crime": -1}),
    *(_of_shape(name) for name in ("yacht", "cps1985", "diamonds", "compas", "adult", "car_evaluation")),
)


def run(directory: Path | None, names: list[str] | None, n_seeds: int, output: Path) -> None:
    """Measure all cases, or those whose names begin with the given ones, print a table and write what it shows."""
    chosen = [case for case in CASES if names is None or any(case.name.startswith(name) for name in names)]
    results = [result for case in tqdm(chosen, unit="case") for result in measured(case, directory, n_seeds)]
    write_json(output / "reference.json", [asdict(result) for result in results])
    print(summary(results))


def measured(case: Case, directory: Path | None, n_seeds: int) -> Iterator[Result]:
    """Measure one case for each seed."""
    rows = case.rows(directory)
    for seed in range(n_seeds):
        order = np.random.default_rng(seed).permutation(len(rows.y))
        n_test = min(MAX_TEST, len(order) // 4)
        test, train = order[:n_test], order[n_test:][:MAX_TRAIN]
        yield _measure(case, seed, Rows(rows.X.iloc[train], rows.y[train]), Rows(rows.X.iloc[test], rows.y[test]))


def _measure(case: Case, seed: int, train: Rows, test: Rows) -> Result:
    model = _xgboost(seed, train, is_classifier=case.pos_label is not None)
    classes = np.unique(train.y)
    y = test.y if case.pos_label is None else (test.y == case.pos_label).astype(float)
    if case.pos_label is not None:
        model = _Named(model, classes)

    def values(one: Any) -> np.ndarray:
        if case.pos_label is None:
            return np.asarray(one.predict(test.X), dtype=float)
        return np.asarray(one.predict_proba(test.X)[:, list(classes).index(case.pos_label)], dtype=float)

    def aligned(reference: str) -> Any:
        settings: dict[str, Any] = {"alpha": 0, "reference_law": reference, "random_state": seed, "n_jobs": 1}
        if case.pos_label is None:
            return AlignedRegressor(model, case.properties, **{"confidence": None, **settings}).calibrate(train.X)
        return AlignedClassifier(
            model, case.properties, pos_label=case.pos_label, **{"confidence": None, **settings}
        ).calibrate(train.X)

    marginal, conditional = aligned("marginal"), aligned("conditional")
    delivered, seconds = {"unaligned": values(model), "equal": values(with_equal_weights(marginal))}, {}
    for way, one in (("marginal", marginal), ("conditional", conditional)):
        values(one)
        start = perf_counter()
        delivered[way] = values(one)
        seconds[f"seconds_{way}"] = perf_counter() - start
    errors = {way: float(np.mean((found - y) ** 2)) for way, found in delivered.items()}
    return Result(case.name, seed, len(train.y), **errors, **seconds, repair=marginal.calibration_.repair)


@dataclass(frozen=True)
class _Named:
    """A classifier of numbers that answers in the order of the labels; XGBoost takes no others."""

    model: Any
    classes_: np.ndarray

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        return np.asarray(self.model.predict_proba(X))

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


def _xgboost(seed: int, train: Rows, *, is_classifier: bool) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    model = (XGBClassifier if is_classifier else XGBRegressor)(random_state=seed, n_jobs=2)
    y = np.unique(train.y, return_inverse=True)[1] if is_classifier else train.y
    text = make_column_selector(dtype_exclude="number")(train.X)
    if text:
        codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
        model = make_pipeline(make_column_transformer((codes, text), remainder="passthrough"), model)
    return model.fit(train.X, y)


def with_equal_weights(aligned: Any) -> Any:
    """Return a copy of an aligned model whose projections weigh all pieces, or all knots, the same."""

    def equal(projector: LineProjection) -> LineProjection:
        laws = tuple(replace(law, weights=np.full(law.knots.size, 1 / law.knots.size)) for law in projector.laws)
        parts = tuple(replace(part, law=laws[part.axis]) for part in projector.parts)
        return replace(projector, laws=laws, parts=parts)

    repairs = []
    for repair in aligned.alignment_.chain.stages:
        changed = repair.whole if isinstance(repair, PatternProjector) else repair
        if isinstance(changed, GridProjector):
            changed = replace(changed, projector=equal(changed.projector))
        if isinstance(changed, TreeProjector):
            changed = replace(changed, steps=equal(changed.steps))
        repairs.append(changed)
    other = copy(aligned)
    chain = replace(aligned.alignment_.chain, stages=tuple(repairs))
    other.alignment_ = replace(aligned.alignment_, chain=chain)
    return other


def summary(results: list[Result]) -> str:
    """Return one row for each case: errors over the unaligned model's, and conditional over the others, paired."""
    header = (
        "data: rule",
        "rows",
        *(f"{way} / unaligned" for way in WAYS),
        "conditional / equal",
        "/ marginal",
        "time",
    )
    rows = []
    for name in dict.fromkeys(result.name for result in results):
        group = [result for result in results if result.name == name]
        errors = {way: np.array([getattr(one, way) for one in group]) for way in ("unaligned", *WAYS)}
        time = np.median([one.seconds_conditional / one.seconds_marginal for one in group])
        rows.append(
            (
                name,
                f"{group[0].n_train:,}",
                *(f"{np.mean(errors[way] / errors['unaligned']):.3f}" for way in WAYS),
                *(_paired(errors["conditional"] / errors[way]) for way in ("equal", "marginal")),
                f"{time:.1f}",
            )
        )
    return markdown(header, rows)


def _paired(ratios: np.ndarray) -> str:
    spread = ratios.std(ddof=1) / np.sqrt(ratios.size) if ratios.size > 1 else np.nan
    return f"{ratios.mean():.3f} +- {spread:.3f}"
