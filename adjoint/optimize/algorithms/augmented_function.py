"""The augmented Lagrangian as a function of the design, by one transposed solve a gradient.

A state inside of another one's memory: of an algorithm that works for an algorithm.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np

from ..._numerics import dot
from ...errors import NonFinite
from ...objectives import Sum
from ...protocols import Objective
from ...reduced import Function, Point
from ...typing import Array
from ..constraint_values import Told, told
from ..constraints import Along, Constraint, StateConstraint, StateConstraints
from ..state import State
from ..trial import gradient_of

PREFIX, MEMORY = "inner.", "inner.memory."


NUMBERS = (
    "iteration",
    "value",
    "stationarity",
    "projected",
    "step",
    "change",
    "violation",
    "scale",
    "evaluations",
    "stage",
    "left",
)


ARRAYS = ("gradient", "constraints", "multipliers", "scales", "rejected")


def packed(inner: State) -> dict[str, Array]:
    """The state by name: all but its design, which is the outer one's, its ending and its point."""
    fields = {PREFIX + name: np.asarray(getattr(inner, name)) for name in (*NUMBERS, *ARRAYS)}
    return fields | {MEMORY + name: array for name, array in inner.memory.items()}


def unpacked(memory: Mapping[str, Array], x: Array, point: Point | None) -> State:
    """The state that was packed, at the design x."""
    numbers = {name: memory[PREFIX + name].item() for name in NUMBERS}
    gradient, constraints, multipliers, scales, rejected = (
        memory[PREFIX + name] for name in ARRAYS
    )
    own = {
        name.removeprefix(MEMORY): array
        for name, array in memory.items()
        if name.startswith(MEMORY)
    }
    return State(
        x=x,
        gradient=gradient,
        constraints=constraints,
        multipliers=multipliers,
        scales=scales,
        rejected=rejected,
        memory=own,
        point=point,
        **numbers,
    )


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
        return (
            [Sum([constraint.objective], [float(w[0])])]
            if isinstance(constraint, StateConstraint)
            else []
        )

    def gradients(self, w: Array) -> list[Array]:
        """w ∇c of a constraint on the design alone."""
        if self.told.valued is None or isinstance(self.told.constraint, StateConstraint):
            return []
        slope = np.asarray(self.told.valued.gradient, dtype=float)
        return [w[0] * slope]

    def products(self, w: Array, v: Array) -> list[Array]:
        """w ∇²c v of a constraint on the design alone; raises TypeError where it has no second derivative."""
        if self.told.valued is None or isinstance(self.told.constraint, StateConstraint):
            return []
        if not callable(hvp := getattr(self.told.valued, "hvp", None)):
            raise TypeError(
                f"{type(self.told.valued).__name__} of a {type(self.told.constraint).__name__} has no hvp(v), the "
                "product of its Hessian and v; expected one, as of adjoint.Reduced, ScalarFunction(value, gradient, "
                "product) or adjoint.optimize.DifferencedHessian(c)"
            )
        return [w[0] * np.asarray(hvp(v))]

    def rates(self, point: Point, x_dot: Array, along: Callable[[], tuple[Array, Array]]) -> Array:
        """The derivative of c along ẋ, (k,); along: (u̇, ṗ), asked for where c is of the state."""
        constraint, valued = self.told.constraint, self.told.valued
        if isinstance(constraint, StateConstraints):
            if not callable(jvp := getattr(constraint.function, "jvp", None)):
                raise TypeError(
                    f"{type(constraint.function).__name__} has no method jvp(u, p, u_dot, p_dot), which a product "
                    "with the augmented Lagrangian's Hessian needs: the derivative of its values, (k,). Without: LBFGS"
                )
            return np.asarray(jvp(point.solution.u, point.p, *along()))
        if isinstance(constraint, StateConstraint):
            u_bar, p_bar = constraint.objective.gradients(point.solution.u, point.p)
            u_dot, p_dot = along()
            return np.array([dot(u_bar, u_dot) + dot(p_bar, p_dot)])
        assert valued is not None  # Only vectors have none.
        return np.array([dot(np.asarray(valued.gradient, dtype=float), x_dot)])


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
        pushing = self._of(weights)
        others = [g for term, w in pushing for g in term.gradients(w)]
        return sum(others, gradient_of(self._together(pushing)))

    def product(self, weights: Array, stiffness: Array, v: Array) -> Array:
        """(∇²f + Σ w_i ∇²c_i + Σ ρ_i ∇c_i ∇c_iᵀ) v, (m,); stiffness: ρ, (k,).

        Two solves for the first two sums, as of any Hessian–vector product; two more where constraints of the state are
        stiff: one tangent, one transposed solve.
        """
        pushing, stiff = self._of(weights), self._of(stiffness)
        found = np.asarray(self._together(pushing).hvp(v))
        found = sum((Hv for term, w in pushing for Hv in term.products(w, v)), found)
        directions: list[tuple[Array, Array]] = []

        def along() -> tuple[Array, Array]:
            if not directions:
                p_dot = np.asarray(self.point.design.jvp(self.point.x, v))
                directions.append((self.point.solution.jvp(p_dot), p_dot))
            return directions[0]

        pulls = [(term, w * term.rates(self.point, v, along) / term.scales) for term, w in stiff]
        found = sum((g for term, w in pulls for g in term.gradients(w)), found)
        objectives = [J for term, w in pulls for J in term.objectives(w)]
        return found + gradient_of(self.point.of(Sum(objectives))) if objectives else found

    def _of(self, weights: Array) -> list[tuple[Term, Array]]:
        """The terms with weights that are not zero, and these over the scales."""
        ends = np.cumsum([term.values.size for term in self.terms])[:-1]
        pairs = zip(self.terms, np.split(weights, ends), strict=True)
        return [(term, part / term.scales) for term, part in pairs if part.any()]

    def _together(self, pushing: Sequence[tuple[Term, Array]]) -> Point:
        """f and the weighted constraints of the state, as one objective at the solution there is."""
        objectives = [J for term, w in pushing for J in term.objectives(w)]
        return self.point.of(Sum([self.point.objective, *objectives])) if objectives else self.point


