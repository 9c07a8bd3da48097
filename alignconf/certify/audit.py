"""Audit any fitted model against a property, without changing it.

One query is asked at each row, drawn from a reference law that is read off rows which are not audited themselves, so
that the number of violations is binomial and its interval exact.
"""

from __future__ import annotations

import builtins
import json
from dataclasses import asdict, dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR
from functools import partial
from html import escape
from numbers import Integral
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, IntArray, Model, RandomState, Table
from alignconf.certify.agreement import own_constraints
from alignconf.certify.asking import Answered, place_rows
from alignconf.certify.proof import Proof
from alignconf.certify.report.junit import audit_junit
from alignconf.certify.report.page import check_path, save_text
from alignconf.certify.report.pictured_line import PicturedLine, lines_of_model
from alignconf.certify.report.report import audit_page
from alignconf.certify.report.wording import coverage_in_words, coverage_of, model_in_words, plain, versions
from alignconf.certify.summary import audit_summary, questions_in_words
from alignconf.certify.verdict import Verdict, check_max_rate
from alignconf.certify.violation_rate import ViolationRate
from alignconf.certify.witness import N_WITNESSES, Witness, found_at
from alignconf.contract.argument_order import refuse_swapped
from alignconf.contract.property import Declaration
from alignconf.errors import DefectError
from alignconf.lines.classes_function import class_or_model
from alignconf.tables import printed
from alignconf.tables.checks import check_jobs, check_level, check_switch
from alignconf.tables.printed import percent
from alignconf.tables.rows import in_memory

__all__ = ["Audit", "Witness", "check"]


