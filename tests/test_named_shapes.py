"""Plateaus, valleys, elasticities and weak dominance, as definitions say them: by brute force, on models of several kinds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingRegressor

from alignconf import AlignedRegressor, InputError, check
from alignconf.kernels.ratios import ratios_least_squares
from alignconf.properties import Elasticity, Increasing, Plateau, Valley, WeaklyDominates, declare

RANDOM = np.random.default_rng(5)
ROWS = RANDOM.random((400, 3)) * [10, 1, 1] + [0.5, 0, 0]
TARGET = np.sin(ROWS[:, 0]) + ROWS[:, 1] + 3 + 0.1 * RANDOM.normal(size=400)
TREES = GradientBoostingRegressor(n_estimators=30, random_state=0).fit(ROWS, TARGET)
REFERENCE, CALIBRATE, FRESH = ROWS[:150], ROWS[150:300], ROWS[300:]


class Wave:
    """3 + sin(x_0) + x_1, which no library of trees reads."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return 3 + np.sin(X[:, 0]) + X[:, 1]


def delivered(model, declared, **settings):
    aligned = AlignedRegressor(model, declared, alpha=0, random_state=0, **settings)
    return aligned.calibrate(CALIBRATE, X_reference=REFERENCE)


def along(aligned, places: np.ndarray, n_rows: int = 20) -> np.ndarray:
    """What is delivered when the first column of some fresh rows moves to each place: (n_rows, n_places)."""
    moved = np.repeat(FRESH[:n_rows], len(places), axis=0)
    moved[:, 0] = np.tile(places, n_rows)
    return aligned.predict(moved).reshape(n_rows, len(places))


# Plateaus -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("projection", ["l2", "sup"])
def test_trees_rise_and_then_stay_at_every_place(projection: str) -> None:
    rule = [Increasing(0), Plateau(0, beyond=6)]
    aligned = delivered(TREES, rule, projection=projection)
    assert "pieces of the model's own trees" in aligned.calibration_.repair
    places = np.sort(np.concatenate([np.linspace(-1, 12, 300), [6, np.nextafter(6, 0), np.nextafter(6, 9)]]))
    values = along(aligned, places)
    assert (np.diff(values, axis=1) >= -1e-12).all()
    assert np.ptp(values[:, places >= 6], axis=1).max() <= 1e-12
    assert np.ptp(values[:, places < 6], axis=1).max() > 0.01


def test_both_sides_stay_flat_and_what_is_between_is_the_models() -> None:
    aligned = delivered(TREES, Plateau(0, beyond=8, below=2))
    places = np.linspace(-1, 12, 300)
    values, model = along(aligned, places), along(TREES, places)
    for side in (places >= 8, places <= 2):
        assert np.ptp(values[:, side], axis=1).max() <= 1e-12
    between = (places > 2) & (places < 8)
    assert np.array_equal(values[:, between], model[:, between])


def test_a_line_that_lies_flat_between_knots_takes_the_value_of_its_side() -> None:
    """The only knot beyond 6 is 10: from 6 on the value is the one there, and up to 6 the model's."""
    part = Plateau(0, beyond=6)
    from alignconf.contract.property import Cells

    places = np.array([5.9, 6.0, 7.0, 10.0, 11.0, 0.0])
    cells = Cells(places, np.array([0.0, 5.0, 10.0]), np.tile([1.0, 2.0, 3.0], (6, 1)), np.ones(6, dtype=bool))
    low, high = part.allowed(cells)
    assert low.tolist() == [-np.inf, 3.0, 3.0, 3.0, 3.0, 1.0]
    assert high.tolist() == [np.inf, 3.0, 3.0, 3.0, 3.0, 1.0]


def test_a_plateau_needs_a_place_and_its_sides_do_not_meet() -> None:
    assert str(Plateau("x", below=1, beyond=2)) == "constant up to 1 and constant from 2 on in 'x'"
    with pytest.raises(InputError, match=r"Plateau needs the place .* write for example Plateau\('x', beyond=50\)"):
        Plateau("x")
    with pytest.raises(InputError, match=r"below must be less than beyond, got below=3 and beyond=3.*Use Invariant"):
        Plateau("x", beyond=3, below=3)


