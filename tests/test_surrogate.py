"""Repair by a surrogate: an exact member in many features, delivered within the band, counted where it is none."""

from __future__ import annotations

import pickle
from decimal import ROUND_CEILING

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from alignconf import AlignedRegressor, CalibrationError, InputError, PredictionError, check
from alignconf.projectors.surrogate import MonotoneSurrogate
from alignconf.properties import (
    AllOf,
    Bounded,
    Concave,
    Decreasing,
    Dominates,
    Increasing,
    Invariant,
    InvariantUnder,
    Ordered,
    Unimodal,
)
from alignconf.tables.printed import rounded
from tests.chance import check_rate

X = np.random.default_rng(0).random((900, 6))
FIVE = {0: 1, 1: -1, 2: 1, 3: 1, 4: -1}


class Given:
    """A model whose answer is a given function of the rows."""

    def __init__(self, answer) -> None:
        self.answer = answer

    def predict(self, rows):
        return self.answer(np.asarray(rows))


WAVE = Given(lambda it: it[:, :5] @ [1.0, -1, 1, 1, -1] + 0.4 * np.sin(12 * it[:, :3]).sum(axis=1) + it[:, 5])


def table(n_rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "income": random.normal(size=n_rows),
            "debt": random.exponential(size=n_rows),
            "grade": random.choice(["low", "mid", "high"], n_rows),
            "size": pd.Categorical(random.choice(["s", "m", "l"], n_rows), ["s", "m", "l"], ordered=True),
            "sex": random.choice(["f", "m"], n_rows),
            "town": random.choice([None, "a", "b", "c"], n_rows),
            "kind": pd.Categorical(random.choice(["x", "y"], n_rows)),
            "member": random.random(n_rows) < 0.5,
            "age": np.where(random.random(n_rows) < 0.1, np.nan, random.normal(size=n_rows)),
            "count": pd.array(random.integers(0, 9, n_rows), dtype="Int64"),
        }
    )


MIXED = AllOf(
    Increasing("income"), Decreasing("debt"), Ordered("grade", ["low", "mid", "high"]), Increasing("size"),
    Invariant("sex", order=["f", "m"]),
)  # fmt: skip


class Score:
    """A model of a frame of many types that breaks every rule a little."""

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        grade = rows["grade"].map({"low": 0, "mid": 1.2, "high": 1.0}).to_numpy(dtype=float)
        size = rows["size"].astype(str).map({"s": 0.5, "m": 0, "l": 1}).to_numpy(dtype=float)
        sex = (rows["sex"] == "f").to_numpy() * 0.3
        income, debt = rows["income"].to_numpy(), rows["debt"].to_numpy()
        rest = rows["member"].to_numpy() * 0.5 + rows["age"].fillna(0.2).to_numpy() + (rows["town"] == "a").to_numpy()
        return income + np.sin(4 * income) - debt + np.cos(5 * debt) + grade + size + sex + rest


