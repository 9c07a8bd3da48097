"""Models with several outputs: an output is a coordinate, and every stage agrees with the same model asked one output at a time.

Referees: the same function with the output as one more column, aligned as a model with one output; isotonic regression of
scipy; each output aligned by itself; queries asked again at rows of their own.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import isotonic_regression
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import MultiOutputRegressor

from alignconf import OUTPUTS, AlignedRegressor, InputError, Magnitude, PredictionError, check
from alignconf.contract.outputs import Outputs
from alignconf.projectors.alignment import Alignment
from alignconf.properties import (
    Bounded,
    Concave,
    Decreasing,
    Increasing,
    InvariantUnder,
    LinearProperty,
    NonCrossing,
    Ordered,
    Rule,
    SlopeAtLeast,
)
from alignconf.queries.excess import excess
from alignconf.queries.queries import place_queries_at
from alignconf.tables import table as tables
from alignconf.testing import check_property

LEVELS = (0.1, 0.5, 0.6, 0.9)


class Waves:
    """A model whose outputs wave along its features and cross one another; it counts the rows that it is asked about."""

    n_features_in_ = 3
    n_rows = 0

    def predict(self, X: Any) -> np.ndarray:
        """Return four outputs of each row."""
        x = np.asarray(X, dtype=np.float64)
        self.n_rows += len(x)
        level = np.array(LEVELS)
        wave = np.sin(3 * x[:, [0]] + 4 * level) + 0.5 * np.cos(5 * x[:, [1]] * level)
        return wave + 0.8 * level + 0.3 * x[:, [2]] * level**2


class OneColumn:
    """The same model with the output as the last column of its rows, by name: the referee."""

    def __init__(self, model: Any, labels: tuple[Any, ...]) -> None:
        self.model, self.labels = model, labels

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return one number of each row."""
        values = self.model.predict(X.iloc[:, :-1].to_numpy())
        return values[np.arange(len(X)), [self.labels.index(label) for label in X["output"]]]


def rows(n_samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (n_samples, 3))


def calibrated(properties: Any, **settings: Any) -> AlignedRegressor:
    settings = {"alpha": 0.1, "n_knots": 9, "random_state": 0, **settings}
    aligned = AlignedRegressor(Waves(), properties, outputs=LEVELS, **settings)
    return aligned.calibrate(rows(200, 1), X_reference=rows(80, 0))


def flip(X: np.ndarray) -> np.ndarray:
    """The rows with the second feature reversed."""
    return np.column_stack([X[:, 0], -X[:, 1], X[:, 2]])


# Projection -----------------------------------------------------------------------------------------------------------


def test_outputs_of_each_row_are_sorted_or_nearest_in_least_squares() -> None:
    X, f = rows(60, 2), Waves().predict(rows(60, 2))
    assert (calibrated([NonCrossing()], alpha=0).predict(X) == np.sort(f, axis=1)).all()
    nearest = [isotonic_regression(line).x for line in f]
    np.testing.assert_allclose(calibrated([Increasing(OUTPUTS)], alpha=0).predict(X), nearest, rtol=0, atol=1e-12)


def test_sorting_never_raises_the_pinball_loss_of_any_outcome() -> None:
    f = Waves().predict(rows(200, 2))
    g = calibrated([NonCrossing()], alpha=0).predict(rows(200, 2))
    levels = np.array(LEVELS)
    for outcome in np.linspace(-2, 3, 41):
        of_f, of_g = (np.maximum(levels * (outcome - q), (levels - 1) * (outcome - q)).sum(axis=1) for q in (f, g))
        assert (of_g <= of_f + 1e-12).all()


