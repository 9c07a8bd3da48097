"""Tariffs before and after: deviance with exposure, distance to the truth, broken questions, and totals.

Three targets, each with the deviance that it is judged by: claims a year (Poisson, weights are years), an amount a claim (gamma,
weights are claims), and the pure premium (Tweedie of power 1.5, weights are years). All deviances are Bregman divergences, so the
expected deviance of a prediction exceeds that of the true mean by the deviance *between* the two: *excess over the truth*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_tweedie_deviance

from alignconf import AlignedRegressor, check
from alignconf.properties import Decreasing, Increasing
from benchmarks.pricing.portfolios import RULES, SEVERITY_RULES, Portfolio

__all__ = ["TARGETS", "Result", "Target", "measured"]

SHARES = (0.6, 0.1, 0.3)

#: At most so many policies calibrate, and so many are asked.
MAX_CALIBRATE, MAX_ASKED = 2000, 5000


@dataclass(frozen=True)
class Target:
    """What is predicted of a policy, the power of its deviance, its rules, and the models that are fitted to it.

    ``of`` returns the policies that count, their outcomes, weights and true means.
    """

    name: str
    power: float
    rules: tuple[Increasing | Decreasing, ...]
    models: tuple[str, ...]
    of: Callable[[Portfolio], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]]


@dataclass(frozen=True)
class Result:
    """A method on a target, a model and a seed.

    ``broken`` is the share of fresh questions that fail, ``by_rule`` that of each rule.
    ``total`` is the expected over the observed total of the test policies.
    """

    portfolio: str
    target: str
    model: str
    seed: int
    method: str
    deviance: float
    excess: float | None
    total: float
    broken: float
    by_rule: tuple[float, ...]


@dataclass(frozen=True)
class _Rows:
    X: pd.DataFrame
    y: np.ndarray
    weight: np.ndarray
    mean: np.ndarray | None


class _Scaled:
    """A model times a factor: no order changes."""

    def __init__(self, model: Any, factor: float) -> None:
        self.model = model
        self.factor = factor

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return np.asarray(self.factor * self.model.predict(X))


def measured(name: str, portfolio: Portfolio, seed: int) -> Iterator[Result]:
    """Yield every method on every target and model of a portfolio."""
    for target in TARGETS:
        counted, y, weight, mean = target.of(portfolio)
        order = np.random.default_rng([seed, 4]).permutation(np.flatnonzero(counted))
        cuts = np.round(np.cumsum(SHARES)[:-1] * order.size).astype(int)
        train, calibrate, test = (
            _Rows(portfolio.X.iloc[part], y[part], weight[part], None if mean is None else mean[part])
            for part in np.split(order, cuts)
        )
        for model in target.models:
            for method, tariff in _methods(target, model, train, calibrate, seed):
                yield _judged(
                    target, tariff, train, test, Result(name, target.name, model, seed, method, 0, None, 0, 0, ())
                )


def _methods(target: Target, model: str, train: _Rows, calibrate: _Rows, seed: int) -> Iterator[tuple[str, Any]]:
    """Yield tariffs: the model, its library's constraint twice, and aligned ones."""
    fitted = _fit(model, target, train, (), seed)
    yield "unaligned", fitted
    # No library limits a constraint to a range: the rule about beginners is left out, or asked of every age.
    unlimited = tuple(rule for rule in target.rules if rule.between is None)
    yield "own constraint", _fit(model, target, train, unlimited, seed)
    if unlimited != target.rules:
        yield "own constraint, every age", _fit(model, target, train, target.rules, seed)
    for alpha in (0.05, 0.0):
        aligned = AlignedRegressor(
            fitted,
            list(target.rules),
            alpha=alpha,
            confidence=None,
            difficulty=fitted.predict if alpha else None,
            random_state=seed,
            n_jobs=1,
        ).calibrate(calibrate.X[:MAX_CALIBRATE], X_reference=train.X)
        yield f"aligned {alpha:g}", aligned
    sums = [float(np.sum(tariff.predict(calibrate.X) * calibrate.weight)) for tariff in (fitted, aligned)]
    yield "aligned 0, total kept", _Scaled(aligned, sums[0] / sums[1])


def _judged(target: Target, tariff: Any, train: _Rows, test: _Rows, blank: Result) -> Result:
    expected = np.asarray(tariff.predict(test.X), dtype=float)
    audit = check(
        tariff,
        test.X[:MAX_ASKED],
        list(target.rules),
        X_reference=train.X[: 2 * MAX_ASKED],
        random_state=blank.seed,
        n_jobs=1,
    )

    def deviance(outcomes: np.ndarray) -> float:
        return float(mean_tweedie_deviance(outcomes, expected, power=target.power, sample_weight=test.weight))

    return Result(
        blank.portfolio,
        blank.target,
        blank.model,
        blank.seed,
        blank.method,
        deviance(test.y),
        None if test.mean is None else deviance(test.mean),
        float(np.sum(expected * test.weight) / np.sum(test.y * test.weight)),
        audit.violations.rate,
        tuple(rate.rate if rate is not None else float("nan") for _, rate in audit.by_rule),
    )


def _fit(name: str, target: Target, train: _Rows, rules: Sequence[Increasing | Decreasing], seed: int) -> Any:
    """Fit a model to a target's deviance, under its library's own constraint where there are rules; ranges are ignored."""
    signs = {str(rule.feature): rule.direction for rule in rules}
    columns = list(train.X.columns)
    model: Any
    if name == "histogram boosting":
        loss = "poisson" if target.power == 1 else "gamma"
        model = HistGradientBoostingRegressor(
            loss=loss, max_iter=60, min_samples_leaf=100, monotonic_cst=signs or None, random_state=seed
        )
    elif name == "XGBoost":
        from xgboost import XGBRegressor

        objective = {1: "count:poisson", 2: "reg:gamma", 1.5: "reg:tweedie"}[target.power]
        model = XGBRegressor(
            objective=objective, n_estimators=100, max_depth=4, learning_rate=0.1, monotone_constraints=signs or None,
            random_state=seed, n_jobs=1,
        )  # fmt: skip
    else:
        from lightgbm import LGBMRegressor

        objective = {1: "poisson", 2: "gamma", 1.5: "tweedie"}[target.power]
        model = LGBMRegressor(
            objective=objective, n_estimators=60, min_child_samples=100, random_state=seed, n_jobs=1, verbose=-1,
            monotone_constraints=[signs.get(column, 0) for column in columns] if signs else None,
        )  # fmt: skip
    return model.fit(train.X, train.y, sample_weight=train.weight)


def _frequency(portfolio: Portfolio) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    everybody = np.ones(len(portfolio.X), dtype=bool)
    return everybody, portfolio.claims / portfolio.exposure, portfolio.exposure, portfolio.frequency


def _severity(portfolio: Portfolio) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    claims = portfolio.claims
    return claims > 0, portfolio.amount / np.maximum(claims, 1), claims.astype(float), portfolio.severity


def _premium(portfolio: Portfolio) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    everybody = np.ones(len(portfolio.X), dtype=bool)
    mean = None
    if portfolio.frequency is not None and portfolio.severity is not None:
        mean = portfolio.frequency * portfolio.severity
    return everybody, portfolio.amount / portfolio.exposure, portfolio.exposure, mean


TARGETS: Sequence[Target] = (
    Target("frequency", 1, RULES, ("histogram boosting", "XGBoost", "LightGBM"), _frequency),
    Target("severity", 2, SEVERITY_RULES, ("histogram boosting", "LightGBM"), _severity),
    Target("pure premium", 1.5, RULES, ("XGBoost", "LightGBM"), _premium),
)
