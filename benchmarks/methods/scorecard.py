"""What optbinning offers for credit: a scorecard of bins, each feature's in the order of its rule, and a logistic regression.

Special codes and missing values have bins of their own, outside the order. The order of bins is exact; the regression gives each
feature a weight, whose sign is not constrained: where features repeat each other a weight may turn, and with it the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

__all__ = ["scorecard"]

_TRENDS = {1: "ascending", -1: "descending"}


def scorecard(columns: Sequence[str], signs: Mapping[str, int], codes: Sequence[float]) -> Any:
    """Return a scorecard, not fitted; without signs the order of its bins is free."""
    from optbinning import BinningProcess, Scorecard

    trends = {name: {"monotonic_trend": _TRENDS[sign]} for name, sign in signs.items()}
    free = {name: {"monotonic_trend": None} for name in columns if name not in trends}
    binning = BinningProcess(list(columns), special_codes=list(codes) or None, binning_fit_params=trends | free)
    return _OfFrames(Scorecard(binning, LogisticRegression(max_iter=1000)))


class _OfFrames:
    """A scorecard that takes rows in any numbering, as other models do."""

    def __init__(self, card: Any) -> None:
        self.card = card

    def fit(self, X: pd.DataFrame, y: Any) -> _OfFrames:
        """Fit the bins and the weights."""
        self.card.fit(X.reset_index(drop=True), y)
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: pd.DataFrame) -> Any:
        """Return probabilities, (n_rows, 2)."""
        return self.card.predict_proba(X.reset_index(drop=True))
