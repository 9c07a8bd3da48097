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

#: Of a line's runs, (n_places + 1,): values, weights, projected values; then what ``pool`` fills.
Runs: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, IntArray]


#: Of a line: where its runs start, (n_places + 1,), the run of each place, (n_places,), and the weight before each place.
Places: TypeAlias = tuple[IntArray, IntArray, FloatArray]


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
    block, runs, places = new_block(forest, rows.shape, n_places), _new_runs(n_places), _new_places(rule[0])
    for start in range(0, n_rows, block[2].size):
        members = order[start : start + block[2].size]
        walk_block(forest, rows, members, block)
        for m in range(members.size):
            i = members[m]
            n_runs = take_runs(forest, block, m, runs[0], places[0], places[1])
            looked_up = lookups[0][i], lookups[1][i], lookups[2][i], lookups[3][i]
            _look_up(runs, n_runs, rule, i, places, pieces[i], predicted[i], looked_up)


@compiled
def project_values(lines: FloatArray, rule: Rule, pieces: IntArray, predicted: FloatArray, lookups: LookedUp) -> None:
    """Project lines that are known, (n_rows, n_places), and look them up as :func:`project_lines` does."""
    runs, places = _new_runs(lines.shape[1]), _new_places(rule[0])
    for i in range(len(lines)):
        n_runs = runs_of_values(lines[i], runs[0], places[0], places[1])
        looked_up = lookups[0][i], lookups[1][i], lookups[2][i], lookups[3][i]
        _look_up(runs, n_runs, rule, i, places, pieces[i], predicted[i], looked_up)


@compiled
def _new_runs(n_places: int) -> Runs:
    room = n_places + 1
    return np.empty(room), np.empty(room), np.empty(room), np.empty(room), np.empty(room), np.empty(room, np.intp)


@compiled
def _new_places(weights: FloatArray) -> Places:
    n_places = weights.shape[1]
    before = np.empty(n_places + 1)
    if weights.shape[0] == 1:
        _sum_up(weights[0], before)
    return np.empty(n_places + 1, np.intp), np.empty(n_places, np.intp), before


@compiled
def _sum_up(weights: FloatArray, before: FloatArray) -> None:
    """Fill in the weight before each place, (n_places + 1,)."""
    before[0] = 0.0
    for k in range(weights.size):
        before[k + 1] = before[k] + weights[k]


@compiled
def _weigh(weights: FloatArray, i: int, places: Places, weights_of_runs: FloatArray) -> None:
    """Fill in the weights of the runs of row ``i``."""
    first, _, before = places
    of_row = weights[i if weights.shape[0] > 1 else 0]
    if weights.shape[0] > 1:
        _sum_up(of_row, before)
    for run in range(weights_of_runs.size):
        # Rounding of the difference must not leave a run without weight.
        weights_of_runs[run] = max(before[first[run + 1]] - before[first[run]], of_row[first[run]])


@compiled
def _look_up(
    runs: Runs,
    n_runs: int,
    rule: Rule,
    i: int,
    places: Places,
    pieces: IntArray,
    predicted: FloatArray,
    looked_up: LookedUp,
) -> None:
    """Look up the line of row ``i`` and its projection, both signed by the rule."""
    values, fitted, run_of, sign, is_projected = runs[0], runs[2], places[1], rule[2], False
    for run in range(n_runs):
        values[run] *= sign
    _weigh(rule[0], i, places, runs[1][:n_runs])
    slack = _slack(values[:n_runs], rule[3], rule[4])
    for m in range(pieces.size):
        looked_up[0][m], looked_up[1][m], looked_up[2][m], looked_up[3][m] = np.nan, np.nan, -np.inf, np.inf
        if pieces[m] < 0:
            continue
        run = run_of[pieces[m]]
        looked_up[0][m] = looked_up[1][m] = sign * values[run]
        if not is_projected:
            # In rare rows the model's own rounding of the row falls into the piece beside.
            is_here = not abs(sign * predicted[m] - values[run]) > slack
            if rule[1] and is_here and _is_left_alone(values[:n_runs], runs[1], run, slack):
                continue
            _fit(runs, n_runs, rule[1])
            is_projected = True
        looked_up[1][m] = sign * fitted[run]
        low, high = run - 1, run + 1
        while low >= 0 and fitted[low] == values[low]:
            low -= 1
        while high < n_runs and fitted[high] == values[high]:
            high += 1
        before = sign * fitted[low] if low >= 0 else -sign * np.inf
        after = sign * fitted[high] if high < n_runs else sign * np.inf
        looked_up[2][m], looked_up[3][m] = min(before, after), max(before, after)


@compiled
def _slack(values: FloatArray, relative: float, absolute: float) -> float:
    """Return more than what is rounding of a line's values, and of means of some of them."""
    size = 0.0
    if relative > 0.0:
        for run in range(values.size):
            size = max(size, abs(values[run]))
    return max(absolute, relative * size)


@compiled
def _is_left_alone(values: FloatArray, weights: FloatArray, run: int, slack: float) -> bool:
    """Whether all means of runs right after a run are above its value, and right before it below, by more than some slack."""
    value, total, mass = values[run], 0.0, 0.0
    for other in range(run + 1, values.size):
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
def _fit(runs: Runs, n_runs: int, is_least_squares: bool) -> None:
    """Fill in the projected values of runs."""
    values, weights, fitted, mean, mass, first = runs
    if not is_least_squares:
        centre(values[:n_runs], fitted[:n_runs])
        return
    stop = n_runs
    for block in range(pool(values[:n_runs], weights[:n_runs], mean, mass, first) - 1, -1, -1):
        for run in range(first[block], stop):
            fitted[run] = mean[block]
        stop = first[block]
