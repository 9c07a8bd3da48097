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

__all__ = ["LOSSES", "Loss"]


@dataclass(frozen=True)
class Loss:
    """One way to count violations.

    Parameters
    ----------
    name : str
    per_query : bool
        Whether it has scores for each query of each part; otherwise one for each row, of all parts together.
    event : str
        What happens with probability at most ``alpha``, in words; ``{law}`` stands for the query law, ``{where}`` for what
        the property is repaired on together.
    scores : callable
        From the alignment, rows without missing constrained features, the number of queries and a generator to
        critical half-widths, (n_samples, n_queries): for each part, or once for all of them.
    """

    name: str
    per_query: bool
    event: str
    scores: Callable[[Alignment, Table, int, np.random.Generator], list[FloatArray]]


def _delivered(alignment: Alignment, table: Table, n_queries: int, random: np.random.Generator) -> list[FloatArray]:
    queries = alignment.draw(table, n_queries, random)
    return [alignment.rounded_up(found) for found in alignment.at_queries(table, queries, scores.delivered)]


def _existence(alignment: Alignment, table: Table, n_queries: int, random: np.random.Generator) -> list[FloatArray]:
    if alignment.is_opaque:
        raise InputError(
            f"loss='existence' asks which values within the band are accepted, and {alignment.declared} has a rule that only "
            "says yes or no; use the default loss, 'delivered'."
        )
    for asked in alignment.asked:
        if asked.arguments is not None:
            raise InputError(
                f"loss='existence' is computed for each pair or triple by itself, and the demands of a query share points with "
                f"query_law={asked.tester!r}: use query_law='iid', or the default loss, 'delivered'."
            )
    queries = alignment.draw(table, n_queries, random)
    return alignment.at_queries(table, queries, scores.existence)


def _line(alignment: Alignment, table: Table, _: int, __: np.random.Generator) -> list[FloatArray]:
    _check_together(alignment, "line")
    if alignment.scale.difficulty is not None:
        raise InputError(
            "loss='line' asks for the smallest band that holds a member on the whole line, which is computed for a band of one "
            "width; use the default loss, 'delivered', or leave difficulty out."
        )
    return [alignment.half_widths(table)[:, None] / min(alignment.scale.ray)]


def _displacement(alignment: Alignment, table: Table, _: int, __: np.random.Generator) -> list[FloatArray]:
    _check_together(alignment, "displacement")
    f, g = alignment.predict(table)
    size = np.abs(g - f) / alignment.scale.towards(g - f, alignment.scale.sigma(table))
    return [np.where(alignment.repaired_exactly(table), size, np.inf)[:, None]]


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
