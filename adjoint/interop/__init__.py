"""Optimizers of SciPy, NLopt and Ipopt, with the same bounds, constraints, stopping rules and reports."""

from .minimization import minimize
from .run import Method

__all__ = [
    "Method",
    "minimize",
]