def measured(
    constraints: Sequence[Constraint | StateConstraints], point: Point, scales: Array
) -> Measured:
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
    return Measured(
        point, tuple(Term(part, (part.values - part.bounds) / each, each) for part, each in pairs)
    )


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

    def stiffness(self, c: Array) -> Array:
        """The derivative of w by c, (k,): ρ, 0 for inequalities that do not push."""
        return np.where(self.equal | (self.weights(c) > 0.0), self.penalty, 0.0)

    def value(self, c: Array) -> float:
        """The sum."""
        w = self.weights(c)
        return dot(w - self.multipliers, w + self.multipliers) / (2.0 * self.penalty)

    def agrees(self, other: "Penalized") -> bool:
        """Whether the other is the same to rounding."""
        change = np.abs(self.multipliers - other.multipliers).max()
        return self.penalty == other.penalty and bool(
            change <= 1e-12 * np.abs(other.multipliers).max()
        )

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

    def hvp(self, v: Array) -> Array:
        """(∇²f + Σ w ∇²c + ρ Σ ∇c ∇cᵀ) v, (m,), the last sum over constraints that push: of one side of the kink.

        Raises TypeError where f or a constraint has no Hessian–vector products.
        """
        if not callable(getattr(self.at.point, "hvp", None)):
            raise TypeError(
                f"{type(self.at.point).__name__} has no hvp(v), the product of the Hessian and v; expected a point "
                "with one, as those of adjoint.Reduced. Without second derivatives: adjoint.optimize.DifferencedHessian(f)"
            )
        c = self.at.values
        return self.at.product(self.penalized.weights(c), self.penalized.stiffness(c), v)


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
        known = next(
            (point.at for point in reversed(self.asked) if np.array_equal(point.x, x)), None
        )
        return known or measured(self.constraints, self.f(x), self.scales)
