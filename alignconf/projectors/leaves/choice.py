"""Which of several fits of the leaves is nearest to the model on reference rows that it was not fitted on.

Copies of the reference rows with recombined features hold the fit back from imitating what a model has learned of single rows by
heart; where features depend on each other strongly they ask about rows that there are not, and pull it away. No rule fixed
beforehand was good on all data, so a quarter of the reference rows decides between a fit without copies and one with them: by the
weighted squared distance of margins from the model's. Then all reference rows are fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from alignconf._typing import FloatArray
from alignconf.projectors.leaves.joint_fit import Reference, fitted_values, recombined
from alignconf.projectors.leaves.partial_order import LeafOrder

__all__ = ["FittedLeaves", "fit_nearest"]

#: One of so many reference rows is held out to compare, if there are at least as many rows as this.
HELD_OUT, FEWEST = 4, 40

#: Copies of each row.
N_COPIES = 2

#: More rows than this, copies included, are not fitted: they cost time and change little.
MOST_ROWS = 60_000


@dataclass(frozen=True, eq=False)
class FittedLeaves:
    """Leaf values in order.

    Parameters
    ----------
    values : (n_leaves,)
    with_copies : bool
        Whether copies with recombined features were fitted too.
    distance : float
        From the model: root of the weighted mean of squared differences of margins, at held-out reference rows; NaN where
        these were too few.
    """

    values: FloatArray
    with_copies: bool
    distance: float


def fit_nearest(order: LeafOrder, directions: Mapping[int, int], rows: FloatArray) -> FittedLeaves:
    """Return the leaf values in order that are nearest to the model's at rows (n_rows, n_features), which need no labels."""
    random = np.random.default_rng(0)
    rows = random.permutation(rows)[:MOST_ROWS]
    n_held_out = len(rows) // HELD_OUT if len(rows) >= FEWEST else 0
    if not n_held_out:
        return FittedLeaves(_fit(order, directions, rows, with_copies=False), False, float("nan"))
    fresh = Reference.of(order, rows[:n_held_out])
    distances = [
        fresh.distance(order, _fit(order, directions, rows[n_held_out:], with_copies=with_copies))
        for with_copies in (False, True)
    ]
    with_copies = distances[1] < distances[0]
    return FittedLeaves(_fit(order, directions, rows, with_copies=with_copies), with_copies, min(distances))


def _fit(order: LeafOrder, directions: Mapping[int, int], rows: FloatArray, *, with_copies: bool) -> FloatArray:
    reference = Reference.of(order, rows)
    if with_copies:
        n_copies = max(1, min(N_COPIES, MOST_ROWS // len(rows) - 1))
        copies = recombined(rows, directions, n_copies, np.random.default_rng(1))
        reference = reference.joined(Reference.of(order, copies))
    return fitted_values(order, reference)
