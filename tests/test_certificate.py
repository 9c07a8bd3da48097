"""Certificates: exact binomial bounds, the sentence, and the theorem on the distance to a monotone function."""

import json
import re
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
from scipy.optimize import isotonic_regression, linprog
from scipy.stats import binom, binomtest, ttest_rel
from sklearn.linear_model import LinearRegression

from alignconf import AlignedRegressor, Certificate
from alignconf.certify.error_change import ErrorChange, paired_change
from alignconf.certify.violation_rate import ViolationRate
from alignconf.errors import PropertyWarning
from alignconf.properties import Decreasing, Increasing
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.random_streams import CERTIFY, generator

RANDOM = np.random.default_rng(0)
X_CAL, X_NEW = RANDOM.random((150, 3)), RANDOM.random((400, 3))
Y_NEW = X_NEW @ [2.0, 1.0, 0.0] + 0.1 * RANDOM.normal(size=400)


class Swing:
    """Swings along column 0, by an amplitude that is column 1."""

    def predict(self, X):
        X = np.asarray(X, dtype=float)
        return X[:, 1] * np.sin(9 * X[:, 0]) + X[:, 2]


def aligned_model(properties=None, alpha=0.1, **parameters):
    parameters = {"n_knots": 12, "random_state": 0} | parameters
    return AlignedRegressor(Swing(), properties or {0: 1}, alpha=alpha, **{"confidence": None, **parameters}).calibrate(
        X_CAL
    )


@pytest.fixture(scope="module")
def aligned():
    return aligned_model()


@pytest.fixture(scope="module")
def certificate(aligned):
    return aligned.certify(X_NEW, Y_NEW)


