"""Models with other values in their leaves: read back, predicted, saved, and loaded where alignconf is not."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from alignconf.errors import DefectError, InputError
from alignconf.lines import native_leaves
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.native.unscaled import as_before, unscaled
from alignconf.lines.native_leaves import leaf_values_of, with_leaves
from alignconf.lines.trees import read_ensemble, read_sum, trees_of
from tests.test_trees import MODELS, case, categories, classes, data, fitted, lgbm, xgb

#: LightGBM gives names to the columns of arrays and older versions then miss them.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")

every_model = pytest.mark.parametrize("name", MODELS)

#: One model of each writer.
LIBRARIES = ("histogram, classes", "boosting", "forest", "forest, classes", "xgboost, classes", "lightgbm, classes")


def answers(model: Any, X: Any) -> np.ndarray:
    return np.asarray(model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X))


def rows_of(name: str) -> np.ndarray:
    one = case(name)
    return np.vstack([one.X, data(99)[0]]) if MODELS[name][1] else one.X


def readable(model: Any, column: int = 1) -> Ensemble:
    ensemble = read_ensemble(model, column=column)
    assert isinstance(ensemble, Ensemble), ensemble
    return ensemble


def changed(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Noise within the range of the values, a third of them tied, and a few as they were."""
    rng = np.random.default_rng(seed)
    new = np.clip(values + 0.1 * np.ptp(values) * rng.normal(size=values.size), values.min(), values.max())
    new[rng.random(values.size) < 0.3] = values[rng.integers(values.size)]
    return np.where(rng.random(values.size) < 0.2, values, new)


def read_back(name: str, values: np.ndarray) -> np.ndarray:
    """What a library holds of values, where no scale comes between."""
    return values.astype(np.float32).astype(float) if name.startswith("xgboost") else values


# A copy that is the model ---------------------------------------------------------------------------------------------


@every_model
def test_the_values_that_are_there_give_the_same_predictions_bit_for_bit(name: str) -> None:
    model, X = case(name).model, rows_of(name)
    twin = with_leaves(model, leaf_values_of(case(name).ensemble))
    assert type(twin) is type(model)
    assert twin.get_params() == model.get_params()
    np.testing.assert_array_equal(answers(twin, X), answers(model, X))
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))


@every_model
def test_other_values_are_read_back_in_their_order_and_predicted(name: str) -> None:
    one, X = case(name), rows_of(name)
    before = pickle.dumps(one.model)
    values = changed(leaf_values_of(one.ensemble))
    twin = with_leaves(one.model, values)
    ensemble = readable(twin)
    again = leaf_values_of(ensemble)
    if abs(one.ensemble.scale) == 1:
        np.testing.assert_array_equal(again, read_back(name, values))
    assert (np.abs(again - values) <= (2.0**-24 if name.startswith("xgboost") else 2.0**-51) * np.abs(values)).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(again[order]) >= 0).all()
    assert (np.diff(again[order])[np.diff(values[order]) == 0] == 0).all()
    is_leaf = one.ensemble.nodes["split"] == -1
    np.testing.assert_array_equal(ensemble.nodes["split"], one.ensemble.nodes["split"])
    np.testing.assert_array_equal(ensemble.nodes["number"][~is_leaf], one.ensemble.nodes["number"][~is_leaf])
    assert (ensemble.base, ensemble.divisor, ensemble.link) == (
        one.ensemble.base,
        one.ensemble.divisor,
        one.ensemble.link,
    )
    expected, rounding = ensemble.predict(X), ensemble.rounding
    error = np.abs(answers(twin, X).reshape(len(X), -1)[:, -1] - expected)
    assert (error <= rounding.relative * np.abs(expected) + rounding.absolute).all()
    assert pickle.dumps(one.model) == before


@pytest.mark.parametrize("name", ["histogram, classes", "boosting, classes", "xgboost, classes", "lightgbm, classes"])
def test_leaves_of_the_first_class_are_those_of_the_second_negated(name: str) -> None:
    one = case(name)
    values = changed(leaf_values_of(one.ensemble))
    first, second = with_leaves(one.model, -values, column=0), with_leaves(one.model, values)
    np.testing.assert_allclose(
        answers(first, one.X)[:, 0], 1 - answers(second, one.X)[:, 1], rtol=0, atol=1e-15 if "xgb" not in name else 1e-7
    )
    np.testing.assert_array_equal(answers(first, one.X)[:, 1], answers(second, one.X)[:, 1])


