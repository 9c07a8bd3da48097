"""A known peak cuts the pieces of a tree ensemble: exact at full strength, wherever the peak is and whatever was read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMRegressor
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeRegressor
from xgboost import XGBRegressor

from alignconf import AlignedRegressor, check
from alignconf.contract.property import LineProperty
from alignconf.errors import DefectError
from alignconf.lines.single_precision import largest_rounded_to
from alignconf.properties import AllOf, Bounded, Decreasing, Increasing, Invariant, LinearProperty, Unimodal

RANDOM = np.random.default_rng(3)
X = RANDOM.random((2000, 2))
Y = np.where(X[:, 0] < 0.3, 1, 0) * X[:, 1] + np.where(X[:, 0] > 0.6, 0.5, 0)
TRAIN, FRESH = X[:600], X[600:]
#: Sums of single precision differ from the exact ones by so much.
SINGLE = 1e-6
MODELS = {
    "tree": DecisionTreeRegressor(max_leaf_nodes=8, random_state=0),
    "forest": RandomForestRegressor(5, max_leaf_nodes=20, random_state=0),
    "boosting": GradientBoostingRegressor(n_estimators=15, random_state=0),
    "histogram": HistGradientBoostingRegressor(max_iter=15, random_state=0),
    "xgboost": XGBRegressor(n_estimators=15, max_depth=3, n_jobs=1),
    "lightgbm": LGBMRegressor(n_estimators=15, verbose=-1, n_jobs=1),
}


def largest_violation(full: AlignedRegressor, rows: np.ndarray, peak: float) -> float:
    """Of what is delivered on lines at, beside and between all thresholds and the peak, by asking ``predict``."""
    (repair,) = full.alignment_.chain.stages
    ends = repair.places
    ends = ends[np.abs(ends) < 1e30]  # larger numbers are no single-precision ones, which some models refuse
    single = ends.astype(np.float32).astype(float)
    inside = np.clip(peak, -1e30, 1e30)
    places = np.concatenate([ends, single, [inside, rows[:, 0].min(), rows[:, 0].max()]])
    places = np.unique([np.nextafter(places, -np.inf), places, np.nextafter(places, np.inf)])
    places = np.unique(np.concatenate([places, (places[1:] + places[:-1]) / 2]))
    moved = np.repeat(rows, places.size, axis=0)
    moved[:, 0] = np.tile(places, len(rows))
    lines = full.predict(moved).reshape(len(rows), -1)
    before, after = lines[:, places <= peak], lines[:, places >= peak]
    falls = (np.maximum.accumulate(before, axis=1) - before).max(initial=0.0)
    rises = (after - np.minimum.accumulate(after, axis=1)).max(initial=0.0)
    return float(max(falls, rises))


# ---------------------------------------------------------------------------------------------------------------------
# Three models that were said to be exact, and were not
# ---------------------------------------------------------------------------------------------------------------------
def test_a_small_tree_is_unimodal_around_its_peak() -> None:
    model = DecisionTreeRegressor(max_leaf_nodes=8).fit(TRAIN, Y[:600])
    full = AlignedRegressor(model, Unimodal(0, peak=0.5), alpha=0, random_state=0).calibrate(TRAIN)
    certificate = full.certify(FRESH)
    assert certificate.before.rate > 0.2
    assert certificate.by_construction
    assert certificate.full_strength.n_rejected == 0
    assert check(full, FRESH, Unimodal(0, peak=0.5), X_reference=TRAIN, random_state=1).violations.n_rejected == 0
    assert largest_violation(full, FRESH[:50], 0.5) == 0


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("norm", ["l2", "sup"])
def test_the_peak_may_be_anywhere(name: str, norm: str) -> None:
    """In a feature of range 1000, at its ends, beyond them, and at no number of single precision."""
    rows = TRAIN * [1000, 1]
    model = MODELS[name].fit(rows, Y[:600])
    for peak in (400.0, 370.1, 0.0, -50.0, np.finfo(float).max, -np.finfo(float).max):
        declared = Unimodal(0, peak=peak)
        full = AlignedRegressor(model, declared, alpha=0, projection=norm, random_state=0).calibrate(rows)
        certificate = full.certify(FRESH[:200] * [1000, 1])
        assert certificate.by_construction
        assert certificate.before.n_rejected > 20
        assert certificate.delivered.n_rejected == 0
        assert largest_violation(full, FRESH[:10] * [1000, 1], peak) <= (SINGLE if name == "xgboost" else 1e-13)


@pytest.mark.parametrize("name", MODELS)
def test_the_peak_may_be_a_threshold_or_the_number_beside_it(name: str) -> None:
    model = MODELS[name].fit(TRAIN, Y[:600])
    seen = AlignedRegressor(model, {0: 1}, alpha=0).calibrate(TRAIN).alignment_.chain.stages[0]
    threshold = float(seen.tree_lines.model.pieces(0)[seen.places.size // 2])
    for peak in (threshold, np.nextafter(threshold, -np.inf), np.nextafter(threshold, np.inf), np.float32(threshold)):
        full = AlignedRegressor(model, Unimodal(0, peak=float(peak)), alpha=0, random_state=0).calibrate(TRAIN)
        assert full.certify(FRESH[:200]).delivered.n_rejected == 0
        assert largest_violation(full, FRESH[:10], float(peak)) <= (SINGLE if name == "xgboost" else 1e-13)


ANY = given(
    name=st.sampled_from(sorted(MODELS)),
    peak=st.floats(-0.2, 1.2) | st.sampled_from(TRAIN[:50, 0].tolist()) | st.floats(-1e3, 1e3, width=32),
    norm=st.sampled_from(["l2", "sup"]),
    seed=st.integers(0, 10**6),
)


@settings(max_examples=15)
@ANY
def test_any_peak_and_any_model(name: str, peak: float, norm: str, seed: int) -> None:
    check_any(name, peak, norm, seed)


@pytest.mark.slow
@settings(max_examples=1000)
@ANY
def test_any_peak_and_any_model_at_length(name: str, peak: float, norm: str, seed: int) -> None:
    check_any(name, peak, norm, seed)


def check_any(name: str, peak: float, norm: str, seed: int) -> None:
    """Nothing is violated at full strength, in certificates and on lines asked of ``predict``."""
    random = np.random.default_rng(seed)
    rows = random.random((150, 2)).astype(random.choice([np.float32, np.float64]))
    target = random.normal(size=150).cumsum()[np.argsort(np.argsort(rows[:, 0]))] + rows[:, 1]
    full = AlignedRegressor(MODELS[name].fit(rows, target), Unimodal(0, peak=peak), alpha=0, projection=norm)
    full.calibrate(rows)
    fresh = random.random((40, 2))
    certificate = full.certify(fresh)
    assert certificate.by_construction
    assert certificate.full_strength.n_rejected == 0
    tolerance = np.abs(target).max() * (SINGLE if name == "xgboost" else 1e-13)
    assert largest_violation(full, fresh[:5], peak) <= tolerance


@pytest.mark.parametrize("peak", [7, 7.5, -3, 40, 0, 20])
@pytest.mark.parametrize("query_law", ["iid", "line"])
def test_a_model_that_cannot_be_read_is_exact_at_its_knots(peak: float, query_law: str) -> None:
    """All values that occur are knots, and the peak is one of them, between two, or beyond all."""
    rows = np.column_stack([RANDOM.integers(0, 21, 500), RANDOM.random(500)]).astype(float)

    class Wave:
        def predict(self, table):
            return np.sin(table[:, 0]) + table[:, 1] * np.cos(2 * table[:, 0])

    aligned = AlignedRegressor(Wave(), Unimodal(0, peak=peak), alpha=0, query_law=query_law, random_state=0)
    certificate = aligned.calibrate(rows[:200]).certify(rows[200:])
    assert certificate.before.rate > 0.4
    assert certificate.full_strength.n_rejected == 0
    assert not certificate.by_construction


def test_pieces_end_at_the_last_number_that_single_precision_rounds_down() -> None:
    """Numbers of every size and sign, ties included; the last one of single precision is one beyond which all overflow."""
    largest, smallest = np.finfo(np.float32).max, np.finfo(np.float32).smallest_subnormal
    some = (RANDOM.normal(size=2000) * 10.0 ** RANDOM.integers(-44, 38, 2000)).astype(np.float32)
    thresholds = np.unique(
        np.concatenate([some, np.array([0, 1, -1, largest, -largest, smallest, -smallest], np.float32)])
    )
    ends = largest_rounded_to(thresholds.astype(np.float64))
    with np.errstate(over="ignore"):
        assert (ends.astype(np.float32) <= thresholds).all()
        assert (np.nextafter(ends, np.inf).astype(np.float32) > thresholds).all()


# ---------------------------------------------------------------------------------------------------------------------
# The projection is the nearest function, on pieces as on knots
# ---------------------------------------------------------------------------------------------------------------------
def test_the_band_is_no_wider_than_need_be() -> None:
    """Half the largest fall before the peak or rise behind it: what any unimodal function must move at least."""
    model = MODELS["tree"].fit(TRAIN, Y[:600])
    full = AlignedRegressor(model, Unimodal(0, peak=0.5), alpha=0, projection="sup").calibrate(TRAIN)
    places = np.linspace(-1, 2, 30_001)
    rows = np.repeat(FRESH[:20], places.size, axis=0)
    rows[:, 0] = np.tile(places, 20)
    f, g = (model.predict(rows).reshape(20, -1), full.predict(rows).reshape(20, -1))
    before, after = f[:, places <= 0.5], f[:, places >= 0.5]
    needed = np.maximum(
        (np.maximum.accumulate(before, axis=1) - before).max(axis=1),
        (after - np.minimum.accumulate(after, axis=1)).max(axis=1),
    )
    assert (needed > 0).any()
    np.testing.assert_allclose(np.abs(g - f).max(axis=1), needed / 2, atol=1e-12)


def test_the_peak_is_a_piece_by_itself() -> None:
    """0, 1 and 5 on pieces that end at 0.25 and 0.75: the 1 before a peak at 0.5 stays, the one behind it meets the 5 halfway."""
    places = (np.arange(400)[:, None] + 0.5) / 400
    model = DecisionTreeRegressor().fit(places, np.select([places[:, 0] < 0.25, places[:, 0] < 0.75], [0.0, 1.0], 5.0))
    full = AlignedRegressor(model, Unimodal(0, peak=0.5), alpha=0, random_state=0)
    full.calibrate(places[::4] + 1e-4, X_reference=places)
    repaired = full.predict(
        np.array([[0.1], [0.4], [np.nextafter(0.5, 0)], [0.5], [np.nextafter(0.5, 1)], [0.6], [0.9]])
    )
    np.testing.assert_allclose(repaired, [0, 1, 1, 3, 3, 3, 3], rtol=0, atol=1e-4)


# ---------------------------------------------------------------------------------------------------------------------
# Several properties of one feature
# ---------------------------------------------------------------------------------------------------------------------
PARTS = [Increasing(0), Decreasing(0), Invariant(0), Unimodal(0), Unimodal(0, peak=0.35), Unimodal(0, peak=0.62)]


@pytest.mark.parametrize("one", PARTS, ids=str)
@pytest.mark.parametrize("other", PARTS, ids=str)
@pytest.mark.parametrize("norm", ["l2", "sup"])
@pytest.mark.filterwarnings("ignore:.*this is legal and means")
def test_two_properties_of_order_hold_together(one: LineProperty, other: LineProperty, norm: str) -> None:
    model = MODELS["boosting"].fit(TRAIN, Y[:600])
    declared = AllOf(one, other, Bounded(0.05, 0.6))
    full = AlignedRegressor(model, declared, alpha=0, projection=norm, random_state=0).calibrate(TRAIN)
    certificate = full.certify(FRESH[:300])
    assert certificate.by_construction
    assert certificate.full_strength.n_rejected == 0


class Valley(Unimodal):
    """Falls down to a place and rises from there: a user's own, repaired on the negative."""

    def demands(self, places):
        coefficients, bounds = super().demands(places)
        return -coefficients, bounds

    @property
    def cuts(self):
        return (self.peak,)

    def least_squares(self, lines, knots, weights):
        return -super().least_squares(-lines, knots, weights)

    def upper(self, lines, knots):  # noqa: ARG002
        return None

    def lower(self, lines, knots):
        return -super().upper(-lines, knots)

    def allowed(self, cells):
        low, high = super().allowed(replace(cells, lines=-cells.lines))
        return -high, -low


