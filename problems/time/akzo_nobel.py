"""The chemical Akzo Nobel problem: five reactions, a gas inflow, one algebraic equation."""

from dataclasses import dataclass

import numpy as np

import adjoint
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class AkzoNobel:
    """M u' = f with M = diag(1, 1, 1, 1, 1, 0), index 1: the last equation is K_s y₁y₄ = y₆.

    r₁ = k₁y₁⁴√y₂, r₂ = k₂y₃y₄, r₃ = (k₂/K) y₁y₅, r₄ = k₃y₁y₄², r₅ = k₄y₆²√y₂,
    F = k_lA (p_CO2/H − y₂);
    f = (−2r₁ + r₂ − r₃ − r₄, F − ½r₁ − r₄ − ½r₅, r₁ − r₂ + r₃, −r₂ + r₃ − 2r₄,
    r₂ − r₃ + r₅, K_s y₁y₄ − y₆).

    u = y: concentrations, mol/L, (6,); y₂ is CO₂. Time is in minutes. p = (k₁, k₂, k₃,
    k₄, K, k_lA, K_s, p_CO2, H), (9,): rate constants, equilibrium constant, transfer
    coefficient of the gas, equilibrium constant, pressure of the gas (bar), Henry's
    constant. If y₂ < 0, f is nan.

    References
    ----------
    Lioen & de Swart (1999), Test Set for Initial Value Problem Solvers, CWI, chemical
    Akzo Nobel problem.
    """

    @property
    def nominal(self) -> Array:
        """The constants p of the test set, (9,)."""
        return np.array([18.7, 0.58, 0.09, 0.42, 34.4, 3.3, 115.83, 0.9, 737.0])

    @property
    def initial(self) -> adjoint.matrices.AffineVector:
        """u₀(p) = (0.444, 0.00123, 0, 0.007, 0, K_s y₁y₄), mol/L: consistent for every p."""
        base = np.array([0.444, 0.00123, 0.0, 0.007, 0.0, 0.0])
        slope = np.zeros((6, 9))
        slope[5, 6] = base[0] * base[3]
        return adjoint.matrices.AffineVector(base, slope)

    @property
    def mass(self) -> Array:
        """M, (6, 6); its last row is zero."""
        return np.diag([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (6,)."""
        (y1, y2, y3, y4, y5, y6), (k1, k2, k3, k4, K, transfer, Ks, pressure, H) = (
            u.tolist(),
            p.tolist(),
        )
        root = _root(u)
        r1, r2, r3 = k1 * y1 * y1 * y1 * y1 * root, k2 * y3 * y4, k2 / K * y1 * y5
        r4, r5 = k3 * y1 * y4 * y4, k4 * y6 * y6 * root
        inflow, net = transfer * (pressure / H - y2), r2 - r3
        return np.array(
            [
                net - 2.0 * r1 - r4,
                inflow - 0.5 * r1 - r4 - 0.5 * r5,
                r1 - net,
                -net - 2.0 * r4,
                net + r5,
                Ks * y1 * y4 - y6,
            ]
        )

    def jacobian(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂u, (6, 6)."""
        (y1, _, y3, y4, y5, y6), (k1, k2, k3, k4, K, transfer, Ks, _, _) = u.tolist(), p.tolist()
        root, slope = _root(u), _slope(u)  # rⱼ by yᵢ below is rj_i.
        cube = k1 * y1 * y1 * y1
        r1_1, r1_2 = 4.0 * cube * root, cube * y1 * slope
        r2_3, r2_4, r3_1, r3_5 = k2 * y4, k2 * y3, k2 / K * y5, k2 / K * y1
        r4_1, r4_4 = k3 * y4 * y4, 2.0 * k3 * y1 * y4
        r5_2, r5_6 = k4 * y6 * y6 * slope, 2.0 * k4 * y6 * root
        return np.array(
            [
                [-2.0 * r1_1 - r3_1 - r4_1, -2.0 * r1_2, r2_3, r2_4 - r4_4, -r3_5, 0.0],
                [-0.5 * r1_1 - r4_1, -0.5 * (r1_2 + r5_2) - transfer, 0.0, -r4_4, 0.0, -0.5 * r5_6],
                [r1_1 + r3_1, r1_2, -r2_3, -r2_4, r3_5, 0.0],
                [r3_1 - 2.0 * r4_1, 0.0, -r2_3, -r2_4 - 2.0 * r4_4, r3_5, 0.0],
                [-r3_1, r5_2, r2_3, r2_4, -r3_5, r5_6],
                [Ks * y4, 0.0, 0.0, Ks * y1, 0.0, -1.0],
            ]
        )

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, (9,)."""
        u, p = u.conj(), p.conj()
        (y1, y2, y3, y4, y5, y6), (_, k2, _, _, K, transfer, _, pressure, H) = (
            u.tolist(),
            p.tolist(),
        )
        l1, l2, l3, l4, l5, l6 = lam.tolist()
        net, root, product = l1 - l3 - l4 + l5, _root(u), y1 * y5 / K
        return np.array(
            [
                (l3 - 2.0 * l1 - 0.5 * l2) * y1 * y1 * y1 * y1 * root,
                net * (y3 * y4 - product),
                -(l1 + l2 + 2.0 * l4) * y1 * y4 * y4,
                (l5 - 0.5 * l2) * y6 * y6 * root,
                net * k2 * product / K,
                l2 * (pressure / H - y2),
                l6 * y1 * y4,
                l2 * transfer / H,
                -l2 * transfer * pressure / (H * H),
            ]
        )

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (6,)."""
        (y1, y2, y3, y4, y5, y6), (_, k2, _, _, K, transfer, _, pressure, H) = (
            u.tolist(),
            p.tolist(),
        )
        d1, d2, d3, d4, d_K, d_transfer, d_Ks, d_pressure, d_H = p_dot.tolist()
        root = _root(u)
        r1, net = d1 * y1 * y1 * y1 * y1 * root, d2 * y3 * y4 - (d2 - k2 * d_K / K) * y1 * y5 / K
        r4, r5 = d3 * y1 * y4 * y4, d4 * y6 * y6 * root
        inflow = d_transfer * (pressure / H - y2) + transfer * (d_pressure - pressure * d_H / H) / H
        return np.array(
            [
                net - 2.0 * r1 - r4,
                inflow - 0.5 * (r1 + r5) - r4,
                r1 - net,
                -net - 2.0 * r4,
                net + r5,
                d_Ks * y1 * y4,
            ]
        )

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """Zero, (6,)."""
        return np.zeros(6)


def _root(u: Array) -> complex:
    """√y₂, or nan if y₂ < 0."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(u[1]).item()


def _slope(u: Array) -> complex:
    """½ / √y₂: inf if y₂ = 0, nan if y₂ < 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (0.5 / np.sqrt(u[1])).item()


def akzo_nobel(tf: float) -> adjoint.ODEProblem:
    """Make the Akzo Nobel problem.

    Parameters
    ----------
    tf : float
        Final time, minutes; 180 in the test set.

    Returns
    -------
    ODEProblem
        With six unknowns and nine parameters, see `AkzoNobel`.
    """
    physics = AkzoNobel()
    return adjoint.ODEProblem(
        physics, physics.initial, t=(0.0, tf), mass=physics.mass, rtol=1e-6, atol=1e-9
    )
