r"""Laws near the declared one under which violations are most frequent.

Without a budget the most harmful law sits on the worst row there is. Within Kullback-Leibler divergence :math:`\rho` of the
declared law ``P`` no law makes an event ``C`` of probability ``p`` more probable than

.. math:: \sup\{Q(C) : KL(Q \| P) \le \rho\} = \max\{q : q \log(q/p) + (1-q) \log((1-q)/(1-p)) \le \rho\},

because of all laws with ``Q(C) = q`` the one that only reweighs ``C`` and its complement is nearest: the bound is exact and
depends on ``p`` alone (:func:`largest_probability`), ``p`` itself being a figure of simulation. Which features move is shown
by a smaller family: the standard normal numbers behind the columns are shifted by :math:`\theta`, with divergence
:math:`|\theta|^2 / 2`. At a stationary point of :math:`Q_\theta(C)` on a sphere, :math:`\theta` points along the mean of the
numbers given the event under :math:`Q_\theta` itself; the shift goes there in a few rounds, and the probability that is
reported comes from runs that did not choose it.

References
----------
Donsker and Varadhan (1975), doi:10.1002/cpa.3160280102; Csiszar (1975), doi:10.1214/aop/1176996454; Rubinstein and Kroese
(2004), The Cross-Entropy Method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING
from typing import ClassVar

import numpy as np
from scipy.optimize import brentq
from scipy.special import rel_entr

from alignconf._typing import FloatArray, RandomState
from alignconf.deployment.finding import Finding, Kind
from alignconf.deployment.rare.event import SIMULATE, RareEvent
from alignconf.errors import InputError, quoted
from alignconf.tables import printed
from alignconf.tables.checks import check_count, check_function, check_level, check_list, check_number
from alignconf.tables.random_streams import generator

__all__ = ["HarmfulLaws", "Tilt", "harmful_laws", "largest_probability"]

#: Rounds in which a shift is turned towards the event, before the round that is reported.
#: More numbers than this are not shifted at once.
MOST_MOVABLE = 10_000

ROUNDS = 2


@dataclass(frozen=True, eq=False)
class Tilt:
    """The declared law, its normal numbers shifted.

    Parameters
    ----------
    divergence : float
        Kullback-Leibler divergence from the declared law, ``|shift|**2 / 2``.
    shift : (n_movable,)
        Added to the normal numbers.
    probability : float or None
        Of the event under the tilted law; None where undetermined.
    interval : (float, float) or None
    at_most : float or None
        No law within the divergence gives the event more, were the estimated probability under the declared law exact.
    moved : dict
        From each feature to what the tilt does to it, in words, the most moved first; empty for a plain function.
    """

    divergence: float
    shift: FloatArray
    probability: float | None
    interval: tuple[float, float] | None
    at_most: float | None
    moved: dict[str, str]

    def __str__(self) -> str:
        """Return the tilt in words."""
        probability = "undetermined" if self.probability is None else f"{self.probability:.3g}"
        bound = (
            ""
            if self.at_most is None
            else f" (no law gives more than {printed.rounded(self.at_most, ROUND_CEILING, 3)})"
        )
        moves = "".join(f"; {name} {words}" for name, words in list(self.moved.items())[:3])
        return f"divergence {self.divergence:g}: {probability}{bound}{moves}"


@dataclass(frozen=True, eq=False)
class HarmfulLaws(Finding):
    """The probability of the event under laws at growing divergence from the declared law.

    Parameters
    ----------
    declared : RareEvent
        The event under the declared law.
    tilts : tuple of Tilt
        By divergence.
    n_rows : int
        Model rows in all.
    """

    kind: ClassVar[Kind] = "simulation"

    declared: RareEvent
    tilts: tuple[Tilt, ...]
    n_rows: int

    def __str__(self) -> str:
        """Return the frontier in sentences."""
        lines = [str(self.declared)]
        if self.tilts:
            lines.append(
                f"[simulation] The most harmful shifts that were found, {self.n_rows} model rows in all. A worse shift may "
                "have been missed; the bounds on all laws hold if the probability under the declared law is as estimated:"
            )
        return "\n".join([*lines, *(str(tilt) for tilt in self.tilts)])


def largest_probability(probability: float, divergence: float) -> float:
    """Return the largest probability that a law within a Kullback-Leibler divergence can give an event.

    Parameters
    ----------
    probability : float in (0, 1)
        Of the event under the law in the middle.
    divergence : float of at least 0
        In nats.

    Returns
    -------
    float in [probability, 1]
        Attained, by the law that reweighs the event and its complement.

    Examples
    --------
    >>> round(largest_probability(1e-6, 0.5), 4)
    0.0507
    """
    p, rho = check_level("probability", probability), check_number("divergence", divergence, at_least=0.0)
    if rho >= -np.log(p):
        return 1.0
    if rho == 0:
        return p

    def excess(q: float) -> float:
        return float(rel_entr(q, p) + rel_entr(1 - q, 1 - p)) - rho

    return float(brentq(excess, p, 1.0, xtol=1e-300, rtol=1e-13))


def harmful_laws(
    simulate: Callable[[FloatArray, np.random.Generator], RareEvent],
    n_movable: int,
    divergences: Sequence[float],
    *,
    describe: Callable[[FloatArray], dict[str, str]] = lambda shift: {},  # noqa: ARG005
    random_state: RandomState = None,
) -> HarmfulLaws:
    """Return the most harmful shifts of the first normal numbers behind an event.

    Parameters
    ----------
    simulate : callable
        From a shift, (n_movable,), and a Generator to the event under the shifted law; its ``particles`` are the numbers before
        the shift. For a function ``score``:
        ``lambda shift, random: rare_event(lambda u: score(u + shift), d, threshold, random_state=random)``.
    n_movable : int
        How many of the normal numbers, from the first, may be shifted.
    divergences : sequence of float, positive
    describe : callable, optional
        From a shift to what it does to each feature, in words.
    random_state : int, Generator, RandomState or None
    """
    radii = check_divergences(divergences)
    check_count("n_movable", n_movable, at_least=1, at_most=MOST_MOVABLE)
    check_function("simulate", simulate, "of a shift and a Generator that returns a RareEvent", 2)
    random = generator(random_state, SIMULATE + 2)
    declared = simulate(np.zeros(n_movable), random)
    if not isinstance(declared, RareEvent):
        raise InputError(
            f"simulate returned {quoted(declared)} of type {type(declared).__name__}; expected a RareEvent."
        )
    n_rows, tilts = declared.n_rows, []
    direction, p = None, declared.probability
    if p is not None:
        direction = _first_direction(declared.particles[:, :n_movable], float(np.sqrt(2 * radii[0])))
    for divergence in radii if direction is not None else ():
        radius = np.sqrt(2 * divergence)
        event = declared
        for round_ in range(ROUNDS + 1):
            event = simulate(radius * direction, random)
            n_rows += event.n_rows
            if event.probability is None:
                break
            if round_ < ROUNDS:
                towards = event.particles[:, :n_movable].mean(axis=0) + radius * direction
                direction = towards / np.linalg.norm(towards)
        bound = largest_probability(p, divergence) if p is not None and p < 1 else None
        shift = radius * direction
        tilts.append(Tilt(divergence, shift, event.probability, event.interval, bound, describe(shift)))
    return HarmfulLaws(declared, tuple(tilts), n_rows)


def check_divergences(divergences: Sequence[float]) -> list[float]:
    """Return divergences in growing order; refuse numbers that are not positive."""
    listed = check_list("divergences", divergences, "positive numbers, such as (0.1, 1, 4)")
    if not listed:
        raise InputError("divergences must be positive numbers, such as (0.1, 1, 4), got none.")
    return sorted(check_number("divergences", divergence, above=0.0) for divergence in listed)


def _first_direction(particles: FloatArray, radius: float) -> FloatArray:
    """Return the direction towards the event, or towards the half of it that a shift of this length gains most from."""
    _, _, axes = np.linalg.svd(particles, full_matrices=False)
    sides = particles @ axes[0] > 0
    parts = [part for part in (particles, particles[sides], particles[~sides]) if len(part)]
    gains = [np.log(len(part) / len(particles)) + radius * float(np.linalg.norm(part.mean(axis=0))) for part in parts]
    towards = parts[int(np.argmax(gains))].mean(axis=0)
    return np.asarray(towards / np.linalg.norm(towards))
