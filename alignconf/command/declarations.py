"""Properties as they are typed on a command line, ``--ordered "cut:Fair,Good,Ideal"``, read with the columns of the data.

A feature is the name of a column, or a position where the model knows no names. Names may hold commas and colons: of all
ways to cut the text, one that gives names of columns is taken.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from typing import Any, TypeAlias, cast

import numpy as np

from alignconf._typing import Feature, Table
from alignconf.contract.outputs import OUTPUTS
from alignconf.contract.property import Property
from alignconf.contract.spelling import Form
from alignconf.deployment.propose.rule_file import placed_rules
from alignconf.errors import InputError, listed, meant, quoted
from alignconf.properties.declare import own_parameters, spelled
from alignconf.tables import table as tables

__all__ = ["Columns", "listed_categories", "read_codes", "read_properties"]

#: A class of the vocabulary, called with what was typed.
Build: TypeAlias = Callable[..., Property]


@dataclass(frozen=True)
class Columns:
    """The columns of the data, as the model is handed them.

    Parameters
    ----------
    table : Table
    names : tuple of str
        Of the columns in the file, in the order of the table's.
    is_unseen : bool
        Whether neither rows nor the model are loaded yet, so that positions may be meant, too.
    """

    table: Table
    names: tuple[str, ...]
    is_unseen: bool = False

    def feature(self, text: str) -> Feature | None:
        """Return the feature that a text names, None if there is none; ``OUTPUTS`` are the outputs of the model."""
        if text == repr(OUTPUTS) and text not in self.names:
            return cast(Feature, OUTPUTS)
        named = tables.column_names(self.table) is not None
        if text in self.names:
            return text if named else self.names.index(text)
        if (named and not self.is_unseen) or not text.isdecimal() or len(text) > 9 or int(text) >= len(self.names):
            return None
        return self.names[int(text)] if named else int(text)

    def placed(self, feature: Feature) -> Feature:
        """Return the feature of the table that a rule file names, by its column or position."""
        if not isinstance(feature, str):
            tables.locate(self.table, feature)
            return feature
        placed = self.feature(feature)
        if placed is None:
            raise InputError(
                f"feature {quoted(feature)} names no column; expected one of {listed(self.names)}.{meant(feature, self.names)}"
            )
        return placed

    def only(self, name: str, text: str) -> Feature:
        """Return the feature that a text names, or refuse it."""
        feature = self.feature(text)
        if feature is None:
            raise InputError(
                f"--{name} {quoted(text)} names no column; expected one of {listed(self.names)}.{meant(text, self.names)}"
            )
        return feature

    def then(self, name: str, text: str, form: str) -> tuple[Feature, str]:
        """Return the feature before a colon, and the text after it."""
        for colon in [i for i, letter in enumerate(text) if letter == ":"][::-1]:
            feature = self.feature(text[:colon])
            if feature is not None:
                return feature, text[colon + 1 :]
        raise InputError(
            f"--{name} {quoted(text)} is not of the form {form} with a column of the data; expected one of "
            f"{listed(self.names)} before the colon."
        )

    def pair(self, name: str, text: str) -> tuple[Feature, Feature]:
        """Return the two features around a comma."""
        for comma in [i for i, letter in enumerate(text) if letter == ","]:
            first, second = self.feature(text[:comma]), self.feature(text[comma + 1 :])
            if first is not None and second is not None:
                return first, second
        raise InputError(
            f"--{name} {quoted(text)} is not of the form FEATURE,FEATURE with columns of the data; expected two of "
            f"{listed(self.names)}."
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
                f"--{name} lists {quoted(text)} for {feature!r}, which holds values of type {column.dtype}; list such values."
            ) from error


def read_properties(
    declared: Sequence[tuple[str, str]] | None,
    columns: Columns,
    *,
    rules: str | None = None,
    special: str | None = None,
    between: Sequence[str] = (),
) -> list[Property]:
    """Return the properties of a rule file and those that were typed, with what is outside their domains.

    Parameters
    ----------
    declared : sequence of (option, text)
    columns : Columns
    rules : str, optional
        The path of a rule file, whose rules must hold as well.
    special : str, optional
        Values that are outside the order of all features, with commas between.
    between : sequence of str
        Features with their ranges.

    Raises
    ------
    InputError
        If there are none, or one cannot be read.
    """
    by_option = {spelling.option: (spelling.form, kind) for spelling, kind in spelled().items()}
    typed = [(*by_option[name], name, text) for name, text in check_declared(declared, rules)]
    of_file = () if rules is None else placed_rules(rules, columns.placed)
    properties = [part for rule in of_file for part in rule.parts]
    properties += [READERS[form](kind, name, text, columns) for form, kind, name, text in typed]
    codes = read_codes(special)
    ranges = _ranges(between, columns)
    features = {part.feature for whole in properties for part in whole.lines}
    for feature in ranges:
        if feature not in features:
            raise InputError(
                f"--between gives a range of {feature!r}, of which no property is declared. Leave it out, or declare a property."
            )
    return [_within(whole.with_special(codes), ranges) for whole in properties]


def listed_categories(
    declared: Sequence[tuple[str, str]] | None, names: Sequence[str], **domain: Any
) -> dict[str, list[str]]:
    """Return the categories that are listed for columns of which only the names are known; refuse what cannot be meant.

    Parameters
    ----------
    declared : sequence of (option, text)
    names : sequence of str
        Of the columns of features.
    **domain : dict
        ``rules``, ``special`` and ``between``, as for :func:`read_properties`.

    Returns
    -------
    dict
        From names to texts.
    """
    table = importlib.import_module("pandas").DataFrame(np.empty((0, len(names)), dtype=object), columns=list(names))
    unseen = Columns(table, tuple(names), is_unseen=True)
    parts = [part for whole in read_properties(declared, unseen, **domain) for part in whole.lines if part.order]
    return {str(part.feature): [str(word) for word in (*(part.order or ()), *part.special)] for part in parts}


def _ranges(texts: Sequence[str], columns: Columns) -> dict[Feature, tuple[float, float]]:
    """Return the ranges that were typed, by feature."""
    ranges: dict[Feature, tuple[float, float]] = {}
    for text in texts:
        feature, rest = columns.then("between", text, Form.FEATURE_LIMITS)
        low, high = _ends("between", text, rest, Form.FEATURE_LIMITS)
        ranges[feature] = (-inf if low is None else low, inf if high is None else high)
    return ranges


def _within(declared: Property, ranges: Mapping[Feature, tuple[float, float]]) -> Property:
    """Return a property within the range of its feature, itself where there is none."""
    (part,) = declared.lines or (None,)
    return declared if part is None or part.feature not in ranges else replace(part, between=ranges[part.feature])


def read_codes(text: str | None) -> list[Any]:
    """Return the numbers and texts of a list with commas between; none where nothing is typed."""
    return [_code(code.strip()) for code in (text or "").split(",") if code.strip()]


def _code(text: str) -> Any:
    """Return a code as a number where it is one."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def check_declared(declared: Sequence[tuple[str, str]] | None, rules: str | None = None) -> Sequence[tuple[str, str]]:
    """Return what was typed; refuse a command line without properties, or a bad rule file, before other files are read."""
    if rules is not None:
        placed_rules(rules)
    elif not declared:
        raise InputError(
            "no property is declared; write for example --decreasing age, or --rules FILE. alignconf check --help lists them."
        )
    return declared or ()


