"""``alignconf align``: calibrate a stored model on rows without labels, certify it if fresh rows are given, and store the result.

The certificate states what fresh rows show, whatever it is; the model is stored either way, and the exit code says whether the
rows contradict the promise. A failed run stores nothing.
"""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from typing import Any

from alignconf.certify.agreement import own_constraints
from alignconf.certify.certificate import Certificate
from alignconf.certify.report.wording import plain
from alignconf.certify.verdict import VIOLATED
from alignconf.command.check import CODES, check_class, check_given, classes_of, label_of, reference_rows
from alignconf.command.declarations import read_codes, read_properties
from alignconf.command.ending import Ending, put
from alignconf.command.file_digests import digests_of_files
from alignconf.command.files import check_output, load_model, load_rows, save_model
from alignconf.errors import InputError
from alignconf.estimators.aligned import AlignedEstimator
from alignconf.estimators.classifier import AlignedClassifier
from alignconf.estimators.regressor import AlignedRegressor
from alignconf.estimators.request import MOST
from alignconf.tables.checks import check_count, check_level, check_number

__all__ = ["run"]


def run(given: Namespace) -> Ending:
    """Align, certify, store, and return what is said of it."""
    categories = _check(given)
    target = check_output(given.output)
    model = load_model(given.model, given.trust)
    rows = load_rows(given.data, model, given.target, categories=categories)
    declared = read_properties(
        given.declared, rows.columns, rules=given.rules, special=given.special, between=given.between
    )
    aligned = _aligned(given, model, declared)
    aligned.calibrate(rows.X, X_reference=reference_rows(given, model, categories))
    certificate: Certificate | None = None
    if given.certify_data is not None:
        fresh = load_rows(given.certify_data, model, given.target, what="--certify-data", categories=categories)
        outputs = aligned._outputs
        compared = outputs is None or outputs.are_probabilities or hasattr(model, "predict_proba")
        certificate = _with_files(aligned.certify(fresh.X, fresh.y if compared else None), given)
    is_kept, texts = True, {}
    if certificate is not None:
        verdict = certificate.verdict()
        is_kept = verdict is None or verdict.word != VIOLATED
        if given.html is not None:
            texts[given.html] = certificate.to_html()
        if given.junit is not None:
            texts[given.junit] = certificate.to_junit()
    save_model(aligned, target)
    stored = f"Stored as {given.output}" + ("" if is_kept else ", although its promise is not kept")
    said = _said(given, aligned, certificate, stored)
    try:
        return put(texts, Ending(0 if is_kept else CODES[VIOLATED], said, is_figures=given.json, summary=stored))
    except InputError as error:
        raise InputError(f"{error} {stored}.") from error


def _with_files(certificate: Certificate, given: Namespace) -> Certificate:
    """Return the certificate with the digests of the files that it is about."""
    evidence = certificate.evidence
    return replace(certificate, evidence=replace(evidence, digests=(*evidence.digests, *digests_of_files(given))))


def _check(given: Namespace) -> dict[str, list[str]]:
    """Refuse what can be refused before any file is loaded; return the categories that are listed."""
    check_level("--alpha", given.alpha, zero=True)
    if given.confidence is not None:
        check_level("--confidence", given.confidence)
    check_count("--n-knots", given.n_knots, at_least=2, at_most=MOST)
    if given.max_half_width is not None:
        check_number("--max-half-width", given.max_half_width, at_least=0.0)
    written = {"--html": given.html, "--junit": given.junit}
    for option, path in written.items():
        if path is not None and given.certify_data is None:
            raise InputError(f"{option} writes a certificate, which needs fresh rows; give them with --certify-data.")
    check_output(given.output)
    return check_given(given, written={"--output": given.output} | written, further=["--certify-data"])


def _aligned(given: Namespace, model: Any, properties: list[Any]) -> Any:
    settings = {
        "alpha": given.alpha,
        "confidence": given.confidence,
        "projection": given.projection,
        "n_knots": given.n_knots,
        "max_half_width": given.max_half_width,
        "query_law": given.query_law,
        "reference_law": given.reference_law,
        "random_state": given.random_state,
    }
    if hasattr(model, "predict_proba"):
        classes = classes_of(model, given.classes)
        label = None if classes is not None else label_of(model, given.pos_label)
        return AlignedClassifier(model, properties, pos_label=label, classes=classes, scale=given.scale, **settings)
    check_class(given, model)
    return AlignedRegressor(model, properties, outputs=read_codes(given.outputs) or None, **settings)


def _said(given: Namespace, aligned: AlignedEstimator, certificate: Certificate | None, stored: str) -> str:
    own = [str(constraint) for constraint in own_constraints(aligned.alignment_.model, aligned.alignment_.tester.parts)]
    if given.json:
        output = {
            "output": given.output,
            "lambda_": float(aligned.lambda_),
            "alpha": given.alpha,
            "statement": aligned.calibration_.statement,
            "own_constraints": own,
            "certificate": None if certificate is None else certificate.to_dict(),
        }
        return json.dumps(plain(output), indent=2, allow_nan=False)
    uncertified = (
        "Not certified: fresh rows, given with --certify-data, would show how often the aligned model is violated."
    )
    shown: Any = uncertified if certificate is None else certificate
    return "\n".join([str(aligned.calibration_), *own, str(shown), stored])
