"""Sums of floats are the sums of the fractions that they are, whatever their sizes and signs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignconf.kernels.exact import exact_sum

FINITE = st.floats(-1e300, 1e300, allow_subnormal=True)


@given(st.lists(FINITE, max_size=40))
def test_sums_are_those_of_fractions(values: list[float]) -> None:
    assert exact_sum(np.array(values)) == sum(map(Fraction, values))


@pytest.mark.parametrize("value", [0.1, -1e-320, np.nextafter(2.0, 0), 1e17])
def test_many_equal_values_add_up_without_overflow(value: float) -> None:
    """A million times 53 bits is more than an integer of 64 holds."""
    assert exact_sum(np.full(2**20, value)) == 2**20 * Fraction(value)


def test_floats_would_not_do() -> None:
    values = np.array([1e16, 1.0, -1e16])
    assert values.sum() == 0
    assert exact_sum(values) == 1
