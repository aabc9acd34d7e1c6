"""Adjoints combined from earlier solutions: only if right-hand sides are in the span."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint

N = 20


def symmetric(field):
    B = np.random.default_rng(0).standard_normal((N, N))
    B = B + 1j * np.random.default_rng(1).standard_normal((N, N)) if field is complex else B
    return B @ B.T.conj() + N * np.eye(N)


def like(b, seed):
    w = np.random.default_rng(seed).standard_normal(b.shape)
    return (
        w + 1j * np.random.default_rng(seed + 1).standard_normal(b.shape)
        if b.dtype.kind == "c"
        else w
    )


@pytest.mark.parametrize("field", [float, complex])
@pytest.mark.parametrize("columns", [None, 2])
@pytest.mark.parametrize("off", [1e-2, 1e-7, 1e-9, 1e-11])
def test_a_right_hand_side_that_is_nearly_in_the_span_is_solved_for(off, columns, field):
    """λ = u c would have an error of 10⁻⁷; the solve is accurate up to rounding."""
    A = symmetric(field)
    b = like(np.zeros((N, columns) if columns else N, dtype=field), 2)
    solution = adjoint.LinearProblem(sparse.csc_array(A), b, factorize=adjoint.cholesky).solve(
        np.zeros(0)
    )
    u_bar = b + off * like(b, 4)
    with adjoint.counting() as counts:
        lam = solution.adjoint(u_bar)
    assert counts.solves == 1
    exact = np.linalg.solve(A.conj().T, u_bar)
    assert (
        np.abs(lam - exact).max() <= 1e-3 * off * np.abs(exact).max() + 1e-13 * np.abs(exact).max()
    )


@pytest.mark.parametrize("field", [float, complex])
def test_a_right_hand_side_in_the_span_costs_no_solve(field):
    A, b = symmetric(field), like(np.zeros(N, dtype=field), 2)
    solution = adjoint.LinearProblem(sparse.csc_array(A), b, factorize=adjoint.cholesky).solve(
        np.zeros(0)
    )
    with adjoint.counting() as counts:
        lam = solution.adjoint(-3.7 * b)
    assert counts.solves == 0
    np.testing.assert_allclose(lam, -3.7 * np.linalg.solve(A, b), rtol=1e-11)
