"""The promise where a tree ensemble is projected by its own leaves: both ways from the model to its projection.

The population is finite: a few rows with two ordered features of twelve places each, and a free one. A query asks a row about two
places of either feature; whether the delivered function fails is looked up for all of them at once, at the half-width of each
draw, so every violation rate is exact. Answers are those of the delivered function itself, not of the scores.
"""

from __future__ import annotations

from functools import cache, partial
from itertools import combinations

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from alignconf._typing import FloatArray
from alignconf.lines.fitted_model import FittedModel
from alignconf.projectors.alignment import Alignment
from alignconf.projectors.preparation import prepare
from alignconf.properties import declare
from alignconf.tables.predictions import predictions
from benchmarks.simulations.delivered import scores_of
from benchmarks.simulations.modes import Mode, critical

__all__ = ["MODES"]

ALPHA, N_ROWS, N_PLACES, N_POPULATION = 0.1, 59, 12, 40

PLACES = np.arange(N_PLACES, dtype=np.float64)


@cache
def _alignment(path: str) -> Alignment:
    """Return the alignment of a booster that was fitted to noisy rows, with every place equally likely."""
    random = np.random.default_rng(5)
    X = np.column_stack([random.choice(PLACES, (600, 2)), random.normal(size=600)])
    y = X[:, 0] + X[:, 1] + 3 * X[:, 2] + random.normal(scale=12.0, size=600)
    model = HistGradientBoostingRegressor(max_iter=15, learning_rate=0.5, min_samples_leaf=3, random_state=0).fit(X, y)
    reference = np.column_stack([np.tile(PLACES, 50), np.tile(random.permutation(PLACES), 50), random.normal(size=600)])
    prepared = prepare(model, declare({0: 1, 1: 1}), reference, reference, norm="l2", n_knots=64, projector="leaves")
    alignment = prepared.fitted(FittedModel.of(model), "", reference)
    return alignment.leaf_by_leaf() if path == "leaves" else alignment


@cache
def _population() -> FloatArray:
    random = np.random.default_rng(6)
    return np.column_stack([random.choice(PLACES, (N_POPULATION, 2)), random.normal(size=N_POPULATION)])


@cache
def _sites() -> FloatArray:
    """Return every row at every place of either feature, (2 * n_population * n_places, 3)."""
    moved = []
    for feature in (0, 1):
        rows = np.repeat(_population(), N_PLACES, axis=0)
        rows[:, feature] = np.tile(PLACES, N_POPULATION)
        moved.append(rows)
    return np.concatenate(moved)


def _rate(path: str, half_width: float) -> float:
    """Return the share of all queries of which either feature's pair fails, at a half-width: exactly."""
    alignment = _alignment(path)
    sites = _sites()
    f, g = _both(path)
    delivered = alignment.scale.deliver(sites, f, g, half_width)
    values = delivered.reshape(2, N_POPULATION, N_PLACES)
    low, high = np.array(list(combinations(range(N_PLACES), 2))).T
    fails = values[:, :, low] > values[:, :, high] + 1e-9
    # Both features are asked at once, independently: a row passes if both pairs do.
    passing = 1 - fails.mean(axis=2)
    return float(1 - (passing[0] * passing[1]).mean())


@cache
def _both(path: str) -> tuple[FloatArray, FloatArray]:
    alignment = _alignment(path)
    g = alignment.chain.native
    assert g is not None
    return predictions(alignment.function, _sites())[0], predictions(g, _sites())[0]


def _rates(n_draws: int, random: np.random.Generator, *, path: str) -> FloatArray:
    """Return the exact violation rates of calibrations."""
    alignment = _alignment(path)
    rows = _population()[random.integers(N_POPULATION, size=n_draws * N_ROWS)]
    scores = scores_of(alignment, rows, 1, random).reshape(n_draws, N_ROWS, 1)
    half_widths, inverse = np.unique(critical(scores, ALPHA), return_inverse=True)
    return np.array([_rate(path, float(half_width)) for half_width in half_widths])[inverse]


def _mode(path: str, note: str) -> Mode:
    return Mode(f"leaves in order, path {path}", ALPHA, N_ROWS, partial(_rates, path=path), note=note)


MODES = (
    _mode("answer", "a booster of 15 trees, two ordered features asked at once; the answer is clipped to the band"),
    _mode("leaves", "the same; each leaf is moved by at most lambda_"),
)
