"""A limit at a point and the rules along its line are one projection: no spike stays at the point, and nothing is nearer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingRegressor

from alignconf import AlignedRegressor, InputError, check
from alignconf.contract.property import LineProperty
from alignconf.kernels.bounded_order import bounded_isotonic_least_squares
from alignconf.projectors.limited_line import LimitedLine
from alignconf.properties import (
    Bounded,
    Concave,
    Convex,
    Decreasing,
    Elasticity,
    Increasing,
    Invariant,
    LinearProperty,
    Lipschitz,
    Ordered,
    Plateau,
    Unimodal,
)
from alignconf.testing import check_property
from tests.test_polyhedron import dual_distance

KNOTS = np.array([0.5, 1, 2, 3, 5, 8, 13])
PLACES = np.array([-1, -1e-9, 0, 1e-9, 0.01, 0.5, 1, 2, 4, 7, 10, 12])

LINES = [
    LimitedLine("a", (Increasing("a"),), ((3.0, -0.5, 1.0),)),
    LimitedLine("a", (Decreasing("a"),), ((1.0, -0.5, 90.0), (8.0, -90.0, 0.25))),
    LimitedLine("a", (Invariant("a"),), ((1.0, 0.0, 1.0),)),
    LimitedLine("a", (Concave("a"),), ((3.0, -90.0, 0.5),)),
    LimitedLine("a", (Convex("a"),), ((3.0, 0.5, 0.5),)),
    LimitedLine("a", (Lipschitz("a", 0.5),), ((1.0, 0.0, 0.0),)),
    LimitedLine("a", (Unimodal("a", peak=2.5),), ((3.0, 1.0, 2.0),)),
    LimitedLine("a", (Plateau("a", beyond=4),), ((8.0, 0.0, 1.0),)),
    LimitedLine("a", (Elasticity("a", -1, 1),), ((3.0, 1.0, 2.0),)),
]
JOINT = [
    LimitedLine("a", (Increasing("a"), Concave("a")), ((1.0, 0.0, 0.5),)),
    LimitedLine("a", (Increasing("a"), Plateau("a", beyond=4)), ((1.0, 0.0, 0.5), (8.0, 0.5, 1.0))),
]


@pytest.mark.parametrize("line", LINES + JOINT, ids=str)
def test_limits_and_rules_together_obey_the_laws_of_a_property(line: LimitedLine) -> None:
    check_property(line, knots=KNOTS, n_lines=24)


@pytest.mark.parametrize("line", LINES + JOINT, ids=str)
@pytest.mark.parametrize("own", [False, True])
def test_nothing_is_nearer_than_the_least_squares_repair(line: LimitedLine, own: bool) -> None:
    """Against non-negative least squares on the dual of the quadratic programme, with weights shared or of each line."""
    random = np.random.default_rng(3)
    values = 2 * random.normal(size=(12, KNOTS.size))
    weights = random.random((12, KNOTS.size) if own else KNOTS.size) + 0.1
    A, b = line.inequalities(KNOTS)
    repaired = line.least_squares(values, KNOTS, weights)
    assert (repaired @ A.T <= b + 1e-10).all()
    for value, fit, mass in zip(values, repaired, np.broadcast_to(weights, values.shape), strict=True):
        assert mass @ (fit - value) ** 2 == pytest.approx(dual_distance(value, A, b, mass), abs=1e-7)


def test_bounds_anywhere_enter_the_pooling() -> None:
    random = np.random.default_rng(4)
    n_active = 0
    for _ in range(60):
        n = int(random.integers(2, 12))
        line, weights = random.normal(size=n), random.random(n) + 0.05
        member = np.sort(random.normal(size=n))
        low = np.where(random.random(n) < 0.4, member - random.exponential(0.3, n), -np.inf)
        high = np.where(random.random(n) < 0.4, member + random.exponential(0.3, n), np.inf)
        fit = bounded_isotonic_least_squares(line[None], weights, low, high)[0]
        assert (np.diff(fit) >= 0).all()
        assert ((low <= fit) & (fit <= high)).all()
        order = np.eye(n)[:-1] - np.eye(n)[1:]
        A, b = np.concatenate([order, np.eye(n), -np.eye(n)]), np.concatenate([np.zeros(n - 1), high, -low])
        A, b = A[np.isfinite(b)], b[np.isfinite(b)]
        assert weights @ (fit - line) ** 2 == pytest.approx(dual_distance(line, A, b, weights), abs=1e-7)
        n_active += bool((fit == low).any() or (fit == high).any())
    assert n_active > 20


# Delivered functions --------------------------------------------------------------------------------------------------

RANDOM = np.random.default_rng(0)
DOSE = np.where(RANDOM.random(600) < 0.2, 0.0, 10 * RANDOM.random(600))
ROWS = np.column_stack([DOSE, RANDOM.random(600), RANDOM.random(600)])
REFERENCE, CALIBRATE, FRESH = ROWS[:200], ROWS[200:400], ROWS[400:]


class Smooth:
    """-5 at dose 0, and up and down from there."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return -5 + 0.3 * X[:, 0] + np.sin(3 * X[:, 0]) + X[:, 1]


