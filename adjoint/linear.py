"""Linear problems A(p) u = b(p), with Dirichlet data or without."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .arrays import Array
from .dirichlet import Bordered, Dirichlet
from .factor import Counts, Factorization, lu
from .factor.counting import collecting, phase
from .factor.matrix import SparseMatrix, as_csc, as_right_hand_side
from .matrices import Constant, ConstantVector
from .parameters import as_parameters
from .residual import Matrix, Vector
from .span import Inverse, Remembering
from .steady import SteadySolution


@dataclass(frozen=True, eq=False)
class LinearResidual:
    """R(u, p) = A(p) u − b(p), in the rows of the free unknowns, and u − g(p) in those of the fixed ones.

    dirichlet: None if no unknown is fixed. See docs/math.md, eqs. 5 and 10.
    """

    A: Matrix
    b: Vector
    dirichlet: Dirichlet | None

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), of u's shape."""
        r = np.asarray(self.A(p) @ u - self.b(p))
        if self.dirichlet is not None:
            fixed = self.dirichlet.fixed
            r[fixed] = u[fixed] - self.dirichlet.at(p, u.shape)
        return r

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (n, n): A(p), with unit rows for the fixed unknowns."""
        A = self.A(p)
        if self.dirichlet is None:
            return A
        kept = np.ones(A.shape[0])
        kept[self.dirichlet.fixed] = 0.0
        return sparse.csc_array(sparse.diags_array(kept) @ A + sparse.diags_array(1.0 - kept))

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᴴ λ, (m,)."""
        if self.dirichlet is None:
            return _less("vjp", self.A.vjp(p, u, lam), self.b.vjp(p, lam))
        fixed = self.dirichlet.fixed
        reaction = lam[fixed]
        lam = lam.copy()
        lam[fixed] = 0.0
        reaction = reaction.reshape(fixed.size, -1).sum(axis=1)
        physics = _less("vjp", self.A.vjp(p, u, lam), self.b.vjp(p, lam))
        return _less("vjp", physics, self.dirichlet.given.vjp(p, reaction))

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, of u's shape."""
        r = _less("jvp", self.A.jvp(p, u, p_dot), self.b.jvp(p, p_dot))
        if self.dirichlet is not None:
            fixed = self.dirichlet.fixed
            rates = _less("jvp", np.zeros(fixed.size), self.dirichlet.given.jvp(p, p_dot))
            r = r.astype(np.result_type(r, rates), copy=False)  # A and b may have real rates, or integer zeros.
            r[fixed] = rates if u.ndim == 1 else rates[:, None]
        return r


def _less(method: str, first: Array, second: Array) -> Array:
    """first − second, of one shape: NumPy would broadcast a derivative of another one without a word."""
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape:
        raise ValueError(f"the {method} of A, b and Dirichlet values differ in shape: {first.shape}, {second.shape}")
    return np.asarray(first - second)


@dataclass(frozen=True, eq=False)
class LinearProblem:
    """A(p) u = b(p): one factorization gives u, and with it every derivative.

    A: a Matrix, or a sparse matrix that does not depend on p. b: a Vector, or an array (n,), or (n, k) for k
    load cases. factorize: what A is stated to be: `lu` (anything), `cholesky` (positive definite), `ldl`
    (symmetric), a named backend, `cg(...)`, `gmres(...)`. dirichlet: unknowns whose values are given; A, b
    and u keep their full size n, the rows of A and b at fixed unknowns are not used.
    """

    A: Matrix | SparseMatrix
    b: Vector | Array
    factorize: Callable[[sparse.csc_array], Factorization] = lu
    dirichlet: Dirichlet | None = None

    def __post_init__(self) -> None:
        known = (isinstance(self.b, np.ndarray | list) or callable(self.b)) and callable(self.factorize)
        if not (known and (sparse.issparse(self.A) or callable(self.A))):
            raise TypeError(
                f"LinearProblem: got A={type(self.A).__name__}, b={type(self.b).__name__}, "
                f"factorize={type(self.factorize).__name__}; expected a Matrix or a sparse matrix, a Vector or an "
                "array, and a factorizer such as adjoint.lu. A dense A: scipy.sparse.csc_array(A)"
            )

    @cached_property
    def residual(self) -> LinearResidual:
        """R(u, p) of this problem."""
        A = self.A if callable(self.A) else Constant(self.A)
        b = ConstantVector(np.asarray(self.b)) if isinstance(self.b, np.ndarray | list) else self.b
        return LinearResidual(A, b, self.dirichlet)

    def solve(self, p: Array) -> SteadySolution:
        """u with A(p) u = b(p), ready for derivatives; p: (m,).

        One factorization, one solve. Raises the errors of `factorize` and of `Factorization.solve`, ValueError or
        TypeError where A(p), b(p) or p have the wrong shape or type, NonFinite where they hold nan or inf.
        """
        p = as_parameters(p)
        counts = Counts()
        with collecting(counts):
            with phase("assembly"):
                A = as_csc(self.residual.A(p))
                rhs = as_right_hand_side(self.residual.b(p), A.shape[0])
            if self.dirichlet is None:
                inverse: Inverse = Remembering(self.factorize(A))
            else:
                inverse = Bordered.of(A, self.dirichlet, lambda free: Remembering(self.factorize(free)))
                g = self.dirichlet.at(p, rhs.shape)
                rhs = rhs.astype(np.result_type(rhs, g))
                rhs[self.dirichlet.fixed] = g
            u = inverse.solve(rhs)
            u.setflags(write=False)  # Gradients come from it later; and it is remembered.
        return SteadySolution(u, p, self.residual, inverse, counts)
