"""What docs/how-it-works.md says of adding a property and a loss, done in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import alignconf
import alignconf.properties as vocabulary
from alignconf import AlignedRegressor
from alignconf.losses import RateLoss
from alignconf.projectors.alignment import Alignment
from alignconf.queries.row_draws import RowDraws
from alignconf.tables.table import Table

ROOT = Path(__file__).parent.parent
PACKAGE = Path(alignconf.__file__).parent
PROPERTIES = Path(vocabulary.__file__).parent

PROGRAM = """
import json
import numpy as np
from alignconf import check
from alignconf.command.declarations import Columns, read_properties
from alignconf.deployment.propose import read_specifications
from alignconf.properties import PerDoubling, declare

table = np.exp(np.random.default_rng(0).normal(size=(200, 2)))
assert read_properties([("per-doubling", "a:0.5")], Columns(table, ("a", "b"))) == [PerDoubling(0, 0.5)]
entry = {"type": "per-doubling", "feature": 0, "number": 0.5}
assert read_specifications(json.dumps([entry]))[0].declared == PerDoubling(0, 0.5)
assert declare({0: PerDoubling(0, 0.5)}) == PerDoubling(0, 0.5)

class Model:
    def predict(self, X):
        return np.log2(X[:, 0])

assert check(Model(), table, PerDoubling(0, 1.0)).violations.n_rejected == 0
assert check(Model(), table, PerDoubling(0, 0.9)).violations.rate == 1
"""


def class_of_the_page() -> str:
    """Return the class that docs/own-property.md writes, with its imports."""
    page = (ROOT / "docs" / "own-property.md").read_text()
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class PerDoubling" in block]
    return block[: block.index("check_property(PerDoubling")].replace(
        "from alignconf.testing import check_property\n", ""
    )


def test_a_property_needs_one_file_one_export_one_row_and_one_entry(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "alignconf", ignore=shutil.ignore_patterns("properties", "__pycache__"))
    shutil.copytree(PROPERTIES, tmp_path / "alignconf" / "properties", ignore=shutil.ignore_patterns("__pycache__"))
    properties = tmp_path / "alignconf" / "properties"

    written = class_of_the_page().replace(
        "    change: float\n",
        '    spelling = Spelling("per-doubling", Form.FEATURE_NUMBER, "bounded change per doubling")\n    change: float\n',
    )
    spelled = "from alignconf.contract.spelling import Form, Spelling\n"
    imports = "from alignconf.contract.property import LineProperty\n"
    written = written.replace(imports, imports + spelled).replace(
        "from alignconf.properties import Lipschitz", "from alignconf.properties.lipschitz import Lipschitz"
    )
    (properties / "per_doubling.py").write_text(written)

    exports = (properties / "__init__.py").read_text()
    exports = exports.replace(
        "from alignconf.properties.rule",
        "from alignconf.properties.per_doubling import PerDoubling\nfrom alignconf.properties.rule",
    ).replace('    "Rule",\n', '    "PerDoubling",\n    "Rule",\n')
    (properties / "__init__.py").write_text(exports)

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("name", vocabulary.__all__)
def test_the_table_of_declarations_has_every_property(name: str) -> None:
    table = [line for line in (ROOT / "docs" / "declare.md").read_text().splitlines() if line.startswith("| ")]
    assert name == "declare" or any(f"{name}(" in line for line in table), "add a row to docs/declare.md"


@pytest.mark.parametrize("name", vocabulary.__all__)
def test_the_laws_have_every_property(name: str) -> None:
    from tests.catalogue import CASES, ORBIT_CASES, OUTPUT_CASES, PLANE_CASES

    cases = [*CASES, *ORBIT_CASES, *PLANE_CASES, *OUTPUT_CASES]
    declared = {type(part).__name__ for case in cases for part in (case, *case.parts)}
    assert name == "declare" or name in declared, "add an entry to tests/catalogue.py"


def test_a_loss_is_an_object_of_ones_own() -> None:
    """The event: the model, before any repair, is more than the half-width above 1 at a fresh row."""

    def excess(_: Alignment, table: Table, n_queries: int, __: RowDraws) -> list[np.ndarray]:
        return [np.repeat(np.maximum(np.asarray(table)[:, :1] - 1, 0), n_queries, axis=1)]

    class First:
        def predict(self, X: np.ndarray) -> np.ndarray:
            return X[:, 0]

    loss = RateLoss("above one", "the model exceeds 1 by more than the half-width", excess)
    rows = np.random.default_rng(0).normal(size=(99, 2))
    aligned = AlignedRegressor(First(), {1: 1}, alpha=0.1, loss=loss, confidence=None, n_queries=1)
    aligned.calibrate(rows, X_reference=rows[:20] + 9)
    # Nine of 99 scores may lie above.
    assert aligned.lambda_ == np.sort(np.maximum(rows[:, 0] - 1, 0))[-10]
    assert "the model exceeds 1 by more than the half-width" in str(aligned.calibration_)
