"""One page that joins what is known about a model before it is deployed, each statement under its kind.

A certificate, an audit and the findings of :mod:`alignconf.deployment.search`, :mod:`alignconf.deployment.slices`,
:mod:`alignconf.deployment.forecast`, :mod:`alignconf.deployment.rare` and :mod:`alignconf.deployment.propose` answer
different questions, and stand on different ground: fresh rows, one query that was found, a declared law, a fitted tail, or
evidence for a hypothesis. The page puts them side by side, says of each what its kind means, and adds up nothing. The only
verdict is that of the certificate, or of the audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alignconf.certify.audit import Audit
from alignconf.certify.certificate import Certificate
from alignconf.certify.report.page import FigureTable, Page, Section, check_path, save_text
from alignconf.certify.report.report import audit_page, audit_rates, certificate_page, rates_table
from alignconf.certify.report.wording import versions
from alignconf.deployment.finding import Finding, Kind
from alignconf.errors import InputError, quoted
from alignconf.tables.checks import check_level

__all__ = ["MEANING", "risk_page"]

#: What stands behind each kind of statement, in the order in which a reader should see them.
MEANING: dict[Kind, str] = {
    "certified": (
        "An exact bound from fresh independent rows of one law. It is about rows like these, and says nothing of rarer ones."
    ),
    "lower bound": (
        "Queries that were sought, found and evaluated. The worst there is, is at least as bad. It says nothing about how often "
        "this happens, and nothing at all where none was found."
    ),
    "simulation": "Random numbers from a declared law of inputs. It is about that law, and as wrong as that law is.",
    "model-based": "A tail that was fitted to rows and carried on beyond them. It is a forecast, not a bound.",
    "hypothesis": "Proposed to a person, with the evidence for it. Nothing was checked of the model, and nothing is enforced.",
}

UNJUDGED = "No certificate is given, so there is no verdict: no other kind of statement supports one."


def risk_page(
    *statements: Finding | Certificate | Audit,
    title: str = "Before you deploy",
    max_rate: float | None = None,
    path: Any = None,
) -> str:
    """Return one page of HTML with all that is known, each statement labelled with its kind.

    Parameters
    ----------
    *statements : Finding, Certificate or Audit
        At least one, in any order; at most one of them a certificate or an audit.
    title : str
    max_rate : float in (0, 1), optional
        The violation rate that an audit is judged against. A certificate is judged against its own ``alpha``.
    path : str or path, optional
        A file to write the page to.

    Returns
    -------
    str
        A page that holds its style and pictures itself: it fetches nothing and runs nothing. Where it was written to a file, the
        file's path.

    Raises
    ------
    InputError
        If there is nothing to show, something else than a statement, two certificates or audits, or no place to write to.

    Examples
    --------
    >>> import numpy as np
    >>> from alignconf.deployment.search import search
    >>> class Falls:
    ...     def predict(self, X):
    ...         return -X[:, 0]
    >>> rows = np.random.default_rng(0).uniform(size=(100, 2))
    >>> found = search(Falls(), rows, {0: "increasing"}, max_rows=500, random_state=0)
    >>> page = risk_page(found)
    >>> "No verdict" in page, "lower bound" in page
    (True, True)
    """
    findings, judged = _sorted_out(statements)
    if max_rate is not None:
        check_level("max_rate", max_rate)
    if not isinstance(title, str) or not title:
        raise InputError(f"title must be some text, got {quoted(title)}; write for example title='Before you deploy'.")
    check_path(path)
    page = _judged_page(judged, max_rate)
    kinds = list(MEANING)
    sections = [_section(finding) for finding in sorted(findings, key=lambda finding: kinds.index(finding.kind))]
    return save_text(replace(page, title=title, sections=sections).html(), path)


def _sorted_out(statements: Sequence[Any]) -> tuple[list[Finding], Certificate | Audit | None]:
    """Return the findings, and the certificate or audit that is judged."""
    if not statements:
        raise InputError("nothing to show: give at least one finding, certificate or audit.")
    for statement in statements:
        if not isinstance(statement, (Finding, Certificate, Audit)):
            raise InputError(
                f"a page shows findings, certificates and audits, got {quoted(statement)} of type "
                f"{type(statement).__name__}; give "
                "what search, find_slices, forecast_violations, violation_probability, certify or check returned."
            )
    judged = [statement for statement in statements if isinstance(statement, (Certificate, Audit))]
    if len(judged) > 1:
        raise InputError(f"a page has one verdict, got {len(judged)} certificates and audits; write a page for each.")
    return [statement for statement in statements if isinstance(statement, Finding)], judged[0] if judged else None


def _judged_page(judged: Certificate | Audit | None, max_rate: float | None) -> Page:
    if isinstance(judged, Certificate):
        return certificate_page(judged, max_rate)
    if isinstance(judged, Audit) and max_rate is not None:
        return audit_page(judged, max_rate)
    tables: list[FigureTable] = [] if judged is None else [rates_table(audit_rates(judged, None))]
    sentence = UNJUDGED if judged is None else "No rate was named that the audit should keep to: give max_rate."
    facts = [] if judged is None else str(judged).split("\n")
    settings = versions(None) if judged is None else judged.settings
    return Page(title="", word="", sentence=sentence, facts=facts, pictures=[], tables=tables, settings=settings)


def _section(finding: Finding) -> Section:
    part = type(finding).__module__.split(".")[2].replace("_", " ")
    facts = [line.removeprefix("- ") for line in str(finding).split("\n") if line.strip()]
    return Section(f"{part[:1].upper()}{part[1:]}", finding.kind, MEANING[finding.kind], facts)
