"""What interpret offers for its own additive model: make the curve of one feature monotone after the fit.

``monotonize`` repairs the feature's own term by isotonic regression. Terms of pairs that the feature takes part in stay as they
are, so the model as a whole need not be monotone; classifiers of more than two classes are refused by the library.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

__all__ = ["monotonize"]


def monotonize(model: Any, signs: dict[str, int]) -> Any:
    """Return a copy of a fitted explainable boosting machine with the terms of some features made monotone."""
    repaired = deepcopy(model)
    for feature, sign in signs.items():
        repaired.monotonize(feature, increasing=sign > 0)
    return repaired
