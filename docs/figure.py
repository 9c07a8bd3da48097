"""Draw the pictures of the pages: ``python docs/figure.py docs/_static``.

Two show the model and data of the README. Of the fresh rows whose line breaks the rule, the one in the middle is drawn: half
of them are moved further by the repair, half less far. The picture of the credit page is the one that its own code draws.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import binom
from sklearn.ensemble import HistGradientBoostingRegressor

from alignconf import AlignedRegressor

RULE = {"mileage": "decreasing"}
GREY, RED, GREEN, ORANGE = "#777777", "#c62828", "#1b7837", "#d95f02"
STYLE = {"svg.hashsalt": "alignconf", "svg.fonttype": "none", "font.size": 11, "axes.spines.top": False}


class Cars:
    """The README's example, and one car's predictions as its mileage varies."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        columns = ["mileage", "age", "power"]
        self.X = pd.DataFrame(random.uniform([0, 0, 50], [200, 15, 200], (6000, 3)).round(), columns=columns)
        noise = random.normal(0, 3, 6000)
        price = 20 - 0.04 * self.X["mileage"] - 0.4 * self.X["age"] + 0.05 * self.X["power"] + noise
        self.model = HistGradientBoostingRegressor(random_state=0).fit(self.X[:1000], price[:1000])
        self.full, self.dial = (self.aligned(alpha) for alpha in (0, 0.05))
        moved = np.abs(self.full.predict(self.X[2000:]) - self.model.predict(self.X[2000:]))
        row = int(np.argsort(moved)[np.count_nonzero(moved == 0) + np.count_nonzero(moved) // 2])
        self.mileage = np.arange(201.0)
        self.car = pd.DataFrame([self.X.iloc[2000 + row]] * 201).assign(mileage=self.mileage)

    def aligned(self, alpha: float) -> AlignedRegressor:
        """Return the model aligned at one level."""
        estimator = AlignedRegressor(self.model, RULE, alpha=alpha, random_state=0)
        return estimator.calibrate(self.X[1000:2000], X_reference=self.X[:1000])


def model_line(axes: Axes, cars: Cars, label: str | None = "model") -> np.ndarray:
    """Draw the model's predictions for the car, red where they rise, and return them."""
    line = np.asarray(cars.model.predict(cars.car))
    axes.step(cars.mileage, line, where="post", color=GREY, lw=1.6, label=label)
    return line


def caption(axes: Axes, title: str, y: str | None = None) -> None:
    """Write what a panel shows, and its axes."""
    axes.set_title(title, loc="left", fontsize=11)
    axes.set(xlabel="mileage of one car (1,000 km), all else equal", ylabel=y)


def draw_line(path: Path, cars: Cars) -> None:
    """Write the README's picture: the model of one car before, and after at two levels."""
    with mpl.rc_context(STYLE):
        figure, (before, after) = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
        line = model_line(before, cars)
        for i in np.flatnonzero(np.diff(line) > 0) + 1:
            before.plot([cars.mileage[i]] * 2, [line[i - 1], line[i]], color=RED, lw=3, label=None)
        before.plot([], [], color=RED, lw=3, label="rises: the rule is broken")
        caption(before, "The model", "predicted price (1,000 euros)")
        model_line(after, cars)
        after.step(
            cars.mileage, cars.full.predict(cars.car), where="post", color=GREEN, lw=2.2, label="alpha=0: never rises"
        )
        label = "alpha=0.05: hardly ever"
        after.step(cars.mileage, cars.dial.predict(cars.car), where="post", color=ORANGE, lw=1.4, ls="--", label=label)
        caption(after, "The same model, aligned")
        for axes in (before, after):
            axes.legend(fontsize=9, frameon=False, loc="upper right")
        save(figure, path)


def draw_question(path: Path, cars: Cars) -> None:
    """Write the picture of *How it works*: a question, the nearest line that obeys, the band, and how wide it must be."""
    lambda_ = cars.dial.lambda_
    with mpl.rc_context(STYLE):
        figure, panels = plt.subplots(2, 2, figsize=(9, 6.6), layout="constrained")
        asked, nearest, band, widths = panels.flat
        line = model_line(asked, cars)
        first, second = worst_pair(line)
        asked.plot(
            cars.mileage[[first, second]],
            line[[first, second]],
            "o",
            color=RED,
            label="two values: the second is higher",
        )
        caption(asked, "1  A question")
        repaired = cars.full.predict(cars.car)
        for axes in (nearest, band):
            model_line(axes, cars)
            axes.step(cars.mileage, repaired, where="post", color=GREEN, ls="--", label="nearest line that never rises")
        caption(nearest, "2  The nearest line that obeys")
        band.fill_between(
            cars.mileage, line - lambda_, line + lambda_, step="post", color=GREY, alpha=0.2, label="band"
        )
        band.step(
            cars.mileage,
            cars.dial.predict(cars.car),
            where="post",
            color=ORANGE,
            lw=2,
            label="aligned, within the band",
        )
        caption(band, "3  The band")
        needed = np.sort(cars.dial.critical_half_widths(cars.X[1000:2000], random_state=0))
        widths.step(np.r_[0, needed], 100 * np.arange(needed.size, -1, -1) / needed.size, where="post", color=GREY)
        widths.axhline(5, color=RED, lw=1, label="alpha: 5%")
        widths.axvline(lambda_, color=ORANGE, lw=1.5, label="half-width")
        widths.set(
            xlim=(0, 2.5 * lambda_),
            ylim=(0, 16),
            xlabel="half-width of the band (1,000 euros)",
            ylabel="questions broken (%)",
        )
        widths.set_title("4  How wide the band must be", loc="left", fontsize=11)
        for axes in panels.flat:
            axes.legend(fontsize=9, frameon=False, loc="upper right")
        save(figure, path)


def draw_credit(path: Path, _: Cars) -> None:
    """Write the picture of the credit page, up to the block that draws it."""
    page = (Path(__file__).parent / "credit.md").read_text(encoding="utf-8")
    drawn: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        with mpl.rc_context(STYLE):
            exec(compile(block.replace('figure.savefig("moved.svg")', ""), "credit.md", "exec"), drawn)
        if "figure" in drawn:
            break
    with mpl.rc_context(STYLE):
        save(drawn["figure"], path)


def draw_average(path: Path, _: Cars) -> None:
    """Write the picture of *Which guarantee*: the rates of 200 calibrations, on average and with confidence.

    Calibration with ``n`` scores lets ``k`` of them exceed the half-width. For a continuous law the rate of one calibration
    then has the law of the ``(k + 1)``-th smallest of ``n`` uniform numbers, whatever the model.
    """
    n_rows, alpha, random = 200, 0.05, np.random.default_rng(0)
    exceeding = np.arange(n_rows)
    on_average = int(np.floor(alpha * (n_rows + 1))) - 1
    with_confidence = int(exceeding[binom.cdf(exceeding, n_rows, alpha) <= 0.05].max())
    rows = (("confidence=0.95 (the default)", with_confidence), ("confidence=None (on average)", on_average))
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(9, 2.8), layout="constrained")
        for place, (label, k) in enumerate(rows):
            rates = 100 * np.sort(random.random((200, n_rows)), axis=1)[:, k]
            above = rates > 100 * alpha
            heights = place + random.uniform(-0.3, 0.3, rates.size)
            axes.scatter(rates, heights, s=9, c=np.where(above, RED, GREY))
            axes.text(13.2, place, f"{label}:\n{above.mean():.0%} of 200 above", fontsize=9, va="center")
        axes.axvline(100 * alpha, color=ORANGE, lw=1.5)
        axes.set(xlim=(0, 18), yticks=[], xlabel="questions that one calibration leaves broken (%); promised: 5%")
        axes.spines["left"].set_visible(False)
        save(figure, path)


def worst_pair(line: np.ndarray) -> tuple[int, int]:
    """Return the two places between which the line rises most."""
    lowest = np.minimum.accumulate(line)
    second = int(np.argmax(line - lowest))
    return int(np.argmin(line[: second + 1])), second


def save(figure: Any, path: Path) -> None:
    """Write a picture; the same versions write the same bytes."""
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


PICTURES = {
    "line.svg": draw_line,
    "question.svg": draw_question,
    "credit.svg": draw_credit,
    "average.svg": draw_average,
}


def draw(folder: Path) -> None:
    """Write all pictures."""
    cars = Cars()
    for name, picture in PICTURES.items():
        picture(folder / name, cars)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
