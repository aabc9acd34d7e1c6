"""Oscillators of two unknowns: van der Pol, Lotka–Volterra, a driven pendulum, a spiral."""

from dataclasses import dataclass, field

import numpy as np

import adjoint
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class VanDerPol:
    """f = (u₂, μ((1 − u₁²)u₂ − u₁)): a relaxation oscillation, stiff for large μ.

    u: (2,); p = (μ,). All quantities are dimensionless.

    Parameters
    ----------
    stiffness : float
        Nominal value of the stiffness μ.

    References
    ----------
    Hairer & Wanner (1996), Solving Ordinary Differential Equations II, section IV.1,
    where μ is 1/ε.
    """

    stiffness: float = field(default=1e5, kw_only=True)

    @property
    def nominal(self) -> Array:
        """(μ,)."""
        return np.array([self.stiffness])

    @property
    def initial(self) -> Array:
        """(2, −2/3 + 10/(81μ) − 292/(2187μ²)), close to the slow solution."""
        mu = self.stiffness
        return np.array([2.0, -2.0 / 3.0 + 10.0 / (81.0 * mu) - 292.0 / (2187.0 * mu**2)])

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (2,)."""
        (u1, u2), (mu,) = u.tolist(), p.tolist()
        return np.array([u2, mu * ((1.0 - u1 * u1) * u2 - u1)])

    def jacobian(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂u, (2, 2)."""
        (u1, u2), (mu,) = u.tolist(), p.tolist()
        return np.array([[0.0, 1.0], [-mu * (2.0 * u1 * u2 + 1.0), mu * (1.0 - u1 * u1)]])

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, (1,)."""
        (u1, u2), (_, l2) = u.conj().tolist(), lam.tolist()
        return np.array([((1.0 - u1 * u1) * u2 - u1) * l2])

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (2,)."""
        (u1, u2), (d,) = u.tolist(), p_dot.tolist()
        return np.array([0.0, ((1.0 - u1 * u1) * u2 - u1) * d])

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """Zero, (2,)."""
        return np.zeros(2)


@dataclass(frozen=True, eq=False)
class LotkaVolterra:
    """f = (p₁u₁ − p₂u₁u₂, −p₃u₂ + p₄u₁u₂): prey and predators.

    u: populations, (2,). p: rates, (4,): growth of the prey, loss of prey to a
    predator, death of the predators, gain of predators from a prey. The orbits are
    closed; p₄u₁ − p₃ ln u₁ + p₂u₂ − p₁ ln u₂ is constant.

    References
    ----------
    Hairer, Lubich & Wanner (2006), Geometric Numerical Integration, section I.1.
    """

    @property
    def nominal(self) -> Array:
        """(1.5, 1, 3, 1)."""
        return np.array([1.5, 1.0, 3.0, 1.0])

    @property
    def initial(self) -> Array:
        """(1, 1)."""
        return np.ones(2)

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (2,)."""
        (u1, u2), (p1, p2, p3, p4) = u.tolist(), p.tolist()
        return np.array([(p1 - p2 * u2) * u1, (p4 * u1 - p3) * u2])

    def jacobian(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂u, (2, 2)."""
        (u1, u2), (p1, p2, p3, p4) = u.tolist(), p.tolist()
        return np.array([[p1 - p2 * u2, -p2 * u1], [p4 * u2, p4 * u1 - p3]])

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, (4,)."""
        (u1, u2), (l1, l2) = u.conj().tolist(), lam.tolist()
        met = u1 * u2
        return np.array([u1 * l1, -met * l1, -u2 * l2, met * l2])

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (2,): f is linear in p."""
        return self(t, u, p_dot)

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """Zero, (2,)."""
        return np.zeros(2)


