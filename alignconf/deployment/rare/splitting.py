r"""Subset simulation: a tiny probability as a product of larger ones, each found by a walk that stays beyond the last level.

For ``u`` standard normal in ``d`` dimensions and a score ``s``, nested levels :math:`l_1 < l_2 < \dots < t` give

.. math:: P(s > t) = P(s > l_1)\, P(s > l_2 \mid s > l_1) \cdots P(s > t \mid s > l_j),

each factor about ``SHARE``. Particles beyond a level are moved by Metropolis steps that leave the normal law, restricted to
``s > l``, as it is: in turn a preconditioned Crank-Nicolson move :math:`u' = \sqrt{1 - b^2}\,u + b z` of a random half of the
coordinates, and a fresh draw of one coordinate. Three things keep it alive where textbook versions die:

* *Ties.* A level is a value that occurs, and what counts is what lies strictly above it. Where many particles share a value
  the level that leaves nearest to ``SHARE`` is taken, and where next to nothing lies above, the same level is sampled further.
* *Irrelevant coordinates.* The size ``b`` is steered by the acceptance of proposals that *change the score*: others are always
  accepted, and would drive ``b`` to 1 until nothing that matters moves.
* *Dependence.* Factors are read off the states of the last half of the steps, not of the last step alone.

Adaptive levels bias the product by O(1 / n_particles). A run is one draw; only independent runs tell its spread.

References
----------
Au and Beck (2001), doi:10.1016/S0266-8920(01)00019-4; Cotter, Roberts, Stuart and White (2013), arXiv:1202.0709; Brehier,
Gazeau, Goudenege, Lelievre and Rousset (2016), arXiv:1505.02674 (ties).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from alignconf._typing import BoolArray, FloatArray

__all__ = ["Run", "Score", "SplittingLevel", "subset_simulation"]

Score: TypeAlias = Callable[[FloatArray], FloatArray]

#: Share of the particles that the next level is to leave.
SHARE = 0.1
#: A level is sampled further while fewer states than this lie above it, at most so many times.
FEWEST, EXTENSIONS = 20, 20
#: Acceptance, among proposals that change the score, that the size of moves is steered to; and the size to start with.
ACCEPTANCE, FIRST_STEP = 0.3, 0.6
#: A run gives up where the probability of the last level is smaller.
SMALLEST = 1e-15


@dataclass(frozen=True)
class SplittingLevel:
    """One level, with figures of the walk to it.

    Parameters
    ----------
    score : float
        States count that lie strictly above.
    share : float
        Of the states beyond the level before.
    n_states : int
        States that the share was read off.
    n_distinct : int
        Distinct scores among those that lie above.
    changed : float
        Share of the particles whose score changed on the way from the level before; 1 for the first level.
    acceptance : float
        Share of proposals accepted on the way; 1 for the first level.
    """

    score: float
    share: float
    n_states: int
    n_distinct: int
    changed: float
    acceptance: float


@dataclass(frozen=True, eq=False)
class Run:
    """The outcome of one run of subset simulation.

    Parameters
    ----------
    probability : float or None
        None where the run did not reach the event.
    reason : str
        Why it did not; empty if it did.
    levels : tuple of SplittingLevel
    n_evaluations : int
        Points at which the score was asked.
    n_initial, n_initial_hits : int
        Independent draws at the start, their number fixed beforehand, and how many of them were in the event.
    particles : (n_hits, n_dimensions)
        States in the event, with the law of ``u`` given the event (dependent among each other); empty if it was not reached.
    scores : (n_hits,)
    largest : float
        The largest score met.
    """

    probability: float | None
    reason: str
    levels: tuple[SplittingLevel, ...]
    n_evaluations: int
    n_initial: int
    n_initial_hits: int
    particles: FloatArray
    scores: FloatArray
    largest: float


@dataclass
class _Cloud:
    """The particles at the end of a walk and the states they are counted by; mutable, private to one run."""

    particles: FloatArray
    scores: FloatArray
    states: FloatArray
    state_scores: FloatArray
    changed: float = 1.0
    acceptance: float = 1.0


def subset_simulation(
    score: Score,
    n_dimensions: int,
    threshold: float,
    *,
    n_particles: int,
    n_steps: int,
    max_evaluations: int,
    random: np.random.Generator,
) -> Run:
    """Return one run that estimates the probability that the score of a standard normal point exceeds a threshold.

    Parameters
    ----------
    score : function of (n, n_dimensions) points with (n,) values
    n_dimensions : int
    threshold : float
    n_particles, n_steps : int
        Points that walk, and Metropolis steps from level to level.
    max_evaluations : int
        At most this many points are evaluated.
    random : Generator
    """
    walk = _Walk(score, n_particles, n_steps, max_evaluations, random)
    start = random.standard_normal((n_particles, n_dimensions))
    scores = walk.ask(start)
    cloud = _Cloud(start, scores, start, scores)
    levels: list[SplittingLevel] = []
    reached, floor, reason = 1.0, -np.inf, ""
    while True:
        level = _next_level(cloud.state_scores, threshold)
        if not levels and level >= threshold and walk.can_go_on:
            # A frequent event is counted in more draws: the budget was given.
            cloud = walk.extended(cloud, floor, is_first=True)
        for _ in range(EXTENSIONS):
            if np.count_nonzero(cloud.state_scores > level) >= FEWEST or not walk.can_go_on:
                break
            cloud = walk.extended(cloud, floor, is_first=not levels)
            level = _next_level(cloud.state_scores, threshold)
        above = cloud.state_scores > level
        if not above.any():
            reason = "no state above the last level was found: nothing leads from one score to a larger one"
            break
        levels.append(_level(level, above, cloud))
        reached *= levels[-1].share
        if level >= threshold:
            break
        if reached < SMALLEST:
            reason = f"the levels fell below probability {SMALLEST:g}"
            break
        if not walk.can_go_on:
            reason = "the budget ran out"
            break
        cloud, floor = walk.onwards(cloud, above, level), level
    hit = cloud.state_scores > threshold if not reason else np.zeros(cloud.state_scores.size, dtype=bool)
    return Run(
        probability=None if reason else reached,
        reason=reason,
        levels=tuple(levels),
        n_evaluations=walk.n_evaluations,
        n_initial=n_particles,
        n_initial_hits=int((scores > threshold).sum()),
        particles=cloud.states[hit],
        scores=cloud.state_scores[hit],
        largest=walk.largest,
    )


class _Walk:
    """The moves of one run, with the size of its steps and the count of its evaluations."""

    def __init__(
        self, score: Score, n_particles: int, n_steps: int, max_evaluations: int, random: np.random.Generator
    ) -> None:
        self.score = score
        self.n_particles = n_particles
        self.n_steps = n_steps
        self.max_evaluations = max_evaluations
        self.random = random
        self.n_evaluations = 0
        self.step = FIRST_STEP
        self.largest = -np.inf

    @property
    def can_go_on(self) -> bool:
        """Whether the budget allows for the steps to one more level."""
        return self.n_evaluations + self.n_steps * self.n_particles <= self.max_evaluations

    def ask(self, points: FloatArray) -> FloatArray:
        """Return the scores of points and count them."""
        self.n_evaluations += len(points)
        answers = self.score(points)
        self.largest = max(self.largest, float(answers.max()))
        return answers

    def onwards(self, cloud: _Cloud, above: BoolArray, level: float) -> _Cloud:
        """Return the cloud beyond a level, from the states that lie above it."""
        seeds = np.resize(self.random.permutation(np.flatnonzero(above)), self.n_particles)
        return self._walked(cloud.states[seeds], cloud.state_scores[seeds], level)

    def extended(self, cloud: _Cloud, floor: float, *, is_first: bool) -> _Cloud:
        """Return the same cloud with more states beyond the same level; fresh draws at the start."""
        if is_first:
            more = self.random.standard_normal((self.n_steps * self.n_particles, cloud.particles.shape[1]))
            further = _Cloud(cloud.particles, cloud.scores, more, self.ask(more))
        else:
            further = self._walked(cloud.particles, cloud.scores, floor)
        further.states = np.concatenate([cloud.states, further.states])
        further.state_scores = np.concatenate([cloud.state_scores, further.state_scores])
        further.changed = max(further.changed, cloud.changed)
        return further

    def _walked(self, particles: FloatArray, scores: FloatArray, level: float) -> _Cloud:
        """Return the cloud after all steps from particles beyond a level."""
        start, states, state_scores, accepted = scores, [], [], 0.0
        for turn in range(self.n_steps):
            is_block = turn % 2 == 0
            proposed = self._block_move(particles) if is_block else self._redraw(particles)
            answers = self.ask(proposed)
            accept = answers > level
            if is_block:
                self._steer(accept[answers != scores])
            accepted += accept.mean() / self.n_steps
            particles = np.where(accept[:, None], proposed, particles)
            scores = np.where(accept, answers, scores)
            if turn >= self.n_steps // 2:
                states.append(particles)
                state_scores.append(scores)
        changed = float((scores != start).mean())
        return _Cloud(particles, scores, np.concatenate(states), np.concatenate(state_scores), changed, accepted)

    def _block_move(self, particles: FloatArray) -> FloatArray:
        """Return a preconditioned Crank-Nicolson move of about half of the coordinates of each particle."""
        moving = self.random.random(particles.shape) < 0.5
        noise = self.random.standard_normal(particles.shape)
        return np.where(moving, np.sqrt(1 - self.step**2) * particles + self.step * noise, particles)

    def _redraw(self, particles: FloatArray) -> FloatArray:
        """Return the particles with one coordinate of each drawn afresh."""
        proposed = particles.copy()
        coordinates = self.random.integers(0, particles.shape[1], len(particles))
        proposed[np.arange(len(particles)), coordinates] = self.random.standard_normal(len(particles))
        return proposed

    def _steer(self, accepted: BoolArray) -> None:
        """Adapt the size of block moves to the acceptance of proposals that change the score."""
        if accepted.size:
            self.step = float(np.clip(self.step * np.exp(0.6 * (accepted.mean() - ACCEPTANCE)), 0.02, 1.0))


def _next_level(scores: FloatArray, threshold: float) -> float:
    """Return the score that leaves nearest to ``SHARE`` of the states above it, or the threshold if it is lower."""
    ordered = np.sort(scores)
    high = float(ordered[int(np.ceil((1 - SHARE) * scores.size)) - 1])
    if high >= threshold:
        return threshold
    below = int(np.searchsorted(ordered, high, side="left"))
    if below == 0:
        return high
    low = float(ordered[below - 1])
    share_above_high = 1 - np.searchsorted(ordered, high, side="right") / scores.size
    share_above_low = 1 - below / scores.size
    is_low_nearer = share_above_high == 0 or share_above_low / SHARE < SHARE / share_above_high
    return low if is_low_nearer else high


def _level(score: float, above: BoolArray, cloud: _Cloud) -> SplittingLevel:
    distinct = np.unique(cloud.state_scores[above]).size
    return SplittingLevel(score, float(above.mean()), above.size, int(distinct), cloud.changed, float(cloud.acceptance))
