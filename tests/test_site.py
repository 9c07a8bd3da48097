"""The documentation as it is built: no warning, nothing fetched, every public name in the reference, and found by the search.

Skipped where the extra ``docs`` is not installed; continuous integration installs it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import alignconf
import alignconf.properties

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for needed in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(needed, reason=f"{needed} is not installed: pip install 'alignconf[docs]'")
    folder = tmp_path_factory.mktemp("site")
    options = ["-W", "--keep-going", "-q", "-b", "html"]
    command = [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_nothing_is_fetched(site: Path) -> None:
    for page in site.rglob("*.html"):
        for tag in re.findall(r"<(?:script|img|iframe|link)\b[^>]*>", page.read_text()):
            assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", tag), (page.name, tag)
    for sheet in site.rglob("*.css"):
        assert not re.search(r"""(?:url\(|@import)\s*["']?(?:https?:)?//""", sheet.read_text()), sheet.name


def test_formulas_are_drawn_by_the_browser(site: Path) -> None:
    assert "<math" in (site / "reference" / "estimators.html").read_text()


def names_in_blocks() -> set[str]:
    """Return the full names of what the pages import from this package."""
    found = set()
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "alignconf":
                    found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_the_reference_has_every_public_name(site: Path) -> None:
    """What the package and its vocabulary export, and whatever a page imports."""
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    entries = {line.split(" ", 1)[0] for line in zlib.decompress(inventory).decode().splitlines()}
    last = {entry.rsplit(".", 1)[-1] for entry in entries if entry.startswith("alignconf")}
    public = {f"alignconf.{name}" for name in alignconf.__all__}
    public |= {f"alignconf.properties.{name}" for name in alignconf.properties.__all__}
    missing = {name for name in public | names_in_blocks() if name.rsplit(".", 1)[-1] not in last}
    assert not missing


def test_the_search_knows_the_words(site: Path) -> None:
    index = (site / "searchindex.js").read_text()
    for word in ("clopper", "exchang", "monoton"):
        assert re.search(rf"\b{word}", index), word
