r"""Outcomes lie in their intervals as often as promised, in exact ranks.

Outcomes are the delivered function plus noise whose law is known, so that the coverage of an interval of half-width ``q`` is a
number: for Laplace noise :math:`1 - e^{-q}`. Its expectation over draws of ``n`` labelled rows is exactly
:math:`\lceil c (n + 1) \rceil / (n + 1)`. Simulations have fixed seeds and state their false-alarm probability. ``CREPES`` are
figures of crepes 0.9.1 where its rank, computed in floats, is right, and of exact rational ranks elsewhere.
"""

import copy
import pickle
import subprocess
import sys
from fractions import Fraction
from math import ceil

import numpy as np
import pandas as pd
import pytest
from crepes import ConformalPredictiveSystem, ConformalRegressor
from crepes.extras import DifficultyEstimator
from scipy.stats import chi2, norm
from sklearn.base import clone
from sklearn.tree import DecisionTreeRegressor

from alignconf import AlignedRegressor, CalibrationError, InputError, NotCalibratedError
from alignconf.deployment.monitoring.monitor import Monitor
from alignconf.estimators.outcome import Outcome, neighbour_difficulty

# seed, n_rows, confidence, group sizes, half-widths at difficulty 1
CREPES = [
    (9200, 120, 0.9, (44, 32, 44), (2.215113364262371, 3.526260804538122, 1.8271924525648564)),
    (9201, 400, 0.8, (135, 124, 141), (1.6491972021200756, 1.4416755433252506, 1.4635099808219505)),
]

#: The float rank of crepes is one too high in the second group of the second case.
CREPES_RANK_TOO_HIGH = {(9201, 1): 1.443106804369007}


class Falling:
    """``-z x``: column 0 is the place, column 1 the scale of the line; it should increase."""

    def predict(self, X):
        X = np.asarray(X, dtype=float)
        return -X[:, 1] * X[:, 0]


class Zero:
    def predict(self, X):
        return np.zeros(len(X))


def draw_rows(n_samples, random):
    return np.column_stack([random.random(n_samples), random.exponential(size=n_samples)])


def aligned_falling():
    random = np.random.default_rng(0)
    return AlignedRegressor(Falling(), {0: 1}, n_knots=8, random_state=0, confidence=None).calibrate(
        draw_rows(200, random)
    )


def around_zero(residuals, columns=None, **arguments):
    """Return an aligned regressor that delivers 0, with given residuals at labelled rows; columns start with a place."""
    rows = np.column_stack([np.linspace(0, 1, len(residuals)), *(columns or [])])
    aligned = AlignedRegressor(Zero(), {0: 1}, alpha=0, random_state=0).calibrate(np.sqrt(2) + rows)
    return aligned.calibrate_outcome(rows, residuals, **arguments)


