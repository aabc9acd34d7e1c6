"""Protocols that a factorizer must provide: Analysis and Factors, or Approximation.

A factorizer is a callable A ↦ `Factorization`: `lu`, `cholesky`, `ldl`, `cg(…)`,
`gmres(…)`, or a function or object of your own. A factorizer is made of parts. The
parts need no base class, only these methods:

direct     `Direct(label, symmetry, analyse, missing)`, with
               analyse(A)            ↦ `Analysis`, once for each sparsity pattern
               Analysis.factor(A)    ↦ `Factors`, once for each matrix
               Factors.solve(b)      ↦ u with A u = b, Aᵀ u = b or Aᴴ u = b
               Factors.log_abs_det() ↦ log |det A|
           Three methods are optional: `StaticPivoting.doubt`,
           `ConditionEstimate.growth`, `ReadableCholesky.lower`.
iterative  `cg(preconditioner)` or `gmres(preconditioner)`, with
               preconditioner(A, symmetry) ↦ `Approximation`
               Approximation.apply(b)      ↦ M b, Mᵀ b or Mᴴ b with M ≈ A⁻¹

`Factorization` verifies and refines solutions, counts work and writes messages.
`backends/superlu.py` is the shortest complete example.
"""

from typing import Protocol, runtime_checkable

import scipy.sparse as sparse

from ..typing import Array, Trans
from .backward_error import Symmetry


class Analysis(Protocol):
    """Symbolic analysis of one sparsity pattern. Several threads may use it at once."""

    def factor(self, A: sparse.csc_array, name: str) -> "Factors":
        """Factor A.

        Parameters
        ----------
        A : (n, n) csc_array
            Matrix with the pattern that was analysed.
        name : str
            What error messages call the factorization: "LU by SuperLU of a 9x9 matrix".

        Returns
        -------
        Factors
            The factors of A.

        Raises
        ------
        SingularMatrix
            If a pivot is exactly zero.
        NotPositiveDefinite
            If a Cholesky factorization meets a pivot that is not positive.
        OutOfMemory
            If the factors do not fit into memory.
        """


class Factors(Protocol):
    """Factors of one matrix A by a backend, with solves that are not verified."""

    @property
    def backend(self) -> str:
        """Package, version and variant, as `Evidence` prints them."""

    def solve(self, b: Array, trans: Trans) -> Array:
        """Solve A u = b ("N"), Aᵀ u = b ("T") or Aᴴ u = b ("H").

        Parameters
        ----------
        b : (n, k) array
            Right-hand sides, of A's dtype and in Fortran order.
        trans : {"N", "T", "H"}
            The system to solve.

        Returns
        -------
        (n, k) array
            Solutions u. nan and inf are allowed: `Factorization` refuses them.
        """

    def log_abs_det(self) -> float:
        """Return log |det A|; raise SolveError if the factors do not contain the determinant."""


@runtime_checkable
class StaticPivoting(Protocol):
    """Optional part of `Factors`: the pivots were chosen in advance."""

    @property
    def doubt(self) -> float:
        """0 for trustworthy pivots; else max |pivot| / max |a_ij|.

        The pivots are doubtful if some were replaced, or if they have grown too much.
        """


@runtime_checkable
class ConditionEstimate(Protocol):
    """Optional part of `Factors`: a bound of the condition number by a part of a solve.

    This part is useful for backends whose solve with two columns takes twice the time
    of a solve with one column.
    """

    def growth(self, s: Array, r: Array, trans: Trans) -> float:
        """Return an approximate lower bound of cond(D⁻¹A), D = diag(Σ_j |a_ij|).

        For A = L U, max |U⁻¹ s| is such a bound, because pivoting keeps L
        well-conditioned. For A = L D Lᴴ, a bound follows from rᴴ A⁻¹ r.

        Parameters
        ----------
        s : (n, 1) array
            D r.
        r : (n, 1) array
            Random vector.
        trans : {"N", "T", "H"}
            The system that is being solved.

        Returns
        -------
        float
            The bound; inf if a pivot is zero.
        """


@runtime_checkable
class ReadableCholesky(Protocol):
    """Optional part of `Factors`: the Cholesky factor itself, for selected inverses.

    Without this part, `Factorization.selected_inverse` factors A once more, by SuperLU.
    """

    @property
    def maps(self) -> dict[str, object]:
        """A memory for maps of the pattern of A; all factors of one `Analysis` share it."""

    def lower(self) -> tuple[sparse.csc_array, Array] | None:
        """Return the Cholesky factor and the order of the unknowns.

        Returns
        -------
        (L, order), or None
            L, lower triangular (n, n), with sorted columns that begin with the
            diagonal, and order (n,), with A[order][:, order] = L Lᴴ; None if the
            version of the package cannot export them. Entries of L that cancel to zero
            may be missing.
        """


class Approximation(Protocol):
    """M ≈ A⁻¹, the preconditioner of one matrix."""

    @property
    def backend(self) -> str:
        """The name of the preconditioner, as `Evidence` prints it."""

    def apply(self, b: Array, trans: Trans) -> Array:
        """Return M b ("N"), Mᵀ b ("T") or Mᴴ b ("H").

        The transposes must be exact: ⟨M b, c⟩ = ⟨b, Mᴴ c⟩ up to rounding.

        Parameters
        ----------
        b : (n,) array
            Vector, real or complex.
        trans : {"N", "T", "H"}
            "N" for M b, "T" for Mᵀ b, "H" for Mᴴ b.

        Returns
        -------
        (n,) array
            The product.
        """


class Preconditioner(Protocol):
    """A callable (A, symmetry) ↦ M ≈ A⁻¹, for instance `jacobi()` or a function of your own."""

    def __call__(self, A: sparse.csc_array, symmetry: Symmetry, /) -> Approximation:
        """Make M for A, (n, n). symmetry: "hermitian" for `cg`, "none" for `gmres`."""
