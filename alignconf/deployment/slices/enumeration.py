"""CountedSlices: which slices are tested, and which of them have to be counted for it.

Level by level, a slice is a candidate if all of its parents may have enough rows
(:mod:`alignconf.deployment.slices.lattice`). How many rows are enough, and how many tests there are, follows from the
candidates' numbers of rows (:mod:`alignconf.deployment.slices.significance`). A candidate whose parents leave it, and
everything inside it, too few losses to be found alone is not counted; it stays among the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alignconf.deployment.slices.lattice import SliceCounts, bounded_by_parents, extended, literals
from alignconf.deployment.slices.significance import Population, least_support
from alignconf.deployment.slices.slices_in_partitions import SearchedRows

__all__ = ["SCREEN", "CountedSlices", "found_alone"]

#: Without alpha, slices whose p-value is at most this are worth asking other rows about.
SCREEN = 1e-3


@dataclass(frozen=True, eq=False)
class CountedSlices:
    """The slices that may have enough rows, as far as they had to be counted.

    Parameters
    ----------
    counted : list of SliceCounts
        Level by level.
    support : int
        How many rows are enough.
    n_tested : int
        Slices that have enough rows, or may have and could not be found: the number of tests.
    """

    counted: list[SliceCounts]
    support: int
    n_tested: int

    @classmethod
    def of(
        cls, partitions: SearchedRows, population: Population, alpha: float | None, max_depth: int, min_support: int
    ) -> CountedSlices:
        """Count the slices that may have enough rows.

        Where more rows than ``min_support`` are needed, how many depends on the number of slices with so many rows; it must not
        depend on losses, so that then every slice is counted.
        """
        lattice = cls._level_by_level(partitions, population, alpha, max_depth, min_support, bounds=True)
        if alpha is None or lattice.support == min_support:
            return lattice
        return cls._level_by_level(partitions, population, alpha, max_depth, min_support, bounds=False)

    @classmethod
    def _level_by_level(
        cls,
        partitions: SearchedRows,
        population: Population,
        alpha: float | None,
        max_depth: int,
        min_support: int,
        *,
        bounds: bool,
    ) -> CountedSlices:
        """Count level by level; with bounds, leave out slices that cannot be found and hold none that can."""
        sizes = partitions.bins.sizes
        least = None if alpha is None else population.least_p_values()
        support, threshold = min_support, SCREEN
        counted: list[SliceCounts] = []
        by_level: list[SliceCounts] = []
        for depth in range(min(max_depth, sizes.size)):
            if depth:
                levels = [level.keys for level in by_level]
                at_most = bounded_by_parents(extended(levels, sizes), levels, by_level[-1], sizes)
                worth = np.ones(len(at_most.keys), dtype=bool)
                if bounds:
                    worth = population.best_inside(at_most.n_rows, at_most.losses, support) <= threshold
                counts = partitions.counts(at_most.keys[worth])
                by_level.append(at_most.replaced(worth, counts))
            else:
                counts = partitions.counts(literals(sizes))
                by_level.append(counts)
            counted.append(counts)
            if alpha is not None and least is not None:
                support = least_support(np.concatenate([level.n_rows for level in by_level]), least, alpha, min_support)
                n_tested = sum(int((level.n_rows >= support).sum()) for level in by_level)
                threshold = found_alone(alpha, n_tested)
            by_level[-1] = by_level[-1].take(by_level[-1].n_rows >= support)
            if not len(by_level[-1].keys):
                break
        return cls(counted, support, sum(int((level.n_rows >= support).sum()) for level in by_level))


def found_alone(alpha: float, n_tested: int) -> float:
    """Return the p-value up to which Benjamini and Yekutieli's procedure finds a slice that is alone in being surprising."""
    return alpha / (n_tested * float(np.sum(1.0 / np.arange(1, n_tested + 1)))) if n_tested else 0.0
