"""Outputs: a model that answers several numbers at once is one function of a row and of an **output**, its last coordinate.

All outputs of a row come from one call of the model. A rule about a feature holds at every output; a rule about
:data:`OUTPUTS` compares the outputs of a row with one another, as any other rule compares places of a line:
``Decreasing(OUTPUTS)`` for the survival probabilities at increasing times, ``{OUTPUTS: "increasing"}`` for quantiles. The place
of an output is its level where levels are numbers (0.05, 0.5, 0.95; days), so that slopes are per unit of the level; otherwise
outputs are counted from 0.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from numbers import Real
from typing import Any, ClassVar, Final

import numpy as np

from alignconf._typing import FloatArray
from alignconf.errors import InputError, quoted

__all__ = ["OUTPUTS", "Kept", "Outputs", "named_outputs"]


class _OutputCoordinate:
    """The coordinate that all outputs of a row differ in; there is one of it."""

    known: ClassVar[_OutputCoordinate | None] = None

    def __new__(cls) -> _OutputCoordinate:
        """Return the only one."""
        if cls.known is None:
            cls.known = super().__new__(cls)
        return cls.known

    def __repr__(self) -> str:
        """Return the name by which users write it."""
        return "OUTPUTS"

    def __reduce__(self) -> str:
        """Return the name by which it is found again."""
        return "OUTPUTS"


#: The outputs of a model, where a property names a feature.
OUTPUTS: Final[Any] = _OutputCoordinate()


class Kept(StrEnum):
    """What the outputs of a row have by construction: nothing, their sum, or that they fall."""

    NOTHING = ""
    SUM = "sum"
    FALLING = "falling"


@dataclass(frozen=True)
class Outputs:
    """The outputs of a model, in the order of the columns that it returns.

    Parameters
    ----------
    labels : tuple
        Levels or names, at least two, each once; numbers increase.
    kept : Kept
        What the outputs of a row have by construction, and keep.
    """

    labels: tuple[Any, ...]
    kept: Kept = field(default=Kept.NOTHING, compare=False)

    @classmethod
    def of(cls, written: Any, *, verb: str = "outputs must list") -> Outputs:
        """Return the outputs that a user lists.

        Parameters
        ----------
        written : list of levels or names
        verb : str
            Whose list it is, for messages.

        Raises
        ------
        InputError
            If they are fewer than two, repeated, or numbers that do not increase.
        """
        if isinstance(written, (str, bytes)) or not np.iterable(written):
            raise InputError(
                f"outputs must list the outputs of the model, got {quoted(written)}; write for example outputs=[0.05, 0.5, 0.95]."
            )
        labels = tuple(label.item() if isinstance(label, np.generic) else label for label in written)
        if not all(isinstance(label, Hashable) for label in labels) or len(set(labels)) < max(2, len(labels)):
            raise InputError(
                f"{verb} at least two levels or names, each once, got {quoted(list(labels))}; a "
                "model with one output needs none."
            )
        if all(isinstance(label, Real) for label in labels):
            for level, after in pairwise(labels):
                if not level < after:
                    raise InputError(
                        f"outputs has the level {quoted(after)} after {quoted(level)}; expected levels that "
                        "increase, in the order of the "
                        "columns that the model returns. Reorder its columns, or name the outputs by texts."
                    )
        return cls(labels)

    def keeping(self, kept: Kept) -> Outputs:
        """Return the outputs with what they have by construction."""
        return replace(self, kept=kept)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.labels)

    @property
    def places(self) -> FloatArray:
        """The place of each output: its level where all levels are numbers, otherwise its position. (n_outputs,)."""
        are_levels = all(isinstance(label, Real) for label in self.labels)
        return np.array(self.labels if are_levels else range(len(self)), dtype=np.float64)

    @property
    def are_probabilities(self) -> bool:
        """Whether all levels are numbers in (0, 1), as those of quantiles are."""
        return all(isinstance(label, Real) and 0 < float(label) < 1 for label in self.labels)

    def positions(self, named: Any, rule: Any) -> tuple[int, ...]:
        """Return the positions of outputs that a rule names; all of them where it names none.

        Raises
        ------
        InputError
            If the model has no such output.
        """
        if named is None:
            return tuple(range(len(self)))
        for label in named:
            if label not in self.labels:
                raise InputError(
                    f"{quoted(rule)} names the output {quoted(label)}, which the model does not have; expected "
                    f"one of {list(self.labels)!r}."
                )
        return tuple(self.labels.index(label) for label in named)

    def __str__(self) -> str:
        """Return the outputs in words."""
        return ", ".join(map(str, self.labels))


def named_outputs(written: Any) -> tuple[Any, ...]:
    """Return the outputs that a property names, each once; refuse what is no list of them."""
    if isinstance(written, (str, bytes)) or not np.iterable(written) or not (labels := tuple(written)):
        raise InputError(
            f"outputs of a property must list outputs of the model, got {quoted(written)}; write for example "
            "outputs=[0.05, 0.95]."
        )
    return tuple(dict.fromkeys(label.item() if isinstance(label, np.generic) else label for label in labels))
