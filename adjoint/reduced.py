"""The reduced objective f(x) = J(u(φ(x)), φ(x)) at a point, with derivatives on demand (docs/math.md, eq. 14)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from .arrays import Array, dot
from .design import DesignMap, Identity
from .factor.counting import phase
from .factor.errors import NonFinite
from .objectives import Objective, checked_gradients
from .parameters import as_cotangent, as_parameters


class Solution(Protocol):
    """What a problem's `solve` returns, as far as gradients need it."""

    @property
    def u(self) -> Array:
        """The state."""

    def vjp(self, u_bar: Array) -> Array:
        """(du/dp)ᴴ ū, for one objective or a block of them."""

    def jvp(self, p_dot: Array) -> Array:
        """(du/dp) ṗ."""


class Problem(Protocol):
    """Physics, and how to solve it."""

    def solve(self, p: Array) -> Solution:
        """The solution at p."""


@dataclass(frozen=True, eq=False, repr=False)
class Point:
    """f at x: the value at once, the gradient when first asked for.

    x: (m_x,) design; p: (m,) = φ(x); solution: of the problem at p; objective, design: J and φ; value: f(x). The
    gradient is the derivative (a dual vector): an `InnerProduct` makes a direction from it.
    """

    x: Array
    p: Array
    solution: Solution
    objective: Objective
    design: DesignMap
    value: float
    _block: "_Block | None" = None

    def __repr__(self) -> str:
        gradient = "known" if "gradient" in self.__dict__ else "not computed"
        return f"Point(value={self.value!r}, x: {self.x.shape}, gradient {gradient})"

    @cached_property
    def gradient(self) -> Array:
        """df/dx, (m_x,): at most one transposed solve with the factors of the forward solution."""
        u_bar, p_bar = checked_gradients(self.objective, self.solution.u, self.p)
        through_u = self.solution.vjp(u_bar) if self._block is None else self._block.column(self.objective)
        with phase("design"):
            g = self.design.vjp(self.x, through_u + p_bar)
            g = as_cotangent(g, self.x, f"the vjp of the design map {type(self.design).__name__}")
        if not np.isfinite(g).all():
            raise NonFinite(
                f"the gradient of {type(self.objective).__name__} is {g[~np.isfinite(g)][0]} at component "
                f"{np.flatnonzero(~np.isfinite(g))[0]}. Usual causes: sqrt or log of zero in an objective or a map"
            )
        return g

    def jvp(self, x_dot: Array) -> float:
        """The derivative of f along ẋ, by one tangent solve: not cheaper than the gradient, a check of it."""
        with phase("design"):
            p_dot = np.asarray(self.design.jvp(self.x, x_dot))
        u_bar, p_bar = checked_gradients(self.objective, self.solution.u, self.p)
        return dot(u_bar, self.solution.jvp(p_dot)) + dot(p_bar, p_dot)

    def of(self, objective: Objective) -> "Point":
        """Another objective at the same solution: no new forward solve."""
        return _point(self.x, self.p, self.solution, objective, self.design, None)

    def of_each(self, objectives: Sequence[Objective]) -> "list[Point]":
        """Several objectives at the same solution; one block solve serves all their gradients."""
        block = _Block(self.solution, self.p, tuple(objectives))
        return [_point(self.x, self.p, self.solution, J, self.design, block) for J in objectives]


@dataclass(frozen=True, eq=False)
class _Block:
    """Several objectives whose adjoints are solved for together, when the first of them is asked for."""

    solution: Solution
    p: Array
    objectives: tuple[Objective, ...]

    @cached_property
    def _columns(self) -> Array:
        u = self.solution.u
        return self.solution.vjp(np.stack([checked_gradients(J, u, self.p)[0] for J in self.objectives], axis=-1))

    def column(self, objective: Objective) -> Array:
        """(du/dp)ᴴ ∂J/∂u of one of the objectives, (m,)."""
        position = next(i for i, J in enumerate(self.objectives) if J is objective)
        return np.ascontiguousarray(self._columns[:, position])


def _point(
    x: Array, p: Array, solution: Solution, objective: Objective, design: DesignMap, block: _Block | None
) -> Point:
    value = objective.value(solution.u, p)
    if np.ndim(value) != 0 or np.asarray(value).dtype.kind not in "fiu":
        raise TypeError(f"{type(objective).__name__}: value returned {value!r}, expected a real number")
    if not np.isfinite(value):
        raise NonFinite(
            f"{type(objective).__name__} is {value}. Usual causes: an overflow, log or sqrt outside of its domain"
        )
    return Point(x, p, solution, objective, design, float(value), block)


@dataclass(frozen=True, eq=False)
class Reduced:
    """f(x) = J(u(p), p) with p = φ(x) and u(p) the solution of the problem.

    problem: has `solve(p)`; objective: J; design: φ, the identity unless given.
    """

    problem: Problem
    objective: Objective
    design: DesignMap = field(default_factory=Identity)

    def __post_init__(self) -> None:
        for argument, method in ((self.problem, "solve"), (self.objective, "value"), (self.design, "__call__")):
            if not callable(getattr(argument, method, None)):
                raise TypeError(
                    f"Reduced: {type(argument).__name__} has no method {method}; expected a problem, an objective "
                    "and a design map, in this order"
                )

    def __call__(self, x: Array) -> Point:
        """f at x: one solution of the problem, no gradient yet; x: (m_x,).

        Raises what the design map, the problem and the objective raise; NonFinite for nan and inf.
        """
        x = as_parameters(x, "x")
        with phase("design"):
            p = as_parameters(self.design(x), "the design map's p")
        return _point(x, p, self.problem.solve(p), self.objective, self.design, None)

    def of(self, objective: Objective) -> "Reduced":
        """The same problem and design with another objective."""
        return replace(self, objective=objective)
