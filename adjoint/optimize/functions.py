"""Objectives from plain Python functions, for optimizers: no problem, no solve, no adjoint."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import Array, dot

Values = Callable[[Array], float]
Vectors = Callable[[Array], Array]
Products = Callable[[Array, Array], Array]


@dataclass(frozen=True, eq=False)
class ScalarPoint:
    """A `ScalarFunction` at x: the value at once, the gradient when first asked for."""

    x: Array
    value: float
    function: "ScalarFunction"

    @cached_property
    def gradient(self) -> Array:
        """df/dx, (m,)."""
        return np.asarray(self.function.gradient(self.x))

    def hvp(self, v: Array) -> Array:
        """(d²f/dx²) v, (m,); raises TypeError where the function was given none."""
        if self.function.product is None:
            raise TypeError("ScalarFunction: got no product (x, v) -> H v; see also adjoint.DifferencedHessian")
        return np.asarray(self.function.product(self.x, v))


@dataclass(frozen=True, eq=False)
class ScalarFunction:
    """f from a function of x and its gradient: `minimize(ScalarFunction(value, gradient), x, Lbfgs())`.

    value: x (m,) ↦ f; gradient: x ↦ df/dx, (m,); product: (x, v) ↦ (d²f/dx²) v, (m,), for `NewtonCg`.
    """

    value: Values
    gradient: Vectors
    product: Products | None = None

    def __call__(self, x: Array) -> ScalarPoint:
        """f at x."""
        return ScalarPoint(x, float(self.value(x)), self)


@dataclass(frozen=True, eq=False)
class ResidualPoint:
    """A `ResidualFunction` at x."""

    x: Array
    residual: Array
    function: "ResidualFunction"

    @property
    def value(self) -> float:
        """½‖r‖²."""
        return 0.5 * dot(self.residual, self.residual)

    @cached_property
    def jacobian(self) -> Array:
        """dr/dx, (k, m)."""
        return np.asarray(self.function.jacobian(self.x))

    @cached_property
    def gradient(self) -> Array:
        """Jᵀ r, (m,)."""
        return self.vjp_residual(self.residual)

    def jvp_residual(self, v: Array) -> Array:
        """J v, (k,) or (k, j)."""
        return np.asarray(np.einsum("km,m...->k...", self.jacobian, v))

    def vjp_residual(self, w: Array) -> Array:
        """Jᵀ w, (m,) or (m, j)."""
        return np.asarray(np.einsum("km,k...->m...", self.jacobian, w))


@dataclass(frozen=True, eq=False)
class ResidualFunction:
    """f = ½‖r(x)‖² from a function of x and its derivative: `minimize(ResidualFunction(r, J), x, GaussNewton())`.

    residual: x (m,) ↦ r, (k,), in units of its standard deviations; jacobian: x ↦ dr/dx, (k, m).
    """

    residual: Vectors
    jacobian: Vectors

    def __call__(self, x: Array) -> ResidualPoint:
        """f at x."""
        return ResidualPoint(x, np.asarray(self.residual(x), dtype=float), self)
