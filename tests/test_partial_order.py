"""The order of leaves, its reduction and its proof, against enumeration of all rows and independent solvers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import nnls

from alignconf.kernels.leaf_fit import fit_leaves, in_order, isotonic_leaves
from alignconf.kernels.leaf_pairs import ordered_leaves
from alignconf.kernels.tree_walk import LEAF
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.stored_trees import Tree
from alignconf.projectors.leaves.joint_fit import with_values
from alignconf.projectors.leaves.partial_order import LeafOrder, broken_pair

#: Thresholds lie between these values of each feature; NaN is the fourth.
VALUES = (0.0, 1.0, 2.0, np.nan)


def _random_tree(rng: np.random.Generator, n_features: int, depth: int) -> Tree:
    """Return a tree that cuts no region twice the same way, with missing values sent anywhere."""
    feature, threshold, left, right, missing_left, value = [], [], [], [], [], []

    def grow(level: int, allowed: list[set[float]]) -> int:
        node = len(feature)
        cuts = [(j, t) for j in range(n_features) for t in (0.5, 1.5) if min(allowed[j]) < t < max(allowed[j])]
        for name, start in zip(
            (feature, threshold, left, right, missing_left, value), (-1, 0.0, 0, 0, False, 0.0), strict=True
        ):
            name.append(start)
        if level == depth or not cuts or (level and rng.random() < 0.15):
            value[node] = float(rng.normal())
            return node
        j, t = cuts[rng.integers(len(cuts))]
        feature[node], threshold[node], missing_left[node] = j, t, bool(rng.random() < 0.5)
        for side, name in ((True, left), (False, right)):
            part = [set(values) for values in allowed]
            part[j] = {v for v in allowed[j] if (v < t) == side}
            name[node] = grow(level + 1, part)
        return node

    grow(0, [{0.0, 1.0, 2.0}] * n_features)
    return Tree(*(np.array(name) for name in (feature, threshold, left, right, missing_left, value)))


def _pairs_by_rows(ensemble: Ensemble, directions: dict[int, int]) -> set[tuple[int, int]]:
    """Return the ordered pairs of leaves that rows show: all rows, compared two by two."""
    rows = np.array(list(itertools.product(VALUES, repeat=ensemble.n_features)))
    n_leaves = int((ensemble.nodes["split"] == LEAF).sum())
    leaf = with_values(ensemble, np.arange(n_leaves, dtype=float)).leaves(rows)[:, 0]
    pairs = set()
    for x, a in zip(rows, leaf, strict=True):
        fits = np.ones(len(rows), bool)
        for j in range(ensemble.n_features):
            column = rows[:, j]
            if np.isnan(x[j]):
                fits &= np.isnan(column)
            elif j not in directions:
                fits &= column == x[j]
            elif directions[j]:
                fits &= directions[j] * (column - x[j]) >= 0
            else:
                fits &= ~np.isnan(column)
        pairs |= {(int(a), int(b)) for b in leaf[fits] if b != a}
    return pairs


CASES = [{0: 1}, {0: -1, 1: 1}, {0: 0}, {0: 0, 1: -1}, {0: 1, 1: 1, 2: -1}]


@pytest.mark.parametrize("directions", CASES, ids=str)
def test_the_pairs_are_those_that_rows_show(directions: dict[int, int]) -> None:
    """Every ordered pair, and no other, is one that two of all possible rows reach."""
    n_seen = 0
    for seed in range(25):
        ensemble = Ensemble.of_trees([_random_tree(np.random.default_rng(seed), 3, 4)], 3)
        nodes = ensemble.nodes
        demands = np.array([directions.get(j, 2) for j in range(3)])
        number = np.cumsum(nodes["split"] == LEAF) - 1
        pairs = number[
            ordered_leaves(nodes, 0, nodes.size, np.arange(3), 3, demands, np.tile([-np.inf, np.inf], (3, 1)))
        ]
        assert {tuple(pair) for pair in pairs.tolist()} == _pairs_by_rows(ensemble, directions)
        n_seen += len(pairs)
    assert n_seen > 50


@pytest.mark.parametrize("directions", CASES, ids=str)
def test_a_tree_is_proved_iff_no_two_rows_are_in_the_wrong_order(directions: dict[int, int]) -> None:
    """The proof and the enumeration of rows agree for random values, and for values put in order."""
    verdicts = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        ensemble = Ensemble.of_trees([_random_tree(rng, 3, 2 + seed % 3)], 3)
        order = LeafOrder.of(ensemble, directions)
        leaf_values = rng.integers(0, 3, order.group.size).astype(float)
        tested = with_values(ensemble, leaf_values)
        holds = all(leaf_values[a] <= leaf_values[b] for a, b in _pairs_by_rows(ensemble, directions))
        assert (broken_pair(tested, directions) is None) == holds
        verdicts.append(holds)
        finished = order.in_order(order.of_groups(leaf_values, np.ones(leaf_values.size)))
        assert broken_pair(with_values(ensemble, finished), directions) is None
    assert 2 < sum(verdicts) < 40


def test_values_in_order_stay_and_what_the_reduced_edges_imply_is_the_whole_order() -> None:
    """The edges that are left, followed to their ends, give every pair back; values that obey them are not moved by a bit."""
    directions = {0: 1, 1: -1}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        ensemble = Ensemble.of_trees([_random_tree(rng, 3, 4) for _ in range(2)], 3)
        order = LeafOrder.of(ensemble, directions)
        _, _, lower, upper = order.edges
        reach = np.eye(order.n_groups, dtype=bool)
        reach[lower, upper] = True
        for k in range(order.n_groups):
            reach |= reach[:, [k]] & reach[[k]]
        expected = np.eye(order.n_groups, dtype=bool)
        first_leaf = 0
        for tree in range(2):
            single = Ensemble.of_trees([_tree_of(ensemble, tree)], 3)
            pairs = np.array(sorted(_pairs_by_rows(single, directions))).reshape(-1, 2) + first_leaf
            expected[order.group[pairs[:, 0]], order.group[pairs[:, 1]]] = True
            first_leaf += int((single.nodes["split"] == LEAF).sum())
        for k in range(order.n_groups):
            expected |= expected[:, [k]] & expected[[k]]
        np.testing.assert_array_equal(reach, expected)
        once = in_order(order.edges, rng.normal(size=order.n_groups))
        np.testing.assert_array_equal(in_order(order.edges, once), once)


def _tree_of(ensemble: Ensemble, tree: int) -> Tree:
    root, stop = ensemble.roots[tree], np.append(ensemble.roots[1:], ensemble.nodes.size)[tree]
    nodes = ensemble.nodes[root:stop]
    is_leaf = nodes["split"] == LEAF
    feature = np.where(is_leaf, -1, nodes["split"] >> 1)
    right = nodes["right"] - root
    return Tree(feature, nodes["number"], np.arange(nodes.size) + 1, right, (nodes["split"] & 1) == 1, nodes["number"])


def test_isotonic_regression_agrees_with_non_negative_least_squares() -> None:
    """The dual of the problem is a least squares over non-negative multipliers, which scipy solves by another method."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        order = LeafOrder.of(Ensemble.of_trees([_random_tree(rng, 3, 4)], 3), {0: 1, 1: 1})
        _, _, lower, upper = order.edges
        mean, mass = rng.normal(size=order.n_groups), rng.uniform(0.5, 3.0, order.n_groups)
        incidence = np.zeros((lower.size, order.n_groups))
        incidence[np.arange(lower.size), lower], incidence[np.arange(lower.size), upper] = 1.0, -1.0
        multipliers, _ = nnls((incidence / np.sqrt(mass)).T, mean * np.sqrt(mass))
        expected = mean - incidence.T @ multipliers / mass
        np.testing.assert_allclose(isotonic_leaves(order.edges, mean, mass, 5000), expected, atol=1e-6)


