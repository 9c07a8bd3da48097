"""Rows that give the reference law, chosen at random and set aside, so that they never calibrate."""

from __future__ import annotations

import numpy as np

from alignconf._typing import IntArray

__all__ = ["reference_rows", "set_aside"]

REFERENCE_SHARE = 0.2
MAX_REFERENCE = 2000


def set_aside(n_samples: int, random: np.random.Generator, *, keep: int) -> tuple[IntArray, IntArray]:
    """Return the rows to work with and a random fifth of all rows, at most 2,000, that gives the reference law.

    At least ``keep`` rows remain to work with, and the law gets at least two; where both cannot be had, it gets fewer.
    """
    reference = reference_rows(n_samples, random, keep=keep)
    return np.delete(np.arange(n_samples), reference), reference


def reference_rows(n_samples: int, random: np.random.Generator, *, keep: int) -> IntArray:
    """Return the rows that :func:`set_aside` gives to the reference law, sorted."""
    n_reference = min(max(2, int(REFERENCE_SHARE * n_samples)), MAX_REFERENCE, max(0, n_samples - keep))
    rows: IntArray = np.sort(random.permutation(n_samples)[:n_reference])
    return rows
