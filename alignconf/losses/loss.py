"""A loss says what is counted at a query or a row, and what is promised about this count."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from alignconf._typing import Table
from alignconf.calibration.loss_family import LossFamily
from alignconf.errors import InputError
from alignconf.projectors.alignment import Alignment
from alignconf.queries.row_draws import RowDraws

__all__ = ["Loss"]


def _check_inequalities(alignment: Alignment, name: str) -> None:
    if alignment.tester.is_opaque:
        raise InputError(
            f"loss={name!r} measures how far a query is from being accepted, and {alignment.tester.declared} has a rule "
            "that only says yes or no; use the default loss, 'delivered'."
        )
    for part in alignment.tester.parts:
        if part.tester and part.share_points:
            raise InputError(
                f"loss={name!r} measures pairs and triples one by one, and query_law={part.tester!r} asks for many values at "
                "once; use "
                "query_law='iid'."
            )


class Loss(ABC):
    """A loss says what is counted at a query or a row, and what is promised about this count."""

    #: The quantity of the event that is at most ``alpha``.
    quantity: str = "the expected"
    #: Whether ``alpha`` is a probability.
    is_rate: bool = False
    #: Whether ``alpha`` can be kept with confidence over the calibration draw, not on average only.
    has_confidence: bool = True
    #: Whether parts of a property are measured one by one; otherwise all together.
    per_query: bool = True

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the loss, as users type it."""

    @property
    @abstractmethod
    def event(self) -> str:
        """The event, in words; ``{law}`` stands for the query law, ``{where}`` for what is repaired together."""

    @abstractmethod
    def measure(
        self, alignment: Alignment, table: Table, reference: Table, n_queries: int, draws: RowDraws
    ) -> list[Any]:
        """Return what rows lose, for each part, or once for all parts together.

        Parameters
        ----------
        alignment : Alignment
        table : rows that can be asked about some part
        reference : rows that never calibrate
        n_queries : int
        draws : RowDraws of the rows of the table
            Choose the queries.
        """

    @abstractmethod
    def family(self, measured: Sequence[Any]) -> LossFamily:
        """Return the losses of a conjunction of measured parts."""
