"""Arrays, pandas and polars: the same rows give the same numbers bit for bit, and a model meets the kind that it knows."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from alignconf import AlignedClassifier, AlignedRegressor, InputError, check
from alignconf.calibration.shift import EstimatedRatio
from alignconf.deployment.monitoring.monitor import Monitor
from alignconf.deployment.monitoring.sequential import SequentialCertificate
from alignconf.properties import AllOf, Concave, Increasing, InvariantUnder, LinearProperty, Ordered

NAMES = ["dose", "age", "dépense €", "n"]
GRADES = ["poor", "fair", "good", "ideal"]
COLOURS = ["red", "green", "blue"]

# Rows and models ------------------------------------------------------------------------------------------------------


def numbers(n_samples: int, seed: int, missing: bool = False) -> NDArray[np.float64]:
    """Return rows of three real columns and a whole one; with missing values every seventh dose lacks."""
    random = np.random.default_rng(seed)
    rows = np.c_[random.random((n_samples, 3)), random.integers(0, 6, n_samples)]
    if missing:
        rows[::7, 0] = np.nan
    return rows


def labels(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    noise = np.random.default_rng(rows.shape[0]).normal(size=len(rows))
    return np.sin(9 * np.nan_to_num(rows[:, 0])) + rows[:, 1] * rows[:, 3] + 0.2 * noise


def as_pandas(rows: NDArray[np.float64]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=NAMES, index=np.arange(len(rows))[::-1])
    return frame.astype({"n": np.int64})


def as_nullable(rows: NDArray[np.float64]) -> pd.DataFrame:
    return as_pandas(rows).astype({name: "Int64" if name == "n" else "Float64" for name in NAMES})


def as_arrow(rows: NDArray[np.float64]) -> pd.DataFrame:
    frame = as_pandas(rows)
    return frame.astype({name: "int64[pyarrow]" if name == "n" else "float64[pyarrow]" for name in NAMES})


def as_polars(rows: NDArray[np.float64]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=NAMES)
    return frame.with_columns(pl.all().fill_nan(None)).with_columns(pl.col("n").cast(pl.Int16))


CONTAINERS: dict[str, Callable[[NDArray[np.float64]], Any]] = {
    "array": lambda rows: rows.copy(),
    "pandas": as_pandas,
    "nullable": as_nullable,
    "arrow": as_arrow,
    "polars": as_polars,
}


def values_of(X: Any, position: int) -> list[Any]:
    """Return a column as a list of plain values, missing ones as None."""
    if isinstance(X, np.ndarray):
        found = X[:, position].tolist()
    elif isinstance(X, pl.DataFrame):
        found = X.to_series(position).to_list()
    else:
        found = X.iloc[:, position].astype(object).tolist()
    return [None if value is None or value is pd.NA or value != value else value for value in found]


def real(X: Any, position: int) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values_of(X, position)], dtype=np.float64)


class Wave(RegressorMixin, BaseEstimator):
    """Swings along the dose in steps of its own making, elementwise, whatever the container; says what kinds it met."""

    def fit(self, X: Any, y: Any) -> Wave:
        self.offset_ = float(np.sort(np.asarray(y, dtype=np.float64)).sum() / len(y))
        self.kind_ = type(X)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        assert type(X) is self.kind_, type(X)
        dose = real(X, 0)
        wave = np.where(np.isnan(dose), 0.5, dose * (1 - dose) * (dose - 0.3))
        return self.offset_ + 8 * wave * real(X, 1) + real(X, 2) * real(X, 3)


class WaveClass(ClassifierMixin, Wave):
    def fit(self, X: Any, y: Any) -> WaveClass:
        self.classes_ = np.unique(y)
        self.kind_, self.offset_ = type(X), 0.0
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        p = 1 / (1 + np.exp(2 - Wave.predict(self, X)))
        return np.c_[1 - p, p]


def parity(X: Any) -> list[str]:
    return ["odd" if value % 2 else "even" for value in real(X, 3)]


def unlabelled(text: str) -> str:
    """Return what is said without the labels of rows, which arrays have none of."""
    return re.sub(r'"label": [^\n]*', '"label": null', re.sub(r"row \S+ \(position (\d+)\)", r"row \1", text))


def figures_of(kind: str, missing: bool, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return everything that is said of rows in a container: numbers, and sentences."""
    container = CONTAINERS[kind]
    sizes = {"train": 150, "rows": 120, "fresh": 90, "early": 40, "late": 41}
    plain = {name: numbers(n_samples, seed, missing) for seed, (name, n_samples) in enumerate(sizes.items())}
    y = {name: labels(rows) for name, rows in plain.items()}
    X = {name: container(rows) for name, rows in plain.items()}
    model = Wave().fit(X["train"], y["train"])
    aligned = AlignedRegressor(model, random_state=0, n_knots=12, n_queries=2, **{"confidence": None, **parameters})
    aligned.calibrate(X["rows"], X_reference=X["train"])
    found: dict[str, Any] = {"lambda_": aligned.lambda_, "calibration": str(aligned.calibration_)}
    found |= {"predict": aligned.predict(X["fresh"]), "interval": aligned.predict_band(X["fresh"])}
    found |= {"certificate": unlabelled(aligned.certify(X["fresh"], y["fresh"]).to_json())}
    found |= {"sequential": str(SequentialCertificate(aligned).update(X["early"]).update(X["late"]))}
    reference_law = parameters.get("reference_law", "marginal")
    found |= {
        "check": unlabelled(
            str(check(model, X["fresh"], parameters["properties"], random_state=0, reference_law=reference_law))
        )
    }
    if parameters.get("alpha") != 0:
        found |= {"widths": aligned.critical_half_widths(X["fresh"])}
        aligned.calibrate_outcome(X["early"], y["early"], difficulty=lambda X: 1 + real(X, 1))
        found |= {"outcome": aligned.predict_outcome_interval(X["fresh"], confidence=0.8)}
        found |= {"cdf": aligned.predict_outcome_cdf(X["fresh"], 1.0)}
    if parameters.get("alpha") != 0 and "groups" not in parameters:
        monitor = Monitor(aligned, window=40).update(X["early"]).update(X["late"])
        found |= {"monitor": str(monitor), "realigned": monitor.realigned().lambda_}
    fitted = AlignedRegressor(Wave(), random_state=0, n_knots=12, **{"confidence": None, **parameters}).fit(
        X["train"], y["train"]
    )
    return found | {"fitted": fitted.predict(X["fresh"])}


