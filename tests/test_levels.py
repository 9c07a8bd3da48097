"""Several properties, each with its own alpha, under one half-width."""

from __future__ import annotations

import numpy as np
import pytest

from alignconf import AlignedRegressor
from alignconf.calibration.levels import read_levels
from alignconf.errors import InputError
from alignconf.properties import AllOf, Bounded, Decreasing, Increasing


class Hills:
    """Wrong in both features: much in the first, little in the second."""

    def predict(self, X):
        return X[:, 2] * (np.sin(9 * X[:, 0]) + 0.3 * np.sin(11 * X[:, 1]))


def rows(n_samples, seed):
    random = np.random.default_rng(seed)
    return np.column_stack([random.random((n_samples, 2)), random.exponential(size=n_samples)])


def align(properties, alpha, **changes):
    aligned = AlignedRegressor(
        Hills(), properties, alpha=alpha, random_state=0, n_knots=32, **{"confidence": None, **changes}
    )
    return aligned.calibrate(rows(3000, 1), X_reference=rows(400, 2))


def test_every_property_keeps_to_its_own_level() -> None:
    """3,000 rows: sd of a rate about .006 (calibration) and .003 (8,000 fresh rows); margins of four of both."""
    fresh = rows(8000, 3)
    for alphas in ((0.02, 0.3), (0.3, 0.02), (0.1, 0.1)):
        aligned = align({0: 1, 1: -1}, dict(enumerate(alphas)))
        certificate = aligned.certify(fresh)
        rates = [rate.rate for _, rate in certificate.separately]
        for rate, alpha in zip(rates, alphas, strict=True):
            assert rate <= alpha + 4 * np.sqrt(alpha * (1 - alpha) * (1 / 3000 + 1 / 8000))
        claims = aligned.calibration_.claims
        assert aligned.lambda_ == max(claim.lambda_ for claim in claims)
        binding = int(np.argmax([claim.lambda_ for claim in claims]))
        assert rates[binding] >= 0.7 * alphas[binding], (
            "the half-width should be no larger than the strictest level needs"
        )
        assert certificate.delivered.n_rejected <= sum(rate.n_rejected for _, rate in certificate.separately)
        assert "increasing in 0 (alpha = " in certificate.sentence


def test_the_rate_of_a_level_is_that_of_its_own_property() -> None:
    """The second property is obeyed by the model itself: none of its queries fails, in either order of declaration."""

    class OneHill(Hills):
        def predict(self, X):
            return X[:, 2] * np.sin(9 * X[:, 0]) + X[:, 1]

    for properties in ([Increasing(0), Increasing(1)], [Increasing(1), Increasing(0)]):
        aligned = AlignedRegressor(OneHill(), properties, alpha=[0.3, 0.3], confidence=None, random_state=0, n_knots=32)
        certificate = aligned.calibrate(rows(300, 1), X_reference=rows(100, 2)).certify(rows(300, 3))
        counts = {what.split(" (")[0]: rate.n_rejected for what, rate in certificate.separately}
        assert counts["increasing in 1"] == 0 < counts["increasing in 0"]


def test_claims_are_those_of_each_property_by_itself() -> None:
    """Each level is calibrated on the very scores of its own parts: with one level for both, the larger score counts."""
    several = align([Increasing(0), Decreasing(1)], [0.1, 0.1])
    whole = align([Increasing(0), Decreasing(1)], 0.1)
    assert max(claim.lambda_ for claim in several.calibration_.claims) < whole.lambda_
    assert [claim.alpha for claim in several.calibration_.claims] == [0.1, 0.1]
    text = str(several.calibration_)
    assert text.count("is at most 0.1") == 2
    assert "lambda_ = " in text


def test_levels_cover_parts_of_every_kind() -> None:
    aligned = align([AllOf(Increasing(0), Decreasing(1)), Bounded(-1, 1)], (0.2, 0.05))
    assert [claim.alpha for claim in aligned.calibration_.claims] == [0.2, 0.05]
    certificate = aligned.certify(rows(2000, 4))
    assert len(certificate.separately) == 2
    assert max(rate.rate / alpha for (_, rate), alpha in zip(certificate.separately, (0.2, 0.05), strict=True)) > 0.7
    assert certificate.separately[1][1].rate < 0.09


@pytest.mark.parametrize(
    ("alpha", "properties", "words"),
    [
        ([0.1], [Increasing(0), Decreasing(1)], "here 2 numbers, as properties lists, got [0.1] of type list"),
        ([0.1, 0.1], {0: 1, 1: -1}, "here one number, got [0.1, 0.1]"),
        ([0.1, 0.1], Increasing(0), "here one number, got [0.1, 0.1]"),
        ({0: 0.1}, {0: 1, 1: -1}, "here a mapping with the keys [0, 1] of properties"),
        ({0: 0.1}, [Increasing(0)], "here one number"),
        ({0: 0.1, 1: 0}, {0: 1, 1: -1}, "alpha of {1: -1} must be a number in (0, 1), got 0"),
        ([0.1, 2], [Increasing(0), Decreasing(1)], "alpha of Decreasing(1) must be a number in (0, 1), got 2"),
    ],
)
def test_levels_that_do_not_match_are_refused(alpha, properties, words) -> None:
    with pytest.raises(InputError) as caught:
        align(properties, alpha)
    assert words in str(caught.value)


def test_row_losses_have_one_level() -> None:
    with pytest.raises(InputError, match="alpha has 2 levels and loss='line' is about all properties together"):
        align({0: 1, 1: -1}, {0: 0.1, 1: 0.2}, loss="line")


def test_one_level_in_a_list_is_the_number() -> None:
    (level,) = read_levels([0.1], [Increasing(0)])
    assert (level.alpha, level.is_whole) == (0.1, True)
    assert align([Increasing(0)], [0.1]).lambda_ == align([Increasing(0)], 0.1).lambda_
