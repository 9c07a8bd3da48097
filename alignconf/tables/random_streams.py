"""One stream of random numbers for each purpose, so that stages never share draws."""

from __future__ import annotations

import numpy as np

from alignconf._typing import RandomState
from alignconf.tables.checks import check_count

__all__ = ["CALIBRATE", "CERTIFY", "CONDITION", "SCORE", "SPLIT", "check_random_state", "generator"]


#: What estimators draw random numbers for.
SPLIT, CALIBRATE, CERTIFY, CONDITION, SCORE = range(5)


def generator(random_state: RandomState, purpose: int) -> np.random.Generator:
    """Return the stream of random numbers of one purpose, so that different stages never share draws."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng([int(random_state.randint(2**31 - 1)), purpose])
    if random_state is None:
        return np.random.default_rng()
    return np.random.default_rng([check_count("random_state", random_state, at_least=0), purpose])


def check_random_state(random_state: RandomState) -> None:
    """Refuse a value that seeds no random numbers, also where nothing will be drawn."""
    if not isinstance(random_state, (np.random.Generator, np.random.RandomState, type(None))):
        check_count("random_state", random_state, at_least=0)