@dataclass(frozen=True, eq=False)
class Pendulum:
    """f = (ω, −p₁ sin θ − p₂ω + p₃ cos(p₄t)): a damped and driven pendulum.

    u = (θ, ω), rad, rad/s. p = (g/ℓ, 1/s²; damping, 1/s; drive, 1/s²; frequency of the
    drive, rad/s). Without damping and drive, the period from rest at θ₀ is 4K(sin
    ½θ₀)/√p₁, K the complete elliptic integral.

    References
    ----------
    Hairer, Lubich & Wanner (2006), Geometric Numerical Integration, section I.1, for
    p₂ = p₃ = 0.
    """

    @property
    def nominal(self) -> Array:
        """A pendulum of 1 m, lightly damped, driven below its resonance."""
        return np.array([9.81, 0.2, 1.5, 2.0])

    @property
    def initial(self) -> Array:
        """At rest at 1 rad."""
        return np.array([1.0, 0.0])

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (2,)."""
        (_, omega), (p1, p2, p3, p4) = u.tolist(), p.tolist()
        return np.array([omega, -p1 * np.sin(u[0]) - p2 * omega + p3 * np.cos(p4 * t)])

    def jacobian(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂u, (2, 2)."""
        return np.array([[0.0, 1.0], [-p[0] * np.cos(u[0]), -p[1]]])

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, (4,)."""
        (theta, omega), (_, _, p3, p4), torque = u.conj(), p.conj(), lam[1]
        phase = p4 * t
        slopes = np.array([-np.sin(theta), -omega, np.cos(phase), -p3 * t * np.sin(phase)])
        return slopes * torque

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (2,)."""
        (theta, omega), (_, _, p3, p4), (d1, d2, d3, d4) = u, p, p_dot
        phase = p4 * t
        change = -d1 * np.sin(theta) - d2 * omega + d3 * np.cos(phase) - p3 * t * d4 * np.sin(phase)
        return np.array([0.0, change])

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂t, (2,)."""
        _, _, p3, p4 = p
        return np.array([0.0, -p3 * p4 * np.sin(p4 * t)])


@dataclass(frozen=True, eq=False)
class Spiral:
    """f = [[a, −1], [1, d]] u: a linear system, with a matrix exponential as its solution.

    u: (2,); p = (a, d). All quantities are dimensionless.
    """

    @property
    def nominal(self) -> Array:
        """(0.1, −0.1)."""
        return np.array([0.1, -0.1])

    @property
    def initial(self) -> Array:
        """(0.9, 5.4)."""
        return np.array([0.9, 5.4])

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (2,)."""
        (u1, u2), (a, d) = u.tolist(), p.tolist()
        return np.array([a * u1 - u2, u1 + d * u2])

    def jacobian(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂u, (2, 2)."""
        a, d = p.tolist()
        return np.array([[a, -1.0], [1.0, d]])

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, (2,)."""
        return np.asarray(u.conj() * lam)

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (2,)."""
        return np.asarray(u * p_dot)

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """Zero, (2,)."""
        return np.zeros(2)


def lotka_volterra(times: Array) -> adjoint.ODEProblem:
    """Make Lotka–Volterra from (1, 1) at t = 0.

    Parameters
    ----------
    times : (K,) array
        Observation times; the last is the final time.

    Returns
    -------
    ODEProblem
        With two unknowns and four parameters, see `LotkaVolterra`.
    """
    physics = LotkaVolterra()
    span = (0.0, float(times[-1]))
    return adjoint.ODEProblem(
        physics,
        physics.initial,
        t=span,
        observe=times,
        method=adjoint.ode.Tsit5(),
        rtol=1e-8,
        atol=1e-8,
    )


def spiral(times: Array) -> adjoint.ODEProblem:
    """Make the spiral from (0.9, 5.4) at t = 0.3.

    Parameters
    ----------
    times : (K,) array
        Observation times; the last is the final time.

    Returns
    -------
    ODEProblem
        With two unknowns and two parameters, see `Spiral`.
    """
    physics = Spiral()
    span = (0.3, float(times[-1]))
    return adjoint.ODEProblem(
        physics,
        physics.initial,
        t=span,
        observe=times,
        method=adjoint.ode.Tsit5(),
        rtol=1e-8,
        atol=1e-8,
    )
