"""Nonlinear problems R(u, p) = 0, solved by Newton's method."""

from .convergence import Outcome
from .forcing import EisenstatWalker
from .globalization import AffineInvariant, FullSteps, Globalization, LineSearch, Step
from .iteration import Newton
from .problem import NonlinearProblem, Start
from .starts import Homotopy, PseudoTransient
from .system import System

__all__ = [
    # The problem
    "NonlinearProblem",
    "System",
    # The iteration
    "Newton",
    "EisenstatWalker",
    "Outcome",
    # Globalizations
    "Globalization",
    "LineSearch",
    "AffineInvariant",
    "FullSteps",
    "Step",
    # Starts
    "Start",
    "Homotopy",
    "PseudoTransient",
]
