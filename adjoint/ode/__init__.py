"""Initial value problems M u' = f(t, u, p): adaptive methods, and the exact adjoint of the steps that they take."""

from .control import Control
from .errors import (
    AbsoluteToleranceWarning,
    CoincidentBreaks,
    InconsistentStart,
    NonFiniteField,
    StageFailure,
    StepTooSmall,
    TooManySteps,
)
from .evidence import OdeEvidence
from .field import Field, Integrand
from .integrands import LinearIntegrand, SquaredIntegrand
from .jacobian import Jacobian
from .methods import DOP853, ESDIRK4, ESDIRK5, TRBDF2, BackwardEuler, CrankNicolson, Method, Theta, Tsit5
from .outputs import Outputs
from .problem import OdeProblem
from .radau import Radau5, Radau9
from .tableau import Tableau, continuous, hermite
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
