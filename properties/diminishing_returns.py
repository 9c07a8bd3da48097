r"""DiminishingReturns: the more there is of one feature, the less a further unit of the other adds.

For :math:`u < u'` in one feature and :math:`v < v'` in the other,
:math:`g(u', v') - g(u, v') \le g(u', v) - g(u, v)`: the mixed difference is nowhere positive (submodular). The demand on a
rectangle is the sum of those on the cells within, so the cells between neighbouring knots imply all others. The repair is the
least-squares projection of the whole grid onto all cells at once, interpolated bilinearly, which keeps the property.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alignconf._typing import FloatArray
from alignconf.contract.plane import PlaneProperty
from alignconf.contract.spelling import Form, Spelling

__all__ = ["DiminishingReturns"]


@dataclass(frozen=True, repr=False)
class DiminishingReturns(PlaneProperty):
    """What a unit of one feature adds does not grow with the other: substitutes, not complements.

    Parameters
    ----------
    feature, other : str or int
        Numeric features, in any order.
    tol : float, default=0

    Examples
    --------
    >>> print(DiminishingReturns("dose a", "dose b"))
    diminishing returns of 'dose a' and 'dose b'
    """

    spelling: ClassVar[Spelling | None] = Spelling(
        "diminishing-returns", Form.FEATURES, "the more of one, the less a unit of the other adds"
    )

    def __str__(self) -> str:
        """Return the property in words."""
        words = f"diminishing returns of {self.feature!r} and {self.other!r}{self.domain}"
        return words + (f" up to {self.tol:g}" if self.tol else "")

    def demands(self) -> tuple[FloatArray, FloatArray]:
        """Demand that the mixed difference of the corners be at most zero."""
        return np.array([[1.0, -1.0, -1.0, 1.0]]), np.zeros(1)
