"""The categories that XGBoost keeps with its trees from 3.1 on, by which it finds the codes of any frame's categories."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

__all__ = ["keeps_categories", "kept_categories", "without_categories"]

#: What a model without categories keeps of them.
NOTHING: dict[str, list[Any]] = {"enc": [], "feature_segments": [], "sorted_idx": []}


def keeps_categories(booster: Any) -> bool:
    """Return whether a booster keeps categories; older ones take the codes of each frame as they are."""
    return hasattr(booster, "get_categories") and not booster.get_categories().empty()


def kept_categories(booster: Any) -> dict[int, tuple[Any, ...]]:
    """Return the categories of each column that has any, in the order of their codes."""
    if not keeps_categories(booster):
        return {}
    kept = _model(booster)["learner"]["gradient_booster"]["model"]["cats"]["enc"]
    return {column: _values(of_column) for column, of_column in enumerate(kept) if of_column["values"]}


def without_categories(booster: Any) -> str:
    """Return the model in JSON without the categories that it keeps, which treelite does not read."""
    model = _model(booster)
    model["learner"]["gradient_booster"]["model"]["cats"] = NOTHING
    return json.dumps(model)


def _model(booster: Any) -> Any:
    return json.loads(bytes(booster.save_raw("json")))


def _values(of_column: Any) -> tuple[Any, ...]:
    """Return numbers as they are kept, and texts from their bytes, which lie one behind the other."""
    if "offsets" not in of_column:
        return tuple(of_column["values"])
    text, ends = bytes(of_column["values"]), of_column["offsets"]
    return tuple(text[start:end].decode() for start, end in pairwise(ends))
