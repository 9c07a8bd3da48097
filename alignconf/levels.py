"""The levels of a promise: one ``alpha`` for the whole property, or one for each of several.

With levels of their own, every property keeps to its own: the half-width is the largest that any of them asks for
(:mod:`alignconf.calibration`), and the promises hold one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alignconf._validation import check_level
from alignconf.contract import Declaration, Property
from alignconf.errors import InputError
from alignconf.properties.declare import declare

__all__ = ["Level", "read_levels"]


@dataclass(frozen=True)
class Level:
    """A level, and the property that it is for.

    Parameters
    ----------
    alpha : float
    declared : Property
    is_whole : bool
        Whether that is all that is declared.
    """

    alpha: float
    declared: Property
    is_whole: bool

    def covers(self, part: Property) -> bool:
        """Return whether a part of what is declared is the level's business."""
        declared = self.declared
        return self.is_whole or part in (*declared.lines, *declared.planes, *declared.orbits)


def read_levels(alpha: Any, properties: Declaration) -> tuple[Level, ...]:
    """Return the levels that a user wrote.

    Parameters
    ----------
    alpha : float in [0, 1), or one float in (0, 1) for each property
        A mapping with the keys of a mapping ``properties``, or a sequence as long as the sequence ``properties``.
    properties : as for :func:`alignconf.properties.declare`

    Raises
    ------
    InputError
        If a level is no probability, or levels and properties do not match.
    """
    whole = declare(properties)
    if isinstance(alpha, Mapping):
        if not isinstance(properties, Mapping) or set(alpha) != set(properties):
            known = sorted(map(repr, properties)) if isinstance(properties, Mapping) else "no mapping"
            raise InputError(
                f"alpha has levels for {sorted(map(repr, alpha))} and properties is declared for {known}; expected one level for "
                "each key of properties, or one number for all."
            )
        pairs: list[tuple[Any, Any]] = [(alpha[feature], {feature: spec}) for feature, spec in properties.items()]
    elif isinstance(alpha, Sequence) and not isinstance(alpha, str):
        if isinstance(properties, (Mapping, Property)) or len(alpha) != len(properties):
            raise InputError(
                f"alpha has {len(alpha)} levels; expected properties to be a list of as many, one level for each, or one "
                "number for all."
            )
        pairs = list(zip(alpha, properties, strict=True))
    else:
        return (Level(check_level("alpha", alpha, zero=True), whole, True),)
    return tuple(Level(check_level(f"alpha of {one!r}", level), declare(one), len(pairs) == 1) for level, one in pairs)
