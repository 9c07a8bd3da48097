"""What can be done about broken rules, and what each way asks for.

A method takes a :class:`Case` and returns a fitted model; ``models`` are those that it is for, empty: any. ``labels`` says which
labels it reads, beyond those that trained the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from alignconf import AlignedClassifier
from benchmarks.credit.models import MODELS
from benchmarks.credit.portfolios import Portfolio
from benchmarks.many.boosted import BOOSTED, LIBRARIES
from benchmarks.methods import monotonize
from benchmarks.methods.reshaped import over_constrained, reshape
from benchmarks.problems import Split

__all__ = ["ALIGNED", "CONSTRAINED", "METHODS", "UNALIGNED", "Case", "Method"]

UNALIGNED, CONSTRAINED, ALIGNED = "unaligned", "its own constraint", "aligned, alpha 0"

TREES = tuple(LIBRARIES)


@dataclass(frozen=True)
class Case:
    """A fitted model of a portfolio, and the rows that methods may use: ``rows.train`` and ``rows.calibrate``."""

    portfolio: Portfolio
    name: str
    model: Any
    rows: Split
    rules: Mapping[str, Any]
    seed: int


@dataclass(frozen=True)
class Method:
    """A method."""

    name: str
    make: Callable[[Case], Any]
    models: tuple[str, ...] = ()
    labels: str = "none"

    def suits(self, model: str) -> bool:
        """Whether it is for a model."""
        return not self.models or model in self.models

    @property
    def scope(self) -> str:
        """Which models it is for, in words."""
        if not self.models:
            return "any model"
        return (
            "trees"
            if self.models in (TREES, BOOSTED)
            else "retrained"
            if self.labels == "all"
            else f"{self.models[0]} only"
        )


def _constrained(case: Case) -> Any:
    build = MODELS[case.name].constrained
    assert build is not None
    train = case.rows.train
    return build(case.portfolio, list(train.X.columns), case.seed).fit(train.X, train.y)


def _of_lightgbm(case: Case, method: str) -> Any:
    train = case.rows.train
    directions = [case.portfolio.signs.get(str(column), 0) for column in train.X.columns]
    model = LIBRARIES["lightgbm"].constrained(True, case.seed, directions)
    return model.set_params(monotone_constraints_method=method).fit(train.X, train.y)


def _aligned(case: Case, alpha: float, *, with_labels: bool = False) -> Any:
    train = case.rows.train
    made = AlignedClassifier(
        case.model, list(case.rules.values()), alpha=alpha, confidence=None, random_state=case.seed, n_jobs=1
    )
    return made.calibrate(case.rows.calibrate.X, X_reference=train.X, y_reference=train.y if with_labels else None)


#: In the order of tables. Forests are not compared by labels: their cross-validation is dear.
METHODS = {
    method.name: method
    for method in (
        Method(UNALIGNED, lambda case: case.model),
        Method(CONSTRAINED, _constrained, tuple(name for name, model in MODELS.items() if model.constrained), "all"),
        Method("LightGBM intermediate", partial(_of_lightgbm, method="intermediate"), ("lightgbm",), "all"),
        Method("LightGBM advanced", partial(_of_lightgbm, method="advanced"), ("lightgbm",), "all"),
        Method("monotonize", lambda case: monotonize(case.model, case.portfolio.signs), ("ebm",)),
        Method(
            "reshaped, each tree on its own", lambda case: reshape(case.model, case.rows.train.X, case.portfolio.signs), TREES
        ),
        Method(
            "reshaped, over-constrained",
            lambda case: over_constrained(case.model, case.rows.train.X, case.portfolio.signs),
            TREES,
        ),
        Method(ALIGNED, partial(_aligned, alpha=0.0)),
        Method("aligned, alpha 0, by labels", partial(_aligned, alpha=0.0, with_labels=True), BOOSTED, "training rows'"),
        Method("aligned, alpha 0.05", partial(_aligned, alpha=0.05)),
        Method("aligned, alpha 0.1", partial(_aligned, alpha=0.1)),
    )
}  # fmt: skip
