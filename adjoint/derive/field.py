"""Right-hand sides f(t, u, p) of ODEs from plain functions; derivatives by complex steps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short
from ..errors import NonFinite, NotComplexSafe
from ..typing import Array, SparseMatrix
from .differentiation.directional import Examination
from .field_jacobians import FieldBlock, field_block, finite
from .function_of_time import FunctionOfTime
from .hvp import rate_along
from .user_function import FIELD, UserFunction

FieldFunction: TypeAlias = Callable[[float, Array, Array], Array]
"""f(t, u, p), (n,), for a time t, a state u (n,) and parameters p (m,)."""


def complex_step_field(
    f: FieldFunction,
    n: int,
    m: int,
    *,
    u_pattern: SparseMatrix | None = None,
    p_pattern: SparseMatrix | None = None,
) -> "DerivedField":
    """∂f/∂u, ∂f/∂p and ∂f/∂t of a plain NumPy function by Im f(x + ihv)/h, exact to rounding.

    Parameters
    ----------
    f : callable
        f(t, u, p) ↦ (n,) array, for t, u (n,) and p (m,), real or complex. The function
        must be continuous in the complex plane near the real line, see
        `complex_step_residual`.
    n : int
        Number of unknowns u.
    m : int
        Number of parameters p.
    u_pattern : (n, n) sparse matrix, optional
        Sparsity pattern of ∂f/∂u: a matrix that stores each entry that may be nonzero.
        Default: detected at the first point. Used for more than 40 unknowns.
    p_pattern : (n, m) sparse matrix, optional
        Sparsity pattern of ∂f/∂p. Default: detected at the first point. Used for more than
        40 unknowns or parameters.

    Returns
    -------
    DerivedField
        The right-hand side for `adjoint.ODEProblem`.

    Raises
    ------
    TypeError
        If f is not callable, or if a pattern is not a SciPy sparse matrix.
    ValueError
        Unless n ≥ 1 and m ≥ 0 are integers, and if a pattern has the wrong shape.

    Notes
    -----
    For up to 40 unknowns ∂f/∂u is a dense array, by n evaluations of f. For more unknowns
    ∂f/∂u is sparse: columns without common rows share a colour, and ∂f/∂u takes one
    evaluation of f per colour, and one evaluation to verify the pattern. A detected pattern
    is enlarged if a later point needs more entries. If a given pattern lacks entries,
    SparsityError is raised.

    Complex steps are compared with finite differences at the 1st, 2nd, 4th, 8th, … point.
    NotComplexSafe is raised if f loses imaginary parts.

    Examples
    --------
    The logistic equation u' = p₀ u (1 − u/p₁):

    >>> import numpy as np
    >>> import adjoint
    >>> def growth(t, u, p):
    ...     return p[0] * u * (1.0 - u / p[1])
    >>> f = adjoint.complex_step_field(growth, n=1, m=2)
    >>> f.jacobian(0.0, np.array([1.0]), np.array([2.0, 10.0])).round(12)
    array([[1.6]])
    """
    return derived_field(
        FunctionOfTime(UserFunction(f, n, FIELD, "complex_step_field"), n, m), u_pattern, p_pattern
    )


@dataclass(frozen=True, eq=False)
class DerivedField:
    """f(t, u, p) with r entries, from a function; ∂f/∂u, ∂f/∂p and ∂f/∂t by complex steps.

    `complex_step_field` returns a `DerivedField` with r = n; `complex_step_integrand`
    uses one for the r terms of an integrand. The class has all methods of
    `adjoint.protocols.Field`. All methods except ``__call__`` take real arguments only.

    Parameters
    ----------
    function : FunctionOfTime
        The user's function f(t, u, p) with checks of its arguments and results.
    by_u : FieldBlock
        ∂f/∂u, (r, n), dense or sparse.
    by_p : FieldBlock
        ∂f/∂p, (r, m), dense or sparse.

    Raises
    ------
    NotComplexSafe
        If f loses imaginary parts.
    NonFinite
        If a derivative is nan or inf.
    SparsityError
        If a given pattern lacks entries.
    TypeError
        If t, u or p is not real.
    ValueError
        If u or p has the wrong shape.
    """

    function: FunctionOfTime
    by_u: FieldBlock
    by_p: FieldBlock
    _by_t: Examination = field(default_factory=Examination, init=False, repr=False)

    def __repr__(self) -> str:
        f = self.function
        return f"{f.user.maker}({short(f.user.function)}, n={f.n}, m={f.m})"

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f(t, u, p), (r,), which may contain nan; t, u (n,) and p (m,) are real or complex."""
        return self.function(t, u, p)

    def jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array | Array:
        """∂f/∂u, (r, n): a dense array, or a canonical csc_array; u: (n,), p: (m,).

        All csc_arrays have the same pattern, unless a later point enlarges a detected
        pattern. Cost of a dense array: one evaluation of f per column. Cost of a csc_array:
        one evaluation per colour, and one to verify the pattern.
        """
        return self.by_u.at(self.function.in_u(*self.function.point(t, u, p)))

    def parameter_jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array | Array:
        """∂f/∂p, (r, m): a dense array, or a canonical csc_array, see `jacobian`.

        Parameters
        ----------
        t : float
            Time.
        u : (n,) array
            State, real.
        p : (m,) array
            Parameters, real.

        Returns
        -------
        (r, m) array or csc_array
            ∂f/∂p.
        """
        return self.by_p.at(self.function.in_p(*self.function.point(t, u, p)))

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᵀ λ, (m,), by `parameter_jacobian`; lam: (r,)."""
        lam = self.function.user.vector(lam, "lam", self.function.user.rows)
        return np.asarray(self.parameter_jacobian(t, u, p).T.dot(lam))

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (r,), by one evaluation of f; p_dot: (m,)."""
        p_dot = self.function.user.vector(p_dot, "p_dot", self.function.m)
        return self.by_p.along(self.function.in_p(*self.function.point(t, u, p)), p_dot)

    def state_jvp(self, t: float, u: Array, p: Array, u_dot: Array) -> Array:
        """(∂f/∂u) u̇, by one evaluation of f.

        Parameters
        ----------
        t : float
            Time.
        u : (n,) array
            State, real.
        p : (m,) array
            Parameters, real.
        u_dot : (n,) array
            Direction, real.

        Returns
        -------
        (r,) array
            (∂f/∂u) u̇.
        """
        u_dot = self.function.user.vector(u_dot, "u_dot", self.function.n)
        return self.by_u.along(self.function.in_u(*self.function.point(t, u, p)), u_dot)

    def hvp(
        self, t: float, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of ((∂f/∂u)ᵀλ, (∂f/∂p)ᵀλ) along (u̇, ṗ), (n,) and (m,); lam: (r,).

        Extrapolated real differences of both Jacobians, which are complex steps: a
        complex step of a complex step would be wrong. Cost: four evaluations of both
        Jacobians for functions of second degree, six or more otherwise. Accuracy: about
        twelve digits, ten for steep functions. Raises the errors of the
        Jacobians, and NonFinite if the Jacobians are nan or inf near the point, or if the
        differences do not converge.
        """
        t, u, p = self.function.point(t, u, p)
        user, n, m = self.function.user, self.function.n, self.function.m
        lam = user.vector(lam, "lam", user.rows)
        u_dot, p_dot = user.vector(u_dot, "u_dot", n), user.vector(p_dot, "p_dot", m)

        def pulled_back(x: Array) -> Array:
            v, q = x[:n], x[n:]
            by_u = self.by_u.at(self.function.in_u(t, v, q))
            by_p = self.by_p.at(self.function.in_p(t, v, q))
            return np.concatenate([by_u.T.dot(lam), by_p.T.dot(lam)])

        parts = rate_along(pulled_back, u, p, u_dot, p_dot)
        if not all(np.isfinite(part).all() for part in parts):
            raise NonFinite(
                f"{user.maker}: the second derivative along (u_dot, p_dot) is nan at t = {t:.6g}, "
                "or its differences do not converge. Usual causes: a kink of the function, or the "
                "edge of its domain"
            )
        return parts

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂t, (r,), by one evaluation at t + ih: f must accept a complex t for this method."""
        point, user = self.function.in_t(*self.function.point(t, u, p)), self.function.user
        try:
            self._by_t.first(point)
            return finite(point.along(np.ones(1)), f"∂{user.kind.symbol}/∂t", user.maker)
        except NotComplexSafe as error:
            raise NotComplexSafe(
                f"{error} Here t is complex, and u and p are real: only derivatives with respect "
                f"to times need ∂{user.kind.symbol}/∂t."
            ) from error


def derived_field(
    function: FunctionOfTime, u_pattern: SparseMatrix | None, p_pattern: SparseMatrix | None
) -> "DerivedField":
    """The `DerivedField` of a function; patterns: see `complex_step_field`."""
    by_u = field_block(function.user, "u", function.n, u_pattern)
    return DerivedField(function, by_u, field_block(function.user, "p", function.m, p_pattern))
