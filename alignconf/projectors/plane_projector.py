"""Repair on the plane of two features: one projection onto everything that is demanded there, interpolated bilinearly.

The demands on neighbouring knots, of the plane and of lines along its two features, are linear inequalities on the values at
the knots. All of them are met at once by one projection (:mod:`alignconf.kernels.polyhedron`): least squares, or the
smallest largest deviation. Between the knots a plane that was changed is the bilinear interpolation, which keeps diminishing
returns, order, bounded slopes and curvature along both features; a plane that needed no change is left to the model. Beyond
the outermost knots it goes on as a constant, which keeps order, or straight, where more than order is demanded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alignconf._typing import BoolArray, FloatArray, Model, Table
from alignconf.contract.plane import PlaneProperty
from alignconf.kernels.polyhedron import polyhedron_least_squares, polyhedron_midpoint
from alignconf.kernels.sums import products
from alignconf.lines.evaluation import evaluate_sites
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.projectors.grid import GridProjector
from alignconf.projectors.line_projection import LineProjection, Part, Projection, Weights, demands_on_knots

__all__ = ["PlaneProjection", "PlaneProjector", "is_linear"]


@dataclass(frozen=True)
class PlaneProjection(LineProjection):
    """A projector of planes.

    Parameters
    ----------
    laws : (ReferenceLaw, ReferenceLaw)
    parts : tuple of Part
        Of lines along the two axes.
    norm, limits
        See :class:`~alignconf.projectors.line_projection.LineProjection`.
    planes : tuple of PlaneProperty
    """

    planes: tuple[PlaneProperty, ...] = ()

    @property
    def slack(self) -> float:
        """The distance from an exact member within which every demand holds up to the declared tolerance."""
        granted = [plane.tol / np.abs(plane.demands()[0]).sum(axis=1).max() for plane in self.planes]
        return float(min([*granted, *(part.slack for part in self.parts)]))

    @property
    def inequalities(self) -> tuple[FloatArray, FloatArray]:
        """The coefficients (n_demands, n_knots_1 * n_knots_2) and bounds of all demands on neighbouring knots, and of limits."""
        sizes = [law.knots.size for law in self.laws]
        demands = [_of_line(part, sizes) for part in self.parts] + [_of_plane(plane, sizes) for plane in self.planes]
        identity = np.eye(sizes[0] * sizes[1])
        low, high = self.limits
        demands += [(-identity, np.full(len(identity), -low)), (identity, np.full(len(identity), high))]
        A, b = (np.concatenate(arrays) for arrays in zip(*demands, strict=True))
        return A[np.isfinite(b)], b[np.isfinite(b)]

    def repair(self, values: FloatArray, axes: tuple[int, ...], weights: Weights) -> FloatArray:
        """Repair planes (n_planes, n_knots_1, n_knots_2), all of which share the weights (n_knots_1,) and (n_knots_2,)."""
        A, b = self.inequalities
        flat = values.reshape(len(values), -1)
        if self.norm == "sup":
            return polyhedron_midpoint(flat, A, b).reshape(values.shape)
        return polyhedron_least_squares(flat, A, b, np.multiply.outer(*weights).ravel()).reshape(values.shape)

    def is_member(self, values: FloatArray, rounding: FloatArray) -> BoolArray:
        """Return whether planes have every part at the knots, up to rounding (n_samples,): (n_samples,)."""
        A, b = self.inequalities
        excess = products(values.reshape(len(values), -1), A.T) - b
        return np.asarray((excess <= rounding[:, None]).all(axis=1))

    def _midpoint(self, values: FloatArray, axes: tuple[int, ...]) -> FloatArray:
        return polyhedron_midpoint(values.reshape(len(values), -1), *self.inequalities).reshape(values.shape)


@dataclass(frozen=True)
class PlaneProjector(GridProjector):
    """Each row's plane is projected at its knots and interpolated where the projection changed the plane.

    Parameters
    ----------
    projector : PlaneProjection
    """

    projector: PlaneProjection

    def count_sites(self, n_points: int) -> int:
        """Return the number of all knots plus that of the points."""
        return int(np.prod([law.knots.size for law in self.projector.laws])) + n_points

    @property
    def where(self) -> str:
        """The whole plane, at its knots."""
        return "on the whole plane of a fresh row, at the knots"

    def extend(
        self,
        function: Model,
        table: Table,
        projection: Projection,
        sites: FloatArray,
        predicted: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """Return the function and its repair at sites (n_samples, n_sites, 2), both (n_samples, n_sites)."""
        laws = self.projector.laws
        f = (
            predicted
            if predicted is not None
            else evaluate_sites(function, table, [law.axis for law in laws], sites)[0]
        )
        changed = (projection.values != projection.lines.values).any(axis=(1, 2))
        if all(part.declared.compares_pairs for part in self.projector.parts):
            ends = np.array([[law.knots[0], law.knots[-1]] for law in laws])
            straight = _bilinear(projection.values, laws, np.clip(sites, ends[:, 0], ends[:, 1]))
        else:
            straight = _bilinear(projection.values, laws, sites)
        near = np.clip(f, straight - self.projector.slack, straight + self.projector.slack)
        return f, np.clip(np.where(changed[:, None], near, f), *self.projector.limits)


def is_linear(part: Part) -> bool:
    """Whether a part demands inequalities without a choice, so that one projection can meet all of them."""
    return part.declared.is_linear and part.law.knots.size >= part.declared.n_points


def _of_line(part: Part, sizes: list[int]) -> tuple[FloatArray, FloatArray]:
    """Return what a part demands of neighbouring knots, on all lines of a grid of these sizes."""
    along, bounds = demands_on_knots(part.declared, part.law.knots)
    across = np.eye(sizes[1 - part.axis])
    A = np.kron(along, across) if part.axis == 0 else np.kron(across, along)
    b = np.repeat(bounds, len(across)) if part.axis == 0 else np.tile(bounds, len(across))
    return np.asarray(A, dtype=np.float64), b


def _of_plane(plane: PlaneProperty, sizes: list[int]) -> tuple[FloatArray, FloatArray]:
    """Return what a plane property demands of the cells between neighbouring knots."""
    coefficients, bounds = plane.demands()
    (low_1, high_1), (low_2, high_2) = ((np.eye(size)[:-1], np.eye(size)[1:]) for size in sizes)
    corners = [np.kron(low_1, low_2), np.kron(high_1, low_2), np.kron(low_1, high_2), np.kron(high_1, high_2)]
    A: FloatArray = np.concatenate([np.einsum("k,kij->ij", row, corners) for row in coefficients])
    b: FloatArray = np.repeat(bounds, len(corners[0]))
    return A, b


def _bilinear(values: FloatArray, laws: tuple[ReferenceLaw, ...], sites: FloatArray) -> FloatArray:
    """Return the bilinear interpolation (beyond the ends, extrapolation) of planes at sites (n_planes, n_sites, 2)."""
    index, share = [], []
    for axis, law in enumerate(laws):
        cell = np.clip(np.searchsorted(law.knots, sites[..., axis], side="right") - 1, 0, law.knots.size - 2)
        index.append(cell)
        share.append((sites[..., axis] - law.knots[cell]) / (law.knots[cell + 1] - law.knots[cell]))
    plane = np.arange(len(values))[:, None]
    (i, j), (s, t) = index, share
    low = (1 - s) * values[plane, i, j] + s * values[plane, i + 1, j]
    high = (1 - s) * values[plane, i, j + 1] + s * values[plane, i + 1, j + 1]
    interpolated: FloatArray = (1 - t) * low + t * high
    return interpolated
