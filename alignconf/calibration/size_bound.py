r"""How far any row can violate: what conformal control of sizes has to know beforehand.

A fresh row might lose as much as is possible at all, so the rule of :mod:`alignconf.calibration.sizes` adds that to the
losses seen. At half-width 0 this is the largest violation :math:`R` of any query. At larger ones it is less, because the
delivered function is then near an exact member ``g``: a bound that falls with the half-width costs less and is as valid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from alignconf.tables.checks import check_number

__all__ = ["SizeBound"]


@dataclass(frozen=True)
class SizeBound:
    r"""A bound on the size of any violation, which need not be the same at all half-widths.

    .. math:: B(\lambda) = \min\big(R, \; E + A\, (D - \lambda)_+\big)

    with :math:`R` = ``largest``, :math:`A` = ``length``, :math:`D` = ``reach``, :math:`E` = ``remaining``.

    **Statement.** If with certainty the size of a query is at most :math:`R` at every half-width, :math:`\sum_k |a_k| \le A`
    for its demands, :math:`|g - f| \le D` at its points, and ``g`` exceeds its demands by at most :math:`E`, then
    :math:`L(\lambda) \le B(\lambda)` for all :math:`\lambda`. A conjunction takes the largest of each of its parts' numbers.

    *Proof.* :math:`V(\lambda) = V(\infty) - \sum_k a_k (d_k - \mathrm{clip}(d_k, -\lambda, \lambda)) \le E + \sum_k |a_k|
    (|d_k| - \lambda)_+ \le E + A (D - \lambda)_+`, which does not increase, so it bounds the supremum over larger half-widths
    too; so it does for the largest demand. (With alternatives: one with :math:`V(\infty) \le E` bounds their smallest.) ∎

    When is a number a valid :math:`R`? For pairs in a band of one width, a bound on the excess of both ``f``
    and ``g``, as their :math:`V` is monotone between them. For three and more points, and in scaled bands (in whose units
    :math:`A` and :math:`D` are then meant), the excess can grow along the path, up to
    :math:`(R_f + E + A D) / 2` if that of the model is at most :math:`R_f`; but if the values of both ``f`` and ``g`` lie in a
    range then so do those of :math:`g_\lambda`, and :meth:`from_range` bounds every query. If ``g`` may violate, between
    knots for example, by an unknown amount, leave ``remaining`` out: then :math:`B = R`.

    Parameters
    ----------
    largest : float, not negative
    length, reach : float, not negative
        Leave them out for the constant bound.
    remaining : float, not negative, optional
        How far ``g`` itself may violate; 0 if it is an exact member, ``largest`` if left out.
    """

    largest: float
    length: float = 0.0
    reach: float = 0.0
    remaining: float | None = None

    def __post_init__(self) -> None:
        for name in ("largest", "length", "reach"):
            check_number(name, getattr(self, name), at_least=0.0)
        if self.remaining is not None:
            check_number("remaining", self.remaining, at_least=0.0)

    @classmethod
    def from_range(
        cls, low: float, high: float, coefficients: ArrayLike, bounds: ArrayLike, *, remaining: float | None = None
    ) -> SizeBound:
        r"""Return the bound where ``f`` and ``g`` take values between ``low`` and ``high`` only.

        :math:`\sum_k a_k y_k - b \le \sum_{a_k > 0} a_k\, \text{high} + \sum_{a_k < 0} a_k\, \text{low} - b` for all such
        values, and :math:`|g - f| \le \text{high} - \text{low}`. In a scaled band only the first of these is of use: leave
        ``remaining`` out.

        Parameters
        ----------
        low, high : float
        coefficients : (..., n_points)
            Of all demands that queries can make.
        bounds : broadcastable to (...)
        remaining : float, optional
            As for the class.
        """
        check_number("low", low)
        check_number("high", high, at_least=low)
        a = np.asarray(coefficients, dtype=np.float64)
        excess = np.maximum(a, 0.0).sum(axis=-1) * high + np.minimum(a, 0.0).sum(axis=-1) * low - np.asarray(bounds)
        length = float(np.abs(a).sum(axis=-1).max())
        return cls(max(0.0, float(excess.max())), length, high - low, remaining)

    def at_half_width(self, half_width: float) -> float:
        """Return the bound at a half-width.

        Parameters
        ----------
        half_width : float, not negative; may be infinite
        """
        if self.remaining is None:
            return self.largest
        return min(self.largest, self.remaining + self.length * max(self.reach - half_width, 0.0))

    @property
    def corners(self) -> tuple[float, ...]:
        """The half-widths at which the bound may change its slope."""
        if self.remaining is None or self.length == 0:
            return ()
        return (max(0.0, self.reach - (self.largest - self.remaining) / self.length), self.reach)
