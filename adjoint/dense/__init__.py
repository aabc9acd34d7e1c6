"""Functions of dense matrices, each with its value, vjp and jvp, for objectives and design maps.

A function evaluated at A gives an `Evaluation` Y: `Y.value` is F(A), `Y.vjp(Y_bar)` the
cotangent of A, `Y.jvp(A_dot)` the tangent of the value, and, for some functions,
`Y.hvp(Y_bar, A_dot)` a product with the second derivative. The factorization behind the
value serves the derivatives.

Inside: `evaluation` has the result class and the checks of tangents and cotangents,
`arguments` the checks of matrices, `equilibrated` LU factors independent of units,
`clusters` the rules for equal eigenvalues; the other modules hold the functions.
"""

from .determinants import SignedLogDet, det, log_det, slogdet
from .evaluation import Evaluation, PairEvaluation
from .exponential import expm, expm_multiply
from .hermitian import Eigenpairs, eigh, eigvalsh, hermitian_function
from .inverses import inverse, solve
from .norms import frobenius_norm, nuclear_norm, schatten_norm, spectral_norm
from .products import kron, unvec, vec
from .singular import PolarFactors, SingularValueDecomposition, polar, svd, svdvals
from .square_root import sqrtm
from .triangular_factors import LUFactors, QRFactors, cholesky, lu, qr

__all__ = [
    # Results
    "Evaluation",
    "PairEvaluation",
    # Inverses and determinants
    "inverse",
    "solve",
    "det",
    "log_det",
    "slogdet",
    "SignedLogDet",
    # Functions of a matrix
    "expm",
    "expm_multiply",
    "sqrtm",
    "hermitian_function",
    # Factorizations
    "cholesky",
    "lu",
    "LUFactors",
    "qr",
    "QRFactors",
    "polar",
    "PolarFactors",
    # Spectra
    "eigvalsh",
    "eigh",
    "Eigenpairs",
    "svdvals",
    "svd",
    "SingularValueDecomposition",
    # Norms
    "frobenius_norm",
    "spectral_norm",
    "nuclear_norm",
    "schatten_norm",
    # Kronecker products
    "kron",
    "vec",
    "unvec",
]
