"""The tariffs of the pricing benchmark: the made portfolio obeys its rules, freMTPL2 is refused by name, the command runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_tweedie_deviance

from benchmarks.__main__ import main
from benchmarks.pricing import portfolios
from benchmarks.pricing.portfolios import RULES, MissingPortfolio, obtain, true_means
from benchmarks.pricing.tariffs import TARGETS


def test_the_truth_obeys_the_rules_and_claims_follow_it() -> None:
    """Claims of 40,000 policies are Poisson: their sum is within five standard deviations of its mean (6e-7 by chance)."""
    portfolio = obtain("made", 40_000, 0, None, download=False)
    assert portfolio.frequency is not None
    expected = float(np.sum(portfolio.frequency * portfolio.exposure))
    assert portfolio.claims.sum() == pytest.approx(expected, abs=5 * expected**0.5)
    assert ((portfolio.amount > 0) == (portfolio.claims > 0)).all()
    X = portfolio.X
    for rule in RULES:
        moved = X.assign(**{str(rule.feature): portfolio.X[rule.feature].sample(frac=1, random_state=1).to_numpy()})
        low, high = rule.between or (-np.inf, np.inf)
        inside = X[rule.feature].between(low, high) & moved[rule.feature].between(low, high)
        steps = rule.direction * np.sign(moved[rule.feature] - X[rule.feature])[inside]
        changes = (true_means(moved)[0] - portfolio.frequency)[inside]
        assert (steps * changes > -1e-12).all()
        assert (steps * changes).mean() > 1e-3
    assert [rule.between for rule in RULES] == [None, None, (18, 25)]


def test_deviance_between_prediction_and_truth_is_the_expected_excess() -> None:
    """Of 200,000 Poisson and gamma outcomes each, within five standard errors."""
    random = np.random.default_rng(1)
    truth, guess = random.uniform(0.5, 2, 200_000), random.uniform(0.5, 2, 200_000)
    for power, outcomes in ((1, random.poisson(truth)), (2, random.gamma(2, truth / 2))):
        gap = [_terms(outcomes, mean, power) for mean in (guess, truth)]
        differences = gap[0] - gap[1]
        reach = 5 * float(differences.std()) / len(truth) ** 0.5
        assert differences.mean() == pytest.approx(mean_tweedie_deviance(truth, guess, power=power), abs=reach)


def _terms(outcomes: np.ndarray, mean: np.ndarray, power: int) -> np.ndarray:
    """Return twice the terms of the deviance that depend on the mean."""
    return 2 * (mean - outcomes * np.log(mean)) if power == 1 else 2 * (outcomes / mean + np.log(mean))


def test_the_command_prints_what_it_measures_and_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["pricing", "--rows", "6000", "--seeds", "1", "--output", str(tmp_path)]
    main(arguments)
    printed = capsys.readouterr().out
    assert "skipped freMTPL2: no --data directory given; pass --download to ask OpenML for data set 41214" in printed
    results = json.loads((tmp_path / "pricing.json").read_text())["results"]
    methods = {result["method"] for result in results if result["target"] == "frequency"}
    full = {"aligned 0", "aligned 0, total kept"}
    assert methods == full | {"unaligned", "own constraint", "own constraint, every age", "aligned 0.05"}
    assert {(result["target"], result["model"]) for result in results} == {
        (target.name, model) for target in TARGETS for model in target.models
    }
    for result in results:
        assert result["excess"] > 0
        if result["method"] in full:
            assert result["broken"] == 0
    before = (tmp_path / "pricing.jsonl").read_bytes()
    with (tmp_path / "pricing.jsonl").open("ab") as journal:
        journal.write(b'{"job": ["made"')
    main(arguments)
    assert (tmp_path / "pricing.jsonl").read_bytes() == before
    assert capsys.readouterr().out == printed


def _french(n_policies: int) -> dict[str, pd.DataFrame]:
    random = np.random.default_rng(0)
    policies = pd.DataFrame(
        {
            "IDpol": np.arange(n_policies) * 2.0,
            "ClaimNb": [2, 9, 1, *random.poisson(0.5, n_policies - 3)],
            "Exposure": random.uniform(0.1, 2, n_policies),
            "VehPower": 5,
            "DrivAge": 30,
            "BonusMalus": 60,
            "VehGas": random.choice(["Diesel", "Regular"], n_policies),
        }
    )
    losses = pd.DataFrame({"IDpol": [0, 0, 2, 4], "ClaimAmount": [100.0, 50.0, 300_000.0, 20.0]})
    return {"freMTPL2freq": policies, "freMTPL2sev": losses}


def test_french_policies_come_from_files_or_from_openml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = _french(20)
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv.gz", index=False)
    portfolio = obtain("freMTPL2", 20, 0, tmp_path, download=False)
    assert portfolio.claims.tolist() == [2, 4, 1] + [0] * 17
    assert portfolio.amount.tolist() == [150, 200_000, 20] + [0] * 17
    assert portfolio.exposure.max() == 1
    assert set(portfolio.X["VehGas"]) == {0.0, 1.0}
    assert portfolio.frequency is portfolio.severity is None

    class Fetched:
        def __init__(self, frame: pd.DataFrame) -> None:
            self.frame = frame

    by_number = {portfolios.OPENML[name]: table for name, table in tables.items()}
    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda data_id, as_frame: Fetched(by_number[data_id]))
    pd.testing.assert_frame_equal(obtain("freMTPL2", 20, 0, None, download=True).X, portfolio.X)

    def unreachable(**_: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", unreachable)
    with pytest.raises(MissingPortfolio, match=r"is not in .*; OpenML's data set 41214: no route to host"):
        obtain("freMTPL2", 20, 0, tmp_path / "nowhere", download=True)
    with pytest.raises(SystemExit, match="freMTPL2: no --data directory given"):
        main(["pricing", "--only", "freMTPL2", "--output", str(tmp_path)])
