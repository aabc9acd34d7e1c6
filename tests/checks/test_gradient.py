"""`adjoint.check`: it passes right gradients, and finds each way to be wrong."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint._numerics import dot
from adjoint.checks.extrapolation import extrapolated
from problems.catalogue import CATALOGUE
from problems.steady.elasticity import mbb


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
    slope = rng.standard_normal((5, 3)) + (
        1j * rng.standard_normal((5, 3)) if field is complex else 0.0
    )
    b = adjoint.matrices.AffineVector(np.ones(5, dtype=field), slope)
    A = sparse.csc_array(np.diag(np.arange(1.0, 6.0)) + np.eye(5, k=2))
    return adjoint.Reduced(
        adjoint.LinearProblem(A, b), adjoint.LinearFunctional(slope[:, 0])
    ), slope


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
    with pytest.raises(adjoint.errors.NonFinite, match="nan"):
        adjoint.check(f, np.full_like(x, np.nan))


class SharedEvenly:
    """A(p) = Σ p_k K_k, whose vjp has the right g·p in equal shares of all parameters."""

    def __init__(self, A):
        self.A = A

    def __call__(self, p):
        return self.A(p)

    def vjp(self, p, u, lam):
        return dot(self.A.vjp(p, u, lam), p) / p.size / p.conj()

    def jvp(self, p, u, p_dot):
        return self.A.jvp(p, u, p_dot)


def stiffnesses(m, field, n=6):
    """A sum of nonsymmetric matrices."""
    rng = np.random.default_rng(m)
    parts = [4.0 * np.eye(n) + rng.uniform(-1.0, 1.0, (n, n)) for _ in range(m)]
    if field is complex:
        parts = [part + 1j * rng.uniform(-1.0, 1.0, (n, n)) for part in parts]
    return adjoint.Affine(None, [sparse.csc_array(part) for part in parts])


def springs(A, field, n=6):
    target = np.linspace(0.1, 0.3, n) * (1.0 + 0.5j if field is complex else 1.0)
    return adjoint.Reduced(
        adjoint.LinearProblem(A, np.arange(1.0, n + 1)), adjoint.LeastSquares(target)
    )


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("field", [float, complex])
@pytest.mark.parametrize("m", [2, 3, 20])
def test_shares_that_are_confused_are_found_whatever_the_seed(m, field, unit):
    """Along x itself Euler's identity fixes the derivative of a homogeneous function."""
    A, x = stiffnesses(m, field), np.random.default_rng(0).uniform(2.0, 5.0, m)
    A, x = adjoint.Affine(None, [K / unit for K in A.terms]), x * unit
    for seed in range(4):
        assert adjoint.check(springs(A, field), x, seed=seed).ok
        report = adjoint.check(springs(SharedEvenly(A), field), x, seed=seed)
        assert report.relative_error > 1e-5
        assert report.dot_product_error > 1e-8


def plain(value, gradient, scale):
    """Functions of x / scale: of one form, whatever the units."""
    return adjoint.optimize.ScalarFunction(
        lambda x: value(x / scale), lambda x: gradient(x / scale) / scale
    )


def exponentials(scale, weights):
    return plain(lambda y: float(weights @ np.exp(y)), lambda y: weights * np.exp(y), scale)


def spoiled(f, i, factor):
    """f whose derivative with respect to x_i is wrong by a factor."""
    return adjoint.optimize.ScalarFunction(
        f.value, lambda x: f.gradient(x) * np.where(np.arange(x.size) == i, factor, 1.0)
    )


POINTS = {
    "one": [3.0],
    "one zero": [0.0],
    "small and large": [1e-12, 1e12, 1.0],
    "small, zero, large": [1e-12, 0.0, 1e12],
    "large beside zeros": [1e12, 0.0, 0.0],
    "small beside zeros": [1e-12, 0.0, 0.0],
    "zeros": [0.0, 0.0, 0.0],
    "some zeros": [0.0, 1.0, 0.0, -2.0, 3.0],
}


@pytest.mark.parametrize("factor", [0.0, -1.0, 1.01])
@pytest.mark.parametrize("name", POINTS)
def test_each_component_takes_part_whatever_its_unit_and_where_it_is_zero(name, factor):
    x = np.array(POINTS[name])
    f = exponentials(np.where(x == 0.0, 1.0, np.abs(x)), np.linspace(0.5, 2.0, x.size))
    assert adjoint.check(f, x).ok, adjoint.check(f, x).table()
    for i in range(x.size):
        report = adjoint.check(spoiled(f, i, factor), x)
        assert not report.ok, (i, report.table())
        assert report.relative_error > 1e-5


