"""Laws of the second derivatives of recurrences, and of steps from plain functions."""

from collections import Counter
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint._numerics import dot
from adjoint.checkpointing import Budget, Checkpoints, Disk, Everything, States
from adjoint.errors import NonFinite, NotComplexSafe
from adjoint.optimize import LBFGS, NewtonCG, minimize
from adjoint.protocols import LinearizableSolution, SolutionWithHvp
from adjoint.recurrence import RecurrenceProblem

N_STATE, STEPS = 5, 23


@dataclass(frozen=True, eq=False)
class Waves:
    """Φ_k = u + h (p₀ u ∘ Su − p₁ u² + p₂ cos k + c Su), S a shift; counts its calls."""

    h: float = 0.1
    c: complex = 0.5
    calls: Counter = field(default_factory=Counter)

    def __call__(self, k, u, p):
        self.calls["step"] += 1
        Su = np.roll(u, 1)
        return u + self.h * (p[0] * u * Su - p[1] * u**2 + p[2] * np.cos(k) + self.c * Su)

    def vjp(self, k, u, p, lam):
        self.calls["vjp"] += 1
        Su = np.roll(u, 1)
        u_bar = np.conj(p[0] * Su - 2.0 * p[1] * u) * lam
        u_bar = u_bar + np.roll(np.conj(p[0] * u + self.c) * lam, -1)
        by_p = np.stack([u * Su, -(u**2), np.full_like(u, np.cos(k))])
        return lam + self.h * u_bar, self.h * by_p.conj() @ lam

    def jvp(self, k, u, p, u_dot, p_dot):
        self.calls["jvp"] += 1
        Su, Su_dot = np.roll(u, 1), np.roll(u_dot, 1)
        by_u = p[0] * (u_dot * Su + u * Su_dot) - 2.0 * p[1] * u * u_dot + self.c * Su_dot
        by_p = p_dot[0] * u * Su - p_dot[1] * u**2 + p_dot[2] * np.cos(k)
        return u_dot + self.h * (by_u + by_p)

    def hvp(self, k, u, p, lam, u_dot, p_dot):
        self.calls["hvp"] += 1
        Su, Su_dot = np.roll(u, 1), np.roll(u_dot, 1)
        rate = p_dot[0] * Su + p[0] * Su_dot - 2.0 * (p_dot[1] * u + p[1] * u_dot)
        u_part = np.conj(rate) * lam + np.roll(np.conj(p_dot[0] * u + p[0] * u_dot) * lam, -1)
        by_p = np.stack([u_dot * Su + u * Su_dot, -2.0 * u * u_dot, 0.0 * u])
        return self.h * u_part, self.h * by_p.conj() @ lam


@dataclass(frozen=True, eq=False)
class Conjugated(Waves):
    """The step with an hvp that lacks the conjugation: right for real states only."""

    def hvp(self, k, u, p, lam, u_dot, p_dot):
        u_part, p_part = super().hvp(k, u.conj(), p.conj(), lam, u_dot.conj(), p_dot.conj())
        return u_part, p_part


BASE = np.linspace(0.2, 0.9, N_STATE)
SLOPE = 0.3 * np.random.default_rng(0).standard_normal((N_STATE, 3))
P = np.array([0.7, 0.4, 0.9])
REAL = RecurrenceProblem(
    Waves(), adjoint.matrices.AffineVector(BASE, SLOPE), STEPS, observe=(0, 4, 5, STEPS)
)
COMPLEX = replace(
    REAL,
    step=Waves(c=0.3 + 0.4j),
    u0=adjoint.matrices.AffineVector(BASE * (1 + 0.3j), SLOPE * (1 - 0.5j)),
)
PROBLEMS = {
    "real": REAL,
    "complex states": COMPLEX,
    "complex from a real start": replace(COMPLEX, u0=BASE),
    "last state only": replace(REAL, observe=None),
    "constant start": replace(REAL, u0=BASE),
    "no steps": replace(REAL, steps=0, observe=None),
    "one step": replace(REAL, steps=1, observe=(0, 1)),
    "one unknown": replace(REAL, u0=BASE[:1], observe=(3,)),
}
each_problem = pytest.mark.parametrize("name", PROBLEMS)


def reduced(problem, p=P):
    """½ ‖u − d‖² times a functional of u."""
    u = problem.solve(p).u
    weights = np.cos(np.arange(u.size)).reshape(u.shape)
    return adjoint.Reduced(
        problem,
        adjoint.Product(
            adjoint.LeastSquares(0.8 * u), adjoint.Sum([adjoint.LinearFunctional(weights)], [2.0])
        ),
    )


