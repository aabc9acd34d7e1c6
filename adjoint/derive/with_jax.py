"""Residuals written in jax.numpy: ∂R/∂u by coloured forward derivatives, (∂R/∂p)ᵀ λ by a reverse one.

JAX is imported here and nowhere else, and not before it is asked for.

Vector fields written in jax.numpy: ∂f/∂u by forward derivatives, (∂f/∂p)ᵀ λ by a reverse one.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sparse

from .._numerics import finite_sum
from .._repr import short_repr
from ..errors import BackendMissing, NonFinite
from ..factor.csc import SparseMatrix
from ..typing import Array
from .compressed import Block
from .field import SMALL, TimedFunction, block_of, finite
from .residual import DerivedResidual, derived
from .user_function import FIELD, Function, UserFunction
from .verification import require_finite

Curvature = Callable[[Array, Array, Array, Array, Array], tuple[Array, Array]]
"""(u, p, λ, u̇, ṗ) -> the derivative of (u, p) ↦ ((∂R/∂u)ᵀλ, (∂R/∂p)ᵀλ) along (u̇, ṗ); compiled."""


Pushforward = Callable[[Array, Array, Array], Array]
"""(u, p, v) -> the derivative of R along v, in u or in p; compiled."""


@dataclass(frozen=True, eq=False)
class JaxSlice:
    """x ↦ R, its derivatives by jax.jvp."""

    owner: UserFunction
    function: Callable[[Array], Array]
    pushforward: Callable[[Array, Array], Array]
    x: Array

    tolerance = 1e-10
    """As for a complex step: derivatives are exact to rounding."""

    @property
    def what(self) -> str:
        """What the function is called in messages."""
        return self.owner.kind.name

    @property
    def sizes(self) -> Array:
        """Ones: no step is taken."""
        return np.ones(self.x.size)

    def value(self, x: Array) -> Array:
        """R at x, (n,)."""
        return self.function(x)

    def along(self, v: Array) -> Array:
        """d/dt R(x + t v), (n,): one jax.jvp."""
        return self.owner.values(self.pushforward(self.x, v))

    @property
    def finer(self) -> "list[JaxSlice]":
        """None: derivatives do not depend on steps."""
        return []

    def moved(self, x: Array) -> "JaxSlice":
        """The same at another x."""
        return replace(self, x=x)

    def examine(self) -> None:
        """Nothing to look for: what JAX cannot differentiate, it refuses."""


@dataclass(frozen=True, eq=False)
class JaxDerivatives:
    """Derivatives by JAX, exact to rounding."""

    function: Function
    in_u_direction: Pushforward
    in_p_direction: Pushforward

    def in_u(self, u: Array, p: Array) -> JaxSlice:
        """u ↦ R(u, p)."""
        return JaxSlice(
            self.function.user,
            lambda x: self.function(x, p),
            lambda x, v: self.in_u_direction(x, p, v),
            u,
        )

    def in_p(self, u: Array, p: Array) -> JaxSlice:
        """p ↦ R(u, p)."""
        return JaxSlice(
            self.function.user,
            lambda x: self.function(u, x),
            lambda x, v: self.in_p_direction(u, x, v),
            p,
        )

    def examine(self, u: Array, p: Array, terms: Array) -> None:
        """Nothing to look for."""


@dataclass(frozen=True, eq=False)
class JaxResidual:
    """R(u, p) from a function in jax.numpy: a `Residual`."""

    forward: DerivedResidual
    pullback: Pushforward
    curvature: Curvature

    __repr__ = short_repr

    def __reduce__(self) -> tuple[Callable[..., "JaxResidual"], tuple[object, ...]]:
        """By the function and the patterns given: it is compiled again."""
        made = self.forward
        function: Any = (
            made.function.residual
        )  # Compiled: what it was compiled from is an attribute of it.
        patterns = (made.by_u.given, made.by_p.given)
        return _made_again, (function.__wrapped__, made.function.n, made.function.m, *patterns)

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), (n,); u: (n,), p: (m,)."""
        return self.forward.residual(u, p)

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (n, n), canonical; one jax.jvp a colour, and one to verify them."""
        return self.forward.jacobian(u, p)

    def parameter_jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂p, (n, m), canonical, likewise; `vjp` does not need it."""
        return self.forward.parameter_jacobian(u, p)

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᵀ λ, (m,), by jax.vjp: some evaluations, however many parameters; lam: (n,)."""
        function = self.forward.function
        p_bar = np.array(
            self.pullback(*function.point(u, p), function.vector(lam, "lam", function.n))
        )
        if not finite_sum(p_bar) and not np.isfinite(p_bar).all():
            bad = int(np.flatnonzero(~np.isfinite(p_bar))[0])
            raise NonFinite(f"jax_residual: entry {bad} of (∂R/∂p)ᵀ λ is {p_bar[bad]}: outside of the domain of R, or nan "
                            "in a branch that jnp.where discards (its derivative still counts)")  # fmt: skip
        return p_bar

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (n,), by jax.jvp; p_dot: (m,)."""
        return self.forward.jvp(u, p, p_dot)

    def hvp(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of (u, p) ↦ ((∂R/∂u)ᵀλ, (∂R/∂p)ᵀλ) along (u̇, ṗ), by jax.jvp of jax.vjp: (n,) and (m,)."""
        function = self.forward.function
        vectors = (
            (lam, "lam", function.n),
            (u_dot, "u_dot", function.n),
            (p_dot, "p_dot", function.m),
        )
        given = [function.vector(*vector) for vector in vectors]
        u_part, p_part = (np.array(part) for part in self.curvature(*function.point(u, p), *given))
        if not (np.isfinite(u_part).all() and np.isfinite(p_part).all()):
            raise NonFinite(
                "jax_residual: the second derivative along (u_dot, p_dot) is nan: see vjp for usual causes"
            )
        return u_part, p_part


def jax_residual(
    residual: Callable[[Any, Any], Any],
    n: int,
    m: int,
    *,
    u_pattern: SparseMatrix | None = None,
    p_pattern: SparseMatrix | None = None,
) -> JaxResidual:
    """∂R/∂u and ∂R/∂p of a function written in jax.numpy, by JAX's own derivatives; compiled once.

    residual: R(u, p) of u (n,) and p (m,), returns (n,), traceable by jax.jit. Patterns as for `complex_step_residual`.
    Raises BackendMissing without JAX, RuntimeError while it computes in float32.
    """
    jax = jax_in_double_precision("jax_residual")
    function = Function(jax.jit(residual), n, m, "jax_residual")
    rule = JaxDerivatives(
        function,
        jax.jit(lambda u, p, v: jax.jvp(lambda x: residual(x, p), (u,), (v,))[1]),
        jax.jit(lambda u, p, v: jax.jvp(lambda x: residual(u, x), (p,), (v,))[1]),
    )
    pullback = jax.jit(lambda u, p, lam: jax.vjp(lambda x: residual(u, x), p)[1](lam)[0])

    def curvature(u: Any, p: Any, lam: Any, u_dot: Any, p_dot: Any) -> Any:
        return jax.jvp(lambda v, q: jax.vjp(residual, v, q)[1](lam), (u, p), (u_dot, p_dot))[1]

    return JaxResidual(derived(function, rule, u_pattern, p_pattern), pullback, jax.jit(curvature))


def _made_again(
    residual: Callable[[Any, Any], Any],
    n: int,
    m: int,
    u_pattern: SparseMatrix | None,
    p_pattern: SparseMatrix | None,
) -> JaxResidual:
    """`jax_residual`, for pickles."""
    return jax_residual(residual, n, m, u_pattern=u_pattern, p_pattern=p_pattern)


def jax_in_double_precision(maker: str) -> ModuleType:
    """The module jax; raises BackendMissing if there is none, RuntimeError while it computes in float32."""
    try:
        jax = importlib.import_module("jax")
    except ImportError as error:
        raise BackendMissing(
            f"{maker} needs JAX ({error}): pip install 'sparse-adjoint[jax]'"
        ) from error
    if not jax.config.jax_enable_x64:
        raise RuntimeError(
            f"{maker}: JAX computes in float32 unless told otherwise, too coarse for Newton's method and gradients. "
            'Call jax.config.update("jax_enable_x64", True) before the first JAX array is made.'
        )
    return jax


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

    __repr__ = short_repr

    def __reduce__(self) -> tuple[Callable[..., "JaxField"], tuple[object, ...]]:
        """By the function and the patterns given: it is compiled again."""
        n, m, patterns = (
            self.function.n,
            self.function.m,
            (self.by_u.block.given, self.by_p.block.given),
        )
        return _field_made_again, (self.source, n, m, *patterns)

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
        applied = self.by_p.along(
            *self._point(t, u, p), user.vector(p_dot, "p_dot", self.function.m)
        )
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

    def _slice(
        self, x: Array, point: Callable[[Array], tuple[float, Array, Array]], along: Compiled
    ) -> JaxSlice:
        return JaxSlice(
            self.function.user,
            lambda x: self.function(*point(x)),
            lambda x, v: along(*point(x), v),
            x,
        )


def jax_field(
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
    jax = jax_in_double_precision("jax_field")
    compiled = jax.jit(f)
    user = UserFunction(lambda t, u, p: compiled(np.asarray(t), u, p), n, FIELD, "jax_field")
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


def _field_made_again(
    f: Callable[[Any, Any, Any], Any],
    n: int,
    m: int,
    u_pattern: SparseMatrix | None,
    p_pattern: SparseMatrix | None,
) -> JaxField:
    """`jax_field`, for pickles."""
    return jax_field(f, n, m, u_pattern=u_pattern, p_pattern=p_pattern)
