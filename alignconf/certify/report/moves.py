"""How far predictions were moved, as counts that a certificate can keep when the rows are gone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alignconf._typing import FloatArray

__all__ = ["Moves", "moves_of", "typical_row"]

#: Moves are counted in at most so many bins of equal width.
N_BINS = 24


@dataclass(frozen=True)
class Moves:
    """Moves in the unit of the prediction, those of exactly zero apart.

    Parameters
    ----------
    edges : tuple of float
        Of the bins, one more than ``counts``; empty where nothing was moved.
    counts : tuple of int
        Moves in each bin.
    n_unmoved : int
        Predictions that are the model's own.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    n_unmoved: int

    @property
    def n_moves(self) -> int:
        """All of them, those of zero too."""
        return sum(self.counts) + self.n_unmoved


def moves_of(moved: FloatArray) -> Moves:
    """Return the moves (n_rows,) or (n_rows, n_outputs), counted."""
    changed = moved[moved != 0]
    if not changed.size:
        return Moves((), (), moved.size)
    # Moves that differ by rounding only have no bins between them.
    differ = np.ptp(changed) > 1e-9 * np.abs(changed).max()
    n_bins = min(N_BINS, max(4, int(np.sqrt(changed.size)))) if differ else 1
    middle = changed.mean()
    ends = None if differ else (middle - abs(middle) / 2, middle + abs(middle) / 2)
    counts, edges = np.histogram(changed, n_bins, ends)
    return Moves(tuple(edges.tolist()), tuple(counts.tolist()), moved.size - changed.size)


def typical_row(moved: FloatArray) -> int | None:
    """Return the position of the row that is moved by the median of those moved, by its farthest output; None where none is."""
    sizes = np.abs(moved) if moved.ndim == 1 else np.abs(moved).max(axis=1)
    changed = np.flatnonzero(sizes)
    if not changed.size:
        return None
    return int(changed[np.argsort(sizes[changed], kind="stable")[(changed.size - 1) // 2]])
