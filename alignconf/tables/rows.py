"""Rows as they are handed in, in one place or in many: a stage is written once, whatever lies where.

Rows lie in **parts**: one part in memory (:class:`Memory`), or as many as a Dask object has partitions
(:class:`alignconf.tables.partitions.Partitions`). A stage is a function of the rows of one part; :meth:`Rows.run` runs it on all
parts, and what comes back is put together in their order. Which rows do what is said by their positions in the whole, so that
nothing depends on the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, Self

import numpy as np

from alignconf._typing import IntArray, Table
from alignconf.errors import InputError
from alignconf.tables import table as tables
from alignconf.tables.checks import check_rows
from alignconf.tables.fitted_columns import selected
from alignconf.tables.partitions import Partitions
from alignconf.tables.table import is_partitioned

__all__ = ["MOST_REFERENCE", "Memory", "Parts", "Rows", "in_memory", "parts_of"]

#: More rows than this are not fetched to give a reference law.
MOST_REFERENCE = 100_000


class Parts(Protocol):
    """Where rows lie."""

    @property
    def is_spread(self) -> bool:
        """Whether the rows are elsewhere, so that what is sent to them and comes back should be small."""

    @property
    def meta(self) -> Table:
        """A table with the columns of the rows: the rows themselves in memory, none of them elsewhere."""

    @property
    def n_parts(self) -> int:
        """How many parts there are."""

    @property
    def known_sizes(self) -> IntArray | None:
        """How many rows each part has, (n_parts,), if this can be told without a look at them."""

    def selected(self, positions: tuple[int, ...]) -> Self:
        """Return the columns at some positions; itself where these are all of them in order."""

    def alongside(self, values: Any, name: str) -> tuple[Any, ...]:
        """Return what belongs to the rows of each part, such as labels; None for each without values."""

    def take(self, within: Sequence[IntArray]) -> Table:
        """Return a table in memory of rows, by their positions within each part, sorted."""

    def run(
        self,
        function: Callable[..., Any],
        *each: Sequence[Any],
        only: Sequence[int] | None = None,
        label: str = "",
        verbose: bool = False,
    ) -> Iterator[tuple[int, Any]]:
        """Run ``function(table, *its_own)`` on parts and yield the position of each with what it returned."""


@dataclass(frozen=True, eq=False)
class Memory:
    """Rows of a table in memory: one part."""

    meta: Table
    is_spread = False
    n_parts = 1

    @property
    def known_sizes(self) -> IntArray:
        """How many rows there are, (1,)."""
        return np.array([self.meta.shape[0]], dtype=np.intp)

    def selected(self, positions: tuple[int, ...]) -> Memory:
        """Return the columns at some positions."""
        return Memory(selected(self.meta, positions))

    def alongside(self, values: Any, name: str) -> tuple[Any, ...]:  # noqa: ARG002
        """Return what belongs to the rows, as it is."""
        return (values,)

    def take(self, within: Sequence[IntArray]) -> Table:
        """Return some of the rows."""
        return tables.take(self.meta, within[0])

    def run(
        self,
        function: Callable[..., Any],
        *each: Sequence[Any],
        only: Sequence[int] | None = None,
        label: str = "",  # noqa: ARG002
        verbose: bool = False,  # noqa: ARG002
    ) -> Iterator[tuple[int, Any]]:
        """Run a function on the rows, here and now; bars are the function's business."""
        if only is None or 0 in only:
            yield 0, function(self.meta, *(values[0] for values in each))


