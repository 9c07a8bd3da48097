r"""The box that is searched: which values every column may take, and how numbers in [0, 1) stand for them.

A query is a point of the unit cube. A coordinate ``z`` of a column with candidate values :math:`v_0, \dots, v_{m-1}` stands for
:math:`v_{\lfloor m z \rfloor}`, each as likely as any other, so that rare categories are reached; one of a column of numbers
stands for its ``z``-quantile, so that no unit has to be known and dense regions are wide. Where a model's own thresholds are
known, numbers have candidates too: one in each piece of the model that meets the range of the column, at the middle of the
values that occur there. Along that column the model takes no other value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import uniform

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.deployment.input_law import Continuous, Discrete, InputLaw, Marginal
from alignconf.lines.axis import Axis, TradeAxis
from alignconf.lines.ensemble import Ensemble
from alignconf.tables import table as tables

__all__ = ["Box", "Candidates", "Finite", "Smooth", "places_along"]

#: Of a column in which values may be missing, the share of the unit interval that stands for a missing one.
MISSING_SHARE = 0.05

#: A declared law without ends is searched between these two quantiles.
OUTERMOST = 1e-9

#: Largest number below 1.
BELOW_ONE = 1 - 2.0**-53


@dataclass(frozen=True, eq=False)
class Finite:
    """Candidate values of a column, (n_candidates,)."""

    values: NDArray[Any]

    @property
    def size(self) -> int | None:
        """The number of candidates."""
        return int(self.values.size)

    def values_at(self, z: FloatArray) -> NDArray[Any]:
        """Return the values that numbers in [0, 1) stand for."""
        values: NDArray[Any] = self.values[np.minimum((z * self.values.size).astype(np.intp), self.values.size - 1)]
        return values

    def of(self, values: NDArray[Any]) -> FloatArray:
        """Return numbers that stand for the candidates nearest to values; NaN where there is no candidate."""
        if self.values.dtype.kind in "biuf" and values.dtype.kind in "biuf":
            codes = _nearest(self.values.astype(np.float64), values.astype(np.float64))
        else:
            code_of = {_key(value): code for code, value in enumerate(self.values.tolist())}
            codes = np.array([code_of.get(_key(value), np.nan) for value in values.tolist()], dtype=np.float64)
        return (codes + 0.5) / self.values.size

    def present(self) -> Finite:
        """Return the candidates that are not missing."""
        missing = [tables.is_missing(value) for value in self.values.tolist()]
        return Finite(self.values[~np.array(missing)])


@dataclass(frozen=True, eq=False)
class Smooth:
    """Any value of a law, by quantiles; ``missing`` is the share of the unit interval that stands for a missing value."""

    law: Marginal
    missing: float = 0.0

    @property
    def size(self) -> int | None:
        """None, as the candidates are infinitely many."""
        return None

    def values_at(self, z: FloatArray) -> NDArray[Any]:
        """Return the values that numbers in [0, 1) stand for."""
        share = np.minimum(z / (1 - self.missing), BELOW_ONE)
        values = np.asarray(self.law.ppf(np.clip(share, OUTERMOST, 1 - OUTERMOST)))
        return np.where(z >= 1 - self.missing, np.nan, values) if self.missing else values

    def of(self, values: NDArray[Any]) -> FloatArray:
        """Return numbers that stand for values; NaN where no number does."""
        number = values.astype(np.float64)
        if isinstance(self.law, Continuous):
            share = np.interp(number, self.law.sample, np.linspace(0, 1, self.law.sample.size))
        elif hasattr(self.law, "cdf"):
            share = np.asarray(self.law.cdf(number))
        else:
            return np.full(number.shape, np.nan)
        missing = 1 - self.missing / 2 if self.missing else np.nan
        return np.where(np.isnan(number), missing, np.clip(share * (1 - self.missing), 0.0, BELOW_ONE))

    def present(self) -> Smooth:
        """Return the candidates that are not missing."""
        return replace(self, missing=0.0)


Candidates = Finite | Smooth


@dataclass(frozen=True, eq=False)
class Box:
    """All rows whose values are among the candidates of their columns.

    Parameters
    ----------
    template : Table
        One row, which gives columns their types.
    columns : tuple of Candidates
        One for each column.
    """

    template: Table
    columns: tuple[Candidates, ...]

    @classmethod
    def of_law(cls, law: InputLaw, ensemble: Ensemble | None = None) -> Box:
        """Return the box of the values that a law knows, cut at the thresholds of an ensemble where there is one."""
        columns = []
        for position, marginal in enumerate(law.marginals):
            column = _of_marginal(marginal)
            columns.append(column if ensemble is None else _on_pieces(column, marginal, ensemble, position))
        return cls(law.template, tuple(columns))

    def with_present(self, positions: set[int]) -> Box:
        """Return the box without missing values in some columns."""
        columns = [column.present() if i in positions else column for i, column in enumerate(self.columns)]
        return replace(self, columns=tuple(columns))

    def points(self, table: Table, random: np.random.Generator) -> FloatArray:
        """Return points of the unit cube that stand for rows, (n_samples, n_features); random for a value without a point."""
        coordinates = [column.of(tables.column(table, i)) for i, column in enumerate(self.columns)]
        points = np.stack(coordinates, axis=-1)
        return np.where(np.isnan(points), random.uniform(size=points.shape), points)

    def rows(self, columns: Mapping[int, NDArray[Any]], n_samples: int) -> Table:
        """Return rows with given values in some columns; the other columns have the template's value."""
        first = np.zeros(n_samples, dtype=np.intp)
        rows = tables.replicate(self.template, first, columns) if columns else tables.take(self.template, first)
        return rows.reset_index(drop=True) if hasattr(rows, "reset_index") else rows


