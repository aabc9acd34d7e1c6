"""Sparsity by nan and by derivatives: no entry is missing, none too many if R is local."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.derive import complex_step_residual, finite_difference_residual
from adjoint.derive.sparsity import detect, detect_by_derivatives

N = 23


def neighbours(u):
    return np.concatenate([[0.0], u[:-1]]), np.concatenate([u[1:], [0.0]])


def bratu(u, p):
    left, right = neighbours(u)
    return left - 2.0 * u + right + p[0] * np.exp(u)


def sparse_product(u, p):
    A = sparse.diags_array(
        [np.ones(N - 1), np.full(N, -2.0), np.ones(N - 1)], offsets=[-1, 0, 1], format="csr"
    )
    return A @ (u * p) - p


def far_and_near(u, p):
    return u + np.roll(u, 7) ** 2 * p[:N] + p[N]


def one_dense_row(u, p):
    R = u * p
    return np.concatenate([R[:-1], [np.sum(u)]])


def ignores_some(u, p):
    return np.where(np.arange(N) % 3 == 0, u, 1.0) + p[0]


def patterned(*offsets, periodic=False):
    i, k = np.broadcast_arrays(np.arange(N)[:, None], np.arange(N)[:, None] + np.array(offsets))
    keep = np.ones(k.shape, dtype=bool) if periodic else (k >= 0) & (k < N)
    return (
        sparse.csc_array((np.ones(keep.sum()), (i[keep], k[keep] % N)), shape=(N, N)).toarray() > 0
    )


def last_row_full(pattern):
    pattern = pattern.copy()
    pattern[-1] = True
    return pattern


def column(rows):
    return np.isin(np.arange(N), rows)[:, None]


CASES = {
    "tridiagonal, global parameter": (bratu, 1, patterned(-1, 0, 1), column(np.arange(N))),
    "sparse product": (sparse_product, N, patterned(-1, 0, 1), patterned(-1, 0, 1)),
    "far neighbours, local and global parameters": (
        far_and_near,
        N + 1,
        patterned(0, -7, periodic=True),
        np.hstack([np.eye(N, dtype=bool), np.ones((N, 1), dtype=bool)]),
    ),
    "one dense row": (
        one_dense_row,
        N,
        last_row_full(patterned(0)),
        np.vstack([np.eye(N, dtype=bool)[:-1], np.zeros((1, N), dtype=bool)]),
    ),
    "empty columns": (
        ignores_some,
        2,
        np.diag(np.arange(N) % 3 == 0),
        np.hstack([np.ones((N, 1), dtype=bool), np.zeros((N, 1), dtype=bool)]),
    ),
}


def point(m, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 1.5, N), rng.uniform(0.5, 1.5, m)


def slices(make, R, m, u, p):
    rule = make(R, N, m).rule
    return rule.in_u(u, p), rule.in_p(u, p)


@pytest.mark.parametrize("how", [detect, detect_by_derivatives])
@pytest.mark.parametrize("make", [complex_step_residual, finite_difference_residual])
@pytest.mark.parametrize("name", CASES)
def test_pattern_is_that_of_the_function(name, make, how):
    R, m, by_u, by_p = CASES[name]
    in_u, in_p = slices(make, R, m, *point(m))
    for at, expected in ((in_u, by_u), (in_p, by_p)):
        found = how(at)
        assert np.array_equal(found.toarray() > 0, expected)
        assert found.has_canonical_format


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_accidental_zeros_are_entries(value):
    """Derivatives that vanish at the point: u² at 0, u_{i+1} u_{i-1} at 0, p (u − 1) at 1."""

    def R(u, p):
        left, right = neighbours(u)
        return u**2 + left * right + p * (u - 1.0)

    residual = complex_step_residual(R, N, N)
    J = residual.jacobian(np.full(N, value), np.zeros(N))
    assert J.nnz == 3 * N - 2
    assert residual.parameter_jacobian(np.full(N, value), np.zeros(N)).nnz == N
    u, p = point(N)
    left, right = neighbours(u)
    expected = np.diag(2 * u + p) + np.diag(left[:-1], 1) + np.diag(right[1:], -1)
    np.testing.assert_allclose(residual.jacobian(u, p).toarray(), expected, atol=1e-15)


@pytest.mark.parametrize("n", [300, 1000, 5000])
def test_a_stencil_takes_few_evaluations_a_level(n):
    count = [0]

    def R(u, p):
        count[0] += 1
        return np.concatenate([u[:1], u[1:-1] ** 2 - u[:-2] - u[2:], u[-1:]])

    detect(complex_step_residual(R, n, 0).rule.in_u(np.ones(n), np.empty(0)))
    assert count[0] <= 30 * np.log(n) / np.log(4)


@pytest.mark.parametrize("n", [5, 16, 60])
def test_a_full_matrix_takes_no_more_than_four_thirds_n_evaluations(n):
    count = [0]

    def R(u, p):
        count[0] += 1
        return u - np.sum(u**2)

    pattern = detect(complex_step_residual(R, n, 0).rule.in_u(np.ones(n), np.empty(0)))
    assert pattern.nnz == n * n
    assert count[0] <= 4 * n / 3 + 2 * np.log(n) + 4


def swallows_nan(u, p):
    left, right = neighbours(u)
    return np.nan_to_num(u**2 + left - right) - p


def raises_on_nan(u, p):
    if np.isnan(u).any() or np.isnan(p).any():
        raise FloatingPointError("nan")
    left, right = neighbours(u)
    return u**2 + left - right - p


def looks_up(u, p):
    """A table by integer position: nan has none."""
    table = np.array([1.0, 2.0, 4.0, 8.0])
    left, right = neighbours(u)
    return table[np.floor(u.real).astype(int)] * u + left - right - p


@pytest.mark.parametrize("make", [complex_step_residual, finite_difference_residual])
@pytest.mark.parametrize("R", [swallows_nan, raises_on_nan, looks_up])
def test_functions_that_cannot_bear_nan_are_asked_for_derivatives(R, make):
    u, p = point(N)
    residual = make(R, N, N)
    J = residual.jacobian(u, p)
    assert np.array_equal(J.toarray() != 0, patterned(-1, 0, 1))
    assert np.array_equal(residual.parameter_jacobian(u, p).toarray() != 0, np.eye(N))


def upwind(u, p):
    left, right = neighbours(u)
    return u * np.where(u > 0.0, u - left, right - u) - p


@pytest.mark.parametrize("make", [complex_step_residual, finite_difference_residual])
def test_the_pattern_grows_with_the_branches_taken(make):
    residual = make(upwind, N, N)
    u, p = point(N)
    for v in (u, -u, np.where(np.arange(N) % 2 == 0, u, -u)):
        J = residual.jacobian(v, p).toarray()
        left, right = neighbours(v)
        up = v > 0.0
        expected = np.diag(np.where(up, 2 * v - left, right - 2 * v))
        expected += np.diag(np.where(up, -v, 0.0)[1:], -1) + np.diag(np.where(up, 0.0, v)[:-1], 1)
        np.testing.assert_allclose(J, expected, atol=1e-9)
    patterns = [residual.jacobian(v, p) for v in (u, -u)]
    assert np.array_equal(patterns[0].indices, patterns[1].indices), "grown once, it stays"


def test_a_start_at_zero_shows_both_branches():
    """u = 0 takes one branch everywhere; the points near it, both."""
    residual = complex_step_residual(upwind, N, N)
    residual.jacobian(np.zeros(N), np.ones(N))
    u, p = point(N)
    assert residual.jacobian(np.where(np.arange(N) % 2 == 0, u, -u), p).nnz >= 2 * N - 1


def test_a_branch_that_nan_never_takes():
    """A condition on nan is False: the other branch is seen by derivatives only."""

    def R(u, p):
        left, right = neighbours(u)
        return np.where(u > 0.0, u * left, right) - p

    u, p = point(N)
    J = complex_step_residual(R, N, N).jacobian(u, p)
    left, _ = neighbours(u)
    np.testing.assert_allclose(J.toarray(), np.diag(left) + np.diag(u[1:], -1), atol=1e-15)


def test_outside_of_the_domain_there_is_no_pattern():
    with np.errstate(all="ignore"), pytest.raises(adjoint.errors.NonFinite, match="nan in row 4"):
        complex_step_residual(lambda u, p: np.sqrt(u), N, 0).jacobian(
            np.where(np.arange(N) == 4, -1.0, 1.0), np.empty(0)
        )


def test_points_outside_of_the_domain_are_not_needed():
    def R(u, p):
        if np.any(p.real < 0.0):
            raise ValueError("negative conductivity")
        return u * (1.0 + p) - 1.0

    residual = complex_step_residual(R, N, N)
    assert residual.parameter_jacobian(np.ones(N), np.zeros(N)).nnz == N


def guarded(u):
    return u if np.isfinite(u).all() else np.full(u.size, np.nan)


def running_sums(u):
    total = np.cumsum(u)
    return total - np.append(0.0, total[:-1])


@pytest.mark.parametrize("spreads_nan", [guarded, running_sums])
def test_a_full_pattern_by_nan_is_held_against_derivatives(spreads_nan):
    n = 300

    def R(u, p):
        u = spreads_nan(u)
        return np.concatenate([u[:1], u[1:-1] ** 2 - u[:-2] - u[2:], u[-1:]])

    assert (
        complex_step_residual(R, n, 0).jacobian(np.linspace(0.5, 1.0, n), np.empty(0)).nnz <= 5 * n
    )


def test_warnings_about_nan_are_not_passed_on():
    def R(u, p):
        return u**2 - np.nanmax(u.real) * 0.0 - p

    assert complex_step_residual(R, N, N).jacobian(*point(N)).nnz >= N
