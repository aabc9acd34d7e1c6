"""Determinants and selected entries of inverses of sparse matrices, with exact derivatives."""

from .hutchinson import Hutchinson
from .laplace import (
    Binomial,
    Gaussian,
    LaplaceApproximation,
    LaplaceEvidence,
    LaplacePoint,
    LatentGaussianModel,
    Likelihood,
    LikelihoodWithGuess,
    Poisson,
    Prediction,
)
from .log_determinant import LogDeterminant
from .plus import PlusLogDeterminant, PlusPoint
from .points import DeterminantEvidence, LogDeterminantPoint

__all__ = [
    # Log-determinants
    "LogDeterminant",
    "LogDeterminantPoint",
    "DeterminantEvidence",
    "Hutchinson",
    "PlusLogDeterminant",
    "PlusPoint",
    # Marginal likelihoods of latent Gaussian models
    "LaplaceApproximation",
    "LaplacePoint",
    "LaplaceEvidence",
    "Prediction",
    "LatentGaussianModel",
    "Likelihood",
    "LikelihoodWithGuess",
    "Poisson",
    "Binomial",
    "Gaussian",
]
