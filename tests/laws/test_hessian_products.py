"""Hessian–vector products of steady problems.

Symmetric, the derivative of the gradient, and two solves each.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint._numerics import dot
from adjoint._optional_methods import checked_design_hvp, checked_residual_hvp
from adjoint.checks.extrapolation import extrapolated, order
from adjoint.derive import with_hvp
from problems.catalogue import CATALOGUE
from problems.steady.bratu import Bratu, plain_bratu
from problems.steady.elasticity import mbb
from problems.steady.sellar import SellarObjective

EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class TwiceSellar:
    """Sellar's objective with its second derivatives."""

    first = SellarObjective()

    def value(self, u, p):
        return self.first.value(u, p)

    def gradients(self, u, p):
        return self.first.gradients(u, p)

    def hvp(self, u, p, u_dot, p_dot):
        return np.array([0.0, np.exp(-u[1]) * u_dot[1]]), np.array([0.0, 0.0, 2.0 * p_dot[2]])


def bilinear_rate(p, data_bar, p_dot):
    """Of the catalogue's entries, p_i p_{n+j}: the pullback is linear in p."""
    n = p.size // 2
    grid = data_bar.reshape(n, n).T
    return np.concatenate([grid @ p_dot[n:], grid.T @ p_dot[:n]])


def twice(f):
    """The case with second derivatives where the catalogue has none."""
    problem, objective = f.problem, f.objective
    if isinstance(problem, adjoint.NonlinearProblem):
        problem = replace(problem, residual=with_hvp(problem.residual))
    elif isinstance(problem.A, adjoint.Entries):
        problem = replace(problem, A=replace(problem.A, pullback_rate=bilinear_rate))
    return replace(
        f,
        problem=problem,
        objective=TwiceSellar() if isinstance(objective, SellarObjective) else objective,
    )


@dataclass(frozen=True)
class TwiceBratu:
    """Bratu's residual with second derivatives by hand."""

    inner: Bratu

    def residual(self, u, p):
        return self.inner.residual(u, p)

    def jacobian(self, u, p):
        return self.inner.jacobian(u, p)

    def vjp(self, u, p, lam):
        return self.inner.vjp(u, p, lam)

    def jvp(self, u, p, p_dot):
        return self.inner.jvp(u, p, p_dot)

    def hvp(self, u, p, lam, u_dot, p_dot):
        e = np.exp(u) * lam
        p_part = -e * u_dot
        return -e * (p * u_dot + p_dot), p_part if p.size == u.size else p_part.sum(keepdims=True)


def load_case():
    """Compliance of a load that depends on the parameters.

    With a matrix of parts and combinations.
    """
    rng = np.random.default_rng(2)
    n = 12
    K, M = (sparse.csc_array(sparse.random_array((n, n), density=0.3, rng=rng)) for _ in range(2))
    eye = sparse.eye_array(n, format="csc")
    first = adjoint.Affine(4.0 * eye, [K, M])
    A = adjoint.Combination(
        [(1.0, adjoint.Part(first, slice(0, 2))), (0.5, adjoint.Part(first, np.array([2, 0])))]
    )
    b = adjoint.matrices.PartVector(
        adjoint.matrices.AffineVector(np.ones(n), rng.standard_normal((n, 2))), np.array([1, 3])
    )
    objective = adjoint.Product(
        adjoint.Compliance(b), adjoint.LeastSquares(np.ones(n), weights=rng.uniform(1.0, 2.0, n))
    )
    return adjoint.Reduced(adjoint.LinearProblem(A, b), objective), rng.uniform(0.5, 1.0, 4)


CASES = {
    name: (lambda make=make: (twice(make()[0]), make()[1])) for name, make in CATALOGUE.items()
}
CASES["parts, a combination, a load of the parameters"] = load_case
every_case = pytest.mark.parametrize("name", CASES)


@cache
def at(name):
    f, x = CASES[name]()
    rng = np.random.default_rng(3)
    v, w = (np.abs(x) * rng.standard_normal(x.size) for _ in range(2))
    point = f(x)
    return f, point, v, w


