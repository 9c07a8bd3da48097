r"""Lines of tree ensembles, exactly, by one walk of each tree for many rows together.

The line of a row along a feature is looked at in increasing *places*, one in each piece. A block of rows descends a tree as one
list, with the range of places that can reach the node. A node on another feature parts the list, each row as it compares; where
the feature is split the range is cut in two and both children are handed the whole list. Each row reaches its leaves from left
to right, so each leaf adds the step from the leaf before it to a difference array; after all trees the steps are the line, and
one running sum tells its values. Cost: the nodes visited, and O(n_places).

A step that no leaf touched stays -0.0: the same leaves are reached on both of its sides, and the line has *runs* of equal values
between the others. Steps are added in double precision, whatever the model's own; they are exact enough to say in which order
neighbouring places lie, unless a step is as small as the rounding of the model's sums. The lines of a block with such a step are
summed as the model sums, in a second walk: base first, then leaf after leaf, in its own precision, at every place. The first
place always is.

Nodes are records of 16 bytes in depth-first order: a left child follows its parent. A block holds each feature twice: ``split``
is a position among its columns, whose even numbers hold the features and whose odd ones hold them with minus infinity for what
is missing, so that one comparison sends every value where it goes, a missing one to either side. Every kernel runs on one thread
and releases the interpreter lock, so that callers can spread blocks of rows over threads; what a row gets does not depend on
the others.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import BoolArray, FloatArray, IntArray
from alignconf.kernels.compiled import compiled

__all__ = [
    "ALONG",
    "ALONG_SECOND",
    "CATEGORY",
    "LEAF",
    "NODE",
    "Block",
    "Forest",
    "ListArray",
    "depth_first",
    "double_row",
    "follow_link",
    "goes_left",
    "new_block",
    "runs_of_values",
    "take_runs",
    "walk_block",
    "walk_lines",
]

#: ``split`` is twice the feature, plus one if a missing value goes left; or one of the marks below, of a split on categories
#: ``CATEGORY`` less twice the feature. ``number`` is the threshold (values up to it go left), the value of a leaf, along the
#: line how many places go left, or the byte at which a set of categories starts.
NODE = np.dtype([("split", np.int32), ("right", np.int32), ("number", np.float64)])

LEAF, ALONG, ALONG_SECOND, CATEGORY = -1, -2, -3, -4

#: Rows that walk a tree together, at most, and places that their lines may have together.
N_BLOCK = 1024
N_BLOCK_PLACES = 2**18

#: Nodes, roots, depth; what the sum of leaves starts from and is divided by; whether the prediction is its exponential (1), or
#: 1 / (1 + exp) of its negative (2), or itself (0); whether sums are of single precision; the size up to which a step of the
#: sum may be rounding; the bits of the sets of categories.
Forest: TypeAlias = tuple[NDArray[Any], IntArray, int, float, float, int, bool, float, NDArray[np.uint8]]

ListArray: TypeAlias = NDArray[np.int32]

#: A list of rows of a block, room for another, and a stack: node, part of the list, range of places.
Lists: TypeAlias = tuple[ListArray, ListArray, ListArray]

#: Of a block of rows: its doubled columns, (2 * n_features, n_block); the steps of lines, (n_block, n_places); sums of leaves at
#: the first place, the leaf before, and whether a line holds values instead of steps, (n_block,) each; lists; and room for
#: sums of single precision, as for steps, if the model's are.
Block: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, FloatArray, BoolArray, Lists, NDArray[np.float32]]


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
    n_rows, n_places = rows.shape[0], lines.shape[1]
    block = new_block(forest, rows.shape, n_places)
    values, first, run_of = np.empty(n_places + 1), np.empty(n_places + 1, np.intp), np.empty(n_places, np.intp)
    for start in range(0, n_rows, block[2].size):
        members = order[start : start + block[2].size]
        walk_block(forest, rows, members, block)
        for m in range(members.size):
            n_runs = take_runs(forest, block, m, values, first, run_of)
            line = lines[members[m]]
            for run in range(n_runs):
                for k in range(first[run], first[run + 1]):
                    line[k] = values[run]


@compiled
def new_block(forest: Forest, shape: tuple[int, int], n_places: int) -> Block:
    """Return room for the lines of a block of rows, whose number is the size of its third member."""
    n_block = max(1, min(N_BLOCK, shape[0], N_BLOCK_PLACES // n_places))
    steps = np.full((n_block, n_places), -0.0)
    columns, sums, before = np.empty((2 * shape[1], n_block)), np.empty(n_block), np.empty(n_block)
    singles = np.empty((n_block if forest[6] else 0, n_places), np.float32)
    return columns, steps, sums, before, np.zeros(n_block, np.bool_), new_lists(n_block, forest[2]), singles


@compiled
def new_lists(n_block: int, depth: int) -> Lists:
    """Return a list of rows, room for as many, and a stack of the parts of a tree that wait for their walk."""
    return np.empty(n_block, np.int32), np.empty(n_block, np.int32), np.empty((depth + 1, 5), np.int32)


@compiled
def walk_block(forest: Forest, rows: FloatArray, members: IntArray, block: Block) -> None:
    """Fill the block with the steps of the lines of some rows, or, where a step may be rounding, with the lines themselves."""
    roots, base, is_single = forest[1], forest[3], forest[6]
    columns, _, sums, _, _, lists, _ = block
    for j in range(rows.shape[1]):
        for m in range(members.size):
            value = rows[members[m], j]
            columns[2 * j, m] = value
            columns[2 * j + 1, m] = -np.inf if np.isnan(value) else value
    for m in range(members.size):
        lists[0][m] = m
        sums[m] = np.float32(base) if is_single else base
    for tree in range(roots.size):
        _walk_tree(forest, roots[tree], members.size, block, True)
    _sum_as_the_model(forest, members.size, block)


@compiled
def _sum_as_the_model(forest: Forest, n_rows: int, block: Block) -> None:
    """Replace the steps of lines with one that may be rounding by values, the model's own sums at every place."""
    _, roots, _, base, _, _, is_single, tie, _ = forest
    _, lines, _, _, as_model, lists, singles = block
    n_doubtful = 0
    for m in range(n_rows):
        as_model[m] = _may_be_rounding(lines[m], tie)
        if as_model[m]:
            lists[0][n_doubtful] = m
            n_doubtful += 1
            if is_single:
                singles[m] = base
            else:
                lines[m] = base
    if n_doubtful == 0:
        return
    for tree in range(roots.size):
        _walk_tree(forest, roots[tree], n_doubtful, block, False)
    if is_single:
        for m in range(n_rows):
            if as_model[m]:
                # Number by number: compiling an assignment of rows of two types takes seconds.
                for k in range(lines.shape[1]):
                    lines[m, k] = singles[m, k]


