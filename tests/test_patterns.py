"""Rows that lack some of the constrained features obey the rules whose features they have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

from alignconf import AlignedRegressor, InputError, check
from alignconf.deployment.monitoring.monitor import Monitor
from alignconf.deployment.monitoring.sequential import SequentialCertificate
from alignconf.plotting.line import line as plot_line
from alignconf.properties import DiminishingReturns, Increasing
from tests.examples import examples

RNG = np.random.default_rng(20)
N_FEATURES = 6


def rows_with_holes(n_rows: int, seed: int, share: float = 0.3) -> np.ndarray:
    random = np.random.default_rng(seed)
    rows = random.random((n_rows, N_FEATURES))
    rows[random.random(rows.shape) < share] = np.nan
    return rows


class Waves:
    """Goes up and down along every feature; a missing value counts as its own level."""

    def predict(self, X: Any) -> np.ndarray:
        X = np.asarray(X, dtype=float)
        waves = np.where(np.isnan(X), 0.3, np.sin(9 * X) + X)
        return np.asarray((waves * np.arange(1.0, X.shape[1] + 1)).sum(axis=1) + waves[:, 0] * waves[:, 1])


TRAIN = rows_with_holes(600, 0)
LABELS = Waves().predict(TRAIN) + np.random.default_rng(1).normal(size=600)
HGB = HistGradientBoostingRegressor(max_iter=30, random_state=0).fit(TRAIN, LABELS)
FOREST = RandomForestRegressor(10, min_samples_leaf=5, random_state=0).fit(TRAIN, LABELS)
FRESH = rows_with_holes(300, 2)


def worst_breach(predict: Any, rows: np.ndarray, feature: int, sign: int, places: np.ndarray) -> float:
    """Return the largest fall against ``sign`` along a feature, in rows that have it."""
    present = rows[~np.isnan(rows[:, feature])]
    lines = np.repeat(present[:, None, :], places.size, axis=1)
    lines[:, :, feature] = places
    values = sign * predict(lines.reshape(-1, rows.shape[1])).reshape(len(present), -1)
    return float((np.maximum.accumulate(values, axis=1) - values).max())


@pytest.mark.parametrize(
    ("model", "rules", "options"),
    [
        pytest.param(Waves(), {0: +1, 1: -1}, {}, id="grid, any model"),
        pytest.param(Waves(), {0: +1, 1: -1, 2: +1}, {"n_knots": 8}, id="grid of three"),
        pytest.param(HGB, {0: +1, 1: -1}, {"projector": "lines"}, id="grid walked in trees"),
        pytest.param(HGB, {0: +1, 1: -1, 2: +1}, {}, id="leaves"),
        pytest.param(FOREST, {0: +1, 1: -1, 2: +1, 3: -1}, {}, id="leaves of a forest"),
        pytest.param(Waves(), {0: +1, 1: -1, 2: +1, 3: +1, 4: -1}, {}, id="surrogate, with anchors or without"),
        pytest.param(
            Waves(),
            {0: +1, 1: -1, 2: +1, 3: +1},
            {"projector": HistGradientBoostingRegressor(monotonic_cst=[1, -1, 1, 1, 0, 0], max_iter=30)},
            id="regressor that takes missing values",
        ),
    ],
)
@pytest.mark.parametrize("alpha", [0, 0.1])
def test_each_row_obeys_the_rules_whose_features_it_has(model, rules, options, alpha):
    aligned = AlignedRegressor(model, rules, alpha=alpha, random_state=0, confidence=None, **options)
    aligned.calibrate(rows_with_holes(500, 3), X_reference=rows_with_holes(400, 4))
    laws = {law.axis.position: law for law in aligned.alignment_.tester.laws}
    certificate = aligned.certify(FRESH)
    audits = {feature: check(aligned, FRESH, {feature: sign}, random_state=0) for feature, sign in rules.items()}
    if alpha:
        assert certificate.delivered.rate <= 0.1 + 4 * np.sqrt(0.1 * 0.9 / certificate.n_rows)
        return
    # Two places within one cell of a grid may fail.
    within_cells = 3 if isinstance(model, Waves) and len(rules) <= 3 else 0
    assert certificate.delivered.n_rejected <= within_cells
    assert all(audit.violations.n_rejected <= within_cells for audit in audits.values())
    for feature, sign in rules.items():
        places = laws[feature].knots
        assert worst_breach(model.predict, FRESH, feature, sign, places) > 0.1
        assert worst_breach(aligned.predict, FRESH, feature, sign, places) <= 1e-9


def test_a_regressor_that_takes_no_missing_values_leaves_such_rows_alone_and_says_so():
    from sklearn.linear_model import LinearRegression

    rules = {0: +1, 1: +1}
    aligned = AlignedRegressor(Waves(), rules, alpha=0, projector=LinearRegression(positive=True), random_state=0)
    few = TRAIN.copy()
    few[:, 2:] = 0.5
    aligned.calibrate(few)
    fresh = FRESH.copy()
    fresh[:, 2:] = 0.5
    lacking = np.isnan(fresh[:, :2]).any(axis=1)
    np.testing.assert_array_equal(aligned.predict(fresh)[lacking], Waves().predict(fresh)[lacking])
    certificate = aligned.certify(fresh)
    assert certificate.n_missing == lacking.sum() > 0
    assert "lack a constrained feature, which the surrogate does not take" in certificate.sentence


def test_a_plane_leaves_rows_their_lines():
    rule = [DiminishingReturns(0, 1), Increasing(0)]
    aligned = AlignedRegressor(Waves(), rule, alpha=0, n_knots=8, random_state=0).calibrate(TRAIN)
    law = next(law for law in aligned.alignment_.tester.laws if law.axis.position == 0)
    alone = FRESH[np.isnan(FRESH[:, 1])]
    assert worst_breach(Waves().predict, alone, 0, 1, law.knots) > 1
    assert worst_breach(aligned.predict, alone, 0, 1, law.knots) <= 1e-9
    without = FRESH[np.isnan(FRESH[:, 0])]
    np.testing.assert_array_equal(aligned.predict(without), Waves().predict(without))


@examples(30)
@given(st.data())
def test_a_further_rule_never_adds_violations_of_another(data):
    """At full strength and at the knots, whatever is missing: random rules in random order."""
    signs = {0: +1, 1: -1, 2: +1, 3: -1}
    features = data.draw(st.permutations(range(4)))[: data.draw(st.integers(1, 4))]
    share = data.draw(st.sampled_from([0.1, 0.5, 0.8]))
    seed = data.draw(st.integers(0, 100))
    model = data.draw(st.sampled_from([Waves(), HGB]))
    rows, reference = rows_with_holes(60, seed, share), rows_with_holes(150, seed + 1, share)
    for count in range(1, len(features) + 1):
        rules = {feature: signs[feature] for feature in features[:count]}
        aligned = AlignedRegressor(model, rules, alpha=0, n_knots=6, random_state=0).calibrate(reference)
        for law in aligned.alignment_.tester.laws:
            feature = law.axis.position
            assert worst_breach(aligned.predict, rows, feature, signs[feature], law.knots) <= 1e-9


def test_what_has_a_place_is_counted_part_by_part():
    aligned = AlignedRegressor(Waves(), {0: +1, 1: -1}, alpha=0.2, random_state=0, confidence=None).calibrate(TRAIN)
    certificate = aligned.certify(FRESH)
    present = ~np.isnan(FRESH[:, :2])
    assert certificate.n_rows == present.any(axis=1).sum()
    assert certificate.n_missing == (~present).all(axis=1).sum() > 0
    assert [count for _, count in certificate.coverage] == present.sum(axis=0).tolist()
    assert f"increasing in 0, {present[:, 0].sum()} rows" in certificate.sentence
    audit = check(Waves(), FRESH, {0: +1, 1: -1}, X_reference=TRAIN, random_state=0)
    assert [count for _, count in audit.coverage] == present.sum(axis=0).tolist()
    assert audit.violations.n_queries == present.any(axis=1).sum()


@pytest.mark.parametrize("rules", [{0: +1, 1: -1}, {0: +1, 1: -1, 2: +1}], ids=["grid", "three"])
def test_pictures_are_of_rows_that_have_the_feature(rules):
    """Also where the model keeps a rule and the first row lacks its feature."""

    class Partly(Waves):
        def predict(self, X: Any) -> np.ndarray:
            X = np.asarray(X, dtype=float)
            return np.asarray(np.nan_to_num(np.sin(9 * X[:, 0])) - np.nan_to_num(X[:, 1]) + np.nan_to_num(X[:, 2]))

    aligned = AlignedRegressor(Partly(), rules, alpha=0, n_knots=6, random_state=0).calibrate(TRAIN)
    fresh = FRESH[np.argsort(~np.isnan(FRESH[:, 1]), kind="stable")]
    certificate = aligned.certify(fresh)
    for line in certificate.evidence.lines:
        feature = int(line.label)
        assert not np.isnan(fresh[line.row, feature])
        at = np.repeat(fresh[[line.row]], len(line.places), axis=0)
        at[:, feature] = line.places
        np.testing.assert_allclose(line.model, Partly().predict(at), atol=1e-12)
        np.testing.assert_allclose(line.delivered, aligned.predict(at), atol=1e-12)
    with pytest.raises(InputError, match="X has no value of 1 in row 0"):
        plot_line(aligned, fresh, feature=1, row=0)


def test_a_plane_alone_is_pictured_as_it_is_where_a_row_lacks_one_feature():
    aligned = AlignedRegressor(Waves(), DiminishingReturns(0, 1), alpha=0, n_knots=8, random_state=0).calibrate(TRAIN)
    alone = FRESH[np.isnan(FRESH[:, 1]) & ~np.isnan(FRESH[:, 0])][:1]
    places = np.linspace(0.1, 0.9, 5)
    f, g = aligned.alignment_.along(alone, 0, places)
    at = np.repeat(alone, 5, axis=0)
    at[:, 0] = places
    np.testing.assert_array_equal(f, Waves().predict(at))
    np.testing.assert_array_equal(g, f)


def test_streams_count_part_by_part():
    aligned = AlignedRegressor(Waves(), {0: +1, 1: -1}, alpha=0.3, random_state=0, confidence=None).calibrate(TRAIN)
    present = ~np.isnan(FRESH[:, :2])
    for stream in (Monitor(aligned).update(FRESH), SequentialCertificate(aligned).update(FRESH)):
        assert [count for _, count in stream.coverage] == present.sum(axis=0).tolist()
        assert stream.n_missing == (~present).all(axis=1).sum()
        assert f"increasing in 0, {present[:, 0].sum()} rows" in str(stream)


def test_rows_answer_the_same_whatever_rows_are_beside_them():
    """Rows are projected pattern by pattern; the same bits come back alone, in any order, and for any number of jobs."""
    rules = {0: +1, 1: -1, 2: +1}
    aligned = AlignedRegressor(Waves(), rules, alpha=0.1, n_knots=6, random_state=0, confidence=None).calibrate(TRAIN)
    together = aligned.predict(FRESH)
    order = RNG.permutation(len(FRESH))
    np.testing.assert_array_equal(aligned.predict(FRESH[order]), together[order])
    np.testing.assert_array_equal([aligned.predict(row[None])[0] for row in FRESH[:60]], together[:60])
    again = AlignedRegressor(Waves(), rules, alpha=0.1, n_knots=6, random_state=0, confidence=None, n_jobs=2)
    assert again.calibrate(TRAIN).lambda_ == aligned.lambda_
