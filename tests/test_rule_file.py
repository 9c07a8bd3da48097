"""Rule files: what they declare, at which doors, and that every mistake is named with its place."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, cast

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from alignconf import InputError, check, read_rules
from alignconf.command import main
from alignconf.command.declarations import Columns, read_properties
from alignconf.deployment.propose.specifications import needs_of_types
from alignconf.errors import NotShown
from alignconf.properties import (
    AllOf,
    Bounded,
    Decreasing,
    DiminishingReturns,
    Dominates,
    Increasing,
    SlopeAtLeast,
    SlopeAtMost,
    declare,
)
from alignconf.testing import assert_property

#: As specifications spell it.
DIMINISHING = next(kind for kind in needs_of_types() if kind.startswith("diminishing"))

ENTRIES: list[dict[str, Any]] = [
    {"type": "increasing", "feature": "dose", "special": [-9], "rationale": "pharmacology", "source": "protocol 7"},
    {"type": "slope", "feature": "v", "bounds": [0, 2]},
    {"type": "dominates", "features": ["v", "dose"]},
    {"type": DIMINISHING, "features": ["dose", "v"]},
    {"type": "bounded", "bounds": [0, None]},
]
RULES = [
    Increasing("dose", special=[-9]),
    AllOf(SlopeAtLeast("v", 0), SlopeAtMost("v", 2)),
    Dominates("v", "dose"),
    DiminishingReturns("dose", "v"),
    Bounded(0),
]
YAML = f"""# decided in May
- type: increasing
  feature: dose
  special: [-9]
  rationale: pharmacology
  source: protocol 7
- {{type: slope, feature: v, bounds: [0, 2]}}
- {{type: dominates, features: [v, dose]}}

- {{type: {DIMINISHING}, features: [dose, v]}}
- {{type: bounded, bounds: [0, null]}}
"""


def rows(seed: int, n_rows: int = 200) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(seed).random((n_rows, 2)), columns=["v", "dose"])


def written(path: Path, entries: Any) -> Path:
    path.write_text(entries if isinstance(entries, str) else json.dumps(entries, indent=1), encoding="utf-8")
    return path


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that rises by 1 in v and falls by 1 in dose, with and without names, and its rows."""
    monkeypatch.chdir(tmp_path)
    X = rows(0)
    joblib.dump(LinearRegression().fit(X, X["v"] - X["dose"]), "model.joblib")
    joblib.dump(LinearRegression().fit(X.to_numpy(), X["v"] - X["dose"]), "unnamed.joblib")
    rows(1).to_csv("rows.csv", index=False)
    return tmp_path


def test_json_and_yaml_declare_the_same_rules_in_their_order(tmp_path: Path) -> None:
    of_json = read_rules(written(tmp_path / "rules.json", ENTRIES))
    assert of_json == RULES
    assert read_rules(str(tmp_path / "rules.json")) == RULES
    assert declare(of_json) == AllOf(*RULES)
    pytest.importorskip("yaml")
    assert read_rules(written(tmp_path / "rules.yml", YAML)) == RULES


def test_a_gate_takes_the_path(tmp_path: Path) -> None:
    X = rows(1)
    model = LinearRegression().fit(X, X["v"] - X["dose"])
    kept = written(tmp_path / "kept.json", [{"type": "increasing", "feature": "v"}])
    broken = written(tmp_path / "broken.json", [{"type": "increasing", "feature": "dose"}])
    for path in (kept, str(kept)):
        audit = assert_property(model, X, path, max_rate=0.05)
        assert audit.to_json() == check(model, X, [Increasing("v")], random_state=0).to_json()
    with pytest.raises(NotShown, match="increasing in 'dose'"):
        assert_property(model, X, broken)


