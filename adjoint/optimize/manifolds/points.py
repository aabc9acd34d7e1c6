"""Checks that a vector is a point of a manifold."""

from ...typing import Array
from .manifold import Manifold

NEAR = 1e-8
"""Largest distance from a manifold that counts as rounding."""


def require_size(manifold: Manifold, x: Array, name: str) -> None:
    """Raise ValueError unless x has the size of the manifold."""
    if x.shape != (manifold.size,):
        raise ValueError(
            f"{name}: got x of shape {x.shape}, expected ({manifold.size},), a point of {manifold}"
        )


def far_from(manifold: Manifold, name: str, distance: float, remedy: str) -> None:
    """Raise ValueError unless the distance is rounding."""
    if not distance <= NEAR:
        raise ValueError(
            f"{name}: got x at the distance {distance:.3g} from {manifold}, expected a point of "
            f"the manifold, such as {remedy} or random_point(rng)"
        )