def size(f, point, Hv, w):
    """‖Hv‖‖w‖ in units of the design, for variables that differ by orders of magnitude."""
    unit = np.abs(point.x)
    return np.linalg.norm(Hv * unit) * np.linalg.norm(w / unit)


@every_case
def test_hessian_is_symmetric(name):
    f, point, v, w = at(name)
    Hv, Hw = point.hvp(v), point.hvp(w)
    assert abs(Hv @ w - v @ Hw) <= 1e-11 * size(f, point, Hv, w)
    np.testing.assert_allclose(
        point.hvp(2.0 * v - w), 2.0 * Hv - Hw, rtol=0, atol=1e-10 * np.abs(Hv).max()
    )


@every_case
def test_product_is_the_derivative_of_the_gradient(name):
    f, point, v, w = at(name)
    steps = 1e-3 * 0.5 ** np.arange(5)
    slopes = np.array(
        [(f(point.x + h * v).gradient - f(point.x - h * v).gradient) @ w / (2.0 * h) for h in steps]
    )
    Hv = point.hvp(v)
    assert abs(extrapolated(slopes) - Hv @ w) <= 1e-8 * size(f, point, Hv, w)


@every_case
def test_taylor_remainder_is_third_order(name):
    f, point, v, _ = at(name)
    steps = 0.05 * 0.5 ** np.arange(6)
    g, H = point.gradient @ v, point.hvp(v) @ v
    values = np.array([f(point.x + h * v).value for h in steps])
    remainders = np.abs(values - point.value - steps * g - 0.5 * steps**2 * H)
    noise = 1e4 * EPS * np.abs(values).max()
    assert order(remainders, noise, 3.0) >= 2.85


@every_case
def test_block_of_directions_has_the_products_of_its_columns(name):
    _, point, v, w = at(name)
    V = np.column_stack([v, w, np.zeros(v.size)])
    HV = point.hvp(V)
    assert HV.shape == V.shape
    np.testing.assert_array_equal(point.hvp(V[:, :1]).shape, (v.size, 1))
    for j, column in enumerate(V.T):
        single = point.hvp(column)
        scale = np.abs(HV).max()
        np.testing.assert_allclose(HV[:, j], single, rtol=1e-10, atol=1e-10 * scale)


@every_case
def test_hessian_holds_the_products_whatever_the_block(name):
    f, point, v, w = at(name)
    m = v.size
    if m > 40:
        return
    H = point.hessian()
    scale = size(f, point, H @ v, w)
    assert abs(w @ H @ v - w @ point.hvp(v)) <= 1e-11 * scale
    assert abs(w @ (H - H.T) @ v) <= 1e-11 * scale
    np.testing.assert_allclose(point.hessian(block=3), H, rtol=1e-9, atol=1e-9 * np.abs(H).max())


@every_case
def test_block_takes_two_block_solves(name):
    f, x = CASES[name]()
    if not isinstance(f.problem, adjoint.LinearProblem) or "Helmholtz filter" in name:
        return
    point = f(x)
    assert point.gradient.size
    V = np.random.default_rng(6).standard_normal((x.size, 4))
    with adjoint.counting() as counts:
        point.hvp(V)
    assert counts.numeric == counts.symbolic == 0
    assert counts.solves <= 2


def test_hessian_agrees_with_differences_of_gradients():
    for name in ("parts, a combination, a load of the parameters", *list(CATALOGUE)[:6]):
        f, point, _, _ = at(name)
        if point.x.size > 40:
            continue
        h, m = 1e-4 * np.abs(point.x), point.x.size
        slopes = [
            np.column_stack(
                [
                    (f(point.x + h[i] * s * e).gradient - f(point.x - h[i] * s * e).gradient)
                    / (2.0 * h[i] * s)
                    for i, e in enumerate(np.eye(m))
                ]
            )
            for s in (1.0, 0.5)
        ]
        unit = np.outer(np.abs(point.x), np.abs(point.x))
        gap = np.abs(point.hessian() - (4.0 * slopes[1] - slopes[0]) / 3.0) * unit
        assert gap.max() <= 1e-7 * np.abs(point.hessian() * unit).max(), name


