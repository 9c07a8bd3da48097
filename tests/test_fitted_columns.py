"""Columns are matched to those of the fit wherever the model tells them, and refused where that cannot be."""

from __future__ import annotations

import json
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost as xgb
from sklearn.ensemble import HistGradientBoostingRegressor, VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from alignconf import AlignedRegressor, check
from alignconf.deployment.search import search
from alignconf.errors import InputError
from alignconf.tables.fitted_columns import FittedColumns, columns_of_fit

RANDOM = np.random.default_rng(3)
NAMES = list("abcd")
ROWS = RANDOM.random((500, 4))
FRAME = pd.DataFrame(ROWS, columns=NAMES)
Y = np.sin(5 * ROWS[:, 0]) - 2 * ROWS[:, 1] + 0.1 * RANDOM.normal(size=500)
FEW: dict[str, Any] = {"n_estimators": 20, "n_jobs": 1}
FIT, REST = slice(0, 250), slice(250, 500)


def lightgbm(X: Any, **settings: Any) -> Any:
    return lgb.LGBMRegressor(num_leaves=8, verbose=-1, **FEW, **settings).fit(X[FIT], Y[FIT])


def xgboost(X: Any, **settings: Any) -> Any:
    return xgb.XGBRegressor(max_depth=3, **FEW, **settings).fit(X[FIT], Y[FIT])


def searched(X: Any) -> Any:
    grid = GridSearchCV(lgb.LGBMRegressor(num_leaves=8, verbose=-1, **FEW), {"max_depth": [3]}, cv=2)
    return grid.fit(X[FIT], Y[FIT])


FITTED: dict[str, Any] = {
    "lightgbm": lightgbm(FRAME),
    "xgboost": xgboost(FRAME),
    "booster of lightgbm": lightgbm(FRAME).booster_,
    "booster of xgboost": xgboost(FRAME).get_booster(),
    "histogram": HistGradientBoostingRegressor(max_iter=10).fit(FRAME[FIT], Y[FIT]),
    "pipeline": make_pipeline("passthrough", lightgbm(FRAME)),
    "search": searched(FRAME),
    "frozen": FrozenEstimator(lightgbm(FRAME)),
    "voting": VotingRegressor([("one", Ridge()), ("other", Ridge(9.0))]).fit(FRAME[FIT], Y[FIT]),
}


@pytest.mark.parametrize("name", FITTED)
def test_any_order_and_more_columns_change_nothing(name: str) -> None:
    model, rule = FITTED[name], {"b": "increasing"}
    rows, other = FRAME[REST], FRAME[REST].assign(id=7.0)[["b", "id", "d", "a", "c"]]
    right, found = (check(model, X, rule, random_state=0) for X in (rows, other))
    assert right.violations.n_rejected > 100
    assert (found.violations, found.mean_excess) == (right.violations, right.mean_excess)
    aligned, again = (
        AlignedRegressor(model, rule, random_state=0, confidence=None).calibrate(X) for X in (rows, other)
    )
    assert again.lambda_ == aligned.lambda_ > 0
    assert np.array_equal(again.predict(rows), aligned.predict(other))
    assert np.array_equal(aligned.predict(rows[::-1])[::-1], aligned.predict(rows))


def test_reference_rows_are_matched_too() -> None:
    rows, reference = FRAME[300:], FRAME[250:300]
    found = [
        check(FITTED["lightgbm"], rows, {"b": 1}, X_reference=X, random_state=0).violations.n_rejected
        for X in (reference, reference[["d", "c", "b", "a"]])
    ]
    assert found[0] == found[1] > 50
    lambdas = [
        AlignedRegressor(FITTED["lightgbm"], {"b": 1}, random_state=0, confidence=None)
        .calibrate(rows, X_reference=X)
        .lambda_
        for X in (reference, reference[["d", "c", "b", "a"]])
    ]
    assert lambdas[0] == lambdas[1]


def test_polars_and_groups_by_a_column_that_the_model_does_not_take() -> None:
    region = np.repeat(["n", "s"], 125)
    rows = pl.DataFrame(FRAME[REST].to_dict("list")).with_columns(region=pl.Series(region))
    aligned = AlignedRegressor(FITTED["lightgbm"], {"b": 1}, groups="region", random_state=0, confidence=None)
    aligned.calibrate(rows.select("region", "d", "c", "b", "a"))
    named = FRAME[REST].assign(region=region)
    pandas = AlignedRegressor(FITTED["lightgbm"], {"b": 1}, groups="region", random_state=0, confidence=None).calibrate(
        named
    )
    assert aligned.lambda_ == pandas.lambda_ > 0
    assert np.array_equal(pandas.predict(named[["c", "region", "a", "b", "d"]]), aligned.predict(rows))
    with pytest.raises(InputError, match=r"missing \['region'\]"):
        pandas.predict(FRAME[REST])


