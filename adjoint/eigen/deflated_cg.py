"""(I − δ_i S) x_i = b_i on the complement of computed modes, by block CG in an inner product.

S = (K − σM)⁻¹ M is selfadjoint in ⟨v, w⟩ = vᴴ W w, W = M ≥ 0 or W = K > 0. See
docs/math/spectra.md, eqs. 204 and 443.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._numerics import column_dots
from ..errors import KrylovStalled, MissingEigenvalues
from ..typing import Array

TOLERANCE = 1e-11
"""Residual in the W norm, relative to the right-hand side, at which a column has converged."""

ACCEPT = 1e-10
"""Residual that is accepted when the iteration makes no more progress."""


@dataclass(frozen=True, eq=False)
class Complement:
    """P v = v − Φ (WΦ)ᴴ v, where Φᴴ W Φ = I: removes the computed modes; Pᴴ removes them from Wv.

    phi: Φ, (n, c); W_phi: WΦ, (n, c).
    """

    phi: Array
    W_phi: Array

    def __call__(self, v: Array) -> Array:
        """Return P P v; the second application removes the rounding errors of the first."""
        v = v - self.phi @ (self.W_phi.conj().T @ v)
        return np.asarray(v - self.phi @ (self.W_phi.conj().T @ v))


def deflated_cg(
    S: Callable[[Array, Array], Array],
    W: Callable[[Array], Array],
    P: Complement,
    shifts: Array,
    b: Array,
    most: int,
) -> tuple[Array, int]:
    """Solve (I − δ_i S) x_i = P b_i for x_i in the range of P; returns x and the iterations.

    S: (v, W v) ↦ S v for blocks (n, j); W: applies W; shifts: δ, real, (j,); b: (n, j);
    most: maximum number of iterations. An iteration applies S and W to one block each. The
    operator is positive definite if all modes
    between σ and μ_i are among the modes that P removes.

    Raises MissingEigenvalues if the operator is not positive definite, KrylovStalled if
    a column does not reach the residual ACCEPT.
    """
    r = P(b)
    W_r = W(r)
    rho = np.maximum(column_dots(W_r, r).real, 0.0)
    first = np.where(rho > 0.0, rho, 1.0)
    # x + r instead of x: r has parts in the null space of W, which the W norm does not see.
    best, best_x = np.where(rho > 0.0, 1.0, 0.0), r.copy()
    going, steps = rho > 0.0, 0
    left, rho = np.flatnonzero(going), rho[going]  # Columns that have not converged.
    r, W_d = _columns(going, r, W_r)
    d, x = r, np.zeros_like(r)
    while steps < most and left.size:
        A_d = d - P(S(d, W_d)) * shifts[left]
        curvature = column_dots(W_d, A_d).real
        if not (curvature > 0.0).all():
            raise MissingEigenvalues(
                "derivatives of eigenvectors: K − μM is not definite on the complement of the "
                "computed modes, so a mode before the last computed one is missing. Remedy: a "
                "larger count or guard, or a sigma closer to the wanted eigenvalues"
            )
        alpha = rho / curvature
        x, r = x + d * alpha, r - A_d * alpha
        W_r = W(r)
        new = np.maximum(column_dots(W_r, r).real, 0.0)
        size = np.sqrt(new / first[left])
        better = size < best[left]
        best_x[:, left[better]] = x[:, better] + r[:, better]
        best[left[better]] = size[better]
        steps += 1
        d, W_d = r + d * (new / rho), W_r + W_d * (new / rho)
        going = (size > TOLERANCE) & (new > 0.0)
        left, rho = left[going], new[going]
        d, W_d, r, x = _columns(going, d, W_d, r, x)
    if not (best <= ACCEPT).all():
        raise KrylovStalled(
            f"derivatives of eigenvectors: deflated CG reached a residual of {best.max():.1e} "
            f"after {steps} iterations, accepted is {ACCEPT:.0e}. Usual causes: an eigenvalue that "
            "was not computed lies next to a wanted one; in buckling, negative load factors that "
            "are much smaller than the wanted ones. Remedy: sigma closer to the wanted "
            "eigenvalues, or a larger guard"
        )
    return P(best_x), steps


def _columns(kept: Array, *blocks: Array) -> list[Array]:
    """Return the columns that are kept of each block, (n, j), in Fortran order."""
    if kept.all():
        return list(blocks)
    return [np.asfortranarray(block[:, kept]) for block in blocks]
