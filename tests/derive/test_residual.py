"""Residuals from plain functions: right derivatives, wrong patterns, wrong functions."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.derive import complex_step_residual, finite_difference_residual
from adjoint.errors import NotComplexSafe, SparsityError

MAKERS = {complex_step_residual: 1e-13, finite_difference_residual: 2e-9}
SIZES = [1, 7, 51, 1000]


class Bratu:
    """u'' + p_0 e^{p_1 u} = 0 on (0, 1), n interior points: global parameters."""

    def __init__(self, n):
        self.n, self.m, self.h = n, 2, 1.0 / (n + 1)

    def function(self, u, p):
        padded = np.concatenate([[0.0], u, [0.0]])
        return (padded[2:] - 2.0 * u + padded[:-2]) / self.h**2 + p[0] * np.exp(p[1] * u)

    def jacobian(self, u, p):
        one = np.full(self.n - 1, self.h**-2)
        return sparse.diags_array(
            [one, p[0] * p[1] * np.exp(p[1] * u) - 2.0 / self.h**2, one],
            offsets=[-1, 0, 1],
            shape=(self.n, self.n),
        ).toarray()

    def parameter_jacobian(self, u, p):
        return np.stack([np.exp(p[1] * u), p[0] * u * np.exp(p[1] * u)], axis=1)

    def point(self, rng):
        return rng.random(self.n), np.array([1.3, 0.9])


class Diffusion:
    """Finite volumes: Σ_faces ½(κ_i(1+u_i²) + κ_j(1+u_j²)) (u_j − u_i) + q, κ for each cell.

    Nonsymmetric; no flux through the boundary, and a global parameter q.
    """

    def __init__(self, nx, ny):
        self.n, self.m = nx * ny, nx * ny + 1
        cells = np.arange(self.n).reshape(ny, nx)
        self.i = np.concatenate([cells[:, :-1].ravel(), cells[:-1].ravel()])
        self.j = np.concatenate([cells[:, 1:].ravel(), cells[1:].ravel()])
        faces = np.arange(self.i.size)
        ones = np.ones(faces.size)
        shape = (faces.size, self.n)
        self.difference = sparse.csr_array((ones, (faces, self.j)), shape) - sparse.csr_array(
            (ones, (faces, self.i)), shape
        )
        self.mean = 0.5 * abs(self.difference)

    def function(self, u, p):
        conductivity = self.mean @ (p[:-1] * (1.0 + u**2))
        return -(self.difference.T @ (conductivity * (self.difference @ u))) + p[-1]

    def jacobian(self, u, p):
        flow, slope = self.mean @ (p[:-1] * (1.0 + u**2)), self.difference @ u
        by_u = sparse.diags_array(flow) @ self.difference
        by_u = by_u + sparse.diags_array(slope) @ self.mean @ sparse.diags_array(2.0 * u * p[:-1])
        return -(self.difference.T @ by_u).toarray()

    def parameter_jacobian(self, u, p):
        local = sparse.diags_array(self.difference @ u) @ self.mean @ sparse.diags_array(1.0 + u**2)
        return np.hstack([-(self.difference.T @ local).toarray(), np.ones((self.n, 1))])

    def point(self, rng):
        return rng.standard_normal(self.n), rng.uniform(0.5, 2.0, self.m)


class Upwind:
    """u (u − u_left) where u > 0, u (u_right − u) elsewhere, minus a source of few parameters."""

    def __init__(self, n):
        self.n, self.m = n, (n + 1) // 2

    def function(self, u, p):
        left, right = np.concatenate([[1.0], u[:-1]]), np.concatenate([u[1:], [-1.0]])
        return u * np.where(u > 0.0, u - left, right - u) - np.repeat(p**2, 2)[: self.n]

    def jacobian(self, u, p):
        left, right = np.concatenate([[1.0], u[:-1]]), np.concatenate([u[1:], [-1.0]])
        up = u > 0.0
        J = np.diag(np.where(up, 2.0 * u - left, right - 2.0 * u))
        return J + np.diag(np.where(up, -u, 0.0)[1:], -1) + np.diag(np.where(up, 0.0, u)[:-1], 1)

    def parameter_jacobian(self, u, p):
        J = np.zeros((self.n, self.m))
        J[np.arange(self.n), np.arange(self.n) // 2] = -2.0 * p[np.arange(self.n) // 2]
        return J

    def point(self, rng):
        return rng.standard_normal(self.n), rng.uniform(0.5, 2.0, self.m)


class Integral:
    """u_i³ − p_i, and in the last row Σ u: one dense row; no parameter there."""

    n, m = 31, 30

    def function(self, u, p):
        return np.append(u[:-1] ** 3 - p, np.sum(u))

    def jacobian(self, u, p):
        J = np.diag(3.0 * u**2)
        J[-1] = 1.0
        return J

    def parameter_jacobian(self, u, p):
        return np.vstack([-np.eye(30), np.zeros((1, 30))])

    def point(self, rng):
        return rng.standard_normal(self.n), rng.standard_normal(self.m)


class NoParameters:
    """A nonsymmetric sparse A times eᵘ, without parameters."""

    n, m = 25, 0

    def __init__(self):
        self.A = sparse.random_array(
            (25, 25), density=0.15, rng=np.random.default_rng(8)
        ) + sparse.eye_array(25)

    def function(self, u, p):
        return self.A @ np.exp(u)

    def jacobian(self, u, p):
        return self.A.toarray() * np.exp(u)

    def parameter_jacobian(self, u, p):
        return np.zeros((25, 0))

    def point(self, rng):
        return rng.standard_normal(self.n), np.empty(0)


class Diode:
    """Two nodes; parameters from 1e-15 to 1e4 (CASES: the diode circuit)."""

    n, m = 2, 5

    def function(self, u, p):
        current, first, second, saturation, thermal = p
        through = (u[0] - u[1]) / second
        return np.array(
            [
                current - u[0] / first - through,
                through - saturation * (np.exp(u[1] / thermal) - 1.0),
            ]
        )

    def jacobian(self, u, p):
        _, first, second, saturation, thermal = p
        e = saturation * np.exp(u[1] / thermal)
        return np.array(
            [
                [-1.0 / first - 1.0 / second, 1.0 / second],
                [1.0 / second, -1.0 / second - e / thermal],
            ]
        )

    def parameter_jacobian(self, u, p):
        _, first, second, saturation, thermal = p
        e, drop = np.exp(u[1] / thermal), (u[0] - u[1]) / second**2
        last = saturation * e * u[1] / thermal**2
        return np.array([[1.0, u[0] / first**2, drop, 0.0, 0.0], [0.0, 0.0, -drop, 1.0 - e, last]])

    def point(self, rng):
        return np.array([9.9, 0.71]), np.array([0.1, 100.0, 1e4, 1e-15, 0.025875])


PROBLEMS = {
    **{f"Bratu, n = {n}": (lambda n=n: Bratu(n)) for n in SIZES},
    "diffusion, 9 × 7": lambda: Diffusion(9, 7),
    "diffusion, 4 × 15": lambda: Diffusion(4, 15),
    "upwind": lambda: Upwind(41),
    "one dense row": Integral,
    "no parameters": NoParameters,
    "diode": Diode,
}


def setup(name, make, seed=0):
    problem = PROBLEMS[name]()
    return (
        problem,
        make(problem.function, problem.n, problem.m),
        *problem.point(np.random.default_rng(seed)),
    )


def rounding(make, R, x):
    """Rounding of differences, (k,): that of R over the smallest step, 6e-5 of the size."""
    if make is complex_step_residual:
        return np.zeros(x.size)
    return 8.0 * np.finfo(float).eps * np.abs(R).max() / (6e-5 * np.abs(x))


def assert_close(actual, expected, rtol, atol=0.0):
    """To rounding of the terms of each row and column."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert actual.dtype == np.float64
    size = (
        np.abs(expected).max(axis=0, initial=0.0)
        if expected.ndim == 2
        else np.abs(expected).max(initial=0.0)
    )
    assert np.all(np.abs(actual - expected) <= atol + rtol * np.maximum(np.abs(expected), size))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_jacobians_are_those_by_hand(name, make):
    problem, residual, u, p = setup(name, make)
    R, rtol = residual.residual(u, p), MAKERS[make]
    assert np.array_equal(R, problem.function(u, p))
    assert_close(
        residual.jacobian(u, p).toarray(), problem.jacobian(u, p), rtol, rounding(make, R, u)
    )
    assert_close(
        residual.parameter_jacobian(u, p).toarray(),
        problem.parameter_jacobian(u, p),
        rtol,
        rounding(make, R, p),
    )


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("name", PROBLEMS)
def test_products_are_those_by_hand_and_transposes(name, make):
    problem, residual, u, p = setup(name, make)
    rng = np.random.default_rng(1)
    lam = rng.standard_normal(problem.n)
    p_dot = p * rng.uniform(0.5, 1.0, problem.m)  # Of the size of p: it ranges from 1e-15 to 1e4.
    by_hand = problem.parameter_jacobian(u, p)
    error = MAKERS[make] * np.abs(by_hand) + rounding(make, residual.residual(u, p), p)
    p_bar, R_dot = residual.vjp(u, p, lam), residual.jvp(u, p, p_dot)
    assert np.all(np.abs(p_bar - by_hand.T @ lam) <= error.T @ np.abs(lam))
    assert np.all(np.abs(R_dot - by_hand @ p_dot) <= error @ np.abs(p_dot))
    assert abs(p_bar @ p_dot - lam @ R_dot) <= np.abs(lam) @ error @ np.abs(p_dot)


