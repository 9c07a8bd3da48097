"""Rows in partitions against the same rows in one table: equal numbers, whatever the cuts, the properties and the losses."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier

from alignconf import AlignedClassifier, AlignedRegressor, CalibrationError, InputError, NotCalibratedError, check
from alignconf.calibration.shift import LikelihoodRatio
from alignconf.errors import RepeatedRowsWarning
from alignconf.losses.bounded_loss import BoundedLoss
from alignconf.losses.magnitude import Magnitude
from alignconf.properties import Bounded, Concave, DiminishingReturns, Increasing, Ordered
from alignconf.tables.partitions import Partitions
from alignconf.tables.rows import Memory, Rows
from alignconf.tables.table import is_partitioned
from alignconf.tables.used_rows import UsedRows

NUMBERS = list("abc")


def figures(audit):
    """All of an audit but its pictures, which are drawn for rows in memory only."""
    return repr(replace(audit, lines=()))


def make_rows(n_rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Three numbers, some of the first missing, two groups and a size; labels that swing along the first."""
    random = np.random.default_rng(seed)
    X = pd.DataFrame(random.random((n_rows, 3)), columns=NUMBERS)
    y = X.b * np.sin(7 * X.a) + X.c + 0.1 * random.normal(size=n_rows)
    X.loc[random.random(n_rows) < 0.04, "a"] = np.nan
    X["region"], X["kind"] = random.choice(["north", "south", "east"], n_rows), random.integers(0, 2, n_rows)
    X["size"] = pd.Categorical(random.choice(["S", "M", "L"], n_rows), ["S", "M", "L"], ordered=True)
    return X, y.to_numpy()


class Trees(BaseEstimator):
    """A model of the numbers alone, and of the size."""

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Trees:
        self.trees_ = HistGradientBoostingRegressor(max_iter=15, random_state=0).fit(self._numbers(X), y)
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.trees_.predict(self._numbers(X))

    def _numbers(self, X: pd.DataFrame) -> np.ndarray:
        return np.column_stack([X[NUMBERS], np.array([len(size) % 2 + (size == "M") for size in X["size"]])])


