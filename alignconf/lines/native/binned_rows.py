r"""Bins of histogram gradient boosting, cut before it is fitted, so that weights of rows do not slow it down.

Given weights, scikit-learn cuts bins at weighted quantiles, one sort for each cut: seconds, where the trees take tenths. Here a
feature of more values than bins is cut at plain quantiles, and the booster sees the number of the bin. Its thresholds lie
between numbers of bins; :meth:`BinnedRows.unbinned` puts the cuts in their place, and the trees ask of rows as they are what they
asked of bins: :math:`x \le c_b` iff the bin of ``x`` is at most ``b``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignconf._typing import FloatArray

__all__ = ["BinnedRows"]


@dataclass(frozen=True, eq=False)
class BinnedRows:
    """Where features are cut.

    Parameters
    ----------
    cuts : tuple of (n_cuts,) arrays or None
        Of each feature, increasing; None if it has few values and stays as it is.
    """

    cuts: tuple[FloatArray | None, ...]

    @classmethod
    def of(cls, rows: FloatArray, n_bins: int) -> BinnedRows:
        """Return the cuts for rows (n_rows, n_features) into at most ``n_bins`` bins a feature; missing values have their own."""
        return cls(tuple(_cuts(column, n_bins) for column in rows.T))

    def binned(self, rows: FloatArray) -> FloatArray:
        """Return rows with numbers of bins in place of values; missing values stay."""
        numbers = rows.copy()
        for feature, cuts in enumerate(self.cuts):
            if cuts is not None:
                numbers[:, feature] = np.searchsorted(cuts, rows[:, feature])
        return np.where(np.isnan(rows), np.nan, numbers)

    def unbinned(self, model: Any) -> Any:
        """Return a HistGradientBoosting model, fitted to binned rows, after its thresholds became cuts."""
        for (predictor,) in model._predictors:
            nodes = predictor.nodes
            for feature, cuts in enumerate(self.cuts):
                here = (nodes["is_leaf"] == 0) & (nodes["feature_idx"] == feature) & np.isfinite(nodes["num_threshold"])
                if cuts is not None:
                    nodes["num_threshold"][here] = cuts[np.floor(nodes["num_threshold"][here]).astype(np.intp)]
        return model


def _cuts(column: FloatArray, n_bins: int) -> FloatArray | None:
    present = column[~np.isnan(column)]
    if np.unique(present).size <= n_bins:
        return None
    return np.unique(np.percentile(present, np.linspace(0, 100, n_bins + 1)[1:-1], method="midpoint"))
