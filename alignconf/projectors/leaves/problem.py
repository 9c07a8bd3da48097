"""What every candidate is fitted to: a model's trees, their order, and reference rows with the model's margins.

Whatever several candidates need is found once: where rows end in the trees, copies of the rows whose constrained features come
from other rows, and the **twin**, the model's own library fitted under its constraints to the model's margins
(:mod:`alignconf.lines.native.constrained_twin`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, IntArray
from alignconf.contract.domain import Domain
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.native.constrained_twin import ConstrainedTwin, constrained_twin
from alignconf.lines.native_leaves import with_leaves
from alignconf.lines.trees import read_ensemble
from alignconf.lines.wrapped import predicting_model
from alignconf.projectors.leaves.joint_fit import Reference, fitted_values, mean_and_slope, recombined
from alignconf.projectors.leaves.partial_order import LeafOrder, broken_pair

__all__ = ["MOST_ROWS", "FittingProblem", "Twin", "margins_of"]

#: Copies of each row.
N_COPIES = 2

#: More rows than this, copies included, are not fitted: they cost time and change little.
MOST_ROWS = 60_000


@dataclass(frozen=True, eq=False)
class Twin:
    """A constrained regressor of a model's margins, fitted.

    Parameters
    ----------
    regressor : estimator
    ensemble : Ensemble
        Its trees.
    sign : float
        What multiplies its values to margins of the model's ensemble: -1 for the first of two classes, otherwise 1.
    """

    regressor: Any
    ensemble: Ensemble
    sign: float

    def margins(self, rows: FloatArray) -> FloatArray:
        """Return margins at rows, (n_rows,)."""
        return self.sign * margins_of(self.ensemble, rows)


@dataclass(frozen=True, eq=False)
class FittingProblem:
    """A model's trees and the rows that they are fitted at.

    Parameters
    ----------
    function : Model
        The function of the model, which tells its trees and takes others.
    order : LeafOrder
        Of these trees.
    domains : mapping of int to Domain
        The values of constrained features that are compared.
    directions : mapping of int to {-1, 0, 1}
        From the position of a constrained feature to its direction.
    rows : (n_rows, n_features)
    y : (n_rows,), optional
        Labels as numbers, in the unit of predictions.
    sample_weight : (n_rows,), optional
        What each row counts; 1 by default.
    """

    function: Any
    order: LeafOrder
    directions: Mapping[int, int]
    rows: FloatArray
    y: FloatArray | None = None
    sample_weight: FloatArray | None = None
    domains: Mapping[int, Domain] = field(default_factory=dict, kw_only=True)

    def at(self, positions: IntArray) -> FittingProblem:
        """Return the problem at some of the rows."""
        y = None if self.y is None else self.y[positions]
        sample_weight = None if self.sample_weight is None else self.sample_weight[positions]
        return replace(self, rows=self.rows[positions], y=y, sample_weight=sample_weight)

    @property
    def ensemble(self) -> Ensemble:
        """The model's trees."""
        return self.order.ensemble

    @cached_property
    def reference(self) -> Reference:
        """The rows and the model's sums."""
        return Reference.of(self.order, self.rows, sample_weight=self.sample_weight)

    @cached_property
    def margins(self) -> FloatArray:
        """The model's margins at the rows, (n_rows,)."""
        return self.reference.margins(self.ensemble)

    @cached_property
    def values_in_order(self) -> FloatArray:
        """Leaf values in order, fitted to the model's margins at the rows, (n_leaves,)."""
        return fitted_values(self.order, self.reference)

    @cached_property
    def copies(self) -> FloatArray:
        """Copies of the rows whose constrained features come from other rows, (n_copies, n_features)."""
        n_copies = max(1, min(N_COPIES, MOST_ROWS // len(self.rows) - 1))
        return recombined(self.rows, self.directions, n_copies, np.random.default_rng(1))

    @cached_property
    def reference_of_copies(self) -> Reference:
        """The copies and the model's sums."""
        return Reference.of(self.order, self.copies, sample_weight=self._weights_of_copies)

    @cached_property
    def twin(self) -> Twin | str:
        """The twin, fitted at the rows, or a sentence that says why there is none."""
        return self._twin(self.rows, self.margins, self.sample_weight)

    @cached_property
    def twin_of_copies(self) -> Twin | str:
        """The twin, fitted at the rows and copies, or a sentence that says why there is none."""
        weights = self._weights_of_copies
        return self._twin(
            np.concatenate([self.rows, self.copies]),
            np.concatenate([self.margins, self.reference_of_copies.margins(self.ensemble)]),
            None if weights is None or self.sample_weight is None else np.concatenate([self.sample_weight, weights]),
        )

    def rounds(self, targets: FloatArray) -> Twin | str:
        """Return a short twin, fitted to targets at the rows, (n_rows,), or a sentence that says why there is none."""
        return self._twin(self.rows, self.margins, self.sample_weight, targets)

    @property
    def _weights_of_copies(self) -> FloatArray | None:
        return None if self.sample_weight is None else np.tile(self.sample_weight, len(self.copies) // len(self.rows))

    @property
    def why_no_twin(self) -> str:
        """Why the model has no twin, in words; nothing if it has one."""
        return self._constrained if isinstance(self._constrained, str) else ""

    @property
    def _sign(self) -> int:
        """What multiplies margins of the second class, which libraries hold, to those of the model's ensemble."""
        return int(np.sign(self.ensemble.scale))

    @cached_property
    def _constrained(self) -> ConstrainedTwin | str:
        directions = {feature: self._sign * direction for feature, direction in self.directions.items()}
        return constrained_twin(predicting_model(self.function.estimator), directions)

    def _twin(
        self,
        rows: FloatArray,
        margins: FloatArray,
        sample_weight: FloatArray | None,
        targets: FloatArray | None = None,
    ) -> Twin | str:
        """Return a twin, fitted to margins at rows, or a short one, fitted to other targets with weights of the margins."""
        if isinstance(self._constrained, str):
            return self._constrained
        twin = self._constrained if targets is None else self._constrained.shortened()
        targets = margins if targets is None else targets
        _, slope = mean_and_slope(self.ensemble.link, margins)
        weights = slope if sample_weight is None else slope * sample_weight
        declared = {feature: self._sign * direction for feature, direction in self.directions.items()}, self.domains
        regressor = _in_order(twin.fitted(rows, self._sign * targets, weights), declared, rows, weights)
        ensemble = read_ensemble(regressor)
        return ensemble if isinstance(ensemble, str) else Twin(regressor, ensemble, float(self._sign))


def _in_order(
    regressor: Any, declared: tuple[Mapping[int, int], Mapping[int, Domain]], rows: FloatArray, weights: FloatArray
) -> Any:
    """Return a fitted regressor itself where its library kept the order, otherwise with leaves in order, near to its own.

    LightGBM's intermediate and advanced constraints do not hold of rows that lack values.
    """
    ensemble = read_ensemble(regressor)
    if isinstance(ensemble, str) or broken_pair(ensemble, *declared) is None:
        return regressor
    order = LeafOrder.of(ensemble, *declared)
    return with_leaves(regressor, fitted_values(order, Reference.of(order, rows, sample_weight=weights)))


def margins_of(ensemble: Ensemble, rows: FloatArray) -> FloatArray:
    """Return the margins of an ensemble at rows, (n_rows,)."""
    return replace(ensemble, link="identity").predict(rows)
