"""Credit against everyone: rivals do what their authors say, and the benchmark prints what it measured and resumes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from alignconf.kernels.leaf_fit import isotonic_leaves
from alignconf.lines.native_leaves import leaf_values_of, readable_trees
from alignconf.projectors.leaves.partial_order import broken_pair
from benchmarks import reshaping
from benchmarks.__main__ import main
from benchmarks.credit.dictionary import HELOC
from benchmarks.credit.lineup import METHODS
from benchmarks.credit.models import MODELS
from benchmarks.credit.portfolios import PORTFOLIOS
from benchmarks.credit.report import HEADER
from benchmarks.methods.lipschitz_network import LipschitzNetwork
from benchmarks.methods.reshaped import over_constrained, reshape, separated
from benchmarks.methods.scorecard import scorecard

SIGNS = {"a": 1, "b": -1}


def labelled_rows(n_rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(seed)
    X = pd.DataFrame(random.normal(size=(n_rows, 3)), columns=["a", "b", "c"])
    return X, (X.a - X.b + X.c * X.a + random.logistic(size=n_rows) > 0).astype(int).to_numpy()


def test_two_sides_of_a_split_are_separated_by_the_least_squares() -> None:
    """The referee is isotonic regression of all pairs, by another algorithm."""
    for seed in range(40):
        random = np.random.default_rng(seed)
        low, high = (
            random.normal(size=random.integers(1, 8)).round(1),
            random.normal(size=random.integers(1, 8)).round(1),
        )
        lower, upper = separated(low, high)
        assert lower.max() <= upper.min()
        pairs = np.array([(i, low.size + j) for i in range(low.size) for j in range(high.size)])
        edges = (np.array([0, low.size + high.size]), np.array([0, len(pairs)]), *map(np.ascontiguousarray, pairs.T))
        values = np.concatenate([low, high])
        expected = isotonic_leaves(edges, values, np.ones(values.size), 20_000)
        np.testing.assert_allclose(np.concatenate([lower, upper]), expected, atol=1e-5)


def test_reshaped_forests_are_in_order_and_the_over_constrained_one_moves_more() -> None:
    X, y = labelled_rows(300, 0)
    forest = RandomForestClassifier(8, min_samples_leaf=3, random_state=0).fit(X, y)
    own = leaf_values_of(readable_trees(forest))
    assert broken_pair(readable_trees(forest), {0: 1, 1: -1}) is not None
    moved = {}
    for method in (reshape, over_constrained):
        trees = readable_trees(method(forest, X, SIGNS))
        assert broken_pair(trees, {0: 1, 1: -1}) is None
        moved[method] = np.abs(leaf_values_of(trees) - own).sum()
    assert moved[over_constrained] > moved[reshape] > 0


def test_over_constrained_splits_part_all_leaves_of_their_sides() -> None:
    """By recursion over scikit-learn's own tree, which knows nothing of this library's nodes."""
    X, y = labelled_rows(300, 1)
    tree = over_constrained(RandomForestClassifier(1, min_samples_leaf=5, random_state=0).fit(X, y), X, SIGNS)[0].tree_

    def leaves(node: int) -> list[float]:
        if tree.children_left[node] < 0:
            return [float(tree.value[node, 0, 1])]
        sides = [leaves(int(child)) for child in (tree.children_left[node], tree.children_right[node])]
        sign = {0: 1, 1: -1}.get(int(tree.feature[node]), 0)
        low, high = sides if sign > 0 else sides[::-1]
        assert not sign or max(low) <= min(high)
        return sides[0] + sides[1]

    assert len(leaves(0)) > 20


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of pandas, in the package's own table
def test_a_scorecard_has_its_bins_in_order() -> None:
    pytest.importorskip("optbinning", reason="optbinning, of the extra 'rivals', is not installed")
    X, y = labelled_rows(800, 2)
    X.loc[::9, "a"] = -9.0
    card = scorecard(list(X.columns), SIGNS, (-9.0,)).fit(X, y)
    for name, sign in SIGNS.items():
        table = card.card.binning_process_.get_binned_variable(name).binning_table.build()
        bins = table[~table["Bin"].astype(str).isin(["Special", "Missing", ""])]["Event rate"].to_numpy(dtype=float)
        assert (sign * np.diff(bins) >= 0).all()
        assert len(bins) > 2
    assert card.predict_proba(X[5:9]).shape == (4, 2)


def test_a_lipschitz_network_is_monotone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch, of the extra 'rivals', is not installed")
    pytest.importorskip("monotonicnetworks", reason="monotonicnetworks, of the extra 'rivals', is not installed")
    monkeypatch.setattr("benchmarks.methods.lipschitz_network.N_EPOCHS", 15)
    X, y = labelled_rows(400, 3)
    rows = X.to_numpy()
    network = LipschitzNetwork([1, -1], seed=0).fit(rows, y)
    random = np.random.default_rng(0)
    step = np.abs(random.normal(size=rows.shape)) * [1, -1, 0]
    assert (network.predict_proba(rows + step)[:, 1] >= network.predict_proba(rows)[:, 1]).all()
    accuracy = np.mean((network.predict_proba(rows)[:, 1] > 0.5) == y)
    assert accuracy > 0.65


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up stand-in for HELOC with four of its columns, codes included."""
    signs = dict(list(HELOC.signs.items())[:4])
    monkeypatch.setattr("benchmarks.many.boosted.N_TREES", 6)
    problem = replace(HELOC, signs=signs)
    monkeypatch.setattr("benchmarks.rows.HELOC", problem)
    heloc = PORTFOLIOS["heloc"]
    monkeypatch.setitem(PORTFOLIOS, "heloc", replace(heloc, data=replace(heloc.data, problem=problem)))
    random = np.random.default_rng(2)
    X = pd.DataFrame(random.integers(2, 10, (300, 4)), columns=list(signs)).astype(float)
    risk = sum(sign * X[name] for name, sign in signs.items())
    X = X.mask(random.random(X.shape) < 0.2, random.choice([-9.0, -8.0, -7.0], X.shape))
    X.assign(risk_bad=(risk + random.normal(0, 6, 300) > risk.median()).astype(int)).to_csv(
        tmp_path / "heloc.csv", index=False
    )
    return tmp_path


