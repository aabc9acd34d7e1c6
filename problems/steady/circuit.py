"""Direct-current circuits with diodes, where undamped Newton steps overflow."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.matrices.assembly import Assembly
from adjoint.typing import Array


def diode(voltage: Array, saturation: Array, thermal: Array | float) -> tuple[Array, Array]:
    """Shockley's current I = I_s (exp(V/V_t) − 1), A, and exp(V/V_t).

    voltage: V, volts; saturation: I_s, A; thermal: V_t, volts. Overflow gives inf
    without a warning.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        growth = np.exp(voltage / thermal)
        return saturation * (growth - 1.0), growth


@dataclass(frozen=True, eq=False)
class DiodeCircuit:
    """R = (I − (V₁−V_g)/R₁ − (V₁−V₂)/R₂, (V₁−V₂)/R₂ − I_s (exp((V₂−V_g)/V_t) − 1)), A.

    A current I flows into node 1. R₁ joins node 1 to the ground at V_g, R₂ joins node 1
    to node 2, and a diode joins node 2 to the ground. u = (V₁, V₂), volts; p = (I, V_g,
    R₁, R₂, I_s, V_t), A, V, Ω, Ω, A, V.
    """

    @property
    def nominal(self) -> Array:
        """I = 0.1 A, V_g = 0, R₁ = 100 Ω, R₂ = 10 kΩ, I_s = 1 fA, V_t = 25.875 mV."""
        return np.array([0.1, 0.0, 100.0, 1e4, 1e-15, 0.025875])

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), (2,)."""
        (V1, V2), (source, ground, R1, R2, saturation, thermal) = u, p
        through = (V1 - V2) / R2
        current, _ = diode(V2 - ground, saturation, thermal)
        return np.array([source - (V1 - ground) / R1 - through, through - current])

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (2, 2), S."""
        _, ground, R1, R2, saturation, thermal = p
        _, growth = diode(u[1] - ground, saturation, thermal)
        conductance = saturation / thermal * growth
        return sparse.csc_array(
            np.array([[-1 / R1 - 1 / R2, 1 / R2], [1 / R2, -1 / R2 - conductance]])
        )

    def _sensitivity(self, u: Array, p: Array) -> Array:
        """∂R/∂p, (2, 6)."""
        (V1, V2), (_, ground, R1, R2, saturation, thermal) = u, p
        _, growth = diode(V2 - ground, saturation, thermal)
        conductance = saturation / thermal * growth
        drop = (V1 - V2) / R2**2
        return np.array(
            [
                [1.0, 1 / R1, (V1 - ground) / R1**2, drop, 0.0, 0.0],
                [0.0, conductance, 0.0, -drop, 1.0 - growth, conductance * (V2 - ground) / thermal],
            ]
        )

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᴴ λ, (6,)."""
        return self._sensitivity(u, p).conj().T @ lam

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (2,)."""
        return self._sensitivity(u, p) @ p_dot


@dataclass(frozen=True, eq=False)
class DiodeLadder:
    """R_i is the sum of the currents that leave node i, A, for N nodes in a row.

    A current flows into node 1. A resistor joins each node to the next node, and the
    last node to the ground. A diode joins each node to the ground. Each node draws a
    current g V_i from its next node, so that the Jacobian is tridiagonal and not
    symmetric. u = (V_1, …, V_N), volts. The parameters are factors of the current, of
    every resistance and of every saturation current, (1 + 2N,).

    Parameters
    ----------
    stages : int
        Number of nodes, N.
    current : float
        Current into node 1, A.
    resistance : float
        Resistance of each resistor, Ω.
    saturation : float
        Saturation current of each diode, A.
    thermal : float
        Thermal voltage of each diode, V.
    transconductance : float
        Transconductance g, S.

    Raises
    ------
    ValueError
        If stages < 1.
    """

    stages: int
    current: float = field(default=0.1, kw_only=True)
    resistance: float = field(default=100.0, kw_only=True)
    saturation: float = field(default=1e-15, kw_only=True)
    thermal: float = field(default=0.025875, kw_only=True)
    transconductance: float = field(default=1e-5, kw_only=True)

    def __post_init__(self) -> None:
        if self.stages < 1:
            raise ValueError(f"DiodeLadder: got {self.stages} stages, expected at least one")

    @property
    def nominal(self) -> Array:
        """All factors equal to one, (1 + 2N,)."""
        return np.ones(1 + 2 * self.stages)

    @cached_property
    def assembly(self) -> Assembly:
        """The assembly of stages as elements of a node and the next node; −1 is the ground."""
        first = np.arange(self.stages)
        return Assembly(np.stack([first, np.append(first[1:], -1)], axis=1))

    def _parts(self, u: Array, p: Array) -> tuple[Array, Array, Array, Array]:
        """Return voltages, (N, 2), and currents and conductances, (N,) each.

        The arrays are the voltages at the two ends of each resistor, the currents through the
        resistors, the currents through the diodes, and the conductances of the diodes.
        """
        voltage = self.assembly.gather(u)
        resistances, saturations = (
            self.resistance * p[1 : self.stages + 1],
            self.saturation * p[self.stages + 1 :],
        )
        current, growth = diode(u, saturations, self.thermal)
        return (
            voltage,
            (voltage[:, 0] - voltage[:, 1]) / resistances,
            current,
            saturations / self.thermal * growth,
        )

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), (N,)."""
        voltage, through, current, _ = self._parts(u, p)
        drawn = self.transconductance * voltage[:, 0]
        r = self.assembly.vector(np.stack([through + current, drawn - through], axis=1))
        r[0] -= self.current * p[0]
        return r

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (N, N), S."""
        conductance = 1.0 / (self.resistance * p[1 : self.stages + 1])
        _, _, _, slope = self._parts(u, p)
        first = np.stack([conductance + slope, -conductance], axis=1)
        second = np.stack([self.transconductance - conductance, conductance], axis=1)
        return self.assembly.matrix(np.stack([first, second], axis=1))

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᴴ λ, (1 + 2N,)."""
        _, through, current, _ = self._parts(u, p)
        weight = self.assembly.gather(lam)
        resistances = (weight[:, 1] - weight[:, 0]) * through / p[1 : self.stages + 1]
        saturations = lam * current / p[self.stages + 1 :]
        return np.concatenate([-self.current * lam[:1], resistances, saturations])

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (N,)."""
        _, through, current, _ = self._parts(u, p)
        rates = p_dot[1:] / p[1:]
        change = through * rates[: self.stages]
        r = self.assembly.vector(
            np.stack([current * rates[self.stages :] - change, change], axis=1)
        )
        r[0] -= self.current * p_dot[0]
        return r


def diode_circuit() -> adjoint.NonlinearProblem:
    """Make the diode circuit, from V = (10, 10⁻³) V, where undamped Newton steps overflow.

    Returns
    -------
    NonlinearProblem
        With two unknowns and six parameters, see `DiodeCircuit`.
    """
    return adjoint.NonlinearProblem(DiodeCircuit(), np.array([10.0, 1e-3]))


def diode_ladder(stages: int) -> adjoint.NonlinearProblem:
    """Make the diode ladder, from 0.5 V at all nodes.

    Parameters
    ----------
    stages : int
        Number of nodes, N.

    Returns
    -------
    NonlinearProblem
        With N unknowns and 1 + 2N parameters, see `DiodeLadder`.
    """
    return adjoint.NonlinearProblem(DiodeLadder(stages), np.full(stages, 0.5))
