r"""What a property is: the contract between the vocabulary and the machinery.

A property of one feature constrains a function along **lines**: all points that agree with a row except in that
feature (the row's ICE curve). Lines partition the input space, so a function that is repaired line by line is one
well-defined function. A :class:`LineProperty` answers three questions:

* *what would a tester ask?* A **query**: ``n_points`` positions on a line and inequalities
  :math:`\sum_k a_k g(x_k) \le b` on the values there (:meth:`LineProperty.inequalities`);
* *how is a line repaired?* By the nearest member in weighted least squares, or through the smallest member above and
  the largest below (:meth:`LineProperty.least_squares`, :meth:`LineProperty.upper`, :meth:`LineProperty.lower`);
* *what may lie between two repaired knots?* An interval of values (:meth:`LineProperty.between`).

How bad a query is, whether a line is a member and every guarantee follow from these answers and are derived elsewhere,
once. A conjunction is a :class:`Property` with several ``parts``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, ClassVar, TypeAlias

import numpy as np

from alignconf._typing import Feature, FloatArray
from alignconf.errors import InputError

__all__ = ["Declaration", "LineProperty", "Property"]


class Property(ABC):
    """A set of functions, given by what a tester would ask. Immutable; its ``repr`` is the call that builds it."""

    @property
    @abstractmethod
    def parts(self) -> tuple[LineProperty, ...]:
        """The one-feature properties that must all hold, in the order in which they are repaired."""

    @property
    def is_order(self) -> bool:
        """Whether this is exactly a demand that one of two points of a line be no larger than the other."""
        if len(self.parts) != 1 or self.parts[0].n_points != 2:
            return False
        coefficients, bounds = self.parts[0].inequalities(np.array([0.0, 1.0]))
        return coefficients.shape[0] == 1 and not bounds.any() and not coefficients.sum()

    @property
    def constant_features(self) -> tuple[Feature, ...]:
        """Features in which two parts demand opposite things of every pair, so that only a constant satisfies both."""
        opposed = (
            one.feature
            for one, other in combinations(self.parts, 2)
            if one.feature == other.feature and one.opposes(other)
        )
        return tuple(dict.fromkeys(opposed))


@dataclass(frozen=True, repr=False)
class LineProperty(Property):
    """A property of how a function varies with one feature while the others stay fixed.

    Parameters
    ----------
    feature : str or int
        Column name, or position, in the raw input of the model.
    order : sequence, optional
        For a categorical feature: its categories, from first to last. Numeric features need none; for an ordered
        pandas categorical the order of its dtype is used.
    """

    feature: Feature
    order: Sequence[Any] | None = field(default=None, kw_only=True)

    adjective: ClassVar[str]
    n_points: ClassVar[int]

    def __post_init__(self) -> None:
        """Check the declaration before anything else sees it."""
        if isinstance(self.feature, bool) or not isinstance(self.feature, (str, int, np.integer)):
            raise InputError(
                f"feature must be a column name or a column position, got {self.feature!r} of type "
                f"{type(self.feature).__name__}; for several features combine one property each with AllOf."
            )
        object.__setattr__(self, "feature", _python_scalar(self.feature))
        if self.order is not None:
            object.__setattr__(self, "order", _checked_order(self.feature, self.order))

    def __repr__(self) -> str:
        """Return the call that builds this property."""
        order = "" if self.order is None else f", order={list(self.order)!r}"
        return f"{type(self).__name__}({self.feature!r}{order})"

    def __str__(self) -> str:
        """Return the property in words, e.g. ``increasing in 'age'``."""
        return f"{self.adjective} in {self.feature!r}"

    @property
    def parts(self) -> tuple[LineProperty, ...]:
        """The property itself."""
        return (self,)

    def opposes(self, other: LineProperty) -> bool:
        """Whether this and another property of one feature demand opposite orders, so that only a constant has both."""
        pair = np.array([0.0, 1.0])
        if not (self.is_order and other.is_order):
            return False
        return np.array_equal(self.inequalities(pair)[0], -other.inequalities(pair)[0])

    @abstractmethod
    def inequalities(self, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        r"""Return what a tester demands of the values at some positions of a line.

        Parameters
        ----------
        positions : (..., n_points), non-decreasing along the last axis

        Returns
        -------
        coefficients : (..., n_inequalities, n_points)
        bounds : (..., n_inequalities)
            The query is accepted iff :math:`\sum_k a_{ik} g(x_k) \le b_i` for every inequality ``i``.
        """

    @abstractmethod
    def least_squares(self, lines: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the members nearest to ``lines`` (n_lines, n_knots) in squared error weighted by (n_knots,)."""

    @abstractmethod
    def upper(self, lines: FloatArray) -> FloatArray:
        """Return the smallest members that lie nowhere below ``lines`` (n_lines, n_knots)."""

    @abstractmethod
    def lower(self, lines: FloatArray) -> FloatArray:
        """Return the largest members that lie nowhere above ``lines`` (n_lines, n_knots)."""

    def midpoint(self, lines: FloatArray) -> FloatArray:
        """Return members nearest to ``lines`` (n_lines, n_knots) in the largest deviation: midway between envelopes."""
        lower = self.lower(lines)
        return lower + (0.5 * self.upper(lines) - 0.5 * lower)

    @abstractmethod
    def between(self, left: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the interval of values allowed between two neighbouring knots with values ``left`` and ``right``.

        Beyond the first (last) knot ``left`` (``right``) is NaN: nothing is known on that side. The arrays are
        (n_points,), and so are the lower and upper limits returned; a limit that does not exist is infinite.
        """


#: What users may write for the properties of a model; see :func:`alignconf.properties.declare`.
Declaration: TypeAlias = Property | Sequence[Property] | Mapping[Any, Any]


def _checked_order(feature: Feature, order: Sequence[Any]) -> tuple[Any, ...]:
    if isinstance(order, str) or not (isinstance(order, Sequence) or hasattr(order, "tolist")):
        raise InputError(
            f"order of feature {feature!r} must list the categories from first to last, got {order!r}; "
            "write for example order=['low', 'mid', 'high']."
        )
    categories = tuple(_python_scalar(category) for category in order)
    if not all(isinstance(category, Hashable) for category in categories):
        raise InputError(
            f"order of feature {feature!r} must list single values, got {list(categories)!r}; "
            "write for example order=['low', 'mid', 'high']."
        )
    if len(categories) < 2 or len(set(categories)) != len(categories):
        raise InputError(
            f"order of feature {feature!r} must name at least two categories, each once, got {list(categories)!r}."
        )
    return categories


def _python_scalar(value: Any) -> Any:
    """Return a plain number or text for a numpy scalar, so that the ``repr`` of a property builds it anywhere."""
    return value.item() if isinstance(value, np.generic) else value
