"""Rearrangement: sort each row's curve on a grid of quantiles, in which every point counts the same.

Sorting never takes a curve further from a monotone truth, in any :math:`L_p` norm under the law of the grid [1]_. The grid keeps
repeated quantiles, as dropping them would change that law; at a repeated place the mean of its sorted values is delivered.

References
----------
.. [1] Chernozhukov, V., Fernandez-Val, I. and Galichon, A. (2009). Improving point and interval estimators of monotone functions
   by rearrangement. Biometrika 96(3), 559-575. arXiv:0806.4730
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.methods.ice_loop import IceLoop

__all__ = ["Rearranged"]


class Rearranged(IceLoop):
    """Monotone predictions for one feature by sorting each row's curve. No band, no guarantee."""

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return predictions of shape (n_samples,)."""
        places, of_grid = np.unique(self.grid, return_inverse=True)
        repeated = X.iloc[np.repeat(np.arange(len(X)), places.size)].copy()
        repeated[self.feature] = np.tile(places, len(X))
        curves = self.model.predict(repeated).reshape(len(X), -1).astype(float)[:, of_grid]
        ordered = self.sign * np.sort(self.sign * curves, axis=1)
        starts = np.searchsorted(self.grid, places)
        means = np.add.reduceat(ordered, starts, axis=1) / np.bincount(of_grid)
        own = X[self.feature].to_numpy()
        return np.array([np.interp(x, places, curve) for x, curve in zip(own, means, strict=True)])

    @staticmethod
    def _grid(values: pd.Series, n_grid: int) -> np.ndarray:
        quantiles: np.ndarray = np.quantile(values, np.linspace(0, 1, n_grid))
        return quantiles