#: Whether values are missing, and the parameters. Features are positions, so that sentences are the same too.
CASES: dict[str, tuple[bool, dict[str, Any]]] = {
    "one feature": (False, {"properties": {0: 1}}),
    "missing": (True, {"properties": {0: -1}}),
    "two features": (False, {"properties": {0: 1, 3: -1}}),
    "curved": (False, {"properties": [Concave(0)], "projection": "sup"}),
    "path": (False, {"properties": {0: 1}, "query_law": "path"}),
    "conditional": (False, {"properties": {0: 1}, "reference_law": "conditional"}),
    "groups": (False, {"properties": {0: 1}, "groups": parity, "alpha": 0.3}),
    "surrogate": (False, {"properties": {0: 1, 1: 1, 2: 1, 3: -1}, "alpha": 0.3}),
    "difficulty": (False, {"properties": {0: 1}, "difficulty": lambda X: 1 + real(X, 1)}),
    "orbit": (False, {"properties": [LinearProperty([{0: 0.25}, {0: 0.75}], [1, -1], 0)]}),
    "full strength": (True, {"properties": {0: 1}, "alpha": 0}),
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] * (case in ("conditional", "surrogate"))) for case in CASES]
)
def test_every_container_gives_the_same(case: str) -> None:
    missing, parameters = CASES[case]
    expected = figures_of("array", missing, parameters)
    kinds = ["pandas", "nullable", "arrow", "polars"] if case in ("one feature", "missing") else ["pandas", "polars"]
    for kind in kinds:
        found = figures_of(kind, missing, parameters)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            if isinstance(value, str):
                assert found[name] == value, (kind, name)
            else:
                np.testing.assert_array_equal(found[name], value, err_msg=f"{kind}, {name}")


@pytest.mark.parametrize("scale", ["probability", "logit"])
def test_every_container_gives_the_same_probabilities(scale: str) -> None:
    train, rows, fresh = (numbers(n_samples, seed) for seed, n_samples in enumerate((200, 150, 90)))
    outcomes = [np.where(labels(one) > 1.5, "yes", "no") for one in (train, rows, fresh)]
    found: dict[str, list[Any]] = {}
    for kind, container in CONTAINERS.items():
        model = WaveClass().fit(container(train), outcomes[0])
        aligned = AlignedClassifier(model, {0: 1}, scale=scale, random_state=0, n_knots=12, confidence=None).calibrate(
            container(rows)
        )
        certificate = unlabelled(aligned.certify(container(fresh), outcomes[2]).to_json())
        found[kind] = [aligned.predict_proba(container(fresh)), aligned.predict_band(container(fresh)), certificate]
    for kind, (probabilities, interval, certificate) in found.items():
        np.testing.assert_array_equal(probabilities, found["array"][0], err_msg=kind)
        np.testing.assert_array_equal(interval, found["array"][1], err_msg=kind)
        assert certificate == found["array"][2], kind


