"""Every door reads the vocabulary by what each property tells of its spelling; none fails silently."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import alignconf.properties as vocabulary
from alignconf.command.arguments import parser
from alignconf.command.declarations import READERS, Columns, read_properties
from alignconf.contract.property import Property
from alignconf.contract.spelling import Form, Spelling
from alignconf.deployment.propose.specifications import NEEDED, Malformed, read_specifications
from alignconf.errors import InputError
from alignconf.properties import declare
from alignconf.properties.declare import spelled

TABLE = np.arange(12.0).reshape(4, 3)
COLUMNS = Columns(TABLE, ("a", "b", "c"))

#: What is typed beside a property of each form, on the command line and in a specification, and the arguments that it means.
TYPED: dict[Form, tuple[str, dict[str, Any], tuple[Any, ...]]] = {
    Form.FEATURE: ("a", {"feature": 0}, (0,)),
    Form.FEATURE_PLACE: ("a", {"feature": 0}, (0,)),
    Form.FEATURE_VALUES: ("a", {"feature": 0}, (0,)),
    Form.FEATURE_ORDER: ("a:3,0", {"feature": 0, "order": [3.0, 0.0]}, (0, [3.0, 0.0])),
    Form.FEATURE_NUMBER: ("a:2.5", {"feature": 0, "number": 2.5}, (0, 2.5)),
    Form.FEATURE_LIMITS: ("a:-1,2", {"feature": 0, "bounds": [-1, 2]}, (0, -1.0, 2.0)),
    Form.FEATURES: ("a,b", {"features": [0, 1]}, (0, 1)),
    Form.LIMITS: ("-1,2", {"bounds": [-1, 2]}, (-1.0, 2.0)),
    Form.NOTHING: ("", {}, ()),
}

#: Properties whose parameter is filled by name.
NAMED = {"plateau": "beyond"}

#: Those that hold functions, or other properties, cannot be typed.
NOT_TYPED = {"AllOf", "InvariantUnder", "LinearProperty", "Rule"}

every = pytest.mark.parametrize("spelling", list(spelled()), ids=lambda spelling: spelling.option)


def meant(spelling: Spelling) -> Property:
    """Return the property that :data:`TYPED` writes down."""
    arguments = TYPED[spelling.form][2]
    if spelling.option in NAMED:
        return spelled()[spelling](arguments[0], **{NAMED[spelling.option]: arguments[1]})
    return spelled()[spelling](*arguments)


def test_every_property_tells_its_spelling_or_cannot_be_typed() -> None:
    kinds = [getattr(vocabulary, name) for name in vocabulary.__all__]
    classes = {kind.__name__ for kind in kinds if isinstance(kind, type) and issubclass(kind, Property)}
    assert classes == {kind.__name__ for kind in spelled().values()} | NOT_TYPED


def test_no_spelling_is_that_of_two_properties() -> None:
    for told in ("option", "help"):
        told_of = [getattr(spelling, told) for spelling in spelled()]
        typed = [name for name in told_of if name is not None]
        assert len(set(typed)) == len(typed), told


def test_every_door_reads_every_form() -> None:
    assert set(READERS) == set(NEEDED) == set(TYPED) == set(Form)


@every
def test_the_command_line_reads_it(spelling: Spelling, capsys: pytest.CaptureFixture[str]) -> None:
    text, _, _ = TYPED[spelling.form]
    assert read_properties([(spelling.option, text)], COLUMNS) == [meant(spelling)]
    with pytest.raises(SystemExit):
        parser().parse_args(["check", "--help"])
    help_of = " ".join(capsys.readouterr().out.split())
    assert f"--{spelling.option} {spelling.form} ".replace("  ", " ") in help_of
    assert spelling.help in help_of


@every
def test_a_specification_reads_it(spelling: Spelling) -> None:
    _, entry, _ = TYPED[spelling.form]
    (specification,) = read_specifications(json.dumps([{"type": spelling.option, **entry}]))
    assert not isinstance(specification, Malformed), specification.reason
    assert specification.declared == meant(spelling)


@every
def test_a_mapping_reads_it_if_it_has_a_word(spelling: Spelling) -> None:
    if not spelling.is_word:
        with pytest.raises(InputError, match=r"is not about a feature alone; write the property"):
            declare({"a": spelling.option})
    else:
        assert declare({"a": spelling.option}) == declare({"a": spelling.option.upper()}) == spelled()[spelling]("a")


@pytest.mark.parametrize("number", [True, None, "2", [2]])
def test_a_number_that_is_none_is_refused(number: Any) -> None:
    (entry,) = read_specifications(json.dumps([{"type": "lipschitz", "feature": "a", "number": number}]))
    assert isinstance(entry, Malformed)
    assert "number must be a finite number, got" in entry.reason
