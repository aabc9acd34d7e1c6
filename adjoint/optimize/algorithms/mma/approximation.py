"""Convex separable approximations with moving asymptotes, of f and of the constraints.

Svanberg (1987), Int. J. Numer. Methods Eng. 24, 359; Svanberg (2002), SIAM J. Optim.
12, 555; the constants are those of Svanberg (2007), MMA and GCMMA: two methods for
nonlinear optimization, KTH Stockholm.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...._dataclasses import short_repr
from ...._validation import require_settings
from ....bounds import Bounds
from ....typing import Array
from ...inner_products import InnerProduct

BOTH = 1e-3
"""Part of each slope that both poles get, for strict convexity: Svanberg (2007)."""


NEAREST = 0.1
"""Least distance of a variable from its pole in an iteration, relative to the distance
before: albefa of Svanberg (2007)."""


@dataclass(frozen=True, eq=False)
class Asymptotes:
    """σ ← γσ, the distance of the poles x ± σ: γ is small for a variable that oscillates.

    With the published value `least` = 0.01 a variable oscillates for ever about a
    minimum at which no constraint binds. The default is close to rounding: the
    amplitude of such an oscillation falls to about this distance. In other cases the
    two values give the same designs.

    Parameters
    ----------
    initial : float
        σ at the start, relative to the distance of the variable's bounds.
    increase : float
        γ for a variable that goes on in one direction, at least 1.
    decrease : float
        γ for a variable that oscillates, in (0, 1].
    least : float
        Least σ, relative to the distance of the variable's bounds.
    most : float
        Largest σ, relative to the distance of the variable's bounds.

    Raises
    ------
    TypeError
        If a setting is not a number.
    ValueError
        Unless 0 < least ≤ initial ≤ most and decrease ≤ 1 ≤ increase.

    References
    ----------
    Svanberg (2007), section 3.
    """

    initial: float = 0.5
    increase: float = 1.2
    decrease: float = 0.7
    least: float = 1e-12
    most: float = 10.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if not (
            0.0 < self.least <= self.initial <= self.most < np.inf
            and 0.0 < self.decrease <= 1.0 <= self.increase < np.inf
        ):
            raise ValueError(
                f"Asymptotes: got {self}, expected 0 < least ≤ initial ≤ most, 0 < decrease ≤ 1 ≤ "
                "increase"
            )

    def first(self, span: Array) -> Array:
        """σ at the start.

        Parameters
        ----------
        span : (m,) array
            The distances between lower and upper bounds, in units of x.

        Returns
        -------
        (m,) array
            σ, in units of x.
        """
        return self.initial * span

    def moved(self, width: Array, change: Array, before: Array, span: Array) -> Array:
        """The next σ, from the last two changes of the design.

        Parameters
        ----------
        width : (m,) array
            σ, in units of x.
        change : (m,) array
            The last change of the design.
        before : (m,) array
            The change before the last change.
        span : (m,) array
            The distances between lower and upper bounds, in units of x.

        Returns
        -------
        (m,) array
            The next σ, in units of x.
        """
        went = np.sign(change * before)
        # 1 for 0, `increase` for 1, `decrease` for −1; masks of long arrays would be slower.
        mean, half = (
            0.5 * (self.increase + self.decrease) - 1.0,
            0.5 * (self.increase - self.decrease),
        )
        factor = 1.0 + went * (half + mean * went)
        return np.clip(factor * width, self.least * span, self.most * span)


@dataclass(frozen=True, eq=False)
class Region:
    """α ≤ x ≤ β around a design, with x_j = at_j + σ_j s_j and |s_j| < 1.

    at: the design; lower: α; upper: β; width: σ; (m,) each. span: the distance between
    lower and upper bounds, 1 if they coincide, (m,) or one number for all variables.
    """

    at: Array
    lower: Array
    upper: Array
    width: Array
    span: Array

    @classmethod
    def around(cls, x: Array, width: Array, span: Array, move: float, bounds: Bounds) -> "Region":
        """The region within the bounds, the poles and the move limit (relative to `span`)."""
        reach = np.minimum((1.0 - NEAREST) * width, move * span)
        return cls(x, bounds.clip(x - reach), bounds.clip(x + reach), width, span)

    @cached_property
    def relative(self) -> tuple[Array, Array]:
        """The values of s at α and at β, (m,) each."""
        return (self.lower - self.at) / self.width, (self.upper - self.at) / self.width

    def design(self, s: Array) -> Array:
        """x at s, (m,).

        α and β are met to the last bit, so that a variable at its bound is equal to the
        bound.
        """
        lowest, highest = self.relative
        x = self.at + self.width * s
        np.copyto(x, self.lower, where=s <= lowest)
        np.copyto(x, self.upper, where=s >= highest)
        return np.clip(x, self.lower, self.upper, out=x)


@dataclass(frozen=True, eq=False)
class Approximation:
    """g_i(s) = g_i(0) + Σ_j (e_ij 2s_j + h_ij 2s_j²) / (1 − s_j²), i = 0 … k.

    Each g_i is convex and tangent to function i, with poles at s = ±1. The papers write
    the sum over j as Σ_j p_ij/(U_j − x_j) + q_ij/(x_j − L_j) minus its value at the
    design, with p = σ(h + e) and q = σ(h − e); the form above avoids cancellation.
    values: g(0), (k+1,), the objective first; e: half the slopes with respect to s,
    (k+1, m); h: curvatures, (k+1, m), larger than |e|.
    """

    values: Array
    e: Array
    h: Array

    @classmethod
    def of(cls, values: Array, slopes: Array, region: Region, curvature: Array) -> "Approximation":
        """The approximation with given values, (k+1,), and slopes with respect to x, (k+1, m).

        curvature: ρ, (k+1,), positive.
        """
        e = 0.5 * region.width * slopes
        h = (1.0 + 2.0 * BOTH) * np.abs(e)
        relative = region.width / region.span
        for row, rho in zip(h, curvature, strict=True):
            row += rho * relative
        return cls(values, e, h)

    def only(self, rows: Array) -> "Approximation":
        """The approximation of the objective and of the constraints with indices `rows`, (j,)."""
        kept = np.append(0, 1 + rows)
        return Approximation(self.values[kept], self.e[kept], self.h[kept])

    def at(self, s: Array, inner: InnerProduct) -> Array:
        """g_i(s), (k+1,)."""
        odd = 2.0 * s / (1.0 - s * s)
        return self.values + paired(self.e, odd, inner) + paired(self.h, s * odd, inner)


def paired(rows: Array, v: Array, inner: InnerProduct) -> Array:
    """Σ_j rows_ij v_j, (k,)."""
    return np.array([inner.pairing(row, v) for row in rows])
