"""Several models in the declared order, and which of them reference rows choose, with labels and without."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from scipy.special import logit
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold
from xgboost import XGBClassifier, XGBRegressor

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.errors import InputError
from alignconf.lines.class_function import ClassFunction
from alignconf.lines.fitted_model import FittedModel
from alignconf.lines.native.constrained_twin import constrained_twin
from alignconf.lines.native_leaves import readable_trees
from alignconf.lines.trees import trees_of
from alignconf.projectors.leaves.candidates import (
    Candidate,
    ConstrainedTwins,
    LeavesWithRounds,
    RefittedLeaves,
)
from alignconf.projectors.leaves.choice import fit_in_order, nearest
from alignconf.projectors.leaves.cross_validation import mean_deviances
from alignconf.projectors.leaves.joint_fit import mean_and_slope
from alignconf.projectors.leaves.labels import Labels, deviance
from alignconf.projectors.leaves.partial_order import LeafOrder, broken_pair
from alignconf.projectors.leaves.problem import FittingProblem, margins_of

DIRECTIONS = {0: 1, 1: -1, 2: 1}

MODELS: dict[str, Any] = {
    "HGB": HistGradientBoostingRegressor(max_iter=15, random_state=0),
    "HGB, classes": HistGradientBoostingClassifier(max_iter=15, random_state=0),
    "HGB, poisson": HistGradientBoostingRegressor(max_iter=15, loss="poisson", random_state=0),
    "XGBoost": XGBRegressor(n_estimators=15, max_depth=4, n_jobs=1),
    "XGBoost, classes": XGBClassifier(n_estimators=15, max_depth=4, n_jobs=1),
    "LightGBM": LGBMRegressor(n_estimators=15, n_jobs=1, verbose=-1),
    "LightGBM, classes": LGBMClassifier(n_estimators=15, n_jobs=1, verbose=-1),
    "forest, classes": RandomForestClassifier(8, min_samples_leaf=3, random_state=0),
}
CANDIDATES: list[Candidate] = [
    RefittedLeaves(),
    RefittedLeaves(share=0.3, with_copies=True),
    LeavesWithRounds(weight=0.75),
    LeavesWithRounds(share=1.0),
    ConstrainedTwins(),
    ConstrainedTwins(with_copies=True),
]


def rows_and_labels(n_rows: int = 700, seed: int = 0, *, missing: bool = True) -> tuple[Any, Any]:
    """Return rows, and numbers that have the rules up to noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 5)).round(2)
    y = X[:, 0] - X[:, 1] + np.tanh(X[:, 2]) + np.sin(2 * X[:, 3]) + rng.normal(size=n_rows)
    if missing:
        X[rng.random(X.shape) < 0.08] = np.nan
    return X, y


def labels_of(name: str, y: Any) -> Any:
    if "classes" in name:
        return (y > 0).astype(int)
    return np.random.default_rng(0).poisson(np.exp(y / 3)).astype(float) if "poisson" in name else y


def function_of(model: Any, column: int = 1) -> Any:
    is_classifier = hasattr(model, "predict_proba")
    return ClassFunction(model, column, "probability") if is_classifier else FittedModel.of(model)


@cache
def problem_of(name: str, column: int = 1) -> FittingProblem:
    X, y = rows_and_labels()
    labels = labels_of(name, y)
    function = function_of(MODELS[name].fit(X, labels), column)
    ensemble = trees_of(function)
    assert not isinstance(ensemble, str)
    numbers = labels == column if "classes" in name else labels
    return FittingProblem(function, LeafOrder.of(ensemble, DIRECTIONS), DIRECTIONS, X, y=numbers.astype(float))


def moved_up(rows: Any, rng: np.random.Generator) -> Any:
    """Return rows whose constrained features moved in the declared directions; missing stay so."""
    moved = rows.copy()
    for feature, sign in DIRECTIONS.items():
        further = np.fmax if sign == 1 else np.fmin
        elsewhere = rng.permutation(rows[:, feature])
        moved[:, feature] = np.where(np.isnan(rows[:, feature]), np.nan, further(rows[:, feature], elsewhere))
    return moved