# ---------------------------------------------------------------------------------------------------------------------
# Bounds
# ---------------------------------------------------------------------------------------------------------------------
COUNTS = [(k, n) for n in (1, 2, 7, 59, 1000) for k in sorted({0, 1, n // 10, n // 2, n - 1, n}) if k <= n]


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(("k", "n"), COUNTS)
def test_bounds_agree_with_scipy(k, n, confidence):
    found = ViolationRate(k, n, confidence)
    assert found.rate == k / n
    exact = binomtest(k, n).proportion_ci(confidence, method="exact")
    assert found.interval == pytest.approx((exact.low, exact.high), abs=1e-12)
    upper = binomtest(k, n, alternative="less").proportion_ci(confidence, method="exact").high
    assert found.upper_bound == pytest.approx(upper, abs=1e-12)
    assert found.interval[0] <= found.rate <= found.upper_bound <= found.interval[1]


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("n", [1, 29, 59, 299, 10_000])
def test_bounds_at_the_edges(n, confidence):
    delta = 1 - confidence
    assert ViolationRate(0, n, confidence).upper_bound == pytest.approx(1 - delta ** (1 / n), rel=1e-9)
    assert ViolationRate(n, n, confidence).upper_bound == 1
    assert ViolationRate(0, n, confidence).interval == pytest.approx((0, 1 - (delta / 2) ** (1 / n)), rel=1e-9)
    assert ViolationRate(n, n, confidence).interval == pytest.approx(((delta / 2) ** (1 / n), 1), rel=1e-9)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize("n", [5, 40, 200])
def test_bounds_cover_every_rate(n, confidence):
    """The exact probability that the bound covers, a finite sum, for many rates."""
    k = np.arange(n + 1)
    bounds = np.array([ViolationRate(int(i), n, confidence).upper_bound for i in k])
    intervals = np.array([ViolationRate(int(i), n, confidence).interval for i in k])
    for rate in np.linspace(0.001, 0.999, 333):
        probability = binom.pmf(k, n, rate)
        assert probability[bounds >= rate].sum() >= confidence - 1e-12
        assert probability[(intervals[:, 0] <= rate) & (rate <= intervals[:, 1])].sum() >= confidence - 1e-12


def test_the_rule_of_three():
    assert [ViolationRate(0, n, 0.95).upper_bound <= e for n, e in [(29, 0.1), (59, 0.05), (299, 0.01)]] == [True] * 3
    assert [ViolationRate(0, n, 0.95).upper_bound > e for n, e in [(28, 0.1), (58, 0.05), (298, 0.01)]] == [True] * 3


# ---------------------------------------------------------------------------------------------------------------------
# What a certificate says
# ---------------------------------------------------------------------------------------------------------------------
def test_fields(aligned, certificate):
    f, g = Swing().predict(X_NEW), aligned.predict(X_NEW)
    assert isinstance(certificate, Certificate)
    assert certificate.property == "increasing in 0"
    assert (certificate.alpha, certificate.lambda_, certificate.confidence) == (0.1, aligned.lambda_, 0.95)
    assert certificate.n_queries == certificate.delivered.n_queries == 400
    assert certificate.n_rejected == certificate.delivered.n_rejected
    assert certificate.upper_bound == certificate.delivered.upper_bound
    assert certificate.full_strength.n_rejected <= certificate.n_rejected < certificate.before.n_rejected
    assert certificate.rms_displacement == pytest.approx(np.sqrt(np.mean((g - f) ** 2)))
    assert certificate.max_displacement == np.abs(g - f).max() <= aligned.lambda_
    assert certificate.error == paired_change("mean squared error", (f - Y_NEW) ** 2, (g - Y_NEW) ** 2, 0.95)
    assert certificate.n_missing == 0
    assert aligned.certify(X_NEW).error is None


@pytest.mark.parametrize("alpha", [0, 0.1, 0.3])
@pytest.mark.parametrize("properties", [{0: 1}, {0: -1}, {0: 1, 2: -1}])
def test_what_is_certified_is_the_function_that_users_call(properties, alpha):
    """Ask ``predict`` at the very queries of the certificate and count again, row by row."""
    aligned = aligned_model(properties, alpha)
    certificate = aligned.certify(X_NEW)
    queries = aligned.alignment_.tester.draw(X_NEW, 1, RowDraws.of(X_NEW, generator(0, CERTIFY)))
    counts = []
    for model in (Swing(), aligned):
        rejected = np.zeros(len(X_NEW), dtype=bool)
        for asked in queries.parts:
            low, high = X_NEW.copy(), X_NEW.copy()
            low[:, asked.part.feature], high[:, asked.part.feature] = asked.places[:, 0].T
            sign = 1 if isinstance(asked.part, Increasing) else -1
            rejected |= sign * (model.predict(low) - model.predict(high)) > 1e-12
        counts.append(int(rejected.sum()))
    assert [certificate.before.n_rejected, certificate.n_rejected] == counts
    assert counts[0] > counts[1]


@pytest.mark.parametrize("alpha", [0, 0.1])
@pytest.mark.parametrize("properties", [{0: 1}, {0: -1}, {0: 1, 2: -1}])
def test_the_sentence_says_what_was_observed(properties, alpha):
    certificate = aligned_model(properties, alpha).certify(X_NEW, confidence=0.9)
    sentence = certificate.sentence
    assert sentence.startswith(certificate.claim)
    assert f"({certificate.n_rejected} of 400 observed" in sentence
    assert "With confidence at least 0.9 over the 400 rows certified" in sentence
    assert f'violations of "{certificate.property}"' in sentence
    assert "to the delivered model" in sentence
    assert certificate.query_law in sentence
    assert (
        "two different places drawn independently, given that they differ, from the marginal law of 0 in " in sentence
    )
    assert f"(alpha = {alpha:g})" in certificate.sentence
    assert f"lambda_ = {certificate.lambda_:.6g}" in certificate.sentence
    assert ("mean absolute distance" in certificate.claim) == (len(properties) == 1)


@pytest.mark.parametrize("confidence", [None, 0.8])
@pytest.mark.parametrize("alpha", [0, 0.07])
@pytest.mark.parametrize("loss", ["delivered", "line", "displacement", "existence"])
def test_no_sentence_promises_the_property_with_a_probability(alpha, loss, confidence):
    """Neither in words nor as the number 0.93; what is promised is a rate of violations of at most 0.07."""
    aligned = aligned_model(alpha=alpha, loss=loss, confidence=confidence)
    certificate = aligned.certify(X_NEW, Y_NEW, confidence=0.8)
    for words in (certificate.sentence, str(aligned.calibration_), aligned.calibration_.statement):
        assert not re.search(r"1\s*-\s*(alpha|\N{GREEK SMALL LETTER ALPHA})|(?<![\d.])(0?\.93\b|93 ?%)", words)
        assert not re.search(r"(is|be) (monotone|increasing) with", words)
    if alpha:
        assert aligned.calibration_.statement.endswith("is at most 0.07.")


@pytest.mark.parametrize(
    ("k", "n", "confidence"), [(0, 100_000, 0.95), (0, 10**7, 0.95), (3, 977, 0.95), (1, 59, 0.9), (17, 400, 0.99)]
)
def test_printed_bounds_are_never_below_the_bounds(certificate, k, n, confidence):
    """A bound that is rounded to the nearest figure may be smaller than what was proved: "at most 0.00%"."""
    rate = ViolationRate(k, n, confidence)
    shown = replace(certificate, delivered=rate, confidence=confidence, distance_bound=np.sqrt(rate.upper_bound))
    bound, distance = (float(figure) / 100 for figure in re.findall(r"([\d.e+-]+)% of (?:queries|its)", shown.sentence))
    assert rate.upper_bound <= bound <= rate.upper_bound * 1.05 + 1e-4
    assert np.sqrt(rate.upper_bound) <= distance <= np.sqrt(rate.upper_bound) * 1.05 + 1e-4


def test_labels_add_the_change_of_the_error(certificate, aligned):
    assert "mean squared error" in certificate.sentence.lower()
    assert "paired, approximate" in certificate.sentence
    assert "mean squared error" not in aligned.certify(X_NEW).sentence.lower()


def test_missing_rows_are_said_and_not_covered():
    rows = X_NEW.copy()
    rows[:30, 0] = np.nan

    class Tolerant:
        def predict(self, X):
            return np.nan_to_num(Swing().predict(X))

    aligned = AlignedRegressor(Tolerant(), {0: 1}, random_state=0, confidence=None).calibrate(X_CAL)
    certificate = aligned.certify(rows)
    assert (certificate.n_missing, certificate.n_queries) == (30, 370)
    assert "over the 370 rows certified" in certificate.sentence
    assert "30 rows lack all constrained features: returned unchanged and not covered." in certificate.sentence
    assert "lack" not in aligned.certify(X_NEW).sentence


def test_the_same_seed_certifies_the_same_and_more_rows_bound_more_tightly(aligned, certificate):
    assert aligned.certify(X_NEW, Y_NEW) == certificate
    many = aligned.certify(np.random.default_rng(1).random((4000, 3)))
    assert many.upper_bound - many.delivered.rate < certificate.upper_bound - certificate.delivered.rate


@pytest.mark.parametrize("alpha", [0, 0.1])
def test_json_is_strict(alpha):
    certificate = aligned_model(alpha=alpha).certify(X_NEW, Y_NEW)

    def refuse(constant):
        raise AssertionError(constant)

    figures = json.loads(certificate.to_json(), parse_constant=refuse)
    assert figures["lambda_"] == (None if alpha == 0 else certificate.lambda_)
    assert certificate.to_dict()["lambda_"] == certificate.lambda_
    assert figures["sentence"] == certificate.sentence
    assert figures["upper_bound"] == certificate.upper_bound
    assert (figures["n_rejected"], figures["n_queries"]) == (certificate.n_rejected, 400)
    for name in ("delivered", "before", "full_strength"):
        rate = getattr(certificate, name)
        assert figures[name] == {
            "n_rejected": rate.n_rejected,
            "n_queries": 400,
            "confidence": 0.95,
            "rate": rate.rate,
            "upper_bound": rate.upper_bound,
            "interval": list(rate.interval),
        }
    assert figures["error"]["interval"] == list(certificate.error.interval)
    assert set(figures) == set(certificate.to_dict())
    assert json.loads(aligned_model(alpha=alpha).certify(X_NEW).to_json())["error"] is None


@pytest.mark.parametrize("separate", ["groups", "levels"])
def test_the_printed_bound_of_groups_and_levels_is_the_bound(separate):
    """Each line says the bound, rounded up in its last place, and not the rate."""
    changes = {"groups": lambda X: X[:, 2] > 0.5} if separate == "groups" else {"properties": {0: 1, 2: -1}}
    alpha = 0.1 if separate == "groups" else {0: 0.1, 2: 0.3}
    found = aligned_model(**changes, alpha=alpha, confidence=None).certify(X_NEW)
    assert len(found.separately) == 2
    for what, rate in found.separately:
        (line,) = [line for line in found.sentence.split("\n") if line.startswith(what)]
        printed = float(re.search(r", at most ([\d.]+)\s?%\.$", line).group(1)) / 100
        assert rate.upper_bound <= printed < rate.upper_bound + 1e-3
        assert printed > rate.rate + 0.01


def test_labels_of_groups_are_escaped():
    """A label is text, in the notebook and on the page."""
    labels = np.where(X_NEW[:, 2] > 0.5, "<script>alert(1)</script>", "b & c")
    aligned = AlignedRegressor(Swing(), {0: 1}, alpha=0.2, confidence=None, n_knots=12, random_state=0)
    aligned.calibrate(X_NEW, groups=labels)
    fresh = np.random.default_rng(1).random((300, 3))
    of_fresh = np.where(fresh[:, 2] > 0.5, "<script>alert(1)</script>", "b & c")
    found = aligned.certify(fresh, groups=of_fresh)
    for page in (found._repr_html_(), found.to_html()):
        assert "<script>" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>" in str(found)


def test_html_is_escaped(certificate):
    odd = replace(certificate, property="increasing in '<script>&'")
    page = odd._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;&amp;" in page
    assert page.count("\n") == str(odd).count("\n")


# ---------------------------------------------------------------------------------------------------------------------
# The distance to a monotone function
# ---------------------------------------------------------------------------------------------------------------------
def l1_distance(line, weights):
    """Return the smallest weighted mean absolute distance of a line to a non-decreasing one, by linear programming."""
    m = len(line)
    # Variables: the monotone line g, and e >= |g - line|.
    eye = np.eye(m)
    falls = np.c_[eye[:-1] - eye[1:], np.zeros((m - 1, m))]
    matrix = np.vstack([np.c_[eye, -eye], np.c_[-eye, -eye], falls])
    bounds = np.concatenate([line, -line, np.zeros(m - 1)])
    found = linprog(np.r_[np.zeros(m), weights], matrix, bounds, bounds=[(None, None)] * m + [(0, None)] * m)
    assert found.status == 0
    return found.fun


def pair_rejection(line, weights):
    """Return the exact probability that an iid pair of places is violated by more than rounding."""
    return 2 * np.triu(np.outer(weights, weights) * (line[:, None] > line[None, :] + 1e-12), 1).sum()


def random_lines(n_lines):
    """Return lines of many kinds with the reference mass of their places."""
    random = np.random.default_rng(3)
    for i in range(n_lines):
        m = int(random.integers(2, 40))
        line = [
            lambda m: random.normal(size=m),
            lambda m: random.integers(0, 2, m).astype(float),
            lambda m: np.sort(random.normal(size=m)) + 0.3 * random.normal(size=m),
            lambda m: -np.arange(m) * 1.0,
            lambda m: np.where(random.random(m) < 0.1, -10.0, np.arange(m) / m),
            lambda m: np.arange(m) % 2 * 1.0,
        ][i % 6](m)
        weights = random.multinomial(5 * m, np.full(m, 1 / m)) + 1.0 if i % 4 == 0 else np.ones(m)
        yield line, weights / weights.sum()


def test_distance_theorem():
    """Every line lies within mean absolute distance R sqrt(p) of a monotone one, and within it by least squares too."""
    shares = []
    for line, weights in random_lines(500):
        distance, p = l1_distance(line, weights), pair_rejection(line, weights)
        bound = np.ptp(line) * np.sqrt(p)
        assert distance <= bound + 1e-9
        projected = isotonic_regression(line, weights=weights).x
        assert distance <= weights @ np.abs(projected - line) + 1e-9
        shares.append(distance / bound if bound else 0.0)
    assert max(shares) > 0.5, "the lines should come near the bound"


def test_the_root_in_the_distance_theorem_is_needed():
    """Without it the bound fails, e.g. for 0101... and for a line with one high value at its start."""
    failing = [
        l1_distance(line, weights) > np.ptp(line) * pair_rejection(line, weights) for line, weights in random_lines(60)
    ]
    assert any(failing)


@pytest.mark.parametrize("alpha", [0.05, 0.3])
@pytest.mark.parametrize("direction", [1, -1])
def test_the_distance_bound_of_a_certificate_holds(direction, alpha):
    """Averaged over rows, the exact distance of the delivered lines. False alarm: at most 1e-4 for each case."""
    aligned = aligned_model({0: direction}, alpha)
    certificate = aligned.certify(X_NEW, confidence=0.9999)
    law = aligned.alignment_.tester.laws[0]
    sample = np.repeat(law.places, law.counts.astype(int))
    rows = np.random.default_rng(9).random((60, 3))
    moved = np.repeat(rows, len(sample), axis=0)
    moved[:, 0] = np.tile(sample, len(rows))
    lines = direction * aligned.predict(moved).reshape(len(rows), -1)
    weights = np.full(len(sample), 1 / len(sample))
    shares = [l1_distance(line, weights) / np.ptp(line) for line in lines]
    assert 0 < np.mean(shares) <= certificate.distance_bound


@pytest.mark.filterwarnings("ignore::alignconf.errors.PropertyWarning")
@pytest.mark.parametrize(
    ("properties", "stated"),
    [
        ({0: 1}, True),
        ([Decreasing(0)], True),
        ({0: 1, 1: 0}, True),
        ({0: 1, 2: 1}, False),
        ({0: [1, -1]}, False),
    ],
    ids=repr,
)
def test_the_distance_is_stated_for_one_ordered_feature_only(properties, stated):
    aligned = aligned_model(properties)
    certificate = aligned.certify(X_NEW)
    different = 1 - aligned.alignment_.tester.laws[0].least_coincidence
    expected = pytest.approx(np.sqrt(certificate.upper_bound * different)) if stated else None
    assert certificate.distance_bound == expected
    assert ("mean absolute distance" in certificate.sentence) == stated


def test_a_constant_is_certified_in_both_directions():
    with pytest.warns(PropertyWarning):
        certificate = aligned_model({0: [1, -1]}, alpha=0).certify(X_NEW)
    # Each row asks a query of each direction, of independent draws: about half of either are violated, 70 % of both.
    assert certificate.before.n_rejected > 200
    assert certificate.n_rejected == 0
    assert certificate.property == "increasing in 0 and decreasing in 0 (that is, invariant in 0)"


# ---------------------------------------------------------------------------------------------------------------------
# The change of the error
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("n", [2, 10, 500])
def test_paired_change_agrees_with_scipy(n, confidence):
    random = np.random.default_rng(n)
    y, before = random.normal(size=n), random.normal(size=n)
    after = before + 0.1 * random.normal(size=n)
    found = paired_change("mean squared error", (before - y) ** 2, (after - y) ** 2, confidence)
    exact = ttest_rel((after - y) ** 2, (before - y) ** 2).confidence_interval(confidence)
    assert found.interval == pytest.approx((exact.low, exact.high), rel=1e-9)
    assert (found.before, found.after) == pytest.approx((np.mean((before - y) ** 2), np.mean((after - y) ** 2)))
    assert found.change == pytest.approx(found.after - found.before)
    assert found.confidence == confidence
    assert f"({confidence:.0%}, paired, approximate)" in str(found)


def test_no_change_is_no_change():
    found = paired_change("mean squared error", np.arange(5.0) ** 2, np.arange(5.0) ** 2, 0.95)
    assert found == ErrorChange("mean squared error", 6.0, 6.0, 0.0, (0.0, 0.0), 0.95)


def test_one_row_says_nothing_of_the_change(aligned):
    """With one difference there is no interval: it must not shrink to a point."""
    moved = X_NEW[np.argmax(np.abs(aligned.predict(X_NEW) - Swing().predict(X_NEW)))][None]
    error = aligned.certify(moved, [0.0]).error
    assert error.change != 0
    low, high = error.interval
    assert not low == high == error.change


@pytest.mark.parametrize("weighted", [False, True])
def test_totals_are_the_sums_of_what_is_predicted(weighted: bool) -> None:
    """Against numpy, in and out of partitions, and with several outputs there is none."""
    random = np.random.default_rng(5)
    X = random.random((500, 2))
    y, weights = random.random(200), random.random(200) if weighted else None
    model = LinearRegression().fit(X, 5 - X[:, 0] + X[:, 1])
    aligned = AlignedRegressor(model, {0: 1}, alpha=0, random_state=0).calibrate(X[:300])
    certificate = aligned.certify(X[300:], y, sample_weight=weights)
    counts = np.ones(200) if weights is None else weights
    sums = [float((counts * fitted.predict(X[300:])).sum()) for fitted in (model, aligned)]
    assert certificate.totals == pytest.approx(sums, rel=1e-12)
    assert json.loads(certificate.to_json())["totals"] == pytest.approx(sums)
    change = f"({(sums[1] - sums[0]) / sums[0]:+.2%})"
    assert f"{'Weighted sum' if weighted else 'Sum'} of predictions " in certificate.sentence
    assert change in certificate.sentence
    both = AlignedRegressor({0.1: model, 0.9: model}, {0: 1}, alpha=0, random_state=0).calibrate(X[:300])
    assert both.certify(X[300:]).totals == ()
    if not weighted:
        rows = da.from_array(X[300:], chunks=(70, 2))
        assert aligned.certify(rows).totals == pytest.approx(sums, rel=1e-12)
