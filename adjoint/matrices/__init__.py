"""A(p) and b(p): sparse matrices and right-hand sides that depend on parameters."""

from .affine import Affine, Constant
from .assembly import Assembly
from .combination import Combination
from .elements import Elements
from .entries import Entries
from .part import Part, PartVector
from .vectors import AffineVector, ConstantVector

__all__ = [
    "Affine",
    "AffineVector",
    "Assembly",
    "Combination",
    "Constant",
    "ConstantVector",
    "Elements",
    "Entries",
    "Part",
    "PartVector",
]
