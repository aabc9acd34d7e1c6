"""KLU, through scikit-sparse 0.5: R P A Q = L U + F, sequential, for circuits.

L U is the factorization of the diagonal blocks of a block triangular form; F holds the
other blocks of this form.

Davis & Palamadai Natarajan (2010), Algorithm 907: KLU, ACM Trans. Math. Softw. 37, 36.
"""

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
import scipy.sparse as sparse

from ...errors import singular
from ...typing import Array, Trans
from ..direct import Direct
from .suitesparse import IndexType, Solve, translating, unloadable, unwarned, version, with_indices
from .umfpack import REMEDY_0_5


@cache
def missing() -> str:
    """The reason why KLU cannot be used; "" if it can be used."""
    return unloadable("klu", REMEDY_0_5)


class _Info(Protocol):
    rcond: float


class _Factor(Protocol):
    """Protocol for `sksparse.klu.KLUFactor`."""

    info: _Info
    U: sparse.csc_array
    rscale: Array

    def copy(self) -> "_Factor": ...
    def factorize(self, A: sparse.csc_array) -> object: ...
    def solve(self, b: Array, *, transpose: bool = False) -> Array: ...


@dataclass(frozen=True, eq=False)
class _Factors:
    """The factors of R P A Q = L U + F.

    forward: function b ↦ A⁻¹ b. transposed: function b ↦ A⁻ᵀ b.
    """

    backend: str
    factor: _Factor
    forward: Solve
    transposed: Solve

    def solve(self, b: Array, trans: Trans) -> Array:
        if trans == "N":
            return self.forward(b)
        if trans == "T":
            return self.transposed(b)
        return self.transposed(b.conj()).conj()

    def log_abs_det(self) -> float:
        factor = self.factor.copy()  # Otherwise self.factor would keep L, U and F in memory.
        return float(np.log(np.abs(factor.U.diagonal())).sum() - np.log(factor.rscale).sum())


@dataclass(frozen=True, eq=False)
class _Analysis:
    """The analysis of a pattern by KLU. Each matrix gets a copy of the analysis.

    In a copy without numbers, `factorize` chooses new pivots. In an object that already
    holds the factors of a matrix, `factorize` would keep the pivot positions of this
    matrix, even if these pivots are small in the new matrix.
    """

    symbolic: _Factor
    index: IndexType

    def factor(self, A: sparse.csc_array, name: str) -> _Factors:
        from sksparse.klu import KLUError, KLUSingularMatrixWarning

        factor = self.symbolic.copy()
        with translating(KLUError, name), warnings.catch_warnings():
            warnings.simplefilter("ignore", KLUSingularMatrixWarning)
            factor.factorize(with_indices(A, self.index))
        rcond, n = factor.info.rcond, A.shape[0]
        if rcond == 0.0:
            raise singular(name, "met a pivot that is exactly zero")
        return _Factors(
            f"KLU (scikit-sparse {version()})",
            factor,
            unwarned(factor.solve, KLUSingularMatrixWarning, rcond, n),
            # KLU solves x A = b, x and b of shape (k, n), without conjugation.
            unwarned(
                lambda b: factor.solve(b.T, transpose=True).T, KLUSingularMatrixWarning, rcond, n
            ),
        )


def _analyse(A: sparse.csc_array) -> _Analysis:
    from sksparse.klu import KLUError, KLUFactor

    index = A.indices.dtype
    with translating(KLUError, "KLU analysis"):
        return _Analysis(KLUFactor(with_indices(A, index)), index)


lu = Direct("LU by KLU", "none", _analyse, missing)
