"""Determinants and selected entries of inverses of sparse matrices, with exact derivatives."""

from .hutchinson import Hutchinson
from .log_determinant import LogDeterminant
from .plus import PlusLogDeterminant, PlusPoint
from .points import DeterminantEvidence, LogDeterminantPoint

__all__ = [
    "LogDeterminant",
    "LogDeterminantPoint",
    "DeterminantEvidence",
    "Hutchinson",
    "PlusLogDeterminant",
    "PlusPoint",
]