def test_hessian_that_does_not_fit_is_refused_with_its_size():
    point = at("MBB beam, density filter, SIMP")[1]
    m = point.x.size
    with pytest.raises(ValueError, match=rf"Hessian of {m} variables.*max_bytes=1000.*hvp\(v\)"):
        point.hessian(max_bytes=1000)
    with pytest.raises(ValueError, match="smaller block"):
        point.hessian(block=m, max_bytes=8 * m * m + 5000)
    with pytest.raises(TypeError, match="block"):
        point.hessian(block=2.0)
    with pytest.raises(ValueError, match="block=0"):
        point.hessian(block=0)


@pytest.mark.parametrize(
    ("v", "error"),
    [
        (np.ones((3, 2, 2)), ValueError),
        (np.ones(99), ValueError),
        (np.ones((99, 2)), ValueError),
        (np.zeros((4, 0)), ValueError),
        (np.full(4, np.nan), adjoint.errors.NonFinite),
        (1j * np.ones(4), TypeError),
        ("abcd", TypeError),
    ],
)
def test_bad_directions_are_named(v, error):
    point = at("parts, a combination, a load of the parameters")[1]
    with pytest.raises(error, match=r"v|real"):
        point.hvp(v)


def test_product_with_complex_design_is_real_linear_and_symmetric():
    """A(p) = K + p₁ P + p₂ Q with complex p; ⟨Hv, w⟩ = ⟨v, Hw⟩ for ⟨a, b⟩ = Re(aᴴ b)."""
    rng = np.random.default_rng(7)
    n = 8
    P, Q = (sparse.csc_array(rng.standard_normal((n, n))) for _ in range(2))
    A = adjoint.Affine(8.0 * sparse.eye_array(n, format="csc"), [P, Q])
    target = rng.standard_normal(n) + 1j * rng.standard_normal(n)
    f = adjoint.Reduced(adjoint.LinearProblem(A, np.ones(n)), adjoint.LeastSquares(target))
    x = np.array([0.3 + 0.4j, -0.2 + 0.1j])
    assert adjoint.check_hvp(f, x).ok
    point = f(x)
    v, w = (rng.standard_normal(2) + 1j * rng.standard_normal(2) for _ in range(2))
    HV = point.hvp(np.column_stack([v, w, 1j * v]))
    assert dot(HV[:, 0], w) == pytest.approx(dot(v, HV[:, 1]), rel=1e-11)
    assert np.abs(HV[:, 2] - 1j * HV[:, 0]).max() > 1e-3 * np.abs(HV).max()
    with pytest.raises(TypeError, match="real-linear"):
        point.hessian()


@every_case
def test_product_factors_nothing_and_solves_twice(name):
    """Linear problems: one solve and one transposed one.

    Nonlinear ones refine each with factors of Newton's method.
    """
    f, x = CASES[name]()
    point = f(x)
    assert point.gradient.size
    for v in np.eye(x.size)[:3] + 0.1:
        with adjoint.counting() as counts:
            point.hvp(v)
        assert counts.numeric == counts.symbolic == 0
        if isinstance(f.problem, adjoint.LinearProblem) and "Helmholtz filter" not in name:
            assert counts.solves <= 2


@pytest.mark.parametrize("design", [adjoint.design.Identity(), adjoint.design.SIMP(3.0)])
def test_compliance_needs_the_tangent_alone(design):
    """The second adjoint's right-hand side is that of the tangent.

    B and A are symmetric, λ = u, λ̇ = u̇.
    """
    body = mbb(6, 4)
    f = body.compliance(design)
    x = np.random.default_rng(0).uniform(0.4, 0.9, 24)
    point = f(x)
    for v in (np.arange(24.0), np.ones(24)):
        with adjoint.counting() as counts:
            Hv = point.hvp(v)
        assert (counts.numeric, counts.solves, counts.rhs) == (0, 1, 1)
    h = 1e-4
    difference = (f(x + h).gradient - f(x - h).gradient) / (2.0 * h)
    np.testing.assert_allclose(Hv, difference, rtol=1e-6, atol=1e-6 * np.abs(Hv).max())


def test_products_leave_the_gradient_as_it_is():
    f, x = CATALOGUE["random complex nonsymmetric, affine"]()
    expected, point = f(x).gradient, f(x)
    point.hvp(np.ones(x.size))
    np.testing.assert_array_equal(point.gradient, expected)


