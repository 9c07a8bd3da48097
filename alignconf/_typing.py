"""Names for the types that pass between the stages.

``Table`` is what users hand in: a two-dimensional array, or a pandas or polars data frame, of ``n_samples`` rows; it is
converted only where a column is read. Everything inside is ``float64`` and named by its shape in the docstrings.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoolArray", "Feature", "FloatArray", "IntArray", "Model", "RandomState", "Table"]

BoolArray: TypeAlias = NDArray[np.bool_]
FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.intp]
Feature: TypeAlias = int | str | tuple[Any, ...]
RandomState: TypeAlias = int | np.random.Generator | np.random.RandomState | None
Table: TypeAlias = Any


@runtime_checkable
class Model(Protocol):
    """Anything that predicts one number per row, as a fitted scikit-learn regressor does."""

    def predict(self, X: Any, /) -> Any:
        """Return predictions of shape (n_samples,)."""
        ...
