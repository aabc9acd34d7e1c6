"""Direct factorizers: one symbolic analysis per sparsity pattern, one factorization per matrix."""

import importlib
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import scipy.sparse as sparse

from .._repr import short_repr
from ..errors import (
    BackendMissing,
    InaccurateSolve,
    NotPositiveDefinite,
    OutOfMemory,
    SingularMatrix,
    SolveError,
    out_of_memory,
)
from ..typing import Array
from .backward_error import ACCEPT, REFINE, Symmetry, require_symmetric
from .counts import Counts, collecting, count, phase
from .csc import SparseMatrix, as_csc, require_full_structure
from .explanation import explained
from .factorization import Accuracy, Factorization, Factors, Static

REMEMBERED = 4
"""Patterns whose analysis a factorizer keeps: enough for two or three models used in turn."""


CONFIRMED = 200_000
"""Unknowns up to which a matrix that looks singular is factored once more, with full pivoting: it may take a minute."""


LOST = 1e14
"""Growth of pivots from which on no digits are left."""


class Analysis(Protocol):
    """A backend's symbolic analysis of one pattern; immutable, serves any number of matrices at once."""

    def factor(self, A: sparse.csc_array, name: str) -> Factors:
        """The factors of A, whose pattern was analysed; name: for messages."""


@dataclass(frozen=True, eq=False)
class _Remembered:
    """A pattern, in arrays of its own (the user may write to his), and its analysis."""

    indptr: Array
    indices: Array
    dtype: np.dtype[np.generic]
    analysis: Analysis

    def serves(self, A: sparse.csc_array) -> bool:
        return (
            self.dtype == A.dtype
            and self.indices.size == A.indices.size
            and np.array_equal(self.indptr, A.indptr)
            and np.array_equal(self.indices, A.indices)
        )


