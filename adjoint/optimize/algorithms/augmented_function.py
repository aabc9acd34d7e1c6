"""The augmented Lagrangian as a function of the design: one transposed solve per gradient."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import numpy as np

from ..._numerics import dot
from ..._validation import first_nonfinite
from ...errors import NonFinite
from ...objectives import Sum
from ...protocols import Objective
from ...reduced import Function, Point
from ...typing import Array
from ..constraints.constraint import Constraint
from ..constraints.state_constraints import Along, StateConstraint, StateConstraints
from ..constraints.values import ConstraintValue, values_at
from ..trial import gradient_of


@dataclass(frozen=True, eq=False)
class Penalized:
    """Σ (w_i² − λ_i²) / 2ρ, with w = λ + ρ c for equalities and max(0, λ + ρ c) for inequalities.

    This is the penalty function of Powell, Hestenes and Rockafellar. multipliers: λ,
    (k,); penalty: ρ; equal: True for equalities, (k,) booleans.
    """

    multipliers: Array
    penalty: float
    equal: Array

    def weights(self, c: Array) -> Array:
        """w, (k,): the derivative of the penalty function with respect to c.

        w is also a first-order estimate of λ.
        """
        shifted = self.multipliers + self.penalty * c
        return np.where(self.equal, shifted, np.maximum(shifted, 0.0))

    def stiffness(self, c: Array) -> Array:
        """dw/dc, (k,): ρ, or 0 for inequalities with w = 0."""
        return np.where(self.equal | (self.weights(c) > 0.0), self.penalty, 0.0)

    def value(self, c: Array) -> float:
        """The value of the penalty function, in the units of f."""
        w = self.weights(c)
        return dot(w - self.multipliers, w + self.multipliers) / (2.0 * self.penalty)

    def agrees(self, other: "Penalized") -> bool:
        """True if the two functions have the same ρ, and the same λ to rounding."""
        change = np.abs(self.multipliers - other.multipliers).max()
        return self.penalty == other.penalty and bool(
            change <= 1e-12 * np.abs(other.multipliers).max()
        )

    def measure(self, c: Array) -> float:
        """The largest |c| of equalities and |max(c, −λ/ρ)| of inequalities.

        This measure of violation and complementarity is zero at a solution.
        """
        either = np.where(self.equal, c, np.maximum(c, -self.multipliers / self.penalty))
        return float(np.abs(either).max(initial=0.0))


@dataclass(eq=False)
class Augmented:
    """x ↦ f(x) plus the penalized constraints, for one step of an inner algorithm.

    scales: scales of the constraints, (k,). `asked` remembers the points whose gradient
    was asked for. An algorithm asks for the gradient at the accepted point, so that f
    need not be evaluated again there.
    """

    f: Function
    constraints: tuple[Constraint | StateConstraints, ...]
    scales: Array
    penalized: Penalized
    asked: "list[AugmentedPoint]" = field(default_factory=list, init=False, repr=False)

    def __call__(self, x: Array) -> Point:
        """The point at x: one evaluation of f."""
        return self.around(measured(self.constraints, self.f(x), self.scales))

    def around(self, at: "Measured") -> Point:
        """The point of the augmented function at a design where f and the constraints are known."""
        # Algorithms read x, value and gradient of a point; the rest of a `Point` is missing here.
        return cast(Point, AugmentedPoint(at, self.penalized, self))

    def accepted(self, x: Array) -> "Measured":
        """f and the constraints at x.

        f is evaluated again if the gradient at x was not asked for.
        """
        known = next(
            (point.at for point in reversed(self.asked) if np.array_equal(point.x, x)), None
        )
        return known or measured(self.constraints, self.f(x), self.scales)


@dataclass(frozen=True, eq=False)
class AugmentedPoint:
    """f and the penalized constraints at x; the gradient is computed when first asked for.

    owner: the function that made this point. The point adds itself to `owner.asked`
    when its gradient is asked for.
    """

    at: "Measured"
    penalized: Penalized
    owner: "Augmented"

    @property
    def x(self) -> Array:
        """The design, (m,)."""
        return self.at.point.x

    @cached_property
    def value(self) -> float:
        """f(x) plus the penalty of the constraints."""
        return self.at.point.value + self.penalized.value(self.at.values)

    @cached_property
    def gradient(self) -> Array:
        """∇f + Σ w ∇c, (m,)."""
        self.owner.asked.append(self)
        return self.at.lagrangian(self.penalized.weights(self.at.values))

    def hvp(self, v: Array) -> Array:
        """(∇²f + Σ w ∇²c + ρ Σ ∇c ∇cᵀ) v, (m,); the last sum is over constraints with w ≠ 0.

        At the kink w = 0 this is the derivative from one side. Raise TypeError if f or a
        constraint has no Hessian–vector products.
        """
        if not callable(getattr(self.at.point, "hvp", None)):
            raise TypeError(
                f"{type(self.at.point).__name__} has no hvp(v), the product of the Hessian and v; "
                "expected a point with hvp, such as the points of adjoint.Reduced. Without second "
                "derivatives: adjoint.optimize.DifferencedHessian(f)"
            )
        c = self.at.values
        return self.at.product(self.penalized.weights(c), self.penalized.stiffness(c), v)


@dataclass(frozen=True, eq=False)
class Measured:
    """f and all constraints at a point, the constraints in the order of the problem."""

    point: Point
    terms: "tuple[Term, ...]"

    @cached_property
    def values(self) -> Array:
        """(c − bound) / scale of all constraints, (k,)."""
        return np.concatenate([term.values for term in self.terms])

    @property
    def scales(self) -> Array:
        """The scales of all constraints, (k,)."""
        return np.concatenate([term.scales for term in self.terms])

    def lagrangian(self, weights: Array) -> Array:
        """∇f + Σ w_i ∇c_i, (m,); weights: (k,).

        The gradients of f and of all constraints on the state cost one transposed solve
        together. Gradients of other constraints are computed only if their weights are
        not zero.
        """
        pushing = self._of(weights)
        others = [g for term, w in pushing for g in term.gradients(w)]
        return sum(others, gradient_of(self._together(pushing)))

    def product(self, weights: Array, stiffness: Array, v: Array) -> Array:
        """(∇²f + Σ w_i ∇²c_i + Σ ρ_i ∇c_i ∇c_iᵀ) v, (m,).

        weights: w, (k,); stiffness: ρ, (k,). The terms with ∇²f and ∇²c_i cost two
        solves, like any Hessian–vector product. If a constraint on the state has ρ > 0,
        the last sum costs two more solves: one tangent and one transposed solve.
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

    def _of(self, weights: Array) -> "list[tuple[Term, Array]]":
        """Pairs of a term with non-zero weights and these weights, divided by the scales."""
        ends = np.cumsum([term.values.size for term in self.terms])[:-1]
        pairs = zip(self.terms, np.split(weights, ends), strict=True)
        return [(term, part / term.scales) for term, part in pairs if part.any()]

    def _together(self, pushing: "Sequence[tuple[Term, Array]]") -> Point:
        """The point of f + Σ w_i c_i, with the sum over the constraints on the state.

        The solution is known, so that the point needs no forward solve.
        """
        objectives = [J for term, w in pushing for J in term.objectives(w)]
        return self.point.of(Sum([self.point.objective, *objectives])) if objectives else self.point