# ---------------------------------------------------------------------------------------------------------------------
# Ranks
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("confidence", [0.5, 0.55, 0.68, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("n_rows", [19, 20, 57, 99, 100])
def test_the_half_width_is_the_exact_order_statistic(n_rows, confidence):
    residuals = np.random.default_rng(n_rows).normal(size=n_rows)
    low, high = around_zero(residuals).predict_outcome_interval(np.zeros((1, 1)), confidence=confidence)[0]
    rank = ceil(Fraction(str(confidence)) * (n_rows + 1))
    assert high == pytest.approx(np.sort(np.abs(residuals))[rank - 1], rel=1e-14)
    assert low == -high


def test_nine_rows_are_enough_for_nine_in_ten():
    residuals = np.random.default_rng(6001).normal(size=9)
    interval = around_zero(residuals).predict_outcome_interval(np.zeros((1, 1)), confidence=0.9)
    assert interval[0, 1] == pytest.approx(1.6211111283811046, rel=1e-12)  # crepes: infinite
    with pytest.raises(
        CalibrationError,
        match=r"8 labelled rows cannot support confidence=0\.9: at least 9 are needed\. Give more rows",
    ):
        around_zero(residuals[:8]).predict_outcome_interval(np.zeros((1, 1)))


@pytest.mark.parametrize(("confidence", "needed"), [(0.8, 4), (0.95, 19), (0.99, 99), (0.999, 999)])
def test_the_number_of_rows_that_is_asked_for_is_enough_and_one_less_is_not(confidence, needed):
    residuals = np.random.default_rng(0).normal(size=needed)
    assert np.isfinite(around_zero(residuals).predict_outcome_interval(np.zeros((1, 1)), confidence=confidence)).all()
    with pytest.raises(CalibrationError, match=f"at least {needed} are needed"):
        around_zero(residuals[1:]).predict_outcome_interval(np.zeros((1, 1)), confidence=confidence)


@pytest.mark.parametrize(("seed", "n_rows", "confidence", "sizes", "expected"), CREPES)
def test_groups_and_difficulty_as_crepes(seed, n_rows, confidence, sizes, expected):
    random = np.random.default_rng(seed)
    residuals, difficulty, group = (
        random.normal(size=n_rows),
        random.random(n_rows) + 0.5,
        random.integers(0, 3, n_rows),
    )
    assert tuple(np.bincount(group)) == sizes
    aligned = around_zero(residuals, [difficulty, group], difficulty=lambda X: X[:, 1], groups=2)
    fresh = np.column_stack([np.zeros(6), np.repeat([1.0, 2.5], 3), np.tile([0.0, 1.0, 2.0], 2)])
    interval = aligned.predict_outcome_interval(fresh, confidence=confidence)
    np.testing.assert_allclose(interval[:, 1], np.outer([1.0, 2.5], expected).ravel(), rtol=1e-12)
    np.testing.assert_array_equal(interval[:, 0], -interval[:, 1])
    theirs = ConformalRegressor().fit(residuals, sigmas=difficulty, bins=group)
    theirs = theirs.predict_int(np.zeros(6), sigmas=fresh[:, 1], bins=fresh[:, 2], confidence=confidence)
    right = np.array([(seed, label) not in CREPES_RANK_TOO_HIGH for label in fresh[:, 2].astype(int)])
    np.testing.assert_allclose(interval[right], theirs[right], rtol=1e-12)
    for (case, label), value in CREPES_RANK_TOO_HIGH.items():
        if case == seed:
            assert interval[label, 1] < value == pytest.approx(theirs[label, 1], rel=1e-12)


@pytest.mark.parametrize("level", [0.25, 0.5, 0.75])
def test_quantiles_as_crepes(level):
    residuals = np.random.default_rng(1).normal(size=57)
    aligned, fresh = around_zero(residuals), np.zeros((2, 1))
    theirs = ConformalPredictiveSystem().fit(residuals)
    found = np.stack([aligned.predict_outcome_quantile(fresh, level, side=side) for side in ("lower", "upper")], axis=1)
    expected = theirs.predict_percentiles(np.zeros(2), lower_percentiles=100 * level, higher_percentiles=100 * level)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_quantiles_are_exact_order_statistics_where_floats_are_not():
    """At 0.07 of 100: rank 7, where 0.07 * 100 is 7.000000000000001 in floats and its ceiling 8."""
    residuals = np.random.default_rng(2).normal(size=99)
    aligned, fresh = around_zero(residuals), np.zeros((1, 1))
    for side in ("lower", "upper"):
        assert aligned.predict_outcome_quantile(fresh, 0.07, side=side) == np.sort(residuals)[6]
    assert ceil(0.07 * 100) == 8


def test_the_distribution_is_that_of_crepes_without_its_random_part():
    random = np.random.default_rng(3)
    residuals = random.integers(-3, 4, 40).astype(float)  # with ties
    aligned = around_zero(residuals)
    at = np.arange(-4.0, 5.0)
    found = aligned.predict_outcome_cdf(np.zeros((9, 1)), at)
    below = np.array([(residuals < y).sum() for y in at]) / 41
    np.testing.assert_array_equal(found[:, 0], below)
    theirs = ConformalPredictiveSystem().fit(residuals).predict_p(np.zeros(9), at, smoothing=False)
    np.testing.assert_allclose(found[:, 1], theirs, rtol=1e-12)
    np.testing.assert_array_equal(aligned.predict_outcome_cdf(np.zeros((1, 1)), 1.0)[0], found[5])
    assert (np.diff(found, axis=0) >= 0).all()


# ---------------------------------------------------------------------------------------------------------------------
# Coverage
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("n_rows", "confidence"), [(9, 0.9), (30, 0.9), (50, 0.5), (24, 0.68)])
def test_coverage_is_exactly_what_the_rank_says(n_rows, confidence):
    """Laplace noise, 20,000 draws of labelled rows: mean coverage within four standard errors (6e-5)."""
    random = np.random.default_rng(4)
    draws = random.laplace(size=(20_000, n_rows))
    outcomes = (Outcome({None: np.sort(draw)}, None, None, None) for draw in draws)
    covered = 1 - np.exp(-np.array([outcome.half_width(None, confidence) for outcome in outcomes]))
    expected = ceil(Fraction(str(confidence)) * (n_rows + 1)) / (n_rows + 1)
    assert expected >= confidence
    assert abs(covered.mean() - expected) < 4 * covered.std() / np.sqrt(covered.size)


@pytest.mark.parametrize("n_draws", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_from_model_to_interval_with_difficulty_and_groups(n_draws):
    """Noise normal, of a size that the difficulty gets wrong by another factor in each group: coverage is exact all the same.

    Intervals are around the delivered function, whose rows are moved. Four standard errors (6e-5) in each group.
    """
    aligned, random = aligned_falling(), np.random.default_rng(5)
    covered = []
    for _ in range(n_draws):
        rows = np.column_stack([draw_rows(60, random)])
        rows[:, 1] = np.repeat([0.5, 2.0], 30)
        noise = random.normal(size=60) * (1 + rows[:, 0]) * rows[:, 1]
        aligned.calibrate_outcome(
            rows, aligned.predict(rows) + noise, difficulty=lambda X: 1 + X[:, 0], groups=lambda X: X[:, 1] > 1
        )
        fresh = np.array([[0.2, 0.5], [0.9, 2.0]])
        reach = aligned.predict_outcome_interval(fresh, confidence=0.8)[:, 1] - aligned.predict(fresh)
        covered.append(1 - 2 * norm.sf(reach / (1 + fresh[:, 0]) / fresh[:, 1]))
    covered = np.array(covered)
    rank = ceil(Fraction("0.8") * 31)
    assert (np.abs(covered.mean(axis=0) - rank / 31) < 4 * covered.std(axis=0) / np.sqrt(n_draws)).all()
    moved = aligned.predict(rows) != Falling().predict(rows)
    assert moved.any()


def test_quantiles_cover_on_their_side():
    """Exponential noise, 20,000 draws of 25 rows: P(y <= upper) = ceil(.9 * 26) / 26, and floor for the lower one (6e-5)."""
    random = np.random.default_rng(6)
    outcomes = [Outcome({None: np.sort(random.exponential(size=25))}, None, None, None) for _ in range(20_000)]
    for side, rank in (("upper", 24), ("lower", 23)):
        rates = 1 - np.exp(-np.array([outcome.quantile(None, 0.9, side) for outcome in outcomes]))
        assert abs(rates.mean() - rank / 26) < 4 * rates.std() / np.sqrt(rates.size)


def test_the_ends_of_the_distribution_are_p_values():
    """At the fresh outcome the lower end is uniform on 0/n+1, ..., n/n+1, the upper one a step more: chi-squared, 1e-4."""
    random, ranks = np.random.default_rng(7), []
    for _ in range(8_000):
        sample = random.normal(size=10)
        low, high = Outcome({None: np.sort(sample[:9])}, None, None, None).distribution(None, sample[9:])[0]
        ranks.append(round(10 * low))
        assert high == pytest.approx(low + 0.1)
    counts = np.bincount(ranks, minlength=10)
    assert ((counts - 800) ** 2 / 800).sum() < chi2.isf(1e-4, 9)


def test_the_interval_holds_calibration_outcomes_at_its_ends():
    """Rounded outwards: with the tie at the rank every one of the rows up to it is inside, in floats too."""
    aligned, random = aligned_falling(), np.random.default_rng(8)
    for _ in range(50):
        rows = draw_rows(19, random)
        y = aligned.predict(rows) + random.normal(size=19)
        aligned.calibrate_outcome(rows, y, difficulty=lambda X: 0.1 + X[:, 0])
        low, high = aligned.predict_outcome_interval(rows, confidence=0.95).T
        assert ((low <= y) & (y <= high)).all()


# ---------------------------------------------------------------------------------------------------------------------
# The estimator
# ---------------------------------------------------------------------------------------------------------------------
def test_lambda_stays_and_the_band_is_another_thing():
    aligned, random = aligned_falling(), np.random.default_rng(9)
    rows = draw_rows(40, random)
    before, band = aligned.lambda_, aligned.predict_band(rows)
    assert aligned.calibrate_outcome(rows, random.normal(size=40)) is aligned
    assert aligned.lambda_ == before
    np.testing.assert_array_equal(aligned.predict_band(rows), band)
    assert (aligned.predict_outcome_interval(rows) != band).any()


def test_calibrating_again_makes_it_void():
    aligned, random = aligned_falling(), np.random.default_rng(10)
    rows = draw_rows(40, random)
    for call in ("predict_outcome_interval", "predict_outcome_quantile", "predict_outcome_cdf"):
        arguments = {"predict_outcome_quantile": (0.5,), "predict_outcome_cdf": (0.0,)}.get(call, ())
        fresh = aligned_falling()
        with pytest.raises(
            NotCalibratedError, match="this AlignedRegressor has no outcome_ yet; call calibrate_outcome"
        ):
            getattr(fresh, call)(rows, *arguments)
        fresh.calibrate_outcome(rows, random.normal(size=40)).calibrate(draw_rows(100, random))
        with pytest.raises(NotCalibratedError, match="was calibrated again after its outcome_ was found"):
            getattr(fresh, call)(rows, *arguments)
    with pytest.raises(NotCalibratedError, match="has no lambda_ yet"):
        AlignedRegressor(Falling(), {0: 1}, confidence=None).calibrate_outcome(rows, np.zeros(40))
    aligned.calibrate_outcome(rows, random.normal(size=40))
    realigned = Monitor(aligned).update(draw_rows(100, random)).realigned()
    with pytest.raises(NotCalibratedError, match="calibrated again"):
        realigned.predict_outcome_interval(rows)
    aligned.predict_outcome_interval(rows)


def test_copies_know_it_and_clones_do_not():
    random = np.random.default_rng(11)
    rows = draw_rows(40, random)
    aligned = aligned_falling()
    aligned.calibrate_outcome(
        rows,
        random.normal(size=40),
        difficulty=neighbour_difficulty(aligned, rows, random.normal(size=40), n_neighbours=5),
    )
    interval = aligned.predict_outcome_interval(rows)
    for other in (pickle.loads(pickle.dumps(aligned)), copy.deepcopy(aligned), copy.copy(aligned)):
        np.testing.assert_array_equal(other.predict_outcome_interval(rows), interval)
    assert b"crepes.extras" not in pickle.dumps(aligned)
    assert not hasattr(clone(aligned), "outcome_")


def test_groups_of_data_frames_by_name():
    random = np.random.default_rng(12)
    frame = pd.DataFrame(draw_rows(60, random), columns=["x", "z"]).assign(site=pd.Categorical(["a", "b", "c"] * 20))

    class Model:
        def predict(self, X):
            return -(X["z"] * X["x"]).to_numpy()

    other = frame.assign(x=random.random(60))
    aligned = AlignedRegressor(Model(), {"x": 1}, random_state=0, confidence=None).calibrate(other)
    y = random.normal(size=60) * np.tile([1.0, 10.0, 100.0], 20)
    aligned.calibrate_outcome(frame, aligned.predict(frame) + y, groups="site")
    width = np.ptp(aligned.predict_outcome_interval(frame), axis=1)
    for position in range(3):
        expected = 2 * np.sort(np.abs(y[position::3]))[ceil(0.9 * 21) - 1]
        np.testing.assert_allclose(width[position::3], expected, rtol=1e-9)
    assert "'a': 20, 'b': 20, 'c': 20" in str(aligned.outcome_)
    with pytest.raises(
        InputError, match=r"group 'd' has no labelled row in calibrate_outcome, which saw 'a', 'b', 'c'"
    ):
        aligned.predict_outcome_interval(frame.assign(site="d"))
    for missing in (None, np.nan, pd.NA):
        column = pd.Series(["a", missing] + ["b"] * 58, dtype=object)
        with pytest.raises(InputError, match="the group of row 1 is missing"):
            aligned.predict_outcome_cdf(frame.assign(site=column), 0.0)
    with pytest.raises(InputError, match="feature 'town' is not in X"):
        aligned.calibrate_outcome(frame, y, groups="town")
    assert aligned.outcome_.groups == "site"


def test_a_group_with_too_few_rows_is_named():
    aligned = around_zero(np.arange(12.0), [np.repeat([0, 1], [9, 3])], groups=1)
    assert np.isfinite(aligned.predict_outcome_interval(np.array([[0.0, 0.0]]))).all()
    with pytest.raises(
        CalibrationError, match=r"3 labelled rows of group 1\.0 cannot support confidence=0\.9: at least 9"
    ):
        aligned.predict_outcome_interval(np.array([[0.0, 0.0], [0.0, 1.0]]))
    with pytest.raises(
        CalibrationError, match=r"3 labelled rows of group 1\.0 cannot support the upper quantile of level=0\.9"
    ):
        aligned.predict_outcome_quantile(np.array([[0.0, 1.0]]), 0.9)
    with pytest.raises(CalibrationError, match=r"the lower quantile of level=0\.1: at least 9 are needed"):
        aligned.predict_outcome_quantile(np.array([[0.0, 1.0]]), 0.1, side="lower")


def test_the_statement_names_what_it_assumes():
    aligned = around_zero(np.arange(12.0))
    assert aligned.outcome_.statement(0.8) == (
        "If the labelled rows and the fresh row are exchangeable and were used neither to fit the model nor as reference nor "
        "to find lambda_, then, averaged over draws of the labelled rows, the outcome of the fresh row lies in its interval with "
        "probability at least 0.8."
    )
    assert str(aligned.outcome_).endswith("at least 0.9.\nFrom 12 labelled rows.")
    both = around_zero(np.arange(12.0), [np.ones(12)], groups=1, difficulty=lambda X: X[:, 1])
    assert "or for the difficulty" in both.outcome_.statement(0.9)
    assert "within each group by itself" in both.outcome_.statement(0.9)
    with pytest.raises(InputError, match="confidence must be a number"):
        both.outcome_.statement(1)


# ---------------------------------------------------------------------------------------------------------------------
# Difficulty
# ---------------------------------------------------------------------------------------------------------------------
def test_neighbour_difficulty_is_the_mean_error_of_the_neighbours():
    aligned, random = aligned_falling(), np.random.default_rng(13)
    known, fresh = draw_rows(50, random), draw_rows(20, random)
    y = random.normal(size=50)
    difficulty = neighbour_difficulty(aligned, known, y, n_neighbours=4)
    errors = np.abs(y - aligned.predict(known))
    low, high = known.min(axis=0), known.max(axis=0)
    inside = np.clip((fresh - low) / (high - low), 0, 1)
    distance = ((inside[:, None] - ((known - low) / (high - low))[None]) ** 2).sum(axis=-1)
    expected = errors[np.argsort(distance, axis=1)[:, :4]].mean(axis=1) + 0.01 * errors.mean()
    np.testing.assert_allclose(difficulty(fresh), expected, rtol=1e-12)
    perfect = neighbour_difficulty(aligned, known, aligned.predict(known))
    assert (perfect(fresh) > 0).all()


def test_a_difficulty_estimator_of_crepes_is_taken():
    random = np.random.default_rng(14)
    rows, y = draw_rows(60, random), random.normal(size=60)
    theirs = DifficultyEstimator().fit(f=lambda X: 1 + X[:, 1])
    one = aligned_falling().calibrate_outcome(rows, y, difficulty=theirs)
    two = aligned_falling().calibrate_outcome(rows, y, difficulty=lambda X: 1.01 + X[:, 1])
    np.testing.assert_allclose(one.predict_outcome_interval(rows), two.predict_outcome_interval(rows), rtol=1e-12)


@pytest.mark.parametrize(
    ("difficulty", "message"),
    [
        (
            lambda X: np.where(np.arange(len(X)) == 3, 0.0, 1.0),
            r"difficulty gives 0 at row 3 \(1 of 20 rows are not positive and finite\)",
        ),
        (lambda X: np.full(len(X), np.nan), r"difficulty gives nan at row 0 \(20 of 20 rows"),
        (lambda X: np.full(len(X), np.inf), "difficulty gives inf at row 0"),
        (
            lambda X: X,
            r"difficulty returned shape \(20, 2\) of type float64 for 20 rows; expected one number for each row",
        ),
        (3, "difficulty must be a function of the rows, or have an apply method, got 3 of type int"),
        (DecisionTreeRegressor(), "difficulty must be a function of the rows, or have an apply method"),
    ],
    ids=["zero", "nan", "infinite", "shape", "number", "tree"],
)
def test_difficulties_that_are_none(difficulty, message):
    aligned, rows = aligned_falling(), draw_rows(20, np.random.default_rng(15))
    with pytest.raises(InputError, match=message):
        aligned.calibrate_outcome(rows, np.zeros(20), difficulty=difficulty)
    assert not hasattr(aligned, "outcome_")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": np.zeros(3)}, r"y has shape \(3,\); expected one label for each row"),
        ({"y": np.full(20, np.nan)}, "y must be finite, got nan in row 0"),
        ({"groups": lambda X: X}, r"groups returned shape \(20, 2\); expected one label for each of 20 rows"),
        ({"groups": lambda X: X[1:, 0]}, r"groups returned shape \(19,\); expected one label"),
        ({"groups": 7}, "feature 7 is not in X"),
    ],
    ids=["short", "nan", "matrix", "few", "column"],
)
def test_labels_and_groups_that_cannot_be(arguments, message):
    aligned, rows = aligned_falling(), draw_rows(20, np.random.default_rng(16))
    with pytest.raises(InputError, match=message):
        aligned.calibrate_outcome(rows, **({"y": np.zeros(20)} | arguments))
    assert not hasattr(aligned, "outcome_")


