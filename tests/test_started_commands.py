"""Two benchmarks of promises and probabilities, started small: they print what they write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import promise
from benchmarks.__main__ import main


def test_promises_are_calibrated_and_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(promise, "POPULATION", 2000)
    monkeypatch.setattr(promise, "SIZES", (59, 100))
    main(["promise", "--draws", "20", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    achieved = json.loads((tmp_path / "promise.json").read_text())["results"]["achieved"]
    assert [(line["n_rows"], line["n_queries"]) for line in achieved] == [(59, 1), (59, 10), (100, 1), (100, 10)]
    for line in achieved:
        assert f"| {line['half_width']:.4f} " in printed


def test_probabilities_stay_in_the_range_of_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    counts = ("priors_count", "juv_fel_count", "juv_misd_count", "juv_other_count")
    X = pd.DataFrame({name: random.poisson(1.5, 400) for name in counts} | {"age": random.integers(18, 70, 400)})
    labels = random.random(400) < 1 / (1 + np.exp(1.5 - 0.4 * X.priors_count))
    X.assign(two_year_recid=labels.astype(int)).to_csv(tmp_path / "compas.csv", index=False)
    options = ["--cases", "compas, 4 rules", "--methods", "default", "--seeds", "1"]
    with pytest.raises(SystemExit, match="compas is not bundled: pass --data DIR"):
        main(["probabilities", *options, "--output", str(tmp_path)])
    main(["probabilities", *options, "--data", str(tmp_path), "--output", str(tmp_path)])
    results = json.loads((tmp_path / "probabilities.json").read_text())["results"]
    assert all(result["outside"] == 0 for result in results if result["method"] == "default")
    assert "Probabilities outside the model's range: 0" in capsys.readouterr().out
