r"""What can be said of a function from fresh rows: exact bounds, in sentences.

A fixed function is asked one query at each of ``N`` fresh rows, or several; their violation rate is bounded for any function
and any ``N`` (:mod:`alignconf.certify.violation_rate`). Rows that arrive one after the other, with looks in between, are for
:mod:`alignconf.deployment.monitoring.sequential`.

**Distance to the property.** What the rate says of it depends on the query law: :mod:`alignconf.certify.distance`.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from html import escape
from math import sqrt
from typing import Any

import numpy as np

from alignconf._typing import BoolArray
from alignconf.calibration.claim import Calibration
from alignconf.calibration.levels import Level
from alignconf.certify.distance import distance_bounds
from alignconf.certify.error_change import ErrorChange, change_of
from alignconf.certify.report.junit import certificate_junit
from alignconf.certify.report.page import check_path, save_text
from alignconf.certify.report.report import certificate_page
from alignconf.certify.report.wording import coverage_of, names_of, plain
from alignconf.certify.statement import claim_of, half_width_note, promise_in_words, statement_of
from alignconf.certify.summary import RuleRate, certificate_summary, questions_in_words
from alignconf.certify.tally import Evidence, Tally, evidence_of
from alignconf.certify.verdict import Verdict, check_max_rate
from alignconf.certify.violation_rate import ViolationRate, rate_of
from alignconf.errors import DefectError, InputError
from alignconf.projectors.alignment import Alignment
from alignconf.queries.queries import Queries
from alignconf.tables import printed

__all__ = ["Certificate", "certify", "check_asked"]

#: Remedies where a verdict is undecided: against the alpha of a calibration, and against a rate that is not above it.
AGAINST_ALPHA = "Calibration made the promise, and these rows do not contradict it."
TOO_NEAR = (
    "The function was calibrated to alpha = {}, so its rate is near that, and more rows may never decide: calibrate to a smaller "
    "alpha, or give a larger max_rate."
)


@dataclass(frozen=True)
class Certificate:
    """What fresh rows show of a delivered function. ``str`` is the sentence that a reviewer can check.

    Parameters
    ----------
    property : str
        The property, in words.
    alpha, lambda_ : float
        What was asked for, and the half-width that calibration gave (unit of the prediction).
    confidence : float
        Of every bound below, each by itself.
    query_law, reference_law : str
        The laws that the claim is about.
    delivered : ViolationRate
        Of the function that users call.
    before, full_strength : ViolationRate
        Of the model before alignment and of the exact projection (``lambda_ = inf``), on the same queries.
    distance_bound : float or None
        Bound on the mean absolute distance to a monotone line, as a share of the line's range; None where not proved.
    hamming_bound : float or None
        Bound on the share of values that must change for a line to have the property; None where not proved.
    size_bound : float or None
        Another bound on what ``distance_bound`` bounds, from the sizes of violated pairs.
    tester : str
        The query law along lines, as users call it.
    rms_displacement, max_displacement : float
        Of ``g_lambda - f`` at the rows, in the unit of the prediction.
    n_missing : int
        Rows that are asked nothing, because they lack all constrained features, or ``left_out`` says why.
    coverage : tuple of (str, int)
        How many rows were asked about each part of the property: those that have its features.
    left_out : str
        What rows are asked nothing, in words.
    n_rows : int
        Rows that asked queries.
    error : ErrorChange or None
        Given labels.
    by_construction : bool
        Whether no query can fail.
    construction : str
        Why, in words.
    covers_missing : bool
        Whether rows that are asked nothing are projected too.
    separately : tuple of (str, ViolationRate)
        The delivered function's rate for each level, or in each group, where there are several: each bound holds by itself.
    alphas_in_words, half_width_note : str
        The levels that were asked for, and what the half-width is, where it is not one number in the unit of the prediction.
    promised : float or None
        The rate that this delivered function keeps to with the confidence of its calibration; None where it was calibrated on
        average, where the level is a size, or where each property has its own.
    calibrated_to : float or None
        The rate that calibration aimed at, with confidence or on average; None where ``alpha`` is no rate.
    promised_separately : tuple of (float or None)
        As ``promised``, for each of ``separately``.
    by_rule : tuple of RuleRate
        How often each part of the property was broken, before and now.
    question : tuple of str
        What a query is, in a few words; of each part where they differ.
    repair : str
        How the delivered function is made, in words.
    is_stand_in : bool
        Whether another model, fitted to this one's predictions, takes its place.
    totals : (float, float), or empty
        Sums of all predictions before and after, each row counted by its ``sample_weight``; empty with several outputs.
    share_unmoved : float
        Of all rows, those whose prediction is the model's own.
    promise_in_words : str
        What calibration promised, in a line; empty where a proof says more.
    evidence : Evidence
        The worst queries with their coordinates, the lines that are violated most, and how all was made.
    """

    property: str
    alpha: float
    lambda_: float
    confidence: float
    query_law: str
    reference_law: str
    delivered: ViolationRate
    before: ViolationRate
    full_strength: ViolationRate
    distance_bound: float | None
    rms_displacement: float
    max_displacement: float
    n_missing: int
    n_rows: int
    error: ErrorChange | None
    by_construction: bool = False
    construction: str = ""
    covers_missing: bool = False
    coverage: tuple[tuple[str, int], ...] = ()
    left_out: str = "lack all constrained features"
    alphas_in_words: str = ""
    half_width_note: str = ""
    hamming_bound: float | None = None
    size_bound: float | None = None
    tester: str = "iid"
    separately: tuple[tuple[str, ViolationRate], ...] = ()
    promised: float | None = None
    calibrated_to: float | None = None
    promised_separately: tuple[float | None, ...] = ()
    by_rule: tuple[RuleRate, ...] = ()
    question: tuple[str, ...] = ()
    repair: str = ""
    is_stand_in: bool = False
    share_unmoved: float = 0.0
    totals: tuple[float, ...] = ()
    promise_in_words: str = ""
    evidence: Evidence = field(default_factory=Evidence)

    def __post_init__(self) -> None:
        """Refuse a claim by construction beside a query that fails at full strength."""
        if self.by_construction and (self.full_strength.n_rejected or self.delivered.n_rejected):
            raise DefectError(
                f"by construction no query of {self.property!r} can fail, but {self.full_strength.n_rejected} of "
                f"{self.full_strength.n_queries} fail at full strength and {self.delivered.n_rejected} as delivered. This is a "
                "defect of alignconf, or of a property that declares what it is not: alignconf.testing.check_property tells. "
                "Please report the property, and the type and version of the model."
            )

    @builtins.property
    def n_queries(self) -> int:
        """Queries asked, equally many at each row that has a place on its line."""
        return self.delivered.n_queries

    @builtins.property
    def n_rejected(self) -> int:
        """Queries that the delivered function failed."""
        return self.delivered.n_rejected

    @builtins.property
    def upper_bound(self) -> float:
        """The violation rate of the delivered function is at most this, with the stated confidence."""
        return self.delivered.upper_bound

    def verdict(self, max_rate: float | None = None) -> Verdict | None:
        """Return whether the delivered function keeps to a rate, as far as the queries tell: :mod:`alignconf.certify.verdict`.

        Parameters
        ----------
        max_rate : float in [0, 1), optional
            By default the ``alpha`` that was calibrated with confidence. Where it was kept on average over calibrations only,
            this function was asked to keep to nothing, and there is no verdict: None.

        Raises
        ------
        InputError
            If ``max_rate`` is no rate.
        """
        if max_rate is None:
            return None if self.promised is None else Verdict(self.delivered, self.promised, "alpha", AGAINST_ALPHA)
        remedy = (
            "" if self.calibrated_to is None or max_rate > self.calibrated_to else TOO_NEAR.format(self.alphas_in_words)
        )
        return Verdict(self.delivered, max_rate, remedy=remedy)

    @builtins.property
    def effect(self) -> str:
        """What alignment did to the violations, in words."""
        return f"{self.before.rate:.2%} of queries violated before, {self.delivered.rate:.2%} after"

    @builtins.property
    def claim(self) -> str:
        """What the bound says, with its assumptions and counts."""
        return claim_of(self)

    def __str__(self) -> str:
        """Return what is shown in at most eight lines: :mod:`alignconf.certify.summary`."""
        return str(certificate_summary(self))

    @builtins.property
    def sentence(self) -> str:
        """The full statement: the claim with its assumptions, and the facts next to it, a line each."""
        return statement_of(self)

    def to_dict(self) -> dict[str, Any]:
        """Return every figure under its name, nested, with the derived bounds and the sentence; the lines are for pictures."""
        figures = asdict(replace(self, evidence=replace(self.evidence, lines=(), typical=None)))
        figures |= figures.pop("evidence")
        figures |= {"settings": dict(self.evidence.settings), "digests": dict(self.evidence.digests)}
        del figures["lines"], figures["typical"]
        for name in ("delivered", "before", "full_strength"):
            rate: ViolationRate = getattr(self, name)
            figures[name].update(rate=rate.rate, upper_bound=rate.upper_bound, interval=list(rate.interval))
        figures["separately"] = {
            what: asdict(rate) | {"rate": rate.rate, "upper_bound": rate.upper_bound, "interval": list(rate.interval)}
            for what, rate in self.separately
        }
        return figures | {
            "n_queries": self.n_queries,
            "n_rejected": self.n_rejected,
            "upper_bound": self.upper_bound,
            "claim": self.claim,
            "sentence": self.sentence,
        }

    def to_json(self) -> str:
        """Return :meth:`to_dict` as strict JSON; an infinite half-width becomes null."""
        return json.dumps(plain(self.to_dict()), indent=2, allow_nan=False)

    def to_html(self, path: Any = None, *, max_rate: float | None = None) -> str:
        """Return the report as one page of HTML that needs no network, or write it to a file and return the file's path.

        The verdict is whether this delivered function keeps to ``max_rate``, or else to the ``alpha`` that was calibrated with
        confidence. Without either the headline is what alignment did.

        Parameters
        ----------
        path : str or path, optional
            Where to write it; an existing file is replaced.
        max_rate : float in [0, 1), optional
            The violation rate that the verdict tolerates.

        Raises
        ------
        InputError
            If the path cannot be written to, or ``max_rate`` is no rate.
        """
        if max_rate is not None:
            check_max_rate(max_rate)
        check_path(path)
        return save_text(certificate_page(self, max_rate).html(), path)

    def to_junit(self, path: Any = None, *, max_rate: float | None = None) -> str:
        """Return the verdict as JUnit XML, or write it to a file and return the file's path.

        See :mod:`alignconf.certify.report.junit`; parameters and errors as for :meth:`to_html`.
        """
        if max_rate is not None:
            check_max_rate(max_rate)
        check_path(path)
        return save_text(certificate_junit(self, max_rate), path)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def certify(
    alignment: Alignment,
    calibration: Calibration,
    tally: Tally,
    confidence: float,
    levels: Sequence[Level] = (),
    *,
    of_rows: str,
) -> Certificate:
    """State what follows from the answers of fresh rows.

    Parameters
    ----------
    alignment : Alignment
    calibration : Calibration
        The promise of the delivered function.
    tally : Tally
        Of rows that neither trained nor calibrated.
    confidence : float
    levels : sequence of Level
        Where there are several, each has a rate of its own.
    of_rows : str
        The digest of the rows.
    """
    queries = Queries(alignment.tester.parts, tally.n_rows, tally.failed.shape[-1])
    failed: BoolArray = np.any(tally.failed, axis=0)
    delivered, before, full = (rate_of(failed[:, i], confidence) for i in range(3))
    bounds = distance_bounds(alignment.tester.declared, queries, delivered.upper_bound, confidence, tally.losses)
    separately, promised = _separately(alignment, calibration, levels, tally, confidence)
    return Certificate(
        property=alignment.tester.words,
        alpha=calibration.alpha,
        lambda_=calibration.lambda_,
        confidence=confidence,
        query_law=str(queries),
        reference_law=" and ".join(dict.fromkeys(map(str, alignment.tester.laws))) or "none: nothing is drawn",
        delivered=delivered,
        before=before,
        full_strength=full,
        distance_bound=bounds.absolute,
        hamming_bound=bounds.hamming,
        size_bound=bounds.by_size,
        tester=bounds.tester,
        rms_displacement=sqrt(tally.moved.mean),
        max_displacement=sqrt(tally.moved.high),
        n_missing=tally.n_missing,
        n_rows=tally.n_rows,
        by_construction=tally.is_full and alignment.chain.is_exact,
        construction=alignment.chain.construction,
        covers_missing=not alignment.chain.axes,
        coverage=coverage_of([part.declared for part in alignment.tester.parts], tally.counts),
        left_out=alignment.chain.left_out,
        error=change_of(tally.measure, tally.errors, confidence) if tally.errors else None,
        alphas_in_words=" and ".join(printed.level(alpha) for alpha in calibration.promise.alphas)
        + ("" if calibration.promise.loss.is_rate else ", an expected loss"),
        half_width_note=half_width_note(calibration, is_same=tally.is_same),
        separately=separately,
        promised=_promised_rate(calibration),
        calibrated_to=calibration.alpha if calibration.promise.loss.is_rate and calibration.alpha > 0 else None,
        promised_separately=promised,
        by_rule=tuple(
            RuleRate(name, tally.share_failed(i, 1), tally.share_failed(i, 0))
            for i, name in enumerate(names_of([part.declared for part in alignment.tester.parts]))
        ),
        question=questions_in_words(alignment.tester.parts, "a fresh row"),
        repair=alignment.chain.path,
        is_stand_in=alignment.chain.is_stand_in,
        share_unmoved=tally.share_unmoved,
        totals=tally.totals,
        promise_in_words=promise_in_words(calibration),
        evidence=evidence_of(alignment, calibration, tally.seen, of_rows),
    )


def check_asked(n_rows: int) -> None:
    """Refuse rows of which none can be asked, given the number of those that can be."""
    if not n_rows:
        raise InputError("X has no row with a constrained feature present; nothing can be certified.")


def _promised_rate(calibration: Calibration) -> float | None:
    """Return the rate that this function keeps to with the confidence of its calibration, None where none was promised."""
    promise = calibration.promise
    is_sure = promise.confidence is not None or calibration.alpha == 0
    return promise.alphas[0] if is_sure and promise.loss.is_rate and len(promise.alphas) == 1 else None


def _separately(
    alignment: Alignment, calibration: Calibration, levels: Sequence[Level], tally: Tally, confidence: float
) -> tuple[tuple[tuple[str, ViolationRate], ...], tuple[float | None, ...]]:
    """Return the named rates of all levels and groups, and the rate that each was promised to keep to, if any."""
    failed, membership = tally.failed[:, :, 0], tally.membership
    rates: list[tuple[str, ViolationRate]] = []
    promised: list[float | None] = []
    for level in levels if len(levels) > 1 else ():
        positions = [i for i, part in enumerate(alignment.tester.parts) if level.covers(part.declared)]
        of_level: BoolArray = np.any(failed[positions], axis=0)
        rates.append((f"{level.declared} (alpha = {printed.level(level.alpha)})", rate_of(of_level, confidence)))
        is_sure = calibration.promise.loss.is_rate and calibration.promise.confidence is not None
        promised.append(level.alpha if is_sure else None)
    any_part: BoolArray = np.any(failed, axis=0)
    for position, name in enumerate(() if membership is None else membership.names):
        of_group = any_part[membership.rows_of(position)] if membership is not None else any_part
        if of_group.size:
            rates.append((f"group {name!r}", rate_of(of_group, confidence)))
            promised.append(_promised_rate(calibration))
    return tuple(rates), tuple(promised)
