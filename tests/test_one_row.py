"""A row alone is asked in one call, and gets the bits that it gets among others, with every model that serves one."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRegressor
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBRegressor

from alignconf import AlignedClassifier, AlignedRegressor, NotCalibratedError, PredictionError
from alignconf.projectors.leaves.leaf_projector import WithLeaves
from alignconf.projectors.projector import FEW_ROWS

N_TRAIN, N_CALIBRATE, N_FRESH = 600, 300, 300
RANDOM = np.random.default_rng(11)
N_ROWS = N_TRAIN + N_CALIBRATE + N_FRESH
X = RANDOM.normal(size=(N_ROWS, 4))
Y = X[:, 0] + np.sin(2 * X[:, 1]) + X[:, 2] * X[:, 3] + RANDOM.normal(size=N_ROWS)
FRAME = pd.DataFrame(X, columns=list("abcd")).assign(
    kind=np.array(["red", "green", "blue"])[RANDOM.integers(3, size=N_ROWS)]
)
FRAME.loc[RANDOM.random(N_ROWS) < 0.1, "c"] = np.nan
FRESH = slice(N_TRAIN + N_CALIBRATE, N_ROWS)

MODELS: dict[str, Any] = {
    "histogram": HistGradientBoostingRegressor(max_iter=40, random_state=0),
    "lightgbm": LGBMRegressor(n_estimators=40, n_jobs=1, verbose=-1),
    "xgboost": XGBRegressor(n_estimators=40, n_jobs=1),
    "boosting": GradientBoostingRegressor(n_estimators=40, random_state=0),
    "forest": RandomForestRegressor(20, min_samples_leaf=5, random_state=0),
}


def on_columns(model: Any) -> Any:
    """A Pipeline with an imputer, a scaler and a one-hot encoder in front."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_pipeline(
        make_column_transformer((numbers, list("abcd")), (OneHotEncoder(sparse_output=False), ["kind"])), model
    )


#: How a model is handed rows: what it is wrapped in, and the rows.
WAYS: dict[str, tuple[Any, Any]] = {
    "array": (lambda model: model, X),
    "frame": (lambda model: model, FRAME.drop(columns="kind")),
    "scaled": (lambda model: make_pipeline(StandardScaler(), model), X),
    "columns": (on_columns, FRAME),
}


#: Every model in every way, with a few rows in the fast suite and many in the long runs.
every_model = pytest.mark.parametrize(("name", "way"), [(name, way) for name in MODELS for way in WAYS])
some_rows = pytest.mark.parametrize("n_rows", [20, pytest.param(N_FRESH, marks=pytest.mark.slow)])


def aligned_to(name: str, way: str, **given: Any) -> AlignedRegressor:
    wrap, rows = WAYS[way]
    fill = rows.fillna(0.0) if name in ("forest", "boosting") and way == "frame" else rows
    model = wrap(MODELS[name]).fit(fill[:N_TRAIN], Y[:N_TRAIN])
    features = ("a", "b") if isinstance(rows, pd.DataFrame) else (0, 1)
    rules = dict.fromkeys(features[: given.pop("n_rules", 1)], 1)
    aligned = AlignedRegressor(model, rules, random_state=0, **given)
    return aligned.calibrate(fill[N_TRAIN : N_TRAIN + N_CALIBRATE], X_reference=fill[:N_TRAIN])


def fresh_rows(name: str, way: str) -> Any:
    rows = WAYS[way][1][FRESH]
    return rows.fillna(0.0) if name in ("forest", "boosting") and way == "frame" else rows


def assert_alike_alone(aligned: Any, rows: Any) -> None:
    """Bit for bit, alone and in calls of two sizes below and above what is asked in one call."""
    together = aligned.predict(rows)
    for n_together in (1, FEW_ROWS, FEW_ROWS + 1):
        parts = [aligned.predict(rows[i : i + n_together]) for i in range(0, len(rows), n_together)]
        assert np.concatenate(parts).tobytes() == together.tobytes()


@every_model
@some_rows
@pytest.mark.parametrize("alpha", [0, 0.1])
def test_lines_of_rows_alone_and_together(name: str, way: str, alpha: float, n_rows: int) -> None:
    aligned = aligned_to(name, way, alpha=alpha)
    assert_alike_alone(aligned, fresh_rows(name, way)[:n_rows])


@every_model
@some_rows
def test_leaves_of_rows_alone_and_together_where_answers_are_clipped(name: str, way: str, n_rows: int) -> None:
    aligned = aligned_to(name, way, alpha=0.1, n_rules=2, projector="leaves")
    rows = fresh_rows(name, way)[:n_rows]
    assert_alike_alone(aligned, rows)
    f = aligned.estimator_.predict(rows)
    assert (aligned.predict(rows) != f).any()
    (projector,) = aligned.alignment_.chain.stages
    assert isinstance(projector, WithLeaves)
    assert projector.walked_from is not None
    again = pickle.loads(pickle.dumps(aligned))
    assert_alike_alone(again, rows)
    assert again.predict(rows).tobytes() == aligned.predict(rows).tobytes()


