r"""The leaf values of all trees, fitted again together, in order, to the model's own sums: no labels are needed.

With the sums :math:`m(x) = \sum_t v^0_t(x)` of the model as targets, the values solve the least squares of
:mod:`alignconf.kernels.leaf_fit` over reference rows. Each tree by itself, as published for forests [1]_, is not enough for
boosting, where later trees correct what earlier ones got wrong. Three things keep the fit close to the model where no reference
row is:

* every leaf stays within its own tree's range of values;
* a ridge of ``RIDGE`` rows pulls it to the value that it has;
* where asked, **copies** of the reference rows, whose constrained features come from other rows, are fitted too.

Rows weigh what a small change of their margin changes in the deviance: :math:`p (1 - p)` for probabilities, the prediction
under the exponential link, 1 otherwise. Where labels are given, targets move a share towards them, a Newton step of the deviance:
:math:`m + c\,(y - \mu) / \mu'(m)`.

References
----------
.. [1] Bonakdarpour, M., Chatterjee, S., Barber, R. F. and Lafferty, J. (2018). Prediction Rule Reshaping. ICML 2018.
   arXiv:1805.06439
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from alignconf._typing import FloatArray
from alignconf.kernels.leaf_fit import fit_leaves
from alignconf.kernels.tree_walk import LEAF
from alignconf.lines.ensemble import Ensemble
from alignconf.projectors.leaves.partial_order import LeafOrder

__all__ = [
    "Reference",
    "fitted_values",
    "leaves_of",
    "mean_and_slope",
    "newton_steps",
    "recombined",
    "value_range",
    "with_values",
]

N_PASSES = 20

#: Pseudo-rows, of average weight, that say of each leaf the value that it has.
RIDGE = 3.0


@dataclass(frozen=True, eq=False)
class Reference:
    """Rows that leaf values are fitted on.

    Parameters
    ----------
    groups : (n_trees, n_rows)
        Which group of leaves each row reaches.
    targets, weights : (n_rows,)
        The sum of leaves that a row should have, and what it counts.
    """

    groups: NDArray[np.int32]
    targets: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, order: LeafOrder, rows: FloatArray, *, sample_weight: FloatArray | None = None) -> Reference:
        """Return the rows with the sums of the model itself; ``sample_weight`` (n_rows,) says what each counts besides."""
        ensemble = order.ensemble
        leaves = leaves_of(ensemble, rows)
        sums = order.values[leaves].sum(axis=1)
        _, slope = mean_and_slope(ensemble.link, (ensemble.base + sums) / ensemble.divisor)
        weights = slope if sample_weight is None else slope * sample_weight
        groups = np.ascontiguousarray(order.group[leaves].T, np.int32)
        return cls(groups, sums, np.ascontiguousarray(weights / weights.mean()))

    def margins(self, ensemble: Ensemble) -> FloatArray:
        """Return the margins that the targets are, (n_rows,)."""
        margins: FloatArray = (ensemble.base + self.targets) / ensemble.divisor
        return margins

    def moved(self, order: LeafOrder, steps: FloatArray) -> Reference:
        """Return the rows with targets whose margins are moved by ``steps``, (n_rows,)."""
        return replace(self, targets=self.targets + order.ensemble.divisor * steps)

    def joined(self, other_rows: Reference) -> Reference:
        """Return these rows and others."""
        return Reference(
            np.concatenate([self.groups, other_rows.groups], axis=1),
            np.concatenate([self.targets, other_rows.targets]),
            np.concatenate([self.weights, other_rows.weights]),
        )


#: A Newton step is not divided by less than this share of the largest slope.
SMALLEST_SLOPE = 1e-3


def newton_steps(link: str, margins: FloatArray, y: FloatArray) -> FloatArray:
    """Return the Newton steps of the deviance from margins to labels, both (n_rows,)."""
    mean, slope = mean_and_slope(link, margins)
    steps: FloatArray = (y - mean) / np.maximum(slope, SMALLEST_SLOPE * slope.max())
    return steps


def fitted_values(
    order: LeafOrder, reference: Reference, *, n_passes: int = N_PASSES, ridge: float = RIDGE, bounded: bool = True
) -> FloatArray:
    """Return leaf values, (n_leaves,), in order exactly, that are near the reference rows' targets together."""
    low, high = order.bounds
    if not bounded:
        low, high = np.full_like(low, -np.inf), np.full_like(high, np.inf)
    size = np.bincount(order.group, minlength=order.n_groups).astype(np.float64)
    start = order.of_groups(order.values, np.ones(order.group.size))
    group_values = fit_leaves(
        order.edges, reference.groups, reference.targets, reference.weights, start, ridge * size, (low, high), n_passes
    )
    return order.in_order(group_values)


def with_values(ensemble: Ensemble, leaf_values: FloatArray) -> Ensemble:
    """Return an ensemble with other leaf values, (n_leaves,)."""
    nodes = ensemble.nodes.copy()
    nodes["number"][nodes["split"] == LEAF] = leaf_values
    return replace(ensemble, nodes=nodes)


def value_range(ensemble: Ensemble) -> tuple[float, float]:
    """Return predictions from the smallest and from the largest leaves of all trees, which no prediction leaves."""
    is_leaf = ensemble.nodes["split"] == LEAF
    leaf_values, starts = ensemble.nodes["number"][is_leaf], np.append(0, np.cumsum(is_leaf))[ensemble.roots]
    sums = np.array([np.minimum.reduceat(leaf_values, starts).sum(), np.maximum.reduceat(leaf_values, starts).sum()])
    low, high = mean_and_slope(ensemble.link, (ensemble.base + sums) / ensemble.divisor)[0]
    return float(low), float(high)


def recombined(
    rows: FloatArray, directions: Mapping[int, int], n_copies: int, random: np.random.Generator
) -> FloatArray:
    """Return copies of rows, (n_copies * n_rows, n_features), whose constrained features come from other rows, each by itself."""
    copies = np.tile(rows, (n_copies, 1))
    for feature in directions:
        for start in range(0, len(copies), max(1, len(rows))):
            block = slice(start, start + len(rows))
            copies[block, feature] = random.permutation(rows[:, feature])
    return copies


def leaves_of(ensemble: Ensemble, rows: FloatArray) -> NDArray[np.int32]:
    """Return which leaves, numbered through all trees, rows (n_rows, n_features) reach: (n_rows, n_trees)."""
    n_leaves = int((ensemble.nodes["split"] == LEAF).sum())
    return with_values(ensemble, np.arange(n_leaves, dtype=np.float64)).leaves(rows)


def mean_and_slope(link: str, margins: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return predictions and their derivatives in the margin, both (n_rows,)."""
    if link == "expit":
        p = expit(margins)
        # Of margins from 37 on 1 - p rounds to zero.
        return p, p * expit(-margins)
    if link == "exp":
        mean = np.exp(margins)
        return mean, mean
    return margins, np.ones_like(margins)
