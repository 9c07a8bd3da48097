"""The rule for tables: as others compute it, as fractions compute it, and true.

``GRID``, ``TIES`` and ``WIGGLE`` were computed from the printed recipes in exact rational arithmetic; on all of ``GRID`` the
public ``get_lhat`` (conformal-risk) and MAPIE 1.6.0 agree, at the ties both compare floats and land one step larger.
Where laws of fresh rows are known, the truth is a closed form and seeds are fixed; means are compared at four standard
errors (false alarm 0.006 %), counts at the 99.9 % quantile of a binomial.
"""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2

from alignconf.calibration.loss_table import critical_of_table, scores_on_ray
from alignconf.calibration.ranks import critical_half_width
from alignconf.errors import CalibrationError, InputError

# recipe, seed, n_rows, n_half_widths, alpha, scale of the losses and their bound, expected
GRID = [
    ("clip", 1001, 20, 11, 0.1, 1.0, 0.7),
    ("clip", 1002, 20, 11, 0.2, 1.0, 0.4),
    ("clip", 3000, 200, 101, 0.1, 0.5, 0.35000000000000003),
    ("clip", 3000, 30, 101, 0.1, 0.5, 0.32),
    ("hinge", 1049, 20, 11, 0.1, 1.0, 0.6000000000000001),
    ("mult", 1072, 20, 11, 0.05, 1.0, 1.0),
    ("step", 1024, 20, 11, 0.05, 1.0, 1.0),
]

# n_rows, alpha, rows that lose 1 at half-widths 0, .25, .5, .75, 1, expected
TIES = [
    (19, 0.05, (3, 2, 1, 0, 0), 0.75),
    (19, 0.1, (4, 3, 2, 1, 0), 0.75),
    (39, 0.1, (6, 5, 4, 3, 2), 0.75),
    (4, 0.4, (4, 3, 2, 1, 0), 0.75),
    (99, 0.05, (7, 6, 5, 4, 3), 0.75),
]

# seed, n_rows, n_half_widths, alpha, expected after each row is made monotone from the right
WIGGLE = [(4001, 120, 61, 0.25, 0.85)]


def table_of(recipe: str, seed: int, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    if recipe == "hinge":
        s, widths = random.exponential(0.3, n), np.linspace(0, 2, m)
        return np.clip((s[:, None] - widths) / 0.5, 0, 1), widths
    widths = np.linspace(0, 1, m)
    if recipe == "mult":
        return (random.random((n, 8))[:, :, None] > widths).mean(axis=1), widths
    s = random.random(n)
    if recipe == "wiggle":
        wave = 0.25 * np.sin(6 * np.pi * widths + 2 * np.pi * s[:, None])
        return np.clip(s[:, None] * (1 - widths) + wave, 0, 1), widths
    over = s[:, None] - widths
    return (over.clip(0) if recipe == "clip" else (over > 0).astype(float)), widths


@pytest.mark.parametrize(("recipe", "seed", "n", "m", "alpha", "scale", "expected"), GRID)
def test_tables_computed_elsewhere(recipe, seed, n, m, alpha, scale, expected) -> None:
    losses, widths = table_of(recipe, seed, n, m)
    found, column = critical_of_table(scale * losses, widths, alpha, bound=scale)
    assert found == widths[column] == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(("n", "alpha", "counts", "expected"), TIES)
def test_exact_ties_are_accepted(n, alpha, counts, expected) -> None:
    losses = (np.arange(n)[:, None] < np.array(counts)).astype(float)
    assert critical_of_table(losses, np.linspace(0, 1, 5), alpha)[0] == expected


@pytest.mark.parametrize(("seed", "n", "m", "alpha", "expected"), WIGGLE)
def test_rows_that_rise_are_refused_or_made_monotone(seed, n, m, alpha, expected) -> None:
    losses, widths = table_of("wiggle", seed, n, m)
    before = losses.copy()
    assert critical_of_table(losses, widths, alpha, monotone="envelope")[0] == expected
    assert np.array_equal(losses, before)
    worst = int(np.diff(losses, axis=1).max(axis=1).argmax())
    with pytest.raises(InputError, match=rf"rows do, row {worst} most: from .* Pass monotone='envelope'"):
        critical_of_table(losses, widths, alpha)


def by_brute_force(table, bounds, alpha) -> int:
    allowed = Fraction(repr(alpha)) * (len(table) + 1)
    position = table.shape[1]
    while position and sum(map(Fraction, table[:, position - 1])) + Fraction(bounds[position - 1]) <= allowed:
        position -= 1
    return position


@settings(max_examples=200)
@given(
    st.integers(1, 12).flatmap(
        lambda n: st.lists(
            st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.3, 0.7, 1.0]), min_size=3, max_size=3),
            min_size=n,
            max_size=n,
        )
    ),
    st.sampled_from([0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 0.7]),
    st.sampled_from([(1.0, 1.0, 1.0), (1.0, 0.7, 0.3), (2.0, 1.0, 0.7)]),
)
def test_the_rule_in_fractions(rows, alpha, bounds) -> None:
    """Losses of tenths, whose float sums tie with alpha (n + 1) only nearly: decided as the rationals they are."""
    table = np.minimum(np.sort(rows, axis=1)[:, ::-1], bounds)
    expected = by_brute_force(table, bounds, alpha)
    if expected == 3:
        with pytest.raises(CalibrationError, match="no half-width of the table supports"):
            critical_of_table(table, [1, 2, 3], alpha, bound=bounds)
    else:
        assert critical_of_table(table, [1, 2, 3], alpha, bound=bounds) == (expected + 1.0, expected)


