"""Models behind the steps that many of them have in use: imputed and scaled numbers, one-hot codes of free columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from alignconf.kernels.tree_walk import LEAF
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.trees import read_ensemble

__all__ = ["in_a_pipeline", "trees_and_thresholds"]

#: A free column of at most so many values is taken for codes of categories.
MOST_CODES = 12


def in_a_pipeline(model: Any, X: pd.DataFrame, signs: Mapping[str, int]) -> Pipeline:
    """Return a model, not fitted, behind an imputer and a scaler of numbers and one-hot codes of free columns with few values."""
    codes = [name for name in X if name not in signs and X[name].nunique() <= MOST_CODES]
    numbers = [name for name in X if name not in codes]
    columns = ColumnTransformer(
        [
            ("codes", OneHotEncoder(handle_unknown="ignore", sparse_output=False), codes),
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        ]
    )
    return Pipeline([("columns", columns), ("model", model)])


def trees_and_thresholds(
    model: Any, X: pd.DataFrame, signs: Mapping[str, int]
) -> tuple[Ensemble, dict[str, np.ndarray]]:
    """Return the trees of a model and their thresholds on each constrained feature, in its own unit.

    An infinite threshold, which parts missing values from all others, is left out.
    """
    steps = model.steps if isinstance(model, Pipeline) else [("model", model)]
    ensemble = read_ensemble(steps[-1][1])
    assert isinstance(ensemble, Ensemble), ensemble
    nodes = ensemble.nodes[(ensemble.nodes["split"] != LEAF) & np.isfinite(ensemble.nodes["number"])]
    names, shift, scale = list(X.columns), np.zeros(X.shape[1]), np.ones(X.shape[1])
    if len(steps) > 1:
        columns = steps[0][1]
        scaler, first = columns.named_transformers_["numbers"][-1], columns.output_indices_["numbers"].start
        names = [None] * first + list(columns.transformers_[1][2])
        shift, scale = (np.append(np.zeros(first), part) for part in (scaler.mean_, scaler.scale_))
    places = {}
    for name in signs:
        column = names.index(name)
        places[name] = np.unique(nodes["number"][nodes["split"] >> 1 == column]) * scale[column] + shift[column]
    return ensemble, places
