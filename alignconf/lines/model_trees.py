r"""The trees of a model as a function of its rows: what rows pass first, and which columns of the trees move with a feature.

A model is rows -> transformed rows -> trees; without a Pipeline the first arrow changes nothing. Let the moves of a feature
among its present values change columns :math:`c` of transformed rows only, each in order with a sign :math:`s_c`
(:mod:`alignconf.lines.routes`).

**Statement.** If trees are monotone in all columns :math:`c` of all constrained features together, in the directions
:math:`s_c d` of a feature's direction :math:`d`, the model is monotone in all constrained features together. *Proof.* Rows that
are equal in free features and ordered in constrained ones are transformed to rows that are equal in all other columns and
ordered in these. A value that an imputer fills in is a value to the trees.

Routes are read off the types of steps and compared with what steps do: at some reference rows each feature is moved by itself,
an ordered category through all of its places, which is then the proof of its direction. Trees are compared with the function
at reference rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from alignconf._typing import FloatArray, Table
from alignconf.contract.domain import Domain
from alignconf.lines.axis import Axis
from alignconf.lines.class_sums import ClassSum
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.links import LINK_UNITS
from alignconf.lines.piped_lines import N_MOVED, N_PLACES, transformed_by
from alignconf.lines.routes import ROUNDING, Route, route_through_all
from alignconf.lines.trees import trees_of
from alignconf.lines.wrapped import predicting_model, steps_before
from alignconf.tables import table as tables
from alignconf.tables.predictions import Rounding, predictions

__all__ = ["ModelTrees", "model_trees", "trees_behind_steps"]

#: Trees are compared with the function at this many reference rows.
N_COMPARED = 200

#: The function's sums and the walk's may both be rounded.
AGREEMENT = 2.0


@dataclass(frozen=True, eq=False)
class ModelTrees:
    """The trees of a fitted model.

    Parameters
    ----------
    sums : tuple of Ensemble
        On transformed rows: one, which tells the prediction, or the sum of each class, whose softmax tells the probabilities.
    column : int
        Which of several sums is that of the class; 0 of one.
    steps : tuple of transformers
        What rows pass first.
    n_columns : int
        Columns of rows; those behind them are left out.
    routes : tuple of Route
        Of the constrained features.
    domains : mapping of int to Domain
        By column of the trees, the values that come from values of the feature that are compared.
    """

    sums: tuple[Ensemble, ...]
    column: int
    steps: tuple[Any, ...]
    n_columns: int
    routes: tuple[Route, ...] = ()
    domains: Mapping[int, Domain] = field(default_factory=dict)

    @property
    def ensemble(self) -> Ensemble:
        """The trees of the sum with which the prediction rises."""
        return self.sums[self.column]

    @property
    def n_trees(self) -> int:
        """The number of trees of all sums."""
        return sum(ensemble.roots.size for ensemble in self.sums)

    def predict(self, numbers: FloatArray) -> FloatArray:
        """Return predictions, (n_samples,), at rows as the trees take them: the model's own up to rounding."""
        values = np.column_stack([ensemble.predict(numbers) for ensemble in self.sums])
        return values[:, 0] if len(self.sums) == 1 else np.asarray(softmax(values, axis=1)[:, self.column])

    @property
    def rounding(self) -> Rounding:
        """The rounding of a prediction, the model's own or that of :meth:`predict`.

        An error of :math:`e` in each sum moves a probability by at most :math:`e / 2`.
        """
        if len(self.sums) == 1:
            return self.ensemble.rounding
        unit = 2.0**-24 if self.ensemble.is_single else 2.0**-53
        return Rounding(0.0, max(ensemble.sum_error for ensemble in self.sums) / 2 + LINK_UNITS * len(self.sums) * unit)

    def passed(self, table: Table) -> Any:
        """Return rows as the last step hands them on, sparse ones too."""
        rows: Any = table if table.shape[1] == self.n_columns else tables.select(table, range(self.n_columns))
        return transformed_by(self.steps, rows)

    def transformed(self, table: Table) -> Table:
        """Return rows as the model with the trees takes them, dense."""
        rows = self.passed(table)
        return tables.as_table(rows.toarray() if hasattr(rows, "toarray") else rows)

    def numbers(self, table: Table) -> FloatArray:
        """Return rows as the trees take them, (n_samples, n_columns_of_trees)."""
        return tables.as_numbers(self.transformed(table))

    def in_directions(self, directions: Mapping[int, int]) -> list[tuple[Ensemble, dict[int, int]]]:
        """Return each sum with its direction in each column, which together give the prediction that of each feature.

        Parameters
        ----------
        directions : mapping of int to {-1, 0, 1}
            From the position of a constrained feature to its direction; 0 if it must not matter.
        """
        of_columns = self._of_columns(directions)
        against = {column: -direction for column, direction in of_columns.items()}
        return [(ensemble, of_columns if k == self.column else against) for k, ensemble in enumerate(self.sums)]

    def _of_columns(self, directions: Mapping[int, int]) -> dict[int, int]:
        of_columns: dict[int, int] = {}
        for route in self.routes:
            for column, sign in route.signs.items():
                direction = sign * directions[route.axis.position]
                of_columns[column] = direction if of_columns.get(column, direction) == direction else 0
        return of_columns

    @property
    def rounded(self) -> str:
        """What order is up to, in words: nothing but for steps, or a softmax, whose results are rounded in ways not stated."""
        names = dict.fromkeys(name for route in self.routes for name in route.rounded)
        names |= dict.fromkeys(["softmax"] if len(self.sums) > 1 else [])
        return f", up to the rounding of {' and '.join(names)}" if names else ""


