"""What lies around places on repaired lines, and what is allowed there.

A property that says what may lie between two repaired knots (:meth:`alignconf.contract.property.LineProperty.allowed`) is told
the places, the knots around them and the values there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray

__all__ = ["Cells", "limit_above", "limit_below"]


@dataclass(frozen=True)
class Cells:
    """Places on repaired lines, one for each line, and what lies around them.

    Parameters
    ----------
    places : (n_places,)
    knots : (n_knots,)
    lines : (n_places, n_knots)
        Values of the repaired line at the knots.
    changed : (n_places,)
        Whether the repair changed anything on the line.
    """

    places: FloatArray
    knots: FloatArray
    lines: FloatArray
    changed: BoolArray

    @cached_property
    def index(self) -> tuple[IntArray, IntArray]:
        """The positions of the knots on the left and on the right; -1 and n_knots where no knot is, equal at a knot."""
        right = np.searchsorted(self.knots, self.places)
        at_knot = self.knots[np.minimum(right, self.knots.size - 1)] == self.places
        return np.where(at_knot, right, right - 1), right

    @cached_property
    def left(self) -> FloatArray:
        """The value at the knot on the left (at the place itself if the place is a knot); NaN where no knot is."""
        return self._at(self.index[0])

    @cached_property
    def right(self) -> FloatArray:
        """The value at the knot on the right (at the place itself if the place is a knot); NaN where no knot is."""
        return self._at(self.index[1])

    @cached_property
    def gaps(self) -> tuple[FloatArray, FloatArray]:
        """The distances to the knots on the left and on the right, finite everywhere."""
        left, right = (np.clip(index, 0, self.knots.size - 1) for index in self.index)
        return self.places - self.knots[left], self.knots[right] - self.places

    def _at(self, index: IntArray) -> FloatArray:
        is_knot = (index >= 0) & (index < self.knots.size)
        values = self.lines[np.arange(len(index)), np.clip(index, 0, self.knots.size - 1)]
        return np.where(is_knot, values, np.nan)


def limit_below(values: FloatArray) -> FloatArray:
    """Return limits from below: ``values``, with minus infinity where NaN says that nothing is known."""
    return np.where(np.isnan(values), -np.inf, values)


def limit_above(values: FloatArray) -> FloatArray:
    """Return limits from above: ``values``, with infinity where NaN says that nothing is known."""
    return np.where(np.isnan(values), np.inf, values)
