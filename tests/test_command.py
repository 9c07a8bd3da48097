"""The command line: what it finds, how it ends, what it writes and what it refuses."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeRegressor

from alignconf import AlignedRegressor, InputError, check
from alignconf.command import main
from alignconf.command.declarations import Columns, read_properties
from alignconf.command.files import load_model, load_rows
from alignconf.properties import (
    Bounded,
    Concave,
    Convex,
    Decreasing,
    DiminishingReturns,
    Dominates,
    Increasing,
    Invariant,
    Lipschitz,
    Ordered,
    SlopeAtLeast,
    SlopeAtMost,
    Unimodal,
)
from alignconf.tables.digests import digest_of_file

N_ROWS = 250


def rows(seed: int, n_rows: int = N_ROWS) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame({"v": random.uniform(0, 3, n_rows), "dose": random.uniform(0, 1, n_rows)})
    return table.assign(y=np.sin(3 * table["v"]) + table["dose"] + 0.1 * random.normal(size=n_rows))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with models and rows: ``wave`` swings in v, ``line`` falls in v."""
    home = tmp_path_factory.mktemp("stored")
    train = rows(0)
    wave = DecisionTreeRegressor(max_depth=6, random_state=0).fit(train[["v", "dose"]], train["y"])
    line = LinearRegression().fit(train[["v", "dose"]], -train["v"])
    joblib.dump(wave, home / "wave.joblib")
    joblib.dump(line, home / "line.joblib")
    (home / "wave.pkl").write_bytes(pickle.dumps(wave))
    joblib.dump(LinearRegression().fit(train[["v", "dose"]].to_numpy(), -train["v"]), home / "unnamed.joblib")
    joblib.dump({"no": "model"}, home / "nothing.joblib")
    iris, kinds = load_iris(return_X_y=True, as_frame=True)
    names = np.array(["setosa", "versicolor", "virginica"])[kinds]
    joblib.dump(LogisticRegression(max_iter=1000).fit(iris, names), home / "flowers.joblib")
    iris.to_csv(home / "flowers.csv", index=False)
    train.to_csv(home / "train.csv", index=False)
    rows(1).to_csv(home / "rows.csv", index=False)
    rows(2).to_parquet(home / "fresh.parquet")
    rows(1)[["v", "y"]].to_csv(home / "narrow.csv", index=False)
    rows(1)[:0].to_csv(home / "empty.csv", index=False)
    (home / "broken.joblib").write_text("this is no pickle")
    return home


