"""Eigenproblems K(p) φ = μ M(p) φ: eigenvalues, eigenvectors and their exact derivatives."""

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
from .general_problem import GeneralEigenProblem
from .nonlinear import NonlinearEigenProblem, NonlinearEigenSolution

__all__ = [
    "AnalyticFunction",
    "AnalyticSum",
    "EigenMatrix",
    "EigenMatrixWithHvp",
    "GeneralEigenProblem",
    "GeneralEigenSolution",
    "NonlinearEigenProblem",
    "NonlinearEigenSolution",
    "exponential",
    "power",
    "simple_pole",
]
