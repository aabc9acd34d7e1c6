"""The factorizations of Cholesky, LU and QR."""

from typing import NamedTuple

import numpy as np
import scipy.linalg as linalg

from ..errors import NotPositiveDefinite, singular
from ..typing import Array
from .arguments import as_hermitian, as_matrix, as_square
from .equilibrated import EquilibratedLU
from .evaluation import Arrays, Evaluation, Rule, herm, only


class LUFactors(NamedTuple):
    """A[rows] = L U, or a tangent or cotangent of these factors.

    L: (n, n), unit lower triangular. U: (n, n), upper triangular. rows: (n,) integers, the
    permutation; None in tangents and cotangents, for the permutation is constant near A.
    """

    L: Array
    U: Array
    rows: Array | None = None


class QRFactors(NamedTuple):
    """A = Q R, or a tangent or cotangent of these factors.

    Q: (m, n), with orthonormal columns. R: (n, n), upper triangular with positive diagonal.
    """

    Q: Array
    R: Array


def cholesky(A: Array) -> Evaluation[Array]:
    """A = L Lᴴ; L̇ = L Φ(L⁻¹ Ȧ L⁻ᴴ), Φ: lower triangle, half the diagonal (eq. 378).

    Equation 378 is that of docs/math/matrix_functions.md. The entries of a cotangent above
    the diagonal do not count.

    Parameters
    ----------
    A : (n, n) array
        A Hermitian positive definite matrix; both triangles are read and compared.

    Returns
    -------
    Evaluation
        L, (n, n), lower triangular with positive diagonal, with vjp (Hermitian) and jvp.

    Raises
    ------
    NotSymmetric
        If A, or a tangent, is not Hermitian.
    NotPositiveDefinite
        If A is not positive definite.
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a square matrix of numbers.

    References
    ----------
    Murray (2016), Differentiation of the Cholesky decomposition, arXiv:1602.07527.
    """
    A = as_hermitian("cholesky", "A", A)
    try:
        L = np.asarray(linalg.cholesky(A, lower=True))
    except linalg.LinAlgError as error:
        raise NotPositiveDefinite(
            f"cholesky of a {len(A)}x{len(A)} matrix: the matrix is not positive definite "
            f"({error}). Usual causes: a covariance from fewer samples than variables, or a wrong "
            "sign"
        ) from None
    _require_definite(L)

    def push(dots: Arrays) -> Arrays:
        return (L @ _half(_left_right(L, dots[0])),)

    def pull(bars: Arrays) -> Arrays:
        inner = _half(L.conj().T @ np.tril(bars[0]))
        # L⁻ᴴ Φ L⁻¹ by two triangular solves.
        right = linalg.solve_triangular(L, inner.conj().T, lower=True, trans="C").conj().T
        return (herm(linalg.solve_triangular(L, right, lower=True, trans="C")),)

    rule = Rule("cholesky", ("A",), (A,), (L,), push, pull, hermitian=True)
    return Evaluation(L, rule, only)


def lu(A: Array) -> Evaluation[LUFactors]:
    """A[rows] = L U with partial pivoting; F = L⁻¹ Ȧ[rows] U⁻¹ is divided (eq. 379).

    L̇ = L · (strict lower triangle of F) and U̇ = (upper triangle of F) · U, see
    docs/math/matrix_functions.md, eq. 379. The permutation is piecewise constant: the
    derivative is that of the factors with these rows. Where two pivots tie, L and U jump.

    Parameters
    ----------
    A : (n, n) array
        A nonsingular matrix, real or complex.

    Returns
    -------
    Evaluation
        `LUFactors`, with vjp and jvp; tangents and cotangents are pairs (L, U).

    Raises
    ------
    SingularMatrix
        If A is singular to working precision, after scaling of its rows and columns.
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a square matrix of numbers.

    References
    ----------
    de Hoog, Anderssen & Lukas (2011), Differentiation of matrix functionals using triangular
    factorization, Math. Comput. 80, 1585.
    """
    A = as_square("lu", "A", A)
    EquilibratedLU.of("lu", A)  # Raises SingularMatrix.
    P, L, U = linalg.lu(A)
    rows = np.argmax(P, axis=0)

    def push(dots: Arrays) -> Arrays:
        half = linalg.solve_triangular(L, dots[0][rows], lower=True, unit_diagonal=True)
        F = linalg.solve_triangular(U, half.T, trans="T").T
        return L @ np.tril(F, -1), np.triu(F) @ U

    def pull(bars: Arrays) -> Arrays:
        L_bar, U_bar = np.tril(bars[0], -1), np.triu(bars[1])
        F_bar = np.tril(L.conj().T @ L_bar, -1) + np.triu(U_bar @ U.conj().T)
        half = linalg.solve_triangular(L, F_bar, lower=True, unit_diagonal=True, trans="C")
        A_bar = np.empty_like(half)
        A_bar[rows] = linalg.solve_triangular(U, half.conj().T).conj().T
        return (A_bar,)

    rule = Rule("lu", ("A",), (A,), (L, U), push, pull)
    return Evaluation(LUFactors(L, U, rows), rule, lambda parts: LUFactors(*parts))


