"""An audit as JUnit XML: what systems for continuous integration show beside the tests of a project.

One test case stands for each rule, with its own rate, interval and limit; where there are several rules, a case for all of them
together stands first. That one is what the verdict and the exit code of ``alignconf check`` are about, so the file has a failure
iff the verdict does not pass. A rule's own case fails if its own verdict does not pass either. A rule that no row was asked
about is skipped.

The file keeps to the common shape (``testsuites``, ``testsuite``, ``properties``, ``testcase`` with ``skipped``, ``failure`` and
``system-out``) that Jenkins, GitLab and others read; figures stand in ``system-out``, one on each line, as schemas allow no
properties of a test case. Times are not measured and given as 0.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from alignconf.certify.report.wording import digests_in_words
from alignconf.certify.verdict import Verdict

__all__ = ["junit_xml"]

SUITE = "alignconf check"

#: Characters that no XML document may hold, however they are written.
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(audit: Any, max_rate: float) -> str:
    """Return the file of an :class:`~alignconf.certify.audit.Audit`, judged against a tolerated rate."""
    overall = audit.verdict(max_rate)
    suite = Element("testsuite", name=SUITE)
    properties = SubElement(suite, "properties")
    for name, value in (*audit.settings, *digests_in_words(audit.digests), ("max_rate", max_rate)):
        SubElement(properties, "property", name=_text(name), value=_text(value))
    for name, verdict in _cases(audit, overall):
        case = SubElement(suite, "testcase", classname=SUITE, name=_text(name), time="0")
        if verdict is None:
            SubElement(case, "skipped", message="no row has the features of this rule")
            continue
        if not (overall.is_passed or verdict.is_passed):
            failure = SubElement(case, "failure", type=verdict.word, message=_text(verdict))
            failure.text = _text(f"{verdict}\n{audit}" if verdict is overall else verdict)
        figures = {"verdict": verdict.word, "max_rate": max_rate} | verdict.violations.to_dict()
        lines = [str(verdict), *(f"{figure}: {value}" for figure, value in figures.items())]
        SubElement(case, "system-out").text = _text("\n".join(lines))
    counted = {"tests": "testcase", "failures": "testcase/failure", "errors": "testcase/error"}
    counts = {name: str(len(suite.findall(path))) for name, path in counted.items()} | {"time": "0"}
    suite.attrib |= counts | {"skipped": str(len(suite.findall("testcase/skipped")))}
    suites = Element("testsuites", {"name": SUITE} | counts)
    suites.append(suite)
    indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suites, encoding="unicode")}\n'


def _cases(audit: Any, overall: Verdict) -> list[tuple[str, Verdict | None]]:
    """Return the names of the test cases with their verdicts, None for a rule that no row was asked about."""
    if len(audit.by_rule) == 1:
        return [(audit.by_rule[0][0], overall)]
    each = [(rule, None if rate is None else Verdict(rate, overall.max_rate)) for rule, rate in audit.by_rule]
    return [(f"all {len(each)} rules together", overall), *each]


def _text(value: Any) -> str:
    """Return a value as text that XML may hold."""
    return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", str(value))