class Wave:
    """A model of arrays, in numpy."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X[:, 1] * np.sin(7 * np.nan_to_num(X[:, 0])) + X[:, 2]


X_TRAIN, Y_TRAIN = make_rows(500, 0)
X_CAL, _ = make_rows(600, 1)
X_NEW, Y_NEW = make_rows(300, 2)
MODEL = Trees().fit(X_TRAIN, Y_TRAIN)
FAR_CAL = dd.from_pandas(X_CAL, npartitions=4, sort=False)
FAR_NEW = dd.from_pandas(X_NEW.assign(y=Y_NEW), npartitions=3, sort=False)
Y_FAR, FAR_NEW = FAR_NEW["y"], FAR_NEW.drop(columns="y")
ARRAY = np.random.default_rng(3).random((400, 3))
ARRAY[::23, 0] = np.nan


@pytest.fixture(autouse=True)
def in_this_thread() -> Iterator[None]:
    """Partitions one after the other, where no test says otherwise."""
    with dask.config.set(scheduler="sync"):
        yield


def same_calibration(one: Any, other: Any) -> None:
    """Everything but the memory that is taken: half-width, words, figures, scores, fingerprints."""
    assert one.lambda_ == other.lambda_
    assert one.calibration_.claims == other.calibration_.claims
    assert repr(one.calibration_) == repr(other.calibration_)
    np.testing.assert_array_equal(one.calibration_scores_, other.calibration_scores_)
    for (use, marks), (same_use, same_marks) in zip(one.used_rows_.marks, other.used_rows_.marks, strict=True):
        assert use == same_use
        np.testing.assert_array_equal(marks, same_marks)


def same_certificate(one: Any, other: Any) -> None:
    """The same words; means agree to rounding."""
    assert str(one) == str(other)
    for name in ("delivered", "before", "full_strength", "distance_bound", "hamming_bound", "size_bound", "separately"):
        assert getattr(one, name) == getattr(other, name)
    assert one.max_displacement == other.max_displacement
    assert one.rms_displacement == pytest.approx(other.rms_displacement, rel=1e-13)
    if one.error is not None:
        assert one.error.interval == pytest.approx(other.error.interval, rel=1e-10)


# ---------------------------------------------------------------------------------------------------------------------
# The same numbers
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("chunks", [400, 45, (1, 0, 398, 1), (0, 400)])
def test_no_cut_changes_anything(chunks: Any) -> None:
    """A row each, rows in the thousands, partitions without any: the same bits."""
    one = AlignedRegressor(Wave(), {0: 1}, random_state=0, confidence=None).calibrate(ARRAY)
    far = da.from_array(ARRAY, chunks=(chunks, 2))
    many = AlignedRegressor(Wave(), {0: 1}, random_state=0, confidence=None).calibrate(far)
    same_calibration(one, many)
    np.testing.assert_array_equal(many.predict(far).compute(), one.predict(ARRAY))
    np.testing.assert_array_equal(many.predict_band(far).compute(), one.predict_band(ARRAY))
    assert figures(check(Wave(), far, {0: 1}, random_state=0)) == figures(check(Wave(), ARRAY, {0: 1}, random_state=0))


CHOICES: dict[str, tuple[Any, dict[str, Any]]] = {
    "default": ({"a": 1}, {}),
    "confidence": ({"a": 1}, {"confidence": 0.9}),
    "one query": ({"a": 1}, {"n_queries": 1}),
    "levels": ({"a": 1, "c": 1}, {"alpha": {"a": 0.2, "c": 0.1}}),
    "line": ({"a": 1}, {"loss": "line"}),
    "displacement": ({"a": 1}, {"loss": "displacement"}),
    "existence": ({"a": 1}, {"loss": "existence"}),
    "path": ({"a": 1}, {"query_law": "path"}),
    "whole lines": ({"a": 1}, {"query_law": "line"}),
    "conditional": ({"a": 1}, {"reference_law": "conditional", "n_queries": 2}),
    "curvature": (Concave("a"), {"n_knots": 8, "n_queries": 2}),
    "planes": (DiminishingReturns("a", "b"), {"n_knots": 3, "n_queries": 1}),
    "orbits": ([Increasing("a"), Bounded(0.1, 1.2)], {}),
    "categories": (Ordered("size", ["S", "M", "L"]), {}),
    "scaled": ({"a": 1}, {"difficulty": lambda table: 1 + table["b"].to_numpy(), "ray": (1, 2)}),
    "ray of the reference rows": ({"a": 1}, {"ray": "reference"}),
    "groups in a column": ({"a": 1}, {"groups": "region"}),
    "groups in numbers": ({"a": 1}, {"groups": "kind", "alpha": 0.2}),
    "groups in columns": ({"a": 1}, {"groups": ["region", "kind"]}),
    "groups by a function": ({"a": 1}, {"groups": lambda table: (table["b"] > 0.5).to_numpy()}),
}


@pytest.mark.parametrize("name", CHOICES)
def test_every_promise_is_the_same(name: str) -> None:
    properties, chosen = CHOICES[name]
    one = AlignedRegressor(MODEL, properties, random_state=3, **{"confidence": None, **chosen}).calibrate(X_CAL)
    many = AlignedRegressor(MODEL, properties, random_state=3, **{"confidence": None, **chosen}).calibrate(FAR_CAL)
    same_calibration(one, many)
    same_certificate(one.certify(X_NEW, Y_NEW), many.certify(FAR_NEW, Y_FAR))
    np.testing.assert_array_equal(many.predict(FAR_NEW).compute(), one.predict(X_NEW))


@pytest.mark.parametrize("column", ["region", "kind"])
def test_labels_of_groups_lie_beside_the_rows(column: str) -> None:
    one = AlignedRegressor(MODEL, {"a": 1}, random_state=3, alpha=0.2, confidence=None).calibrate(
        X_CAL, groups=X_CAL[column]
    )
    many = AlignedRegressor(MODEL, {"a": 1}, random_state=3, alpha=0.2, confidence=None).calibrate(
        FAR_CAL, groups=FAR_CAL[column]
    )
    same_calibration(one, many)
    same_certificate(one.certify(X_NEW, groups=X_NEW[column]), many.certify(FAR_NEW, groups=FAR_NEW[column]))
    found = many.predict(FAR_NEW, groups=FAR_NEW[column]).compute()
    np.testing.assert_array_equal(found, one.predict(X_NEW, groups=X_NEW[column]))


def test_overlapping_groups_lie_beside_the_rows() -> None:
    def inside(table: Any) -> Any:
        return table.assign(north=(table["region"] == "north").astype(bool), all=True)[["north", "all"]]

    one = AlignedRegressor(MODEL, {"a": 1}, random_state=3, confidence=None).calibrate(X_CAL, groups=inside(X_CAL))
    many = AlignedRegressor(MODEL, {"a": 1}, random_state=3, confidence=None).calibrate(FAR_CAL, groups=inside(FAR_CAL))
    same_calibration(one, many)
    same_certificate(one.certify(X_NEW, groups=inside(X_NEW)), many.certify(FAR_NEW, groups=inside(FAR_NEW)))


def test_several_queries_are_certified_in_the_same_order() -> None:
    """Bounds by betting depend on the order of the rows."""
    one, many = (
        AlignedRegressor(MODEL, {"a": 1}, random_state=3, confidence=None).calibrate(X) for X in (X_CAL, FAR_CAL)
    )
    same_certificate(one.certify(X_NEW, n_queries=5), many.certify(FAR_NEW, n_queries=5))


def test_a_generator_goes_on_where_one_machine_leaves_it() -> None:
    """Calibration, certificate and audit from one generator, one after the other."""
    found = []
    for X, X_fresh in ((X_CAL, X_NEW), (FAR_CAL, FAR_NEW)):
        random = np.random.default_rng(5)
        aligned = AlignedRegressor(MODEL, {"a": 1}, random_state=random, confidence=None).calibrate(X)
        audit = check(MODEL, X_fresh, {"a": 1}, random_state=random)
        found.append((aligned.lambda_, str(aligned.certify(X_fresh)), figures(audit), random.bit_generator.state))
    assert found[0] == found[1]


@pytest.mark.parametrize("query_law", ["iid", "path", "line"])
@pytest.mark.parametrize("given", [False, True])
def test_audits_find_the_same_witness(given: bool, query_law: str) -> None:
    reference = {"X_reference": X_TRAIN} if given else {}
    for properties in ({"a": 1}, {"a": -1, "c": 1}, [Increasing("a"), Bounded(0.1, 1.2)]):
        one, many = (
            check(MODEL, X, properties, random_state=1, query_law=query_law, **reference) for X in (X_NEW, FAR_NEW)
        )
        assert figures(one) == figures(many)
    assert one.worst is not None


def test_an_audit_without_a_violation_has_no_witness() -> None:
    found = check(Wave(), da.from_array(ARRAY, chunks=(90, 3)), {2: 1}, random_state=0)
    assert found.worst is None
    assert (found.n_missing, found.violations.n_rejected) == (0, 0)


@pytest.mark.parametrize("scale", ["probability", "logit"])
def test_classifiers_too(scale: str) -> None:
    labels = np.array(["no", "maybe", "yes"])[np.digitize(Y_TRAIN, [0.3, 0.7])]
    forest = RandomForestClassifier(10, random_state=0).fit(X_TRAIN[["b", "c"]], labels)
    near, far = X_CAL[["b", "c"]], FAR_CAL[["b", "c"]]
    one, many = (
        AlignedClassifier(
            forest, {"b": -1}, pos_label="yes", scale=scale, alpha=0.2, random_state=0, confidence=None
        ).calibrate(X)
        for X in (near, far)
    )
    same_calibration(one, many)
    fresh, far_fresh = X_NEW[["b", "c"]], FAR_NEW[["b", "c"]]
    proba = many.predict_proba(far_fresh)
    assert list(proba.columns) == ["maybe", "no", "yes"]
    np.testing.assert_array_equal(proba.compute(), one.predict_proba(fresh))
    np.testing.assert_array_equal(many.predict(far_fresh).compute().to_numpy(dtype=object), one.predict(fresh))
    np.testing.assert_array_equal(many.predict_band(far_fresh).compute(), one.predict_band(fresh))
    outcomes = np.array(["no", "maybe", "yes"])[np.digitize(Y_NEW, [0.3, 0.7])]
    far_outcomes = Y_FAR.map_partitions(
        lambda y: pd.Series(np.array(["no", "maybe", "yes"])[np.digitize(y, [0.3, 0.7])], index=y.index),
        meta=pd.Series([], dtype=object),
    )
    same_certificate(one.certify(fresh, outcomes), many.certify(far_fresh, far_outcomes))


def test_reference_rows_may_be_in_partitions_too() -> None:
    far = dd.from_pandas(X_TRAIN, npartitions=3, sort=False)
    one = AlignedRegressor(MODEL, {"a": 1}, random_state=0, confidence=None).calibrate(X_CAL, X_reference=X_TRAIN)
    for X, X_reference in ((FAR_CAL, X_TRAIN), (FAR_CAL, far), (X_CAL, far)):
        many = AlignedRegressor(MODEL, {"a": 1}, random_state=0, confidence=None).calibrate(X, X_reference=X_reference)
        same_calibration(one, many)
    expected = check(MODEL, X_NEW, {"a": 1}, X_reference=X_TRAIN, random_state=0)
    assert figures(check(MODEL, FAR_NEW, {"a": 1}, X_reference=far, random_state=0)) == figures(expected)


@pytest.mark.parametrize("given", [False, True])
def test_full_strength_calibrates_nothing(given: bool) -> None:
    reference = {"X_reference": X_TRAIN} if given else {}
    one, many = (AlignedRegressor(MODEL, {"a": 1}, alpha=0).calibrate(X, **reference) for X in (X_CAL, FAR_CAL))
    assert one.lambda_ == many.lambda_ == np.inf
    np.testing.assert_array_equal(many.predict(FAR_NEW).compute(), one.predict(X_NEW))


def test_lengths_need_not_be_known() -> None:
    """After a filter neither frames nor arrays know how many rows they have."""
    far = da.from_array(ARRAY, chunks=(90, 3))
    kept, expected = far[far[:, 1] > 0.3], ARRAY[ARRAY[:, 1] > 0.3]
    one, many = (
        AlignedRegressor(Wave(), {0: 1}, random_state=0, confidence=None).calibrate(X) for X in (expected, kept)
    )
    same_calibration(one, many)
    np.testing.assert_array_equal(many.predict(kept).compute(), one.predict(expected))
    same_certificate(one.certify(ARRAY[:50] + 0.001), many.certify(da.from_array(ARRAY[:50] + 0.001, chunks=(20, 3))))
    few = FAR_CAL[FAR_CAL["region"] == "north"]
    expected = X_CAL[X_CAL["region"] == "north"]
    one, many = (
        AlignedRegressor(MODEL, {"a": 1}, random_state=0, confidence=None).calibrate(X) for X in (expected, few)
    )
    same_calibration(one, many)


@pytest.mark.parametrize("scheduler", ["threads", "sync"])
def test_answers_are_plans_with_known_meta(scheduler: str) -> None:
    """Nothing is predicted before it is asked for, and the index is that of the rows."""
    calls = []

    class Counting(Wave):
        def predict(self, X: np.ndarray) -> np.ndarray:
            calls.append(len(X))
            return super().predict(np.asarray(X))

    frame = pd.DataFrame(ARRAY, columns=list("uvw"), index=np.arange(400) * 3)
    far = dd.from_pandas(frame, npartitions=4)
    aligned = AlignedRegressor(Counting(), {"u": 1}, random_state=0, confidence=None).calibrate(far)
    calls.clear()
    found, band = aligned.predict(far), aligned.predict_band(far)
    assert calls == []
    assert isinstance(found._meta, pd.Series)
    assert found.dtype == np.float64
    assert found.divisions == far.divisions
    assert list(band.columns) == ["lower", "upper"]
    with dask.config.set(scheduler=scheduler):
        values, ends = dask.compute(found, band)
    assert calls
    assert values.index.equals(frame.index)
    assert ((ends["lower"] <= values) & (values <= ends["upper"])).all()
    plan = aligned.predict(da.from_array(ARRAY, chunks=(150, 3)))
    assert (plan.shape, plan.dtype, plan.chunks) == ((400,), np.float64, ((150, 150, 100),))


def test_partitions_without_rows_are_answered_by_none() -> None:
    far = dd.from_pandas(X_NEW, npartitions=3, sort=False)
    aligned = AlignedRegressor(MODEL, {"a": 1}, random_state=0, confidence=None).calibrate(FAR_CAL)
    empty = aligned.predict(far[far["b"] > 2]).compute()
    assert (empty.dtype, empty.size) == (np.float64, 0)
    assert aligned.predict_band(da.from_array(np.empty((0, 6)), chunks=(5, 6))).compute().shape == (0, 2)


def test_what_is_kept_and_sent_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few bytes of each row on the client, fingerprints of at most so many; nothing of the rows goes to predict."""
    monkeypatch.setattr("alignconf.tables.used_rows.MOST", 100)
    random = np.random.default_rng(0)
    X = random.random((20_000, 3))
    aligned = AlignedRegressor(Wave(), {0: 1}, random_state=0, confidence=None).calibrate(
        da.from_array(X, chunks=(1000, 3))
    )
    marks = dict(aligned.used_rows_.marks)["calibration"]
    # Binomial for each of three roundings, with mean 300 and variance below 300: outside with probability below 1e-7.
    assert 205 <= marks.size <= 395
    kept = aligned.calibration_scores_.nbytes
    assert kept == 8 * aligned.calibration_.n_rows
    assert len(pickle.dumps(aligned)) < 1.2 * kept + 100_000
    assert len(pickle.dumps(aligned._for_workers())) < 100_000
    assert aligned._for_workers().lambda_ == aligned.lambda_
    assert aligned.calibration_scores_.size


