"""The promise of each loss, and what is none: the delivered function, lines, displacement, existence, query laws, bands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

from alignconf import AlignedRegressor
from alignconf._typing import FloatArray
from alignconf.calibration.averages import design_effect
from alignconf.calibration.loss_family import Scores
from alignconf.contract.property import Property
from alignconf.losses.rate import RATES
from alignconf.projectors.alignment import Alignment
from alignconf.projectors.band import Scale
from alignconf.projectors.preparation import prepare
from alignconf.properties import Concave, Increasing
from alignconf.queries.row_draws import RowDraws
from benchmarks.simulations.modes import BREAKS, Mode, critical
from benchmarks.simulations.waves import (
    HEIGHTS,
    PLACES,
    Pieces,
    Wave,
    concave_fit,
    increasing_fit,
    pairs,
    triple_coefficients,
    triples,
    wave_rows,
)

__all__ = ["FIT", "MODES", "REFERENCE", "alignment_of", "scores_of", "thresholds"]

FIT = increasing_fit(HEIGHTS)
REFERENCE = np.column_stack([PLACES, np.ones(PLACES.size)])

#: Rows of a small sample: the promise is about every size.
N_ROWS = 99

#: Rows of a population that calibration rows are drawn from with replacement, so that its rates are exact.
POOL = 100_000

PAIRS = "z h(x) at 12 places, z exponential; pairs of different places"
SIGMA = np.array([0.5, 1.0, 1.5, 2.0, 1.0, 0.7, 1.2, 0.4, 2.5, 1.0, 0.8, 1.6])
RAY = (1.0, 2.5)


@cache
def alignment_of(declared: Property, query_law: str = "iid") -> Alignment:
    """Return the alignment of the wave, every place a knot."""
    return prepare(Wave(), declared, REFERENCE, REFERENCE, norm="l2", n_knots=64, query_law=query_law)


def scores_of(
    alignment: Alignment, rows: FloatArray, n_queries: int, random: np.random.Generator, loss: str = "delivered"
) -> FloatArray:
    """Return the library's scores of rows, (n_samples, n_queries): the largest of all parts."""
    scores: FloatArray = np.maximum.reduce(RATES[loss].scores(alignment, rows, n_queries, RowDraws.of(rows, random)))
    return scores


def _rates(
    n_draws: int,
    random: np.random.Generator,
    *,
    alignment: Callable[[], Alignment],
    truth: Callable[[], Pieces],
    alpha: float,
    n_queries: int = 1,
    loss: str = "delivered",
    confidence: float | None = None,
) -> FloatArray:
    """Return the exact violation rates of calibrations; with a confidence, whether each exceeds ``alpha``."""
    rows = wave_rows(random.exponential(size=n_draws * N_ROWS), random)
    scores = scores_of(alignment(), rows, n_queries, random, loss).reshape(n_draws, N_ROWS, n_queries)
    rates = truth().rate(critical(scores, alpha, confidence))
    return rates if confidence is None else (rates > alpha).astype(np.float64)


def _increasing(query_law: str = "iid") -> Alignment:
    return alignment_of(Increasing(0), query_law)


def _on_ray() -> Alignment:
    return replace(_increasing(), scale=Scale(ray=RAY))


def _concave() -> Alignment:
    return alignment_of(Concave(0))


@cache
def _pairs() -> Pieces:
    return pairs(HEIGHTS, FIT)


def _pairs_on_ray() -> Pieces:
    return pairs(HEIGHTS, FIT, *RAY)


@cache
def _triples() -> Pieces:
    return triples(HEIGHTS, concave_fit(HEIGHTS, PLACES), PLACES)


def _own_existence() -> Pieces:
    """Half the fall of a pair: at a smaller half-width every choice of values fails."""
    falls = np.triu(HEIGHTS[:, None] - HEIGHTS[None, :], 1).clip(0)
    return Pieces.until(falls.ravel() / 2, 2 / (PLACES.size * (PLACES.size - 1)))