@each_problem
def test_taylor_remainder_is_third_order(name):
    report = adjoint.check_hvp(reduced(PROBLEMS[name]), P, seed=1)
    assert report.ok, report.table()


@pytest.mark.parametrize("name", ["real", "complex states"])
def test_product_for_complex_parameters_is_real_linear_and_right(name):
    p = P * (1.0 + 0.2j)
    problem = replace(COMPLEX if name == "complex states" else REAL, steps=9, observe=(2, 9))
    f = reduced(problem, p)
    report = adjoint.check_hvp(f, p, seed=2)
    assert report.ok, report.table()


@each_problem
def test_hessian_is_symmetric_and_holds_the_products(name):
    point, rng = reduced(PROBLEMS[name])(P), np.random.default_rng(3)
    H, V = point.hessian(), rng.standard_normal((3, 4))
    np.testing.assert_allclose(H, H.T, rtol=0, atol=1e-12 * max(np.abs(H).max(), 1.0))
    np.testing.assert_allclose(point.hvp(V), H @ V, rtol=0, atol=1e-11 * np.abs(H @ V).max())
    np.testing.assert_array_equal(point.hvp(V)[:, 1], point.hvp(V[:, 1]))
    np.testing.assert_array_equal(point.hessian(block=1), H)


def test_hessian_agrees_with_differences_of_gradients():
    f, h = reduced(REAL), 1e-3
    slopes = [
        np.column_stack(
            [(f(P + s * e).gradient - f(P - s * e).gradient) / (2.0 * s) for e in np.eye(3)]
        )
        for s in (h, h / 2, h / 4)
    ]
    once = [(4.0 * b - a) / 3.0 for a, b in pairwise(slopes)]
    H = f(P).hessian()
    gap = np.abs((16.0 * once[1] - once[0]) / 15.0 - H).max()
    assert gap <= 1e-10 * np.abs(H).max()


def taylor_product(a, b):
    """The product of two Taylor series in h up to h², of fractions."""
    return tuple(sum(a[i] * b[k - i] for i in range(k + 1)) for k in range(3))


def test_logistic_map_has_the_second_derivative_of_its_polynomial():
    """u_k = r u (1 − u): u₆ is a polynomial in r, whose coefficients are exact as fractions."""
    r, u = (Fraction(7, 4), Fraction(1), Fraction(0)), (Fraction(1, 3), Fraction(0), Fraction(0))
    for _ in range(6):
        u = taylor_product(r, taylor_product(u, (1 - u[0], -u[1], -u[2])))
    logistic = adjoint.complex_step_step(lambda k, u, p: p * u * (1.0 - u), n=1, m=1)
    problem = RecurrenceProblem(logistic, np.array([1.0 / 3.0]), steps=6)
    point = adjoint.Reduced(problem, adjoint.LinearFunctional(np.ones((1, 1))))(np.array([1.75]))
    assert point.value == pytest.approx(float(u[0]), rel=1e-14)
    assert point.gradient[0] == pytest.approx(float(u[1]), rel=1e-13)
    assert point.hessian()[0, 0] == pytest.approx(2.0 * float(u[2]), rel=1e-11)


@pytest.mark.parametrize("name", ["real", "complex states"])
def test_all_memories_give_the_same_bits(name, tmp_path):
    V = np.random.default_rng(4).standard_normal((3, 2))
    products = []
    for memory in (
        Everything(),
        States(),
        Checkpoints(1),
        Checkpoints(4),
        Disk(tmp_path),
        Disk(tmp_path, slots=3),
        Budget(5000),
    ):
        point = reduced(replace(PROBLEMS[name], memory=memory))(P)
        products += [point.hvp(V), point.hvp(V)]  # Again, after a reverse sweep.
    for product in products[1:]:
        np.testing.assert_array_equal(product, products[0])


def test_product_takes_one_forward_and_one_reverse_sweep():
    step = Waves()
    problem = replace(REAL, step=step, memory=Everything())
    point = reduced(problem)(P)
    assert point.gradient.size
    for j in (1, 3):
        step.calls.clear()
        with adjoint.counting() as counts:
            point.hvp(np.ones((3, j)))
        assert dict(step.calls) == {"jvp": STEPS * j, "hvp": STEPS * j, "vjp": STEPS * (j + 1)}
        assert counts.numeric == counts.solves == 0


