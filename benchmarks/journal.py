"""A journal of results, a line for each finished job: what it holds is not measured again; a kill loses the job under way.

A line is JSON and names the job, the settings that it depends on (the version of this library among them) and its results. Each
is flushed to the disk before the next job begins. A torn line at the end, left by a kill, is cut off when the journal is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from alignconf import __version__

__all__ = ["append", "complete", "lines"]

Job = tuple[str | int, ...]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what the whole lines of a journal hold; a file that is not there has none."""
    whole = 0
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else ():
        try:
            stored = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            stored = None
        if stored is None:
            os.truncate(path, whole)
            return
        whole += len(line)
        yield stored


def append(path: Path, stored: Mapping[str, Any]) -> None:
    """Add a line, through to the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as journal:
        journal.write((json.dumps(stored) + "\n").encode())
        journal.flush()
        os.fsync(journal.fileno())


def complete(
    path: Path,
    jobs: Sequence[Job],
    measure: Callable[..., list[dict[str, Any]]],
    *,
    settings: str = "",
    unit: str = "job",
) -> list[dict[str, Any]]:
    """Measure the jobs that the journal lacks, ``measure(*job)``, and return the results of all in their order."""
    settings = f"{settings}{__version__}"
    done = {tuple(stored["job"]): stored["results"] for stored in lines(path) if stored["settings"] == settings}
    for job in tqdm([job for job in jobs if job not in done], desc=path.stem, unit=unit, disable=len(jobs) < 2):
        done[job] = measure(*job)
        append(path, {"job": job, "settings": settings, "results": done[job]})
    return [result for job in jobs for result in done[job]]
