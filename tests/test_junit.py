"""JUnit XML of an audit: its shape, its figures, and that it passes iff the verdict does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta
from sklearn.linear_model import LinearRegression

from alignconf import AlignedRegressor, InputError, check
from alignconf.certify.audit import Audit
from alignconf.certify.report.junit import _text
from alignconf.certify.violation_rate import ViolationRate
from alignconf.command import main
from alignconf.properties import Bounded, Decreasing, Increasing

#: The common schema: children of each element in their order, with how many there may be, and its attributes, "!" if required.
MANY = 10**6
SCHEMA: dict[str, tuple[list[tuple[str, int, int]], set[str]]] = {
    "testsuites": ([("testsuite", 0, MANY)], {"name", "time", "tests", "failures", "errors", "disabled"}),
    "testsuite": (
        [("properties", 0, 1), ("testcase", 0, MANY), ("system-out", 0, 1), ("system-err", 0, 1)],
        {
            "name!",
            "tests!",
            "failures",
            "errors",
            "time",
            "disabled",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
        },
    ),
    "properties": ([("property", 1, MANY)], set()),
    "property": ([], {"name!", "value!"}),
    "testcase": (
        [("skipped", 0, 1), ("error", 0, MANY), ("failure", 0, MANY), ("system-out", 0, MANY), ("system-err", 0, MANY)],
        {"name!", "assertions", "time", "classname", "status"},
    ),
    "skipped": ([], {"message"}),
    "failure": ([], {"type", "message"}),
    "error": ([], {"type", "message"}),
    "system-out": ([], set()),
}


def complaints(element: Element) -> list[str]:
    """Return where an element and those within it depart from the schema."""
    children, attributes = SCHEMA[element.tag]
    order = [name for name, _, _ in children]
    tags = [child.tag for child in element]
    found = [f"{element.tag} holds {tag}" for tag in tags if tag not in order]
    if not found and tags != sorted(tags, key=order.index):
        found.append(f"{element.tag} has {tags} out of order")
    found += [
        f"{element.tag} has {tags.count(name)} {name}"
        for name, low, high in children
        if not low <= tags.count(name) <= high
    ]
    found += [
        f"{element.tag} has {name}" for name in element.attrib if name not in {name.strip("!") for name in attributes}
    ]
    found += [
        f"{element.tag} lacks {name}" for name in attributes if name.endswith("!") and name[:-1] not in element.attrib
    ]
    return found + [complaint for child in element if child.tag in SCHEMA for complaint in complaints(child)]


def cases(text: str) -> dict[str, Element]:
    """Return the test cases of a valid file by name, after its counts were compared with them."""
    root = ElementTree.fromstring(text)
    assert complaints(root) == []
    (suite,) = root
    found = suite.findall("testcase")
    for element in (root, suite):
        assert int(element.attrib["tests"]) == len(found)
        assert int(element.attrib["failures"]) == len(suite.findall("testcase/failure"))
        assert element.attrib["errors"] == "0"
    assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped"))
    return {case.attrib["name"]: case for case in found}


def figures(case: Element) -> dict[str, str]:
    lines = (case.findtext("system-out") or "").strip().split("\n")[1:]
    return dict(line.split(": ", 1) for line in lines)


def rows(n_rows: int = 400) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(1).random((n_rows, 2)), columns=["v", "dose"])


def rising_in_v() -> LinearRegression:
    return LinearRegression().fit(rows(), rows()["v"])


def audited(rules: list[Any], X: Any = None) -> Audit:
    return check(rising_in_v(), rows() if X is None else X, rules, X_reference=rows(200), random_state=0)


def test_the_schema_of_this_test_refuses_what_it_should() -> None:
    """A test that cannot fail is none: each departure is found."""
    for text in (
        "<testsuites><a/></testsuites>",
        '<testsuite tests="0"/>',
        '<property name="a" value="b" c="d"/>',
        "<properties/>",
    ):
        try:
            found = complaints(ElementTree.fromstring(text))
        except KeyError:
            found = ["unknown"]
        assert found, text
    swapped = '<testcase name="a"><system-out>b</system-out><failure/></testcase>'
    assert complaints(ElementTree.fromstring(swapped)) == ["testcase has ['system-out', 'failure'] out of order"]


@pytest.mark.parametrize(
    ("rules", "max_rate", "failed"),
    [
        ([Increasing("v")], 0, set()),
        ([Increasing("v")], 0.05, set()),
        ([Increasing("v")], 0.001, {"increasing in 'v'": "undecided"}),
        ([Decreasing("v")], 0.5, {"decreasing in 'v'": "violated"}),
        ([Increasing("v"), Bounded(-1, 2)], 0.05, set()),
        (
            [Increasing("v"), Decreasing("v"), Bounded(-1, 2)],
            0.05,
            {"all 3 rules together": "violated", "decreasing in 'v'": "violated"},
        ),
        ([Increasing("v"), Bounded(0, 2)], 0.001, {"all 2 rules together": "undecided", "increasing in 'v'": "undecided",
                                                   "between 0 and 2": "undecided"}),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*must not depend on")
def test_cases_fail_as_the_verdict_says(rules: list[Any], max_rate: float, failed: Any) -> None:
    audit = audited(rules)
    found = cases(audit.to_junit(max_rate=max_rate))
    assert len(found) == len(rules) + (len(rules) > 1)
    failures = {name: case.find("failure") for name, case in found.items() if case.find("failure") is not None}
    assert {name: failure.attrib["type"] for name, failure in failures.items() if failure is not None} == dict(failed)
    assert bool(failures) == (not audit.verdict(max_rate).is_passed)
    for failure in failures.values():
        assert failure is not None
        assert (failure.text or "").startswith(failure.attrib["message"])


def test_each_rule_has_its_own_rate_limit_and_interval() -> None:
    """Counted anew: queries at rows whose dose is missing are about the other rule alone."""
    X = rows()
    X.loc[:299, "dose"] = np.nan

    class Falls:
        def predict(self, table: pd.DataFrame) -> np.ndarray:
            return np.asarray(-table["dose"].fillna(0.5) + 0 * table["v"])

    audit = check(Falls(), X, [Increasing("v"), Increasing("dose")], X_reference=rows(200), random_state=0)
    assert audit.coverage == (("increasing in 'v'", 400), ("increasing in 'dose'", 100))
    by_rule = dict(audit.by_rule)
    rising, falling = by_rule["increasing in 'v'"], by_rule["increasing in 'dose'"]
    assert rising is not None
    assert falling is not None
    assert (rising.n_rejected, rising.n_queries, falling.n_rejected, falling.n_queries) == (0, 400, 100, 100)
    assert audit.violations.n_rejected == 100
    found = cases(audit.to_junit(max_rate=0.1))
    said = figures(found["increasing in 'dose'"])
    assert (said["verdict"], said["max_rate"], said["n_rejected"], said["rate"]) == ("violated", "0.1", "100", "1.0")
    low = float(beta.ppf(0.025, 100, 1))
    assert said["interval"] == f"[{low}, 1.0]"
    np.testing.assert_allclose(float(figures(found["increasing in 'v'"])["upper_bound"]), 1 - 0.05 ** (1 / 400))
    assert found["increasing in 'v'"].find("failure") is None
    # All rules together hold at 0.35, so nothing fails, though the one rule by itself is above it.
    assert audit.verdict(0.35).is_passed
    tolerant = cases(audit.to_junit(max_rate=0.35))
    assert all(case.find("failure") is None for case in tolerant.values())
    assert figures(tolerant["increasing in 'dose'"])["verdict"] == "violated"


def test_a_rule_that_no_row_was_asked_about_is_skipped() -> None:
    X = rows()
    X["dose"] = np.nan
    model = type("Constant", (), {"predict": lambda self, table: np.zeros(len(table))})()
    audit = check(model, X, [Increasing("v"), Increasing("dose")], X_reference=rows(200), random_state=0)
    assert dict(audit.by_rule)["increasing in 'dose'"] is None
    assert audit.to_dict()["by_rule"][1] == {"rule": "increasing in 'dose'", "violations": None}
    found = cases(audit.to_junit())
    assert found["increasing in 'dose'"].find("skipped") is not None
    assert found["all 2 rules together"].find("failure") is None


def test_names_that_are_markup_or_no_characters_of_xml_stay_text() -> None:
    hostile = "<failure/>&\x1b]]>\"'"
    assert _text("a\x00\ud800\ufffe\tb") == "a\ufffd\ufffd\ufffd\tb"
    X = rows().rename(columns={"v": hostile})
    model = type("Falls", (), {"predict": lambda self, table: -np.asarray(table)[:, 0]})()
    text = check(model, X, [Increasing(hostile)], random_state=0).to_junit()
    (name,) = cases(text)
    assert "<failure/>&" in name
    assert "]]>" in name


def test_the_command_line_writes_it_next_to_any_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    joblib.dump(rising_in_v(), "model.joblib")
    rows().to_csv("rows.csv", index=False)
    for rule, max_rate, code in (("increasing", "0.05", 0), ("decreasing", "0.05", 1), ("increasing", "0.001", 3)):
        arguments = ["check", "model.joblib", "rows.csv", f"--{rule}", "v", "--bounded=-1,2", "--max-rate", max_rate]
        assert main([*arguments, "--junit", f"{code}.xml", "--html", "page.html", "--json"]) == code
        found = cases(Path(f"{code}.xml").read_text(encoding="utf-8"))
        assert (found["all 2 rules together"].find("failure") is not None) == (code != 0)
    assert main([*arguments, "--junit", "no/such.xml"]) == 2
    with pytest.raises(InputError, match=r"path '.*such\.xml' cannot be written"):
        audited([Increasing("v")]).to_junit(tmp_path / "no" / "such.xml")
    with pytest.raises(InputError, match="max_rate must be a number in"):
        audited([Increasing("v")]).to_junit(max_rate=1)


def certified(n_broken: int, **settings: Any) -> Any:
    """A certificate whose delivered function broke a number of 200 questions."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"v": random.random(600), "w": random.random(600)})
    model = LinearRegression().fit(rows, -rows["v"])
    settings = {"alpha": 0.1, "confidence": 0.9, "random_state": 0} | settings
    certificate = AlignedRegressor(model, {"v": 1}, **settings).calibrate(rows[:400]).certify(rows[400:])
    return replace(certificate, delivered=ViolationRate(n_broken, 200, 0.95))