@pytest.fixture(autouse=True)
def at(stored: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Work in a copy-free view of the stored files; whatever is written goes to the directory that is returned."""
    monkeypatch.chdir(stored)
    return tmp_path


@dataclass(frozen=True)
class Said:
    """What was printed, however its lines were broken."""

    out: str
    err: str


def said_of(capsys: Any) -> Said:
    printed = capsys.readouterr()
    assert max(map(len, printed.err.split("\n"))) <= 100
    return Said(" ".join(printed.out.split()), " ".join(printed.err.split()))


def listing(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


# ---------------------------------------------------------------------------------------------------------------------
# check
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["line.joblib", "rows.csv", "--decreasing", "v"], 0, "No violation seen"),
        (["line.joblib", "rows.csv", "--decreasing", "v", "--max-rate", "0.05"], 0, "Holds"),
        (["line.joblib", "rows.csv", "--decreasing", "v", "--max-rate", "0.01"], 3, "Undecided"),
        (["wave.joblib", "rows.csv", "--decreasing", "v"], 1, "Violated"),
        (["wave.joblib", "rows.csv", "--decreasing", "v", "--max-rate", "0.05"], 1, "Violated"),
        (["wave.joblib", "rows.csv", "--decreasing", "v", "--max-rate", "0.9"], 0, "Holds"),
        (["wave.pkl", "fresh.parquet", "--increasing", "v", "--reference-data", "train.csv"], 1, "Violated"),
        (["unnamed.joblib", "rows.csv", "--decreasing", "v", "--target", "y"], 0, "No violation seen"),
    ],
)
def test_the_exit_code_is_the_verdict(capsys: Any, arguments: list[str], code: int, word: str) -> None:
    assert main(["check", *arguments]) == code
    said = said_of(capsys)
    assert said.out.startswith(word)
    assert "runs the code that it holds" in said.err


def test_special_values_and_ranges_are_those_of_properties(capsys: Any) -> None:
    assert main(["check", "wave.joblib", "rows.csv", "--decreasing", "v", "--between", "v:0.6,1.5"]) == 0
    assert "decreasing in 'v' between 0.6 and 1.5" in said_of(capsys).out
    coded = rows(1).round(1)
    coded.to_csv("coded.csv", index=False)
    code = main(["check", "wave.joblib", "coded.csv", "--increasing", "v", "--concave", "dose", "--special=0.5,1"])
    assert code == 1
    said = said_of(capsys).out
    assert "increasing in 'v', 0.5 and 1 apart" in said
    assert "concave in 'dose', 0.5 and 1 apart" in said
    assert main(["check", "wave.joblib", "rows.csv", "--decreasing", "v", "--between", "dose:0,1"]) == 2
    assert "--between gives a range of 'dose', of which no property is declared" in said_of(capsys).err
    assert main(["check", "wave.joblib", "rows.csv", "--decreasing", "v", "--between", "v:5"]) == 2


def test_the_finding_is_that_of_check(capsys: Any) -> None:
    main(
        [
            "check",
            "wave.joblib",
            "rows.csv",
            "--decreasing",
            "v",
            "--concave",
            "dose",
            "--random-state",
            "3",
            "--confidence",
            "0.9",
        ]
    )
    audit = check(
        joblib.load("wave.joblib"),
        rows(1)[["v", "dose"]],
        [Decreasing("v"), Concave("dose")],
        confidence=0.9,
        random_state=3,
    )
    figures = audit.to_dict()
    assert str(figures["violations"]["n_rejected"]) in said_of(capsys).out
    code = main(["check", "wave.joblib", "rows.csv", "--decreasing", "v", "--concave", "dose", "--random-state", "3",
                 "--confidence", "0.9", "--json"])  # fmt: skip
    said = json.loads(said_of(capsys).out)
    assert said["exit_code"] == code == 1
    assert said["verdict"]["word"] == "violated"
    of_files = {name: said["audit"]["digests"].pop(name) for name in ("model file wave.joblib", "data file rows.csv")}
    assert of_files == {name: digest_of_file(name.split(" file ")[1]) for name in of_files}
    assert said["audit"] == json.loads(audit.to_json())


def test_the_page_is_written_next_to_any_verdict(at: Path) -> None:
    for name, expected in (("wave", 1), ("line", 0)):
        target = at / f"{name}.html"
        assert main(["check", f"{name}.joblib", "rows.csv", "--decreasing", "v", "--html", str(target)]) == expected
        assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "Violated" in (at / "wave.html").read_text(encoding="utf-8")
    tolerant = ["--max-rate", "0.99", "--html", str(at / "tolerant.html")]
    assert main(["check", *WAVE, "--decreasing", "v", *tolerant]) == 0
    assert "Holds" in (at / "tolerant.html").read_text(encoding="utf-8")


def test_classes_are_named(capsys: Any) -> None:
    flowers = ["check", "flowers.joblib", "flowers.csv", "--increasing", "petal length (cm)"]
    assert main([*flowers, "--class", "virginica"]) == 0
    assert main([*flowers, "--class", "setosa"]) == 1
    assert main(flowers) == 2
    assert "--class is missing; expected one of setosa, versicolor, virginica" in said_of(capsys).err
    assert main([*flowers, "--class", "rose"]) == 2
    assert "--class 'rose' is no class of the model" in said_of(capsys).err


# ---------------------------------------------------------------------------------------------------------------------
# align
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", [".joblib", ".pkl", ".skops"])
def test_the_stored_model_is_the_aligned_one(at: Path, capsys: Any, suffix: str) -> None:
    target = at / f"aligned{suffix}"
    code = main(["align", "line.joblib", "rows.csv", "--increasing", "v", "--alpha", "0.1", "-o", str(target),
                 "--reference-data", "train.csv"])  # fmt: skip
    assert code == 0
    assert listing(at) == {target.name}
    X = rows(1)[["v", "dose"]]
    expected = AlignedRegressor(joblib.load("line.joblib"), [Increasing("v")], alpha=0.1, random_state=0)
    expected.calibrate(X, X_reference=rows(0)[["v", "dose"]])
    aligned = load_model(str(target))
    assert aligned.lambda_ == expected.lambda_ > 0
    np.testing.assert_array_equal(aligned.predict(rows(2)[["v", "dose"]]), expected.predict(rows(2)[["v", "dose"]]))
    said = said_of(capsys).out
    assert expected.calibration_.statement in said
    assert "Not certified" in said
    assert main(["check", str(target), "fresh.parquet", "--increasing", "v", "--max-rate", "0.3"]) == 0


def test_fresh_rows_certify(at: Path, capsys: Any) -> None:
    target, page = at / "aligned.joblib", at / "certificate.html"
    code = main(["align", "wave.joblib", "rows.csv", "--decreasing", "v", "--alpha", "0.2", "-o", str(target), "--target", "y",
                 "--certify-data", "fresh.parquet", "--html", str(page), "--json"])  # fmt: skip
    said = json.loads(said_of(capsys).out)
    assert code == 0
    certificate = load_model(str(target)).certify(rows(2)[["v", "dose"]], rows(2)["y"])
    for option, name in (("model", "wave.joblib"), ("data", "rows.csv"), ("certify-data", "fresh.parquet")):
        digest = said["certificate"]["digests"].pop(f"{option} file {name}")
        assert digest == digest_of_file(name)
        assert digest in page.read_text(encoding="utf-8")
    assert said["certificate"] == json.loads(certificate.to_json())
    assert said["certificate"]["error"]["measure"] == "mean squared error"
    without_files = re.sub(r"<dt>Digest: [a-z-]+ file .*?</dd>", "", page.read_text(encoding="utf-8"))
    assert without_files == certificate.to_html()


def test_a_promise_that_fresh_rows_contradict_ends_with_1(at: Path, capsys: Any) -> None:
    """Calibration rows of another law than the fresh ones: the model falls in v for small doses only."""
    train, model = rows(0), at / "turning.joblib"
    turning = train["v"] * np.where(train["dose"] < 0.5, -1, 1)
    joblib.dump(DecisionTreeRegressor(max_depth=6, random_state=0).fit(train[["v", "dose"]], turning), model)
    small = pd.concat([rows(1), rows(3)])
    small[small["dose"] < 0.4].to_csv(at / "small.csv", index=False)
    arguments = ["align", str(model), str(at / "small.csv"), "--decreasing", "v", "--certify-data", "fresh.parquet",
                 "--target", "y", "--reference-data", "train.csv"]  # fmt: skip
    for promise, code in (["--alpha", "0.1"], 1), (["--alpha", "0.1", "--on-average"], 0), (["--alpha", "0"], 0):
        target = at / f"{code}.joblib"
        assert main([*arguments, *promise, "-o", str(target)]) == code
        said = said_of(capsys).out
        assert target.exists()
        assert ("NOT KEPT" in said) == (", although its promise is not kept" in said) == (code == 1)
    xml = at / "verdict.xml"
    assert main([*arguments, "--alpha", "0.1", "-o", str(target), "--junit", str(xml)]) == 1
    assert "<failure " in xml.read_text(encoding="utf-8")


def test_a_page_or_test_cases_go_to_standard_output(at: Path, capsys: Any) -> None:
    before = listing(Path())
    for option, start, end in (("--html", "<!DOCTYPE html>", "</html>"), ("--junit", "<?xml", "</testsuites>")):
        target = at / "aligned.joblib"
        for command in (
            ["check", *WAVE, "--decreasing", "v"],
            ["align", *WAVE, "--decreasing", "v", "--alpha", "0.2", "-o", str(target), "--certify-data", "fresh.parquet",
             "--target", "y"],
        ):  # fmt: skip
            code = main([*command, option, "-"])
            printed = capsys.readouterr()
            assert code == (1 if command[0] == "check" else 0)
            assert printed.out.lower().startswith(start.lower())
            assert printed.out.rstrip().endswith(end)
            assert "Question   " in printed.err
    assert main(["check", *WAVE, "--decreasing", "v", "--html", "-", "--junit", "-"]) == 2
    assert "--html and --junit cannot both be standard output" in said_of(capsys).err
    assert main(["check", *WAVE, "--decreasing", "v", "--junit", "-", "--json"]) == 2
    assert "--junit and --json cannot both be standard output" in said_of(capsys).err
    assert listing(Path()) == before


def test_classifiers_are_aligned(at: Path) -> None:
    target = at / "aligned.joblib"
    flowers = ["align", "flowers.joblib", "flowers.csv", "--decreasing", "sepal width (cm)"]
    assert main([*flowers, "--alpha", "0.2", "--class", "setosa", "-o", str(target)]) == 0
    aligned = load_model(str(target))
    assert aligned.alignment_.tester.subject == "the probability of class 'setosa'"
    assert aligned.lambda_ > 0


# ---------------------------------------------------------------------------------------------------------------------
# Bad input
# ---------------------------------------------------------------------------------------------------------------------
WAVE = ["wave.joblib", "rows.csv"]
BAD = [
    (["check", *WAVE], "no property is declared; write for example --decreasing age"),
    (["check", *WAVE, "--decreasing", "w"], "--decreasing 'w' names no column; expected one of 'v', 'dose'"),
    (["check", *WAVE, "--decreasing", "v", "--max-rate", "1"], "max_rate must be a number in [0, 1), got 1.0"),
    (["check", *WAVE, "--decreasing", "v", "--confidence", "1"], "--confidence must be a number in (0, 1), got 1.0"),
    (["check", *WAVE, "--decreasing", "v", "--html", "no/where.html"], "--html 'no/where.html' cannot be written"),
    (["check", *WAVE, "--decreasing", "v", "--target", "z"], "data 'rows.csv' has no column 'z' for --target"),
    (["check", *WAVE, "--decreasing", "v", "--class", "a"], "--class is for classifiers, and the model is a DecisionTree"),
    (["check", "none.joblib", "rows.csv", "--decreasing", "v"], "model 'none.joblib' is not there"),
    (["check", "rows.csv", "rows.csv", "--decreasing", "v"], "model 'rows.csv' must be a file that ends in one of .joblib"),
    (["check", "wave.joblib", "none.csv", "--decreasing", "v"], "data 'none.csv' is not there"),
    (["check", "wave.joblib", "wave.pkl", "--decreasing", "v"], "data 'wave.pkl' must be a file that ends in one of .csv"),
    (["check", "wave.joblib", "empty.csv", "--decreasing", "v"], "data 'empty.csv' has no rows"),
    (["check", "wave.joblib", "narrow.csv", "--decreasing", "v"], "data 'narrow.csv' lacks 'dose', which the model was fitted"),
    (["check", "unnamed.joblib", "rows.csv", "--decreasing", "v"], "has 3 columns of features ('v', 'dose', 'y')"),
    (["check", "broken.joblib", "rows.csv", "--decreasing", "v"], "model 'broken.joblib' could not be loaded"),
    (["check", "nothing.joblib", "rows.csv", "--decreasing", "v"], "holds 'dict', which has no predict method"),
    (["align", *WAVE, "--decreasing", "v", "--alpha", "2", "-o", "OUT"], "--alpha must be a number in [0, 1), got 2.0"),
    (["align", *WAVE, "--decreasing", "v", "--alpha", "0.001", "-o", "OUT"], "250 rows cannot support alpha=0.001"),
    (["align", *WAVE, "--decreasing", "v", "--alpha", "0.1", "-o", "x.txt"], "--output 'x.txt' must end in one of .joblib"),
    (["align", *WAVE, "--decreasing", "v", "--alpha", "0.1", "-o", "no/x.pkl"], "--output 'no/x.pkl' cannot be written"),
    (["align", *WAVE, "--decreasing", "v", "--alpha", "0.1", "-o", "OUT", "--html", "HTML"], "--html writes a certificate"),
    (["align", *WAVE, "--decreasing", "v", "--alpha", "0.1", "-o", "OUT", "--n-knots", "1"], "--n-knots must be a whole number"),
    (["align", *WAVE, "--decreasing", "v", "--alpha", "0.1", "-o", "OUT", "--max-half-width", "0"], "more than max_half_width"),
    (["align", *WAVE, "--decreasing", "v", "--alpha", "0.1", "-o", "OUT", "--certify-data", "rows.csv", "--html", "HTML"],
     "needs rows that were used for nothing before"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_ends_with_2_and_writes_nothing(at: Path, capsys: Any, arguments: list[str], message: str) -> None:
    before = listing(Path.cwd())
    places = {"OUT": str(at / "aligned.joblib"), "HTML": str(at / "page.html")}
    assert main([places.get(one, one) for one in arguments]) == 2
    said = said_of(capsys)
    assert message in said.err
    assert said.out == ""
    assert listing(at) == set()
    assert listing(Path.cwd()) == before


def test_a_model_that_fails_is_bad_input_and_no_verdict(at: Path, capsys: Any) -> None:
    """Code 1 means violations; an exception that nobody expected must not look like them."""
    pd.DataFrame({"v": ["a", "b", "c"], "dose": [1, 2, 3]}).to_csv(at / "words.csv", index=False)
    assert main(["check", "wave.joblib", str(at / "words.csv"), "--increasing", "dose"]) == 2
    assert "alignconf: could not go on: ValueError" in said_of(capsys).err


class Leaving(BaseException):
    """What no except of Exception catches."""


@dataclass
class Quitting:
    """Ends the program instead of answering."""

    how: BaseException

    def predict(self, X: Any) -> Any:  # noqa: ARG002
        raise self.how


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (SystemExit(0), "ended the program with SystemExit(0)"),
        (SystemExit("bye"), "ended the program with SystemExit(bye)"),
        (Leaving("now"), "could not go on: Leaving: now"),
    ],
    ids=["exit 0", "exit with words", "another way out"],
)
@pytest.mark.parametrize("command", ["check", "align"])
def test_a_model_that_leaves_is_bad_input_and_no_verdict(
    at: Path, capsys: Any, command: str, how: Any, said: str
) -> None:
    joblib.dump(Quitting(how), "quitting.joblib")
    output = ["-o", "aligned.joblib", "--alpha", "0.1"] if command == "align" else []
    assert main([command, "quitting.joblib", "rows.csv", "--target", "y", "--increasing", "v", *output]) == 2
    assert said in said_of(capsys).err
    assert not (at / "aligned.joblib").exists()


@pytest.mark.usefixtures("at")
def test_stored_boosters_are_handed_their_own_columns(capsys: Any) -> None:
    train = rows(0)
    settings = {"num_leaves": 8, "verbose": -1, "num_threads": 1}
    booster = lgb.train(settings, lgb.Dataset(train[["v", "dose"]], train["y"]), 20)
    joblib.dump(booster, "booster.joblib")
    rows(1)[["dose", "y", "v"]].assign(id=1).to_csv("other.csv", index=False)
    found = []
    for data in ("rows.csv", "other.csv"):
        assert main(["check", "booster.joblib", data, "--target", "y", "--increasing", "v", "--random-state", "0"]) == 1
        found.append(said_of(capsys).out)
    assert found[0] == found[1]


def test_what_cannot_be_read_is_one_sentence_without_the_usage(capsys: Any) -> None:
    for arguments in (
        [],
        ["check"],
        ["check", *WAVE, "--decreasing"],
        ["align", *WAVE, "--decreasing", "v"],
        ["dance"],
    ):
        assert main(arguments) == 2
        said = said_of(capsys)
        assert said.out == ""
        assert "usage" not in said.err
        assert re.fullmatch(r"alignconf: .+\. See alignconf[a-z ]* --help\.", said.err)
    with pytest.raises(SystemExit) as ended:
        main(["check", "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "exit codes: 0 holds" in printed
    assert max(map(len, printed.split("\n"))) <= 100


def test_an_interrupted_write_leaves_what_was_there(at: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    target = at / "aligned.joblib"
    target.write_text("before")

    def full_disk(_: Any, file: Any) -> None:
        file.write(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr("alignconf.command.files.joblib.dump", full_disk)
    assert main(["align", *WAVE, "--decreasing", "v", "--alpha", "0.2", "-o", str(target)]) == 2
    assert "no space left" in said_of(capsys).err
    assert listing(at) == {"aligned.joblib"}
    assert target.read_text() == "before"


# ---------------------------------------------------------------------------------------------------------------------
# Files that are safe to load
# ---------------------------------------------------------------------------------------------------------------------
class Runs:
    """Its pickle writes a file when it is loaded."""

    def __init__(self, path: str) -> None:
        self.path = path

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def test_a_skops_file_is_refused_until_its_types_are_trusted(at: Path, capsys: Any) -> None:
    skops = pytest.importorskip("skops.io")
    skops.dump(Runs(str(at / "trace")), at / "model.skops")
    asked = skops.get_untrusted_types(file=at / "model.skops")
    assert asked
    arguments = ["check", str(at / "model.skops"), "rows.csv", "--increasing", "v"]
    assert main(arguments) == 2
    said = said_of(capsys).err
    assert all(f"--trust {name}" in said for name in asked)
    assert "runs the code" not in said
    assert not (at / "trace").exists()
    (at / "model.skops").write_text("no zip")
    assert main(arguments) == 2
    assert "is no skops file that can be read" in said_of(capsys).err


def test_a_name_in_this_package_that_is_no_class_of_it_is_not_trusted() -> None:
    from alignconf.command.files import _is_own_class

    assert _is_own_class("alignconf.estimators.regressor.AlignedRegressor")
    others = ["alignconf.command.files.joblib", "alignconf.command.files.Path", "alignconf.command.files.load_model"]
    assert not any(map(_is_own_class, [*others, "os.system", "alignconf.nothing.AtAll", "alignconfused.A"]))


def test_what_is_not_installed_is_named_with_its_extra(at: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    real = importlib.import_module

    def without(name: str, *rest: Any) -> Any:
        if name in ("pandas", "skops.io"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr("importlib.import_module", without)
    assert main(["check", *WAVE, "--increasing", "v"]) == 2
    assert (
        "reading 'rows.csv' needs pandas, which is not installed; install it with pip install 'alignconf[command]'"
        in (said_of(capsys).err)
    )
    monkeypatch.setattr("importlib.import_module", lambda name: real("nothing.at.all" if name == "skops.io" else name))
    (at / "model.skops").write_text("")
    assert main(["check", str(at / "model.skops"), "rows.csv", "--increasing", "v"]) == 2
    assert "skops files need the library skops" in said_of(capsys).err


# ---------------------------------------------------------------------------------------------------------------------
# Properties as they are typed
# ---------------------------------------------------------------------------------------------------------------------
TABLE = pd.DataFrame({
    "v": [1.0, 2.0], "a": [1.0, 2.0], "a:b": [1.0, 2.0], "c,d": [1.0, 2.0],
    "cut": ["Fair", "Good"], "year": [2020, 2021], "on": [True, False],
})  # fmt: skip
COLUMNS = Columns(TABLE, tuple(TABLE.columns))
TYPED = [
    ("increasing", "v", Increasing("v")),
    ("decreasing", "a:b", Decreasing("a:b")),
    ("convex", "v", Convex("v")),
    ("concave", "c,d", Concave("c,d")),
    ("ordered", "cut:Fair,Good,Ideal", Ordered("cut", ["Fair", "Good", "Ideal"])),
    ("ordered", "year:2021,2020", Ordered("year", [2021, 2020])),
    ("ordered", "on:False,True", Ordered("on", [False, True])),
    ("invariant", "v", Invariant("v")),
    ("invariant", "cut", Invariant("cut")),
    ("invariant", "cut:Good,Fair", Invariant("cut", order=["Good", "Fair"])),
    ("unimodal", "v", Unimodal("v")),
    ("unimodal", "a:b:2.5", Unimodal("a:b", peak=2.5)),
    ("lipschitz", "v:2", Lipschitz("v", 2)),
    ("slope-at-least", "v:-0.5", SlopeAtLeast("v", -0.5)),
    ("slope-at-most", "a:b:1e3", SlopeAtMost("a:b", 1000)),
    ("bounded", "0,1", Bounded(0, 1)),
    ("bounded", "0,", Bounded(0)),
    ("bounded", ",1.5", Bounded(hi=1.5)),
    ("dominates", "v,c,d", Dominates("v", "c,d")),
    ("diminishing-returns", "c,d,v", DiminishingReturns("c,d", "v")),
]


@pytest.mark.parametrize(("name", "text", "expected"), TYPED)
def test_properties_as_they_are_typed(name: str, text: str, expected: Any) -> None:
    assert read_properties([(name, text)], COLUMNS) == [expected]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("lipschitz", "v", "--lipschitz 'v' is not of the form FEATURE:NUMBER"),
        ("lipschitz", "v:steep", "--lipschitz 'v:steep' has 'steep' where a number is expected"),
        ("ordered", "colour:a,b", "is not of the form FEATURE:FIRST,...,LAST with a column of the data"),
        ("ordered", "year:2020,soon", "--ordered lists '2020,soon' for 'year', which holds values of type int64"),
        ("bounded", "0", "--bounded '0' is not of the form LOWEST,HIGHEST"),
        ("bounded", ",", "Bounded needs a finite limit"),
        ("dominates", "v", "--dominates 'v' is not of the form FEATURE,FEATURE"),
        ("increasing", "0", "--increasing '0' names no column"),
    ],
)
def test_properties_that_cannot_be_read(name: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        read_properties([(name, text)], COLUMNS)


def test_a_model_without_names_is_asked_by_position() -> None:
    found = load_rows("rows.csv", joblib.load("unnamed.joblib"), "y")
    assert isinstance(found.X, np.ndarray)
    assert read_properties([("increasing", "dose"), ("decreasing", "0")], found.columns) == [
        Increasing(1),
        Decreasing(0),
    ]


# ---------------------------------------------------------------------------------------------------------------------
# As a program
# ---------------------------------------------------------------------------------------------------------------------
def test_the_program_prints_only_json_on_standard_output(stored: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "alignconf", "check", "wave.joblib", "rows.csv", "--decreasing", "v", "--json"],
        cwd=stored, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["exit_code"] == 1
    assert "runs the code" in done.stderr


def test_the_demonstration(at: Path, capsys: Any) -> None:
    assert main(["demo", "--html", str(at / "page.html")]) == 0
    assert "Violated: " in said_of(capsys).out
    assert listing(at) == {"page.html"}
    assert main(["demo", "--html", str(at / "no" / "page.html")]) == 2
