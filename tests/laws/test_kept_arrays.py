"""What a solution keeps is its own.

Later calls of the user's objects, which may refill arrays, change nothing.
"""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint

N, M = 70, 3


def pattern():
    """A nonsymmetric pattern, diagonally dominant, (N, N)."""
    return sparse.diags_array([-1.0, 4.0, -1.5], offsets=[-1, 0, 2], shape=(N, N)).tocsc()


def rates(dtype):
    """∂(entries)/∂p, (nnz, M)."""
    rng = np.random.default_rng(1)
    B = 0.1 * rng.standard_normal((pattern().nnz, M))
    return B + 0.05j * rng.standard_normal(B.shape) if dtype is complex else B


class Refilled:
    """A(p) = base + Σ p_i B_i, u₀(p), b(p), g(p), M(p).

    Each call fills the arrays of the one before.

    fresh: whether it returns new arrays instead, as the reference does. indices:
    whether it writes those, too.
    """

    def __init__(self, dtype=float, fresh=False):
        self.base, self.B, self.fresh = pattern().astype(dtype), rates(dtype), fresh
        self.matrix = self.base.copy()
        self.vector = np.zeros(M, dtype=dtype)

    def _out(self, array, value):
        if self.fresh:
            return np.array(value)
        array[:] = value
        return array

    def __call__(self, p):
        if self.fresh:
            return sparse.csc_array(
                (self.base.data + self.B @ p, self.base.indices, self.base.indptr), self.base.shape
            )
        # The structure is torn down and built anew as well, as programs do that assemble
        # into one workspace.
        self.matrix.indices[:] = self.base.indices
        self.matrix.indptr[:] = self.base.indptr
        self.matrix.data[:] = self.base.data + self.B @ p
        return self.matrix

    def vjp(self, p, u, lam):
        columns = np.repeat(np.arange(N), np.diff(self.base.indptr))
        g = self.B.T @ (lam.conj()[self.base.indices] * u[columns])
        return self._out(self.vector, g.conj() if p.dtype.kind == "c" else g.real)

    def jvp(self, p, u, p_dot):
        return (
            sparse.csc_array((self.B @ p_dot, self.base.indices, self.base.indptr), self.base.shape)
            @ u
        )

    def spoil(self):
        """What a later call for another mesh may leave behind."""
        self.matrix.data[:] = np.nan
        self.matrix.indices[:] = 0
        self.vector[:] = np.nan


class RefilledVector:
    """b(p) = base + B p in one array."""

    def __init__(self, n, dtype=float, seed=2):
        rng = np.random.default_rng(seed)
        self.base, self.B = (
            rng.standard_normal(n).astype(dtype),
            rng.standard_normal((n, M)).astype(dtype),
        )
        self.out, self.bar = np.zeros(n, dtype=dtype), np.zeros(M, dtype=dtype)

    def __call__(self, p):
        self.out[:] = self.base + self.B @ p
        return self.out

    def vjp(self, p, lam):
        g = self.B.T @ lam
        self.bar[:] = g if self.bar.dtype.kind == "c" else g.real
        return self.bar if p.dtype.kind == "c" else self.bar.real

    def jvp(self, p, p_dot):
        return self.B @ p_dot


FACTORIZERS = {
    "lu": adjoint.lu,
    "superlu": adjoint.factor.superlu,
    "gmres": adjoint.gmres(adjoint.factor.jacobi(), rtol=1e-13, adjoint_rtol=1e-13),
    "gmres, ilu": adjoint.gmres(adjoint.factor.ilu(), rtol=1e-13, adjoint_rtol=1e-13),
}


