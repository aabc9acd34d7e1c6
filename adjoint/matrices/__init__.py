"""Matrices A(p) and vectors b(p) with their derivatives.

The modules: `affine` has matrices of a few parameters. `elements` has matrices with one
parameter per element; `assembly` computes their sparsity pattern and assembles them.
`entries` has matrices whose entries, on a given pattern, are computed by a function.
`combination` has sums of matrices; `part` has matrices that depend on some of the
parameters. `patterns` forms unions of sparsity patterns. `vectors` has right-hand
sides.
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
