r"""A tree ensemble as flat arrays, and its lines, exactly.

A prediction is :math:`f(x) = h((base + \sum_t v_t(x)) / n)` with the value :math:`v_t` of the leaf that ``x`` reaches in
tree ``t``, the divisor :math:`n` (of a forest, its number of trees) and a link ``h``: the identity, ``exp`` or ``expit``.
Along a feature it is a step function whose *pieces* are cut by the ensemble's own thresholds: piece ``p`` holds the values
above threshold ``p - 1`` and up to threshold ``p``. One *place* in each piece tells the whole line; :meth:`Ensemble.line`
looks at all places in one walk of each tree.

Every node sends values *up to* its threshold left. Where a model asks ``x < t``, in single precision, the largest number
below ``t`` is stored, which asks the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alignconf._typing import FloatArray, IntArray
from alignconf.errors import InputError
from alignconf.kernels.order import per_line
from alignconf.kernels.place_sets import cut_by_places
from alignconf.kernels.tree_grids import walk_grids
from alignconf.kernels.tree_leaves import find_leaves
from alignconf.kernels.tree_projection import Rule, project_lines, project_values
from alignconf.kernels.tree_walk import ALONG, ALONG_SECOND, Forest, walk_lines
from alignconf.lines.category_sets import CategorySets
from alignconf.lines.exact_lines import Move, ProjectedAt, piece_of
from alignconf.lines.links import LINKS, linked_rounding
from alignconf.lines.routes import Route
from alignconf.lines.similar_rows import Landmarks, landmarks_of, similar_first
from alignconf.lines.single_precision import as_compared, largest_rounded_to
from alignconf.lines.stored_trees import Tree, features_of, flat_nodes
from alignconf.lines.sum_rounding import UNIT, UNIT_SINGLE, largest_sum, sum_error
from alignconf.tables import table as tables
from alignconf.tables.predictions import Rounding

__all__ = ["ALMOST_ZERO", "Ensemble", "TreeGrids", "TreeLines"]

#: LightGBM takes values as small as this for zero; some of its thresholds are exactly this.
ALMOST_ZERO = float(np.float32(1e-35))

#: Larger ensembles do not stay in the cache, and similar rows share more of what is read.
MANY_NODES = 2**17

#: Nodes, roots, and the depth of the deepest tree.
Trees: TypeAlias = tuple[NDArray[Any], IntArray, int]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """A tree ensemble.

    Parameters
    ----------
    nodes : (n_nodes,) records of :data:`alignconf.kernels.tree_walk.NODE`
        All trees, one after the other, each in depth-first order.
    roots : (n_trees,)
    depth : int
        Of the deepest tree.
    base, divisor : float
        The margin is ``(base + sum of leaves) / divisor``; a forest's divisor is its number of trees.
    link : {"identity", "exp", "expit"}
        From the margin to the prediction.
    is_float32 : bool
        Whether the model rounds rows to single precision before it compares.
    is_single : bool
        Whether it adds leaves in single precision.
    n_features : int
    missing_code : float or None
        A value that the model takes for missing, besides NaN; 0 includes what is as small as :data:`ALMOST_ZERO`.
    scale : float
        What the values of the library's leaves were multiplied by; negative for the first of two classes.
    n_cuts : int
        Cuts among the places of its lines, where they are told.
    categories : CategorySets
        Of the nodes that list categories.
    made_of : str
        What the trees are to the model, in words.
    """

    nodes: NDArray[Any]
    roots: IntArray
    depth: int
    base: float
    divisor: float
    link: str
    is_float32: bool
    is_single: bool
    n_features: int
    missing_code: float | None = None
    scale: float = 1.0
    n_cuts: int = 0
    categories: CategorySets = field(default_factory=CategorySets)
    made_of: str = "trees"

    @classmethod
    def of_trees(
        cls,
        trees: Sequence[Tree],
        n_features: int,
        *,
        base: float = 0.0,
        scale: float = 1.0,
        divisor: float = 1.0,
        link: str = "identity",
        is_float32: bool = False,
        is_single: bool = False,
        lowest_code: float = 0.0,
    ) -> Ensemble:
        """Return the ensemble of some trees, the values of whose leaves are multiplied by ``scale``."""
        nodes, roots, depth, categories = flat_nodes(trees, scale=scale, is_float32=is_float32, lowest_code=lowest_code)
        return cls(
            nodes,
            roots,
            depth,
            float(base),
            float(divisor),
            link,
            is_float32,
            is_single,
            n_features,
            scale=float(scale),
            categories=categories,
        )

    @cached_property
    def rounding(self) -> Rounding:
        """The rounding of a prediction, the model's own or a walk's; the sizes of base and leaves fix it."""
        return linked_rounding(self.link, self.sum_error / self.divisor, self.unit)

    @property
    def unit(self) -> float:
        """The unit roundoff of the model's sums."""
        return UNIT_SINGLE if self.is_single else UNIT

    @cached_property
    def sum_error(self) -> float:
        """The bound on the distance of sums of leaves, the model's own or a walk's, from exact sums."""
        return sum_error(self.nodes, self.roots, self.base, is_single=self.is_single, n_cuts=self.n_cuts)

    def rows(self, X: Any) -> FloatArray:
        """Return rows (n_samples, n_features) as the model compares them; missing values are NaN.

        Columns behind those that the trees know are not the model's, and are left out.
        """
        table = tables.as_table(X)
        if table.shape[1] < self.n_features:
            raise InputError(
                f"X has shape {table.shape}; expected rows of {self.n_features} features, as the trees have."
            )
        of_fit = table if table.shape[1] == self.n_features else tables.select(table, range(self.n_features))
        compared = np.ascontiguousarray(self._compared(tables.as_numbers(of_fit)))
        if self.categories.sizes:
            compared = compared.copy()
            for j in self.categories.sizes:
                compared[:, j] = self.categories.coded(j, compared[:, j])
        return compared

    def _compared(self, numbers: FloatArray) -> FloatArray:
        """Return numbers as the model compares them, of the same shape."""
        compared = as_compared(numbers, self.is_float32)
        if self.missing_code is None:
            return compared
        is_missing = np.abs(compared) <= ALMOST_ZERO if self.missing_code == 0 else compared == self.missing_code
        return np.where(is_missing, np.nan, compared)

    def predict(self, X: Any) -> FloatArray:
        """Return predictions, (n_samples,): the model's own up to the rounding of its sums."""
        rows = self.rows(X)
        values = np.empty((len(rows), 1))
        walk_lines(self._whole, rows, np.arange(len(rows)), values)
        return values[:, 0]

    def leaves(self, X: Any) -> NDArray[np.int32]:
        """Return the values of the leaves that rows reach, for ensembles that number their leaves: (n_samples, n_trees)."""
        rows = self.rows(X)
        leaf_values = np.empty((len(rows), self.roots.size), np.int32)
        find_leaves(self._whole, rows, similar_first(rows, self._landmarks), leaf_values)
        return leaf_values

    @cached_property
    def _landmarks(self) -> Landmarks:
        return landmarks_of(self.nodes)

    def pieces(self, feature: int) -> FloatArray:
        """Return the thresholds on a feature in increasing order, (n_pieces - 1,)."""
        thresholds = self.nodes["number"][self._on(feature)]
        # An infinite threshold only parts what is there from what is missing.
        return np.unique(thresholds[np.isfinite(thresholds)])

    def ends(self, route: Route) -> FloatArray:
        """Return the largest numbers of double precision in each piece but the last along the only column of a route."""
        return np.unique(np.concatenate([np.empty(0), *(self.places(feature)[:-1] for feature in route.signs)]))

    def why_not(self, route: Route) -> str:
        """Return that categories have no order of their own; nothing along every other column."""
        feature = route.axis.feature
        if route.axis.order is None and any(j in self.categories.sizes for j in route.signs):
            return f"{feature!r} is a category to the model; list its values in the property, order=[...]."
        return ""

    def why_no_pieces(self, route: Route) -> str:  # noqa: ARG002
        """Return nothing: lines are step functions."""
        return ""

    def places(self, feature: int) -> FloatArray:
        """Return one place in each piece along a feature, where it ends, increasing; the last one is infinite: (n_pieces,)."""
        thresholds = self.pieces(feature)
        return np.append(largest_rounded_to(thresholds) if self.is_float32 else thresholds, np.inf)

    def piece_of(self, feature: int, x: ArrayLike) -> IntArray:
        """Return the pieces of values of a feature, integers of the shape of ``x``; -1 for missing values."""
        return piece_of(
            np.append(self.pieces(feature), np.inf), as_compared(np.asarray(x, np.float64), self.is_float32)
        )

    def splits_on(self, feature: int) -> bool:
        """Whether any node asks about a feature, be it only whether the feature is missing."""
        return bool(self._on(feature).any())

    def line(self, move: Move) -> TreeLines:
        """Return the lines of rows as they move, place by place."""
        return self._line(move.values, move.n_places)

    def plane(self, first: Move, second: Move) -> TreeGrids:
        """Return the grids of rows as they move along two features."""
        trees = self._cut(
            self._cut((self.nodes, self.roots, self.depth), first.values, ALONG), second.values, ALONG_SECOND
        )
        return TreeGrids(self._with_cuts(trees[0]), (first.n_places, second.n_places), self._forest(*trees))

    def along(self, feature: int, places: ArrayLike | None = None) -> TreeLines:
        """Return the lines along a feature at increasing places, (n_places,); without them at the end of each piece."""
        values = self.places(feature) if places is None else np.asarray(places, dtype=np.float64)
        return self._line({feature: values}, values.size)

    def _on(self, feature: int) -> NDArray[np.bool_]:
        return np.asarray(features_of(self.nodes) == feature)

    def _line(self, values: Mapping[int, NDArray[Any]], n_places: int) -> TreeLines:
        trees = self._cut((self.nodes, self.roots, self.depth), values, ALONG)
        return TreeLines(self._with_cuts(trees[0]), n_places, self._forest(*trees))

    def _cut(self, trees: Trees, values: Mapping[int, NDArray[Any]], mark: int) -> Trees:
        """Return trees with cuts, whose ``split`` is ``mark``, for nodes on features that move to values, (n_places,) of each."""
        moved = {j: self._compared(np.asarray(of_places, dtype=np.float64)) for j, of_places in values.items()}
        nodes, roots, depth = trees
        on = {j: features_of(nodes) == j for j in moved}
        if all(
            j not in self.categories.sizes and bool((of_places[1:] >= of_places[:-1]).all())
            for j, of_places in moved.items()
        ):
            nodes = nodes.copy()
            for j, of_places in moved.items():
                nodes["number"][on[j]] = np.searchsorted(of_places, nodes["number"][on[j]], side="right")
                nodes["split"][on[j]] = mark
            return nodes, roots, depth
        sets = np.zeros((nodes.size, next(iter(moved.values())).size), np.bool_)
        for j, of_places in moved.items():
            sets[on[j]] = self._go_left(nodes[on[j]], j, of_places)
        return cut_by_places(nodes, roots, sets, np.any(list(on.values()), axis=0), mark)

    def _go_left(self, nodes: NDArray[Any], feature: int, values: FloatArray) -> NDArray[np.bool_]:
        """Return which values go left at nodes on a feature, (n_nodes, n_values)."""
        if feature in self.categories.sizes:
            return self.categories.go_left(nodes["number"], self.categories.coded(feature, values))
        missing_left = (nodes["split"] & 1).astype(bool)[:, None]
        return np.where(np.isnan(values), missing_left, values <= nodes["number"][:, None])

    def _with_cuts(self, nodes: NDArray[Any]) -> Ensemble:
        """Return the ensemble with the number of cuts that a walk passes, which its rounding grows with."""
        return replace(self, n_cuts=int(np.isin(nodes["split"], (ALONG, ALONG_SECOND)).sum()))

    @cached_property
    def _whole(self) -> Forest:
        """The trees without cuts, as the kernels take them."""
        return self._forest(self.nodes, self.roots, self.depth)

    def _forest(self, nodes: NDArray[Any], roots: IntArray, depth: int) -> Forest:
        link, tie = LINKS.index(self.link), 2 * self._with_cuts(nodes).sum_error
        return nodes, roots, depth, self.base, self.divisor, link, self.is_single, tie, self.categories.bits


