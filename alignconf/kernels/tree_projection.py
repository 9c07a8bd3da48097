r"""Lines of tree ensembles projected onto order and looked up, without being stored.

A line is constant on its runs, so its projection is that of the runs' values, weighted by the weight of their places. Most
lines are looked up at one place, whose *block* alone is found: starting from the run of the place, the runs beside are taken in
as long as some that begin right after the block have a mean below its own, or some that end right before it a mean above. What
is constant in the least-squares projection is so taken in, whole: in a line whose projection ended a block where the block
found so far ends, or within the runs to be taken in, runs after the end would not have a mean above it.

A line is looked up alike from each of its places. A block counts only if all these means, and those within the block that keep
it together, differ by more than what is rounding: then pooling the whole line, as is done otherwise, finds the same block. Its
value is the mean of its runs from the first to the last, either way. A block of a single run is left alone; no other value of
the projection is so near that the run's own must be kept from crossing it. Where the model's own value is given as well, and
left alone, it does not matter how the line is rounded; only other lines with steps as small as rounding are summed as the model
sums.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from alignconf._typing import FloatArray, IntArray
from alignconf.kernels.compiled import compiled
from alignconf.kernels.order import centre, pool
from alignconf.kernels.tree_walk import (
    Forest,
    forget_line,
    has_doubtful_steps,
    new_block,
    run_at,
    runs_of_values,
    take_runs,
    walk_block,
)

__all__ = ["LookedUp", "Rule", "project_lines", "project_values"]

#: How often runs are taken in before the whole line is pooled.
N_TAKEN_IN = 16

#: Weights of the places, (1, n_places) for all rows or (n_rows, n_places); whether to project by least squares or to the
#: midpoint; 1 for increasing, -1 for decreasing; relative and absolute part of more than what is rounding of values and means.
Rule: TypeAlias = tuple[FloatArray, bool, float, float, float]

#: The line, its projection, and the nearest values below and above to which places on the left and right are moved.
LookedUp: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, FloatArray]

#: Of the line that is looked up: the value, the weight and the projected value of each run, and where it starts; the weight
#: before each place; then what ``pool`` fills: (n_places + 1,) each.
Room: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, IntArray, FloatArray, FloatArray, FloatArray, IntArray]


@compiled
def project_lines(
    forest: Forest,
    rows: FloatArray,
    order: IntArray,
    rule: Rule,
    pieces: IntArray,
    predicted: FloatArray,
    lookups: LookedUp,
) -> None:
    """Project the line of each row, taken in some order, and look both up, in O(n_places) memory.

    Fills ``lookups``, each (n_rows, n_lookups), with the line, its projection and the nearest values below and above to which
    places on the left and right are moved, at the given ``pieces``. Pieces below 0 get NaN, and no limits; nor do pieces whose
    value is the one that is ``predicted``, or NaN for an unknown one, where all moved values are farther than rounding.
    """
    n_rows, n_places = rows.shape[0], rule[0].shape[1]
    block, room = new_block(forest, rows.shape, n_places), _new_room(rule[0])
    doubtful, n_doubtful = np.empty(n_rows, np.intp), 0
    for start in range(0, n_rows, block[2].size):
        members = order[start : start + block[2].size]
        walk_block(forest, rows, members, block, True)
        for m in range(members.size):
            i, n_runs = members[m], take_runs(forest, block, m, True, room[0], room[3])
            slack = _prepare(room, n_runs, rule, i)
            if not _keep(room, n_runs, rule, slack, i, pieces, predicted, lookups):
                if has_doubtful_steps(forest, block, m):
                    doubtful[n_doubtful] = i
                    n_doubtful += 1
                else:
                    _look_up(room, n_runs, rule, slack, i, pieces, predicted, lookups)
            forget_line(block, m)
    for start in range(0, n_doubtful, block[2].size):
        members = doubtful[start : min(start + block[2].size, n_doubtful)]
        walk_block(forest, rows, members, block, False)
        for m in range(members.size):
            i, n_runs = members[m], take_runs(forest, block, m, False, room[0], room[3])
            _look_up(room, n_runs, rule, _prepare(room, n_runs, rule, i), i, pieces, predicted, lookups)
            forget_line(block, m)


@compiled
def project_values(lines: FloatArray, rule: Rule, pieces: IntArray, predicted: FloatArray, lookups: LookedUp) -> None:
    """Project lines that are known, (n_rows, n_places), and look them up as :func:`project_lines` does."""
    room = _new_room(rule[0])
    for i in range(len(lines)):
        n_runs = runs_of_values(lines[i], room[0], room[3])
        slack = _prepare(room, n_runs, rule, i)
        if not _keep(room, n_runs, rule, slack, i, pieces, predicted, lookups):
            _look_up(room, n_runs, rule, slack, i, pieces, predicted, lookups)


@compiled
def _new_room(weights: FloatArray) -> Room:
    size = weights.shape[1] + 1
    before = np.empty(size)
    if weights.shape[0] == 1:
        _sum_up(weights, 0, before)
    return (
        np.empty(size), np.empty(size), np.empty(size), np.empty(size, np.intp), before,
        np.empty(size), np.empty(size), np.empty(size, np.intp),
    )  # fmt: skip


@compiled
def _sum_up(weights: FloatArray, i: int, before: FloatArray) -> None:
    """Fill in the weight before each place, (n_places + 1,), by row ``i`` of weights."""
    before[0] = 0.0
    for k in range(weights.shape[1]):
        before[k + 1] = before[k] + weights[i, k]


@compiled
def _prepare(room: Room, n_runs: int, rule: Rule, i: int) -> float:
    """Sign the values of the runs of row ``i`` by the rule, fill in their weights and return more than what is rounding."""
    # Arrays are unpacked once: each view of one is counted, which takes as long as a look-up.
    values, weights, _, first, before, _, _, _ = room
    of_places, _, sign, relative, absolute = rule
    if sign < 0.0:
        for run in range(n_runs):
            values[run] *= sign
    of_row = i if of_places.shape[0] > 1 else 0
    if of_places.shape[0] > 1:
        _sum_up(of_places, i, before)
    for run in range(n_runs):
        # Rounding of the difference must not leave a run without weight.
        weights[run] = max(before[first[run + 1]] - before[first[run]], of_places[of_row, first[run]])
    return absolute if relative == 0.0 else max(absolute, relative * _size(values, n_runs))


@compiled
def _keep(
    room: Room, n_runs: int, rule: Rule, slack: float, i: int, pieces: IntArray, predicted: FloatArray, lookups: LookedUp
) -> bool:  # fmt: skip
    """Look up what is predicted and left alone; return whether nothing is left to be looked up, whose projection is NaN."""
    values, weights, _, first, _, _, _, _ = room
    line_at, fitted_at, below, above = lookups
    _, is_least_squares, sign, _, _ = rule
    n_open = 0
    for m in range(pieces.shape[1]):
        line_at[i, m], fitted_at[i, m], below[i, m], above[i, m] = np.nan, np.nan, -np.inf, np.inf
        if pieces[i, m] < 0:
            continue
        run = run_at(first, n_runs, pieces[i, m])
        is_here = abs(sign * predicted[i, m] - values[run]) <= slack
        low, high = (
            _block_of(values, weights, n_runs, run, slack, 0) if is_least_squares and is_here else (run, run - 1)
        )
        if low <= high:
            line_at[i, m] = fitted_at[i, m] = sign * values[run]
        else:
            n_open += 1
    return n_open == 0


@compiled
def _look_up(
    room: Room, n_runs: int, rule: Rule, slack: float, i: int, pieces: IntArray, predicted: FloatArray, lookups: LookedUp
) -> None:  # fmt: skip
    """Look up the line of row ``i`` and its projection where the projection is NaN."""
    values, weights, fitted, first, _, mean, mass, first_run = room
    line_at, fitted_at, below, above = lookups
    _, is_least_squares, sign, _, _ = rule
    n_taken_in = N_TAKEN_IN if pieces.shape[1] == 1 else 0
    is_projected = False
    for m in range(pieces.shape[1]):
        if pieces[i, m] < 0 or not np.isnan(fitted_at[i, m]):
            continue
        run = run_at(first, n_runs, pieces[i, m])
        line_at[i, m] = fitted_at[i, m] = sign * values[run]
        if not is_projected:
            # In rare rows the model's own rounding of the row falls into the piece beside.
            is_here = not abs(sign * predicted[i, m] - values[run]) > slack
            if is_least_squares and is_here:
                low, high = _block_of(values, weights, n_runs, run, slack, n_taken_in)
                if low < high:
                    fitted_at[i, m] = below[i, m] = above[i, m] = sign * _mean(values, weights, low, high)
                if low <= high:
                    continue
            _fit(values, weights, n_runs, is_least_squares, fitted, mean, mass, first_run)
            is_projected = True
        fitted_at[i, m] = sign * fitted[run]
        low, high = run - 1, run + 1
        while low >= 0 and fitted[low] == values[low]:
            low -= 1
        while high < n_runs and fitted[high] == values[high]:
            high += 1
        left = sign * fitted[low] if low >= 0 else -sign * np.inf
        right = sign * fitted[high] if high < n_runs else sign * np.inf
        below[i, m], above[i, m] = min(left, right), max(left, right)


@compiled
def _size(values: FloatArray, n_runs: int) -> float:
    """Return the largest size of values."""
    size = 0.0
    for run in range(n_runs):
        size = max(size, abs(values[run]))
    return size


@compiled
def _block_of(
    values: FloatArray, weights: FloatArray, n_runs: int, run: int, slack: float, n_taken_in: int
) -> tuple[int, int]:
    """Return the first and the last run of the block of a run; the last before the first if it is not clear which they are."""
    low, high, level, mass = run, run, values[run], weights[run]
    step, n_clear = 1, 0
    while n_clear < 2:
        beside, excess, total = high + 1 if step > 0 else low - 1, 0.0, 0.0
        while 0 <= beside < n_runs:
            total += weights[beside]
            excess += weights[beside] * (step * (values[beside] - level))
            if excess <= slack * total:
                break
            beside += step
        if not 0 <= beside < n_runs:
            n_clear += 1
            step = -step
            continue
        if n_taken_in == 0 or excess >= -slack * total:
            return run, run - 1
        n_taken_in -= 1
        mass += total
        level += step * excess / mass
        low, high, n_clear = min(low, beside), max(high, beside), 0
    # The runs up to each one, or those after it, tell that the block is one.
    excess, total = 0.0, 0.0
    for k in range(low, high):
        total += weights[k]
        excess += weights[k] * (values[k] - level)
        if excess <= slack * min(total, mass - total):
            return run, run - 1
    return low, high


@compiled
def _mean(values: FloatArray, weights: FloatArray, low: int, high: int) -> float:
    """Return the mean of runs from the first to the last."""
    total, mass = 0.0, 0.0
    for run in range(low, high + 1):
        mass += weights[run]
        total += weights[run] * values[run]
    return total / mass


@compiled
def _fit(
    values: FloatArray, weights: FloatArray, n_runs: int, is_least_squares: bool,
    fitted: FloatArray, mean: FloatArray, mass: FloatArray, first: IntArray,
) -> None:  # fmt: skip
    """Fill in the projected values of runs."""
    if not is_least_squares:
        centre(values[:n_runs], fitted[:n_runs])
        return
    stop = n_runs
    for block in range(pool(values[:n_runs], weights[:n_runs], mean, mass, first) - 1, -1, -1):
        start = first[block]
        level = _mean(values, weights, start, stop - 1) if stop - start > 1 else values[start]
        for run in range(start, stop):
            fitted[run] = level
        stop = start
    # Means that are equal but for rounding stay in order.
    for run in range(1, n_runs):
        fitted[run] = max(fitted[run], fitted[run - 1])
