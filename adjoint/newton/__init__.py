"""Nonlinear problems R(u, p) = 0, solved by Newton's method.

Inside: `problem` is the public face. `system` is R at one p, with Dirichlet data and bounds;
`iteration` solves it, with damping by `globalization`, tolerances of inner solves by `forcing`,
a start by `starts`, and `convergence` as the test. `history` records ‖R‖, `failures` make the
errors. `inverse` is the Jacobian at the solution, for derivatives.
"""

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
