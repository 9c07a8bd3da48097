"""Bounded: predictions stay within an interval, for example never below zero."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.contract.orbit import OrbitProperty
from alignconf.contract.spelling import Form, Spelling
from alignconf.errors import InputError
from alignconf.tables.checks import is_finite

__all__ = ["Bounded"]


@dataclass(frozen=True, repr=False)
class Bounded(OrbitProperty):
    r"""Predictions lie between two limits: :math:`lo \le g(x) \le hi`.

    The repair clips, and is exact. It is applied last, next to any other property: clipping keeps order, invariance and
    Lipschitz bounds. It may undo curvature, least slopes and linear rules; what it undoes is counted.

    Parameters
    ----------
    lo, hi : float
        With ``lo <= hi``; ``-inf`` or ``inf`` for no limit on that side.

    Examples
    --------
    >>> print(Bounded(0), "/", Bounded(0, 1))
    at least 0 / between 0 and 1
    """

    spelling: ClassVar[Spelling | None] = Spelling("bounded", Form.LIMITS, "predictions stay within limits")

    lo: float = -inf
    hi: float = inf

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("lo", self.lo), ("hi", self.hi)):
            if not is_finite(value) and not (isinstance(value, (float, np.floating)) and np.isinf(value)):
                raise InputError(f"{name} must be a number, got {value!r} of type {type(value).__name__}.")
        if not self.lo <= self.hi:
            raise InputError(f"lo must not be above hi, got lo={self.lo:g} and hi={self.hi:g}; swap them.")
        if (self.lo == -inf and self.hi == inf) or self.lo == inf or self.hi == -inf:
            raise InputError(
                f"Bounded needs a finite limit, got lo={self.lo:g} and hi={self.hi:g}; write for example Bounded(0)."
            )
        if self.tol:
            raise InputError(f"Bounded takes no tolerance, got tol={self.tol:g}; widen the limits instead.")

    def __str__(self) -> str:
        """Return the property in words."""
        if self.lo == -inf:
            return f"at most {self.hi:g}"
        return f"at least {self.lo:g}" if self.hi == inf else f"between {self.lo:g} and {self.hi:g}"

    @property
    def limits(self) -> tuple[float, float]:
        """The two limits."""
        return float(self.lo), float(self.hi)

    def labels(self, n_points: int) -> tuple[str, ...]:
        """Return the row itself, in words."""
        return ("the row itself",)

    def orbit(self, table: Table) -> list[Table]:
        """Return the row itself."""
        return [table]

    def demands(self, n_points: int) -> tuple[FloatArray, FloatArray]:
        """Demand ``g <= hi`` and ``-g <= -lo``, where these say anything."""
        sides = [(1.0, float(self.hi))] * (self.hi < inf) + [(-1.0, -float(self.lo))] * (self.lo > -inf)
        return np.array([[sign] for sign, _ in sides]), np.array([bound for _, bound in sides])

    def nearest(self, values: FloatArray, same: IntArray, norm: str) -> FloatArray:
        """Return the values clipped to the limits."""
        return np.clip(values, *self.limits)
