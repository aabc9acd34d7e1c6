"""Singular values and vectors, and the polar factors."""

from typing import NamedTuple

import numpy as np

from ..errors import RepeatedEigenvalue, singular
from ..typing import Array
from .arguments import as_matrix
from .clusters import (
    clusters_of,
    first_repeated,
    require_equal,
    require_invariant,
    require_unsplit,
)
from .evaluation import Arrays, Evaluation, Rule, herm, only, skew


class SingularValueDecomposition(NamedTuple):
    """A = U diag(s) Vᴴ, reduced, or a tangent or cotangent of these.

    U: (m, k), k = min(m, n), with orthonormal columns. s: (k,), descending. Vh: Vᴴ, (k, n).
    The entry of largest modulus in each column of U is positive.
    """

    U: Array
    s: Array
    Vh: Array


class PolarFactors(NamedTuple):
    """A = U P, or a tangent or cotangent of these.

    U: (m, n), with orthonormal columns. P: (n, n), Hermitian positive definite.
    """

    U: Array
    P: Array


def svdvals(A: Array) -> Evaluation[Array]:
    """s, (k,), descending; ṡ_i = Re(u_iᴴ Ȧ v_i), Ā = U diag(s̄) Vᴴ (eq. 384).

    Equation 384 is that of docs/math/matrix_functions.md. Equal singular values have
    derivatives only together, as equal eigenvalues in `eigvalsh`. A zero singular value has a
    kink, as |x| at 0: `vjp` takes the subgradient 0 for it, whatever its cotangent, and `jvp`
    raises SingularMatrix if the tangent moves it.

    Parameters
    ----------
    A : (m, n) array
        A matrix, real or complex.

    Returns
    -------
    Evaluation
        The singular values, with vjp and jvp.

    Raises
    ------
    RepeatedEigenvalue
        In `vjp`, if cotangents of equal singular values differ; in `jvp`, if the tangent
        splits equal singular values.
    SingularMatrix
        In `jvp`, if the tangent moves a zero singular value.
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a matrix of numbers.

    References
    ----------
    Giles (2008), Collected Matrix Derivative Results for Forward and Reverse Mode Algorithmic
    Differentiation, section 3.2.
    """
    A = as_matrix("svdvals", "A", A)
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    positive, clusters = _positive(A, s), clusters_of(s[::-1])[::-1]

    def push(dots: Arrays) -> Arrays:
        P = U.conj().T @ dots[0] @ Vh.conj().T
        require_kernel_kept("svdvals", A, U, s, Vh, dots[0])
        part = np.ix_(positive, positive)
        require_unsplit("svdvals", s[positive], clusters[positive], herm(P[part]))
        return (np.where(positive, np.diag(P).real, 0.0),)

    def pull(bars: Arrays) -> Arrays:
        require_equal("svdvals", s[positive], clusters[positive], bars[0][positive])
        return ((U * np.where(positive, bars[0], 0.0)) @ Vh,)

    return Evaluation(s, Rule("svdvals", ("A",), (A,), (s,), push, pull), only)


