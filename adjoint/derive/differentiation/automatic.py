"""Automatic differentiation by JAX, which only this file imports, and only when needed."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from ...errors import BackendMissing
from ...typing import Array
from ..user_function import Function, UserFunction

Pushforward = Callable[[Array, Array, Array], Array]
"""(u, p, v) ↦ the derivative of R along v, in u or in p; compiled."""


@dataclass(frozen=True, eq=False)
class JaxDerivatives:
    """The rule that takes directional derivatives by JAX, exact to rounding."""

    function: Function
    in_u_direction: Pushforward
    in_p_direction: Pushforward

    def in_u(self, u: Array, p: Array) -> "JaxSlice":
        """The function u ↦ R(u, p) with its derivatives at u, for a fixed p."""
        return JaxSlice(
            self.function.user,
            lambda x: self.function(x, p),
            lambda x, v: self.in_u_direction(x, p, v),
            u,
        )

    def in_p(self, u: Array, p: Array) -> "JaxSlice":
        """The function p ↦ R(u, p) with its derivatives at p, for a fixed u."""
        return JaxSlice(
            self.function.user,
            lambda x: self.function(u, x),
            lambda x, v: self.in_p_direction(u, x, v),
            p,
        )

    def examine(self, u: Array, p: Array, terms: Array) -> None:
        """No test is needed: JAX refuses functions that it cannot differentiate."""


@dataclass(frozen=True, eq=False)
class JaxSlice:
    """The function x ↦ R, where x is u or p, with derivatives at x by jax.jvp."""

    owner: UserFunction
    function: Callable[[Array], Array]
    pushforward: Callable[[Array, Array], Array]
    x: Array

    tolerance = 1e-10
    """Relative error above which a derivative is suspicious: far above rounding."""

    @property
    def what(self) -> str:
        """The name of the function in messages."""
        return self.owner.kind.name

    @property
    def sizes(self) -> Array:
        """The unit of each component, (k,): ones, because no step is taken."""
        return np.ones(self.x.size)

    def value(self, x: Array) -> Array:
        """R at x, (n,)."""
        return self.function(x)

    def along(self, v: Array) -> Array:
        """d/dt R(x + t v) at t = 0, (n,), by one jax.jvp."""
        return self.owner.values(self.pushforward(self.x, v))

    @property
    def finer(self) -> "list[JaxSlice]":
        """An empty list: derivatives do not depend on steps."""
        return []

    def moved(self, x: Array) -> "JaxSlice":
        """The same function with its derivatives at another point x."""
        return replace(self, x=x)

    def examine(self) -> None:
        """No test is needed: JAX refuses functions that it cannot differentiate."""


def jax_in_double_precision(maker: str) -> ModuleType:
    """Import JAX and return the module `jax`.

    Raises BackendMissing if JAX is not installed, RuntimeError if JAX computes in
    float32.
    """
    try:
        jax = importlib.import_module("jax")
    except ImportError as error:
        raise BackendMissing(
            f"{maker} needs JAX ({error}): pip install 'sparse-adjoint[jax]'"
        ) from error
    if not jax.config.jax_enable_x64:
        raise RuntimeError(
            f"{maker}: JAX computes in float32 unless told otherwise, too coarse for Newton's "
            "method and gradients. "
            'Call jax.config.update("jax_enable_x64", True) before the first JAX array is made.'
        )
    return jax
