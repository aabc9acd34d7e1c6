"""Collocation at the Radau points (Radau IIA): methods whose stages depend on each other."""

from dataclasses import replace
from functools import cache

import numpy as np
from scipy.special import roots_jacobi

from ...typing import Array
from .method import Method
from .tableau import Tableau


def Radau5(accuracy: float = 1e-13) -> Method:
    """Radau IIA of order 5, L-stable, 3 coupled stages, for stiff problems with few unknowns.

    The dense output has order 3. With few unknowns (up to 64) a Newton correction of all
    stages is one small dense solve. With more unknowns each new matrix costs two
    factorizations, one real and one complex.

    Parameters
    ----------
    accuracy : float
        Relative error of the stage values, see `Method`.

    Returns
    -------
    Method
        The method, for `ODEProblem(..., method=Radau5())`.

    References
    ----------
    Hairer & Wanner (1996), Solving ODEs II, sections IV.5 and IV.8.
    """
    return Method(radau_iia(3), accuracy)


def Radau9(accuracy: float = 1e-13) -> Method:
    """Radau IIA of order 9, L-stable, 5 coupled stages, for stiff problems and tight tolerances.

    The dense output has order 5. `Radau5` explains the costs with few and with many
    unknowns.

    Parameters
    ----------
    accuracy : float
        Relative error of the stage values, see `Method`.

    Returns
    -------
    Method
        The method, for `ODEProblem(..., method=Radau9())`.

    References
    ----------
    Hairer & Wanner (1999), J. Comput. Appl. Math. 111, 93.
    """
    return Method(radau_iia(5), accuracy)


@cache
def radau_iia(stages: int) -> Tableau:
    """The Radau IIA tableau with s stages: collocation at the s right Radau points, c_s = 1.

    The embedded formula has order s and the weight γ at the start of the step, where γ is
    the real eigenvalue of A (Hairer & Wanner 1996, section IV.8). The error estimate
    h (γ f(t, u) + Σ e_i K_i) satisfies γ + Σ e_i = 0 and Σ e_i c_iᑫ = 0 for q < s.
    """
    roots, _ = roots_jacobi(stages - 1, 1.0, 0.0)
    c = np.append(0.5 * (roots + 1.0), 1.0)
    V = np.vander(c, stages, increasing=True)
    # The slope Σ_q x_q θᑫ interpolates the K_i, V x = K: b_i(θ) = Σ_q (V⁻¹)_qi θᑫ⁺¹/(q + 1).
    dense = np.linalg.inv(V).T / np.arange(1.0, stages + 1.0)
    order = 2 * stages - 1
    without = Tableau(
        f"Radau{order}", order, _integrated(c), (), stages + 1, dense, np.zeros((0, stages))
    )
    errors = np.linalg.solve(V.T, -without.gamma * np.eye(stages)[0])
    return replace(without, errors=(errors,))


def _integrated(c: Array) -> Array:
    """a_ij = ∫ l_j(θ) dθ from 0 to c_i, (s, s), for the Lagrange polynomials l_j(c_i) = δ_ij.

    Gauss quadrature computes the integrals: the inverse of the Vandermonde matrix would
    lose more digits.
    """
    nodes, weights = np.polynomial.legendre.leggauss(c.size)
    theta = 0.5 * c[:, None] * (nodes + 1.0)
    A = np.empty((c.size, c.size))
    for j, cj in enumerate(c):
        others = np.delete(c, j)
        A[:, j] = 0.5 * c * (np.prod((theta[..., None] - others) / (cj - others), axis=2) @ weights)
    return A
