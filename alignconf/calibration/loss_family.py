r"""Loss families: how much each calibration row loses at every half-width, and the half-width that controls it.

Conformal risk control needs of a loss :math:`L_i(\lambda)` that it does not increase in :math:`\lambda` and that a bound on it
is known. A **loss family** holds the losses of all rows and answers one question: the smallest half-width at which the
expected loss of a fresh row is controlled.

* :class:`Scores`: :math:`L_i(\lambda) = \frac1m \#\{q : \lambda < s_{iq}\}`, the share of violated queries; an exact rank, or
  with confidence and several queries a row the rule of :mod:`alignconf.calibration.averages`.
* :class:`Sizes`: the size of violations, piecewise linear in :math:`\lambda`, with a bound :math:`B(\lambda)`.
* :class:`LossTable`: any bounded loss, known at a list of half-widths that was fixed beforehand.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import FloatArray, IntArray
from alignconf.calibration.averages import best_stake, critical_of_averages, is_averaged
from alignconf.calibration.loss_table import critical_of_table
from alignconf.calibration.ranks import critical_half_width, critical_of_positive
from alignconf.calibration.size_bound import SizeBound
from alignconf.calibration.sizes import ViolationSizes, critical_size
from alignconf.errors import InputError

__all__ = ["LossFamily", "LossTable", "PositiveScores", "Scores", "Sizes"]


class LossFamily(ABC):
    """The losses of calibration rows as functions of the half-width."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """How many rows, and how many queries each."""

    @abstractmethod
    def take(self, rows: Any) -> Self:
        """Return the losses of some rows, by a mask, (n_rows,)."""

    def with_effect(self, effect: float) -> Self:  # noqa: ARG002
        """Return the losses with the design effect of the queries of a row, where that is of use.

        Parameters
        ----------
        effect : float
            See :mod:`alignconf.calibration.averages`.
        """
        return self

    @abstractmethod
    def critical(self, alpha: float, confidence: float | None) -> tuple[float, int | None]:
        """Return the smallest half-width that controls the loss, and how many scores may lie above it, if there are scores.

        Raises
        ------
        CalibrationError
            If no half-width does, or the rows are too few.
        """

    @abstractmethod
    def figures(self) -> tuple[float, float, float, float]:
        """Return the shares of queries that lose something without a band and at any half-width, and two figures of the losses.

        These are the median and the largest of the scores, or losses, that are positive and finite; NaN where there are none.
        """


@dataclass(frozen=True)
class Scores(LossFamily):
    """Shares of violated queries, from critical half-widths.

    Parameters
    ----------
    values : (n_rows, n_queries)
    effect : float
        The design effect of the queries of a row, as rows show it that do not calibrate
        (:mod:`alignconf.calibration.averages`).
    """

    values: FloatArray
    effect: float = 1.0

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows, and how many queries each."""
        return self.values.shape[0], self.values.shape[1]

    def take(self, rows: Any) -> Scores:
        """Return the scores of some rows."""
        return replace(self, values=self.values[rows])

    def with_effect(self, effect: float) -> Scores:
        """Return the scores with the design effect of the queries of a row."""
        return replace(self, effect=effect)

    def critical(self, alpha: float, confidence: float | None) -> tuple[float, int]:
        """Return the half-width of all queries on average; with confidence of their averages, or of one query a row.

        See :func:`alignconf.calibration.ranks.critical_half_width` and
        :func:`alignconf.calibration.averages.critical_of_averages`.
        """
        if confidence is None:
            return critical_half_width(self.values, alpha)
        n_rows, n_queries = self.shape
        if not is_averaged(n_rows, n_queries, alpha, confidence, self.effect):
            return critical_half_width(self.values[:, :1], alpha, confidence)
        row, query = np.nonzero(~(self.values <= 0))
        stake, _ = best_stake(n_rows, alpha, confidence, self.effect)
        return critical_of_averages(self.values[row, query], row, n_rows, n_queries, alpha, confidence, stake)

    def figures(self) -> tuple[float, float, float, float]:
        """Return the shares of positive and of infinite scores, and the median and the largest of the others."""
        if not self.values.size:
            return nan, nan, nan, nan
        positive = self.values > 0
        infinite = np.isinf(self.values)
        rates = float(positive.mean()), float(infinite.mean())
        positive &= ~infinite
        return (*rates, *_middle_and_largest(self.values[positive]))