@pytest.mark.parametrize("name", MODELS)
def test_every_candidate_is_an_ordinary_model_in_the_declared_order(name: str) -> None:
    """No inequality and none of 20,000 joint pairs is broken, and the written model has the candidate's margins."""
    problem = problem_of(name)
    X, _ = rows_and_labels(20_000, 1)
    higher = moved_up(X, np.random.default_rng(2))
    link = problem.ensemble.link
    for candidate in CANDIDATES:
        fitted = candidate.fitted(problem)
        if name == "forest, classes" and not isinstance(candidate, RefittedLeaves):
            assert "has no twin" in str(fitted)
            continue
        assert not isinstance(fitted, str)
        function = fitted.written()
        assert type(function.estimator) is type(problem.function.estimator)
        ensemble = trees_of(function)
        assert not isinstance(ensemble, str)
        assert broken_pair(ensemble, DIRECTIONS) is None
        low, high = function.predict(X), function.predict(higher)
        assert not (high < low).any()
        assert (high > low).mean() > 0.2
        expected, _ = mean_and_slope(link, fitted.margins(X))
        tolerance = 1e-5 if "XGBoost" in name else 1e-11
        np.testing.assert_allclose(low, expected, rtol=tolerance, atol=tolerance)
        assert (fitted.leaf_values is None) == (not isinstance(candidate, RefittedLeaves))


def test_the_first_of_two_classes_has_the_candidates_of_the_second_the_other_way_round() -> None:
    for name in ("HGB, classes", "XGBoost, classes", "LightGBM, classes"):
        problem = problem_of(name, 0)
        for candidate in (ConstrainedTwins(), LeavesWithRounds(weight=0.75)):
            fitted = candidate.fitted(problem)
            assert not isinstance(fitted, str)
            function = fitted.written()
            ensemble = trees_of(function)
            assert not isinstance(ensemble, str)
            assert broken_pair(ensemble, DIRECTIONS) is None
            apart = logit(function.predict(problem.rows)) - fitted.margins(problem.rows)
            np.testing.assert_allclose(apart, 0, atol=1e-4 if "XGBoost" in name else 1e-11)


