"""The benchmark of several outputs runs as printed, and what it prints is what it measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.__main__ import main
from benchmarks.outputs import quantiles
from benchmarks.outputs.quantile_models import LEVELS, MODELS, QUANTILE_PROBLEMS


def test_quantiles_print_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantiles, "QUANTILE_PROBLEMS", {"demand": QUANTILE_PROBLEMS["demand"]})
    monkeypatch.setattr(quantiles, "MODELS", {"seven LightGBM": MODELS["seven LightGBM"]})
    monkeypatch.setattr(quantiles, "RIVALS", {})
    monkeypatch.setattr(quantiles, "N_TIMES", 1)
    main(["outputs", "--only", "quantiles", "--seeds", "1", "--output", str(tmp_path)])
    results = {it["method"]: it for it in json.loads((tmp_path / "outputs.json").read_text())["results"]["quantiles"]}
    assert results["the model as it is"]["crossing"] > 0.2
    for method in ("aligned, in order", "aligned, jointly", "sorted"):
        assert results[method]["crossing"] == 0
    assert results["aligned, jointly"]["violated"] == 0 < results["sorted"]["violated"]
    assert results["aligned, in order"]["pinball"] <= results["sorted"]["pinball"] * 1.0001
    assert results["aligned, jointly, alpha 0.05"]["violated"] < 0.1
    table = capsys.readouterr().out
    for line in [line for line in table.splitlines() if line.startswith("| demand")]:
        method = next(name for name in results if re.search(rf"\| {re.escape(name)} +\|", line))
        assert f"{results[method]['pinball']:.5g}" in line
    assert len(LEVELS) == 7


def test_classes_of_made_up_pupils(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({
        "sex": random.choice(["F", "M"], 400),
        "age": random.integers(15, 20, 400),
        "job": random.choice(["home", "other"], 400),
    })  # fmt: skip
    grade = np.clip(8 + 4 * (table.sex == "M") + random.integers(-4, 5, 400), 0, 20)
    table.assign(g1=grade, g2=grade, g3=grade).to_csv(tmp_path / "student_por.csv", index=False)
    main(["outputs", "--data", str(tmp_path), "--only", "fairness", "--seeds", "1", "--output", str(tmp_path)])
    results = {it["method"]: it for it in json.loads((tmp_path / "outputs.json").read_text())["results"]["fairness"]}
    assert results["all classes aligned"]["change"] < 1e-12
    assert results["one class aligned"]["change"] > 0.05
    assert max(it["off_one"] for it in results.values()) < 1e-12


def test_survival_says_what_is_not_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.outputs import survival

    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(survival, "import_module", missing)
    main(["outputs", "--only", "survival", "--seeds", "1", "--output", str(tmp_path)])
    assert "survival is left out: No module named 'sksurv.datasets'" in capsys.readouterr().out
