"""What a certificate keeps for its readers: the worst queries, the lines that are violated most, how it all was made.

Nothing here enters a bound. The worst queries are those that were asked anyway, with the answers looked up again; lines are
evaluated for one row of each feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alignconf._typing import FloatArray
from alignconf.calibration.claim import Calibration
from alignconf.certify.report.origin import model_in_words, versions
from alignconf.certify.report.pictured_line import PicturedLine, lines_of_alignment
from alignconf.certify.tally import Seen
from alignconf.certify.witness import Witness, found_at, largest
from alignconf.projectors.alignment import Alignment
from alignconf.tables import table as tables

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


def evidence_of(alignment: Alignment, calibration: Calibration, seen: Seen | None) -> Evidence:
    """Return what queries have shown of an aligned model; without queries that were kept, only how it was aligned."""
    settings = (
        ("Model", model_in_words(alignment.model)),
        ("Property", repr(alignment.tester.declared)),
        ("Loss", calibration.loss.name),
        ("Calibration rows", str(calibration.n_rows)),
        ("Reference rows", str(calibration.n_reference)),
        ("Repaired", alignment.chain.path),
        ("Promised", calibration.statement),
        *versions(alignment.model),
    )
    if seen is None:
        return Evidence(settings=settings)
    of_functions = seen.sizes.transpose(2, 1, 0, 3)
    delivered, before = _witnesses(alignment, seen, of_functions)
    lines = lines_of_alignment(alignment, seen.half_widths, seen.rows, of_functions[1].max(axis=2), seen.numbers)
    return Evidence(delivered, before, lines, settings)


def _witnesses(alignment: Alignment, seen: Seen, sizes: FloatArray) -> tuple[tuple[Witness, ...], tuple[Witness, ...]]:
    """Return the worst queries to the delivered function and to the model; both are evaluated again at these few rows."""
    positions = np.unique(np.concatenate([largest(sizes[0])[0], largest(sizes[1])[0]]))
    if not positions.size:
        return (), ()
    few, queries, numbers = tables.take(seen.rows, positions), seen.queries.rows(positions), seen.numbers[positions]
    widths = seen.half_widths if np.ndim(seen.half_widths) == 0 else np.asarray(seen.half_widths)[positions]
    delivered = alignment.at_queries(few, queries, lambda answers: answers.delivered(widths))
    before = alignment.at_queries(few, queries, lambda answers: answers.f)
    return (
        found_at(queries.parts, few, delivered, sizes[0][positions], numbers),
        found_at(queries.parts, few, before, sizes[1][positions], numbers),
    )
