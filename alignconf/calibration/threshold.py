"""``lambda_`` at a row: one number, one for each group, or one for each likelihood ratio.

Calibration ends in a **threshold**. It says which half-width the band has at given rows, in units of the scale
(:mod:`alignconf.projectors.band`); everything after it, delivery, bands and certificates, asks only for that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf.calibration.shift import LikelihoodRatio
from alignconf.calibration.weighted import WeightedScores
from alignconf.errors import InputError
from alignconf.tables.groups import read_groups

__all__ = ["ByGroup", "ByWeight", "Fixed", "Threshold"]


class Threshold(ABC):
    """The rule that gives each row its ``lambda_``."""

    @property
    @abstractmethod
    def largest(self) -> float:
        """The largest ``lambda_`` that calibration found."""

    @abstractmethod
    def of_rows(self, table: Table, labels: Any = None) -> float | FloatArray:
        """Return ``lambda_`` at the rows of a table: one number, or (n_samples,). Labels are those of groups, if given so."""


@dataclass(frozen=True)
class Fixed(Threshold):
    """The same ``lambda_`` for all rows."""

    lambda_: float

    @property
    def largest(self) -> float:
        """The ``lambda_`` of all rows."""
        return self.lambda_

    def of_rows(self, table: Table, labels: Any = None) -> float:  # noqa: ARG002
        """Return the ``lambda_`` of all rows.

        Parameters
        ----------
        table : Table of n_samples rows
        labels : None

        Raises
        ------
        InputError
            If labels are given.
        """
        if labels is not None:
            raise InputError(
                "groups is given, but calibration was not by group; calibrate with groups, or leave them out."
            )
        return self.lambda_


@dataclass(frozen=True)
class ByGroup(Threshold):
    """The largest ``lambda_`` of the row's groups.

    Parameters
    ----------
    source : what groups are read off, None if they are given as labels
    half_widths : of the groups that calibrated
    lenient : bool
        Whether rows of other groups have the largest half-width, instead of being refused.
    """

    source: Any
    half_widths: dict[Hashable, float]
    lenient: bool

    @property
    def largest(self) -> float:
        """The largest ``lambda_`` of any group."""
        return max(self.half_widths.values())

    def of_rows(self, table: Table, labels: Any = None) -> FloatArray:
        """Return the largest half-width of each row's groups.

        Parameters
        ----------
        table : Table of n_samples rows
        labels : as for :func:`alignconf.tables.groups.read_groups`

        Raises
        ------
        InputError
            If labels are not as they were at calibration, or for a row of another group, if these are refused.
        """
        unseen = self.largest if self.lenient else None
        return read_groups(self.source, table, labels).largest(self.half_widths, unseen)


@dataclass(frozen=True)
class ByWeight(Threshold):
    """The ``lambda_`` that the row's likelihood ratio asks for.

    Parameters
    ----------
    ratio : LikelihoodRatio
    scores : sequence of WeightedScores
        One for each level; the largest half-width counts.
    heaviest : float
        The largest weight of a calibration row.
    """

    ratio: LikelihoodRatio
    scores: Sequence[WeightedScores]
    heaviest: float

    @property
    def largest(self) -> float:
        """The ``lambda_`` of the heaviest calibration row."""
        return float(self._at(np.array([self.heaviest]))[0])

    def of_rows(self, table: Table, labels: Any = None) -> FloatArray:
        """Return the half-width at each row; infinite, that is full strength, where too few rows speak for its weight.

        Parameters
        ----------
        table : Table of n_samples rows
        labels : None

        Raises
        ------
        InputError
            If labels are given, or a ratio is not what it should be.
        """
        if labels is not None:
            raise InputError("groups is given, but calibration was not by group; leave them out.")
        return self._at(self.ratio.weights(table))

    def _at(self, weights: FloatArray) -> FloatArray:
        widest: FloatArray = np.max([scores.half_widths(weights) for scores in self.scores], axis=0)
        return widest
