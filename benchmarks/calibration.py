"""What calibrating costs, next to sorting the scores: time and memory for ten million of them, as ratios.

Time is that of the processor for ``calibrate``, all its figures included, over that for ``numpy.sort`` of the same scores, taken
in turn; the median of the ratios. Memory is the largest total of what is allocated meanwhile, over the size of the scores. *by
group* has ten groups of about the same size, *weighted* a likelihood ratio for each score. NumPy sorts numbers that are mostly
equal several times as fast as others, so that the ratio for *most scores zero* is about a smaller unit.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import process_time

import numpy as np

from alignconf._typing import FloatArray
from alignconf.calibration.claim import Calibration, Promise, calibrate
from alignconf.calibration.weighted import WeightedScores
from alignconf.tables.groups import Membership
from benchmarks.tables import markdown, write_json

__all__ = ["ratios", "run"]

PROMISE = Promise((0.1,))
N_GROUPS = 10
NAMES = ("plain", "plain, most scores zero", "by group", "weighted")


def ratios(
    n_scores: int = 10_000_000, *, names: Sequence[str] = NAMES, n_runs: int = 5, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Return, for some ways to calibrate, ``time`` in sorts of the scores and ``memory`` in sizes of the scores."""
    random = np.random.default_rng(seed)
    # As of a model that mostly behaves: three scores in four are zero.
    scores = random.exponential(size=(n_scores, 1)) * (random.random((n_scores, 1)) < 0.25)
    spread = random.exponential(size=(n_scores, 1))
    membership = Membership(tuple(range(N_GROUPS)), random.integers(0, N_GROUPS, (n_scores, 1)))
    weights = random.random(n_scores)
    stages: tuple[tuple[FloatArray, Callable[[], Calibration]], ...] = (
        (spread, partial(calibrate, [spread], PROMISE)),
        (scores, partial(calibrate, [scores], PROMISE)),
        (spread, partial(calibrate, [spread], PROMISE, membership=membership)),
        (spread, partial(_weighted, spread, weights)),
    )
    ways = dict(zip(NAMES, stages, strict=True))
    return {name: {"time": _time(*way, n_runs), "memory": _memory(*way)} for name, way in ways.items() if name in names}


def run(output: Path) -> None:
    """Print the ratios and write them to ``output``."""
    found = ratios()
    table = [(name, f"{one['time']:.2f}", f"{one['memory']:.2f}") for name, one in found.items()]
    print("10,000,000 scores: time over that of sorting them, largest extra memory over their size\n")
    print(markdown(("calibration", "time", "memory"), table))
    write_json(output / "calibration.json", found)


def _weighted(scores: FloatArray, weights: FloatArray) -> Calibration:
    weighted = [WeightedScores.of(scores, weights, PROMISE.alphas[0])]
    return calibrate([scores], PROMISE, weighted=weighted, heaviest=1.0, weights=weights)


def _time(scores: FloatArray, stage: Callable[[], Calibration], n_runs: int) -> float:
    """Return the median ratio of the time of a stage to that of sorting, taken in turn after a run of each to warm up."""
    flat, found = scores.ravel(), []
    for _ in range(n_runs + 1):
        start = process_time()
        np.sort(flat)
        sorted_at = process_time()
        stage()
        found.append((process_time() - sorted_at) / (sorted_at - start))
    return float(np.median(found[1:]))


def _memory(scores: FloatArray, stage: Callable[[], Calibration]) -> float:
    """Return the largest total that a stage allocates, NumPy's arrays included, in sizes of the scores."""
    tracemalloc.start()
    try:
        stage()
        return tracemalloc.get_traced_memory()[1] / scores.nbytes
    finally:
        tracemalloc.stop()
