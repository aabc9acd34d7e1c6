"""Error estimates of J and its gradient: what inexact solves leave in the computed numbers."""

from .accuracy import Accuracy, AccuracyStatus
from .corrections import SolutionOfEquations, SolutionWithEquations
from .estimate import accuracy_of

__all__ = [
    "Accuracy",
    "AccuracyStatus",
    "SolutionOfEquations",
    "SolutionWithEquations",
    "accuracy_of",
]
