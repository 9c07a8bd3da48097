"""Work over many rows, block by block, in bounded memory and on any number of threads, with equal results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from math import ceil
from typing import Any, TypeVar

from joblib import Parallel, delayed, wrap_non_picklable_objects
from joblib.parallel import ThreadingBackend, get_active_backend

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
    blocks = _even_blocks(n_samples, max(1, rows_at_once // sites_per_row))
    if len(blocks) == 1:
        return [(blocks[0], stage(blocks[0]))]
    return list(zip(blocks, _run(stage, blocks, n_jobs, label=label, verbose=verbose), strict=True))


def _even_blocks(n_samples: int, most: int) -> list[slice]:
    """Return blocks of at most ``most`` rows, an even number of them if there are several, whose sizes differ by at most one."""
    n_blocks = 1 if n_samples <= most else 2 * ceil(n_samples / (2 * most))
    ends = [n_samples * number // n_blocks for number in range(n_blocks + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends) if start < stop or n_blocks == 1]


def _run(
    stage: Callable[[slice], Result], blocks: Sequence[slice], n_jobs: int | None, *, label: str, verbose: bool
) -> list[Result]:
    """Return the results of blocks in order, counted by a bar as they come in, or, where a backend cannot tell, go out."""
    about: dict[str, Any] = {"total": len(blocks), "label": label, "unit": "block", "shown": verbose}
    parallel = Parallel(n_jobs=n_jobs, prefer="threads")
    backend, _ = get_active_backend(prefer="threads")
    if isinstance(backend, ThreadingBackend):
        return _in_threads(stage, blocks, backend.effective_n_jobs(parallel.n_jobs), about)
    # Stages are functions made on the spot, which processes can be sent in this form only.
    work = delayed(wrap_non_picklable_objects(stage))
    jobs = [work(block) for block in blocks]
    if verbose:
        try:
            parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
        except ValueError:
            return list(parallel(bar(jobs, **about)))
        with closing(parallel(jobs)) as results:
            return list(bar(results, **about))
    return list(parallel(jobs))


def _in_threads(
    stage: Callable[[slice], Result], blocks: Sequence[slice], n_threads: int, about: dict[str, Any]
) -> list[Result]:
    """Return the results of blocks from threads of their own: joblib looks every hundredth of a second whether its are done."""
    if n_threads == 1:
        return [stage(block) for block in bar(blocks, **about)]
    with ThreadPoolExecutor(min(n_threads, len(blocks))) as pool:
        return list(bar(pool.map(stage, blocks), **about))
