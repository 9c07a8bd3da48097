"""How the documentation is built: ``make docs``, offline, with every warning an error.

Pages are Markdown, so that they also read on a forge; the reference is made from docstrings. Formulas in docstrings become
MathML, which browsers draw by themselves, so that nothing is fetched: no fonts, no MathJax, no inventories of other projects.
"""

from __future__ import annotations

import re
import sys
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

sys.path.insert(0, str(Path(__file__).parent.parent))

from alignconf import __version__

project = "alignconf"
copyright = "the alignconf authors, BSD 3-clause licence"  # noqa: A001
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"alignconf {version}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"
smartquotes_action = "De"

myst_heading_anchors = 3

autodoc_member_order = "bysource"
# Docstrings say shapes and ranges, which annotations do not.
autodoc_typehints = "none"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]

# numpydoc's numbered references need not be cited in the text.
suppress_warnings = ["ref.footnote"]


# LaTeX commands that docutils knows by another name.
KNOWN_AS = {r"\dots": r"\ldots", r"\Big": r"\Bigl"}


def mathml(node: Any, *, as_block: bool) -> str:
    """Return a formula as MathML; one that cannot be read is a warning, and shown as it was typed."""
    formula = node.astext()
    for command, known in KNOWN_AS.items():
        formula = re.sub(re.escape(command) + "(?![a-zA-Z])", lambda _, known=known: known, formula)
    try:
        return str(tex2mathml(formula, as_block=as_block))
    except MathError as error:
        logging.getLogger(__name__).warning("formula %r: %s", formula, error, location=node)
        return escape(formula)


def inline_math(translator: Any, node: Any) -> None:
    """Write a formula within a sentence."""
    translator.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def displayed_math(translator: Any, node: Any) -> None:
    """Write a formula on a line of its own."""
    translator.body.append(f'<div class="math">{mathml(node, as_block=True)}</div>')
    raise nodes.SkipNode


def skip_inherited(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:  # noqa: ARG001
    """Leave out what scikit-learn gives every estimator: its own manual explains it, and cannot be linked to."""
    return True if (getattr(obj, "__module__", None) or "").startswith("sklearn.") else None


#: Tables of at most so many columns stand cell below cell on a phone; wider ones, of figures, scroll.
MOST_COLUMNS = 4


def label_cells(app: Sphinx, doctree: nodes.document, docname: str) -> None:  # noqa: ARG001
    """Give each cell of a narrow table the heading of its column, which pages.css shows where one column fits."""
    for table in doctree.findall(nodes.table):
        header, body = table.next_node(nodes.thead), table.next_node(nodes.tbody)
        if header is None or body is None or len(headings := list(header.findall(nodes.entry))) > MOST_COLUMNS:
            continue
        table["classes"].append("stacked")
        for row in body.findall(nodes.row):
            for heading, cell in zip(headings[1:], row.children[1:], strict=True):
                words = heading.astext()
                if words and cell.children:
                    cell.children[0].insert(0, nodes.inline("", f"{words}: ", classes=["heading"]))


def setup(app: Sphinx) -> None:
    """Draw formulas as MathML, stack tables on phones; the reference is about this project's own methods."""
    app.add_html_math_renderer("mathml", (inline_math, None), (displayed_math, None))
    app.connect("autodoc-skip-member", skip_inherited)
    app.connect("doctree-resolved", label_cells)
