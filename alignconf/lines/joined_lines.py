"""The lines of a function of several models' answers: each model is asked for its line at the same places.

A piece of the whole is where no member crosses a piece of its own. The function is taken at each place by itself: means and
sums of weights, the probability of a class from the sums of all classes, the inverse of a transform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import softmax

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.lines.ensemble import LINK_UNITS, Ensemble
from alignconf.lines.exact_lines import ExactGrids, ExactLine, ExactLines, Move, ProjectedAt, project_line
from alignconf.lines.routes import Route
from alignconf.lines.sum_rounding import UNIT, UNIT_SINGLE
from alignconf.tables.predictions import Rounding

__all__ = ["ClassShare", "JoinedLines", "Joining"]


class Joining(Protocol):
    """A function of the members' answers at one place."""

    def rounding(self, members: Sequence[ExactLines], /) -> Rounding:
        """Return the rounding of the function's values."""

    def of(self, answers: Sequence[FloatArray], /) -> FloatArray:
        """Return values from the answers of the members, all of one shape."""


@dataclass(frozen=True)
class ClassShare:
    """The probability of a class from the sums of all classes: their softmax.

    An error of :math:`e` in each sum moves a probability by at most :math:`e / 2`.

    Parameters
    ----------
    column : int
        The class.
    """

    column: int

    def rounding(self, members: Sequence[ExactLines]) -> Rounding:
        """Return the rounding of the probability."""
        sums = [member for member in members if isinstance(member, Ensemble)]
        unit = UNIT_SINGLE if any(ensemble.is_single for ensemble in sums) else UNIT
        return Rounding(0.0, max(ensemble.sum_error for ensemble in sums) / 2 + LINK_UNITS * len(sums) * unit)

    def of(self, answers: Sequence[FloatArray]) -> FloatArray:
        """Return the probability of the class."""
        shares: FloatArray = softmax(np.stack(answers, axis=-1), axis=-1)[..., self.column]
        return shares


@dataclass(frozen=True, eq=False)
class JoinedLines:
    """Lines of a function of several models' answers.

    Parameters
    ----------
    members : tuple of ExactLines
        All on the same rows.
    joining : Joining
    """

    members: tuple[ExactLines, ...]
    joining: Joining

    @property
    def rounding(self) -> Rounding:
        """The rounding of the function's values."""
        return self.joining.rounding(self.members)

    @property
    def why_ends_only(self) -> str:
        """What the first member says that has such a reason."""
        return next((member.why_ends_only for member in self.members if member.why_ends_only), "")

    def why_not(self, route: Route) -> str:
        """Return what the first member says that does not know the lines."""
        return next((reason for member in self.members if (reason := member.why_not(route))), "")

    def predict(self, table: Table) -> FloatArray:
        """Return predictions, (n_samples,)."""
        return self.joining.of([member.predict(table) for member in self.members])

    def ends(self, route: Route) -> FloatArray:
        """Return the ends of the pieces of all members along the only column of a route, increasing."""
        return np.unique(np.concatenate([member.ends(route) for member in self.members]))

    def line(self, move: Move) -> ExactLine:
        """Return the lines of rows as they move."""
        return JoinedLine(self, tuple(member.line(move) for member in self.members))

    def plane(self, first: Move, second: Move) -> ExactGrids:
        """Return the grids of rows as they move along two features."""
        return JoinedGrids(self, tuple(member.plane(first, second) for member in self.members))


@dataclass(frozen=True, eq=False)
class JoinedGrids:
    """Values of a function of several models' answers at fixed places.

    Parameters
    ----------
    model : JoinedLines
    members : tuple of ExactGrids
        The same places of each member.
    """

    model: JoinedLines
    members: tuple[ExactGrids, ...]

    def values(self, table: Table) -> FloatArray:
        """Return the values, (n_samples, n_places) or (n_samples, n_places_1, n_places_2)."""
        return self.model.joining.of([member.values(table) for member in self.members])


@dataclass(frozen=True, eq=False)
class JoinedLine(JoinedGrids):
    """Lines of a function of several models' answers."""

    def project(
        self,
        table: Table,
        pieces: IntArray,
        weights: FloatArray | None,
        *,
        increasing: bool = True,
        predicted: FloatArray | None = None,  # noqa: ARG002
    ) -> ProjectedAt:
        """Project the line of each row, and tell all limits; see :meth:`ExactLine.project`."""
        return project_line(self.values(table), pieces, weights, increasing=increasing)
