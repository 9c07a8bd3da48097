r"""Several queries a row, with confidence: the rule by hand, both sides of its error, and the choice between it and one query.

Scores of a row are :math:`\sqrt{\rho} Z + \sqrt{1 - \rho} E_q` with standard normal parts, moved up so that none is negative;
the violation rate at a half-width is a normal tail, known exactly.
"""

from __future__ import annotations

from fractions import Fraction
from math import inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from alignconf import CalibrationError
from alignconf.calibration.averages import best_stake, critical_of_averages, design_effect, is_averaged, largest_stake
from alignconf.calibration.loss_family import PositiveScores, Scores
from alignconf.kernels.exact import as_fraction

SHIFT = 10.0


def draw_scores(n_rows: int, n_queries: int, share: float, random: np.random.Generator) -> np.ndarray:
    common, own = random.normal(size=(n_rows, 1)), random.normal(size=(n_rows, n_queries))
    return SHIFT + np.sqrt(share) * common + np.sqrt(1 - share) * own


def rate_at(half_widths):
    return norm.sf(np.asarray(half_widths) - SHIFT)


def by_hand(scores: np.ndarray, alpha: float, confidence: float, stake: float) -> float:
    """The first candidate, from below, at which the product of exact fractions is large enough."""
    for half_width in sorted({0.0, *scores.ravel().tolist()}):
        capital = Fraction(1)
        for row in scores:
            capital *= 1 + Fraction(stake) * (as_fraction(alpha) - Fraction(int((row > half_width).sum()), row.size))
        if capital >= 1 / (1 - as_fraction(confidence)):
            return half_width
    raise AssertionError


# ---------------------------------------------------------------------------------------------------------------------
# The rule
# ---------------------------------------------------------------------------------------------------------------------
@settings(max_examples=25, deadline=None)
@given(
    n_rows=st.integers(30, 45),
    n_queries=st.integers(1, 5),
    alpha=st.sampled_from([0.1, 0.2, 0.3]),
    share=st.floats(0.1, 1.0),
    seed=st.integers(0, 10**6),
)
def test_the_rule_is_the_product_by_hand(n_rows, n_queries, alpha, share, seed):
    """In exact fractions, with ties, and whatever the order of the rows and of the queries."""
    random = np.random.default_rng(seed)
    scores = np.round(np.maximum(random.normal(size=(n_rows, n_queries)), 0.0), 1)
    stake = share * largest_stake(alpha)
    row, query = np.nonzero(scores > 0)
    values = scores[row, query]
    try:
        expected = by_hand(scores, alpha, 0.9, stake)
    except AssertionError:
        with pytest.raises(CalibrationError, match="rows cannot support"):
            critical_of_averages(values, row, n_rows, n_queries, alpha, 0.9, stake)
        return
    half_width, n_above = critical_of_averages(values, row, n_rows, n_queries, alpha, 0.9, stake)
    assert half_width == expected
    assert n_above == (scores > expected).sum()
    order = random.permutation(row.size)
    other = random.permutation(n_rows)[row]
    again = critical_of_averages(values[order], other[order], n_rows, n_queries, alpha, 0.9, stake)
    assert again == (half_width, n_above)


def test_queries_that_no_half_width_repairs():
    values, rows = np.array([inf, inf, 2.0]), np.array([0, 0, 1])
    stake, _ = best_stake(200, 0.1, 0.95, 0.5)
    assert critical_of_averages(values, rows, 200, 2, 0.1, 0.95, stake) == (0.0, 3)
    many = np.full(60, inf)
    with pytest.raises(CalibrationError, match="60 of 400 calibration queries stay violated at any half-width"):
        critical_of_averages(many, np.repeat(np.arange(30), 2), 200, 2, 0.1, 0.95, stake)


def test_positive_scores_say_what_all_scores_say():
    random = np.random.default_rng(0)
    values = np.maximum(draw_scores(400, 5, 0.3, random) - SHIFT, 0.0)
    row, query = np.nonzero(values > 0)
    order = random.permutation(row.size)
    few = PositiveScores(400, 5, values[row, query][order], row[order], query[order])
    rows = random.random(400) < 0.6
    for effect in (0.2, 0.4, 1.0):
        for all_scores, positive in ((Scores(values), few), (Scores(values).take(rows), few.take(rows))):
            answers = [one.with_effect(effect).critical(0.05, 0.95) for one in (all_scores, positive)]
            assert answers[0] == answers[1]


