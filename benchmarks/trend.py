r"""Does a measure rise with size? A studentised slope over seeds, and a test by ranks.

Each seed :math:`s` gives a curve :math:`y_{s1}, \dots, y_{sK}` over the same :math:`K` sizes. Its slope is that of least
squares on ranks, :math:`b_s = \sum_k c_k y_{sk}` with :math:`c_k = (k - \bar k) / \sum_j (j - \bar k)^2`. What the sizes of a
seed share, a hard split for example, drops out. If the :math:`b_s` are independent and nearly normal,
:math:`t = \bar b \sqrt S / \mathrm{sd}(b)` has Student's law with :math:`S - 1` degrees of freedom where there is no trend.
Seeds of one data set share its rows: the test speaks of seeds and splits of these data, not of new data. The same test over the
mean slopes of several data sets speaks of data like them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from scipy.stats import t as student

__all__ = ["Trend", "jonckheere", "of_slopes", "trend"]


@dataclass(frozen=True)
class Trend:
    """The mean slope per step of size, its standard error, and the two-sided p-value of no trend."""

    slope: float
    standard_error: float
    p_value: float
    n_curves: int

    @property
    def words(self) -> str:
        """The figures in one cell of a table."""
        if np.isnan(self.p_value):
            return f"{self.slope:+.2g}, no test"
        level = "below 0.001" if self.p_value < 0.001 else f"= {self.p_value:.3f}"
        return f"{self.slope:+.2g} +- {self.standard_error:.1g}, p {level}"


def trend(curves: Any) -> Trend:
    """Test curves over the same sizes, smallest first: (n_curves, n_sizes)."""
    curves = np.asarray(curves, dtype=float)
    steps = np.arange(curves.shape[1]) - (curves.shape[1] - 1) / 2
    return of_slopes(curves @ steps / (steps @ steps))


def of_slopes(slopes: Any) -> Trend:
    """Test independent slopes, (n_curves,): a single one, or some that are all equal and zero, give no test (NaN)."""
    slopes = np.asarray(slopes, dtype=float)
    mean, size = float(slopes.mean()), slopes.size
    error = float(slopes.std(ddof=1) / np.sqrt(size)) if size > 1 else np.nan
    if error == 0:
        return Trend(mean, error, np.nan if mean == 0 else 0.0, size)
    return Trend(mean, error, float(2 * student.sf(abs(mean) / error, size - 1)), size)


def jonckheere(curves: Any) -> float:
    r"""Return the one-sided p-value of no rise, for curves over the same sizes, smallest first: (n_curves, n_sizes).

    The statistic of Jonckheere and Terpstra within each curve, :math:`\sum_{k < l} \operatorname{sign}(y_l - y_k)`, summed over
    curves. Its law under exchangeable sizes is exact, ties included: that of every curve is counted over all orders of its
    values, and these are convolved. Nothing is assumed of the values; curves must be independent. A fall is a rise of
    ``-curves``.

    References
    ----------
    Jonckheere, A. R. (1954). A distribution-free k-sample test against ordered alternatives. Biometrika 41, 133-145.
    """
    curves = np.asarray(curves, dtype=float)
    n_sizes = curves.shape[1]
    largest = n_sizes * (n_sizes - 1) // 2
    orders = np.array(list(permutations(range(n_sizes))))
    law, observed = np.ones(1), 0
    for curve in curves:
        shuffled = curve[orders]
        rises = np.sign(shuffled[:, None, :] - shuffled[:, :, None])[:, *np.triu_indices(n_sizes, 1)].sum(axis=1)
        counts = np.bincount(rises.astype(np.intp) + largest, minlength=2 * largest + 1)
        law = np.convolve(law, counts / len(orders))
        observed += int(rises[0]) + largest
    return float(min(law[observed:].sum(), 1.0))
