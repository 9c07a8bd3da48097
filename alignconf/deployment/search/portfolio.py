"""Three ways to search, one after the other, on one budget.

1. **Screening.** Whole lines of rows, half of them data and half from anywhere in the box, at a few places each: the worst
   pair of a line costs as many model rows as it has places (:mod:`alignconf.deployment.search.profiles`). For what is not
   about lines, single queries.
2. **Differential evolution** [1]_ from the best of them, over columns and places together, by :mod:`scipy.optimize`. Its
   moves are differences of queries that were good, so columns that must move together do.
3. **Polish.** From the best queries of different regions: one column at a time at many values at once, then the whole line
   again at places that are dense around the old ones. It ends with the budget. Where the model tells its gradient, some moves
   uphill come first (:mod:`alignconf.deployment.search.uphill`), and fewer values are tried.

On tree ensembles plain coordinate ascent is little better than random queries, because nothing changes within a piece and
violations need several columns to be right. That is what the coordinate search of prompts known as ARCA [2]_ amounts to
where there is no gradient; what it has that helps there is to score many candidates of one coordinate in one batch.

References
----------
.. [1] Storn, R. and Price, K. (1997). Differential evolution. Journal of Global Optimization 11, 341-359.
   doi:10.1023/A:1008202821328
.. [2] Jones, E., Dragan, A., Raghunathan, A. and Steinhardt, J. (2023). Automatically Auditing Large Language Models via
   Discrete Optimization. ICML 2023. arXiv:2303.04381
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import differential_evolution

from alignconf._typing import FloatArray, IntArray
from alignconf.deployment.search.archive import Archive
from alignconf.deployment.search.box import BELOW_ONE
from alignconf.deployment.search.uphill import GRADIENT_ROWS, N_LENGTHS, Gradient, uphill

__all__ = ["evolve", "polish", "screen"]

#: Places of a line that are asked in screening, and in polish.
SCREEN_PLACES = 8
POLISH_PLACES = 32

#: In polish: starts at the beginning if the budget lasts for ``ROUNDS``, and moves uphill from each before its columns are tried.
N_STARTS = 40
ROUNDS = 2
CLIMBS = 5

#: With a gradient, a round that improves the best by a smaller share than this is the last.
STALLED = 1e-3

#: Local moves go about ``NEAR`` far, or less by a factor of up to ``exp(FINER)``.
NEAR = 0.05
FINER = 5.0

POPULATION = 200

#: What the ranking of a query that cannot be asked counts as; infinities have no differences.
WORST = -1e100


@dataclass(frozen=True)
class _Sweep:
    """How columns are tried: ``n_values`` of a column at once, for no fewer than ``n_points`` points."""

    n_values: int
    n_points: int


#: Without a gradient the values that are tried must find the way; with one they only try what it does not tell.
BLIND = _Sweep(16, 8)
STEERED = _Sweep(8, 4)


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


def polish(archive: Archive, random: np.random.Generator, gradient: Gradient | None = None) -> None:
    """Improve the best points of different regions until the budget is spent; the worse half drops out each time.

    With a gradient it ends, too, where that leads no farther.
    """
    target, sweep = archive.target, BLIND if gradient is None else STEERED
    cost = 2 * sweep.n_values * target.n_sites * target.n_dims
    points, ranking = archive.starts(min(N_STARTS, max(sweep.n_points, archive.left // (ROUNDS * cost))))
    while len(points) and archive.left >= max(POLISH_PLACES, target.n_sites):
        before, reached = target.model.n_rows, ranking.max()
        if gradient is not None:
            points, ranking = _climbed(archive, points, ranking, gradient)
        points, ranking = _improved(archive, points, ranking, sweep.n_values, random)
        best = np.argsort(-ranking, kind="stable")[: max(sweep.n_points, len(ranking) // 2)]
        points, ranking = points[best], ranking[best]
        if target.model.n_rows == before or (
            gradient is not None and ranking.max() - reached <= STALLED * abs(reached)
        ):
            return


def _climbed(
    archive: Archive, points: FloatArray, ranking: FloatArray, gradient: Gradient
) -> tuple[FloatArray, FloatArray]:
    """Return points, (n_points, n_dims), that are no worse than given ones: some moves uphill from each."""
    of_point = np.repeat(np.arange(len(points)), N_LENGTHS)
    for _ in range(CLIMBS):
        if archive.left < (1 + GRADIENT_ROWS) * archive.target.n_sites * len(points):
            break
        moves = uphill(archive.target, gradient, points).reshape(len(of_point), -1)
        before = ranking
        points, ranking = _better(points, ranking, moves, archive.ask(moves), of_point)
        if np.array_equal(ranking, before):
            break
    return points, ranking


def _improved(
    archive: Archive, points: FloatArray, ranking: FloatArray, n_values: int, random: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return points, (n_points, n_dims), that are no worse than given ones: each column in turn, then the places."""
    target = archive.target
    moved = len(target.free) if target.is_line else target.n_dims
    for k in random.permutation(moved):
        tried = [_values_to_try(archive, int(k), coordinate, n_values, random) for coordinate in points[:, k]]
        moves = np.repeat(points, [values.size for values in tried], axis=0)
        moves[:, k] = np.concatenate(tried)
        of_point = np.repeat(np.arange(len(points)), [values.size for values in tried])
        points, ranking = _better(points, ranking, moves, archive.ask(moves), of_point)
    if target.is_line:
        places = np.stack([_places_to_try(point[moved:], random) for point in points])
        worst_ranking, worst = archive.ask_lines(points, places)
        points, ranking = _better(points, ranking, worst, worst_ranking, np.arange(len(points)))
    return points, ranking


def _better(
    points: FloatArray, ranking: FloatArray, moves: FloatArray, move_ranking: FloatArray, of_point: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return each point, or the best of its moves where that is better; moves that the budget did not allow have no ranking."""
    points, ranking = points.copy(), ranking.copy()
    for k in np.argsort(move_ranking, kind="stable"):
        point = of_point[k]
        if move_ranking[k] > ranking[point]:
            points[point], ranking[point] = moves[k], move_ranking[k]
    return points, ranking


def _places_to_try(places: FloatArray, random: np.random.Generator) -> FloatArray:
    """Return places of a line: some anywhere, the query's own, and some near these."""
    near = _near(np.repeat(places, POLISH_PLACES // 4), random)
    return np.concatenate([_spread_out(1, POLISH_PLACES, random)[0], places, near])


def _values_to_try(
    archive: Archive, k: int, coordinate: float, n_values: int, random: np.random.Generator
) -> FloatArray:
    """Return coordinates of a column: all of its candidates if they are few, else some anywhere and some near by."""
    candidates = archive.target.candidates[k]
    if candidates.size is not None and candidates.size <= 2 * n_values:
        return np.asarray((np.arange(candidates.size) + 0.5) / candidates.size)
    near = _near(np.full(n_values // 2, coordinate), random)
    return np.concatenate([_spread_out(1, n_values, random)[0], near])


def _near(points: FloatArray, random: np.random.Generator) -> FloatArray:
    """Return numbers in [0, 1) near given ones, at distances of several orders of magnitude."""
    distances = NEAR * np.exp(-FINER * random.uniform(size=points.size))
    return np.asarray(np.clip(points + distances * random.standard_normal(points.size), 0.0, BELOW_ONE))


def _spread_out(n_lines: int, n_places: int, random: np.random.Generator) -> FloatArray:
    """Return increasing numbers in [0, 1), (n_lines, n_places), one in each of as many equal parts."""
    return np.asarray((np.arange(n_places) + random.uniform(size=(n_lines, n_places))) / n_places)
