"""The library's own monotone constraint: give up the model and train another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.models import Recipe
from benchmarks.problems import Split

__all__ = ["retrain"]


def retrain(recipe: Recipe, signs: dict[str, int], parts: Split, seed: int, *, with_calibration_rows: bool) -> Any:
    """Fit the constrained model on the training rows, or also on those that alignment keeps for calibration."""
    if recipe.build_constrained is None:
        return None
    X, y = parts.train.X, parts.train.y
    if with_calibration_rows:
        X, y = pd.concat([X, parts.calibrate.X]), np.concatenate([y, parts.calibrate.y])
    return recipe.build_constrained(seed, signs, list(X.columns)).fit(X, y)
