"""The complex step: Im R(x + ihv)/h, the derivative to rounding, from functions that let imaginary parts through.

Squire & Trapp (1998), SIAM Rev. 40, 110; Martins, Sturdza & Alonso (2003), ACM Trans. Math. Softw. 29, 245.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import Array
from .complex_safety import continued, disagreement, not_complex_safe
from .differences import FLOOR, sizes
from .function import Function
from .slices import nearby

EXPONENT = -332
"""h = 2⁻³³² ≈ 1e-100: small beside everything, a parameter of 1e-15 too, and h² underflows to zero; a power of two,
so that multiplying and dividing by it is exact."""


@dataclass(frozen=True, eq=False)
class ComplexSlice:
    """x ↦ R, its derivatives by complex steps; floor: see `sizes`, for the differences that they are held against."""

    owner: Function
    function: Callable[[Array], Array]
    x: Array
    floor: float

    tolerance = 1e-10
    """Relative error from which on a derivative is suspicious: far above rounding, far below any mistake."""

    @property
    def sizes(self) -> Array:
        """Ones: the step is infinitesimal, whatever it is measured in."""
        return np.ones(self.x.size)

    def value(self, x: Array) -> Array:
        """R at x, (n,)."""
        return self.function(x)

    def moved(self, x: Array) -> "ComplexSlice":
        """The same at another x."""
        return replace(self, x=x)

    def along(self, v: Array) -> Array:
        """d/dt R(x + t v), (n,): one evaluation. Raises NotComplexSafe where R refuses or drops imaginary parts."""
        longest = float(np.abs(v).max(initial=0.0))
        if longest == 0.0:
            return np.zeros(self.owner.n)
        derivative, is_complex = self._step(v, longest)
        if not is_complex:  # R does not depend on x, or has lost its imaginary part.
            size = sizes(self.x, self.floor)
            reach = v / float((np.abs(v) / size).max())
            rows, difference = disagreement(self.function, self.x, reach, derivative)
            if rows.size:
                raise self._unsafe(rows, derivative, difference)
        return derivative

    def examine(self) -> None:
        """Raise NotComplexSafe where complex steps and differences disagree along a random direction.

        At points near x, where symmetric starts have no kinks, and in each of them: one may lie beside another kink.
        """
        rng, size = np.random.default_rng(0), sizes(self.x, self.floor)
        suspicious = np.arange(self.owner.n)
        for near in nearby(self) or [self]:
            v = size * rng.uniform(0.5, 1.0, size.shape) * rng.choice([-1.0, 1.0], size.shape)
            derivative, _ = near._step(v, float(np.abs(v).max()))
            rows, difference = disagreement(self.function, near.x, v, derivative)
            suspicious = np.intersect1d(suspicious, rows)
            if not suspicious.size:
                return
        raise self._unsafe(suspicious, derivative, difference)

    def _step(self, v: Array, longest: float) -> tuple[Array, bool]:
        """Im R(x + ihv)/h, and whether R was complex at all; longest: max |v_j|, which h is divided by."""
        exponent = EXPONENT - math.frexp(longest)[1]
        z = np.empty(self.x.size, dtype=np.complex128)
        z.real = self.x
        np.multiply(v, math.ldexp(1.0, exponent), out=z.imag)
        R = continued(self.owner, self.function, z)
        return R.imag * math.ldexp(1.0, -exponent), R.dtype.kind == "c"

    def _unsafe(self, rows: Array, derivative: Array, difference: Array) -> Exception:
        row = rows[0]
        return not_complex_safe(
            self.owner,
            f"loses imaginary parts: in row {row} ({rows.size} such) the derivative along a random direction is "
            f"{derivative[row]:.6e} by a complex step, {difference[row]:.6e} by differences",
        )


@dataclass(frozen=True, eq=False)
class ComplexStep:
    """Derivatives exact to rounding, one complex evaluation each."""

    function: Function

    def in_u(self, u: Array, p: Array) -> ComplexSlice:
        """u ↦ R(u, p)."""
        return ComplexSlice(self.function, lambda x: self.function(x, p), u, FLOOR)

    def in_p(self, u: Array, p: Array) -> ComplexSlice:
        """p ↦ R(u, p)."""
        return ComplexSlice(self.function, lambda x: self.function(u, x), p, 0.0)
