"""The search itself: which parts are enumerated, which are searched, and which finds are shown.

Every part of a property is searched on its own with an equal share of the rows, because a query of the whole is as bad as
the worst of its parts. A part whose cells are enumerated needs no search if the worst of them is plausible enough. A witness
is evaluated once more on its own: its size is what ``predict`` answers to exactly its points, not what a batch had given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from alignconf._typing import FloatArray, Model, RandomState, Table
from alignconf.contract.argument_order import refuse_swapped
from alignconf.contract.property import Declaration
from alignconf.deployment.input_law import InputLaw
from alignconf.deployment.plausibility import Plausibility
from alignconf.deployment.search.all_cells import WorstOfAllCells, enumerate_cells
from alignconf.deployment.search.archive import Archive, Find
from alignconf.deployment.search.box import Box
from alignconf.deployment.search.portfolio import evolve, polish, screen
from alignconf.deployment.search.target import Target
from alignconf.deployment.search.uphill import Gradient
from alignconf.deployment.search.witnesses import FoundQuery, Witnesses
from alignconf.deployment.violation_score import CountedModel, ViolationScore, part_margins
from alignconf.errors import InputError, quoted
from alignconf.lines.ensemble import Ensemble
from alignconf.lines.trees import trees_of
from alignconf.tables import table as tables
from alignconf.tables.checks import check_count, check_level, check_model, check_rows, check_switch
from alignconf.tables.predictions import Rounding
from alignconf.tables.random_streams import check_random_state, generator

__all__ = ["search"]

#: Shares of the rows that go to screening and to differential evolution; polish has the rest.
SCREENING = 0.3
EVOLUTION = 0.15

#: So few rows are asked again, to see whether the model answers alike.
ASKED_AGAIN = 8

#: For each witness asked for, so many finds are evaluated at most: one may be of rounding only.
TRIES = 2

#: Rows of data at which the range of predictions is looked at, and from which screening starts.
RANGE_ROWS = 200
DATA_ROWS = 2000


def search(
    model: Model,
    X: Table,
    properties: Declaration,
    *,
    input_law: InputLaw | None = None,
    max_rows: int = 50_000,
    n_witnesses: int = 5,
    naturalness: float = 0.05,
    read_trees: bool = True,
    gradient: Gradient | None = None,
    random_state: RandomState = None,
) -> Witnesses:
    """Search for the worst violation of a property by a fitted model.

    Parameters
    ----------
    model : object with ``predict``
        Any fitted model, aligned or not. It is not changed.
    X : (n_samples, n_features) array or data frame
        At least four rows of data: what is plausible is judged by them, half of them held out, and places of queries lie
        within their range. Better not the rows that the model was fitted to.
    properties : Property, list, or mapping
        As for :class:`~alignconf.AlignedRegressor`.
    input_law : InputLaw, optional
        Which values columns may have; by default those of ``X``, numbers anywhere between the smallest and the largest.
    max_rows : int, default=50,000
        Rows that are sent to ``predict`` at most, everything included, those of ``gradient`` too.
    n_witnesses : int, default=5
        Violations of different regions that are shown at most.
    naturalness : float in [0, 1), default=0.05
        The plausibility that all points of a witness must have; with few rows of data, no farther from them than the farthest
        held-out row. The search goes to the edge of what is allowed, and held-out rows tell that edge only roughly, so that
        witnesses at 0.01 are often rarer than that. 0 for any query of the box.
    read_trees : bool, default=True
        Whether to read the trees of scikit-learn, XGBoost and LightGBM models: all cells of small ones are enumerated.
    gradient : callable, optional
        ``gradient(rows)`` returns the partial derivatives of ``model.predict`` by each column, (n_samples, n_features), with 0
        where there is none: ``network_gradient(model)`` for a network of scikit-learn's. It only proposes where to look, so a
        wrong one finds less and claims no more. A row of it counts as two model rows, there and back.
    random_state : int, Generator, RandomState or None

    Returns
    -------
    Witnesses
        Of kind "lower bound". Each witness is a violation, exactly as bad as it says. That none was found shows nothing; only
        where ``maximum`` is not None is anything said about the rest of the box.

    Raises
    ------
    InputError

    Notes
    -----
    *Cost*: ``max_rows`` model rows, and the arithmetic of their distances to the data where ``naturalness`` is positive.

    Examples
    --------
    >>> import numpy as np
    >>> class Dip:
    ...     def predict(self, X):
    ...         return X[:, 0] - np.where((X[:, 0] > 0.7) & (X[:, 1] > 0.9), 1.0, 0.0)
    >>> rows = np.random.default_rng(0).uniform(size=(400, 2))
    >>> found = search(Dip(), rows, {0: "increasing"}, max_rows=5000, random_state=0)
    >>> found.kind, 0.98 < found.largest <= 1
    ('lower bound', True)
    """
    refuse_swapped("search(model, X, rules)", model=model, X=X, properties=properties)
    counted = CountedModel(check_model("model", model))
    table = counted.fitted_model.arranged(check_rows(X))
    check_count("n_witnesses", n_witnesses, at_least=1)
    check_switch("read_trees", read_trees)
    _check_gradient(gradient)
    level = check_level("naturalness", naturalness, zero=True)
    check_random_state(random_state)
    law = _checked_law(input_law, table)
    score = ViolationScore.of(counted, properties, table)
    plausibility = Plausibility.of_rows(table, random_state=generator(random_state, 9))
    ensemble = _ensemble(model, law) if read_trees else "read_trees is False"
    targets, cells = _targets(score, law, plausibility, level, ensemble)
    kept_back = (TRIES * n_witnesses + 1) * max(target.n_sites for target in targets)
    few = tables.take(table, np.arange(min(ASKED_AGAIN, table.shape[0])))
    _check_budget(max_rows, kept_back + 3 * few.shape[0])
    counted.check_is_function(few)
    limit = max_rows - kept_back - counted.n_rows
    hunt = _Hunt(targets, table, generator(random_state, 10), level, limit, gradient)
    archives, enumerated = hunt.run(cells, ensemble)
    finds = [(find, archive.target) for archive in archives for find in archive.finds.values()]
    witnesses = _chosen(sorted(finds, key=lambda pair: -pair[0].margin), n_witnesses, plausibility, law)
    elsewhere = [(archive.anywhere, archive.target) for archive in archives if archive.anywhere is not None]
    return Witnesses(
        declared=str(score.declared),
        box=f"the box of all values of {law}, whatever goes with what",
        witnesses=witnesses,
        anywhere=_anywhere([(find, target) for find, target in elsewhere if not find.is_natural], plausibility, law),
        naturalness=level,
        maximum=hunt.maximum(enumerated),
        n_cells=sum(enumeration.n_cells for enumeration in enumerated if isinstance(enumeration, WorstOfAllCells)),
        why_not="; ".join(dict.fromkeys(reason for reason in enumerated if isinstance(reason, str))),
        n_rows=counted.n_rows,
        max_rows=max_rows,
        progress=_progress(archives, witnesses, counted.n_rows),
    )


@dataclass
class _Hunt:
    """The parts of a property, searched one after the other.

    Parameters
    ----------
    targets : sequence of Target
    table : Table
        Rows of data.
    random : numpy.random.Generator
    level : float
        The plausibility asked for.
    limit : int
        Rows that may be sent to the model before witnesses are evaluated once more.
    gradient : callable, optional
    """

    targets: Sequence[Target]
    table: Table
    random: np.random.Generator
    level: float
    limit: int
    gradient: Gradient | None = None
    rounding: Rounding = field(default_factory=lambda: Rounding(0.0))

    def run(
        self, cells: Sequence[Box | None], ensemble: Ensemble | str
    ) -> tuple[list[Archive], list[WorstOfAllCells | str]]:
        """Enumerate or search each part."""
        counted = self.targets[0].model
        some = tables.take(self.table, np.arange(min(self.table.shape[0], RANGE_ROWS, max(1, self.limit // 20))))
        values, self.rounding = counted.with_rounding(some)
        archives: list[Archive] = []
        enumerated: list[WorstOfAllCells | str] = []
        for k, (target, pieces) in enumerate(zip(self.targets, cells, strict=True)):
            share = (self.limit - counted.n_rows) // (len(self.targets) - k)
            archive = Archive(target, counted.n_rows + share, 2 * (float(np.ptp(values)) or 1.0))
            if isinstance(ensemble, str) or pieces is None:
                enumeration: WorstOfAllCells | str = str(ensemble)
            else:
                enumeration = enumerate_cells(target.part, pieces, ensemble)
            if (
                isinstance(enumeration, WorstOfAllCells)
                and pieces is not None
                and enumeration.maximum > self._negligible(enumeration)
            ):
                archive.ask(_points(enumeration, pieces, target, self.random))
            if isinstance(enumeration, str) or enumeration.maximum - archive.worst > self._negligible(enumeration):
                self._search(archive)
            archives.append(archive)
            enumerated.append(enumeration)
        return archives, enumerated

    def maximum(self, enumerated: Sequence[WorstOfAllCells | str]) -> float | None:
        """Return the largest violation score in the box if all parts were enumerated."""
        enumerations = [enumeration for enumeration in enumerated if isinstance(enumeration, WorstOfAllCells)]
        if len(enumerations) < len(enumerated):
            return None
        return max(
            enumeration.maximum if enumeration.maximum > self._negligible(enumeration) else 0.0
            for enumeration in enumerations
        )

    def _negligible(self, enumeration: WorstOfAllCells) -> float:
        return float(self.rounding.of(np.array([enumeration.largest_value]))[0])

    def _search(self, archive: Archive) -> None:
        """Search one part with the rows that are left to it."""
        target, n_rows = archive.target, archive.left
        rows = tables.take(self.table, self.random.permutation(self.table.shape[0])[:DATA_ROWS])
        data = target.box.points(rows, self.random)[:, target.free]
        screen(archive, data, int(SCREENING * n_rows), self.random)
        evolve(archive, int(EVOLUTION * n_rows), self.random)
        if self.gradient is not None:
            polish(archive, self.random, self.gradient)
        # Where the gradient leads no farther, there may be more elsewhere.
        polish(archive, self.random)


def _checked_law(input_law: InputLaw | None, table: Table) -> InputLaw:
    if input_law is None:
        return InputLaw.from_rows(table)
    if not isinstance(input_law, InputLaw):
        raise InputError(
            f"input_law must be an InputLaw, got {quoted(input_law)} of type {type(input_law).__name__}; make one with "
            "InputLaw.from_rows(X) or InputLaw.declared({...})."
        )
    names, law_names = tables.column_names(table), tables.column_names(input_law.template)
    if input_law.n_features != table.shape[1] or names != law_names:
        raise InputError(
            f"input_law is about the columns {list(input_law.features)} and X has {list(names or range(table.shape[1]))}; "
            "expected the same columns, in a table of the same kind."
        )
    return input_law


def _check_gradient(gradient: Gradient | None) -> None:
    if gradient is not None and not callable(gradient):
        raise InputError(
            f"gradient must be a function of rows, got {quoted(gradient)} of type {type(gradient).__name__}; expected one that "
            "returns the partial derivative of predict by each column."
        )


def _check_budget(max_rows: int, kept_back: int) -> None:
    check_count("max_rows", max_rows, at_least=1)
    if max_rows < 2 * kept_back:
        raise InputError(
            f"max_rows must be at least {2 * kept_back}, got {max_rows}: {kept_back} rows are kept back to ask some of them "
            "again and to evaluate witnesses once more. Allow more rows, or ask for fewer witnesses."
        )


def _ensemble(model: Model, law: InputLaw) -> Ensemble | str:
    """Return the trees of a model that takes the rows as they are, or why they cannot be read."""
    while isinstance(model, CountedModel):
        model = model.model
    trees = trees_of(model)
    if isinstance(trees, str):
        return trees.rstrip(".")
    if not tables.is_numeric(law.template) or trees.n_features != law.n_features:
        return "X has columns that do not hold numbers, or others than the trees know"
    return trees


def _targets(
    score: ViolationScore, law: InputLaw, plausibility: Plausibility, level: float, ensemble: Ensemble | str
) -> tuple[list[Target], list[Box | None]]:
    """Return the target of each part, and the cells of its box if the model's trees are known."""
    constrained = {i for part in score.parts for reference_law in part.drawn_from for i in reference_law.axis.columns}
    box = Box.of_law(law).with_present(constrained)
    pieces = None if isinstance(ensemble, str) else Box.of_law(law, ensemble).with_present(constrained)
    # Where any query of the box counts, one value in each piece of the trees is enough.
    searched = pieces if pieces is not None and not level else box
    judge, farthest = (plausibility, plausibility.farthest(level)) if level else (None, np.inf)
    targets = [Target(score.model, part, searched, judge, max(farthest, 1e-9)) for part in score.parts]
    return targets, [pieces] * len(targets)