@dataclass(frozen=True, eq=False)
class Direct:
    """A factorizer: `Direct(...)(A)` factors A; the last few patterns keep their analysis.

    label: what it does, for messages ("Cholesky by CHOLMOD"); symmetry: what it takes A for, and verifies;
    analyse: the backend's symbolic analysis; missing: the reason why the backend cannot be used, or "" if it can.
    """

    label: str
    symmetry: Symmetry
    analyse: Callable[[sparse.csc_array], Analysis]
    missing: Callable[[], str]
    _memory: list[_Remembered] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    __repr__ = short_repr

    def __call__(self, A: SparseMatrix | Array) -> Factorization:
        """Factor A: (n, n), sparse or dense, float64 or complex128.

        Raises SingularMatrix, NotPositiveDefinite, InaccurateSolve, NonFinite, BackendMissing, ForkedProcess;
        TypeError and ValueError unless A is a square matrix of floating-point numbers.
        """
        return self.factored(A, explain=True)

    def factored(self, A: SparseMatrix | Array, explain: bool) -> Factorization:
        """The same; explain: whether a matrix that was refused is looked at for the cause, by another factorization."""
        if reason := self.missing():
            raise BackendMissing(f"{self.label}: {reason}")
        A = as_csc(A)
        name = f"{self.label} of a {A.shape[0]}x{A.shape[1]} matrix"
        counts = Counts()
        with collecting(counts):
            with phase("analysis"):
                known = self._analysed(A, name)
            with phase("factor"):
                count(numeric=1)
                factors = self._factors(known.analysis, A, name, explain)
        return Factorization(
            A, factors, self.symmetry, Accuracy(REFINE, ACCEPT, True, True), name, counts
        )

    def _analysed(self, A: sparse.csc_array, name: str) -> _Remembered:
        try:
            return self._remembered(A)
        except OutOfMemory:
            raise
        except MemoryError as error:
            raise out_of_memory(name, error) from error

    def _factors(
        self, analysis: Analysis, A: sparse.csc_array, name: str, explain: bool
    ) -> Factors:
        try:
            return analysis.factor(A, name)
        except OutOfMemory:
            raise
        except MemoryError as error:
            raise out_of_memory(name, error) from error
        except (NotPositiveDefinite, SingularMatrix) as error:
            if isinstance(error, NotPositiveDefinite):
                # One mistake, one error, whichever backend finds it: asymmetry, or singularity, explains it better.
                require_symmetric(A, self.symmetry, name)
            _raise_explained(A, name, error, explain)
            raise

    def analysis_of(self, A: sparse.csc_array) -> Analysis:
        """The analysis of A's pattern: remembered, or made now; SingularMatrix for an empty row or column."""
        return self._remembered(A).analysis

    def _remembered(self, A: sparse.csc_array) -> _Remembered:
        with self._lock:
            for position, known in enumerate(self._memory):
                if known.serves(A):
                    self._memory.insert(0, self._memory.pop(position))
                    return known
        require_full_structure(A)
        count(symbolic=1)
        known = _Remembered(A.indptr.copy(), A.indices.copy(), A.dtype, self.analyse(A))
        with self._lock:
            self._memory.insert(0, known)
            del self._memory[REMEMBERED:]
        return known

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Without analyses; those of this package by their names, being one for each process."""
        return _by_name(self) or (Direct, (self.label, self.symmetry, self.analyse, self.missing))

    def forget(self) -> None:
        """Drop the remembered analyses (they may hold tens of megabytes at 10⁶ unknowns)."""
        with self._lock:
            self._memory.clear()


@dataclass(frozen=True, eq=False)
class Fastest:
    """A factorizer that runs on the first of its candidates that is installed; the last one always is."""

    label: str
    candidates: tuple[Direct, ...]

    __repr__ = short_repr

    @property
    def choice(self) -> Direct:
        """The candidate that factors here."""
        return next(direct for direct in self.candidates if not direct.missing())

    def __call__(self, A: SparseMatrix | Array) -> Factorization:
        """Factor A by `choice`; see `Direct.__call__`.

        A matrix that looks singular to it is given to the last candidate, up to CONFIRMED unknowns: pivots fixed in
        advance may cancel exactly in a matrix that is regular (networks of ±1), and SuperLU chooses each as it goes. So
        is one whose pivots were replaced, or have grown, if a solve with a random right-hand side fails.
        """
        direct, careful = self.choice, self.candidates[-1]
        try:
            factorization = direct.factored(A, explain=direct is careful)
            doubt = _doubt(factorization)
            if direct is careful or np.shape(A)[0] > CONFIRMED or doubt == 0.0:
                return factorization
            if doubt <= LOST:
                factorization.examine()
                return factorization
        except (SingularMatrix, InaccurateSolve):
            if direct is careful or np.shape(A)[0] > CONFIRMED:
                raise
        except NotPositiveDefinite as error:
            name = f"{direct.label} of a {np.shape(A)[0]}x{np.shape(A)[1]} matrix"
            _raise_explained(as_csc(A), name, error, direct is not careful)
            raise
        return careful(A)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """As that of `Direct`."""
        return _by_name(self) or (Fastest, (self.label, self.candidates))

    def forget(self) -> None:
        """Drop the remembered analyses of all candidates."""
        for direct in self.candidates:
            direct.forget()


def _doubt(factorization: Factorization) -> float:
    return factorization.factors.doubt if isinstance(factorization.factors, Static) else 0.0


def _by_name(factorizer: object) -> tuple[Callable[..., object], tuple[object, ...]] | None:
    """How a pickle finds a factorizer of this package again; None for others."""
    names = [name for name, value in vars(sys.modules[__package__]).items() if value is factorizer]
    return (_named, (names[0],)) if names else None


def _named(name: str) -> object:
    """The factorizer of this package by its name."""
    return getattr(importlib.import_module(__package__), name)


def _raise_explained(A: sparse.csc_array, name: str, error: SolveError, explain: bool) -> None:
    """Raise the error that explains the one that was met, if there is a better one."""
    told = explained(A, name, error) if explain else error
    try:
        if told is not error:
            raise told from error
    finally:
        del told  # Else this frame and the error would hold each other, and the factors, until garbage is collected.
