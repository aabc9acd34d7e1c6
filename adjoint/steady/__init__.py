"""Steady problems, linear and as solved by others: A(p) u = b(p), its solution, Dirichlet data, reuse of solves."""

from .dirichlet import Dirichlet
from .linear import LinearProblem, LinearResidual
from .solution import SteadySolution

__all__ = ["Dirichlet", "LinearProblem", "LinearResidual", "SteadySolution"]
