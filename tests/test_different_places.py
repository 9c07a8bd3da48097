"""A query compares different places: exact laws by enumeration, and rules on features most of whose values are one and the same.

Statistical checks have fixed seeds and both sides; false alarms are at most 1e-4 for each.
"""

from __future__ import annotations

from itertools import combinations
from math import lcm, prod

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, chisquare

from alignconf import AlignedRegressor, InputError, check
from alignconf.certify.verdict import VIOLATED
from alignconf.deployment.input_law import InputLaw
from alignconf.deployment.monitoring.monitor import Monitor
from alignconf.deployment.monitoring.sequential import SequentialCertificate
from alignconf.deployment.rare import violation_probability
from alignconf.deployment.violation_score import ViolationScore
from alignconf.kernels.distinct_draws import distinct_positions, symmetric_sums
from alignconf.properties import AllOf, Concave, DiminishingReturns, Dominates, Increasing, Unimodal
from alignconf.queries.row_draws import RowDraws

# ---------------------------------------------------------------------------------------------------------------------
# The law of several different places
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masses", [(1, 2, 3), (3, 1), (4, 1, 0, 1), (1, 1, 1, 1), (1, 2, 1, 1)], ids=str)
@pytest.mark.parametrize("n_points", [1, 2, 3])
def test_sets_have_the_product_of_their_masses(masses: tuple[int, ...], n_points: int) -> None:
    """Exactly: at the midpoints of a grid so fine that every probability is a multiple of its step, counts are the law."""
    weights = np.array(masses, dtype=float)
    chosen = list(combinations(range(len(masses)), n_points))
    exact = np.array([prod(masses[i] for i in one) for one in chosen])
    if not exact.any():
        return
    sums = symmetric_sums(weights, n_points)
    assert sums[-1][-1] == exact.sum()
    steps = [int(exact.sum()), *(lcm(*(int(s) for s in order if s)) for order in reversed(sums[:-1]))]
    axes = [(np.arange(n) + 0.5) / n for n in steps]
    # The number of the largest place is the last one.
    uniforms = np.stack(np.meshgrid(*reversed(axes), indexing="ij"), axis=-1).reshape(1, -1, n_points)
    found = distinct_positions(weights, uniforms)[0]
    counts = np.array([np.all(found == one, axis=1).sum() for one in chosen])
    np.testing.assert_array_equal(counts * exact.sum(), exact * len(found))


def test_rows_of_their_own_masses_are_drawn_as_if_alone() -> None:
    random = np.random.default_rng(0)
    masses, uniforms = random.exponential(size=(40, 30)), random.random((40, 5, 3))
    together = distinct_positions(masses, uniforms)
    for row in range(40):
        np.testing.assert_array_equal(distinct_positions(masses[row], uniforms[row][None])[0], together[row])
    assert (np.diff(together, axis=-1) > 0).all()
    shared, of_rows = masses[0] * (np.arange(30) % 4 > 0), np.empty((40, 30))
    of_rows[:] = shared
    np.testing.assert_array_equal(distinct_positions(shared, uniforms), distinct_positions(of_rows, uniforms))
    ends = distinct_positions(masses[0], np.array([[[0.0] * 3, [1 - 2.0**-53] * 3]]))[0]
    np.testing.assert_array_equal(ends, [[0, 1, 2], [27, 28, 29]])


# ---------------------------------------------------------------------------------------------------------------------
# Tied features
# ---------------------------------------------------------------------------------------------------------------------
def offenders(n_samples: int, seed: int) -> pd.DataFrame:
    """Made-up rows: counts of prior offences, and of juvenile ones, 97 % of which are 0, so that 94 % of iid pairs coincide."""
    random = np.random.default_rng(seed)
    juvenile = np.where(random.random(n_samples) < 0.97, 0, random.integers(1, 4, n_samples))
    return pd.DataFrame({"priors": random.poisson(3, n_samples), "juvenile": juvenile})


class Falling:
    """Risk that falls by 20 with every juvenile offence: wrong at every row."""

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return 50.0 + 5.0 * X["priors"].to_numpy() - 20.0 * X["juvenile"].to_numpy()


RULE = {"juvenile": "increasing"}


@pytest.mark.parametrize("query_law", ["iid", "path", "line"])
def test_a_rule_on_a_tied_feature_that_is_broken_everywhere_is_violated_everywhere(query_law: str) -> None:
    rows, reference = offenders(300, 1), offenders(1000, 2)
    counts = np.bincount(reference["juvenile"]) / 1000
    assert 0.93 < np.sum(counts**2) < 0.95
    audit = check(Falling(), rows, RULE, query_law=query_law, X_reference=reference, random_state=0)
    assert audit.violations.rate == 1
    assert audit.verdict(0.1).word == VIOLATED
    aligned = AlignedRegressor(Falling(), RULE, alpha=0.1, query_law=query_law, random_state=0, confidence=None)
    aligned.calibrate(rows, X_reference=reference)
    assert 10 <= aligned.lambda_ < np.inf
    certificate = aligned.certify(offenders(300, 3))
    assert certificate.before.rate == 1
    # A calibration on 300 rows misses 0.1 by more than 0.05 with probability below 1e-4; queries take few values.
    assert certificate.delivered.rate <= binom.isf(1e-4, 300, 0.15) / 300
    moved = pd.DataFrame({"priors": [3, 3, 3], "juvenile": [0, 1, 2]})
    full = AlignedRegressor(Falling(), RULE, alpha=0).calibrate(reference).predict(moved)
    assert (np.diff(full) >= 0).all(), "counts of juvenile offences are repaired"


