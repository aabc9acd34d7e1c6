"""Optimizing plain functions: value and gradient, residual and Jacobian."""

import numpy as np
import pytest

import adjoint


def rosenbrock(x):
    return 100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2


def slope(x):
    return np.array(
        [-400.0 * x[0] * (x[1] - x[0] ** 2) - 2.0 * (1.0 - x[0]), 200.0 * (x[1] - x[0] ** 2)]
    )


def product(x, v):
    H = np.array([[1200.0 * x[0] ** 2 - 400.0 * x[1] + 2.0, -400.0 * x[0]], [-400.0 * x[0], 200.0]])
    return H @ v


def residual(x):
    return np.sqrt(2.0) * np.array([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])


def jacobian(x):
    return np.sqrt(2.0) * np.array([[-20.0 * x[0], 10.0], [-1.0, 0.0]])


@pytest.mark.parametrize(
    "algorithm",
    [
        adjoint.optimize.LBFGS(),
        adjoint.optimize.BFGS(),
        adjoint.optimize.NewtonCG(),
        adjoint.optimize.GaussNewton(),
    ],
)
def test_plain_functions_are_minimized(algorithm):
    squares = adjoint.optimize.ResidualFunction(residual, jacobian)
    f = (
        squares
        if isinstance(algorithm, adjoint.optimize.GaussNewton)
        else adjoint.optimize.ScalarFunction(rosenbrock, slope, product)
    )
    result = adjoint.minimize(
        f, np.array([-1.2, 1.0]), algorithm, stop=adjoint.Stopping(stationarity=1e-10)
    )
    assert result.success
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-6)


def test_both_are_the_same_function():
    x = np.array([0.3, -0.8])
    a, b = (
        adjoint.optimize.ScalarFunction(rosenbrock, slope)(x),
        adjoint.optimize.ResidualFunction(residual, jacobian)(x),
    )
    assert a.value == pytest.approx(b.value, rel=1e-14)
    np.testing.assert_allclose(a.gradient, b.gradient, rtol=1e-13)


def test_newton_without_products_says_what_is_missing():
    with pytest.raises(TypeError, match="got no product"):
        adjoint.minimize(
            adjoint.optimize.ScalarFunction(rosenbrock, slope),
            np.array([-1.2, 1.0]),
            adjoint.optimize.NewtonCG(),
        )