TREES = GradientBoostingRegressor(n_estimators=20, random_state=0).fit(ROWS, Smooth().predict(ROWS))
MODELS = {"smooth": Smooth(), "trees": TREES}


def delivered(model, rules, **settings) -> AlignedRegressor:
    settings = {"n_knots": 16, "alpha": 0, "random_state": 0} | settings
    return AlignedRegressor(model, rules, **settings).calibrate(CALIBRATE, X_reference=REFERENCE)


def along(model, n_rows: int = 10) -> np.ndarray:
    """What is said of some fresh rows at each of PLACES: (n_rows, n_places)."""
    moved = np.repeat(FRESH[:n_rows], PLACES.size, axis=0)
    moved[:, 0] = np.tile(PLACES, n_rows)
    return model.predict(moved).reshape(n_rows, -1)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("norm", ["l2", "sup"])
@pytest.mark.parametrize("low", [-3.0, -7.0])
def test_a_monotone_line_with_a_limit_at_a_point_has_no_spike(name: str, norm: str, low: float) -> None:
    rules = [Increasing(0), Bounded(low, low + 0.1, where={0: 0})]
    aligned = delivered(MODELS[name], rules, projection=norm)
    values = along(aligned)
    assert (np.diff(values, axis=1) >= 0).all()
    at_point = values[:, PLACES == 0]
    assert ((low <= at_point) & (at_point <= low + 0.1)).all()
    assert "orbits" not in aligned.calibration_.repair
    if name == "trees":
        assert aligned.calibration_.repair.startswith("exact")
    audit = check(aligned, FRESH, rules, X_reference=REFERENCE, random_state=0)
    assert audit.violations.n_rejected == 0


def test_the_delivered_line_is_the_nearest_that_has_both() -> None:
    """At the knots, which are all places that occur, against the dual of the quadratic programme."""
    whole = np.column_stack([np.ceil(ROWS[:200, 0]), ROWS[:200, 1:]])
    rules = [Increasing(0), Concave(0), Bounded(-3.5, where={0: 0})]
    aligned = AlignedRegressor(Smooth(), rules, alpha=0).calibrate(CALIBRATE, X_reference=whole)
    knots, counts = np.unique(whole[:, 0], return_counts=True)
    line = LimitedLine(0, (Increasing(0), Concave(0)), ((0.0, -3.5, np.inf),))
    A, b = line.inequalities(knots)
    moved = np.repeat(FRESH[:5], knots.size, axis=0)
    moved[:, 0] = np.tile(knots, 5)
    before, after = (model.predict(moved).reshape(5, -1) for model in (Smooth(), aligned))
    for f, g in zip(before, after, strict=True):
        assert counts @ (g - f) ** 2 == pytest.approx(dual_distance(f, A, b, counts.astype(float)), rel=1e-6)


@pytest.mark.parametrize(
    "rules", [[Concave(0)], [Lipschitz(0, 0.5)], [Invariant(0)], [Decreasing(0)], [Unimodal(0, peak=5)]]
)
def test_other_rules_hold_beside_the_point_too(rules: list[LineProperty]) -> None:
    declared = [*rules, Bounded(-3, where={0: 0})]
    aligned = delivered(Smooth(), declared)
    values = along(aligned)
    assert (values[:, PLACES == 0] >= -3).all()
    beside = values[:, np.abs(PLACES) <= 1e-9]
    if rules[0] not in (Unimodal(0, peak=5),):  # which may jump up to the point from below
        assert np.ptp(beside, axis=1).max() < 0.01 or rules == [Decreasing(0)]
    assert (np.abs(values[:, PLACES == 1e-9] - values[:, PLACES == 0]) < 1e-6).all() or rules == [Decreasing(0)]
    assert check(aligned, FRESH, declared, X_reference=REFERENCE, random_state=0).violations.rate <= 0.02


