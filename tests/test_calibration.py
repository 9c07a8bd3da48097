"""Ranks, exactly.

The tables below were computed with other, public implementations. ``GRID``, ``COUNTS``: losses on a grid of
half-widths; the expected answer is the smallest grid value that the rule ``(sum L + 1) / (n + 1) <= alpha`` accepts in
exact rational arithmetic, on which MAPIE 1.6.0 (``risk_control``) and ``get_lhat`` of the repository conformal-risk
agree for every case of ``GRID``; at the exact ties of ``COUNTS`` both compare floats and land one step larger, except
in the last. ``PROPERTY``, ``SPLIT``, ``CREPES``: order statistics with exact rational ranks, on which crepes 0.9.1
agrees wherever its rank, computed in floats, is not one too high.
"""

from __future__ import annotations

from fractions import Fraction
from math import comb, inf

import numpy as np
import pytest
from crepes import ConformalRegressor
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from alignconf import AlignedRegressor
from alignconf.calibration.claim import Promise, Rate, calibrate
from alignconf.calibration.ranks import allowed_above, critical_half_width, rows_needed, too_few_rows
from alignconf.errors import CalibrationError
from alignconf.losses import critical_half_width as scores
from alignconf.projectors.alignment import Answers
from alignconf.projectors.band import Scale
from alignconf.properties import AllOf, Increasing
from alignconf.queries.along_line import LineQueries
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.random_streams import CALIBRATE, generator

# id, recipe, seed, n_rows, n_half_widths, alpha, expected
GRID = [
    ("rand-mult-1072", "mult", 1072, 20, 11, 0.05, 1.0),
    ("rand-mult-1074", "mult", 1074, 20, 11, 0.2, 0.9),
    ("rand-mult-1076", "mult", 1076, 20, 101, 0.05, 0.99),
    ("rand-mult-1078", "mult", 1078, 20, 101, 0.2, 0.87),
    ("rand-mult-1079", "mult", 1079, 20, 101, 0.3, 0.75),
    ("rand-mult-1080", "mult", 1080, 50, 101, 0.05, 0.97),
    ("rand-mult-1087", "mult", 1087, 100, 201, 0.3, 0.715),
    ("rand-mult-1088", "mult", 1088, 500, 101, 0.05, 0.9500000000000001),
    ("rand-mult-1089", "mult", 1089, 500, 101, 0.1, 0.91),
    ("rand-mult-1090", "mult", 1090, 500, 101, 0.2, 0.81),
    ("rand-mult-1092", "mult", 1092, 1000, 51, 0.05, 0.96),
    ("rand-mult-1094", "mult", 1094, 1000, 51, 0.2, 0.8200000000000001),
    ("rand-mult-1095", "mult", 1095, 1000, 51, 0.3, 0.72),
    ("rand-step-1024", "step", 1024, 20, 11, 0.05, 1.0),
    ("rand-step-1025", "step", 1025, 20, 11, 0.1, 0.9),
    ("rand-step-1028", "step", 1028, 20, 101, 0.05, 0.99),
    ("rand-step-1029", "step", 1029, 20, 101, 0.1, 0.92),
    ("rand-step-1030", "step", 1030, 20, 101, 0.2, 0.78),
    ("rand-step-1032", "step", 1032, 50, 101, 0.05, 0.98),
    ("rand-step-1037", "step", 1037, 100, 201, 0.1, 0.925),
    ("rand-step-1038", "step", 1038, 100, 201, 0.2, 0.795),
    ("rand-step-1040", "step", 1040, 500, 101, 0.05, 0.96),
    ("rand-step-1042", "step", 1042, 500, 101, 0.2, 0.8),
    ("rand-step-1044", "step", 1044, 1000, 51, 0.05, 0.98),
    ("rand-step-1046", "step", 1046, 1000, 51, 0.2, 0.8200000000000001),
]

# id, n_rows, alpha, rows that lose at half-widths 0, .25, .5, .75, 1, expected
COUNTS = [
    ("edge-zero-loss", 30, 0.1, (0, 0, 0, 0, 0), 0.0),
    ("tie-n19-a0.05", 19, 0.05, (3, 2, 1, 0, 0), 0.75),
    ("tie-n19-a0.1", 19, 0.1, (4, 3, 2, 1, 0), 0.75),
    ("tie-n39-a0.1", 39, 0.1, (6, 5, 4, 3, 2), 0.75),
    ("tie-n4-a0.4", 4, 0.4, (4, 3, 2, 1, 0), 0.75),
    ("tie-n9-a0.1", 9, 0.1, (3, 2, 1, 0, 0), 0.75),
    ("tie-n99-a0.05", 99, 0.05, (7, 6, 5, 4, 3), 0.75),
    ("tie-n99-a0.1", 99, 0.1, (12, 11, 10, 9, 8), 0.75),
]

