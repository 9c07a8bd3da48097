r"""WeaklyDominates: one feature matters at least as much as another where both are equal.

:math:`g(x + \delta e_j) \ge g(x + \delta e_k)` for every :math:`\delta > 0` and every row with :math:`x_j = x_k`, the weak
pairwise monotonicity of [1]_. With :math:`x_j = x_k = m` the two points have the values :math:`(m + \delta, m)` and
:math:`(m, m + \delta)`: they are each other with the two features exchanged. So the demand is that the prediction is at least as
large with the larger of two values in the feature that matters more, and the orbit of a row is the row with its two values in
either order. :class:`~alignconf.properties.Dominates` demands it from every starting point.

References
----------
.. [1] Chen, D. and Ye, W. (2023). How to Address Monotonicity for Model Risk Management? ICML 2023. arXiv:2305.00799
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alignconf._typing import Feature, FloatArray, IntArray, Table
from alignconf.contract.orbit import OrbitProperty
from alignconf.contract.property import check_feature
from alignconf.contract.spelling import Form, Spelling
from alignconf.errors import InputError, quoted
from alignconf.kernels.polyhedron import polyhedron_least_squares
from alignconf.tables import table as tables

__all__ = ["WeaklyDominates"]


@dataclass(frozen=True, repr=False)
class WeaklyDominates(OrbitProperty):
    """A unit more of one feature raises predictions at least as much as a unit more of another where both are equal.

    Equivalently, exchanging the two values never lowers predictions if the larger one goes to ``feature``. A late payment of this
    month weighs at least as much as one of last month for someone who was late equally often in both.

    Parameters
    ----------
    feature, over : str or int
        Numeric features in the same unit: the one that matters more, and the other one.
    tol : float, default=0

    Notes
    -----
    Rows that lack one of the two values are left alone.

    Examples
    --------
    >>> print(WeaklyDominates("late this month", "late last month"))
    'late this month' matters at least as much as 'late last month' where both are equal
    """

    spelling: ClassVar[Spelling | None] = Spelling(
        "weakly-dominates", Form.FEATURES, "the same where both are equal, as counts of two months"
    )

    feature: Feature
    over: Feature

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("feature", "over"):
            object.__setattr__(self, name, check_feature(getattr(self, name)))
        if self.over == self.feature:
            raise InputError(f"WeaklyDominates compares two features, got {quoted(self.feature)} twice.")

    def __str__(self) -> str:
        """Return the property in words."""
        words = f"{self.feature!r} matters at least as much as {self.over!r} where both are equal"
        return words + (f" up to {self.tol:g}" if self.tol else "")

    def labels(self, n_points: int) -> tuple[str, ...]:
        """Return the two orders of values in words."""
        return f"the larger value in {self.feature!r}", f"the larger value in {self.over!r}"

    def orbit(self, table: Table) -> list[Table]:
        """Return the rows with the larger value in the one feature, and in the other.

        Raises
        ------
        InputError
            If a column holds no numbers.
        """
        positions = [tables.locate(table, feature) for feature in (self.feature, self.over)]
        first, second = (tables.column(table, position) for position in positions)
        numbers = tables.as_numbers(self._numeric(table, positions))
        rows = np.arange(table.shape[0])
        points = []
        for larger, smaller in ((0, 1), (1, 0)):
            # Compared so that a missing value, which is no larger than any, moves nothing.
            exchange = numbers[:, smaller] > numbers[:, larger]
            exchanged = {
                positions[0]: np.where(exchange, second, first),
                positions[1]: np.where(exchange, first, second),
            }
            points.append(tables.replicate(table, rows, exchanged) if exchange.any() else table)
        return points

    def demands(self, n_points: int) -> tuple[FloatArray, FloatArray]:
        """Demand that the first value be at least the second."""
        return np.array([[-1.0, 1.0]]), np.zeros(1)

    def nearest(self, values: FloatArray, same: IntArray, norm: str) -> FloatArray:
        """Return the mean of both, ``tol`` granted, where they are in the wrong order: nearest in either norm."""
        if same[1] == same[0]:
            return values
        A, b = self.demands(2)
        return polyhedron_least_squares(values, A, b + self.tol)

    def _numeric(self, table: Table, positions: list[int]) -> Table:
        compared = tables.select(table, positions)
        if not tables.is_numeric(compared):
            types = " and ".join(str(tables.column(table, position).dtype) for position in positions)
            raise InputError(
                f"{self} compares numbers, and {self.feature!r} and {self.over!r} are of type {types}; give numeric columns."
            )
        return compared
