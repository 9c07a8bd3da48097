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
        On the command line, after two dashes; of small letters and dashes.
    form : Form
    help : str
        What it demands, in a few words.
    word : str, optional
        In a mapping, ``{"age": word}``, for a property that needs nothing but its feature; by default there is none.
    """

    option: str
    form: Form
    help: str
    word: str | None = None

    @property
    def key(self) -> str:
        """The type of an entry in a list of specifications."""
        return self.word or self.option.replace("-", " ")