@pytest.mark.parametrize("peaks", [(0.35, 0.62), (0.62, 0.35), (0.5, 0.5)])
def test_what_no_repair_in_turn_reaches_becomes_constant(peaks: tuple[float, float]) -> None:
    """A peak and a valley: between the two places a function rises or falls, elsewhere it is constant."""
    model = MODELS["boosting"].fit(TRAIN, Y[:600])
    for declared in (
        AllOf(Valley(0, peak=peaks[0]), Unimodal(0, peak=peaks[1])),
        AllOf(Unimodal(0, peak=peaks[1]), Valley(0, peak=peaks[0])),
    ):
        full = AlignedRegressor(model, declared, alpha=0, random_state=0).calibrate(TRAIN)
        certificate = full.certify(FRESH[:300])
        assert certificate.before.n_rejected > 100
        assert certificate.by_construction
        assert certificate.full_strength.n_rejected == 0


# ---------------------------------------------------------------------------------------------------------------------
# Nothing is claimed beside a failure
# ---------------------------------------------------------------------------------------------------------------------
class Forgetful(Unimodal):
    """Its peak is known, and it says that order alone matters."""

    cuts = ()


def test_a_false_declaration_is_an_error_and_no_certificate() -> None:
    model = MODELS["tree"].fit(TRAIN, Y[:600])
    full = AlignedRegressor(model, Forgetful(0, peak=0.5), alpha=0, random_state=0).calibrate(TRAIN)
    with pytest.raises(
        DefectError, match=r"of Forgetful\(0, peak=0.5\) fail at full strength, by up to 0\.\d+, where by"
    ):
        full.certify(FRESH)
    with pytest.raises(DefectError, match="where by construction none can"):
        AlignedRegressor(model, Forgetful(0, peak=0.5), random_state=0, confidence=None).calibrate(
            FRESH, X_reference=TRAIN
        )