def parts_of(X: Any, *, at_least: int = 1) -> Parts:
    """Return the parts of users' rows, in memory or of Dask.

    Parameters
    ----------
    X : (n_samples, n_features) array, data frame or Dask object
    at_least : int
        How many rows are needed in memory.

    Raises
    ------
    InputError
        If they are no table, or too few.
    """
    return Partitions.of(X) if is_partitioned(X) else Memory(check_rows(X, at_least=at_least))


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows in parts, some of them left out.

    Parameters
    ----------
    parts : Parts
    sizes : (n_parts,)
        How many rows each part has.
    left_out : tuple of (n_left_out,)
        Which rows of each part do not count, sorted.
    labels : tuple
        The groups of all rows of each part, or None.
    verbose : bool
    """

    parts: Parts
    sizes: IntArray
    left_out: tuple[IntArray, ...]
    labels: tuple[Any, ...]
    verbose: bool = False

    @classmethod
    def of(cls, parts: Parts, labels: Any = None, *, name: str = "X", verbose: bool = False) -> Rows:
        """Return all rows, counted.

        Raises
        ------
        InputError
            If there are none elsewhere, or labels lie in other parts than the rows.
        """
        labels_of_parts, sizes = parts.alongside(labels, "groups"), parts.known_sizes
        if sizes is None:
            counts = dict(parts.run(_n_rows, label="counting rows", verbose=verbose))
            sizes = np.array([counts[i] for i in range(parts.n_parts)], dtype=np.intp)
        if parts.is_spread and not sizes.sum():
            raise InputError(f"{name} has no rows, in {sizes.size} partitions; expected at least one.")
        return cls(parts, sizes, (np.arange(0),) * sizes.size, labels_of_parts, verbose)

    @property
    def is_spread(self) -> bool:
        """Whether the rows are elsewhere."""
        return self.parts.is_spread

    @property
    def meta(self) -> Table:
        """A table with the same columns: all rows in memory, none of those elsewhere."""
        return self.parts.meta

    @property
    def counts(self) -> IntArray:
        """How many rows of each part count, (n_parts,)."""
        counts: IntArray = self.sizes - np.array([rows.size for rows in self.left_out])
        return counts

    @property
    def n_rows(self) -> int:
        """How many rows count."""
        return int(self.counts.sum())

    def seen(self, few: Table) -> Table:
        """Return what is looked at before any stage runs: all rows in memory, or a few for rows elsewhere."""
        return few if self.is_spread else self.meta

    def take(self, rows: IntArray) -> Table:
        """Return some of all rows, by sorted positions, in memory."""
        return self.parts.take(_by_part(rows, self.sizes))

    def without(self, rows: IntArray) -> Rows:
        """Return the rows but some of them, given by sorted positions."""
        return replace(self, left_out=tuple(_by_part(rows, self.sizes)))

    def position(self, i: int, row: int) -> int:
        """Return the position in the whole of a row of a part, counted among those that count."""
        return int(self.sizes[:i].sum() + np.delete(np.arange(self.sizes[i]), self.left_out[i])[row])

    def run(self, function: Callable[..., Any], *each: Sequence[Any], only: Any = None, label: str = "") -> list[Any]:
        """Return ``function(table, *its_own)`` of the rows of each part that has any, in the order of the parts.

        Parameters
        ----------
        function : callable
            Called perhaps more than once for a part.
        each : sequences of (n_parts,)
            What each part has of its own.
        only : (n_parts,) truth values, optional
            The parts that are asked; by default those with rows that count.
        label : str
            Of the bar.
        """
        some = np.flatnonzero(self.counts if only is None else only).tolist()
        work = partial(_on_rows, function)
        results = dict(self.parts.run(work, self.left_out, *each, only=some, label=label, verbose=self.verbose))
        return [results[i] for i in some]


def in_memory(X: Any, *, name: str, verbose: bool = False) -> Any:
    """Return rows in memory: themselves, or all of a Dask object, of which more than ``MOST_REFERENCE`` are refused.

    Raises
    ------
    InputError
    """
    if not is_partitioned(X):
        return X
    rows = Rows.of(Partitions.of(X, name=name), name=name, verbose=verbose)
    if rows.n_rows > MOST_REFERENCE:
        raise InputError(
            f"{name} has {rows.n_rows} rows in partitions, and rows that give the reference law are kept in memory, at most "
            f"{MOST_REFERENCE} of them; give a sample, for example {name}.sample(frac={0.5 * MOST_REFERENCE / rows.n_rows:.2g})."
        )
    return rows.take(np.arange(rows.n_rows))


def _by_part(rows: IntArray, sizes: IntArray) -> list[IntArray]:
    """Return which rows of each part are meant by sorted positions in the whole, counted within the part.

    Parameters
    ----------
    rows : (n_rows,)
    sizes : (n_parts,)
    """
    ends = np.cumsum(sizes)
    cuts = np.searchsorted(rows, ends)
    return [of_part - start for of_part, start in zip(np.split(rows, cuts[:-1]), ends - sizes, strict=True)]


def _n_rows(table: Table) -> int:
    return int(table.shape[0])


def _on_rows(function: Callable[..., Any], table: Table, left_out: IntArray, *arguments: Any) -> Any:
    """Return what a function says of the rows of a part that count."""
    if left_out.size:
        table = tables.take(table, np.delete(np.arange(table.shape[0]), left_out))
    return function(table, *arguments)
