"""Lines of symmetric trees, in which all nodes of a level ask the same: the answers are the bits of a leaf's number.

A row's answers to questions that its move does not touch are the same at all places; those that it does touch are a mask of bits
for each *run* of places. So a tree adds to a line a leaf at the first place and a step at the start of every other run, without
any walk: each question is put to a block of rows at once, as whole numbers, the ranks of values among the borders of a column.
What is said of steps in :mod:`alignconf.kernels.tree_walk` holds here: equal leaves leave a step untouched, and lines with a step
as small as rounding are summed leaf after leaf at every place.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import BoolArray, FloatArray, IntArray
from alignconf.kernels.compiled import compiled
from alignconf.kernels.tree_walk import follow_link

__all__ = ["Questions", "Ranks", "Runs", "Sums", "rank_values", "walk_symmetric"]

#: Rows to which a question is put at once, at most, and places that their lines may have together.
N_BLOCK, N_BLOCK_PLACES = 512, 2**16

#: So few borders are counted one by one, many values at once, before a search in halves is as fast.
FEW_BORDERS = 1024

#: Rows whose lines are written together.
N_TOGETHER = 16

Ranks: TypeAlias = NDArray[np.uint16]

#: Where each tree's questions begin, (n_trees + 1,); of each question that is not moved the column, the rank that values are to
#: exceed, and the bit.
Questions: TypeAlias = tuple[IntArray, IntArray, Ranks, Ranks]

#: Where each tree's runs begin, (n_trees + 1,); of each run its first place, and the leaf that its mask alone tells.
Runs: TypeAlias = tuple[IntArray, IntArray, IntArray]

#: All leaves; what sums start from; the link's number; the size up to which a step of the sum may be rounding.
Sums: TypeAlias = tuple[FloatArray, float, int, float]


@compiled
def rank_values(borders: FloatArray, values: FloatArray, of_missing: int, ranks: Ranks) -> None:
    """Fill in how many borders values exceed, (n_values,); the borders, increasing, are followed by NaN up to a power of two."""
    ranks[:] = 0
    is_counted = borders.size <= FEW_BORDERS
    for start in range(0, values.size if is_counted else 0, N_BLOCK):
        part, counts = values[start : start + N_BLOCK], ranks[start : start + N_BLOCK]
        for border in borders:
            for m in range(part.size):
                counts[m] += np.uint16(border < part[m])
    half = 0 if is_counted else borders.size // 2
    while half > 0:
        before = borders[half - 1 :]
        for m in range(values.size):
            # A product, not a choice: nothing for the processor to guess.
            ranks[m] += np.uint16(half) * np.uint16(before[np.uintp(ranks[m])] < values[m])
        half //= 2
    for m in range(values.size):
        ranks[m] = np.uint16(of_missing) if np.isnan(values[m]) else ranks[m]


@compiled
def walk_symmetric(questions: Questions, runs: Runs, sums: Sums, ranks: Ranks, lines: FloatArray) -> None:
    """Fill ``lines``, (n_rows, n_places), with the lines of rows whose values have some ranks, (n_columns, n_rows)."""
    n_rows, n_places = lines.shape
    n_block = max(1, min(N_BLOCK, n_rows, N_BLOCK_PLACES // n_places))
    steps, first, before = np.empty((n_places, n_block)), np.empty(n_block), np.empty(n_block)
    answers, is_doubtful = np.empty(n_block, np.uint16), np.empty(n_block, np.bool_)
    for start in range(0, n_rows, n_block):
        n_members = min(n_block, n_rows - start)
        steps[:] = -0.0
        first[:] = sums[1]
        for tree in range(questions[0].size - 1):
            _answer(questions, tree, ranks, start, answers[:n_members])
            _add_runs(runs, tree, sums[0], answers[:n_members], steps, first, before)
        _sum_steps(steps, first, sums[3], lines[start : start + n_members], is_doubtful)
        for m in range(n_members):
            if is_doubtful[m]:
                _sum_as_the_model(questions, runs, sums, ranks, start + m, answers[:1], lines[start + m])
            follow_link(lines[start + m], sums[2])


@compiled
def _answer(questions: Questions, tree: int, ranks: Ranks, start: int, answers: Ranks) -> None:
    """Fill in the bits that rows answer to a tree's questions, the first of them at a start."""
    starts, columns, borders, bits = questions
    answers[:] = 0
    for q in range(starts[tree], starts[tree + 1]):
        border, bit, of_column = borders[q], bits[q], ranks[columns[q]][start : start + answers.size]
        for m in range(answers.size):
            answers[m] |= bit if of_column[m] > border else np.uint16(0)


@compiled
def _add_runs(
    runs: Runs,
    tree: int,
    leaves: FloatArray,
    answers: Ranks,
    steps: FloatArray,
    first: FloatArray,
    before: FloatArray,
) -> None:
    """Add a tree to the first values and the steps, (n_places, n_block), of rows."""
    starts, places, offsets = runs
    offset = np.uintp(offsets[starts[tree]])
    for m in range(answers.size):
        leaf = leaves[offset + np.uintp(answers[m])]
        first[m] += leaf
        before[m] = leaf
    for run in range(starts[tree] + 1, starts[tree + 1]):
        offset, at_place = np.uintp(offsets[run]), steps[places[run]]
        for m in range(answers.size):
            leaf = leaves[offset + np.uintp(answers[m])]
            at_place[m] += leaf - before[m] if leaf != before[m] else -0.0
            before[m] = leaf


@compiled
def _sum_steps(steps: FloatArray, first: FloatArray, tie: float, lines: FloatArray, is_doubtful: BoolArray) -> None:
    """Fill in lines, (n_rows, n_places), and which of them have a step that is touched and as small as rounding."""
    n_rows, n_places = lines.shape
    is_doubtful[:n_rows] = False
    steps[0] = first
    for k in range(1, n_places):
        before, at_place = steps[k - 1], steps[k]
        for m in range(n_rows):
            step = at_place[m]
            is_doubtful[m] |= (abs(step) <= tie) & ((step != 0.0) | (np.copysign(1.0, step) > 0.0))
        for m in range(n_rows):
            at_place[m] += before[m]
    # Few rows at once: the ends of their lines stay in the cache.
    for start in range(0, n_rows, N_TOGETHER):
        stop = min(start + N_TOGETHER, n_rows)
        for k in range(n_places):
            for m in range(start, stop):
                lines[m, k] = steps[k, m]


@compiled
def _sum_as_the_model(
    questions: Questions, runs: Runs, sums: Sums, ranks: Ranks, row: int, answers: Ranks, line: FloatArray
) -> None:
    """Fill in the line of a row leaf after leaf, at every place."""
    starts, places, offsets = runs
    line[:] = sums[1]
    for tree in range(starts.size - 1):
        _answer(questions, tree, ranks, row, answers)
        for run in range(starts[tree], starts[tree + 1]):
            stop = places[run + 1] if run + 1 < starts[tree + 1] else line.size
            leaf = sums[0][offsets[run] + np.intp(answers[0])]
            for k in range(places[run], stop):
                line[k] += leaf
