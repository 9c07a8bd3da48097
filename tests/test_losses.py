r"""Expected sizes of violations, and users' own losses, promised of whole estimators.

The model is ``z h(x)`` with ``x`` on a few places and ``z`` uniform on [0, 2], so that violations are bounded. At half-width
:math:`\lambda` the size of a pair's violation is :math:`z\,V(\lambda / z)`, with ``V`` that of ``h`` itself, and its mean over
``z`` and pairs is integrated on a fine grid, without the package's scores.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import isotonic_regression
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.deployment.monitoring.monitor import Monitor
from alignconf.errors import CalibrationError, InputError
from alignconf.losses.bounded_loss import BoundedLoss
from alignconf.losses.magnitude import Magnitude
from alignconf.losses.rate import RATES, RateLoss
from alignconf.properties import (
    AllOf,
    Bounded,
    Convex,
    Decreasing,
    DiminishingReturns,
    Dominates,
    Increasing,
    Invariant,
    Lipschitz,
    Rule,
    SlopeAtLeast,
    Unimodal,
)  # fmt: skip

PLACES = np.arange(6.0)
LINE = np.array([2.0, 0.5, 1.5, 0.0, 1.0, 2.5])
REFERENCE = np.column_stack([PLACES, np.ones(6)])
#: The largest fall is 2 * (2 - 0); the projection of the line is 1, 1, 1, 1, 1, 2.5, so no value moves by more than 2 * 1.
RANGE, REACH = 4.0, 2.0


class Scaled:
    """``z h(x)``: column 0 is the place, column 1 the scale."""

    def predict(self, X):
        return X[:, 1] * LINE[X[:, 0].astype(int)]


def draw_rows(n_samples, random):
    return np.column_stack([random.choice(PLACES, n_samples), random.uniform(0, 2, n_samples)])


def sizes_at(half_width):
    """Return the sizes of all pairs of places for a grid of ``z``: (n_z, n_places, n_places)."""
    z = (np.arange(400) + 0.5) / 200
    g = isotonic_regression(LINE, weights=np.ones(6)).x
    moved = LINE + np.clip(g - LINE, -half_width / z[:, None], half_width / z[:, None])
    falls = moved[:, :, None] - moved[:, None, :]
    return z[:, None, None] * np.where(np.triu(np.ones((6, 6)), 1) > 0, np.maximum(falls, 0.0), 0.0)


def mean_loss(half_width, of=lambda size: size):
    """Return the expected loss of a fresh query: two different places, each pair as often as any other."""
    upper = np.triu(np.ones((6, 6)), 1) > 0
    return of(sizes_at(half_width)[:, upper]).mean()


def align(alpha, loss, seed=0, n_rows=99, **changes):
    aligned = AlignedRegressor(
        Scaled(), Increasing(0), alpha=alpha, loss=loss, random_state=seed, **{"confidence": None, **changes}
    )
    return aligned.calibrate(draw_rows(n_rows, np.random.default_rng(1000 + seed)), X_reference=REFERENCE)


@pytest.mark.parametrize(
    "loss", [Magnitude(RANGE), Magnitude(RANGE, reach=REACH, remaining=0.0)], ids=["constant", "falling"]
)
@pytest.mark.parametrize("n_queries", [1, 5])
@pytest.mark.parametrize("n_draws", [120, pytest.param(1500, marks=pytest.mark.slow)])
def test_the_expected_size_is_at_most_alpha(loss, n_queries, n_draws) -> None:
    """Target .1 at 99 rows. Within four standard errors (0.003 %), and the bound costs at most its share R / (n + 1) = .04."""
    found = np.array([mean_loss(align(0.1, loss, seed, n_queries=n_queries).lambda_) for seed in range(n_draws)])
    error = found.std(ddof=1) / np.sqrt(n_draws)
    assert found.mean() <= 0.1 + 4 * error
    assert found.mean() >= 0.1 - RANGE / 100 - 4 * error - 0.005


def test_a_falling_bound_repairs_less_where_it_may() -> None:
    """Its half-width is never larger; at few rows it is found where the constant bound needs more of them."""
    assert align(0.1, Magnitude(RANGE, reach=REACH, remaining=0.0)).lambda_ <= align(0.1, Magnitude(RANGE)).lambda_
    assert np.isfinite(align(0.1, Magnitude(RANGE, reach=REACH, remaining=0.0), n_rows=30).lambda_)
    with pytest.raises(CalibrationError, match="At least 39 rows are needed"):
        align(0.1, Magnitude(RANGE), n_rows=30)


def test_the_falling_bound_is_used_only_where_the_repair_is_exact() -> None:
    """Trees whose every piece is repaired are; a black box between its knots is not, unless the user says so."""
    X = draw_rows(400, np.random.default_rng(0))
    tree = DecisionTreeRegressor(random_state=0).fit(X, Scaled().predict(X))
    kwargs = {"alpha": 0.1, "random_state": 0, "loss": Magnitude(RANGE, reach=REACH)}
    rows = draw_rows(60, np.random.default_rng(3))
    exact = AlignedRegressor(tree, Increasing(0), **{"confidence": None, **kwargs}).calibrate(rows, X_reference=X)
    assert exact.alignment_.chain.is_exact
    constant = exact.set_params(loss=Magnitude(RANGE))
    falling = exact.lambda_
    assert falling < constant.calibrate(rows, X_reference=X).lambda_
    with pytest.raises(CalibrationError, match="rows are needed"):
        align(0.1, Magnitude(RANGE, reach=REACH), n_rows=30)


def test_statements_speak_of_sizes() -> None:
    calibration = align(0.1, Magnitude(RANGE)).calibration_
    assert (
        "the expected size of the violation of a fresh query (two different places drawn independently, given "
        "that they differ, from the marginal law of 0" in calibration.statement
    )
    assert calibration.statement.endswith("is at most 0.1.")
    assert "lose something without a band" in str(calibration)
    assert "may lie above" not in str(calibration)
    assert calibration.n_above is None
    assert 0 < calibration.positive_rate < 1
    assert calibration.largest_score <= RANGE


def test_alpha_is_a_size_and_may_be_above_one() -> None:
    assert align(3.0, Magnitude(RANGE)).lambda_ == 0.0
    assert np.isinf(align(0, Magnitude(RANGE)).lambda_)
    with pytest.raises(InputError, match="alpha must be a finite number of at least 0, got -1"):
        align(-1, Magnitude(RANGE))


def test_sizes_by_group_and_by_level() -> None:
    """Rows of the half with small ``z`` violate less; each group has its own half-width, that of its rows alone."""
    X = draw_rows(400, np.random.default_rng(5))
    for groups in (lambda table: table[:, 1] > 1, None):
        aligned = AlignedRegressor(
            Scaled(), Increasing(0), alpha=0.1, loss=Magnitude(RANGE), groups=groups, random_state=0, confidence=None
        )
        aligned.calibrate(X, X_reference=REFERENCE)
        if groups is not None:
            widths = {claim.group: claim.lambda_ for claim in aligned.calibration_.claims}
    assert widths[False] < aligned.lambda_ < widths[True]
    several = AlignedRegressor(
        Scaled(),
        [Increasing(0), Bounded(-9, 3)],
        alpha=[0.1, 0.5],
        loss=Magnitude(RANGE),
        random_state=0,
        confidence=None,
    ).calibrate(X, X_reference=REFERENCE)
    assert [claim.alpha for claim in several.calibration_.claims] == [0.1, 0.5]
    assert several.lambda_ == max(claim.lambda_ for claim in several.calibration_.claims)
    both = AllOf(Increasing(0), Bounded(-9, 3))
    together = AlignedRegressor(Scaled(), both, alpha=0.1, loss=Magnitude(RANGE), random_state=0, confidence=None)
    assert np.isfinite(together.calibrate(X, X_reference=REFERENCE).lambda_)


def test_a_group_alone_gives_what_it_gives_among_others() -> None:
    """Taking rows out of a family: the sizes of some rows are those rows' sizes."""
    family = None

    class Kept(Magnitude):
        def family(self, measured):
            nonlocal family
            family = super().family(measured)
            return family

    aligned = align(0.1, Kept(RANGE), n_queries=3)
    chosen = np.random.default_rng(0).random(99) < 0.4
    part = family.take(chosen)
    assert part.shape == (int(chosen.sum()), 3)
    for half_width in (0.0, 0.2, aligned.lambda_, 3.0):
        whole = np.zeros(99 * 3)
        whole[family.sizes.index] = family.sizes.sizes(half_width)
        few = np.zeros(part.shape[0] * 3)
        few[part.sizes.index] = part.sizes.sizes(half_width)
        np.testing.assert_array_equal(few.reshape(-1, 3), whole.reshape(-1, 3)[chosen])


