"""A report as one page of HTML: nothing to install, nothing to load, nothing to run.

A :class:`Page` is what a reader is told, in order: the verdict, the sentence behind it, pictures, tables, settings. Its text
holds style and pictures itself; a policy in its head forbids scripts and every connection, so that what a name from the data
might smuggle in would not run. It is laid out for a phone first, follows the reader's dark or light scheme, and prints on
white.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from alignconf.certify.report.validators import footer
from alignconf.certify.verdict import HOLDS, UNDECIDED, UNSEEN, VIOLATED
from alignconf.tables.storage import check_target, replacing

__all__ = ["FigureTable", "Page", "Picture", "Section", "check_path", "save_text"]

#: A sign and a class of the style sheet for each verdict: colour never says anything alone.
SIGNS = {HOLDS: ("\N{CHECK MARK}", "good"), UNSEEN: ("\N{CHECK MARK}", "good"),
         UNDECIDED: ("?", "open"), VIOLATED: ("\N{MULTIPLICATION SIGN}", "bad")}  # fmt: skip

STYLE = """
:root{--paper:#ffffff;--panel:#f4f6f8;--ink:#1b1d1f;--muted:#5f666d;--rule:#d5d9dd;--model:#0072b2;--delivered:#c04f00;
--projection:#4d5358;--limit:#aa3377;--rival:#007a59;--good:#00664a;--bad:#a8280f;--open:#6b5300;
--font:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",Arial,sans-serif;color-scheme:light dark}
@media screen and (prefers-color-scheme:dark){:root{--paper:#15181b;--panel:#1f2428;--ink:#e8eaed;--muted:#a3abb3;--rule:#3b4248;
--model:#5db8f0;--delivered:#ff9a4d;--projection:#b9c0c6;--limit:#f08cc5;--rival:#46d1a5;--good:#5fd6ac;--bad:#ff8d75;
--open:#e6c34a}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.55 var(--font);overflow-wrap:anywhere}
main{max-width:46rem;margin:0 auto;padding:1rem 1rem 3rem}
h1{font-size:1.3rem;line-height:1.3;margin:.5rem 0 .75rem}h2{font-size:1.05rem;margin:2rem 0 .5rem}
.verdict{border-left:.35rem solid currentColor;background:var(--panel);padding:.6rem .8rem;margin:0 0 1rem}
.verdict strong{font-size:1.15rem}.verdict p{color:var(--ink);margin:.25rem 0 0}
.good{color:var(--good)}.bad{color:var(--bad)}.open{color:var(--open)}.none{color:var(--muted)}
ul{padding-left:1.2rem;margin:.5rem 0}li{margin:.35rem 0}
figure{margin:1rem 0 1.5rem;break-inside:avoid}figcaption{color:var(--muted);font-size:.9rem}
svg{display:block;width:100%;max-width:34rem;height:auto}svg *{stroke-linejoin:round;stroke-linecap:butt}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--muted);padding-bottom:.4rem}
th,td{text-align:left;vertical-align:top;padding:.4rem .7rem .4rem 0;border-bottom:1px solid var(--rule)}
th{color:var(--muted);font-weight:600}tr{break-inside:avoid}td span{display:block}
dl{display:grid;grid-template-columns:minmax(6rem,12rem) 1fr;gap:.25rem 1rem;font-size:.92rem;margin:0}
dt{color:var(--muted)}dd{margin:0}
.summary{grid-template-columns:6rem 1fr;font-size:1rem}
@media (max-width:34rem){
table,tbody,tr,td{display:block}thead{display:none}caption{display:block}tr{border-bottom:1px solid var(--rule);padding:.5rem 0}
td{border:0;padding:.1rem 0}td::before{content:attr(data-label) ": ";color:var(--muted)}
dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 .5rem}}
@page{margin:1.6cm}
@media print{main{max-width:none;padding:0}body{font-size:10.5pt}}
"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Picture:
    """An inline SVG element with what is said below it."""

    svg: str
    caption: str


