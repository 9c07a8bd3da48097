"""Audit any fitted model against a property, without changing it.

One query is asked at each row, drawn from a reference law that is read off rows which are not audited themselves, so
that the number of violations is binomial and its interval exact.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR
from functools import partial
from html import escape
from typing import Any

import numpy as np

from alignconf import _tables, scores
from alignconf._typing import BoolArray, Feature, FloatArray, Model, RandomState, Table
from alignconf._validation import (
    check_choice,
    check_level,
    check_model,
    check_rows,
    generator,
    predictions,
    rounding,
)
from alignconf.by_partition import PartitionedRows, in_memory
from alignconf.certificate import percent, plain
from alignconf.contract import Declaration, Property
from alignconf.errors import InputError
from alignconf.lines import over_blocks
from alignconf.partitions import is_partitioned
from alignconf.preparation import REFERENCES, place_queries
from alignconf.properties import declare
from alignconf.queries import PartQueries, Queries, draw_queries
from alignconf.query_laws import check_query_law
from alignconf.rates_seen import ViolationRate
from alignconf.reference import reference_rows, set_aside
from alignconf.row_draws import RowDraws, states_at

__all__ = ["Audit", "Witness", "check"]


@dataclass(frozen=True)
class Witness:
    """One violated query: where it is and how bad.

    Parameters
    ----------
    row : int
        Position in ``X`` of the row on whose line the query lies.
    property : str
        The part of the property that is violated, in words.
    feature : str, int or None
        The feature that varies; None where the query is about points made from the row.
    values : tuple
        The values of the feature at the points of the query, in order; otherwise the points in words.
    predictions : tuple of float
        What the model answers there, all other features being the row's own.
    excess : float or None
        By how much the inequality fails, in the unit of the prediction; None where the property only says yes or no.
    """

    row: int
    property: str
    feature: Feature | None
    values: tuple[Any, ...]
    predictions: tuple[float, ...]
    excess: float | None

    def __str__(self) -> str:
        """Return the witness in words."""
        points = ", ".join(
            f"{prediction:.6g} at {value if self.feature is None else repr(value)}"
            for value, prediction in zip(self.values, self.predictions, strict=True)
        )
        size = "" if self.excess is None else f" (too much by {self.excess:.6g})"
        return f"row {self.row}, {self.property}: the model predicts {points}{size}"


@dataclass(frozen=True)
class Audit:
    """What a tester found. ``str`` is the sentence; nothing about the model was changed.

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
        Rows that lack a constrained feature and were not asked.
    """

    property: str
    query_law: str
    violations: ViolationRate
    mean_excess: float
    median_excess: float
    max_excess: float
    worst: Witness | None
    n_missing: int

    def __str__(self) -> str:
        """Return the finding in sentences."""
        found = self.violations
        low, high = found.interval
        sentence = (
            f'{found.n_rejected} of {found.n_queries} queries are violations of "{self.property}": {found.rate:.2%}, '
            f"with confidence {found.confidence:.4g} between {percent(low, ROUND_FLOOR)} and "
            f"{percent(high, ROUND_CEILING)} (queries are {self.query_law})."
        )
        if self.n_missing:
            sentence += f"\n{self.n_missing} rows lack a constrained feature and were not asked."
        if self.worst is not None:
            size = "" if self.worst.excess is None else f"Median size of a violation {self.median_excess:.6g}. "
            sentence += f"\n{size}Worst found: {self.worst}."
        return sentence

    def to_dict(self) -> dict[str, Any]:
        """Return every figure under its name, nested."""
        figures = asdict(self)
        figures["violations"].update(rate=self.violations.rate, interval=list(self.violations.interval))
        return figures

    def to_json(self) -> str:
        """Return :meth:`to_dict` as strict JSON."""
        return json.dumps(plain(self.to_dict()), indent=2, allow_nan=False)

    def _repr_html_(self) -> str:
        return "<div>" + "".join(f"<p>{escape(line)}</p>" for line in str(self).split("\n")) + "</div>"


def check(
    model: Model,
    X: Table,
    properties: Declaration,
    *,
    confidence: float = 0.95,
    query_law: str = "iid",
    X_reference: Table | None = None,
    reference: str = "marginal",
    random_state: RandomState = None,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> Audit:
    """Ask a fitted model whether it has a property, and say how often it has not.

    Parameters
    ----------
    model : object with ``predict``
        Any fitted model, aligned or not. It is not changed.
    X : (n_samples, n_features) array or data frame, in memory or of Dask
        Rows not used to fit it. One query is asked at each.
    properties : Property, list, or mapping
        As for :class:`~alignconf.AlignedRegressor`, for any number of features.
    confidence : float in (0, 1), default=0.95
        Of the two-sided Clopper-Pearson interval.
    query_law : {"iid", "path", "line"}, default="iid"
        What is asked along a line: independent places, one place against the pivots of its binary search, or the whole line; at
        most 255 places are told apart in the last two. It is part of the finding.
    X_reference : table with the same columns, optional
        Rows that give the reference law. By default a random fifth of ``X``, which is then not asked.
    reference : {"marginal", "conditional"}, default="marginal"
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
    with at least the stated confidence. *Cost*: ``n_points`` model rows for each row and part.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> model = LinearRegression().fit(X, X @ [1.0, -1.0])
    >>> check(model, X, {0: "increasing"}, random_state=0).violations.n_rejected
    0
    """
    check_model("model", model)
    level = check_level("confidence", confidence)
    check_choice("reference", reference, REFERENCES)
    is_spread = is_partitioned(X)
    if not is_spread:
        X = check_rows(X)
    declared = declare(properties)
    check_query_law(declared, query_law)
    if is_partitioned(X_reference):
        X_reference = in_memory(X_reference, name="X_reference", verbose=verbose)
    ask = _Asking(model, declared, query_law, X_reference, reference, generator(random_state, 0), n_jobs, verbose)
    found = ask.partitions(PartitionedRows.of(X, verbose=verbose)) if is_spread else ask.table(X)
    violated = found.sizes > 0
    return Audit(
        property=str(declared),
        query_law=found.law,
        violations=ViolationRate(int(violated.sum()), violated.size, level),
        mean_excess=float(found.sizes.mean()),
        median_excess=float(np.median(found.sizes[violated])) if violated.any() else np.nan,
        max_excess=float(found.sizes.max()) if violated.any() else np.nan,
        worst=found.worst,
        n_missing=found.n_missing,
    )


@dataclass(frozen=True)
class _Answered:
    """What a model answered: the largest excess of each row asked, (n_rows,), and the worst of them, if there is one."""

    sizes: FloatArray
    worst: Witness | None
    law: str = ""
    n_missing: int = 0


@dataclass(frozen=True)
class _Asking:
    """Whom to ask for what, and how; the reference rows are set aside where none are given."""

    model: Model
    declared: Property
    query_law: str
    X_reference: Table | None
    reference: str
    random: np.random.Generator
    n_jobs: int | None
    verbose: bool

    def table(self, table: Table) -> _Answered:
        """Ask rows in memory."""
        rows = np.arange(table.shape[0])
        if self.X_reference is None:
            rows, reference = set_aside(rows.size, self.random, keep=1)
            referring = _tables.take(table, reference)
        else:
            referring = self._given(table)
        parts = self._parts(table, referring)
        asked = rows[_complete(parts, table)[rows]]
        _check_some(asked.size, rows.size)
        inside = _tables.take(table, asked)
        found = _answered(self.model, parts, self.n_jobs, self.verbose, inside, self.random)
        worst = found.worst and replace(found.worst, row=int(asked[found.worst.row]))
        return replace(found, worst=worst, law=_law(parts), n_missing=int(rows.size - asked.size))

    def partitions(self, rows: PartitionedRows) -> _Answered:
        """Ask rows in partitions."""
        if self.X_reference is None:
            set_apart = reference_rows(rows.n_rows, self.random, keep=1)
            referring, rows = rows.take(set_apart), rows.without(set_apart)
        else:
            referring = self._given(rows.meta)
        parts = self._parts(referring, referring)
        counts = np.zeros(rows.sizes.size, dtype=np.intp)
        for i, complete in rows.run(partial(_count, parts), label="looking at rows"):
            counts[i] = complete
        _check_some(int(counts.sum()), rows.n_rows)
        states = states_at(parts, _tables.take(referring, np.arange(1)), 1, self.random, counts.tolist())
        ask = partial(_answered_inside, self.model, parts)
        found = dict(rows.run(ask, states, only=counts > 0, label=str(self.declared)))
        sizes = np.concatenate([found[i].sizes for i in sorted(found)])
        at = max(sorted(found), key=lambda i: float(found[i].sizes.max()))
        worst = found[at].worst and replace(found[at].worst, row=rows.position(at, found[at].worst.row))
        return _Answered(sizes, worst, _law(parts), rows.n_rows - sizes.size)

    def _given(self, table: Table) -> Table:
        referring = check_rows(self.X_reference, name="X_reference")
        _tables.check_columns(referring, _tables.column_names(table), table.shape[1], name="X_reference")
        return referring

    def _parts(self, table: Table, referring: Table) -> tuple[PartQueries, ...]:
        conditional = self.random if self.reference == "conditional" else None
        return place_queries(self.declared, table, referring, self.query_law, conditional=conditional)


def _law(parts: Sequence[PartQueries]) -> str:
    return str(Queries(tuple(parts), 1, 1))


def _complete(parts: Sequence[PartQueries], table: Table) -> BoolArray:
    """Return which rows have all constrained features, (n_samples,)."""
    complete = np.ones(table.shape[0], dtype=bool)
    for axis in dict.fromkeys(law.axis for part in parts for law in part.drawn_from):
        complete &= ~np.isnan(axis.places(table))
    return complete


def _check_some(n_asked: int, n_rows: int) -> None:
    if not n_asked:
        raise InputError(f"X has no row to ask: {n_rows} rows besides the reference rows, all with missing values.")


def _count(parts: Sequence[PartQueries], table: Table, _: Any) -> int:
    return int(_complete(parts, table).sum())


def _answered_inside(
    model: Model, parts: Sequence[PartQueries], table: Table, _: Any, states: Sequence[np.random.Generator]
) -> _Answered:
    """Ask the rows of a partition; the worst one is counted among all its rows."""
    rows = np.flatnonzero(_complete(parts, table))
    draws: Any = RowDraws(states)
    found = _answered(model, parts, 1, False, _tables.take(table, rows), draws)
    return replace(found, worst=found.worst and replace(found.worst, row=int(rows[found.worst.row])))


def _answered(
    model: Model,
    asked: Sequence[PartQueries],
    n_jobs: int | None,
    verbose: bool,
    table: Table,
    random: np.random.Generator,
) -> _Answered:
    """Ask the model a fresh query at each row of a table."""
    parts = draw_queries(asked, table, 1, random).parts
    answers = [_ask(model, table, part, n_jobs, verbose) for part in parts]
    sizes = np.stack([excess for _, excess in answers], axis=1)
    largest = sizes.max(axis=1)
    witness = _witness(table, parts, [values for values, _ in answers], sizes) if (largest > 0).any() else None
    return _Answered(largest, witness)


def _ask(
    model: Model, table: Table, part: PartQueries, n_jobs: int | None, verbose: bool
) -> tuple[FloatArray, FloatArray]:
    """Return the model's values at the query points, (n_samples, n_points), and the excess of each query."""

    def stage(block: slice) -> tuple[FloatArray, FloatArray]:
        inside = _tables.take(table, np.arange(block.start, block.stop))
        asked = part.rows(block)
        answers = [predictions(model, sites) for sites in asked.sites(inside)]
        values = asked.arrange([values for values, _ in answers])
        size = rounding(values, answers[0][1])
        return values[:, 0], scores.excess(asked, values, size)[:, 0]

    predictions(model, _tables.take(table, np.arange(1)))
    label = str(part.declared)
    blocks = over_blocks(stage, table.shape, part.n_sites, n_jobs=n_jobs, verbose=verbose, label=label)
    values, excesses = zip(*(result for _, result in blocks), strict=True)
    return np.concatenate(values), np.concatenate(excesses)


def _witness(table: Table, parts: Sequence[PartQueries], values: Sequence[FloatArray], sizes: FloatArray) -> Witness:
    at, part = divmod(int(sizes.argmax()), sizes.shape[1])
    asked = parts[part]
    found = values[part][at]
    points = asked.rows(slice(at, at + 1)).points_of_worst(found[None, None])
    labels = asked.labels(table, at)
    return Witness(
        row=at,
        property=str(asked.declared),
        feature=asked.drawn_from[0].axis.feature if asked.drawn_from else None,
        values=tuple(labels[i] for i in points),
        predictions=tuple(found[points].tolist()),
        excess=None if asked.is_opaque else float(sizes[at, part]),
    )
