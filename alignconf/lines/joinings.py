r"""Functions of several models' answers to a row, taken at each place of a line by itself.

A joining :math:`h(f_1, \dots, f_k)` turns the answers of members into that of the whole. How far the rounding of answers shows
is told by its slopes: answers that err by :math:`e_i` move :math:`h` by :math:`\sum_i |\partial h / \partial f_i| \, e_i`. Those
of a weighted sum are its weights, which bound the error everywhere; all others are measured at reference rows, as the steepest
secant on either side over :data:`STEP` of the size of the answers, and counted :data:`FACTOR` times, for rows where it is
steeper.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from alignconf._typing import FloatArray
from alignconf.kernels.weighted_median import weighted_medians
from alignconf.lines.links import linked

__all__ = [
    "ITSELF",
    "Calibrated",
    "ClassShare",
    "FinalAnswer",
    "InverseTarget",
    "Joining",
    "NormalizedShare",
    "WeightedMedian",
    "WeightedSum",
]

#: Measured slopes are secants over this share of the size of answers, and count this many times.
STEP = 2.0**-20
FACTOR = 8.0


class Joining(Protocol):
    """A function of the members' answers at one place."""

    def of(self, answers: Sequence[FloatArray], /) -> FloatArray:
        """Return values from the answers of the members, all of one shape."""

    def slopes(self, answers: Sequence[FloatArray], /) -> FloatArray:
        """Return how far values move with each member's answer, at most: (n_members, n_samples) from answers (n_samples,)."""


class MeasuredJoining(ABC):
    """A joining whose slopes are measured."""

    @abstractmethod
    def of(self, answers: Sequence[FloatArray]) -> FloatArray:
        """Return values from the answers of the members."""

    def slopes(self, answers: Sequence[FloatArray]) -> FloatArray:
        """Return :data:`FACTOR` times the steepest secants at answers (n_samples,): (n_members, n_samples)."""
        values, slopes = self.of(answers), []
        for i, answer in enumerate(answers):
            step = STEP * float(np.abs(answer).max(initial=0.0)) or STEP
            with np.errstate(all="ignore"):
                up, down = (self.of([*answers[:i], answer + sign * step, *answers[i + 1 :]]) for sign in (1, -1))
                # Where a function ends, as a logarithm does, the side on which it is tells.
                slopes.append(FACTOR * np.fmax(np.abs(up - values), np.abs(values - down)) / step)
        return np.array(slopes)


@dataclass(frozen=True)
class WeightedSum(MeasuredJoining):
    r""":math:`h(c + \sum_i w_i f_i)`, with a link :math:`h`.

    Parameters
    ----------
    weights : tuple of float
        One for each member.
    constant : float
    link : {"identity", "exp", "expit"}
    """

    weights: tuple[float, ...]
    constant: float = 0.0
    link: str = "identity"

    def of(self, answers: Sequence[FloatArray]) -> FloatArray:
        """Return values from the answers of the members."""
        margins = self.weights[0] * answers[0]
        for weight, answer in zip(self.weights[1:], answers[1:], strict=True):
            margins += weight * answer
        return linked(margins + self.constant if self.constant else margins, self.link)

    def slopes(self, answers: Sequence[FloatArray]) -> FloatArray:
        """Return the sizes of the weights, exactly; measured behind a link."""
        if self.link != "identity":
            return super().slopes(answers)
        return np.broadcast_to(np.abs(self.weights)[:, None], (len(self.weights), answers[0].size))


#: The answer of a single member.
ITSELF = WeightedSum((1.0,))


@dataclass(frozen=True)
class ClassShare:
    r"""The probability of a class from the sums of all classes, their softmax: :math:`1 / (1 + \sum_{k \ne c} e^{f_k - f_c})`.

    Its slopes are at most :math:`p (1 - p) \le 1/4` in the sum of the class and no more in all others together.

    Parameters
    ----------
    column : int
        The class.
    """

    column: int

    def of(self, answers: Sequence[FloatArray]) -> FloatArray:
        """Return the probability of the class."""
        odds_against = np.ones_like(answers[self.column])
        with np.errstate(over="ignore"):
            for k, answer in enumerate(answers):
                if k != self.column:
                    difference = answer - answers[self.column]
                    odds_against += np.exp(difference, out=difference)
        return np.divide(1.0, odds_against, out=odds_against)

    def slopes(self, answers: Sequence[FloatArray]) -> FloatArray:
        """Return shares of one half, which is the largest sum of all slopes."""
        return np.full((len(answers), answers[0].size), 0.5 / len(answers))


@dataclass(frozen=True)
class NormalizedShare(MeasuredJoining):
    """The share of a class in the sum of the numbers of all classes, none of which is negative.

    Parameters
    ----------
    column : int
        The class.
    if_none : float
        Where all numbers are zero.
    """

    column: int
    if_none: float

    def of(self, answers: Sequence[FloatArray]) -> FloatArray:
        """Return the share of the class."""
        total = np.sum(answers, axis=0)
        shares: FloatArray = np.divide(
            answers[self.column], total, out=np.full(total.shape, self.if_none), where=total != 0
        )
        return shares


@dataclass(frozen=True, eq=False)
class WeightedMedian:
    """The smallest answer that, with all smaller ones, has half of the weight.

    Answers that err by at most ``e`` move it by at most ``e``, so that the slopes of all members are 1 together.

    Parameters
    ----------
    weights : (n_members,)
        Positive.
    """

    weights: FloatArray

    def of(self, answers: Sequence[FloatArray]) -> FloatArray:
        """Return the weighted median of the answers."""
        medians = np.empty(answers[0].size)
        weighted_medians(np.stack([answer.ravel() for answer in answers]), self.weights, medians)
        return medians.reshape(answers[0].shape)

    def slopes(self, answers: Sequence[FloatArray]) -> FloatArray:
        """Return 1 for every member, as each may be the median."""
        return np.ones((len(answers), answers[0].size))


@dataclass(frozen=True, eq=False)
class InverseTarget(MeasuredJoining):
    """What a transformer makes of the answer of a model of the transformed target.

    Parameters
    ----------
    transformer : fitted transformer with ``inverse_transform``
    """

    transformer: Any

    def of(self, answers: Sequence[FloatArray]) -> FloatArray:
        """Return the answers, transformed back."""
        (answer,) = answers
        return np.asarray(self.transformer.inverse_transform(answer.reshape(-1, 1)), np.float64).reshape(answer.shape)


@dataclass(frozen=True, eq=False)
class Calibrated(MeasuredJoining):
    """What a calibrator of scikit-learn makes of a score.

    Parameters
    ----------
    calibrator : fitted regressor of one number
    """

    calibrator: Any

    def of(self, answers: Sequence[FloatArray]) -> FloatArray:
        """Return probabilities from scores."""
        (answer,) = answers
        return np.asarray(self.calibrator.predict(answer.ravel()), np.float64).reshape(answer.shape)


@dataclass(frozen=True, eq=False)
class FinalAnswer(MeasuredJoining):
    """What a model answers to the answers of others, as its columns.

    Parameters
    ----------
    model : fitted regressor or classifier
    column : int or None
        The class of a classifier; None for a regressor.
    """

    model: Any
    column: int | None

    def of(self, answers: Sequence[FloatArray]) -> FloatArray:
        """Return the model's answers."""
        columns = np.stack([answer.ravel() for answer in answers], axis=1)
        values = (
            self.model.predict(columns) if self.column is None else self.model.predict_proba(columns)[:, self.column]
        )
        return np.asarray(values, np.float64).reshape(answers[0].shape)