def test_classes_are_asked_as_before() -> None:
    model = HistGradientBoostingClassifier(max_iter=30).fit(X[:N_TRAIN], Y[:N_TRAIN] > 0)
    aligned = AlignedClassifier(model, {0: 1, 1: 1}, alpha=0.1, random_state=0, projector="leaves")
    aligned.calibrate(X[N_TRAIN : N_TRAIN + N_CALIBRATE])
    rows = X[FRESH]
    parts = [aligned.predict_proba(rows[i : i + 1]) for i in range(len(rows))]
    assert np.concatenate(parts).tobytes() == aligned.predict_proba(rows).tobytes()


class Counting(BaseEstimator):
    """A model that counts its calls and the rows of each, and works entry by entry."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def predict(self, rows: Any) -> np.ndarray:
        self.calls.append(len(rows))
        table = np.asarray(rows, dtype=float)
        return np.abs(table[:, 0]) + table[:, 1] * table[:, 2]


def test_a_black_box_is_asked_once_about_a_row_and_its_knots() -> None:
    """One call about the row, its 16 knots, and the 8 remembered rows that show whether it is the calibrated model."""
    model = Counting()
    aligned = AlignedRegressor(model, {0: 1}, n_knots=16, alpha=0.1, random_state=0)
    aligned.calibrate(X[:N_CALIBRATE])
    assert_alike_alone(aligned, X[FRESH])
    model.calls.clear()
    aligned.predict(X[:1])
    n_knots = aligned.alignment_.chain.laws[0].knots.size
    assert model.calls == [8 + 1 + n_knots]
    row = X[:1].copy()
    row[0, 0] = aligned.alignment_.chain.laws[0].knots[3]
    whole = aligned.predict(np.repeat(row, 2 * FEW_ROWS, axis=0))
    assert aligned.predict(row)[0] == whole[0]


def test_rows_without_the_feature_keep_what_the_model_says() -> None:
    aligned = aligned_to("histogram", "frame", alpha=0)
    row = FRAME.drop(columns="kind").iloc[FRESH][:1].assign(a=np.nan)
    assert aligned.predict(row).tobytes() == aligned.estimator_.predict(row).tobytes()


@pytest.mark.parametrize("given", [{}, {"n_rules": 2, "projector": "leaves"}], ids=["lines", "leaves"])
def test_another_fit_is_refused_for_a_single_row(given: dict[str, Any]) -> None:
    aligned = aligned_to("xgboost", "scaled", alpha=0.1, **given)
    aligned.predict(X[:1])
    aligned.estimator_[-1].fit(X[:N_TRAIN], -Y[:N_TRAIN])
    with pytest.raises(PredictionError, match="has changed since"):
        aligned.predict(X[:1])


# ---------------------------------------------------------------------------------------------------------------------
# Ready to serve
# ---------------------------------------------------------------------------------------------------------------------
READY = [("lines", {}), ("leaves", {"n_rules": 2, "projector": "leaves"}), ("exported", {"alpha": 0, "n_rules": 2})]


@pytest.mark.parametrize(("what", "given"), READY, ids=[what for what, _ in READY])
@pytest.mark.parametrize("way", ["array", "columns"])
def test_a_prepared_copy_predicts_the_same(what: str, given: dict[str, Any], way: str) -> None:
    aligned = aligned_to("lightgbm", way, **{"alpha": 0.1, **given})
    rows = WAYS[way][1][FRESH][:5]
    copy = pickle.loads(pickle.dumps(aligned))
    assert copy.prepare() is copy
    if what == "leaves":
        assert "_one_pass" in vars(copy.alignment_.chain.stages[0])
        assert "_one_pass" not in vars(pickle.loads(pickle.dumps(copy)).alignment_.chain.stages[0])
    assert copy.predict(rows).tobytes() == aligned.predict(rows).tobytes()


def test_what_cannot_be_prepared_is_refused() -> None:
    with pytest.raises(NotCalibratedError, match="has no lambda_ yet"):
        AlignedRegressor(MODELS["boosting"], {0: 1}).prepare()
    aligned = aligned_to("boosting", "array", alpha=0.1)
    aligned.estimator_.fit(X[:N_TRAIN], -Y[:N_TRAIN])
    with pytest.raises(PredictionError, match="has changed since"):
        aligned.prepare()


@pytest.mark.parametrize("labels", [False, True])
def test_groups_and_classes_are_prepared(labels: bool) -> None:
    """Labels of groups are not known beforehand, and are not needed."""
    model = HistGradientBoostingClassifier(max_iter=10).fit(X[:N_TRAIN], Y[:N_TRAIN] > 0)
    aligned = AlignedClassifier(model, {0: 1}, alpha=0.3, confidence=None, random_state=0)
    calibrating = X[N_TRAIN : N_TRAIN + N_CALIBRATE]
    groups = np.arange(N_CALIBRATE) % 2 if labels else None
    aligned.calibrate(calibrating, groups=groups, X_reference=X[:N_TRAIN]).prepare()
