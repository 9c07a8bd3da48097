"""Mining: which properties the labels speak for, feature by feature, with all other features held fixed.

Candidates are, for each numeric feature, increasing or decreasing, and concave or convex; for each categorical one an order of
its categories. Each passes these filters or is listed with the one that stopped it:

1. evidence given the other features (:mod:`alignconf.deployment.propose.association`), Benjamini and Hochberg's procedure over
   all directions and orders, and over all bends by themselves, so that many sure bends do not let doubtful directions pass;
2. the same sign in both halves of the rows;
3. no piece of the feature's range that speaks against it;
4. not vacuous: queries are about different places;
5. consistent: one sign for each feature, so that no two candidates contradict each other;
6. informative: whether the model breaks it, and how often;
7. the change of error if it were enforced, on rows kept for it, within a tolerance.

That a feature does *not* matter is never proposed: no evidence for an effect is no evidence against one. Dominance is not
proposed either, as what counts as one unit of each feature is for a person to say.

**What is claimed.** Approximately, for many rows and if the other features are well adjusted for: among the directions and
orders with evidence, and among the bends, the expected share of those whose feature the labels do not depend on, given the
others, is at most ``alpha`` (for independent or positively dependent p-values).
Nothing is claimed of the world beyond the labels.

References
----------
.. [1] Benjamini, Y. and Hochberg, Y. (1995). Controlling the false discovery rate. Journal of the Royal Statistical Society B
   57(1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import false_discovery_control

from alignconf._typing import BoolArray, Feature, FloatArray, Model, RandomState, Table
from alignconf.contract.property import Property
from alignconf.deployment.propose.association import Association, OrderEvidence, conditional_evidence, order_evidence
from alignconf.deployment.propose.filters import (
    LEAST_ANSWERABLE,
    AuditedModel,
    answerable,
    arranged_alike,
    refuse_overlap,
)
from alignconf.deployment.propose.review import PROPOSING, Proposal, Review
from alignconf.errors import InputError
from alignconf.properties import Concave, Convex, Decreasing, Increasing, Ordered
from alignconf.tables import table as tables
from alignconf.tables.checks import check_jobs, check_level, check_number, check_targets
from alignconf.tables.encoding import Encoder
from alignconf.tables.random_streams import generator
from alignconf.tables.used_rows import UsedRows

__all__ = ["propose_properties"]

STREAM = 13
LEAST_ROWS = 100
#: Each half must show at least this much association of its own.
LEAST_IN_HALF = 1.0
#: Level at which one piece of a feature's range speaks against a candidate.
AGAINST = 0.05
MOST_CATEGORIES = 10
LEAST_OF_CATEGORY = 20


@dataclass(frozen=True)
class _Evidenced:
    """A property with the evidence for it, before any filter but the first."""

    declared: Property
    is_bend: bool
    p_value: float
    stability: str
    opposition: str


def propose_properties(
    X: Table,
    y: FloatArray,
    *,
    model: Model | None = None,
    alpha: float = 0.05,
    features: Sequence[Feature] | None = None,
    X_calibration: Table | None = None,
    tolerance: float = 0.02,
    random_state: RandomState = None,
    n_jobs: int | None = None,
) -> Review:
    """Propose properties that the labels speak for. Nothing is enforced: the result is a table for a person.

    Parameters
    ----------
    X : (n_samples, n_features) array or data frame
        Rows used for nothing else: not to fit the model, and never to calibrate.
    y : (n_samples,)
        Numbers; for a class, 0 and 1.
    model : object with ``predict``, optional
        AuditedModel whether it breaks what is proposed, and what enforcing it would cost. An aligned model must not have been
        calibrated on ``X``.
    alpha : float in (0, 1), default=0.05
        False discovery rate of directions and orders, and of bends.
    features : sequence of str or int, optional
        To look at; all by default. All columns are held fixed in any case.
    X_calibration : table, optional
        Rows that calibrate, or will: refused if they are among ``X``.
    tolerance : float of at least 0, default=0.02
        Largest relative change of the mean squared error that needs no person to weigh it.
    random_state : int, Generator, RandomState or None
    n_jobs : int, optional
        Threads over features, without effect on the result.

    Returns
    -------
    Review

    Raises
    ------
    InputError
        If an argument is not what it should be, there are fewer than 100 rows, or rows overlap with those that calibrate.

    Notes
    -----
    *Cost*: four boosted fits on half of the rows for each feature, and with a model one repair for each candidate with
    evidence.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = random.normal(size=(1000, 3))
    >>> y = 2 * X[:, 0] + np.cos(3 * X[:, 1]) + random.normal(size=1000)
    >>> [one.words for one in propose_properties(X, y, random_state=0).for_review]
    ['increasing in 0']
    """
    table, calibration = arranged_alike(model, X, X_calibration)
    labels = check_targets(y, table.shape[0])
    level = check_level("alpha", alpha)
    check_number("tolerance", tolerance, at_least=0)
    if n_jobs is not None:
        check_jobs(n_jobs)
    if table.shape[0] < LEAST_ROWS:
        raise InputError(f"X has {table.shape[0]} rows; expected at least {LEAST_ROWS} to propose anything from.")
    positions = range(table.shape[1]) if features is None else [tables.locate(table, feature) for feature in features]
    used = UsedRows.of(**{PROPOSING: table})
    refuse_overlap(table, used, model, calibration)
    random = generator(random_state, STREAM)
    half = random.permutation(table.shape[0]) < table.shape[0] // 2
    seed = int(random.integers(2**31))
    design = Encoder.of_table(table, tuple(range(table.shape[1])))(table)
    candidate_lists = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(_candidates)(table, design, position, labels, half, seed) for position in positions
    )
    candidates = [candidate for of_feature in candidate_lists for candidate in of_feature]
    adjusted = _adjusted(candidates)
    judge = AuditedModel(model, table, labels, half, tolerance, seed)
    proposals = [
        judge.judged(_filtered(candidate, float(p_value), table, half))
        for candidate, p_value in zip(candidates, adjusted, strict=True)
        if p_value <= level
    ]
    ranks = ("accepted for review", "needs a person", "rejected")
    ordered = sorted(proposals, key=lambda proposal: (ranks.index(proposal.status), proposal.adjusted_p_value))
    return Review(tuple(ordered), int(table.shape[0]), len(candidates), level, used)


def _adjusted(candidates: Sequence[_Evidenced]) -> FloatArray:
    """Return p-values adjusted by Benjamini and Hochberg, directions and bends each by themselves: (n_candidates,)."""
    p_values = np.array([candidate.p_value for candidate in candidates])
    bends = np.array([candidate.is_bend for candidate in candidates], dtype=bool)
    for kind in (bends, ~bends):
        if kind.any():
            p_values[kind] = false_discovery_control(p_values[kind])
    return p_values


def _candidates(
    table: Table, design: FloatArray, position: int, labels: FloatArray, half: BoolArray, seed: int
) -> list[_Evidenced]:
    """Return the candidate properties of one feature, with their evidence."""
    names = tables.column_names(table)
    feature: Feature = position if names is None or names.count(names[position]) > 1 else names[position]
    column = tables.column(table, position)
    if column.dtype.kind in "mM" or np.unique(design[~np.isnan(design[:, position]), position]).size < 2:
        return []
    is_counted = position in Encoder.of_table(table, (position,)).categories
    if is_counted and tables.category_order(table, position) is None:
        return _of_categories(table, design, position, feature, labels, half, seed)
    evidence = conditional_evidence(design, position, labels, half, seed)
    candidates = [_monotone(feature, evidence)]
    if not is_counted and evidence.slopes.size >= 3:
        candidates.append(_bent(feature, evidence))
    return candidates


def _monotone(feature: Feature, evidence: Association) -> _Evidenced:
    sign = 1 if evidence.association > 0 else -1
    against = evidence.opposite_slope(sign)
    return _Evidenced(
        (Increasing if sign > 0 else Decreasing)(feature),
        False,
        evidence.p_value,
        _stability(evidence.halves, sign),
        "" if against > AGAINST else f"Some part of the range speaks against it (p-value {against:.2g}).",
    )


def _stability(halves: tuple[float, float], sign: int) -> str:
    """Return what speaks against an effect whose sign both halves of the rows should show; empty if they do."""
    if min(half * sign for half in halves) >= LEAST_IN_HALF:
        return ""
    return "Unstable: the two halves of the rows do not agree."


def _bent(feature: Feature, evidence: Association) -> _Evidenced:
    sign = 1 if evidence.curvature > 0 else -1
    against = evidence.opposite_bend(sign)
    return _Evidenced(
        (Convex if sign > 0 else Concave)(feature),
        True,
        evidence.curvature_p_value,
        _stability(evidence.curvature_halves, sign),
        "" if against > AGAINST else f"Some part of the range bends the other way (p-value {against:.2g}).",
    )


def _of_categories(
    table: Table, design: FloatArray, position: int, feature: Feature, labels: FloatArray, half: BoolArray, seed: int
) -> list[_Evidenced]:
    """Return the order of a feature's categories that one half proposes, with the evidence of the other half."""
    codes = design[:, position]
    n_categories = int(np.nanmax(codes)) + 1
    counts = [
        np.bincount(codes[rows & ~np.isnan(codes)].astype(np.intp), minlength=n_categories) for rows in (half, ~half)
    ]
    if n_categories > MOST_CATEGORIES or min(half_counts.min() for half_counts in counts) < LEAST_OF_CATEGORY:
        return []
    evidence: OrderEvidence = order_evidence(design, position, labels, half, seed)
    code_of = Encoder.of_table(table, (position,)).categories[position]
    categories = {int(code): value for value, code in code_of.items()}
    ordered = Ordered(feature, [categories[code] for code in evidence.order])
    return [_Evidenced(ordered, False, evidence.p_value, "", "")]


def _filtered(candidate: _Evidenced, adjusted: float, table: Table, half: BoolArray) -> Proposal:
    """Return a candidate with evidence as a proposal, or with the filter that stopped it."""
    share = answerable(candidate.declared, table, half)
    vacuous = (
        "" if share >= LEAST_ANSWERABLE else f"Vacuous: only {share:.1%} of rows have the features that it is about."
    )
    stopped = candidate.stability or candidate.opposition or vacuous
    return Proposal(
        words=str(candidate.declared),
        declared=candidate.declared,
        status="rejected" if stopped else "accepted for review",
        reason=stopped or "The labels speak for it, given the other features.",
        adjusted_p_value=adjusted,
        source="mined",
    )
