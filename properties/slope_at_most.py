r"""SlopeAtMost: predictions rise by at most ``slope`` per unit of the feature.

:math:`g(u') - g(u) \le m (u' - u)` for :math:`u < u'` along every line; ``m = 0`` is :class:`Decreasing`, a positive
``m`` allows a bounded rise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alignconf._typing import FloatArray
from alignconf.contract.spelling import Form, Spelling
from alignconf.properties._increments import Increments
from alignconf.tables.checks import check_number

__all__ = ["SlopeAtMost"]


@dataclass(frozen=True, repr=False)
class SlopeAtMost(Increments):
    """Predictions rise by at most ``slope`` per unit of the feature, all else equal.

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
    >>> print(SlopeAtMost("area", 2))
    of slope at most 2 in 'area'
    """

    spelling: ClassVar[Spelling | None] = Spelling("slope-at-most", Form.FEATURE_NUMBER, "largest change for each unit")

    slope: float

    is_bounded: ClassVar[tuple[bool, bool]] = (False, True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("slope", self.slope)

    def increments(self, distances: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return minus infinity and ``slope * h``."""
        return np.full(distances.shape, -np.inf), self.slope * distances

    @property
    def direction(self) -> int | None:
        """Decreasing (-1) for a slope of 0; None otherwise."""
        return None if self.slope else -1

    @property
    def description(self) -> str:
        """The property in words, without its feature."""
        return f"of slope at most {self.slope:g}"
