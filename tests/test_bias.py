"""The simulation of biased labels: its measures, its model, and what it says of rows and bias."""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from benchmarks.__main__ import main
from benchmarks.bias import (
    BETAS,
    EARLIER,
    GRID,
    RIDGE,
    TOLERANCE,
    RandomFeatures,
    fitted,
    labelled,
    limit,
    measured,
    simulate,
    truth,
)


def test_the_limits_are_those_printed_earlier() -> None:
    """Numbers without seeds: equal to what was printed, to its last digit."""
    for beta in (0.0, 1.5):
        differences = np.abs(np.subtract(astuple(measured(limit(beta))), EARLIER[0, None, beta]))
        assert (differences < np.array([5.1e-5, 5.1e-5, 5.1e-4, 5.1e-5])).all(), differences


def test_the_measures_by_enumeration() -> None:
    line = np.array([0.0, 0.3, 0.1, 0.28, 0.27])
    pairs = [(j, k) for j in range(5) for k in range(j + 1, 5)]
    falls = [max(line[j] - line[k], 0) for j, k in pairs]
    found = measured(line)
    assert found.pairs == pytest.approx(np.mean([fall > TOLERANCE for fall in falls])) == 0.1
    assert found.size == pytest.approx(np.mean(falls))
    assert found.drawdown == pytest.approx(0.2)
    # The best increasing line takes the three later values to one of them, or the second down to .1: .2 + .01 in all.
    assert found.distance == pytest.approx(0.21 / 5)


def test_the_model_is_ridge_regression_on_its_features() -> None:
    random = np.random.default_rng(0)
    x, y = random.uniform(-1, 1, 2500), random.normal(size=(2500, 2))
    model = RandomFeatures(30, random).fit(x, y)
    features = np.sqrt(2 / 30) * np.cos(np.outer(x, model.omega) + model.phase)
    ridge = Ridge(RIDGE, fit_intercept=False, solver="cholesky").fit(features, y)
    for target in (0, 1):
        np.testing.assert_allclose(model.of(target).predict(x[:, None]), ridge.predict(features)[:, target], atol=1e-8)


def test_labels_are_biased_where_and_as_much_as_is_said() -> None:
    """Means of labels less their limit within 4.5 standard errors of 0: a false alarm in 10,000 runs over nine means."""
    x, y = labelled(100_000, np.random.default_rng(1))
    inside = (x > 0.2) & (x < 0.6)
    for rows in (inside, ~inside, np.abs(x - 0.6) < 0.02):
        for target, beta in enumerate(BETAS):
            off = y[rows, target] - limit(beta, x[rows])
            assert abs(off.mean()) < 4.5 * off.std() / np.sqrt(off.size)
    assert np.std(y[~inside, 2] - truth(x[~inside])) == pytest.approx(0.2, rel=0.02)


def test_distances_to_order_differ_by_no_more_than_the_functions() -> None:
    for seed in range(3):
        for target, beta in enumerate(BETAS):
            line = fitted(60, 300, seed).of(target).predict(GRID[:, None])
            apart = np.mean(np.abs(line - limit(beta)))
            one, other = measured(line), measured(limit(beta))
            assert abs(one.distance - other.distance) <= apart + 1e-12
            assert abs(one.size - other.size) <= 2 * apart * GRID.size / (GRID.size - 1)


def test_rows_wash_out_noise_and_not_bias() -> None:
    few, many = simulate(100, 200, 0), simulate(100, 10_000, 0)
    assert [one.beta for one in many] == [0.0, 0.5, 1.5]
    assert many[0].distance < 0.1 * few[0].distance
    assert many[2].distance > 0.5 * measured(limit(1.5)).distance
    assert many[2].drawdown > 0.1
    assert few[0].error > 4 * many[0].error
    for one in (*few, *many):
        # Isotonic regression of a function towards an increasing truth never moves it away in mean square.
        assert one.error_aligned <= one.error + 1e-12
    assert many[2].error > 0.15


def test_the_command_prints_tables_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--features", "20", "100", "--rows", "100", "200", "--seeds", "2", "--drawn", "50"]
    main(["bias", *sizes, "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "bias.json").read_text())["results"]
    assert len(results) == len(pd.read_csv(tmp_path / "bias.csv")) == 2 * 2 * 3 * 2
    mean = np.mean([r["drawdown"] for r in results if (r["n_features"], r["n_samples"], r["beta"]) == (100, 200, 1.5)])
    assert f"| {mean:.4f} +- " in next(line for line in printed.splitlines() if line.startswith("| 1.5  | 100   | 200"))
    assert "| 1.5  | limit | E[y\\|x]" in (tmp_path / "bias.md").read_text()
    for name in ("bias.png", "bias_random_features.png"):
        assert (tmp_path / name).stat().st_size > 10_000