@pytest.mark.parametrize("name", PROBLEMS)
def test_jacobians_are_canonical_and_always_on_one_pattern(name):
    _, residual, u, p = setup(name, complex_step_residual)
    first = residual.jacobian(u, p)
    assert isinstance(first, sparse.csc_array)
    assert first.dtype == np.float64
    again = sparse.csc_array((first.data, first.indices, first.indptr), shape=first.shape)
    assert again.has_canonical_format  # Looked up afresh.
    other = residual.jacobian(1.1 * u, 0.9 * p)
    assert np.array_equal(first.indices, other.indices)
    assert np.array_equal(first.indptr, other.indptr)


@pytest.mark.parametrize("name", ["diffusion, 9 × 7", "Bratu, n = 51"])
def test_a_jacobian_takes_one_evaluation_a_colour_and_one_more(name):
    problem = PROBLEMS[name]()
    count = [0]

    def counted(u, p):
        count[0] += 1
        return problem.function(u, p)

    residual = complex_step_residual(counted, problem.n, problem.m)
    u, p = problem.point(np.random.default_rng(0))
    residual.jacobian(u, p), residual.vjp(u, p, u)
    colours = (5, 6) if "diffusion" in name else (3, 2)
    for call, expected in (
        (lambda: residual.jacobian(u, p), colours[0] + 1),
        (lambda: residual.vjp(u, p, u), colours[1] + 1),
        (lambda: residual.jvp(u, p, p), 1),
        (lambda: residual.residual(u, p), 1),
    ):
        count[0] = 0
        call()
        assert count[0] == expected


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("scale", [1e-15, 1e-6, 1.0, 1e8, 1e100])
def test_derivatives_do_not_depend_on_units(make, scale):
    """Parameters and residuals of any size: R = p_i u_i³ − p_{i+1}."""
    n = 11

    def R(u, p):
        return p[:-1] * u**3 - p[1:]

    u, p = np.linspace(0.5, 1.5, n), scale * np.linspace(1.0, 2.0, n + 1)
    residual = make(R, n, n + 1)
    np.testing.assert_allclose(
        residual.jacobian(u, p).toarray(), np.diag(3.0 * p[:-1] * u**2), rtol=MAKERS[make]
    )
    lam = np.ones(n)
    expected = np.append(u**3, 0.0) - np.append(0.0, lam)
    np.testing.assert_allclose(
        residual.vjp(u, p, lam), expected, rtol=MAKERS[make], atol=MAKERS[make]
    )
    tiny = 1e-250 if make is complex_step_residual else scale
    np.testing.assert_allclose(
        residual.jvp(u, p, np.full(n + 1, tiny)) / tiny, u**3 - 1.0, atol=MAKERS[make]
    )


