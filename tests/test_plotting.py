"""Pictures show the numbers that they are about, with their names and units, and nothing covers anything else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from alignconf import AlignedClassifier, AlignedRegressor, Certificate, InputError, NotCalibratedError, check, plotting
from alignconf.properties import Bounded, Increasing, Ordered

mpl.use("Agg")


class Wave:
    """f(x) = sin(3 x_0) + x_1."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.sin(3 * X[:, 0]) + X[:, 1]


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (200, 3))


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_curves_are_the_functions(rows: np.ndarray) -> None:
    aligned = AlignedRegressor(Wave(), {0: "increasing"}, alpha=0.1, random_state=0, confidence=None).calibrate(rows)
    ax = plotting.line(aligned, rows, row=7)
    curves = {curve.get_label(): curve.get_xydata() for curve in ax.get_lines()}
    places, delivered = curves["delivered"].T
    moved = np.repeat(rows[7:8], len(places), axis=0)
    moved[:, 0] = places
    np.testing.assert_allclose(delivered, aligned.predict(moved), atol=1e-12)
    np.testing.assert_allclose(curves["model"][:, 1], Wave().predict(moved), atol=1e-12)
    assert (np.diff(curves["projection (full strength)"][:, 1]) >= -1e-12)[::7].all()
    assert f"{aligned.lambda_:.3g}" in ax.get_legend().get_texts()[0].get_text()


def test_draws_on_the_given_axes_and_at_full_strength_without_band(rows: np.ndarray) -> None:
    import matplotlib.pyplot as plt

    aligned = AlignedRegressor(Wave(), {0: "increasing", 1: "increasing"}, alpha=0).calibrate(rows)
    _, ax = plt.subplots()
    assert plotting.line(aligned, rows, 1, ax=ax) is ax
    assert not ax.collections
    assert "full strength" in ax.get_title(loc="left")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"feature": 2}, "feature 2 is not constrained; expected one of 0"),
        ({"row": 200}, "row must be between 0 and 199, got 200"),
        ({"n_points": 1}, "n_points must be a whole number of at least 2"),
    ],
)
def test_refusals(rows: np.ndarray, arguments: dict[str, int], message: str) -> None:
    aligned = AlignedRegressor(Wave(), {0: "increasing"}, alpha=0).calibrate(rows)
    with pytest.raises(InputError, match=message):
        plotting.line(aligned, rows, **arguments)


def test_a_row_without_a_place_has_no_line(rows: np.ndarray) -> None:
    aligned = AlignedRegressor(Wave(), {0: "increasing"}, alpha=0).calibrate(rows)
    rows[3, 0] = np.nan
    with pytest.raises(InputError, match="X has no value of 0 in row 3"):
        plotting.line(aligned, rows, row=3)


# Lines ----------------------------------------------------------------------------------------------------------------
def text_of(ax: Any) -> str:
    """Everything that is written on a picture, its twins and its colour bars."""
    ax.figure.draw_without_rendering()
    return "\n".join(text.get_text() for text in ax.figure.findobj(mpl.text.Text) if text.get_visible())


