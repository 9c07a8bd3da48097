"""Slices: against brute force, scipy and exact fractions; silence on null sets; parts and machines change nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from math import comb

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, binom, false_discovery_control, fisher_exact, hypergeom

from alignconf import AlignedRegressor, InputError
from alignconf.calibration.betting import upper_bound
from alignconf.deployment.slices import Bins, SliceCounts, confirm_slices, find_slices, search_slices
from alignconf.deployment.slices.confirm import confirmed
from alignconf.deployment.slices.lattice import RowsOfPart, extended, literals
from alignconf.deployment.slices.search import FoundSlice
from alignconf.deployment.slices.significance import TILTS, Population, hypergeometric_tail, least_support
from alignconf.lines.class_function import ClassFunction
from alignconf.tables.checks import check_rows
from benchmarks.risk.slices import best_by_brute_force, census, checks, planted, recall, wide


def small_table(seed):
    random = np.random.default_rng([seed, 3])
    n_features, n_levels = int(random.integers(2, 6)), int(random.integers(2, 5))
    X = random.integers(0, n_levels, (int(random.integers(40, 150)), n_features))
    bad = random.random(len(X)) < np.where(X[:, 0] == 1, 0.5, 0.15)
    return X, bad


def test_the_tail_is_fishers_exact_test():
    """Against scipy to nine digits, and against whole numbers."""
    random = np.random.default_rng(0)
    for n_rows, n_hits in ((60, 7), (60, 60), (60, 0), (5000, 150), (20_000, 700)):
        support = random.integers(0, n_rows + 1, 300)
        hits = np.minimum(random.binomial(support, 0.1 + 0.8 * random.random(300)), n_hits)
        found = hypergeometric_tail(hits, support, n_hits, n_rows)
        np.testing.assert_allclose(found, hypergeom.sf(hits - 1, n_rows, n_hits, support), rtol=1e-7, atol=1e-300)
    ways = sum(comb(9, k) * comb(41, 12 - k) for k in range(5, 10))
    exact = Fraction(ways, comb(50, 12))
    assert hypergeometric_tail(np.array([5]), np.array([12]), 9, 50)[0] == pytest.approx(float(exact), rel=1e-12)


def test_the_bound_for_sizes_is_a_p_value():
    """Exact tail by enumerating all samples without replacement: the bound is never below it, and not useless."""
    from itertools import combinations

    values = np.array([0, 0, 0, 1, 1, 2, 3, 3, 7, 8, 8, 10])
    population = Population(np.bincount(values, minlength=11))
    assert not population.is_binary
    for m in (2, 4, 6):
        sums = np.array([sum(chosen) for chosen in combinations(values.tolist(), m)])
        for total in np.unique(sums):
            exact = (sums >= total).mean()
            bound = population.p_values(np.array([m]), np.array([total]))[0]
            assert exact - 1e-12 <= bound <= 1
    steep = population.p_values(np.array([4]), np.array([33]))[0]
    assert steep < 0.05
    assert TILTS[0] == 0


@pytest.mark.parametrize("histogram", [np.array([380, 20]), np.bincount([0] * 300 + [3] * 60 + [9] * 40, minlength=10)])
def test_no_slice_is_more_surprising_than_its_largest_losses(histogram):
    population = Population(histogram)
    least = population.least_p_values()
    assert (np.diff(least) <= 1e-15).all()
    values = np.repeat(np.arange(histogram.size)[::-1], histogram[::-1])
    support = np.arange(1, 200)
    most = np.cumsum(values)[:199]
    assert (population.p_values(support, most) >= least[support] * (1 - 1e-9)).all()
    fewer = np.maximum(most - 2, 0)
    best = population.best_inside(support, fewer, 5)
    assert (best[4:] <= population.p_values(support[4:], fewer[4:]) * (1 + 1e-9)).all()


def test_the_least_support_by_trying_every_number():
    supports = np.array([3, 4, 4, 9, 10, 10, 11, 30])
    least = 0.5 ** np.arange(61)
    for alpha in (0.05, 0.2, 1e-4):
        for floor in (1, 8):
            enough = [
                s for s in range(floor, 61)
                if least[s] * sum(supports >= s) * sum(1 / i for i in range(1, sum(supports >= s) + 1)) <= alpha
            ]  # fmt: skip
            assert least_support(supports, least, alpha, floor) == min(enough)


@pytest.mark.parametrize("seed", range(30))
def test_the_order_of_slices_is_that_of_brute_force(seed):
    """The first slice is that of brute force, ties included, and so are its p-value and its means."""
    X, bad = small_table(seed)
    brute = best_by_brute_force(X, bad, 3, 5)
    found = search_slices(X, bad, alpha=None, n_bins=10, min_support=5)
    if brute[0][0] > 1e-3:
        assert not found.slices
        return
    first = found.slices[0]
    assert first.conditions == Bins.from_rows(X, n_bins=10).conditions(brute[0][1])
    assert first.p_value == pytest.approx(brute[0][0], rel=1e-9)
    assert first.n_rows == first.holds(X).sum()
    assert first.mean_loss == bad[first.holds(X)].mean()
    assert first.mean_elsewhere == bad[~first.holds(X)].mean()


@pytest.mark.parametrize("seed", range(30))
def test_every_slice_with_enough_rows_is_enumerated_once(seed):
    X, bad = small_table(seed + 100)
    bins = Bins.from_rows(X, n_bins=10)
    part = RowsOfPart.of(bins, X, bad.astype(np.int64))
    levels, keys = [], literals(bins.sizes)
    enumerated = []
    for depth in range(3):
        keys = extended(levels, bins.sizes) if depth else keys
        found = part.counts(keys)
        enough = found.take(found.n_rows >= 5)
        levels.append(enough.keys)
        enumerated += [tuple(key) for key in enough.keys.tolist()]
        for key, n, k in zip(enough.keys.tolist(), enough.n_rows, enough.losses, strict=True):
            inside = np.logical_and.reduce([one.holds(X) for one in bins.conditions(key)])
            assert (n, k) == (inside.sum(), bad[inside].sum())
            np.testing.assert_array_equal(part.rows_of(key), inside)
    if min(X.shape[1], 3) == 3:
        brute = best_by_brute_force(X, bad, 3, 5)
        assert sorted(enumerated) == sorted(key for _, key in brute)


@pytest.mark.parametrize("seed", range(12))
def test_the_false_discovery_rate_is_over_all_slices_with_enough_rows(seed):
    """Benjamini and Yekutieli over brute force with the least support: at most that is found, and all that is found alone."""
    X, bad = small_table(seed + 200)
    found = search_slices(X, bad, n_bins=10, min_support=2, max_slices=1000)
    brute = best_by_brute_force(X, bad, 3, found.support)
    assert found.n_tested >= len(brute)
    if found.support > 2:
        # How many rows are enough is chosen without a look at which rows have losses, so every slice is counted.
        assert found.n_tested == len(brute)
    p_values = np.array([p for p, _ in brute])
    rejected = false_discovery_control(p_values, method="by") <= 0.05
    bins = Bins.from_rows(X, n_bins=10)
    all_of_them = {bins.conditions(key) for (_, key), yes in zip(brute, rejected, strict=True) if yes}
    assert {one.conditions for one in found.slices} <= all_of_them
    alone = 0.05 / (found.n_tested * sum(1 / i for i in range(1, found.n_tested + 1)))
    if p_values[0] <= alone:
        assert found.slices[0].conditions == bins.conditions(brute[0][1])
    for one in found.slices:
        assert one.adjusted_p_value <= 0.05


@pytest.mark.parametrize("n_features", [16, 24])
def test_a_pair_on_the_first_and_last_of_many_features(n_features):
    X, bad = wide(n_features, 0)
    best = search_slices(X[:5000], bad[:5000], max_depth=2, n_bins=10).slices[0]
    assert [(one.feature, one.values) for one in best.conditions] == [(0, (9,)), (n_features - 1, (9,))]


def test_more_columns_than_rows():
    """100 rows and 320 bins; the best of brute force over all 49,600 pairs with at least three rows."""
    random = np.random.default_rng(320)
    X = random.integers(0, 10, (100, 32))
    bad = random.random(100) < np.where(X[:, 31] == X[0, 31], 0.9, 0.15)
    brute = best_by_brute_force(X, bad, 2, 3)
    assert brute[0][0] <= 1e-3
    found = search_slices(X, bad, alpha=None, n_bins=10, max_depth=2, min_support=3, max_slices=1).slices[0]
    assert found.conditions == Bins.from_rows(X, n_bins=10).conditions(brute[0][1])


def test_many_levels_do_not_overflow():
    """Five features of 5,000 levels: the product of levels is above 2^61."""
    random = np.random.default_rng(5)
    X = random.integers(0, 5000, (3000, 5))
    X[:150] = [4999, 0, 4999, 0, 4999]
    bad = random.random(3000) < np.where(np.arange(3000) < 150, 0.6, 0.05)
    X = X.astype(str)
    found = search_slices(X, bad, max_depth=5, max_slices=3)
    assert found.slices[0].n_rows in range(150, 156)


def test_planted_slices_are_found():
    """At n = 20,000 nothing is missed with room to spare; the full figures are ``python -m benchmarks risk --only slices``."""
    X, bad, slices, _ = planted(20_000, 1)
    hits, wrong = recall(search_slices(X, bad).slices, X, slices)
    assert all(hits)
    assert wrong == 0


def test_null_sets_are_silent():
    """At most 5 % of null sets: 120 small ones, binomial with .05; more than 14 has probability 1e-3 if the level is exact."""
    alarms = 0
    for seed in range(60):
        random = np.random.default_rng([seed, 8])
        X = random.integers(0, 3, (400, 5))
        alarms += bool(search_slices(X, random.random(400) < 0.1, min_support=5).slices)
        alarms += bool(search_slices(X, random.exponential(size=400) ** 2, min_support=5).slices)
    assert alarms <= 14


def test_sizes_find_the_slice_with_larger_losses():
    random = np.random.default_rng(4)
    X = random.integers(0, 4, (6000, 5))
    inside = (X[:, 1] == 2) & (X[:, 4] == 3)
    sizes = random.exponential(size=6000) * np.where(inside, 3.0, 1.0)
    found = search_slices(X[:3000], sizes[:3000])
    assert found.slices[0].words == "1 is 2 and 4 is 3"
    assert not found.is_binary
    confirmed = confirm_slices(found, X[3000:], sizes[3000:], about="a size")
    (one,) = confirmed.confirmed
    assert one.interval[0] > 1.3
    assert one.adjusted_p_value is None
    assert confirmed.capped_at == found.largest == sizes[:3000].max()


@pytest.mark.parametrize("n_parts", [1, 2, 7])
@pytest.mark.parametrize("kind", ["violations", "sizes"])
def test_parts_give_the_serial_answer_to_the_bit(n_parts, kind):
    X, bad, _, _ = planted(4000, 3)
    losses = bad if kind == "violations" else bad * np.random.default_rng(0).uniform(0.5, 1, 4000)
    bins = Bins.from_rows(X)
    serial = search_slices(X, losses, bins=bins)
    cut = np.array_split(np.arange(4000), n_parts)
    parts = search_slices([X[rows] for rows in cut], [losses[rows] for rows in cut], bins=bins)
    threads = search_slices(X, losses, bins=bins, n_jobs=n_parts)
    assert serial.slices
    assert repr(parts) == repr(threads) == repr(serial)
    assert parts.slices == serial.slices


@pytest.mark.parametrize("n_parts", [1, 2, 7])
def test_dask_gives_the_serial_answer_to_the_bit(n_parts):
    dataframe = pytest.importorskip("dask.dataframe")
    dask = pytest.importorskip("dask")
    X, bad, _, _ = planted(2000, 4)
    frame = pd.DataFrame(X, columns=list("abcdefghij")).assign(bad=bad)
    bins = Bins.from_rows(frame[list("abcdefghij")])
    serial = search_slices(frame.drop(columns="bad"), frame["bad"], bins=bins)
    with dask.config.set(scheduler="synchronous"):
        lazy = dataframe.from_pandas(frame, npartitions=n_parts)
        found = search_slices(lazy.drop(columns="bad"), lazy["bad"], bins=bins)
    assert serial.slices
    assert found.slices == serial.slices
    assert repr(found) == repr(serial)


def test_counts_of_parts_add_up():
    X, bad = small_table(0)
    bins = Bins.from_rows(X, n_bins=10)
    keys = literals(bins.sizes)
    whole = RowsOfPart.of(bins, X, bad.astype(np.int64)).counts(keys)
    one, other = (
        RowsOfPart.of(bins, X[rows], bad[rows].astype(np.int64)).counts(keys) for rows in (slice(20), slice(20, None))
    )
    merged = one.merged(other)
    np.testing.assert_array_equal(merged.n_rows, whole.n_rows)
    np.testing.assert_array_equal(merged.losses, whole.losses)
    with pytest.raises(InputError, match="counts of different slices cannot be merged"):
        one.merged(SliceCounts(keys[:1], one.n_rows[:1], one.losses[:1]))


PLANS = ["top", "plus", "basic"]


def mixed(n_rows, seed=0):
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": random.gamma(5.0, 8.0, n_rows),
            "plan": pd.Categorical(random.choice(PLANS, n_rows), categories=PLANS, ordered=True),
            "city": random.choice(["Bern", "Oslo", None], n_rows, p=[0.5, 0.3, 0.2]),
            "score": np.where(random.random(n_rows) < 0.2, np.nan, random.normal(size=n_rows)),
            "member": random.random(n_rows) < 0.25,
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 1000, n_rows), unit="D"),
        }
    )  # fmt: skip


def test_bins_divide_the_rows_and_say_so():
    rows = mixed(1000)
    bins = Bins.from_rows(rows)
    codes = bins.codes(rows)
    assert (codes >= 0).all()
    assert bins.sizes.tolist() == [5, 3, 3, 6, 2, 5]
    starts = np.cumsum(bins.sizes) - bins.sizes
    for feature in range(6):
        for code in range(bins.sizes[feature]):
            (condition,) = bins.conditions([starts[feature] + code])
            np.testing.assert_array_equal(condition.holds(rows), codes[:, feature] == code)
    assert np.bincount(codes[:, 0]).tolist() == [200] * 5
    words = [str(bins.conditions([literal])[0]) for literal in range(bins.sizes.sum())]
    assert "'city' is missing" in words
    assert words[5] == "'plan' is 'top'"
    assert words[0].startswith("'age' at most ")
    assert " above " in words[1]
    fresh = mixed(50, seed=1)
    fresh.loc[0, "city"] = "Rome"
    assert bins.codes(fresh)[0, 2] == -1


class Bent:
    """Rises with age, but falls with it for young members in Oslo."""

    def predict(self, rows):
        age = rows["age"].to_numpy(dtype=float)
        falls = (rows["city"] == "Oslo").to_numpy() & rows["member"].to_numpy(dtype=bool)
        return np.where(falls, -age, age)


@pytest.mark.parametrize("loss", ["violated", "rate", "size"])
def test_a_model_s_slice_is_found_confirmed_and_calibrated(loss):
    rows = mixed(3000, seed=2)
    found = find_slices(Bent(), rows, {"age": "increasing"}, loss=loss, n_queries=2, random_state=0)
    assert {one.feature for one in found.slices[0].found.conditions} == {"city", "member"}
    (one,) = found.confirmed
    truth = ((rows["city"] == "Oslo") & rows["member"]).to_numpy()
    np.testing.assert_array_equal(found.memberships(rows)[:, 0], truth)
    np.testing.assert_array_equal(found.labels(rows) == one.words, truth)
    assert found.n_model_rows == 2 * 2 * 2400
    assert "Certified with confidence 0.95" in str(found)
    assert "does not say that there are none" in str(found)
    figures = json.loads(found.to_json())
    assert figures["kind"] == "certified"
    assert figures["search"]["kind"] == "hypothesis"
    assert figures["slices"][0]["words"] == one.words
    assert str(found) == str(find_slices(Bent(), rows, {"age": 1}, loss=loss, n_queries=2, random_state=0))
    aligned = AlignedRegressor(Bent(), {"age": 1}, alpha=0.1, groups=found.labels, random_state=0, confidence=None)
    aligned.calibrate(mixed(2000, seed=9), X_reference=mixed(500, seed=8))
    widths = {claim.group: claim.lambda_ for claim in aligned.calibration_.claims}
    assert widths["elsewhere"] == 0 < widths[one.words]


def test_a_class_function_and_an_aligned_model_can_be_asked():
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    X = random.random((800, 3))
    labels = (X[:, 0] - X[:, 1] + random.normal(size=800) > 0).astype(int)
    model = ClassFunction(LogisticRegression().fit(X, labels), 1, "probability")
    found = find_slices(model, X, {0: 1}, random_state=0)
    assert found.slices == ()
    assert found.mean_loss == 0
    assert "0 of 0 slices" in str(found)


GROUPS = np.repeat([f"group {k:02d}" for k in range(20)], 60)[:, None]


def twenty(losses):
    """Return a search whose slices are twenty groups of 60 rows, whatever their losses."""
    bins = Bins.from_rows(GROUPS)
    searched = search_slices(GROUPS, losses, alpha=None)
    figures = {"n_rows": 60, "mean_loss": 0.2, "mean_elsewhere": 0.2, "p_value": 1.0, "adjusted_p_value": None}
    return replace(searched, slices=tuple(FoundSlice(bins.conditions([k]), **figures) for k in range(20)))


def asked_again(search, losses, confidence):
    """Confirm with rows of the same features, which count as rows that were not searched."""
    return confirmed(search, check_rows(GROUPS), np.asarray(losses, dtype=float), confidence, search.largest, "made up")


def test_every_figure_of_twenty_slices_is_that_of_a_computation_by_hand():
    """Clopper-Pearson at 1 - error / 40, Fisher's test by scipy, Holm's steps in a loop."""
    random = np.random.default_rng(5)
    rates = np.r_[0.55, 0.45, np.full(18, 0.2)]
    bad = random.random(1200) < np.repeat(rates, 60)
    found = asked_again(twenty(bad), bad, 0.9)
    hits = bad.reshape(20, 60).sum(axis=1)
    p_values = [
        fisher_exact([[k, 60 - k], [bad.sum() - k, 1140 - bad.sum() + k]], alternative="greater").pvalue for k in hits
    ]
    largest, adjusted = 0.0, {}
    for rank, k in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, (20 - rank) * p_values[k])
        adjusted[k] = min(1.0, largest)
    for k, rate in enumerate(found.slices):
        low, high = rate.interval
        assert low == pytest.approx(beta.ppf(0.1 / 80, hits[k], 61 - hits[k]), rel=1e-9)
        assert high == pytest.approx(beta.ppf(1 - 0.1 / 80, hits[k] + 1, 60 - hits[k]), rel=1e-9)
        assert rate.adjusted_p_value == pytest.approx(adjusted[k], rel=1e-9, abs=0)
        assert rate.is_confirmed == (adjusted[k] <= 0.05)
        assert rate.mean_elsewhere == pytest.approx((bad.sum() - hits[k]) / 1140)
    assert 0 < len(found.confirmed) < 20


def test_betting_bounds_of_twenty_slices_are_those_of_the_divided_error():
    """Each end of each interval, in the slice and elsewhere, at 1 - error / 80."""
    random = np.random.default_rng(6)
    sizes = random.random(1200) * np.repeat(np.r_[1.0, 0.7, np.full(18, 0.35)], 60)
    search = replace(twenty(sizes), largest=1.0)
    found = asked_again(search, sizes, 0.9)
    each = 1 - 0.1 / 80
    for k, rate in enumerate(found.slices):
        within, without = sizes[60 * k : 60 * k + 60], np.delete(sizes, np.arange(60 * k, 60 * k + 60))
        low, high = 1 - upper_bound(1 - within, each), upper_bound(within, each)
        assert rate.interval == pytest.approx((low, high), rel=1e-9)
        assert rate.is_confirmed == (low > upper_bound(without, each))
    assert 0 < len(found.confirmed) < 20


def test_a_slice_is_confirmed_at_half_the_error():
    """Twelve losses in every other slice and more and more in the first: the adjusted p-value passes .05, not .1."""
    others = np.tile(np.arange(60) < 12, 19)
    search = twenty(np.r_[np.ones(60, bool), others])
    passed = [asked_again(search, np.r_[np.arange(60) < k, others], 0.9).slices[0] for k in range(12, 40)]
    p_values = [rate.adjusted_p_value for rate in passed]
    assert [rate.is_confirmed for rate in passed] == [p_value <= 0.05 for p_value in p_values]
    assert any(0.05 < p_value <= 0.1 for p_value in p_values)


def test_a_slice_of_sizes_is_confirmed_where_the_two_intervals_part():
    random, each = np.random.default_rng(8), 1 - 0.1 / 80
    others = random.random(1140) * 0.4
    own = random.random(60)
    ends = (upper_bound(others, each), others.mean())
    search = replace(twenty(np.r_[own, others]), largest=1.0)
    lows = []
    for scale in np.linspace(0.35, 0.8, 12):
        first = asked_again(search, np.r_[scale * own, others], 0.9).slices[0]
        lows.append(first.interval[0])
        assert first.is_confirmed == (first.interval[0] > ends[0])
    assert min(lows) < ends[0] < max(lows)
    assert any(ends[1] < low < ends[0] for low in lows)


@pytest.mark.parametrize("n_draws", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_twenty_null_slices_are_covered_together_and_seldom_confirmed(n_draws):
    """Both sides of two rates.

    The slices are disjoint, so the number of draws in which an interval misses is binomial with an exact rate, .051 here (each
    interval at the plain level .9 would miss in .79 of draws, at half the correction in .10); two-sided level 1e-4. A slice is
    called confirmed in at most .05 of draws, and in no fewer than .005 of many: 20 tests without correction would do so in .6.
    """
    random = np.random.default_rng(7)
    search = twenty(np.arange(1200) % 5 == 0)
    counts = np.arange(61)
    with np.errstate(invalid="ignore"):
        low = np.nan_to_num(beta.ppf(0.1 / 80, counts, 61 - counts))
        high = np.nan_to_num(beta.ppf(1 - 0.1 / 80, counts + 1, 60 - counts), nan=1.0)
    missed = binom.pmf(counts, 60, 0.2)[(low > 0.2) | (high < 0.2)].sum()
    misses, confirmations = 0, 0
    for _ in range(n_draws):
        found = asked_again(search, random.random(1200) < 0.2, 0.9)
        misses += any(not rate.interval[0] <= 0.2 <= rate.interval[1] for rate in found.slices)
        confirmations += bool(found.confirmed)
    rate = 1 - (1 - missed) ** 20
    assert binom.ppf(5e-5, n_draws, rate) <= misses <= binom.isf(5e-5, n_draws, rate)
    assert binom.ppf(1e-4, n_draws, 0.005) <= confirmations <= binom.isf(1e-4, n_draws, 0.05)


@pytest.mark.parametrize("seed", [200, 203, 206])
def test_adjusted_p_values_are_benjamini_and_yekutieli_s(seed):
    """Against scipy over all slices that brute force finds with as many rows."""
    X, bad = small_table(seed)
    found = search_slices(X, bad, alpha=0.5, n_bins=10, min_support=2, max_slices=1000)
    brute = best_by_brute_force(X, bad, 3, found.support)
    assert found.n_tested == len(brute)
    assert found.slices
    adjusted = false_discovery_control([p for p, _ in brute], method="by")
    bins = Bins.from_rows(X, n_bins=10)
    by_conditions = {bins.conditions(key): value for (_, key), value in zip(brute, adjusted, strict=True)}
    for one in found.slices:
        assert one.adjusted_p_value == pytest.approx(by_conditions[one.conditions], rel=1e-9, abs=0)


def test_rows_that_were_searched_do_not_confirm():
    random = np.random.default_rng(0)
    X = random.random((400, 3))
    bad = random.random(400) < np.where(X[:, 0] > 0.8, 0.5, 0.05)
    found = search_slices(X[:200], bad[:200], alpha=None)
    with pytest.raises(
        InputError, match=r"X repeats 200 of the 200 searched rows .* needs rows that were used for nothing"
    ):
        confirm_slices(found, X, bad)
    assert confirm_slices(found, X[200:], bad[200:]).n_rows == 200


def test_nothing_to_find():
    X = np.random.default_rng(0).integers(0, 3, (50, 2))
    found = search_slices(X, np.zeros(50))
    assert found.slices == ()
    assert "Hypotheses from 50 rows, mean loss 0: 0 slices" in str(found)
    everything = search_slices(X, np.ones(50), alpha=None)
    assert everything.slices == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 0}, r"alpha must be a number in \(0, 1\), got 0"),
        ({"max_depth": 0}, "max_depth must be a whole number of at least 1, got 0"),
        ({"min_support": 0.5}, "min_support must be a whole number of at least 1, got 0.5"),
        ({"max_slices": 0}, "max_slices must be a whole number of at least 1"),
        ({"n_bins": 11}, "n_bins must be at most 10, got 11"),
        ({"n_jobs": 0}, "n_jobs must be None or a whole number other than 0"),
        ({"features": ["age"]}, "feature 'age' is not in X"),
        ({"bins": 5}, "bins must be a Bins, as Bins.from_rows returns, got 5"),
        ({"losses": np.zeros(3)}, r"losses has shape \(3,\) of type float64; expected one number for each row"),
        ({"losses": np.full(20, -1.0)}, "losses must be finite numbers of at least 0, got -1.0 in row 0"),
        ({"losses": np.full(20, np.nan)}, "losses must be finite numbers of at least 0, got nan in row 0"),
        ({"losses": np.array(["bad"] * 20)}, "losses has shape"),
        ({"X": [np.zeros((10, 2)), np.zeros((10, 2))]}, "X is a list of tables, whose parts need the same bins"),
        ({"X": np.zeros((20, 2))}, "have one bin each, so there is no slice"),
    ],
)
def test_refusals(change, message):
    given = {"X": np.arange(40).reshape(20, 2) % 3, "losses": np.zeros(20)} | change
    X, losses = given.pop("X"), given.pop("losses")
    with pytest.raises(InputError, match=message):
        search_slices(X, losses, **given)


def test_refusals_of_parts_and_of_confirmation():
    X = np.arange(40).reshape(20, 2) % 3
    bins = Bins.from_rows(X)
    with pytest.raises(InputError, match="X has 2 parts, so losses must be a list of as many arrays, got ndarray"):
        search_slices([X, X], np.zeros(40), bins=bins)
    with pytest.raises(InputError, match="X has no rows"):
        search_slices([X[:0]], [np.zeros(0)], bins=bins)
    with pytest.raises(InputError, match="search must be a SliceSearch, as search_slices returns, got 3"):
        confirm_slices(3, X, np.zeros(20))
    with pytest.raises(InputError, match="loss must be one of 'violated', 'rate', 'size', got 'bad'"):
        find_slices(Bent(), mixed(20), {"age": 1}, loss="bad")
    with pytest.raises(InputError, match="every feature is replaced by queries"):
        find_slices(Bent(), mixed(20)[["age"]], {"age": 1})
    rows = mixed(20).assign(age=np.nan)
    with pytest.raises(InputError, match="X has 0 rows to ask besides the reference rows"):
        find_slices(Bent(), rows, {"age": 1}, X_reference=mixed(20))
    with pytest.raises(
        InputError, match="49995000 slices of 2 conditions have to be looked at; expected at most 20000000"
    ):
        extended([literals(np.full(1000, 10))], np.full(1000, 10))


def test_dask_needs_dask_s_losses_and_bins():
    dataframe = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame({"a": [0, 1] * 10, "b": [0, 1, 2, 3] * 5})
    lazy = dataframe.from_pandas(frame, npartitions=2)
    with pytest.raises(InputError, match="X is a Dask data frame, whose parts need the same bins"):
        search_slices(lazy, frame["a"])
    with pytest.raises(InputError, match="losses must be a Dask series or array in the same parts, got Series"):
        search_slices(lazy, frame["a"], bins=Bins.from_rows(frame))
    other = dataframe.from_pandas(frame["a"], npartitions=1)
    with pytest.raises(InputError, match="X has 2 parts and losses 1; divide both alike"):
        search_slices(lazy, other, bins=Bins.from_rows(frame))


def test_pruning_counts_less_and_finds_as_much():
    """What was not counted is corrected for: by far the smallest p-value is adjusted by ``n (1 + 1/2 + ... + 1/n)``."""
    X, bad, slices = census(8000, 0)
    found = search_slices(X[:, :15], bad, n_bins=10)
    assert found.n_counted < found.n_tested <= found.n_possible
    first, n = found.slices[0], found.n_tested
    exact = first.p_value * n * (1 / np.arange(1, n + 1)).sum()
    assert first.adjusted_p_value == pytest.approx(exact, rel=1e-9, abs=0)
    assert "p-value" in str(first)
    assert slices


@pytest.mark.slow
def test_the_acceptance_figures():
    """All of ``python -m benchmarks risk --only slices`` at full size; false alarms of its two rates: 2 standard deviations."""
    missed = [one for one in checks(None) if one.met is False]
    assert not missed, missed
