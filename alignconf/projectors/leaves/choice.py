"""Which of several functions in the declared order replaces a model with trees, and the proof that it has the order.

No rule that is fixed beforehand was good on all data, so reference rows decide among
:mod:`~alignconf.projectors.leaves.candidates`.

* **Without labels**: a quarter of the rows is held out, and the nearest to the model there is taken, by the weighted squared
  distance of margins.
* **With labels**: the smallest cross-validated deviance is taken, the model trained again in every fold
  (:mod:`~alignconf.projectors.leaves.cross_validation`). Where that cannot be done, leaves of regressions are fitted to targets
  some way towards the labels, and distance decides.

Where rounds must be added to the leaves, a fixed weight of the leaves is taken without labels, and labels choose among such sums.

What is taken is fitted at all rows, written as a model of its library, read again, and every inequality is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.contract.domain import Domain
from alignconf.errors import DefectError
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.model_trees import trees_behind_steps
from alignconf.lines.wrapped import predicting_model
from alignconf.projectors.leaves.candidates import (
    Candidate,
    ConstrainedTwins,
    FittedCandidate,
    LeavesWithRounds,
    RefittedLeaves,
)
from alignconf.projectors.leaves.cross_validation import mean_deviances
from alignconf.projectors.leaves.labels import Labels, as_numbers, why_aside, why_not_refitted
from alignconf.projectors.leaves.partial_order import EVERYTHING, LeafOrder, broken_pair
from alignconf.projectors.leaves.problem import MOST_ROWS, FittingProblem
from alignconf.tables import table as tables

__all__ = ["ModelInOrder", "fit_in_order", "nearest"]

#: One of so many reference rows is held out to compare, if there are at least as many rows as this.
HELD_OUT, FEWEST = 4, 40

#: Trees with more leaves than this are not trained again: each fold would take seconds.
MOST_LEAVES = 20_000

#: Leaves with rounds where there are no labels: a weight of 1 follows what the model learned by heart, a small one loses it.
BLEND = LeavesWithRounds(weight=0.75)

#: How far targets may move towards labels.
SHARES = (0.0, 0.3, 1.0)

#: How far they move in regressions where the model cannot be trained again.
SHARE_UNTRIED = 0.3


@dataclass(frozen=True, eq=False)
class ModelInOrder:
    """A model in the declared order.

    Parameters
    ----------
    function : Model
        The function of an ordinary model.
    ensemble : Ensemble
        Its trees, which were proved to have the order.
    leaf_values : (n_leaves,) or None
        Values in order of the leaves of the model's own trees; None if the trees are others.
    summary : str
        What it is and how it compared, in words.
    """

    function: Any
    ensemble: Ensemble
    leaf_values: FloatArray | None
    summary: str


@dataclass(frozen=True)
class Offer:
    """The candidates that are compared.

    Parameters
    ----------
    keeps_trees : bool
        Whether only leaves may change.
    adds_rounds : bool
        Whether there must be rounds besides the leaves. By labels there may be, as far as trees need not stay.
    """

    keeps_trees: bool = False
    adds_rounds: bool = False

    def by_distance(self, share: float = 0.0) -> list[Candidate]:
        """Return candidates to compare by distance, with targets of leaves moved by a share to labels."""
        return [BLEND] if self.adds_rounds else [*self._leaves((share,)), *self._twins()]

    def by_labels(self) -> list[Candidate]:
        """Return candidates to compare by labels."""
        rounds: list[Candidate] = (
            [] if self.keeps_trees else [BLEND, *(LeavesWithRounds(share=share) for share in SHARES if share)]
        )
        return rounds if self.adds_rounds else [*self._leaves(SHARES), *self._twins(), *rounds]

    def _leaves(self, shares: Sequence[float]) -> list[Candidate]:
        return [RefittedLeaves(share, with_copies) for with_copies in (False, True) for share in shares]

    def _twins(self) -> list[Candidate]:
        return [] if self.keeps_trees else [ConstrainedTwins(), ConstrainedTwins(with_copies=True)]


def fit_in_order(
    function: Any,
    ensemble: Ensemble,
    directions: Mapping[int, int],
    reference: Table,
    labels: Labels | None = None,
    *,
    domains: Mapping[int, Domain] = EVERYTHING,
    keeps_trees: bool = False,
    is_blended: bool = False,
    sample_weight: FloatArray | None = None,
) -> ModelInOrder:
    """Return the candidate that reference rows favour, fitted, written and proved.

    Parameters
    ----------
    function : Model
        Of a fitted model: of its predictions or of the probability of a class.
    ensemble : Ensemble
        Its trees.
    directions : mapping of int to {-1, 0, 1}
        From the position of a constrained column of the trees to its direction; 0 if it must not matter.
    reference : Table
        Rows as the model with the trees takes them, behind the steps of a Pipeline; they need no labels.
    labels : Labels, optional
        Of the rows.
    keeps_trees : bool
        Whether only leaves may change.
    is_blended : bool
        Whether rounds of a constrained twin are added to the leaves where the model has one.
    sample_weight : (n_rows,), optional
        What each row counts, where there are no labels.

    Raises
    ------
    DefectError
        If what was written, read again, is not in order.
    """
    rows = _counted_rows(reference.shape[0], labels)
    table = tables.take(reference, rows)
    order = LeafOrder.of(ensemble, directions, domains)
    problem = FittingProblem(
        function,
        order,
        directions,
        tables.as_numbers(table),
        sample_weight=None if sample_weight is None else sample_weight[rows],
        domains=domains,
    )
    why_not_blended = problem.why_no_twin if is_blended else ""
    offer = Offer(keeps_trees, is_blended and not why_not_blended)
    if labels is None:
        candidate, figures = nearest(problem, offer.by_distance())
    else:
        candidate, figures, problem = _by_labels(problem, table, labels.at(rows), offer)
    if why_not_blended:
        figures += f"; not blended: {why_not_blended.rstrip('.')}"
    fitted = candidate.fitted(problem)
    assert not isinstance(fitted, str)
    delivered = fitted.written()
    written = trees_behind_steps(delivered.in_order())
    broken = written if isinstance(written, str) else broken_pair(written, directions, domains)
    if isinstance(written, str) or broken is not None:
        raise DefectError(
            f"{broken}, after it was replaced by {candidate}: this is a defect of alignconf; please report it with the type and "
            "version of the model."
        )
    summary = f"{candidate}, under {order.edges[2].size} inequalities{figures}"
    return ModelInOrder(delivered, written, fitted.leaf_values, summary)


def nearest(problem: FittingProblem, candidates: Sequence[Candidate]) -> tuple[Candidate, str]:
    """Return the candidate that is nearest to the model at rows held out, and how near, in words; the first if rows are few."""
    n_rows = len(problem.rows)
    if n_rows < FEWEST or len(candidates) == 1:
        return candidates[0], ""
    held_out, others = np.split(np.arange(n_rows), [n_rows // HELD_OUT])
    fresh = problem.at(held_out)
    fitted = _serving(problem.at(others), candidates)
    distances = [_distance(fresh, candidate) for _, candidate in fitted]
    best = int(np.argmin(distances))
    return fitted[best][0], f"; {distances[best]:.3g} from the model's margins at held-out reference rows"


def _by_labels(
    problem: FittingProblem, table: Table, labels: Labels, offer: Offer
) -> tuple[Candidate, str, FittingProblem]:
    """Return the candidate that labels favour, what they say of it, and the problem with labels."""
    y, ensemble = as_numbers(problem.function, labels), problem.ensemble
    if reason := why_aside(problem.function, y, ensemble.link):
        compared = nearest(problem, offer.by_distance())
        return *_explained(compared, f"labels are left aside: {reason}"), problem
    problem = replace(problem, y=y, sample_weight=labels.sample_weight)
    reason = why_not_refitted(problem.function, labels)
    if not reason and len(y) < FEWEST:
        reason = f"{len(y)} reference rows are too few to compare by labels"
    if not reason and problem.order.group.size > MOST_LEAVES:
        reason = f"{problem.order.group.size} leaves are too many to train again"
    if not reason:
        candidates = offer.by_labels()
        deviances = mean_deviances(problem, candidates, table, labels)
        if not isinstance(deviances, str):
            best, n_tried = int(np.argmin(deviances)), int(np.isfinite(deviances).sum())
            figures = f"; cross-validated deviance {deviances[best]:.4g} of labels, of {n_tried} candidates the least"
            return candidates[best], figures, problem
        reason = deviances.rstrip(".")
    is_classifier = hasattr(predicting_model(problem.function.estimator), "predict_proba") or ensemble.link == "expit"
    compared = nearest(problem, offer.by_distance(0.0 if is_classifier else SHARE_UNTRIED))
    return *_explained(compared, f"not compared by labels: {reason}"), problem


def _explained(compared: tuple[Candidate, str], reason: str) -> tuple[Candidate, str]:
    candidate, figures = compared
    return candidate, f"{figures}; {reason}"


def _serving(problem: FittingProblem, candidates: Sequence[Candidate]) -> list[tuple[Candidate, FittedCandidate]]:
    """Return the candidates that serve the model, fitted."""
    tried = ((candidate, candidate.fitted(problem)) for candidate in candidates)
    return [(candidate, fitted) for candidate, fitted in tried if not isinstance(fitted, str)]


def _distance(fresh: FittingProblem, candidate: FittedCandidate) -> float:
    """Return the root of the weighted mean of squared distances of margins from the model's."""
    apart = candidate.margins(fresh.rows) - fresh.margins
    return float(np.sqrt(np.average(apart**2, weights=fresh.reference.weights)))


def _counted_rows(n_rows: int, labels: Labels | None) -> IntArray:
    """Return the positions of the rows that are fitted, in random order; rows of weight zero do not count."""
    positions: IntArray = np.random.default_rng(0).permutation(n_rows)
    if labels is not None and labels.sample_weight is not None:
        positions = positions[labels.sample_weight[positions] > 0]
    return positions[:MOST_ROWS]
