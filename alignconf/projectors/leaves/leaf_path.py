r"""From the model to its projection leaf by leaf, so that an ordinary ensemble is delivered at every half-width.

With leaf values :math:`v` of the model and :math:`v'` in order, the delivered ensemble has the leaves

.. math:: v_\lambda = v' \; (|v' - v| \le \lambda), \qquad v \pm \lambda \; (\text{otherwise, towards } v'),

so it is the model at :math:`\lambda = 0` and the projection at infinity. ``lambda_`` is in the unit of the margin's terms. The
band at a row, within which the delivered margin stays, is :math:`m \pm \sum_t \min(\lambda, |v'_t - v_t|)` over the leaves that
the row reaches, divided by the number of trees for a forest.

A query compares margins, in whose order predictions are. It is rejected along the path on finitely many intervals, whose ends
are exact (:mod:`alignconf.kernels.leaf_rejection`); the score is the last of them, as always. An excess of predictions beyond
their rounding is one of margins beyond theirs, so no rejection of the delivered function is missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray, Model, Table
from alignconf.kernels.leaf_rejection import last_rejections
from alignconf.kernels.tree_walk import LEAF
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.model_trees import ModelTrees
from alignconf.projectors.band import Scale
from alignconf.projectors.leaves.joint_fit import leaves_of, mean_and_slope
from alignconf.queries.queries import PartQueries
from alignconf.tables.predictions import predictions

__all__ = ["LeafMoves", "LeafPath"]

#: Sums of written leaves are rounded once more than those of the model.
ROUNDINGS = 2.0


@dataclass(frozen=True)
class LeafPath(Scale):
    """The band of a model whose leaves move; difficulty and ray are left out.

    Parameters
    ----------
    model : Model
        The function with trees.
    trees : ModelTrees
        Its trees.
    moved : (n_leaves,)
        Leaf values in order.
    """

    model: Any = None
    trees: ModelTrees | None = None
    moved: FloatArray | None = None

    @cached_property
    def _values(self) -> tuple[FloatArray, FloatArray]:
        """Leaf values of the model, and in order."""
        nodes = self._ensemble.nodes
        assert self.moved is not None
        return np.ascontiguousarray(nodes["number"][nodes["split"] == LEAF]), self.moved

    @property
    def _ensemble(self) -> Ensemble:
        assert self.trees is not None
        return self.trees.ensemble

    def _leaves(self, table: Table) -> NDArray[np.int32]:
        """Return which leaves rows reach, (n_samples, n_trees)."""
        assert self.trees is not None
        return leaves_of(self._ensemble, self.trees.numbers(table))

    def __str__(self) -> str:
        """Return the path in words."""
        return "leaf by leaf"

    def leaf_values(self, half_width: float) -> FloatArray:
        """Return the leaf values at a half-width, (n_leaves,)."""
        before, after = self._values
        return _towards(before, after, half_width)

    def native(self, half_width: float) -> Model:
        """Return the delivered function at a half-width as a model by itself."""
        ensemble = self._ensemble
        if half_width == 0:
            return cast(Model, self.model)
        is_sum_in_any_order = ensemble.divisor != 1 or ensemble.is_single
        delivered: Model = self.model.with_leaves(self.leaf_values(half_width), exact=is_sum_in_any_order)
        return delivered

    def deliver(self, table: Table, f: FloatArray, g: FloatArray, half_widths: float | FloatArray) -> FloatArray:
        """Return the delivered function at rows, (n_samples,), for one ``lambda_`` or one for each row."""
        return self._at(self._leaves(table), half_widths)

    def ends(self, table: Table, f: FloatArray, half_widths: float | FloatArray) -> FloatArray:
        """Return the ends of the band, (n_samples, 2), rounded outwards so that they hold every delivered value."""
        ensemble, leaves = self._ensemble, self._leaves(table)
        before, after = self._values
        limits = np.broadcast_to(half_widths, len(leaves))[:, None]
        size = np.minimum(np.abs(after - before)[leaves], limits).sum(axis=1)
        sides = np.array([-1.0, 1.0]) * (size + self.negligible)[:, None]
        margins = (ensemble.base + before[leaves].sum(axis=1)[:, None] + sides) / ensemble.divisor
        values = mean_and_slope(ensemble.link, margins)[0]
        return np.column_stack([np.minimum(values[:, 0], f), np.maximum(values[:, 1], f)])

    @property
    def negligible(self) -> float:
        """The size up to which a difference of sums of leaves is rounding."""
        return ROUNDINGS * self._ensemble.sum_error

    def moves(self, part: PartQueries, table: Table, native: Model | None) -> LeafMoves:
        """Return how the points of a part's queries move with the half-width."""
        sites = part.sites(table)
        starts = np.cumsum([0, *(site.shape[0] for site in sites)])
        points = part.arrange([np.arange(start, stop) for start, stop in pairwise(starts)])
        leaves = np.concatenate([self._leaves(site) for site in sites])
        values = None if native is None else part.arrange([predictions(native, site)[0] for site in sites])
        return LeafMoves(self, points.astype(np.intp), leaves, values)

    def _at(self, leaves: NDArray[np.int32], half_widths: float | FloatArray) -> FloatArray:
        """Return predictions from the leaves (n_rows, n_trees) that rows reach, for one half-width or one for each row."""
        before, after = self._values
        if np.ndim(half_widths) == 0:
            sums = _towards(before, after, float(half_widths))[leaves].sum(axis=1)
        else:
            sums = _towards(before[leaves], after[leaves], np.asarray(half_widths)[:, None]).sum(axis=1)
        return mean_and_slope(self._ensemble.link, (self._ensemble.base + sums) / self._ensemble.divisor)[0]


