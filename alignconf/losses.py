"""What counts as a violation: the four losses that can be calibrated.

Each turns rows into scores, (n_samples, n_queries) critical half-widths, and says in words which event its guarantee is
about. ``"delivered"`` is about the function that users call, ``"line"`` and ``"displacement"`` about one member of the
property in the band, ``"existence"`` about the published construction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from alignconf import scores
from alignconf._typing import FloatArray, Table
from alignconf.alignment import Alignment
from alignconf.errors import InputError
from alignconf.queries import PartQueries

__all__ = ["LOSSES", "Loss"]


@dataclass(frozen=True)
class Loss:
    """One way to count violations.

    Parameters
    ----------
    name : str
    per_query : bool
        Whether it has a score for each query; otherwise one for each row.
    event : str
        What happens with probability at most ``alpha``, in words; ``{law}`` stands for the query law, ``{where}`` for what
        the property is repaired on together.
    scores : callable
        From the alignment, rows without missing constrained features, the number of queries and a generator to
        critical half-widths, (n_samples, n_queries).
    """

    name: str
    per_query: bool
    event: str
    scores: Callable[[Alignment, Table, int, np.random.Generator], FloatArray]


def _delivered(alignment: Alignment, table: Table, n_queries: int, random: np.random.Generator) -> FloatArray:
    queries = alignment.draw(table, n_queries, random)
    worst: FloatArray = np.max(alignment.at_queries(table, queries, scores.delivered), axis=0)
    return alignment.rounded_up(worst)


def _existence(alignment: Alignment, table: Table, n_queries: int, random: np.random.Generator) -> FloatArray:
    if alignment.is_opaque:
        raise InputError(
            f"loss='existence' asks which values within the band are accepted, and {alignment.declared} has a rule that only "
            "says yes or no; use the default loss, 'delivered'."
        )

    def score(asked: PartQueries, f: FloatArray, _: FloatArray, rounding: FloatArray) -> FloatArray:
        return scores.existence(asked, f, rounding)

    queries = alignment.draw(table, n_queries, random)
    worst: FloatArray = np.max(alignment.at_queries(table, queries, score), axis=0)
    return worst


def _line(alignment: Alignment, table: Table, _: int, __: np.random.Generator) -> FloatArray:
    _check_together(alignment, "line")
    return alignment.half_widths(table)[:, None]


def _displacement(alignment: Alignment, table: Table, _: int, __: np.random.Generator) -> FloatArray:
    _check_together(alignment, "displacement")
    f, g = alignment.predict(table)
    return np.where(alignment.repaired_exactly(table), np.abs(g - f), np.inf)[:, None]


def _check_together(alignment: Alignment, loss: str) -> None:
    if alignment.where is None:
        raise InputError(
            f"loss={loss!r} needs to know on which points one function has the property, which is not known for "
            f"{alignment.declared} (a surrogate, a rule that only says yes or no, or lines and orbits together); use the "
            "default loss, 'delivered'."
        )


#: By the name that users type.
LOSSES = {
    loss.name: loss
    for loss in (
        Loss("delivered", True, "the delivered function violates a fresh query ({law})", _delivered),
        Loss(
            "line",
            False,
            "no single function within the band has the property {where}",
            _line,
        ),
        Loss(
            "displacement",
            False,
            "the delivered function differs at a fresh row from the projection, which is one function, or the projection "
            "lacks the property {where}",
            _displacement,
        ),
        Loss(
            "existence",
            True,
            "a fresh query ({law}) is failed by every choice of values within the band (the choice may differ from "
            "query to query, so this does not bound the violations of the delivered function)",
            _existence,
        ),
    )
}
