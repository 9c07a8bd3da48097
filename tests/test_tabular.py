"""The tabular suite runs as printed, resumes after a kill, refuses wrong files and names what is missing."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from fractions import Fraction
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gmean

from alignconf.properties import Concave, Decreasing, Increasing, Invariant
from benchmarks.__main__ import main
from benchmarks.credit.dictionary import HELOC, PAY_STATUSES
from benchmarks.many.ruled_data import RULED
from benchmarks.methods import IceLoop, Rearranged
from benchmarks.models import Recipe
from benchmarks.problems import Rows, Split
from benchmarks.tabular.cells import Job, Row, Settings, run
from benchmarks.tabular.classes import ClassProbability, WithProbability
from benchmarks.tabular.lineup import Case, NotApplicable, methods
from benchmarks.tabular.measures import asked, error, violations
from benchmarks.tabular.models import MODELS, recipe
from benchmarks.tabular.problems import PROBLEMS, load
from benchmarks.tabular.remembered import remembering, seconds_saved, unwrapped
from benchmarks.tabular.runner import complete, named, plan, read_rows
from benchmarks.tabular.sources import SOURCES, MissingData, obtain
from benchmarks.tabular.summary import cells, compared, over_seeds, promises, wins

FEW = ("unaligned", "retrained", "ICE", "aligned 0 l2 marginal", "aligned 0.1 l2 marginal", "existence band 0.1")
TINY = Settings(quick=True, max_rows=250, max_calibrate=40, max_fresh=30, n_queries=2, only=FEW)
BMI, IRIS = "diabetes: increasing in bmi", "iris: decreasing in petal length (cm) [0]"
MODEL = "hist_gradient_boosting"


def untimed(rows: list[Row]) -> list[dict[str, object]]:
    return [{name: value for name, value in asdict(row).items() if not name.endswith("_time")} for row in rows]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The suite on two problems with one model, as typed, and what it printed."""
    output = tmp_path_factory.mktemp("tabular")
    arguments = ["--quick", "--only", "increasing in bp", "iris", "--models", MODEL, "--rows", "250", "--jobs", "1"]
    arguments += [
        "--methods",
        "retrained",
        "EBM",
        "ICE",
        "rearranged",
        "aligned 0 l2",
        "aligned 0.1 l2 m",
        "existence band 0.2",
    ]
    printed = StringIO()
    with redirect_stdout(printed):
        main(["tabular", *arguments, "--output", str(output)])
    return output, printed.getvalue()


