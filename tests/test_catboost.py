"""Exact lines of CatBoost, against brute force over its own ``predict``."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.lines.axis import Axis
from alignconf.lines.composition import read_lines
from alignconf.lines.exact_lines import Move, piece_of
from alignconf.lines.native import catboost_trees
from alignconf.lines.routes import Route
from alignconf.properties import Increasing

catboost = pytest.importorskip("catboost", reason="CatBoost is not installed")

N_ROWS = 500


def data(seed: int, n_rows: int = N_ROWS, *, dtype: Any = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """Columns: two that matter, the second with missing values; whole numbers; a constant; noise with missing values."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n_rows, 5))
    X[:, 2] = random.integers(0, 4, n_rows)
    X[:, 3] = 1.5
    y = np.sin(2 * X[:, 0]) + X[:, 1] * (X[:, 2] > 1) + 0.3 * random.normal(size=n_rows)
    X[random.random(n_rows) < 0.15, 1] = np.nan
    X[random.random(n_rows) < 0.15, 4] = np.nan
    return X.astype(dtype), y


X, Y = data(1)
FRESH = data(2, 60)[0]

GIVEN: dict[str, dict[str, Any]] = {
    "symmetric": {},
    "deep": {"depth": 9, "iterations": 12},
    "stumps": {"depth": 1},
    "missing values last": {"nan_mode": "Max"},
    "by depth": {"grow_policy": "Depthwise"},
    "by loss": {"grow_policy": "Lossguide", "max_leaves": 12},
    "poisson": {"loss_function": "Poisson"},
    "quantile": {"loss_function": "Quantile:alpha=0.3"},
    "few borders": {"border_count": 5},
}


def new(kind: str, **given: Any) -> Any:
    quiet = {"verbose": 0, "allow_writing_files": False, "thread_count": 1, "random_seed": 0}
    return getattr(catboost, f"CatBoost{kind}")(**{"iterations": 30, "depth": 4, **quiet, **given})


@cache
def fitted(name: str) -> Any:
    return new("Regressor", **GIVEN[name]).fit(X, np.exp(Y) if name == "poisson" else Y)


def asked(model: Any, rows: np.ndarray, feature: int, values: Any) -> np.ndarray:
    """Predictions with a feature set to each value, (n_rows, n_values)."""
    moved = np.repeat(rows, len(values), axis=0)
    moved[:, feature] = np.tile(values, len(rows))
    return np.asarray(model.predict(moved), dtype=float).reshape(len(rows), -1)


def assert_agree(walked: np.ndarray, expected: np.ndarray, lines: Any) -> None:
    assert (np.abs(walked - expected) <= 2 * lines.rounding.of(expected)[:, None]).all()


def assert_lines_are_predictions(model: Any, lines: Any, feature: int) -> None:
    """In every piece, at its end and one number beside it, also where other features are missing."""
    axis = Axis(feature, feature, None)
    assert lines.why_not(Route.of(axis)) == ""
    ends = lines.ends(Route.of(axis))
    x = np.concatenate([[-50.0], ends, np.nextafter(ends, -np.inf), np.nextafter(ends, np.inf), [50.0]])
    places = np.append(ends, 1e6)
    assert_agree(
        lines.line(Move.along(axis, places)).values(FRESH)[:, piece_of(places, x)],
        asked(model, FRESH, feature, x),
        lines,
    )


@pytest.mark.parametrize("name", GIVEN)
def test_lines_are_predictions_at_all_thresholds_and_beside_them(name: str) -> None:
    model = fitted(name)
    lines = read_lines(model, X)
    assert not isinstance(lines, str), lines
    for rows in (FRESH, FRESH.astype(np.float32), np.where(FRESH > 1, np.nan, FRESH)):
        assert_agree(lines.predict(rows)[:, None], model.predict(rows)[:, None], lines)
    for feature in range(5):
        assert_lines_are_predictions(model, lines, feature)
    assert lines.ends(Route.of(Axis(0, 0, None))).size >= 4


