"""How much of a test is run: a part in the fast suite, all of it in the long runs (``make validity`` sets ``LONG_RUNS``).

Bounds follow the numbers: a test that draws less allows for more noise, at the same probability of a false alarm.
"""

from __future__ import annotations

import os

from hypothesis import settings

IS_LONG = bool(os.environ.get("LONG_RUNS"))

#: Whether tests with many costly cases run all of them, as for mutants.
HAS_ALL_CASES = IS_LONG or bool(os.environ.get("ALL_CASES"))


def shortened(in_long_runs: int, here: int) -> int:
    """Return how many draws are made: fewer in the fast suite than in the long runs."""
    return in_long_runs if IS_LONG else here


def examples(in_long_runs: int) -> settings:
    """Return the settings of a test of hypothesis: a third of the examples in the fast suite."""
    return settings(max_examples=shortened(in_long_runs, -(-in_long_runs // 3)))