class Undeclared(Unimodal):
    """The same demands, written anew, and nothing declared."""

    def demands(self, places):
        return super().demands(places)


def test_a_property_that_declares_nothing_is_repaired_at_knots() -> None:
    model = MODELS["tree"].fit(TRAIN, Y[:600])
    full = AlignedRegressor(model, Undeclared(0, peak=0.5), alpha=0, random_state=0).calibrate(TRAIN)
    assert "compares more than the order of places" in full.calibration_.repair
    assert not full.certify(FRESH).by_construction


def test_what_a_later_repair_undoes_is_not_called_exact() -> None:
    """Order along the line, and then a rule about two points of it."""
    rows = X.round(1)
    model = MODELS["tree"].fit(rows[:600], Y[:600])
    declared = AllOf(Increasing(0), LinearProperty([{0: 0.2}, {0: 0.8}], [-1, 1], -0.3))
    aligned = AlignedRegressor(model, declared, alpha=0, random_state=0).calibrate(rows[:600])
    assert aligned.calibration_.repair.startswith("on the ")
    assert "pieces of the model's own trees, then " in aligned.calibration_.repair
    certificate = aligned.certify(rows[600:])
    assert certificate.full_strength.n_rejected > 0
    assert not certificate.by_construction
    assert "xact" not in str(aligned.calibration_) + certificate.sentence
    assert "onstruction" not in certificate.sentence


def test_a_claim_beside_a_failure_cannot_be_written_down() -> None:
    model = MODELS["tree"].fit(TRAIN, Y[:600])
    certificate = (
        AlignedRegressor(model, Unimodal(0, peak=0.5), alpha=0, random_state=0).calibrate(TRAIN).certify(FRESH)
    )
    for name in ("full_strength", "delivered"):
        with pytest.raises(DefectError, match=r"by construction no query of .* can fail, but"):
            replace(certificate, **{name: certificate.before})
