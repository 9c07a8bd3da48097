"""A plain function is a model; what aligning it costs is what it is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from alignconf import AlignedRegressor, FunctionModel, InputError, PredictionError, cost_of

X = np.random.default_rng(0).random((500, 3))


class Counting:
    """A function that counts its calls and rows."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, rows: Any) -> np.ndarray:
        self.calls.append(len(rows))
        return np.sin(5 * np.asarray(rows)[:, 0]) + np.asarray(rows)[:, 1]


GIVEN: list[dict[str, Any]] = [
    {},
    {"n_queries": 1},
    {"confidence": None},
    {"alpha": 0},
    {"n_knots": 9},
    {"properties": {0: 1, 1: 1}, "projector": "lines", "n_knots": 3},
    {"properties": {0: "convex"}, "n_knots": 8},
]


@pytest.mark.parametrize("given", GIVEN, ids=str)
@pytest.mark.parametrize("is_given", [True, False])
def test_no_more_rows_are_asked_than_were_told(given: dict[str, Any], is_given: bool) -> None:
    """And not far fewer: the bound leaves room for the choice of one or several queries only."""
    function = Counting()
    parameters = {"properties": {0: 1}, "random_state": 0, **given}
    aligned = AlignedRegressor(FunctionModel(function), **parameters)
    rows, reference = (X[:300], X[300:400]) if is_given else (X[:400], None)
    cost = cost_of(aligned, rows, X_reference=reference)
    assert not function.calls
    aligned.calibrate(rows, X_reference=reference)
    assert 0.3 * cost.calibrate <= sum(function.calls) <= cost.calibrate
    function.calls.clear()
    aligned.predict(X[400:])
    assert sum(function.calls) == 100 * cost.predict + cost.watch
    function.calls.clear()
    aligned.predict(X[400:401])
    assert sum(function.calls) == cost.predict + cost.watch
    assert len(function.calls) == 1 or "properties" in given


def test_the_cost_in_words() -> None:
    cost = cost_of(AlignedRegressor(FunctionModel(Counting()), {0: 1}, random_state=0), X[:400], X_reference=X[400:])
    assert str(cost) == (
        "calibrate asks the model about 42,405 rows at most; predict about 65 for each row, and 8 more in each call."
    )


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame], ids=["array", "frame"])
@pytest.mark.parametrize("batch_size", [1, 7, 100, 101, None])
def test_batches_change_nothing_but_the_calls(batch_size: int | None, kind: Any) -> None:
    function = Counting()
    found = FunctionModel(function, batch_size=batch_size).predict(kind(X[:100]))
    np.testing.assert_array_equal(found, Counting()(X[:100]))
    assert max(function.calls) <= (batch_size or 100)
    assert sum(function.calls) == 100


def as_frame(rows: np.ndarray, categories: list[str]) -> pd.DataFrame:
    kinds = np.where(rows[:, 1] < 0.5, categories[0], categories[-1])
    return pd.DataFrame(rows, columns=list("abc")).assign(kind=pd.Categorical(kinds, categories=categories))


def test_remembered_rows_go_along_where_types_stay_what_they_are() -> None:
    """A frame with other categories, or another order of names, is asked by itself."""
    calls: list[Any] = []

    def function(rows: pd.DataFrame) -> np.ndarray:
        calls.append(rows)
        return np.sin(5 * rows.iloc[:, 0].to_numpy()) + 0.1 * (rows["kind"] == "low").to_numpy()

    aligned = AlignedRegressor(FunctionModel(function), {"a": 1}, n_knots=8, random_state=0)
    aligned.calibrate(as_frame(X[:300], ["low", "high"]))
    together = aligned.predict(as_frame(X[400:450], ["low", "high"]))
    for categories, n_calls in ((["low", "high"], 1), (["low", "mid", "high"], 2)):
        calls.clear()
        alone = aligned.predict(as_frame(X[400:401], categories))
        assert len(calls) == n_calls
        assert all(isinstance(rows["kind"].dtype, pd.CategoricalDtype) for rows in calls)
        assert alone[0] == together[0]


def test_a_function_that_changes_is_refused() -> None:
    """It is no library's, so that some rows are asked again in every call."""
    shift = [0.0]
    aligned = AlignedRegressor(FunctionModel(lambda rows: np.sin(5 * rows[:, 0]) + shift[0]), {0: 1}, random_state=0)
    aligned.calibrate(X[:300]).predict(X[400:401])
    shift[0] = 1.0
    with pytest.raises(PredictionError, match="has changed since"):
        aligned.predict(X[400:401])


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(InputError, match="function must be a function from rows to numbers, got 'f' of type str"):
        FunctionModel("f").predict(X)
    with pytest.raises(InputError, match="batch_size must be a whole number of at least 1, got 0"):
        FunctionModel(Counting(), batch_size=0).predict(X)
