"""Factorizers of sparse matrices: A ↦ solves with A, Aᵀ and Aᴴ, each solution verified.

A factorizer states what A is: `lu` (regular), `cholesky` (symmetric positive definite),
`ldl` (symmetric), `cg(…)` or `gmres(…)`. `f = lu(A)` is a `Factorization`; `f.solve(b)`
and `f.solve(b, "H")` solve A u = b and Aᴴ λ = b, and check the backward error. `lu`,
`cholesky` and `ldl` use the fastest backend that is installed; the other factorizers
name their backend.

A factorizer of your own must provide one of these:

direct     analyse(A) ↦ `Analysis`; Analysis.factor(A, name) ↦ `Factors`;
           Factors.solve(b, trans) ↦ u. `Direct(label, symmetry, analyse, missing)`
           makes a factorizer of them.
iterative  preconditioner(A, symmetry) ↦ `Approximation`;
           Approximation.apply(b, trans) ↦ M b.
           `cg(preconditioner)` and `gmres(preconditioner)` are factorizers.

`protocols.py` has these protocols, with all arguments and errors.
"""

from .backends.cholmod import cholesky as cholmod
from .backends.klu import lu as klu
from .backends.pardiso.factorizers import cholesky as pardiso_cholesky
from .backends.pardiso.factorizers import ldl as pardiso_ldl
from .backends.pardiso.factorizers import lu as pardiso
from .backends.superlu import cholesky as superlu_cholesky
from .backends.superlu import ldl as superlu_ldl
from .backends.superlu import lu as superlu
from .backends.umfpack import lu as umfpack
from .counts import Counts, counting
from .direct import Direct, Fastest
from .evidence import Evidence
from .factorization import Factorization, Factorizer
from .factorizers import cholesky, ldl, lu
from .krylov import Krylov, cg, gmres
from .preconditioners import amg, ilu, jacobi, rigid_body_modes
from .protocols import (
    Analysis,
    Approximation,
    ConditionEstimate,
    Factors,
    Preconditioner,
    ReadableCholesky,
    StaticPivoting,
)
from .selected.entries import SelectedEntries

__all__ = [
    # Direct factorizers: the fastest backend that is installed
    "lu",
    "cholesky",
    "ldl",
    # Direct factorizers of one backend
    "superlu",
    "superlu_cholesky",
    "superlu_ldl",
    "cholmod",
    "pardiso",
    "pardiso_cholesky",
    "pardiso_ldl",
    "umfpack",
    "klu",
    # Iterative factorizers, and their preconditioners
    "cg",
    "gmres",
    "jacobi",
    "ilu",
    "amg",
    "rigid_body_modes",
    # What a factorizer returns
    "Factorization",
    "Evidence",
    "SelectedEntries",
    # Counts of work
    "Counts",
    "counting",
    # A factorizer of your own: its parts, and the classes that use them
    "Factorizer",
    "Direct",
    "Fastest",
    "Krylov",
    "Analysis",
    "Factors",
    "StaticPivoting",
    "ConditionEstimate",
    "ReadableCholesky",
    "Approximation",
    "Preconditioner",
]
