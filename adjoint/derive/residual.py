"""Residuals R(u, p) from plain functions, by complex steps or finite differences."""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short
from .._validation import first_nonfinite
from ..errors import NonFinite
from ..typing import Array, SparseMatrix
from .compressed import JacobianBlock, as_pattern
from .differentiation.complex_step import ComplexStep
from .differentiation.directional import Rule
from .differentiation.finite_differences import CentralDifferences
from .hvp import rate_along
from .user_function import Function, ResidualFunction


@dataclass(eq=False)
class DerivedResidual:
    """R(u, p) from a function, with ∂R/∂u and ∂R/∂p by coloured directional derivatives.

    `complex_step_residual` and `finite_difference_residual` return such residuals. The
    class has all methods of `adjoint.protocols.Residual`, and `hvp`. A derived residual
    remembers the sparsity patterns of both derivatives (in its blocks), and the latest
    point at which the derivatives passed an examination.

    Parameters
    ----------
    function : Function
        The user's function R(u, p) with checks of its arguments and results.
    rule : Rule
        The kind of directional derivative: complex steps, finite differences or JAX.
    by_u : JacobianBlock
        Pattern and colours of ∂R/∂u, (n, n).
    by_p : JacobianBlock
        Pattern and colours of ∂R/∂p, (n, m).
    """

    function: Function
    rule: Rule
    by_u: JacobianBlock
    by_p: JacobianBlock
    _examined: tuple[Array, Array] | None = field(default=None, init=False, repr=False)

    def __repr__(self) -> str:
        function = self.function
        return f"{function.maker}({short(function.residual)}, n={function.n}, m={function.m})"

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), (n,), which may contain nan; u: (n,), p: (m,)."""
        return self.function(*self.function.point(u, p))

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (n, n), in canonical CSC format.

        The cost is one derivative per colour, and one derivative to verify the pattern.
        Raises SparsityError if a given pattern lacks entries, NotComplexSafe if R loses
        imaginary parts, NonFinite if R or a derivative is nan or inf.
        """
        return self.by_u.at(self.rule.in_u(*self.function.point(u, p)))

    def parameter_jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂p, (n, m), canonical: one derivative per colour, and one to verify the pattern.

        Parameters
        ----------
        u : (n,) array
            State, real.
        p : (m,) array
            Parameters, real.

        Returns
        -------
        (n, m) csc_array
            ∂R/∂p.

        Raises
        ------
        SparsityError
            If a given pattern lacks entries.
        NotComplexSafe
            If R loses imaginary parts, for all arguments or in the branch taken at (u, p).
        NonFinite
            If R or a derivative is nan or inf.
        """
        u, p = self.function.point(u, p)
        J = self.by_p.at(self.rule.in_p(u, p))
        self._examine(u, p)
        return J

    def _examine(self, u: Array, p: Array) -> None:
        """Raise NotComplexSafe if R loses imaginary parts at (u, p); done once per point."""
        if self._examined is not None:
            v, q = self._examined
            if np.array_equal(u, v) and np.array_equal(p, q):
                return
        self.rule.examine(u, p, self.by_p.terms(p) + self.by_u.terms(u))
        self._examined = (u.copy(), p.copy())

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᵀ λ, (m,), by `parameter_jacobian`; lam: (n,)."""
        lam = self.function.vector(lam, "lam", self.function.n)
        return np.asarray(self.parameter_jacobian(u, p).T @ lam)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (n,), by one directional derivative; p_dot: (m,)."""
        p_dot = self.function.vector(p_dot, "p_dot", self.function.m)
        u, p = self.function.point(u, p)
        point = self.rule.in_p(u, p)
        self.by_p.examination.first(point)
        applied = point.along(p_dot)
        if (bad := first_nonfinite(applied)) is not None:
            row, entry, _ = bad
            raise NonFinite(
                f"{self.function.maker}: the derivative along p_dot is {entry} in row {row}"
            )
        self._examine(u, p)
        return applied

    def hvp(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of (u, p) ↦ ((∂R/∂u)ᵀλ, (∂R/∂p)ᵀλ) along (u̇, ṗ), (n,) and (m,).

        The result is a finite difference of first derivatives, which takes six evaluations
        of both Jacobians, or a few more. Accuracy: about twelve digits with complex steps,
        seven digits with finite differences. Raises the errors of the Jacobians, and
        NonFinite if the Jacobians are nan or inf near the point.
        """
        u, p = self.function.point(u, p)
        n, m = self.function.n, self.function.m
        lam = self.function.vector(lam, "lam", n)

        def pulled_back(x: Array) -> Array:
            by_u, by_p = self.rule.in_u(x[:n], x[n:]), self.rule.in_p(x[:n], x[n:])
            return np.concatenate([self.by_u.at(by_u).T @ lam, self.by_p.at(by_p).T @ lam])

        u_dot, p_dot = (
            self.function.vector(u_dot, "u_dot", n),
            self.function.vector(p_dot, "p_dot", m),
        )
        parts = rate_along(pulled_back, u, p, u_dot, p_dot)
        if not all(np.isfinite(part).all() for part in parts):
            raise NonFinite(
                f"{self.function.maker}: the second derivative along (u_dot, p_dot) is nan, or its "
                "differences do not converge. Usual causes: a kink of R, or the edge of its domain"
            )
        return parts

    def at(self, u: Array, p: Array) -> "AtPoint":
        """This residual, with ∂R/∂p at one point stored for many products.

        Parameters
        ----------
        u : (n,) array
            State, real.
        p : (m,) array
            Parameters, real.

        Returns
        -------
        AtPoint
            A residual whose `vjp` and `jvp` at this u and p reuse ∂R/∂p.
        """
        return AtPoint(self, u, p)


