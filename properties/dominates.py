r"""Dominates: one feature matters at least as much as another.

:math:`g(x + \delta s_j e_j) \ge g(x + \delta s_k e_k)` for every row and every :math:`\delta > 0`: from one point to the other
the feature ``j`` grows by :math:`\delta` units while ``k`` gives up as many. So the demand is that predictions never fall along
**trade lines**, on which :math:`x_j / s_j + x_k / s_k` is constant, and everything is as for an increasing property there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from alignconf._typing import Feature
from alignconf.contract.property import check_feature
from alignconf.contract.spelling import Form, Spelling
from alignconf.errors import InputError, quoted
from alignconf.properties.increasing import Increasing
from alignconf.tables.checks import check_number

__all__ = ["Dominates"]


@dataclass(frozen=True, repr=False)
class Dominates(Increasing):
    """A unit more of one feature raises predictions at least as much as a unit more of another.

    Equivalently, predictions never fall when a unit of ``over`` is traded for a unit of ``feature``. A tester asks two
    places of the row's trade line, within the range of both features in the reference rows.

    Parameters
    ----------
    feature, over : str or int
        Numeric features: the one that matters more, and the other one.
    units : (float, float), default=(1, 1)
        What counts as one unit of each, positive.
    tol : float, default=0
    special : sequence, default=()
        Values of either feature that are outside the order.

    Examples
    --------
    >>> print(Dominates("own income", "partner income"))
    'own income' matters at least as much as 'partner income'
    >>> Dominates("rooms", "area", units=(1, 20))
    Dominates('rooms', 'area', units=[1.0, 20.0])
    """

    spelling: ClassVar[Spelling | None] = Spelling(
        "dominates", Form.FEATURES, "a unit of the first matters at least as much"
    )

    over: Feature = field(kw_only=False)
    units: Sequence[float] = field(default=(1.0, 1.0), kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "over", check_feature(self.over))
        if self.over == self.feature:
            raise InputError(f"Dominates compares two features, got {quoted(self.feature)} twice.")
        if self.order is not None:
            raise InputError("Dominates compares numeric features and takes no order; leave order out.")
        if self.between is not None:
            raise InputError(
                f"Dominates compares two features along one line and takes no between={self.between!r}; leave between out."
            )
        if isinstance(self.units, str) or not isinstance(self.units, Sequence) or len(self.units) != 2:
            raise InputError(f"units must be two positive numbers, one for each feature, got {quoted(self.units)}.")
        object.__setattr__(self, "units", tuple(check_number("units", unit, above=0) for unit in self.units))

    def __str__(self) -> str:
        """Return the property in words."""
        amount, over_amount = ("" if unit == 1 else f"{unit:g} of " for unit in self.units)
        words = f"{amount}{self.feature!r} matters at least as much as {over_amount}{self.over!r}{self.domain}"
        return words + (f" up to {self.tol:g}" if self.tol else "")

    @property
    def trade(self) -> tuple[Feature, tuple[float, float]]:
        """The feature that gives way, and the units of both."""
        first, second = self.units
        return self.over, (first, second)
