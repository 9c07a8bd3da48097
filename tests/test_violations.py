"""The violation score that search, slices, forecasts and the simulation of rare violations share."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from alignconf import check
from alignconf.deployment.violation_score import CountedModel, ViolationScore
from alignconf.errors import InputError
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
    LinearProperty,
    Lipschitz,
    Rule,
    Unimodal,
)
from alignconf.queries.placement import along_line
from alignconf.queries.queries import Queries


class Plane:
    """Answers ``weights @ x``."""

    def __init__(self, *weights: float) -> None:
        self.weights = np.array(weights)

    def predict(self, rows):
        return np.asarray(rows, dtype=float)[:, : self.weights.size] @ self.weights


def uniform_rows(n_samples, n_features=2, seed=0):
    return np.random.default_rng(seed).uniform(size=(n_samples, n_features))


def test_margins_of_a_plane_are_its_slope_times_the_gap():
    rows = uniform_rows(200)
    score = ViolationScore.of(Plane(-2.0, 1.0), {0: "increasing"}, rows)
    queries = score.drawn(rows, 3, np.random.default_rng(1))
    places = queries.parts[0].coordinates[..., 0]
    gap = places[..., 1] - places[..., 0]
    np.testing.assert_allclose(score.margins(rows, queries), 2 * gap, rtol=1e-12)
    np.testing.assert_array_equal(score.sizes(rows, queries), score.margins(rows, queries))
    kept = ViolationScore.of(Plane(2.0, 1.0), {0: "increasing"}, rows)
    np.testing.assert_allclose(kept.margins(rows, queries), -2 * gap, rtol=1e-12)
    assert not kept.sizes(rows, queries).any()


def test_the_worst_of_all_parts_counts():
    rows = uniform_rows(50)
    score = ViolationScore.of(Plane(-1.0, -3.0), {0: "increasing", 1: "increasing"}, rows)
    queries = score.drawn(rows, 1, np.random.default_rng(1))
    gaps = [np.diff(part.coordinates[..., 0], axis=-1)[..., 0] for part in queries.parts]
    np.testing.assert_allclose(score.margins(rows, queries), np.maximum(gaps[0], 3 * gaps[1]), rtol=1e-12)


def test_every_row_sent_to_the_model_is_counted():
    rows = uniform_rows(40)
    counted = CountedModel(Plane(1.0, 1.0))
    score = ViolationScore.of(counted, AllOf(Increasing(0), Concave(1)), rows)
    assert counted.n_rows == 0
    assert score.n_sites == 5
    assert score.n_uniforms == 5
    score.row_sizes(rows, 4, np.random.default_rng(0))
    assert counted.n_rows == 40 * 4 * score.n_sites
    assert ViolationScore.of(counted, Increasing(0), rows).model is counted


KINDS = [
    Increasing("a"),
    AllOf(Increasing("a"), Decreasing("b")),
    AllOf(Increasing("a"), Concave("a")),
    Convex("b"),
    Invariant("a"),
    Lipschitz("a", 0.5),
    Unimodal("a"),
    DiminishingReturns("a", "b"),
    Dominates("a", "b"),
    Bounded(0, 0.4),
    LinearProperty([{"a": 0.0}, {"a": 1.0}], [-1, 1], 0),
    AllOf(Increasing("a"), Bounded(hi=0.5)),
]


class Wavy:
    """Breaks every property somewhere."""

    def predict(self, rows):
        a, b = (np.asarray(rows[name], dtype=float) for name in "ab")
        return 0.5 * np.sin(7 * a) * b + 0.3 * np.cos(5 * b)


@pytest.mark.parametrize("declared", KINDS, ids=str)
def test_uniform_numbers_choose_the_queries_that_are_drawn(declared):
    """Two-sample Kolmogorov-Smirnov tests of the margins under both ways; each alarms falsely with probability 1e-4."""
    table = pd.DataFrame(uniform_rows(3000, seed=3), columns=list("ab"))
    score = ViolationScore.of(Wavy(), declared, table)
    random = np.random.default_rng(5)
    drawn = score.margins(table, score.drawn(table, 1, random))[:, 0]
    chosen = score.placed(random.uniform(size=(3000, score.n_uniforms)), table)
    placed = score.margins(table, chosen)[:, 0]
    assert ks_2samp(drawn, placed).pvalue > 1e-4
    assert (placed > 0).any()


@pytest.mark.parametrize("declared", KINDS, ids=str)
def test_a_query_is_violated_exactly_if_an_audit_says_so(declared):
    """Both are binomial with the same rate: a difference of 4.5 standard deviations is a false alarm at 1e-5."""
    table = pd.DataFrame(uniform_rows(4000, seed=4), columns=list("ab"))
    audit = check(Wavy(), table[:2000], declared, X_reference=table[2000:], random_state=0)
    score = ViolationScore.of(Wavy(), declared, table[2000:])
    sizes = score.row_sizes(table[:2000], 1, np.random.default_rng(1))
    rate, pooled = (sizes > 0).mean(), ((sizes > 0).mean() + audit.violations.rate) / 2
    assert abs(rate - audit.violations.rate) <= 4.5 * np.sqrt(pooled * (1 - pooled) / 1000)


def test_given_places_are_asked_in_order():
    rows = uniform_rows(3)
    score = ViolationScore.of(Plane(-1.0, 0.0), {0: "increasing"}, rows)
    part = score.parts[0].at(np.array([[[0.75, 0.25], [0.0, 1.0]]] * 3))
    np.testing.assert_array_equal(score.margins(rows, Queries((part,), 3, 2)), [[0.5, 1.0]] * 3)
    with pytest.raises(TypeError, match="not asked at places of one's choice"):
        along_line(Increasing(0), part.law, "path").at(np.zeros((3, 1, 1)))


def test_differences_of_rounding_are_no_violations():
    class Rough:
        def predict(self, rows):
            return 1e6 + np.where(np.asarray(rows)[:, 0] < 0.5, 2e-10, 0.0)

    rows = uniform_rows(100)
    sizes = ViolationScore.of(Rough(), Increasing(0), rows).row_sizes(rows, 2, np.random.default_rng(0))
    assert not sizes.any()


def test_rules_say_yes_or_no_only():
    rows = uniform_rows(10)
    rule = Rule(
        [{0: 0.0}, {0: 1.0}], lambda values: values[:, 0] <= values[:, 1], lambda values: np.sort(values, axis=1)
    )
    score = ViolationScore.of(Plane(-1.0), rule, rows)
    assert score.is_opaque
    assert score.row_sizes(rows, 1, np.random.default_rng(0)).tolist() == [[1.0]] * 10


def test_rows_that_cannot_be_asked_are_refused():
    rows = uniform_rows(10)
    rows[3, 0] = np.nan
    score = ViolationScore.of(Plane(1.0), Increasing(0), rows)
    assert score.askable(rows).tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    with pytest.raises(InputError, match="X has 1 rows that lack all constrained features"):
        score.row_sizes(rows, 1, np.random.default_rng(0))
