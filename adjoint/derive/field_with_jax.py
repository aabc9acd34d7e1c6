"""Right-hand sides in jax.numpy: ∂f/∂u by forward mode, (∂f/∂p)ᵀ λ by reverse mode."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short
from ..errors import NonFinite
from ..typing import Array, SparseMatrix
from .compressed import JacobianBlock
from .differentiation.automatic import JaxSlice, jax_in_double_precision
from .field_jacobians import SMALL, block_of, finite
from .function_of_time import FunctionOfTime
from .user_function import FIELD, UserFunction
from .verification import require_finite

Compiled: TypeAlias = Callable[..., Array]
"""(t, u, p, …) ↦ a derivative, or a derivative along a direction; compiled."""


def jax_field(
    f: Callable[[Any, Any, Any], Any],
    n: int,
    m: int,
    *,
    u_pattern: SparseMatrix | None = None,
    p_pattern: SparseMatrix | None = None,
) -> "JaxField":
    """∂f/∂u, ∂f/∂p and ∂f/∂t of a function in jax.numpy, by automatic differentiation.

    Parameters
    ----------
    f : callable
        f(t, u, p) ↦ (n,) array, for t, u (n,) and p (m,). The function must be
        traceable by jax.jit, which compiles the function once.
    n : int
        Number of unknowns u.
    m : int
        Number of parameters p.
    u_pattern : (n, n) sparse matrix, optional
        Sparsity pattern of ∂f/∂u: a matrix that stores each entry that may be nonzero.
        Default: detected at the first point. Used for more than 40 unknowns.
    p_pattern : (n, m) sparse matrix, optional
        Sparsity pattern of ∂f/∂p. Default: detected at the first point. Used for more
        than 40 unknowns or parameters.

    Returns
    -------
    JaxField
        The right-hand side for `adjoint.ODEProblem`.

    Raises
    ------
    BackendMissing
        If JAX is not installed: ``pip install 'sparse-adjoint[jax]'``.
    RuntimeError
        If JAX computes in float32: call ``jax.config.update("jax_enable_x64", True)``
        first.
    TypeError
        If f is not callable, or if a pattern is not a SciPy sparse matrix.
    ValueError
        If n or m is not an integer (n ≥ 1, m ≥ 0), or if a pattern has the wrong shape.

    Examples
    --------
    >>> import jax, jax.numpy as jnp  # doctest: +SKIP
    >>> import adjoint
    >>> jax.config.update("jax_enable_x64", True)  # doctest: +SKIP
    >>> f = adjoint.jax_field(lambda t, u, p: -p[0] * jnp.sin(u), n=1, m=1)  # doctest: +SKIP
    """
    jax = jax_in_double_precision("jax_field")
    compiled = jax.jit(f)
    user = UserFunction(lambda t, u, p: compiled(np.asarray(t), u, p), n, FIELD, "jax_field")
    function = FunctionOfTime(user, n, m)
    by_u = JaxBlock(
        block_of(user, "u", n, u_pattern),
        jax.jit(jax.jacfwd(f, 1)),
        jax.jit(lambda t, u, p, v: jax.jvp(lambda x: f(t, x, p), (u,), (v,))[1]),
    )
    by_p = JaxBlock(
        block_of(user, "p", m, p_pattern),
        jax.jit(jax.jacfwd(f, 2)),
        jax.jit(lambda t, u, p, v: jax.jvp(lambda x: f(t, u, x), (p,), (v,))[1]),
    )
    by_t = jax.jit(lambda t, u, p: jax.jvp(lambda s: f(s, u, p), (t,), (np.float64(1.0),))[1])
    pullback = jax.jit(lambda t, u, p, lam: jax.vjp(lambda x: f(t, u, x), p)[1](lam)[0])

    def curvature(t: Any, u: Any, p: Any, lam: Any, u_dot: Any, p_dot: Any) -> Any:
        def pulled_back(v: Any, q: Any) -> Any:
            return jax.vjp(lambda x, y: f(t, x, y), v, q)[1](lam)

        return jax.jvp(pulled_back, (u, p), (u_dot, p_dot))[1]

    return JaxField(function, by_u, by_p, by_t, pullback, jax.jit(curvature), f)


@dataclass(eq=False)
class JaxField:
    """f(t, u, p), (n,), from a function in jax.numpy, with all derivatives by JAX.

    `jax_field` returns such fields. The class has all methods of
    `adjoint.protocols.Field`, and raises the errors of `DerivedField`. A field
    remembers that the function was called once with all checks.

    Parameters
    ----------
    function : FunctionOfTime
        The compiled function f(t, u, p) with checks of its arguments and results.
    by_u : JaxBlock
        ∂f/∂u, (n, n), dense or sparse.
    by_p : JaxBlock
        ∂f/∂p, (n, m), dense or sparse.
    by_t : callable
        (t, u, p) ↦ ∂f/∂t, compiled.
    pullback : callable
        (t, u, p, λ) ↦ (∂f/∂p)ᵀ λ by reverse mode, compiled.
    curvature : callable
        (t, u, p, λ, u̇, ṗ) ↦ the second derivatives of `hvp`, compiled.
    source : callable
        The function before compilation, for pickles.
    """

    function: FunctionOfTime
    by_u: "JaxBlock"
    by_p: "JaxBlock"
    by_t: Compiled
    pullback: Compiled
    curvature: Callable[..., tuple[Array, Array]]
    source: Callable[[Any, Any, Any], Any]
    """The function before compilation, for pickles."""
    _called: bool = field(default=False, init=False, repr=False)

    def __repr__(self) -> str:
        f = self.function
        return f"{f.user.maker}({short(self.source)}, n={f.n}, m={f.m})"

    def __reduce__(self) -> tuple[Callable[..., "JaxField"], tuple[object, ...]]:
        """Pickles hold the function and the given patterns; the function is compiled again."""
        n, m, patterns = (
            self.function.n,
            self.function.m,
            (self.by_u.block.given, self.by_p.block.given),
        )
        return _field_made_again, (self.source, n, m, *patterns)

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f(t, u, p), (n,); u: (n,), p: (m,), real or complex."""
        return self.function(t, u, p)

    def jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array | Array:
        """∂f/∂u, (n, n): a dense array by jax.jacfwd, or sparse by one jax.jvp per colour.

        The matrix is sparse for more than 40 unknowns.
        """
        t, u, p = self._point(t, u, p)
        return self.by_u.at(self._slice(u, lambda x: (t, x, p), self.by_u.along), t, u, p)

    def parameter_jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array | Array:
        """∂f/∂p, (n, m): a dense array by jax.jacfwd, or sparse by one jax.jvp per colour.

        `vjp` does not need this matrix.

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
        (n, m) array or csc_array
            ∂f/∂p.
        """
        t, u, p = self._point(t, u, p)
        return self.by_p.at(self._slice(p, lambda x: (t, u, x), self.by_p.along), t, u, p)

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᵀ λ, (m,), by one jax.vjp, however many parameters there are; lam: (n,)."""
        user = self.function.user
        p_bar = np.array(self.pullback(*self._point(t, u, p), user.vector(lam, "lam", user.rows)))
        return finite(p_bar, "(∂f/∂p)ᵀ λ", user.maker)

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (n,), by jax.jvp; p_dot: (m,)."""
        user = self.function.user
        applied = self.by_p.along(
            *self._point(t, u, p), user.vector(p_dot, "p_dot", self.function.m)
        )
        return finite(np.array(applied), "(∂f/∂p) ṗ", user.maker)

    def hvp(
        self, t: float, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of ((∂f/∂u)ᵀλ, (∂f/∂p)ᵀλ) along (u̇, ṗ), by jax.jvp of jax.vjp.

        Returns arrays (n,) and (m,).
        """
        user, n, m = self.function.user, self.function.n, self.function.m
        u_part, p_part = self.curvature(
            *self._point(t, u, p),
            user.vector(lam, "lam", user.rows),
            user.vector(u_dot, "u_dot", n),
            user.vector(p_dot, "p_dot", m),
        )
        return (
            finite(np.array(u_part), "the second derivative for u", user.maker),
            finite(np.array(p_part), "the second derivative for p", user.maker),
        )

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂t, (n,), by jax.jvp."""
        return finite(np.array(self.by_t(*self._point(t, u, p))), "∂f/∂t", self.function.user.maker)

    def _point(self, t: float, u: Array, p: Array) -> tuple[float, Array, Array]:
        """t, u, p as arguments of compiled functions; the first call also checks f itself."""
        t, u, p = self.function.point(t, u, p)
        if not self._called:
            self.function(t, u, p)
            self._called = True
        return np.float64(t), u, p

    def _slice(
        self, x: Array, point: Callable[[Array], tuple[float, Array, Array]], along: Compiled
    ) -> JaxSlice:
        """The function x ↦ f with its derivatives, where x is u or p; point: x ↦ (t, u, p)."""
        return JaxSlice(
            self.function.user,
            lambda x: self.function(*point(x)),
            lambda x, v: along(*point(x), v),
            x,
        )


@dataclass(frozen=True, eq=False)
class JaxBlock:
    """∂f/∂x, (n, k), where x is u or p: dense if small, otherwise sparse, by colours."""

    block: JacobianBlock
    matrix: Compiled
    along: Compiled

    def at(self, point: JaxSlice, t: float, u: Array, p: Array) -> sparse.csc_array | Array:
        """∂f/∂x at a point, (n, k)."""
        if point.owner.rows > SMALL or self.block.columns > SMALL:
            return self.block.at(point)
        J = np.array(self.matrix(t, u, p), order="C")
        if not np.isfinite(J).all():
            try:
                require_finite(sparse.csc_array(J), J.sum(axis=1), point)
            except NonFinite as error:
                raise NonFinite(f"{self.block.maker}, {self.block.name}: {error}") from None
        return J


def _field_made_again(
    f: Callable[[Any, Any, Any], Any],
    n: int,
    m: int,
    u_pattern: SparseMatrix | None,
    p_pattern: SparseMatrix | None,
) -> JaxField:
    """`jax_field` with positional arguments only, as `__reduce__` needs: loads a pickle."""
    return jax_field(f, n, m, u_pattern=u_pattern, p_pattern=p_pattern)
