"""Optimizers: one algorithm a file, each a frozen dataclass with `start` and `advance` on a frozen state."""

from .approximation import Asymptotes
from .archive import CheckpointError
from .augmented_lagrangian import AugmentedLagrangian
from .barzilai_borwein import BarzilaiBorwein
from .bfgs import Bfgs
from .bounds import Box
from .checkpoint import Checkpoint, ResumedElsewhere, read_checkpoint, write_checkpoint
from .constraints import Constraint, DesignConstraint, FunctionConstraint, LinearConstraint, StateConstraint
from .continuation import Continuation, Grayness, Stage
from .criteria import OptimalityCriteria, SensitivityFilter
from .derivative_check import WrongGradient
from .descent import SteepestDescent
from .differenced import DifferencedHessian
from .functions import ResidualFunction, ScalarFunction
from .gauss_newton import GaussNewton
from .gcmma import Gcmma
from .inner import Euclidean, InnerProduct, MassMatrix, Weighted
from .lbfgs import Lbfgs
from .mma import Mma
from .newton_cg import NewtonCg
from .result import Result
from .run import descend, minimize
from .search import Backtracking
from .simpl import Simpl
from .state import Algorithm, State
from .state_constraints import StateConstraints, VectorFunction
from .stopping import Progress, Status, Stopping
from .wolfe import StrongWolfe

__all__ = [
    "Algorithm",
    "Asymptotes",
    "AugmentedLagrangian",
    "Backtracking",
    "BarzilaiBorwein",
    "Bfgs",
    "Box",
    "Checkpoint",
    "CheckpointError",
    "Constraint",
    "Continuation",
    "DesignConstraint",
    "DifferencedHessian",
    "Euclidean",
    "FunctionConstraint",
    "GaussNewton",
    "Gcmma",
    "Grayness",
    "InnerProduct",
    "Lbfgs",
    "LinearConstraint",
    "MassMatrix",
    "Mma",
    "NewtonCg",
    "OptimalityCriteria",
    "Progress",
    "ResidualFunction",
    "Result",
    "ResumedElsewhere",
    "ScalarFunction",
    "SensitivityFilter",
    "Simpl",
    "Stage",
    "State",
    "StateConstraint",
    "StateConstraints",
    "Status",
    "SteepestDescent",
    "Stopping",
    "StrongWolfe",
    "VectorFunction",
    "Weighted",
    "WrongGradient",
    "descend",
    "minimize",
    "read_checkpoint",
    "write_checkpoint",
]