def test_objectives_of_one_block_have_their_own_products():
    f, x = CATALOGUE["MBB beam, density filter, SIMP"]()
    misfit = adjoint.LeastSquares(np.zeros(f(x).solution.u.size))
    both, v = f(x).of_each([f.objective, misfit]), np.cos(np.arange(x.size))
    for point, objective in zip(both, (f.objective, misfit), strict=True):
        assert point.gradient.size
        np.testing.assert_allclose(point.hvp(v), f.of(objective)(x).hvp(v), rtol=1e-9)


def test_bratu_has_the_published_second_derivative():
    """u'' + λeᵘ = 0, λ = 1, J = ∫u.

    D²J/dλ² = 0.02869573406, central differences extrapolated from h² on.
    """
    values = []
    for n in (63, 127, 255):
        problem = adjoint.NonlinearProblem(TwiceBratu(Bratu((n,))), np.zeros(n))
        f = adjoint.Reduced(problem, adjoint.LinearFunctional(np.full(n, 1.0 / (n + 1))))
        values.append(f(np.ones(1)).hvp(np.ones(1))[0])
    assert extrapolated(np.array(values)) == pytest.approx(0.02869573406, rel=1e-9)


@pytest.mark.parametrize("m", [1, 12])
def test_second_derivatives_agree_however_they_are_made(m):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    physics = Bratu((12,))
    L = physics.laplacian.toarray()
    residuals = [
        TwiceBratu(physics),
        with_hvp(physics),
        adjoint.complex_step_residual(plain_bratu(12), 12, m),
        adjoint.jax_residual(lambda u, p: L @ u - p * jax.numpy.exp(u), 12, m),
        adjoint.finite_difference_residual(plain_bratu(12), 12, m),
    ]
    f = [
        adjoint.Reduced(
            adjoint.NonlinearProblem(R, np.zeros(12)), adjoint.LeastSquares(np.ones(12))
        )
        for R in residuals
    ]
    x, v = np.linspace(0.9, 1.2, m), np.cos(np.arange(m))
    products = [each(x).hvp(v) for each in f]
    for Hv, tolerance in zip(products[1:], (1e-10, 1e-10, 1e-10, 1e-6), strict=True):
        np.testing.assert_allclose(
            Hv, products[0], rtol=0, atol=tolerance * np.abs(products[0]).max()
        )


@pytest.mark.parametrize("m", [1, 12])
def test_complex_steps_of_first_derivatives_are_exact(m):
    rng = np.random.default_rng(8)
    vectors = [rng.uniform(0.5, 2.0, k) for k in (12, m, 12, 12, m)]
    pairs = zip(
        with_hvp(Bratu((12,))).hvp(*vectors), TwiceBratu(Bratu((12,))).hvp(*vectors), strict=True
    )
    for stepped, exact in pairs:
        np.testing.assert_allclose(stepped, exact, rtol=1e-14)


@pytest.mark.parametrize("m", [1, 12])
def test_derived_residual_forms_no_factor_and_its_hessian_is_symmetric(m):
    R = adjoint.complex_step_residual(plain_bratu(4, 3), 12, m)
    f = adjoint.Reduced(
        adjoint.NonlinearProblem(R, np.zeros(12)), adjoint.LeastSquares(np.linspace(-1.0, 1.0, 12))
    )
    point = f(np.linspace(1.0, 2.0, m))
    H = np.array([point.hvp(unit) for unit in np.eye(m)])
    assert np.abs(H - H.T).max() <= 1e-11 * np.abs(H).max()


