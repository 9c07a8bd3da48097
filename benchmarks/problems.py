"""Data sets with a shape property, as data frames.

``diabetes`` comes with scikit-learn. The others are read from a directory of CSV files (gzipped or not), one for each
data set, with lower-case headers (the UCI repository's Combined Cycle Power Plant, for example).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

__all__ = ["PROBLEMS", "Problem", "Rows", "Split", "load", "read", "split"]


@dataclass(frozen=True)
class Problem:
    """A regression problem and the property that its predictions should have.

    ``signs`` maps a feature to +1 or -1; ``stated_by`` says who asks for it.
    """

    name: str
    target: str
    signs: dict[str, int]
    stated_by: str
    unit: str = ""


@dataclass(frozen=True)
class Rows:
    """Some rows of a problem."""

    X: pd.DataFrame
    y: np.ndarray


@dataclass(frozen=True)
class Split:
    """Disjoint rows: they train, calibrate, certify and test."""

    train: Rows
    calibrate: Rows
    certify: Rows
    test: Rows


PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("diabetes", "progression", {"bmi": +1}, "domain knowledge"),
        Problem(
            "power_plant",
            "pe",
            {"v": -1},
            "Overman, Vallon and Bayati (2024), Table 1: decreasing in exhaust vacuum",
            "MW",
        ),
        Problem("abalone", "rings", {"shell_weight": +1}, "Overman, Vallon and Bayati (2024), Table 2", "rings"),
        Problem(
            "concrete", "compressive_strength", {"cement": +1}, "Overman, Vallon and Bayati (2024), Table 3", "MPa"
        ),
        Problem(
            "airfoil_self_noise", "scaled_sound_pressure_level", {"free_stream_velocity": +1}, "domain knowledge", "dB"
        ),
        Problem("wine_quality_red", "quality", {"alcohol": +1}, "domain knowledge"),
    )
}


def load(problem: Problem, directory: Path | None, *, orders: Mapping[str, Sequence[str]] | None = None) -> Rows:
    """Return all rows; text columns become numeric codes, in their order where it is given, so that all models read one table."""
    if problem.name == "diabetes":
        X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
        return Rows(X, y.to_numpy(dtype=float))
    table = read(problem.name, problem.target, directory)
    X = table.drop(columns=problem.target)
    for name in X.columns[~X.dtypes.map(pd.api.types.is_numeric_dtype)]:
        X[name] = pd.Categorical(X[name], (orders or {}).get(name)).codes
    return Rows(X, table[problem.target].to_numpy(dtype=float))


def read(name: str, target: str, directory: Path | None) -> pd.DataFrame:
    """Return the table of a data set as it is in the directory, text columns as text."""
    if directory is None:
        raise SystemExit(f"{name} is not bundled: pass --data DIR, a directory that holds {name}.csv")
    path = directory / f"{name}.csv"
    for candidate in (path, directory / f"{name}.csv.gz"):
        if candidate.is_file():
            return pd.read_csv(candidate)
    raise SystemExit(f"{path} does not exist: --data must hold {name}.csv with the target {target!r}")


def split(rows: Rows, shares: tuple[float, float, float, float], seed: int) -> Split:
    """Cut shuffled rows into shares that train, calibrate, certify and test."""
    order = np.random.default_rng(seed).permutation(len(rows.y))
    cuts = np.round(np.cumsum(shares)[:-1] * len(order)).astype(int)
    return Split(*(Rows(rows.X.iloc[part], rows.y[part]) for part in np.split(order, cuts)))
