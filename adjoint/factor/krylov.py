"""Krylov factorizers: `cg(amg())(A)` solves as `cholesky(A)` does, without factors, to a relative tolerance.

Saad (2003), Iterative Methods for Sparse Linear Systems, 2nd ed., sections 6.5, 6.7 and 9.2. The loops are SciPy's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator
from scipy.sparse.linalg import cg as scipy_cg
from scipy.sparse.linalg import gmres as scipy_gmres

from ..arguments import has, named, require_integer, require_number
from ..arrays import Array, Trans
from .accuracy import Symmetry, product, require_symmetric
from .counting import Counts, collecting, count, phase
from .errors import KrylovStalled, SolveError
from .factorization import Factorization
from .factors import Accuracy
from .matrix import SparseMatrix, as_csc
from .preconditioners import Approximation, Preconditioner, require_preconditioner

Iteration = Callable[[LinearOperator, Array, LinearOperator, float], tuple[Array, int]]
"""(A, b, M, rtol) -> u, and the iterations spent; ‖b‖ = 1. Whether u is good is for the caller to see."""

SLACK = 2.0
"""The iteration stops by a recursive residual; the true one, which decides, may be so much larger."""

ROUNDING = 8.0 * float(np.finfo(float).eps)
"""Times |A||u|: the residual that the rounding errors of a few products leave."""


@dataclass(frozen=True, eq=False)
class _Iterative:
    """What stands for factors: A itself, and M ≈ A⁻¹."""

    A: sparse.csc_array
    approximation: Approximation
    method: "Krylov"
    name: str

    @property
    def backend(self) -> str:
        return f"{self.method.label} with {self.approximation.backend}"

    def solve(self, b: Array, trans: Trans) -> Array:
        return np.column_stack([self._column(column, trans) for column in b.T])

    def _column(self, b: Array, trans: Trans) -> Array:
        largest = np.abs(b).max()
        if largest == 0.0:
            return np.zeros_like(b)
        scale = largest * np.linalg.norm(b / largest)  # No overflow, however large b is.
        rtol = self.method.rtol if trans == "N" else self.method.adjoint_rtol
        b = b / scale
        A = LinearOperator(self.A.shape, dtype=self.A.dtype, matvec=lambda u: product(self.A, u, trans))
        M = LinearOperator(self.A.shape, dtype=self.A.dtype, matvec=lambda r: self.approximation.apply(r, trans))
        u, iterations = self.method.iteration(A, b, M, rtol)
        count(krylov=iterations)
        residual = float(np.linalg.norm(b - product(self.A, u, trans)))
        if not (residual <= SLACK * rtol or residual <= self._rounding(u, trans)):
            raise self._stalled(iterations, residual, rtol, trans)
        solution: Array = u * scale
        return solution

    def _rounding(self, u: Array, trans: Trans) -> float:
        """What rounding leaves of b − Au, in the 2-norm: no method gets below it, direct ones stop there too."""
        return ROUNDING * float(np.linalg.norm(product(abs(self.A), np.abs(u), trans)))

    def _stalled(self, iterations: int, residual: float, rtol: float, trans: Trans) -> SolveError:
        require_symmetric(self.A, self.method.symmetry, self.name)
        return KrylovStalled(
            f"{self.name}, trans={trans!r}: {iterations} iterations left a relative residual of {residual:.1e}, wanted "
            f"is {rtol:.0e}. {self.method.remedy} {self.backend}; stronger are adjoint.amg (with the near-nullspace, "
            "for elasticity) and adjoint.ilu; else more max_iterations, a tolerance that rounding allows, or a direct "
            "factorizer."
        )

    def log_abs_det(self) -> float:
        raise SolveError(f"{self.name}: an iteration has no determinant. Use adjoint.cholesky, ldl or lu for logdet().")


@dataclass(frozen=True, eq=False)
class Krylov:
    """A factorizer without factors: `Krylov(...)(A)` sets the preconditioner up, solves iterate.

    label: of the method, for messages; symmetry: what it takes A for; iteration: the method. rtol, adjoint_rtol: each
    column is iterated until ‖b − Au‖₂ ≤ rtol ‖b‖₂, with A and with Aᵀ or Aᴴ; the true residual, which decides, may be
    SLACK times that, or rounding. remedy: the method's own, for messages. Made by `cg` and `gmres`.
    """

    label: str
    symmetry: Symmetry
    iteration: Iteration
    preconditioner: Preconditioner
    rtol: float
    adjoint_rtol: float
    remedy: str

    def __call__(self, A: SparseMatrix | Array) -> Factorization:
        """Make A's preconditioner: (n, n), sparse or dense, float64 or complex128.

        Raises what `Direct.__call__` raises, and what the preconditioner does; `solve` raises KrylovStalled.
        """
        A = as_csc(A)
        counts = Counts()
        with collecting(counts), phase("factor"):
            count(numeric=1)
            approximation = self.preconditioner(A, self.symmetry)
        if not has(approximation, "apply"):
            raise TypeError(
                f"{self.label}: the preconditioner returned {named(approximation)}, expected an Approximation, with a "
                "method apply(b, trans): see adjoint.jacobi()"
            )
        return self._iterating(A, approximation, counts)

    def nearby(self, A: SparseMatrix | Array, made: Factorization) -> Factorization:
        """Iterate with A, preconditioned by what was set up for a matrix nearby: nothing is set up.

        made: by this method, with these or other tolerances. Raises TypeError for a direct factorization.
        """
        if not isinstance(made.factors, _Iterative):
            raise TypeError(f"got {made}, expected a factorization made by {self.label}")
        return self._iterating(as_csc(A), made.factors.approximation, Counts())

    def _iterating(self, A: sparse.csc_array, approximation: Approximation, counts: Counts) -> Factorization:
        n = A.shape[0]
        name = f"{self.label} for a {n}x{n} matrix"
        # The 2-norms of the residuals are verified; in the ∞-norm they may be √n further apart.
        worst = SLACK * max(self.rtol, self.adjoint_rtol) * np.sqrt(n)
        accuracy = Accuracy(worst, worst, rows=False, probe=False)
        return Factorization(A, _Iterative(A, approximation, self, name), self.symmetry, accuracy, name, counts)


@dataclass(frozen=True)
class _ConjugateGradients:
    """An `Iteration`: SciPy's cg."""

    max_iterations: int

    def __call__(self, A: LinearOperator, b: Array, M: LinearOperator, tolerance: float) -> tuple[Array, int]:
        steps: list[None] = []
        u, _ = scipy_cg(
            A, b, rtol=tolerance, atol=0.0, maxiter=self.max_iterations, M=M, callback=lambda u: steps.append(None)
        )
        return u, len(steps)