def qr(A: Array) -> Evaluation[QRFactors]:
    """A = Q R, reduced, with positive diagonal of R, which makes the factors unique (eq. 380).

    The derivative is eq. 380 of docs/math/matrix_functions.md.

    Parameters
    ----------
    A : (m, n) array
        A matrix of full column rank, m ≥ n.

    Returns
    -------
    Evaluation
        `QRFactors`, with vjp and jvp; tangents and cotangents are pairs (Q, R).

    Raises
    ------
    SingularMatrix
        If the columns of A are linearly dependent to working precision, after scaling.
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a matrix of numbers, or if m < n.

    References
    ----------
    Walter & Lehmann (2010), Algorithmic differentiation of linear algebra functions,
    arXiv:1001.1654, section 4.
    """
    A = as_matrix("qr", "A", A)
    m, n = A.shape
    if m < n:
        raise ValueError(
            f"qr: got A of shape {A.shape}, expected at least as many rows as columns: with fewer "
            "rows the factors are those of the first m columns, qr(A[:, :m])"
        )
    Q, R = linalg.qr(A, mode="economic")
    turn = np.diag(R) / np.where(np.diag(R) == 0.0, 1.0, np.abs(np.diag(R)))
    Q, R = Q * turn, turn.conj()[:, None] * R
    _require_rank(A, R)

    def over(X: Array) -> Array:
        """X R⁻¹."""
        return np.asarray(linalg.solve_triangular(R, X.T, trans="T").T)

    def over_adjoint(X: Array) -> Array:
        """X R⁻ᴴ."""
        return np.asarray(linalg.solve_triangular(R, X.conj().T).conj().T)

    def push(dots: Arrays) -> Arrays:
        X = over(dots[0])
        C = Q.conj().T @ X
        lower = np.tril(C, -1)
        turning = lower - lower.conj().T + (C - C.conj()) * np.eye(n) / 2.0
        return Q @ turning + X - Q @ C, np.triu((C - turning) @ R)

    def pull(bars: Arrays) -> Arrays:
        Q_bar, R_bar = bars[0], np.triu(bars[1])
        D = R_bar @ R.conj().T
        G = Q.conj().T @ Q_bar
        H = G - D
        C_bar = D + np.tril(H - H.conj().T, -1) + (H - H.conj()) * np.eye(n) / 2.0
        return (over_adjoint(Q @ (C_bar - G) + Q_bar),)

    rule = Rule("qr", ("A",), (A,), (Q, R), push, pull)
    return Evaluation(QRFactors(Q, R), rule, lambda parts: QRFactors(*parts))


def _require_definite(L: Array) -> None:
    """Raise NotPositiveDefinite if A = L Lᴴ, scaled to a diagonal of 1, is singular to rounding."""
    n = len(L)
    scaled = L / np.linalg.norm(L, axis=1)[:, None]
    rcond, _ = linalg.lapack.get_lapack_funcs("trcon", (scaled,))(scaled, uplo="L")
    if not rcond**2 > n * np.finfo(float).eps:
        raise NotPositiveDefinite(
            f"cholesky of a {n}x{n} matrix: the matrix is singular to working precision "
            f"(reciprocal condition {rcond**2:.1e} after scaling to a diagonal of 1). Usual cause: "
            "a covariance of dependent variables"
        )


def _require_rank(A: Array, R: Array) -> None:
    """Raise SingularMatrix unless R is well-conditioned after scaling of its columns."""
    m, n = A.shape
    lengths = np.abs(A).max(axis=0)
    found = "column {} is zero"
    if np.all(lengths > 0.0):
        scaled = R / lengths
        rcond, _ = linalg.lapack.get_lapack_funcs("trcon", (scaled,))(scaled)
        if rcond > max(m, n) * np.finfo(float).eps:
            return
        found = f"its columns are linearly dependent (reciprocal condition {rcond:.1e})"
    raise singular(
        f"qr of a {m}x{n} matrix:",
        found.format(int(np.argmin(lengths))),
        "With dependent columns the factors have no derivative. Usual causes: a repeated basis "
        "vector, or more columns than independent data.",
    )


def _left_right(L: Array, X: Array) -> Array:
    """L⁻¹ X L⁻ᴴ for Hermitian X."""
    half = linalg.solve_triangular(L, X, lower=True)
    return np.asarray(linalg.solve_triangular(L, half.conj().T, lower=True).conj().T)


def _half(X: Array) -> Array:
    """The lower triangle of X with half the diagonal."""
    return np.tril(X) - 0.5 * np.diag(np.diag(X))
