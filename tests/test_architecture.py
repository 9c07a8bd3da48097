"""The shape of the package, checked against its own imports and files."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import alignconf
import alignconf.properties

PACKAGE = Path(alignconf.__file__).parent
ROOT = Path(__file__).parent.parent

#: From the bottom up; modules of one rung do not import each other.
LADDER = (
    {"_typing", "errors", "origin", "progress"},
    {"_compiled", "_containers", "fitted_state", "rounding"},
    {"_tables", "_kernels", "_curvature", "_sums", "_exact"},
    {"_polyhedron"},
    {"_validation", "_walk", "fitted_columns", "_crepes", "encoding", "partitions"},
    {"printed", "partitioned_rows"},
    {
        "contract",
        "ensemble",
        "missing_codes",
        "groups",
        "margins",
        "ranks",
        "unchanged",
        "weighted",
        "band",
        "distinct_draws",
    },
    {"plane", "orbit", "trees", "shift", "axes"},
    {
        "fitted_model",
        "reference",
        "thresholds",
        "distance",
        "betting",
        "drift",
        "repeats",
        "size_bound",
        "error_change",
    },
    {"conditional", "decisions", "row_draws", "used_rows", "averages"},
    {"queries", "lines", "loss_tables", "magnitude"},
    {"families"},
    {"calibration"},
    {"line_queries", "orbit_queries", "plane_queries", "witness"},
    {"path_queries", "whole_line_queries"},
    {"query_laws"},
    {"projection", "scores", "claims"},
    {"rates_seen"},
    {"verdict"},
    {"page"},
    {"extension", "repair"},
    {"grid_repair", "orbit_repair", "surrogate_repair"},
    {"plane_repair", "tree_repair", "anchored_repair"},
    {"alignment", "monotone_repair"},
    {"conditions", "preparation", "rates", "tally"},
    {"pictured_line"},
    {"drawing", "evidence"},
    {"inline_svg"},
    {"report"},
    {"losses"},
    {"properties"},
    {"levels"},
    {"answered", "certificate", "request"},
    {"by_partition", "conventions", "following", "parameters", "training"},
    {"answered_by_partition", "partitioned"},
    {"delivery"},
    {"findings", "violations"},
    {"_trials", "aligned", "audit", "inputs"},
    {"_declared_laws", "_laws", "classifier", "monitoring", "outcome", "plausibility", "plotting", "sequential"},
    {"regressor", "_orbit_laws"},
    {"forecast", "rare", "risk_page", "search", "slices", "testing"},
    {"command"},
    {"propose"},
    {"__init__", "__main__"},
)
#: Every file of the package but those of the properties, which have rules of their own; a package is one module.
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "properties" not in path.parts)
RUNG = {module: rung for rung, modules in enumerate(LADDER) for module in modules}


def imported(path: Path) -> set[str]:
    """Return the modules of alignconf that a file imports, a package as one."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "alignconf":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("alignconf."):
            names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("alignconf.")}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE).with_suffix("")))
def test_imports_go_up_one_ladder(path: Path) -> None:
    module = path.relative_to(PACKAGE).with_suffix("").parts[0]
    assert module in RUNG, f"{module} has no place on the ladder"
    for name in imported(path) - ({module} if path.parent != PACKAGE else set()):
        assert RUNG[name] < RUNG[module], f"{module} imports {name}, which is not below it"


@pytest.mark.parametrize("path", sorted((PACKAGE / "properties").glob("*.py")), ids=lambda path: path.stem)
def test_properties_import_the_contract_and_pure_helpers_only(path: Path) -> None:
    assert imported(path) <= {
        *("contract", "orbit", "plane", "errors", "properties"),
        *("_typing", "_kernels", "_curvature", "_polyhedron", "_sums", "_validation"),
    }


def test_every_property_file_is_exported_and_nothing_else() -> None:
    files = {path.stem for path in (PACKAGE / "properties").glob("[!_]*.py")}
    modules = {
        getattr(alignconf.properties, name).__module__.rsplit(".", 1)[1] for name in alignconf.properties.__all__
    }
    assert modules == files


def test_public_names_resolve() -> None:
    for name in alignconf.__all__:
        assert getattr(alignconf, name).__doc__


def test_the_folder_of_properties_refuses_a_second_identity(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    done = subprocess.run(
        [sys.executable, "-c", "import properties"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "import it as 'alignconf.properties'" in done.stderr


def test_importing_changes_no_global_state(tmp_path: Path) -> None:
    program = (
        "import warnings, numpy as np\n"
        "import sklearn.base, scipy.stats, numba, joblib, tqdm\n"
        "before = (list(warnings.filters), np.random.get_state()[1].tobytes(), np.geterr())\n"
        "import alignconf\n"
        "assert before == (list(warnings.filters), np.random.get_state()[1].tobytes(), np.geterr())\n"
        "import sys\n"
        "assert not {'crepes', 'dask', 'xgboost', 'lightgbm', 'treelite', 'matplotlib.pyplot'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_oldest_versions_are_the_lower_bounds() -> None:
    declared = dict(re.findall(r'"([a-z-]+)(?:\[[a-z,]+\])?>=([\d.]+)"', (ROOT / "pyproject.toml").read_text()))
    pinned = dict(
        re.findall(r"^([a-z-]+)==([\d.]+)$", (Path(__file__).parent / "oldest.txt").read_text(), re.MULTILINE)
    )
    for name in set(declared) - {"furo", "mypy", "myst-parser", "ruff", "setuptools", "sphinx"}:
        width = declared[name].count(".") + 1
        assert ".".join(pinned[name].split(".")[:width]) == declared[name], name
