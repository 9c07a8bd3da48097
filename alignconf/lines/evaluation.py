"""Values of the model along the lines of rows, from nothing but its ``predict``.

The line of a row along a feature is ``f`` with only that feature varied (the row's ICE curve). With several constrained
features the line becomes a grid: all combinations of their knots. A **site** of a row is the row with its constrained
features moved to given places. Evaluating ``n_sites`` sites of ``n_samples`` rows costs ``n_samples * n_sites`` model
rows, all in one call of ``predict``; callers cut the rows into blocks (:func:`over_blocks`) so that memory stays
bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, Model, Table
from alignconf.lines.axis import Axis
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.tables import table as tables
from alignconf.tables.predictions import predictions
from alignconf.tables.rounding import Rounding

__all__ = ["Lines", "evaluate_lines", "evaluate_sites"]


@dataclass(frozen=True)
class Lines:
    """Values of a function at the knots of each row's line, or grid.

    Parameters
    ----------
    values : (n_samples, n_knots_1, ..., n_knots_p)
    rounding : (n_samples,)
        Differences below this are rounding of the model's own sums.
    """

    values: FloatArray
    rounding: FloatArray


def evaluate_sites(model: Model, table: Table, axes: Sequence[Axis], places: FloatArray) -> tuple[FloatArray, Rounding]:
    """Return the model's values at sites, (n_samples, n_sites), and the rounding of these values.

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
    moved = np.broadcast_to(places, (n_samples, n_sites, len(axes))).reshape(-1, len(axes))
    replaced: dict[int, NDArray[Any]] = {}
    for i, axis in enumerate(axes):
        replaced |= axis.moved(table, rows, moved[:, i])
    values, rounding = predictions(model, tables.replicate(table, rows, replaced))
    return values.reshape(n_samples, n_sites), rounding


def evaluate_lines(model: Model, table: Table, laws: Sequence[ReferenceLaw]) -> Lines:
    """Return the model's values at every combination of the knots of the constrained features."""
    grid = np.meshgrid(*(law.knots for law in laws), indexing="ij")
    places = np.stack([axis.ravel() for axis in grid], axis=-1)[None]
    values, rounding = evaluate_sites(model, table, [law.axis for law in laws], places)
    return Lines(values.reshape(-1, *grid[0].shape), rounding.of(values))
