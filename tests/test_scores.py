"""Critical half-widths against the path of the delivered function, walked in full."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from alignconf.contract.property import LineProperty
from alignconf.lines.axis import Axis
from alignconf.lines.reference_law import ReferenceLaw
from alignconf.losses import critical_half_width
from alignconf.projectors.alignment import Answers
from alignconf.projectors.band import Scale, clip_to_band
from alignconf.properties import Decreasing, Increasing, Invariant, LinearProperty, Lipschitz
from alignconf.queries.along_line import LineQueries
from alignconf.queries.excess import excess
from alignconf.queries.on_orbit import OrbitQueries

N_PAIRS = 10_000
LAW = ReferenceLaw.from_table(Axis("a", 0, None), np.linspace(0, 1, 11)[:, None], 11)
both_signs = pytest.mark.parametrize("part", [Increasing("a"), Decreasing("a")], ids=str)


class Concave(LineProperty):
    """A query of three points with unequal coefficients and a bound of its own; nothing here repairs it."""

    n_points = 3

    def demands(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        low, middle, high = np.moveaxis(places, -1, 0)
        share = (high - middle) / (high - low)
        coefficients = np.stack([share, -np.ones_like(share), 1 - share], axis=-1)
        return coefficients[..., None, None, :], 0.1 * (high - low)[..., None, None]

    least_squares = upper = lower = between = None


Concave.__abstractmethods__ = frozenset()


def queries_of(part: LineProperty, n_samples: int, n_queries: int = 1) -> LineQueries:
    shape = (n_samples, n_queries, part.n_points)
    return LineQueries(part, LAW, np.sort(np.random.default_rng(0).random(shape), axis=-1))


def answers(queries: LineQueries | OrbitQueries, f: np.ndarray, g: np.ndarray, rounding: np.ndarray) -> Answers:
    return Answers(queries, f, g, rounding, slice(0, len(f)), Scale())


def random_pairs(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """``f`` and ``g`` at pairs, (N_PAIRS, 1, 2): displacements of all signs, equal ones, none, and on a coarse grid."""
    rng = np.random.default_rng(seed)
    f = rng.normal(size=(N_PAIRS, 1, 2))
    d = rng.normal(size=f.shape) * rng.choice([0.1, 1.0, 3.0], f.shape)
    kind = rng.integers(0, 6, N_PAIRS)
    d[kind == 0] = d[kind == 0][..., :1]
    d[kind == 1, :, 0] = 0
    d[kind == 2, :, 1] = 0
    d[kind == 3] = 0
    coarse = rng.random(N_PAIRS) < 0.5
    f[coarse], d[coarse] = np.round(4 * f[coarse]) / 4, np.round(4 * d[coarse]) / 4
    return f, f + d


def last_rejection(v: float, d: np.ndarray) -> float:
    """``sup {lambda : v + clip(d_1) - clip(d_2) > 0}``, from the pieces of the path between 0, |d_1| and |d_2|."""

    def excess(half_width: float) -> float:
        return v + np.clip(d[0], -half_width, half_width) - np.clip(d[1], -half_width, half_width)

    knots = [0.0, *sorted(np.abs(d))]
    if excess(knots[-1]) > 0:
        return np.inf
    for left, right in ((knots[1], knots[2]), (knots[0], knots[1])):
        if excess(left) > 0:
            return left + (right - left) * excess(left) / (excess(left) - excess(right))
    return 0.0


@both_signs
def test_delivered_is_the_last_rejection_on_the_exact_path(part: LineProperty) -> None:
    f, g = random_pairs()
    found = critical_half_width.delivered(answers(queries_of(part, N_PAIRS), f, g, np.zeros(N_PAIRS)))[:, 0]
    sign = 1 if isinstance(part, Increasing) else -1
    v, d = sign * (f[:, 0, 0] - f[:, 0, 1]), sign * (g - f)[:, 0]
    expected = np.array([last_rejection(*pair) for pair in zip(v, d, strict=True)])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
    assert 0.2 < np.isinf(expected).mean() < 0.5
    assert 0.3 < (expected == 0).mean() < 0.6
    assert ((expected > 0) & np.isfinite(expected)).mean() > 0.05


@both_signs
def test_a_query_is_rejected_below_its_score_and_accepted_from_it_on(part: LineProperty) -> None:
    """On a fine grid of half-widths up to full strength.

    Where the model passes and the projection fails, which points of one cell can, the score is infinite: it then
    dominates the loss, which is what a last rejection has to do. Everywhere else it is the loss.
    """
    queries, (f, g), rounding = queries_of(part, N_PAIRS), random_pairs(1), np.full(N_PAIRS, 1e-13)
    score = critical_half_width.delivered(answers(queries, f, g, rounding))[:, 0]
    passes_f, passes_g = (excess(queries, it, rounding)[:, 0] == 0 for it in (f, g))
    spoilt = passes_f & ~passes_g
    assert 0.02 < spoilt.mean() < 0.2
    before = np.ones(N_PAIRS, dtype=bool)
    for half_width in np.linspace(0, 1.01 * np.abs(g - f).max(), 401):
        rejected = excess(queries, clip_to_band(f, g, half_width), rounding)[:, 0] > 0
        decided = (np.abs(half_width - score) > 1e-12) & ~spoilt
        np.testing.assert_array_equal(rejected[decided], (half_width < score)[decided])
        assert not rejected[~decided & ~spoilt].any()
        assert (rejected <= before)[~spoilt].all()
        before = rejected
    np.testing.assert_array_equal(before, np.isinf(score))
    np.testing.assert_array_equal(np.isinf(score), ~passes_g)


@both_signs
def test_each_query_at_its_own_score_and_just_below(part: LineProperty) -> None:
    queries, (f, g), rounding = queries_of(part, N_PAIRS), random_pairs(2), np.full(N_PAIRS, 1e-13)
    score = critical_half_width.delivered(answers(queries, f, g, rounding))[:, 0]
    positive = np.flatnonzero((score > 0) & np.isfinite(score))
    for i in positive[:1500]:
        one = LineQueries(part, LAW, queries.places[i : i + 1])
        at, below = (clip_to_band(f[i : i + 1], g[i : i + 1], share * score[i]) for share in (1.0, 1 - 1e-9))
        assert excess(one, at, rounding[:1]) == 0
        assert excess(one, below, np.zeros(1)) > 0
    accepted = np.flatnonzero(score == 0)
    assert not excess(queries, f, rounding)[accepted].any()


@both_signs
@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-160, 1e-100, 1e100, 1e150, 1e200, 1e300])
def test_scores_scale_with_the_unit_of_the_prediction(part: LineProperty, scale: float) -> None:
    f, g = (it[:500] for it in random_pairs(3))
    queries, nothing = queries_of(part, 500), np.zeros(500)
    expected = critical_half_width.delivered(answers(queries, f, g, nothing))
    np.testing.assert_allclose(
        critical_half_width.delivered(answers(queries, scale * f, scale * g, nothing)) / scale, expected, rtol=1e-9
    )
    expected = critical_half_width.existence(answers(queries, f, f, nothing))
    np.testing.assert_allclose(
        critical_half_width.existence(answers(queries, scale * f, scale * f, nothing)) / scale, expected, rtol=1e-9
    )


def test_the_formulas_of_a_pair_by_hand() -> None:
    f = np.array([[[2.0, 0.0]]])
    cases = {
        (1.0, 1.0): 1.0,  # meet half way: v/2
        (0.5, 0.5): np.inf,  # both move, not far enough
        (0.5, 1.5): 1.5,  # the first stops at .5: v - .5
        (2.0, 0.0): 2.0,  # only one moves
        (3.0, -1.0): 3.0,  # both fall; they part company at 1: v + 1
        (-1.0, 3.0): 3.0,  # both rise
        (-1.0, -1.0): np.inf,  # the wrong way
        (0.0, 0.0): np.inf,
    }
    queries = LineQueries(Increasing("a"), LAW, np.array([[[0.1, 0.9]]]))
    for (fall, rise), expected in cases.items():
        g = f + np.array([-fall, rise])
        assert critical_half_width.delivered(answers(queries, f, g, np.zeros(1))) == expected, (fall, rise)


def test_scores_are_per_row_and_query() -> None:
    rng = np.random.default_rng(4)
    queries = queries_of(Increasing("a"), 6, 5)
    f, g, rounding = rng.normal(size=(6, 5, 2)), rng.normal(size=(6, 5, 2)), rng.random(6)
    for function in (critical_half_width.delivered, critical_half_width.existence, lambda found: found.excess(found.f)):
        together = function(answers(queries, f, g, rounding))
        assert together.shape == (6, 5)
        for i in range(6):
            for q in range(5):
                one = LineQueries(queries.part, LAW, queries.places[i : i + 1, q : q + 1])
                alone = answers(one, *(it[i : i + 1, q : q + 1] for it in (f, g)), rounding[i : i + 1])
                assert function(alone) == together[i, q]


@both_signs
def test_excesses_of_the_size_of_rounding_count_as_none(part: LineProperty) -> None:
    sign = 1 if isinstance(part, Increasing) else -1
    queries, size = LineQueries(part, LAW, np.array([[[0.1, 0.9]]])), np.array([0.25])
    f = np.array([[[0.0, 0.0]]])
    for drop, counts in ((0.1, False), (0.25, False), (0.5, True)):
        violated = sign * np.array([[[drop, 0.0]]])
        assert (excess(queries, violated, size) > 0) == counts
        assert excess(queries, violated, size) == (drop if counts else 0)
        assert critical_half_width.existence(answers(queries, violated, violated, size)) == (drop / 2 if counts else 0)
        assert critical_half_width.delivered(answers(queries, violated, f, size)) == (drop if counts else 0)
        assert (
            np.isinf(critical_half_width.delivered(answers(queries, sign * np.array([[[3.0, 0.0]]]), violated, size)))
            == counts
        )
        assert critical_half_width.delivered(answers(queries, violated, violated, size)) == (np.inf if counts else 0)


@pytest.mark.parametrize(
    "part",
    [Increasing("a"), Decreasing("a"), Concave("a"), Invariant("a", tol=0.3), Lipschitz("a", 2.0)],
    ids=lambda it: type(it).__name__,
)
def test_existence_is_the_smallest_band_that_holds_passing_values(part: LineProperty) -> None:
    """Against a linear programme: the smallest ``t`` with ``|z - f| <= t`` and the query's inequalities on ``z``."""
    queries, k = queries_of(part, 40), part.n_points
    f = np.random.default_rng(5).normal(size=(40, 1, k))
    found = critical_half_width.existence(answers(queries, f, f, np.zeros(40)))[:, 0]
    coefficients, bounds = queries.demands
    cases = zip(
        f[:, 0],
        coefficients[:, 0, :, 0],
        np.broadcast_to(bounds, coefficients.shape[:-1])[:, 0, :, 0],
        found,
        strict=True,
    )
    for values, demanded, bound, score in cases:
        identity, ones = np.eye(k), np.ones((k, 1))
        A = np.vstack([np.hstack([identity, -ones]), np.hstack([-identity, -ones]), [[*row, 0.0] for row in demanded]])
        limits = [*[(None, None)] * k, (0, None)]
        best = linprog(np.eye(k + 1)[k], A_ub=A, b_ub=[*values, *-values, *bound], bounds=limits)
        assert best.status == 0
        assert score == pytest.approx(best.fun, abs=1e-9)
    assert 5 < (found > 0).sum() < 35


