"""Bars appear where they were asked for and the work lasts; work that is interrupted leaves everything as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator

from alignconf import AlignedRegressor, check
from alignconf.tables.progress import bar

RANDOM = np.random.default_rng(0)
REFERENCE, X, X_NEW = (RANDOM.random((n, 3)) for n in (200, 400, 300))
Y_NEW, MANY = RANDOM.random(300), np.tile(X_NEW, (20, 1))


class Wave(BaseEstimator):
    """A model in numpy; it can be slow, or be interrupted at a call that is counted down to."""

    calls_left = -1
    seconds = 0.0

    def fit(self, *_: Any) -> Wave:
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        time.sleep(self.seconds)
        Wave.calls_left -= 1
        if Wave.calls_left == 0:
            raise KeyboardInterrupt
        return np.sin(7 * X[:, 0]) + X[:, 1]


def calibrated(verbose: bool = False, **chosen: Any) -> AlignedRegressor:
    aligned = AlignedRegressor(
        Wave(), {0: 1}, n_queries=2, random_state=0, verbose=verbose, **{"confidence": None, **chosen}
    )
    return aligned.calibrate(X, X_reference=REFERENCE)


WORK: dict[str, Callable[[bool], Any]] = {
    "calibrate": lambda verbose: calibrated(verbose),
    "fit": lambda verbose: AlignedRegressor(Wave(), {0: 1}, random_state=0, verbose=verbose, confidence=None).fit(
        X_NEW, Y_NEW
    ),
    "certify": lambda verbose: calibrated(verbose).certify(X_NEW),
    "predict": lambda verbose: calibrated(verbose).predict(X_NEW),
    "critical_half_widths": lambda verbose: calibrated(verbose).critical_half_widths(X_NEW),
    "calibrate_outcome": lambda verbose: calibrated(verbose).calibrate_outcome(X_NEW, Y_NEW),
    "check": lambda verbose: check(Wave(), MANY, {0: 1}, random_state=0, verbose=verbose),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many blocks of few rows, so that there is something to count."""
    monkeypatch.setattr("alignconf.tables.blocks.BLOCK_ROWS", 2000)