# ---------------------------------------------------------------------------------------------------------------------
# The choice, from rows that do not calibrate
# ---------------------------------------------------------------------------------------------------------------------
def test_the_design_effect_of_independent_and_of_equal_queries():
    """Shrunk towards one half by fifty rows; 5 standard errors."""
    random = np.random.default_rng(1)
    for share, exact in ((0.0, 0.1), (1.0, 1.0)):
        found = design_effect(draw_scores(4000, 10, share, random), 0.05)
        assert found == pytest.approx((4000 * exact + 25) / 4050, abs=0.03 * exact + 0.01)
    assert design_effect(np.zeros((0, 10)), 0.05) == 0.5
    assert design_effect(np.zeros((300, 10)), 0.05) == 0.5


def test_one_query_where_averages_do_not_help():
    """Too few rows, one query, queries that are all alike; and with one query the exact binomial rank whatever the effect."""
    assert not is_averaged(59, 10, 0.05, 0.95, 0.1)
    assert not is_averaged(5000, 1, 0.05, 0.95, 1.0)
    assert not is_averaged(5000, 10, 0.05, 0.95, 0.9)
    assert all(is_averaged(n, 10, 0.05, 0.95, 0.2) for n in (150, 500, 5000))
    scores = draw_scores(500, 10, 0.3, np.random.default_rng(2))
    above = int(binom.ppf(0.05, 500, 0.05)) - 1
    assert binom.cdf(above, 500, 0.05) <= 0.05 < binom.cdf(above + 1, 500, 0.05)
    expected = (np.sort(scores[:, 0])[-1 - above], above)
    for family in (Scores(scores), Scores(scores, effect=0.9), Scores(scores[:, :1], effect=0.1)):
        assert family.critical(0.05, 0.95) == expected


@pytest.mark.parametrize(("n_rows", "share"), [(150, 0.0), (150, 0.3), (500, 0.3), (500, 0.6), (2000, 0.6)])
def test_averages_leave_a_smaller_half_width_and_keep_the_promise(n_rows, share):
    """300 draws: wrong at most as often as 5 % (false alarm 1e-6), and narrower than one query a row by 3 standard errors.

    The other side: a stake a fifth as large, a bound about twice too wide, is not narrower.
    """
    random = np.random.default_rng(3)
    effect = design_effect(draw_scores(300, 10, share, random), 0.05)
    assert is_averaged(n_rows, 10, 0.05, 0.95, effect)
    stake, expected = best_stake(n_rows, 0.05, 0.95, effect)
    averaged, single, timid = [], [], []
    row = np.repeat(np.arange(n_rows), 10)
    for _ in range(300):
        scores = draw_scores(n_rows, 10, share, random)
        averaged.append(Scores(scores, effect).critical(0.05, 0.95)[0])
        single.append(Scores(scores[:, :1]).critical(0.05, 0.95)[0])
        if n_rows >= 500:
            timid.append(critical_of_averages(scores.ravel(), row, n_rows, 10, 0.05, 0.95, stake / 5)[0])
    assert (rate_at(averaged) > 0.05).sum() <= binom.isf(1e-6, 300, 0.05)
    assert rate_at(averaged).mean() == pytest.approx(expected, rel=0.12)
    gain = np.subtract(single, averaged)
    assert gain.mean() > 3 * gain.std() / np.sqrt(300)
    assert not timid or np.mean(timid) > np.mean(single)


def test_the_guide_to_the_rate_is_the_equation_it_says():
    """``n E log(1 + stake (alpha - L)) = log 20`` with a loss that is 0 or one share, of that mean and design effect."""
    stake, rate = best_stake(800, 0.05, 0.95, 0.3)
    share = rate + 0.3 * (1 - rate)
    growth = (1 - rate / share) * log(1 + stake * 0.05) + rate / share * log(1 + stake * (0.05 - share))
    assert 800 * growth == pytest.approx(log(20), rel=1e-9)
    assert rate * (share - rate) == pytest.approx(0.3 * rate * (1 - rate))