@pytest.mark.parametrize(
    ("n_broken", "max_rate", "fails"),
    [(5, None, False), (20, None, False), (60, None, True), (20, 0.1, True), (60, 0.5, False), (1, 0.0, True)],
)
def test_a_certificate_fails_where_its_promise_does(n_broken: int, max_rate: float | None, fails: bool) -> None:
    """Undecided rows leave a promise, which calibration gave, as it is; they do not show that a rate is kept to."""
    suites = ElementTree.fromstring(certified(n_broken).to_junit(max_rate=max_rate))
    assert complaints(suites) == []
    (case,) = suites.iter("testcase")
    assert (case.find("failure") is not None) == fails == (suites.get("failures") == "1")
    figures = case.findtext("system-out")
    assert f"n_rejected: {n_broken}\n" in figures
    assert f"max_rate: {0.1 if max_rate is None else max_rate}\n" in figures


def test_a_certificate_without_a_promise_is_skipped_and_groups_have_their_own(tmp_path: Path) -> None:
    (case,) = ElementTree.fromstring(certified(20, confidence=None).to_junit()).iter("testcase")
    assert case.find("skipped").get("message") == "nothing was promised of this one function"
    certificate = certified(5, groups=lambda table: np.where(table["w"] > 0.5, "high", "low"))
    contradicted = tuple((what, ViolationRate(60, 100, 0.95)) for what, _ in certificate.separately)
    path = tmp_path / "verdict.xml"
    assert replace(certificate, separately=contradicted).to_junit(path) == str(path)
    cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    assert [case.find("failure") is not None for case in cases] == [False, True, True]
    assert [case.get("name") for case in cases[1:]] == ["group 'high'", "group 'low'"]