def test_questions_that_cannot_be():
    aligned, rows = around_zero(np.arange(20.0)), np.zeros((2, 1))
    with pytest.raises(InputError, match="confidence must be a number"):
        aligned.predict_outcome_interval(rows, confidence=1)
    with pytest.raises(InputError, match="level must be a number"):
        aligned.predict_outcome_quantile(rows, 0)
    with pytest.raises(InputError, match="side must be one of 'upper', 'lower', got 'middle'"):
        aligned.predict_outcome_quantile(rows, 0.5, side="middle")
    with pytest.raises(InputError, match=r"y has shape \(3,\)"):
        aligned.predict_outcome_cdf(rows, np.zeros(3))
    with pytest.raises(InputError, match="X has 2 features, but AlignedRegressor is expecting 1"):
        aligned.predict_outcome_interval(np.zeros((2, 2)))


def test_neighbour_difficulties_that_cannot_be():
    aligned, rows = aligned_falling(), draw_rows(20, np.random.default_rng(17))
    with pytest.raises(InputError, match="n_neighbours=25 is more than the 20 rows of X"):
        neighbour_difficulty(aligned, rows, np.zeros(20))
    with pytest.raises(InputError, match="n_neighbours must be a whole number"):
        neighbour_difficulty(aligned, rows, np.zeros(20), n_neighbours=0)
    with pytest.raises(InputError, match="floor_share must be a number"):
        neighbour_difficulty(aligned, rows, np.zeros(20), n_neighbours=5, floor_share=0)
    difficulty = neighbour_difficulty(aligned, rows, np.zeros(20), n_neighbours=5)
    rows[4, 1] = np.nan
    with pytest.raises(InputError, match="needs finite numbers, got nan in row 4, column 1; impute"):
        difficulty(rows)
    with pytest.raises(InputError, match="needs numeric columns; encode the others"):
        difficulty(rows.astype(object))


def test_crepes_leaves_no_trace_in_the_process(tmp_path):
    program = (
        "import warnings, numpy as np\n"
        "import sklearn.neighbors, sklearn.preprocessing, pandas, scipy.stats\n"
        "from alignconf import AlignedRegressor\n"
        "from alignconf.estimators.outcome import neighbour_difficulty\n"
        "class Zero:\n"
        "    def predict(self, X): return np.zeros(len(X))\n"
        "X = np.random.default_rng(0).random((60, 1))\n"
        "aligned = AlignedRegressor(Zero(), {0: 1}, random_state=0).calibrate(np.sqrt(2) + X)\n"
        "import sys; assert 'crepes' not in sys.modules\n"
        "before = (list(warnings.filters), np.random.get_state()[1].tobytes())\n"
        "difficulty = neighbour_difficulty(aligned, X, X[:, 0])\n"
        "aligned.calibrate_outcome(X, X[:, 0], difficulty=difficulty).predict_outcome_interval(X)\n"
        "assert 'crepes' in sys.modules\n"
        "assert before == (list(warnings.filters), np.random.get_state()[1].tobytes())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
