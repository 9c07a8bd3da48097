"""Tiny violation probabilities of a model under a declared input law.

A point of the simulation is a row of the law (:class:`~alignconf.deployment.input_law.InputLaw`, one standard normal number
for each column) with a query at it (one normal number for each uniform that chooses its places). Its score is the margin of
the query (:class:`~alignconf.deployment.violation_score.ViolationScore`), which is below 0 where the property holds: that is
the slope along which a simulation finds violations that no sample would meet. Margins shrink with the gap between the places
asked, and the walk would end at places that coincide. So below 0 a margin counts *per gap*; above 0 it counts as it is, so
that the event is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from alignconf._typing import FloatArray, Model, RandomState, Table
from alignconf.contract.property import Declaration
from alignconf.deployment.input_law import InputLaw
from alignconf.deployment.rare.event import SIMULATE, RareEvent, estimate, particles_paid
from alignconf.deployment.violation_score import ViolationScore
from alignconf.errors import InputError
from alignconf.queries.queries import Queries
from alignconf.tables import table as tables
from alignconf.tables.checks import check_number, check_rows
from alignconf.tables.fitted_columns import FittedColumns
from alignconf.tables.random_streams import generator

__all__ = ["LatentMargin", "violation_probability"]

#: Rows drawn from the law that give the reference law of places, where no others are given.
REFERENCE_ROWS = 2000


@dataclass(frozen=True)
class LatentMargin:
    """The margin of one query as a function of standard normal numbers.

    Parameters
    ----------
    score : ViolationScore
    law : InputLaw
    shift : (n_features,)
        Added to the numbers that make the row: the law tilted.
    """

    score: ViolationScore
    law: InputLaw
    shift: FloatArray

    @classmethod
    def of(
        cls,
        model: Model,
        properties: Declaration,
        law: InputLaw,
        X_reference: Table | None,
        random_state: RandomState,
        n_jobs: int | None,
    ) -> LatentMargin:
        """Return the margin of a model's answers, with places from reference rows, or from rows of the law."""
        if not isinstance(law, InputLaw):
            raise InputError(
                f"law must be an InputLaw, got {type(law).__name__}; read one off rows with InputLaw.from_rows(X) or declare it "
                "with InputLaw.declared(...)."
            )
        if X_reference is None:
            reference = law.sample(REFERENCE_ROWS, random_state=generator(random_state, SIMULATE + 1))
        else:
            reference = FittedColumns.of_table(law.template, origin="in the law").arranged(
                check_rows(X_reference, name="X_reference"), name="X_reference"
            )
        score = ViolationScore.of(model, properties, reference, n_jobs=n_jobs)
        score.model.fitted_model.check_is_function(score.model.fitted_model.arranged(reference))
        return cls(score, law, np.zeros(law.n_features))

    @property
    def n_dimensions(self) -> int:
        """Normal numbers that make a row and a query at it."""
        return self.law.n_features + self.score.n_uniforms

    def rows(self, points: FloatArray) -> Table:
        """Return the rows that points stand for."""
        return self.score.model.fitted_model.arranged(
            self.law.from_normal(points[:, : self.law.n_features] + self.shift)
        )

    def __call__(self, points: FloatArray) -> FloatArray:
        """Return the scores, (n,); minus infinity where a row lacks all constrained features and cannot be asked."""
        table = self.rows(points)
        uniforms = np.minimum(norm.cdf(points[:, self.law.n_features :]), 1 - 2.0**-53)
        margins = np.full(len(points), -np.inf)
        askable = self.score.askable(table)
        if askable.size:
            rows = tables.take(table, askable)
            for part in self.score.placed(uniforms[askable], rows).parts:
                margin = self.score.margins(rows, Queries((part,), askable.size, 1))[:, 0]
                gaps = None if part.smallest_gap is None else part.smallest_gap[:, 0]
                margins[askable] = np.maximum(margins[askable], _graded(margin, gaps))
        return margins


def violation_probability(
    model: Model,
    properties: Declaration,
    law: InputLaw,
    *,
    size: float = 0.0,
    X_reference: Table | None = None,
    n_runs: int = 5,
    n_steps: int = 10,
    budget: int = 1_000_000,
    confidence: float = 0.95,
    random_state: RandomState = None,
    n_jobs: int | None = None,
) -> RareEvent:
    """Return the probability that a query is violated by more than a size, under a declared law of rows.

    Parameters
    ----------
    model : object with ``predict``
        Any fitted model, aligned or not.
    properties : Property, list, or mapping
        As for :class:`~alignconf.AlignedRegressor`.
    law : InputLaw
        What the figure is about.
    size : float, default=0
        Violations count that are larger, in the unit of the prediction.
    X_reference : table with the same columns, optional
        Rows that give the reference law of the places of queries; by default 2,000 rows of ``law``.
    n_runs, n_steps, confidence
        As for :func:`rare_event`.
    budget : int, default=1_000_000
        Rows that are sent to the model, at most.
    random_state : int, Generator, RandomState or None
    n_jobs : int, optional

    Returns
    -------
    RareEvent

    Raises
    ------
    InputError
        If an argument is not what it should be, or the budget is too small.

    Notes
    -----
    Rows that lack all constrained features count as not violated. A property that only says yes or no has no slope: its
    violations are found by independent draws or not at all, and then the answer is "undetermined: no gradient".
    """
    check_number("size", size, at_least=0.0)
    margin = LatentMargin.of(model, properties, law, X_reference, random_state, n_jobs)
    particles_paid(n_runs, n_steps, budget, margin.score.n_sites)
    before = margin.score.model.n_rows
    event = estimate(
        margin,
        margin.n_dimensions,
        float(size),
        words=(event_in_words(margin, size), str(law)),
        n_runs=n_runs,
        n_steps=n_steps,
        budget=budget,
        confidence=confidence,
        random_state=random_state,
        cost=margin.score.n_sites,
    )
    return replace(event, n_rows=margin.score.model.n_rows - before)


def _graded(margins: FloatArray, gaps: FloatArray | None) -> FloatArray:
    """Return margins above 0 as they are, others per gap; minus infinity where the places coincide and nothing is asked.

    Quotients are read in single precision: scores that differ by rounding only would count as changed, and steer the steps.
    """
    if gaps is None:
        return margins
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        slopes = (margins / gaps).astype(np.float32)
        return np.where(margins > 0, margins, np.where(gaps > 0, slopes, -np.inf))


def event_in_words(margin: LatentMargin, size: float) -> str:
    """Return the event in words."""
    beyond = f" by more than {size:g}" if size > 0 else ""
    return f'a fresh query of "{margin.score.declared}" is violated{beyond}'
