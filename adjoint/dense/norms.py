"""Norms of matrices: Frobenius, spectral, nuclear and Schatten."""

import numpy as np

from .._validation import require_number
from ..errors import RepeatedEigenvalue, singular
from ..typing import Array
from .arguments import as_matrix
from .clusters import CLUSTER
from .evaluation import Arrays, Evaluation, Rule, number
from .singular import require_kernel_kept


def frobenius_norm(A: Array) -> Evaluation[float]:
    """‖A‖_F = (Σ |a_ij|²)^½, with the gradient A / ‖A‖_F (eq. 387).

    Equation 387 is that of docs/math/matrix_functions.md. At A = 0 `vjp` returns the
    subgradient 0, and `jvp` and `hvp` raise SingularMatrix.

    Parameters
    ----------
    A : (m, n) array
        A matrix, real or complex.

    Returns
    -------
    Evaluation
        The norm, a float, with vjp, jvp and hvp.

    Raises
    ------
    SingularMatrix
        In `jvp` and `hvp`, if A = 0.
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a matrix of numbers.
    """
    A = as_matrix("frobenius_norm", "A", A)
    size = float(np.abs(A).max())
    norm = size * float(np.linalg.norm(A / size)) if size > 0.0 else 0.0
    unit = A / norm if norm > 0.0 else np.zeros_like(A)

    def push(dots: Arrays) -> Arrays:
        _require_nonzero("frobenius_norm", norm, dots[0])
        return (_inner(unit, dots[0]),)

    def pull(bars: Arrays) -> Arrays:
        return (bars[0] * unit,)

    def second(bars: Arrays, dots: Arrays) -> Arrays:
        _require_nonzero("frobenius_norm", norm, dots[0])
        return (bars[0] * (dots[0] - _inner(unit, dots[0]) * unit) / (norm or 1.0),)

    out = np.asarray(norm)
    rule = Rule("frobenius_norm", ("A",), (A,), (out,), push, pull, second)
    return Evaluation(norm, rule, number)


def spectral_norm(A: Array) -> Evaluation[float]:
    """‖A‖₂ = s₁, the largest singular value, with the gradient u₁ v₁ᴴ (eq. 387).

    Equation 387 is that of docs/math/matrix_functions.md.

    Parameters
    ----------
    A : (m, n) array
        A matrix, real or complex.

    Returns
    -------
    Evaluation
        The norm, a float, with vjp and jvp.

    Raises
    ------
    RepeatedEigenvalue
        In `vjp` and `jvp`, if the largest singular value is repeated: the norm has a kink. A
        smooth neighbour is `schatten_norm` with a large p.
    SingularMatrix
        In `jvp`, if A = 0; `vjp` returns the subgradient 0 there.
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a matrix of numbers.
    """
    who = "spectral_norm"
    A = as_matrix(who, "A", A)
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    unit = np.outer(U[:, 0], Vh[0]) if s[0] > 0.0 else np.zeros_like(A)

    def gradient() -> Array:
        if len(s) > 1 and s[0] > 0.0 and not s[0] - s[1] > CLUSTER * s[0]:
            raise RepeatedEigenvalue(
                f"spectral_norm: the largest singular value {s[0]:.10g} is repeated, and the norm "
                "has no derivative. Remedy: schatten_norm(A, p) with a large p, such as 20"
            )
        return unit

    def push(dots: Arrays) -> Arrays:
        _require_nonzero(who, float(s[0]), dots[0])
        return (_inner(gradient(), dots[0]),)

    def pull(bars: Arrays) -> Arrays:
        return (bars[0] * gradient(),)

    rule = Rule(who, ("A",), (A,), (np.asarray(s[0]),), push, pull)
    return Evaluation(float(s[0]), rule, number)