def test_probabilities_have_sizes_at_most_one() -> None:
    random = np.random.default_rng(0)
    X = random.random((600, 2))

    class Sure:
        classes_ = np.array([0, 1])

        def predict_proba(self, X):
            p = 0.5 + 0.4 * np.sin(9 * X[:, 0])
            return np.column_stack([1 - p, p])

    aligned = AlignedClassifier(
        Sure(), {0: 1}, alpha=0.02, loss=Magnitude(1.0), random_state=0, confidence=None
    ).calibrate(X)
    assert 0 < aligned.lambda_ < 1
    scaled = AlignedClassifier(
        Sure(),
        {0: 1},
        alpha=0.02,
        loss=Magnitude(1.0),
        difficulty=lambda X: 0.5 + X[:, 1],
        random_state=0,
        confidence=None,
    )
    assert np.isfinite(scaled.calibrate(X).lambda_)


# Users' own losses ---------------------------------------------------------------------------------------------------


def steep(size):
    return np.minimum(size, 1.0) ** 2


@pytest.mark.parametrize("n_draws", [100, pytest.param(1500, marks=pytest.mark.slow)])
def test_a_bounded_loss_of_ones_own_is_controlled(n_draws) -> None:
    """Target .05, loss at most 1, 99 rows: at most the target, within four standard errors (0.003 %)."""
    found = [mean_loss(align(0.05, BoundedLoss(steep), seed, n_queries=3).lambda_, steep) for seed in range(n_draws)]
    error = np.std(found, ddof=1) / np.sqrt(n_draws)
    assert np.mean(found) <= 0.05 + 4 * error
    assert np.mean(found) >= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("n_draws", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_with_confidence_a_bounded_loss_exceeds_alpha_rarely(n_draws) -> None:
    """At confidence .8 and 200 rows: at most a fifth of the calibrations, within 3.5 standard errors (0.03 %)."""
    losses = [
        mean_loss(align(0.1, BoundedLoss(steep), seed, n_rows=200, confidence=0.8).lambda_, steep)
        for seed in range(n_draws)
    ]
    assert np.mean(np.array(losses) > 0.1) <= 0.2 + 3.5 * np.sqrt(0.16 / n_draws)
    assert np.median(losses) > 0.05


def bump(size):
    """Small violations count, large ones do not: not monotone in the size, so not in the half-width."""
    return np.where((size > 0) & (size < 0.3), 1.0, 0.0)


def test_a_loss_that_rises_with_the_half_width_is_refused_or_replaced() -> None:
    with pytest.raises(
        InputError, match=r"losses must not increase with the half-width, but .* Pass monotone='envelope'"
    ):
        align(0.3, BoundedLoss(bump))
    half_widths = [align(0.3, BoundedLoss(bump, monotone="envelope"), seed).lambda_ for seed in range(60)]
    assert np.mean([mean_loss(half_width, bump) for half_width in half_widths]) <= 0.3
    # A size shrinks to 0 through all that is smaller, so at some wider band a row that is violated at all has loss 1; on
    # the grid of half-widths a little fewer have, and nearly all of the level is used.
    found = np.array([mean_loss(half_width, lambda size: (size > 0) * 1.0) for half_width in half_widths])
    assert 0.29 <= found.mean() <= 0.36


def test_statements_name_the_loss() -> None:
    statement = align(0.05, BoundedLoss(steep)).calibration_.statement
    assert "the expected loss, steep of the size of the violation of a fresh query" in statement
    confident = align(0.2, BoundedLoss(steep), confidence=0.9, n_rows=200).calibration_.statement
    assert "with probability at least 0.9 over the calibration draw" in confident


@pytest.mark.parametrize(
    ("loss", "changes", "words"),
    [
        (Magnitude(0.01), {}, ["largest=0.01 must bound every violation, and one of size"]),
        (Magnitude(RANGE), {"confidence": 0.9}, ["confidence is for rates of violations"]),
        (Magnitude(RANGE), {"query_law": "path"}, ["loss='magnitude'", "query_law='path'"]),
        (BoundedLoss(steep), {"query_law": "line"}, ["loss='bounded'", "query_law='line'"]),
        (BoundedLoss(lambda size: size - 1), {}, ["of returned the loss", "between 0 and bound=1"]),
        (BoundedLoss(lambda size: size.sum()), {}, ["of returned shape ()"]),
        (
            BoundedLoss(lambda size: size / 0 if size.size < 0 else np.full(size.shape, np.nan)),
            {},
            ["of returned the loss nan"],
        ),
        ("size", {}, ["loss must be one of 'delivered'", "got 'size'"]),
        (Magnitude, {}, ["loss must be one of 'delivered'"]),
    ],
)
def test_what_cannot_be_is_refused(loss, changes, words) -> None:
    with pytest.raises(InputError) as caught:
        align(0.1, loss, **changes)
    for word in words:
        assert word in str(caught.value)


def test_bad_losses_are_refused_at_once() -> None:
    for call, words in (
        (lambda: Magnitude(0), "largest must be a finite number above 0"),
        (lambda: Magnitude(1, reach=-1), "reach must be a finite number of at least 0"),
        (lambda: BoundedLoss(3), "of must be a function from sizes to losses, got 3"),
        (lambda: BoundedLoss(steep, bound=0), "bound must be a finite number above 0"),
        (lambda: BoundedLoss(steep, monotone="any"), "monotone must be one of 'refuse', 'envelope'"),
        (lambda: BoundedLoss(steep, n_half_widths=1), "n_half_widths must be a whole number of at least 2"),
    ):
        with pytest.raises(InputError, match=words):
            call()


def test_rules_and_shifts_and_monitors_have_no_sizes() -> None:
    rule = Rule([{}, {0: 1.0}], lambda v: v[:, 0] <= v[:, 1], lambda v: np.sort(v, axis=1))
    X = draw_rows(300, np.random.default_rng(0))
    for loss in (Magnitude(RANGE), BoundedLoss(steep)):
        with pytest.raises(InputError, match="has a rule that only says yes or no"):
            AlignedRegressor(Scaled(), [rule], loss=loss, random_state=0, confidence=None).calibrate(X)
        from alignconf.calibration.shift import LikelihoodRatio

        with pytest.raises(InputError, match="shift is for rates of violations"):
            align(0.1, loss, shift=LikelihoodRatio(lambda X: X[:, 1]))
    aligned = align(0.1, Magnitude(RANGE))
    with pytest.raises(InputError, match="has no critical half-widths"):
        aligned.critical_half_widths(X)
    with pytest.raises(InputError, match="a monitor watches a rate of violations"):
        Monitor(aligned)


# ---------------------------------------------------------------------------------------------------------------------
# Models without a violation, and losses of users' own
# ---------------------------------------------------------------------------------------------------------------------
LOSSES = {"sizes": Magnitude(10.0), "falling": Magnitude(10.0, reach=5.0, remaining=0.0), "tanh": BoundedLoss(np.tanh),
          "sure": BoundedLoss(np.tanh), **{name: name for name in RATES}}  # fmt: skip
KEPT = [Increasing(0), Decreasing(1), Lipschitz(0, 2.0), SlopeAtLeast(0, 0.5), Unimodal(0), Convex(0), Bounded(-5, 5),
        DiminishingReturns(0, 1), Dominates(0, 1), Invariant(2), AllOf(Increasing(0), Decreasing(1))]  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_a_model_without_violations_needs_no_half_width(name: str) -> None:
    """``x0 - x1`` has every one of these properties, so ``lambda_`` is 0 under every loss, by group and for all rows."""
    X = np.random.default_rng(3).random((300, 3))
    model = LinearRegression().fit(X, X[:, 0] - X[:, 1])
    for declared in KEPT if name in ("sizes", "delivered") else KEPT[:2]:
        for groups in (None, lambda table: table[:, 2] > 0.5):
            aligned = AlignedRegressor(
                model,
                declared,
                alpha=0.2,
                loss=LOSSES[name],
                random_state=0,
                n_knots=8,
                groups=None if isinstance(declared, Invariant) else groups,
                confidence=0.95 if name == "sure" else None,
            ).calibrate(X)
            assert aligned.lambda_ == 0.0
            assert np.isnan(aligned.calibration_.median_score)
            assert aligned.calibration_.positive_rate == 0
            assert aligned.certify(X[:20] / 2).n_rejected == 0


def _doubled(alignment, table, n_queries, random):
    return [2 * scores for scores in RATES["delivered"].scores(alignment, table, n_queries, random)]


@pytest.mark.parametrize("label", ["delivered", "mine"])
def test_a_loss_of_ones_own_answers_for_itself(label: str) -> None:
    """Twice the half-widths of the library's rule, whatever it is called: calibration, scores and monitors agree."""
    mine = RateLoss(label, "a fresh query ({law}) needs more than half the band", _doubled)
    X = draw_rows(300, np.random.default_rng(0))
    fresh = draw_rows(50, np.random.default_rng(1))
    parameters = {"alpha": 0.2, "n_queries": 1, "random_state": 0, "confidence": None}
    theirs, own = (
        AlignedRegressor(Scaled(), {0: 1}, loss=loss, **{"confidence": None, **parameters}).calibrate(
            X, X_reference=REFERENCE
        )
        for loss in ("delivered", mine)
    )
    assert own.lambda_ == 2 * theirs.lambda_ > 0
    widths = own.critical_half_widths(fresh)
    np.testing.assert_array_equal(widths, 2 * theirs.critical_half_widths(fresh))
    watched = [Monitor(one, random_state=3).update(fresh).window.scores for one in (theirs, own)]
    np.testing.assert_array_equal(watched[1], 2 * watched[0])
    # The loss that calibrated, not one that was set afterwards.
    np.testing.assert_array_equal(own.set_params(loss="delivered").critical_half_widths(fresh), widths)


def test_a_monitor_refuses_sizes_at_once() -> None:
    with pytest.raises(InputError, match="a monitor watches a rate of violations"):
        Monitor(align(0.1, Magnitude(RANGE)))
