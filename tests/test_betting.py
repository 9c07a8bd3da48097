"""Betting bounds cover, are what others compute, and may be looked at whenever one likes.

Coverage is judged against means that are known in closed form. With ``n_draws`` draws and coverage at least ``confidence``
the number of misses is stochastically below ``Bin(n_draws, 1 - confidence)``; each test refuses above its 99.9 % quantile,
so a correct bound fails a test with probability at most 0.001. Seeds are fixed.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom

from alignconf.calibration.betting import BLOCK, LEVELS, SHARES, STAKES, BettingSequence, refuses, upper_bound
from alignconf.errors import InputError
from tests.examples import shortened

#: Laws of losses on [0, 1] with their means: single queries, continuous losses, shares of ten queries.
LAWS = {
    "coin .05": (lambda random, shape: (random.random(shape) < 0.05).astype(float), 0.05),
    "coin .5": (lambda random, shape: (random.random(shape) < 0.5).astype(float), 0.5),
    "beta": (lambda random, shape: random.beta(2, 18, shape), 0.1),
    "shares of 10": (lambda random, shape: random.binomial(10, random.beta(0.5, 4.5, shape)) / 10, 0.1),
}
laws = pytest.mark.parametrize("law", LAWS)

# kind, seed, n, p, delta, bound: computed with the function WSR_mu_plus of the public repository aangelopoulos/rcps.
WSR = [
    ("coin", 7000, 50, 0.1, 0.05, 0.2623244719975301),
    ("coin", 7000, 50, 0.1, 0.1, 0.23039970274929752),
    ("coin", 7003, 500, 0.2, 0.1, 0.23412125772192827),
    ("coin", 7004, 1000, 0.02, 0.1, 0.03271143819668154),
    ("beta", 7005, 100, 0.3, 0.1, 0.33936707844006786),
    ("beta", 7006, 400, 0.1, 0.05, 0.11010120882985855),
    ("beta", 7006, 400, 0.1, 0.1, 0.10793955122376614),
    ("beta", 7007, 1000, 0.1, 0.05, 0.10312376247145998),
    ("coin", 7008, 101, 0.1, 0.05, 0.2117723949894542),
]


def misses_allowed(n_draws: int, confidence: float) -> int:
    return int(binom.ppf(0.999, n_draws, 1 - confidence))


@pytest.mark.parametrize(("kind", "seed", "n", "p", "delta", "expected"), WSR)
def test_agrees_with_a_public_implementation(kind, seed, n, p, delta, expected) -> None:
    random = np.random.default_rng(seed)
    losses = (random.random(n) < p).astype(float) if kind == "coin" else random.beta(2, 2 * (1 - p) / p, n)
    assert upper_bound(losses, 1 - delta) == pytest.approx(expected, abs=2e-10)


def capital(losses: list[Fraction], bets: list[float], candidate: Fraction) -> Fraction:
    """The largest capital ever at a candidate mean, exactly."""
    largest = now = Fraction(1)
    for loss, bet in zip(losses, bets, strict=True):
        now *= 1 - Fraction(bet) * (loss - candidate)
        largest = max(largest, now)
    return largest


@settings(max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=25), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_the_bound_is_refused_in_exact_arithmetic_and_a_little_less_is_not(losses, confidence) -> None:
    """The process in fractions, its bets recomputed one loss at a time."""
    from alignconf.calibration.betting import _predictable_bets

    delta = 1 - Fraction(repr(confidence))
    bets = _predictable_bets(np.array(losses), -np.log(float(delta)))
    for t in range(len(losses)):
        seen = np.array(losses[:t])
        means = (0.5 + np.cumsum(seen)) / np.arange(2, t + 2)
        variance = (0.25 + ((seen - means) ** 2).sum()) / (t + 1)
        assert bets[t] == pytest.approx(min(1, np.sqrt(-2 * np.log(float(delta)) / (len(losses) * variance))), rel=1e-9)
    exact = [Fraction(loss) for loss in losses]
    bound = upper_bound(losses, confidence)
    if bound < 1:
        assert capital(exact, bets, Fraction(bound)) >= 1 / delta
    if bound > 1e-8:
        assert capital(exact, bets, Fraction(bound) - Fraction(1, 10**8)) < 1 / delta


@laws
@pytest.mark.parametrize(("n", "confidence"), [(40, 0.8), (300, 0.9)])
def test_upper_bound_covers(law, n, confidence) -> None:
    """False alarm at most 0.001."""
    (draw, mean), n_draws = LAWS[law], shortened(1000, 400)
    losses = draw(np.random.default_rng(11), (n_draws, n))
    missed = sum(upper_bound(sample, confidence) < mean for sample in losses)
    assert missed <= misses_allowed(n_draws, confidence)


@pytest.mark.slow
@laws
@pytest.mark.parametrize(("n", "confidence"), [(40, 0.8), (300, 0.9), (1000, 0.95)])
def test_upper_bound_covers_in_many_draws(law, n, confidence) -> None:
    """20000 draws; false alarm at most 0.001."""
    draw, mean = LAWS[law]
    random = np.random.default_rng(12)
    missed = sum(upper_bound(draw(random, n), confidence) < mean for _ in range(20_000))
    assert missed <= misses_allowed(20_000, confidence)


def test_it_is_tighter_than_others_where_losses_vary_little() -> None:
    """Shares of ten independent queries: against Hoeffding, and against a binomial bound on one query of the ten."""
    random = np.random.default_rng(3)
    queries = random.random((300, 10)) < 0.05
    mean = queries.mean()
    single = int(queries[:, 0].sum())
    ours = upper_bound(queries.mean(axis=1), 0.95)
    assert mean < ours < 0.07
    assert ours < beta.ppf(0.95, single + 1, 300 - single) < mean + np.sqrt(np.log(20) / 600)


@pytest.mark.parametrize("n", [100, 1000, 10_000])
@pytest.mark.parametrize("rate", [0.0, 0.02, 0.1, 0.5])
def test_for_coins_it_is_near_the_exact_binomial_bound(n, rate) -> None:
    """The excess over the sample mean, on average over ten samples: at most 1.6 times that of Clopper and Pearson."""
    random = np.random.default_rng(5)
    ours, exact = [], []
    for _ in range(10):
        losses = (random.random(n) < rate).astype(float)
        k = losses.sum()
        exact.append(beta.ppf(0.95, k + 1, n - k) - losses.mean())
        ours.append(upper_bound(losses, 0.95) - losses.mean())
    assert np.mean(exact) < np.mean(ours) < 1.6 * np.mean(exact)


@pytest.mark.parametrize("law", LAWS)
def test_refusing_is_having_an_upper_bound_below(law) -> None:
    losses = LAWS[law][0](np.random.default_rng(14), 200)
    bound = upper_bound(losses, 0.9)
    assert refuses(losses, bound, 0.9)
    assert refuses(losses, min(1.0, bound + 0.1), 0.9)
    assert not refuses(losses, bound - 1e-8, 0.9)
    assert not refuses(losses, 0.0, 0.9)


def test_blocks_give_the_same_bound_as_one_sum() -> None:
    from alignconf.calibration.betting import _predictable_bets

    losses = np.random.default_rng(2).beta(1, 30, BLOCK + 5000)
    bound = upper_bound(losses, 0.95)
    bets = _predictable_bets(losses, np.log(20))
    assert np.cumsum(np.log1p(bets * (bound - losses))).max() == pytest.approx(np.log(20), abs=1e-4)


def test_a_sample_that_says_nothing_bounds_nothing() -> None:
    assert upper_bound([1.0] * 50, 0.95) == 1.0
    assert upper_bound([0.0], 0.95) == 1.0
    assert upper_bound([0.0] * 1000, 0.95) == pytest.approx(-np.expm1(np.log(0.05) / 1000), rel=0.03)


# ---------------------------------------------------------------------------------------------------------------------
# The sequence
# ---------------------------------------------------------------------------------------------------------------------
TIMES = np.unique(np.geomspace(1, 600, 16).astype(int))


@laws
def test_sequence_covers_under_optional_stopping(law) -> None:
    """Stopped at the worst of 16 moments, in so many sequences of 600 losses: each side misses at half the level."""
    draw, mean = LAWS[law]
    random = np.random.default_rng(21)
    above, below, n_sequences = 0, 0, shortened(200, 50)
    for _ in range(n_sequences):
        losses, sequence, seen = draw(random, 600), BettingSequence(0.6), 0
        upper, lower = [], []
        for time in TIMES:
            sequence, seen = sequence.update(losses[seen:time]), time
            upper.append(sequence.upper_bound)
            lower.append(sequence.lower_bound)
        above, below = above + (min(upper) < mean), below + (max(lower) > mean)
    assert above <= misses_allowed(n_sequences, 0.8)
    assert below <= misses_allowed(n_sequences, 0.8)


@pytest.mark.slow
@laws
def test_sequence_covers_at_every_single_time(law) -> None:
    """The mixed capital at the true mean, followed loss by loss in 5000 sequences of 3000: false alarm at most 0.001."""
    draw, mean = LAWS[law]
    random = np.random.default_rng(22)
    for flip in (False, True):
        candidate, missed = (1 - mean if flip else mean), 0
        for _ in range(5000):
            losses = draw(random, 3000)
            losses = 1 - losses if flip else losses
            with np.errstate(divide="ignore"):
                logs = np.cumsum(np.log1p(-STAKES[:, None] * (losses - candidate) / (1 - candidate)), axis=1)
            missed += np.logaddexp.reduce(logs + np.log(SHARES)[:, None], axis=0).max() >= np.log(1 / 0.1)
        assert missed <= misses_allowed(5000, 0.9)


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from([0.5, 0.8, 0.95]))
def test_the_sequence_refuses_what_the_capital_of_the_losses_themselves_refuses(losses, confidence) -> None:
    """In exact arithmetic, without levels: the capital at the bounds is at least 2 / delta."""
    sequence = BettingSequence(confidence).update(losses)
    limit = 2 / (1 - Fraction(repr(confidence)))
    for bound, signed in (
        (Fraction(sequence.upper_bound), [Fraction(loss) for loss in losses]),
        (1 - Fraction(sequence.lower_bound), [1 - Fraction(loss) for loss in losses]),
    ):
        if bound == 1:
            continue
        mixed = Fraction(0)
        for stake, share in zip(STAKES, SHARES, strict=True):
            product = Fraction(float(share))
            for loss in signed:
                product *= 1 - Fraction(float(stake)) * (loss - bound) / (1 - bound)
            mixed += product
        assert mixed >= limit


def test_on_levels_nothing_is_lost() -> None:
    """Shares of ten queries are levels: the bound is the root of the mixed capital of the losses themselves."""
    losses = np.random.default_rng(4).binomial(10, 0.2, 500) / 10
    losses[0] = 1.0
    bound = BettingSequence(0.9).update(losses).upper_bound
    stakes, shares = STAKES[1:], SHARES[1:]  # the first, 1, lost everything at the first loss
    logs = np.log1p(-stakes[:, None] * (losses - bound) / (1 - bound)).sum(axis=1)
    assert np.logaddexp.reduce(logs + np.log(shares)) == pytest.approx(np.log(20), abs=1e-3)


def test_off_the_levels_little_is_lost() -> None:
    losses = np.random.default_rng(4).beta(2, 18, 2000)
    bound = BettingSequence(0.9).update(losses).upper_bound
    assert bound - losses.mean() < 1.5 * (upper_bound(losses, 0.95) - losses.mean())


def test_updates_add_up_and_leave_the_old_state_alone() -> None:
    losses = (np.random.default_rng(6).random(900) < 0.1).astype(float)
    start = BettingSequence(0.9)
    whole = start.update(losses)
    parts = start.update(losses[:100]).update(losses[100:500]).update(losses[500:])
    assert (start.n, start.lower_bound, start.upper_bound) == (0, 0.0, 1.0)
    assert np.isnan(start.mean)
    assert parts.n == whole.n == 900
    assert parts.mean == whole.mean == pytest.approx(losses.mean())
    # Bounds found on the way count too, so those of the parts are at least as tight, and here no tighter.
    assert parts.upper_bound == pytest.approx(whole.upper_bound, abs=2e-10)
    assert parts.lower_bound == pytest.approx(whole.lower_bound, abs=2e-10)
    assert len(whole.masses) == LEVELS + 1
    assert start.update([]) == start
    assert repr(start) == "BettingSequence(confidence=0.9, n=0, total=0.0, lower_bound=0.0, upper_bound=1.0)"


def test_both_bounds_only_ever_approach_each_other() -> None:
    """A run of ones lifts the lower bound, a run of zeros afterwards does not lower it; and the other way round."""
    sequence, mirrored = BettingSequence(0.9), BettingSequence(0.9)
    lows, highs = [], []
    for losses in [np.ones(40)] * 3 + [np.zeros(40)] * 6:
        sequence, mirrored = sequence.update(losses), mirrored.update(1 - losses)
        lows.append(sequence.lower_bound)
        highs.append(mirrored.upper_bound)
    assert lows[2] > 0.9
    assert (np.diff(lows) >= 0).all()
    assert (np.diff(highs) <= 0).all()
    np.testing.assert_allclose(lows, 1 - np.array(highs), atol=1e-9)


def test_what_was_refused_once_stays_refused() -> None:
    quiet = BettingSequence(0.9).update(np.zeros(200))
    later = quiet.update(np.ones(200))
    assert later.upper_bound == quiet.upper_bound < 0.03
    assert later.lower_bound > quiet.lower_bound == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("n", [100, 1000, 10_000])
def test_the_price_of_looking_whenever_one_likes_is_moderate(n) -> None:
    """One side at 95 %: the excess over the mean is below 2.6 times that of Clopper and Pearson, on average."""
    random = np.random.default_rng(8)
    ours, exact = [], []
    for _ in range(10):
        losses = (random.random(n) < 0.1).astype(float)
        k = losses.sum()
        exact.append(beta.ppf(0.95, k + 1, n - k) - losses.mean())
        ours.append(BettingSequence(0.9).update(losses).upper_bound - losses.mean())
    assert np.mean(exact) < np.mean(ours) < 2.6 * np.mean(exact)


# ---------------------------------------------------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("bound", [lambda x: upper_bound(x, 0.9), BettingSequence(0.9).update])
def test_losses_are_checked(bound) -> None:
    with pytest.raises(InputError, match=r"must lie in \[0, 1\], got 3.0 in row 2 \(2 of 4 do not\); divide them by"):
        bound([0.0, -1.0, 3.0, 1.0])
    with pytest.raises(InputError, match=r"must lie in \[0, 1\], got nan in row 1 \(1 of 2 do not\)"):
        bound([0.0, np.nan])
    with pytest.raises(InputError, match=r"losses have shape \(2, 1\); expected one number for each row"):
        bound([[0.0], [1.0]])
    with pytest.raises(InputError, match=r"losses must be numbers, got values of type <U4: expected real ones"):
        bound(["many"])


def test_other_arguments_are_checked() -> None:
    with pytest.raises(InputError, match="losses are empty; expected at least one"):
        upper_bound([], 0.9)
    with pytest.raises(InputError, match=r"confidence must be a number in \(0, 1\), got 1"):
        upper_bound([0.0], 1)
    with pytest.raises(InputError, match="candidate must be a finite number of at least 0, got -1"):
        refuses([0.0], -1, 0.9)
    with pytest.raises(InputError, match=r"confidence must be a number in \(0, 1\), got 0"):
        BettingSequence(0)
