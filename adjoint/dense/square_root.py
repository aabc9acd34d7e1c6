"""The principal square root of a matrix."""

import numpy as np
import scipy.linalg as linalg

from ..errors import InaccurateSolve, NegativeEigenvalue, singular
from ..typing import Array
from .arguments import as_square
from .evaluation import Arrays, Evaluation, Rule, only

AXIS = 1e-8
"""Part of its modulus by which an eigenvalue must be off the negative real axis: the root and
its derivative lose as many digits as the eigenvalue is near to the axis."""

ACCURATE = 1e-10
"""Largest ‖S S − A‖ / ‖A‖ of a square root."""


def sqrtm(A: Array) -> Evaluation[Array]:
    """S = √A with S S = A and eigenvalues in the right half-plane; S Ṡ + Ṡ S = Ȧ (eq. 377).

    Equation 377 is that of docs/math/matrix_functions.md. One Schur decomposition serves the
    value and all Sylvester equations of the derivatives. For Hermitian positive definite A,
    `hermitian_function` keeps the symmetry.

    Parameters
    ----------
    A : (n, n) array
        A matrix, real or complex, without eigenvalues on the closed negative real axis.

    Returns
    -------
    Evaluation
        The principal square root, (n, n), with vjp, jvp and hvp; real for real A.

    Raises
    ------
    NegativeEigenvalue
        If an eigenvalue is negative: A has no principal square root, or √ is not continuous.
    SingularMatrix
        If an eigenvalue is zero to working precision, where √ has no derivative.
    InaccurateSolve
        If S S is not A.
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a square matrix of numbers.

    References
    ----------
    Higham (2008), Functions of Matrices, chapter 6 and problem 6.2 for the derivative.
    """
    A = as_square("sqrtm", "A", A)
    n = len(A)
    size = float(np.abs(A).max())
    T, Q = linalg.schur(A / (size or 1.0), output="complex")
    _require_root(n, size, np.diag(T))
    # √T of a triangular T is triangular; the strict lower part is zero.
    R = np.sqrt(size) * np.triu(np.asarray(linalg.sqrtm(T), dtype=np.complex128))
    S = Q @ R @ Q.conj().T
    S = S if A.dtype.kind == "c" else np.ascontiguousarray(S.real)
    error = float(np.abs(S @ S - A).max())
    if not error <= ACCURATE * size:
        raise InaccurateSolve(
            f"sqrtm of a {n}x{n} matrix: S S differs from A by {error:.1e} (the largest entry of A "
            f"is {size:.1e}). Usual cause: eigenvalues that rounding moves across the negative "
            "real axis, as those of a matrix far from normal"
        )
    trsyl = linalg.lapack.ztrsyl

    def sylvester(E: Array, adjoint: bool) -> Array:
        """X with S X + X S = E, or with Sᴴ X + X Sᴴ = E."""
        trans = "C" if adjoint else "N"
        C = Q.conj().T @ E @ Q
        Z, scale, _ = trsyl(R, R, C.astype(np.complex128), trana=trans, tranb=trans)
        X = Q @ (Z / scale) @ Q.conj().T
        real = A.dtype.kind != "c" and E.dtype.kind != "c"
        return np.ascontiguousarray(X.real) if real else np.asarray(X)

    def push(dots: Arrays) -> Arrays:
        return (sylvester(dots[0], adjoint=False),)

    def pull(bars: Arrays) -> Arrays:
        return (sylvester(bars[0], adjoint=True),)

    def second(bars: Arrays, dots: Arrays) -> Arrays:
        S_dot, bar = push(dots)[0].conj().T, pull(bars)[0]
        return (-sylvester(S_dot @ bar + bar @ S_dot, adjoint=True),)

    return Evaluation(S, Rule("sqrtm", ("A",), (A,), (S,), push, pull, second), only)


def _require_root(n: int, size: float, values: Array) -> None:
    """Raise an error if an eigenvalue lies on the closed negative real axis, to rounding."""
    rounding = 10.0 * n * float(np.finfo(float).eps)
    smallest = values[np.argmin(np.abs(values))]
    if not abs(smallest) > rounding * max(float(np.abs(values).max()), 1.0):
        raise singular(
            f"sqrtm of a {n}x{n} matrix:",
            f"an eigenvalue is zero to working precision ({size * abs(smallest):.1e}; the largest "
            f"entry is {size:.1e})",
            "At a singular matrix the square root has no derivative.",
        )
    limit = np.maximum(AXIS * np.abs(values), rounding)
    negative = values[(values.real < 0.0) & ~(np.abs(values.imag) > limit)]
    if negative.size:
        raise NegativeEigenvalue(
            f"sqrtm of a {n}x{n} matrix: the eigenvalue {size * negative[0].real:.6g} is on the "
            "negative real axis, to working precision, where the principal square root does not "
            "exist. Usual causes: a symmetric matrix that is not positive definite, or a wrong sign"
        )
