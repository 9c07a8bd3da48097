"""All classes of a classifier together: rules hold for every class or for each class and higher, and probabilities stay such."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from alignconf import AlignedClassifier, AlignedRegressor, InputError, PredictionError, check
from alignconf.lines.classes_function import class_function
from alignconf.losses.critical_half_width import delivered as delivered_scores
from alignconf.properties import Increasing, Invariant, InvariantUnder, SlopeAtLeast
from alignconf.queries.excess import excess
from alignconf.queries.queries import place_queries_at

GRADES = ["low", "mid", "top", "best"]


class Waves:
    """A classifier with four classes whose probabilities wave, in alphabetical order as scikit-learn has them."""

    classes_ = np.array(sorted(GRADES))
    n_features_in_ = 3

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of each row."""
        x = np.asarray(X, dtype=np.float64)
        phase = np.arange(4.0)
        logits = np.sin(2 * x[:, [0]] + phase) + x[:, [2]] * np.cos(phase) + 0.4 * phase * x[:, [1]]
        p = np.exp(logits)
        return p / p.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def rows(n_samples: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    X = random.uniform(-1, 1, (n_samples, 3))
    X[:, 2] = random.integers(0, 2, n_samples)
    return X


def swapped(X: np.ndarray) -> np.ndarray:
    """The rows with the attribute exchanged."""
    return np.column_stack([X[:, :2], 1 - X[:, 2]])


def calibrated(properties: Any, classes: Any, **settings: Any) -> AlignedClassifier:
    settings = {"alpha": 0.1, "n_knots": 9, "random_state": 0, **settings}
    aligned = AlignedClassifier(Waves(), properties, classes=classes, **settings)
    return aligned.calibrate(rows(200, 1), X_reference=rows(80, 0))


def assert_probabilities(p: np.ndarray) -> None:
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", [Invariant(2), InvariantUnder([swapped])], ids=str)
def test_no_class_depends_on_an_attribute_and_each_gets_its_mean(rule: Any) -> None:
    X, aligned = rows(60, 2), calibrated([rule], "all", alpha=0)
    p = aligned.predict_proba(X)
    assert_probabilities(p)
    np.testing.assert_allclose(aligned.predict_proba(swapped(X)), p, rtol=0, atol=1e-12)
    model = Waves()
    weights = rows(80, 0)[:, 2].mean() if isinstance(rule, Invariant) else 0.5
    at = [np.column_stack([X[:, :2], np.full(60, place)]) for place in (0, 1)]
    mean = (1 - weights) * model.predict_proba(at[0]) + weights * model.predict_proba(at[1])
    np.testing.assert_allclose(p, mean, rtol=0, atol=1e-12)
    assert np.abs(model.predict_proba(X) - model.predict_proba(swapped(X))).max() > 0.2
    one = AlignedClassifier(Waves(), [rule], pos_label="low", alpha=0).calibrate(X).predict_proba
    assert np.abs(one(X) - one(swapped(X))).max() > 0.05, "one class at a time leaves the others moving"


def test_classes_move_in_proportion_so_that_probabilities_add_up() -> None:
    X, aligned = rows(300, 3), calibrated([Invariant(2)], "all")
    assert 0 < aligned.lambda_ < 0.5
    f, p = Waves().predict_proba(X), aligned.predict_proba(X)
    g = calibrated([Invariant(2)], "all", alpha=0).predict_proba(X)
    assert_probabilities(p)
    way = np.minimum(1, aligned.lambda_ / np.abs(g - f).max(axis=1))
    np.testing.assert_allclose(p, f + (g - f) * way[:, None], rtol=0, atol=1e-12)
    band = aligned.predict_band(X)
    assert band.shape == (300, 4, 2)
    assert ((band[..., 0] - 1e-12 <= p) & (p <= band[..., 1] + 1e-12)).all()
    assert ((band >= 0) & (band <= 1)).all()
    certificate = aligned.certify(X, Waves().predict(X))
    assert certificate.delivered.rate < 0.1
    assert certificate.full_strength.rate == 0
    assert certificate.error.measure == "log-loss"


@pytest.mark.parametrize("difficulty", [None, lambda X: 1 + X[:, 0] ** 2])
def test_a_row_fails_exactly_below_its_score(difficulty: Any) -> None:
    aligned, X = calibrated([Invariant(2)], "all", difficulty=difficulty), rows(40, 5)
    alignment = aligned.alignment_
    queries = place_queries_at(alignment.tester.parts, X, np.random.default_rng(0).uniform(size=(40, 1, 2)))
    (scores,) = alignment.at_queries(X, queries, delivered_scores)
    (part,) = queries.parts
    (sites,) = part.sites(X)
    f, g = alignment.predict(sites)
    for factor, fails in ((1 - 1e-6, True), (1 + 1e-6, False)):
        widths = np.repeat(scores[:, 0] * factor, 2)
        values = part.arrange([alignment.scale.deliver(sites, f, g, widths)])
        failed = excess(part, values, np.full(40, 1e-9))[:, 0] > 0
        assert (failed[scores[:, 0] > 1e-4] == fails).all()


def test_order_in_a_feature_is_first_order_dominance() -> None:
    aligned = calibrated([Increasing(0), Invariant(2)], GRADES, alpha=0)
    (law, *_) = aligned.alignment_.chain.laws
    X = np.repeat(rows(40, 3), law.knots.size, axis=0)
    X[:, 0] = np.tile(law.knots, 40)
    p = aligned.predict_proba(X)
    assert_probabilities(p)
    columns = [list(aligned.classes_).index(grade) for grade in GRADES]
    at_least = np.cumsum(p[:, columns[::-1]], axis=1)[:, ::-1].reshape(40, law.knots.size, 4)
    assert (np.diff(at_least, axis=1) >= -1e-12).all()
    np.testing.assert_allclose(aligned.predict_proba(swapped(X)), p, rtol=0, atol=1e-12)
    assert aligned._outputs is not None
    assert aligned._outputs.labels == (">= mid", ">= top", ">= best")


@pytest.mark.parametrize("rules", [[Increasing(0)], [SlopeAtLeast(0, -0.2)]], ids=str)
@pytest.mark.parametrize("alpha", [0, 0.4])
def test_ordered_classes_keep_probabilities_whatever_the_rule(rules: Any, alpha: float) -> None:
    X, aligned = rows(200, 4), calibrated(rules, GRADES, alpha=alpha, n_knots=30)
    p = aligned.predict_proba(X)
    assert_probabilities(p)
    still = (aligned.alignment_.predict(X)[0] == aligned.alignment_.predict(X)[1]).all(axis=1)
    assert (p[still] == Waves().predict_proba(X)[still]).all()


def test_two_ordered_classes_of_three_are_the_binary_case() -> None:
    class Three(Waves):
        classes_ = np.array([0, 1, 2])

        def predict_proba(self, X: Any) -> np.ndarray:
            p = super().predict_proba(X)
            return np.column_stack([p[:, 0] + p[:, 1], p[:, 2], p[:, 3]])

    class Regressor:
        def predict(self, X: Any) -> np.ndarray:
            return Three().predict_proba(X)[:, 1:].sum(axis=1)

    X = rows(50, 6)
    of_classes = AlignedClassifier(Three(), {0: 1}, classes=[0, 1, 2], alpha=0, n_knots=9).calibrate(X)
    alone = AlignedRegressor(Regressor(), {0: 1}, alpha=0, n_knots=9).calibrate(X)
    np.testing.assert_allclose(1 - of_classes.predict_proba(X)[:, 0], alone.predict(X), rtol=0, atol=1e-12)


def test_audits_and_fits() -> None:
    X = rows(400, 7)
    y = Waves().predict(X)
    audit = check(class_function(Waves(), classes="all"), X, [Invariant(2)], random_state=0)
    assert audit.violations.rate == 1
    assert audit.worst.output in GRADES
    aligned = AlignedClassifier(
        HistGradientBoostingClassifier(max_iter=5), {0: 1}, classes=GRADES, alpha=0.2, random_state=0
    )
    assert_probabilities(aligned.fit(X, y).predict_proba(X))
    assert set(aligned.predict(X)) <= set(GRADES)
    of_aligned = check(class_function(aligned, classes=GRADES), rows(200, 8), {0: 1}, random_state=0)
    assert of_aligned.violations.rate < 0.3


def test_bad_input_is_refused_in_a_sentence() -> None:
    class Heavy(Waves):
        def predict_proba(self, X: Any) -> np.ndarray:
            return 1.1 * super().predict_proba(X)

    X, unfitted = rows(150, 0), HistGradientBoostingClassifier()
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: AlignedClassifier(Heavy(), [Invariant(2)], classes="all").calibrate(X), PredictionError, "add up to 1.1"),
        (lambda: calibrated([Increasing(0)], "all"), InputError, r"Increasing\(0\) is declared of all classes, .* averages keep"),
        (lambda: calibrated([Invariant(2)], "all", projection="sup"), InputError, "projection='l2'"),
        (lambda: calibrated([Invariant(2)], "all", ray=(1, 2)), InputError, r"ray=\(1, 2\) moves outputs by themselves"),
        (lambda: calibrated([Increasing(0)], ["low", "top", "best"]), InputError, "list all classes from the lowest to"),
        (lambda: calibrated([Increasing(0)], GRADES, pos_label="low"), InputError, "leave pos_label and scale out, or classes"),
        (lambda: AlignedClassifier(unfitted, [Invariant(2)], classes="all").fit(X, X[:, 2]), InputError,
         "classes='all' reads the classes off a fitted classifier"),
        (lambda: AlignedClassifier(unfitted, {0: 1}, classes=[*GRADES, "worse"]).fit(X, Waves().predict(X)), InputError,
         "expected each of .* once"),
    ]  # fmt: skip
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()


def test_all_classes_are_checked_before_they_are_aligned() -> None:
    """What check counts of all classes is what they change by, one by one."""
    X, y = load_wine(return_X_y=True)
    forest = RandomForestClassifier(10, random_state=0).fit(X[::2], y[::2])
    audit = check(forest, X[1::2], {0: "invariant"}, classes="all", X_reference=X[::2], random_state=0)
    alone = [
        check(
            forest, X[1::2], {0: "invariant"}, pos_label=label, X_reference=X[::2], random_state=0
        ).violations.n_rejected
        for label in forest.classes_
    ]
    assert max(alone) <= audit.violations.n_rejected <= sum(alone)
    assert audit.violations.n_rejected > 0
