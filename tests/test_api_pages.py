"""The reference has every public name once: packages export what the pages of docs/api/ list.

docs/api/index.md has the table of packages; the other pages list names in blocks that
begin with ```public.
"""

import enum
import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

import adjoint

API = Path(__file__).parents[1] / "docs" / "api"
BLOCK = re.compile(r"^```public\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PACKAGES = re.findall(r"^\| `(adjoint[\w.]*)` \|", (API / "index.md").read_text(), re.MULTILINE)


def listed() -> list[str]:
    """The names on all pages of the reference."""
    blocks = [
        block for page in sorted(API.glob("*.md")) for block in BLOCK.findall(page.read_text())
    ]
    return [
        line.partition(":")[0].strip()
        for block in blocks
        for line in block.splitlines()
        if line.strip()
    ]


def exported(package: str) -> dict[str, object]:
    """What a package exports.

    Without `__all__`, the classes and functions that a module defines.
    """
    module = importlib.import_module(package)
    names = getattr(module, "__all__", None)
    if names is None:
        names = [
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and defined(value, module)
        ]
    values = {f"{package}.{name}": getattr(module, name) for name in names}
    return {name: value for name, value in values.items() if name not in PACKAGES}


def defined(value: object, module: ModuleType) -> bool:
    """True for a class or a function that was written in this module."""
    return callable(value) and getattr(value, "__module__", "") == module.__name__


def importable(package: str) -> bool:
    """False where a package that it wraps is not installed."""
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


def resolved(name: str) -> object:
    """The object of a dotted name."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_export_is_in_the_reference_by_its_shortest_name(package: str) -> None:
    if not importable(package):
        pytest.skip(f"{package} needs a package that is not installed")
    everywhere = [
        each for other in PACKAGES if importable(other) for each in exported(other).items()
    ]
    pages = set(listed())
    for name, value in exported(package).items():
        names = sorted(
            (each for each, same in everywhere if same is value), key=lambda each: each.count(".")
        )
        shortest = [each for each in names if each.count(".") == names[0].count(".")]
        found = [each for each in names if each in pages]
        assert found, (
            f"{name} is in no block of docs/api/: add {shortest[0]} to the page of its package"
        )
        assert found[0] in shortest, (
            f"docs/api/ lists {found[0]}: its shortest name is {shortest[0]}"
        )
        assert len(found) == 1, f"docs/api/ lists one object by several names: {found}"


def test_every_name_in_the_reference_is_exported_and_stands_there_once() -> None:
    names = listed()
    assert [name for name, times in Counter(names).items() if times > 1] == []
    known = {name for package in PACKAGES if importable(package) for name in exported(package)}
    absent = [package for package in PACKAGES if not importable(package)]
    strangers = [
        name for name in names if name not in known and not name.startswith(tuple(absent) or ("-",))
    ]
    assert strangers == []


def test_every_package_with_exports_is_in_the_table() -> None:
    names = [
        "adjoint",
        *(each.name for each in pkgutil.walk_packages(adjoint.__path__, "adjoint.") if each.ispkg),
    ]
    assert {name for name in names if hasattr(importlib.import_module(name), "__all__")} <= set(
        PACKAGES
    )


def test_every_public_name_is_documented() -> None:
    """By a docstring of its own, or by a text on its page."""
    texts = "".join(page.read_text() for page in API.glob("*.md"))
    for name in listed():
        if not importable(name.rpartition(".")[0]):
            continue
        value = resolved(name)
        own = isinstance(value, type | enum.EnumMeta | ModuleType) or hasattr(value, "__code__")
        assert value.__doc__ if own else f"{name}: " in texts, (
            f"{name} has no docstring, and no text in docs/api/"
        )
