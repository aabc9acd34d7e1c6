"""Eigenproblems K(p) φ = μ M(p) φ and buckling: eigenpairs and their exact derivatives."""

from .bound_formulation import BoundFormulation
from .buckling import LinearBuckling
from .eigen_matrix import (
    AnalyticFunction,
    AnalyticSum,
    EigenMatrix,
    EigenMatrixWithHvp,
    exponential,
    power,
    simple_pole,
)
from .general import GeneralEigenSolution
from .geometric_stiffness import GeometricStiffness, GeometricStiffnessWithHvp, StressStiffness
from .hermitian import HermitianEigenSolution
from .mode_tracking import ModeTracker, TrackedModes, mac
from .nonlinear import NonlinearEigenProblem
from .nonlinear_solution import NonlinearEigenSolution
from .objectives.function import SpectralFunction
from .objectives.values import (
    Eigenvalue,
    EigenvalueSmoothMax,
    EigenvalueSmoothMin,
    EigenvalueSum,
    LogSumExp,
    PNorm,
)
from .objectives.vectors import ModeShape, Projector
from .problem import EigenProblem
from .solution import EigenSolution

__all__ = [
    "AnalyticFunction",
    "AnalyticSum",
    "BoundFormulation",
    "EigenMatrix",
    "EigenMatrixWithHvp",
    "EigenProblem",
    "EigenSolution",
    "Eigenvalue",
    "EigenvalueSmoothMax",
    "EigenvalueSmoothMin",
    "EigenvalueSum",
    "GeneralEigenSolution",
    "GeometricStiffness",
    "GeometricStiffnessWithHvp",
    "HermitianEigenSolution",
    "LinearBuckling",
    "LogSumExp",
    "ModeShape",
    "ModeTracker",
    "NonlinearEigenProblem",
    "NonlinearEigenSolution",
    "PNorm",
    "Projector",
    "SpectralFunction",
    "StressStiffness",
    "TrackedModes",
    "exponential",
    "mac",
    "power",
    "simple_pole",
]
