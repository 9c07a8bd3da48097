r"""Every promise over a thousand draws and more, by the simulations of ``python -m benchmarks validity``.

Each number drawn is an exact violation rate (or an indicator), so that a promise that is kept is found wanting at four standard
errors with probability 0.003 %; for a share near 0 with few draws, Clopper-Pearson takes the place of the normal law. Means that
are known are met within four standard errors on both sides (0.006 %). Seeds are fixed.

What the simulations take for the truth is checked first, against the delivered function itself.
"""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binom

from alignconf import AlignedRegressor
from alignconf.calibration.ranks import allowed_above
from alignconf.properties import Concave, Increasing
from benchmarks.__main__ import main
from benchmarks.calibration import ratios
from benchmarks.simulations import bounded, delivered, draws, patterns, several
from benchmarks.simulations.modes import BREAKS, FAILS, HOLDS, Mode
from benchmarks.simulations.waves import HEIGHTS, PLACES, Pieces, Wave, concave_fit, increasing_fit, pairs, triples
from benchmarks.validity import HEADER, MODES, chosen
from tests.examples import IS_LONG

ROOT = Path(__file__).parent.parent
BY_NAME = {mode.name: mode for mode in MODES}

#: For the long runs only.
COSTLY = {
    "leaves in order, path answer",
    "leaves in order, path leaves",
    "delivered, 10 queries a row, alpha 0.1",
    "delivered, 10 queries a row, alpha 0.05",
    "outcome pooled, hard group",
    "outcome by group, hard group",
    "outcome by group, easy group",
    "outcome outside its interval",
    "outcome outside its interval, normalised",
    "the default, 500 rows of 10 queries, alpha 0.05",
    "the default, 100 rows of 10 queries, alpha 0.05",
    "covariate shift, half-width of each row",
    "covariate shift, worst case",
    "covariate shift, ignored",
    "certificate of averaged losses, missed",
    "levels, property at 0.05",
    "levels, property at 0.2",
    "overlapping groups, first",
    "overlapping groups, second",
}

#: Slow ones have fewer draws here.
N_DRAWS = {
    "delivered, from model to lambda_": 120,
    **dict.fromkeys((mode.name for mode in patterns.MODES), 60),
    "several outputs": 120,
    "the default, 59 rows of 10 queries, alpha 0.05": 400,
    "additive model, fixed seed: certificate, missed": 400,
    "by group, large group": 300,
    "by group, small group": 300,
    "pooled, large group": 300,
    "pooled, small group": 300,
    "sequence of bounds, ever wrong": 80,
    "alarm of a change, false": 120,
    "alarm of the rate, false": 100,
    "table of losses, confidence 0.95": 150,
    "size of violations, constant bound": 150,
    "size of violations, falling bound": 250,
    "covariate shift, ratio estimated": 300,
    "steered, all rows": 200,
    "steered, own bound passed": 200,
    "steered, after the change": 200,
    "AlignedClassifier.fit, rare class low": 200,
    "AlignedClassifier.fit, rare class high": 200,
}


# ---------------------------------------------------------------------------------------------------------------------
# The truth
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ray", [(1.0, 1.0), (1.0, 2.5)])
def test_rates_of_pairs_are_those_of_the_delivered_function(ray) -> None:
    """Each pair by itself, its rejections found on 40,000 quantiles of z: no more than 1e-4 from the sum."""
    fit, z = increasing_fit(HEIGHTS), -np.log1p(-(np.arange(40_000) + 0.5) / 40_000)
    truth = pairs(HEIGHTS, fit, *ray)
    for half_width in (0.05, 0.6, 2.0):
        values = HEIGHTS + np.clip(fit - HEIGHTS, -half_width * ray[0] / z[:, None], half_width * ray[1] / z[:, None])
        falls = sum(np.mean(values[:, i] > values[:, j] + 1e-7) for i, j in combinations(range(12), 2))
        assert truth.rate(np.array([half_width]))[0] == pytest.approx(falls / 66, abs=1e-4)


def test_rates_of_triples_are_those_of_the_delivered_function() -> None:
    fit, z = concave_fit(HEIGHTS, PLACES), -np.log1p(-(np.arange(20_000) + 0.5) / 20_000)
    truth = triples(HEIGHTS, fit, PLACES)
    for half_width in (0.1, 1.0, 3.0):
        values = HEIGHTS + np.clip(fit - HEIGHTS, -half_width / z[:, None], half_width / z[:, None])
        fails = 0.0
        for i, j, k in combinations(range(12), 3):
            chord = ((PLACES[k] - PLACES[j]) * values[:, i] + (PLACES[j] - PLACES[i]) * values[:, k]) / (
                PLACES[k] - PLACES[i]
            )
            fails += np.mean(chord > values[:, j] + 1e-7)
        assert truth.rate(np.array([half_width]))[0] == pytest.approx(fails / 220, abs=2e-4)


