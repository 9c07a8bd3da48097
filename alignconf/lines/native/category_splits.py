"""Where the trees of a library send categories, node by node, as :class:`alignconf.lines.category_sets.CategorySet`.

Histogram gradient boosting lists what goes left, by bits, and sends what it does not know where it sends what is missing; its
encoder makes a missing value of it. LightGBM lists what goes left and sends all else right, what is missing too. XGBoost lists
what goes right; what it does not list, or is no code, goes left, and each node says where a missing value goes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alignconf.lines.category_sets import CategorySet

__all__ = ["histogram_sets", "treelite_sets"]

#: treelite's number for nodes that list categories.
LISTS = 2


def histogram_sets(predictor: Any) -> dict[int, CategorySet]:
    """Return the sets of a tree of histogram gradient boosting, by node."""
    nodes, of_sets = predictor.nodes, np.ascontiguousarray(predictor.raw_left_cat_bitsets)
    is_left = np.unpackbits(of_sets.view(np.uint8), axis=1, bitorder="little")
    return {
        int(i): CategorySet(np.flatnonzero(is_left[nodes["bitset_idx"][i]]), True, bool(nodes["missing_go_to_left"][i]))
        for i in np.flatnonzero(nodes["is_categorical"] & ~nodes["is_leaf"].astype(bool))
    }


def treelite_sets(accessor: Any) -> dict[int, CategorySet]:
    """Return the sets of a tree that treelite has read, by node."""
    nodes = np.flatnonzero(accessor.get_field("node_type") == LISTS)
    if not nodes.size:
        return {}
    codes = accessor.get_field("category_list").astype(np.intp)
    begin, end = (accessor.get_field(f"category_list_{name}").astype(np.intp) for name in ("begin", "end"))
    listed_right, default_left = (accessor.get_field(name) for name in ("category_list_right_child", "default_left"))
    return {int(i): CategorySet(codes[begin[i] : end[i]], not listed_right[i], bool(default_left[i])) for i in nodes}
