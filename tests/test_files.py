"""Files that are read and written: no text loses its meaning, no file is lost, and what was found out is said."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from alignconf import AlignedClassifier, InputError, check
from alignconf.command import main
from alignconf.command.files import load_rows
from alignconf.properties import Ordered
from alignconf.tables.storage import check_apart, check_target, replacing

GRADES = ["NA", "Fa", "Gd"]


def houses(seed: int, n_rows: int = 200) -> pd.DataFrame:
    """Rows with a category that is spelled as missing values are."""
    random = np.random.default_rng(seed)
    return pd.DataFrame({"g": random.choice(GRADES, n_rows), "area": random.uniform(50, 200, n_rows).round(1)})


def fitted(table: pd.DataFrame, category: str, dear: str) -> Any:
    """Return a model of rows in which one category is dear."""
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), [category]), remainder="passthrough")
    return make_pipeline(encode, LinearRegression()).fit(table, table["area"] + 40 * (table[category] == dear))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a directory with a model whose prediction falls from Fa to Gd, and rows for it."""
    monkeypatch.chdir(tmp_path)
    joblib.dump(fitted(houses(0), "g", "Fa"), "houses.joblib")
    houses(1).to_csv("houses.csv", index=False)
    return tmp_path


def parts_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if file.name.startswith(".")]


def printed(capsys: Any) -> tuple[str, str]:
    said = capsys.readouterr()
    return " ".join(said.out.split()), " ".join(said.err.split())


HOUSES = ["check", "houses.joblib", "houses.csv", "--ordered", "g:NA,Fa,Gd"]
ALIGNING = ["align", *HOUSES[1:3], "--ordered", "g:NA,Fa,Gd", "--alpha", "0.3", "-o", "aligned.pkl"]


# Categories are as they are written -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order", [GRADES, ["010", "020", "100"], ["1e1", "10", "1_0"], ["1", "01", "+1"], ["null", "", "x"]]
)
def test_listed_categories_are_categories_whatever_else_they_could_mean(capsys: Any, order: list[str]) -> None:
    table, fresh = (houses(seed).replace({"g": dict(zip(GRADES, order, strict=True))}) for seed in (0, 1))
    joblib.dump(fitted(table, "g", order[1]), "houses.joblib")
    fresh.to_csv("houses.csv", index=False)
    main(["check", "houses.joblib", "houses.csv", "--ordered", f"g:{','.join(order)}", "--json"])
    said = json.loads(capsys.readouterr().out)
    expected = check(joblib.load("houses.joblib"), fresh, [Ordered("g", order)], random_state=0)
    assert said["audit"]["violations"]["n_rejected"] == expected.violations.n_rejected > 20
    assert said["audit"]["n_missing"] == 0


def test_what_is_not_listed_is_missing_where_it_says_so() -> None:
    frame = load_rows("houses.csv", joblib.load("houses.joblib")).X
    assert frame["g"].isna().sum() == (houses(1)["g"] == "NA").sum() > 0
    listed = load_rows("houses.csv", joblib.load("houses.joblib"), categories={"g": GRADES}).X
    assert listed["g"].tolist() == houses(1)["g"].tolist()


def test_numbers_and_truth_values_that_are_listed_stay_what_they_are() -> None:
    table = houses(1, 60).assign(year=np.arange(60) % 3 + 2020, on=np.arange(60) % 2 == 0)
    table.to_csv("years.csv", index=False)
    model = LinearRegression().fit(table[["area", "year", "on"]], table["area"])
    read = load_rows("years.csv", model, categories={"year": ["2020", "2021", "2022"], "on": ["False", "True"]}).X
    assert [read[name].dtype.kind for name in ("year", "on")] == ["i", "b"]


