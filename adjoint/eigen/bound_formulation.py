"""Maximize the smallest eigenvalue: the bound formulation, for optimizers with constraints."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from .._dataclasses import short_repr
from .._validation import as_parameters, require_integer, require_methods, require_positive
from ..bounds import Bounds
from ..protocols import DesignMap
from ..reduced import Point, Reduced
from ..typing import Array
from .hermitian import HermitianEigenSolution
from .objectives.values import EigenvalueSum
from .problem import EigenProblem


class DesignOnly(Protocol):
    """A constraint on the design alone: c(x) ≤ bound; for example a volume."""

    @property
    def bound(self) -> float:
        """The largest value allowed, in the units of c."""

    def value(self, x: Array) -> float:
        """c(x)."""

    def gradient(self, x: Array) -> Array:
        """dc/dx, (m,)."""


ANGLES = np.pi / 8.0 * np.array([1.0, 2.0, 3.0, 5.0, 6.0, 7.0])
"""Angles α of the constraints of a pair. With steps of π/8 the smallest quotient exceeds the
smallest eigenvalue of a block by at most 4 % of the difference of its eigenvalues."""


@dataclass(frozen=True, eq=False)
class BoundFormulation:
    """Maximize β with β ≤ μ_i(x), i = 1 … k: a max-min problem without a kink.

    The variables are z = (x, β/unit). The smallest eigenvalue is not differentiable
    where eigenvalues cross, and a maximum of it is often at a crossing. The bound
    formulation has a smooth objective, −β/unit. Its constraints are β ≤ μ_i, and, for
    all pairs and six angles α, β ≤ μ_i cos² α + μ_j sin² α. While μ_i and μ_j are
    closer than `close`, the gradient of the constraint of a pair is that of the
    Rayleigh quotient of φ_i cos α + φ_j sin α: an element of the generalized gradient
    of a multiple eigenvalue. Together the constraints keep the whole block of a cluster
    above β, to first order, whatever basis the eigensolver returned
    (docs/math/spectra.md, eq. 213).

    Parameters
    ----------
    problem : EigenProblem
        The eigenproblem, with `count` ≥ k.
    design : DesignMap
        p = φ(x).
    k : int
        The number of eigenvalues in constraints. k should exceed the multiplicity at the
        maximum; 3 serves for double eigenvalues.
    unit : float
        The unit of β, for example μ_1 at the start, so that β/unit has the size of x.
    close : float
        Difference of two eigenvalues, in `unit`, below which they count as a cluster in the
        constraints of pairs; 0.02 by default.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    Examples
    --------
    ::

        bound = BoundFormulation(problem, design, k=3, unit=mu_1)
        limits = (*bound.constraints, bound.on_design(volume))
        mma = adjoint.optimize.MMA(limits, bound.bounds(Bounds(0.01, 1.0), x.size))
        result = adjoint.minimize(bound, bound.start(x), mma)
        x, mu_1 = result.x[:-1], -result.value * bound.unit

    References
    ----------
    Bendsøe & Sigmund (2004), Topology Optimization, section 2.1.2. Seyranian, Lund &
    Olhoff (1994), Multiple eigenvalues in structural optimization problems, Struct.
    Optim. 8, 207.
    """

    problem: EigenProblem
    design: DesignMap
    k: int
    unit: float
    close: float = 0.02

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_methods("BoundFormulation", "problem", self.problem, ("solve",), "an EigenProblem")
        expected = "a design map, such as adjoint.design.Identity()"
        require_methods("BoundFormulation", "design", self.design, ("__call__", "vjp"), expected)
        require_integer("BoundFormulation", "k", self.k, 1)
        require_positive("BoundFormulation", "unit", self.unit)
        require_positive("BoundFormulation", "close", self.close)
        if self.k > self.problem.count:
            raise ValueError(
                f"BoundFormulation: got k={self.k}, but the problem computes "
                f"{self.problem.count} eigenvalues; set count={self.k} or more"
            )

    @cached_property
    def _reduced(self) -> Reduced:
        return Reduced(self.problem, EigenvalueSum(self.k), self.design)

    def __call__(self, z: Array) -> "BoundPoint":
        """Solve the eigenproblem at x = z[:-1], and return −z[-1] as a point.

        Raises
        ------
        SolveError
            If the eigenproblem cannot be solved.
        """
        z = as_parameters(z, "z")
        if z.size < 2:
            raise ValueError(f"BoundFormulation: got z of shape {z.shape}, expected (m + 1,)")
        return BoundPoint(z, self._reduced(z[:-1]), self.unit, self.close, self._vectors)

    def start(self, x: Array) -> Array:
        """Return the variables z = (x, μ_1(x)/unit) of a design, for the start of a run.

        Parameters
        ----------
        x : (m,) array
            The design.

        Returns
        -------
        (m + 1,) array
            z.
        """
        values = self._reduced(x).solution.u[0].real
        return np.append(np.asarray(x, dtype=float), values.min() / self.unit)

    def bounds(self, bounds: Bounds, m: int, largest: float = 10.0) -> Bounds:
        """Return bounds on z: those of the design, and 0 ≤ β/unit ≤ largest.

        Parameters
        ----------
        bounds : Bounds
            Bounds on x.
        m : int
            The number of design variables.
        largest : float
            A number that β/unit will not reach; algorithms with asymptotes need a
            finite one.

        Returns
        -------
        Bounds
            Bounds on z, (m + 1,).
        """
        require_positive("BoundFormulation.bounds", "largest", largest)
        sides = (np.broadcast_to(np.asarray(s, float), m) for s in (bounds.lower, bounds.upper))
        lower, upper = sides
        return Bounds(np.append(lower, 0.0), np.append(upper, largest))

    @property
    def constraints(self) -> "tuple[EigenvalueConstraint, ...]":
        """The constraints (β − ρ(t))/unit ≤ 0: k for eigenvalues, 3 k (k − 1) for pairs."""
        unit = np.eye(self.k)
        pairs = [
            np.cos(angle) * unit[i] + np.sin(angle) * unit[j]
            for i in range(self.k)
            for j in range(i)
            for angle in ANGLES
        ]
        return tuple(EigenvalueConstraint(i, t) for i, t in enumerate([*unit, *pairs]))

    @property
    def _vectors(self) -> Array:
        """The unit vectors t of all constraints, (k, q)."""
        return np.stack([constraint.t for constraint in self.constraints], axis=-1)

    def on_design(self, constraint: DesignOnly) -> "OnDesign":
        """Return a constraint on x as a constraint on z = (x, β/unit).

        Parameters
        ----------
        constraint : LinearConstraint, DesignConstraint, …
            A constraint c(x) ≤ bound with methods `value(x)` and `gradient(x)`.

        Returns
        -------
        OnDesign
            The same constraint on z.
        """
        methods = ("value", "gradient")
        expected = "a constraint on the design, such as LinearConstraint.volume(…)"
        require_methods("BoundFormulation", "constraint", constraint, methods, expected)
        return OnDesign(constraint)


@dataclass(frozen=True, eq=False)
class BoundPoint:
    """−β/unit at z = (x, β/unit), with the eigenpairs at x.

    x: z, (m + 1,). at_design: the eigenproblem at x. unit: the unit of β. T: the unit
    vectors t of the constraints, (k, q).
    """

    x: Array
    at_design: Point
    unit: float
    close: float
    T: Array

    @property
    def value(self) -> float:
        """−β/unit."""
        return -float(self.x[-1])

    @property
    def gradient(self) -> Array:
        """(0, …, 0, −1), (m + 1,)."""
        return np.append(np.zeros(self.x.size - 1), -1.0)

    @property
    def solution(self) -> HermitianEigenSolution:
        """The eigenpairs at x; raise TypeError unless the pencil is Hermitian."""
        solution = self.at_design.solution
        if not isinstance(solution, HermitianEigenSolution):
            raise TypeError(
                "BoundFormulation: got a general pencil, expected a Hermitian one, with "
                "factorize=cholesky or ldl: complex eigenvalues have no smallest one"
            )
        return solution

    @cached_property
    def quotients(self) -> Array:
        """ρ(t) of each constraint, (q,)."""
        return self.solution.values[: self.T.shape[0]] @ self.T**2

    @cached_property
    def slopes(self) -> Array:
        """The gradients of the constraints' ρ(t) with respect to x, (m, q)."""
        point, values, (k, q) = self.at_design, self.solution.values, self.T.shape
        T = np.zeros((values.size, q))
        T[:k] = self.T
        columns = self.solution.rayleigh_gradients(T).T
        for column, t in zip(columns, self.T.T, strict=True):
            members = np.flatnonzero(t)
            if np.ptp(values[members]) > self.close * self.unit:
                column[:] = t[members] ** 2 @ columns[members]
        return np.stack([point.design.vjp(point.x, column) for column in columns], axis=-1)