# ---------------------------------------------------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------------------------------------------------
@cache
def calibrated() -> AlignedRegressor:
    return AlignedRegressor(MODEL, {"a": 1}, random_state=0, confidence=None).calibrate(X_CAL)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (FAR_CAL["a"], "X is a dask.*Series; expected a Dask data frame, or a Dask array of rows and columns made of"),
        (dask.delayed(X_CAL), "X is a dask.delayed.Delayed.*; expected a Dask data frame"),
        (da.zeros(5, chunks=2), r"X has 1 dimension\(s\)"),
        (da.zeros((5, 0), chunks=2), "X has no columns"),
        (da.zeros((0, 3), chunks=2), "X has no rows, in 1 partitions; expected at least one"),
        (da.zeros((9, 3), chunks=2, dtype=complex), "X holds complex numbers"),
    ],
    ids=["series", "delayed", "one dimension", "no columns", "no rows", "complex"],
)
def test_what_is_no_table_is_refused(X: Any, message: str) -> None:
    assert is_partitioned(X)
    with pytest.raises(InputError, match=message):
        AlignedRegressor(Wave(), {0: 1}, confidence=None).calibrate(X)
    with pytest.raises(InputError, match=message):
        check(Wave(), X, {0: 1})


@pytest.mark.parametrize("loss", [Magnitude(largest=2.0), BoundedLoss(np.tanh)], ids=lambda loss: loss.name)
def test_losses_of_more_than_a_score_are_refused(loss: Any) -> None:
    with pytest.raises(InputError, match=f"loss='{loss.name}' needs more than one number of each row, which is not"):
        AlignedRegressor(MODEL, {"a": 1}, loss=loss, confidence=None).calibrate(FAR_CAL)


