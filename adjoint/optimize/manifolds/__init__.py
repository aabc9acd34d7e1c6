"""Manifolds: `LBFGS(manifold=Stiefel(n, k))` minimizes f(X) over all X with XᵀX = 1.

`SteepestDescent`, `LBFGS` and `NewtonCG` take a manifold. The design stays a flat vector
(m,); each manifold states the order of the entries of its matrices.

Inside: `manifold` has the protocol and the metric at one point, `points` the checks that x
is on a manifold, `neighbourhood` f next to x, for the checks of `minimize`.
"""

from .manifold import Manifold, Moved
from .positive_definite import SymmetricPositiveDefinite
from .product import Product
from .sphere import EuclideanSpace, Sphere
from .stiefel import Stiefel

__all__ = [
    "Manifold",
    "Moved",
    "Sphere",
    "Stiefel",
    "SymmetricPositiveDefinite",
    "EuclideanSpace",
    "Product",
]
