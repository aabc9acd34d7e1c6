"""The complex step Im R(x + ihv)/h: the derivative of R along v, exact to rounding.

Squire & Trapp (1998), SIAM Rev. 40, 110; Martins, Sturdza & Alonso (2003), ACM Trans.
Math. Softw. 29, 245.
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
"""h = 2⁻³³² ≈ 1e-100.

h is small relative to every parameter, also to 1e-15, and h² relative to h. A power of
two, so that products and quotients with h are exact.
"""


MODERATE = 600
"""Binary exponent of directions up to which the step and 1/step are normal numbers."""


@dataclass(frozen=True, eq=False)
class ComplexSlice:
    """The function x ↦ R, where x is u or p, with derivatives at x by complex steps.

    owner: the function from which R is made; scale: (k,), the sizes of the
    components of x, for finite differences.
    """

    owner: UserFunction
    function: Callable[[Array], Array]
    x: Array
    scale: Array

    tolerance = 1e-10
    """Relative error above which a derivative is suspicious: far above rounding."""

    @property
    def what(self) -> str:
        """The name of the function in messages."""
        return self.owner.kind.name

    @property
    def sizes(self) -> Array:
        """The unit of each component, (k,): ones, because any unit makes h infinitesimal."""
        return np.ones(self.x.size)

    def value(self, x: Array) -> Array:
        """R at x, (n,)."""
        return self.function(x)

    @property
    def finer(self) -> "list[ComplexSlice]":
        """An empty list: derivatives do not depend on steps."""
        return []

    def moved(self, x: Array) -> "ComplexSlice":
        """The same function with its derivatives at another point x."""
        return replace(self, x=x)

    def along(self, v: Array) -> Array:
        """d/dt R(x + t v) at t = 0, (n,), by one evaluation.

        Raises NotComplexSafe if R refuses complex numbers or drops imaginary parts.
        """
        longest = float(np.abs(v).max(initial=0.0))
        if longest == 0.0:
            return np.zeros(self.owner.rows)
        derivative, is_complex = self._step(v, longest)
        if not is_complex:  # R either does not depend on x or has lost its imaginary part.
            reach = v / float((np.abs(v) / self.scale).max())
            rows, difference = disagreement(
                self.function, self.x, reach, derivative, np.abs(derivative)
            )
            if rows.size:
                raise self._unsafe(rows, derivative, difference)
        return derivative

    def examine(self) -> None:
        """Raise NotComplexSafe if complex steps and differences disagree along a direction.

        Two directions are tested. The components of the first have random signs, so
        that no terms cancel. The components of the second are all positive: diffusion
        terms almost cancel, so that errors in small terms become visible. The test is
        made at several points near x, because a symmetric state may have a kink at x. A
        row is wrong only if it disagrees at every one of these points, because a single
        point may be next to another kink.
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
        """Raise NotComplexSafe if complex steps and differences disagree at x itself.

        If complex steps are right, the test costs one complex and two real evaluations.
        The error is raised only if three tests contradict the complex step: a single
        difference at x, extrapolated differences at x, and extrapolated differences at
        two points near x, to exclude a kink at x. direction: (k,), relative to the
        sizes of x; components of x that are zero are not moved, because they have no
        size. terms: see `Rule.examine`.
        """
        v = np.where(self.x == 0.0, 0.0, self.scale * direction)
        longest = float(np.abs(v).max(initial=0.0))
        if longest == 0.0:
            return
        derivative, _ = self._step(v, longest)
        if doubtful(self.function, self.x, v, derivative, terms).size:
            self._confirm(v, derivative, terms)

    def _confirm(self, v: Array, derivative: Array, terms: Array) -> None:
        """Raise NotComplexSafe if a row is wrong along v at x and at two points near x."""
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
        """(rows that disagree, derivative by a complex step, derivative by differences) along v."""
        derivative, _ = self._step(v, float(np.abs(v).max()))
        rows, difference = disagreement(self.function, self.x, v, derivative, terms)
        return rows, derivative, difference

    def _step(self, v: Array, longest: float) -> tuple[Array, bool]:
        """(Im R(x + ihv)/h, True if R was complex); h is 1e-100 divided by longest = max |v_j|."""
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
        """The error NotComplexSafe for wrong rows.

        derivative: the derivative by a complex step, (n,). difference: the derivative
        by finite differences, (n,).
        """
        row = rows[0]
        return not_complex_safe(
            self.owner,
            f"loses imaginary parts: in row {row} ({rows.size} such) the derivative along a random "
            f"direction is {derivative[row]:.12g} by a complex step, {difference[row]:.12g} by "
            "differences",
        )


@dataclass(frozen=True, eq=False)
class ComplexStep:
    """The rule that takes directional derivatives by complex steps, exact to rounding.

    Each derivative takes one complex evaluation.
    """

    function: Function

    @cached_property
    def _direction(self) -> Array:
        return random_signs(self.function.n + self.function.m, 4)

    def in_u(self, u: Array, p: Array) -> ComplexSlice:
        """The function u ↦ R(u, p) with its derivatives at u, for a fixed p."""
        return ComplexSlice(self.function.user, lambda x: self.function(x, p), u, sizes(u, FLOOR))

    def in_p(self, u: Array, p: Array) -> ComplexSlice:
        """The function p ↦ R(u, p) with its derivatives at p, for a fixed u."""
        return ComplexSlice(self.function.user, lambda x: self.function(u, x), p, sizes(p, 0.0))

    def examine(self, u: Array, p: Array, terms: Array) -> None:
        """Raise NotComplexSafe if R loses imaginary parts at (u, p), perhaps in a new branch."""
        scale = np.concatenate([sizes(u, FLOOR), sizes(p, 0.0)])
        both = ComplexSlice(
            self.function.user,
            lambda x: self.function(x[: u.size], x[u.size :]),
            np.concatenate([u, p]),
            scale,
        )
        both.examine_here(self._direction, terms)
