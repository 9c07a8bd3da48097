"""Where alignment loses is told with the largest loss first, and the reason follows from the ratios."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.tabular import runner
from benchmarks.tabular.cells import Job, Row, Settings
from benchmarks.tabular.losses import FULL, Loss, losses_of_cells, losses_of_problems
from benchmarks.tabular.runner import plan
from benchmarks.tabular.summary import cells


def rows(problem: str, model: str, errors: dict[str, tuple[float, ...]]) -> list[Row]:
    made = []
    for name, of_seeds in errors.items():
        for seed, error in enumerate(of_seeds):
            settings = (0.0, "l2", "marginal") if name == FULL else (None, "", "")
            method = "aligned" if name == FULL else name
            made.append(Row(problem, problem, "regression", model, seed, "s", method, *settings, error=error))
    return made


def test_losses_are_those_of_the_rows_and_sorted() -> None:
    found = cells([
        *rows("A", "m", {"unaligned": (1, 1), "retrained": (1, 2), FULL: (1.2, 2.6)}),
        *rows("A", "k", {"unaligned": (1, 1), "retrained": (1, 1), FULL: (1, 1)}),
        *rows("B", "m", {"unaligned": (1, 1), "retrained": (2, 2), FULL: (1, 1)}),
        *rows("C", "m", {"unaligned": (1, 1), FULL: (1.5, 1.5)}),
    ])  # fmt: skip
    by_problem = losses_of_problems(found)
    assert [loss.where for loss in by_problem] == ["C", "A"]
    assert [loss.rival for loss in by_problem] == ["unaligned", "retrained"]
    assert by_problem[0].ratio == pytest.approx(1.5)
    assert by_problem[1].ratio == pytest.approx((1.2 * 1.3) ** 0.25)
    assert by_problem[1].of_own == pytest.approx((1.2 * 2.6) ** 0.25)
    assert by_problem[1].retrained_of_own == pytest.approx(2**0.25)
    assert by_problem[1].worst == f"m {(1.2 * 1.3) ** 0.5:.3f}"
    assert [loss.where for loss in losses_of_cells(found)] == ["C, m", "A, m"]


@pytest.mark.parametrize(
    ("low", "of_own", "retrained_of_own", "rival", "words"),
    [
        (0.99, 1.2, 1.1, "retrained", "every way to obey it costs"),
        (0.99, 1.2, 1.1, "retrained", "The interval holds 1."),
        (np.nan, 1.2, 1.0, "retrained", "finds another way. One fit: it may be chance."),
        (1.01, 1.0, 0.9, "retrained", "keeps what was fitted"),
        (1.01, 1.2, 1.1, "retrained", "every way to obey it costs"),
        (1.01, 1.2, 0.98, "retrained", "finds another way"),
        (1.01, 1.2, np.nan, "unaligned", "has no such constraint"),
    ],
)
def test_reasons_follow_from_the_ratios(
    low: float, of_own: float, retrained_of_own: float, rival: str, words: str
) -> None:
    assert words in Loss("A", rival, 1.1, low, 1.3, of_own, retrained_of_own).reason


def test_what_is_finished_can_be_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is stopped in its second job leaves the rows of the first, and a report runs none."""
    todo = plan(["diabetes: increasing in bmi"], ["xgboost", "mlp"], 1, Settings(quick=True, max_rows=250), None)

    def stopped(job: Job, *_: object, **__: object) -> list[Row]:
        if job.model == "mlp":
            raise KeyboardInterrupt
        return [replace(row, settings=todo.settings.key) for row in rows(job.problem, job.model, {"unaligned": (1.0,)})]

    monkeypatch.setattr(runner, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        runner.complete(todo, tmp_path, 1)
    assert [row.model for row in runner.finished(todo, tmp_path)] == ["xgboost"]
    options = ["--quick", "--only", "in bmi", "--finished", "--output", str(tmp_path / "empty")]
    with pytest.raises(SystemExit, match="holds no finished job with these settings"):
        main(["tabular", *options])
