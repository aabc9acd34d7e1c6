"""Initial value problems M u' = f(t, u, p): adaptive methods, and the exact adjoint of the steps that they take."""

from ..errors import (
    AbsoluteToleranceWarning,
    CoincidentBreaks,
    InconsistentStart,
    NonFiniteField,
    StageFailure,
    StepTooSmall,
    TooManySteps,
)
from ..protocols import Field, Integrand
from .evidence import Jacobian, OdeEvidence
from .integrands import LinearIntegrand, SquaredIntegrand
from .methods.method import DOP853, ESDIRK4, ESDIRK5, TRBDF2, BackwardEuler, CrankNicolson, Method, Theta, Tsit5
from .methods.radau import Radau5, Radau9
from .methods.tableau import Tableau, continuous, hermite
from .outputs import Outputs
from .problem import OdeProblem
from .step_control.controller import Control
from .trajectory import Sensitivities, Trajectory

__all__ = [
    "DOP853",
    "ESDIRK4",
    "ESDIRK5",
    "TRBDF2",
    "AbsoluteToleranceWarning",
    "BackwardEuler",
    "CoincidentBreaks",
    "Control",
    "CrankNicolson",
    "Field",
    "InconsistentStart",
    "Integrand",
    "Jacobian",
    "LinearIntegrand",
    "Method",
    "NonFiniteField",
    "OdeEvidence",
    "OdeProblem",
    "Outputs",
    "Radau5",
    "Radau9",
    "Sensitivities",
    "SquaredIntegrand",
    "StageFailure",
    "StepTooSmall",
    "Tableau",
    "Theta",
    "TooManySteps",
    "Trajectory",
    "Tsit5",
    "continuous",
    "hermite",
]
