"""An order of rows that puts similar rows together: they take the same turns in trees, which processors guess."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray

__all__ = ["Landmarks", "landmarks_of", "similar_first"]

#: Fewer rows are walked as they come: putting them in order would take longer than it saves.
FEW_ROWS = 64

#: Rows are ordered by so many features, two bits each, told from so many nodes.
N_LANDMARKS = 8
N_LOOKED_AT = 2**14

Landmarks: TypeAlias = tuple[tuple[int, FloatArray], ...]


def landmarks_of(nodes: NDArray[Any]) -> Landmarks:
    """Return the features that most nodes split on, and the quartiles of their thresholds."""
    some = nodes[:: max(1, nodes.size // N_LOOKED_AT)]
    some = some[(some["split"] >= 0) & np.isfinite(some["number"])]
    feature = some["split"] >> 1
    used, counts = np.unique(feature, return_counts=True)
    often = used[np.argsort(-counts, kind="stable")[:N_LANDMARKS]]
    return tuple((int(j), np.quantile(some["number"][feature == j], (0.25, 0.5, 0.75))) for j in often)


def similar_first(rows: FloatArray, landmarks: Landmarks) -> IntArray:
    """Return an order of rows that puts similar rows together, (n_samples,)."""
    if len(rows) < FEW_ROWS:
        return np.arange(len(rows))
    key = np.zeros(len(rows), np.uint16)
    for feature, quartiles in landmarks:
        key = 4 * key + np.searchsorted(quartiles, rows[:, feature]).astype(np.uint16)
    return np.argsort(key, kind="stable")
