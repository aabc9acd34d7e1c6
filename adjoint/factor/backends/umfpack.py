"""UMFPACK, through scikit-sparse 0.5: multifrontal LU with dense kernels, P R A Q = L U.

Davis (2004), Algorithm 832: UMFPACK V4.3, ACM Trans. Math. Softw. 30, 196.
"""

import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Protocol

import scipy.sparse as sparse

from ...errors import singular
from ...typing import Array, Trans
from ..counts import count
from ..direct import Direct
from ..fork_safety import entering_threads
from .suitesparse import IndexType, Solve, translating, unloadable, unwarned, version, with_indices

REMEDY_0_5 = (
    "It needs scikit-sparse >= 0.5 on SuiteSparse >= 7.4 (Debian 13, Ubuntu 24.04 or later): "
    "apt-get install g++ python3-dev libsuitesparse-dev libopenblas0-pthread, then pip install "
    "'scikit-sparse>=0.5,<0.6'; or conda install -c conda-forge 'scikit-sparse>=0.5'."
)


@cache
def missing() -> str:
    """The reason why UMFPACK cannot be used; "" if it can be used."""
    return unloadable("umfpack", REMEDY_0_5)


class _Info(Protocol):
    rcond: float


class _Factor(Protocol):
    """Protocol for `sksparse.umfpack.UMFFactor`."""

    info: _Info

    def factorize(self, A: sparse.csc_array) -> object: ...
    def solve(self, b: Array, trans: Trans) -> Array: ...
    def slogdet(self) -> tuple[complex, float]: ...


@dataclass(frozen=True, eq=False)
class _Factors:
    """The factors of P R A Q = L U.

    solves: functions b ↦ u that solve with A, Aᵀ and Aᴴ.
    """

    backend: str
    factor: _Factor
    solves: dict[Trans, Solve]

    def solve(self, b: Array, trans: Trans) -> Array:
        entering_threads("UMFPACK solve")
        return self.solves[trans](b)

    def log_abs_det(self) -> float:
        return float(self.factor.slogdet()[1])


@dataclass(eq=False)
class _Analysis:
    """The analysis of a pattern: makes a UMFFactor object for each factorization in use.

    A UMFFactor object holds an analysis and the factors of one matrix.

    An object has a memory: `idle` keeps one UMFFactor that is not in use any more, with
    its analysis, for the next matrix. UMFFactor.copy() cannot be used instead: copies
    share one record of the last pivots, so that after a singular matrix all other
    factors would refuse to solve. The method `copy` also copies the factors, and fails
    before the first factorization.
    """

    analyse: Callable[[sparse.csc_array], _Factor]
    index: IndexType
    idle: list[_Factor] = field(default_factory=list)

    def factor(self, A: sparse.csc_array, name: str) -> _Factors:
        from sksparse.umfpack import UMFPACKError, UMFPACKSingularMatrixWarning

        entering_threads(name)
        A = with_indices(A, self.index)
        with translating(UMFPACKError, name):
            factor = self._take(A)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UMFPACKSingularMatrixWarning)
                factor.factorize(A)
        if factor.info.rcond == 0.0:
            self._give_back(factor)
            raise singular(name, "met a pivot that is exactly zero")
        rcond, n = factor.info.rcond, A.shape[0]
        solves: dict[Trans, Solve] = {
            trans: unwarned(
                partial(factor.solve, trans=trans), UMFPACKSingularMatrixWarning, rcond, n
            )
            for trans in ("N", "T", "H")
        }
        factors = _Factors(f"UMFPACK (scikit-sparse {version()})", factor, solves)
        weakref.finalize(factors, self._give_back, factor).atexit = False
        return factors

    def _take(self, A: sparse.csc_array) -> _Factor:
        try:
            return self.idle.pop()
        except IndexError:
            count(symbolic=1)
            return self.analyse(A)

    def _give_back(self, factor: _Factor) -> None:
        # One object is enough for designs in turn. More would waste memory: each holds
        # numbers.
        if not self.idle:
            self.idle.append(factor)


def _symbolic(A: sparse.csc_array) -> _Factor:
    from sksparse.umfpack import UMFControl, UMFFactor

    control = UMFControl()
    control.ir_steps = 0  # Factorization.solve refines if necessary.
    factor: _Factor = UMFFactor(A, control)
    return factor


def _analyse(A: sparse.csc_array) -> _Analysis:
    from sksparse.umfpack import UMFPACKError

    entering_threads("UMFPACK analysis")
    index = A.indices.dtype
    with translating(UMFPACKError, "UMFPACK analysis"):
        return _Analysis(_symbolic, index, [_symbolic(with_indices(A, index))])


lu = Direct("LU by UMFPACK", "none", _analyse, missing)
