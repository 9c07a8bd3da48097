"""Scaled bands: difficulty and ray, against the path of the delivered function walked in full."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn.tree import DecisionTreeRegressor

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.errors import InputError
from alignconf.lines.axis import Axis
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.losses import critical_half_width
from alignconf.plotting import line
from alignconf.projectors.alignment import Answers
from alignconf.projectors.band import Scale, clip_to_band
from alignconf.properties import AllOf, Bounded, Concave, Increasing, LinearProperty, Rule
from alignconf.queries.along_line import LineQueries
from alignconf.queries.on_orbit import OrbitQueries

LAW = ReferenceLaw.from_table(Axis("a", 0, None), np.linspace(0, 1, 11)[:, None], 11)
RAYS = pytest.mark.parametrize("ray", [(1.0, 1.0), (1.0, 0.3), (2.0, 5.0)], ids=str)


def spread(X):
    return X[:, 1]


def asked(part, n_samples, seed=0):
    places = np.sort(np.random.default_rng(seed).random((n_samples, 2, part.n_points)), axis=-1)
    return LineQueries(part, LAW, places)


def drawn(queries, ray, seed=0, *, difficult=True):
    random = np.random.default_rng(seed)
    f = random.normal(size=queries.places.shape)
    g = f + random.normal(size=f.shape)
    sigma = random.uniform(0.2, 3.0, f.shape) if difficult else None
    scale = Scale(spread if difficult else None, ray)
    return Answers(queries, f, g, np.full(len(f), 1e-12), slice(0, len(f)), scale, sigma)


@RAYS
@pytest.mark.parametrize("difficult", [True, False])
@pytest.mark.parametrize("part", [Increasing("a"), Concave("a")], ids=str)
def test_the_score_is_the_last_rejection_along_the_scaled_path(part, ray, difficult) -> None:
    """A fine walk of half-widths, delivered values recomputed at each, never fails beyond the score and fails up to it."""
    queries = asked(part, 100)
    answers = drawn(queries, ray, difficult=difficult)
    score = critical_half_width.delivered(answers)
    finite = np.isfinite(score)
    assert 0.1 < finite.mean() < 1.0
    assert ((answers.excess(answers.g) > 0) == ~finite).all(), "infinite exactly where even g fails"
    walk = np.linspace(0, 12, 2001)
    failing = np.stack([answers.excess(answers.delivered(h)) > 0 for h in walk])
    last = np.where(failing.any(axis=0), walk[failing.shape[0] - 1 - failing[::-1].argmax(axis=0)], 0.0)
    assert (last[finite] <= score[finite]).all()
    for query in range(2):
        just_below = np.where(finite, score, 0.0)[:, query] * (1 - 1e-9)
        fails = answers.excess(answers.delivered(just_below))[:, query] > 0
        assert fails[finite[:, query] & (score[:, query] > 1e-6)].all()


def test_a_scale_of_one_changes_nothing() -> None:
    """The closed form of pairs and the general path agree, and a constant difficulty is a change of units."""
    queries = asked(Increasing("a"), 500)
    plain = drawn(queries, (1.0, 1.0), difficult=False)
    one = Answers(queries, plain.f, plain.g, plain.rounding, plain.rows, Scale(ray=(1.0, 1.0 + 1e-15)))
    half = Answers(queries, plain.f, plain.g, plain.rounding, plain.rows, Scale(ray=(0.5, 0.5)))
    np.testing.assert_allclose(
        critical_half_width.delivered(one), critical_half_width.delivered(plain), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(
        critical_half_width.delivered(half), 2 * critical_half_width.delivered(plain), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(
        critical_half_width.existence(half), 2 * critical_half_width.existence(plain), rtol=1e-12
    )


@RAYS
@pytest.mark.parametrize("part", [Increasing("a"), Concave("a")], ids=str)
def test_existence_in_a_scaled_band_is_the_smallest_by_linear_programming(part, ray) -> None:
    queries = asked(part, 15)
    answers = drawn(queries, ray)
    found = critical_half_width.existence(answers)
    coefficients, bounds = queries.demands
    for i in range(15):
        for q in range(2):
            a, b = coefficients[i, q, 0, 0], bounds[i, q, 0, 0]
            f, sigma = answers.f[i, q], answers.sigma[i, q]
            identity, n = np.eye(f.size), f.size
            rows = np.vstack(
                [
                    np.append(a, 0.0),
                    np.column_stack([identity, -ray[1] * sigma]),
                    np.column_stack([-identity, -ray[0] * sigma]),
                ]
            )
            limits = np.concatenate([[b], f, -f])
            best = linprog(np.append(np.zeros(n), 1.0), rows, limits, bounds=[(None, None)] * n + [(0, None)])
            assert found[i, q] == pytest.approx(best.fun, abs=1e-9)


def test_the_delivered_value_is_within_its_band_and_the_projection_beyond_it() -> None:
    random = np.random.default_rng(0)
    f, g, width = random.normal(size=(3, 10_000))
    values = clip_to_band(f, g, np.abs(width))
    assert (np.abs(values - f) <= np.abs(width)).all()
    near = np.abs(g - f) <= np.abs(width)
    np.testing.assert_array_equal(values[near], g[near])
    np.testing.assert_array_equal(clip_to_band(f, g, np.inf), g)


# Whole models --------------------------------------------------------------------------------------------------------


class Wave:
    """Falls along column 0 by an amount that column 1 scales."""

    def predict(self, X):
        return X[:, 1] * np.sin(7 * X[:, 0])


def rows(n_samples, seed):
    return np.random.default_rng(seed).uniform(0.05, 1.0, (n_samples, 2))


class WaveOfUnitSpread(Wave):
    """The same line in every row; the same rows are asked the same queries."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return super().predict(X) / X[:, 1]


