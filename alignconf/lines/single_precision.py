"""Numbers as models of single precision compare them."""

from __future__ import annotations

import numpy as np

from alignconf._typing import FloatArray

__all__ = ["as_compared", "at_most_float32", "largest_rounded_to"]


def as_compared(values: FloatArray, is_float32: bool) -> FloatArray:
    """Return numbers as a model compares them: rounded to single precision or as they are."""
    if not is_float32:
        return values
    with np.errstate(over="ignore"):
        return values.astype(np.float32).astype(np.float64)


def largest_rounded_to(thresholds: FloatArray) -> FloatArray:
    """Return the largest numbers that round to at most the thresholds, which are of single precision."""
    single = thresholds.astype(np.float32)
    with np.errstate(over="ignore"):
        above, below = (np.nextafter(single, np.float32(end)).astype(np.float64) for end in (np.inf, -np.inf))
    # Halfway to the next number of single precision, ties going to the even one of the two.
    halfway = thresholds + np.where(np.isfinite(above), above - thresholds, thresholds - below) / 2
    return np.where(as_compared(halfway, is_float32=True) > thresholds, np.nextafter(halfway, -np.inf), halfway)


def at_most_float32(threshold: FloatArray) -> FloatArray:
    """Return the largest numbers of single precision that are at most the thresholds, which cut such numbers alike."""
    with np.errstate(over="ignore"):
        nearest = threshold.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > threshold, below, nearest).astype(np.float64)
