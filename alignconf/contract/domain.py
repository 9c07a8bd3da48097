"""Where along a feature a rule holds.

Not every value of a column is a measurement: codes such as -9 stand for "not known" or "no such account", and a rule may make
sense in a range only. The **domain** of a rule are the values that it compares: those in a range, special values left out. Values
outside the domain have no place on the line. They reach the model as they are, but nothing is demanded of them, and rows that
have them obey the rules of their other features, as rows do in which a value is missing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import inf, isinf, isnan
from numbers import Real
from typing import Any

import numpy as np

from alignconf._typing import BoolArray, Feature, FloatArray
from alignconf.errors import InputError, quoted

__all__ = ["Domain", "special_values"]


@dataclass(frozen=True)
class Domain:
    """The values of a feature that a rule compares.

    Parameters
    ----------
    special : tuple
        Values that are outside the order.
    between : (float, float)
        The range, both ends included.
    """

    special: tuple[Any, ...] = ()
    between: tuple[float, float] = (-inf, inf)

    @classmethod
    def declared(cls, feature: Feature, special: Any, between: Any, order: Sequence[Any] | None) -> Domain:
        """Return the domain that a user declares, in plain numbers and texts.

        Raises
        ------
        InputError
            If the range is none, or special values contradict the order of categories.
        """
        codes = special_values(special, f"special of feature {quoted(feature)}")
        contradictory = [code for code in codes if order is not None and code in order]
        if contradictory:
            raise InputError(
                f"feature {quoted(feature)} has {contradictory[0]!r} both in order= and in special=; expected a "
                "category to have a "
                "place or to be outside the order. Drop it from the one or the other."
            )
        if between is None:
            return cls(codes)
        if order is not None:
            raise InputError(
                f"feature {quoted(feature)} is a category with an order and takes no between={quoted(between)}; "
                "name categories that are "
                "outside the order in special=."
            )
        return cls(codes, _range(feature, between))

    @property
    def is_everything(self) -> bool:
        """Whether every value that is not missing is compared."""
        return not self.special and self.between == (-inf, inf)

    @property
    def numbers(self) -> FloatArray:
        """The special values that are numbers, increasing."""
        return np.unique([float(code) for code in self.special if isinstance(code, Real)]).astype(np.float64)

    def holds(self, values: FloatArray) -> BoolArray:
        """Return which numbers are in the domain, of the shape of ``values``; missing ones are not."""
        low, high = self.between
        with np.errstate(invalid="ignore"):
            return np.asarray((values >= low) & (values <= high) & ~np.isin(values, self.numbers))

    def __str__(self) -> str:
        """Return the domain in words that follow a feature; nothing where every value is compared."""
        low, high = self.between
        if isinf(low) and isinf(high):
            words = ""
        elif isinf(high):
            words = f" from {low:g} on"
        else:
            words = f" up to {high:g}" if isinf(low) else f" between {low:g} and {high:g}"
        if not self.special:
            return words
        listed = [repr(code) for code in self.special]
        named = " and ".join([", ".join(listed[:-1]), listed[-1]]) if len(listed) > 1 else listed[0]
        return f"{words}, {named} apart{',' if words else ''}"


def special_values(special: Any, name: str = "special") -> tuple[Any, ...]:
    """Return values that are outside the order, each once, in plain numbers and texts.

    Parameters
    ----------
    special : sequence
    name : str
        Whose they are, for messages.

    Raises
    ------
    InputError
        If they are no list of numbers or categories.
    """
    if (
        isinstance(special, (str, bytes))
        or not (isinstance(special, Sequence) or hasattr(special, "tolist"))
        or not np.iterable(special)
    ):
        raise InputError(
            f"{name} must list the values that are outside the order, got {quoted(special)}; write for example "
            "special=[-9, -8]."
        )
    codes = [code.item() if isinstance(code, np.generic) else code for code in special]
    for code in codes:
        if not isinstance(code, Hashable) or code is None or (isinstance(code, float) and not abs(code) < inf):
            raise InputError(
                f"{name} holds {quoted(code)}; expected numbers or categories. Missing values need not be "
                "named: they are outside the order anyway."
            )
    return tuple(dict.fromkeys(codes))


def _range(feature: Feature, between: Any) -> tuple[float, float]:
    ends = list(between) if isinstance(between, Sequence) and not isinstance(between, str) else [between]
    if len(ends) != 2 or not all(isinstance(end, (Real, np.number)) and not isinstance(end, bool) for end in ends):
        raise InputError(
            f"between of feature {quoted(feature)} must be the two ends of a range, got {quoted(between)}; write for example "
            "between=(0, 120)."
        )
    low, high = (float(end) for end in ends)
    if isnan(low) or isnan(high) or low >= high:
        raise InputError(
            f"between of feature {quoted(feature)} goes from {low:g} to {high:g}; expected the lower end first, below the upper "
            "one."
        )
    return low, high