@cache
def thresholds() -> FloatArray:
    """Return the half-width from which each pair passes, (n_places, n_places)."""
    found = np.zeros((PLACES.size, PLACES.size))
    for one in range(PLACES.size):
        for other in range(one):
            chosen = [other, one]
            piece = Pieces.of_queries(np.array([[1.0, -1.0]]), HEIGHTS[None, chosen], FIT[None, chosen], 1.0)
            found[one, other] = found[other, one] = piece.end.max(initial=0.0)
    return found


def _along_paths() -> Pieces:
    """The worst pair of each place with the pivots that a binary search for it visits; the first pivot is no place of a query."""
    of_pairs, worst = thresholds(), []
    for place in set(range(PLACES.size)) - {PLACES.size // 2}:
        low, high, pivots = 0, PLACES.size, []
        while place not in pivots:
            pivots.append((low + high) // 2)
            low, high = (low, pivots[-1]) if place < pivots[-1] else (pivots[-1] + 1, high)
        worst.append(max(of_pairs[place, pivot] for pivot in pivots))
    return Pieces.until(np.array(worst), 1 / len(worst))


def _along_lines() -> Pieces:
    return Pieces.until(thresholds().max(keepdims=True).ravel(), 1.0)


def _half_fall() -> Pieces:
    """No increasing line lies in the band while it is narrower than half the largest fall."""
    return Pieces.until(np.array([np.max(np.maximum.accumulate(HEIGHTS) - HEIGHTS) / 2]), 1.0)


def _moves() -> Pieces:
    return Pieces.until(np.abs(FIT - HEIGHTS), 1 / PLACES.size)


def _first_acceptance(n_draws: int, random: np.random.Generator, *, alpha: float) -> FloatArray:
    """Calibrate triples by the half-width that first accepts them, after which some are rejected again."""
    fit = concave_fit(HEIGHTS, PLACES)
    coefficients, chosen = triple_coefficients(PLACES)
    first = np.zeros((PLACES.size,) * 3)
    for weights, at in zip(coefficients, chosen, strict=True):
        piece = Pieces.of_queries(weights[None], HEIGHTS[None, at], fit[None, at], 1.0)
        reached = 0.0
        for start, end in sorted(zip(piece.start, piece.end, strict=True)):
            reached = end if start <= reached + 1e-9 else reached
        first[tuple(at)] = reached
    drawn = np.sort(random.random((n_draws, N_ROWS, PLACES.size)).argsort(axis=2)[:, :, :3], axis=2)
    scores = first[tuple(np.moveaxis(drawn, 2, 0))] * random.exponential(size=(n_draws, N_ROWS))
    return _triples().rate(critical(scores[:, :, None], alpha))


def _scaled(n_draws: int, random: np.random.Generator, *, alpha: float) -> FloatArray:
    """Bands as wide as a difficulty that varies from row to row, ten times, and along the line, six times."""
    units = np.where(random.random(n_draws * N_ROWS) < 0.5, 1.0, 10.0)
    rows = wave_rows(units * random.exponential(size=units.size), random)
    alignment = replace(_increasing(), scale=Scale(difficulty=_difficulty))
    scores = scores_of(alignment, np.column_stack([rows, units]), 1, random).reshape(n_draws, N_ROWS, 1)
    return pairs(HEIGHTS, FIT, SIGMA, SIGMA).rate(critical(scores, alpha))


def _difficulty(X: FloatArray) -> FloatArray:
    sigma: FloatArray = X[:, 2] * SIGMA[np.searchsorted(PLACES, X[:, 0])]
    return sigma


def _from_the_model(n_draws: int, random: np.random.Generator, *, alpha: float) -> FloatArray:
    """The whole way, ``AlignedRegressor.calibrate`` for each draw."""
    aligned = AlignedRegressor(Wave(), {0: 1}, alpha=alpha, n_queries=1, confidence=None)
    found = np.empty(n_draws)
    for draw in range(n_draws):
        rows = wave_rows(random.exponential(size=N_ROWS), random)
        aligned.set_params(random_state=int(random.integers(2**31))).calibrate(rows, X_reference=REFERENCE)
        found[draw] = aligned.lambda_
    return _pairs().rate(found)


def _by_default(n_draws: int, random: np.random.Generator, *, n_rows: int, n_queries: int) -> FloatArray:
    """Return whether calibrations with the default confidence exceed ``alpha = 0.05``; averages where they are of use."""
    alignment = alignment_of(Increasing(0))
    pool = scores_of(alignment, wave_rows(random.exponential(size=POOL), random), n_queries, random)
    effect = design_effect(pool[random.integers(POOL, size=300)], 0.05)
    found = [Scores(pool[random.integers(POOL, size=n_rows)], effect).critical(0.05, 0.95)[0] for _ in range(n_draws)]
    levels = np.sort(pool, axis=None)
    rates = 1 - np.searchsorted(levels, found, side="right") / levels.size
    return (rates > 0.05).astype(np.float64)


def _mode(
    name: str, alpha: float, truth: Callable[[], Pieces], *, note: str = PAIRS, expected: str = "holds", **how: Any
) -> Mode:
    how = {"alignment": _increasing, **how}
    confidence = how.get("confidence")
    target = alpha if confidence is None else round(1 - confidence, 12)
    return Mode(name, target, N_ROWS, partial(_rates, truth=truth, alpha=alpha, **how), expected, note)


CONFIDENT = f"{PAIRS}; counted are calibrations whose rate exceeds alpha"
TRIPLES = "z h(x) concave, 12 places, z exponential; triples of different places"

MODES = (
    _mode("delivered, alpha 0.1", 0.1, _pairs),
    _mode("delivered, alpha 0.05", 0.05, _pairs),
    _mode("delivered, 10 queries a row, alpha 0.1", 0.1, _pairs, n_queries=10),
    _mode("delivered, 10 queries a row, alpha 0.05", 0.05, _pairs, n_queries=10),
    Mode("delivered, from model to lambda_", 0.1, N_ROWS, partial(_from_the_model, alpha=0.1), note=PAIRS),
    _mode("delivered, confidence 0.95, alpha 0.1", 0.1, _pairs, confidence=0.95, note=CONFIDENT),
    _mode("delivered, confidence 0.95, alpha 0.05", 0.05, _pairs, confidence=0.95, note=CONFIDENT),
    *(
        Mode(
            f"the default, {n_rows} rows of {n_queries} queries, alpha 0.05",
            0.05,
            n_rows,
            partial(_by_default, n_rows=n_rows, n_queries=n_queries),
            note="z h(x) at 12 places; counted are calibrations whose rate exceeds alpha",
        )
        for n_rows in (59, 100, 500)
        for n_queries in (1, 10)
    ),
    _mode("delivered, triples", 0.1, _triples, alignment=_concave, note=TRIPLES),
    _mode("line", 0.1, _half_fall, loss="line", note="no increasing line within the band"),
    _mode("displacement", 0.1, _moves, loss="displacement", note="the projection leaves the band at a fresh row"),
    _mode(
        "existence, its own promise", 0.1, _own_existence, loss="existence", note="all values in the band fail a pair"
    ),
    _mode("existence, said of the delivered function", 0.1, _pairs, loss="existence", expected=BREAKS),
    _mode(
        "existence, said of triples delivered",
        0.1,
        _triples,
        alignment=_concave,
        loss="existence",
        expected=BREAKS,
        note=TRIPLES,
    ),
    Mode(
        "first acceptance of triples, not monotone",
        0.1,
        N_ROWS,
        partial(_first_acceptance, alpha=0.1),
        "reported",
        f"{TRIPLES}; some are rejected again further on, and the scores do not know it",
    ),
    _mode("query law: paths", 0.1, _along_paths, alignment=partial(_increasing, "path"), note="binary search paths"),
    _mode("query law: whole lines", 0.1, _along_lines, alignment=partial(_increasing, "line"), note="the whole line"),
    Mode(
        "scaled by difficulty",
        0.1,
        N_ROWS,
        partial(_scaled, alpha=0.1),
        note="pairs; sigma varies tenfold between rows and sixfold along the line",
    ),
    _mode(
        "two-sided band on a ray",
        0.1,
        _pairs_on_ray,
        alignment=_on_ray,
        note=f"pairs; {RAY[0]:g} below to {RAY[1]:g} above",
    ),
)
