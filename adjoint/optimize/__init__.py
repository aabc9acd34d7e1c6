"""Optimization of `Reduced` and other functions f(x), with bounds and constraints.

`minimize` runs an algorithm until a rule of `Stopping` ends the run, and returns a
`Result`.

Inside: `run` starts the `loop`, `result` is what it returns, `state` the record of one
iterate, `algorithms` have `start` and `advance`, `line_search` the searches along a
direction. `gradient_tolerance` chooses the tolerance of iterative solves. `trial`
evaluates f, `functions` wraps plain functions, `constraints` define constraints (a volume,
a stress) and their values at one point, in the units that `scaling` finds.
`inner_products` turn a gradient into a direction. `stopping` and `status` end a run;
`verification` checks gradients before a run and convergence after it; `restart` writes
and verifies restart files.
"""

from ..bounds import Bounds
from .algorithms.augmented_lagrangian import AugmentedLagrangian
from .algorithms.bfgs import BFGS
from .algorithms.continuation import Continuation, Grayness, Stage
from .algorithms.gauss_newton import GaussNewton
from .algorithms.lbfgs import LBFGS
from .algorithms.mma.approximation import Asymptotes
from .algorithms.mma.gcmma import GCMMA
from .algorithms.mma.mma import MMA
from .algorithms.newton_cg import NewtonCG
from .algorithms.optimality_criteria import OptimalityCriteria, SensitivityFilter
from .algorithms.simpl import SiMPL
from .algorithms.steepest_descent import BarzilaiBorwein, SteepestDescent
from .constraints.constraint import Constraint, FunctionConstraint
from .constraints.design_constraints import DesignConstraint, LinearConstraint
from .constraints.state_constraints import StateConstraint, StateConstraints, VectorFunction
from .differenced_hessian import DifferencedHessian
from .functions import ResidualFunction, ScalarFunction
from .inner_products import Euclidean, InnerProduct, MassMatrix, Weighted
from .line_search.backtracking import Backtracking
from .line_search.strong_wolfe import StrongWolfe
from .restart.restart_file import Restart, read_restart, write_restart
from .result import Result
from .run import descend, minimize
from .state import Algorithm, AlgorithmWithMemoryCheck, AlgorithmWithRevaluation, State
from .status import Status
from .stopping import Progress, Stopping

__all__ = [
    # Runs
    "minimize",
    "descend",
    "Result",
    "Status",
    "Stopping",
    "Progress",
    # Algorithms
    "SteepestDescent",
    "BarzilaiBorwein",
    "BFGS",
    "LBFGS",
    "NewtonCG",
    "GaussNewton",
    "OptimalityCriteria",
    "SensitivityFilter",
    "MMA",
    "GCMMA",
    "Asymptotes",
    "SiMPL",
    "AugmentedLagrangian",
    "Continuation",
    "Stage",
    "Grayness",
    # Line searches
    "Backtracking",
    "StrongWolfe",
    # Inner products
    "InnerProduct",
    "Euclidean",
    "Weighted",
    "MassMatrix",
    # Bounds and constraints
    "Bounds",
    "Constraint",
    "LinearConstraint",
    "DesignConstraint",
    "FunctionConstraint",
    "StateConstraint",
    "StateConstraints",
    "VectorFunction",
    # Plain functions as objectives
    "ScalarFunction",
    "ResidualFunction",
    "DifferencedHessian",
    # Algorithms of your own
    "Algorithm",
    "AlgorithmWithMemoryCheck",
    "AlgorithmWithRevaluation",
    "State",
    # Restart files
    "Restart",
    "read_restart",
    "write_restart",
]
