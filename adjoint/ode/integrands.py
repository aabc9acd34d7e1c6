"""Ready-made integrands: `LinearIntegrand` is C u, `SquaredIntegrand` is ½ Σ w (u − d)²."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Portable, short_repr
from .._validation import as_array, as_reals, require_function
from ..typing import Array, SparseMatrix


@dataclass(frozen=True, eq=False)
class LinearIntegrand(Portable):
    """ℓ = C u, (q,), an integrand linear in the state.

    Parameters
    ----------
    C : (n,) or (q, n) array or sparse matrix
        Real coefficients; (n,) for a single integral. In units of ℓ per unit of the
        state.

    Raises
    ------
    ValueError
        If C is not real and finite, or has another shape.
    TypeError
        If C is not numeric.
    """

    C: Array | SparseMatrix

    __repr__ = short_repr

    def __post_init__(self) -> None:
        C = self.C if sparse.issparse(self.C) else as_array("LinearIntegrand", "C", self.C)
        finite = sparse.issparse(C) or (
            C.size > 0 and C.dtype.kind in "fiu" and np.isfinite(C).all()
        )
        if C.ndim not in (1, 2) or C.dtype.kind not in "fiu" or not finite:
            raise ValueError(
                f"LinearIntegrand: got C of shape {C.shape}, dtype {C.dtype}; expected real and "
                "finite, (n,) or (q, n)"
            )

    @cached_property
    def _rows(self) -> Array | SparseMatrix:
        """C as a matrix with q rows."""
        return (
            sparse.csr_array(self.C)
            if sparse.issparse(self.C)
            else np.atleast_2d(np.asarray(self.C, dtype=float))
        )

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """ℓ = C u, (q,)."""
        return np.asarray(self._rows.dot(u))

    def vjp(self, t: float, u: Array, p: Array, q_bar: Array) -> tuple[Array, Array]:
        """((∂ℓ/∂u)ᵀ q̄, (∂ℓ/∂p)ᵀ q̄) = (Cᵀ q̄, 0), (n,) and (m,)."""
        # np.zeros_like takes five times as long as np.zeros.
        return np.asarray(self._rows.T.dot(q_bar)), np.zeros(p.shape, dtype=p.dtype)

    def jvp(self, t: float, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """(∂ℓ/∂u) u̇ = C u̇, (q,)."""
        return np.asarray(self._rows.dot(u_dot))

    def hvp(
        self, t: float, u: Array, p: Array, q_bar: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """Zeros, (n,) and (m,): ℓ is linear."""
        return np.zeros(u.shape, dtype=u.dtype), np.zeros(p.shape, dtype=p.dtype)

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂ℓ/∂t = 0, (q,)."""
        return np.zeros(self._rows.shape[0])


@dataclass(frozen=True, eq=False)
class SquaredIntegrand:
    """ℓ = ½ Σ_i w_i (u_i − d_i(t))², (1,), of real states.

    Parameters
    ----------
    weights : (n,) array, optional
        w, in units of ℓ per squared unit of the state. Default: ones.
    target : (n,) array or callable, optional
        d, or a function t ↦ d(t), in units of the state. Default: zero.
    slope : callable, optional
        d': a function t ↦ dd/dt, in units of the state per unit of time. If target is
        a function, derivatives with respect to times need this function.

    Raises
    ------
    TypeError
        If an argument is not numeric or callable.
    ValueError
        If weights or a constant target are not a finite vector.
    """

    weights: Array | None = None
    target: Array | Callable[[float], Array] | None = None
    slope: Callable[[float], Array] | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name, given in (("weights", self.weights), ("target", self.target)):
            if given is not None and not (
                name == "target" and callable(given) and not isinstance(given, type)
            ):
                as_reals("SquaredIntegrand", name, given, 1, "a vector (n,)")
        if self.slope is not None:
            require_function("SquaredIntegrand", "slope", self.slope, "a function of t")

    def _misfit(self, t: float, u: Array) -> tuple[Array, Array]:
        """(u − d, w (u − d)), (n,) each."""
        d = self.target(t) if callable(self.target) else self.target
        misfit = u if d is None else u - d
        if misfit.shape != u.shape or (
            self.weights is not None and np.shape(self.weights) != u.shape
        ):
            raise ValueError(
                f"SquaredIntegrand: weights and target do not fit a state of shape {u.shape}"
            )
        return misfit, misfit if self.weights is None else self.weights * misfit

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """ℓ = ½ Σ_i w_i (u_i − d_i(t))², (1,)."""
        misfit, weighted = self._misfit(t, u)
        return np.array([0.5 * np.einsum("i,i->", misfit, weighted)])

    def vjp(self, t: float, u: Array, p: Array, q_bar: Array) -> tuple[Array, Array]:
        """((∂ℓ/∂u)ᵀ q̄, (∂ℓ/∂p)ᵀ q̄) = (w (u − d) q̄, 0), (n,) and (m,)."""
        return self._misfit(t, u)[1] * q_bar[0], np.zeros_like(p)

    def jvp(self, t: float, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """(∂ℓ/∂u) u̇ = Σ w (u − d) u̇, (1,)."""
        return np.array([np.einsum("i,i->", self._misfit(t, u)[1], u_dot)])

    def hvp(
        self, t: float, u: Array, p: Array, q_bar: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of `vjp` along (u̇, ṗ): (w u̇ q̄, 0), (n,) and (m,)."""
        weighted = u_dot if self.weights is None else self.weights * u_dot
        return weighted * q_bar[0], np.zeros_like(p)

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂ℓ/∂t = −Σ w (u − d) d', (1,); raises TypeError if d is a function without a slope."""
        if not callable(self.target):
            return np.zeros(1)
        if self.slope is None:
            raise TypeError(
                "SquaredIntegrand: derivatives with respect to times need the slope of the target"
            )
        return -np.array([np.einsum("i,i->", self._misfit(t, u)[1], self.slope(t))])
