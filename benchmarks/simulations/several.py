r"""Minimising over several half-widths breaks the promise; on a fixed ray it holds.

With one half-width the rule run on all ``n + 1`` rows gives at most the half-width found from ``n`` of them, and the proof
rests on that. With several, chosen as the cheapest combination that passes, only the *cost* is ordered so, not each of them:
the choice goes where the ``n`` rows happened to fail least, which says nothing of the next row.

* **Menu.** :math:`M` combinations of equal cost, none wider than another on both sides, each failing a row independently with
  probability :math:`p`, and one that never fails and costs more. With :math:`q = P(\mathrm{Bin}(n, p) \le \alpha (n + 1) - 1)`
  the rate is :math:`p\,(1 - (1 - q)^M)`, as near to :math:`p` as one likes.
* **Bounds** on values, the excess evenly distributed on both sides: the cheapest :math:`\lambda^- + \lambda^+` that passes.
* **Properties**, each with a half-width of its own: rows that need most on one are given up, one after the other, each time
  the one that saves most of the sum.

A **ray** :math:`(\lambda_1, \dots, \lambda_d) = t\,c` fixed beforehand has one number to calibrate.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.stats import binom

from alignconf._typing import FloatArray
from alignconf.calibration.loss_table import scores_on_ray
from alignconf.calibration.ranks import allowed_above
from benchmarks.simulations.modes import BREAKS, Mode, critical

__all__ = ["MODES", "menu_rate"]

#: The menu of the first demonstration.
N_MENU, P_MENU, M_MENU = 20, 0.3, 500

#: Draws at a time, to bound memory.
BLOCK = 500


def menu_rate(n_rows: int, p: float, n_choices: int, alpha: float) -> float:
    """Return the exact violation rate of the cheapest choice from a menu."""
    passes = binom.cdf(allowed_above(n_rows, 1, alpha, None), n_rows, p)
    return float(p * (1 - (1 - passes) ** n_choices))


def _menu(
    n_draws: int, random: np.random.Generator, *, n_rows: int, p: float, n_choices: int, alpha: float
) -> FloatArray:
    """Return whether a fresh row fails at the cheapest choice that passes."""
    fails, above = np.zeros(n_draws), allowed_above(n_rows, 1, alpha, None)
    for start in range(0, n_draws, BLOCK):
        shape = (min(BLOCK, n_draws - start), n_rows + 1, n_choices)
        losses = random.random(shape, dtype=np.float32) < p
        passed = losses[:, :n_rows].sum(axis=1) <= above
        chosen = passed.argmax(axis=1)
        fresh = losses[np.arange(shape[0]), n_rows, chosen]
        fails[start : start + shape[0]] = passed.any(axis=1) & fresh
    return fails


def _cheapest_bounds(n_draws: int, random: np.random.Generator, *, n_rows: int, alpha: float) -> FloatArray:
    """Return the exact rates of the cheapest pair of half-widths that leaves ``above`` rows outside."""
    excess, above = random.uniform(-1, 1, (n_draws, n_rows)), allowed_above(n_rows, 1, alpha, None)
    upper, lower = (-np.sort(-side.clip(0), axis=1) for side in (excess, -excess))
    pairs = np.stack([upper[:, k] + lower[:, above - k] for k in range(above + 1)], axis=1)
    k = pairs.argmin(axis=1)
    rows = np.arange(n_draws)
    rates: FloatArray = (1 - upper[rows, k]) / 2 + (1 - lower[rows, above - k]) / 2
    return rates


def _bounds_on_ray(
    n_draws: int, random: np.random.Generator, *, n_rows: int, alpha: float, ray: tuple[float, float]
) -> FloatArray:
    excess = random.uniform(-1, 1, (n_draws, n_rows))
    found = critical(scores_on_ray(excess, -excess, ray)[:, :, None], alpha)
    return sum(((1 - np.minimum(found * side, 1)) / 2 for side in ray), np.zeros(n_draws))


def _cheapest_properties(
    n_draws: int, random: np.random.Generator, *, n_rows: int, n_properties: int, alpha: float
) -> FloatArray:
    """Return the exact rates if each property has a half-width of its own, the sum made small greedily."""
    above, rates = allowed_above(n_rows, 1, alpha, None), []
    for start in range(0, n_draws, BLOCK):
        rows = np.arange(min(BLOCK, n_draws - start))
        excess = random.uniform(-1, 1, (rows.size, n_rows, n_properties)).clip(0)
        for _ in range(above):
            order = np.argsort(-excess, axis=1)[:, :2]
            largest, second = np.moveaxis(np.take_along_axis(excess, order, axis=1), 1, 0)
            saved = np.zeros(excess.shape[:2])
            for one in range(n_properties):
                saved[rows, order[:, 0, one]] += largest[:, one] - second[:, one]
            excess[rows, saved.argmax(axis=1)] = 0.0
        rates.append(1 - np.prod((1 + excess.max(axis=1)) / 2, axis=1))
    return np.concatenate(rates)


def _properties_on_ray(
    n_draws: int, random: np.random.Generator, *, n_rows: int, n_properties: int, alpha: float
) -> FloatArray:
    scores = random.uniform(-1, 1, (n_draws, n_rows, n_properties)).max(axis=2).clip(0)
    found = critical(scores[:, :, None], alpha)
    rates: FloatArray = 1 - ((1 + found) / 2) ** n_properties
    return rates


MODES = (
    Mode(
        "cheapest of 500 choices",
        0.1,
        N_MENU,
        partial(_menu, n_rows=N_MENU, p=P_MENU, n_choices=M_MENU, alpha=0.1),
        BREAKS,
        f"each fails a row with probability {P_MENU}; the exact rate is {menu_rate(N_MENU, P_MENU, M_MENU, 0.1):.4f}",
    ),
    Mode(
        "bounds on values, cheapest of two half-widths",
        0.1,
        50,
        partial(_cheapest_bounds, n_rows=50, alpha=0.1),
        BREAKS,
        "excess uniform on both sides; the smallest sum that passes",
    ),
    Mode(
        "bounds on values, on a ray",
        0.1,
        50,
        partial(_bounds_on_ray, n_rows=50, alpha=0.1, ray=(1.0, 1.0)),
        note="the same law, both sides alike",
    ),
    Mode(
        "bounds on values, on a lopsided ray",
        0.1,
        50,
        partial(_bounds_on_ray, n_rows=50, alpha=0.1, ray=(1.0, 1.5)),
        note="the same law, 1 to 1.5",
    ),
    Mode(
        "16 properties, cheapest of 16 half-widths",
        0.1,
        100,
        partial(_cheapest_properties, n_rows=100, n_properties=16, alpha=0.1),
        BREAKS,
        "excess of each uniform on both sides of 0; the sum made small greedily",
    ),
    Mode(
        "16 properties, on a ray",
        0.1,
        100,
        partial(_properties_on_ray, n_rows=100, n_properties=16, alpha=0.1),
        note="the same law, all half-widths alike",
    ),
)