@pytest.mark.parametrize("model", ["model", "unnamed"])
def test_the_command_line_takes_the_file_beside_what_is_typed(stored: Path, capsys: Any, model: str) -> None:
    written(stored / "kept.json", [{"type": "increasing", "feature": "v"}])
    arguments = ["check", f"{model}.joblib", "rows.csv", "--rules", "kept.json"]
    feature = {"model": "'v'", "unnamed": "0"}[model]
    assert main([*arguments, "--max-rate", "0.05", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["audit"]["property"] == f"increasing in {feature}"
    assert main([*arguments, "--increasing", "dose", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["audit"]["property"].startswith(
        f"increasing in {feature} and increasing in"
    )
    assert main(["align", *arguments[1:], "--decreasing", "dose", "--alpha", "0.1", "-o", "aligned.joblib"]) == 0
    assert joblib.load("aligned.joblib").alignment_.tester.words.startswith(
        f"increasing in {feature} and decreasing in"
    )


def test_rules_of_two_features_are_placed_on_the_command_line(tmp_path: Path) -> None:
    unnamed = Columns(rows(0).to_numpy(), ("v", "dose"))
    for rule, positions in ((RULES[2], Dominates(0, 1)), (RULES[3], DiminishingReturns(1, 0))):
        entry = ENTRIES[RULES.index(rule)]
        path = written(tmp_path / "rules.json", [entry])
        assert read_properties(None, unnamed, rules=str(path)) == [positions]


def test_ranges_and_codes_that_are_typed_hold_for_the_file_too(tmp_path: Path) -> None:
    path = written(tmp_path / "rules.json", ENTRIES[1:2])
    columns = Columns(rows(0), ("v", "dose"))
    lower, upper = read_properties(None, columns, rules=str(path), special="-7", between=["v:0,0.5"])
    assert lower == SlopeAtLeast("v", 0, special=[-7], between=(0, 0.5))
    assert upper == SlopeAtMost("v", 2, special=[-7], between=(0, 0.5))


# ---------------------------------------------------------------------------------------------------------------------
# Mistakes
# ---------------------------------------------------------------------------------------------------------------------
MISTAKES = [
    {"type": "rising", "feature": "v"},
    {"type": "increasing", "feature": "v"},
    {"type": "increasing", "feature": "w"},
    {"type": "lipschitz", "feature": "v"},
    {"type": "increasing", "feature": "v", "colour": 1},
    {"type": "concave", "feature": "v", "region": {"dose": [0, 1]}},
    {"type": "dominates", "features": ["v", "gone"]},
    7,
]
SAID = [
    "rule 1 (line {}): type 'rising' is not in the vocabulary; expected one of bounded, concave",
    "rule 3 (line {}): feature 'w' is not in X: X has columns 'v', 'dose'",
    "rule 4 (line {}): number is missing; type 'lipschitz' needs feature and number",
    "rule 5 (line {}): key 'colour' is not in the vocabulary; expected some of type, feature",
    "rule 6 (line {}): region limits the rule by 'dose', and a rule of a file is demanded in all rows. Leave region out",
    "rule 7 (line {}): feature 'gone' is not in X",
    "rule 8 (line {}): the entry is a int; expected a mapping with a type",
]


def lines_said(error: pytest.ExceptionInfo[InputError]) -> list[str]:
    first, *lines = str(error.value).split("\n")
    assert re.search(r"rule file '.*' has 7 mistakes, so none of its rules is taken\.$", first)
    return lines


@pytest.mark.parametrize("indent", [None, 2])
def test_every_mistake_is_named_with_its_rule_line_and_key(tmp_path: Path, indent: int | None) -> None:
    """The line is the one on which the entry begins, found here by the text of the entry itself."""
    path = written(tmp_path / "rules.json", "\n\n" + json.dumps(MISTAKES, indent=indent))
    text = path.read_text()
    with pytest.raises(InputError) as error:
        read_rules(path, rows(0))
    starts = [text.index(json.dumps(MISTAKES, indent=indent)[:1])]
    for entry in MISTAKES:
        dumped = json.dumps(entry, indent=indent).replace("\n", "\n" + " " * (indent or 0))
        starts.append(text.index(dumped, starts[-1] + 1))
    lines = [text.count("\n", 0, start) + 1 for start in starts[1:]]
    del lines[1]
    for said, expected, line in zip(lines_said(error), SAID, lines, strict=True):
        assert said.startswith(expected.format(line))


def test_lines_of_yaml(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    text = "# a list\n" + "".join(f"- {json.dumps(entry)}\n# next\n" for entry in MISTAKES)
    with pytest.raises(InputError) as error:
        read_rules(written(tmp_path / "rules.yaml", text), rows(0))
    for said, expected, line in zip(lines_said(error), SAID, [2, 6, 8, 10, 12, 14, 16], strict=True):
        assert said.startswith(expected.format(line))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "[]", "declares nothing; write for example"),
        ("a.json", '{"type": "concave"}', "source holds a dict; expected a list"),
        ("a.json", '[{"type": "concave",\n "type": "convex"}]', "a key is given twice, 'type'"),
        ("a.json", '[{"type": "concave"},\n]', "line 2 column 1"),
        ("a.json", "[" + " " * 1_000_001 + "]", "expected at most 1000000"),
        ("a.json", "[" + "1, " * 1000 + "1]", "source holds 1001 entries; expected at most 1000"),
        ("a.json", "[" * 100_000, "is not JSON"),
        ("a.yaml", "- !!python/object/apply:os.mkdir [owned]", "uses YAML's tag in line 1"),
        ("a.yaml", "- &a {type: concave}\n- *a", "uses YAML's anchor in line 1"),
        ("a.yaml", "- {type: [concave\n", "is not YAML"),
        ("a.yaml", "- {type: concave, type: convex}", "gives a key twice in the mapping of line 1"),
        ("a.toml", "", "expected a file that ends in .json, .yaml or .yml"),
    ],
)
def test_files_that_are_no_rule_files(tmp_path: Path, monkeypatch: Any, name: str, text: str, message: str) -> None:
    pytest.importorskip("yaml")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"rule file '{name}'.*{re.escape(message)}"):
        read_rules(written(Path(name), text))
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"rule file '.*gone\.json' cannot be taken: source '.*gone\.json' cannot be read"
    ):
        read_rules(tmp_path / "gone.json")
    with pytest.raises(InputError, match="path must be the path of a rule file, got 5 of type int"):
        read_rules(cast(Any, 5))


