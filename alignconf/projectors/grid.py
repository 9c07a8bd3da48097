"""Projection on the grid of the constrained features: project at the knots, extend to every point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from alignconf._typing import BoolArray, FloatArray, Model, Table
from alignconf.lines.axis import Axis
from alignconf.lines.evaluation import Lines, PlacedRows, evaluate_lines
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.projectors.extension import count_margin_sites, extend
from alignconf.projectors.line_projection import LineProjection, Projection
from alignconf.projectors.projector import AtPoints, Projector
from alignconf.queries.queries import PartQueries

__all__ = ["GridProjector"]


@dataclass(frozen=True)
class GridProjector(Projector):
    """Each row's line, or grid, is projected at its knots; other points move as far as their neighbours demand.

    Parameters
    ----------
    projector : LineProjection
    reason : str
        Why lines come from the model's predictions and not from its trees.
    """

    projector: LineProjection
    reason: str = field(default="", kw_only=True)

    @property
    def path(self) -> str:
        """The way to repaired values, in words."""
        knots = " x ".join(str(law.knots.size) for law in self.projector.laws)
        return f"at {knots} knots" + (f", because {self.reason}" if self.reason else "")

    def count_sites(self, n_points: int) -> int:
        """Return the number of combinations of knots, plus that of knots and own places for each point."""
        grid = int(np.prod([law.knots.size for law in self.projector.laws]))
        return grid + n_points * count_margin_sites(self.projector.laws)

    @property
    def where(self) -> str:
        """The whole line, at its knots."""
        return "on the whole line of a fresh row, at the knots"

    @property
    def laws(self) -> tuple[ReferenceLaw, ...]:
        """The reference laws of the grid's axes."""
        return self.projector.laws

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the grid."""
        return tuple(law.axis for law in self.laws)

    def within(self, limits: tuple[float, float]) -> GridProjector:
        """Return the repair with other limits for its values."""
        return replace(self, projector=replace(self.projector, limits=limits))

    def along_laws(self, laws: Sequence[ReferenceLaw]) -> GridProjector:
        """Return the repair with the laws among ``laws`` that have its axes and knots, in place of its own."""
        axis_laws = tuple(next(law for law in laws if law.axis == mine.axis) for mine in self.projector.laws)
        parts = tuple(replace(part, law=axis_laws[part.axis]) for part in self.projector.parts)
        return replace(self, projector=replace(self.projector, laws=axis_laws, parts=parts))

    def lines(self, function: Model, table: Table) -> Lines:
        """Return the function's values at the knots of each row's line, or grid."""
        return evaluate_lines(function, table, self.projector.laws)

    def apply(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return projected values at the rows, (n_samples,)."""
        projection = self.project(function, rows.table)
        sites = rows.places[:, None, :]
        return self.extend(function, rows.table, projection, sites, predicted=predicted[:, None])[1][:, 0]

    def project(self, function: Model, table: Table) -> Projection:
        """Return the projection of each row's line, or grid."""
        return self.projector.project(self.lines(function, table), self.projector.weights_at(table))

    def extend(
        self,
        function: Model,
        table: Table,
        projection: Projection,
        sites: FloatArray,
        predicted: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """Return the function and its repair at sites (n_samples, n_sites, n_axes), both (n_samples, n_sites)."""
        return extend(function, table, self.projector, projection, sites, predicted=predicted)

    def serves(self, part: PartQueries) -> bool:
        """Return whether queries move rows along the axes."""
        return bool(part.drawn_from)

    def at_queries(self, function: Model, rows: PlacedRows, parts: Sequence[PartQueries]) -> list[AtPoints]:
        """Return the function and its projection at queries that move rows along the axes, each line projected once."""
        projection = self.project(function, rows.table)
        size = projection.lines.rounding
        return [(*self._at(function, rows, projection, part.drawn_from, part.coordinates), size) for part in parts]

    def along(self, function: Model, rows: PlacedRows, axis: int, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the function and its projection as rows move along one axis, both (n_samples, n_places), as ``places``."""
        projection = self.project(function, rows.table)
        return self._at(function, rows, projection, [self.laws[axis]], places[..., None])

    def _at(
        self,
        function: Model,
        rows: PlacedRows,
        projection: Projection,
        laws: Sequence[ReferenceLaw],
        places: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        shape = places.shape[:-1]
        if self._are_knots(places):
            return (
                np.broadcast_to(projection.lines.values[:, None, :], shape),
                np.broadcast_to(projection.values[:, None, :], shape),
            )
        sites = np.repeat(rows.along(self.axes).places[:, None, :], int(np.prod(shape[1:])), axis=1)
        for i, law in enumerate(laws):
            axis = next(axis for axis, grid_law in enumerate(self.projector.laws) if grid_law is law)
            sites[:, :, axis] = places[..., i].reshape(shape[0], -1)
        f, g = self.extend(function, rows.table, projection, sites)
        return f.reshape(shape), g.reshape(shape)

    def _are_knots(self, places: FloatArray) -> bool:
        """Whether queries are about all knots of the only axis, at which the projection already says what is repaired."""
        knots = self.projector.laws[0].knots
        alone = len(self.projector.laws) == 1 and not self.projector.slack
        if not alone or places.ndim != 4 or places.shape[2:] != (knots.size, 1):
            return False
        return bool((places[..., 0] == knots).all())

    def half_widths(self, function: Model, rows: PlacedRows) -> FloatArray:
        """Return the smallest band that holds a member on the line, per row."""
        return self.projector.half_width(self.lines(function, rows.table))

    def repairs_exactly(self, function: Model, rows: PlacedRows) -> BoolArray:
        """Return, per row, whether the projection has the property at the knots."""
        projection = self.project(function, rows.table)
        return self.projector.is_member(projection.values, projection.lines.rounding)
