"""Vector fields written in jax.numpy: ∂f/∂u by forward derivatives, (∂f/∂p)ᵀ λ by a reverse one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array
from ..factor.errors import NonFinite
from ..factor.matrix import SparseMatrix
from .block import Block
from .timed import TimedFunction
from .timed_blocks import SMALL, block_of, finite
from .user_function import FIELD, UserFunction
from .verification import require_finite
from .with_jax import JaxSlice, jax_in_double_precision

Compiled: TypeAlias = Callable[..., Array]
"""A derivative at t, u, p, of a direction where it is one; compiled when first called, for t as an argument."""


@dataclass(frozen=True, eq=False)
class JaxBlock:
    """∂f/∂x, (n, k), x being u or p: a dense array where both are few, coloured and sparse otherwise."""

    block: Block
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


@dataclass(frozen=True, eq=False)
class JaxField:
    """f(t, u, p), (n,), from a function in jax.numpy, with its derivatives: a `Field`. Errors as of `DerivedField`."""

    function: TimedFunction
    by_u: JaxBlock
    by_p: JaxBlock
    by_t: Compiled
    pullback: Compiled
    source: Callable[[Any, Any, Any], Any]
    """The function itself, for pickles."""
    _called: list[bool] = field(default_factory=list)

    def __reduce__(self) -> tuple[Callable[..., "JaxField"], tuple[object, ...]]:
        """By the function and the patterns given: it is compiled again."""
        n, m, patterns = self.function.n, self.function.m, (self.by_u.block.given, self.by_p.block.given)
        return _made_again, (self.source, n, m, *patterns)

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (n,); u: (n,), p: (m,), real or complex."""
        return self.function(t, u, p)

    def jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array | Array:
        """∂f/∂u, (n, n): an array by jax.jacfwd, for up to 40 unknowns; sparse by one jax.jvp a colour for more."""
        t, u, p = self._point(t, u, p)
        return self.by_u.at(self._slice(u, lambda x: (t, x, p), self.by_u.along), t, u, p)

    def parameter_jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array | Array:
        """∂f/∂p, (n, m), likewise; `vjp` does not need it."""
        t, u, p = self._point(t, u, p)
        return self.by_p.at(self._slice(p, lambda x: (t, u, x), self.by_p.along), t, u, p)

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᵀ λ, (m,), by jax.vjp: some evaluations, however many parameters; lam: (n,)."""
        user = self.function.user
        p_bar = np.array(self.pullback(*self._point(t, u, p), user.vector(lam, "lam", user.rows)))
        return finite(p_bar, "(∂f/∂p)ᵀ λ", user.maker)

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (n,), by jax.jvp; p_dot: (m,)."""
        user = self.function.user
        applied = self.by_p.along(*self._point(t, u, p), user.vector(p_dot, "p_dot", self.function.m))
        return finite(np.array(applied), "(∂f/∂p) ṗ", user.maker)

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂t, (n,), by jax.jvp."""
        return finite(np.array(self.by_t(*self._point(t, u, p))), "∂f/∂t", self.function.user.maker)

    def _point(self, t: float, u: Array, p: Array) -> tuple[float, Array, Array]:
        """t, u, p as JAX compiled for them; the first time what is wrong with f itself is told."""
        t, u, p = self.function.point(t, u, p)
        if not self._called:
            self.function(t, u, p)
            self._called.append(True)
        return np.float64(t), u, p

    def _slice(self, x: Array, point: Callable[[Array], tuple[float, Array, Array]], along: Compiled) -> JaxSlice:
        return JaxSlice(self.function.user, lambda x: self.function(*point(x)), lambda x, v: along(*point(x), v), x)


def from_jax_field(
    f: Callable[[Any, Any, Any], Any],
    n: int,
    m: int,
    *,
    u_pattern: SparseMatrix | None = None,
    p_pattern: SparseMatrix | None = None,
) -> JaxField:
    """∂f/∂u, ∂f/∂p and ∂f/∂t of a function written in jax.numpy, by JAX's own derivatives; compiled once.

    f: f(t, u, p) of t, u (n,) and p (m,), returns (n,), traceable by jax.jit. Patterns as for `complex_step_field`.
    Raises BackendMissing without JAX, RuntimeError while it computes in float32.
    """
    jax = jax_in_double_precision("from_jax_field")
    compiled = jax.jit(f)
    user = UserFunction(lambda t, u, p: compiled(np.asarray(t), u, p), n, FIELD, "from_jax_field")
    function = TimedFunction(user, n, m)
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
    return JaxField(function, by_u, by_p, by_t, pullback, f)


def _made_again(
    f: Callable[[Any, Any, Any], Any], n: int, m: int, u_pattern: SparseMatrix | None, p_pattern: SparseMatrix | None
) -> JaxField:
    """`from_jax_field`, for pickles."""
    return from_jax_field(f, n, m, u_pattern=u_pattern, p_pattern=p_pattern)
