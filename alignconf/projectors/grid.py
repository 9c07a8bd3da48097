r"""Projection on the grid of the constrained features: project at the knots, extend to every point.

The projection fixes :math:`g` at the knots. At any other point the delivered value is the model's own, moved only as
far as its neighbouring knots demand. On a line, for ``x`` strictly between the knots ``t_c`` and ``t_{c+1}``,

.. math:: g(x) = \mathrm{clip}(f(x), \; lo(G_c, G_{c+1}), \; hi(G_c, G_{c+1})),

with the interval that the property allows between its neighbours (for an increasing property
:math:`[G_c, G_{c+1}]`), one-sided outside the knots, and :math:`g(t_c) = G_c` at a knot. Hence :math:`g = f` on
members, and an order property can fail only for two points strictly inside the same cell.

On a grid a point has some coordinates of its own and sees the knots along each of the others. Values are built up by
the number of own coordinates. Let ``S`` be the axes with an own coordinate; on the knots of the other axes

.. math:: W_S = \mathrm{repair}_{\notin S}\big(\mathrm{clip}(f_S, \max_{j \in S} lo_j, \min_{j \in S} hi_j)\big),

where :math:`lo_j, hi_j` come from :math:`W_{S \setminus j}` at the two neighbouring knots of axis ``j``,
:math:`W_\emptyset = G`, and :math:`g(x) = W_{\text{all}}`. Along an ordered category all of whose categories are knots no
point has a coordinate of its own, so such axes stay out of ``S`` and the value is read off at the category.

*Why this is right for order properties.* The limits never cross: a lower limit from axis ``j`` and an upper limit from
axis ``k`` are both bounded by :math:`W_{S \setminus \{j, k\}}` at the same corner. Repairs are order preserving, so
they keep a value between limits that are themselves monotone along the repaired axes. For two points that differ along
axis ``j`` and are separated by a knot, ``g`` at the smaller is at most :math:`W_{S \setminus j}` at its upper knot,
which is at most the value at the lower knot of the larger, which is at most ``g`` there. So no pair across cells is
ever violated, and members are returned unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from alignconf._typing import BoolArray, FloatArray, Model, Table
from alignconf.contract.cells import Cells
from alignconf.lines.axis import Axis
from alignconf.lines.evaluation import (
    Lines,
    PlacedRows,
    evaluate_lines,
    evaluate_sites,
    evaluate_with_lines,
    moving_laws,
)
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.projectors.known_rounding import rounding_of
from alignconf.projectors.line_projection import SNAP, LineProjection, Part, Projection
from alignconf.projectors.projector import AtPoints, Projector
from alignconf.queries.queries import PartQueries

__all__ = ["GridProjector", "extend"]


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
        return self.projector.places_in_words + (f", because {self.reason}" if self.reason else "")

    def explained(self, reason: str) -> GridProjector:
        """Return the projector with why it was chosen."""
        return replace(self, reason=reason if self.reason in reason else f"{reason} {self.reason}")

    def count_sites(self, n_points: int) -> int:
        """Return the number of combinations of knots, plus that of knots and own places for each point."""
        moving = moving_laws(self.laws)
        return int(np.prod([law.knots.size for law in moving])) + n_points * _count_margin_sites(moving)

    @property
    def where(self) -> str:
        """The whole line, at its knots."""
        return "on the whole line of a fresh row, at the knots"

    @property
    def construction(self) -> str:
        """Why at full strength no query can fail: every place there is, an output or a category, is a knot; empty elsewhere.

        Several parts about order are projected onto a member, and so is one that compares the order of places only.
        """
        moving, parts = moving_laws(self.laws), self.projector.parts
        are_ordered = all(part.declared.direction is not None for part in parts)
        are_members = are_ordered or (len(parts) == 1 and parts[0].cuts is not None)
        if not are_members or not all(law.is_complete for law in moving):
            return ""
        if not moving:
            return "all outputs of a row are repaired together"
        return "the function is repaired at every category together" + " with all outputs" * (
            len(moving) < len(self.laws)
        )

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
        axis_laws = tuple(next((law for law in laws if law.axis == mine.axis), mine) for mine in self.projector.laws)
        parts = tuple(replace(part, law=axis_laws[part.axis]) for part in self.projector.parts)
        return replace(self, projector=replace(self.projector, laws=axis_laws, parts=parts))

    def lines(self, function: Model, table: Table) -> Lines:
        """Return the function's values at the knots of each row's line, or grid."""
        return evaluate_lines(function, table, self.projector.laws)

    def at_rows(self, function: Model, rows: PlacedRows) -> tuple[FloatArray, FloatArray]:
        """Return the function and its projection at a few rows: one call asks a row and the knots of its line."""
        moving = moving_laws(self.laws)
        placed = rows.along([law.axis for law in moving])
        if len(moving) != 1 or not placed.present.all() or not moving[0].axis.is_held_by_column:
            return super().at_rows(function, rows)
        predicted, lines = evaluate_with_lines(function, placed, moving[0])
        return predicted, self._extended(function, placed, lines, predicted)

    def apply(self, function: Model, rows: PlacedRows, predicted: FloatArray) -> FloatArray:
        """Return projected values at the rows, (n_samples,) or (n_samples, n_outputs)."""
        if moving_laws(self.laws):
            return self._extended(function, rows, self.lines(function, rows.table), predicted)
        # The outputs of a row are its whole line, and known.
        rounding = rounding_of(function, rows.table).of(predicted)
        return self.projector.project(Lines(predicted, rounding)).values

    def _extended(self, function: Model, rows: PlacedRows, lines: Lines, predicted: FloatArray) -> FloatArray:
        """Return projected values at rows whose lines are known, of the shape of ``predicted``."""
        projection = self.projector.project(lines, self.projector.weights_at(rows.table))
        places = rows.along([law.axis for law in moving_laws(self.laws)]).places
        _, g = self.extend(function, rows.table, projection, places[:, None, :], predicted=predicted[:, None])
        return g[:, 0]

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
        """Return the function and its repair at sites (n_samples, n_sites, n_axes), both (n_samples, n_sites, ...)."""
        return extend(function, table, self.projector, projection, sites, predicted=predicted)

    def serves(self, part: PartQueries) -> bool:
        """Return whether queries move rows along the axes, or not at all."""
        return part.is_on_lines

    def at_queries(self, function: Model, rows: PlacedRows, parts: Sequence[PartQueries]) -> list[AtPoints]:
        """Return the function and its projection at queries that move rows along the axes, each line projected once."""
        projection = self.project(function, rows.table)
        answers: list[AtPoints] = []
        for part in parts:
            f, g = self._at(function, rows, projection, part.drawn_from, part.coordinates)
            answers.append((part.of_outputs(f), part.of_outputs(g), projection.lines.rounding))
        return answers

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
            on_knots = (projection.lines.values[:, None], projection.values[:, None])
            f, g = (np.broadcast_to(values, (*shape, *values.shape[3:])) for values in on_knots)
            return f, g
        moving = moving_laws(self.laws)
        own_places = rows.along([law.axis for law in moving]).places
        sites = np.repeat(own_places[:, None, :], int(np.prod(shape[1:])), axis=1)
        for i, law in enumerate(laws):
            axis = next(axis for axis, grid_law in enumerate(moving) if grid_law is law)
            sites[:, :, axis] = places[..., i].reshape(shape[0], -1)
        f, g = self.extend(function, rows.table, projection, sites)
        return f.reshape(*shape, *f.shape[2:]), g.reshape(*shape, *f.shape[2:])

    def _are_knots(self, places: FloatArray) -> bool:
        """Whether queries are about all knots of the only axis, at which the projection already says what is repaired."""
        moving = moving_laws(self.laws)
        if len(moving) != 1 or self.projector.slack or places.ndim != 4:
            return False
        knots = moving[0].knots
        return places.shape[2:] == (knots.size, 1) and bool((places[..., 0] == knots).all())

    def half_widths(self, function: Model, rows: PlacedRows) -> FloatArray:
        """Return the smallest band that holds a member on the line, per row."""
        return self.projector.half_width(self.lines(function, rows.table))

    def repairs_exactly(self, function: Model, rows: PlacedRows) -> BoolArray:
        """Return, per row, whether the projection has the property at the knots."""
        projection = self.project(function, rows.table)
        return self.projector.is_member(projection.values, projection.lines.rounding)


def extend(
    model: Model,
    table: Table,
    projector: LineProjection,
    projection: Projection,
    places: FloatArray,
    predicted: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return ``f`` and ``g`` at sites of each row, two arrays of shape (n_samples, n_sites), or with all outputs of each site.

    Parameters
    ----------
    model, table : the model and the rows, n_samples of them
    projector, projection : how the rows' lines were repaired, and the result
    places : (n_samples, n_sites, n_axes)
        The sites: where each row's constrained features are moved to.
    predicted : (n_samples, n_sites) or (n_samples, n_sites, n_outputs), optional
        The model's predictions at the sites, where they are already known.
    """
    n_samples, n_sites, n_axes = places.shape
    laws, axes = projector.laws, tuple(range(len(projector.laws)))
    free = tuple(axis for axis in range(n_axes) if not laws[axis].is_complete)
    margins = _evaluate_margins(model, table, laws, free, places, predicted)
    row = np.repeat(np.arange(n_samples), n_sites)
    sites = places.reshape(row.size, n_axes)
    weights = tuple(
        axis_weights if axis_weights.ndim == 1 or len(axes) == 1 else axis_weights[row]
        for axis_weights in projection.weights
    )
    size = SNAP * projection.lines.rounding[row]
    plain: dict[tuple[int, ...], FloatArray] = {(): projection.lines.values[row], **margins}
    built: dict[tuple[int, ...], FloatArray] = {(): projection.values[row]}
    for count in range(1, len(free) + 1):
        for moved in combinations(free, count):
            f = margins[moved]
            low, high = np.full(f.shape, -np.inf), np.full(f.shape, np.inf)
            for part in projector.parts:
                if part.axis in moved:
                    inner = tuple(axis for axis in moved if axis != part.axis)
                    dimension = 1 + [axis for axis in axes if axis not in inner].index(part.axis)
                    limits = _limits(part, sites[:, part.axis], built[inner], plain[inner], dimension)
                    slack = part.slack if moved == free else 0.0
                    low, high = (
                        np.maximum(low, part.where_named(limits[0] - slack, -np.inf)),
                        np.minimum(high, part.where_named(limits[1] + slack, np.inf)),
                    )
            fixed = tuple(axis for axis in axes if axis not in moved)
            low, high = projector.closed_limits(low, high, fixed)
            clipped = np.minimum(np.maximum(f, low), high)
            repaired = projector.repair(clipped, fixed, weights) if fixed else clipped
            shape = (-1, *(1,) * len(fixed))
            built[moved] = np.where(np.abs(repaired - f) > size.reshape(shape), repaired, f)
    index = tuple(np.searchsorted(laws[axis].knots, sites[:, axis]) for axis in range(n_axes) if axis not in free)
    positions = (np.arange(len(sites)), *index)
    f, g = plain[free][positions], built[free][positions]
    if predicted is not None:
        known = predicted.reshape(f.shape)
        f, g = known, np.where(g != f, g, known)
    shape = (n_samples, n_sites, *f.shape[1:])
    return f.reshape(shape), np.clip(g, *projector.limits).reshape(shape)


