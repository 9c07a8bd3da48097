"""Boosted models whose violation probabilities are known exactly: every cell of the grid of their thresholds is visited.

Four uniform columns, a binary one and one of four values, independent; a response that rises in column 0 except in a small
region; 60 trees of depth 3, fitted to values rounded to sixteenths so that there are few cells. A query is a pair of places of
column 0 at a row: its margin is constant on products of cells, whose probabilities multiply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import uniform
from sklearn.ensemble import GradientBoostingRegressor

from alignconf._typing import FloatArray
from alignconf.deployment.input_law import InputLaw

__all__ = ["Enumerated", "boosted", "law"]

BINARY = {0.0: 0.6, 1.0: 0.4}
FOUR = {0.0: 0.4, 1.0: 0.3, 2.0: 0.2, 3.0: 0.1}


def law() -> InputLaw:
    """The law of the rows."""
    return InputLaw.declared({**dict.fromkeys(range(4), uniform(0, 1)), 4: BINARY, 5: FOUR})


@dataclass(frozen=True)
class Enumerated:
    """A model, rows that give the places, and the exact law of its margins.

    Parameters
    ----------
    model : fitted regressor
    X_reference : (n_reference, 6)
    margins : (n_values,)
        Distinct margins, growing.
    beyond : (n_values,)
        Probability that a margin is larger than each.
    """

    model: Any
    X_reference: FloatArray
    margins: FloatArray
    beyond: FloatArray

    def threshold(self, probability: float) -> tuple[float, float]:
        """Return a size that is exceeded with about a probability, half way between two margins, and the exact probability."""
        at = int(np.argmin(np.abs(np.log(np.maximum(self.beyond[:-1], 1e-300)) - np.log(probability))))
        return float((self.margins[at] + self.margins[at + 1]) / 2), float(self.beyond[at])


def boosted(seed: int, n_rows: int = 6000) -> Enumerated:
    """Fit a model and enumerate it."""
    random = np.random.default_rng([77, seed])
    rows = law().sample(n_rows, random_state=random)
    centre = random.uniform(0.3, 0.7, 3)
    inside = (np.abs(rows[:, 1:4] - centre) < 0.15).all(axis=1) & (rows[:, 4] == 1)
    wave = np.sin(2 * np.pi * rows[:, 0]) * inside
    response = rows[:, 0] + rows[:, 1] * rows[:, 2] + 0.2 * rows[:, 5] - 2 * wave + random.normal(0, 0.3, n_rows)
    model = GradientBoostingRegressor(n_estimators=60, max_depth=3, learning_rate=0.2, random_state=seed)
    model.fit(np.column_stack([np.round(rows[:, :4] * 16) / 16, rows[:, 4:]]), response)
    reference = law().sample(1000, random_state=random)
    margins, masses = _enumerate(model, reference)
    values, at = np.unique(np.round(margins, 9), return_inverse=True)
    total: FloatArray = np.asarray(np.bincount(at.ravel(), weights=masses), dtype=np.float64)
    beyond = np.cumsum(total[::-1])[::-1] - total
    return Enumerated(model, reference, values, beyond)


def _enumerate(model: Any, reference: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return every margin above 0 and its probability, and 0 with that of all others."""
    cells = [_cells(model, column) for column in range(4)]
    cells += [(np.array(list(one)), np.array(list(one.values()))) for one in (BINARY, FOUR)]
    edges = np.append(_thresholds(model, 0), np.inf)
    at = np.searchsorted(edges, reference[:, 0].astype(np.float32))
    places = np.bincount(at, minlength=edges.size) / len(reference)
    others = np.stack([one.ravel() for one in np.meshgrid(*(cell for cell, _ in cells[1:]), indexing="ij")], axis=1)
    mass = np.ones(1)
    for _, shares in cells[1:]:
        mass = np.multiply.outer(mass, shares).ravel()
    values = np.stack([model.predict(np.column_stack([np.full(len(others), place), others])) for place in cells[0][0]])
    margins, masses = [np.zeros(1)], [np.array([float((places**2).sum())])]
    for low in range(places.size):
        for high in range(low + 1, places.size):
            excess = values[low] - values[high]
            violated = excess > 0
            pair = 2 * places[low] * places[high] * mass
            margins += [excess[violated], np.zeros(1)]
            masses += [pair[violated], np.array([pair[~violated].sum()])]
    return np.concatenate(margins), np.concatenate(masses)


def _thresholds(model: Any, column: int) -> FloatArray:
    trees = [tree.tree_ for tree in model.estimators_.ravel()]
    found: FloatArray = np.unique(np.concatenate([tree.threshold[tree.feature == column] for tree in trees]))
    return found


def _cells(model: Any, column: int) -> tuple[FloatArray, FloatArray]:
    """Return a point in each cell of a uniform column, and the cells' probabilities."""
    edges = np.concatenate([[0.0], np.clip(_thresholds(model, column), 0, 1), [1.0]])
    return (edges[1:] + edges[:-1]) / 2, np.diff(edges)