# id, seed, n_rows, alpha, rank from the top, expected
PROPERTY = [
    ("conc-9150-0.05", 9150, 100, 0.05, 5, 0.8704861703755209),
    ("conc-9150-0.1", 9150, 100, 0.1, 10, 0.7208096051568442),
    ("conc-9152-0.2", 9152, 500, 0.2, 100, 0.4813399775606274),
    ("conc-9153-0.05", 9153, 1999, 0.05, 100, 0.7907325309359801),
    ("conc-9153-0.1", 9153, 1999, 0.1, 200, 0.673326338698286),
    ("conc-9154-0.05", 9154, 30, 0.05, 1, 0.938423693929122),
    ("conc-9154-0.1", 9154, 30, 0.1, 3, 0.7549000475310832),
    ("mono-9100-0.05", 9100, 100, 0.05, 5, 0.6852530276720392),
    ("mono-9100-0.1", 9100, 100, 0.1, 10, 0.526082628258673),
    ("mono-9101-0.1", 9101, 99, 0.1, 10, 0.4232295942234441),
    ("mono-9103-0.05", 9103, 1999, 0.05, 100, 0.60813481625975),
    ("mono-9103-0.1", 9103, 1999, 0.1, 200, 0.4542882498355642),
    ("mono-9104-0.05", 9104, 30, 0.05, 1, 0.7026070703873647),
    ("mono-9104-0.1", 9104, 30, 0.1, 3, 0.5641622608511219),
    ("mono-9104-0.2", 9104, 30, 0.2, 6, 0.1824137199577266),
]

# id, seed, n_rows, 1 - alpha, rank, expected
SPLIT = [
    ("split-100-0.9", 6009, 100, "0.9", 91, 1.5482934678535933),
    ("split-1000-0.9", 6012, 1000, "0.9", 901, 1.6540240773184252),
    ("split-19-0.9", 6003, 19, "0.9", 18, 1.8194602303614487),
    ("split-200-0.95", 6015, 200, "0.95", 191, 2.2090009951072083),
    ("split-499-0.8", 6011, 499, "0.8", 400, 1.2546203762305574),
    ("split-74-0.68", 6010, 74, "0.68", 51, 0.9706882034140586),
    ("split-9-0.9", 6001, 9, "0.9", 9, 1.6211111283811046),
    ("split-99-0.9", 6006, 99, "0.9", 90, 1.4407831112164977),
]

# id, seed, n_rows, 1 - alpha, group sizes, expected
CREPES = [
    ("crepes-9200", 9200, 120, "0.9", (44, 32, 44), (2.215113364262371, 3.526260804538122, 1.8271924525648564)),
    ("crepes-9201", 9201, 400, "0.8", (135, 124, 141), (1.6491972021200756, 1.4416755433252506, 1.4635099808219505)),
]


def ids_of(table: list[tuple]) -> list[str]:
    return [it[0] for it in table]


def smallest_half_width(found: np.ndarray, alpha: Fraction) -> float:
    """The rule by brute force, in fractions: the smallest candidate whose inflated mean loss is at most alpha."""
    n_rows, n_queries = found.shape
    for half_width in [0.0, *np.unique(found)]:
        losses = [Fraction(int((row > half_width).sum()), n_queries) for row in found]
        if half_width < inf and (sum(losses) + 1) / (n_rows + 1) <= alpha:
            return half_width
    return inf


def exactly_allowed_above(n_rows: int, alpha: Fraction, delta: Fraction) -> int:
    """The largest count with a binomial probability of at most delta, in fractions; -1 if there is none."""
    total, count = Fraction(0), -1
    for k in range(n_rows + 1):
        total += comb(n_rows, k) * alpha**k * (1 - alpha) ** (n_rows - k)
        if total > delta:
            break
        count = k
    return count


