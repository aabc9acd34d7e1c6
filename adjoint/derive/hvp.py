"""Second derivatives by complex steps, or by differences, of first derivatives."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.exceptions import ComplexWarning

from ..errors import NotComplexSafe
from ..typing import Array
from .differentiation.directional import random_signs
from .differentiation.finite_differences import FLOOR, RATIO, STEP, sizes

COMPLEX_STEP = 2.0**-332
"""Complex step h, about 1e-100.

In a sum, h² is far below the rounding error, so that the derivative has no truncation
error.
"""


LONGER = 32.0
"""Factor applied to the steps of finite differences of first derivatives.

First derivatives are exact to rounding and have no kinks, so their steps may be longer.
"""


STEPS = 7
"""Maximum number of steps of extrapolated differences, each a quarter of the step before."""


TARGET = 1e-12
"""Relative change of extrapolated differences below which no more steps are added."""


CONVERGED = 1e-6
"""Estimated error of extrapolated differences, relative to the largest component, above which
the differences do not converge."""


EPS = float(np.finfo(float).eps)
"""Unit of the rounding error."""


DISAGREEMENT = 1e-4
"""Relative difference from finite differences above which a second derivative is wrong."""


ROUNDING = 1e-7
"""Rounding error of finite differences, relative to the largest component."""


def rate_along(
    f: Callable[[Array], Array], u: Array, p: Array, u_dot: Array, p_dot: Array
) -> tuple[Array, Array]:
    """d/dt f(u + t u̇, p + t ṗ) in two parts, (n,) and (m,), by central differences.

    f maps (n + m,) to (n + m,), and is exact to rounding, or nearly so. The differences
    are extrapolated until they change by less than `TARGET`, or by rounding. The result
    is nan if f is not finite near the point, or if the differences do not converge: at
    a kink, or at the edge of the domain of f.
    """
    x, v = np.concatenate([u, p]), np.concatenate([u_dot, p_dot])
    scale = np.concatenate([sizes(u, FLOOR), sizes(p, 0.0)])
    longest = float((np.abs(v) / scale).max(initial=0.0))
    if longest == 0.0:
        return np.zeros(u.shape), np.zeros(p.shape)
    for longer in (LONGER, 1.0):
        with np.errstate(all="ignore"):  # The result is checked for nan below.
            rate, error, terms = _extrapolated(f, x, v, longer * STEP / longest)
        if np.isfinite(rate).all() and np.isfinite(error).all():
            break
    # Components in the units of f times x are comparable.
    size, uncertain = np.abs(rate) * scale, error * scale
    allowed = CONVERGED * size.max(initial=0.0) + ROUNDING * longest * (terms * scale).max(
        initial=0.0
    )
    if not uncertain.max(initial=0.0) <= allowed:
        rate = np.full(rate.shape, np.nan)
    return rate[: u.size], rate[u.size :]


def _extrapolated(
    f: Callable[[Array], Array], x: Array, v: Array, t: float
) -> tuple[Array, Array, Array]:
    """(d/dt f(x + t v), estimate of its error, |f|), by Ridders' table from a first step t.

    Two steps, four evaluations, suffice for an f of second degree.
    """
    row: list[Array] = []
    best = error = terms = np.empty(0)
    for level in range(STEPS):
        above, below = f(x + t * v), f(x - t * v)
        new = [(above - below) / (2.0 * t)]
        if level == 0:
            best, error = new[0], np.full(new[0].shape, np.inf)
        terms = np.maximum(np.abs(above), np.abs(below))
        rounding = EPS * terms / t
        for k, previous in enumerate(row, start=1):
            new.append(new[-1] + (new[-1] - previous) / (RATIO ** (2 * k) - 1.0))
            change = np.maximum(np.abs(new[-1] - new[-2]), np.abs(new[-1] - previous)) + rounding
            better = change < error
            best, error = np.where(better, new[-1], best), np.where(better, change, error)
        if level and not np.any(error > TARGET * np.abs(best) + 2.0 * rounding):
            break
        row, t = new, t / RATIO
    return best, error, terms


PulledBack = Callable[[Array, Array, Array], Array]
"""(u, p, λ) ↦ ((∂R/∂u)ᵀλ, (∂R/∂p)ᵀλ) as one vector, (n + m,)."""


@dataclass(frozen=True, eq=False)
class SteppedRate:
    """The derivative of hand-written first derivatives along (u̇, ṗ), by one complex step.

    pulled_back: the first derivatives of R or of f at one t. symbol: "R" or "f". owner: the
    name of the user's class.
    """

    pulled_back: PulledBack
    symbol: str
    owner: str

    def along(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of `pulled_back`, (n,) and (m,), but for the sign, see `sign`.

        Raises TypeError if an argument is complex, NotComplexSafe if the user's functions
        refuse complex arguments.
        """
        if any(a.dtype.kind == "c" for a in (u, p, lam, u_dot, p_dot)):
            raise TypeError(
                "with_hvp: got complex states or parameters, expected real ones: write hvp by hand"
            )
        longest = max(float(np.abs(u_dot).max(initial=0.0)), float(np.abs(p_dot).max(initial=0.0)))
        if longest == 0.0:
            return np.zeros(u.shape), np.zeros(p.shape)
        h = COMPLEX_STEP / longest
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("error", ComplexWarning)
                parts = self.pulled_back(u + 1j * h * u_dot, p + 1j * h * p_dot, lam).imag / h
        except (TypeError, ComplexWarning) as error:
            raise self._unsafe(
                f"do not work with complex u and p ({type(error).__name__}: {error})"
            ) from error
        return parts[: u.size], parts[u.size :]

    def sign(self, u: Array, p: Array) -> float:
        """−1 if the vjp conjugates, like the vjp of a Matrix at a complex p; otherwise 1.

        The derivative along a random direction is compared with finite differences.
        Raises NotComplexSafe if complex steps are wrong.
        """
        lam, u_dot = random_signs(u.size, 0), sizes(u, FLOOR) * random_signs(u.size, 1)
        # A parameter that is zero has no size, and is not varied.
        p_dot = np.where(p == 0.0, 0.0, np.abs(p)) * random_signs(p.size, 2)
        expected = rate_along(partial(self._both, u.size, lam), u, p, u_dot, p_dot)
        found = self.along(u, p, lam, u_dot, p_dot)
        if not _agree(found[0], expected[0]):
            raise self._unsafe(
                f"lose imaginary parts: complex steps of ∂{self.symbol}/∂u are not its derivatives"
            )
        for sign in (1.0, -1.0):
            if _agree(sign * found[1], expected[1]):
                return sign
        raise self._unsafe(
            f"lose imaginary parts: complex steps of (∂{self.symbol}/∂p)ᵀλ are not its derivatives"
        )

    def _both(self, n: int, lam: Array, x: Array) -> Array:
        """`pulled_back` as a function of x = (u, p), (n + m,)."""
        return self.pulled_back(x[:n], x[n:], lam)

    def _unsafe(self, found: str) -> NotComplexSafe:
        return NotComplexSafe(
            f"with_hvp: the jacobian and vjp of {self.owner} {found}. Usual causes: "
            "abs, norm, conj, and values written into float arrays. Or write hvp by hand"
        )


def _agree(stepped: Array, difference: Array) -> bool:
    """True if all components agree up to the errors of differences; nan counts as agreement."""
    allowed = DISAGREEMENT * np.abs(difference) + ROUNDING * np.abs(difference).max(initial=0.0)
    return not np.any(np.abs(stepped - difference) > allowed)
