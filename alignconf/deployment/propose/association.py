r"""Conditional evidence: what labels say of one feature, with all others held fixed.

A marginal trend proposes proxies: a feature that does nothing rises with the labels if it goes together with one that does
something, and the more rows there are, the surer the mistake. So both sides are first freed of the other features ``Z``, by
gradient boosting fitted on one half of the rows and applied to the other,

.. math:: r_y = y - \hat E[y \mid Z], \qquad r_x = x - \hat E[x \mid Z],

and what is left is compared.

* **Association.** :math:`z = \sqrt n \, \bar R / \mathrm{sd}(R)`, with
  :math:`R_i = r_{x,i} \, \Phi^{-1}(\mathrm{rank}(r_{y,i}) / (n + 1))`. If ``y`` does not depend on ``x`` given ``Z``, and
  boosting has learned the two conditional means well enough, ``z`` is approximately standard normal (Shah and Peters 2020);
  heavy tails of ``y`` do not matter, and no equal variances are needed.
* **Local slopes.** A piecewise linear effect with ``K`` pieces of equally many rows: :math:`r_y` is regressed on the ramps
  :math:`\mathrm{clip}(x, e_{k-1}, e_k)`, freed of ``Z`` in the same way, where :math:`x \mid Z` is taken to be
  :math:`\hat E[x \mid Z]` plus a draw of :math:`r_x`. Standard errors are White's.
* **Curvature.** The weighted trend of the slopes over the pieces, with its standard error.

All of it is approximate, and all of it is about labels: that labels rise with a feature does not mean that a model should.

References
----------
.. [1] Shah, R. D. and Peters, J. (2020). The hardness of conditional independence testing and the generalised covariance
   measure. Annals of Statistics 48(3). arXiv:1804.07203
.. [2] Robinson, P. M. (1988). Root-N-consistent semiparametric regression. Econometrica 56(4). doi:10.2307/1912705
.. [3] White, H. (1980). A heteroskedasticity-consistent covariance matrix estimator. Econometrica 48(4). doi:10.2307/1912934
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.ensemble import HistGradientBoostingRegressor

from alignconf._typing import BoolArray, FloatArray

__all__ = ["Association", "OrderEvidence", "conditional_evidence", "order_evidence"]

#: Pieces of an effect, at most.
N_PIECES = 8
#: Draws of the residual that stand for the law of a feature given the others.
N_DRAWS = 200


@dataclass(frozen=True, eq=False)
class Association:
    """The evidence of labels about one numeric feature, all others held fixed.

    Parameters
    ----------
    n_rows : int
        Rows that do not lack the feature.
    association : float
        Approximately standard normal if the labels do not depend on the feature given the others.
    halves : (float, float)
        The same in each half of the rows.
    edges : (n_pieces + 1,)
        Ends of the pieces; empty where the feature takes fewer than two values.
    slopes : (n_pieces,)
        Of the effect, in units of the label per unit of the feature.
    covariance : (n_pieces, n_pieces)
        Of the slopes.
    curvature_halves : (float, float)
        The curvature in each half of the rows.
    """

    n_rows: int
    association: float
    halves: tuple[float, float]
    edges: FloatArray
    slopes: FloatArray
    covariance: FloatArray
    curvature_halves: tuple[float, float]

    @property
    def p_value(self) -> float:
        """The two-sided p-value of the association."""
        return float(2 * norm.sf(abs(self.association)))

    @property
    def curvature(self) -> float:
        """The trend of slopes, approximately standard normal if they have none; 0 with fewer than three pieces."""
        return _bend(self.edges, self.slopes, self.covariance)

    @property
    def curvature_p_value(self) -> float:
        """The two-sided p-value of the curvature."""
        return float(2 * norm.sf(abs(self.curvature)))

    def opposite_slope(self, sign: int) -> float:
        """Return the p-value of the slope that speaks most against one direction, corrected for the number of slopes."""
        each = [self._contrast(row) * -sign for row in np.eye(self.slopes.size)]
        return _corrected(each)

    def opposite_bend(self, sign: int) -> float:
        """Return the p-value of the change of slope that speaks most against convexity (+1) or concavity (-1), corrected."""
        size = self.slopes.size
        each = (
            [self._contrast(row) * -sign for row in np.eye(size - 1, size, 1) - np.eye(size - 1, size)]
            if size > 1
            else []
        )
        return _corrected(each)

    def _contrast(self, weights: FloatArray) -> float:
        return _contrast(weights, self.slopes, self.covariance)


def conditional_evidence(
    design: FloatArray, position: int, labels: FloatArray, half: BoolArray, seed: int
) -> Association:
    """Return the evidence of labels about one column, all others held fixed.

    Parameters
    ----------
    design : (n_samples, n_features)
        Numbers, NaN where missing.
    position : int
        Of the column.
    labels : (n_samples,)
    half : (n_samples,)
        Which half each row is in.
    seed : int
    """
    rows = ~np.isnan(design[:, position])
    x, y, in_half = design[rows, position], labels[rows], half[rows]
    others = np.delete(design[rows], position, axis=1)
    predicted_x, predicted_y = (_cross_fitted(others, values, in_half, seed) for values in (x, y))
    return _evidence(x, x - predicted_x, y - predicted_y, predicted_x, in_half)


@dataclass(frozen=True)
class OrderEvidence:
    """An order of categories that one half of the rows proposes, with its p-value in the other half.

    Parameters
    ----------
    order : tuple of int
        Codes from the lowest effect to the highest.
    p_value : float
        One-sided, for some neighbours in this order being equal or the other way round: the largest of all neighbours.
    """

    order: tuple[int, ...]
    p_value: float


def order_evidence(design: FloatArray, position: int, labels: FloatArray, half: BoolArray, seed: int) -> OrderEvidence:
    """Return an order of the categories of one column by their effect, all other columns held fixed.

    The parameters are those of :func:`conditional_evidence`; the column holds codes 0, 1, ..., all of which occur in both
    halves.
    """
    rows = ~np.isnan(design[:, position])
    codes, y, in_half = design[rows, position].astype(np.intp), labels[rows], half[rows]
    others = np.delete(design[rows], position, axis=1)
    rest_y = y - _cross_fitted(others, y, in_half, seed)
    members = (codes[:, None] == np.arange(codes.max() + 1)).astype(np.float64)
    for k in range(members.shape[1]):
        members[:, k] -= _cross_fitted(others, members[:, k], in_half, seed)
    first, _ = _regressed(members[in_half], rest_y[in_half])
    second, covariance = _regressed(members[~in_half], rest_y[~in_half])
    order = np.argsort(first, kind="stable")
    gaps = np.eye(order.size)[order[1:]] - np.eye(order.size)[order[:-1]]
    errors = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", gaps, covariance, gaps), np.finfo(np.float64).tiny))
    return OrderEvidence(tuple(order.tolist()), float(norm.sf((gaps @ second) / errors).max()))


def _evidence(
    x: FloatArray, rest_x: FloatArray, rest_y: FloatArray, predicted_x: FloatArray, half: BoolArray
) -> Association:
    scores = norm.ppf(rankdata(rest_y) / (rest_y.size + 1))
    products = rest_x * scores
    edges = np.unique(np.quantile(x, np.linspace(0, 1, N_PIECES + 1), method="inverted_cdf"))
    if edges.size < 2:
        return Association(x.size, 0.0, (0.0, 0.0), np.zeros(0), np.zeros(0), np.zeros((0, 0)), (0.0, 0.0))
    ramps = np.clip(x[:, None], edges[:-1], edges[1:]) - edges[:-1]
    for in_half in (half, ~half):
        draws = np.quantile(rest_x[in_half], (np.arange(N_DRAWS) + 0.5) / N_DRAWS) if in_half.any() else np.zeros(1)
        for k in range(edges.size - 1):
            drawn_x = predicted_x[in_half, None] + draws
            ramps[in_half, k] -= (np.clip(drawn_x, edges[k], edges[k + 1]) - edges[k]).mean(axis=1)
    slopes, covariance = _regressed(ramps, rest_y)
    halves = (_studentised(products[half]), _studentised(products[~half]))
    bends = [_bend(edges, *_regressed(ramps[in_half], rest_y[in_half])) for in_half in (half, ~half)]
    return Association(x.size, _studentised(products), halves, edges, slopes, covariance, (bends[0], bends[1]))


def _bend(edges: FloatArray, slopes: FloatArray, covariance: FloatArray) -> float:
    """Return the trend of slopes over pieces in units of its standard error."""
    if slopes.size < 3:
        return 0.0
    middles = (edges[1:] + edges[:-1]) / 2
    return _contrast(middles - middles.mean(), slopes, covariance)


def _contrast(weights: FloatArray, slopes: FloatArray, covariance: FloatArray) -> float:
    """Return a weighted sum of slopes in units of its standard error."""
    error = float(np.sqrt(max(float(weights @ covariance @ weights), 0.0)))
    return float(weights @ slopes) / error if error > 0 else 0.0


def _regressed(columns: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return least squares coefficients, (n_columns,), and White's covariance of them."""
    inverse = np.linalg.pinv(columns.T @ columns)
    coefficients = inverse @ columns.T @ values
    errors = values - columns @ coefficients
    return coefficients, inverse @ (columns.T * errors**2) @ columns @ inverse


def _cross_fitted(others: FloatArray, values: FloatArray, half: BoolArray, seed: int) -> FloatArray:
    """Return predictions of each half by boosting fitted on the other, (n_samples,)."""
    predicted = np.full(values.size, values.mean())
    if not others.shape[1] or half.all() or not half.any():
        return predicted
    for in_half in (half, ~half):
        boosting = HistGradientBoostingRegressor(
            max_iter=80, max_leaf_nodes=15, min_samples_leaf=20, early_stopping=False, random_state=seed
        )
        predicted[in_half] = boosting.fit(others[~in_half], values[~in_half]).predict(others[in_half])
    return predicted


def _studentised(products: FloatArray) -> float:
    spread = float(products.std()) if products.size else 0.0
    return float(np.sqrt(products.size) * products.mean() / spread) if spread > 0 else 0.0


def _corrected(statistics: list[float]) -> float:
    return min(1.0, len(statistics) * float(norm.sf(max(statistics)))) if statistics else 1.0
