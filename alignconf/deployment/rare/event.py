r"""The probability of a rare event from independent runs, with what is certain beside it.

``R`` independent runs of subset simulation (:mod:`alignconf.deployment.rare.splitting`) give :math:`\hat p_1, \dots, \hat
p_R`. The estimate is their mean; its interval is :math:`\log \hat p \pm t_{R-1}\, \mathrm{sd}(\log \hat p_r) / \sqrt R`,
with the spread taken to be at least what independent states would have. It is a figure of a simulation. The independent
draws with which the runs start give an exact Clopper-Pearson bound as well, which is all that remains where most runs do not
reach the event: then the answer is "undetermined", and never 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import Any, ClassVar

import numpy as np
from scipy.stats import t as student

from alignconf._typing import FloatArray, RandomState
from alignconf.certify.violation_rate import ViolationRate
from alignconf.deployment.finding import Finding, Kind
from alignconf.deployment.rare.splitting import Run, Score, subset_simulation
from alignconf.errors import InputError
from alignconf.tables import printed
from alignconf.tables.checks import check_count, check_function, check_level, check_number
from alignconf.tables.random_streams import generator

__all__ = ["RareEvent", "estimate", "rare_event"]

#: The stream of random numbers of simulations.
SIMULATE = 300
#: A budget is to last for this many levels of probability one tenth.
LEVELS_TO_PAY = 10
#: Below this share of particles whose score changed on the way to a level, the walk stuck.
STUCK = 0.2
#: Particles that are kept.
KEPT = 1000


@dataclass(frozen=True, eq=False)
class RareEvent(Finding):
    """The probability of a rare event under a declared law, or that it is undetermined.

    Parameters
    ----------
    event, law : str
        What is meant, in words.
    probability : float or None
        None where undetermined: not more than half of the runs reached the event.
    interval : (float, float) or None
        From the spread of independent runs; None for a single run, and where a run did not reach the event.
    confidence : float
    draws : ViolationRate
        The independent draws under the law with which the runs started, with exact binomial bounds.
    runs : tuple of Run
    n_rows : int
        Rows that were sent to the model; of a plain function, points at which it was asked.
    budget : int
        The most that ``n_rows`` could have been.
    largest : float
        The largest score met: the largest there is, is at least this.
    particles : (n_kept, n_dimensions)
        Standard normal points in the event, at most 1,000 of all runs.
    scores : (n_kept,)
        Their scores.
    """

    kind: ClassVar[Kind] = "simulation"

    event: str
    law: str
    probability: float | None
    interval: tuple[float, float] | None
    confidence: float
    draws: ViolationRate
    runs: tuple[Run, ...] = field(repr=False)
    n_rows: int
    budget: int
    largest: float
    particles: FloatArray = field(repr=False)
    scores: FloatArray = field(repr=False)

    @property
    def status(self) -> str:
        """``estimated``, perhaps although some runs did not reach the event, or ``undetermined`` with the reason."""
        failed = [run for run in self.runs if run.reason]
        if not failed:
            return "estimated"
        if self.probability is not None:
            return f"estimated, although {len(failed)} of {len(self.runs)} runs did not reach it: {failed[0].reason}"
        if not any(run.levels for run in failed):
            return f"undetermined: no gradient ({failed[0].reason})"
        return f"undetermined: {failed[0].reason}"

    @property
    def changed(self) -> float:
        """The smallest share, over all levels and runs, of particles whose score changed on the way to a level."""
        return min((level.changed for run in self.runs for level in run.levels), default=1.0)

    @property
    def is_stuck(self) -> bool:
        """Whether on the way to some level fewer than a fifth of the particles changed their score."""
        return self.changed < STUCK

    def __str__(self) -> str:
        """Return the finding in sentences."""
        words = [f"[simulation] {self.event}, under {self.law}:"]
        if self.probability is None:
            reached = sum(run.probability is not None for run in self.runs)
            words.append(f"{self.status}; {reached} of {len(self.runs)} runs reached it.")
        else:
            words.append(f"probability {self.probability:.3g}" + self._interval_in_words())
        n_levels = max(len(run.levels) for run in self.runs)
        words.append(f"{self.n_rows} model rows of a budget of {self.budget}, up to {n_levels} levels.")
        if self.is_stuck:
            words.append(
                f"Warning: on the way to some level only {self.changed:.0%} of the particles changed their score; the walk may "
                "have stuck, and the figure may be far off."
            )
        words.append(
            f"Exact: {self.draws.n_rejected} of {self.draws.n_queries} independent draws, so at most "
            f"{printed.rounded(self.draws.upper_bound, ROUND_CEILING, 3)} with confidence {printed.level(self.confidence)}. "
            "Both are "
            "about this law and nothing else."
        )
        return " ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """Return every figure under its name, without the particles."""
        nested = super().to_dict()
        for name in ("particles", "scores"):
            nested.pop(name)
            for run in nested["runs"]:
                run.pop(name)
        bound = {"rate": self.draws.rate, "upper_bound": self.draws.upper_bound}
        return {**nested, "draws": {**nested["draws"], **bound}, "status": self.status, "changed": self.changed}

    def _interval_in_words(self) -> str:
        if len(self.runs) == 1:
            return ", from a single run, whose spread is not known."
        if self.interval is None:
            return f" ({self.status}, which count as 0; so there is no interval)."
        low, high = self.interval
        means = f"{printed.level(self.confidence)} from the spread of {len(self.runs)} independent runs"
        ends = printed.rounded(low, ROUND_FLOOR, 3), printed.rounded(high, ROUND_CEILING, 3)
        return f", between {ends[0]} and {ends[1]} ({means})."


def rare_event(
    score: Score,
    n_dimensions: int,
    threshold: float,
    *,
    n_runs: int = 5,
    n_steps: int = 10,
    budget: int = 500_000,
    confidence: float = 0.95,
    random_state: RandomState = None,
) -> RareEvent:
    """Return the probability that a score of independent standard normal numbers exceeds a threshold.

    Parameters
    ----------
    score : callable
        Takes points (n, n_dimensions) and returns (n,) numbers, NaN nowhere. Larger must mean nearer to the event.
    n_dimensions : int
    threshold : float
        The event is ``score(u) > threshold``.
    n_runs : int, default=5
        Independent runs; one gives no interval, four or more a usable one.
    n_steps : int, default=10
        Metropolis steps from level to level, at least 2.
    budget : int, default=500_000
        Points at which ``score`` is asked in all runs together, at most. It decides on the number of particles: a run can
        pay for ten levels, with 1,000 particles at most.
    confidence : float in (0, 1), default=0.95
    random_state : int, Generator, RandomState or None

    Returns
    -------
    RareEvent

    Raises
    ------
    InputError
        If an argument is not what it should be, or the budget is too small for 50 particles in each run.

    Notes
    -----
    The interval rests on runs that found all there is to find: a part of the event that no run met is missing in
    the estimate and in its interval.

    Examples
    --------
    >>> found = rare_event(lambda u: u.sum(axis=1) / 2, 4, 4.5, budget=100_000, random_state=0)
    >>> 1e-6 < found.probability < 1e-5  # exactly 3.4e-6
    True
    """
    check_count("n_dimensions", n_dimensions, at_least=1)
    threshold = check_number("threshold", threshold)
    check_function("score", score, f"of points, (n, {n_dimensions})")
    return estimate(
        score,
        n_dimensions,
        float(threshold),
        words=(f"score above {threshold:g}", f"{n_dimensions} independent standard normal numbers"),
        n_runs=n_runs,
        n_steps=n_steps,
        budget=budget,
        confidence=confidence,
        random_state=random_state,
    )


def estimate(
    score: Score,
    n_dimensions: int,
    threshold: float,
    *,
    words: tuple[str, str],
    n_runs: int,
    n_steps: int,
    budget: int,
    confidence: float,
    random_state: RandomState,
    cost: int = 1,
) -> RareEvent:
    """Return the probability of a rare event, with its words (event, law) and the model rows that a point costs."""
    n_particles = particles_paid(n_runs, n_steps, budget, cost)
    check_level("confidence", confidence)
    streams = generator(random_state, SIMULATE).spawn(n_runs)
    runs = tuple(
        subset_simulation(
            _checked(score),
            n_dimensions,
            threshold,
            n_particles=n_particles,
            n_steps=n_steps,
            max_evaluations=budget // (n_runs * cost),
            random=random,
        )
        for random in streams
    )
    probabilities = [run.probability for run in runs if run.probability is not None]
    draws = ViolationRate(
        sum(run.n_initial_hits for run in runs), sum(run.n_initial for run in runs), float(confidence)
    )
    kept = [np.arange(min(run.scores.size, KEPT // n_runs)) for run in runs]
    # A minority that did not reach the event counts as 0, which keeps the mean unbiased; then no spread is stated.
    is_found = 2 * len(probabilities) > n_runs
    return RareEvent(
        event=words[0],
        law=words[1],
        probability=float(np.sum(probabilities)) / n_runs if is_found else None,
        interval=_interval(runs, draws) if len(probabilities) == n_runs > 1 else None,
        confidence=float(confidence),
        draws=draws,
        runs=runs,
        n_rows=sum(run.n_evaluations for run in runs) * cost,
        budget=int(budget),
        largest=max(run.largest for run in runs),
        particles=np.concatenate([run.particles[positions] for run, positions in zip(runs, kept, strict=True)]),
        scores=np.concatenate([run.scores[positions] for run, positions in zip(runs, kept, strict=True)]),
    )


def particles_paid(n_runs: int, n_steps: int, budget: int, cost: int) -> int:
    """Return the number of particles that a budget pays for in each run; refuse one that is too small."""
    check_count("n_runs", n_runs, at_least=1)
    check_count("n_steps", n_steps, at_least=2)
    check_count("budget", budget, at_least=1)
    affordable = budget // (n_runs * cost * n_steps * LEVELS_TO_PAY)
    if affordable < 50:
        needed = 50 * n_runs * cost * n_steps * LEVELS_TO_PAY
        raise InputError(
            f"budget={budget} pays for {affordable} particles in each of {n_runs} runs, and 50 are needed; give at least "
            f"{needed}, or fewer runs or steps."
        )
    return int(min(1000, affordable))


def _checked(score: Score) -> Score:
    """Return the score with its answers checked."""

    def checked(points: FloatArray) -> FloatArray:
        answers = np.asarray(score(points), dtype=np.float64)
        if answers.shape != (len(points),) or np.isnan(answers).any():
            raise InputError(
                f"score returned shape {answers.shape} for {len(points)} points, or NaN; expected one number for each."
            )
        return answers

    return checked


def _interval(runs: tuple[Run, ...], draws: ViolationRate) -> tuple[float, float]:
    """Return the interval from the spread of the runs' logarithms; binomial where no run needed a level in between."""
    first = [run.levels[0] for run in runs]
    if all(len(run.levels) == 1 for run in runs):
        hits = round(sum(level.share * level.n_states for level in first))
        return ViolationRate(hits, sum(level.n_states for level in first), draws.confidence).interval
    probabilities = np.array([run.probability for run in runs], dtype=np.float64)
    least = np.mean([sum((1 - level.share) / (level.share * level.n_states) for level in run.levels) for run in runs])
    spread = np.sqrt(max(float(np.log(probabilities).var(ddof=1)), float(least)))
    tail = (1 + draws.confidence) / 2
    half = float(student.ppf(tail, probabilities.size - 1) * spread / np.sqrt(probabilities.size))
    centre = float(np.log(probabilities.mean()))
    return float(np.exp(centre - half)), min(1.0, float(np.exp(centre + half)))
