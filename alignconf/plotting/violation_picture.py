"""Where queries fail: a heat map of violations over two features.

A query is counted where its points lie, in equal shares: along the feature that it is about at its own places, along all
others at the values of its row. Numbers are cut into cells at quantiles, categories are cells of their own. The colour of a
cell is the share of its queries that fail; a cell with fewer than ``min_queries`` of them says nothing and is left empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from alignconf._typing import Feature, FloatArray, IntArray, Model, RandomState, Table
from alignconf.certify.asking import Answered, place_rows
from alignconf.certify.report.drawing import INK, category_ticks, frame, literal, title_above
from alignconf.contract.property import Declaration
from alignconf.errors import InputError, quoted
from alignconf.lines.fitted_model import function_of
from alignconf.plotting.axes import new_axes
from alignconf.tables import table as tables
from alignconf.tables.checks import check_count, check_model, check_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["violations"]


def violations(
    model: Model,
    X: Table,
    properties: Declaration,
    features: tuple[Feature, Feature],
    *,
    n_bins: int = 8,
    n_queries: int = 20,
    min_queries: int = 20,
    X_reference: Table | None = None,
    random_state: RandomState = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the share of violated queries over two features.

    Parameters
    ----------
    model : object with ``predict``
        Any fitted model, aligned or not. For one class's probability, :func:`alignconf.lines.classes_function.class_function`.
    X : (n_samples, n_features) array or data frame
    properties : as for :func:`alignconf.check`
    features : (feature, feature)
        Across and up. Any columns of ``X``, constrained or not.
    n_bins : int, default=8
        Cells along a number, at quantiles of ``X``.
    n_queries : int, default=20
        Queries asked at each row, about each part of the property.
    min_queries : int, default=20
        Cells with fewer are left empty.
    X_reference, random_state : as for :func:`alignconf.check`
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Notes
    -----
    Cells are for looking: queries at one row are not independent, and the worst of many cells is bound to stand out.
    """
    table = function_of(check_model("model", model)).fitted_model.arranged(check_rows(X))
    check_count("n_bins", n_bins, at_least=2)
    check_count("n_queries", n_queries, at_least=1)
    check_count("min_queries", min_queries, at_least=1)
    if not isinstance(features, (tuple, list)) or len(features) != 2:
        raise InputError(f"features must be two features of X, across and up, got {quoted(features)}.")
    across, up = (tables.locate(table, feature) for feature in features)
    if across == up:
        raise InputError(f"features must be two different features, got {quoted(features)}.")
    asking = place_rows(model, table, properties, X_reference=X_reference, random_state=random_state)
    [(_, answered)] = asking.answers(lambda answered: answered, n_queries)
    cells = (_Cells(table, across, n_bins, answered), _Cells(table, up, n_bins, answered))
    return _draw(_shares(answered, cells, min_queries), cells, str(answered.declared), min_queries, ax)


