"""Many rows on Dask workers, one of which is killed: the half-width is that of the same rows in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--rows", "60000", "--partition", "1000", "--kill-after", "1"]
    main(["big", *sizes, "--output", str(tmp_path)])
    figures = json.loads((tmp_path / "big.json").read_text())
    assert figures["same lambda_ in memory"] is True
    assert figures["workers killed"] == 1
    assert set(figures["seconds"]) == {"calibrate", "certify a tenth", "predict, averaged"}
    assert "calibrate: " in capsys.readouterr().out
