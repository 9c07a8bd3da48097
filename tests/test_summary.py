"""What is printed: at most eight lines of a hundred columns, the verdict first, the assumptions last, bounds rounded outwards."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alignconf import AlignedRegressor, check
from alignconf.certify.summary import N_LINES, WIDTH
from alignconf.certify.violation_rate import ViolationRate
from alignconf.properties import Bounded, Concave, Increasing, InvariantUnder, Lipschitz

NAMES = ["age_of_the_longest_open_account", "number_of_inquiries_in_six_months", "balance", "utilisation", "term"]


class Wavy:
    """Falls in places along every feature."""

    def predict(self, rows: Any) -> np.ndarray:
        return np.sin(3 * np.asarray(rows, dtype=float)).sum(axis=1)


def rows(n_rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(random.normal(size=(n_rows, 5)), columns=NAMES, index=random.permutation(n_rows) + 1000)


X, FRESH = rows(500, 0), rows(400, 1)
Y = Wavy().predict(FRESH) + np.random.default_rng(2).normal(size=400)
ONE = {"balance": +1}
FIVE = dict.fromkeys(NAMES, +1)
LACKING = FRESH.mask(np.random.default_rng(3).random(FRESH.shape) < 0.2)

SETTINGS: dict[str, dict[str, Any]] = {
    "one": {"properties": ONE},
    "exact": {"properties": ONE, "alpha": 0},
    "average": {"properties": ONE, "confidence": None},
    "five": {"properties": FIVE, "projector": "distilled"},
    "levels": {"properties": {"balance": +1, "term": -1}, "alpha": {"balance": 0.1, "term": 0.2}, "confidence": None},
    "groups": {"properties": ONE, "groups": lambda table: np.where(table["term"] > 0, "long", "short")},
    "path": {"properties": ONE, "query_law": "path"},
    "line": {"properties": ONE, "query_law": "line"},
    "curved": {"properties": [Concave("balance"), Bounded(-3, 3), Lipschitz("term", 2.0)]},
    "size": {"properties": ONE, "loss": "displacement", "alpha": 0.1},
}


def certified(name: str, fresh: pd.DataFrame, y: Any = None) -> Any:
    settings = {"alpha": 0.1, "random_state": 0, "n_knots": 8} | SETTINGS[name]
    return AlignedRegressor(Wavy(), **settings).calibrate(X).certify(fresh, y)


def assert_short(text: str, n_lines: int = N_LINES) -> list[str]:
    lines = text.split("\n")
    assert len(lines) <= n_lines, text
    assert max(map(len, lines)) <= WIDTH, text
    assert lines[-1].startswith("Valid if   ")
    return lines


@pytest.mark.parametrize("fresh", [FRESH, LACKING], ids=["complete", "lacking"])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_certificate_is_read_in_eight_lines(name: str, fresh: pd.DataFrame) -> None:
    class Patient(Wavy):
        def predict(self, table: Any) -> np.ndarray:
            return super().predict(np.nan_to_num(np.asarray(table, dtype=float)))

    settings = {"alpha": 0.1, "random_state": 0, "n_knots": 8} | SETTINGS[name]
    certificate = AlignedRegressor(Patient(), **settings).calibrate(X).certify(fresh, Y)
    lines = assert_short(str(certificate))
    labels = [line[:11].strip() for line in lines[1:]]
    assert {"Broken", "Moved", "Error", "Question", "Valid if"} <= set(labels)
    assert ("not covered" in lines[-1] or "not asked" in lines[-1]) == (certificate.n_missing > 0)
    assert certificate.claim in certificate.sentence
    for figure in re.findall(r"at most ([\d.]+)% with", str(certificate)):
        assert float(figure) / 100 >= certificate.upper_bound - 1e-12


def test_the_first_line_is_the_verdict_on_the_promise() -> None:
    certificate = certified("one", FRESH)
    assert certificate.promised == 0.1
    for n_broken, headline in (
        (5, "KEPT: at most 10% of questions broken"),
        (36, "NOT CONTRADICTED: promised at most 10%, measured at most"),
        (80, "NOT KEPT: promised at most 10%, measured at least"),
    ):
        seen = replace(certificate, delivered=ViolationRate(n_broken, 400, 0.95))
        assert str(seen).startswith(headline)
    assert str(certified("average", FRESH)).startswith("CHANGED: ")
    assert " before, " in str(certified("average", FRESH)).split("\n")[0]


def test_what_is_proved_has_no_bound() -> None:
    model = pytest.importorskip("lightgbm").LGBMRegressor(n_estimators=10, verbose=-1).fit(X, Wavy().predict(X))
    certificate = AlignedRegressor(model, ONE, alpha=0, random_state=0).calibrate(X).certify(FRESH)
    lines = assert_short(str(certificate))
    assert lines[0].startswith("PROVED: ")
    assert "confidence" not in str(certificate)
    assert "at most" not in lines[2]
    assert "not fitted again" in lines[-1]


@pytest.mark.parametrize(
    ("shift", "word"), [(-3.0, "CLEARLY WORSE by "), (3.0, "clearly better"), (0.0, "no clear change")]
)
def test_a_change_of_the_error_has_a_word(shift: float, word: str) -> None:
    aligned = AlignedRegressor(Wavy(), ONE, alpha=0, random_state=0).calibrate(X)
    moved = aligned.predict(FRESH) - Wavy().predict(FRESH)
    certificate = aligned.certify(FRESH, Wavy().predict(FRESH) + moved * (0.5 + shift))
    lines = assert_short(str(certificate))
    (line,) = [line for line in lines if line.startswith("Error")]
    assert word in line
    assert lines[0].endswith("! COST") == (shift < 0)


def test_rules_are_listed_with_their_rates_the_most_broken_first() -> None:
    certificate = certified("five", FRESH)
    rates = {rate.rule: rate for rate in certificate.by_rule}
    assert set(rates) == {f"increasing in {name!r}" for name in NAMES}
    text = str(certificate).replace("\n           ", " ")
    shown = re.findall(r"(increasing in '\w+') ([\d.]+)% -> ([\d.]+)%", text)
    assert shown
    assert [float(before) for _, before, _ in shown] == sorted((float(before) for _, before, _ in shown), reverse=True)
    for rule, before, now in shown:
        assert abs(float(before) / 100 - rates[rule].before) < 6e-4
        assert abs(float(now) / 100 - rates[rule].now) < 6e-4
    alone = check(Wavy(), FRESH, {shown[0][0].split("'")[1]: +1}, X_reference=X, random_state=0).violations.rate
    assert abs(alone - rates[shown[0][0]].before) < 4 * np.sqrt(0.25 / 400 * 2)


def test_an_audit_names_the_row_by_its_label() -> None:
    audit = check(Wavy(), FRESH, ONE, X_reference=X, random_state=0)
    lines = assert_short(str(audit), 6)
    assert lines[0].startswith("BROKEN in ")
    (worst,) = [line for line in lines if line.startswith("Worst")]
    assert f"row {FRESH.index[audit.worst.row]} (position {audit.worst.row})" in worst
    assert audit.witnesses[0].label == FRESH.index[audit.worst.row]
    plain = check(Wavy(), FRESH.to_numpy(), {2: +1}, X_reference=X.to_numpy(), random_state=0)
    assert f"row {plain.worst.row}: predicts" in str(plain)


def test_audits_of_any_rule_are_short() -> None:
    rules = (FIVE, Increasing("term"), InvariantUnder([lambda table: table]), [Concave("term"), Bounded(-1, 1)])
    for declared in rules:
        assert_short(str(check(Wavy(), FRESH, declared, X_reference=X, random_state=0)), 7)


def test_none_seen_is_no_proof() -> None:
    class Rising:
        def predict(self, table: Any) -> np.ndarray:
            return np.asarray(table, dtype=float)[:, 2]

    audit = check(Rising(), FRESH, ONE, X_reference=X, random_state=0)
    assert str(audit).startswith("NONE SEEN in 400 questions; at most 0.92% broken")
    assert "no proof" in str(audit)


@pytest.mark.parametrize("rows_of", [slice(300, 700), slice(1, None, 2)])
def test_rows_of_a_slice_keep_their_labels(rows_of: slice) -> None:
    """A slice of a frame with a default index has labels, whatever pandas makes of them when rows are taken."""
    table = rows(800, 4).reset_index(drop=True)[rows_of]
    worst = check(Wavy(), table, ONE, random_state=0).worst
    assert worst is not None
    assert worst.label == table.index[worst.row]
    assert f"row {worst.label} (position {worst.row})" in worst.in_words


def test_a_question_of_many_rules_is_shorter_by_words() -> None:
    named = {f"{name}_{'x' * 60}": +1 for name in NAMES[:2]}
    long, fresh = (table[NAMES[:2]].set_axis(list(named), axis=1) for table in (X, FRESH))
    aligned = AlignedRegressor(Wavy(), named, alpha=0.1, random_state=0, n_knots=8).calibrate(long)
    assert "Question   2 at each row, one for each rule; broken if any is" in assert_short(str(aligned.certify(fresh)))
    shown = r"Question   5 at each row, such as two values of \w+ as in 100 reference rows; broken if any is"
    assert re.search(shown, str(certified("five", FRESH)))


def test_a_promise_about_several_rules_is_shown_beside_an_error() -> None:
    lines = assert_short(str(certified("five", FRESH, Y)))
    assert sum(line.startswith("Promised   at most 10%, with 95% confidence") for line in lines) == 1


def test_a_stand_in_is_named_where_moves_are() -> None:
    certificate = certified("five", FRESH)
    (moved,) = [line for line in str(certificate).split("\n") if line.startswith("Moved")]
    assert moved.endswith("; every row moved, by a stand-in model")
    assert "\nRepaired by a monotone stand-in" in certificate.sentence
    assert "stand-in" not in str(certified("one", FRESH))


def test_rows_that_stay_are_said_in_words() -> None:
    certificate = certified("one", FRESH)
    for stayed, words in (
        (0.0, "; every row moved"),
        (0.25, "; 25.0% of rows stayed"),
        (1.0, "nothing: no prediction "),
    ):
        (moved,) = [row for row in str(replace(certificate, share_unmoved=stayed)).split("\n") if row[:5] == "Moved"]
        assert words in moved


def test_a_line_that_is_too_long_ends_with_a_word() -> None:
    words = "increasing in 'a' and " * 20
    (rule,) = [line for line in str(replace(certified("one", FRESH), property=words)).split("\n") if line[:4] == "Rule"]
    assert len(rule) <= WIDTH
    assert re.fullmatch(r"Rule       (increasing in 'a' and )+(increasing |in |'a' )*\.\.\.", rule)
