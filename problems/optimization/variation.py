"""Total variation of a field of cells, as a quadratic form that changes with the iterate."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class TotalVariation:
    """∫ √(|∇m|² + ε²) + ½ δ m² over nx × ny cells.

    The value is small for piecewise smooth fields, even with jumps. m: values of the cells,
    (n,), y running fastest.

    Parameters
    ----------
    cells : (int, int)
        Numbers of cells nx and ny.
    spacing : (float, float)
        Edge lengths of a cell, m.
    corner : float
        Corner ε, 1/m: gradients below ε count quadratically.
    anchor : float
        Small weight δ, which makes the form positive definite.

    References
    ----------
    Vogel & Oman (1996), SIAM J. Sci. Comput. 17, 227: lagged diffusivity.
    """

    cells: tuple[int, int]
    spacing: tuple[float, float]
    corner: float
    anchor: float

    @cached_property
    def gradient(self) -> sparse.csr_array:
        """The matrix of differences across faces divided by the distance, (faces, n).

        The upright faces come first.
        """
        lines = [
            sparse.diags_array([-1.0, 1.0], offsets=[0, 1], shape=(count - 1, count)) / h
            for count, h in zip(self.cells, self.spacing, strict=True)
        ]
        nx, ny = self.cells
        across = sparse.kron(lines[0], sparse.eye_array(ny))
        along = sparse.kron(sparse.eye_array(nx), lines[1])
        return sparse.csr_array(sparse.vstack([across, along]))

    def form(self, m: Array) -> sparse.csc_array:
        """L = −∇·(|∇m|² + ε²)^(−½)∇ + δ at m, (n, n): symmetric, positive definite.

        L m is the derivative of the total variation at m.
        """
        slopes = self.gradient @ m
        # Mean over the two cells of a face; transposed, half the sum over the faces of a cell.
        halves = 0.5 * abs(self.gradient.sign())
        steepness = np.sqrt(halves.T @ slopes**2 + self.corner**2)
        weights = 1.0 / (halves @ steepness)
        area = self.spacing[0] * self.spacing[1]
        stiffness = self.gradient.T @ sparse.diags_array(weights) @ self.gradient
        L = sparse.csc_array(area * (stiffness + self.anchor * sparse.eye_array(m.size)))
        L.sum_duplicates()
        return L
