"""Adjoint-method sensitivity analysis: exact gradients through sparse solves, for NumPy and SciPy models."""

from .checkpointing.events import Event
from .checkpointing.policies import Budget, Checkpoints, Disk, Everything, States
from .checks.field import FieldReport, check_field
from .checks.gradient import CheckReport, check
from .checks.hessian import check_hvp
from .checks.residual import ResidualReport, check_residual
from .continuation.arclength import BranchPoint, trace
from .continuation.fold import Fold, fold
from .continuation.natural import follow
from .derive.field import DerivedField, complex_step_field
from .derive.hvp import with_second
from .derive.integrand import DerivedIntegrand, complex_step_integrand
from .derive.residual import DerivedResidual, complex_step, finite_difference
from .derive.with_jax import JaxField, JaxResidual, from_jax, from_jax_field
from .design.filters import ConvolutionFilter, DensityFilter, HelmholtzFilter
from .design.interpolation import HeavisideProjection, Ramp, Simp
from .design.maps import Composed, Identity
from .errors import (
    AbsoluteToleranceWarning,
    BackendMissing,
    CheckpointError,
    CoincidentBreaks,
    ForkedProcess,
    InaccurateSolve,
    InconsistentStart,
    KrylovStalled,
    MemoryTooSmall,
    NewtonDiverged,
    NewtonStalled,
    NonFinite,
    NonFiniteField,
    NonFiniteResidual,
    NotComplexSafe,
    NotPositiveDefinite,
    NotSymmetric,
    OutOfMemory,
    ResumedElsewhere,
    SingularJacobian,
    SingularMatrix,
    SolveError,
    SparsityError,
    StageFailure,
    StepTooSmall,
    StorageFailed,
    TooManySteps,
    WrongGradient,
    WrongJacobian,
)
from .factor.counting import Counts, counting
from .factor.default import cholesky, ldl, lu
from .factor.evidence import Evidence
from .factor.factorization import Factorization
from .factor.krylov import cg, gmres
from .factor.preconditioners import amg, ilu, jacobi, rigid_body_modes
from .matrices.affine import Affine, Constant
from .matrices.assembly import Assembly
from .matrices.combination import Combination
from .matrices.elements import Elements
from .matrices.entries import Entries
from .matrices.part import Part, PartVector
from .matrices.vectors import AffineVector, ConstantVector
from .newton.bounds import Bounds
from .newton.globalization import AffineInvariant, FullSteps, LineSearch
from .newton.iteration import EisenstatWalker, Newton
from .newton.problem import NonlinearProblem
from .newton.starts import Homotopy, PseudoTransient
from .objectives import Compliance, LeastSquares, LinearFunctional, Product, Sum
from .ode.evidence import Jacobian, OdeEvidence
from .ode.integrands import LinearIntegrand, SquaredIntegrand
from .ode.methods.method import DOP853, ESDIRK4, ESDIRK5, TRBDF2, BackwardEuler, CrankNicolson, Theta, Tsit5
from .ode.methods.radau import Radau5, Radau9
from .ode.outputs import Outputs
from .ode.problem import OdeProblem
from .ode.step_control.controller import Control
from .ode.trajectory import Sensitivities, Trajectory
from .optimize.algorithms.augmented_lagrangian import AugmentedLagrangian
from .optimize.algorithms.bfgs import Bfgs
from .optimize.algorithms.continuation import Continuation, Grayness, Stage
from .optimize.algorithms.gauss_newton import GaussNewton
from .optimize.algorithms.lbfgs import Lbfgs
from .optimize.algorithms.mma.gcmma import Gcmma
from .optimize.algorithms.mma.mma import Mma
from .optimize.algorithms.mma.subproblem import Asymptotes
from .optimize.algorithms.newton_cg import NewtonCg
from .optimize.algorithms.optimality_criteria import OptimalityCriteria, SensitivityFilter
from .optimize.algorithms.simpl import Simpl
from .optimize.algorithms.steepest_descent import BarzilaiBorwein, SteepestDescent
from .optimize.bounds import Box
from .optimize.constraints import (
    DesignConstraint,
    FunctionConstraint,
    LinearConstraint,
    StateConstraint,
    StateConstraints,
)
from .optimize.functions import DifferencedHessian, ResidualFunction, ScalarFunction
from .optimize.inner_products import Euclidean, MassMatrix, Weighted
from .optimize.line_search.backtracking import Backtracking
from .optimize.line_search.strong_wolfe import StrongWolfe
from .optimize.run import Result, descend, minimize
from .optimize.status import Status
from .optimize.stopping import Stopping
from .protocols import DesignMap, Field, Integrand, Matrix, Objective, Residual, Vector
from .recurrence.problem import RecurrenceProblem
from .reduced import Point, Reduced
from .steady.dirichlet import Dirichlet
from .steady.linear import LinearProblem, LinearResidual
from .steady.solution import SteadySolution

