"""Newton's method, and nonlinear problems with exact derivatives."""

from ..errors import NewtonDiverged, NewtonStalled, NonFiniteResidual, SingularJacobian, WrongJacobian
from .bounds import Bounds
from .convergence import Outcome
from .globalization import AffineInvariant, FullSteps, Globalization, LineSearch, Step
from .iteration import EisenstatWalker, Newton
from .problem import NonlinearProblem, Start
from .starts import Homotopy, PseudoTransient
from .system import System

__all__ = [
    "AffineInvariant",
    "Bounds",
    "EisenstatWalker",
    "FullSteps",
    "Globalization",
    "Homotopy",
    "LineSearch",
    "Newton",
    "NewtonDiverged",
    "NewtonStalled",
    "NonFiniteResidual",
    "NonlinearProblem",
    "Outcome",
    "PseudoTransient",
    "SingularJacobian",
    "Start",
    "Step",
    "System",
    "WrongJacobian",
]
