"""The API reference: a block of names becomes a table of first lines, and the entry of each name.

A page of `docs/api/` lists its names in blocks, one name a line; an object without a
docstring has a text there:

    ```public
    adjoint.Affine
    adjoint.lu: LU factors of any square matrix.
    ```

`tests/test_api_pages.py` compares the same blocks with what packages export.
"""

import enum
import importlib
import inspect
import re

from docutils import nodes
from docutils.nodes import Element
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.autodoc.mock import mock
from sphinx.util.inspect import object_description
from sphinx.util.nodes import make_refnode

import adjoint

BLOCK = re.compile(r"^```public\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ARRAY = re.compile(
    r"~?(numpy\.)?ndarray\[(~?(typing\.)?Any|tuple\[~?(typing\.)?Any, \.\.\.\]), .*?dtype\[.*?\]\]"
)
LONG = 40
"""Characters of a default from which on it is left out of a signature."""
PRIVATE = re.compile(r", _\w+: .*(?=\)$)")

WITHOUT_LINKS = ("changelog",)
"""Pages that name things of the past."""


def entries(block: str) -> list[tuple[str, str]]:
    """(name, text) for each line of a block."""
    return [
        (name, text.strip())
        for name, _, text in (line.partition(":") for line in block.splitlines() if line)
    ]


def resolved(name: str) -> object:
    """The object of a dotted name."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)


def escaped(text: str) -> str:
    """Plain text as reStructuredText: | * and a last _ are literal, what is in backticks stays."""
    pieces = re.split(r"(``.*?``|`[^`]*`)", text)
    pieces[::2] = [
        re.sub(r"([|*\\])|_(?!\w)", lambda found: "\\" + found[0], piece) for piece in pieces[::2]
    ]
    return "".join(pieces)


def summary(name: str, text: str) -> str:
    """The text given, or the first line of the docstring."""
    first = text or (inspect.getdoc(resolved(name)) or "").partition("\n")[0]
    return re.sub(r"\s*\(docs/math[^)]*\)", "", first)


def entry(name: str, text: str) -> str:
    """The directive that documents an object."""
    found = resolved(name)
    if inspect.ismodule(found):
        return f".. automodule:: {name}\n   :members:\n   :member-order: bysource\n"
    if isinstance(found, type) and issubclass(found, BaseException):
        return f".. autoexception:: {name}\n"
    if isinstance(found, enum.EnumMeta):
        return (
            f".. autoclass:: {name}\n   :members:\n   :undoc-members:\n   :member-order: bysource\n"
        )
    if isinstance(found, type):
        call = "   :special-members: __call__\n" if "__call__" in vars(found) else ""
        return f".. autoclass:: {name}\n   :members:\n   :member-order: bysource\n{call}"
    if inspect.isfunction(found):
        return f".. autofunction:: {name}\n"
    return f".. py:data:: {name}\n\n   {escaped(text)}\n"


def read_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """Blocks of names as reStructuredText."""

    def expanded(block: re.Match[str]) -> str:
        names = entries(block[1])
        rows = [
            f"   * - :py:obj:`~{name}`\n     - {escaped(summary(name, text))}\n"
            for name, text in names
        ]
        table = ".. list-table::\n   :class: names\n   :widths: 30 70\n\n" + "".join(rows)
        return "\n".join(
            ["```{eval-rst}", table, *(entry(name, text) for name, text in names), "```"]
        )

    with mock(app.config.autodoc_mock_imports):
        source[0] = BLOCK.sub(expanded, source[0])


def read_docstring(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Docstrings are plain text, with names in backticks, and NumPy sections."""
    lines[:] = [line if line.lstrip().startswith(">>>") else escaped(line) for line in lines]


def read_signature(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    arguments: str | None,
    returned: str | None,
) -> tuple[str, str | None] | None:
    """Short types and defaults; no arguments of classes that nobody calls."""
    if arguments is None:
        return None
    if isinstance(obj, type) and (
        getattr(obj, "_is_protocol", False) or issubclass(obj, BaseException | enum.Enum)
    ):
        return "", None
    for parameter in inspect.signature(obj).parameters.values():  # type: ignore[arg-type]
        if parameter.default is not parameter.empty:
            shown = object_description(parameter.default)
            short = default(parameter.default, shown)
            arguments = arguments.replace(f" = {shown}", f" = {short}")
    arguments = ARRAY.sub("Array", arguments)
    return PRIVATE.sub("", arguments), returned and ARRAY.sub("Array", returned)


def default(value: object, shown: str) -> str:
    """A default in a signature: a public name, a short repr, or three dots."""
    names = [
        f"adjoint.{name}"
        for name, other in vars(adjoint).items()
        if other is value and callable(value)
    ]
    return names[0] if names else shown if len(shown) < LONG and "<" not in shown else "..."


def shorten_types(app: Sphinx, tree: nodes.document) -> None:
    """Types of properties, which are in no signature."""
    for annotation in tree.findall(addnodes.desc_annotation):
        if "ndarray" in annotation.astext():
            short = ARRAY.sub("Array", annotation.astext())
            annotation.clear()
            annotation += nodes.Text(short)


def refer(app: Sphinx, env: BuildEnvironment, node: Element, text: Element) -> Element | None:
    """A link for a name in backticks, or in a signature, by its last part.

    `Reduced`, `Point.hvp`.
    """
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"]).partition("(")[0]
    tail = target.rpartition(".")[2] if target.startswith("adjoint.") else target
    name = _ENDINGS.get(tail)
    if name is None:
        return None
    place = env.domains["py"].objects[name]
    return make_refnode(app.builder, node["refdoc"], place.docname, place.node_id, text, name)


_ENDINGS: dict[str, str] = {}
"""The documented name that ends so, after any dot: the shortest of several.

Methods with their class only.
"""


def collect(app: Sphinx, env: BuildEnvironment) -> None:
    """Once all pages are read: what names in backticks may stand for."""
    objects = env.domains["py"].objects
    for name in sorted(objects, key=lambda name: name.count(".")):
        parts = name.split(".")
        member = objects[name].objtype in ("method", "property", "attribute")
        for start in range(len(parts) - member):
            _ENDINGS.setdefault(".".join(parts[start:]), name)


def link_names(app: Sphinx, tree: nodes.document, docname: str) -> None:
    """Names in backticks on pages are links to their entries, as those in docstrings are."""
    if docname in WITHOUT_LINKS:
        return
    for literal in list(tree.findall(nodes.literal)):
        name = _ENDINGS.get(literal.astext().partition("(")[0].removeprefix("adjoint."))
        within = literal.parent
        while within is not None and not isinstance(within, nodes.reference | nodes.title):
            within = within.parent
        if name is None or within is not None:
            continue
        place = app.env.domains["py"].objects[name]
        link = make_refnode(app.builder, docname, place.docname, place.node_id, [], name)
        literal.replace_self(link)
        link += literal


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect."""
    app.connect("source-read", read_page)
    app.connect("autodoc-process-docstring", read_docstring, priority=400)
    app.connect("autodoc-process-signature", read_signature)
    app.connect("doctree-read", shorten_types)
    app.connect("env-check-consistency", collect)
    app.connect("missing-reference", refer)
    app.connect("doctree-resolved", link_names)
    return {"parallel_read_safe": True}
