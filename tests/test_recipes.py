"""The recipes of the page on any model, each run where its package is installed, and certified."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = (Path(__file__).parent.parent / "docs" / "any-model.md").read_text()
SECTIONS = {section.split("\n", 1)[0]: section for section in PAGE.split("\n### ")[1:]}
#: The block below each heading that has one.
RECIPES = {
    name: block[1]
    for name, section in SECTIONS.items()
    if (block := re.search(r"^```py\n(.*?)^```", section, re.DOTALL | re.MULTILINE))
}
PACKAGES = {"PyTorch": "torch", "FLAML": "flaml", "AutoGluon": "autogluon.tabular", "H2O": "h2o"}


def rows_and_labels() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    X = random.random((600, 3))
    return X, np.sin(5 * X[:, 0]) + X[:, 1] + 0.1 * random.normal(size=600)


def test_every_recipe_is_run_somewhere() -> None:
    assert RECIPES.keys() == PACKAGES.keys()
    assert all(PACKAGES[name].split(".")[0] in block for name, block in RECIPES.items())


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The aligned model answers, within its band, and a row alone as among others up to the model's own rounding."""
    pytest.importorskip(PACKAGES[name], reason=f"{PACKAGES[name]} is not installed")
    monkeypatch.chdir(tmp_path)
    X, y = rows_and_labels()
    module: dict[str, Any] = {"X": X, "y": y}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what these packages warn of among themselves
        exec(compile(RECIPES[name], name, "exec", dont_inherit=True), module)
        aligned = module["aligned"]
        fresh = rows_and_labels()[0] + 1e-3 if "frame" not in module else module["frame"] + 1e-3
        together = aligned.predict(fresh[:20])
        assert np.isfinite(together).all()
        f = np.asarray(aligned.estimator_.predict(fresh[:20]), dtype=float)
        assert (np.abs(together - f) <= aligned.lambda_ + 1e-6).all()
        alone = np.concatenate([aligned.predict(fresh[i : i + 1]) for i in range(3)])
        np.testing.assert_allclose(alone, together[:3], rtol=1e-5, atol=1e-5)
        certificate = aligned.certify(fresh)
    assert certificate.delivered.rate <= certificate.before.rate