@pytest.mark.parametrize("name", ["symmetric", "by loss"])
def test_values_in_any_order_and_planes_are_predictions(name: str) -> None:
    """Places of an ordered category need not be numbers in order."""
    model = fitted(name)
    lines = read_lines(model, X)
    axis = Axis(2, 2, (3, 0, 2, 1))
    assert_agree(
        lines.line(Move.along(axis, np.arange(4.0))).values(FRESH), asked(model, FRESH, 2, [3, 0, 2, 1]), lines
    )
    places = np.linspace(-2, 2, 9)
    walked = lines.plane(Move.along(Axis(0, 0, None), places), Move.along(axis, np.arange(4.0))).values(FRESH)
    for k, value in enumerate((3, 0, 2, 1)):
        moved = FRESH.copy()
        moved[:, 2] = value
        np.testing.assert_allclose(walked[:, :, k], asked(model, moved, 0, places), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", GIVEN)
def test_full_strength_violates_nothing(name: str) -> None:
    aligned = AlignedRegressor(fitted(name), {0: +1}, alpha=0, random_state=0).calibrate(X)
    assert aligned.calibration_.repair.startswith("exact")
    certificate = aligned.certify(data(3)[0])
    assert certificate.by_construction
    assert certificate.full_strength.n_rejected == 0
    assert certificate.before.n_rejected > 0
    assert np.diff(asked(aligned, FRESH, 0, np.linspace(-3, 3, 501)), axis=1).min() >= -1e-12


@pytest.mark.parametrize("loss", ["Logloss", "CrossEntropy", "MultiClass"])
@pytest.mark.parametrize("column", [0, 1])
def test_the_probability_of_a_class_is_known_along_its_line(loss: str, column: int) -> None:
    classes = np.digitize(Y, [-0.5, 0.5] if loss == "MultiClass" else [0.0])
    model = new("Classifier", loss_function=loss).fit(X, classes)

    class Probability:
        def predict(self, table: Any) -> np.ndarray:
            return model.predict_proba(table)[:, column]

    assert_lines_are_predictions(Probability(), read_lines(model, X, column=column), 0)
    aligned = AlignedClassifier(model, {0: +1}, pos_label=column, alpha=0, random_state=0).calibrate(X)
    assert aligned.calibration_.repair.startswith("exact")
    assert aligned.certify(data(3)[0]).full_strength.n_rejected == 0


def export_of(trees: list[dict[str, Any]]) -> dict[str, Any]:
    columns = [{"feature_index": j, "flat_feature_index": j, "nan_value_treatment": "AsIs"} for j in range(5)]
    return {"features_info": {"float_features": columns}, "oblivious_trees": trees, "scale_and_bias": [1, [0.1]]}


def tree(random: np.random.Generator, features: tuple[int, ...], leaves: np.ndarray | None = None) -> dict[str, Any]:
    splits = [
        {"split_type": "FloatFeature", "float_feature_index": j, "border": float(np.float32(random.normal()))}
        for j in features
    ]
    return {
        "splits": splits,
        "leaf_values": (random.normal(size=2 ** len(splits)) if leaves is None else leaves).tolist(),
    }


def test_steps_as_small_as_rounding_are_summed_as_the_model_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees that cancel: their sums along the line differ by rounding only, which differences of leaves do not tell."""
    random = np.random.default_rng(8)
    first = tree(random, (0, 1, 0, 2))
    second = {**first, "leaf_values": (-np.array(first["leaf_values"])).tolist()}
    trees = [first, second, tree(random, (1, 2)), tree(random, ())]
    monkeypatch.setattr(catboost_trees, "_export", lambda _: export_of(trees))
    (sums,) = catboost_trees.catboost_sums(fitted("symmetric"))
    axis = Axis(0, 0, None)
    places = np.append(sums.ends(Route.of(axis)), 9.0)
    walked = sums.line(Move.along(axis, places)).values(FRESH)
    expected = np.full(walked.shape, 0.1)
    for of_tree in trees:
        number = np.zeros(walked.shape, int)
        for bit, split in enumerate(of_tree["splits"]):
            j = split["float_feature_index"]
            values = np.broadcast_to(places if j == 0 else FRESH[:, [j]], walked.shape)
            number += (values.astype(np.float32) > split["border"]) << bit
        expected += np.array(of_tree["leaf_values"])[number]
    assert 0 < np.ptp(expected, axis=1).max() < 1e-14
    np.testing.assert_array_equal(walked, expected)


@pytest.mark.parametrize("n_rows", [1, 15, 16, 17, 400, 1500])
def test_lines_of_symmetric_trees_are_those_of_the_same_trees_node_by_node(n_rows: int) -> None:
    trees = read_lines(fitted("symmetric"), X)
    rows, move = data(4, n_rows)[0], Move.along(Axis(0, 0, None), np.linspace(-3, 3, 150))
    expected, lines = trees.ensemble.line(move), trees.line(move)
    np.testing.assert_allclose(lines.values(rows), expected.values(rows), rtol=0, atol=1e-13)
    pieces = np.random.default_rng(0).integers(-1, 150, (n_rows, 2))
    for weights in (None, np.linspace(1, 2, 150)):
        for increasing in (True, False):
            projected = lines.project(rows, pieces, weights, increasing=increasing)
            of_nodes = expected.project(rows, pieces, weights, increasing=increasing)
            np.testing.assert_allclose(projected.fitted, of_nodes.fitted, rtol=0, atol=1e-13)


def test_other_types_frames_and_pipelines_are_read() -> None:
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = new("Regressor").fit(frame, Y)
    assert_agree(
        read_lines(model, frame).predict(frame)[:, None], model.predict(frame)[:, None], read_lines(model, frame)
    )
    plain = catboost.CatBoost({"iterations": 10, "verbose": 0, "allow_writing_files": False}).fit(X, Y)
    assert_lines_are_predictions(plain, read_lines(plain, X), 0)
    ranker = new("Ranker").fit(X, Y, group_id=np.arange(N_ROWS) // 10)
    assert_lines_are_predictions(ranker, read_lines(ranker, X), 0)
    piped = make_pipeline(StandardScaler(), new("Regressor")).fit(X, Y)
    assert_lines_are_predictions(piped, read_lines(piped, X), 0)


def test_a_scale_of_ones_own_is_read() -> None:
    model = new("Regressor").fit(X, Y)
    model.set_scale_and_bias(-2.5, 3.0)
    assert_lines_are_predictions(model, read_lines(model, X), 0)


def test_an_ordered_category_is_in_order() -> None:
    declared = Increasing(2, order=[3, 1, 0, 2])
    aligned = AlignedRegressor(fitted("symmetric"), declared, alpha=0, random_state=0).calibrate(X)
    assert "in the model's own trees" in aligned.calibration_.repair
    assert np.diff(asked(fitted("symmetric"), FRESH, 2, [3, 1, 0, 2]), axis=1).min() < 0
    assert np.diff(asked(aligned, FRESH, 2, [3, 1, 0, 2]), axis=1).min() >= -1e-12


def test_models_that_cannot_be_read_say_why() -> None:
    assert read_lines(new("Regressor"), X) == "CatBoostRegressor is not fitted."
    two = new("Regressor", loss_function="MultiRMSE").fit(X, np.column_stack([Y, -Y]))
    assert read_lines(two, X) == "CatBoostRegressor predicts 2 outputs; one can be read."
    binary = new("Classifier").fit(X, Y > 0)
    assert read_lines(binary, X, column=2) == "CatBoostClassifier has 2 class(es), so none in column 2."
    town = np.random.default_rng(0).choice(list("uvwxyz"), N_ROWS)
    frame = pd.DataFrame(X, columns=list("abcde")).assign(town=town)
    model = new("Regressor", cat_features=["town"]).fit(frame, Y + (town == "u"))
    sentence = "CatBoostRegressor splits on categories, texts or embeddings by figures of its own"
    assert read_lines(model, frame).startswith(sentence)
    aligned = AlignedRegressor(model, {"a": +1}, alpha=0.1, n_knots=8, random_state=0).calibrate(frame)
    assert aligned.calibration_.repair.startswith("at 8 knots, because")
    assert sentence in aligned.calibration_.repair


def test_a_model_that_does_not_predict_what_it_exports_is_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    model = new("Regressor").fit(X, Y)
    other = new("Regressor", iterations=31).fit(X, Y)
    monkeypatch.setattr(model, "save_model", other.save_model)
    aligned = AlignedRegressor(model, {0: +1}, alpha=0.1, n_knots=8, random_state=0).calibrate(X)
    assert "its trees do not add up to its predictions" in aligned.calibration_.repair
