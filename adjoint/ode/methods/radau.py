"""Collocation at the Radau points: methods whose stages depend on each other."""

from dataclasses import replace
from functools import cache

import numpy as np
from scipy.special import roots_jacobi

from ...typing import Array
from .method import Method
from .tableau import Tableau


def Radau5(accuracy: float = 1e-13) -> Method:
    """Radau IIA, L-stable, order 5, 3 coupled stages, dense output of order 3: for stiff problems of few unknowns.

    Few unknowns: the three stages take one evaluation after another, but all else together. With many, a real and a
    complex matrix are factored. Hairer & Wanner (1996), Solving ODEs II, sections IV.5 and IV.8.
    """
    return Method(collocation(3), accuracy)


def Radau9(accuracy: float = 1e-13) -> Method:
    """Radau IIA, L-stable, order 9, 5 coupled stages, dense output of order 5: as `Radau5`, for tight tolerances.

    Hairer & Wanner (1999), J. Comput. Appl. Math. 111, 93.
    """
    return Method(collocation(5), accuracy)


@cache
def collocation(stages: int) -> Tableau:
    """Radau IIA: the polynomial of degree s with u(0) = u₀ and M u' = f at the s right Radau points, c_s = 1.

    The embedded formula has weight γ at the beginning, γ being the real eigenvalue of A, and order s (Hairer & Wanner
    1996, section IV.8): its difference h (γ f(t, u) + Σ e_i K_i) satisfies γ + Σ e_i = 0 and Σ e_i c_iᑫ = 0, q < s.
    """
    roots, _ = roots_jacobi(stages - 1, 1.0, 0.0)
    c = np.append(0.5 * (roots + 1.0), 1.0)
    V = np.vander(c, stages, increasing=True)
    # The slope Σ_q x_q θᑫ meets the K_i, V x = K: b_i(θ) = Σ_q (V⁻¹)_qi θᑫ⁺¹/(q + 1).
    dense = np.linalg.inv(V).T / np.arange(1.0, stages + 1.0)
    order = 2 * stages - 1
    without = Tableau(
        f"Radau{order}", order, _integrated(c), (), stages + 1, dense, np.zeros((0, stages))
    )
    errors = np.linalg.solve(V.T, -without.gamma * np.eye(stages)[0])
    return replace(without, errors=(errors,))


def _integrated(c: Array) -> Array:
    """a_ij = ∫ l_j(θ) dθ from 0 to c_i, l_j being 1 at c_j and 0 at the others; by Gauss, for digits."""
    nodes, weights = np.polynomial.legendre.leggauss(c.size)
    theta = 0.5 * c[:, None] * (nodes + 1.0)
    A = np.empty((c.size, c.size))
    for j, cj in enumerate(c):
        others = np.delete(c, j)
        A[:, j] = 0.5 * c * (np.prod((theta[..., None] - others) / (cj - others), axis=2) @ weights)
    return A
