"""The trend test keeps its level, agrees with regression and SciPy, and sees a trend that is there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress, ttest_1samp

from benchmarks.trend import of_slopes, trend


def test_slopes_are_those_of_least_squares_and_the_test_is_students() -> None:
    curves = np.random.default_rng(0).normal(size=(7, 5)) + np.arange(5)
    slopes = [linregress(np.arange(5), curve).slope for curve in curves]
    result, expected = trend(curves), ttest_1samp(slopes, 0)
    assert result.slope == pytest.approx(np.mean(slopes))
    assert result.p_value == pytest.approx(expected.pvalue)
    assert result.slope / result.standard_error == pytest.approx(expected.statistic)


def test_what_seeds_share_drops_out() -> None:
    random = np.random.default_rng(1)
    curves = random.normal(size=(6, 4))
    assert trend(curves + 7).p_value == pytest.approx(trend(curves).p_value)
    assert trend(curves + 100 * random.normal(size=(6, 1))).p_value == pytest.approx(trend(curves).p_value)


def test_the_level_is_kept_where_there_is_no_trend() -> None:
    """4,000 tests of ten normal curves at level 0.05: outside five standard errors by chance in 6e-7 of all seeds."""
    random = np.random.default_rng(2)
    rejected = np.mean([trend(random.normal(size=(10, 6))).p_value <= 0.05 for _ in range(4000)])
    assert rejected == pytest.approx(0.05, abs=5 * (0.05 * 0.95 / 4000) ** 0.5)
    assert trend(random.normal(size=(10, 6)) + np.arange(6)).p_value < 1e-4


def test_where_there_is_nothing_to_test_it_says_so() -> None:
    assert np.isnan(trend(np.zeros((4, 3))).p_value)
    assert np.isnan(of_slopes([1.0]).p_value)
    assert of_slopes([2.0, 2.0]).p_value == 0
    assert of_slopes([1.0]).words == "+1, no test"
    assert "below 0.001" in of_slopes([2.0, 2.0]).words
