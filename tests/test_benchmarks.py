"""The benchmarks run as printed, on bundled or made-up data, and what they print is what they measured."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alignconf.properties import declare
from benchmarks import pitfalls
from benchmarks.__main__ import main
from benchmarks.declarations import SHAPES
from benchmarks.measures import pairs, violated, violated_by_aligned
from benchmarks.methods import IceLoop
from benchmarks.projection import concave_ratios, prepared, ratios
from benchmarks.reference import neighbourhoods, with_equal_weights
from benchmarks.serving import latencies
from benchmarks.solvers import fits
from benchmarks.speed import STAGES, fresh_processes, scaling
from benchmarks.speed import ratios as speed_ratios


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory with a small stand-in for the concrete data: strength rises with cement up to a wave."""
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.uniform(0, 1, (1000, 3)), columns=["cement", "water", "age"])
    strength = X.cement + np.sin(12 * X.cement) / 4 - X.water + random.normal(0, 0.1, 1000)
    X.assign(compressive_strength=strength).to_csv(tmp_path / "concrete.csv", index=False)
    return tmp_path


def test_demo_prints_the_table_and_saves_the_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["demo", "--output", str(tmp_path / "results")])
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "results" / "demo.json").read_text())["results"]
    assert [result["alpha"] for result in results] == [0.2, 0.1, 0.05, 0.0]
    for result in results:
        assert result["sentence"] in printed
    assert results[-1]["lambda_"] is None
    assert results[-1]["n_rejected"] == 0
    assert results[2]["delivered"]["rate"] < results[2]["before"]["rate"]
    assert (tmp_path / "results" / "demo_line.png").stat().st_size > 10_000


@pytest.mark.slow
def test_dial_reports_every_method(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = data / "results"
    arguments = ["--data", str(data), "--dataset", "concrete", "--seeds", "2", "--output", str(output)]
    main(["dial", *arguments, "--models", "hist_gradient_boosting", "mlp"])
    printed = capsys.readouterr().out
    table = pd.read_csv(output / "dial_concrete.csv")
    methods = {"unaligned", "retrained", "retrained + calibration rows", "ICE loop", "aligned", "existence band"}
    boosted = table[table.model == "hist_gradient_boosting"]
    assert set(boosted.method) == methods
    assert set(table[table.model == "mlp"].method) == methods - {"retrained", "retrained + calibration rows"}
    full = boosted[(boosted.method == "aligned") & (boosted.alpha == 0)]
    assert (full.violations < boosted[boosted.method == "unaligned"].violations.to_numpy()).all()
    assert (boosted[boosted.method == "retrained"].violations == 0).all()
    assert "### mlp" in printed
    assert (output / "dial_concrete.png").stat().st_size > 10_000


def test_dial_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="pass --data DIR"):
        main(["dial", "--dataset", "abalone"])
    with pytest.raises(SystemExit, match=r"abalone\.csv does not exist"):
        main(["dial", "--dataset", "abalone", "--data", str(tmp_path)])


def test_both_ways_of_counting_violations_agree() -> None:
    from sklearn.tree import DecisionTreeRegressor

    from alignconf import AlignedRegressor

    random = np.random.default_rng(1)
    X = pd.DataFrame(random.normal(size=(400, 2)), columns=["a", "b"])
    model = DecisionTreeRegressor(max_leaf_nodes=30, random_state=0).fit(X, X.a + random.normal(size=400))
    aligned = AlignedRegressor(model, {"a": 1}, alpha=0.1, random_state=0, confidence=None).calibrate(
        X[:200], X_reference=X[200:]
    )
    asked = pairs(X[:50], X[200:], "a", 6, 0)
    np.testing.assert_array_equal(violated(aligned, X[:50], "a", 1, asked), violated_by_aligned(aligned, X[:50], asked))


def test_ice_loop_is_monotone_on_its_grid() -> None:
    class Wave:
        def predict(self, X: pd.DataFrame) -> np.ndarray:
            return np.sin(X.a.to_numpy() * 3)

    X = pd.DataFrame({"a": np.linspace(-1, 1, 200), "b": 0.0})
    for sign in (1, -1):
        assert (sign * np.diff(IceLoop(Wave(), "a", sign, X).predict(X)) >= 0).all()