def test_trees_are_read_and_asked_in_every_container() -> None:
    """A forest of scikit-learn is read: its pieces are the same whatever it was fitted on."""
    found = {}
    for kind, container in CONTAINERS.items():
        train, rows, fresh = (container(numbers(n_samples, seed)) for seed, n_samples in enumerate((200, 150, 90)))
        forest = RandomForestRegressor(10, random_state=0).fit(train, labels(numbers(200, 0)))
        aligned = AlignedRegressor(forest, {0: -1}, random_state=0, confidence=None).calibrate(rows)
        assert "trees" in aligned.calibration_.repair
        found[kind] = aligned.predict(fresh)
        np.testing.assert_array_equal(found[kind], found["array"], err_msg=kind)


def test_deployment_rows_of_polars_give_the_same_ratio() -> None:
    found = []
    for container in (as_pandas, as_polars):
        train, rows, deployed = (container(numbers(n_samples, seed)) for seed, n_samples in enumerate((200, 150, 90)))
        model = Wave().fit(train, labels(numbers(200, 0)))
        aligned = AlignedRegressor(
            model, {0: 1}, shift=EstimatedRatio(deployed), alpha=0.3, random_state=0, n_knots=12, confidence=None
        )
        found.append(aligned.calibrate(rows, X_reference=train).predict(deployed))
    np.testing.assert_array_equal(*found)


# Categories -----------------------------------------------------------------------------------------------------------


def mixed_pandas(n_samples: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "size": random.random(n_samples),
            "grade": pd.Categorical([GRADES[i] for i in random.integers(0, 4, n_samples)], GRADES, ordered=True),
            "colour": pd.Categorical([COLOURS[i] for i in random.integers(0, 3, n_samples)], COLOURS),
            "sold": random.random(n_samples) < 0.5,
            "n": pd.array(random.integers(0, 9, n_samples), dtype="Int32"),
        }
    )
    frame.loc[::9, "grade"] = None
    return frame


def mixed_polars(n_samples: int, seed: int, colour: Any = pl.Categorical) -> pl.DataFrame:
    """Return the same rows, built from plain lists."""
    frame = mixed_pandas(n_samples, seed)
    columns = {name: [None if value != value else value for value in frame[name].astype(object)] for name in frame}
    types = {"grade": pl.Enum(GRADES), "colour": colour, "n": pl.Int32, "size": pl.Float64, "sold": pl.Boolean}
    return pl.DataFrame(columns, schema_overrides=types)


def mixed_labels(n_samples: int, seed: int) -> NDArray[np.float64]:
    frame = mixed_pandas(n_samples, seed)
    worth = {"poor": 0.0, "fair": 2.0, "good": 1.0, "ideal": 3.0}
    grade = np.array([worth.get(value, 1.5) for value in frame["grade"].astype(object)])
    return (
        grade * (1 + frame["size"].to_numpy())
        + (frame["colour"] == "red").to_numpy()
        + np.sin(7 * frame["size"].to_numpy())
    )


def encoded(kind: str) -> Any:
    """Return a Pipeline that reads raw columns by name, its own output in the container of the rows."""
    columns = ColumnTransformer(
        [
            ("colour", OneHotEncoder(sparse_output=False), ["colour"]),
            (
                "grade",
                OrdinalEncoder(categories=[GRADES], handle_unknown="use_encoded_value", unknown_value=-1),
                ["grade"],
            ),
            ("size", StandardScaler(), ["size"]),
        ],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform=kind)
    return make_pipeline(columns, HistGradientBoostingRegressor(max_iter=20, random_state=0))


