r"""A promise for each group: ranks of its own, and what becomes of small, new, missing and overlapping groups.

The rows are :math:`(x, z, \text{group})` and the model is ``z h(x)``, so that scores scale with ``z``, whose law differs
between the groups.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alignconf import AlignedClassifier, AlignedRegressor
from alignconf.calibration.ranks import critical_half_width
from alignconf.calibration.threshold import ByGroup
from alignconf.errors import CalibrationError, InputError
from alignconf.tables.groups import read_groups


class Wave:
    """Falls along column 0 by an amount that column 1 scales."""

    def predict(self, X):
        X = np.asarray(X, dtype=float)
        return X[:, 1] * np.sin(7 * X[:, 0])


def rows(n_samples, seed, share=0.25):
    """Rows of two groups; the scale of group 1, a share of the rows, is three times that of group 0."""
    random = np.random.default_rng(seed)
    group = (random.random(n_samples) < share).astype(float)
    return np.column_stack([random.random(n_samples), random.exponential(size=n_samples) * (1 + 2 * group), group])


def by_label(X):
    return X[:, 2].astype(int)


def align(**changes):
    aligned = AlignedRegressor(Wave(), {0: 1}, **{"confidence": None, **{"alpha": 0.1, "random_state": 0, **changes}})
    return aligned.calibrate(rows(4000, 1), X_reference=rows(300, 2))


def test_each_group_gets_the_rank_of_its_own_rows() -> None:
    X = rows(4000, 1)
    whole = align().calibration_
    for source in (2, [2], by_label):
        aligned = align(groups=source)
        claims = aligned.calibration_.claims
        assert sum(claim.n_rows for claim in claims) == 4000
        assert {claim.n_rows for claim in claims} == {int((X[:, 2] == 0).sum()), int((X[:, 2] == 1).sum())}
        small, large = sorted(claim.lambda_ for claim in claims)
        assert small < whole.lambda_ < large == aligned.lambda_
        statement = aligned.calibration_.statement
        assert "within each of the 2 groups by itself" in statement
        assert "exchangeable within their group" in statement
        assert "in group" in str(aligned.calibration_)


def test_the_half_width_of_a_group_is_that_of_calibrating_its_rows_alone() -> None:
    """One query for each row and the same draws: scores of all rows at once, then the rank within each group."""
    aligned = align(groups=by_label, n_queries=1, loss="line")
    scores = aligned.alignment_.half_widths(rows(4000, 1))[:, None]
    for claim in aligned.calibration_.claims:
        inside = by_label(rows(4000, 1)) == claim.group
        assert (claim.lambda_, claim.n_above) == critical_half_width(scores[inside], 0.1)


def test_pooling_breaks_the_promise_in_the_small_group_and_groups_keep_it() -> None:
    """20,000 fresh rows. In a group of 1,000 calibration rows with 10 queries each the rate has sd below .01; margins of four."""
    fresh = rows(20_000, 5)
    of_pooled = [align().certify(fresh[fresh[:, 2] == group]).delivered.rate for group in (0, 1)]
    assert of_pooled[0] < 0.08
    assert of_pooled[1] > 0.2
    certificate = align(groups=by_label).certify(fresh)
    for (name, rate), group in zip(certificate.separately, (0, 1), strict=True):
        assert name == f"group {group}"
        assert rate.n_queries == (fresh[:, 2] == group).sum()
        assert 0.06 < rate.rate < 0.14
        assert f"group {group}: " in certificate.sentence
    assert certificate.to_dict()["separately"]["group 1"]["n_rejected"] == certificate.separately[1][1].n_rejected


def test_labels_next_to_the_rows_do_the_same() -> None:
    X, fresh = rows(4000, 1), rows(500, 3)
    read = align(groups=by_label)
    labels = np.where(X[:, 2] > 0, "large", "small")
    of_fresh = np.where(fresh[:, 2] > 0, "large", "small")
    given = AlignedRegressor(Wave(), {0: 1}, alpha=0.1, random_state=0, confidence=None)
    given.calibrate(X, groups=labels, X_reference=rows(300, 2))
    np.testing.assert_array_equal(given.predict(fresh, groups=of_fresh), read.predict(fresh))
    np.testing.assert_array_equal(given.predict_band(fresh, groups=of_fresh), read.predict_band(fresh))
    assert given.certify(fresh, groups=of_fresh).delivered == read.certify(fresh).delivered
    with pytest.raises(InputError, match="groups is missing: calibration was by group"):
        given.predict(fresh)
    with pytest.raises(InputError, match=r"groups has shape \(3,\); expected one label for each of the 500 rows"):
        given.predict(fresh, groups=["small"] * 3)
    with pytest.raises(InputError, match="groups is given twice"):
        read.predict(fresh, groups=of_fresh)
    with pytest.raises(InputError, match="groups is given, but calibration was not by group"):
        align().predict(fresh, groups=of_fresh)


def test_labels_follow_their_rows_when_reference_rows_are_set_aside_and_when_fit_splits() -> None:
    """A label that is a copy of a column must give what the column gives, bit for bit."""
    X = rows(3000, 1)

    class Fitted(Wave):
        def get_params(self, deep=True):  # noqa: ARG002
            return {}

        def fit(self, X, y):  # noqa: ARG002
            return self

    for call in ("calibrate", "fit"):
        outcomes = []
        for groups, labels in ((2, None), (None, X[:, 2])):
            aligned = AlignedRegressor(Fitted(), {0: 1}, alpha=0.1, groups=groups, random_state=0, confidence=None)
            arguments = (X,) if call == "calibrate" else (X, X[:, 0])
            getattr(aligned, call)(*arguments, groups=labels)
            outcomes.append({claim.group: claim.lambda_ for claim in aligned.calibration_.claims})
        assert outcomes[0] == outcomes[1]


def test_overlapping_groups_take_the_largest_half_width() -> None:
    X, fresh = rows(4000, 1), rows(600, 3)

    def overlapping(X):
        return pd.DataFrame({"all": np.ones(len(X), dtype=bool), "large": X[:, 2] > 0, "left": X[:, 0] < 2})

    aligned = align(groups=overlapping)
    widths = {claim.group: claim.lambda_ for claim in aligned.calibration_.claims}
    assert widths["all"] == widths["left"] < widths["large"]
    expected = np.where(fresh[:, 2] > 0, widths["large"], widths["all"])
    np.testing.assert_array_equal(aligned.threshold_.of_rows(fresh), expected)
    members = np.column_stack([np.ones(4000, dtype=bool), X[:, 2] > 0])
    given = AlignedRegressor(Wave(), {0: 1}, alpha=0.1, random_state=0, confidence=None)
    given.calibrate(X, groups=members, X_reference=rows(300, 2))
    assert {claim.group for claim in given.calibration_.claims} == {0, 1}
    with pytest.raises(InputError, match="row 0, which is in no group, had no calibration rows"):
        given.predict(fresh, groups=np.zeros((600, 2), dtype=bool))


def test_new_groups_are_refused_or_get_the_largest_half_width() -> None:
    new = rows(50, 3)
    new[7, 2] = 5.0
    with pytest.raises(
        InputError, match=r"the groups \[5\.0\] had no calibration rows; expected one of \[0\.0, 1\.0\]"
    ):
        align(groups=2).predict(new)
    lenient = align(groups=2, unseen_groups="largest")
    widths = lenient.threshold_.of_rows(new)
    assert widths[7] == lenient.lambda_ == widths.max()


def test_groups_that_are_too_small_are_named_with_the_rows_they_need() -> None:
    X = rows(4000, 1)
    X[:5, 2], X[5:9, 2] = 7.0, 8.0
    aligned = AlignedRegressor(Wave(), {0: 1}, alpha=0.1, groups=2, random_state=0, confidence=None)
    with pytest.raises(CalibrationError) as caught:
        aligned.calibrate(X, X_reference=rows(300, 2))
    message = str(caught.value)
    for words in (
        "2 of 4 groups have too few calibration rows",
        "7.0 (5 rows), 8.0 (4 rows)",
        "each needs at least 9",
        "merge them",
    ):
        assert words in message
    assert not hasattr(aligned, "lambda_")


def test_a_group_that_nothing_repairs_is_named() -> None:
    """Places between two knots of a wild line: nothing helps there, and only one group has them."""

    class Wild:
        def predict(self, X):
            return np.where(X[:, 1] > 0, np.sin(1e4 * X[:, 0]), 0.0)

    random = np.random.default_rng(0)
    X = np.column_stack([random.random(900), random.random(900) > 0.5]).astype(float)
    aligned = AlignedRegressor(Wild(), {0: 1}, alpha=0.05, n_knots=2, groups=1, random_state=0, confidence=None)
    with pytest.raises(CalibrationError, match=r"^group 1\.0: .* stay violated at any half-width"):
        aligned.calibrate(X)


def test_groups_must_not_change_along_a_line() -> None:
    with pytest.raises(InputError) as caught:
        align(groups=lambda X: X[:, 0] > 0.5)
    for words in (
        "groups changes between the points of a query at",
        "of 300 reference rows",
        "Leave constrained features out",
    ):
        assert words in str(caught.value)
    with pytest.raises(InputError, match="groups changes between the points"):
        align(groups=[2, 0])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.full(4000, np.nan), ["groups is missing at row 0 (4000 of 4000 rows)"]),
        ([None, *["a"] * 3999], ["groups is missing at row 0 (1 of 4000 rows)", "'unknown'"]),
        (np.zeros((4000, 2)), ["overlapping groups and take truth values"]),
        (np.zeros(10), ["groups has shape (10,)"]),
    ],
)
def test_bad_labels_are_refused(labels, words) -> None:
    with pytest.raises(InputError) as caught:
        AlignedRegressor(Wave(), {0: 1}, random_state=0, confidence=None).calibrate(rows(4000, 1), groups=labels)
    for word in words:
        assert word in str(caught.value)


def test_unseen_groups_is_one_of_two_words() -> None:
    with pytest.raises(InputError, match="unseen_groups must be one of 'refuse', 'largest', got 'ignore'"):
        align(unseen_groups="ignore")


def test_with_confidence_each_group_needs_rows_of_its_own() -> None:
    aligned = align(groups=2, confidence=0.95)
    assert "for each of these bounds by itself" in aligned.calibration_.statement
    with pytest.raises(CalibrationError, match="each needs at least 29"):
        AlignedRegressor(Wave(), {0: 1}, confidence=0.95, groups=2, random_state=0).calibrate(rows(80, 1))


def test_rows_of_no_group_have_the_largest_half_width_or_are_refused() -> None:
    """Overlapping groups: in the first, in both, in the second, in none."""
    labels = np.array([[True, False], [True, True], [False, True], [False, False]])
    widths = {0: 1.0, 1: 3.0}
    assert ByGroup(None, widths, lenient=True).of_rows(np.zeros((4, 1)), labels).tolist() == [1.0, 3.0, 3.0, 3.0]
    assert ByGroup(None, {0: 3.0, 1: 1.0}, lenient=True).of_rows(np.zeros((4, 1)), labels).tolist() == [
        3.0,
        3.0,
        1.0,
        3.0,
    ]
    with pytest.raises(InputError, match="row 3, which is in no group, had no calibration rows"):
        ByGroup(None, widths, lenient=False).of_rows(np.zeros((4, 1)), labels)


def test_a_mondrian_categorizer_of_crepes_names_the_groups() -> None:
    extras = pytest.importorskip("crepes.extras", reason="crepes is an optional companion")
    categorizer = extras.MondrianCategorizer()
    categorizer.fit(rows(200, 4), f=lambda X: X[:, 1], no_bins=3)
    bounds = categorizer.bin_thresholds[1:-1]
    by_crepes, by_function = align(groups=categorizer), align(groups=lambda X: np.searchsorted(bounds, X[:, 1]))
    fresh = rows(300, 3)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    np.testing.assert_array_equal(by_crepes.predict(fresh), by_function.predict(fresh))
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_data_frames_and_classifiers_have_groups_too() -> None:
    random = np.random.default_rng(0)
    X = pd.DataFrame({"x": random.random(1500), "site": random.choice(["north", "south"], 1500)})

    class Sure:
        classes_ = np.array([0, 1])

        def predict_proba(self, X):
            p = 0.5 + np.where(X["site"] == "north", 0.4, 0.1) * np.sin(7 * X["x"].to_numpy(dtype=float))
            return np.column_stack([1 - p, p])

    aligned = AlignedClassifier(Sure(), {"x": 1}, groups="site", alpha=0.1, random_state=0, confidence=None).calibrate(
        X[:1000]
    )
    widths = {claim.group: claim.lambda_ for claim in aligned.calibration_.claims}
    assert widths["north"] > 2 * widths["south"]
    rest = X[1000:].reset_index(drop=True)
    assert [name for name, _ in aligned.certify(rest).separately] == ["group 'north'", "group 'south'"]
    several = AlignedClassifier(
        Sure(), {"x": 1}, groups=["site"], alpha=0.1, random_state=0, confidence=None
    ).calibrate(X[:1000])
    assert several.lambda_ == aligned.lambda_


def test_groups_are_read_in_the_order_of_their_labels() -> None:
    table = np.array([[1.0, 2.0], [3.0, 2.0], [1.0, 5.0]])
    membership = read_groups([0, 1], table)
    assert membership.names == ((1.0, 2.0), (3.0, 2.0), (1.0, 5.0))
    assert membership.codes.tolist() == [[0], [1], [2]]
