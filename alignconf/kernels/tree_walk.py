r"""Lines of tree ensembles, exactly, by one walk of each tree for many rows together.

The line of a row along a feature is looked at in increasing *places*, one in each piece. A block of rows descends a tree as one
list, with the range of places that can reach the node. A node on another feature parts the list, each row as it compares; where
the feature is split the range is cut in two and both children are handed the whole list. Each row reaches its leaves from left
to right, so each leaf adds the step from the leaf before it to a difference array; after all trees the steps are the line, and
one running sum tells its values. Cost: the nodes visited, and O(n_places).

A step that no leaf touched stays -0.0: the same leaves are reached on both of its sides, and the line has *runs* of equal values
between the others. Steps are added in double precision, whatever the model's own; they are exact enough to say in which order
neighbouring places lie, unless a step is as small as the rounding of the model's sums. Lines with such a step are
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

from alignconf._typing import FloatArray, IntArray
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
    "double_row",
    "follow_link",
    "forget_line",
    "goes_left",
    "has_doubtful_steps",
    "new_block",
    "run_at",
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

#: The bits of -0.0, which no step comes to.
UNTOUCHED = np.iinfo(np.int64).min

#: Rows that walk a tree together, at most, and places that their lines may have together.
N_BLOCK = 1024
N_BLOCK_PLACES = 2**18

#: Nodes, roots, depth; what the sum of leaves starts from and is divided by; whether the prediction is its exponential (1), or
#: 1 / (1 + exp) of its negative (2), or itself (0); whether sums are of single precision; the size up to which a step of the
#: sum may be rounding; the bits of the sets of categories.
Forest: TypeAlias = tuple[NDArray[Any], IntArray, int, float, float, int, bool, float, NDArray[np.uint8]]

ListArray: TypeAlias = NDArray[np.int32]

#: A list of the rows of a block, and one for each level of a tree, parted by the nodes above it, (depth + 2, n_block); and a
#: stack: node, level and part of the list, range of places.
Lists: TypeAlias = tuple[ListArray, ListArray]

#: Of a block of rows: its doubled columns, (2 * n_features, n_block); the steps of lines, or the lines, (n_block, n_places); sums
#: of leaves at the first place, and the leaf before, (n_block,) each; lists; and room for sums of single precision, as for
#: steps, if the model's are.
Block: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, FloatArray, Lists, NDArray[np.float32]]


@compiled
def walk_lines(forest: Forest, rows: FloatArray, order: IntArray, lines: FloatArray) -> None:
    """Fill ``lines``, (n_rows, n_places), with the line of each row, (n_rows, n_features), taken in some order."""
    n_rows, n_places = rows.shape[0], lines.shape[1]
    block = new_block(forest, rows.shape, n_places)
    values, first = np.empty(n_places + 1), np.empty(n_places + 1, np.intp)
    doubtful, n_doubtful = np.empty(n_rows, np.intp), 0
    for start in range(0, n_rows, block[2].size):
        members = order[start : start + block[2].size]
        walk_block(forest, rows, members, block, True)
        for m in range(members.size):
            if has_doubtful_steps(forest, block, m):
                doubtful[n_doubtful] = members[m]
                n_doubtful += 1
            else:
                _write_line(forest, block, m, True, values, first, lines[members[m]])
            forget_line(block, m)
    for start in range(0, n_doubtful, block[2].size):
        members = doubtful[start : min(start + block[2].size, n_doubtful)]
        walk_block(forest, rows, members, block, False)
        for m in range(members.size):
            _write_line(forest, block, m, False, values, first, lines[members[m]])
            forget_line(block, m)


@compiled
def _write_line(
    forest: Forest, block: Block, m: int, by_steps: bool, values: FloatArray, first: IntArray, line: FloatArray
) -> None:
    """Fill ``line``, (n_places,), with a line of the block."""
    n_runs = take_runs(forest, block, m, by_steps, values, first)
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
    return columns, steps, sums, before, new_lists(n_block, forest[2]), singles


@compiled
def new_lists(n_block: int, depth: int) -> Lists:
    """Return lists of rows, and a stack of the parts of a tree that wait for their walk."""
    return np.empty((depth + 2, n_block), np.int32), np.empty((depth + 1, 6), np.int32)


@compiled
def walk_block(forest: Forest, rows: FloatArray, members: IntArray, block: Block, by_steps: bool) -> None:
    """Fill the block with the steps of the lines of some rows, or with the model's own sums at every place."""
    roots, base, is_single = forest[1], forest[3], forest[6]
    columns, lines, sums, _, lists, singles = block
    for j in range(rows.shape[1]):
        for m in range(members.size):
            value = rows[members[m], j]
            columns[2 * j, m] = value
            columns[2 * j + 1, m] = -np.inf if np.isnan(value) else value
    for m in range(members.size):
        lists[0][0, m] = m
        if by_steps:
            sums[m] = np.float32(base) if is_single else base
        elif is_single:
            singles[m] = base
        else:
            lines[m] = base
    for tree in range(roots.size):
        _walk_tree(forest, roots[tree], members.size, block, by_steps)
    if is_single and not by_steps:
        # Number by number: compiling an assignment of rows of two types takes seconds.
        for m in range(members.size):
            for k in range(lines.shape[1]):
                lines[m, k] = singles[m, k]


