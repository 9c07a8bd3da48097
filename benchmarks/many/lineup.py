"""What is done with a fitted model that breaks its rules: the methods of the table.

Each takes a :class:`Case` and returns a fitted model. None sees test rows, and only :func:`retrained` and :func:`by_labels` see
labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from alignconf import AlignedClassifier, AlignedRegressor
from benchmarks.many.boosted import Library
from benchmarks.methods.reshaped import reshape
from benchmarks.problems import Rows

__all__ = ["METHODS", "YARDSTICK", "Case", "aligned"]


@dataclass(frozen=True)
class Case:
    """A fitted model and what methods may use.

    Parameters
    ----------
    model : object
        Fitted to the training rows.
    library : Library
        That it is from.
    train, fresh : Rows
    signs : dict of str to {-1, 1}
    is_classification : bool
    seed : int
    """

    model: Any
    library: Library
    train: Rows
    fresh: Rows
    signs: dict[str, int]
    is_classification: bool
    seed: int


def unaligned(case: Case) -> Any:
    """The model as it is."""
    return case.model


def retrained(case: Case) -> Any:
    """The same model, trained under its library's own constraint on the same rows."""
    directions = [case.signs.get(str(column), 0) for column in case.train.X.columns]
    return case.library.constrained(case.is_classification, case.seed, directions).fit(case.train.X, case.train.y)


def reshaped(case: Case) -> Any:
    """Each tree on its own (Bonakdarpour et al., 2018): isotonic regression of leaves, by the training rows that reach them."""
    return reshape(case.model, case.train.X, case.signs)


def aligned(case: Case, projector: str, *, y_reference: Any = None, path: str = "answer") -> Any:
    """Aligned at full strength by a projector, with the training rows as reference."""
    family = AlignedClassifier if case.is_classification else AlignedRegressor
    model = family(case.model, case.signs, alpha=0, projector=projector, path=path, random_state=case.seed)
    return model.calibrate(case.train.X[:0], X_reference=case.train.X, y_reference=y_reference)


def leaves_alone(case: Case) -> Any:
    """The model's own trees, all leaves fitted again jointly, without labels."""
    return aligned(case, "leaves", path="leaves")


def leaves(case: Case) -> Any:
    """The nearest to the model, on rows held out, of its trees with other leaves and of constrained twins; without labels."""
    return aligned(case, "leaves")


def by_labels(case: Case) -> Any:
    """That of the same models whose cross-validated loss at the training rows is the least."""
    return aligned(case, "leaves", y_reference=case.train.y)


def blend(case: Case) -> Any:
    """Three quarters of the leaves, and a quarter as many rounds of a constrained twin, fitted to the rest; without labels."""
    return aligned(case, "blend")


def distilled(case: Case) -> Any:
    """Boosting under monotone constraints that imitates the model's margins, without labels."""
    return aligned(case, "distilled")


YARDSTICK = "retrained"

#: In the order of the table.
METHODS: dict[str, Callable[[Case], Any]] = {
    "unaligned": unaligned,
    YARDSTICK: retrained,
    "each tree on its own": reshaped,
    "distilled": distilled,
    "leaves alone": leaves_alone,
    "leaves": leaves,
    "leaves, by labels": by_labels,
    "blend": blend,
}
