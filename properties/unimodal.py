r"""Unimodal: predictions rise up to a peak and fall from there on.

A tester asks triples :math:`x_1 \le x_2 \le x_3`. With a known peak it demands order between neighbours on the same
side of it; with an unknown one it demands :math:`g(x_2) \ge \min(g(x_1), g(x_3))`: one of two inequalities must hold.
The lines with an unknown peak are not a convex set; the least-squares repair tries every place for the peak and is
exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from alignconf._typing import FloatArray
from alignconf.contract.cells import Cells, limit_above, limit_below
from alignconf.contract.property import LineProperty
from alignconf.contract.spelling import Form, Spelling
from alignconf.kernels.order import best_peaks, isotonic_least_squares
from alignconf.tables.checks import check_number

__all__ = ["Unimodal"]


@dataclass(frozen=True, repr=False)
class Unimodal(LineProperty):
    """Predictions rise up to a peak and fall from there on, all else equal.

    Parameters
    ----------
    feature : str or int
        Column name, or position, in the raw input of the model.
    peak : float, optional
        Where the peak is (the rank, for ordered categories). None: anywhere, and at different places in different rows.
    order, tol
        See :class:`~alignconf.contract.property.LineProperty`.

    Examples
    --------
    >>> print(Unimodal("temperature"), "/", Unimodal("temperature", peak=21))
    unimodal in 'temperature' / unimodal with its peak at 21 in 'temperature'
    """

    spelling: ClassVar[Spelling | None] = Spelling("unimodal", Form.FEATURE_PLACE, "one peak, anywhere or known")

    peak: float | None = field(default=None, kw_only=True)

    n_points: ClassVar[int] = 3
    chains: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.peak is not None:
            check_number("peak", self.peak)

    @property
    def description(self) -> str:
        """The property in words, without its feature."""
        return "unimodal" if self.peak is None else f"unimodal with its peak at {self.peak:g}"

    @property
    def is_local(self) -> bool:
        """Whether neighbours tell: only with a known peak, as no three neighbours of 1, 0, 0, 1 do."""
        return super().is_local and self.peak is not None

    @property
    def cuts(self) -> tuple[float, ...]:
        """The peak, if known: which of two values must be the larger depends on the side of the peak."""
        return () if self.peak is None else (float(self.peak),)

    @property
    def is_linear(self) -> bool:
        """Whether the peak is known: otherwise the middle may exceed either neighbour."""
        return self.peak is not None

    def demands(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Demand that the middle be no lower than some neighbour; with a known peak, order of all pairs on one side."""
        shape = places.shape[:-1]
        if self.peak is None:
            alternatives = [[1.0, -1.0, 0.0], [0.0, -1.0, 1.0]]
            return np.broadcast_to(alternatives, (*shape, 1, 2, 3)), np.zeros((*shape, 1, 2))
        rising, falling = places[..., [1, 2, 2]] <= self.peak, places[..., [0, 1, 0]] >= self.peak
        sign = np.where(rising, 1.0, -1.0)[..., None]
        coefficients = sign * np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0], [1.0, 0.0, -1.0]])
        bounds = np.where(rising | falling, 0.0, np.inf)
        return coefficients[..., :, None, :], bounds[..., None]

    def least_squares(self, lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the rising and falling isotonic regressions on the two sides of the peak."""
        if self.peak is None:
            split = best_peaks(lines, weights)
            result = np.empty_like(lines)
            for rising in np.unique(split):
                same_split = split == rising
                result[same_split] = _two_sides(
                    lines[same_split], weights if weights.ndim == 1 else weights[same_split], rising
                )
            return result
        if self.peak in knots:
            return _with_summit(lines, weights, int(np.searchsorted(knots, self.peak)))
        return _two_sides(lines, weights, int(np.searchsorted(knots, self.peak)))

    def upper(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return the smallest unimodal lines above: the lower of the running maxima from both sides."""
        rising = np.maximum.accumulate(lines, axis=1)
        falling = np.maximum.accumulate(lines[:, ::-1], axis=1)[:, ::-1]
        if self.peak is None:
            return np.minimum(rising, falling)
        upper = np.where(knots <= self.peak, rising, falling)
        return np.where(knots == self.peak, lines.max(axis=1, keepdims=True), upper)

    def allowed(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Return the values of the neighbours as limits; no upper limit where the peak may lie between two knots."""
        left, right = cells.left, cells.right
        before, after = cells.index
        if self.peak is None:
            top, highest = cells.lines.argmax(axis=1), cells.lines.max(axis=1)
            rising, falling = after <= top, before >= top
            # Of several highest knots any may be beside the peak; a repaired line has its peak at the first.
            beside = (left == highest) | (right == highest)
            open_above = beside & ~cells.changed & (before != after)
        else:
            rising, falling = cells.places <= self.peak, cells.places >= self.peak
            position = np.searchsorted(cells.knots, self.peak)
            open_above = (after == position) & (before == position - 1) & (self.peak not in cells.knots)
        summit = np.fmax(left, right)
        low = np.where(rising & ~falling, left, np.where(falling & ~rising, right, summit))
        high = np.where(rising & ~falling, right, np.where(falling & ~rising, left, summit))
        return limit_below(low), np.where(open_above, np.inf, limit_above(high))


def _two_sides(lines: FloatArray, weights: FloatArray, rising: int) -> FloatArray:
    """Return the fit that rises over the first knots and falls over the others, unrelated where they meet."""
    first = isotonic_least_squares(np.ascontiguousarray(lines[:, :rising]), weights[..., :rising])
    rest = -isotonic_least_squares(np.ascontiguousarray(-lines[:, rising:]), weights[..., rising:])
    return np.concatenate([first, rest], axis=1)


def _with_summit(lines: FloatArray, weights: FloatArray, summit: int) -> FloatArray:
    """Return the fit with its peak at a knot: both sides are cut off at the height that balances summit and blocks."""
    fit = _two_sides(lines, weights, summit)
    fit[:, summit:] = np.concatenate(
        [
            lines[:, summit : summit + 1],
            _two_sides(np.ascontiguousarray(lines[:, summit + 1 :]), weights[..., summit + 1 :], 0),
        ],
        axis=1,
    )
    sides = np.delete(np.arange(lines.shape[1]), summit)
    order = np.argsort(-fit[:, sides], axis=1)
    heights = np.take_along_axis(fit[:, sides], order, axis=1)
    of_lines = np.broadcast_to(weights, lines.shape)
    mass, summit_mass = np.take_along_axis(of_lines[:, sides], order, axis=1), of_lines[:, [summit]]
    total = np.cumsum(np.concatenate([summit_mass, mass], axis=1), axis=1)
    moment = np.cumsum(np.concatenate([summit_mass * lines[:, [summit]], mass * heights], axis=1), axis=1)
    means = moment / total
    # Pool from the highest value down for as long as it exceeds the mean of all pooled before it.
    pooled = np.cumprod(heights > means[:, :-1], axis=1).sum(axis=1)
    height = np.where(pooled > 0, means[np.arange(len(lines)), pooled], lines[:, summit])
    fit = np.minimum(fit, height[:, None])
    fit[:, summit] = height
    return fit
