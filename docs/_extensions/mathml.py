"""Formulas as MathML, which browsers draw by themselves: no script, no network.

latex2mathml converts TeX. The number of an equation, `\\tag{3}`, stands on its right.
"""

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

TAG = re.compile(r"\\tag\{(\w+)\}")
REWRITTEN = (
    (re.compile(r"(\\[Bb]igg?[lr]?)\s*\\[lr]vert(?![a-zA-Z])"), r"\1|"),
    (re.compile(r"\\(min|max)\s*_"), r"\\\1\\limits_"),
    (re.compile(r"\\(begin|end)\{aligned\}"), r"\\\1{align*}"),
)
"""What latex2mathml does not know, and what it sets beside an operator instead of below it."""
UNKNOWN = re.compile(r"<m[ion][^>]*>(\\\w+|&|&amp;)</m")
log = logging.getLogger(__name__)


def converted(node: nodes.Element, display: str) -> str:
    """The formula of a node as MathML, with a warning for commands that are left as they are."""
    tex = TAG.sub("", node.astext()).strip()
    for old, new in REWRITTEN:
        tex = old.sub(new, tex)
    formula = convert(tex, display=display)
    if unknown := UNKNOWN.findall(formula):
        log.warning("formula has unknown commands %s: %s", unknown, node.astext(), location=node)
    return formula


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """A formula in a line."""
    self.body.append(converted(node, "inline"))
    raise nodes.SkipNode


def visit_displayed(self: HTML5Translator, node: nodes.math_block) -> None:
    """A formula on its own, with its number."""
    numbers = ", ".join(f"({number})" for number in TAG.findall(node.astext()))
    number = f'<span class="equation-number">{numbers}</span>' if numbers else ""
    self.body.append(self.starttag(node, "div", CLASS="displayed-math"))
    self.body.append(f'<div class="formula">{converted(node, "block")}</div>{number}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer; `html_math_renderer = "mathml"` chooses it."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_displayed, None))
    return {"parallel_read_safe": True}
