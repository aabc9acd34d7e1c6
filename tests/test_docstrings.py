"""Public docstrings have NumPy sections that name every parameter, and lines that fit a screen.

Methods that implement an exported protocol keep a single line: the protocol documents them.
"""

import dataclasses
import importlib
import inspect
import types

import pytest
from numpydoc.docscrape import NumpyDocString

import adjoint.protocols

NAMESPACES = [
    "adjoint",
    "adjoint.accuracy",
    "adjoint.checkpointing",
    "adjoint.checks",
    "adjoint.continuation",
    "adjoint.dense",
    "adjoint.derive",
    "adjoint.design",
    "adjoint.determinant",
    "adjoint.eigen",
    "adjoint.errors",
    "adjoint.factor",
    "adjoint.interop",
    "adjoint.interop.nlopt",
    "adjoint.interop.scipy",
    "adjoint.matrices",
    "adjoint.newton",
    "adjoint.ode",
    "adjoint.optimize",
    "adjoint.optimize.manifolds",
    "adjoint.protocols",
    "adjoint.recurrence",
    "adjoint.report",
    "adjoint.steady",
]
INTERNAL = {"NoConvergenceError", "SubproblemFailed"}
COLUMNS = 92


def members(namespace):
    """The exported classes and functions; of modules without `__all__` the classes they define."""
    try:
        module = importlib.import_module(namespace)
    except ImportError:  # An optimizer that is not installed.
        return {}
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == namespace and name[0] != "_"
    ]
    found = {name: getattr(module, name) for name in names if name not in INTERNAL}
    return {
        name: value
        for name, value in found.items()
        if inspect.isclass(value) or isinstance(value, types.FunctionType)
    }


PROTOCOL_METHODS = {
    name
    for namespace in NAMESPACES
    for protocol in members(namespace).values()
    if getattr(protocol, "_is_protocol", False)
    for name in vars(protocol)
    if name[0] != "_"
}


def parameters(value):
    """The names that a caller gives: fields of a dataclass, arguments of a function."""
    if inspect.isclass(value):
        if getattr(value, "_is_protocol", False):
            return []
        if dataclasses.is_dataclass(value):
            return [f.name for f in dataclasses.fields(value) if f.init and f.name[0] != "_"]
        if "__init__" not in vars(value):
            return []
        value = value.__init__
    names = inspect.signature(value).parameters
    return [name for name in names if name not in ("self", "cls") and name[0] != "_"]


def documented(sections, *titles):
    return [
        name.strip().lstrip("*")
        for title in titles
        for entry in sections[title]
        for name in entry.name.split(",")
    ]


def faults(value):
    """What the docstring of a class or a function lacks."""
    text = inspect.cleandoc(value.__doc__ or "")
    if not text:
        yield "no docstring"
        return
    summary, *rest = text.split("\n")
    if not summary.endswith((".", ":")):
        yield f"the summary is not one line that ends with a period: {summary!r}"
    if rest and rest[0]:
        yield "no blank line after the summary"
    if any(len(line) > COLUMNS for line in (summary, *rest)):
        yield f"a line of more than {COLUMNS} columns"
    sections = NumpyDocString(text)
    given = parameters(value)
    named = documented(sections, "Parameters", "Other Parameters", "Attributes")
    if missing := [name for name in given if name not in named]:
        yield f"parameters without a description: {missing}"
    if not inspect.isclass(value):
        if unknown := [name for name in documented(sections, "Parameters") if name not in given]:
            yield f"described, but not parameters: {unknown}"
        returned = inspect.signature(value).return_annotation
        nothing = returned in (None, "None", inspect.Signature.empty)
        if not nothing and not sections["Returns"] and not sections["Yields"]:
            yield "no section Returns"
    for entry in sections["Parameters"]:
        if not entry.type or not entry.desc:
            yield f"parameter {entry.name} without a type or a description"


def public():
    seen = set()
    for namespace in NAMESPACES:
        for name, value in members(namespace).items():
            if value in seen:
                continue
            seen.add(value)
            yield pytest.param(value, id=f"{namespace}.{name}")
            if not inspect.isclass(value):
                continue
            for method, held in vars(value).items():
                function = getattr(held, "__func__", held)
                plain = isinstance(function, types.FunctionType) and method[0] != "_"
                if plain and method not in PROTOCOL_METHODS and parameters(function):
                    yield pytest.param(function, id=f"{namespace}.{name}.{method}")


@pytest.mark.parametrize("value", list(public()))
def test_docstring_has_its_sections(value):
    assert not list(faults(value))


def test_the_check_finds_what_is_missing():
    def bad(x, y):
        """Not a sentence

        Parameters
        ----------
        x : float
            The first one.
        """
        return x + y

    bad.__annotations__["return"] = float
    found = " ".join(faults(bad))
    for words in ("period", "'y'", "no section Returns"):
        assert words in found
    assert adjoint.protocols.Matrix in members("adjoint.protocols").values()
