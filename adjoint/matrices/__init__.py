"""Matrices A(p) and vectors b(p) with their derivatives.

`affine`: few parameters. `elements`: one parameter per element, assembled by
`assembly`, which computes the sparsity pattern. `entries`: a function for the entries
on a given pattern. `combination` and `part`: sums, and matrices of some of the
parameters. `patterns`: unions of sparsity patterns. `vectors`: right-hand sides.
"""

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
