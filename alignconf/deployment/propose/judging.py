"""Judging specifications: those of people or language models against rows, the labels and a model, before a person reads them.

Each entry goes through the filters in this order, and the first that stops it is its reason.

=====================  ==========================================================================================================
rejected               malformed; a column that is not there; a column that the property cannot be about; vacuous (nothing varies,
                       queries about the same places, a tolerance above the range of the labels or predictions, a region without
                       rows); the same as an earlier one; contradictory with another one
needs a person         the labels speak against it, or its halves do not agree; costly to enforce; for a region of rows only
accepted for review    everything else
=====================  ==========================================================================================================

That labels speak against a specification does not make it wrong: it may be there to correct them. So a person decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from alignconf._typing import BoolArray, Feature, FloatArray, Model, RandomState, Table
from alignconf.contract.property import Property
from alignconf.deployment.propose.association import Association, conditional_evidence
from alignconf.deployment.propose.filters import (
    LEAST_ANSWERABLE,
    AuditedModel,
    answerable,
    arranged_alike,
    codes_of,
    refuse_overlap,
)
from alignconf.deployment.propose.review import PROPOSING, Proposal, Review
from alignconf.deployment.propose.specifications import Malformed, Specification
from alignconf.errors import AlignConfError, InputError
from alignconf.lines.fitted_model import function_of
from alignconf.tables import table as tables
from alignconf.tables.checks import check_list, check_number, check_targets
from alignconf.tables.encoding import Encoder
from alignconf.tables.predictions import predictions
from alignconf.tables.random_streams import generator
from alignconf.tables.used_rows import UsedRows

__all__ = ["review_specifications"]

STREAM = 17
LEAST_ROWS = 50
#: Level at which the labels speak against a specification.
AGAINST = 0.01


def review_specifications(
    specifications: Sequence[Specification | Malformed],
    X: Table,
    y: FloatArray | None = None,
    *,
    model: Model | None = None,
    X_calibration: Table | None = None,
    tolerance: float = 0.02,
    random_state: RandomState = None,
) -> Review:
    """Judge specifications against rows. Nothing is enforced: the result is a table for a person.

    Parameters
    ----------
    specifications : sequence of Specification or Malformed
        As :func:`read_specifications` returns.
    X : (n_samples, n_features) array or data frame
        Rows used for nothing else: not to fit the model, and never to calibrate.
    y : (n_samples,), optional
        Labels; without them nothing is said of the evidence and of costs.
    model, X_calibration, tolerance, random_state
        As for :func:`propose_properties`.

    Returns
    -------
    Review

    Raises
    ------
    InputError
        If an argument is not what it should be, or rows overlap with those that calibrate. A bad specification raises nothing.

    Examples
    --------
    >>> from alignconf.deployment.propose import read_specifications
    >>> rows = np.random.default_rng(0).normal(size=(200, 2))
    >>> given = read_specifications('[{"type": "concave", "feature": 0}, {"type": "concave", "feature": "os.remove"}]')
    >>> [one.status for one in review_specifications(given, rows).proposals]
    ['accepted for review', 'rejected']
    """
    table, calibration = arranged_alike(model, X, X_calibration)
    labels = None if y is None else check_targets(y, table.shape[0])
    check_number("tolerance", tolerance, at_least=0)
    entries: list[Specification | Malformed] = check_list(
        "specifications", specifications, "specifications, as of read_specifications"
    )
    wrong = [entry for entry in entries if not isinstance(entry, (Specification, Malformed))]
    if wrong:
        raise InputError(
            f"specifications must be what read_specifications returns, got {type(wrong[0]).__name__}; read the file first."
        )
    if table.shape[0] < 2 * LEAST_ROWS:
        raise InputError(f"X has {table.shape[0]} rows; expected at least {2 * LEAST_ROWS} to judge specifications by.")
    used = UsedRows.of(**{PROPOSING: table})
    refuse_overlap(table, used, model, calibration)
    random = generator(random_state, STREAM)
    half = random.permutation(table.shape[0]) < table.shape[0] // 2
    bench = _Bench(table, labels, model, half, tolerance, int(random.integers(2**31)), {})
    judged = _without_repeats(entries, [bench.first(entry) for entry in entries])
    judged = _without_contradictions(entries, judged)
    proposals = tuple(bench.last(entry, proposal) for entry, proposal in zip(entries, judged, strict=True))
    return Review(proposals, int(table.shape[0]), len(entries), None, used)


@dataclass(frozen=True, eq=False)
class _Bench:
    """The rows, the labels and the model that judge specifications."""

    table: Table
    labels: FloatArray | None
    model: Model | None
    half: BoolArray
    tolerance: float
    seed: int
    #: Association by column and region, computed once.
    evidence_by_key: dict[Any, Association]

    def first(self, entry: Specification | Malformed) -> Proposal:
        """Return the proposal of an entry, judged by rows and labels alone."""
        if isinstance(entry, Malformed):
            reason = f"Malformed: {entry.reason}"
            return Proposal(entry.shown, None, "rejected", reason, rationale=entry.rationale, source=entry.source)
        proposal = Proposal(
            words=str(entry.declared) + _where(entry),
            declared=entry.declared,
            status="accepted for review",
            reason="",
            rationale=entry.rationale,
            source=entry.source,
        )
        try:
            stopped = self._vacuous(entry)
        except AlignConfError as problem:
            stopped = str(problem)
        if stopped:
            return replace(proposal, status="rejected", reason=stopped)
        against = self._against(entry)
        if against:
            return replace(proposal, status="needs a person", reason=against)
        if entry.region:
            return replace(
                proposal,
                status="needs a person",
                reason="It is meant for a region only.",
            )
        return replace(proposal, reason="Nothing speaks against it.")

    def last(self, entry: Specification | Malformed, proposal: Proposal) -> Proposal:
        """Return a proposal, judged by the model too."""
        if isinstance(entry, Malformed) or proposal.status == "rejected":
            return proposal
        rows = self._rows(entry)
        table = tables.take(self.table, np.flatnonzero(rows))
        labels = None if self.labels is None else self.labels[rows]
        return AuditedModel(self.model, table, labels, self.half[rows], self.tolerance, self.seed).judged(proposal)

    def _rows(self, entry: Specification) -> BoolArray:
        """Return which rows are in the region of a specification, (n_samples,)."""
        in_region = np.ones(self.table.shape[0], dtype=bool)
        for feature, limits in entry.region:
            values = tables.column(self.table, tables.locate(self.table, feature))
            if len(limits) == 1:
                in_region &= np.isin(values.astype(str), limits[0])
                continue
            numbers = Encoder.of_table(self.table, (tables.locate(self.table, feature),))
            if numbers.categories:
                raise InputError(f"region limits {feature!r} by numbers, but it holds text; list its categories.")
            column = numbers(self.table)[:, 0]
            low, high = limits
            in_region &= (column >= (-np.inf if low is None else low)) & (column <= (np.inf if high is None else high))
        return in_region

    def _vacuous(self, entry: Specification) -> str:
        """Return why a specification is vacuous; empty if it is not."""
        for feature in entry.features:
            tables.locate(self.table, feature)
        rows = self._rows(entry)
        counts = (int((rows & self.half).sum()), int((rows & ~self.half).sum()))
        if min(counts) < LEAST_ROWS:
            return f"Vacuous: its region holds {sum(counts)} rows; expected at least {2 * LEAST_ROWS} to judge by."
        table = tables.take(self.table, np.flatnonzero(rows))
        share = answerable(entry.declared, table, self.half[rows], codes_of(self.model, table))
        if share < LEAST_ANSWERABLE:
            return f"Vacuous: only {share:.1%} of rows have the features that it is about."
        slack = max((float(getattr(part, "tol", 0.0)) for part in entry.declared.parts), default=0.0)
        values = self.labels if self.model is None else predictions(function_of(self.model), table)[0]
        if slack and values is not None and slack >= np.ptp(values):
            return f"Vacuous: tol {slack:g} is at least the range of all values, {np.ptp(values):.4g}."
        return ""

    def _against(self, entry: Specification) -> str:
        """Return how the labels speak against a specification; empty if they do not."""
        signs = {"increasing": 1, "decreasing": -1}
        word = getattr(entry.declared, "adjective", "")
        if self.labels is None or entry.type not in ("monotone", "concave", "convex", "invariant"):
            return self._against_bounds(entry)
        evidence = self._evidence(entry)
        if entry.type == "invariant":
            return f"The labels depend on it (p-value {evidence.p_value:.2g})." if evidence.p_value < AGAINST else ""
        if entry.type == "monotone":
            sign = signs[word]
            whole, halves, part = evidence.association * sign, evidence.halves, evidence.opposite_slope(sign)
        else:
            sign = 1 if entry.type == "convex" else -1
            whole, halves, part = evidence.curvature * sign, evidence.curvature_halves, evidence.opposite_bend(sign)
        if whole < -2.6:
            return f"The labels speak against it: {whole:.1f} standard errors."
        if part < AGAINST:
            return f"Some part of the range speaks against it (p-value {part:.2g})."
        if min(halves) * max(halves) < 0 and min(map(abs, halves)) > 2:
            return "Unstable: the two halves of the rows do not agree."
        return ""

    def _against_bounds(self, entry: Specification) -> str:
        if entry.type != "bounded" or self.labels is None:
            return ""
        part: Any = entry.declared
        outside = float(((self.labels < part.lo) | (self.labels > part.hi))[self._rows(entry)].mean())
        return f"{outside:.1%} of the labels lie outside." if outside > AGAINST else ""

    def _evidence(self, entry: Specification) -> Association:
        position = tables.locate(self.table, entry.features[0])
        key = (position, entry.region)
        if key not in self.evidence_by_key and self.labels is not None:
            rows = np.flatnonzero(self._rows(entry))
            table = tables.take(self.table, rows)
            design = Encoder.of_table(table, tuple(range(table.shape[1])))(table)
            self.evidence_by_key[key] = conditional_evidence(
                design, position, self.labels[rows], self.half[rows], self.seed
            )
        return self.evidence_by_key[key]


def _without_repeats(entries: Sequence[Specification | Malformed], proposals: list[Proposal]) -> list[Proposal]:
    """Reject entries that repeat an earlier entry."""
    result = list(proposals)
    said: dict[Any, int] = {}
    for i, (entry, proposal) in enumerate(zip(entries, proposals, strict=True)):
        if isinstance(entry, Malformed) or proposal.status == "rejected":
            continue
        key = (repr(entry.declared), entry.region)
        if key in said:
            result[i] = replace(proposal, status="rejected", reason=f"Redundant: entry {said[key]} says the same.")
        said.setdefault(key, i)
    return result


def _without_contradictions(entries: Sequence[Specification | Malformed], proposals: list[Proposal]) -> list[Proposal]:
    """Reject both of two entries that contradict each other, among entries that nothing else speaks against."""
    open_entries = [
        (i, entry)
        for i, (entry, proposal) in enumerate(zip(entries, proposals, strict=True))
        if isinstance(entry, Specification) and (proposal.status == "accepted for review" or entry.region)
        and proposal.status != "rejected"
    ]  # fmt: skip
    result = list(proposals)
    for (i, left), (k, right) in combinations(open_entries, 2):
        if left.region == right.region and _contradict(left, right):
            for index, elsewhere in ((i, k), (k, i)):
                result[index] = replace(
                    proposals[index],
                    status="rejected",
                    reason=f"Contradictory: entry {elsewhere} demands the opposite.",
                )
    return result


def _contradict(left: Specification, right: Specification) -> bool:
    """Return whether only trivial functions, or none, satisfy two specifications."""
    if {left.type, right.type} == {"bounded"}:
        first, second = _interval(left.declared), _interval(right.declared)
        return first[1] < second[0] or second[1] < first[0]
    if left.features != right.features or not left.features:
        return False
    if left.type == right.type == "ordered":
        ranks = [{value: rank for rank, value in enumerate(_order(entry.declared))} for entry in (left, right)]
        shared = [value for value in ranks[0] if value in ranks[1]]
        return any((ranks[0][a] < ranks[0][b]) != (ranks[1][a] < ranks[1][b]) for a, b in combinations(shared, 2))
    if {left.type, right.type} == {"concave", "convex"}:
        return True
    slopes = [_slopes(entry) for entry in (left, right)]
    if slopes[0] is None or slopes[1] is None:
        return False
    low, high = max(slopes[0][0], slopes[1][0]), min(slopes[0][1], slopes[1][1])
    return low > high or (low == high == 0 and "invariant" not in (left.type, right.type))


def _slopes(entry: Specification) -> tuple[float, float] | None:
    """Return the slopes that a specification allows; None if it is not about slopes."""
    if entry.type == "monotone":
        return (0.0, np.inf) if getattr(entry.declared, "adjective", "") == "increasing" else (-np.inf, 0.0)
    if entry.type == "invariant":
        return 0.0, 0.0
    if entry.type != "slope":
        return None
    low, high = -np.inf, np.inf
    for part in entry.declared.parts:
        slope = float(getattr(part, "slope", 0.0))
        low, high = (slope, high) if type(part).__name__ == "SlopeAtLeast" else (low, slope)
    return low, high


def _interval(declared: Property) -> tuple[float, float]:
    return float(getattr(declared, "lo", -np.inf)), float(getattr(declared, "hi", np.inf))


def _order(declared: Property) -> tuple[Any, ...]:
    return tuple(getattr(declared, "order", ()) or ())


def _where(entry: Specification) -> str:
    """Return the region in words."""

    def limits(feature: Feature, values: tuple[Any, ...]) -> str:
        if len(values) == 1:
            return f"{feature!r} is one of {', '.join(map(repr, values[0]))}"
        low, high = values
        ends = [f"{side} {limit:g}" for side, limit in (("at least", low), ("at most", high)) if limit is not None]
        return f"{feature!r} is {' and '.join(ends)}"

    return ", where " + " and ".join(limits(*condition) for condition in entry.region) if entry.region else ""