def _points(enumeration: WorstOfAllCells, pieces: Box, target: Target, random: np.random.Generator) -> FloatArray:
    """Return the worst queries of an enumeration as points of the unit cube of a target."""
    n_found = len(enumeration.places)
    coordinates = [
        (numbers + 0.5) / (column.size or 1)
        for numbers, column in zip(enumeration.columns, pieces.columns, strict=True)
    ]
    rows = pieces.rows({i: column.values_at(coordinates[i]) for i, column in enumerate(pieces.columns)}, n_found)
    columns = target.box.points(rows, random)[:, target.free]
    if not target.places:
        return columns
    piece_places = Target(target.model, target.part, pieces).places
    places = [
        here.of(there.values_at((enumeration.places[:, k] + 0.5) / (there.size or 1)))
        for k, (here, there) in enumerate(zip(target.places, piece_places, strict=True))
    ]
    return np.concatenate([columns, np.stack(places, axis=-1)], axis=1)


def _chosen(
    finds: Sequence[tuple[Find, Target]], n_witnesses: int, plausibility: Plausibility, law: InputLaw
) -> tuple[FoundQuery, ...]:
    """Return the worst finds, sorted by size; finds of one size are one violation, met in several regions."""
    witnesses: list[FoundQuery] = []
    met = set()
    for find, target in finds:
        key = (id(target.part), find.point.tobytes() if target.part.is_opaque else float(f"{find.margin:.8e}"))
        if key in met:
            continue
        met.add(key)
        query = _evaluated(find, target, plausibility, law)
        if query.size > 0:
            witnesses.append(query)
        if len(witnesses) == n_witnesses or len(met) == TRIES * n_witnesses:
            break
    return tuple(sorted(witnesses, key=lambda witness: -witness.size))


