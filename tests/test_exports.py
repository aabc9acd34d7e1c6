"""The public names: what each namespace exports, and how it shows itself."""

import dataclasses
import importlib
import inspect
import pkgutil
import pydoc
import subprocess
import sys
import types

import pytest

import adjoint

NAMESPACES = [
    "adjoint.accuracy",
    "adjoint.checkpointing",
    "adjoint.checks",
    "adjoint.continuation",
    "adjoint.dense",
    "adjoint.derive",
    "adjoint.design",
    "adjoint.determinant",
    "adjoint.eigen",
    "adjoint.factor",
    "adjoint.interop",
    "adjoint.matrices",
    "adjoint.newton",
    "adjoint.ode",
    "adjoint.optimize",
    "adjoint.optimize.manifolds",
    "adjoint.recurrence",
    "adjoint.report",
    "adjoint.steady",
]
FLAT = [
    name for name in adjoint.__all__ if not isinstance(getattr(adjoint, name), types.ModuleType)
]
OPTIONAL = {"adjoint.interop.ipopt", "adjoint.interop.nlopt"}


def exports(namespace):
    module = importlib.import_module(namespace)
    return {name: getattr(module, name) for name in module.__all__}


def test_most_programs_need_about_45_names():
    assert 35 <= len(FLAT) <= 50
    assert len(adjoint.__all__) == len(set(adjoint.__all__))


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_namespace_exports_what_is_defined_in_it(namespace):
    """… or in the modules below it, but for `Bounds`, which several share."""
    for name, value in exports(namespace).items():
        if isinstance(value, types.ModuleType) or not hasattr(value, "__module__"):
            continue
        inside = value.__module__ == namespace or value.__module__.startswith(namespace + ".")
        assert inside or name == "Bounds", f"{namespace}.{name} is defined in {value.__module__}"


@pytest.mark.parametrize("name", FLAT)
def test_a_flat_name_is_that_of_its_namespace(name):
    """Each is defined in the top of the package, or exported by one of the namespaces too."""
    value = getattr(adjoint, name)
    owners = [space for space in NAMESPACES if exports(space).get(name) is value]
    root = ["errors", "bounds", "objectives", "reduced"]
    assert owners or getattr(value, "__module__", "").split(".")[1] in root


def test_no_name_hides_a_module():
    for found in pkgutil.walk_packages(adjoint.__path__, "adjoint."):
        if found.name in OPTIONAL or found.name.endswith("__main__"):
            continue
        importlib.import_module(found.name)
        package, name = found.name.rsplit(".", 1)
        value = getattr(importlib.import_module(package), name)
        assert isinstance(value, types.ModuleType), f"{package}.{name} hides the module of its name"


def public_classes():
    for namespace in NAMESPACES:
        for name, value in exports(namespace).items():
            if inspect.isclass(value) and not getattr(value, "_is_protocol", False):
                yield pytest.param(value, id=f"{namespace}.{name}")


@pytest.mark.parametrize("kind", list(public_classes()))
def test_signatures_are_short_and_show_no_address(kind):
    words = str(inspect.signature(kind))
    assert " at 0x" not in words
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    assert len(words) <= min(800, 200 + 60 * len(fields))


@pytest.mark.parametrize("kind", list(public_classes()))
def test_reprs_of_defaults_show_no_address(kind):
    try:
        value = kind()
    except (TypeError, ValueError):  # It has arguments without a default.
        return
    assert " at 0x" not in repr(value)
    assert len(repr(value)) <= 200


def test_help_teaches_on_its_first_screen():
    screen = "\n".join(pydoc.render_doc(adjoint, renderer=pydoc.plaintext).splitlines()[:40])
    for word in ("Reduced", "gradient", "check", "minimize", "adjoint.ode", "adjoint.optimize"):
        assert word in screen


def test_the_example_of_the_package_runs():
    namespace = {}
    lines = [line[4:] for line in adjoint.__doc__.splitlines() if line.startswith(">>> ")]
    assert len(lines) >= 8
    exec("\n".join(lines), namespace)
    assert namespace["adjoint"].check(namespace["f"], [0.1]).ok


def test_the_command_line_tells_the_version():
    run = [sys.executable, "-m", "adjoint", "--version"]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == "sparse-adjoint"


def test_importing_the_package_imports_no_plotting_templates_or_progress_bars():
    code = (
        "import sys, adjoint, adjoint.interop\n"
        "print(sorted({'matplotlib', 'jinja2', 'tqdm', 'jax', 'meshio'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
