"""Chemical kinetics: Robertson's reaction, and a chain of three species."""

from dataclasses import dataclass

import numpy as np

import adjoint
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class Robertson:
    """f = (−p₁y₁ + p₂y₂y₃, p₁y₁ − p₂y₂y₃ − p₃y₂², p₃y₂²): autocatalytic, with rates 10⁹ apart.

    u = y: concentrations, mol/L, (3,). p: rate constants, 1/s, L/(mol s), L/(mol s),
    (3,).

    References
    ----------
    Robertson (1966), The solution of a set of reaction rate equations; Hairer & Wanner
    (1996), Solving Ordinary Differential Equations II, section IV.1.
    """

    @property
    def nominal(self) -> Array:
        """(0.04, 10⁴, 3·10⁷)."""
        return np.array([0.04, 1e4, 3e7])

    @property
    def initial(self) -> Array:
        """(1, 0, 0) mol/L: only the first species."""
        return np.array([1.0, 0.0, 0.0])

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (3,)."""
        (y1, y2, y3), (p1, p2, p3) = u.tolist(), p.tolist()
        gained, third = p1 * y1 - p2 * y2 * y3, p3 * y2 * y2
        return np.array([-gained, gained - third, third])

    def jacobian(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂u, (3, 3)."""
        (_, y2, y3), (p1, p2, p3) = u.tolist(), p.tolist()
        back, against, third = p2 * y3, p2 * y2, 2.0 * p3 * y2
        return np.array([[-p1, back, against], [p1, -back - third, -against], [0.0, third, 0.0]])

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, (3,)."""
        (y1, y2, y3), (l1, l2, l3) = u.conj().tolist(), lam.tolist()
        return np.array([(l2 - l1) * y1, (l1 - l2) * y2 * y3, (l3 - l2) * y2 * y2])

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (3,): f is linear in p."""
        return self(t, u, p_dot)

    def hvp(
        self, t: float, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of ((∂f/∂u)ᵀ λ, (∂f/∂p)ᵀ λ) along (u̇, ṗ), (3,) and (3,), real."""
        (_, y2, y3), (_, p2, p3), (l1, l2, l3) = u.tolist(), p.tolist(), lam.tolist()
        (a1, a2, a3), (d1, d2, d3) = u_dot.tolist(), p_dot.tolist()
        m1, m2, m3 = l2 - l1, l1 - l2, 2.0 * (l3 - l2)
        return (
            np.array(
                [
                    m1 * d1,
                    m2 * (d2 * y3 + p2 * a3) + m3 * (d3 * y2 + p3 * a2),
                    m2 * (d2 * y2 + p2 * a2),
                ]
            ),
            np.array([m1 * a1, m2 * (a2 * y3 + y2 * a3), m3 * y2 * a2]),
        )

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """Zero, (3,)."""
        return np.zeros(3)


@dataclass(frozen=True, eq=False)
class ReactionChain:
    """f = (−p₁y₁² − y₃, −y₂, −p₂²y₂y₃): small, and nonlinear in u and p.

    u = y, (3,); p: (2,). All quantities are dimensionless.

    References
    ----------
    Serban & Hindmarsh (2005), CVODES, Proceedings of IDETC/CIE: CVODES' example
    cvsHessian_ASA_FSA computes a gradient and a Hessian.
    """

    @property
    def nominal(self) -> Array:
        """(1, 2)."""
        return np.array([1.0, 2.0])

    @property
    def initial(self) -> Array:
        """(1, 1, 1)."""
        return np.ones(3)

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (3,)."""
        (y1, y2, y3), (p1, p2) = u.tolist(), p.tolist()
        return np.array([-p1 * y1 * y1 - y3, -y2, -p2 * p2 * y2 * y3])

    def jacobian(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂u, (3, 3)."""
        (y1, y2, y3), (p1, p2) = u.tolist(), p.tolist()
        rate = -p2 * p2
        return np.array(
            [[-2.0 * p1 * y1, 0.0, -1.0], [0.0, -1.0, 0.0], [0.0, rate * y3, rate * y2]]
        )

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, (2,)."""
        (y1, y2, y3), (_, p2), (l1, _, l3) = u.conj().tolist(), p.conj().tolist(), lam.tolist()
        return np.array([-y1 * y1 * l1, -2.0 * p2 * y2 * y3 * l3])

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (3,)."""
        (y1, y2, y3), (_, p2), (d1, d2) = u.tolist(), p.tolist(), p_dot.tolist()
        return np.array([-d1 * y1 * y1, 0.0, -2.0 * p2 * d2 * y2 * y3])

    def hvp(
        self, t: float, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of ((∂f/∂u)ᵀ λ, (∂f/∂p)ᵀ λ) along (u̇, ṗ), (3,) and (2,), real."""
        (y1, y2, y3), (p1, p2), (l1, _, l3) = u.tolist(), p.tolist(), lam.tolist()
        (a1, a2, a3), (d1, d2) = u_dot.tolist(), p_dot.tolist()
        q = -p2 * l3
        return (
            np.array(
                [
                    -2.0 * l1 * (d1 * y1 + p1 * a1),
                    q * (2.0 * d2 * y3 + p2 * a3),
                    q * (2.0 * d2 * y2 + p2 * a2),
                ]
            ),
            np.array([-2.0 * l1 * y1 * a1, -2.0 * l3 * (d2 * y2 * y3 + p2 * (a2 * y3 + y2 * a3))]),
        )

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """Zero, (3,)."""
        return np.zeros(3)


def robertson(tf: float) -> adjoint.ODEProblem:
    """Make Robertson's reaction with the integral of y₃.

    Parameters
    ----------
    tf : float
        Final time, s; at 4·10⁷ the state is close to the steady state.

    Returns
    -------
    ODEProblem
        With three unknowns and three parameters, see `Robertson`.
    """
    physics = Robertson()
    third = adjoint.ode.LinearIntegrand(np.array([0.0, 0.0, 1.0]))
    atol = np.array([1e-12, 1e-16, 1e-12])  # y₂ is 10⁻⁵ at most, and 10⁻¹³ in the end.
    return adjoint.ODEProblem(
        physics, physics.initial, t=(0.0, tf), rtol=1e-8, atol=atol, integrand=third
    )


def reaction_chain() -> adjoint.ODEProblem:
    """Make the reaction chain on (0, 2) with the integral of ½|y|².

    Returns
    -------
    ODEProblem
        With three unknowns and two parameters, see `ReactionChain`.
    """
    physics = ReactionChain()
    return adjoint.ODEProblem(
        physics, physics.initial, t=(0.0, 2.0), integrand=adjoint.ode.SquaredIntegrand()
    )
