"""Many rules on tree ensembles: no pair of rows is in the wrong order, and the benchmark that counts and compares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from alignconf.lines.ensemble import Ensemble
from alignconf.lines.trees import read_ensemble
from alignconf.projectors.leaves.partial_order import broken_pair
from benchmarks.__main__ import main
from benchmarks.many import dial
from benchmarks.many.boosted import BOOSTED, LIBRARIES
from benchmarks.many.command import QUICK
from benchmarks.many.comparison import HEADER, by_dataset, mean_ratio, over_all
from benchmarks.many.joint_pairs import at_thresholds, between_rows, of_one_feature, on_paths
from benchmarks.many.lineup import METHODS, Case
from benchmarks.many.measured import Measurement, Run
from benchmarks.many.proof import DATASETS, counted
from benchmarks.many.records import Records
from benchmarks.many.ruled_data import RULED, load, parts
from benchmarks.problems import Rows

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")

SIGNS = {f"x{i}": 1 if i % 3 else -1 for i in range(18)}
FEW = ["unaligned", "each tree on its own", "leaves"]


def _credit(n_rows: int, seed: int) -> Rows:
    """Return rows like those of a credit bureau: counts and shares that share a factor, with missing values, and defaults."""
    random = np.random.default_rng(seed)
    risk = random.normal(size=n_rows)
    table = {f"free{i}": random.integers(0, 9, n_rows).astype(float) for i in range(5)}
    log_odds = np.zeros(n_rows)
    for i, (name, sign) in enumerate(SIGNS.items()):
        place = sign * risk * 0.7 + random.normal(size=n_rows)
        table[name] = np.round(np.exp(1 + place), 0 if i % 2 else 6)
        log_odds += sign * 0.25 * np.log1p(table[name])
        table[name][random.random(n_rows) < (0.5 if i in (3, 8) else 0.06)] = np.nan
    y = (log_odds + random.logistic(size=n_rows) > np.median(log_odds)).astype(float)
    return Rows(pd.DataFrame(table), y)


def _n_violated(library: str, *, is_classification: bool, n_rows: int, n_pairs: int) -> tuple[int, int, int]:
    rows = _credit(n_rows, 3)
    y = rows.y if is_classification else rows.y + rows.X["x1"].fillna(0).to_numpy() / 9
    model = LIBRARIES[library].unconstrained(is_classification, 0).fit(rows.X, y)
    return counted(Case(model, LIBRARIES[library], rows, rows, SIGNS, is_classification, 0), rows.X, n_pairs)


@pytest.fixture
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.many.boosted.N_TREES", 15)


@pytest.mark.usefixtures("_few_trees")
@pytest.mark.parametrize("library", LIBRARIES)
def test_no_pair_is_in_the_wrong_order(library: str) -> None:
    """Of a small model whose own predictions are, in many."""
    unaligned, predictions, margins = _n_violated(library, is_classification=True, n_rows=300, n_pairs=2400)
    assert unaligned > 50
    assert (predictions, margins) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("is_classification", [True, False])
@pytest.mark.parametrize("library", LIBRARIES)
def test_no_pair_of_very_many_is_in_the_wrong_order(library: str, is_classification: bool) -> None:
    """Of a model of the usual size: 18 rules, missing values, 100 trees."""
    n_pairs = 120_000
    unaligned, predictions, margins = _n_violated(
        library, is_classification=is_classification, n_rows=6000, n_pairs=n_pairs
    )
    assert unaligned > n_pairs / 100
    assert (predictions, margins) == (0, 0)


def _check_order(low: pd.DataFrame, high: pd.DataFrame, n_pairs: int) -> np.ndarray:
    """Check that the second rows are the first, moved as declared, and return which features move."""
    assert len(low) == len(high) == n_pairs
    free = [name for name in low if name not in SIGNS]
    pd.testing.assert_frame_equal(low[free], high[free])
    steps = (high[list(SIGNS)] - low[list(SIGNS)]) * list(SIGNS.values())
    assert (low.isna() == high.isna()).all(axis=None)
    assert not (steps < 0).any(axis=None)
    moved: np.ndarray = (steps > 0).to_numpy()
    return moved


def test_pairs_between_rows_move_several_features_as_declared_and_leave_missing_ones() -> None:
    rows = _credit(400, 0).X
    moved = _check_order(*between_rows(rows, SIGNS, 900, np.random.default_rng(0)), 900)
    assert set(moved.sum(axis=1)) >= set(range(8))
    assert moved.any(axis=0).all()


def test_neighbours_on_paths_are_dense_along_single_features_and_along_all() -> None:
    rows = _credit(400, 0).X
    low, high = on_paths(rows, SIGNS, 1200, np.random.default_rng(0), n_steps=100)
    moved = _check_order(low, high, 1200).reshape(12, 100, 18)
    n_moved = moved.any(axis=1).sum(axis=1)
    assert set(n_moved[::2]) <= {0, 1}
    assert (n_moved[1::2] > 9).all()
    pd.testing.assert_frame_equal(low[1:100].reset_index(drop=True), high[:99].reset_index(drop=True))


def test_pairs_of_one_feature_are_two_places_of_a_feature_that_the_row_has() -> None:
    """Every row that has a constrained feature is asked once, about each of its features equally often."""
    rows = _credit(4000, 0).X
    rows.loc[:9, list(SIGNS)] = np.nan
    places = _credit(300, 1).X
    low, high = of_one_feature(rows, places, SIGNS, np.random.default_rng(0))
    assert len(low) == len(high) == 3990
    free = [name for name in rows if name not in SIGNS]
    pd.testing.assert_frame_equal(low[free], high[free])
    assert (low.isna() == high.isna()).all(axis=None)
    assert not ((high[list(SIGNS)] - low[list(SIGNS)]) * list(SIGNS.values()) < 0).any(axis=None)
    own = rows[10:].reset_index(drop=True)
    changed = ~((low == own) | own.isna()) | ~((high == own) | own.isna())
    assert (changed[list(SIGNS)].sum(axis=1) <= 1).all()
    for name in ("x1", "x4"):
        moved = changed[name]
        assert set(low[name][moved]) | set(high[name][moved]) <= set(places[name].dropna())
        # About 17 features are there, one in 17 rows is asked about each, and few places are the row's own twice.
        assert 150 < moved.sum() < 320


def test_pairs_at_thresholds_are_no_further_from_them_than_the_next_number() -> None:
    rows = _credit(400, 0).X
    thresholds = {name: np.array([0.5, 2.5]) for name in SIGNS} | {"x4": np.array([])}
    for is_single, kind in ((True, np.float32), (False, np.float64)):
        low, high = at_thresholds(rows, SIGNS, thresholds, 500, np.random.default_rng(0), is_single=is_single)
        moved = _check_order(low, high, 500)
        assert not moved[:, list(SIGNS).index("x4")].any()
        assert moved.sum() > 500
        places = low["x1"].to_numpy()[moved[:, 1]]
        off = np.abs(places[:, None] - thresholds["x1"]).min(axis=1)
        assert (off <= np.spacing(kind(2.5))).all()
        assert {0.0} < set(off)


@pytest.mark.usefixtures("_few_trees")
@pytest.mark.parametrize("method", ["retrained", "each tree on its own", "leaves", "blend"])
@pytest.mark.parametrize("library", BOOSTED)
def test_what_is_compared_is_in_order_in_every_tree(library: str, method: str) -> None:
    rows = _credit(200, 1)
    model = LIBRARIES[library].unconstrained(True, 0).fit(rows.X, rows.y)
    made = METHODS[method](Case(model, LIBRARIES[library], rows, rows, SIGNS, True, 0))
    ensemble = read_ensemble(made.export() if hasattr(made, "export") else made)
    assert isinstance(ensemble, Ensemble)
    columns = list(rows.X.columns)
    assert broken_pair(ensemble, {columns.index(name): sign for name, sign in SIGNS.items()}) is None


def _cars(n_rows: int) -> pd.DataFrame:
    random = np.random.default_rng(5)
    table = pd.DataFrame(
        {"weight": random.uniform(1600, 5200, n_rows).round(), "model_year": random.integers(70, 83, n_rows)}
    )
    table["displacement"] = (table.weight / 14 + random.normal(0, 40, n_rows)).round()
    table["horsepower"] = (table.weight / 25 + random.normal(0, 20, n_rows)).round().where(random.random(n_rows) > 0.05)
    table["origin"] = random.choice(["usa", "japan", "europe"], n_rows)
    table["car_name"] = [f"car {i}" for i in range(n_rows)]
    table["mpg"] = 46 - table.weight / 130 + (table.model_year - 76) / 2 + random.normal(0, 2, n_rows)
    return table


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    _cars(300).to_csv(tmp_path / "auto_mpg.csv", index=False)
    return tmp_path


@pytest.mark.usefixtures("_few_trees")
def test_the_benchmark_prints_its_table_and_resumes(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["many", "--quick", "--data", str(directory), "--datasets", "auto_mpg", "--output", str(directory)]
    main([*typed, "--seeds", "2", "--methods", *FEW])
    first = (directory / "many.jsonl").read_bytes()
    told = (directory / "many.md").read_text()
    assert told in capsys.readouterr().out
    lines = [json.loads(line) for line in first.splitlines()]
    assert [line["run"] for line in lines] == [
        {"dataset": "auto_mpg", "library": "xgboost", "seed": seed} for seed in range(2)
    ]
    assert [set(line["methods"]) for line in lines] == [{*FEW, "retrained"}] * 2
    table = [[cell.strip() for cell in row.split("|")[1:-1]] for row in told.splitlines() if row.startswith("|")]
    assert tuple(table[0]) == HEADER
    rows = {row[0]: row[1:] for row in table[2:]}
    assert rows["retrained"][:4] == ["1.000", "1.000", "0 of 2", "0 of 4000"]
    assert rows["leaves"][3] == rows["each tree on its own"][3] == "0 of 4000"
    assert rows["unaligned"][3].endswith("%")
    assert "auto_mpg, 3 rules" in rows

    (directory / "many.jsonl").write_bytes(first[:-30])
    main([*typed, "--seeds", "2", "--methods", *FEW])
    resumed = (directory / "many.jsonl").read_bytes()
    n_whole = first.index(b"\n") + 1
    assert resumed[:n_whole] == first[:n_whole]
    for before, after in zip(lines, map(json.loads, resumed.splitlines()), strict=True):
        for name, measured in before["methods"].items():
            assert (measured["error"], measured["violated"]) == (
                after["methods"][name]["error"], after["methods"][name]["violated"],
            )  # fmt: skip

    main([*typed, "--seeds", "1", "--methods", "leaves", "--again", "leaves"])
    added = json.loads((directory / "many.jsonl").read_bytes().splitlines()[-1])
    assert set(added["methods"]) == {"leaves"}
    assert added["methods"]["leaves"]["error"] == lines[0]["methods"]["leaves"]["error"]


@pytest.mark.usefixtures("_few_trees")
def test_pairs_are_counted_from_the_command_line(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.many.proof.N_PAIRS", 2400)
    table = _cars(300).rename(columns={"weight": "priors_count", "horsepower": "juv_fel_count"})
    table["juv_misd_count"], table["juv_other_count"] = table.displacement, -table.model_year
    table["two_year_recid"] = (table.mpg > 20).astype(int)
    table.drop(columns="mpg").to_csv(directory / "compas.csv", index=False)
    typed = ["--data", str(directory), "--datasets", "compas", "--libraries", "lightgbm", "--output", str(directory)]
    main(["many", "--pairs", *typed])
    (result,) = json.loads((directory / "many_pairs.json").read_text())["results"]
    assert result["dataset"] == "compas, 4 rules"
    assert (result["n_trees"], result["n_pairs"]) == (15, 2400)
    assert (result["predictions"], result["margins"]) == (0, 0)
    assert result["unaligned"] > 20


@pytest.mark.usefixtures("_few_trees")
def test_the_dial_keeps_levels_and_meets_the_ends(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On made-up cars: no pair is wrong at full strength, levels are met up to five standard errors of the fresh rows."""
    monkeypatch.setitem(dial.DATASETS, "auto_mpg", RULED["auto_mpg"])
    monkeypatch.setattr(dial, "N_HALVINGS", 8)
    table = _cars(1200)
    table["mpg"] += np.random.default_rng(6).normal(0, 20, len(table))
    table.to_csv(directory / "auto_mpg.csv", index=False)
    typed = ["--data", str(directory), "--datasets", "auto_mpg", "--seeds", "1", "--output", str(directory)]
    main(["many", "--dial", *typed])
    results = json.loads((directory / "many_dial.json").read_text())["results"]
    shown = {(result["asked"], result["alpha"], result["path"]): result for result in results}
    assert len(shown) == len(results) == 3 + 4 + 1 + 4
    own = shown["one rule", None, "the model as it is"]
    assert own["violated"] > 0.1
    assert shown["all rules", None, "the model as it is"]["violated"] > own["violated"]
    assert own["move"] == 0
    assert shown["one rule", None, "full strength"]["violated"] == 0
    assert shown["one rule", None, "retrained"]["violated"] == 0
    for asked in ("one rule", "all rules"):
        for path in dial.PATHS:
            ten, five = (shown[asked, alpha, path] for alpha in dial.ALPHAS)
            for result in (ten, five):
                # 180 rows calibrate and 420 are fresh.
                assert result["violated"] < result["alpha"] + 5 * (result["alpha"] * (1 / 180 + 1 / 420)) ** 0.5
            assert own["violated"] > ten["violated"] >= five["violated"]
            assert 0 < ten["move"] <= five["move"]
    assert "| auto_mpg, 3 rules | one rule" in (directory / "many_dial.md").read_text()


