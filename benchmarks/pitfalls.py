"""What becomes of the promise where its assumption is broken: violation rates in place of a promised ``alpha`` of 10 %.

Each line breaks one assumption and keeps the others; next to it stands the same calibration as it should be. Rates are means over
calibrations, of fresh queries at fresh rows, with their standard errors.

* *rows reused*: the rows that trained the model calibrate it (one nearest neighbour, with two losses, and a forest);
* *reference rows reused*: the rows that give knots, weights and reference law calibrate as well;
* *one draw shared*: all calibration rows are asked about the same two places;
* *searched witnesses*: every calibration row is asked about its worst pair of places;
* *half-widths chosen together*: of all pairs of half-widths that pass, the one with the smallest sum is taken; losses are coin
  tosses on a falling line of such pairs, the case for which :math:`p (1 - (1 - q)^M)` is the rate.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.ensemble import RandomForestRegressor
from sklearn.neighbors import KNeighborsRegressor

from alignconf import AlignedRegressor
from alignconf.calibration.ranks import allowed_above, critical_half_width
from alignconf.errors import RepeatedRowsWarning
from benchmarks.tables import markdown, write_json

__all__ = ["chosen_together_rate", "rates", "run"]

Floats: TypeAlias = NDArray[np.float64]

ALPHA = 0.1

#: Calibrations that fit no model are repeated this many times as often.
CHEAPER = 10

#: Calibration rows, fresh rows for each calibration, features of the rows.
N_ROWS, N_FRESH, N_FEATURES = 100, 1000, 6

#: Half-widths to choose among, calibration rows and the loss of each.
N_PAIRS, N_COINS, HEADS = 500, 20, 0.3


def run(output: Path, n_draws: int = 400) -> None:
    """Print the table and write it to ``output/pitfalls.json``; takes about two minutes."""
    found = rates(n_draws)
    write_json(output / "pitfalls.json", found)
    cells = [[one["pitfall"], _cell(one["broken"]), _cell(one["proper"])] for one in found]
    print(markdown(["assumption broken", "violated", "as it should be"], cells))


def rates(n_draws: int) -> list[dict[str, Any]]:
    """Return for each pitfall its rate and that of the proper calibration, each with its standard error."""
    pitfalls: dict[str, Callable[[np.random.Generator], tuple[float, float]]] = {
        "rows reused, nearest neighbour": lambda random: _reused(KNeighborsRegressor(1), "delivered", random),
        "rows reused, nearest neighbour, displacement": lambda random: _reused(
            KNeighborsRegressor(1), "displacement", random
        ),
        "rows reused, forest": lambda random: _reused(RandomForestRegressor(30, random_state=0), "delivered", random),
        "reference rows reused": _reference_reused,
        "one draw shared": _one_draw_shared,
        "searched witnesses": _searched_witnesses,
        "half-widths chosen together": _chosen_together,
    }
    found = []
    for number, (name, both) in enumerate(pitfalls.items()):
        n_times = n_draws if "reused" in name else CHEAPER * n_draws
        pairs = np.array([both(np.random.default_rng([number, draw])) for draw in range(n_times)])
        errors = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs))
        broken, proper = ([float(mean), float(error)] for mean, error in zip(pairs.mean(axis=0), errors, strict=True))
        found.append({"pitfall": name, "broken": broken, "proper": proper})
    return found


def _reused(model: Any, loss: str, random: np.random.Generator) -> tuple[float, float]:
    """Return the rates of a model calibrated on its training rows, and on others."""
    X, other, reference, fresh = (random.random((n, N_FEATURES)) for n in (N_ROWS, N_ROWS, N_ROWS, N_FRESH))
    model.fit(X, X.sum(axis=1) + random.normal(size=N_ROWS))
    return _violated(model, X, reference, fresh, loss), _violated(model, other, reference, fresh, loss)


def _reference_reused(random: np.random.Generator) -> tuple[float, float]:
    """Return the rates where calibration rows give the reference law, and where others do."""

    class Waves:
        def predict(self, X: Floats) -> Floats:
            waves: Floats = X[:, 1] * np.sin(7 * X[:, 0] + 3 * X[:, 2])
            return waves

    X, reference, fresh = (random.random((n, N_FEATURES)) for n in (N_ROWS, N_ROWS, N_FRESH))
    return _violated(Waves(), X, X.copy(), fresh), _violated(Waves(), X, reference, fresh)


def _violated(model: Any, X: Floats, reference: Floats, fresh: Floats, loss: str = "delivered") -> float:
    """Return how often an aligned model is violated at fresh rows, under the loss that was calibrated."""
    aligned = AlignedRegressor(model, {0: "increasing"}, alpha=ALPHA, loss=loss, random_state=0, confidence=None)
    with warnings.catch_warnings():
        # Rows that come back are warned about; here they do so on purpose.
        warnings.simplefilter("ignore", RepeatedRowsWarning)
        aligned.calibrate(X, X_reference=reference)
    return float((aligned.critical_half_widths(fresh, random_state=1) > aligned.lambda_).mean())


def _scores(places: Floats, sizes: Floats) -> Floats:
    """Return existence scores, (n_rows,), of pairs of places (n_rows, 2) for ``size * sin(7 place)``."""
    ordered = np.sort(places, axis=1)
    falls: Floats = sizes * (np.sin(7 * ordered[:, 0]) - np.sin(7 * ordered[:, 1]))
    return np.maximum(falls, 0.0) / 2


def _one_draw_shared(random: np.random.Generator) -> tuple[float, float]:
    """Return the rates where calibration rows share their two places, and where each has its own."""
    sizes = random.exponential(size=N_ROWS)
    shared = np.repeat(random.random((1, 2)), N_ROWS, axis=0)
    return _exceeding(_scores(shared, sizes), random), _exceeding(_scores(random.random((N_ROWS, 2)), sizes), random)


def _searched_witnesses(random: np.random.Generator) -> tuple[float, float]:
    """Return the rates where each calibration row is asked about its worst places, and about its own draw."""
    sizes = random.exponential(size=N_ROWS)
    # The sine falls the most from its first crest to its first trough.
    worst = np.repeat([[np.pi / 14, 3 * np.pi / 14]], N_ROWS, axis=0)
    return _exceeding(_scores(worst, sizes), random), _exceeding(_scores(random.random((N_ROWS, 2)), sizes), random)


def _exceeding(scores: Floats, random: np.random.Generator) -> float:
    """Return how often scores of fresh rows and places exceed the half-width that scores give."""
    half_width, _ = critical_half_width(scores[:, None], ALPHA)
    return float((_scores(random.random((N_FRESH, 2)), random.exponential(size=N_FRESH)) > half_width).mean())


def _chosen_together(random: np.random.Generator) -> tuple[float, float]:
    """Return the rates where one of many pairs that pass is taken, and where one pair is fixed beforehand.

    A pair has the sum 1, or is the largest, which never fails.
    """
    allowed = allowed_above(N_COINS, 1, ALPHA, None)
    passing = random.binomial(N_COINS, HEADS, size=N_PAIRS) <= allowed
    return HEADS * bool(passing.any()), HEADS * bool(passing[0])


def chosen_together_rate() -> float:
    """Return the rate that the choice among many pairs has, in closed form."""
    passing = binom.cdf(allowed_above(N_COINS, 1, ALPHA, None), N_COINS, HEADS)
    return float(HEADS * (1 - (1 - passing) ** N_PAIRS))


def _cell(figure: list[float]) -> str:
    return f"{figure[0]:.3f} +- {figure[1]:.3f}"
