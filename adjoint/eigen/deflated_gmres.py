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


@dataclass(frozen=True, eq=False)
class Projector:
    """P v = v − V (Wᴴ v), where Wᴴ V = I: it removes the computed eigenvectors V."""

    V: Array
    W: Array

    def __call__(self, v: Array) -> Array:
        """Return P P v; the second application removes the rounding errors of the first."""
        v = v - self.V @ (self.W.conj().T @ v)
        return np.asarray(v - self.V @ (self.W.conj().T @ v))


def deflated_gmres(
    S: Callable[[Array], Array], P: Projector, shifts: Array, b: Array
) -> tuple[Array, int]:
    """Solve (I − δ_i S) x_i = P b_i for x_i in the range of P, by GMRES.

    S: applies the operator to a block (n, j); shifts: δ, (j,); b: (n, j). Returns x,
    (n, j), and the number of iterations (block applications of S). Raises KrylovStalled
    if a column does not reach the residual ACCEPT.
    """
    b = P(b)
    norms = np.linalg.norm(b, axis=0)
    x = np.zeros(b.shape, dtype=np.result_type(b, shifts))
    active = np.flatnonzero(norms > 0.0)
    if active.size == 0:
        return x, 0
    most = min(MOST, b.shape[0])
    basis = [b[:, active] / norms[active]]  # v_1, v_2, …, each (n, active)
    H = np.zeros((active.size, most + 1, most), dtype=complex)
    weights = [np.zeros(0)] * active.size
    residuals = np.ones(active.size)
    steps = 0
    while steps < most and not (residuals <= TOLERANCE).all():
        w = P(S(basis[-1]))
        for _ in range(2):  # The second sweep reorthogonalizes.
            for i, v in enumerate(basis):
                h = np.einsum("nj,nj->j", v.conj(), w)
                H[:, i, steps] += h
                w = w - v * h
        size = np.linalg.norm(w, axis=0)
        H[:, steps + 1, steps] = size
        basis.append(w / np.where(size > 0.0, size, 1.0))
        steps += 1
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
        y = norms[column] * weights[a]
        solution = np.stack([v[:, a] for v in basis[: y.size]], axis=1) @ y
        x[:, column] = solution if x.dtype.kind == "c" else solution.real
    return P(x), steps


def _least_squares(hessenberg: Array, shift: complex) -> tuple[Array, float]:
    """Minimize ‖e₁ − (Ī − δ H̄) y‖; returns y and the norm."""
    rows, columns = hessenberg.shape
    matrix = np.eye(rows, columns) - shift * hessenberg
    e = np.zeros(rows, dtype=complex)
    e[0] = 1.0
    y = np.linalg.lstsq(matrix, e, rcond=None)[0]
    return y, float(np.linalg.norm(e - matrix @ y))
