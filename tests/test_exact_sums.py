"""Sums of leaves on a grid: the same bits in any order."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import xgboost
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from alignconf.errors import InputError
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.exact_sums import exact_sums, with_base_in_leaves, with_exact_sums
from alignconf.lines.native_leaves import leaf_values_of, readable_trees
from alignconf.lines.stored_trees import Tree
from tests.test_native_leaves import answers, rows_of
from tests.test_trees import MODELS, case, data, xgb

#: LightGBM gives names to the columns of arrays and older versions then miss them.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")

N_TREES, N_LEAVES, N_ORDERS = 60, 4, 1000

#: Models whose leaves nothing multiplies.
PLAIN = [name for name in MODELS if not name.startswith("boosting") and name != "lightgbm, classes"]


def stumps(values: np.ndarray, base: float = 0.0, **given: Any) -> Ensemble:
    """An ensemble with given values, (n_trees, 4), in trees of depth two."""
    children = np.array([1, 3, 5, 0, 0, 0, 0]), np.array([2, 4, 6, 0, 0, 0, 0])
    feature = np.array([0, 0, 0, -1, -1, -1, -1])
    trees = [
        Tree(feature, np.zeros(7), *children, np.zeros(7, bool), np.concatenate([np.zeros(3), leaves]))
        for leaves in values
    ]
    return Ensemble.of_trees(trees, 1, base=base, **given)


def drawn_values(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N_TREES, N_LEAVES)) * 10.0 ** rng.integers(-6, 3, (N_TREES, 1))


def sums_in_orders(terms: np.ndarray, dtype: Any) -> set[float]:
    rng = np.random.default_rng(1)
    orders = np.argsort(rng.random((N_ORDERS, terms.size)), axis=1)
    total = np.zeros(N_ORDERS, dtype)
    for column in orders.T:
        total += terms.astype(dtype)[column]
    return set(total.tolist())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_thousand_orders_give_the_same_bits(dtype: Any) -> None:
    is_single = dtype is np.float32
    for seed in range(2):
        values = drawn_values(seed)
        base = 0.0 if seed % 2 else 3.0
        ensemble = stumps(values, base, is_single=is_single)
        rounded = exact_sums(values.ravel(), ensemble).reshape(values.shape)
        picks = np.arange(N_TREES), np.random.default_rng(seed).integers(0, N_LEAVES, N_TREES)
        np.testing.assert_array_equal(rounded.astype(dtype), rounded)
        terms = np.append(rounded[picks], base)
        assert sums_in_orders(terms, dtype) == {math.fsum(terms)}
        assert len(sums_in_orders(np.append(values[picks], base), dtype)) > 1


@pytest.mark.parametrize("bits", [None, 24, 53])
def test_values_move_by_half_a_step_of_the_coarsest_grid_that_is_needed(bits: int | None) -> None:
    values = drawn_values(3)
    rounded = exact_sums(values.ravel(), stumps(values), bits=bits)
    largest = np.abs(values).max(axis=1).sum()
    step = 2.0 ** (math.ceil(math.log2(largest)) - (bits or 52))
    np.testing.assert_array_equal(rounded % step, 0)
    assert np.abs(rounded - values.ravel()).max() <= step / 2
    assert (rounded % (2 * step) != 0).any()
    assert (np.diff(rounded[np.argsort(values.ravel())]) >= 0).all()
    np.testing.assert_array_equal(exact_sums(rounded, stumps(values), bits=bits), rounded)


def test_sums_that_reach_the_next_power_by_rounding_get_the_next_grid() -> None:
    # Three bits below 4 are steps of a half: 1.3 would become 1.5, and three of them 4.5.
    values = np.full((3, N_LEAVES), 1.3)
    np.testing.assert_array_equal(exact_sums(values.ravel(), stumps(values), bits=3), np.ones(3 * N_LEAVES))
    # A largest sum that is a power of two is still held.
    values = np.full((4, N_LEAVES), 1.0)
    np.testing.assert_array_equal(exact_sums(values.ravel() * 0.9, stumps(values), bits=3), values.ravel())


def test_leaves_that_are_all_zero_stay() -> None:
    values = np.zeros((2, N_LEAVES))
    np.testing.assert_array_equal(exact_sums(values.ravel(), stumps(values)), values.ravel())


@pytest.mark.parametrize(
    ("given", "bits", "sentence"),
    [
        ({}, 54, "bits is 54; expected 1 to 53"),
        ({}, 0, "bits is 0; expected 1 to 53"),
        ({"scale": 0.1}, None, r"multiplied by 0\.1, and products are on no grid; expected 1"),
        ({"base": 0.1}, 24, r"starts from 0\.1, which is no multiple of 2 \*\* -\d+; .*with_base_in_leaves"),
    ],
)
def test_what_is_not_exact_is_refused(given: dict[str, Any], bits: int | None, sentence: str) -> None:
    values = drawn_values(2)
    with pytest.raises(InputError, match=sentence):
        exact_sums(values.ravel(), stumps(values, **given), bits=bits)


# Of models ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAIN)
def test_the_base_moves_into_the_leaves(name: str) -> None:
    one, X = case(name), rows_of(name)
    twin = with_base_in_leaves(one.model)
    ensemble = readable_trees(twin)
    assert ensemble.base == 0
    # XGBoost computes its own base from what it holds of it, in single precision.
    is_rounded = name.startswith("xgboost") and one.ensemble.link != "identity"
    error = 4 * 2.0**-24 * np.abs(answers(one.model, X)).max() * (1 + abs(one.ensemble.base)) if is_rounded else 0.0
    np.testing.assert_allclose(answers(twin, X), answers(one.model, X), rtol=0, atol=error)


@pytest.mark.parametrize("name", PLAIN)
def test_models_with_exact_sums_predict_almost_the_same(name: str) -> None:
    one, X = case(name), rows_of(name)
    twin = with_exact_sums(one.model)
    ensemble = readable_trees(twin)
    np.testing.assert_array_equal(exact_sums(leaf_values_of(ensemble), ensemble), leaf_values_of(ensemble))
    one.assert_close(answers(twin, X).reshape(len(X), -1)[:, -1], one.predict(X))
    if one.ensemble.link == "identity":
        np.testing.assert_array_equal(answers(twin, X).reshape(len(X), -1)[:, -1], ensemble.predict(X))


def test_a_forest_on_threads_adds_in_any_order() -> None:
    """Bits of sums taken in both orders; the model that is not on a grid tells the orders apart."""
    one = case("forest")
    X, _ = data(98, 2000)

    def apart(model: Any) -> int:
        trees = [tree.predict(X) for tree in model.estimators_]
        return int((sum(trees[1:], trees[0]) != sum(trees[-2::-1], trees[-1])).sum())

    assert apart(one.model) > 0
    assert apart(with_exact_sums(one.model)) == 0


def test_rows_alone_and_in_batches_on_threads_are_equal_to_the_bit() -> None:
    twin = with_exact_sums(case("xgboost").model)
    X, _ = data(97, 200)
    whole = twin.predict(X)
    with ThreadPoolExecutor(2) as pool:
        alone = np.concatenate(list(pool.map(lambda i: twin.predict(X[i : i + 1]), range(len(X)))))
    np.testing.assert_array_equal(alone, whole)
    np.testing.assert_array_equal(whole, np.float32(readable_trees(twin).predict(X)))


@pytest.mark.parametrize(
    "objective",
    [
        "reg:pseudohubererror",
        "reg:gamma",
        "reg:tweedie",
        "count:poisson",
        "reg:logistic",
        "binary:logitraw",
        "survival:cox",
    ],
)
def test_each_objective_of_xgboost_starts_from_zero(objective: str) -> None:
    X, y = data(21)
    target = (y > 0.5).astype(float) if "logi" in objective else np.abs(y) + 0.1
    booster = xgboost.train(
        {"objective": objective, "base_score": 0.7, "nthread": 1}, xgboost.DMatrix(X, target), num_boost_round=4
    )
    twin = with_base_in_leaves(booster)
    assert readable_trees(twin).base == 0
    expected = booster.predict(xgboost.DMatrix(X))
    np.testing.assert_allclose(twin.predict(xgboost.DMatrix(X)), expected, rtol=1e-6, atol=1e-6)


def test_wrappers_stay() -> None:
    one = case("histogram")
    pipeline = make_pipeline(FunctionTransformer(), FrozenEstimator(one.model))
    twin = with_exact_sums(pipeline)
    assert type(twin[0]) is FunctionTransformer
    assert twin[0] is not pipeline[0]
    np.testing.assert_array_equal(twin.predict(one.X), with_exact_sums(one.model).predict(one.X))


def test_an_initial_estimator_stays_where_it_is() -> None:
    with pytest.raises(InputError, match="GradientBoostingRegressor starts from its initial estimator"):
        with_base_in_leaves(case("boosting").model)


def test_onnx_predicts_what_xgboost_predicts_to_the_bit() -> None:
    onnxmltools = pytest.importorskip("onnxmltools")
    onnxruntime = pytest.importorskip("onnxruntime")
    from onnxmltools.convert.common.data_types import FloatTensorType

    X = data(96, 1000)[0].astype(np.float32)
    twin = with_exact_sums(xgb("Regressor").fit(*data(95)))
    converted = onnxmltools.convert_xgboost(twin, initial_types=[("X", FloatTensorType([None, X.shape[1]]))])
    session = onnxruntime.InferenceSession(converted.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(np.ravel(session.run(None, {session.get_inputs()[0].name: X})[0]), twin.predict(X))
