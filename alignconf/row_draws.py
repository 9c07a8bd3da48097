"""What a generator would draw for some of the rows, without drawing for the others where they are.

Every row has its own private draw: a reference law asks its generator once, for all rows together, and the numbers come row
by row. So what a block of rows gets is fixed by the state of the generator at its first row, and does not depend on how rows
are cut into blocks. :func:`states_at` walks a generator over rows that are elsewhere and notes these states; it needs to know
how many rows each block has, and no row. :class:`RowDraws` hands the numbers out where the rows are.

Walking costs what drawing costs, a few nanoseconds a number, and leaves the generator as drawing for all rows would.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from math import prod
from typing import cast

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.queries import PartQueries

__all__ = ["RowDraws", "states_at"]

#: Numbers that are walked over at a time.
AT_ONCE = 2**20


class RowDraws:
    """A generator for the rows of one block: each call goes on where it was when the first row of the block came.

    Parameters
    ----------
    states : sequence of numpy.random.Generator
        One for each call, as :func:`states_at` returns them; they are copied.
    """

    def __init__(self, states: Sequence[np.random.Generator]) -> None:
        self._states = iter(deepcopy(list(states)))

    def integers(self, high: int, *, size: tuple[int, ...]) -> NDArray[np.int64]:
        """Return integers from 0 to below ``high``, of shape ``size``, whose first dimension are the rows of the block."""
        return next(self._states).integers(high, size=size)

    def random(self, *, size: tuple[int, ...]) -> FloatArray:
        """Return numbers in [0, 1), of shape ``size``, whose first dimension are the rows of the block."""
        return next(self._states).random(size=size)


@dataclass(frozen=True)
class _Calls:
    """What a generator is asked for one row: for integers below a number, or (0) for numbers in [0, 1), and how many."""

    seen: list[tuple[int, int]] = field(default_factory=list)

    def integers(self, high: int, *, size: tuple[int, ...]) -> IntArray:
        self.seen.append((int(high), prod(size[1:])))
        return np.zeros(size, dtype=np.intp)

    def random(self, *, size: tuple[int, ...]) -> FloatArray:
        self.seen.append((0, prod(size[1:])))
        return np.zeros(size)


def states_at(
    asked: Sequence[PartQueries], row: Table, n_queries: int, random: np.random.Generator, counts: Sequence[int]
) -> list[tuple[np.random.Generator, ...]]:
    """Return for each block of rows the states in which a generator draws its queries, one for each call.

    Parameters
    ----------
    asked : sequence of PartQueries
        As for :func:`alignconf.queries.draw_queries`.
    row : Table with a single row
        Any row; nothing is drawn for it.
    n_queries : int
    random : numpy.random.Generator
        It is left as if queries had been drawn for all rows.
    counts : sequence of int
        How many rows each block has, in order.
    """
    calls = _Calls()
    for one in asked:
        one.drawn(row, n_queries, cast(np.random.Generator, calls))
    states: list[list[np.random.Generator]] = [[] for _ in counts]
    for high, of_row in calls.seen:
        for block, count in zip(states, counts, strict=True):
            block.append(deepcopy(random))
            _walk(random, high, count * of_row)
    return [tuple(block) for block in states]


def _walk(random: np.random.Generator, high: int, n_numbers: int) -> None:
    for start in range(0, n_numbers, AT_ONCE):
        size = min(AT_ONCE, n_numbers - start)
        if high:
            random.integers(high, size=size)
        else:
            random.random(size=size)
