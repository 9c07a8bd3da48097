r"""The functions in the declared order that are tried for a model with trees, each an ordinary model.

* :class:`RefittedLeaves`: the model's trees, leaves fitted again to its margins, on the reference rows or on recombined copies
  too. Copies hold the fit back from imitating what a model has learned of single rows by heart; where features depend on
  each other strongly they ask about rows that there are not, and pull it away.
* :class:`ConstrainedTwins`: the model's library, fitted under its own constraints to the model's margins: other trees, farther
  from the model, smoother.
* :class:`LeavesWithRounds`: the model's trees, and a quarter as many of a short twin, fitted to what their leaves do not say. A
  quarter is also what they cost besides.

With labels :math:`y`, targets may move a **share** :math:`c` of a Newton step of the deviance towards them,
:math:`m + c\,(y - \mu) / \mu'(m)`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignconf._typing import FloatArray
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.exact_sums import with_exact_sums
from alignconf.lines.native_trees import with_trees
from alignconf.projectors.leaves.joint_fit import Reference, fitted_values, newton_steps, with_values
from alignconf.projectors.leaves.problem import FittingProblem, Twin, margins_of

__all__ = ["Candidate", "ConstrainedTwins", "FittedCandidate", "LeavesWithRounds", "RefittedLeaves"]


@dataclass(frozen=True, eq=False)
class FittedCandidate:
    """A candidate that was fitted.

    Parameters
    ----------
    margins : callable
        From rows, (n_rows, n_features), to margins, (n_rows,).
    written : callable
        Returns the function of an ordinary model that has them; to write it takes time, and most candidates are only compared.
    leaf_values : (n_leaves,) or None
        Of the model's own trees; None if the trees are others.
    """

    margins: Callable[[FloatArray], FloatArray]
    written: Callable[[], Any]
    leaf_values: FloatArray | None = None


class Candidate(ABC):
    """A way to a function in the declared order; ``str`` says which, in words."""

    @abstractmethod
    def fitted(self, problem: FittingProblem) -> FittedCandidate | str:
        """Return the candidate fitted to a problem, or a sentence that says why it does not serve the model."""


@dataclass(frozen=True)
class RefittedLeaves(Candidate):
    """The model's trees with leaves fitted to its margins.

    Parameters
    ----------
    share : float
        How far targets move towards labels.
    with_copies : bool
        Whether recombined copies, at the model's margins, are fitted too.
    """

    share: float = 0.0
    with_copies: bool = False

    def fitted(self, problem: FittingProblem) -> FittedCandidate:
        """Return the leaves fitted."""
        if not self.share and not self.with_copies:
            return _with_leaves(problem, problem.values_in_order)
        reference = _towards_labels(problem, self.share)
        if self.with_copies:
            reference = reference.joined(problem.reference_of_copies)
        return _with_leaves(problem, fitted_values(problem.order, reference))

    def __str__(self) -> str:
        """Return which leaves."""
        how = "with" if self.with_copies else "without"
        return f"the leaves of the model's own trees, fitted again {how} recombined copies{_to_labels(self.share)}"


@dataclass(frozen=True)
class ConstrainedTwins(Candidate):
    """The library of the model under its own constraints, fitted to the model's margins.

    Parameters
    ----------
    with_copies : bool
        Whether recombined copies are fitted too.
    """

    with_copies: bool = False

    def fitted(self, problem: FittingProblem) -> FittedCandidate | str:
        """Return the twin, if the model has one."""
        twin = problem.twin_of_copies if self.with_copies else problem.twin
        if isinstance(twin, str):
            return twin
        return FittedCandidate(twin.margins, lambda: _written_twin(problem, twin))

    def __str__(self) -> str:
        """Return which twin."""
        how = "with" if self.with_copies else "without"
        return f"the trees of a constrained twin, fitted to the model's margins {how} recombined copies"


@dataclass(frozen=True)
class LeavesWithRounds(Candidate):
    r"""The model's trees with leaves fitted to its margins, and a few rounds of its library, fitted to what these leave.

    With :math:`l(x)` the margins of the leaves, rounds under the library's constraints are fitted to
    :math:`m(x) + c\,(y - \mu) / \mu'(m) - w\,l(x)`, and added to :math:`w\,l(x)`.

    Parameters
    ----------
    weight : float
        Of the leaves, :math:`w`. With less than 1 rounds repeat some of what the leaves say, and the sum is smoother.
    share : float
        How far targets of the rounds move towards labels.
    """

    weight: float = 1.0
    share: float = 0.0

    def fitted(self, problem: FittingProblem) -> FittedCandidate | str:
        """Return leaves and rounds, if the model has a twin."""
        leaves = RefittedLeaves().fitted(problem)
        said = self.weight * leaves.margins(problem.rows)
        rounds = problem.rounds(problem.margins + _steps_to_labels(problem, self.share) - said)
        if isinstance(rounds, str):
            return rounds
        return FittedCandidate(
            lambda rows: self.weight * leaves.margins(rows) + rounds.margins(rows),
            lambda: self._written(problem, leaves, rounds),
        )

    def __str__(self) -> str:
        """Return what is added."""
        times = "" if self.weight == 1 else f", times {self.weight:g}"
        return (
            f"the leaves of the model's own trees, fitted again without recombined copies{times}, and a quarter as many rounds "
            f"of a constrained twin, fitted to what these leave{_to_labels(self.share)}"
        )

    def _written(self, problem: FittingProblem, leaves: FittedCandidate, rounds: Twin) -> Any:
        added = with_trees(leaves.written().estimator, rounds.regressor, weight=1.0, own_weight=self.weight)
        exact = _adds_in_any_order(problem.ensemble)
        return replace(problem.function, estimator=with_exact_sums(added) if exact else added)


def _towards_labels(problem: FittingProblem, share: float) -> Reference:
    return problem.reference.moved(problem.order, _steps_to_labels(problem, share))


def _steps_to_labels(problem: FittingProblem, share: float) -> FloatArray:
    if problem.y is None or not share:
        return np.zeros(len(problem.rows))
    steps: FloatArray = share * newton_steps(problem.ensemble.link, problem.margins, problem.y)
    return steps


def _with_leaves(problem: FittingProblem, leaf_values: FloatArray) -> FittedCandidate:
    ensemble = with_values(problem.ensemble, leaf_values)

    def written() -> Any:
        return problem.function.with_leaves(leaf_values, exact=_adds_in_any_order(problem.ensemble))

    return FittedCandidate(lambda rows: margins_of(ensemble, rows), written, leaf_values)


def _written_twin(problem: FittingProblem, twin: Twin) -> Any:
    return problem.function.with_trees(twin.regressor, exact=_adds_in_any_order(problem.ensemble))


def _adds_in_any_order(ensemble: Ensemble) -> bool:
    return ensemble.divisor != 1 or ensemble.is_single


def _to_labels(share: float) -> str:
    return f", targets moved {share:g} of a Newton step to labels" if share else ""
