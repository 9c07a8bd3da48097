"""What is drawn at random: one stream for each purpose, so that stages never share draws, and the rows that are set aside.

Rows that give the reference law are chosen by the number of rows alone, and never calibrate.
"""

from __future__ import annotations

import numpy as np

from alignconf._typing import IntArray, RandomState
from alignconf.tables.checks import check_count

__all__ = [
    "CALIBRATE",
    "CERTIFY",
    "CONDITION",
    "SCORE",
    "SPLIT",
    "check_random_state",
    "generator",
    "reference_rows",
    "set_aside",
]

#: What estimators draw random numbers for.
SPLIT, CALIBRATE, CERTIFY, CONDITION, SCORE = range(5)

#: Seeds are at most this, as those of numpy's generators in 64 bits.
LARGEST_SEED = 2**64 - 1

#: The share of all rows that gives the reference law, and how many rows at most.
REFERENCE_SHARE = 0.2
MAX_REFERENCE = 2000


def generator(random_state: RandomState, purpose: int) -> np.random.Generator:
    """Return the stream of random numbers of one purpose, so that different stages never share draws."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng([int(random_state.randint(2**31 - 1)), purpose])
    if random_state is None:
        return np.random.default_rng()
    return np.random.default_rng([_checked_seed(random_state), purpose])


def check_random_state(random_state: RandomState) -> None:
    """Refuse a value that seeds no random numbers, also where nothing will be drawn."""
    if not isinstance(random_state, (np.random.Generator, np.random.RandomState, type(None))):
        _checked_seed(random_state)


def _checked_seed(random_state: int) -> int:
    return check_count("random_state", random_state, at_least=0, at_most=LARGEST_SEED)


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
