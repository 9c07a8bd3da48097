"""Compiling functions."""

from __future__ import annotations

import math
from typing import Any

from alignconf.kernels.compiled import compiled


def test_functions_are_compiled_where_nothing_can_be_cached() -> None:
    """numba keeps what it compiled beside the source, and a function made from text has none."""
    made: dict[str, Any] = {}
    exec("def quotient(x, y):\n    return x / y\n", made)
    quotient = compiled(made["quotient"])
    assert quotient(3.0, 2.0) == 1.5
    assert quotient(3.0, 0.0) == math.inf
    assert not quotient.stats.cache_path
