"""Steady problems R(u, p) = 0: linear problems A(p) u = b(p), Dirichlet data, solutions.

Nonlinear problems are in `adjoint.newton`; their solutions are `SteadySolution` objects
as well.
"""

from .dirichlet import Dirichlet
from .linear import LinearProblem, LinearResidual
from .log_determinant import MatrixLogDeterminant
from .solution import SteadySolution

__all__ = [
    # Problems
    "LinearProblem",
    "Dirichlet",
    # Solutions
    "SteadySolution",
    "MatrixLogDeterminant",
    # R(u, p) = A(p) u − b(p), for a NonlinearProblem
    "LinearResidual",
]