def test_a_forest_of_classes_holds_shares_that_add_up() -> None:
    one = case("forest, classes")
    values = changed(leaf_values_of(one.ensemble))
    first = with_leaves(one.model, 1 - values, column=0)
    np.testing.assert_array_equal(leaf_values_of(readable(first, 0)), 1 - values)
    twin = with_leaves(one.model, values)
    np.testing.assert_allclose(answers(twin, one.X).sum(axis=1), 1, rtol=0, atol=1e-15)
    low, high = leaf_values_of(readable(twin, 0)), leaf_values_of(readable(twin))
    assert (np.diff(low[np.argsort(high, kind="stable")]) <= 0).all()


# What is around the model ---------------------------------------------------------------------------------------------


def test_wrappers_stay_around_the_copy() -> None:
    X, y = data(3, missing=False)
    search = GridSearchCV(GradientBoostingRegressor(n_estimators=3, random_state=0), {"max_depth": [2]}, cv=2)
    pipeline = make_pipeline(StandardScaler(), FrozenEstimator(search.fit(X, y))).fit(X, y)
    outer = FrozenEstimator(pipeline)
    before = answers(outer, X)
    inner = pipeline[-1].estimator.best_estimator_
    values = changed(leaf_values_of(readable(inner)))
    twin = with_leaves(outer, values)
    assert type(twin) is FrozenEstimator
    assert twin.estimator[0] is not pipeline[0]  # which another fit would fit again
    assert twin.estimator[-1].estimator.best_params_ == {"max_depth": 2}
    expected = with_leaves(inner, values).predict(pipeline[0].transform(X))
    np.testing.assert_array_equal(answers(twin, X), expected)
    np.testing.assert_array_equal(answers(outer, X), before)
    assert isinstance(trees_of(twin.estimator[-1]), Ensemble)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_boosters_by_themselves(library: str) -> None:
    one = case(library)
    booster = one.model.get_booster() if library == "xgboost" else one.model.booster_
    ask = (lambda b: b.predict(xgboost.DMatrix(one.X))) if library == "xgboost" else (lambda b: b.predict(one.X))
    before = ask(booster)
    values = leaf_values_of(readable(booster))
    np.testing.assert_array_equal(ask(with_leaves(booster, values)), before)
    twin = with_leaves(booster, changed(values))
    np.testing.assert_array_equal(leaf_values_of(readable(twin)), read_back(library, changed(values)))
    np.testing.assert_array_equal(ask(twin), with_leaves(one.model, changed(values)).predict(one.X))
    np.testing.assert_array_equal(ask(booster), before)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_rounds_after_the_best_are_left_out(library: str) -> None:
    X, y = data(4)
    X_fresh, y_fresh = data(5)
    if library == "xgboost":
        model = xgb("Regressor", n_estimators=200, early_stopping_rounds=3, learning_rate=0.9)
        model.fit(X, y, eval_set=[(X_fresh, y_fresh)], verbose=False)
    else:
        model = lightgbm.LGBMRegressor(n_estimators=200, learning_rate=0.9, verbose=-1, n_jobs=1)
        with warnings.catch_warnings():
            # Newer versions have another name for it.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            model.fit(X, y, eval_set=[(X_fresh, y_fresh)], callbacks=[lightgbm.early_stopping(3, verbose=False)])
    values = leaf_values_of(readable(model))
    twin = with_leaves(model, values)
    np.testing.assert_array_equal(twin.predict(X_fresh), model.predict(X_fresh))
    if library == "xgboost":
        assert twin.best_iteration == model.best_iteration
        assert (
            twin.get_booster().num_boosted_rounds()
            == model.best_iteration + 1
            < model.get_booster().num_boosted_rounds()
        )
        assert twin.get_booster().attributes() == model.get_booster().attributes()
    else:
        assert twin.best_iteration_ == model.best_iteration_ == twin.booster_.num_trees()
    again = with_leaves(twin, changed(values))
    np.testing.assert_array_equal(leaf_values_of(readable(again)), read_back(library, changed(values)))