def _of_nothing(kind: Build, name: str, text: str, columns: Columns) -> Property:  # noqa: ARG001
    return kind()


def _plain(kind: Build, name: str, text: str, columns: Columns) -> Property:
    return kind(columns.only(name, text))


def _with_number(kind: Build, name: str, text: str, columns: Columns) -> Property:
    feature, rest = columns.then(name, text, Form.FEATURE_NUMBER)
    return kind(feature, **{own_parameters(kind)[0]: _number(name, text, rest)})


def _with_order(kind: Build, name: str, text: str, columns: Columns) -> Property:
    feature, rest = columns.then(name, text, Form.FEATURE_ORDER)
    return kind(feature, columns.categories(name, feature, rest))


def _with_values(kind: Build, name: str, text: str, columns: Columns) -> Property:
    """Return the property; categories need no list, as their order does not matter."""
    feature = columns.feature(text)
    if feature is None:
        feature, rest = columns.then(name, text, "FEATURE or FEATURE:VALUE,...,VALUE")
        return kind(feature, order=columns.categories(name, feature, rest))
    return kind(feature)


def _with_place(kind: Build, name: str, text: str, columns: Columns) -> Property:
    feature = columns.feature(text)
    if feature is not None:
        return kind(feature)
    feature, rest = columns.then(name, text, "FEATURE or FEATURE:PLACE")
    return kind(feature, **{own_parameters(kind)[0]: _number(name, text, rest)})


def _with_limits(kind: Build, name: str, text: str, columns: Columns) -> Property:
    feature, rest = columns.then(name, text, Form.FEATURE_LIMITS)
    sides = zip(own_parameters(kind), _ends(name, text, rest, Form.FEATURE_LIMITS), strict=False)
    return kind(feature, **{parameter: end for parameter, end in sides if end is not None})


def _of_two(kind: Build, name: str, text: str, columns: Columns) -> Property:
    return kind(*columns.pair(name, text))


def _limits(kind: Build, name: str, text: str, columns: Columns) -> Property:  # noqa: ARG001
    low, high = _ends(name, text, text, Form.LIMITS)
    return kind(-inf if low is None else low, inf if high is None else high)


def _ends(name: str, text: str, written: str, form: Form) -> list[float | None]:
    """Return the lowest and the highest number of an interval, None for none."""
    ends = [end.strip() for end in written.split(",")]
    if len(ends) != 2:
        raise InputError(
            f"--{name} {quoted(text)} is not of the form {form}; leave one of them empty for no limit there."
        )
    return [_number(name, text, end) if end else None for end in ends]


def _number(name: str, text: str, written: str) -> float:
    try:
        return float(written)
    except ValueError as error:
        raise InputError(f"--{name} {quoted(text)} has {quoted(written)} where a number is expected.") from error


#: How what is typed beside a property is read, by its form.
READERS: dict[Form, Callable[[Build, str, str, Columns], Property]] = {
    Form.FEATURE: _plain,
    Form.FEATURE_NUMBER: _with_number,
    Form.FEATURE_PLACE: _with_place,
    Form.FEATURE_ORDER: _with_order,
    Form.FEATURE_VALUES: _with_values,
    Form.FEATURE_LIMITS: _with_limits,
    Form.FEATURES: _of_two,
    Form.LIMITS: _limits,
    Form.NOTHING: _of_nothing,
}
