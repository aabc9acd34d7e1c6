"""Travel time of a bead along a polygon, its derivatives, and the cycloid that minimizes it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse
from scipy.optimize import brentq

import adjoint
from adjoint.optimize import Algorithm, Euclidean, InnerProduct, MassMatrix, ScalarFunction
from adjoint.typing import Array

GRAVITY = 9.81
"""g, m/s²."""

TOLERANCE = 1e-6
"""Norm of the gradient that ends a run, relative to the first, in the product of the energy."""

ITERATIONS = 5000
"""Maximum number of iterations of a run."""


@dataclass(frozen=True, eq=False)
class Brachistochrone:
    """T(x), s, of a bead that slides at rest from (0, 0) to (a, b), x ↦ the curve x(y).

    T = ∫₀ᵇ √((1 + x′²) / (2 g y)) dy, with y the depth. The curve is a polygon with vertices
    at the depths y_i = b (i/N)², and T_h is the exact time along the polygon: so T_h ≥ T.

    Parameters
    ----------
    intervals : int
        N; the design has the N − 1 values x(y_i) between the ends, m.
    width, depth : float
        a and b, m, with b ≥ 2a/π, so that the fastest curve only descends.
    """

    intervals: int
    width: float = 1.0
    depth: float = 1.0

    @cached_property
    def y(self) -> Array:
        """Depths of the vertices, (N + 1,), m."""
        return self.depth * np.linspace(0.0, 1.0, self.intervals + 1) ** 2

    @cached_property
    def h(self) -> Array:
        """Heights of the intervals, (N,), m."""
        return np.diff(self.y)

    @cached_property
    def weights(self) -> Array:
        """∫ dy/√(2 g y) over each interval, (N,), s: the time of a vertical fall."""
        return np.diff(np.sqrt(2.0 * self.y / GRAVITY))

    @property
    def line(self) -> Array:
        """The straight line, (N − 1,), m."""
        return self.width * self.y[1:-1] / self.depth

    def polygon(self, x: Array) -> Array:
        """x at all vertices, (N + 1,), m."""
        return np.concatenate([[0.0], x, [self.width]])

    def slopes(self, x: Array) -> Array:
        """x′ on each interval, (N,)."""
        return np.diff(self.polygon(x)) / self.h

    def time(self, x: Array) -> float:
        """T_h, s."""
        return float(np.sum(self.weights * np.sqrt(1.0 + self.slopes(x) ** 2)))

    def gradient(self, x: Array) -> Array:
        """∂T_h/∂x_i, (N − 1,), s/m."""
        s = self.slopes(x)
        return -np.diff(self.weights * s / np.sqrt(1.0 + s**2) / self.h)

    def product(self, x: Array, v: Array) -> Array:
        """The Hessian of T_h times v, (N − 1,)."""
        rates = np.diff(np.pad(v, 1)) / self.h
        curvature = (1.0 + self.slopes(x) ** 2) ** -1.5
        return -np.diff(self.weights * curvature * rates / self.h)

    @property
    def f(self) -> ScalarFunction:
        """T_h with its derivatives, for `adjoint.check`, `check_hvp` and `minimize`."""
        return ScalarFunction(self.time, self.gradient, self.product)

    @property
    def euler_lagrange(self) -> Array:
        """−d/dy (x′ / √(2 g y (1 + x′²))) of the straight line at y_i, (N − 1,), s/m²."""
        s = self.width / self.depth
        return np.asarray(0.5 * s / np.sqrt(2.0 * GRAVITY * (1.0 + s**2)) * self.y[1:-1] ** -1.5)

    @property
    def representative(self) -> Array:
        """The gradient of T_h at the straight line as a function, (N − 1,), s/m².

        The function represents the derivative in L², with the lumped mass matrix: each
        derivative is divided by the mean height of the two intervals at its vertex.
        """
        return 2.0 * self.gradient(self.line) / (self.h[1:] + self.h[:-1])

    @cached_property
    def mass(self) -> sparse.csc_array:
        """∫ φ_i φ_j dy of the hat functions, (N − 1, N − 1), m."""
        h = self.h
        bands = [h[1:-1] / 6.0, (h[:-1] + h[1:]) / 3.0, h[1:-1] / 6.0]
        return sparse.csc_array(sparse.diags_array(bands, offsets=[-1, 0, 1]))

    def stiffness(self, weights: Array) -> sparse.csc_array:
        """Σ over the intervals of weights · φ_i′ φ_j′, (N − 1, N − 1)."""
        k = weights / self.h**2
        bands = [-k[1:-1], k[:-1] + k[1:], -k[1:-1]]
        return sparse.csc_array(sparse.diags_array(bands, offsets=[-1, 0, 1]))

    @cached_property
    def products(self) -> dict[str, InnerProduct]:
        """Four inner products of two changes v and w of the curve, by name.

        Euclidean: Σ v_i w_i. L²: ∫ v w dy. H¹: ∫ v w + b² v′ w′ dy. Energy: ∫ v′ w′ /√(2 g y) dy,
        the second variation of T at a vertical curve.
        """
        return {
            "Euclidean": Euclidean(),
            "L²": MassMatrix(self.mass),
            "H¹": MassMatrix.helmholtz(self.mass, self.stiffness(self.h), self.depth),
            "energy": MassMatrix(self.stiffness(self.weights)),
        }


@dataclass(frozen=True, eq=False)
class Cycloid:
    """x = R (θ − sin θ), y = R (1 − cos θ), the fastest curve; it ends at θ = `end`."""

    width: float
    depth: float

    @cached_property
    def end(self) -> float:
        """θ at (a, b)."""
        ratio = self.width / self.depth
        return float(
            brentq(lambda t: t - np.sin(t) - ratio * (1.0 - np.cos(t)), 1e-3, np.pi, xtol=1e-15)
        )

    @property
    def radius(self) -> float:
        """R, m."""
        return self.depth / (1.0 - float(np.cos(self.end)))

    @property
    def time(self) -> float:
        """T = θ √(R/g), s."""
        return self.end * float(np.sqrt(self.radius / GRAVITY))

    def at(self, y: Array) -> Array:
        """x at the depths y, m."""
        theta = np.arccos(np.clip(1.0 - y / self.radius, -1.0, 1.0))
        return np.asarray(self.radius * (theta - np.sin(theta)))


@dataclass(frozen=True, eq=False)
class Run:
    """A run from the straight line.

    iterations: number of iterations to convergence, None if the run did not converge; x:
    the last curve; early: the curve after `watched` iterations.
    """

    iterations: int | None
    x: Array
    early: Array


def run(case: Brachistochrone, algorithm: Algorithm, watched: int = 0) -> Run:
    """Run from the straight line until the gradient has fallen to TOLERANCE of the first.

    All runs measure the gradient in the product of the energy.
    """
    energy, early = case.products["energy"], case.line
    first = energy.dual_norm(case.gradient(case.line))
    for state in adjoint.descend(case.f, case.line, algorithm):
        if state.iteration <= watched:
            early = state.x
        if energy.dual_norm(state.gradient) <= TOLERANCE * first:
            return Run(state.iteration, state.x, early)
        if state.ending is not None or state.iteration >= ITERATIONS:
            break
    return Run(None, state.x, early)