def test_the_rest_of_the_library_asks_the_same_queries() -> None:
    """Certificates of streams, monitors, scores for search and slices, and simulations all find the rule broken everywhere."""
    rows, reference = offenders(200, 4), offenders(1000, 5)
    aligned = AlignedRegressor(Falling(), RULE, alpha=0.1, random_state=0, confidence=None).calibrate(
        rows, X_reference=reference
    )
    score = ViolationScore.of(Falling(), RULE, reference)
    assert (score.row_sizes(rows, 3, np.random.default_rng(0)) > 0).all()
    placed = score.placed(np.random.default_rng(1).random((50, score.n_uniforms)), rows.iloc[:50]).parts[0]
    assert (np.diff(placed.coordinates[..., 0], axis=-1) > 0).all()
    stream = SequentialCertificate(aligned).update(offenders(200, 6))
    assert stream.rate <= 0.3
    before = aligned.critical_half_widths(offenders(200, 7))
    assert (before > 0).all(), "every row is violated without a band"
    monitor = Monitor(aligned, limit=0.3).update(offenders(200, 8))
    assert monitor.rate.n_rows == 200
    found = violation_probability(
        Falling(), RULE, InputLaw.from_rows(reference), X_reference=reference, budget=100_000, random_state=0
    )
    assert found.probability == pytest.approx(1.0)


def test_the_rate_is_that_of_pairs_that_differ() -> None:
    """Three places of masses .9, .06 and .04, values 1, 0, 2: only the pair (0, 1) fails. Both sides at 1e-4."""
    column = np.repeat([0.0, 1.0, 2.0], [900, 60, 40])[:, None]

    class Model:
        def predict(self, X: np.ndarray) -> np.ndarray:
            return np.array([1.0, 0.0, 2.0])[np.asarray(X)[:, 0].astype(int)]

    exact = 0.9 * 0.06 / (0.9 * 0.06 + 0.9 * 0.04 + 0.06 * 0.04)
    fresh = np.random.default_rng(9).choice([0.0, 1.0, 2.0], (20_000, 1))
    count = check(Model(), fresh, {0: 1}, X_reference=column, random_state=0).violations.n_rejected
    assert binom.ppf(5e-5, 20_000, exact) <= count <= binom.isf(5e-5, 20_000, exact)


def test_rectangles_and_triples_have_different_ends_and_places() -> None:
    random = np.random.default_rng(10)
    table = np.column_stack(
        [random.choice(4, 500, p=[0.9, 0.05, 0.03, 0.02]), random.choice(3, 500, p=[0.94, 0.03, 0.03])]
    )
    table = table.astype(float)

    class Model:
        def predict(self, X: np.ndarray) -> np.ndarray:
            return np.asarray(X)[:, 0] * np.asarray(X)[:, 1] + np.asarray(X)[:, 0] ** 2

    planes = check(Model(), table, DiminishingReturns(0, 1), X_reference=table, random_state=0)
    assert planes.violations.rate == 1
    both = check(Model(), table, AllOf(Concave(0), Increasing(1)), X_reference=table, random_state=0)
    assert both.violations.rate == 1
    score = ViolationScore.of(Model(), Concave(0), table)
    places = score.drawn(table, 20, np.random.default_rng(0)).parts[0].coordinates[..., 0].reshape(-1, 3)
    shares = np.bincount(table[:, 0].astype(int)) / 500
    chosen = list(combinations(range(4), 3))
    expected = np.array([prod(shares[list(one)]) for one in chosen])
    counts = [np.all(places == one, axis=1).sum() for one in chosen]
    assert chisquare(counts, expected / expected.sum() * len(places)).pvalue > 1e-4


@pytest.mark.parametrize("declared", [Concave(0), Unimodal(0)], ids=str)
@pytest.mark.parametrize("query_law", ["iid", "line"])
def test_three_places_of_a_feature_with_two_are_refused(declared: object, query_law: str) -> None:
    table = np.random.default_rng(11).integers(0, 2, (100, 2)).astype(float)

    class Model:
        def predict(self, X: np.ndarray) -> np.ndarray:
            return np.asarray(X)[:, 0]

    if query_law == "line" and isinstance(declared, Unimodal):
        return
    message = (
        r"compares 3 different places, and .*0.* has only 2 in the reference rows, so there is no query to ask\. Give"
    )
    with pytest.raises(InputError, match=message):
        check(Model(), table, declared, query_law=query_law)
    with pytest.raises(InputError, match=message):
        AlignedRegressor(Model(), declared, query_law=query_law, confidence=None).calibrate(table)


def test_trade_lines_and_categories_compare_different_places() -> None:
    random = np.random.default_rng(12)
    table = random.random((300, 2))

    class Model:
        def predict(self, X: np.ndarray) -> np.ndarray:
            return np.asarray(X)[:, 1] - np.asarray(X)[:, 0]

    assert check(Model(), table, Dominates(0, 1), random_state=0).violations.rate == 1
    grades = pd.DataFrame({"g": random.choice(["a", "b", "c"], 400, p=[0.96, 0.02, 0.02]), "z": random.random(400)})

    class Graded:
        def predict(self, X: pd.DataFrame) -> np.ndarray:
            return X["g"].map({"a": 2.0, "b": 1.0, "c": 0.0}).to_numpy(float)

    found = check(Graded(), grades, Increasing("g", order=["a", "b", "c"]), random_state=0)
    assert found.violations.rate == 1


def test_numbers_of_draws_do_not_depend_on_how_much_coincides() -> None:
    """The same number of uniform numbers for each query, so that simulations along them stay exact."""
    score = ViolationScore.of(
        Falling(), [Increasing("juvenile"), DiminishingReturns("priors", "juvenile")], offenders(500, 13)
    )
    assert score.n_uniforms == 2 + 4
    assert RowDraws.of(offenders(5, 14), np.random.default_rng(0)).uniforms(2, 6).shape == (5, 2, 6)