# Against other implementations --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "seed", "n_rows", "m", "alpha", "expected"), [it[1:] for it in GRID], ids=ids_of(GRID)
)
def test_rounded_up_to_a_grid_it_is_the_answer_on_the_grid(
    recipe: str, seed: int, n_rows: int, m: int, alpha: float, expected: float
) -> None:
    rng, grid = np.random.default_rng(seed), np.linspace(0, 1, m)
    found = rng.random(n_rows)[:, None] if recipe == "step" else rng.random((n_rows, 8))
    half_width, _ = critical_half_width(found, alpha)
    assert grid[np.searchsorted(grid, half_width)] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("n_rows", "alpha", "losing", "expected"), [it[1:] for it in COUNTS], ids=ids_of(COUNTS))
def test_exact_ties_are_accepted(n_rows: int, alpha: float, losing: tuple[int, ...], expected: float) -> None:
    grid = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    loses = np.arange(n_rows)[:, None] < np.array(losing)
    found = np.where(loses[:, -1], inf, grid[np.minimum(loses.sum(axis=1), 4)])[:, None]
    for j, half_width in enumerate(grid):
        assert (found > half_width).sum() == losing[j]
    assert critical_half_width(found, alpha)[0] == expected
    assert smallest_half_width(found, Fraction(str(alpha))) == expected


@pytest.mark.parametrize(("name", "seed", "n_rows", "alpha", "rank", "expected"), PROPERTY, ids=ids_of(PROPERTY))
def test_scores_of_pairs_and_triples_of_a_known_function(
    name: str, seed: int, n_rows: int, alpha: float, rank: int, expected: float
) -> None:
    def f(x: np.ndarray) -> np.ndarray:
        return np.sin(3 * x) + 0.5 * x

    n_points = 2 if name.startswith("mono") else 3
    x = np.sort(np.random.default_rng(seed).random((n_rows, n_points)) * 3, axis=1)
    if n_points == 2:
        queries = LineQueries(Increasing("x"), None, x[:, None])
        found = scores.existence(
            Answers(queries, f(x)[:, None], f(x)[:, None], np.zeros(n_rows), slice(0, n_rows), Scale())
        )
    else:
        share = (x[:, 2] - x[:, 1]) / (x[:, 2] - x[:, 0])
        chord = share * f(x[:, 0]) + (1 - share) * f(x[:, 2])
        found = np.maximum(0, (chord - f(x[:, 1])) / 2)[:, None]
    half_width, above = critical_half_width(found, alpha)
    assert above == rank - 1
    assert half_width == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("seed", "n_rows", "confidence", "rank", "expected"), [it[1:] for it in SPLIT], ids=ids_of(SPLIT)
)
def test_split_conformal(seed: int, n_rows: int, confidence: str, rank: int, expected: float) -> None:
    found = np.abs(np.random.default_rng(seed).normal(size=n_rows))[:, None]
    half_width, above = critical_half_width(found, float(1 - Fraction(confidence)))
    assert above == n_rows - rank
    assert half_width == np.sort(found[:, 0])[rank - 1]
    assert half_width == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("seed", "n_rows", "confidence", "sizes", "expected"), [it[1:] for it in CREPES],
                         ids=ids_of(CREPES))  # fmt: skip