@dataclass(frozen=True)
class _MinimalResiduals:
    """An `Iteration`: SciPy's gmres, restarted."""

    max_iterations: int
    restart: int

    def __call__(self, A: LinearOperator, b: Array, M: LinearOperator, tolerance: float) -> tuple[Array, int]:
        steps: list[None] = []
        u, _ = scipy_gmres(
            A,
            b,
            rtol=tolerance,
            atol=0.0,
            restart=min(self.restart, b.size, self.max_iterations),
            maxiter=max(1, self.max_iterations // self.restart),
            M=M,
            callback=lambda norm: steps.append(None),
            callback_type="pr_norm",
        )
        return u, len(steps)


def _require_tolerances(who: str, rtol: float, adjoint_rtol: float, max_iterations: int) -> None:
    for name, tolerance in (("rtol", rtol), ("adjoint_rtol", adjoint_rtol)):
        require_number(who, name, tolerance)
        if not 0.0 < tolerance < 1.0:
            raise ValueError(f"{who}: got {name}={tolerance}, expected a relative tolerance between 0 and 1")
    require_integer(who, "max_iterations", max_iterations, 1)


def cg(
    preconditioner: Preconditioner,
    *,
    rtol: float = 1e-10,
    adjoint_rtol: float = 1e-10,
    max_iterations: int = 1000,
) -> Krylov:
    """Conjugate gradients, for a symmetric (Hermitian) positive definite A: A u = b to ‖b − Au‖₂ ≤ rtol ‖b‖₂.

    preconditioner: `amg(...)` for elliptic problems, `jacobi()`, or a function A, symmetry -> Approximation, itself
    symmetric positive definite. adjoint_rtol: for transposed solves.
    """
    _require_tolerances("cg", rtol, adjoint_rtol, max_iterations)
    require_preconditioner("cg", preconditioner)
    remedy = "Usual causes: A is not positive definite (use adjoint.gmres, ldl), or the preconditioner is too weak:"
    return Krylov("CG", "hermitian", _ConjugateGradients(max_iterations), preconditioner, rtol, adjoint_rtol, remedy)


def gmres(
    preconditioner: Preconditioner,
    *,
    rtol: float = 1e-10,
    adjoint_rtol: float = 1e-10,
    max_iterations: int = 1000,
    restart: int = 50,
) -> Krylov:
    """Restarted GMRES, for any A: A u = b to ‖b − Au‖₂ ≤ rtol ‖b‖₂; keeps `restart` vectors.

    preconditioner: `ilu()`, `amg(...)`, `jacobi()`, or a function A, symmetry -> Approximation.
    adjoint_rtol: for transposed solves, with the transposed preconditioner.
    """
    _require_tolerances("gmres", rtol, adjoint_rtol, max_iterations)
    require_preconditioner("gmres", preconditioner)
    require_integer("gmres", "restart", restart, 1)
    remedy = f"Usual causes: restart={restart} is too short, A is close to singular, or the preconditioner is too weak:"
    iteration = _MinimalResiduals(max_iterations, restart)
    return Krylov("GMRES", "none", iteration, preconditioner, rtol, adjoint_rtol, remedy)