def test_the_report_has_every_method_and_stands_alone(finished: tuple[Path, str]) -> None:
    output, printed = finished
    table = pd.read_csv(output / "tabular.csv")
    assert set(table.method) == {method.name for method in methods()}
    assert set(table.problem) == {IRIS, "diabetes: increasing in bmi and increasing in bp"}
    full = table[(table.alpha == 0) & table.skipped.isna()]
    assert len(full) == 2 * 2
    assert (full.violation_rate == 0).all()
    page = (output / "tabular.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.replace("https://doi", "")
    assert 'name="viewport"' in page
    for heading in ("Errors, compared", "Delivered violations", "Win/loss matrix", "Not applicable"):
        assert f"## {heading}" in (output / "tabular.md").read_text()
    stored = json.loads((output / "tabular.json").read_text())
    ratio = stored["results"]["headlines"]["aligned, alpha 0 / unaligned, all models"]["ratio"]
    assert f"{ratio:.4f}" in printed
    assert stored["results"]["problems"][IRIS]["stated_by"] == "picked for this suite"
    assert stored["environment"]["numpy"] == np.__version__


def test_headline_is_the_geometric_mean_of_the_rows(finished: tuple[Path, str]) -> None:
    output, _ = finished
    table = pd.read_csv(output / "tabular.csv")
    full = table[(table.alpha == 0) & (table.projection == "l2") & (table.reference == "marginal")]
    own = table[table.method == "unaligned"].set_index("problem").error
    stored = json.loads((output / "tabular.json").read_text())["results"]["headlines"]
    expected = gmean(full.set_index("problem").error / own)
    assert stored["aligned, alpha 0 / unaligned, all models"]["ratio"] == pytest.approx(expected)


def test_a_killed_run_resumes_without_loss_or_repetition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    todo = plan([BMI, IRIS], [MODEL], 1, TINY, None)
    rows = complete(todo, tmp_path, 1)
    path = tmp_path / "tabular.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[: len(second) // 2])
    asked_for = []

    def counted(job: Job, *given: Any, **choices: Any) -> list[Row]:
        asked_for.append(job)
        return run(job, *given, **choices)

    monkeypatch.setattr("benchmarks.tabular.runner.run", counted)
    assert untimed(complete(todo, tmp_path, 1)) == untimed(rows)
    assert asked_for == [todo.jobs[1]]
    assert len(read_rows(path)) == 2
    complete(todo, tmp_path, 1)
    assert len(asked_for) == 1
    other = replace(todo, settings=replace(TINY, n_queries=1), jobs=todo.jobs[:1])
    complete(other, tmp_path, 1)
    assert len(asked_for) == 2


@pytest.mark.slow
def test_two_jobs_give_what_one_gives(tmp_path: Path) -> None:
    todo = plan([BMI, IRIS], [MODEL], 1, TINY, None)
    alone, beside = (complete(todo, tmp_path / str(n_jobs), n_jobs) for n_jobs in (1, 2))
    assert untimed(alone) == untimed(beside)


def test_a_file_with_another_checksum_is_refused(tmp_path: Path) -> None:
    (tmp_path / "engel.csv").write_text("income,foodexp\n1,2\n")
    with pytest.raises(SystemExit, match=r"engel\.csv has the sha256 [0-9a-f]{64}, expected 1ab6a5c4e8"):
        obtain("engel", ("income",), tmp_path)


def test_what_is_missing_is_skipped_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.tabular.models.find_spec", lambda _: None)
    concrete = "concrete: increasing in cement"
    todo = plan([concrete, BMI], ["xgboost", MODEL], 1, TINY, tmp_path)
    assert [(one.name, one.reason) for one in todo.skipped] == [
        (concrete, f"concrete: concrete.csv is not in {tmp_path}"),
        ("xgboost", "xgboost is not installed"),
    ]
    assert todo.jobs == (Job(BMI, MODEL, 0),)
    with pytest.raises(SystemExit, match="nothing is left to run"):
        main(["tabular", "--only", concrete, "--output", str(tmp_path)])
    assert f"skipped {concrete}: concrete: no --data directory given" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no problem has 'cheese' in its name"):
        named(PROBLEMS, ["cheese"])


def test_installed_packages_and_the_network_are_asked_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader that fails is named with its words, one whose table lacks a column with the column."""
    table = pd.DataFrame({"Income": [1.0], "Food Exp": [2.0]})
    monkeypatch.setitem(SOURCES, "engel", replace(SOURCES["engel"], installed=lambda: table))
    with pytest.raises(
        MissingData, match="engel: no --data directory given; installed package: its table lacks foodexp"
    ):
        obtain("engel", ("income",), None)
    whole = table.rename(columns={"Food Exp": "FoodExp"})
    monkeypatch.setitem(SOURCES, "engel", replace(SOURCES["engel"], installed=lambda: whole))
    assert list(obtain("engel", ("income",), None)) == ["income", "foodexp"]
    monkeypatch.setitem(sys.modules, "ucimlrepo", None)
    with pytest.raises(MissingData, match="yacht: no --data directory given; UCI repository: "):
        obtain("yacht", (), None, download=True)


@pytest.mark.parametrize(
    ("package", "name", "n_rows", "mean"), [("statsmodels", "engel", 235, 624.15), ("sklego", "abalone", 4177, 9.93)]
)
def test_tables_of_installed_packages_are_those_of_the_files(package: str, name: str, n_rows: int, mean: float) -> None:
    pytest.importorskip(package, reason="it comes with the extra 'benchmarks'")
    table = obtain(name, (), None)
    assert len(table) == n_rows
    assert table[SOURCES[name].target].mean() == pytest.approx(mean, abs=0.005)


def test_the_catalogue_is_as_large_as_it_says() -> None:
    assert len(PROBLEMS) >= 20
    assert len({problem.dataset for problem in PROBLEMS.values()}) >= 14
    assert {problem.kind for problem in PROBLEMS.values()} == {"regression", "ordinal", "binary", "multiclass"}
    for problem in PROBLEMS.values():
        assert problem.stated_by
        assert problem.name.startswith(problem.dataset)
        assert len(SOURCES[problem.dataset].sha256) == 64 or SOURCES[problem.dataset].bundled is not None


def test_columns_become_numbers_along_their_order() -> None:
    table = pd.DataFrame({"safety": ["low", "high", "med"], "n": [1.0, np.nan, 3.0], "free": ["b", "a", None],
                          "acceptability": ["acc", "acc", "unacc"]})  # fmt: skip
    problem = replace(
        PROBLEMS["car_evaluation: increasing in safety and decreasing in buying"], properties={"safety": 1}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.tabular.problems.obtain", lambda *_, **__: table)
        loaded = load(problem, None, max_rows=10)
        assert loaded.rows.X.to_dict("list") == {"safety": [0.0, 1.0], "n": [1.0, 3.0], "free": [1.0, 2.0]}
        assert loaded.rows.y.tolist() == [1.0, 0.0]
        assert loaded.nominal == ("free",)
        table.loc[0, "safety"] = "unknown"
        with pytest.raises(SystemExit, match="column 'safety' has the value 'unknown'; expected one of"):
            load(problem, None, max_rows=10)


def test_special_codes_are_missing_values_of_rows_that_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that hold nothing but the first code are no records; every rule of the source is asked."""
    heloc, taiwan = PROBLEMS["heloc: 18 rules"], PROBLEMS["taiwan_credit: 13 rules"]
    assert heloc.properties is RULED["heloc"].signs
    assert taiwan.properties is RULED["taiwan_credit"].signs
    table = pd.DataFrame({name: [-9, -7, 5, -8] for name in HELOC.signs} | {"risk_bad": [1, 0, 1, 0]})
    table["num_total_trades"] = [-9, 3, -9, 8]
    monkeypatch.setattr("benchmarks.tabular.problems.obtain", lambda *_, **__: table)
    X = load(heloc, None, max_rows=10).rows.X
    np.testing.assert_array_equal(X["max_delq_ever"], [np.nan, 5, np.nan])
    np.testing.assert_array_equal(X["num_total_trades"], [3, np.nan, 8])
    table = pd.DataFrame({name: ["Zero", "Unk", "Two"] for name in PAY_STATUSES})
    table = table.assign(sex=["male", None, "female"], default_next_month=[0, 1, 0])
    loaded = load(taiwan, None, max_rows=10)
    np.testing.assert_array_equal(loaded.rows.X["pay_status_sep"], [1, np.nan, 3])
    np.testing.assert_array_equal(loaded.rows.X["sex"], [1, np.nan, 0])
    assert loaded.nominal == ("sex",)


def test_rows_that_lack_a_feature_obey_its_rule() -> None:
    X = pd.DataFrame({"a": [-1.0, np.nan, 0.0, 1.0, np.nan], "b": 0.0})
    queries = asked(Decreasing("a"), X, 5, 400, seed=1)
    assert np.isfinite(queries[0].places).all()
    rate = violations(_Square(), X, None, queries, 2.0**-44).rate
    present = violations(_Square(), X.fillna({"a": 0.0}), None, queries, 2.0**-44).rate
    # Of pairs of -1, 0 and 1 two of nine are (0, 1) in either order; two fifths of the rows are not asked.
    assert present == pytest.approx(2 / 9, abs=5 * (2 / 9 * 7 / 9 / 2000) ** 0.5)
    assert rate == pytest.approx(3 / 5 * 2 / 9, abs=5 * (2 / 9 * 7 / 9 / 1200) ** 0.5)


class _Square:
    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return X.a.to_numpy() ** 2 + X.b.to_numpy()


def test_fresh_queries_have_the_rates_that_can_be_worked_out() -> None:
    """For ``a`` uniform on -1, 0, 1: decreasing pairs of ``a^2``, concave triples, and pairs that differ, counted by hand.

    Eight tests of 30,000 independent queries at five standard errors: a false alarm in 5e-6 of all seeds.
    """
    X = pd.DataFrame({"a": [-1.0, 0.0, 1.0], "b": [0.0, 0.0, 0.0]})
    rows = pd.DataFrame({"a": np.zeros(300), "b": np.arange(300.0)})
    cases = (
        (Increasing("a"), Fraction(2, 9), Fraction(2, 9)),  # (-1, 0) in either order
        (Invariant("a"), Fraction(4, 9), Fraction(4, 9)),  # 0 and something else
        (Concave("a"), Fraction(6, 27), None),  # all three, in any order
    )
    for part, rate, size in cases:
        queries = asked(part, X, 300, 100, seed=3)
        found = violations(_Square(), rows, None, queries, 2.0**-44)
        reach = 5 * float(rate * (1 - rate) / 30_000) ** 0.5
        assert found.rate == pytest.approx(float(rate), abs=reach)
        if size is not None:
            assert found.size == pytest.approx(float(size), abs=reach)
    both = asked([Increasing("a"), Invariant("b")], X.assign(b=[0.0, 0.0, 0.0]), 300, 100, seed=4)
    assert violations(_Square(), rows, None, both, 2.0**-44).rate == pytest.approx(2 / 9, abs=0.012)


class _Coin:
    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        p = X.a.to_numpy() / 10
        return np.column_stack([p, (1 - p) / 4, 3 * (1 - p) / 4])


def test_a_class_is_moved_and_the_others_keep_their_proportions() -> None:
    from sklearn.metrics import log_loss

    X = pd.DataFrame({"a": [1.0, 9.0, 4.0]})
    coin = _Coin()
    same = WithProbability(coin, 0, ClassProbability(coin, 0)).predict_proba(X)
    np.testing.assert_allclose(same, coin.predict_proba(X), atol=1e-15)
    moved = WithProbability(coin, 0, _Constant(0.5)).predict_proba(X)
    np.testing.assert_allclose(moved, [[0.5, 0.125, 0.375]] * 3, atol=1e-15)
    y = np.array([0, 2, 1])
    assert error(coin, X, y, is_classification=True) == pytest.approx(log_loss(y, coin.predict_proba(X)))


class _Constant:
    def __init__(self, value: float) -> None:
        self.value = value

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return np.full(len(X), self.value)


def test_rearrangement_sorts_and_keeps_the_mean_where_the_loop_does_not() -> None:
    X = pd.DataFrame({"a": np.linspace(-1, 1, 64), "b": 0.0})
    model = _Square()
    sorted_, looped = (loop(model, "a", 1, X).predict(X) for loop in (Rearranged, IceLoop))
    np.testing.assert_allclose(sorted_, np.sort(model.predict(X)), atol=1e-9)
    assert (np.diff(looped) >= -1e-12).all()
    assert looped.mean() > sorted_.mean() + 0.1


def test_every_model_is_built_for_every_kind_and_constrained_where_it_can() -> None:
    pytest.importorskip("lightgbm")
    random = np.random.default_rng(0)
    X = pd.DataFrame({"a": random.normal(size=80), "c": random.integers(0, 3, 80).astype(float)})
    constrained = {"xgboost", "lightgbm", "hist_gradient_boosting", "random_forest", "ebm"}
    for name in MODELS:
        for kind, n_classes in (("regression", 0), ("binary", 2), ("multiclass", 3)):
            built = recipe(name, kind, ("c",), quick=True)
            assert (built.build_constrained is not None) == (name in constrained and kind != "multiclass")
            if name == "ebm":
                continue
            y = random.integers(0, n_classes, 80) if n_classes else random.normal(size=80)
            if kind == "multiclass" and name == "mlp":
                y = np.arange(80) % 3
            model = built.build(0).set_params() if name not in ("mlp", "svr") else None
            if model is not None:
                assert model.fit(X, y).predict(X).shape == (80,)


def test_methods_say_why_they_do_not_apply() -> None:
    problem = PROBLEMS[BMI]
    rows = Rows(pd.DataFrame({"bmi": [1.0, 2.0]}), np.array([1.0, 2.0]))
    case = Case(problem, Recipe("mlp", lambda _: None, None), None, Split(rows, rows, rows, rows), None, 0)
    by_name = {method.name: method for method in methods() if method.alpha is None}
    with pytest.raises(NotApplicable, match="mlp has no such constraint for regression targets"):
        by_name["retrained"].deliver(case)
    with pytest.raises(NotApplicable, match="only explainable boosting machines have it"):
        by_name["EBM monotonize"].deliver(case)
    concave = replace(case, problem=replace(problem, properties=Concave("bmi")))
    with pytest.raises(NotApplicable, match="the rule is not one of monotone features"):
        by_name["ICE loop"].deliver(concave)
    joint = replace(case, problem=replace(problem, properties={"bmi": 1, "bp": 1}))
    with pytest.raises(NotApplicable, match="written for one feature"):
        by_name["rearranged"].deliver(joint)


def test_nothing_is_conditioned_on_where_all_columns_are_constrained() -> None:
    problem = next(one for name, one in PROBLEMS.items() if name.startswith("engel"))
    rows = Rows(pd.DataFrame({"income": [1.0, 2.0]}), np.array([1.0, 2.0]))
    case = Case(problem, Recipe("mlp", lambda _: None, None), None, Split(rows, rows, rows, rows), None, 0)
    with pytest.raises(NotApplicable, match="no column is left to condition on"):
        next(method for method in methods() if method.reference == "conditional").deliver(case)
    many = replace(case, problem=PROBLEMS["heloc: 18 rules"])
    with pytest.raises(NotApplicable, match="conditional laws of 18 features, a forest each, are left out"):
        next(method for method in methods() if method.reference == "conditional").deliver(many)


class _Slow:
    classes_ = np.array(["no", "yes"])

    def __init__(self) -> None:
        self.n_asked = 0

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        self.n_asked += len(X)
        return X.a.to_numpy() * 10 + X.b.to_numpy()


class _SlowClassifier(_Slow):
    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        p = self.predict(X) / 100
        return np.column_stack([1 - p, p])


def test_a_slow_model_is_asked_each_row_once() -> None:
    X = pd.DataFrame({"a": [1.0, 2.0, 1.0, 3.0, 2.0], "b": [0.0, 1.0, 0.0, 2.0, 2.0]})
    slow = _Slow()
    model = remembering(slow)
    for _ in range(3):
        assert model.predict(X).tolist() == [10, 21, 10, 32, 22]
    assert slow.n_asked == 4
    assert model.predict(X[::-1]).tolist() == [22, 32, 10, 21, 10]
    assert slow.n_asked == 8
    assert unwrapped(model) is unwrapped(slow) is slow
    assert seconds_saved(model) > 0 == seconds_saved(slow)
    classifier = remembering(_SlowClassifier())
    np.testing.assert_array_equal(classifier.predict_proba(X), _SlowClassifier().predict_proba(X))
    assert classifier.predict(X.assign(a=9.0)).tolist() == ["yes"] * 5


def test_results_do_not_depend_on_what_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(IRIS, "mlp", 0)
    remembered = run(job, None, TINY)
    monkeypatch.setattr("benchmarks.tabular.cells.remembering", lambda model: model)
    for one, other in zip(remembered, run(job, None, TINY), strict=True):
        for name, value in untimed([one])[0].items():
            expected = untimed([other])[0][name]
            assert value == (pytest.approx(expected, abs=1e-9) if isinstance(value, float) else expected), name


def made_up(method: str, dataset: str, seed: int, found: float, **more: Any) -> Row:
    row = Row(f"{dataset}: p", dataset, "regression", "m", seed, "s", method, None, "", "", error=found)
    return replace(row, n_calibrate=100, n_fresh=100, **more)


def test_ratios_are_paired_over_seeds_and_datasets() -> None:
    errors = {"A": ((2.0, 1.0), (8.0, 2.0)), "B": ((3.0, 3.0), (1.0, 1.0))}
    rows = [made_up(name, dataset, seed, pair[i]) for dataset, pairs in errors.items() for seed, pair in enumerate(pairs)
            for i, name in enumerate(("one", "two"))]  # fmt: skip
    found = cells(rows)
    result = compared(found, "one", "two")
    assert result.ratio == pytest.approx(8**0.25)
    assert (result.low, result.high) == pytest.approx((1, 8**0.5))
    assert (result.n_cells, result.n_datasets, result.won) == (2, 2, 0)
    ratio, low, high = over_seeds(found["A: p", "m", "one"], found["A: p", "m", "two"])
    assert ratio == pytest.approx(8**0.5)
    assert np.log(high) - np.log(ratio) == pytest.approx(12.7062 * np.log(2) / 2, rel=1e-4)
    assert low * high == pytest.approx(ratio**2)
    lower, both = wins(found, ("one", "two"))
    assert lower.tolist() == [[0, 0], [1, 0]]
    assert both.tolist() == [[0, 2], [2, 0]]


def test_a_promise_is_broken_beyond_three_standard_errors() -> None:
    reach = 3 * (0.1 * 0.9 * 0.02 / 2) ** 0.5
    for excess, broken in ((0.99 * reach, False), (1.01 * reach, True)):
        rows = [made_up("existence band", "A", seed, 1.0, alpha=0.1, promised_rate=0.1 + excess) for seed in (0, 1)]
        (one,) = promises(cells(rows))
        assert one.standard_error == pytest.approx(reach / 3)
        assert one.is_broken is broken