def test_what_is_not_supported_is_refused_before_any_work() -> None:
    class Untouched(Wave):
        def predict(self, *_: Any) -> np.ndarray:
            raise AssertionError

    cases: tuple[tuple[Any, dict[str, Any], str], ...] = (
        (
            {"shift": LikelihoodRatio(lambda table: np.ones(len(table)))},
            {},
            "shift is not supported for rows in partitions",
        ),
        (
            {},
            {"groups": X_CAL["region"]},
            "groups is a pandas.*Series, and X is partitioned; expected a Dask series or",
        ),
        ({}, {"groups": FAR_NEW["region"]}, "groups has 3 partitions and X has 4; expected the same partitions"),
        ({}, {"X_reference": FAR_CAL}, "X_reference is X itself"),
        ({}, {"X_reference": X_TRAIN[["a", "b"]]}, "X_reference has other columns than in X"),
    )
    for chosen, given, message in cases:
        with pytest.raises(InputError, match=message):
            AlignedRegressor(Untouched(), {"a": 1}, **{"confidence": None, **chosen}).calibrate(FAR_CAL, **given)


def test_too_many_reference_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alignconf.tables.rows.MOST_REFERENCE", 200)
    with pytest.raises(
        InputError, match=r"X_reference has 300 rows in partitions.*at most 200 of them; give a sample, .*0\.33"
    ):
        AlignedRegressor(MODEL, {"a": 1}, confidence=None).calibrate(FAR_CAL, X_reference=FAR_NEW)
    with pytest.raises(InputError, match="X has 600 rows in partitions"):
        AlignedRegressor(MODEL, {"a": 1}, alpha=0).calibrate(FAR_CAL)


