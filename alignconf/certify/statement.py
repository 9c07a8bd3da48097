"""The full statements of a certificate: the claim with every assumption, the facts next to it, and what calibration promised."""

from __future__ import annotations

from decimal import ROUND_CEILING
from typing import Any

from alignconf.calibration.claim import Calibration
from alignconf.certify.distance import absolute_sentence, hamming_sentence, size_sentence
from alignconf.certify.report.wording import coverage_in_words
from alignconf.tables import printed

__all__ = ["claim_of", "half_width_note", "promise_in_words", "statement_of"]


def claim_of(certificate: Any) -> str:
    """Return what the bound of a :class:`~alignconf.Certificate` says, with its assumptions and counts."""
    observed = f"{certificate.n_rejected} of {certificate.n_queries} observed"
    if certificate.n_queries != certificate.n_rows:
        observed += f", {certificate.n_queries // certificate.n_rows} at each row"
    claim = (
        f"With confidence at least {printed.level(certificate.confidence)} over the {certificate.n_rows} rows certified and the "
        "queries drawn at them (independent rows, used for nothing before), at most "
        f"{printed.percent(certificate.upper_bound, ROUND_CEILING)} of queries to the delivered model are violations of "
        f'"{certificate.property}" ({observed}; queries are {certificate.query_law}).'
    )
    further = (
        hamming_sentence(certificate.tester, certificate.hamming_bound, certificate.distance_bound),
        absolute_sentence(certificate.tester, certificate.distance_bound),
        size_sentence(certificate.size_bound),
    )
    return " ".join([claim, *(sentence for sentence in further if sentence is not None)])


def statement_of(certificate: Any) -> str:
    """Return the claim and the facts next to it, a line each."""
    before, delivered, full = certificate.before, certificate.delivered, certificate.full_strength
    largest = printed.rounded(certificate.max_displacement, ROUND_CEILING)
    facts = [
        certificate.claim,
        f"Before alignment: {before}. Delivered: {delivered}. Full strength: {full}.",
        (
            f"Half-width lambda_ = {certificate.lambda_:.6g}{certificate.half_width_note} "
            f"(alpha = {certificate.alphas_in_words}); "
            f"displacement {certificate.rms_displacement:.4g} root mean square, {largest} at most."
        ),
    ]
    if certificate.totals:
        before_all, after_all = certificate.totals
        is_weighted = certificate.error is not None and certificate.error.measure.startswith("weighted ")
        by = f" ({(after_all - before_all) / abs(before_all):+.2%})" if before_all else ""
        sums = f"{printed.figure(before_all, digits=4)} before, {printed.figure(after_all, digits=4)} after{by}"
        facts.append(f"{'Weighted sum' if is_weighted else 'Sum'} of predictions {sums}.")
    if certificate.repair:
        facts.append(f"Repaired {certificate.repair.rstrip('.')}.")
    if certificate.by_construction:
        facts.append(f"By construction no query fails: {certificate.construction}.")
    facts += [
        f"{what}: {rate}, at most {printed.percent(rate.upper_bound, ROUND_CEILING)}."
        for what, rate in certificate.separately
    ]
    if certificate.n_missing:
        what = "not asked" if certificate.covers_missing else "returned unchanged and not covered"
        facts.append(f"{certificate.n_missing} rows {certificate.left_out}: {what}.")
    facts += coverage_in_words(certificate.coverage, certificate.n_rows)
    if certificate.error is not None:
        facts.append(f"{str(certificate.error)[0].upper()}{str(certificate.error)[1:]}.")
    return "\n".join([*facts, *certificate.evidence.own_constraints])


def promise_in_words(calibration: Calibration) -> str:
    """Return what calibration promised of rates, in a line; empty where it promised a size, nothing, or several rates."""
    promise = calibration.promise
    if not promise.loss.is_rate or len(promise.alphas) > 1 or calibration.alpha == 0:
        return ""
    rate, rows = printed.level_in_percent(calibration.alpha), f"{calibration.n_rows:,} calibration rows"
    if promise.confidence is None:
        return f"{rate} on average over calibrations, not for this one ({rows})"
    return f"at most {rate}, with {printed.level_in_percent(promise.confidence)} confidence, by {rows}"


def half_width_note(calibration: Calibration, *, is_same: bool) -> str:
    """Return the note on a half-width that is not the same for all rows, or not in the unit of the prediction."""
    notes = [] if is_same else ["the largest, rows differ"]
    if calibration.scale:
        notes.append(f"times the scale: {calibration.scale}")
    return f" ({'; '.join(notes)})" if notes else ""
