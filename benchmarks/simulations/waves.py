r"""A model whose violation rate is known in closed form, and that rate, without the library's scores.

Column 0 of a row is one of a few places, column 1 a scale :math:`z`; the model is :math:`f = z\,h(x)`. Repairs scale with the
line, so :math:`g = z\,\hat h(x)`, :math:`\hat h` the least-squares fit of the property to :math:`h` (SciPy), and what is
delivered is :math:`z\,(h + \mathrm{clip}(\hat h - h, \pm\tau s))` with :math:`\tau = \lambda / z` and the scale of the band
:math:`s`. An inequality exceeds by :math:`z\,V(\tau)`,

.. math:: V(\tau) = \sum_k a_k \big(h(x_k) + \mathrm{clip}(\hat h(x_k) - h(x_k), -\tau s_k, \tau s_k)\big),

piecewise linear in :math:`\tau`. :class:`Pieces` are the stretches :math:`(\tau_0, \tau_1)` on which it is positive; as
:math:`\lambda / z` lies there iff :math:`\lambda / \tau_1 < z < \lambda / \tau_0`, violation rates and expected sizes at a
half-width are finite sums over the queries: no Monte Carlo noise but that of the calibration rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import isotonic_regression, nnls

from alignconf._typing import FloatArray

__all__ = [
    "HEIGHTS",
    "PLACES",
    "Pieces",
    "Wave",
    "concave_fit",
    "increasing_fit",
    "pairs",
    "triple_coefficients",
    "triples",
    "wave_rows",
]

PLACES = np.array([0.0, 0.7, 1.1, 2.0, 2.4, 3.5, 4.1, 5.2, 6.0, 6.6, 7.9, 9.0])
HEIGHTS = np.array([3.0, 1.0, 4.0, 0.5, 2.0, 3.5, 1.5, 2.5, 0.0, 4.5, 3.2, 2.2])

#: Excesses up to this are rounding.
ROUNDING = 1e-7


class Wave:
    """The model ``z h(x)``."""

    def predict(self, X: FloatArray) -> FloatArray:
        """Return the values at rows whose first two columns are place and scale."""
        values: FloatArray = X[:, 1] * HEIGHTS[np.searchsorted(PLACES, X[:, 0])]
        return values


def wave_rows(scales: FloatArray, random: np.random.Generator) -> FloatArray:
    """Return rows of given scales, (n_samples,), at places drawn evenly: (n_samples, 2)."""
    return np.column_stack([random.choice(PLACES, scales.size), scales])


def increasing_fit(heights: FloatArray, masses: FloatArray | None = None) -> FloatArray:
    """Return the nearest increasing line, places weighing the same or by their masses."""
    fit: FloatArray = isotonic_regression(heights, weights=masses).x
    return fit


def concave_fit(heights: FloatArray, places: FloatArray) -> FloatArray:
    """Return the nearest concave line: a linear function less hinges with weights that are not negative."""
    hinges = np.maximum(places[:, None] - places[None, 1:-1], 0.0)
    basis = np.column_stack([np.ones_like(places), -np.ones_like(places), places, -places, -hinges])
    weights, _ = nnls(basis, heights)
    fit: FloatArray = basis @ weights
    return fit


@dataclass(frozen=True)
class Pieces:
    """Where queries are violated, in ``tau = lambda_ / z``.

    Parameters
    ----------
    start, end : (n_pieces,)
        Violated in between.
    height, slope : (n_pieces,)
        The excess there is ``height + slope * tau``, times ``z``.
    share : (n_pieces,)
        Probability of the query.
    """

    start: FloatArray
    end: FloatArray
    height: FloatArray
    slope: FloatArray
    share: FloatArray

    @classmethod
    def of_queries(
        cls,
        coefficients: FloatArray,
        f: FloatArray,
        g: FloatArray,
        share: FloatArray | float,
        scale: FloatArray | float = 1.0,
    ) -> Pieces:
        """Return the pieces of queries ``sum(coefficients * value) <= 0``, all arrays (n_queries, n_points).

        ``share`` is the probability of each query, (n_queries,), or of all.
        """
        d = g - f
        scale = np.broadcast_to(scale, d.shape)
        reach = np.abs(d) / scale
        knots = np.sort(np.column_stack([np.zeros(len(d)), reach, reach.max(axis=1) + 1.0]), axis=1)
        room = knots[:, :, None] * scale[:, None, :]
        excess = (coefficients[:, None, :] * (f[:, None, :] + np.clip(d[:, None, :], -room, room))).sum(axis=2)
        kept = []
        for piece in range(knots.shape[1]):
            left, v = knots[:, piece], excess[:, piece]
            last = piece == knots.shape[1] - 1
            right = np.full(len(d), np.inf) if last else knots[:, piece + 1]
            with np.errstate(invalid="ignore", divide="ignore"):
                slope = np.zeros(len(d)) if last else np.nan_to_num((excess[:, piece + 1] - v) / (right - left))
                root = left - v / slope
            start = np.where((v <= ROUNDING) & (slope > 0), np.maximum(root, left), left)
            end = np.where((v > ROUNDING) & (slope < 0), np.minimum(root, right), right)
            positive = (v > ROUNDING) | ((slope > 0) & (v + slope * (np.minimum(right, 1e9) - left) > ROUNDING))
            chosen = positive & (end > start + ROUNDING)
            shares = np.broadcast_to(share, v.shape)
            kept.append(np.stack([start, end, v - slope * left, slope, shares], axis=1)[chosen])
        return cls(*np.concatenate(kept).T)

    @classmethod
    def until(cls, thresholds: FloatArray, share: float) -> Pieces:
        """Return pieces from 0 to thresholds, (n_queries,), of which only the rate is asked for."""
        found = thresholds[thresholds > ROUNDING]
        nothing = np.zeros(found.size)
        return cls(nothing, found, nothing, nothing, np.full(found.size, share))

    def rate(self, half_widths: FloatArray, mean: float = 1.0) -> FloatArray:
        """Return the violation rates at half-widths, both (n_draws,), if ``z`` is exponential."""
        return self.rate_under(half_widths, lambda z: -np.expm1(-z / mean))

    def rate_under(self, half_widths: FloatArray, distribution: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """Return the violation rates at half-widths if ``z`` has a distribution function."""
        pairs_of_ends, place = np.unique(np.round(np.stack([self.start, self.end]), 12), axis=1, return_inverse=True)
        share = np.bincount(place.ravel(), weights=self.share)
        rates = np.zeros(np.shape(half_widths))
        for (start, end), weight in zip(pairs_of_ends.T, share, strict=True):
            highest = distribution(half_widths / start) if start > 0 else 1.0
            rates += weight * (highest - distribution(half_widths / end))
        return rates

    def size(self, half_widths: FloatArray, top: float) -> FloatArray:
        """Return the expected sizes of violations at half-widths if ``z`` is uniform between 0 and ``top``."""
        total = np.zeros(np.shape(half_widths))
        for start, end, height, slope, share in zip(
            self.start, self.end, self.height, self.slope, self.share, strict=True
        ):
            low = np.minimum(half_widths / end, top)
            high = np.minimum(half_widths / start, top) if start > 0 else np.full_like(low, top)
            total += share * (height * (high**2 - low**2) / 2 + slope * half_widths * (high - low)) / top
        return total


def pairs(
    f: FloatArray,
    g: FloatArray,
    below: FloatArray | float = 1.0,
    above: FloatArray | float = 1.0,
    masses: FloatArray | None = None,
) -> Pieces:
    """Return the pieces of ``h(x) <= h(x')`` for two independent draws ``x < x'`` of the places, given that they differ.

    Parameters
    ----------
    f, g : (n_places,)
    below, above : broadcastable to (n_places,)
        Scale of the band on both sides.
    masses : (n_places,), optional
        How likely each place is, up to a factor; all the same by default.
    """
    scale = np.where(g < f, below, above) * np.ones(f.size)
    chosen = np.array(list(combinations(range(f.size), 2)))
    coefficients = np.broadcast_to([1.0, -1.0], chosen.shape)
    likely = np.ones(f.size) if masses is None else np.asarray(masses, dtype=np.float64)
    share = likely[chosen].prod(axis=1)
    return Pieces.of_queries(coefficients, f[chosen], g[chosen], share / share.sum(), scale[chosen])


def triples(f: FloatArray, g: FloatArray, places: FloatArray) -> Pieces:
    """Return the pieces of concavity at three even draws of the places, given that they all differ."""
    coefficients, chosen = triple_coefficients(places)
    return Pieces.of_queries(coefficients, f[chosen], g[chosen], 1 / len(chosen))


def triple_coefficients(places: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return coefficients and positions of all triples of different places, (n_triples, 3)."""
    chosen = np.array(list(combinations(range(places.size), 3)))
    left, middle, right = places[chosen].T
    share = (right - middle) / (right - left)
    return np.stack([share, -np.ones_like(share), 1 - share], axis=1), chosen
