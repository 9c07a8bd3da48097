"""Training against a probability: estimators against closed forms, the loop against its referee, the law against its bound."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from scipy.stats import norm

from alignconf.deployment.rare import largest_probability
from benchmarks.companions import design_points, monotone_network
from benchmarks.companions.monotone_network import Setting
from benchmarks.companions.wrapped import RareQueries, descend, pairs

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'alignconf[companions]'")

from benchmarks.companions import catastrophe  # noqa: E402
from benchmarks.companions.networks import Networks, draws, generators_of, input_gradient  # noqa: E402
from benchmarks.companions.shifts import harmful_shift, probability_under_shift  # noqa: E402
from benchmarks.companions.tail_estimators import DesignPoints, moment_log_probability  # noqa: E402


@pytest.fixture(scope="module")
def setting() -> Setting:
    """A network on the diabetes data, with a fifth of the draws of the benchmark."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monotone_network, "N_DRAWS", 40_000)
        patch.setattr(monotone_network, "N_EXCEED", 8)
        return Setting.of("diabetes", None, 1)


def plane(distance: float, n_features: int = 5) -> tuple[Networks, object]:
    """A linear function of unit slope and a limit at a distance: p is exactly the normal tail."""
    weight = torch.full((1, n_features, 1), n_features**-0.5)
    return Networks([weight], [torch.zeros(1, 1, 1)]), torch.full((1, 1), distance)


def test_design_points_are_exact_on_planes_and_count_two_sides() -> None:
    networks, limit = plane(4.0)
    points = DesignPoints(lambda rows: networks(rows)[..., 0], limit, 5, generators_of(1, 0))
    points.look_again()
    points.approach(10)
    assert float(points.log_probability()) == pytest.approx(norm.logsf(4.0), abs=0.05)
    both = DesignPoints(lambda rows: networks(rows)[..., 0].abs(), limit, 5, generators_of(1, 0))
    both.look_again()
    both.approach(10)
    assert float(both.log_probability()) == pytest.approx(np.log(2) + norm.logsf(4.0), abs=0.05)


def test_the_gradient_of_design_points_is_that_of_the_probability() -> None:
    """Of a plane with slope w and offset b: d log p / d b = h(beta) / |w|, h the hazard of the normal law."""
    networks, limit = plane(4.0)
    trainable = networks.trainable()
    points = DesignPoints(lambda rows: trainable(rows)[..., 0], limit, 5, generators_of(1, 0))
    points.look_again()
    points.approach(10)
    points.log_probability().sum().backward()
    hazard = np.exp(norm.logpdf(4.0) - norm.logsf(4.0))
    assert float(trainable.biases[0].grad) == pytest.approx(hazard, rel=0.03)
    assert float(trainable.weights[0].grad.sum()) == pytest.approx(hazard * 4.0 * 5**0.5, rel=0.03)


def test_moments_are_those_of_draws() -> None:
    """One hidden layer: mean and covariance exact up to the series; 100,000 draws."""
    for activation in ("relu", "gelu"):
        generators = generators_of(2, 1)
        networks = Networks.drawn((6, 64, 1), generators, activation)
        answers = networks(draws((100_000, 6), generators))[..., 0]
        limit = answers.mean(dim=1, keepdim=True) + answers.std(dim=1, keepdim=True)
        estimate = moment_log_probability(networks, limit)
        # At one standard deviation above the mean a normal answer has log p = log Phi(-1), whatever its law is.
        assert torch.allclose(estimate, torch.full((2,), norm.logsf(1.0), dtype=torch.float32), atol=0.03)


def test_points_stay_where_there_is_no_slope() -> None:
    flat = np.ones((1, 3, 4))
    found = design_points.approach(flat, lambda rows: np.zeros(rows.shape[:2]), np.zeros_like, np.full((1, 1), 1.0), 3)
    assert np.linalg.norm(found, axis=-1) == pytest.approx(design_points.FARTHEST, abs=0.1)


