"""Branches of solutions of R(u, p) = 0 as a parameter changes, and folds of branches."""

from .arclength import BranchPoint, trace
from .folds import Fold, fold
from .natural import follow

__all__ = [
    "BranchPoint",
    "Fold",
    "fold",
    "follow",
    "trace",
]