def test_a_component_that_is_zero_to_rounding_is_moved_as_one_that_is_zero():
    x = np.linspace(-1.0, 1.0, 5) ** 3
    x[2] = 1e-17
    f = exponentials(np.ones(5), np.ones(5))
    assert adjoint.check(f, x).ok
    assert not adjoint.check(spoiled(f, 2, 0.0), x).ok


@pytest.mark.parametrize("share", [1e-3, 1e-6])
def test_a_parameter_of_little_effect_is_seen_beside_one_of_large_effect(share):
    f, x = exponentials(np.ones(3), np.array([1.0, 1.0, share])), np.array([0.5, 1.0, 2.0])
    assert adjoint.check(f, x).ok
    for factor in (0.0, 1.01, -1.0):
        assert not adjoint.check(spoiled(f, 2, factor), x).ok


class Forgotten:
    """J = Σu + 3 p_0, whose dependence on p_0 is forgotten in the gradient."""

    def value(self, u, p):
        return float(u.sum() + 3.0 * p[0])

    def gradients(self, u, p):
        return np.ones_like(u), np.zeros_like(p)


class Diagonal:
    """A(p) = diag(2 + p)."""

    def __call__(self, p):
        return sparse.csc_array(sparse.diags_array(2.0 + p))

    def vjp(self, p, u, lam):
        return -(-lam * u)

    def jvp(self, p, u, p_dot):
        return p_dot * u


@pytest.mark.parametrize("first", [0.0, 1e-18, 0.1])
def test_a_forgotten_explicit_dependence_on_a_parameter_that_is_zero_is_found(first):
    f = adjoint.Reduced(adjoint.LinearProblem(Diagonal(), np.ones(3)), Forgotten())
    assert not adjoint.check(f, np.array([first, 1.0, 2.0])).ok
    assert adjoint.check(f.of(adjoint.LinearFunctional(np.ones(3))), np.array([first, 1.0, 2.0])).ok


def test_components_that_cannot_be_moved_are_counted():
    """f is defined where x_1 and x_3 are zero only."""

    def value(x):
        return float(x @ x) if x[1] == x[3] == 0.0 else np.nan

    f = adjoint.optimize.ScalarFunction(value, lambda x: 2.0 * x)
    report = adjoint.check(f, np.array([1.0, 0.0, 2.0, 0.0, 0.0]))
    assert not report.ok
    assert report.unmoved == 2
    assert "NOT ALL WAS TESTED" in report.table()
    assert "2 components of x are zero" in report.table()
    nowhere = adjoint.check(
        adjoint.optimize.ScalarFunction(
            lambda x: float(x @ x) if not x.any() else np.nan, f.gradient
        ),
        0 * X,
    )
    assert not nowhere.ok
    assert nowhere.unmoved == 3
    assert adjoint.check(f, np.array([1.0, 0.0, 2.0, 0.0, 0.0])).table() == report.table()


X = np.array([1.0, 2.0, 3.0])

ONE_SIDED = {
    "a root": lambda x: np.sqrt(x) * x**2,
    "a refusal": lambda x: x**3 if np.all(x >= 0.0) else refuse(),
    "a failed solve": lambda x: x**3 if np.all(x >= 0.0) else refuse(adjoint.errors.SingularMatrix),
    "opposite sides": lambda x: x**3 if x[0] >= 0.0 >= x[1] else np.nan * x,
    "a kink": lambda x: np.maximum(x, 0.0) + x**3,
    "a steep power": lambda x: x**1.5,
}
SLOPES = {
    "a root": lambda x: 2.5 * x**1.5,
    "a kink": lambda x: (x > 0.0) + 3.0 * x**2,
    "a steep power": lambda x: 1.5 * np.sqrt(x),
}


def refuse(error=ValueError):
    raise error("a density below zero")


@pytest.mark.parametrize("name", ONE_SIDED)
def test_where_one_side_of_zero_is_out_of_the_domain_the_other_one_is_looked_at(name):
    x = np.array([0.0, 0.0, 2.0])
    f = adjoint.optimize.ScalarFunction(
        lambda x: float(ONE_SIDED[name](x).sum()), SLOPES.get(name, lambda x: 3.0 * x**2)
    )
    report = adjoint.check(f, x)
    assert report.ok, report.table()
    wrong = adjoint.optimize.ScalarFunction(f.value, lambda x: f.gradient(x) - (x == 0.0))
    assert not adjoint.check(wrong, x).ok