@compiled
def _may_be_rounding(steps: FloatArray, tie: float) -> bool:
    """Whether any step, after the first place, is touched and as small as rounding."""
    n_doubtful = 0
    for k in range(1, steps.size):
        is_untouched = steps[k] == 0.0 and np.copysign(1.0, steps[k]) < 0.0
        n_doubtful += abs(steps[k]) <= tie and not is_untouched
    return n_doubtful > 0


@compiled
def _walk_tree(forest: Forest, root: int, n_rows: int, block: Block, by_steps: bool) -> None:
    """Add a tree to the lines of the rows that are listed first, by steps or at every place."""
    nodes, is_single, bits = forest[0], forest[6], forest[8]
    columns, lines, sums, before, _, (listed, aside, stack), singles = block
    # Unsigned positions spare the compiled code the question whether they count from the end.
    i, next_one, top = np.uintp(root), np.uintp(1), 0
    start, stop, low, high = 0, n_rows, 0, lines.shape[1]
    while True:
        split, number, right = nodes[i]["split"], nodes[i]["number"], np.uintp(nodes[i]["right"])
        if split >= 0 or split <= CATEGORY:
            column, middle, n_right = np.uintp(split if split >= 0 else CATEGORY - split), start, 0
            if stop - start == 1:
                value = columns[column, np.uintp(listed[np.uintp(start)])]
                i = i + next_one if (value <= number if split >= 0 else goes_left(bits, number, value)) else right
                continue
            for k in range(start, stop):
                row = listed[np.uintp(k)]
                value = columns[column, np.uintp(row)]
                is_left = value <= number if split >= 0 else goes_left(bits, number, value)
                # Both are written, and one of them counts: nothing for the processor to guess.
                listed[np.uintp(middle)], aside[np.uintp(n_right)] = row, row
                middle += is_left
                n_right += not is_left
            for k in range(n_right):
                listed[np.uintp(middle + k)] = aside[np.uintp(k)]
            if start < middle < stop:
                _push(stack, top, nodes[i]["right"], middle, stop, low, high)
                top, stop = top + 1, middle
            i = i + next_one if middle > start else right
        elif split != LEAF:
            cut = int(number)
            if low < cut < high:
                _push(stack, top, nodes[i]["right"], start, stop, cut, high)
                top, high = top + 1, cut
            i = i + next_one if cut > low else right
        else:
            if not by_steps and is_single:
                _add_to_places(listed, start, stop, singles, low, high, number)
            elif not by_steps:
                _add_to_places(listed, start, stop, lines, low, high, number)
            elif low == 0:
                _add_to_sums(listed, start, stop, sums, before, number, is_single)
            else:
                _add_step(listed, start, stop, lines, low, before, number)
            if top == 0:
                return
            top -= 1
            i, start, stop, low, high = (
                np.uintp(stack[top, 0]),
                stack[top, 1],
                stack[top, 2],
                stack[top, 3],
                stack[top, 4],
            )


