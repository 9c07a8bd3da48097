"""The levels of a promise: one ``alpha`` for the whole property, or one for each of several.

With levels of their own, every property keeps to its own: the half-width is the largest that any of them asks for
(:mod:`alignconf.calibration.claim`), and the promises hold one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from alignconf.contract.property import Declaration, Property
from alignconf.errors import InputError, quoted
from alignconf.properties.declare import by_position, declare
from alignconf.tables.checks import check_level, check_number

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


def read_levels(alpha: Any, properties: Declaration, *, is_rate: bool = True) -> tuple[Level, ...]:
    """Return the levels that a user wrote.

    Parameters
    ----------
    alpha : float in [0, 1), or one float in (0, 1) for each property
        A mapping with the keys of a mapping ``properties``, or a sequence as long as the sequence ``properties``.
    properties : as for :func:`alignconf.properties.declare`
    is_rate : bool
        Whether levels are probabilities; otherwise they are sizes, any numbers from 0 on.

    Raises
    ------
    InputError
        If a level is no probability, or levels and properties do not match.
    """
    check = check_level if is_rate else _check_size
    properties = by_position(properties)
    whole, listed = declare(properties), cast(Any, properties)
    if isinstance(alpha, Mapping):
        keys = list(properties) if isinstance(properties, Mapping) else []
        if set(alpha) != set(keys):
            raise InputError(
                _mismatch(alpha, f"a mapping with the keys {keys!r} of properties" if keys else "one number")
            )
        pairs: list[tuple[Any, Any]] = [(alpha[key], {key: spec}) for key, spec in listed.items()]
    elif isinstance(alpha, Sequence) and not isinstance(alpha, str):
        several = isinstance(properties, Sequence) and not isinstance(properties, str)
        n_levels = len(listed) if several else 0
        if len(alpha) != n_levels or not n_levels:
            raise InputError(_mismatch(alpha, f"{n_levels} numbers, as properties lists" if several else "one number"))
        pairs = list(zip(alpha, listed, strict=True))
    else:
        return (Level(check("alpha", alpha, zero=True), whole, True),)
    return tuple(
        Level(check(f"alpha of {spec!r}", level, zero=False), declare(spec), len(pairs) == 1) for level, spec in pairs
    )


def _check_size(name: str, value: Any, *, zero: bool) -> float:
    return check_number(name, value, at_least=0.0) if zero else check_number(name, value, above=0.0)


def _mismatch(alpha: Any, expected: str) -> str:
    return (
        f"alpha must be a number in [0, 1), or one number in (0, 1) for each property; here {expected}, got {quoted(alpha)} of "
        f"type {type(alpha).__name__}."
    )