def _shares(answered: Answered, cells: tuple[_Cells, _Cells], min_queries: int) -> FloatArray:
    """Return the percentage of violated queries in each cell, (n_up, n_across), NaN where there are too few."""
    shape = (cells[1].n_cells, cells[0].n_cells)
    n_asked, n_failed = np.zeros(shape), np.zeros(shape)
    for part, values in enumerate(answered.values):
        across, up = (axis_cells.of_part(part) for axis_cells in cells)
        in_cell = (across >= 0) & (up >= 0)
        violated = np.broadcast_to((answered.sizes[:, part] > 0)[..., None], in_cell.shape)
        cell = (up[in_cell], across[in_cell])
        np.add.at(n_asked, cell, 1 / values.shape[-1])
        np.add.at(n_failed, cell, violated[in_cell] / values.shape[-1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n_asked >= min_queries - 1e-9, 100 * n_failed / n_asked, np.nan)


class _Cells:
    """The cells along one feature: the cell of each query, and the names on the axis.

    Parameters
    ----------
    table, position : the users' rows, and the column
    n_bins : int
    answered : Answered
    """

    def __init__(self, table: Table, position: int, n_bins: int, answered: Answered) -> None:
        names, unit = tables.column_names(table), tables.unit_of(table, position)
        self.label = f"{position if names is None else names[position]}{f' ({unit})' if unit else ''}"
        self.position, self.answered = position, answered
        column = tables.column(answered.table, position)
        orders = [
            law.axis.order
            for part in answered.queries.parts
            for law in part.drawn_from
            if law.axis.columns == (position,)
        ]
        self.categories = _categories(column, orders[0] if orders else tables.category_order(table, position))
        self.row_places = _places(column, self.categories)
        points = [self._points(part).ravel() for part in range(len(answered.values))]
        self.edges = (
            np.arange(-0.5, len(self.categories)) if self.categories else _edges(np.concatenate(points), n_bins)
        )
        self.n_cells = self.edges.size - 1

    def of_part(self, part: int) -> IntArray:
        """Return the cell of each point of the queries of a part, (n_samples, n_queries, n_points); -1 for none."""
        places = self._points(part)
        index = np.clip(np.searchsorted(self.edges, places, side="right") - 1, 0, self.n_cells - 1)
        return np.where(np.isfinite(places), index, -1)

    def _points(self, part: int) -> FloatArray:
        """Return where the points lie along the feature: at the query's own places, or else at the row's."""
        queries, shape = self.answered.queries.parts[part], self.answered.values[part].shape
        for i, law in enumerate(queries.drawn_from):
            if law.axis.columns == (self.position,):
                return np.broadcast_to(queries.coordinates[..., i], shape)
        return np.broadcast_to(self.row_places[:, None, None], shape)


def _categories(values: Any, order: tuple[Any, ...] | None) -> tuple[Any, ...]:
    """Return the categories of a column in their order, none for a column of numbers."""
    if order is not None:
        return order
    if values.dtype.kind in "biuf":
        return ()
    present = [value for value in dict.fromkeys(values.tolist()) if not tables.is_missing(value)]
    if all(isinstance(value, (int, float)) for value in present):
        return ()
    return tuple(sorted(present, key=str))


def _places(values: Any, categories: tuple[Any, ...]) -> FloatArray:
    if not categories:
        return np.array([np.nan if tables.is_missing(value) else float(value) for value in values.tolist()])
    rank = {category: float(i) for i, category in enumerate(categories)}
    return np.array([np.nan if tables.is_missing(value) else rank.get(value, np.nan) for value in values.tolist()])


def _edges(places: FloatArray, n_bins: int) -> FloatArray:
    """Return the ends of cells with about equally many queries: (n_cells + 1,)."""
    finite = places[np.isfinite(places)]
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, n_bins + 1))) if finite.size else np.empty(0)
    if edges.size < 2:
        middle = float(finite[0]) if finite.size else 0.0
        edges = np.array([middle - 0.5, middle + 0.5])
    return edges


def _draw(share: FloatArray, cells: tuple[_Cells, _Cells], words: str, min_queries: int, ax: Axes | None) -> Axes:
    ax = new_axes(6.4, 5.0) if ax is None else ax
    largest = float(np.nanmax(share)) if np.isfinite(share).any() else 0.0
    across, up = cells
    mesh = ax.pcolormesh(
        across.edges, up.edges, np.ma.masked_invalid(share), cmap="cividis", vmin=0, vmax=max(largest, 1.0)
    )
    ax.set_facecolor("0.92")
    bar = ax.figure.colorbar(mesh, ax=ax)
    bar.set_label(f"violated queries (%); grey: fewer than {min_queries} queries", color=INK)
    for axis_cells, axis in ((across, "x"), (up, "y")):
        if axis_cells.categories:
            category_ticks(ax, list(map(str, axis_cells.categories)), axis=axis)
    ax.set_xlabel(literal(across.label), color=INK)
    ax.set_ylabel(literal(up.label), color=INK)
    frame(ax)
    quoted = f"\N{LEFT DOUBLE QUOTATION MARK}{words}\N{RIGHT DOUBLE QUOTATION MARK}"
    title_above(ax, f"Where queries of {quoted} are violated", width=60)
    return ax
