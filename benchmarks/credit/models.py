"""The models: five that users have, and three kinds of their own that come with constraints.

Trees are those of :mod:`benchmarks.many.boosted`, and read codes as numbers and missing values as they are. Smooth models get the
mean for a code or a missing value, and a column that says where it was. What is not installed is left out by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.credit.portfolios import Portfolio
from benchmarks.many.boosted import LIBRARIES, Library
from benchmarks.methods.lipschitz_network import LipschitzNetwork
from benchmarks.methods.scorecard import scorecard
from benchmarks.tabular.models import recipe

__all__ = ["MODELS", "CreditModel"]


@dataclass(frozen=True)
class CreditModel:
    """How to build a model of a portfolio, its columns and a seed; with its own constraint, where it has one.

    ``needs`` are packages without which there is none.
    """

    name: str
    build: Callable[[Portfolio, Sequence[str], int], Any]
    constrained: Callable[[Portfolio, Sequence[str], int], Any] | None = None
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages that are not installed."""
        return tuple(package for package in self.needs if find_spec(package) is None)


def _of_library(library: Library) -> CreditModel:
    return CreditModel(
        library.name,
        lambda _portfolio, _columns, seed: library.unconstrained(True, seed),
        lambda portfolio, columns, seed: library.constrained(True, seed, _directions(portfolio, columns)),
        needs=(library.name,) if library.name in ("xgboost", "lightgbm") else (),
    )


def _directions(portfolio: Portfolio, columns: Sequence[str]) -> list[int]:
    return [portfolio.signs.get(column, 0) for column in columns]


def _imputed(portfolio: Portfolio, *last: Any) -> Any:
    absent = [np.nan, *portfolio.data.special_codes]
    imputers = [SimpleImputer(missing_values=code, add_indicator=True) for code in absent]
    return make_pipeline(*imputers, StandardScaler(), *last)


def _logistic(portfolio: Portfolio, _columns: Sequence[str], _seed: int) -> Any:
    return _imputed(portfolio, LogisticRegression(max_iter=1000))


def _ebm(_portfolio: Portfolio, _columns: Sequence[str], seed: int) -> Any:
    return recipe("ebm", "binary", ()).build(seed)


def _constrained_ebm(portfolio: Portfolio, columns: Sequence[str], seed: int) -> Any:
    constrained = recipe("ebm", "binary", ()).build_constrained
    assert constrained is not None
    return constrained(seed, portfolio.signs, list(columns))


def _card(portfolio: Portfolio, columns: Sequence[str], _seed: int) -> Any:
    return scorecard(columns, {}, portfolio.data.special_codes)


def _constrained_card(portfolio: Portfolio, columns: Sequence[str], _seed: int) -> Any:
    return scorecard(columns, portfolio.signs, portfolio.data.special_codes)


class _Network:
    """A network behind imputed and scaled columns."""

    def __init__(self, portfolio: Portfolio, signs: Sequence[int] | None, seed: int) -> None:
        self.columns = _imputed(portfolio)
        self.network = LipschitzNetwork(signs, seed=seed)

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> _Network:
        """Fit the columns, then the network."""
        self.network.fit(self.columns.fit_transform(X), y)
        self.classes_ = self.network.classes_
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return probabilities, (n_rows, 2)."""
        return self.network.predict_proba(self.columns.transform(X))


#: In the order of tables.
MODELS = {
    model.name: model
    for model in (
        *(_of_library(library) for library in LIBRARIES.values()),
        CreditModel("logistic", _logistic),
        CreditModel("ebm", _ebm, _constrained_ebm, ("interpret",)),
        CreditModel("scorecard", _card, _constrained_card, ("optbinning",)),
        CreditModel(
            "network",
            lambda portfolio, _columns, seed: _Network(portfolio, None, seed),
            lambda portfolio, columns, seed: _Network(portfolio, _directions(portfolio, columns), seed),
            ("torch", "monotonicnetworks"),
        ),
    )
}
