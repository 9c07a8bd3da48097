"""The size sweep on made-up data whose truth is flat, where growing trees add nothing but wrong order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.neural_network import MLPRegressor
from sklearn.tree import DecisionTreeRegressor

from benchmarks.__main__ import main
from benchmarks.measures import pairs, violated
from benchmarks.sizes import FAMILIES, Family, material, run, summary
from benchmarks.trend import trend


class _Slope:
    """Falls by ``slope`` for each unit of cement."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return -self.slope * X.cement.to_numpy()


def test_material_violations_are_those_above_one_percent() -> None:
    X = pd.DataFrame({"cement": np.linspace(0, 1, 50), "water": 0.0})
    asked = pairs(X, X, "cement", 4, 0)
    widths = asked[..., 1] - asked[..., 0]
    model = _Slope(0.02)
    assert violated(model, X, "cement", 1, asked).mean() == np.mean(widths > 0)
    assert material(model, X, "cement", 1, asked, 1.0) == np.mean(0.02 * widths > 0.01)
    assert material(model, X, "cement", 1, asked, 3.0) == 0
    assert material(model, X, "cement", -1, asked, 1.0) == 0


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """A directory with a stand-in for the concrete data whose labels depend on water and noise only, not on cement."""
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.uniform(0, 1, (400, 2)), columns=["cement", "water"])
    strength = 5 * (X.water > 0.5) + random.normal(size=400)
    X.assign(compressive_strength=strength).to_csv(tmp_path / "concrete.csv", index=False)
    return tmp_path


def test_trees_that_grow_on_noise_violate_more(noise: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stump only sees the jump in water; a tree without bound has a leaf a row, and the noise orders them along cement."""
    trees = Family(
        "tree", "depth", (1, 20), lambda depth, seed: DecisionTreeRegressor(max_depth=depth, random_state=seed)
    )
    net = Family(
        "net",
        "width",
        (2,),
        lambda width, seed: MLPRegressor(hidden_layer_sizes=(width,), max_iter=5, random_state=seed),
    )
    results = run(noise, ["concrete"], 2, noise / "results", families=(trees, net))
    small, large = ([one for one in results if one.size == size] for size in (1, 20))
    for one, other in zip(small, large, strict=True):
        assert one.violations == one.material == 0
        assert other.violations > 0.15
        assert other.material <= other.violations
        assert other.error > one.error
    printed = capsys.readouterr().out
    slope = trend([[100 * one.violations for one in pair] for pair in zip(small, large, strict=True)])
    assert f"| tree   | concrete       | {slope.words} " in printed
    assert "| tree   | over data sets | " in printed
    assert "| net    | concrete" not in printed
    assert f"{np.mean([100 * one.violations for one in large]):.2f} +- " in printed
    assert len(pd.read_csv(noise / "results" / "sizes.csv")) == len(results) == 6
    assert summary(results) in (noise / "results" / "sizes.md").read_text()
    assert (noise / "results" / "sizes.png").stat().st_size > 10_000


def test_families_grow_and_build() -> None:
    for family in FAMILIES:
        assert list(family.sizes) == sorted(set(family.sizes))
        assert hasattr(family.build(family.sizes[0], 0), "predict")


def test_sizes_names_the_missing_data(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"power_plant\.csv does not exist"):
        main(["sizes", "--data", str(tmp_path), "--seeds", "1"])