def places_along(axis: Axis, box: Box) -> Candidates:
    """Return the candidate places along an axis: those of its column, as numbers; anything on a trade line."""
    if isinstance(axis, TradeAxis):
        return Smooth(uniform(0, 1))
    column = box.columns[axis.position].present()
    if isinstance(column, Smooth):
        return column
    if axis.order is None:
        return Finite(np.unique(column.values.astype(np.float64)))
    occurring = set(column.values.tolist())
    ranks: IntArray = np.array(
        [rank for rank, category in enumerate(axis.order) if category in occurring], dtype=np.intp
    )
    return Finite(ranks.astype(np.float64))


def _nearest(candidates: FloatArray, values: FloatArray) -> FloatArray:
    """Return the positions of the nearest candidates; a missing value has that of a missing candidate, or NaN."""
    present = np.flatnonzero(~np.isnan(candidates))
    order = present[np.argsort(candidates[present], kind="stable")]
    ends = (candidates[order][:-1] + candidates[order][1:]) / 2
    codes = order[np.searchsorted(ends, np.where(np.isnan(values), 0.0, values))].astype(np.float64)
    absent = np.flatnonzero(np.isnan(candidates))
    return np.where(np.isnan(values), float(absent[0]) if absent.size else np.nan, codes)


def _key(value: Any) -> Any:
    """Return a key that differs between values of a column; all missing values have the same key."""
    return None if tables.is_missing(value) else value


def _of_marginal(marginal: Marginal) -> Candidates:
    if isinstance(marginal, Discrete):
        return Finite(marginal.values)
    if isinstance(marginal, Continuous):
        return Smooth(replace(marginal, missing=0.0), MISSING_SHARE if marginal.missing else 0.0)
    return Smooth(marginal)


def _on_pieces(column: Candidates, marginal: Marginal, ensemble: Ensemble, position: int) -> Finite:
    """Return a candidate for each piece of an ensemble that meets the range of a column, and a missing one if there was."""
    is_used = ensemble.splits_on(position)
    if isinstance(column, Finite):
        values, has_missing = (
            column.present().values.astype(np.float64),
            column.values.size > column.present().values.size,
        )
    else:
        sample = marginal.sample if isinstance(marginal, Continuous) else np.asarray(column.present().values_at(GRID))
        values, has_missing = sample, column.missing > 0
    values = np.sort(values)
    occupied = ensemble.piece_of(position, values)
    pieces = np.arange(occupied[0], occupied[-1] + 1) if isinstance(column, Smooth) else np.unique(occupied)
    start, stop = np.searchsorted(occupied, pieces), np.searchsorted(occupied, pieces, side="right")
    middle = values[np.minimum((start + stop) // 2, values.size - 1)]
    ends = np.append(ensemble.pieces(position), np.inf)
    # A piece in which nothing occurs lies between two that are occupied, so that its end is within the range.
    candidates = np.where(stop > start, middle, ends[pieces])
    return Finite(np.append(candidates, np.nan) if has_missing and is_used else candidates)


#: Where a declared law without a sample is looked at.
GRID = (np.arange(10_000) + 0.5) / 10_000
