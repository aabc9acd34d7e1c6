"""Formulas as MathML, which browsers draw by themselves: no script, no network.

docutils converts TeX; what it does not know is rewritten first. The number of an equation, `\\tag{3}`,
stands on its right.
"""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

TAG = re.compile(r"\\tag\{(\w+)\}")
REWRITTEN = (
    (re.compile(r"\\(t?frac)(\d)(\d)"), r"\\\1{\2}{\3}"),  # \frac12
    (re.compile(r"\\[Bb]igg?[lr]?(?![a-zA-Z])"), ""),  # parentheses grow as they need
    (re.compile(r"\\cr(?![a-zA-Z])"), r"\\\\"),
    (re.compile(r"\\dots(?![a-zA-Z])"), r"\\ldots"),
    (re.compile(r"\\(text|display)style(?![a-zA-Z])"), ""),
)
log = logging.getLogger(__name__)


def converted(node: nodes.Element, displayed: bool) -> str:
    """The formula of a node as MathML; a warning, and its TeX, where it cannot be converted."""
    tex = TAG.sub("", node.astext()).strip()
    for old, new in REWRITTEN:
        tex = old.sub(new, tex)
    try:
        return tex2mathml(tex, as_block=displayed)
    except MathError as error:
        log.warning("formula not understood (%s): %s", error, node.astext(), location=node)
        return f"<code>{node.astext()}</code>"


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """A formula in a line, with the punctuation after it in the same line."""
    self.body.append(converted(node, False))
    raise nodes.SkipNode


def visit_displayed(self: HTML5Translator, node: nodes.math_block) -> None:
    """A formula on its own, with its number."""
    numbers = ", ".join(f"({number})" for number in TAG.findall(node.astext()))
    number = f'<span class="equation-number">{numbers}</span>' if numbers else ""
    self.body.append(self.starttag(node, "div", CLASS="displayed-math"))
    self.body.append(f'<div class="formula">{converted(node, True)}</div>{number}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer; `html_math_renderer = "mathml"` chooses it."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_displayed, None))
    return {"parallel_read_safe": True}
