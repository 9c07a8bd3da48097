"""Search with a model's own gradient: what it finds within the same rows, next to the search that knows ``predict`` alone.

Networks learn the planted falls of the search's own families, and the smooth bump in six columns has its gradient in closed
form. A row of the gradient counts as two model rows. The worst violation of a network is not known: shares are of the worst
that any of its searches found.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from alignconf._typing import FloatArray
from alignconf.deployment.search import network_gradient, search
from alignconf.deployment.search.uphill import Gradient
from benchmarks.risk.checks import Check
from benchmarks.risk.search import Bump, bump_maximum, planted_ensemble

__all__ = ["bump_gradient", "checks", "network"]

BUDGETS = (1000, 3000, 10_000, 50_000)
LEVELS = (0.0, 0.05)

#: Seeds from here on chose nothing: how the gradient is used was tried out on smaller ones.
FIRST_SEED = 300


@dataclass(frozen=True)
class _Case:
    """A model with its gradient; ``worst`` is its worst violation in closed form, 0 where it is not known."""

    family: str
    model: Any
    gradient: Gradient
    rows: FloatArray
    worst: float = 0.0


def network(rows: FloatArray, targets: FloatArray, units: str, seed: int) -> Any:
    """Return a fitted network of two layers of 32 units behind a scaler."""
    layers = MLPRegressor(hidden_layer_sizes=(32, 32), activation=units, max_iter=150, random_state=seed)
    with warnings.catch_warnings():
        # Networks have as many rounds as they are given, converged or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make_pipeline(StandardScaler(), layers).fit(rows, targets)


def bump_gradient(bump: Bump, rows: FloatArray) -> FloatArray:
    """Return the derivatives of a bump in closed form."""
    t = (rows - bump.centre) / bump.half_width
    factors = np.where(np.abs(t) < 1, (1 - t * t) ** 2, 0.0)
    slopes = np.where(np.abs(t) < 1, -4 * t * (1 - t * t), 0.0) / bump.half_width
    others = np.stack([np.prod(np.delete(factors, k, axis=1), axis=1) for k in range(rows.shape[1])], axis=1)
    return np.asarray(np.eye(rows.shape[1])[0] - slopes * others)


def checks(seeds: int | None) -> Sequence[Check]:
    """Return the shares by family and budget; ``seeds`` is the number of models of each, ten at full size."""
    shares: dict[tuple[str, float, int], list[FloatArray]] = {}
    n_models = seeds or 10
    for case in tqdm(_cases(n_models), total=4 * n_models, desc="search with a gradient"):
        for level in LEVELS:
            found = np.array(
                [[_largest(case, level, budget, how) for how in (None, case.gradient)] for budget in BUDGETS]
            )
            worst = max(case.worst, found.max())
            if worst > 0:
                for budget, pair in zip(BUDGETS, found / worst, strict=True):
                    shares.setdefault((case.family, level, budget), []).append(pair)
    return [_check(*key, np.array(pairs)) for key, pairs in sorted(shares.items())]


def _cases(n_models: int) -> Iterator[_Case]:
    for seed in range(FIRST_SEED, FIRST_SEED + n_models):
        rows, ensemble = planted_ensemble(seed)
        for units in ("relu", "tanh"):
            model = network(rows, ensemble.predict(rows), units, seed)
            yield _Case(f"network, {units}", model, network_gradient(model), rows)
        for half_width in (0.3, 0.2):
            random = np.random.default_rng([seed, 5])
            bump, uniform = Bump.at_random(half_width, random), random.uniform(size=(500, 6))
            yield _Case(f"bump of half-width {half_width}", bump, _of(bump), uniform, bump_maximum(half_width))


def _of(bump: Bump) -> Gradient:
    return lambda rows: bump_gradient(bump, rows)


def _largest(case: _Case, level: float, budget: int, gradient: Gradient | None) -> float:
    found = search(
        case.model,
        case.rows,
        {0: "increasing"},
        max_rows=budget,
        naturalness=level,
        gradient=gradient,
        random_state=0,
    )
    return found.largest


def _check(family: str, level: float, budget: int, pairs: FloatArray) -> Check:
    without, with_it = pairs.mean(axis=0)
    gain = pairs[:, 1] - pairs[:, 0]
    error = float(gain.std(ddof=min(1, gain.size - 1)) / np.sqrt(gain.size))
    better, worse = int(np.sum(gain > 1e-3)), int(np.sum(gain < -1e-3))
    shares = f"{with_it:.3f} with, {without:.3f} without, difference +- {error:.3f}"
    name = f"{family}, plausible at {level:g}, {budget:,} rows: mean share of the worst known"
    # Where both find all there is, a thousandth is noise.
    met = bool(gain.mean() >= -2 * error - 1e-3)
    return Check(name, f"{shares}; better in {better}, worse in {worse} of {len(pairs)}", "no less, by two errors", met)
