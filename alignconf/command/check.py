"""``alignconf check``: how often a stored model violates a property, and an exit code that says whether that is tolerated."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

from alignconf.certify.audit import check
from alignconf.certify.report.page import check_path
from alignconf.certify.report.wording import plain
from alignconf.certify.verdict import UNDECIDED, VIOLATED, check_max_rate
from alignconf.command.declarations import check_declared, read_codes, read_properties
from alignconf.command.files import MODELS, TABLES, check_file, load_model, load_rows
from alignconf.errors import InputError
from alignconf.estimators.classifier import class_function
from alignconf.tables.checks import check_level

__all__ = ["CODES", "check_class", "label_of", "reference_rows", "run"]

#: Exit codes by verdict; all others end with 0.
CODES = {VIOLATED: 1, UNDECIDED: 3}


def run(given: Namespace) -> int:
    """Check, print, write the page and the test cases that are asked for, and return the exit code."""
    check_declared(given.declared, given.rules)
    check_level("--confidence", given.confidence)
    check_max_rate(given.max_rate)
    check_path(given.html)
    check_path(given.junit)
    check_file(given.data, TABLES, "data")
    check_file(given.model, MODELS, "model")
    if given.reference_data is not None:
        check_file(given.reference_data, TABLES, "reference data")
    model = load_model(given.model, given.trust)
    rows = load_rows(given.data, model, given.target)
    reference = reference_rows(given, model)
    check_class(given, model)
    function = model
    if hasattr(model, "predict_proba"):
        function = class_function(model, label_of(model, given.pos_label), scale=given.scale)
    declared = read_properties(
        given.declared, rows.columns, rules=given.rules, special=given.special, between=given.between
    )
    audit = check(
        function, rows.X, declared, outputs=read_codes(given.outputs) or None, confidence=given.confidence,
        query_law=given.query_law, X_reference=reference, reference_law=given.reference_law, random_state=given.random_state,
    )  # fmt: skip
    verdict = audit.verdict(given.max_rate)
    code = CODES.get(verdict.word, 0)
    if given.html is not None:
        audit.to_html(given.html, max_rate=given.max_rate)
    if given.junit is not None:
        audit.to_junit(given.junit, max_rate=given.max_rate)
    if given.json:
        output = {"verdict": verdict.to_dict(), "exit_code": code, "model": given.model, "data": given.data}
        print(json.dumps(plain(output | {"audit": audit.to_dict()}), indent=2, allow_nan=False))
    else:
        print(verdict)
        print(audit)
    return code


def reference_rows(given: Namespace, model: Any) -> Any:
    """Return the rows that give the reference law, None where none are given; they need no labels."""
    if given.reference_data is None:
        return None
    return load_rows(given.reference_data, model, given.target, what="reference data", needs_target=False).X


def check_class(given: Namespace, model: Any) -> None:
    """Refuse a class where the model is no classifier."""
    if given.pos_label is not None and not hasattr(model, "predict_proba"):
        raise InputError(f"--class is for classifiers, and the model is a {type(model).__name__}; leave it out.")


def label_of(model: Any, text: str | None) -> Any:
    """Return the class of a classifier that a text names, None for the second of two.

    Raises
    ------
    InputError
        If it names none, or there are more than two and none is named.
    """
    classes = {str(label): label for label in getattr(model, "classes_", ())}
    if (text is None and len(classes) > 2) or (text is not None and text not in classes):
        given = "is missing" if text is None else f"{text!r} is no class of the model"
        raise InputError(f"--class {given}; expected one of {', '.join(classes)}.")
    label: Any = None if text is None else classes[text]
    return label.item() if hasattr(label, "item") else label
