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
from .objectives.values import EigenvalueSum
from .problem import EigenProblem


@dataclass(frozen=True, eq=False)
class BoundFormulation:
    """Maximize β with β ≤ μ_i(x), i = 1 … k: a max-min problem without a kink.

    The variables are z = (x, β/unit). The smallest eigenvalue is not differentiable
    where eigenvalues cross, and a maximum of it is often at a crossing. The bound
    formulation has a smooth objective, −β/unit, and k constraints. At a multiple eigenvalue
    the gradients of the constraints are the diagonal entries of the generalized gradient
    of the cluster (docs/math/spectra.md, eq. 224).

    Parameters
    ----------
    problem : EigenProblem
        The eigenproblem, with `count` ≥ k.
    design : DesignMap
        p = φ(x).
    k : int
        The number of constraints. k must exceed the multiplicity at the maximum; 3 or 4
        serve for double eigenvalues.
    unit : float
        The unit of β, for example μ_1 at the start, so that β/unit has the size of x.

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

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_methods("BoundFormulation", "problem", self.problem, ("solve",), "an EigenProblem")
        expected = "a design map, such as adjoint.design.Identity()"
        require_methods("BoundFormulation", "design", self.design, ("__call__", "vjp"), expected)
        require_integer("BoundFormulation", "k", self.k, 1)
        require_positive("BoundFormulation", "unit", self.unit)
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
        return BoundPoint(z, self._reduced(z[:-1]), self.unit)

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

    def bounds(self, bounds: Bounds, m: int) -> Bounds:
        """Return bounds on z: those of the design, and none on β.

        Parameters
        ----------
        bounds : Bounds
            Bounds on x.
        m : int
            The number of design variables.

        Returns
        -------
        Bounds
            Bounds on z, (m + 1,).
        """
        sides = (np.broadcast_to(np.asarray(s, float), m) for s in (bounds.lower, bounds.upper))
        lower, upper = sides
        return Bounds(np.append(lower, -np.inf), np.append(upper, np.inf))

    @property
    def constraints(self) -> "tuple[EigenvalueConstraint, ...]":
        """The constraints (β − μ_i(x))/unit ≤ 0, i = 1 … k."""
        return tuple(EigenvalueConstraint(i) for i in range(self.k))

    def on_design(self, constraint: object) -> "OnDesign":
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

    x: z, (m + 1,). at_design: the eigenproblem at x. unit: the unit of β.
    """

    x: Array
    at_design: Point
    unit: float

    @property
    def value(self) -> float:
        """−β/unit."""
        return -float(self.x[-1])

    @property
    def gradient(self) -> Array:
        """(0, …, 0, −1), (m + 1,)."""
        return np.append(np.zeros(self.x.size - 1), -1.0)

    @cached_property
    def generalized_gradients(self) -> Array:
        """∂μ_i/∂x, (m, count): diagonal entries of the block in a cluster."""
        point = self.at_design
        columns = point.solution.member_gradients().T
        return np.stack([point.design.vjp(point.x, column) for column in columns], axis=-1)


@dataclass(frozen=True, eq=False)
class EigenvalueConstraint:
    """(β − μ_i(x))/unit ≤ 0, at points of a `BoundFormulation`. index: i, from 0."""

    index: int
    bound: float = 0.0

    def at(self, point: BoundPoint) -> "Evaluated":
        """The constraint at a point of a `BoundFormulation`."""
        if not isinstance(point, BoundPoint):
            raise TypeError(
                "BoundFormulation.constraints need the BoundFormulation itself as the objective: "
                "adjoint.minimize(bound, bound.start(x), MMA(bound.constraints, …))"
            )
        mu = point.at_design.solution.u[0, self.index].real
        slope = -point.generalized_gradients[:, self.index] / point.unit
        return Evaluated(float(point.x[-1] - mu / point.unit), np.append(slope, 1.0))


@dataclass(frozen=True, eq=False)
class OnDesign:
    """A constraint on x = z[:-1] as a constraint on z. constraint: the constraint on x."""

    constraint: object

    @property
    def bound(self) -> float:
        """The largest value allowed."""
        return float(getattr(self.constraint, "bound"))  # noqa: B009

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
