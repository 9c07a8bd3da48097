r"""A tree ensemble as flat arrays, and its lines, exactly.

A prediction is :math:`f(x) = h((base + \sum_t v_t(x)) / n)` with the value :math:`v_t` of the leaf that ``x`` reaches in
tree ``t``, the divisor :math:`n` (of a forest, its number of trees) and a link ``h``: the identity, ``exp`` or ``expit``.
Along a feature it is a step function whose *pieces* are cut by the ensemble's own thresholds: piece ``p`` holds the values
above threshold ``p - 1`` and up to threshold ``p``. One *place* in each piece tells the whole line; :meth:`Ensemble.along`
looks at all places in one walk of each tree.

Every node sends values *up to* its threshold left. Where a model asks ``x < t``, in single precision, the largest number
below ``t`` is stored, which asks the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alignconf._typing import FloatArray, IntArray
from alignconf.errors import InputError
from alignconf.kernels.order import per_line
from alignconf.kernels.tree_grids import walk_grids
from alignconf.kernels.tree_leaves import find_leaves
from alignconf.kernels.tree_walk import ALONG, ALONG_SECOND, LEAF, NODE, Forest, depth_first, project_lines, walk_lines
from alignconf.lines.exact_lines import ProjectedAt
from alignconf.lines.similar_rows import Landmarks, landmarks_of, similar_first
from alignconf.lines.single_precision import as_compared, at_most_float32, largest_rounded_to
from alignconf.tables.predictions import Rounding

__all__ = ["ALMOST_ZERO", "LINKS", "Ensemble", "Tree", "TreeGrids", "TreeLines"]

#: LightGBM takes values as small as this for zero; some of its thresholds are exactly this.
ALMOST_ZERO = float(np.float32(1e-35))

#: From the sum of leaves to the prediction.
LINKS = ("identity", "exp", "expit")

#: Unit roundoffs of double and of single precision.
UNIT, UNIT_SINGLE = 2.0**-53, 2.0**-24

#: Links err by fewer units in the last place.
LINK_UNITS = 8


@dataclass(frozen=True)
class Tree:
    """One tree as libraries store them, by node; the root is node 0.

    Parameters
    ----------
    feature : (n_nodes,)
        Negative at leaves.
    threshold : (n_nodes,)
        Values up to it go left.
    left, right : (n_nodes,)
    missing_left : (n_nodes,)
        Whether a missing value goes left.
    value : (n_nodes,)
        Read at leaves only.
    """

    feature: NDArray[Any]
    threshold: NDArray[Any]
    left: NDArray[Any]
    right: NDArray[Any]
    missing_left: NDArray[Any]
    value: NDArray[Any]


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
    ) -> Ensemble:
        """Return the ensemble of some trees, the values of whose leaves are multiplied by ``scale``."""
        sizes = np.array([tree.feature.size for tree in trees], np.intp)
        roots = np.append(0, np.cumsum(sizes))[:-1].astype(np.intp)
        offset = np.repeat(roots, sizes)

        def joined(name: str) -> NDArray[Any]:
            return np.concatenate([getattr(tree, name) for tree in trees])

        feature, threshold = joined("feature").astype(np.int32), joined("threshold").astype(np.float64)
        if is_float32:
            threshold = at_most_float32(threshold)
        is_leaf = feature < 0
        split = np.where(is_leaf, LEAF, 2 * feature + joined("missing_left").astype(np.int32)).astype(np.int32)
        number = np.where(is_leaf, float(scale) * joined("value").astype(np.float64), threshold)
        left, right = joined("left").astype(np.intp) + offset, joined("right").astype(np.intp) + offset
        nodes = np.empty(feature.size, NODE)
        depth, n_nodes = depth_first(split, left, right, number, roots, nodes)
        return cls(
            nodes[:n_nodes],
            roots,
            depth,
            float(base),
            float(divisor),
            link,
            is_float32,
            is_single,
            n_features,
            scale=float(scale),
        )

    @cached_property
    def rounding(self) -> Rounding:
        """The rounding of a prediction, the model's own or a walk's; the sizes of base and leaves fix it."""
        error = self.sum_error / self.divisor
        unit = UNIT_SINGLE if self.is_single else UNIT
        if self.link == "exp":
            return Rounding(float(np.expm1(error)) + LINK_UNITS * unit)
        if self.link == "expit":
            return Rounding(0.0, error / 4 + LINK_UNITS * unit)
        return Rounding(unit, error)

    @cached_property
    def sum_error(self) -> float:
        r"""The bound on the distance of sums of leaves, the model's own or a walk's, from exact sums.

        A sum of terms one after the other errs by at most :math:`u \sum_k |s_k|`, with the partial sums :math:`s_k` and the
        unit roundoff ``u``; a partial sum lies between those of the smallest and of the largest leaves. A walk adds at most
        two terms for each tree and for each split on the feature, none of whose sums exceeds twice the largest leaves
        together.
        """
        is_leaf = self.nodes["split"] == LEAF
        leaves, starts = self.nodes["number"][is_leaf], np.append(0, np.cumsum(is_leaf))[self.roots]
        low = self.base + np.cumsum(np.minimum.reduceat(leaves, starts))
        high = self.base + np.cumsum(np.maximum.reduceat(leaves, starts))
        partial = np.maximum(np.abs(low), np.abs(high))
        # The last sum once more, for a division.
        sums = abs(self.base) + float(partial.sum()) + float(partial[-1])
        model = (UNIT_SINGLE if self.is_single else UNIT) * sums
        largest = abs(self.base) + float(np.maximum.reduceat(np.abs(leaves), starts).sum())
        n_splits = int(np.bincount(self.nodes["split"][~is_leaf] >> 1, minlength=1).max())
        return model + 2 * UNIT * (self.roots.size + n_splits) * 2 * largest

    @property
    def why_ends_only(self) -> str:
        """Sums of single precision are told at the ends of pieces only."""
        return "its sums are of single precision." if self.is_single else ""

    def rows(self, X: ArrayLike) -> FloatArray:
        """Return rows (n_samples, n_features) as the model compares them; missing values are NaN."""
        rows = as_compared(np.asarray(X, dtype=np.float64), self.is_float32)
        if self.missing_code is not None:
            is_missing = np.abs(rows) <= ALMOST_ZERO if self.missing_code == 0 else rows == self.missing_code
            rows = np.where(is_missing, np.nan, rows)
        if rows.ndim != 2 or rows.shape[1] != self.n_features:
            raise InputError(
                f"X has shape {rows.shape}; expected rows of {self.n_features} features, as the trees have."
            )
        return np.ascontiguousarray(rows)

    def predict(self, X: ArrayLike) -> FloatArray:
        """Return predictions, (n_samples,): the model's own up to the rounding of its sums."""
        rows = self.rows(X)
        values = np.empty((len(rows), 1))
        walk_lines(self._forest(self.nodes), rows, np.arange(len(rows)), values)
        return values[:, 0]

    def leaves(self, X: ArrayLike) -> NDArray[np.int32]:
        """Return the values of the leaves that rows reach, for ensembles that number their leaves: (n_samples, n_trees)."""
        rows = self.rows(X)
        leaf_values = np.empty((len(rows), self.roots.size), np.int32)
        find_leaves(self._forest(self.nodes), rows, similar_first(rows, self._landmarks), leaf_values)
        return leaf_values

    @cached_property
    def _landmarks(self) -> Landmarks:
        return landmarks_of(self.nodes)

    def pieces(self, feature: int) -> FloatArray:
        """Return the thresholds on a feature in increasing order, (n_pieces - 1,)."""
        thresholds = self.nodes["number"][self._on(feature)]
        # An infinite threshold only parts what is there from what is missing.
        return np.unique(thresholds[np.isfinite(thresholds)])

    def ends(self, feature: int) -> FloatArray:
        """Return the largest numbers of double precision in each piece but the last, increasing: (n_pieces - 1,)."""
        thresholds = self.pieces(feature)
        return largest_rounded_to(thresholds) if self.is_float32 else thresholds

    def splits_on(self, feature: int) -> bool:
        """Whether any node asks about a feature, be it only whether the feature is missing."""
        return bool(self._on(feature).any())

    def piece_of(self, feature: int, x: ArrayLike) -> IntArray:
        """Return the pieces of values of a feature, integers of the shape of ``x``; -1 for missing values."""
        return _piece_of(self.pieces(feature), x, self.is_float32)

    def along(self, feature: int, places: ArrayLike | None = None) -> TreeLines:
        """Return the lines along a feature at increasing places, (n_places,); without them at the end of each piece."""
        feature_places, nodes = self._marked(self.nodes.copy(), feature, places, ALONG)
        return TreeLines(self, feature_places, self._forest(nodes))

    def across(
        self, features: tuple[int, int], places: tuple[ArrayLike | None, ArrayLike | None] = (None, None)
    ) -> TreeGrids:
        """Return the grids of two features at increasing places of each; without them at the end of each piece."""
        first, nodes = self._marked(self.nodes.copy(), features[0], places[0], ALONG)
        second, nodes = self._marked(nodes, features[1], places[1], ALONG_SECOND)
        return TreeGrids(self, (first, second), self._forest(nodes))

    def _on(self, feature: int) -> NDArray[np.bool_]:
        on: NDArray[np.bool_] = self.nodes["split"] >> 1 == feature
        return on

    def _marked(
        self, nodes: NDArray[Any], feature: int, places: ArrayLike | None, mark: int
    ) -> tuple[FloatArray, NDArray[Any]]:
        """Return the places, and the nodes with those on the feature told how many places go left."""
        feature_places = (
            np.append(self.ends(feature), np.inf) if places is None else np.asarray(places, dtype=np.float64)
        )
        on = self._on(feature)
        nodes["number"][on] = np.searchsorted(
            as_compared(feature_places, self.is_float32), nodes["number"][on], side="right"
        )
        nodes["split"][on] = mark
        return feature_places, nodes

    def _forest(self, nodes: NDArray[Any]) -> Forest:
        link, tie = LINKS.index(self.link), 4 * self.sum_error
        return nodes, self.roots, self.depth, self.base, self.divisor, link, self.is_single, tie


