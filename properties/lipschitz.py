r"""Lipschitz: predictions change by at most ``L`` per unit of the feature.

:math:`|g(u) - g(u')| \le L |u - u'|` along every line. The repair of smallest band is midway between McShane's two
extensions, the envelopes of cones of slope ``L``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from alignconf._typing import FloatArray
from alignconf.contract.spelling import Form, Spelling
from alignconf.properties._increments import Increments
from alignconf.tables.checks import check_number

__all__ = ["Lipschitz"]


@dataclass(frozen=True, repr=False)
class Lipschitz(Increments):
    """Predictions change by at most ``L`` per unit of the feature, all else equal.

    Parameters
    ----------
    feature : str or int
        Column name, or position, in the raw input of the model.
    L : float > 0
        Largest slope, in the unit of the prediction per unit of the feature (per rank, for ordered categories).
    order, tol
        See :class:`~alignconf.contract.property.LineProperty`.

    Examples
    --------
    >>> Lipschitz("dose", 0.5)
    Lipschitz('dose', 0.5)
    """

    spelling: ClassVar[Spelling | None] = Spelling("lipschitz", Form.FEATURE_NUMBER, "bounded change for each unit")

    L: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("L", self.L, above=0)

    def increments(self, distances: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ``-L h`` and ``L h``."""
        return -self.L * distances, self.L * distances

    @property
    def description(self) -> str:
        """The property in words, without its feature."""
        return f"Lipschitz with constant {self.L:g}"