def test_a_bound_of_the_domain_nearby_is_no_fault():
    f = adjoint.optimize.ScalarFunction(
        lambda x: float(np.log1p(-x).sum()), lambda x: -1.0 / (1.0 - x)
    )
    assert adjoint.check(f, np.array([0.5, 1.0 - 1e-4])).ok


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("field", [float, complex])
def test_a_state_that_no_parameter_changes_is_no_fault_of_its_transpose(m, field):
    """p_k scales all of A and of b: Dv is rounding, and so is its distance from the transpose."""
    n = 30
    rng = np.random.default_rng(0)
    K = np.vander(np.linspace(0.1, 1.0, n), 9) @ rng.standard_normal((9, n)) + 1e-3 * np.eye(n)
    K = sparse.csc_array(K * (1.0 + 0.3j) if field is complex else K)
    b = rng.standard_normal(n)
    A = adjoint.Affine(None, [K] * m)
    problem = adjoint.LinearProblem(
        A, adjoint.matrices.AffineVector(0.0 * b, np.stack([b] * m, axis=1))
    )
    report = adjoint.check(adjoint.Reduced(problem, Explicit()), np.linspace(1.3, 2.0, m))
    assert report.ok, report.table()


class Explicit:
    """J = Σp²."""

    def value(self, u, p):
        return float(p @ p)

    def gradients(self, u, p):
        return np.zeros_like(u), 2.0 * p


def test_a_direction_that_tests_nothing_is_said_to():
    constant = adjoint.optimize.ScalarFunction(lambda x: 7.0, lambda x: 0.0 * x)
    report = adjoint.check(constant, X)
    assert report.ok
    assert "g·v is zero, nothing was tested" in report.table()
    assert "nothing was tested" not in adjoint.check(exponentials(X, X), X).table()


@pytest.mark.parametrize("change", [1e-6, -1e-6])
@pytest.mark.parametrize(
    "name", ["random complex nonsymmetric, affine", "Bratu", "dense block from entries"]
)
def test_a_vjp_that_is_slightly_wrong_is_found_by_the_dot_product(name, change):
    """Differences of f tell a factor from 1e-5 on, the transposed product from 1e-8 on."""
    f, x = case(name)
    for seed in range(4):
        report = adjoint.check(
            replace(f, design=Wrong(lambda g: (1.0 + change) * g)), np.sqrt(x), seed=seed
        )
        assert not report.ok
        assert report.relative_error < 1e-5


@dataclass(frozen=True)
class Own:
    """A point of one's own: no state."""

    value: float
    gradient: np.ndarray


def own(factor):
    return lambda x: Own(float(np.exp(x).sum()), factor * np.exp(x))


FUNCTIONS = {
    "ScalarFunction": lambda a: adjoint.optimize.ScalarFunction(
        lambda x: float(np.exp(x).sum()), lambda x: a * np.exp(x)
    ),
    "JointFunction": lambda a: adjoint.optimize.ScalarFunction.of(
        lambda x: (float(np.exp(x).sum()), a * np.exp(x))
    ),
    "ResidualFunction": lambda a: adjoint.optimize.ResidualFunction(
        np.exp, lambda x: a * np.diag(np.exp(x))
    ),
    "a class": own,
    "DifferencedHessian": lambda a: adjoint.optimize.DifferencedHessian(
        FUNCTIONS["ScalarFunction"](a)
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_whatever_minimize_takes_is_checked(name):
    assert adjoint.check(FUNCTIONS[name](1.0), X).ok
    report = adjoint.check(FUNCTIONS[name](1.001), X)
    assert not report.ok
    assert "comparisons only" in report.table()
    assert "if t > p[2]" in report.table()


def test_a_gradient_that_is_one_array_filled_anew_is_no_fault():
    buffer = np.empty(3)

    def gradient(x):
        np.exp(x, out=buffer)
        return buffer

    @dataclass
    class Refilled:
        value: float
        gradient: np.ndarray

    assert adjoint.check(lambda x: Refilled(float(np.exp(x).sum()), gradient(x)), X).ok


def never(x):
    raise AssertionError("evaluated")


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "message"),
    [
        ((never, X[:, None]), {}, ValueError, r"expected a vector \(m,\)"),
        ((never, np.zeros(0)), {}, ValueError, "x is empty"),
        ((never, np.array([1.0, np.inf])), {}, ValueError, r"x\[1\] is inf"),
        ((never, "start"), {}, TypeError, "dtype"),
        ((never, X), {"step": 0.0}, ValueError, "step"),
        ((never, X), {"step": np.nan}, ValueError, "step"),
        ((never, X), {"step": "small"}, TypeError, "step"),
        ((never, X), {"seed": -1}, ValueError, "seed|negative"),
        ((X, never), {}, TypeError, "check: got .*expected a function of x"),
        ((adjoint.Reduced, X), {}, TypeError, "check: got the class Reduced"),
        ((None, X), {}, TypeError, "check: got .*None"),
    ],
)
def test_wrong_arguments_are_named_before_f_is_evaluated(arguments, settings, error, message):
    with pytest.raises(error, match=message):
        adjoint.check(*arguments, **settings)