def test_checkpoints_keep_few_states_with_their_tangents():
    p_dot = np.eye(3)
    linearization = replace(REAL, memory=Checkpoints(4)).solve(P).linearized(p_dot)
    u_bar = np.ones((4, N_STATE))
    rates = linearization.vjp_rate(u_bar, 0.0 * linearization.u_dot)
    assert rates.shape == (3, 3)
    assert linearization.repeated > 0
    assert linearization.storage.memory <= 5 * 8 * N_STATE * 4
    np.testing.assert_array_equal(linearization.u_dot, REAL.solve(P).jvp(p_dot))


def test_rate_of_a_gradient_is_symmetric_in_directions_and_linear_in_cotangents():
    """⟨d(Dᵀū)[v], w⟩ = ⟨v, d(Dᵀū)[w]⟩ with fixed ū, and d/dt of Dᵀ ū̇ is Dᵀ ū̇ itself."""
    solution, rng = COMPLEX.solve(P), np.random.default_rng(5)
    V = rng.standard_normal((3, 2))
    u_bar, extra = rng.standard_normal((2, *solution.u.shape)) + 0.3j
    tangents = solution.linearized(V)
    zero = np.zeros_like(tangents.u_dot)
    H = V.T @ tangents.vjp_rate(u_bar, zero)
    np.testing.assert_allclose(H, H.T, rtol=1e-12)
    rates = np.stack([extra, 2.0 * extra], axis=-1)
    np.testing.assert_allclose(
        tangents.vjp_rate(u_bar, rates) - tangents.vjp_rate(u_bar, zero),
        np.outer(solution.vjp(extra), [1.0, 2.0]),
        rtol=1e-11,
        atol=1e-12,
    )
    assert dot(solution.linearized(V[:, 0]).u_dot, u_bar) == pytest.approx(
        V[:, 0] @ solution.vjp(u_bar), rel=1e-12
    )


def test_hvp_without_its_conjugation_is_caught():
    wrong = replace(COMPLEX, step=Conjugated(c=0.3 + 0.4j))
    assert not adjoint.check_hvp(reduced(wrong), P).ok
    assert adjoint.check_hvp(reduced(replace(REAL, step=Conjugated())), P).ok


@dataclass(frozen=True, eq=False)
class SymmetricButWrong(Waves):
    """Half of the second derivatives: the Hessian stays symmetric."""

    def hvp(self, k, u, p, lam, u_dot, p_dot):
        u_part, p_part = super().hvp(k, u, p, lam, u_dot, p_dot)
        return 0.5 * u_part, 0.5 * p_part


def test_symmetric_but_wrong_hessian_is_caught_by_the_order():
    f = reduced(replace(REAL, step=SymmetricButWrong()))
    H = f(P).hessian()
    np.testing.assert_allclose(H, H.T, rtol=0, atol=1e-12 * np.abs(H).max())
    report = adjoint.check_hvp(f, P)
    assert not report.ok
    assert report.orders[1] < 2.5


class FirstOrder:
    def __call__(self, k, u, p):
        return p[0] * u

    def vjp(self, k, u, p, lam):
        return p[0] * lam, np.array([u @ lam])

    def jvp(self, k, u, p, u_dot, p_dot):
        return p[0] * u_dot + p_dot[0] * u


@dataclass(frozen=True, eq=False)
class Returns(FirstOrder):
    returned: object

    def hvp(self, k, u, p, lam, u_dot, p_dot):
        return self.returned


def test_missing_and_malformed_second_derivatives_are_named():
    problem = RecurrenceProblem(FirstOrder(), np.ones(2), steps=3)
    f = adjoint.Reduced(problem, adjoint.LeastSquares(np.zeros((1, 2))))
    with pytest.raises(TypeError, match=r"FirstOrder has no method hvp.*complex_step_step"):
        f(np.ones(1)).hvp(np.ones(1))
    for returned, error, message in (
        (np.zeros(3), TypeError, "hvp of step 3 returned a ndarray"),
        ((np.zeros(3), np.zeros(1)), ValueError, "part for u of the hvp of step 3 has shape"),
        ((np.zeros(2), np.zeros(2)), ValueError, "part for p of the hvp of step 3 has shape"),
        ((np.full(2, np.nan), np.zeros(1)), NonFinite, "part for u of the hvp of step 3 is nan"),
    ):
        with pytest.raises(error, match=message):
            replace(f, problem=replace(problem, step=Returns(returned)))(np.ones(1)).hvp(np.ones(1))


class Start:
    """u₀(p) without second derivatives."""

    def __call__(self, p):
        return p[:1] ** 2

    def vjp(self, p, lam):
        return 2.0 * p * lam

    def jvp(self, p, p_dot):
        return 2.0 * p * p_dot


