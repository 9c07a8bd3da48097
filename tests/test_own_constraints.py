"""Constraints that a model was trained with beside declared orders: read from every library, through Pipelines, and said."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from alignconf import AlignedClassifier, AlignedRegressor, PropertyWarning, check
from alignconf.command import main
from alignconf.contract.property import LineProperty
from alignconf.lines.axis import Axis, place_axis
from alignconf.lines.classes_function import class_function
from alignconf.lines.fitted_model import FittedModel
from alignconf.lines.own_constraints import OwnConstraint, own_constraint
from alignconf.properties import Concave, Decreasing, Dominates, Increasing, Ordered

NAMES = ["age", "late payments", "c"]
X = pd.DataFrame(np.random.default_rng(0).random((240, 3)), columns=NAMES)
Y = X["age"] - X["late payments"] + 0.3 * np.sin(9 * X["c"])
#: What all spellings below say: predictions rise with age, fall with late payments, and c is free.
SIGNS = [1, -1, 0]
BY_NAME = {"age": 1, "late payments": -1}


def histogram(constraints: Any) -> Any:
    return HistGradientBoostingRegressor(max_iter=4, monotonic_cst=constraints)


def xgboost(constraints: Any) -> Any:
    return xgb.XGBRegressor(n_estimators=4, n_jobs=1, monotone_constraints=constraints)


def lightgbm(constraints: Any, name: str = "monotone_constraints") -> Any:
    return lgb.LGBMRegressor(n_estimators=4, verbose=-1, n_jobs=1, **{name: constraints})


def catboost(constraints: Any) -> Any:
    library = pytest.importorskip("catboost")
    settings = {"n_estimators": 4, "verbose": 0, "allow_writing_files": False, "thread_count": 1}
    return library.CatBoostRegressor(monotone_constraints=constraints, **settings)


def booster_of_xgboost() -> Any:
    return xgb.train({"monotone_constraints": "(1,-1,0)", "nthread": 1}, xgb.DMatrix(X, Y), 4)


def booster_of_lightgbm() -> Any:
    return lightgbm(SIGNS).fit(X, Y).booster_


SPELLINGS: dict[str, Callable[[], Any]] = {
    "histogram, list": lambda: histogram(SIGNS).fit(X, Y),
    "histogram, array": lambda: histogram(np.array(SIGNS)).fit(X, Y),
    "histogram, names": lambda: histogram(BY_NAME).fit(X, Y),
    "tree": lambda: DecisionTreeRegressor(max_depth=3, monotonic_cst=SIGNS).fit(X, Y),
    "forest": lambda: RandomForestRegressor(4, max_depth=3, monotonic_cst=SIGNS).fit(X, Y),
    "xgboost, tuple": lambda: xgboost((1, -1, 0)).fit(X, Y),
    "xgboost, text": lambda: xgboost("(1,-1,0)").fit(X, Y),
    "xgboost, names": lambda: xgboost(BY_NAME).fit(X, Y),
    "xgboost, dart": lambda: xgboost((1, -1, 0)).set_params(booster="dart").fit(X, Y),
    "xgboost, booster": booster_of_xgboost,
    "lightgbm, list": lambda: lightgbm(SIGNS).fit(X, Y),
    "lightgbm, alias": lambda: lightgbm(SIGNS, "mc").fit(X, Y),
    "lightgbm, booster": booster_of_lightgbm,
    "catboost, list": lambda: catboost(SIGNS).fit(X, Y),
    "catboost, names": lambda: catboost(BY_NAME).fit(X, Y),
    "catboost, text": lambda: catboost("(1,-1,0)").fit(X, Y),
    "frozen": lambda: FrozenEstimator(histogram(SIGNS).fit(X, Y)),
    "pipeline": lambda: make_pipeline(StandardScaler(), histogram(SIGNS)).fit(X, Y),
    "negated twice": lambda: make_pipeline(
        FunctionTransformer(np.negative), FunctionTransformer(np.negative), histogram(SIGNS)
    ).fit(X, Y),
    "negated": lambda: make_pipeline(FunctionTransformer(np.negative), histogram([-1, 1, 0])).fit(X, Y),
    "moved": lambda: make_pipeline(_reversed(), histogram([0, -1, 1])).fit(X, Y),
}


def _reversed() -> ColumnTransformer:
    return ColumnTransformer([(name, StandardScaler(), [name]) for name in NAMES[::-1]])


def constraint_of(function: Any, rule: LineProperty) -> OwnConstraint | None:
    return own_constraint(function, rule, Axis(rule.feature, NAMES.index(str(rule.feature)), None))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_read_and_compared(spelling: str) -> None:
    function = FittedModel.of(SPELLINGS[spelling]())
    for name, sign in zip(NAMES, SIGNS, strict=True):
        rising, falling = constraint_of(function, Increasing(name)), constraint_of(function, Decreasing(name))
        if not sign:
            assert rising is falling is None
            continue
        assert rising is not None
        assert falling is not None
        assert (rising.direction, falling.direction) == (sign, sign)
        assert (rising.agrees, falling.agrees) == (sign == 1, sign == -1)


@pytest.mark.parametrize("kind", ["histogram", "tree", "xgboost", "lightgbm"])
def test_the_first_of_two_classes_goes_the_other_way(kind: str) -> None:
    """Against predictions themselves: the constraint that is read holds along every line."""
    labels = np.where(Y.median() < Y, "yes", "no")
    model: Any = {
        "histogram": HistGradientBoostingClassifier(max_iter=4, monotonic_cst=SIGNS),
        "tree": DecisionTreeClassifier(max_depth=3, monotonic_cst=SIGNS),
        "xgboost": xgb.XGBClassifier(n_estimators=4, n_jobs=1, monotone_constraints=(1, -1, 0)),
        "lightgbm": lgb.LGBMClassifier(n_estimators=4, verbose=-1, n_jobs=1, monotone_constraints=SIGNS),
    }[kind]
    model.fit(X, labels == "yes" if kind == "xgboost" else labels)
    for column, label in enumerate(model.classes_):
        function = class_function(model, label)
        constraint = constraint_of(function, Increasing("age"))
        assert constraint is not None
        assert constraint.direction == (1 if column else -1)
        older = X.assign(age=1.0)
        assert (constraint.direction * (function.predict(older) - function.predict(X)) >= 0).all()


def test_nothing_is_said_of_what_is_not_known() -> None:
    function = FittedModel.of(histogram(SIGNS).fit(X, Y))
    assert constraint_of(function, Concave("age")) is None
    dominates = Dominates("age", "c")
    assert own_constraint(function, dominates, place_axis(dominates, X)) is None
    order = ["a", "b"]
    assert own_constraint(function, Ordered("age", order), Axis("age", 0, tuple(order))) is None
    assert constraint_of(FittedModel.of(make_pipeline(PCA(), histogram(SIGNS)).fit(X, Y)), Increasing("age")) is None
    assert constraint_of(FittedModel.of(histogram(None).fit(X, Y)), Increasing("age")) is None
    labels = np.digitize(Y, [-0.3, 0.3])
    linear = xgb.XGBRegressor(booster="gblinear", n_estimators=2, n_jobs=1).fit(X, Y)
    assert constraint_of(FittedModel.of(linear), Increasing("age")) is None
    several = xgb.XGBClassifier(n_estimators=2, n_jobs=1, monotone_constraints=(1, -1, 0)).fit(X, labels)
    assert constraint_of(class_function(several, 0), Increasing("age")) is None


def test_a_column_that_goes_two_ways_opposes_and_does_not_agree() -> None:
    twice = ColumnTransformer([("up", StandardScaler(), ["age"]), ("down", FunctionTransformer(np.negative), ["age"])])
    for signs, agrees in (([1, -1], True), ([1, 0], None), ([1, 1], False), ([-1, 0], False)):
        model = make_pipeline(twice, HistGradientBoostingRegressor(max_iter=4, monotonic_cst=signs)).fit(X, Y)
        constraint = constraint_of(FittedModel.of(model), Increasing("age"))
        assert (None if constraint is None else constraint.agrees) is agrees, signs


# ---------------------------------------------------------------------------------------------------------------------
# Where it is said
# ---------------------------------------------------------------------------------------------------------------------
SAME = (
    "The model was trained with this constraint: monotonic_cst of HistGradientBoostingRegressor (increasing), as increasing in "
    "'age' demands."
)
OPPOSITE = (
    "Warning: increasing in 'late payments' is against monotonic_cst of HistGradientBoostingRegressor (decreasing): the model "
    "was trained with that constraint. Correct the rule, or the constraint and train again."
)
RULES = [Increasing("age"), Increasing("late payments"), Increasing("c")]


def test_audits_and_certificates_name_both() -> None:
    model = histogram(BY_NAME).fit(X, Y)
    audit = check(model, X, RULES, random_state=0)
    assert audit.own_constraints == (SAME, OPPOSITE)
    assert audit.sentence.endswith(f"{SAME}\n{OPPOSITE}")
    assert "\nWarning    increasing in 'late payments' is against monotonic_cst" in str(audit)
    assert audit.to_dict()["own_constraints"] == (SAME, OPPOSITE)
    assert "is against monotonic_cst" in audit.to_html()
    aligned = AlignedRegressor(model, RULES, alpha=0.2, random_state=0)
    with pytest.warns(PropertyWarning, match=r"^increasing in 'late payments' is against monotonic_cst"):
        aligned.calibrate(X, X_reference=X[:60] + 0.001)
    certificate = aligned.certify(X + 0.002)
    assert certificate.sentence.endswith(f"{SAME}\n{OPPOSITE}")
    assert certificate.to_dict()["own_constraints"] == (SAME, OPPOSITE)


def test_the_same_direction_warns_of_nothing() -> None:
    labels = np.where(Y.median() < Y, 1, 0)
    model = HistGradientBoostingClassifier(max_iter=4, monotonic_cst=SIGNS).fit(X, labels)
    aligned = AlignedClassifier(model, {"age": 1}, alpha=0.2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        aligned.calibrate(X, X_reference=X[:60] + 0.001)
    assert (
        aligned.certify(X + 0.002).evidence.own_constraints[0].startswith("The model was trained with this constraint")
    )


@pytest.mark.filterwarnings("ignore:increasing in 'late payments' is against")
def test_the_command_line_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    joblib.dump(make_pipeline(StandardScaler(), histogram(SIGNS)).fit(X, Y), "model.joblib")
    X.to_csv("rows.csv", index=False)
    (X[:60] + 0.001).to_csv("train.csv", index=False)
    rules = ["--increasing", "age", "--increasing", "late payments", "--reference-data", "train.csv"]
    assert main(["check", "model.joblib", "rows.csv", *rules]) == 1
    behind = OPPOSITE.replace("that constraint.", "that constraint, behind its steps.")
    assert " ".join(capsys.readouterr().out.split()).endswith(behind)
    assert main(["align", "model.joblib", "rows.csv", *rules, "--alpha", "0.2", "-o", "aligned.joblib"]) == 0
    assert behind in " ".join(capsys.readouterr().out.split())
