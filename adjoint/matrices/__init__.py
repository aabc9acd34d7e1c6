"""Matrices A(p) and vectors b(p) with their derivatives."""

from .affine import Affine, Constant
from .assembly import Assembly
from .combination import Combination
from .elements import Elements
from .entries import Entries
from .part import Part, PartVector
from .vectors import AffineVector, ConstantVector

__all__ = [
    # Matrices
    "Affine",
    "Assembly",
    "Combination",
    "Constant",
    "Elements",
    "Entries",
    "Part",
    # Vectors
    "AffineVector",
    "ConstantVector",
    "PartVector",
]