def test_ratios_are_geometric_means_and_the_worst_is_the_largest() -> None:
    def measured(error: float, violated: int = 0, predict: float = 1.0) -> Measurement:
        return Measurement(error, violated, predict, 0.5)

    results = {
        Run("abalone", "xgboost", 0): {"retrained": measured(2.0), "leaves": measured(1.0, 3, 1.2)},
        Run("abalone", "xgboost", 1): {"retrained": measured(2.0), "leaves": measured(8.0, 0, 1.4)},
        Run("concrete", "xgboost", 0): {"retrained": measured(1.0), "leaves": measured(4.0, 0, 1.1)},
    }
    assert mean_ratio(results, "leaves") == pytest.approx(2.0)
    assert mean_ratio(results, "leaves", list(results)[:2]) == pytest.approx(2**0.5)
    row = over_all(results).splitlines()[-1].split("|")[1:-1]
    assert [cell.strip() for cell in row] == ["leaves", "2.000", "4.000", "1 of 3", "0.05%", "1.20 x", "0.50"]
    assert [cell.strip() for cell in by_dataset(results).splitlines()[2].split("|")[1:-1]] == [
        "abalone, 4 rules", "1.000", "1.414",
    ]  # fmt: skip


def test_unknown_methods_are_named(directory: Path) -> None:
    for option in ("--methods", "--again"):
        with pytest.raises(SystemExit, match=r"no method 'leaf'; expected names among unaligned, retrained, "):
            main(["many", "--quick", "--data", str(directory), option, "leaf", "--output", str(directory)])


