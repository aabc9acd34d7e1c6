"""How derivatives are taken: what the complex step, differences and JAX have in common.

When to ask whether derivatives can be trusted: thoroughly at first, then at ever fewer points.
"""

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from ...typing import Array

S = TypeVar("S", bound="Slice")


class Slice(Protocol):
    """x ↦ R(x): the residual as a function of u alone, or of p alone, at one x (k,)."""

    @property
    def x(self) -> Array:
        """Where derivatives are taken, (k,)."""

    @property
    def what(self) -> str:
        """What the function is called in messages: "residual"."""

    @property
    def sizes(self) -> Array:
        """The unit of each component in which directions are given, (k,): derivatives along it are best resolved."""

    @property
    def tolerance(self) -> float:
        """The relative error from which on a derivative is suspicious."""

    def value(self, x: Array) -> Array:
        """R at x, (n,)."""

    def along(self, v: Array) -> Array:
        """d/dt R(x + t v) at t = 0, (n,)."""

    @property
    def finer(self: S) -> list[S]:
        """The same with other steps, to be tried where derivatives do not add up."""

    def moved(self: S, x: Array) -> S:
        """The same at another x."""

    def examine(self) -> None:
        """Raise if derivatives of this function cannot be trusted; called once, before the first one."""


@dataclass(frozen=True, eq=False)
class Examination:
    """Of one function's derivatives, at the points where they are asked for."""

    _passed: list[bool] = field(default_factory=list)
    _calls: list[int] = field(default_factory=lambda: [0])

    def first(self, point: Slice) -> None:
        """Let the first point where the function is finite show whether it can be trusted; see `Slice.examine`."""
        if point.x.size and not self._passed:
            value = point.value(point.x)  # What is wrong with the function itself is told first.
            point.examine()
            if np.isfinite(value).all():
                self._passed.append(True)

    def due(self) -> bool:
        """Whether to examine this point too: the first one, and the 2nd, 4th, 8th, … that it is asked for.

        A branch that loses imaginary parts may come at any later time. But derivatives of fields are asked for at
        each stage of each step, where the examination would cost as much as the derivatives of a small field do:
        by this rule a sweep of a million stages pays for twenty.
        """
        self._calls[0] += 1
        return self._calls[0] & (self._calls[0] - 1) == 0 or not self._passed


NEARBY = 1e-2
"""How far from x the points near it are, at most, relative to its components."""


APART = 0.2
"""Times that, how far at least: farther than the steps of differences, which must not lead back."""


class Rule(Protocol):
    """A way to take derivatives of a residual function."""

    def in_u(self, u: Array, p: Array) -> Slice:
        """u ↦ R(u, p)."""

    def in_p(self, u: Array, p: Array) -> Slice:
        """p ↦ R(u, p)."""

    def examine(self, u: Array, p: Array, terms: Array) -> None:
        """Raise if derivatives at this very point cannot be trusted; called for each gradient, so that it be cheap.

        terms: Σ_j |∂R_i/∂x_j| |x_j|, x being u and p, as far as known, (n,): where they cancel, R is rounding.
        """


def random_signs(columns: int, seed: int) -> Array:
    """±[½, 1] at random, (columns,): a direction in which no two entries of a row cancel."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 1.0, columns) * rng.choice([-1.0, 1.0], columns)


def nearby(at: S, size: Array) -> list[S]:
    """Up to three points near x: other branches are taken there, and what is zero at x by accident is not.

    Components, of the size given, are moved up or down at random, all up, all down: one of those stays within most
    domains. Points where R is not finite, or raises, are left out.
    """
    rng = np.random.default_rng(1)
    points = []
    for signs in (rng.choice([-1.0, 1.0], size.size), 1.0, -1.0):
        x = at.x + NEARBY * size * signs * rng.uniform(APART, 1.0, size.size)
        try:
            with np.errstate(all="ignore"):
                inside = bool(np.isfinite(at.value(x)).all())
        except Exception:  # The function's own, for arguments outside of its domain.
            continue
        if inside:
            points.append(at.moved(x))
    return points