@dataclass(frozen=True, eq=False)
class EigenvalueConstraint:
    """(β − ρ(t))/unit ≤ 0, at points of a `BoundFormulation`.

    index: its number among the constraints; t: the unit vector, (k,).
    """

    index: int
    t: Array
    bound: float = 0.0

    __repr__ = short_repr

    def at(self, point: BoundPoint) -> "Evaluated":
        """The constraint at a point of a `BoundFormulation`."""
        if not isinstance(point, BoundPoint):
            raise TypeError(
                "BoundFormulation.constraints need the BoundFormulation itself as the objective: "
                "adjoint.minimize(bound, bound.start(x), MMA(bound.constraints, …))"
            )
        value = float(point.x[-1] - point.quotients[self.index] / point.unit)
        return Evaluated(value, np.append(-point.slopes[:, self.index] / point.unit, 1.0))


@dataclass(frozen=True, eq=False)
class OnDesign:
    """A constraint on x = z[:-1] as a constraint on z. constraint: the constraint on x."""

    constraint: DesignOnly

    @property
    def bound(self) -> float:
        """The largest value allowed."""
        return self.constraint.bound

    def at(self, point: BoundPoint) -> "Evaluated":
        """The constraint at z."""
        return Evaluated(self.value(point.x), self.gradient(point.x))

    def value(self, z: Array) -> float:
        """c(x)."""
        return float(self.constraint.value(z[:-1]))

    def gradient(self, z: Array) -> Array:
        """(dc/dx, 0), (m + 1,)."""
        return np.append(self.constraint.gradient(z[:-1]), 0.0)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The value of a constraint and its gradient with respect to z, (m + 1,)."""

    value: float
    gradient: Array
