"""Products of manifolds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._dataclasses import short_repr
from ..._validation import missing_methods, named
from ...typing import Array
from .manifold import Manifold, Moved
from .points import require_size

METHODS = (
    "require",
    "tangent",
    "gradient",
    "covector",
    "retract",
    "transport",
    "hessian",
    "random_point",
)
"""Methods of a manifold."""


@dataclass(frozen=True, eq=False)
class Product:
    """x = (x₁, x₂, …), one after the other, each part on a manifold of its kind.

    The metric is the sum of the metrics.

    Parameters
    ----------
    parts : tuple of Manifold
        The manifolds, such as (Stiefel(5, 2), EuclideanSpace(3)).

    Raises
    ------
    TypeError
        If `parts` is not a tuple of manifolds.
    ValueError
        If `parts` is empty.
    """

    parts: tuple[Manifold, ...]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not isinstance(self.parts, tuple) or any(
            isinstance(part, type) or missing_methods(part, METHODS) for part in self.parts
        ):
            raise TypeError(
                f"Product: got parts={named(self.parts)}, expected a tuple of manifolds, such as "
                "(Sphere(3), EuclideanSpace(2))"
            )
        if not self.parts:
            raise ValueError("Product: got no parts, expected at least one manifold")

    @property
    def size(self) -> int:
        """The sum of the sizes."""
        return sum(part.size for part in self.parts)

    def require(self, x: Array, name: str) -> None:
        """Raise ValueError unless each part is on its manifold."""
        require_size(self, x, name)
        for part, its in zip(self.parts, self._split(x), strict=True):
            part.require(its, name)

    def tangent(self, x: Array, v: Array) -> Array:
        """The projections of the parts."""
        return self._each(lambda part, x, v: part.tangent(x, v), x, v)

    def gradient(self, x: Array, g: Array) -> Array:
        """The gradients of the parts."""
        return self._each(lambda part, x, g: part.gradient(x, g), x, g)

    def covector(self, x: Array, v: Array) -> Array:
        """The derivatives of the parts."""
        return self._each(lambda part, x, v: part.covector(x, v), x, v)

    def retract(self, x: Array, v: Array) -> Moved:
        """The retractions of the parts."""
        moved = [
            part.retract(*its)
            for part, *its in zip(self.parts, self._split(x), self._split(v), strict=True)
        ]
        return Moved(
            np.concatenate([each.y for each in moved]),
            np.concatenate([each.velocity for each in moved]),
        )

    def transport(self, x: Array, y: Array, v: Array) -> Array:
        """The transports of the parts."""
        return self._each(lambda part, x, y, v: part.transport(x, y, v), x, y, v)

    def hessian(self, x: Array, g: Array, v: Array, Hv: Array) -> Array:
        """The Hessians of the parts, with the products between parts in Hv."""
        return self._each(lambda part, x, g, v, Hv: part.hessian(x, g, v, Hv), x, g, v, Hv)

    def random_point(self, rng: np.random.Generator) -> Array:
        """Random points of the parts."""
        return np.concatenate([part.random_point(rng) for part in self.parts])

    def _split(self, x: Array) -> list[Array]:
        return np.split(x, np.cumsum([part.size for part in self.parts])[:-1])

    def _each(self, method: Callable[..., Array], *vectors: Array) -> Array:
        pieces = zip(*map(self._split, vectors), strict=True)
        return np.concatenate(
            [method(part, *piece) for part, piece in zip(self.parts, pieces, strict=True)]
        )
