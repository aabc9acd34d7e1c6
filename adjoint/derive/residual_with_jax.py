"""Residuals written in jax.numpy: ∂R/∂u by forward mode, (∂R/∂p)ᵀ λ by reverse mode."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short
from .._numerics import finite_sum
from .._validation import first_nonfinite
from ..errors import NonFinite
from ..typing import Array, SparseMatrix
from .differentiation.automatic import JaxDerivatives, Pushforward, jax_in_double_precision
from .residual import DerivedResidual, derived
from .user_function import Function

Curvature = Callable[[Array, Array, Array, Array, Array], tuple[Array, Array]]
"""(u, p, λ, u̇, ṗ) ↦ the derivative of ((∂R/∂u)ᵀλ, (∂R/∂p)ᵀλ) along (u̇, ṗ); compiled."""


def jax_residual(
    residual: Callable[[Any, Any], Any],
    n: int,
    m: int,
    *,
    u_pattern: SparseMatrix | None = None,
    p_pattern: SparseMatrix | None = None,
) -> "JaxResidual":
    """∂R/∂u and ∂R/∂p of a function in jax.numpy, by automatic differentiation.

    Parameters
    ----------
    residual : callable
        R(u, p) ↦ (n,) array, for u (n,) and p (m,). The function must be traceable by
        jax.jit, which compiles the function once.
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
    JaxResidual
        The residual for `adjoint.NonlinearProblem`.

    Raises
    ------
    BackendMissing
        If JAX is not installed: ``pip install 'sparse-adjoint[jax]'``.
    RuntimeError
        If JAX computes in float32: call ``jax.config.update("jax_enable_x64", True)``
        first.
    TypeError
        If `residual` is not callable, or if a pattern is not a SciPy sparse matrix.
    ValueError
        If n or m is not an integer (n ≥ 1, m ≥ 0), or if a pattern has the wrong shape.

    Notes
    -----
    *Cost.* ∂R/∂u takes one jax.jvp per colour, and one to verify the pattern.
    (∂R/∂p)ᵀ λ takes one jax.vjp, however many parameters there are.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, numpy as np  # doctest: +SKIP
    >>> import adjoint
    >>> jax.config.update("jax_enable_x64", True)  # doctest: +SKIP
    >>> root = adjoint.jax_residual(lambda u, p: jnp.exp(u) - p, n=2, m=2)  # doctest: +SKIP
    >>> adjoint.check_residual(root, np.zeros(2), np.ones(2)).ok  # doctest: +SKIP
    True
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


@dataclass(frozen=True, eq=False)
class JaxResidual:
    """R(u, p) from a function in jax.numpy, with all derivatives by JAX.

    `jax_residual` returns such residuals. The class has all methods of
    `adjoint.protocols.Residual`, and `hvp`.

    Parameters
    ----------
    forward : DerivedResidual
        R, ∂R/∂u and (∂R/∂p) ṗ by forward mode.
    pullback : callable
        (u, p, λ) ↦ (∂R/∂p)ᵀ λ by reverse mode, compiled.
    curvature : callable
        (u, p, λ, u̇, ṗ) ↦ the second derivatives of `hvp`, compiled.
    """

    forward: DerivedResidual
    pullback: Pushforward
    curvature: Curvature

    def __repr__(self) -> str:
        function = self.forward.function
        residual = getattr(function.residual, "__wrapped__", function.residual)
        return f"{function.maker}({short(residual)}, n={function.n}, m={function.m})"

    def __reduce__(self) -> tuple[Callable[..., "JaxResidual"], tuple[object, ...]]:
        """Pickles hold the function and the given patterns; the function is compiled again."""
        made = self.forward
        # The compiled function has the original function as an attribute.
        function: Any = made.function.residual
        patterns = (made.by_u.given, made.by_p.given)
        return _made_again, (function.__wrapped__, made.function.n, made.function.m, *patterns)

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), (n,); u: (n,), p: (m,)."""
        return self.forward.residual(u, p)

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (n, n), canonical: one jax.jvp per colour, and one to verify the pattern."""
        return self.forward.jacobian(u, p)

    def parameter_jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂p, (n, m), canonical: one jax.jvp per colour, and one to verify the pattern.

        `vjp` does not need this matrix.

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
        """
        return self.forward.parameter_jacobian(u, p)

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᵀ λ, (m,), by one jax.vjp, however many parameters there are; lam: (n,)."""
        function = self.forward.function
        p_bar = np.array(
            self.pullback(*function.point(u, p), function.vector(lam, "lam", function.n))
        )
        if not finite_sum(p_bar) and (bad := first_nonfinite(p_bar)) is not None:
            index, entry, _ = bad
            raise NonFinite(
                f"jax_residual: entry {index} of (∂R/∂p)ᵀ λ is {entry}: outside of the domain of "
                "R, or nan in a branch that jnp.where discards (its derivative still counts)"
            )
        return p_bar

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (n,), by jax.jvp; p_dot: (m,)."""
        return self.forward.jvp(u, p, p_dot)

    def hvp(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of (u, p) ↦ ((∂R/∂u)ᵀλ, (∂R/∂p)ᵀλ) along (u̇, ṗ), (n,) and (m,).

        The result is computed by jax.jvp of jax.vjp.
        """
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
                "jax_residual: the second derivative along (u_dot, p_dot) is nan. Usual causes: a "
                "point outside of the domain of R, or nan in a branch that jnp.where discards"
            )
        return u_part, p_part


def _made_again(
    residual: Callable[[Any, Any], Any],
    n: int,
    m: int,
    u_pattern: SparseMatrix | None,
    p_pattern: SparseMatrix | None,
) -> JaxResidual:
    """`jax_residual` with positional arguments only, as `__reduce__` needs: loads a pickle."""
    return jax_residual(residual, n, m, u_pattern=u_pattern, p_pattern=p_pattern)
