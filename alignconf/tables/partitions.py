"""Rows on more than one machine: Dask data frames and arrays, partition by partition. The only module that knows Dask.

A Dask collection is a plan for many tables of rows, its **partitions**, each of which fits into the memory of a worker. A
function of one table can be run on all of them in two ways. At once (:meth:`Partitions.run`): what the function returns comes
back to the client, partition by partition, as it is finished. Later (:meth:`Partitions.lazily`): a Dask series, frame or array
of one answer for each row is planned, and nothing is computed until the user asks.

What all partitions need, such as a fitted model, is sent to every worker once. A partition whose worker is lost is computed
again on another one; a function must therefore give the same answer each time it is called. If the work is interrupted,
everything that is still to be done is cancelled.

Dask is imported only if what is handed in is a Dask object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import IntArray, Table
from alignconf.errors import InputError
from alignconf.tables import progress
from alignconf.tables import table as tables_module

__all__ = ["Partitions"]

#: Functions of more bytes than this are sent to workers beside the plan; Dask warns of plans of ten megabytes.
LARGE = 2**22

#: Partitions that are lost with their workers, and with what had been sent to these, are sent again, this many times in all.
ATTEMPTS = 5


@dataclass(frozen=True, eq=False)
class Partitions:
    """The partitions of a Dask data frame or array of rows.

    Parameters
    ----------
    collection : Dask data frame or array
    parts : tuple
        The plan of each partition, a table.
    meta : Table
        A table with the columns of each partition and no rows.
    """

    collection: Any
    parts: tuple[Any, ...]
    meta: Table

    @classmethod
    def of(cls, X: Any, *, name: str = "X") -> Partitions:
        """Return the partitions of a Dask object; refuse what is neither a data frame nor an array of rows and columns.

        Raises
        ------
        InputError
        """
        # A delayed object has any attribute that it is asked for, but not of this type.
        is_table = isinstance(getattr(X, "ndim", None), int)
        is_frame = is_table and hasattr(X, "map_partitions") and hasattr(X, "columns") and X.ndim == 2
        if is_frame:
            meta = tables_module.as_table(X._meta, name=name)
            _check_categories(meta, name)
        elif is_table and hasattr(X, "chunks") and isinstance(getattr(X, "_meta", None), np.ndarray):
            # A table without rows, and a row for what is no table, so that the refusal names its shape.
            meta = tables_module.as_table(
                np.empty((0, *X.shape[1:]) if X.ndim == 2 else X.ndim * (1,), X.dtype), name=name
            )
            X = X.rechunk({1: -1})
        else:
            raise InputError(
                f"{name} is a {type(X).__module__}.{type(X).__qualname__}; expected a Dask data frame, or a Dask array of rows "
                "and columns made of numpy arrays."
            )
        delayed = X.to_delayed()
        parts = tuple(delayed if is_frame else delayed.ravel())
        if not parts:
            raise InputError(f"{name} has no partitions; expected at least one with rows.")
        return cls(X, parts, meta)

    @property
    def is_spread(self) -> bool:
        """Whether the rows are elsewhere: they always are."""
        return True

    @property
    def n_parts(self) -> int:
        """How many partitions there are."""
        return len(self.parts)

    def selected(self, positions: tuple[int, ...]) -> Partitions:
        """Return the columns at some positions of the table without rows; itself where these are all of them in order."""
        if positions == tuple(range(self.meta.shape[1])):
            return self
        labels = tables_module.column_names(self.meta) or ()
        return Partitions.of(self.collection[[labels[position] for position in positions]])

    @property
    def known_sizes(self) -> IntArray | None:
        """How many rows each partition has, (n_partitions,), if Dask knows; it never does for data frames."""
        sizes = np.array(self.collection.chunks[0]) if hasattr(self.collection, "chunks") else np.array([np.nan])
        return None if np.isnan(sizes).any() else sizes.astype(np.intp)

    def alongside(self, values: Any, name: str) -> tuple[Any, ...]:
        """Return the plans of the partitions of values that belong to the rows, such as labels; None for each without values.

        Raises
        ------
        InputError
            If they are not partitioned in the same way.
        """
        if values is None:
            return (None,) * len(self.parts)
        if not tables_module.is_partitioned(values) or not hasattr(values, "to_delayed"):
            raise InputError(
                f"{name} is a {type(values).__module__}.{type(values).__qualname__}, and X is partitioned; expected a Dask "
                "series or array with the partitions of X, for example a column of the same data frame."
            )
        delayed = values.to_delayed()
        parts = tuple(np.ravel(np.asarray(delayed, dtype=object)))
        if len(parts) != len(self.parts):
            raise InputError(
                f"{name} has {len(parts)} partitions and X has {len(self.parts)}; expected the same partitions. Repartition one "
                "like the other."
            )
        return parts

    def run(
        self,
        function: Callable[..., Any],
        *each: Sequence[Any],
        only: Sequence[int] | None = None,
        label: str = "",
        verbose: bool = False,
    ) -> Iterator[tuple[int, Any]]:
        """Run a function on partitions and yield the position of each with what it returned, as they are finished.

        Parameters
        ----------
        function : callable
            Called as ``function(table, *its_own)``, perhaps more than once for a partition; it is sent to every worker once.
        each : sequences of (n_partitions,)
            What each partition has of its own: values, or plans as :meth:`alongside` returns them.
        only : sequence of int, optional
            Which partitions; by default all.
        label, verbose
            For the progress bar.
        """
        from dask import compute, delayed

        left = list(range(len(self.parts)) if only is None else only)
        client = _client(self.collection)
        if client is None:
            call = delayed(function, pure=False)
            planned = [call(self.parts[i], *(values[i] for values in each)) for i in left]
            with _local_bar(label, verbose):
                results = compute(*planned)
            yield from zip(left, results, strict=True)
            return
        with progress.bar(total=len(left), label=label, unit="partition", shown=verbose) as shown:
            for _ in range(ATTEMPTS):
                for i, result in self._finished(client, function, each, tuple(left)):
                    left.remove(i)
                    shown.update()
                    yield i, result
                if not left:
                    return
        raise RuntimeError(
            f"{len(left)} partitions were lost with their workers, {ATTEMPTS} times; the first is {left[0]}."
        )

    def _finished(
        self, client: Any, function: Callable[..., Any], each: Sequence[Sequence[Any]], positions: Sequence[int]
    ) -> Iterator[tuple[int, Any]]:
        """Yield the position of each partition with its result, as they are finished; leave out those that were lost."""
        from dask import delayed
        from distributed import CancelledError, as_completed

        call, sent = delayed(_call, pure=False), _sent(client, function)
        futures = client.compute([call(sent, self.parts[i], *(values[i] for values in each)) for i in positions])
        position = {future.key: i for i, future in zip(positions, futures, strict=True)}
        try:
            finished = as_completed(futures)
            del futures
            for future in finished:
                i = position.pop(future.key)
                try:
                    result = future.result()
                except CancelledError:
                    continue
                finally:
                    future.release()
                yield i, result
        finally:
            if position:
                client.cancel(list(position), force=True)

    def take(self, within: Sequence[IntArray]) -> Table:
        """Return a table in memory of rows, by their positions within each partition, sorted."""
        only = [i for i, of_part in enumerate(within) if of_part.size]
        taken = dict(self.run(tables_module.take, within, only=only))
        tables = [taken[i] for i in only]
        if isinstance(self.meta, np.ndarray):
            return np.concatenate([self.meta, *tables])
        from pandas import concat

        return concat(tables) if tables else self.meta

    def lazily(
        self, function: Callable[..., Any], *each: Sequence[Any], names: Sequence[Any] | None, dtype: Any
    ) -> Any:
        """Return the plan of one answer for each row: a Dask series or frame like the rows if they are one, else a Dask array.

        Parameters
        ----------
        function : callable
            Called as ``function(table, *its_own)``; returns (n_rows,), or (n_rows, n_columns), for at least one row.
        each : sequences of (n_partitions,)
        names : sequence, optional
            Of the columns of the answer; None for (n_rows,).
        dtype : of the answer
        """
        from dask import delayed

        client = _client(self.collection)
        shared = delayed(function, pure=False, traverse=False) if client is None else _sent(client, function)
        call = delayed(_answer, pure=False)
        empty = _like(self.meta, np.empty((0,) if names is None else (0, len(names)), dtype=dtype), names)
        planned = [call(shared, empty, part, *(values[i] for values in each)) for i, part in enumerate(self.parts)]
        if not isinstance(self.meta, np.ndarray):
            from dask.dataframe import from_delayed

            return from_delayed(planned, meta=empty, divisions=self.collection.divisions, verify_meta=False)
        from dask.array import concatenate, from_delayed

        blocks = [
            from_delayed(plan, (size, *empty.shape[1:]), meta=empty)
            for plan, size in zip(planned, self.collection.chunks[0], strict=True)
        ]
        return concatenate(blocks, allow_unknown_chunksizes=True)


def _client(collection: Any) -> Any:
    """Return the client of the cluster that a collection would be computed on; None for threads or processes of this machine."""
    from dask.base import get_scheduler

    client = getattr(get_scheduler(collections=[collection]), "__self__", None)
    return client if hasattr(client, "scatter") else None


def _sent(client: Any, function: Callable[..., Any]) -> Any:
    """Return a function as it is sent to the workers: once, as a task of its own, or, if it is large, to each worker.

    A task can be done again if all workers that hold its result are lost; a plan with a large one is slow to send.
    """
    from cloudpickle import dumps, loads
    from dask import delayed

    written = dumps(function)
    if len(written) <= LARGE:
        return delayed(loads, pure=False)(written)
    [future] = client.scatter([function], broadcast=True, hash=False)
    return delayed(future, pure=False)


def _call(function: Callable[..., Any], *given: Any) -> Any:
    return function(*given)


def _answer(function: Callable[..., Any], empty: Table, table: Table, *arguments: Any) -> Table:
    """Return the answer at the rows of a partition, of the kind of the empty answer; for no rows the empty answer itself."""
    if not table.shape[0]:
        return empty
    names = list(empty.columns) if hasattr(empty, "columns") else None
    return _like(table, np.asarray(function(table, *arguments)), names)


def _like(table: Table, values: NDArray[Any], names: Sequence[Any] | None) -> Any:
    """Return values of the rows of a table as a series or frame with its index, if it is a frame."""
    if isinstance(table, np.ndarray):
        return values
    from pandas import DataFrame, Series

    return Series(values, index=table.index) if names is None else DataFrame(values, table.index, list(names))


def _local_bar(label: str, verbose: bool) -> Any:
    from tqdm import tqdm
    from tqdm.dask import TqdmCallback

    return TqdmCallback(desc=label, disable=not verbose, delay=progress.DELAY, tqdm_class=tqdm)


def _check_categories(meta: Table, name: str) -> None:
    """Refuse categories that Dask has not looked up: they may differ from partition to partition."""
    from dask.dataframe.utils import UNKNOWN_CATEGORIES

    unknown = [
        column
        for column, dtype in zip(meta.columns, meta.dtypes, strict=True)
        if UNKNOWN_CATEGORIES in getattr(dtype, "categories", ())
    ]
    if unknown:
        raise InputError(
            f"{name} has categories that Dask does not know yet, in {unknown}: each partition may have others. Look them up "
            f"first, with {name}.categorize(columns={unknown})."
        )
