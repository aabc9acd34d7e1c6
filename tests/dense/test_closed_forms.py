"""Values and derivatives that are known in closed form or published."""

import numpy as np
import pytest
import scipy.linalg as linalg

from adjoint import dense


def test_exponential_of_moler_and_van_loan():
    """Moler & Van Loan (2003), SIAM Rev. 45, 3, example 2 of section 3."""
    y = dense.expm(np.array([[-49.0, 24.0], [-64.0, 31.0]]))
    expected = np.array([[-0.735759, 0.551819], [-1.471518, 1.103638]])
    np.testing.assert_allclose(y.value, expected, atol=1e-6)


def test_exponential_at_commuting_tangent():
    A = np.array([[1.0, 2.0], [0.5, -1.0]])
    y = dense.expm(A)
    np.testing.assert_allclose(y.jvp(A @ A), A @ A @ y.value, rtol=1e-13)


@pytest.mark.parametrize(
    ("function", "plain"),
    [
        (dense.inverse, np.linalg.inv),
        (dense.expm, linalg.expm),
        (lambda A: dense.solve(A, np.ones(5)), lambda A: np.linalg.solve(A, np.ones(5))),
        (lambda A: dense.kron(A, np.eye(2)), lambda A: np.kron(A, np.eye(2))),
    ],
)
def test_tangents_agree_with_complex_steps_to_rounding(function, plain):
    """Im F(A + ihE) / h with h = 1e-20 has no error of subtraction."""
    rng = np.random.default_rng(8)
    A, E = rng.standard_normal((5, 5)), rng.standard_normal((5, 5))
    expected = plain(A + 1e-20j * E).imag / 1e-20
    np.testing.assert_allclose(function(A).jvp(E), expected, rtol=1e-10, atol=1e-12)


def test_square_root_of_a_jordan_block():
    """√J = [[√λ, 1/(2√λ)], [0, √λ]], a defective matrix."""
    y = dense.sqrtm(np.array([[4.0, 1.0], [0.0, 4.0]]))
    np.testing.assert_allclose(y.value, [[2.0, 0.25], [0.0, 2.0]], rtol=1e-14)
    np.testing.assert_allclose(y.jvp(np.eye(2)), [[0.25, -1 / 32], [0.0, 0.25]], rtol=1e-13)


def test_determinant_at_singular_matrices():
    """The gradient is the transposed adjugate, also where the inverse does not exist."""
    A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    y = dense.det(A)
    assert abs(y.value) < 1e-13
    cofactors = [[-3.0, 6.0, -3.0], [6.0, -12.0, 6.0], [-3.0, 6.0, -3.0]]
    np.testing.assert_allclose(y.vjp(1.0), cofactors, rtol=1e-12)
    np.testing.assert_array_equal(dense.det(np.ones((100, 100))).vjp(1.0), 0.0)


def test_sign_of_the_determinant():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((7, 7))
    for matrix in (A, A[[1, 0, *range(2, 7)]], A + 1j * A.T):
        expected = np.linalg.slogdet(matrix)
        y = dense.slogdet(matrix)
        np.testing.assert_allclose(y.value.sign, expected.sign, rtol=1e-13)
        assert float(y.value.logabsdet) == pytest.approx(expected.logabsdet, rel=1e-13)
        assert dense.log_det(matrix).value == float(y.value.logabsdet)
        np.testing.assert_allclose(dense.det(matrix).value, np.linalg.det(matrix), rtol=1e-12)


def test_log_det_where_the_determinant_overflows():
    y = dense.log_det(1e-12 * np.eye(60))
    assert y.value == pytest.approx(60 * np.log(1e-12), rel=1e-14)
    np.testing.assert_allclose(y.vjp(1.0), 1e12 * np.eye(60), rtol=1e-14)


def test_permutation_of_lu_belongs_to_the_value():
    A = np.array([[0.0, 1.0], [2.0, 3.0]])
    y = dense.lu(A)
    np.testing.assert_array_equal(A[y.value.rows], y.value.L @ y.value.U)
    assert y.jvp(np.eye(2)).rows is None


@pytest.mark.parametrize("kind", [float, complex])
def test_factors_reproduce_the_matrix(kind):
    rng = np.random.default_rng(4)
    A = rng.standard_normal((6, 4)).astype(kind)
    if kind is complex:
        A += 1j * rng.standard_normal((6, 4))
    Q, R = dense.qr(A).value
    np.testing.assert_allclose(Q @ R, A, rtol=1e-13)
    assert np.all(np.diag(R).real > 0.0)
    assert np.all(np.diag(R).imag == 0.0)
    U, P = dense.polar(A).value
    np.testing.assert_allclose(U @ P, A, rtol=1e-12)
    np.testing.assert_allclose(U.conj().T @ U, np.eye(4), atol=1e-14)
    U, s, Vh = dense.svd(A).value
    np.testing.assert_allclose((U * s) @ Vh, A, rtol=1e-12)


@pytest.mark.parametrize("gap", [0.0, 1e-15, 1e-10, 1e-6, 1e-3, 0.1, 1.0])
@pytest.mark.parametrize("center", [1e-6, 1.0, 30.0])
def test_divided_differences_are_accurate_at_any_gap(gap, center):
    """exp[x, x + h] = eˣ (eʰ − 1)/h to 14 digits, and log[x, x(1 + h)] = log(1 + h)/(x h)."""
    x = np.array([center, center + gap])
    h = x[1] - x[0]
    expected = np.exp(x[0]) * (np.expm1(h) / h if h else 1.0)
    found = dense.hermitian.divided_differences(np.exp, np.exp, x)[0, 1]
    assert found == pytest.approx(expected, rel=2e-14)
    x = center * np.array([1.0, 1.0 + gap])
    h = (x[1] - x[0]) / x[0]
    expected = (np.log1p(h) / h if h else 1.0) / x[0]
    found = dense.hermitian.divided_differences(np.log, lambda x: 1.0 / x, x)[0, 1]
    assert found == pytest.approx(expected, rel=5e-14)


def test_divided_differences_across_a_pole():
    """1/x between −1 and 2: the mean of f′ does not exist, the quotient does."""
    found = dense.hermitian.divided_differences(
        lambda x: 1.0 / x, lambda x: -1.0 / x**2, np.array([-1.0, 2.0])
    )
    assert found[0, 1] == pytest.approx(0.5, rel=1e-15)


def test_schatten_norms_meet_their_relatives():
    A = np.random.default_rng(1).standard_normal((5, 3))
    for p, other in ((1.0, dense.nuclear_norm), (2.0, dense.frobenius_norm)):
        y, z = dense.schatten_norm(A, p), other(A)
        assert y.value == pytest.approx(z.value, rel=1e-14)
        np.testing.assert_allclose(y.vjp(1.0), z.vjp(1.0), rtol=1e-12, atol=1e-14)
    assert dense.schatten_norm(A, 1000.0).value == pytest.approx(np.linalg.norm(A, 2), rel=2e-3)
