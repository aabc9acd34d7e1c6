"""Random directions for checks, in proportion to x or with balanced shares of g·v."""

from collections.abc import Sequence

import numpy as np

from .._numerics import dot
from ..typing import Array
from .tolerances import NOISE

CANDIDATES = 8
"""Number of candidates for the second direction.

The candidate that is the most orthogonal to the first direction is taken.
"""

WEAKEST = 1e-4
"""Share |g_i x_i| relative to the largest, below which a share is not weighted up.

Weighting up a smaller share would weight up its rounding error.
"""

SMALL = 1e-8
"""|x_i| relative to the largest, below which x_i counts as zero if f hardly depends on it.

Example: 1e-17 in a vector with a component 1.
"""


def random_direction(x: Array, rng: np.random.Generator) -> Array:
    """±[½, 1] times the size of each component, (m,); with random phases if x is complex.

    A component of the direction is positive if x_i is zero, because a density of zero may
    only grow. The magnitudes are random as well: along ±x the derivative of a homogeneous
    f follows from f alone (Euler's identity), and a wrong gradient could pass.
    """
    size = sizes_of(x) * rng.uniform(0.5, 1.0, x.size)
    if x.dtype.kind == "c":
        return size * np.exp(2j * np.pi * rng.random(x.size))
    return size * np.where(x == 0.0, 1.0, rng.choice([-1.0, 1.0], x.size))


def balanced(
    size: Array, g: Array, v: Array, candidates: Sequence[Array], weakest: float, rounding: float
) -> Array:
    """A second direction w, (m,), in which all components have about the same share of g·w.

    Without such a w, a component with a large effect on f hides a wrong derivative with
    respect to a component with a small effect. w is the candidate that is the most
    orthogonal to v, with its components reweighted. size: sizes of the components, (m,).
    A share |g_i| size_i is not weighted up if it is below `rounding`, or below `weakest`
    times the largest share: such components keep their size.
    """
    free = size > 0.0
    w = min(candidates, key=lambda u: abs(dot(u[free] / size[free], v[free] / size[free])))
    share = np.abs(g) * size
    largest = float(share.max())
    least = float(share[share > 0.0].min(initial=largest))
    least = min(max(least, weakest * largest, rounding), largest)
    return w if largest == 0.0 else np.asarray(w * least / np.maximum(share, least))


def sizes_of(x: Array) -> Array:
    """Return |x_i|, (m,); if x_i = 0, the smaller of 1 and the median of the nonzero |x_i|."""
    found = np.abs(x)
    return np.where(found > 0.0, found, min(middle_of(found), 1.0))


def middle_of(sizes: Array) -> float:
    """exp(median(log sizes)) of the sizes that are not zero; 1 if all sizes are zero.

    The logarithm is taken because components may have different units.
    """
    known = sizes[sizes > 0.0]
    return float(np.exp(np.median(np.log(known)))) if known.size else 1.0


def untested_components(x: Array, g: Array, value: float) -> Array:
    """Return the mask, (m,), of components that the first direction does not test.

    These components are zero, or so small that |g_i x_i| is below the rounding error of f.
    value: f(x).
    """
    size = np.abs(x)
    tiny = (size <= SMALL * float(size.max())) & (np.abs(g) * size <= NOISE * abs(value))
    return np.asarray((size == 0.0) | tiny)
