"""Leaves as the projector: exact in all features together, native, at the cost of predict; and the paths towards them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from scipy.special import logit
from scipy.stats import binom
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.neighbors import KNeighborsRegressor
from xgboost import XGBClassifier, XGBRegressor

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.errors import InputError, PredictionError
from alignconf.lines.trees import read_ensemble
from alignconf.projectors.leaves.partial_order import broken_pair
from alignconf.properties import Concave

RULES: dict[Any, Any] = {0: 1, 1: -1, 2: 1, 3: -1}
DIRECTIONS = {0: 1, 1: -1, 2: 1, 3: -1}

REGRESSORS: dict[str, Callable[[], Any]] = {
    "HGB": lambda: HistGradientBoostingRegressor(max_iter=20, random_state=0),
    "XGBoost": lambda: XGBRegressor(n_estimators=20, max_depth=4, random_state=0),
    "LightGBM": lambda: LGBMRegressor(n_estimators=20, random_state=0, verbose=-1),
    "forest": lambda: RandomForestRegressor(10, random_state=0, n_jobs=2),
}
CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "HGB": lambda: HistGradientBoostingClassifier(max_iter=20, random_state=0),
    "XGBoost": lambda: XGBClassifier(n_estimators=20, max_depth=4, random_state=0),
    "LightGBM": lambda: LGBMClassifier(n_estimators=20, random_state=0, verbose=-1),
    "forest": lambda: RandomForestClassifier(10, min_samples_leaf=3, random_state=0, n_jobs=2),
}


def _rows(n_rows: int, seed: int) -> tuple[Any, Any]:
    """Return rows with missing values in every column, and a target that has the rules up to noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 6)).round(2)
    y = X[:, 0] - X[:, 1] + np.tanh(2 * X[:, 2]) - 0.5 * X[:, 3] + X[:, 4] * X[:, 5] + rng.normal(size=n_rows)
    X[rng.random(X.shape) < 0.1] = np.nan
    return X, y


X, Y = _rows(1600, 0)
TRAIN, CALIBRATE, FRESH = slice(0, 600), slice(600, 1000), slice(1000, 1600)
LABELS = (Y > 0).astype(int)


def _fitted(kind: str, name: str) -> Any:
    if kind == "regressor":
        return REGRESSORS[name]().fit(X[TRAIN], Y[TRAIN])
    return CLASSIFIERS[name]().fit(X[TRAIN], LABELS[TRAIN])


def _aligned(model: Any, rules: Any = RULES, **parameters: Any) -> Any:
    cls = AlignedClassifier if hasattr(model, "predict_proba") else AlignedRegressor
    parameters = {"alpha": 0, "random_state": 0, "confidence": None, **parameters}
    return cls(model, rules, **parameters).calibrate(X[CALIBRATE], X_reference=X[TRAIN])


def _values(model: Any, rows: Any) -> Any:
    return model.predict_proba(rows)[:, 1] if hasattr(model, "predict_proba") else model.predict(rows)


def _moved_up(rows: Any, rng: np.random.Generator) -> Any:
    """Return rows whose constrained features moved in the declared directions, to places of other rows; missing stay so."""
    moved = rows.copy()
    for feature, sign in DIRECTIONS.items():
        elsewhere = rng.permutation(rows[:, feature])
        further = np.fmax if sign == 1 else np.fmin
        moved[:, feature] = np.where(np.isnan(rows[:, feature]), np.nan, further(rows[:, feature], elsewhere))
    return moved


@pytest.mark.parametrize("name", REGRESSORS)
@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_no_joint_pair_is_violated_and_what_is_exported_is_what_is_delivered(kind: str, name: str) -> None:
    """In all features together, with missing values; the model itself violates many; the export is of the model's type."""
    model = _fitted(kind, name)
    aligned = _aligned(model)
    assert "exact, by the" in aligned.calibration_.repair
    rows = np.tile(X[FRESH], (4, 1))
    moved = _moved_up(rows, np.random.default_rng(1))
    assert (_values(model, moved) < _values(model, rows)).mean() > 0.02
    assert not (_values(aligned, moved) < _values(aligned, rows)).any()
    exported = aligned.export()
    assert type(exported) is type(model)
    np.testing.assert_array_equal(_values(exported, rows), _values(aligned, rows))
    assert broken_pair(read_ensemble(exported), DIRECTIONS) is None
    assert broken_pair(read_ensemble(model), DIRECTIONS) is not None
    certificate = aligned.certify(X[FRESH], Y[FRESH] if kind == "regressor" else LABELS[FRESH])
    assert "0.00%" in certificate.sentence


