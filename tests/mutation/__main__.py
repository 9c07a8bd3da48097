"""Run the mutants: ``python -m tests.mutation [area ...] [--results FILE]``, from the root of the sources.

The tree is copied to a temporary folder and only the copy is changed. Each mutant is applied by itself, its tests run until
one fails, and the file is put back; the test that failed must pass then, or it judges nothing. What was judged is appended to
a file of results and not run again while mutant, file and tests stay the same, so a run that is interrupted goes on where it
was. Libraries of others are imported once, and each run of tests is a fork of the process that has them. Kernels are compiled
again only for mutants of files that hold some. The command fails if a part has a smaller share of killed mutants than
:data:`~tests.mutation.mutants.LEAST_SHARES` asks for.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import pytest

from tests.mutation.mutants import LEAST_SHARES, Mutant, listed

ROOT = Path(__file__).parent.parent.parent
PACKAGE = "alignconf"
OURS = {"alignconf", "benchmarks", "tests"}
#: What most tests import, and what takes long.
LIBRARIES = (
    *("numpy", "scipy.stats", "scipy.optimize", "numba", "pandas", "joblib", "hypothesis", "matplotlib.pyplot"),
    *("sklearn.utils.estimator_checks", "sklearn.ensemble", "sklearn.neural_network", "sklearn.datasets", "tqdm"),
    *("xgboost", "lightgbm", "treelite", "crepes", "dask.dataframe", "distributed", "polars", "pyarrow", "skops.io"),
)
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", ".*_cache", ".hypothesis", "results", "build", "dist", "_build")

#: Tests that need more seconds of one core hang: the mutant is killed.
SECONDS = 600
PASSED, FAILED, NOT_COLLECTED = 0, 1, 2


@dataclass(frozen=True)
class Copy:
    """A copy of the tree in which files are changed and tests run."""

    root: Path

    def run(self, arguments: Sequence[str], *, caches: Path | None = None) -> tuple[int, str]:
        """Return pytest's exit code, negative if the tests were stopped, and the first test that failed, empty for none.

        Parameters
        ----------
        arguments : sequence of str
            Of pytest.
        caches : Path, optional
            Where kernels are kept that must not be found next to their files.
        """
        first_failure = self.root.parent / "first_failure.txt"
        first_failure.write_text("")
        child = multiprocessing.get_context("fork").Process(target=self._tests, args=(arguments, first_failure, caches))
        child.start()
        child.join()
        return child.exitcode, first_failure.read_text()

    def _tests(self, arguments: Sequence[str], first_failure: Path, caches: Path | None) -> None:
        """Run tests in a process of its own, which has the libraries of others but nothing of this one."""
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        os.chdir(self.root)
        os.environ.update(PYTHONPATH=str(self.root), ALL_CASES="1")
        printed = os.open(self.root.parent / "printed.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(printed, stream)
        for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
            del sys.modules[name]
        sys.path[:] = [str(self.root), *(path for path in sys.path if Path(path).resolve() != ROOT)]
        sys.dont_write_bytecode = True
        if caches is not None:
            numba.config.CACHE_DIR = str(caches)
        quietly = ["-q", "-x", "-p", "no:cacheprovider", "-W", "ignore:Module already imported", "-m", "not slow"]
        code = pytest.main([*quietly, *arguments], plugins=[_FirstFailure(first_failure)])
        os._exit(int(code))

    def judge(self, mutant: Mutant) -> bool:
        """Return whether the tests of a mutant notice it; the file is put back."""
        path = self.root / PACKAGE / mutant.path
        text, stamp = path.read_text(), path.stat()
        try:
            path.write_text(mutant.applied(text))
            with tempfile.TemporaryDirectory() as caches:
                code, test = self.run(mutant.selection.arguments, caches=Path(caches) if "@compiled" in text else None)
        finally:
            path.write_text(text)
            # Compiled kernels are found again by the time of their file.
            os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        if code == PASSED:
            return False
        if code not in (FAILED, NOT_COLLECTED) and code >= 0:
            raise SystemExit(f"pytest ended with {code} for {mutant}; its tests judged nothing.")
        if code >= 0:
            self._check_passes([test] if test else ["--collect-only", *mutant.selection.arguments])
        return True

    def _check_passes(self, arguments: Sequence[str]) -> None:
        code, _ = self.run(arguments)
        if code != PASSED:
            printed = (self.root.parent / "printed.txt").read_text()[-3000:]
            raise SystemExit(
                f"{printed}\npytest {' '.join(arguments)} ended with {code} without any change; expected 0."
            )


@dataclass(frozen=True)
class _FirstFailure:
    """Writes down which test failed first."""

    path: Path

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Called by pytest for each phase of each test."""
        if report.failed and not self.path.read_text():
            self.path.write_text(report.nodeid)


class Results:
    """What was judged, in a file of one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.figures = {entry["digest"]: entry for entry in map(json.loads, lines)}

    def add(self, digest: str, **figures: Any) -> None:
        """Keep the figures of one run."""
        self.figures[digest] = {"digest": digest, **figures}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as lines:
            lines.write(json.dumps(self.figures[digest]) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants of some areas, or all; return 1 if too many live."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.split("\n", 1)[0])
    parser.add_argument("areas", nargs="*", help="names of files of tests/mutation/areas; all by default")
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "mutants.jsonl")
    given = parser.parse_args(arguments)
    mutants = [mutant for mutant in listed() if not given.areas or mutant.area in given.areas]
    results = Results(given.results)
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder) / "tree")
        shutil.copytree(ROOT, copy.root, symlinks=True, ignore=LEFT_OUT)
        killed = [_is_killed(copy, mutant, results) for mutant in mutants]
    print(report(mutants, killed))
    return int(any(share < LEAST_SHARES[part] for part, share in shares(mutants, killed).items()))


def _is_killed(copy: Copy, mutant: Mutant, results: Results) -> bool:
    digest = mutant.digest((copy.root / PACKAGE / mutant.path).read_text())
    if digest not in results.figures:
        start = time.monotonic()
        killed = copy.judge(mutant)
        took = time.monotonic() - start
        results.add(digest, mutant=str(mutant), killed=killed, seconds=round(took, 1))
        print(f"{'killed' if killed else 'LIVES '} {took:5.1f} s  {mutant}", flush=True)
    return bool(results.figures[digest]["killed"])


def shares(mutants: Sequence[Mutant], killed: Sequence[bool]) -> dict[str, float]:
    """Return the share of mutants that were killed, by part of the library."""
    by_part = _grouped([mutant.part for mutant in mutants], killed)
    return {part: sum(dead) / len(dead) for part, dead in by_part.items()}


def report(mutants: Sequence[Mutant], killed: Sequence[bool]) -> str:
    """Return the shares by area and by part, and the mutants that live."""
    by_area = _grouped([mutant.area for mutant in mutants], killed)
    lines = ["| area | killed | of |", "|---|---|---|"]
    lines += [f"| {area} | {sum(dead)} | {len(dead)} |" for area, dead in by_area.items()]
    for part, share in shares(mutants, killed).items():
        lines.append(f"{part}: {share:.1%}, at least {LEAST_SHARES[part]:.0%}")
    lines += [f"lives: {mutant}" for mutant, dead in zip(mutants, killed, strict=True) if not dead]
    return "\n".join(lines)


def _grouped(names: Sequence[str], killed: Sequence[bool]) -> dict[str, list[bool]]:
    groups: dict[str, list[bool]] = {}
    for name, dead in zip(names, killed, strict=True):
        groups.setdefault(name, []).append(dead)
    return groups


if __name__ == "__main__":
    raise SystemExit(main())
