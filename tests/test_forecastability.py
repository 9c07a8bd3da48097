"""How well few scores forecast the largest of many, against closed forms and a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from alignconf.deployment.forecast import extrapolation_bias, forecastability_error
from alignconf.deployment.forecast.forecastability import largest_forecast
from alignconf.errors import InputError


def test_a_line_that_is_exact_is_carried_on_exactly() -> None:
    """Scores at the exact exponential quantiles -log(i/m): Q is log n."""
    exact = -np.log(np.arange(1, 501) / 500)
    for k in (2, 10, 500):
        assert largest_forecast(exact, 20_000, k) == pytest.approx(np.log(20_000), rel=1e-12)


def test_the_line_is_that_of_polyfit() -> None:
    scores = np.random.default_rng(0).gumbel(size=300)
    slope, intercept = np.polyfit(np.sort(scores)[::-1][:10], np.log(np.arange(1, 11) / 300), 1)
    assert largest_forecast(scores, 5000, 10) == pytest.approx(-(np.log(5000) + intercept) / slope, rel=1e-9)


def test_the_mean_error_on_an_exponential_tail_is_known() -> None:
    """E(Q - max) = bias + log n - (1 + 1/2 + ... + 1/n); 4,000 draws, five standard errors, false alarm below 1e-6."""
    random = np.random.default_rng(1)
    pools = random.exponential(size=(4000, 200))
    largest = -np.log(-np.expm1(np.log(random.random(4000)) / 5000))
    gaps = np.array([largest_forecast(pool, 5000, 10) for pool in pools]) - largest
    expected = extrapolation_bias(200, 5000).total + np.log(5000) - (1 / np.arange(1, 5001)).sum()
    assert abs(gaps.mean() - expected) < 5 * gaps.std() / np.sqrt(4000)


def test_the_error_of_a_pool_is_that_of_its_cuts() -> None:
    """A pool of four, m = 3 and n = 1: four cuts, equally likely; the mean of 4,000 within five standard errors."""
    pool = np.array([0.0, 1.0, 3.0, 4.0])
    squares = [(largest_forecast(np.delete(pool, left), 1, 2) - pool[left]) ** 2 for left in range(4)]
    error = forecastability_error(pool, 3, 1, 2, n_splits=4000)
    assert abs(error**2 - np.mean(squares)) < 5 * np.std(squares) / np.sqrt(4000)


def test_the_error_moves_with_the_scale_and_not_with_the_origin() -> None:
    pool = np.random.default_rng(2).gumbel(size=1000)
    error = forecastability_error(pool, 200, 800)
    assert forecastability_error(3 * pool + 7, 200, 800) == pytest.approx(3 * error, rel=1e-9)
    assert forecastability_error(pool, 200, 800, random_state=1) != error


def test_a_rare_mode_is_seen_in_the_error_and_a_plateau_forecasts_itself() -> None:
    pool = np.random.default_rng(3).exponential(size=5000)
    common = forecastability_error(pool, 400, 4600)
    pool[:3] = 60.0
    assert forecastability_error(pool, 400, 4600) > 5 * common
    assert forecastability_error(np.zeros(100), 20, 80) == 0.0


def test_a_pool_that_is_too_small_is_refused() -> None:
    with pytest.raises(InputError, match="scores holds 20 numbers, and m=15 and n=6 need 21"):
        forecastability_error(np.arange(20.0), 15, 6)
    with pytest.raises(InputError, match="k must be at most 15, got 16"):
        forecastability_error(np.arange(40.0), 15, 6, k=16)
