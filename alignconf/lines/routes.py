r"""Where a column goes in the steps of a Pipeline, by what is known of their types: to which columns behind them, and which way.

A step that maps a column by itself, in order, only relabels the thresholds of the trees behind it: :math:`T(x) \le t` holds of
the values up to some number, as :math:`x \le t` does. What happens to other columns does not matter as long as it does not
depend on that one. So of each column there is a **route**: the columns that move with it among values that are present, and of
each whether it moves the same way (1) or the other way (-1). All other columns stay where they are.

Maps are in order as they are computed: subtracting, multiplying by a positive number and rounding are non-decreasing. Powers,
logarithms and interpolation are in order up to their rounding, which a library states nowhere; the route remembers such steps.

The reader knows types, not behaviour; a subclass, or a type that is not listed, has no route for the columns that it sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import check_array

from alignconf.lines.axis import Axis
from alignconf.lines.wrapped import passes
from alignconf.tables import table as tables

__all__ = ["ROUNDING", "Route", "route_through", "route_through_all"]

#: Values that steps leave alone, and order that they keep up to rounding, are so up to this.
ROUNDING = 2.0**-30


@dataclass(frozen=True)
class Route:
    """The columns that move with a feature.

    Parameters
    ----------
    signs : mapping of int to {-1, 1}
        From the position of a column to whether it moves as the feature does; empty if nothing depends on the feature.
    axis : Axis
        Of the feature.
    rounded : tuple of str
        Names of steps that are in order up to their rounding.
    is_raw : bool
        Whether values are still those of the table.
    """

    signs: Mapping[int, int]
    axis: Axis
    rounded: tuple[str, ...] = ()
    is_raw: bool = field(default=True, kw_only=True)

    @classmethod
    def of(cls, axis: Axis) -> Route:
        """Return the route of a feature before any step."""
        return cls({axis.position: 1}, axis)

    def joined(self, other: Route) -> Route:
        """Return the columns of two routes of a feature."""
        rounded = tuple(dict.fromkeys((*self.rounded, *other.rounded)))
        return Route({**self.signs, **other.signs}, self.axis, rounded, is_raw=self.is_raw and other.is_raw)

    def to(self, columns: Mapping[int, int]) -> Route:
        """Return the route whose columns have other positions, as told by a mapping; those that it lacks are dropped."""
        return replace(self, signs={columns[column]: sign for column, sign in self.signs.items() if column in columns})

    def moved(self, sign: int = 1, *, rounded: str = "") -> Route:
        """Return the route after each column was mapped by itself, in order or against it."""
        signs = {column: sign * before for column, before in self.signs.items()}
        names = (*self.rounded, rounded) if rounded and rounded not in self.rounded else self.rounded
        return Route(signs, self.axis, names, is_raw=False)


def route_through(step: Any, route: Route) -> Route | str:
    """Return the route of a feature behind a fitted transformer, or a sentence that says why there is none.

    Parameters
    ----------
    step : transformer, or "passthrough"
    route : Route
        In front of it.
    """
    if not route.signs or passes(step):
        return route
    kind = type(step)
    through = THROUGH.get((kind.__module__.split(".")[0], kind.__name__))
    if through is None and kind.__module__.startswith("sklearn.feature_selection.") and hasattr(step, "get_support"):
        through = _selected
    if through is None:
        return f"{kind.__name__} maps {route.axis.feature!r} in a way that is not known to keep its order."
    return through(step, route)


def route_through_all(steps: Sequence[Any], route: Route) -> Route | str:
    """Return the route of a feature behind fitted transformers, one after the other, as :func:`route_through`."""
    for step in steps:
        through = route_through(step, route)
        if isinstance(through, str):
            return through
        route = through
    return route


def _in_order(step: Any, route: Route) -> Route:  # noqa: ARG001
    return route.moved()


def _in_order_up_to_rounding(step: Any, route: Route) -> Route:
    return route.moved(rounded=type(step).__name__)


def _encoded(step: Any, route: Route) -> Route | str:
    """Return the route through a map of categories, which is looked at category by category later."""
    if route.axis.order is None:
        return f"{type(step).__name__} numbers the values of {route.axis.feature!r}; list them in the property, order=[...]."
    return route.moved()


def _coded(step: Any, route: Route) -> Route | str:
    """Return the route through the codes, or bins, of a model's categories; columns of numbers stay as they are."""
    if not any(column in step.kept for column in route.signs):
        return route
    if route.axis.order is None:
        return f"{route.axis.feature!r} is a category to the model; list its values in the property, order=[...]."
    return route.moved()


def _one_hot(step: Any, route: Route) -> Route | str:
    """Return the route through OneHotEncoder: a column for each category, which no order of the categories moves one way."""
    if route.axis.order is None:
        return (
            f"{type(step).__name__} gives each value of {route.axis.feature!r} a column; list them in the property, "
            "order=[...]."
        )
    ends = np.cumsum([0, *step._n_features_outs])
    columns = [k for column in route.signs for k in range(ends[column], ends[column + 1])]
    return replace(route, signs=dict.fromkeys(columns, 1)).moved()


def _binned(step: Any, route: Route) -> Route | str:
    if step.encode != "ordinal":
        return f"KBinsDiscretizer gives each bin of {route.axis.feature!r} a column; expected encode='ordinal'."
    return route.moved()