@dataclass(frozen=True, eq=False)
class Term:
    """(c − bound) / scale at a point, of one constraint or of one vector of constraints.

    c: value of the constraint; values: (c − bound) / scale, (k,); scales: the scales,
    (k,).
    """

    c: ConstraintValue
    values: Array
    scales: Array

    def objectives(self, w: Array) -> list[Objective]:
        """[Σ w_i c_i as an objective J(u, p)], or [] if c does not depend on the state."""
        constraint = self.c.constraint
        if isinstance(constraint, StateConstraints):
            return [Along(constraint.function, w)]
        return (
            [Sum([constraint.objective], [float(w[0])])]
            if isinstance(constraint, StateConstraint)
            else []
        )

    def gradients(self, w: Array) -> list[Array]:
        """[w ∇c] for a constraint on the design alone; [] for a constraint on the state."""
        if self.c.valued is None or isinstance(self.c.constraint, StateConstraint):
            return []
        slope = np.asarray(self.c.valued.gradient, dtype=float)
        return [w[0] * slope]

    def products(self, w: Array, v: Array) -> list[Array]:
        """[w (∇²c) v] for a constraint on the design alone; [] for a constraint on the state.

        Raise TypeError if the constraint has no second derivative.
        """
        if self.c.valued is None or isinstance(self.c.constraint, StateConstraint):
            return []
        if not callable(hvp := getattr(self.c.valued, "hvp", None)):
            raise TypeError(
                f"{type(self.c.valued).__name__} of a {type(self.c.constraint).__name__} has no "
                "hvp(v), the product of its Hessian and v; expected a point with hvp, as those "
                "of adjoint.Reduced, ScalarFunction(value, gradient, product) or "
                "adjoint.optimize.DifferencedHessian(c)"
            )
        return [w[0] * np.asarray(hvp(v))]

    def rates(self, point: Point, x_dot: Array, along: Callable[[], tuple[Array, Array]]) -> Array:
        """The derivative of c along ẋ, (k,).

        along: function that returns (u̇, ṗ); called for constraints on the state only.
        """
        constraint, valued = self.c.constraint, self.c.valued
        if isinstance(constraint, StateConstraints):
            if not callable(jvp := getattr(constraint.function, "jvp", None)):
                raise TypeError(
                    f"{type(constraint.function).__name__} has no method jvp(u, p, u_dot, "
                    "p_dot), which a product with the augmented Lagrangian's Hessian needs: the "
                    "derivative of its values, (k,). Without jvp: LBFGS"
                )
            return np.asarray(jvp(point.solution.u, point.p, *along()))
        if isinstance(constraint, StateConstraint):
            u_bar, p_bar = constraint.objective.gradients(point.solution.u, point.p)
            u_dot, p_dot = along()
            return np.array([dot(u_bar, u_dot) + dot(p_bar, p_dot)])
        assert valued is not None  # It is None for vectors of constraints only.
        return np.array([dot(np.asarray(valued.gradient, dtype=float), x_dot)])


def measured(
    constraints: Sequence[Constraint | StateConstraints], point: Point, scales: Array
) -> Measured:
    """f and the constraints at a point, evaluated there.

    Raise NonFinite if a value is nan or inf, ValueError if shapes do not fit.
    """
    return scaled(finite(values_at(constraints, point)), point, scales)


def scaled(parts: tuple[ConstraintValue, ...], point: Point, scales: Array) -> Measured:
    """f and the constraints at a point, from values of the constraints that are known.

    scales: scales of the constraints in this run, (k,).
    """
    ends = np.cumsum([part.values.size for part in parts])[:-1]
    pairs = zip(parts, np.split(scales, ends), strict=True)
    return Measured(
        point, tuple(Term(part, (part.values - part.bounds) / each, each) for part, each in pairs)
    )


def finite(parts: tuple[ConstraintValue, ...]) -> tuple[ConstraintValue, ...]:
    """Return the values of the constraints; raise NonFinite if a value is nan or inf."""
    for part in parts:
        if (bad := first_nonfinite(part.values)) is not None:
            raise NonFinite(f"a constraint ({type(part.constraint).__name__}) is {bad[1]}")
    return parts
