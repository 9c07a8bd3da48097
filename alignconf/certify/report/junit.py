"""An audit, or a certificate, as JUnit XML: what systems for continuous integration show beside the tests of a project.

One test case stands for each rule of an audit, with its own rate, interval and limit; where there are several rules, a case for
all of them together stands first. That one is what the verdict and the exit code of ``alignconf check`` are about, so the file
has a failure iff the verdict does not pass. A rule's own case fails if its own verdict does not pass either. A rule that no row
was asked about is skipped. The first case of a certificate is its promise; levels and groups with a promise of their own follow.
Where nothing was promised of this one function, and no rate is tolerated, the case is skipped.

The file keeps to the common shape (``testsuites``, ``testsuite``, ``properties``, ``testcase`` with ``skipped``, ``failure`` and
``system-out``) that Jenkins, GitLab and others read; figures stand in ``system-out``, one on each line, as schemas allow no
properties of a test case. Times are not measured and given as 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from alignconf.certify.report.wording import digests_in_words
from alignconf.certify.verdict import VIOLATED, Verdict

__all__ = ["audit_junit", "certificate_junit"]

#: Characters that no XML document may hold, however they are written.
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Case:
    """A test case: a verdict by its name, and whether it is a failure; without a verdict it is skipped."""

    name: str
    verdict: Verdict | None
    is_failure: bool = False


def audit_junit(audit: Any, max_rate: float) -> str:
    """Return the file of an :class:`~alignconf.certify.audit.Audit`, judged against a tolerated rate."""
    overall, facts = (
        audit.verdict(max_rate),
        (*audit.settings, *digests_in_words(audit.digests), ("max_rate", max_rate)),
    )
    cases = [
        Case(rule, verdict, verdict is not None and not (overall.is_passed or verdict.is_passed))
        for rule, verdict in _verdicts(audit, overall)
    ]
    return _junit_xml("alignconf check", facts, cases, str(audit), "no row has the features of this rule")


def certificate_junit(certificate: Any, max_rate: float | None) -> str:
    """Return the file of a :class:`~alignconf.Certificate`, judged against a tolerated rate, or against what was promised.

    What is not shown is a failure where a rate is tolerated; a promise, which calibration gave, fails where rows contradict it.
    """
    evidence, overall = certificate.evidence, certificate.verdict(max_rate)
    facts = (*evidence.settings, *digests_in_words(evidence.digests))
    of_each = zip(certificate.separately, certificate.promised_separately, strict=True)
    each = [(what, Verdict(rate, promised)) for (what, rate), promised in of_each if promised is not None]
    cases = [Case(certificate.property, overall, overall is not None and _fails(overall, is_promise=max_rate is None))]
    cases += [Case(what, verdict, _fails(verdict, is_promise=True)) for what, verdict in each]
    return _junit_xml(
        "alignconf certificate", facts, cases, str(certificate), "nothing was promised of this one function"
    )


def _fails(verdict: Verdict, *, is_promise: bool) -> bool:
    return verdict.word == VIOLATED if is_promise else not verdict.is_passed


def _junit_xml(name: str, facts: Sequence[tuple[str, Any]], cases: Sequence[Case], judged: str, reason: str) -> str:
    """Return the file of test cases, the first of which is about all that is ``judged``; why others are skipped is a reason."""
    suite = Element("testsuite", name=name)
    properties = SubElement(suite, "properties")
    for fact, value in facts:
        SubElement(properties, "property", name=_text(fact), value=_text(value))
    for of_case in cases:
        verdict = of_case.verdict
        case = SubElement(suite, "testcase", classname=name, name=_text(of_case.name), time="0")
        if verdict is None:
            SubElement(case, "skipped", message=reason)
            continue
        if of_case.is_failure:
            failure = SubElement(case, "failure", type=verdict.word, message=_text(verdict))
            failure.text = _text(f"{verdict}\n{judged}" if of_case is cases[0] else verdict)
        figures = {"verdict": verdict.word, "max_rate": verdict.max_rate} | verdict.violations.to_dict()
        lines = [str(verdict), *(f"{figure}: {value}" for figure, value in figures.items())]
        SubElement(case, "system-out").text = _text("\n".join(lines))
    counted = {"tests": "testcase", "failures": "testcase/failure", "errors": "testcase/error"}
    counts = {what: str(len(suite.findall(path))) for what, path in counted.items()} | {"time": "0"}
    suite.attrib |= counts | {"skipped": str(len(suite.findall("testcase/skipped")))}
    suites = Element("testsuites", {"name": name} | counts)
    suites.append(suite)
    indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suites, encoding="unicode")}\n'


def _verdicts(audit: Any, overall: Verdict) -> list[tuple[str, Verdict | None]]:
    """Return the names of the test cases with their verdicts, None for a rule that no row was asked about."""
    if len(audit.by_rule) == 1:
        return [(audit.by_rule[0][0], overall)]
    each = [(rule, None if rate is None else Verdict(rate, overall.max_rate)) for rule, rate in audit.by_rule]
    return [(f"all {len(each)} rules together", overall), *each]


def _text(value: Any) -> str:
    """Return a value as text that XML may hold."""
    return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", str(value))
