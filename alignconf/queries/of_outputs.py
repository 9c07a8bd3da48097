r"""Queries of a model with several outputs: a query is asked of all outputs together, which one call of the model gives.

A query about a feature, or an orbit, is asked at the same points of every output that its part is about (:class:`AtOutputs`), and
fails if any output fails. A part about the outputs themselves is asked of those of the row as it is, which leaves nothing to
draw (:class:`AlongOutputs`). Either way a row has one score: the half-width from which *all* of its outputs pass.

Values at ``n_points`` points and ``n_outputs`` outputs are numbered point by point: the value of output ``o`` at point ``k`` is
number ``k * n_outputs + o``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from alignconf._typing import BoolArray, FloatArray, IntArray, Table
from alignconf.contract.outputs import Outputs
from alignconf.contract.property import LineProperty, Property
from alignconf.errors import InputError
from alignconf.lines.output_axis import output_law
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.queries.queries import PartQueries

__all__ = ["AlongOutputs", "AtOutputs", "along_outputs", "asked_of_outputs", "refuse_outputs"]


@dataclass(frozen=True)
class AtOutputs(PartQueries):
    """Queries of a part that is about features or orbits, asked at several outputs.

    Parameters
    ----------
    of_each : PartQueries
        The queries, as they are asked of a model with one output.
    outputs : Outputs
        Of the model.
    named : tuple of int
        Positions of the outputs that the part is about.
    """

    of_each: PartQueries
    outputs: Outputs
    named: tuple[int, ...]

    @property
    def declared(self) -> Property:
        """The part."""
        return self.of_each.declared

    @property
    def n_sites(self) -> int:
        """The number of points: outputs cost no call of the model."""
        return self.of_each.n_sites

    @property
    def demands(self) -> tuple[FloatArray, FloatArray]:
        """The coefficients and bounds of each output after the other."""
        coefficients, bounds = self.of_each.demands
        times = len(self.named)
        return np.concatenate([coefficients] * times, axis=-3), np.concatenate([bounds] * times, axis=-2)

    @cached_property
    def arguments(self) -> IntArray:
        """The values that each demand is about: (n_outputs * n_demands, n_arguments)."""
        coefficients, _ = self.of_each.demands
        points = self.of_each.arguments
        if points is None:
            points = np.tile(np.arange(coefficients.shape[-1]), (coefficients.shape[-3], 1))
        return np.concatenate([points * len(self.named) + i for i in range(len(self.named))])

    @property
    def share_points(self) -> bool:
        """Whether demands on one output are about the same points; those on two outputs never are."""
        return self.of_each.share_points

    def rows(self, block: slice | IntArray) -> AtOutputs:
        """Return the queries of a block of rows."""
        return replace(self, of_each=self.of_each.rows(block))

    def sites(self, table: Table) -> list[Table]:
        """Return the points at which the model is asked."""
        return self.of_each.sites(table)

    def arrange(self, values: Sequence[FloatArray]) -> FloatArray:
        """Return values at the points, those of all outputs or one for each point, (n_samples, n_queries, n_values)."""
        if values[0].ndim == 1:
            return np.repeat(self.of_each.arrange(values), len(self.named), axis=-1)
        of_outputs = [self.of_each.arrange([of_table[:, output] for of_table in values]) for output in self.named]
        return _numbered(np.stack(of_outputs, axis=-1))

    def of_outputs(self, values: FloatArray) -> FloatArray:
        """Return the values that queries are about from (n_samples, n_queries, n_points, n_outputs)."""
        return _numbered(values[..., list(self.named)])

    def labels(self, table: Table, row: int, query: int = 0) -> tuple[Any, ...]:
        """Return what the points are; :meth:`located` tells the point and the output of a value."""
        return self.of_each.labels(table, row, query)

    def located(self, numbers: IntArray) -> tuple[IntArray, int | None]:
        """Return the points of the values of one demand, and the position of its output."""
        return numbers // len(self.named), self.named[int(numbers[0]) % len(self.named)]

    @property
    def output_labels(self) -> tuple[Any, ...]:
        """The labels of all outputs."""
        return self.outputs.labels

    @property
    def n_outputs(self) -> int:
        """The number of outputs that the part is about."""
        return len(self.named)

    @property
    def drawn_from(self) -> tuple[ReferenceLaw, ...]:
        """The reference laws of the axes of features."""
        return self.of_each.drawn_from

    @property
    def coordinates(self) -> FloatArray:
        """The places of the points along these axes."""
        return self.of_each.coordinates

    @property
    def spread(self) -> FloatArray | None:
        """How far apart the places are."""
        return self.of_each.spread

    @property
    def smallest_gap(self) -> FloatArray | None:
        """The smallest gap between the places."""
        return self.of_each.smallest_gap

    @property
    def n_uniforms(self) -> int:
        """As many as one output needs: all are asked at the same points."""
        return self.of_each.n_uniforms

    def at(self, places: FloatArray) -> AtOutputs:
        """Return the queries at given places."""
        return replace(self, of_each=self.of_each.at(places))

    def placed(self, table: Table, uniforms: FloatArray) -> AtOutputs:
        """Return the queries that uniform numbers choose."""
        return replace(self, of_each=self.of_each.placed(table, uniforms))

    def askable(self, table: Table) -> BoolArray:
        """Return which rows have a place on all axes."""
        return self.of_each.askable(table)

    def drawn_along(self, laws: Sequence[ReferenceLaw]) -> AtOutputs:
        """Return the queries drawn from the laws among ``laws`` that have their axes."""
        return replace(self, of_each=self.of_each.drawn_along(laws))

    def points_of_worst(self, values: FloatArray, query: int = 0) -> IntArray:
        """Return the values of the most violated demand of the first row's query, in the order of its points."""
        worst: IntArray = self.arguments[self.excess(values)[0, query].min(axis=-1).argmax()]
        return np.sort(worst)

    @property
    def question(self) -> str:
        """The question of each output."""
        return f"{self.of_each.question}, at {len(self.named)} outputs"

    def __str__(self) -> str:
        """Return the query law in words."""
        every = len(self.named) == len(self.outputs)
        which = "every output" if every else "outputs " + ", ".join(str(self.outputs.labels[i]) for i in self.named)
        return f"{self.of_each}, at {which}"


