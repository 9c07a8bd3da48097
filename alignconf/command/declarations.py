"""Properties as they are typed on a command line, ``--ordered "cut:Fair,Good,Ideal"``, read with the columns of the data.

A feature is the name of a column, or a position where the model knows no names. Names may hold commas and colons: of all
ways to cut the text, one that gives names of columns is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from alignconf._typing import Feature, Table
from alignconf.errors import InputError
from alignconf.properties import (
    Bounded,
    Concave,
    Convex,
    Decreasing,
    DiminishingReturns,
    Dominates,
    Increasing,
    Invariant,
    Lipschitz,
    Ordered,
    SlopeAtLeast,
    SlopeAtMost,
    Unimodal,
)
from alignconf.tables import table as tables

__all__ = ["OPTIONS", "Columns", "Option", "read_properties"]


@dataclass(frozen=True)
class Columns:
    """The columns of the data, as the model is handed them.

    Parameters
    ----------
    table : Table
    names : tuple of str
        Of the columns in the file, in the order of the table's.
    """

    table: Table
    names: tuple[str, ...]

    def feature(self, text: str) -> Feature | None:
        """Return the feature that a text names, None if there is none."""
        named = tables.column_names(self.table) is not None
        if text in self.names:
            position = self.names.index(text)
            return text if named else position
        return int(text) if text.isdecimal() and int(text) < len(self.names) and not named else None

    def only(self, name: str, text: str) -> Feature:
        """Return the feature that a text names, or refuse it."""
        feature = self.feature(text)
        if feature is None:
            raise InputError(f"--{name} {text!r} names no column; expected one of {', '.join(map(repr, self.names))}.")
        return feature

    def then(self, name: str, text: str, form: str) -> tuple[Feature, str]:
        """Return the feature before a colon, and the text after it."""
        for colon in [i for i, letter in enumerate(text) if letter == ":"][::-1]:
            feature = self.feature(text[:colon])
            if feature is not None:
                return feature, text[colon + 1 :]
        raise InputError(
            f"--{name} {text!r} is not of the form {form} with a column of the data; expected one of "
            f"{', '.join(map(repr, self.names))} before the colon."
        )

    def pair(self, name: str, text: str) -> tuple[Feature, Feature]:
        """Return the two features around a comma."""
        for comma in [i for i, letter in enumerate(text) if letter == ","]:
            first, second = self.feature(text[:comma]), self.feature(text[comma + 1 :])
            if first is not None and second is not None:
                return first, second
        raise InputError(
            f"--{name} {text!r} is not of the form FEATURE,FEATURE with columns of the data; expected two of "
            f"{', '.join(map(repr, self.names))}."
        )

    def categories(self, name: str, feature: Feature, text: str) -> list[Any]:
        """Return a list of categories, of the type of the column."""
        column = tables.column(self.table, tables.locate(self.table, feature))
        convert: Callable[[str], Any] = {"i": int, "u": int, "f": float}.get(column.dtype.kind, str)
        if column.dtype.kind == "b":
            convert = {"True": True, "False": False}.__getitem__
        try:
            return [convert(item.strip()) for item in text.split(",")]
        except (KeyError, ValueError) as error:
            raise InputError(
                f"--{name} lists {text!r} for {feature!r}, which holds values of type {column.dtype}; list such values."
            ) from error


@dataclass(frozen=True)
class Option:
    """How a property is typed, what it means, and how it is read."""

    form: str
    help: str
    read: Callable[[str, str, Columns], Any]


def read_properties(declared: Sequence[tuple[str, str]] | None, columns: Columns) -> list[Any]:
    """Return the properties that were typed.

    Parameters
    ----------
    declared : sequence of (option, text)
    columns : Columns

    Raises
    ------
    InputError
        If there are none, or one cannot be read.
    """
    return [OPTIONS[name].read(name, text, columns) for name, text in check_declared(declared)]


def check_declared(declared: Sequence[tuple[str, str]] | None) -> Sequence[tuple[str, str]]:
    """Refuse a command line without properties, before any file is read."""
    if not declared:
        raise InputError(
            "no property is declared; write for example --decreasing age. alignconf check --help lists them."
        )
    return declared


def _plain(kind: Callable[[Any], Any]) -> Callable[[str, str, Columns], Any]:
    return lambda name, text, columns: kind(columns.only(name, text))


def _with_number(kind: Callable[[Any, float], Any]) -> Callable[[str, str, Columns], Any]:
    def read(name: str, text: str, columns: Columns) -> Any:
        feature, rest = columns.then(name, text, "FEATURE:NUMBER")
        return kind(feature, _number(name, text, rest))

    return read


def _ordered(name: str, text: str, columns: Columns) -> Any:
    feature, rest = columns.then(name, text, "FEATURE:FIRST,...,LAST")
    return Ordered(feature, columns.categories(name, feature, rest))


def _invariant(name: str, text: str, columns: Columns) -> Any:
    """Return the property; categories need no list, as their order does not matter: all that occur will do."""
    feature = columns.feature(text)
    if feature is None:
        feature, rest = columns.then(name, text, "FEATURE or FEATURE:VALUE,...,VALUE")
        return Invariant(feature, order=columns.categories(name, feature, rest))
    values = tables.column(columns.table, tables.locate(columns.table, feature))
    present = [value for value in dict.fromkeys(values.tolist()) if not tables.is_missing(value)]
    if any(isinstance(value, str) for value in present):
        return Invariant(feature, order=sorted(present, key=str))
    return Invariant(feature)


def _unimodal(name: str, text: str, columns: Columns) -> Any:
    feature = columns.feature(text)
    if feature is not None:
        return Unimodal(feature)
    feature, rest = columns.then(name, text, "FEATURE or FEATURE:PEAK")
    return Unimodal(feature, peak=_number(name, text, rest))


def _bounded(name: str, text: str, columns: Columns) -> Any:  # noqa: ARG001
    ends = [end.strip() for end in text.split(",")]
    if len(ends) != 2:
        raise InputError(
            f"--{name} {text!r} is not of the form LOWEST,HIGHEST; leave one of them empty for no limit there."
        )
    low, high = (_number(name, text, end) if end else None for end in ends)
    return Bounded(-inf if low is None else low, inf if high is None else high)


def _number(name: str, text: str, written: str) -> float:
    try:
        return float(written)
    except ValueError as error:
        raise InputError(f"--{name} {text!r} has {written!r} where a number is expected.") from error


OPTIONS = {
    "increasing": Option("FEATURE", "predictions never fall as it grows", _plain(Increasing)),
    "decreasing": Option("FEATURE", "predictions never rise as it grows", _plain(Decreasing)),
    "convex": Option("FEATURE", "each further unit adds no less", _plain(Convex)),
    "concave": Option("FEATURE", "each further unit adds no more", _plain(Concave)),
    "ordered": Option("FEATURE:FIRST,...,LAST", "predictions follow the order of its categories", _ordered),
    "invariant": Option("FEATURE[:VALUE,...]", "it does not matter", _invariant),
    "unimodal": Option("FEATURE[:PEAK]", "one peak, anywhere or known", _unimodal),
    "lipschitz": Option("FEATURE:NUMBER", "bounded change for each unit", _with_number(Lipschitz)),
    "slope-at-least": Option("FEATURE:NUMBER", "least change for each unit", _with_number(SlopeAtLeast)),
    "slope-at-most": Option("FEATURE:NUMBER", "largest change for each unit", _with_number(SlopeAtMost)),
    "bounded": Option("LOWEST,HIGHEST", "predictions stay within limits", _bounded),
    "dominates": Option(
        "FEATURE,FEATURE",
        "a unit of the one matters at least as much as one of the other",
        lambda name, text, columns: Dominates(*columns.pair(name, text)),
    ),
    "diminishing-returns": Option(
        "FEATURE,FEATURE",
        "the more of the one, the less a unit of the other adds",
        lambda name, text, columns: DiminishingReturns(*columns.pair(name, text)),
    ),
}