def frame(n_rows: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame({"size ($)": random.uniform(-1, 1, n_rows), "b": random.uniform(-1, 1, n_rows)})
    table["cut"] = random.choice(["Fair", "Good", "Ideal"], n_rows)
    table.attrs["units"] = {"size ($)": "$/m²"}
    return table


class Cuts:
    """sin(3 x_0) + x_1 + a step that falls from Good to Ideal."""

    classes_ = np.array(["no", "yes"])

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        step = X["cut"].map({"Fair": 0.0, "Good": 2.0, "Ideal": 1.0}).to_numpy(dtype=float)
        return np.sin(3 * X.iloc[:, 0].to_numpy()) + X["b"].to_numpy() + step


class LikelyCuts(Cuts):
    """The same as the probability of a class."""

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        p = 1 / (1 + np.exp(-super().predict(X)))
        return np.column_stack([1 - p, p])


RULES = [Ordered("cut", ["Fair", "Good", "Ideal"]), Increasing("size ($)")]


def test_a_line_over_categories_names_them() -> None:
    aligned = AlignedRegressor(Cuts(), RULES, alpha=0.1, random_state=0, confidence=None).calibrate(frame(200))
    ax = plotting.line(aligned, frame(9, 1), "cut", row=2)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["Fair", "Good", "Ideal"]
    (delivered,) = (curve for curve in ax.get_lines() if curve.get_label() == "delivered")
    moved = frame(9, 1).iloc[[2, 2, 2]].assign(cut=["Fair", "Good", "Ideal"])
    np.testing.assert_allclose(delivered.get_ydata(), aligned.predict(moved), atol=1e-12)


def test_units_and_dollars_are_drawn_as_they_are() -> None:
    aligned = AlignedRegressor(Cuts(), RULES, alpha=0.1, random_state=0, confidence=None).calibrate(frame(200))
    ax = plotting.line(aligned, frame(9, 1), "size ($)")
    assert ax.get_xlabel().replace(r"\$", "$") == "size ($) ($/m²)"
    assert not any(label.get_text().count("$") > label.get_text().count(r"\$") for label in (ax.xaxis.label, ax.title))
    text_of(ax)  # a formula would be refused here


def test_a_line_of_a_class_says_whose_probability_it_is_and_its_band_is_one() -> None:
    aligned = AlignedClassifier(LikelyCuts(), RULES, alpha=0.1, random_state=0, confidence=None).calibrate(frame(200))
    ax = plotting.line(aligned, frame(9, 1), "size ($)")
    assert ax.get_ylabel().replace("\n", " ") == "the probability of class 'yes'"
    low, high = ax.collections[0].get_paths()[0].get_extents().get_points()[:, 1]
    assert low >= 0
    assert high <= 1


def test_a_surrogate_has_lines_too() -> None:
    """Four features are too many for a grid: the line is that of the surrogate, still what ``predict`` delivers."""
    X = np.random.default_rng(0).uniform(-1, 1, (300, 4))
    aligned = AlignedRegressor(
        Wave(), dict.fromkeys(range(4), 1), alpha=0.2, random_state=0, confidence=None
    ).calibrate(X)
    ax = plotting.line(aligned, X, 1, row=5, n_points=30)
    (delivered,) = (curve for curve in ax.get_lines() if curve.get_label() == "delivered")
    moved = np.repeat(X[[5]], delivered.get_xdata().size, axis=0)
    moved[:, 1] = delivered.get_xdata()
    np.testing.assert_allclose(delivered.get_ydata(), aligned.predict(moved), atol=1e-12)


def test_a_row_of_a_group_has_the_band_of_its_group(rows: np.ndarray) -> None:
    aligned = AlignedRegressor(
        Wave(), {0: 1}, alpha=0.2, groups=lambda X: X[:, 2] > 0, random_state=0, confidence=None
    ).calibrate(rows)
    widths = {
        bool(row[2] > 0): plotting.line(aligned, row[None]).get_legend().get_texts()[0].get_text() for row in rows[:20]
    }
    found = aligned.threshold_.half_widths
    assert widths == {group: f"band, ±{width:.3g}" for group, width in found.items()}


def test_what_has_no_lines_is_refused(rows: np.ndarray) -> None:
    aligned = AlignedRegressor(Wave(), Bounded(0, 1), alpha=0.2, random_state=0, confidence=None).calibrate(rows)
    with pytest.raises(InputError, match="nothing is asked along lines"):
        plotting.line(aligned, rows)


# Scores ---------------------------------------------------------------------------------------------------------------
def test_scores_fall_as_their_distribution_and_lambda_is_marked(rows: np.ndarray) -> None:
    aligned = AlignedRegressor(Wave(), {0: 1}, alpha=0.1, n_queries=1, random_state=0, confidence=None).calibrate(rows)
    ax = plotting.scores(aligned)
    steps, marks, alpha, marked = ax.get_lines()
    found = aligned.calibration_scores_
    for at, share in steps.get_xydata():
        assert share == pytest.approx(100 * np.mean(found > at))
    assert marks.get_xdata().size == found.size
    assert marked.get_xdata()[0] == aligned.lambda_
    assert alpha.get_ydata()[0] == 10
    assert f"lambda_ = {aligned.lambda_:.4g}" in text_of(ax)


def test_scores_that_nothing_repairs_are_counted(rows: np.ndarray) -> None:
    aligned = AlignedRegressor(Wave(), {0: 1}, alpha=0.2, random_state=0, confidence=None).calibrate(rows)
    aligned.calibration_scores_ = np.append(aligned.calibration_scores_[:-2], [np.inf, np.inf])
    assert "160 scores, 2 of them infinite" in text_of(plotting.scores(aligned))


def test_without_scores_there_is_no_picture_of_them(rows: np.ndarray) -> None:
    with pytest.raises(InputError, match="no scores to draw: at alpha=0 nothing is calibrated"):
        plotting.scores(AlignedRegressor(Wave(), {0: 1}, alpha=0).calibrate(rows))
    with pytest.raises(InputError, match="aligned must be an AlignedRegressor or AlignedClassifier, got 3"):
        plotting.scores(3)
    with pytest.raises(NotCalibratedError, match="no lambda_ yet"):
        plotting.scores(AlignedRegressor(Wave(), {0: 1}, confidence=None))


# The dial -------------------------------------------------------------------------------------------------------------
@pytest.fixture
def certificates(rows: np.ndarray) -> list[Certificate]:
    fresh = np.random.default_rng(1).uniform(-1, 1, (150, 3))
    aligned = (
        AlignedRegressor(Wave(), {0: 1}, alpha=a, random_state=0, confidence=None).calibrate(rows)
        for a in (0.05, 0.2, 0)
    )
    return [one.certify(fresh, Wave().predict(fresh)) for one in aligned]


def test_the_dial_shows_each_certificate_and_each_rival(certificates: list[Certificate], rows: np.ndarray) -> None:
    audit = check(Wave(), rows, {0: 1}, random_state=0)
    ax = plotting.dial(certificates, rivals={"retrained": (audit, 0.5), "by hand": (0.25, None)})
    seen = [bars.lines[0].get_ydata()[0] for bars in ax.containers]
    turned = sorted(certificates, key=lambda one: -one.alpha)
    expected = [turned[0].before, *(one.delivered for one in turned), audit.violations]
    assert seen == pytest.approx([*(100 * one.rate for one in expected), 25])
    for bars, rate in zip(ax.containers, expected, strict=False):
        ends = np.sort(bars.lines[2][0].get_segments()[0][:, 1])
        assert ends == pytest.approx(100 * np.array(rate.interval))
    (twin,) = (other for other in ax.figure.axes if other is not ax)
    (errors,) = twin.get_lines()
    assert errors.get_ydata() == pytest.approx([turned[0].error.before, *(one.error.after for one in turned), 0.5])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == [
        "the model",
        "0.2",
        "0.05",
        "0",
        "retrained",
        "by hand",
    ]
    assert twin.get_ylabel() == "mean squared error"


def test_the_dial_without_labels_has_violations_alone(rows: np.ndarray) -> None:
    aligned = AlignedRegressor(Wave(), {0: 1}, alpha=0.1, random_state=0, confidence=None).calibrate(rows)
    ax = plotting.dial([aligned.certify(np.random.default_rng(1).uniform(-1, 1, (50, 3)))])
    assert ax.figure.axes == [ax]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"certificates": []}, "certificates must be a list of certificates"),
        ({"certificates": [3]}, "certificates must be a list of certificates"),
        ({"rivals": [("a", 1)]}, "rivals must map names to"),
        ({"rivals": {"a": 0.1}}, r"rival 'a' must be \(violations, error\)"),
        (
            {"rivals": {"a": (12, 1)}},
            "violations of rival 'a' must be a share of at most 1, got 12; divide percent by 100",
        ),
        ({"rivals": {"a": (-0.1, 1)}}, "violations of rival 'a' must be a finite number of at least 0"),
        ({"rivals": {"a": (0.1, "small")}}, "error of rival 'a' must be a finite number"),
    ],
)
def test_what_the_dial_cannot_show(certificates: list[Certificate], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plotting.dial(**({"certificates": certificates} | arguments))


def test_the_dial_is_about_one_property(certificates: list[Certificate]) -> None:
    other = replace(certificates[0], property="decreasing in 'b'")
    with pytest.raises(InputError, match="must be about one property"):
        plotting.dial([*certificates, other])


# Violations -----------------------------------------------------------------------------------------------------------
class Valley:
    """|x_0| where x_1 > 0, else x_0: "increasing" fails at x_1 > 0 alone."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.where(X[:, 1] > 0, np.abs(X[:, 0]), X[:, 0])


def test_violations_are_where_they_are() -> None:
    """None below x_1 = 0; above it a pair fails iff its sum is negative: half of the time, more often the lower its points lie.

    With x uniform in [-1, 1] a query with a point at u fails with probability (1 - u) / 2. Each of four cells has about 2,500
    points' worth of queries of 250 rows, so that a share is off by 6 % with a probability below 1e-4.
    """
    X = np.random.default_rng(0).uniform(-1, 1, (2500, 3))
    ax = plotting.violations(Valley(), X, {0: 1}, (0, 1), n_bins=4, X_reference=X[:2000], random_state=0)
    (mesh,) = ax.collections
    share = np.ma.filled(mesh.get_array(), np.nan).reshape(4, 4)
    np.testing.assert_array_equal(share[:2], 0)
    middle = np.array([-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(share[2:], np.tile(50 * (1 - middle), (2, 1)), atol=6)


def test_cells_count_every_query_once() -> None:
    """The rate of an audit of the same draws is an average of the shares of both cells, so that it lies between them."""
    X = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    X[:, 2] = 5.0
    ax = plotting.violations(Valley(), X, {0: 1}, (2, 0), n_bins=2, n_queries=1, min_queries=1, random_state=3)
    audit = check(Valley(), X, {0: 1}, random_state=3)
    share = np.ma.filled(ax.collections[0].get_array(), np.nan).ravel()
    assert share.size == 2
    assert min(share) <= 100 * audit.violations.rate <= max(share)


def test_categories_are_cells_and_rare_cells_are_empty() -> None:
    table = frame(400)
    table.loc[3, "cut"] = "Ideal"
    ax = plotting.violations(Cuts(), table, RULES, ("cut", "size ($)"), n_queries=3, random_state=0)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["Fair", "Good", "Ideal"]
    assert "violated queries (%)" in text_of(ax)
    assert ax.get_ylabel().replace(r"\$", "$") == "size ($) ($/m²)"
    few = plotting.violations(Cuts(), table, RULES, ("cut", "b"), n_queries=1, min_queries=10**6, random_state=0)
    assert np.ma.getmaskarray(few.collections[0].get_array()).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": (0,)}, "features must be two features of X, across and up"),
        ({"features": (1, 1)}, "features must be two different features"),
        ({"features": (0, 7)}, "feature 7 is not in X"),
        ({"n_bins": 1}, "n_bins must be a whole number of at least 2"),
        ({"n_queries": 0}, "n_queries must be a whole number of at least 1"),
        ({"min_queries": 0}, "min_queries must be a whole number of at least 1"),
    ],
)
def test_heat_maps_refuse(rows: np.ndarray, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plotting.violations(Wave(), rows, {0: 1}, **({"features": (0, 1)} | arguments))


# Certificates ---------------------------------------------------------------------------------------------------------
def test_a_certificate_is_drawn_with_its_intervals(certificates: list[Certificate], rows: np.ndarray) -> None:
    found = certificates[0]
    ax = plotting.certificate(found)
    drawn = [line.get_xdata() for line in ax.get_lines() if line.get_linestyle() == "-"]
    expected = [found.before.interval, found.delivered.interval, found.full_strength.interval]
    np.testing.assert_allclose(drawn, 100 * np.array(expected))
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [
        "model before alignment",
        "delivered",
        "at full strength",
    ]
    audit = check(Wave(), rows, {0: 1}, random_state=0)
    assert "should keep to" not in text_of(plotting.certificate(audit))
    assert "should keep to" in text_of(plotting.certificate(audit, max_rate=0.1))


def test_what_is_no_certificate_is_refused(certificates: list[Certificate]) -> None:
    with pytest.raises(InputError, match="found must be a Certificate or what check returns, got 'one' of type str"):
        plotting.certificate("one")
    with pytest.raises(InputError, match=r"max_rate must be a number in \[0, 1\), got 1\.5"):
        plotting.certificate(certificates[0], max_rate=1.5)


def test_every_picture_takes_axes_and_returns_them(certificates: list[Certificate], rows: np.ndarray) -> None:
    import matplotlib.pyplot as plt

    aligned = AlignedRegressor(Wave(), {0: 1}, alpha=0.1, random_state=0, confidence=None).calibrate(rows)
    _, axes = plt.subplots(5)
    assert plotting.line(aligned, rows, ax=axes[0]) is axes[0]
    assert plotting.scores(aligned, ax=axes[1]) is axes[1]
    assert plotting.dial(certificates, ax=axes[2]) is axes[2]
    assert plotting.violations(Wave(), rows, {0: 1}, (0, 1), n_queries=1, random_state=0, ax=axes[3]) is axes[3]
    assert plotting.certificate(certificates[0], ax=axes[4]) is axes[4]


def drawn_texts(ax: Any) -> list[Any]:
    """All texts of a picture but the labels of ticks beyond the ends of an axis, which are not drawn."""
    texts = [text for text in ax.figure.findobj(mpl.text.Text) if text.get_visible() and text.get_text().strip()]
    for axis in (axis for axes in ax.figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        beyond = [tick for tick in axis.get_major_ticks() if not low - 1e-9 <= tick.get_loc() <= high + 1e-9]
        texts = [text for text in texts if all(text not in (tick.label1, tick.label2) for tick in beyond)]
    return texts


def test_nothing_that_is_written_covers_anything_else_that_is(
    certificates: list[Certificate], rows: np.ndarray
) -> None:
    """The boxes of all texts of each picture, as matplotlib lays them out, do not overlap, and lie inside the figure."""
    aligned = AlignedRegressor(Wave(), {0: 1, 1: 1}, alpha=0.1, random_state=0, confidence=None).calibrate(rows)
    cuts = AlignedRegressor(Cuts(), RULES, alpha=0.1, random_state=0, confidence=None).calibrate(frame(200))
    rivals = {"retrained with a constraint": (0.01, 0.2), "an ICE loop by hand": (0.0, 0.3)}
    drawn = [
        plotting.line(aligned, rows), plotting.line(cuts, frame(9, 1), "cut"), plotting.scores(aligned),
        plotting.dial(certificates, rivals=rivals), plotting.certificate(certificates[0]),
        plotting.violations(Cuts(), frame(300), RULES, ("cut", "size ($)"), random_state=0),
    ]  # fmt: skip
    for ax in drawn:
        ax.figure.draw_without_rendering()
        boxes = [(text.get_text(), text.get_window_extent()) for text in drawn_texts(ax)]
        for i, (words, box) in enumerate(boxes):
            assert box.x0 >= -1, words
            assert box.x1 <= ax.figure.bbox.x1 + 1, words
            for others, other in boxes[:i]:
                across, down = (
                    min(box.x1, other.x1) - max(box.x0, other.x0),
                    min(box.y1, other.y1) - max(box.y0, other.y0),
                )
                assert min(across, down) <= 2, f"{words!r} covers {others!r}"