@dataclass(frozen=True, eq=False)
class TreeLines:
    """Lines of an ensemble as rows move.

    Parameters
    ----------
    model : Ensemble
    n_places : int
    forest : tuple
        What the kernels take.
    """

    model: Ensemble
    n_places: int
    forest: Forest

    @cached_property
    def landmarks(self) -> Landmarks:
        """The features that most nodes split on, and the quartiles of their thresholds."""
        return landmarks_of(self.forest[0])

    def order(self, rows: FloatArray) -> IntArray:
        """Return the order in which rows are walked, (n_samples,): similar ones together, if that makes walks faster."""
        return similar_first(rows, self.landmarks) if self.forest[0].size > MANY_NODES else np.arange(len(rows))

    @cached_property
    def _slack(self) -> tuple[float, float]:
        """The relative and the absolute part of more than what is rounding of values on a line, and of means of some of them."""
        rounding, means = self.model.rounding, self.n_places * 2.0**-50
        if self.model.link == "exp":
            return 4 * rounding.relative + means, 0.0
        model = self.model
        largest = 1.0 if model.link == "expit" else largest_sum(model.nodes, model.roots, model.base) / model.divisor
        return 0.0, 4 * max(rounding.absolute, rounding.relative * largest) + means * largest

    def values(self, table: Any) -> FloatArray:
        """Return the line of each row, (n_samples, n_places)."""
        rows = self.model.rows(table)
        lines = np.empty((len(rows), self.n_places))
        walk_lines(self.forest, rows, self.order(rows), lines)
        return lines

    def project(
        self,
        table: Any,
        pieces: ArrayLike,
        weights: FloatArray | None,
        *,
        increasing: bool = True,
        predicted: FloatArray | None = None,
    ) -> ProjectedAt:
        """Project the line of each row, and look both up; no line is stored. See :meth:`ExactLine.project`."""
        rows, lookup = self.model.rows(table), self._lookup(pieces, weights, increasing, predicted)
        project_lines(self.forest, rows, self.order(rows), *lookup[:3], lookup[3].lookups)
        return lookup[3]

    def projected(
        self,
        values: FloatArray,
        pieces: ArrayLike,
        weights: FloatArray | None,
        *,
        increasing: bool = True,
        predicted: FloatArray | None = None,
    ) -> ProjectedAt:
        """Return what :meth:`project` does of lines that are known, (n_samples, n_places)."""
        lookup = self._lookup(pieces, weights, increasing, predicted)
        project_values(values, *lookup[:3], lookup[3].lookups)
        return lookup[3]

    def _lookup(
        self, pieces: ArrayLike, weights: FloatArray | None, increasing: bool, predicted: FloatArray | None
    ) -> tuple[Rule, IntArray, FloatArray, ProjectedAt]:
        """Return the rule, pieces and predictions as kernels take them, and room for what they tell."""
        numbers, direction = np.ascontiguousarray(pieces, dtype=np.intp), 1.0 if increasing else -1.0
        rule = per_line(np.ones(self.n_places) if weights is None else weights), weights is not None, direction
        answers = np.full(numbers.shape, np.nan) if predicted is None else np.ascontiguousarray(predicted)
        return (*rule, *self._slack), numbers, answers, ProjectedAt.empty(numbers)


@dataclass(frozen=True, eq=False)
class TreeGrids:
    """Grids of an ensemble as rows move along two features; see :class:`TreeLines`.

    Parameters
    ----------
    model : Ensemble
    n_places : (int, int)
    forest : tuple
        What the kernels take.
    """

    model: Ensemble
    n_places: tuple[int, int]
    forest: Forest

    def values(self, table: Any) -> FloatArray:
        """Return the grid of each row, (n_samples, n_places_1, n_places_2)."""
        rows = self.model.rows(table)
        grids = np.empty((len(rows), *self.n_places))
        walk_grids(self.forest, rows, grids)
        return grids
