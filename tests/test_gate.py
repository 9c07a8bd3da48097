"""``assert_property``: what lets a model pass, what stops it, and what the message says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

from alignconf import InputError
from alignconf.errors import NotShown
from alignconf.testing import assert_property


class Valley:
    """``|x - bottom|``: an iid uniform pair violates "increasing" with probability ``2 bottom**2``, for bottom <= 1/2."""

    def __init__(self, bottom: float) -> None:
        self.bottom = bottom

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.abs(np.asarray(X)[:, 0] - self.bottom)


def rows(n_rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n_rows, 2))


REFERENCE = rows(4000, 9)


def gate(bottom: float, n_rows: int, seed: int, **parameters: float) -> bool:
    try:
        assert_property(
            Valley(bottom), rows(n_rows, seed), {0: 1}, X_reference=REFERENCE, random_state=seed, **parameters
        )
    except NotShown:
        return False
    return True


@pytest.mark.slow
def test_a_model_that_exceeds_the_rate_rarely_passes() -> None:
    """300 gates at a true rate just above max_rate pass at most 5 % of the time: more than 30 has a probability below 1e-4."""
    bottom = np.sqrt(0.11 / 2)
    assert 0.1 < np.mean(np.add.outer(REFERENCE[:, 0], REFERENCE[:, 0]) < 2 * bottom) < 0.12
    passed = sum(gate(bottom, 300, seed, max_rate=0.1) for seed in range(300))
    assert passed <= binom.isf(1e-4, 300, 0.05)


def test_a_model_that_keeps_to_the_rate_passes() -> None:
    """True rate 2 %, tolerated 10 %: a gate stops it at 18 or more of 300, so that 20 gates do with a probability below 1e-3."""
    assert 20 * binom.sf(17, 300, 0.02) < 1e-3
    assert all(gate(0.1, 300, seed, max_rate=0.1) for seed in range(20))


def test_the_message_shows_rate_interval_and_the_worst_query() -> None:
    X = rows(300)
    with pytest.raises(AssertionError) as caught:
        assert_property(Valley(0.5), X, {0: "increasing"}, max_rate=0.1)
    message = str(caught.value)
    assert message.startswith("Violated: ")
    assert "above max_rate = 0.1" in message
    assert "% and " in message
    assert "with 95% confidence" in message
    assert "Worst      row " in message
    assert ": predicts 0." in message


def test_one_violation_stops_a_model_that_may_have_none() -> None:
    with pytest.raises(NotShown, match="max_rate = 0 tolerates none"):
        assert_property(Valley(0.5), rows(100), {0: 1})


def test_too_few_rows_are_undecided_and_say_how_many_would_do() -> None:
    X = rows(50)
    line = LinearRegression().fit(X, X[:, 0])
    with pytest.raises(NotShown, match=r"Undecided: 0 of 50 .* 59 without a violation would do"):
        assert_property(line, X, {0: 1}, X_reference=rows(30, 1), max_rate=0.05)
    assert assert_property(line, rows(59), {0: 1}, X_reference=rows(30, 1), max_rate=0.05).violations.n_queries == 59
    assert assert_property(line, X, {0: 1}).violations.n_rejected == 0


def test_the_gate_is_repeatable() -> None:
    first = assert_property(Valley(0.05), rows(400), {0: 1}, max_rate=0.2)
    assert repr(first) == repr(assert_property(Valley(0.05), rows(400), {0: 1}, max_rate=0.2))


def test_classifiers_pass_by_the_probability_of_a_class() -> None:
    X = rows(400)
    model = RandomForestClassifier(5, random_state=0).fit(X[:200], np.where(X[:200, 0] > 0.5, "late", "early"))
    audit = assert_property(model, X[200:], {0: 1}, pos_label="late", max_rate=0.9)
    assert audit.violations.n_queries == 160
    with pytest.raises(NotShown, match="Violated"):
        assert_property(model, X[200:], {0: 1}, pos_label="early", max_rate=0.2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_rate": 1}, "max_rate must be a number in"),
        ({"confidence": 0}, "confidence must be a number in"),
        ({"pos_label": "yes"}, "pos_label='yes' is for classifiers, and Valley has no predict_proba"),
    ],
)
def test_bad_input_is_no_verdict(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        assert_property(Valley(0.5), rows(100), {0: 1}, **parameters)
    assert not isinstance(caught.value, AssertionError)