def test_the_joint_fit_is_the_minimum_of_its_least_squares() -> None:
    """Without edges in the way the values solve the ridge regression; with them no feasible step lowers the objective."""
    rng = np.random.default_rng(0)
    ensemble = Ensemble.of_trees([_random_tree(rng, 3, 3) for _ in range(3)], 3)
    rows = rng.choice([0.0, 1.0, 2.0], (200, 3))
    free, ordered = LeafOrder.of(ensemble, {}), LeafOrder.of(ensemble, {0: 1, 1: 1})
    targets, weights = rng.normal(size=200), rng.uniform(0.5, 2, 200)
    infinite = np.full(3, -np.inf), np.full(3, np.inf)
    for order in (free, ordered):
        n_leaves = order.group.size
        leaves = with_values(ensemble, np.arange(n_leaves, dtype=float)).leaves(rows)
        groups = np.ascontiguousarray(order.group[leaves].T, np.int32)
        start = order.of_groups(order.values, np.ones(n_leaves))
        fitted = fit_leaves(order.edges, groups, targets, weights, start, np.full(n_leaves, 2.0), infinite, 3000)
        design = np.zeros((200, n_leaves))
        for tree in groups:
            design[np.arange(200), tree] = 1.0
        curvature = design.T @ (weights[:, None] * design) + 2.0 * np.eye(n_leaves)
        best = np.linalg.solve(curvature, design.T @ (weights * targets) + 2.0 * start)
        if order is free:
            np.testing.assert_allclose(fitted, best, atol=1e-8)
            continue
        # In the metric of the curvature the constrained minimum is the projection of the free one; its dual is non-negative.
        root = np.linalg.cholesky(curvature)
        _, _, lower, upper = order.edges
        incidence = np.zeros((lower.size, n_leaves))
        incidence[np.arange(lower.size), lower], incidence[np.arange(lower.size), upper] = 1.0, -1.0
        multipliers, _ = nnls(np.linalg.solve(root, incidence.T), root.T @ best)
        expected = best - np.linalg.solve(curvature, incidence.T @ multipliers)
        np.testing.assert_allclose(fitted, expected, atol=1e-5)


def test_a_cycle_of_order_is_one_value() -> None:
    """Leaves of a feature that must not matter share a value: the tree says the same whatever the feature."""
    tree = Tree(
        np.array([0, -1, -1]), np.array([0.5, 0, 0]), np.array([1, 0, 0]), np.array([2, 0, 0]), np.array([True, False, False]),
        np.array([0.0, 1.0, 3.0]),
    )  # fmt: skip
    order = LeafOrder.of(Ensemble.of_trees([tree], 1), {0: 0})
    assert order.n_groups == 1
    np.testing.assert_array_equal(order.in_order(order.of_groups(order.values, np.array([1.0, 3.0]))), [2.5, 2.5])
    assert "tree 0 of 1 has a leaf of value 3 that precedes one of value 1" in str(broken_pair(order.ensemble, {0: 0}))