@pytest.mark.parametrize("name", ["HGB, classes", "XGBoost", "HGB, poisson"])
def test_rounds_are_fitted_to_what_leaves_do_not_say(name: str) -> None:
    """The sum is the leaves' margins, weighted, and those of a short twin that is fitted here to the difference."""
    problem = problem_of(name)
    leaves = RefittedLeaves().fitted(problem)
    twin = constrained_twin(problem.function.estimator, DIRECTIONS)
    assert not isinstance(twin, str)
    assert problem.y is not None
    mean, slope = mean_and_slope(problem.ensemble.link, problem.margins)
    steps = (problem.y - mean) / np.maximum(slope, 1e-3 * slope.max())
    for weight, share in ((0.75, 0.0), (1.0, 0.3)):
        said = weight * leaves.margins(problem.rows)
        targets = problem.margins + share * steps - said
        expected = said + twin.shortened().fitted(problem.rows, targets, slope).predict(problem.rows)
        candidate = LeavesWithRounds(weight, share).fitted(problem)
        assert not isinstance(candidate, str)
        ensemble = readable_trees(candidate.written().estimator)
        n_trees = problem.ensemble.roots.size
        assert ensemble.roots.size == n_trees + -(-n_trees // 4)
        tolerance = 1e-5 if name == "XGBoost" else 1e-12
        np.testing.assert_allclose(candidate.margins(problem.rows), expected, rtol=0, atol=tolerance)
        np.testing.assert_allclose(margins_of(ensemble, problem.rows), expected, rtol=0, atol=tolerance)
    assert "has no twin" in str(LeavesWithRounds().fitted(problem_of("forest, classes")))


def test_rounds_bring_leaves_nearer_to_the_model() -> None:
    """With all of the leaves and nothing from labels, fewer squared errors to the model at the rows themselves."""
    for name in ("HGB", "XGBoost", "LightGBM"):
        problem = problem_of(name)
        errors = []
        for candidate in (RefittedLeaves(), LeavesWithRounds()):
            fitted = candidate.fitted(problem)
            assert not isinstance(fitted, str)
            errors.append(np.mean((fitted.margins(problem.rows) - problem.margins) ** 2))
        assert errors[1] < 0.9 * errors[0]


def test_deviances_are_those_of_closed_forms() -> None:
    """Log-loss of probabilities, Poisson's deviance up to what depends on labels alone, squared error; least at the labels."""
    margins, y = np.array([-2.0, 0.1, 3.0]), np.array([0.0, 1.0, 1.0])
    p = 1 / (1 + np.exp(-margins))
    np.testing.assert_allclose(deviance("expit", margins, y), -np.log(np.where(y == 1, p, 1 - p)))
    counts = np.array([1.0, 4.0, 2.0])
    np.testing.assert_allclose(deviance("exp", margins, counts), np.exp(margins) - counts * margins)
    np.testing.assert_allclose(deviance("identity", margins, counts), (counts - margins) ** 2)


@pytest.mark.parametrize("name", ["HGB", "HGB, classes", "XGBoost, classes", "LightGBM"])
def test_without_labels_the_nearest_at_held_out_rows_is_taken(name: str) -> None:
    """Distances are computed again here, by predictions alone."""
    problem = problem_of(name)
    rows = np.random.default_rng(0).permutation(problem.rows)
    problem = FittingProblem(problem.function, problem.order, DIRECTIONS, rows)
    candidates = [CANDIDATES[0], CANDIDATES[2], *CANDIDATES[4:]]
    taken, figures = nearest(problem, candidates)
    n_held_out = len(rows) // 4
    part = problem.at(np.arange(n_held_out, len(rows)))
    margins = margins_of(problem.ensemble, rows[:n_held_out])
    _, slope = mean_and_slope(problem.ensemble.link, margins)
    distances = []
    for candidate in candidates:
        fitted = candidate.fitted(part)
        assert not isinstance(fitted, str)
        apart = fitted.margins(rows[:n_held_out]) - margins
        distances.append(float(np.sqrt((slope * apart**2).sum() / slope.sum())))
    assert taken == candidates[int(np.argmin(distances))]
    assert f"; {min(distances):.3g} from the model's margins" in figures


@pytest.mark.parametrize("name", ["HGB, classes", "XGBoost", "HGB, poisson"])
def test_with_labels_the_smallest_deviance_with_the_model_trained_again_is_taken(name: str) -> None:
    """Deviances are computed again here, by models trained in each fold and functions written for each candidate."""
    problem = problem_of(name)
    _, y = rows_and_labels()
    labels = Labels(labels_of(name, y))
    candidates = CANDIDATES[:3]
    deviances = mean_deviances(problem, candidates, problem.rows, labels)
    assert not isinstance(deviances, str)
    assert problem.y is not None
    total = np.zeros(len(candidates))
    for train, test in KFold(3, shuffle=True, random_state=0).split(problem.rows):
        function = function_of(
            type(MODELS[name])(**MODELS[name].get_params()).fit(problem.rows[train], labels.y[train])
        )
        ensemble = trees_of(function)
        assert not isinstance(ensemble, str)
        order = LeafOrder.of(ensemble, DIRECTIONS)
        fold = FittingProblem(function, order, DIRECTIONS, problem.rows[train], y=problem.y[train])
        for k, candidate in enumerate(candidates):
            fitted = candidate.fitted(fold)
            assert not isinstance(fitted, str)
            mean = fitted.written().predict(problem.rows[test])
            margins = {"expit": logit, "exp": np.log, "identity": np.copy}[problem.ensemble.link](mean)
            total[k] += deviance(problem.ensemble.link, margins, problem.y[test]).sum()
    np.testing.assert_allclose(deviances, total / len(y), rtol=1e-5)


def test_labels_help_where_the_model_learned_its_rows_by_heart() -> None:
    """A boosting of deep trees on few noisy rows: labels of its own training rows lower the mean fresh error of five draws."""
    errors = np.empty((5, 2))
    for seed in range(5):
        X, y = rows_and_labels(300, seed + 10, missing=False)
        X_fresh, y_fresh = rows_and_labels(2_000, seed + 100, missing=False)
        model = XGBRegressor(n_estimators=60, max_depth=8, learning_rate=0.3, n_jobs=1).fit(X, y)
        rules: dict[Any, Any] = {0: 1, 1: -1, 2: 1}
        for k, labels in enumerate((None, y)):
            aligned = AlignedRegressor(model, rules, alpha=0, projector="leaves")
            aligned.calibrate(X, X_reference=X, y_reference=labels)
            errors[seed, k] = np.mean((aligned.predict(X_fresh) - y_fresh) ** 2)
    without, with_labels = np.log(errors).mean(axis=0)
    assert with_labels < without


@pytest.mark.parametrize("name", ["HGB, classes", "XGBoost", "LightGBM"])
@pytest.mark.parametrize("labelled", [False, True])
def test_the_same_bits_again_and_the_model_and_labels_stay(name: str, labelled: bool) -> None:
    problem = problem_of(name)
    _, y = rows_and_labels()
    labels = Labels(labels_of(name, y)) if labelled else None
    before = problem.function.predict(problem.rows)
    first, again = (
        fit_in_order(problem.function, problem.ensemble, DIRECTIONS, problem.rows, labels) for _ in range(2)
    )
    assert first.summary == again.summary
    np.testing.assert_array_equal(first.function.predict(problem.rows), again.function.predict(problem.rows))
    np.testing.assert_array_equal(problem.function.predict(problem.rows), before)
    assert ("cross-validated deviance" in first.summary) == labelled


def test_rounds_are_added_where_asked_for_and_labels_choose_how() -> None:
    problem = problem_of("HGB")
    _, y = rows_and_labels()
    for labels, said in ((None, "times 0.75, and a quarter as many rounds"), (Labels(y), "of 3 candidates the least")):
        in_order = fit_in_order(problem.function, problem.ensemble, DIRECTIONS, problem.rows, labels, is_blended=True)
        assert said in in_order.summary
        assert in_order.ensemble.roots.size == 19
        assert in_order.leaf_values is None
    forest = problem_of("forest, classes")
    alone = fit_in_order(forest.function, forest.ensemble, DIRECTIONS, forest.rows, is_blended=True)
    assert "not blended: RandomForestClassifier has no twin" in alone.summary
    assert alone.leaf_values is not None


def test_only_leaves_change_where_a_path_leads_leaf_by_leaf() -> None:
    problem = problem_of("HGB, classes")
    _, y = rows_and_labels()
    for labels in (None, Labels((y > 0).astype(int))):
        in_order = fit_in_order(problem.function, problem.ensemble, DIRECTIONS, problem.rows, labels, keeps_trees=True)
        assert in_order.leaf_values is not None
        np.testing.assert_array_equal(in_order.ensemble.nodes["split"], problem.ensemble.nodes["split"])


REASONS: list[tuple[Any, str]] = [
    (
        HistGradientBoostingRegressor(max_iter=5, loss="quantile", quantile=0.8),
        "labels are left aside: .* not about means",
    ),
    (XGBRegressor(n_estimators=5, objective="reg:pseudohubererror"), "labels are left aside: .* not about means"),
    (LGBMRegressor(n_estimators=5, objective="huber", verbose=-1), "labels are left aside: .* not about means"),
    (RandomForestRegressor(3, criterion="absolute_error", max_depth=3), "labels are left aside: .* not about means"),
    (XGBClassifier(n_estimators=5, scale_pos_weight=9), "labels are left aside: .* has scale_pos_weight"),
    (HistGradientBoostingClassifier(max_iter=5, class_weight="balanced"), "labels are left aside: .* has class_weight"),
]


@pytest.mark.parametrize(("model", "reason"), REASONS)
def test_labels_that_say_nothing_about_a_model_are_left_aside(model: Any, reason: str) -> None:
    X, y = rows_and_labels(200)
    X = np.nan_to_num(X)
    labels = (y > 0).astype(int) if hasattr(model, "predict_proba") else y
    function = function_of(model.fit(X, labels))
    ensemble = trees_of(function)
    assert not isinstance(ensemble, str)
    with_labels = fit_in_order(function, ensemble, DIRECTIONS, X, Labels(labels))
    without = fit_in_order(function, ensemble, DIRECTIONS, X)
    assert re.search(reason, with_labels.summary)
    np.testing.assert_array_equal(with_labels.function.predict(X), without.function.predict(X))


def test_models_that_cannot_be_trained_again_are_compared_by_distance() -> None:
    X, y = rows_and_labels(300)
    stopped = XGBRegressor(n_estimators=40, early_stopping_rounds=3, n_jobs=1).fit(
        X, y, eval_set=[(X, y)], verbose=False
    )
    plain = XGBRegressor(n_estimators=10, n_jobs=1).fit(X, y)
    for model, labels, reason in (
        (stopped, Labels(y), "XGBRegressor stopped early by rows that only its user has"),
        (plain.get_booster(), Labels(y), "Booster does not tell how it was trained"),
        (plain, Labels(y, arguments=("base_margin",)), "fit was given base_margin"),
    ):
        function = FittedModel.of(model)
        ensemble = trees_of(function)
        assert not isinstance(ensemble, str)
        summary = fit_in_order(function, ensemble, DIRECTIONS, X, labels).summary
        assert f"not compared by labels: {reason}" in summary
    few = fit_in_order(FittedModel.of(plain), readable_trees(plain), DIRECTIONS, X[:20], Labels(y[:20])).summary
    assert "20 reference rows are too few" in few
    assert "targets moved 0.3 of a Newton step" in few


def test_rows_of_weight_zero_do_not_count() -> None:
    X, y = rows_and_labels(400)
    model = HistGradientBoostingRegressor(max_iter=10, random_state=0).fit(X, y)
    weight = np.ones(400)
    weight[::3] = 0
    function, ensemble = FittedModel.of(model), readable_trees(model)
    wrong = np.where(weight == 0, 1e6, y)
    results = [
        fit_in_order(function, ensemble, DIRECTIONS, X, Labels(labels, weight)).function.predict(X)
        for labels in (y, wrong)
    ]
    np.testing.assert_array_equal(*results)


def test_fit_hands_the_labels_of_the_rows_that_train_over() -> None:
    X, y = rows_and_labels(600)
    rules: dict[Any, Any] = {0: 1, 1: -1, 2: 1}
    frozen = HistGradientBoostingRegressor(max_iter=10, random_state=0).fit(X, y)
    fitted = AlignedRegressor(
        HistGradientBoostingRegressor(max_iter=10, random_state=0), rules, alpha=0, projector="leaves"
    ).fit(X, y)
    assert "cross-validated deviance" in fitted.calibration_.repair
    given = AlignedRegressor(FrozenEstimator(frozen), rules, alpha=0, projector="leaves")
    given.calibrate(X, X_reference=X, y_reference=y)
    np.testing.assert_array_equal(given.predict(X), fitted.predict(X))
    classes = np.where(y > 0, "yes", "no")
    classifier = AlignedClassifier(
        HistGradientBoostingClassifier(max_iter=10, random_state=0), rules, alpha=0, projector="leaves"
    ).fit(X, classes)
    assert "cross-validated deviance" in classifier.calibration_.repair


def test_labels_of_reference_rows_are_checked_before_any_work() -> None:
    X, y = rows_and_labels(200)
    regressor = HistGradientBoostingRegressor(max_iter=3).fit(X, y)
    classifier = HistGradientBoostingClassifier(max_iter=3).fit(X, np.where(y > 0, "yes", "no"))
    rules: dict[Any, Any] = {0: 1, 1: -1}
    aligned = AlignedRegressor(regressor, rules, alpha=0)
    of_classes = AlignedClassifier(classifier, rules, alpha=0)
    with pytest.raises(InputError, match="y_reference has the labels of X_reference, which is not given"):
        aligned.calibrate(X, y_reference=y)
    with pytest.raises(InputError, match=r"y_reference has shape \(199,\); expected one label for each row"):
        aligned.calibrate(X, X_reference=X, y_reference=y[1:])
    with pytest.raises(InputError, match="y_reference is nan in row 3; expected finite numbers"):
        aligned.calibrate(X, X_reference=X, y_reference=np.where(np.arange(200) == 3, np.nan, y))
    with pytest.raises(InputError, match="y_reference must be numbers"):
        aligned.calibrate(X, X_reference=X, y_reference=np.where(y > 0, "yes", "no"))
    unknown = np.where(np.arange(200) == 7, "maybe", "yes")
    with pytest.raises(
        InputError, match=r"the label 'maybe' in row 7, which the estimator does not know; expected one of"
    ):
        of_classes.calibrate(X, X_reference=X, y_reference=unknown)
    assert not hasattr(aligned, "calibration_")
