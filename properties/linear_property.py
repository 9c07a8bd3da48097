r"""LinearProperty: a user's own rule, written as inequalities between predictions at a few points made from each row.

:math:`\sum_k a_{ik} g(T_k(x)) \le b_i` for every row :math:`x` and every inequality :math:`i`. Scores, calibration,
certificate and projection follow from the inequalities; the projection is least squares onto :math:`\{g : A g \le b\}` within
the orbit :math:`T_1(x), \dots, T_m(x)`, for all rows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from alignconf._typing import Feature, FloatArray, IntArray, Table
from alignconf.contract.orbit import OrbitProperty, PlaceLimit, Setting, as_point, label, moved
from alignconf.contract.output_rule import OutputRule
from alignconf.contract.outputs import OUTPUTS, Outputs
from alignconf.errors import InputError, quoted
from alignconf.kernels.polyhedron import colliding, polyhedron_least_squares, polyhedron_midpoint
from alignconf.kernels.sums import products

__all__ = ["LinearProperty"]


@dataclass(frozen=True, repr=False)
class LinearProperty(OrbitProperty):
    r"""Any linear rule between predictions at points made from a row, e.g. "premium is never predicted below basic".

    Parameters
    ----------
    points : sequence of n_points
        Each a mapping from features to values (the row with these columns set), a function from a table of rows to a table
        of the same shape, or None for the row itself. ``{OUTPUTS: 0.5}`` is the output of the row at level 0.5.
    coefficients : (n_points,) or (n_demands, n_points)
        The numbers :math:`a_{ik}`.
    bound : float or (n_demands,), default=0
        The numbers :math:`b_i`.
    words : str, optional
        The rule in words, for certificates.
    tol : float, default=0
        Slack granted to every inequality.

    Notes
    -----
    Rows that are themselves a point of their orbit are repaired, others keep the model's value. The repaired function has
    the property exactly if the orbit of each of its points is the same, in the same order, as settings of columns have it, or
    in another one that the inequalities do not tell apart. Where it is not, what is left is counted by scores and
    certificate: ``g(x) <= g(swapped x) + 1`` has to be declared in both directions.

    Examples
    --------
    >>> rule = LinearProperty(points=[{"plan": "basic"}, {"plan": "premium"}], coefficients=[1, -1], bound=0)
    >>> print(rule)
    g(plan='basic') - g(plan='premium') <= 0
    """

    points: Sequence[Any]
    coefficients: Any
    bound: Any = 0.0
    words: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        points = as_points(self.points)
        columns = [_features(point) for point in points]
        if any(OUTPUTS in features for features in columns) and any(features != {OUTPUTS} for features in columns):
            raise InputError(
                f"points {list(points)!r} name an output in some points and rows in others; name an output in every point and "
                "nothing else, points=[{OUTPUTS: 0.25}, {OUTPUTS: 0.75}], or no output in any, for a rule at every output."
            )
        coefficients, bound = _numbers("coefficients", self.coefficients), _numbers("bound", self.bound)
        A = np.atleast_2d(coefficients)
        if A.ndim != 2 or A.shape[1] != len(points):
            raise InputError(
                f"coefficients have shape {coefficients.shape} for {len(points)} points; expected one number for each point, "
                f"({len(points)},), or a row of them for each inequality, (n_demands, {len(points)})."
            )
        if bound.ndim > 1 or (bound.ndim == 1 and bound.size != len(A)):
            raise InputError(
                f"bound has shape {bound.shape} for {len(A)} rows of coefficients; expected one number, or one for each row."
            )
        if not A.any(axis=1).all():
            raise InputError(f"coefficients {A.tolist()} have a row of zeros, which demands nothing; leave it out.")
        b = np.broadcast_to(bound, len(A)) + self.tol
        clash = colliding(A, b)
        if clash:
            named = " and ".join(f"{_sum_in_words(A[i], points)} <= {b[i]:g}" for i in clash)
            raise InputError(f"the property asks for {named}, which no function has together; drop one of them.")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "coefficients", _nested(coefficients))
        object.__setattr__(self, "bound", _nested(bound))

    def __str__(self) -> str:
        """Return the rule in words, or as inequalities."""
        if self.words is not None:
            words = self.words
        else:
            A, b = self.demands(len(self.points))
            words = " and ".join(
                f"{_sum_in_words(row, self.points)} <= {bound:g}" for row, bound in zip(A, b, strict=True)
            )
        return words + (f" up to {self.tol:g}" if self.tol else "")

    @property
    def orbits(self) -> tuple[OrbitProperty, ...]:
        """The property itself, unless it is about outputs."""
        return () if self.along_outputs else (self,)

    @property
    def along_outputs(self) -> tuple[LinearProperty, ...]:
        """The property itself, if its points are outputs of the row."""
        return (self,) if OUTPUTS in {feature for point in self.points for feature in _features(point)} else ()

    def on_outputs(self, outputs: Outputs) -> OutputRule:
        """Return the rule as one about the line of all outputs of a row.

        Raises
        ------
        InputError
            If the model has no such output.
        """
        where = [outputs.positions([dict(point.columns)[OUTPUTS]], self)[0] for point in self.points]
        A, b = self.demands(len(self.points))
        on_all = products(A, np.equal.outer(where, np.arange(len(outputs))).astype(np.float64))
        return OutputRule(coefficients=_nested(on_all), bounds=_nested(b + self.tol))

    def labels(self, n_points: int) -> tuple[str, ...]:
        """Return the points in words."""
        return tuple(label(point) for point in self.points)

    def orbit(self, table: Table) -> list[Table]:
        """Return the rows moved to each point."""
        return [moved(table, point) for point in self.points]

    def demands(self, n_points: int) -> tuple[FloatArray, FloatArray]:
        """Return the coefficients (n_demands, n_points) and bounds (n_demands,) as declared."""
        A = np.atleast_2d(np.asarray(self.coefficients, dtype=np.float64))
        return A, np.broadcast_to(np.asarray(self.bound, dtype=np.float64), len(A))

    @property
    def place_limits(self) -> tuple[PlaceLimit, ...]:
        """The limits of single values, if every inequality is about one point and all points set the same single feature."""
        A, b = self.demands(len(self.points))
        columns = _columns(self.points)
        if columns is None or len(columns) != 1 or not ((A != 0).sum(axis=1) == 1).all():
            return ()
        limits = []
        for row, bound in zip(A, b + self.tol, strict=True):
            i = int(np.flatnonzero(row)[0])
            ((feature, value),) = self.points[i].columns
            end = float(bound / row[i])
            limits.append(PlaceLimit(feature, value, *((-np.inf, end) if row[i] > 0 else (end, np.inf))))
        return tuple(limits)

    def joined(self, other: OrbitProperty) -> LinearProperty | None:
        """Return the inequalities of both, where they are about settings of the same columns; limits hold at all points."""
        A, b = self.demands(len(self.points))
        if other.limits is not None:
            size = len(self.points)
            limits = [(np.eye(size), other.limits[1]), (-np.eye(size), -other.limits[0])]
            stated = [(rows, np.full(size, bound)) for rows, bound in limits if np.isfinite(bound)]
            points = tuple(self.points)
        elif isinstance(other, LinearProperty) and _columns(self.points) == _columns(other.points) is not None:
            points = tuple(dict.fromkeys([*self.points, *other.points]))
            stated = [(_at(other, points), other.demands(0)[1] + other.tol)]
            A = _at(self, points)
        else:
            return None
        A, b = (
            np.concatenate([A, *(rows for rows, _ in stated)]),
            np.concatenate([b + self.tol, *(bounds for _, bounds in stated)]),
        )
        return LinearProperty(points, A, b, words=f"{self} and {other}")

    def nearest(self, values: FloatArray, same: IntArray, norm: str) -> FloatArray:
        """Return the projection onto the inequalities; points that are the same row count as one point."""
        A, b = self.demands(len(same))
        distinct, which = np.unique(same, return_inverse=True)
        merged = products(A, np.equal.outer(which.ravel(), np.arange(distinct.size)).astype(np.float64))
        project = polyhedron_least_squares if norm == "l2" else polyhedron_midpoint
        # Inequalities whose coefficients cancel say nothing of any value, and no repair can help them.
        said = np.abs(merged).max(axis=1) > 0
        if not said.any():
            return values
        return project(values[:, distinct], merged[said], b[said] + self.tol)[:, which.ravel()]


def _columns(points: Sequence[Any]) -> frozenset[Feature] | None:
    """Return which columns points set, if all of them set the same; None otherwise."""
    columns = {
        frozenset(feature for feature, _ in point.columns) if isinstance(point, Setting) else None for point in points
    }
    return columns.pop() if len(columns) == 1 else None


def _features(point: Any) -> set[Feature]:
    """Return the features that a point sets; none for a transform."""
    return {feature for feature, _ in point.columns} if isinstance(point, Setting) else set()


def _at(rule: LinearProperty, points: Sequence[Any]) -> FloatArray:
    """Return the coefficients of a rule for a longer list of points."""
    coefficients, _ = rule.demands(0)
    A = np.zeros((len(coefficients), len(points)))
    for column, point in zip(coefficients.T, rule.points, strict=True):
        A[:, list(points).index(point)] += column
    return A


def as_points(written: Any) -> tuple[Any, ...]:
    """Return the points of a rule; refuse what is not a list of them."""
    if isinstance(written, (str, dict)) or not isinstance(written, Sequence) or not len(written):
        raise InputError(
            f"points must list at least one point, got {quoted(written)}; write for example "
            "points=[{'plan': 'basic'}, {'plan': 'premium'}]."
        )
    return tuple(as_point("points", point) for point in written)


def _numbers(name: str, written: Any) -> FloatArray:
    try:
        numbers = np.asarray(written, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} must be numbers, got {quoted(written)}.") from error
    if not np.isfinite(numbers).all() or not numbers.size:
        raise InputError(f"{name} must be finite numbers, got {quoted(written)}.")
    return numbers


def _nested(numbers: FloatArray) -> Any:
    """Return plain numbers, in tuples: hashable, and equal where they are equal."""
    if numbers.ndim == 0:
        return float(numbers)
    return tuple(_nested(row) for row in numbers)


def _sum_in_words(row: FloatArray, points: Sequence[Any]) -> str:
    words = ""
    for a, point in zip(row, points, strict=True):
        if a:
            sign = ("-" if a < 0 else "") if not words else (" - " if a < 0 else " + ")
            words += f"{sign}{'' if abs(a) == 1 else f'{abs(a):g} '}g({label(point)})"
    return words