@pytest.mark.parametrize("constrained", [False, True], ids=["free", "dirichlet"])
@pytest.mark.parametrize("dtype", [float, complex], ids=["real", "complex"])
@pytest.mark.parametrize("name", FACTORIZERS)
def test_a_linear_solution_outlives_refilled_matrices_and_vectors(name, dtype, constrained):
    def problem(matrix):
        fixed = (
            adjoint.Dirichlet(np.array([3, 40]), RefilledVector(2, seed=5)) if constrained else None
        )
        b = RefilledVector(N, dtype)
        return adjoint.LinearProblem(matrix, b, factorize=FACTORIZERS[name], dirichlet=fixed)

    p, u_bar = np.array([0.3, -0.2, 0.5]), np.random.default_rng(3).standard_normal(N)
    refilled = Refilled(dtype)
    first = problem(refilled).solve(p)
    expected = problem(Refilled(dtype, fresh=True)).solve(p)
    problem(refilled).solve(3.0 * p)
    refilled.spoil()
    np.testing.assert_allclose(first.u, expected.u, rtol=1e-10)
    np.testing.assert_allclose(first.vjp(u_bar), expected.vjp(u_bar), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(first.jvp(p), expected.jvp(p), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(first.adjoint(u_bar), expected.adjoint(u_bar), rtol=1e-9, atol=1e-12)


class Cubic:
    """R = A(p) u + u³ − b(p), whose Jacobian is one matrix filled again and again."""

    def __init__(self, fresh):
        self.A, self.b = Refilled(fresh=fresh), RefilledVector(N)
        self.J = pattern()

    def residual(self, u, p):
        return self.A(p) @ u + u**3 - self.b(p)

    def jacobian(self, u, p):
        J = sparse.csc_array(self.A(p) + sparse.diags_array(3.0 * u**2))
        if self.A.fresh:
            return J
        self.J.data[:], self.J.indices[:], self.J.indptr[:] = J.data, J.indices, J.indptr
        return self.J

    def vjp(self, u, p, lam):
        return self.A.vjp(p, u, lam) - self.b.vjp(p, lam)

    def jvp(self, u, p, p_dot):
        return self.A.jvp(p, u, p_dot) - self.b.jvp(p, p_dot)


@pytest.mark.parametrize("name", FACTORIZERS)
def test_a_nonlinear_solution_outlives_refilled_jacobians(name):
    p, u_bar = np.array([0.3, -0.2, 0.5]), np.random.default_rng(3).standard_normal(N)
    physics = Cubic(fresh=False)
    problem = adjoint.NonlinearProblem(physics, np.zeros(N), factorize=FACTORIZERS[name])
    first = problem.solve(p)
    early = first.vjp(u_bar)  # The Jacobian at the solution is assembled now.
    problem.solve(3.0 * p)
    physics.J.data[:], physics.J.indices[:] = np.nan, 0
    expected = adjoint.NonlinearProblem(
        Cubic(fresh=True), np.zeros(N), factorize=FACTORIZERS[name]
    ).solve(p)
    np.testing.assert_allclose(early, expected.vjp(u_bar), rtol=1e-8)
    np.testing.assert_allclose(first.vjp(2.0 * u_bar), 2.0 * expected.vjp(u_bar), rtol=1e-8)
    np.testing.assert_allclose(first.jvp(p), expected.jvp(p), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize(
    "method",
    [adjoint.ode.ESDIRK4(), adjoint.ode.Radau5(), adjoint.ode.Tsit5()],
    ids=lambda m: type(m).__name__,
)
def test_a_trajectory_outlives_a_refilled_mass_matrix(method):
    def field():
        return adjoint.complex_step_field(lambda t, u, p: -p[0] * u + p[1] + p[2] * t, n=N, m=M)

    def problem(mass):
        return adjoint.ODEProblem(
            field(), np.ones(N), t=(0.0, 0.3), method=method, mass=mass, rtol=1e-4
        )

    p, u_bar = np.array([0.3, -0.2, 0.5]), np.random.default_rng(3).standard_normal((1, N))
    refilled = Refilled()
    trajectory = problem(refilled).solve(p)
    problem(refilled).solve(-2.0 * p)
    refilled.spoil()
    expected = problem(Refilled(fresh=True)).solve(p)
    np.testing.assert_allclose(trajectory.u, expected.u, rtol=1e-12)
    refilled.vector[:] = 0.0
    np.testing.assert_allclose(trajectory.vjp(u_bar), expected.vjp(u_bar), rtol=1e-10)
    np.testing.assert_allclose(trajectory.jvp(p), expected.jvp(p), rtol=1e-10)


def test_terms_of_a_combination_may_share_the_array_that_they_fill():
    base, buffer = pattern(), np.zeros(pattern().nnz)

    def entries(power):
        return adjoint.Entries(
            base,
            values=lambda p: np.multiply(base.data, p[0] ** power, out=buffer),
            pullback=lambda p, data_bar: np.array(
                [power * p[0] ** (power - 1) * (base.data @ data_bar)]
            ),
            pushforward=lambda p, p_dot: power * p[0] ** (power - 1) * base.data * p_dot[0],
        )

    A = adjoint.Combination([(1.0, entries(1)), (2.0, entries(2))])
    np.testing.assert_allclose(A(np.array([0.5])).toarray(), (0.5 + 2.0 * 0.25) * base.toarray())


class Shared:
    """J = c · u, c in an array that all objectives of this class fill."""

    c = np.zeros(N)

    def __init__(self, scale):
        self.scale = scale

    def value(self, u, p):
        return self.scale * float(u.sum())

    def gradients(self, u, p):
        self.c[:] = self.scale
        return self.c, np.zeros_like(p)


def test_objectives_may_share_the_array_of_their_gradients():
    problem = adjoint.LinearProblem(Refilled(), RefilledVector(N))
    p = np.array([0.3, -0.2, 0.5])
    f = adjoint.Reduced(problem, adjoint.Sum((Shared(1.0), Shared(10.0))))
    single = adjoint.Reduced(problem, Shared(1.0))(p)
    np.testing.assert_allclose(f(p).gradient, 11.0 * single.gradient, rtol=1e-10)
    both = single.of_each([Shared(1.0), Shared(10.0)])
    np.testing.assert_allclose(both[1].gradient, 10.0 * both[0].gradient, rtol=1e-10)


class Squared:
    """φ(x) = x², in one array."""

    def __init__(self):
        self.out, self.bar = np.zeros(M), np.zeros(M)

    def __call__(self, x):
        return np.multiply(x, x, out=self.out)

    def vjp(self, x, p_bar):
        return np.multiply(2.0 * x, p_bar, out=self.bar)

    def jvp(self, x, x_dot):
        return np.multiply(2.0 * x, x_dot, out=self.bar)


def test_a_map_that_fills_one_array_may_stand_in_a_composition_twice():
    square = Squared()
    x = np.array([0.5, 2.0, 3.0])
    np.testing.assert_allclose(
        adjoint.design.Composed(square, square).vjp(x, np.ones(M)), 4.0 * x**3
    )
    np.testing.assert_allclose(
        adjoint.design.Composed(square, square).jvp(x, np.ones(M)), 4.0 * x**3
    )


def test_a_gradient_outlives_a_map_that_fills_one_array_and_cannot_be_written_to():
    square = Squared()
    f = adjoint.Reduced(adjoint.LinearProblem(Refilled(), RefilledVector(N)), Shared(1.0), square)
    point = f(np.array([0.3, 0.2, 0.5]))
    gradient = point.gradient.copy()
    _ = f(np.array([0.1, 0.4, 0.6])).gradient
    np.testing.assert_array_equal(point.gradient, gradient)
    with pytest.raises(ValueError, match="read-only"):
        point.gradient[0] = 1.0


def test_functions_of_the_user_cannot_move_the_parameters():
    def writes(p):
        p[:] = 7.0
        return np.ones(pattern().nnz)

    A = adjoint.Entries(
        pattern(), writes, lambda p, data_bar: np.zeros(M), lambda p, p_dot: np.zeros(pattern().nnz)
    )
    with pytest.raises(ValueError, match="read-only"):
        adjoint.LinearProblem(A, np.ones(N)).solve(np.ones(M))


class Fold:
    """R = u³ − u + λ, componentwise with weights, its Jacobian one matrix."""

    J = sparse.csc_array(np.eye(2))

    def residual(self, u, p):
        return np.array([u[0] ** 2 + p[0] + p[1] - 1.0, 2.0 * u[1] - u[0]])

    def jacobian(self, u, p):
        self.J.data[:] = [2.0 * u[0], 2.0]
        return sparse.csc_array(self.J + sparse.csc_array(np.array([[0.0, 0.0], [-1.0, 0.0]])))

    def vjp(self, u, p, lam):
        return np.full(2, lam[0])

    def jvp(self, u, p, p_dot):
        return np.array([p_dot.sum(), 0.0])


class RefillingFold(Fold):
    kept = sparse.csc_array(np.array([[1.0, 0.0], [-1.0, 1.0]]))

    def jacobian(self, u, p):
        self.kept.data[:] = [2.0 * u[0], -1.0, 2.0]
        return self.kept


def test_a_fold_is_found_with_a_refilled_jacobian():
    u, p = np.array([0.2, 0.1]), np.array([0.7, 0.1])
    for physics in (Fold(), RefillingFold()):
        found = adjoint.continuation.fold(adjoint.NonlinearProblem(physics, np.ones(2)), u, p, 0)
        np.testing.assert_allclose(found.p[0], 0.9, rtol=1e-10)
        np.testing.assert_allclose(found.gradient[1], -1.0, rtol=1e-8)


@pytest.mark.parametrize("name", ["x", "gradient", "constraints", "multipliers"])
def test_observers_are_shown_arrays_that_they_cannot_write_to(name):
    f = adjoint.optimize.ScalarFunction(lambda x: float(x @ x), lambda x: 2.0 * x)
    constraint = adjoint.optimize.LinearConstraint(np.ones(2), 10.0)

    def observe(state):
        getattr(state, name)[...] = 7.0

    with pytest.raises(ValueError, match="read-only"):
        adjoint.minimize(
            f,
            np.ones(2),
            adjoint.optimize.MMA((constraint,), bounds=adjoint.Bounds(-1.0, 2.0)),
            callback=observe,
        )
    state = next(
        adjoint.descend(
            f, np.ones(2), adjoint.optimize.MMA((constraint,), bounds=adjoint.Bounds(-1.0, 2.0))
        )
    )
    with pytest.raises(ValueError, match="read-only"):
        getattr(state, name)[...] = 7.0


def test_a_copy_costs_no_factorization_and_no_solve():
    problem = adjoint.LinearProblem(Refilled(), RefilledVector(N))
    solution = problem.solve(np.zeros(M))
    solution.vjp(np.ones(N))
    counts = solution.evidence.counts
    assert (counts.numeric, counts.solves, counts.transposed) == (1, 2, 1)
