"""Second derivatives of residuals, by complex steps or differences of first derivatives."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import scipy.sparse as sparse
from numpy.exceptions import ComplexWarning

from .._dataclasses import short_repr
from .._validation import missing_methods
from ..errors import NotComplexSafe
from ..protocols import Residual
from ..typing import Array
from .differentiation.directional import random_signs
from .differentiation.finite_differences import FLOOR, MOST, differences, sizes

COMPLEX_STEP = 2.0**-332
"""Complex step h, about 1e-100.

In a sum, h² is far below the rounding error, so that the derivative has no truncation
error.
"""


LONGER = 32.0
"""Factor applied to the steps of finite differences of first derivatives.

First derivatives are exact to rounding and have no kinks, so their steps may be longer.
"""


DISAGREEMENT = 1e-4
"""Relative difference from finite differences above which a second derivative is wrong."""


ROUNDING = 1e-7
"""Rounding error of finite differences, relative to the largest component."""


def rate_along(
    f: Callable[[Array], Array], u: Array, p: Array, u_dot: Array, p_dot: Array
) -> tuple[Array, Array]:
    """d/dt f(u + t u̇, p + t ṗ) in two parts, (n,) and (m,), by central differences.

    f maps (n + m,) to (n + m,). The differences are extrapolated: the result has about
    twelve correct digits if f is exact to rounding. The result is nan if f is not finite
    near the point.
    """
    x, v = np.concatenate([u, p]), np.concatenate([u_dot, p_dot])
    scale = np.concatenate([sizes(u, FLOOR), sizes(p, 0.0)])
    longest = float((np.abs(v) / scale).max(initial=0.0))
    if longest == 0.0:
        return np.zeros(u.shape), np.zeros(p.shape)
    for longer in (LONGER, 1.0):
        step = longer / longest
        with np.errstate(all="ignore"):  # The result is checked for nan below.
            rate = differences(f, x, step * v, MOST)[0] / step
        if np.isfinite(rate).all():
            break
    return rate[: u.size], rate[u.size :]


@dataclass(eq=False)
class WithHvp:
    """A hand-written residual with `hvp`, by complex steps of its `jacobian` and `vjp`.

    `with_hvp` returns such residuals. The class has all methods of
    `adjoint.protocols.Residual`. An object remembers the latest point at which `jacobian`
    and `vjp` passed an examination.

    Parameters
    ----------
    inner : Residual
        The hand-written residual.
    """

    inner: Residual
    _examined: tuple[Array, Array, float] | None = field(default=None, init=False, repr=False)

    __repr__ = short_repr

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p)."""
        return self.inner.residual(u, p)

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (n, n)."""
        return self.inner.jacobian(u, p)

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᵀ λ, (m,)."""
        return self.inner.vjp(u, p, lam)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (n,)."""
        return self.inner.jvp(u, p, p_dot)

    def hvp(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of (u, p) ↦ ((∂R/∂u)ᵀλ, (∂R/∂p)ᵀλ) along (u̇, ṗ), (n,) and (m,).

        Cost: one complex Jacobian and one complex vjp. Before the first product at a
        point, the derivative along a random direction is compared with finite
        differences. NotComplexSafe is raised if the two disagree. TypeError is raised
        if u, p or a direction is complex.
        """
        if any(a.dtype.kind == "c" for a in (u, p, lam, u_dot, p_dot)):
            raise TypeError(
                "with_hvp: got complex states or parameters, expected real ones: write hvp by hand"
            )
        sign = self._sign(u, p)
        u_part, p_part = self._stepped(u, p, lam, u_dot, p_dot)
        return u_part, sign * p_part

    def _pulled_back(self, u: Array, p: Array, lam: Array) -> Array:
        """((∂R/∂u)ᵀλ, (∂R/∂p)ᵀλ) as one vector, (n + m,)."""
        return np.concatenate([self.inner.jacobian(u, p).T @ lam, self.inner.vjp(u, p, lam)])

    def _stepped(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of `_pulled_back` along (u̇, ṗ) by a complex step, (n,) and (m,)."""
        longest = max(float(np.abs(u_dot).max(initial=0.0)), float(np.abs(p_dot).max(initial=0.0)))
        if longest == 0.0:
            return np.zeros(u.shape), np.zeros(p.shape)
        h = COMPLEX_STEP / longest
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("error", ComplexWarning)
                parts = self._pulled_back(u + 1j * h * u_dot, p + 1j * h * p_dot, lam).imag / h
        except (TypeError, ComplexWarning) as error:
            raise self._unsafe(
                f"do not work with complex u and p ({type(error).__name__}: {error})"
            ) from error
        return parts[: u.size], parts[u.size :]

    def _sign(self, u: Array, p: Array) -> float:
        """−1 if `inner.vjp` conjugates, like the vjp of a Matrix at a complex p; otherwise 1."""
        if self._examined is not None:
            v, q, sign = self._examined
            if np.array_equal(u, v) and np.array_equal(p, q):
                return sign
        sign = self._examine(u, p)
        self._examined = (u.copy(), p.copy(), sign)
        return sign

    def _examine(self, u: Array, p: Array) -> float:
        """Return the sign for `_sign`; raise NotComplexSafe if complex steps are wrong."""
        lam, u_dot = random_signs(u.size, 0), sizes(u, FLOOR) * random_signs(u.size, 1)
        # A parameter that is zero has no size, and is not varied.
        p_dot = np.where(p == 0.0, 0.0, np.abs(p)) * random_signs(p.size, 2)
        expected = rate_along(partial(self._both, u.size, lam), u, p, u_dot, p_dot)
        found = self._stepped(u, p, lam, u_dot, p_dot)
        if not _agree(found[0], expected[0]):
            raise self._unsafe(
                "lose imaginary parts: complex steps of ∂R/∂u are not its derivatives"
            )
        for sign in (1.0, -1.0):
            if _agree(sign * found[1], expected[1]):
                return sign
        raise self._unsafe(
            "lose imaginary parts: complex steps of (∂R/∂p)ᵀλ are not its derivatives"
        )

    def _both(self, n: int, lam: Array, x: Array) -> Array:
        """`_pulled_back` as a function of x = (u, p), (n + m,)."""
        return self._pulled_back(x[:n], x[n:], lam)

    def _unsafe(self, found: str) -> NotComplexSafe:
        return NotComplexSafe(
            f"with_hvp: the jacobian and vjp of {type(self.inner).__name__} {found}. Usual causes: "
            "abs, norm, conj, and values written into float arrays. Or write hvp by hand"
        )


def _agree(stepped: Array, difference: Array) -> bool:
    """True if all components agree up to the errors of differences; nan counts as agreement."""
    allowed = DISAGREEMENT * np.abs(difference) + ROUNDING * np.abs(difference).max(initial=0.0)
    return not np.any(np.abs(stepped - difference) > allowed)


def with_hvp(residual: Residual) -> WithHvp:
    """Add second derivatives to a hand-written residual, by complex steps of its derivatives.

    Parameters
    ----------
    residual : Residual
        Object with `residual`, `jacobian`, `vjp` and `jvp` for real u and p. `jacobian`
        and `vjp` must also work for complex arguments near the real line, see
        `complex_step_residual`.

    Returns
    -------
    WithHvp
        The residual with `hvp`, for Hessian–vector products of reduced functions.

    Raises
    ------
    TypeError
        If a method is missing.

    Notes
    -----
    `hvp` raises NotComplexSafe if `jacobian` or `vjp` loses imaginary parts. The test
    is made at each point. Residuals by `complex_step_residual`,
    `finite_difference_residual` and `jax_residual` have second derivatives already.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sparse
    >>> from adjoint.derive import with_hvp
    >>> class Root:
    ...     def residual(self, u, p):
    ...         return u**2 - p
    ...     def jacobian(self, u, p):
    ...         return sparse.csc_array(sparse.diags_array(2.0 * u))
    ...     def vjp(self, u, p, lam):
    ...         return -lam
    ...     def jvp(self, u, p, p_dot):
    ...         return -p_dot
    >>> root, u, p, one = with_hvp(Root()), np.array([3.0]), np.array([9.0]), np.ones(1)
    >>> root.hvp(u, p, lam=one, u_dot=one, p_dot=one)[0]
    array([2.])
    """
    if missing := missing_methods(residual, ("residual", "jacobian", "vjp", "jvp")):
        raise TypeError(
            f"with_hvp: {type(residual).__name__} has no method {missing[0]}, expected a residual"
        )
    return WithHvp(residual)