@pytest.mark.parametrize(
    ("point", "error", "message"),
    [
        (1.0, TypeError, "returned a float, expected a Point"),
        (Own(np.ones(2), X), TypeError, "expected a real number"),
        (Own(1j, X), TypeError, "expected a real number"),
        (Own(1.0, X[:2]), ValueError, r"the gradient has shape \(2,\), expected \(3,\)"),
        (Own(1.0, 1j * X), TypeError, "expected real numbers"),
        (Own(1.0, np.nan * X), ValueError, "the gradient"),
    ],
)
def test_what_is_no_point_is_named_by_the_first_evaluation(point, error, message):
    calls = []
    with pytest.raises(error, match=message):
        adjoint.check(lambda x: calls.append(x) or point, X)
    assert len(calls) == 1


def test_newton_starts_from_the_solution_at_hand():
    starts = []

    def first(p):
        starts.append(p)
        return np.full(4, 2.0)

    R = adjoint.complex_step_residual(lambda u, p: u**3 - 3.0 * u - p, 4, 4)
    f = adjoint.Reduced(adjoint.NonlinearProblem(R, first), adjoint.LinearFunctional(np.ones(4)))
    assert adjoint.check(f, np.linspace(0.1, 0.4, 4)).ok
    assert len(starts) == 1


def test_noise_that_iterations_leave_in_f_is_no_fault():
    """One part in 10¹⁰, beside a parameter of little effect and one that is zero."""

    def value(x):
        return float(np.exp(x).sum() * (1.0 + 1e-10 * np.sin(1e9 * x.sum())))

    x = np.array([1.0, 0.1, 1e-3, 0.0])
    for seed in range(5):
        assert adjoint.check(adjoint.optimize.ScalarFunction(value, np.exp), x, seed=seed).ok


@pytest.mark.parametrize("m", [1, 4])
def test_solutions_are_counted(m):
    calls = []

    def f(x):
        calls.append(x)
        return Own(float(np.exp(x).sum()), np.exp(x))

    adjoint.check(f, np.linspace(1.0, 2.0, m))
    assert len(calls) == (13 if m == 1 else 21)


@pytest.mark.parametrize("minimum", [1e-9, 1e-3])
@pytest.mark.parametrize("penalty", [1.0, 2.5, 3.0])
def test_voids_are_no_fault(penalty, minimum):
    """At densities of zero ∂f/∂x is decades larger, or zero; errors there are found."""
    f = mbb(8, 4).compliance(adjoint.design.SIMP(penalty, minimum=minimum))
    x = np.where(np.arange(32) % 11 == 3, 0.0, 0.5)
    report = adjoint.check(f, x)
    assert report.ok, report.table()
    wrong = replace(f, design=f.design >> Shifted())
    assert adjoint.check(wrong, x).ok == (penalty > 1.0)  # The derivative of SIMP is zero there.


class Shifted:
    """The identity, with a vjp that is wrong where p is small."""

    def __call__(self, p):
        return p

    def vjp(self, p, p_bar):
        return np.where(p < 0.01, 1.01, 1.0) * p_bar

    def jvp(self, p, p_dot):
        return p_dot


@pytest.mark.parametrize("m", [1, 2, 5])
def test_a_component_at_which_f_is_infinitely_steep_is_counted_as_unmoved(m):
    """Σ √x with x_i = 0, and a gradient of 0 there: differences grow without limit."""
    x = np.linspace(0.0, 2.0, m) if m > 1 else np.zeros(1)

    def gradient(x):
        return np.where(x > 0.0, 0.5 / np.sqrt(np.where(x > 0.0, x, 1.0)), 0.0)

    report = adjoint.check(
        adjoint.optimize.ScalarFunction(lambda x: float(np.sqrt(x).sum()), gradient), x
    )
    assert not report.ok
    assert report.unmoved == 1
