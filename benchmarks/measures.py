"""What is measured: error on test rows, and violations of fresh pairs drawn from the training law of the feature."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from alignconf import AlignedRegressor
from alignconf.projectors.alignment import Answers
from alignconf.queries.along_line import LineQueries
from alignconf.queries.queries import Queries

__all__ = ["mean_squared_error", "pairs", "violated", "violated_by_aligned"]


def mean_squared_error(y: np.ndarray, predictions: np.ndarray) -> float:
    return float(np.mean((np.asarray(predictions, dtype=float) - y) ** 2))


def pairs(X: pd.DataFrame, X_reference: pd.DataFrame, feature: str, n_queries: int, seed: int) -> np.ndarray:
    """Return sorted pairs of reference values for each row, (n_samples, n_queries, 2)."""
    sample = X_reference[feature].to_numpy(dtype=float)
    drawn = np.random.default_rng(seed).choice(sample, (len(X), n_queries, 2))
    return np.sort(drawn, axis=-1)


def violated(model: Any, X: pd.DataFrame, feature: str, sign: int, asked: np.ndarray) -> np.ndarray:
    """Return which pairs a model fails, (n_samples, n_queries); differences of rounding size are none."""
    repeated = X.iloc[np.repeat(np.arange(len(X)), asked[0].size)].copy()
    repeated[feature] = asked.ravel()
    answers = np.asarray(model.predict(repeated))
    unit = 4 * np.finfo(np.float32).eps if answers.dtype == np.float32 else 2.0**-44
    values = answers.astype(float).reshape(asked.shape)
    excesses: np.ndarray = sign * (values[..., 0] - values[..., 1])
    failed: np.ndarray = excesses > unit * np.abs(values).max()
    return failed


def violated_by_aligned(aligned: AlignedRegressor, X: pd.DataFrame, asked: np.ndarray) -> np.ndarray:
    """Return the same for an aligned model, with every line evaluated once for all its pairs."""
    alignment = aligned.alignment_
    (part,) = alignment.tester.parts
    assert isinstance(part, LineQueries)
    queries = Queries((replace(part, places=asked),), len(X), asked.shape[1])

    def failed(answers: Answers) -> np.ndarray:
        return answers.excess(answers.delivered(aligned.lambda_)) > 0

    return alignment.at_queries(X, queries, failed)[0]
