"""Second derivatives of f, M(p) and ℓ, contracted with a cotangent and with tangents."""

from typing import NamedTuple

import numpy as np

from ..._optional_methods import (
    checked_field_hvp,
    checked_integrand_hvp,
    checked_matrix_hvp,
)
from ...typing import Array
from ..equations import System


class Contraction(NamedTuple):
    """The rates of products with one fixed w, along j tangents (Ẏ, K̇, ṗ).

    u: rates of (∂f/∂u)ᴴ w, (n, j). p: rates of (∂f/∂p − ∂(M K)/∂p)ᴴ w, (m, j). mass: rates
    of M(p)ᴴ w, (n, j); None for a constant M.
    """

    u: Array
    p: Array
    mass: Array | None


def contraction(
    system: System,
    t: float,
    Y: Array,
    K: Array | None,
    w: Array,
    tangents: tuple[Array, Array | None, Array],
) -> Contraction:
    """The contraction of the stage equation M(p) K = f(t, Y, p) with w.

    Y, K, w: (n,). tangents: (Ẏ (n, j), K̇ (n, j), ṗ (m, j)). With K = None and K̇ = None
    the term M(p) K is left out. See docs/math/second_derivatives.md, eq. 304.
    """
    Y_dot, K_dot, p_dot = tangents
    p, mass, j = system.p, system.mass, Y_dot.shape[1]
    through_u = np.zeros((Y.size, j), dtype=system.dtype)
    through_p = np.zeros((p.size, j), dtype=p.dtype)
    with_mass = mass.matrix_of_p is not None and K is not None and K_dot is not None
    through_mass = np.zeros_like(through_u) if with_mass else None
    if not w.any():  # Stages and initial values without influence on J are common.
        return Contraction(through_u, through_p, through_mass)
    for i in range(j):
        column = np.ascontiguousarray(p_dot[:, i])
        u_part, p_part = checked_field_hvp(
            system.field, t, Y, p, w, np.ascontiguousarray(Y_dot[:, i]), column
        )
        through_u[:, i] = u_part
        if K is not None and K_dot is not None and through_mass is not None:
            assert mass.vjp is not None
            through_mass[:, i], of_mass = checked_matrix_hvp(mass.matrix_of_p, p, K, w, column)
            p_part = p_part - of_mass - mass.vjp(np.ascontiguousarray(K_dot[:, i]), w)
        through_p[:, i] = p_part if p.dtype.kind == "c" else p_part.real
    return Contraction(through_u, through_p, through_mass)


def integrand_rates(
    system: System, t: float, Y: Array, q_bars: Array, tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    """(ū (n, 1 + j), rates of p̄ (m, j)) of q̄ᵀ ℓ(t, Y, p).

    q_bars: q̄ and its j rates, (q, 1 + j). tangents: (Ẏ (n, j), ṗ (m, j)). Column 0 of ū
    is (∂ℓ/∂u)ᴴ q̄; the other columns are its rates.
    """
    Y_dot, p_dot = tangents
    q_bar = np.ascontiguousarray(q_bars[:, 0])
    u_bars = np.empty((Y.size, q_bars.shape[1]), dtype=system.dtype)
    p_rates = np.empty(p_dot.shape, dtype=system.p.dtype)
    u_bars[:, 0] = system.integrand_cotangents(t, Y, q_bar)[0]
    for i in range(p_dot.shape[1]):
        rate = np.ascontiguousarray(q_bars[:, 1 + i])
        through_u, through_p = checked_integrand_hvp(
            system.integrand,
            t,
            Y,
            system.p,
            q_bar,
            np.ascontiguousarray(Y_dot[:, i]),
            np.ascontiguousarray(p_dot[:, i]),
        )
        if rate.any():
            more_u, more_p = system.integrand_cotangents(t, Y, rate)
            through_u, through_p = through_u + more_u, through_p + more_p
        u_bars[:, 1 + i], p_rates[:, i] = through_u, through_p
    return u_bars, p_rates
