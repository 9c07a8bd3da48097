"""One feature matters more than another: trade lines, their laws, and the function that is delivered."""

from __future__ import annotations

import copy
import pickle
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from alignconf import AlignedRegressor, InputError, check
from alignconf.lines.axis import TradeAxis, place_axis
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.properties import AllOf, Decreasing, Dominates, Increasing
from tests.chance import check_rate
from tests.grids import whole_grid

X = np.random.default_rng(0).random((600, 4)) * [1.0, 20.0, 1.0, 1.0]
PART = Dominates(0, 1, units=(1, 20))


class Given:
    """A model whose answer is a given function of the rows."""

    def __init__(self, answer) -> None:
        self.answer = answer

    def predict(self, rows):
        return self.answer(np.asarray(rows, dtype=float))


WAVE = Given(lambda it: np.sin(6 * it[:, 0]) + np.cos(0.4 * it[:, 1]) + it[:, 2] * it[:, 0] - it[:, 3])
STEPS = Given(lambda it: np.floor(5 * it[:, 0] ** 2) - np.floor(it[:, 1] / 3) % 2 + (it[:, 2] > it[:, 0]))


def more_rows(n_samples: int, seed: int) -> pd.DataFrame:
    values = np.random.default_rng(seed).random((n_samples, 4)) * [1.0, 20.0, 1.0, 1.0]
    return pd.DataFrame(values, columns=["own", "partner", "c", "d"])


def law_of(part: Dominates, rows, n_knots: int = 16) -> ReferenceLaw:
    return ReferenceLaw.from_table(place_axis(part, rows), rows, n_knots)


