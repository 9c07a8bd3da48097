"""Lists of specifications as files hold them: read as they are written, each entry by itself, within limits that come first."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from alignconf.deployment.propose.plain_data import MOST_TOKENS, from_yaml
from alignconf.deployment.propose.specifications import Malformed, Specification, read_specifications
from alignconf.errors import InputError
from alignconf.properties import Invariant, Ordered

GOOD = {"type": "increasing", "feature": "bp"}


def reasons(*entries: str) -> list[str]:
    """Return why entries of a list in JSON are refused, empty for those that are read."""
    read = read_specifications("[" + ", ".join(entries) + "]")
    return [entry.reason if isinstance(entry, Malformed) else "" for entry in read]


@pytest.mark.parametrize(
    "entry",
    [
        '{"type": "increasing", "feature": "bp", "tol": 1' + "0" * 400 + "}",
        '{"type": "increasing", "feature": "bp", "tol": 1' + "0" * 5000 + "}",
        '{"type": "increasing", "feature": "bp", "tol": 1e999}',
        '{"type": "lipschitz", "feature": "bp", "number": -1' + "0" * 5000 + "}",
        '{"type": "bounded", "bounds": [0, 1' + "0" * 400 + "]}",
        '{"type": "elasticity", "feature": "bp", "bounds": [-1' + "0" * 400 + ", null]}",
        '{"type": "increasing", "feature": "bp", "between": [0, 1' + "0" * 400 + "]}",
        '{"type": "increasing", "feature": "bp", "special": [1' + "0" * 400 + "]}",
        '{"type": "increasing", "feature": "bp", "region": {"age": [0, 1' + "0" * 400 + "]}}",
        '{"type": "ordered", "feature": "bp", "order": [1, 1' + "0" * 400 + "]}",
        '{"type": "increasing", "feature": 1' + "0" * 5000 + "}",
        '{"type": "increasing", "feature": ' + "[" * 300 + "]" * 300 + "}",
        '{"type": ' + '{"a":' * 200 + "1" + "}" * 200 + "}",
        '{"type": "' + "x" * 10_000 + '", "feature": "bp"}',
    ],
    ids=lambda entry: f"{entry[:60]}...",
)
def test_an_entry_that_no_float_holds_is_refused_by_itself(entry: str) -> None:
    before, refused, after = reasons(json.dumps(GOOD), entry, json.dumps(GOOD))
    assert before == after == ""
    assert 10 < len(refused) < 700
    assert "\n" not in refused


WRITTEN = {
    "NO": "NO",
    "no": "no",
    "Yes": "Yes",
    "on": "on",
    "010": "010",
    "0x1F": "0x1F",
    "0o17": "0o17",
    "1_000": "1_000",
    "1:30": "1:30",
    "190:20:30": "190:20:30",
    ".inf": ".inf",
    ".NaN": ".NaN",
    "2026-01-01": "2026-01-01",
    "=": "=",
    "<<": "<<",
    "Null": "Null",
    "TRUE": "TRUE",
    "'5'": "5",
    "5": 5,
    "-5": -5,
    "0": 0,
    "5.5": 5.5,
    "1e3": 1e3,
    "-2.5E-1": -0.25,
    "true": True,
    "null": None,
    "~": None,
    "": None,
}


@pytest.mark.parametrize("text", WRITTEN)
def test_a_scalar_of_yaml_is_what_is_written(text: str) -> None:
    (read,) = from_yaml(f"- {text}")
    assert read == WRITTEN[text]
    assert type(read) is type(WRITTEN[text])


def test_words_of_yaml_are_categories_and_columns() -> None:
    (entry,) = read_specifications("- type: ordered\n  feature: NO\n  order: [no, 010, 1:30, on]\n")
    assert isinstance(entry, Specification)
    assert entry.declared == Ordered("NO", ["no", "010", "1:30", "on"])


@pytest.mark.parametrize(
    ("key", "text"), [("tol", "1:30"), ("tol", "010"), ("tol", ".inf"), ("number", "1_0"), ("number", "no")]
)
def test_what_is_no_number_is_refused_where_one_is_needed(key: str, text: str) -> None:
    kind = "lipschitz" if key == "number" else "increasing"
    (entry,) = read_specifications(f"- type: {kind}\n  feature: bp\n  {key}: {text}\n")
    assert isinstance(entry, Malformed)
    assert f"{key} must be a finite number" in entry.reason


def test_a_key_that_merges_is_a_key_as_any_other() -> None:
    (entry,) = read_specifications("- type: increasing\n  feature: bp\n  <<: {tol: 1}\n")
    assert isinstance(entry, Malformed)
    assert "key '<<' is not in the vocabulary" in entry.reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {type: increasing, feature: bp}\n" * 29_000, "goes on behind line"),
        ("- [" + "[" * 200_000, "nested more than|goes on behind line"),
        ("- a\n" * 240_000, "goes on behind line"),
        ("a: " * 300_000, "not YAML|nested|goes on"),
    ],
    ids=["entries", "brackets", "words", "keys"],
)
def test_limits_of_yaml_come_before_the_work(text: str, said: str) -> None:
    start = time.perf_counter()
    with pytest.raises(InputError, match=said):
        read_specifications(text)
    # Without the limits a million characters take more than ten times as long as the tokens that are counted.
    assert time.perf_counter() - start < 60
    assert MOST_TOKENS <= 100_000


@pytest.mark.parametrize("source", ["a\0b.json", "a" * 300 + ".json", "/dev/zero.json", "none.yaml"])
def test_a_path_that_is_none_is_refused(source: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_specifications(source)


def test_a_folder_and_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "rules.json").mkdir()
    with pytest.raises(InputError, match=r"cannot be read: it is no file"):
        read_specifications(tmp_path / "rules.json")
    marked = tmp_path / "marked.json"
    marked.write_text(json.dumps([{"type": "invariant", "feature": "sex"}]), encoding="utf-8-sig")
    (entry,) = read_specifications(marked)
    assert isinstance(entry, Specification)
    assert entry.declared == Invariant("sex")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("slope at least", "Did you mean 'slope-at-least'?"),
        ("monoton", "Did you mean 'monotone'?"),
        ("exec", "expected one of "),
    ],
)
def test_a_type_that_is_nearly_right_is_named(typed: Any, said: str) -> None:
    (reason,) = reasons(json.dumps({"type": typed, "feature": "bp", "number": 1}))
    assert f"type {typed!r} is not in the vocabulary" in reason
    assert said in reason
