r"""SlopeAtLeast: predictions rise by at least ``slope`` per unit of the feature.

:math:`g(u') - g(u) \ge m (u' - u)` for :math:`u < u'` along every line; ``m = 0`` is :class:`Increasing`, a negative
``m`` allows a bounded fall. A small positive ``m`` is strict order: the least change per unit that counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alignconf._typing import FloatArray
from alignconf.contract.spelling import Form, Spelling
from alignconf.properties._increments import Increments
from alignconf.tables.checks import check_number

__all__ = ["SlopeAtLeast"]


@dataclass(frozen=True, repr=False)
class SlopeAtLeast(Increments):
    """Predictions rise by at least ``slope`` per unit of the feature, all else equal.

    Parameters
    ----------
    feature : str or int
        Column name, or position, in the raw input of the model.
    slope : float
        In the unit of the prediction per unit of the feature.
    order, tol
        See :class:`~alignconf.contract.property.LineProperty`.

    Examples
    --------
    >>> print(SlopeAtLeast("area", 2))
    of slope at least 2 in 'area'
    """

    spelling: ClassVar[Spelling | None] = Spelling("slope-at-least", Form.FEATURE_NUMBER, "least change for each unit")

    slope: float

    is_bounded: ClassVar[tuple[bool, bool]] = (True, False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("slope", self.slope)

    def increments(self, distances: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ``slope * h`` and infinity."""
        return self.slope * distances, np.full(distances.shape, np.inf)

    @property
    def direction(self) -> int | None:
        """Increasing (1) for a slope of 0; None otherwise."""
        return None if self.slope else 1

    @property
    def description(self) -> str:
        """The property in words, without its feature."""
        return f"of slope at least {self.slope:g}"
