"""Residuals written in jax.numpy: ∂R/∂u by coloured forward derivatives, (∂R/∂p)ᵀ λ by a reverse one.

JAX is imported here and nowhere else, and not before it is asked for.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array
from ..factor.errors import BackendMissing, NonFinite
from ..factor.matrix import SparseMatrix, finite_sum
from .derived import DerivedResidual, derived
from .function import Function
from .user_function import UserFunction

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
        return JaxSlice(self.function.user, lambda x: self.function(x, p), lambda x, v: self.in_u_direction(x, p, v), u)

    def in_p(self, u: Array, p: Array) -> JaxSlice:
        """p ↦ R(u, p)."""
        return JaxSlice(self.function.user, lambda x: self.function(u, x), lambda x, v: self.in_p_direction(u, x, v), p)

    def examine(self, u: Array, p: Array, terms: Array) -> None:
        """Nothing to look for."""


@dataclass(frozen=True, eq=False)
class JaxResidual:
    """R(u, p) from a function in jax.numpy: a `Residual`."""

    forward: DerivedResidual
    pullback: Pushforward
    curvature: Curvature

    def __reduce__(self) -> tuple[Callable[..., "JaxResidual"], tuple[object, ...]]:
        """By the function and the patterns given: it is compiled again."""
        made = self.forward
        function: Any = made.function.residual  # Compiled: what it was compiled from is an attribute of it.
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
        p_bar = np.array(self.pullback(*function.point(u, p), function.vector(lam, "lam", function.n)))
        if not finite_sum(p_bar) and not np.isfinite(p_bar).all():
            bad = int(np.flatnonzero(~np.isfinite(p_bar))[0])
            raise NonFinite(f"from_jax: entry {bad} of (∂R/∂p)ᵀ λ is {p_bar[bad]}: outside of the domain of R, or nan "
                            "in a branch that jnp.where discards (its derivative still counts)")  # fmt: skip
        return p_bar

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (n,), by jax.jvp; p_dot: (m,)."""
        return self.forward.jvp(u, p, p_dot)

    def second(self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """The derivative of (u, p) ↦ ((∂R/∂u)ᵀλ, (∂R/∂p)ᵀλ) along (u̇, ṗ), by jax.jvp of jax.vjp: (n,) and (m,)."""
        function = self.forward.function
        vectors = ((lam, "lam", function.n), (u_dot, "u_dot", function.n), (p_dot, "p_dot", function.m))
        given = [function.vector(*vector) for vector in vectors]
        u_part, p_part = (np.array(part) for part in self.curvature(*function.point(u, p), *given))
        if not (np.isfinite(u_part).all() and np.isfinite(p_part).all()):
            raise NonFinite("from_jax: the second derivative along (u_dot, p_dot) is nan: see vjp for usual causes")
        return u_part, p_part


def from_jax(
    residual: Callable[[Any, Any], Any],
    n: int,
    m: int,
    *,
    u_pattern: SparseMatrix | None = None,
    p_pattern: SparseMatrix | None = None,
) -> JaxResidual:
    """∂R/∂u and ∂R/∂p of a function written in jax.numpy, by JAX's own derivatives; compiled once.

    residual: R(u, p) of u (n,) and p (m,), returns (n,), traceable by jax.jit. Patterns as for `complex_step`.
    Raises BackendMissing without JAX, RuntimeError while it computes in float32.
    """
    jax = jax_in_double_precision("from_jax")
    function = Function(jax.jit(residual), n, m, "from_jax")
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
    residual: Callable[[Any, Any], Any], n: int, m: int, u_pattern: SparseMatrix | None, p_pattern: SparseMatrix | None
) -> JaxResidual:
    """`from_jax`, for pickles."""
    return from_jax(residual, n, m, u_pattern=u_pattern, p_pattern=p_pattern)


def jax_in_double_precision(maker: str) -> ModuleType:
    """The module jax; raises BackendMissing if there is none, RuntimeError while it computes in float32."""
    try:
        jax = importlib.import_module("jax")
    except ImportError as error:
        raise BackendMissing(f"{maker} needs JAX ({error}): pip install 'sparse-adjoint[jax]'") from error
    if not jax.config.jax_enable_x64:
        raise RuntimeError(
            f"{maker}: JAX computes in float32 unless told otherwise, too coarse for Newton's method and gradients. "
            'Call jax.config.update("jax_enable_x64", True) before the first JAX array is made.'
        )
    return jax