def test_the_benchmark_prints_its_tables(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["credit", "--quick", "--data", str(directory), "--datasets", "heloc", "--output", str(directory)]
    main(typed)
    printed, told = capsys.readouterr().out, (directory / "credit.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in told.splitlines() if line.startswith("|")]
    assert tuple(rows[0]) == HEADER
    shown = {(row[0], row[1]): dict(zip(HEADER, row, strict=True)) for row in rows if len(row) == len(HEADER)}
    suiting = [name for name, method in METHODS.items() if method.suits("xgboost")]
    assert {method for model, method in shown if model == "xgboost"} == set(suiting)
    for method in suiting:
        figures = shown["xgboost", method]
        exact = method not in ("unaligned", "aligned, alpha 0.05", "aligned, alpha 0.1")
        assert not exact or figures["single pairs"] == figures["joint pairs"] == figures["beside codes"] == "0"
    assert shown["xgboost", "unaligned"]["single pairs"] != "0"
    assert shown["xgboost", "aligned, alpha 0"]["artefact"] == "XGBClassifier"
    assert shown["logistic", "aligned, alpha 0"]["artefact"] == "this library"
    assert "at most 0.995 was asked for" in printed
    assert "least log-loss without a violated pair: " in printed


def test_a_killed_run_goes_on_with_what_is_lacking(directory: Path) -> None:
    typed = ["credit", "--quick", "--data", str(directory), "--datasets", "heloc", "--output", str(directory)]
    few = ["--methods", "unaligned", "over-constrained"]
    main([*typed, *few])
    path = directory / "credit.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["run"]["model"] for line in lines] == ["xgboost", "logistic"]
    path.write_bytes(lines[0] + lines[1][:50])
    main([*typed, *few, "its own constraint"])
    resumed = path.read_bytes().splitlines(keepends=True)
    assert resumed[0] == lines[0]
    before, *after = map(json.loads, [lines[1], *resumed[1:]])
    assert [set(line["methods"]) for line in after] == [{"its own constraint"}, {"unaligned"}]
    for figure in ("auc", "log_loss", "single", "joint", "queries"):
        assert after[1]["methods"]["unaligned"][figure] == before["methods"]["unaligned"][figure]


def test_what_is_not_installed_is_left_out_by_name(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(MODELS, "scorecard", replace(MODELS["scorecard"], needs=("no_such_package",)))
    typed = ["--quick", "--data", str(directory), "--datasets", "heloc", "--output", str(directory)]
    main(["credit", *typed, "--models", "logistic", "scorecard", "--methods", "unaligned"])
    assert "left out: scorecard: no_such_package not installed" in capsys.readouterr().out


def test_reshaping_keeps_the_rule_on_the_data_of_its_authors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["reshaping", "--seeds", "2", "--output", str(tmp_path)])
    results = json.loads((tmp_path / "reshaping.json").read_text())["results"]
    broken = {name: sum(each["violated"] for each in results if each["method"] == name) for name in reshaping.METHODS}
    assert broken.pop("forest") > 0
    assert not any(broken.values())
    mean = np.mean([each["error"] for each in results if each["method"] == "over-constrained"])
    assert f"| over-constrained     | {mean:.0f} " in capsys.readouterr().out
