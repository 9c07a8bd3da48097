"""Which rules about orbits are projected together, and the limits that all rules leave to values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alignconf._typing import Table
from alignconf.contract.orbit import OrbitProperty
from alignconf.contract.property import Property
from alignconf.errors import InputError
from alignconf.projectors.orbit_projector import OrbitProjector
from alignconf.projectors.projector import Projector
from alignconf.queries.placement import ORBIT_ROWS
from alignconf.tables import table as tables

__all__ = ["common_limits", "orbit_projectors"]


def orbit_projectors(
    orbits: Sequence[OrbitProperty], reference: Table, norm: str, limits: tuple[float, float]
) -> list[Projector]:
    """Return the repairs of parts that are about orbits, as few as possible; limits alone need no repair."""
    joint: list[OrbitProperty] = []
    limiting = [part for part in orbits if part.limits is not None]
    for part in [part for part in orbits if part.limits is None] + limiting:
        for i, earlier in enumerate(joint):
            both = earlier.joined(part)
            if both is not None:
                joint[i] = both
                if part.limits is None:
                    break
        else:
            if part.limits is None:
                joint.append(part)
    few = tables.take(reference, np.arange(min(reference.shape[0], ORBIT_ROWS)))
    return [OrbitProjector(part, len(part.orbit(few)), norm, limits) for part in joint]


def common_limits(declared: Property, limits: tuple[float, float]) -> tuple[float, float]:
    """Return the limits that all parts allow; refuse parts that no value satisfies together, by name."""
    low, high, lowest, highest = *limits, None, None
    for part in declared.orbits:
        if part.limits is not None:
            lowest, low = (part, part.limits[0]) if part.limits[0] > low else (lowest, low)
            highest, high = (part, part.limits[1]) if part.limits[1] < high else (highest, high)
    if low > high:
        named = [
            str(part) if part is not None else f"values in [{limits[0]:g}, {limits[1]:g}]" for part in (lowest, highest)
        ]
        raise InputError(
            f"rules contradict each other: {named[0]}, and {named[1]}, which no function has both; drop one of them."
        )
    return low, high
