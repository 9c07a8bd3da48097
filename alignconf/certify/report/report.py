"""Reports: what an audit or a certificate says, arranged as a page.

The order is that of a reader with little time: the verdict (:mod:`alignconf.certify.verdict`), the claim, pictures of rates
and of the lines that are violated most, the worst queries with their coordinates, and last what would be needed to do it
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING
from functools import partial
from typing import Any

from alignconf.certify.report.drawing import RateRow, draw_line, draw_moves, draw_rates
from alignconf.certify.report.inline_svg import inline_svg
from alignconf.certify.report.page import FigureTable, Page, Picture
from alignconf.certify.report.pictured_line import PicturedLine
from alignconf.certify.report.wording import digests_in_words
from alignconf.certify.summary import POINTER, Summary, audit_summary, certificate_summary
from alignconf.certify.verdict import Verdict, weakest
from alignconf.certify.witness import Witness
from alignconf.tables import printed

__all__ = ["audit_page", "audit_rates", "certificate_page", "certificate_rates", "rates_table"]

#: What is said where there is nothing to keep to.
NO_LIMIT = (
    "No verdict, as this function was asked to keep to no rate: alpha is kept on average over calibrations, or is a size. "
    "max_rate=... gives a rate to keep to; so does calibrating with a confidence."
)

#: A page draws at most so many rates; the table has them all.
MAX_DRAWN = 12

#: A title has at most so many characters.
MAX_TITLE = 60


def audit_page(audit: Any, max_rate: float) -> Page:
    """Return the page of an :class:`~alignconf.certify.audit.Audit`, judged against a tolerated rate."""
    verdict = audit.verdict(max_rate)
    rates = audit_rates(audit, max_rate)
    return Page(
        title=f"Is the model {_short(audit)}?",
        word=verdict.word,
        sentence=verdict.reason,
        facts=audit.sentence.split("\n"),
        summary=_labelled(audit_summary(audit)),
        pictures=_pictures(
            rates, audit.lines, "Row {row}, along whose line the worst violation was found; its points are marked."
        ),
        tables=[rates_table(rates), *_witnesses("Worst queries", "the model", audit.witnesses)],
        settings=(*audit.settings, *digests_in_words(audit.digests)),
    )


def certificate_page(certificate: Any, max_rate: float | None = None) -> Page:
    """Return the page of a :class:`~alignconf.Certificate`, judged against a tolerated rate or the calibrated one.

    Parameters
    ----------
    certificate : Certificate
    max_rate : float in [0, 1), optional
    """
    rates = certificate_rates(certificate, max_rate)
    verdicts = _verdicts(certificate, rates, max_rate)
    word, sentence = certificate.effect, NO_LIMIT
    if verdicts:
        name, headline = weakest(verdicts)
        first = f"The weakest of {len(verdicts)} verdicts, each by itself: {name}. " if len(verdicts) > 1 else ""
        word, sentence = headline.word, f"{first}{headline.reason}"
    return Page(
        title=f"Certificate: {_short(certificate)}",
        word=word,
        sentence=sentence,
        facts=certificate.sentence.split("\n"),
        summary=_labelled(certificate_summary(certificate)),
        pictures=_pictures(
            rates,
            certificate.evidence.lines,
            "Row {row}, the worst: along its line the model violates the property most.",
            _pictures_of_moves(certificate),
        ),
        tables=[
            rates_table(rates),
            *_witnesses("Worst queries to the delivered model", "the delivered model", certificate.evidence.witnesses),
            *_witnesses(
                "Worst queries to the model before alignment", "the model", certificate.evidence.witnesses_before
            ),
        ],
        settings=(*certificate.evidence.settings, *digests_in_words(certificate.evidence.digests)),
    )


def audit_rates(audit: Any, max_rate: float | None) -> list[RateRow]:
    """Return the rate of an audit, with the tolerated rate."""
    return [RateRow("the model", audit.violations, max_rate)]


def certificate_rates(certificate: Any, max_rate: float | None = None) -> list[RateRow]:
    """Return all rates of a certificate, with their limits: a tolerated rate, or the one calibrated with confidence.

    Parameters
    ----------
    certificate : Certificate
    max_rate : float in [0, 1), optional
    """
    limit = certificate.promised if max_rate is None else max_rate
    rates = [
        RateRow("model before alignment", certificate.before),
        RateRow("delivered", certificate.delivered, limit),
        RateRow("at full strength", certificate.full_strength),
    ]
    promised = certificate.promised_separately or (None,) * len(certificate.separately)
    separately = zip(certificate.separately, promised, strict=True)
    return rates + [RateRow(f"delivered, {what}", rate, alpha) for (what, rate), alpha in separately]


def _short(finding: Any) -> str:
    """Return the property in words, or how many rules it has."""
    return finding.property if len(finding.property) <= MAX_TITLE else f"in accord with {len(finding.by_rule)} rules"


def _labelled(summary: Summary) -> list[tuple[str, str]]:
    """Return the facts of a summary, those of several lines as one; the full statement is on the same page."""
    facts: list[tuple[str, str]] = []
    for label, line in summary.facts:
        text = line.removesuffix(POINTER)
        facts.append((label, text) if label else (facts[-1][0], f"{facts.pop()[1]} {text}"))
    return facts


def _verdicts(certificate: Any, rates: Sequence[RateRow], max_rate: float | None) -> dict[str, Verdict]:
    """Return the verdicts on the delivered function by name: all of it, and each level or group that has a limit of its own."""
    overall = certificate.verdict(max_rate)
    separately = {
        row.name: Verdict(row.violations, row.max_rate, "alpha") for row in rates[3:] if row.max_rate is not None
    }
    return ({} if overall is None else {"delivered": overall}) | separately


def _pictures_of_moves(certificate: Any) -> list[Picture]:
    """Return how far predictions were moved, and a typical row's line; nothing where rows were not kept."""
    evidence, pictures = certificate.evidence, []
    if evidence.moves is not None and evidence.moves.counts:
        words = "How far predictions were moved."
        subject = "prediction" if evidence.typical is None else evidence.typical.subject
        drawn = partial(draw_moves, evidence.moves, subject)
        pictures.append(Picture(inline_svg(drawn, "moves", words, size=(3.7, 2.4)), words))
    if evidence.typical is not None:
        words = f"Row {evidence.typical.row}, a typical one: it is moved by the median of those that are moved."
        pictures.append(Picture(inline_svg(partial(draw_line, evidence.typical), "typical", words), words))
    return pictures


