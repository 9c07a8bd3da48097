r"""Lines of tree ensembles, exactly, by one walk of each tree; projected and looked up without being stored.

The line of a row along a feature is looked at in increasing *places*, one in each piece. A walk descends a tree with the
range of places that can reach the node: where the feature is split the range is cut in two and both children are
visited, at any other node the row chooses. Leaves are reached from left to right, so each adds the step from the leaf
before it to a difference array; after all trees one running sum gives the line. Cost: the nodes visited, and O(n_places).

Steps are exact enough to say in which order neighbouring places lie, unless a step is as small as the rounding of sums. A line
with such a step, and every line of a model that adds in single precision, is summed as the model sums: base first, then leaf
after leaf, in its own precision, at every place. Cost: O(n_trees * n_places). A step that no leaf touched stays -0.0: the
same leaves are reached on both of its sides.

Nodes are records of 16 bytes in depth-first order: a left child follows its parent. A row is doubled: ``split`` is a position
in the doubled row, whose even numbers hold the features and whose odd ones hold them with minus infinity for what is
missing, so that one comparison sends every value where it goes, a missing one to either side. The rows of a block walk a
tree one after the other, while it is in the cache; in an order that puts similar rows together they take the same turns,
which processors guess. Every kernel runs on one thread and releases the interpreter lock, so that callers can spread blocks
of rows over threads; what a row gets does not depend on the others.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray
from alignconf.kernels.compiled import compiled
from alignconf.kernels.order import centre, pool

__all__ = [
    "ALONG",
    "ALONG_SECOND",
    "CATEGORY",
    "LEAF",
    "NODE",
    "Forest",
    "LookedUp",
    "Rule",
    "StackArray",
    "depth_first",
    "double_row",
    "follow_link",
    "goes_left",
    "project_lines",
    "project_values",
    "walk_lines",
]

#: ``split`` is twice the feature, plus one if a missing value goes left; or one of the marks below, of a split on categories
#: ``CATEGORY`` less twice the feature. ``number`` is the threshold (values up to it go left), the value of a leaf, along the
#: line how many places go left, or the byte at which a set of categories starts.
NODE = np.dtype([("split", np.int32), ("right", np.int32), ("number", np.float64)])

LEAF, ALONG, ALONG_SECOND, CATEGORY = -1, -2, -3, -4

#: Rows that walk a tree one after the other, at most, and places that their lines may have together.
N_BLOCK = 256
N_BLOCK_PLACES = 2**17

#: Nodes, roots, depth; what the sum of leaves starts from and is divided by; whether the prediction is its exponential (1), or
#: 1 / (1 + exp) of its negative (2), or itself (0); whether sums are of single precision; the size up to which a step of the
#: sum may be rounding; the bits of the sets of categories.
Forest: TypeAlias = tuple[NDArray[Any], IntArray, int, float, float, int, bool, float, NDArray[np.uint8]]

#: Weights of the places, (1, n_places) for all rows or (n_rows, n_places); whether to project by least squares or to the
#: midpoint; 1 for increasing, -1 for decreasing.
Rule: TypeAlias = tuple[FloatArray, bool, float]

#: The line, its projection, and the nearest values below and above to which places on the left and right are moved.
LookedUp: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, FloatArray]

StackArray: TypeAlias = NDArray[np.int32]


@compiled
def depth_first(
    split: NDArray[np.int32], left: IntArray, right: IntArray, number: FloatArray, roots: IntArray, nodes: NDArray[Any]
) -> tuple[int, int]:
    """Fill ``nodes`` with trees in depth-first order and move ``roots`` along.

    Return the depth of the deepest tree, and how many nodes are filled: those that no path reaches are left out.
    """
    child, parent = np.empty(left.size + 1, np.intp), np.empty(left.size + 1, np.intp)
    level = np.empty(left.size + 1, np.intp)
    n_nodes, deepest = 0, 0
    for tree in range(roots.size):
        top, child[0], parent[0], level[0] = 0, roots[tree], -1, 0
        roots[tree] = n_nodes
        while top >= 0:
            i, depth, above = child[top], level[top], parent[top]
            top -= 1
            if above >= 0:
                nodes[above]["right"] = n_nodes
            nodes[n_nodes]["split"] = split[i]
            nodes[n_nodes]["right"] = 0
            nodes[n_nodes]["number"] = number[i]
            deepest = max(deepest, depth)
            if split[i] != LEAF:
                child[top + 1], parent[top + 1], level[top + 1] = right[i], n_nodes, depth + 1
                child[top + 2], parent[top + 2], level[top + 2] = left[i], -1, depth + 1
                top += 2
            n_nodes += 1
    return deepest, n_nodes


@compiled
def walk_lines(forest: Forest, rows: FloatArray, order: IntArray, lines: FloatArray) -> None:
    """Fill ``lines``, (n_rows, n_places), with the line of each row, (n_rows, n_features), taken in some order."""
    n_rows, depth, n_places = rows.shape[0], forest[2], lines.shape[1]
    n_block = max(1, min(N_BLOCK, n_rows, N_BLOCK_PLACES // n_places))
    stack = np.empty(depth + 1, np.int32), np.empty(depth + 1, np.int32)
    doubled, block = np.empty((n_block, 2 * rows.shape[1])), np.empty((n_block, n_places))
    single = np.empty((n_block if forest[6] else 0, n_places), np.float32)
    for start in range(0, n_rows, n_block):
        members = order[start : start + n_block]
        _walk_block(forest, rows, members, block, single, doubled, stack)
        for m in range(members.size):
            lines[members[m]] = block[m]


@compiled
def _walk_block(
    forest: Forest,
    rows: FloatArray,
    members: IntArray,
    lines: FloatArray,
    single: NDArray[np.float32],
    doubled: FloatArray,
    stack: tuple[StackArray, StackArray],
) -> None:
    """Fill the first lines with those of some rows; ``single`` has as many where sums are of single precision."""
    _, _, _, _, divisor, link, is_single, _, _ = forest
    for m in range(members.size):
        double_row(rows[members[m]], doubled[m])
    if is_single:
        _sum_as_the_model(forest, doubled[: members.size], single[: members.size], stack)
        # Number by number: compiling an assignment of blocks, with its message about shapes, takes five seconds.
        for m in range(members.size):
            for k in range(lines.shape[1]):
                lines[m, k] = single[m, k]
    else:
        _sum_steps(forest, doubled[: members.size], lines[: members.size], stack)
    for m in range(members.size):
        if divisor != 1.0:
            for k in range(lines.shape[1]):
                lines[m, k] /= divisor
        follow_link(lines[m], link)


@compiled
def _sum_steps(forest: Forest, rows: FloatArray, lines: FloatArray, stack: tuple[StackArray, StackArray]) -> None:
    """Fill lines with sums of leaves by their steps, as the model itself sums where a step may be rounding."""
    nodes, roots, _, base, _, _, _, tie, bits = forest
    lines[:] = -0.0
    lines[:, 0] = base
    for tree in range(roots.size):
        for m in range(len(rows)):
            _add_steps(nodes, bits, roots[tree], rows[m], lines[m], stack[0], stack[1])
    for m in range(len(rows)):
        line = lines[m]
        if _may_be_rounding(line, tie):
            _sum_as_the_model(forest, rows[m : m + 1], lines[m : m + 1], stack)
        else:
            for k in range(1, line.size):
                line[k] += line[k - 1]


@compiled
def _may_be_rounding(steps: FloatArray, tie: float) -> bool:
    """Whether any step, after the first entry, is touched and as small as rounding."""
    n_doubtful = 0
    for k in range(1, steps.size):
        is_untouched = steps[k] == 0.0 and np.copysign(1.0, steps[k]) < 0.0
        n_doubtful += abs(steps[k]) <= tie and not is_untouched
    return n_doubtful > 0


@compiled
def _sum_as_the_model(
    forest: Forest, rows: FloatArray, lines: NDArray[Any], stack: tuple[StackArray, StackArray]
) -> None:
    """Fill lines, in the precision of their type, with base plus leaf after leaf at every place."""
    nodes, roots, base, bits = forest[0], forest[1], forest[3], forest[8]
    lines[:] = base
    for tree in range(roots.size):
        for m in range(len(rows)):
            _add_ranges(nodes, bits, roots[tree], rows[m], lines[m], stack[0], stack[1])


@compiled
def double_row(row: FloatArray, doubled: FloatArray) -> None:
    """Fill ``doubled`` with a row, each feature twice: as it is, and with minus infinity for what is missing."""
    for j in range(row.size):
        doubled[2 * j] = row[j]
        doubled[2 * j + 1] = -np.inf if np.isnan(row[j]) else row[j]


@compiled
def goes_left(bits: NDArray[np.uint8], start: float, code: float) -> bool:
    """Whether a code is in the set of categories that starts at a byte."""
    place = np.uintp(code)
    of_eight = bits[np.uintp(start) + (place >> np.uintp(3))]
    return bool((of_eight >> np.uint8(place & np.uintp(7))) & np.uint8(1))


@compiled
def _add_steps(
    nodes: NDArray[Any],
    bits: NDArray[np.uint8],
    root: int,
    row: FloatArray,
    steps: FloatArray,
    right: StackArray,
    end: StackArray,
) -> None:
    """Add a tree to the steps of a doubled row's line, (n_places,); the last two arguments are a stack."""
    # Unsigned positions spare the compiled code the question whether they count from the end.
    i, next_one = np.uintp(root), np.uintp(1)
    low, high, top, before = 0, steps.size, 0, 0.0
    while True:
        split, number, right_child = nodes[i]["split"], nodes[i]["number"], np.uintp(nodes[i]["right"])
        if split >= 0:
            i = i + next_one if row[np.uintp(split)] <= number else right_child
        elif split == LEAF:
            steps[np.uintp(low)] += number - before
            if top == 0:
                return
            top -= 1
            before, low, high, i = number, high, end[np.uintp(top)], np.uintp(right[np.uintp(top)])
        elif split <= CATEGORY:
            i = i + next_one if goes_left(bits, number, row[np.uintp(CATEGORY - split)]) else right_child
        else:
            cut = int(number)
            if cut > low and cut < high:
                right[np.uintp(top)], end[np.uintp(top)] = right_child, high
                top += 1
                high = cut
            i = i + next_one if cut > low else right_child


