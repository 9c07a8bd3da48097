"""Candidates compared by labels that the model has not seen: it is trained again in every fold.

The loss of an edited model at rows that the model was trained on says the wrong thing: it favours whatever keeps closest to what
was learned by heart. So in each of a few folds the model is trained on the other rows, as it was, every candidate is fitted to
that model, and the deviance of the labels left out compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.model_selection import KFold

from alignconf._typing import FloatArray, Table
from alignconf.lines.trees import trees_of
from alignconf.projectors.leaves.candidates import Candidate
from alignconf.projectors.leaves.labels import Labels, deviance, refitted
from alignconf.projectors.leaves.partial_order import LeafOrder
from alignconf.projectors.leaves.problem import FittingProblem

__all__ = ["mean_deviances"]

N_FOLDS = 3


def mean_deviances(
    problem: FittingProblem, candidates: Sequence[Candidate], table: Table, labels: Labels
) -> FloatArray | str:
    """Return the deviance of each candidate at labels left out, (n_candidates,), or a sentence that says why it is not known.

    It is infinite where a candidate does not serve the model.

    Parameters
    ----------
    problem : FittingProblem
        With labels as numbers.
    candidates : sequence of Candidate
    table : Table
        The rows of the problem as the model's ``fit`` takes them.
    labels : Labels
        As the model's ``fit`` takes them.
    """
    assert problem.y is not None
    weights = np.ones(len(problem.rows)) if labels.sample_weight is None else labels.sample_weight
    total = np.zeros(len(candidates))
    for train, test in KFold(N_FOLDS, shuffle=True, random_state=0).split(problem.rows):
        fold = _refitted_problem(problem, table, labels, train)
        if isinstance(fold, str):
            return fold
        for k, candidate in enumerate(candidates):
            fitted = candidate.fitted(fold)
            if isinstance(fitted, str):
                total[k] = np.inf
                continue
            terms = deviance(fold.ensemble.link, fitted.margins(problem.rows[test]), problem.y[test])
            total[k] += (weights[test] * terms).sum()
    means: FloatArray = total / weights.sum()
    return means


def _refitted_problem(problem: FittingProblem, table: Table, labels: Labels, train: Any) -> FittingProblem | str:
    if hasattr(problem.function, "column") and np.unique(labels.y[train]).size < np.unique(labels.y).size:
        return "a class has too few rows"
    try:
        function = refitted(problem.function, table, labels, train)
    except (TypeError, ValueError) as error:
        return f"the model could not be trained again on reference rows ({error})"
    ensemble = trees_of(function.in_order())
    if isinstance(ensemble, str):
        return f"the trees of the model trained again cannot be read: {ensemble}"
    some = problem.at(train)
    order = LeafOrder.of(ensemble, problem.directions, problem.domains)
    return replace(some, function=function, order=order)
