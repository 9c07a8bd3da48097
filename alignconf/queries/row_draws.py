r"""Random numbers that belong to rows: the same rows asked again get the same queries, other rows get others.

The probability in every claim is over the rows *and* over the queries drawn at them. Numbers handed out by position would be
constants as soon as the seed is an integer: whatever rows come, the first one would be asked the first query. So numbers are
computed from the rows themselves, by a counter-based generator [1]_:

* the **fingerprint** of a row (:mod:`alignconf.tables.repeats`) is that of its numbers in 32 significant bits, so that
  features which another processor or library computes differently in the last digits get the same queries; of the numbers as
  they are where rounding would make equals of different rows asked together;
* the **key of a batch** mixes the seed with a digest of all rows asked together, the sum of their fingerprints, which does not
  depend on their order;
* the **key of a row** mixes the key of the batch with the row's own fingerprint, and with how many equal rows came before it,
  so that equal rows are asked different queries;
* the ``c``-th **number** of a row is output ``c + 1`` of SplitMix64 [2]_ started at its key, its first 53 bits as a
  fraction.

Nothing depends on the order of the rows, on what lies next to them, on the machine that holds them or on the container they
come in. Keys are treated as what they imitate, independent uniform numbers. They cost two looks at each row, and sixteen bytes;
where rows lie in partitions, the sixteen bytes of all rows are sorted in one place, as equal rows may be anywhere.

References
----------
.. [1] Salmon, J. K., Moraes, M. A., Dror, R. O. and Shaw, D. E. (2011). Parallel random numbers: as easy as 1, 2, 3. SC11.
   doi:10.1145/2063384.2063405
.. [2] Steele, G. L., Lea, D. and Flood, C. H. (2014). Fast splittable pseudorandom number generators. OOPSLA 2014,
   doi:10.1145/2660193.2660195
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.tables.repeats import FIRST, STEP, Fingerprints, fingerprints, scatter

__all__ = ["RowDraws", "RowMarks", "row_marks"]

#: Fingerprints of rows, (n_samples, 2): of numbers rounded, and as they are.
RowMarks: TypeAlias = Fingerprints

#: Significant bits of the rounded numbers: last digits change a number's fingerprint about once in a million.
ROUNDED = 32

#: Bits of a number, and the size of the last one.
BITS = np.uint64(11)
UNIT = 2.0**-53


@dataclass(frozen=True, eq=False)
class RowDraws:
    """Uniform random numbers for each row of a table.

    Parameters
    ----------
    keys : (n_samples,) of uint64
    """

    keys: Fingerprints

    @classmethod
    def of(cls, table: Table, random: np.random.Generator) -> RowDraws:
        """Return the numbers of the rows of a table that are asked together.

        Parameters
        ----------
        table : Table of n_samples rows
        random : numpy.random.Generator
            Gives the seed of the batch: one number, whatever the rows.
        """
        return cls.of_marks(row_marks(table), random)

    @classmethod
    def of_marks(cls, of_rows: RowMarks, random: np.random.Generator) -> RowDraws:
        """Return the numbers of rows given by their fingerprints, (n_samples, 2)."""
        rounded, exact = of_rows.T
        marks = rounded if np.unique(rounded).size == np.unique(exact).size else exact
        # The digest and the number of rows: batches with the same rows are the same batch.
        batch = np.array([random.integers(2**64, dtype=np.uint64)])
        for part in (marks.sum(dtype=np.uint64), np.uint64(marks.size)):
            batch = _mixed(batch, part)
        return cls(_mixed(_mixed(np.repeat(batch, marks.size), marks), _earlier_equals(marks)))

    def rows(self, block: slice | IntArray) -> RowDraws:
        """Return the numbers of a block of rows, or of rows given by their positions."""
        return RowDraws(self.keys[block])

    def split(self, counts: Sequence[int]) -> list[RowDraws]:
        """Return the numbers of consecutive blocks of rows, of so many rows each."""
        ends = np.cumsum(np.asarray(counts, dtype=np.intp))
        return [self.rows(slice(end - count, end)) for count, end in zip(counts, ends.tolist(), strict=True)]

    def uniforms(self, n_queries: int, n_uniforms: int) -> FloatArray:
        """Return independent uniform numbers in [0, 1), (n_samples, n_queries, n_uniforms).

        The numbers of the first queries are the same however many queries are drawn.
        """
        count = np.arange(1, n_queries * n_uniforms + 1, dtype=np.uint64)
        state = self.keys[:, None] + STEP * count
        scatter(state)
        numbers: FloatArray = (state >> BITS).astype(np.float64) * UNIT
        return numbers.reshape(self.keys.size, n_queries, n_uniforms)


def row_marks(table: Table) -> RowMarks:
    """Return the fingerprints of rows that their random numbers are computed from, (n_samples, 2)."""
    return np.column_stack([fingerprints(table, bits=ROUNDED), fingerprints(table)])


def _mixed(state: Fingerprints, part: Fingerprints | np.uint64) -> Fingerprints:
    """Return keys that depend on a state (n,) and on one more number, for all keys or for each."""
    mixed: Fingerprints = state * FIRST + part + STEP
    scatter(mixed)
    return mixed


def _earlier_equals(marks: Fingerprints) -> Fingerprints:
    """Return for each fingerprint how many equal fingerprints come before, (n_samples,)."""
    order = np.argsort(marks, kind="stable")
    ordered = marks[order]
    is_first = np.append(True, ordered[1:] != ordered[:-1])[: marks.size]
    position = np.arange(marks.size)
    earlier = np.empty(marks.size, dtype=np.uint64)
    earlier[order] = position - np.maximum.accumulate(np.where(is_first, position, 0))
    return earlier
