"""Search with a gradient: against finite differences, closed forms, and the same search without one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from alignconf.deployment.input_law import InputLaw
from alignconf.deployment.search import network_gradient, search
from alignconf.deployment.search.box import Box
from alignconf.deployment.search.target import Target
from alignconf.deployment.search.uphill import N_LENGTHS, uphill
from alignconf.deployment.violation_score import ViolationScore
from alignconf.errors import InputError
from alignconf.properties import Concave, Dominates, Increasing, Invariant, Lipschitz, SlopeAtMost
from benchmarks.risk import gradient as measured
from benchmarks.risk.gradient import bump_gradient, network
from benchmarks.risk.search import Bump, bump_maximum, monotone_models
from tests.test_search import Of, mixed_answers, mixed_rows, uniform_rows

STEP = 1e-5


def finite_differences(predict, rows):
    moves = STEP * np.eye(rows.shape[1])
    return np.stack([(predict(rows + move) - predict(rows - move)) / (2 * STEP) for move in moves], axis=1)


class Counted:
    """A model and its gradient that count the rows they are sent."""

    def __init__(self, model, gradient):
        self.model, self.of_model, self.asked, self.derived = model, gradient, 0, 0

    def predict(self, rows):
        self.asked += len(rows)
        return self.model.predict(rows)

    def gradient(self, rows):
        self.derived += len(rows)
        return self.of_model(rows)


@pytest.mark.parametrize("units", ["identity", "relu", "tanh", "logistic"])
@pytest.mark.parametrize("hidden", [(8,), (8, 5)])
def test_the_gradient_of_a_network_is_its_finite_differences(units, hidden):
    rows = uniform_rows(80, 3)
    layers = MLPRegressor(hidden_layer_sizes=hidden, activation=units, max_iter=20, random_state=0, tol=1e9)
    for model in (
        layers,
        make_pipeline(StandardScaler(), layers),
        make_pipeline(StandardScaler(with_std=False), layers),
    ):
        model.fit(rows, np.sin(6 * rows[:, 0]) + rows[:, 1])
        told, seen = network_gradient(model)(rows), finite_differences(model.predict, rows)
        # A kink of a rectified unit within the step is met at few rows.
        agree = np.isclose(told, seen, atol=1e-6).all(axis=1)
        assert agree.mean() >= (0.95 if units == "relu" else 1.0)


def test_the_gradient_of_a_network_on_a_data_frame_has_its_columns():
    frame = pd.DataFrame(uniform_rows(60, 2), columns=["a", "b"])
    model = make_pipeline(StandardScaler(), MLPRegressor(max_iter=20, random_state=0, tol=1e9)).fit(frame, frame["a"])
    assert np.array_equal(network_gradient(model)(frame), network_gradient(model)(frame.copy()))
    found = search(model, frame, {"b": "increasing"}, max_rows=1000, gradient=network_gradient(model), random_state=0)
    assert all(witness.holds_for(model) for witness in found.witnesses)


@pytest.mark.parametrize(
    "model",
    [Ridge(), make_pipeline(MinMaxScaler(), MLPRegressor()), RandomForestRegressor(), 3],
    ids=lambda m: str(m)[:20],
)
def test_models_whose_layers_cannot_be_read_are_refused(model):
    with pytest.raises(InputError, match="model must be an MLPRegressor, by itself or behind StandardScaler"):
        network_gradient(model)


def test_networks_that_are_not_fitted_or_have_several_outputs_are_refused():
    with pytest.raises(NotFittedError):
        network_gradient(MLPRegressor())
    rows = uniform_rows(60, 2)
    several = MLPRegressor(max_iter=20, random_state=0, tol=1e9).fit(rows, rows)
    with pytest.raises(InputError, match="model has 2 outputs of kind 'identity'"):
        network_gradient(several)


def test_the_gradient_of_the_bump_is_its_finite_differences():
    bump, rows = Bump(np.full(6, 0.5), 0.3), 0.3 + 0.4 * uniform_rows(200, 6)
    assert np.allclose(bump_gradient(bump, rows), finite_differences(bump.predict, rows), atol=1e-6)


def test_a_gradient_finds_the_bump_within_rows_in_which_the_search_without_it_does_not():
    shares = []
    for seed in range(5):
        random = np.random.default_rng([seed, 5])
        bump, rows = Bump.at_random(0.3, random), random.uniform(size=(500, 6))
        gradients = (None, lambda x, bump=bump: bump_gradient(bump, np.asarray(x)))
        found = [
            search(bump, rows, {0: "increasing"}, max_rows=2000, naturalness=0, gradient=gradient, random_state=seed)
            for gradient in gradients
        ]
        assert found[1].largest <= bump_maximum(0.3)
        shares.append([one.largest / bump_maximum(0.3) for one in found])
    without, with_it = np.mean(shares, axis=0)
    assert with_it >= 0.97
    assert without <= 0.9 * with_it


def test_a_gradient_finds_at_least_as_much_in_networks():
    largest = np.zeros(2)
    for seed in range(3):
        rows = uniform_rows(600, 5, seed)
        model = network(rows, np.sin(5 * rows[:, 0] * rows[:, 1]) + rows[:, 2] * rows[:, 3], "tanh", seed)
        for k, gradient in enumerate((None, network_gradient(model))):
            found = search(model, rows, {0: "increasing"}, max_rows=1500, gradient=gradient, random_state=0)
            largest[k] += found.largest
            assert all(witness.holds_for(model) for witness in found.witnesses)
    assert largest[1] >= largest[0]


@pytest.mark.parametrize("max_rows", [200, 1000, 5000])
def test_rows_of_the_gradient_count_twice(max_rows):
    bump = Bump(np.full(6, 0.5), 0.3)
    counted = Counted(bump, lambda rows: bump_gradient(bump, rows))
    found = search(
        counted, uniform_rows(300, 6), {0: "increasing"}, max_rows=max_rows, gradient=counted.gradient, random_state=0
    )
    assert counted.asked + 2 * counted.derived == found.n_rows <= max_rows
    assert counted.derived > 0


@pytest.mark.parametrize(
    "part",
    [
        Increasing("a"),
        Concave("a"),
        Lipschitz("a", 0.5),
        SlopeAtMost("b", 0.1),
        Invariant("a", tol=0.1),
        Dominates("a", "b"),
    ],
    ids=str,
)
def test_any_property_on_mixed_rows_is_searched_with_the_derivatives_that_there_are(part):
    def gradient(rows):
        slopes = np.full(rows.shape, np.nan)
        a, gap = np.asarray(rows["a"], dtype=float), np.asarray(rows["gap"], dtype=float)
        slopes[:, 0], slopes[:, 1] = 6 * np.cos(6 * a) - np.where(np.isnan(gap), 0.5, 0.0), 0.2
        return slopes

    rows, model = mixed_rows(), Of(mixed_answers)
    found = search(model, rows, part, max_rows=3000, gradient=gradient, random_state=0)
    assert found.found
    assert all(witness.holds_for(model) for witness in found.witnesses)
    assert all(witness.size > 0 and witness.plausibility >= 0.05 for witness in found.witnesses)


def test_a_wrong_gradient_claims_no_more():
    for wrong in (
        lambda rows: -np.ones(rows.shape),
        lambda rows: np.full(rows.shape, np.inf),
        lambda rows: 1e300 * rows,
    ):
        for model, rows in monotone_models(4):
            assert not search(
                model, rows, {0: "increasing"}, max_rows=1500, read_trees=False, gradient=wrong, random_state=0
            ).found


def test_moves_go_where_a_line_falls_fastest():
    """Of 3 b a - a^2 the pair of places in ``a`` falls by (u' - u)(u + u' - 3 b): steepest with b low."""
    rows = uniform_rows(500, 2)
    score = ViolationScore.of(Of(lambda x: 3 * x[:, 0] * x[:, 1] - x[:, 0] ** 2), {0: "increasing"}, rows)
    target = Target(score.model, score.parts[0], Box.of_law(InputLaw.from_rows(rows)))

    def gradient(x):
        return np.stack([3 * x[:, 1] - 2 * x[:, 0], 3 * x[:, 0]], axis=1)

    points = np.array([[0.5, 0.4, 0.9], [0.2, 0.3, 0.6]])
    moves = uphill(target, gradient, points)
    assert moves.shape == (2, N_LENGTHS, 3)
    assert (moves[:, :, 0] < points[:, None, 0]).all()
    asked = target.ask(moves.reshape(-1, 3)).ranking.reshape(2, -1)
    assert (asked.max(axis=1) > target.ask(points).ranking).all()


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (3, "gradient must be a function of rows, got 3 of type int"),
        (lambda rows: rows[:, 0], r"gradient returned an array of shape \(\d+,\) for \d+ rows of 2 columns"),
    ],
)
def test_what_is_no_gradient_is_refused(gradient, message):
    with pytest.raises(InputError, match=message):
        search(Of(lambda x: x[:, 0]), uniform_rows(50), {0: "increasing"}, gradient=gradient, random_state=0)


def test_what_a_gradient_is_worth_is_measured(monkeypatch):
    monkeypatch.setattr(measured, "BUDGETS", (400, 1000))
    monkeypatch.setattr(measured, "LEVELS", (0.0,))
    checks = measured.checks(1)
    bump = next(check for check in checks if check.name.startswith("bump of half-width 0.3") and "1,000" in check.name)
    assert bump.met
    assert "with" in bump.measured
    assert len(checks) % 2 == 0