@pytest.mark.parametrize("name", ["lightgbm", "booster of xgboost", "histogram", "pipeline"])
def test_missing_repeated_and_unused_columns_are_refused(name: str) -> None:
    model = FITTED[name]
    with pytest.raises(InputError, match=r"X has other columns than at the fit \(missing \['b'\].*in any order"):
        check(model, FRAME[REST][["a", "c", "d"]], {"a": 1})
    repeated = FRAME[REST][["b", "a", "b", "c", "d"]]
    with pytest.raises(InputError, match=r"repeated columns, \['b'\]"):
        check(model, repeated, {"a": 1})
    more = FRAME[REST].assign(e=ROWS[REST, 0])
    with pytest.raises(InputError, match="feature 'e' is a column of X, but none that the model was fitted on"):
        check(model, more, {"e": 1})
    with pytest.raises(InputError, match="feature 0 is a position, and X has its columns in another order"):
        AlignedRegressor(model, {0: 1}, confidence=None).calibrate(FRAME[REST][["b", "a", "c", "d"]])


@pytest.mark.parametrize("fit", [lightgbm, xgboost, lambda X: Ridge().fit(X[FIT], Y[FIT])])
def test_fitted_on_an_array_goes_by_position(fit: Any) -> None:
    model = fit(ROWS)
    assert columns_of_fit(model) == FittedColumns(None, 4, columns_of_fit(model).library)
    by_name = AlignedRegressor(model, {"b": 1}, random_state=0, confidence=None)
    by_position = AlignedRegressor(model, {1: 1}, random_state=0, confidence=None).calibrate(ROWS[REST])
    if not isinstance(model, Ridge):  # which warns of names that it does not know
        assert by_name.calibrate(FRAME[REST]).lambda_ == by_position.lambda_ > 0
    numbered = FRAME[REST].rename(columns=dict(zip(NAMES, ["x1", "x0", "x2", "x3"], strict=True)))
    with pytest.raises(InputError, match="whose numbers contradict their positions"):
        by_name.calibrate(numbered)
    with pytest.raises(InputError, match=r"X has 3 features, but .* is expecting 4 features as input, as at the fit"):
        check(model, ROWS[REST, :3], {1: 1})


def test_libraries_spell_labels_in_their_own_way() -> None:
    pairs = pd.MultiIndex.from_tuples([("u", "a"), ("u", "b"), ("v", "a"), ("v", "b")])
    many = pd.DataFrame(ROWS, columns=pairs)
    assert columns_of_fit(xgboost(many)).labels == ("u a", "u b", "v a", "v b")
    spaced = pd.DataFrame(ROWS, columns=["a b", "c", "d", "e"])
    for model, frame, feature in ((xgboost(many), many, ("u", "b")), (lightgbm(spaced), spaced, "a b")):
        found = check(model, frame[REST].iloc[:, ::-1], {feature: "increasing"}, random_state=0)
        assert found.violations == check(model, frame[REST], {feature: "increasing"}, random_state=0).violations
        assert found.violations.n_rejected > 50


def test_labels_of_a_multi_index_are_names_everywhere() -> None:
    pairs = pd.MultiIndex.from_tuples([("u", "a"), ("u", "b"), ("v", "a"), ("v", "b")])
    many = pd.DataFrame(ROWS, columns=pairs)
    model = Ridge().fit(many[FIT], Y[FIT])
    plain = Ridge().fit(ROWS[FIT], Y[FIT])
    aligned = AlignedRegressor(
        model, {("u", "b"): "increasing"}, alpha={("u", "b"): 0.2}, random_state=0, confidence=None
    )
    aligned.calibrate(many[REST])
    expected = AlignedRegressor(plain, {1: "increasing"}, alpha=0.2, random_state=0, confidence=None).calibrate(
        ROWS[REST]
    )
    assert aligned.lambda_ == pytest.approx(expected.lambda_, rel=1e-12)
    assert "increasing in ('u', 'b')" in aligned.certify(many[FIT]).sentence
    witnesses = json.loads(search(model, many[REST], {("u", "b"): 1}, max_rows=2000, random_state=0).to_json())[
        "witnesses"
    ]
    assert {"('u', 'a')", "('v', 'b')"} <= set(witnesses[0]["points"][0])
    with pytest.raises(InputError, match=r"feature \('u', 'c'\) is not in X"):
        check(model, many, {("u", "c"): 1})


def test_integers_are_labels_where_all_labels_are() -> None:
    frame = pd.DataFrame(ROWS, columns=[7, 0, 9, 1])
    model = Ridge().fit(frame[FIT], Y[FIT])
    assert check(model, frame[REST], {0: 1}, random_state=0).violations.rate > 0.9  # the second column falls
    with pytest.raises(InputError, match="feature 2 is not in X: X has columns 7, 0, 9, 1"):
        check(model, frame[REST], {2: 1})
