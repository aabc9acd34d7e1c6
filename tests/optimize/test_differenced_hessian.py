"""`DifferencedHessian`: each variable is stepped by its size, in any unit, at zero, at bounds."""

import numpy as np
import pytest

import adjoint
from adjoint.optimize import DifferencedHessian, ScalarFunction


def rate(x):
    """exp(−30 x₀) (1 + 10⁻⁴ x₁): an exponent of order one beside a length of 10⁶."""
    return float(np.exp(-30.0 * x[0]) * (1.0 + 1e-4 * x[1]))


def slope(x):
    return np.exp(-30.0 * x[0]) * np.array([-30.0 * (1.0 + 1e-4 * x[1]), 1e-4])


def curvature(x):
    return np.exp(-30.0 * x[0]) * np.array([[900.0 * (1.0 + 1e-4 * x[1]), -30e-4], [-30e-4, 0.0]])


@pytest.mark.parametrize("v", [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-0.04, 1e6], [1e-6, -1e6]])
@pytest.mark.parametrize("x", [[0.04, 1e6], [0.0, 1e6], [1e-14, 1e6], [0.0, 0.0], [0.04, 1e12]])
def test_variables_of_different_size_are_stepped_by_their_own(x, v):
    x, v = np.array(x), np.array(v)
    units = np.array([1.0 / 30.0, max(1e4, x[1])])
    Hv = DifferencedHessian(ScalarFunction(rate, slope))(x).hvp(v)
    terms = np.abs(curvature(x)) @ np.abs(v) * units
    assert np.abs((Hv - curvature(x) @ v) * units).max() <= 1e-4 * terms.max()


def coupled(size):
    """Σ cosh(x_i/size_i + ½ x_{i+1}/size_{i+1}): of one form in any units."""
    C = np.eye(size.size) + 0.5 * np.eye(size.size, k=1)
    return (
        ScalarFunction(
            lambda x: float(np.cosh(C @ (x / size)).sum()),
            lambda x: C.T @ np.sinh(C @ (x / size)) / size,
        ),
        lambda x: C.T @ np.diag(np.cosh(C @ (x / size))) @ C / np.outer(size, size),
    )


SIZES = {
    "one": [1.0, 2.0, 3.0, 4.0],
    "small": [1e-12, 2e-12, 3e-12, 4e-12],
    "large": [1e12, 2e12, 3e12, 4e12],
    "all": [1e-12, 1e12, 1.0, 1e-3],
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("along", ["a unit", "the sizes", "ones", "mixed signs"])
def test_products_are_right_in_any_units(name, along):
    size = np.array(SIZES[name])
    f, H = coupled(size)
    x = 0.7 * size
    for j in range(4):
        v = {
            "a unit": np.eye(4)[j],
            "the sizes": np.roll([1.0, 0.3, 0.5, 0.2], j) * size,
            "ones": np.ones(4),
            "mixed signs": size * np.roll([1.0, -1.0, 0.01, -0.5], j),
        }[along]
        Hv, exact = DifferencedHessian(f)(x).hvp(v), H(x) @ v
        assert np.abs((Hv - exact) * size).max() <= 1e-6 * np.abs(exact * size).max()


@pytest.mark.parametrize("zeros", [[0], [1, 2], [0, 1, 2, 3]])
def test_variables_that_are_zero_are_stepped_too(zeros):
    f, H = coupled(np.ones(4))
    x = np.linspace(0.5, 2.0, 4)
    x[zeros] = 0.0
    assert adjoint.check_hvp(DifferencedHessian(f), x).ok
    for v in np.eye(4):
        np.testing.assert_allclose(
            DifferencedHessian(f)(x).hvp(v), H(x) @ v, rtol=0, atol=1e-6 * np.abs(H(x)).max()
        )


@pytest.mark.parametrize(
    "v", [[1.0, 1.0, 0.0], [-1.0, -1.0, 0.5], [1.0, -1.0, 0.3], [0.0, -1.0, 1.0]]
)
def test_at_bounds_of_the_domain_the_side_is_taken_on_which_f_is(v):
    """Σ x^2.5 where x ≥ 0, and (1 − x)^2.5 of the last, where that is ≤ 1."""

    def value(x):
        return (
            float((x[:2] ** 2.5).sum() + (1.0 - x[2]) ** 2.5)
            if x[:2].min() >= 0.0 and x[2] <= 1.0
            else np.nan
        )

    def gradient(x):
        return 2.5 * np.append(x[:2] ** 1.5, -((1.0 - x[2]) ** 1.5))

    Hv = DifferencedHessian(ScalarFunction(value, gradient))(np.array([0.0, 1.0, 0.5])).hvp(
        np.array(v)
    )
    exact = 3.75 * np.array([0.0, 1.0, np.sqrt(0.5)]) * v
    np.testing.assert_allclose(
        Hv, exact, rtol=1e-6, atol=2e-3
    )  # At zero the difference is that of √ε.


def test_variables_of_one_unit_take_one_gradient_a_product():
    calls = []
    f, _ = coupled(np.ones(4))
    counted = ScalarFunction(f.value, lambda x: calls.append(x) or f.gradient(x))
    point = DifferencedHessian(counted)(np.array([0.01, 0.1, 1.0, 5.0]))
    assert point.gradient.size == 4
    for v in (np.ones(4), np.array([1.0, 1e-9, -1e5, 0.0])):
        before = len(calls)
        point.hvp(v)
        assert len(calls) == before + 1


def test_a_function_without_curvature_has_no_product():
    f = ScalarFunction(lambda x: float(x.sum()), np.ones_like)
    np.testing.assert_array_equal(
        DifferencedHessian(f)(np.array([1e-9, 0.0, 1e9])).hvp(np.ones(3)), 0.0
    )


def test_a_failure_on_both_sides_is_what_f_raises():
    def value(x):
        if x[0] != 1.0:
            raise adjoint.errors.SingularMatrix("nothing holds it")
        return 1.0

    point = DifferencedHessian(ScalarFunction(value, lambda x: x))(np.ones(2))
    with pytest.raises(adjoint.errors.SingularMatrix, match="nothing holds it"):
        point.hvp(np.ones(2))
    with pytest.raises(ValueError, match=r"hvp: got v of shape \(3,\), expected \(2,\)"):
        point.hvp(np.ones(3))
