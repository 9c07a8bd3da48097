r"""Specifications: properties that people, or language models, have written down, read as data.

A file holds a list of entries in JSON or YAML, each of them a mapping with some of the keys ``type``, ``feature``,
``features``, ``direction``, ``region``, ``order``, ``bounds``, ``number``, ``tol``, ``special`` (values outside the order),
``between`` (the range in which it is demanded), ``rationale`` and ``source``. The vocabulary is closed: a key or a type that is
not in it is refused, and so is a value of the wrong kind. Types are the properties
that can be typed (:class:`alignconf.contract.spelling.Spelling`), and two that stand for several of them.

==============================================================  =============================  ==========================
type                                                            needs                          means
==============================================================  =============================  ==========================
increasing, decreasing, concave, convex, unimodal, valley,      feature
constant
ordered                                                         feature, order                 predictions follow the
                                                                                               order of the categories
lipschitz, slope-at-least, slope-at-most                        feature, number                change per unit
plateau                                                         feature, number                no change from there on
elasticity                                                      feature, bounds: [low, high]   per cent for one per cent, null
                                                                                               for no limit on a side
bounded                                                         bounds: [low, high]            predictions within limits,
                                                                                               null for none on a side
dominates                                                       features: [one, other]         a unit of the one matters
                                                                                               at least as much
weakly-dominates                                                features: [one, other]         the same where both are equal
diminishing-returns                                             features: [one, other]         the more of the one, the
                                                                                               less the other adds
monotone                                                        feature, direction             increasing or decreasing
slope                                                           feature, bounds: [low, high]   change per unit, null for no
                                                                                               limit on a side
==============================================================  =============================  ==========================

**Nothing is executed.** Texts are compared with the vocabulary and with column names and are shown, escaped; none is evaluated,
imported, formatted into code or used as a path. YAML is read by ``yaml.safe_load`` and must hold no tags, anchors or aliases;
size, depth and length are limited before anything is built. The package calls no language model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any, TypeAlias

from alignconf._typing import Feature
from alignconf.contract.property import Property
from alignconf.contract.spelling import Form
from alignconf.deployment.propose.plain_data import LARGEST_TEXT, from_json, from_yaml, text_of
from alignconf.errors import AlignConfError, InputError, meant, quoted
from alignconf.properties import AllOf, Decreasing, Increasing, SlopeAtLeast, SlopeAtMost
from alignconf.properties.declare import own_parameters, spelled
from alignconf.tables.checks import is_finite

__all__ = ["Malformed", "Specification", "read_specifications"]

MOST_ENTRIES = 1000
LONGEST_WORDS = 1000
LONGEST_NAME = 200
MOST_CATEGORIES = 100

#: What a type needs beside itself, by the form in which its property is typed.
NEEDED: dict[Form, tuple[str, ...]] = {
    Form.FEATURE: ("feature",),
    Form.FEATURE_PLACE: ("feature",),
    Form.FEATURE_VALUES: ("feature",),
    Form.FEATURE_ORDER: ("feature", "order"),
    Form.FEATURE_NUMBER: ("feature", "number"),
    Form.FEATURE_LIMITS: ("feature", "bounds"),
    Form.FEATURES: ("features",),
    Form.LIMITS: ("bounds",),
    Form.NOTHING: (),
}
#: The same of types that stand for several properties.
SEVERAL: dict[str, tuple[str, ...]] = {"monotone": ("feature", "direction"), "slope": ("feature", "bounds")}
OPTIONAL = ("region", "tol", "special", "between", "rationale", "source")
KEYS = ("type", "feature", "features", "direction", "order", "bounds", "number", *OPTIONAL)


@dataclass(frozen=True)
class Specification:
    """One entry that the vocabulary knows, not yet compared with any rows.

    Parameters
    ----------
    position : int
        In the file, from 0.
    type : str
    features : tuple of str or int
    declared : Property
        What it declares, wherever it applies.
    region : tuple of (feature, values)
        Where it applies: limits ``(low, high)`` of a number, or a tuple of categories in a list; empty for everywhere.
    rationale, source : str
    """

    position: int
    type: str
    features: tuple[Feature, ...]
    declared: Property
    region: tuple[tuple[Feature, tuple[Any, ...]], ...]
    rationale: str
    source: str


@dataclass(frozen=True)
class Malformed:
    """One entry that is refused, with the reason.

    Parameters
    ----------
    position : int
    reason : str
    shown : str
        The beginning of what stands there.
    rationale, source : str
    """

    position: int
    reason: str
    shown: str
    rationale: str = ""
    source: str = ""


Entry: TypeAlias = Specification | Malformed


def read_specifications(source: str | Path) -> tuple[Entry, ...]:
    """Read a list of specifications, as data.

    Parameters
    ----------
    source : str or Path
        A path to a file that ends in ``.json``, ``.yaml`` or ``.yml``, or the text itself: JSON if it begins with a bracket,
        else YAML.

    Returns
    -------
    tuple of Specification or Malformed
        One for each entry, in order. A bad entry does not stop the others.

    Raises
    ------
    InputError
        If the text is too large or too deep, is not JSON or YAML, uses YAML's tags, anchors or aliases, or holds no list.
    ImportError
        For YAML without PyYAML.

    Examples
    --------
    >>> read_specifications('[{"type": "monotone", "feature": "age", "direction": "decreasing"}]')[0].declared
    Decreasing('age')
    >>> read_specifications('[{"type": "exec", "feature": "age"}]')[0].reason[:38]
    "type 'exec' is not in the vocabulary; "
    """
    text, is_json = text_of(source)
    if len(text) > LARGEST_TEXT:
        raise InputError(f"source holds {len(text)} characters; expected at most {LARGEST_TEXT}. Split the list.")
    entries = from_json(text) if is_json else from_yaml(text)
    if not isinstance(entries, list):
        raise InputError(
            f"source holds a {type(entries).__name__}; expected a list of specifications, such as "
            "[{'type': 'concave', 'feature': 'dose'}]."
        )
    if len(entries) > MOST_ENTRIES:
        raise InputError(f"source holds {len(entries)} entries; expected at most {MOST_ENTRIES}. Split the list.")
    return tuple(_read(position, entry) for position, entry in enumerate(entries))


def _read(position: int, entry: Any) -> Entry:
    """Return an entry of the list, read or refused."""
    try:
        return _specification(position, entry)
    except AlignConfError as error:
        words = entry if isinstance(entry, Mapping) else {}
        given = {key: words[key] for key in ("rationale", "source") if isinstance(words.get(key), str)}
        short = {key: value[:LONGEST_WORDS] for key, value in given.items()}
        return Malformed(position, str(error), _shown(entry), **short)


def needs_of_types() -> dict[str, tuple[str, ...]]:
    """Return what each type needs beside itself."""
    return {spelling.option: NEEDED[spelling.form] for spelling in spelled()} | SEVERAL


def _specification(position: int, entry: Any) -> Specification:
    if not isinstance(entry, Mapping):
        raise InputError(f"the entry is a {type(entry).__name__}; expected a mapping with a type.")
    unknown = [key for key in entry if key not in KEYS]
    if unknown:
        raise InputError(f"key {_shown(unknown[0])} is not in the vocabulary; expected some of {', '.join(KEYS)}.")
    kind, types = entry.get("type"), needs_of_types()
    if not isinstance(kind, str) or kind not in types:
        raise InputError(
            f"type {_shown(kind)} is not in the vocabulary; expected one of {', '.join(types)}.{meant(kind, list(types))}"
        )
    needs = types[kind]
    missing = [key for key in needs if key not in entry]
    if missing:
        raise InputError(f"{missing[0]} is missing; type {kind!r} needs {' and '.join(needs)}.")
    surplus = [key for key in entry if key not in ("type", *needs, *OPTIONAL)]
    if surplus:
        raise InputError(f"type {kind!r} takes no {surplus[0]}; leave it out.")
    words = {key: _words(key, entry.get(key, "")) for key in ("rationale", "source")}
    features = _features(entry)
    tol = entry.get("tol", 0)
    if not is_finite(tol) or tol < 0:
        raise InputError(f"tol must be a finite number of at least 0, got {_shown(tol)}.")
    if tol and kind == "bounded":
        raise InputError("type 'bounded' takes no tol; widen the bounds instead.")
    region = _region(entry.get("region", {}))
    shared = {feature for feature, _ in region} & set(features)
    if shared:
        raise InputError(
            f"region limits {_shown(sorted(shared, key=str)[0])}, which varies along lines; name other features."
        )
    declared = _in_domain(_declared(kind, entry, features, float(tol)), entry)
    return Specification(position, kind, features, declared, region, words["rationale"], words["source"])


def _declared(kind: str, entry: Mapping[str, Any], features: tuple[Feature, ...], tol: float) -> Property:
    """Return the property that an entry declares."""
    if kind == "monotone":
        directions = {"increasing": Increasing, "decreasing": Decreasing}
        direction = entry["direction"]
        if not isinstance(direction, str) or direction not in directions:
            raise InputError(f"direction must be 'increasing' or 'decreasing', got {_shown(direction)}.")
        return directions[direction](features[0], tol=tol)
    if kind == "slope":
        return _slopes(entry, features[0], tol)
    build, form = next((kind_of, spelling.form) for spelling, kind_of in spelled().items() if spelling.option == kind)
    if form is Form.LIMITS:
        low, high = _limits(entry["bounds"])
        return build(-inf if low is None else low, inf if high is None else high)
    own: dict[str, Any] = {}
    if form is Form.FEATURE_ORDER:
        own["order"] = _order(entry["order"])
    elif form is Form.FEATURE_NUMBER:
        own[own_parameters(build)[0]] = _finite("number", entry["number"])
    elif form is Form.FEATURE_LIMITS:
        sides = zip(own_parameters(build), _limits(entry["bounds"]), strict=False)
        own |= {name: limit for name, limit in sides if limit is not None}
    return build(*features, **own, tol=tol)


def _in_domain(declared: Property, entry: Mapping[str, Any]) -> Property:
    """Return the property with the special values and the range of an entry."""
    codes = entry.get("special", [])
    if not isinstance(codes, list) or not all(isinstance(code, str) or is_finite(code) for code in codes):
        raise InputError(f"special must list numbers and texts that are outside the order, got {_shown(codes)}.")
    declared = declared.with_special(codes)
    if "between" not in entry:
        return declared
    if len(declared.lines) < len(declared.parts):
        raise InputError("between is for properties of one feature; leave it out.")
    low, high = _limits(entry["between"])
    between = (-inf if low is None else low, inf if high is None else high)
    parts = [replace(part, between=between) for part in declared.lines]
    return parts[0] if len(parts) == 1 else AllOf(*parts)


def _slopes(entry: Mapping[str, Any], feature: Feature, tol: float) -> Property:
    low, high = _limits(entry["bounds"])
    sides: list[Property] = []
    if low is not None:
        sides.append(SlopeAtLeast(feature, low, tol=tol))
    if high is not None:
        sides.append(SlopeAtMost(feature, high, tol=tol))
    return sides[0] if len(sides) == 1 else AllOf(*sides)


def _features(entry: Mapping[str, Any]) -> tuple[Feature, ...]:
    if "features" in entry:
        named = entry["features"]
        if not isinstance(named, list) or len(named) != 2 or named[0] == named[1]:
            raise InputError(f"features must be a list of two different columns, got {_shown(named)}.")
        return tuple(_feature(column) for column in named)
    return (_feature(entry["feature"]),) if "feature" in entry else ()


def _feature(value: Any) -> Feature:
    if (
        isinstance(value, bool)
        or not isinstance(value, (str, int))
        or (isinstance(value, str) and not 0 < len(value) <= LONGEST_NAME)
    ):
        raise InputError(f"feature must be a column name or a column position, got {_shown(value)}.")
    return value


def _order(value: Any) -> list[Any]:
    plain = isinstance(value, list) and all(
        isinstance(category, (str, bool)) or is_finite(category) for category in value
    )
    if not plain or not 2 <= len(value) <= MOST_CATEGORIES:
        raise InputError(f"order must list 2 to {MOST_CATEGORIES} categories from first to last, got {_shown(value)}.")
    return list(value)


def _limits(value: Any) -> tuple[float | None, float | None]:
    def is_limit(limit: Any) -> bool:
        return limit is None or is_finite(limit)

    if not isinstance(value, list) or len(value) != 2 or not all(map(is_limit, value)) or value == [None, None]:
        raise InputError(f"bounds must be a list of two numbers, one of which may be null, got {_shown(value)}.")
    low, high = value
    if low is not None and high is not None and low > high:
        raise InputError(f"bounds must not be the wrong way round, got {_shown(value)}; swap them.")
    return low, high


def _finite(key: str, value: Any) -> float:
    if not is_finite(value):
        raise InputError(f"{key} must be a finite number, got {_shown(value)}.")
    return float(value)


def _region(value: Any) -> tuple[tuple[Feature, tuple[Any, ...]], ...]:
    if not isinstance(value, Mapping):
        raise InputError(f"region must map columns to limits [low, high] or lists of categories, got {_shown(value)}.")
    conditions: list[tuple[Feature, tuple[Any, ...]]] = []
    for feature, limits in value.items():
        numbers = isinstance(limits, list) and any(
            isinstance(limit, (int, float)) and not isinstance(limit, bool) for limit in limits
        )
        if numbers:
            conditions.append((_feature(feature), _limits(limits)))
        elif (
            isinstance(limits, list)
            and 0 < len(limits) <= MOST_CATEGORIES
            and all(isinstance(category, str) for category in limits)
        ):
            conditions.append((_feature(feature), (tuple(limits),)))
        else:
            raise InputError(
                f"region of {_shown(feature)} must be limits [low, high] or a list of categories, got {_shown(limits)}."
            )
    return tuple(conditions)


def _words(key: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_WORDS:
        raise InputError(f"{key} must be a text of at most {LONGEST_WORDS} characters, got {_shown(value)}.")
    return value


def _shown(value: Any) -> str:
    """Return the beginning of the quoted value, in one line."""
    shown = quoted(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
