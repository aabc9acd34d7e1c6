"""Matrices T(μ, p) of nonlinear eigenproblems: the protocol, and sums Σ f_i(μ) A_i(p)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Portable, short_repr
from .._optional_methods import checked_matrix_hvp
from .._validation import require_kind, require_methods
from ..factor.csc import as_csc
from ..matrices.affine import Constant
from ..protocols import Matrix
from ..typing import Array, SparseMatrix


class EigenMatrix(Protocol):
    """T(μ, p), sparse (n, n), analytic in the complex number μ, with its derivatives.

    See docs/math/spectra.md, eq. 230.
    """

    def __call__(self, mu: complex, p: Array) -> sparse.csc_array:
        """Return T(μ, p) as a csc_array (n, n)."""

    def derivative(self, mu: complex, p: Array) -> sparse.csc_array:
        """Return ∂T/∂μ as a csc_array (n, n)."""

    def vjp(self, mu: complex, p: Array, u: Array, lam: Array) -> Array:
        """Return g (m,): Re(gᴴ ṗ) = Re(λᴴ (∂T/∂p ṗ) u), for u and λ (n,)."""

    def jvp(self, mu: complex, p: Array, u: Array, p_dot: Array) -> Array:
        """Return (∂T/∂p ṗ) u, (n,)."""


@runtime_checkable
class EigenMatrixWithHvp(Protocol):
    """An `EigenMatrix` with second derivatives, for Hessian-vector products."""

    def hvp(
        self, mu: complex, p: Array, u: Array, lam: Array, mu_dot: complex, p_dot: Array
    ) -> tuple[Array, complex, Array]:
        """Return the rates along (μ̇, ṗ) of Tᴴλ (n,), of uᴴ(∂T/∂μ)ᴴλ, and of vjp (m,)."""


@dataclass(frozen=True, eq=False)
class AnalyticFunction:
    """f(μ), a scalar analytic function, with its first two derivatives.

    Parameters
    ----------
    value : callable
        μ ↦ f(μ), complex.
    first : callable
        μ ↦ f′(μ).
    second : callable
        μ ↦ f″(μ).

    Raises
    ------
    TypeError
        If an argument is not callable.
    """

    value: Callable[[complex], complex]
    first: Callable[[complex], complex]
    second: Callable[[complex], complex]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name in ("value", "first", "second"):
            require_methods(
                "AnalyticFunction", name, getattr(self, name), ("__call__",), "a function of mu"
            )


def power(k: int) -> AnalyticFunction:
    """Return f(μ) = μᵏ.

    Parameters
    ----------
    k : int
        The exponent, k ≥ 0.

    Returns
    -------
    AnalyticFunction
        f with its derivatives.

    Raises
    ------
    ValueError
        Unless k is an integer ≥ 0.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 0:
        raise ValueError(f"power: got k={k!r}, expected an integer ≥ 0")
    return AnalyticFunction(
        lambda mu: mu**k,
        lambda mu: k * mu ** (k - 1) if k else 0.0,
        lambda mu: k * (k - 1) * mu ** (k - 2) if k > 1 else 0.0,
    )


def exponential(a: complex) -> AnalyticFunction:
    """Return f(μ) = exp(a μ): a = −τ for a term with the delay τ.

    Parameters
    ----------
    a : float or complex
        The rate, in units of 1/μ.

    Returns
    -------
    AnalyticFunction
        f with its derivatives.

    Raises
    ------
    ValueError
        If a is nan or inf.
    """
    if not np.isfinite(a):
        raise ValueError(f"exponential: got a={a}, expected a finite number")
    return AnalyticFunction(
        lambda mu: np.exp(a * mu), lambda mu: a * np.exp(a * mu), lambda mu: a * a * np.exp(a * mu)
    )


def simple_pole(s: complex) -> AnalyticFunction:
    """Return f(μ) = 1/(μ − s): a term of a rational eigenproblem.

    Parameters
    ----------
    s : float or complex
        The pole, in units of μ.

    Returns
    -------
    AnalyticFunction
        f with its derivatives.

    Raises
    ------
    ValueError
        If s is nan or inf.
    """
    if not np.isfinite(s):
        raise ValueError(f"simple_pole: got s={s}, expected a finite number")
    return AnalyticFunction(
        lambda mu: 1.0 / (mu - s), lambda mu: -1.0 / (mu - s) ** 2, lambda mu: 2.0 / (mu - s) ** 3
    )


