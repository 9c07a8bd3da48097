"""An aligned estimator keeps scikit-learn's conventions: its own checks, routing of metadata, copies, searches, notebooks."""

from __future__ import annotations

import pickle
import warnings
from html import unescape
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.datasets import make_regression
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_sample_weight_equivalence_on_dense_data, parametrize_with_checks
from sklearn.utils.validation import check_is_fitted
from skops import io as skops_io

from alignconf import AlignedClassifier, AlignedRegressor, CalibrationError, InputError
from alignconf.errors import InputTypeError, RepeatedRowsWarning
from alignconf.estimators.conventions import ConventionalEstimator
from alignconf.properties import DiminishingReturns, Invariant

X, Y = make_regression(400, 4, noise=30.0, random_state=0)
LABELS = np.where(np.abs(Y) < 40, "mid", np.where(Y > 0, "high", "low"))
WEIGHTS = np.random.default_rng(0).integers(0, 4, Y.size).astype(float)

# The checks that scikit-learn has for estimators ----------------------------------------------------------------------

#: A check of scikit-learn's sets ``alpha`` to 0.01 and gives 200 rows: too few for a promise with confidence, which is refused.
FULL = (
    AlignedRegressor(Ridge(), {0: -1}, alpha=0, random_state=0, confidence=None),
    AlignedClassifier(LogisticRegression(), {0: 1}, alpha=0, random_state=0),
)
CALIBRATED = (
    AlignedRegressor(Ridge(), {0: 1}, alpha=0.4, random_state=0, confidence=None),
    AlignedClassifier(LogisticRegression(), {0: 1}, alpha=0.4, random_state=0, confidence=None),
)
REPEATED = "check_sample_weight_equivalence_on_dense_data"


def not_expected(estimator: Any) -> dict[str, str]:
    """Return the one check that is not passed, with the reason: where rows are held out, and by a version of the check itself."""
    if estimator.alpha > 0:
        return {REPEATED: "a random part of the rows does not train, so that a row repeated is not a row of weight two"}
    if isinstance(estimator, AlignedClassifier) and sklearn.__version__.startswith("1.6."):
        return {
            REPEATED: "scikit-learn 1.6 makes two classes of three by the first label, after it has shuffled one table only"
        }
    return {}


@parametrize_with_checks([*FULL, *CALIBRATED], expected_failed_checks=not_expected)
def test_scikit_learn_finds_nothing(estimator: Any, check: Any) -> None:
    check(estimator)


#: Estimators whose lines are repaired, at full strength, where a row of weight two is a row repeated.
REPAIRED = (
    AlignedRegressor(Ridge(), {0: 1}, alpha=0),
    AlignedRegressor(Ridge(), {0: -1}, alpha=0),
    AlignedRegressor(Ridge(), Invariant(0), alpha=0),
    AlignedRegressor(Ridge(), {0: 1, 1: -1}, alpha=0),
    AlignedRegressor(Ridge(), {0: 1}, alpha=0, n_knots=5, query_law="path"),
    AlignedRegressor(HistGradientBoostingRegressor(min_samples_leaf=1, max_iter=5), {0: -1}, alpha=0),
    AlignedRegressor(DecisionTreeRegressor(random_state=0), {0: 1}, alpha=0),
    AlignedClassifier(LogisticRegression(), {0: -1}, alpha=0),
)


@pytest.mark.parametrize("estimator", REPAIRED, ids=repr)
def test_a_row_of_weight_two_is_a_row_repeated_where_lines_are_repaired(estimator: Any) -> None:
    is_old = sklearn.__version__.startswith("1.6.")
    if is_old and isinstance(estimator, AlignedClassifier):
        pytest.skip(
            "scikit-learn 1.6 makes two classes of three by the first label, after it has shuffled one table only"
        )
    if is_old and isinstance(estimator.estimator, HistGradientBoostingRegressor):
        # Its bins know no weights, so the model itself does not pass, and nothing that wraps it can.
        with pytest.raises(AssertionError, match="is not equivalent to fitting with removed or repeated"):
            check_sample_weight_equivalence_on_dense_data("HistGradientBoostingRegressor", estimator.estimator)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RepeatedRowsWarning)
        check_sample_weight_equivalence_on_dense_data(type(estimator).__name__, estimator)


