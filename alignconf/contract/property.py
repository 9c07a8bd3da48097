r"""What a property is: the contract between the vocabulary and the machinery.

A property of one feature constrains a function along **lines**: all points that agree with a row except in that
feature (the row's ICE curve). Lines partition the input space, so a function that is repaired line by line is one
well-defined function. A :class:`LineProperty` answers three questions:

* *what would a tester ask?* A **query**: ``n_points`` places on a line, and demands on the values there. A demand is
  one linear inequality :math:`\sum_k a_k g(x_k) \le b`, or a choice of several of which one must hold
  (:meth:`LineProperty.demands`);
* *how is a line repaired?* By the nearest member in weighted least squares (:meth:`LineProperty.least_squares`), or
  from the smallest member above it or the largest below, where there is one (:meth:`LineProperty.upper`,
  :meth:`LineProperty.lower`);
* *what may lie between two repaired knots?* An interval of values (:meth:`LineProperty.allowed`).

How bad a query is, whether a line is a member and every guarantee follow from these answers and are derived elsewhere,
once. What a property *is* (an order, a matter of order alone, linear, told by neighbours) is never guessed from its answers:
it declares it (:data:`DECLARATIONS`), and :func:`alignconf.testing.check_property` holds it to that.

A property of a few points made from each row (its **orbit**: a transformed row, the row with another plan) is the other
kind, :class:`~alignconf.contract.orbit.OrbitProperty`. A conjunction is a :class:`Property` with several ``parts``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import combinations
from typing import Any, ClassVar, TypeAlias, cast

import numpy as np

from alignconf._typing import Feature, FloatArray
from alignconf.contract.cells import Cells
from alignconf.contract.domain import Domain
from alignconf.contract.outputs import OUTPUTS, Outputs, named_outputs
from alignconf.contract.spelling import Spelling
from alignconf.errors import InputError, quoted
from alignconf.tables.checks import check_number

__all__ = [
    "DECLARATIONS",
    "Declaration",
    "LineProperty",
    "Property",
    "centred",
    "check_feature",
]


#: What a property of lines may declare of its demands. A class that writes ``demands`` anew declares anew.
DECLARATIONS = ("direction", "cuts", "is_linear", "max_length", "chains")


class Property(ABC):
    """A set of functions, given by what a tester would ask. Immutable; its ``repr`` is the call that builds it."""

    spelling: ClassVar[Spelling | None] = None

    @property
    @abstractmethod
    def parts(self) -> tuple[Property, ...]:
        """The simple properties that must all hold; the only part of a simple property is the property itself."""

    @property
    def lines(self) -> tuple[LineProperty, ...]:
        """The parts that constrain functions along lines."""
        return ()

    @property
    def along_outputs(self) -> tuple[Any, ...]:
        """The parts that compare the outputs of a row with one another: :mod:`alignconf.contract.outputs`."""
        return ()

    @property
    def planes(self) -> tuple[Any, ...]:
        """The parts that constrain functions on planes of two features, :class:`~alignconf.contract.plane.PlaneProperty`."""
        return ()

    @property
    def orbits(self) -> tuple[Any, ...]:
        """The parts that constrain functions at points made from each row, :class:`~alignconf.contract.orbit.OrbitProperty`."""
        return ()

    def with_special(self, codes: Sequence[Any]) -> Property:
        """Return the property with values that are outside the order of its features; itself where it is about none."""
        return self

    @property
    def is_order(self) -> bool:
        """Whether the property demands only that, of two points of a line, one value be no larger than the other."""
        return len(self.parts) == 1 and any(line.compares_pairs for line in self.lines)

    @property
    def constant_features(self) -> tuple[Feature, ...]:
        """Features in which two parts demand opposite things of every pair, so that only a constant satisfies both."""
        opposed = (
            first.feature
            for first, second in combinations(self.lines, 2)
            if first.feature == second.feature and first.opposes(second)
        )
        return tuple(dict.fromkeys(opposed))

    def __repr__(self) -> str:
        """Return the call that builds this property: what differs from the defaults, positional ones first."""
        written: list[str] = []
        declared = fields(cast(Any, self))  # every simple property is a dataclass
        for i, parameter in enumerate(sorted(declared, key=lambda parameter: bool(parameter.kw_only))):
            value = _python_scalar(getattr(self, parameter.name))
            if value == parameter.default:
                continue
            is_named = parameter.kw_only or len(written) < i
            written.append(f"{parameter.name}={_shown(value)}" if is_named else _shown(value))
        return f"{type(self).__name__}({', '.join(written)})"


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
    tol : float, default=0
        Slack granted to every demand, in the unit of the prediction.
    special : sequence, default=()
        Values of the feature that are outside the order, such as codes for "not known": they are compared with no other value,
        and reach the model as they are.
    between : (float, float), optional
        The range in which the property is demanded, both ends included; nothing is demanded of other values.
    outputs : sequence, optional
        The outputs at which the property is demanded, of a model with several; by default all.

    Notes
    -----
    A subclass declares what its demands are by :attr:`direction`, :attr:`cuts`, :attr:`is_linear`, :attr:`max_length` and
    ``chains``. The defaults claim nothing, and a declaration is about the ``demands`` of the class that makes it: a class that
    overrides ``demands`` inherits none.
    """

    feature: Feature
    order: Sequence[Any] | None = field(default=None, kw_only=True)
    tol: float = field(default=0.0, kw_only=True)
    special: Sequence[Any] = field(default=(), kw_only=True)
    between: Sequence[float] | None = field(default=None, kw_only=True)
    outputs: Sequence[Any] | None = field(default=None, kw_only=True)

    adjective: ClassVar[str] = ""
    n_points: ClassVar[int]
    #: Whether the demands chain: see :attr:`is_local`.
    chains: ClassVar[bool] = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Put the defaults in place of inherited declarations where a class has demands of its own."""
        super().__init_subclass__(**keywords)
        if "demands" in vars(cls):
            for name in DECLARATIONS:
                if name not in vars(cls):
                    setattr(cls, name, vars(LineProperty)[name])

    def __post_init__(self) -> None:
        """Check the declaration before anything else sees it."""
        object.__setattr__(self, "feature", check_feature(self.feature))
        if self.order is not None:
            object.__setattr__(self, "order", _checked_order(self.feature, self.order))
        check_number("tol", self.tol, at_least=0)
        domain = Domain.declared(self.feature, self.special, self.between, self.order)
        object.__setattr__(self, "special", domain.special)
        object.__setattr__(self, "between", None if self.between is None else domain.between)
        if self.outputs is not None:
            object.__setattr__(self, "outputs", named_outputs(self.outputs))
        if self.feature is OUTPUTS and (self.order is not None or not domain.is_everything or self.outputs is not None):
            raise InputError(
                f"{self!r} is about all outputs of a row, in their own order; leave order, special, between and outputs out."
            )

    def __str__(self) -> str:
        """Return the property in words, e.g. ``increasing in 'age'``."""
        words = f"{self.description} in {self.feature!r}{self.domain}" + (f" up to {self.tol:g}" if self.tol else "")
        return words if self.outputs is None else f"{words} at outputs {', '.join(map(str, self.outputs))}"

    @property
    def domain(self) -> Domain:
        """The values of the feature among which the property is demanded."""
        low, high = (-np.inf, np.inf) if self.between is None else self.between
        return Domain(tuple(self.special), (low, high))

    def with_special(self, codes: Sequence[Any]) -> LineProperty:
        """Return the property with further values outside the order; categories that have a place keep it."""
        further = [code for code in codes if code not in self.special and code not in (self.order or ())]
        return replace(self, special=(*self.special, *further)) if further else self

    @property
    def description(self) -> str:
        """The property in words, without its feature."""
        return self.adjective

    @property
    def parts(self) -> tuple[Property, ...]:
        """The property itself."""
        return (self,)

    @property
    def lines(self) -> tuple[LineProperty, ...]:
        """The property itself, unless it is about outputs."""
        return () if self.feature is OUTPUTS else (self,)

    @property
    def along_outputs(self) -> tuple[LineProperty, ...]:
        """The property itself, if it is about outputs."""
        return (self,) if self.feature is OUTPUTS else ()

    def on_outputs(self, outputs: Outputs) -> LineProperty:
        """Return what a property about outputs demands of the line of all outputs: the property itself."""
        return self

    @property
    def trade(self) -> tuple[Feature, tuple[float, float]] | None:
        """The feature that gives way along the lines, and the units of both features; None for plain lines."""
        return None

    @property
    def direction(self) -> int | None:
        r"""The order demanded of the values at two places :math:`u < u'`, up to ``tol``, if nothing else is demanded.

        1 for :math:`g(u) \le g(u')`, -1 for :math:`g(u) \ge g(u')`, 0 for both, None for anything else.
        """
        return None

    @property
    def cuts(self) -> tuple[float, ...] | None:
        r"""The places on whose sides the demanded order depends, if only the order of places and of values matters.

        Every alternative is :math:`g(x_i) \le g(x_j)`, and for places that lie alike below, at or above each of the cuts all
        demands are the same. So steps that are cut there can be repaired exactly, and neither a monotone change of the
        values nor one of the places between the cuts makes a difference. None where distances or sizes matter.
        """
        return None if self.direction is None else ()

    @property
    def is_linear(self) -> bool:
        """Whether no demand has a choice of alternatives: members are a convex set, met by one projection."""
        return self.direction is not None

    @property
    def max_length(self) -> float | None:
        r"""The declared bound on :math:`\sum_k |a_{ijk}|` over all demands at any places; None where no bound is known.

        Values within ``tol / max_length`` of a member pass every demand up to ``tol``; without it repairs go all the way.
        """
        return None if self.cuts is None else 2.0

    @property
    def compares_pairs(self) -> bool:
        """Whether the only demand is that one of two points of a line be no larger than the other."""
        return self.direction in (-1, 1) and not self.tol

    @property
    def is_local(self) -> bool:
        """Whether values at some places pass all demands as soon as neighbouring values do, ``n_points`` at a time.

        A property that declares this by ``chains = True`` also promises that such values can be completed to a whole line
        that has the property. With a tolerance neither is so: what neighbours are granted adds up.
        """
        return self.chains and not self.tol

    def opposes(self, other: LineProperty) -> bool:
        """Whether this and another property of one feature demand opposite orders, so that only a constant has both."""
        if not (self.compares_pairs and other.compares_pairs) or self.trade or other.trade:
            return False
        return self.direction != other.direction

    @abstractmethod
    def demands(self, places: FloatArray) -> tuple[FloatArray, FloatArray]:
        r"""Return what a tester demands of the values at some places of a line.

        Parameters
        ----------
        places : (..., n_points), non-decreasing along the last axis

        Returns
        -------
        coefficients : (..., n_demands, n_alternatives, n_points)
        bounds : (..., n_demands, n_alternatives)
            The query is accepted iff every demand ``i`` has an alternative ``j`` with
            :math:`\sum_k a_{ijk} g(x_k) \le b_{ij}` (plus ``tol``, which is added elsewhere).
        """

    def among_outputs(self, lines: FloatArray, places: FloatArray, weights: FloatArray) -> FloatArray:
        """Return members near to outputs of rows, (n_rows, n_outputs), by an order-preserving rule; by default the nearest."""
        return self.least_squares(lines, places, weights)

    @abstractmethod
    def least_squares(self, lines: FloatArray, knots: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the members nearest to ``lines`` (n_lines, n_knots) in squared error.

        ``weights`` are positive: (n_knots,) for all lines or, under a conditional reference law, (n_lines, n_knots).
        """

    def upper(self, lines: FloatArray, knots: FloatArray) -> FloatArray | None:
        """Return the smallest members nowhere below ``lines`` (n_lines, n_knots); None if there is none in general."""
        return None

    def lower(self, lines: FloatArray, knots: FloatArray) -> FloatArray | None:
        """Return the largest members nowhere above ``lines`` (n_lines, n_knots); None if there is none in general."""
        return None

    def midpoint(self, lines: FloatArray, knots: FloatArray) -> FloatArray:
        """Return members nearest to ``lines`` (n_lines, n_knots) in the largest deviation; see :func:`centred`."""
        return centred(lines, self.upper(lines, knots), self.lower(lines, knots))

    @abstractmethod
    def allowed(self, cells: Cells) -> tuple[FloatArray, FloatArray]:
        """Return the interval of values, two arrays (n_places,), that repaired lines allow at given places.

        At a knot the interval is the value there. A limit that does not exist is infinite.
        """


