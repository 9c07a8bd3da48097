"""The witnesses of a search: violated queries, all of them evaluated, and the bound that they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from alignconf._typing import Feature, Model, Table
from alignconf.deployment.finding import Finding, Kind
from alignconf.lines.fitted_model import function_of
from alignconf.tables import table as tables
from alignconf.tables.predictions import predictions

__all__ = ["FoundQuery", "Witnesses"]


@dataclass(frozen=True, eq=False)
class FoundQuery:
    """One violated query that a search has found.

    Parameters
    ----------
    declared : str
        The part of the property that is violated, in words.
    feature : str, int or None
        The feature that varies; None where the query is about points made from a row.
    values : tuple
        The values of the feature at the points of the query, in order; otherwise the points in words.
    predictions : tuple of float
        What the model answers there.
    size : float
        The violation score; 1 where the property only says yes or no.
    plausibility : float in (0, 1]
        Of the least plausible point; see :class:`~alignconf.deployment.plausibility.Plausibility`.
    is_known : bool
        Whether all points are rows that could occur under the input law.
    points : Table of n_points rows
        Exactly what was sent to ``predict``, all at once.
    """

    declared: str
    feature: Feature | None
    values: tuple[Any, ...]
    predictions: tuple[float, ...]
    size: float
    plausibility: float
    is_known: bool
    points: Table

    def holds_for(self, model: Model) -> bool:
        """Return whether a model answers at the points exactly as it did, bit for bit."""
        return tuple(predictions(function_of(model), self.points)[0].tolist()) == self.predictions

    @property
    def row(self) -> dict[Feature, Any]:
        """The other columns, which all points of a line share; of a query that is about points, the first point."""
        names = tables.column_names(self.points) or tuple(range(self.points.shape[1]))
        columns = {name: tables.column(self.points, k).tolist() for k, name in enumerate(names)}
        return {
            name: values[0]
            for name, values in columns.items()
            if self.feature is None or (name != self.feature and (len(set(map(repr, values))) == 1))
        }

    def __str__(self) -> str:
        """Return the query in words."""
        points = ", ".join(
            f"{prediction:.6g} at {value if self.feature is None else _shown(value)}"
            for value, prediction in zip(self.values, self.predictions, strict=True)
        )
        others = ", ".join(f"{name}={_shown(value)}" for name, value in self.row.items())
        schema = "" if self.is_known else ", outside the input law"
        return (
            f"{self.declared}: the model predicts {points} (too much by {self.size:.6g}; plausibility "
            f"{self.plausibility:.3g}{schema}), in the row {others}"
        )


@dataclass(frozen=True, eq=False)
class Witnesses(Finding):
    """The worst queries that a search has found. ``str`` is the statement.

    Parameters
    ----------
    declared : str
    box : str
        What was searched, in words.
    witnesses : tuple of FoundQuery
        Plausible violations of different regions, worst first.
    anywhere : FoundQuery or None
        The worst violation that was met without regard to plausibility.
    naturalness : float in [0, 1)
        The plausibility that both ends of a witness must have.
    maximum : float or None
        The largest violation score in the box, where all its cells were enumerated; 0 if there is no violation.
    n_cells : int
        Cells that were enumerated, by walking the model's trees.
    why_not : str
        Why the cells were not enumerated, empty if they were.
    n_rows : int
        Rows that were sent to ``predict``; one that was sent to a gradient counts as two.
    max_rows : int
        Rows that could have been sent.
    progress : tuple of (int, float)
        Rows sent so far and the largest violation by then, whenever it grew.
    """

    kind: ClassVar[Kind] = "lower bound"

    declared: str
    box: str
    witnesses: tuple[FoundQuery, ...]
    anywhere: FoundQuery | None
    naturalness: float
    maximum: float | None
    n_cells: int
    why_not: str
    n_rows: int
    max_rows: int
    progress: tuple[tuple[int, float], ...]

    @property
    def found(self) -> bool:
        """Whether there is a witness. If not, nothing follows, unless :attr:`maximum` is 0."""
        return bool(self.witnesses)

    @property
    def largest(self) -> float:
        """The violation score of the worst witness, a lower bound of the largest; 0 if there is no witness."""
        return self.witnesses[0].size if self.witnesses else 0.0

    def __str__(self) -> str:
        """Return the finding in sentences."""
        plausible = f"plausible at {self.naturalness:g}" if self.naturalness else "of any plausibility"
        searched = f"{self.n_rows:,} rows were sent to the model, in {self.box}"
        if self.found:
            bound = (
                f'Lower bound: the largest violation of "{self.declared}" is at least {self.largest:.6g}, by a query '
                f"{plausible} that was found and evaluated; {searched}. How often violations occur is not said."
            )
            lines = [bound, *(f"- {witness}" for witness in self.witnesses)]
        else:
            lines = [f'Lower bound 0: no violation of "{self.declared}" {plausible} was found; {searched}.']
            if self.maximum is None or self.maximum > 0:
                lines[0] += " This claims nothing: there may be violations that the search has missed."
        if self.anywhere is not None and self.naturalness and self.anywhere.size > self.largest:
            lines.append(f"Met on the way, less plausible than asked for: {self.anywhere}.")
        if self.maximum is not None:
            lines.append(
                f"The largest violation in the box is {self.maximum:.6g}, rounding apart: the model's trees are constant on the "
                f"{self.n_cells:,} cells that their thresholds cut it into, and all were looked at. This is about the box only."
            )
        return "\n".join(lines)


def _shown(value: Any) -> str:
    """Return a value as it is written, numbers with six digits."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_shown, value))})"
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
