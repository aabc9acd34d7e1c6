"""A transistor amplifier of two stages: a DAE of index 1.

Its mass matrix is singular, without a zero row.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.typing import Array

CAPACITORS = ((0, 1), (2, -1), (3, 4), (5, -1), (6, 7))
"""The two nodes of each capacitor; −1 is the ground."""

ROWS = np.array([0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 6, 6, 7])
COLUMNS = np.array([0, 1, 2, 1, 2, 1, 2, 3, 4, 5, 4, 5, 4, 5, 6, 7])
"""Rows and columns of the nonzero entries of ∂f/∂u."""


@dataclass(frozen=True, eq=False)
class Amplifier:
    """M(C) u' = f(t, u, R): Kirchhoff's current law at eight nodes, M of rank 5.

    f = (−U_e/R₀ + u₁/R₀, −U_b/R₂ + u₂(1/R₁ + 1/R₂) + (1−α)g₁, −g₁ + u₃/R₃, (u₄ − U_b)/R₄
    + αg₁, −U_b/R₆ + u₅(1/R₅ + 1/R₆) + (1−α)g₂, −g₂ + u₆/R₇, (u₇ − U_b)/R₈ + αg₂, u₈/R₉),
    with g₁ = β(exp((u₂−u₃)/U_F) − 1), g₂ = β(exp((u₅−u₆)/U_F) − 1) and U_e(t) = amplitude
    · sin(2π frequency t).

    u: voltages of the nodes, V, (8,). t: s. p = (R₀, …, R₉, C₁, …, C₅), Ω and F, (15,).
    f: A. The capacitors between the nodes 1 and 2, 4 and 5, 7 and 8 add [−C, C; C, −C]
    to M, the capacitors between a node and the ground add −C. If an exponential
    overflows, f is infinite.

    Parameters
    ----------
    supply : float
        Supply voltage U_b, V.
    thermal : float
        Thermal voltage U_F, V.
    gain : float
        Current gain α.
    saturation : float
        Saturation current β, A.
    amplitude : float
        Amplitude of the signal, V.
    frequency : float
        Frequency of the signal, Hz.

    References
    ----------
    Hairer & Wanner (1996), Solving Ordinary Differential Equations II, chapter VI;
    Lioen & de Swart (1999), Test Set for Initial Value Problem Solvers, CWI, transistor
    amplifier.
    """

    supply: float = field(default=6.0, kw_only=True)
    thermal: float = field(default=0.026, kw_only=True)
    gain: float = field(default=0.99, kw_only=True)
    saturation: float = field(default=1e-6, kw_only=True)
    amplitude: float = field(default=0.1, kw_only=True)
    frequency: float = field(default=100.0, kw_only=True)

    @property
    def nominal(self) -> Array:
        """R₀ = 1 kΩ, R₁ … R₉ = 9 kΩ, C_k = k µF, (15,)."""
        return np.concatenate([[1e3], np.full(9, 9e3), np.arange(1.0, 6.0) * 1e-6])

    @property
    def initial(self) -> "Rest":
        """The initial value u₀(p); see `Rest`."""
        return Rest(self.supply)

    @cached_property
    def mass(self) -> adjoint.Part:
        """M(C), (8, 8), F."""
        terms = []
        for nodes in CAPACITORS:
            charge = np.zeros(8)
            charge[[node for node in nodes if node >= 0]] = (1.0, -1.0)[: 2 - nodes.count(-1)]
            terms.append(sparse.csc_array(-np.outer(charge, charge)))
        return adjoint.Part(adjoint.Affine(None, terms), slice(10, None))

    def _growth(self, u: list[complex]) -> tuple[complex, complex]:
        """g₁ + β and g₂ + β, A; u: (8,)."""
        _, u2, u3, _, u5, u6, _, _ = u
        with np.errstate(over="ignore", invalid="ignore"):
            first, second = np.exp(np.array([u2 - u3, u5 - u6]) / self.thermal).tolist()
        return self.saturation * first, self.saturation * second

    def _signal(self, t: float) -> float:
        """U_e, V."""
        return self.amplitude * np.sin(2.0 * np.pi * self.frequency * t)

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (8,)."""
        u1, u2, u3, u4, u5, u6, u7, u8 = values = u.tolist()
        R0, R1, R2, R3, R4, R5, R6, R7, R8, R9 = p[:10].tolist()
        g1, g2 = (growth - self.saturation for growth in self._growth(values))
        alpha, supply = self.gain, self.supply
        return np.array(
            [
                (u1 - self._signal(t)) / R0,
                (u2 - supply) / R2 + u2 / R1 + (1.0 - alpha) * g1,
                u3 / R3 - g1,
                (u4 - supply) / R4 + alpha * g1,
                (u5 - supply) / R6 + u5 / R5 + (1.0 - alpha) * g2,
                u6 / R7 - g2,
                (u7 - supply) / R8 + alpha * g2,
                u8 / R9,
            ]
        )

    def jacobian(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂u, (8, 8), S."""
        G0, G1, G2, G3, G4, G5, G6, G7, G8, G9 = (1.0 / p[:10]).tolist()
        s1, s2 = (growth / self.thermal for growth in self._growth(u.tolist()))
        alpha, rest1, rest2 = self.gain, (1.0 - self.gain) * s1, (1.0 - self.gain) * s2
        J = np.zeros((8, 8), dtype=np.result_type(u, p))
        J[ROWS, COLUMNS] = [
            G0,
            G1 + G2 + rest1,
            -rest1,
            -s1,
            G3 + s1,
            alpha * s1,
            -alpha * s1,
            G4,
            G5 + G6 + rest2,
            -rest2,
            -s2,
            G7 + s2,
            alpha * s2,
            -alpha * s2,
            G8,
            G9,
        ]
        return J

    def _drops(self, t: float, u: Array) -> tuple[Array, Array]:
        """Return the equation in which each resistor occurs, and the voltage of each resistor.

        Equations are numbers of nodes, (10,); voltages are in V, (10,).
        """
        u1, u2, u3, u4, u5, u6, u7, u8 = u
        b = self.supply
        drops = [u1 - self._signal(t), u2, u2 - b, u3, u4 - b, u5, u5 - b, u6, u7 - b, u8]
        return np.array([0, 1, 1, 2, 3, 4, 4, 5, 6, 7]), np.array(drops)

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, (15,): zero for the capacitances."""
        nodes, drops = self._drops(t, u)
        g = np.zeros(15, dtype=np.result_type(u, p, lam))
        g[:10] = -(drops / p[:10] ** 2).conj() * lam[nodes]
        return g

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (8,)."""
        nodes, drops = self._drops(t, u)
        r = np.zeros(8, dtype=np.result_type(u, p, p_dot))
        np.add.at(r, nodes, -drops / p[:10] ** 2 * p_dot[:10])
        return r

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂t, (8,)."""
        omega = 2.0 * np.pi * self.frequency
        r = np.zeros(8, dtype=np.result_type(u, p))
        r[0] = -self.amplitude * omega * np.cos(omega * t) / p[0]
        return r


@dataclass(frozen=True, eq=False)
class Rest:
    """u₀(p) = U_b (0, s₁, s₁, 1, s₂, s₂, 1, 0), s₁ = R₁/(R₁ + R₂), s₂ = R₅/(R₅ + R₆).

    This state without signal is consistent. supply: U_b, V. p: as for `Amplifier`,
    (15,).
    """

    supply: float

    def __call__(self, p: Array) -> Array:
        """u0, (8,), V."""
        s1, s2 = p[1] / (p[1] + p[2]), p[5] / (p[5] + p[6])
        return self.supply * np.array([0.0, s1, s1, 1.0, s2, s2, 1.0, 0.0])

    def _slopes(self, p: Array) -> Array:
        """Return ∂u₂/∂(R₁, R₂) and ∂u₅/∂(R₅, R₆) at rest, V/Ω, (4,); u₃ = u₂, u₆ = u₅."""
        R1, R2, R5, R6 = p[[1, 2, 5, 6]]
        first, second = self.supply / (R1 + R2) ** 2, self.supply / (R5 + R6) ** 2
        return np.array([R2 * first, -R1 * first, R6 * second, -R5 * second])

    def vjp(self, p: Array, lam: Array) -> Array:
        """(∂u0/∂p)ᴴ λ, (15,)."""
        g = np.zeros(15, dtype=np.result_type(p, lam))
        g[[1, 2, 5, 6]] = self._slopes(p).conj() * np.repeat([lam[1] + lam[2], lam[4] + lam[5]], 2)
        return g

    def jvp(self, p: Array, p_dot: Array) -> Array:
        """(∂u0/∂p) ṗ, (8,)."""
        a, b, c, d = self._slopes(p) * p_dot[[1, 2, 5, 6]]
        return np.array([0.0, a + b, a + b, 0.0, c + d, c + d, 0.0, 0.0])

    def hvp(self, p: Array, lam: Array, p_dot: Array) -> Array:
        """The derivative of `vjp` along ṗ, (15,), for real p."""
        g = np.zeros(15, dtype=np.result_type(p, lam))
        for i, bar in ((1, lam[1] + lam[2]), (5, lam[4] + lam[5])):
            (R, S), (R_dot, S_dot) = p[i : i + 2], p_dot[i : i + 2]
            scale, shrunk = self.supply / (R + S) ** 2, 2.0 * (R_dot + S_dot) / (R + S)
            g[i : i + 2] = bar * scale * np.array([S_dot - S * shrunk, R * shrunk - R_dot])
        return g


def amplifier(tf: float) -> adjoint.ODEProblem:
    """Make the amplifier, from rest.

    Parameters
    ----------
    tf : float
        Final time, s; 0.2 in the test set, which is twenty periods of the signal.

    Returns
    -------
    ODEProblem
        With eight unknowns and fifteen parameters, see `Amplifier`.
    """
    physics = Amplifier()
    return adjoint.ODEProblem(
        physics, physics.initial, t=(0.0, tf), mass=physics.mass, rtol=1e-6, atol=1e-9
    )