def test_floats_are_the_rationals_that_they_are() -> None:
    """Ten losses of the float .1 add up to a little more than 1, in floats to less, and the rule knows."""
    losses = np.full((10, 1), 0.1)
    assert losses.sum(axis=0)[0] + 0.1 <= 0.1 * 11
    with pytest.raises(CalibrationError):
        critical_of_table(losses, [1.0], 0.1, bound=0.1)
    assert critical_of_table(np.full((10, 1), 0.125), [1.0], 0.125, bound=0.125) == (1.0, 0)


def test_sums_that_only_seem_safe_are_refused() -> None:
    """n losses and a bound of the float .1, which is above 1/10: never safe at .1, though the rounded sum is below for some n."""
    seemingly_safe = 0
    for n in range(2, 200):
        losses = np.full((n, 1), 0.1)
        seemingly_safe += losses.sum(axis=0)[0] + 0.1 < float(Fraction(n + 1, 10))
        with pytest.raises(CalibrationError):
            critical_of_table(losses, [1.0], 0.1, bound=0.1)
    assert seemingly_safe > 0


def test_zero_one_tables_are_ranks_of_scores() -> None:
    scores = np.random.default_rng(1).exponential(size=(300, 1))
    widths = np.unique(scores)
    losses = (scores > widths).astype(float)
    for alpha in (0.05, 0.1, 0.3):
        assert critical_of_table(losses, widths, alpha)[0] == critical_half_width(scores, alpha)[0]
        found = critical_of_table(losses, widths, alpha, confidence=0.95)[0]
        assert found == critical_half_width(scores, alpha, 0.95)[0]


def test_only_the_last_run_of_safe_columns_counts() -> None:
    """The narrowest half-width is safe too, but one above it is not: it is never reached."""
    losses = np.repeat([[0.0, 1.0, 0.0, 0.0]], 100, axis=0)
    assert critical_of_table(losses, [1, 2, 3, 4], 0.1, confidence=0.9, monotone="any") == (3.0, 2)
    assert critical_of_table(losses, [1, 2, 3, 4], 0.1, monotone="envelope") == (3.0, 2)


def test_a_million_losses_take_little_time() -> None:
    losses, widths = table_of("clip", 5, 20_000, 50)
    start = time.process_time()
    critical_of_table(losses, widths, 0.1)
    assert time.process_time() - start < 1.0


# ---------------------------------------------------------------------------------------------------------------------
# Guarantees
# ---------------------------------------------------------------------------------------------------------------------
WIDTHS = np.linspace(0, 1, 41)


def residual_losses(random, n_draws, n_rows):
    """Losses (s - lambda)_+ with s uniform: their expectation at lambda is (1 - lambda)^2 / 2."""
    return np.maximum(random.random((n_draws, n_rows, 1)) - WIDTHS, 0.0)


@pytest.mark.parametrize("bound", [1.0, 1.0 - WIDTHS], ids=["constant", "falling"])
def test_expected_loss_is_controlled(bound) -> None:
    """2000 calibrations of 60 rows, judged exactly: the mean is at most .05, and above .03, at four standard errors."""
    random = np.random.default_rng(2)
    found = [critical_of_table(table, WIDTHS, 0.05, bound=bound)[0] for table in residual_losses(random, 2000, 60)]
    risk = (1 - np.array(found)) ** 2 / 2
    error = risk.std() / np.sqrt(2000)
    assert 0.025 < risk.mean() <= 0.05 + 4 * error