def test_derived_residual_has_second_derivatives_of_steep_functions():
    """Two diodes: the exponent changes by 40 per unit of u."""

    def residual(u, p):
        return np.array(
            [p[0] - u[0] - 1e-3 * (np.exp(40.0 * u[0]) - 1.0) + u[1], u[1] - p[1] * u[0] ** 2]
        )

    R = adjoint.complex_step_residual(residual, 2, 2)
    u, p, lam = np.array([0.2, 0.3]), np.array([0.5, 2.0]), np.array([1.0, -2.0])
    u_dot, p_dot = np.array([0.1, -1.0]), np.array([2.0, 3.0])
    u_part, p_part = R.hvp(u, p, lam, u_dot, p_dot)
    exact = -1.6 * np.exp(8.0) * 0.1 - 2.0 * (-2.0 * 3.0 * 0.2 - 2.0 * 2.0 * 0.1)
    np.testing.assert_allclose(u_part, [exact, 0.0], rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(p_part, [0.0, -2.0 * -2.0 * 0.2 * 0.1], rtol=1e-10, atol=1e-9)
    np.testing.assert_array_equal(np.concatenate(R.hvp(u, p, lam, 0.0 * u, 0.0 * p)), 0.0)


MAPS = {
    "identity": adjoint.design.Identity(),
    "filter": adjoint.design.DensityFilter(np.arange(9.0)[:, None], 2.5),
    "convolution": adjoint.design.ConvolutionFilter((9,), (1.0,), 2.5),
    "SIMP, 1": adjoint.design.SIMP(1.0),
    "SIMP, 2": adjoint.design.SIMP(2.0),
    "SIMP, 3.5": adjoint.design.SIMP(3.5, 1e-3, 7.0),
    "RAMP": adjoint.design.Ramp(8.0, 0.1, 3.0),
    "projection": adjoint.design.HeavisideProjection(8.0, 0.4),
    "all of them": adjoint.design.DensityFilter(np.arange(9.0)[:, None], 2.5)
    >> adjoint.design.HeavisideProjection(3.0)
    >> adjoint.design.SIMP(3.0)
    >> adjoint.design.Ramp(2.0),
}


@pytest.mark.parametrize("imaginary", [0.0, 0.2])
@pytest.mark.parametrize("phi", MAPS.values(), ids=MAPS)
def test_second_of_a_map_is_the_derivative_of_its_vjp(phi, imaginary):
    rng = np.random.default_rng(5)
    x, p_bar, x_dot = rng.uniform(0.2, 0.8, 9), rng.standard_normal(9), rng.standard_normal(9)
    if imaginary:
        x, p_bar, x_dot = x + imaginary * 1j, p_bar + 0.3j, x_dot - 0.1j * np.arange(9)
    h = 1e-4
    slopes = [
        (phi.vjp(x + s * x_dot, p_bar) - phi.vjp(x - s * x_dot, p_bar)) / (2.0 * s)
        for s in (h, h / 2)
    ]
    exact = (4.0 * slopes[1] - slopes[0]) / 3.0
    returned = checked_design_hvp(phi, x, p_bar, x_dot)
    np.testing.assert_allclose(returned, exact, rtol=0, atol=1e-8 * max(1.0, np.abs(exact).max()))


def test_map_of_zero_density_has_a_second_derivative_or_is_named():
    x, ones = np.zeros(3), np.ones(3)
    np.testing.assert_array_equal(adjoint.design.SIMP(1.0).hvp(x, ones, ones), 0.0)
    np.testing.assert_array_equal(adjoint.design.SIMP(2.0, 0.0).hvp(x, ones, ones), 2.0)
    body = mbb(3, 2)
    with pytest.raises(adjoint.errors.NonFinite, match=r"Hessian–vector product of Compliance is"):
        body.compliance(adjoint.design.SIMP(1.5))(np.zeros(6)).hvp(np.ones(6))


@every_case
def test_second_of_a_residual_is_the_derivative_of_its_transposes(name):
    _, point, _, _ = at(name)
    R, u, p = point.solution.residual, point.solution.u, point.p
    rng = np.random.default_rng(6)

    def like(a):
        w = np.abs(a) * rng.standard_normal(a.shape)
        return w * np.exp(1j * rng.standard_normal(a.shape)) if a.dtype.kind == "c" else w

    lam, u_dot, p_dot, h = like(np.ones_like(u)), like(u), like(p), 1e-5

    def transposes(s):
        at_u, at_p = u + s * u_dot, p + s * p_dot
        return R.jacobian(at_u, at_p).T.conj() @ lam, R.vjp(at_u, at_p, lam)

    for returned, ahead, behind in zip(
        checked_residual_hvp(R, u, p, lam, u_dot, p_dot), transposes(h), transposes(-h), strict=True
    ):
        difference = (ahead - behind) / (2.0 * h)
        np.testing.assert_allclose(
            returned, difference, rtol=1e-5, atol=1e-6 * np.abs(difference).max()
        )


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (
            lambda: adjoint.Reduced(
                adjoint.NonlinearProblem(Bratu((4,)), np.zeros(4)),
                adjoint.LinearFunctional(np.ones(4)),
            ),
            r"Bratu has no method hvp\(u, p, lam, u_dot, "
            r"p_dot\).*with_hvp\(residual\).*DifferencedHessian",
        ),
        (
            lambda: adjoint.Reduced(
                adjoint.NonlinearProblem(TwiceBratu(Bratu((4,))), np.zeros(4)), Plain()
            ),
            r"Plain has no method hvp\(u, p, u_dot, p_dot\)",
        ),
        (
            lambda: adjoint.Reduced(
                adjoint.LinearProblem(sparse.eye_array(4), np.ones(4)),
                adjoint.Sum([Plain()]),
                adjoint.design.Identity(),
            ),
            "Plain has no method hvp",
        ),
        (
            lambda: adjoint.Reduced(
                adjoint.LinearProblem(sparse.eye_array(4), np.ones(4)),
                adjoint.LinearFunctional(np.ones(4)),
                Doubling(),
            ),
            r"Doubling has no method hvp\(x, p_bar, x_dot\).*zeros for a linear map",
        ),
        (
            lambda: adjoint.Reduced(
                adjoint.LinearProblem(PlainMatrix(), np.ones(4)),
                adjoint.LinearFunctional(np.ones(4)),
            ),
            r"PlainMatrix has no method hvp\(p, u, lam, p_dot\)",
        ),
        (
            lambda: adjoint.Reduced(
                adjoint.LinearProblem(sparse.eye_array(4), PlainVector()),
                adjoint.LinearFunctional(np.ones(4)),
            ),
            r"PlainVector has no method hvp\(p, lam, p_dot\)",
        ),
        (
            lambda: adjoint.Reduced(FirstOrder(), adjoint.LeastSquares(np.zeros(4))),
            r"FirstOrder has no second derivatives.*DifferencedHessian",
        ),
    ],
    ids=["residual", "objective", "term", "map", "matrix", "vector", "solution"],
)
def test_missing_second_derivatives_are_named_with_the_remedy(f, message):
    with pytest.raises(TypeError, match=message):
        f()(np.ones(4)).hvp(np.ones(4))


