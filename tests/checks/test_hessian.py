"""`adjoint.check_hvp`: it passes right Hessian products, and finds each way to be wrong."""

from dataclasses import dataclass

import numpy as np
import pytest

import adjoint
from adjoint.optimize import ScalarFunction
from problems.catalogue import CATALOGUE

X = np.array([0.4, -1.1, 0.7])
MIXED = np.random.default_rng(0).standard_normal((3, 3))
MIXED = MIXED + MIXED.T


def value(x):
    return float(np.exp(x).sum() + np.sin(x) @ MIXED @ np.cos(x))


def gradient(x):
    return np.exp(x) + np.cos(x) * (MIXED @ np.cos(x)) - np.sin(x) * (MIXED @ np.sin(x))


def hessian(x):
    c, s = np.cos(x), np.sin(x)
    own = np.exp(x) - s * (MIXED @ c) - c * (MIXED @ s)
    return np.diag(own) - c[:, None] * MIXED * s - s[:, None] * MIXED * c


def function(change=lambda x, v, Hv: Hv, scale=1.0):
    """f(x / scale), whose products are changed."""
    return ScalarFunction(
        lambda x: value(x / scale),
        lambda x: gradient(x / scale) / scale,
        lambda x, v: change(x / scale, v / scale, hessian(x / scale) @ (v / scale)) / scale,
    )


UNITS = {"one": 1.0, "small": 1e-12, "large": 1e12, "all": np.array([1e-12, 1.0, 1e12])}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("seed", range(3))
def test_right_products_pass_in_any_unit(unit, seed):
    report = adjoint.check_hvp(function(scale=UNITS[unit]), X * UNITS[unit], seed=seed)
    assert report.ok, report.table()
    assert report.orders == pytest.approx((2.0, 3.0), abs=0.1)
    assert report.table().endswith("the Hessian product is right")


WRONG = {
    "a term forgotten": lambda x, v, Hv: Hv - np.exp(x) * v,
    "symmetric, and wrong by 0.3": lambda x, v, Hv: Hv + 0.3 * np.outer(x, x) @ v,
    "not symmetric": lambda x, v, Hv: Hv + np.array([v[1], -v[0], 0.0]),
    "one per mille": lambda x, v, Hv: 1.001 * Hv,
    "sign": lambda x, v, Hv: -Hv,
    "zero": lambda x, v, Hv: 0.0 * Hv,
    "not linear": lambda x, v, Hv: Hv + 0.1 * np.abs(v),
    "one row": lambda x, v, Hv: Hv * np.array([1.0, 1.0, 0.9]),
    "one column": lambda x, v, Hv: hessian(x) @ (v * np.array([1.0, 1.1, 1.0])),
}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", WRONG)
def test_wrong_products_are_found(name, unit):
    for seed in range(3):
        report = adjoint.check_hvp(function(WRONG[name], UNITS[unit]), X * UNITS[unit], seed=seed)
        assert not report.ok, report.table()
    assert "THE HESSIAN PRODUCT IS WRONG" in report.table()


def test_what_is_wrong_shows_in_its_number():
    skew = adjoint.check_hvp(function(WRONG["not symmetric"]), X)
    assert skew.dot_product_error > 1e-3
    assert skew.linearity_error < 1e-12
    bent = adjoint.check_hvp(function(WRONG["not linear"]), X)
    assert bent.linearity_error > 1e-3
    even = adjoint.check_hvp(function(WRONG["symmetric, and wrong by 0.3"]), X)
    assert even.dot_product_error < 1e-12
    assert even.relative_error > 1e-3
    assert even.orders[1] < 2.5


HESSIANS = [
    "random complex nonsymmetric, affine",
    "Helmholtz with absorbing layer",
    "MBB beam, density filter, SIMP",
]


@pytest.mark.parametrize("name", HESSIANS)
def test_products_of_steady_problems_pass(name):
    f, x = CATALOGUE[name]()
    assert adjoint.check_hvp(f, x).ok