def test_json_needs_no_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert read_rules(written(tmp_path / "rules.json", ENTRIES)) == RULES
    with pytest.raises(ImportError, match=r"YAML needs PyYAML: install alignconf\[yaml\]"):
        read_rules(written(tmp_path / "rules.yaml", YAML))


def test_a_bad_rule_file_is_refused_before_a_model_is_loaded(stored: Path, capsys: Any) -> None:
    written(stored / "rules.json", MISTAKES[:1])
    assert main(["check", "model.joblib", "rows.csv", "--rules", "rules.json"]) == 2
    said = capsys.readouterr().err
    assert "rule file 'rules.json' has a mistake, so none of its rules is taken." in said
    assert "rule 1 (line 2): type 'rising' is not in the vocabulary" in said
    assert "runs the code" not in said
    written(stored / "rules.json", [{"type": "increasing", "feature": "w"}, {"type": "increasing", "feature": 5}])
    assert main(["check", "model.joblib", "rows.csv", "--rules", "rules.json"]) == 2
    said = capsys.readouterr().err
    assert "rule 1 (line 2): feature 'w' names no column; expected one of 'v', 'dose'" in said
    assert "rule 2 (line 6): feature 5 is not in X" in said
    assert main(["check", "model.joblib", "rows.csv"]) == 2
    assert "or --rules FILE" in capsys.readouterr().err


def test_declared_columns_of_an_array_are_positions(tmp_path: Path) -> None:
    path = written(tmp_path / "rules.json", [{"type": "decreasing", "feature": 1}])
    assert read_rules(path, rows(0).to_numpy()) == [Decreasing(1)]
    with pytest.raises(InputError, match=r"rule 1 \(line 2\): feature 1 is not in X: X has positions 0 to 0"):
        read_rules(path, np.zeros((3, 1)))
