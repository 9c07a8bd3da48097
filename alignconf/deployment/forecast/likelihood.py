r"""The likelihood of a generalized Pareto tail, on a grid around its maximum.

For excesses :math:`y_1, \dots, y_k`,

.. math:: \ell(\xi, \sigma) = -k \log \sigma - (1 + 1/\xi) \sum_i \log(1 + \xi y_i / \sigma),

with the limit :math:`-k \log \sigma - \sum_i y_i / \sigma` at 0. Two parameters need no sampler: a grid of about three
thousand points that holds all of the likelihood gives profile intervals (the range of a figure over all points within half a
chi-square quantile of the maximum) and averages over a prior alike. ``xi`` below -1 is left out: the likelihood is unbounded
there.

References
----------
Coles (2001), section 2.6.6 (profile likelihood); Smith (1985), doi:10.1093/biomet/72.1.67 (``xi`` below -1/2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, norm

from alignconf._typing import FloatArray

__all__ = ["ParetoLikelihood"]

#: Grid points for the shape and for the logarithm of the scale, and the range of shapes.
N_SHAPES, N_SCALES, SHAPES = 81, 41, (-1.0, 2.0)
#: Half of the range of both, in standard errors.
REACH = 6.0
#: Order statistics that are looked at to lay the grid.
LOOKED_AT = 60


@dataclass(frozen=True, eq=False)
class ParetoLikelihood:
    """A grid of shapes and scales with the log likelihood there.

    Parameters
    ----------
    shapes : (n_shapes,)
    scales : (n_shapes, n_scales)
    values : (n_shapes, n_scales)
        Log likelihood, minus infinity where an excess is beyond the end of the tail.
    """

    shapes: FloatArray
    scales: FloatArray
    values: FloatArray

    @classmethod
    def of(cls, excesses: FloatArray) -> ParetoLikelihood:
        """Return the likelihood of positive excesses, (n_excesses,), on a grid that holds nearly all of it."""
        # Where the grid lies is found from order statistics; what it holds comes from all excesses.
        some = np.sort(excesses)[np.linspace(0, excesses.size - 1, min(excesses.size, LOOKED_AT)).astype(np.intp)]
        coarse = _grid(some, np.linspace(*SHAPES, 61), 2.0, 41)
        best = float(coarse.shapes[coarse.values.max(axis=1).argmax()])
        reach = REACH * max(0.3, 1 + best) / np.sqrt(excesses.size) + 0.05
        low, high = max(SHAPES[0], best - reach), min(SHAPES[1], best + reach)
        # An odd number of shapes, shifted so that 0 is one of them where it lies inside.
        shapes = np.linspace(low, high, N_SHAPES)
        shapes = np.sort(np.append(shapes, 0.0)) if low < 0 < high else shapes
        centres = _best_scales(some, np.unique(shapes))
        return _grid(excesses, np.unique(shapes), REACH / np.sqrt(excesses.size), N_SCALES, centres)

    def within(self, level: float) -> FloatArray:
        """Return which grid points are in the profile likelihood region of a level: (n_shapes, n_scales) truth values."""
        return np.asarray(self.values >= self.values.max() - chi2.ppf(level, 1) / 2)

    def shape_interval(self, level: float) -> tuple[float, float]:
        """Return the profile likelihood interval of the shape."""
        in_interval = self.within(level).any(axis=1)
        return float(self.shapes[in_interval][0]), float(self.shapes[in_interval][-1])

    def weights(self, spread: float) -> FloatArray:
        """Return posterior weights, summing to 1, under a normal prior for the shape and a flat one for the log scale."""
        masses = self._likelihoods() * norm.pdf(self.shapes, scale=spread)[:, None] * np.gradient(self.shapes)[:, None]
        return np.asarray(masses / masses.sum())

    def exponential_odds(self, spread: float) -> float:
        """Return the likelihood of shape 0 over that of all shapes under a normal prior: the Bayes factor."""
        likelihoods = self._likelihoods().sum(axis=1)
        everything = (likelihoods * norm.pdf(self.shapes, scale=spread) * np.gradient(self.shapes)).sum()
        return float(np.interp(0.0, self.shapes, likelihoods, left=0.0, right=0.0) / everything)

    def log_survival(self, excess: float) -> FloatArray:
        """Return the log survival function at an excess for every grid point, minus infinity beyond the end."""
        return _log_survival(self.shapes[:, None], excess / self.scales)

    def _likelihoods(self) -> FloatArray:
        """Return the likelihood times the step of the log scale, relative to its maximum."""
        return np.asarray(np.exp(self.values - self.values.max()) * np.gradient(np.log(self.scales), axis=1))


def _grid(
    excesses: FloatArray, shapes: FloatArray, reach: float, n_scales: int, centres: FloatArray | None = None
) -> ParetoLikelihood:
    """Return the likelihood at given shapes, and at scales within a reach of a centre for each."""
    if centres is None:
        # A tail of shape xi < 1 has the mean scale / (1 - xi).
        centres = np.log(excesses.mean() * np.maximum(1 - shapes, 0.2))
    scales = _scales(centres, shapes, float(excesses.max()), reach, n_scales)
    return ParetoLikelihood(shapes, scales, _values(excesses, shapes, scales))


def _best_scales(excesses: FloatArray, shapes: FloatArray) -> FloatArray:
    """Return the log scale of largest likelihood for each shape."""
    wide = _grid(excesses, shapes, 2.0, 61)
    best: FloatArray = np.log(wide.scales)[np.arange(shapes.size), wide.values.argmax(axis=1)]
    return best


def _scales(centres: FloatArray, shapes: FloatArray, largest: float, reach: float, n_scales: int) -> FloatArray:
    """Return scales around centres, (n_shapes, n_scales), so large that no tail ends before the largest excess."""
    floor = np.log(np.maximum(-shapes * largest, 1e-300)) + 1e-9
    centres = np.maximum(centres, floor)
    low = np.maximum(centres - reach, floor)
    return np.asarray(np.exp(low[:, None] + np.linspace(0, 1, n_scales) * (centres + reach - low)[:, None]))


def _values(excesses: FloatArray, shapes: FloatArray, scales: FloatArray) -> FloatArray:
    log_likelihoods = np.empty(scales.shape)
    for row, (shape, shape_scales) in enumerate(zip(shapes, scales, strict=True)):
        standard = excesses[:, None] / shape_scales
        survival = _log_survival(shape, standard)
        with np.errstate(invalid="ignore"):
            log_likelihoods[row] = (survival * (1 + shape) - np.log(shape_scales)).sum(axis=0)
    return np.where(np.isnan(log_likelihoods), -np.inf, log_likelihoods)


def _log_survival(shape: FloatArray | float, standard: FloatArray) -> FloatArray:
    """Return the log survival function of standard excesses for one shape, or for an array of shapes that broadcasts."""
    product = np.asarray(shape * standard)
    near = np.abs(product) < 1e-8
    with np.errstate(divide="ignore", invalid="ignore"):
        curved = -np.log1p(np.maximum(product, -1.0)) / np.where(near, 1.0, shape)
    return np.where(near, -standard * (1 - product / 2), curved)
