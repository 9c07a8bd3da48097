"""Groups of rows that each get a promise of their own.

With one ``lambda_`` for all rows, a small group can be violated far more often than ``alpha`` while the large ones make up for
it. Calibrated **by group** (Mondrian), the half-width of a group is found from its own rows, and the promise holds within it.
Groups may overlap: a row in several gets the largest of their half-widths, which each of them needs at most.

A group must be constant along the lines of the constrained features, otherwise a query would have points in two groups and no
half-width of its own. Groups are read off the rows: from columns, by a function (such as a fitted ``MondrianCategorizer`` of
crepes), or given as labels next to the rows.

References
----------
.. [1] Vovk, V., Lindsay, D., Nouretdinov, I. and Gammerman, A. (2003). Mondrian confidence machine. Technical report.
.. [2] Gibbs, I., Cherian, J. J. and Candès, E. J. (2025). Conformal prediction with conditional guarantees. Journal of the
   Royal Statistical Society B 87(4). arXiv:2305.12616
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf._typing import BoolArray, Feature, FloatArray, IntArray, Table
from alignconf.errors import InputError, quoted
from alignconf.tables import table as tables
from alignconf.tables.checks import check_entries, is_row_function
from alignconf.tables.predictions import row_answers

__all__ = ["Membership", "read_groups"]


@dataclass(frozen=True)
class Membership:
    """The groups that each of some rows belongs to.

    Parameters
    ----------
    names : tuple
        Of the groups that occur.
    codes : (n_samples, n_sets) integers
        Positions in ``names``, -1 for none; one set of disjoint groups is one column, overlapping groups are a column each.
    in_order : bool
        Whether names are sorted; otherwise they come as the rows do.
    """

    names: tuple[Hashable, ...]
    codes: IntArray
    in_order: bool = False

    @classmethod
    def joined(cls, blocks: Sequence[Membership]) -> Membership:
        """Return the membership of the rows of all blocks, one after the other, as if they had been read together."""
        distinct = dict.fromkeys(name for block in blocks for name in block.names)
        in_order = all(block.in_order for block in blocks)
        names: list[Any] = list(distinct)
        if in_order:
            names.sort()
        position = {name: i for i, name in enumerate(names)}
        # Codes are as small as they can be: there is one for each row.
        small = np.min_scalar_type(-max(1, len(names)))
        codes = [
            np.array([*(position[name] for name in block.names), -1]).astype(small)[block.codes] for block in blocks
        ]
        return cls(tuple(names), np.concatenate(codes), in_order)

    def rows_of(self, position: int) -> BoolArray:
        """Return which rows are in a group, (n_samples,).

        Parameters
        ----------
        position : int
            Of the group in ``names``.
        """
        is_member: BoolArray = self.codes[:, 0] == position
        for codes in self.codes.T[1:]:
            is_member = is_member | (codes == position)
        return is_member

    def take(self, rows: NDArray[Any]) -> Membership:
        """Return the membership of some of the rows, by positions or a mask."""
        return Membership(self.names, self.codes[rows], self.in_order)

    def largest(self, half_widths: dict[Hashable, float], unseen: float | None) -> FloatArray:
        """Return the largest half-width of each row's groups, (n_samples,).

        Parameters
        ----------
        half_widths : of the groups that calibrated
        unseen : half-width of rows in a group that did not, or in none; None to refuse them

        Raises
        ------
        InputError
            For a row in a group without a half-width, if they are refused.
        """
        new = [name for name in self.names if name not in half_widths]
        outside = np.flatnonzero((self.codes < 0).all(axis=1))
        if unseen is None and (new or outside.size):
            which = f"the groups {new[:5]!r}" if new else f"row {outside[0]}, which is in no group,"
            raise InputError(
                f"{which} had no calibration rows; expected one of {list(half_widths)[:20]!r}. Calibrate with rows of these "
                "groups, or set unseen_groups='largest' to give them the largest half-width, without a promise of their own."
            )
        fallback = np.inf if unseen is None else unseen
        of_names = np.array([half_widths.get(name, fallback) for name in self.names] + [-np.inf])
        widest: FloatArray = of_names[self.codes].max(axis=1)
        widest[outside] = fallback
        return widest


def read_groups(source: Any, table: Table, labels: Any = None) -> Membership:
    """Return the groups of the rows of a table.

    Parameters
    ----------
    source : column, list of columns, callable, or object with ``apply``; None if the groups are given as ``labels``
    table : Table of n_samples rows
    labels : (n_samples,) labels, or (n_samples, n_groups) truth values for groups that overlap
        Or the membership of the rows, where it was read before.

    Raises
    ------
    InputError
        If labels are missing, of another length, or given although the groups are read off the rows.
    """
    if isinstance(labels, Membership):
        return labels
    if source is None:
        if labels is None:
            raise InputError(
                "groups is missing: calibration was by group, so each row needs its label. Pass groups=, one label for each "
                "row of X."
            )
        return _membership("groups", labels, table.shape[0])
    if labels is not None:
        raise InputError(
            "groups is given twice: the estimator reads the groups off X (its parameter groups), so the method takes no labels. "
            "Leave one of the two out."
        )
    if is_row_function(source):
        return _membership("groups", row_answers(source, table), table.shape[0])
    columns = [tables.column(table, position) for position in group_columns(source, table)]
    if len(columns) == 1:
        return _membership("groups", columns[0], table.shape[0])
    together = np.empty(table.shape[0], dtype=object)
    together[:] = list(zip(*(column.tolist() for column in columns), strict=True))
    return _membership("groups", together, table.shape[0])


def group_columns(source: Any, table: Table) -> tuple[int, ...]:
    """Return the positions of the columns that name the groups; none where a function does.

    Parameters
    ----------
    source, table : as for :func:`read_groups`
    """
    if source is None or is_row_function(source):
        return ()
    is_label = isinstance(source, tuple) and source in (tables.column_names(table) or ())
    named: list[Feature] = list(source) if isinstance(source, (list, tuple)) and not is_label else [source]
    if not named or not all(isinstance(feature, Hashable) for feature in named):
        raise InputError(
            f"groups must be a column, a list of columns or a function of the rows, got {quoted(source)} of type "
            f"{type(source).__name__}; labels of the rows are given to calibrate(X, groups=...)."
        )
    return tuple(tables.locate(table, feature) for feature in named)


def _membership(name: str, labels: Any, n_samples: int) -> Membership:
    columns = getattr(labels, "columns", None)
    values = check_entries(name, labels)
    if values.shape[:1] != (n_samples,):
        raise InputError(
            f"{name} has shape {values.shape}; expected one label for each of the {n_samples} rows, shape ({n_samples},), or "
            f"truth values ({n_samples}, n_groups) for groups that overlap."
        )
    if values.ndim == 2:
        if values.dtype.kind not in "b":
            raise InputError(
                f"{name} has shape {values.shape} of type {values.dtype}; two dimensions mean overlapping groups and take "
                "truth values, True where a row is in a group."
            )
        names = tuple(range(values.shape[1])) if columns is None else tuple(columns)
        return Membership(names, np.where(values, np.arange(len(names)), -1).astype(np.intp))
    missing = np.array([tables.is_missing(value) for value in values.tolist()], dtype=bool)
    if values.ndim != 1 or missing.any():
        first = int(np.flatnonzero(missing)[0]) if missing.any() else 0
        raise InputError(
            f"{name} is missing at row {first} ({int(missing.sum())} of {n_samples} rows); expected a label for every row. Give "
            "missing labels a group of their own, for example 'unknown'."
        )
    if values.dtype == object:
        if not all(isinstance(value, Hashable) for value in values.tolist()):
            raise InputError(
                f"{name} holds values such as {values.tolist()[0]!r}, which are no labels; expected one for each row."
            )
        positions = {value: i for i, value in enumerate(dict.fromkeys(values.tolist()))}
        return Membership(tuple(positions), np.array([[positions[value]] for value in values.tolist()], dtype=np.intp))
    distinct, codes = np.unique(values, return_inverse=True)
    return Membership(tuple(distinct.tolist()), codes.reshape(-1, 1).astype(np.intp), in_order=True)
