"""Optimizers: one algorithm a file, each a frozen dataclass with `start` and `advance` on a frozen state."""

from .constraints import Constraint, DesignConstraint, LinearConstraint
from .criteria import CriteriaState, OptimalityCriteria, SensitivityFilter
from .descent import Box, DescentState, SteepestDescent
from .inner import Euclidean, InnerProduct, MassMatrix, Weighted
from .run import Algorithm, Result, State, Status, Stopping, WrongGradient, descend, minimize
from .search import Backtracking

__all__ = [
    "Algorithm",
    "Backtracking",
    "Box",
    "Constraint",
    "CriteriaState",
    "DescentState",
    "DesignConstraint",
    "Euclidean",
    "InnerProduct",
    "LinearConstraint",
    "MassMatrix",
    "OptimalityCriteria",
    "Result",
    "SensitivityFilter",
    "State",
    "Status",
    "SteepestDescent",
    "Stopping",
    "Weighted",
    "WrongGradient",
    "descend",
    "minimize",
]