@pytest.mark.parametrize("name", REGRESSORS)
def test_one_row_is_answered_as_among_others(name: str) -> None:
    """Sums do not depend on the batch, so pairs across calls are in order too."""
    aligned = _aligned(_fitted("regressor", name))
    together = aligned.predict(X[FRESH][:100])
    alone = np.concatenate([aligned.predict(X[FRESH][i : i + 1]) for i in range(100)])
    np.testing.assert_array_equal(alone, together)


def test_rows_obey_the_rules_of_the_features_that_they_have() -> None:
    """A row without one constrained feature obeys the others."""
    aligned = _aligned(_fitted("regressor", "HGB"))
    rows = X[FRESH].copy()
    rows[:, 0] = np.nan
    moved = _moved_up(rows, np.random.default_rng(2))
    assert (aligned.predict(moved) > aligned.predict(rows)).mean() > 0.2
    assert not (aligned.predict(moved) < aligned.predict(rows)).any()


def test_an_invariant_feature_does_not_matter() -> None:
    """Leaves on both sides of a split on it share a value; what is present is not compared with what is missing."""
    model = _fitted("regressor", "LightGBM")
    aligned = _aligned(model, {0: 1, 4: "invariant"})
    rows = X[FRESH][~np.isnan(X[FRESH][:, 4])]
    moved = rows.copy()
    moved[:, 4] = np.random.default_rng(0).permutation(rows[:, 4])
    assert (model.predict(moved) != model.predict(rows)).mean() > 0.5
    np.testing.assert_array_equal(aligned.predict(moved), aligned.predict(rows))


def test_a_model_in_order_is_delivered_as_it_is() -> None:
    """The library's own constraint is proved tree by tree, and the model comes back bit for bit at every alpha."""
    constraint = [RULES.get(i, 0) for i in range(6)]
    model = HistGradientBoostingRegressor(max_iter=20, monotonic_cst=constraint, random_state=0).fit(X[TRAIN], Y[TRAIN])
    for parameters in ({"alpha": 0}, {"alpha": 0.2, "path": "leaves"}, {"alpha": 0.2}):
        aligned = _aligned(model, **parameters)
        assert "in the declared order already" in aligned.calibration_.repair
        np.testing.assert_array_equal(aligned.predict(X[FRESH]), model.predict(X[FRESH]))


def test_the_choice_is_told_with_its_reason() -> None:
    """Lines for one feature, leaves for several, and what serves models whose trees cannot be read."""
    model = _fitted("regressor", "HGB")
    assert "pieces of the model's own trees" in _aligned(model, {0: 1}).calibration_.repair
    assert "leaves" in _aligned(model, {0: 1, 1: -1}).calibration_.repair
    assert "knots" in _aligned(model, {0: 1, 1: -1}, projector="lines", n_knots=8).calibration_.repair
    mixed = _aligned(model, {0: 1, 1: -1, 2: Concave(2)}, n_knots=8).calibration_.repair
    assert "knots" in mixed
    many = _aligned(model, {**RULES, 4: Concave(4)}, n_knots=8).calibration_.repair
    assert "leaves" in many
    assert "then" in many
    filled = np.nan_to_num(X)
    neighbours = KNeighborsRegressor().fit(filled[TRAIN], Y[TRAIN])
    aligned = AlignedRegressor(neighbours, {0: 1, 1: -1}, alpha=0, n_knots=8).calibrate(filled[TRAIN])
    assert "its leaves cannot be fitted: KNeighborsRegressor is no tree ensemble" in aligned.calibration_.repair


@pytest.mark.parametrize("name", REGRESSORS)
@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_a_blend_is_one_model_in_order(kind: str, name: str) -> None:
    """Trees of the model and of a short constrained twin in one model; a forest has no twin, and its leaves serve alone."""
    model = _fitted(kind, name)
    aligned = _aligned(model, projector="blend")
    rows = np.tile(X[FRESH], (2, 1))
    assert not (_values(aligned, _moved_up(rows, np.random.default_rng(1))) < _values(aligned, rows)).any()
    exported = aligned.export()
    assert type(exported) is type(model)
    np.testing.assert_array_equal(_values(exported, rows), _values(aligned, rows))
    assert broken_pair(read_ensemble(exported), DIRECTIONS) is None
    assert ("not blended" if name == "forest" else "a quarter as many rounds") in aligned.calibration_.repair


