r"""Lines of tree ensembles projected onto order and looked up, without being stored.

A line is constant on its runs, so its projection is that of the runs' values, weighted by the weight of their places. The
least-squares projection leaves a run alone iff every mean of runs that begins right after it is at least, and every mean that
ends right before it at most, its value. Most lines that are looked up at one place are left alone there: running
sums outwards from the place say so, and only the other lines are pooled. A line is looked up alike from each of its places: the
sums count only where they exceed what is rounding, in which case pooling says the same, and no other value on the line is so
near that the place's own must be kept from crossing it.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from alignconf._typing import FloatArray, IntArray
from alignconf.kernels.compiled import compiled
from alignconf.kernels.order import centre, pool
from alignconf.kernels.tree_walk import Forest, new_block, runs_of_values, take_runs, walk_block

__all__ = ["LookedUp", "Rule", "project_lines", "project_values"]

#: Weights of the places, (1, n_places) for all rows or (n_rows, n_places); whether to project by least squares or to the
#: midpoint; 1 for increasing, -1 for decreasing; relative and absolute part of more than what is rounding of values and means.
Rule: TypeAlias = tuple[FloatArray, bool, float, float, float]

#: The line, its projection, and the nearest values below and above to which places on the left and right are moved.
LookedUp: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, FloatArray]

#: Of the line that is looked up: the value, the weight and the projected value of each run, (n_places + 1,); where runs start,
#: (n_places + 1,), and the run of each place, (n_places,); the weight before each place; then what ``pool`` fills.
Room: TypeAlias = tuple[
    FloatArray, FloatArray, FloatArray, IntArray, IntArray, FloatArray, FloatArray, FloatArray, IntArray
]


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
    for start in range(0, n_rows, block[2].size):
        members = order[start : start + block[2].size]
        walk_block(forest, rows, members, block)
        for m in range(members.size):
            n_runs = take_runs(forest, block, m, room[0], room[3], room[4])
            _look_up(room, n_runs, rule, members[m], pieces, predicted, lookups)


@compiled
def project_values(lines: FloatArray, rule: Rule, pieces: IntArray, predicted: FloatArray, lookups: LookedUp) -> None:
    """Project lines that are known, (n_rows, n_places), and look them up as :func:`project_lines` does."""
    room = _new_room(rule[0])
    for i in range(len(lines)):
        n_runs = runs_of_values(lines[i], room[0], room[3], room[4])
        _look_up(room, n_runs, rule, i, pieces, predicted, lookups)


@compiled
def _new_room(weights: FloatArray) -> Room:
    n_places, size = weights.shape[1], weights.shape[1] + 1
    before = np.empty(size)
    if weights.shape[0] == 1:
        _sum_up(weights, 0, before)
    return (
        np.empty(size), np.empty(size), np.empty(size), np.empty(size, np.intp), np.empty(n_places, np.intp), before,
        np.empty(size), np.empty(size), np.empty(size, np.intp),
    )  # fmt: skip


@compiled
def _sum_up(weights: FloatArray, i: int, before: FloatArray) -> None:
    """Fill in the weight before each place, (n_places + 1,), by row ``i`` of weights."""
    before[0] = 0.0
    for k in range(weights.shape[1]):
        before[k + 1] = before[k] + weights[i, k]


@compiled
def _look_up(
    room: Room, n_runs: int, rule: Rule, i: int, pieces: IntArray, predicted: FloatArray, lookups: LookedUp
) -> None:
    """Look up the line of row ``i`` and its projection, both signed by the rule."""
    # Arrays are unpacked once: each view of one is counted, which takes as long as a look-up.
    values, weights, fitted, first, run_of, before, mean, mass, first_run = room
    line_at, fitted_at, below, above = lookups
    of_places, is_least_squares, sign, relative, absolute = rule
    for run in range(n_runs):
        values[run] *= sign
    of_row = i if of_places.shape[0] > 1 else 0
    if of_places.shape[0] > 1:
        _sum_up(of_places, i, before)
    for run in range(n_runs):
        # Rounding of the difference must not leave a run without weight.
        weights[run] = max(before[first[run + 1]] - before[first[run]], of_places[of_row, first[run]])
    slack = absolute if relative == 0.0 else max(absolute, relative * _size(values, n_runs))
    is_projected = False
    for m in range(pieces.shape[1]):
        line_at[i, m], fitted_at[i, m], below[i, m], above[i, m] = np.nan, np.nan, -np.inf, np.inf
        if pieces[i, m] < 0:
            continue
        run = run_of[pieces[i, m]]
        line_at[i, m] = fitted_at[i, m] = sign * values[run]
        if not is_projected:
            # In rare rows the model's own rounding of the row falls into the piece beside.
            is_here = not abs(sign * predicted[i, m] - values[run]) > slack
            if is_least_squares and is_here and _is_left_alone(values, weights, n_runs, run, slack):
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
def _is_left_alone(values: FloatArray, weights: FloatArray, n_runs: int, run: int, slack: float) -> bool:
    """Whether all means of runs right after a run are above its value, and right before it below, by more than some slack."""
    value, total, mass = values[run], 0.0, 0.0
    for other in range(run + 1, n_runs):
        mass += weights[other]
        total += weights[other] * (values[other] - value)
        if total <= slack * mass:
            return False
    total, mass = 0.0, 0.0
    for other in range(run - 1, -1, -1):
        mass += weights[other]
        total += weights[other] * (value - values[other])
        if total <= slack * mass:
            return False
    return True


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
        for run in range(first[block], stop):
            fitted[run] = mean[block]
        stop = first[block]
