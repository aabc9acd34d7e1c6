"""Rules that take directional derivatives, and the points at which derivatives are examined.

A rule takes derivatives by complex steps, by finite differences or by JAX. This file
has the protocols (`typing.Protocol`) of the rules.
"""

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from ...typing import Array

S = TypeVar("S", bound="Slice")


class Slice(Protocol):
    """Protocol for x ↦ R(x) at an x, (k,): the residual as a function of u or of p alone."""

    @property
    def x(self) -> Array:
        """The point at which derivatives are taken, (k,)."""

    @property
    def what(self) -> str:
        """The name of the function in messages, such as "residual"."""

    @property
    def sizes(self) -> Array:
        """The unit of each component, (k,): directions of this size give the best derivatives."""

    @property
    def tolerance(self) -> float:
        """The relative error above which a derivative is suspicious."""

    def value(self, x: Array) -> Array:
        """R at x, (n,)."""

    def along(self, v: Array) -> Array:
        """d/dt R(x + t v) at t = 0, (n,)."""

    @property
    def finer(self: S) -> list[S]:
        """The same function with other step sizes, for rows with inconsistent derivatives."""

    def moved(self: S, x: Array) -> S:
        """The same function with its derivatives at another point x."""

    def examine(self) -> None:
        """Raise an error if derivatives of this function are wrong; called before the first use."""


@dataclass(eq=False)
class Examination:
    """Decides at which points the derivatives of one function are examined.

    The object remembers whether the first examination was passed, and the number of calls
    of `due`.
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

        The function may take a branch that loses imaginary parts at any later point, so
        that one examination is not enough. But an examination costs as much as the
        derivatives of a small field, which are needed at each stage of each step. By
        this rule a million stages cause twenty examinations. Until the first
        examination is passed, every point is examined.
        """
        self._calls += 1
        return self._calls & (self._calls - 1) == 0 or not self._passed


NEARBY = 1e-2
"""Greatest distance of the points near x, relative to the components of x."""


APART = 0.2
"""Least distance of the points near x, relative to the greatest distance.

The distance is longer than the steps of finite differences, which then do not reach x.
"""


class Rule(Protocol):
    """Protocol for a rule that takes directional derivatives of a residual function."""

    def in_u(self, u: Array, p: Array) -> Slice:
        """The function u ↦ R(u, p) with its derivatives at u, for a fixed p."""

    def in_p(self, u: Array, p: Array) -> Slice:
        """The function p ↦ R(u, p) with its derivatives at p, for a fixed u."""

    def examine(self, u: Array, p: Array, terms: Array) -> None:
        """Raise an error if derivatives at (u, p) are wrong; called once per gradient.

        terms: (n,), Σ_j |∂R_i/∂x_j| |x_j| over the known entries of ∂R/∂x, x = (u, p).
        If R_i is small compared with this sum, R_i is rounding error.
        """


def random_signs(columns: int, seed: int) -> Array:
    """Random numbers v_j of both signs, ½ ≤ |v_j| ≤ 1, (columns,): terms of J v do not cancel."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 1.0, columns) * rng.choice([-1.0, 1.0], columns)


def nearby(at: S, size: Array) -> list[S]:
    """Up to three points near x, at which R may take other branches than at x.

    size: (k,), the sizes of the components of x. Components are moved up or down at
    random, all up, or all down: usually at least one of these points lies in the domain
    of R. Points at which R raises an error, or is not finite, are left out.
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
