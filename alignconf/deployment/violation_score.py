r"""The violation score: one number that says how badly a query is answered, and what it cost to learn it.

A query demands :math:`\sum_k a_k f(x_k) \le b` of a model. Its **margin** is :math:`\sum_k a_k f(x_k) - b`, the worst over
the demands of all parts of a property, in the unit of the prediction: negative where the property holds with room to spare. The
**violation score** is :math:`s = \max(\text{margin}, 0)`, with margins that are no more than rounding of the model's own sums
read as 0. The companions of the core all work on it: search maximises ``s``, slices explain where it is high, forecasts
carry its tail on, and the simulation of rare violations walks along the margin. Every row that is sent to the model is
counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from alignconf._typing import FloatArray, IntArray, Model, Table
from alignconf.contract.property import Declaration, Property
from alignconf.errors import InputError
from alignconf.lines.fitted_model import FittedModel, function_of
from alignconf.properties import declare
from alignconf.queries.excess import excess as excess_of
from alignconf.queries.placement import place_queries
from alignconf.queries.queries import PartQueries, Queries, askable_parts, draw_queries, place_queries_at
from alignconf.queries.row_draws import RowDraws
from alignconf.tables import table as tables
from alignconf.tables.blocks import over_blocks
from alignconf.tables.checks import check_model
from alignconf.tables.predictions import Rounding, predictions

__all__ = ["CountedModel", "ViolationScore", "part_margins"]


class CountedModel:
    """A model that counts the rows it is asked about.

    Parameters
    ----------
    model : object with ``predict``

    Attributes
    ----------
    n_rows : int
        Rows that were sent to ``predict`` so far.
    """

    def __init__(self, model: Model) -> None:
        self.model = function_of(model)
        self.n_rows = 0
        self._lock = Lock()

    @property
    def fitted_model(self) -> FittedModel:
        """The door to the model that is asked."""
        door: FittedModel = self.model.fitted_model
        return door

    def check_is_function(self, table: Table) -> None:
        """Refuse a model whose answers depend on chance or on other rows; count the rows that it was sent for that."""
        self.count(self.fitted_model.check_is_function(table))

    def count(self, n_rows: int) -> None:
        """Count rows that the model was sent by another way than :meth:`predict`."""
        with self._lock:
            self.n_rows += n_rows

    def predict(self, X: Any, /) -> FloatArray:
        """Return the model's predictions, (n_samples,), and count the rows."""
        return self.with_rounding(X)[0]

    def with_rounding(self, table: Table) -> tuple[FloatArray, Rounding]:
        """Return the model's predictions, (n_samples,), and what of them is rounding; count the rows."""
        self.count(int(table.shape[0]))
        return predictions(self.model, table)


