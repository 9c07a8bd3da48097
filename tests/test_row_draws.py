"""Draws of blocks of rows against draws of all rows together, by every kind of query and generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignconf import AlignedRegressor
from alignconf.properties import AllOf, Bounded, Concave, DiminishingReturns, Increasing
from alignconf.queries import PartQueries, draw_queries
from alignconf.row_draws import RowDraws, states_at

REFERENCE = np.random.default_rng(0).normal(size=(300, 4))
TABLE = np.random.default_rng(1).normal(size=(400, 4))


class Wave:
    """A vectorised model."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.sin(3 * np.asarray(X)).sum(axis=1)


def asked_by(properties: object, **chosen: object) -> tuple[PartQueries, ...]:
    """What a tester asks for a property, with laws from the reference rows."""
    aligned = AlignedRegressor(
        Wave(), properties, alpha=0.5, random_state=0, n_knots=9, **{"confidence": None, **chosen}
    )
    return aligned.calibrate(TABLE, X_reference=REFERENCE).alignment_.asked


KINDS: dict[str, Callable[[], tuple[PartQueries, ...]]] = {
    "pairs": lambda: asked_by({0: 1}),
    "triples and pairs": lambda: asked_by([Increasing(0), Concave(1)]),
    "rectangles": lambda: asked_by(DiminishingReturns(0, 1)),
    "paths": lambda: asked_by({0: 1}, query_law="path"),
    "whole lines": lambda: asked_by({0: 1}, query_law="line"),
    "orbits": lambda: asked_by(AllOf(Increasing(0), Bounded(-1, 1))),
    "conditional": lambda: asked_by({0: 1}, reference="conditional"),
}
GENERATORS = (np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.MT19937, np.random.SFC64)


def coordinates(asked: Sequence[PartQueries], table: np.ndarray, random: object) -> list[np.ndarray]:
    """Where each part is asked at the rows of a table, two queries each."""
    drawn = draw_queries(asked, table, 2, random).parts
    return [part.coordinates for part in drawn if part.drawn_from]


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_draw_what_all_rows_together_draw(kind: str) -> None:
    """Cuts at random, blocks without rows among them; 20,000 rows of a block need more than one step of the walk."""
    asked = KINDS[kind]()
    table = np.random.default_rng(2).normal(size=(60, 4))
    for seed in range(5):
        counts = np.diff(np.sort(np.random.default_rng(seed).integers(0, 61, 4)), prepend=0, append=60).tolist()
        whole, walked = np.random.default_rng(seed), np.random.default_rng(seed)
        expected = coordinates(asked, table, whole)
        states = states_at(asked, REFERENCE[:1], 2, walked, counts)
        blocks = [
            coordinates(asked, table[end - count : end], RowDraws(own))
            for count, end, own in zip(counts, np.cumsum(counts), states, strict=True)
            if count
        ]
        for i, places in enumerate(expected):
            np.testing.assert_array_equal(np.concatenate([block[i] for block in blocks]), places)
        assert whole.bit_generator.state == walked.bit_generator.state


@settings(max_examples=40)
@given(
    n_places=st.sampled_from([2, 3, 1999, 2**31 + 11, 2**40 + 1]),
    counts=st.lists(st.integers(0, 7), min_size=1, max_size=6),
    kind=st.sampled_from(GENERATORS),
)
def test_any_generator_may_be_walked(n_places: int, counts: list[int], kind: type) -> None:
    class Law:
        """Asks for numbers of both kinds, as laws do: once each, for all rows."""

        def drawn(self, table: np.ndarray, n_queries: int, random: np.random.Generator) -> Law:
            rows = table.shape[0]
            self.found = (
                random.integers(n_places, size=(rows, n_queries, 3)),
                random.random(size=(rows, 2)),
                random.integers(5, size=(rows,)),
            )
            return self

    rows = np.empty((sum(counts), 1))
    whole, walked = (np.random.Generator(kind(7)) for _ in range(2))
    expected = Law().drawn(rows, 2, whole).found
    states = states_at([Law()], rows[:1] if len(rows) else np.empty((1, 1)), 2, walked, counts)
    found = [
        Law().drawn(np.empty((count, 1)), 2, RowDraws(own)).found for count, own in zip(counts, states, strict=True)
    ]
    for i, numbers in enumerate(expected):
        np.testing.assert_array_equal(np.concatenate([block[i] for block in found]), numbers)
    np.testing.assert_array_equal(whole.random(3), walked.random(3))


def test_long_walks_go_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, states = KINDS["pairs"](), []
    for at_once in (2**20, 7):
        monkeypatch.setattr("alignconf.row_draws.AT_ONCE", at_once)
        states.append(states_at(asked, TABLE[:1], 3, np.random.default_rng(0), [11, 0, 30]))
    for one, other in zip(*states, strict=True):
        assert [it.bit_generator.state for it in one] == [it.bit_generator.state for it in other]


def test_states_may_be_used_again() -> None:
    """A block that is asked twice, because a worker was lost, draws the same."""
    asked = KINDS["pairs"]()
    (own,) = states_at(asked, TABLE[:1], 2, np.random.default_rng(0), [400])
    first, again = (coordinates(asked, TABLE, RowDraws(own))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