def _imputed(step: Any, route: Route) -> Route | str:
    """Return the route through SimpleImputer: values stay, columns without any are dropped, indicators come behind."""
    code = step.missing_values
    if not tables.is_missing(code) and not (route.is_raw and code in route.axis.codes):
        return f"SimpleImputer takes {code!r} for missing in {route.axis.feature!r}, behind other steps; expected NaN there."
    statistics = np.array([tables.is_missing(value) for value in np.ravel(step.statistics_)])
    kept = np.arange(statistics.size) if step.keep_empty_features else np.flatnonzero(~statistics)
    return replace(route.to({int(column): place for place, column in enumerate(kept)}), is_raw=False)


def _indicated(step: Any, route: Route) -> Route:  # noqa: ARG001
    """Return the route through MissingIndicator, which says the same of all values that are present."""
    return replace(route, signs={})


def _selected(step: Any, route: Route) -> Route:
    return route.to({int(column): place for place, column in enumerate(np.flatnonzero(step.get_support()))})


def _picked(step: Any, route: Route) -> Route:
    """Return the route through SelectedColumns, which may hand a column on twice."""
    signs = {place: route.signs[column] for place, column in enumerate(step.columns.tolist()) if column in route.signs}
    return replace(route, signs=signs)


def _applied(step: Any, route: Route) -> Route | str:
    """Return the route through FunctionTransformer with no function, or one of numpy's that is known."""
    if step.func is None or getattr(step.func, "func", None) is check_array:
        return route
    name = getattr(step.func, "__name__", type(step.func).__name__)
    if not isinstance(step.func, np.ufunc) or name not in FUNCTIONS or step.kw_args:
        return (
            f"FunctionTransformer applies {name} to {route.axis.feature!r}, of which it is not known whether it maps each column "
            f"by itself, in order; known are numpy's {', '.join(FUNCTIONS)}."
        )
    sign, is_rounded = FUNCTIONS[name]
    return route.moved(sign, rounded=f"numpy's {name}" if is_rounded else "")


def _nested(step: Any, route: Route) -> Route | str:
    return route_through_all([inner for _, inner in step.steps], route)


def _split(step: Any, route: Route) -> Route | str:
    """Return the route through ColumnTransformer: through each part that has the feature's columns."""
    behind = replace(route, signs={})
    for part, inputs, outputs in _parts(step):
        # A column may be selected twice.
        for column, sign in route.signs.items():
            for place in [place for place, selected in enumerate(inputs) if selected == column]:
                through = route_through(part, replace(route, signs={place: sign}))
                if isinstance(through, str):
                    return through
                behind = behind.joined(through.to({k: outputs.start + k for k in through.signs}))
    return behind


def _parts(step: Any) -> Iterator[tuple[Any, list[int], slice]]:
    """Yield the parts of a ColumnTransformer that hand on something, with the positions of their columns before and behind."""
    for name, part, _ in step.transformers_:
        outputs = step.output_indices_[name]
        if outputs.stop > outputs.start:
            yield part, [int(column) for column in step._transformer_to_input_indices[name]], outputs


def _united(step: Any, route: Route) -> Route | str:
    """Return the route through FeatureUnion: through each part, behind which columns are multiplied by the weight of the part."""
    behind, start = replace(route, signs={}), 0
    for _, part, weight in step._iter():
        through, width = route_through(part, route), _width(part)
        if isinstance(through, str):
            return through
        if not width:
            return f"FeatureUnion does not tell how many columns {type(part).__name__} makes of {route.axis.feature!r}."
        if weight is not None:
            through = through.moved(int(np.sign(weight))) if weight else replace(through, signs={})
        behind = behind.joined(through.to({k: start + k for k in through.signs}))
        start += width
    return behind


def _width(part: Any) -> int:
    """Return how many columns a transformer hands on; 0 if it does not tell."""
    if isinstance(part, FunctionTransformer):
        return int(getattr(part, "n_features_in_", 0))
    try:
        return len(part.get_feature_names_out())
    except (AttributeError, ValueError):
        return 0


Through = Callable[[Any, Route], Route | str]

THROUGH: dict[tuple[str, str], Through] = {
    ("sklearn", name): through
    for through, names in (
        (_in_order, ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "Binarizer")),
        (_in_order_up_to_rounding, ("QuantileTransformer", "PowerTransformer")),
        (_encoded, ("OrdinalEncoder", "TargetEncoder")),
        (_one_hot, ("OneHotEncoder",)),
        (_binned, ("KBinsDiscretizer",)),
        (_imputed, ("SimpleImputer",)),
        (_indicated, ("MissingIndicator",)),
        (_applied, ("FunctionTransformer",)),
        (_nested, ("Pipeline",)),
        (_split, ("ColumnTransformer",)),
        (_united, ("FeatureUnion",)),
    )
    for name in names
} | {
    ("alignconf", "CategoryCodes"): _coded,
    ("alignconf", "ShapeBins"): _coded,
    ("alignconf", "SelectedColumns"): _picked,
}

#: Functions of numpy that are monotone wherever they give a number: the way they go, and whether only up to rounding.
FUNCTIONS = {
    "negative": (-1, False),
    "positive": (1, False),
    "sqrt": (1, False),
    "rint": (1, False),
    "floor": (1, False),
    "ceil": (1, False),
    "trunc": (1, False),
    "sign": (1, False),
    "cbrt": (1, True),
    "log": (1, True),
    "log1p": (1, True),
    "log2": (1, True),
    "log10": (1, True),
    "exp": (1, True),
    "expm1": (1, True),
    "arctan": (1, True),
    "arcsinh": (1, True),
    "sinh": (1, True),
    "tanh": (1, True),
}
