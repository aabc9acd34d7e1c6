"""The complex step: Im R(x + ihv)/h, the derivative to rounding, from functions that let imaginary parts through.

Squire & Trapp (1998), SIAM Rev. 40, 110; Martins, Sturdza & Alonso (2003), ACM Trans. Math. Softw. 29, 245.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...typing import Array
from ..user_function import Function, UserFunction
from .complex_safety import continued, disagreement, doubtful, not_complex_safe
from .directional import nearby, random_signs
from .finite_differences import FLOOR, sizes

EXPONENT = -332
"""h = 2⁻³³² ≈ 1e-100: small beside everything, a parameter of 1e-15 too, and h² beside that; a power of two, so that
multiplying and dividing by it is exact."""


MODERATE = 600
"""Binary exponents of directions up to which the step, and one over it, are normal numbers."""


@dataclass(frozen=True, eq=False)
class ComplexSlice:
    """x ↦ R, its derivatives by complex steps.

    owner: the function that R is made of; scale: the `sizes` of x, (k,), for differences to hold them against.
    """

    owner: UserFunction
    function: Callable[[Array], Array]
    x: Array
    scale: Array

    tolerance = 1e-10
    """Relative error from which on a derivative is suspicious: far above rounding, far below any mistake."""

    @property
    def what(self) -> str:
        """What the function is called in messages."""
        return self.owner.kind.name

    @property
    def sizes(self) -> Array:
        """Ones: the step is infinitesimal, whatever it is measured in."""
        return np.ones(self.x.size)

    def value(self, x: Array) -> Array:
        """R at x, (n,)."""
        return self.function(x)

    @property
    def finer(self) -> "list[ComplexSlice]":
        """None: derivatives do not depend on steps."""
        return []

    def moved(self, x: Array) -> "ComplexSlice":
        """The same at another x."""
        return replace(self, x=x)

    def along(self, v: Array) -> Array:
        """d/dt R(x + t v), (n,): one evaluation. Raises NotComplexSafe where R refuses or drops imaginary parts."""
        longest = float(np.abs(v).max(initial=0.0))
        if longest == 0.0:
            return np.zeros(self.owner.rows)
        derivative, is_complex = self._step(v, longest)
        if not is_complex:  # R does not depend on x, or has lost its imaginary part.
            reach = v / float((np.abs(v) / self.scale).max())
            rows, difference = disagreement(
                self.function, self.x, reach, derivative, np.abs(derivative)
            )
            if rows.size:
                raise self._unsafe(rows, derivative, difference)
        return derivative

    def examine(self) -> None:
        """Raise NotComplexSafe where complex steps and differences disagree along a direction.

        Of random signs, in which nothing cancels; of one sign, in which diffusion does, and leaves what is small
        beside it. At points near x, where symmetric starts have no kinks, and in each of them: one may lie beside
        another kink.
        """
        terms = np.zeros(self.owner.rows)
        points = nearby(self, self.scale) or [self]
        for signs in (random_signs(self.x.size, 0), np.ones(self.x.size)):
            suspicious, v = np.arange(self.owner.rows), self.scale * signs
            for near in points:
                rows, derivative, difference = near._disagreement(v, terms)
                suspicious = np.intersect1d(suspicious, rows)
                if not suspicious.size:
                    break
            else:
                raise self._unsafe(suspicious, derivative, difference)
            terms = np.maximum(terms, np.abs(derivative))

    def examine_here(self, direction: Array, terms: Array) -> None:
        """The same at x itself, in one complex and two real evaluations where nothing is wrong.

        Something is if all rounds confirm it: a single difference, extrapolated ones, and those at most points near x,
        where what was a kink at x is none. direction: in units of x, (k,); components that are zero stay: they have
        no size. terms: see `Rule`.
        """
        v = np.where(self.x == 0.0, 0.0, self.scale * direction)
        longest = float(np.abs(v).max(initial=0.0))
        if longest == 0.0:
            return
        derivative, _ = self._step(v, longest)
        if doubtful(self.function, self.x, v, derivative, terms).size:
            self._confirm(v, derivative, terms)

    def _confirm(self, v: Array, derivative: Array, terms: Array) -> None:
        """Raise NotComplexSafe if a row disagrees with its derivative along v at x, and at two points near it."""
        rows, difference = disagreement(self.function, self.x, v, derivative, terms)
        times = np.zeros(self.owner.rows, dtype=int)
        points = nearby(self, self.scale) if rows.size else []
        needed = min(2, max(1, len(points)))
        for left, near in zip(range(len(points))[::-1], points, strict=True):
            times[near._disagreement(v, terms)[0]] += 1
            rows = rows[times[rows] + left >= needed]
            if not rows.size:
                return
        if rows.size and points:
            raise self._unsafe(rows, derivative, difference)

    def _disagreement(self, v: Array, terms: Array) -> tuple[Array, Array, Array]:
        """Rows that disagree, as `disagreement` finds them along v, and both derivatives, (n,)."""
        derivative, _ = self._step(v, float(np.abs(v).max()))
        rows, difference = disagreement(self.function, self.x, v, derivative, terms)
        return rows, derivative, difference

    def _step(self, v: Array, longest: float) -> tuple[Array, bool]:
        """Im R(x + ihv)/h, and whether R was complex at all; longest: max |v_j|, which h is divided by."""
        exponent = math.frexp(longest)[1]
        z = np.empty(self.x.size, dtype=np.complex128)
        z.real = self.x
        if abs(exponent) <= MODERATE:  # A product: np.ldexp takes ten times as long.
            np.multiply(v, math.ldexp(1.0, EXPONENT - exponent), out=z.imag)
        else:
            np.ldexp(v, EXPONENT - exponent, out=z.imag)
        R = continued(self.owner, self.function, z)
        if abs(exponent) <= MODERATE:
            return R.imag * math.ldexp(1.0, exponent - EXPONENT), R.dtype.kind == "c"
        return np.ldexp(R.imag * 2.0**-EXPONENT, exponent), R.dtype.kind == "c"

    def _unsafe(self, rows: Array, derivative: Array, difference: Array) -> Exception:
        row = rows[0]
        return not_complex_safe(
            self.owner,
            f"loses imaginary parts: in row {row} ({rows.size} such) the derivative along a random direction is "
            f"{derivative[row]:.12g} by a complex step, {difference[row]:.12g} by differences",
        )


@dataclass(frozen=True, eq=False)
class ComplexStep:
    """Derivatives exact to rounding, one complex evaluation each."""

    function: Function

    @cached_property
    def _direction(self) -> Array:
        return random_signs(self.function.n + self.function.m, 4)

    def in_u(self, u: Array, p: Array) -> ComplexSlice:
        """u ↦ R(u, p)."""
        return ComplexSlice(self.function.user, lambda x: self.function(x, p), u, sizes(u, FLOOR))

    def in_p(self, u: Array, p: Array) -> ComplexSlice:
        """p ↦ R(u, p)."""
        return ComplexSlice(self.function.user, lambda x: self.function(u, x), p, sizes(p, 0.0))

    def examine(self, u: Array, p: Array, terms: Array) -> None:
        """Raise NotComplexSafe where imaginary parts are lost here, if not at the first point: in another branch."""
        scale = np.concatenate([sizes(u, FLOOR), sizes(p, 0.0)])
        both = ComplexSlice(
            self.function.user,
            lambda x: self.function(x[: u.size], x[u.size :]),
            np.concatenate([u, p]),
            scale,
        )
        both.examine_here(self._direction, terms)