def test_ratios_have_the_right_order() -> None:
    for row in ratios(2000, n_runs=3):
        assert row["scipy_over_l2"] > 1
        assert row["sup_over_copy"] > 0
    for row in concave_ratios(1000, n_few=4, n_runs=2):
        assert row["solver_over_l2"] > 1, row
        assert row["cost"] < 1e-6, row


def test_missing_solvers_are_skipped_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "quadprog", None)
    found, missing = prepared(np.linspace(0, 1, 8), np.full(8, 1 / 8))
    assert "quadprog" in missing
    assert "scipy nnls" in found
    assert not set(found) & set(missing)


def test_solvers_agree_with_the_projection_at_any_knots_and_weights() -> None:
    from alignconf.kernels.curvature import concave_least_squares

    random = np.random.default_rng(2)
    knots, weights = np.sort(random.uniform(0, 3, 12)), random.dirichlet(np.full(12, 5.0))
    lines = random.normal(size=(3, 12))
    nearest = concave_least_squares(lines, knots, weights)
    for name, solve in prepared(knots, weights)[0].items():
        np.testing.assert_allclose(fits(lines, solve), nearest, atol=1e-4, err_msg=name)


@pytest.fixture
def shapes_data(tmp_path: Path) -> Path:
    """A directory with small stand-ins: a wavy Engel curve, gzipped, and cars refused at random if unsafe or dear."""
    random = np.random.default_rng(0)
    income = random.uniform(300, 3000, 240)
    engel = pd.DataFrame({"income": income, "foodexp": 20 * np.sqrt(income) + random.normal(0, 80, 240)})
    engel.to_csv(tmp_path / "engel.csv.gz", index=False)
    orders = {
        name: part.order for part in declare(SHAPES["car_evaluation"].properties).parts for name in [part.feature]
    }
    cars = pd.DataFrame({name: random.choice(np.array(order), 300) for name, order in orders.items()})
    refused = random.uniform(size=300) < np.where((cars.safety == "low") | (cars.buying == "vhigh"), 0.8, 0.3)
    accepted = random.choice(["acc", "good"], 300)
    cars.assign(acceptability=np.where(refused, "unacc", accepted)).to_csv(tmp_path / "car_evaluation.csv", index=False)
    return tmp_path


