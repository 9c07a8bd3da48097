"""Several small networks of one shape side by side, one for each seed: a batched product in the place of a loop over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import torch

__all__ = ["Networks", "Tensor", "draws", "generators_of", "input_gradient", "minimise"]

Tensor: TypeAlias = Any

ACTIVATIONS = {"relu": torch.relu, "gelu": torch.nn.functional.gelu, "tanh": torch.tanh}


@dataclass(frozen=True)
class Networks:
    """``n_seeds`` networks, each from ``widths[0]`` numbers to ``widths[-1]``, with one activation between affine layers.

    Parameters
    ----------
    weights : list of (n_seeds, n_in, n_out)
    biases : list of (n_seeds, 1, n_out)
    activation : {"relu", "gelu", "tanh"}
    """

    weights: list[Tensor]
    biases: list[Tensor]
    activation: str = "relu"

    @classmethod
    def drawn(cls, widths: Sequence[int], generators: Sequence[Any], activation: str = "relu") -> Networks:
        """Return networks with weights of variance ``2 / n_in`` and biases of 0."""
        layers = list(pairwise(widths))
        weights = [draws((n_in, n_out), generators) * (2 / n_in) ** 0.5 for n_in, n_out in layers]
        return cls(weights, [torch.zeros(len(generators), 1, n_out) for _, n_out in layers], activation)

    @property
    def parameters(self) -> list[Tensor]:
        """Weights and biases."""
        return [*self.weights, *self.biases]

    def trainable(self) -> Networks:
        """Return a copy whose parameters collect gradients."""
        weights, biases = (
            [tensor.detach().clone().requires_grad_() for tensor in tensors] for tensors in (self.weights, self.biases)
        )
        return Networks(weights, biases, self.activation)

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the answers to rows (n_seeds, n, n_in), of shape (n_seeds, n, n_out)."""
        act = ACTIVATIONS[self.activation]
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            rows = torch.baddbmm(bias, rows, weight)
            if layer < len(self.weights) - 1:
                rows = act(rows)
        return rows

    def numpy_function(self, seed: int) -> Callable[[Any], Any]:
        """Return the first output of one network as a function of (n, n_in) arrays of numpy."""
        weights = [weight[seed : seed + 1].detach() for weight in self.weights]
        network = Networks(weights, [bias[seed : seed + 1].detach() for bias in self.biases], self.activation)

        def answers(points: Any) -> Any:
            with torch.no_grad():
                return network(torch.as_tensor(points, dtype=torch.float32)[None])[0, :, 0].double().numpy()

        return answers


def draws(shape: tuple[int, ...], generators: Sequence[Any]) -> Tensor:
    """Return standard normal numbers of a shape for each seed, those of a seed from its own generator."""
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators])


def generators_of(n_seeds: int, stream: int) -> list[Any]:
    """Return a source of random numbers for each seed."""
    return [torch.Generator().manual_seed(1000 * stream + seed) for seed in range(n_seeds)]


def input_gradient(function: Callable[[Tensor], Tensor], points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the values (n_seeds, n) of a function at points and its gradients there, both without history."""
    points = points.detach().requires_grad_()
    values = function(points)
    (gradient,) = torch.autograd.grad(values.sum(), points)
    return values.detach(), gradient


def minimise(
    parameters: Sequence[Tensor], loss: Callable[[int], Tensor], n_steps: int, rate: float, progress: Any = None
) -> None:
    """Take Adam steps down a sum over seeds, the rate falling to 0 along half a cosine; seeds do not touch each other."""
    optimiser = torch.optim.Adam(parameters, lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
    for step in range(n_steps):
        optimiser.zero_grad()
        loss(step).backward()
        optimiser.step()
        schedule.step()
        if progress is not None:
            progress.update()