def _count_margin_sites(laws: Sequence[ReferenceLaw]) -> int:
    """Return how many model rows one site costs: all combinations of knots and own coordinate, less the knots' own."""
    with_own = np.prod([law.knots.size + (not law.is_complete) for law in laws])
    return int(with_own - np.prod([law.knots.size for law in laws]))


def _evaluate_margins(
    model: Model,
    table: Table,
    laws: Sequence[ReferenceLaw],
    free: tuple[int, ...],
    places: FloatArray,
    predicted: FloatArray | None,
) -> dict[tuple[int, ...], FloatArray]:
    """Return, for each set of free axes with an own coordinate, ``f`` on the knots of the others: (n_sites_in_all, ...)."""
    n_samples, n_sites, n_axes = places.shape
    margins = {}
    for count in range(1, len(free) + 1):
        for moved in combinations(free, count):
            if len(moved) == n_axes and predicted is not None:
                margins[moved] = predicted.reshape(n_samples * n_sites, *predicted.shape[2:])
                continue
            fixed = [axis for axis in range(n_axes) if axis not in moved]
            knots = np.meshgrid(*(laws[axis].knots for axis in fixed), indexing="ij")
            shape = knots[0].shape if fixed else ()
            sites = np.empty((n_samples, n_sites, *shape, n_axes))
            for axis in moved:
                sites[..., axis] = places[:, :, axis].reshape(n_samples, n_sites, *(1,) * len(shape))
            for axis, grid in zip(fixed, knots, strict=True):
                sites[..., axis] = grid
            distinct_sites = (
                sites[:, :1] if np.array_equal(sites, np.broadcast_to(sites[:, :1], sites.shape)) else sites
            )
            values, _ = evaluate_sites(
                model, table, [law.axis for law in laws[:n_axes]], distinct_sites.reshape(n_samples, -1, n_axes)
            )
            shape = (*shape, *values.shape[2:])
            values = values.reshape(n_samples, -1, *shape)
            margins[moved] = np.broadcast_to(values, (n_samples, n_sites, *shape)).reshape(-1, *shape)
    return margins


def _limits(
    part: Part, places: FloatArray, grid: FloatArray, plain: FloatArray, dimension: int
) -> tuple[FloatArray, FloatArray]:
    """Return what a part allows at places along one dimension of its repaired grids (n_sites, ...), this dimension dropped.

    ``plain`` is the same grid before the repair.
    """
    lines = np.moveaxis(grid, dimension, -1)
    before = np.moveaxis(plain, dimension, -1)
    shape = lines.shape[:-1]
    repeated = np.broadcast_to(places.reshape(-1, *(1,) * (len(shape) - 1)), shape).ravel()
    changed = (lines != before).any(axis=-1).ravel()
    low, high = part.declared.allowed(Cells(repeated, part.law.knots, lines.reshape(len(repeated), -1), changed))
    return low.reshape(shape), high.reshape(shape)
