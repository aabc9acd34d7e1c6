"""CHOLMOD, through scikit-sparse 0.4.16 or 0.5: sparse Cholesky factorization.

CHOLMOD chooses a supernodal or a simplicial factorization, whichever needs less work.

Chen, Davis, Hager & Rajamanickam (2008), Algorithm 887: CHOLMOD, ACM Trans. Math.
Softw. 35, 22.
"""

import re
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

import numpy as np
import scipy.sparse as sparse

from ...errors import NotPositiveDefinite, singular
from ...typing import Array, Trans
from ..backward_error import ACCEPT
from ..direct import Direct
from ..fork_safety import entering_threads
from ..protocols import Analysis
from .suitesparse import (
    IndexType,
    Solve,
    since_0_5,
    translating,
    unloadable,
    unwarned,
    version,
    with_indices,
)


@cache
def missing() -> str:
    """The reason why CHOLMOD cannot be used; "" if it can be used."""
    return unloadable(
        "cholmod",
        "On Debian or Ubuntu: apt-get install libsuitesparse-dev libopenblas0-pthread, then "
        "pip install 'scikit-sparse>=0.4.16,<0.5' (or 0.5, which needs SuiteSparse >= 7.4).",
    )


@dataclass(frozen=True, eq=False)
class _Factors:
    """The factors of P A Pᵀ = L Lᴴ.

    forward: function b ↦ A⁻¹ b of scikit-sparse. logdet: function () ↦ log det A of
    scikit-sparse. export: function () ↦ (L, P) of scikit-sparse; None if the version has no
    such function. maps: see `ReadableCholesky`.
    """

    backend: str
    forward: Solve
    logdet: Callable[[], complex]
    complex: bool
    export: Callable[[], tuple[Array, Array]] | None
    maps: dict[str, object]

    def solve(self, b: Array, trans: Trans) -> Array:
        entering_threads("CHOLMOD solve")
        if trans == "T" and self.complex:  # Aᵀ is the conjugate of A.
            return np.conj(self.forward(b.conj()))
        return self.forward(b)

    def log_abs_det(self) -> float:
        return float(np.real(self.logdet()))

    def lower(self) -> tuple[sparse.csc_array, Array] | None:
        if self.export is None:
            return None
        entering_threads("CHOLMOD export of L")
        L, order = self.export()
        L = sparse.csc_array(L)
        L.sort_indices()
        return L, order


class _Factor04(Protocol):
    """Protocol for `sksparse.cholmod.Factor` of version 0.4."""

    def cholesky(self, A: sparse.csc_array) -> "_Factor04": ...
    def cholesky_inplace(self, A: sparse.csc_array) -> None: ...
    def solve_A(self, b: Array) -> Array: ...
    def solve_D(self, b: Array) -> Array: ...
    def logdet(self) -> complex: ...
    def L(self) -> Array: ...
    def P(self) -> Array: ...


@dataclass(eq=False)
class _Analysis04:
    """The analysis of a pattern: CHOLMOD's symbolic factor.

    The structure of the symbolic factor is copied for each matrix.

    An object has a memory: `idle` keeps one factor that is not in use any more. The
    factorization of the next matrix reuses the storage of this factor. Getting new
    storage from the system takes 1/10 of the time of a large factorization (measured at
    240 000 unknowns).
    """

    symbolic: _Factor04
    index: IndexType
    lock: threading.Lock = field(default_factory=threading.Lock)
    idle: list[_Factor04] = field(default_factory=list)
    maps: dict[str, object] = field(default_factory=dict)

    def factor(self, A: sparse.csc_array, name: str) -> _Factors:
        from sksparse.cholmod import CholmodError, CholmodNotPositiveDefiniteError

        entering_threads(name)
        A = with_indices(_real_diagonal(A), self.index)
        # A lock, because copies share one workspace of CHOLMOD.
        with self.lock, translating(CholmodError, name):
            try:
                factor = self._factor(A)
            except CholmodNotPositiveDefiniteError as error:
                raise _indefinite(name, self.symbolic.P(), error.column) from error
            # A simplicial factor is L D Lᴴ, and version 0.4 accepts any signs in D. In
            # a supernodal factor D is 1.
            inverse = factor.solve_D(np.ones(A.shape[0], A.dtype)).real
        if not inverse.min() > 0.0:
            raise _indefinite(name, factor.P(), int(np.argmin(inverse > 0.0)))
        factors = _Factors(
            _backend(),
            factor.solve_A,
            factor.logdet,
            A.dtype.kind == "c",
            lambda: (factor.L(), factor.P()),
            self.maps,
        )
        weakref.finalize(factors, self._give_back, factor).atexit = False
        return factors

    def _factor(self, A: sparse.csc_array) -> _Factor04:
        try:
            factor = self.idle.pop()
        except IndexError:
            return self.symbolic.cholesky(A)
        factor.cholesky_inplace(A)
        return factor

    def _give_back(self, factor: _Factor04) -> None:
        if not self.idle:
            self.idle.append(factor)