def test_normalised_residuals_by_group(
    seed: int, n_rows: int, confidence: str, sizes: tuple[int, ...], expected: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(seed)
    residuals, difficulty, group = rng.normal(size=n_rows), rng.random(n_rows) + 0.5, rng.integers(0, 3, n_rows)
    for k in range(3):
        found = (np.abs(residuals) / difficulty)[group == k][:, None]
        assert len(found) == sizes[k]
        assert critical_half_width(found, float(1 - Fraction(confidence)))[0] == pytest.approx(expected[k], rel=1e-12)


@pytest.mark.parametrize("n_rows", [10, 57, 100, 250, 1000])
@pytest.mark.parametrize("alpha", [0.1, 0.25, 0.37])
def test_crepes_finds_the_same_half_width(n_rows: int, alpha: float) -> None:
    residuals = np.random.default_rng(n_rows).normal(size=n_rows)
    low, high = ConformalRegressor().fit(residuals=residuals).predict_int(y_hat=np.zeros(1), confidence=1 - alpha)[0]
    half_width, _ = critical_half_width(np.abs(residuals)[:, None], alpha)
    assert (-low, high) == (pytest.approx(half_width), pytest.approx(half_width))


def test_monotone_pairs_by_hand() -> None:
    x = np.sort(np.random.default_rng(9100).random((100, 2)) * 3, axis=1)
    f = np.sin(3 * x) + 0.5 * x
    found = np.maximum(0, (f[:, 0] - f[:, 1]) / 2)[:, None]
    assert critical_half_width(found, 0.1)[0] == pytest.approx(0.526082628258673, rel=1e-12)


# The rule itself ----------------------------------------------------------------------------------------------------


@settings(max_examples=400)
@given(data=st.data(), hundredths=st.integers(1, 99), n_rows=st.integers(1, 40), n_queries=st.integers(1, 4))
def test_it_is_the_smallest_half_width_that_the_rule_accepts(
    data: st.DataObject, hundredths: int, n_rows: int, n_queries: int
) -> None:
    values = st.sampled_from([0.0, 0.0, 1.0, 2.0, 2.5, 3.0, inf])
    found = np.array(data.draw(st.lists(values, min_size=n_rows * n_queries, max_size=n_rows * n_queries)))
    found = found.reshape(n_rows, n_queries)
    before = found.tobytes()
    expected = smallest_half_width(found, Fraction(hundredths, 100))
    if expected < inf:
        assert critical_half_width(found, hundredths / 100)[0] == expected
    else:
        with pytest.raises(CalibrationError):
            critical_half_width(found, hundredths / 100)
    assert found.tobytes() == before


@pytest.mark.parametrize("tenths", range(1, 10))
def test_alpha_is_the_decimal_that_was_typed(tenths: int) -> None:
    """At these n the rank is on the edge, and a floating-point rank falls off it for some."""
    for n_rows in range(9, 100, 10):
        assert allowed_above(n_rows, 1, tenths / 10, None) == tenths * (n_rows + 1) // 10 - 1
        assert allowed_above(n_rows, 7, tenths / 10, None) == 7 * (tenths * (n_rows + 1) // 10 - 1)
    assert allowed_above(9, 1, 0.3, None) == 2


@pytest.mark.parametrize("n_queries", [1, 2, 3, 10])
def test_more_queries_use_up_the_fraction_of_a_row(n_queries: int) -> None:
    for n_rows in range(1, 60):
        for alpha in ("0.05", "0.1", "0.33", "0.999", "1e-05"):
            exact = n_queries * (Fraction(alpha) * (n_rows + 1) - 1)
            above = allowed_above(n_rows, n_queries, float(alpha), None)
            assert above <= exact < above + 1


@pytest.mark.parametrize("confidence", [5e-324, 1e-300, 1e-20])
def test_a_confidence_that_says_nearly_nothing_allows_what_is_exact(confidence: float) -> None:
    """In floats 1 - confidence is 1; in fractions all rows but one may lie above, unless the last is rarer than that."""
    for n_rows in (1, 5, 60):
        exact = exactly_allowed_above(n_rows, Fraction(1, 5), 1 - Fraction(repr(confidence)))
        assert allowed_above(n_rows, 1, 0.2, confidence) == exact


def test_with_confidence_the_rank_is_lower() -> None:
    found = np.arange(1.0, 201)[:, None]
    assert critical_half_width(found, 0.1) == (181.0, 19)
    assert critical_half_width(found, 0.1, 0.95) == (188.0, 12)
    assert critical_half_width(found, 0.1, 0.999) == (193.0, 7)


# How many may lie above ---------------------------------------------------------------------------------------------

ABOVE = {
    0.1: {28: -1, 29: 0, 100: 4, 200: 12, 500: 38, 1000: 84},
    0.05: {58: -1, 59: 0, 200: 4, 500: 16, 1000: 38, 2000: 83},
    0.01: {298: -1, 299: 0, 500: 1, 1000: 4, 2000: 12, 5000: 38, 10000: 83},
}


@pytest.mark.parametrize("alpha", ABOVE)
def test_allowed_above_with_confidence_095(alpha: float) -> None:
    assert {n: allowed_above(n, 1, alpha, 0.95) for n in ABOVE[alpha]} == ABOVE[alpha]


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9, 0.95, 0.99, 0.999999])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1, 0.3, 0.5, 0.77])
def test_allowed_above_with_confidence_by_brute_force(alpha: float, confidence: float) -> None:
    delta = float(1 - Fraction(str(confidence)))
    for n_rows in (1, 2, 5, 17, 80, 333, 1500):
        tail = binom.cdf(np.arange(n_rows + 1), n_rows, alpha)
        assert allowed_above(n_rows, 1, alpha, confidence) == np.count_nonzero(tail <= delta * (1 + 1e-12)) - 1