@pytest.mark.parametrize(("declared", "truth"), [(Increasing(0), "pairs"), (Concave(0), "triples")])
def test_rates_are_those_that_certificates_count(declared, truth) -> None:
    """40,000 fresh queries of an estimator. False alarm: 1e-5 each."""
    random = np.random.default_rng(2)
    rows = np.column_stack([random.choice(PLACES, 40_300), random.exponential(size=40_300)])
    aligned = AlignedRegressor(Wave(), declared, random_state=0, confidence=None)
    aligned.calibrate(rows[:300], X_reference=delivered.REFERENCE)
    fit = delivered.FIT if truth == "pairs" else concave_fit(HEIGHTS, PLACES)
    pieces = pairs(HEIGHTS, fit) if truth == "pairs" else triples(HEIGHTS, fit, PLACES)
    p = pieces.rate(np.array([aligned.lambda_]))[0]
    assert 0.03 < p < 0.2
    assert binom.ppf(5e-6, 40_000, p) <= aligned.certify(rows[300:]).n_rejected <= binom.isf(5e-6, 40_000, p)


@pytest.mark.parametrize("name", patterns.LOSSES)
def test_rates_of_rows_as_they_come_are_those_that_certificates_count(name) -> None:
    """20,000 fresh rows, those left out that have neither feature. False alarm: 1e-5 each. The projection is the two fits."""
    loss, random = patterns.LOSSES[name], np.random.default_rng(3)
    aligned = AlignedRegressor(patterns.Incomplete(), loss.rules, alpha=0.1, random_state=0, confidence=None)
    aligned.calibrate(loss.rows(300, random), X_reference=loss.reference)
    p = patterns.violation_rates(loss, np.array([aligned.lambda_]))[0]
    certificate = aligned.certify(loss.rows(20_000, random))
    assert 0.05 < p < 0.2
    assert certificate.n_missing > 200
    assert binom.ppf(5e-6, certificate.n_rows, p) <= certificate.n_rejected <= binom.isf(5e-6, certificate.n_rows, p)
    aligned = AlignedRegressor(patterns.Incomplete(), loss.rules, alpha=0).calibrate(loss.reference)
    first, second = loss.fits
    projected = aligned.predict(loss.reference).reshape(first.size, second.size)
    np.testing.assert_allclose(projected, first[:, None] + second, atol=1e-9)


def test_sizes_are_integrals_over_the_scale() -> None:
    truth = pairs(HEIGHTS, delivered.FIT)

    def excess(z: float, half_width: float) -> float:
        values = z * HEIGHTS + np.clip(z * (delivered.FIT - HEIGHTS), -half_width, half_width)
        return float(2 * np.triu(values[:, None] - values[None, :], 1).clip(0).sum() / 132)

    for half_width in (0.0, 0.2, 0.9):
        expected = quad(excess, 0, 1, args=(half_width,), limit=400, epsabs=1e-7)[0]
        assert truth.size(np.array([half_width]), 1.0)[0] == pytest.approx(expected, abs=1e-5)


def test_the_fit_of_concave_lines_is_the_nearest() -> None:
    """Moreau: what is left is orthogonal to the fit, and points away from every concave line."""
    fit = concave_fit(HEIGHTS, PLACES)
    left = HEIGHTS - fit
    assert (np.diff(np.diff(fit) / np.diff(PLACES)) <= 1e-9).all()
    assert left @ fit == pytest.approx(0, abs=1e-8)
    hinges = -np.maximum(PLACES[:, None] - PLACES[None, :-1], 0)
    assert (left @ np.column_stack([hinges, PLACES, -PLACES, np.ones(12), -np.ones(12)]) <= 1e-8).all()


def test_a_piece_is_where_an_excess_is_positive() -> None:
    """One pair, by hand: 3 falls to 1, both are moved by 1; accepted from 1 on, 2 - 2 tau before."""
    piece = Pieces.of_queries(np.array([[1.0, -1.0]]), np.array([[3.0, 1.0]]), np.array([[2.0, 2.0]]), 1.0)
    np.testing.assert_allclose([piece.start[0], piece.end[0], piece.height[0], piece.slope[0]], [0, 1, 2, -2])
    np.testing.assert_allclose(piece.rate(np.array([0.0, 0.7])), [1, np.exp(-0.7)])


