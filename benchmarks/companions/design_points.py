"""Nearest points of the surface ``f = threshold`` in standard normal space, by steps that never leave it; numpy alone.

Points are first moved along their rays to the surface. Then the nearest point of the tangent plane is aimed at (Hasofer and Lind
1974; Rackwitz and Fiessler 1978, doi:10.1016/0045-7949(78)90046-9), and of several shares of the way, each brought back to the
surface, the nearest to the origin is taken: on functions of straight pieces full steps jump to and fro. Last, points in the
direction of a nearer one are dropped, so that a part of the surface is counted once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from alignconf._typing import BoolArray, FloatArray

__all__ = ["FARTHEST", "N_POINTS", "Function", "approach", "distinct"]

#: From points (n_seeds, n, n_dimensions) to values (n_seeds, n), or to gradients (n_seeds, n, n_dimensions).
Function: TypeAlias = Callable[[FloatArray], FloatArray]

#: Points that are kept.
N_POINTS = 12
#: Two points are the same where the cosine between them is larger.
SAME = 0.9
#: Shares of the way to the nearest point of the tangent plane that are tried.
STEPS = np.array([0.0, 0.05, 0.2, 0.5, 1.0])
#: The surface is looked for up to this radius, at so many radii, and once more between two of them.
FARTHEST, N_RADII = 9.0, 18


def approach(
    points: FloatArray, values: Function, gradient: Function, threshold: FloatArray, n_steps: int
) -> FloatArray:
    """Return at most ``N_POINTS`` distinct points of the surface for each seed, nearer to the origin by some steps.

    Parameters
    ----------
    points : (n_seeds, n, n_dimensions)
    values, gradient : Function
    threshold : (n_seeds, 1)
    n_steps : int
    """
    points = _on_surface(points, values, threshold)
    n_seeds, n_points, n_dimensions = points.shape
    for _ in range(n_steps):
        slopes = gradient(points)
        squared = (slopes**2).sum(-1, keepdims=True)
        # Where there is no slope a point stays.
        along = (slopes * points).sum(-1, keepdims=True) / np.maximum(squared, 1e-12)
        aims = np.where(squared > 1e-12, along * slopes, points)
        steps = (aims - points)[:, :, None] * STEPS[:, None]
        tried = _on_surface((points[:, :, None] + steps).reshape(n_seeds, -1, n_dimensions), values, threshold)
        tried = tried.reshape(n_seeds, n_points, STEPS.size, n_dimensions)
        nearest = np.linalg.norm(tried, axis=-1).argmin(axis=2)
        points = np.take_along_axis(tried, nearest[:, :, None, None], axis=2)[:, :, 0]
    kept = (np.linalg.norm(points, axis=-1) + 2 * FARTHEST * ~distinct(points)).argsort(axis=1)[:, :N_POINTS]
    return np.take_along_axis(points, kept[:, :, None], axis=1)


def distinct(points: FloatArray) -> BoolArray:
    """Return which points (n_seeds, n, n_dimensions) have no nearer point in the same direction."""
    radius = np.linalg.norm(points, axis=-1)
    unit = points / np.maximum(radius, 1e-9)[..., None]
    alike = unit @ unit.swapaxes(1, 2) > SAME
    rank = radius.argsort(axis=1).argsort(axis=1)
    return np.asarray(~(alike & (rank[:, None, :] < rank[:, :, None])).any(axis=2))


def _on_surface(points: FloatArray, values: Function, threshold: FloatArray) -> FloatArray:
    """Return where the rays through points first meet the surface, near the end of the ray if they do not."""
    unit = points / np.maximum(np.linalg.norm(points, axis=-1, keepdims=True), 1e-9)
    low, width = np.zeros(unit.shape[:2]), FARTHEST
    for _ in range(2):
        width /= N_RADII
        radii = low[..., None] + width * np.arange(N_RADII + 1)
        rows = (unit[:, :, None] * radii[..., None]).reshape(len(unit), -1, unit.shape[2])
        beyond = (values(rows) > threshold).reshape(radii.shape)
        first = np.where(beyond.any(axis=-1), beyond.argmax(axis=-1), N_RADII)
        low = low + width * np.maximum(first - 1, 0)
    return np.asarray(unit * (low + width / 2)[..., None])
