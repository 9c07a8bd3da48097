"""The README's table of exact models is true of each model that it names: the certificate proves, or does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMRegressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingRegressor,
    VotingRegressor,
)
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor
from xgboost import XGBRegressor

from alignconf import AlignedClassifier, AlignedRegressor

random = np.random.default_rng(0)
X = random.normal(size=(400, 3)).round(2)
Y = np.sin(3 * X[:, 0]) + X[:, 1] + random.normal(size=400)
CLASSES = np.digitize(Y, [-1, 1])


def boosted() -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(max_iter=8, random_state=0)


def members() -> list[tuple[str, Any]]:
    return [("boosted", boosted()), ("forest", RandomForestRegressor(3, random_state=0))]


SMALL = {"n_estimators": 8, "random_state": 0}
CLASSIFIER = HistGradientBoostingClassifier(max_iter=8, random_state=0)

#: By the words of the table's first column; two of them name optional libraries, whose lines have tests of their own.
MODELS: dict[str, list[Any]] = {
    "trees, forests, GradientBoosting, HistGradientBoosting, XGBoost, LightGBM": [
        DecisionTreeRegressor(max_depth=4, random_state=0),
        RandomForestRegressor(3, random_state=0),
        GradientBoostingRegressor(**SMALL),
        boosted(),
        XGBRegressor(**SMALL),
        LGBMRegressor(**SMALL, verbose=-1),
    ],
    "the same behind a Pipeline whose steps map the column by itself": [make_pipeline(StandardScaler(), boosted())],
    "one class of several, of a booster": [CLASSIFIER],
    "one class of several, of a forest": [RandomForestClassifier(3, random_state=0)],
    "CatBoost on numbers, explainable boosting machines": [],
    "votes, bags, stacks, AdaBoost, transformed targets, calibrated classifiers of these models": [
        VotingRegressor(members()),
        BaggingRegressor(boosted(), 3, random_state=0),
        StackingRegressor(members(), Ridge(), cv=2),
        AdaBoostRegressor(**SMALL),
        TransformedTargetRegressor(boosted(), func=np.sinh, inverse_func=np.arcsinh),
        CalibratedClassifierCV(CLASSIFIER, cv=2),
    ],
    "anything else with `predict`: networks, support vectors, linear models": [
        MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=2000, random_state=0),
        SVR(),
        LinearRegression(),
    ],
}

PAGE = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
TABLE = re.search(r"^\| model \| one feature \| many features together \|\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE[1].splitlines()] if TABLE else []
CASES = [(model, cells) for words, *cells in ROWS for model in MODELS[words]]


def test_each_row_has_its_models() -> None:
    assert [row[0] for row in ROWS] == list(MODELS)


@pytest.mark.parametrize(("model", "cells"), CASES, ids=[type(model).__name__ for model, _ in CASES])
def test_what_the_table_calls_exact_is_proved(model: Any, cells: list[str]) -> None:
    for cell, rules in zip(cells, ({0: +1}, {0: +1, 1: +1}), strict=True):
        if hasattr(model, "predict_proba"):
            aligned: Any = AlignedClassifier(model.fit(X[:200], CLASSES[:200]), rules, pos_label=2, alpha=0)
        else:
            aligned = AlignedRegressor(model.fit(X[:200], Y[:200]), rules, alpha=0)
        certificate = aligned.calibrate(X[200:260], X_reference=X[:200]).certify(X[260:])
        assert certificate.by_construction is (cell == "exact"), aligned.calibration_.repair