# Valleys --------------------------------------------------------------------------------------------------------------


def test_a_known_bottom_divides_what_falls_from_what_rises() -> None:
    aligned = delivered(TREES, Valley(0, bottom=5))
    places = np.linspace(-1, 12, 200)
    change = np.diff(along(aligned, places), axis=1)
    assert (change[:, places[1:] <= 5] <= 1e-12).all()
    assert (change[:, places[:-1] >= 5] >= -1e-12).all()


def test_a_valley_is_a_word_of_mappings() -> None:
    assert declare({"bmi": "valley"}) == Valley("bmi")
    audit = check(Wave(), FRESH, Valley(0), X_reference=REFERENCE, random_state=0)
    assert audit.violations.n_rejected > 5  # three middle places of a wave lie above both of their neighbours


# Elasticities ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high"), [(-0.5, 0.5), (-np.inf, 0.0), (0.2, np.inf), (0.25, 0.25)])
def test_ratios_of_delivered_predictions_lie_between_the_powers(low: float, high: float) -> None:
    declared = Elasticity(0, low, high)
    whole = np.column_stack([np.ceil(REFERENCE[:, 0]), REFERENCE[:, 1:]])  # so that all places that occur are knots
    aligned = AlignedRegressor(Wave(), declared, alpha=0, random_state=0).calibrate(CALIBRATE, X_reference=whole)
    places = np.unique(whole[:, 0])
    values = along(aligned, places)
    for i, j in combinations(range(len(places)), 2):
        ratio, growth = values[:, j] / values[:, i], places[j] / places[i]
        assert (ratio >= growth**low * (1 - 1e-9)).all()
        assert (ratio <= growth**high * (1 + 1e-9)).all()
    assert (values > 0).all()


def test_a_power_law_has_one_elasticity_and_is_left_alone() -> None:
    class Power:
        def predict(self, X):
            return (2 + X[:, 1]) * X[:, 0] ** -1.5

    rate = {
        (low, high): check(
            Power(), FRESH, Elasticity(0, low, high), X_reference=REFERENCE, random_state=0
        ).violations.rate
        for low, high in ((-1.5, -1.5), (-2, -1), (-1.4, 1), (-3, -1.6))
    }
    assert list(rate.values()) == [0, 0, 1, 1]
    aligned = delivered(Power(), Elasticity(0, -1.5, -1.5))
    assert np.array_equal(aligned.predict(FRESH), Power().predict(FRESH))


def test_only_positive_places_have_an_elasticity() -> None:
    with_zero = REFERENCE.copy()
    with_zero[0, 0] = 0
    declared = Elasticity(0, -1, 1)
    with pytest.raises(
        InputError, match=r"of elasticity between -1 and 1 in 0 is about positive values, got the value 0 of 0"
    ):
        AlignedRegressor(Wave(), declared, alpha=0.1, confidence=None).calibrate(CALIBRATE, X_reference=with_zero)
    positive = Elasticity(0, -1, 1, between=(0.1, 20))
    kept = AlignedRegressor(Wave(), positive, alpha=0).calibrate(CALIBRATE, X_reference=with_zero)
    assert np.array_equal(kept.predict(with_zero[:1]), Wave().predict(with_zero[:1]))
    assert (kept.predict(FRESH) != Wave().predict(FRESH)).any()
    aligned = delivered(Wave(), declared)
    elsewhere = FRESH[:3] * [0, 1, 1] - [[0], [1], [2]] * np.array([1, 0, 0])
    assert np.array_equal(aligned.predict(elsewhere), Wave().predict(elsewhere))


