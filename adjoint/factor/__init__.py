"""Factored matrices: one interface over the sparse solvers installed, with every solve verified."""

from .backends.cholmod import cholesky as cholmod
from .backends.klu import lu as klu
from .backends.pardiso.factors import cholesky as pardiso_cholesky
from .backends.pardiso.factors import ldl as pardiso_ldl
from .backends.pardiso.factors import lu as pardiso
from .backends.superlu import cholesky as superlu_cholesky
from .backends.superlu import ldl as superlu_ldl
from .backends.superlu import lu as superlu
from .backends.umfpack import lu as umfpack
from .counts import Counts, counting
from .default import cholesky, ldl, lu
from .direct import Direct, Fastest
from .evidence import Evidence
from .factorization import Factorization
from .krylov import Krylov, cg, gmres
from .preconditioners import amg, ilu, jacobi, rigid_body_modes

__all__ = [
    "Counts",
    "Direct",
    "Evidence",
    "Factorization",
    "Fastest",
    "Krylov",
    "amg",
    "cg",
    "cholesky",
    "cholmod",
    "counting",
    "gmres",
    "ilu",
    "jacobi",
    "klu",
    "ldl",
    "lu",
    "pardiso",
    "pardiso_cholesky",
    "pardiso_ldl",
    "rigid_body_modes",
    "superlu",
    "superlu_cholesky",
    "superlu_ldl",
    "umfpack",
]