def test_rounds_after_the_best_of_a_booster_are_left_out() -> None:
    one = case("lightgbm")
    booster = lightgbm.Booster(model_str=one.model.booster_.model_to_string())
    booster.best_iteration = 5
    twin = with_leaves(booster, leaf_values_of(readable(booster)))
    assert (twin.num_trees(), booster.num_trees()) == (5, 12)
    np.testing.assert_array_equal(twin.predict(one.X), booster.predict(one.X))


@pytest.mark.parametrize(
    "model",
    [
        xgb("Regressor", missing=-999.0),
        xgb("Regressor", tree_method="exact", gamma=3.0, max_depth=6),
        xgb("Regressor", grow_policy="lossguide", max_leaves=9),
        xgb("Classifier", base_score=0.3),
        lgbm("Regressor", zero_as_missing=True),
        lgbm("Classifier", objective="cross_entropy"),
        HistGradientBoostingRegressor(max_iter=5, max_leaf_nodes=None, min_samples_leaf=1),
        RandomForestRegressor(3, max_leaf_nodes=20, random_state=0),
    ],
    ids=["code", "pruned", "best first", "base", "zero", "entropy", "deep", "few leaves"],
)
def test_trees_grown_and_stored_in_other_ways(model: Any) -> None:
    X, y = data(11)
    X[:30, 1] = 0.0
    if getattr(model, "missing", None) == -999.0:
        X = np.where(np.isnan(X), -999.0, X)
    model.fit(X, (y > 0.5).astype(int) if hasattr(model, "predict_proba") else y)
    ensemble = readable(model)
    np.testing.assert_array_equal(answers(with_leaves(model, leaf_values_of(ensemble)), X), answers(model, X))
    twin = with_leaves(model, changed(leaf_values_of(ensemble)))
    name = type(model).__module__
    np.testing.assert_array_equal(leaf_values_of(readable(twin)), read_back(name, changed(leaf_values_of(ensemble))))
    assert readable(twin).missing_code == ensemble.missing_code


@pytest.mark.parametrize("kind", ["xgboost", "lightgbm"])
def test_names_of_columns_stay(kind: str) -> None:
    X, y = data(12)
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = (xgb("Regressor") if kind == "xgboost" else lgbm("Regressor")).fit(frame, y)
    twin = with_leaves(model, leaf_values_of(readable(model)))
    assert list(twin.feature_names_in_) == list("abcde")
    np.testing.assert_array_equal(twin.predict(frame), model.predict(frame))


# What cannot be written -----------------------------------------------------------------------------------------------

