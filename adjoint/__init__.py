"""Adjoint-method sensitivity analysis: exact gradients through sparse solves, for NumPy and SciPy models."""

from importlib.metadata import PackageNotFoundError, version

from .check import CheckReport, check
from .design import Composed, DensityFilter, DesignMap, HeavisideProjection, HelmholtzFilter, Identity, Ramp, Simp
from .dirichlet import Dirichlet
from .factor import (
    BackendMissing,
    Counts,
    Evidence,
    Factorization,
    ForkedProcess,
    InaccurateSolve,
    KrylovStalled,
    NonFinite,
    NotPositiveDefinite,
    NotSymmetric,
    SingularMatrix,
    SolveError,
    cholesky,
    counting,
    ldl,
    lu,
)
from .linear import LinearProblem, LinearResidual
from .matrices import (
    Affine,
    AffineVector,
    Combination,
    Constant,
    ConstantVector,
    Elements,
    Entries,
    Part,
    PartVector,
)
from .objectives import Compliance, LeastSquares, LinearFunctional, Objective, Product, Sum
from .optimize import (
    Box,
    DesignConstraint,
    Euclidean,
    LinearConstraint,
    MassMatrix,
    OptimalityCriteria,
    Result,
    SensitivityFilter,
    Status,
    SteepestDescent,
    Stopping,
    Weighted,
    WrongGradient,
    descend,
    minimize,
)
from .reduced import Point, Reduced
from .residual import Matrix, Residual, Vector
from .steady import SteadySolution
