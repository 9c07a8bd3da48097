"""Verdicts: their error probability, summed exactly over all counts, and their words."""

from __future__ import annotations

import re
from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from alignconf import AlignedRegressor, InputError
from alignconf.certify.verdict import HOLDS, UNDECIDED, UNSEEN, VIOLATED, Verdict, weakest
from alignconf.certify.violation_rate import ViolationRate, rate_of

RATES = [0.0, 0.001, 0.01, 0.049, 0.05, 0.051, 0.1, 0.3, 0.9]


@pytest.mark.parametrize("n", [1, 13, 59, 200, 1000])
@pytest.mark.parametrize("max_rate", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_a_verdict_is_wrong_with_at_most_the_stated_probability(n: int, max_rate: float, confidence: float) -> None:
    """The exact probability of each word, a finite sum over all counts: no chance is involved."""
    words = np.array([Verdict(ViolationRate(k, n, confidence), max_rate).word for k in range(n + 1)])
    for rate in [*RATES, max_rate, np.nextafter(max_rate, 1)]:
        probability = binom.pmf(np.arange(n + 1), n, rate)
        wrong = HOLDS if rate > max_rate else VIOLATED
        assert probability[words == wrong].sum() <= 1 - confidence + 1e-12
    assert set(words) <= {HOLDS, UNDECIDED, VIOLATED}


def test_bounds_are_used_up() -> None:
    """At the tolerated rate itself a wrong word is nearly as likely as allowed: bounds that never err would be too wide."""
    words = np.array([Verdict(ViolationRate(k, 1000, 0.95), 0.05).word for k in range(1001)])
    wrong = binom.pmf(np.arange(1001), 1000, 0.05)[words == VIOLATED].sum()
    assert 0.03 < wrong <= 0.05
    also_wrong = binom.pmf(np.arange(1001), 1000, 0.05)[words == HOLDS].sum()
    assert 0.03 < also_wrong <= 0.05


def test_the_smallest_number_of_rows_that_can_hold_is_exact() -> None:
    """(1 - e)^n <= 1 - c, in fractions: 59 rows for 5 %, 299 for 1 %, 29 for 10 %; one row less leaves it open."""
    for max_rate, n in ((Fraction(1, 20), 59), (Fraction(1, 100), 299), (Fraction(1, 10), 29)):
        assert (1 - max_rate) ** n <= Fraction(1, 20) < (1 - max_rate) ** (n - 1)
        assert Verdict(ViolationRate(0, n, 0.95), float(max_rate)).word == HOLDS
        open_still = Verdict(ViolationRate(0, n - 1, 0.95), float(max_rate))
        assert open_still.word == UNDECIDED
        assert f"{n} without a violation would do" in open_still.sentence


@pytest.mark.parametrize(("k", "n"), [(1, 1), (1, 20), (7, 50), (50, 50)])
def test_the_lower_bound_solves_its_equation(k: int, n: int) -> None:
    """P(Bin(n, bound) >= k) = 1 - confidence, summed term by term; scipy's one-sided test agrees."""
    low = ViolationRate(k, n, 0.9).lower_bound
    assert sum(comb(n, i) * low**i * (1 - low) ** (n - i) for i in range(k, n + 1)) == pytest.approx(0.1, rel=1e-9)
    scipy = binomtest(k, n, alternative="greater").proportion_ci(0.9, method="exact").low
    assert low == pytest.approx(scipy, abs=1e-12)
    assert ViolationRate(0, n, 0.9).lower_bound == 0


def test_nothing_is_tolerated_by_default() -> None:
    assert Verdict(ViolationRate(1, 10**9, 0.95), 0.0).word == VIOLATED
    unseen = Verdict(ViolationRate(0, 10**9, 0.95), 0.0)
    assert (unseen.word, unseen.is_passed) == (UNSEEN, True)
    assert "This does not prove that there is none" in unseen.sentence
    assert not Verdict(ViolationRate(30, 600, 0.95), 0.05).is_passed
    assert "Give more rows, or raise max_rate" in Verdict(ViolationRate(30, 600, 0.95), 0.05).sentence


def test_averaged_rates_have_verdicts_too() -> None:
    """Several queries a row: the verdict uses bounds for their mean, and no row counts for more than one."""
    random = np.random.default_rng(0)
    alike = np.repeat(random.random((40, 1)) < 0.1, 50, axis=1)
    assert Verdict(rate_of(alike, 0.95), 0.05).word == UNDECIDED
    pooled = ViolationRate(int(alike.sum()), alike.size, 0.95)
    assert Verdict(pooled, 0.05).word != UNDECIDED, "otherwise this test cannot tell rows from queries"
    assert Verdict(rate_of(np.ones((400, 5), dtype=bool), 0.95), 0.05).word == VIOLATED
    assert Verdict(rate_of(np.zeros((400, 5), dtype=bool), 0.95), 0.05).word == HOLDS


@pytest.mark.parametrize(
    ("k", "n", "max_rate"), [(0, 400, 0.05), (37, 400, 0.05), (20, 400, 0.05), (3, 9, 0.0), (0, 9, 0.0)]
)
def test_the_sentence_has_the_word_the_counts_and_no_more_than_was_proved(k: int, n: int, max_rate: float) -> None:
    verdict = Verdict(ViolationRate(k, n, 0.95), max_rate)
    assert str(verdict).lower().startswith(f"{verdict.word}: {k} of {n} queries")
    for bound in re.findall(r"at most ([\d.]+)%", verdict.sentence):
        assert float(bound) / 100 >= verdict.violations.upper_bound
    for bound in re.findall(r"at least ([\d.]+)%", verdict.sentence):
        assert float(bound) / 100 <= verdict.violations.lower_bound
    assert verdict.to_dict()["word"] == verdict.word


def test_the_weakest_of_several() -> None:
    rates = {"a": (0, 400), "b": (20, 400), "c": (100, 400), "d": (90, 400)}
    verdicts = {name: Verdict(ViolationRate(k, n, 0.95), 0.05) for name, (k, n) in rates.items()}
    assert weakest(verdicts)[0] == "c"
    del verdicts["c"], verdicts["d"]
    assert weakest(verdicts)[0] == "b"


def test_verdicts_are_ordered_from_violated_to_holds() -> None:
    """All sixteen pairs, in either order of names."""
    verdicts = {
        VIOLATED: Verdict(ViolationRate(90, 400, 0.95), 0.05),
        UNDECIDED: Verdict(ViolationRate(20, 400, 0.95), 0.05),
        UNSEEN: Verdict(ViolationRate(0, 400, 0.95), 0.0),
        HOLDS: Verdict(ViolationRate(0, 400, 0.95), 0.05),
    }
    assert [verdict.word for verdict in verdicts.values()] == list(verdicts)
    for i, worse in enumerate(verdicts.values()):
        for better in list(verdicts.values())[i:]:
            assert weakest({"first": worse, "second": better})[1] is worse
            assert weakest({"first": better, "second": worse})[1].word == worse.word


@pytest.mark.parametrize("value", [1, 1.5, -0.1, "0.05", True, None, float("nan")])
def test_rates_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"max_rate must be a number in \[0, 1\)"):
        Verdict(ViolationRate(0, 9, 0.95), value)