def test_too_few_rows_are_refused_with_the_same_words() -> None:
    few = X_CAL.head(30)
    for X in (few, dd.from_pandas(few, npartitions=3)):
        with pytest.raises(CalibrationError, match=r"30 rows cannot support alpha=0\.02: at least 49 calibration rows"):
            AlignedRegressor(MODEL, {"a": 1}, alpha=0.02, confidence=None).calibrate(X)


def test_values_without_a_place_are_refused_where_they_are() -> None:
    wrong = X_CAL.assign(a=X_CAL["a"].astype(object))
    wrong.loc[599, "a"] = "many"
    with (
        pytest.raises(InputError, match="feature 'a' has values such as"),
        dask.config.set({"dataframe.convert-string": False}),
    ):
        AlignedRegressor(MODEL, {"a": 1}, confidence=None).calibrate(dd.from_pandas(wrong, npartitions=4, sort=False))


def test_categories_that_are_not_looked_up_are_refused() -> None:
    unknown = FAR_CAL.assign(region=FAR_CAL["region"].astype("category"))
    with pytest.raises(
        InputError, match=r"X has categories that Dask does not know yet, in \['region'\]: .*X.categorize"
    ):
        AlignedRegressor(MODEL, {"a": 1}, confidence=None).calibrate(unknown)
    AlignedRegressor(MODEL, {"a": 1}, confidence=None).calibrate(unknown.categorize(columns=["region"]))