__all__ = [
    "DOP853",
    "ESDIRK4",
    "ESDIRK5",
    "TRBDF2",
    "AbsoluteToleranceWarning",
    "Affine",
    "AffineInvariant",
    "AffineVector",
    "Assembly",
    "Asymptotes",
    "AugmentedLagrangian",
    "BackendMissing",
    "Backtracking",
    "BackwardEuler",
    "BarzilaiBorwein",
    "Bfgs",
    "Bounds",
    "Box",
    "BranchPoint",
    "Budget",
    "CheckReport",
    "CheckpointError",
    "Checkpoints",
    "CoincidentBreaks",
    "Combination",
    "Compliance",
    "Composed",
    "Constant",
    "ConstantVector",
    "Continuation",
    "Control",
    "ConvolutionFilter",
    "Counts",
    "CrankNicolson",
    "DensityFilter",
    "DerivedField",
    "DerivedIntegrand",
    "DerivedResidual",
    "DesignConstraint",
    "DesignMap",
    "DifferencedHessian",
    "Dirichlet",
    "Disk",
    "EisenstatWalker",
    "Elements",
    "Entries",
    "Euclidean",
    "Event",
    "Everything",
    "Evidence",
    "Factorization",
    "Field",
    "FieldReport",
    "Fold",
    "ForkedProcess",
    "FullSteps",
    "FunctionConstraint",
    "GaussNewton",
    "Gcmma",
    "Grayness",
    "HeavisideProjection",
    "HelmholtzFilter",
    "Homotopy",
    "Identity",
    "InaccurateSolve",
    "InconsistentStart",
    "Integrand",
    "Jacobian",
    "JaxField",
    "JaxResidual",
    "KrylovStalled",
    "Lbfgs",
    "LeastSquares",
    "LineSearch",
    "LinearConstraint",
    "LinearFunctional",
    "LinearIntegrand",
    "LinearProblem",
    "LinearResidual",
    "MassMatrix",
    "Matrix",
    "MemoryTooSmall",
    "Mma",
    "Newton",
    "NewtonCg",
    "NewtonDiverged",
    "NewtonStalled",
    "NonFinite",
    "NonFiniteField",
    "NonFiniteResidual",
    "NonlinearProblem",
    "NotComplexSafe",
    "NotPositiveDefinite",
    "NotSymmetric",
    "Objective",
    "OdeEvidence",
    "OdeProblem",
    "OptimalityCriteria",
    "OutOfMemory",
    "Outputs",
    "Part",
    "PartVector",
    "Point",
    "Product",
    "PseudoTransient",
    "Radau5",
    "Radau9",
    "Ramp",
    "RecurrenceProblem",
    "Reduced",
    "Residual",
    "ResidualFunction",
    "ResidualReport",
    "Result",
    "ResumedElsewhere",
    "ScalarFunction",
    "Sensitivities",
    "SensitivityFilter",
    "Simp",
    "Simpl",
    "SingularJacobian",
    "SingularMatrix",
    "SolveError",
    "SparsityError",
    "SquaredIntegrand",
    "Stage",
    "StageFailure",
    "StateConstraint",
    "StateConstraints",
    "States",
    "Status",
    "SteadySolution",
    "SteepestDescent",
    "StepTooSmall",
    "Stopping",
    "StorageFailed",
    "StrongWolfe",
    "Sum",
    "Theta",
    "TooManySteps",
    "Trajectory",
    "Tsit5",
    "Vector",
    "Weighted",
    "WrongGradient",
    "WrongJacobian",
    "amg",
    "cg",
    "check",
    "check_field",
    "check_hvp",
    "check_residual",
    "cholesky",
    "complex_step",
    "complex_step_field",
    "complex_step_integrand",
    "counting",
    "descend",
    "finite_difference",
    "fold",
    "follow",
    "from_jax",
    "from_jax_field",
    "gmres",
    "ilu",
    "jacobi",
    "ldl",
    "lu",
    "minimize",
    "rigid_body_modes",
    "trace",
    "with_second",
]
