"""Laws of every objective.

(ū, p̄) is the derivative of the value, in the sense dJ = Re(ūᴴ du) + Re(p̄ᴴ dp).
"""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint

N, M, Q = 6, 4, 3


def draw(seed, shape, complex=False):
    rng = np.random.default_rng(seed)
    v = rng.standard_normal(shape)
    return v + 1j * rng.standard_normal(shape) if complex else v


def objectives(shape, complex):
    """Every objective for a state of this shape."""
    observe = sparse.csr_array(draw(1, (Q, N), complex))
    data, weights = draw(2, (Q, *shape[1:]), complex), np.array([0.5, 1.0, 2.0])
    functional = adjoint.LinearFunctional(draw(3, shape, complex))
    misfit = adjoint.LeastSquares(data, observe, weights)
    found = {
        "functional": functional,
        "compliance": adjoint.Compliance(draw(4, shape, complex)),
        "misfit": misfit,
        "misfit, dense observation": adjoint.LeastSquares(data, observe.toarray()),
        "misfit of the state, weighted": adjoint.LeastSquares(
            draw(5, shape), weights=np.linspace(1.0, 2.0, N)
        ),
        "sum": adjoint.Sum([functional, misfit, functional], [2.0, -0.5, 0.1]),
        "sum without weights": adjoint.Sum((functional, misfit)),
        "product": adjoint.Product(functional, misfit),
        "square": adjoint.Product(misfit, misfit),
        "product of a sum": adjoint.Product(
            adjoint.Sum([functional, misfit]), adjoint.Product(misfit, functional)
        ),
    }
    if len(shape) == 1:
        load = adjoint.matrices.AffineVector(draw(6, N, complex), draw(7, (N, M), complex))
        found["compliance of a load that depends on p"] = adjoint.Compliance(load)
    return found


CASES = [
    pytest.param(J, shape, complex, id=f"{name}-{shape}-{'complex' if complex else 'real'}")
    for shape in [(N,), (N, 2)]
    for complex in (False, True)
    for name, J in objectives(shape, complex).items()
]


@pytest.mark.parametrize(("J", "shape", "complex"), CASES)
def test_gradients_are_the_derivative_of_the_value(J, shape, complex):
    u, u_dot = draw(8, shape, complex), draw(9, shape, complex)
    p, p_dot = draw(10, M), draw(11, M)
    u_bar, p_bar = J.gradients(u, p)
    assert u_bar.shape == shape
    assert p_bar.shape == (M,)
    h = 1e-3
    differences = [
        (J.value(u + s * u_dot, p + s * p_dot) - J.value(u - s * u_dot, p - s * p_dot)) / (2 * s)
        for s in (h, h / 2)
    ]
    exact = (4 * differences[1] - differences[0]) / 3  # a polynomial of degree 5 at most
    assert np.vdot(u_bar, u_dot).real + p_bar @ p_dot == pytest.approx(exact, rel=1e-8)
    assert isinstance(J.value(u, p), float)


@pytest.mark.parametrize(("J", "shape", "complex"), CASES)
def test_explicit_part_is_the_derivative_in_p_alone(J, shape, complex):
    u, p, p_dot = draw(8, shape, complex), draw(10, M), draw(11, M)
    difference = (J.value(u, p + 0.5 * p_dot) - J.value(u, p - 0.5 * p_dot)) / 1.0
    assert J.gradients(u, p)[1] @ p_dot == pytest.approx(difference, abs=1e-12)


def test_values_are_those_of_the_formulas():
    u, p = draw(1, N, True), np.zeros(M)
    c, C, d, w = (
        draw(2, N, True),
        draw(3, (Q, N), True),
        draw(4, Q, True),
        np.array([1.0, 2.0, 3.0]),
    )
    assert adjoint.LinearFunctional(c).value(u, p) == pytest.approx(
        float(np.sum(c.conj() * u).real)
    )
    assert adjoint.Compliance(c).value(u, p) == pytest.approx(float(np.sum(c.conj() * u).real))
    misfit = 0.5 * sum(w * np.abs(C @ u - d) ** 2)
    assert adjoint.LeastSquares(d, C, w).value(u, p) == pytest.approx(misfit)