def test_start_without_second_derivatives_is_named():
    step = adjoint.complex_step_step(lambda k, u, p: p * u, 1, 1)
    f = adjoint.Reduced(
        RecurrenceProblem(step, Start(), steps=2), adjoint.LeastSquares(np.zeros((1, 1)))
    )
    with pytest.raises(TypeError, match="Start has no method hvp"):
        f(np.ones(1)).hvp(np.ones(1))


@pytest.mark.parametrize("p_dot", [np.ones(2), np.ones((3, 0)), np.ones((3, 2, 2)), "abc"])
def test_bad_directions_are_named(p_dot):
    with pytest.raises((ValueError, TypeError), match="p_dot"):
        REAL.solve(P).linearized(p_dot)


def test_bad_rates_are_named():
    linearization = REAL.solve(P).linearized(P)
    with pytest.raises(ValueError, match="vjp_rate: got u_bar of shape"):
        linearization.vjp_rate(np.ones(3), linearization.u_dot)


def test_solution_is_linearized_and_has_no_adjoint_state_of_its_shape():
    solution = REAL.solve(P)
    assert isinstance(solution, LinearizableSolution)
    assert not isinstance(solution, SolutionWithHvp)
    assert repr(solution.linearized(P)) == "RecurrenceLinearization(u_dot: float64 (4, 5))"


def test_newton_cg_fits_a_recurrence_in_few_iterations():
    truth = REAL.solve(P).u
    f = adjoint.Reduced(REAL, adjoint.LeastSquares(truth))
    newton = minimize(f, 1.3 * P, algorithm=NewtonCG())
    np.testing.assert_allclose(newton.x, P, rtol=1e-5)
    lbfgs = minimize(f, 1.3 * P, algorithm=LBFGS())
    assert newton.iterations < lbfgs.iterations


# Steps from plain functions ----------------------------------------------------------------------


def plain(k, u, p):
    Su = np.roll(u, 1)
    return u + 0.1 * (p[0] * u * Su - p[1] * u**2 + p[2] * np.cos(k) + 0.5 * Su)


@pytest.mark.parametrize("n", [1, 5, 60])
def test_derived_step_agrees_with_the_step_by_hand(n):
    derived, by_hand, rng = (
        adjoint.complex_step_step(plain, n, 3),
        Waves(),
        np.random.default_rng(6),
    )
    u, lam, u_dot = rng.uniform(0.2, 0.9, (3, n))
    p_dot = rng.standard_normal(3)
    np.testing.assert_array_equal(derived(4, u, P), by_hand(4, u, P))
    pairs = [
        (derived.jvp(4, u, P, u_dot, p_dot), by_hand.jvp(4, u, P, u_dot, p_dot), 1e-13),
        *zip(derived.vjp(4, u, P, lam), by_hand.vjp(4, u, P, lam), (1e-13, 1e-13), strict=True),
        *zip(
            derived.hvp(4, u, P, lam, u_dot, p_dot),
            by_hand.hvp(4, u, P, lam, u_dot, p_dot),
            (1e-9, 1e-9),
            strict=True,
        ),
    ]
    for found, expected, tolerance in pairs:
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_derived_step_uses_its_patterns_and_receives_integers():
    seen = set()

    def step(k, u, p):
        seen.add(type(k))
        return u * p[0] + 0.1 * p[1] * k

    n = 300
    derived = adjoint.complex_step_step(step, n, 2, u_pattern=sparse.eye_array(n, format="csc"))
    problem = RecurrenceProblem(derived, np.ones(n), steps=4)
    f = adjoint.Reduced(problem, adjoint.LinearFunctional(np.full((1, n), 1.0 / n)))
    assert adjoint.check(f, np.array([0.9, 0.3])).ok
    assert adjoint.check_hvp(f, np.array([0.9, 0.3])).ok
    assert seen == {int}
    assert repr(adjoint.complex_step_step(plain, 300, 2)) == "complex_step_step(plain, n=300, m=2)"


def test_derived_step_that_loses_imaginary_parts_is_named():
    derived = adjoint.complex_step_step(lambda k, u, p: np.abs(u) * p, 1, 1)
    with pytest.raises(NotComplexSafe, match="complex_step_step"):
        RecurrenceProblem(derived, np.ones(1), steps=2).solve(np.ones(1)).vjp(np.ones((1, 1)))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3.0, 1, 1), TypeError, "complex_step_step: got step="),
        ((plain, 0, 1), ValueError, "n = 0"),
        ((plain, 1, -1), ValueError, "m = -1"),
    ],
)
def test_bad_arguments_of_a_derived_step_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        adjoint.complex_step_step(*arguments)
