"""Everything that can be refused, under one root.

Every error derives from :class:`AlignConfError` and from the standard exception that scikit-learn users already catch
(``ValueError`` or ``NotFittedError``; ``AssertionError`` for laws, ``RuntimeError`` for defects of alignconf itself). A
message is a sentence with the name and the value at fault, what was expected and what to do; it is raised before any work
is done and leaves every object as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from reprlib import Repr
from typing import Any

from sklearn.exceptions import NotFittedError

__all__ = [
    "AlignConfError",
    "CalibrationError",
    "DefectError",
    "InputError",
    "InputTypeError",
    "LawViolation",
    "NotCalibratedError",
    "NotShown",
    "PredictionError",
    "PropertyWarning",
    "RepeatedRowsWarning",
    "listed",
    "meant",
    "quoted",
]

#: No message lists more names than this.
MOST_NAMES = 12


class AlignConfError(Exception):
    """Root of every error of alignconf."""


class InputError(AlignConfError, ValueError):
    """An argument (a parameter, a property, a table of rows) is not what it should be."""


class InputTypeError(InputError, TypeError):
    """A value is of a type of which nothing can be made where it stands, such as a dictionary among the numbers of a feature."""


class PredictionError(AlignConfError, ValueError):
    """The wrapped model answered with something that is not one finite number per row."""


class CalibrationError(AlignConfError, ValueError):
    """The rows cannot support the promise that was asked for: too few of them, or too many that nothing repairs."""


class DefectError(AlignConfError, RuntimeError):
    """What cannot be by construction has happened: a defect of alignconf, or of a property that declares what it is not."""


class NotCalibratedError(AlignConfError, NotFittedError):
    """A method that needs ``lambda_`` was called before ``fit`` or ``calibrate``."""


class LawViolation(AlignConfError, AssertionError):  # noqa: N818
    """A property breaks a law that every property must obey; see :func:`alignconf.testing.check_property`."""


class NotShown(AlignConfError, AssertionError):  # noqa: N818
    """A model was not shown to keep to a property; see :func:`alignconf.testing.assert_property`."""


class PropertyWarning(UserWarning):
    """A declared property is legal but means something that its author may not have intended."""


class RepeatedRowsWarning(UserWarning):
    """Rows that calibrate repeat rows that gave the reference law, or trained: the promise needs rows used for nothing else."""


class _Short(Repr):
    """Quotes values of any size and depth in one short line."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxtuple, self.maxdict, self.maxset = 4, 12, 12, 12, 12
        self.maxstring, self.maxother = 200, 200

    def repr_int(self, number: int, level: int) -> str:  # noqa: ARG002
        """Return the digits of a number, or how many bits it has where nobody would read them."""
        return repr(number) if number.bit_length() <= 200 else f"a whole number of {number.bit_length():,} bits"


def quoted(value: Any) -> str:
    """Return a value of any type as a message quotes it: its ``repr`` in one line, the middle left out where it is long.

    Examples
    --------
    >>> quoted("bp"), quoted([[[[[[1]]]]]]), quoted(10**5000)
    ("'bp'", '[[[[[...]]]]]', 'a whole number of 16,610 bits')
    """
    return " ".join(_Short().repr(value).split())


def listed(names: Sequence[Any]) -> str:
    """Return names as a message lists them, the first dozen and how many more there are.

    Examples
    --------
    >>> listed(["age", "bp"]), listed(range(100))
    ("'age', 'bp'", '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 88 more')
    """
    words = ", ".join(map(quoted, names[:MOST_NAMES]))
    return words if len(names) <= MOST_NAMES else f"{words} and {len(names) - MOST_NAMES:,} more"


def meant(typed: Any, names: Sequence[Any]) -> str:
    """Return the question whether the nearest of some names was meant, empty if none is near.

    Examples
    --------
    >>> meant("BP", ["age", "bp"])
    " Did you mean 'bp'?"
    """
    lower = {str(name).lower(): name for name in names}
    near = get_close_matches(str(typed).lower()[:200], lower, n=1)
    return f" Did you mean {quoted(lower[near[0]])}?" if near else ""