@pytest.mark.parametrize(
    "properties",
    [
        {0: "increasing"},
        [Increasing(OUTPUTS), Increasing(0)],
        [Increasing(OUTPUTS), Decreasing(1), Increasing(0)],
        [Decreasing(OUTPUTS), Increasing(1)],
        [Increasing(OUTPUTS), InvariantUnder([flip])],
    ],
    ids=str,
)
@pytest.mark.parametrize("projection", ["l2", "sup"])
def test_the_projection_is_that_of_a_model_with_the_output_as_a_column(properties: Any, projection: str) -> None:
    X, reference = rows(25, 2), rows(80, 0)
    aligned = AlignedRegressor(
        Waves(), properties, outputs=LEVELS, alpha=0, n_knots=9, projection=projection, random_state=0
    ).calibrate(X, X_reference=reference)

    def with_output(table: np.ndarray) -> pd.DataFrame:
        frame = pd.DataFrame(np.repeat(table, len(LEVELS), axis=0), columns=["a", "b", "c"])
        return frame.assign(output=[f"q{label}" for label in LEVELS] * len(table))

    def flipped(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(b=-frame["b"])

    names = ["a", "b", "c"]
    parts = list(aligned.alignment_.tester.declared.parts)
    ordered = [Ordered("output", [f"q{label}" for label in LEVELS][:: part.direction])
               for part in parts if part.along_outputs]  # fmt: skip
    features = [type(part)(names[part.feature]) for part in parts if part.lines]
    orbits = [InvariantUnder([flipped])] * any(part.orbits for part in parts)
    referee = AlignedRegressor(
        OneColumn(Waves(), tuple(f"q{label}" for label in LEVELS)),
        [*features, *ordered, *orbits],
        alpha=0,
        n_knots=9,
        projection=projection,
        projector="lines",
        random_state=0,
    ).calibrate(with_output(X), X_reference=with_output(reference))
    if len(features) > 1:
        # Knots are shared out among features; with an output as a column it is one of them.
        knots = [law.knots.size for law in aligned.alignment_.chain.laws]
        assert knots == [6, 6, 4]
    np.testing.assert_allclose(
        aligned.predict(X), referee.predict(with_output(X)).reshape(len(X), -1), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("tester", [{}, {"projection": "sup"}])
def test_order_along_outputs_and_features_holds_together_at_full_strength(tester: dict[str, Any]) -> None:
    aligned = calibrated([NonCrossing(), Increasing(0), Increasing(2)], alpha=0, n_knots=16, **tester)
    law = aligned.alignment_.chain.laws[0]
    X = np.repeat(rows(40, 3), law.knots.size, axis=0)
    X[:, 0] = np.tile(law.knots, 40)
    values = aligned.predict(X).reshape(40, law.knots.size, len(LEVELS))
    assert (np.diff(values, axis=2) >= 0).all()
    assert (np.diff(values, axis=1) >= 0).all()
    assert (np.diff(aligned.predict(rows(500, 4)), axis=1) >= 0).all()


def test_gaps_and_order_of_outputs_hold_exactly_with_order_in_a_feature() -> None:
    gap = LinearProperty([{OUTPUTS: 0.1}, {OUTPUTS: 0.9}], [1, -1], -1.0)
    aligned = calibrated([gap, NonCrossing(), Increasing(0)], alpha=0)
    knots = aligned.alignment_.chain.laws[0].knots
    X = np.repeat(rows(40, 3), knots.size, axis=0)
    X[:, 0] = np.tile(knots, 40)
    values = aligned.predict(X).reshape(40, knots.size, len(LEVELS))
    assert (np.diff(values, axis=2) >= -1e-12).all()
    assert (values[..., 3] - values[..., 0] >= 1 - 1e-12).all()
    assert (np.diff(values, axis=1) >= -1e-12).all()
    assert str(gap) == "g(output 0.1) - g(output 0.9) <= -1"


@pytest.mark.parametrize("projection", ["l2", "sup"])
@pytest.mark.parametrize(
    "rules",
    [
        [NonCrossing(), Increasing(0, outputs=[0.5])],
        [Decreasing(OUTPUTS), Increasing(0, outputs=[0.1, 0.9]), Decreasing(2, outputs=[0.6])],
    ],
    ids=str,
)
def test_rules_at_named_outputs_and_between_outputs_hold_together(rules: Any, projection: str) -> None:
    aligned = calibrated(rules, alpha=0, projection=projection)
    declared, laws = aligned.alignment_.tester.declared, aligned.alignment_.chain.laws
    assert (np.diff(aligned.predict(rows(400, 3)), axis=1) * declared.along_outputs[0].direction >= -1e-12).all()
    for part in declared.lines:
        knots = next(law.knots for law in laws if law.axis.feature == part.feature)
        X = np.repeat(rows(60, 3), knots.size, axis=0)
        X[:, part.feature] = np.tile(knots, 60)
        named = aligned.predict(X).reshape(60, knots.size, -1)[..., [LEVELS.index(label) for label in part.outputs]]
        assert (np.diff(named, axis=1) * part.direction >= -1e-12).all()
    # Between knots, too, a pair that a knot separates is in order.
    certificate = aligned.certify(rows(500, 4))
    assert certificate.full_strength.rate <= 0.05


def test_slopes_along_outputs_are_per_unit_of_the_level() -> None:
    values = calibrated([SlopeAtLeast(OUTPUTS, 2)], alpha=0).predict(rows(50, 2))
    assert (np.diff(values, axis=1) >= 2 * np.diff(LEVELS) - 1e-12).all()
    assert np.isclose(np.diff(values, axis=1), 2 * np.diff(LEVELS)).any()


def test_a_rule_at_named_outputs_leaves_the_others_as_they_are() -> None:
    X, aligned = rows(50, 2), calibrated([Increasing(0, outputs=[0.5, 0.9])], alpha=0)
    f, g = Waves().predict(X), aligned.predict(X)
    assert (g[:, [0, 2]] == f[:, [0, 2]]).all()
    alone = calibrated({0: 1}, alpha=0).predict(X)
    assert (g[:, [1, 3]] == alone[:, [1, 3]]).all()
    assert str(Increasing(0, outputs=[0.5, 0.9])) == "increasing in 0 at outputs 0.5, 0.9"


@pytest.mark.parametrize("rule", [Bounded(0, 1), InvariantUnder([flip]), Concave(1)], ids=str)
def test_each_output_is_projected_as_if_it_were_alone(rule: Any) -> None:
    class Single(Waves):
        def __init__(self, output: int) -> None:
            self.output = output

        def predict(self, X: Any) -> np.ndarray:
            return super().predict(X)[:, self.output]

    X, together = rows(40, 2), calibrated([rule], alpha=0)
    for output in range(len(LEVELS)):
        alone = AlignedRegressor(Single(output), [rule], alpha=0, n_knots=9, random_state=0)
        alone.calibrate(rows(200, 1), X_reference=rows(80, 0))
        np.testing.assert_allclose(together.predict(X)[:, output], alone.predict(X), rtol=0, atol=1e-9)


def test_rows_that_lack_a_feature_keep_the_rules_of_the_others() -> None:
    class Filled(Waves):
        def predict(self, X: Any) -> np.ndarray:
            return super().predict(np.nan_to_num(np.asarray(X, dtype=np.float64), nan=0.3))

    X = rows(90, 2)
    X[::3, 0] = np.nan
    X[::9, 1] = np.nan
    aligned = AlignedRegressor(
        Filled(), [NonCrossing(), Increasing(0), Decreasing(1)], outputs=LEVELS, alpha=0, n_knots=9
    )
    values = aligned.calibrate(X).predict(X)
    assert (np.diff(values, axis=1) >= 0).all()
    lacking = np.isnan(X[:, 0]) & np.isnan(X[:, 1])
    assert lacking.any()
    assert (values[lacking] == np.sort(Filled().predict(X[lacking]), axis=1)).all()


@pytest.mark.parametrize("declared", [NonCrossing(), NonCrossing(tol=0.1), Decreasing(OUTPUTS)], ids=repr)
def test_properties_of_outputs_obey_the_published_laws(declared: Any) -> None:
    check_property(declared)
    assert pickle.loads(pickle.dumps(declared)) == declared
    assert not declared.lines
    assert declared.along_outputs == (declared,)


# Queries, scores, calibration, certificate --------------------------------------------------------------------------------


def asked_again(aligned: AlignedRegressor, X: np.ndarray, half_width: float, uniforms: np.ndarray) -> np.ndarray:
    """Which queries the delivered function fails, asked at rows of their own: (n_samples, n_queries)."""
    alignment: Alignment = aligned.alignment_
    queries = place_queries_at(alignment.tester.parts, X, uniforms)
    failed = np.zeros(uniforms.shape[:2], dtype=bool)
    for part in queries.parts:
        sites = part.sites(X)
        pairs = [alignment.predict(site) for site in sites]
        delivered = part.arrange(
            [alignment.scale.deliver(s, f, g, half_width) for s, (f, g) in zip(sites, pairs, strict=True)]
        )
        failed |= excess(part, delivered, np.full(len(X), 1e-9)) > 0
    return failed


@pytest.mark.parametrize(
    ("properties", "settings"),
    [
        ([NonCrossing()], {}),
        ({0: 1}, {}),
        ([NonCrossing(), Increasing(0)], {}),
        ([NonCrossing(), Increasing(0)], {"query_law": "path"}),
        ([NonCrossing(), Increasing(0)], {"query_law": "line"}),
        ([Decreasing(OUTPUTS), SlopeAtLeast(0, -0.5, outputs=[0.1, 0.9])], {}),
        ([NonCrossing(), InvariantUnder([flip], tol=0.1)], {}),
        ([LinearProperty([{OUTPUTS: 0.1}, {OUTPUTS: 0.9}], [1, -1], -1.0), Increasing(2)], {}),
        ({0: 1}, {"difficulty": lambda X: 1 + np.abs(X[:, 2])}),
        ([NonCrossing(), Increasing(0)], {"ray": (0.5, 1.0)}),
        ([NonCrossing(), Increasing(0)], {"reference_law": "conditional"}),
    ],
    ids=lambda value: str(value).split(" at 0x")[0],
)
def test_a_row_fails_exactly_below_its_score(properties: Any, settings: dict[str, Any]) -> None:
    aligned, X = calibrated(properties, **settings), rows(40, 5)
    alignment = aligned.alignment_
    uniforms = np.random.default_rng(0).uniform(size=(40, 1, sum(part.n_uniforms for part in alignment.tester.parts)))
    queries = place_queries_at(alignment.tester.parts, X, uniforms)
    scores = np.maximum.reduce(alignment.at_queries(X, queries, _delivered_scores()))[:, 0]
    for half_width in np.linspace(0, 1.5, 13):
        failed = asked_again(aligned, X, half_width, uniforms)[:, 0]
        assert (failed <= (half_width < scores + 1e-9)).all(), "a query fails at or above its score"
    violated = np.flatnonzero((scores > 1e-6) & np.isfinite(scores))
    assert violated.size >= 3
    for row in violated:
        assert asked_again(aligned, X, scores[row] * (1 - 1e-6), uniforms)[row, 0]


def _delivered_scores() -> Any:
    from alignconf.losses.critical_half_width import delivered

    return delivered


@pytest.mark.parametrize("half_width", [0.0, 0.1, 0.4])
def test_sizes_of_violations_bound_those_of_queries_asked_again(half_width: float) -> None:
    aligned = calibrated([NonCrossing(), Increasing(0)], loss=Magnitude(4.0), alpha=0.2, confidence=None)
    alignment, X = aligned.alignment_, rows(60, 6)
    uniforms = np.random.default_rng(0).uniform(size=(60, 2, 2))
    queries = place_queries_at(alignment.tester.parts, X, uniforms)
    from alignconf.losses.magnitude import _violation_sizes

    for part, blocks in zip(queries.parts, alignment.blocks_at_queries(X, queries, _violation_sizes), strict=True):
        ((numbers, sizes),) = blocks
        assert (numbers == np.arange(60)).all()
        told = np.zeros(120)
        told[sizes.index] = sizes.sizes(half_width)
        pairs = [alignment.predict(site) for site in part.sites(X)]
        values = part.arrange([alignment.scale.deliver(None, f, g, half_width) for f, g in pairs])
        true = excess(part, values, np.full(60, 1e-9)).ravel()
        assert (told >= true - 1e-9).all()
        assert told.sum() <= 1.6 * true.sum() + 0.5


def test_calibration_bounds_the_rate_and_the_band_holds_what_is_delivered() -> None:
    aligned, X = calibrated([NonCrossing(), Increasing(0)]), rows(300, 7)
    f, delivered, band = Waves().predict(X), aligned.predict(X), aligned.predict_band(X)
    assert delivered.shape == (300, 4)
    assert band.shape == (300, 4, 2)
    assert 0 < aligned.lambda_ < np.inf
    assert (np.abs(delivered - f) <= aligned.lambda_).all()
    assert ((band[..., 0] <= delivered) & (delivered <= band[..., 1])).all()
    assert (np.diff(delivered, axis=1) >= -1e-12).mean() > 0.9
    certificate = aligned.certify(X)
    assert certificate.delivered.rate < 0.1 < certificate.before.rate
    assert certificate.full_strength.rate < 0.02


def test_order_of_outputs_survives_the_band() -> None:
    class Ordered(Waves):
        def predict(self, X: Any) -> np.ndarray:
            return np.sort(super().predict(X), axis=1)

    aligned = AlignedRegressor(
        Ordered(), [NonCrossing(), Increasing(0)], outputs=LEVELS, alpha=0.2, n_knots=9, random_state=0
    )
    delivered = aligned.calibrate(rows(200, 1)).predict(rows(400, 8))
    assert (np.diff(delivered, axis=1) >= 0).all(), "a model that does not cross never does, at any strength"


def test_errors_are_those_of_the_labels_that_are_given() -> None:
    aligned, X = calibrated([NonCrossing()], alpha=0), rows(50, 9)
    y = np.random.default_rng(0).normal(size=50)
    short = y[:, None] - aligned.predict(X)
    pinball = np.maximum(np.array(LEVELS) * short, (np.array(LEVELS) - 1) * short).mean()
    assert np.isclose(aligned.certify(X, y).error.after, pinball)
    of_each = np.column_stack([y] * 4)
    assert np.isclose(aligned.certify(X, of_each).error.after, ((of_each - aligned.predict(X)) ** 2).mean())
    assert aligned.certify(X, y).error.measure == "mean pinball loss"


# Cost, forms of models ----------------------------------------------------------------------------------------------------


def test_the_model_is_asked_once_about_each_row() -> None:
    aligned, X = calibrated([NonCrossing()], alpha=0), rows(5000, 10)
    aligned.estimator_.n_rows = 0
    aligned.predict(X)
    assert 5000 <= aligned.estimator_.n_rows <= 5020, "all outputs of a row come from one call"
    aligned = calibrated([NonCrossing(), Increasing(0)], alpha=0)
    aligned.estimator_.n_rows = 0
    aligned.predict(X)
    assert 5000 * 10 <= aligned.estimator_.n_rows <= 5000 * 10 + 20, (
        "one call for each knot, whatever the number of outputs"
    )


def test_a_mapping_from_levels_to_models_is_a_model_with_as_many_outputs() -> None:
    X, y = rows(300, 0), np.random.default_rng(1).normal(size=300)
    models = {
        level: HistGradientBoostingRegressor(loss="quantile", quantile=level, max_iter=15, random_state=0).fit(X, y)
        for level in LEVELS
    }

    class Together:
        def predict(self, X: Any) -> np.ndarray:
            return np.column_stack([model.predict(X) for model in models.values()])

    settings: dict[str, Any] = {"alpha": 0.1, "n_knots": 9, "random_state": 0, "properties": [NonCrossing()]}
    of_mapping = AlignedRegressor(models, **settings).calibrate(rows(200, 1))
    of_model = AlignedRegressor(Together(), outputs=LEVELS, **settings).calibrate(rows(200, 1))
    assert of_mapping.outputs_ == LEVELS
    assert of_mapping.lambda_ == of_model.lambda_
    assert (of_mapping.predict(X) == of_model.predict(X)).all()
    stored = pickle.loads(pickle.dumps(of_mapping))
    assert (stored.predict(X) == of_mapping.predict(X)).all()


@pytest.mark.parametrize("norm", ["l2", "sup"])
@pytest.mark.parametrize("named", [None, [0.1, 0.9]], ids=str)
def test_models_of_trees_are_projected_on_the_pieces_of_all_of_them(norm: str, named: Any) -> None:
    X, y = rows(300, 0), np.random.default_rng(1).normal(size=300)
    models = {
        level: HistGradientBoostingRegressor(loss="quantile", quantile=level, max_iter=40, random_state=0).fit(X, y)
        for level in LEVELS
    }
    rules = [NonCrossing(), Increasing(0, outputs=named)]
    aligned = AlignedRegressor(models, rules, alpha=0, projection=norm, random_state=0).calibrate(X[:90])
    assert "pieces of the trees of all 4 outputs" in aligned.alignment_.chain.path
    dense = np.repeat(rows(15, 2), 400, axis=0)
    dense[:, 0] = np.tile(np.linspace(-1.1, 1.1, 400), 15)
    values = aligned.predict(dense).reshape(15, 400, 4)
    assert (np.diff(values, axis=2) >= -1e-14).all()
    positions = [LEVELS.index(label) for label in named or LEVELS]
    assert (np.diff(values[..., positions], axis=1) >= -1e-14).all()
    f = np.column_stack([model.predict(dense) for model in models.values()]).reshape(15, 400, 4)
    assert (np.diff(f, axis=2) < -0.01).any(axis=2).mean() > 0.02, (
        "the models cross, so that there is something to repair"
    )
    assert (np.diff(f[..., positions], axis=1) < -0.01).any()
    still = (aligned.alignment_.predict(dense)[0].reshape(f.shape) == values).all(axis=2)
    assert (values[still] == f[still]).all()
    pieces: Any = aligned.alignment_.chain.stages[0]
    projector = getattr(pieces, "whole", pieces)
    ends = projector.steps.laws[0].knots
    assert ends.size > 10
    asked = np.repeat(rows(5, 3), ends.size, axis=0)
    asked[:, 0] = np.tile(ends, 5)
    told = projector.lines(aligned.alignment_.function, rows(5, 3)).values.reshape(-1, 4)
    np.testing.assert_allclose(
        told, np.column_stack([model.predict(asked) for model in models.values()]), rtol=0, atol=1e-12
    )
    certificate = aligned.certify(rows(300, 4))
    assert certificate.full_strength.rate == 0
    assert certificate.by_construction
    if named is None and norm == "l2":
        # The least-squares projection on the pieces, weighted by the reference law, and then the outputs sorted.
        weights = projector.steps.laws[0].weights
        one = told.reshape(5, ends.size, 4)[0]
        risen = np.column_stack([isotonic_regression(line, weights=weights).x for line in one.T])
        nearest = np.sort(risen, axis=1)
        row = asked[: ends.size]
        np.testing.assert_allclose(aligned.alignment_.predict(row)[1], nearest, rtol=0, atol=1e-9)
    uniforms = np.random.default_rng(0).uniform(size=(60, 1, 2))
    some = rows(60, 5)
    queries = place_queries_at(aligned.alignment_.tester.parts, some, uniforms)
    scores = np.maximum.reduce(aligned.alignment_.at_queries(some, queries, _delivered_scores()))[:, 0]
    for half_width in (0.0, 0.05, 0.2, 0.6):
        failed = asked_again(aligned, some, half_width, uniforms)[:, 0]
        assert (failed <= (half_width < scores + 1e-9)).all()
        clearly = (np.abs(scores - half_width) > 1e-9) & (half_width == 0)
        assert (failed == (half_width < scores))[clearly].all()


@pytest.mark.parametrize("is_mapping", [True, False])
@pytest.mark.parametrize(
    "rules", [[NonCrossing()], [NonCrossing(), Increasing(0)], [Increasing(0), Decreasing(1)]], ids=str
)
def test_a_row_alone_gets_the_bits_that_it_gets_among_others(rules: Any, is_mapping: bool) -> None:
    X, y = rows(300, 0), np.random.default_rng(1).normal(size=300)
    models = {
        level: HistGradientBoostingRegressor(loss="quantile", quantile=level, max_iter=8, random_state=0).fit(X, y)
        for level in LEVELS
    }
    model, outputs = (models, None) if is_mapping else (Waves(), LEVELS)
    aligned = AlignedRegressor(model, rules, outputs=outputs, alpha=0.3, n_knots=9, random_state=0)
    aligned.calibrate(rows(200, 1), X_reference=X)
    together = aligned.predict(X[:60])
    assert (together == np.concatenate([aligned.predict(X[i : i + 1]) for i in range(60)])).all()
    band = aligned.predict_band(X[:60])
    assert (band == np.concatenate([aligned.predict_band(X[i : i + 1]) for i in range(60)])).all()


@pytest.mark.parametrize(
    "settings", [{"reference_law": "conditional"}, {"query_law": "line"}, {"loss": "line"}], ids=str
)
def test_pieces_of_all_outputs_serve_other_laws_and_losses(settings: dict[str, Any]) -> None:
    X, y = rows(300, 0), np.random.default_rng(1).normal(size=300)
    models = {
        level: HistGradientBoostingRegressor(loss="quantile", quantile=level, max_iter=8, random_state=0).fit(X, y)
        for level in LEVELS
    }
    aligned = AlignedRegressor(models, [NonCrossing(), Increasing(0)], alpha=0.3, random_state=0, **settings)
    certificate = aligned.calibrate(rows(200, 1), X_reference=X).certify(rows(200, 4), confidence=0.999)
    assert certificate.full_strength.rate == 0
    # Calibration may miss in one draw of twenty, and these rows a kept promise in one of a thousand.
    assert certificate.delivered.lower_bound < 0.3 < certificate.before.lower_bound


def test_a_model_that_was_fitted_again_is_refused() -> None:
    X, y = rows(200, 0), np.random.default_rng(1).normal(size=200)
    models = {
        level: HistGradientBoostingRegressor(loss="quantile", quantile=level, max_iter=5, random_state=0).fit(X, y)
        for level in LEVELS
    }
    aligned = AlignedRegressor(models, [NonCrossing(), Increasing(0)], alpha=0, random_state=0).calibrate(X)
    models[0.5].fit(X, -y)
    with pytest.raises(PredictionError, match="Calibrate again"):
        aligned.predict(X)


def test_fit_trains_a_model_with_several_outputs_on_labels_of_each() -> None:
    X = rows(240, 0)
    Y = X @ np.array([[1.0, 0.5], [0.0, 1.0], [1.0, -1.0]])
    aligned = AlignedRegressor(MultiOutputRegressor(LinearRegression()), {0: 1}, outputs=["a", "b"], random_state=0)
    aligned.fit(X, Y)
    np.testing.assert_allclose(aligned.predict(X), Y, atol=1e-9)
    aligned.set_output(transform="pandas")
    assert aligned.predict_band(X).columns.tolist() == ["lower a", "upper a", "lower b", "upper b"]


def test_check_asks_all_outputs_of_any_model() -> None:
    X = rows(500, 11)
    audit = check(Waves(), X, [NonCrossing()], outputs=LEVELS, random_state=0)
    crossing = (np.diff(Waves().predict(X), axis=1) < 0).any(axis=1)
    asked = audit.violations.n_queries
    assert asked == 400
    assert abs(audit.violations.n_rejected - crossing.mean() * asked) < 5 * np.sqrt(asked) / 2
    assert "output 0.5" in str(audit.worst)
    aligned = calibrated([NonCrossing(), Increasing(0)], alpha=0)
    assert check(aligned, X, [NonCrossing()], random_state=0).violations.n_rejected == 0
    found = check(Waves(), X, {0: 1}, outputs=LEVELS, random_state=0).worst
    assert found.output in LEVELS
    moved = np.tile(X[found.row], (2, 1))
    moved[:, 0] = found.values
    assert np.allclose(Waves().predict(moved)[:, LEVELS.index(found.output)], found.predictions)


def test_pages_show_the_output_that_moves_farthest(tmp_path: Any) -> None:
    certificate = calibrated([NonCrossing(), Increasing(0)], alpha=0).certify(rows(100, 12))
    assert certificate.evidence.lines[0].subject.startswith("output 0.")
    page = tmp_path / "page.html"
    assert certificate.to_html(page) == str(page)
    assert "output" in page.read_text()


# Bad input --------------------------------------------------------------------------------------------------------------


class Fickle(Waves):
    """A model that forgets an output when it is asked about more than one row."""

    def predict(self, X: Any) -> np.ndarray:
        """Return four outputs of one row, and three of several."""
        return super().predict(X)[:, : 4 if len(X) == 1 else 3]


def test_bad_input_is_refused_in_a_sentence() -> None:
    X, y = rows(150, 0), np.zeros(150)
    frame = pd.DataFrame(X, columns=list("abc"))
    linear = {
        0.1: LinearRegression().fit(frame, y),
        0.9: LinearRegression().fit(frame[["a", "c", "b"]], y),
    }
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: AlignedRegressor(Fickle(), [NonCrossing()], outputs=LEVELS).calibrate(X), PredictionError,
         r"Fickle.predict returned shape \(4, 4\) when asked about that row alone, and \(4, 3\) before"),
        (lambda: AlignedRegressor(Waves(), [NonCrossing()], outputs=[0.1, 0.9]).calibrate(X), PredictionError,
         r"returned shape \(1, 4\) for 1 rows; expected one number for each of the 2 outputs"),
        (lambda: AlignedRegressor(Waves(), [NonCrossing()], outputs=[0.5, 0.1, 0.6, 0.9]).calibrate(X), InputError,
         r"outputs has the level 0.1 after 0.5; expected levels that increase"),
        (lambda: Outputs.of([0.1]), InputError, r"at least two levels or names, each once, got \[0.1\]"),
        (lambda: Outputs.of("low"), InputError, r"outputs must list the outputs of the model, got 'low'"),
        (lambda: AlignedRegressor(Waves(), [Increasing(0, outputs=[0.3])], outputs=LEVELS).calibrate(X), InputError,
         r"Increasing\(0, outputs=\[0.3\]\) names the output 0.3, which the model does not have; expected one of \[0.1"),
        (lambda: AlignedRegressor(linear, [NonCrossing()]).calibrate(frame), InputError,
         r"estimator maps 0.1 to a model fitted on 'a', 'b', 'c' and 0.9 to a model fitted on 'a', 'c', 'b'; expected"),
        (lambda: AlignedRegressor(linear, [NonCrossing()], outputs=[0.1, 0.8]).calibrate(frame), InputError,
         r"outputs lists \[0.1, 0.8\] and estimator maps \[0.1, 0.9\]"),
        (lambda: AlignedRegressor({0.1: LinearRegression(), 0.9: 3}, [NonCrossing()]).calibrate(X), InputError,
         r"estimator\[0.9\] must be a fitted regressor"),
        (lambda: AlignedRegressor({0.1: LinearRegression(), 0.9: LinearRegression()}, [NonCrossing()]).fit(X, y), InputError,
         r"estimator, a dict, has no fit method; fit its models yourself"),
        (lambda: AlignedRegressor(LinearRegression().fit(X, y), [NonCrossing()]).calibrate(X), InputError,
         r"NonCrossing\(\) is about outputs, and the model is declared with a single one"),
        (lambda: AlignedRegressor(Waves(), {0: 1}).calibrate(X), PredictionError,
         r"For a model with 4 outputs list them: outputs=\[...\]"),
        (lambda: AlignedRegressor(Waves(), {0: 1}, outputs=LEVELS, projector="leaves").calibrate(X), InputError,
         r"projector='leaves' makes one number of each row, and the model has several outputs"),
        (lambda: LinearProperty([{OUTPUTS: 0.1}, {0: 1.0}], [1, -1]), InputError, r"name an output in some points and rows"),
        (lambda: NonCrossing(between=(0, 1)), InputError, r"is about all outputs of a row, in their own order"),
        (lambda: AlignedRegressor(Waves(), [Rule([None], np.any, np.abs)], outputs=LEVELS).calibrate(X), InputError,
         r"only says yes or no of the values of one output"),
        (lambda: AlignedRegressor(Waves(), [Increasing(0), Increasing(1), Increasing(2), NonCrossing(),
                                            LinearProperty([{OUTPUTS: 0.1}, {OUTPUTS: 0.9}], [-1, 1], -1.0)],
                                  outputs=LEVELS).calibrate(X), InputError, r"which no outputs have together"),
        (lambda: calibrated([NonCrossing()]).certify(rows(99, 5), np.zeros((99, 3))), InputError,
         r"y has shape \(99, 3\); expected a label for each of the 4 outputs of each row, shape \(99, 4\)"),
        (lambda: calibrated([NonCrossing()], loss="existence"), InputError, r"share points with all 4 outputs of a fresh row"),
    ]  # fmt: skip
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()