@compiled
def _add_ranges(
    nodes: NDArray[Any],
    bits: NDArray[np.uint8],
    root: int,
    row: FloatArray,
    line: NDArray[Any],
    right: StackArray,
    end: StackArray,
) -> None:
    """Add a tree to a doubled row's line, (n_places,): each leaf to the range of places that reach the leaf."""
    i, next_one = np.uintp(root), np.uintp(1)
    low, high, top = 0, line.size, 0
    while True:
        split, number, right_child = nodes[i]["split"], nodes[i]["number"], np.uintp(nodes[i]["right"])
        if split >= 0:
            i = i + next_one if row[np.uintp(split)] <= number else right_child
        elif split == LEAF:
            leaf = line.dtype.type(number)
            for k in range(low, high):
                line[np.uintp(k)] += leaf
            if top == 0:
                return
            top -= 1
            low, high, i = high, end[np.uintp(top)], np.uintp(right[np.uintp(top)])
        elif split <= CATEGORY:
            i = i + next_one if goes_left(bits, number, row[np.uintp(CATEGORY - split)]) else right_child
        else:
            cut = int(number)
            if cut > low and cut < high:
                right[np.uintp(top)], end[np.uintp(top)] = right_child, high
                top += 1
                high = cut
            i = i + next_one if cut > low else right_child


