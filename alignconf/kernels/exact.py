"""Sums of floats without rounding, for comparisons that floats cannot decide.

A float is a rational number, a whole number of 53 bits times a power of two. Numbers with the same power add up as integers, so
the sum of many is a few integer sums and one fraction.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from alignconf._typing import FloatArray

__all__ = ["as_fraction", "exact_sum"]


def exact_sum(values: FloatArray) -> Fraction:
    """Return the exact sum of finite floats (n,), which are rational numbers."""
    mantissas, exponents = np.frexp(values)
    whole = (mantissas * 2.0**53).astype(np.int64)
    total = Fraction(0)
    for exponent in np.unique(exponents):
        terms = whole[exponents == exponent]
        # In two halves, each of which adds up without overflow.
        high, low = int((terms >> 26).sum()), int((terms & (2**26 - 1)).sum())
        total += ((high << 26) + low) * Fraction(2) ** (int(exponent) - 53)
    return total


def as_fraction(level: float) -> Fraction:
    """Return the decimal number that a user typed: 0.3 is 3/10, not the nearest binary fraction below it."""
    return Fraction(repr(float(level)))
