r"""The same loop for users of tables: a scikit-learn network trained against its own rare violations, without torch.

The network is an ``MLPRegressor`` behind a scaler, the property "rises in one column", the law of rows read off the rows that
trained. The score is the margin of a query as a function of standard normal numbers, as the library's simulation has it; its
design points are found with slopes by finite differences. At a design point ``u`` the gradient of ``log p`` by the weights
holds ``u`` still, so that it is an ordinary gradient of the network at the two rows of the query: a step is backpropagation
over rows of the task and rows of queries, each with the slope of the loss by the answer there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, logsumexp
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from alignconf._typing import FloatArray
from alignconf.deployment.rare.violations import LatentMargin
from benchmarks.companions.design_points import FARTHEST, N_POINTS, approach, distinct

__all__ = ["RareQueries", "descend", "fitted", "sampled_queries"]

#: Fresh points in which design points are looked for, the widths of their halves, and the step of finite differences.
N_DRAWS, WIDTHS, DIFFERENCE = 4000, (1.0, 2.0), 0.02
BATCH, RATE = 128, 1e-3

#: Rows of queries with the slopes of a penalty by the answers there, at one step.
Slopes = Callable[[int], tuple[FloatArray, FloatArray]]


def fitted(X: FloatArray, y: FloatArray, seed: int) -> Pipeline:
    """Return a network fitted to rows, behind a scaler."""
    network = MLPRegressor(hidden_layer_sizes=(32, 32), max_iter=1000, tol=1e-3, random_state=seed)
    return make_pipeline(StandardScaler(), network).fit(X, y)


def descend(
    model: Pipeline, X: FloatArray, y: FloatArray, penalty: Slopes, n_steps: int, random: np.random.Generator
) -> None:
    """Take Adam steps down the squared error of the task and a penalty, changing the weights of the network in place."""
    scaler, network = model[0], model[-1]
    weights = [*network.coefs_, *network.intercepts_]
    first, second = ([np.zeros_like(weight) for weight in weights] for _ in range(2))
    for step in range(n_steps):
        picked = random.integers(0, len(X), BATCH)
        rows, slopes = penalty(step)
        rows = scaler.transform(np.concatenate([X[picked], rows]))
        answers = [rows]
        for weight, bias in zip(network.coefs_, network.intercepts_, strict=True):
            hidden = answers[-1] @ weight + bias
            answers.append(np.maximum(hidden, 0) if len(answers) < len(network.coefs_) else hidden)
        slope = np.concatenate([2 * (answers[-1][:BATCH, 0] - y[picked]) / BATCH, slopes])[:, None]
        by_weight, by_bias = [], []
        for layer in reversed(range(len(network.coefs_))):
            by_weight.append(answers[layer].T @ slope)
            by_bias.append(slope.sum(axis=0))
            slope = (slope @ network.coefs_[layer].T) * (answers[layer] > 0)
        rate = RATE * (1 + np.cos(np.pi * step / n_steps)) / 2
        gradients = [*reversed(by_weight), *reversed(by_bias)]
        for weight, gradient, mean, square in zip(weights, gradients, first, second, strict=True):
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient**2 - square)
            scale = np.sqrt(square / (1 - 0.999 ** (step + 1)))
            weight -= rate * mean / (1 - 0.9 ** (step + 1)) / (scale + 1e-8)


@dataclass
class RareQueries:
    """Design points of the event that a query is violated by more than a size, and the slopes of its log probability.

    Parameters
    ----------
    margin : LatentMargin
        Of the network that is trained.
    size : float
    target, weight : float
        Of ``weight * relu(log p - target)``; an infinite target makes an estimate of ``log p`` alone.
    random : Generator
    """

    margin: LatentMargin
    size: float
    target: float
    weight: float
    random: np.random.Generator

    def __post_init__(self) -> None:
        self.points = np.zeros((1, 0, self.margin.n_dimensions))

    def move(self, n_steps: int, *, look_again: bool = False) -> None:
        """Move the points nearer to the origin, fresh ones among them."""
        if look_again:
            for width in WIDTHS:
                drawn = width * self.random.standard_normal((N_DRAWS // len(WIDTHS), self.margin.n_dimensions))
                largest = np.argsort(self.margin(drawn))[-N_POINTS // len(WIDTHS) :]
                self.points = np.concatenate([self.points, drawn[None, largest]], axis=1)
        self.points = approach(self.points, self._values, self._gradient, np.full((1, 1), self.size), n_steps)

    def log_probability(self) -> tuple[float, FloatArray, FloatArray]:
        """Return ``log p``, the points that count, and the slope of ``log p`` by the margin at each."""
        radius = np.linalg.norm(self.points[0], axis=-1)
        points = self.points[0][(radius < FARTHEST - 0.1) & distinct(self.points)[0]]
        if not len(points):
            return float(log_ndtr(-FARTHEST)), points, np.zeros(0)
        radius = np.linalg.norm(points, axis=-1)
        steepness = np.maximum((self._gradient(points[None])[0] * points).sum(-1) / radius, 0.05 * self.size)
        beta = radius - (self.margin(points) - self.size) / steepness
        terms = log_ndtr(-beta)
        total = float(logsumexp(terms))
        density = -(beta**2) / 2 - np.log(2 * np.pi) / 2
        return total, points, np.exp(density - total) / steepness

    def slopes(self, step: int) -> tuple[FloatArray, FloatArray]:
        """Return the rows of the queries at the points and the slopes of the penalty by the answers there."""
        if step % 4 == 0:
            self.move(1 if step % 20 else 6, look_again=step % 20 == 0)
        log_p, points, slopes = self.log_probability()
        if log_p <= self.target or not len(points):
            return np.zeros((0, self.margin.law.n_features)), np.zeros(0)
        return pairs(self.margin, points, self.weight * slopes)

    def _values(self, points: FloatArray) -> FloatArray:
        return self.margin(points[0])[None]

    def _gradient(self, points: FloatArray) -> FloatArray:
        """Return slopes of the margin by central differences; of a margin that is not violated, 0."""
        n, n_dimensions = points.shape[1:]
        moves = DIFFERENCE * np.eye(n_dimensions)
        both = np.stack([points[0][:, None] + moves, points[0][:, None] - moves])
        # Below 0 margins are graded otherwise, and minus infinity where the places coincide.
        margins = np.maximum(self.margin(both.reshape(-1, n_dimensions)), 0.0).reshape(2, n, n_dimensions)
        return np.asarray(((margins[0] - margins[1]) / (2 * DIFFERENCE))[None])


def pairs(margin: LatentMargin, points: FloatArray, slopes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the two rows of the query at each point, and slopes by the answers from slopes by the margin."""
    rows = margin.rows(points)
    uniforms = np.minimum(_normal_cdf(points[:, margin.law.n_features :]), 1 - 2.0**-53)
    (part,) = margin.score.placed(uniforms, rows).parts
    # The rows at the lower and at the higher place of each query in turn; the margin is the fall from one to the other.
    (sites,) = part.sites(rows)
    return np.asarray(sites, dtype=np.float64), np.stack([slopes, -slopes], axis=1).ravel()


def sampled_queries(margin: LatentMargin, size: float, weight: float, n: int, random: np.random.Generator) -> Slopes:
    """Return the slopes of a penalty ``weight * mean relu(margin - size / 2)`` on fresh queries of the law."""

    def slopes(_: int) -> tuple[FloatArray, FloatArray]:
        points = random.standard_normal((n, margin.n_dimensions))
        points = points[margin(points) > size / 2]
        return pairs(margin, points, np.full(len(points), weight / n))

    return slopes


def _normal_cdf(points: FloatArray) -> FloatArray:
    return np.asarray(np.exp(log_ndtr(points)))
