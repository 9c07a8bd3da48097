r"""Valley: predictions fall down to a bottom and rise from there on, as a U does.

The mirror image of :class:`~alignconf.properties.Unimodal`: :math:`g` is a valley iff :math:`-g` is unimodal, and every
answer below is that of the unimodal lines with the signs turned.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from alignconf._typing import FloatArray
from alignconf.contract.cells import Cells
from alignconf.contract.property import LineProperty
from alignconf.contract.spelling import Form, Spelling
from alignconf.properties.unimodal import Unimodal
from alignconf.tables.checks import check_number

__all__ = ["Valley"]


@dataclass(frozen=True, repr=False)
class Valley(LineProperty):
    """Predictions fall down to a bottom and rise from there on, all else equal: U-shaped effects.

    Parameters
    ----------
    feature : str or int
        Column name, or position, in the raw input of the model.
    bottom : float, optional
        Where the bottom is (the rank, for ordered categories). None: anywhere, and at different places in different rows.
    order, tol
        See :class:`~alignconf.contract.property.LineProperty`.

    Examples
    --------
    >>> print(Valley("bmi"), "/", Valley("bmi", bottom=22))
    a valley in 'bmi' / a valley with its bottom at 22 in 'bmi'
    """

    spelling: ClassVar[Spelling | None] = Spelling("valley", Form.FEATURE_PLACE, "one bottom, anywhere or known")

    bottom: float | None = field(default=None, kw_only=True)

    n_points: ClassVar[int] = 3
    chains: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bottom is not None:
            check_number("bottom", self.bottom)

    @property
    def description(self) -> str:
        """The property in words, without its feature."""
        return "a valley" if self.bottom is None else f"a valley with its bottom at {self.bottom:g}"

    @property
    def is_local(self) -> bool:
        """Whether neighbours tell: only with a known bottom."""
        return super().is_local and self._mirrored.is_local

    @property
    def cuts(self) -> tuple[float, ...]:
        """The bottom, if known."""
        return self._mirrored.cuts

    @property
    def is_linear(self) -> bool:
        """Whether the bottom is known."""
        return self._mirrored.is_linear

    def demands(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Demand that the middle be no higher than some neighbour; with a known bottom, order of all pairs on one side."""
        coefficients, bounds = self._mirrored.demands(places)
        return -coefficients, bounds

    def least_squares(self, lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the falling and rising isotonic regressions on the two sides of the bottom."""
        nearest: FloatArray = -self._mirrored.least_squares(-lines, knots, weights)
        return nearest

    def lower(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the largest valleys below."""
        lower: FloatArray = -self._mirrored.upper(-lines, knots)
        return lower

    def allowed(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Return the values of the neighbours as limits; no lower limit where the bottom may lie between two knots."""
        low, high = self._mirrored.allowed(replace(cells, lines=-cells.lines))
        return -high, -low

    @property
    def _mirrored(self) -> Unimodal:
        return Unimodal(self.feature, peak=self.bottom)
