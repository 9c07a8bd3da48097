"""The default promise: with confidence 95 % at most 5 % of queries, from several queries a row where their average is of use.

Two tables. The first calibrates fresh draws of ``n`` rows with ``m`` queries each, at the half-width that the library finds: how
often the violation rate, which is known, exceeds ``alpha``, and the half-width next to one query a row on the *same* rows.
Rows are drawn with replacement from a population of 200,000 whose scores are the library's (``z h(x)`` at 12 places, ``z``
exponential, falling in parts); the rate at a half-width is a share of all its queries, so it is exact.

The second aligns gradient boosting on the power plant data (20 splits; 1,500 rows calibrate, 5,068 certify) with the library's
defaults, and counts verdicts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from tqdm import tqdm

from alignconf import AlignedRegressor
from alignconf._typing import FloatArray
from alignconf.calibration.averages import design_effect, is_averaged
from alignconf.calibration.loss_family import Scores
from alignconf.properties import Increasing
from benchmarks.problems import PROBLEMS, load
from benchmarks.simulations.delivered import alignment_of, scores_of
from benchmarks.simulations.waves import wave_rows
from benchmarks.tables import markdown, write_json

__all__ = ["POPULATION", "Achieved", "Population", "achieved", "run"]

ALPHA, CONFIDENCE = 0.05, 0.95
SIZES, QUERIES = (59, 100, 500, 5000), (1, 10)
POPULATION = 200_000
REFERENCE_ROWS = 300

N_SPLITS, N_TRAIN, N_CALIBRATE = 20, 3000, 1500


@dataclass(frozen=True)
class Population:
    """Scores of a finite population of rows, (n_rows, 10), and all of them sorted."""

    scores: FloatArray
    sorted_scores: FloatArray

    @classmethod
    def of(cls, n_rows: int, random: np.random.Generator) -> Population:
        """Draw one."""
        rows = wave_rows(random.exponential(size=n_rows), random)
        scores = scores_of(alignment_of(Increasing(0)), rows, max(QUERIES), random)
        return cls(scores, np.sort(scores, axis=None))

    def draw(self, n_rows: int, n_queries: int, random: np.random.Generator) -> FloatArray:
        """Return the scores of rows drawn with replacement, from any query on, (n_rows, n_queries)."""
        rows, first = (random.integers(size, size=(n_rows, 1)) for size in self.scores.shape)
        drawn: FloatArray = self.scores[rows, (first + np.arange(n_queries)) % self.scores.shape[1]]
        return drawn

    def rate(self, half_widths: FloatArray) -> FloatArray:
        """Return the exact violation rates at half-widths."""
        above = self.sorted_scores.size - np.searchsorted(self.sorted_scores, half_widths, side="right")
        rates: FloatArray = above / self.sorted_scores.size
        return rates


@dataclass(frozen=True)
class Achieved:
    """What the default promise achieved at ``n_rows`` rows of ``n_queries`` queries.

    Parameters
    ----------
    n_rows, n_queries : int
    is_averaged : bool
        Whether the average of the queries is what was used.
    wrong, standard_error : float
        Share of draws whose rate exceeds ``alpha``.
    rate : float
        Mean violation rate.
    half_width, of_one_query : float
        Means over draws, the second with one query a row on the same rows.
    gain_error : float
        Standard error of their difference.
    quantiles : tuple of (float, float)
        The quantiles .1, .5 and .9 of both.
    """

    n_rows: int
    n_queries: int
    is_averaged: bool
    wrong: float
    standard_error: float
    rate: float
    half_width: float
    of_one_query: float
    gain_error: float
    quantiles: tuple[tuple[float, float], ...]


def achieved(
    population: Population, n_rows: int, n_queries: int, n_draws: int, random: np.random.Generator
) -> Achieved:
    """Calibrate ``n_draws`` draws. The design effect is read off reference rows, drawn once."""
    effect = design_effect(population.draw(REFERENCE_ROWS, n_queries, random), ALPHA)
    found = np.empty((n_draws, 2))
    for draw in tqdm(range(n_draws), desc=f"n={n_rows}, m={n_queries}", leave=False):
        scores = population.draw(n_rows, n_queries, random)
        found[draw] = [Scores(one, effect).critical(ALPHA, CONFIDENCE)[0] for one in (scores, scores[:, :1])]
    wrong = population.rate(found[:, 0]) > ALPHA
    pairs = [tuple(np.quantile(found, level, axis=0).tolist()) for level in (0.1, 0.5, 0.9)]
    return Achieved(
        n_rows=n_rows,
        n_queries=n_queries,
        is_averaged=is_averaged(n_rows, n_queries, ALPHA, CONFIDENCE, effect),
        wrong=float(wrong.mean()),
        standard_error=float(wrong.std()) / sqrt(n_draws),
        rate=float(population.rate(found[:, 0]).mean()),
        half_width=float(found[:, 0].mean()),
        of_one_query=float(found[:, 1].mean()),
        gain_error=float((found[:, 1] - found[:, 0]).std()) / sqrt(n_draws),
        quantiles=tuple((float(own), float(single)) for own, single in pairs),
    )


def verdicts(directory: Path | None, n_splits: int) -> list[str]:
    """Return the verdict of each split of the power plant data, all settings but ``alpha`` the defaults."""
    rows = load(PROBLEMS["power_plant"], directory)
    table, target = rows.X, rows.y
    words = []
    for seed in tqdm(range(n_splits), desc="splits"):
        order = np.random.default_rng(seed).permutation(len(table))
        train, calibrate, certify = np.split(order, [N_TRAIN, N_TRAIN + N_CALIBRATE])
        model = HistGradientBoostingRegressor(random_state=seed).fit(table.iloc[train], target[train])
        aligned = AlignedRegressor(model, {"v": "decreasing"}, alpha=ALPHA, random_state=seed)
        aligned.calibrate(table.iloc[calibrate], X_reference=table.iloc[train])
        verdict = aligned.certify(table.iloc[certify]).verdict()
        words.append("none" if verdict is None else verdict.word)
    return words


def run(data: Path | None, draws: int, output: Path) -> None:
    """Print both tables and write the figures to ``output``."""
    random = np.random.default_rng(0)
    population = Population.of(POPULATION, random)
    found = [achieved(population, n, m, draws, random) for n in SIZES for m in QUERIES]
    print(f"{draws} draws of n rows with m queries each; alpha {ALPHA}, confidence {CONFIDENCE}\n")
    header = ["n", "m", "used", "wrong", "s.e.", "mean rate", "half-width", "one query a row", "s.e. of gain"]
    print(
        markdown(
            header,
            [
                [
                    str(one.n_rows),
                    str(one.n_queries),
                    "average" if one.is_averaged else "one query",
                    f"{one.wrong:.4f}",
                    f"{one.standard_error:.4f}",
                    f"{one.rate:.4f}",
                    f"{one.half_width:.4f}",
                    f"{one.of_one_query:.4f}",
                    f"{one.gain_error:.5f}",
                ]
                for one in found
            ],
        )
    )
    words = verdicts(data, N_SPLITS) if data is not None else []
    if words:
        print(f"\npower plant, {len(words)} splits: " + ", ".join(f"{word} {n}" for word, n in Counter(words).items()))
    write_json(output / "promise.json", {"achieved": [asdict(one) for one in found], "verdicts": words})
