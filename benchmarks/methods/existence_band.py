"""The published construction: a band in which, for each query, *some* values obey the rule; then clip to it.

The band is calibrated so that a fresh query can be answered from within it, by values that may differ from query to query. What
users call is one function, the repaired model clipped to the band, and for that nothing is promised.
"""

from __future__ import annotations

from typing import Any

from alignconf.contract.property import Declaration
from benchmarks.methods.aligned import align, align_class
from benchmarks.problems import Split

__all__ = ["existence_band"]


def existence_band(model: Any, properties: Declaration, parts: Split, label: Any, *, alpha: float, seed: int) -> Any:
    """Return the repaired model, clipped to the band; ``label`` is None for a regression."""
    if label is None:
        return align(model, properties, parts, alpha=alpha, loss="existence", seed=seed)
    return align_class(model, properties, parts, label, alpha=alpha, loss="existence", seed=seed)
