"""From what people type to properties: the spellings of scikit-learn, XGBoost and plain words.

``{"v": -1}`` (scikit-learn, XGBoost, LightGBM), ``{"v": "decreasing"}`` and ``Decreasing("v")`` say the same.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import cache
from numbers import Real
from typing import Any, cast

import numpy as np

from alignconf._typing import Feature
from alignconf.contract.domain import special_values
from alignconf.contract.property import Declaration, LineProperty, Property
from alignconf.contract.spelling import Spelling
from alignconf.errors import InputError, meant, quoted
from alignconf.properties.all_of import AllOf

__all__ = ["by_position", "declare", "own_parameters", "spelled"]

#: As scikit-learn, XGBoost and LightGBM spell directions.
SIGNS: dict[Any, str] = {1: "increasing", -1: "decreasing"}

#: What others call the words of the vocabulary.
ELSEWHERE = {
    "up": "increasing",
    "positive": "increasing",
    "non-decreasing": "increasing",
    "down": "decreasing",
    "negative": "decreasing",
    "non-increasing": "decreasing",
    "constant": "invariant",
    "u-shaped": "valley",
}

#: As XGBoost writes directions in one text, by position.
POSITIONAL = re.compile(r"\s*[(\[]?\s*[-+]?[01](\s*,\s*[-+]?[01])*\s*,?\s*[)\]]?\s*")


@cache
def spelled() -> dict[Spelling, Callable[..., Property]]:
    """Return the properties of the vocabulary that can be typed, in its order, by how they are typed."""
    vocabulary = importlib.import_module("alignconf.properties")
    kinds = [getattr(vocabulary, name) for name in vocabulary.__all__]
    # A spelling is told by the class itself: a class built on another one is another property.
    return {vars(kind)["spelling"]: kind for kind in kinds if "spelling" in vars(kind)}


@cache
def words() -> dict[str, Callable[[Feature], Property]]:
    """Return the properties that need nothing but a feature, by the words of mappings."""
    return {spelling.option: kind for spelling, kind in spelled().items() if spelling.is_word}


def own_parameters(kind: Callable[..., Property]) -> list[str]:
    """Return the parameters that a property of one feature does not share with all others, in their order."""
    shared = {parameter.name for parameter in fields(LineProperty)}
    return [parameter.name for parameter in fields(cast(Any, kind)) if parameter.name not in shared]


def declare(properties: Declaration, special: Sequence[Any] = ()) -> Property:
    """Return one property from any spelling that users know.

    Parameters
    ----------
    properties : Property, sequence of Property, mapping, or directions by position
        A sequence means that all must hold. A mapping goes from a feature to ``+1`` or ``"increasing"``, ``-1`` or
        ``"decreasing"``, ``0`` (nothing is asked of the feature), another word of the vocabulary such as ``"invariant"``, a
        property of that feature, or a list of these. Directions by position are those of scikit-learn and LightGBM,
        ``[-1, 0, 1]``, and XGBoost's text ``"(-1,0,1)"``: one number for each feature.
    special : sequence, default=()
        Values that are outside the order of every feature.

    Returns
    -------
    Property

    Raises
    ------
    InputError
        If nothing is declared, or a spelling is not known.

    Examples
    --------
    >>> declare({"age": -1, "income": "increasing"})
    AllOf(Decreasing('age'), Increasing('income'))
    >>> declare("(-1,0,1)") == declare([-1, 0, 1]) == declare({0: -1, 2: 1})
    True
    """
    codes, properties = special_values(special), by_position(properties)
    if isinstance(properties, Property):
        return _with_codes_of_features(properties).with_special(codes)
    if isinstance(properties, Mapping):
        members = [member for feature, spec in properties.items() for member in _of_feature(feature, spec)]
    elif isinstance(properties, Sequence) and not isinstance(properties, str):
        members = list(properties)
    else:
        raise InputError(
            f"properties must be a property, a list of properties, or a mapping such as {{'v': 'decreasing'}}, "
            f"got {quoted(properties)} of type {type(properties).__name__}."
        )
    if not members:
        raise InputError(
            f"properties declares nothing, got {quoted(properties)}; write for example {{'v': 'decreasing'}}."
        )
    declared = members[0] if len(members) == 1 and isinstance(members[0], Property) else AllOf(*members)
    return _with_codes_of_features(declared).with_special(codes)


def by_position(properties: Any) -> Any:
    """Return directions that are given by position as a mapping from positions; anything else as it is."""
    if isinstance(properties, str) and POSITIONAL.fullmatch(properties):
        return dict(enumerate(map(int, re.findall(r"[-+]?[01]", properties))))
    listed = properties.tolist() if isinstance(properties, np.ndarray) and properties.ndim == 1 else properties
    if isinstance(listed, (list, tuple)) and listed and all(map(_is_direction, listed)):
        return {position: int(direction) for position, direction in enumerate(listed)}
    return properties


def _is_direction(value: Any) -> bool:
    return isinstance(value, (Real, np.number)) and not isinstance(value, bool) and value in (-1, 0, 1)


def _with_codes_of_features(declared: Property) -> Property:
    """Return the property with the special values of a feature, named in one of its rules, in those that name none."""
    codes = {part.feature: part.special for part in declared.lines if part.special}
    bare = [part for part in declared.lines if part.feature in codes and not part.special]
    if not bare:
        return declared
    return AllOf(*(part.with_special(codes[part.feature]) if part in bare else part for part in declared.parts))


def _of_feature(feature: Feature, spec: Any) -> list[Property]:
    """Return what a mapping declares of a feature: one rule, or a list of them."""
    rules = spec if isinstance(spec, (list, tuple)) else [spec]
    if len(rules) > 1 and not any(_is_known(rule) for rule in rules):
        raise InputError(
            f"properties maps feature {quoted(feature)} to {quoted(spec)}, none of which is a rule. If these are its categories "
            f"from the lowest to the highest, write Ordered({quoted(feature)}, {quoted(spec)})."
        )
    return [member for rule in rules for member in _of_rule(feature, rule)]


def _is_known(rule: Any) -> bool:
    """Return whether a rule of a feature is one, or a word that somebody could take for one."""
    word = rule.lower() if isinstance(rule, str) else ""
    near = [*words(), *ELSEWHERE, *(spelling.option for spelling in spelled())]
    return isinstance(rule, (Property, type)) or _is_direction(rule) or word in near or bool(word and meant(word, near))


def _of_rule(feature: Feature, spec: Any) -> list[Property]:
    if isinstance(spec, Property):
        elsewhere = [part for part in spec.lines if part.feature != feature]
        if elsewhere:
            raise InputError(
                f"properties maps feature {quoted(feature)} to {quoted(spec)}, which is about {quoted(elsewhere[0].feature)}; "
                f"{_with_feature(feature, spec)}."
            )
        if spec.orbits or spec.planes:
            raise InputError(
                f"properties maps feature {quoted(feature)} to {quoted(spec)}, which is not about one feature; "
                "declare it next to "
                "others in a list, such as [Increasing('a'), Bounded(0, 1)]."
            )
        return [spec]
    if _is_direction(spec):
        return [words()[SIGNS[spec]](feature)] if spec else []
    word = spec.lower() if isinstance(spec, str) else ""
    if word in words():
        return [words()[word](feature)]
    raise InputError(f"properties maps feature {quoted(feature)} to {quoted(spec)}, {_remedy(feature, word)}")


def _with_feature(feature: Feature, spec: Property) -> str:
    """Return what to write instead of a property of another feature: with the feature in front, where that was left out."""
    if isinstance(spec, LineProperty) and isinstance(spec.feature, (Real, np.number)) and isinstance(feature, str):
        names = own_parameters(type(spec))
        given = [spec.feature, *(getattr(spec, name) for name in names)][: len(names)]
        with suppress(InputError, TypeError):
            meant_rule = type(spec)(feature, **dict(zip(names, given, strict=True)))
            return f"a property names its feature first: write {quoted(meant_rule)}"
    return "use the same feature in both places"


def _remedy(feature: Feature, word: str) -> str:
    """Return what to write instead of a word that declares nothing by itself."""
    incomplete = {spelling.option: kind for spelling, kind in spelled().items() if not spelling.is_word}
    if word in incomplete:
        named = getattr(incomplete[word], "__name__", word)
        return f"which is not about a feature alone; write the property, {named}(...), from alignconf.properties."
    near = f" Did you mean {ELSEWHERE[word]!r}?" if word in ELSEWHERE else meant(word, list(words())) if word else ""
    choices = ", ".join(map(repr, [*words(), *SIGNS]))
    return f"which is no rule.{near} Write one of {choices}, 0 for nothing, or a property such as Increasing({quoted(feature)})."
