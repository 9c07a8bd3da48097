"""Writing leaves of LightGBM's trees.

The copy is made from LightGBM's own text, which holds thresholds and leaves with all digits of double precision; leaves are
then set by LightGBM. Numbers as small as 1e-35 become zero, which keeps their order. The bias that training starts from is in
the leaves of the first tree. Rounds after the best of early stopping are left out, as the text does.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from alignconf.lines.native.leaf_order import Change, StoredTree, changed_leaves
from alignconf.tables.fitted_columns import native_booster

__all__ = ["joined_lightgbm", "rewritten_lightgbm"]


def rewritten_lightgbm(model: Any, change: Change, column: int) -> Any:
    """Return a copy of a LightGBM model or booster with changed leaves; of more than two classes, those of class ``column``."""
    text = _text(model)
    twin = _with_text(model, text)
    booster = twin if native_booster(twin) else twin.booster_
    blocks = text.split("\nTree=")[1:]
    n_sums = int(_numbers(text, "num_tree_per_iteration")[0])
    numbers = range(column if n_sums > 1 else 0, len(blocks), n_sums)
    trees = [_stored(blocks[number]) for number in numbers]
    for number, tree, value in zip(numbers, trees, changed_leaves(trees, change), strict=True):
        for leaf, output in enumerate(value[tree.is_leaf]):
            booster.set_leaf_output(number, leaf, output)
    return twin


def joined_lightgbm(model: Any, parts: Sequence[Any]) -> Any:
    """Return a copy of a LightGBM model or booster that has the trees of some others in place of its own."""
    head, _, end = _split(_text(model))
    bodies = [re.sub(r"^\d+", "", block) for part in parts for block in _split(_text(part))[1]]
    # Sizes of trees in bytes are read where they are there only.
    head = re.sub(r"\ntree_sizes=.*", "", head)
    trees = "".join(f"\nTree={number}{body}" for number, body in enumerate(bodies))
    twin = _with_text(model, f"{head}{trees}\nend of trees{end}")
    (twin if native_booster(twin) else twin.booster_).best_iteration = -1
    if not native_booster(twin):
        twin._best_iteration = -1
    return twin


def _split(text: str) -> tuple[str, list[str], str]:
    """Return what comes before the trees in LightGBM's text, each tree, and what comes behind them."""
    before, end = text.split("\nend of trees")
    head, *blocks = before.split("\nTree=")
    return head, blocks, end


def _text(model: Any) -> str:
    """Return what LightGBM saves of the trees that predict."""
    text: str = (model if native_booster(model) else model.booster_).model_to_string()
    return text


def _with_text(model: Any, text: str) -> Any:
    """Return a copy of a LightGBM model or booster that holds the trees of a text."""
    booster = model if native_booster(model) else model.booster_
    twin = type(booster)(model_str=text)
    for name in ("params", "best_iteration", "best_score"):
        setattr(twin, name, copy.deepcopy(getattr(booster, name)))
    return copy.deepcopy(model, {id(booster): twin})


def _stored(block: str) -> StoredTree:
    """Return a tree whose splits come first, its leaves after them."""
    value = _numbers(block, "leaf_value")
    n_splits = value.size - 1
    left, right = (_children(block, f"{side}_child", n_splits) for side in ("left", "right"))
    return StoredTree(np.arange(2 * n_splits + 1) >= n_splits, left, right, np.append(np.zeros(n_splits), value))


def _children(block: str, name: str, n_splits: int) -> Any:
    """Return children of all nodes; LightGBM writes leaf ``k`` as ``-k - 1``."""
    child = _numbers(block, name)[:n_splits].astype(np.intp) if n_splits else np.empty(0, np.intp)
    return np.append(np.where(child < 0, n_splits - child - 1, child), np.zeros(n_splits + 1, np.intp))


def _numbers(block: str, name: str) -> Any:
    line = re.search(rf"^{name}=(.*)$", block, flags=re.MULTILINE)
    return np.array(line[1].split() if line else [], np.float64)
