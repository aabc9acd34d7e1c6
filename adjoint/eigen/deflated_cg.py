"""(I − δ_i S) x_i = b_i on the complement of computed modes, by block CG in the M inner product.

S = (K − σM)⁻¹ M is selfadjoint in ⟨v, w⟩ = vᴴ M w. See docs/math/spectra.md, eq. 204.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._numerics import column_dots
from ..errors import KrylovStalled, MissingEigenvalues
from ..typing import Array

TOLERANCE = 1e-11
"""Residual in the M norm, relative to the right-hand side, at which a column has converged."""

ACCEPT = 1e-10
"""Residual that is accepted when the iteration makes no more progress."""

MOST = 120
"""Maximum number of iterations; 10 to 25 are usual."""


@dataclass(frozen=True, eq=False)
class Complement:
    """P v = v − Φ (MΦ)ᴴ v, where Φᴴ M Φ = I: removes the computed modes; Pᴴ removes them from Mv.

    phi: Φ, (n, c); M_phi: MΦ, (n, c).
    """

    phi: Array
    M_phi: Array

    def __call__(self, v: Array) -> Array:
        """Return P P v; the second application removes the rounding errors of the first."""
        v = v - self.phi @ (self.M_phi.conj().T @ v)
        return np.asarray(v - self.phi @ (self.M_phi.conj().T @ v))


def deflated_cg(
    F: Callable[[Array], Array],
    M: Callable[[Array], Array],
    P: Complement,
    shifts: Array,
    b: Array,
) -> tuple[Array, int]:
    """Solve (I − δ_i S) x_i = P b_i for x_i in the range of P; returns x and the iterations.

    F, M: apply (K − σM)⁻¹ and M to blocks (n, j); shifts: δ, real, (j,); b: (n, j). An
    iteration applies F and M to one block each. The operator is positive definite if all modes
    between σ and μ_i are among the modes that P removes.

    Raises MissingEigenvalues if the operator is not positive definite, KrylovStalled if
    a column does not reach the residual ACCEPT.
    """
    r = P(b)
    M_r = M(r)
    rho = np.maximum(column_dots(M_r, r).real, 0.0)
    first = np.where(rho > 0.0, rho, 1.0)
    # x + r instead of x: r has parts in the null space of M, which the M norm does not see.
    best, best_x = np.where(rho > 0.0, 1.0, 0.0), r.copy()
    going, steps = rho > 0.0, 0
    left, rho = np.flatnonzero(going), rho[going]  # Columns that have not converged.
    r, M_d = _columns(going, r, M_r)
    d, x = r, np.zeros_like(r)
    while steps < MOST and left.size:
        A_d = d - P(F(M_d)) * shifts[left]
        curvature = column_dots(M_d, A_d).real
        if not (curvature > 0.0).all():
            raise MissingEigenvalues(
                "derivatives of eigenvectors: K − μM is not definite on the complement of the "
                "computed modes, so a mode between sigma and the last computed one is missing. "
                "Remedy: a larger count or guard, or sigma closer to the wanted eigenvalues"
            )
        alpha = rho / curvature
        x, r = x + d * alpha, r - A_d * alpha
        M_r = M(r)
        new = np.maximum(column_dots(M_r, r).real, 0.0)
        size = np.sqrt(new / first[left])
        better = size < best[left]
        best_x[:, left[better]] = x[:, better] + r[:, better]
        best[left[better]] = size[better]
        steps += 1
        d, M_d = r + d * (new / rho), M_r + M_d * (new / rho)
        going = (size > TOLERANCE) & (new > 0.0)
        left, rho = left[going], new[going]
        d, M_d, r, x = _columns(going, d, M_d, r, x)
    if not (best <= ACCEPT).all():
        raise KrylovStalled(
            f"derivatives of eigenvectors: deflated CG reached a residual of {best.max():.1e} "
            f"after {steps} iterations, accepted is {ACCEPT:.0e}. Usual cause: an eigenvalue that "
            "was not computed lies next to a wanted one. Remedy: sigma closer to the wanted "
            "eigenvalues, or a larger guard"
        )
    return P(best_x), steps


def _columns(kept: Array, *blocks: Array) -> list[Array]:
    """Return the columns that are kept of each block, (n, j), in Fortran order."""
    if kept.all():
        return list(blocks)
    return [np.asfortranarray(block[:, kept]) for block in blocks]