def test_limits_of_an_elasticity_are_checked() -> None:
    assert repr(Elasticity("price", high=-1)) == "Elasticity('price', high=-1)"
    assert str(Elasticity("price", 0.5)) == "of elasticity at least 0.5 in 'price'"
    with pytest.raises(InputError, match="low must not be above high, got low=2 and high=1; swap them"):
        Elasticity("price", 2, 1)
    with pytest.raises(InputError, match="Elasticity needs a finite limit"):
        Elasticity("price")
    with pytest.raises(InputError, match="takes no order; leave order out"):
        Elasticity("price", 0, 1, order=["low", "high"])


def test_each_line_may_have_weights_of_its_own() -> None:
    lines, weights = RANDOM.normal(size=(20, 9)) + 1, RANDOM.random((20, 9)) + 0.1
    low, high = np.full(8, 0.7), np.full(8, 1.2)
    together = ratios_least_squares(lines, low, high, weights, has_floor=True)
    alone = [ratios_least_squares(lines[[i]], low, high, weights[i], has_floor=True)[0] for i in range(20)]
    assert np.array_equal(together, alone)


# Weak dominance -------------------------------------------------------------------------------------------------------

COUNTS = np.array(
    [[first, second, other] for first in range(5) for second in range(5) for other in (0.0, 1.0)], dtype=float
)


class Late:
    """A score of two counts that now and then prefers the second."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.sin(X[:, 0] * 2) + 0.3 * X[:, 0] + 0.4 * X[:, 1] + X[:, 2]


def test_weak_dominance_is_what_its_definition_says() -> None:
    """f(m + c, m) >= f(m, m + c) for all m and c > 0: an audit finds the pairs that fail, one by one."""
    f = {tuple(row): value for row, value in zip(COUNTS, Late().predict(COUNTS), strict=True)}
    fails = np.array([f[max(a, b), min(a, b), c] < f[min(a, b), max(a, b), c] for a, b, c in COUNTS])
    audit = check(Late(), COUNTS, WeaklyDominates(0, 1), X_reference=COUNTS + 0.5, random_state=0)
    assert 0 < fails.sum() == audit.violations.n_rejected < len(COUNTS)
    aligned = AlignedRegressor(Late(), WeaklyDominates(0, 1), alpha=0).calibrate(COUNTS)
    g = {tuple(row): value for row, value in zip(COUNTS, aligned.predict(COUNTS), strict=True)}
    for a, b, c in COUNTS:
        assert g[max(a, b), min(a, b), c] >= g[min(a, b), max(a, b), c] - 1e-12
        mean = (f[a, b, c] + f[b, a, c]) / 2
        fail = f[max(a, b), min(a, b), c] < f[min(a, b), max(a, b), c]
        assert g[a, b, c] == pytest.approx(mean if fail else f[a, b, c])


def test_weak_dominance_leaves_rows_alone_that_lack_a_value() -> None:
    frame = pd.DataFrame(COUNTS, columns=["now", "before", "other"])

    class Filled:
        def predict(self, X):
            return Late().predict(np.asarray(X.fillna(9.0), dtype=float))

    lacking = frame.assign(now=np.where(frame["now"] == 3, np.nan, frame["now"]))
    aligned = AlignedRegressor(Filled(), WeaklyDominates("now", "before"), alpha=0).calibrate(frame)
    missing = lacking["now"].isna().to_numpy()
    answer, model = aligned.predict(lacking), Filled().predict(lacking)
    assert np.array_equal(answer[missing], model[missing])
    assert (answer[~missing] != model[~missing]).any()


def test_weak_dominance_compares_two_numeric_features() -> None:
    assert (
        str(WeaklyDominates("a", "b", tol=0.5)) == "'a' matters at least as much as 'b' where both are equal up to 0.5"
    )
    with pytest.raises(InputError, match="WeaklyDominates compares two features, got 'a' twice"):
        WeaklyDominates("a", "a")
    frame = pd.DataFrame({"a": [1.0, 2.0] * 30, "b": ["x", "y"] * 30})
    with pytest.raises(
        InputError, match=r"compares numbers, and 'a' and 'b' are of type float64 and .*; give numeric columns"
    ):
        check(Late(), frame, WeaklyDominates("a", "b"))
