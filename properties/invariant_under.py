r"""InvariantUnder: transforms of the input must not matter.

Applied again and again, the transforms lead from a row to the points of its orbit, on which :math:`g` must be constant:
:math:`g(x) = g(T(x))`. Swapping two sides has orbits of two rows, setting a protected attribute to each of its values has
orbits of as many. The least-squares repair is the mean over the distinct points, the repair of smallest band their midrange;
both are exact, because an orbit is the same set from each of its points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.contract import OrbitProperty
from alignconf.errors import InputError
from alignconf.orbit import as_point, closure, label

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
                f"transforms must list at least one function or mapping, got {self.transforms!r}; write for example "
                "transforms=[swap_sides] or transforms=[{'sex': 'female'}, {'sex': 'male'}]."
            )
        points = tuple(as_point("transforms", transform) for transform in self.transforms)
        object.__setattr__(self, "transforms", points)

    def __str__(self) -> str:
        """Return the property in words."""
        words = " and ".join(label(transform) for transform in self.transforms)
        return f"invariant under {words}" + (f" up to {self.tol:g}" if self.tol else "")

    def labels(self, n_points: int) -> tuple[str, ...]:
        """The row itself, and where the transforms lead."""
        return ("the row itself", *(f"transform {i}" for i in range(1, n_points)))

    def orbit(self, table: Table) -> list[Table]:
        """All points that the transforms lead to."""
        return closure(table, self.transforms)

    def demands(self, n_points: int) -> tuple[FloatArray, FloatArray]:
        """No point above any other."""
        pairs = list(permutations(range(n_points), 2))
        coefficients = np.zeros((len(pairs), n_points))
        for i, (above, below) in enumerate(pairs):
            coefficients[i, above], coefficients[i, below] = 1.0, -1.0
        if not pairs:
            return np.zeros((1, n_points)), np.zeros(1)
        return coefficients, np.zeros(len(pairs))

    def nearest(self, values: FloatArray, same: IntArray, norm: str) -> FloatArray:
        """The mean, or the midrange, of the distinct points; with a tolerance as far from it as that allows."""
        distinct = values[:, np.unique(same)]
        low, high = distinct.min(axis=1, keepdims=True), distinct.max(axis=1, keepdims=True)
        centre = distinct.mean(axis=1, keepdims=True) if norm == "l2" else low + (0.5 * high - 0.5 * low)
        centre = np.clip(centre, low, high)
        repaired = np.clip(values, centre - 0.5 * self.tol, centre + 0.5 * self.tol)
        return np.where(high - low <= self.tol, values, repaired)