def model_trees(function: Any, reference: Table, axes: Sequence[Axis]) -> ModelTrees | str:
    """Return the trees of a function, or a sentence that says why they do not tell it.

    Parameters
    ----------
    function : Model
        The function of a fitted model: of its predictions or of the probability of a class.
    reference : Table
        Rows, at which trees are compared with the function, and routes with what steps do.
    axes : sequence of Axis
        Of the constrained features.
    """
    sums = _sums(function)
    if isinstance(sums, str):
        return sums
    steps = steps_before(function.estimator)
    n_columns = function.fitted_model.columns.n_features if steps else sums[0].n_features
    column = function.column if len(sums) > 1 else 0
    trees = ModelTrees(sums, column, steps, n_columns or reference.shape[1])
    if trees.n_columns > reference.shape[1]:
        return f"the model has {trees.n_columns} columns, and rows have {reference.shape[1]}."
    few = tables.take(reference, _spread(np.arange(reference.shape[0]), N_COMPARED))
    reason = _why_other_numbers(trees, few, function)
    if reason:
        return reason
    for axis in axes:
        route = _route(trees, axis, reference)
        if isinstance(route, str):
            return route
        domains = {**trees.domains, **_domains(trees, route, reference)}
        trees = replace(trees, routes=(*trees.routes, route), domains=domains)
    return trees


def trees_behind_steps(function: Any) -> Ensemble | str:
    """Return the trees of a function on transformed rows, or a sentence that says why they cannot be read."""
    return trees_of(replace(function, estimator=predicting_model(function.estimator)))


def _sums(function: Any) -> tuple[Ensemble, ...] | str:
    """Return the trees of a function, of a boosted classifier with more than two classes those of the sum of each class."""
    ensemble = trees_behind_steps(function)
    n_classes = len(getattr(function.estimator, "classes_", ()))
    if not isinstance(ensemble, str) or n_classes <= 2:
        return ensemble if isinstance(ensemble, str) else (ensemble,)
    sums: list[Ensemble] = []
    for column in range(n_classes):
        of_class = ClassSum(function.estimator, column).trees()
        if isinstance(of_class, str):
            return of_class
        sums.append(of_class)
    return tuple(sums)


def _why_other_numbers(trees: ModelTrees, few: Table, function: Any) -> str:
    """Return why the trees do not answer what the function does, or nothing."""
    ensemble, name = trees.ensemble, type(predicting_model(function.estimator)).__name__
    if trees.steps and ensemble.missing_code is not None:
        return f"{name} takes {ensemble.missing_code:g} for missing, which steps before it may make of any value."
    if ensemble.is_single and hasattr(trees.passed(few), "toarray"):
        return (
            f"{type(trees.steps[-1]).__name__} hands sparse rows to {name}, which takes their zeros for missing; give a "
            "ColumnTransformer sparse_threshold=0, and an encoder sparse_output=False, before the fit."
        )
    transformed = trees.transformed(few)
    if transformed.shape[1] != ensemble.n_features or not tables.is_numeric(transformed):
        return "some columns are not numbers."
    predicted, _ = predictions(function, few)
    walked = trees.predict(tables.as_numbers(transformed))
    apart = np.abs(walked - predicted)
    if (apart > AGREEMENT * trees.rounding.of(np.column_stack([walked, predicted]))).any():
        return "its trees do not add up to its predictions."
    return ""