@pytest.mark.parametrize(
    ("alpha", "confidence"),
    [("0.5", c) for c in ("0.5", "0.75", "0.875", "0.9375", "0.96875", "0.3125")]
    + [("0.1", "0.1"), ("0.1", "0.19"), ("0.1", "0.271"), ("0.2", "0.36"), ("0.3", "0.51"), ("0.05", "0.95")],
)
def test_allowed_above_at_exact_ties_of_the_binomial(alpha: str, confidence: str) -> None:
    """``P(Bin(n, alpha) <= r) = delta`` exactly for some of these n, where floats could go either way."""
    for n_rows in range(1, 40):
        expected = exactly_allowed_above(n_rows, Fraction(alpha), 1 - Fraction(confidence))
        assert allowed_above(n_rows, 1, float(alpha), float(confidence)) == expected, n_rows


@pytest.mark.parametrize(
    ("alpha", "in_expectation", "with_confidence"), [(0.1, 9, 29), (0.05, 19, 59), (0.01, 99, 299), (0.001, 999, 2995)]
)
def test_rows_needed(alpha: float, in_expectation: int, with_confidence: int) -> None:
    assert rows_needed(alpha, None) == in_expectation
    assert rows_needed(alpha, 0.95) == with_confidence


@pytest.mark.parametrize("confidence", [None, 0.05, 0.19, 0.5, 0.75, 0.95, 0.9999])
def test_rows_needed_is_the_smallest_number_that_is_allowed_anything(confidence: float | None) -> None:
    for alpha in [*np.round(np.arange(0.01, 1, 0.01), 2), 0.003, 0.0001, 0.125, 1 / 3, 0.999]:
        needed = rows_needed(alpha, confidence)
        assert needed >= 1
        assert allowed_above(needed, 1, alpha, confidence) >= 0
        assert needed == 1 or allowed_above(needed - 1, 1, alpha, confidence) < 0


def test_rows_needed_does_not_depend_on_the_number_of_queries() -> None:
    for alpha in (0.3, 0.1, 0.07, 0.01):
        needed = rows_needed(alpha, None)
        for n_queries in (1, 2, 10, 50):
            assert allowed_above(needed, n_queries, alpha, None) >= 0
            assert allowed_above(needed - 1, n_queries, alpha, None) < 0


# Refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_rows", "alpha", "confidence", "message"),
    [
        (8, 0.1, None, r"^8 rows cannot support alpha=0\.1: at least 9 "),
        (98, 0.01, None, r"^98 rows cannot support alpha=0\.01: at least 99 "),
        (28, 0.1, 0.95, r"^28 rows cannot support alpha=0\.1 with confidence=0\.95: at least 29 "),
        (0, 0.5, None, r"^0 rows cannot support alpha=0\.5: at least 1 "),
    ],
)
def test_too_few_rows_are_refused_with_the_number_that_would_do(
    n_rows: int, alpha: float, confidence: float | None, message: str
) -> None:
    with pytest.raises(CalibrationError, match=message):
        critical_half_width(np.zeros((n_rows, 1)), alpha, confidence)
    needed = rows_needed(alpha, confidence)
    assert critical_half_width(np.zeros((needed, 1)), alpha, confidence) == (
        0.0,
        allowed_above(needed, 1, alpha, confidence),
    )


def test_the_reference_rows_are_named_too() -> None:
    assert "at least 9 calibration rows are needed" in too_few_rows(8, 0.1, None)
    assert "2 more for the reference law" in too_few_rows(8, 0.1, None, n_reference=2)
    assert "reference" not in too_few_rows(8, 0.1, None)


@pytest.mark.parametrize(("confidence", "above"), [(None, 2), (0.6, 1)])
def test_more_infinite_scores_than_alpha_allows_are_refused(confidence: float | None, above: int) -> None:
    found = np.arange(29.0)[:, None]
    assert allowed_above(29, 1, 0.1, confidence) == above
    found[:above] = inf
    assert critical_half_width(found, 0.1, confidence) == (28.0, above)
    found[above] = inf
    with pytest.raises(CalibrationError, match=rf"^{above + 1} of 29 calibration queries .*{above} may be"):
        critical_half_width(found, 0.1, confidence)


# What is reported ---------------------------------------------------------------------------------------------------


