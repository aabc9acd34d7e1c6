"""`cg` and `gmres`: factorizers that make a preconditioner and iterate to a tolerance.

`cg(amg())(A)` is used like `cholesky(A)`. The loops are SciPy's; `krylov_solves.py`
verifies the solutions.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator
from scipy.sparse.linalg import cg as scipy_cg
from scipy.sparse.linalg import gmres as scipy_gmres

from .._dataclasses import short_repr
from .._validation import has, named, require_integer, require_number
from ..typing import Array, SparseMatrix
from .backward_error import Accuracy, Symmetry
from .counts import Counts, collecting, count, phase
from .csc import as_csc
from .evidence import Log
from .factorization import Factorization
from .krylov_solves import SLACK, Iteration, IterativeSolves
from .preconditioners import require_preconditioner
from .protocols import Approximation, Preconditioner


@dataclass(frozen=True, eq=False)
class Krylov:
    """A factorizer without factors: `Krylov(...)(A)` makes a preconditioner; its solves iterate.

    `cg` and `gmres` make these objects. Each column of a right-hand side is iterated
    until ‖b − Au‖₂ ≤ rtol ‖b‖₂. The test at the end uses the true residual b − Au; its
    norm may exceed this limit by a factor of 2, or up to the size of rounding errors.

    Parameters
    ----------
    label : str
        Name of the method, for messages.
    symmetry : {"none", "symmetric", "hermitian"}
        The symmetry of A that the method requires.
    iteration : callable
        (A, b, M, rtol) ↦ u and the number of iterations.
    preconditioner : callable
        (A, symmetry) ↦ M ≈ A⁻¹, an `Approximation`.
    rtol : float
        Relative tolerance of solves with A.
    adjoint_rtol : float
        Relative tolerance of solves with Aᵀ or Aᴴ.
    remedy : str
        Advice for the message of `KrylovStalled`.
    """

    label: str
    symmetry: Symmetry
    iteration: Iteration
    preconditioner: Preconditioner
    rtol: float
    adjoint_rtol: float
    remedy: str = field(repr=False)

    __repr__ = short_repr

    def __call__(self, A: SparseMatrix | Array) -> Factorization:
        """Make the preconditioner of A: (n, n), sparse or dense, float64 or complex128.

        Raises the errors of `Direct.__call__` and of the preconditioner. Solves raise
        KrylovStalled if the tolerance is not reached.
        """
        A = as_csc(A)
        counts = Counts()
        with collecting(counts), phase("factor"):
            count(numeric=1)
            approximation = self.preconditioner(A, self.symmetry)
        if not has(approximation, "apply"):
            raise TypeError(
                f"{self.label}: the preconditioner returned {named(approximation)}, expected an "
                "Approximation, with a method apply(b, trans): see adjoint.factor.jacobi()"
            )
        return self._iterating(A, approximation, counts)

    def solved_to(self, rtol: float) -> "Krylov":
        """Return the factorizer with tolerances of at least rtol: no tighter than its own.

        Parameters
        ----------
        rtol : float
            Relative tolerance, between 0 and 1, of solves with A and of transposed solves.

        Returns
        -------
        Krylov
            The factorizer, with the same preconditioner.

        Raises
        ------
        TypeError, ValueError
            Unless rtol is a number between 0 and 1.
        """
        _require_tolerance(self.label, "rtol", rtol)
        return replace(self, rtol=max(self.rtol, rtol), adjoint_rtol=max(self.adjoint_rtol, rtol))

    def nearby(self, A: SparseMatrix | Array, made: Factorization) -> Factorization:
        """Iterate with A and the preconditioner of a nearby matrix; no preconditioner is made.

        Parameters
        ----------
        A : (n, n) sparse matrix or array
            The matrix, float64 or complex128.
        made : Factorization
            The result of this method for the nearby matrix; its tolerances may differ.

        Returns
        -------
        Factorization
            Solves with A.

        Raises
        ------
        TypeError
            If `made` is a direct factorization.
        """
        if not isinstance(made.factors, IterativeSolves):
            raise TypeError(f"got {made}, expected a factorization made by {self.label}")
        return self._iterating(as_csc(A), made.factors.approximation, Counts())

    def _iterating(
        self, A: sparse.csc_array, approximation: Approximation, counts: Counts
    ) -> Factorization:
        n = A.shape[0]
        name = f"{self.label} for a {n}x{n} matrix"
        # The 2-norms of the residuals are verified; ratios of ∞-norms may be larger by
        # √n.
        worst = SLACK * max(self.rtol, self.adjoint_rtol) * np.sqrt(n)
        accuracy = Accuracy(worst, worst, rows=False, probe=False)
        log = Log()
        iterative = IterativeSolves(A, approximation, self, name, log)
        return Factorization(A, iterative, self.symmetry, accuracy, name, counts, log)


def cg(
    preconditioner: Preconditioner,
    *,
    rtol: float = 1e-10,
    adjoint_rtol: float = 1e-10,
    max_iterations: int = 1000,
) -> Krylov:
    """Solve A u = b to ‖b − Au‖₂ ≤ rtol ‖b‖₂ by conjugate gradients, for positive definite A.

    Parameters
    ----------
    preconditioner : callable
        `amg(...)` for elliptic problems, `jacobi()`, or a function (A, symmetry) ↦
        `Approximation` that is symmetric (Hermitian) positive definite.
    rtol : float
        Relative tolerance of solves with A.
    adjoint_rtol : float
        Relative tolerance of transposed solves, and so of gradients.
    max_iterations : int
        Maximum number of iterations for a column of a right-hand side.

    Returns
    -------
    Krylov
        A factorizer for symmetric (Hermitian) positive definite matrices.

    Raises
    ------
    TypeError
        If `preconditioner` is not callable, or a number has the wrong type.
    ValueError
        Unless tolerances lie between 0 and 1, and max_iterations ≥ 1.
    """
    _require_tolerances("cg", rtol, adjoint_rtol, max_iterations)
    require_preconditioner("cg", preconditioner)
    remedy = (
        "Usual causes: A is not positive definite (use adjoint.gmres, ldl), or the "
        "preconditioner is too weak:"
    )
    return Krylov(
        "CG",
        "hermitian",
        _ConjugateGradients(max_iterations),
        preconditioner,
        rtol,
        adjoint_rtol,
        remedy,
    )


def gmres(
    preconditioner: Preconditioner,
    *,
    rtol: float = 1e-10,
    adjoint_rtol: float = 1e-10,
    max_iterations: int = 1000,
    restart: int = 50,
) -> Krylov:
    """Solve A u = b to ‖b − Au‖₂ ≤ rtol ‖b‖₂ by restarted GMRES, for any regular A.

    Parameters
    ----------
    preconditioner : callable
        `ilu()`, `amg(...)`, `jacobi()`, or a function (A, symmetry) ↦ `Approximation`.
    rtol : float
        Relative tolerance of solves with A.
    adjoint_rtol : float
        Relative tolerance of transposed solves, and so of gradients. These solves use
        the transposed preconditioner.
    max_iterations : int
        Maximum number of iterations for a column of a right-hand side.
    restart : int
        Number of iterations after which GMRES restarts; it stores as many vectors.

    Returns
    -------
    Krylov
        A factorizer for regular matrices.

    Raises
    ------
    TypeError
        If `preconditioner` is not callable, or a number has the wrong type.
    ValueError
        Unless tolerances lie between 0 and 1, max_iterations ≥ 1 and restart ≥ 1.
    """
    _require_tolerances("gmres", rtol, adjoint_rtol, max_iterations)
    require_preconditioner("gmres", preconditioner)
    require_integer("gmres", "restart", restart, 1)
    remedy = (
        f"Usual causes: restart={restart} is too short, A is close to singular, or the "
        "preconditioner is too weak:"
    )
    iteration = _MinimalResiduals(max_iterations, restart)
    return Krylov("GMRES", "none", iteration, preconditioner, rtol, adjoint_rtol, remedy)


@dataclass(frozen=True)
class _ConjugateGradients:
    """Iteration (protocol `Iteration`) by SciPy's conjugate gradients."""

    max_iterations: int

    def __call__(
        self, A: LinearOperator, b: Array, M: LinearOperator, tolerance: float
    ) -> tuple[Array, int]:
        steps: list[None] = []
        u, _ = scipy_cg(
            A,
            b,
            rtol=tolerance,
            atol=0.0,
            maxiter=self.max_iterations,
            M=M,
            callback=lambda u: steps.append(None),
        )
        return u, len(steps)


@dataclass(frozen=True)
class _MinimalResiduals:
    """Iteration (protocol `Iteration`) by SciPy's restarted GMRES."""

    max_iterations: int
    restart: int

    def __call__(
        self, A: LinearOperator, b: Array, M: LinearOperator, tolerance: float
    ) -> tuple[Array, int]:
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
        _require_tolerance(who, name, tolerance)
    require_integer(who, "max_iterations", max_iterations, 1)


def _require_tolerance(who: str, name: str, tolerance: float) -> None:
    require_number(who, name, tolerance)
    if not 0.0 < tolerance < 1.0:
        raise ValueError(
            f"{who}: got {name}={tolerance}, expected a relative tolerance between 0 and 1"
        )
