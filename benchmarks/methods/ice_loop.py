"""What a competent user writes by hand: an ICE curve on a grid of quantiles, a running maximum, interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["IceLoop"]


class IceLoop:
    """Monotone predictions for one feature by accumulating each row's ICE curve. No band, no guarantee."""

    def __init__(self, model: Any, feature: str, sign: int, X: pd.DataFrame, n_grid: int = 64) -> None:
        self.model = model
        self.feature = feature
        self.sign = sign
        self.grid = self._grid(X[feature], n_grid)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return predictions of shape (n_samples,)."""
        repeated = X.iloc[np.repeat(np.arange(len(X)), self.grid.size)].copy()
        repeated[self.feature] = np.tile(self.grid, len(X))
        curves = self.model.predict(repeated).reshape(len(X), -1).astype(float)
        monotone = self.sign * np.maximum.accumulate(self.sign * curves, axis=1)
        own = X[self.feature].to_numpy()
        return np.array([np.interp(x, self.grid, curve) for x, curve in zip(own, monotone, strict=True)])

    @staticmethod
    def _grid(values: pd.Series, n_grid: int) -> np.ndarray:
        return np.unique(np.quantile(values, np.linspace(0, 1, n_grid)))