def svd(A: Array) -> Evaluation[SingularValueDecomposition]:
    """A = U diag(s) Vᴴ, reduced, with the derivative of eq. 385.

    Equation 385 is that of docs/math/matrix_functions.md. The joint phase of each pair of
    vectors is fixed: the entry of largest modulus in u is positive. In a cluster of equal
    singular values the bases are arbitrary: cotangents that do not depend on the bases are
    finite and right; others raise RepeatedEigenvalue.

    Parameters
    ----------
    A : (m, n) array
        A matrix, real or complex.

    Returns
    -------
    Evaluation
        `SingularValueDecomposition`, with vjp and jvp.

    Raises
    ------
    RepeatedEigenvalue
        In `vjp`, if the cotangent depends on the bases of equal singular values; in `jvp`, if
        singular values are equal.
    SingularMatrix
        If a singular value is zero and its vectors have a cotangent; in `jvp`, if a singular
        value is zero.
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a matrix of numbers.

    References
    ----------
    Townsend (2016), Differentiating the singular value decomposition. Wan & Zhang (2019),
    Automatic differentiation for complex valued SVD, arXiv:1909.02659.
    """
    A = as_matrix("svd", "A", A)
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    k = len(s)
    largest, every = np.argmax(np.abs(U), axis=0), np.arange(k)
    turn = np.abs(U[largest, every]) / U[largest, every]
    U, Vh = U * turn, turn.conj()[:, None] * Vh
    V, anchors = Vh.conj().T, np.abs(U[largest, every])
    positive, clusters = _positive(A, s), clusters_of(s[::-1])[::-1]
    together = clusters[:, None] == clusters[None, :]
    inverse_gaps = np.where(together, 0.0, 1.0 / np.where(together, 1.0, s[None, :] - s[:, None]))
    inverse_sums, inverse_s = _inverse_sums(s, positive)

    def push(dots: Arrays) -> Arrays:
        if not positive.all():
            raise _zero_value("svd", A, s)
        if (repeated := first_repeated(clusters)) is not None:
            raise RepeatedEigenvalue(
                f"svd: the vectors of the repeated singular value {s[repeated]:.10g} have no "
                "derivative: their basis is arbitrary. Remedies: a quantity that does not depend "
                "on the basis, by vjp; svdvals, polar or a norm"
            )
        AV, AU = dots[0] @ V, dots[0].conj().T @ U
        P = U.conj().T @ AV
        symmetric, turning = inverse_gaps * herm(P), inverse_sums * skew(P)
        U_dot = U @ (symmetric + turning) + (AV - U @ P) * inverse_s
        V_dot = V @ (symmetric - turning) + (AU - V @ P.conj().T) * inverse_s
        if U.dtype.kind == "c":
            phase = -1j * (U_dot[largest, every].imag / anchors)
            U_dot, V_dot = U_dot + U * phase, V_dot + V * phase
        return U_dot, np.ascontiguousarray(np.diag(P).real), V_dot.conj().T

    def pull(bars: Arrays) -> Arrays:
        U_bar, s_bar, V_bar = np.array(bars[0]), bars[1], bars[2].conj().T
        if np.any(U_bar[:, ~positive]) or np.any(V_bar[:, ~positive]):
            raise _zero_value("svd", A, s)
        if U.dtype.kind == "c":
            moved = np.einsum("ij,ij->j", U_bar.conj(), 1j * U).real
            moved += np.einsum("ij,ij->j", V_bar.conj(), 1j * V).real
            U_bar[largest, every] -= 1j * moved / anchors
        X, Y = U.conj().T @ U_bar, V.conj().T @ V_bar
        require_equal("svd", s[positive], clusters[positive], s_bar[positive])
        total = X + Y
        require_invariant("svd", s, together, total - total.conj().T, np.abs(X) + np.abs(Y))
        inner = herm(inverse_gaps * total) + skew(inverse_sums * (X - Y))
        inner = inner + np.diag(np.where(positive, s_bar, 0.0))
        left, right = U_bar * inverse_s, V_bar * inverse_s
        inner = inner - U.conj().T @ left - (V.conj().T @ right).conj().T
        return (U @ (inner @ Vh + right.conj().T) + left @ Vh,)

    rule = Rule("svd", ("A",), (A,), (U, s, Vh), push, pull)
    return Evaluation(
        SingularValueDecomposition(U, s, Vh),
        rule,
        lambda parts: SingularValueDecomposition(*parts),
    )