@dataclass(frozen=True, eq=False)
class AnalyticSum(Portable):
    """T(μ, p) = Σ_i f_i(μ) A_i(p): polynomial, rational and delay eigenproblems.

    This class implements `EigenMatrix` (docs/math/spectra.md, eq. 230).

    Parameters
    ----------
    terms : list of (AnalyticFunction, Matrix or sparse matrix)
        Pairs (f_i, A_i), all A_i of one shape (n, n). For a quadratic eigenproblem:
        [(power(0), K), (power(1), C), (power(2), M)].

    Raises
    ------
    TypeError
        If an f_i is not an AnalyticFunction, or an A_i neither a Matrix nor sparse.
    ValueError
        If the terms are not pairs.
    """

    terms: Sequence[tuple[AnalyticFunction, Matrix | SparseMatrix]]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if (
            not isinstance(self.terms, list | tuple)
            or not self.terms
            or not all(isinstance(term, tuple) and len(term) == 2 for term in self.terms)
        ):
            raise ValueError(
                "AnalyticSum: terms: expected a list of pairs, [(power(0), K), (power(2), M)]"
            )
        for f, A in self.terms:
            expected = "an AnalyticFunction such as adjoint.eigen.power(1)"
            require_kind("AnalyticSum", "terms", f, AnalyticFunction, expected)
            if not sparse.issparse(A):
                require_methods(
                    "AnalyticSum", "terms", A, ("__call__",), "Matrix objects or sparse matrices"
                )

    @cached_property
    def _pairs(self) -> list[tuple[AnalyticFunction, Matrix]]:
        return [(f, A if callable(A) else Constant(A)) for f, A in self.terms]

    def _sum(self, coefficients: list[complex], p: Array) -> sparse.csc_array:
        terms = [c * as_csc(A(p)) for c, (_, A) in zip(coefficients, self._pairs, strict=True)]
        if len({A.shape for A in terms}) != 1:
            raise ValueError(
                f"AnalyticSum: got shapes {[A.shape for A in terms]}, expected equal shapes"
            )
        return as_csc(sum(terms[1:], terms[0]))

    def __call__(self, mu: complex, p: Array) -> sparse.csc_array:
        """Return Σ f_i(μ) A_i(p), (n, n)."""
        return self._sum([complex(f.value(mu)) for f, _ in self._pairs], p)

    def derivative(self, mu: complex, p: Array) -> sparse.csc_array:
        """Return Σ f_i′(μ) A_i(p), (n, n)."""
        return self._sum([complex(f.first(mu)) for f, _ in self._pairs], p)

    def vjp(self, mu: complex, p: Array, u: Array, lam: Array) -> Array:
        """Return the derivative of Σ f_i(μ) λᴴ A_i(p) u with respect to p, (m,)."""
        return np.asarray(
            sum(A.vjp(p, u, np.conj(complex(f.value(mu))) * lam) for f, A in self._pairs)
        )

    def jvp(self, mu: complex, p: Array, u: Array, p_dot: Array) -> Array:
        """Return Σ f_i(μ) (∂A_i/∂p ṗ) u, of u's shape."""
        return np.asarray(sum(complex(f.value(mu)) * A.jvp(p, u, p_dot) for f, A in self._pairs))

    def hvp(
        self, mu: complex, p: Array, u: Array, lam: Array, mu_dot: complex, p_dot: Array
    ) -> tuple[Array, complex, Array]:
        """Return the rates along (μ̇, ṗ) of Tᴴλ (n,), of uᴴ(∂T/∂μ)ᴴλ, and of vjp (m,).

        Raise TypeError if a term has no `hvp`.
        """
        T_lam = np.zeros(u.shape, complex)
        slope = 0j
        g = np.zeros_like(p)
        for f, A in self._pairs:
            f0, f1, f2 = (np.conj(complex(each(mu))) for each in (f.value, f.first, f.second))
            rate = np.conj(complex(mu_dot))
            A_lam = A(p).conj().T @ lam
            A_lam_dot, _ = checked_matrix_hvp(A, p, u, lam, p_dot)
            _, g_dot = checked_matrix_hvp(A, p, u, f0 * lam, p_dot)
            T_lam += f1 * rate * A_lam + f0 * A_lam_dot
            slope += complex(np.vdot(u, f2 * rate * A_lam + f1 * A_lam_dot))
            g = g + A.vjp(p, u, f1 * rate * lam) + g_dot
        return T_lam, slope, g
