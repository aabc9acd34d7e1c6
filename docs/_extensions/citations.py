"""Citations of equations become links: "eq. 3" on a page, "docs/math/steady.md, eq. 3" in
a docstring.

Equations are numbered by hand, `\\tag{3}`, on the pages of the mathematics. GitHub
shows the same pages, so neither equations nor citations carry markup of Sphinx; they
get it here, when they are read.
"""

import re
from collections.abc import Callable

from sphinx.application import Sphinx

CITATION = re.compile(r"\beqs?\.\s+\d+(?:\s*[–-]\s*\d+)?(?:(?:,\s*|\s+and\s+|,\s+and\s+)\d+)*")
IN_DOCSTRING = re.compile(r"(docs/math[\w./]*,\s+)(eqs?\.[^).;]*(?:\.\s*\d[^).;]*)*)")
TAG = re.compile(r"\\tag\{(\d+)\}")
DISPLAYED = re.compile(r"^\$\$\n.*?^\$\$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)

SITE_ONLY = ("changelog",)
"""Pages whose equations, if any, are not those of the mathematics."""


def linked(text: str, link: Callable[[str], str]) -> str:
    """The text with each number of its citations made a link."""
    return CITATION.sub(
        lambda citation: re.sub(r"\d+", lambda number: link(number[0]), citation[0]), text
    )


def labelled(text: str) -> str:
    """Markdown with a target before each displayed equation that has a number."""

    def targets(block: re.Match[str]) -> str:
        return "".join(f"(equation-{number})=\n" for number in TAG.findall(block[0])) + block[0]

    return DISPLAYED.sub(targets, text)


def read_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """Markdown: targets at equations, links at citations outside of code."""
    if docname in SITE_ONLY or docname.startswith("api/"):
        return
    if TAG.search(source[0]):
        source[0] = labelled(source[0])
    pieces = CODE.split(source[0])
    pieces[::2] = [
        linked(piece, lambda number: f"{{ref}}`{number} <equation-{number}>`")
        for piece in pieces[::2]
    ]
    source[0] = "".join(pieces)


def read_docstring(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Docstrings: links at citations of the mathematics (others are of papers and books)."""

    def cite(found: re.Match[str]) -> str:
        return "the mathematics, " + linked(
            found[2], lambda number: f":ref:`{number} <equation-{number}>`"
        )

    lines[:] = IN_DOCSTRING.sub(cite, "\n".join(lines)).split("\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect."""
    app.connect("source-read", read_page)
    app.connect("autodoc-process-docstring", read_docstring, priority=900)
    return {"parallel_read_safe": True}
