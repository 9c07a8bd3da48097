r"""The order of a tree's leaves: which leaf may not have a larger value than which.

A leaf is a product over features of an interval and of whether a missing value arrives there. Leaf ``a`` *precedes* leaf ``b``
of the same tree if a row in ``a`` and a row in ``b`` are equal in every free feature and, in every constrained one, equal, both
missing, or both in its domain (a range, special values apart) and ordered in the declared direction. Leaves are products, so
this is a test feature by feature; and two leaves can be ordered only if the split that parts them is at a constrained feature,
because equal values take the same turn. So each such split hands its two subtrees down as a pair, and a pair that a split below
has made incomparable is dropped with all its leaves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import BoolArray, FloatArray, IntArray
from alignconf.kernels.compiled import compiled
from alignconf.kernels.tree_walk import LEAF

__all__ = ["DECREASING", "FREE", "INCREASING", "INVARIANT", "first_broken_pair", "ordered_leaves", "reduced"]

#: What is declared of a feature.
DECREASING, INVARIANT, INCREASING, FREE = -1, 0, 1, 2

#: Bits of a word in the sets of leaves.
WORD = 64


@compiled
def ordered_leaves(
    nodes: NDArray[Any], root: int, stop: int, column: IntArray, n_columns: int, demands: IntArray, domains: FloatArray
) -> IntArray:
    """Return the pairs of leaves of a tree of which the first precedes the second, (n_pairs, 2), as numbers of nodes.

    Parameters
    ----------
    nodes : records of the ensemble; the tree is ``nodes[root:stop]``, in depth-first order
    column : (n_features,)
        The columns, ``n_columns`` in all, in which the features that this tree splits on are looked at.
    demands : (n_features,)
        ``INCREASING``, ``DECREASING``, ``INVARIANT`` or ``FREE``.
    domains : (n_features, 2 + n_special)
        Of each feature: values above the first number and up to the second are compared; further numbers are special, NaN for
        none.
    """
    low, high, missing = _regions(nodes, root, stop, column, n_columns)
    pairs = np.empty((256, 2), np.intp)
    n_pairs = 0
    first, second = np.empty(1024, np.intp), np.empty(1024, np.intp)
    for node in range(root, stop):
        split = nodes[node]["split"]
        if split == LEAF or demands[split >> 1] == FREE:
            continue
        if not _parts(nodes, node, root, column, domains, low, high):
            continue
        top = _siblings(nodes, node, demands[split >> 1], first, second)
        while top > 0:
            top -= 1
            a, b = first[top], second[top]
            if nodes[a]["split"] == LEAF and nodes[b]["split"] == LEAF:
                if n_pairs == len(pairs):
                    longer = np.empty((2 * n_pairs, 2), np.intp)
                    longer[:n_pairs] = pairs
                    pairs = longer
                pairs[n_pairs, 0], pairs[n_pairs, 1] = a, b
                n_pairs += 1
                continue
            if top + 2 >= first.size:
                first, second = _longer(first), _longer(second)
            top = _descend(nodes, root, a, b, column, demands, domains, low, high, missing, first, second, top)
    return pairs[:n_pairs].copy()


@compiled
def first_broken_pair(
    nodes: NDArray[Any], root: int, stop: int, column: IntArray, n_columns: int, demands: IntArray, domains: FloatArray
) -> tuple[int, int]:
    """Return the first two leaves of a tree that are in the wrong order, as numbers of nodes; (-1, -1) if there are none.

    The first of them precedes the second and has the larger value. Parameters are those of :func:`ordered_leaves`. Pairs of
    subtrees whose values are in order already are not looked into.
    """
    low, high, missing = _regions(nodes, root, stop, column, n_columns)
    smallest, largest = np.empty(stop - root), np.empty(stop - root)
    for node in range(stop - 1, root - 1, -1):
        if nodes[node]["split"] == LEAF:
            smallest[node - root] = largest[node - root] = nodes[node]["number"]
        else:
            left, right = node + 1 - root, nodes[node]["right"] - root
            smallest[node - root] = min(smallest[left], smallest[right])
            largest[node - root] = max(largest[left], largest[right])
    first, second = np.empty(1024, np.intp), np.empty(1024, np.intp)
    for node in range(root, stop):
        split = nodes[node]["split"]
        if split == LEAF or demands[split >> 1] == FREE:
            continue
        if not _parts(nodes, node, root, column, domains, low, high):
            continue
        top = _siblings(nodes, node, demands[split >> 1], first, second)
        while top > 0:
            top -= 1
            a, b = first[top], second[top]
            if largest[a - root] <= smallest[b - root]:
                continue
            if nodes[a]["split"] == LEAF and nodes[b]["split"] == LEAF:
                return a, b
            if top + 2 >= first.size:
                first, second = _longer(first), _longer(second)
            top = _descend(nodes, root, a, b, column, demands, domains, low, high, missing, first, second, top)
    return -1, -1


@compiled
def _regions(
    nodes: NDArray[Any], root: int, stop: int, column: IntArray, n_columns: int
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return what reaches each node of a tree: values above ``low`` and up to ``high``, and whether missing ones do."""
    n_nodes = stop - root
    low, high = np.full((n_nodes, n_columns), -np.inf), np.full((n_nodes, n_columns), np.inf)
    missing = np.ones((n_nodes, n_columns), np.bool_)
    for node in range(root, stop):
        split = nodes[node]["split"]
        if split == LEAF:
            continue
        i, left, right = node - root, node + 1 - root, nodes[node]["right"] - root
        low[left], high[left], missing[left] = low[i], high[i], missing[i]
        low[right], high[right], missing[right] = low[i], high[i], missing[i]
        k, threshold, missing_left = column[split >> 1], nodes[node]["number"], split & 1
        high[left, k] = min(high[left, k], threshold)
        low[right, k] = max(low[right, k], threshold)
        missing[left, k] = missing[i, k] and missing_left
        missing[right, k] = missing[i, k] and not missing_left
    return low, high, missing