@pytest.mark.parametrize("properties", [{0: 1}, Invariant(0), DiminishingReturns(0, 1)], ids=repr)
def test_weights_are_counts_in_the_reference_law(properties: Any) -> None:
    """Rows of whole weights, rows of weight 0 among them, against rows repeated: the same law to the last bit."""

    class Wave(RegressorMixin, BaseEstimator):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Wave:  # noqa: ARG002
            return self

        def predict(self, X: Any) -> Any:
            return np.sin(3 * X[:, 0]) * X[:, 1]

        def __sklearn_is_fitted__(self) -> bool:
            return True

    aligned = AlignedRegressor(Wave(), properties, alpha=0, n_knots=9)
    weighted = clone(aligned).fit(X, Y, sample_weight=WEIGHTS)
    repeated = clone(aligned).fit(np.repeat(X, WEIGHTS.astype(int), axis=0), np.repeat(Y, WEIGHTS.astype(int)))
    for one, other in zip(weighted.alignment_.tester.laws, repeated.alignment_.tester.laws, strict=True):
        for name in ("places", "counts", "knots", "weights"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert not np.array_equal(one.weights, clone(aligned).fit(X, Y).alignment_.tester.laws[0].weights)
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))


@pytest.mark.parametrize("worst", [-1.0, np.nan, np.inf])
def test_weights_that_count_nothing_are_refused(worst: float) -> None:
    weights = WEIGHTS.copy()
    weights[7] = worst
    with pytest.raises(InputError, match=r"sample_weight is .* in row 7; expected finite numbers of at least 0"):
        AlignedRegressor(Ridge(), {0: 1}, alpha=0).fit(X, Y, sample_weight=weights)


@pytest.mark.parametrize("estimator", [*FULL, *CALIBRATED], ids=repr)
def test_names_of_columns_are_kept_and_compared(estimator: Any) -> None:
    names = [f"column {i}" for i in range(4)]
    frame = pd.DataFrame(X, columns=names)
    fitted = clone(estimator).fit(frame, Y > 0 if isinstance(estimator, AlignedClassifier) else Y)
    assert fitted.feature_names_in_.tolist() == names
    assert fitted.feature_names_in_.dtype == object
    for other, words in [
        (frame[names[:3]], r"missing \['column 3'\]"),
        (frame.rename(columns={names[0]: "other"}), r"not seen before \['other'\]"),
    ]:
        with pytest.raises(InputError, match=words):
            fitted.predict(other)
    assert np.array_equal(fitted.predict(frame[names[::-1]].assign(other=1.0)), fitted.predict(frame))


def test_tags_are_those_of_the_wrapped_estimator() -> None:
    boosted = get_tags(AlignedRegressor(HistGradientBoostingRegressor(), {0: 1}, confidence=None))
    linear = get_tags(AlignedRegressor(Ridge(), {0: 1}, confidence=None))
    assert (boosted.input_tags.allow_nan, linear.input_tags.allow_nan) == (True, False)
    assert (boosted.input_tags.categorical, linear.input_tags.categorical) == (
        get_tags(HistGradientBoostingRegressor()).input_tags.categorical,
        False,
    )
    assert linear.estimator_type == "regressor"
    assert get_tags(AlignedClassifier(LogisticRegression(), {0: 1}, confidence=None)).estimator_type == "classifier"
    assert not get_tags(AlignedRegressor(KNeighborsRegressor(), {0: 1}, confidence=None)).input_tags.sparse
    assert get_tags(Ridge()).target_tags.multi_output
    assert not linear.target_tags.multi_output
    assert not get_tags(AlignedClassifier(LogisticRegression(), {0: 1}, confidence=None)).classifier_tags.multi_class
    assert get_tags(
        AlignedClassifier(LogisticRegression(), {0: 1}, pos_label="a", confidence=None)
    ).classifier_tags.multi_class


@pytest.mark.parametrize("estimator", [None, object(), Ridge], ids=["none", "object", "class"])
def test_tags_of_what_cannot_be_wrapped(estimator: Any) -> None:
    assert get_tags(AlignedRegressor(estimator, {0: 1}, confidence=None)).estimator_type == "regressor"