@dataclass(frozen=True)
class FigureTable:
    """A table of text; a cell with several lines is a tuple of them."""

    title: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str | tuple[str, ...], ...], ...]


@dataclass(frozen=True)
class Section:
    """Statements of one kind: a label, what such statements mean, and the statements, the first one in full size."""

    title: str
    kind: str
    meaning: str
    facts: Sequence[str]


@dataclass(frozen=True)
class Page:
    """What a reader is told, in order. All text is escaped.

    Parameters
    ----------
    title : str
    word : str
        The verdict, or another headline where there is none to give; empty for neither.
    sentence : str
        Why.
    facts : sequence of str
        The claims, the first one in full size.
    pictures : sequence of Picture
    tables : sequence of FigureTable
    settings : sequence of (str, str)
    sections : sequence of Section
        What else is known, after the tables.
    summary : sequence of (str, str)
        What a reader with little time is told; the claims are then further down, in full.
    """

    title: str
    word: str
    sentence: str
    facts: Sequence[str]
    pictures: Sequence[Picture]
    tables: Sequence[FigureTable]
    settings: Sequence[tuple[str, str]]
    sections: Sequence[Section] = ()
    summary: Sequence[tuple[str, str]] = ()

    def html(self) -> str:
        """Return the page."""
        sign, kind = SIGNS.get(self.word, ("", "none"))
        word = f"{sign} {self.word[:1].upper()}{self.word[1:]}".strip() or "No verdict"
        pictures = "".join(
            f"<figure>{picture.svg}<figcaption>{escape(picture.caption)}</figcaption></figure>"
            for picture in self.pictures
        )
        settings = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in self.settings)
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
            f"<title>{escape(self.title)}</title><style>{STYLE}</style></head>\n<body><main>"
            f"<h1>{escape(self.title)}</h1>"
            f'<section class="verdict {kind}"><strong>{escape(word)}</strong><p>{escape(self.sentence)}</p></section>\n'
            f"{_summary(self.summary) or _facts(self.facts)}\n{'<h2>Pictures</h2>' if pictures else ''}{pictures}\n"
            f"{''.join(map(_table, self.tables))}{''.join(map(_section, self.sections))}\n"
            f"{'<h2>In full</h2>' + _facts(self.facts) if self.summary else ''}\n"
            f"<h2>Settings and versions</h2><dl>{settings}</dl>{footer()}"
            "</main></body></html>\n"
        )


def check_path(path: Any) -> Path | None:
    """Return where to write a page, None for nowhere.

    Raises
    ------
    InputError
        If it is no path, or nothing can be written there.
    """
    return None if path is None else check_target(path)


def save_text(text: str, path: Any) -> str:
    """Write text to a file, whole or not at all, and return the file's path as text; without a path return the text."""
    target = check_path(path)
    if target is None:
        return text
    with replacing(target) as file:
        file.write(text.encode("utf-8"))
    return str(path)


def _summary(facts: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{escape(label)}</dt><dd>{escape(text)}</dd>" for label, text in facts)
    return f'<dl class="summary">{items}</dl>' if items else ""


def _facts(facts: Sequence[str]) -> str:
    first = f"<p>{escape(facts[0])}</p>" if facts else ""
    others = "".join(f"<li>{escape(fact)}</li>" for fact in facts[1:])
    return f"{first}<ul>{others}</ul>" if others else first


def _section(section: Section) -> str:
    label = f'<p class="none"><strong>{escape(section.kind)}</strong>. {escape(section.meaning)}</p>'
    return f"\n<section><h2>{escape(section.title)}</h2>{label}{_facts(section.facts)}</section>"


def _table(table: FigureTable) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.header)
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td data-label="{escape(name)}">{_cell(cell)}</td>' for name, cell in zip(table.header, row, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    return (
        f"<h2>{escape(table.title)}</h2><table><caption>{escape(table.caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _cell(cell: str | tuple[str, ...]) -> str:
    return escape(cell) if isinstance(cell, str) else "".join(f"<span>{escape(line)}</span>" for line in cell)