def derived(
    function: Function, rule: Rule, u_pattern: SparseMatrix | None, p_pattern: SparseMatrix | None
) -> DerivedResidual:
    """The `DerivedResidual` of a function by a rule; patterns: see `complex_step_residual`."""
    blocks = []
    for x, columns, given in (("u", function.n, u_pattern), ("p", function.m, p_pattern)):
        what = f"{function.maker}: {x}_pattern"
        pattern = None if given is None else as_pattern(given, (function.n, columns), what)
        blocks.append(JacobianBlock(f"∂R/∂{x}", f"{x}_pattern", function.maker, columns, pattern))
    return DerivedResidual(function, rule, blocks[0], blocks[1])


@dataclass(eq=False)
class AtPoint:
    """A derived residual that stores ∂R/∂p at (u, p) when `vjp` is first called.

    Several objectives, and Gauss–Newton products, then share one ∂R/∂p. The stored matrix
    is used if the arguments u and p are the same objects as the fields u and p.
    """

    derived: DerivedResidual
    u: Array
    p: Array

    _sensitivity: sparse.csc_array | None = field(default=None, init=False, repr=False)

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), (n,)."""
        return self.derived.residual(u, p)

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (n, n)."""
        return self.derived.jacobian(u, p)

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᵀ λ, (m,)."""
        if u is not self.u or p is not self.p:
            return self.derived.vjp(u, p, lam)
        if self._sensitivity is None:
            self._sensitivity = self.derived.parameter_jacobian(self.u, self.p)
        return np.asarray(self._sensitivity.T @ lam)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (n,): a product if ∂R/∂p is stored, one directional derivative if not."""
        if u is not self.u or p is not self.p or self._sensitivity is None:
            return self.derived.jvp(u, p, p_dot)
        return np.asarray(self._sensitivity @ p_dot)

    def hvp(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of (u, p) ↦ ((∂R/∂u)ᵀλ, (∂R/∂p)ᵀλ) along (u̇, ṗ), (n,) and (m,)."""
        return self.derived.hvp(u, p, lam, u_dot, p_dot)


def complex_step_residual(
    residual: ResidualFunction,
    n: int,
    m: int,
    *,
    u_pattern: SparseMatrix | None = None,
    p_pattern: SparseMatrix | None = None,
) -> DerivedResidual:
    """∂R/∂u and ∂R/∂p of a plain NumPy function by Im R(x + ihv)/h, exact to rounding.

    Parameters
    ----------
    residual : callable
        R(u, p) ↦ (n,) array, for u (n,) and p (m,), real or complex. The function must
        be continuous in the complex plane near the real line: +, ×, exp, powers, @,
        np.where and comparisons are; abs, norm and conj are not, and
        `adjoint.derive.safe` has replacements.
    n : int
        Number of unknowns u and of equations.
    m : int
        Number of parameters p.
    u_pattern : (n, n) sparse matrix, optional
        Sparsity pattern of ∂R/∂u: a matrix that stores each entry that may be nonzero.
        Default: detected at the first point.
    p_pattern : (n, m) sparse matrix, optional
        Sparsity pattern of ∂R/∂p. Default: detected at the first point.

    Returns
    -------
    DerivedResidual
        The residual for `adjoint.NonlinearProblem`.

    Raises
    ------
    TypeError
        If `residual` is not callable, or if a pattern is not a SciPy sparse matrix.
    ValueError
        Unless n ≥ 1 and m ≥ 0 are integers, and if a pattern has the wrong shape.

    Notes
    -----
    The methods of the result raise NotComplexSafe if R loses imaginary parts. The test
    is made before the first derivative, and at each point of a gradient. The methods
    raise SparsityError if a given pattern lacks entries, and NonFinite if a derivative
    is nan or inf.

    *Cost.* A Jacobian takes one complex evaluation of R per colour (5 colours for a
    5-point stencil), and one evaluation to verify the pattern. A row that depends on
    all unknowns needs n evaluations. If such a row is a sum, introduce its partial sums
    as unknowns: then few colours are enough.

    References
    ----------
    Squire & Trapp (1998), SIAM Rev. 40, 110; Curtis, Powell & Reid (1974), J. Inst.
    Math. Appl. 13, 117.

    Examples
    --------
    The square roots of two numbers, and the derivatives with respect to the first number:

    >>> import numpy as np
    >>> import adjoint
    >>> root = adjoint.complex_step_residual(lambda u, p: u**2 - p, n=2, m=2)
    >>> problem = adjoint.NonlinearProblem(root, u0=np.ones(2))
    >>> solution = problem.solve(np.array([4.0, 9.0]))
    >>> np.round(solution.u, 12)
    array([2., 3.])
    >>> np.round(solution.jvp(np.array([1.0, 0.0])), 12)
    array([0.25, 0.  ])
    """
    function = Function(residual, n, m, "complex_step_residual")
    return derived(function, ComplexStep(function), u_pattern, p_pattern)


def finite_difference_residual(
    residual: ResidualFunction,
    n: int,
    m: int,
    *,
    u_pattern: SparseMatrix | None = None,
    p_pattern: SparseMatrix | None = None,
) -> DerivedResidual:
    """∂R/∂u and ∂R/∂p of any smooth function by extrapolated central differences.

    The derivatives have about ten correct digits, and need real evaluations of R only. Use
    this function if R cannot take complex numbers, and for comparisons.

    Parameters
    ----------
    residual : callable
        R(u, p) ↦ (n,) array, for real u (n,) and p (m,).
    n : int
        Number of unknowns u and of equations.
    m : int
        Number of parameters p.
    u_pattern : (n, n) sparse matrix, optional
        Sparsity pattern of ∂R/∂u: a matrix that stores each entry that may be nonzero.
        Default: detected at the first point.
    p_pattern : (n, m) sparse matrix, optional
        Sparsity pattern of ∂R/∂p. Default: detected at the first point.

    Returns
    -------
    DerivedResidual
        The residual for `adjoint.NonlinearProblem`.

    Raises
    ------
    TypeError
        If `residual` is not callable, or if a pattern is not a SciPy sparse matrix.
    ValueError
        Unless n ≥ 1 and m ≥ 0 are integers, and if a pattern has the wrong shape.

    Notes
    -----
    *Steps* are at most 1e-3 |p_j|. Therefore a parameter that is meant to be zero must be
    exactly zero: with 1e-17, its steps would be far too short.

    *Cost.* A Jacobian takes six evaluations of R per colour, and more if the first
    steps are too long for R.

    Examples
    --------
    >>> import math
    >>> import numpy as np
    >>> import adjoint
    >>> def residual(u, p):
    ...     return np.array([math.exp(u[0]) - p[0]])
    >>> derived = adjoint.finite_difference_residual(residual, n=1, m=1)
    >>> derived.jacobian(np.zeros(1), np.ones(1)).toarray().round(9)
    array([[1.]])
    """
    function = Function(residual, n, m, "finite_difference_residual")
    return derived(function, CentralDifferences(function), u_pattern, p_pattern)
