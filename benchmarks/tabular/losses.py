"""Where alignment loses: problems and cells by how much higher its error is, the largest first, each with a reason.

The yardstick is the library's own constraint where there is one, and the model as it is elsewhere. The reason is read off three
ratios of the same rows: aligned over the model as it is says what the repair costs, retrained over the model as it is what the
rule does in training, and the interval of the loss whether there is anything to explain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from benchmarks.tabular.summary import Cell, interval_of, log_ratios

__all__ = ["NAMED", "Loss", "losses_of_cells", "losses_of_problems"]

#: A problem's mean above this is named wherever results are told.
NAMED = 1.05

#: A repair whose error is higher than the model's by less than this keeps the model.
KEPT = 1.005

FULL = "aligned 0 l2 marginal"


@dataclass(frozen=True)
class Loss:
    """A ratio of errors above 1, and its interval over seeds (and models, of a problem).

    ``of_own`` is aligned over the model as it is, ``retrained_of_own`` retrained over it (NaN where there is no such constraint),
    ``worst`` the model on which the loss is largest, with its ratio.
    """

    where: str
    rival: str
    ratio: float
    low: float
    high: float
    of_own: float
    retrained_of_own: float
    worst: str = ""

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        if self.low > 1:
            return self._mechanism
        return self._mechanism + (" One fit: it may be chance." if np.isnan(self.low) else " The interval holds 1.")

    @property
    def _mechanism(self) -> str:
        if self.rival == "unaligned":
            return "The model gains from what the rule forbids; its library has no such constraint."
        if self.of_own <= KEPT:
            return "The rule helps in training, where it smooths; the aligned model keeps what was fitted."
        if self.retrained_of_own > 1:
            return (
                "Labels disagree with the rule: every way to obey it costs, and the fitted model has more to give up."
            )
        return "The fitted model relies on what the rule forbids; trained under the rule it finds another way."


def losses_of_cells(found: dict[tuple[str, str, str], Cell]) -> list[Loss]:
    """Return the cells in which alignment has the higher error, the largest loss first."""
    return _sorted(_losses(found, lambda cell: f"{cell.problem}, {cell.model}"))


def losses_of_problems(found: dict[tuple[str, str, str], Cell]) -> list[Loss]:
    """Return the problems on whose mean over models alignment has the higher error, the largest loss first."""
    return _sorted(_losses(found, lambda cell: cell.problem))


def _sorted(losses: Iterable[Loss]) -> list[Loss]:
    return sorted((loss for loss in losses if loss.ratio > 1), key=lambda loss: -loss.ratio)


def _losses(found: dict[tuple[str, str, str], Cell], place: Callable[[Cell], str]) -> Iterable[Loss]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for (problem, model, name), cell in found.items():
        if name == FULL:
            groups.setdefault(place(cell), []).append((problem, model))
    for where, keys in groups.items():
        constrained = [key for key in keys if (*key, "retrained") in found]
        for rival, there in (
            ("retrained", constrained),
            ("unaligned", [key for key in keys if key not in constrained]),
        ):
            if there:
                ratio, low, high = interval_of(_logs(found, there, FULL, rival))
                own, retrained = (
                    float(np.exp(_logs(found, keys_of, method, "unaligned").mean())) if keys_of else np.nan
                    for method, keys_of in ((FULL, there), ("retrained", constrained if rival == "retrained" else []))
                )
                ratios = {key[1]: float(np.exp(_logs(found, [key], FULL, rival).mean())) for key in there}
                worst = max(ratios, key=lambda model: ratios[model])
                yield Loss(where, rival, ratio, low, high, own, retrained, f"{worst} {ratios[worst]:.3f}")


def _logs(
    found: dict[tuple[str, str, str], Cell], keys: Iterable[tuple[str, str]], method: str, rival: str
) -> np.ndarray:
    """Return the logarithms of the ratios of errors of all seeds of some cells."""
    return np.concatenate([log_ratios(found[*key, method], found[*key, rival]) for key in keys])