def tridiagonal(n):
    return sparse.csc_array(
        sparse.diags_array([np.ones(n - 1), np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1])
    )


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("missing", [(3, 4), (17, 17), (50, 49)])
def test_a_pattern_that_is_too_small_is_an_error_naming_the_entry(make, missing):
    problem = Bratu(51)
    pattern = tridiagonal(51).tolil()
    pattern[missing] = 0.0
    u, p = problem.point(np.random.default_rng(0))
    residual = make(problem.function, 51, 2, u_pattern=sparse.csc_array(pattern))
    with pytest.raises(
        SparsityError, match=rf"u_pattern lacks entry \({missing[0]}, {missing[1]}\)"
    ) as caught:
        residual.jacobian(u, p)
    assert f"{problem.jacobian(u, p)[missing]:.4g}"[:5] in str(caught.value)


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_a_missing_entry_is_found_in_rows_of_any_size(size):
    n = 20
    weights = np.where(np.arange(n) == 7, size, 1.0)
    residual = complex_step_residual(
        lambda u, p: weights * (u**2 + np.roll(u, 3)), n, 0, u_pattern=sparse.eye_array(n)
    )
    with pytest.raises(SparsityError, match="u_pattern"):
        residual.jacobian(np.ones(n), np.empty(0))
    one_missing = sparse.lil_array(
        sparse.eye_array(n) + sparse.csc_array(np.roll(np.eye(n), 3, axis=0))
    )
    one_missing[7, 4] = 0.0
    residual = complex_step_residual(
        lambda u, p: weights * (u**2 + np.roll(u, 3)), n, 0, u_pattern=sparse.csc_array(one_missing)
    )
    with pytest.raises(SparsityError, match=r"entry \(7, 4\)"):
        residual.jacobian(np.ones(n), np.empty(0))


