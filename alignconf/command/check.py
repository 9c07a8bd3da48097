"""``alignconf check``: how often a stored model violates a property, and an exit code that says whether that is tolerated."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alignconf.certify.audit import check
from alignconf.certify.report.wording import plain
from alignconf.certify.verdict import UNDECIDED, VIOLATED, check_max_rate
from alignconf.command.declarations import check_declared, listed_categories, read_codes, read_properties
from alignconf.command.ending import Ending, check_standard, files_of, put
from alignconf.command.file_digests import digests_of_files
from alignconf.command.files import MODELS, load_model, load_rows
from alignconf.command.table_file import check_file, names_of_columns, no_column
from alignconf.errors import InputError
from alignconf.lines.classes_function import ALL, class_function
from alignconf.tables.checks import check_level
from alignconf.tables.random_streams import check_random_state
from alignconf.tables.storage import check_apart, check_target

__all__ = ["CODES", "check_class", "check_given", "classes_of", "label_of", "reference_rows", "run"]

#: Exit codes by verdict; all others end with 0.
CODES = {VIOLATED: 1, UNDECIDED: 3}


def run(given: Namespace) -> Ending:
    """Check, write the page and the test cases that are asked for, and return the verdict with its exit code."""
    check_level("--confidence", given.confidence)
    check_max_rate(given.max_rate)
    written = {"--html": given.html, "--junit": given.junit}
    categories = check_given(given, written=written)
    model = load_model(given.model, given.trust)
    rows = load_rows(given.data, model, given.target, categories=categories)
    reference = reference_rows(given, model, categories)
    check_class(given, model)
    function = model
    if hasattr(model, "predict_proba"):
        classes = classes_of(model, given.classes)
        label = None if classes is not None else label_of(model, given.pos_label)
        function = class_function(model, label, scale=given.scale, classes=classes)
    declared = read_properties(
        given.declared, rows.columns, rules=given.rules, special=given.special, between=given.between
    )
    audit = check(
        function, rows.X, declared, outputs=read_codes(given.outputs) or None, confidence=given.confidence,
        query_law=given.query_law, X_reference=reference, reference_law=given.reference_law, random_state=given.random_state,
    )  # fmt: skip
    audit = replace(audit, digests=(*audit.digests, *digests_of_files(given)))
    verdict = audit.verdict(given.max_rate)
    code = CODES.get(verdict.word, 0)
    texts = {}
    if given.html is not None:
        texts[given.html] = audit.to_html(max_rate=given.max_rate)
    if given.junit is not None:
        texts[given.junit] = audit.to_junit(max_rate=given.max_rate)
    files = files_of(written).values()
    summary = f"{verdict} Written: {', '.join(files)}" if files else str(verdict)
    said = "\n".join([str(verdict), str(audit), *audit.own_constraints])
    if given.json:
        output = {"verdict": verdict.to_dict(), "exit_code": code, "model": given.model, "data": given.data}
        said = json.dumps(plain(output | {"audit": audit.to_dict()}), indent=2, allow_nan=False)
    return put(texts, Ending(code, said, is_figures=given.json, summary=summary))


def check_given(given: Namespace, *, written: dict[str, Any], further: Sequence[str] = ()) -> dict[str, list[str]]:
    """Refuse what can be refused before the model is loaded, which may run code; return the categories that are listed.

    Parameters
    ----------
    given : Namespace
    written : dict
        The files that are to be written, by option, and what goes to standard output.
    further : sequence of str
        Options of tables besides those of :func:`run`.

    Returns
    -------
    dict
        From columns to the texts that are categories there.
    """
    check_declared(given.declared, given.rules)
    check_random_state(given.random_state)
    tables = {"--reference-data": given.reference_data}
    tables |= {option: getattr(given, option.lstrip("-").replace("-", "_")) for option in further}
    check_standard(written, json=given.json)
    files = files_of(written)
    for option, path in files.items():
        check_target(path, option)
    check_apart(files, {"data": given.data, "model": given.model, "--rules": given.rules} | tables)
    check_file(given.model, MODELS, "model")
    names = {
        option: names_of_columns(path, option)
        for option, path in ({"data": given.data} | tables).items()
        if path is not None
    }
    if given.target is not None and not any(given.target in of_file for of_file in names.values()):
        raise no_column("data", given.data, given.target, names["data"])
    features = tuple(name for name in names["data"] if name != given.target)
    domain = {"rules": given.rules, "special": given.special, "between": given.between}
    return listed_categories(given.declared, features, **domain)


def reference_rows(given: Namespace, model: Any, categories: dict[str, list[str]]) -> Any:
    """Return the rows that give the reference law, None where none are given; they need no labels."""
    if given.reference_data is None:
        return None
    return load_rows(given.reference_data, model, given.target, what="--reference-data", categories=categories).X


def check_class(given: Namespace, model: Any) -> None:
    """Refuse classes where the model is no classifier."""
    for option, text in (("--class", given.pos_label), ("--classes", given.classes)):
        if text is not None and not hasattr(model, "predict_proba"):
            raise InputError(f"{option} is for classifiers, and the model is a {type(model).__name__}; leave it out.")


def classes_of(model: Any, text: str | None) -> Any:
    """Return the classes that a text lists, or ``"all"``; None where none are given.

    Raises
    ------
    InputError
        If it names what is no class.
    """
    if text is None or text == ALL:
        return text
    return [label_of(model, label.strip()) for label in text.split(",")]


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
