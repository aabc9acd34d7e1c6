"""Pieces of the page: sections, tables, pictures inline, the badge."""

import base64
from collections.abc import Sequence
from html import escape

from ..typing import Array
from .figure import SIGNS
from .history import History
from .images import design_png
from .summary import Verdict, badge
from .tables import Table

KINDS = {Verdict.PASSED: " passed", Verdict.FAILED: " failed", Verdict.ABSENT: ""}


def section(heading: str, content: str) -> str:
    """A heading and what is under it; nothing where there is nothing."""
    return f"<section>\n<h2>{escape(heading)}</h2>\n{content}\n</section>\n" if content else ""


def verdict(history: History) -> str:
    """The badge of the gradient."""
    found = badge(history)
    words = f"<strong>{SIGNS[found.verdict]} {found.verdict.value}</strong>"
    return f'<p class="badge{KINDS[found.verdict]}">{words}<br>{escape(" · ".join(found.evidence))}</p>'


def tables(several: Sequence[Table]) -> str:
    """Tables side by side where there is room."""
    shown = "".join(table(each) for each in several)
    return f'<div class="tables">{shown}</div>' if shown else ""


def table(of: Table) -> str:
    """A table in a frame that scrolls; nothing for a table without rows."""
    return framed(of, [[escape(cell) for cell in row] for row in of.rows])


def framed(of: Table, rows: Sequence[Sequence[str]]) -> str:
    """The table with these rows of markup."""
    if not rows:
        return ""
    kinds = [' class="words"' if column in of.words else "" for column in range(len(of.heads))]
    heads = "".join(f'<th scope="col"{kind}>{escape(head)}</th>' for kind, head in zip(kinds, of.heads, strict=True))
    body = "".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds[1:], rest, strict=True))
        + "</tr>\n"
        for first, *rest in rows
    )
    kind = ' class="pairs"' if len(of.heads) == 2 else ""
    return (
        f'<div class="scroll"><table{kind}><caption>{escape(of.caption)}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def picture(design: Array) -> str:
    """A design as a data URI."""
    return "data:image/png;base64," + base64.b64encode(design_png(design)).decode("ascii")
