"""Properties of how a function varies with two numeric features together: the contract.

The **plane** of a row is the function with only these two features varied. A query is a rectangle on it, drawn by two places
along each feature, and demands something of the values at its four corners.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from alignconf._typing import Feature, FloatArray
from alignconf.contract.domain import Domain, special_values
from alignconf.contract.property import Property, check_feature
from alignconf.errors import InputError, quoted
from alignconf.tables.checks import check_number

__all__ = ["PlaneProperty"]


@dataclass(frozen=True, repr=False)
class PlaneProperty(Property):
    """A property of the rectangles on the plane of two features.

    Parameters
    ----------
    feature, other : str or int
        Column names, or positions, of numeric features in the raw input of the model.
    tol : float, default=0
        Slack granted to every demand, in the unit of the prediction.
    special : sequence, default=()
        Numbers that are outside the order of both features, such as codes for "not known".
    """

    feature: Feature
    other: Feature
    tol: float = field(default=0.0, kw_only=True)
    special: Sequence[Any] = field(default=(), kw_only=True)

    n_points: ClassVar[int] = 4

    def __post_init__(self) -> None:
        """Check the declaration before anything else sees it."""
        object.__setattr__(self, "feature", check_feature(self.feature))
        object.__setattr__(self, "other", check_feature(self.other))
        if self.feature == self.other:
            raise InputError(f"{type(self).__name__} is about two features, got {quoted(self.feature)} twice.")
        check_number("tol", self.tol, at_least=0)
        object.__setattr__(self, "special", special_values(self.special, f"special of {type(self).__name__}"))

    @property
    def domain(self) -> Domain:
        """The values of each feature among which the property is demanded."""
        return Domain(tuple(self.special))

    def with_special(self, codes: Sequence[Any]) -> PlaneProperty:
        """Return the property with further values outside the order."""
        return replace(self, special=tuple(dict.fromkeys((*self.special, *codes))))

    @property
    def parts(self) -> tuple[Property, ...]:
        """The property itself."""
        return (self,)

    @property
    def planes(self) -> tuple[PlaneProperty, ...]:
        """The property itself."""
        return (self,)

    @abstractmethod
    def demands(self) -> tuple[FloatArray, FloatArray]:
        """Return coefficients (n_demands, 4) and bounds (n_demands,) for the corners of a rectangle.

        The corners are (low, low), (high, low), (low, high) and (high, high) in feature and other. A function has the
        property iff it meets the demands on all rectangles; those of neighbouring knots must imply all others at knots.
        """
