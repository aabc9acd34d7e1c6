"""The reduced objective f(x) = J(u(φ(x)), φ(x)) at a point, with derivatives on demand (docs/math.md, eq. 14)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ._numerics import dot
from ._optional_methods import (
    as_squares,
    of_map,
    of_objective,
    residual_along,
    residual_back,
    residual_of,
)
from ._repr import short_repr
from ._validation import as_array, as_cotangent, as_parameters, has, named
from .design.maps import Identity
from .errors import NonFinite
from .factor.counts import phase
from .objectives import checked_gradients, require_objective
from .protocols import DesignMap, Objective, Problem, Solution, SolutionWithHvp
from .typing import Array


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
        with phase("design"):
            g = self._pulled_back(self._by_p)
        self._require_finite(g, "gradient")
        g.setflags(write=False)  # It is remembered.
        return g

    @cached_property
    def _by_p(self) -> Array:
        """df/dp, (m,)."""
        u_bar, p_bar = checked_gradients(self.objective, self.solution.u, self.p)
        self._require_finite(p_bar, "derivative by p")
        through_u = (
            self.solution.vjp(u_bar) if self._block is None else self._block.column(self.objective)
        )
        return through_u + p_bar

    def _pulled_back(self, p_bar: Array) -> Array:
        """(∂φ/∂x)ᵀ p̄, (m_x,)."""
        g = self.design.vjp(self.x, p_bar)
        return as_cotangent(g, self.x, f"the vjp of the design map {type(self.design).__name__}")

    def _require_finite(self, g: Array, what: str) -> None:
        if not np.isfinite(g).all():
            raise NonFinite(
                f"the {what} of {type(self.objective).__name__} is {g[~np.isfinite(g)][0]} at component "
                f"{np.flatnonzero(~np.isfinite(g))[0]}. Usual causes: sqrt or log of zero in an objective or a map"
            )

    def hvp(self, v: Array) -> Array:
        """The Hessian of f times v, (m_x,): two solves with the factors there are (docs/math.md, eqs. 69–72).

        v: (m_x,). One solve for the tangent, one transposed one for the rate of the adjoint state; besides those for
        the gradient, which is there after the first product. Raises TypeError where the physics, the objective or the
        design map has no `hvp`, ValueError for a v of another shape.
        """
        v = as_parameters(v, "v")
        if v.shape != self.x.shape:
            raise ValueError(f"hvp: got v of shape {v.shape}, expected {self.x.shape}")
        solution, by_p, lam = self._twice, self._by_p, self._lam
        with phase("design"):
            p_dot = np.asarray(self.design.jvp(self.x, v))
        u_dot = self.solution.jvp(p_dot)
        u_bar_dot, p_bar_dot = of_objective(self.objective, self.solution.u, self.p, u_dot, p_dot)
        rate = solution.hvp(lam, u_dot, p_dot, u_bar_dot) + p_bar_dot
        with phase("design"):
            Hv = self._pulled_back(rate) + of_map(self.design, self.x, by_p, v)
        self._require_finite(Hv, "Hessian–vector product")
        return Hv

    @property
    def _twice(self) -> SolutionWithHvp:
        if not isinstance(self.solution, SolutionWithHvp):
            raise TypeError(
                f"hvp: {type(self.solution).__name__} has no second derivatives: steady problems have. Expected "
                "methods adjoint and second, or adjoint.optimize.DifferencedHessian(f) in place of f"
            )
        return self.solution

    @cached_property
    def _lam(self) -> Array:
        """λ, of u's shape: no solve after the gradient's."""
        return self._twice.adjoint(checked_gradients(self.objective, self.solution.u, self.p)[0])

    def jvp(self, x_dot: Array) -> float:
        """The derivative of f along ẋ, by one tangent solve: not cheaper than the gradient, a check of it."""
        x_dot = as_parameters(x_dot, "x_dot")
        if x_dot.shape != self.x.shape:
            raise ValueError(f"jvp: got x_dot of shape {x_dot.shape}, expected {self.x.shape}")
        with phase("design"):
            p_dot = np.asarray(self.design.jvp(self.x, x_dot))
        u_bar, p_bar = checked_gradients(self.objective, self.solution.u, self.p)
        return dot(u_bar, self.solution.jvp(p_dot)) + dot(p_bar, p_dot)

    @cached_property
    def residual(self) -> Array:
        """r with f = ½‖r‖², (k,); raises TypeError for an objective that is no sum of squares."""
        return residual_of(as_squares(self.objective), self.solution.u, self.p)

    def jvp_residual(self, v: Array) -> Array:
        """(dr/dx) v, (k,), by one tangent solve; for a block v (m_x, j) all at once, (k, j)."""
        squares, u, k = as_squares(self.objective), self.solution.u, self.residual.size
        with phase("design"):
            p_dot = np.stack(
                [self.design.jvp(self.x, column) for column in _columns(v, self.x.size, "v").T],
                axis=-1,
            )
        u_dot = self.solution.jvp(p_dot)
        rates = [
            residual_along(squares, u, self.p, (u_dot[..., j], p_dot[:, j]), k)
            for j in range(p_dot.shape[1])
        ]
        return np.stack(rates, axis=-1).reshape(k, *np.shape(v)[1:])

    def vjp_residual(self, w: Array) -> Array:
        """(dr/dx)ᵀ w, (m_x,), by one transposed solve; for a block w (k, j) all at once, (m_x, j)."""
        squares, u = as_squares(self.objective), self.solution.u
        columns = _columns(w, self.residual.size, "w").T
        bars = [
            residual_back(squares, u, self.p, np.ascontiguousarray(column)) for column in columns
        ]
        through_u = self.solution.vjp(np.stack([u_bar for u_bar, _ in bars], axis=-1))
        with phase("design"):
            parts = [
                self._pulled_back(through_u[:, j] + p_bar) for j, (_, p_bar) in enumerate(bars)
            ]
        return np.stack(parts, axis=-1).reshape(self.x.size, *np.shape(w)[1:])

    def of(self, objective: Objective) -> "Point":
        """Another objective at the same solution: no new forward solve."""
        require_objective("Point.of", "objective", objective)
        return _point(self.x, self.p, self.solution, objective, self.design, None)

    def of_each(self, objectives: Sequence[Objective]) -> "list[Point]":
        """Several objectives at the same solution; one block solve serves all their gradients."""
        if not isinstance(objectives, list | tuple):
            raise TypeError(
                f"Point.of_each: got objectives={named(objectives)}, expected a list of objectives"
            )
        for objective in objectives:
            require_objective("Point.of_each", "objectives", objective)
        block = _Block(self.solution, self.p, tuple(objectives))
        return [_point(self.x, self.p, self.solution, J, self.design, block) for J in objectives]


Function = Callable[[Array], Point]
"""f: x ↦ the evaluated Point, its gradient on demand."""


def _columns(block: Array, rows: int, name: str) -> Array:
    """A vector or a block as columns, (rows, j); raises ValueError for another shape."""
    block = as_array("Point", name, block)
    if not np.isfinite(block).all():
        raise NonFinite(
            f"got {name} with {block[~np.isfinite(block)][0]} in an entry, expected finite numbers"
        )
    if block.ndim not in (1, 2) or block.shape[0] != rows or block.size == 0:
        raise ValueError(f"got {name} of shape {block.shape}, expected ({rows},) or ({rows}, j)")
    return block.reshape(rows, -1)


@dataclass(frozen=True, eq=False)
class _Block:
    """Several objectives whose adjoints are solved for together, when the first of them is asked for."""

    solution: Solution
    p: Array
    objectives: tuple[Objective, ...]

    @cached_property
    def _columns(self) -> Array:
        u = self.solution.u
        return self.solution.vjp(
            np.stack([checked_gradients(J, u, self.p)[0] for J in self.objectives], axis=-1)
        )

    def column(self, objective: Objective) -> Array:
        """(du/dp)ᴴ ∂J/∂u of one of the objectives, (m,)."""
        position = next(i for i, J in enumerate(self.objectives) if J is objective)
        return np.ascontiguousarray(self._columns[:, position])


def _point(
    x: Array,
    p: Array,
    solution: Solution,
    objective: Objective,
    design: DesignMap,
    block: _Block | None,
) -> Point:
    value = objective.value(solution.u, p)
    if np.ndim(value) != 0 or np.asarray(value).dtype.kind not in "fiu":
        raise TypeError(
            f"{type(objective).__name__}: value returned {value!r}, expected a real number"
        )
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

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name, argument, methods in (
            ("problem", self.problem, ("solve",)),
            ("objective", self.objective, ("value", "gradients")),
            ("design", self.design, ("__call__", "vjp")),
        ):
            missing = [method for method in methods if not has(argument, method)]
            if missing:
                found = named(argument) if isinstance(argument, type) else type(argument).__name__
                raise TypeError(
                    f"Reduced: {name}: {found} has no method {missing[0]}; expected a problem, an objective and a "
                    "design map, in this order"
                )

    def __call__(self, x: Array) -> Point:
        """f at x: one solution of the problem, no gradient yet; x: (m_x,).

        Raises what the design map, the problem and the objective raise; NonFinite for nan and inf.
        """
        x = as_parameters(x, "x")
        x.setflags(write=False)  # The user's functions will see it, and the gradient is that at x.
        with phase("design"):
            p = as_parameters(self.design(x), "the design map's p")
        return _point(x, p, self.problem.solve(p), self.objective, self.design, None)

    def of(self, objective: Objective) -> "Reduced":
        """The same problem and design with another objective."""
        return replace(self, objective=objective)
