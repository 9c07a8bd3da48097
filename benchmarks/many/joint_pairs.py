"""Pairs of rows of which the second may not have the smaller prediction: several features move together.

The second row of a pair is the first with some of the constrained features moved in their declared directions. Missing values
stay missing. What is counted needs no tolerance: the second prediction is smaller or it is not.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

__all__ = ["Pairs", "at_thresholds", "between_rows", "of_one_feature", "on_paths"]

#: Rows of lower and of upper ends, equally many.
Pairs = tuple[pd.DataFrame, pd.DataFrame]


def between_rows(X: pd.DataFrame, signs: Mapping[str, int], n_pairs: int, random: np.random.Generator) -> Pairs:
    """Return pairs of a row and the same row with features moved up to places of other rows.

    How many features may move is uniform between one and all of them; each has a row of its own that gives the place, and stays
    where that lies below.
    """
    low = X.iloc[random.integers(len(X), size=n_pairs)].reset_index(drop=True)
    high = low.copy()
    moves = _moving(len(signs), n_pairs, random)
    for (name, sign), moved in zip(signs.items(), moves.T, strict=True):
        places = X[name].to_numpy()[random.integers(len(X), size=n_pairs)]
        places = np.where(np.isnan(places), low[name], places)
        high[name] = np.where(moved, sign * np.maximum(sign * low[name], sign * places), low[name])
    return low, high


def at_thresholds(
    X: pd.DataFrame,
    signs: Mapping[str, int],
    thresholds: Mapping[str, np.ndarray],
    n_pairs: int,
    random: np.random.Generator,
    *,
    is_single: bool,
) -> Pairs:
    """Return pairs of rows that lie at thresholds of the model: on them, or the next number to either side.

    ``is_single`` says whether the model compares numbers of single precision, whose next numbers are then meant.
    """
    low = X.iloc[random.integers(len(X), size=n_pairs)].reset_index(drop=True)
    high = low.copy()
    moves = _moving(len(signs), n_pairs, random)
    for (name, sign), moved in zip(signs.items(), moves.T, strict=True):
        if not thresholds[name].size:
            continue
        kind = np.float32 if is_single else np.float64
        place = random.choice(thresholds[name], n_pairs).astype(kind)
        near = np.stack([np.nextafter(place, kind(-np.inf)), place, np.nextafter(place, kind(np.inf))]).astype(float)
        ends = np.sort(sign * np.take_along_axis(near, random.integers(3, size=(2, n_pairs)), axis=0), axis=0) * sign
        moved = moved & ~np.isnan(low[name].to_numpy())
        low[name], high[name] = np.where(moved, ends[0], low[name]), np.where(moved, ends[1], high[name])
    return low, high


def on_paths(
    X: pd.DataFrame, signs: Mapping[str, int], n_pairs: int, random: np.random.Generator, *, n_steps: int = 400
) -> Pairs:
    """Return pairs of neighbours on dense lines along which rows rise, one feature or all of them together.

    Half of the lines are evenly spaced along one feature; on the others every feature rises at a pace of its own.
    """
    n_paths = n_pairs // n_steps
    start = X.iloc[random.integers(len(X), size=n_paths)].reset_index(drop=True)
    path = start.loc[np.repeat(np.arange(n_paths), n_steps + 1)].reset_index(drop=True)
    single = random.integers(len(signs), size=n_paths)
    for i, (name, sign) in enumerate(signs.items()):
        low, high = float(X[name].min()), float(X[name].max())
        places = np.sort(random.uniform(low, high, (n_paths, n_steps + 1)), axis=1)
        places[::2] = np.linspace(low, high, n_steps + 1)
        places = places[:, ::sign]
        moved = (np.arange(n_paths) % 2 == 1) | (single == i)
        moved &= ~np.isnan(start[name].to_numpy())
        path[name] = np.where(moved[:, None], places, start[name].to_numpy()[:, None]).ravel()
    last = np.arange(len(path)) % (n_steps + 1) == n_steps
    first = np.arange(len(path)) % (n_steps + 1) == 0
    return path[~last].reset_index(drop=True), path[~first].reset_index(drop=True)


def of_one_feature(
    X: pd.DataFrame, reference: pd.DataFrame, signs: Mapping[str, int], random: np.random.Generator
) -> Pairs:
    """Return, for each row that has a constrained feature, a pair at two reference rows' places of one of these."""
    names = np.array(list(signs))
    has = X[names].notna().to_numpy()
    low = X[has.any(axis=1)].reset_index(drop=True)
    drawn = np.where(has[has.any(axis=1)], random.random((len(low), names.size)), -1).argmax(axis=1)
    high = low.copy()
    for i, (name, sign) in enumerate(signs.items()):
        rows = np.flatnonzero(drawn == i)
        places = sign * np.sort(sign * random.choice(reference[name].dropna().to_numpy(), (rows.size, 2)), axis=1)
        low.loc[rows, name], high.loc[rows, name] = places[:, 0], places[:, 1]
    return low, high


def _moving(n_features: int, n_pairs: int, random: np.random.Generator) -> np.ndarray:
    """Return which features move, (n_pairs, n_features): a random set of a size that is uniform."""
    rank = random.random((n_pairs, n_features)).argsort(axis=1)
    moving: np.ndarray = rank < random.integers(1, n_features + 1, size=(n_pairs, 1))
    return moving
