"""Surrogates of classifiers: of log-odds, within the model's own range, and with anchors only where these bring them nearer."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from alignconf import AlignedClassifier, InputError
from alignconf.lines.axis import Axis
from alignconf.lines.evaluation import PlacedRows
from alignconf.projectors.anchored import AnchoredProjector, MonotoneProjector
from alignconf.projectors.margins import LogOdds, OwnRange, Values
from alignconf.projectors.surrogate import SurrogateProjector
from alignconf.properties import Concave, Convex, LinearProperty, SlopeAtLeast
from alignconf.tables.checks import check_rows

X = np.random.default_rng(0).random((800, 6))
FIVE = dict.fromkeys(range(5), 1)
AXES = tuple(Axis(i, i, None) for i in range(5))


class Given:
    """A classifier, or a function, whose answer is a given function of the rows."""

    classes_ = np.array([0, 1])

    def __init__(self, answer) -> None:
        self.answer = answer

    def predict(self, rows):
        return self.answer(np.asarray(rows))

    def predict_proba(self, rows):
        p = self.predict(rows)
        return np.stack([1 - p, p], axis=1)


#: Probabilities from 1e-4 to 1 - 1e-4 that nearly rise in five features.
STEEP = Given(
    lambda it: expit(np.clip(8 * (it[:, :5].sum(axis=1) - 2.5) + 2 * np.sin(9 * it[:, :3]).sum(axis=1), -9.2, 9.2))
)


def test_margins_of_probabilities_are_log_odds_and_come_back_within_the_range() -> None:
    p = np.array([0.01, 0.2, 0.9])
    scale = LogOdds().fitted(p)
    np.testing.assert_allclose(scale.of(p), logit(p), rtol=1e-15)
    np.testing.assert_allclose(scale.back(scale.of(p)), p, rtol=1e-12)
    assert scale.back(np.array([-50.0, 50.0])).tolist() == [0.01, 0.9]
    assert OwnRange().fitted(p).back(np.array([-1.0, 0.5, 2.0])).tolist() == [0.01, 0.5, 0.9]
    assert Values().fitted(p).back(p) is p


def test_probabilities_of_exactly_0_and_1_have_finite_margins() -> None:
    """Half the smallest distance that is none: .002 from 0 and .01 (at most .02) from 1. Nothing but 0 and 1: .01."""
    scale = LogOdds().fitted(np.array([0.0, 0.004, 0.5, 1.0]))
    np.testing.assert_allclose(scale.of(np.array([0.0, 1.0])), logit([0.002, 0.99]), rtol=1e-12)
    assert scale.back(np.array([-800.0, 800.0])).tolist() == [0.0, 1.0]
    np.testing.assert_allclose(LogOdds().fitted(np.array([0.0, 1.0])).of(np.array([0.0, 1.0])), logit([0.01, 0.99]))


@pytest.mark.parametrize("projector", ["auto", LinearRegression(), HistGradientBoostingRegressor(max_iter=20)], ids=str)
@pytest.mark.parametrize("scale", ["probability", "logit"])
def test_no_delivered_probability_leaves_the_range_of_the_model(projector, scale) -> None:
    aligned = AlignedClassifier(STEEP, FIVE, alpha=0, scale=scale, projector=projector, random_state=0).calibrate(
        X[:400]
    )
    p, own = aligned.predict_proba(X[400:])[:, 1], STEEP.predict(X)
    assert own.min() <= p.min() < p.max() <= own.max()
    assert np.abs(p - own[400:]).max() > 0.01


def test_a_surrogate_of_log_odds_is_nearer_to_small_probabilities() -> None:
    """Mean squared error of log-odds at fresh rows: that of a surrogate of probabilities cut to the range is far larger."""
    rows, fresh = check_rows(X[:400]), check_rows(X[400:])
    errors = []
    for margins in (LogOdds(), OwnRange()):
        repair = MonotoneProjector(AXES, (1,) * 5, 16, margins).fitted(STEEP, rows)
        g = repair.apply(STEEP, PlacedRows.of(fresh, AXES), STEEP.predict(X[400:]))
        errors.append(np.mean((logit(g) - logit(STEEP.predict(X[400:]))) ** 2))
    assert errors[0] < 0.5 * errors[1]


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (Given(lambda it: it[:, :2].sum(axis=1) + it[:, 0] * it[:, 1] + np.sin(40 * it[:, 5])), AnchoredProjector),
        (Given(lambda it: it[:, :2].sum(axis=1) + 3 * np.sin(25 * it[:, :2]).sum(axis=1)), SurrogateProjector),
    ],
    ids=["obeys", "goes up and down"],
)
def test_the_nearer_one_is_chosen_and_the_reason_told(model, kind) -> None:
    repair = MonotoneProjector(AXES[:2], (1, 1), 64).fitted(model, check_rows(X[:400]))
    assert isinstance(repair, kind)
    plain, anchored = map(
        float, re.match(r"(\S+) from the model at 100 held-out .* with anchors (\S+)$", repair.reason).groups()
    )
    assert (anchored < 0.95 * plain) == (kind is AnchoredProjector)
    assert repair.reason in repair.path


def test_what_is_not_fitted_has_no_values() -> None:
    with pytest.raises(InputError, match=r"call fitted\(function, reference\) first"):
        MonotoneProjector(AXES, (1,) * 5, 3).apply(STEEP, PlacedRows.of(check_rows(X), AXES), X[:, 0])


def test_a_classifier_says_what_was_chosen() -> None:
    y = (STEEP.predict(X) > np.random.default_rng(1).random(800)).astype(int)
    model = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(X[:400], y[:400])
    aligned = AlignedClassifier(model, FIVE, alpha=0, projector="distilled").calibrate(X[:400])
    assert "held-out reference rows, with anchors" in aligned.calibration_.repair


@pytest.mark.parametrize(
    "declared",
    [Concave(0), Convex(0), SlopeAtLeast(0, 0.5), LinearProperty([None, lambda rows: 1 - rows], [1, 1], 0.9)],
    ids=str,
)
def test_what_overshoots_is_cut_before_0_and_1(declared) -> None:
    """Lines of log-odds that go up and down between -8 and 8: least squares leave [0, 1], and were cut there."""
    wave = Given(lambda it: expit(8 * np.sin(6 * it[:, 0] + 6 * it[:, 1])))
    aligned = AlignedClassifier(wave, declared, alpha=0).calibrate(X[:300])
    p = aligned.predict_proba(X[300:])[:, 1]
    edges = LogOdds().fitted(wave.predict(X[:300])).edges
    assert edges[0] <= p.min() < p.max() <= 1 - edges[1]
    assert np.abs(p - wave.predict(X[300:])).max() > 0.05


def test_what_the_model_says_itself_may_be_0_or_1() -> None:
    steps = Given(lambda it: np.round(it[:, 0] * 4) % 3 / 2)
    aligned = AlignedClassifier(steps, Concave(0), alpha=0).calibrate(X[:300])
    assert aligned.alignment_.chain.limits == (0.0, 1.0)
