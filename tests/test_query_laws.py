"""Query laws along lines: what a rejection rate says of the distance to the property, and that calibration holds for each.

Theorems are checked on hundreds of random lines with every probability enumerated, so nothing in that part can fail by chance.
Calibrations are judged by exact violation rates as in ``test_validity.py``, at three standard errors in the fast set, a
false-alarm probability of 0.3 % for each comparison, and at four in the slow set, 0.006 %; seeds are fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from scipy.stats import binom
from sklearn.ensemble import RandomForestRegressor

from alignconf import AlignedClassifier, AlignedRegressor, InputError, check
from alignconf.calibration.ranks import allowed_above
from alignconf.certify.distance import absolute_distances, hamming_distances
from alignconf.contract.property import LineProperty
from alignconf.lines.axis import Axis
from alignconf.lines.evaluation import PlacedRows
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.projectors.preparation import prepare
from alignconf.properties import (
    AllOf,
    Bounded,
    Concave,
    Convex,
    Decreasing,
    DiminishingReturns,
    Dominates,
    Increasing,
    Invariant,
    Lipschitz,
    SlopeAtLeast,
    SlopeAtMost,
    Unimodal,
)
from alignconf.queries.along_line import LineQueries, WholeLineQueries
from alignconf.queries.along_path import PathQueries, search_paths
from alignconf.queries.placement import QUERY_LAWS, along_line, check_query_law
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.random_streams import CERTIFY, generator
from tests.catalogue import CASES
from tests.chance import check_rate
from tests.test_validity import (
    REFERENCE,
    Scaled,
    draws,
    exceed,
    expected_rate,
    half_widths,
    margin,
    projected,
    sample_of,
    share_margin,
    thresholds,
)

LINE_PROPERTIES = list(dict.fromkeys(part for case in CASES for part in case.lines))
LOCAL = [part for part in LINE_PROPERTIES if part.is_local]
PAIRWISE = [part for part in LOCAL if part.n_points == 2]


def law_at(places: np.ndarray, masses: np.ndarray | None = None, n_knots: int = 10_000) -> ReferenceLaw:
    """Return the law of a column whose places occur in proportion to whole-number masses."""
    column = np.repeat(np.asarray(places, dtype=float), 1 if masses is None else np.asarray(masses, dtype=int))
    return ReferenceLaw.from_table(Axis(0, 0, None), column[:, None], n_knots)


def binary_search(i: int, m: int) -> list[int]:
    """Return the pivots that a plain binary search for place ``i`` meets, itself included."""
    low, high, met = 0, m, []
    while True:
        pivot = (low + high) // 2
        met.append(pivot)
        if pivot == i:
            return met
        low, high = (pivot + 1, high) if i > pivot else (low, pivot)


def random_lines(n_lines: int, seed: int = 0):
    """Yield lines of 2 to 40 values, many with ties, and whole-number masses of their places."""
    random = np.random.default_rng(seed)
    for i in range(n_lines):
        m = int(random.integers(2, 41))
        line = [
            lambda m: random.normal(size=m),
            lambda m: random.integers(0, 3, m).astype(float),
            lambda m: np.sort(random.normal(size=m)) + 0.4 * random.normal(size=m),
            lambda m: -np.arange(m) * 1.0,
            lambda m: np.where(random.random(m) < 0.2, -10.0, np.arange(m) // 3),
            lambda m: np.arange(m) % 2 * 1.0,
            lambda m: np.sort(random.integers(0, 4, m)).astype(float),
        ][i % 7](m)
        yield line, random.integers(1, 6, m) if i % 2 else np.ones(m, dtype=int)


def path_scores(line: np.ndarray) -> np.ndarray:
    """Return the largest fall between each place and a pivot of its binary search, by plain loops."""
    m = len(line)
    worst = np.zeros(m)
    for i in range(m):
        for c in binary_search(i, m):
            low, high = min(i, c), max(i, c)
            worst[i] = max(worst[i], line[low] - line[high])
    return worst


def asked_everywhere(part: LineProperty, law: ReferenceLaw) -> PathQueries:
    """Return one path query for each knot, all at one row."""
    return PathQueries(part, law, np.arange(law.knots.size)[None, :])


def rejected_at_each_place(part: LineProperty, law: ReferenceLaw, line: np.ndarray) -> np.ndarray:
    """Return which path queries the package rejects, for each knot as own place."""
    asked = asked_everywhere(part, law)
    values = line[search_paths(line.size)][None]
    return (asked.excess(values)[0].min(axis=-1) > 1e-12).any(axis=-1)


# ---------------------------------------------------------------------------------------------------------------------
# The search tree
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("m", [2, 3, 4, 5, 7, 8, 12, 31, 32, 64, 255])
def test_paths_are_those_of_a_plain_binary_search(m: int) -> None:
    paths = search_paths(m)
    assert paths.shape == (m, int(np.ceil(np.log2(m + 1))))
    for i, (own, *pivots) in enumerate(paths.tolist()):
        assert own == i
        met = binary_search(i, m)
        assert pivots[: len(met) - 1] == met[:-1]
        assert set(pivots[len(met) - 1 :]) <= {i}


@pytest.mark.parametrize("m", [2, 3, 6, 13, 32])
def test_two_paths_share_a_place_in_between(m: int) -> None:
    """The lowest common ancestor: this is all that the theorem needs of the tree."""
    for i, j in combinations(range(m), 2):
        assert any(i <= c <= j for c in set(binary_search(i, m)) & set(binary_search(j, m)))


def test_paths_cannot_be_changed_by_callers() -> None:
    with pytest.raises(ValueError, match="read-only"):
        search_paths(9)[0, 0] = 1


# ---------------------------------------------------------------------------------------------------------------------
# Path: P(a query fails) is at least the Hamming distance
# ---------------------------------------------------------------------------------------------------------------------
def test_the_path_rate_is_at_least_the_hamming_distance() -> None:
    ratios = []
    for line, masses in random_lines(700):
        law = law_at(np.arange(line.size), masses)
        weights = masses / masses.sum()
        np.testing.assert_allclose(law.knot_masses, weights)
        for sign, part in ((1, Increasing(0)), (-1, Decreasing(0))):
            fails = rejected_at_each_place(part, law, line)
            np.testing.assert_array_equal(fails, path_scores(sign * line) > 0)
            distance = hamming_distances(sign * line[None], weights)[0]
            rate = weights @ fails
            assert rate >= distance - 1e-12
            if distance:
                ratios.append(distance / rate)
    assert max(ratios) == pytest.approx(1), "the bound should be attained"
    assert min(ratios) < 0.7


def test_the_absolute_distance_is_at_most_the_range_times_the_path_rate() -> None:
    shares = []
    for line, masses in random_lines(300, seed=1):
        weights = masses / masses.sum()
        rate = weights @ (path_scores(line) > 0)
        distance = absolute_distances(line[None], weights)[0]
        assert distance <= np.ptp(line) * rate + 1e-12
        if rate:
            shares.append(distance / (np.ptp(line) * rate))
    assert max(shares) > 0.4


@pytest.mark.parametrize("part", PAIRWISE, ids=repr)
def test_places_that_pass_their_paths_have_the_property_together(part: LineProperty) -> None:
    """For every property of pairs that chains; and what passes can be completed to a whole line that has it."""
    random = np.random.default_rng(7)
    n_partial = 0
    for trial in range(60):
        m = int(random.integers(2, 14))
        places = np.sort(random.choice(np.arange(1.0, 40.0), m, replace=False))
        line = [
            4 * random.normal(size=m),
            4.0 * random.integers(0, 2, m),
            part.least_squares(random.normal(size=(1, m)), places, np.ones(m))[0] + 6 * (random.random(m) < 0.2),
        ][trial % 3]
        law = law_at(places)
        good = np.flatnonzero(~rejected_at_each_place(part, law, line))
        n_partial += 0 < good.size < m
        for i, j in combinations(good, 2):
            coefficients, bounds = part.demands(places[[i, j]])
            assert (coefficients @ line[[i, j]] <= bounds + 1e-9).all()
        assert completes(part, places, line, good)
    assert n_partial > 10


def completes(part: LineProperty, places: np.ndarray, line: np.ndarray, kept: np.ndarray) -> bool:
    """Return whether some line with the kept values passes all pairs, by linear programming."""
    rows, limits = [], []
    for i, j in combinations(range(len(line)), 2):
        coefficients, bounds = part.demands(places[[i, j]])
        for (a,), (b,) in zip(coefficients, bounds, strict=True):
            row = np.zeros(len(line))
            row[[i, j]] = a
            rows.append(row)
            limits.append(min(b, 1e9) + 1e-7)
    fixed = [(line[k], line[k]) if k in set(kept.tolist()) else (None, None) for k in range(len(line))]
    found = linprog(np.zeros(len(line)), np.array(rows), np.array(limits), bounds=fixed)
    return found.status == 0


def test_values_within_a_band_chain_with_twice_its_width() -> None:
    """Places whose largest fall along the path is at most w: one monotone line in a band of width 2w around them."""
    tight = []
    for line, _ in random_lines(400, seed=2):
        falls = path_scores(line)
        for w in np.unique(falls)[:6]:
            good = line[falls <= w + 1e-12]
            if good.size > 1:
                fall = (np.maximum.accumulate(good) - good).max()
                assert fall <= 2 * w + 1e-9
                if w > 0:
                    tight.append(fall / w)
                upper, lower = np.maximum.accumulate(good), np.minimum.accumulate(good[::-1])[::-1]
                middle = (upper + lower) / 2
                assert (np.diff(middle) >= -1e-12).all()
                assert (np.abs(middle - good) <= w + 1e-9).all()
    assert max(tight) == pytest.approx(2), "the factor two should be needed"


@pytest.mark.parametrize("n_teeth", [5, 20, 80])
def test_teeth_fail_few_independent_pairs_and_are_far_from_monotone(n_teeth: int) -> None:
    """Why independent pairs say nothing of how many values must change, and paths do."""
    size = 25
    line = (np.arange(n_teeth)[:, None] + 1 - np.arange(size) / size).ravel()
    m = line.size
    pairs = np.triu(line[:, None] > line[None, :], 1).sum() * 2 / m**2
    assert pairs == pytest.approx((1 - 1 / size) / n_teeth)
    distance = hamming_distances(line[None], np.ones(m))[0]
    assert distance == pytest.approx(1 - 1 / size)
    assert np.mean(path_scores(line) > 0) >= distance


def test_the_size_of_violations_bounds_the_absolute_distance() -> None:
    """distance^2 <= R E[size] <= R^2 p, all enumerated."""
    by_size, by_rate = [], []
    for line, masses in random_lines(700, seed=3):
        weights = masses / masses.sum()
        falls = np.triu(np.maximum(line[:, None] - line[None, :], 0), 1)
        both = np.outer(weights, weights)
        size, rate = 2 * (both * falls).sum(), 2 * (both * (falls > 0)).sum()
        distance, spread = absolute_distances(line[None], weights)[0], np.ptp(line)
        assert distance <= np.sqrt(spread * size) + 1e-9
        assert spread * size <= spread**2 * rate + 1e-9
        if rate:
            by_size.append(distance / np.sqrt(spread * size))
            by_rate.append(distance / (spread * np.sqrt(rate)))
    assert max(by_size) > 0.5
    assert np.mean(by_size) > 1.2 * np.mean(by_rate), "sizes should say more than the rate"


# ---------------------------------------------------------------------------------------------------------------------
# Whole lines: neighbours tell
# ---------------------------------------------------------------------------------------------------------------------
def passes(part: LineProperty, places: np.ndarray, line: np.ndarray, chosen: list[tuple[int, ...]]) -> bool:
    """Return whether a line passes the demands on some tuples of places, one by one."""
    for at in map(list, chosen):
        coefficients, bounds = part.demands(places[at])
        if ((coefficients @ line[at] - bounds).min(axis=-1) > 1e-9).any():
            return False
    return True


@pytest.mark.parametrize("part", LOCAL, ids=repr)
def test_neighbours_tell_whether_all_tuples_pass(part: LineProperty) -> None:
    random, verdicts = np.random.default_rng(11), []
    for trial in range(200):
        m = int(random.integers(part.n_points, 10))
        places = np.sort(random.choice(np.arange(0.5, 9.0, 0.5), m, replace=False))
        line = [
            part.least_squares(random.normal(size=(1, m)), places, np.ones(m))[0],
            part.least_squares(random.normal(size=(1, m)), places, np.ones(m))[0] + 3.0 * (np.arange(m) == m // 2),
            2.0 * random.integers(0, 2, m),
        ][trial % 3]
        every = passes(part, places, line, list(combinations(range(m), part.n_points)))
        neighbours = [tuple(range(i, i + part.n_points)) for i in range(m - part.n_points + 1)]
        assert passes(part, places, line, neighbours) == every
        asked = WholeLineQueries(part, law_at(places), 1)
        assert bool((asked.excess(line[None, None]).min(axis=-1) <= 1e-9).all()) == every
        verdicts.append(every)
    assert 0.1 < np.mean(verdicts) < 0.9


def test_neighbours_do_not_tell_for_an_unknown_peak_or_with_a_tolerance() -> None:
    places, valley = np.arange(4.0), np.array([1.0, 0.0, 0.0, 1.0])
    assert passes(Unimodal(0), places, valley, [(0, 1, 2), (1, 2, 3)])
    assert not passes(Unimodal(0), places, valley, [(0, 1, 3)])
    assert not Unimodal(0).is_local
    assert not Increasing(0, tol=0.1).is_local
    assert {type(part) for part in LOCAL} >= {Increasing, Decreasing, Invariant, Concave, Convex, Lipschitz, Unimodal}


# ---------------------------------------------------------------------------------------------------------------------
# Queries as values
# ---------------------------------------------------------------------------------------------------------------------
def test_a_place_on_its_own_path_is_never_rejected() -> None:
    """Whatever values a model that answers differently each time gives at the repeated place."""
    law = law_at(np.arange(4.0))
    asked = asked_everywhere(Invariant(0), law)
    values = np.random.default_rng(0).normal(size=(1, *search_paths(4).shape))
    own = search_paths(4)[:, 1:] == np.arange(4)[:, None]
    excess = asked.excess(values)[0, ..., 0]
    assert own.any()
    for place, pivot in zip(*np.nonzero(own), strict=True):
        assert (excess[place, [2 * pivot, 2 * pivot + 1]] == -np.inf).all()
    assert (excess[2] == -np.inf).all(), "the root is compared with nothing"


@pytest.mark.parametrize("n_knots", [2, 5, 8, 100])
def test_places_are_drawn_with_the_masses_of_the_knots(n_knots: int) -> None:
    """Chi-square at five standard deviations. False alarm: below 1e-5 for each case."""
    law = law_at(np.arange(9.0), [5, 1, 1, 3, 2, 7, 1, 1, 4], n_knots)
    asked = PathQueries(Increasing(0), law).placed(np.zeros((4000, 1)), np.random.default_rng(1).random((4000, 5, 1)))
    root = law.knots.size // 2
    counts = np.bincount(asked.positions.ravel(), minlength=law.knots.size)
    assert counts[root] == 0
    others = np.arange(law.knots.size) != root
    expected = 20_000 * law.knot_masses[others] / (1 - asked.least_coincidence)
    assert expected.sum() == pytest.approx(20_000)
    freedom = law.knots.size - 2
    assert ((counts[others] - expected) ** 2 / expected).sum() <= freedom + 5 * np.sqrt(2 * freedom) + 10
    # A place between two knots counts for the upper one.
    upper = [min(knot for knot in law.knots if knot >= place) for place in law.places]
    np.testing.assert_array_equal(law.knots[law.knot_of(law.places)], upper)


def test_rows_labels_and_words() -> None:
    law = law_at(np.arange(6.0))
    table = np.zeros((7, 2))
    path = PathQueries(Increasing(0), law).placed(np.zeros((7, 1)), np.random.default_rng(0).random((7, 3, 1)))
    line = WholeLineQueries(Increasing(0), law).placed(np.zeros((7, 1)), np.zeros((7, 1, 0)))
    for asked, n_points in ((path, 3), (line, 6)):
        block = asked.rows(slice(2, 5))
        np.testing.assert_array_equal(block.coordinates, asked.coordinates[2:5])
        (sites,) = block.sites(table[2:5])
        np.testing.assert_array_equal(block.arrange([sites[:, 0]]), block.coordinates[..., 0])
        assert asked.coordinates.shape[2] == n_points
        assert asked.labels(table, 4) == tuple(asked.coordinates[4, 0, :, 0].tolist())
    assert str(path) == (
        "one place from the marginal law of 0 in 6 reference rows, given that it is not the first pivot, against each pivot of "
        "its binary search among all 6 distinct places"
    )
    assert str(line) == "the values at all 6 distinct places of the marginal law of 0 in 6 reference rows, all together"
    few = law_at(np.arange(6.0), n_knots=3)
    assert "moved up to the next of 3 quantiles, given that it is not the first pivot, against each pivot" in str(
        PathQueries(Increasing(0), few)
    )
    assert "the values at 3 quantiles of the marginal" in str(WholeLineQueries(Increasing(0), few))


def test_the_worst_pair_is_found() -> None:
    law = law_at(np.arange(6.0))
    line = np.array([0.0, 5.0, 1.0, 2.0, 4.0, 3.9])
    whole = WholeLineQueries(Increasing(0), law, 1)
    assert whole.points_of_worst(line[None, None]).tolist() == [1, 2]
    path = PathQueries(Increasing(0), law, np.array([[1]]))
    points = path.points_of_worst(line[search_paths(6)[[1]]][None])
    assert path.places[0, 0, points].tolist() == [1.0, 3.0]
    pair = LineQueries(Increasing(0), law, np.array([[[0.0, 3.0]]]))
    assert pair.points_of_worst(np.zeros((1, 1, 2))).tolist() == [0, 1]


# ---------------------------------------------------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, repr=False)
class Reluctant(Increasing):
    """A property that does not promise to chain."""

    chains: ClassVar[bool] = False


@pytest.mark.parametrize(
    ("declared", "query_law", "words"),
    [
        (Increasing(0), "tree", "query_law must be one of 'iid', 'path', 'line', got 'tree'"),
        (Concave(0), "path", "query_law='path' compares pairs of places, and concave in 0 compares 3 at a time; use"),
        (AllOf(Increasing(0), Unimodal(1)), "path", "unimodal in 1 compares 3 at a time"),
        (
            Unimodal(0),
            "line",
            "neighbours alone do not tell whether a whole line is unimodal in 0; use query_law='iid'",
        ),
        (Increasing(0, tol=0.5), "line", "is increasing in 0 up to 0.5, with its tolerance; use query_law='iid'"),
        (Reluctant(0), "line", "neighbours alone do not tell"),
        (DiminishingReturns(0, 1), "path", "asks along lines, and diminishing returns"),
        (DiminishingReturns(0, 1), "line", "is about planes; use query_law='iid'"),
    ],
)
def test_what_a_law_cannot_ask_is_refused_by_name(declared, query_law, words) -> None:
    X = np.random.default_rng(0).random((60, 2))
    aligned = AlignedRegressor(Sum(), declared, query_law=query_law, confidence=None)
    for call in (
        lambda: check_query_law(declared, query_law),
        lambda: aligned.calibrate(X),
        lambda: check(Sum(), X, declared, query_law=query_law),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert words in str(caught.value)
    check_query_law(declared, "iid")


def test_a_tolerance_is_allowed_along_paths_and_says_nothing_of_distances() -> None:
    aligned = AlignedRegressor(
        Wave(), Increasing(0, tol=0.1), query_law="path", random_state=0, confidence=None
    ).calibrate(X_MANY)
    certificate = aligned.certify(X_NEW)
    assert certificate.hamming_bound is certificate.distance_bound is certificate.size_bound is None


def test_a_line_that_is_too_short_for_triples_is_refused() -> None:
    with pytest.raises(InputError, match=r"which has only 2 places in the reference rows; at least 3 are compared"):
        along_line(Concave(0), law_at(np.arange(9.0), n_knots=2), "line")


@pytest.mark.parametrize("query_law", ["path", "line"])
def test_existence_is_refused_where_demands_share_points(query_law: str) -> None:
    aligned = AlignedRegressor(Wave(), {0: 1}, query_law=query_law, loss="existence", random_state=0, confidence=None)
    with pytest.raises(InputError, match=f"share points with query_law='{query_law}'"):
        aligned.calibrate(X_MANY)


# ---------------------------------------------------------------------------------------------------------------------
# End to end
# ---------------------------------------------------------------------------------------------------------------------
X_MANY, X_NEW = np.random.default_rng(5).random((300, 3)), np.random.default_rng(6).random((200, 3))


def rows_of(n_samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n_samples, 3))


class Sum:
    def predict(self, X):
        return np.asarray(X, dtype=float).sum(axis=1)


class Wave:
    def predict(self, X):
        X = np.asarray(X, dtype=float)
        return X[:, 1] * np.sin(9 * X[:, 0]) + X[:, 2]


LAWS = list(QUERY_LAWS)


@pytest.mark.parametrize("query_law", LAWS)
@pytest.mark.parametrize(
    "properties",
    [{0: 1}, {0: -1}, {0: 1, 2: 1}, [Dominates(0, 2)], [Lipschitz(0, 2.0)], [Increasing(0), Bounded(-1, 1)]],
    ids=repr,
)
def test_full_strength_passes_and_calibration_keeps_its_rate(query_law: str, properties) -> None:
    """Full strength leaves nothing under the laws that look at knots. False alarm of the rates: 1e-4 for each."""
    settings = {"confidence": None, "query_law": query_law, "n_knots": 12, "random_state": 0}
    full = AlignedRegressor(Wave(), properties, alpha=0, **settings).calibrate(X_MANY).certify(X_NEW)
    assert query_law == "iid" or full.full_strength.n_rejected == 0
    aligned = AlignedRegressor(Wave(), properties, alpha=0.2, n_queries=1, **{"confidence": None, **settings})
    aligned.calibrate(rows_of(1000, 7), X_reference=X_MANY)
    certificate = check_rate(aligned, rows_of(2000, 8), 1000, 0.2)
    draws = RowDraws.of(X_NEW[:1], np.random.default_rng(0))
    assert str(aligned.alignment_.tester.draw(X_NEW[:1], 1, draws)) == certificate.query_law
    assert certificate.query_law in aligned.calibration_.statement


@pytest.mark.parametrize("query_law", ["path", "line"])
def test_what_is_certified_is_what_predict_answers(query_law: str) -> None:
    """Count again, by plain loops over the answers of ``predict`` at all knots of each line."""
    aligned = AlignedRegressor(
        Wave(), {0: -1}, alpha=0.3, query_law=query_law, n_knots=12, random_state=0, confidence=None
    )
    certificate = aligned.calibrate(X_MANY).certify(X_NEW)
    knots = aligned.alignment_.tester.laws[0].knots
    moved = np.repeat(X_NEW, len(knots), axis=0)
    moved[:, 0] = np.tile(knots, len(X_NEW))
    (asked,) = aligned.alignment_.tester.draw(X_NEW, 1, RowDraws.of(X_NEW, generator(0, CERTIFY))).parts
    for model, count in ((Wave(), certificate.before), (aligned, certificate.delivered)):
        lines = -model.predict(moved).reshape(200, -1)
        if query_law == "line":
            fails = (np.diff(lines, axis=1) < -1e-12).any(axis=1)
        else:
            fails = [path_scores(line)[own] > 1e-12 for line, own in zip(lines, asked.positions[:, 0], strict=True)]
        assert np.sum(fails) == count.n_rejected > 0


@pytest.mark.parametrize("declared", [Increasing(0), Concave(0), Unimodal(0, peak=0.5), Lipschitz(0, 2.0)], ids=str)
def test_whole_lines_are_read_off_the_projection_and_agree_with_other_points(declared) -> None:
    """At the knots by way of the projection, and in another order by way of the points between knots."""
    aligned = AlignedRegressor(Wave(), declared, alpha=0, query_law="line", n_knots=12).calibrate(X_MANY)
    (grid,), knots = aligned.alignment_.chain.stages, aligned.alignment_.tester.laws[0].knots
    asked = WholeLineQueries(declared, aligned.alignment_.tester.laws[0], len(X_NEW))
    ((f, g, _),) = grid.at_queries(Wave(), PlacedRows.of(X_NEW, grid.axes), [asked])
    turned = LineQueries(declared, asked.law, np.broadcast_to(knots[::-1], (len(X_NEW), 1, knots.size)))
    ((f_turned, g_turned, _),) = grid.at_queries(Wave(), PlacedRows.of(X_NEW, grid.axes), [turned])
    np.testing.assert_allclose(f, f_turned[..., ::-1], atol=1e-12)
    np.testing.assert_allclose(g, g_turned[..., ::-1], atol=1e-12)
    assert np.abs(f - g).max() > 0.01


@pytest.mark.parametrize("query_law", ["path", "line"])
@pytest.mark.parametrize("n_knots", [12, 64])
def test_trees_are_exact_on_their_pieces(query_law: str, n_knots: int) -> None:
    y = Wave().predict(X_MANY)
    forest = RandomForestRegressor(5, max_depth=4, random_state=0).fit(X_MANY, y)
    aligned = AlignedRegressor(forest, {0: 1}, alpha=0, query_law=query_law, n_knots=n_knots).calibrate(X_MANY)
    assert aligned.alignment_.chain.is_exact
    certificate = aligned.certify(X_NEW)
    assert certificate.n_rejected == 0 < certificate.before.n_rejected


@pytest.mark.parametrize("query_law", ["path", "line"])
def test_classes_categories_surrogates_and_curvature(query_law: str) -> None:
    random = np.random.default_rng(3)

    class Classes:
        classes_: ClassVar = np.array([0, 1])

        def predict_proba(self, X):
            p = 0.5 + 0.4 * np.sin(9 * np.asarray(X)[:, 0])
            return np.column_stack([1 - p, p])

    classifier = AlignedClassifier(Classes(), {0: 1}, query_law=query_law, random_state=0, confidence=None).calibrate(
        X_MANY
    )
    assert classifier.certify(X_NEW).full_strength.n_rejected == 0

    class Grades:
        def predict(self, X):
            return X["grade"].map({"low": 2.0, "mid": 1.0, "high": 3.0}).to_numpy(float) * X["z"].to_numpy()

    frame, fresh = (
        pd.DataFrame({"grade": random.choice(["low", "mid", "high"], 300), "z": random.random(300)}) for _ in range(2)
    )
    graded = AlignedRegressor(
        Grades(), Increasing("grade", order=["low", "mid", "high"]), query_law=query_law, confidence=None
    )
    certificate = graded.set_params(alpha=0).calibrate(frame).certify(fresh)
    assert certificate.n_rejected == 0 < certificate.before.n_rejected
    assert "all 3 distinct places" in certificate.query_law

    wide, others = np.random.default_rng(4).random((2, 300, 4))
    many = AlignedRegressor(Sum(), dict.fromkeys(range(4), -1), alpha=0, query_law=query_law).calibrate(wide)
    assert many.certify(others).n_rejected == 0
    if query_law == "line":
        for declared in (Concave(0), Unimodal(0, peak=0.5)):
            aligned = AlignedRegressor(Wave(), declared, alpha=0, query_law="line").calibrate(X_MANY)
            assert aligned.certify(X_NEW).n_rejected == 0 < aligned.certify(X_NEW).before.n_rejected


@pytest.mark.parametrize("query_law", LAWS)
def test_audits(query_law: str) -> None:
    found = check(Wave(), X_NEW, {0: 1}, query_law=query_law, random_state=0)
    assert len(found.worst.values) == 2
    low, high = found.worst.values
    assert low < high
    row = np.repeat(X_NEW[[found.worst.row]], 2, axis=0)
    row[:, 0] = found.worst.values
    np.testing.assert_allclose(Wave().predict(row), found.worst.predictions)
    assert found.worst.excess == pytest.approx(-np.diff(found.worst.predictions)[0])
    assert {"iid": "two different places", "path": "binary search among all 40", "line": "all together"}[
        query_law
    ] in found.sentence
    assert check(Sum(), X_NEW, {0: 1}, query_law=query_law).violations.n_rejected == 0


def test_the_whole_line_is_strictest() -> None:
    rates = [check(Wave(), X_NEW, {0: 1}, query_law=law, random_state=0).violations.rate for law in LAWS]
    assert rates[0] < rates[1] < rates[2] == 1


# ---------------------------------------------------------------------------------------------------------------------
# Validity
# ---------------------------------------------------------------------------------------------------------------------
def alignment_of(query_law: str, n_knots: int = 64):
    return prepare(Scaled(), Increasing(0), REFERENCE, REFERENCE, norm="l2", n_knots=n_knots, query_law=query_law)


def limits_of(query_law: str, law: ReferenceLaw) -> np.ndarray:
    """Return the half-width from which each query passes, one entry for each reference row, all equally likely.

    Those at the first pivot of all paths are compared with nothing and are not asked.

    The thresholds of pairs are those of ``test_validity``, by bisection on the delivered function.
    """
    h, g = projected(law)
    places = sample_of(law)
    at = np.searchsorted(places, law.knots)
    pairs = np.triu(thresholds(h[at], g[at]), 1)
    pairs = pairs + pairs.T
    m = len(at)
    if query_law == "line":
        return np.array([max(pairs[k, k + 1] for k in range(m - 1))])
    of_knots = np.array([max(pairs[i, c] for c in binary_search(i, m)) for i in range(m)])
    moved_up = np.array([next(k for k in range(m) if law.knots[k] >= place) for place in places])
    return of_knots[moved_up[moved_up != m // 2]]


def test_the_thresholds_of_neighbours_are_those_of_the_whole_line() -> None:
    law = alignment_of("line").tester.laws[0]
    h, g = projected(law)
    assert limits_of("line", law)[0] == pytest.approx(np.triu(thresholds(h, g), 1).max())


@pytest.mark.parametrize("query_law", ["path", "line"])
def test_the_truth_is_the_rate_that_fresh_queries_show(query_law: str) -> None:
    """The finite sum against 20,000 queries at each of three half-widths. False alarm: 1e-5 for each."""
    random = np.random.default_rng(1)
    rows, fresh = draw_rows_of(300, random), draw_rows_of(20_000, random)
    for alpha in (0.3, 0.1, 0.05):
        aligned = AlignedRegressor(Scaled(), {0: 1}, alpha=alpha, query_law=query_law, random_state=0, confidence=None)
        aligned.calibrate(rows, X_reference=REFERENCE)
        p = exceed(aligned.lambda_, limits_of(query_law, aligned.alignment_.tester.laws[0]))[0]
        count = aligned.certify(fresh).n_rejected
        assert binom.ppf(5e-6, 20_000, p) <= count <= binom.isf(5e-6, 20_000, p)
        assert 0 < p < 2 * alpha


def draw_rows_of(n_samples: int, random: np.random.Generator) -> np.ndarray:
    return np.column_stack([random.choice(REFERENCE[:, 0], n_samples), random.exponential(size=n_samples)])


@draws
@pytest.mark.parametrize("n_knots", [64, 5], ids=["all places", "quantiles"])
@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("query_law", ["path", "line"])
def test_the_mean_rate_is_what_the_rank_says(query_law: str, alpha: float, n_knots: int, n_draws: int) -> None:
    alignment = alignment_of(query_law, n_knots)
    limits = limits_of(query_law, alignment.tester.laws[0])
    rates = exceed(half_widths("delivered", n_draws, 60, alpha, alignment=alignment), limits)
    assert abs(rates.mean() - expected_rate(alpha, 60)) <= margin(rates)
    assert rates.mean() <= alpha + margin(rates)


@draws
@pytest.mark.parametrize("alpha", [0.1, 0.2])
def test_several_paths_per_row_keep_the_promise(alpha: float, n_draws: int) -> None:
    alignment = alignment_of("path")
    limits = limits_of("path", alignment.tester.laws[0])
    single = exceed(half_widths("delivered", n_draws, 60, alpha, alignment=alignment), limits)
    several = exceed(half_widths("delivered", n_draws, 60, alpha, n_queries=5, alignment=alignment), limits)
    assert several.mean() <= alpha + margin(several)
    assert several.mean() >= alpha - (1 + 1 / 5) / 61 - margin(several)
    assert several.std() < single.std()


@draws
@pytest.mark.parametrize("query_law", ["path", "line"])
def test_with_confidence_the_rate_is_exceeded_as_rarely_as_promised(query_law: str, n_draws: int) -> None:
    """Exactly with probability P(Bin(n, alpha) <= r), at most 10 %."""
    alignment = alignment_of(query_law)
    limits = limits_of(query_law, alignment.tester.laws[0])
    found = half_widths("delivered", n_draws, 100, 0.1, confidence=0.9, alignment=alignment, seed=3)
    exact = binom.cdf(allowed_above(100, 1, 0.1, 0.9), 100, 0.1)
    assert exact <= 0.1
    assert abs(np.mean(exceed(found, limits) > 0.1) - exact) <= share_margin(exact, n_draws)


def test_calibrating_pairs_does_not_calibrate_paths() -> None:
    """The law is part of the claim: a half-width for independent pairs lets many more paths fail."""
    alignment = alignment_of("path")
    limits = limits_of("path", alignment.tester.laws[0])
    rates = exceed(half_widths("delivered", 500, 60, 0.1), limits)
    assert rates.mean() > 0.12


def test_slopes_chain_too() -> None:
    """Slope bounds are order of f - m x: the same paths fail."""
    line, places = np.array([0.0, 1.5, 1.0, 4.0, 3.0]), np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    law = law_at(places)
    for part, tilted in ((SlopeAtLeast(0, 0.7), line - 0.7 * places), (SlopeAtMost(0, 0.7), 0.7 * places - line)):
        np.testing.assert_array_equal(rejected_at_each_place(part, law, line), path_scores(tilted) > 1e-12)
