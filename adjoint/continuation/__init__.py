"""Solutions as functions of one parameter: through folds, and the folds themselves."""

from .arclength import BranchPoint, trace
from .fold import Fold, fold
from .natural import follow

__all__ = ["BranchPoint", "Fold", "fold", "follow", "trace"]
