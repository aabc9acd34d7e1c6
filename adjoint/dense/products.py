"""Kronecker products, and vec: the columns of a matrix one below the other."""

import numpy as np

from .._validation import as_array, require_integer
from ..typing import Array
from .arguments import as_matrix, finite
from .evaluation import Arrays, PairEvaluation, Rule, only


def vec(A: Array) -> Array:
    """vec A: the columns of A, one below the other, so that vec(A X B) = (Bᵀ ⊗ A) vec X.

    See docs/math/matrix_functions.md, eq. 388. vec is linear; its adjoint is `unvec`.

    Parameters
    ----------
    A : (m, n) array
        A matrix.

    Returns
    -------
    (m n,) array
        Entry i + m j is a_ij (column-major order).

    Raises
    ------
    NonFinite
        If A contains nan or inf.
    TypeError, ValueError
        If A is not a matrix of numbers.
    """
    return as_matrix("vec", "A", A).ravel(order="F")


def unvec(a: Array, rows: int) -> Array:
    """The matrix A with vec A = a (docs/math/matrix_functions.md, eq. 388).

    Parameters
    ----------
    a : (m n,) array
        The columns of A, one below the other.
    rows : int
        m, the number of rows of A.

    Returns
    -------
    (m, n) array
        A.

    Raises
    ------
    NonFinite
        If a contains nan or inf.
    TypeError, ValueError
        If a is not a vector whose length is a multiple of `rows`.
    """
    require_integer("unvec", "rows", rows, 1)
    a = finite("unvec", "a", as_array("unvec", "a", a))
    if a.ndim != 1 or a.size == 0 or a.size % rows:
        raise ValueError(f"unvec: got a of shape {a.shape}, expected (m n,) with m = {rows}")
    return a.reshape((rows, -1), order="F")


def kron(A: Array, B: Array) -> PairEvaluation[Array]:
    """A ⊗ B, the blocks a_ij B; d(A ⊗ B) = dA ⊗ B + A ⊗ dB (eq. 389).

    Equation 389 is that of docs/math/matrix_functions.md.

    Parameters
    ----------
    A : (m, n) array
        A matrix, real or complex.
    B : (k, l) array
        A matrix, real or complex.

    Returns
    -------
    PairEvaluation
        The Kronecker product, (m k, n l), with vjp and jvp with respect to A and B.

    Raises
    ------
    NonFinite
        If A or B contains nan or inf.
    TypeError, ValueError
        If A or B is not a matrix of numbers.
    """
    A, B = as_matrix("kron", "A", A), as_matrix("kron", "B", B)
    value = np.kron(A, B)

    def push(dots: Arrays) -> Arrays:
        return (np.kron(dots[0], B) + np.kron(A, dots[1]),)

    def pull(bars: Arrays) -> Arrays:
        blocks = bars[0].reshape(A.shape[0], B.shape[0], A.shape[1], B.shape[1])
        return (
            np.einsum("ikjl,kl->ij", blocks, B.conj()),
            np.einsum("ikjl,ij->kl", blocks, A.conj()),
        )

    return PairEvaluation(value, Rule("kron", ("A", "B"), (A, B), (value,), push, pull), only)