def check_feature(feature: Any) -> Feature:
    """Return the name or position of one feature."""
    is_none = (
        isinstance(feature, bool) or not isinstance(feature, (str, int, np.integer, tuple)) or not _is_hashable(feature)
    )
    if is_none and feature is not OUTPUTS:
        raise InputError(
            f"feature must be a column name or a column position, got {quoted(feature)} of type "
            f"{type(feature).__name__}; for several features combine one property each with AllOf."
        )
    return cast(Feature, _python_scalar(feature))


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def centred(lines: FloatArray, upper: FloatArray | None, lower: FloatArray | None) -> FloatArray:
    """Return the members nearest to ``lines`` (n_lines, ...) in the largest deviation, from their envelopes.

    With both envelopes, they lie midway. With the smallest member ``U`` above alone, ``U - max(U - f) / 2``, and likewise
    from below: right for properties that a constant can be added to.
    """
    axes = tuple(range(1, lines.ndim))
    if upper is not None and lower is not None:
        return lower + (0.5 * upper - 0.5 * lower)
    if upper is not None:
        above: FloatArray = (upper - lines).max(axis=axes, keepdims=True)
        return upper - 0.5 * above
    if lower is not None:
        below: FloatArray = (lines - lower).max(axis=axes, keepdims=True)
        return lower + 0.5 * below
    raise TypeError("a property must have an upper envelope, a lower one, or a midpoint of its own")