def polar(A: Array) -> Evaluation[PolarFactors]:
    """A = U P with UᴴU = 1 and P = (AᴴA)^½ (docs/math/matrix_functions.md, eq. 386).

    U is the nearest matrix with orthonormal columns. The derivative divides by sums of
    singular values only, so that equal singular values cost nothing.

    Parameters
    ----------
    A : (m, n) array
        A matrix of full column rank, m ≥ n.

    Returns
    -------
    Evaluation
        `PolarFactors`, with vjp and jvp.

    Raises
    ------
    SingularMatrix
        If A has not full column rank, to working precision.
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a matrix of numbers, or if m < n.

    References
    ----------
    Higham (2008), Functions of Matrices, chapter 8.
    """
    A = as_matrix("polar", "A", A)
    if A.shape[0] < A.shape[1]:
        raise ValueError(
            f"polar: got A of shape {A.shape}, expected at least as many rows as columns; take the "
            "factors of A.conj().T"
        )
    W, s, Vh = np.linalg.svd(A, full_matrices=False)
    V, positive = Vh.conj().T, _positive(A, s)
    if not positive.all():
        raise _zero_value("polar", A, s)
    inverse_sums, inverse_s = _inverse_sums(s, positive)
    U, P = W @ Vh, herm((V * s) @ Vh)

    def push(dots: Arrays) -> Arrays:
        AV = dots[0] @ V
        C = W.conj().T @ AV
        turning = 2.0 * inverse_sums * skew(C)
        U_dot = (W @ turning + (AV - W @ C) * inverse_s) @ Vh
        return U_dot, herm(V @ (C - turning * s) @ Vh)

    def pull(bars: Arrays) -> Arrays:
        UV, inner = bars[0] @ V, Vh @ herm(bars[1]) @ V
        WUV = W.conj().T @ UV
        C_bar = inner + skew(2.0 * inverse_sums * (WUV - inner * s))
        return ((W @ C_bar + (UV - W @ WUV) * inverse_s) @ Vh,)

    rule = Rule("polar", ("A",), (A,), (U, P), push, pull)
    return Evaluation(PolarFactors(U, P), rule, lambda parts: PolarFactors(*parts))


def require_kernel_kept(who: str, A: Array, U: Array, s: Array, Vh: Array, dot: Array) -> None:
    """Raise SingularMatrix if a tangent moves zero singular values of A away from zero.

    The part of the tangent that does so maps the kernel of A to the complement of the range
    of A; U, s, Vh: the reduced singular value decomposition of A.
    """
    rank = int(np.count_nonzero(_positive(A, s)))
    if rank == len(s):
        return
    U, Vh = U[:, :rank], Vh[:rank]
    left = dot - U @ (U.conj().T @ dot)
    moved = left - (left @ Vh.conj().T) @ Vh
    # Rounding errors of the two projections are below 1e-12 of the tangent.
    if not np.abs(moved).max() <= 1e-12 * np.abs(dot).max():
        raise singular(
            f"{who} of a {A.shape[0]}x{A.shape[1]} matrix:",
            f"the tangent moves a zero singular value (rank {rank})",
            "A singular value has a kink at zero, as |x| has: its change is not linear in the "
            "tangent. vjp returns a subgradient there.",
        )


def _positive(A: Array, s: Array) -> Array:
    """True for singular values that are not zero to working precision."""
    return np.asarray(s > max(A.shape) * np.finfo(float).eps * s[0])


def _inverse_sums(s: Array, positive: Array) -> tuple[Array, Array]:
    """1/(s_i + s_j), zero where both values are zero, and 1/s_i, zero where s_i is zero."""
    sums = s[:, None] + s[None, :]
    some = positive[:, None] | positive[None, :]
    return (
        np.where(some, 1.0 / np.where(some, sums, 1.0), 0.0),
        np.where(positive, 1.0 / np.where(positive, s, 1.0), 0.0),
    )


def _zero_value(who: str, A: Array, s: Array) -> Exception:
    return singular(
        f"{who} of a {A.shape[0]}x{A.shape[1]} matrix:",
        f"a singular value is zero to working precision ({s[-1]:.1e}; the largest is {s[0]:.1e})",
        "Its vectors have no derivative. Usual cause: dependent columns or rows.",
    )
