"""Factorizers and preconditioners as they are handed over: the commonest slip is to give what makes one."""

from collections.abc import Callable

import scipy.sparse as sparse

from .._validation import has, named, shown
from .factorization import Factorization
from .krylov import cg, gmres

MAKERS = {cg: "adjoint.cg(adjoint.factor.jacobi())", gmres: "adjoint.gmres(adjoint.factor.ilu())"}
"""Functions that return a factorizer, and are not factorizers themselves; with what was meant."""


def require_factorizer(who: str, factorize: object, name: str = "factorize") -> None:
    """Raise TypeError unless the value is a factorizer: callable, not a class, not `cg` for `cg(…)`."""
    if isinstance(factorize, type) or not callable(factorize):
        raise TypeError(
            f"{who}: got {name}={shown(factorize)}, expected a factorizer such as adjoint.lu"
        )
    meant = next((meant for maker, meant in MAKERS.items() if maker is factorize), None)
    if meant is not None:
        raise TypeError(
            f"{who}: got {name}={meant.split('(')[0]}, which makes factorizers; expected {name}={meant}"
        )


def factored(
    factorize: Callable[[sparse.csc_array], Factorization], A: sparse.csc_array
) -> Factorization:
    """`factorize(A)`; raises TypeError unless that is a factorization."""
    made = factorize(A)
    if not has(made, "solve"):
        raise TypeError(
            f"factorize returned {named(made)}, expected a Factorization, with a method solve(b, trans); a factorizer, "
            "such as adjoint.lu, takes a matrix"
        )
    return made
