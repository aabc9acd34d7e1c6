"""Generalized conjugate residuals, for refinement with factors of a nearby matrix.

`steady/refinement.py` and `ode/stages/refinement.py` share this kernel. Their scalar
products, the number of directions they keep, and their stopping tests differ.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..typing import Array


@dataclass(eq=False)
class ConjugateResiduals:
    """Minimize ‖r − C x‖₂ over x along directions d whose images C d are orthogonal.

    C is W A or B⁻¹A: A with weighted rows, or preconditioned by the factors of a nearby
    matrix B. Each column of r is a separate system. If C is close to the identity,
    orthogonality to the last image suffices (kept=1).

    An object has a memory: the last directions, their images, and the squares of the
    lengths of these images. Each right-hand side needs a new object.

    dot: (v, w) ↦ vᴴ w, column by column. kept: number of directions that are
    remembered. normalize: divide d and its image by the length of the image. This costs
    two more operations with vectors.

    Eisenstat, Elman & Schultz (1983), SIAM J. Numer. Anal. 20, 345, section 2.
    """

    dot: Callable[[Array, Array], Array]
    kept: int
    normalize: bool
    _known: list[tuple[Array, Array, Array | float]] = field(
        default_factory=list, init=False, repr=False
    )

    def step(self, d: Array, q: Array, residual: Array) -> tuple[Array, Array, Array]:
        """Return (α, d, q) such that ‖residual − α q‖₂ is least, q orthogonal to earlier images.

        d: new direction, (n,) or (n, k). q: its image C d. The arrays d and q are
        overwritten.
        """
        for direction, image, square in self._known:
            component = self.dot(image, q) / square
            d -= component * direction
            q -= component * image
        norm: Array | float = _positive(self.dot(q, q).real)
        if self.normalize:
            length = np.sqrt(norm)
            d, q, norm = d / length, q / length, 1.0
        self._known = [*self._known, (d, q, norm)][-self.kept :]
        return self.dot(q, residual) / norm, d, q


def _positive(v: Array) -> Array:
    """Return v, whose entries are ≥ 0, with each 0 replaced by 1."""
    return v + (v <= 0.0)