def _route(trees: ModelTrees, axis: Axis, reference: Table) -> Route | str:
    """Return the route of a feature through all steps, as it is known and as rows show it."""
    route = route_through_all(trees.steps, Route.of(axis))
    if isinstance(route, str):
        return route
    places = axis.places(reference)
    present = np.flatnonzero(~np.isnan(places))
    if not present.size:
        return f"no reference row has {axis.feature!r}."
    listed = axis.order is not None
    tried = np.arange(float(len(axis.order or ()))) if listed else _spread(np.unique(places[present]), N_PLACES)
    rows = np.repeat(_spread(present, N_MOVED), tried.size)
    moved = axis.moved(reference, rows, np.tile(tried, rows.size // tried.size))
    try:
        numbers = trees.numbers(tables.replicate(reference, rows, moved))
    except (TypeError, ValueError) as error:
        return f"its steps fail where {axis.feature!r} is moved by itself ({error})."
    return _seen(route, numbers.reshape(-1, tried.size, numbers.shape[1]))


def _domains(trees: ModelTrees, route: Route, reference: Table) -> dict[int, Domain]:
    """Return, for each column that moves with a feature, the range and the special values that steps make of the feature's.

    A special value that steps map where they map others, as bins and imputers do, is compared there: what is compared besides
    does no harm to order.
    """
    axis = route.axis
    if axis.domain.is_everything:
        return {}
    ends = [end for end in axis.domain.between if np.isfinite(end)]
    special = list(axis.domain.special if axis.order is not None else axis.domain.numbers)
    beside = (
        [code + step for code in special for step in (-_aside(code), _aside(code))]
        if axis.order is None
        else axis.order
    )
    values = np.array([*ends, *special, *beside], dtype=None if axis.order is None else object)
    first = np.flatnonzero(~np.isnan(axis.places(reference)))[0]
    rows = tables.replicate(reference, np.full(values.size, first), {axis.position: values})
    numbers = trees.numbers(rows)
    is_end = np.isfinite(axis.domain.between)
    domains = {}
    for column, sign in route.signs.items():
        moved, codes, others = np.split(numbers[:, column], [len(ends), len(ends) + len(special)])
        between = np.array(axis.domain.between)
        between[is_end] = moved
        low, high = between if sign > 0 else np.where(np.isinf(between), -between, between)[::-1]
        if axis.order is None:
            below, above = sign * others.reshape(-1, 2).T
            is_apart = (below < sign * codes) & (sign * codes < above)
        else:
            is_apart = ~np.isin(codes, others)
        domains[column] = Domain(tuple(codes[is_apart].tolist()), (float(low), float(high)))
    return domains


def _aside(code: float) -> float:
    """Return how far from a special value no other number is a measurement."""
    return 2.0**-20 * max(1.0, abs(code))


def _seen(route: Route, numbers: FloatArray) -> Route | str:
    """Return a route after a look at transformed rows (n_rows, n_places, n_columns) as the feature moves up.

    The signs of an ordered category, all of whose places are looked at, are those that are seen.
    """
    feature = route.axis.feature
    first = numbers[:, :1]
    # Products of matrices round equal rows of a batch in different ways.
    stays = np.isclose(numbers, first, rtol=ROUNDING, atol=ROUNDING, equal_nan=True).all(axis=(0, 1))
    strange = np.setdiff1d(np.flatnonzero(~stays), list(route.signs))
    if strange.size:
        return (
            f"column {strange[0]} of the transformed rows moves with {feature!r} in a way that its steps do not tell."
        )
    signs = {}
    for column, sign in route.signs.items():
        if np.isnan(numbers[:, :, column]).any():
            return f"its steps make a missing value of some values of {feature!r}."
        steps = np.diff(numbers[:, :, column], axis=1)
        if route.axis.order is not None:
            sign = 1 if (steps >= 0).all() else -1
        slack = ROUNDING * np.abs(numbers[:, :, column]).max() if route.rounded else 0.0
        if (sign * steps < -slack).any():
            remedy = " Encode it by OrdinalEncoder(categories=[...])." if route.axis.order is not None else ""
            return f"its steps do not keep the order of {feature!r}, from {_worst(route.axis, sign * steps)}.{remedy}"
        signs[column] = sign
    return replace(route, signs=signs)


def _spread(values: NDArray[Any], n_values: int) -> NDArray[Any]:
    """Return at most so many of some values, evenly spaced in their order, the first and the last among them."""
    return values[np.unique(np.linspace(0, len(values) - 1, min(len(values), n_values)).astype(np.intp))]


def _worst(axis: Axis, steps: FloatArray) -> str:
    """Return between which neighbours order is not kept, in words."""
    place = int(steps.min(axis=0).argmin())
    if axis.order is None:
        return "the smallest to the largest reference value"
    return f"{axis.order[place]!r} to {axis.order[place + 1]!r}"
