"""Alignment with this library: keep the fitted model, calibrate a band on rows that it has not seen."""

from __future__ import annotations

from typing import Any

from alignconf import AlignedRegressor
from benchmarks.problems import Split

__all__ = ["align"]


def align(model: Any, signs: dict[str, int], parts: Split, *, alpha: float, loss: str, seed: int) -> AlignedRegressor:
    """Align a fitted model; the training rows give the reference law, the calibration rows ``lambda_``."""
    aligned = AlignedRegressor(model, signs, alpha=alpha, loss=loss, random_state=seed, n_jobs=1)
    return aligned.calibrate(parts.calibrate.X, X_reference=parts.train.X)
