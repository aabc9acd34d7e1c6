"""Linear problems A(p) u = b(p), Dirichlet data, and solutions of steady problems in general."""

from .dirichlet import Dirichlet
from .linear import LinearProblem, LinearResidual
from .solution import SteadySolution

__all__ = [
    "Dirichlet",
    "LinearProblem",
    "LinearResidual",
    "SteadySolution",
]
