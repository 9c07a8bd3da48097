"""Bounded: predictions stay within an interval, for example never below zero."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any, ClassVar

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.contract.orbit import OrbitProperty, PlaceLimit, Point, Setting, as_point, label, moved
from alignconf.contract.spelling import Form, Spelling
from alignconf.errors import InputError, quoted
from alignconf.tables.checks import is_finite

__all__ = ["Bounded"]


@dataclass(frozen=True, repr=False)
class Bounded(OrbitProperty):
    r"""Predictions lie between two limits: :math:`lo \le g(x) \le hi`.

    The repair clips, and is exact. It is applied last, next to any other property: clipping keeps order, invariance and
    Lipschitz bounds. It may undo curvature, least slopes and linear rules; what it undoes is counted.

    With ``where`` the limits are those of the predictions at one point of each row, the row with some columns set. If it sets a
    single feature along which rules are declared too, limits and rules are one projection, so that nothing stands out at
    the point; otherwise the point is repaired on its own, after the lines.

    Parameters
    ----------
    lo, hi : float
        With ``lo <= hi``; ``-inf`` or ``inf`` for no limit on that side.
    where : mapping, optional
        From features to values: the point at which the limits hold. By default they hold everywhere.

    Examples
    --------
    >>> print(Bounded(0), "/", Bounded(0, 1), "/", Bounded(hi=0, where={"dose": 0}))
    at least 0 / between 0 and 1 / at most 0 at dose=0
    """

    spelling: ClassVar[Spelling | None] = Spelling("bounded", Form.LIMITS, "predictions stay within limits")

    lo: float = -inf
    hi: float = inf
    where: Any = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("lo", self.lo), ("hi", self.hi)):
            if not is_finite(value) and not (isinstance(value, (float, np.floating)) and np.isinf(value)):
                raise InputError(f"{name} must be a number, got {quoted(value)} of type {type(value).__name__}.")
        if not self.lo <= self.hi:
            raise InputError(f"lo must not be above hi, got lo={self.lo:g} and hi={self.hi:g}; swap them.")
        if (self.lo == -inf and self.hi == inf) or self.lo == inf or self.hi == -inf:
            raise InputError(
                f"Bounded needs a finite limit, got lo={self.lo:g} and hi={self.hi:g}; write for example Bounded(0)."
            )
        if self.where is not None:
            point = as_point("where", self.where)
            if not isinstance(point, Setting) or not point.columns:
                raise InputError(
                    f"where must be a mapping from features to values, got {quoted(self.where)}; write for example {{'dose': 0}}."
                )
            object.__setattr__(self, "where", point)
        if self.tol:
            raise InputError(f"Bounded takes no tolerance, got tol={self.tol:g}; widen the limits instead.")

    def __str__(self) -> str:
        """Return the property in words."""
        at = "" if self.where is None else f" at {label(self.where)}"
        if self.lo == -inf:
            return f"at most {self.hi:g}{at}"
        return (f"at least {self.lo:g}" if self.hi == inf else f"between {self.lo:g} and {self.hi:g}") + at

    @property
    def limits(self) -> tuple[float, float] | None:
        """The two limits, if they hold everywhere."""
        return None if self.where is not None else (float(self.lo), float(self.hi))

    @property
    def place_limits(self) -> tuple[PlaceLimit, ...]:
        """The limits at a value of one feature, if that is all that the point sets."""
        if self.where is None or len(self.where.columns) > 1:
            return ()
        ((feature, value),) = self.where.columns
        return (PlaceLimit(feature, value, float(self.lo), float(self.hi)),)

    def labels(self, n_points: int) -> tuple[str, ...]:
        """Return the point, or the row itself, in words."""
        return (label(self._point),)

    def orbit(self, table: Table) -> list[Table]:
        """Return the rows at the point, or themselves."""
        return [moved(table, self._point)]

    def demands(self, n_points: int) -> tuple[FloatArray, FloatArray]:
        """Demand ``g <= hi`` and ``-g <= -lo``, where these say anything."""
        sides = [(1.0, float(self.hi))] * (self.hi < inf) + [(-1.0, -float(self.lo))] * (self.lo > -inf)
        return np.array([[sign] for sign, _ in sides]), np.array([bound for _, bound in sides])

    def nearest(self, values: FloatArray, same: IntArray, norm: str) -> FloatArray:
        """Return the values clipped to the limits."""
        return np.clip(values, self.lo, self.hi)

    @property
    def _point(self) -> Point:
        return as_point("where", self.where)
