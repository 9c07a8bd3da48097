"""All rows by a dictionary of rules, codes and ranges: what the benchmark moves, counts and prints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.__main__ import main
from benchmarks.credit.dictionary import HELOC, HELOC_RANGES
from benchmarks.rows import heloc_rules, moved_pairs, violated


def made_up_rows(n_rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    X = pd.DataFrame(random.integers(2, 10, (n_rows, len(HELOC.signs))), columns=list(HELOC.signs)).astype(float)
    return X.mask(random.random(X.shape) < 0.3, random.choice([-9.0, -8.0, -7.0], X.shape))


def test_pairs_move_present_features_within_their_domain() -> None:
    X = made_up_rows(300, 0)
    X.loc[0] = -9.0
    rules = heloc_rules(X)
    present = np.stack([rules[name].domain.holds(X[name].to_numpy()) for name in rules], axis=1)[1:]
    assert rules["max_delq_ever"].domain.between == HELOC_RANGES["max_delq_ever"] == (2, 8)
    assert rules["num_inq_last6_m"].domain.between == (2, np.inf)
    assert not present[:, list(rules).index("max_delq_ever")].all()
    (low, high), (all_low, all_high) = moved_pairs(X, X, rules, np.random.default_rng(0))
    rows = X[1:].reset_index(drop=True)
    assert (((low != rows) | (high != rows)).sum(axis=1) <= 1).all()
    for ends in (low, high, all_low, all_high):
        assert not ((ends != rows).to_numpy() & ~present).any()
        for name, rule in rules.items():
            moved = (ends[name] != rows[name]).to_numpy()
            assert rule.domain.holds(ends[name][moved].to_numpy()).all()
    for name, rule in rules.items():
        assert (rule.direction * (all_high[name] - all_low[name]) >= 0).all()
    assert ((all_high != all_low).sum(axis=1) > 6).mean() > 0.9


def test_a_violated_pair_has_the_smaller_second_value() -> None:
    class First:
        def predict(self, X: pd.DataFrame) -> np.ndarray:
            return X.iloc[:, 0].to_numpy()

    low, high = (pd.DataFrame({"a": column}) for column in ([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 4.0, 5.0]))
    assert violated(First(), low, high) == 0.25


def test_the_benchmark_prints_what_it_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signs = dict(list(HELOC.signs.items())[:4])
    monkeypatch.setattr("benchmarks.many.boosted.N_TREES", 6)
    monkeypatch.setattr("benchmarks.rows.HELOC", replace(HELOC, signs=signs))
    X = made_up_rows(700, 1)[list(signs)]
    risk = sum(sign * X[name].clip(0) for name, sign in signs.items())
    random = np.random.default_rng(2)
    X.assign(risk_bad=(risk + random.normal(0, 8, 700) > risk.median()).astype(int)).to_csv(
        tmp_path / "heloc.csv", index=False
    )
    main(["rows", "--data", str(tmp_path), "--models", "lightgbm", "--seeds", "1", "--output", str(tmp_path)])
    results = json.loads((tmp_path / "rows.json").read_text())["results"]
    shown = {result["method"]: result for result in results}
    own, aligned, ten = (shown[name] for name in ("as it is", "aligned, alpha 0", "aligned, alpha 0.05"))
    assert own["single"] > 0.01
    assert aligned["single"] == aligned["joint"] == aligned["queries"] == 0
    assert ten["queries"] <= 0.05 + 4 * (0.05 * 0.95 * 2 / 140) ** 0.5 < own["queries"]
    assert aligned["covered"] > 0.97
    assert "| lightgbm | aligned, alpha 0 " in (tmp_path / "rows.md").read_text()


def test_unknown_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no model 'oracle'; expected names among xgboost"):
        main(["rows", "--models", "oracle", "--output", str(tmp_path)])
