"""From a fitted model to confirmed slices: ask queries, search one half of the rows, confirm on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from alignconf._typing import Feature, FloatArray, IntArray, Model, RandomState, Table
from alignconf.contract.argument_order import refuse_swapped
from alignconf.contract.property import Declaration
from alignconf.deployment.slices.bins import Bins
from alignconf.deployment.slices.confirm import ConfirmedSlices, confirmed
from alignconf.deployment.slices.search import search_slices
from alignconf.deployment.violation_score import CountedModel, ViolationScore
from alignconf.errors import InputError
from alignconf.kernels.sums import total
from alignconf.lines.axis import TradeAxis
from alignconf.tables import table as tables
from alignconf.tables.checks import check_choice, check_count, check_level, check_model, check_rows
from alignconf.tables.random_streams import generator, set_aside

__all__ = ["LOSSES", "find_slices"]

#: What a row's loss can be, from the violation scores of its queries, (n_samples, n_queries).
LOSSES = {
    "violated": lambda sizes: (sizes > 0).any(axis=1).astype(np.float64),
    "rate": lambda sizes: (sizes > 0).mean(axis=1),
    "size": lambda sizes: total(sizes) / sizes.shape[1],
}
WORDS = {
    "violated": "1 if any of {n} queries at it is violated, else 0",
    "rate": "the share of {n} queries at it that are violated",
    "size": "the mean violation score of {n} queries at it",
}
#: The stream of random numbers that divides rows and draws queries.
STREAM = 11


def find_slices(
    model: Model,
    X: Table,
    properties: Declaration,
    *,
    loss: str = "violated",
    n_queries: int = 1,
    confidence: float = 0.95,
    features: Sequence[Feature] | None = None,
    n_bins: int = 5,
    max_depth: int = 3,
    min_support: int = 10,
    max_slices: int = 10,
    X_reference: Table | None = None,
    random_state: RandomState = None,
    n_jobs: int | None = None,
) -> ConfirmedSlices:
    """Find slices of rows at which a model violates a property more often, or more badly, than elsewhere.

    Parameters
    ----------
    model : object with ``predict``
        Any fitted model, aligned or not. It is not changed.
    X : (n_samples, n_features) array or data frame
        Rows not used to fit it. A random half is searched, the other half confirms.
    properties : Property, list, or mapping
        As for :class:`~alignconf.AlignedRegressor`.
    loss : {"violated", "rate", "size"}, default="violated"
        Of a row, from the queries at it: whether any is violated, the share that is, or the mean violation score.
    n_queries : int, default=1
        At each row. Together they make one loss, as queries at one row depend on each other.
    confidence : float in (0, 1), default=0.95
        Of everything that is confirmed, together.
    features : sequence of str or int, optional
        That slices may use. By default all but those whose values queries replace: a row's own value of these does not enter
        its loss, and groups to calibrate by must not depend on it.
    n_bins, max_depth, min_support, max_slices : int
        As for :func:`alignconf.deployment.slices.search_slices`.
    X_reference : table with the same columns, optional
        Rows that give the reference law of queries. By default a random fifth of ``X``, at most 2,000 rows, used for nothing
        else.
    random_state : int, Generator, RandomState or None
    n_jobs : int, optional

    Returns
    -------
    ConfirmedSlices

    Raises
    ------
    InputError
        If an argument is not what it should be, or there are fewer than two rows to ask.

    Notes
    -----
    *Cost*: ``n_queries`` queries at each row, and the search. *Guarantee*: see :mod:`alignconf.deployment.slices.confirm`.

    Examples
    --------
    >>> class Model:
    ...     def predict(self, X):
    ...         return np.where(X[:, 1] > 0.8, -X[:, 0], X[:, 0])
    >>> X = np.random.default_rng(0).random((2000, 3))
    >>> found = find_slices(Model(), X, {0: "increasing"}, random_state=0)
    >>> [one.found.conditions[0].feature for one in found.confirmed]
    [1]
    """
    refuse_swapped("find_slices(model, X, rules)", model=model, X=X, properties=properties)
    counted = CountedModel(check_model("model", model))
    check_choice("loss", loss, tuple(LOSSES))
    check_count("n_queries", n_queries, at_least=1)
    level = check_level("confidence", confidence)
    for name, value in (("max_depth", max_depth), ("min_support", min_support), ("max_slices", max_slices)):
        check_count(name, value, at_least=1)
    table = counted.fitted_model.arranged(check_rows(X))
    random = generator(random_state, STREAM)
    rows, referring = _rows_and_reference(counted, table, X_reference, random)
    score = ViolationScore.of(counted, properties, referring, n_jobs=n_jobs)
    sliced = _usable(score, table) if features is None else features
    askable = rows[np.isin(rows, score.askable(table))]
    if askable.size < 2:
        raise InputError(
            f"X has {askable.size} rows to ask besides the reference rows; expected at least two, for two halves."
        )
    counted.fitted_model.check_is_function(referring)
    order = random.permutation(askable)
    searched, fresh = np.sort(order[: order.size // 2]), np.sort(order[order.size // 2 :])
    bins = Bins.from_rows(tables.take(table, searched), n_bins=n_bins, features=sliced)

    def losses(positions: IntArray) -> FloatArray:
        row_losses: FloatArray = LOSSES[loss](score.row_sizes(tables.take(table, positions), n_queries, random))
        return row_losses

    search = search_slices(
        tables.take(table, searched),
        losses(searched),
        alpha=None,
        bins=bins,
        max_depth=max_depth,
        min_support=min_support,
        max_slices=max_slices,
        n_jobs=n_jobs,
    )
    about = f'{WORDS[loss].format(n=n_queries)}, for "{score.declared}"'
    cap = 1.0 if loss == "rate" else search.largest
    confirmation = confirmed(search, tables.take(table, fresh), losses(fresh), level, cap, about)
    return replace(confirmation, n_missing=int(rows.size - askable.size), n_model_rows=score.model.n_rows)


def _rows_and_reference(
    model: CountedModel, table: Table, X_reference: Table | None, random: np.random.Generator
) -> tuple[IntArray, Table]:
    """Return the rows to ask, and those that give the reference law."""
    if X_reference is None:
        rows, reference = set_aside(table.shape[0], random, keep=2)
        return rows, tables.take(table, reference)
    return np.arange(table.shape[0]), model.fitted_model.reference(X_reference, table)


def _usable(score: ViolationScore, table: Table) -> list[Feature]:
    """Return the features whose own values enter the losses of rows."""
    axes = [law.axis for part in score.parts for law in part.drawn_from]
    replaced = {axis.position for axis in axes if not isinstance(axis, TradeAxis)}
    names = tables.column_names(table) or tuple(range(table.shape[1]))
    kept: list[Feature] = [names[position] for position in range(table.shape[1]) if position not in replaced]
    if not kept:
        raise InputError(
            "every feature is replaced by queries, so no slice of rows can differ from others; declare a property of fewer "
            "features."
        )
    return kept
