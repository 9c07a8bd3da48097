"""The door to a model: its memory, its codes for missing values, boosters by themselves, and what is no function of a row."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xgboost as xgb
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from alignconf import AlignedClassifier, AlignedRegressor, check
from alignconf.deployment.forecast import forecast_violations
from alignconf.deployment.search import search
from alignconf.errors import InputError, PredictionError
from alignconf.tables.missing_codes import missing_codes

RANDOM = np.random.default_rng(3)
ROWS = RANDOM.normal(size=(600, 3))
GONE = RANDOM.random(600) < 0.2
WITH_NAN = np.where(GONE[:, None] & (np.arange(3) == 0), np.nan, ROWS)
WITH_CODE = np.where(np.isnan(WITH_NAN), -999.0, WITH_NAN)
Y = np.where(GONE, 1.5, np.sin(3 * ROWS[:, 0])) + ROWS[:, 1] + 0.1 * RANDOM.normal(size=600)
FIT, CALIBRATE, NEW = slice(0, 250), slice(250, 450), slice(450, 600)


# Memory --------------------------------------------------------------------------------------------------------------


class Overwriting:
    """Answers, and writes to the rows that it was handed."""

    def predict(self, X: Any) -> Any:
        answer = np.array(X)[:, 0] - np.array(X)[:, 1]
        if isinstance(X, pd.DataFrame):
            X.iloc[:, 1] = 1e6
        else:
            X[:] = 1e6
        return answer


@pytest.mark.parametrize("kind", [np.array, pd.DataFrame], ids=["array", "frame"])
def test_a_model_that_overwrites_its_rows_changes_nothing(kind: Any) -> None:
    rows, reference = kind(ROWS[CALIBRATE].copy()), kind(ROWS[FIT].copy())
    aligned = AlignedRegressor(Overwriting(), {1: "increasing"}, n_knots=8, random_state=0, confidence=None)
    aligned.calibrate(rows, X_reference=reference)
    delivered = aligned.predict(rows)
    assert np.array_equal(rows, ROWS[CALIBRATE])
    assert np.array_equal(reference, ROWS[FIT])
    plain = LinearRegression().fit(ROWS, ROWS[:, 0] - ROWS[:, 1])
    plain.coef_, plain.intercept_ = np.array([1.0, -1.0, 0.0]), 0.0
    right = AlignedRegressor(plain, {1: "increasing"}, n_knots=8, random_state=0, confidence=None)
    right.calibrate(ROWS[CALIBRATE], X_reference=ROWS[FIT])
    assert delivered == pytest.approx(right.predict(ROWS[CALIBRATE]), abs=1e-12)
    assert check(Overwriting(), rows, {1: 1}, random_state=0).violations.rate > 0.9


def test_a_scaler_that_works_in_place_changes_nothing() -> None:
    network = MLPRegressor(hidden_layer_sizes=(8,), max_iter=30, random_state=0, tol=1.0)
    in_place = make_pipeline(StandardScaler(copy=False), network).fit(ROWS[FIT].copy(), Y[FIT])
    copying = make_pipeline(StandardScaler(), network).fit(ROWS[FIT], Y[FIT])
    rows = ROWS[NEW].copy()
    found, right = (
        AlignedRegressor(model, {1: "decreasing"}, random_state=0, confidence=None)
        .calibrate(ROWS[CALIBRATE].copy())
        .predict(rows)
        for model in (in_place, copying)
    )
    assert found == pytest.approx(right, abs=1e-9)
    assert np.array_equal(rows, ROWS[NEW])


# Missing values ------------------------------------------------------------------------------------------------------


def xgboost(X: Any, **settings: Any) -> Any:
    return xgb.XGBRegressor(n_estimators=20, max_depth=3, n_jobs=1, **settings).fit(X[FIT], Y[FIT])


def boosted_zeros() -> tuple[Any, Any]:
    """Return a booster that takes zeros for missing, and the same trees for NaN: their bits say so."""
    zeros = np.where(np.isnan(WITH_NAN), 0.0, WITH_NAN)
    settings = {"n_estimators": 20, "num_leaves": 8, "verbose": -1, "n_jobs": 1}
    model = lgb.LGBMRegressor(zero_as_missing=True, **settings).fit(zeros[FIT], Y[FIT])
    return model, zeros


@pytest.mark.parametrize("alpha", [0, 0.1])
@pytest.mark.parametrize(
    ("declared", "projector"),
    [({0: 1}, "auto"), ({0: 1, 1: 1}, "lines"), ({0: 1, 1: 1}, "leaves")],
    ids=["on pieces", "on a grid", "by leaves"],
)
def test_the_code_of_xgboost_is_as_good_as_nan(declared: Any, projector: str, alpha: float) -> None:
    coded, plain = xgboost(WITH_CODE, missing=-999), xgboost(WITH_NAN)
    assert np.array_equal(coded.predict(WITH_CODE), plain.predict(WITH_NAN))
    found, right = (
        AlignedRegressor(
            model, declared, alpha=alpha, projector=projector, n_knots=8, random_state=0, confidence=None
        ).calibrate(X[CALIBRATE])
        for model, X in ((coded, WITH_CODE), (plain, WITH_NAN))
    )
    assert found.calibration_.repair == right.calibration_.repair
    assert found.lambda_ == right.lambda_
    assert np.array_equal(found.predict(WITH_CODE[NEW]), right.predict(WITH_NAN[NEW]))
    certificates = found.certify(WITH_CODE[NEW]), right.certify(WITH_NAN[NEW])
    assert [certificate.coverage[0][1] for certificate in certificates] == [(~GONE[NEW]).sum()] * 2
    if len(declared) == 1:
        assert np.array_equal(found.predict(WITH_CODE[NEW])[GONE[NEW]], coded.predict(WITH_CODE[NEW])[GONE[NEW]])
        assert [certificate.n_missing for certificate in certificates] == [GONE[NEW].sum()] * 2
    one, other = (check(m, X[CALIBRATE], declared, random_state=0) for m, X in ((coded, WITH_CODE), (plain, WITH_NAN)))
    assert (one.violations, one.coverage) == (other.violations, other.coverage)


def test_zeros_that_lightgbm_takes_for_missing_are_missing() -> None:
    model, zeros = boosted_zeros()
    aligned = AlignedRegressor(model, {0: 1}, alpha=0, random_state=0).calibrate(zeros[CALIBRATE])
    assert "exact" in aligned.calibration_.repair
    assert 0.0 not in aligned.alignment_.tester.laws[0].places
    delivered, own = aligned.predict(zeros[NEW]), model.predict(zeros[NEW])
    assert np.array_equal(delivered[GONE[NEW]], own[GONE[NEW]])
    assert np.abs(delivered - own).max() > 0.5
    # The trees on their own: the lines at every place but 0 are what predict says there.
    places = np.linspace(-2, 2, 40)
    some = zeros[NEW][:20]
    lines = np.array([model.predict(np.c_[np.full(20, place), some[:, 1:]]) for place in places]).T
    for row, line in enumerate(lines):
        walked, repaired = aligned.alignment_.along(some[row : row + 1], 0, places)
        assert walked == pytest.approx(line, abs=1e-12)
        assert (np.diff(repaired) >= -1e-12).all()
    ignoring = lgb.LGBMRegressor(zero_as_missing=True, use_missing=False, n_estimators=2, verbose=-1)
    assert missing_codes(ignoring, zeros) == {}


def test_what_imputers_fill_is_missing() -> None:
    imputed = make_pipeline(SimpleImputer(missing_values=-999), Ridge()).fit(WITH_CODE[FIT], Y[FIT])
    plain = make_pipeline(SimpleImputer(), Ridge()).fit(WITH_NAN[FIT], Y[FIT])
    found, right = (
        AlignedRegressor(model, {0: -1}, n_knots=8, random_state=0, confidence=None).calibrate(X[CALIBRATE])
        for model, X in ((imputed, WITH_CODE), (plain, WITH_NAN))
    )
    assert found.lambda_ == right.lambda_ > 0
    assert np.array_equal(found.predict(WITH_CODE[NEW]), right.predict(WITH_NAN[NEW]))


def test_values_beyond_single_precision_are_no_codes() -> None:
    model = make_pipeline(SimpleImputer(missing_values=-999), LinearRegression())
    rows = np.where(np.arange(600)[:, None] == 0, 1e300, WITH_CODE)
    model.fit(WITH_CODE[FIT], Y[FIT])
    assert check(model, WITH_CODE[CALIBRATE], {1: -1}, X_reference=rows, random_state=0).violations.n_queries > 0


def test_codes_are_read_by_column() -> None:
    table = pd.DataFrame(ROWS, columns=list("abc"))
    by_column = ColumnTransformer(
        [
            ("one", SimpleImputer(missing_values=-9), ["b"]),
            ("two", make_pipeline(SimpleImputer(missing_values=-8), StandardScaler()), [2]),
            ("no", StandardScaler(), ["a"]),
        ]
    )
    expected = {1: (-9,), 2: (-8,)}
    assert missing_codes(make_pipeline(by_column, Ridge()), table) == expected
    assert missing_codes(make_pipeline(by_column, Ridge()).fit(table, Y), table) == expected
    assert missing_codes(make_pipeline(StandardScaler(), SimpleImputer(missing_values=-9), Ridge()), table) == {}
    assert missing_codes(make_pipeline("passthrough", xgb.XGBRegressor(missing=7)), table) == dict.fromkeys(
        range(3), (7,)
    )


def test_columns_of_a_transformer_that_cannot_all_be_told() -> None:
    """Those that the table has count; a selection that fails is an error and no silence."""
    table = pd.DataFrame(np.zeros((3, 2)), columns=list("ab"))
    some = ColumnTransformer([("some", SimpleImputer(missing_values=-9), ["b", "gone"])])
    assert missing_codes(some, table) == {1: (-9,)}
    chosen = ColumnTransformer([("chosen", SimpleImputer(missing_values=-9), make_column_selector(pattern="b"))])
    assert missing_codes(chosen, table) == {1: (-9,)}
    with pytest.raises(
        InputError, match=r"selects columns by .*, which fails at the rows \(.*\); which values are missing"
    ):
        missing_codes(chosen, table.to_numpy())


# Boosters by themselves ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame], ids=["array", "frame"])
@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_native_boosters_are_repaired_exactly(library: str, kind: Any) -> None:
    X = kind(ROWS)
    if library == "xgboost":
        booster: Any = xgb.train({"max_depth": 3, "nthread": 1}, xgb.DMatrix(X[FIT], Y[FIT]), 20)
        own = booster.predict(xgb.DMatrix(X[NEW]))
    else:
        settings = {"num_leaves": 8, "verbose": -1, "num_threads": 1}
        booster = lgb.train(settings, lgb.Dataset(X[FIT], Y[FIT]), 20)
        own = booster.predict(X[NEW])
    aligned = AlignedRegressor(booster, {0: 1}, alpha=0, random_state=0).calibrate(X[CALIBRATE])
    assert "exact" in aligned.calibration_.repair
    delivered = aligned.predict(X[NEW])
    assert np.abs(delivered - own).max() > 0.3
    line = np.repeat(ROWS[NEW][:1], 50, axis=0)
    line[:, 0] = np.linspace(-2, 2, 50)
    assert (np.diff(aligned.predict(kind(line))) >= -1e-6).all()
    assert check(aligned, X[NEW], {0: 1}, random_state=0).violations.n_rejected == 0


def test_a_native_booster_of_probabilities() -> None:
    labels = (Y > 0).astype(int)
    booster = xgb.train(
        {"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, xgb.DMatrix(ROWS[FIT], labels[FIT]), 20
    )
    aligned = AlignedRegressor(booster, {0: 1}, alpha=0.1, random_state=0, confidence=None).calibrate(ROWS[CALIBRATE])
    assert "exact" in aligned.calibration_.repair
    delivered = aligned.predict(ROWS[NEW])
    assert ((delivered > 0) & (delivered < 1)).all()


# One function of a row -----------------------------------------------------------------------------------------------


class Linear:
    """Falls along the second column."""

    def values(self, X: Any) -> Any:
        return np.asarray(X)[:, 0] - np.asarray(X)[:, 1]

    def predict(self, X: Any) -> Any:
        return self.values(X)


class Centred(Linear):
    def predict(self, X: Any) -> Any:
        return self.values(X) - self.values(X).mean()


class CentredFarUp(Linear):
    def predict(self, X: Any) -> Any:
        return 1e6 + 1e-2 * (self.values(X) - self.values(X).mean())


class CentredTogether(Linear):
    def predict(self, X: Any) -> Any:
        values = self.values(X)
        return values - values.mean() if values.size > 1 else values


class Noisy(Linear):
    random = np.random.default_rng(0)

    def predict(self, X: Any) -> Any:
        return self.values(X) + 1e-6 * self.random.normal(size=len(X))


class DroppingOut(Linear):
    random = np.random.default_rng(0)

    def predict(self, X: Any) -> Any:
        return (self.values(X) * (self.random.random(len(X)) < 0.8)).astype(np.float32)


class NoisyInOneBuffer(Noisy):
    buffer = np.empty(2**20)

    def predict(self, X: Any) -> Any:
        answer = self.buffer[: len(X)]
        answer[:] = super().predict(X)
        return answer


class ByRank(Linear):
    def predict(self, X: Any) -> Any:
        return np.argsort(np.argsort(self.values(X))).astype(float)


NO_FUNCTIONS = [Centred(), CentredFarUp(), CentredTogether(), Noisy(), NoisyInOneBuffer(), DroppingOut(), ByRank()]


@pytest.mark.parametrize("model", NO_FUNCTIONS, ids=lambda model: type(model).__name__)
def test_what_depends_on_chance_or_other_rows_is_refused(model: Any) -> None:
    said = r"depends on chance or on the rows next to it.*Fix its random state"
    with pytest.raises(PredictionError, match=said):
        check(model, ROWS, {1: 1})
    aligned = AlignedRegressor(model, {1: 1}, random_state=0, confidence=None)
    with pytest.raises(PredictionError, match=said):
        aligned.calibrate(ROWS)
    assert not hasattr(aligned, "lambda_")
    with pytest.raises(PredictionError, match=said):
        search(model, ROWS, {1: 1}, max_rows=5000)
    with pytest.raises(PredictionError, match=said):
        forecast_violations(model, ROWS, {1: 1}, 1000)


class RoundedByBatch(Linear):
    """Adds up in another order for every number of rows, and in any order on threads."""

    random = np.random.default_rng(0)

    def predict(self, X: Any) -> Any:
        values = self.values(X)
        return values * (1 + 2.0**-52 * self.random.integers(-8, 9, size=values.size))


class RoundedByBatchInSingle(RoundedByBatch):
    def predict(self, X: Any) -> Any:
        values = self.values(X)
        return (values * (1 + 2.0**-24 * self.random.integers(-1, 2, size=values.size))).astype(np.float32)


@pytest.mark.parametrize("model", [RoundedByBatch(), RoundedByBatchInSingle()], ids=["double", "single"])
def test_rounding_is_no_chance(model: Any) -> None:
    assert check(model, ROWS, {1: -1}, random_state=0).violations.n_rejected == 0


def test_forests_on_threads_and_networks_pass() -> None:
    for model in (
        RandomForestRegressor(30, n_jobs=2, random_state=0).fit(ROWS[FIT], 1e9 + Y[FIT]),
        MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=20, random_state=0, tol=1.0).fit(
            ROWS[FIT].astype(np.float32), Y[FIT]
        ),
    ):
        check(model, ROWS[CALIBRATE].astype(np.float32), {0: 1}, random_state=0)


class Chancy:
    classes_ = np.array([0, 1])
    random = np.random.default_rng(0)

    def predict_proba(self, X: Any) -> Any:
        p = np.clip(0.5 + 0.1 * X[:, 0] + 0.01 * self.random.normal(size=len(X)), 0, 1)
        return np.column_stack([1 - p, p])


def test_classifiers_are_asked_again_too() -> None:
    with pytest.raises(PredictionError, match=r"Chancy\.predict_proba says"):
        AlignedClassifier(Chancy(), {0: 1}, confidence=None).calibrate(ROWS)


# Numbers that floats do not hold -------------------------------------------------------------------------------------

TOO_LARGE = (2**53 + np.arange(400)).astype(np.int64)


@pytest.mark.parametrize(
    "column",
    [
        TOO_LARGE,
        TOO_LARGE.astype(np.uint64) + np.uint64(2**63),
        -TOO_LARGE,
        np.arange(400).astype(np.longdouble) / 3,
        np.array([Decimal(value) / 3 for value in range(400)], dtype=object),
        np.array([2**53 + value for value in range(400)], dtype=object),
    ],
    ids=["int64", "uint64", "negative", "longdouble", "decimals", "objects"],
)
def test_values_that_no_float_holds_are_refused(column: Any) -> None:
    frame = pd.DataFrame({"a": column, "b": ROWS[:400, 0]})
    with pytest.raises(InputError, match=r"feature 'a' has the value .* which no float holds exactly"):
        check(ByPosition(), frame, {"a": 1})
    check(ByPosition(), frame, {"b": 1})


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([None, *(2**53 + np.arange(399)).tolist()]),
        pl.Series([Decimal(2**53 + value) for value in range(400)]),
    ],
    ids=["with nulls", "decimals"],
)
def test_polars_hides_no_digits(column: Any) -> None:
    frame = pl.DataFrame({"a": column, "b": ROWS[:400, 0]})
    with pytest.raises(InputError, match=r"feature 'a' has the value .* which no float holds exactly"):
        check(OfPolars(), frame, {"a": 1})
    check(OfPolars(), frame, {"b": 1})
    cents = frame.with_columns(a=pl.Series([Decimal(value).scaleb(-2) for value in range(400)]))
    assert check(OfPolars(), cents, {"a": 1}).violations.n_rejected == 0


def test_decimals_that_floats_tell_apart_are_numbers() -> None:
    frame = pd.DataFrame({"a": [Decimal(value).scaleb(-2) for value in range(400)], "b": ROWS[:400, 0]})
    assert check(ByPosition(), frame, {"a": 1}).violations.n_rejected == 0


class OfPolars:
    def predict(self, X: Any) -> Any:
        return X["b"].to_numpy()


class ByPosition:
    def predict(self, X: Any) -> Any:
        return X.iloc[:, 1].to_numpy()


@pytest.mark.parametrize("dtype", [np.int64, np.longdouble])
def test_predictions_that_no_float_holds_are_refused(dtype: Any) -> None:
    class Long:
        def predict(self, X: Any) -> Any:
            return (
                (np.asarray(2**53, dtype) + 1 + np.arange(len(X)).astype(dtype))
                if dtype is np.int64
                else np.full(len(X), 1, dtype) / 3 + X[:, 0]
            )

    with pytest.raises(PredictionError, match=r"Long.predict returned .*, which no float holds exactly"):
        AlignedRegressor(Long(), {0: 1}, confidence=None).calibrate(ROWS)


# Decisions -----------------------------------------------------------------------------------------------------------


def test_probabilities_that_do_not_add_up_are_refused() -> None:
    class Unnormalized:
        classes_ = np.array(["no", "yes"])

        def predict_proba(self, X: Any) -> Any:
            return np.full((len(X), 2), 0.4)

    with pytest.raises(PredictionError, match=r"probabilities that add up to 0.8 in row 0; expected 1"):
        AlignedClassifier(Unnormalized(), {0: 1}, confidence=None).calibrate(ROWS)


@pytest.mark.parametrize("threshold", [0.2, 0.8])
def test_decisions_are_the_models_own_where_nothing_moved(threshold: float) -> None:
    labels = (Y > 0.3).astype(int)
    forest = RandomForestClassifier(20, min_samples_leaf=5, random_state=0)
    fixed = FixedThresholdClassifier(forest, threshold=threshold).fit(ROWS[FIT], labels[FIT])
    aligned = AlignedClassifier(fixed, {1: "increasing"}, alpha=0.02, random_state=0, confidence=None).calibrate(
        ROWS[CALIBRATE]
    )
    p, decided = aligned.predict_proba(ROWS[NEW])[:, 1], aligned.predict(ROWS[NEW])
    moved = p != fixed.predict_proba(ROWS[NEW])[:, 1]
    assert 10 < moved.sum() < moved.size - 10
    assert np.array_equal(decided[~moved], fixed.predict(ROWS[NEW])[~moved])
    assert np.array_equal(decided, (p >= threshold).astype(int))
    assert (decided != (p >= 0.5)).any()


def test_a_predict_of_its_own_is_kept() -> None:
    class Contrary(LogisticRegression):
        def predict(self, X: Any) -> Any:
            return np.where(np.asarray(X)[:, 2] > 0, "a", "b")

    labels = np.where(ROWS[:, 0] > 0, "a", "b")
    model = Contrary().fit(ROWS[FIT], labels[FIT])
    aligned = AlignedClassifier(model, {0: "decreasing"}, random_state=0, confidence=None).calibrate(ROWS[CALIBRATE])
    assert np.array_equal(aligned.predict(ROWS[NEW]), model.predict(ROWS[NEW]))
