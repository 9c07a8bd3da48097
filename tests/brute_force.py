"""Exact lines against a model's own answers, asked place by place."""

from __future__ import annotations

from typing import Any

import numpy as np

from alignconf.lines.axis import Axis
from alignconf.lines.exact_lines import Move, piece_of
from alignconf.lines.routes import Route

__all__ = ["Probability", "around", "asked", "assert_lines_are_predictions"]


class Probability:
    """The probability of a class as a regressor."""

    def __init__(self, classifier: Any, column: int) -> None:
        self.classifier, self.column = classifier, column

    def predict(self, rows: Any) -> np.ndarray:
        probabilities: np.ndarray = self.classifier.predict_proba(rows)[:, self.column]
        return probabilities


def asked(model: Any, rows: Any, feature: str, values: Any) -> np.ndarray:
    """Predictions with a feature set to each value, (n_rows, n_values)."""
    moved = rows.iloc[np.repeat(np.arange(len(rows)), len(values))].copy()
    moved[feature] = np.tile(values, len(rows))
    return np.asarray(model.predict(moved), dtype=float).reshape(len(rows), -1)


def around(ends: np.ndarray) -> np.ndarray:
    """The ends of pieces, the numbers beside them, and what lies between."""
    inner = (ends[1:] + ends[:-1]) / 2
    return np.concatenate([[-50.0], ends, np.nextafter(ends, -np.inf), np.nextafter(ends, np.inf), inner, [50.0]])


def assert_lines_are_predictions(model: Any, lines: Any, rows: Any, feature: str, *, factor: float = 2.0) -> None:
    """In every piece, at its end and one number beside it, up to a multiple of the rounding that the lines state."""
    assert not isinstance(lines, str), lines
    axis = Axis(feature, rows.columns.get_loc(feature), None)
    assert lines.why_not(Route.of(axis)) == lines.why_no_pieces(Route.of(axis)) == ""
    ends = lines.ends(Route.of(axis))
    places = np.append(ends, np.inf)
    last = np.where(np.isinf(places), 1e6, places)
    x = around(ends)
    walked = lines.line(Move.along(axis, last)).values(rows)[:, piece_of(places, x)]
    expected = asked(model, rows, feature, x)
    assert (np.abs(walked - expected) <= factor * lines.rounding.of(expected)[:, None]).all()
    # Neighbouring pieces differ somewhere: no end is made up.
    assert ends.size == 0 or (np.diff(walked[:, np.argsort(x, kind="stable")], axis=1) != 0).any()