@dataclass(frozen=True)
class PositiveScores(LossFamily):
    """Shares of violated queries, from the positive scores alone: most scores of a model that mostly behaves are 0.

    Parameters
    ----------
    n_rows, n_queries : int
        All scores that are not listed are 0.
    values : (n_positive,)
    rows : (n_positive,) integers
        Which row each is of.
    queries : (n_positive,) integers
        Which query of the row.
    effect : float
        As for :class:`Scores`.
    """

    n_rows: int
    n_queries: int
    values: FloatArray
    rows: NDArray[Any]
    queries: NDArray[Any]
    effect: float = 1.0

    @classmethod
    def of(cls, values: FloatArray) -> PositiveScores:
        """Return the positive ones among scores, (n_rows, n_queries)."""
        row, query = np.nonzero(~(values <= 0))
        return cls(values.shape[0], values.shape[1], values[row, query], row, query)

    @classmethod
    def joined(cls, blocks: Sequence[PositiveScores]) -> PositiveScores:
        """Return the scores of the rows of all blocks, one after the other."""
        starts = np.cumsum([0, *(block.n_rows for block in blocks)])
        return cls(
            int(starts[-1]),
            blocks[0].n_queries,
            np.concatenate([block.values for block in blocks]),
            np.concatenate([block.rows + start for block, start in zip(blocks, starts, strict=False)]),
            np.concatenate([block.queries for block in blocks]),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows, and how many queries each."""
        return self.n_rows, self.n_queries

    def take(self, rows: Any) -> PositiveScores:
        """Return the scores of some rows."""
        is_taken = np.asarray(rows)
        kept, place = is_taken[self.rows], np.cumsum(is_taken) - 1
        return replace(
            self,
            n_rows=int(is_taken.sum()),
            values=self.values[kept],
            rows=place[self.rows[kept]],
            queries=self.queries[kept],
        )

    def with_effect(self, effect: float) -> PositiveScores:
        """Return the scores with the design effect of the queries of a row."""
        return replace(self, effect=effect)

    def critical(self, alpha: float, confidence: float | None) -> tuple[float, int]:
        """Return what :meth:`Scores.critical` does."""
        n_rows, n_queries = self.shape
        if confidence is None:
            return critical_of_positive(self.values.copy(), n_rows, n_queries, alpha)
        if not is_averaged(n_rows, n_queries, alpha, confidence, self.effect):
            return critical_of_positive(self.values[self.queries == 0], n_rows, 1, alpha, confidence)
        stake, _ = best_stake(n_rows, alpha, confidence, self.effect)
        return critical_of_averages(self.values, self.rows, n_rows, n_queries, alpha, confidence, stake)

    def figures(self) -> tuple[float, float, float, float]:
        """Return the shares of positive and of infinite scores, and the median and the largest of the others."""
        if not self.n_rows:
            return nan, nan, nan, nan
        n_all, infinite = self.n_rows * self.n_queries, np.isinf(self.values)
        rates = self.values.size / n_all, int(infinite.sum()) / n_all
        return (*rates, *_middle_and_largest(self.values[~infinite]))


@dataclass(frozen=True)
class Sizes(LossFamily):
    """Sizes of violations, with a bound on those of a fresh row."""

    sizes: ViolationSizes
    bound: SizeBound

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows, and how many queries each."""
        return self.sizes.n_rows, self.sizes.n_queries

    def take(self, rows: Any) -> Sizes:
        """Return the sizes of some rows."""
        sizes = self.sizes
        is_taken = np.asarray(rows)
        row, query = np.divmod(sizes.index, sizes.n_queries)
        kept = is_taken[row]
        place: IntArray = np.cumsum(is_taken) - 1
        index = place[row[kept]] * sizes.n_queries + query[kept]
        taken = ViolationSizes(int(is_taken.sum()), sizes.n_queries, index, sizes.knots[kept], sizes.values[kept])
        return Sizes(taken, self.bound)

    def critical(self, alpha: float, confidence: float | None) -> tuple[float, None]:
        """Return the half-width that :func:`alignconf.calibration.sizes.critical_size` finds.

        Raises
        ------
        InputError
            If a confidence is asked for, or a size that was seen is above the bound.
        """
        if confidence is not None:
            raise InputError(
                "confidence is for rates of violations; their expected size is controlled on average over calibration draws. "
                "Pass confidence=None."
            )
        largest = float(self.sizes.values[:, 0].max(initial=0.0))
        if largest > self.bound.largest:
            raise InputError(
                f"largest={self.bound.largest:g} must bound every violation, and one of size {largest:.6g} was found in "
                "calibration; expected a bound that holds for any row, for example the range of the model's values."
            )
        return critical_size(self.sizes, alpha, self.bound), None

    def figures(self) -> tuple[float, float, float, float]:
        """Return the shares of queries violated at half-width 0 or later and at any, and median and largest size at 0."""
        n_all = max(1, self.sizes.n_rows * self.sizes.n_queries)
        at_zero, left = self.sizes.values[:, 0], self.sizes.values[:, -1]
        return (at_zero.size / n_all, float((left > 0).sum()) / n_all, *_middle_and_largest(at_zero.copy()))


@dataclass(frozen=True)
class LossTable(LossFamily):
    """Any losses between 0 and a bound, at half-widths that were fixed beforehand.

    Parameters
    ----------
    losses : (n_rows, n_half_widths)
        The mean over the queries of each row.
    half_widths : (n_half_widths,)
    n_queries : int
    bound : float
    monotone : {"refuse", "envelope"}
        What becomes of rows that lose more at a larger half-width.
    """

    losses: FloatArray
    half_widths: FloatArray
    n_queries: int
    bound: float
    monotone: str

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows, and how many queries each."""
        return self.losses.shape[0], self.n_queries

    def take(self, rows: Any) -> LossTable:
        """Return the losses of some rows."""
        return LossTable(self.losses[rows], self.half_widths, self.n_queries, self.bound, self.monotone)

    def critical(self, alpha: float, confidence: float | None) -> tuple[float, None]:
        """Return the half-width that :func:`alignconf.calibration.loss_table.critical_of_table` finds."""
        half_width, _ = critical_of_table(
            self.losses, self.half_widths, alpha, bound=self.bound, confidence=confidence, monotone=self.monotone
        )
        return half_width, None

    def figures(self) -> tuple[float, float, float, float]:
        """Return the shares of rows that lose something at the first and the last half-width, and figures of the first."""
        first, last = self.losses[:, 0], self.losses[:, -1]
        return (float((first > 0).mean()), float((last > 0).mean()), *_middle_and_largest(first[first > 0]))


def _middle_and_largest(values: FloatArray) -> tuple[float, float]:
    """Return the median and the largest of values, which are reordered; NaN if there are none."""
    if not values.size:
        return nan, nan
    largest = float(values.max())
    return float(np.median(values, overwrite_input=True)), largest