def dominated(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Return rows that are at least as high in all five features at once, whatever the sex."""
    n_rows = len(rows)
    up = rows.copy()
    up["income"] += random.exponential(size=n_rows) * (random.random(n_rows) < 0.7)
    up["debt"] *= random.random(n_rows)
    for name, order in (("grade", ["low", "mid", "high"]), ("size", ["s", "m", "l"])):
        ranks = rows[name].astype(str).map(order.index).to_numpy()
        higher = [order[random.integers(rank, 3)] for rank in ranks]
        up[name] = pd.Categorical(higher, order, ordered=True) if name == "size" else higher
    up["sex"] = random.choice(["f", "m"], n_rows)
    return up


# An exact member ----------------------------------------------------------------------------------------------------


def test_pairs_that_differ_in_several_features_at_once_are_in_order() -> None:
    aligned = AlignedRegressor(WAVE, FIVE, alpha=0).calibrate(X[:400])
    random = np.random.default_rng(1)
    low = X[random.integers(900, size=20_000)]
    high = low.copy()
    signs = np.array([1, -1, 1, 1, -1])
    high[:, :5] += signs * random.exponential(size=(20_000, 5)) * (random.random((20_000, 5)) < 0.5)
    assert (aligned.predict(high) - aligned.predict(low)).min() >= -1e-12
    assert (WAVE.predict(high) - WAVE.predict(low)).min() < -0.5
    certificate = aligned.certify(X[400:])
    assert certificate.delivered.n_rejected == certificate.full_strength.n_rejected == 0 < certificate.before.n_rejected


class PatientScore(Score):
    """It takes a missing income for none."""

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return super().predict(X.assign(income=X["income"].fillna(0.0)))


def test_words_categories_and_what_is_missing() -> None:
    rows = table(700, 2)
    before = rows.copy(deep=True)
    aligned = AlignedRegressor(Score(), MIXED, alpha=0).calibrate(rows[:400])
    random = np.random.default_rng(3)
    for seed in range(5):
        low = table(1000, seed)
        assert (aligned.predict(dominated(low, random)) - aligned.predict(low)).min() >= -1e-12
    assert aligned.certify(rows[400:]).delivered.n_rejected == 0
    swapped = rows.assign(sex=rows["sex"].map({"f": "m", "m": "f"}))
    assert aligned.predict(swapped).tobytes() == aligned.predict(rows).tobytes()
    pd.testing.assert_frame_equal(rows, before)
    unseen = rows.assign(town="elsewhere", kind=pd.Categorical(["z"] * len(rows)))
    assert np.isfinite(aligned.predict(unseen)).all()
    lacking = rows.assign(income=np.nan)
    with_gap = AlignedRegressor(PatientScore(), MIXED, alpha=0).calibrate(rows)
    above = dominated(lacking, random).assign(income=np.nan)
    assert (with_gap.predict(above) - with_gap.predict(lacking)).min() >= -1e-12


def test_only_constant_features() -> None:
    declared = [Invariant(i) for i in range(4)]
    aligned = AlignedRegressor(WAVE, declared, alpha=0).calibrate(X[:300])
    moved = np.column_stack([np.random.default_rng(4).random((900, 4)), X[:, 4:]])
    assert aligned.predict(moved).tobytes() == aligned.predict(X).tobytes()
    model = Given(lambda it: it.sum(axis=1))
    aligned = AlignedRegressor(model, declared, alpha=0).calibrate(X[:300, :4])
    assert np.ptp(aligned.predict(X[:, :4])) == 0


# The band -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [pytest.param(0.05, marks=pytest.mark.slow), 0.2])
def test_delivered_within_the_band_and_as_promised(alpha: float) -> None:
    aligned = AlignedRegressor(WAVE, FIVE, alpha=alpha, confidence=None, n_queries=1, random_state=0)
    aligned.calibrate(np.random.default_rng(1).random((1000, 6)), X_reference=X[:500])
    f, g = WAVE.predict(X[500:]), aligned.predict(X[500:])
    assert 0 < aligned.lambda_ < np.inf
    assert (np.abs(f - g) <= aligned.lambda_).all()
    certificate = check_rate(aligned, np.random.default_rng(2).random((2000, 6)), 1000, alpha)
    assert certificate.before.rate > 0.5
    assert "increasing in 0 and decreasing in 1" in certificate.property
    assert certificate.distance_bound is None


def test_deterministic_copied_and_sent() -> None:
    one, other = (AlignedRegressor(WAVE, FIVE, random_state=1, n_jobs=n, confidence=None) for n in (1, 2))
    one.calibrate(X[:300])
    other.calibrate(X[:300])
    assert one.lambda_ == other.lambda_
    assert one.predict(X).tobytes() == other.predict(X).tobytes()
    assert np.concatenate([one.predict(row[None]) for row in X[:20]]).tobytes() == one.predict(X[:20]).tobytes()
    forest = RandomForestRegressor(5, random_state=0).fit(X[:100], WAVE.predict(X[:100]))
    sent = AlignedRegressor(
        forest,
        FIVE,
        projector=HistGradientBoostingRegressor(monotonic_cst=[1, -1, 1, 1, -1, 0]),
        random_state=0,
        confidence=None,
    )
    sent = pickle.loads(pickle.dumps(sent.calibrate(X[100:400])))
    assert np.isfinite(sent.predict(X)).all()
    unfitted = clone(sent)
    assert not hasattr(unfitted, "lambda_")
    assert unfitted.get_params()["projector__monotonic_cst"] == [1, -1, 1, 1, -1, 0]
    assert not hasattr(unfitted.projector, "n_features_in_")


def test_the_users_own_model_and_surrogate_are_left_alone() -> None:
    surrogate = LinearRegression(positive=True)
    AlignedRegressor(WAVE, {0: 1, 1: 1}, projector=surrogate, alpha=0).calibrate(X[:200])
    assert not hasattr(surrogate, "coef_")


# Surrogates of users ------------------------------------------------------------------------------------------------


def test_a_surrogate_that_keeps_its_word() -> None:
    declared = [Increasing(0), Increasing(1), Increasing(2), Increasing(3), Increasing(4)]
    linear = LinearRegression(positive=True)
    aligned = AlignedRegressor(WAVE, declared, projector=linear, alpha=0).calibrate(X[:300])
    assert aligned.certify(X[300:]).full_strength.n_rejected == 0
    fitted = clone(linear).fit(X[:300], WAVE.predict(X[:300]))
    np.testing.assert_allclose(aligned.predict(X), fitted.predict(X))
    few = AlignedRegressor(WAVE, Concave(0), projector=linear, alpha=0.1, random_state=0, confidence=None).calibrate(
        X[:300]
    )
    assert few.certify(X[300:]).full_strength.n_rejected == 0


def test_a_surrogate_that_does_not_is_counted_or_refused() -> None:
    forest = RandomForestRegressor(10, random_state=0)
    aligned = AlignedRegressor(WAVE, FIVE, projector=forest, alpha=0).calibrate(X[:300])
    certificate = aligned.certify(X[300:])
    assert certificate.delivered.rate == certificate.full_strength.rate > 0.3
    with pytest.raises(CalibrationError, match="stay violated at any half-width"):
        AlignedRegressor(WAVE, FIVE, projector=forest, alpha=0.1, random_state=0, confidence=None).calibrate(X[:300])


def test_a_surrogate_of_frames() -> None:
    rows = table(500, 5)
    columns = make_column_transformer((OneHotEncoder(), ["grade"]), ("passthrough", ["income", "debt"]))
    declared = AllOf(Increasing("income"), Decreasing("debt"))
    chain = make_pipeline(columns, HistGradientBoostingRegressor(monotonic_cst=[0, 0, 0, 1, -1]))
    aligned = AlignedRegressor(Score(), declared, projector=chain, alpha=0).calibrate(rows[:300])
    assert aligned.certify(rows[300:]).delivered.n_rejected == 0


class NotANumber(RegressorMixin, BaseEstimator):
    def fit(self, *_):
        return self

    def predict(self, X):
        return np.full(len(X), np.nan)


def test_surrogates_that_are_none() -> None:
    for wrong in (HistGradientBoostingRegressor, Given(None), "boosting"):
        with pytest.raises(InputError, match=r"projector must be one of .* or an unfitted scikit-learn regressor"):
            AlignedRegressor(WAVE, FIVE, projector=wrong, confidence=None).calibrate(X)
    with pytest.raises(PredictionError, match=r"NotANumber\.predict returned nan"):
        AlignedRegressor(WAVE, FIVE, projector=NotANumber(), alpha=0).calibrate(X).predict(X)


@pytest.mark.parametrize(
    "declared", [Bounded(0), InvariantUnder([lambda rows: rows]), Dominates(0, 1)], ids=lambda it: type(it).__name__
)
def test_a_surrogate_for_nothing_is_refused(declared) -> None:
    with pytest.raises(InputError, match="projects along single features, of which"):
        AlignedRegressor(WAVE, declared, projector=LinearRegression(), confidence=None).calibrate(X)


@pytest.mark.parametrize("loss", ["line", "displacement"])
def test_losses_that_need_a_smallest_band_are_refused(loss: str) -> None:
    with pytest.raises(InputError, match=f"loss='{loss}' needs to know on which points"):
        AlignedRegressor(WAVE, FIVE, loss=loss, confidence=None).calibrate(X)


@pytest.mark.slow
def test_existence_and_confidence() -> None:
    aligned = AlignedRegressor(WAVE, FIVE, loss="existence", random_state=0, confidence=None).calibrate(X[:300])
    surer = AlignedRegressor(WAVE, FIVE, confidence=0.95, random_state=0).calibrate(X[:300])
    assert 0 < aligned.lambda_ < surer.lambda_ < np.inf


def test_next_to_limits_and_transforms() -> None:
    declared = AllOf(*(Increasing(i) for i in range(4)), Bounded(0, 1))
    aligned = AlignedRegressor(WAVE, declared, alpha=0).calibrate(X[:300])
    assert aligned.certify(X[300:]).delivered.n_rejected == 0
    assert aligned.predict(X).min() >= 0


@pytest.mark.parametrize("part", [Concave(4), Unimodal(4)], ids=str)
def test_what_no_booster_can_promise_is_named(part) -> None:
    with pytest.raises(InputError, match=r"5 features .* would share a grid.*give projector= a regressor") as refused:
        AlignedRegressor(WAVE, [*(Increasing(i) for i in range(4)), part], confidence=None).calibrate(X)
    assert f"the rule {str(part)!r} is not about order alone" in str(refused.value)


def test_directions() -> None:
    assert Increasing("a").direction == 1
    assert Decreasing("a").direction == -1
    assert Ordered("a", ["x", "y"]).direction == 1
    assert Invariant("a").direction == 0
    assert Concave("a").direction is Unimodal("a").direction is None


def test_opposite_orders_leave_the_feature_out() -> None:
    declared = [*(Increasing(i) for i in range(4)), Decreasing(3)]
    with pytest.warns(match="must not depend on 3 at all"):
        aligned = AlignedRegressor(WAVE, declared, alpha=0).calibrate(X[:300])
    moved = X.copy()
    moved[:, 3] = 0.5
    assert aligned.predict(moved).tobytes() == aligned.predict(X).tobytes()
    assert isinstance(aligned.alignment_.chain.stages[0].surrogate, MonotoneSurrogate)


# The largest half-width ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [FIVE, {0: 1}, Bounded(1)], ids=str)
def test_a_half_width_that_is_too_large_is_named(declared) -> None:
    free = AlignedRegressor(WAVE, declared, random_state=0, confidence=None).calibrate(X[:300])
    enough = clone(free).set_params(max_half_width=free.lambda_).calibrate(X[:300])
    assert enough.lambda_ == free.lambda_
    with pytest.raises(CalibrationError) as refused:
        clone(free).set_params(max_half_width=0.9 * free.lambda_).calibrate(X[:300])
    assert f"needs the half-width {rounded(free.lambda_, ROUND_CEILING, 6)}, which is more than max_half_width=" in str(
        refused.value
    )
    assert "Raise alpha or max_half_width, or use a model closer to the property." in str(refused.value)


@pytest.mark.parametrize("wrong", [-1, np.inf, "wide", True])
def test_a_largest_half_width_that_is_none(wrong) -> None:
    with pytest.raises(InputError, match="max_half_width must be a finite number of at least 0"):
        AlignedRegressor(WAVE, FIVE, max_half_width=wrong, confidence=None).calibrate(X)


def test_full_strength_has_no_largest_half_width() -> None:
    with pytest.raises(InputError, match="max_half_width cannot hold with alpha=0"):
        AlignedRegressor(WAVE, FIVE, alpha=0, max_half_width=1.0).calibrate(X)
    with pytest.raises(InputError, match="max_half_width cannot hold with alpha=0"):
        AlignedRegressor(RandomForestRegressor(), FIVE, alpha=0, max_half_width=1.0).fit(X, X[:, 0])


def test_a_model_that_obeys_needs_no_half_width() -> None:
    model = Given(lambda it: it[:, :5] @ [1.0, -1, 1, 1, -1])
    aligned = AlignedRegressor(model, FIVE, alpha=0.1, max_half_width=0, random_state=0, confidence=None).calibrate(
        X[:300]
    )
    assert aligned.lambda_ == 0
    assert aligned.predict(X).tobytes() == model.predict(X).tobytes()
    assert check(aligned, X, FIVE, random_state=0).violations.n_rejected == 0
