"""Special values and ranges: what is outside a rule's domain is compared with nothing and reaches the model as it is."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightgbm import LGBMRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor
from xgboost import XGBRegressor

from alignconf import AlignedClassifier, AlignedRegressor, InputError, PropertyWarning, check
from alignconf.contract.domain import Domain
from alignconf.deployment.propose.specifications import read_specifications
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.trees import read_ensemble
from alignconf.projectors.leaves.joint_fit import with_values
from alignconf.projectors.leaves.partial_order import LeafOrder, broken_pair
from alignconf.properties import (
    AllOf,
    Concave,
    Decreasing,
    DiminishingReturns,
    Dominates,
    Increasing,
    Invariant,
    Unimodal,
)
from alignconf.properties.declare import declare
from tests.catalogue import CASES
from tests.examples import examples

CODES = [-9.0, -8.0]


def coded_rows(n_rows: int, seed: int, n_features: int = 4) -> np.ndarray:
    """Return rows in [0, 10] with codes, a few values beyond, and missing ones."""
    random = np.random.default_rng(seed)
    rows = np.round(random.uniform(0, 10, (n_rows, n_features)), 1)
    rows[random.random(rows.shape) < 0.15] = -9
    rows[random.random(rows.shape) < 0.1] = -8
    rows[random.random(rows.shape) < 0.1] = np.nan
    return rows


class Coded:
    """Waves along every feature, and a level of its own for each code."""

    def predict(self, X: Any) -> np.ndarray:
        X = np.asarray(X, dtype=float)
        waves = np.where(np.isnan(X), 1.3, np.where(X < 0, X / 3, np.sin(X) + X / 9))
        return np.asarray((waves * np.arange(1.0, X.shape[1] + 1)).sum(axis=1) + waves[:, 0] * waves[:, 1])


TRAIN, FRESH = coded_rows(700, 0), coded_rows(200, 1)
LABELS = Coded().predict(TRAIN) + np.random.default_rng(2).normal(0, 0.3, 700)
MODELS = {
    "any model": Coded(),
    "XGBoost": XGBRegressor(n_estimators=25, max_depth=4, n_jobs=1).fit(TRAIN, LABELS),
    "LightGBM": LGBMRegressor(n_estimators=25, num_leaves=12, n_jobs=1, verbose=-1).fit(TRAIN, LABELS),
    "HGB": HistGradientBoostingRegressor(max_iter=25, max_leaf_nodes=12).fit(TRAIN, LABELS),
    "forest": RandomForestRegressor(10, min_samples_leaf=4, random_state=0).fit(TRAIN, LABELS),
}


def broken_share(predict: Any, rows: np.ndarray, part: Any, places: np.ndarray) -> float:
    """Return the share of rows in the domain of an order rule that have two of some places in the wrong order."""
    held = rows[part.domain.holds(rows[:, part.feature])]
    lines = np.repeat(held[:, None, :], places.size, axis=1)
    lines[:, :, part.feature] = places
    values = part.direction * predict(lines.reshape(-1, rows.shape[1])).reshape(len(held), -1)
    return float((np.maximum.accumulate(values, axis=1) - values > 1e-6 * np.abs(values).max()).any(axis=1).mean())


def places_of(part: Any) -> np.ndarray:
    low, high = np.clip(part.domain.between, 0, 10)
    return np.linspace(low, high, 60)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "rules",
    [
        pytest.param([Increasing(0, special=CODES, between=(0, 7))], id="one"),
        pytest.param(
            [Increasing(0, special=CODES, between=(2, 7)), Decreasing(1, special=CODES, between=(0, 10))], id="two"
        ),
        pytest.param([Increasing(i, special=CODES, between=(0, 9)) for i in range(4)], id="four"),
    ],
)
def test_rules_hold_in_their_domain_and_codes_are_left_alone(name, rules):
    model = MODELS[name]
    aligned = AlignedRegressor(model, rules, alpha=0, random_state=0).calibrate(TRAIN)
    for part in rules:
        places = places_of(part)
        if name == "any model" and len(rules) < 4:  # a grid: in order from knot to knot
            law = next(law for law in aligned.alignment_.tester.laws if law.axis.position == part.feature)
            places = law.knots
        assert part.domain.holds(places).all()
        assert broken_share(model.predict, FRESH, part, places) > 0.1
        assert broken_share(aligned.predict, FRESH, part, places) == 0
    outside = ~np.any([part.domain.holds(FRESH[:, part.feature]) for part in rules], axis=0)
    certificate = aligned.certify(FRESH)
    assert certificate.n_missing == outside.sum() > 0
    if "leaves" not in aligned.calibration_.repair:
        np.testing.assert_array_equal(aligned.predict(FRESH)[outside], model.predict(FRESH)[outside])
    if aligned.calibration_.repair.startswith("exact"):
        assert check(aligned, FRESH, rules, X_reference=TRAIN, random_state=0).violations.n_rejected == 0


def test_a_surrogate_serves_ranges_that_hold_every_reference_value():
    """A column of values outside the range would be empty, which boosting refuses; a fresh value outside counts as missing."""
    rules = [Increasing(0, special=[-9]), *(Increasing(i, between=(0, 20)) for i in (1, 2, 3))]
    rows = np.random.default_rng(5).uniform(0, 10, (300, 4))
    rows[:40, 0] = -9
    aligned = AlignedRegressor(Coded(), rules, alpha=0, n_knots=8, random_state=0).calibrate(rows)
    assert "stand-in" in aligned.calibration_.repair
    for part in rules[1:]:
        assert broken_share(aligned.predict, rows[:100], part, places_of(part)) == 0
    beyond, missing = rows[:50].copy(), rows[:50].copy()
    beyond[:, 1], missing[:, 1] = 25, np.nan
    for fresh in (beyond, missing):
        assert broken_share(aligned.predict, fresh, rules[0], np.linspace(0, 10, 30)) == 0


@pytest.mark.parametrize("name", ["XGBoost", "HGB"])
def test_codes_keep_levels_of_their_own(name):
    """Where a code is below all others, an order that counted it in would have to flatten the line or the code."""
    random = np.random.default_rng(3)
    # XGBoost cuts at values that occur: the range starts at the smallest of them.
    rows = np.where(random.random((800, 2)) < 0.3, -9, random.integers(0, 11, (800, 2))).astype(float)
    y = np.where(rows < 0, 20.0, rows).sum(axis=1)
    model = type(MODELS[name])().set_params(**MODELS[name].get_params()).fit(rows, y)
    rules = [Increasing(0, special=[-9], between=(0, 10)), Increasing(1, special=[-9], between=(0, 10))]
    aligned = AlignedRegressor(model, rules, alpha=0, random_state=0).calibrate(rows)
    naive = AlignedRegressor(model, {0: 1, 1: 1}, alpha=0, random_state=0).calibrate(rows)
    error, naive_error = (np.sqrt(np.mean((m.predict(rows) - y) ** 2)) for m in (aligned, naive))
    assert "share leaves with numbers beside them" not in aligned.calibration_.repair
    bare = AlignedRegressor(model, {0: 1, 1: 1}, special=[-9], alpha=0, random_state=0).calibrate(rows)
    assert "special values of 0, 1 share leaves with numbers beside them" in bare.calibration_.repair
    assert error < 1 < 5 < naive_error, (error, naive_error)


@examples(60)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_the_order_of_leaves_within_domains_is_that_of_all_rows(seed, data):
    """A single tree is in order by :func:`broken_pair` iff it is at all pairs of rows of a lattice that holds every cell."""
    random = np.random.default_rng(seed)
    n_features = 2
    rows = random.integers(-3, 6, (60, n_features)).astype(float)
    rows[random.random(rows.shape) < 0.2] = np.nan
    tree = HistGradientBoostingRegressor(max_iter=1, max_leaf_nodes=6, min_samples_leaf=3, learning_rate=1.0)
    ensemble = read_ensemble(tree.fit(rows, random.normal(size=60)))
    assert isinstance(ensemble, Ensemble)
    special = data.draw(st.sampled_from([(), (-3,), (-3, 2)]))
    between = data.draw(st.sampled_from([(-np.inf, np.inf), (0.0, 4.0), (-2.0, 3.0)]))
    domains = {0: Domain(special, between), 1: Domain((), between)}
    directions = {0: data.draw(st.sampled_from([-1, 0, 1])), 1: data.draw(st.sampled_from([-1, 0, 1]))}
    ticks = np.array([np.nan, *np.arange(-3.5, 6, 0.5)])
    lattice = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)

    def is_in_order(values: np.ndarray) -> bool:
        precedes = np.ones((len(lattice), len(lattice)), dtype=bool)
        for feature in range(n_features):
            x = lattice[:, feature]
            held = domains[feature].holds(x)
            sign = directions[feature]
            ordered = sign * x[:, None] <= sign * x[None, :]
            equal = (x[:, None] == x[None, :]) | (np.isnan(x)[:, None] & np.isnan(x)[None, :])
            precedes &= equal | (held[:, None] & held[None, :] & (ordered if sign else True))
        return not (precedes & (values[:, None] > values[None, :] + 1e-12)).any()

    assert is_in_order(ensemble.predict(lattice)) == (broken_pair(ensemble, directions, domains) is None)
    order = LeafOrder.of(ensemble, directions, domains)
    finished = order.in_order(order.of_groups(order.values, np.ones(order.values.size)))
    assert is_in_order(with_values(ensemble, finished).predict(lattice))


NUMERIC = [case for case in CASES if all(part.feature in ("a", "b", "c") and not part.order for part in case.lines)]


class Bumpy:
    """Positive, and no member of any property."""

    def predict(self, X: Any) -> np.ndarray:
        a, b, c = (X[name].to_numpy() for name in "abc")
        return np.asarray(9 + np.sin(3 * a) + np.cos(2 * b) * c / 4 + np.abs(a - b) / 3)


def in_domain(part: Any) -> Any:
    """Return a part within a range, a value of it apart; lines of two features have no range."""
    return part.with_special([4]) if part.trade else replace(part.with_special([4]), between=(1, 6))


@pytest.mark.filterwarnings("ignore::alignconf.PropertyWarning")
@pytest.mark.parametrize("case", NUMERIC, ids=str)
@pytest.mark.parametrize("projection", ["l2", "sup"])
def test_a_domain_is_as_if_no_other_rows_were_there(case, projection):
    """Every property: rows in the domain are projected as without the others, to the bit; the others keep their values."""
    random = np.random.default_rng(7)
    inside = pd.DataFrame(random.choice([1, 1.5, 2, 2.5, 3, 3.5, 4.5, 5, 6], (150, 3)), columns=list("abc"))
    codes = [4.0] if any(part.trade for part in case.lines) else [-7, 0.5, 4, 6.5, 9, np.nan]
    outside = pd.DataFrame(random.choice(codes, (60, 3)), columns=list("abc"))
    declared = AllOf(*(in_domain(part) for part in case.lines))
    how = {"alpha": 0, "n_knots": 8, "projection": projection, "random_state": 0}
    alone = AlignedRegressor(Bumpy(), case, **how).calibrate(inside)
    mixed = AlignedRegressor(Bumpy(), declared, **how).calibrate(pd.concat([inside, outside], ignore_index=True))
    assert (alone.predict(inside) != Bumpy().predict(inside)).any()
    np.testing.assert_array_equal(mixed.predict(inside), alone.predict(inside))
    filled = outside.fillna(-7.0)
    np.testing.assert_array_equal(mixed.predict(filled), Bumpy().predict(filled))


def test_words_and_repr_show_domains():
    rule = Increasing("age", special=[-9, -8], between=(0, 120))
    assert str(rule) == "increasing in 'age' between 0 and 120, -9 and -8 apart,"
    assert eval(repr(rule)) == rule
    assert str(Decreasing("age", between=(-np.inf, 65))) == "decreasing in 'age' up to 65"
    assert str(Unimodal("age", between=(18, np.inf))) == "unimodal in 'age' from 18 on"
    assert str(Dominates("a", "b", special=[-9])).endswith("'b', -9 apart")
    assert str(DiminishingReturns("a", "b", special=[-9])).endswith("'b', -9 apart")


def test_special_values_are_shared():
    X = pd.DataFrame(coded_rows(300, 4), columns=list("abcd"))
    aligned = AlignedRegressor(Coded(), {"a": +1, "b": -1}, special=CODES, alpha=0, random_state=0).calibrate(X)
    assert "-9.0 and -8.0 apart" in str(aligned.alignment_.tester.declared)
    each = [Increasing("a", special=CODES), Decreasing("b", special=CODES)]
    again = AlignedRegressor(Coded(), each, alpha=0, random_state=0).calibrate(X)
    np.testing.assert_array_equal(aligned.predict(X), again.predict(X))
    inherited = AlignedRegressor(Coded(), [Increasing("a", special=CODES), Concave("a")], alpha=0, random_state=0)
    assert all(part.special == tuple(CODES) for part in inherited.calibrate(X).alignment_.tester.declared.lines)


def test_two_ranges_of_one_feature():
    rules = [Increasing(0, special=CODES, between=(0, 4)), Decreasing(0, special=CODES, between=(5, 10))]
    for name in ("any model", "HGB"):
        aligned = AlignedRegressor(MODELS[name], rules, alpha=0, random_state=0).calibrate(TRAIN)
        for part, law in zip(rules, aligned.alignment_.tester.laws, strict=True):
            assert broken_share(MODELS[name].predict, FRESH, part, law.knots) > 0.1
            assert broken_share(aligned.predict, FRESH, part, law.knots) == 0


def test_an_ordered_category_has_codes_of_its_own():
    random = np.random.default_rng(5)
    frame = pd.DataFrame({"grade": random.choice(["low", "mid", "high", "n/a"], 400), "z": random.random(400)})

    class Grades:
        def predict(self, X: Any) -> np.ndarray:
            level = X["grade"].map({"low": 3.0, "mid": 1.0, "high": 2.0, "n/a": 9.0}).to_numpy()
            return np.asarray(level + X["z"].to_numpy())

    rule = Increasing("grade", order=["low", "mid", "high"], special=["n/a"])
    aligned = AlignedRegressor(Grades(), rule, alpha=0, random_state=0).calibrate(frame)
    coded = frame["grade"].to_numpy() == "n/a"
    np.testing.assert_array_equal(aligned.predict(frame)[coded], Grades().predict(frame)[coded])
    levels = [aligned.predict(frame.assign(grade=grade, z=0.5))[0] for grade in rule.order]
    assert all(low <= high for low, high in pairwise(levels))
    assert aligned.certify(frame.assign(z=random.random(400))).n_missing == coded.sum()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Increasing("age", between=(120, 0)), "goes from 120 to 0; expected the lower end first"),
        (lambda: Increasing("age", between=(3, 3)), "goes from 3 to 3"),
        (lambda: Increasing("age", between=5), "must be the two ends of a range, got 5"),
        (lambda: Increasing("age", between=(0, np.nan)), "goes from 0 to nan"),
        (lambda: Increasing("age", special=-9), "must list the values that are outside the order, got -9"),
        (lambda: Increasing("age", special="-9"), "must list the values that are outside the order, got '-9'"),
        (lambda: declare({"age": 1}, special=-9), "special must list the values that are outside the order, got -9"),
        (lambda: DiminishingReturns("a", "b", special="9"), "special of DiminishingReturns must list"),
        (lambda: Increasing("age", special=[np.nan]), "Missing values need not be named"),
        (lambda: Increasing("age", special=[[1]]), "expected numbers or categories"),
        (lambda: Increasing("g", order=["a", "b"], between=(0, 1)), "takes no between=(0, 1)"),
        (lambda: Increasing("g", order=["a", "b"], special=["b"]), "'b' both in order= and in special="),
        (lambda: Dominates("a", "b", between=(0, 1)), "takes no between"),
    ],
)
def test_domains_that_are_none_are_refused(build, message):
    with pytest.raises(InputError) as caught:
        build()
    assert message in str(caught.value)


def test_specifications_say_them():
    text = """[
      {"type": "increasing", "feature": "age", "special": [-9, -8], "between": [0, null]},
      {"type": "slope", "feature": "age", "bounds": [0, 2], "between": [0, 10]},
      {"type": "bounded", "bounds": [0, 1], "between": [0, 1]},
      {"type": "increasing", "feature": "age", "special": -9},
      {"type": "increasing", "feature": "age", "between": [5, 1]}
    ]"""
    first, second, *refused = read_specifications(text)
    assert first.declared == Increasing("age", special=[-9, -8], between=(0, np.inf))
    assert [part.between for part in second.declared.lines] == [(0, 10), (0, 10)]
    reasons = ["between is for properties of one feature", "special must list numbers and texts", "the wrong way round"]
    for entry, reason in zip(refused, reasons, strict=True):
        assert reason in entry.reason


def test_what_the_rows_contradict_is_said():
    model, X = Coded(), TRAIN
    with pytest.raises(InputError, match="between 50 and 60 has no value at all in the 700 reference rows"):
        AlignedRegressor(model, Increasing(0, between=(50, 60)), alpha=0).calibrate(X)
    with pytest.raises(InputError, match=r"declared with special=\[-9\] and with special=\[-8\]"):
        AlignedRegressor(model, [Increasing(0, special=[-9]), Concave(0, special=[-8])], alpha=0).calibrate(X)
    with pytest.warns(PropertyWarning, match="special values that no reference row has: -99 of 0"):
        AlignedRegressor(model, Increasing(0, special=[-9, -99]), alpha=0).calibrate(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # A code that one of the columns has is none of the misspelled ones; a code within the range stays special.
        AlignedRegressor(model, {0: 1, 1: 1}, special=[-9], alpha=0, random_state=0).calibrate(X)
        inside = AlignedRegressor(model, Increasing(0, special=[-9, -8, 5], between=(0, 9)), alpha=0, random_state=0)
        inside.calibrate(X)
    at_five = FRESH.copy()
    at_five[:, 0] = 5
    np.testing.assert_array_equal(inside.predict(at_five), model.predict(at_five))


def test_a_classifier_has_them_too():
    y = np.median(LABELS) < LABELS
    fitted = HistGradientBoostingClassifier(max_iter=20).fit(TRAIN, y)
    rules = AllOf(Increasing(0), Decreasing(1), Invariant(2))
    aligned = AlignedClassifier(fitted, rules, special=CODES, alpha=0, random_state=0).calibrate(TRAIN)
    certificate = aligned.certify(FRESH)
    assert certificate.delivered.n_rejected == 0 < certificate.before.n_rejected
    assert "-9.0 and -8.0 apart" in certificate.property
