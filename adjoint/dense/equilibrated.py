"""LU factors of a matrix whose rows and columns are scaled to entries of about 1."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg as linalg

from ..errors import singular
from ..typing import Array

PASSES = 3
"""Number of scalings of rows and columns: after three, all rows and columns of a matrix with
mixed units have entries near 1."""

CAUSES = (
    "Usual causes: a row or column of zeros, or rows that depend on each other. At a singular "
    "matrix the function, or its derivative, does not exist."
)


@dataclass(frozen=True, eq=False)
class EquilibratedLU:
    """P R A C = L U with diagonal R and C of powers of 2, so that scaling rounds nothing.

    r, c: (n,), the diagonals as exponents of 2; lu, rows: as of scipy.linalg.lu_factor;
    condition: estimate of the condition of R A C in the 1-norm. This condition does not depend
    on the units of rows and columns.

    Higham (2002), Accuracy and Stability of Numerical Algorithms, sections 7.3, 9.8 and 15.
    """

    r: Array
    c: Array
    lu: Array
    rows: Array

    @classmethod
    def of(cls, who: str, A: Array) -> "EquilibratedLU":
        """The factors of A, (n, n); raise SingularMatrix if A is singular to working precision."""
        n = len(A)
        scaled, r, c = equilibrated(A)
        lu, rows, info = linalg.lapack.get_lapack_funcs("getrf", (scaled,))(scaled)
        if info > 0:
            raise singular(
                f"{who} of a {n}x{n} matrix:", f"LU met a zero pivot in column {info - 1}", CAUSES
            )
        rcond, _ = linalg.lapack.get_lapack_funcs("gecon", (lu,))(
            lu, np.abs(scaled).sum(axis=0).max()
        )
        if not rcond > n * np.finfo(float).eps:
            raise singular(
                f"{who} of a {n}x{n} matrix:",
                f"the matrix is singular to working precision (reciprocal condition {rcond:.1e} "
                "after scaling of rows and columns)",
                CAUSES,
            )
        return cls(r, c, lu, rows)

    def solve(self, b: Array, adjoint: bool = False) -> Array:
        """A⁻¹ b, or A⁻ᴴ b; b: (n,) or (n, j)."""
        first, last = (self.c, self.r) if adjoint else (self.r, self.c)
        scale = (...,) if b.ndim == 1 else (..., None)
        right = b * np.exp2(first)[scale]
        y = linalg.lu_solve((self.lu, self.rows), right, trans=2 if adjoint else 0)
        return np.asarray(y * np.exp2(last)[scale])

    @property
    def log_det(self) -> tuple[complex, float]:
        """The sign or phase of det A, and log|det A|."""
        pivots = np.diag(self.lu)
        swaps = np.count_nonzero(self.rows != np.arange(len(self.rows)))
        phase = np.prod(pivots / np.abs(pivots)) * (-1.0) ** swaps
        scales = np.log(2.0) * float((self.r + self.c).sum())
        return complex(phase), float(np.log(np.abs(pivots)).sum()) - scales


def equilibrated(A: Array) -> tuple[Array, Array, Array]:
    """R A C, and the exponents of 2 in R and C; rows and columns of zeros are not scaled."""
    r, c = np.zeros(A.shape[0]), np.zeros(A.shape[1])
    scaled = A
    for _ in range(PASSES):
        for axis, exponents in ((1, r), (0, c)):
            largest = np.abs(scaled).max(axis=axis)
            step = -np.floor(np.log2(np.where(largest > 0.0, largest, 1.0)))
            exponents += step
            scaled = scaled * np.exp2(np.expand_dims(step, axis))
    return scaled, r, c