@compiled
def _parts(
    nodes: NDArray[Any],
    node: int,
    root: int,
    column: IntArray,
    domains: FloatArray,
    low: FloatArray,
    high: FloatArray,
) -> bool:
    """Return whether both sides of a split at a constrained feature hold values that are compared."""
    feature = nodes[node]["split"] >> 1
    k, domain = column[feature], domains[feature]
    left, right = node + 1 - root, nodes[node]["right"] - root
    return _compares(low[left, k], high[left, k], domain) and _compares(low[right, k], high[right, k], domain)


@compiled
def _compares(low: float, high: float, domain: FloatArray) -> bool:
    """Return whether an interval holds values of the domain."""
    return bool(max(low, domain[0]) < min(high, domain[1]))


@compiled
def _shares_outside(low: float, high: float, domain: FloatArray) -> bool:
    """Return whether an interval holds values outside the domain."""
    if low >= high:
        return False
    holds = low < domain[0] or high > domain[1]
    for s in range(2, domain.size):
        holds = holds or low < domain[s] <= high
    return bool(holds)


@compiled
def _siblings(nodes: NDArray[Any], node: int, demand: int, first: IntArray, second: IntArray) -> int:
    """Put the two subtrees of a split at a constrained feature on the stack, the preceding one first; return its height."""
    left, right = node + 1, np.intp(nodes[node]["right"])
    first[0], second[0] = (right, left) if demand == DECREASING else (left, right)
    if demand == INVARIANT:
        first[1], second[1] = right, left
        return 2
    return 1


