"""What is measured of a delivered model, by asking it: errors on test rows, and fresh queries.

A query of a rule is as many values of the feature as its inequality has, drawn independently from the training rows, with the
test row's other features (for several features: one query of each, failed if any is). A row that lacks the feature obeys any rule
about it. A query is evaluated by ``predict`` or ``predict_proba`` of the delivered model, whoever made it, and its *excess* is by
how much the inequality fails. Differences of the size of rounding are no failures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alignconf.contract.property import Declaration, LineProperty
from alignconf.properties import declare
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.checks import check_rows
from benchmarks.tabular.classes import values

__all__ = ["EDGE", "Violations", "accuracy", "asked", "error", "own_violations", "violations"]

#: Probabilities are kept this far from 0 and 1 in the log-loss, of all methods alike: forests do say 0 and 1.
EDGE = 1e-3


@dataclass(frozen=True)
class Asked:
    """Queries of one part of a rule at every test row, places (n_samples, n_queries, n_points)."""

    part: LineProperty
    places: np.ndarray

    def points(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the points of all queries as rows."""
        repeated = X.iloc[np.repeat(np.arange(len(X)), self.places[0].size)].copy()
        repeated[self.part.feature] = self.places.ravel()
        return repeated

    def excess(self, answers: np.ndarray, X: pd.DataFrame) -> np.ndarray:
        """Return by how much the most violated inequality of each query fails at rows, (n_samples, n_queries)."""
        coefficients, bounds = self.part.demands(self.places)
        at_points = answers.astype(float).reshape(self.places.shape)
        excess = np.einsum("...dak,...k->...da", coefficients, at_points) - bounds
        worst: np.ndarray = excess.min(axis=-1).max(axis=-1)
        worst[X[self.part.feature].isna().to_numpy()] = -np.inf
        return worst


@dataclass(frozen=True)
class Violations:
    """The share of fresh queries that fail, and the mean over all queries of the excess, 0 where none."""

    rate: float
    size: float


def asked(
    properties: Declaration, X_reference: pd.DataFrame, n_samples: int, n_queries: int, seed: int
) -> tuple[Asked, ...]:
    """Draw queries of each part of a rule."""
    random = np.random.default_rng([seed, 1])
    drawn = []
    for part in declare(properties).lines:
        sample = X_reference[part.feature].dropna().to_numpy(dtype=float)
        places = np.sort(random.choice(sample, (n_samples, n_queries, part.n_points)), axis=-1)
        drawn.append(Asked(part, places))
    return tuple(drawn)


def violations(
    delivered: Any, X: pd.DataFrame, column: int | None, queries: Sequence[Asked], rounding: float
) -> Violations:
    """Ask a delivered model; ``rounding`` is relative to its values."""
    points = [one.points(X) for one in queries]
    answers = values(delivered, pd.concat(points), column)
    cuts = np.cumsum([len(one) for one in points])[:-1]
    excess = np.max([one.excess(part, X) for one, part in zip(queries, np.split(answers, cuts), strict=True)], axis=0)
    return _counted(excess, rounding * float(np.abs(answers).max()))


def own_violations(
    aligned: Any, X: pd.DataFrame, column: int | None, n_queries: int, seed: int, rounding: float
) -> Violations:
    """Ask an aligned model queries from the law that its own claim names, for example a conditional one."""
    table = check_rows(X)
    drawn = aligned.alignment_.tester.draw(table, n_queries, RowDraws.of(table, np.random.default_rng([seed, 2])))
    largest, size = [], 0.0
    for part in drawn.parts:
        answers = [values(aligned, sites, column).astype(float) for sites in part.sites(table)]
        size = max(size, *(float(np.abs(answer).max()) for answer in answers))
        excess = part.excess(part.arrange(answers)).min(axis=-1).max(axis=-1)
        largest.append(np.where(part.askable(table)[:, None], excess, -np.inf))
    return _counted(np.max(largest, axis=0), rounding * size)


def error(delivered: Any, X: pd.DataFrame, y: np.ndarray, *, is_classification: bool) -> float:
    """Return the mean squared error, or the log-loss for labels that are codes 0, 1, ..."""
    if not is_classification:
        return float(np.mean((np.asarray(delivered.predict(X), dtype=float) - y) ** 2))
    p = np.clip(np.asarray(delivered.predict_proba(X), dtype=float), EDGE, 1 - EDGE)
    p = p / p.sum(axis=1, keepdims=True)
    return float(-np.mean(np.log(p[np.arange(len(y)), y])))


def accuracy(delivered: Any, X: pd.DataFrame, y: np.ndarray, kind: str) -> float | None:
    """Return the share of labels that are right, for an ordinal target after rounding; None for a regression."""
    if kind == "regression":
        return None
    if kind == "ordinal":
        return float(np.mean(np.round(delivered.predict(X)) == y))
    return float(np.mean(np.asarray(delivered.predict_proba(X)).argmax(axis=1) == y))


def _counted(excess: np.ndarray, unit: float) -> Violations:
    failed = excess > unit
    return Violations(float(failed.mean()), float(np.where(failed, excess, 0).mean()))
