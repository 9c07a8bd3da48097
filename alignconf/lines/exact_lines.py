"""What a model must answer so that its lines are known exactly, without asking ``predict``.

Along a feature such a model is a step function. It says where its pieces end (:meth:`ExactLines.ends`), its values at chosen
places of a line (:meth:`ExactLines.line`) or of a plane (:meth:`ExactLines.plane`), and how its sums are rounded; or a sentence
that says why lines along a feature are not known (:meth:`ExactLines.why_not`). A linear model is no step function: it has values
at all places, and a sentence in place of pieces (:meth:`ExactLines.why_no_pieces`).

How a row moves is a :class:`Move`: the values that some columns take, place by place, while all others stay. A step of a Pipeline
turns the move of a feature into that of the columns behind it, so a model behind steps answers by what the model behind
them answers; a model that joins the answers of others asks each for its line at the same places.

Implementations: tree ensembles (:class:`alignconf.lines.ensemble.Ensemble`), linear models
(:class:`alignconf.lines.linear_lines.LinearLines`), models behind steps (:class:`alignconf.lines.piped_lines.PipedLines`), and
functions of the answers of several (:class:`alignconf.lines.joined_lines.JoinedLines`). :mod:`alignconf.lines.composition` reads
them off a fitted model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.kernels.order import per_line
from alignconf.kernels.tree_projection import LookedUp, project_values
from alignconf.lines.axis import Axis
from alignconf.lines.routes import Route
from alignconf.tables.predictions import Rounding

__all__ = ["ExactGrids", "ExactLine", "ExactLines", "Move", "ProjectedAt", "piece_of", "project_line"]


@dataclass(frozen=True)
class Move:
    """The values that columns take as a row moves along its line, place by place.

    Parameters
    ----------
    route : Route
        Of the feature, to the columns that move.
    values : mapping of int to (n_places,)
        By the position of each of these columns; empty if none moves.
    n_places : int
    """

    route: Route
    values: Mapping[int, NDArray[Any]]
    n_places: int

    @classmethod
    def along(cls, axis: Axis, places: FloatArray) -> Move:
        """Return the move of a row along an axis, through some places."""
        return cls(Route.of(axis), {axis.position: axis.values(places)}, places.size)


class ExactLines(Protocol):
    """A model whose lines are known."""

    @property
    def rounding(self) -> Rounding:
        """The rounding of its values, the model's own or those of its lines."""

    @property
    def unit(self) -> float:
        """The unit roundoff of the model's own arithmetic."""

    @property
    def made_of(self) -> str:
        """What its values are made of, in words, such as "trees"."""

    def why_not(self, route: Route, /) -> str:
        """Return why lines along a feature are not known; empty if they are."""

    def why_no_pieces(self, route: Route, /) -> str:
        """Return why known lines along a feature are no step functions; empty if they are."""

    def predict(self, table: Table, /) -> FloatArray:
        """Return predictions, (n_samples,): the model's own up to rounding."""

    def ends(self, route: Route, /) -> FloatArray:
        """Return the largest number in each piece but the last along the only column of a route, increasing: (n_pieces - 1,).

        A route without columns has a single piece.
        """

    def line(self, move: Move, /) -> ExactLine:
        """Return the lines of rows as they move."""

    def plane(self, first: Move, second: Move, /) -> ExactGrids:
        """Return the grids of rows as they move along two features."""


class ExactGrids(Protocol):
    """The values of a model at fixed places of each row's line, or grid."""

    @property
    def model(self) -> ExactLines:
        """The model."""

    def values(self, table: Table, /) -> FloatArray:
        """Return the values, (n_samples, n_places) or (n_samples, n_places_1, n_places_2)."""


class ExactLine(ExactGrids, Protocol):
    """The line of each row at fixed places."""

    def project(
        self,
        table: Table,
        pieces: IntArray,
        weights: FloatArray | None,
        /,
        *,
        increasing: bool = True,
        predicted: FloatArray | None = None,
    ) -> ProjectedAt:
        """Project the line of each row onto the monotone lines and look both up at pieces, (n_samples, n_lookups).

        Parameters
        ----------
        table : Table of n_samples rows
        pieces : (n_samples, n_lookups)
            Numbers of places; -1 for a missing value.
        weights : (n_places,), or (n_samples, n_places) with each row's own, or None
            Positive weights of the least-squares projection; None for the midpoint, the nearest in largest distance.
        increasing : bool
            False for decreasing lines.
        predicted : (n_samples, n_lookups), optional
            What the model says at these pieces. Limits are told wherever it could cross them.
        """


@dataclass(frozen=True)
class ProjectedAt:
    """Lines and their projections, looked up.

    Parameters
    ----------
    values, fitted : (n_samples, n_lookups)
        The line and its projection; NaN where the feature is missing.
    below, above : (n_samples, n_lookups)
        The nearest values to which the projection moves places on either side; infinite where no place is moved, and where
        such values are known to be farther than rounding.
    """

    values: FloatArray
    fitted: FloatArray
    below: FloatArray
    above: FloatArray

    @classmethod
    def empty(cls, pieces: IntArray) -> ProjectedAt:
        """Return room for what is looked up at pieces, (n_samples, n_lookups)."""
        return cls(*(np.empty(pieces.shape) for _ in range(4)))

    @property
    def lookups(self) -> LookedUp:
        """All of it, as kernels fill it."""
        return self.values, self.fitted, self.below, self.above


def piece_of(places: FloatArray, x: ArrayLike) -> IntArray:
    """Return the number of the place that stands for each value, of the shape of ``x``; -1 for missing ones.

    A place stands for the values above the place before and up to itself, the last one also for those above.
    """
    values = np.asarray(x, dtype=np.float64)
    pieces = np.minimum(np.searchsorted(places, values, side="left"), places.size - 1)
    return np.where(np.isnan(values), -1, pieces)


def project_line(values: FloatArray, pieces: IntArray, weights: FloatArray | None, *, increasing: bool) -> ProjectedAt:
    """Project lines that are known, (n_samples, n_places), as :meth:`ExactLine.project` does."""
    pieces = np.ascontiguousarray(pieces, dtype=np.intp)
    looked_up = ProjectedAt.empty(pieces)
    rule = (
        per_line(np.ones(values.shape[1]) if weights is None else weights),
        weights is not None,
        1.0 if increasing else -1.0,
        0.0,
        np.inf,
    )
    unknown = np.full(pieces.shape, np.nan)
    project_values(np.ascontiguousarray(values), rule, pieces, unknown, looked_up.lookups)
    return looked_up