@pytest.mark.parametrize("name", WORK)
def test_without_verbose_nothing_is_written(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("alignconf.tables.progress.DELAY", 0.0)
    WORK[name](False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", WORK)
def test_quick_work_shows_no_bar(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    WORK[name](True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", WORK)
def test_all_work_has_a_bar_that_ends_at_its_last_step(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """On standard error; shown at once here."""
    monkeypatch.setattr("alignconf.tables.progress.DELAY", 0.0)
    before = (lambda: None) if name in ("calibrate", "fit", "check") else calibrated
    before()
    found = WORK[name](True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "100%" in err
    assert "increasing in 0" in err
    assert ("fit, then calibrate: 100%" in err) == (name == "fit")
    assert found is not None


def test_the_bar_appears_after_two_seconds_and_not_before(capfd: pytest.CaptureFixture[str]) -> None:
    for _ in bar(range(6), total=6, label="long", unit="step", shown=True):
        assert capfd.readouterr().err == ""
        time.sleep(0.3)
    started, first = time.monotonic(), None
    for _ in bar(range(12), total=12, label="long", unit="step", shown=True):
        if first is None and capfd.readouterr().err:
            first = time.monotonic() - started
        time.sleep(0.25)
    assert first is not None
    assert first >= 2.0


# ---------------------------------------------------------------------------------------------------------------------
# Numbers do not depend on who works
# ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("backend", "verbose"),
    [
        *(("sequential", verbose) for verbose in (False, True)),
        *(("threading", verbose) for verbose in (False, True)),
        *(("multiprocessing", verbose) for verbose in (False, True)),
        pytest.param("loky", True, marks=pytest.mark.slow),
    ],
)
def test_results_are_the_same_with_any_backend(backend: str, verbose: bool) -> None:
    """Bit for bit; a backend that cannot hand results out one by one works too."""
    expected = calibrated()
    with parallel_config(backend=backend, n_jobs=2):
        found = calibrated(verbose)
        assert found.lambda_ == expected.lambda_
        np.testing.assert_array_equal(found.calibration_scores_, expected.calibration_scores_)
        np.testing.assert_array_equal(found.predict(X_NEW), expected.predict(X_NEW))


def test_jobs_of_the_estimator_go_before_those_of_the_context() -> None:
    with parallel_config(backend="threading", n_jobs=2):
        assert calibrated(n_jobs=1).lambda_ == calibrated(n_jobs=3).lambda_ == calibrated().lambda_


# ---------------------------------------------------------------------------------------------------------------------
# Interruption
# ---------------------------------------------------------------------------------------------------------------------
def state_of(aligned: AlignedRegressor) -> dict[str, Any]:
    return {name: value for name, value in vars(aligned).items() if name != "estimator"}


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interrupted_calibration_leaves_the_earlier_one(
    n_jobs: int, verbose: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted at the first call of the model, at each of the next ones and at later ones."""
    aligned = calibrated(verbose, n_jobs=n_jobs).calibrate_outcome(X_NEW, Y_NEW)
    before, expected = state_of(aligned), aligned.predict(X_NEW)
    work = (
        lambda: aligned.calibrate(X[:200], X_reference=REFERENCE[:100]),
        lambda: aligned.fit(X_NEW, Y_NEW),
        lambda: aligned.calibrate_outcome(X_NEW[:200], Y_NEW[:200]),
    )
    interrupted = 0
    for one in work:
        for n_calls in (1, 2, 3, 5, 9):
            monkeypatch.setattr(Wave, "calls_left", n_calls)
            try:
                one()
            except KeyboardInterrupt:
                interrupted += 1
                assert state_of(aligned) == before
            else:
                vars(aligned).update(before)
            monkeypatch.setattr(Wave, "calls_left", -1)
    assert interrupted >= 8
    np.testing.assert_array_equal(aligned.predict(X_NEW), expected)
    assert aligned.predict_outcome_interval(X_NEW).shape == (300, 2)


def test_a_calibration_is_taken_over_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the interruption comes while the last numbers are being put together."""
    aligned = calibrated()
    before = state_of(aligned)

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("alignconf.tables.used_rows.UsedRows.of", stop)
    with pytest.raises(KeyboardInterrupt):
        aligned.calibrate(X[:100], X_reference=REFERENCE)
    assert state_of(aligned) == before


def test_no_thread_goes_on_after_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    aligned = calibrated(n_jobs=2)
    threads = set(threading.enumerate())
    monkeypatch.setattr(Wave, "seconds", 0.02)
    monkeypatch.setattr(Wave, "calls_left", 4)
    with pytest.raises(KeyboardInterrupt):
        aligned.predict(MANY)
    monkeypatch.setattr(Wave, "seconds", 0.0)
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - threads and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not set(threading.enumerate()) - threads


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that a process can be sent like Ctrl-C")
def test_worker_processes_end_with_an_interruption(tmp_path: Any) -> None:
    """Ctrl-C in a calibration with two worker processes: it ends soon, the object is as it was, and so are the processes."""
    program = textwrap.dedent("""
        import time
        import numpy as np
        import psutil
        from joblib import parallel_config
        from alignconf import AlignedRegressor, lines

        class Wave:
            seconds = 0.0
            def predict(self, X):
                time.sleep(self.seconds)
                return np.sin(7 * X[:, 0])

        lines.BLOCK_ROWS = 2000
        X = np.random.default_rng(0).random((4000, 2))
        model = Wave()
        aligned = AlignedRegressor(model, {0: 1}, random_state=0, verbose=True).calibrate(X[:500])
        before = dict(vars(aligned))
        model.seconds = 0.05
        try:
            with parallel_config(backend="loky", n_jobs=2):
                print("begun", flush=True)
                aligned.calibrate(X)
        except KeyboardInterrupt:
            assert vars(aligned) == before
            deadline = time.monotonic() + 10
            def workers():
                alive = psutil.Process().children(recursive=True)
                return [it for it in alive if "resource_tracker" not in " ".join(it.cmdline())]
            while workers() and time.monotonic() < deadline:
                time.sleep(0.05)
            print("interrupted, left", len(workers()), flush=True)
    """)
    work = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert work.stdout is not None
    assert work.stdout.readline() == "begun\n"
    time.sleep(1.5)
    os.kill(work.pid, signal.SIGINT)
    assert work.communicate(timeout=60)[0] == "interrupted, left 0\n"


def test_compilation_is_announced_once_where_progress_is_shown(tmp_path: Any) -> None:
    program = (
        "import sys\nfrom numba import njit\nfrom alignconf.tables.progress import bar\n"
        "njit(lambda x: x - 1)(1)\n"
        "for _ in bar(range(1), total=1, label='work', unit='step', shown=sys.argv[1] == 'shown'):\n"
        "    njit(lambda x: x + 1)(1)\n    njit(lambda x: x + 2)(1)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for shown, times in (("shown", 1), ("silent", 0)):
        done = subprocess.run(
            [sys.executable, "-c", program, shown],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env=environment,
        )
        assert done.stderr.count("alignconf: compiling, once") == times
