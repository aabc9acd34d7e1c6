"""Nonlinear problems R(u, p) = 0, solved by Newton's method.

The modules: `problem` defines the problem that a user solves. `system` holds R at one
p, with Dirichlet data and bounds; `iteration` solves R = 0. `globalization` damps the
steps, `forcing` sets the tolerances of inner solves, `starts` computes a better start,
and `convergence` decides when the iteration ends. `history` records ‖R‖, and `failures`
makes the errors. `inverse` is the inverse of the Jacobian at the solution, for
derivatives.
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
