"""Rows with their places on lines, and values of the model along these lines, from nothing but its ``predict``.

A row has a place along the axis of each constrained feature, unless the feature is missing there; :class:`PlacedRows` looks
places up once. The line of a row along a feature is ``f`` with only that feature varied (the row's ICE curve). With several
constrained features the line becomes a grid: all combinations of their knots. A **site** of a row is the row with its constrained
features moved to given places. Evaluating ``n_sites`` sites of ``n_samples`` rows costs ``n_samples * n_sites`` model
rows, all in one call of ``predict``; callers cut the rows into blocks (:func:`over_blocks`) so that memory stays
bounded. Of a model with several outputs every call gives all of them: values have one dimension more, the last, and the axis of
outputs (:mod:`alignconf.lines.output_axis`), the last of a grid, moves no row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import BoolArray, FloatArray, IntArray, Model, Table
from alignconf.lines.axis import Axis
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.tables import table as tables
from alignconf.tables.predictions import Rounding, predictions

__all__ = ["Lines", "PlacedRows", "evaluate_lines", "evaluate_sites", "evaluate_with_lines", "moving_laws"]


@dataclass(frozen=True)
class Lines:
    """Values of a function at the knots of each row's line, or grid.

    Parameters
    ----------
    values : (n_samples, n_knots_1, ..., n_knots_p)
        The last dimension is that of outputs, where the function has several.
    rounding : (n_samples,)
        Differences below this are rounding of the model's own sums.
    """

    values: FloatArray
    rounding: FloatArray


@dataclass(frozen=True, eq=False)
class PlacedRows:
    """Rows with their places along axes.

    Parameters
    ----------
    table : Table of n_samples rows
    axes : tuple of Axis
        Each once.
    places : (n_samples, n_axes)
        NaN where missing.
    """

    table: Table
    axes: tuple[Axis, ...]
    places: FloatArray

    @classmethod
    def of(cls, table: Table, axes: Sequence[Axis]) -> PlacedRows:
        """Return the rows of a table with their places; refuse rows that have no place as :meth:`Axis.places` does."""
        distinct = tuple(dict.fromkeys(axes))
        places = np.empty((table.shape[0], len(distinct)))
        for i, axis in enumerate(distinct):
            places[:, i] = axis.places(table)
        return cls(table, distinct, places)

    @cached_property
    def present(self) -> BoolArray:
        """Which rows have a place along every axis, i.e. no constrained feature missing: (n_samples,)."""
        return np.logical_not(np.isnan(self.places).any(axis=1))

    def patterns(self) -> Iterator[tuple[IntArray, tuple[int, ...]]]:
        """Yield the rows that have places along the same axes, with the numbers of these axes; rows without any are left out."""
        present = ~np.isnan(self.places)
        if present.all() and present.size:
            yield np.arange(len(present)), tuple(range(present.shape[1]))
            return
        patterns, which = np.unique(present, axis=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            if pattern.any():
                yield np.flatnonzero(which.ravel() == i), tuple(np.flatnonzero(pattern).tolist())

    def take(self, rows: IntArray) -> PlacedRows:
        """Return the rows at some positions."""
        return PlacedRows(tables.take(self.table, rows), self.axes, self.places[rows])

    def along(self, axes: Sequence[Axis]) -> PlacedRows:
        """Return the rows with their places along some of the axes, in the order that is given."""
        if axes == self.axes:
            return self
        return PlacedRows(self.table, tuple(axes), self.places[:, [self.axes.index(axis) for axis in axes]])


def evaluate_sites(model: Model, table: Table, axes: Sequence[Axis], places: FloatArray) -> tuple[FloatArray, Rounding]:
    """Return the model's values at sites, (n_samples, n_sites) or (n_samples, n_sites, n_outputs), and their rounding.

    Parameters
    ----------
    model : Model
    table : Table of n_samples rows
    axes : one for each constrained feature
    places : (n_samples or 1, n_sites, n_axes)
        Where to move the constrained features to.
    """
    n_samples, n_sites = table.shape[0], places.shape[1]
    rows = np.repeat(np.arange(n_samples), n_sites)
    moved = np.broadcast_to(places, (n_samples, *places.shape[1:])).reshape(rows.size, places.shape[-1])
    replaced: dict[int, NDArray[Any]] = {}
    for axis, axis_places in zip(axes, moved.T, strict=True):
        replaced |= axis.moved(table, rows, axis_places)
    sites = tables.replicate(table, rows, replaced) if replaced else tables.take(table, rows)
    values, rounding = predictions(model, sites)
    return values.reshape(n_samples, n_sites, *values.shape[1:]), rounding


def evaluate_with_lines(model: Model, rows: PlacedRows, law: ReferenceLaw) -> tuple[FloatArray, Lines]:
    """Return the model's values at rows with places along one axis, (n_samples,), and at the knots, from a single call.

    Parameters
    ----------
    model : Model
    rows : PlacedRows, all with a place along the axis of the law, where they lie exactly
    law : ReferenceLaw
    """
    knots = np.broadcast_to(law.knots, (len(rows.places), law.knots.size))
    places = np.concatenate([knots, rows.places], axis=1)[:, :, None]
    values, rounding = evaluate_sites(model, rows.table, rows.axes, places)
    of_knots = np.ascontiguousarray(values[:, :-1])
    return values[:, -1].copy(), Lines(of_knots, rounding.of(of_knots))


def evaluate_lines(model: Model, table: Table, laws: Sequence[ReferenceLaw]) -> Lines:
    """Return the model's values at every combination of the knots of the constrained features, and of outputs."""
    moving = moving_laws(laws)
    shape = tuple(law.knots.size for law in moving)
    places = np.empty((1, prod(shape), len(moving)))
    for i, knots in enumerate(np.meshgrid(*(law.knots for law in moving), indexing="ij")):
        places[0, :, i] = knots.ravel()
    values, rounding = evaluate_sites(model, table, [law.axis for law in moving], places)
    return Lines(values.reshape(-1, *(law.knots.size for law in laws)), rounding.of(values))


def moving_laws(laws: Sequence[ReferenceLaw]) -> tuple[ReferenceLaw, ...]:
    """Return the laws along whose axes rows move: all but that of outputs, which come with every call."""
    return tuple(law for law in laws if law.axis.columns)