# ---------------------------------------------------------------------------------------------------------------------
# Certificates: a verdict against what was asked, and none where nothing was
# ---------------------------------------------------------------------------------------------------------------------
class Falling:
    """``-z x``: column 0 is the place, column 1 the scale of the line."""

    def predict(self, X):
        return -X[:, 1] * X[:, 0]


def certified(n_fresh=2000, **parameters):
    random = np.random.default_rng(1)
    rows = np.column_stack([random.integers(0, 2, 900 + n_fresh), random.uniform(0, 1, 900 + n_fresh)]).astype(float)
    reference = np.column_stack([np.tile([0.0, 1.0], 20), np.ones(40)])
    aligned = AlignedRegressor(
        Falling(), {0: 1}, **{"confidence": None, **{"alpha": 0.1, "random_state": 0} | parameters}
    )
    return aligned.calibrate(rows[:900], X_reference=reference).certify(rows[900:])


def test_a_certificate_is_judged_against_alpha_where_that_was_calibrated_with_confidence():
    verdict = certified(confidence=0.95).verdict()
    assert verdict is not None
    assert (verdict.max_rate, verdict.named) == (0.1, "alpha")
    assert "Calibration made the promise, and these rows do not contradict" in certified(100, confidence=0.95).to_html()
    assert "or raise alpha" not in certified(100, confidence=0.95).to_html()


def test_a_rate_that_was_kept_on_average_has_no_verdict_but_an_effect():
    found = certified(confidence=None)
    assert found.verdict() is None
    assert found.effect in found.to_html()
    assert f"{found.before.rate:.2%} of queries violated before, {found.delivered.rate:.2%} after" == found.effect
    for word in ("Undecided", "undecided", "Holds", "more rows"):
        assert word not in found.to_html()


@pytest.mark.parametrize("confidence", [None, 0.95])
def test_a_rate_to_keep_to_is_what_the_verdict_is_about(confidence):
    found = certified(confidence=confidence)
    assert found.verdict(0.9).word == HOLDS
    assert found.verdict(0.001).word == VIOLATED
    assert "within max_rate = 0.9" in found.to_html(max_rate=0.9)
    near = certified(60, confidence=confidence).verdict(0.09)
    assert near.word == UNDECIDED
    assert "calibrated to alpha = 0.1, so its rate is near that, and more rows may never decide" in near.sentence
    assert "Give more rows" not in near.sentence


def test_at_full_strength_nothing_is_tolerated():
    assert certified(alpha=0).verdict().max_rate == 0
