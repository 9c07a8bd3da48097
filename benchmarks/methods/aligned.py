"""Alignment with this library: keep the fitted model, calibrate a band on rows that it has not seen."""

from __future__ import annotations

from typing import Any

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.contract.property import Declaration
from benchmarks.problems import Split

__all__ = ["align", "align_class"]


def align(
    model: Any,
    properties: Declaration,
    parts: Split,
    *,
    alpha: float,
    loss: str = "delivered",
    seed: int,
    **choices: Any,
) -> AlignedRegressor:
    """Align a fitted model; the training rows give the reference law, the calibration rows ``lambda_``."""
    aligned = AlignedRegressor(
        model, properties, alpha=alpha, loss=loss, random_state=seed, n_jobs=1, **{"confidence": None, **choices}
    )
    return aligned.calibrate(parts.calibrate.X, X_reference=parts.train.X)


def align_class(
    model: Any, properties: Declaration, parts: Split, label: Any, *, alpha: float, loss: str = "delivered", seed: int,
    **choices: Any,
) -> AlignedClassifier:  # fmt: skip
    """Align the probability of one class of a fitted classifier in the same way."""
    aligned = AlignedClassifier(
        model,
        properties,
        pos_label=label,
        alpha=alpha,
        loss=loss,
        random_state=seed,
        n_jobs=1,
        **{"confidence": None, **choices},
    )
    return aligned.calibrate(parts.calibrate.X, X_reference=parts.train.X)