REFUSED = {
    "leaves of LinearRegression cannot be written: LinearRegression is no tree ensemble": lambda: fitted(
        LinearRegression(), missing=False
    ),
    "leaves of RandomForestRegressor cannot be written: RandomForestRegressor is not fitted.": RandomForestRegressor,
    "leaves of RandomForestRegressor cannot be written: RandomForestRegressor predicts 2 outputs": lambda: fitted(
        RandomForestRegressor(2), y=np.ones((240, 2))
    ),
    "leaves of LGBMRegressor cannot be written: LGBMRegressor has linear models": lambda: fitted(
        lgbm("Regressor", linear_tree=True)
    ),
    "leaves of HistGradientBoostingRegressor cannot be written: HistGradientBoostingRegressor splits on categories": (
        lambda: categories("sklearn")
    ),
    "leaves of XGBRegressor cannot be written: XGBRegressor splits on categories": lambda: categories("xgboost"),
    "leaves of LGBMRegressor cannot be written: LGBMRegressor splits on categories": lambda: categories("lightgbm"),
    "leaves of Pipeline cannot be written: LinearRegression is no tree ensemble": lambda: fitted(
        make_pipeline(StandardScaler(), LinearRegression()), missing=False
    ),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_models_that_cannot_be_written_say_why(sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        with_leaves(REFUSED[sentence](), [0.0])
    assert str(caught.value).startswith(sentence)
    assert str(caught.value).endswith("Give a model whose trees can be read.")


def test_leaves_of_a_class_of_gradient_boosting_are_written_and_those_of_others_stay() -> None:
    model = fitted(GradientBoostingClassifier(n_estimators=3, random_state=0), y=classes(3), missing=False)
    values = [leaf_values_of(read_sum(model, column=column)) for column in range(3)]
    twin = with_leaves(model, values[2] + 1.0, column=2)
    np.testing.assert_array_equal(leaf_values_of(read_sum(twin, column=1)), values[1])
    np.testing.assert_allclose(leaf_values_of(read_sum(twin, column=2)), values[2] + 1.0, rtol=1e-15)
    rows = np.nan_to_num(data(3)[0])
    np.testing.assert_array_equal(
        with_leaves(model, values[2], column=2).predict_proba(rows), model.predict_proba(rows)
    )


def test_a_forest_of_many_classes_is_refused() -> None:
    model = RandomForestClassifier(2, random_state=0).fit(data(3)[0], classes(3))
    with pytest.raises(InputError, match="RandomForestClassifier has 3 classes; expected two"):
        with_leaves(model, leaf_values_of(readable(model)))


@pytest.mark.parametrize(
    ("name", "spoil", "sentence"),
    [
        ("forest", lambda v: v[1:], r"leaf_values has shape \(770,\); expected \(771,\), one value for each leaf"),
        ("forest", lambda v: v[:, None], r"leaf_values has shape \(771, 1\); expected \(771,\)"),
        ("forest", lambda v: np.append(v[:-1], np.nan), r"leaf_values\[770\] is .*nan.*; expected finite numbers"),
        (
            "xgboost",
            lambda v: np.append(v[:-1], 1e39),
            r"is 1e\+39, more than XGBRegressor can hold in a leaf; expected at",
        ),
        ("boosting", lambda v: np.append(v[:-1], 1e308), r"is 1e\+308, more than GradientBoostingRegressor can hold"),
        (
            "forest, classes",
            lambda v: np.append(v[:-1], 1.5),
            r"leaf_values holds 1.5, and the leaves of Random.* \[0, 1\]",
        ),
        ("forest, classes", lambda v: np.append(v[:-1], -0.5), r"leaf_values holds -0.5, and the leaves of Random"),
    ],
)
def test_values_that_no_leaf_can_hold_are_refused(name: str, spoil: Any, sentence: str) -> None:
    one = case(name)
    with pytest.raises(InputError, match=sentence):
        with_leaves(one.model, spoil(leaf_values_of(one.ensemble)))


def test_leaves_in_another_order_than_they_were_read_are_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    one = case("boosting")
    mirrored = readable(with_leaves(one.model, leaf_values_of(one.ensemble)[::-1]))
    monkeypatch.setattr(native_leaves, "read_sum", lambda model, column: mirrored)
    with pytest.raises(DefectError, match="not in the order"):
        with_leaves(one.model, leaf_values_of(one.ensemble))


# Scales ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.1, 0.3, 1.0, 1.7, 2.0, 1e-3, 0.05])
def test_undoing_a_scale_is_the_adjoint_of_the_rounded_product(scale: float) -> None:
    rng = np.random.default_rng(5)
    numbers = np.sort(rng.normal(size=500) * 10.0 ** rng.integers(-9, 9, 500))
    close = np.nextafter(numbers, np.inf)
    there = scale * np.concatenate([numbers, close])
    # Numbers that a product gives, and their neighbours, which none may give.
    values = np.concatenate([there, np.nextafter(there, np.inf), np.nextafter(there, -np.inf), [0.0]])
    undone = unscaled(values, scale)
    assert (scale * undone >= values).all()
    below = np.nextafter(undone, -np.inf)
    assert (scale * below < values)[values != 0].all()
    np.testing.assert_array_equal((scale * undone)[: there.size], there)
    assert (scale * undone - values <= 2.0**-51 * np.abs(values)).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(undone[order]) >= 0).all()


def test_undoing_a_scale_of_the_smallest_numbers_keeps_order() -> None:
    values = np.concatenate([-np.arange(9.0)[::-1], np.arange(9.0)]) * 5e-324
    undone = unscaled(values, 1e-3)
    assert (np.diff(undone) >= 0).all()
    np.testing.assert_array_equal(1e-3 * undone, values)


def test_values_keep_the_number_that_they_had_and_ties_get_the_same() -> None:
    before, stored = np.array([2.0, 1.0, 2.0]), np.array([20.5, 10.0, 20.0])
    kept = as_before(np.array([2.0, 3.0, 1.0, 0.0, 2.0]), before, stored, np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    np.testing.assert_array_equal(kept, [20.0, 2.0, 10.0, 4.0, 20.0])


# Elsewhere ------------------------------------------------------------------------------------------------------------

#: Loads what is named, predicts, and writes the answers down; alignconf cannot be imported.
ELSEWHERE = """
import json, pickle, sys
from pathlib import Path
sys.modules["alignconf"] = None
import joblib, numpy as np
folder = Path(sys.argv[1])
X = np.load(folder / "X.npy")

def load(path):
    if path.suffix == ".pickle":
        return pickle.loads(path.read_bytes())
    if path.suffix == ".joblib":
        return joblib.load(path)
    if path.suffix == ".txt":
        import lightgbm
        return lightgbm.Booster(model_file=path)
    import xgboost
    model = getattr(xgboost, path.stem.split("-")[1])()
    model.load_model(path)
    return model

for path in sorted(folder.glob("model-*")):
    model = load(path)
    answer = model.predict_proba(X)[:, 1] if hasattr(model, "predict_proba") else model.predict(X)
    np.save(folder / f"answer-{path.name}.npy", answer)
assert not [name for name in sys.modules if name.startswith("alignconf.")]
"""


@pytest.mark.slow
def test_saved_copies_predict_the_same_in_a_process_without_alignconf(tmp_path: Path) -> None:
    X, expected = case("histogram").X[:, :], {}
    X = np.nan_to_num(X)
    np.save(tmp_path / "X.npy", X)
    for number, name in enumerate(LIBRARIES):
        one = case(name)
        twin = with_leaves(one.model, changed(leaf_values_of(one.ensemble)))
        stem = f"model-{type(twin).__name__}-{number}"
        (tmp_path / f"{stem}.pickle").write_bytes(pickle.dumps(twin))
        joblib.dump(twin, tmp_path / f"{stem}.joblib")
        endings = ["pickle", "joblib"]
        if name.startswith("xgboost"):
            endings += ["json", "ubj"]
            twin.save_model(tmp_path / f"{stem}.json")
            twin.save_model(tmp_path / f"{stem}.ubj")
            assert json.loads((tmp_path / f"{stem}.json").read_text())["learner"]["attributes"] is not None
        if name.startswith("lightgbm"):
            endings.append("txt")
            twin.booster_.save_model(tmp_path / f"{stem}.txt")
        answer = answers(twin, X)
        for ending in endings:
            expected[f"{stem}.{ending}"] = answer[:, 1] if answer.ndim == 2 else answer
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", ELSEWHERE, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name, answer in expected.items():
        np.testing.assert_array_equal(np.load(tmp_path / f"answer-{name}.npy"), answer, err_msg=name)


@pytest.mark.parametrize("name", LIBRARIES)
def test_treelite_predicts_what_the_copy_predicts(name: str) -> None:
    import treelite

    one = case(name)
    twin = with_leaves(one.model, changed(leaf_values_of(one.ensemble)))
    if name.startswith("xgboost"):
        model = treelite.frontend.from_xgboost(twin.get_booster())
    elif name.startswith("lightgbm"):
        model = treelite.frontend.from_lightgbm(twin.booster_)
    else:
        model = treelite.sklearn.import_model(twin)
    X = np.nan_to_num(one.X)
    predicted = np.asarray(treelite.gtil.predict(model, X)).reshape(len(X), -1)[:, -1]
    expected = answers(twin, X).reshape(len(X), -1)[:, -1]
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-5)
