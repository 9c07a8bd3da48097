"""Estimate, align, estimate again: what alignment does to a tiny violation probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from alignconf._typing import Model, RandomState, Table
from alignconf.contract.property import Declaration
from alignconf.deployment.finding import Finding, Kind
from alignconf.deployment.input_law import InputLaw
from alignconf.deployment.rare.event import RareEvent
from alignconf.deployment.rare.violations import violation_probability
from alignconf.errors import InputError, quoted
from alignconf.estimators.regressor import AlignedRegressor
from alignconf.tables import printed
from alignconf.tables.checks import check_level, check_model

__all__ = ["Aligned", "BeforeAndAfter", "before_and_after"]


@dataclass(frozen=True, eq=False)
class Aligned:
    """The event for the function aligned at one level.

    Parameters
    ----------
    alpha, lambda_ : float
    event : RareEvent
    """

    alpha: float
    lambda_: float
    event: RareEvent


@dataclass(frozen=True, eq=False)
class BeforeAndAfter(Finding):
    """The same event for a model and for its alignments.

    Parameters
    ----------
    before : RareEvent
    after : tuple of Aligned
    """

    kind: ClassVar[Kind] = "simulation"

    before: RareEvent
    after: tuple[Aligned, ...]

    def __str__(self) -> str:
        """Return the findings, one a line."""
        after = [
            f"alpha={printed.level(aligned.alpha)} (half-width {aligned.lambda_:.4g}): {aligned.event}"
            for aligned in self.after
        ]
        return "\n".join([f"as it is: {self.before}", *after])


def before_and_after(
    model: Model,
    properties: Declaration,
    law: InputLaw,
    X_calibration: Table,
    *,
    X_reference: Table,
    alphas: Sequence[float] = (0.05, 0.01, 0.0),
    size: float = 0.0,
    n_runs: int = 5,
    budget: int = 1_000_000,
    random_state: RandomState = None,
) -> BeforeAndAfter:
    """Return the violation probability of a model, and of the model aligned at each level, under one law of rows and places.

    Parameters
    ----------
    model, properties, law, size, n_runs
        As for :func:`violation_probability`.
    X_calibration : table
        Rows that calibrate. None of those that trained, none drawn from ``law``, and none that a search found.
    X_reference : table
        Rows that give the reference law of places, for the alignment and for every estimate.
    alphas : sequence of float in [0, 1)
    budget : int
        Rows sent to each function, at most.
    random_state : int, Generator, RandomState or None

    Returns
    -------
    BeforeAndAfter

    Notes
    -----
    The promise of calibration is about rows like those that calibrated, and about the rate of all violations. What it does to
    violations beyond ``size``, under ``law``, is what is measured here.
    """
    check_model("model", model)
    if isinstance(alphas, (str, bytes)) or not len(alphas):
        raise InputError(f"alphas must be levels in [0, 1), such as (0.05, 0), got {quoted(alphas)}.")
    levels = [check_level("alphas", alpha, zero=True) for alpha in alphas]

    def probability(function: Model) -> RareEvent:
        return violation_probability(
            function,
            properties,
            law,
            size=size,
            X_reference=X_reference,
            n_runs=n_runs,
            budget=budget,
            random_state=random_state,
        )

    before, after = probability(model), []
    for alpha in levels:
        aligned = AlignedRegressor(model, properties, alpha=alpha, random_state=random_state)
        aligned.calibrate(X_calibration, X_reference=X_reference)
        after.append(Aligned(alpha, float(aligned.lambda_), probability(aligned)))
    return BeforeAndAfter(before, tuple(after))
