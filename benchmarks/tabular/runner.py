"""All jobs of the suite, in parallel and resumable: results go to one file, a line for each row, as soon as a job is done.

A job is a problem, a model and a seed; its rows depend on these, the settings and the versions of libraries alone, not on how
many jobs run beside it (times aside). Workers are processes with one thread each; the parent alone writes, all rows of a job in
one write that is flushed to disk. After a kill the file holds whole jobs and at most one torn write at its end, which is cut
off; what is there is not computed again while settings and the version of this library are the same.
Data sets and models that cannot be had are named once, before anything runs, and again in the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

from alignconf import __version__
from benchmarks import journal
from benchmarks.tabular.cells import Job, Row, Settings, run
from benchmarks.tabular.models import why_missing
from benchmarks.tabular.problems import PROBLEMS, load
from benchmarks.tabular.sources import MissingData

__all__ = ["Plan", "Skipped", "complete", "finished", "named", "plan", "read_rows"]

RESULTS = "tabular.jsonl"


@dataclass(frozen=True)
class Skipped:
    """A problem or a model that is not run, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """The jobs of a run, and what is skipped."""

    jobs: tuple[Job, ...]
    skipped: tuple[Skipped, ...]
    settings: Settings
    directory: Path | None
    download: bool = False


def plan(
    problems: Sequence[str],
    models: Sequence[str],
    n_seeds: int,
    settings: Settings,
    directory: Path | None,
    *,
    download: bool = False,
) -> Plan:
    """Return the jobs that can be run, seed by seed, so that a run that is stopped early has seen every problem."""
    skipped, there = [], []
    for name in problems:
        try:
            load(PROBLEMS[name], directory, max_rows=settings.max_rows, download=download)
            there.append(name)
        except MissingData as missing:
            skipped.append(Skipped(name, str(missing)))
    usable = []
    for model in models:
        reason = why_missing(model)
        if reason is None:
            usable.append(model)
        else:
            skipped.append(Skipped(model, reason))
    jobs = tuple(Job(name, model, seed) for seed in range(n_seeds) for name in there for model in usable)
    return Plan(jobs, tuple(skipped), settings, directory, download)


def complete(todo: Plan, output: Path, n_jobs: int) -> list[Row]:
    """Run what is not in the results file yet, and return all rows of the plan in the plan's order."""
    path = output / RESULTS
    output.mkdir(parents=True, exist_ok=True)
    done = read_rows(path)
    missing = [job for job in todo.jobs if _key(job, todo.settings) not in done]
    work = (delayed(run)(job, todo.directory, todo.settings, download=todo.download) for job in missing)
    with parallel_config(backend="loky", inner_max_num_threads=1) if n_jobs > 1 else nullcontext():
        measured = Parallel(n_jobs=n_jobs, return_as="generator", batch_size=1)(work)
        shown = tqdm(measured, total=len(todo.jobs), initial=len(todo.jobs) - len(missing), desc="jobs", unit="job")
        for rows in shown:
            _append(path, rows)
            done[_key(Job(rows[0].problem, rows[0].model, rows[0].seed), todo.settings)] = rows
    return [row for job in todo.jobs for row in done[_key(job, todo.settings)]]


def finished(todo: Plan, output: Path) -> list[Row]:
    """Return the rows of the jobs of a plan that the results file holds, without running any."""
    done = read_rows(output / RESULTS)
    keys = [_key(job, todo.settings) for job in todo.jobs]
    return [row for key in keys if key in done for row in done[key]]


def read_rows(path: Path) -> dict[str, list[Row]]:
    """Return the rows in a results file by job; a torn end of the file, left by a kill, is cut off."""
    known = {field.name for field in fields(Row)}
    return {
        stored["key"]: [Row(**{name: row[name] for name in known & set(row)}) for row in stored["rows"]]
        for stored in journal.lines(path)
    }


def _key(job: Job, settings: Settings) -> str:
    return "|".join((job.problem, job.model, str(job.seed), settings.key, __version__))


def _append(path: Path, rows: Sequence[Row]) -> None:
    first = rows[0]
    key = "|".join((first.problem, first.model, str(first.seed), first.settings, __version__))
    journal.append(path, {"key": key, "rows": [asdict(row) for row in rows]})


def named(problems: Iterable[str], only: Sequence[str] | None, what: str = "problem") -> list[str]:
    """Return the names that contain one of the given words; SystemExit if a word is in none of them."""
    names = list(problems)
    if only is None:
        return names
    unknown = [word for word in only if not any(word in name for name in names)]
    if unknown:
        raise SystemExit(f"no {what} has {unknown[0]!r} in its name; expected parts of {', '.join(names)}.")
    return [name for name in names if any(word in name for word in only)]