def test_fit_takes_labels_of_one_dimension() -> None:
    aligned = AlignedRegressor(Ridge(), {0: 1}, random_state=0, confidence=None)
    expected = clone(aligned).fit(X, Y).predict(X)
    with pytest.warns(DataConversionWarning, match=r"A column-vector y was passed.*shape \(400, 1\)"):
        column = clone(aligned).fit(X, Y[:, None])
    np.testing.assert_array_equal(column.predict(X), expected)
    with pytest.raises(InputError, match=r"y has shape \(400, 2\); expected one label for each of the 400 rows"):
        clone(aligned).fit(X, np.c_[Y, Y])
    with pytest.raises(InputError, match=r"fit requires y to be passed, but the target y is None: .* calibrate\(X\)"):
        clone(aligned).fit(X, None)
    with pytest.raises(InputError, match="y is a masked array with 1 masked values"):
        clone(aligned).fit(X, np.ma.array(Y, mask=np.arange(400) == 3))
    with pytest.raises(InputError, match="y is no array, got list"):
        clone(aligned).fit(X, [[1], *[[1, 2]] * 399])
    with pytest.raises(InputError, match=r"X has only 1 sample\(s\), shape \(1, 4\); expected at least 2"):
        clone(aligned).fit(X[:1], Y[:1])


@pytest.mark.parametrize(("alpha", "n_samples", "n_held_out"), [(0.1, 400, 100), (0.01, 200, 99), (0.01, 198, 99)])
def test_fit_holds_out_a_quarter_or_what_alpha_needs(alpha: float, n_samples: int, n_held_out: int) -> None:
    fitted = AlignedRegressor(Ridge(), {0: 1}, alpha=alpha, random_state=0, confidence=None).fit(
        X[:n_samples], Y[:n_samples]
    )
    assert fitted.calibration_.n_rows == n_held_out
    assert fitted.calibration_.n_reference == n_samples - n_held_out


def test_fit_never_holds_out_more_than_half() -> None:
    with pytest.raises(CalibrationError, match=r"at most half of its rows out to calibrate, 98 of 197\. .*at least 99"):
        AlignedRegressor(Ridge(), {0: 1}, alpha=0.01, confidence=None).fit(X[:197], Y[:197])


class Strict(RegressorMixin, BaseEstimator):
    """Predicts nothing for rows with a missing value, and does not mind them in ``fit``."""

    def fit(self, X: Any, y: Any) -> Strict:  # noqa: ARG002
        return self

    def predict(self, X: Any) -> Any:
        if np.isnan(X).any():
            raise ValueError("Input contains NaN")
        return X[:, 0]


def test_held_out_rows_that_the_model_cannot_take_are_refused_by_fit() -> None:
    lacking = X.copy()
    lacking[:, 0] = np.where(np.arange(400) % 2, np.nan, lacking[:, 0])
    aligned = AlignedRegressor(Strict(), {0: 1}, random_state=0, confidence=None)
    with pytest.raises(ValueError, match="Input contains NaN"):
        aligned.fit(lacking, Y)
    assert not hasattr(aligned, "lambda_")


# Weights and other arguments of fit -----------------------------------------------------------------------------------


