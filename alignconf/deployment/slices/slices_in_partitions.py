"""The rows of a search in parts: blocks of a table on several threads, a list of tables, or the partitions of Dask.

Bins, and the unit that losses are counted in, are fixed for all parts together; every part then answers in whole numbers, which
are added. So how rows are divided into parts changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.deployment.slices.bins import Bins
from alignconf.deployment.slices.lattice import RowsOfPart, SliceCounts
from alignconf.deployment.slices.significance import N_LEVELS, Population
from alignconf.errors import InputError
from alignconf.tables import table as tables_module
from alignconf.tables.checks import check_entries, check_rows
from alignconf.tables.used_rows import Marks, UsedRows, marks_of

__all__ = ["SearchedRows", "checked_losses"]

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class SearchedRows:
    """The rows of a search.

    Parameters
    ----------
    bins : Bins
    unit : float
        What a loss of 1 counted in whole numbers stands for.
    n_levels : int
        The largest loss in these.
    parts : tuple
        Pairs of the rows and their fingerprints, or what Dask has in their place.
    n_jobs : int or None
    """

    bins: Bins
    unit: float
    n_levels: int
    parts: tuple[Any, ...]
    n_jobs: int | None

    @classmethod
    def of(cls, X: Any, losses: Any, bins: Bins | None, reading: Mapping[str, Any], n_jobs: int | None) -> SearchedRows:
        """Check rows and losses, and bring them into bins and whole numbers.

        Parameters
        ----------
        X, losses, bins, n_jobs : as for :func:`alignconf.deployment.slices.search_slices`
        reading : mapping
            How bins are read off a table, where they are not given.
        """
        pairs = _pairs(X, losses, bins, n_jobs)
        read = bins or Bins.from_rows(X, **reading)
        figures = _mapped(pairs, _loss_figures, n_jobs)
        if sum(n for n, _, _ in figures) == 0:
            raise InputError("X has no rows; expected at least one.")
        largest, is_binary = max(top for _, top, _ in figures), all(binary for _, _, binary in figures)
        n_levels = 1 if is_binary else N_LEVELS
        unit = 1.0 if is_binary else largest / N_LEVELS

        def prepared(pair: tuple[Any, Any]) -> tuple[RowsOfPart, Marks]:
            table = check_rows(pair[0], at_least=0)
            counted = np.round(np.asarray(pair[1], dtype=np.float64) / unit).astype(np.int64)
            return RowsOfPart.of(read, table, counted), marks_of(table)

        return cls(read, unit, n_levels, tuple(_mapped(pairs, prepared, n_jobs, stay=True)), n_jobs)

    def counts(self, keys: NDArray[np.int64], peeled: Sequence[tuple[int, ...]] = ()) -> SliceCounts:
        """Return the counts of slices in all rows outside some others."""
        by_part = _mapped(self.parts, lambda part: part[0].without(peeled).counts(keys), self.n_jobs)
        total: SliceCounts = by_part[0]
        for counts in by_part[1:]:
            total = total.merged(counts)
        return total

    def population(self, peeled: Sequence[tuple[int, ...]] = ()) -> Population:
        """Return the losses of all rows outside some slices."""
        histograms = _mapped(self.parts, lambda part: part[0].without(peeled).histogram(self.n_levels), self.n_jobs)
        return Population(np.sum(histograms, axis=0))

    def used(self) -> UsedRows:
        """Return the fingerprints of all rows."""
        marks = _mapped(self.parts, lambda part: part[1], self.n_jobs)
        return UsedRows((("searched", np.sort(np.concatenate(marks))),))


def checked_losses(losses: Any, n_samples: int) -> FloatArray:
    """Return losses as (n_samples,) finite numbers of at least 0."""
    values = check_entries("losses", losses)
    if values.shape != (n_samples,) or values.dtype.kind not in "biuf":
        raise InputError(
            f"losses has shape {values.shape} of type {values.dtype}; expected one number for each row of X, shape "
            f"({n_samples},), such as whether a query at it is violated."
        )
    numbers: FloatArray = values.astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers >= 0)))
    if bad.size:
        raise InputError(
            f"losses must be finite numbers of at least 0, got {numbers[bad[0]]} in row {bad[0]}; drop those rows, or "
            "give sizes of violations."
        )
    return numbers


def _loss_figures(pair: tuple[Any, Any]) -> tuple[int, float, bool]:
    """Return how many rows there are, their largest loss, and whether all losses are 0 or 1."""
    table = check_rows(pair[0], at_least=0)
    values = checked_losses(pair[1], table.shape[0])
    return values.size, float(values.max(initial=0.0)), bool(np.isin(values, [0.0, 1.0]).all())


def _pairs(X: Any, losses: Any, bins: Bins | None, n_jobs: int | None) -> list[Any]:
    """Return parts of the rows, each with its losses."""
    if _is_lazy(X):
        return _lazy_pairs(X, losses, bins)
    if isinstance(X, (list, tuple)) and X and all(getattr(part, "ndim", 0) == 2 for part in X):
        _need_bins(bins, "a list of tables")
        if not isinstance(losses, (list, tuple)) or len(losses) != len(X):
            raise InputError(
                f"X has {len(X)} parts, so losses must be a list of as many arrays, got {type(losses).__name__}; give the losses "
                "of each part."
            )
        return list(zip(X, losses, strict=True))
    table = check_rows(X)
    values = checked_losses(losses, table.shape[0])
    n_blocks = min(table.shape[0], 1 if n_jobs is None else effective_n_jobs(n_jobs))
    blocks: list[IntArray] = np.array_split(np.arange(table.shape[0]), n_blocks)
    return [(table, values)] if n_blocks == 1 else [(tables_module.take(table, rows), values[rows]) for rows in blocks]


def _is_lazy(X: Any) -> bool:
    return hasattr(X, "to_delayed") and hasattr(X, "npartitions")


def _lazy_pairs(X: Any, losses: Any, bins: Bins | None) -> list[Any]:
    """Return Dask's own parts, each with its losses."""
    _need_bins(bins, "a Dask data frame")
    if not hasattr(losses, "to_delayed"):
        raise InputError(
            f"X is a Dask data frame, so losses must be a Dask series or array in the same parts, got {type(losses).__name__}; "
            "compute both alike, for example with map_partitions."
        )
    from dask import delayed as lazily

    tables = list(X.to_delayed())
    values = list(np.ravel(losses.to_delayed()))
    if len(values) != len(tables):
        raise InputError(f"X has {len(tables)} parts and losses {len(values)}; divide both alike.")
    return [lazily(_together)(table, table_losses) for table, table_losses in zip(tables, values, strict=True)]


def _together(table: Table, losses: Any) -> tuple[Table, Any]:
    return table, losses


def _need_bins(bins: Bins | None, given: str) -> None:
    if bins is None:
        raise InputError(
            f"X is {given}, whose parts need the same bins; give bins=Bins.from_rows(some_rows), read off a sample of the rows."
        )


def _mapped(
    parts: Sequence[Any], function: Callable[[Any], Result], n_jobs: int | None, *, stay: bool = False
) -> list[Result]:
    """Return the answers of a function for each part, in order; ``stay`` leaves Dask's answers where they are."""
    if parts and hasattr(parts[0], "__dask_graph__"):
        import dask

        lazy = [dask.delayed(function)(part) for part in parts]
        return list(dask.persist(*lazy) if stay else dask.compute(*lazy))
    if len(parts) == 1 or n_jobs is None:
        return [function(part) for part in parts]
    return list(Parallel(n_jobs=n_jobs, prefer="threads")(delayed(function)(part) for part in parts))
