"""Every part that the library ships has second derivatives, and they are right."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import adjoint
from adjoint._optional_methods import checked_objective_hvp
from adjoint.optimize import DifferencedHessian, ScalarFunction


def shipped(*methods):
    """The classes of the library with all of these methods, protocols left out."""
    found = {}
    for module in pkgutil.walk_packages(adjoint.__path__, "adjoint."):
        if module.name.endswith("__main__") or "interop" in module.name:
            continue  # Adapters, whose packages may not be installed.
        for name, value in inspect.getmembers(
            importlib.import_module(module.name), inspect.isclass
        ):
            if (
                value.__module__.startswith("adjoint.")
                and not getattr(value, "_is_protocol", False)
                and all(callable(getattr(value, method, None)) for method in methods)
            ):
                found[f"{value.__module__}.{name}"] = value
    return found


def test_every_shipped_objective_has_second_derivatives():
    objectives = shipped("value", "gradients")
    # Adapters of the estimates of errors, which only need gradients.
    objectives.pop("adjoint.eigen.equations.OfVector")
    objectives.pop("adjoint.eigen.complex_equations.OfNormalized")
    assert len(objectives) >= 5
    assert not [name for name, value in objectives.items() if not hasattr(value, "hvp")]


def test_every_shipped_design_map_has_second_derivatives():
    maps = {
        name: value
        for name, value in shipped("__call__", "vjp", "jvp").items()
        if name.startswith("adjoint.design.")
    }
    assert len(maps) >= 8
    assert not [name for name, value in maps.items() if not hasattr(value, "hvp")]


def test_every_shipped_matrix_and_vector_has_second_derivatives():
    parts = {
        name: value
        for name, value in shipped("__call__", "vjp", "jvp").items()
        if name.startswith("adjoint.matrices.")
    }
    assert len(parts) >= 8
    assert not [name for name, value in parts.items() if not hasattr(value, "hvp")]


def objectives(n, shape, rng):
    """Each objective of the library for a state of this shape."""
    C = rng.standard_normal((3, n))
    data = rng.standard_normal((3, *shape[1:]))
    weights = rng.standard_normal(shape)
    squares = adjoint.LeastSquares(data, C, rng.uniform(0.5, 2.0, 3))
    found = {
        "LinearFunctional": adjoint.LinearFunctional(weights),
        "LeastSquares": squares,
        "Compliance": adjoint.Compliance(weights),
    }
    if len(shape) == 1:
        load = adjoint.matrices.AffineVector(weights, rng.standard_normal((n, 4)))
        found["Compliance of b(p)"] = adjoint.Compliance(load)
    found["Sum"] = adjoint.Sum(list(found.values()), np.linspace(0.5, 1.5, len(found)))
    found["Product"] = adjoint.Product(squares, found["Sum"])
    found["Product of a product"] = adjoint.Product(found["Product"], adjoint.LeastSquares(weights))
    return found


NAMES = list(objectives(6, (6,), np.random.default_rng(0)))


@pytest.mark.parametrize("imaginary", [0.0, 0.4], ids=["real", "complex"])
@pytest.mark.parametrize("shape", [(6,), (6, 2), (1,)], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_hvp_of_an_objective_is_the_derivative_of_its_gradients(name, shape, imaginary):
    rng = np.random.default_rng(1)
    n = shape[0]
    if name not in (found := objectives(n, shape, rng)):
        return
    J = found[name]
    u, u_dot = rng.standard_normal((2, *shape)) + 1j * imaginary * rng.standard_normal((2, *shape))
    u, u_dot = (u, u_dot) if imaginary else (u.real, u_dot.real)
    p, p_dot = rng.standard_normal((2, 4))
    u_part, p_part = checked_objective_hvp(J, u, p, u_dot, p_dot)

    def slope(h):
        ahead, behind = (
            J.gradients(u + h * u_dot, p + h * p_dot),
            J.gradients(u - h * u_dot, p - h * p_dot),
        )
        return [
            (np.asarray(a) - np.asarray(b)) / (2.0 * h) for a, b in zip(ahead, behind, strict=True)
        ]

    coarse, fine = slope(2e-3), slope(1e-3)
    for part, a, b in zip((u_part, p_part), coarse, fine, strict=True):
        exact = (4.0 * b - a) / 3.0
        scale = max(1.0, float(np.abs(u_part).max()), float(np.abs(p_part).max()))
        np.testing.assert_allclose(part, exact, rtol=0, atol=1e-9 * scale)


def test_plain_and_differenced_functions_take_blocks():
    Q = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 2.0]])
    f = ScalarFunction(lambda x: float(0.5 * x @ Q @ x), lambda x: Q @ x, lambda x, v: Q @ v)
    x, V = np.array([1.0, -2.0, 0.5]), np.arange(6.0).reshape(3, 2) + 1.0
    np.testing.assert_array_equal(f(x).hvp(V), Q @ V)
    np.testing.assert_array_equal(f(x).hessian(), Q)
    differenced = DifferencedHessian(f)(x)
    np.testing.assert_allclose(differenced.hvp(V), Q @ V, rtol=1e-6)
    np.testing.assert_allclose(differenced.hessian(), Q, atol=1e-6)
    for bad in (np.ones(2), np.ones((2, 2)), np.ones((3, 0))):
        with pytest.raises(ValueError, match="hvp: got v of shape"):
            differenced.hvp(bad)