def test_groups_are_wanted_as_they_were_at_calibration() -> None:
    grouped = AlignedRegressor(MODEL, {"a": 1}, random_state=0, confidence=None).calibrate(
        X_CAL, groups=X_CAL["region"]
    )
    for work in (grouped.predict, grouped.certify, grouped.predict_band):
        with pytest.raises(InputError, match="groups is missing: calibration was by group"):
            work(FAR_NEW)
        with pytest.raises(InputError, match="groups is given, but calibration was not by group"):
            getattr(calibrated(), work.__name__)(FAR_NEW, groups=FAR_NEW["region"])
    by_column = AlignedRegressor(MODEL, {"a": 1}, groups="region", random_state=0, confidence=None).calibrate(X_CAL)
    with pytest.raises(InputError, match="groups is given twice"):
        by_column.predict(FAR_NEW, groups=FAR_NEW["region"])


def test_other_columns_and_no_calibration_are_refused_at_once() -> None:
    fewer = FAR_NEW.drop(columns="b")
    for work in (calibrated().predict, calibrated().certify):
        with pytest.raises(InputError, match=r"X has other columns than at calibration \(missing \['b'\]\)"):
            work(fewer)
    for method in ("predict", "predict_band", "certify"):
        with pytest.raises(NotCalibratedError, match="has no lambda_ yet"):
            getattr(AlignedRegressor(MODEL, {"a": 1}, confidence=None), method)(FAR_NEW)


def test_rows_in_memory_are_asked_for_where_they_are_needed() -> None:
    for work in (
        calibrated().critical_half_widths,
        calibrated().predict_outcome_interval,
        lambda X: calibrated().calibrate_outcome(X, Y_NEW),
        lambda X: AlignedRegressor(MODEL, {"a": 1}, confidence=None).fit(X, Y_FAR),
    ):
        with pytest.raises(
            (InputError, NotCalibratedError), match=r"X is a Dask object, .*DataFrame; .*with \.compute"
        ):
            work(FAR_NEW)


def test_rows_with_nothing_to_ask_are_refused() -> None:
    missing = FAR_NEW.assign(a=np.nan)
    with pytest.raises(InputError, match="X has no row with a constrained feature present"):
        calibrated().certify(missing)
    with pytest.raises(InputError, match="X has no row to ask: all 300 rows besides the reference rows"):
        check(MODEL, missing, {"a": 1}, X_reference=X_TRAIN)


