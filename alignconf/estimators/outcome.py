r"""Intervals and distributions for the outcome itself, around the delivered function.

The band of an aligned regressor says where the delivered *function* lies. Where the *outcome* ``y`` will lie is split conformal
prediction around that function, from labelled rows of their own. With :math:`h` the delivered function, :math:`\sigma` a
difficulty fixed beforehand (1 by default) and :math:`r_i = (y_i - h(x_i)) / \sigma(x_i)` at ``n`` labelled rows:

* interval :math:`h(x) \pm q\,\sigma(x)` with ``q`` the :math:`\lceil c (n + 1) \rceil`-th smallest :math:`|r_i|`;
* distribution: between :math:`\#\{r_i < r\} / (n + 1)` and :math:`(\#\{r_i \le r\} + 1) / (n + 1)` at the ``y`` with residual
  ``r``; quantiles are :math:`h(x) + r_{(k)} \sigma(x)`, ``k`` being :math:`p (n + 1)` rounded up or down.

*If the labelled rows and a fresh one are exchangeable, and none of them was used to fit the model, as reference, to find*
``lambda_`` *or for the difficulty, then the interval holds the fresh outcome with probability at least* ``c``, averaged over
draws of the labelled rows [1]_ (at most ``c + 1 / (n + 1)`` without ties), and each end of the distribution is a valid p-value
[2]_. With groups this holds in each group. The rows that found ``lambda_`` will not do: the delivered function depends on
them and not on the fresh row, so that they are not exchangeable *given the function*. Ranks are exact: confidence is the
decimal number that was typed.

References
----------
.. [1] Lei, J. et al. (2018). Distribution-Free Predictive Inference for Regression. JASA 113(523). arXiv:1604.04173
.. [2] Vovk, V. et al. (2019). Nonparametric Predictive Distributions Based on Conformal Prediction. Machine Learning 108.
   doi:10.1007/s10994-018-5755-8
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Self, TypeAlias, cast

import numpy as np

from alignconf._typing import Feature, FloatArray, IntArray, Table
from alignconf.calibration.claim import Calibration
from alignconf.errors import CalibrationError, InputError, NotCalibratedError, quoted
from alignconf.estimators.aligned import AlignedEstimator
from alignconf.estimators.conventions import ENDS
from alignconf.estimators.difficulty import NeighbourDifficulty, as_known_numbers
from alignconf.kernels.exact import as_fraction
from alignconf.projectors.band import Scale
from alignconf.tables import printed
from alignconf.tables import table as tables
from alignconf.tables.checks import (
    check_choice,
    check_count,
    check_entries,
    check_level,
    check_targets,
    is_row_function,
)
from alignconf.tables.predictions import row_answers

__all__ = ["Outcome", "OutcomeEstimator", "neighbour_difficulty"]

Difficulty: TypeAlias = Callable[[Table], Any]
Groups: TypeAlias = Feature | Callable[[Table], Any]


class OutcomeEstimator(AlignedEstimator):
    """What :class:`~alignconf.AlignedRegressor` says of outcomes."""

    @abstractmethod
    def predict(self, X: Table) -> FloatArray:
        """Return the delivered function at the rows of ``X``, (n_samples,)."""

    def calibrate_outcome(self, X: Table, y: Any, *, difficulty: Any = None, groups: Groups | None = None) -> Self:
        """Learn from labelled rows how far outcomes lie from the delivered function; ``lambda_`` stays as it is.

        Parameters
        ----------
        X : (n_samples, n_features)
            Rows used for nothing before: not to fit the model, not as reference, not in ``calibrate`` and not for the
            difficulty. Rows that lack a constrained feature count like any other.
        y : (n_samples,)
        difficulty : callable, or object with ``apply``, optional
            From rows to positive numbers (n_samples,): intervals are as wide in proportion. Fixed without these rows, e.g.
            :func:`alignconf.estimators.outcome.neighbour_difficulty` or a fitted ``DifficultyEstimator`` of crepes.
        groups : str, int or callable, optional
            A column, or a function from rows to labels (n_samples,): the promise holds in each group by itself.

        Returns
        -------
        self
            With ``outcome_``; calibrating again makes it void.

        Raises
        ------
        InputError
            If an argument is not what it should be, or rows repeat rows that calibrated or gave the reference law, also after
            rounding, or one another, beyond what duplicates in the data explain.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import Ridge
        >>> from alignconf import AlignedRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> aligned = AlignedRegressor(Ridge().fit(X[:200], y[:200]), {2: +1}, random_state=0).calibrate(X[200:300])
        >>> aligned.calibrate_outcome(X[300:400], y[300:400]).predict_outcome_interval(X[400:], confidence=0.8).shape
        (42, 2)
        """
        _, table = self._ready(X)
        if self._outputs is not None:
            raise InputError(
                f"outcomes are compared with one output, and the model has {len(self._outputs)}; align the output that they are "
                "compared with as a model by itself."
            )
        targets = check_targets(y, table.shape[0])
        self.used_rows_.refuse(table, purpose="an interval of outcomes")
        sizes, labels = _difficulty_of(table, difficulty), _labels_of(table, groups)
        residuals = (targets - self.predict(X)) / sizes
        members = {label: np.sort(residuals[rows]) for label, rows in _by_label(labels).items()}
        self.outcome_ = Outcome(members, difficulty, groups, self.calibration_)
        return self

    def predict_outcome_interval(self, X: Table, *, confidence: float = 0.9) -> Any:
        """Return where the outcomes of rows lie with probability at least ``confidence``: (n_samples, 2).

        See :meth:`Outcome.statement` for what this assumes, and :meth:`predict_band` for the band of the function. An
        array, or a data frame with the columns ``lower`` and ``upper`` after ``set_output``.

        Raises
        ------
        CalibrationError
            If the labelled rows (of a group) are too few for this confidence.
        InputError
            If a row is of a group that none of the labelled rows is of.
        """
        check_level("confidence", confidence)
        centre, sizes, members = self._around(X)
        half_widths = np.empty(centre.size)
        for label, rows in members.items():
            half_widths[rows] = self.outcome_.half_width(label, confidence)
        outwards = np.finfo(np.float64).eps * (np.abs(centre) + half_widths * sizes)
        reach = half_widths * sizes + outwards
        return self._contained(np.stack([centre - reach, centre + reach], axis=1), X, ENDS)

    def predict_outcome_quantile(self, X: Table, level: float, *, side: str = "upper") -> FloatArray:
        """Return a conservative quantile of the outcomes of rows: (n_samples,).

        ``side="upper"``: outcomes are at most this with probability at least ``level``. ``side="lower"``: they are at least
        this with probability at least ``1 - level``. The two differ by one rank. Assumptions and errors are those of
        :meth:`predict_outcome_interval`.
        """
        check_level("level", level)
        check_choice("side", side, ("upper", "lower"))
        centre, sizes, members = self._around(X)
        for label, rows in members.items():
            centre[rows] += self.outcome_.quantile(label, level, side) * sizes[rows]
        return centre

    def predict_outcome_cdf(self, X: Table, y: Any) -> Any:
        """Return the predictive distribution of the outcomes of rows at ``y``, from below and from above: (n_samples, 2).

        With the fresh outcome as ``y``, the second number is at most ``u`` with probability at most ``u``, and the first at
        least ``1 - u`` with probability at most ``u``, for every ``u``.

        Parameters
        ----------
        X : (n_samples, n_features)
        y : float or (n_samples,)
        """
        centre, sizes, members = self._around(X)
        outcomes = check_entries("y", y)
        residuals = (
            check_targets(np.full(centre.size, outcomes) if outcomes.ndim == 0 else outcomes, centre.size) - centre
        ) / sizes
        distribution = np.empty((centre.size, 2))
        for label, rows in members.items():
            distribution[rows] = self.outcome_.distribution(label, residuals[rows])
        return self._contained(distribution, X, ENDS)

    def _around(self, X: Table) -> tuple[FloatArray, FloatArray, dict[Hashable, IntArray]]:
        """Return the delivered values at rows, their difficulty, and which rows are of each group."""
        _, table = self._ready(X)
        outcome: Outcome | None = getattr(self, "outcome_", None)
        if outcome is None or outcome.calibration is not self.calibration_:
            before = "has no outcome_ yet" if outcome is None else "was calibrated again after its outcome_ was found"
            raise NotCalibratedError(
                f"this {type(self).__name__} {before}; call calibrate_outcome(X, y) with labelled rows used for nothing else."
            )
        members = _by_label(_labels_of(table, outcome.groups))
        for label in members:
            outcome.of(label)
        return self.predict(X).copy(), _difficulty_of(table, outcome.difficulty), members


@dataclass(frozen=True, eq=False)
class Outcome:
    """How far outcomes lie from the delivered function.

    Parameters
    ----------
    residuals : mapping from group to (n_rows,)
        Sorted ``(y - h(x)) / difficulty``; the group is None if there are no groups.
    difficulty, groups
        As given.
    calibration : Calibration
        Of the delivered function that this is about.
    """

    residuals: Mapping[Hashable, FloatArray]
    difficulty: Difficulty | None
    groups: Groups | None
    calibration: Calibration

    def of(self, label: Hashable) -> FloatArray:
        """Return the sorted residuals of a group; refuse a group that was never seen.

        Raises
        ------
        InputError
        """
        if label not in self.residuals:
            seen = ", ".join(sorted(map(repr, self.residuals)))
            raise InputError(
                f"group {label!r} has no labelled row in calibrate_outcome, which saw {seen}; nothing is known of its outcomes. "
                "Give labelled rows of it, or coarser groups."
            )
        return self.residuals[label]

    def half_width(self, label: Hashable, confidence: float) -> float:
        """Return the half-width for a group, at difficulty 1.

        Raises
        ------
        CalibrationError
            If the group has too few rows for the confidence.
        """
        sizes = np.sort(np.abs(self.of(label)))
        level = as_fraction(confidence)
        rank = ceil(level * (sizes.size + 1))
        if rank > sizes.size:
            raise CalibrationError(
                self._too_few(label, f"confidence={printed.level(confidence)}", ceil(level / (1 - level)))
            )
        return float(sizes[rank - 1])

    def quantile(self, label: Hashable, level: float, side: str) -> float:
        """Return a quantile of a group's residuals, its rank rounded up or down.

        Parameters
        ----------
        label : of the group
        level : float in (0, 1)
        side : {"lower", "upper"}

        Raises
        ------
        CalibrationError
            If the group has too few rows for the level.
        """
        residuals = self.of(label)
        share = as_fraction(level)
        rank = ceil(share * (residuals.size + 1)) if side == "upper" else floor(share * (residuals.size + 1))
        if not 1 <= rank <= residuals.size:
            needed = share / (1 - share) if side == "upper" else (1 - share) / share
            raise CalibrationError(
                self._too_few(label, f"the {side} quantile of level={printed.level(level)}", ceil(needed))
            )
        return float(residuals[rank - 1])

    def distribution(self, label: Hashable, fresh_residuals: FloatArray) -> FloatArray:
        """Return the ends of a group's distribution of residuals, (n_samples, 2), at fresh ones, (n_samples,)."""
        residuals = self.of(label)
        below = np.searchsorted(residuals, fresh_residuals, "left")
        not_above = np.searchsorted(residuals, fresh_residuals, "right") + 1
        return np.stack([below, not_above], axis=1) / (residuals.size + 1)

    def statement(self, confidence: float) -> str:
        """Return the guarantee of intervals in one sentence, assumption first."""
        check_level("confidence", confidence)
        difficulty = ", or for the difficulty" if self.difficulty is not None else ""
        groups = ", within each group by itself" if self.groups is not None else ""
        return (
            "If the labelled rows and the fresh row are exchangeable and were used neither to fit the model nor as reference nor "
            f"to find lambda_{difficulty}, then, averaged over draws of the labelled rows{groups}, the outcome of the fresh row "
            f"lies in its interval with probability at least {printed.level(confidence)}."
        )

    def __str__(self) -> str:
        """Return the statement for intervals of 90 %, and from how many rows."""
        counts = [f"{label!r}: {rows.size}" for label, rows in self.residuals.items()]
        rows = f"{sum(rows.size for rows in self.residuals.values())} labelled rows"
        return f"{self.statement(0.9)}\nFrom {rows}" + (f" ({', '.join(counts)})." if self.groups is not None else ".")

    def _too_few(self, label: Hashable, what: str, needed: int) -> str:
        group = f" of group {label!r}" if self.groups is not None else ""
        return (
            f"{self.of(label).size} labelled rows{group} cannot support {what}: at least {needed} are needed. Give more rows, or "
            "ask for less."
        )


