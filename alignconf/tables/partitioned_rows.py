"""Rows in partitions: how many there are, which of them count, and work done where they are.

Which rows do what is said by their positions in the whole, as on one machine, so that nothing depends on the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from alignconf._typing import IntArray, Table
from alignconf.errors import InputError
from alignconf.tables import table as tables
from alignconf.tables.partitions import Partitions, by_partition

__all__ = ["MOST_REFERENCE", "PartitionedRows", "in_memory", "select_partitions"]

#: More rows than this are not fetched to give a reference law.
MOST_REFERENCE = 100_000


@dataclass(frozen=True, eq=False)
class PartitionedRows:
    """Rows in partitions, some of them left out.

    Parameters
    ----------
    partitions : Partitions
    sizes : (n_partitions,)
        How many rows each partition has.
    left_out : tuple of (n_left_out,)
        Which rows of each partition do not count, sorted.
    labels : tuple
        The groups of the rows of each partition, or None.
    verbose : bool
    """

    partitions: Partitions
    sizes: IntArray
    left_out: tuple[IntArray, ...]
    labels: tuple[Any, ...]
    verbose: bool = False

    @classmethod
    def of(cls, X: Any, labels: Any = None, *, name: str = "X", verbose: bool = False) -> PartitionedRows:
        """Return all rows of a Dask object, counted.

        Raises
        ------
        InputError
            If there are none, or it is no table.
        """
        partitions = Partitions.of(X, name=name)
        plans = partitions.alongside(labels, "groups")
        sizes = partitions.known_sizes
        if sizes is None:
            counts = dict(partitions.run(_n_rows, label="counting rows", verbose=verbose))
            sizes = np.array([counts[i] for i in range(len(partitions.parts))], dtype=np.intp)
        if not sizes.sum():
            raise InputError(f"{name} has no rows, in {sizes.size} partitions; expected at least one.")
        return cls(partitions, sizes, (np.arange(0),) * sizes.size, plans, verbose)

    @property
    def meta(self) -> Table:
        """A table with the same columns and no rows."""
        return self.partitions.meta

    @property
    def counts(self) -> IntArray:
        """How many rows of each partition count, (n_partitions,)."""
        counts: IntArray = self.sizes - np.array([rows.size for rows in self.left_out])
        return counts

    @property
    def n_rows(self) -> int:
        """How many rows count."""
        return int(self.counts.sum())

    def take(self, rows: IntArray) -> Table:
        """Return some of all rows, by sorted positions, in memory."""
        return self.partitions.take(rows, self.sizes)

    def without(self, rows: IntArray) -> PartitionedRows:
        """Return the rows but some of them, given by sorted positions."""
        return replace(self, left_out=tuple(by_partition(rows, self.sizes)))

    def position(self, i: int, row: int) -> int:
        """Return the position in the whole of a row of a partition, counted among those that count."""
        return int(self.sizes[:i].sum() + np.delete(np.arange(self.sizes[i]), self.left_out[i])[row])

    def run(self, function: Callable[..., Any], *each: Sequence[Any], only: Any = None, label: str = "") -> Any:
        """Run ``function(table, labels, *its_own)`` on the rows of each partition that has any; see :meth:`Partitions.run`."""
        some = np.flatnonzero(self.counts) if only is None else np.flatnonzero(only)
        work = partial(_on_rows, function)
        return self.partitions.run(
            work, self.left_out, self.labels, *each, only=some.tolist(), label=label, verbose=self.verbose
        )


def select_partitions(X: Any, meta: Table, positions: tuple[int, ...]) -> Any:
    """Return the columns of a Dask object at some positions of its table without rows; itself where these are all of them."""
    if positions == tuple(range(meta.shape[1])):
        return X
    labels = tables.column_names(meta) or ()
    return X[[labels[position] for position in positions]]


def in_memory(X: Any, *, name: str, verbose: bool = False) -> Table:
    """Return the rows of a Dask object in memory, all of them; refuse more than ``MOST_REFERENCE``.

    Raises
    ------
    InputError
    """
    rows = PartitionedRows.of(X, name=name, verbose=verbose)
    if rows.n_rows > MOST_REFERENCE:
        raise InputError(
            f"{name} has {rows.n_rows} rows in partitions, and rows that give the reference law are kept in memory, at most "
            f"{MOST_REFERENCE} of them; give a sample, for example {name}.sample(frac={0.5 * MOST_REFERENCE / rows.n_rows:.2g})."
        )
    return rows.take(np.arange(rows.n_rows))


def _n_rows(table: Table) -> int:
    return int(table.shape[0])


def _on_rows(function: Callable[..., Any], table: Table, left_out: IntArray, labels: Any, *arguments: Any) -> Any:
    """Return what a function says of the rows of a partition that count, with their labels."""
    if left_out.size:
        rows = np.delete(np.arange(table.shape[0]), left_out)
        table = tables.take(table, rows)
        labels = labels.iloc[rows] if hasattr(labels, "iloc") else labels if labels is None else labels[rows]
    return function(table, labels, *arguments)
