"""Every benchmark that a page names starts as it is typed there, and has a test of its own that runs it or what it measures."""

from __future__ import annotations

import inspect
import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command_line

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

#: A command, in code that may be broken over lines.
TYPED = re.compile(r"python -m benchmarks ([^`]+)`")

COMMANDS = sorted({" ".join(typed.split()) for page in PAGES for typed in TYPED.findall(page.read_text())})


def test_pages_name_commands() -> None:
    assert len(COMMANDS) > 20


@pytest.mark.parametrize("typed", COMMANDS)
def test_what_a_page_names_starts(typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line reads it, and hands it to a function that takes as much."""
    name, *options = shlex.split(typed)
    started = []

    def recording(run: Any) -> Any:
        def record(*given: Any) -> None:
            inspect.signature(run).bind(*given)
            started.append(name)

        return record

    monkeypatch.setattr(command_line, "run_tabular", recording(command_line.run_tabular))
    monkeypatch.setattr(command_line.many_rules, "run", recording(command_line.many_rules.run))
    if name in command_line.TAKES:
        package = ".command" if name in command_line.PACKAGES else ""
        benchmark = import_module(f"benchmarks.{name}{package}")
        monkeypatch.setattr(benchmark, "run", recording(benchmark.run))
    command_line.main([name, *(str(tmp_path) if option == "DIR" else option for option in options)])
    assert started == [name]


@pytest.mark.parametrize("name", sorted({typed.split()[0] for typed in COMMANDS}))
def test_what_a_page_names_is_tested(name: str) -> None:
    tests = [path.read_text() for path in (ROOT / "tests").glob("test_*.py") if path.name != Path(__file__).name]
    run = rf'main\(\s*\[\s*"{name}"|from benchmarks\.{name}[. ]|from benchmarks import (\w+, )*{name}\b'
    assert any(re.search(run, text) for text in tests), f"no test runs {name}"
