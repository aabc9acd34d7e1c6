"""Initial value problems M(p) u' = f(t, u, p), also differential-algebraic ones, and the exact derivatives of the steps computed."""

from .evidence import Jacobian, ODEEvidence
from .integrands import LinearIntegrand, SquaredIntegrand
from .methods.method import (
    DOP853,
    ESDIRK4,
    ESDIRK5,
    TRBDF2,
    BackwardEuler,
    CrankNicolson,
    Method,
    Theta,
    Tsit5,
)
from .methods.radau import Radau5, Radau9
from .methods.tableau import Tableau, continuous, hermite
from .outputs import Outputs
from .problem import ODEProblem
from .step_control.controller import StepControl
from .trajectory import Sensitivities, Trajectory

__all__ = [
    # The problem
    "ODEProblem",
    "StepControl",
    "Outputs",
    "LinearIntegrand",
    "SquaredIntegrand",
    # Methods
    "Tsit5",
    "DOP853",
    "TRBDF2",
    "ESDIRK4",
    "ESDIRK5",
    "Radau5",
    "Radau9",
    "BackwardEuler",
    "CrankNicolson",
    "Theta",
    # The solution
    "Trajectory",
    "Sensitivities",
    "Jacobian",
    "ODEEvidence",
    # A method of your own
    "Method",
    "Tableau",
    "continuous",
    "hermite",
]
