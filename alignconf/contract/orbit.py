"""Properties of the values at a few points made from each row, its **orbit**: the contract, and the points.

A **point** is written as a mapping from features to values (the row with these columns set, ``{"plan": "basic"}``), as a
function from a table of rows to a table of the same shape (``swap_sides``), or as None (the row itself).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import numpy as np

from alignconf._typing import BoolArray, Feature, FloatArray, IntArray, Table
from alignconf.contract.outputs import OUTPUTS
from alignconf.contract.property import Property
from alignconf.errors import InputError, quoted
from alignconf.kernels.sums import products
from alignconf.tables import table as tables
from alignconf.tables.checks import check_number

__all__ = [
    "MAX_POINTS",
    "OrbitProperty",
    "PlaceLimit",
    "Point",
    "Setting",
    "as_point",
    "at_home",
    "closure",
    "coincidences",
    "label",
    "moved",
]

#: An orbit has at most this many points.
MAX_POINTS = 64


@dataclass(frozen=True)
class PlaceLimit:
    """A limit of the value at one place of one feature.

    Parameters
    ----------
    feature : str or int
    value : any
        Of the feature.
    low, high : float
        Infinite for no limit on that side.
    """

    feature: Feature
    value: Any
    low: float
    high: float


@dataclass(frozen=True, repr=False)
class OrbitProperty(Property):
    r"""A property of the values at a few points made from each row, its **orbit**.

    With the points :math:`T_1(x), \dots, T_m(x)` of a row it demands :math:`\sum_k a_{ik} g(T_k(x)) \le b_i` for every
    ``i``, or whatever :meth:`accepts` accepts. The repair moves the values of one orbit; it is an exact member where each of
    its points has the same orbit, in the same order or with demands that no order changes.

    Parameters
    ----------
    tol : float, default=0
        Slack granted to every demand, in the unit of the prediction.
    """

    tol: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        """Check the declaration before anything else sees it."""
        check_number("tol", self.tol, at_least=0)

    @property
    def parts(self) -> tuple[Property, ...]:
        """The property itself."""
        return (self,)

    @property
    def orbits(self) -> tuple[OrbitProperty, ...]:
        """The property itself."""
        return (self,)

    @property
    def limits(self) -> tuple[float, float] | None:
        """The interval that all values must lie in, if nothing else is demanded; None otherwise."""
        return None

    @property
    def place_limits(self) -> tuple[PlaceLimit, ...]:
        """The limits at places of one feature, if nothing else is demanded; they join rules along that feature."""
        return ()

    @property
    def is_opaque(self) -> bool:
        """Whether only :meth:`accepts` says what is demanded, so that there are no inequalities to compute with."""
        return False

    def joined(self, other: OrbitProperty) -> OrbitProperty | None:
        """Return one property that demands what both do, so that one repair serves both; None if no property does."""
        return None

    @abstractmethod
    def labels(self, n_points: int) -> tuple[str, ...]:
        """Return the points of an orbit in words."""

    @abstractmethod
    def orbit(self, table: Table) -> list[Table]:
        """Return the points of the orbit of every row: tables with the rows and columns of ``table``."""

    @abstractmethod
    def demands(self, n_points: int) -> tuple[FloatArray, FloatArray]:
        """Return coefficients (n_demands, n_points) and bounds (n_demands,), without ``tol``."""

    @abstractmethod
    def nearest(self, values: FloatArray, same: IntArray, norm: str) -> FloatArray:
        """Return the members nearest to ``values`` (n_orbits, n_points), ``tol`` granted.

        Parameters
        ----------
        values : (n_orbits, n_points)
        same : (n_points,)
            Position of the first point that is the same row as each; equal points have equal values and count once.
        norm : {"l2", "sup"}
            Least squares, or the smallest largest deviation.
        """

    def accepts(self, values: FloatArray) -> BoolArray:
        """Return which orbits with values (n_orbits, n_points) are accepted: (n_orbits,)."""
        coefficients, bounds = self.demands(values.shape[1])
        accepted: BoolArray = np.all(products(values, coefficients.T) <= bounds + self.tol, axis=1)
        return accepted


@dataclass(frozen=True, repr=False)
class Setting:
    """The row with some columns set to given values. Hashable; its ``repr`` is the mapping that it was made from."""

    columns: tuple[tuple[Feature, Any], ...]

    def __repr__(self) -> str:
        """Return the mapping."""
        return repr(dict(self.columns))


Point: TypeAlias = Setting | Callable[[Table], Table]


def as_point(name: str, written: Any) -> Point:
    """Return a point from any way to write a point; refuse what is no point."""
    if written is None:
        return Setting(())
    if isinstance(written, Setting):
        return written
    if isinstance(written, Mapping):
        if all(isinstance(value, Hashable) for value in written.values()):
            return Setting(tuple(written.items()))
    elif callable(written) and not isinstance(written, type):
        return cast(Callable[[Table], Table], written)
    raise InputError(
        f"{name} must be mappings from features to single values, functions from a table to a table of the same shape, or "
        f"None for the row itself, got {quoted(written)} of type {type(written).__name__}."
    )


def label(point: Point) -> str:
    """Return a point in words."""
    if not isinstance(point, Setting):
        return getattr(point, "__name__", None) or repr(point)
    return ", ".join(_setting(feature, value) for feature, value in point.columns) or "the row itself"


def _setting(feature: Feature, value: Any) -> str:
    return f"output {value!r}" if feature is OUTPUTS else f"{feature}={value!r}"


def moved(table: Table, point: Point) -> Table:
    """Return a new table in which every row is moved to the point.

    Raises
    ------
    InputError
        If a feature is not in the table, or a function changes the shape or the columns.
    """
    n_samples = table.shape[0]
    rows = np.arange(n_samples)
    if isinstance(point, Setting):
        if not point.columns:
            return table
        return tables.replicate(
            table, rows, {tables.locate(table, feature): _filled(value, n_samples) for feature, value in point.columns}
        )
    result = tables.as_table(point(tables.take(table, rows)), name=f"the result of {label(point)}")
    if result.shape != table.shape or tables.column_names(result) != tables.column_names(table):
        raise InputError(
            f"the transform {label(point)} turned a table of shape {tuple(table.shape)} into one of shape "
            f"{tuple(result.shape)}, or renamed its columns; expected the same rows and columns with other values."
        )
    return result


def coincidences(points: Sequence[Table]) -> IntArray:
    """Return, for each row, the position of the first point that is the same row as each: (n_samples, n_points)."""
    n_samples = points[0].shape[0]
    first = np.tile(np.arange(len(points)), (n_samples, 1))
    for later in range(1, len(points)):
        for earlier in range(later - 1, -1, -1):
            equal = tables.same_rows(points[earlier], points[later])
            first[equal, later] = first[equal, earlier]
    return first


def closure(table: Table, transforms: Sequence[Point]) -> list[Table]:
    """Return all points that transforms lead to from the rows, the rows themselves first.

    Where fewer points are distinct at a row than at others, the distinct points come first there, and the row itself
    stands for the rest: which point is which does not depend on the other rows of the table.

    Raises
    ------
    InputError
        If the transforms do not come back after ``MAX_POINTS`` points.
    """
    points = [table]
    for start in points:
        for transform in transforms:
            reached = moved(start, transform)
            if any(tables.same_rows(point, reached).all() for point in points):
                continue
            if len(points) == MAX_POINTS:
                raise InputError(
                    f"the transforms {[label(transform) for transform in transforms]} lead from a row to more than "
                    f"{MAX_POINTS} others without coming back; give transforms that return to where they started, such as a swap."
                )
            points.append(reached)
    return _distinct_first(points)


def at_home(points: Sequence[Table], table: Table) -> tuple[BoolArray, IntArray]:
    """Return which rows are among the points of their own orbit, and at which position first: two (n_samples,)."""
    equal = np.stack([tables.same_rows(point, table) for point in points], axis=1)
    home: BoolArray = np.asarray(equal.any(axis=1))
    return home, equal.argmax(axis=1)


def _distinct_first(points: list[Table]) -> list[Table]:
    repeated = coincidences(points) != np.arange(len(points))
    order = np.argsort(repeated, axis=1, kind="stable")
    order = np.where(np.take_along_axis(repeated, order, axis=1), 0, order)
    return [_picked(points, order[:, k]) for k in range(len(points))]


def _picked(points: list[Table], which: IntArray) -> Table:
    """Return the table that takes each row from the point at position ``which`` (n_samples,)."""
    if (which == which[0]).all():
        return points[which[0]]
    rows = np.arange(which.size)
    columns = sorted({column for point in points[1:] for column in tables.changed_columns(points[0], point)})
    picked = {i: np.stack([tables.column(point, i) for point in points], axis=1)[rows, which] for i in columns}
    return tables.replicate(points[0], rows, picked)


def _filled(value: Any, n_samples: int) -> Any:
    typed = np.asarray(value)
    if typed.dtype.kind in "biufU":
        return np.full(n_samples, typed)
    values = np.empty(n_samples, dtype=object)
    values[:] = [value] * n_samples
    return values
