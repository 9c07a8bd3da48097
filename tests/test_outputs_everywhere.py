"""Models with several outputs at every door: partitions, streams, the gate and the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from alignconf import (
    OUTPUTS,
    AlignedClassifier,
    AlignedRegressor,
    InputError,
    Monitor,
    NotShown,
    SequentialCertificate,
    check,
)
from alignconf.command import main
from alignconf.properties import Decreasing, Increasing, Invariant, NonCrossing
from alignconf.testing import assert_property

LEVELS = [0.1, 0.5, 0.9]


def rows(n_samples: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame(random.uniform(-1, 1, (n_samples, 3)), columns=list("abc"))
    return table.assign(y=np.sin(4 * table.a) + table.b + random.normal(0, 0.5, n_samples))


def features(table: pd.DataFrame) -> pd.DataFrame:
    return table[list("abc")]


@pytest.fixture(scope="module")
def models() -> dict[float, Any]:
    train = rows(300, 0)
    return {
        level: HistGradientBoostingRegressor(loss="quantile", quantile=level, max_iter=12, random_state=0).fit(
            features(train), train.y
        )
        for level in LEVELS
    }


@pytest.fixture(scope="module")
def aligned(models: dict[float, Any]) -> AlignedRegressor:
    estimator = AlignedRegressor(models, [NonCrossing(), Increasing("a")], alpha=0.2, random_state=0)
    return estimator.calibrate(features(rows(150, 1)), X_reference=features(rows(300, 0)))


def test_partitions_get_the_same_numbers(models: dict[float, Any], aligned: AlignedRegressor) -> None:
    table, reference = features(rows(150, 1)), features(rows(300, 0))
    spread = AlignedRegressor(models, [NonCrossing(), Increasing("a")], alpha=0.2, random_state=0)
    spread.calibrate(dd.from_pandas(table, npartitions=3), X_reference=reference)
    assert spread.lambda_ == aligned.lambda_
    fresh = features(rows(60, 2))
    planned = dd.from_pandas(fresh, npartitions=2)
    predicted = aligned.predict(planned).compute()
    assert list(predicted.columns) == ["0.1", "0.5", "0.9"]
    assert (predicted.to_numpy() == aligned.predict(fresh)).all()
    band = aligned.predict_band(planned).compute()
    assert band.columns[:2].tolist() == ["lower 0.1", "upper 0.1"]
    assert (band.to_numpy() == aligned.predict_band(fresh).reshape(60, -1)).all()
    assert aligned.certify(planned).delivered == aligned.certify(fresh).delivered
    audits = [check(models, X, [NonCrossing()], random_state=0, X_reference=reference) for X in (fresh, planned)]
    assert audits[0].violations == audits[1].violations


def test_classes_in_partitions() -> None:
    table = rows(300, 0)
    kinds = np.digitize(table.y, [-0.5, 0.5])
    model = HistGradientBoostingClassifier(max_iter=8, random_state=0).fit(features(table), kinds)
    every = AlignedClassifier(model, {"b": 1}, classes=[0, 1, 2], alpha=0.2, random_state=0)
    every.calibrate(features(rows(150, 1)), X_reference=features(table))
    fresh = features(rows(50, 2))
    planned = dd.from_pandas(fresh, npartitions=2)
    assert (every.predict_proba(planned).compute().to_numpy() == every.predict_proba(fresh)).all()
    assert every.predict_band(planned).compute().columns[0] == "lower >= 1"


def test_streams_are_watched_row_by_row(aligned: AlignedRegressor) -> None:
    quiet = Monitor(aligned).update(features(rows(200, 3))).update(features(rows(200, 4)))
    assert quiet.n_rows == 400
    assert not quiet.alarm
    assert 0 < quiet.rate.n_violated / quiet.rate.n_rows < 0.3
    certificate = SequentialCertificate(aligned).update(features(rows(300, 5)))
    assert certificate.n_rows == 300
    assert certificate.rate <= 0.3


def test_the_gate_lets_pass_what_is_aligned(models: dict[float, Any]) -> None:
    fresh = features(rows(200, 6))
    with pytest.raises(NotShown, match="increasing in 'a'"):
        assert_property(models, fresh, {"a": 1})
    full = AlignedRegressor(models, [NonCrossing(), Increasing("a")], alpha=0).calibrate(features(rows(300, 0)))
    assert assert_property(full, fresh, [NonCrossing(), Increasing("a")]).violations.n_rejected == 0
    table = rows(300, 0)
    model = HistGradientBoostingClassifier(max_iter=8).fit(features(table), np.digitize(table.y, [-0.5, 0.5]))
    with pytest.raises(NotShown):
        assert_property(model, fresh, [Invariant("a")], classes="all")
    with pytest.raises(InputError, match=r"classes=.* is for classifiers"):
        assert_property(models[0.5], fresh, {"a": 1}, classes="all")


def test_the_command_line_checks_and_aligns(
    models: dict[float, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    joblib.dump(models, "quantiles.joblib")
    for name, seed in (("reference", 0), ("rows", 1), ("fresh", 2)):
        rows(200, seed).to_csv(f"{name}.csv", index=False)
    common = ["--target", "y", "--reference-data", "reference.csv"]
    code = main(["check", "quantiles.joblib", "rows.csv", "--increasing", "a", "--non-crossing", "--json", *common])
    told = json.loads(capsys.readouterr().out)
    assert code == 1
    assert told["audit"]["property"] == "increasing in 'a' and outputs in increasing order"
    assert told["audit"]["worst"]["output"] in LEVELS
    assert main(["check", "quantiles.joblib", "rows.csv", "--decreasing", "OUTPUTS", *common]) == 1
    align = [
        "align",
        "quantiles.joblib",
        "rows.csv",
        "--non-crossing",
        "--increasing",
        "a",
        "--alpha",
        "0.2",
        "-o",
        "out.joblib",
    ]
    assert main([*align, "--certify-data", "fresh.csv", *common]) == 0
    assert "pinball" in capsys.readouterr().out
    stored = joblib.load("out.joblib")
    assert stored.predict(features(rows(10, 3))).shape == (10, 3)
    assert main(["check", "out.joblib", "fresh.csv", "--non-crossing", *common, "--max-rate", "0.3"]) == 0


def test_the_command_line_knows_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = rows(300, 0)
    kinds = np.array(["low", "mid", "top"])[np.digitize(table.y, [-0.5, 0.5])]
    joblib.dump(HistGradientBoostingClassifier(max_iter=8).fit(features(table), kinds), "grades.joblib")
    features(rows(200, 1)).to_csv("rows.csv", index=False)
    assert main(["check", "grades.joblib", "rows.csv", "--invariant", "a", "--classes", "all"]) == 1
    order = ["--increasing", "b", "--classes", "low,mid,top", "--alpha", "0.2", "-o", "out.joblib"]
    assert main(["align", "grades.joblib", "rows.csv", *order]) == 0
    assert "the probability of each class or higher" in capsys.readouterr().out
    np.testing.assert_allclose(joblib.load("out.joblib").predict_proba(features(rows(9, 2))).sum(axis=1), 1)
    assert main(["check", "grades.joblib", "rows.csv", "--increasing", "b", "--classes", "low,best"]) == 2


def test_one_multi_quantile_model_of_xgboost() -> None:
    xgboost = pytest.importorskip("xgboost", reason="the model under test is one of XGBoost")
    table = rows(400, 0)
    model = xgboost.XGBRegressor(objective="reg:quantileerror", quantile_alpha=LEVELS, n_estimators=30, max_depth=4)
    model.fit(features(table), table.y)
    fresh = features(rows(300, 1))
    assert (np.diff(model.predict(fresh), axis=1) < 0).any()
    aligned = AlignedRegressor(model, [NonCrossing(), Increasing("a")], outputs=LEVELS, alpha=0).calibrate(fresh)
    assert (np.diff(aligned.predict(fresh), axis=1) >= 0).all()
    assert aligned.certify(features(rows(300, 2))).full_strength.rate <= 0.02


def test_survival_curves_of_one_classifier_for_each_time() -> None:
    table = rows(400, 0)
    times = [1.0, 2.0, 4.0]
    lived = np.exp(table.y)
    classifiers = [
        HistGradientBoostingClassifier(max_iter=10, random_state=0).fit(features(table), lived > time) for time in times
    ]

    class Curves:
        def predict(self, X: Any) -> np.ndarray:
            return np.column_stack([classifier.predict_proba(X)[:, 1] for classifier in classifiers])

    fresh = features(rows(300, 1))
    assert (np.diff(Curves().predict(fresh), axis=1) > 0).any()
    aligned = AlignedRegressor(Curves(), [Decreasing(OUTPUTS), Increasing("b")], outputs=times, alpha=0).calibrate(
        fresh
    )
    curves = aligned.predict(fresh)
    assert (np.diff(curves, axis=1) <= 0).all()
    assert ((curves >= 0) & (curves <= 1)).all()


def test_seeds_are_as_large_as_those_of_64_bits() -> None:
    table = features(rows(80, 0))
    for seed in (2**31, 2**63):
        check(lambda X: np.asarray(X)[:, 0], table, {"a": 1}, random_state=seed)
    with pytest.raises(InputError, match="random_state must be at most"):
        check(lambda X: np.asarray(X)[:, 0], table, {"a": 1}, random_state=2**64)
