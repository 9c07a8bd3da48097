"""The review table: candidate properties, why each is on it, and who accepted which.

Nothing here enforces anything. A person reads the table and writes ``properties`` by hand, or calls :meth:`Review.accepted_by`
with a name; the properties that this returns carry the name, and the rows that proposed them, which must not calibrate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, ClassVar, Literal

import numpy as np

from alignconf._typing import Table
from alignconf.certify.error_change import ErrorChange
from alignconf.certify.violation_rate import ViolationRate
from alignconf.contract.property import Property
from alignconf.deployment.finding import Finding, Kind
from alignconf.errors import InputError, quoted
from alignconf.tables import printed
from alignconf.tables.checks import check_count, check_rows
from alignconf.tables.used_rows import Repeats, UsedRows

__all__ = ["PROPOSING", "Acceptance", "Proposal", "Review", "Status", "refuse_calibration_rows", "refuse_repeats"]

#: The use of rows that propose or filter.
PROPOSING = "proposing"

Status = Literal["accepted for review", "needs a person", "rejected"]

#: How characters that mean something in Markdown or HTML are written.
ESCAPED = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;"} | {mark: "\\" + mark for mark in "\\|`*_[]"})

HEADER = ("", "property", "status", "reason", "p-value", "violated", "change of error", "source")


@dataclass(frozen=True)
class Proposal:
    """One candidate property.

    Parameters
    ----------
    words : str
    declared : Property or None
        None where nothing could be read.
    status : {"accepted for review", "needs a person", "rejected"}
    reason : str
    adjusted_p_value : float or None
        For the labels having nothing to do with the feature given the others, corrected for the number of candidates; None
        where labels were not asked.
    violations : ViolationRate or None
        Of the model's own predictions; None where there is no model, or nothing was asked.
    error : ErrorChange or None
        Of the model on rows kept for it, if the property were enforced at full strength.
    rationale, source : str
    """

    words: str
    declared: Property | None
    status: Status
    reason: str
    adjusted_p_value: float | None = None
    violations: ViolationRate | None = None
    error: ErrorChange | None = None
    rationale: str = ""
    source: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells that the table shows."""
        return (
            self.words,
            self.status,
            self.reason,
            "" if self.adjusted_p_value is None else f"{self.adjusted_p_value:.2g}",
            "" if self.violations is None else str(self.violations),
            ""
            if self.error is None
            else f"{self.error.change:+.3g} ({self.error.change / (self.error.before or 1):+.1%})",
            " ".join(part for part in (self.rationale, f"({self.source})" * bool(self.source)) if part),
        )


@dataclass(frozen=True, eq=False)
class Acceptance:
    """Properties that a person has accepted, to be given to :class:`~alignconf.AlignedRegressor` as ``properties``.

    Parameters
    ----------
    name : str
        Who accepted them.
    properties : tuple of Property
    words : tuple of str
    used : UsedRows
        The rows that proposed or filtered them.
    """

    name: str
    properties: tuple[Property, ...]
    words: tuple[str, ...]
    used: UsedRows

    def refuse_calibration_rows(self, X: Table) -> None:
        """Refuse rows that proposed or filtered these properties, beyond what duplicates in the data explain.

        Raises
        ------
        InputError
        """
        refuse_calibration_rows(check_rows(X), self.used)

    def __str__(self) -> str:
        """Return the name and the accepted properties."""
        return f"Accepted by {self.name}: {'; '.join(self.words)}."


