r"""Two estimates of a tiny probability that can be differentiated by the weights of a network.

For ``x`` standard normal and the event :math:`f(x) > t`:

*Design points.* Nearest points of the surface :math:`f = t` are found by the iteration of Hasofer, Lind, Rackwitz and Fiessler,

.. math:: x \leftarrow \frac{\nabla f(x) \cdot x - (f(x) - t)}{\|\nabla f(x)\|^2}\, \nabla f(x), \qquad
    \beta = \|x^*\| - \frac{f(x^*) - t}{\|\nabla f(x^*)\|}, \qquad \log p \approx \log \sum_i \Phi(-\beta_i),

the sum over distinct points. By the envelope theorem the gradient of :math:`\beta` by the weights holds :math:`x^*` still.

*Moments.* Mean and covariance are carried through the layers as if what enters an activation were normal: with
:math:`c_k = E[g(\mu + \sigma Z) He_k(Z)] / \sqrt{k!}`, the mean is :math:`c_0` and :math:`\mathrm{cov}_{ij} = \sum_k c_{ki}
c_{kj} \rho_{ij}^k`; then :math:`p = \Phi((\mu - t) / \sigma)`. Meant for wide layers.

Neither is a referee. References: Hasofer and Lind (1974); Rackwitz and Fiessler (1978), doi:10.1016/0045-7949(78)90046-9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import factorial, pi, sqrt
from typing import Any

import numpy as np
import torch

from alignconf._typing import FloatArray
from benchmarks.companions.design_points import FARTHEST, N_POINTS, approach, distinct
from benchmarks.companions.networks import ACTIVATIONS, Networks, Tensor, draws, input_gradient

__all__ = ["DesignPoints", "moment_log_probability"]

#: Draws in which starts are looked for, and how much wider than the law each half of them is.
N_DRAWS, WIDTHS = 20_000, (1.0, 2.0)
#: The least slope along a ray that is divided by.
LEAST_STEEP = 0.05
#: Terms of the series for covariances, and nodes of the quadrature.
N_TERMS, N_NODES = 6, 40


class DesignPoints:
    """Points near the surface ``f = threshold``, which are moved along as ``f`` changes.

    Parameters
    ----------
    function : callable
        From (n_seeds, n, n_dimensions) to (n_seeds, n).
    threshold : (n_seeds, 1)
    n_dimensions : int
    generators : sequence of torch.Generator
    """

    def __init__(
        self, function: Callable[[Tensor], Tensor], threshold: Tensor, n_dimensions: int, generators: Sequence[Any]
    ) -> None:
        self.function = function
        self.threshold = threshold
        self.n_dimensions = n_dimensions
        self.generators = generators
        self.points = torch.zeros(len(generators), 0, n_dimensions)

    def look_again(self) -> None:
        """Add the largest of fresh draws, of each width, to the points."""
        for width in WIDTHS:
            drawn = width * draws((N_DRAWS // len(WIDTHS), self.n_dimensions), self.generators)
            with torch.no_grad():
                largest = self.function(drawn).topk(N_POINTS // len(WIDTHS), dim=1).indices
            starts = torch.gather(drawn, 1, largest[:, :, None].expand(-1, -1, self.n_dimensions))
            self.points = torch.cat([self.points, starts], dim=1)

    def approach(self, n_steps: int) -> None:
        """Move the points on the surface nearer to the origin and keep distinct ones."""

        def values(points: FloatArray) -> FloatArray:
            with torch.no_grad():
                return np.asarray(self.function(_as_tensor(points)).numpy())

        def gradient(points: FloatArray) -> FloatArray:
            return np.asarray(input_gradient(self.function, _as_tensor(points))[1].numpy())

        points = self.points.double().numpy()
        self.points = _as_tensor(approach(points, values, gradient, self.threshold.numpy(), n_steps))

    def log_probability(self) -> Tensor:
        """Return the estimate, (n_seeds,), differentiable by what ``function`` depends on."""
        _, gradient = input_gradient(self.function, self.points)
        radius = self.points.norm(dim=-1)
        steepness = (gradient * self.points).sum(-1) / radius
        beta = radius - (self.function(self.points) - self.threshold) / steepness.clamp_min(LEAST_STEEP)
        counts = (radius < FARTHEST - 0.1) & torch.as_tensor(distinct(self.points.numpy()))
        terms = torch.where(counts, torch.special.log_ndtr(-beta), -torch.inf)
        least = torch.full_like(terms[:, :1], float(torch.special.log_ndtr(torch.tensor(-FARTHEST))))
        return torch.logsumexp(torch.cat([terms, least], dim=1), dim=1)


def _as_tensor(points: FloatArray) -> Tensor:
    return torch.as_tensor(points, dtype=torch.float32)


def moment_log_probability(networks: Networks, threshold: Tensor) -> Tensor:
    """Return the log probability (n_seeds,) that the first output of standard normal rows exceeds a threshold (n_seeds, 1)."""
    n_in = networks.weights[0].shape[1]
    mean = torch.zeros(len(threshold), 1, n_in)
    covariance = torch.eye(n_in).expand(len(threshold), -1, -1)
    for layer, (weight, bias) in enumerate(zip(networks.weights, networks.biases, strict=True)):
        mean = mean @ weight + bias
        covariance = weight.transpose(1, 2) @ covariance @ weight
        if layer < len(networks.weights) - 1:
            mean, covariance = _through(networks.activation, mean, covariance)
    deviation = covariance[:, 0, 0].clamp_min(1e-12).sqrt()
    return torch.special.log_ndtr((mean[:, 0, 0] - threshold[:, 0]) / deviation)


def _through(activation: str, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (n_seeds, 1, n) and covariance (n_seeds, n, n) behind an activation."""
    deviation = covariance.diagonal(dim1=1, dim2=2).clamp_min(1e-12).sqrt()
    nodes, masses = np.polynomial.hermite_e.hermegauss(N_NODES)
    z, mass = torch.tensor(nodes, dtype=mean.dtype), torch.tensor(masses / sqrt(2 * pi), dtype=mean.dtype)
    values = ACTIVATIONS[activation](mean[:, 0, :, None] + deviation[..., None] * z)
    correlation = covariance / (deviation[:, :, None] * deviation[:, None, :])
    hermite = [torch.ones_like(z), z]
    for k in range(2, N_TERMS + 1):
        hermite.append(z * hermite[-1] - (k - 1) * hermite[-2])
    first = (values * mass).sum(-1)
    after = torch.zeros_like(covariance)
    for k in range(1, N_TERMS + 1):
        coefficient = (values * hermite[k] * mass).sum(-1) / sqrt(factorial(k))
        after = after + coefficient[:, :, None] * coefficient[:, None, :] * correlation**k
    variance = (values.square() * mass).sum(-1) - first.square()
    exact = torch.diag_embed(variance.clamp_min(0) - after.diagonal(dim1=1, dim2=2))
    return first[:, None, :], after + exact