def test_a_parameter_pattern_that_is_too_small_is_an_error():
    problem = Diffusion(5, 4)
    u, p = problem.point(np.random.default_rng(0))
    residual = complex_step_residual(problem.function, 20, 21, p_pattern=sparse.eye_array(20, 21))
    with pytest.raises(SparsityError, match="p_pattern lacks entry"):
        residual.vjp(u, p, u)
    residual.jacobian(u, p)


@pytest.mark.parametrize(
    "form", [sparse.csr_array, sparse.coo_matrix, sparse.lil_array, sparse.csc_matrix]
)
def test_a_pattern_that_is_too_large_does_no_harm(form):
    problem = Bratu(51)
    u, p = problem.point(np.random.default_rng(0))
    pattern = form(tridiagonal(51) @ tridiagonal(51))
    J = complex_step_residual(problem.function, 51, 2, u_pattern=pattern).jacobian(u, p)
    assert_close(J.toarray(), problem.jacobian(u, p), 1e-13)
    assert J.nnz == pattern.nnz
    assert J.has_canonical_format


def test_zeros_stored_in_a_pattern_are_entries():
    pattern = sparse.coo_array(
        (np.array([1.0, -1.0, 0.0]), (np.array([0, 0, 1]), np.array([0, 0, 1]))), shape=(2, 2)
    )
    J = complex_step_residual(lambda u, p: u**2, 2, 0, u_pattern=pattern).jacobian(
        np.array([2.0, 3.0]), np.empty(0)
    )
    np.testing.assert_array_equal(J.toarray(), [[4.0, 0.0], [0.0, 6.0]])


def test_rounding_is_no_missing_entry():
    """Derivatives that cancel from 1e12 down to 0: rounding is no missing entry."""
    n = 40
    big = 1e12 * (1.0 + 0.3 * np.sin(np.arange(n)))

    def R(u, p):
        return (big * u + u**2) / 3.0 - big * (u / 3.0)

    J = complex_step_residual(R, n, 0, u_pattern=sparse.eye_array(n)).jacobian(
        np.zeros(n), np.empty(0)
    )
    assert np.abs(J.data).max() < 1e-3