@dataclass(frozen=True)
class ViolationScore:
    """The margin and the violation score of a model's answers to the queries of a property.

    Parameters
    ----------
    model : CountedModel
    declared : Property
    parts : tuple of PartQueries
        What is asked of each part, with the reference laws of its places.
    n_jobs : int, optional
    """

    model: CountedModel
    declared: Property
    parts: tuple[PartQueries, ...]
    n_jobs: int | None = None

    @classmethod
    def of(
        cls,
        model: Model,
        properties: Declaration,
        X_reference: Table,
        *,
        n_jobs: int | None = None,
    ) -> ViolationScore:
        """Return the score of a fitted model, with the reference laws of the features read off reference rows.

        Parameters
        ----------
        model : object with ``predict``
            Any fitted model, aligned or not. A model that counts already goes on counting.
        properties : Property, list, or mapping
            As for :class:`~alignconf.AlignedRegressor`.
        X_reference : (n_reference, n_features) table
        n_jobs : int, optional
        """
        counted = model if isinstance(model, CountedModel) else CountedModel(check_model("model", model))
        declared = declare(properties)
        reference = counted.fitted_model.rows(X_reference, declared, name="X_reference")
        codes = counted.fitted_model.missing_codes(reference)
        return cls(counted, declared, place_queries(declared, reference, reference, codes=codes), n_jobs)

    @property
    def is_opaque(self) -> bool:
        """Whether some part only says yes or no, so that margins are 1 or 0 and nothing leads from one to the other."""
        return any(part.is_opaque for part in self.parts)

    @property
    def n_sites(self) -> int:
        """Model rows that one query at one row costs."""
        return sum(part.n_uniforms or part.n_sites for part in self.parts)

    @property
    def n_uniforms(self) -> int:
        """Uniform numbers that choose the places of one query; see :meth:`placed`."""
        return sum(part.n_uniforms for part in self.parts)

    def askable(self, table: Table) -> IntArray:
        """Return the positions of the rows that can be asked about some part: they have its features."""
        return np.flatnonzero(askable_parts(self.parts, table).any(axis=1))

    def drawn(self, table: Table, n_queries: int, random: np.random.Generator) -> Queries:
        """Return ``n_queries`` queries at each row of a table, with places from the reference laws."""
        return draw_queries(self.parts, table, n_queries, RowDraws.of(table, random))

    def placed(self, uniforms: FloatArray, table: Table) -> Queries:
        """Return one query at each row of a table, at the places that uniform numbers choose from the reference laws.

        Independent uniform numbers in [0, 1) give exactly the law of :meth:`drawn`.

        Parameters
        ----------
        uniforms : (n_samples, n_uniforms) array in [0, 1)
        table : Table of n_samples rows
        """
        return place_queries_at(self.parts, table, uniforms[:, None])

    def margins(self, table: Table, queries: Queries) -> FloatArray:
        """Return the margin of every query, (n_samples, n_queries); positive exactly where the query is violated.

        An opaque part counts 1 where it says no and 0 where it says yes; minus infinity where a row can be asked nothing.
        """
        worst = np.full((table.shape[0], queries.n_queries), -np.inf)
        for part in queries.parts:
            numbers = np.flatnonzero(part.askable(table))
            if not numbers.size:
                continue

            def stage(block: slice, part: PartQueries = part, numbers: IntArray = numbers) -> FloatArray:
                block_table = tables.take(table, numbers[block])
                block_queries = part.rows(numbers[block])
                answers = [predictions(self.model, sites) for sites in block_queries.sites(block_table)]
                values = block_queries.arrange([values for values, _ in answers])
                return part_margins(block_queries, values, answers[0][1].of(values))

            blocks = over_blocks(stage, (numbers.size, table.shape[1]), part.n_sites, n_jobs=self.n_jobs)
            worst[numbers] = np.maximum(worst[numbers], np.concatenate([margins for _, margins in blocks]))
        return worst

    def sizes(self, table: Table, queries: Queries) -> FloatArray:
        """Return the violation score of every query, (n_samples, n_queries)."""
        return np.maximum(self.margins(table, queries), 0.0)

    def row_sizes(self, table: Table, n_queries: int, random: np.random.Generator) -> FloatArray:
        """Return the violation scores of fresh queries at the rows of a table, (n_samples, n_queries).

        Scores at different rows are independent if the rows are; those at one row are not.

        Raises
        ------
        InputError
            If a row lacks all constrained features; see :meth:`askable`.
        """
        n_missing = table.shape[0] - self.askable(table).size
        if n_missing:
            raise InputError(
                f"X has {n_missing} rows that lack all constrained features and cannot be asked about {self.declared}; drop them."
            )
        return self.sizes(table, self.drawn(table, n_queries, random))


def part_margins(queries: PartQueries, values: FloatArray, size: FloatArray) -> FloatArray:
    """Return the margins of one part's queries, (n_samples, n_queries); what is only rounding is not positive."""
    excess = excess_of(queries, values, size)
    if queries.is_opaque:
        return excess
    margins = queries.excess(values).min(axis=-1).max(axis=-1)
    return np.where(excess > 0, excess, np.minimum(margins, 0.0))