def neighbour_difficulty(
    aligned: OutcomeEstimator, X: Table, y: Any, *, n_neighbours: int = 25, floor_share: float = 0.01
) -> NeighbourDifficulty:
    """Return how hard rows are: the mean error of the delivered function at their nearest neighbours among known rows.

    Any rows but those of ``calibrate_outcome`` keep the guarantee; on rows that trained the model errors are too small to tell
    much. Uses crepes.

    Parameters
    ----------
    aligned : AlignedRegressor, calibrated
    X : (n_samples, n_features), numeric, without missing values
    y : (n_samples,)
    n_neighbours : int, default=25
    floor_share : float, default=0.01
        This share of the mean error is added, so that no row counts as infinitely easy.

    Returns
    -------
    callable
        From rows to (n_samples,) positive numbers, in the unit of the prediction.

    Raises
    ------
    InputError
        If there are fewer rows than neighbours, or columns are not numbers.
    """
    _, table = aligned._ready(X)
    count = check_count("n_neighbours", n_neighbours, at_least=1)
    if count > table.shape[0]:
        raise InputError(
            f"n_neighbours={count} is more than the {table.shape[0]} rows of X; give more rows, or fewer neighbours."
        )
    share = check_level("floor_share", floor_share)
    errors = check_targets(y, table.shape[0]) - aligned.predict(X)
    return NeighbourDifficulty(
        as_known_numbers(table).copy(), errors, count, share * (float(np.abs(errors).mean()) or 1.0)
    )


