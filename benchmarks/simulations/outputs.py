r"""The promise for a model with three outputs: they are in order, and each rises with a feature.

The model says :math:`f_o = z\,H_o(x)` at six places ``x`` of a feature, which the reference rows hold equally often, with a scale
``z`` of each row. Least squares along the feature, then sorted outputs, give :math:`g_o = z\,G_o(x)` with ``G`` from an isotonic
regression (SciPy). A query asks a row one pair of different places of all outputs, and whether the outputs of the row
as it is are in order. The difference of two delivered values falls in :math:`\tau = \lambda / z`, so each pair passes from one
:math:`\tau` on; the share of failing queries is a step function of :math:`\tau`, and for exponential ``z`` the violation rate
is a finite sum.
"""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
from scipy.optimize import isotonic_regression

from alignconf import AlignedRegressor
from alignconf._typing import FloatArray
from alignconf.properties import Increasing, NonCrossing
from benchmarks.simulations.modes import Mode

__all__ = ["MODES", "Crossing", "critical", "projected", "violation_rates"]

ALPHA, N_ROWS = 0.05, 39

#: Levels of the three outputs at the six places of the feature.
H = np.array([[0.4, 1.4, 2.0], [0.9, 1.2, 2.6], [0.7, 2.0, 1.8], [1.6, 2.3, 2.5], [1.4, 2.1, 3.1], [2.2, 2.8, 2.7]])


class Crossing:
    """The model ``z H(x)``; columns are the place and the scale."""

    def predict(self, X: FloatArray) -> FloatArray:
        """Return three outputs of each row, (n_samples, 3)."""
        X = np.asarray(X, dtype=np.float64)
        values: FloatArray = X[:, 1:] * H[X[:, 0].astype(int)]
        return values


def projected() -> FloatArray:
    """Return the projection of ``H``: along the feature by least squares, then with the outputs of each place sorted."""
    return np.sort(np.column_stack([isotonic_regression(line).x for line in H.T]), axis=1)


def critical(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Return from which half-width on a value is no larger than another, each given by the model and its projection."""
    (f, g), (f_other, g_other) = first, second
    corners = sorted([0.0, abs(g - f), abs(g_other - f_other)])
    excess = [
        f + np.clip(g - f, -width, width) - f_other - np.clip(g_other - f_other, -width, width) for width in corners
    ]
    if excess[0] <= 1e-12:
        return 0.0
    for (start, above), (end, below) in pairwise(zip(corners, excess, strict=True)):
        if below <= 1e-12:
            return float(start + (end - start) * above / (above - below))
    raise AssertionError("the projection is in order")


def violation_rates(half_widths: FloatArray) -> FloatArray:
    """Return the exact violation rates of delivered functions, of the shape of ``half_widths``."""
    G = projected()
    values = [[(H[i, o], G[i, o]) for o in range(3)] for i in range(len(H))]
    of_pairs = np.array([
        max(critical(values[i][o], values[j][o]) for o in range(3)) for i, j in combinations(range(len(H)), 2)
    ])  # fmt: skip
    of_rows = np.array([max(critical(row[o], row[o + 1]) for o in range(2)) for row in values])
    ends = np.unique(np.concatenate([of_pairs, of_rows]))
    ends = ends[ends > 0]
    middle = (ends + np.append(0.0, ends[:-1])) / 2
    passing = [(of_some[:, None] <= middle).mean(axis=0) for of_some in (of_pairs, of_rows)]
    shares = 1 - passing[0] * passing[1]
    drops = shares - np.append(shares[1:], 0.0)
    rates: FloatArray = np.exp(-np.asarray(half_widths)[..., None] / ends) @ drops
    return rates


def rows(n_rows: int, random: np.random.Generator) -> FloatArray:
    """Return fresh rows, (n_rows, 2)."""
    return np.column_stack([random.integers(0, len(H), n_rows), random.exponential(size=n_rows)])


def _calibrated(n_draws: int, random: np.random.Generator) -> FloatArray:
    """Return the exact violation rates of calibrations, each by ``AlignedRegressor.calibrate``."""
    rules = [NonCrossing(), Increasing(0)]
    aligned = AlignedRegressor(Crossing(), rules, outputs=range(3), alpha=ALPHA, n_queries=1, confidence=None)
    reference, half_widths = np.column_stack([np.arange(len(H)), np.ones(len(H))]), np.empty(n_draws)
    for draw in range(n_draws):
        aligned.set_params(random_state=int(random.integers(2**31)))
        half_widths[draw] = aligned.calibrate(rows(N_ROWS, random), X_reference=reference).lambda_
    return violation_rates(half_widths)


MODES = (
    Mode(
        "several outputs",
        ALPHA,
        N_ROWS,
        _calibrated,
        note="three outputs in order, each increasing in a feature; a query fails if any output does",
    ),
)
