"""``alignconf align``: calibrate a stored model on rows without labels, certify it if fresh rows are given, and store the result.

The certificate states what fresh rows show, whatever it is; the model is stored either way. A failed run stores nothing.
"""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

from alignconf.certify.certificate import Certificate
from alignconf.certify.report.page import check_path, save_text
from alignconf.certify.report.wording import plain
from alignconf.command.check import check_class, label_of, reference_rows
from alignconf.command.declarations import check_declared, read_codes, read_properties
from alignconf.command.files import MODELS, TABLES, check_file, check_output, load_model, load_rows, save_model
from alignconf.errors import InputError
from alignconf.estimators.aligned import AlignedEstimator
from alignconf.estimators.classifier import AlignedClassifier
from alignconf.estimators.regressor import AlignedRegressor
from alignconf.tables.checks import check_count, check_level, check_number

__all__ = ["run"]


def run(given: Namespace) -> int:
    """Align, certify, print, store, and return 0."""
    _check(given)
    target = check_output(given.output)
    model = load_model(given.model, given.trust)
    rows = load_rows(given.data, model, given.target)
    declared = read_properties(
        given.declared, rows.columns, rules=given.rules, special=given.special, between=given.between
    )
    aligned = _aligned(given, model, declared)
    aligned.calibrate(rows.X, X_reference=reference_rows(given, model))
    certificate: Certificate | None = None
    if given.certify_data is not None:
        fresh = load_rows(given.certify_data, model, given.target, what="rows to certify on", needs_target=False)
        outputs = aligned._outputs
        certificate = aligned.certify(fresh.X, fresh.y if outputs is None or outputs.are_probabilities else None)
    page = "" if certificate is None else certificate.to_html()
    save_model(aligned, target)
    if given.html is not None:
        save_text(page, given.html)
    _print(given, aligned, certificate)
    return 0


def _check(given: Namespace) -> None:
    """Refuse what can be refused before any file is loaded."""
    check_declared(given.declared, given.rules)
    check_level("--alpha", given.alpha, zero=True)
    if given.confidence is not None:
        check_level("--confidence", given.confidence)
    check_count("--n-knots", given.n_knots, at_least=2)
    if given.max_half_width is not None:
        check_number("--max-half-width", given.max_half_width, at_least=0.0)
    check_path(given.html)
    if given.html is not None and given.certify_data is None:
        raise InputError("--html writes a certificate, which needs fresh rows; give them with --certify-data.")
    check_file(given.data, TABLES, "data")
    check_file(given.model, MODELS, "model")
    for name in ("reference_data", "certify_data"):
        if getattr(given, name) is not None:
            check_file(getattr(given, name), TABLES, f"--{name.replace('_', '-')}")


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
        return AlignedClassifier(
            model, properties, pos_label=label_of(model, given.pos_label), scale=given.scale, **settings
        )
    check_class(given, model)
    return AlignedRegressor(model, properties, outputs=read_codes(given.outputs) or None, **settings)


def _print(given: Namespace, aligned: AlignedEstimator, certificate: Certificate | None) -> None:
    if given.json:
        output = {
            "output": given.output,
            "lambda_": float(aligned.lambda_),
            "alpha": given.alpha,
            "statement": aligned.calibration_.statement,
            "certificate": None if certificate is None else certificate.to_dict(),
        }
        print(json.dumps(plain(output), indent=2, allow_nan=False))
        return
    print(aligned.calibration_)
    if certificate is None:
        print(
            "Not certified: fresh rows, given with --certify-data, would show how often the aligned model is violated."
        )
    else:
        print(certificate)
    print(f"Stored as {given.output}")
