"""Yes/no questions about a model, written from statements and answered through ``predict`` alone.

A *statement* is a property that somebody has written down, by templates from a schema or in the file of an outside language
model; the library's own reader takes it as data, and nothing in it is executed. A *question* asks whether the statement holds
between given points at a given row. Who writes a statement says that a model should answer yes; its opposite gives the
questions to be answered no. A model answers through ``predict``: yes where the inequality of the statement holds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from alignconf._typing import BoolArray, FloatArray, IntArray
from alignconf.contract.property import Property
from alignconf.deployment.propose import Malformed, Specification
from alignconf.deployment.propose.review import ESCAPED
from alignconf.deployment.violation_score import ViolationScore
from alignconf.properties import Concave, Convex, Decreasing, Dominates, Increasing

__all__ = ["Questions", "Statement", "ask_at", "near_duplicates", "opposite", "statements_of", "written_by_templates"]


@dataclass(frozen=True)
class Statement:
    """What a question is about.

    Parameters
    ----------
    behaviour : int
        Number of the entry that it comes from; a statement and its opposite share it.
    declared : Property
    label : bool
        The answer that whoever wrote the entry expects.
    source : str
    """

    behaviour: int
    declared: Property
    label: bool
    source: str


@dataclass(frozen=True, eq=False)
class Questions:
    """Questions, one at each of some rows.

    Parameters
    ----------
    statements : sequence of Statement
    of_statement : (n_questions,)
        Which statement each question is about.
    rows : data frame of n_questions rows
    uniforms : (n_questions, n_uniforms) in [0, 1)
        Which values of the features are compared.
    X_reference : data frame
        Whose values they are.
    """

    statements: Sequence[Statement]
    of_statement: IntArray
    rows: pd.DataFrame
    uniforms: FloatArray
    X_reference: pd.DataFrame

    @property
    def labels(self) -> BoolArray:
        """The expected answers."""
        return np.array([statement.label for statement in self.statements])[self.of_statement]

    @property
    def behaviours(self) -> IntArray:
        """The behaviour that each question is about."""
        return np.array([statement.behaviour for statement in self.statements])[self.of_statement]

    def take(self, numbers: IntArray) -> Questions:
        """Return some of the questions."""
        rows = self.rows.iloc[numbers].reset_index(drop=True)
        return Questions(self.statements, self.of_statement[numbers], rows, self.uniforms[numbers], self.X_reference)

    def margins(self, model: Any) -> FloatArray:
        """Return by how much each statement fails for a model, (n_questions,); at most 0 where it holds.

        Minus infinity where it cannot be asked, as the row is on no line of it, whatever the model.
        """
        margins = np.empty(len(self.rows))
        for number, statement in enumerate(self.statements):
            mine = np.flatnonzero(self.of_statement == number)
            if mine.size:
                score = ViolationScore.of(model, statement.declared, self.X_reference)
                rows = self.rows.iloc[mine].reset_index(drop=True)
                placed = score.placed(self.uniforms[mine, : score.n_uniforms], rows)
                margins[mine] = score.margins(rows, placed)[:, 0]
        return margins

    def answers(self, model: Any) -> BoolArray:
        """Return what a model answers, yes or no."""
        return self.margins(model) <= 0

    def words(self, model: Any, number: int) -> str:
        """Return a question as a person reads it."""
        statement, row = self.statements[self.of_statement[number]], self.rows.iloc[[number]].reset_index(drop=True)
        score = ViolationScore.of(model, statement.declared, self.X_reference)
        (part,) = score.placed(self.uniforms[[number], : score.n_uniforms], row).parts
        points = ", ".join(_shown(label) for label in part.labels(row, 0))
        others = ", ".join(f"{name}={_shown(value)}" for name, value in row.iloc[0].items())
        question = f"{statement.declared}: does it hold between {points}, in the row {others}?"
        return question.translate(ESCAPED)


def written_by_templates(X: pd.DataFrame, y: FloatArray) -> str:
    """Return a list of entries in JSON: for each feature a direction and a bend, for neighbours which matters more.

    The writer looks at one feature at a time, as a person or a language model does who knows what goes with what but not why: the
    direction is the sign of the rank correlation with the labels, the bend that of a parabola's.
    """
    names, entries = list(X.columns), []
    for name in names:
        values = X[name].to_numpy()
        rises = spearmanr(values, y).statistic > 0
        bend = np.polyfit((values - values.mean()) / values.std(), y, 2)[0]
        entries += [
            {"type": "increasing" if rises else "decreasing", "feature": name},
            {"type": "convex" if bend > 0 else "concave", "feature": name},
        ]
    slopes = {name: abs(np.polyfit(X[name], y, 1)[0]) for name in names}
    entries += [
        {"type": "dominates", "features": sorted(pair, key=lambda name: -slopes[name])} for pair in pairwise(names)
    ]
    return json.dumps([entry | {"source": "templates"} for entry in entries])


def opposite(declared: Property) -> Property | None:
    """Return the statement that says the contrary; None where there is none, as for one with a tolerance or a range."""
    if isinstance(declared, Dominates):
        is_plain = declared == Dominates(declared.feature, declared.over)
        return Dominates(declared.over, declared.feature) if is_plain else None
    for one, other in ((Increasing, Decreasing), (Decreasing, Increasing), (Concave, Convex), (Convex, Concave)):
        if type(declared) is one:
            return other(declared.feature) if declared == one(declared.feature) else None
    return None


def statements_of(entries: Sequence[Specification | Malformed]) -> list[Statement]:
    """Return each entry that could be read and its opposite; entries without an opposite cannot be balanced and are left out."""
    statements = []
    for entry in entries:
        contrary = opposite(entry.declared) if isinstance(entry, Specification) else None
        if isinstance(entry, Specification) and contrary is not None:
            statements += [
                Statement(entry.position, entry.declared, True, entry.source),
                Statement(entry.position, contrary, False, entry.source),
            ]
    return statements


def ask_at(
    statements: Sequence[Statement], X: pd.DataFrame, n_questions: int, random: np.random.Generator
) -> Questions:
    """Return ``n_questions`` questions of each statement, at random rows."""
    of_statement = np.repeat(np.arange(len(statements)), n_questions)
    rows = X.iloc[random.integers(len(X), size=of_statement.size)].reset_index(drop=True)
    return Questions(statements, of_statement, rows, random.uniform(size=(of_statement.size, 4)), X)


def near_duplicates(questions: Questions, closest: float) -> BoolArray:
    """Return which questions nearly repeat an earlier one about the same behaviour: rows and places within ``closest``.

    Distances are per coordinate, in standard deviations of the rows and in shares of the places.
    """
    scaled = (questions.rows / questions.X_reference.std()).to_numpy()
    points, repeats = np.concatenate([scaled, questions.uniforms], axis=1), np.zeros(len(scaled), dtype=bool)
    for behaviour in np.unique(questions.behaviours):
        mine = np.flatnonzero(questions.behaviours == behaviour)
        near = np.abs(points[mine, None] - points[None, mine]).max(axis=2) <= closest
        repeats[mine] = np.tril(near, -1).any(axis=1)
    return repeats


def _shown(value: Any) -> str:
    return ", ".join(map(_shown, value)) if isinstance(value, tuple) else f"{value:.3g}"
