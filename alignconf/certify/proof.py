r"""Proof that a model has declared orders, by its own trees: no rows, no confidence.

Order and invariance of a tree ensemble can be decided tree by tree where each tree has them: the inequalities between leaves
of :mod:`alignconf.projectors.leaves.partial_order` are looked at, every one. If all hold, the model has the rules in all
constrained features together, at every row, with probability one, up to the rounding of its sums where these come in any order.
If one is broken nothing is refuted: a sum of trees may be in order although a tree is not. Models trained under the constraints
of XGBoost, LightGBM or scikit-learn are of the first kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alignconf._typing import Model, Table
from alignconf.contract.domain import Domain
from alignconf.lines.axis import Axis
from alignconf.lines.model_trees import model_trees
from alignconf.projectors.leaves.partial_order import broken_pair
from alignconf.queries.queries import PartQueries

__all__ = ["Proof", "proof_by_trees"]


@dataclass(frozen=True)
class Proof:
    """What the trees of a model show.

    Parameters
    ----------
    holds : bool
        Whether the property is proved.
    text : str
        A sentence that says so, or names the first tree and pair of leaves in the wrong order.
    """

    holds: bool
    text: str


def proof_by_trees(function: Model, parts: Sequence[PartQueries], reference: Table) -> Proof | None:
    """Return what the trees of a function show; None where they cannot be read, or the property is not about order.

    Parameters
    ----------
    function : Model
    parts : sequence of PartQueries
        Of every part of the property, with the axes of its features.
    reference : Table
        Rows at which the trees are compared with the function.
    """
    directions = _directions(parts)
    if not directions or not hasattr(function, "in_order"):
        return None
    trees = model_trees(function.in_order(), reference, tuple(directions))
    if isinstance(trees, str):
        return None
    of_positions = {axis.position: direction for axis, direction in directions.items()}
    sums = trees.in_directions(of_positions)
    pairs = [broken_pair(ensemble, of_columns, trees.domains) for ensemble, of_columns in sums]
    broken = next((pair for pair in pairs if pair is not None), None)
    if broken is None:
        against = ", in trees of other classes no smaller value" if len(pairs) > 1 else ""
        return Proof(
            True,
            f"Proved: in each of the model's {trees.n_trees} trees every leaf that precedes another in the declared order has no "
            f"larger value{against}, so no two rows are in the wrong order, in all these features together{trees.rounded}.",
        )
    return Proof(False, f"Not proved by the model's trees, which does not refute it: {broken}.")


def _directions(parts: Sequence[PartQueries]) -> dict[Axis, int]:
    """Return the direction along the axis of each constrained feature.

    Empty if a part is not about order, or two are about different ranges of a feature.
    """
    directions: dict[Axis, int] = {}
    domains: dict[int, Domain] = {}
    for part in parts:
        axes = [law.axis for law in part.drawn_from]
        declared = part.declared.lines
        if len(axes) != 1 or len(declared) != 1:
            return {}
        line, axis = declared[0], axes[0]
        if line.direction is None or line.tol or line.trade:
            return {}
        if domains.setdefault(axis.position, axis.domain) != axis.domain:
            return {}
        same = directions.get(axis, line.direction) == line.direction
        directions[axis] = line.direction if same else 0
    return directions