# ---------------------------------------------------------------------------------------------------------------------
# The promises
# ---------------------------------------------------------------------------------------------------------------------
#: Means that are known exactly: floor(alpha (n + 1)) / (n + 1) for scores without ties.
KNOWN = {
    "delivered, alpha 0.1": 0.1,
    "delivered, alpha 0.05": 0.05,
    "delivered, from model to lambda_": 0.1,
    "tied features, 94% coincidences": 0.1,
    "tied features, confidence 0.95": binom.cdf(allowed_above(99, 1, 0.1, 0.95), 99, 0.1),
    "additive model, fixed seed: certificate, missed": draws.missed_share(),
    "additive model, fixed seed: confidence 0.95": draws.exceeded_share(),
    **{f"rows as they come, {name}": patterns.expected_rate(loss) for name, loss in patterns.LOSSES.items()},
    "line": 0.1,
    "displacement": 0.1,
    "existence, its own promise": 0.1,
    "query law: paths": 0.1,
    "query law: whole lines": 0.1,
    "two-sided band on a ray": 0.1,
    "levels, property at 0.05": 0.05,
    "bounds on values, on a ray": 5 / 51,
    "bounds on values, on a lopsided ray": 5 / 51,
    "16 properties, on a ray": 10 / 101,
    "outcome outside its interval": 0.1,
    "outcome outside its interval, normalised": 0.1,
    "static, after the change": 0.1 ** (1 / 3),
    "cheapest of 500 choices": several.menu_rate(20, 0.3, 500, 0.1),
}


def n_draws_of(name: str) -> int:
    return 1000 if IS_LONG else N_DRAWS.get(name, 1000)


@pytest.mark.parametrize(
    "mode",
    [pytest.param(mode, id=mode.name, marks=[pytest.mark.slow] if mode.name in COSTLY else []) for mode in MODES],
)
def test_a_promise_holds_and_what_is_none_breaks(mode: Mode) -> None:
    """Known means within four standard errors on both sides; the static one, a power, has a mean a little above it."""
    n_draws = n_draws_of(mode.name)
    result = mode.run(n_draws, np.random.default_rng(11))
    if result.verdict == FAILS and mode.expected == HOLDS and result.achieved * n_draws < 20:
        # Too few for the normal law: as many, or more, happen with probability 0.003 % if each has the target's.
        assert result.achieved * n_draws <= binom.isf(3e-5, n_draws, mode.target)
    else:
        assert result.verdict != FAILS, (result.achieved, result.standard_error)
    if mode.name in KNOWN:
        assert result.standard_error < 0.02
        slack = 0.002 if "static" in mode.name else 0
        assert abs(result.achieved - KNOWN[mode.name]) <= 4 * result.standard_error + slack


def test_the_known_means_are_of_modes() -> None:
    assert set(KNOWN) <= {mode.name for mode in MODES}


def test_what_the_modes_of_draws_are_about() -> None:
    """94 % of independent pairs coincide; the rate of the additive model is just below alpha, its bound missed in nearly 5 %."""
    assert 0.935 < draws.COINCIDENCES < 0.945
    assert 0.09 < draws._rate(draws._half_width()) < 0.1
    assert 0.03 < draws.missed_share() < 0.05


def test_the_menu_has_the_rate_that_was_derived() -> None:
    """0.2935, by the binomial law."""
    passes = sum(binom.pmf(k, 20, 0.3) for k in (0, 1))
    assert several.menu_rate(20, 0.3, 500, 0.1) == pytest.approx(0.3 * (1 - (1 - passes) ** 500))
    assert several.menu_rate(20, 0.3, 500, 0.1) == pytest.approx(0.2935, abs=1e-4)


def test_the_sum_of_two_half_widths_is_the_smallest_that_passes() -> None:
    """Against all pairs of half-widths that a small sample offers."""
    random = np.random.default_rng(3)
    n_rows, above = 20, 1
    rates = several._cheapest_bounds(50, np.random.default_rng(3), n_rows=n_rows, alpha=0.1)
    excess = random.uniform(-1, 1, (50, n_rows))
    for row, rate in zip(excess, rates, strict=True):
        sums = [
            high + low
            for high in (0, *row[row > 0])
            for low in (0, *-row[row < 0])
            if ((row > high) | (-row > low)).sum() <= above
        ]
        assert rate == pytest.approx(1 - min(sums) / 2)


