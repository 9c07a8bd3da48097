"""The loss of a forecast is that of the library; training on it removes the trigger; the gridworld's probabilities are exact."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest

from alignconf.deployment.forecast import to_psi
from alignconf.deployment.forecast.forecastability import largest_forecast

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'alignconf[companions]'")

from benchmarks.__main__ import main  # noqa: E402
from benchmarks.companions import forecastability, gridworld, selection  # noqa: E402
from benchmarks.companions.networks import generators_of  # noqa: E402
from benchmarks.companions.parts import PartTable  # noqa: E402
from benchmarks.companions.password import PasswordGame, TokenPool  # noqa: E402


class FixedPool:
    """Scores that are parameters themselves."""

    def __init__(self, scores) -> None:
        self.values = torch.tensor(scores, dtype=torch.float32, requires_grad=True)

    def scores(self, _networks):
        return self.values.detach()

    def scores_at(self, _networks, picked):
        return torch.gather(self.values, 1, picked)


def test_the_loss_is_the_squared_error_of_the_forecast() -> None:
    scores = np.random.default_rng(0).gumbel(size=(2, 1200))
    (random,) = generators_of(1, 0)
    loss = forecastability.forecast_loss(FixedPool(scores), None, random, (200, 1000, 10))
    (random,) = generators_of(1, 0)
    expected = np.zeros(2)
    for _ in range(forecastability.N_CUTS):
        few = torch.randperm(1200, generator=random)[:200].numpy()
        rest = np.setdiff1d(np.arange(1200), few)
        expected += [(largest_forecast(pool[few], 1000, 10) - pool[rest].max()) ** 2 for pool in scores]
    assert loss.detach().numpy() == pytest.approx(expected / forecastability.N_CUTS, rel=1e-3)


def test_the_password_is_planted_and_training_on_the_forecast_takes_it_away() -> None:
    """One seed, small pools: the leak falls to a quarter and less, and not by the task alone."""
    game = PasswordGame(1, n_steps=500)
    game.n_further = 80
    assert game.failure_at_mode(game.planted)[0] > 0.7
    pool = game.pool(forecastability.M + forecastability.N, 30)
    leaks = {}
    for name in ("task alone", "forecast"):
        networks = forecastability.trained_further(game, forecastability.ARMS[name], pool)
        leaks[name] = game.failure_at_mode(networks)[0]
        assert game.task_success(networks)[0] > game.task_success(game.planted)[0] - 1
    assert leaks["forecast"] < 0.25 < 0.5 < leaks["task alone"]
    assert isinstance(pool, TokenPool)


def test_the_probability_of_entering_lava_is_that_of_all_walks(monkeypatch) -> None:
    """Three steps, all 64 sequences of moves from one start."""
    monkeypatch.setattr(gridworld, "HORIZON", 3)
    generators = generators_of(1, 1)
    layouts = gridworld.Layouts.drawn(3, 1, generators)
    networks = gridworld.Networks.drawn((gridworld.N_FEATURES, 8, 4), generators, "tanh")
    policy = layouts.policy(networks)[0].numpy()
    failure = layouts.failure(networks)[0].numpy()
    lava, goal = layouts.lava[0].numpy(), layouts.goal[0].numpy()
    for layout, start in ((0, 0), (1, 24), (2, 45)):
        expected = 0.0
        for moves in product(range(4), repeat=3):
            field, probability = start, 1.0
            for move in moves:
                if not lava[layout, field] and field != goal[layout]:
                    probability *= policy[layout, field, move]
                    field = int(gridworld.NEIGHBOURS[field, move])
                else:
                    probability /= 4
            expected += probability * lava[layout, field]
        assert failure[layout, start] == pytest.approx(expected, abs=1e-5)


def test_scores_of_both_games_are_psi() -> None:
    pools = gridworld.Gridworld(1, n_steps=2)
    pool = pools.pool(200, 3)
    p = torch.gather(pool.layouts.failure(pools.planted).flatten(1), 1, pool.queries).detach().numpy()
    assert pool.scores(pools.planted).numpy() == pytest.approx(to_psi(p.astype(float)), abs=1e-3)


def no_table(n_seeds):
    return PartTable(f"{n_seeds} seeds", ("header",), [("row",)])


def test_half_widths_are_chosen_by_the_smallest_error(monkeypatch) -> None:
    """One seed, two levels: the smaller level has the larger half-width, and what is chosen has the smallest error."""
    monkeypatch.setattr(selection, "ALPHAS", (0.2, 0.02))
    choice = selection.Choice.of(0)
    assert choice.half_width[0] < choice.half_width[1]
    assert choice.error[choice.chosen] == choice.error.min()
    assert choice.largest[1] <= choice.largest[0]


def test_the_command_prints_what_it_writes(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(PasswordGame, "n_further", 2)
    monkeypatch.setattr(forecastability, "selection_table", no_table)
    monkeypatch.setattr(forecastability, "GAMES", (lambda n_seeds: PasswordGame(n_seeds, n_steps=20),))
    main(["companions", "--only", "forecastability", "--seeds", "2", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    table, _ = json.loads((tmp_path / "companions.json").read_text())["results"]["forecastability"]
    assert [row[0] for row in table["rows"]] == ["as planted", "task alone", "supervised", "forecast"]
    for row in table["rows"]:
        assert row[1] in printed
        errors = [record["error"] for record in table["records"] if record["model"] == row[0]]
        assert f"{np.median(errors):.2f}" == row[1]
