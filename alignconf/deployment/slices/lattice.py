r"""The lattice of slices, counted level by level in whole numbers.

A slice is a conjunction of bins of different features. Its **key** is the increasing tuple of its literals, bins numbered
through all features, so that no two slices share a key. For a slice ``S`` of some rows the counts are

.. math:: n_S = \#\{i \in S\}, \qquad t_S = \sum_{i \in S} q_i,

with losses :math:`q_i` in whole numbers. Counts add up over parts of the rows, exactly and in any order: rows may lie on
several machines, and the answer is the same to the bit.

A slice of ``d + 1`` literals has no more rows, and no more losses, than its parents, the slices with one literal less.
So if all of these had enough rows it is looked at, and otherwise it is not (Apriori); :func:`extended` never leaves out a slice
with enough rows, and :func:`bounded_by_parents` says what a slice can have at most before it is counted.

References
----------
.. [1] Agrawal, R. and Srikant, R. (1994). Fast algorithms for mining association rules. VLDB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import BoolArray, IntArray, Table
from alignconf.deployment.slices.bins import Bins
from alignconf.errors import InputError

__all__ = ["RowsOfPart", "SliceCounts", "bounded_by_parents", "extended", "literals"]

Keys = NDArray[np.int64]

#: Cells of a cross of features that are counted in one dense table.
DENSE = 2**16
#: Slices of one level that are looked at, at most.
MOST_SLICES = 20_000_000


@dataclass(frozen=True, eq=False)
class SliceCounts:
    """Rows and losses of some slices, in whole numbers.

    Parameters
    ----------
    keys : (n_slices, depth)
        Increasing literals; rows in lexicographic order.
    n_rows, losses : (n_slices,)
    """

    keys: Keys
    n_rows: Keys
    losses: Keys

    def merged(self, other: SliceCounts) -> SliceCounts:
        """Return the counts of both sets of rows together; they must be disjoint, and about the same slices."""
        if not np.array_equal(self.keys, other.keys):
            raise InputError("counts of different slices cannot be merged; count the same keys in every part.")
        return SliceCounts(self.keys, self.n_rows + other.n_rows, self.losses + other.losses)

    def take(self, chosen: BoolArray | IntArray) -> SliceCounts:
        """Return the counts of some of the slices, by positions or a mask."""
        return SliceCounts(self.keys[chosen], self.n_rows[chosen], self.losses[chosen])

    def replaced(self, chosen: BoolArray, found: SliceCounts) -> SliceCounts:
        """Return the counts with those of some slices replaced."""
        n_rows, losses = self.n_rows.copy(), self.losses.copy()
        n_rows[chosen], losses[chosen] = found.n_rows, found.losses
        return SliceCounts(self.keys, n_rows, losses)


@dataclass(frozen=True, eq=False)
class RowsOfPart:
    """Some of the rows: their bins and their losses.

    Parameters
    ----------
    codes : (n_samples, n_binned)
        Bins, -1 for none.
    losses : (n_samples,)
        Whole numbers of at least 0.
    sizes : (n_binned,)
        How many bins each feature has.
    """

    codes: NDArray[np.int64]
    losses: NDArray[np.int64]
    sizes: IntArray

    @classmethod
    def of(cls, bins: Bins, table: Table, losses: NDArray[np.int64]) -> RowsOfPart:
        """Return the rows of a table with their losses."""
        return cls(bins.codes(table), losses, bins.sizes)

    def without(self, keys: Sequence[tuple[int, ...]]) -> RowsOfPart:
        """Return the rows outside some slices."""
        kept = np.ones(self.losses.size, dtype=bool)
        for key in keys:
            kept &= ~self.rows_of(key)
        return RowsOfPart(self.codes[kept], self.losses[kept], self.sizes)

    def rows_of(self, key: Sequence[int]) -> BoolArray:
        """Return which rows are in a slice, (n_samples,)."""
        members = np.ones(self.losses.size, dtype=bool)
        starts, feature = _starts(self.sizes), _feature_of(self.sizes)
        for literal in key:
            members &= self.codes[:, feature[literal]] == literal - starts[feature[literal]]
        return members

    def histogram(self, n_levels: int) -> NDArray[np.int64]:
        """Return how many rows have each loss from 0 to ``n_levels``, (n_levels + 1,)."""
        return np.bincount(self.losses, minlength=n_levels + 1).astype(np.int64)

    def counts(self, keys: Keys) -> SliceCounts:
        """Return the counts of slices, feature cross by feature cross.

        Parameters
        ----------
        keys : (n_slices, depth)
        """
        n_rows, losses = np.zeros(len(keys), dtype=np.int64), np.zeros(len(keys), dtype=np.int64)
        if len(keys):
            crosses, of_cross = np.unique(_feature_of(self.sizes)[keys], axis=0, return_inverse=True)
            order = np.argsort(of_cross.ravel(), kind="stable")
            ends = np.cumsum(np.bincount(of_cross.ravel(), minlength=len(crosses)))
            lost = np.flatnonzero(self.losses)
            for cross, members in zip(crosses, np.split(order, ends[:-1]), strict=True):
                n_rows[members], losses[members] = self._cross(cross, keys[members], lost)
        return SliceCounts(keys, n_rows, losses)

    def _cross(self, cross: IntArray, keys: Keys, lost: IntArray) -> tuple[Keys, Keys]:
        """Return rows and losses of slices that use the same features."""
        starts = _starts(self.sizes)[cross]
        cells, of_rows = 1, np.zeros(self.losses.size, dtype=np.int64)
        of_keys = np.zeros(len(keys), dtype=np.int64)
        counted = np.ones(self.losses.size, dtype=bool)
        for k, feature in enumerate(cross):
            size, codes = int(self.sizes[feature]), self.codes[:, feature]
            counted &= codes >= 0
            of_rows = of_rows * size + codes
            of_keys = of_keys * size + (keys[:, k] - starts[k])
            cells *= size
            if cells > DENSE:
                # Only cells that are asked for are told apart from here on, so that their numbers stay small.
                wanted_cells = np.unique(of_keys)
                ranks = np.minimum(np.searchsorted(wanted_cells, of_rows), wanted_cells.size - 1)
                counted &= wanted_cells[ranks] == of_rows
                of_rows, of_keys, cells = ranks, np.searchsorted(wanted_cells, of_keys), wanted_cells.size
        everywhere = counted.all()
        n_rows = np.bincount(of_rows if everywhere else of_rows[counted], minlength=cells)
        some = lost if everywhere else lost[counted[lost]]
        # Sums of whole numbers below 2^53 are exact.
        losses = np.bincount(of_rows[some], weights=self.losses[some], minlength=cells)
        return n_rows[of_keys].astype(np.int64), losses[of_keys].astype(np.int64)


def literals(sizes: IntArray) -> Keys:
    """Return the keys of the slices with one literal, (n_bins of all features, 1)."""
    return np.arange(int(sizes.sum()), dtype=np.int64)[:, None]


def extended(levels: Sequence[Keys], sizes: IntArray) -> Keys:
    """Return the slices with one more literal all of whose parents are among those given, in lexicographic order.

    Parameters
    ----------
    levels : sequence of (n_slices, depth) keys in lexicographic order, depth 1, 2, ...
        A slice's parents must all be in the level above.
    sizes : (n_binned,)

    Raises
    ------
    InputError
        If there are more than 20 million pairs to look at.
    """
    last = levels[-1]
    if not len(last):
        return np.zeros((0, last.shape[1] + 1), dtype=np.int64)
    new_prefix = np.append(True, (last[1:, :-1] != last[:-1, :-1]).any(axis=1))
    group = np.cumsum(new_prefix) - 1
    ends = np.cumsum(np.bincount(group))[group]
    partners = ends - np.arange(len(last)) - 1
    if partners.sum() > MOST_SLICES:
        raise InputError(
            f"{int(partners.sum())} slices of {last.shape[1] + 1} conditions have to be looked at; expected at most "
            f"{MOST_SLICES}. Lower max_depth or n_bins, raise min_support, or name fewer features."
        )
    left = np.repeat(np.arange(len(last)), partners)
    offset = np.arange(left.size) - np.repeat(np.cumsum(partners) - partners, partners)
    right = left + 1 + offset
    feature = _feature_of(sizes)
    apart = feature[last[left, -1]] != feature[last[right, -1]]
    left, right = left[apart], right[apart]
    keys = np.column_stack([last[left], last[right, -1]])
    n_literals = int(sizes.sum())
    tables = _tables_of(levels, n_literals)
    kept = np.ones(len(keys), dtype=bool)
    for dropped in range(last.shape[1] - 1):
        kept[kept] = _ranks(np.delete(keys[kept], dropped, axis=1), tables, n_literals) >= 0
    return np.ascontiguousarray(keys[kept])


def bounded_by_parents(keys: Keys, levels: Sequence[Keys], parents: SliceCounts, sizes: IntArray) -> SliceCounts:
    """Return the rows and losses that slices have at most, from those of their parents.

    Parameters
    ----------
    keys : (n_slices, depth + 1)
        As :func:`extended` returns.
    levels, sizes : as for :func:`extended`
    parents : SliceCounts
        Of the last of the levels, exact or bounds.
    """
    n_literals = int(sizes.sum())
    tables = _tables_of(levels, n_literals)
    n_rows = np.full(len(keys), np.iinfo(np.int64).max)
    losses = n_rows.copy()
    for dropped in range(keys.shape[1] if len(keys) else 0):
        rank = _ranks(np.delete(keys, dropped, axis=1), tables, n_literals)
        n_rows, losses = np.minimum(n_rows, parents.n_rows[rank]), np.minimum(losses, parents.losses[rank])
    return SliceCounts(keys, n_rows, losses)


def _tables_of(levels: Sequence[Keys], n_literals: int) -> list[Keys]:
    """Return for each level a sorted number for each of its keys: the rank of its prefix one level up, then its last literal.

    Ranks are at most the number of slices of a level, so the numbers never overflow, whatever the number of features.
    """
    tables: list[Keys] = []
    for level in levels:
        tables.append(_ranks(level[:, :-1], tables, n_literals) * n_literals + level[:, -1])
    return tables


def _ranks(keys: Keys, tables: Sequence[Keys], n_literals: int) -> Keys:
    """Return the position of each key in the level of its depth, -1 where it is not there."""
    rank = np.zeros(len(keys), dtype=np.int64)
    for depth in range(keys.shape[1]):
        wanted = rank * n_literals + keys[:, depth]
        positions = np.minimum(np.searchsorted(tables[depth], wanted), tables[depth].size - 1)
        rank = np.where(tables[depth][positions] == wanted, positions, -1)
    return rank


def _starts(sizes: IntArray) -> IntArray:
    return np.cumsum(sizes) - sizes


def _feature_of(sizes: IntArray) -> IntArray:
    """Return the feature of each literal."""
    return np.repeat(np.arange(sizes.size), sizes)
