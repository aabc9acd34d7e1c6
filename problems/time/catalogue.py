"""ODE_CATALOGUE: small initial value problems of every kind, for the laws they must obey.

The catalogue holds dense and sparse, stiff and nonstiff, complex, nonsymmetric and
time-dependent fields; mass matrices that are constant, depend on p, or are singular,
with and without zero rows; u₀(p), integrals, several observation times.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

import adjoint
from adjoint.typing import Array

from .advection_diffusion import advection_diffusion_in_time
from .akzo_nobel import akzo_nobel
from .amplifier import amplifier
from .brusselator import brusselator
from .gray_scott import gray_scott
from .heat import heat_flow, heated_plate
from .kinetics import reaction_chain, robertson
from .oscillators import Pendulum, VanDerPol, lotka_volterra, spiral
from .schrodinger import shaken_trap

Case = tuple[adjoint.ODEProblem, Array]
"""An initial value problem, and parameters at which it is solved."""


def _near(problem: adjoint.ODEProblem, nominal: Array) -> Case:
    """Return the problem, and parameters that differ by up to 5 % from `nominal`."""
    return problem, nominal * np.random.default_rng(nominal.size).uniform(0.95, 1.05, nominal.size)


def _nominal(problem: adjoint.ODEProblem) -> Case:
    return _near(problem, problem.field.nominal)  # type: ignore[attr-defined]


def _van_der_pol() -> Case:
    """Make the van der Pol problem on an interval that contains the first jump."""
    physics = VanDerPol(stiffness=200.0)
    return _nominal(
        adjoint.ODEProblem(
            physics, physics.initial, t=(0.0, 1.0), observe=np.array([0.5, 0.8, 1.0])
        )
    )


def _pendulum() -> Case:
    """Make the pendulum with u₀(p): the initial angle is 1 rad plus half the drive p₃."""
    physics = Pendulum()
    slope = np.zeros((2, 4))
    slope[0, 2] = 0.5
    u0 = adjoint.matrices.AffineVector(physics.initial, slope)
    times = np.linspace(0.5, 3.0, 6)
    return _nominal(
        adjoint.ODEProblem(physics, u0, t=(0.2, 3.0), observe=times, method=adjoint.ode.Tsit5())
    )


def _gray_scott_feeds() -> Case:
    """Make the Gray–Scott model with one feed per cell and fast diffusion."""
    problem = gray_scott(6, 4, periodic=True, tf=40.0)
    p = np.append([5e-3, 2e-3, 0.06], np.full(24, 0.04))
    return _near(replace(problem, integrand=adjoint.ode.SquaredIntegrand()), p)


def _amplifier_fixed() -> Case:
    """Make the amplifier with a constant M and a constant u₀.

    `consistent=True` solves for the algebraic unknowns, so that the start is consistent.
    """
    problem = amplifier(2e-3)
    physics = problem.field
    p = physics.nominal  # type: ignore[attr-defined]
    start, mass = physics.initial(p), physics.mass(p)  # type: ignore[attr-defined]
    return _nominal(replace(problem, u0=start, mass=mass, consistent=True))


ODE_CATALOGUE: dict[str, Callable[[], Case]] = {
    "Robertson, integral": lambda: _nominal(robertson(40.0)),
    "van der Pol, stiff": _van_der_pol,
    "reaction chain, integral of squares": lambda: _nominal(reaction_chain()),
    "Lotka-Volterra, several times": lambda: _nominal(lotka_volterra(np.array([0.7, 2.0, 3.1]))),
    "linear spiral, from 0.3": lambda: _nominal(spiral(np.array([1.0, 7.0]))),
    "driven pendulum, u0(p)": _pendulum,
    "shaken trap, complex": lambda: _nominal(shaken_trap(9, 1.5)),
    "advection-diffusion, integral": lambda: _nominal(advection_diffusion_in_time(5, 4)),
    "Brusselator": lambda: _nominal(brusselator(5, 4, periodic=False, tf=1.0)),
    "Brusselator, periodic": lambda: _nominal(brusselator(7, 6, periodic=True, tf=1.0)),
    "Gray-Scott": lambda: _nominal(gray_scott(4, 6, periodic=False, tf=30.0)),
    "Gray-Scott, a feed a cell, integral": _gray_scott_feeds,
    "heated plate, constant mass": lambda: _nominal(
        heated_plate(4, 3, np.array([0.0, 0.4, 0.7, 1.5]))
    ),
    "heat flow, mass of p": lambda: _nominal(heat_flow(9, 7, 1.0)),
    "Akzo Nobel, row of zeros in the mass, u0(p)": lambda: _nominal(akzo_nobel(10.0)),
    "amplifier, singular mass without rows of zeros, u0(p)": lambda: _nominal(amplifier(2e-3)),
    "amplifier, consistent start solved for": _amplifier_fixed,
}