@dataclass(frozen=True)
class AlongOutputs(PartQueries):
    """Queries of a part that compares the outputs of a row: all of them at the row as it is.

    Parameters
    ----------
    part : Property
        As declared.
    line : LineProperty
        What it demands along the outputs.
    law : ReferenceLaw
        Of the outputs.
    n_samples, n_queries : int
        How many rows there are, and how often each is asked; the answer is the same each time.
    """

    part: Property
    line: LineProperty
    law: ReferenceLaw
    n_samples: int = 0
    n_queries: int = 1

    @property
    def declared(self) -> Property:
        """The part."""
        return self.part

    @property
    def n_sites(self) -> int:
        """One call of the model gives all outputs."""
        return 1

    @cached_property
    def arguments(self) -> IntArray:
        """The outputs that each demand is about: neighbours where these tell, otherwise any: (n_demands, n_arguments)."""
        _, bounds = self.line.demands(self.law.knots[self._compared])
        return np.repeat(self._compared, bounds.shape[-2], axis=0)

    @cached_property
    def demands(self) -> tuple[FloatArray, FloatArray]:
        """The coefficients (1, 1, n_demands, n_alternatives, n_arguments) and bounds, tolerance included."""
        coefficients, bounds = self.line.demands(self.law.knots[self._compared])
        shape = (1, 1, -1, bounds.shape[-1])
        return coefficients.reshape(*shape, coefficients.shape[-1]), bounds.reshape(shape) + self.line.tol

    @property
    def _compared(self) -> IntArray:
        n_outputs, n_points = self.law.knots.size, self.line.n_points
        if self.line.is_local:
            return np.arange(n_outputs - n_points + 1)[:, None] + np.arange(n_points)
        return np.array(list(combinations(range(n_outputs), n_points)))

    @property
    def inequalities(self) -> tuple[FloatArray, FloatArray]:
        """The demands of a part without a choice, on all outputs: coefficients (n_demands, n_outputs) and bounds (n_demands,)."""
        coefficients, bounds = self.demands
        on_all = np.zeros((len(self.arguments), self.law.knots.size))
        np.put_along_axis(on_all, self.arguments, coefficients[0, 0, :, 0], axis=1)
        return on_all, bounds[0, 0, :, 0]

    def rows(self, block: slice | IntArray) -> AlongOutputs:
        """Return the queries of a block of rows."""
        return replace(self, n_samples=np.arange(self.n_samples)[block].size)

    def sites(self, table: Table) -> list[Table]:
        """Return the rows themselves."""
        return [table]

    def arrange(self, values: Sequence[FloatArray]) -> FloatArray:
        """Return the outputs of each row, or one number of the row for each output, once for each query."""
        of_rows = values[0] if values[0].ndim == 2 else values[0][:, None]
        return np.broadcast_to(of_rows[:, None, :], (len(of_rows), self.n_queries, self.law.knots.size))

    @property
    def is_on_lines(self) -> bool:
        """Whether the row is on every line: it is."""
        return True

    @property
    def coordinates(self) -> FloatArray:
        """The row as it is, (n_samples, 1, 1, 0): moved along no axis."""
        return np.zeros((self.n_samples, 1, 1, 0))

    def of_outputs(self, values: FloatArray) -> FloatArray:
        """Return the outputs of each row once for each query, from (n_samples, 1, 1, n_outputs)."""
        return self.arrange([values[:, 0, 0]])

    def labels(self, table: Table, row: int, query: int = 0) -> tuple[Any, ...]:
        """Return the outputs in words."""
        return tuple(f"output {label}" for label in self.law.axis.order or ())

    def placed(self, table: Table, uniforms: FloatArray) -> AlongOutputs:
        """Return the queries of the rows of a table, another number of times."""
        return replace(self, n_samples=table.shape[0], n_queries=uniforms.shape[1])

    def points_of_worst(self, values: FloatArray, query: int = 0) -> IntArray:
        """Return the outputs of the most violated demand of the first row."""
        worst: IntArray = self.arguments[self.excess(values)[0, query].min(axis=-1).argmax()]
        return worst

    @property
    def question(self) -> str:
        """All outputs at once."""
        return self.question_at("the row")

    def question_at(self, row: str) -> str:
        """Return whose outputs are asked for."""
        return f"all {self.law.knots.size} outputs of {row} together"

    def __str__(self) -> str:
        """Return the query law in words."""
        return f"all {self.law.knots.size} outputs of a fresh row together"


