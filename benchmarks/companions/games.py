"""What the two games of forecastability have in common: a planted model, a pool of queries with scores, a task, a rare mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from alignconf._typing import FloatArray
from benchmarks.companions.networks import Networks, Tensor

__all__ = ["Game", "Pool"]


class Pool(Protocol):
    """Queries of every seed."""

    def scores(self, networks: Networks) -> Tensor:
        """Return ``psi = -log(-log p)`` of the failure at every query, (n_seeds, n_queries), without history."""
        ...

    def scores_at(self, networks: Networks, picked: Tensor) -> Tensor:
        """Return the scores at some queries of each seed, (n_seeds, n_picked), differentiable."""
        ...


class Game(Protocol):
    """A game in which a rare mode of the queries elicits the failure from the planted model.

    ``rate`` and ``n_further`` are rate and steps of further training; ``weight`` and ``supervised_weight`` are those of the
    loss of the forecast and of the log loss of the failure, in the unit of the loss of the task.
    """

    name: str
    planted: Networks
    rate: float
    n_further: int
    weight: float
    supervised_weight: float

    def pool(self, n_queries: int, stream: int) -> Pool:
        """Return independent queries."""
        ...

    def task_loss(self, networks: Networks, generators: Sequence[Any]) -> Tensor:
        """Return the loss of the task (n_seeds,) on fresh rows; the rare mode is not labelled in it."""
        ...

    def task_success(self, networks: Networks) -> FloatArray:
        """Return the success on the task (n_seeds,), in per cent."""
        ...

    def failure_at_mode(self, networks: Networks) -> FloatArray:
        """Return the mean probability (n_seeds,) of the failure at fresh queries of the rare mode."""
        ...
