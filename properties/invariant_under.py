r"""InvariantUnder: transforms of the input must not matter.

Applied again and again, the transforms lead from a row to the points of its orbit, on which :math:`g` must be constant:
:math:`g(x) = g(T(x))`. Swapping two sides has orbits of two rows, setting a protected attribute to each of its values has
orbits of as many. The least-squares repair is the mean over the distinct points, the repair of smallest band their midrange;
both are exact where an orbit is the same set from each of its points. From a row whose attribute has a value that no transform
sets, the orbit is larger than from the others: list all values; what is left otherwise is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.contract.orbit import OrbitProperty, as_point, closure, label
from alignconf.errors import InputError, quoted
from alignconf.kernels.sums import total

__all__ = ["InvariantUnder"]


@dataclass(frozen=True, repr=False)
class InvariantUnder(OrbitProperty):
    """Predictions are the same at a row and at its transforms: symmetric inputs, attributes that must not matter.

    Parameters
    ----------
    transforms : sequence
        Functions from a table of rows to a table of the same shape, or mappings from features to values (the row with
        these columns set). They must come back to where they started, like a swap or a cycle, or lead to fixed values.
    tol : float, default=0
        Largest difference that does not matter.

    Examples
    --------
    >>> def swap(rows):
    ...     return rows[:, [1, 0]]
    >>> print(InvariantUnder([swap]))
    invariant under swap
    >>> InvariantUnder([{"sex": "female"}, {"sex": "male"}])
    InvariantUnder([{'sex': 'female'}, {'sex': 'male'}])
    """

    transforms: Sequence[Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.transforms, str) or not isinstance(self.transforms, Sequence) or not len(self.transforms):
            raise InputError(
                f"transforms must list at least one function or mapping, got {quoted(self.transforms)}; write for example "
                "transforms=[swap_sides] or transforms=[{'sex': 'female'}, {'sex': 'male'}]."
            )
        points = tuple(as_point("transforms", transform) for transform in self.transforms)
        object.__setattr__(self, "transforms", points)

    def __str__(self) -> str:
        """Return the property in words."""
        words = " and ".join(label(transform) for transform in self.transforms)
        return f"invariant under {words}" + (f" up to {self.tol:g}" if self.tol else "")

    def labels(self, n_points: int) -> tuple[str, ...]:
        """Return the row itself and the transforms, in words."""
        return ("the row itself", *(f"transform {i}" for i in range(1, n_points)))

    def orbit(self, table: Table) -> list[Table]:
        """Return all points that the transforms lead to."""
        return closure(table, self.transforms)

    def demands(self, n_points: int) -> tuple[FloatArray, FloatArray]:
        """Demand that no point be above another."""
        pairs = list(permutations(range(n_points), 2))
        coefficients = np.zeros((len(pairs), n_points))
        for i, (above, below) in enumerate(pairs):
            coefficients[i, above], coefficients[i, below] = 1.0, -1.0
        if not pairs:
            return np.zeros((1, n_points)), np.zeros(1)
        return coefficients, np.zeros(len(pairs))

    def nearest(self, values: FloatArray, same: IntArray, norm: str) -> FloatArray:
        """Return the mean or midrange of the distinct points; with a tolerance, values cut to an interval of that length."""
        # Sorted, so that every point of an orbit comes to the same value bit for bit.
        distinct = np.sort(values[:, np.unique(same)], axis=1)
        low, high = distinct[:, :1], distinct[:, -1:]
        midrange = low + (0.5 * high - 0.5 * low)
        lowest = midrange - 0.5 * self.tol if norm == "sup" else _lowest(distinct, float(self.tol))
        repaired = np.clip(values, lowest, lowest + self.tol)
        return np.where(high - low <= self.tol, values, repaired)


def _lowest(ordered: FloatArray, tol: float) -> FloatArray:
    """Return the lower end of the interval of length ``tol`` to which sorted values (n_orbits, n_points) are cut: (n_orbits, 1).

    The least sum of squares has as much to lift to the lower end as to push down to the upper one. Both change linearly
    while the ``i`` smallest values are lifted and the ``j`` largest pushed; without a tolerance it is the mean.
    """
    n_points = ordered.shape[1]
    if not tol:
        mean: FloatArray = total(ordered / n_points)[:, None]
        return np.clip(mean, ordered[:, :1], ordered[:, -1:])
    corners = np.sort(np.concatenate([ordered, ordered - tol], axis=1), axis=1)
    surplus = np.stack([_surplus(ordered, corner, tol) for corner in corners.T], axis=1)
    # The surplus grows with the lower end: zero between the last corner where it is not positive and the next one.
    last = np.clip((surplus <= 0).sum(axis=1, keepdims=True) - 1, 0, corners.shape[1] - 2)
    left, right = (np.take_along_axis(corners, last + k, axis=1) for k in (0, 1))
    before, after = (np.take_along_axis(surplus, last + k, axis=1) for k in (0, 1))
    rise = np.where(after > before, after - before, 1.0)
    lowest: FloatArray = left + (right - left) * np.clip(-before / rise, 0.0, 1.0)
    return lowest


def _surplus(ordered: FloatArray, lowest: FloatArray, tol: float) -> FloatArray:
    """Return how much more is lifted to ``lowest`` (n_orbits,) than pushed down to ``lowest + tol``: (n_orbits,)."""
    above = ordered - lowest[:, None]
    return total(np.maximum(-above, 0.0) - np.maximum(above - tol, 0.0))