def test_differences_of_gradients_pass():
    report = adjoint.check_hvp(adjoint.optimize.DifferencedHessian(function()), X)
    assert report.ok, report.table()


@pytest.mark.parametrize("zero", [0, 1, 2])
def test_components_that_are_zero_are_moved_too(zero):
    x = np.where(np.arange(3) == zero, 0.0, X)
    assert adjoint.check_hvp(function(), x).ok
    wrong = function(lambda x, v, Hv: Hv - np.eye(3)[zero] * v[zero])
    assert not adjoint.check_hvp(wrong, x).ok


def test_components_that_cannot_be_moved_are_counted():
    f = ScalarFunction(
        lambda x: float((x**3).sum()) if np.all(x >= 0.0) else np.nan,
        lambda x: 3.0 * x**2,
        lambda x, v: 6.0 * x * v,
    )
    report = adjoint.check_hvp(f, np.array([0.0, 1.0, 2.0]))
    assert not report.ok
    assert report.unmoved == 1
    assert "NOT ALL WAS TESTED" in report.table()
    assert adjoint.check_hvp(f, np.array([0.5, 1.0, 2.0])).ok


def test_a_hessian_that_is_zero_is_said_to_test_nothing():
    f = ScalarFunction(lambda x: float(x.sum()), np.ones_like, lambda x, v: 0.0 * v)
    report = adjoint.check_hvp(f, X)
    assert report.ok
    assert "w·Hv is zero, nothing was tested" in report.table()


@dataclass(frozen=True)
class Plain:
    value: float
    gradient: np.ndarray


def never(x):
    raise AssertionError("evaluated")


@pytest.mark.parametrize(
    ("f", "x", "error", "message"),
    [
        (never, X[:, None], ValueError, r"expected a vector \(m,\)"),
        (never, np.zeros(0), ValueError, "x is empty"),
        (X, never, TypeError, "check_hvp: got .*expected a function of x"),
        (ScalarFunction, X, TypeError, "the class ScalarFunction itself"),
        (lambda x: 1.0, X, TypeError, "returned a float, expected a Point"),
        (lambda x: Plain(1.0, x), X, TypeError, r"check_hvp: Plain has no method hvp\(v\)"),
        (ScalarFunction(value, gradient), X, TypeError, "got no product"),
        (
            ScalarFunction(value, gradient, lambda x, v: v[:2]),
            X,
            ValueError,
            "the Hessian–vector product has shape",
        ),
        (ScalarFunction(value, gradient, lambda x, v: np.nan * v), X, ValueError, "the hvp"),
    ],
)
def test_wrong_arguments_are_named(f, x, error, message):
    with pytest.raises(error, match=message):
        adjoint.check_hvp(f, x)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("weak", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize(("share", "ok"), [(1.0, True), (1.5, False), (0.0, False)])
def test_a_component_of_little_effect_is_seen(weak, share, ok, unit):
    """f = x₀² + weak x₁² + x₀ x₂; component 1 of the product is wrong by a factor."""
    H = np.array([[2.0, 0.0, 1.0], [0.0, 2.0 * weak, 0.0], [1.0, 0.0, 0.0]]) / unit**2
    f = ScalarFunction(
        lambda x: float(0.5 * x @ H @ x),
        lambda x: H @ x,
        lambda x, v: (H @ v) * np.array([1.0, share, 1.0]),
    )
    for seed in range(3):
        report = adjoint.check_hvp(f, unit * np.array([1.0, 2.0, -0.7]), seed=seed)
        assert report.ok is ok, report.table()
    assert "second w: w.Hv" in report.table()


@pytest.mark.parametrize(
    ("seed", "error"), [(True, TypeError), (None, TypeError), ([1], TypeError), (-1, ValueError)]
)
def test_seeds_are_integers(seed, error):
    with pytest.raises(error, match="check_hvp: got seed="):
        adjoint.check_hvp(function(), X, seed=seed)