def test_rows_that_come_back_are_noticed() -> None:
    many = AlignedRegressor(MODEL, {"a": 1}, random_state=0, confidence=None).calibrate(FAR_CAL)
    messages = []
    for X in (X_CAL, FAR_CAL):
        with pytest.raises(InputError, match="X repeats 480 of the 480 calibration rows in its 600 rows") as caught:
            many.certify(X)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    with pytest.warns(RepeatedRowsWarning, match="X repeats 600 of the 600 X_reference rows"):
        AlignedRegressor(MODEL, {"a": 1}, random_state=0, confidence=None).calibrate(FAR_CAL, X_reference=X_CAL)


def test_an_interrupted_calibration_leaves_the_earlier_one() -> None:
    aligned = AlignedRegressor(MODEL, {"a": 1}, random_state=0, confidence=None).calibrate(FAR_CAL)
    before = dict(vars(aligned))

    class Interrupted(Trees):
        def predict(self, X: pd.DataFrame) -> np.ndarray:
            if len(X) > 300:
                raise KeyboardInterrupt
            return np.zeros(len(X))

    aligned.estimator = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        aligned.calibrate(FAR_CAL)
    aligned.estimator = MODEL
    assert vars(aligned) == before


@pytest.mark.parametrize("verbose", [False, True])
def test_a_bar_counts_partitions_where_it_was_asked_for(
    verbose: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    aligned = AlignedRegressor(MODEL, {"a": 1}, random_state=0, verbose=verbose, confidence=None).calibrate(FAR_CAL)
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr("alignconf.tables.progress.DELAY", 0.0)
    aligned.calibrate(FAR_CAL).certify(FAR_NEW)
    check(MODEL, FAR_NEW, {"a": 1}, verbose=verbose)
    out, err = capfd.readouterr()
    assert out == ""
    assert (err == "") == (not verbose)
    assert err.count("increasing in 'a': 100%") >= (3 if verbose else 0)


# ---------------------------------------------------------------------------------------------------------------------
# The pieces
# ---------------------------------------------------------------------------------------------------------------------
def test_rows_are_fetched_by_their_positions_in_the_whole() -> None:
    far = da.from_array(ARRAY, chunks=((100, 0, 250, 50), 3))
    rows = np.array([0, 99, 100, 349, 350, 399])
    for parts in (Partitions.of(far), Memory(ARRAY)):
        assert parts.known_sizes is not None
        np.testing.assert_array_equal(Rows.of(parts).take(rows), ARRAY[rows])
        assert Rows.of(parts).take(rows[:0]).shape == (0, 3)
    frame = Partitions.of(FAR_CAL)
    assert frame.known_sizes is None
    pd.testing.assert_frame_equal(Rows.of(frame).take(rows), X_CAL.iloc[rows], check_dtype=False)


def test_only_dask_objects_are_partitioned() -> None:
    for X in (X_CAL, ARRAY, None, "rows", da.Array):
        assert not is_partitioned(X)


def test_few_fingerprints_of_many_rows_tell_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether rows are used at once, one after the other, or by their marks: the same ones are kept."""
    monkeypatch.setattr("alignconf.tables.used_rows.MOST", 200)
    rows = np.random.default_rng(0).random((5000, 2))
    used = UsedRows.of(calibration=rows)
    ((_, marks),) = used.marks
    assert 480 <= marks.size <= 720  # binomial, mean 600: outside with probability below 1e-6
    again = UsedRows.of(calibration=rows[:4000]).joined("calibration", rows[4000:])
    np.testing.assert_array_equal(dict(again.marks)["calibration"], marks)
    assert again.counts == used.counts == (("calibration", 5000),)
    used.refuse(np.random.default_rng(1).random((5000, 2)))
    with pytest.raises(
        InputError, match=r"calibration rows that are compared in its \d+ rows that are compared, row \d+ being"
    ):
        used.refuse(rows[2000:3000])


# ---------------------------------------------------------------------------------------------------------------------
# Two worker processes; last, as Dask warns of other schedulers while there is a client
# ---------------------------------------------------------------------------------------------------------------------
class Slow(Wave):
    """Takes its time, so that a worker can be lost meanwhile."""

    seconds = 0.1

    def predict(self, X: np.ndarray) -> np.ndarray:
        time.sleep(self.seconds)
        return super().predict(X)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with LocalCluster(**options, silence_logs=100) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture
def on_the_cluster(client: Any) -> Iterator[Any]:
    with dask.config.set(scheduler="distributed"):
        yield client


@pytest.mark.usefixtures("on_the_cluster")
def test_two_worker_processes_find_the_same_numbers(capfd: pytest.CaptureFixture[str]) -> None:
    one = AlignedRegressor(Wave(), {0: 1}, random_state=0, confidence=None).calibrate(ARRAY)
    far = da.from_array(ARRAY, chunks=(200, 3))
    many = AlignedRegressor(Wave(), {0: 1}, random_state=0, confidence=None).calibrate(far)
    same_calibration(one, many)
    np.testing.assert_array_equal(many.predict(far).compute(), one.predict(ARRAY))
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_worker_processes_certify_and_audit_and_work_for_joblib(
    on_the_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent is taken for large and goes beside the plan; joblib's Dask backend is for rows in memory."""
    one = AlignedRegressor(Wave(), {0: 1}, random_state=0, confidence=None).calibrate(ARRAY)
    far, fresh = da.from_array(ARRAY, chunks=(100, 3)), ARRAY[:90] + 0.001
    far_fresh = da.from_array(fresh, chunks=(40, 3))
    monkeypatch.setattr("alignconf.tables.partitions.LARGE", 0)
    many = AlignedRegressor(Wave(), {0: 1}, random_state=0, confidence=None).calibrate(far)
    same_calibration(one, many)
    same_certificate(one.certify(fresh), many.certify(far_fresh))
    np.testing.assert_array_equal(many.predict(far_fresh).compute(), one.predict(fresh))
    assert figures(check(Wave(), far, {0: 1}, random_state=0)) == figures(check(Wave(), ARRAY, {0: 1}, random_state=0))
    with pytest.raises(InputError, match="X repeats"):
        many.certify(far)
    monkeypatch.setattr("alignconf.tables.blocks.BLOCK_ROWS", 3000)
    with parallel_config(backend="dask", n_jobs=2):
        same_calibration(
            one, AlignedRegressor(Wave(), {0: 1}, random_state=0, verbose=True, confidence=None).calibrate(ARRAY)
        )
    assert not any(on_the_cluster.processing().values())


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(on_the_cluster: Any) -> None:
    """One of two workers is killed while it scores: partitions that were on it are asked again."""
    one = AlignedRegressor(Slow(), {0: 1}, random_state=0, confidence=None).calibrate(ARRAY)
    far = da.from_array(ARRAY, chunks=(10, 3))

    def kill() -> None:
        time.sleep(1.5)
        os.kill(next(iter(on_the_cluster.run(os.getpid).values())), signal.SIGKILL)

    for method in (lambda aligned: aligned.lambda_, lambda aligned: aligned.predict(far).compute().tolist()):
        killer = threading.Thread(target=kill)
        killer.start()
        many = AlignedRegressor(Slow(), {0: 1}, random_state=0, confidence=None).calibrate(far)
        found = method(many)
        killer.join()
        same_calibration(one, many)
    assert found == one.predict(ARRAY).tolist()


@pytest.mark.slow
def test_an_interruption_cancels_what_is_left(on_the_cluster: Any) -> None:
    aligned = AlignedRegressor(Slow(), {0: 1}, random_state=0, confidence=None).calibrate(ARRAY)
    before = dict(vars(aligned))

    def interrupt() -> None:
        time.sleep(2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        aligned.calibrate(da.from_array(ARRAY, chunks=(4, 3)))
    assert vars(aligned) == before
    deadline = time.monotonic() + 10
    while any(on_the_cluster.processing().values()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(on_the_cluster.processing().values())


@pytest.mark.usefixtures("on_the_cluster")
def test_partitions_that_are_lost_again_and_again_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Partitions, "_finished", lambda *_: iter(()))
    with pytest.raises(RuntimeError, match="3 partitions were lost with their workers, 5 times; the first is 0"):
        list(Partitions.of(FAR_NEW).run(len))