def test_the_figures_of_a_calibration() -> None:
    found = np.array([[0.0, 1.0], [0.0, 0.0], [3.0, 2.0], [0.0, inf], *[[0.0, 0.0]] * 6])
    calibration = calibrate(
        [found], Promise((0.3,), None, Rate("delivered"), ("it fails",)), n_reference=7, n_missing=1
    )
    assert calibration.n_above == allowed_above(10, 2, 0.3, None) == 4
    assert calibration.lambda_ == 0.0
    assert (calibration.n_rows, calibration.n_queries) == (10, 2)
    assert (calibration.positive_rate, calibration.unrepaired_rate) == (4 / 20, 1 / 20)
    assert (calibration.median_score, calibration.largest_score) == (2.0, 3.0)
    assert (calibration.n_reference, calibration.n_missing) == (7, 1)
    assert (calibration.alpha, calibration.confidence, calibration.loss.name) == (0.3, None, "delivered")
    assert calibration.statement == (
        "If the calibration rows and the fresh row, each with a constrained feature present, are exchangeable and were "
        "used neither to fit the model nor as reference, then, averaged over calibration draws of rows and queries, the "
        "probability that it fails is at most 0.3. "
        "Calibration draws that need to leave more queries violated than alpha allows are refused, and "
        "count in this average as free of violations: if a share a of the draws is accepted, the average over these alone is "
        "at most alpha / a."
    )
    assert str(calibration).startswith(calibration.statement)


def test_a_calibration_without_violations() -> None:
    calibration = calibrate([np.zeros((30, 1))], Promise((0.1,)))
    assert (calibration.lambda_, calibration.positive_rate, calibration.unrepaired_rate) == (0.0, 0.0, 0.0)
    assert np.isnan([calibration.median_score, calibration.largest_score]).all()


def test_with_confidence_the_statement_says_so() -> None:
    statement = calibrate([np.arange(50.0)[:, None]], Promise((0.1,), 0.9, events=("it fails",))).statement
    assert "independent draws of one law" in statement
    assert "with probability at least 0.9 over the calibration draw" in statement
    assert statement.endswith("the probability that it fails is at most 0.1.")


@pytest.mark.parametrize("shape", [(0, 1), (5, 1)])
def test_alpha_zero_is_full_strength_and_needs_no_rows(shape: tuple[int, int]) -> None:
    calibration = calibrate([np.full(shape, inf)], Promise((0.0,)))
    assert calibration.lambda_ == inf
    assert calibration.n_above == 0
    assert "nothing was calibrated" in calibration.statement
    assert str(calibration) == calibration.statement


def test_positive_rate_counts_what_needs_a_band_or_fails_at_full_strength() -> None:
    """In several features a query can fail at full strength that the model passes: no violation before alignment."""

    class Wave:
        def predict(self, X: np.ndarray) -> np.ndarray:
            return np.sin(X @ [9.0, 4.0]) + np.sin(X @ [-5.0, 11.0])

    rng = np.random.default_rng(0)
    X, reference = rng.random((400, 2)), rng.random((150, 2))
    both = AllOf(Increasing(0), Increasing(1))
    aligned = AlignedRegressor(Wave(), both, alpha=0.3, n_knots=9, n_queries=10, random_state=0, confidence=None)
    aligned.calibrate(X, X_reference=reference)
    queries = aligned.alignment_.tester.draw(X, 10, RowDraws.of(X, generator(0, CALIBRATE)))
    needing = aligned.alignment_.at_queries(X, queries, scores.delivered)
    violated = aligned.alignment_.at_queries(X, queries, lambda found: found.excess(found.f))
    assert aligned.calibration_.positive_rate == pytest.approx((np.max(needing, axis=0) > 0).mean(), abs=1e-12)
    assert aligned.calibration_.positive_rate > (np.max(violated, axis=0) > 0).mean()


@settings(max_examples=200)
@given(st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0, 2.5]), min_size=9, max_size=60), st.integers(10, 90))
def test_zeros_are_left_out_of_the_search_and_counted(found, hundredths) -> None:
    """The rank of all scores, by sorting them; what is searched is not changed."""
    scores_of_rows = np.array(found)[:, None]
    before = scores_of_rows.copy()
    half_width, above = critical_half_width(scores_of_rows, hundredths / 100)
    assert half_width == sorted(found)[len(found) - 1 - above]
    np.testing.assert_array_equal(scores_of_rows, before)


def test_missing_scores_are_no_zeros() -> None:
    found = np.full((19, 1), np.nan)
    assert np.isnan(critical_half_width(found, 0.1)[0])
