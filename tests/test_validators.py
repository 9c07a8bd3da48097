"""What validators are told: the foot of every page, and the recipe that keeps a certificate beside its model in MLflow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from alignconf import AlignedRegressor, check
from alignconf.certify.report.page import Page
from alignconf.certify.report.validators import FOR_VALIDATORS

PAGE = (Path(__file__).parent.parent / "docs" / "validators.md").read_text(encoding="utf-8")
X = np.random.default_rng(0).random((300, 2))


def aligned_and_certified() -> tuple[AlignedRegressor, Any]:
    model = LinearRegression().fit(X[:80], X[:80, 0] - X[:80, 1])
    aligned = AlignedRegressor(model, {1: 1}, alpha=0.2, random_state=0).calibrate(X[80:200], X_reference=X[:80])
    return aligned, aligned.certify(X[200:], X[200:, 0])


def test_every_page_says_where_it_belongs_and_that_it_replaces_nothing() -> None:
    aligned, certificate = aligned_and_certified()
    audit = check(aligned.estimator_, X[200:], {1: 1}, random_state=0)
    for page in (certificate.to_html(), audit.to_html(), Page("title", "", "", (), (), (), ()).html()):
        (foot,) = re.findall(r"<footer>.*?</footer>", page, re.DOTALL)
        words = " ".join(re.sub(r"<[^>]*>", " ", foot).split())
        assert "supports" in words
        assert "replaces none of it" in words
        for name in ("SR 26-2", "superseded SR 11-7", "(EU) 2024/1689", "article 9:", "article 13:", "article 15:"):
            assert name in words


def test_the_parts_that_are_named_are_parts_of_the_page() -> None:
    _, certificate = aligned_and_certified()
    page = certificate.to_html().split("<footer>")[0]
    named = [part.strip() for parts, _ in FOR_VALIDATORS for part in re.split(",", parts)]
    on_the_page = {
        "verdict": 'class="verdict',
        "error": "<dt>Error</dt>",
        "versions": "<dt>numpy</dt>",
        "digests": "<dt>Digest: ",
    }
    for part in named:
        shown = on_the_page.get(part.lower(), part)
        assert shown.lower() in page.lower(), part


def test_the_recipe_for_mlflow_keeps_model_certificate_and_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    mlflow = pytest.importorskip("mlflow", reason="the recipe needs mlflow, or mlflow-skinny with cloudpickle")
    pytest.importorskip("mlflow.sklearn")
    monkeypatch.chdir(tmp_path)
    (recipe,) = re.findall(r"^```py\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    aligned, certificate = aligned_and_certified()
    names: dict[str, Any] = {"aligned": aligned, "certificate": certificate}
    exec(compile(recipe, "validators.md", "exec", dont_inherit=True), names)
    restored, run = names["restored"], mlflow.get_run(names["run"].info.run_id)
    np.testing.assert_array_equal(restored.predict(X), aligned.predict(X))
    assert restored.certify(X[200:], X[200:, 0]).to_json() == certificate.to_json()
    kept = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/certificate.json")
    assert kept["upper_bound"] == certificate.upper_bound == run.data.metrics["upper_bound"]
    assert {run.data.tags[f"alignconf.{name}"] for name in ("rules", "rows", "model")} == set(kept["digests"].values())