def test_a_falling_bound_gives_smaller_half_widths() -> None:
    table = residual_losses(np.random.default_rng(3), 1, 60)[0]
    constant, falling = (critical_of_table(table, WIDTHS, 0.05, bound=bound)[0] for bound in (1.0, 1 - WIDTHS))
    assert falling < constant


def test_expected_loss_is_controlled_with_confidence() -> None:
    """1000 calibrations of 150 rows, losses of any size and up to 2: at most 10 % miss, false alarm 0.001."""
    random = np.random.default_rng(4)
    found = [
        critical_of_table(2 * table, WIDTHS, 0.2, bound=2.0, confidence=0.9)[0]
        for table in residual_losses(random, 1000, 150)
    ]
    risk = (1 - np.array(found)) ** 2
    assert (risk > 0.2).sum() <= binom.ppf(0.999, 1000, 0.1)
    assert np.median(risk) > 0.12


def test_non_monotone_losses_are_controlled_with_confidence() -> None:
    """Losses 1 with probability .02, .21, .05 from narrow to wide, target .2: the middle one is passed over by level only.

    That is at most .1 of 1,000 times, binomial at 1e-3, and not much less often: a bound that never errs would be too wide.
    """
    random = np.random.default_rng(6)
    rates = np.array([0.02, 0.21, 0.05])
    wrong = 0
    for _ in range(1000):
        losses = (random.random((60, 3)) < rates).astype(float)
        try:
            found = critical_of_table(losses, [1, 2, 3], 0.2, confidence=0.9, monotone="any")[1]
        except CalibrationError:
            continue
        wrong += found < 2
    assert binom.ppf(1e-3, 1000, 0.02) <= wrong <= binom.ppf(0.999, 1000, 0.1)


# ---------------------------------------------------------------------------------------------------------------------
# Rays
# ---------------------------------------------------------------------------------------------------------------------
# Near the smallest floats there is no number that is smaller by a little: they count as 0.
normal = st.floats(-5, 5).map(lambda value: value if abs(value) > 1e-290 else 0.0)


@settings(max_examples=200)
@given(normal, normal, st.sampled_from([(1.0, 1.0), (1.5, 2.5), (0.3, 0.7)]))
def test_a_row_is_satisfied_exactly_from_its_score_on(below, above, direction) -> None:
    score = float(scores_on_ray([below], [above], direction)[0])
    assert score * direction[0] >= below
    assert score * direction[1] >= above
    smaller = Fraction(score) * (1 - Fraction(1, 10**12))
    assert score == 0 or smaller * Fraction(direction[0]) < below or smaller * Fraction(direction[1]) < above


def test_two_sided_bands_as_computed_elsewhere() -> None:
    """Residuals of the recipe ``default_rng(9000).normal(.2, 1, 80)``; safe pairs on the grid of quarters: exact counts."""
    residuals = np.random.default_rng(9000).normal(0.2, 1, 80)
    for direction, expected in {(1.5, 2.5): 1.0, (1.75, 2.25): 1.0, (2.0, 2.0): 1.0, (1.25, 2.75): 1.2}.items():
        score = scores_on_ray(-residuals, residuals, direction)
        half_width = critical_half_width(score[:, None], 0.1)[0]
        lost = ((residuals < -half_width * direction[0]) | (residuals > half_width * direction[1])).sum()
        assert lost <= 7  # floor(.1 * 81 - 1)
        assert (half_width <= 1.0) == (expected == 1.0)


def test_a_side_without_width() -> None:
    assert scores_on_ray([1.0, 0.0, -1.0], [2.0, 2.0, 2.0], (0.0, 4.0)).tolist() == [np.inf, 0.5, 0.5]


def test_a_ray_is_one_dimensional_and_valid() -> None:
    """|r| with both sides: the score of standard normal r on (1, 1) is |r|, whose quantile is known."""
    residuals = np.random.default_rng(7).normal(size=40_000)
    score = scores_on_ray(-residuals, residuals, (1.0, 1.0))
    assert np.quantile(score, 0.9) == pytest.approx(np.sqrt(chi2.ppf(0.9, 1)), rel=0.02)


# ---------------------------------------------------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------------------------------------------------
GOOD = np.array([[1.0, 0.0]] * 20)


