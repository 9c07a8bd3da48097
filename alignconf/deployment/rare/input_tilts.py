"""The most harmful laws of a model's inputs: shifts of the declared law, told feature by feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from alignconf._typing import FloatArray, Model, RandomState, Table
from alignconf.contract.property import Declaration
from alignconf.deployment.input_law import InputLaw
from alignconf.deployment.rare.event import SIMULATE, RareEvent, estimate, particles_paid
from alignconf.deployment.rare.harmful import HarmfulLaws, check_divergences, harmful_laws
from alignconf.deployment.rare.violations import LatentMargin, event_in_words
from alignconf.tables import table as tables
from alignconf.tables.checks import check_number
from alignconf.tables.random_streams import generator

__all__ = ["harmful_input_laws"]

#: Rows of the law, before and after, that tell what a tilt does to a feature.
SHOWN = 10_000


def harmful_input_laws(
    model: Model,
    properties: Declaration,
    law: InputLaw,
    divergences: Sequence[float] = (0.1, 0.5, 2.0),
    *,
    size: float = 0.0,
    X_reference: Table | None = None,
    n_runs: int = 4,
    n_steps: int = 10,
    budget: int = 400_000,
    random_state: RandomState = None,
    n_jobs: int | None = None,
) -> HarmfulLaws:
    """Return the laws of rows, within divergences of the declared one, under which violations are most frequent.

    The places of queries keep their law: only rows are moved.

    Parameters
    ----------
    model, properties, law, size, X_reference
        As for :func:`violation_probability`.
    divergences : sequence of float, positive, default=(0.1, 0.5, 2)
        In nats. A shift of one column by one standard deviation of its normal numbers costs 0.5.
    n_runs, n_steps : int
        Of each simulation.
    budget : int, default=400_000
        Model rows of each simulation, at most; there is one for the declared law and three for each divergence.
    random_state : int, Generator, RandomState or None
    n_jobs : int, optional

    Returns
    -------
    HarmfulLaws
        Without tilts where the probability under the declared law is undetermined.
    """
    check_number("size", size, at_least=0.0)
    check_divergences(divergences)
    margin = LatentMargin.of(model, properties, law, X_reference, random_state, n_jobs)
    particles_paid(n_runs, n_steps, budget, margin.score.n_sites)
    normal = generator(random_state, SIMULATE + 3).standard_normal((SHOWN, law.n_features))

    def simulate(shift: FloatArray, random: np.random.Generator) -> RareEvent:
        before = margin.score.model.n_rows
        event = estimate(
            replace(margin, shift=shift),
            margin.n_dimensions,
            float(size),
            words=(event_in_words(margin, size), str(law)),
            n_runs=n_runs,
            n_steps=n_steps,
            budget=budget,
            confidence=0.95,
            random_state=random,
            cost=margin.score.n_sites,
        )
        return replace(event, n_rows=margin.score.model.n_rows - before)

    return harmful_laws(
        simulate,
        law.n_features,
        divergences,
        describe=lambda shift: _moves(law, normal, shift),
        random_state=random_state,
    )


def _moves(law: InputLaw, normal: FloatArray, shift: FloatArray) -> dict[str, str]:
    """Return what a shift does to each feature, in words, by the shift of its normal score."""
    before, after = law.from_normal(normal), law.from_normal(normal + shift)
    moved = law.factor @ shift
    words = {}
    for position in np.argsort(-np.abs(moved)):
        old, new = tables.column(before, int(position)), tables.column(after, int(position))
        score = f"{moved[position]:+.2f} standard scores"
        words[str(law.features[position])] = f"{score}, {_change(old, new)}"
    return words


def _change(old: np.ndarray, new: np.ndarray) -> str:
    """Return how the law of a column changes: its mean, or the value whose share grows most."""
    if old.dtype.kind in "iuf" and np.unique(old).size > 2:
        return f"mean {np.nanmean(old):.4g} to {np.nanmean(new):.4g}"
    values = list(dict.fromkeys(value for value in new.tolist() if not tables.is_missing(value)))
    shares = [(float((new == value).mean()), float((old == value).mean()), value) for value in values]
    after, before, value = max(shares, key=lambda share: share[0] - share[1])
    return f"share of {value!r} {before:.2%} to {after:.2%}"
