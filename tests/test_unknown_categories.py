"""A category that the model's encoder does not know is named with its feature and a remedy, wherever rows come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, OrdinalEncoder
from xgboost import XGBRegressor

from alignconf import AlignedRegressor, InputError, check
from alignconf.tables.unknown_categories import naming_unknown_categories

RANDOM = np.random.default_rng(0)
X = pd.DataFrame({"x": RANDOM.random(400), "town": RANDOM.choice(["A", "B"], 400), "floor": RANDOM.integers(0, 3, 400)})
Y = np.sin(6 * X["x"]) + (X["town"] == "B") + X["floor"]
ODD = X.assign(town=["Q", *X["town"][1:]])
SAYS = r"feature 'town' has the category 'Q', which an encoder of the model did not see .*Encoder.handle_unknown='ignore'.\."


def encoded(encoder: Any, model: Any, columns: tuple[str, ...] = ("town",)) -> Any:
    return make_pipeline(make_column_transformer((encoder, list(columns)), remainder="passthrough"), model).fit(X, Y)


MODELS: dict[str, Callable[[], Any]] = {
    "one-hot, trees": lambda: encoded(OneHotEncoder(), RandomForestRegressor(10, random_state=0)),
    "ordinal, linear": lambda: encoded(OrdinalEncoder(), Ridge()),
    "two columns": lambda: encoded(OneHotEncoder(), Ridge(), ("floor", "town")),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_door_names_the_feature(name: str) -> None:
    model = MODELS[name]()
    aligned = AlignedRegressor(model, {"x": +1}, alpha=0.1, random_state=0).calibrate(X[:250])
    odd = ODD.iloc[[0, *range(250, 400)]]
    calls: list[Callable[[], Any]] = [
        lambda: aligned.predict(odd),
        lambda: aligned.predict(odd[:1]),
        lambda: aligned.certify(odd),
        lambda: aligned.critical_half_widths(odd),
        lambda: check(model, ODD, {"x": +1}, X_reference=X),
        lambda: AlignedRegressor(model, {"x": +1}, alpha=0.1, random_state=0).calibrate(ODD),
    ]
    for call in calls:
        with pytest.raises(InputError, match=SAYS) as raised:
            call()
        assert "Found unknown categories" in str(raised.value.__cause__)


def test_numbers_and_positions_are_named_too() -> None:
    model = encoded(OneHotEncoder(), Ridge(), ("floor", "town"))
    with pytest.raises(InputError, match="feature 'floor' has the category 77,"):
        check(model, X.assign(floor=77), {"x": +1})
    rows = X[["town", "floor"]].to_numpy(dtype=object)
    of_positions = make_pipeline(OneHotEncoder(), Ridge()).fit(rows, Y)
    odd = rows.copy()
    odd[3, 0] = "Q"
    with pytest.raises(InputError, match="feature 0 has the category 'Q'"):
        check(of_positions, odd, {1: +1})


def test_boosters_that_refuse_and_encoders_of_labels() -> None:
    with pytest.raises(InputError, match=SAYS), naming_unknown_categories(ODD):
        LabelEncoder().fit(X["town"]).transform(ODD["town"])
    if hasattr(xgboost.Booster, "get_categories"):
        rows = X.assign(town=X["town"].astype("category"))
        model = XGBRegressor(n_estimators=3, enable_categorical=True, n_jobs=1).fit(rows, Y)
        with pytest.raises(InputError, match=SAYS):
            check(model, ODD.assign(town=ODD["town"].astype("category")), {"floor": +1})


def test_several_features_that_hold_the_value_are_all_named() -> None:
    both = ODD.assign(street="Q")
    named = "one of the features 'town', 'street' has the category 'Q'"
    with pytest.raises(InputError, match=named), naming_unknown_categories(both):
        raise ValueError("Found unknown categories ['Q'] in column 0 during transform")


def test_other_errors_pass() -> None:
    for said in ("not a number", "Found unknown categories ['elsewhere'] in column 0 during transform"):
        with pytest.raises(ValueError, match=said.split("[")[0]) as raised, naming_unknown_categories(X):
            raise ValueError(said)
        assert not isinstance(raised.value, InputError)
