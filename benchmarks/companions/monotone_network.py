r"""A scikit-learn network that is to rise in one column, trained against its rare falls, then calibrated and certified.

On the diabetes data that come with scikit-learn (rising in ``bmi``), or with ``--data`` on the concrete data (rising in
``cement``). The event is a fall larger than a size that the fitted network exceeds with probability near 1e-4, under the law read
off the rows that trained; the referee is ``violation_probability``. Networks trained further on the task alone, on sampled
queries and on design points are each calibrated at ``alpha = .05`` on rows of their own and certified on others.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from tqdm import tqdm

from alignconf import AlignedRegressor
from alignconf._typing import FloatArray
from alignconf.deployment.input_law import InputLaw
from alignconf.deployment.rare import violation_probability
from alignconf.deployment.rare.violations import LatentMargin
from benchmarks.companions.parts import PartTable
from benchmarks.companions.wrapped import RareQueries, Slopes, descend, fitted, sampled_queries
from benchmarks.problems import PROBLEMS, Rows, load, split

__all__ = ["ARMS", "Setting", "monotone_table"]

SHARES = (0.4, 0.3, 0.2, 0.1)
#: Draws of the law that set the size, and how many of them exceed it.
N_DRAWS, N_EXCEED = 200_000, 20
#: Decades by which the estimate is to fall, weight of what is missing, weight of the penalty on samples and their number.
DECADES, WEIGHT, SAMPLED_WEIGHT, N_SAMPLED = 3.0, 0.01, 1.0, 256
N_STEPS, BUDGET, ALPHA = 400, 300_000, 0.05
ARMS = ("as fitted", "task alone", "sampled queries", "design points")


@dataclass(frozen=True)
class Setting:
    """A fitted network with its rows, in units of the standard deviation of the label, and the event.

    Parameters
    ----------
    model : Pipeline
    train, calibrate, certify, test : Rows
    feature : int
    law : InputLaw
    X_reference : (n_reference, n_features)
    size : float
    seed : int
    """

    model: Pipeline
    train: Rows
    calibrate: Rows
    certify: Rows
    test: Rows
    feature: int
    law: InputLaw
    X_reference: FloatArray
    size: float
    seed: int

    @classmethod
    def of(cls, name: str, directory: Path | None, seed: int) -> Setting:
        """Fit a network and set the size of the event."""
        problem = PROBLEMS[name]
        rows = load(problem, directory)
        once = ~rows.X.duplicated().to_numpy()
        rows = Rows(rows.X[once], rows.y[once])
        feature = list(rows.X.columns).index(next(iter(problem.signs)))
        parts = split(rows, SHARES, seed)
        centre, spread = parts.train.y.mean(), parts.train.y.std()
        train, calibrate, certify, test = (
            Rows(part.X.to_numpy(dtype=np.float64), (part.y - centre) / spread)
            for part in (parts.train, parts.calibrate, parts.certify, parts.test)
        )
        model = fitted(train.X, train.y, seed)
        law = InputLaw.from_rows(train.X)
        reference = law.sample(1000, random_state=seed)
        margin = LatentMargin.of(model, {feature: "increasing"}, law, reference, seed, None)
        random = np.random.default_rng([seed, 50])
        margins = [margin(random.standard_normal((N_DRAWS // 4, margin.n_dimensions))) for _ in range(4)]
        size = float(np.sort(np.concatenate(margins))[-N_EXCEED])
        return cls(model, train, calibrate, certify, test, feature, law, reference, max(size, 1e-3), seed)

    def margin(self, model: Pipeline) -> LatentMargin:
        """Return the margin of a query as a function of normal numbers."""
        return LatentMargin.of(model, {self.feature: "increasing"}, self.law, self.X_reference, self.seed, None)

    def probability(self, model: Any) -> float:
        """Return what the referee says, NaN where it has no answer."""
        event = violation_probability(
            model,
            {self.feature: "increasing"},
            self.law,
            size=self.size,
            X_reference=self.X_reference,
            n_runs=4,
            budget=BUDGET,
            random_state=self.seed,
        )
        return np.nan if event.probability is None else event.probability

    def trained_further(self, arm: str, before: float) -> Pipeline:
        """Return a copy of the network, trained further."""
        model, random = deepcopy(self.model), np.random.default_rng([self.seed, 51])
        if arm == "as fitted":
            return model
        empty = np.zeros((0, self.train.X.shape[1])), np.zeros(0)
        penalty: Slopes = lambda _: empty  # noqa: E731
        if arm == "sampled queries":
            penalty = sampled_queries(self.margin(model), self.size, SAMPLED_WEIGHT, N_SAMPLED, random)
        elif arm == "design points":
            target = np.log(before) - DECADES * np.log(10)
            penalty = RareQueries(self.margin(model), self.size, target, WEIGHT, random).slopes
        descend(model, self.train.X, self.train.y, penalty, N_STEPS, np.random.default_rng([self.seed, 52]))
        return model

    def record(self, arm: str, before: float) -> dict[str, Any]:
        """Return the figures of an arm: probability, error, and what calibration and certification say."""
        model = self.trained_further(arm, before)
        aligned = AlignedRegressor(model, {self.feature: "increasing"}, alpha=ALPHA, random_state=self.seed)
        aligned.calibrate(self.calibrate.X, X_reference=self.X_reference)
        certificate = aligned.certify(self.certify.X)
        error, aligned_error = (
            float(np.sqrt(np.mean((function.predict(self.test.X) - self.test.y) ** 2))) for function in (model, aligned)
        )
        return {
            "arm": arm,
            "seed": self.seed,
            "before": before,
            "probability": before if arm == "as fitted" else self.probability(model),
            "error": error,
            "aligned_error": aligned_error,
            "half_width": float(aligned.lambda_),
            "bound": float(certificate.delivered.upper_bound),
        }


def monotone_table(name: str, directory: Path | None, n_seeds: int) -> PartTable:
    """Return the table of one data set."""
    records: list[dict[str, Any]] = []
    for seed in tqdm(range(n_seeds), desc=f"{name}: networks", unit="seed"):
        setting = Setting.of(name, directory, seed)
        before = setting.probability(setting.model)
        records += [setting.record(arm, before) for arm in ARMS]
    return PartTable(f"{name}, MLPRegressor, {n_seeds} seeds", HEADER, list(_rows(records)), records)


HEADER = (
    "trained further on",
    "fall of log10 p: median, least",
    "at least 2",
    "no answer",
    "test error / task alone: median, worst",
    "half-width at alpha .05: median",
    "certified violation rate at most: median",
    "test error, aligned: median",
)


def _rows(records: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    control = np.array([record["error"] for record in records if record["arm"] == "task alone"])
    for arm in ARMS:
        part = [record for record in records if record["arm"] == arm]
        fall = np.array([np.log10(record["before"] / record["probability"]) for record in part])
        known = fall[~np.isnan(fall)]
        ratio = np.array([record["error"] for record in part]) / control
        yield (
            arm,
            f"{np.median(known):.1f}, {known.min():.1f}" if known.size else "",
            f"{(known >= 2).sum()} of {fall.size}",
            f"{fall.size - known.size}",
            f"{np.median(ratio):.2f}, {ratio.max():.2f}",
            f"{np.median([record['half_width'] for record in part]):.3f}",
            f"{np.median([record['bound'] for record in part]):.3f}",
            f"{np.median([record['aligned_error'] for record in part]):.3f}",
        )
