"""A headless browser for the tests of pages, if the machine has one.

A page is put into a frame of a given width on a sheet with a script of its own, which measures the page from outside and writes
what it finds into the sheet: the page itself runs no script.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no chromium or chrome on this machine: pages are not looked at"
)

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=2000",
)  # fmt: skip

SHEET = """<!DOCTYPE html><html><body style="margin:0">{frames}<pre id="found"></pre><script>
function look(frame) {{
  const page = frame.contentDocument, root = page.documentElement;
  const outside = [...page.querySelectorAll("main *")].filter(one => !one.closest("svg *"));
  const wide = outside.filter(one => one.getBoundingClientRect().right > root.clientWidth + 0.5).map(one => one.tagName);
  const texts = [...page.querySelectorAll("svg")].map(svg => [...svg.querySelectorAll("text")].map(text => {{
    const box = text.getBoundingClientRect(), whole = svg.getBoundingClientRect();
    return {{words: text.textContent, left: box.left - whole.left, top: box.top - whole.top, right: box.right - whole.left,
            bottom: box.bottom - whole.top, width: whole.width, height: whole.height, size: box.height,
            slanted: /rotate\\((?!-?0[ .])/.test(text.getAttribute("transform") || "")}};
  }}));
  const style = frame.contentWindow.getComputedStyle(page.body);
  return {{
    width: root.scrollWidth, client: root.clientWidth, wide, texts, paper: style.backgroundColor, ink: style.color,
    loaded: frame.contentWindow.performance.getEntriesByType("resource").map(one => one.name),
    from_data: page.querySelectorAll("b, i, img, script").length, text: page.body.innerText
  }};
}}
window.addEventListener("load", () => {{
  document.getElementById("found").textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(look));
}});
</script></body></html>"""

FRAME = '<iframe style="width:{width}px;height:2500px;border:0" srcdoc="{page}"></iframe>'


def run(*arguments: str) -> tuple[str, list[str]]:
    """Return what the browser prints, and what its console says."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        done = subprocess.run(
            [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", *arguments],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def look_at(pages: Sequence[tuple[str, int]], directory: Path, *, dark: bool = False) -> tuple[list[Any], list[str]]:
    """Return what pages look like in frames of given widths, and what the console says."""
    sheet = directory / "sheet.html"
    frames = "".join(FRAME.format(width=width, page=escape(page)) for page, width in pages)
    sheet.write_text(SHEET.format(frames=frames), encoding="utf-8")
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    printed, console = run("--window-size=1000,3200", scheme, "--dump-dom", sheet.as_uri())
    found = re.search(r'<pre id="found">(.+?)</pre>', printed, re.DOTALL)
    assert found, printed[-2000:]
    return json.loads(unescape(found[1])), console


def print_to_pdf(page: str, directory: Path) -> bytes:
    """Return a page as it is printed."""
    source, target = directory / "page.html", directory / "page.pdf"
    source.write_text(page, encoding="utf-8")
    run(f"--print-to-pdf={target}", "--no-pdf-header-footer", source.as_uri())
    return target.read_bytes()
