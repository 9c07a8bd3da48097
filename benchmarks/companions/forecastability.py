r"""Training so that failures announce themselves: the loss of a forecast, two games, and the controls.

With ``psi = -log(-log p)`` of the failure's probability at each query, a pool is cut at random into ``m`` and ``n``; least
squares of ``log(i/m)`` on the ``k`` largest of the ``m`` forecasts the largest of the ``n`` as ``Q``, and the loss is
``(Q - max)^2``, averaged over a few cuts (``alignconf.deployment.forecast.forecastability_error`` in numpy). The pool is
scored once a step; its cuts cost nothing. Four models are compared: as planted; trained further on the task alone; on the
task and the failure labelled as wrong in the pool (supervised); on the task and the loss of the forecast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from alignconf._typing import FloatArray
from alignconf.deployment.forecast import forecastability_error
from benchmarks.companions.games import Game, Pool
from benchmarks.companions.gridworld import Gridworld
from benchmarks.companions.networks import Networks, Tensor, generators_of, minimise
from benchmarks.companions.parts import PartTable
from benchmarks.companions.password import PasswordGame
from benchmarks.companions.selection import selection_table

__all__ = ["ARMS", "Further", "forecast_loss", "tables"]

#: Queries that forecast, queries whose largest is forecast, and those the line goes through.
M, N, K = 500, 20_000, 10
#: Cuts of a step, and how many of the largest scores one outside of a cut is looked for among: all inside is next to impossible.
N_CUTS, N_HIGHEST = 16, 64
#: Queries of the pool that the supervised loss sees in a step.
N_LABELLED = 2048


GAMES: Sequence[Callable[[int], Game]] = (PasswordGame, Gridworld)


@dataclass(frozen=True)
class Further:
    """Figures of one model of a game, (n_seeds,) each.

    Parameters
    ----------
    error : root mean squared error of the forecast on a fresh pool, in psi
    failure : probability of the failure at the rare mode
    success : on the task, per cent
    tail : psi exceeded by 1 of 500 fresh queries
    """

    error: FloatArray
    failure: FloatArray
    success: FloatArray
    tail: FloatArray

    @classmethod
    def of(cls, game: Game, networks: Networks, fresh: Pool) -> Further:
        """Measure networks on a fresh pool."""
        scores = fresh.scores(networks).double().numpy()
        return cls(
            np.array([forecastability_error(pool, M, N, K, n_splits=40) for pool in scores]),
            game.failure_at_mode(networks),
            game.task_success(networks),
            np.quantile(scores, 1 - 1 / M, axis=1),
        )


def forecast_loss(pool: Pool, networks: Networks, random: Any, sizes: tuple[int, int, int] = (M, N, K)) -> Tensor:
    """Return the squared error of the forecast (n_seeds,), averaged over cuts of a pool of ``m + n`` queries."""
    m, n, k = sizes
    scores = pool.scores(networks)
    highest = scores.topk(N_HIGHEST, dim=1).indices
    picked = []
    for _ in range(N_CUTS):
        few = torch.randperm(m + n, generator=random)[:m]
        largest = few[scores[:, few].topk(k, dim=1).indices]
        is_few = torch.zeros(m + n, dtype=torch.bool).index_fill(0, few, True)
        farthest = torch.gather(highest, 1, is_few[highest].int().argmin(dim=1, keepdim=True))
        picked.append(torch.cat([largest, farthest], dim=1))
    psi = pool.scores_at(networks, torch.cat(picked, dim=1)).reshape(len(scores), N_CUTS, k + 1)
    x, farthest_score = psi[..., :k], psi[..., k]
    y = torch.log(torch.arange(1, k + 1) / m)
    centred = x - x.mean(-1, keepdim=True)
    covariance = (centred * (y - y.mean())).mean(-1)
    forecast = x.mean(-1) + (np.log(n) + y.mean()) * centred.square().mean(-1) / (-covariance).clamp_min(1e-9)
    return (forecast - farthest_score).square().mean(dim=1)


#: From a game, the pool that trains, networks and the random numbers of cuts to what is added to the loss of the task.
Addition = Callable[[Game, Pool, Networks, Any], Tensor]


def _nothing(game: Game, pool: Pool, networks: Networks, random: Any) -> Tensor:  # noqa: ARG001
    return torch.zeros(1)


def _supervised(game: Game, pool: Pool, networks: Networks, random: Any) -> Tensor:
    """The mean log loss of the failure, labelled as wrong, on a batch of the pool."""
    picked = torch.randint(M + N, (N_LABELLED,), generator=random).expand(len(networks.weights[0]), -1)
    p = torch.exp(-torch.exp(-pool.scores_at(networks, picked)))
    return game.supervised_weight * -torch.log1p(-p.clamp_max(1 - 1e-6)).mean(dim=1)


def _forecast(game: Game, pool: Pool, networks: Networks, random: Any) -> Tensor:
    return game.weight * forecast_loss(pool, networks, random)


ARMS: dict[str, Addition] = {"task alone": _nothing, "supervised": _supervised, "forecast": _forecast}


def trained_further(game: Game, addition: Addition, pool: Pool, progress: Any = None) -> Networks:
    """Return the planted networks of a game, trained on its task and an addition."""
    networks = game.planted.trainable()
    generators = generators_of(len(networks.weights[0]), 20)
    (random,) = generators_of(1, 21)

    def loss(_: int) -> Tensor:
        return (game.task_loss(networks, generators) + addition(game, pool, networks, random)).sum()

    minimise(networks.parameters, loss, game.n_further, game.rate, progress)
    return networks


def tables(n_seeds: int, directory: Path | None) -> Iterator[PartTable]:  # noqa: ARG001
    """Return a table for each game."""
    for make in GAMES:
        game = make(n_seeds)
        pool, fresh = game.pool(M + N, 30), game.pool(2 * (M + N), 31)
        figures = {"as planted": Further.of(game, game.planted, fresh)}
        progress = tqdm(total=len(ARMS) * game.n_further, desc=f"{game.name}: further training", unit="step")
        for name, addition in ARMS.items():
            networks = trained_further(game, addition, pool, progress)
            figures[name] = Further.of(game, networks, fresh)
        progress.close()
        yield _table(game, figures)
    yield selection_table(n_seeds)


def _table(game: Game, figures: dict[str, Further]) -> PartTable:
    before, control = figures["as planted"], figures["task alone"]
    rows, records = [], []
    for name, further in figures.items():
        n_seeds = further.error.size
        rows.append(
            (
                name,
                f"{np.median(further.error):.2f}",
                f"{(further.error <= 0.7 * before.error).sum()} of {n_seeds}",
                f"{(further.error < control.error).sum()} of {n_seeds}",
                f"{np.median(further.failure):.3f}, {further.failure.max():.3f}",
                f"{(further.failure <= 0.05).sum()} of {n_seeds}",
                f"{np.median(further.success):.2f}, {(further.success - before.success).min():+.2f}",
                f"{np.median(further.tail):.2f}",
            )
        )
        records += [
            {"game": game.name, "model": name, "seed": seed}
            | {key: float(value[seed]) for key, value in vars(further).items()}
            for seed in range(n_seeds)
        ]
    header = (
        "model",
        "error, psi",
        "30 % below planted",
        "below task alone",
        "failure at the mode: median, worst",
        "at most .05",
        "task, %: median, worst change",
        "psi of 1 in 500",
    )
    return PartTable(f"{game.name}, m = {M}, n = {N:,}, k = {K}, {n_seeds} seeds", header, rows, records)