@dataclass(frozen=True)
class Audit:
    """What a tester found. ``str`` is what is shown of it, ``sentence`` the full statement; the model was not changed.

    Parameters
    ----------
    property : str
    query_law : str
    violations : ViolationRate
        With its exact binomial interval.
    mean_excess, median_excess, max_excess : float
        Size of the violations: over all queries (0 where none), and over the violated ones (NaN if there are none). A
        violation of a rule that only says yes or no counts as 1.
    worst : Witness or None
        The most violated query that was found: a lower bound on the worst there is.
    n_missing : int
        Rows that lack all constrained features and were not asked.
    coverage : tuple of (str, int)
        How many rows were asked about each part of the property: those that have its features.
    by_rule : tuple of (str, ViolationRate or None)
        The same queries, counted for each part of the property by itself; None for a part that no row was asked about.
    question : tuple of str
        What a query is, in a few words; of each part where they differ.
    own_constraints : tuple of str
        Constraints that the model was trained with, beside the rules that are opposite to them or the same.
    digests : tuple of (str, str)
        Of the rules, of the rows asked and of the model's answers at reference rows: :mod:`alignconf.tables.digests`.
    witnesses : tuple of Witness
        The most violated queries, the worst first.
    lines : tuple of PicturedLine
        For each feature along which a query failed, the line of the row that is violated most.
    settings : tuple of (str, str)
        What was asked of which kind of model, and with which versions.
    proof : Proof or None
        What the trees of the model show of order and invariance; None where they cannot be read.
    """

    property: str
    query_law: str
    violations: ViolationRate
    mean_excess: float
    median_excess: float
    max_excess: float
    worst: Witness | None
    n_missing: int
    witnesses: tuple[Witness, ...] = ()
    lines: tuple[PicturedLine, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    proof: Proof | None = None
    coverage: tuple[tuple[str, int], ...] = ()
    by_rule: tuple[tuple[str, ViolationRate | None], ...] = ()
    question: tuple[str, ...] = ()
    own_constraints: tuple[str, ...] = ()
    digests: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Return what is shown in at most eight lines: :mod:`alignconf.certify.summary`."""
        return str(audit_summary(self))

    @builtins.property
    def is_proved(self) -> bool:
        """Whether the trees of the model prove the property."""
        return self.proof is not None and self.proof.holds

    @builtins.property
    def sentence(self) -> str:
        """The full statement: the finding with its law and counts, and the facts next to it, a line each."""
        rate = self.violations
        low, high = rate.interval
        sentence = (
            f'{rate.n_rejected} of {rate.n_queries} queries are violations of "{self.property}": {rate.rate:.2%}, '
            f"with confidence {printed.level(rate.confidence)} between {percent(low, ROUND_FLOOR)} and "
            f"{percent(high, ROUND_CEILING)} (queries are {self.query_law})."
        )
        if self.proof is not None:
            if self.proof.holds:
                sentence = f"{self.proof.text}\n{sentence}"
            elif not rate.n_rejected:
                sentence += f"\n{self.proof.text}"
        if self.n_missing:
            sentence += f"\n{self.n_missing} rows lack all constrained features and were not asked."
        sentence += "".join(f"\n{fact}" for fact in coverage_in_words(self.coverage, rate.n_queries))
        if self.worst is not None:
            size = "" if self.worst.excess is None else f"Median size of a violation {self.median_excess:.6g}. "
            sentence += f"\n{size}Worst found: {self.worst}."
        return "\n".join([sentence, *self.own_constraints])

    def verdict(self, max_rate: float = 0.0) -> Verdict:
        """Return whether the violation rate keeps to ``max_rate``, as far as queries tell: :mod:`alignconf.certify.verdict`."""
        return Verdict(self.violations, max_rate, proof=self.proof.text if self.is_proved and self.proof else "")

    def to_dict(self) -> dict[str, Any]:
        """Return every figure under its name, nested; the lines are for pictures and left out."""
        figures = asdict(replace(self, lines=()))
        del figures["lines"]
        figures |= {"settings": dict(self.settings), "digests": dict(self.digests)}
        figures["violations"] = self.violations.to_dict()
        figures["by_rule"] = [
            {"rule": rule, "violations": None if rate is None else rate.to_dict()} for rule, rate in self.by_rule
        ]
        return figures

    def to_json(self) -> str:
        """Return :meth:`to_dict` as strict JSON."""
        return json.dumps(plain(self.to_dict()), indent=2, allow_nan=False)

    def to_html(self, path: Any = None, *, max_rate: float = 0.0) -> str:
        """Return the report as one page of HTML that needs no network, or write it to a file and return the file's path.

        Parameters
        ----------
        path : str or path, optional
            Where to write it; an existing file is replaced.
        max_rate : float in [0, 1), default=0
            The violation rate that the verdict tolerates.

        Raises
        ------
        InputError
            If the path cannot be written to, or ``max_rate`` is no rate.
        """
        check_max_rate(max_rate)
        check_path(path)
        return save_text(audit_page(self, max_rate).html(), path)

    def to_junit(self, path: Any = None, *, max_rate: float = 0.0) -> str:
        """Return the verdict as JUnit XML, a test case for each rule, or write it to a file and return the file's path.

        See :mod:`alignconf.certify.report.junit`; parameters and errors as for :meth:`to_html`.
        """
        check_max_rate(max_rate)
        check_path(path)
        return save_text(audit_junit(self, max_rate), path)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def check(
    model: Model,
    X: Table,
    properties: Declaration,
    *,
    outputs: Any = None,
    pos_label: Any = None,
    classes: Any = None,
    confidence: float = 0.95,
    query_law: str = "iid",
    X_reference: Table | None = None,
    reference_law: str = "marginal",
    random_state: RandomState = None,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> Audit:
    """Ask a fitted model whether it has a property, and say how often it has not.

    Parameters
    ----------
    model : object with ``predict`` or ``predict_proba``, or a function of rows
        Any fitted model, aligned or not, or a mapping from levels to models. It is not changed. Of a classifier the probability
        of a class is asked.
    X : (n_samples, n_features) array or data frame, in memory or of Dask
        Rows not used to fit it. One query is asked at each.
    properties : Property, list, or mapping
        As for :class:`~alignconf.AlignedRegressor`, for any number of features.
    outputs : sequence, optional
        The outputs of a model with several, as for :class:`~alignconf.AlignedRegressor`; a query is asked of all of them.
    pos_label : label, optional
        The class of a classifier. With two classes the second one by default; with more it must be given.
    classes : "all" or sequence, optional
        All classes of a classifier, as for :class:`~alignconf.AlignedClassifier`; a query is asked of all of them.
    confidence : float in (0, 1), default=0.95
        Of the two-sided Clopper-Pearson interval.
    query_law : {"iid", "path", "line"}, default="iid"
        What is asked along a line: independent places, one place against the pivots of its binary search, or the whole line; at
        most 255 places are told apart in the last two. It is part of the finding.
    X_reference : table with the same columns, optional
        Rows that give the reference law. By default a random fifth of ``X``, which is then not asked.
    reference_law : {"marginal", "conditional"}, default="marginal"
        As for :class:`~alignconf.AlignedRegressor`.
    random_state : int, Generator, RandomState or None
    n_jobs : int, optional
    verbose : bool, default=False
        Show progress, where the work lasts.

    Returns
    -------
    Audit

    Notes
    -----
    If the rows are independent draws of one law, the interval covers the probability that a fresh query is violated
    with at least the stated confidence. Order and invariance of a tree ensemble are first looked for in its trees: where each
    tree has them they are *proved*, with probability one, and the verdict holds whatever the rows
    (:mod:`alignconf.certify.proof`). *Cost*: ``n_points`` model rows for each row and part, and up to 256 reference
    rows for the digest of the model.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> model = LinearRegression().fit(X, X @ [1.0, -1.0])
    >>> check(model, X, {0: "increasing"}, random_state=0).violations.n_rejected
    0
    """
    refuse_swapped("check(model, X, rules)", model=model, X=X, properties=properties)
    level = check_level("confidence", confidence)
    check_switch("verbose", verbose)
    if n_jobs is not None:
        check_jobs(n_jobs)
    function = class_or_model(model, pos_label, classes)
    asking = place_rows(
        function, X, properties, outputs=outputs, query_law=query_law, reference_law=reference_law, random_state=random_state,
        verbose=verbose, X_reference=in_memory(X_reference, name="X_reference", verbose=verbose),
    )  # fmt: skip
    looked_at = partial(_looked_at, not asking.rows.is_spread)
    sizes: list[FloatArray] = []
    witnesses: list[Witness] = []
    lines: list[PicturedLine] = []
    counts = np.zeros((2, len(asking.part_queries)), dtype=np.intp)
    for i, (sizes_of_part, counts_of_part, *shown) in asking.answers(looked_at, n_jobs=n_jobs, verbose=verbose):
        sizes.append(sizes_of_part)
        counts += counts_of_part
        witnesses += [witness.at_position(asking.rows.position(i, witness.row)) for witness in shown[0]]
        lines += [replace(line, row=asking.rows.position(i, line.row)) for line in shown[1]]
    witnesses.sort(key=lambda witness: -(1.0 if witness.excess is None else witness.excess))
    worst, declared = np.concatenate(sizes), asking.declared
    coverage = coverage_of([part.declared for part in asking.part_queries], counts[0])
    violated = worst > 0
    if asking.proof is not None and asking.proof.holds and violated.any():
        raise DefectError(
            f"{int(violated.sum())} of {violated.size} queries are violations of {declared}, which the trees of the model prove: "
            "this is a defect of alignconf; please report it with the type and version of the model."
        )
    return Audit(
        property=str(declared),
        query_law=asking.law,
        violations=ViolationRate(int(violated.sum()), violated.size, level),
        mean_excess=float(worst.mean()),
        median_excess=float(np.median(worst[violated])) if violated.any() else np.nan,
        max_excess=float(worst.max()) if violated.any() else np.nan,
        worst=witnesses[0] if witnesses else None,
        n_missing=asking.n_missing,
        witnesses=tuple(witnesses[:N_WITNESSES]),
        lines=tuple(lines),
        settings=(
            ("Model", model_in_words(model)),
            ("Property", repr(declared)),
            ("Query law", f"{query_law}, reference law {reference_law}"),
            ("Rows asked", str(violated.size)),
            ("Confidence", printed.level(level)),
            ("Random state", repr(random_state) if isinstance(random_state, Integral) else "not a fixed number"),
            *versions(model),
        ),
        proof=asking.proof,
        coverage=coverage,
        by_rule=tuple(
            (rule, ViolationRate(int(n_rejected), n_asked, level) if n_asked else None)
            for (rule, n_asked), n_rejected in zip(coverage, counts[1], strict=True)
        ),
        question=questions_in_words(asking.part_queries, f"each of {violated.size:,} rows"),
        own_constraints=tuple(map(str, own_constraints(asking.function, asking.part_queries))),
        digests=asking.digests,
    )


def _looked_at(
    is_pictured: bool, answered: Answered
) -> tuple[FloatArray, IntArray, tuple[Witness, ...], tuple[PicturedLine, ...]]:
    """Return the size of the worst violation at each row, what worst queries and lines of worst rows show, and counts.

    Counts are of rows asked about each part, and of those at which it is violated, (2, n_parts).
    """
    parts, table, numbers = answered.queries.parts, answered.table, answered.numbers
    sizes = answered.sizes[:, :, 0]
    witnesses = found_at(parts, table, answered.values, answered.sizes, numbers)
    lines = lines_of_model(answered.function, table, parts, answered.values, sizes, numbers) if is_pictured else ()
    return sizes.max(axis=1), np.stack([answered.counts, (sizes > 0).sum(axis=0)]), witnesses, lines