class Dosed:
    """Above the limit at dose 0, with ups and downs from there."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return 1.0 + np.sin(4 * X[:, 0]) + 0.3 * X[:, 0] * X[:, 1]


@pytest.mark.parametrize("norm", ["l2", "sup"])
@pytest.mark.parametrize("beside", [[], [Increasing(1)], [Decreasing(1)]], ids=str)
@pytest.mark.parametrize("limit", [Bounded(0, 0, where={0: 0}), Bounded(hi=-6, where={0: 0})], ids=str)
def test_a_curved_line_starts_at_its_limit_without_a_jump(
    limit: Bounded, beside: list[LineProperty], norm: str
) -> None:
    values = along(delivered(Dosed(), [Increasing(0), Concave(0), *beside, limit], projection=norm))
    at_point, next_to_it = values[:, PLACES == 0], values[:, PLACES == 1e-9]
    assert (at_point <= (0 if limit.lo is not None else -6) + 1e-9).all()
    assert np.abs(next_to_it - at_point).max() < 1e-5
    assert np.diff(values, axis=1).min() > -1e-9


def test_an_order_alone_may_step_beside_its_limit() -> None:
    """The nearest line that is in order leaves the model where it is, whatever the limit at the point."""
    values = along(delivered(Dosed(), [Increasing(0), Bounded(0, 0, where={0: 0})]))
    step = values[:, PLACES == 1e-9] - values[:, PLACES == 0]
    assert step.min() > 0.5
    assert np.diff(values, axis=1).min() >= 0


def test_rules_beyond_order_have_few_knots_beside_the_limits() -> None:
    """Their projection costs the cube of the number of knots; an order keeps all that are asked for."""
    limit = Bounded(-3, where={0: 0})
    curved, ordered = (
        int(delivered(Smooth(), [rule, limit], n_knots=64).calibration_.repair.split()[1])
        for rule in (Concave(0), Increasing(0))
    )
    assert 12 < curved <= 25
    assert 40 < ordered <= 65


def test_a_limit_is_the_same_rule_in_either_words() -> None:
    as_bounds = delivered(TREES, [Increasing(0), Bounded(-3, -2.5, where={0: 0})])
    as_inequalities = delivered(TREES, [Increasing(0), LinearProperty([{0: 0}], [[-2], [1]], [6, -2.5])])
    assert np.array_equal(along(as_bounds), along(as_inequalities))


def test_limits_at_several_places_and_along_a_second_feature() -> None:
    rules = [
        Increasing(0),
        Increasing(1),
        LinearProperty([{0: 0}, {0: 10}], [[-1, 0], [0, 1]], [4, -2]),
    ]
    aligned = delivered(Smooth(), rules)
    values = along(aligned)
    assert (values[:, PLACES == 0] >= -4).all()
    assert (values[:, PLACES == 10] <= -2).all()
    assert (np.diff(values, axis=1)[:, [2, -2]] >= 0).all()
    assert check(aligned, FRESH, rules, X_reference=REFERENCE, random_state=0).violations.rate < 0.05


def test_a_category_is_a_place() -> None:
    frame = pd.DataFrame({"grade": RANDOM.choice(["low", "mid", "high"], 600), "x": ROWS[:, 1]})

    class Graded:
        def predict(self, X: pd.DataFrame) -> np.ndarray:
            return X["grade"].map({"low": 1.0, "mid": 3.0, "high": 2.0}).to_numpy() + X["x"].to_numpy()

    rules = [Ordered("grade", ["low", "mid", "high"]), Bounded(hi=1.5, where={"grade": "mid"})]
    aligned = AlignedRegressor(Graded(), rules, alpha=0).calibrate(frame[200:400], X_reference=frame[:200])
    low, mid, high = (aligned.predict(frame[400:].assign(grade=grade)) for grade in ("low", "mid", "high"))
    assert (mid <= 1.5).all()
    assert ((low <= mid) & (mid <= high)).all()


def test_points_that_are_no_place_of_a_line_keep_a_projection_of_their_own() -> None:
    for rule in (
        Bounded(-3, where={0: 0, 1: 0.5}),
        Bounded(-3, where={2: 0}),
        LinearProperty([{0: 0}, {0: 10}], [1, -1], -1),
    ):
        assert "within orbits" in delivered(Smooth(), [Increasing(0), rule]).calibration_.repair
    assert "within orbits" in delivered(Smooth(), [Unimodal(0), Bounded(-3, where={0: 0})]).calibration_.repair


def test_a_limit_that_no_line_has_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"increasing in 0, and .*g\(0=0\).* which no function has together"):
        delivered(Smooth(), [Increasing(0), LinearProperty([{0: 0}, {0: 10}], [[-1, 0], [0, 1]], [-2, -3])])
    with pytest.raises(InputError, match=r"increasing in 0, and at least 2 at 0=0, and values in \[-inf, 1\]"):
        delivered(Smooth(), [Increasing(0), Bounded(2, where={0: 0}), Bounded(hi=1)])


def test_where_is_a_mapping_and_is_written_down() -> None:
    limit = Bounded(hi=0, where={"dose": 0})
    assert str(limit) == "at most 0 at dose=0"
    assert repr(limit) == "Bounded(hi=0, where={'dose': 0})"
    assert limit == Bounded(hi=0, where={"dose": 0}) != Bounded(hi=0)
    for where in ({}, [0], lambda rows: rows, "dose"):
        with pytest.raises(InputError, match="where must be"):
            Bounded(0, where=where)
    check_property(limit)


def test_the_guarantee_covers_the_point() -> None:
    rules = [Increasing(0), Bounded(-3, where={0: 0})]
    aligned = delivered(Smooth(), rules, alpha=0.1, confidence=None)
    certificate = aligned.certify(FRESH)
    assert 0 < certificate.delivered.rate < 0.2
    assert "at least -3 at 0=0" in certificate.sentence