def test_what_leaves_cannot_serve_is_refused_by_name() -> None:
    """Each refusal says what was given, what was expected, and what to do."""
    filled = np.nan_to_num(X)
    neighbours = KNeighborsRegressor().fit(filled[TRAIN], Y[TRAIN])
    with pytest.raises(
        InputError, match=r"projector='leaves' needs a model whose trees can be read.*KNeighborsRegressor"
    ):
        AlignedRegressor(neighbours, RULES, alpha=0, projector="leaves").calibrate(filled[TRAIN])
    model = _fitted("regressor", "HGB")
    with pytest.raises(InputError, match=r"projector='leaves' serves order and invariance, which .* is not"):
        _aligned(model, {0: Concave(0), 1: 1}, projector="leaves")
    with pytest.raises(
        InputError, match="projector must be one of 'auto', 'lines', 'leaves', 'blend', 'distilled' or an unfitted"
    ):
        _aligned(model, projector="leafs")
    with pytest.raises(
        InputError, match="path='leaves' needs a projection by the leaves of the model's own trees alone"
    ):
        _aligned(model, {0: 1}, alpha=0.2, path="leaves")
    with pytest.raises(InputError, match="path='leaves' is calibrated by loss='delivered', got loss='line'"):
        _aligned(model, alpha=0.2, path="leaves", loss="line")
    with pytest.raises(InputError, match=r"loss='line' asks for the smallest band .* leaves do not tell"):
        _aligned(model, alpha=0.2, loss="line")
    with pytest.raises(InputError, match="path='leaves' has no scale"):
        _aligned(model, alpha=0.2, path="leaves", ray=(1, 2))
    with pytest.raises(InputError, match="path must be one of"):
        _aligned(model, path="leaf")


def test_an_export_that_would_lose_something_is_refused_by_name() -> None:
    """A clipped answer, lines and chains are no model by themselves."""
    model = _fitted("regressor", "HGB")
    with pytest.raises(InputError, match="clipped to a band around the model; give alpha=0, or path='leaves'"):
        _aligned(model, alpha=0.2).export()
    with pytest.raises(InputError, match=r"made row by row .*pieces of the model's own trees"):
        _aligned(model, {0: 1}).export()
    with pytest.raises(InputError, match=r"made row by row .*then at"):
        _aligned(model, {**RULES, 4: Concave(4)}, n_knots=8).export()


@pytest.mark.parametrize("parameters", [{}, {"alpha": 0.08, "path": "leaves"}], ids=["full", "leaves"])
@pytest.mark.parametrize("name", REGRESSORS)
def test_a_refitted_model_is_refused_and_the_export_is_a_model_of_its_own(name: str, parameters: Any) -> None:
    """The delivered model does not change with the estimator, and is not delivered once the estimator has changed."""
    model = _fitted("regressor", name)
    aligned = _aligned(model, **parameters)
    before = aligned.predict(X[FRESH])
    exported = aligned.export()
    stored = pickle.loads(pickle.dumps(aligned))
    model.fit(X[TRAIN], 2 * Y[TRAIN])
    with pytest.raises(PredictionError, match="is not the model that was calibrated"):
        aligned.predict(X[FRESH])
    np.testing.assert_array_equal(exported.predict(X[FRESH]), before)
    np.testing.assert_array_equal(stored.predict(X[FRESH]), before)


@pytest.mark.parametrize("scale", ["probability", "logit"])
def test_probabilities_stay_probabilities_and_labels_are_those_of_the_delivered_model(scale: str) -> None:
    """Rows sum to one, nothing is outside the range of the trees, and either scale gives the same model."""
    model = _fitted("classifier", "forest")
    aligned = _aligned(model, scale=scale)
    p = aligned.predict_proba(X[FRESH])
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-12)
    assert p.min() >= 0
    assert p.max() <= 1
    np.testing.assert_array_equal(aligned.predict(X[FRESH]), aligned.export().predict(X[FRESH]))
    np.testing.assert_array_equal(p, _aligned(model).predict_proba(X[FRESH]))


