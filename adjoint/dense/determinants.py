"""Determinants: det A, log|det A|, and log|det A| with the sign or phase."""

import math
from typing import NamedTuple

import numpy as np

from ..errors import NonFinite
from ..typing import Array
from .arguments import as_square
from .equilibrated import EquilibratedLU, equilibrated
from .evaluation import Arrays, Evaluation, Rule, number, only


class SignedLogDet(NamedTuple):
    """det A = sign · exp(logabsdet).

    sign: ±1.0, or a complex number of modulus 1 if A is complex; an array of shape ().
    logabsdet: log|det A|, an array of shape ().
    """

    sign: Array
    logabsdet: Array


def det(A: Array) -> Evaluation[Array]:
    """det A, d det A = tr(adj(A) dA), with the adjugate adj(A) = det(A) A⁻¹ (eq. 373).

    Equation 373 is that of docs/math/matrix_functions.md. The adjugate is computed from the
    singular values, so that value and derivative are right at singular matrices too.

    Parameters
    ----------
    A : (n, n) array
        A matrix, real or complex, singular or not.

    Returns
    -------
    Evaluation
        det A, an array of shape (), with vjp and jvp.

    Raises
    ------
    NonFinite
        If A contains nan or inf, or if det A is outside of the range of floating-point
        numbers: `log_det` is not.
    TypeError, ValueError
        If A is not a square matrix of numbers.

    References
    ----------
    Stewart (1998), On the adjugate matrix, Linear Algebra Appl. 283, 151.
    """
    A = as_square("det", "A", A)
    scaled, r, c = equilibrated(A)
    U, s, Vh = np.linalg.svd(scaled)
    n = len(s)
    s = np.where(s > n * np.finfo(float).eps * s[0], s, 0.0)
    # The phase of unitary factors, without the logarithms of their pivots.
    phase = _unitary_det(U) * _unitary_det(Vh)
    shift = float((r + c).sum())
    value = phase * _product("det", s, shift)
    others = np.array([_product("det", np.delete(s, k), shift) for k in range(n)])
    adjugate = phase * (Vh.conj().T * others) @ U.conj().T * np.exp2(r) * np.exp2(c)[:, None]
    if A.dtype.kind != "c":
        value = value.real
    gradient = adjugate.conj().T

    def push(dots: Arrays) -> Arrays:
        return (np.asarray(np.einsum("ij,ji->", adjugate, dots[0])),)

    def pull(bars: Arrays) -> Arrays:
        return (bars[0] * gradient,)

    out = np.asarray(value)
    return Evaluation(out, Rule("det", ("A",), (A,), (out,), push, pull), only)


def _unitary_det(U: Array) -> complex:
    sign, _ = np.linalg.slogdet(U)
    return complex(sign) if U.dtype.kind == "c" else float(sign)


def _product(who: str, s: Array, shift: float) -> float:
    """2^−shift Π s; raise NonFinite if the result overflows or underflows."""
    if not np.all(s > 0.0):
        return 0.0
    exponent = float(np.log2(s).sum()) - shift
    if not -1022.0 < exponent < 1024.0:
        raise NonFinite(
            f"{who}: the result is about 10^{exponent * math.log10(2.0):.0f}, outside of the "
            "range of floating-point numbers; adjoint.dense.log_det returns the logarithm"
        )
    mantissa, powers = np.frexp(s)
    if s.size > 1000:  # The product of the mantissas, each at least 1/2, could underflow.
        return float(np.exp2(exponent))
    return float(np.ldexp(np.prod(mantissa), int(powers.sum()) - int(shift)))


def slogdet(A: Array) -> Evaluation[SignedLogDet]:
    """(sign, log|det A|), d log det A = tr(A⁻¹ dA) (docs/math/matrix_functions.md, eq. 374).

    The real part of the derivative is that of log|det A|; the imaginary part is that of the
    phase. The sign of a real determinant is constant near A.

    Parameters
    ----------
    A : (n, n) array
        A nonsingular matrix, real or complex.

    Returns
    -------
    Evaluation
        A `SignedLogDet`, with vjp and jvp.

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
    Differentiation, section 2.2.4.
    """
    A = as_square("slogdet", "A", A)
    X, phase, logarithm = _log_det("slogdet", A)
    value = SignedLogDet(np.asarray(phase if A.dtype.kind == "c" else phase.real), logarithm)
    XH = X.conj().T

    def push(dots: Arrays) -> Arrays:
        change = np.einsum("ij,ji->", X, dots[0])
        return np.asarray(1j * value.sign * change.imag if A.dtype.kind == "c" else 0.0), (
            np.asarray(change.real)
        )

    def pull(bars: Arrays) -> Arrays:
        turn = (np.conj(bars[0]) * 1j * phase).real  # d Re(conj(sign_bar) sign) / d phase
        return ((bars[1] + 1j * turn) * XH if A.dtype.kind == "c" else bars[1] * XH,)

    rule = Rule("slogdet", ("A",), (A,), tuple(value), push, pull)
    return Evaluation(value, rule, lambda parts: SignedLogDet(*parts))


def log_det(A: Array) -> Evaluation[float]:
    """log|det A|, with the derivative Re tr(A⁻¹ dA) (docs/math/matrix_functions.md, eq. 374).

    The sign of det A is that of `slogdet`. For sparse A see `adjoint.determinant`.

    Parameters
    ----------
    A : (n, n) array
        A nonsingular matrix, real or complex.

    Returns
    -------
    Evaluation
        log|det A|, a float, with vjp, jvp and hvp.

    Raises
    ------
    SingularMatrix
        If A is singular to working precision, after scaling of its rows and columns.
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a square matrix of numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from adjoint import dense
    >>> y = dense.log_det(np.diag([2.0, 4.0]))
    >>> print(round(y.value, 6), y.vjp(1.0).tolist())
    2.079442 [[0.5, 0.0], [0.0, 0.25]]
    """
    A = as_square("log_det", "A", A)
    X, _, logarithm = _log_det("log_det", A)
    XH = X.conj().T

    def push(dots: Arrays) -> Arrays:
        return (np.asarray(np.einsum("ij,ji->", X, dots[0]).real),)

    def pull(bars: Arrays) -> Arrays:
        return (bars[0] * XH,)

    def second(bars: Arrays, dots: Arrays) -> Arrays:
        return (-bars[0] * (XH @ dots[0].conj().T @ XH),)

    rule = Rule("log_det", ("A",), (A,), (logarithm,), push, pull, second)
    return Evaluation(float(logarithm), rule, number)


def _log_det(who: str, A: Array) -> tuple[Array, complex, Array]:
    """A⁻¹, the phase of det A, and log|det A|."""
    factors = EquilibratedLU.of(who, A)
    phase, logarithm = factors.log_det
    return factors.solve(np.eye(len(A))), phase, np.asarray(logarithm)