def test_entries_without_the_rate_of_their_pullback_are_named():
    f, x = CATALOGUE["dense block from entries"]()
    with pytest.raises(TypeError, match="Entries: a Hessian–vector product needs pullback_rate"):
        f(x).hvp(x)


class Plain:
    def value(self, u, p):
        return float(u.sum())

    def gradients(self, u, p):
        return np.ones_like(u), np.zeros_like(p)


class FirstOrder:
    """The problem u = p² and its solution, without second derivatives."""

    def solve(self, p):
        self.p, self.u = p, p**2
        return self

    def vjp(self, u_bar):
        return 2.0 * self.p * u_bar

    def jvp(self, p_dot):
        return 2.0 * self.p * p_dot


class Doubling:
    def __call__(self, x):
        return 2.0 * x

    def vjp(self, x, p_bar):
        return 2.0 * p_bar

    def jvp(self, x, x_dot):
        return 2.0 * x_dot


class PlainMatrix:
    def __call__(self, p):
        return sparse.csc_array(np.diag(p))

    def vjp(self, p, u, lam):
        return u * lam

    def jvp(self, p, u, p_dot):
        return p_dot * u


class PlainVector:
    def __call__(self, p):
        return p

    def vjp(self, p, lam):
        return lam

    def jvp(self, p, p_dot):
        return p_dot


