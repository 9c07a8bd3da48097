"""Numbers in words, rounded to the safe side."""

from __future__ import annotations

from decimal import ROUND_CEILING
from typing import Any

import numpy as np

from alignconf.tables.printed import percent

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """Return nested figures as JSON can hold them: tuples as lists, infinities and NaN as null, others as text, keys too."""
    if isinstance(value, dict):
        return {key if isinstance(key, (str, int)) else str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if isinstance(value, (str, int, type(None))) else str(value)


def _at_most(value: float) -> str:
    return percent(value, ROUND_CEILING)
