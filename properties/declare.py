"""From what people type to properties: the spellings of scikit-learn, XGBoost and plain words.

``{"v": -1}`` (scikit-learn, XGBoost, LightGBM), ``{"v": "decreasing"}`` and ``Decreasing("v")`` say the same.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from numbers import Real
from typing import Any, cast

from alignconf._typing import Feature
from alignconf.contract.domain import special_values
from alignconf.contract.property import Declaration, LineProperty, Property
from alignconf.contract.spelling import Spelling
from alignconf.errors import InputError
from alignconf.properties.all_of import AllOf

__all__ = ["declare", "own_parameters", "spelled"]

#: As scikit-learn, XGBoost and LightGBM spell directions.
SIGNS: dict[Any, str] = {1: "increasing", -1: "decreasing"}


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
    return {spelling.word: kind for spelling, kind in spelled().items() if spelling.word}


def own_parameters(kind: Callable[..., Property]) -> list[str]:
    """Return the parameters that a property of one feature does not share with all others, in their order."""
    shared = {parameter.name for parameter in fields(LineProperty)}
    return [parameter.name for parameter in fields(cast(Any, kind)) if parameter.name not in shared]


def declare(properties: Declaration, special: Sequence[Any] = ()) -> Property:
    """Return one property from any spelling that users know.

    Parameters
    ----------
    properties : Property, sequence of Property, or mapping
        A sequence means that all must hold. A mapping goes from a feature to ``+1`` or ``"increasing"``, ``-1`` or
        ``"decreasing"``, ``0`` (nothing is asked of the feature), a property of that feature, or a list of these.
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
    """
    codes = special_values(special)
    if isinstance(properties, Property):
        return _with_codes_of_features(properties).with_special(codes)
    if isinstance(properties, Mapping):
        members = [member for feature, spec in properties.items() for member in _of_feature(feature, spec)]
    elif isinstance(properties, Sequence) and not isinstance(properties, str):
        members = list(properties)
    else:
        raise InputError(
            f"properties must be a property, a list of properties, or a mapping such as {{'v': 'decreasing'}}, "
            f"got {properties!r} of type {type(properties).__name__}."
        )
    if not members:
        raise InputError(f"properties declares nothing, got {properties!r}; write for example {{'v': 'decreasing'}}.")
    declared = members[0] if len(members) == 1 and isinstance(members[0], Property) else AllOf(*members)
    return _with_codes_of_features(declared).with_special(codes)


def _with_codes_of_features(declared: Property) -> Property:
    """Return the property with the special values of a feature, named in one of its rules, in those that name none."""
    codes = {part.feature: part.special for part in declared.lines if part.special}
    bare = [part for part in declared.lines if part.feature in codes and not part.special]
    if not bare:
        return declared
    return AllOf(*(part.with_special(codes[part.feature]) if part in bare else part for part in declared.parts))


def _of_feature(feature: Feature, spec: Any) -> list[Property]:
    if isinstance(spec, (list, tuple)):
        return [member for item in spec for member in _of_feature(feature, item)]
    if isinstance(spec, Property):
        elsewhere = [part for part in spec.lines if part.feature != feature]
        if elsewhere:
            raise InputError(
                f"properties maps feature {feature!r} to {spec!r}, which is about {elsewhere[0].feature!r}; "
                "use the same feature in both places."
            )
        if spec.orbits or spec.planes:
            raise InputError(
                f"properties maps feature {feature!r} to {spec!r}, which is not about one feature; declare it next to "
                "others in a list, such as [Increasing('a'), Bounded(0, 1)]."
            )
        return [spec]
    if isinstance(spec, (str, Real)) and not isinstance(spec, bool):
        if spec == 0:
            return []
        word = spec.lower() if isinstance(spec, str) else SIGNS.get(spec)
        if word in words():
            return [words()[word](feature)]
    choices = ", ".join(map(repr, [*words(), *SIGNS]))
    raise InputError(
        f"properties asks {spec!r} of feature {feature!r}; expected one of {choices}, 0 for nothing, "
        "or a property such as Increasing."
    )
