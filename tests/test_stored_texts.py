"""Aligned models of rows with texts and categories are stored whole by skops, joblib and pickle, whatever projects them."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.properties import Bounded, Concave, Ordered

io = pytest.importorskip("skops.io", reason="skops is an extra")

RANDOM = np.random.default_rng(0)
GRADES = ["low", "mid", "high"]
X = pd.DataFrame(
    {
        "grade": RANDOM.choice(GRADES, 500),
        "town": pd.Categorical(RANDOM.choice(["A", "B"], 500)),
        **{name: RANDOM.random(500) for name in "abcd"},
    }
)
Y = np.sin(5 * X["a"]) + (X["grade"] == "mid") + X["b"] * (X["town"] == "A")


def piped(model: Any, y: Any = Y) -> Any:
    return make_pipeline(
        make_column_transformer((OneHotEncoder(), ["grade", "town"]), remainder="passthrough"), model
    ).fit(X, y)


FOREST = piped(RandomForestRegressor(8, random_state=0))

SETTINGS: dict[str, dict[str, Any]] = {
    "pieces": {"properties": {"a": +1}},
    "knots": {"properties": Concave("a")},
    "categories": {"properties": Ordered("grade", GRADES)},
    "two features": {"properties": [Ordered("grade", GRADES), Bounded(0, 2)], "projector": "lines"},
    "leaves": {"properties": {"a": +1, "b": -1}},
    "stand-in": {"properties": {"a": +1, "b": -1}, "projector": "distilled"},
    "given the others": {"properties": {"a": +1}, "reference_law": "conditional"},
    "groups": {"properties": {"a": +1}, "groups": "town"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_loaded_predicts_the_same(name: str) -> None:
    aligned = AlignedRegressor(FOREST, alpha=0.2, random_state=0, n_knots=8, **SETTINGS[name]).calibrate(X[:400])
    stored = io.dumps(aligned)
    trusted = io.get_untrusted_types(data=stored)
    # Boosting of scikit-learn has partial functions of its own.
    assert {kind for kind in trusted if not kind.startswith(("alignconf.", "sklearn."))} <= {"functools.partial"}
    for loaded in (io.loads(stored, trusted=trusted), pickle.loads(pickle.dumps(aligned))):
        assert np.array_equal(loaded.predict(X), aligned.predict(X))
        assert np.array_equal(loaded.predict(X[:1]), aligned.predict(X[:1]))
        assert loaded.certify(X[400:], Y[400:]) == aligned.certify(X[400:], Y[400:])


def test_classifiers_are_stored_too() -> None:
    classes = np.digitize(Y, [0.8])
    aligned = AlignedClassifier(
        piped(RandomForestClassifier(8, random_state=0), classes), {"a": -1}, alpha=0.2, random_state=0
    ).calibrate(X[:400])
    stored = io.dumps(aligned)
    loaded = io.loads(stored, trusted=io.get_untrusted_types(data=stored))
    assert np.array_equal(loaded.predict_proba(X), aligned.predict_proba(X))