@compiled
def has_doubtful_steps(forest: Forest, block: Block, m: int) -> bool:
    """Whether any step of a line of the block, after the first place, is touched and as small as rounding."""
    steps, tie = block[1][m], forest[7]
    bits, n_doubtful = steps.view(np.int64), 0
    for k in range(1, steps.size):
        n_doubtful += (abs(steps[k]) <= tie) & (bits[k] != UNTOUCHED)
    return n_doubtful > 0


@compiled
def _walk_tree(forest: Forest, root: int, n_rows: int, block: Block, by_steps: bool) -> None:
    """Add a tree to the lines of the rows that are listed first, by steps or at every place."""
    nodes, is_single, bits = forest[0], forest[6], forest[8]
    columns, lines, sums, before, (lists, stack), singles = block
    # Unsigned positions spare the compiled code the question whether they count from the end.
    i, level, next_one, top = np.uintp(root), np.uintp(0), np.uintp(1), 0
    start, stop, low, high = 0, n_rows, 0, lines.shape[1]
    while True:
        split, number, right = nodes[i]["split"], nodes[i]["number"], np.uintp(nodes[i]["right"])
        if split >= 0 or split <= CATEGORY:
            column = np.uintp(split if split >= 0 else CATEGORY - split)
            if stop - start == 1:
                value = columns[column, np.uintp(lists[level, np.uintp(start)])]
                i = i + next_one if (value <= number if split >= 0 else goes_left(bits, number, value)) else right
                continue
            below, middle, last = level + next_one, start, stop - 1
            for k in range(start, stop):
                row = lists[level, np.uintp(k)]
                value = columns[column, np.uintp(row)]
                is_left = value <= number if split >= 0 else goes_left(bits, number, value)
                # Both ends of what is free are written, and one of them counts: nothing for the processor to guess.
                lists[below, np.uintp(middle)], lists[below, np.uintp(last)] = row, row
                middle += is_left
                last -= not is_left
            if start < middle < stop:
                _push(stack, top, nodes[i]["right"], below, middle, stop, low, high)
                top, stop = top + 1, middle
            level = below
            i = i + next_one if middle > start else right
        elif split != LEAF:
            cut = int(number)
            if low < cut < high:
                _push(stack, top, nodes[i]["right"], level, start, stop, cut, high)
                top, high = top + 1, cut
            i = i + next_one if cut > low else right
        else:
            if not by_steps and is_single:
                _add_to_places(lists, level, start, stop, singles, low, high, number)
            elif not by_steps:
                _add_to_places(lists, level, start, stop, lines, low, high, number)
            elif low == 0:
                _add_to_sums(lists, level, start, stop, sums, before, number, is_single)
            else:
                _add_step(lists, level, start, stop, lines, low, before, number)
            if top == 0:
                return
            top -= 1
            i, level, start, stop, low, high = (
                np.uintp(stack[top, 0]),
                np.uintp(stack[top, 1]),
                stack[top, 2],
                stack[top, 3],
                stack[top, 4],
                stack[top, 5],
            )