def nuclear_norm(A: Array) -> Evaluation[float]:
    """‖A‖_* = Σ s_i, with the gradient Σ u_i v_iᴴ over s_i > 0 (eq. 387).

    Equation 387 is that of docs/math/matrix_functions.md. At zero singular values the norm has
    a kink: `vjp` returns the subgradient of least norm, which contains nonzero singular
    values only, and `jvp` raises SingularMatrix if the tangent moves a zero singular value.
    Equal singular values do no harm. A singular value counts as zero below ε max(m, n) s₁.

    Parameters
    ----------
    A : (m, n) array
        A matrix, real or complex.

    Returns
    -------
    Evaluation
        The norm, a float, with vjp and jvp.

    Raises
    ------
    SingularMatrix
        In `jvp`, if the tangent moves a zero singular value.
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a matrix of numbers.

    References
    ----------
    Watson (1992), Characterization of the subdifferential of some matrix norms, Linear
    Algebra Appl. 170, 33.

    Examples
    --------
    >>> import numpy as np
    >>> from adjoint import dense
    >>> y = dense.nuclear_norm(np.diag([3.0, 0.0]))
    >>> print(round(y.value, 6), y.vjp(1.0).tolist())
    3.0 [[1.0, 0.0], [0.0, 0.0]]
    """
    return _schatten("nuclear_norm", as_matrix("nuclear_norm", "A", A), 1.0)


def schatten_norm(A: Array, p: float) -> Evaluation[float]:
    """(Σ s_iᵖ)^(1/p), 1 ≤ p < ∞: p = 1 nuclear, p = 2 Frobenius (eq. 387).

    Equation 387 is that of docs/math/matrix_functions.md. For p > 1 the norm is smooth but at
    A = 0, where `vjp` returns the subgradient 0. For p = 1 see `nuclear_norm`.

    Parameters
    ----------
    A : (m, n) array
        A matrix, real or complex.
    p : float
        The exponent, at least 1; `spectral_norm` is the limit of large p.

    Returns
    -------
    Evaluation
        The norm, a float, with vjp and jvp.

    Raises
    ------
    SingularMatrix
        In `jvp`, if A = 0, or if p = 1 and the tangent moves a zero singular value.
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a matrix of numbers, or if p is not a number from 1 to ∞, ∞ excluded.
    """
    A = as_matrix("schatten_norm", "A", A)
    require_number("schatten_norm", "p", p)
    if not 1.0 <= p < np.inf:
        raise ValueError(
            f"schatten_norm: got p={p}, expected 1 ≤ p < inf; spectral_norm is the limit p = inf"
        )
    return _schatten("schatten_norm", A, float(p))


def _schatten(who: str, A: Array, p: float) -> Evaluation[float]:
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    relative = s / s[0] if s[0] > 0.0 else np.zeros_like(s)
    if p == 1.0:  # The powers 0⁰ of zero singular values are 0: the subgradient of least norm.
        powers = (relative > max(A.shape) * np.finfo(float).eps).astype(float)
    else:
        powers = relative ** (p - 1.0)
    total = float((relative**p).sum()) ** (1.0 / p)
    unit = (U * (powers / (total or 1.0) ** (p - 1.0))) @ Vh
    norm = float(s[0]) * total

    def push(dots: Arrays) -> Arrays:
        _require_nonzero(who, norm, dots[0])
        if p == 1.0:
            require_kernel_kept(who, A, U, s, Vh, dots[0])
        return (_inner(unit, dots[0]),)

    def pull(bars: Arrays) -> Arrays:
        return (bars[0] * unit,)

    return Evaluation(norm, Rule(who, ("A",), (A,), (np.asarray(norm),), push, pull), number)


def _require_nonzero(who: str, norm: float, dot: Array) -> None:
    if norm == 0.0 and np.any(dot):
        raise singular(
            f"{who}:",
            "the matrix is zero",
            "A norm has a kink at zero, as |x| has. vjp returns the subgradient 0 there.",
        )


def _inner(A: Array, B: Array) -> Array:
    """Re Σ conj(a_ij) b_ij."""
    return np.asarray(np.einsum("ij,ij->", A.conj(), B).real)
