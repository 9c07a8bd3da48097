"""Ordered: predictions follow the order of a feature's categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from alignconf.contract.spelling import Form, Spelling
from alignconf.properties.increasing import Increasing

__all__ = ["Ordered"]


@dataclass(frozen=True, repr=False)
class Ordered(Increasing):
    """Predictions never fall from one category to a later one, all else equal: ``Increasing`` with its order up front.

    Parameters
    ----------
    feature : str or int
        Column name, or position, in the raw input of the model.
    order : sequence
        The categories, from first to last; every category in the data must be listed.
    tol : float, default=0

    Examples
    --------
    >>> Ordered("cut", ["Fair", "Good", "Ideal"])
    Ordered('cut', ['Fair', 'Good', 'Ideal'])
    """

    spelling: ClassVar[Spelling | None] = Spelling("ordered", Form.FEATURE_ORDER, "predictions follow its categories")

    order: Sequence[Any] | None = field(kw_only=False)
