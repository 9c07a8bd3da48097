r"""Which leaves of an ensemble may not have larger values than which, and the proof that none has.

**Theorem.** With ``a`` preceding ``b`` as in :mod:`alignconf.kernels.leaf_pairs`, a tree is monotone in all constrained features
together iff :math:`v_a \le v_b` whenever ``a`` precedes ``b``. *Proof.* Let rows ``x`` and ``x'`` be equal in the free features
and ordered in the constrained ones; ``x`` reaches ``a`` and ``x'`` reaches ``b``, so ``a`` precedes ``b`` or is ``b``, and
:math:`v_a \le v_b`. The other way round, a pair that breaks the inequality comes with such rows. A sum of monotone trees is
monotone, and so is an increasing link of it. The same holds of sums in floating point: rounding is monotone, so
:math:`a_t \le b_t` for all ``t`` gives :math:`fl(\sum a_t) \le fl(\sum b_t)` where both are added in the same order. Of sums of
several trees the condition is sufficient; to decide for a *given* sum whether it is monotone is NP-hard [1]_.

Values outside the domain of a rule, special ones and those beyond its range, are compared with none but themselves. Missing
values need nothing more: whether one arrives is part of a leaf's region, so a row obeys the rules whose features it has, and a
present value is not compared with a missing one. A feature that must not matter gives inequalities both ways; leaves that are
connected both ways share one value and form a **group**.

References
----------
.. [1] Monotonicity of a given sum of trees, arXiv:2602.07453.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from alignconf._typing import FloatArray, IntArray
from alignconf.contract.domain import Domain
from alignconf.kernels.leaf_fit import Edges, in_order
from alignconf.kernels.leaf_pairs import FREE, INVARIANT, first_broken_pair, ordered_leaves, reduced
from alignconf.kernels.tree_walk import LEAF
from alignconf.lines.ensemble import Ensemble

__all__ = ["EVERYTHING", "BrokenPair", "LeafOrder", "broken_pair"]


#: Every value that is not missing is compared.
EVERYTHING: Mapping[int, Domain] = MappingProxyType({})


@dataclass(frozen=True)
class BrokenPair:
    """Two leaves of a tree in the wrong order.

    Parameters
    ----------
    tree : int
    values : (float, float)
        Of the leaf that precedes, and of the leaf that follows: the first is larger.
    n_trees : int
    """

    tree: int
    values: tuple[float, float]
    n_trees: int

    def __str__(self) -> str:
        """Return a sentence."""
        low, high = self.values
        return (
            f"tree {self.tree} of {self.n_trees} has a leaf of value {low:.6g} that precedes one of value {high:.6g} in the "
            "declared order"
        )


def broken_pair(
    ensemble: Ensemble, directions: Mapping[int, int], domains: Mapping[int, Domain] = EVERYTHING
) -> BrokenPair | None:
    """Return the first pair of leaves in the wrong order, or None: then the ensemble has the declared order, by construction.

    Parameters
    ----------
    ensemble : Ensemble
    directions : mapping of int to {-1, 0, 1}
        From the position of a constrained feature to its direction; 0 if it must not matter.
    domains : mapping of int to Domain, optional
        The values of constrained features that are compared, by position; all that are not missing where there is none.
    """
    demands, compared = _demands(ensemble, directions), _compared(ensemble, domains)
    for tree, (root, stop, column, n_columns) in enumerate(_trees(ensemble)):
        first, second = first_broken_pair(ensemble.nodes, root, stop, column, n_columns, demands, compared)
        if first >= 0:
            values = float(ensemble.nodes["number"][first]), float(ensemble.nodes["number"][second])
            return BrokenPair(tree, values, ensemble.roots.size)
    return None


@dataclass(frozen=True, eq=False)
class LeafOrder:
    """The order of the leaves of an ensemble, tree by tree.

    Parameters
    ----------
    ensemble : Ensemble
    group : (n_leaves,)
        The group of each leaf; groups of one tree follow each other, in topological order.
    edges : Edges
        The groups of each tree, and the inequalities between them that no others imply.
    n_pairs : int
        How many pairs of leaves are ordered.
    """

    ensemble: Ensemble
    group: IntArray
    edges: Edges
    n_pairs: int

    @classmethod
    def of(
        cls, ensemble: Ensemble, directions: Mapping[int, int], domains: Mapping[int, Domain] = EVERYTHING
    ) -> LeafOrder:
        """Return the order that directions and domains, as in :func:`broken_pair`, give the leaves of an ensemble."""
        demands, compared = _demands(ensemble, directions), _compared(ensemble, domains)
        is_leaf = ensemble.nodes["split"] == LEAF
        number = np.cumsum(is_leaf) - 1
        group = np.empty(int(is_leaf.sum()), np.intp)
        group_starts, edge_starts = [0], [0]
        lowers, uppers, n_pairs = [], [], 0
        for root, stop, column, n_columns in _trees(ensemble):
            first, last = number[root] if is_leaf[root] else number[root] + 1, number[stop - 1] + 1
            pairs = number[ordered_leaves(ensemble.nodes, root, stop, column, n_columns, demands, compared)] - first
            n_pairs += len(pairs)
            n_groups, label = int(last - first), np.arange(last - first)
            if (demands == INVARIANT).any():
                graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n_groups, n_groups))
                n_groups, label = connected_components(graph, connection="strong")
                pairs = np.unique(label[pairs], axis=0)
                pairs = pairs[pairs[:, 0] != pairs[:, 1]]
            order, lower, upper = reduced(
                np.ascontiguousarray(pairs[:, 0], np.intp), np.ascontiguousarray(pairs[:, 1], np.intp), n_groups
            )
            group[first:last] = group_starts[-1] + order[label]
            lowers.append(group_starts[-1] + lower)
            uppers.append(group_starts[-1] + upper)
            group_starts.append(group_starts[-1] + n_groups)
            edge_starts.append(edge_starts[-1] + lower.size)
        edges = (np.array(group_starts), np.array(edge_starts), np.concatenate(lowers), np.concatenate(uppers))
        return cls(ensemble, group, edges, n_pairs)

    @property
    def n_groups(self) -> int:
        """How many values there are to fit."""
        return int(self.edges[0][-1])

    @cached_property
    def values(self) -> FloatArray:
        """The leaf values of the ensemble, (n_leaves,)."""
        nodes = self.ensemble.nodes
        leaf_values: FloatArray = nodes["number"][nodes["split"] == LEAF]
        return leaf_values

    @cached_property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """The smallest and the largest leaf value of each tree, two of (n_trees,)."""
        leaves = self.ensemble.nodes["split"] == LEAF
        starts = np.append(0, np.cumsum(leaves))[self.ensemble.roots]
        return np.minimum.reduceat(self.values, starts), np.maximum.reduceat(self.values, starts)

    def of_groups(self, leaf_values: FloatArray, mass: FloatArray) -> FloatArray:
        """Return the weighted means of the leaves of each group, (n_groups,); ``mass`` (n_leaves,) is positive."""
        total = np.bincount(self.group, mass * leaf_values, self.n_groups)
        weight = np.bincount(self.group, mass, self.n_groups)
        alone = np.bincount(self.group, minlength=self.n_groups) == 1
        means: FloatArray = total / weight
        # The mean of a single number is that number, to the bit.
        single = alone[self.group]
        means[self.group[single]] = leaf_values[single]
        return means

    def in_order(self, group_values: FloatArray) -> FloatArray:
        """Return leaf values, (n_leaves,), that obey every inequality, from values of groups that nearly do."""
        finished: FloatArray = in_order(self.edges, group_values)[self.group]
        return finished


def _demands(ensemble: Ensemble, directions: Mapping[int, int]) -> IntArray:
    demands = np.full(ensemble.n_features, FREE, np.intp)
    for feature, direction in directions.items():
        demands[feature] = direction
    return demands


def _compared(ensemble: Ensemble, domains: Mapping[int, Domain]) -> FloatArray:
    """Return the domains of all features as kernels read them, (n_features, 2 + n_special).

    Trees may round values to single precision: ends that are not held there go outwards, which compares more, never less.
    """
    codes = {
        feature: np.unique([*domain.numbers, *domain.numbers.astype(np.float32).astype(np.float64)])
        for feature, domain in domains.items()
    }
    n_special = max([of_feature.size for of_feature in codes.values()], default=0)
    compared = np.full((ensemble.n_features, 2 + n_special), np.nan)
    compared[:, 0], compared[:, 1] = -np.inf, np.inf
    for feature, domain in domains.items():
        low, high = domain.between
        with np.errstate(over="ignore"):
            below = np.nextafter(np.float32(low), np.float32(-np.inf))
            compared[feature, :2] = min(np.nextafter(low, -np.inf), float(below)), max(high, float(np.float32(high)))
        compared[feature, 2 : 2 + codes[feature].size] = codes[feature]
    return compared


def _trees(ensemble: Ensemble) -> Any:
    """Yield of each tree its first and last node, and the columns in which the features that it splits on are looked at."""
    column = np.zeros(ensemble.n_features, np.intp)
    for root, stop in zip(ensemble.roots, np.append(ensemble.roots[1:], ensemble.nodes.size), strict=True):
        splits = ensemble.nodes["split"][root:stop]
        used = np.unique(splits[splits >= 0] >> 1)
        column[used] = np.arange(used.size)
        yield int(root), int(stop), column, max(1, used.size)