PROPERTIES: dict[str, Any] = {
    "the order of the type": {"grade": 1},
    "an order that is given": [Ordered("grade", GRADES)],
    "number and category": [AllOf(Increasing("size"), Increasing("grade"))],
    "a number behind a scaler": {"size": "decreasing"},
    "points of categories": [LinearProperty([{"colour": "red"}, {"colour": "blue"}], [1, -1], 0)],
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_pipeline_is_constrained_on_its_raw_columns(name: str) -> None:
    found = []
    for kind, make in (("pandas", mixed_pandas), ("polars", mixed_polars)):
        model = encoded(kind).fit(make(300, 0), mixed_labels(300, 0))
        aligned = AlignedRegressor(
            model, PROPERTIES[name], alpha=0.05, random_state=0, n_knots=8, confidence=None
        ).calibrate(make(200, 1))
        fresh = make(150, 2)
        audit = check(model, fresh, PROPERTIES[name], random_state=0)
        found.append([aligned.predict(fresh), aligned.predict_band(fresh), aligned.critical_half_widths(fresh)])
        found[-1] += [str(aligned.certify(fresh, mixed_labels(150, 2))), unlabelled(str(audit)), aligned.lambda_]
        assert aligned.feature_names_in_.tolist() == ["size", "grade", "colour", "sold", "n"]
    assert found[0][-1] > 0
    for one, other in zip(*found, strict=True):
        assert one == other if isinstance(one, str) else np.array_equal(one, other, equal_nan=True)


def test_full_strength_makes_the_grades_of_an_enum_ordered() -> None:
    model = encoded("polars").fit(mixed_polars(300, 0), mixed_labels(300, 0))
    aligned = AlignedRegressor(model, {"grade": 1}, alpha=0, random_state=0).calibrate(mixed_polars(200, 1))
    fresh = mixed_polars(60, 2)

    def line(function: Any) -> NDArray[np.float64]:
        moved = [fresh.with_columns(pl.lit(grade, dtype=pl.Enum(GRADES)).alias("grade")) for grade in GRADES]
        return np.stack([function.predict(one) for one in moved], axis=1)

    assert np.diff(line(model), axis=1).min() < -0.3
    assert np.diff(line(aligned), axis=1).min() > -1e-9


def test_an_enum_that_lists_fewer_categories_is_predicted_the_same() -> None:
    model = encoded("polars").fit(mixed_polars(300, 0), mixed_labels(300, 0))
    aligned = AlignedRegressor(model, {"grade": 1}, alpha=0, random_state=0).calibrate(mixed_polars(200, 1))
    part = mixed_polars(150, 2).filter(pl.col("grade").cast(pl.String).is_in(["fair", "good"]))
    narrow = part.with_columns(pl.col("grade").cast(pl.String).cast(pl.Enum(["fair", "good"])))
    expected = aligned.predict(part)
    assert (expected != model.predict(part)).any()
    np.testing.assert_array_equal(aligned.predict(narrow), expected)


def test_a_categorical_of_polars_has_no_order_of_its_own() -> None:
    frame = mixed_polars(120, 1)
    with pytest.raises(
        InputError, match=r"feature 'colour' has values such as .* which have no order; list the categories"
    ):
        AlignedRegressor(encoded("polars").fit(frame, mixed_labels(120, 1)), {"colour": 1}, confidence=None).calibrate(
            frame
        )


def test_rows_of_one_container_may_be_predicted_in_the_other_if_the_model_can() -> None:
    class Either(Wave):
        def predict(self, X: Any) -> NDArray[np.float64]:
            self.kind_ = type(X)
            return super().predict(X)

    model = Either().fit(as_pandas(numbers(50, 0)), labels(numbers(50, 0)))
    aligned = AlignedRegressor(model, {"dose": 1}, random_state=0, confidence=None).calibrate(
        as_pandas(numbers(150, 1))
    )
    fresh = numbers(80, 2)
    np.testing.assert_array_equal(aligned.predict(as_polars(fresh)), aligned.predict(as_pandas(fresh)))
    with pytest.raises(InputError, match=r"missing .'dose'.; not seen before .'DOSE'."):
        aligned.predict(as_polars(fresh).rename({"dose": "DOSE"}))


def test_labels_weights_and_groups_may_be_series_of_polars() -> None:
    rows, fresh = numbers(300, 0), numbers(90, 2)
    found = []
    for container, series in ((as_pandas, pd.Series), (as_polars, pl.Series)):
        forest = RandomForestRegressor(5, random_state=0)
        aligned = AlignedRegressor(forest, {"dose": 1}, alpha=0.3, random_state=0, n_knots=8, confidence=None)
        groups = [["a", "b"][int(value > 2)] for value in rows[:, 3]]
        aligned.fit(container(rows), series(labels(rows)), groups=series(groups), sample_weight=series(1 + rows[:, 1]))
        of_fresh = [["a", "b"][int(value > 2)] for value in fresh[:, 3]]
        certificate = aligned.certify(container(fresh), series(labels(fresh)), groups=series(of_fresh))
        found.append([aligned.predict(container(fresh), groups=series(of_fresh)), str(certificate)])
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_a_classifier_on_frames_with_groups_in_a_column() -> None:
    found = []
    for kind, make in (("pandas", mixed_pandas), ("polars", mixed_polars)):
        model = make_pipeline(encoded(kind)[0], RandomForestClassifier(10, random_state=0))
        model.set_params(
            columntransformer__grade__handle_unknown="use_encoded_value", columntransformer__grade__unknown_value=-2
        )
        frame = make(400, 0)
        aligned = AlignedClassifier(
            model, {"size": 1}, alpha=0.3, groups="colour", random_state=0, n_knots=8, confidence=None
        )
        aligned.fit(frame, mixed_labels(400, 0) > 3)
        found.append([aligned.predict_proba(make(90, 1)), aligned.predict_band(make(90, 1))])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_transforms_of_rows_may_be_written_in_polars() -> None:
    """A swap of two columns by the user's own function: the value no longer depends on their order."""

    def swapped(X: pl.DataFrame) -> pl.DataFrame:
        return X.with_columns(age=pl.col("dépense €"), **{"dépense €": pl.col("age")})

    train, fresh = as_polars(numbers(150, 0)), as_polars(numbers(80, 1))
    model = Wave().fit(train, labels(numbers(150, 0)))
    aligned = AlignedRegressor(model, [InvariantUnder([swapped])], alpha=0, random_state=0).calibrate(train)
    assert np.abs(model.predict(fresh) - model.predict(swapped(fresh))).max() > 0.1
    np.testing.assert_allclose(aligned.predict(fresh), aligned.predict(swapped(fresh)), rtol=1e-12)


# What is refused, and what is left alone ------------------------------------------------------------------------------


def test_frames_of_polars_are_never_written_to() -> None:
    rows, fresh = mixed_polars(200, 1), mixed_polars(150, 2)
    before = rows.clone(), fresh.clone()
    model = encoded("polars").fit(mixed_polars(300, 0), mixed_labels(300, 0))
    aligned = AlignedRegressor(model, {"grade": 1, "size": -1}, n_knots=8, random_state=0, confidence=None).calibrate(
        rows
    )
    aligned.predict(fresh)
    aligned.certify(fresh)
    assert rows.equals(before[0])
    assert fresh.equals(before[1])
    assert rows.schema == before[0].schema


def test_a_lazy_frame_is_not_computed_yet() -> None:
    aligned = AlignedRegressor(Wave(), {"dose": 1}, confidence=None)
    lazy = as_polars(numbers(50, 0)).lazy()
    with pytest.raises(InputError, match=r"X is a polars\..*LazyFrame, not computed yet; call its \.collect\(\) first"):
        aligned.calibrate(lazy)


def test_unknown_names_list_the_columns_of_polars() -> None:
    with pytest.raises(InputError, match="feature 'weight' is not in X: X has columns 'dose', 'age', 'dépense €', 'n'"):
        check(Wave().fit(as_polars(numbers(50, 0)), np.ones(50)), as_polars(numbers(50, 0)), {"weight": 1})


def test_polars_needs_no_pandas() -> None:
    """pandas made impossible to import: calibration, certificates, audits, outcomes and intervals in polars."""
    program = (
        "import sys\n"
        "class NoPandas:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'pandas':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NoPandas())\n"
        "import numpy as np, polars as pl\n"
        "from sklearn.ensemble import HistGradientBoostingRegressor\n"
        "from alignconf import AlignedRegressor, check\n"
        "from alignconf.deployment.monitoring.monitor import Monitor\n"
        "random = np.random.default_rng(0)\n"
        "grades = pl.Enum(['low', 'mid', 'high'])\n"
        "def rows(n):\n"
        "    grade = pl.Series([['low', 'mid', 'high'][i] for i in random.integers(0, 3, n)], dtype=grades)\n"
        "    return pl.DataFrame({'a': random.random(n), 'b': random.random(n), 'grade': grade})\n"
        "class Model:\n"
        "    def predict(self, X):\n"
        "        return np.sin(9 * X['a'].to_numpy()) * X['b'].to_numpy() - X['grade'].to_physical().to_numpy() % 2\n"
        "aligned = AlignedRegressor(Model(), {'a': 1, 'grade': 1}, random_state=0, n_knots=8).calibrate(rows(200))\n"
        "aligned.calibrate_outcome(rows(50), random.random(50)).set_output(transform='polars')\n"
        "print(check(Model(), rows(100), {'grade': 1}, random_state=0))\n"
        "print(aligned.certify(rows(90), random.random(90)), Monitor(aligned).update(rows(30)))\n"
        "assert aligned.predict_outcome_interval(rows(9)).columns == ['lower', 'upper']\n"
        "model = HistGradientBoostingRegressor(max_iter=5, random_state=0)\n"
        "AlignedRegressor(model, {'a': 1}, random_state=0).fit(rows(200).drop('grade'), random.random(200))\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
