"""One class's probability as a function of its own, and back to probabilities of all classes.

Methods that repair numbers repair the probability :math:`p` of one class; with :math:`p'` in its place the others keep their
proportions, :math:`p_k' = p_k (1 - p')/(1 - p)`, as they do in alignment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["ClassProbability", "WithProbability", "values"]


def values(delivered: Any, X: pd.DataFrame, column: int | None) -> np.ndarray:
    """Return what the rule is about, (n_samples,): predictions, or the probability of a class."""
    if column is None:
        return np.asarray(delivered.predict(X))
    return np.asarray(delivered.predict_proba(X))[:, column]


@dataclass(frozen=True)
class ClassProbability:
    """The probability of one class, as a function with one number for each row."""

    model: Any
    column: int

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        p: np.ndarray = values(self.model, X, self.column)
        return p


@dataclass(frozen=True)
class WithProbability:
    """A classifier in which one class has the probability that a function gives."""

    model: Any
    column: int
    function: Any

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        own = np.asarray(self.model.predict_proba(X), dtype=float)
        p = np.clip(self.function.predict(X), 0, 1)
        rest = 1 - own[:, self.column]
        n_others = own.shape[1] - 1
        shares = np.where(rest[:, None] > 0, own / np.where(rest > 0, rest, 1)[:, None], 1 / n_others)
        scaled: np.ndarray = shares * (1 - p)[:, None]
        scaled[:, self.column] = p
        return scaled