def at(axis: TradeAxis, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the rows moved to each of some places: (n_rows * n_places, n_features)."""
    index = np.repeat(np.arange(len(rows)), len(places))
    moved = rows[index].copy()
    for column, values in axis.moved(rows, index, np.tile(places, len(rows))).items():
        moved[:, column] = values
    return moved


# Words, and what is declared ----------------------------------------------------------------------------------------


def test_words_and_units() -> None:
    assert str(Dominates("a", "b")) == "'a' matters at least as much as 'b'"
    assert (
        str(Dominates("a", "b", units=(2, 30), tol=0.5)) == "2 of 'a' matters at least as much as 30 of 'b' up to 0.5"
    )
    assert eval(repr(PART)) == PART == pickle.loads(pickle.dumps(PART)) == copy.deepcopy(PART)
    assert hash(PART) == hash(copy.copy(PART))
    assert Dominates(0, 1) != Dominates(1, 0) != Increasing(1)
    assert Dominates(0, 1) != Increasing(0)
    assert len({PART, Dominates(0, 1), Dominates(0, 1, units=[1, 20])}) == 2


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Dominates("a", "a"), "compares two features, got 'a' twice"),
        (lambda: Dominates("a", "b", order=[1, 2]), "takes no order"),
        (lambda: Dominates("a", "b", units=2), "units must be two positive numbers"),
        (lambda: Dominates("a", "b", units=(1, 0)), "units must be a finite number above 0"),
        (lambda: Dominates("a", "b", units="ab"), "units must be two positive numbers"),
        (lambda: Dominates("a", ["b"]), "feature must be a column name"),
        (lambda: Dominates("a", "b", tol=-1), "tol must be"),
    ],
)
def test_what_cannot_be_declared_is_refused(build, words: str) -> None:
    with pytest.raises(InputError, match=words):
        build()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows.assign(own="much"), "has values such as 'much', which have no order"),
        (lambda rows: rows.assign(partner="much"), "feature 'partner' has values such as 'much'"),
        (lambda rows: rows.assign(partner=3.0), "must both vary in the reference rows to be traded"),
        (lambda rows: rows.assign(partner=np.nan), "have no finite value in the reference rows"),
        (lambda rows: rows.drop(columns="partner"), "feature 'partner' is not in X"),
    ],
)
def test_features_that_cannot_be_traded_are_refused(change, words: str) -> None:
    rows = change(pd.DataFrame(X[:100], columns=["own", "partner", "c", "d"]))
    with pytest.raises(InputError, match=words):
        AlignedRegressor(Given(lambda it: np.zeros(len(it))), Dominates("own", "partner"), alpha=0).calibrate(rows)


# Trade lines --------------------------------------------------------------------------------------------------------


def test_a_place_and_its_row_lead_to_each_other() -> None:
    law = law_of(PART, X)
    axis, places = law.axis, law.places
    assert ((axis.places(X) >= 0) & (axis.places(X) <= 1)).all()
    moved = at(axis, X[:100], places)
    total = moved[:, 0] + moved[:, 1] / 20
    np.testing.assert_allclose(total, np.repeat(X[:100, 0] + X[:100, 1] / 20, places.size))
    np.testing.assert_array_equal(axis.places(moved), np.tile(places, 100))
    np.testing.assert_array_equal(moved[:, 2:], np.repeat(X[:100, 2:], places.size, axis=0))
    low, high = X[:, :2].min(axis=0) - 1e-9, X[:, :2].max(axis=0) + 1e-9
    assert ((moved[:, :2] >= low) & (moved[:, :2] <= high)).all()
    home = at(axis, X[:100], np.zeros(0))
    assert home.shape == (0, 4)
    back = axis.moved(X, np.arange(len(X)), axis.places(X))
    np.testing.assert_allclose(back[0], X[:, 0], atol=1e-10)
    np.testing.assert_allclose(back[1], X[:, 1], atol=1e-9)


def elsewhere(rows: np.ndarray) -> np.ndarray:
    """Return other rows on lines of the same kind: the last column, which is not traded, is another one."""
    return rows + np.array([0, 0, 0, 1e-3])


def test_rows_beyond_the_reference_range() -> None:
    """A line that meets the range has places outside [0, 1]; one that misses it has none and the row keeps its value."""
    axis = law_of(PART, X).axis
    far = np.array([[1.5, 1.0, 0.5, 0.5], [-0.5, 19.0, 0.5, 0.5], [5.0, 5.0, 0.5, 0.5], [-1.0, -5.0, 0.5, 0.5]])
    places = axis.places(far)
    assert places[0] > 1
    assert places[1] < 0
    assert np.isnan(places[2:]).all()
    aligned = AlignedRegressor(WAVE, PART, alpha=0, n_knots=16).calibrate(X)
    f, g = WAVE.predict(far), aligned.predict(far)
    assert g[2:].tobytes() == f[2:].tobytes()
    ends = [aligned.predict(at(axis, far[i : i + 1], np.array([end])))[0] for i, end in ((0, 1.0), (1, 0.0))]
    assert g[0] >= ends[0]
    assert g[1] <= ends[1]
    assert aligned.certify(np.concatenate([elsewhere(X), far])).n_missing == 2


def test_rows_with_missing_values_keep_theirs() -> None:
    rows = X.copy()
    rows[::3, 0], rows[1::3, 1] = np.nan, np.nan
    model = Given(lambda it: np.nan_to_num(WAVE.predict(it)))
    aligned = AlignedRegressor(model, PART, alpha=0.1, n_knots=16, random_state=0, confidence=None).calibrate(
        rows, X_reference=elsewhere(X)
    )
    kept = np.isnan(rows[:, :2]).any(axis=1)
    assert aligned.predict(rows)[kept].tobytes() == model.predict(rows)[kept].tobytes()
    assert aligned.calibration_.n_missing == kept.sum()
    assert aligned.certify(elsewhere(elsewhere(rows))).n_missing == kept.sum()


# What is delivered --------------------------------------------------------------------------------------------------


def worst_fall(predict, rows: np.ndarray, axis: TradeAxis, places: np.ndarray) -> np.ndarray:
    """Return the largest fall of a function between each two places of the rows' trade lines, (n_places, n_places)."""
    values = predict(at(axis, rows, places)).reshape(len(rows), places.size)
    worst = np.full((places.size, places.size), -np.inf)
    for i, j in combinations(range(places.size), 2):
        worst[i, j] = (values[:, i] - values[:, j]).max()
    return worst


@pytest.mark.parametrize("model", [WAVE, STEPS], ids=["wave", "steps"])
@pytest.mark.parametrize("norm", ["l2", "sup"])
@pytest.mark.parametrize("n_knots", [5, 40])
def test_pairs_with_a_knot_between_them_are_never_violated(model, norm: str, n_knots: int) -> None:
    """At fine places: two strictly inside one cell may keep the model's order, all others are in order."""
    aligned = AlignedRegressor(model, PART, alpha=0, projection=norm, n_knots=n_knots).calibrate(X)
    law = aligned.alignment_.tester.laws[0]
    places = np.unique(np.concatenate([law.knots, np.linspace(-0.2, 1.2, 83).round(6)]))
    worst = worst_fall(aligned.predict, X[:60], law.axis, places)
    right = np.searchsorted(law.knots, places)
    inside = ~np.isin(places, law.knots)
    one_cell = (right[:, None] == right[None, :]) & inside[:, None] & inside[None, :]
    assert (worst[~one_cell] <= 1e-12).all()
    assert (worst_fall(model.predict, X[:60], law.axis, places) > 0.1).any()


def test_a_model_that_obeys_is_returned_bit_for_bit() -> None:
    model = Given(lambda it: 3 * it[:, 0] + 0.1 * it[:, 1] + np.sin(it[:, 2]))
    for alpha in (0, 0.1):
        aligned = AlignedRegressor(model, PART, alpha=alpha, random_state=0, confidence=None).calibrate(X)
        assert aligned.predict(X).tobytes() == model.predict(X).tobytes()
        assert aligned.certify(elsewhere(X)).before.n_rejected == 0


def test_audit_and_certificate_in_words() -> None:
    rows = pd.DataFrame(X, columns=["own", "partner", "c", "d"])
    declared = Dominates("own", "partner", units=(1, 20))
    audit = check(WAVE, rows, declared, random_state=0)
    assert "'own' matters at least as much as 20 of 'partner'" in audit.sentence
    assert "the uniform law on the part of a trade line, 'own' against 'partner' at 1 : 20" in audit.query_law
    (a, b), (f, g) = audit.worst.values, audit.worst.predictions
    assert a[0] < b[0]
    assert a[0] + a[1] / 20 == pytest.approx(b[0] + b[1] / 20)
    assert f - g == pytest.approx(audit.worst.excess) == audit.max_excess
    row = rows.iloc[[audit.worst.row]]
    assert WAVE.predict(row.assign(own=a[0], partner=a[1]))[0] == pytest.approx(f)
    aligned = AlignedRegressor(WAVE, declared, alpha=0.1, confidence=None, n_queries=1, random_state=0)
    aligned.calibrate(more_rows(1000, 1), X_reference=rows[:300])
    certificate = check_rate(aligned, more_rows(2000, 2), 1000, 0.1)
    assert certificate.full_strength.n_rejected == 0
    assert "Half-width lambda_" in certificate.sentence


def test_the_rate_that_queries_show_is_that_of_the_delivered_function() -> None:
    aligned = AlignedRegressor(STEPS, PART, alpha=0.1, n_knots=8, random_state=0, confidence=None).calibrate(X[:300])
    certificate = aligned.certify(X[300:])
    found = check(aligned, X[300:], PART, X_reference=X[:300], random_state=5).violations
    assert found.interval[0] <= certificate.delivered.interval[1]
    assert certificate.delivered.interval[0] <= found.interval[1]


# Next to others -----------------------------------------------------------------------------------------------------


def test_jointly_with_a_third_feature_on_one_grid() -> None:
    aligned = AlignedRegressor(WAVE, [PART, Decreasing(2)], alpha=0, n_knots=16, random_state=0).calibrate(X[:200])
    assert len(aligned.alignment_.chain.stages) == 1
    trade, third = (law.axis for law in whole_grid(aligned.alignment_).projector.laws)
    knots = [law.knots for law in whole_grid(aligned.alignment_).projector.laws]
    assert worst_fall(aligned.predict, X[200:230], trade, knots[0]).max() <= 1e-12
    rows = np.repeat(X[200:230], knots[1].size, axis=0)
    rows[:, third.position] = np.tile(knots[1], 30)
    assert np.diff(aligned.predict(rows).reshape(30, -1)).max() <= 1e-12
    certificate = aligned.certify(X[200:])
    assert certificate.delivered.rate <= 0.05 < certificate.before.rate


@pytest.mark.parametrize(
    "other", [Increasing(0), Increasing(1), Dominates(1, 0, units=(20, 1)), Dominates(0, 2)], ids=str
)
def test_a_chain_with_one_of_its_own_features_is_counted(other) -> None:
    aligned = AlignedRegressor(WAVE, [PART, other], alpha=0, n_knots=8, random_state=0).calibrate(X[:150])
    assert len(aligned.alignment_.chain.stages) == 2
    certificate = aligned.certify(X[150:250], n_queries=30)
    assert certificate.delivered == certificate.full_strength
    assert certificate.delivered.rate < certificate.before.rate
    found = check(aligned, X[250:450], AllOf(PART, other), X_reference=X[:150], random_state=0).violations
    assert found.interval[0] <= certificate.delivered.interval[1]
    assert certificate.delivered.interval[0] <= found.interval[1]
    with pytest.raises(InputError, match="needs to know on which points one function has the property"):
        AlignedRegressor(WAVE, [PART, other], loss="line", n_knots=8, confidence=None).calibrate(X[:150])


def test_both_ways_means_that_only_the_sum_matters() -> None:
    both = AllOf(Dominates(0, 1), Dominates(1, 0))
    rows = X / [1.0, 20.0, 1.0, 1.0]
    aligned = AlignedRegressor(WAVE, both, alpha=0, n_knots=8, random_state=0).calibrate(rows[:150])
    certificate = aligned.certify(rows[150:250])
    assert certificate.delivered.rate < 0.5 < certificate.before.rate
    model = Given(lambda it: np.sin(it[:, 0] + it[:, 1]))
    aligned = AlignedRegressor(model, both, alpha=0, n_knots=8).calibrate(rows[:150])
    np.testing.assert_allclose(aligned.predict(rows), model.predict(rows), atol=1e-12)