@pytest.mark.parametrize(
    ("part", "message"),
    [("u", r"for u an array of shape"), ("p", "for p an array, which has shape")],
)
def test_second_of_another_shape_is_named(part, message):
    class Wrong(TwiceBratu):
        def hvp(self, u, p, lam, u_dot, p_dot):
            parts = super().hvp(u, p, lam, u_dot, p_dot)
            return (parts[0][:1], parts[1]) if part == "u" else (parts[0], parts[1][:1])

    f = adjoint.Reduced(
        adjoint.NonlinearProblem(Wrong(Bratu((4,))), np.zeros(4)),
        adjoint.LinearFunctional(np.ones(4)),
    )
    with pytest.raises(ValueError, match=message):
        f(np.ones(4)).hvp(np.ones(4))


def test_direction_of_another_shape_is_named():
    f, x = CATALOGUE["3-D cantilever"]()
    with pytest.raises(ValueError, match=r"hvp: got v of shape \(1,\), expected"):
        f(x).hvp(np.ones(1))
    with pytest.raises(adjoint.errors.NonFinite):
        f(x).hvp(np.full(x.size, np.nan))


@dataclass(frozen=True)
class Lossy:
    """u³ = p² with a derivative that loses imaginary parts, or conjugates.

    In one of its two places.
    """

    where: str

    def residual(self, u, p):
        return u**3 - p**2

    def jacobian(self, u, p):
        return sparse.csc_array(np.diag(3.0 * (np.abs(u) ** 2 if self.where == "u" else u**2)))

    def vjp(self, u, p, lam):
        slope = {"p": np.abs(p), "conjugate": np.conj(p), "float": np.array(p.real)}.get(
            self.where, p
        )
        return -2.0 * slope * lam

    def jvp(self, u, p, p_dot):
        return -2.0 * p * p_dot


@pytest.mark.parametrize(
    ("where", "safe"),
    [("none", True), ("conjugate", True), ("u", False), ("p", False), ("float", False)],
)
def test_complex_steps_of_first_derivatives_are_held_against_differences(where, safe):
    problem = adjoint.NonlinearProblem(with_hvp(Lossy(where)), np.ones(3))
    f = adjoint.Reduced(problem, adjoint.LinearFunctional(np.ones(3)))
    x = np.array([0.5, 1.0, 2.0])
    if safe:  # J = Σ x^⅔
        np.testing.assert_allclose(f(x).hvp(np.ones(3)), -2.0 / 9.0 * x ** (-4.0 / 3.0), rtol=1e-12)
    else:
        with pytest.raises(
            adjoint.errors.NotComplexSafe,
            match="with_hvp: the jacobian and vjp of Lossy lose imaginary",
        ):
            f(x).hvp(np.ones(3))


def test_first_derivatives_that_refuse_complex_numbers_are_named():
    class Real(Lossy):
        def vjp(self, u, p, lam):
            return -2.0 * p.astype(float) * lam

    f = adjoint.Reduced(
        adjoint.NonlinearProblem(with_hvp(Real("none")), np.ones(3)),
        adjoint.LinearFunctional(np.ones(3)),
    )
    with pytest.raises(
        adjoint.errors.NotComplexSafe, match="Real do not work with complex u and p"
    ):
        f(np.ones(3)).hvp(np.ones(3))


def test_with_second_refuses_what_it_cannot_do():
    with pytest.raises(TypeError, match="with_hvp: Plain has no method residual"):
        with_hvp(Plain())
    u = np.ones(4)
    with pytest.raises(TypeError, match="write hvp by hand"):
        with_hvp(Bratu((4,))).hvp(u + 0j, u, u, u, u)


def test_hessian_of_least_squares_is_that_of_its_residual():
    """½‖r‖² of a linear model with a linear parameter.

    H = JᵀJ + Σ r_i ∇²r_i, and J by the residual's products.
    """
    f, x = CATALOGUE["Helmholtz with absorbing layer"]()
    point, rng = f(x), np.random.default_rng(0)
    v, w = rng.standard_normal(x.size), rng.standard_normal(point.residual.size)
    assert 0.5 * dot(point.residual, point.residual) == pytest.approx(point.value, rel=1e-13)
    np.testing.assert_allclose(
        point.vjp_residual(point.residual), point.gradient, rtol=1e-9, atol=1e-12
    )
    assert point.jvp_residual(v) @ w == pytest.approx(point.vjp_residual(w) @ v, rel=1e-11)