@compiled
def _push(stack: ListArray, top: int, node: int, level: np.uintp, start: int, stop: int, low: int, high: int) -> None:
    # Views, even of a row of the stack, would be counted, by instructions that take longer than all others here.
    stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3] = node, level, start, stop
    stack[top, 4], stack[top, 5] = low, high


@compiled
def _add_to_sums(
    lists: ListArray,
    level: np.uintp,
    start: int,
    stop: int,
    sums: FloatArray,
    before: FloatArray,
    leaf: float,
    is_single: bool,
) -> None:
    """Add a leaf to the sums of rows at their first place, as the model does."""
    for k in range(start, stop):
        row = np.uintp(lists[level, np.uintp(k)])
        total = sums[row] + leaf
        sums[row], before[row] = np.float32(total) if is_single else total, leaf


@compiled
def _add_step(
    lists: ListArray,
    level: np.uintp,
    start: int,
    stop: int,
    steps: FloatArray,
    low: int,
    before: FloatArray,
    leaf: float,
) -> None:
    """Add to the lines of rows the step from the leaf before to a leaf that begins at a place."""
    for k in range(start, stop):
        row = np.uintp(lists[level, np.uintp(k)])
        steps[row, np.uintp(low)] += leaf - before[row]
        before[row] = leaf


@compiled
def _add_to_places(
    lists: ListArray, level: np.uintp, start: int, stop: int, lines: NDArray[Any], low: int, high: int, leaf: float
) -> None:
    """Add a leaf, in the precision of the lines, to the values of rows at the places that reach it."""
    term = lines.dtype.type(leaf)
    for m in range(start, stop):
        values = lines[np.uintp(lists[level, np.uintp(m)])][low:high]
        for k in range(values.size):
            values[k] += term


@compiled
def take_runs(forest: Forest, block: Block, m: int, by_steps: bool, values: FloatArray, first: IntArray) -> int:
    """Fill in the runs of a line of the block; return how many there are.

    ``values`` and ``first``, (n_places + 1,), tell the value of each run and where it starts. One more start is the number of
    places.
    """
    divisor, link = forest[4], forest[5]
    steps = block[1][m]
    n_runs = _runs_of_steps(steps, block[2][m], values, first) if by_steps else runs_of_values(steps, values, first)
    if divisor != 1.0:
        for run in range(n_runs):
            values[run] /= divisor
    follow_link(values[:n_runs], link)
    return n_runs


@compiled
def forget_line(block: Block, m: int) -> None:
    """Leave room for another line of steps."""
    block[1][m, :] = -0.0


@compiled
def _runs_of_steps(steps: FloatArray, start: float, values: FloatArray, first: IntArray) -> int:
    bits = steps.view(np.int64)
    run, next_one = np.uintp(0), np.uintp(1)
    values[0], first[0] = start, 0
    for k in range(1, steps.size):
        # The next run is written in any case, and counts if the step is touched: nothing for the processor to guess.
        values[run + next_one], first[run + next_one] = steps[np.uintp(k)], k
        run += np.uintp(bits[np.uintp(k)] != UNTOUCHED)
    n_runs = int(run) + 1
    for i in range(1, n_runs):
        values[i] += values[i - 1]
    first[n_runs] = steps.size
    return n_runs


@compiled
def runs_of_values(line: FloatArray, values: FloatArray, first: IntArray) -> int:
    """Fill in the runs of a line that is known as :func:`take_runs` does; return how many there are."""
    run, next_one = np.uintp(0), np.uintp(1)
    values[0], first[0] = line[0], 0
    for k in range(1, line.size):
        values[run + next_one], first[run + next_one] = line[k], k
        run += np.uintp(line[k] != line[k - 1])
    n_runs = int(run) + 1
    first[n_runs] = line.size
    return n_runs


@compiled
def run_at(first: IntArray, n_runs: int, place: int) -> int:
    """Return the run of a place, by where runs start."""
    low, size = 0, n_runs
    while size > 1:
        half = size // 2
        low += half if first[low + half] <= place else 0
        size -= half
    return low


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
