"""Everything that can be refused, under one root.

Every error derives from :class:`AlignConfError` and from the standard exception that scikit-learn users already catch
(``ValueError`` or ``NotFittedError``; ``AssertionError`` for laws, ``RuntimeError`` for defects of alignconf itself). A
message is a sentence with the name and the value at fault, what was expected and what to do; it is raised before any work
is done and leaves every object as it was.
"""

from __future__ import annotations

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
]


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
