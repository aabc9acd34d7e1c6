"""What a manifold offers an optimizer, and its metric at one point as an inner product."""

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from ..._numerics import dot
from ...reduced import Point
from ...typing import Array
from ..inner_products import Euclidean, InnerProduct
from ..square_roots import DiagonalRoot
from ..trial import gradient_of


class Moved(NamedTuple):
    """The point y = R_x(v) of a retraction, and the velocity of t ↦ R_x(t v) at t = 1.

    y, velocity: (m,).
    """

    y: Array
    velocity: Array


class Manifold(Protocol):
    """A smooth set of designs x in ℝᵐ, with a metric on its tangent spaces.

    Points, tangent vectors and derivatives are flat vectors (m,). A function on the manifold is
    given by a function of all x near the manifold, and its ordinary gradient g = df/dx (see
    docs/math/matrix_functions.md, eq. 390).

    References
    ----------
    Absil, Mahony & Sepulchre (2008), Optimization Algorithms on Matrix Manifolds. Boumal
    (2023), An Introduction to Optimization on Smooth Manifolds.
    """

    @property
    def size(self) -> int:
        """m, the number of entries of x."""

    def require(self, x: Array, name: str) -> None:
        """Raise ValueError, with the distance, unless x is on the manifold to rounding.

        Parameters
        ----------
        x : (m,) array
            A point.
        name : str
            Name of the algorithm, for the message.
        """

    def tangent(self, x: Array, v: Array) -> Array:
        """The orthogonal projection of v onto the tangent space at x, in the sense of v·w.

        Parameters
        ----------
        x : (m,) array
            A point of the manifold.
        v : (m,) array
            A vector, or a derivative: projected, it has the same product with tangent vectors.

        Returns
        -------
        (m,) array
            The projection.
        """

    def gradient(self, x: Array, g: Array) -> Array:
        """The tangent vector whose inner product with each tangent v is g·v.

        Parameters
        ----------
        x : (m,) array
            A point of the manifold.
        g : (m,) array
            A derivative, tangent or not.

        Returns
        -------
        (m,) array
            The Riemannian gradient.
        """

    def covector(self, x: Array, v: Array) -> Array:
        """The derivative whose gradient is the tangent vector v: the inverse of `gradient`.

        Parameters
        ----------
        x : (m,) array
            A point of the manifold.
        v : (m,) array
            A tangent vector.

        Returns
        -------
        (m,) array
            The derivative, projected onto the tangent space.
        """

    def retract(self, x: Array, v: Array) -> Moved:
        """R_x(v): a point of the manifold that agrees with x + v to first order in v.

        Parameters
        ----------
        x : (m,) array
            A point of the manifold.
        v : (m,) array
            A tangent vector.

        Returns
        -------
        Moved
            The point, and the velocity of t ↦ R_x(t v) at t = 1.
        """

    def transport(self, x: Array, y: Array, v: Array) -> Array:
        """The tangent vector at y that stands for the tangent vector v at x.

        Parameters
        ----------
        x : (m,) array
            A point of the manifold.
        y : (m,) array
            Another point.
        v : (m,) array
            A tangent vector at x.

        Returns
        -------
        (m,) array
            A tangent vector at y.
        """

    def hessian(self, x: Array, g: Array, v: Array, Hv: Array) -> Array:
        """The Riemannian Hessian of f applied to v, as a derivative.

        Parameters
        ----------
        x : (m,) array
            A point of the manifold.
        g : (m,) array
            The ordinary gradient of f, not projected.
        v : (m,) array
            A tangent vector.
        Hv : (m,) array
            The ordinary Hessian of f times v.

        Returns
        -------
        (m,) array
            The derivative h with h·w = ⟨Hess f[v], w⟩ for tangent w.
        """

    def random_point(self, rng: np.random.Generator) -> Array:
        """A random point.

        Parameters
        ----------
        rng : numpy.random.Generator
            The source of random numbers.

        Returns
        -------
        (m,) array
            A point of the manifold.
        """


@dataclass(frozen=True, eq=False)
class MetricAt:
    """The metric of a manifold at x, as an `InnerProduct` of tangent vectors."""

    manifold: Manifold
    x: Array

    @property
    def diagonal(self) -> bool:
        """False."""
        return False

    def direction(self, g: Array) -> Array:
        """The Riemannian gradient of a derivative."""
        return self.manifold.gradient(self.x, g)

    def pairing(self, g: Array, d: Array) -> float:
        """g·d."""
        return dot(g, d)

    def covector(self, d: Array) -> Array:
        """The derivative whose gradient is d."""
        return self.manifold.covector(self.x, d)

    def norm(self, d: Array) -> float:
        """√⟨d, d⟩."""
        return math.sqrt(max(dot(self.covector(d), d), 0.0))

    def dual_norm(self, g: Array) -> float:
        """The norm of the Riemannian gradient."""
        return math.sqrt(max(dot(g, self.direction(g)), 0.0))

    def total(self, V: Array) -> Array:
        """Σ_j V_ij."""
        return Euclidean().total(V)

    def largest(self, v: Array) -> float:
        """max_j v_j."""
        return Euclidean().largest(v)

    @property
    def root(self) -> DiagonalRoot:
        """Raise TypeError: a metric changes from point to point."""
        raise TypeError("the metric of a manifold has no constant square root")


def inner_at(manifold: Manifold | None, inner: InnerProduct, x: Array) -> InnerProduct:
    """The inner product at x: the metric of the manifold, or `inner` without a manifold."""
    return inner if manifold is None else MetricAt(manifold, x)


def derivative_of(manifold: Manifold | None, point: Point) -> Array:
    """df/dx at a point, (m,); on a manifold, projected onto the tangent space."""
    g = gradient_of(point)
    return g if manifold is None else manifold.tangent(point.x, g)
