"""The augmented Lagrangian as a function of the design, by one transposed solve a gradient."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np

from ..arrays import Array, dot
from ..combined import Sum
from ..factor.errors import NonFinite
from ..objectives import Objective
from ..reduced import Point
from .constraints import Constraint, StateConstraint
from .evaluation import gradient_of
from .excess import Told, told
from .state import Function
from .state_constraints import Along, StateConstraints


@dataclass(frozen=True, eq=False)
class Term:
    """(c − bound) / scale at a point, of one constraint or one vector of them.

    told: c; values: (k,); scales: (k,).
    """

    told: Told
    values: Array
    scales: Array

    def objectives(self, w: Array) -> list[Objective]:
        """Σ w_i c_i as an objective of the state, if it is one."""
        constraint = self.told.constraint
        if isinstance(constraint, StateConstraints):
            return [Along(constraint.function, w)]
        return [Sum([constraint.objective], [float(w[0])])] if isinstance(constraint, StateConstraint) else []

    def gradients(self, w: Array) -> list[Array]:
        """w ∇c of a constraint that is none."""
        if self.told.valued is None or isinstance(self.told.constraint, StateConstraint):
            return []
        slope = np.asarray(self.told.valued.gradient, dtype=float)
        return [w[0] * slope]


@dataclass(frozen=True, eq=False)
class Measured:
    """f and all constraints at a point, in order. values: (k,), scaled."""

    point: Point
    terms: tuple[Term, ...]

    @cached_property
    def values(self) -> Array:
        """(k,)."""
        return np.concatenate([term.values for term in self.terms])

    @property
    def scales(self) -> Array:
        """(k,)."""
        return np.concatenate([term.scales for term in self.terms])

    def lagrangian(self, weights: Array) -> Array:
        """∇f + Σ w_i ∇c_i, (m,); weights: (k,).

        One transposed solve for f and the constraints of the state. Gradients of others are asked for where their
        weights are not zero.
        """
        ends = np.cumsum([term.values.size for term in self.terms])[:-1]
        pushing = [
            (term, part / term.scales)
            for term, part in zip(self.terms, np.split(weights, ends), strict=True)
            if part.any()
        ]
        objectives = [J for term, w in pushing for J in term.objectives(w)]
        together = self.point.of(Sum([self.point.objective, *objectives])) if objectives else self.point
        others = [g for term, w in pushing for g in term.gradients(w)]
        return sum(others, gradient_of(together))


def measured(constraints: Sequence[Constraint | StateConstraints], point: Point, scales: Array) -> Measured:
    """The constraints at a point. Raises NonFinite; ValueError for shapes that do not fit."""
    return scaled(finite(told(constraints, point)), point, scales)


def finite(parts: tuple[Told, ...]) -> tuple[Told, ...]:
    """The same; raises NonFinite for a constraint that is not."""
    for part in parts:
        if not np.isfinite(part.values).all():
            value = part.values[~np.isfinite(part.values)][0]
            raise NonFinite(f"a constraint ({type(part.constraint).__name__}) is {value}")
    return parts


def scaled(parts: tuple[Told, ...], point: Point, scales: Array) -> Measured:
    """The constraints that are known at a point, in the scales of a run, (k,)."""
    ends = np.cumsum([part.values.size for part in parts])[:-1]
    pairs = zip(parts, np.split(scales, ends), strict=True)
    return Measured(point, tuple(Term(part, (part.values - part.bounds) / each, each) for part, each in pairs))


@dataclass(frozen=True, eq=False)
class Penalized:
    """Σ (w_i² − λ_i²) / 2ρ, w = λ + ρ c of equalities, max(0, λ + ρ c) of inequalities.

    Powell, Hestenes and Rockafellar's function. multipliers: λ, (k,); penalty: ρ; equal: (k,) booleans.
    """

    multipliers: Array
    penalty: float
    equal: Array

    def weights(self, c: Array) -> Array:
        """w, (k,): the derivative by c, and the first-order estimate of the multipliers."""
        shifted = self.multipliers + self.penalty * c
        return np.where(self.equal, shifted, np.maximum(shifted, 0.0))

    def value(self, c: Array) -> float:
        """The sum."""
        w = self.weights(c)
        return dot(w - self.multipliers, w + self.multipliers) / (2.0 * self.penalty)

    def agrees(self, other: "Penalized") -> bool:
        """Whether the other is the same to rounding."""
        change = np.abs(self.multipliers - other.multipliers).max()
        return self.penalty == other.penalty and bool(change <= 1e-12 * np.abs(other.multipliers).max())

    def measure(self, c: Array) -> float:
        """max |c| of equalities, |max(c, −λ/ρ)| of inequalities; zero at a solution."""
        either = np.where(self.equal, c, np.maximum(c, -self.multipliers / self.penalty))
        return float(np.abs(either).max(initial=0.0))


@dataclass(frozen=True, eq=False)
class AugmentedPoint:
    """f and the penalized constraints at x, the gradient on demand.

    asked: where the point notes itself when its gradient is asked for; an accepted one is among them.
    """

    at: Measured
    penalized: Penalized
    asked: "list[AugmentedPoint]"

    @property
    def x(self) -> Array:
        """The design, (m,)."""
        return self.at.point.x

    @cached_property
    def value(self) -> float:
        """f plus the penalized constraints."""
        return self.at.point.value + self.penalized.value(self.at.values)

    @cached_property
    def gradient(self) -> Array:
        """∇f + Σ w ∇c, (m,)."""
        self.asked.append(self)
        return self.at.lagrangian(self.penalized.weights(self.at.values))


@dataclass(frozen=True, eq=False)
class Augmented:
    """x ↦ f(x) and the penalized constraints, for one step of an algorithm. scales: of the constraints, (k,)."""

    f: Function
    constraints: tuple[Constraint | StateConstraints, ...]
    scales: Array
    penalized: Penalized
    asked: list[AugmentedPoint]

    def __call__(self, x: Array) -> Point:
        """At x: one evaluation of f."""
        return self.around(measured(self.constraints, self.f(x), self.scales))

    def around(self, at: Measured) -> Point:
        """The same at a point where f is known."""
        # Algorithms ask a point for x, value and gradient; what else a `Point` has, this one has not.
        return cast(Point, AugmentedPoint(at, self.penalized, self.asked))

    def accepted(self, x: Array) -> Measured:
        """f and the constraints at x, whose gradient was asked for; evaluated again if it was not."""
        known = next((point.at for point in reversed(self.asked) if np.array_equal(point.x, x)), None)
        return known or measured(self.constraints, self.f(x), self.scales)
