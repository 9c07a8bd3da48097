"""Leaves behind the steps of a Pipeline: in order in the columns of the table, one model, the steps as they were."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    StandardScaler,
)
from xgboost import XGBClassifier, XGBRegressor

from alignconf import AlignedClassifier, AlignedRegressor, ClassFunction, check
from alignconf.errors import PredictionError
from alignconf.lines.axis import Axis
from alignconf.lines.fitted_model import FittedModel
from alignconf.lines.model_trees import ModelTrees, model_trees
from alignconf.lines.trees import read_ensemble
from alignconf.properties import Decreasing, Increasing, Ordered

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "HGB": lambda: HistGradientBoostingClassifier(max_iter=15, random_state=0),
    "XGBoost": lambda: XGBClassifier(n_estimators=15, max_depth=4, random_state=0, n_jobs=1),
    "LightGBM": lambda: LGBMClassifier(n_estimators=15, random_state=0, verbose=-1, n_jobs=1),
    "forest": lambda: RandomForestClassifier(8, min_samples_leaf=3, random_state=0),
}
GRADES = ["poor", "fair", "good"]
NUMBERS = ["income", "debt", "age", "free"]
SIGNS = {"income": 1, "debt": -1, "age": 1}
RULES = [Increasing("income"), Decreasing("debt"), Increasing("age"), Ordered("grade", order=GRADES)]


def _table(n_rows: int, seed: int) -> tuple[pd.DataFrame, Any]:
    """Return rows of numbers with missing values, an ordered and a free category, and a score with the rules up to noise."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame({name: random.normal(size=n_rows).round(2) for name in NUMBERS})
    table["grade"] = random.choice(GRADES, n_rows)
    table["region"] = random.choice(["n", "e", "s", "w"], n_rows)
    score = table.income - table.debt + np.tanh(table.age) + table.grade.map(GRADES.index) / 2
    score += np.where(table.region == "n", table.free, -table.free) + random.normal(size=n_rows)
    for name in ("income", "debt"):
        table.loc[random.random(n_rows) < 0.1, name] = np.nan
    return table, score.to_numpy()


TABLE, SCORE = _table(1400, 0)
TRAIN, CALIBRATE, FRESH = slice(0, 600), slice(600, 900), slice(900, 1400)
LABELS = (np.median(SCORE) < SCORE).astype(int)


def _steps(*, sparse_output: bool = False) -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("codes", OneHotEncoder(sparse_output=sparse_output), ["region"]),
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
            ("grade", OrdinalEncoder(categories=[GRADES[::-1]]), ["grade"]),
        ],
        sparse_threshold=float(sparse_output),
    )


def _fitted(name: str) -> Any:
    return Pipeline([("prepare", _steps()), ("model", CLASSIFIERS[name]())]).fit(TABLE[TRAIN], LABELS[TRAIN])


def _aligned(model: Any, rules: Any = None, **parameters: Any) -> Any:
    family = AlignedClassifier if hasattr(model, "predict_proba") else AlignedRegressor
    parameters = {"alpha": 0, "random_state": 0, "confidence": None, **parameters}
    return family(model, rules or RULES, **parameters).calibrate(TABLE[CALIBRATE], X_reference=TABLE[TRAIN])