@compiled
def follow_link(line: FloatArray, link: int) -> None:
    """Turn sums into predictions, in place."""
    if link == 1:
        for k in range(line.size):
            line[k] = np.exp(line[k])
    elif link == 2:
        for k in range(line.size):
            line[k] = 1.0 / (1.0 + np.exp(-line[k]))


@compiled
def project_lines(
    forest: Forest,
    rows: FloatArray,
    order: IntArray,
    rule: Rule,
    pieces: IntArray,
    lookups: LookedUp,
    largest: FloatArray,
) -> None:
    """Project the line of each row, taken in some order, and look both up, in O(n_places) memory.

    Fills ``lookups``, each (n_rows, n_lookups), with the line, its projection and the nearest values below and above to which
    places on the left and right are moved, at the given ``pieces``; ``largest``, (n_rows,), with the largest move on the line.
    Pieces below 0 get NaN, and no limits.
    """
    n_rows, depth, n_places = rows.shape[0], forest[2], rule[0].shape[1]
    n_block = max(1, min(N_BLOCK, n_rows, N_BLOCK_PLACES // n_places))
    stack = np.empty(depth + 1, np.int32), np.empty(depth + 1, np.int32)
    doubled, block = np.empty((n_block, 2 * rows.shape[1])), np.empty((n_block, n_places))
    single = np.empty((n_block if forest[6] else 0, n_places), np.float32)
    fitted, mean, mass = np.empty(n_places), np.empty(n_places), np.empty(n_places)
    first = np.empty(n_places, np.intp)
    stride = 1 if rule[0].shape[0] > 1 else 0
    for start in range(0, n_rows, n_block):
        members = order[start : start + n_block]
        _walk_block(forest, rows, members, block, single, doubled, stack)
        for m in range(members.size):
            i = members[m]
            _fit(block[m], rule[0][stride * i], rule, fitted, mean, mass, first)
            looked_up = lookups[0][i], lookups[1][i], lookups[2][i], lookups[3][i]
            largest[i] = _look_up(block[m], fitted, rule[2], pieces[i], looked_up)


@compiled
def project_values(lines: FloatArray, rule: Rule, pieces: IntArray, lookups: LookedUp, largest: FloatArray) -> None:
    """Project lines that are known, (n_rows, n_places), and look them up as :func:`project_lines` does."""
    n_places = lines.shape[1]
    fitted, mean, mass = np.empty(n_places), np.empty(n_places), np.empty(n_places)
    line, first = np.empty(n_places), np.empty(n_places, np.intp)
    stride = 1 if rule[0].shape[0] > 1 else 0
    for i in range(len(lines)):
        line[:] = lines[i]
        _fit(line, rule[0][stride * i], rule, fitted, mean, mass, first)
        largest[i] = _look_up(
            line, fitted, rule[2], pieces[i], (lookups[0][i], lookups[1][i], lookups[2][i], lookups[3][i])
        )


@compiled
def _fit(
    line: FloatArray,
    weights: FloatArray,
    rule: Rule,
    fitted: FloatArray,
    mean: FloatArray,
    mass: FloatArray,
    first: IntArray,
) -> None:
    """Fill ``fitted`` with the projection of a line; both are negated if the rule is to decrease."""
    _, is_least_squares, sign = rule
    for k in range(line.size):
        line[k] *= sign
    if not is_least_squares:
        centre(line, fitted)
        return
    end = line.size
    for block in range(pool(line, weights, mean, mass, first) - 1, -1, -1):
        fitted[first[block] : end] = mean[block]
        end = first[block]


@compiled
def _look_up(line: FloatArray, fitted: FloatArray, sign: float, pieces: IntArray, looked_up: LookedUp) -> float:
    """Look up a line and its projection, both signed by the rule; return the largest move."""
    values, repaired, below, above = looked_up
    largest = 0.0
    for k in range(line.size):
        largest = max(largest, abs(fitted[k] - line[k]))
    for m in range(pieces.size):
        values[m], repaired[m], below[m], above[m] = np.nan, np.nan, -np.inf, np.inf
        if pieces[m] < 0:
            continue
        piece = pieces[m]
        values[m], repaired[m] = sign * line[piece], sign * fitted[piece]
        if largest > 0.0:
            low, high = piece - 1, piece + 1
            while low >= 0 and fitted[low] == line[low]:
                low -= 1
            while high < line.size and fitted[high] == line[high]:
                high += 1
            before = sign * fitted[low] if low >= 0 else -sign * np.inf
            after = sign * fitted[high] if high < line.size else sign * np.inf
            below[m], above[m] = min(before, after), max(before, after)
    return largest
