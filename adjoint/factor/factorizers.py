"""`lu`, `cholesky` and `ldl`: the fastest factorizer of each kind that is installed.

`require_factorizer` and `factored` check the factorizers that users pass in.
"""

import scipy.sparse as sparse

from .._validation import has, named, shown
from .backends.cholmod import cholesky as cholmod
from .backends.klu import lu as klu
from .backends.pardiso.factorizers import cholesky as pardiso_cholesky
from .backends.pardiso.factorizers import ldl as pardiso_ldl
from .backends.pardiso.factorizers import lu as pardiso
from .backends.superlu import cholesky as superlu_cholesky
from .backends.superlu import ldl as superlu_ldl
from .backends.superlu import lu as superlu
from .backends.umfpack import lu as umfpack
from .direct import Fastest
from .factorization import Factorization, Factorizer
from .krylov import cg, gmres

lu = Fastest("LU", (pardiso, umfpack, klu, superlu))

cholesky = Fastest("Cholesky", (cholmod, pardiso_cholesky, superlu_cholesky))

ldl = Fastest("LDL", (pardiso_ldl, superlu_ldl))

MAKERS = {cg: "adjoint.cg(adjoint.factor.jacobi())", gmres: "adjoint.gmres(adjoint.factor.ilu())"}
"""Functions that return a factorizer but are not factorizers, and the call that was
meant."""


def require_factorizer(who: str, factorize: object, name: str = "factorize") -> None:
    """Raise TypeError unless the value is a factorizer.

    A factorizer is callable with a matrix. Common slips are refused as well: a class
    instead of an object, and `cg` instead of `cg(…)`.
    """
    if isinstance(factorize, type) or not callable(factorize):
        raise TypeError(
            f"{who}: got {name}={shown(factorize)}, expected a factorizer such as adjoint.lu"
        )
    meant = next((meant for maker, meant in MAKERS.items() if maker is factorize), None)
    if meant is not None:
        raise TypeError(
            f"{who}: got {name}={meant.split('(')[0]}, which makes factorizers; "
            f"expected {name}={meant}"
        )


def factored(factorize: Factorizer, A: sparse.csc_array) -> Factorization:
    """Return `factorize(A)`; raise TypeError unless the result is a factorization."""
    made = factorize(A)
    if not has(made, "solve"):
        raise TypeError(
            f"factorize returned {named(made)}, expected a Factorization, with a method "
            "solve(b, trans); a factorizer, such as adjoint.lu, takes a matrix"
        )
    if missing := [name for name in ("symmetry", "evidence") if not hasattr(made, name)]:
        raise TypeError(
            f"factorize returned {named(made)} without the attribute {missing[0]}. Expected "
            'a factorization with solve(b, trans), symmetry ("none", if nothing is known) '
            "and evidence (adjoint.factor.Evidence); adjoint.factor.protocols has shorter ways "
            "to a factorizer of your own"
        )
    return made