def _near_thresholds(model: Any, n_rows: int, random: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return pairs of rows that lie within three numbers of thresholds of the trees, or at places of rows, all in order."""
    columns = model["prepare"].named_transformers_["numbers"]
    first = model["prepare"].output_indices_["numbers"].start
    ensemble = read_ensemble(model["model"])
    low = TABLE[FRESH].iloc[random.integers(500, size=n_rows)].reset_index(drop=True)
    high = low.copy()
    for name, sign in SIGNS.items():
        column = NUMBERS.index(name)
        thresholds = ensemble.pieces(first + column)
        places = random.choice(thresholds, n_rows) * columns[-1].scale_[column] + columns[-1].mean_[column]
        ends = places + np.spacing(places) * random.integers(-3, 4, size=(2, n_rows))
        ends = np.where(
            random.random(n_rows) < 0.5, ends, TABLE[name].dropna().to_numpy()[random.integers(1000, size=(2, n_rows))]
        )
        ends = np.sort(sign * ends, axis=0) * sign
        present = ~low[name].isna()
        low[name], high[name] = low[name].where(~present, ends[0]), high[name].where(~present, ends[1])
    ranks = np.sort(random.integers(3, size=(2, n_rows)), axis=0)
    low["grade"], high["grade"] = (np.array(GRADES)[rank] for rank in ranks)
    return low, high


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_no_joint_pair_is_violated_and_the_export_is_the_pipeline(name: str) -> None:
    """At thresholds of the trees in the unit of the table; the ordered category is encoded the other way round."""
    model = _fitted(name)
    aligned = _aligned(model)
    assert "exact, by the" in aligned.calibration_.repair
    low, high = _near_thresholds(model, 4000, np.random.default_rng(1))
    assert (model.predict_proba(high)[:, 1] < model.predict_proba(low)[:, 1]).mean() > 0.01
    assert not (aligned.predict_proba(high)[:, 1] < aligned.predict_proba(low)[:, 1]).any()
    exported = aligned.export()
    assert type(exported) is Pipeline
    assert type(exported[-1]) is type(model[-1])
    np.testing.assert_array_equal(exported.predict_proba(low), aligned.predict_proba(low))
    np.testing.assert_array_equal(exported[0].transform(low), model[0].transform(low))
    audit = check(ClassFunction(exported, 1, "probability"), TABLE[FRESH], RULES, random_state=0)
    assert audit.proof.holds
    assert not check(ClassFunction(model, 1, "probability"), TABLE[FRESH], RULES, random_state=0).proof.holds


def test_a_row_without_a_value_is_a_row_at_the_imputed_place() -> None:
    """Trees see what the imputer fills in, so missing values are in order with the others."""
    aligned = _aligned(_fitted("HGB"))
    rows = TABLE[FRESH][TABLE[FRESH].income.isna()]
    imputer = aligned.export()[0].named_transformers_["numbers"][0]
    filled = rows.assign(income=imputer.statistics_[0])
    np.testing.assert_array_equal(aligned.predict_proba(rows), aligned.predict_proba(filled))
    assert (aligned.predict_proba(rows.assign(income=9.0)) >= aligned.predict_proba(rows))[:, 1].all()


@pytest.mark.parametrize("name", ["XGBoost", "forest"])
def test_leaf_by_leaf_an_ordinary_pipeline_is_delivered_within_its_band(name: str) -> None:
    aligned = _aligned(_fitted(name), alpha=0.2, path="leaves")
    assert 0 < aligned.lambda_ < np.inf
    values = aligned.predict_proba(TABLE[FRESH])
    np.testing.assert_array_equal(aligned.export().predict_proba(TABLE[FRESH]), values)
    band = aligned.predict_band(TABLE[FRESH])
    assert ((band[:, 0] <= values[:, 1]) & (values[:, 1] <= band[:, 1])).all()
    assert aligned.certify(TABLE[FRESH]).delivered.rate < 0.25


def _with_codes(steps: Any) -> tuple[Any, pd.DataFrame]:
    """Return a model behind steps, fitted to incomes with a special value, and the rows."""
    rows = TABLE[["income", "debt", "age"]].fillna({"debt": 0.0}).fillna({"income": -9.0})
    target = SCORE + 2 * (rows.income == -9)
    return make_pipeline(steps, HistGradientBoostingRegressor(max_iter=10, random_state=0)).fit(rows, target), rows


@pytest.mark.filterwarnings("ignore:The current default behavior, quantile_method:FutureWarning")
@pytest.mark.parametrize(
    ("steps", "special"),
    [
        (StandardScaler(), True),
        (FunctionTransformer(np.negative), True),
        (KBinsDiscretizer(6, encode="ordinal", subsample=None), False),
        (ColumnTransformer([("all", SimpleImputer(missing_values=-9.0), ["income", "debt", "age"])]), False),
    ],
    ids=["scaled", "negated", "binned", "imputed"],
)
def test_a_special_value_stays_apart_unless_steps_map_others_there(steps: Any, special: bool) -> None:
    """Incomes are in order among themselves, at the place of the bin or of the mean too."""
    model, rows = _with_codes(steps)
    rules = [Increasing("income", special=[-9.0]), Decreasing("debt")]
    axis = Axis("income", 0, None, codes=(-9.0,), domain=rules[0].lines[0].domain)
    trees = model_trees(FittedModel.of(model), rows, [axis])
    assert isinstance(trees, ModelTrees), trees
    of_code = np.asarray(model[0].transform(rows.assign(income=-9.0)[:1]))[0, :1].tolist()
    assert trees.domains[0].numbers.tolist() == (of_code if special else [])
    aligned = AlignedRegressor(model, rules, alpha=0, random_state=0).calibrate(
        rows[CALIBRATE], X_reference=rows[TRAIN]
    )
    assert "exact, by the" in aligned.calibration_.repair
    places = np.sort(np.append(np.unique(rows.income[rows.income > -9]), rows.income[rows.income > -9].mean()))
    lines = pd.concat([rows[FRESH][:40]] * len(places)).assign(income=np.repeat(places, 40))
    assert (np.diff(model.predict(lines).reshape(-1, 40), axis=0) < 0).any()
    assert not (np.diff(aligned.predict(lines).reshape(-1, 40), axis=0) < 0).any()


def test_searches_frozen_models_and_nested_pipelines_are_read() -> None:
    """Steps are collected on the way to the model that predicts."""
    inner = make_pipeline(StandardScaler(), HistGradientBoostingRegressor(max_iter=5, random_state=0))
    search = GridSearchCV(inner, {"histgradientboostingregressor__max_depth": [3]}, cv=2)
    model = FrozenEstimator(make_pipeline(_steps(), search).fit(TABLE[TRAIN], SCORE[TRAIN]))
    aligned = _aligned(model)
    assert "exact, by the" in aligned.calibration_.repair
    exported = aligned.export()
    assert type(exported) is FrozenEstimator
    assert exported.estimator[-1].best_params_ == {"histgradientboostingregressor__max_depth": 3}
    np.testing.assert_array_equal(exported.predict(TABLE[FRESH]), aligned.predict(TABLE[FRESH]))
    assert check(exported, TABLE[FRESH], RULES, random_state=0).proof.holds


def test_labels_choose_behind_steps_too() -> None:
    """The model with the trees is trained again in folds, on the rows that it sees."""
    model = make_pipeline(_steps(), LGBMRegressor(n_estimators=10, verbose=-1, random_state=0, n_jobs=1))
    aligned = AlignedRegressor(model, RULES, alpha=0, random_state=0).fit(TABLE[TRAIN], SCORE[TRAIN])
    assert "cross-validated deviance" in aligned.calibration_.repair
    assert check(aligned.export(), TABLE[FRESH], RULES, random_state=0).proof.holds


@pytest.mark.parametrize("parameters", [{}, {"alpha": 0.2, "path": "leaves"}], ids=["full", "leaves"])
def test_an_export_does_not_change_when_the_pipeline_is_fitted_again(parameters: Any) -> None:
    """A Pipeline fits its own steps again, in place; the delivered one has copies."""
    model = _fitted("HGB")
    aligned = _aligned(model, **parameters)
    before = aligned.predict_proba(TABLE[FRESH])
    model.fit(TABLE[TRAIN].assign(income=TABLE[TRAIN].income * 10), LABELS[TRAIN])
    with pytest.raises(PredictionError, match="is not the model that was calibrated"):
        aligned.predict_proba(TABLE[FRESH])
    np.testing.assert_array_equal(aligned.export().predict_proba(TABLE[FRESH]), before)


def test_order_up_to_a_rounding_is_told_where_it_is_promised() -> None:
    """Powers are rounded by the library, which states nowhere how."""
    model = make_pipeline(PowerTransformer(), HistGradientBoostingRegressor(max_iter=5, random_state=0))
    rows = TABLE[NUMBERS].fillna(0.0)
    model.fit(rows[TRAIN], SCORE[TRAIN])
    aligned = AlignedRegressor(model, SIGNS, alpha=0, random_state=0).calibrate(
        rows[CALIBRATE], X_reference=rows[TRAIN]
    )
    assert "up to the rounding of PowerTransformer" in aligned.calibration_.repair
    proof = check(aligned.export(), rows[FRESH], SIGNS, random_state=0).proof
    assert proof.holds
    assert proof.text.endswith("in all these features together, up to the rounding of PowerTransformer.")


def _reason(model: Any, axis: Axis, rows: pd.DataFrame = TABLE) -> str:
    trees = model_trees(FittedModel.of(model), rows[FRESH], [axis])
    assert not isinstance(trees, ModelTrees), trees.routes
    return trees


INCOME, GRADE = Axis("income", 0, None), Axis("grade", 4, tuple(GRADES))


def _alphabetical() -> Any:
    steps = ColumnTransformer([("all", OrdinalEncoder(), ["grade", "region"])])
    return make_pipeline(steps, HistGradientBoostingRegressor(max_iter=2)).fit(TABLE, SCORE)


def _sparse() -> Any:
    return make_pipeline(_steps(sparse_output=True), XGBRegressor(n_estimators=2)).fit(TABLE, SCORE)


def _coded() -> Any:
    return make_pipeline(_steps(), XGBRegressor(n_estimators=2, missing=0.0)).fit(TABLE, SCORE)


def _logarithms() -> Any:
    steps = ColumnTransformer([("all", FunctionTransformer(np.log1p), NUMBERS)])
    rows = TABLE.assign(**{name: TABLE[name].clip(lower=-0.5) for name in NUMBERS})
    return make_pipeline(steps, HistGradientBoostingRegressor(max_iter=2)).fit(rows, SCORE)


def _unseen() -> Any:
    rows = TABLE[TABLE.grade != "fair"]
    steps = ColumnTransformer([("all", OrdinalEncoder(categories=[["poor", "good"]]), ["grade"])])
    return make_pipeline(steps, HistGradientBoostingRegressor(max_iter=2)).fit(rows, SCORE[rows.index])


def _mixed() -> Any:
    steps = make_pipeline(_steps(), FunctionTransformer(lambda rows: rows))
    return make_pipeline(steps, HistGradientBoostingRegressor(max_iter=2)).fit(TABLE, SCORE)


@pytest.mark.filterwarnings("ignore:.*encountered in log1p:RuntimeWarning")
@pytest.mark.parametrize(
    ("make", "axis", "sentence"),
    [
        (_alphabetical, GRADE, r"do not keep the order of 'grade', from 'fair' to 'good'|from 'poor' to 'fair'"),
        (
            _sparse,
            INCOME,
            r"ColumnTransformer hands sparse rows to XGBRegressor, which takes their zeros for missing; give",
        ),
        (_coded, INCOME, r"XGBRegressor takes 0 for missing, which steps before it may make of any value"),
        (_logarithms, INCOME, r"its steps make a missing value of some values of 'income'"),
        (_mixed, INCOME, r"FunctionTransformer applies <lambda> to 'income', of which it is not known"),
    ],
)
def test_pipelines_that_cannot_be_read_say_why(make: Callable[[], Any], axis: Axis, sentence: str) -> None:
    reason = _reason(make(), axis)
    assert re.search(sentence, reason), reason


def test_steps_that_refuse_a_category_say_so() -> None:
    rows = TABLE[TABLE.grade != "fair"]
    trees = model_trees(FittedModel.of(_unseen()), rows, [GRADE])
    assert isinstance(trees, str)
    assert trees.startswith("its steps fail where 'grade' is moved by itself (")


def test_a_route_is_compared_with_what_steps_do() -> None:
    """A scaler whose figures were changed to turn a column round, and one that mixes columns, are found out."""
    rows = TABLE[NUMBERS].fillna(0.0)
    model = make_pipeline(StandardScaler(), HistGradientBoostingRegressor(max_iter=2)).fit(rows, SCORE)
    model[0].scale_[0] *= -1
    assert "do not keep the order of 'income', from the smallest" in _reason(model, INCOME, rows)
    model[0].transform = lambda X: np.asarray(X) + np.asarray(X)[:, :1]
    assert "column 1 of the transformed rows moves with 'income'" in _reason(model, INCOME, rows)


def test_sparse_rows_are_read_where_zeros_are_zeros() -> None:
    model = make_pipeline(_steps(sparse_output=True), LGBMRegressor(n_estimators=5, verbose=-1, n_jobs=1))
    aligned = _aligned(model.fit(TABLE[TRAIN], SCORE[TRAIN]))
    assert "exact, by the" in aligned.calibration_.repair
    np.testing.assert_array_equal(aligned.export().predict(TABLE[FRESH]), aligned.predict(TABLE[FRESH]))


def test_the_export_predicts_where_alignconf_is_not(tmp_path: Path) -> None:
    """Bit for bit, in a process that cannot import it."""
    for name in CLASSIFIERS:
        aligned = _aligned(_fitted(name))
        (tmp_path / name).write_bytes(
            pickle.dumps((aligned.export(), TABLE[FRESH], aligned.predict_proba(TABLE[FRESH])))
        )
    program = (
        "import pathlib, pickle, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "sys.modules['alignconf'] = None\n"
        "for path in pathlib.Path(sys.argv[1]).iterdir():\n"
        "    model, rows, values = pickle.loads(path.read_bytes())\n"
        "    print(bool((model.predict_proba(rows) == values).all()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * len(CLASSIFIERS)
