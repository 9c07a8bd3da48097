"""Malformed and odd arguments of what is about deployment, rules in files, and pictures: the second part of the corpus.

Each function is called with plain arguments, one of which is replaced: every argument by every single value of the corpus, every
table by every table. What nothing can be made of is refused in a sentence; what can be meant is answered.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from alignconf import plotting
from alignconf.deployment import forecast, propose, rare, search, slices
from alignconf.deployment.input_law import InputLaw
from alignconf.testing import assert_property
from tests.malformed import (
    EITHER,
    EITHER_TABLES,
    FRESH,
    LABELS,
    REFERENCE,
    REFUSED_TABLES,
    ROWS,
    SAME_TABLES,
    VALUES,
    Call,
    Elementwise,
    calibrated,
    function,
)

__all__ = ["deployment_calls"]

MODEL, RULE = Elementwise(), {0: 1}


def first_number(u: Any) -> Any:
    return np.asarray(u)[:, 0]


def loss_of_rows() -> Any:
    return (ROWS[:, 0] > 0.7).astype(float)


@cache
def law() -> InputLaw:
    return InputLaw.from_rows(ROWS)


@cache
def found_slices() -> Any:
    return slices.search_slices(ROWS, loss_of_rows(), max_depth=1)


def simulated(_: Any, random: Any) -> Any:
    return rare.rare_event(first_number, 2, 0.5, n_runs=1, budget=400, random_state=random)


def drawn(picture: Callable[..., Any], **arguments: Any) -> str:
    """Return that a picture was drawn, and close it."""
    try:
        picture(**arguments)
        return "drawn"
    finally:
        plt.close("all")


def certified() -> Any:
    return calibrated().certify(FRESH)


SPECIFICATION = '[{"type": "increasing", "feature": 0}]'

#: Each function with plain arguments, made anew where a call could change them.
PLAIN: dict[str, tuple[Callable[..., Any], Callable[[], Mapping[str, Any]]]] = {
    "forecast": (forecast.forecast, lambda: {"scores": LABELS, "n_rows": 1000.0}),
    "forecast_violations": (
        forecast.forecast_violations, lambda: {"model": MODEL, "X": FRESH, "properties": RULE, "n_rows": 1000.0}),
    "forecast_half_width": (forecast.forecast_half_width, lambda: {"aligned": calibrated(), "X": FRESH, "n_rows": 1000.0}),
    "forecast_worst_probability": (
        forecast.forecast_worst_probability, lambda: {"probabilities": [0.1, 0.2, 0.3], "n_queries": 100.0, "n_draws": 100}),
    "forecastability_error": (
        forecast.forecastability_error, lambda: {"scores": LABELS, "m": 20, "n": 20, "k": 5, "n_splits": 2}),
    "from_psi": (forecast.from_psi, lambda: {"psi": LABELS}),
    "to_psi": (forecast.to_psi, lambda: {"probabilities": [0.1, 0.5]}),
    "visible_weight": (forecast.visible_weight, lambda: {"n_scores": 100}),
    "chance_of_missing": (forecast.chance_of_missing, lambda: {"weight": 0.1, "n_scores": 100}),
    "extrapolation_bias": (forecast.extrapolation_bias, lambda: {"n_scores": 100, "n_rows": 1000.0}),
    "search_slices": (slices.search_slices, lambda: {"X": ROWS, "losses": loss_of_rows(), "max_depth": 1}),
    "confirm_slices": (slices.confirm_slices, lambda: {"search": found_slices(), "X": ROWS, "losses": loss_of_rows()}),
    "find_slices": (slices.find_slices, lambda: {"model": MODEL, "X": ROWS, "properties": RULE, "max_depth": 1}),
    "rare_event": (
        rare.rare_event, lambda: {"score": first_number, "n_dimensions": 2, "threshold": 0.5, "n_runs": 1, "budget": 400}),
    "violation_probability": (
        rare.violation_probability,
        lambda: {"model": MODEL, "properties": RULE, "law": law(), "X_reference": REFERENCE, "n_runs": 1, "budget": 400}),
    "harmful_input_laws": (
        rare.harmful_input_laws,
        lambda: {"model": MODEL, "properties": RULE, "law": law(), "divergences": [0.5], "n_runs": 1, "budget": 400,
                 "X_reference": REFERENCE}),
    "harmful_laws": (rare.harmful_laws, lambda: {"simulate": simulated, "n_movable": 1, "divergences": [0.5]}),
    "largest_probability": (rare.largest_probability, lambda: {"probability": 0.1, "divergence": 0.5}),
    "propose_properties": (propose.propose_properties, lambda: {"X": ROWS, "y": LABELS, "features": [0]}),
    "read_specifications": (propose.read_specifications, lambda: {"source": SPECIFICATION}),
    "review_specifications": (
        propose.review_specifications,
        lambda: {"specifications": propose.read_specifications(SPECIFICATION), "X": ROWS, "y": LABELS}),
    "search": (search.search, lambda: {"model": MODEL, "X": ROWS, "properties": RULE, "max_rows": 300}),
    "InputLaw.from_rows": (InputLaw.from_rows, lambda: {"X": ROWS}),
    "assert_property": (
        assert_property, lambda: {"model": MODEL, "X": FRESH, "properties": RULE, "max_rate": 0.9, "X_reference": REFERENCE}),
    "plotting.certificate": (partial(drawn, plotting.certificate), lambda: {"found": certified()}),
    "plotting.dial": (partial(drawn, plotting.dial), lambda: {"certificates": [certified()]}),
    "plotting.scores": (partial(drawn, plotting.scores), lambda: {"aligned": calibrated()}),
    "plotting.violations": (
        partial(drawn, plotting.violations),
        lambda: {"model": MODEL, "X": FRESH, "properties": RULE, "features": (0, 1), "n_queries": 2}),
}  # fmt: skip

#: Arguments that are tables of rows.
TABLES = ("X", "X_reference", "X_calibration")
#: What a user's own object may be, which is asked and not checked: axes of matplotlib, functions that describe.
OF_THE_USER = ("ax", "describe", "picture")


def parameters(called: Callable[..., Any]) -> list[str]:
    """Return the names of the parameters of a function, without those that only the user can be wrong about."""
    inner = called.args[0] if isinstance(called, partial) else called
    return [name for name in inspect.signature(inner).parameters if name not in OF_THE_USER]


def run(called: Callable[..., Any], plain: Callable[[], Mapping[str, Any]], name: str) -> Callable[[Any], Any]:
    return lambda value: function(called, name, **{key: given for key, given in plain().items() if key != name})(value)


def deployment_calls() -> Iterator[Call]:
    """Yield every call of this part of the corpus, in a fixed order."""
    tables = {**REFUSED_TABLES, **EITHER_TABLES, **SAME_TABLES}
    for entry, (called, plain) in PLAIN.items():
        for name in parameters(called):
            for kind, value in VALUES.items():
                yield Call(entry, name, kind, EITHER, run(called, plain, name), value, None, "")
            if name in TABLES:
                for kind, make in tables.items():
                    yield Call(
                        entry, name, f"rows: {kind}", EITHER, run(called, plain, name), partial(make, ROWS), None, ""
                    )
