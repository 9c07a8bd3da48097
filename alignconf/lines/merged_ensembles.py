r"""Weighted sums of tree ensembles as one ensemble, and ensembles that see some columns of a row as ensembles on the row.

With :math:`f_i(x) = (base_i + \sum_t v_{it}(x)) / n_i` the sum :math:`c + \sum_i w_i f_i` is an ensemble of all trees with leaves
:math:`w_i v_{it} / n_i`, as long as all compare rows alike: in the same precision, with the same code for missing values, and
none lists categories. It sums in double precision; how its members' own sums are rounded is told elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from alignconf._typing import IntArray
from alignconf.kernels.tree_walk import LEAF
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.exact_lines import ExactLines
from alignconf.lines.joinings import WeightedSum

__all__ = ["merged_sum", "on_columns"]


def merged_sum(members: Sequence[ExactLines], joining: WeightedSum) -> tuple[tuple[ExactLines, ...], WeightedSum]:
    """Return fewer members with the same weighted sum, those merged that are ensembles and compare rows alike."""
    groups: dict[tuple[object, ...], list[tuple[Ensemble, float]]] = {}
    merged: list[tuple[ExactLines, float]] = []
    for member, weight in zip(members, joining.weights, strict=True):
        if isinstance(member, Ensemble) and member.link == "identity" and not member.categories.sizes:
            key = member.is_float32, member.missing_code, member.n_features, member.made_of
            groups.setdefault(key, []).append((member, weight))
        else:
            merged.append((member, weight))
    constant = joining.constant
    for group in groups.values():
        is_whole = len(groups) == 1 and not merged
        merged.append((_merged(group, constant if is_whole else 0.0, joining.link if is_whole else "identity"), 1.0))
        if is_whole:
            return (merged[0][0],), WeightedSum((1.0,))
    return tuple(member for member, _ in merged), replace(joining, weights=tuple(weight for _, weight in merged))


def on_columns(ensemble: Ensemble, columns: IntArray, n_features: int) -> Ensemble:
    """Return an ensemble of numbers that sees some columns, (ensemble.n_features,), of rows of ``n_features``."""
    nodes = ensemble.nodes.copy()
    is_split = nodes["split"] >= 0
    split = nodes["split"][is_split]
    nodes["split"][is_split] = 2 * np.asarray(columns, np.int32)[split >> 1] + (split & 1)
    return replace(ensemble, nodes=nodes, n_features=n_features)


def _merged(terms: Sequence[tuple[Ensemble, float]], constant: float, link: str) -> Ensemble:
    """Return the ensemble of all trees of a weighted sum."""
    first = terms[0][0]
    parts, roots, base, n_nodes = [], [], constant, 0
    for ensemble, weight in terms:
        nodes, factor = ensemble.nodes.copy(), weight / ensemble.divisor
        is_leaf = nodes["split"] == LEAF
        nodes["number"][is_leaf] *= factor
        nodes["right"][~is_leaf] += n_nodes
        parts.append(nodes)
        roots.append(ensemble.roots + n_nodes)
        base += factor * ensemble.base
        n_nodes += nodes.size
    return Ensemble(
        np.concatenate(parts),
        np.concatenate(roots),
        max(ensemble.depth for ensemble, _ in terms),
        base,
        1.0,
        link,
        first.is_float32,
        False,
        first.n_features,
        first.missing_code,
        made_of=first.made_of,
    )
