r"""Does the error of a forecast choose well among half-widths that all keep a promise? Measured on rows that chose nothing.

Boosted trees are calibrated at several levels; each of them keeps the promise of the first. Of the aligned functions the one is
chosen whose violation sizes on a pool are forecast with the smallest error. On a fresh pool its error and its largest
violation are compared with those of the least and of the largest half-width: a rule that helps must beat what "the largest
half-width" gives for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import uniform
from sklearn.ensemble import GradientBoostingRegressor
from tqdm import tqdm

from alignconf import AlignedRegressor
from alignconf._typing import FloatArray
from alignconf.deployment.forecast import forecastability_error
from alignconf.deployment.input_law import InputLaw
from alignconf.deployment.violation_score import ViolationScore
from benchmarks.companions.parts import PartTable

__all__ = ["ALPHAS", "Choice", "selection_table"]

#: Levels that calibrate: the first is the promise, and all that follow keep it.
ALPHAS = (0.1, 0.05, 0.02, 0.01)
M, N, K = 500, 4000, 10
N_TRAIN, N_CALIBRATE = 1500, 1000


@dataclass(frozen=True)
class Choice:
    """What one seed measures, (n_alphas,) each.

    Parameters
    ----------
    half_width : FloatArray
    error, fresh_error : root mean squared errors of the forecast on the pool that chooses and on a fresh one
    largest : largest violation in the fresh pool
    """

    half_width: FloatArray
    error: FloatArray
    fresh_error: FloatArray
    largest: FloatArray

    @property
    def chosen(self) -> int:
        """The level with the smallest error."""
        return int(np.argmin(self.error))

    @classmethod
    def of(cls, seed: int) -> Choice:
        """Fit, calibrate at each level and measure."""
        law = InputLaw.declared(dict.fromkeys(range(4), uniform(0, 1)))
        train, calibrate, pool, fresh = (
            law.sample(n, random_state=1000 * seed + part)
            for part, n in enumerate((N_TRAIN, N_CALIBRATE, M + N, M + N))
        )
        noise = np.random.default_rng(seed).normal(0, 0.3, N_TRAIN)
        y = train[:, 0] + train[:, 1] * train[:, 2] - np.sin(2 * np.pi * train[:, 0]) * (train[:, 1] < 0.2) + noise
        model = GradientBoostingRegressor(n_estimators=60, learning_rate=0.2, random_state=seed).fit(train, y)
        figures = []
        for alpha in ALPHAS:
            aligned = AlignedRegressor(model, {0: "increasing"}, alpha=alpha, random_state=seed)
            aligned.calibrate(calibrate, X_reference=train)
            score = ViolationScore.of(aligned, {0: "increasing"}, train)
            both = [
                score.row_sizes(rows, 1, np.random.default_rng([seed, part]))[:, 0]
                for part, rows in enumerate((pool, fresh))
            ]
            errors = [forecastability_error(sizes, M, N, K) for sizes in both]
            figures.append((float(aligned.lambda_), *errors, both[1].max()))
        return cls(*np.array(figures).T)


def selection_table(n_seeds: int) -> PartTable:
    """Return the table of chosen, least and largest half-width."""
    choices = [Choice.of(seed) for seed in tqdm(range(n_seeds), desc="half-widths", unit="seed")]
    rows = []
    for name, positions in (
        ("least half-width", [0] * n_seeds),
        ("smallest error", [choice.chosen for choice in choices]),
        ("largest half-width", [len(ALPHAS) - 1] * n_seeds),
    ):
        picked = [
            (choice.half_width[at], choice.fresh_error[at], choice.largest[at])
            for choice, at in zip(choices, positions, strict=True)
        ]
        rows.append((name, *(f"{figure:.3f}" for figure in np.median(picked, axis=0))))
    n_largest = sum(choice.chosen == len(ALPHAS) - 1 for choice in choices)
    title = f"half-widths that keep alpha = {ALPHAS[0]}, {n_seeds} seeds; the smallest error chooses the largest in {n_largest}"
    records = [
        {"seed": seed, "chosen": choice.chosen, "fresh_error": choice.fresh_error.tolist()}
        for seed, choice in enumerate(choices)
    ]
    header = ("chosen by", "half-width: median", "error on fresh rows: median", "largest fresh violation: median")
    return PartTable(title, header, rows, records)
