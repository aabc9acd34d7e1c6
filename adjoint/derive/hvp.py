"""Second derivatives of residuals: complex steps of first derivatives written by hand, differences of derived ones."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import scipy.sparse as sparse
from numpy.exceptions import ComplexWarning

from .._repr import short_repr
from ..errors import NotComplexSafe
from ..protocols import Residual
from ..typing import Array
from .differentiation.directional import random_signs
from .differentiation.finite_differences import FLOOR, MOST, differences, sizes

H = 2.0**-332
"""About 1e-100: its square is no number beside anything, so that a step of it has no error but rounding."""


LONGER = 32.0
"""Times as long as steps for first derivatives: what is differenced here is exact to rounding, and has no kinks."""


DIFFERENT = 1e-4
"""Relative error of a second derivative from which on it is wrong, held against differences."""


ROUNDING = 1e-7
"""The same relative to the largest component: what small ones lose to rounding in differences."""


def rate_along(
    f: Callable[[Array], Array], u: Array, p: Array, u_dot: Array, p_dot: Array
) -> tuple[Array, Array]:
    """d/dt f(u + t u̇, p + t ṗ) in two parts, (n,) and (m,), by extrapolated central differences; f: (n + m,) to itself.

    About twelve digits where f is exact to rounding. nan where f has no finite values next to the point.
    """
    x, v = np.concatenate([u, p]), np.concatenate([u_dot, p_dot])
    scale = np.concatenate([sizes(u, FLOOR), sizes(p, 0.0)])
    longest = float((np.abs(v) / scale).max(initial=0.0))
    if longest == 0.0:
        return np.zeros(u.shape), np.zeros(p.shape)
    for longer in (LONGER, 1.0):
        step = longer / longest
        with np.errstate(all="ignore"):  # nan is looked for in what comes back.
            rate = differences(f, x, step * v, MOST)[0] / step
        if np.isfinite(rate).all():
            break
    return rate[: u.size], rate[u.size :]


@dataclass(frozen=True, eq=False)
class WithHvp:
    """A residual with `hvp`, exact to rounding, by complex steps of its `jacobian` and `vjp`."""

    inner: Residual
    _examined: list[tuple[Array, Array, float]] = field(default_factory=list)

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
        """The derivative of (u, p) ↦ ((∂R/∂u)ᵀλ, (∂R/∂p)ᵀλ) along (u̇, ṗ): one complex Jacobian, one complex vjp.

        Before the first one at a point it is held against differences along a random direction: NotComplexSafe where
        they disagree. TypeError for complex u or p.
        """
        if any(a.dtype.kind == "c" for a in (u, p, lam, u_dot, p_dot)):
            raise TypeError(
                "with_hvp: got complex states or parameters, expected real ones: write second by hand"
            )
        sign = self._sign(u, p)
        u_part, p_part = self._stepped(u, p, lam, u_dot, p_dot)
        return u_part, sign * p_part

    def _pulled_back(self, u: Array, p: Array, lam: Array) -> Array:
        return np.concatenate([self.inner.jacobian(u, p).T @ lam, self.inner.vjp(u, p, lam)])

    def _stepped(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        longest = max(float(np.abs(u_dot).max(initial=0.0)), float(np.abs(p_dot).max(initial=0.0)))
        if longest == 0.0:
            return np.zeros(u.shape), np.zeros(p.shape)
        h = H / longest
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
        """−1 for a vjp that conjugates, as that of a Matrix does for complex p; 1 for others."""
        for v, q, sign in self._examined:
            if np.array_equal(u, v) and np.array_equal(p, q):
                return sign
        sign = self._examine(u, p)
        self._examined[:] = [(u.copy(), p.copy(), sign)]
        return sign

    def _examine(self, u: Array, p: Array) -> float:
        lam, u_dot = random_signs(u.size, 0), sizes(u, FLOOR) * random_signs(u.size, 1)
        p_dot = np.where(p == 0.0, 0.0, np.abs(p)) * random_signs(
            p.size, 2
        )  # What is zero has no size.
        both = rate_along(partial(self._both, u.size, lam), u, p, u_dot, p_dot)
        found = self._stepped(u, p, lam, u_dot, p_dot)
        if not _agree(found[0], both[0]):
            raise self._unsafe(
                "lose imaginary parts: complex steps of ∂R/∂u are not its derivatives"
            )
        for sign in (1.0, -1.0):
            if _agree(sign * found[1], both[1]):
                return sign
        raise self._unsafe(
            "lose imaginary parts: complex steps of (∂R/∂p)ᵀλ are not its derivatives"
        )

    def _both(self, n: int, lam: Array, x: Array) -> Array:
        return self._pulled_back(x[:n], x[n:], lam)

    def _unsafe(self, found: str) -> NotComplexSafe:
        return NotComplexSafe(
            f"with_hvp: the jacobian and vjp of {type(self.inner).__name__} {found}. abs, norm, conj and float "
            "arrays written into are usual causes; or write second by hand"
        )


def _agree(stepped: Array, difference: Array) -> bool:
    """Whether they are the same, component by component, as far as differences can tell; nan says nothing."""
    allowed = DIFFERENT * np.abs(difference) + ROUNDING * np.abs(difference).max(initial=0.0)
    return not np.any(np.abs(stepped - difference) > allowed)


def with_hvp(residual: Residual) -> WithHvp:
    """The residual with second derivatives, for Hessian–vector products: by complex steps of `jacobian` and `vjp`.

    residual: written by hand, of real u and p, its `jacobian` and `vjp` continuous in the complex plane near the real
    line (see `complex_step_residual`). That is checked at each point where a product is asked for; NotComplexSafe is raised from
    `hvp` otherwise. Residuals by `complex_step_residual`, `finite_difference_residual` and `jax_residual` have second derivatives already.
    Raises TypeError for what is no residual.
    """
    for method in ("residual", "jacobian", "vjp", "jvp"):
        if not callable(getattr(residual, method, None)):
            raise TypeError(
                f"with_hvp: {type(residual).__name__} has no method {method}, expected a residual"
            )
    return WithHvp(residual)