def test_shapes_prints_one_table_and_writes_what_it_shows(
    shapes_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = shapes_data / "results"
    arguments = ["--dataset", "engel", "car_evaluation", "--seeds", "2", "--output", str(output)]
    main(["shapes", "--data", str(shapes_data), *arguments])
    printed = capsys.readouterr().out
    results = json.loads((output / "shapes.json").read_text())["results"]
    assert [(one["dataset"], one["model"]) for one in results] == [
        ("engel", "cubic spline"),
        ("car_evaluation", "boosted classifier"),
        ("car_evaluation", "forest classifier"),
    ]
    assert [one["measure"] for one in results] == ["mean squared error", "log-loss", "log-loss"]
    assert [one["n_rows"] for one in results] == [240, 300, 300]
    assert printed.count("| engel ") == 1
    for one in results:
        assert one["property"] in printed
        assert str(declare(SHAPES[one["dataset"]].properties)) in one["property"]
        assert one["delivered_violations"] < one["violations"]
        assert one["delivered_bound"] > one["delivered_violations"]
        rates = [certificate["delivered"]["rate"] for certificate in one["certificates"]]
        assert len(rates) == 2
        assert one["delivered_violations"] == pytest.approx(np.mean(rates))


def test_shapes_names_the_missing_data(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"engel\.csv does not exist"):
        main(["shapes", "--data", str(tmp_path), "--dataset", "engel"])


def test_the_page_of_shapes_declares_what_is_run_in_five_lines() -> None:
    page = (Path(__file__).parent.parent / "docs" / "benchmarks.md").read_text()
    shown: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        assert len(re.findall(r"^.+$", block, re.MULTILINE)) <= 5
        exec(block, shown)
    for name, shape in SHAPES.items():
        assert declare(shown[name]) == declare(shape.properties), name


@pytest.mark.slow
def test_reference_compares_three_ways_to_weigh_the_same_model(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = data / "results"
    arguments = ["--cases", "concrete", "neighbourhoods", "--seeds", "2", "--output", str(output)]
    main(["reference", "--data", str(data), *arguments])
    printed = capsys.readouterr().out
    results = json.loads((output / "reference.json").read_text())["results"]
    assert [one["name"] for one in results] == ["concrete: + cement"] * 2 + ["neighbourhoods: - crime"] * 2
    for one in results:
        assert len({one[way] for way in ("unaligned", "equal", "marginal", "conditional")}) == 4
        assert one["repair"].startswith("exact")
        assert one["n_train"] == 750
    ratio = np.mean([one["conditional"] / one["unaligned"] for one in results[:2]])
    assert f"| {ratio:.3f} " in next(line for line in printed.splitlines() if "concrete" in line)


def test_equal_weights_are_those_of_isotonic_regression_without_weights() -> None:
    from scipy.optimize import isotonic_regression

    from alignconf import AlignedRegressor

    random = np.random.default_rng(3)
    X = np.column_stack([random.exponential(size=300).round(1), random.normal(size=300)])
    model = _Curve()
    marginal = AlignedRegressor(model, {0: 1}, alpha=0).calibrate(X)
    equal = with_equal_weights(marginal)
    knots = marginal.alignment_.tester.laws[0].knots
    at_knots = np.column_stack([knots, np.zeros(knots.size)])
    expected = isotonic_regression(model.predict(at_knots)).x
    np.testing.assert_allclose(equal.predict(at_knots), expected, atol=1e-12)
    assert np.abs(marginal.predict(at_knots) - expected).max() > 0.01


class _Curve:
    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.sin(3 * X[:, 0])


def test_made_up_prices_fall_with_crime_by_what_is_written() -> None:
    """Ordinary least squares on the terms of the price: 1.5 for each factor e, within four standard errors (6e-5)."""
    rows = neighbourhoods(20_000, seed=1)
    X = rows.X
    terms = [np.log(X.crime), X.rooms, np.sin(X.distance), X.age, np.ones(len(X))]
    slopes, rest, _, _ = np.linalg.lstsq(np.column_stack(terms), rows.y, rcond=None)
    assert slopes[0] == pytest.approx(-1.5, abs=0.12)
    assert rest[0] / 20_000 == pytest.approx(4, abs=0.16)
    assert np.corrcoef(np.log(X.crime), X.industry)[0, 1] > 0.8


def test_serving_measures_every_way() -> None:
    """Ratios of a loaded machine mean little; that all are there and finite is looked at, and that preparing pays."""
    results = latencies(12, n_training=200)
    assert len({(row["model"], row["rows"], row["rules"], row["alpha"]) for row in results}) == len(results)
    assert {row["rows"] for row in results} == {"array", "frame", "Pipeline"}
    assert all(np.isfinite(list(row.values())[4:]).all() for row in results)


def test_speed_measures_every_model() -> None:
    results = speed_ratios(200, n_training=300, n_runs=1)
    assert [result["model"] for result in results] == ["histogram boosting", "LightGBM", "XGBoost", "forest"]
    for result in results:
        assert all(result[stage] > 0 for stage in ("predict_us", *STAGES))
        assert "the model's own trees" in result["repair"]
    assert set(scaling(100, n_runs=1)) == {"calibrate", "certify"}


@pytest.mark.slow
def test_fresh_processes_are_measured() -> None:
    fresh = fresh_processes(6000)
    assert fresh["first use"] > fresh["later use"] > 0
    assert fresh["megabytes"] < 300


def test_pitfalls_break_the_promise_and_proper_calibrations_keep_it(tmp_path: Path, monkeypatch, capsys) -> None:
    """300 calibrations of 100 rows; bounds are at least five standard errors away from the truth (1e-6 for each of eight)."""
    monkeypatch.setattr(pitfalls, "CHEAPER", 150)
    pitfalls.run(tmp_path, 2)
    printed = capsys.readouterr().out
    found = {one["pitfall"]: one for one in json.loads((tmp_path / "pitfalls.json").read_text())["results"]}
    assert set(found) == {line.split("|")[1].strip() for line in printed.splitlines()[2:]}
    for name in ("one draw shared", "searched witnesses", "half-widths chosen together"):
        assert found[name]["proper"][0] < 0.12
    assert found["one draw shared"]["broken"][0] > 0.15
    assert found["searched witnesses"]["broken"][0] < 0.05
    rate, error = found["half-widths chosen together"]["broken"]
    assert abs(rate - pitfalls.chosen_together_rate()) < 5 * error
    assert pitfalls.chosen_together_rate() == pytest.approx(0.2935, abs=1e-4)
