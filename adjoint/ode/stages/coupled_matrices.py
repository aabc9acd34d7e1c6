"""The matrices of all stages of a step, I ⊗ M − h A ⊗ J, for coupled stages.

Vectors hold the stages one after another, (s·n,) or (s·n, j). Source: Hairer & Wanner
(1996), Solving ODEs II, section IV.8.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import scipy.sparse as sparse

from ...errors import NotSymmetric
from ...factor.factorizers import lu
from ...typing import Array, SparseMatrix, Trans
from ..discontinuities.one_sided_times import Interval
from ..equations import System
from ..methods.tableau import Eigenpair, Tableau
from .stage_matrices import Algebra, Inverse, SparseInverse, dense_inverse, product

Jacobian: TypeAlias = Array | sparse.csc_array


@dataclass(frozen=True, eq=False)
class CoupledInverse:
    """The factors that Newton's iterations of a step with coupled stages use.

    stages: factors of the matrix of all stages. factor: a function that factors M − hγ
    J.
    """

    stages: Inverse
    factor: Callable[[], Inverse]

    @cached_property
    def single(self) -> Inverse:
        """The factors of M − hγ J with the real eigenvalue γ of A, for the error estimate."""
        return self.factor()

    @property
    def nbytes(self) -> int:
        """The bytes of the factors of all stages.

        Sparse factors include the factors `single`. Dense factors `single` are small,
        and not counted.
        """
        return self.stages.nbytes

    def solve(self, b: Array, trans: Trans) -> Array:
        """The solution for all stages; b: (s·n,) or (s·n, j)."""
        return self.stages.solve(b, trans)


def newton_factors(system: System, tableau: Tableau, t: float, u: Array, hg: float) -> Inverse:
    """The factors of Newton's method for the stages of a step, with the Jacobian at (t, u)."""
    if not tableau.coupled:
        return system.inverse(t, u, hg)
    system.statistics.factorizations += 1
    return coupled_inverse(system.newton_algebra, tableau, system.jacobian(t, u), hg)


def coupled_inverse(algebra: Algebra, tableau: Tableau, J: Jacobian, hg: float) -> CoupledInverse:
    """The factors of I ⊗ M − h A ⊗ J with one J for all stages.

    hg: hγ. Raises SingularMatrix if the matrix is singular, NonFinite if an entry is
    nan or inf.
    """
    h = hg / tableau.gamma
    if isinstance(J, np.ndarray):
        dense = dense_inverse(_blocks(algebra, h * tableau.A, J[None]), "I x M - h A x J")
        return CoupledInverse(dense, lambda: algebra.inverse(J, hg))
    modes = tuple(
        Mode(pair, _mode_inverse(algebra, tableau, J, h * pair.value))
        for pair in tableau.eigenpairs(algebra.is_complex)
    )
    return CoupledInverse(
        TransformedInverse(tableau.stages, not algebra.is_complex, modes), lambda: modes[0].inverse
    )


def _mode_inverse(
    algebra: Algebra, tableau: Tableau, J: sparse.csc_array, shift: complex
) -> SparseInverse:
    """The factors of M − hλ J for one eigenvalue λ; shift: hλ.

    Raises NotSymmetric, with the remedy, if the factorizer refuses a complex shift.
    """
    try:
        return algebra.sparse_inverse(J, shift)
    except NotSymmetric as error:
        if isinstance(shift, float):
            raise
        raise NotSymmetric(
            f"{tableau.name} factors the matrices M - h lambda J with complex lambda, which are "
            "not Hermitian. Use factorize=adjoint.ldl if M and J are symmetric, adjoint.lu if "
            "they are not, or a method whose matrices are real, such as adjoint.ode.ESDIRK5()."
        ) from error


@dataclass(frozen=True, eq=False)
class Mode:
    """An eigenvalue λ of A with its eigenvectors, and the factors of M − hλ J."""

    pair: Eigenpair
    inverse: SparseInverse


@dataclass(frozen=True, eq=False)
class TransformedInverse:
    """(T ⊗ I) (I ⊗ M − h Λ ⊗ J)⁻¹ (T⁻¹ ⊗ I) with A = T Λ T⁻¹: one real and some complex matrices.

    real: True if M and J are real, so that one mode of each complex pair is enough.
    Source: Butcher (1976), BIT 16, 237.
    """

    stages: int
    real: bool
    modes: tuple[Mode, ...]

    @property
    def nbytes(self) -> int:
        """The bytes of all factors, estimated; complex entries take twice as many bytes."""
        return sum(
            mode.inverse.nbytes * (2 if mode.pair.row.dtype.kind == "c" else 1)
            for mode in self.modes
        )

    def solve(self, b: Array, trans: Trans) -> Array:
        """The solution for b, (s·n,) or (s·n, j)."""
        if self.real and b.dtype.kind == "c":
            return self.solve(b.real, trans) + 1j * self.solve(b.imag, trans)
        B = b.reshape(self.stages, -1, *b.shape[1:])
        total = np.zeros_like(B)
        for mode in self.modes:
            pair = mode.pair
            into, out = (pair.row, pair.column) if trans == "N" else (pair.column, pair.row)
            if trans == "H":
                into, out = into.conj(), out.conj()
            z = mode.inverse.solve(np.einsum("i,i...->...", into, B), trans)
            share = np.multiply.outer(pair.weight * out, z)
            total += share.real if self.real else share
        return total.reshape(b.shape)


