"""Digests of rules, rows, models and files: equal for what is the same in any container or process, different for what is not."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from alignconf import AlignedRegressor, check
from alignconf.properties import Decreasing, Increasing
from alignconf.tables.digests import (
    digest_of_answers,
    digest_of_file,
    digest_of_marks,
    digest_of_rows,
    digest_of_text,
)
from alignconf.tables.repeats import fingerprints

X = np.random.default_rng(0).random((300, 2))
REFERENCE = np.random.default_rng(1).random((120, 2))


def model(slope: float = 1.0) -> LinearRegression:
    return LinearRegression().fit(REFERENCE, slope * REFERENCE[:, 0])


def audited(fitted: Any, rows: Any = X, rule: Any = None, seed: int = 0) -> dict[str, str]:
    rules = [Increasing(0) if rule is None else rule]
    return dict(check(fitted, rows, rules, X_reference=REFERENCE, random_state=seed).digests)


def test_texts_and_files_have_the_digest_that_any_tool_computes(tmp_path: Path) -> None:
    assert digest_of_text("é") == f"sha256:{hashlib.sha256('é'.encode()).hexdigest()}"
    assert digest_of_text("\ud800").startswith("sha256:")
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert digest_of_file(path) == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_rows_are_their_values_in_order() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "y"]})
    same = [
        pd.DataFrame({"c": [1.0, 2.0, 3.0], "d": pd.Categorical(["x", None, "y"])}),
        pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "y"]}),
        np.array([[1, "x"], [2.0, None], [3, "y"]], dtype=object),
    ]
    assert {digest_of_rows(table) for table in same} == {digest_of_rows(frame)}
    others = [frame[::-1], frame[:2], frame[["b", "a"]], frame.assign(a=[1, 2, 4]), frame.assign(b=["x", "y", None])]
    assert len({digest_of_rows(table) for table in [frame, *others]}) == 6
    assert digest_of_rows(X) == digest_of_marks(fingerprints(X)) != digest_of_rows(np.nextafter(X, 2))


def test_answers_are_in_single_precision() -> None:
    values = np.array([0.1, -2e300, 0.0])
    assert digest_of_answers(values) == digest_of_answers(np.array([0.1 + 1e-12, -3e300, -0.0]))
    assert digest_of_answers(values) != digest_of_answers(np.array([0.1 + 1e-6, -2e300, 0.0]))


def test_an_audit_is_matched_with_what_it_is_about() -> None:
    digests = audited(model())
    assert digests == {
        "rules": digest_of_text("Increasing(0)"),
        "rows": digest_of_rows(X),
        "model": digest_of_answers(model().predict(REFERENCE)),
    }
    assert audited(pickle.loads(pickle.dumps(model())), np.asfortranarray(X), seed=5) == digests
    for changed, name in ((audited(model(1.001)), "model"), (audited(model(), X[1:]), "rows"),
                          (audited(model(), rule=Decreasing(0)), "rules")):  # fmt: skip
        assert {key for key in digests if digests[key] != changed[key]} == {name}


def test_a_certificate_has_the_digests_of_an_audit_with_the_same_reference() -> None:
    tree = DecisionTreeRegressor(max_depth=4, random_state=0).fit(REFERENCE, np.sin(9 * REFERENCE[:, 0]))
    calibrating = np.random.default_rng(2).random((300, 2))
    aligned = AlignedRegressor(tree, {0: 1}, alpha=0.2, random_state=0).calibrate(calibrating, X_reference=REFERENCE)
    certificate = aligned.certify(X)
    assert dict(certificate.evidence.digests) == certificate.to_dict()["digests"] == audited(tree)
    assert dict(pickle.loads(pickle.dumps(aligned)).certify(X).evidence.digests) == audited(tree)
    page = certificate.to_html()
    assert all(digest in page for digest in audited(tree).values())
    assert all(digest in check(tree, X, {0: 1}, X_reference=REFERENCE).to_html() for digest in audited(tree).values())


def test_rows_in_partitions_have_the_digest_of_one_table() -> None:
    dask = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(X, columns=["a", "b"])
    reference = pd.DataFrame(REFERENCE, columns=["a", "b"])
    fitted = LinearRegression().fit(reference, reference["a"])
    whole, spread = (
        check(fitted, rows, {"a": 1}, X_reference=reference, random_state=0).digests
        for rows in (frame, dask.from_pandas(frame, npartitions=3))
    )
    assert whole == spread


def test_another_process_says_the_same() -> None:
    program = (
        "import numpy as np\n"
        "from alignconf.tables.digests import digest_of_rows\n"
        "print(digest_of_rows(np.random.default_rng(0).random((300, 2))))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest_of_rows(X)
