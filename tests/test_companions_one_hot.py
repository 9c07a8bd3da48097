"""The audit of one-hot inputs, against brute force on a score that is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.companions.one_hot import arca, audit, auto_prompt, draw_inputs, random_coordinates


class Lock:
    """A lock of three wheels: the score says how many are right, linear in the one-hot rows plus a term of pairs."""

    n_positions, n_tokens = 3, 50

    def __init__(self, opens, coupling=0.0):
        self.opens, self.coupling, self.n_scored, self.n_derived = np.array(opens), coupling, 0, 0

    def scores(self, inputs):
        self.n_scored += len(inputs)
        right = inputs == self.opens
        return right.sum(axis=1) + self.coupling * right[:, 0] * right[:, 1], right.all(axis=1)

    def slopes(self, inputs, position):
        self.n_derived += len(inputs)
        slopes = np.zeros((len(inputs), self.n_tokens))
        coupled = self.coupling * (inputs[:, 1 - position] == self.opens[1 - position]) if position < 2 else 0.0
        slopes[:, self.opens[position]] = 1 + coupled
        return slopes


@pytest.mark.parametrize(
    "rule", [arca(8), auto_prompt(8), random_coordinates(8)], ids=["arca", "auto_prompt", "random"]
)
def test_a_hit_opens_the_lock_and_the_rows_are_those_counted(rule):
    for seed in range(5):
        lock = Lock([3, 41, 7], coupling=1.0)
        hit = audit(lock, rule, 2000, np.random.default_rng(seed))
        assert hit is None or list(hit) == [3, 41, 7]
        assert lock.n_scored + 2 * lock.n_derived <= 2000
        assert hit is not None or lock.n_scored + 2 * lock.n_derived >= 2000 - 2 * 8 - 8


def test_a_gradient_opens_the_lock_in_a_round_and_draws_do_not():
    """One round with the gradient costs 1 + 3 (2 + 8) rows; 31 draws hit one of 125,000 with probability 0.0002."""
    for seed in range(10):
        assert audit(Lock([3, 41, 7]), auto_prompt(8), 31, np.random.default_rng(seed)) is not None
        assert draw_inputs(Lock([3, 41, 7]), 31, np.random.default_rng(seed)) is None


def test_draws_hit_as_often_as_their_probability_says():
    """A wheel of 50 with the others free: 30 draws hit with probability 1 - 0.98**30 = 0.455; four errors of 400 runs are 0.1."""

    class Wheel(Lock):
        def scores(self, inputs):
            right = inputs[:, 0] == 3
            return right.astype(float), right

    hits = [draw_inputs(Wheel([3, 0, 0]), 30, np.random.default_rng(seed)) is not None for seed in range(400)]
    assert abs(np.mean(hits) - (1 - 0.98**30)) < 0.1


def test_what_cannot_be_found_is_none():
    class Shut(Lock):
        def scores(self, inputs):
            scores, _ = super().scores(inputs)
            return scores, np.zeros(len(inputs), dtype=bool)

    for rule in (arca(8), auto_prompt(8), random_coordinates(8)):
        assert audit(Shut([1, 2, 3]), rule, 500, np.random.default_rng(0)) is None


def test_the_same_seed_finds_the_same():
    hits = [audit(Lock([3, 41, 7], 1.0), arca(8), 3000, np.random.default_rng(4)) for _ in range(2)]
    assert np.array_equal(hits[0], hits[1])
