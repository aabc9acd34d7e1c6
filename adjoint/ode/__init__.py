"""Initial value problems M(p) u' = f(t, u, p), also differential-algebraic ones, and the exact derivatives of the steps computed."""

from .evidence import ODEEvidence
from .integrands import LinearIntegrand, SquaredIntegrand
from .methods.esdirk import ESDIRK4, ESDIRK5, TRBDF2
from .methods.explicit import DOP853, Tsit5
from .methods.interpolants import continuous, hermite
from .methods.method import Method
from .methods.radau import Radau5, Radau9
from .methods.tableau import Tableau
from .methods.theta import BackwardEuler, CrankNicolson, Theta
from .outputs import Outputs
from .problem import ODEProblem
from .sensitivities import Sensitivities
from .step_control.controller import StepControl
from .trajectory import Trajectory

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
    "ODEEvidence",
    # A method of your own
    "Method",
    "Tableau",
    "continuous",
    "hermite",
]