@pytest.mark.parametrize("classes", [["NA", "yes"], ["010", "1"], [0, 1], [False, True], [1.0, 2.0]])
def test_labels_are_the_classes_that_are_printed_so(classes: list[Any]) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"v": random.random(90), "y": np.array(classes, dtype=object)[random.integers(0, 2, 90)]})
    model = LogisticRegression().fit(table[["v"]], np.array(table["y"].tolist()))
    table.to_csv("labels.csv", index=False)
    labels = load_rows("labels.csv", model, "y").y
    assert labels.tolist() == table["y"].tolist()
    aligned = AlignedClassifier(model, {"v": 1}, alpha=0, random_state=0).calibrate(table[["v"]][:30])
    assert aligned.certify(table[["v"]][30:], labels[30:]).error is not None


def test_labels_that_are_numbers_are_numbers_and_others_are_named(capsys: Any) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"v": random.random(80), "y": random.random(80)})
    joblib.dump(LinearRegression().fit(table[["v"]], table["y"]), "line.joblib")
    table.to_csv("labels.csv", index=False)
    assert load_rows("labels.csv", joblib.load("line.joblib"), "y").y.tolist() == table["y"].tolist()
    table.astype({"y": object}).assign(y=["high", *table["y"][1:]]).to_csv("labels.csv", index=False)
    assert main(["check", "line.joblib", "labels.csv", "--target", "y", "--increasing", "v"]) == 2
    assert (
        "the column of labels holds what is no number: could not convert string to float: 'high'" in printed(capsys)[1]
    )


def test_a_row_that_is_longer_than_the_header_is_refused(capsys: Any) -> None:
    Path("long.csv").write_text("g,area\nFa,1.0,2.0\nGd,2.0,3.0\n")
    assert main(["check", "houses.joblib", "long.csv", "--increasing", "area"]) == 2
    assert "data 'long.csv' could not be read" in printed(capsys)[1]


# No file is lost ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (["--html", "houses.csv"], "--html 'houses.csv' is the file of data"),
        (["--html", "houses.joblib"], "--html 'houses.joblib' is the file of model"),
        (["--html", "link.csv"], "--html 'link.csv' is the file of data"),
        (["--html", "hard.csv"], "--html 'hard.csv' is the file of data"),
        (["--html", "./sub/../houses.csv"], "is the file of data"),
        (
            ["--reference-data", "train.csv", "--html", "train.csv"],
            "--html 'train.csv' is the file of --reference-data",
        ),
    ],
)
def test_no_output_is_written_over_an_input(capsys: Any, written: list[str], said: str) -> None:
    os.mkdir("sub")
    os.symlink("houses.csv", "link.csv")
    os.link("houses.csv", "hard.csv")
    houses(2).to_csv("train.csv", index=False)
    before = {file: Path(file).read_bytes() for file in ("houses.csv", "houses.joblib", "train.csv")}
    assert main([*HOUSES, *written]) == 2
    error = printed(capsys)[1]
    assert said in error
    assert "runs the code" not in error
    assert {file: Path(file).read_bytes() for file in before} == before


@pytest.mark.parametrize(
    "paths",
    [
        ["-o", "x.joblib", "--html", "x.joblib", "--certify-data", "fresh.csv"],
        ["-o", "x.joblib", "--html", "sub/../x.joblib", "--certify-data", "fresh.csv"],
        ["-o", "houses.joblib"],
        ["-o", "x.joblib", "--html", "fresh.csv", "--certify-data", "fresh.csv"],
    ],
)
def test_align_loses_no_file_either(capsys: Any, paths: list[str]) -> None:
    os.mkdir("sub")
    houses(3).to_csv("fresh.csv", index=False)
    before = sorted(os.listdir())
    model = Path("houses.joblib").read_bytes()
    assert main(["align", "houses.joblib", "houses.csv", "--alpha", "0.2", "--ordered", "g:NA,Fa,Gd", *paths]) == 2
    assert "which would be lost; name another file" in printed(capsys)[1]
    assert sorted(os.listdir()) == before
    assert Path("houses.joblib").read_bytes() == model


def test_check_apart_leaves_other_files_alone() -> None:
    check_apart({"--html": "a.html", "--output": None}, {"data": "houses.csv", "model": "houses.joblib"})


# Writing, whole or not at all -----------------------------------------------------------------------------------------


