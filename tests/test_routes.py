"""Where columns go in the steps of a Pipeline: what is known of types, against what steps do to rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_regression
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from alignconf.lines.axis import Axis
from alignconf.lines.routes import Route, route_through

RANDOM = np.random.default_rng(0)
X = np.column_stack([RANDOM.normal(size=(200, 3)), RANDOM.exponential(size=200)]).round(2)
Y = X[:, 1] + RANDOM.normal(size=200)
#: The feature that moves.
FEATURE = 1
AXIS = Axis(FEATURE, FEATURE, None)
MISSING = np.where(RANDOM.random(X.shape) < 0.1, np.nan, X)
EMPTY_FIRST = np.column_stack([np.full(200, np.nan), MISSING[:, 1:]])


def _columns(*parts: Any, **parameters: Any) -> ColumnTransformer:
    return ColumnTransformer([(str(i), *part) for i, part in enumerate(parts)], **parameters)


def _binned() -> KBinsDiscretizer:
    return KBinsDiscretizer(5, encode="ordinal", strategy="uniform")


#: A transformer, the rows that it is fitted to, and the columns that move with the feature, with their signs.
STEPS: dict[str, tuple[Callable[[], Any], Any, dict[int, int]]] = {
    "standard": (StandardScaler, X, {1: 1}),
    "range": (lambda: MinMaxScaler((2, 3), clip=True), X, {1: 1}),
    "largest": (MaxAbsScaler, X, {1: 1}),
    "robust": (RobustScaler, MISSING, {1: 1}),
    "halves": (Binarizer, X, {1: 1}),
    "bins": (_binned, X, {1: 1}),
    "quantiles": (lambda: QuantileTransformer(n_quantiles=50), X, {1: 1}),
    "powers": (PowerTransformer, X, {1: 1}),
    "imputed": (SimpleImputer, MISSING, {1: 1}),
    "imputed, with an indicator": (lambda: SimpleImputer(add_indicator=True), MISSING, {1: 1}),
    "imputed behind a column without values": (SimpleImputer, EMPTY_FIRST, {0: 1}),
    "imputed, columns without values kept": (lambda: SimpleImputer(keep_empty_features=True), EMPTY_FIRST, {1: 1}),
    "indicated": (lambda: MissingIndicator(features="all"), MISSING, {}),
    "nothing": (lambda: FunctionTransformer(), X, {1: 1}),
    "negative": (lambda: FunctionTransformer(np.negative), X, {1: -1}),
    "arctan": (lambda: FunctionTransformer(np.arctan), X, {1: 1}),
    "selected": (lambda: SelectKBest(f_regression, k=1), X, {0: 1}),
    "varying": (VarianceThreshold, X, {1: 1}),
    "left out": (lambda: _columns((StandardScaler(), [0, 2])), X, {}),
    "behind others": (lambda: _columns((OneHotEncoder(sparse_output=False), [0]), ("passthrough", [3, 1])), X.round(), None),
    "rest": (lambda: _columns((PCA(1), [0, 2]), remainder="passthrough"), X, {1: 1}),
    "rest scaled": (lambda: _columns(("drop", [0]), remainder=StandardScaler()), X, {0: 1}),
    "twice": (lambda: _columns((StandardScaler(), [1, 2]), (FunctionTransformer(np.negative), [0, 1])), X, {0: 1, 3: -1}),
    "nested": (
        lambda: make_pipeline(
            _columns((make_pipeline(SimpleImputer(), StandardScaler()), [2, 1]), ("passthrough", [0])),
            _columns((FunctionTransformer(np.negative), [1]), remainder="passthrough"),
            "passthrough",
        ),
        MISSING,
        {0: -1},
    ),
}  # fmt: skip


def _moving(step: Any, rows: Any) -> dict[int, int]:
    """Return which columns move with the feature, and which way, by moving it through many places in some rows."""
    places = np.unique(rows[:, FEATURE][~np.isnan(rows[:, FEATURE])])
    signs: dict[int, int] = {}
    for row in rows[~np.isnan(rows[:, FEATURE])][:10]:
        moved = np.tile(row, (places.size, 1))
        moved[:, FEATURE] = places
        transformed = np.asarray(step.transform(moved), dtype=float)
        # Products of matrices round equal rows of a batch in different ways.
        steps = np.diff(np.nan_to_num(transformed).round(12), axis=0)
        for column in np.flatnonzero((steps != 0).any(axis=0)):
            assert (steps[:, column] >= 0).all() or (steps[:, column] <= 0).all()
            signs[int(column)] = 1 if (steps[:, column] >= 0).all() else -1
    return signs


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values:UserWarning")
@pytest.mark.parametrize("name", STEPS)
def test_what_is_known_of_types_is_what_steps_do(name: str) -> None:
    """The columns that move with a feature, found by moving it, are those of its route, in their directions."""
    make, rows, signs = STEPS[name]
    step = make().fit(rows, Y)
    route = route_through(step, Route.of(AXIS))
    assert isinstance(route, Route), route
    assert dict(route.signs) == _moving(step, rows)
    if signs is not None:
        assert dict(route.signs) == signs


def test_what_is_in_order_up_to_rounding_is_told() -> None:
    """Through nested steps too, each once."""
    step = make_pipeline(
        _columns((PowerTransformer(), [1]), (QuantileTransformer(n_quantiles=9), [1])), PowerTransformer()
    )
    route = route_through(step.fit(X), Route.of(AXIS))
    assert isinstance(route, Route)
    assert route.rounded == ("PowerTransformer", "QuantileTransformer")
    exact = route_through(StandardScaler().fit(X), Route.of(AXIS))
    assert isinstance(exact, Route)
    assert exact.rounded == ()


class _Scaler(StandardScaler):
    pass


#: What has no route, and the sentence that says why.
REFUSED: dict[str, tuple[Any, str]] = {
    "mixed": (PCA(2), "PCA maps 1 in a way that is not known to keep its order"),
    "one-hot": (OneHotEncoder(), r"OneHotEncoder gives each value of 1 a column; list them in the property"),
    "neighbours": (KNNImputer(), "KNNImputer maps 1 in a way"),
    "subclass": (_Scaler(), "_Scaler maps 1 in a way"),
    "bins": (KBinsDiscretizer(3), "KBinsDiscretizer gives each bin of 1 a column; expected encode='ordinal'"),
    "function": (FunctionTransformer(np.abs), "FunctionTransformer applies absolute to 1, of which it is not known"),
    "own function": (FunctionTransformer(lambda rows: rows), "FunctionTransformer applies <lambda> to 1"),
    "numbers": (OrdinalEncoder(), "OrdinalEncoder numbers the values of 1; list them in the property, order="),
    "code": (SimpleImputer(missing_values=0), "SimpleImputer takes 0 for missing in 1, behind other steps; expected NaN"),
    "part": (_columns((StandardScaler(), [0]), (PCA(1), [1, 2])), "PCA maps 1 in a way"),
    "step": (make_pipeline(StandardScaler(), PCA(1)), "PCA maps 1 in a way"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Bins whose width are too small:UserWarning")
@pytest.mark.filterwarnings("ignore:The current default behavior, quantile_method:FutureWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_route_is_told_by_name(name: str) -> None:
    step, sentence = REFUSED[name]
    reason = route_through(step.fit(X), Route.of(AXIS))
    assert isinstance(reason, str)
    assert re.search(sentence, reason), reason


def test_a_code_that_is_known_to_be_missing_is_imputed_where_it_is_seen_first() -> None:
    """Behind a scaler the same number is another value."""
    axis = Axis(FEATURE, FEATURE, None, codes=(-9,))
    imputer = SimpleImputer(missing_values=-9).fit(X)
    route = route_through(Pipeline([("imputer", imputer)]), Route.of(axis))
    assert isinstance(route, Route)
    assert dict(route.signs) == {1: 1}
    behind = route_through(make_pipeline(StandardScaler(), SimpleImputer(missing_values=-9)).fit(X), Route.of(axis))
    assert isinstance(behind, str)
