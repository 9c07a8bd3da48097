"""Values of the model along the lines of rows, from nothing but its ``predict``.

The line of a row along a feature is ``f`` with only that feature varied (the row's ICE curve). With several constrained
features the line becomes a grid: all combinations of their knots. A **site** of a row is the row with its constrained
features moved to given places. Evaluating ``n_sites`` sites of ``n_samples`` rows costs ``n_samples * n_sites`` model
rows, all in one call of ``predict``; callers cut the rows into blocks (:func:`over_blocks`) so that memory stays
bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from joblib import Parallel, delayed, wrap_non_picklable_objects
from numpy.typing import NDArray

from alignconf import _tables
from alignconf._typing import FloatArray, Model, Table
from alignconf._validation import predictions
from alignconf.axes import Axis
from alignconf.progress import bar
from alignconf.reference import ReferenceLaw
from alignconf.rounding import Rounding

__all__ = ["Lines", "evaluate_lines", "evaluate_sites", "over_blocks"]

Result = TypeVar("Result")

#: A block of rows is cut so that the model is handed at most this many rows, and at most this many bytes, at once.
BLOCK_ROWS = 2**18
BLOCK_BYTES = 2**26


@dataclass(frozen=True)
class Lines:
    """Values of a function at the knots of each row's line, or grid.

    Parameters
    ----------
    values : (n_samples, n_knots_1, ..., n_knots_p)
    rounding : (n_samples,)
        Differences below this are rounding of the model's own sums.
    """

    values: FloatArray
    rounding: FloatArray


def evaluate_sites(model: Model, table: Table, axes: Sequence[Axis], places: FloatArray) -> tuple[FloatArray, Rounding]:
    """Return the model's values at sites, (n_samples, n_sites), and what of them is rounding.

    Parameters
    ----------
    model : Model
    table : Table of n_samples rows
    axes : one for each constrained feature
    places : (n_samples or 1, n_sites, n_axes)
        Where to move the constrained features to.
    """
    n_samples, n_sites = table.shape[0], places.shape[1]
    rows = np.repeat(np.arange(n_samples), n_sites)
    moved = np.broadcast_to(places, (n_samples, n_sites, len(axes))).reshape(-1, len(axes))
    replaced: dict[int, NDArray[Any]] = {}
    for i, axis in enumerate(axes):
        replaced |= axis.moved(table, rows, moved[:, i])
    values, rounding = predictions(model, _tables.replicate(table, rows, replaced))
    return values.reshape(n_samples, n_sites), rounding


def evaluate_lines(model: Model, table: Table, laws: Sequence[ReferenceLaw]) -> Lines:
    """Return the model's values at every combination of the knots of the constrained features."""
    grid = np.meshgrid(*(law.knots for law in laws), indexing="ij")
    places = np.stack([axis.ravel() for axis in grid], axis=-1)[None]
    values, rounding = evaluate_sites(model, table, [law.axis for law in laws], places)
    return Lines(values.reshape(-1, *grid[0].shape), rounding.of(values))


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