@both_signs
def test_existence_never_exceeds_delivered(part: LineProperty) -> None:
    """What the delivered function achieves within a band, some values within the band achieve."""
    queries, (f, g), nothing = queries_of(part, N_PAIRS), random_pairs(6), np.zeros(N_PAIRS)
    some, one = (
        critical_half_width.existence(answers(queries, f, f, nothing)),
        critical_half_width.delivered(answers(queries, f, g, nothing)),
    )
    assert (some <= one * (1 + 1e-15)).all()
    repaired = np.isfinite(one)
    np.testing.assert_array_equal(some[repaired] > 0, one[repaired] > 0)
    assert (some < 0.9 * one).mean() > 0.1


def test_scores_leave_their_input_alone() -> None:
    queries, (f, g), rounding = queries_of(Increasing("a"), N_PAIRS), random_pairs(), np.full(N_PAIRS, 1e-3)
    before = [it.tobytes() for it in (queries.places, f, g, rounding)]
    critical_half_width.delivered(answers(queries, f, g, rounding))
    critical_half_width.existence(answers(queries, f, f, rounding))
    excess(queries, f, rounding)
    assert [it.tobytes() for it in (queries.places, f, g, rounding)] == before


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e3, 1e9])
def test_the_unit_in_which_a_rule_is_written_does_not_matter(size: float) -> None:
    """What counts as rounding grows with the coefficients: the same scores, and no excess where there was none."""
    random = np.random.default_rng(12)
    f = random.normal(size=(300, 1, 3))
    A = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])
    plain, scaled = (OrbitQueries(LinearProperty([{0: 0}, {0: 1}, {0: 2}], a), 3) for a in (A, size * A))
    g = plain.part.nearest(f[:, 0], np.arange(3), "l2")[:, None]
    rounding = 2.0**-44 * np.abs(f).max(axis=(1, 2))
    assert not excess(scaled, g, rounding).any()
    for score in (
        critical_half_width.delivered(answers(scaled, f, g, rounding)),
        critical_half_width.delivered(answers(plain, f, g, rounding)),
    ):
        np.testing.assert_allclose(score, critical_half_width.delivered(answers(plain, f, g, rounding)), rtol=1e-9)
        assert np.isfinite(score).all()
    np.testing.assert_allclose(
        critical_half_width.existence(answers(scaled, f, f, rounding)),
        critical_half_width.existence(answers(plain, f, f, rounding)),
        rtol=1e-9,
    )