def _difficulty_of(table: Table, difficulty: Any) -> FloatArray:
    """Return the difficulty of rows, (n_samples,), positive and finite."""
    has_rule = is_row_function(difficulty) and not hasattr(difficulty, "predict")  # a tree's apply returns leaves
    if difficulty is not None and not has_rule:
        raise InputError(
            f"difficulty must be a function of the rows, or have an apply method, got {quoted(difficulty)} of type "
            f"{type(difficulty).__name__}."
        )
    sigma = Scale(difficulty).sigma(table)
    return np.ones(table.shape[0]) if sigma is None else sigma


def _labels_of(table: Table, groups: Groups | None) -> list[Hashable]:
    """Return the group of each row."""
    if groups is None:
        return [None] * int(table.shape[0])
    if is_row_function(groups):
        entries = check_entries("groups", row_answers(groups, table))
    else:
        entries = tables.column(table, tables.locate(table, cast(Feature, groups)))
    labels: list[Hashable] = entries.tolist() if entries.ndim == 1 else []
    if len(labels) != table.shape[0]:
        raise InputError(
            f"groups returned shape {np.shape(entries)}; expected one label for each of {table.shape[0]} rows."
        )
    for row, label in enumerate(labels):
        if not isinstance(label, Hashable):
            raise InputError(f"groups gives {label!r} for row {row}, which is no label; expected one for each row.")
        if label is None or (label == label) is not True:  # NaN, NaT and NA do not equal themselves
            raise InputError(f"the group of row {row} is missing ({label!r}); fill it in, or leave the row out.")
    return labels


def _by_label(labels: list[Hashable]) -> dict[Hashable, IntArray]:
    """Return the positions of the rows of each group."""
    members: dict[Hashable, list[int]] = {}
    for row, label in enumerate(labels):
        members.setdefault(label, []).append(row)
    return {label: np.array(rows, dtype=np.intp) for label, rows in members.items()}