def test_rows_are_taken_as_they_are() -> None:
    X = rows(60, 13)
    before = X.copy()
    calibrated([NonCrossing(), Increasing(0)]).predict(X)
    assert (before == X).all()
    assert tables.column_names(X) is None


def test_rates_of_the_closed_form_are_those_of_queries_asked_again() -> None:
    """Exact: 20,000 queries, and five standard errors (false alarm below 1e-6 for each half-width)."""
    from benchmarks.simulations import outputs

    random = np.random.default_rng(0)
    reference = np.column_stack([np.arange(6), np.ones(6)])
    rules = [NonCrossing(), Increasing(0)]
    aligned = AlignedRegressor(outputs.Crossing(), rules, outputs=range(3), alpha=0.2, n_queries=1, confidence=None)
    aligned.calibrate(outputs.rows(60, random), X_reference=reference)
    X = outputs.rows(20_000, random)
    np.testing.assert_allclose(aligned.alignment_.predict(reference)[1], outputs.projected(), atol=1e-12)
    for half_width in (0.0, 0.2, 0.7):
        failed = asked_again(aligned, X, half_width, random.uniform(size=(len(X), 1, 2))).mean()
        rate = float(outputs.violation_rates(np.array(half_width)))
        assert abs(failed - rate) < 5 * np.sqrt(rate * (1 - rate) / len(X))
