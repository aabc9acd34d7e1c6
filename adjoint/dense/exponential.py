"""The matrix exponential e^A, and its action e^A b."""

from collections.abc import Callable

import numpy as np
import scipy.linalg as linalg

from .._validation import as_array
from ..errors import NonFinite
from ..typing import Array
from .arguments import as_square, finite
from .evaluation import Arrays, Evaluation, PairEvaluation, Rule, only, outer


def expm(A: Array) -> Evaluation[Array]:
    """e^A with its Fréchet derivative L(A, Ȧ); the adjoint of L(A, ·) is L(Aᴴ, ·) (eq. 375).

    Equation 375 is that of docs/math/matrix_functions.md. Value and derivatives are those of
    `scipy.linalg.expm` and `scipy.linalg.expm_frechet`.

    Parameters
    ----------
    A : (n, n) array
        A matrix, real or complex.

    Returns
    -------
    Evaluation
        e^A, (n, n), with vjp, jvp and hvp.

    Raises
    ------
    NonFinite
        If A contains nan or inf, or if e^A overflows.
    TypeError, ValueError
        If A is not a square matrix of numbers.

    References
    ----------
    Al-Mohy & Higham (2009), SIAM J. Matrix Anal. Appl. 30, 1639. Second derivative: Higham &
    Relton (2014), SIAM J. Matrix Anal. Appl. 35, 1019, as a derivative of a 2 × 2 block
    matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from adjoint import dense
    >>> y = dense.expm(np.array([[0.0, 1.0], [0.0, 0.0]]))
    >>> print(y.value.tolist(), round(y.vjp(np.eye(2))[0, 0], 6))
    [[1.0, 1.0], [0.0, 1.0]] 1.0
    """
    A = as_square("expm", "A", A)
    Y, second = _exponential("expm", A), _second(A)

    def push(dots: Arrays) -> Arrays:
        return (_frechet(A, dots[0]),)

    def pull(bars: Arrays) -> Arrays:
        return (_frechet(A.conj().T, bars[0]),)

    def twice(bars: Arrays, dots: Arrays) -> Arrays:
        return (second(bars[0], dots[0]),)

    return Evaluation(Y, Rule("expm", ("A",), (A,), (Y,), push, pull, twice), only)


def expm_multiply(A: Array, b: Array) -> PairEvaluation[Array]:
    """y = e^A b: b̄ = e^(Aᴴ) ȳ, Ā = L(Aᴴ, ȳ bᴴ) (docs/math/matrix_functions.md, eq. 376).

    e^A is formed once; the value, the cotangent of b and tangents of b reuse e^A.

    Parameters
    ----------
    A : (n, n) array
        A matrix, real or complex.
    b : (n,) or (n, j) array
        One vector or more.

    Returns
    -------
    PairEvaluation
        e^A b, of the shape of b, with vjp and jvp with respect to A and b.

    Raises
    ------
    NonFinite
        If A or b contains nan or inf, or if e^A overflows.
    TypeError, ValueError
        If A is not a square matrix, or if b has another number of rows.

    References
    ----------
    Al-Mohy & Higham (2011), SIAM J. Sci. Comput. 33, 488.
    """
    A = as_square("expm_multiply", "A", A)
    b = finite("expm_multiply", "b", as_array("expm_multiply", "b", b))
    if b.ndim not in (1, 2) or b.shape[0] != len(A) or b.size == 0:
        raise ValueError(
            f"expm_multiply: got b of shape {b.shape}, expected ({len(A)},) or ({len(A)}, j)"
        )
    E = _exponential("expm_multiply", A)
    y = E @ b

    def push(dots: Arrays) -> Arrays:
        return (_frechet(A, dots[0]) @ b + E @ dots[1],)

    def pull(bars: Arrays) -> Arrays:
        return _frechet(A.conj().T, outer(bars[0], b)), E.conj().T @ bars[0]

    rule = Rule("expm_multiply", ("A", "b"), (A, b), (y,), push, pull)
    return PairEvaluation(y, rule, only)


def _exponential(who: str, A: Array) -> Array:
    with np.errstate(all="ignore"):
        Y = np.asarray(linalg.expm(A))
    if not np.all(np.isfinite(Y)):
        raise NonFinite(
            f"{who}: e^A overflows: the 1-norm of A is {np.linalg.norm(A, 1):.3g}. Usual causes: "
            "a wrong sign of A, or a time step in another unit"
        )
    return Y


def _frechet(A: Array, E: Array) -> Array:
    """L(A, E), linear in E; E is scaled to 1, so that its units do not matter."""
    scale = float(np.abs(E).max())
    if scale == 0.0:
        return np.zeros(A.shape, dtype=np.result_type(A, E))
    return np.asarray(scale * linalg.expm_frechet(A, E / scale, compute_expm=False))


def _second(A: Array) -> Callable[[Array, Array], Array]:
    """(Ȳ, Ȧ) ↦ the derivative of L(Aᴴ, Ȳ) along Ȧᴴ.

    e^[[Aᴴ, Ȳ], [0, Aᴴ]] has the block L(Aᴴ, Ȳ) at the upper right.
    """
    n = len(A)

    def product(bar: Array, dot: Array) -> Array:
        size = float(np.abs(bar).max())
        if size == 0.0:
            return np.zeros(A.shape, dtype=np.result_type(A, bar, dot))
        # The norm of the block decides the scaling and squaring: Ȳ gets at most the size of A.
        unit = size / max(float(np.abs(A).max()), 1e-3)
        zero = np.zeros((n, n))
        block = np.block([[A.conj().T, bar / unit], [zero, A.conj().T]])
        along = np.block([[dot.conj().T, zero], [zero, dot.conj().T]])
        return unit * _frechet(block, along)[:n, n:]

    return product
