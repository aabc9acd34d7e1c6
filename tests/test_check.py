"""`adjoint.check`: it passes right gradients, and finds each way to be wrong."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.check import extrapolated
from problems.catalogue import CATALOGUE


@dataclass(frozen=True)
class Wrong:
    """A design map whose vjp is off by a function of the right one."""

    change: object

    def __call__(self, x):
        return x**2

    def vjp(self, x, p_bar):
        return self.change(2.0 * x * p_bar)

    def jvp(self, x, x_dot):
        return 2.0 * x * x_dot


def case(name="advection-diffusion-reaction, boundary values of p"):
    return CATALOGUE[name]()


FAULTS = {
    "sign": lambda g: -g,
    "one per mille": lambda g: 1.001 * g,
    "zero": lambda g: 0.0 * g,
    "one component": lambda g: g * (np.arange(g.size) != np.abs(g).argmax()),
    "order": lambda g: g[::-1].copy(),
}


@pytest.mark.parametrize("change", FAULTS.values(), ids=FAULTS)
def test_wrong_gradient_is_found(change):
    f, x = case()
    report = adjoint.check(replace(f, design=Wrong(change)), x)
    assert not report.ok
    if change is not FAULTS["one per mille"]:  # Its first order shows only at smaller steps.
        assert report.orders[1] < 1.5
    assert report.relative_error > 1e-5
    assert report.dot_product_error > 1e-8
    assert "THE GRADIENT IS WRONG" in report.table()
    assert adjoint.check(replace(f, design=Wrong(lambda g: g)), x).ok


def test_missing_explicit_derivative_is_found():
    @dataclass(frozen=True)
    class Forgetful:
        def value(self, u, p):
            return float(u.sum() + p @ p)

        def gradients(self, u, p):
            return np.ones_like(u), np.zeros_like(p)

    f, x = case()
    report = adjoint.check(replace(f, objective=Forgetful()), x)
    assert not report.ok
    assert report.dot_product_error < 1e-12  # The state's derivative is right.


def test_missing_transpose_is_found():
    class Untransposed:
        """An inverse that solves with A where it should with Aᴴ."""

        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def solve(self, b, trans="N"):
            return self.inner.solve(b)

    f, x = CATALOGUE["random complex nonsymmetric, affine"]()
    broken = adjoint.LinearProblem(f.problem.A, f.problem.b, lambda A: Untransposed(adjoint.lu(A)))
    report = adjoint.check(replace(f, problem=broken), x)
    assert not report.ok
    assert report.dot_product_error > 1e-4


def test_numbers_and_table_belong_together():
    f, x = case("dense block from entries")
    report = adjoint.check(f, x, seed=3, step=1e-3)
    assert report.steps[0] == 1e-3
    assert report.first.shape == report.second.shape == report.steps.shape
    assert report.orders[0] == pytest.approx(1.0, abs=0.1)
    assert report.orders[1] == pytest.approx(2.0, abs=0.1)
    table = report.table()
    assert f"{report.derivative:.12e}" in table
    assert "the gradient is right" in table
    assert len(table.splitlines()) == report.steps.size + 7
    again = adjoint.check(f, x, seed=3, step=1e-3)
    np.testing.assert_array_equal(again.second, report.second)
    assert adjoint.check(f, x, seed=4).derivative != report.derivative


def linear_case(field):
    rng = np.random.default_rng(0)
    slope = rng.standard_normal((5, 3)) + (1j * rng.standard_normal((5, 3)) if field is complex else 0.0)
    b = adjoint.AffineVector(np.ones(5, dtype=field), slope)
    A = sparse.csc_array(np.diag(np.arange(1.0, 6.0)) + np.eye(5, k=2))
    return adjoint.Reduced(adjoint.LinearProblem(A, b), adjoint.LinearFunctional(slope[:, 0])), slope


def test_linear_function_has_no_remainder_at_all():
    f, _ = linear_case(float)
    report = adjoint.check(f, np.array([1.0, -2.0, 3.0]))
    assert report.ok
    assert report.orders[1] == 2.0
    assert report.second.max() < 1e-12


def test_design_that_is_zero_is_checked_along_unit_signs():
    f, _ = linear_case(float)
    report = adjoint.check(f, np.zeros(3))
    assert report.ok
    assert report.derivative != 0.0


def test_function_of_zero_value_and_gradient_passes():
    f, slope = linear_case(float)
    A = f.problem.A.toarray()
    target = np.linalg.solve(A, 1.0 + slope @ np.ones(3))
    report = adjoint.check(f.of(adjoint.LeastSquares(target)), np.ones(3))
    assert report.ok, report.table()


def test_imaginary_part_of_a_complex_gradient_is_checked():
    f, _ = linear_case(complex)
    x = np.array([1.0 + 0.5j, -2.0, 3.0j])
    assert adjoint.check(f, x).ok
    blind = replace(f, design=RealPart())
    assert not adjoint.check(blind, x).ok


class RealPart:
    """A design map that forgets the imaginary part of the gradient."""

    def __call__(self, x):
        return x

    def vjp(self, x, p_bar):
        return p_bar.real + 0j

    def jvp(self, x, x_dot):
        return x_dot


def test_extrapolation_removes_the_even_powers_of_the_step():
    h = 0.1 * 0.5 ** np.arange(6)
    central = (np.exp(1 + h) - np.exp(1 - h)) / (2 * h)
    assert extrapolated(central) == pytest.approx(np.e, rel=1e-12)
    assert abs(central[-1] / np.e - 1) > 1e-7
    assert extrapolated(np.array([2.5])) == 2.5


def test_wrong_arguments_are_named():
    f, x = case()
    with pytest.raises(ValueError, match=r"expected a vector \(m,\)"):
        adjoint.check(f, x.reshape(2, -1))
    with pytest.raises(adjoint.NonFinite, match="nan"):
        adjoint.check(f, np.full_like(x, np.nan))