def test_gradient_of_a_sum_is_one_adjoint_solve():
    A = sparse.csc_array(np.diag(np.arange(1.0, N + 1)) + np.eye(N, k=1))
    b = adjoint.matrices.AffineVector(np.ones(N), draw(0, (N, M)))
    J = [adjoint.LinearFunctional(draw(i, N)) for i in range(5)]
    f = adjoint.Reduced(adjoint.LinearProblem(A, b), adjoint.Sum(J, np.arange(5.0)))
    with adjoint.counting() as counts:
        g = f(np.ones(M)).gradient
    assert counts.transposed == 1
    apart = sum(i * f.of(J_i)(np.ones(M)).gradient for i, J_i in enumerate(J))
    np.testing.assert_allclose(g, apart, rtol=1e-12, atol=1e-14)


def test_explicit_derivative_reaches_the_gradient():
    """J = b(p)ᵀu with b = b₀ + Bp: both the load and what it does depend on p."""
    A = sparse.csc_array(np.diag(np.arange(1.0, N + 1)) + np.eye(N, k=1))
    b = adjoint.matrices.AffineVector(draw(0, N), draw(1, (N, M)))
    f = adjoint.Reduced(adjoint.LinearProblem(A, b), adjoint.Compliance(b))
    p = draw(2, M)
    inverse = np.linalg.inv(A.toarray())
    np.testing.assert_allclose(f(p).gradient, b.slope.T @ (inverse + inverse.T) @ b(p), rtol=1e-12)


class Loose:
    """A matrix and a design map of the user.

    Lists, single precision, complex cotangents of real parameters.
    """

    def __call__(self, p):
        return sparse.csr_array(np.diag(np.exp(p[0]) * (1.0 + 1j * np.arange(N))))

    def vjp(self, p, u, lam):
        return [np.vdot(lam, self(p) @ u).conj()] + [0.0] * (M - 1)

    def jvp(self, p, u, p_dot):
        return (p_dot[0] * (self(p) @ u)).tolist()


class Halved:
    def __call__(self, x):
        return (x / 2).tolist()

    def vjp(self, x, p_bar):
        return np.asarray(p_bar / 2, dtype=np.float32)

    def jvp(self, x, x_dot):
        return (x_dot / 2).tolist()


def test_gradients_of_real_parameters_are_real_and_double_whatever_the_users_classes_return():
    f = adjoint.Reduced(
        adjoint.LinearProblem(Loose(), draw(0, N)), adjoint.LeastSquares(draw(1, N)), Halved()
    )
    point = f(draw(2, M))
    assert point.gradient.dtype == np.float64
    assert point.p.dtype == np.float64
    assert adjoint.check(f, draw(2, M)).relative_error < 1e-6
    assert point.jvp(np.ones(M)) == pytest.approx(point.gradient.sum(), rel=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda u, p: adjoint.LinearFunctional(np.ones(5)).value(u, p),
            r"got shape \(5,\), but the state has",
        ),
        (
            lambda u, p: adjoint.Compliance(np.ones((N, 2))).value(u, p),
            r"got shape \(6, 2\), but the state has",
        ),
        (
            lambda u, p: adjoint.LeastSquares(np.ones(5)).value(u, p),
            r"C u has shape \(6,\), but the data have shape \(5,\)",
        ),
        (lambda u, p: adjoint.LeastSquares([1.0, np.nan]), "leave missing measurements out"),
        (lambda u, p: adjoint.LeastSquares(np.ones(2), weights=np.ones(3)), r"expected \(2,\)"),
        (
            lambda u, p: adjoint.LeastSquares(np.ones(2), weights=np.array([1.0, -1.0])),
            "all weights ≥ 0",
        ),
        (lambda u, p: adjoint.Sum([]), "at least one"),
        (
            lambda u, p: adjoint.Sum([adjoint.LinearFunctional(u)], [1.0, 2.0]),
            "1 terms and 2 weights",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make(np.ones(N), np.ones(M))
