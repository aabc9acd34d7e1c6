"""Imports run one way (DESIGN, section 4): every `import` of the sources is parsed, and must be allowed here."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

COMMON = {"adjoint.arrays", "adjoint.arguments", "adjoint.files"}
"""What every file may import: the types of arrays, the validation of arguments, files that are written whole."""

# What a file or package of adjoint may import from the rest of it. The most specific row counts.
ALLOWED = {
    "adjoint.arrays": set(),
    "adjoint.arguments": {"adjoint.arrays"},
    "adjoint.files": set(),
    "adjoint.factor": {"adjoint.arrays", "adjoint.factor"},
    "adjoint.residual": {"adjoint.arrays"},
    "adjoint.parameters": {"adjoint.arrays", "adjoint.factor"},
    "adjoint.derivative": {"adjoint.arrays"},
    "adjoint.second": {"adjoint.arrays", "adjoint.factor", "adjoint.parameters", "adjoint.residual"},
    "adjoint.squares": {"adjoint.arrays", "adjoint.parameters"},
    "adjoint.derive.second": {"adjoint.arrays", "adjoint.derive", "adjoint.residual"},
    "adjoint.matrices": {
        "adjoint.second",
        *("adjoint.arrays", "adjoint.factor", "adjoint.matrices", "adjoint.parameters", "adjoint.residual"),
    },
    "adjoint.dirichlet": {
        "adjoint.second",
        *("adjoint.arrays", "adjoint.factor", "adjoint.matrices", "adjoint.parameters"),
        *("adjoint.residual", "adjoint.span"),
    },
    "adjoint.span": {"adjoint.arrays", "adjoint.factor"},
    "adjoint.steady": {
        "adjoint.second",
        *("adjoint.arrays", "adjoint.derivative", "adjoint.factor", "adjoint.parameters", "adjoint.residual"),
        "adjoint.span",
    },
    "adjoint.linear": {
        "adjoint.second",
        *("adjoint.arrays", "adjoint.dirichlet", "adjoint.factor", "adjoint.matrices", "adjoint.parameters"),
        *("adjoint.residual", "adjoint.span", "adjoint.steady"),
    },
    "adjoint.nearby": {"adjoint.arrays", "adjoint.factor"},
    "adjoint.continuation": {
        *("adjoint.arrays", "adjoint.continuation", "adjoint.factor", "adjoint.newton", "adjoint.parameters"),
        *("adjoint.residual", "adjoint.steady"),
    },
    "adjoint.derive": {"adjoint.arrays", "adjoint.derive", "adjoint.factor"},
    "adjoint.check_field": {"adjoint.arrays", "adjoint.check_residual", "adjoint.ode"},
    "adjoint.check_residual": {
        *("adjoint.arrays", "adjoint.check", "adjoint.derive", "adjoint.factor", "adjoint.parameters"),
        *("adjoint.residual", "adjoint.residual_entries"),
    },
    "adjoint.residual_entries": {
        *("adjoint.arrays", "adjoint.check", "adjoint.derive", "adjoint.factor", "adjoint.parameters"),
        "adjoint.residual",
    },
    "adjoint.newton": {
        "adjoint.second",
        *(
            "adjoint.arrays",
            "adjoint.dirichlet",
            "adjoint.factor",
            "adjoint.nearby",
            "adjoint.newton",
            "adjoint.derive",
        ),
        *("adjoint.parameters", "adjoint.residual", "adjoint.span", "adjoint.steady"),
    },
    "adjoint.recurrence": {
        *("adjoint.arrays", "adjoint.derivative", "adjoint.factor", "adjoint.matrices", "adjoint.parameters"),
        *("adjoint.recurrence", "adjoint.residual"),
    },
    "adjoint.objectives": {
        "adjoint.squares",
        "adjoint.second",
        *("adjoint.arrays", "adjoint.factor", "adjoint.matrices", "adjoint.parameters", "adjoint.residual"),
    },
    "adjoint.design": {"adjoint.second", "adjoint.arrays", "adjoint.design", "adjoint.factor", "adjoint.parameters"},
    "adjoint.combined": {
        *("adjoint.arrays", "adjoint.objectives", "adjoint.parameters", "adjoint.second", "adjoint.squares"),
    },
    "adjoint.reduced": {
        "adjoint.squares",
        "adjoint.second",
        *("adjoint.arrays", "adjoint.design", "adjoint.factor", "adjoint.objectives", "adjoint.parameters"),
    },
    "adjoint.ode": {
        *("adjoint.arrays", "adjoint.derivative", "adjoint.factor", "adjoint.matrices", "adjoint.ode"),
        "adjoint.parameters",
        *("adjoint.recurrence", "adjoint.residual"),
    },
    "adjoint.check": {"adjoint.arrays", "adjoint.parameters", "adjoint.reduced"},
    "adjoint.optimize": {
        "adjoint.combined",
        *("adjoint.arrays", "adjoint.check", "adjoint.design", "adjoint.factor", "adjoint.optimize"),
        *("adjoint.objectives", "adjoint.parameters", "adjoint.reduced"),
    },
    "adjoint.interop": {
        *("adjoint.arrays", "adjoint.factor", "adjoint.interop", "adjoint.optimize", "adjoint.parameters"),
        "adjoint.reduced",
    },
    "adjoint": {"adjoint"},
    "problems": {"adjoint", "problems"},
    "scripts": {"adjoint", "problems", "scripts"},
}
THIRD_PARTY = {
    "adjoint.report": {"numpy", "matplotlib"},
    "adjoint.doctor": {"numpy", "scipy", "threadpoolctl"},
    "adjoint.factor": {"numpy", "scipy", "threadpoolctl", "sksparse", "pypardiso", "pyamg"},
    "adjoint.interop": {"numpy", "scipy", "nlopt", "cyipopt"},
    "adjoint.optimize": {"numpy", "scipy", "threadpoolctl"},
    "adjoint": {"numpy", "scipy"},
    "problems": {"numpy", "scipy"},
}
OURS = ("adjoint", "problems", "scripts", "tests")


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    """(line, absolute module name) of each import, wherever it stands in the file."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            # `from . import x` and `from adjoint import x` may name modules.
            yield from ((node.lineno, f"{base}.{alias.name}" if base in OURS else base) for alias in node.names)


