"""Rates of violations: the four losses that have names.

Each turns rows into critical half-widths and promises that something happens with probability at most ``alpha``.
``"delivered"`` is about the function that users call, ``"line"`` and ``"displacement"`` about one member of the property in
the band, ``"existence"`` about the published construction.

References
----------
.. [1] Overman, W., Vallon, J. J. and Bayati, M. (2024). Aligning Model Properties via Conformal Risk Control.
   NeurIPS 2024. arXiv:2406.18777
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, Table
from alignconf.calibration.loss_family import Scores
from alignconf.errors import InputError
from alignconf.losses.critical_half_width import delivered, existence
from alignconf.losses.loss import Loss
from alignconf.projectors.alignment import Alignment
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.checks import check_choice

__all__ = ["RATES", "RateLoss", "read_loss"]


@dataclass(frozen=True)
class RateLoss(Loss):
    """One way to count violations.

    Parameters
    ----------
    label : str
        The name of the loss, as users type it.
    happening : str
        What happens with probability at most ``alpha``, in words; ``{law}`` stands for the query law, ``{where}`` for what
        the property is repaired on together.
    scores : callable
        From the alignment, rows that can be asked about some part, the number of queries and the rows' draws to
        critical half-widths, (n_samples, n_queries): for each part, or once for all of them.
    per_query : bool
        Whether it has scores for each query of each part; otherwise one for each row, of all parts together.
    """

    label: str
    happening: str
    scores: Callable[[Alignment, Table, int, RowDraws], list[FloatArray]]
    per_query: bool = True

    quantity = "the probability that"
    is_rate = True

    @property
    def name(self) -> str:
        """The name of the loss, as users type it."""
        return self.label

    @property
    def event(self) -> str:
        """The event, in words."""
        return self.happening

    def measure(
        self,
        alignment: Alignment,
        table: Table,
        reference: Table,
        n_queries: int,
        draws: RowDraws,
    ) -> list[FloatArray]:
        """Return critical half-widths, (n_samples, n_queries) each."""
        return self.scores(alignment, table, n_queries, draws)

    def family(self, measured: Sequence[FloatArray]) -> Scores:
        """Return the scores of a conjunction: the largest of any part."""
        return Scores(measured[0] if len(measured) == 1 else np.maximum.reduce(list(measured)))


@dataclass(frozen=True)
class DeliveredScores:
    """The half-widths beyond which the delivered function passes each query."""

    def __call__(self, alignment: Alignment, table: Table, n_queries: int, draws: RowDraws) -> list[FloatArray]:
        """Return critical half-widths, (n_samples, n_queries) each."""
        queries = alignment.tester.draw(table, n_queries, draws)
        return [alignment.tester.rounded_up(scores) for scores in alignment.at_queries(table, queries, delivered)]


@dataclass(frozen=True)
class ExistenceScores:
    """The half-widths at which some values in the band pass each query."""

    def __call__(self, alignment: Alignment, table: Table, n_queries: int, draws: RowDraws) -> list[FloatArray]:
        """Return critical half-widths, (n_samples, n_queries) each."""
        if alignment.tester.is_opaque:
            raise InputError(
                f"loss='existence' asks which values within the band are accepted, and {alignment.tester.declared} has a rule "
                "that only says yes or no; use the default loss, 'delivered'."
            )
        for part in alignment.tester.parts:
            if part.share_points:
                asked = f"query_law={part.tester!r}: use query_law='iid'," if part.tester else f"{part}: leave it out,"
                raise InputError(
                    "loss='existence' is computed for each pair or triple by itself, and the demands of a query share points "
                    f"with {asked} or use the default loss, 'delivered'."
                )
        queries = alignment.tester.draw(table, n_queries, draws)
        return alignment.at_queries(table, queries, existence)


@dataclass(frozen=True)
class LineScores:
    """The half-widths at which one member exists on all that is projected together."""

    def __call__(self, alignment: Alignment, table: Table, _: int, __: RowDraws) -> list[FloatArray]:
        """Return critical half-widths, (n_samples, n_queries) each."""
        _check_together(alignment, "line")
        if alignment.scale.difficulty is not None:
            raise InputError(
                "loss='line' asks for the smallest band that holds a member on the whole line, which is computed for a band of "
                "one width; use the default loss, 'delivered', or leave difficulty out."
            )
        return [alignment.half_widths(table)[:, None] / min(alignment.scale.ray)]


@dataclass(frozen=True)
class DisplacementScores:
    """How far the projection moves rows, infinite where it lacks the property."""

    def __call__(self, alignment: Alignment, table: Table, _: int, __: RowDraws) -> list[FloatArray]:
        """Return critical half-widths, (n_samples, n_queries) each."""
        _check_together(alignment, "displacement")
        f, g = alignment.predict(table)
        size = (np.abs(g - f) / alignment.scale.at_rows(table, g - f)).reshape(len(f), -1).max(axis=1)
        return [np.where(alignment.repaired_exactly(table), size, np.inf)[:, None]]


def _check_together(alignment: Alignment, loss: str) -> None:
    if alignment.chain.where is None:
        raise InputError(
            f"loss={loss!r} needs to know on which points one function has the property, which is not known for "
            f"{alignment.tester.declared} (a surrogate, a rule that only says yes or no, or lines and orbits together); use the "
            "default loss, 'delivered'."
        )


#: By the names that users type.
RATES = {
    loss.name: loss
    for loss in (
        RateLoss("delivered", "the delivered function violates a fresh query ({law})", DeliveredScores()),
        RateLoss("line", "no single function within the band has the property {where}", LineScores(), per_query=False),
        RateLoss(
            "displacement",
            "the delivered function differs at a fresh row from the projection, which is one function, or the projection "
            "lacks the property {where}",
            DisplacementScores(),
            per_query=False,
        ),
        RateLoss(
            "existence",
            "a fresh query ({law}) is failed by every choice of values within the band (the choice may differ from "
            "query to query, so this does not bound the violations of the delivered function)",
            ExistenceScores(),
        ),
    )
}


def read_loss(loss: Any) -> Loss:
    """Return the loss that a user named, or the loss that a user gave.

    Raises
    ------
    InputError
        If no loss has the name.
    """
    return loss if isinstance(loss, Loss) else RATES[check_choice("loss", loss, tuple(RATES))]
