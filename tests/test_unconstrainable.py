"""Models that cannot be constrained are aligned like others; those that cannot be had are named with the reason."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.__main__ import main
from benchmarks.tabular.cells import Settings
from benchmarks.tabular.free_models import FREE_BUILDERS
from benchmarks.tabular.models import UNCONSTRAINABLE, recipe, why_missing
from benchmarks.unconstrainable import METHODS, run

TINY = Settings(quick=True, max_rows=240, max_calibrate=40, max_fresh=40, n_queries=2, only=METHODS)


def test_before_and_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(None, ["stack", "neighbours"], 1, tmp_path, settings=TINY)
    printed = capsys.readouterr().out
    rows = {(row["model"], row["method"], row["alpha"]): row
            for row in json.loads((tmp_path / "unconstrainable.json").read_text())["results"]}  # fmt: skip
    assert len(rows) == 2 * len(METHODS)
    for model in ("stack", "neighbours"):
        assert rows[model, "unaligned", None]["violation_rate"] > rows[model, "aligned", 0.0]["violation_rate"]
        assert rows[model, "aligned", 0.0]["violation_rate"] == 0
        ratio = rows[model, "aligned", 0.0]["error"] / rows[model, "unaligned", None]["error"]
        (line,) = [line for line in printed.splitlines() if line.startswith("| diabetes") and f"| {model} " in line]
        assert f"| {ratio:.4f} " in line
    before = (tmp_path / "tabular.jsonl").read_bytes()
    run(None, ["stack", "neighbours"], 1, tmp_path, settings=TINY)
    assert (tmp_path / "tabular.jsonl").read_bytes() == before


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_model_is_built_for_numbers_and_for_classes() -> None:
    random = np.random.default_rng(0)
    X = pd.DataFrame({"a": random.normal(size=90), "c": random.integers(0, 3, 90).astype(float)})
    for name in ("stack", "neighbours", "gaussian_process"):
        for kind, y in (("regression", X.a**2), ("binary", (X.a > 0).astype(int))):
            built = recipe(name, kind, ("c",), quick=True)
            assert built.build_constrained is None
            model = built.build(0).fit(X, y)
            answers = model.predict(X) if kind == "regression" else model.predict_proba(X)[:, 1]
            assert np.corrcoef(answers, y)[0, 1] > 0.7, name


def test_what_cannot_be_had_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.tabular.free_models.find_spec", lambda _: None)
    assert why_missing("autogluon") == "autogluon.tabular is not installed"
    with pytest.raises(SystemExit, match="no model is left to run"):
        main(["unconstrainable", "--models", "tabpfn", "--output", str(tmp_path)])
    assert why_missing("stack") is why_missing("svr") is None
    assert set(FREE_BUILDERS) < set(UNCONSTRAINABLE)


def test_weights_that_cannot_be_downloaded_are_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    class GatedError(Exception):
        pass

    class Without:
        def __init__(self, **_: Any) -> None:
            pass

        def fit(self, *_: Any) -> None:
            raise GatedError("This model is gated.\nLog in first.")

    package, errors = ModuleType("tabpfn"), ModuleType("tabpfn.errors")
    package.TabPFNRegressor = package.TabPFNClassifier = Without
    errors.TabPFNError = GatedError
    monkeypatch.setitem(sys.modules, "tabpfn", package)
    monkeypatch.setitem(sys.modules, "tabpfn.errors", errors)
    monkeypatch.setattr("benchmarks.tabular.free_models.find_spec", lambda name: name)
    assert why_missing("tabpfn") == "its weights cannot be had: This model is gated."
    monkeypatch.setattr(Without, "fit", lambda self, *_: self)
    assert why_missing("tabpfn") is None


def test_autogluon_is_aligned_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("autogluon.tabular", reason="AutoGluon is not installed")
    cells = run(None, ["autogluon"], 1, tmp_path, settings=TINY)
    rates = {cell.method: cell.mean("violation_rate") for cell in cells}
    assert rates["aligned 0 l2 marginal"] == 0
