"""(I − δ_i S) x_i = b_i on the complement of computed eigenvectors, all columns together.

Each iteration applies S to one block, one column per right-hand side (docs/math/
spectra.md, eq. 224). Each column has its Krylov space of S, with reorthogonalization.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import KrylovStalled
from ..typing import Array

TOLERANCE = 1e-12
"""Residual ‖b − (I − δS) x‖ / ‖b‖ at which a column has converged."""

ACCEPT = 1e-10
"""Residual that is accepted when the iteration makes no more progress."""

MOST = 200
"""Maximum number of iterations. 6 to 31 are usual."""


CAPACITY = 40
"""Number of basis vectors for which memory is reserved at first."""


@dataclass(frozen=True, eq=False)
class Projector:
    """P v = v − V (Wᴴ v), where Wᴴ V = I: it removes the computed eigenvectors V.

    A real v stays real: V then contains complex eigenvectors in conjugate pairs only.
    """

    V: Array
    W: Array

    def __call__(self, v: Array) -> Array:
        """Return P P v; the second application removes the rounding errors of the first."""
        return self._once(self._once(v))

    def _once(self, v: Array) -> Array:
        part = self.V @ (self.W.conj().T @ v)
        return np.asarray(v - (part if v.dtype.kind == "c" else part.real))


def deflated_gmres(
    S: Callable[[Array], Array], P: Projector, shifts: Array, b: Array
) -> tuple[Array, int]:
    """Solve (I − δ_i S) x_i = P b_i for x_i in the range of P, by GMRES.

    S: applies the operator to a block (n, j); shifts: δ, (j,); b: (n, j). If S, b and δ
    are real, all arithmetic is real. Returns x, (n, j), and the number of iterations
    (block applications of S). Raises KrylovStalled if a column does not reach the
    residual ACCEPT.
    """
    b = P(b)
    norms = np.linalg.norm(b, axis=0)
    x = np.zeros(b.shape, dtype=np.result_type(b, shifts))
    active = np.flatnonzero(norms > 0.0)
    if active.size == 0:
        return x, 0
    n, j = b.shape[0], active.size
    most = min(MOST, n)
    # Basis of each column: basis[a, i] is v_i of column a, (n,).
    basis = np.empty((j, min(CAPACITY, most + 1), n), dtype=x.dtype)
    basis[:, 0] = (b[:, active] / norms[active]).T
    H = np.zeros((j, most + 1, most), dtype=x.dtype)
    weights = [np.zeros(0)] * j
    residuals = np.ones(j)
    steps = 0
    while steps < most and not (residuals <= TOLERANCE).all():
        w = P(S(np.asfortranarray(basis[:, steps].T))).T
        for _ in range(2):  # The second sweep reorthogonalizes.
            known = basis[:, : steps + 1]
            h = np.matmul(known, w.conj()[:, :, None]).conj()  # (j, steps + 1, 1)
            H[:, : steps + 1, steps] += h[:, :, 0]
            w = w - np.matmul(h.transpose(0, 2, 1), known)[:, 0]
        size = np.linalg.norm(w, axis=1)
        H[:, steps + 1, steps] = size
        steps += 1
        if steps == basis.shape[1]:
            basis = np.concatenate([basis, np.empty_like(basis)], axis=1)
        basis[:, steps] = w / np.where(size > 0.0, size, 1.0)[:, None]
        for a, column in enumerate(active):
            if residuals[a] > TOLERANCE:
                weights[a], residuals[a] = _least_squares(H[a, : steps + 1, :steps], shifts[column])
    if not (residuals <= ACCEPT).all():
        raise KrylovStalled(
            f"the deflated GMRES for derivatives of eigenvectors reached a residual of "
            f"{residuals.max():.1e} after {steps} iterations, accepted is {ACCEPT:.0e}. Usual "
            "cause: an eigenvalue that was not computed lies next to a wanted one. Remedy: a "
            "larger guard, or sigma closer to the wanted eigenvalues."
        )
    for a, column in enumerate(active):
        y = weights[a]
        x[:, column] = norms[column] * (y @ basis[a, : y.size])
    return P(x), steps


def _least_squares(hessenberg: Array, shift: complex) -> tuple[Array, float]:
    """Minimize ‖e₁ − (Ī − δ H̄) y‖; returns y and the norm."""
    rows, columns = hessenberg.shape
    matrix = np.eye(rows, columns) - shift * hessenberg
    e = np.zeros(rows, dtype=matrix.dtype)
    e[0] = 1.0
    y = np.linalg.lstsq(matrix, e, rcond=None)[0]
    return y, float(np.linalg.norm(e - matrix @ y))