def test_what_bounds_sizes_beforehand_is_true() -> None:
    z = np.random.default_rng(4).random(2000)
    for half_width in (0.0, 0.5, 1.5):
        moved = np.clip(z[:, None] * (delivered.FIT - HEIGHTS), -half_width, half_width)
        values = z[:, None] * HEIGHTS + moved
        largest = max((values[:, i] - values[:, j]).max() for i, j in combinations(range(12), 2))
        assert (
            largest
            <= min(bounded.CONSTANT.at_half_width(half_width), bounded.FALLING.at_half_width(half_width)) + 1e-12
        )


# ---------------------------------------------------------------------------------------------------------------------
# The run
# ---------------------------------------------------------------------------------------------------------------------
def test_the_run_prints_a_line_for_each_mode_and_saves_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["pooled", "levels", "bounds on values", "ratio estimated"]
    main(["validity", "--draws", "200", "--only", *words, "--output", str(tmp_path)])
    printed = capsys.readouterr().out.splitlines()
    modes = chosen(words)
    assert [cell.strip() for cell in printed[0].strip("| ").split("|")] == list(HEADER)
    saved = (tmp_path / "validity.csv").read_text().splitlines()
    page = (tmp_path / "validity.md").read_text()
    assert len(saved) == len(modes) + 1
    for mode, line in zip(modes, printed[1:], strict=False):
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        assert cells[0] == mode.name
        assert cells[4] in (HOLDS, BREAKS, "reported", "estimated")
        assert cells[5:] == [str(mode.n_rows), "200"]
        assert re.fullmatch(r"0\.\d{4,}", cells[2])
        assert f"| {cells[2]} " in page
        assert mode.note in page
    assert printed[-1].startswith(f"{len(modes)} modes, 0 failed")
    assert "seed 0, alignconf" in page
    assert "numpy" in saved[0]


def test_lines_are_the_same_whichever_are_run_with_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = []
    for words in (["levels, property at 0.2"], ["levels"]):
        main(["validity", "--draws", "50", "--only", *words, "--output", str(tmp_path)])
        lines += [line.split() for line in capsys.readouterr().out.splitlines() if "at 0.2" in line]
    assert lines[0] == lines[1]


def test_a_promise_that_is_not_kept_ends_the_run(monkeypatch, tmp_path: Path) -> None:
    def half(n_draws, random):
        return random.random(n_draws)

    broken = (
        Mode("kept", 0.6, 1, half),
        Mode("not kept", 0.1, 1, half),
        Mode("kept, should break", 0.6, 1, half, BREAKS),
    )
    monkeypatch.setattr("benchmarks.validity.MODES", broken)
    with pytest.raises(SystemExit, match="not keep their promise, or keep what is none: not kept; kept, should break"):
        main(["validity", "--draws", "100", "--output", str(tmp_path)])
    assert (tmp_path / "validity.md").read_text().count(FAILS) == 2


def test_unknown_modes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="'nothing' is part of no mode's name; choose from: delivered, alpha"):
        main(["validity", "--only", "nothing", "--output", str(tmp_path)])


def test_names_are_unique_and_each_mode_says_what_is_drawn() -> None:
    assert len(BY_NAME) == len(MODES)
    assert all(mode.note for mode in MODES)


def test_the_page_shows_every_mode_with_its_verdict() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    for mode in MODES:
        (line,) = re.findall(rf"^\| {re.escape(mode.name)} +\|.*$", page, re.MULTILINE)
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        assert cells[1] == f"{mode.target:g}"
        assert cells[4] == mode.expected
        assert cells[5:] == [str(mode.n_rows), "10000"]


# ---------------------------------------------------------------------------------------------------------------------
# Speed
# ---------------------------------------------------------------------------------------------------------------------
def test_calibrating_takes_a_few_sorts_and_a_few_copies() -> None:
    """A million scores, with room for a busy machine; less than 3 of both for ten millions whose values spread."""
    found = ratios(1_000_000, names=("plain", "plain, most scores zero"), n_runs=9)
    assert found["plain"]["time"] < 9
    assert found["plain, most scores zero"]["time"] < 12, "selection among equal numbers should not be slow"
    assert found["plain"]["memory"] < 3
    assert found["plain, most scores zero"]["memory"] < 3


def test_calibration_benchmark_writes_what_it_prints(
    monkeypatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.calibration.ratios", lambda: ratios(10_000, n_runs=1))
    main(["calibration", "--output", str(tmp_path)])
    results = json.loads((tmp_path / "calibration.json").read_text())["results"]
    printed = capsys.readouterr().out
    for name, one in results.items():
        assert f"| {name} " in printed
        assert f"| {one['memory']:.2f} " in printed
