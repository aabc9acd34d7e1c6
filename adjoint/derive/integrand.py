"""Integrands ℓ = W terms(t, u, p) whose derivatives come from the function of the terms itself, by complex steps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import scipy.sparse as sparse

from .._repr import short_repr
from .._validation import as_array
from ..errors import NonFinite
from ..factor.csc import SparseMatrix
from ..typing import Array
from .field import DerivedField, TimedFunction, derived_field
from .user_function import INTEGRAND, UserFunction, read_only

TermsFunction: TypeAlias = Callable[[float, Array, Array], Array]
"""terms(t, u, p): t, u (n,), p (m,), returns (k,)."""


_MAKER = "complex_step_integrand"


@dataclass(frozen=True, eq=False)
class DerivedIntegrand:
    """ℓ(t, u, p) = W terms(t, u, p), (q,), from a function: an `Integrand`.

    weights: W, (q, k); None for the identity, q = k. Arguments and errors as for `DerivedField`.
    """

    terms: TermsFunction
    n: int
    m: int
    weights: Array | sparse.csr_array | None
    _field: list[DerivedField] = field(default_factory=list)

    __repr__ = short_repr

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """ℓ, (q,); u: (n,), p: (m,), real or complex."""
        return self._weighted(self._derived(t, u, p)(t, u, p))

    def vjp(self, t: float, u: Array, p: Array, q_bar: Array) -> tuple[Array, Array]:
        """((∂ℓ/∂u)ᵀ q̄, (∂ℓ/∂p)ᵀ q̄): (n,) and (m,); q_bar: (q,)."""
        derived = self._derived(t, u, p)
        rows = derived.function.user.rows if self.weights is None else self.weights.shape[0]
        w = derived.function.user.vector(q_bar, "q_bar", rows)
        w = w if self.weights is None else self.weights.T.dot(w)
        return np.asarray(derived.jacobian(t, u, p).T.dot(w)), derived.vjp(t, u, p, w)

    def jvp(self, t: float, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """(∂ℓ/∂u) u̇ + (∂ℓ/∂p) ṗ, (q,): two evaluations; u_dot: (n,), p_dot: (m,)."""
        derived = self._derived(t, u, p)
        return self._weighted(derived.state_jvp(t, u, p, u_dot) + derived.jvp(t, u, p, p_dot))

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂ℓ/∂t, (q,): one evaluation with t + ih."""
        return self._weighted(self._derived(t, u, p).time_derivative(t, u, p))

    def _weighted(self, terms: Array) -> Array:
        return terms if self.weights is None else np.asarray(self.weights.dot(terms))

    def _derived(self, t: float, u: Array, p: Array) -> DerivedField:
        """The terms with their derivatives; without weights the first point tells how many there are."""
        if not self._field:
            rows = _count(self.terms, t, u, p) if self.weights is None else self.weights.shape[1]
            function = TimedFunction(
                UserFunction(self.terms, rows, INTEGRAND, _MAKER), self.n, self.m
            )
            function(t, u, p)  # What is wrong with it is told before it is believed.
            self._field.append(derived_field(function, None, None))
        return self._field[0]


def complex_step_integrand(
    terms: TermsFunction, n: int, m: int, *, weights: Array | SparseMatrix | None = None
) -> DerivedIntegrand:
    """ℓ = W terms(t, u, p), for ∫ℓ dt, with derivatives by Im terms(x + ihv)/h: exact to rounding.

    terms: a plain NumPy function of t, u (n,) and p (m,), real or complex, returns (k,), as for `complex_step_field`.
    weights: W, (k,) for one integral, (q, k) for several, dense or sparse; None: the terms are the integrals.
    For many unknowns, terms of a few unknowns each, one for each cell, and weights that sum them cost some evaluations
    a derivative; a sum that is taken by `terms` itself costs one for each unknown.
    Raises TypeError or ValueError for weights that are none, NonFinite for nan.
    """
    TimedFunction(UserFunction(terms, 1, INTEGRAND, _MAKER), n, m)  # Whether these fit is told now.
    return DerivedIntegrand(terms, n, m, None if weights is None else _as_weights(weights))


def _count(terms: TermsFunction, t: float, u: Array, p: Array) -> int:
    """k, as far as the terms are right at all."""
    try:
        return max(1, np.size(terms(t, read_only(np.asarray(u)), read_only(np.asarray(p)))))
    except Exception:  # It will be raised again, and named.
        return 1


def _as_weights(weights: Array | SparseMatrix) -> Array | sparse.csr_array:
    """W as float64, (q, k)."""
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