def coupled_stage_matrix(
    system: System, tableau: Tableau, step: Interval, Y: Array
) -> "CoupledStages":
    """The matrix of all stages of a step, with ∂f/∂u at each stage.

    The Jacobians are copied, because the field may write its next Jacobian into the
    same array. Y: (s, n), the stage values.
    """
    times, h = tableau.times(step), step.h
    if not system.algebra.dense:
        sparse_ones = [
            sparse.csc_array(system.jacobian(ti, y)).copy() for ti, y in zip(times, Y, strict=True)
        ]
        return CoupledStages(system.algebra, h * tableau.A, sparse_ones)
    J = np.empty(
        (len(times), system.n, system.n), dtype=np.float64 if system.perturbed else system.dtype
    )
    for i, ti in enumerate(times):
        J[i] = system.jacobian(ti, Y[i])
    return CoupledStages(system.algebra, h * tableau.A, J)


@dataclass(frozen=True, eq=False)
class CoupledStages:
    """I ⊗ M − diag(J_i) (A ⊗ I), with one J_i per stage.

    algebra: M, and the factorizer. A: h times the coefficients of the method, (s, s).
    J: (s, n, n) array, or s sparse matrices.
    """

    algebra: Algebra
    A: Array
    J: Array | Sequence[sparse.csc_array]

    @property
    def dense(self) -> bool:
        """True if the J_i are dense arrays."""
        return isinstance(self.J, np.ndarray)

    def product(self, v: Array, trans: Trans) -> Array:
        """The matrix times v, or its conjugate transpose times v; v: (s·n,) or (s·n, j)."""
        M, V = self.algebra.mass, v.reshape(len(self.J), -1, *v.shape[1:])
        y = V.copy() if M is None else np.stack([product(M, Vi, trans) for Vi in V])
        if trans == "N":
            # Σ_j a_ij v_j is the change of the value of stage i.
            for yi, Ji, change in zip(
                y, self.J, np.einsum("ij,j...->i...", self.A, V), strict=True
            ):
                yi -= product(Ji, change, "N")
        else:
            y -= np.einsum("ji,j...->i...", self.A, self.slopes(V))
        return y.reshape(v.shape)

    def slopes(self, W: Array) -> Array:
        """J_iᴴ w_i for all stages, (s, n, j)."""
        if isinstance(self.J, np.ndarray):
            return np.asarray(np.matmul(self.J.conj().swapaxes(1, 2), W))
        return np.stack([product(Ji, wi, "H") for Ji, wi in zip(self.J, W, strict=True)])

    def inverse(self) -> Inverse:
        """The factors of the matrix of all stages.

        Raises SingularMatrix if the matrix is singular, NonFinite if an entry is nan or
        inf.
        """
        if isinstance(self.J, np.ndarray):
            return dense_inverse(_blocks(self.algebra, self.A, self.J), "I x M - h A x J")
        A = self._assembled()
        try:
            return self.algebra.factored(A)
        except NotSymmetric:  # The matrix is not symmetric, even if M and J are.
            return SparseInverse(lu(A), False)

    def _assembled(self) -> sparse.csc_array:
        """The matrix of all stages, sparse."""
        M, n = self.algebra.mass, self.algebra.n
        single: SparseMatrix = (
            sparse.eye_array(n, format="csc") if M is None else sparse.csc_array(M)
        )
        rows = [
            [single - a * Ji if i == j else -a * Ji for j, a in enumerate(row)]
            for i, (row, Ji) in enumerate(zip(self.A, self.J, strict=True))
        ]
        A = sparse.csc_array(sparse.block_array(rows, format="csc"))
        A.sum_duplicates()
        return A


def _blocks(algebra: Algebra, A: Array, J: Array) -> Array:
    """I ⊗ M − diag(J_i) (A ⊗ I), dense (s·n, s·n); J: (s, n, n), or (1, n, n) for one J."""
    s, n, M = A.shape[0], J.shape[-1], algebra.mass
    blocks = np.multiply(-A[:, None, :, None], J[:, :, None, :], order="C")
    if M is None:
        blocks.reshape(-1)[:: s * n + 1] += 1.0
    else:
        blocks = blocks.astype(np.result_type(blocks, M), copy=False)
        for i in range(s):
            blocks[i, :, i] += M
    return blocks.reshape(s * n, s * n)