@dataclass(frozen=True, eq=False)
class Review(Finding):
    """A table of candidate properties for a person to read. ``str`` is the table with what it does not claim.

    Parameters
    ----------
    proposals : tuple of Proposal
        In the order of the entries, or if mined those for review first.
    n_rows : int
    n_candidates : int
        How many were looked at; mined ones that no evidence speaks for are not in the table.
    alpha : float or None
        False discovery rate of what was mined; None where candidates came from people.
    used : UsedRows
        The rows.
    """

    kind: ClassVar[Kind] = "hypothesis"

    proposals: tuple[Proposal, ...]
    n_rows: int
    n_candidates: int
    alpha: float | None
    used: UsedRows

    @property
    def for_review(self) -> tuple[Proposal, ...]:
        """The candidates that passed every filter."""
        return tuple(proposal for proposal in self.proposals if proposal.status == "accepted for review")

    def accepted_by(self, name: str, *, indices: Sequence[int]) -> Acceptance:
        """Return properties of the table that a person accepts.

        Parameters
        ----------
        name : str
            Who accepts them; it is kept.
        indices : sequence of int
            Of the rows of the table, from 0.

        Raises
        ------
        InputError
            If no name is given, a number is not in the table, or what stands there was rejected.
        """
        if not isinstance(name, str) or not name.strip():
            raise InputError(
                f"name must say who accepts, got {quoted(name)}; properties are never enforced without a person."
            )
        if not isinstance(indices, (list, tuple, range)) or not len(indices):
            raise InputError(f"indices must list rows of the table, got {quoted(indices)}.")
        accepted = []
        for index in indices:
            if check_count("indices", index, at_least=0) >= len(self.proposals):
                raise InputError(
                    f"indices has {index}, but the table has {len(self.proposals)} rows, counted from 0; choose from these."
                )
            proposal = self.proposals[index]
            if proposal.status == "rejected" or proposal.declared is None:
                raise InputError(
                    f"row {index} was rejected: {proposal.reason} Declare the property by hand if it is meant."
                )
            accepted.append((proposal.words, proposal.declared))
        return Acceptance(
            name, tuple(declared for _, declared in accepted), tuple(words for words, _ in accepted), self.used
        )

    def refuse_calibration_rows(self, X: Table) -> None:
        """Refuse rows that proposed or filtered these properties; see :meth:`Acceptance.refuse_calibration_rows`."""
        refuse_calibration_rows(check_rows(X), self.used)

    def to_dict(self) -> dict[str, Any]:
        """Return the kind and every figure, without the fingerprints of rows."""
        return {
            "kind": self.kind,
            "n_rows": self.n_rows,
            "n_candidates": self.n_candidates,
            "alpha": self.alpha,
            "proposals": [_figures(proposal) for proposal in self.proposals],
        }

    def to_markdown(self) -> str:
        """Return the table in Markdown; what others wrote is escaped."""
        lines = [
            HEADER,
            ("---",) * len(HEADER),
            *((str(i), *proposal.cells) for i, proposal in enumerate(self.proposals)),
        ]
        return "\n".join(
            "| " + " | ".join(cell if cell == "---" else _plain(cell) for cell in line) + " |" for line in lines
        )

    def _repr_html_(self) -> str:
        rows = [(str(i), *proposal.cells) for i, proposal in enumerate(self.proposals)]
        head = "".join(f"<th>{escape(cell)}</th>" for cell in HEADER)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        return f"<p>{escape(self._claim)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    @property
    def _claim(self) -> str:
        mined = (
            ""
            if self.alpha is None
            else f" Of directions with evidence, and of bends, an expected share of at most {printed.level(self.alpha)} is "
            "about features on which labels do not depend given the others (approximate: many rows, and the others well adjusted "
            "for)."
        )
        return (
            f"Hypotheses for a person to judge: {len(self.for_review)} of {self.n_candidates} candidates, from {self.n_rows} "
            f"rows.{mined} What data show is not what a model should do: biased data propose their bias. Nothing is enforced, "
            "and these rows must not calibrate."
        )

    def __str__(self) -> str:
        """Return the claim and the table."""
        lines = [self._claim]
        for i, proposal in enumerate(self.proposals):
            lines.append(f"{i}. {_plain(proposal.words)}: {proposal.status}. {_plain(proposal.reason)}")
        return "\n".join(lines)


def refuse_calibration_rows(table: Table, used: UsedRows) -> None:
    """Refuse rows that calibrate if they are, or are near copies of, rows that propose, beyond what duplicates explain."""
    refuse_repeats(
        used.surprising(used.compared(table), PROPOSING), "that calibrate", "that propose or filter properties"
    )


def refuse_repeats(repeats: Repeats | None, fresh: str, before: str) -> None:
    """Refuse rows that are among others; both are given by what they are for, in words."""
    if repeats:
        raise InputError(
            f"{repeats.n_repeated} of the {repeats.n_rows} rows {fresh} are among the {repeats.n_used} rows {before}"
            f"{repeats.rounding}: chosen and calibrated on the same rows, a promise does not hold. Use other rows for one of "
            "the two."
        )


def _figures(proposal: Proposal) -> dict[str, Any]:
    return {
        "words": proposal.words,
        "property": None if proposal.declared is None else repr(proposal.declared),
        "status": proposal.status,
        "reason": proposal.reason,
        "adjusted_p_value": proposal.adjusted_p_value,
        "violation_rate": None if proposal.violations is None else proposal.violations.rate,
        "violation_interval": None if proposal.violations is None else list(proposal.violations.interval),
        "relative_change_of_error": None
        if proposal.error is None
        else float(np.divide(proposal.error.change, proposal.error.before or 1)),
        "rationale": proposal.rationale,
        "source": proposal.source,
    }


def _plain(cell: str) -> str:
    """Return a text that Markdown shows as it is: one line, no markup, no control characters."""
    line = " ".join("".join(character if character.isprintable() else " " for character in cell).split())
    return line.translate(ESCAPED)
