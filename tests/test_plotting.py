"""The picture of a line shows what the aligned model delivers."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pytest

from alignconf import AlignedRegressor, InputError, plotting

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
    aligned = AlignedRegressor(Wave(), {0: "increasing"}, alpha=0.1, random_state=0).calibrate(rows)
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
    with pytest.raises(InputError, match="row 3 lacks a constrained feature"):
        plotting.line(aligned, rows, row=3)