class Recording(RegressorMixin, BaseEstimator):
    """Remembers what ``fit`` was given; predicts the first column."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, places: Any = None, power: float = 1.0) -> Recording:
        self.seen_ = {"X": X, "y": y, "sample_weight": sample_weight, "places": places, "power": power}
        return self

    def predict(self, X: Any) -> Any:
        return np.asarray(X)[:, 0]


@pytest.mark.parametrize("alpha", [0, 0.1])
@pytest.mark.parametrize("kind", [np.asarray, list, pd.Series, pl.Series])
def test_weights_go_to_the_estimator_with_the_rows_that_train(kind: Any, alpha: float) -> None:
    rows = np.c_[np.arange(400.0), X]
    aligned = AlignedRegressor(Recording(), {1: 1}, alpha=alpha, random_state=0, confidence=None)
    aligned.fit(rows, np.arange(400.0), sample_weight=kind(np.arange(400.0)), places=kind(np.arange(400)), power=2.0)
    seen = aligned.estimator_.seen_
    assert len(seen["X"]) == (400 if alpha == 0 else 300)
    for name in ("y", "sample_weight", "places"):
        np.testing.assert_array_equal(seen[name], seen["X"][:, 0])
    assert seen["power"] == 2.0


def test_weights_count_in_training_as_in_the_estimator_itself() -> None:
    aligned = AlignedRegressor(Ridge(), {0: 1}, alpha=0, random_state=0).fit(X, Y, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(aligned.estimator_.coef_, Ridge().fit(X, Y, sample_weight=WEIGHTS).coef_)
    assert np.abs(aligned.estimator_.coef_ - Ridge().fit(X, Y).coef_).max() > 1e-3
    assert aligned.calibration_.n_reference == 400


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(399), r"sample_weight has shape \(399,\) and type float64; expected one number for each row of X"),
        (np.ones((400, 2)), r"sample_weight has shape \(400, 2\)"),
        (["a"] * 400, "sample_weight has shape .* and type <U1"),
        (1.0, r"sample_weight has shape \(\)"),
    ],
)
def test_bad_weights(weights: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        AlignedRegressor(Ridge(), {0: 1}, confidence=None).fit(X, Y, sample_weight=weights)


def test_arguments_that_the_estimator_does_not_take() -> None:
    with pytest.raises(
        InputError, match=r"sample_weight is given to fit, but KNeighborsRegressor\.fit does not take it"
    ):
        AlignedRegressor(KNeighborsRegressor(), {0: 1}, confidence=None).fit(X, Y, sample_weight=WEIGHTS)
    with pytest.raises(InputError, match=r"colour is given to fit, but Ridge\.fit does not take it"):
        AlignedRegressor(Ridge(), {0: 1}, confidence=None).fit(X, Y, colour="red")
    pipeline = make_pipeline(StandardScaler(), Ridge())
    fitted = AlignedRegressor(pipeline, {0: 1}, alpha=0).fit(X, Y, ridge__sample_weight=WEIGHTS)
    np.testing.assert_array_equal(
        fitted.estimator_.predict(X), clone(pipeline).fit(X, Y, ridge__sample_weight=WEIGHTS).predict(X)
    )


def test_weights_are_routed_where_they_were_requested() -> None:
    with config_context(enable_metadata_routing=True):
        plain = AlignedRegressor(Recording().set_fit_request(sample_weight=True), {0: 1}, alpha=0)
        requested = clone(plain).set_fit_request(sample_weight=True)
        direct = clone(plain).fit(X, Y, sample_weight=WEIGHTS)
        np.testing.assert_array_equal(direct.estimator_.seen_["sample_weight"], WEIGHTS)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        through = make_pipeline(scaler, requested).fit(X, Y, sample_weight=WEIGHTS)
        np.testing.assert_array_equal(through[-1].estimator_.seen_["sample_weight"], WEIGHTS)
        refused = clone(plain).set_params(estimator=Recording().set_fit_request(sample_weight=False))
        assert refused.fit(X, Y, sample_weight=WEIGHTS).estimator_.seen_["sample_weight"] is None
        with pytest.raises(ValueError, match=r"sample_weight.* not explicitly set as requested or not"):
            AlignedRegressor(Recording(), {0: 1}, alpha=0).fit(X, Y, sample_weight=WEIGHTS)
        with pytest.raises(TypeError, match=r"fit got unexpected argument\(s\) \{'colour'\}"):
            clone(plain).fit(X, Y, colour="red")
        scored = cross_validate(
            requested.set_score_request(sample_weight=False),
            X,
            Y,
            params={"sample_weight": WEIGHTS},
            cv=2,
            return_estimator=True,
        )
        assert [one.estimator_.seen_["sample_weight"].size for one in scored["estimator"]] == [200, 200]


# Copies ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["regressor", "classifier"])
def fitted(request: pytest.FixtureRequest) -> Any:
    """Fitted when a test asks: at collection every process would compile kernels."""
    if request.param == "regressor":
        tree = DecisionTreeRegressor(max_depth=4, random_state=0)
        return AlignedRegressor(tree, {0: 1, 1: -1}, random_state=0, confidence=None).fit(X, Y)
    forest = RandomForestClassifier(5, random_state=0)
    return AlignedClassifier(forest, {2: 1}, pos_label="mid", random_state=0, confidence=None).fit(X, LABELS)


def test_copies_predict_the_same(fitted: Any, tmp_path: Any) -> None:
    joblib.dump(fitted, tmp_path / "aligned.joblib")
    for copy in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "aligned.joblib")):
        np.testing.assert_array_equal(copy.predict(X), fitted.predict(X))
        assert copy.calibration_ == fitted.calibration_
    bare = clone(fitted)
    assert repr(bare) == repr(fitted)
    with pytest.raises(NotFittedError):
        check_is_fitted(bare)
    with pytest.raises(NotFittedError, match="has no lambda_ yet"):
        bare.predict(X)
    check_is_fitted(fitted)


def test_skops_needs_to_trust_alignconf_only(fitted: Any) -> None:
    """Besides what the wrapped model needs by itself; none of ours is a function."""
    stored = skops_io.dumps(fitted)
    trusted = skops_io.get_untrusted_types(data=stored)
    of_the_model = set(skops_io.get_untrusted_types(data=skops_io.dumps(fitted.estimator_)))
    ours = sorted(set(trusted) - of_the_model)
    assert ours
    assert [name for name in ours if not name.startswith("alignconf.")] == []
    loaded = skops_io.loads(stored, trusted=trusted)
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    np.testing.assert_array_equal(loaded.predict_band(X), fitted.predict_band(X))
    assert loaded.calibration_ == fitted.calibration_


# Searches and pipelines -----------------------------------------------------------------------------------------------


def test_a_search_over_alpha_and_over_the_model() -> None:
    aligned = AlignedRegressor(DecisionTreeRegressor(random_state=0), {0: -1}, random_state=0, confidence=None)
    grid = {"alpha": [0, 0.1, 0.4], "estimator__max_depth": [2, 5]}
    search = GridSearchCV(aligned, grid, cv=3).fit(X, Y)
    assert len(search.cv_results_["params"]) == 6
    best = clone(aligned).set_params(**search.best_params_).fit(X, Y)
    np.testing.assert_array_equal(search.predict(X), best.predict(X))
    # The parameters reach where they should.
    scores = search.cv_results_["mean_test_score"].reshape(3, 2)
    assert (scores[:, 0] != scores[:, 1]).all()
    assert search.best_estimator_.calibration_.alpha == search.best_params_["alpha"]
    assert search.best_estimator_.estimator_.max_depth == search.best_params_["estimator__max_depth"]


def test_cross_validation_and_the_last_step_of_a_pipeline() -> None:
    aligned = AlignedRegressor(Ridge(), {0: 1}, random_state=0, confidence=None)
    assert cross_val_score(aligned, X, Y, cv=3).mean() > 0.8
    pipeline = make_pipeline(StandardScaler(), aligned).fit(X, Y)
    scaled = StandardScaler().fit_transform(X)
    np.testing.assert_array_equal(pipeline.predict(X), clone(aligned).fit(scaled, Y).predict(scaled))
    assert pipeline.score(X, Y) > 0.8
    classifier = AlignedClassifier(LogisticRegression(), {0: 1}, random_state=0, confidence=None)
    assert cross_val_score(classifier, X, Y > 0, cv=3, scoring="roc_auc").mean() > 0.8


def test_a_pipeline_of_frames_keeps_names() -> None:
    scaler = StandardScaler().set_output(transform="pandas")
    frame = pd.DataFrame(X, columns=list("abcd"))
    pipeline = make_pipeline(scaler, AlignedRegressor(Ridge(), {"a": 1}, random_state=0, confidence=None)).fit(frame, Y)
    assert pipeline[-1].feature_names_in_.tolist() == list("abcd")
    assert isinstance(pipeline.predict(frame), np.ndarray)
    pipeline.set_output(transform="default")
    assert not hasattr(pipeline[-1], "_sklearn_output_config")


def test_a_frozen_estimator_calibrates_on_all_rows() -> None:
    frozen = FrozenEstimator(Ridge().fit(X[:100], Y[:100]))
    fitted = AlignedRegressor(frozen, {0: 1}, random_state=0, confidence=None).fit(X[100:], Y[100:])
    assert fitted.calibration_.n_rows + fitted.calibration_.n_reference == 300


# Containers -----------------------------------------------------------------------------------------------------------


def test_intervals_come_in_the_container_of_choice(fitted: Any) -> None:
    fitted = pickle.loads(pickle.dumps(fitted))  # the choice stays with the copy
    expected = fitted.predict_band(X)
    assert isinstance(expected, np.ndarray)
    frame = pd.DataFrame(X, index=np.arange(400) + 7)
    banded = fitted.set_output(transform="pandas").predict_band(frame)
    assert isinstance(banded, pd.DataFrame)
    assert list(banded.columns) == ["lower", "upper"]
    assert banded.index.equals(frame.index)
    np.testing.assert_array_equal(banded.to_numpy(), expected)
    assert fitted.predict_band(X).index.equals(pd.RangeIndex(400))
    assert isinstance(fitted.predict(frame), np.ndarray)
    banded = fitted.set_output(transform="polars").predict_band(X)
    assert isinstance(banded, pl.DataFrame)
    assert banded.columns == ["lower", "upper"]
    np.testing.assert_array_equal(banded.to_numpy(), expected)
    assert isinstance(fitted.set_output().predict_band(X), pl.DataFrame)
    assert clone(fitted).fit(X, LABELS if isinstance(fitted, AlignedClassifier) else Y).predict_band(X).columns == [
        "lower",
        "upper",
    ]
    np.testing.assert_array_equal(fitted.set_output(transform="default").predict_band(X), expected)


def test_intervals_of_outcomes_come_in_it_too() -> None:
    aligned = AlignedRegressor(
        FrozenEstimator(Ridge().fit(X[:100], Y[:100])), {0: 1}, random_state=0, confidence=None
    ).fit(X[100:250], Y[100:250])
    aligned.calibrate_outcome(X[250:], Y[250:])
    interval, distribution = aligned.predict_outcome_interval(X), aligned.predict_outcome_cdf(X, 3.0)
    aligned.set_output(transform="polars")
    assert aligned.predict_outcome_interval(X).equals(pl.DataFrame(interval, schema=["lower", "upper"]))
    assert aligned.predict_outcome_cdf(X, 3.0).equals(pl.DataFrame(distribution, schema=["lower", "upper"]))
    assert isinstance(aligned.predict_outcome_quantile(X, 0.9), np.ndarray)


def test_bad_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    aligned = AlignedRegressor(Ridge(), {0: 1}, confidence=None)
    with pytest.raises(InputError, match="transform must be one of 'default', 'pandas', 'polars', got 'arrow'"):
        aligned.set_output(transform="arrow")
    monkeypatch.setitem(__import__("sys").modules, "polars", None)
    with pytest.raises(InputError, match="transform='polars' needs polars, which is not installed; install polars"):
        aligned.set_output(transform="polars")
    assert not hasattr(aligned, "_sklearn_output_config")


# Notebooks ------------------------------------------------------------------------------------------------------------


def test_a_notebook_shows_what_was_promised() -> None:
    aligned = AlignedRegressor(Ridge(), {0: -1}, alpha=0.25, random_state=0, confidence=None)
    assert "<th>lambda_</th>" not in aligned._repr_html_()
    aligned.fit(X, Y)
    for shown in (aligned._repr_html_(), aligned._repr_mimebundle_()["text/html"]):
        summary = unescape(shown.rsplit("<table>", 1)[1])
        assert "<th>alpha</th><td>0.25</td>" in summary
        assert f"<th>lambda_</th><td>{aligned.lambda_:.6g}</td>" in summary
        assert f"<th>properties</th><td>{aligned.alignment_.tester.words}</td>" in summary
        assert aligned.calibration_.statement in summary
        assert "Ridge" in shown
    assert aligned._repr_mimebundle_()["text/plain"] == repr(aligned)


def test_a_notebook_shows_the_alpha_that_calibrated() -> None:
    aligned = (
        AlignedRegressor(Ridge(), {0: -1}, alpha=0.25, random_state=0, confidence=None).fit(X, Y).set_params(alpha=0.1)
    )
    assert "<th>alpha</th><td>0.25</td>" in aligned._repr_html_()


def test_html_is_escaped_and_can_be_turned_off() -> None:
    frame = pd.DataFrame(X, columns=["<script>", "b", "c", "d"])
    aligned = AlignedRegressor(Ridge(), {"<script>": 1}, random_state=0, confidence=None).fit(frame, Y)
    assert "<script>'" not in aligned._repr_html_().rsplit("<table>", 1)[1]
    with config_context(display="text"):
        assert not hasattr(aligned, "_repr_html_")
        assert set(aligned._repr_mimebundle_()) == {"text/plain"}


def test_nothing_is_shown_of_what_has_no_summary() -> None:
    class Bare(ConventionalEstimator):
        def __init__(self, estimator: Any = None) -> None:
            self.estimator = estimator

    assert "<th>" not in Bare(Ridge())._repr_html_().rsplit("</style>")[-1].rsplit("</div>")[-1]


def test_a_sparse_table_is_of_the_wrong_type() -> None:
    from scipy.sparse import csr_array

    with pytest.raises(InputTypeError, match="X is a sparse matrix"):
        AlignedRegressor(Ridge(), {0: 1}, confidence=None).fit(csr_array(X), Y)
    assert issubclass(InputTypeError, TypeError)
    assert issubclass(InputTypeError, InputError)
