"""What the trees of other people's models prove, and what follows for the verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from xgboost import XGBClassifier, XGBRegressor

from alignconf import ClassFunction, check
from alignconf.errors import DefectError
from alignconf.properties import Concave, Increasing, Unimodal

CONSTRAINTS = [1, -1, 0, 1]
RULES = {0: 1, 1: -1, 3: 1}


def _rows() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 4)).round(2)
    y = X[:, 0] - X[:, 1] + X[:, 2] ** 2 + np.tanh(X[:, 3]) + rng.normal(size=len(X))
    X[rng.random(X.shape) < 0.05] = np.nan
    return X, y


X, Y = _rows()
LABELS = (Y > 1).astype(int)

PROVED: dict[str, Any] = {
    "XGBoost hist": XGBRegressor(n_estimators=20, max_depth=4, monotone_constraints=tuple(CONSTRAINTS), random_state=0),
    "XGBoost exact": XGBClassifier(
        n_estimators=20, max_depth=4, tree_method="exact", monotone_constraints=tuple(CONSTRAINTS), random_state=0
    ),
    "HGB": HistGradientBoostingRegressor(max_iter=20, monotonic_cst=CONSTRAINTS, random_state=0),
    "HGB classifier": HistGradientBoostingClassifier(max_iter=20, monotonic_cst=CONSTRAINTS, random_state=0),
    "forest": RandomForestRegressor(10, monotonic_cst=CONSTRAINTS, random_state=0),
    **{
        f"LightGBM {method}": LGBMRegressor(
            n_estimators=20, monotone_constraints=CONSTRAINTS, monotone_constraints_method=method, verbose=-1
        )
        for method in ("basic", "intermediate", "advanced")
    },
    "LightGBM classifier": LGBMClassifier(n_estimators=20, monotone_constraints=CONSTRAINTS, verbose=-1),
}


def _fitted(model: Any) -> Any:
    """Return the model, or the probability of its second class, fitted to complete rows where it needs them."""
    # LightGBM's advanced method breaks its own constraint where values are missing; the proof finds the leaves that do.
    is_complete = isinstance(model, RandomForestRegressor) or "advanced" in model.get_params().values()
    rows = np.nan_to_num(X) if is_complete else X
    if hasattr(model, "predict_proba"):
        return ClassFunction(model.fit(rows[:800], LABELS[:800]), 1, "probability")
    return model.fit(rows[:800], Y[:800])


@pytest.mark.parametrize("name", PROVED)
def test_constraints_of_libraries_are_proved(name: str) -> None:
    """All inequalities hold in models trained under their library's own constraint, and the verdict needs no rows."""
    audit = check(_fitted(PROVED[name]), np.nan_to_num(X[800:]), RULES, random_state=0)
    assert audit.proof.holds
    assert audit.sentence.startswith("Proved: in each of the model's ")
    assert audit.verdict().word == audit.verdict(0.05).word == "holds"
    assert audit.verdict().is_passed
    assert audit.violations.n_rejected == 0


@pytest.mark.parametrize("name", PROVED)
def test_models_without_constraints_are_not(name: str) -> None:
    """The first tree and pair of leaves are named; the rows decide."""
    free = PROVED[name].__class__(**{
        key: value for key, value in PROVED[name].get_params().items() if not key.startswith("monoton")
    })  # fmt: skip
    audit = check(_fitted(free), np.nan_to_num(X[800:]), RULES, random_state=0)
    assert not audit.proof.holds
    assert audit.proof.text.startswith("Not proved by the model's trees, which does not refute it: tree ")
    assert audit.proof.text not in audit.sentence
    assert audit.verdict().word == "violated"


def test_a_rule_that_was_not_constrained_is_not_proved() -> None:
    """The proof is about the rules that are asked for, all of them."""
    model = _fitted(PROVED["HGB"])
    assert check(model, X, {0: 1}, random_state=0).proof.holds
    assert not check(model, X, {0: 1, 2: 1}, random_state=0).proof.holds
    assert not check(model, X, {0: -1}, random_state=0).proof.holds


def test_a_sum_may_be_in_order_although_a_tree_is_not() -> None:
    """What is not proved is not refuted: of 2x in the first stage and -x in the second no violation is seen."""
    x = np.linspace(0, 1, 400)
    rows = np.column_stack([x, np.zeros((400, 3))])
    model = HistGradientBoostingRegressor(max_iter=2, learning_rate=1.0, max_leaf_nodes=8, min_samples_leaf=5).fit(
        rows, x
    )
    first, second = (predictor[0].nodes for predictor in model._predictors)
    second["value"] = 0
    first["value"] = 2 * first["value"]
    model._predictors[1][0].nodes[:] = first
    model._predictors[1][0].nodes["value"] = -first["value"] / 2
    audit = check(
        model, np.column_stack([np.random.default_rng(0).random(400), np.zeros((400, 3))]), {0: 1}, random_state=0
    )
    assert not audit.proof.holds
    assert "tree 1 of 2" in audit.proof.text
    assert audit.verdict().word == "no violation seen"
    assert audit.proof.text in audit.sentence


def test_what_trees_do_not_tell_has_no_proof() -> None:
    """Other models, other rules, and tolerances are asked only."""
    model = _fitted(PROVED["HGB"])
    filled = np.nan_to_num(X)
    assert check(LinearRegression().fit(filled, Y), filled, RULES, random_state=0).proof is None
    for declared in (Concave(0), [Increasing(0), Unimodal(1)]):
        assert check(model, X, declared, random_state=0).proof is None
    assert "proof" in check(model, X, {0: 1}, random_state=0).to_dict()


def test_a_proof_beside_a_violation_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence that says proved is never printed beside a failure."""
    from alignconf.certify import asking

    model = _fitted(HistGradientBoostingRegressor(max_iter=20, random_state=0))
    monkeypatch.setattr(asking, "proof_by_trees", lambda *_: asking.Proof(True, "Proved."))
    with pytest.raises(DefectError, match="which the trees of the model prove"):
        check(model, X, RULES, random_state=0)