@pytest.mark.parametrize("loss", ["delivered", "displacement", "existence"])
def test_difficulty_that_is_the_true_scale_makes_all_rows_alike(loss) -> None:
    """The wave is ``x_1`` times one line: with ``sigma = x_1`` no score depends on ``x_1``, and bands are that line's."""
    X, reference = rows(500, 1), rows(200, 2)
    kwargs = {"alpha": 0.1, "loss": loss, "random_state": 0, "n_knots": 32}
    scaled = AlignedRegressor(Wave(), {0: 1}, difficulty=spread, **{"confidence": None, **kwargs}).calibrate(
        X, X_reference=reference
    )
    plain = AlignedRegressor(WaveOfUnitSpread(), {0: 1}, **{"confidence": None, **kwargs}).calibrate(
        X, X_reference=reference
    )
    assert scaled.lambda_ == pytest.approx(plain.lambda_, rel=1e-9)
    fresh = rows(300, 3)
    band = scaled.predict_band(fresh)
    np.testing.assert_allclose(band[:, 1] - band[:, 0], 2 * scaled.lambda_ * fresh[:, 1], rtol=1e-9)
    values = scaled.predict(fresh)
    assert ((band[:, 0] <= values) & (values <= band[:, 1])).all()
    assert "difficulty spread" in str(scaled.calibration_)


def test_a_ray_makes_a_lopsided_band_and_can_be_read_off_reference_rows() -> None:
    """A model that only ever exceeds its upper bound needs no room above."""
    X = rows(600, 1)
    aligned = AlignedRegressor(
        Wave(), [Bounded(-9, 0.3)], ray="reference", alpha=0.1, random_state=0, confidence=None
    ).calibrate(X)
    assert aligned.alignment_.scale.ray == (1.0, 0.05)
    band, f = aligned.predict_band(X), Wave().predict(X)
    np.testing.assert_allclose(f - band[:, 0], aligned.lambda_, rtol=1e-9)
    np.testing.assert_allclose(band[:, 1] - f, 0.05 * aligned.lambda_, rtol=1e-9)
    assert "1 below and 0.05 above the model" in str(aligned.calibration_)
    given = AlignedRegressor(Wave(), {0: 1}, ray=(1, 2), alpha=0.1, random_state=0, confidence=None).calibrate(X)
    assert given.alignment_.scale.ray == (1.0, 2.0)
    below, above = np.abs(given.predict_band(X) - f[:, None]).T
    np.testing.assert_allclose(above, 2 * below, rtol=1e-9)


def test_line_loss_under_a_ray_holds_a_member() -> None:
    """Half-widths are those of the narrower side, so that the whole line's member fits on both."""
    X = rows(300, 1)
    one, other = (
        AlignedRegressor(Wave(), {0: 1}, loss="line", ray=ray, alpha=0.1, random_state=0, confidence=None).calibrate(X)
        for ray in (None, (0.5, 1))
    )
    assert other.lambda_ == pytest.approx(2 * one.lambda_)


def test_a_rule_that_says_yes_or_no_is_calibrated_in_units_of_the_scale() -> None:
    X = rows(400, 1)
    rule = Rule([{}, {0: 0.9}], lambda v: v[:, 0] <= v[:, 1], lambda v: np.sort(v, axis=1))
    aligned = AlignedRegressor(Wave(), [rule], difficulty=spread, alpha=0.1, random_state=0, confidence=None).calibrate(
        X
    )
    assert np.isfinite(aligned.lambda_)
    assert 0.04 < aligned.certify(rows(2000, 5)).delivered.rate < 0.14, (
        "alpha .1, 400 rows: sd .015 from calibration, .007 from fresh rows"
    )


def test_difficulty_of_a_point_is_asked_at_the_point() -> None:
    """A difficulty may change along the line: queries scale each of their points by its own."""
    seen = []

    def difficulty(X):
        seen.append(len(X))
        return 0.1 + X[:, 0]

    X = rows(200, 1)
    both = AllOf(Increasing(0), LinearProperty([{}, {1: 0.5}], [[1.0, -1.0]], [3.0]))
    AlignedRegressor(
        Wave(), both, difficulty=difficulty, alpha=0.2, n_queries=3, random_state=0, confidence=None
    ).calibrate(X)
    assert sum(seen) >= 160 * (3 * 2 + 2)


