r"""From the knots to every point: clip-to-knots, on lines and on grids.

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
from itertools import combinations

import numpy as np

from alignconf._typing import FloatArray, Model, Table
from alignconf.contract.property import Cells
from alignconf.lines.evaluation import evaluate_sites
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.projectors.line_projection import SNAP, LineProjection, Part, Projection

__all__ = ["count_margin_sites", "extend"]


def extend(
    model: Model,
    table: Table,
    projector: LineProjection,
    projection: Projection,
    places: FloatArray,
    predicted: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return ``f`` and ``g`` at sites of each row, two arrays of shape (n_samples, n_sites).

    Parameters
    ----------
    model, table : the model and the rows, n_samples of them
    projector, projection : how the rows' lines were repaired, and the result
    places : (n_samples, n_sites, n_axes)
        The sites: where each row's constrained features are moved to.
    predicted : (n_samples, n_sites), optional
        The model's predictions at the sites, where they are already known.
    """
    n_samples, n_sites, n_axes = places.shape
    laws, axes = projector.laws, tuple(range(n_axes))
    free = tuple(axis for axis in axes if not laws[axis].is_complete)
    margins = _evaluate_margins(model, table, laws, free, places, predicted)
    row = np.repeat(np.arange(n_samples), n_sites)
    sites = places.reshape(-1, n_axes)
    weights = tuple(
        axis_weights if axis_weights.ndim == 1 or n_axes == 1 else axis_weights[row]
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
                    low, high = np.maximum(low, limits[0] - slack), np.minimum(high, limits[1] + slack)
            clipped = np.minimum(np.maximum(f, low), high)
            fixed = tuple(axis for axis in axes if axis not in moved)
            repaired = projector.repair(clipped, fixed, weights) if fixed else clipped
            shape = (-1, *(1,) * len(fixed))
            built[moved] = np.where(np.abs(repaired - f) > size.reshape(shape), repaired, f)
    index = tuple(np.searchsorted(laws[axis].knots, sites[:, axis]) for axis in axes if axis not in free)
    positions = (np.arange(len(sites)), *index)
    f, g = plain[free][positions], built[free][positions]
    if predicted is not None:
        f, g = predicted.ravel(), np.where(g != f, g, predicted.ravel())
    shape = (n_samples, n_sites)
    return f.reshape(shape), np.clip(g, *projector.limits).reshape(shape)


def count_margin_sites(laws: Sequence[ReferenceLaw]) -> int:
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
                margins[moved] = predicted.ravel()
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
                model, table, [law.axis for law in laws], distinct_sites.reshape(n_samples, -1, n_axes)
            )
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
    low, high = part.declared.between(Cells(repeated, part.law.knots, lines.reshape(len(repeated), -1), changed))
    return low.reshape(shape), high.reshape(shape)