@pytest.mark.parametrize("path", ["answer", "leaves"])
@pytest.mark.parametrize("name", REGRESSORS)
def test_the_loss_of_what_is_delivered_is_below_the_score(path: str, name: str) -> None:
    """For every query and half-width: whoever rejects the delivered values has a score above the half-width."""
    aligned = _aligned(_fitted("classifier", name), alpha=0.3, path=path)
    alignment, rows = aligned.alignment_, X[CALIBRATE]
    rows = rows[alignment.askable(rows)][:60]
    from alignconf.losses.critical_half_width import delivered
    from alignconf.queries.row_draws import RowDraws

    queries = alignment.tester.draw(rows, 5, RowDraws.of(rows, np.random.default_rng(0)))
    blank = alignment.__class__(**{**vars(alignment), "native": None})
    scores = blank.at_queries(rows, queries, delivered)
    finite = np.concatenate([part[(part > 0) & np.isfinite(part)] for part in scores])
    assert finite.size > 20
    n_rejected = 0
    for half_width in [0.0, *np.quantile(finite, [0.1, 0.3, 0.5, 0.7, 0.9]), float(finite.max())]:
        excess = blank.at_queries(rows, queries, lambda answers, h=half_width: answers.excess(answers.delivered(h)))
        for part_scores, part_excess in zip(scores, excess, strict=True):
            assert not ((part_excess > 0) & (part_scores <= half_width)).any()
            n_rejected += int((part_excess > 0).sum())
        # The score is attained: right below it the query is rejected.
        below = [np.where(part > 0, part * (1 - 1e-6) - 1e-12, 0.0) for part in scores]
    assert n_rejected > 50
    assert all((part >= 0).all() for part in below)


def test_the_path_of_leaves_delivers_an_ordinary_model_within_its_band() -> None:
    """At alpha between 0 and 1 the export is what is predicted, and the band holds it."""
    for kind, name in (("regressor", "HGB"), ("classifier", "XGBoost"), ("regressor", "forest")):
        model = _fitted(kind, name)
        aligned = _aligned(model, alpha=0.08, path="leaves")
        assert 0 < aligned.lambda_ < np.inf
        np.testing.assert_array_equal(_values(aligned.export(), X[FRESH]), _values(aligned, X[FRESH]))
        band, values = aligned.predict_band(X[FRESH]), _values(aligned, X[FRESH])
        assert ((band[:, 0] <= values) & (values <= band[:, 1])).all()
        moved = np.abs(logit(values) - logit(_values(model, X[FRESH]))) if kind == "classifier" else values
        assert moved.max() > 0


@pytest.mark.slow
@pytest.mark.parametrize("path", ["answer", "leaves"])
def test_the_violation_rate_is_at_most_alpha_and_not_far_below(path: str) -> None:
    """Conformal risk control, averaged over 400 calibrations of 60 rows; each side is false with probability 1e-4."""
    model = _fitted("regressor", "HGB")
    alpha, n_draws, rejected = 0.1, 400, 0
    rows, _ = _rows(n_draws * 61, 7)
    rows = np.nan_to_num(rows)
    for draw in range(n_draws):
        block = rows[draw * 61 : (draw + 1) * 61]
        aligned = AlignedRegressor(
            model, RULES, alpha=alpha, path=path, random_state=draw, confidence=None, n_queries=1
        )
        aligned.calibrate(block[:60], X_reference=X[TRAIN])
        certificate = aligned.certify(block[60:], n_queries=1)
        rejected += certificate.delivered.n_rejected
    low, high = binom.interval(1 - 2e-4, n_draws, alpha)
    assert low - n_draws / 61 <= rejected <= high


def test_gradient_boosting_with_a_learning_rate_is_written_too() -> None:
    """The scale of leaves is undone in order."""
    model = GradientBoostingRegressor(n_estimators=20, random_state=0).fit(np.nan_to_num(X[TRAIN]), Y[TRAIN])
    aligned = AlignedRegressor(model, RULES, alpha=0, random_state=0).calibrate(np.nan_to_num(X[TRAIN]))
    rows = np.nan_to_num(X[FRESH])
    moved = _moved_up(rows, np.random.default_rng(0))
    assert not (aligned.predict(moved) < aligned.predict(rows)).any()
    np.testing.assert_array_equal(aligned.export().predict(rows), aligned.predict(rows))
