r"""The promise of ``fit``, which trains on some rows and calibrates on others, where classes and scores go together.

A row has one number :math:`u`, uniform: of one class in :math:`[0, 1/2)`, of the other in :math:`[1/2, 1)`, and one of the two is
rare. The classifier learns nothing but its classes and says :math:`p = (1 + 3 u)/4` of ``high``; at most :math:`1/4` is declared.
So the critical half-width of a row is :math:`3 u/4`, and with half-width :math:`\lambda` the violation rate is the probability
that :math:`u` exceeds :math:`4 \lambda/3`. Sharing out the classes evenly between the parts (stratifying), or drawing again until
the rows that train have both, would give the rows that calibrate another share of the rare class than fresh rows have: more
violations than promised if its scores are low, and far fewer if they are high.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from alignconf import AlignedClassifier
from alignconf._typing import FloatArray
from alignconf.errors import InputError
from alignconf.properties import Bounded
from benchmarks.simulations.modes import Mode

__all__ = ["MODES"]

ALPHA, N_ROWS = 0.1, 18

#: Of the rare class. At a tenth some draws of 18 rows leave one class to train on, and are refused.
RARE = 0.1


class Steep(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The classifier: ``fit`` learns the classes, and the probability of ``high`` is ``(1 + 3 u) / 4``."""

    def fit(self, X: FloatArray, y: Any) -> Steep:
        """Learn the classes."""
        self.classes_, self.n_features_in_ = np.unique(y), X.shape[1]
        return self

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return probabilities, (n_samples, 2)."""
        p = (1 + 3 * X[:, 0]) / 4
        return np.stack([p, 1 - p], axis=1)


def _fitted(n_draws: int, random: np.random.Generator, *, share_high: float) -> FloatArray:
    """Return the exact violation rates of calls of ``fit``, of those that are not refused."""
    aligned = AlignedClassifier(Steep(), Bounded(0, 0.25), pos_label="high", alpha=ALPHA, confidence=None, n_queries=1)
    rates = []
    for _ in range(n_draws):
        high = random.random(N_ROWS) < share_high
        u = (random.random(N_ROWS) + high) / 2
        aligned.set_params(random_state=int(random.integers(2**31)))
        try:
            aligned.fit(u[:, None], np.where(high, "high", "low"))
        except InputError:
            continue
        beyond = aligned.lambda_ * 4 / 3
        rates.append(share_high * min(1.0, 2 - 2 * beyond) + (1 - share_high) * max(0.0, 1 - 2 * beyond))
    return np.array(rates)


def _mode(words: str, share_high: float) -> Mode:
    note = (
        f"18 rows, nine of them calibrate; a class of {RARE:.0%} has the {words} scores; draws that leave one class to train "
        "on are refused and do not count"
    )
    simulate = partial(_fitted, share_high=share_high)
    return Mode(f"AlignedClassifier.fit, rare class {words}", ALPHA, N_ROWS, simulate, note=note)


MODES = (_mode("low", 1 - RARE), _mode("high", RARE))
