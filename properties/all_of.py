"""AllOf: a conjunction, all of whose members must hold for the same function.

Members are repaired one after another on the product grid of their features. Repairs of order, bounded slopes and
invariance are order preserving, so each keeps what the ones before it reached, and the result is an exact member of the
conjunction; with curvature or unimodality it need not be, and what is left is counted. Increasing and decreasing in one
feature is legal: it means constant. Rules that no function has together are refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alignconf.contract.orbit import OrbitProperty
from alignconf.contract.property import LineProperty, Property
from alignconf.errors import InputError, quoted

__all__ = ["AllOf"]


@dataclass(frozen=True, repr=False, init=False)
class AllOf(Property):
    """All of several properties at once, e.g. increasing in one feature and decreasing in another.

    Parameters
    ----------
    *members : Property
        At least one; nested conjunctions are flattened, repetitions dropped.

    Examples
    --------
    >>> from alignconf.properties import Decreasing, Increasing
    >>> both = AllOf(Increasing("income"), Decreasing("debt"))
    >>> both
    AllOf(Increasing('income'), Decreasing('debt'))
    >>> print(both)
    increasing in 'income' and decreasing in 'debt'
    >>> print(AllOf(Increasing("age"), Decreasing("age")))
    increasing in 'age' and decreasing in 'age' (that is, invariant in 'age')
    """

    members: tuple[Property, ...]

    def __init__(self, *members: Property) -> None:
        if not members:
            raise InputError(
                "AllOf needs at least one property, got none; write for example "
                "AllOf(Increasing('a'), Decreasing('b'))."
            )
        for member in members:
            if not isinstance(member, Property):
                raise InputError(
                    f"AllOf takes properties, got {quoted(member)} of type {type(member).__name__}; "
                    "write for example AllOf(Increasing('a'), Decreasing('b'))."
                )
        parts = dict.fromkeys(part for member in members for part in member.parts)
        object.__setattr__(self, "members", tuple(parts))

    @property
    def parts(self) -> tuple[Property, ...]:
        """The distinct simple properties of all members, in the order given."""
        return self.members

    @property
    def lines(self) -> tuple[LineProperty, ...]:
        """The parts that constrain functions along lines."""
        return tuple(line for member in self.members for line in member.lines)

    @property
    def along_outputs(self) -> tuple[Any, ...]:
        """The parts that compare the outputs of a row."""
        return tuple(part for member in self.members for part in member.along_outputs)

    @property
    def planes(self) -> tuple[Any, ...]:
        """The parts that constrain functions on planes of two features."""
        return tuple(plane for member in self.members for plane in member.planes)

    @property
    def orbits(self) -> tuple[OrbitProperty, ...]:
        """The parts that constrain functions at a few points made from each row."""
        return tuple(orbit for member in self.members for orbit in member.orbits)

    def with_special(self, codes: Sequence[Any]) -> AllOf:
        """Return the conjunction of the parts with values that are outside the order of their features."""
        return AllOf(*(member.with_special(codes) for member in self.members))

    def __repr__(self) -> str:
        """Return the call that builds this conjunction."""
        return f"AllOf({', '.join(map(repr, self.members))})"

    def __str__(self) -> str:
        """Return the conjunction in words."""
        words = " and ".join(map(str, self.members))
        constant = ", ".join(map(repr, self.constant_features))
        return f"{words} (that is, invariant in {constant})" if constant else words
