"""Factored matrices: one interface over the sparse solvers installed, with every solve verified."""

from .backends.cholmod import cholesky as cholmod
from .backends.superlu import cholesky as superlu_cholesky
from .backends.superlu import ldl as superlu_ldl
from .backends.superlu import lu as superlu
from .counting import Counts, counting
from .direct import Direct, Fastest
from .errors import (
    BackendMissing,
    ForkedProcess,
    InaccurateSolve,
    KrylovStalled,
    NonFinite,
    NotPositiveDefinite,
    NotSymmetric,
    SingularMatrix,
    SolveError,
)
from .evidence import Evidence
from .factorization import Factorization

lu = Fastest("LU", (superlu,))
cholesky = Fastest("Cholesky", (cholmod, superlu_cholesky))
ldl = Fastest("LDL", (superlu_ldl,))
