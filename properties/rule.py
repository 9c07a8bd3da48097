"""Rule: whatever a function accepts. For what no inequality says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray, Table
from alignconf.contract.orbit import OrbitProperty, label, moved
from alignconf.errors import InputError
from alignconf.properties.linear_property import as_points
from alignconf.tables.checks import check_function

__all__ = ["Rule"]


@dataclass(frozen=True, repr=False)
class Rule(OrbitProperty):
    """Predictions at points made from a row are accepted by a function of the user's.

    Parameters
    ----------
    points : sequence of n_points
        As for :class:`~alignconf.properties.LinearProperty`.
    accept : callable
        From values (n_rows, n_points) to answers (n_rows,), true where they are accepted. It should forgive differences of
        rounding size.
    project : callable, optional
        From values (n_rows, n_points) to values of the same shape that are accepted, the same where they already are.
        Needed to align a model; an audit needs none.
    words : str, optional
        The rule in words, for certificates.

    Notes
    -----
    Without inequalities nothing can be computed exactly along the path from model to projection. The rule is asked at a list
    of half-widths that is fixed before calibration, and ``lambda_`` is one of them: the guarantee is the same, the half-width
    up to the spacing of the list larger.

    Examples
    --------
    >>> def within_a_tenth(values):
    ...     return abs(values[:, 1] - values[:, 0]) <= 0.1 * abs(values[:, 0])
    >>> print(Rule([{"plan": "basic"}, {"plan": "premium"}], within_a_tenth))
    within_a_tenth at plan='basic' and plan='premium'
    """

    points: Sequence[Any]
    accept: Callable[[FloatArray], Any]
    project: Callable[[FloatArray], Any] | None = None
    words: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "points", as_points(self.points))
        for name, function in (("accept", self.accept), ("project", self.project)):
            if not (name == "project" and function is None):
                check_function(name, function, "of values (n_rows, n_points)")
        if self.tol:
            raise InputError(f"Rule takes no tolerance, got tol={self.tol:g}; let accept forgive what may be forgiven.")

    def __str__(self) -> str:
        """Return the rule in words."""
        if self.words is not None:
            return self.words
        name = getattr(self.accept, "__name__", None) or repr(self.accept)
        return f"{name} at {' and '.join(label(point) for point in self.points)}"

    @property
    def is_opaque(self) -> bool:
        """Whether only the function's answer is known: True."""
        return True

    def labels(self, n_points: int) -> tuple[str, ...]:
        """Return the points in words."""
        return tuple(label(point) for point in self.points)

    def orbit(self, table: Table) -> list[Table]:
        """Return the rows moved to each point."""
        return [moved(table, point) for point in self.points]

    def demands(self, n_points: int) -> tuple[FloatArray, FloatArray]:
        """Refuse: a rule has no inequalities."""
        raise TypeError("a Rule has no inequalities")

    def accepts(self, values: FloatArray) -> BoolArray:
        """Return the function's answers, checked."""
        answers = np.asarray(self.accept(values.copy()))
        if answers.shape != values.shape[:1] or answers.dtype.kind not in "bui":
            raise InputError(
                f"accept of {self} returned shape {answers.shape} of type {answers.dtype} for values of shape "
                f"{values.shape}; expected one true or false for each row, shape ({len(values)},)."
            )
        return answers.astype(bool)

    def nearest(self, values: FloatArray, same: IntArray, norm: str) -> FloatArray:
        """Return what the user's projection answers."""
        if self.project is None:
            raise InputError(
                f'the rule "{self}" has no projection, so a model can be audited by it but not aligned; give project=, a '
                "function from values (n_rows, n_points) to accepted values."
            )
        projected: FloatArray = np.asarray(self.project(values.copy()), dtype=np.float64)
        return projected
