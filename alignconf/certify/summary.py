"""What a certificate and an audit show, in at most eight lines of at most 100 columns.

The first line is the verdict on the promise, or the effect where nothing was promised of this one function; then what was broken
before and is now, what moved, what the error did, what a question is, and under what the lines are valid. A function that is
proved to obey a rule has no bounds. The full statement is the ``sentence`` of a certificate, with every assumption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR
from textwrap import shorten
from typing import Any

from alignconf.certify.error_change import ErrorChange
from alignconf.certify.verdict import HOLDS, UNDECIDED, UNSEEN
from alignconf.certify.violation_rate import ViolationRate
from alignconf.lines.own_constraints import WARNING
from alignconf.queries.queries import PartQueries
from alignconf.tables.printed import figure, level_in_percent, share

__all__ = [
    "N_LINES",
    "POINTER",
    "WIDTH",
    "RuleRate",
    "Summary",
    "audit_summary",
    "certificate_summary",
    "questions_in_words",
]

#: Columns of a line, and lines.
WIDTH, N_LINES = 100, 8

#: Columns of the labels.
LABEL = 11

#: Rows are worth nothing for a bound unless this is so of them.
VALID = "rows are independent, like those in use, not used before"


@dataclass(frozen=True)
class RuleRate:
    """How often one of several rules was broken: shares of its questions, before alignment and now."""

    rule: str
    before: float
    now: float


@dataclass(frozen=True)
class Summary:
    """The lines: a headline, and facts with their labels."""

    headline: str
    facts: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """Return the lines."""
        return "\n".join([self.headline, *(f"{label:<{LABEL}}{text}" for label, text in self.facts)])


def certificate_summary(certificate: Any) -> Summary:
    """Return the lines of a :class:`~alignconf.Certificate`."""
    error = certificate.error
    headline = _fitted(_headline(certificate), WIDTH - len(COST))
    if error is not None and error.is_worse:
        headline = f"{headline:<{WIDTH - len(COST)}}{COST}"
    before, now = certificate.before, certificate.delivered
    if certificate.by_construction:
        seen = f"{share(before.rate)} before, 0 now (0 of {now.n_queries:,} seen, as it must be)"
    else:
        seen = (
            f"{share(before.rate)} before, {share(now.rate)} now ({now.n_rejected:,} of {now.n_queries:,}), at most "
            f"{share(now.upper_bound, ROUND_CEILING)} with {level_in_percent(now.confidence)} confidence"
        )
    has_one_line = bool(certificate.separately) or bool(certificate.promise_in_words and error is not None)
    facts = _rules(certificate.by_rule, certificate.property, n_lines=1 if has_one_line else 2)
    facts.append(("Broken", seen))
    if certificate.separately:
        facts.append(("Each", _each(certificate.separately)))
    facts.append(("Moved", _moved(certificate)))
    if error is not None:
        facts.append(("Error", _error(error)))
    facts.append(("Question", _question(certificate.question)))
    facts.append(("Valid if", _valid(certificate)))
    if certificate.promise_in_words and len(facts) + 2 <= N_LINES:
        facts.insert(len(facts) - 3 - (error is not None), ("Promised", certificate.promise_in_words))
    return Summary(headline, tuple((label, _fitted(text)) for label, text in facts))


def audit_summary(audit: Any) -> Summary:
    """Return the lines of an :class:`~alignconf.Audit`."""
    rate = audit.violations
    sure = f"with {level_in_percent(rate.confidence)} confidence"
    low, high = rate.interval
    if audit.is_proved:
        headline = "PROVED: no question can be broken, whatever the row"
    elif not rate.n_rejected:
        seen = f"at most {share(high, ROUND_CEILING)} broken {sure}"
        headline = f"NONE SEEN in {rate.n_queries:,} questions; {seen} (this is no proof)"
    else:
        headline = (
            f"BROKEN in {share(rate.rate)} of questions ({rate.n_rejected:,} of {rate.n_queries:,}); between "
            f"{share(low, ROUND_FLOOR)} and {share(high, ROUND_CEILING)} {sure}"
        )
    rates = [RuleRate(rule, of_rule.rate, float("nan")) for rule, of_rule in audit.by_rule if of_rule is not None]
    facts = _rules(rates, audit.property, n_lines=2)
    if audit.is_proved:
        facts.append(("Why", audit.proof.text))
    opposed = [line for line in audit.own_constraints if line.startswith(WARNING)]
    if opposed:
        facts.append((WARNING.rstrip(": "), opposed[0].removeprefix(WARNING)))
    elif audit.worst is not None and audit.worst.excess is not None:
        facts.append(
            (
                "Size",
                f"typically {figure(audit.median_excess)}, at worst {figure(audit.max_excess)} (median, largest seen)",
            )
        )
    if audit.worst is not None:
        facts.append(("Worst", audit.worst.in_words))
    facts.append(("Question", _question(audit.question)))
    missing = f"; {audit.n_missing:,} are not asked" if audit.n_missing else ""
    valid = "the model is not fitted again" if audit.is_proved else VALID
    facts.append(("Valid if", f"{valid}{missing}"))
    return Summary(_fitted(headline, WIDTH), tuple((label, _fitted(text)) for label, text in facts))


#: Where the full statement is.
POINTER = "  [.sentence]"

#: The flag of a headline where the error is clearly worse.
COST = "  ! COST"


def _headline(certificate: Any) -> str:
    """Return the verdict on the promise, or the effect where this function was asked to keep to nothing."""
    if certificate.by_construction:
        where = "whatever the row" if certificate.covers_missing else "in any row that has the features of the rules"
        return f"PROVED: no question can be broken, {where}"
    rate, verdict = certificate.delivered, certificate.verdict()
    sure = f"with {level_in_percent(rate.confidence)} confidence"
    if verdict is None:
        return f"CHANGED: {share(certificate.before.rate)} of questions broken before, {share(rate.rate)} now"
    if verdict.word == UNSEEN:
        return f"NONE SEEN: 0 of {rate.n_queries:,} questions broken, at most {share(rate.upper_bound, ROUND_CEILING)} {sure}"
    promised = "promised none" if verdict.max_rate == 0 else f"promised at most {level_in_percent(verdict.max_rate)}"
    if verdict.word == HOLDS:
        return f"KEPT: at most {level_in_percent(verdict.max_rate)} of questions broken"
    if verdict.word == UNDECIDED:
        return f"NOT CONTRADICTED: {promised}, measured at most {share(rate.upper_bound, ROUND_CEILING)}"
    measured = f"at least {share(rate.lower_bound, ROUND_FLOOR)}" if verdict.max_rate else f"{share(rate.rate)}"
    return f"NOT KEPT: {promised}, measured {measured}"


def _rules(rates: Sequence[RuleRate], words: str, *, n_lines: int) -> list[tuple[str, str]]:
    """Return the rule in words, or several with their rates, the most broken first, in two lines or in one."""
    if len(rates) < 2:
        return [("Rule", f"{words}, all else equal")]
    ordered = sorted(rates, key=lambda rate: -max(rate.before, rate.now))
    named = [
        f"{rate.rule} {share(rate.before)}" + (f" -> {share(rate.now)}" if rate.now == rate.now else "")
        for rate in ordered
    ]
    lines = [""]
    room = WIDTH - LABEL - len(", and 99 more")
    for k, text in enumerate(named):
        joined = f"{lines[-1]}; {text}" if lines[-1] else text
        if len(joined) <= room:
            lines[-1] = joined
        elif len(lines) < n_lines:
            lines[-1] += ";"
            lines.append(text)
        else:
            lines[-1] += f"; and {len(named) - k} more"
            break
    return [("By rule" if not i else "", line) for i, line in enumerate(lines)]


def _each(rates: Sequence[tuple[str, ViolationRate]]) -> str:
    """Return levels or groups with their rates, the largest bounds first, as many as there is room for."""
    ordered = sorted(rates, key=lambda pair: -pair[1].upper_bound)
    text = ""
    for k, (name, rate) in enumerate(ordered):
        more = f"{', ' if text else ''}{name} {share(rate.rate)} (at most {share(rate.upper_bound, ROUND_CEILING)})"
        if len(text) + len(more) > WIDTH - LABEL - len(", and 99 more") and text:
            return f"{text}, and {len(ordered) - k} more"
        text += more
    return text


def _moved(certificate: Any) -> str:
    """Return how far predictions moved, in the unit of the prediction: at most as promised, where that is one number."""
    is_bounded = certificate.lambda_ != float("inf") and not certificate.half_width_note
    most = certificate.lambda_ if is_bounded else certificate.max_displacement
    if certificate.share_unmoved == 1:
        return "nothing: no prediction changed in these rows"
    largest = f"at most {figure(most, ROUND_CEILING)}{'' if is_bounded else ' here'}"
    stayed = f"{share(certificate.share_unmoved)} of rows stayed" if certificate.share_unmoved else "every row moved"
    by = ", by a stand-in model" if certificate.is_stand_in else ""
    return f"{largest}, {figure(certificate.rms_displacement)} root mean square; {stayed}{by}"


def _error(error: ErrorChange) -> str:
    """Return the change of the error, with a word that its interval decides."""
    low, high, plus = *error.interval, "+"
    figures = f"{error.measure} {figure(error.before)} -> {figure(error.after)}"
    between = f"{level_in_percent(error.confidence)}: {figure(low, digits=2, sign=plus)} to {figure(high, digits=2, sign=plus)}"
    if error.is_worse:
        by = f" by {100 * error.change / error.before:.0f}%" if error.before > 0 else ""
        return f"{figures}: CLEARLY WORSE{by} ({between})"
    return f"{figures}: {'clearly better' if high < 0 else 'no clear change'} ({between})"


def questions_in_words(parts: Sequence[PartQueries], row: str) -> tuple[str, ...]:
    """Return what is asked at a row, in a few words: once if it is the same of all parts, else of each of them."""
    distinct = tuple(dict.fromkeys(part.question for part in parts))
    return distinct if len(distinct) > 1 else (parts[0].question_at(row),)


def _question(questions: Sequence[str]) -> str:
    """Return the question, or how many there are with one of those that leave room for it."""
    if len(questions) == 1:
        return questions[0]
    shown = [f"{len(questions)} at each row, such as {question}; broken if any is" for question in questions]
    shown.append(f"{len(questions)} at each row, one for each rule; broken if any is")
    return next(text for text in shown if len(text) <= WIDTH - LABEL)


def _valid(certificate: Any) -> str:
    missing = ""
    if certificate.n_missing:
        what = "not asked" if certificate.covers_missing else "not covered"
        missing = f"; {certificate.n_missing:,} are {what}"
    valid = "the model is not fitted again" if certificate.by_construction else VALID
    return f"{valid}{missing}{POINTER if len(valid + missing + POINTER) <= WIDTH - LABEL else ''}"


def _fitted(text: str, width: int = WIDTH - LABEL) -> str:
    """Return text that fits a line; where it is longer, the words that do."""
    return text if len(text) <= width else shorten(text, width, placeholder=" ...")
