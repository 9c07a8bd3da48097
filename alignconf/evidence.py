"""What a certificate keeps for its readers: the worst queries, the lines that are violated most, how it all was made.

Nothing here enters a bound. The worst queries are those that were asked anyway, with the answers looked up again; lines are
evaluated for one row of each feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alignconf import _tables
from alignconf._typing import FloatArray, IntArray, Table
from alignconf.alignment import Alignment
from alignconf.calibration import Calibration
from alignconf.origin import model_in_words, versions
from alignconf.pictured_line import PicturedLine, lines_of_alignment
from alignconf.queries import Queries
from alignconf.witness import Witness, found_at, largest

__all__ = ["Evidence", "evidence_of"]


@dataclass(frozen=True)
class Evidence:
    """What a certificate keeps for its readers.

    Parameters
    ----------
    witnesses, witnesses_before : tuple of Witness
        The most violated queries to the delivered function, and to the model before alignment; the worst first.
    lines : tuple of PicturedLine
        For each feature along which queries are asked, the line of the row that the model violates most.
    settings : tuple of (str, str)
        How it was aligned, and with which versions.
    """

    witnesses: tuple[Witness, ...] = ()
    witnesses_before: tuple[Witness, ...] = ()
    lines: tuple[PicturedLine, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


def evidence_of(
    alignment: Alignment,
    calibration: Calibration,
    half_widths: float | FloatArray,
    rows: Table,
    queries: Queries,
    sizes: FloatArray,
    numbers: IntArray,
) -> Evidence:
    """Return what queries have shown of an aligned model.

    Parameters
    ----------
    alignment : Alignment
    calibration : Calibration
    half_widths : float or (n_samples,)
    rows : Table of n_samples rows
        Those that were asked.
    queries : Queries at the rows
    sizes : (n_parts, n_samples, 3, n_queries)
        How far each query is from being accepted by the delivered function, the model and the projection.
    numbers : (n_samples,)
        Positions of the rows in the users' table.
    """
    of_functions = sizes.transpose(2, 1, 0, 3)
    delivered, before = _witnesses(alignment, half_widths, rows, queries, of_functions, numbers)
    settings = (
        ("Model", model_in_words(alignment.model)),
        ("Property", repr(alignment.declared)),
        ("Loss", calibration.loss),
        ("Calibration rows", str(calibration.n_rows)),
        ("Reference rows", str(calibration.n_reference)),
        ("Repaired", alignment.path),
        ("Promised", calibration.statement),
        *versions(alignment.model),
    )
    lines = lines_of_alignment(alignment, half_widths, rows, of_functions[1].max(axis=2), numbers)
    return Evidence(delivered, before, lines, settings)


def _witnesses(
    alignment: Alignment,
    half_widths: float | FloatArray,
    rows: Table,
    queries: Queries,
    sizes: FloatArray,
    numbers: IntArray,
) -> tuple[tuple[Witness, ...], tuple[Witness, ...]]:
    """Return the worst queries to the delivered function and to the model; the few rows they are at are evaluated again."""
    chosen = np.unique(np.concatenate([largest(sizes[0])[0], largest(sizes[1])[0]]))
    if not chosen.size:
        return (), ()
    few, at = _tables.take(rows, chosen), queries.rows(chosen)
    widths = half_widths if np.ndim(half_widths) == 0 else np.asarray(half_widths)[chosen]
    delivered = alignment.at_queries(few, at, lambda answers: answers.delivered(widths))
    before = alignment.at_queries(few, at, lambda answers: answers.f)
    return (
        found_at(at.parts, few, delivered, sizes[0][chosen], numbers[chosen]),
        found_at(at.parts, few, before, sizes[1][chosen], numbers[chosen]),
    )