#: What users may write for the properties of a model; see :func:`alignconf.properties.declare`.
Declaration: TypeAlias = Property | Sequence[Property] | Mapping[Any, Any]


def _checked_order(feature: Feature, order: Sequence[Any]) -> tuple[Any, ...]:
    listed = isinstance(order, Sequence) or (hasattr(order, "tolist") and isinstance(order.tolist(), list))
    if isinstance(order, (str, bytes)) or not listed:
        raise InputError(
            f"order of feature {feature!r} must list the categories from first to last, got {quoted(order)}; "
            "write for example order=['low', 'mid', 'high']."
        )
    categories = tuple(_python_scalar(category) for category in order)
    if not all(isinstance(category, Hashable) for category in categories):
        raise InputError(
            f"order of feature {feature!r} must list single values, got {quoted(list(categories))}; "
            "write for example order=['low', 'mid', 'high']."
        )
    if len(categories) < 2 or len(set(categories)) != len(categories):
        raise InputError(
            f"order of feature {feature!r} must name at least two categories, each once, got {quoted(list(categories))}."
        )
    return categories


def _shown(value: Any) -> str:
    """Return how a value is typed: several as a list, a function by its name."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    name = getattr(value, "__qualname__", None)
    return name if callable(value) and name else repr(value)


def _python_scalar(value: Any) -> Any:
    """Return a plain number or text for a numpy scalar, so that the ``repr`` of a property builds it anywhere."""
    return value.item() if isinstance(value, np.generic) else value