@dataclass(frozen=True)
class LeafMoves:
    """How the values at the points of queries move with the half-width.

    Parameters
    ----------
    path : LeafPath
    points : (n_samples, n_queries, n_points)
        Which row of ``leaves`` each point is.
    leaves : (n_sites, n_trees)
    native : (n_samples, n_queries, n_points) or None
        What the delivered model says of the points, once there is one.
    """

    path: LeafPath
    points: IntArray
    leaves: NDArray[np.int32]
    native: FloatArray | None

    def delivered(self, half_widths: float | FloatArray) -> FloatArray:
        """Return the delivered function at the points, for one half-width or one for each row, (n_samples, 1, 1)."""
        if self.native is not None:
            return self.native
        if np.ndim(half_widths) == 0:
            return self.path._at(self.leaves, half_widths)[self.points]
        of_points = np.broadcast_to(half_widths, self.points.shape).ravel()
        return self.path._at(self.leaves[self.points.ravel()], of_points).reshape(self.points.shape)

    def last_rejection(self, queries: PartQueries) -> FloatArray:
        """Return the last half-width at which each query is rejected, (n_samples, n_queries)."""
        coefficients, _ = queries.demands
        n_points = self.points.shape[-1]
        arguments = np.arange(n_points)[None] if queries.arguments is None else queries.arguments
        shape = (*self.points.shape[:2], coefficients.shape[-3], coefficients.shape[-1])
        of_demands = np.ascontiguousarray(np.broadcast_to(coefficients[..., 0, :], shape))
        about = np.ascontiguousarray(np.broadcast_to(arguments, shape[2:]), np.intp)
        return last_rejections(self.leaves, self.points, about, of_demands, self.path._values, self.path.negligible)


def _towards(before: FloatArray, after: FloatArray, half_width: float | FloatArray) -> FloatArray:
    """Return values at a half-width from ``before``: ``after`` itself wherever it is within."""
    d = after - before
    return np.where(np.abs(d) <= half_width, after, before + np.sign(d) * np.minimum(half_width, np.abs(d)))