@compiled
def _descend(
    nodes: NDArray[Any],
    root: int,
    a: int,
    b: int,
    column: IntArray,
    demands: IntArray,
    domains: FloatArray,
    low: FloatArray,
    high: FloatArray,
    missing: BoolArray,
    first: IntArray,
    second: IntArray,
    top: int,
) -> int:
    """Put the pairs of ``b`` with the children of ``a``, or of ``a`` with those of ``b``, on the stack; return its height."""
    opened_first = nodes[a]["split"] != LEAF
    opened = a if opened_first else b
    feature = nodes[opened]["split"] >> 1
    for side in range(2):
        child = opened + 1 if side == 0 else int(nodes[opened]["right"])
        lower, upper = (child, b) if opened_first else (a, child)
        if _comparable(
            lower - root, upper - root, column[feature], demands[feature], domains[feature], low, high, missing
        ):
            first[top], second[top] = lower, upper
            top += 1
    return top


@compiled
def _comparable(
    a: int,
    b: int,
    k: int,
    demand: int,
    domain: FloatArray,
    low: FloatArray,
    high: FloatArray,
    missing: BoolArray,
) -> bool:
    """Return whether rows may reach ``a`` and ``b`` that are equal, both missing, or compared and ordered in a column."""
    if missing[a, k] and missing[b, k]:
        return True
    shared_low, shared_high = max(low[a, k], low[b, k]), min(high[a, k], high[b, k])
    if demand == FREE:
        return bool(shared_low < shared_high)
    if _shares_outside(shared_low, shared_high, domain):
        return True
    if not (_compares(low[a, k], high[a, k], domain) and _compares(low[b, k], high[b, k], domain)):
        return False
    if demand == INVARIANT:
        return True
    if demand == INCREASING:
        return bool(max(low[a, k], domain[0]) < min(high[b, k], domain[1]))
    return bool(max(low[b, k], domain[0]) < min(high[a, k], domain[1]))


@compiled
def _longer(stack: IntArray) -> IntArray:
    longer = np.empty(2 * stack.size, np.intp)
    longer[: stack.size] = stack
    return longer


@compiled
def reduced(lower: IntArray, upper: IntArray, n_groups: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return a topological order of a graph without cycles, (n_groups,), and the edges that no path of others implies.

    Parameters
    ----------
    lower, upper : (n_edges,)
        From one group to another, whole numbers below ``n_groups``.

    Returns
    -------
    order : (n_groups,)
        Position of each group in the order.
    lower, upper : (n_kept,)
        Positions; sorted by ``upper`` within ``lower``, ``lower`` descending.
    """
    start = np.zeros(n_groups + 1, np.intp)
    n_before = np.zeros(n_groups, np.intp)
    for e in range(lower.size):
        start[lower[e] + 1] += 1
        n_before[upper[e]] += 1
    start = np.cumsum(start)
    filled = start[:-1].copy()
    successors = np.empty(lower.size, np.intp)
    for e in range(lower.size):
        successors[filled[lower[e]]] = upper[e]
        filled[lower[e]] += 1
    order, by_position = np.empty(n_groups, np.intp), np.empty(n_groups, np.intp)
    n_placed, next_group = 0, 0
    for group in range(n_groups):
        if n_before[group] == 0:
            by_position[n_placed] = group
            n_placed += 1
    while next_group < n_placed:
        group = by_position[next_group]
        order[group] = next_group
        next_group += 1
        for e in range(start[group], start[group + 1]):
            n_before[successors[e]] -= 1
            if n_before[successors[e]] == 0:
                by_position[n_placed] = successors[e]
                n_placed += 1
    reached = np.zeros((n_groups, (n_groups + WORD - 1) // WORD), np.uint64)
    kept_lower, kept_upper = np.empty(lower.size, np.intp), np.empty(lower.size, np.intp)
    n_kept = 0
    for position in range(n_groups - 1, -1, -1):
        group = by_position[position]
        following = np.sort(order[successors[start[group] : start[group + 1]]])
        for after in following:
            word, bit = after // WORD, np.uint64(1) << np.uint64(after % WORD)
            if reached[position, word] & bit:
                continue
            for k in range(reached.shape[1]):
                reached[position, k] |= reached[after, k]
            reached[position, word] |= bit
            kept_lower[n_kept], kept_upper[n_kept] = position, after
            n_kept += 1
    return order, kept_lower[:n_kept].copy(), kept_upper[:n_kept].copy()
