"""Integrands ℓ = W terms(t, u, p) from plain functions, by complex steps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short_repr
from .._numerics import read_only
from .._validation import as_array
from ..errors import NonFinite
from ..typing import Array, SparseMatrix
from .field import DerivedField, derived_field
from .function_of_time import FunctionOfTime
from .user_function import INTEGRAND, UserFunction

TermsFunction: TypeAlias = Callable[[float, Array, Array], Array]
"""terms(t, u, p) ↦ (k,) array, for a time t, u (n,) and p (m,)."""


_MAKER = "complex_step_integrand"


@dataclass(eq=False)
class DerivedIntegrand:
    """ℓ(t, u, p) = W terms(t, u, p), (q,), from a function of the terms.

    `complex_step_integrand` returns such integrands. The class has all methods of
    `adjoint.protocols.Integrand`, and raises the errors of `DerivedField`. An
    integrand remembers the terms with their derivatives from the first evaluation on,
    because the number k of terms is known only then.

    Parameters
    ----------
    terms : callable
        terms(t, u, p) ↦ (k,) array.
    n : int
        Number of unknowns u.
    m : int
        Number of parameters p.
    weights : (q, k) array or csr_array or None
        W; None stands for the identity, q = k.
    """

    terms: TermsFunction
    n: int
    m: int
    weights: Array | sparse.csr_array | None
    _field: DerivedField | None = field(default=None, init=False, repr=False)

    __repr__ = short_repr

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """ℓ(t, u, p), (q,); u: (n,), p: (m,), real or complex."""
        return self._weighted(self._derived(t, u, p)(t, u, p))

    def vjp(self, t: float, u: Array, p: Array, q_bar: Array) -> tuple[Array, Array]:
        """(∂ℓ/∂u)ᵀ q̄, (n,), and (∂ℓ/∂p)ᵀ q̄, (m,); q_bar: (q,)."""
        derived, w = self._weighted_cotangent(t, u, p, q_bar)
        return np.asarray(derived.jacobian(t, u, p).T.dot(w)), derived.vjp(t, u, p, w)

    def hvp(
        self, t: float, u: Array, p: Array, q_bar: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of `vjp` along (u̇, ṗ), (n,) and (m,), see `DerivedField.hvp`."""
        derived, w = self._weighted_cotangent(t, u, p, q_bar)
        return derived.hvp(t, u, p, w, u_dot, p_dot)

    def jvp(self, t: float, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """(∂ℓ/∂u) u̇ + (∂ℓ/∂p) ṗ, (q,), by two evaluations; u_dot: (n,), p_dot: (m,)."""
        derived = self._derived(t, u, p)
        return self._weighted(derived.state_jvp(t, u, p, u_dot) + derived.jvp(t, u, p, p_dot))

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂ℓ/∂t, (q,), by one evaluation at t + ih."""
        return self._weighted(self._derived(t, u, p).time_derivative(t, u, p))

    def _weighted_cotangent(
        self, t: float, u: Array, p: Array, q_bar: Array
    ) -> tuple[DerivedField, Array]:
        """(the function of the terms, Wᵀ q̄ (k,))."""
        derived = self._derived(t, u, p)
        rows = derived.function.user.rows if self.weights is None else self.weights.shape[0]
        w = derived.function.user.vector(q_bar, "q_bar", rows)
        return derived, w if self.weights is None else np.asarray(self.weights.T.dot(w))

    def _weighted(self, terms: Array) -> Array:
        """W times the terms, (q,); terms: (k,)."""
        return terms if self.weights is None else np.asarray(self.weights.dot(terms))

    def _derived(self, t: float, u: Array, p: Array) -> DerivedField:
        """The function of the terms, with derivatives; the first call finds their number k."""
        if self._field is None:
            rows = _count(self.terms, t, u, p) if self.weights is None else self.weights.shape[1]
            function = FunctionOfTime(
                UserFunction(self.terms, rows, INTEGRAND, _MAKER), self.n, self.m
            )
            function(t, u, p)  # Errors of the function are raised before its result is used.
            self._field = derived_field(function, None, None)
        return self._field


def complex_step_integrand(
    terms: TermsFunction, n: int, m: int, *, weights: Array | SparseMatrix | None = None
) -> DerivedIntegrand:
    """ℓ = W terms(t, u, p), for ∫ℓ dt, with derivatives by Im terms(x + ihv)/h.

    Parameters
    ----------
    terms : callable
        terms(t, u, p) ↦ (k,) array, for t, u (n,) and p (m,), real or complex. The
        conditions on f in `complex_step_field` hold for `terms`.
    n : int
        Number of unknowns u.
    m : int
        Number of parameters p.
    weights : (k,) or (q, k) array or sparse matrix, optional
        W: (k,) for one integral, (q, k) for q integrals. By default the terms
        themselves are the integrands.

    Returns
    -------
    DerivedIntegrand
        The integrand for `integrand=` of `adjoint.ODEProblem`.

    Raises
    ------
    TypeError
        If `terms` is not callable, or if the weights are not real numbers.
    ValueError
        If n or m is not an integer (n ≥ 1, m ≥ 0), or if the weights have the
        wrong shape.
    NonFinite
        If the weights hold nan or inf.

    Notes
    -----
    For many unknowns, let `terms` return one term per cell, each of few unknowns, and
    let the weights sum them: a derivative then takes a few evaluations. If `terms`
    itself sums over all unknowns, a derivative takes n evaluations.

    Examples
    --------
    The integrand u₀² + u₁²:

    >>> import numpy as np
    >>> import adjoint
    >>> energy = adjoint.complex_step_integrand(
    ...     lambda t, u, p: u**2, n=2, m=1, weights=np.ones(2)
    ... )
    >>> energy(0.0, np.array([3.0, 4.0]), np.zeros(1))
    array([25.])
    """
    FunctionOfTime(UserFunction(terms, 1, INTEGRAND, _MAKER), n, m)  # Raises for wrong arguments.
    return DerivedIntegrand(terms, n, m, None if weights is None else _as_weights(weights))


def _count(terms: TermsFunction, t: float, u: Array, p: Array) -> int:
    """The number k of terms; 1 if the function fails or returns nothing."""
    try:
        return max(1, np.size(terms(t, read_only(np.asarray(u)), read_only(np.asarray(p)))))
    except Exception:  # The error is raised again at the next call, with a note.
        return 1


def _as_weights(weights: Array | SparseMatrix) -> Array | sparse.csr_array:
    """W as float64, (q, k).

    Raises TypeError if W is not real, ValueError if its shape is wrong, NonFinite
    if an entry is nan or inf.
    """
    W = (
        sparse.csr_array(weights)
        if sparse.issparse(weights)
        else np.array(as_array(_MAKER, "weights", weights))
    )
    if W.dtype.kind not in "fiu":
        raise TypeError(f"{_MAKER}: got weights of dtype {W.dtype}, expected float64")
    if W.ndim not in (1, 2) or 0 in W.shape:
        raise ValueError(f"{_MAKER}: got weights of shape {W.shape}, expected (k,) or (q, k)")
    if not np.isfinite(W.data if sparse.issparse(W) else W).all():
        raise NonFinite(f"{_MAKER}: the weights hold nan or inf")
    return W.astype(np.float64).reshape((1, -1) if W.ndim == 1 else W.shape)
