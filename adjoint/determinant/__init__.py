"""Determinants and selected entries of inverses of sparse matrices, with exact derivatives."""

from .hutchinson import Hutchinson
from .laplace.approximation import LaplaceApproximation
from .laplace.binomial import Binomial
from .laplace.gaussian import Gaussian
from .laplace.likelihood import Likelihood, LikelihoodWithGuess
from .laplace.model import LatentGaussianModel
from .laplace.points import LaplaceEvidence, LaplacePoint
from .laplace.poisson import Poisson
from .laplace.prediction import Prediction
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