@pytest.mark.parametrize("make", MAKERS)
def test_a_missing_entry_is_found_beside_a_term_in_another_unit(make):
    """1e13 by an unknown of 1e-13, and in a branch that comes later 1 by one of 1."""

    def R(x, p):
        a, b, c = x
        return np.array([1e13 * a + np.where(b > 1.0, c, 0.0 * c) * p[0], b - p[0], c - p[1]])

    residual, p = make(R, 3, 2), np.array([1.0, 2.0])
    residual.jacobian(np.array([1e-13, 0.5, 2.0]), p)
    J = residual.jacobian(np.array([1e-13, 1.5, 2.0]), p).toarray()
    np.testing.assert_allclose(J, [[1e13, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], rtol=1e-8)


@pytest.mark.parametrize("dry", [3, 6, 40])
def test_a_missing_entry_is_found_beside_kinks(dry):
    """Rows at u = 0 of max(u, 0) disagree at every point, and there may be many of them."""

    def R(u, p):
        r = u + np.where(u > 0.0, u, 0.0) * p[0]
        return np.append(r[:-1], r[-1] + np.where(u[-2] > 1.0, u[-3], 0.0) * 0.1)

    u = np.append(np.zeros(dry), [0.5, 0.5, 0.5])
    residual = complex_step_residual(R, dry + 3, 1)
    residual.jacobian(u, np.ones(1))
    u[-2] = 1.5
    np.testing.assert_allclose(residual.jacobian(u, np.ones(1)).toarray()[-1, -3:], [0.1, 0.0, 2.0])


def test_ties_are_no_missing_entries():
    u = np.round(np.random.default_rng(0).uniform(0.0, 10.0, 200), 1)
    J = complex_step_residual(lambda u, p: np.sort(u) - p[0], 200, 1).jacobian(u, np.ones(1))
    assert np.all((J.data == 0.0) | (J.data == 1.0))


@pytest.mark.parametrize("steep", [1e2, 1e3, 1e4])
def test_differences_take_steps_small_enough_for_the_function(steep):
    u = np.array([0.3, 0.8, 1.2, 2.0, 0.5])
    J = finite_difference_residual(lambda u, p: np.sin(steep * u) - p[0], 5, 1).jacobian(
        u, np.ones(1)
    )
    np.testing.assert_allclose(J.diagonal(), steep * np.cos(steep * u), rtol=1e-6)


@pytest.mark.parametrize("make", MAKERS)
def test_small_unknowns_beside_large_ones_have_their_own_steps(make):
    """A rate that saturates at 1e-9 mol/l, beside 300 K."""

    def R(x, p):
        return np.array(
            [p[0] * x[0] / (1e-9 + x[0]) - p[1] * x[1] / 300.0 - 1e6 * x[0], x[1] - p[2]]
        )

    J = make(R, 2, 3).jacobian(np.array([1e-9, 300.0]), np.array([1.0, 0.4, 300.0])).toarray()
    np.testing.assert_allclose(J, [[2.49e8, -0.4 / 300.0], [0.0, 1.0]], rtol=1e-8, atol=1e-15)


def test_huge_unknowns_do_not_overflow():
    J = complex_step_residual(lambda u, p: 3.0 * u - p[0], 5, 1).jacobian(
        np.full(5, 1e250), np.ones(1)
    )
    np.testing.assert_array_equal(J.diagonal(), 3.0)


BAD_PATTERNS = {
    "shape": (sparse.eye_array(4), ValueError, r"u_pattern: got shape \(4, 4\), expected \(5, 5\)"),
    "array": (np.eye(5), TypeError, "u_pattern: got a ndarray, expected a SciPy sparse matrix"),
    "text": ("full", TypeError, "u_pattern: got a str"),
}


@pytest.mark.parametrize("name", BAD_PATTERNS)
def test_patterns_that_are_none_are_refused_at_once(name):
    pattern, error, message = BAD_PATTERNS[name]
    with pytest.raises(error, match=message):
        complex_step_residual(lambda u, p: u, 5, 0, u_pattern=pattern)


def writes(u, p):
    u += 1.0
    return u


BAD_FUNCTIONS = {
    "too short": (
        lambda u, p: u[1:],
        ValueError,
        r"returned shape \(4,\), expected \(5,\), one equation",
    ),
    "a column": (
        lambda u, p: u[:, None],
        ValueError,
        r"returned shape \(5, 1\), expected \(5,\): np.ravel",
    ),
    "a number": (lambda u, p: np.sum(u), ValueError, r"returned shape \(\), expected \(5,\)"),
    "nothing": (lambda u, p: None, TypeError, "dtype object.*does not return"),
    "unequal parts": (lambda u, p: [u[:2], u[2:]], TypeError, "np.concatenate"),
    "strings": (lambda u, p: ["a"] * 5, TypeError, "dtype <U1"),
    "float32": (lambda u, p: u.astype(np.float32), TypeError, "float32 comes from"),
    "booleans": (lambda u, p: u > 0.0, TypeError, "dtype bool"),
    "complex": (lambda u, p: 1j * u, TypeError, "complex128 for real u and p"),
    "written into": (writes, ValueError, r"writes into u or p.*copy first"),
    "an error": (lambda u, p: u[7], IndexError, "out of bounds"),
    "sparse": (lambda u, p: sparse.eye_array(5), TypeError, "a dia_array of dtype object"),
    "masked": (lambda u, p: np.ma.log(u), TypeError, "masked array"),
}


@pytest.mark.parametrize("method", ["residual", "jacobian", "vjp", "jvp"])
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("name", BAD_FUNCTIONS)
def test_wrong_functions_are_named_errors(name, make, method):
    function, error, message = BAD_FUNCTIONS[name]
    residual = make(function, 5, 2)
    u, p = np.linspace(1.0, 2.0, 5), np.ones(2)
    last = {"vjp": (np.ones(5),), "jvp": (np.ones(2),)}.get(method, ())
    with pytest.raises(error, match=message):
        getattr(residual, method)(u, p, *last)
    assert np.array_equal(u, np.linspace(1.0, 2.0, 5))


@pytest.mark.parametrize("make", MAKERS)
def test_lists_and_integers_are_taken_as_numbers(make):
    residual = make(lambda u, p: [u[0] * p[0], u[1] ** 2], 2, 1)
    np.testing.assert_allclose(
        residual.jacobian([3, 4], [2]).toarray(), [[2.0, 0.0], [0.0, 8.0]], rtol=1e-11
    )
    assert make(lambda u, p: np.array([7, 8]), 2, 1).residual([3.0, 4.0], [2.0]).dtype == np.float64


def test_what_is_returned_is_the_callers():
    buffer = np.empty(3)

    def R(u, p):
        if u.dtype.kind == "c":
            return u * p[0]
        buffer[:] = u * p[0]
        return buffer

    residual = complex_step_residual(R, 3, 1)
    first = residual.residual(np.ones(3), np.ones(1))
    residual.residual(2.0 * np.ones(3), np.ones(1))
    assert np.array_equal(first, np.ones(3))
    same = complex_step_residual(lambda u, p: u, 3, 0)
    u = np.ones(3)
    same.residual(u, np.empty(0))[0] = 5.0
    assert u[0] == 1.0


BAD_ARGUMENTS = {
    "complex u": (
        (1j * np.ones(5), np.ones(2)),
        TypeError,
        "got u of dtype complex128.*real and imaginary parts",
    ),
    "complex p": ((np.ones(5), 1j * np.ones(2)), TypeError, "got p of dtype complex128"),
    "short u": ((np.ones(4), np.ones(2)), ValueError, r"got u of shape \(4,\), expected \(5,\)"),
    "matrix u": ((np.ones((5, 1)), np.ones(2)), ValueError, r"got u of shape \(5, 1\)"),
    "long p": ((np.ones(5), np.ones(3)), ValueError, r"got p of shape \(3,\), expected \(2,\)"),
    "text": ((["a"] * 5, np.ones(2)), TypeError, "got u of dtype"),
}


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_wrong_arguments_are_named_errors(name, make):
    arguments, error, message = BAD_ARGUMENTS[name]
    residual = make(lambda u, p: u * p[0], 5, 2)
    for call in (residual.residual, residual.jacobian, lambda u, p: residual.vjp(u, p, np.ones(5))):
        with pytest.raises(error, match=message):
            call(*arguments)
    with pytest.raises(ValueError, match=r"got lam of shape \(2,\)"):
        residual.vjp(np.ones(5), np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match=r"got p_dot of shape \(5,\)"):
        residual.jvp(np.ones(5), np.ones(2), np.ones(5))


@pytest.mark.parametrize("sizes", [(0, 1), (2, -1), (2.5, 1), (True, 1)])
def test_wrong_sizes_are_named_errors(sizes):
    with pytest.raises(
        ValueError, match=r"complex_step_residual: got [nm] = .*expected an integer"
    ):
        complex_step_residual(lambda u, p: u, *sizes)
    with pytest.raises(TypeError, match="expected a function"):
        complex_step_residual(np.eye(3), 3, 1)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("make", MAKERS)
def test_nan_of_the_residual_is_left_to_the_solver(make):
    residual = make(lambda u, p: np.sqrt(u) * p, 3, 3)
    u = np.array([1.0, -1.0, 2.0])
    assert np.array_equal(np.isnan(residual.residual(u, np.ones(3))), [False, True, False])
    for _ in range(2):  # Before and after the pattern is known.
        with pytest.raises(adjoint.errors.NonFinite, match=r"∂R/∂u: the residual is nan in row 1"):
            residual.jacobian(u, np.ones(3))
        residual.jacobian(np.ones(3), np.ones(3))


def test_derivatives_that_are_infinite_are_an_error():
    residual = complex_step_residual(lambda u, p: np.sqrt(u) - p, 4, 4)
    u = np.array([1.0, 2.0, 0.0, 3.0])
    with pytest.raises(
        adjoint.errors.NonFinite, match=r"∂R/∂u: the derivative in row 2 is infinite"
    ):
        residual.jacobian(u, np.ones(4))
    with pytest.raises(adjoint.errors.NonFinite, match=r"row 2 by component 2 is"):
        finite_difference_residual(lambda u, p: np.sqrt(u) - p, 4, 4).jacobian(u, np.ones(4))


def test_nan_in_a_derivative_alone_names_the_entry():
    """1/(1 + e^{1/u}) is 0 at a small u, and its complex quotient ∞/∞."""

    def R(u, p):
        with np.errstate(over="ignore", invalid="ignore"):
            return 1.0 / (1.0 + np.exp(1.0 / u)) - p

    residual = complex_step_residual(R, 4, 4)
    residual.jacobian(np.ones(4), np.ones(4))
    with pytest.raises(adjoint.errors.NonFinite, match=r"row 2 by component 2 is nan"):
        residual.jacobian(np.array([1.0, 1.0, 1e-4, 1.0]), np.ones(4))


def test_a_function_that_remembers_is_found_out():
    calls = [0]

    def R(u, p):
        calls[0] += 1
        return u * np.cos(calls[0])

    with pytest.raises(ValueError, match="depend on earlier calls"):
        complex_step_residual(R, 5, 0).jacobian(np.ones(5), np.empty(0))


def test_a_function_that_keeps_a_complex_matrix_is_found_out():
    kept = []

    def R(u, p):
        if not kept or not np.allclose(p, kept[0]):
            kept[:] = [p, np.diag(p)]
        return kept[1] @ u

    u, p = np.ones(3), np.arange(1.0, 4.0)
    residual = complex_step_residual(R, 3, 3)
    with pytest.raises(TypeError, match=r"earlier call with complex ones.*p.tobytes"):
        residual.vjp(u, p, u), residual.residual(u, p)


def test_errors_are_value_errors():
    assert issubclass(SparsityError, ValueError)
    assert issubclass(NotComplexSafe, ValueError)


def test_arrays_given_are_not_written_to():
    problem = Diffusion(5, 4)
    u, p = problem.point(np.random.default_rng(0))
    kept = u.copy(), p.copy()
    residual = complex_step_residual(problem.function, 20, 21)
    residual.jacobian(u, p).data[:] = 0.0
    residual.vjp(u, p, u), residual.jvp(u, p, p)
    assert np.array_equal(u, kept[0])
    assert np.array_equal(p, kept[1])
    assert_close(residual.jacobian(u, p).toarray(), problem.jacobian(u, p), 1e-13)
