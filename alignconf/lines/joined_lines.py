r"""The lines of a function of several models' answers: each model is asked for its line at the same places.

A piece of the whole is where no member crosses a piece of its own. The function is taken at each place by itself
(:mod:`alignconf.lines.joinings`): means and sums of weights, the probability of a class from the sums of all classes, the
inverse of a transform. Trees whose weighted sum the function is, on rows that are compared alike, are joined to one ensemble
(:mod:`alignconf.lines.merged_ensembles`) and walked together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alignconf._typing import FloatArray, IntArray, Table
from alignconf.lines.exact_lines import ExactGrids, ExactLine, ExactLines, Move, ProjectedAt, project_line
from alignconf.lines.joinings import ITSELF, Joining, WeightedSum
from alignconf.lines.links import LINK_UNITS
from alignconf.lines.merged_ensembles import merged_sum
from alignconf.lines.routes import Route
from alignconf.tables import table as tables
from alignconf.tables.predictions import Rounding

__all__ = ["JoinedLines"]

#: Answers of all members that are held at once.
MOST_ANSWERS = 2**23


@dataclass(frozen=True, eq=False)
class JoinedLines:
    """Lines of a function of several models' answers.

    Parameters
    ----------
    members : tuple of ExactLines
        All on the same rows.
    joining : Joining
    rounding : Rounding
        Of the function's values.
    unit : float
        The unit roundoff of the function's own arithmetic.
    """

    members: tuple[ExactLines, ...]
    joining: Joining
    rounding: Rounding
    unit: float

    @classmethod
    def of(cls, members: Sequence[ExactLines], joining: Joining, reference: Table) -> JoinedLines:
        """Return the lines of a function of models' answers, with its rounding measured at reference rows."""
        rounding, unit = _rounding(members, joining, reference), max(member.unit for member in members)
        if isinstance(joining, WeightedSum):
            members, joining = merged_sum(members, joining)
        return cls(tuple(members), joining, rounding, unit)

    @property
    def made_of(self) -> str:
        """What the members are made of."""
        return " and ".join(dict.fromkeys(member.made_of for member in self.members))

    def why_not(self, route: Route) -> str:
        """Return what the first member says that does not know the lines."""
        return next((reason for member in self.members if (reason := member.why_not(route))), "")

    def why_no_pieces(self, route: Route) -> str:
        """Return what the first member says that has no pieces."""
        return next((reason for member in self.members if (reason := member.why_no_pieces(route))), "")

    def predict(self, table: Table) -> FloatArray:
        """Return predictions, (n_samples,)."""
        return self.joining.of([member.predict(table) for member in self.members])

    def ends(self, route: Route) -> FloatArray:
        """Return the ends of the pieces of all members along the only column of a route, increasing."""
        return np.unique(np.concatenate([member.ends(route) for member in self.members]))

    def line(self, move: Move) -> ExactLine:
        """Return the lines of rows as they move."""
        return JoinedLine(self, tuple(member.line(move) for member in self.members), move.n_places)

    def plane(self, first: Move, second: Move) -> ExactGrids:
        """Return the grids of rows as they move along two features."""
        grids = tuple(member.plane(first, second) for member in self.members)
        return JoinedGrids(self, grids, first.n_places * second.n_places)


@dataclass(frozen=True, eq=False)
class JoinedGrids:
    """Values of a function of several models' answers at fixed places.

    Parameters
    ----------
    model : JoinedLines
    members : tuple of ExactGrids
        The same places of each member.
    n_sites : int
        Places of a row.
    """

    model: JoinedLines
    members: tuple[ExactGrids, ...]
    n_sites: int

    def values(self, table: Table) -> FloatArray:
        """Return the values, (n_samples, n_places) or (n_samples, n_places_1, n_places_2)."""
        n_rows, step = int(table.shape[0]), max(1, MOST_ANSWERS // (self.n_sites * len(self.members)))
        if n_rows <= step:
            return self.model.joining.of([member.values(table) for member in self.members])
        parts = (tables.take(table, np.arange(start, min(start + step, n_rows))) for start in range(0, n_rows, step))
        return np.concatenate([self.values(part) for part in parts])


@dataclass(frozen=True, eq=False)
class JoinedLine(JoinedGrids):
    """Lines of a function of several models' answers."""

    members: tuple[ExactLine, ...]

    def project(
        self,
        table: Table,
        pieces: IntArray,
        weights: FloatArray | None,
        *,
        increasing: bool = True,
        predicted: FloatArray | None = None,
    ) -> ProjectedAt:
        """Project the line of each row, and tell all limits; see :meth:`ExactLine.project`."""
        if self.model.joining == ITSELF:
            return self.members[0].project(table, pieces, weights, increasing=increasing, predicted=predicted)
        return project_line(self.values(table), pieces, weights, increasing=increasing)


def _rounding(members: Sequence[ExactLines], joining: Joining, reference: Table) -> Rounding:
    r"""Return the rounding of a function of answers.

    With the slopes :math:`s_i` and the rounding :math:`e_i` of the answers :math:`f_i` of a row, it is
    :math:`\sum_i s_i e_i`, and for the function's own arithmetic, on terms as large as :math:`s_i |f_i|`, some units in the last
    place of their sum and of the value: at the worst of the reference rows, and in proportion where values are larger than there.
    """
    answers = [member.predict(reference) for member in members]
    errors = np.array([member.rounding.of(answer[:, None]) for member, answer in zip(members, answers, strict=True)])
    slopes, sizes = joining.slopes(answers), np.abs(joining.of(answers))
    largest = float(sizes.max())
    n_units = (len(members) + LINK_UNITS) * max(member.unit for member in members)
    terms = sizes + (slopes * np.abs(answers)).sum(axis=0)
    error = float(((slopes * errors).sum(axis=0) + n_units * terms).max())
    return Rounding(error / largest if largest > 0 else 0.0, error)
