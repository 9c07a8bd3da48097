"""Sections of a report, as Markdown and as one HTML page with its figures inside; long tables are folded there."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tables import markdown

__all__ = ["Section", "write_page"]

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:auto;padding:1rem;color:#222}"
    "h1{margin-bottom:0}h2{margin:2rem 0 .3rem}p{max-width:50rem;margin:.3rem 0 .8rem}"
    "table{border-collapse:collapse;font-size:.85rem;display:block;overflow-x:auto}"
    "td,th{border-bottom:1px solid #ddd;padding:.25rem .6rem;text-align:left;vertical-align:top}"
    "td:last-child{min-width:16rem}th{border-bottom:2px solid #888}"
    "img{max-width:100%}summary{cursor:pointer;margin:.6rem 0;font-weight:600}"
)


@dataclass(frozen=True)
class Section:
    """A heading, a paragraph, and a table (no rows: none) or a figure; a detail is folded until it is asked for."""

    title: str
    text: str
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    figure: str = ""
    is_detail: bool = False

    def as_markdown(self) -> str:
        parts = [f"## {self.title}", self.text]
        if self.rows:
            parts.append(markdown(self.header, self.rows))
        if self.figure:
            parts.append(f"![{self.title}]({self.figure})")
        return "\n\n".join(parts)

    def as_html(self, directory: Path) -> str:
        parts = [f"<p>{html.escape(self.text)}</p>"]
        if self.rows:
            parts.append(f"<table><tr>{_cells('th', self.header)}</tr>")
            parts += [f"<tr>{_cells('td', row)}</tr>" for row in self.rows]
            parts.append("</table>")
        if self.figure:
            picture = b64encode((directory / self.figure).read_bytes()).decode()
            parts.append(f'<img alt="{html.escape(self.title)}" src="data:image/png;base64,{picture}">')
        title, body = html.escape(self.title), "".join(parts)
        return f"<details><summary>{title}</summary>{body}</details>" if self.is_detail else f"<h2>{title}</h2>{body}"


def write_page(title: str, sections: Sequence[Section], output: Path, name: str) -> None:
    """Write ``name.md`` and ``name.html``; figures must be in the directory already."""
    body = "\n\n".join(section.as_markdown() for section in sections)
    (output / f"{name}.md").write_text(f"# {title}\n\n{body}\n")
    page = "".join(section.as_html(output) for section in sections)
    (output / f"{name}.html").write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>{page}</body></html>\n"
    )


def _cells(tag: str, row: Sequence[str]) -> str:
    return "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in row)
