r"""Estimate, train, estimate again: networks trained against the probability that they exceed a limit.

A network 10-32-32-1 learns a response that never exceeds 2 from 4,096 rows of standard normal numbers. Far from the rows it
overshoots: the *catastrophe* is :math:`f(x) > t`, of probability near 1e-5. Five further trainings of equal length start from
it: on the task alone; on the task and ``weight * relu(log p - target)`` with each estimate of ``p``
(:mod:`benchmarks.companions.tail_estimators`); and on the task and :math:`\mathrm{mean}\, relu(f(x) - t + m)` over 4,096
fresh rows a step, drawn from the law itself or twice as wide. The referee is the library's subset simulation, which shares
nothing with an estimate; what the estimates say afterwards is shown beside it.
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
from alignconf.deployment.rare import RareEvent, rare_event
from benchmarks.companions.monotone_network import monotone_table
from benchmarks.companions.networks import Networks, Tensor, draws, generators_of, minimise
from benchmarks.companions.parts import PartTable
from benchmarks.companions.shifts import shift_table
from benchmarks.companions.tail_estimators import DesignPoints, moment_log_probability

__all__ = ["ARMS", "Arm", "Size", "Study", "tables"]

N_FEATURES, N_ROWS, N_TEST, BATCH = 10, 4096, 20_000, 512
#: The response is at most this far from 0; the noise of its labels.
HIGHEST, NOISE = 2.0, 0.1
PROBABILITY = 1e-5
#: Decades by which an estimate is to fall, and the weight of what is missing in e-folds.
DECADES, WEIGHT = 3.5, 0.003
#: Rows a step of the penalty on samples, and the margin below the limit at which it begins.
N_SAMPLED, MARGIN = 4096, 0.25
#: Steps between two looks for new design points.
LOOK = 20


@dataclass(frozen=True)
class Size:
    """How long networks are trained, and what the referee may spend on each."""

    n_train: int = 2500
    n_further: int = 600
    budget: int = 800_000


@dataclass(frozen=True)
class Study:
    """Trained networks with their rows, limits and random numbers.

    Parameters
    ----------
    networks : Networks
        As trained on the task alone.
    rows, labels : (n_seeds, N_ROWS, N_FEATURES), (n_seeds, N_ROWS)
    test_rows, test_response : (n_seeds, N_TEST, N_FEATURES), (n_seeds, N_TEST)
    limit : (n_seeds, 1)
    """

    networks: Networks
    rows: Tensor
    labels: Tensor
    test_rows: Tensor
    test_response: Tensor
    limit: Tensor

    @classmethod
    def of(cls, n_seeds: int, size: Size) -> Study:
        """Draw tasks, train networks and set their limits."""
        generators = generators_of(n_seeds, 0)
        teacher = Networks.drawn((N_FEATURES, 16, 1), generators, "tanh")

        def response(rows: Tensor) -> Tensor:
            return HIGHEST * torch.tanh(teacher(rows)[..., 0] / HIGHEST)

        rows, test_rows = (draws((n, N_FEATURES), generators) for n in (N_ROWS, N_TEST))
        labels = response(rows) + NOISE * draws((N_ROWS,), generators)
        networks = Networks.drawn((N_FEATURES, 32, 32, 1), generators).trainable()
        study = cls(networks, rows, labels, test_rows, response(test_rows), torch.zeros(n_seeds, 1))
        minimise(networks.parameters, lambda _: study.task_loss(networks, generators).sum(), size.n_train, 5e-3)
        largest = torch.zeros(n_seeds, 0)
        with torch.no_grad():
            for _ in range(10):
                drawn = networks(draws((100_000, N_FEATURES), generators))[..., 0]
                largest = torch.cat([largest, drawn], dim=1).topk(int(2e6 * PROBABILITY), dim=1).values
        middle = int(1e6 * PROBABILITY)
        limit = largest[:, middle - 1 : middle + 1].mean(dim=1, keepdim=True)
        return cls(networks, rows, labels, test_rows, study.test_response, limit)

    def task_loss(self, networks: Networks, generators: Sequence[Any]) -> Tensor:
        """Return the mean squared error (n_seeds,) on a batch of rows."""
        picked = torch.stack([torch.randint(N_ROWS, (BATCH,), generator=generator) for generator in generators])
        rows = torch.gather(self.rows, 1, picked[..., None].expand(-1, -1, N_FEATURES))
        return (networks(rows)[..., 0] - torch.gather(self.labels, 1, picked)).square().mean(dim=1)

    def test_error(self, networks: Networks) -> FloatArray:
        """Return the mean squared error (n_seeds,) on fresh rows without noise."""
        with torch.no_grad():
            error = (networks(self.test_rows)[..., 0] - self.test_response).square().mean(dim=1)
        return np.asarray(error.double().numpy())

    def referee(self, networks: Networks, size: Size) -> list[RareEvent]:
        """Return the probability that each network exceeds its limit, by subset simulation."""
        return [
            rare_event(
                networks.numpy_function(seed),
                N_FEATURES,
                float(self.limit[seed, 0]),
                n_runs=4,
                budget=size.budget,
                random_state=seed,
            )
            for seed in range(len(self.limit))
        ]

    def design_points(self, networks: Networks, generators: Sequence[Any]) -> DesignPoints:
        """Return points that look for where networks exceed their limits."""
        return DesignPoints(lambda rows: networks(rows)[..., 0], self.limit, N_FEATURES, generators)

    def design_estimate(self, networks: Networks) -> Tensor:
        """Return the estimate by design points (n_seeds,), looked for afresh."""
        points = self.design_points(networks, generators_of(len(self.limit), 1))
        points.look_again()
        points.approach(15)
        return points.log_probability().detach()


#: What is added to the loss of the task: from the study, networks and generators to a function of the step.
Penalty = Callable[[Study, Networks, Sequence[Any]], Callable[[int], Tensor]]


@dataclass(frozen=True)
class Arm:
    """One way to train further."""

    name: str
    penalty: Penalty

    def trained(self, study: Study, size: Size, progress: Any = None) -> Networks:
        """Return the networks of a study, trained further."""
        networks, generators = study.networks.trainable(), generators_of(len(study.limit), 2)
        penalty = self.penalty(study, networks, generators)

        def loss(step: int) -> Tensor:
            return (study.task_loss(networks, generators) + penalty(step)).sum()

        minimise(networks.parameters, loss, size.n_further, 2e-3, progress)
        return networks


def _nothing(study: Study, networks: Networks, generators: Sequence[Any]) -> Callable[[int], Tensor]:  # noqa: ARG001
    return lambda _: torch.zeros(1)


def _by_design_points(study: Study, networks: Networks, generators: Sequence[Any]) -> Callable[[int], Tensor]:
    points = study.design_points(networks, generators)
    target = study.design_estimate(study.networks) - DECADES * np.log(10)

    def penalty(step: int) -> Tensor:
        if step % LOOK == 0:
            points.look_again()
        points.approach(8 if step % LOOK == 0 else 1)
        return WEIGHT * torch.relu(points.log_probability() - target)

    return penalty


def _by_moments(study: Study, networks: Networks, generators: Sequence[Any]) -> Callable[[int], Tensor]:  # noqa: ARG001
    target = moment_log_probability(study.networks, study.limit).detach() - DECADES * np.log(10)
    return lambda _: WEIGHT * torch.relu(moment_log_probability(networks, study.limit) - target)


def _sampled(width: float) -> Penalty:
    def penalty(study: Study, networks: Networks, generators: Sequence[Any]) -> Callable[[int], Tensor]:
        def at_step(_: int) -> Tensor:
            answers = networks(width * draws((N_SAMPLED, N_FEATURES), generators))[..., 0]
            return torch.relu(answers - study.limit + MARGIN).mean(dim=1)

        return at_step

    return penalty


ARMS = (
    Arm("task alone", _nothing),
    Arm("design points", _by_design_points),
    Arm("moments", _by_moments),
    Arm("sampled, law itself", _sampled(1.0)),
    Arm("sampled, twice as wide", _sampled(2.0)),
)


def tables(n_seeds: int, directory: Path | None, size: Size | None = None) -> Iterator[PartTable]:
    """Return the tables of further trainings, of harmful laws and of the networks of scikit-learn."""
    size = size or Size()
    study = Study.of(n_seeds, size)
    before = _decades(study.referee(study.networks, size))
    control = study.test_error(ARMS[0].trained(study, size))
    rows, records = [], []
    progress = tqdm(total=len(ARMS) * size.n_further, desc="further training", unit="step")
    for arm in ARMS:
        networks = arm.trained(study, size, progress)
        fall = before - _decades(study.referee(networks, size))
        ratio = study.test_error(networks) / control
        estimates = [
            estimate.detach().double().numpy() / np.log(10)
            for estimate in (study.design_estimate(networks), moment_log_probability(networks, study.limit))
        ]
        rows.append(_row(arm.name, fall, ratio, estimates, before))
        records += [
            {"arm": arm.name, "seed": seed, "before": before[seed], "fall": fall[seed], "error_ratio": ratio[seed]}
            for seed in range(n_seeds)
        ]
    progress.close()
    header = (
        "trained further on",
        "fall of log10 p, referee: median, least",
        "at least 2",
        "no answer",
        "test error / control: median, worst",
        "at most 1.1",
        "design points say, decades off",
        "moments say",
    )
    title = (
        f"probability of the catastrophe, {n_seeds} seeds, before: 10^{np.min(before):.1f} to 10^{np.max(before):.1f}"
    )
    yield PartTable(title, header, rows, records)
    yield shift_table(study.networks, study.limit, 10**before)
    for name in ("diabetes", "concrete") if directory is not None else ("diabetes",):
        yield monotone_table(name, directory, n_seeds)


def _row(
    name: str, fall: FloatArray, ratio: FloatArray, estimates: Sequence[FloatArray], before: FloatArray
) -> tuple[str, ...]:
    off = [np.nanmedian(estimate - (before - fall)) for estimate in estimates]
    known = fall[~np.isnan(fall)]
    return (
        name,
        f"{np.median(known):.1f}, {known.min():.1f}",
        f"{(known >= 2).sum()} of {fall.size}",
        f"{fall.size - known.size}",
        f"{np.median(ratio):.2f}, {ratio.max():.2f}",
        f"{(ratio <= 1.1).sum()} of {ratio.size}",
        *(f"{figure:+.1f}" for figure in off),
    )


def _decades(events: Sequence[RareEvent]) -> FloatArray:
    """Return log10 probabilities; NaN where the referee has no answer."""
    return np.array([np.nan if event.probability is None else np.log10(event.probability) for event in events])