@dataclass(frozen=True, eq=False)
class TreeLines:
    """Lines of an ensemble along a feature at increasing places.

    Parameters
    ----------
    ensemble : Ensemble
    places : (n_places,)
        Place ``k`` stands for the values above place ``k - 1`` and up to itself, the last also for those above it. Ends of
        all pieces tell the line exactly; fewer places tell it there only.
    forest : tuple
        What the kernels take.
    """

    ensemble: Ensemble
    places: FloatArray
    forest: Forest

    @property
    def model(self) -> Ensemble:
        """The ensemble."""
        return self.ensemble

    @cached_property
    def landmarks(self) -> Landmarks:
        """The features that most nodes split on, and the quartiles of their thresholds."""
        return landmarks_of(self.forest[0])

    def order(self, rows: FloatArray) -> IntArray:
        """Return an order of the rows that puts similar rows together, (n_samples,), so that walks are faster."""
        return similar_first(rows, self.landmarks)

    def piece_of(self, x: ArrayLike) -> IntArray:
        """Return the numbers of the places that stand for values, of the shape of ``x``; -1 for missing values.

        Values are compared as they are, not as the model rounds them: a place need not be one that the model tells apart.
        """
        return np.minimum(_piece_of(self.places, x, is_float32=False), self.places.size - 1)

    def values(self, X: ArrayLike) -> FloatArray:
        """Return the line of each row, (n_samples, n_places)."""
        rows = self.ensemble.rows(X)
        lines = np.empty((len(rows), self.places.size))
        walk_lines(self.forest, rows, self.order(rows), lines)
        return lines

    def project(
        self,
        X: ArrayLike,
        pieces: ArrayLike,
        weights: FloatArray | None,
        *,
        increasing: bool = True,
    ) -> ProjectedAt:
        """Project the line of each row onto the monotone lines and look both up; no line is stored.

        Parameters
        ----------
        X : (n_samples, n_features)
        pieces : (n_samples, n_lookups)
            Where to look, as :meth:`piece_of` returns it.
        weights : (n_places,), or (n_samples, n_places) with each row's own, or None
            Positive weights of the least-squares projection; None for the midpoint, the nearest in largest distance.
        increasing : bool
            False for decreasing lines.
        """
        rows, piece_index = self.ensemble.rows(X), np.ascontiguousarray(pieces, dtype=np.intp)
        rule = (
            per_line(np.ones(self.places.size) if weights is None else weights),
            weights is not None,
            1.0 if increasing else -1.0,
        )
        values, fitted, below, above = (np.empty(piece_index.shape) for _ in range(4))
        projected = ProjectedAt(values, fitted, below, above, np.empty(len(rows)))
        project_lines(
            self.forest, rows, self.order(rows), rule, piece_index, (values, fitted, below, above), projected.largest
        )
        return projected


@dataclass(frozen=True, eq=False)
class TreeGrids:
    """Grids of an ensemble over two features at increasing places; see :class:`TreeLines`.

    Parameters
    ----------
    ensemble : Ensemble
    places : ((n_places_1,), (n_places_2,))
    forest : tuple
        What the kernels take.
    """

    ensemble: Ensemble
    places: tuple[FloatArray, FloatArray]
    forest: Forest

    @property
    def model(self) -> Ensemble:
        """The ensemble."""
        return self.ensemble

    def values(self, X: ArrayLike) -> FloatArray:
        """Return the grid of each row, (n_samples, n_places_1, n_places_2)."""
        rows = self.ensemble.rows(X)
        grids = np.empty((len(rows), self.places[0].size, self.places[1].size))
        walk_grids(self.forest, rows, grids)
        return grids


def _piece_of(ends: FloatArray, x: ArrayLike, is_float32: bool) -> IntArray:
    values = as_compared(np.asarray(x, dtype=np.float64), is_float32)
    return np.where(np.isnan(values), -1, np.searchsorted(ends, values, side="left"))