def write(target: str, text: str) -> None:
    with replacing(Path(target)) as file:
        file.write(text.encode())


def test_two_writers_of_one_file_do_not_meet(home: Path) -> None:
    with replacing(Path("page.html")) as first:
        first.write(b"first")
        write("page.html", "second")
        assert Path("page.html").read_text() == "second"
    assert Path("page.html").read_text() == "first"
    assert parts_in(home) == []


def fail(error: BaseException) -> None:
    with replacing(Path("page.html")) as file:
        file.write(b"half")
        raise error


def test_what_fails_leaves_the_file_as_it_was(home: Path) -> None:
    write("page.html", "before")
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError())
    with pytest.raises(InputError, match=r"'page\.html' cannot be written: .*No space left"):
        fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert Path("page.html").read_text() == "before"
    assert parts_in(home) == []


def test_a_writer_that_is_killed_leaves_nothing_behind_the_next_one(home: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom alignconf.tables.storage import replacing\n"
        "with replacing(Path('page.html')) as file:\n file.write(b'half')\n print('at it', flush=True)\n time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=home, env=environment) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"at it\n"
        write("page.html", "while it is at work")
        assert len(parts_in(home)) == 1
        os.kill(writer.pid, signal.SIGKILL)
    write("other.html", "afterwards")
    assert parts_in(home) == []
    assert Path("page.html").read_text() == "while it is at work"


def test_permissions_and_links_of_a_file_that_is_replaced_stay(home: Path) -> None:
    write("new.html", "new")
    (home / "plain").write_text("")
    assert Path("new.html").stat().st_mode == (home / "plain").stat().st_mode
    write("page.html", "before")
    Path("page.html").chmod(0o640)
    os.symlink("page.html", "link.html")
    write("link.html", "after")
    assert Path("link.html").is_symlink()
    assert Path("page.html").read_text() == "after"
    assert stat.S_IMODE(Path("page.html").stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["a" * 245 + ".html", "é名🙂.html", " .html"])
def test_legal_names_are_written(name: str) -> None:
    write(name, "text")
    assert Path(name).read_text() == "text"


@pytest.mark.parametrize("name", ["a" * 300 + ".html", "a\0b.html", "no/where.html", ".", "/dev/null", "\udce4\0.html"])
def test_other_names_are_refused_before_any_work(capsys: Any, name: str) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        check_target(name)
    assert main([*HOUSES, "--html", name]) == 2
    error = printed(capsys)[1]
    assert "cannot be written" in error
    assert "runs the code" not in error


@pytest.mark.parametrize("value", [b"page.html", 3, None, ["page.html"]])
def test_what_is_no_path_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="path must be the name of a file"):
        check_target(value)


@pytest.mark.parametrize("name", ["a" * 300 + ".csv", "a\0b.csv", "."])
def test_names_of_inputs_are_refused_in_a_sentence(capsys: Any, name: str) -> None:
    assert main(["check", "houses.joblib", name, "--increasing", "area"]) == 2
    assert "alignconf: data" in printed(capsys)[1]
    assert main(["check", name.replace("csv", "joblib"), "houses.csv", "--increasing", "area"]) == 2
    assert "alignconf: model" in printed(capsys)[1]


# What was found out is said -------------------------------------------------------------------------------------------


class Full(io.StringIO):
    """A stream without space."""

    def write(self, text: str) -> int:  # noqa: ARG002
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_verdict_survives_a_full_output_and_what_was_stored_is_said(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    assert main([*HOUSES, "--html", "page.html"]) == 1
    error = printed(capsys)[1]
    assert "standard output cannot be written ([Errno 28] No space left on device). Violated: " in error
    assert "Written: page.html" in error
    assert main(ALIGNING) == 0
    assert "Stored as aligned.pkl" in printed(capsys)[1]


def test_an_output_that_lacks_a_character_takes_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_written, encoding="ascii"))
    table = pd.DataFrame({"größe": np.random.default_rng(0).random(80)})
    joblib.dump(LinearRegression().fit(table, -table["größe"]), "size.joblib")
    table.to_csv("sizes.csv", index=False)
    assert main(["check", "size.joblib", "sizes.csv", "--increasing", "größe"]) == 1
    assert b"increasing in 'gr\\xf6\\xdfe'" in bytes_written.getvalue()