def _pictures(
    rates: Sequence[RateRow], lines: Sequence[PicturedLine], caption: str, moved: Sequence[Picture] = ()
) -> list[Picture]:
    drawn = rates[:MAX_DRAWN]
    size = (3.7, 1.3 + 0.42 * len(drawn))
    words = "Violation rates with their intervals; the table below has the numbers."
    pictures = [Picture(inline_svg(partial(draw_rates, drawn), "rates", words, size=size), words), *moved]
    for number, line in enumerate(lines):
        sentence = caption.format(row=line.row)
        svg = inline_svg(partial(draw_line, line), f"line{number}", f"{sentence} Along it varies {line.label}.")
        pictures.append(Picture(svg, sentence))
    return pictures


def rates_table(rows: Sequence[RateRow]) -> FigureTable:
    """Return rates as a table, with their bounds."""
    cells = []
    for row in rows:
        violations = row.violations
        verdict = (
            "" if row.max_rate is None else f"{printed.level(row.max_rate)}: {Verdict(violations, row.max_rate).word}"
        )
        seen = f"{violations.n_rejected} of {violations.n_queries}"
        cells.append(
            (
                row.name,
                seen,
                str(violations),
                printed.percent(violations.upper_bound, ROUND_CEILING),
                verdict or "\N{EN DASH}",
            )
        )
    confidence = rows[0].violations.confidence
    return FigureTable(
        title="Violation rates",
        caption=f"Of the queries asked; every interval and bound at confidence {printed.level(confidence)}, each by itself.",
        header=("Function", "Violated queries", "Rate and interval", "At most", "Should keep to"),
        rows=tuple(cells),
    )


def _witnesses(title: str, function: str, witnesses: Sequence[Witness]) -> list[FigureTable]:
    if not witnesses:
        return []
    rows = []
    for witness in witnesses:
        points = zip(witness.points, witness.predictions, strict=True)
        where = "" if witness.feature is None else f"{witness.feature} = "
        lines = tuple(f"{where}{point}: {prediction:.6g}" for point, prediction in points)
        size = "not accepted" if witness.excess is None else f"{witness.excess:.6g}"
        rows.append((str(witness.row), witness.property, lines, size))
    return [
        FigureTable(
            title=title,
            caption=(
                f"What {function} predicts at the points of each query; all other features are the row's own. The last column is "
                "by how much the demand fails, in the unit of the prediction."
            ),
            header=("Row of X", "Property", "Points: predictions", "Too much by"),
            rows=tuple(rows),
        )
    ]
