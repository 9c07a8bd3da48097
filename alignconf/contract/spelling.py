"""How a property is typed: in a mapping, on a command line, in a list of specifications.

A property of the vocabulary tells its own :class:`Spelling`. Every door reads the vocabulary by it: the form says what is typed
beside the name, and each door has one reader for each form. A property that holds functions cannot be typed, and has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Form", "Spelling"]


class Form(StrEnum):
    """What is typed beside the name of a property, as the command line shows it.

    A number or a place fills the first parameter that the class has of its own, limits the first two.
    """

    FEATURE = "FEATURE"
    FEATURE_NUMBER = "FEATURE:NUMBER"
    FEATURE_PLACE = "FEATURE[:PLACE]"
    FEATURE_ORDER = "FEATURE:FIRST,...,LAST"
    FEATURE_VALUES = "FEATURE[:VALUE,...]"
    FEATURE_LIMITS = "FEATURE:LOWEST,HIGHEST"
    FEATURES = "FEATURE,FEATURE"
    LIMITS = "LOWEST,HIGHEST"
    NOTHING = ""


@dataclass(frozen=True)
class Spelling:
    """How a property is typed.

    Parameters
    ----------
    option : str
        Its word everywhere: in a mapping, ``{"age": word}``, as the type of a specification, and after two dashes on the
        command line; of small letters and dashes.
    form : Form
    help : str
        What it demands, in a few words.
    """

    option: str
    form: Form
    help: str

    @property
    def is_word(self) -> bool:
        """Whether the property needs nothing but its feature, so that its word alone declares it in a mapping."""
        return self.form in (Form.FEATURE, Form.FEATURE_VALUES, Form.FEATURE_PLACE)
