"""Directional derivatives: the protocols of all rules, and when to examine their results."""

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from ...typing import Array

S = TypeVar("S", bound="Slice")


class Slice(Protocol):
    """x ↦ R(x) at one x, (k,): the residual as a function of u alone, or of p alone."""

    @property
    def x(self) -> Array:
        """The point at which derivatives are taken, (k,)."""

    @property
    def what(self) -> str:
        """The name of the function in messages, such as "residual"."""

    @property
    def sizes(self) -> Array:
        """The unit of each component, (k,), in which directions are resolved best."""

    @property
    def tolerance(self) -> float:
        """The relative error above which a derivative is suspicious."""

    def value(self, x: Array) -> Array:
        """R at x, (n,)."""

    def along(self, v: Array) -> Array:
        """d/dt R(x + t v) at t = 0, (n,)."""

    @property
    def finer(self: S) -> list[S]:
        """This function with other steps, tried if derivatives do not add up."""

    def moved(self: S, x: Array) -> S:
        """This function at another x."""

    def examine(self) -> None:
        """Raise if derivatives of this function cannot be trusted; called before the first."""


@dataclass(eq=False)
class Examination:
    """The examination of one function's derivatives, at some of the points of their use.

    The object remembers if the first examination was passed, and the number of calls of
    `due`.
    """

    _passed: bool = field(default=False, init=False, repr=False)
    _calls: int = field(default=0, init=False, repr=False)

    def first(self, point: Slice) -> None:
        """Examine the first point at which the function is finite; see `Slice.examine`."""
        if point.x.size and not self._passed:
            value = point.value(point.x)  # Errors of the function itself are raised first.
            point.examine()
            if np.isfinite(value).all():
                self._passed = True

    def due(self) -> bool:
        """True if this point is to be examined: the 1st, 2nd, 4th, 8th, … point.

        A branch that loses imaginary parts may be taken at any later time. But a field
        needs derivatives at each stage of each step, and an examination costs as much
        as the derivatives of a small field: by this rule a million stages cause twenty
        examinations. Until the first examination is passed, every point is examined.
        """
        self._calls += 1
        return self._calls & (self._calls - 1) == 0 or not self._passed


NEARBY = 1e-2
"""Greatest distance of the points near x, relative to the components of x."""


APART = 0.2
"""Least distance of the points near x, relative to the greatest.

This is longer than the steps of differences, which then do not reach x.
"""


class Rule(Protocol):
    """A way to take directional derivatives of a residual function."""

    def in_u(self, u: Array, p: Array) -> Slice:
        """u ↦ R(u, p)."""

    def in_p(self, u: Array, p: Array) -> Slice:
        """p ↦ R(u, p)."""

    def examine(self, u: Array, p: Array, terms: Array) -> None:
        """Raise if derivatives at (u, p) cannot be trusted; called once per gradient.

        terms: (n,), Σ_j |∂R_i/∂x_j| |x_j| over x = (u, p), as far as it is known: if
        the terms of a row cancel, R is rounding.
        """


def random_signs(columns: int, seed: int) -> Array:
    """±[½, 1] at random, (columns,): a direction in which no two entries of a row cancel."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 1.0, columns) * rng.choice([-1.0, 1.0], columns)


def nearby(at: S, size: Array) -> list[S]:
    """Up to three points near x, where R takes other branches and has no accidental zeros.

    size: (k,), the sizes of the components. All components are moved up, all are moved
    down, or each at random: one of these three points stays within most domains. Points
    at which R is not finite or raises are left out.
    """
    rng = np.random.default_rng(1)
    points = []
    for signs in (rng.choice([-1.0, 1.0], size.size), 1.0, -1.0):
        x = at.x + NEARBY * size * signs * rng.uniform(APART, 1.0, size.size)
        try:
            with np.errstate(all="ignore"):
                inside = bool(np.isfinite(at.value(x)).all())
        except Exception:  # The user's function may raise any error outside of its domain.
            continue
        if inside:
            points.append(at.moved(x))
    return points