@compiled
def _push(stack: ListArray, top: int, node: int, start: int, stop: int, low: int, high: int) -> None:
    # Views, even of a row of the stack, would be counted, by instructions that take longer than all others here.
    stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3], stack[top, 4] = node, start, stop, low, high


@compiled
def _add_to_sums(
    listed: ListArray, start: int, stop: int, sums: FloatArray, before: FloatArray, leaf: float, is_single: bool
) -> None:
    """Add a leaf to the sums of rows at their first place, as the model does."""
    for k in range(start, stop):
        row = np.uintp(listed[np.uintp(k)])
        total = sums[row] + leaf
        sums[row], before[row] = np.float32(total) if is_single else total, leaf


@compiled
def _add_step(
    listed: ListArray, start: int, stop: int, steps: FloatArray, low: int, before: FloatArray, leaf: float
) -> None:
    """Add to the lines of rows the step from the leaf before to a leaf that begins at a place."""
    for k in range(start, stop):
        row = np.uintp(listed[np.uintp(k)])
        steps[row, np.uintp(low)] += leaf - before[row]
        before[row] = leaf


@compiled
def _add_to_places(
    listed: ListArray, start: int, stop: int, lines: NDArray[Any], low: int, high: int, leaf: float
) -> None:
    """Add a leaf, in the precision of the lines, to the values of rows at the places that reach it."""
    term = lines.dtype.type(leaf)
    for m in range(start, stop):
        values = lines[np.uintp(listed[np.uintp(m)])][low:high]
        for k in range(values.size):
            values[k] += term


@compiled
def take_runs(forest: Forest, block: Block, m: int, values: FloatArray, first: IntArray, run_of: IntArray) -> int:
    """Fill in the runs of a line of the block, whose steps are then forgotten; return how many there are.

    ``values`` and ``first``, (n_places + 1,), tell the value of each run and where it starts, ``run_of``, (n_places,), the run
    of each place. One more start is the number of places.
    """
    divisor, link = forest[4], forest[5]
    steps = block[1][m]
    if block[4][m]:
        n_runs = runs_of_values(steps, values, first, run_of)
    else:
        n_runs = _runs_of_steps(steps, block[2][m], values, first, run_of)
    steps[:] = -0.0
    if divisor != 1.0:
        for run in range(n_runs):
            values[run] /= divisor
    follow_link(values[:n_runs], link)
    return n_runs


@compiled
def _runs_of_steps(steps: FloatArray, start: float, values: FloatArray, first: IntArray, run_of: IntArray) -> int:
    run, next_one = np.uintp(0), np.uintp(1)
    values[0], first[0], run_of[0] = start, 0, 0
    for k in range(1, steps.size):
        step = steps[np.uintp(k)]
        # The next run is written in any case, and counts if the step is touched: nothing for the processor to guess.
        values[run + next_one], first[run + next_one] = step, k
        run += np.uintp(step != 0.0 or np.copysign(1.0, step) > 0.0)
        run_of[np.uintp(k)] = run
    n_runs = int(run) + 1
    for i in range(1, n_runs):
        values[i] += values[i - 1]
    first[n_runs] = steps.size
    return n_runs


@compiled
def runs_of_values(line: FloatArray, values: FloatArray, first: IntArray, run_of: IntArray) -> int:
    """Fill in the runs of a line that is known as :func:`take_runs` does; return how many there are."""
    run = 0
    values[0], first[0], run_of[0] = line[0], 0, 0
    for k in range(1, line.size):
        run += line[k] != line[k - 1]
        if line[k] != line[k - 1]:
            values[run], first[run] = line[k], k
        run_of[k] = run
    first[run + 1] = line.size
    return run + 1


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
def follow_link(values: FloatArray, link: int) -> None:
    """Turn sums into predictions, in place."""
    if link == 1:
        for k in range(values.size):
            values[k] = np.exp(values[k])
    elif link == 2:
        for k in range(values.size):
            values[k] = 1.0 / (1.0 + np.exp(-values[k]))
