r"""Sums of shape functions, those of interpret's explainable boosting machines, as sums of trees.

A term is a table of scores by the bins of one feature, or of two and more together: a step function, which a tree with the cuts
of the features tells as well. Its first node parts what is missing; the scores of bins are leaves below a balanced choice among
the cuts, feature after feature. So lines, planes and sums are those of trees, and one rule of rounding holds for both.

Categories become the numbers of their bins first, in a step in front of the trees (:class:`ShapeBins`): the bins of single
features, and after them what was not seen in the fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, Table
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.stored_trees import Tree
from alignconf.tables import table as tables

__all__ = ["ShapeBins", "shape_sums", "step_before_shapes"]

LINKS = {"identity": "identity", "log": "exp", "logit": "expit", "mlogit": "identity"}


@dataclass(frozen=True)
class ShapeBins:
    """A step that turns categories into the numbers of their bins.

    Parameters
    ----------
    kept : mapping of int to mapping of str to int
        From each column of categories to the bin of each, counted from 1.
    """

    kept: Mapping[int, Mapping[str, int]]

    def transform(self, table: Table) -> FloatArray:
        """Return rows as the trees take them, (n_samples, n_features); missing categories are NaN."""
        numbers = np.empty(table.shape)
        for j in range(table.shape[1]):
            values = tables.column(table, j)
            numbers[:, j] = self._bins(j, values) if j in self.kept else values.astype(np.float64)
        return numbers

    def _bins(self, position: int, values: NDArray[Any]) -> FloatArray:
        bin_of, unseen = self.kept[position], float(len(self.kept[position]) + 1)
        held = values.tolist()
        bins = {
            value: np.nan if tables.is_missing(value) else float(bin_of.get(_written(value), unseen))
            for value in dict.fromkeys(held)
        }
        return np.array([bins[value] for value in held], dtype=np.float64)


def step_before_shapes(model: Any) -> ShapeBins | None:
    """Return the step that turns rows into numbers for a model's trees; None if it has no categories."""
    kept = {j: levels[0] for j, levels in enumerate(model.bins_) if levels and isinstance(levels[0], dict)}
    return ShapeBins(kept) if kept else None


def shape_sums(model: Any, *, column: int = 1) -> tuple[Ensemble, ...] | str:
    """Return the terms of a fitted explainable boosting machine as trees, or a sentence that says why they cannot be read.

    Parameters
    ----------
    model : ExplainableBoostingRegressor or ExplainableBoostingClassifier
    column : int
        Of a classifier with two classes, the class whose probability is read.

    Returns
    -------
    tuple of Ensemble, or str
        One whose prediction is the model's, or the sums of all classes, whose softmax their probabilities are.
    """
    name = type(model).__name__
    if not hasattr(model, "term_scores_"):
        return f"{name} is not fitted."
    if model.link_ not in LINKS:
        return f"{name} turns its sum into predictions by {model.link_!r}, which alignconf does not know."
    intercepts = np.ravel(model.intercept_).astype(np.float64)
    sign = -1.0 if model.link_ == "logit" and column == 0 else 1.0
    sums = []
    for k, intercept in enumerate(intercepts):
        scores = [of_term[..., k] if intercepts.size > 1 else of_term for of_term in model.term_scores_]
        trees = [
            _tree(sign * of_term, [_axis(model, j, len(features)) for j in features])
            for of_term, features in zip(scores, model.term_features_, strict=True)
        ]
        ensemble = Ensemble.of_trees(trees, len(model.bins_), base=sign * float(intercept), link=LINKS[model.link_])
        sums.append(replace(ensemble, made_of="shape functions"))
    return tuple(sums)


@dataclass(frozen=True)
class _Axis:
    """The cuts of a feature, which values up to them are left of, and the place in a table of scores of each bin."""

    feature: int
    cuts: FloatArray
    bins: Sequence[int]


def _axis(model: Any, feature: int, n_features: int) -> _Axis:
    """Return the axis of a feature in a term of so many features, which may have coarser bins."""
    levels = model.bins_[feature]
    level = levels[min(len(levels), n_features) - 1]
    if isinstance(level, dict):
        main = sorted(levels[0], key=levels[0].__getitem__)
        return _Axis(feature, np.arange(1.5, len(main) + 1.0), [*(level.get(key, -1) for key in main), -1])
    # Values at a cut belong to the bin above.
    cuts = np.asarray(level, dtype=np.float64)
    return _Axis(feature, np.nextafter(cuts, np.float64(-np.inf)), range(1, cuts.size + 2))


@dataclass
class _Nodes:
    """Nodes of a tree as it grows."""

    feature: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)

    def add(self, feature: int, threshold: float, value: float) -> int:
        """Add a node without children and return its number."""
        for column, entry in zip(vars(self).values(), (feature, threshold, 0, 0, value), strict=True):
            column.append(entry)
        return len(self.feature) - 1

    def grow(self, scores: FloatArray, axes: Sequence[_Axis]) -> int:
        """Add the tree of a table of scores and return its root."""
        if not axes:
            return self.add(-1, 0.0, float(scores))
        root = self.add(axes[0].feature, np.inf, 0.0)
        self.left[root] = self.choose(scores, axes, 0, axes[0].cuts.size)
        self.right[root] = self.grow(scores[0], axes[1:])
        return root

    def choose(self, scores: FloatArray, axes: Sequence[_Axis], low: int, high: int) -> int:
        """Add the choice among the bins from ``low`` to ``high`` of the first axis and return its root."""
        axis = axes[0]
        if low == high:
            return self.grow(scores[axis.bins[low]], axes[1:])
        middle = (low + high) // 2
        root = self.add(axis.feature, float(axis.cuts[middle]), 0.0)
        self.left[root] = self.choose(scores, axes, low, middle)
        self.right[root] = self.choose(scores, axes, middle + 1, high)
        return root


def _tree(scores: FloatArray, axes: Sequence[_Axis]) -> Tree:
    nodes = _Nodes()
    nodes.grow(scores, axes)
    return Tree(
        np.array(nodes.feature),
        np.array(nodes.threshold),
        np.array(nodes.left),
        np.array(nodes.right),
        np.zeros(len(nodes.feature), np.bool_),
        np.array(nodes.value),
    )


def _written(value: Any) -> str:
    """Return a category as interpret writes it: whole numbers without a point."""
    is_whole = isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer()
    return str(int(value)) if is_whole else str(value)
