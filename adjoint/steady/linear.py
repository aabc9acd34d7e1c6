"""Linear problems A(p) u = b(p), with or without Dirichlet data."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Portable, short_repr
from .._optional_methods import checked_matrix_hvp, checked_vector_hvp
from .._validation import as_array, as_parameters, named, require_kind, require_methods
from ..factor.counts import Counts, collecting, phase
from ..factor.csc import as_csc, as_right_hand_side, owned
from ..factor.factorization import Factorizer
from ..factor.factorizers import factored, lu, require_factorizer
from ..factor.krylov import Krylov
from ..matrices.affine import Constant
from ..matrices.vectors import ConstantVector
from ..protocols import Matrix, Residual, Vector
from ..typing import Array, SparseMatrix
from .dirichlet import Constrained, Dirichlet, less, within
from .reuse import CachedAdjoint, SpanReuse
from .solution import SteadySolution


@dataclass(frozen=True, eq=False)
class LinearResidual:
    """R(u, p) = A(p) u − b(p) (docs/math/steady.md, eq. 5).

    This class implements `adjoint.protocols.Residual`.

    Parameters
    ----------
    A : Matrix
        A(p), (n, n), with its derivatives.
    b : Vector
        b(p), (n,) or (n, k), with its derivatives.
    """

    A: Matrix
    b: Vector

    __repr__ = short_repr

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), of u's shape."""
        return np.asarray(self.A(p) @ u - self.b(p))

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u = A(p), (n, n)."""
        return self.A(p)

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᴴ λ, (m,)."""
        return less("vjp", self.A.vjp(p, u, lam), self.b.vjp(p, lam))

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, of u's shape."""
        for name, given in (("A", self.A), ("b", self.b)):
            require_methods("jvp", name, given, ("jvp",), "its derivative along p_dot")
        return less("jvp", self.A.jvp(p, u, p_dot), self.b.jvp(p, p_dot))

    def hvp(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """Return the rates of (Aᴴ λ, A.vjp(p, u, λ) − b.vjp(p, λ)) along (u̇, ṗ).

        The first rate has u's shape, the second rate has the shape (m,). λ is held
        fixed.

        Raises TypeError if A or b has no `hvp`.
        """
        u_part, A_part = checked_matrix_hvp(self.A, p, u, lam, p_dot)
        return u_part, less(
            "hvp", self.A.vjp(p, u_dot, lam) + A_part, checked_vector_hvp(self.b, p, lam, p_dot)
        )


@dataclass(frozen=True, eq=False)
class LinearProblem(Portable):
    """A(p) u = b(p): one factorization gives u and all its derivatives.

    Parameters
    ----------
    A : Matrix, or (n, n) sparse matrix
        A(p), or a matrix that does not depend on p.
    b : Vector, or (n,) or (n, k) array
        b(p), or an array that does not depend on p; k columns are k load cases.
    factorize : callable
        The factorizer, which also states what A is: `lu` (regular), `cholesky`
        (symmetric positive definite), `ldl` (symmetric), a factorizer of one backend,
        `cg(...)` or `gmres(...)`.
    dirichlet : Dirichlet, optional
        Unknowns with given values. A, b and u keep their size n; the rows of A and b
        for these unknowns are not used.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or lacks a method.
    """

    A: Matrix | SparseMatrix
    b: Vector | Array
    factorize: Factorizer = lu
    dirichlet: Dirichlet | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not sparse.issparse(self.A):
            expected = "a Matrix or a sparse matrix; a dense A: scipy.sparse.csc_array(A)"
            require_methods("LinearProblem", "A", self.A, ("__call__", "vjp"), expected)
        if not isinstance(self.b, np.ndarray | list):
            expected = "a Vector or an array (n,)"
            require_methods("LinearProblem", "b", self.b, ("__call__", "vjp"), expected)
        else:
            as_array("LinearProblem", "b", self.b)
        require_factorizer("LinearProblem", self.factorize)
        require_kind(
            "LinearProblem", "dirichlet", self.dirichlet, Dirichlet | None, "adjoint.Dirichlet(…)"
        )
        _ = self._equation

    @cached_property
    def _equation(self) -> LinearResidual:
        A = self.A if callable(self.A) else Constant(self.A)
        b = ConstantVector(np.asarray(self.b)) if isinstance(self.b, np.ndarray | list) else self.b
        return LinearResidual(A, b)

    @cached_property
    def residual(self) -> Residual:
        """R(u, p) of this problem, with rows u − g(p) for Dirichlet data."""
        return (
            self._equation
            if self.dirichlet is None
            else Constrained(self._equation, self.dirichlet)
        )

    @property
    def rtol(self) -> float:
        """The tightest relative tolerance of an iterative solver; 0 for a direct factorizer."""
        if not isinstance(self.factorize, Krylov):
            return 0.0
        return min(self.factorize.rtol, self.factorize.adjoint_rtol)

    def solved_to(self, rtol: float) -> "LinearProblem":
        """Return the problem with looser solves: relative tolerances of at least rtol.

        Parameters
        ----------
        rtol : float
            Relative tolerance, between 0 and 1. Tolerances of `factorize` that are larger
            stay as they are.

        Returns
        -------
        LinearProblem
            The problem with the same A, b and Dirichlet data.

        Raises
        ------
        TypeError
            If `factorize` is a direct factorizer, which has no tolerance.
        ValueError
            Unless rtol lies between 0 and 1.
        """
        if not isinstance(self.factorize, Krylov):
            raise TypeError(
                f"LinearProblem: got the factorizer {named(self.factorize)}, which has no "
                "tolerance, expected an iterative solver for a tolerance of solves: "
                "factorize=adjoint.cg(adjoint.factor.amg()) for symmetric positive definite A, "
                "adjoint.gmres(…) for other A"
            )
        return replace(self, factorize=self.factorize.solved_to(rtol))

    def solve(self, p: Array) -> SteadySolution:
        """Solve A(p) u = b(p) for u, by one factorization and one solve.

        Parameters
        ----------
        p : (m,) array
            Parameters.

        Returns
        -------
        SteadySolution
            u, and the derivatives of p ↦ u.

        Raises
        ------
        SolveError
            Under the conditions of `factorize` and `Factorization.solve`.
        NonFinite
            If A(p), b(p) or p contains nan or inf.
        ValueError, TypeError
            If A(p), b(p) or p has the wrong shape or type.
        """
        p = as_parameters(p)
        p.setflags(write=False)  # The user's functions will see p.
        counts = Counts()
        with collecting(counts):
            with phase("assembly"):
                A = owned(as_csc(self._equation.A(p)))
                rhs = as_right_hand_side(self._equation.b(p), A.shape[0])
            inverse = within(
                self.dirichlet,
                A,
                lambda free: CachedAdjoint(SpanReuse(factored(self.factorize, free))),
            )
            if self.dirichlet is not None:
                g = self.dirichlet.at(p, rhs.shape)
                rhs = rhs.astype(np.result_type(rhs, g))
                rhs[self.dirichlet.fixed] = g
            u = inverse.solve(rhs)
            u.setflags(write=False)  # Later gradients use u, and SpanReuse remembers u.
        return SteadySolution(u, p, self.residual, inverse, counts)
