"""The factorizers used where none is named: of each kind the fastest one installed."""

from .backends.cholmod import cholesky as cholmod
from .backends.klu import lu as klu
from .backends.pardiso.factors import cholesky as pardiso_cholesky
from .backends.pardiso.factors import ldl as pardiso_ldl
from .backends.pardiso.factors import lu as pardiso
from .backends.superlu import cholesky as superlu_cholesky
from .backends.superlu import ldl as superlu_ldl
from .backends.superlu import lu as superlu
from .backends.umfpack import lu as umfpack
from .direct import Fastest

lu = Fastest("LU", (pardiso, umfpack, klu, superlu))


cholesky = Fastest("Cholesky", (cholmod, pardiso_cholesky, superlu_cholesky))


ldl = Fastest("LDL", (pardiso_ldl, superlu_ldl))
