"""Imports run one way: every `import` of the sources is parsed, wherever it stands in its file."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each may import from those above it, and a package from itself. What stands in one row is
# independent.
LAYERS = [
    ["adjoint.typing", "adjoint.errors", "adjoint._files", "adjoint._dataclasses"],
    ["adjoint._numerics", "adjoint.derivative"],
    ["adjoint._validation"],
    ["adjoint.bounds"],
    ["adjoint.checkpointing"],
    ["adjoint.factor"],
    ["adjoint.protocols"],
    ["adjoint._optional_methods", "adjoint.derive"],
    ["adjoint.design", "adjoint.matrices", "adjoint.dense"],
    ["adjoint.objectives", "adjoint.steady", "adjoint.recurrence", "adjoint.ode"],
    ["adjoint.newton"],
    ["adjoint.accuracy"],
    ["adjoint.reduced"],
    ["adjoint.continuation", "adjoint.checks", "adjoint.eigen", "adjoint.determinant"],
    ["adjoint.optimize"],
    ["adjoint.interop", "adjoint.report", "adjoint.doctor"],
    ["adjoint.cli"],
    ["adjoint.__main__", "adjoint"],
    ["problems"],
    ["scripts"],
]
LEVEL = {name: level for level, row in enumerate(LAYERS) for name in row}

# Packages besides the standard library, NumPy and SciPy, and the only places that may import them.
THIRD_PARTY = {
    "matplotlib": {"adjoint.report"},
    "jinja2": {"adjoint.report"},
    "tqdm": {"adjoint.report"},
    "meshio": {"adjoint.report"},
    "threadpoolctl": {"adjoint.doctor", "adjoint.factor", "adjoint.optimize"},
    "sksparse": {"adjoint.factor"},
    "pypardiso": {"adjoint.factor"},
    "pyamg": {"adjoint.factor"},
    "nlopt": {"adjoint.interop"},
    "cyipopt": {"adjoint.interop"},
}
OURS = ("adjoint", "problems", "scripts", "tests")


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    """(line, absolute module name) of each import."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            # `from . import x` and `from adjoint import x` may name modules.
            names = [f"{base}.{alias.name}" for alias in node.names]
            yield from ((node.lineno, name if name in MODULES else base) for name in names)


def layer(module):
    """The row of a module: that of the most specific name in LAYERS."""
    names = [
        name for name in LEVEL if module == name or (name != "adjoint" and within(module, name))
    ]
    assert names, f"{module} has no place in LAYERS"
    return max(names, key=len)


def within(module, package):
    return module == package or module.startswith(package + ".")


SOURCES = sorted(
    path
    for package in ("adjoint", "problems", "scripts")
    for path in (ROOT / package).rglob("*.py")
)
MODULES = {module_of(path): path for path in SOURCES}


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module):
    here = layer(module)
    for line, name in imports(MODULES[module]):
        if name.split(".")[0] in OURS:
            there = layer(name)
            assert here == there or LEVEL[there] < LEVEL[here], (
                f"{module}, line {line}, imports {name}, which stands in no layer below it"
            )


def test_no_modules_import_each_other():
    """Under `if TYPE_CHECKING:` and inside of functions neither.

    Packages' `__init__` only export.
    """
    packages = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    graph = {
        module: {name for _, name in imports(path) if name in MODULES and name not in packages}
        for module, path in MODULES.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # Raises CycleError, with the circle.


@pytest.mark.parametrize("module", [module for module in MODULES if not within(module, "scripts")])
def test_third_party_packages_stay_where_they_belong(module):
    for line, name in imports(MODULES[module]):
        places = THIRD_PARTY.get(name.split(".")[0])
        assert places is None or any(within(module, place) for place in places), (
            f"{module}, line {line}: {name}"
        )


def test_library_knows_nothing_of_problems_and_scripts():
    for path in (ROOT / "adjoint").rglob("*.py"):
        assert not [
            name
            for _, name in imports(path)
            if name.split(".")[0] in ("problems", "scripts", "tests")
        ]


def test_rules_name_what_exists():
    places = {place for places in THIRD_PARTY.values() for place in places}
    assert {*LEVEL, *places} <= {*MODULES, "scripts"}


def test_parser_sees_what_it_should():
    found = {name for _, name in imports(ROOT / "adjoint" / "steady" / "linear.py")}
    assert {"adjoint.typing", "adjoint.steady.solution", "numpy", "scipy.sparse"} <= found
