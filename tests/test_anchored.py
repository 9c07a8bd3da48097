"""The repair in many features: what its formula says, a member everywhere, and the model itself at anchors if it obeys."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from sklearn.ensemble import HistGradientBoostingRegressor

from alignconf import AlignedRegressor, InputError
from alignconf.lines.axis import Axis
from alignconf.lines.evaluation import PlacedRows
from alignconf.projectors.anchored import AnchoredProjector, _midway
from alignconf.tables import table as tables
from alignconf.tables.checks import check_rows

X = np.random.default_rng(0).random((300, 5))
AXES = tuple(Axis(i, i, None) for i in range(4))
SIGNS = (1, -1, 0, 1)


class Given:
    """A model whose answer is a given function of the rows."""

    def __init__(self, answer) -> None:
        self.answer = answer

    def predict(self, rows):
        return self.answer(np.asarray(rows))


WAVE = Given(lambda it: it @ [1.0, -1, 0.5, 1, 2] + 0.4 * np.sin(9 * it).sum(axis=1))
OBEYS = Given(lambda it: it[:, 0] ** 2 - it[:, 1] + it[:, 3] * it[:, 0] + np.sin(5 * it[:, 4]))


def fitted(model, n_anchors: int = 20) -> AnchoredProjector:
    return AnchoredProjector(AXES, SIGNS, n_anchors).fitted(model, check_rows(X))


def comes_before(one, other) -> bool:
    return all(sign * a <= sign * b for sign, a, b in zip(SIGNS, one[:4], other[:4], strict=True) if sign)


def test_values_are_those_of_the_formula() -> None:
    repair = fitted(WAVE)
    rows = np.random.default_rng(1).random((40, 5))
    got = repair.apply(WAVE, PlacedRows.of(check_rows(rows), AXES), WAVE.predict(rows))
    for row, value in zip(rows, got, strict=True):
        f = [WAVE.predict(np.array([[*anchor, row[4]]]))[0] for anchor in repair.anchors]
        below = [[j for j, b in enumerate(repair.anchors) if comes_before(b, a)] for a in repair.anchors]
        above = [[j for j, b in enumerate(repair.anchors) if comes_before(a, b)] for a in repair.anchors]
        member = [(max(f[j] for j in lo) + min(f[j] for j in hi)) / 2 for lo, hi in zip(below, above, strict=True)]
        low = [member[i] for i, a in enumerate(repair.anchors) if comes_before(a, row)]
        high = [member[i] for i, a in enumerate(repair.anchors) if comes_before(row, a)]
        h = repair.surrogate.predict(check_rows(row[None]))[0]
        assert value == pytest.approx(min([max([h, *low]), *high]), abs=1e-12)


def test_a_member_everywhere_whichever_features_move() -> None:
    repair = fitted(WAVE)
    random = np.random.default_rng(2)
    low = random.random((4000, 5)) * 1.4 - 0.2
    high = low + np.array([1, -1, 1, 1, 0]) * random.exponential(0.3, (4000, 5)) * (random.random((4000, 5)) < 0.5)
    high[:, 2] = random.random(4000)
    values = [repair.apply(WAVE, PlacedRows.of(check_rows(rows), AXES), WAVE.predict(rows)) for rows in (low, high)]
    assert (values[1] - values[0]).min() >= -1e-12
    assert (WAVE.predict(high) - WAVE.predict(low)).min() < -0.5
    only = low.copy()
    only[:, 2] = 7.0
    assert (
        repair.apply(WAVE, PlacedRows.of(check_rows(only), AXES), WAVE.predict(only)).tobytes() == values[0].tobytes()
    )


def test_a_model_that_obeys_is_kept_at_anchors_and_nearer_than_the_surrogate_elsewhere() -> None:
    repair = fitted(OBEYS)
    rows = np.random.default_rng(3).random((500, 5))
    at_anchors = rows[:20].copy()
    at_anchors[:, :4] = repair.anchors
    own = OBEYS.predict(at_anchors)
    np.testing.assert_allclose(repair.apply(OBEYS, PlacedRows.of(check_rows(at_anchors), AXES), own), own, atol=1e-12)
    f = OBEYS.predict(rows)
    g = repair.apply(OBEYS, PlacedRows.of(check_rows(rows), AXES), f)
    h = repair.surrogate.predict(check_rows(rows))
    assert (np.abs(g - f) <= np.abs(h - f) + 1e-12).all()
    assert np.abs(g - f).mean() < np.abs(h - f).mean()


def test_values_at_anchors_have_the_smallest_largest_deviation() -> None:
    """Against the linear programme: minimise t with |G - f| <= t and G monotone along a random partial order."""
    random = np.random.default_rng(4)
    for _ in range(10):
        places = random.random((9, 2))
        precedes = (places[:, None] <= places[None]).all(axis=-1)
        f = random.normal(size=(1, 9))
        found = _midway(f, precedes)[0]
        i, j = np.nonzero(precedes & ~np.eye(9, dtype=bool))
        order = np.zeros((i.size, 10))
        order[np.arange(i.size), i], order[np.arange(i.size), j] = 1, -1
        near = np.block([[np.eye(9), -np.ones((9, 1))], [-np.eye(9), -np.ones((9, 1))]])
        best = linprog(
            np.eye(10)[9],
            np.vstack([order, near]),
            np.concatenate([np.zeros(i.size), f[0], -f[0]]),
            bounds=(None, None),
        )
        assert np.abs(found - f[0]).max() == pytest.approx(best.fun, abs=1e-9)
        assert (found[i] <= found[j] + 1e-12).all()


def test_few_features_are_exact_between_knots_where_a_grid_is_not() -> None:
    ripples = Given(lambda it: 5 * it[:, 0] + np.sin(60 * it[:, 0]) + 5 * it[:, 1] + it[:, 4])
    declared = {0: 1, 1: 1}
    rows = np.random.default_rng(5).random((200, 5))
    rates = []
    for projector in ("auto", "distilled"):
        aligned = AlignedRegressor(ripples, declared, alpha=0, n_knots=8, projector=projector).calibrate(X)
        moved = rows.copy()
        moved[:, 0] += 0.02
        rates.append(float((aligned.predict(moved) < aligned.predict(rows) - 1e-9).mean()))
    assert rates[0] > 0 == rates[1]
    assert "by a monotone stand-in" in aligned.calibration_.repair
    assert "held-out reference rows, with anchors" in aligned.calibration_.repair


def test_points_of_one_row_share_its_anchors() -> None:
    asked = []
    counting = Given(lambda it: asked.append(len(it)) or WAVE.predict(it))
    repair = fitted(WAVE)
    moved = np.repeat(X[:7], 30, axis=0)
    moved[:, :4] = np.random.default_rng(6).random((210, 4))
    together = repair.apply(counting, PlacedRows.of(check_rows(moved), AXES), WAVE.predict(moved))
    assert sum(asked) == 7 * 20
    alone = [
        repair.apply(WAVE, PlacedRows.of(check_rows(row[None]), AXES), WAVE.predict(row[None]))[0]
        for row in moved[::10]
    ]
    np.testing.assert_allclose(together[::10], alone, atol=1e-12)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match=r"'distilled' or an unfitted scikit-learn regressor that has the property"):
        AlignedRegressor(WAVE, {0: 1}, projector="monoton", confidence=None).calibrate(X)
    with pytest.raises(InputError, match=r"call fitted\(function, reference\) first"):
        AnchoredProjector(AXES, SIGNS, 3).apply(WAVE, PlacedRows.of(check_rows(X), AXES), X[:, 0])
    gaps = X.copy()
    gaps[:, :4] = np.nan
    with pytest.raises(
        InputError, match=r"none of the 300 reference rows has any of the constrained features 0, 1, 2, 3;"
    ):
        AnchoredProjector(AXES, SIGNS, 3).fitted(WAVE, check_rows(gaps))


def test_a_users_own_surrogate_is_taken_as_it_is() -> None:
    own = HistGradientBoostingRegressor(monotonic_cst=[1, 0, 0, 0, 0], max_iter=20, random_state=0)
    aligned = AlignedRegressor(WAVE, {0: 1}, alpha=0, projector=own).calibrate(X)
    direct = HistGradientBoostingRegressor(monotonic_cst=[1, 0, 0, 0, 0], max_iter=20, random_state=0)
    assert aligned.predict(X).tobytes() == direct.fit(X, WAVE.predict(X)).predict(X).tobytes()


def test_rows_that_repeat_the_one_before() -> None:
    frame = pd.DataFrame({"a": [1.0, 1.0, np.nan, np.nan, 1.0], "b": ["x", "x", "y", "y", None], "c": range(5)})
    assert tables.repeats_previous(check_rows(frame), [0, 1]).tolist() == [False, True, False, True, False]
    assert not tables.repeats_previous(check_rows(frame), [0, 1, 2]).any()
    assert tables.repeats_previous(check_rows(frame), []).tolist() == [False, True, True, True, True]
