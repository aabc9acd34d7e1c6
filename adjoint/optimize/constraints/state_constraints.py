"""Constraints on the solution of the objective: J(u, p) ≤ bound, or a vector c(u, p) ≤ bounds."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..._dataclasses import short_repr
from ..._numerics import dot
from ..._validation import as_array, has, named, require_methods
from ...protocols import Objective
from ...reduced import Point
from ...typing import Array
from ..settings import require_objective


@dataclass(frozen=True, eq=False)
class StateConstraint:
    """J(u, p) ≤ bound at the solution u of the objective, without another forward solve.

    The gradients of several state constraints at one point take one block of transposed
    solves.

    Parameters
    ----------
    objective : Objective
        J, with value(u, p) and gradients(u, p).
    bound : float
        The largest value allowed, in the units of J.

    Raises
    ------
    TypeError
        If J is not an objective; when evaluated, if the objective of the run has no state.
    """

    objective: Objective
    bound: float

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_objective("StateConstraint", self.objective)

    def at(self, point: Point) -> Point:
        """J at the point's solution; raise TypeError if the point has no solution."""
        require_solution(point)
        return point.of(self.objective)


class VectorFunction(Protocol):
    """c(u, p), (k,), and the transpose of its derivatives, without any (k, m) matrix.

    Algorithms with Hessian–vector products, such as `NewtonCG`, need two more methods:
    `jvp(u, p, u_dot, p_dot)`, the derivative of the values along (u̇, ṗ), (k,), and
    `hvp(u, p, weights, u_dot, p_dot)`, the derivative of the result of `vjp` along (u̇, ṗ).
    """

    def values(self, u: Array, p: Array) -> Array:
        """c(u, p).

        Parameters
        ----------
        u : (n,) array
            The solution.
        p : (m,) array
            The parameters.

        Returns
        -------
        (k,) array
            The values.
        """

    def vjp(self, u: Array, p: Array, weights: Array) -> tuple[Array, Array]:
        """(Σ_i w_i ∂c_i/∂u, Σ_i w_i ∂c_i/∂p).

        Parameters
        ----------
        u : (n,) array
            The solution.
        p : (m,) array
            The parameters.
        weights : (k,) array
            w.

        Returns
        -------
        tuple of arrays
            The weighted sums, of the shapes of u and p.
        """


@dataclass(frozen=True, eq=False)
class StateConstraints:
    """c_i(u, p) ≤ bounds_i (or =, among equalities), i = 1 … k: local stresses, for example.

    u is the solution of the objective. A weighted sum of all k gradients costs one
    transposed solve, whatever k is.

    Parameters
    ----------
    function : VectorFunction
        c(u, p), (k,), with its vjp.
    bounds : float or (k,) array
        The largest values allowed, in the units of c.

    Raises
    ------
    TypeError
        If the function has no methods `values` and `vjp`.
    ValueError
        If the bounds are not a number or a vector of numbers.
    """

    function: VectorFunction
    bounds: float | Array

    __repr__ = short_repr

    def __post_init__(self) -> None:
        expected = "an object with values(u, p) -> (k,) and vjp(u, p, weights)"
        require_methods("StateConstraints", "function", self.function, ("values", "vjp"), expected)
        bounds = as_array("StateConstraints", "bounds", self.bounds)
        if bounds.dtype.kind not in "fiu" or bounds.ndim > 1 or np.isnan(bounds).any():
            raise ValueError(
                f"StateConstraints: got bounds={self.bounds}, expected a number or a vector (k,)"
            )


@dataclass(frozen=True, eq=False)
class Along:
    """J(u, p) = Σ w_i c_i(u, p): an objective. weights: w, (k,)."""

    function: VectorFunction
    weights: Array

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        return dot(self.weights, self.function.values(u, p))

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(Σ w_i ∂c_i/∂u, Σ w_i ∂c_i/∂p)."""
        return self.function.vjp(u, p, self.weights)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """The derivatives of the two gradients of J along (u̇, ṗ).

        Raise TypeError if the function has no `hvp`.
        """
        if not has(self.function, "hvp"):
            raise TypeError(
                f"{type(self.function).__name__} has no method hvp(u, p, weights, u_dot, p_dot), "
                "which a Hessian–vector product needs: the derivative of the result of vjp(u, p, "
                "weights) along (u̇, ṗ)"
            )
        found: tuple[Array, Array] = getattr(self.function, "hvp")(u, p, self.weights, u_dot, p_dot)  # noqa: B009
        return found


def require_solution(point: Point) -> None:
    """Raise TypeError if the point has no state to constrain."""
    if not has(point, "of", "of_each"):
        raise TypeError(
            f"StateConstraint: f returns {named(point)}, which has no state, expected f to be a "
            "Reduced; with another f: FunctionConstraint(Reduced(problem, objective, design), "
            "bound)"
        )
