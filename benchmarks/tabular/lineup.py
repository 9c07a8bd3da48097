"""The methods of the tabular suite, each bound to its file in :mod:`benchmarks.methods`.

A method takes a :class:`Case` (a fitted model and the rows it may use) and returns what it delivers: an object with ``predict``,
or with ``predict_proba``. Where it cannot be applied it raises :class:`NotApplicable`, and the reason is part of the results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from alignconf.errors import CalibrationError
from alignconf.properties import declare
from benchmarks.methods import IceLoop, Rearranged, align, align_class, existence_band, leave, monotonize, retrain
from benchmarks.models import Recipe
from benchmarks.problems import Split
from benchmarks.tabular.classes import ClassProbability, WithProbability
from benchmarks.tabular.problems import TabularProblem
from benchmarks.tabular.remembered import unwrapped

__all__ = ["ALPHAS", "Case", "Method", "NotApplicable", "labelled", "methods"]

ALPHAS = (0.2, 0.1, 0.05, 0.01, 0.0)

#: Of more constrained features conditional laws are not estimated.
MOST_CONDITIONAL = 3


class NotApplicable(ValueError):  # noqa: N818
    """A method that a case does not admit; the message says why."""


@dataclass(frozen=True)
class Case:
    """A fitted model of a problem, and the rows that methods may use: ``parts.train`` and ``parts.calibrate``.

    ``column`` is the class that the rule is about, None for numbers.
    """

    problem: TabularProblem
    recipe: Recipe
    model: Any
    parts: Split
    column: int | None
    seed: int

    @property
    def signs(self) -> dict[str, int]:
        """Directions of features; refused where the rule is another one."""
        if self.problem.signs is None:
            raise NotApplicable("the rule is not one of monotone features")
        return self.problem.signs


@dataclass(frozen=True)
class Method:
    """A method, with its settings where it has any; only methods with an ``alpha`` promise something."""

    name: str
    deliver: Callable[[Case], Any]
    alpha: float | None = None
    projection: str = ""
    reference: str = ""

    @property
    def label(self) -> str:
        """The method with its settings, in short."""
        return labelled(self.name, self.alpha, self.projection, self.reference)


def _retrained(case: Case, *, with_calibration_rows: bool) -> Any:
    found = retrain(case.recipe, case.signs, case.parts, case.seed, with_calibration_rows=with_calibration_rows)
    if found is None:
        raise NotApplicable(f"{case.recipe.name} has no such constraint for {case.problem.kind} targets")
    return found


def _monotonized(case: Case) -> Any:
    if case.recipe.name != "ebm":
        raise NotApplicable("only explainable boosting machines have it")
    if case.problem.kind == "multiclass":
        raise NotApplicable("the library refuses more than two classes")
    return monotonize(unwrapped(case.model), case.signs)


def _by_hand(case: Case, loop: type[IceLoop]) -> Any:
    if len(case.signs) > 1:
        raise NotApplicable("written for one feature")
    ((feature, sign),) = case.signs.items()
    if case.column is None:
        return loop(case.model, feature, sign, case.parts.train.X)
    function = loop(ClassProbability(case.model, case.column), feature, sign, case.parts.train.X)
    return WithProbability(case.model, case.column, function)


def _aligned(case: Case, **choices: Any) -> Any:
    constrained = {line.feature for line in declare(case.problem.properties).lines}
    if choices["reference_law"] == "conditional":
        if constrained.issuperset(case.parts.train.X.columns):
            raise NotApplicable("no column is left to condition on")
        if len(constrained) > MOST_CONDITIONAL:
            raise NotApplicable(f"conditional laws of {len(constrained)} features, a forest each, are left out")

    def calibrated() -> Any:
        if case.column is None:
            return align(case.model, case.problem.properties, case.parts, seed=case.seed, **choices)
        return align_class(case.model, case.problem.properties, case.parts, case.column, seed=case.seed, **choices)

    return _or_reason(calibrated)


def _existence(case: Case, alpha: float) -> Any:
    return _or_reason(
        lambda: existence_band(
            case.model, case.problem.properties, case.parts, case.column, alpha=alpha, seed=case.seed
        )
    )


def _or_reason(calibrated: Callable[[], Any]) -> Any:
    try:
        return calibrated()
    except CalibrationError as error:
        raise NotApplicable(str(error)) from error


#: What is left out unless a thorough run is asked for: conditional laws are the dear ones, a forest each.
LEFT_OUT = {("l2", "conditional"): (0.2, 0.1, 0.01), ("sup", "conditional"): ALPHAS}


def labelled(name: str, alpha: float | None, projection: str, reference: str) -> str:
    """Return a method with its settings, in short, as tables name it."""
    if alpha is None:
        return name
    return f"{name} {alpha:g} {projection} {reference}" if name == "aligned" else f"{name} {alpha:g}"


def methods(*, thorough: bool = False, only: Sequence[str] = ()) -> tuple[Method, ...]:
    """Return the methods of a run in the order of tables: all, or those whose labels begin with one of the given words."""
    chosen = _all(thorough=thorough)
    return tuple(one for one in chosen if one.label.startswith(tuple(only))) if only else chosen


def _all(*, thorough: bool) -> tuple[Method, ...]:
    dials = [(projection, reference) for projection in ("l2", "sup") for reference in ("marginal", "conditional")]
    return (
        *RIVALS,
        *(
            Method("aligned", partial(_aligned, alpha=alpha, projection=dial[0], reference_law=dial[1]), alpha, *dial)
            for dial in dials
            for alpha in ALPHAS
            if thorough or alpha not in LEFT_OUT.get(dial, ())
        ),
        *(
            Method("existence band", partial(_existence, alpha=alpha), alpha, "l2", "marginal")
            for alpha in ALPHAS
            if alpha > 0
        ),
    )


RIVALS = (
    Method("unaligned", lambda case: leave(case.model)),
    Method("retrained", partial(_retrained, with_calibration_rows=False)),
    Method("retrained + calibration rows", partial(_retrained, with_calibration_rows=True)),
    Method("EBM monotonize", _monotonized),
    Method("ICE loop", partial(_by_hand, loop=IceLoop)),
    Method("rearranged", partial(_by_hand, loop=Rearranged)),
)
