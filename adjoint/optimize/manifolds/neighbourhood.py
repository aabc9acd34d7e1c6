"""f next to a point of a manifold, as a function of all x: for checks by differences."""

from dataclasses import dataclass
from typing import cast

from ...reduced import Function, Point
from ...typing import Array
from ..trial import gradient_of
from .manifold import Manifold


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """z ↦ f(R_x(P(z − x))), P the projection onto the tangent space at x.

    The derivative at z = x is the projected gradient, so that differences of this function
    along any direction verify the gradient along the manifold (eq. 396 of
    docs/math/matrix_functions.md).
    """

    f: Function
    manifold: Manifold
    x: Array

    def __call__(self, z: Array) -> Point:
        """f at the point of the manifold."""
        y, _ = self.manifold.retract(self.x, self.manifold.tangent(self.x, z - self.x))
        return cast(Point, NearbyPoint(z, self.f(y), self.manifold))


@dataclass(frozen=True, eq=False)
class NearbyPoint:
    """A point of f on a manifold, seen as a point x next to the manifold."""

    x: Array
    at: Point
    manifold: Manifold

    @property
    def value(self) -> float:
        """f."""
        return self.at.value

    @property
    def gradient(self) -> Array:
        """The gradient of f, projected onto the tangent space of its point."""
        return self.manifold.tangent(self.at.x, gradient_of(self.at))

    @property
    def residual(self) -> Array:
        """The residual of a sum of squares; TypeError or AttributeError for other objectives."""
        return self.at.residual


def nearby(f: Function, manifold: Manifold | None, x: Array) -> Function:
    """f, or f in the neighbourhood of a point of a manifold."""
    return f if manifold is None else Neighbourhood(f, manifold, x)
