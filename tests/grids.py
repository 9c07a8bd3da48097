"""What tests look at inside an alignment."""

from __future__ import annotations

from typing import Any


def whole_grid(alignment: Any) -> Any:
    """Return the projector of rows that have all features, of the first stage of an alignment."""
    stage = alignment.chain.stages[0]
    return getattr(stage, "whole", stage)