def row(table, module):
    """The most specific row of a table for a module."""
    return table[max((name for name in table if within(module, name)), key=len)]


def within(module, package):
    return module == package or module.startswith(package + ".")


SOURCES = sorted(path for package in ("adjoint", "problems", "scripts") for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_run_one_way(path):
    module = module_of(path)
    allowed = row(ALLOWED, module)
    for line, name in imports(path):
        if name.split(".")[0] in OURS:
            permitted = any(
                within(name, package) for package in (allowed | COMMON if module != "adjoint.arrays" else allowed)
            )
            assert permitted, f"{module}, line {line}, imports {name}; it may import only {sorted(allowed)}"


@pytest.mark.parametrize("path", [p for p in SOURCES if "scripts" not in p.parts], ids=module_of)
def test_third_party_packages_stay_where_they_belong(path):
    module = module_of(path)
    known = {name for packages in THIRD_PARTY.values() for name in packages}
    for line, name in imports(path):
        top = name.split(".")[0]
        if top in known | {"tqdm"}:
            assert top in row(THIRD_PARTY, module), f"{module}, line {line}, imports {name}"


def test_library_knows_nothing_of_problems_and_scripts():
    for path in (ROOT / "adjoint").rglob("*.py"):
        assert not [name for _, name in imports(path) if name.split(".")[0] in ("problems", "scripts", "tests")]


def test_rules_name_files_that_exist():
    modules = {module_of(path) for path in SOURCES} | {"scripts"}
    for table in (ALLOWED, THIRD_PARTY):
        for name in table:
            assert name in modules, f"{name} is in the rules but not in the sources"


def test_parser_sees_what_it_should():
    found = {name for _, name in imports(ROOT / "adjoint" / "linear.py")}
    assert {"adjoint.arrays", "adjoint.steady", "adjoint.factor", "numpy", "scipy.sparse"} <= found