@pytest.mark.parametrize("also", [False, True], ids=["output", "both"])
def test_the_program_ends_with_the_verdict_where_nobody_takes_what_it_says(home: Path, also: bool) -> None:
    """Into a pipe that is closed at its other end, every write fails."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "alignconf", *HOUSES], cwd=home, env=environment, stdout=closed, check=False, text=True,
            stderr=closed if also else subprocess.PIPE,
        )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert also or "Violated: " in done.stderr


class Talkative:
    """Prints, in Python and past it, when it is asked."""

    def predict(self, X: Any) -> Any:
        print("{not json")
        os.write(1, b"{not json either\n")
        return -np.asarray(X["area"])


def test_figures_are_json_whatever_a_model_prints(home: Path) -> None:
    program = (
        "import sys, pickle\nfrom tests.test_files import Talkative\nfrom alignconf.command import main\n"
        "pickle.dump(Talkative(), open('talkative.pkl', 'wb'))\n"
        "sys.exit(main(['check', 'talkative.pkl', 'houses.csv', '--increasing', 'area', '--json']))\n"
    )
    paths = [str(Path(__file__).parent.parent), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=home, env=environment, capture_output=True, check=False, text=True
    )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["exit_code"] == 1
    assert "{not json\n" in done.stderr
    assert "{not json either\n" in done.stderr


# Before a pickle runs -------------------------------------------------------------------------------------------------


class Trace:
    """Leaves a trace when it is loaded."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("trace",)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--increasing", "aera"],
        ["--ordered", "g:Fa"],
        ["--lipschitz", "area:steep"],
        ["--increasing", "area", "--random-state", "-1"],
        ["--increasing", "area", "--target", "price"],
        ["--increasing", "area", "--between", "area:2,1"],
        ["--increasing", "area", "--special", "nan"],
        ["--increasing", "area", "--reference-data", "none.csv"],
        ["--increasing", "area", "--max-rate", "2"],
        ["--increasing", "area", "--html", "houses.csv"],
    ],
)
def test_what_is_wrong_without_the_model_is_refused_before_it_is_loaded(capsys: Any, wrong: list[str]) -> None:
    Path("trace.pkl").write_bytes(pickle.dumps(Trace()))
    assert main(["check", "trace.pkl", "houses.csv", *wrong]) == 2
    assert not Path("trace").exists()
    assert "runs the code" not in capsys.readouterr().err


def test_a_feature_that_is_nearly_right_is_named(capsys: Any) -> None:
    assert main(["check", "houses.joblib", "houses.csv", "--increasing", "Aera"]) == 2
    assert "names no column; expected one of 'g', 'area'. Did you mean 'area'?" in printed(capsys)[1]


def test_calibration_rows_need_no_column_of_labels(capsys: Any) -> None:
    fresh = houses(3).assign(price=1.0)
    fresh.to_csv("fresh.csv", index=False)
    assert main([*ALIGNING, "--target", "price", "--certify-data", "fresh.csv"]) == 0
    assert "squared error" in printed(capsys)[0]
    assert main([*ALIGNING, "--target", "prize", "--certify-data", "fresh.csv"]) == 2
    assert "has no column 'prize' for --target" in printed(capsys)[1]


def test_a_refusal_of_many_columns_is_short(capsys: Any) -> None:
    wide = pd.DataFrame(np.zeros((3, 5000)), columns=[f"c{i}" for i in range(5000)])
    wide.to_csv("wide.csv", index=False)
    start = time.perf_counter()
    assert main(["check", "houses.joblib", "wide.csv", "--increasing", "w"]) == 2
    assert time.perf_counter() - start < 20
    assert len(printed(capsys)[1]) < 500
