"""Numbers that a float does not hold exactly, so that different ones could become one place."""

from __future__ import annotations

from decimal import Decimal
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_held", "not_held"]


def is_held(value: Any) -> bool:
    """Return whether a float holds a number of any type exactly, decimals as typed; no whole number beyond 2**53 counts."""
    if isinstance(value, Integral):
        return abs(int(value)) <= 2**53
    if isinstance(value, Decimal) and value.is_finite():
        return Decimal(repr(float(value))) == value and abs(value) <= 2**53
    return bool(float(value) == value) or bool(value != value)


def not_held(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which numbers of an array no float holds exactly: whole ones beyond 2**53, and those of longer types."""
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        return np.asarray((values > 2**53) | (values < -(2**53)) if values.dtype.kind == "i" else values > 2**53)
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            return np.asarray((values.astype(np.float64) != values) & ~np.isnan(values))
    return np.zeros(values.shape, dtype=bool)
