"""The unit sphere, and the space ℝⁿ as a manifold without curvature."""

import math
from dataclasses import dataclass

import numpy as np

from ..._dataclasses import short_repr
from ..._numerics import dot
from ..._validation import require_integer
from ...typing import Array
from .manifold import Moved
from .points import far_from, require_size


@dataclass(frozen=True, eq=False)
class Sphere:
    """{x in ℝⁿ: ‖x‖₂ = 1} with the metric of ℝⁿ (docs/math/matrix_functions.md, eq. 392).

    Retraction: (x + v) / ‖x + v‖. Transport: projection.

    Parameters
    ----------
    n : int
        The number of entries of x.

    Raises
    ------
    TypeError, ValueError
        If n is not a positive integer.

    References
    ----------
    Absil, Mahony & Sepulchre (2008), Optimization Algorithms on Matrix Manifolds, sections
    3.6.1 and 4.6.

    Examples
    --------
    >>> import numpy as np
    >>> from adjoint.optimize.manifolds import Sphere
    >>> x = np.array([1.0, 0.0])
    >>> print(Sphere(2).gradient(x, np.array([3.0, 4.0])))
    [0. 4.]
    """

    n: int

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_integer("Sphere", "n", self.n, 1)

    @property
    def size(self) -> int:
        """n."""
        return self.n

    def require(self, x: Array, name: str) -> None:
        """Raise ValueError unless ‖x‖ = 1."""
        require_size(self, x, name)
        length = float(np.linalg.norm(x))
        far_from(self, name, abs(length - 1.0), "x / np.linalg.norm(x)")

    def tangent(self, x: Array, v: Array) -> Array:
        """v − x (x·v)."""
        return v - x * dot(x, v)

    def gradient(self, x: Array, g: Array) -> Array:
        """g − x (x·g)."""
        return self.tangent(x, g)

    def covector(self, x: Array, v: Array) -> Array:
        """v."""
        return self.tangent(x, v)

    def retract(self, x: Array, v: Array) -> Moved:
        """(x + v) / ‖x + v‖."""
        z = x + v
        length = math.sqrt(dot(z, z))
        y = z / length
        return Moved(y, self.tangent(y, v) / length)

    def transport(self, x: Array, y: Array, v: Array) -> Array:
        """v − y (y·v)."""
        return self.tangent(y, v)

    def hessian(self, x: Array, g: Array, v: Array, Hv: Array) -> Array:
        """P (Hv − (x·g) v)."""
        return self.tangent(x, Hv - dot(x, g) * v)

    def random_point(self, rng: np.random.Generator) -> Array:
        """A point of uniform distribution."""
        x = rng.standard_normal(self.n)
        return np.asarray(x / np.linalg.norm(x))


@dataclass(frozen=True, eq=False)
class EuclideanSpace:
    """ℝⁿ, for the factors of a `Product` that are free.

    Parameters
    ----------
    n : int
        The number of entries of x.

    Raises
    ------
    TypeError, ValueError
        If n is not a positive integer.
    """

    n: int

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_integer("EuclideanSpace", "n", self.n, 1)

    @property
    def size(self) -> int:
        """n."""
        return self.n

    def require(self, x: Array, name: str) -> None:
        """Raise ValueError unless x has n entries."""
        require_size(self, x, name)

    def tangent(self, x: Array, v: Array) -> Array:
        """v."""
        return v

    def gradient(self, x: Array, g: Array) -> Array:
        """g."""
        return g

    def covector(self, x: Array, v: Array) -> Array:
        """v."""
        return v

    def retract(self, x: Array, v: Array) -> Moved:
        """x + v."""
        return Moved(x + v, v)

    def transport(self, x: Array, y: Array, v: Array) -> Array:
        """v."""
        return v

    def hessian(self, x: Array, g: Array, v: Array, Hv: Array) -> Array:
        """Hv."""
        return Hv

    def random_point(self, rng: np.random.Generator) -> Array:
        """Independent normal numbers."""
        return rng.standard_normal(self.n)
