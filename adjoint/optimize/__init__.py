"""Optimizers: one algorithm a file, each a frozen dataclass with `start` and `advance` on a frozen state."""

from .archive import CheckpointError
from .bounds import Box
from .checkpoint import Checkpoint, ResumedElsewhere, read_checkpoint, write_checkpoint
from .constraints import Constraint, DesignConstraint, FunctionConstraint, LinearConstraint, StateConstraint
from .criteria import OptimalityCriteria, SensitivityFilter
from .derivative_check import WrongGradient
from .descent import SteepestDescent
from .inner import Euclidean, InnerProduct, MassMatrix, Weighted
from .run import Result, descend, minimize
from .search import Backtracking
from .state import Algorithm, State
from .stopping import Progress, Status, Stopping

__all__ = [
    "Algorithm",
    "Backtracking",
    "Box",
    "Checkpoint",
    "CheckpointError",
    "Constraint",
    "DesignConstraint",
    "Euclidean",
    "FunctionConstraint",
    "InnerProduct",
    "LinearConstraint",
    "MassMatrix",
    "OptimalityCriteria",
    "Progress",
    "Result",
    "ResumedElsewhere",
    "SensitivityFilter",
    "State",
    "StateConstraint",
    "Status",
    "SteepestDescent",
    "Stopping",
    "Weighted",
    "WrongGradient",
    "descend",
    "minimize",
    "read_checkpoint",
    "write_checkpoint",
]
