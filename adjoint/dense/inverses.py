"""The inverse A⁻¹ and the solution of A u = b."""

import numpy as np

from .._validation import as_array
from ..typing import Array
from .arguments import as_square, finite
from .equilibrated import EquilibratedLU
from .evaluation import Arrays, Evaluation, PairEvaluation, Rule, only, outer


def inverse(A: Array) -> Evaluation[Array]:
    """X = A⁻¹, dX = −X dA X (docs/math/matrix_functions.md, eq. 371).

    Parameters
    ----------
    A : (n, n) array
        A matrix, real or complex.

    Returns
    -------
    Evaluation
        The inverse, (n, n), with vjp, jvp and hvp.

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
    Giles (2008), Collected Matrix Derivative Results for Forward and Reverse Mode Algorithmic
    Differentiation, section 2.2.3.

    Examples
    --------
    >>> import numpy as np
    >>> from adjoint import dense
    >>> X = dense.inverse(np.array([[2.0, 0.0], [0.0, 4.0]]))
    >>> print(X.value[0, 0], X.vjp(np.eye(2))[0, 0], X.jvp(np.eye(2))[0, 0])
    0.5 -0.25 -0.25
    """
    A = as_square("inverse", "A", A)
    X = EquilibratedLU.of("inverse", A).solve(np.eye(len(A)))
    XH = X.conj().T

    def push(dots: Arrays) -> Arrays:
        return (-X @ dots[0] @ X,)

    def pull(bars: Arrays) -> Arrays:
        return (-XH @ bars[0] @ XH,)

    def second(bars: Arrays, dots: Arrays) -> Arrays:
        dot = push(dots)[0].conj().T
        return (-(dot @ bars[0] @ XH + XH @ bars[0] @ dot),)

    return Evaluation(X, Rule("inverse", ("A",), (A,), (X,), push, pull, second), only)


def solve(A: Array, b: Array) -> PairEvaluation[Array]:
    """u with A u = b; A u̇ = ḃ − Ȧ u, Aᴴ λ = ū, Ā = −λ uᴴ, b̄ = λ (eq. 372).

    Equation 372 is that of docs/math/matrix_functions.md. For sparse A see
    `adjoint.LinearProblem`.

    Parameters
    ----------
    A : (n, n) array
        A matrix, real or complex.
    b : (n,) or (n, j) array
        One right-hand side or more.

    Returns
    -------
    PairEvaluation
        u, of the shape of b, with vjp, jvp and hvp with respect to A and b.

    Raises
    ------
    SingularMatrix
        If A is singular to working precision, after scaling of its rows and columns.
    NonFinite
        If A or b contains nan or inf.
    TypeError, ValueError
        If A is not a square matrix, or if b has another number of rows.

    References
    ----------
    Giles (2008), Collected Matrix Derivative Results for Forward and Reverse Mode Algorithmic
    Differentiation, section 2.3.1.
    """
    A = as_square("solve", "A", A)
    b = finite("solve", "b", as_array("solve", "b", b))
    if b.ndim not in (1, 2) or b.shape[0] != len(A) or b.size == 0:
        raise ValueError(f"solve: got b of shape {b.shape}, expected ({len(A)},) or ({len(A)}, j)")
    factors = EquilibratedLU.of("solve", A)
    u = factors.solve(b)

    def push(dots: Arrays) -> Arrays:
        return (factors.solve(dots[1] - dots[0] @ u),)

    def pull(bars: Arrays) -> Arrays:
        lam = factors.solve(bars[0], adjoint=True)
        return -outer(lam, u), lam

    def second(bars: Arrays, dots: Arrays) -> Arrays:
        lam = factors.solve(bars[0], adjoint=True)
        lam_dot = -factors.solve(dots[0].conj().T @ lam, adjoint=True)
        return -outer(lam_dot, u) - outer(lam, push(dots)[0]), lam_dot

    rule = Rule("solve", ("A", "b"), (A, b), (u,), push, pull, second)
    return PairEvaluation(u, rule, only)
