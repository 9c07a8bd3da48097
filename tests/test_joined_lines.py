"""Exact lines of functions of several models' answers, against brute force over their own predictions."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRanker, XGBRegressor, XGBRFRegressor

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.kernels.weighted_median import weighted_medians
from alignconf.lines import joined_lines
from alignconf.lines.axis import Axis
from alignconf.lines.composition import read_lines
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.exact_lines import Move
from tests.brute_force import Probability, asked, assert_lines_are_predictions

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

RANDOM = np.random.default_rng(3)
FULL = pd.DataFrame(RANDOM.normal(size=(700, 4)).round(2), columns=["a", "b", "c", "d"])
Y = (FULL["a"] + np.sin(2 * FULL["b"]) + FULL["c"] * FULL["d"] + 0.5 * RANDOM.normal(size=700)).to_numpy()
BINARY, CLASSES = (Y > 0).astype(int), np.digitize(Y, [-0.8, 0.8])
#: One of the free features is missing now and then; scikit-learn's linear models and old trees take no such rows.
LACKING = FULL.assign(b=FULL["b"].where(RANDOM.random(700) > 0.15))
N_FIT = 500


def histogram(**parameters: Any) -> Any:
    return HistGradientBoostingRegressor(max_iter=8, random_state=0, **parameters)


def histogram_of_classes() -> Any:
    return HistGradientBoostingClassifier(max_iter=6, random_state=0)


def light(**parameters: Any) -> Any:
    return LGBMRegressor(n_estimators=8, n_jobs=1, verbose=-1, **parameters)


def extreme() -> Any:
    return XGBRegressor(n_estimators=8, n_jobs=1)


def forest() -> Any:
    return RandomForestRegressor(5, min_samples_leaf=10, random_state=0)


def scaled(model: Any) -> Any:
    return make_pipeline(SimpleImputer(), StandardScaler(), model)


BOTH = [("h", histogram()), ("l", light())]
#: Takes missing values; the model.
REGRESSORS: dict[str, tuple[bool, Callable[[], Any]]] = {
    "voting": (True, lambda: VotingRegressor([*BOTH, ("x", extreme()), ("f", forest())])),
    "voting, weights": (True, lambda: VotingRegressor([*BOTH, ("gone", "drop")], weights=[1, 3, 5])),
    "voting, single precision": (
        True,
        lambda: VotingRegressor([("x", extreme()), ("y", XGBRegressor(n_estimators=3))]),
    ),
    "voting, behind steps": (True, lambda: VotingRegressor([("s", scaled(histogram())), ("l", light())])),
    "voting, links": (True, lambda: VotingRegressor([("p", histogram(loss="poisson")), ("l", light())])),
    "bagging trees": (True, lambda: BaggingRegressor(DecisionTreeRegressor(max_depth=4), 12, random_state=0)),
    "bagging columns": (True, lambda: BaggingRegressor(histogram(), 4, max_features=0.75, random_state=0)),
    "bagging columns twice": (
        True,
        lambda: BaggingRegressor(scaled(histogram()), 4, max_features=3, bootstrap_features=True, random_state=0),
    ),
    "adaboost": (False, lambda: AdaBoostRegressor(DecisionTreeRegressor(max_depth=3), n_estimators=9, random_state=0)),
    "adaboost, boosters": (False, lambda: AdaBoostRegressor(histogram(), n_estimators=3, random_state=0)),
    "logarithm of the target": (
        True,
        lambda: TransformedTargetRegressor(histogram(), func=np.log, inverse_func=np.exp),
    ),
    "quantiles of the target": (
        True,
        lambda: TransformedTargetRegressor(light(), transformer=QuantileTransformer(n_quantiles=50)),
    ),
    "stacking": (False, lambda: StackingRegressor([*BOTH, ("x", extreme())], LinearRegression(), cv=3)),
    "stacking, link": (False, lambda: StackingRegressor(BOTH, PoissonRegressor(), cv=3)),
    "stacking, trees": (True, lambda: StackingRegressor(BOTH, DecisionTreeRegressor(max_depth=4), cv=3)),
    "voting within voting": (True, lambda: VotingRegressor([("v", VotingRegressor(BOTH)), ("f", forest())])),
    "search": (True, lambda: GridSearchCV(VotingRegressor(BOTH), {"weights": [[1, 2]]}, cv=2)),
    "union": (
        True,
        lambda: make_pipeline(
            make_union(
                SimpleImputer(), StandardScaler(), make_column_transformer(("passthrough", ["a"]), remainder="drop")
            ),
            histogram(),
        ),
    ),
    "random forest of XGBoost": (True, lambda: XGBRFRegressor(n_estimators=6, n_jobs=1)),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_lines_are_predictions_at_all_thresholds_and_beside_them(name: str) -> None:
    is_with_gaps, model = REGRESSORS[name][0], REGRESSORS[name][1]()
    rows, target = LACKING if is_with_gaps else FULL, Y - Y.min() + 0.1
    model.fit(rows[:N_FIT], target[:N_FIT])
    lines = read_lines(model, rows[:N_FIT])
    for feature in ("a", "c"):
        assert_lines_are_predictions(model, lines, rows[N_FIT : N_FIT + 8], feature)
    assert lines.rounding.absolute < 1e-3 * np.ptp(target)


@pytest.mark.parametrize(
    "ranker", [LGBMRanker(n_estimators=8, verbose=-1, n_jobs=1), XGBRanker(n_estimators=8, n_jobs=1)]
)
def test_rankers_are_sums_of_trees(ranker: Any) -> None:
    relevance, sizes = CLASSES[:N_FIT], [50] * 10
    ranker.fit(LACKING[:N_FIT], relevance, group=sizes)
    assert_lines_are_predictions(ranker, read_lines(ranker, LACKING), LACKING[N_FIT : N_FIT + 8], "a")


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "voting": lambda: VotingClassifier(
        [("h", histogram_of_classes()), ("f", RandomForestClassifier(4, min_samples_leaf=9, random_state=0))],
        voting="soft",
        weights=[1, 2],
    ),
    "bagging": lambda: BaggingClassifier(DecisionTreeClassifier(max_depth=3), 6, max_features=0.75, random_state=0),
    "bagging boosters": lambda: BaggingClassifier(histogram_of_classes(), 3, random_state=0),
    "adaboost": lambda: AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=7, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=6, random_state=0),
    "stacking": lambda: StackingClassifier(
        [("h", histogram_of_classes()), ("l", LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1))], cv=2
    ),
    "stacking scores": lambda: StackingClassifier(
        [("h", histogram_of_classes())], stack_method="decision_function", cv=2
    ),
    "sigmoid": lambda: CalibratedClassifierCV(histogram_of_classes(), cv=3),
    "sigmoid of probabilities": lambda: CalibratedClassifierCV(XGBClassifier(n_estimators=5, n_jobs=1), cv=2),
    "isotonic": lambda: CalibratedClassifierCV(
        LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1), method="isotonic", cv=2
    ),
    "all folds": lambda: CalibratedClassifierCV(
        make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=5, random_state=0)),
        cv=2,
        ensemble=False,
    ),
    "calibrated votes": lambda: CalibratedClassifierCV(
        AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=5, random_state=0), cv=2
    ),
    "against the rest": lambda: OneVsRestClassifier(histogram_of_classes()),
}


@pytest.mark.parametrize("target", [BINARY, CLASSES], ids=["two", "three"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_lines_are_probabilities_at_all_thresholds_and_beside_them(name: str, target: np.ndarray) -> None:
    model = CLASSIFIERS[name]().fit(FULL[:N_FIT], target[:N_FIT])
    for column in range(len(model.classes_)):
        lines = read_lines(model, FULL[:N_FIT], column=column)
        assert_lines_are_predictions(Probability(model, column), lines, FULL[N_FIT : N_FIT + 5], "a")


def test_the_exponential_loss_decides_by_half_the_log_odds() -> None:
    boosted = GradientBoostingClassifier(n_estimators=5, loss="exponential", random_state=0)
    model = CalibratedClassifierCV(boosted, cv=2).fit(FULL[:N_FIT], BINARY[:N_FIT])
    assert_lines_are_predictions(Probability(model, 1), read_lines(model, FULL), FULL[N_FIT : N_FIT + 5], "a")


@pytest.mark.parametrize("is_fitted", [True, False])
def test_a_threshold_of_its_own_does_not_hide_the_probabilities(is_fitted: bool) -> None:
    fitted = histogram_of_classes().fit(FULL[:N_FIT], BINARY[:N_FIT])
    model = FixedThresholdClassifier(FrozenEstimator(fitted), threshold=0.3)
    if is_fitted:
        model = TunedThresholdClassifierCV(FrozenEstimator(fitted)).fit(FULL[:N_FIT], BINARY[:N_FIT])
    assert_lines_are_predictions(Probability(model, 1), read_lines(model, FULL), FULL[N_FIT : N_FIT + 5], "a")


def test_a_member_of_a_bag_that_has_not_seen_a_class_gives_it_nothing() -> None:
    rare = np.where(np.arange(N_FIT) < 3, 2, BINARY[:N_FIT])
    # A Pipeline takes no weights of rows, so that bags are cut from the rows themselves.
    member = make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=3))
    model = BaggingClassifier(member, 12, max_samples=60, random_state=0)
    model.fit(FULL[:N_FIT], rare)
    assert len({len(member.classes_) for member in model.estimators_}) == 2
    assert_lines_are_predictions(Probability(model, 2), read_lines(model, FULL, column=2), FULL[N_FIT : N_FIT + 5], "a")


def test_weighted_medians_are_those_of_sorting() -> None:
    """With ties among values, and vectors that are and are not like the one before."""
    random = np.random.default_rng(0)
    values = np.concatenate(
        [random.normal(size=(9, 50)).round(1), random.integers(0, 3, (9, 50)).astype(float)], axis=1
    )
    weights, medians = random.uniform(0.1, 1.0, 9), np.empty(100)
    weighted_medians(values, weights, medians)
    order = np.argsort(values, axis=0)
    weight = np.cumsum(weights[order], axis=0)
    first = (weight >= 0.5 * weight[-1]).argmax(axis=0)
    np.testing.assert_array_equal(medians, np.take_along_axis(values, order, axis=0)[first, np.arange(100)])


@pytest.mark.parametrize("weight", [-2.0, 0.0, 3.0])
def test_a_union_with_weights_goes_the_way_of_their_signs(weight: float) -> None:
    union = FeatureUnion([("s", StandardScaler()), ("i", SimpleImputer())], transformer_weights={"s": weight})
    model = make_pipeline(union, histogram()).fit(FULL[:N_FIT], Y[:N_FIT])
    assert_lines_are_predictions(model, read_lines(model, FULL[:N_FIT]), FULL[N_FIT : N_FIT + 5], "a")


def test_sums_of_trees_that_compare_rows_alike_are_one_ensemble() -> None:
    def members(model: Any) -> tuple[Any, ...]:
        return read_lines(model.fit(FULL[:N_FIT], Y[:N_FIT]), FULL).members

    (merged,) = members(VotingRegressor([*BOTH]))
    assert isinstance(merged, Ensemble)
    assert merged.roots.size == 16
    # Single precision in one half, double in the other.
    assert len(members(VotingRegressor([*BOTH, ("x", extreme()), ("f", forest())]))) == 2
    assert len(members(BaggingRegressor(DecisionTreeRegressor(max_depth=3), 30, random_state=0))) == 1
    (calibrated,) = read_lines(
        CalibratedClassifierCV(histogram_of_classes(), cv=2, ensemble=False).fit(FULL[:N_FIT], BINARY[:N_FIT]), FULL
    ).members
    assert calibrated.members[0].link == "expit"


def test_answers_of_many_members_are_held_for_some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = VotingRegressor([("p", histogram(loss="poisson")), ("l", light())]).fit(FULL[:N_FIT], Y[:N_FIT] - Y.min())
    axis, other = Axis("a", 0, None), Axis("c", 2, None)
    lines, places = read_lines(model, FULL), np.linspace(-2, 2, 7)
    line, plane = lines.line(Move.along(axis, places)), lines.plane(Move.along(axis, places), Move.along(other, places))
    together = line.values(FULL), plane.values(FULL)
    monkeypatch.setattr(joined_lines, "MOST_ANSWERS", 2 * 7 * 7 * 30)
    np.testing.assert_array_equal(line.values(FULL), together[0])
    np.testing.assert_array_equal(plane.values(FULL), together[1])


ALIGNED = ("voting", "voting, single precision", "bagging columns twice", "adaboost", "quantiles of the target")


@pytest.mark.parametrize("name", ALIGNED)
def test_full_strength_violates_nothing_and_survives_pickle(name: str) -> None:
    table = LACKING if REGRESSORS[name][0] else FULL
    rows, fresh = table[:N_FIT], table[N_FIT:]
    model = REGRESSORS[name][1]().fit(rows, Y[:N_FIT])
    aligned = AlignedRegressor(model, {"a": -1}, alpha=0, random_state=0).calibrate(rows)
    assert aligned.calibration_.repair.startswith("exact")
    certificate = aligned.certify(fresh)
    assert certificate.by_construction
    assert certificate.full_strength.n_rejected == 0
    assert certificate.before.n_rejected > 0
    dense = asked(aligned, fresh.iloc[:20], "a", np.linspace(-3, 3, 1001))
    assert np.diff(dense, axis=1).max() <= 2 * read_lines(model, rows).rounding.of(dense).max()
    again = pickle.loads(pickle.dumps(aligned))
    np.testing.assert_array_equal(again.predict(fresh), aligned.predict(fresh))


def test_classifiers_are_aligned_exactly() -> None:
    for name in ("voting", "sigmoid", "adaboost"):
        model = CLASSIFIERS[name]().fit(FULL[:N_FIT], BINARY[:N_FIT])
        aligned = AlignedClassifier(model, {"a": -1}, pos_label=1, alpha=0, random_state=0).calibrate(FULL[:N_FIT])
        assert aligned.calibration_.repair.startswith("exact"), name
        certificate = aligned.certify(FULL[N_FIT:])
        assert certificate.full_strength.n_rejected == 0
        assert certificate.before.n_rejected > 0


UNREAD: dict[str, Callable[[], Any]] = {
    "of VotingRegressor's member 'v': SVR is no": lambda: VotingRegressor([*BOTH, ("v", SVR())]),
    "of BaggingRegressor's member 0: SVR is no": lambda: BaggingRegressor(SVR(), 2),
    "of StackingRegressor's member 'v': SVR is no": lambda: StackingRegressor([("v", SVR())], cv=2),
    "of TransformedTargetRegressor's member 'regressor': SVR": lambda: TransformedTargetRegressor(SVR()),
    "StackingRegressor hands the rows themselves to RandomForestRegressor": lambda: StackingRegressor(
        BOTH, forest(), cv=2, passthrough=True
    ),
    "of AdaBoostRegressor's member 0: SVR": lambda: AdaBoostRegressor(SVR(), n_estimators=2),
}


@pytest.mark.parametrize("sentence", UNREAD)
def test_a_member_that_cannot_be_read_is_named(sentence: str) -> None:
    model = UNREAD[sentence]().fit(FULL[:N_FIT], Y[:N_FIT])
    assert read_lines(model, FULL).startswith(sentence)
    aligned = AlignedRegressor(model, {"a": +1}, alpha=0.1, n_knots=5, random_state=0).calibrate(FULL[:N_FIT])
    assert aligned.calibration_.repair.startswith(f"at 5 knots, because {sentence}")


UNREAD_CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "VotingClassifier counts votes": lambda: VotingClassifier([("h", histogram_of_classes())]),
    "BaggingClassifier counts votes of LinearSVC": lambda: BaggingClassifier(LinearSVC(), 2),
    "AdaBoostClassifier counts votes of models that are no": lambda: AdaBoostClassifier(
        LogisticRegression(), n_estimators=2
    ),
    "BaggingClassifier decides by another function": lambda: CalibratedClassifierCV(
        BaggingClassifier(histogram_of_classes(), 2), cv=2
    ),
    "StackingClassifier stacks the labels of its member 'h'": lambda: StackingClassifier(
        [("h", histogram_of_classes())], stack_method="predict", cv=2
    ),
}


@pytest.mark.parametrize("sentence", UNREAD_CLASSIFIERS)
def test_a_classifier_that_cannot_be_read_says_why(sentence: str) -> None:
    model = UNREAD_CLASSIFIERS[sentence]().fit(FULL[:N_FIT], BINARY[:N_FIT])
    assert sentence in read_lines(model, FULL)


def test_rows_with_fewer_columns_are_refused_in_words() -> None:
    for model in (
        BaggingRegressor(histogram(), 2, random_state=0),
        BaggingRegressor(scaled(histogram()), 2, random_state=0),
        VotingRegressor([*BOTH]),
    ):
        model.fit(FULL[:N_FIT].to_numpy(), Y[:N_FIT])
        assert "has 4 columns, and rows have 3" in read_lines(model, FULL.to_numpy()[:, :3])
