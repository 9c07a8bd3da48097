"""The shape of the package, checked against its own imports and files."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import alignconf
import alignconf.properties
from tests.thinned import EVERY

PACKAGE = Path(alignconf.__file__).parent
ROOT = Path(__file__).parent.parent

#: From the bottom up; rooms of one floor do not import each other. A new file needs no line here.
FLOORS = (
    {"_typing", "errors"},
    {"kernels"},
    {"tables"},
    {"contract"},
    {"lines", "properties"},
    {"queries", "calibration"},
    {"projectors"},
    {"losses"},
    {"certify"},
    {"estimators"},
    {"deployment", "plotting"},
    {"testing"},
    {"command"},
    {"__init__", "__main__"},
)
#: Every file of the package but those of the properties, which have rules of their own.
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "properties" not in path.relative_to(PACKAGE).parts)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
#: Entries of the first level, and lines of a file and of a function, beyond which a second idea is looked for.
MOST_ENTRIES, MOST_FLAT, MOST_LINES, MOST_FUNCTION_LINES = 20, 6, 400, 60


def room_of(path: Path) -> str:
    """Return the room of a file: the first name of its path."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    """Return the rooms of alignconf that a file imports from."""
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


def modules_imported(path: Path) -> set[str]:
    """Return the modules of alignconf that a file imports, in full."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("alignconf"):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE).with_suffix("")))
def test_imports_run_down_from_room_to_room(path: Path) -> None:
    room = room_of(path)
    assert room in FLOOR, f"{room} is no room"
    for name in imported(path) - {room}:
        assert FLOOR[name] < FLOOR[room], f"{room} imports {name}, which does not lie below it"


def test_no_file_imports_itself_through_others() -> None:
    files = {
        "alignconf." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
        for path in FILES
    }
    edges = {name: modules_imported(path) & set(files) - {name} for name, path in files.items()}
    while leaves := [name for name, below in edges.items() if not below]:
        for name in leaves:
            del edges[name]
        edges = {name: below - set(leaves) for name, below in edges.items()}
    assert not edges, f"these files import each other: {sorted(edges)}"


def test_the_first_level_is_rooms() -> None:
    entries = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    assert len(entries) <= MOST_ENTRIES
    assert len([name for name in entries if name.endswith(".py")]) <= MOST_FLAT


@pytest.mark.parametrize("room", sorted(path.parent for path in PACKAGE.rglob("__init__.py")), ids=str)
def test_every_room_says_what_it_is_for(room: Path) -> None:
    assert ast.get_docstring(ast.parse((room / "__init__.py").read_text()))


def test_the_wheel_holds_every_room() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    rooms = {".".join(path.parent.relative_to(PACKAGE.parent).parts) for path in PACKAGE.rglob("__init__.py")}
    assert set(settings["tool"]["setuptools"]["packages"]) == rooms | {"alignconf.properties"}


@pytest.mark.parametrize("path", [*FILES, *sorted((PACKAGE / "properties").glob("*.py"))], ids=lambda path: path.stem)
def test_files_and_functions_hold_a_single_idea(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                assert (body[-1].end_lineno or 0) - body[0].lineno < MOST_FUNCTION_LINES, node.name


@pytest.mark.parametrize("path", sorted((PACKAGE / "properties").glob("*.py")), ids=lambda path: path.stem)
def test_properties_import_the_contract_and_what_lies_below_it_only(path: Path) -> None:
    assert imported(path) <= {"contract", "properties", "errors", "_typing", "kernels", "tables"}


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


#: Names that say nothing of the thing. Where one is public, a parameter, a field or a property that users type, it stays.
VAGUE = {"one", "found", "asked", "own", "at", "it", "inside", "known", "other", "told", "chosen"}
MOST_VAGUE = 0.01


def bindings(path: Path) -> list[str]:
    """Return the names that a file binds: variables, parameters, functions and classes."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
        elif isinstance(node, ast.arg):
            names.append(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.append(node.name)
    return names


def test_names_say_what_the_thing_is() -> None:
    names = [name for path in [*FILES, *sorted((PACKAGE / "properties").glob("*.py"))] for name in bindings(path)]
    assert sum(name in VAGUE for name in names) <= MOST_VAGUE * len(names)


def test_no_name_stands_for_two_things() -> None:
    """Neither of a file nor of a class."""
    paths = [*FILES, *sorted((PACKAGE / "properties").glob("*.py"))]
    stems = [path.stem for path in paths if path.stem not in ("__init__", "__main__")]
    assert not {stem for stem in stems if stems.count(stem) > 1}, "give one of the files another name"
    classes = [
        node.name for path in paths for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)
    ]
    assert not {name for name in classes if classes.count(name) > 1}, "give one of the classes another name"


def test_what_the_fast_suite_thins_out_is_there() -> None:
    for name in EVERY:
        file, test = name.split("::")
        assert f"def {test}(" in (Path(__file__).parent / file).read_text(), name
