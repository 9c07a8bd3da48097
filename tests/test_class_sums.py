"""Boosted classifiers with more than two classes: a sum for each class, leaves in order class by class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from scipy.special import softmax
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from alignconf import AlignedClassifier, ClassFunction, check
from alignconf.errors import InputError
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.native_leaves import leaf_values_of, with_leaves
from alignconf.lines.trees import read_sum

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

BOOSTED: dict[str, Callable[[], Any]] = {
    "HGB": lambda: HistGradientBoostingClassifier(max_iter=12, random_state=0),
    "XGBoost": lambda: XGBClassifier(n_estimators=12, max_depth=4, random_state=0, n_jobs=1),
    "LightGBM": lambda: LGBMClassifier(n_estimators=12, random_state=0, verbose=-1, n_jobs=1),
}
#: Of the highest class; of the lowest they are the other way round.
DIRECTIONS = {0: 1, 1: -1}
HIGHEST, LOWEST = "high", "a low"

RANDOM = np.random.default_rng(4)
X = RANDOM.normal(size=(1500, 4)).round(2)
SCORE = X[:, 0] - X[:, 1] + X[:, 2] * X[:, 3] + 0.7 * RANDOM.normal(size=len(X))
X[RANDOM.random(X.shape) < 0.05] = np.nan
NUMBERS = np.digitize(SCORE, [-0.7, 0.6])
NAMES = np.array([LOWEST, "between", HIGHEST])[NUMBERS]
TRAIN, CALIBRATE, FRESH = slice(0, 700), slice(700, 1000), slice(1000, 1500)


def _fitted(name: str) -> Any:
    """Return a classifier fitted to names of classes where its library takes them."""
    return BOOSTED[name]().fit(X[TRAIN], NUMBERS[TRAIN] if name == "XGBoost" else NAMES[TRAIN])


def _column(model: Any, label: str) -> int:
    return list(model.classes_).index({LOWEST: 0, HIGHEST: 2}[label] if model.classes_.dtype.kind == "i" else label)


def _aligned(model: Any, label: str = HIGHEST, **parameters: Any) -> Any:
    column = _column(model, label)
    rules = {feature: sign if label == HIGHEST else -sign for feature, sign in DIRECTIONS.items()}
    parameters = {
        "alpha": 0,
        "random_state": 0,
        "projector": "leaves",
        "pos_label": model.classes_[column],
        **parameters,
    }
    return AlignedClassifier(model, rules, **parameters).calibrate(X[CALIBRATE], X_reference=X[TRAIN])


def _moved(rows: Any) -> Any:
    """Return rows whose constrained features moved in the directions of the highest class."""
    moved = rows.copy()
    for feature, sign in DIRECTIONS.items():
        places = np.random.default_rng(feature).permutation(rows[:, feature])
        further = np.fmax if sign == 1 else np.fmin
        moved[:, feature] = np.where(np.isnan(rows[:, feature]), np.nan, further(rows[:, feature], places))
    return moved


@pytest.mark.parametrize("name", BOOSTED)
def test_the_softmax_of_the_sums_is_what_the_model_says(name: str) -> None:
    model = _fitted(name)
    sums = [read_sum(model, column=k) for k in range(3)]
    assert all(isinstance(ensemble, Ensemble) and ensemble.roots.size == 12 for ensemble in sums)
    values = np.column_stack([ensemble.predict(X[FRESH]) for ensemble in sums])
    tolerance = 1e-6 if name == "XGBoost" else 1e-14
    np.testing.assert_allclose(softmax(values, axis=1), model.predict_proba(X[FRESH]), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", BOOSTED)
def test_leaves_of_a_class_are_written_and_those_of_others_stay(name: str) -> None:
    """A shift of all leaves of a class by a number multiplies its odds by the power of that number."""
    model = _fitted(name)
    before = [leaf_values_of(read_sum(model, column=k)) for k in range(3)]
    twin = with_leaves(model, before[1] + 0.25, column=1)
    after = [leaf_values_of(read_sum(twin, column=k)) for k in range(3)]
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[2], before[2])
    np.testing.assert_allclose(after[1], before[1] + 0.25, rtol=0, atol=1e-7)
    p, q = model.predict_proba(X[FRESH]).astype(float), twin.predict_proba(X[FRESH]).astype(float)
    odds = np.exp(12 * 0.25) * p[:, 1] / (1 - p[:, 1])
    np.testing.assert_allclose(q[:, 1], odds / (1 + odds), rtol=0, atol=2e-6)
    np.testing.assert_allclose(q[:, 0] / q[:, 2], p[:, 0] / p[:, 2], rtol=1e-5)
    same = with_leaves(model, before[1], column=1)
    np.testing.assert_array_equal(same.predict_proba(X[FRESH]), model.predict_proba(X[FRESH]))


@pytest.mark.parametrize("label", [HIGHEST, LOWEST])
@pytest.mark.parametrize("name", BOOSTED)
def test_no_joint_pair_is_violated_by_more_than_rounding_and_the_export_is_delivered(name: str, label: str) -> None:
    """The model violates many; softmax rounds at the precision of its library."""
    model = _fitted(name)
    aligned = _aligned(model, label)
    assert "fitted again class by class" in aligned.calibration_.repair
    assert "up to the rounding of softmax" in aligned.calibration_.repair
    rows = np.tile(X[FRESH], (4, 1))
    moved, column, sign = _moved(rows), _column(model, label), 1 if label == HIGHEST else -1
    of_model = sign * (model.predict_proba(moved)[:, column] - model.predict_proba(rows)[:, column])
    assert (of_model < -1e-3).mean() > 0.004
    exported = aligned.export()
    assert type(exported) is type(model)
    values = exported.predict_proba(rows)
    np.testing.assert_array_equal(values, aligned.predict_proba(rows))
    of_aligned = sign * (exported.predict_proba(moved)[:, column] - values[:, column])
    assert of_aligned.min() >= -(1.2e-7 if name == "XGBoost" else 4e-16)
    assert check(
        ClassFunction(exported, column, "probability"), X[FRESH], aligned.properties, random_state=0
    ).proof.holds
    assert aligned.certify(X[FRESH]).delivered.rate == 0


def test_the_other_classes_must_be_against_the_order_too() -> None:
    """Of a proved model a single leaf of another class is raised, and the proof is gone."""
    aligned = _aligned(_fitted("HGB"))
    model, rules = aligned.export(), aligned.properties
    other = _column(model, LOWEST)
    values = leaf_values_of(read_sum(model, column=other))
    for leaf in range(31):
        raised = values.copy()
        raised[leaf] += 1.0
        changed = with_leaves(model, raised, column=other)
        proof = check(
            ClassFunction(changed, _column(model, HIGHEST), "probability"), X[FRESH], rules, random_state=0
        ).proof
        if not proof.holds:
            assert proof.text.startswith("Not proved by the model's trees, which does not refute it: tree 0 of 12")
            return
    raise AssertionError("no leaf mattered")


def test_a_model_in_order_comes_back_bit_for_bit() -> None:
    """What was exported is proved and delivered as it is."""
    exported = _aligned(_fitted("LightGBM")).export()
    again = _aligned(exported)
    assert "in the declared order already, up to the rounding of softmax" in again.calibration_.repair
    np.testing.assert_array_equal(again.predict_proba(X[FRESH]), exported.predict_proba(X[FRESH]))


@pytest.mark.parametrize("name", BOOSTED)
def test_by_default_other_classes_keep_their_proportions(name: str) -> None:
    """The probability of the class is that of the leaves in order; what is delivered is then no model by itself."""
    model = _fitted(name)
    aligned, column = _aligned(model, projector="auto"), _column(model, HIGHEST)
    p, f = aligned.predict_proba(X[FRESH]), model.predict_proba(X[FRESH])
    of_leaves = _aligned(model).predict_proba(X[FRESH])
    np.testing.assert_allclose(p[:, column], of_leaves[:, column], rtol=0, atol=1e-12)
    others = [k for k in range(3) if k != column]
    expected = f[:, others] / f[:, others].sum(axis=1, keepdims=True) * (1 - p[:, [column]])
    np.testing.assert_allclose(p[:, others], expected, rtol=1e-5, atol=1e-7)
    assert np.abs(of_leaves - p).max() > 0.01
    with pytest.raises(InputError, match="projector='leaves' makes a model"):
        aligned.export()
    narrow = _aligned(model, projector="auto", alpha=0.05)
    assert narrow.certify(X[FRESH]).delivered.rate < 0.1


def test_behind_a_pipeline_too() -> None:
    model = make_pipeline(StandardScaler(), BOOSTED["HGB"]()).fit(X[TRAIN], NAMES[TRAIN])
    aligned = _aligned(model)
    exported = aligned.export()
    np.testing.assert_array_equal(exported.predict_proba(X[FRESH]), aligned.predict_proba(X[FRESH]))
    function = ClassFunction(exported, _column(exported, HIGHEST), "probability")
    assert check(function, X[FRESH], aligned.properties, random_state=0).proof.holds


def test_what_several_sums_cannot_do_is_refused_by_name() -> None:
    model = _fitted("HGB")
    with pytest.raises(InputError, match=r"path='leaves' needs a projection by the leaves .* class by class"):
        _aligned(model, alpha=0.2, path="leaves")
    assert "not blended: there is a sum for each class" in _aligned(model, projector="blend").calibration_.repair
    with pytest.raises(
        InputError, match="HistGradientBoostingClassifier has a sum for each class, whose softmax rounds"
    ):
        _aligned(model).export(exact_sums=True)
    filled = np.nan_to_num(X)
    forest = RandomForestClassifier(5, random_state=0).fit(filled[TRAIN], NAMES[TRAIN])
    aligned = AlignedClassifier(forest, DIRECTIONS, pos_label=HIGHEST, alpha=0, n_knots=8).calibrate(filled[CALIBRATE])
    assert "it has more than two classes in each leaf, and the shares of one class alone" in aligned.calibration_.repair