def _real_diagonal(A: sparse.csc_array) -> sparse.csc_array:
    """Return A without imaginary parts on the diagonal that are rounding errors.

    CHOLMOD finds a matrix indefinite whose diagonal is not real, although products such as
    B Bᴴ have imaginary parts of 1e-16 there. Larger imaginary parts are kept.
    """
    if A.dtype.kind != "c":
        return A
    diagonal = A.diagonal()
    wrong = (diagonal.imag != 0.0) & (np.abs(diagonal.imag) <= ACCEPT * np.abs(diagonal.real))
    if not wrong.any():
        return A
    columns = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    places = np.flatnonzero((A.indices == columns) & wrong[columns])
    data = A.data.copy()
    data[places] = data[places].real
    return sparse.csc_array((data, A.indices, A.indptr), shape=A.shape)


class _Factor05(Protocol):
    """Protocol for `sksparse.cholmod.CholeskyFactor` of version 0.5."""

    perm: Array
    rcond: float

    def copy(self) -> "_Factor05": ...
    def factorize(self, A: sparse.csc_array) -> object: ...
    def solve(self, b: Array) -> Array: ...
    def logdet(self) -> complex: ...


@dataclass(frozen=True, eq=False)
class _Analysis05:
    """The analysis of a pattern: CHOLMOD's symbolic factor.

    Each matrix gets a copy of the symbolic factor, because `factorize` writes into it.
    """

    symbolic: _Factor05
    index: IndexType

    def factor(self, A: sparse.csc_array, name: str) -> _Factors:
        from sksparse.cholmod import CholmodError, CholmodNotPositiveDefiniteError, CholmodWarning

        entering_threads(name)
        with translating(CholmodError, name):
            factor = self.symbolic.copy()
            try:
                factor.factorize(with_indices(_real_diagonal(A), self.index))
            except CholmodNotPositiveDefiniteError as error:
                raise _indefinite(name, factor.perm, _column(str(error))) from error
        if factor.rcond == 0.0:  # `solve` would raise an error.
            raise singular(name, "has pivots more than 300 orders of magnitude apart")
        solve = unwarned(factor.solve, CholmodWarning, factor.rcond, A.shape[0])
        return _Factors(_backend(), solve, factor.logdet, A.dtype.kind == "c", None, {})


def _column(message: str) -> int | None:
    """Return the number of the column that an error message of scikit-sparse 0.5 names."""
    found = re.search(r"column (\d+)", message)
    return int(found[1]) if found else None


def _indefinite(name: str, order: Array, column: int | None) -> NotPositiveDefinite:
    where = "" if column is None or column >= order.size else f" at unknown {order[column]}"
    return NotPositiveDefinite(
        f"{name} met a pivot that is not positive{where}. Usual causes: an indefinite problem "
        "(saddle point, Helmholtz: use adjoint.ldl or adjoint.lu), a missing boundary condition, "
        "a negative stiffness."
    )


def _backend() -> str:
    return f"CHOLMOD (scikit-sparse {version()})"


def _analyse(A: sparse.csc_array) -> Analysis:
    from sksparse import cholmod

    entering_threads("CHOLMOD analysis")
    index = A.indices.dtype
    with translating(cholmod.CholmodError, "CHOLMOD analysis"):
        if since_0_5():
            return _Analysis05(cholmod.CholeskyFactor(with_indices(A, index)), index)
        return _Analysis04(cholmod.analyze(with_indices(A, index)), index)


cholesky = Direct("Cholesky by CHOLMOD", "hermitian", _analyse, missing)