def _anywhere(finds: Sequence[tuple[Find, Target]], plausibility: Plausibility, law: InputLaw) -> FoundQuery | None:
    if not finds:
        return None
    find, target = max(finds, key=lambda pair: pair[0].margin)
    query = _evaluated(find, target, plausibility, law)
    return query if query.size > 0 else None


def _evaluated(find: Find, target: Target, plausibility: Plausibility, law: InputLaw) -> FoundQuery:
    """Ask one query on its own, all of its points at once."""
    table, queries = target.queries(find.point[None])
    sites = queries.sites(table)
    points = _together(sites)
    values, rounding = target.model.with_rounding(points)
    answers = queries.arrange([values] if len(sites) == 1 else [values[k : k + 1] for k in range(len(sites))])
    margin = part_margins(queries, answers, rounding.of(answers))[0, 0]
    return FoundQuery(
        declared=str(queries.declared),
        feature=queries.drawn_from[0].axis.feature if queries.drawn_from else None,
        values=queries.labels(table, 0),
        predictions=tuple(values.tolist()),
        size=float(max(margin, 0.0)),
        plausibility=float(plausibility.of(points).min()),
        is_known=bool(law.knows(points).all()),
        points=points,
    )


def _together(sites: Sequence[Table]) -> Table:
    """Return tables of one row each as one table."""
    if len(sites) == 1:
        return sites[0]
    columns = {i: np.concatenate([tables.column(site, i) for site in sites]) for i in range(sites[0].shape[1])}
    together = tables.replicate(sites[0], np.zeros(len(sites), dtype=np.intp), columns)
    return together.reset_index(drop=True) if hasattr(together, "reset_index") else together


def _progress(
    archives: Sequence[Archive], witnesses: Sequence[FoundQuery], n_rows: int
) -> tuple[tuple[int, float], ...]:
    """Return rows sent and the largest violation by then; the last entry is the worst witness, evaluated once more."""
    steps = sorted(step for archive in archives for step in archive.progress)
    best = accumulate((size for _, size in steps), max)
    curve = [(rows, size) for (rows, _), size in zip(steps, best, strict=True)]
    grown = [step for k, step in enumerate(curve) if k == 0 or step[1] > curve[k - 1][1]]
    return (*grown, (n_rows, witnesses[0].size)) if witnesses else tuple(grown)
