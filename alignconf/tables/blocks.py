"""Work over many rows, block by block, in bounded memory and on any number of threads, with equal results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, TypeVar

from joblib import Parallel, delayed, wrap_non_picklable_objects

from alignconf.tables.progress import bar

__all__ = ["Result", "over_blocks"]

Result = TypeVar("Result")

#: A block of rows is cut so that the model is handed at most this many rows, and at most this many bytes, at once.
BLOCK_ROWS = 2**18
BLOCK_BYTES = 2**26


def over_blocks(
    stage: Callable[[slice], Result],
    shape: tuple[int, int],
    sites_per_row: int,
    *,
    n_jobs: int | None = None,
    verbose: bool = False,
    label: str = "",
) -> list[tuple[slice, Result]]:
    """Run a stage over blocks of the rows of a table of some shape and return each block with its result, in order.

    The cuts depend on the shape and the number of sites only, never on ``n_jobs``: results are the same, bit for bit,
    for any number of jobs. Jobs are threads unless a joblib backend is chosen from outside, with ``joblib.parallel_config``.
    If the work is interrupted no further block is begun.
    """
    n_samples, n_features = shape
    rows_at_once = min(BLOCK_ROWS, BLOCK_BYTES // (8 * n_features))
    step = max(1, rows_at_once // sites_per_row)
    blocks = [slice(start, min(start + step, n_samples)) for start in range(0, n_samples, step)]
    if len(blocks) == 1:
        return [(blocks[0], stage(blocks[0]))]
    # Stages are functions made on the spot, which processes can be sent in this form only.
    work = delayed(wrap_non_picklable_objects(stage))
    jobs = [work(block) for block in blocks]
    return list(zip(blocks, _run(jobs, n_jobs, label=label, verbose=verbose), strict=True))


def _run(jobs: Sequence[Any], n_jobs: int | None, *, label: str, verbose: bool) -> list[Any]:
    """Return the results of jobs in order, counted by a bar as they come in, or, where a backend cannot tell, go out."""
    about: dict[str, Any] = {"total": len(jobs), "label": label, "unit": "block", "shown": verbose}
    if verbose:
        try:
            parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
        except ValueError:
            return list(Parallel(n_jobs=n_jobs, prefer="threads")(bar(jobs, **about)))
        with closing(parallel(jobs)) as results:
            return list(bar(results, **about))
    return list(Parallel(n_jobs=n_jobs, prefer="threads")(jobs))