def test_networks_of_different_seeds_do_not_touch() -> None:
    rows = draws((50, 3), generators_of(3, 2))
    networks = Networks.drawn((3, 8, 1), generators_of(3, 3))
    alone = Networks([weight[1:2] for weight in networks.weights], [bias[1:2] for bias in networks.biases])
    assert torch.allclose(networks(rows)[1], alone(rows[1:2])[0], atol=1e-6)
    _, gradient = input_gradient(lambda points: networks(points)[..., 0], rows)
    assert gradient.shape == rows.shape
    assert networks.numpy_function(1)(rows[1].numpy()) == pytest.approx(networks(rows)[1, :, 0].numpy(), abs=1e-5)


def test_training_against_the_estimate_lowers_the_probability_of_the_referee() -> None:
    """Two seeds, a quarter of the steps: at least a decade where the task alone gains nothing, at hardly any error."""
    size = catastrophe.Size(n_train=500, n_further=150, budget=400_000)
    study = catastrophe.Study.of(2, size)
    before = np.log10([event.probability for event in study.referee(study.networks, size)])
    assert (np.abs(before + 5) < 0.6).all()
    arms = {arm.name: arm for arm in catastrophe.ARMS}
    control, trained = (arms[name].trained(study, size) for name in ("task alone", "design points"))
    once, twice = (arms["design points"].trained(study, catastrophe.Size(n_further=4)) for _ in range(2))
    assert all(torch.equal(first, second) for first, second in zip(once.parameters, twice.parameters, strict=True))
    after = {
        name: np.log10([event.probability for event in study.referee(networks, size)])
        for name, networks in (("control", control), ("trained", trained))
    }
    assert (before - after["trained"] > 1).all()
    assert (before - after["control"] < 1).all()
    assert (study.test_error(trained) < 1.2 * study.test_error(control)).all()


def test_a_shift_network_is_between_the_constant_shift_and_the_bound() -> None:
    """Of a plane, where a constant shift of length d gives exactly Phi(d - beta)."""
    networks, limit = plane(4.0)
    shares = []
    for constant in (True, False):
        shift = harmful_shift(networks, limit, 2.0, 150, generators_of(1, 5), constant=constant)
        assert float(shift.square().sum(-1).mean()) == pytest.approx(4.0, rel=1e-4)
        shares.append(float(probability_under_shift(networks, limit, shift, generators_of(1, 6))[0]))
    exact = norm.sf(4.0 - 2.0)
    assert shares[0] == pytest.approx(exact, abs=5 * np.sqrt(exact / 100_000))
    assert shares[0] < shares[1] < largest_probability(norm.sf(4.0), 2.0)


def test_a_network_of_scikit_learn_falls_more_rarely_after_training(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monotone_network, "N_STEPS", 120)
    before = setting.probability(setting.model)
    trained = setting.trained_further("design points", before)
    after = setting.probability(trained)
    assert np.isnan(after) or after < before / 10
    error, control = (
        np.mean((model.predict(setting.test.X) - setting.test.y) ** 2)
        for model in (trained, setting.trained_further("task alone", before))
    )
    assert error < 1.2 * control


def test_steps_along_a_penalty_lower_the_margins_of_its_queries(setting: Setting) -> None:
    """Steps of ``descend`` along a penalty of one query lowers its margin; its rows are those that the library compares."""
    model = deepcopy(setting.model)
    margin = setting.margin(model)
    points = np.random.default_rng(0).standard_normal((2000, margin.n_dimensions))
    violated = points[margin(points) > 0][:5]
    rows, slopes = pairs(margin, violated, np.ones(len(violated)))
    answers = model.predict(rows).reshape(-1, 2)
    assert answers[:, 0] - answers[:, 1] == pytest.approx(margin(violated), abs=1e-9)
    first = margin(violated).sum()
    descend(model, setting.train.X, setting.train.y, lambda _: (rows, 10 * slopes), 5, np.random.default_rng(1))
    assert margin(violated).sum() < first


def test_an_estimate_of_rare_queries_is_of_their_order(setting: Setting) -> None:
    """It counts half-spaces, where the event is a corner of them: too large, and not by more than three decades."""
    queries = RareQueries(setting.margin(setting.model), setting.size, np.inf, 0.0, np.random.default_rng(2))
    queries.move(8, look_again=True)
    log_p, points, slopes = queries.log_probability()
    assert 0 < log_p / np.log(10) - np.log10(setting.probability(setting.model)) < 3
    assert len(points) == len(slopes) > 0
    assert (slopes > 0).all()
