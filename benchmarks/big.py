"""Many rows on Dask workers: time, and the largest memory of the client and of each worker.

Rows are made on the workers, partition by partition, and never exist all at once. A gradient boosting model is calibrated on
them, certified on as many others divided by ten, and asked to predict all of them. What is kept on the client is a score and a
mark of each row; what a worker holds is a few partitions. During calibration a worker is killed: another one is started, and
makes its partitions again. For up to ``COMPARED`` rows the same calibration is done in memory too, and ``lambda_`` must be
the same number.
"""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL
from threading import Timer
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignconf import AlignedRegressor, __version__

N_FEATURES = 8
N_TRAINING = 50_000
MEGABYTE = 2**20

#: Calibrations of at most this many rows are repeated in memory.
COMPARED = 1_000_000


def outcome(X: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Return labels that swing along the first feature where the second is small, and grow with it elsewhere."""
    swing = np.where(X[:, 1] > 0.5, 6 * X[:, 0], 2 * np.sin(7 * X[:, 0]))
    labels: NDArray[np.float64] = swing + X[:, 2:].sum(axis=1) + 0.5 * random.normal(size=len(X))
    return labels


def _block(empty: NDArray[np.float64], block_info: Any = None, seed: int = 0) -> NDArray[np.float64]:
    """Return the rows of a partition, made from its position."""
    position = block_info[0]["chunk-location"][0] if block_info else 0
    return np.random.default_rng([seed, position]).random(empty.shape)


def rows(n_rows: int, n_in_partition: int, seed: int) -> Any:
    """Return the plan of a Dask array of rows, (n_rows, N_FEATURES)."""
    import dask.array as da

    empty = da.empty((n_rows, N_FEATURES), chunks=(n_in_partition, N_FEATURES))
    return empty.map_blocks(_block, seed=seed, dtype=np.float64, meta=np.empty((0, 0)))


def largest_memory() -> float:
    """Return the largest resident memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE


def run(n_rows: int, n_in_partition: int, n_workers: int, kill_after: float, output: Path) -> None:
    """Measure and print; save the figures. So many seconds into calibration a worker is killed, with 0 none."""
    from distributed import Client, LocalCluster
    from lightgbm import LGBMRegressor

    random = np.random.default_rng(0)
    X_training = random.random((N_TRAINING, N_FEATURES))
    model = LGBMRegressor(n_estimators=50, num_leaves=15, n_jobs=1, random_state=0, verbose=-1).fit(
        X_training, outcome(X_training, random)
    )
    aligned = AlignedRegressor(model, {0: +1}, alpha=0.05, n_queries=1, random_state=0, verbose=True, confidence=None)
    with (
        LocalCluster(n_workers=n_workers, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        at_start = largest_memory()
        X, X_fresh = rows(n_rows, n_in_partition, 1), rows(max(100, n_rows // 10), n_in_partition, 2)
        seconds: dict[str, float] = {}

        def timed(stage: str, work: Callable[[], Any]) -> Any:
            start = perf_counter()
            found = work()
            seconds[stage] = round(perf_counter() - start, 1)
            workers = [round(size) for size in client.run(largest_memory).values()]
            print(f"{stage}: {seconds[stage]} s; client {largest_memory():.0f} MB, workers {workers} MB", flush=True)
            return found

        processes = client.run(os.getpid)
        killer = Timer(kill_after, os.kill, (next(iter(processes.values())), SIGKILL))
        if kill_after:
            killer.start()
        timed("calibrate", lambda: aligned.calibrate(X, X_reference=X_training[:5000]))
        killer.cancel()
        n_lost = len(set(processes.values()) - set(client.run(os.getpid).values()))
        certificate = timed("certify a tenth", lambda: aligned.certify(X_fresh))
        mean = timed("predict, averaged", lambda: float(aligned.predict(X).mean().compute()))
        workers = sorted(client.run(largest_memory).values())
        same = None
        if n_rows <= COMPARED:
            alone = AlignedRegressor(model, {0: +1}, alpha=0.05, n_queries=1, random_state=0, confidence=None)
            same = alone.calibrate(X.compute(), X_reference=X_training[:5000]).lambda_ == aligned.lambda_
    figures = {
        "rows": n_rows,
        "partitions": X.numblocks[0],
        "workers": n_workers,
        "workers killed": n_lost,
        "seconds": seconds,
        "lambda_": aligned.lambda_,
        "violated in calibration": aligned.calibration_.positive_rate,
        "certified": [certificate.n_rejected, certificate.n_queries, certificate.upper_bound],
        "mean prediction": mean,
        "scores, MB": aligned.calibration_scores_.nbytes / MEGABYTE,
        "fingerprints, MB": sum(marks.nbytes for _, marks in aligned.used_rows_.marks) / MEGABYTE,
        "client, MB": [round(at_start), round(largest_memory())],
        "workers, MB": [round(value) for value in workers],
        "same lambda_ in memory": same,
        "version": __version__,
    }
    print("\n".join(f"{name}: {value}" for name, value in figures.items()))
    output.mkdir(parents=True, exist_ok=True)
    (output / "big.json").write_text(json.dumps(figures, indent=2))
