"""Optimizers: one algorithm a file, each a frozen dataclass with `start` and `advance` on a frozen state."""

from ..errors import CheckpointError, ResumedElsewhere, WrongGradient
from .algorithms.augmented_lagrangian import AugmentedLagrangian
from .algorithms.bfgs import Bfgs
from .algorithms.continuation import Continuation, Grayness, Stage
from .algorithms.gauss_newton import GaussNewton
from .algorithms.lbfgs import Lbfgs
from .algorithms.mma.gcmma import Gcmma
from .algorithms.mma.mma import Mma
from .algorithms.mma.subproblem import Asymptotes
from .algorithms.newton_cg import NewtonCg
from .algorithms.optimality_criteria import OptimalityCriteria, SensitivityFilter
from .algorithms.simpl import Simpl
from .algorithms.steepest_descent import BarzilaiBorwein, SteepestDescent
from .bounds import Box
from .constraints import (
    Constraint,
    DesignConstraint,
    FunctionConstraint,
    LinearConstraint,
    StateConstraint,
    StateConstraints,
    VectorFunction,
)
from .functions import DifferencedHessian, ResidualFunction, ScalarFunction
from .inner_products import Euclidean, InnerProduct, MassMatrix, Weighted
from .line_search.backtracking import Backtracking
from .line_search.strong_wolfe import StrongWolfe
from .restart import Checkpoint, read_checkpoint, write_checkpoint
from .run import Result, descend, minimize
from .state import Algorithm, State
from .status import Status
from .stopping import Progress, Stopping

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