def test_results_of_another_size_are_not_taken(tmp_path: Path) -> None:
    run, measured = Run("abalone", "xgboost", 0), {"leaves": Measurement(1.0, 0, 1.0, 1.0)}
    Records(tmp_path / "many.jsonl", 100).add(run, measured)
    assert Records(tmp_path / "many.jsonl", 100).read() == {run: measured}
    assert Records(tmp_path / "many.jsonl", 200).read() == {}


def test_categories_follow_their_order_and_codes_are_missing(tmp_path: Path) -> None:
    heloc = RULED["heloc"]
    table = pd.DataFrame({name: [-9, -7, 5, 6] for name in heloc.signs} | {"risk_bad": [1, 0, 1, 0]})
    table["num_total_trades"] = [-9, 3, -8, 8]
    table.to_csv(tmp_path / "heloc.csv", index=False)
    rows = load(heloc, tmp_path)
    assert rows.y.tolist() == [0, 1, 0]
    assert rows.X["max_delq_ever"].isna().tolist() == [True, False, False]
    assert rows.X["num_total_trades"].isna().tolist() == [False, True, False]
    assert load(DATASETS["heloc_codes"], tmp_path).X["max_delq_ever"].tolist() == [-7, 5, 6]
    taiwan = RULED["taiwan_credit"]
    statuses = pd.DataFrame({name: ["Zero", "Unk", "Two", "Clear"] for name in taiwan.signs if "status" in name})
    statuses = statuses.assign(sex=["male", "female", "male", None], default_next_month=[0, 1, 0, 1])
    statuses.to_csv(tmp_path / "taiwan_credit.csv", index=False)
    read = load(taiwan, tmp_path).X
    np.testing.assert_array_equal(read["pay_status_sep"], [1, np.nan, 3, 0])
    np.testing.assert_array_equal(read["sex"], [1, 0, 1, np.nan])


def test_a_seed_draws_and_cuts_the_rows() -> None:
    rows = Rows(pd.DataFrame({"x": np.arange(1000.0)}), np.arange(1000.0))
    cut = parts(rows, 4, 500)
    pieces = [part.X.x.to_numpy() for part in (cut.train, cut.calibrate, cut.certify, cut.test)]
    assert [piece.size for piece in pieces] == [300, 100, 0, 100]
    assert np.unique(np.concatenate(pieces)).size == 500
    assert not np.array_equal(parts(rows, 5, 500).train.y, cut.train.y)
    np.testing.assert_array_equal(parts(rows, 4, 500).train.y, cut.train.y)


def test_ten_data_sets_have_the_number_of_rules_that_is_written() -> None:
    assert [data.name for data in RULED.values()] == [
        "heloc, 18 rules", "taiwan_credit, 13 rules", "blog_feedback, 8 rules", "compas, 4 rules", "adult, 4 rules",
        "abalone, 4 rules", "student_por, 4 rules", "concrete, 3 rules", "auto_mpg, 3 rules", "power_plant, 2 rules",
    ]  # fmt: skip
    assert set(QUICK) < set(RULED)
