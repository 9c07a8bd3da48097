"""AlignedClassifier: one class behaves, the others keep their proportions, and probabilities stay probabilities."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import binomtest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from alignconf import AlignedClassifier, InputError, NotCalibratedError, PredictionError, check
from alignconf.lines.class_function import ClassFunction
from alignconf.properties import Increasing, Invariant

random = np.random.default_rng(0)
X = random.normal(size=(900, 3))
SCORE = X[:, 0] + np.sin(4 * X[:, 0]) + X[:, 1]
BINARY = (SCORE + random.logistic(size=900) > 0).astype(int)
THREE = np.array(["low", "mid", "high"])[np.digitize(SCORE + random.logistic(size=900), [-1, 1])]
TRAIN, CAL, NEW = slice(0, 400), slice(400, 650), slice(650, 900)


def forest(y: np.ndarray) -> RandomForestClassifier:
    return RandomForestClassifier(30, min_samples_leaf=3, random_state=0).fit(X[TRAIN], y[TRAIN])


@pytest.mark.parametrize("scale", ["probability", "logit"])
@pytest.mark.parametrize(("y", "label"), [(BINARY, None), (BINARY, 0), (THREE, "high"), (THREE, "mid")])
def test_probabilities_stay_probabilities_and_others_keep_their_proportions(y, label, scale) -> None:
    model = forest(y)
    direction = -1 if label == 0 else 1
    aligned = AlignedClassifier(
        model, {0: direction}, pos_label=label, scale=scale, alpha=0.05, random_state=0, confidence=None
    )
    aligned.calibrate(X[CAL], X_reference=X[TRAIN])
    own, p = model.predict_proba(X[NEW]), aligned.predict_proba(X[NEW])
    column = 1 if label is None else list(model.classes_).index(label)
    assert (p >= 0).all()
    assert (p <= 1).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
    moved = p[:, column] != own[:, column]
    assert moved.any()
    np.testing.assert_array_equal(p[~moved], own[~moved])
    others = [k for k in range(p.shape[1]) if k != column]
    shares = own[np.ix_(moved, others)]
    usable = shares.sum(axis=1) > 0
    np.testing.assert_allclose(
        (p[np.ix_(moved, others)] / p[np.ix_(moved, others)].sum(axis=1, keepdims=True))[usable],
        (shares / shares.sum(axis=1, keepdims=True))[usable],
    )
    interval = aligned.predict_band(X[NEW])
    assert ((interval[:, 0] <= p[:, column]) & (p[:, column] <= interval[:, 1])).all()
    np.testing.assert_array_equal(aligned.predict(X[NEW]), model.classes_[p.argmax(axis=1)])
    if scale == "probability":
        assert (np.abs(p[:, column] - own[:, column]) <= aligned.lambda_).all()


@pytest.mark.parametrize("alpha", [0.1, 0.05])
def test_the_promise_is_kept_for_the_class(alpha) -> None:
    """Binomial test against alpha plus two standard deviations of the calibration, level 1e-3; the seed is fixed."""
    big = np.random.default_rng(1).normal(size=(6000, 3))
    aligned = AlignedClassifier(forest(THREE), {0: 1}, pos_label="high", alpha=alpha, random_state=2, confidence=None)
    certificate = aligned.calibrate(big[:1500], X_reference=X[TRAIN]).certify(big[1500:])
    limit = alpha + 2 * np.sqrt(alpha * (1 - alpha) / 1500)
    assert binomtest(certificate.n_rejected, 4500, limit, alternative="greater").pvalue > 1e-3
    assert certificate.before.rate > alpha


def test_order_means_the_same_on_both_scales_at_full_strength() -> None:
    for scale in ("probability", "logit"):
        aligned = AlignedClassifier(forest(THREE), {0: 1}, pos_label="low", scale=scale, alpha=0)
        aligned.calibrate(X[CAL], X_reference=X[TRAIN])
        knots = aligned.alignment_.tester.laws[0].knots
        grid = np.repeat(X[NEW][:20], knots.size, axis=0)
        grid[:, 0] = np.tile(knots, 20)
        p = aligned.predict_proba(grid)[:, list(aligned.classes_).index("low")].reshape(20, -1)
        assert (np.diff(p, axis=1) >= -1e-12).all()


def test_the_certificate_reports_the_change_of_the_log_loss() -> None:
    model = forest(THREE)
    aligned = AlignedClassifier(model, {0: 1}, pos_label="high", alpha=0.05, random_state=0, confidence=None)
    error = aligned.calibrate(X[CAL], X_reference=X[TRAIN]).certify(X[NEW], THREE[NEW]).error
    assert error.measure == "log-loss"
    clipped = [np.clip(it.predict_proba(X[NEW]), np.finfo(float).eps, 1) for it in (model, aligned)]
    for found, p in zip((error.before, error.after), clipped, strict=True):
        picked = p[np.arange(250), [list(model.classes_).index(label) for label in THREE[NEW]]]
        assert found == pytest.approx(-np.log(picked).mean(), rel=1e-12)
    assert error.before == pytest.approx(log_loss(THREE[NEW], model.predict_proba(X[NEW])), rel=1e-3)


def test_a_member_comes_back_unchanged() -> None:
    model = LogisticRegression().fit(X[TRAIN], BINARY[TRAIN])
    sign = int(np.sign(model.coef_[0, 0]))
    for scale in ("probability", "logit"):
        aligned = AlignedClassifier(model, {0: sign}, scale=scale, random_state=0, confidence=None).calibrate(X[CAL])
        assert aligned.lambda_ == 0
        np.testing.assert_array_equal(aligned.predict_proba(X[NEW]), model.predict_proba(X[NEW]))


def test_a_protected_attribute_in_a_pipeline_does_not_matter() -> None:
    frame = pd.DataFrame(X, columns=list("abc")).assign(sex=np.where(random.random(900) < 0.5, "f", "m"))
    y = (SCORE + (frame.sex == "f") + random.logistic(size=900) > 0).map({True: "yes", False: "no"})
    encoder = make_column_transformer((OneHotEncoder(), ["sex"]), remainder="passthrough")
    model = make_pipeline(encoder, LogisticRegression()).fit(frame[TRAIN], y[TRAIN])
    rule = Invariant("sex", order=["f", "m"])
    aligned = AlignedClassifier(model, rule, pos_label="yes", alpha=0).calibrate(frame[CAL])
    swapped = frame[NEW].assign(sex=frame.sex[NEW].map({"f": "m", "m": "f"}))
    np.testing.assert_allclose(aligned.predict_proba(frame[NEW]), aligned.predict_proba(swapped), atol=1e-12)
    assert check(ClassFunction(model, 1, "probability"), frame[NEW], rule, random_state=0).violations.rate > 0.3


def test_fit_follows_the_contract_of_scikit_learn() -> None:
    X_iris, y_iris = load_iris(return_X_y=True, as_frame=True)
    aligned = AlignedClassifier(
        HistGradientBoostingClassifier(max_iter=20, random_state=0),
        {0: 1},
        pos_label=2,
        alpha=0.1,
        random_state=0,
        confidence=None,
    ).fit(X_iris, y_iris)
    assert aligned.score(X_iris, y_iris) > 0.9
    np.testing.assert_array_equal(aligned.classes_, [0, 1, 2])
    again = pickle.loads(pickle.dumps(aligned))
    np.testing.assert_array_equal(again.predict_proba(X_iris), aligned.predict_proba(X_iris))
    assert clone(aligned).get_params()["pos_label"] == 2
    frozen = AlignedClassifier(FrozenEstimator(forest(BINARY)), {0: 1}, random_state=0, confidence=None).fit(
        X[CAL], BINARY[CAL]
    )
    assert frozen.estimator_.estimator.n_estimators == 30


class Odd:
    """A classifier whose probabilities are given."""

    classes_ = np.array([0, 1])

    def __init__(self, answer) -> None:
        self.answer = answer

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return self.answer(X)


def test_all_mass_on_the_class_is_spread_evenly_when_it_is_taken_away() -> None:
    class Sure(Odd):
        classes_ = np.array(["a", "b", "c"])

    model = Sure(lambda X: np.column_stack([X[:, 0] < 0, X[:, 0] >= 0, np.zeros(len(X))]).astype(float))
    aligned = AlignedClassifier(model, {0: 1}, pos_label="a", alpha=0).calibrate(X[CAL])
    p = aligned.predict_proba(X[NEW])
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert np.ptp(p[:, 0]) < 1e-12


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"pos_label": 7}, InputError, r"pos_label 7 is not a class of the estimator; expected one of 0, 1"),
        (
            {"estimator": forest(THREE)},
            InputError,
            "Only binary classification is supported without pos_label.*name the one whose probability is meant",
        ),
        ({"scale": "odds"}, InputError, "scale must be one of 'probability', 'logit', got 'odds'"),
        ({"estimator": np.mean}, InputError, "must be a classifier with a predict_proba method"),
        ({"estimator": RandomForestClassifier()}, InputError, "must be a fitted classifier"),
        (
            {"estimator": Odd(lambda X: np.full((len(X), 2), np.nan))},
            PredictionError,
            r"outside \[0, 1\] or not finite",
        ),
        ({"estimator": Odd(lambda X: np.full((len(X), 2), 1.5))}, PredictionError, r"outside \[0, 1\] or not finite"),
        ({"estimator": Odd(lambda X: np.ones(len(X)))}, PredictionError, "predict_proba returned shape"),
    ],
)
def test_refusals_leave_the_object_as_it_was(parameters, error, message: str) -> None:
    aligned = AlignedClassifier(forest(BINARY), {0: 1}, random_state=0, confidence=None).set_params(**parameters)
    before = dict(vars(aligned))
    with pytest.raises(error, match=message):
        aligned.calibrate(X[CAL])
    assert vars(aligned) == before


def test_labels_that_the_model_does_not_know() -> None:
    aligned = AlignedClassifier(forest(THREE), {0: 1}, pos_label="high", random_state=0, confidence=None)
    with pytest.raises(NotCalibratedError, match="has no lambda_ yet"):
        aligned.predict_proba(X[NEW])
    aligned.calibrate(X[CAL])
    with pytest.raises(InputError, match="y has the label 'top', which the estimator does not know"):
        aligned.certify(X[NEW], np.full(250, "top"))
    with pytest.raises(InputError, match=r"y has shape \(3,\)"):
        aligned.certify(X[NEW], np.full(3, "low"))


def test_logit_is_the_log_odds() -> None:
    function = ClassFunction(forest(BINARY), 1, "logit")
    p = function.estimator.predict_proba(X[NEW])[:, 1]
    inside = (p > 0) & (p < 1)
    np.testing.assert_allclose(expit(function.predict(X[NEW]))[inside], p[inside])
    assert np.isfinite(function.predict(X[NEW])).all()


def test_increasing_in_two_features_for_one_of_three_classes() -> None:
    rules = [Increasing(0), Increasing(1)]
    aligned = AlignedClassifier(forest(THREE), rules, pos_label="high", alpha=0, n_knots=16)
    certificate = aligned.calibrate(X[CAL], X_reference=X[TRAIN]).certify(X[NEW])
    assert certificate.delivered.rate < certificate.before.rate / 5
