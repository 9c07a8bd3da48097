"""Everything that documents show is run: doctests of all modules, and the Python blocks of README and docs."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import alignconf

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(alignconf.__path__, "alignconf.") if "__main__" not in module.name
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", ["alignconf", *MODULES])
def test_doctests(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run(
    page: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The blocks of a page run one after the other, as a reader would type them; ``output`` is what the one above printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    module = ModuleType(page.stem)
    monkeypatch.setitem(sys.modules, page.stem, module)  # classes defined there can be pickled
    printed = ""
    for language, block in re.findall(r"^```(python|output)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        if language == "output":
            assert block.rstrip() == printed.rstrip()
            continue
        exec(compile(block, str(page), "exec", dont_inherit=True), vars(module))
        printed = capsys.readouterr().out
        for shown in re.findall(r"print\(.*\)  # (.*)", block):
            assert any(line.startswith(shown) for line in printed.splitlines()), shown


def test_the_first_screen_of_the_readme_says_what_its_code_prints() -> None:
    """Twelve lines of code, and what they print (:func:`test_blocks_run` runs them); the words repeat its figures."""
    page = (ROOT / "README.md").read_text()
    shown = re.search(r"^```python\n(.*?)^```\n\n```output\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert shown is not None
    assert sum(bool(line) for line in shown[1].splitlines()) <= 12
    assert page[: shown.end()].count("\n") <= 45
    figures = re.search(r"Broken +(\S+) before, (\S+) now.*Moved +at most (\S+),.*Valid if", shown[2], re.DOTALL)
    assert figures is not None
    said = " ".join(page[shown.end() :].split())
    assert said.startswith(f"{figures[1]} of the questions broke the rule before, and {figures[2]} do now.")
    assert f"moves by more than {figures[3]} " in said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_exist(page: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_page_has_a_place_in_the_contents() -> None:
    contents = [ROOT / "docs" / "index.md", ROOT / "docs" / "reference" / "index.rst"]
    listed = [name for page in contents for name in re.findall(r"^ *([a-z-]+)$", page.read_text(), re.MULTILINE)]
    missing = {page.stem for page in PAGES[1:]} - {"index", *listed}
    assert not missing, f"add to a list of docs/index.md or docs/reference/index.rst: {missing}"


def test_pages_say_for_whom_they_are_and_what_comes_next() -> None:
    """One grey line below the title, for whom and how long; one way on at the end; tables of how-tos fit a phone."""
    contents = (ROOT / "docs" / "index.md").read_text()
    how_tos = contents[contents.index(":caption: Do") : contents.index(":caption: Understand")]
    for page in PAGES[1:]:
        if page.stem == "index":
            continue
        lines = page.read_text().rstrip().splitlines()
        assert re.fullmatch(r"\*For .+ · .+\*", lines[2]), page.name
        assert lines[-1].startswith("**Next:** "), page.name
        if re.search(rf"^{page.stem}$", how_tos, re.MULTILINE):
            columns = [line.count("|") - 1 for line in lines if re.fullmatch(r"[|-]+", line)]
            assert max(columns, default=0) <= 4, page.name


def messages() -> list[str]:
    """Return what the package's sources say in strings, each in one piece, gaps where values stand."""
    found = []
    package = Path(alignconf.__file__).parent
    for path in {*package.rglob("*.py"), *(package / "properties").glob("*.py")}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_messages_in_troubleshooting_are_messages_of_the_package() -> None:
    """``a ... b`` quotes a message that has ``a`` and later ``b``."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    quoted = [
        cell
        for table in page.split("| it says | why | what to do |\n|---|---|---|\n")[1:]
        for cell in re.findall(r"^\| `([^`]*)`", table.split("\n\n")[0], re.MULTILINE)
    ]
    said = messages()
    assert len(quoted) > 40
    for quote in quoted:
        pattern = re.compile(".*".join(re.escape(part) for part in quote.split(" ... ")), re.DOTALL)
        assert any(pattern.search(message) for message in said), quote


def test_pictures_are_what_their_script_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words and numbers are compared; the strokes may differ between versions of matplotlib."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    specification = importlib.util.spec_from_file_location("figure", ROOT / "docs" / "figure.py")
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    script.draw(tmp_path)
    for name in script.PICTURES:
        drawn, kept = (
            sorted(re.findall(r"<text[^>]*>([^<]+)</text>", (folder / name).read_text(encoding="utf-8")))
            for folder in (tmp_path, ROOT / "docs" / "_static")
        )
        assert drawn == kept, "make figures draws them again"
        assert len(drawn) > 10
