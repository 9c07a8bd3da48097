"""Arguments in the wrong places: a model where rules belong, rules where rows belong.

What an argument is can be told by its looks: a model predicts, rows have a shape or columns, rules are properties or name
directions. Where two of them stand in each other's places, the message says so and shows the call; where nothing is known,
nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alignconf.contract.property import Property
from alignconf.errors import InputError

__all__ = ["refuse_swapped"]

MODEL, ROWS, RULES = "a model", "rows", "rules"

#: What is expected of an argument, by its name.
EXPECTED = {"estimator": MODEL, "model": MODEL, "X": ROWS, "properties": RULES}


def refuse_swapped(call: str, **arguments: Any) -> None:
    """Refuse arguments that stand in each other's places.

    Parameters
    ----------
    call : str
        How they are written: ``"check(model, X, rules)"``.
    **arguments : dict
        By their names: ``estimator``, ``model``, ``X`` or ``properties``.

    Raises
    ------
    InputError
    """
    looks = {name: _looks_like(value) for name, value in arguments.items()}
    strange = {name for name, kind in looks.items() if kind not in (None, EXPECTED[name])}
    places = {EXPECTED[name] for name in strange}
    if len(strange) > 1 and {looks[name] for name in strange} <= places:
        got = " and ".join(f"{looks[name]} for {name}" for name in arguments if name in strange)
        raise InputError(f"arguments are swapped: got {got}. Write {call}.")


def _looks_like(value: Any) -> str | None:
    if isinstance(value, type):
        return None
    if hasattr(value, "predict") or hasattr(value, "predict_proba"):
        return MODEL
    if isinstance(value, Property):
        return RULES
    if isinstance(value, Mapping):
        members = list(value.values())
        return MODEL if members and all(_looks_like(member) == MODEL for member in members) else RULES
    if isinstance(value, (list, tuple)) and value and all(isinstance(member, Property) for member in value):
        return RULES
    return ROWS if len(getattr(value, "shape", ())) > 1 else None
