"""Columns in any order, between others: every door answers as for the columns of the fit in their order, bit for bit.

Frames of pandas, polars and Dask and files of the command line hold the columns of the model between others, in another order,
one of them text. Where names and positions contradict each other, or a name is missing, rows are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import joblib
import lightgbm as lgb
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost as xgb
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from alignconf import AlignedClassifier, AlignedRegressor, InputError, check
from alignconf.command import main
from alignconf.deployment.monitoring.monitor import Monitor
from alignconf.deployment.monitoring.sequential import SequentialCertificate
from alignconf.deployment.search import search
from alignconf.plotting import line
from alignconf.properties import Bounded

RANDOM = np.random.default_rng(3)
ROWS = RANDOM.random((700, 4))
FRAME = pd.DataFrame(ROWS, columns=list("abcd"))
TARGET = np.sin(5 * ROWS[:, 0]) - 2 * ROWS[:, 1] + 0.1 * RANDOM.normal(size=700)
TRAIN, REFERENCE, CALIBRATE, FRESH = slice(0, 200), slice(200, 300), slice(300, 450), slice(450, 700)
SETTINGS: dict[str, Any] = {"alpha": 0.1, "random_state": 0, "confidence": None}


def lightgbm(X: Any) -> Any:
    return lgb.LGBMRegressor(n_estimators=12, num_leaves=6, verbose=-1, n_jobs=1).fit(X[TRAIN], TARGET[TRAIN])


def xgboost(X: Any) -> Any:
    return xgb.XGBRegressor(n_estimators=12, max_depth=3, n_jobs=1).fit(X[TRAIN], TARGET[TRAIN])


MODEL = lightgbm(FRAME)


def mixed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(note="text", id=7.0)[["note", "b", "id", "d", "a", "c"]]


MIXED: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": mixed,
    "polars": lambda frame: pl.DataFrame(mixed(frame).to_dict("list")),
    "dask": lambda frame: dd.from_pandas(mixed(frame), npartitions=3),
}
every = pytest.mark.parametrize("kind", MIXED)
in_memory = pytest.mark.parametrize("kind", ["pandas", "polars"])


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    with dask.config.set(scheduler="sync"):
        yield


def calibrated(of: Callable[[pd.DataFrame], Any] = lambda frame: frame, rules: Any = None, **settings: Any) -> Any:
    aligned = AlignedRegressor(MODEL, rules or {"b": 1}, **SETTINGS | settings)
    return aligned.calibrate(of(FRAME[CALIBRATE]), X_reference=of(FRAME[REFERENCE]))


ALIGNED = calibrated()


@every
def test_what_is_delivered_and_certified(kind: str) -> None:
    of, rows = MIXED[kind], FRAME[FRESH]
    assert (ALIGNED.predict(rows) != MODEL.predict(rows)).any()
    assert np.array_equal(np.asarray(ALIGNED.predict(of(rows))), ALIGNED.predict(rows))
    assert np.array_equal(np.asarray(ALIGNED.predict_band(of(rows))), np.asarray(ALIGNED.predict_band(rows)))
    expected, certificate = (ALIGNED.certify(X) for X in (rows, of(rows)))
    assert certificate.delivered == expected.delivered
    assert certificate.before == expected.before
    found, right = (check(ALIGNED, X, {"b": 1}, X_reference=FRAME[REFERENCE], random_state=0) for X in (of(rows), rows))
    assert found.violations == right.violations
    assert right.violations.n_rejected > 0


@every
def test_what_calibrates(kind: str) -> None:
    of = MIXED[kind]
    again = calibrated(of)
    assert again.lambda_ == ALIGNED.lambda_ > 0
    for X in (FRAME[FRESH], of(FRAME[FRESH]), FRAME[FRESH][["d", "c", "b", "a"]]):
        assert np.array_equal(np.asarray(again.predict(X)), ALIGNED.predict(FRAME[FRESH]))


@every
def test_what_is_exported(kind: str) -> None:
    of, rules = MIXED[kind], {"b": 1, "a": -1}
    ordered, other = (calibrated(X, rules, projector="leaves", alpha=0) for X in (lambda frame: frame, of))
    rows = FRAME[FRESH]
    exported = other.export()
    assert np.array_equal(exported.predict(rows), ordered.export().predict(rows))
    assert np.array_equal(np.asarray(other.predict(of(rows))), exported.predict(rows))
    found = check(exported, of(rows), rules, X_reference=of(FRAME[REFERENCE]), random_state=0)
    assert found.violations.n_rejected == 0
    assert found.violations == check(exported, rows, rules, X_reference=FRAME[REFERENCE], random_state=0).violations


@every
def test_probabilities(kind: str) -> None:
    of, labels = MIXED[kind], (TARGET > -0.5).astype(int)
    model = HistGradientBoostingClassifier(max_iter=8).fit(FRAME[TRAIN], labels[TRAIN])
    ordered, other = (
        AlignedClassifier(model, {"b": 1}, **SETTINGS).calibrate(X(FRAME[CALIBRATE]), X_reference=X(FRAME[REFERENCE]))
        for X in (lambda frame: frame, of)
    )
    assert other.lambda_ == ordered.lambda_ > 0
    expected = ordered.predict_proba(FRAME[FRESH])
    assert np.array_equal(np.asarray(other.predict_proba(of(FRAME[FRESH]))), expected)
    assert ordered.certify(of(FRAME[FRESH])).delivered == ordered.certify(FRAME[FRESH]).delivered


@in_memory
def test_what_watches_searches_and_draws(kind: str) -> None:
    of, rows = MIXED[kind], FRAME[FRESH]
    monitors = [Monitor(ALIGNED, random_state=0).update(X) for X in (rows, of(rows))]
    assert str(monitors[0]) == str(monitors[1])
    bounds = [SequentialCertificate(ALIGNED, random_state=0).update(X).upper_bound for X in (rows, of(rows))]
    assert bounds[0] == bounds[1]
    found = [json.loads(search(ALIGNED, X, {"b": 1}, max_rows=400, random_state=0).to_json()) for X in (rows, of(rows))]
    assert found[0] == found[1]
    assert set(found[1]["witnesses"][0]["points"][0]) == set("abcd")
    widths = [ALIGNED.critical_half_widths(X, random_state=0) for X in (rows, of(rows))]
    assert np.array_equal(*widths)
    drawn = [line(ALIGNED, X, row=3).lines[0].get_ydata() for X in (rows, of(rows))]
    assert np.array_equal(*drawn)


@in_memory
def test_what_is_fitted_and_what_outcomes_calibrate(kind: str) -> None:
    of = MIXED[kind]
    fitted = AlignedRegressor(HistGradientBoostingRegressor(max_iter=8), {"b": 1}, **SETTINGS).fit(
        FRAME[:450], TARGET[:450]
    )
    assert np.array_equal(fitted.predict(of(FRAME[FRESH])), fitted.predict(FRAME[FRESH]))
    intervals = [
        calibrated().calibrate_outcome(X(FRAME[TRAIN]), TARGET[TRAIN]).predict_outcome_interval(X(FRAME[FRESH]))
        for X in (lambda frame: frame, of)
    ]
    assert np.array_equal(*map(np.asarray, intervals))


def test_files_of_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FRAME[FRESH].to_csv(tmp_path / "ordered.csv", index=False)
    mixed(FRAME[FRESH]).to_csv(tmp_path / "mixed.csv", index=False)
    for name, model in (("model", MODEL), ("aligned", ALIGNED)):
        joblib.dump(model, tmp_path / f"{name}.joblib")
        printed = []
        for file in ("ordered", "mixed"):
            main(["check", str(tmp_path / f"{name}.joblib"), str(tmp_path / f"{file}.csv"), "--increasing", "b"])
            printed.append(capsys.readouterr().out.replace(f"{file}.csv", "data.csv"))
        assert "queries are violations" in printed[0]
        assert printed[0] == printed[1]


# Models that know no names, and labels that are no text -----------------------------------------------------------------


def test_a_model_fitted_on_an_array_goes_by_the_order_of_calibration() -> None:
    model = lightgbm(ROWS)
    aligned = AlignedRegressor(model, {"b": 1}, **SETTINGS).calibrate(FRAME[CALIBRATE], X_reference=FRAME[REFERENCE])
    by_position = AlignedRegressor(model, {1: 1}, **SETTINGS).calibrate(ROWS[CALIBRATE], X_reference=ROWS[REFERENCE])
    assert aligned.lambda_ == by_position.lambda_ > 0
    expected = by_position.predict(ROWS[FRESH])
    for X in (FRAME[FRESH], mixed(FRAME[FRESH]), ROWS[FRESH]):
        assert np.array_equal(aligned.predict(X), expected)
    assert np.array_equal(by_position.predict(FRAME[FRESH]), expected)
    other = AlignedRegressor(model, {"b": 1}, **SETTINGS)
    other.calibrate(FRAME[CALIBRATE], X_reference=FRAME[REFERENCE][["d", "a", "b", "c"]])
    assert other.lambda_ == aligned.lambda_
    with pytest.raises(InputError, match="X has 6 features, but AlignedRegressor is expecting 4 features"):
        by_position.predict(mixed(FRAME[FRESH]))
    with pytest.raises(InputError, match="X has 6 features, but LGBMRegressor is expecting 4 features"):
        AlignedRegressor(model, {"b": 1}, **SETTINGS).calibrate(mixed(FRAME[CALIBRATE]))
    with pytest.raises(InputError, match="whose numbers contradict their positions"):
        by_position.predict(pd.DataFrame(ROWS[FRESH], columns=[1, 0, 2, 3]))


@pytest.mark.parametrize("labels", [[7, 0, 9, 1], [3, 1, 2, 0], [0, 1, 2, 3]], ids=str)
@pytest.mark.parametrize("fit", [lightgbm, xgboost])
def test_integers_that_are_labels_are_never_positions(labels: list[int], fit: Callable[[Any], Any]) -> None:
    frame = pd.DataFrame(ROWS, columns=labels)
    shuffled = frame[[labels[2], labels[0], labels[3], labels[1]]].assign(**{"88": 1.0}).rename(columns={"88": 88})
    model, falls = fit(frame), labels[1]
    by_label = AlignedRegressor(model, {falls: 1}, **SETTINGS).calibrate(frame[CALIBRATE], X_reference=frame[REFERENCE])
    by_position = AlignedRegressor(fit(ROWS), {1: 1}, **SETTINGS).calibrate(
        ROWS[CALIBRATE], X_reference=ROWS[REFERENCE]
    )
    assert by_label.lambda_ == by_position.lambda_ > 0
    again = AlignedRegressor(model, {falls: 1}, **SETTINGS)
    again.calibrate(shuffled[CALIBRATE], X_reference=shuffled[REFERENCE])
    assert again.lambda_ == by_label.lambda_
    expected = by_position.predict(ROWS[FRESH])
    for aligned in (by_label, again):
        for X in (frame, shuffled):
            assert np.array_equal(aligned.predict(X[FRESH]), expected)
    limit = Bounded(-1, where={falls: 0.5})
    found = [check(model, X[FRESH], limit, X_reference=X[REFERENCE]).violations for X in (frame, shuffled)]
    assert found[0] == found[1]
    no_label = 5
    for X in (frame, shuffled):
        for rule in ({no_label: 1}, Bounded(-1, where={no_label: 0.5})):
            with pytest.raises(InputError, match="feature 5 is not in X: X has columns"):
                check(model, X[FRESH], rule)
        with pytest.raises(InputError, match="feature -1 is not in X: X has columns"):
            check(model, X[FRESH], {-1: 1})


def test_labels_of_a_multi_index_are_found_in_any_order() -> None:
    pairs = pd.MultiIndex.from_tuples([("u", "a"), ("u", "b"), ("v", "a"), ("v", "b")])
    frame = pd.DataFrame(ROWS, columns=pairs)
    wide = frame.iloc[:, ::-1].copy()
    wide[("w", "x")] = 1.0
    model, rule = xgboost(frame), {("u", "b"): 1}
    ordered, other = (
        AlignedRegressor(model, rule, **SETTINGS).calibrate(X[CALIBRATE], X_reference=X[REFERENCE])
        for X in (frame, wide)
    )
    assert other.lambda_ == ordered.lambda_ > 0
    expected = ordered.predict(frame[FRESH])
    for aligned in (ordered, other):
        for X in (frame, wide):
            assert np.array_equal(aligned.predict(X[FRESH]), expected)
    assert ordered.certify(wide[FRESH]).delivered == ordered.certify(frame[FRESH]).delivered
    with pytest.raises(InputError, match=r"feature 'u' is not in X: X has columns \('u', 'a'\)"):
        check(model, frame[FRESH], {"u": 1})


def test_a_position_that_means_two_columns_is_refused() -> None:
    for X in (FRAME[FRESH][["b", "a", "c", "d"]], MIXED["polars"](FRAME[FRESH]).select("d", "b", "c", "a")):
        with pytest.raises(InputError, match="feature 0 is a position, and X has its columns in another order"):
            check(MODEL, X, {0: 1})
    with pytest.raises(InputError, match=r"X has other columns than at calibration \(missing \['a', 'b', 'c', 'd'\]"):
        ALIGNED.predict(pd.DataFrame(ROWS[FRESH]))
    with pytest.raises(InputError, match=r"missing \['b'\]"):
        ALIGNED.predict(mixed(FRAME[FRESH]).drop(columns="b"))
