"""``fit`` splits at random: labels and order of rows do not say which rows calibrate, and what is refused is read off the others.

The last test draws 4,000 calibrations; both sides are checked at four standard errors (two-sided false alarm 0.006 %), seeds are
fixed. Stratifying by labels has means of about .104 and .077 there.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from alignconf import AlignedClassifier, AlignedRegressor, InputError
from benchmarks.simulations.fitted import ALPHA, MODES, Steep

X = np.arange(40.0)[:, None] / 40


class Kept(Steep):
    """Keeps the rows that it was fitted on."""

    def fit(self, X, y):
        self.rows_ = X[:, 0].tolist()
        return super().fit(X, y)


def rows_that_train(y: np.ndarray, seed: int) -> list[float]:
    return AlignedClassifier(Kept(), {0: 1}, alpha=0.2, confidence=None, random_state=seed).fit(X, y).estimator_.rows_


def test_labels_do_not_say_which_rows_calibrate() -> None:
    random = np.random.default_rng(0)
    for seed in range(5):
        first = rows_that_train(np.repeat([0, 1], 20), seed)
        assert rows_that_train(random.permutation(np.repeat([0, 1], [8, 32])), seed) == first


def test_the_order_of_rows_does_not_say_which_calibrate() -> None:
    """Each row trains with probability 3/4: counts over 400 seeds within 5.2 standard errors (false alarm 40 * 2e-7)."""
    counts = np.zeros(40)
    for seed in range(400):
        counts[np.round(np.array(rows_that_train(np.repeat([0, 1], 20), seed)) * 40).astype(int)] += 1
    assert np.abs(counts - 300).max() <= 5.2 * np.sqrt(400 * 3 / 16)


def test_a_class_without_a_row_to_train_on() -> None:
    """One of 40 rows: it calibrates in a quarter of the draws. The aligned class is refused, another one warned of."""
    y = np.repeat(["a", "b", "c"], [20, 19, 1])
    held_out = [seed for seed in range(30) if X[-1, 0] not in rows_that_train(np.repeat([0, 1], 20), seed)]
    assert 0 < len(held_out) < 20
    seed = held_out[0]
    with pytest.raises(
        InputError, match=r"left none of the rows of class 'c' among the 30 that train; .*calibrate it on"
    ):
        AlignedClassifier(Kept(), {0: 1}, pos_label="c", alpha=0.2, confidence=None, random_state=seed).fit(X, y)
    with pytest.raises(InputError, match=r"class 1 among the 30 that train; expected rows of both classes"):
        AlignedClassifier(Kept(), {0: 1}, alpha=0.2, confidence=None, random_state=seed).fit(
            X, np.repeat([0, 1], [39, 1])
        )
    with pytest.warns(UserWarning, match=r"of class 'c' among the 30 that train: the model will not know this class"):
        aligned = AlignedClassifier(Kept(), {0: 1}, pos_label="a", alpha=0.2, confidence=None, random_state=seed).fit(
            X, y
        )
    assert aligned.classes_.tolist() == ["a", "b"]


def test_a_refusal_leaves_the_estimator_as_it_was() -> None:
    aligned = AlignedClassifier(LogisticRegression(), {0: 1}, alpha=0.2, confidence=None, random_state=0)
    before = dict(vars(aligned))
    with pytest.raises(InputError, match="one class, 1, in all rows"):
        aligned.fit(X, np.ones(40, dtype=int))
    assert vars(aligned) == before


def test_labels_of_regressors_do_not_say_which_rows_calibrate() -> None:
    random = np.random.default_rng(1)
    slopes = [
        AlignedRegressor(Ridge(), {0: 1}, alpha=0.2, confidence=None, random_state=0).fit(X, y).calibration_.n_rows
        for y in (X[:, 0], random.random(40))
    ]
    assert slopes == [10, 10]
    laws = [
        AlignedRegressor(Ridge(), {0: 1}, alpha=0.2, confidence=None, random_state=0)
        .fit(X, y)
        .alignment_.tester.laws[0]
        .places
        for y in (X[:, 0], X[::-1, 0])
    ]
    np.testing.assert_array_equal(*laws)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_the_rate_of_fit_is_exact(mode) -> None:
    result = mode.run(4000, np.random.default_rng(13))
    assert result.standard_error < 0.003
    assert abs(result.achieved - ALPHA) <= 4 * result.standard_error