def test_classifiers_and_pictures_have_scaled_bands() -> None:
    random = np.random.default_rng(0)
    X = random.random((900, 2))
    y = (np.sin(7 * X[:, 0]) + 0.3 * random.normal(size=900) > 0).astype(int)
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(20, random_state=0).fit(X[:300], y[:300])
    aligned = AlignedClassifier(model, {0: 1}, difficulty=spread, alpha=0.2, random_state=0, confidence=None).calibrate(
        X[300:]
    )
    band, p = aligned.predict_band(X), aligned.predict_proba(X)[:, 1]
    assert ((band[:, 0] <= p) & (p <= band[:, 1])).all()
    assert np.ptp(band[:, 1] - band[:, 0]) > 0
    ax = line(aligned, X, 0)
    assert ax.get_legend() is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"difficulty": lambda X: X[:, 0] - 1}, ["difficulty gives -", "expected positive numbers"]),
        ({"difficulty": lambda X: np.full(len(X), np.nan)}, ["difficulty gives nan"]),
        ({"difficulty": lambda X: np.zeros(len(X))}, ["difficulty gives 0 at row 0"]),
        ({"difficulty": lambda X: np.ones(3)}, ["difficulty returned shape (3,)", "one number for each row"]),
        ({"difficulty": 3}, ["difficulty must be a function", "got 3"]),
        ({"difficulty": spread, "loss": "line"}, ["loss='line'", "difficulty"]),
        ({"difficulty": spread, "max_half_width": 1.0}, ["max_half_width cannot be kept with difficulty"]),
        ({"ray": (1, 0)}, ["ray must be a finite number above 0", "got 0"]),
        ({"ray": "left"}, ["ray must be two positive numbers", "'left'"]),
        ({"ray": (1, 2, 3)}, ["ray must be two positive numbers"]),
    ],
)
def test_bad_scales_are_refused(changes, words) -> None:
    aligned = AlignedRegressor(Wave(), {0: 1}, random_state=0, **{"confidence": None, **changes})
    with pytest.raises(InputError) as caught:
        aligned.calibrate(rows(200, 0))
    for word in words:
        assert word in str(caught.value)
    assert not hasattr(aligned, "lambda_")


def test_orbits_are_scaled_at_their_points() -> None:
    """A rule about two settings, one of them twice as difficult: the half-width is shared in proportion."""
    rule = OrbitQueries(LinearProperty([{0: 0}, {0: 1}], [[1.0, -1.0]], [0.0]), 2)
    f = np.array([[[3.0, 0.0]]])
    g = np.array([[[1.5, 1.5]]])
    sigma = np.array([[[2.0, 1.0]]])
    answers = Answers(rule, f, g, np.zeros(1), slice(0, 1), Scale(spread), sigma)
    # 3 - 2 t <= 0 + t from t = 1 on, but the first point stops at its projection, 1.5 away, at t = .75: then t = 1.5.
    assert critical_half_width.delivered(answers) == pytest.approx(1.5)
    assert critical_half_width.existence(answers) == pytest.approx(1.0)


def test_a_tree_keeps_its_own_values_where_nothing_changes() -> None:
    X = rows(500, 0)
    model = DecisionTreeRegressor(max_leaf_nodes=40, random_state=0).fit(X, Wave().predict(X))
    aligned = AlignedRegressor(
        model, {1: 0, 0: 1}, difficulty=spread, alpha=0.3, random_state=0, confidence=None
    ).calibrate(rows(400, 1))
    fresh = rows(300, 2)
    f, values = model.predict(fresh), aligned.predict(fresh)
    assert (f == values).any()
    assert (f != values).any()


def test_a_difficulty_estimator_of_crepes_scales_the_band() -> None:
    """Its numbers are the widths of the band, and asking for them leaves numpy's global state alone."""
    from crepes.extras import DifficultyEstimator

    X = rows(500, 0)
    estimator = DifficultyEstimator()
    estimator.fit(
        X=X[:200], residuals=X[:200, 1] * np.random.default_rng(0).normal(size=200), k=25, scaler=True, beta=0.01
    )
    aligned = AlignedRegressor(
        Wave(), {0: 1}, difficulty=estimator, alpha=0.1, random_state=0, confidence=None
    ).calibrate(X[200:])
    fresh = rows(50, 1)
    band = aligned.predict_band(fresh)
    np.testing.assert_allclose(band[:, 1] - band[:, 0], 2 * aligned.lambda_ * estimator.apply(fresh), rtol=1e-9)
    assert "difficulty DifficultyEstimator" in str(aligned.calibration_)
    assert 0.05 < aligned.certify(rows(3000, 2)).delivered.rate < 0.15, (
        "alpha .1, 240 rows with 10 queries: sd below .02"
    )
