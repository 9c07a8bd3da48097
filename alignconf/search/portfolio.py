r"""Three ways to search, one after the other, on one budget.

1. **Screening.** Whole lines of rows, half of them data and half from anywhere in the box, at a few places each: the worst pair of a
   line costs as many model rows as it has places (:mod:`alignconf.search.profiles`). For what is not about lines, single queries.
2. **Differential evolution** [1]_ from the best of them, over columns and places together, by :mod:`scipy.optimize`. Its moves are
   differences of queries that were good, so columns that must move together do.
3. **Polish.** From the best queries of different regions: one column at a time at many values at once, then the whole line again at places
   that are dense around the old ones. It ends with the budget.

On tree ensembles plain coordinate ascent is no better than random queries, because nothing changes within a piece and violations need
several columns to be right. That is what the coordinate search of prompts that is known as ARCA [2]_ amounts to where there is no gradient; what it
has that helps here is to score many candidates of one coordinate in one batch.

References
----------
.. [1] Storn, R. and Price, K. (1997). Differential evolution. Journal of Global Optimization 11, 341-359. doi:10.1023/A:1008202821328
.. [2] Jones, E., Dragan, A., Raghunathan, A. and Steinhardt, J. (2023). Automatically Auditing Large Language Models via Discrete
   Optimization. ICML 2023. arXiv:2303.04381
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import differential_evolution

from alignconf._typing import FloatArray
from alignconf.search.archive import Archive
from alignconf.search.box import BELOW_ONE

__all__ = ["evolve", "polish", "screen"]

#: Places of a line that are asked in screening, and in polish.
SCREEN_PLACES = 8
POLISH_PLACES = 32

#: Values of a column that are tried at once in polish; how many starts it goes round.
POLISH_VALUES = 16
N_STARTS = 20

#: Local moves go this far, or less by a factor of up to the exponential of the other.
NEAR = 0.05
FINER = 5.0

POPULATION = 200

#: What the ranking of a query that cannot be asked counts as; infinities have no differences.
WORST = -1e100


def screen(archive: Archive, data: FloatArray, n_rows: int, random: np.random.Generator) -> None:
    """Ask lines, or single queries, at data and anywhere, for about ``n_rows`` model rows.

    Parameters
    ----------
    archive : Archive
    data : (n_data, n_dims)
        Points whose columns stand for rows of data; their places do not matter.
    n_rows : int
    random : numpy.random.Generator
    """
    target = archive.target
    n_queries = n_rows // (SCREEN_PLACES if target.is_line else target.n_sites)
    if n_queries < 1:
        return
    points = random.uniform(size=(n_queries, target.n_dims))
    some = random.integers(len(data), size=n_queries // 2)
    points[: some.size, : len(target.free)] = data[some, : len(target.free)]
    if target.is_line:
        archive.ask_lines(points, _spread_out(n_queries, SCREEN_PLACES, random))
    else:
        archive.ask(points)


def evolve(archive: Archive, n_rows: int, random: np.random.Generator) -> None:
    """Run differential evolution from the best points known, for at most ``n_rows`` model rows."""
    target = archive.target
    start = archive.points[: min(POPULATION, n_rows // (4 * target.n_sites))]
    if len(start) < 5 or target.n_dims == 0:
        return
    generations = n_rows // (target.n_sites * len(start)) - 1

    def loss(columns: FloatArray) -> FloatArray:
        ranking = archive.ask(np.clip(columns.T, 0.0, BELOW_ONE))
        losses = np.full(columns.shape[1], -WORST)
        losses[: ranking.size] = -np.maximum(ranking, WORST)
        return losses

    differential_evolution(
        loss,
        [(0.0, 1.0)] * target.n_dims,
        strategy="rand1bin",
        maxiter=max(1, generations),
        init=np.clip(start, 0.0, BELOW_ONE),
        tol=0.0,
        polish=False,
        updating="deferred",
        vectorized=True,
        seed=random,
    )


def polish(archive: Archive, random: np.random.Generator) -> None:
    """Improve the best points of different regions in turn until the budget is spent."""
    target = archive.target
    starts, ranking = archive.starts(N_STARTS)
    turn = 0
    while len(starts) and archive.left >= max(POLISH_PLACES, target.n_sites):
        k = turn % len(starts)
        before = target.model.n_rows
        starts[k], ranking[k] = _improved(archive, starts[k].copy(), float(ranking[k]), random)
        turn += 1
        if turn % 5 == 0:
            # Every fifth turn the best query of all takes the place of the next start.
            starts[turn % len(starts)], ranking[turn % len(starts)] = archive.points[0], archive.ranking[0]
        if target.model.n_rows == before:
            return


def _improved(
    archive: Archive, point: FloatArray, ranking: float, random: np.random.Generator
) -> tuple[FloatArray, float]:
    """Return a point that is no worse than a given one: each column in turn, then the places."""
    target = archive.target
    moved = len(target.free) if target.is_line else target.n_dims
    for k in random.permutation(moved):
        tried = _values_to_try(archive, int(k), point[k], random)
        points = np.repeat(point[None], tried.size, axis=0)
        points[:, k] = tried
        found = archive.ask(points)
        if found.size and found.max() > ranking:
            point, ranking = points[found.argmax()], float(found.max())
    if target.is_line:
        near = _near(np.repeat(point[moved:], POLISH_PLACES // 4), random)
        at = np.concatenate([_spread_out(1, POLISH_PLACES, random)[0], point[moved:], near])
        best, points = archive.ask_lines(point[None], at[None])
        if best.size and best[0] > ranking:
            point, ranking = points[0], float(best[0])
    return point, ranking


def _values_to_try(archive: Archive, k: int, own: float, random: np.random.Generator) -> FloatArray:
    """Return coordinates of a column: all of its candidates if they are few, else some anywhere and some near by."""
    target = archive.target
    candidates = target.box.columns[target.free[k]] if k < len(target.free) else target.places[k - len(target.free)]
    if candidates.size is not None and candidates.size <= 2 * POLISH_VALUES:
        return np.asarray((np.arange(candidates.size) + 0.5) / candidates.size)
    near = _near(np.full(POLISH_VALUES // 2, own), random)
    return np.concatenate([_spread_out(1, POLISH_VALUES, random)[0], near])


def _near(points: FloatArray, random: np.random.Generator) -> FloatArray:
    """Return numbers in [0, 1) near given ones, at distances of several orders of magnitude."""
    distances = NEAR * np.exp(-FINER * random.uniform(size=points.size))
    return np.asarray(np.clip(points + distances * random.standard_normal(points.size), 0.0, BELOW_ONE))


def _spread_out(n_lines: int, n_places: int, random: np.random.Generator) -> FloatArray:
    """Return increasing numbers in [0, 1), (n_lines, n_places), one in each of as many equal parts."""
    return np.asarray((np.arange(n_places) + random.uniform(size=(n_lines, n_places))) / n_places)