def asked_of_outputs(
    part_queries: Sequence[PartQueries], declared: Property, outputs: Outputs | None
) -> tuple[PartQueries, ...]:
    """Return what a tester asks of a model with several outputs; without them the queries as they are.

    Parameters
    ----------
    part_queries : queries of the parts that are about features and orbits
    declared : Property
    outputs : Outputs or None
        Of the model; None if it has one.

    Raises
    ------
    InputError
        If a part is about outputs that the model does not have.
    """
    if outputs is None:
        refuse_outputs(declared)
        return tuple(part_queries)
    at_outputs = [
        AtOutputs(part, outputs, outputs.positions(getattr(part.declared, "outputs", None), part.declared))
        for part in part_queries
    ]
    return (*at_outputs, *along_outputs(declared, outputs))


def refuse_outputs(declared: Property) -> None:
    """Refuse properties that name outputs, for a model with one.

    Raises
    ------
    InputError
    """
    for part in [*declared.along_outputs, *(part for part in declared.lines if part.outputs is not None)]:
        raise InputError(
            f"{part!r} is about outputs, and the model is declared with a single one; list its outputs in the order of the "
            "columns that it returns, outputs=[...]."
        )


def along_outputs(declared: Property, outputs: Outputs) -> tuple[AlongOutputs, ...]:
    """Return the queries of the parts that are about outputs.

    Raises
    ------
    InputError
        If the model has fewer outputs than a part compares, or not the named ones.
    """
    law, parts = output_law(outputs), []
    for rule in declared.along_outputs:
        line = rule.on_outputs(outputs)
        if line.n_points > len(outputs):
            raise InputError(
                f"{rule} compares {line.n_points} outputs, and the model has {len(outputs)}; drop the property, or list more "
                "outputs."
            )
        parts.append(AlongOutputs(rule, line, law))
    return tuple(parts)


def _numbered(values: FloatArray) -> FloatArray:
    """Return values (n_samples, n_queries, n_points, n_outputs) numbered point by point."""
    return values.reshape(*values.shape[:2], -1)