def test_too_few_rows_say_how_many_would_do() -> None:
    with pytest.raises(
        CalibrationError, match=r"supports alpha=0.1: at the largest, 1, 5 rows lose 0 .* 9 rows with that"
    ):
        critical_of_table(GOOD[:5], [0, 1], 0.1)
    assert critical_of_table(GOOD[:9], [0, 1], 0.1) == (1.0, 1)
    with pytest.raises(CalibrationError, match=r"5 rows lose 0.5 on average, and no number of rows makes up for that"):
        critical_of_table(np.full((5, 1), 0.5), [1.0], 0.1)
    with pytest.raises(CalibrationError, match=r"with confidence=0.95: .* Without any loss at all 29 rows would do"):
        critical_of_table(GOOD, [0, 1], 0.1, confidence=0.95)


def test_rows_without_loss_that_would_do_for_sizes_do() -> None:
    with pytest.raises(CalibrationError) as caught:
        critical_of_table(np.full((8, 1), 0.01), [1.0], 0.1, bound=0.5, confidence=0.95)
    needed = int(str(caught.value).split("Without any loss at all ")[1].split()[0])
    assert critical_of_table(np.zeros((needed, 1)), [1.0], 0.1, bound=0.5, confidence=0.95) == (1.0, 0)
    with pytest.raises(CalibrationError):
        critical_of_table(np.zeros((needed - 1, 1)), [1.0], 0.1, bound=0.5, confidence=0.95)


def test_a_bound_below_alpha_needs_no_rows() -> None:
    assert critical_of_table([[0.05, 0.05]], [0, 1], 0.1, bound=0.1, confidence=0.99) == (0.0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": [1.0]}, r"losses have shape \(1,\); expected at least one row and column"),
        ({"losses": GOOD[:, :1]}, "half_widths must be 1 increasing numbers, one for each column of losses"),
        ({"half_widths": [1, 1]}, "half_widths must be 2 increasing numbers"),
        ({"losses": [[1.0, np.nan]]}, "losses must be finite, got nan in row 0, column 1"),
        ({"losses": [[1.0, 0.5], [1.5, 0.0]]}, r"must not exceed the bound 1, got 1.5 in row 1, column 0; .* Raise it"),
        ({"bound": [1.0, 2.0]}, "bound must be a finite number, or 2 of them that do not increase"),
        ({"alpha": 0.0}, "alpha must be a finite number above 0, got 0.0"),
        ({"confidence": 1.0}, r"confidence must be a number in \(0, 1\), got 1.0"),
        ({"monotone": "yes"}, "monotone must be one of 'refuse', 'envelope', 'any', got 'yes'"),
        ({"monotone": "any"}, "monotone='any' needs a confidence: .* Give a confidence, or monotone='envelope'"),
        (
            {"losses": [[0.0, -0.5]], "confidence": 0.9},
            "losses must not be negative to be controlled with a confidence, got -0.5 in row 0",
        ),
    ],
)
def test_arguments_are_checked(change, message) -> None:
    arguments = {"losses": GOOD, "half_widths": [0, 1], "alpha": 0.1} | change
    with pytest.raises(InputError, match=message):
        critical_of_table(**arguments)


def test_quotients_that_round_down_go_to_the_next_number():
    """Of random numbers one in eight is more than its quotient times the divisor, in floats."""
    random = np.random.default_rng(0)
    needs, parts = random.random(400), random.random(400)
    assert ((needs / parts) * parts < needs).sum() > 20
    for need, part in zip(needs.tolist(), parts.tolist(), strict=True):
        assert scores_on_ray([need], [0.0], (part, 1.0))[0] * part >= need
        assert scores_on_ray([0.0], [need], (1.0, part))[0] * part >= need


def test_rays_are_checked() -> None:
    with pytest.raises(InputError, match=r"below has shape \(1,\) and above \(2,\); expected one shape"):
        scores_on_ray([1.0], [1.0, 2.0], (1, 1))
    with pytest.raises(InputError, match="below and above must be numbers, got NaN"):
        scores_on_ray([np.nan], [1.0], (1, 1))
    for direction in [(0, 0), (-1, 1), (1, np.inf), (1,)]:
        with pytest.raises(InputError, match="direction must be two finite numbers, neither negative nor both 0"):
            scores_on_ray([1.0], [1.0], direction)


def test_with_confidence_the_order_of_rows_does_not_matter() -> None:
    random = np.random.default_rng(5)
    losses = np.sort(random.beta(0.5, 3, size=(400, 6)), axis=1)[:, ::-1]
    widths = np.arange(6.0)
    found = critical_of_table(losses, widths, 0.2, confidence=0.95)
    assert 0 < found[1] < 5
    for _ in range(20):
        assert critical_of_table(losses[random.permutation(400)], widths, 0.2, confidence=0.95) == found
